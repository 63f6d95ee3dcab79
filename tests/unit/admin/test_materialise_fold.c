#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "google/protobuf/struct.h"
#include "materialise_fold.h"
#include "pb/pb.h"

struct world {
	struct arena *arena;
	struct fold fold;
	struct execution_row *x;
};

static int setup(void **state)
{
	struct world *w = x_calloc(1, sizeof *w);

	w->arena = arena_new(0);
	fold_init(&w->fold, w->arena);
	w->x = fold_execution(&w->fold, 1);
	w->x->known = true;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	fold_clear(&w->fold);
	arena_free(w->arena);
	free(w);
	return 0;
}

static AlulaRecord *record(struct world *w, int64_t seq)
{
	AlulaRecord *r = pb_new(w->arena, ALULA_RECORD_DESC);

	r->execution = 1;
	r->seq = seq;
	return r;
}

static AlulaExecutionEvent *add_event(struct world *w, AlulaRecord *r)
{
	AlulaExecutionEvent *e = pb_new(w->arena, ALULA_EXECUTION_EVENT_DESC);

	*PB_ADD(w->arena, r->events, r->n_events) = e;
	return e;
}

static EventWorkflowExecutionEvent *add_workflow(struct world *w, AlulaRecord *r, int phase, int64_t us)
{
	AlulaExecutionEvent *e = add_event(w, r);

	e->event_case = ALULA_EXECUTION_EVENT_EVENT_WORKFLOW;
	e->workflow = pb_new(w->arena, EVENT_WORKFLOW_EXECUTION_EVENT_DESC);
	e->workflow->phase = (CoreWorkflowExecutionPhase)phase;
	e->workflow->occurred_at = pb_timestamp(w->arena, us);
	return e->workflow;
}

static EventNodeExecutionEvent *add_node(struct world *w, AlulaRecord *r, const char *node, int phase, int64_t us)
{
	AlulaExecutionEvent *e = add_event(w, r);

	e->event_case = ALULA_EXECUTION_EVENT_EVENT_NODE;
	e->node = pb_new(w->arena, EVENT_NODE_EXECUTION_EVENT_DESC);
	e->node->id = pb_new(w->arena, CORE_NODE_EXECUTION_IDENTIFIER_DESC);
	e->node->id->node_id = arena_strdup(w->arena, node);
	e->node->phase = (CoreNodeExecutionPhase)phase;
	e->node->occurred_at = pb_timestamp(w->arena, us);
	return e->node;
}

static EventTaskExecutionEvent *add_task(struct world *w, AlulaRecord *r, uint32_t attempt, int phase, int64_t us)
{
	AlulaExecutionEvent *e = add_event(w, r);
	EventTaskExecutionEvent *t = pb_new(w->arena, EVENT_TASK_EXECUTION_EVENT_DESC);

	e->event_case = ALULA_EXECUTION_EVENT_EVENT_TASK;
	e->task = t;
	t->task_id = pb_new(w->arena, CORE_IDENTIFIER_DESC);
	t->task_id->name = "t";
	t->parent_node_execution_id = pb_new(w->arena, CORE_NODE_EXECUTION_IDENTIFIER_DESC);
	t->parent_node_execution_id->node_id = "n0";
	t->retry_attempt = attempt;
	t->phase = (CoreTaskExecutionPhase)phase;
	t->occurred_at = pb_timestamp(w->arena, us);
	return t;
}

/* ---- records ---- */

static void records_are_taken_once_and_in_order(void **state)
{
	struct world *w = *state;
	static const int64_t seqs[] = {1, 1, 3, 5, 2, 3, 4};

	for (size_t i = 0; i < ARRAY_SIZE(seqs); i++) {
		AlulaRecord *r = record(w, seqs[i]);
		add_node(w, r, arena_printf(w->arena, "n%lld", (long long)seqs[i]), CORE_NODE_EXECUTION_PHASE_RUNNING,
			 1);
		fold_record(&w->fold, r);
	}
	assert_int_equal(w->x->seq, 4);
	assert_int_equal(w->x->gap, 5); /* beyond seq: to be asked for */
	assert_int_equal(w->fold.repeated, 1);
	assert_int_equal(w->fold.node_rows.n, 4);
}

static void executions_keep_their_own_nodes(void **state)
{
	struct world *w = *state;
	AlulaRecord *r = record(w, 1), *other = record(w, 1);

	other->execution = 2;
	add_node(w, r, "n0", CORE_NODE_EXECUTION_PHASE_RUNNING, 1);
	add_node(w, other, "n0", CORE_NODE_EXECUTION_PHASE_QUEUED, 1);
	fold_record(&w->fold, r);
	fold_record(&w->fold, other);
	assert_int_equal(w->fold.node_rows.n, 2);
	assert_ptr_not_equal(fold_node(&w->fold, 1, "n0"), fold_node(&w->fold, 2, "n0"));
	assert_int_equal(fold_node(&w->fold, 2, "n0")->closure->phase, CORE_NODE_EXECUTION_PHASE_QUEUED);
}

/* ---- executions ---- */

static void an_execution_runs_and_ends(void **state)
{
	struct world *w = *state;
	AlulaRecord *r = record(w, 1);

	add_workflow(w, r, CORE_WORKFLOW_EXECUTION_PHASE_RUNNING, 10);
	EventWorkflowExecutionEvent *end = add_workflow(w, r, CORE_WORKFLOW_EXECUTION_PHASE_FAILED, 30);
	end->output_result_case = EVENT_WORKFLOW_EXECUTION_EVENT_OUTPUT_RESULT_ERROR;
	end->error = pb_new(w->arena, CORE_EXECUTION_ERROR_DESC);
	add_workflow(w, r, CORE_WORKFLOW_EXECUTION_PHASE_RUNNING, 40);
	fold_record(&w->fold, r);
	assert_true(w->x->moved);
	assert_int_equal(w->x->phase, CORE_WORKFLOW_EXECUTION_PHASE_FAILED);
	assert_int_equal(w->x->started_us, 10);
	assert_int_equal(w->x->updated_us, 30);
	assert_int_equal(w->x->duration_us, 20);
	assert_ptr_equal(w->x->error, end->error);
}

static void only_an_end_ends_aborting(void **state)
{
	struct world *w = *state;
	AlulaRecord *one = record(w, 1), *two = record(w, 2);

	w->x->phase = CORE_WORKFLOW_EXECUTION_PHASE_ABORTING;
	add_workflow(w, one, CORE_WORKFLOW_EXECUTION_PHASE_RUNNING, 10);
	fold_record(&w->fold, one);
	assert_int_equal(w->x->phase, CORE_WORKFLOW_EXECUTION_PHASE_ABORTING);
	add_workflow(w, two, CORE_WORKFLOW_EXECUTION_PHASE_ABORTED, 20);
	fold_record(&w->fold, two);
	assert_int_equal(w->x->phase, CORE_WORKFLOW_EXECUTION_PHASE_ABORTED);
}

/* ---- nodes ---- */

static void a_node_keeps_what_earlier_events_said(void **state)
{
	struct world *w = *state;
	AlulaRecord *r = record(w, 1);
	EventNodeExecutionEvent *e = add_node(w, r, "n0-0-n1", CORE_NODE_EXECUTION_PHASE_QUEUED, 1);

	e->spec_node_id = "n1";
	e->retry_group = "0";
	e->parent_node_metadata = pb_new(w->arena, EVENT_PARENT_NODE_EXECUTION_METADATA_DESC);
	e->parent_node_metadata->node_id = "n0";
	e->input_value_case = EVENT_NODE_EXECUTION_EVENT_INPUT_VALUE_INPUT_URI;
	e->input_uri = "/in";
	add_node(w, r, "n0-0-n1", CORE_NODE_EXECUTION_PHASE_RUNNING, 5)->is_parent = true;
	e = add_node(w, r, "n0-0-n1", CORE_NODE_EXECUTION_PHASE_SUCCEEDED, 9);
	e->output_result_case = EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_URI;
	e->output_uri = "/out";
	e->deck_uri = "/deck";
	add_node(w, r, "n0-0-n1", CORE_NODE_EXECUTION_PHASE_RUNNING, 11);
	fold_record(&w->fold, r);

	const struct node_row *n = fold_node(&w->fold, 1, "n0-0-n1");
	assert_int_equal(n->closure->phase, CORE_NODE_EXECUTION_PHASE_SUCCEEDED);
	assert_int_equal(pb_timestamp_us(n->closure->created_at), 1);
	assert_int_equal(pb_timestamp_us(n->closure->started_at), 5);
	assert_int_equal(pb_timestamp_us(n->closure->updated_at), 9);
	assert_int_equal(pb_duration_us(n->closure->duration), 4);
	assert_string_equal(n->closure->output_uri, "/out");
	assert_string_equal(n->closure->deck_uri, "/deck");
	assert_string_equal(n->input_uri, "/in");
	assert_string_equal(n->parent_node_id, "n0");
	assert_string_equal(n->metadata->spec_node_id, "n1");
	assert_string_equal(n->metadata->retry_group, "0");
	assert_true(n->metadata->is_parent_node);
	assert_int_equal(n->seq, 1);
}

static void an_instant_node_started_when_it_ended(void **state)
{
	struct world *w = *state;
	AlulaRecord *r = record(w, 1);

	add_node(w, r, "n0", CORE_NODE_EXECUTION_PHASE_SUCCEEDED, 9);
	add_node(w, r, "n1", CORE_NODE_EXECUTION_PHASE_SKIPPED, 9);
	fold_record(&w->fold, r);
	const AdminNodeExecutionClosure *done = fold_node(&w->fold, 1, "n0")->closure;
	assert_int_equal(pb_timestamp_us(done->started_at), 9);
	assert_int_equal(pb_duration_us(done->duration), 0);
	assert_null(fold_node(&w->fold, 1, "n1")->closure->started_at);
	assert_null(fold_node(&w->fold, 1, "n1")->closure->duration);
}

/* ---- tasks ---- */

static CoreTaskLog *add_log(struct world *w, EventTaskExecutionEvent *e, const char *name, const char *uri)
{
	CoreTaskLog *log = pb_new(w->arena, CORE_TASK_LOG_DESC);

	log->name = (char *)name;
	log->uri = (char *)uri;
	*PB_ADD(w->arena, e->logs, e->n_logs) = log;
	return log;
}

static const AdminTaskExecutionClosure *closure_of(struct world *w, uint32_t attempt)
{
	for (size_t i = 0; i < w->fold.task_rows.n; i++)
		if (w->fold.task_rows.at[i]->retry_attempt == attempt)
			return w->fold.task_rows.at[i]->closure;
	return NULL;
}

static void attempts_are_rows_of_their_own(void **state)
{
	struct world *w = *state;
	AlulaRecord *r = record(w, 1);

	add_task(w, r, 0, CORE_TASK_EXECUTION_PHASE_RUNNING, 1);
	EventTaskExecutionEvent *failed = add_task(w, r, 0, CORE_TASK_EXECUTION_PHASE_RETRYABLE_FAILED, 4);
	failed->output_result_case = EVENT_TASK_EXECUTION_EVENT_OUTPUT_RESULT_ERROR;
	failed->error = pb_new(w->arena, CORE_EXECUTION_ERROR_DESC);
	add_task(w, r, 1, CORE_TASK_EXECUTION_PHASE_RUNNING, 5);
	fold_record(&w->fold, r);
	assert_int_equal(w->fold.task_rows.n, 2);
	assert_ptr_equal(closure_of(w, 0)->error, failed->error);
	assert_int_equal(pb_duration_us(closure_of(w, 0)->duration), 3);
	assert_int_equal(closure_of(w, 1)->phase, CORE_TASK_EXECUTION_PHASE_RUNNING);
}

static void reasons_and_logs_add_up(void **state)
{
	struct world *w = *state;
	AlulaRecord *r = record(w, 1);
	EventTaskExecutionEvent *e = add_task(w, r, 0, CORE_TASK_EXECUTION_PHASE_QUEUED, 1);

	e->reason = "queued";
	add_log(w, e, "main", "/old")->showwhilepending = true;
	e = add_task(w, r, 0, CORE_TASK_EXECUTION_PHASE_RUNNING, 2);
	e->reason = "queued"; /* said already */
	add_log(w, e, "main", "/new");
	add_log(w, e, "live", "/live")->hideoncefinished = true;
	e = add_task(w, r, 0, CORE_TASK_EXECUTION_PHASE_SUCCEEDED, 3);
	e->reason = "done";
	fold_record(&w->fold, r);

	const AdminTaskExecutionClosure *c = closure_of(w, 0);
	assert_int_equal(c->n_reasons, 2);
	assert_string_equal(c->reasons[1]->message, "done");
	assert_string_equal(c->reason, "done");
	assert_int_equal(c->n_logs, 1);
	assert_string_equal(c->logs[0]->uri, "/new");
}

static PbStruct *one_field(struct world *w, const char *key, double number, bool null)
{
	PbStruct *s = pb_new(w->arena, PB_STRUCT_DESC);
	PbStructFieldsEntry *e = pb_new(w->arena, PB_STRUCT_FIELDS_ENTRY_DESC);

	e->key = (char *)key;
	e->value = pb_new(w->arena, PB_VALUE_DESC);
	e->value->kind_case = null ? PB_VALUE_KIND_NULL_VALUE : PB_VALUE_KIND_NUMBER_VALUE;
	if (!null)
		e->value->number_value = number;
	*PB_ADD(w->arena, s->fields, s->n_fields) = e;
	return s;
}

static void custom_info_is_patched(void **state)
{
	struct world *w = *state;
	AlulaRecord *r = record(w, 1);

	add_task(w, r, 0, CORE_TASK_EXECUTION_PHASE_QUEUED, 1)->custom_info = one_field(w, "a", 1, false);
	add_task(w, r, 0, CORE_TASK_EXECUTION_PHASE_RUNNING, 2)->custom_info = one_field(w, "b", 2, false);
	add_task(w, r, 0, CORE_TASK_EXECUTION_PHASE_RUNNING, 3)->custom_info = one_field(w, "a", 0, true);
	add_task(w, r, 0, CORE_TASK_EXECUTION_PHASE_RUNNING, 4)->custom_info = one_field(w, "b", 3, false);
	fold_record(&w->fold, r);
	const PbStruct *s = closure_of(w, 0)->custom_info;
	assert_int_equal(s->n_fields, 1);
	assert_string_equal(s->fields[0]->key, "b");
	assert_true(s->fields[0]->value->number_value == 3);
}

static void add_resource(struct world *w, EventTaskExecutionEvent *e, uint32_t index, uint32_t attempt, int phase)
{
	EventExternalResourceInfo *r = pb_new(w->arena, EVENT_EXTERNAL_RESOURCE_INFO_DESC);

	r->index = index;
	r->retry_attempt = attempt;
	r->phase = (CoreTaskExecutionPhase)phase;
	if (!e->metadata)
		e->metadata = pb_new(w->arena, EVENT_TASK_EXECUTION_METADATA_DESC);
	*PB_ADD(w->arena, e->metadata->external_resources, e->metadata->n_external_resources) = r;
}

static void resources_stay_sorted(void **state)
{
	struct world *w = *state;
	AlulaRecord *r = record(w, 1);
	EventTaskExecutionEvent *e = add_task(w, r, 0, CORE_TASK_EXECUTION_PHASE_RUNNING, 1);

	add_resource(w, e, 2, 0, CORE_TASK_EXECUTION_PHASE_RUNNING);
	add_resource(w, e, 0, 0, CORE_TASK_EXECUTION_PHASE_RUNNING);
	e = add_task(w, r, 0, CORE_TASK_EXECUTION_PHASE_RUNNING, 2);
	add_resource(w, e, 0, 1, CORE_TASK_EXECUTION_PHASE_QUEUED);
	add_resource(w, e, 2, 0, CORE_TASK_EXECUTION_PHASE_SUCCEEDED);
	add_resource(w, e, 1, 0, CORE_TASK_EXECUTION_PHASE_RUNNING);
	fold_record(&w->fold, r);
	const EventTaskExecutionMetadata *m = closure_of(w, 0)->metadata;
	static const uint32_t expected[][2] = {{0, 0}, {0, 1}, {1, 0}, {2, 0}};
	assert_int_equal(m->n_external_resources, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(m->external_resources[i]->index, expected[i][0]);
		assert_int_equal(m->external_resources[i]->retry_attempt, expected[i][1]);
	}
	assert_int_equal(m->external_resources[3]->phase, CORE_TASK_EXECUTION_PHASE_SUCCEEDED);
}

/* ---- events by API ---- */

static void what_is_told_does_not_count_as_a_record(void **state)
{
	struct world *w = *state;
	AlulaRecord *said = record(w, 0);

	add_node(w, said, "n0", CORE_NODE_EXECUTION_PHASE_RUNNING, 10);
	add_workflow(w, said, CORE_WORKFLOW_EXECUTION_PHASE_FAILED, 20);
	assert_false(fold_changes(w->x));
	fold_told(&w->fold, w->x, said->events[0]);
	assert_true(fold_changes(w->x));
	assert_false(w->x->over);
	assert_int_equal(w->x->seq, 0);
	assert_int_equal(fold_node(&w->fold, 1, "n0")->closure->phase, CORE_NODE_EXECUTION_PHASE_RUNNING);
	fold_told(&w->fold, w->x, said->events[1]);
	assert_true(w->x->over);
	assert_int_equal(w->x->phase, CORE_WORKFLOW_EXECUTION_PHASE_FAILED);
	/* Records are taken in as before; what has ended stays so. */
	AlulaRecord *r = record(w, 1);
	add_workflow(w, r, CORE_WORKFLOW_EXECUTION_PHASE_RUNNING, 30);
	fold_record(&w->fold, r);
	assert_int_equal(w->x->seq, 1);
	assert_int_equal(w->x->phase, CORE_WORKFLOW_EXECUTION_PHASE_FAILED);
}

/* A node's event ends nothing, though the execution is over. */
static void a_late_event_ends_nothing_again(void **state)
{
	struct world *w = *state;
	AlulaRecord *said = record(w, 0);

	w->x->phase = CORE_WORKFLOW_EXECUTION_PHASE_SUCCEEDED;
	add_node(w, said, "n0", CORE_NODE_EXECUTION_PHASE_SUCCEEDED, 10);
	fold_told(&w->fold, w->x, said->events[0]);
	assert_false(w->x->over);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(records_are_taken_once_and_in_order),
		TEST(executions_keep_their_own_nodes),
		TEST(an_execution_runs_and_ends),
		TEST(only_an_end_ends_aborting),
		TEST(a_node_keeps_what_earlier_events_said),
		TEST(an_instant_node_started_when_it_ended),
		TEST(attempts_are_rows_of_their_own),
		TEST(reasons_and_logs_add_up),
		TEST(custom_info_is_patched),
		TEST(resources_stay_sorted),
		TEST(what_is_told_does_not_count_as_a_record),
		TEST(a_late_event_ends_nothing_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

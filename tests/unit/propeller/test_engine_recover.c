/* Executions that recover earlier ones. */
#include "engine_rig.h"
#include "pb/pb.h"

static AlulaRecoveredNode *left(struct rig *r, AlulaInput *in, const char *node_id, EventNodeExecutionEvent *event)
{
	AlulaStartExecution *start = in->accepted->command->start;
	AlulaRecoveredNode *n = pb_new(r->a, ALULA_RECOVERED_NODE_DESC);

	if (!start->recovery) {
		start->recovery_uri = "/a/recovery";
		start->recovery = pb_new(r->a, ALULA_RECOVERY_DESC);
		start->recovery->source = pb_new(r->a, CORE_WORKFLOW_EXECUTION_IDENTIFIER_DESC);
		start->recovery->source->project = "p";
		start->recovery->source->domain = "development";
		start->recovery->source->name = "old";
	}
	struct str packed = pb_pack(event, r->a);
	n->node_id = (char *)node_id;
	n->event = (ProtobufCBinaryData){packed.len, (uint8_t *)packed.ptr};
	*PB_ADD(r->a, start->recovery->nodes, start->recovery->n_nodes) = n;
	return n;
}

static EventNodeExecutionEvent *event_of(struct rig *r, CoreNodeExecutionPhase phase)
{
	EventNodeExecutionEvent *e = pb_new(r->a, EVENT_NODE_EXECUTION_EVENT_DESC);

	e->phase = phase;
	return e;
}

static EventNodeExecutionEvent *done_with(struct rig *r, int64_t value)
{
	EventNodeExecutionEvent *e = event_of(r, CORE_NODE_EXECUTION_PHASE_RECOVERED);

	e->output_result_case = EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA;
	e->output_data = add_literal(r->a, NULL, "o0", int_literal(r->a, value));
	return e;
}

static EventTaskNodeMetadata *task_left(struct rig *r, EventNodeExecutionEvent *e)
{
	e->target_metadata_case = EVENT_NODE_EXECUTION_EVENT_TARGET_METADATA_TASK_NODE_METADATA;
	e->task_node_metadata = pb_new(r->a, EVENT_TASK_NODE_METADATA_DESC);
	return e->task_node_metadata;
}

/* Another engine that reads the same journal is in the same state; without what is recovered it cannot be. */
static void assert_replays(struct rig *r, const AlulaInput *in)
{
	struct engine *again = engine_for_tests(0);
	AlulaJournalEntry entry = ALULA_JOURNAL_ENTRY_INIT;
	AlulaStartExecution *start = in->accepted->command->start;
	AlulaRecovery *recovery = take(start->recovery);
	struct err err;

	entry.input = (AlulaInput *)in;
	entry.record = r->step.record;
	assert_int_equal(engine_replay(again, &entry, &err), DATA_LOSS);
	start->recovery = recovery;
	assert_int_equal(engine_replay(again, &entry, &err), OK);
	assert_true(str_eq(engine_state(r->e, 1, r->a), engine_state(again, 1, r->a)));
	engine_forget(again, 1);
	assert_int_equal(engine_bytes(again), 0);
	engine_free(again);
}

static void test_done(void **state)
{
	struct rig *r = *state;

	python_node(r, "n0", 0, 1);
	node_bind(&r->w, python_node(r, "n1", 1, 1), "i0", promise(r->a, "n0", "o0"));
	AlulaInput *in = accepted(&r->w, 1);
	EventNodeExecutionEvent *e = done_with(r, 4);
	e->input_value_case = EVENT_NODE_EXECUTION_EVENT_INPUT_VALUE_INPUT_URI;
	e->input_uri = "/old/inputs.pb";
	e->deck_uri = "/old/deck.html";
	e->is_dynamic = true;
	task_left(r, e)->cache_status = CORE_CATALOG_CACHE_STATUS_CACHE_HIT;
	left(r, in, "n0", e);
	assert_events(r, in,
		      "W RUNNING\nN start-node SUCCEEDED\nN n0 RECOVERED\nN n1 QUEUED\nT n1 0 QUEUED\nN n1 RUNNING");
	const EventNodeExecutionEvent *n = node_event(r, "n0");
	assert_string_equal(n->input_uri, "/old/inputs.pb");
	assert_string_equal(n->deck_uri, "/old/deck.html");
	assert_string_equal(n->target_entity->name, "python-task-0");
	assert_int_equal(n->task_node_metadata->cache_status, CORE_CATALOG_CACHE_STATUS_CACHE_HIT);
	assert_true(n->is_dynamic);
	assert_int_equal(
		find_action(&r->step, ACTION_START_ATTEMPT, N1)->start->inputs[0].literal->scalar->primitive->integer,
		4);
	assert_replays(r, in);
}

/* A frame's nodes are known by their unique ids; a recovered one has none. */
static void test_inner(void **state)
{
	struct rig *r = *state;
	struct wf inner = wf_inner(&r->w, "inner");

	wf_node_new(&inner, "a", wf_task(&inner, "python-task", 0, 1));
	wf_node_new(&inner, "b", wf_task(&inner, "python-task", 0, 1));
	wf_output(&inner, "o0", promise(r->a, "b", "o0"));
	node_add(&r->w, node_of_workflow(r->a, "n0", &inner));
	node_add(&r->w, node_of_workflow(r->a, "n1", &inner));
	wf_output(&r->w, "y", promise(r->a, "n1", "o0"));
	AlulaInput *in = accepted(&r->w, 1);
	left(r, in, "n0-0-a", done_with(r, 1));
	left(r, in, "n1", done_with(r, 5));
	const char *events = feed(r, in);
	assert_non_null(strstr(events, "N n0-0-a RECOVERED"));
	assert_non_null(strstr(events, "N n0-0-b RUNNING"));
	assert_non_null(strstr(events, "N n1 RECOVERED"));
	assert_null(strstr(events, "N n1-0"));
	assert_true(node_event(r, "n1")->is_parent);
	events = feed(r, finished_with(r->a, 1, T0, 4 + 3, 0, add_literal(r->a, NULL, "o0", int_literal(r->a, 2)), ""));
	assert_non_null(strstr(events, "W SUCCEEDED"));
	assert_int_equal(node_event(r, "end-node")->output_data->literals[0]->value->scalar->primitive->integer, 5);
}

/* What did not succeed begins where it was: at its checkpoint, with the execution that it launched. */
static void test_rest(void **state)
{
	struct rig *r = *state;

	python_node(r, "n0", 0, 1);
	node_add(&r->w, node_of_launch_plan(r->a, "n1", "plan"));
	AlulaInput *in = accepted(&r->w, 1);
	EventNodeExecutionEvent *e = event_of(r, CORE_NODE_EXECUTION_PHASE_FAILED);
	task_left(r, e)->checkpoint_uri = "/raw/old/_flytecheckpoints";
	left(r, in, "n0", e);
	e = event_of(r, CORE_NODE_EXECUTION_PHASE_FAILED);
	e->target_metadata_case = EVENT_NODE_EXECUTION_EVENT_TARGET_METADATA_WORKFLOW_NODE_METADATA;
	e->workflow_node_metadata = pb_new(r->a, EVENT_WORKFLOW_NODE_METADATA_DESC);
	e->workflow_node_metadata->execution_id = pb_new(r->a, CORE_WORKFLOW_EXECUTION_IDENTIFIER_DESC);
	e->workflow_node_metadata->execution_id->name = "old-child";
	left(r, in, "n1", e);
	feed(r, in);
	const struct attempt *a = find_action(&r->step, ACTION_START_ATTEMPT, N0)->start;
	assert_string_equal(a->prev_checkpoint_prefix, "/raw/old/_flytecheckpoints");
	const struct child *c = find_action(&r->step, ACTION_LAUNCH, N1)->child;
	assert_string_equal(c->recovers->name, "old-child");
	engine_pending(r->e, 1, &r->step);
	assert_string_equal(find_action(&r->step, ACTION_LAUNCH, N1)->child->recovers->name, "old-child");
}

static AlulaInput *with_dynamic(struct rig *r)
{
	node_retries(&r->w, python_node(r, "n0", 0, 1), 2);
	wf_output(&r->w, "y", promise(r->a, "n0", "o0"));
	AlulaInput *in = accepted(&r->w, 1);
	EventNodeExecutionEvent *e = event_of(r, CORE_NODE_EXECUTION_PHASE_FAILED);
	EventTaskNodeMetadata *m = task_left(r, e);
	m->dynamic_workflow = pb_new(r->a, EVENT_DYNAMIC_WORKFLOW_NODE_METADATA_DESC);
	m->dynamic_workflow->dynamic_job_spec_uri = "/old/futures.pb";
	left(r, in, "n0", e);
	return in;
}

/* A task that gave a workflow does not run again. */
static void test_dynamic(void **state)
{
	struct rig *r = *state;
	struct wf w = wf_new(r->a);
	AlulaInput *in = with_dynamic(r);

	w.template->id = identifier(r->a, CORE_RESOURCE_TYPE_WORKFLOW, "dynamic_n0");
	wf_node_new(&w, "a", wf_task(&w, "python-task", 0, 1));
	node_bind(&w, wf_node_new(&w, "b", wf_task(&w, "echo", 1, 1)), "i0", promise(r->a, "a", "o0"));
	wf_output(&w, "o0", promise(r->a, "b", "o0"));
	left(r, in, "n0-0-a", done_with(r, 6));
	assert_events(r, in, "W RUNNING\nN start-node SUCCEEDED\nN n0 RUNNING");
	const struct action *a = find_action(&r->step, ACTION_COMPILE_FUTURES, N0);
	assert_string_equal(a->uri, "/old/futures.pb");
	assert_string_equal(a->start->output_prefix, "/m/p-development-x1/n0/data/0");
	assert_null(find_action(&r->step, ACTION_START_ATTEMPT, N0));
	assert_replays(r, in);
	engine_pending(r->e, 1, &r->step);
	assert_non_null(find_action(&r->step, ACTION_COMPILE_FUTURES, N0));
	assert_null(find_action(&r->step, ACTION_START_ATTEMPT, N0));
	const char *events = feed(r, finished_dynamic(r->a, 1, T0, N0, 0, w.closure));
	assert_true(str_starts(str_of(events), "N n0 DYNAMIC_RUNNING\n"));
	assert_non_null(strstr(events, "N n0-0-a RECOVERED"));
	assert_non_null(strstr(events, "W SUCCEEDED"));
	assert_int_equal(node_event(r, "end-node")->output_data->literals[0]->value->scalar->primitive->integer, 6);
}

/* Its files are gone: the task runs after all, as another attempt. */
static void test_dynamic_lost(void **state)
{
	struct rig *r = *state;

	feed(r, with_dynamic(r));
	assert_events(r, failed(r->a, 1, T0, N0, 0, true, true), "T n0 1 QUEUED");
	assert_int_equal(find_action(&r->step, ACTION_START_ATTEMPT, N0)->start->attempt, 1);
}

static void test_dynamic_aborted(void **state)
{
	struct rig *r = *state;

	feed(r, with_dynamic(r));
	assert_events(r, abort_input(r->a, 1, T0), "N n0 ABORTED {UNKNOWN NodeAborted: Workflow aborted.}\nW ABORTED");
}

static AlulaRecoveredItem *add_item(struct rig *r, AlulaRecoveredItems *items, uint32_t index)
{
	AlulaRecoveredItem *item = pb_new(r->a, ALULA_RECOVERED_ITEM_DESC);

	item->index = index;
	*PB_ADD(r->a, items->items, items->n_items) = item;
	return item;
}

static void test_items(void **state)
{
	struct rig *r = *state;
	CoreNode *n = node_add(
		&r->w, node_of_array(r->a, "n0", node_of_task(r->a, "item", wf_task(&r->w, "python-task", 1, 1))));
	AlulaRecoveredItems items = ALULA_RECOVERED_ITEMS_INIT;

	node_bind(&r->w, n, "i0", promise(r->a, "", "x"));
	wf_output(&r->w, "y", promise(r->a, "n0", "o0"));
	AlulaInput *in = accepted_with(r, int_list(r->a, 4));
	add_item(r, &items, 0)->attempt = 2;
	add_item(r, &items, 3)->output_uri = "/older/outputs.pb";
	add_item(r, &items, 9);
	AlulaRecoveredNode *array = left(r, in, "n0", event_of(r, CORE_NODE_EXECUTION_PHASE_FAILED));
	struct str packed = pb_pack(&items, r->a);
	array->items = (ProtobufCBinaryData){packed.len, (uint8_t *)packed.ptr};
	feed(r, in);
	assert_null(find_action(&r->step, ACTION_START_ATTEMPT, N0 + 1));
	assert_non_null(find_action(&r->step, ACTION_START_ATTEMPT, N0 + 2));
	assert_non_null(find_action(&r->step, ACTION_START_ATTEMPT, N0 + 3));
	assert_null(find_action(&r->step, ACTION_START_ATTEMPT, N0 + 4));
	assert_replays(r, in);
	for (uint32_t i = 1; i < 3; i++)
		feed(r, finished_with(r->a, 1, T0, N0 + 1 + i, 0, add_literal(r->a, NULL, "o0", int_literal(r->a, i)),
				      "/new/outputs.pb"));
	const struct action *store = find_action(&r->step, ACTION_STORE_OUTPUTS, N0);
	const struct value_ref *list = store->values[0].items;
	assert_int_equal(store->values[0].n_items, 4);
	assert_string_equal(list[0].uri, "/m/p-development-old/n0/data/0/0/2/outputs.pb");
	assert_int_equal(list[2].literal->scalar->primitive->integer, 2);
	assert_string_equal(list[3].uri, "/older/outputs.pb");
}

/* What cannot be read is as good as nothing. */
static void test_garbage(void **state)
{
	struct rig *r = *state;

	python_node(r, "n0", 0, 1);
	AlulaInput *in = accepted(&r->w, 1);
	left(r, in, "n0", done_with(r, 1))->event.len = 3;
	assert_events(r, in, "W RUNNING\nN start-node SUCCEEDED\nN n0 QUEUED\nT n0 0 QUEUED\nN n0 RUNNING");
}

/* Outputs that somebody needs are not known: they are made again. */
static void test_no_outputs(void **state)
{
	struct rig *r = *state;

	python_node(r, "n0", 0, 1);
	python_node(r, "n1", 0, 1);
	node_bind(&r->w, python_node(r, "n2", 1, 1), "i0", promise(r->a, "n0", "o0"));
	AlulaInput *in = accepted(&r->w, 1);
	left(r, in, "n0", event_of(r, CORE_NODE_EXECUTION_PHASE_RECOVERED));
	left(r, in, "n1", event_of(r, CORE_NODE_EXECUTION_PHASE_RECOVERED));
	assert_events(r, in,
		      "W RUNNING\nN start-node SUCCEEDED\nN n0 QUEUED\nT n0 0 QUEUED\nN n0 RUNNING\nN n1 RECOVERED");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_done),    TEST(test_inner),        TEST(test_rest),
		TEST(test_dynamic), TEST(test_dynamic_lost), TEST(test_dynamic_aborted),
		TEST(test_items),   TEST(test_garbage),      TEST(test_no_outputs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

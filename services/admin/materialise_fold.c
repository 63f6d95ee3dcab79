#include "materialise_fold.h"

#include "pb/pb.h"

/* ---- phases ---- */

#define BIT(phase) (1u << (phase))

bool execution_phase_terminal(int32_t phase)
{
	const unsigned terminal =
		BIT(CORE_WORKFLOW_EXECUTION_PHASE_SUCCEEDED) | BIT(CORE_WORKFLOW_EXECUTION_PHASE_FAILED) |
		BIT(CORE_WORKFLOW_EXECUTION_PHASE_TIMED_OUT) | BIT(CORE_WORKFLOW_EXECUTION_PHASE_ABORTED);
	return phase >= 0 && phase < 32 && terminal >> phase & 1;
}

bool node_phase_terminal(int32_t phase)
{
	const unsigned terminal = BIT(CORE_NODE_EXECUTION_PHASE_SUCCEEDED) | BIT(CORE_NODE_EXECUTION_PHASE_FAILED) |
				  BIT(CORE_NODE_EXECUTION_PHASE_TIMED_OUT) | BIT(CORE_NODE_EXECUTION_PHASE_ABORTED) |
				  BIT(CORE_NODE_EXECUTION_PHASE_SKIPPED) | BIT(CORE_NODE_EXECUTION_PHASE_RECOVERED);
	return phase >= 0 && phase < 32 && terminal >> phase & 1;
}

bool task_phase_terminal(int32_t phase)
{
	const unsigned terminal = BIT(CORE_TASK_EXECUTION_PHASE_SUCCEEDED) | BIT(CORE_TASK_EXECUTION_PHASE_FAILED) |
				  BIT(CORE_TASK_EXECUTION_PHASE_ABORTED);
	return phase >= 0 && phase < 32 && terminal >> phase & 1;
}

/* ---- the batch ---- */

void fold_init(struct fold *f, struct arena *a)
{
	*f = (struct fold){.arena = a, .by_key = u64map_new(), .nodes = map_new(), .tasks = map_new()};
}

void fold_clear(struct fold *f)
{
	u64map_free(f->by_key);
	map_free(f->nodes);
	map_free(f->tasks);
	vec_free(&f->executions);
	vec_free(&f->node_rows);
	vec_free(&f->task_rows);
	vec_free(&f->signal_rows);
}

struct execution_row *fold_execution(struct fold *f, int64_t key)
{
	struct execution_row *x = u64map_get(f->by_key, (uint64_t)key);

	if (x)
		return x;
	x = arena_new_of(f->arena, struct execution_row);
	x->key = key;
	x->duration_us = -1;
	u64map_put(f->by_key, (uint64_t)key, x);
	vec_push(&f->executions, x);
	return x;
}

struct node_row *fold_node(struct fold *f, int64_t execution, const char *node_id)
{
	size_t len = strlen(node_id);
	char *key = arena_alloc(f->arena, sizeof execution + len + 1);

	memcpy(key, &execution, sizeof execution);
	memcpy(key + sizeof execution, node_id, len + 1);
	struct str k = {key, sizeof execution + len};
	struct node_row *n = map_get(f->nodes, k);
	if (n)
		return n;
	n = arena_new_of(f->arena, struct node_row);
	n->execution = execution;
	n->node_id = node_id;
	map_put(f->nodes, k, n);
	vec_push(&f->node_rows, n);
	return n;
}

const char *task_execution_text(struct arena *a, const CoreTaskExecutionIdentifier *id)
{
	const CoreIdentifier *t = id->task_id;

	return arena_printf(a, "%s\n%u\n%s\n%s\n%s\n%s", id->node_execution_id->node_id, id->retry_attempt, t->project,
			    t->domain, t->name, t->version);
}

struct task_row *fold_task(struct fold *f, int64_t execution, const char *node_id, CoreIdentifier *task_id,
			   uint32_t retry_attempt)
{
	const char *key =
		arena_printf(f->arena, "%lld\n%s\n%u\n%s\n%s\n%s\n%s", (long long)execution, node_id, retry_attempt,
			     task_id->project, task_id->domain, task_id->name, task_id->version);
	struct task_row *t = map_get(f->tasks, str_of(key));

	if (t)
		return t;
	t = arena_new_of(f->arena, struct task_row);
	t->execution = execution;
	t->node_id = node_id;
	t->task_id = task_id;
	t->retry_attempt = retry_attempt;
	map_put(f->tasks, str_of(key), t);
	vec_push(&f->task_rows, t);
	return t;
}

/* ---- times ---- */

static bool time_set(const PbTimestamp *t)
{
	return t && (t->seconds || t->nanos);
}

/* What the row says was its last change. */
static PbTimestamp *reported(PbTimestamp *reported_at, PbTimestamp *occurred_at)
{
	return time_set(reported_at) ? reported_at : occurred_at;
}

static PbDuration *since(struct arena *a, const PbTimestamp *start, const PbTimestamp *end)
{
	return start ? pb_duration(a, pb_timestamp_us(end) - pb_timestamp_us(start)) : NULL;
}

/* ---- executions ---- */

static void fold_workflow(struct execution_row *x, EventWorkflowExecutionEvent *e)
{
	int64_t occurred_us = pb_timestamp_us(e->occurred_at);
	bool terminal = execution_phase_terminal(e->phase);

	if (execution_phase_terminal(x->phase))
		return;
	x->moved = true;
	x->updated_us = occurred_us;
	if (terminal || x->phase != CORE_WORKFLOW_EXECUTION_PHASE_ABORTING)
		x->phase = e->phase;
	if (e->phase == CORE_WORKFLOW_EXECUTION_PHASE_RUNNING)
		x->started_us = occurred_us;
	else if (terminal && x->started_us)
		x->duration_us = occurred_us - x->started_us;
	if (e->output_result_case == EVENT_WORKFLOW_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_URI && *e->output_uri)
		x->outputs_uri = e->output_uri;
	else if (e->output_result_case == EVENT_WORKFLOW_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA)
		x->outputs = e->output_data;
	else if (e->output_result_case == EVENT_WORKFLOW_EXECUTION_EVENT_OUTPUT_RESULT_ERROR)
		x->error = e->error;
}

/* ---- node executions ---- */

static void create_node(struct fold *f, struct node_row *n, EventNodeExecutionEvent *e)
{
	n->closure = pb_new(f->arena, ADMIN_NODE_EXECUTION_CLOSURE_DESC);
	n->closure->created_at = e->occurred_at;
	n->metadata = pb_new(f->arena, ADMIN_NODE_EXECUTION_META_DATA_DESC);
	n->metadata->retry_group = e->retry_group;
	n->metadata->spec_node_id = e->spec_node_id;
	if (e->parent_node_metadata)
		n->parent_node_id = e->parent_node_metadata->node_id;
	CoreTaskExecutionIdentifier *parent = e->parent_task_metadata ? e->parent_task_metadata->id : NULL;
	if (parent && parent->task_id && parent->node_execution_id)
		n->parent_task = task_execution_text(f->arena, parent);
}

static void set_node_output(struct node_row *n, EventNodeExecutionEvent *e)
{
	AdminNodeExecutionClosure *c = n->closure;

	if (e->output_result_case == EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_URI && *e->output_uri) {
		c->output_result_case = ADMIN_NODE_EXECUTION_CLOSURE_OUTPUT_RESULT_OUTPUT_URI;
		c->output_uri = e->output_uri;
	} else if (e->output_result_case == EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA) {
		n->outputs = e->output_data;
	} else if (e->output_result_case == EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_ERROR) {
		c->output_result_case = ADMIN_NODE_EXECUTION_CLOSURE_OUTPUT_RESULT_ERROR;
		c->error = e->error;
	}
}

static void set_dynamic_workflow(struct fold *f, struct node_row *n, EventDynamicWorkflowNodeMetadata *d)
{
	if (!d)
		return;
	n->dynamic_workflow = pb_new(f->arena, ADMIN_DYNAMIC_WORKFLOW_NODE_METADATA_DESC);
	n->dynamic_workflow->id = d->id;
	n->dynamic_workflow->compiled_workflow = d->compiled_workflow;
	n->dynamic_workflow->dynamic_job_spec_uri = d->dynamic_job_spec_uri;
	if (*d->dynamic_job_spec_uri)
		n->closure->dynamic_job_spec_uri = d->dynamic_job_spec_uri;
}

static void set_node_target(struct fold *f, struct node_row *n, EventNodeExecutionEvent *e)
{
	AdminNodeExecutionClosure *c = n->closure;

	if (e->target_metadata_case == EVENT_NODE_EXECUTION_EVENT_TARGET_METADATA_WORKFLOW_NODE_METADATA) {
		if (c->target_metadata_case == ADMIN_NODE_EXECUTION_CLOSURE_TARGET_METADATA_WORKFLOW_NODE_METADATA)
			return;
		c->workflow_node_metadata = pb_new(f->arena, ADMIN_WORKFLOW_NODE_METADATA_DESC);
		c->workflow_node_metadata->executionid = e->workflow_node_metadata->execution_id;
		c->target_metadata_case = ADMIN_NODE_EXECUTION_CLOSURE_TARGET_METADATA_WORKFLOW_NODE_METADATA;
	} else if (e->target_metadata_case == EVENT_NODE_EXECUTION_EVENT_TARGET_METADATA_TASK_NODE_METADATA) {
		c->task_node_metadata = pb_new(f->arena, ADMIN_TASK_NODE_METADATA_DESC);
		c->task_node_metadata->checkpoint_uri = e->task_node_metadata->checkpoint_uri;
		if (e->task_node_metadata->catalog_key) {
			c->task_node_metadata->cache_status = e->task_node_metadata->cache_status;
			c->task_node_metadata->catalog_key = e->task_node_metadata->catalog_key;
		}
		c->target_metadata_case = ADMIN_NODE_EXECUTION_CLOSURE_TARGET_METADATA_TASK_NODE_METADATA;
		set_dynamic_workflow(f, n, e->task_node_metadata->dynamic_workflow);
	}
}

static void set_node_input(struct node_row *n, EventNodeExecutionEvent *e)
{
	if (e->input_value_case == EVENT_NODE_EXECUTION_EVENT_INPUT_VALUE_INPUT_URI && *e->input_uri && !n->input_uri)
		n->input_uri = e->input_uri;
	else if (e->input_value_case == EVENT_NODE_EXECUTION_EVENT_INPUT_VALUE_INPUT_DATA && !n->inputs)
		n->inputs = e->input_data;
}

static void fold_node_event(struct fold *f, int64_t execution, int64_t seq, EventNodeExecutionEvent *e)
{
	if (!e->id || !*e->id->node_id)
		return;
	struct node_row *n = fold_node(f, execution, e->id->node_id);
	if (!n->closure)
		create_node(f, n, e);
	AdminNodeExecutionClosure *c = n->closure;
	if (node_phase_terminal((int32_t)c->phase))
		return;
	n->seq = seq;
	n->changed = true;
	c->phase = e->phase;
	c->updated_at = reported(e->reported_at, e->occurred_at);
	n->metadata->is_parent_node |= e->is_parent;
	n->metadata->is_dynamic |= e->is_dynamic;
	n->metadata->is_array |= e->is_array;
	n->metadata->is_eager |= e->is_eager;
	set_node_input(n, e);
	/* Who begins and ends in one step of the engine tells only of the end. */
	if (e->phase == CORE_NODE_EXECUTION_PHASE_RUNNING ||
	    (e->phase == CORE_NODE_EXECUTION_PHASE_SUCCEEDED && !c->started_at))
		c->started_at = e->occurred_at;
	/* The end tells whether there is one after all; a dynamic task's was there before its nodes. */
	if (*e->deck_uri || (node_phase_terminal((int32_t)e->phase) && !n->metadata->is_dynamic))
		c->deck_uri = e->deck_uri;
	if (node_phase_terminal((int32_t)e->phase)) {
		c->duration = since(f->arena, c->started_at, e->occurred_at);
		set_node_output(n, e);
	}
	set_node_target(f, n, e);
}

/* ---- task executions ---- */

static void add_reason(struct fold *f, AdminTaskExecutionClosure *c, char *text, PbTimestamp *occurred_at)
{
	AdminReason *r = pb_new(f->arena, ADMIN_REASON_DESC);

	r->message = text;
	r->occurred_at = occurred_at;
	*PB_ADD(f->arena, c->reasons, c->n_reasons) = r;
}

static void add_reasons(struct fold *f, AdminTaskExecutionClosure *c, EventTaskExecutionEvent *e)
{
	for (size_t i = 0; i < e->n_reasons; i++)
		add_reason(f, c, e->reasons[i]->reason, e->reasons[i]->occurred_at);
	if (e->n_reasons) {
		c->reason = e->reasons[e->n_reasons - 1]->reason;
	} else if (*e->reason) {
		if (strcmp(c->reason, e->reason) != 0)
			add_reason(f, c, e->reason, e->occurred_at);
		c->reason = e->reason;
	}
}

static void set_task_output(struct task_row *t, EventTaskExecutionEvent *e)
{
	AdminTaskExecutionClosure *c = t->closure;

	if (e->output_result_case == EVENT_TASK_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_URI && *e->output_uri) {
		c->output_result_case = ADMIN_TASK_EXECUTION_CLOSURE_OUTPUT_RESULT_OUTPUT_URI;
		c->output_uri = e->output_uri;
	} else if (e->output_result_case == EVENT_TASK_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA) {
		t->outputs = e->output_data;
	} else if (e->output_result_case == EVENT_TASK_EXECUTION_EVENT_OUTPUT_RESULT_ERROR) {
		c->output_result_case = ADMIN_TASK_EXECUTION_CLOSURE_OUTPUT_RESULT_ERROR;
		c->error = e->error;
	}
}

static void set_task_times(struct fold *f, struct task_row *t, EventTaskExecutionEvent *e)
{
	AdminTaskExecutionClosure *c = t->closure;

	bool runs = e->phase == CORE_TASK_EXECUTION_PHASE_RUNNING || e->phase == CORE_TASK_EXECUTION_PHASE_SUCCEEDED;
	if (runs && !c->started_at)
		c->started_at = e->occurred_at;
	/* A failure that is tried again ends its attempt too; flyteadmin leaves it without error and duration. */
	if (!task_phase_terminal((int32_t)e->phase) && e->phase != CORE_TASK_EXECUTION_PHASE_RETRYABLE_FAILED)
		return;
	c->duration = since(f->arena, c->started_at, e->occurred_at);
	set_task_output(t, e);
}

static void set_task_input(struct task_row *t, EventTaskExecutionEvent *e)
{
	if (e->input_value_case == EVENT_TASK_EXECUTION_EVENT_INPUT_VALUE_INPUT_URI && *e->input_uri && !t->input_uri)
		t->input_uri = e->input_uri;
	else if (e->input_value_case == EVENT_TASK_EXECUTION_EVENT_INPUT_VALUE_INPUT_DATA && !t->inputs)
		t->inputs = e->input_data;
}

static void create_task(struct fold *f, struct task_row *t, EventTaskExecutionEvent *e)
{
	t->closure = pb_new(f->arena, ADMIN_TASK_EXECUTION_CLOSURE_DESC);
	t->closure->created_at = e->occurred_at;
	t->closure->task_type = e->task_type;
}

static void fold_task_event(struct fold *f, int64_t execution, int64_t seq, EventTaskExecutionEvent *e)
{
	if (!e->task_id || !e->parent_node_execution_id || !*e->parent_node_execution_id->node_id)
		return;
	struct task_row *t =
		fold_task(f, execution, e->parent_node_execution_id->node_id, e->task_id, e->retry_attempt);
	if (!t->closure)
		create_task(f, t, e);
	AdminTaskExecutionClosure *c = t->closure;
	if (task_phase_terminal((int32_t)c->phase))
		return;
	bool phase_changed = c->phase != e->phase;
	t->seq = seq;
	t->changed = true;
	t->phase_version = e->phase_version;
	c->phase = e->phase;
	c->updated_at = reported(e->reported_at, e->occurred_at);
	c->event_version = MAX(c->event_version, e->event_version);
	if (e->log_context)
		c->log_context = e->log_context;
	set_task_input(t, e);
	add_reasons(f, c, e);
	merge_logs(f->arena, c, e);
	merge_custom_info(f->arena, c, e->custom_info);
	merge_task_metadata(f->arena, c, e->metadata, phase_changed);
	set_task_times(f, t, e);
}

/* ---- records ---- */

static void fold_event(struct fold *f, struct execution_row *x, AlulaExecutionEvent *e)
{
	f->events++;
	switch (e->event_case) {
	case ALULA_EXECUTION_EVENT_EVENT_WORKFLOW: fold_workflow(x, e->workflow); break;
	case ALULA_EXECUTION_EVENT_EVENT_NODE: fold_node_event(f, x->key, x->seq, e->node); break;
	case ALULA_EXECUTION_EVENT_EVENT_TASK: fold_task_event(f, x->key, x->seq, e->task); break;
	case ALULA_EXECUTION_EVENT_EVENT_SIGNAL:
		if (e->signal->type)
			vec_push(&f->signal_rows, (struct signal_row){x->key, e->signal});
		break;
	default: break;
	}
}

void fold_told(struct fold *f, struct execution_row *x, AlulaExecutionEvent *e)
{
	x->beside = true;
	fold_event(f, x, e);
	x->over = x->moved && execution_phase_terminal(x->phase);
}

bool fold_changes(const struct execution_row *x)
{
	return x->known && (x->beside || x->seq > x->read_seq);
}

void fold_record(struct fold *f, AlulaRecord *record)
{
	struct execution_row *x = fold_execution(f, record->execution);

	if (record->seq <= x->seq) {
		f->repeated++;
		return;
	}
	if (record->seq > x->seq + 1) {
		x->gap = MAX(x->gap, record->seq);
		return;
	}
	x->seq = record->seq;
	x->id = record->id;
	x->over = record->last;
	for (size_t i = 0; i < record->n_events; i++)
		fold_event(f, x, record->events[i]);
}

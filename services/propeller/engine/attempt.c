/* Attempts of task nodes: start, retry, timeouts.
 * Source: flytepropeller controller/nodes/executor.go, nodes/task/handler.go (v1.16.8). */
#include "engine/private.h"
#include "flyte/ids.h"
#include "pb/pb.h"

#define USER_ERROR   CORE_EXECUTION_ERROR_ERROR_KIND_USER
#define SYSTEM_ERROR CORE_EXECUTION_ERROR_ERROR_KIND_SYSTEM

/* ---- paths and names ---- */

const char *attempt_name(struct fold *f, uint32_t i, uint32_t attempt)
{
	const char *parts[] = {f->x->command->id->name, node_unique_id(f, i), arena_printf(f->a, "%u", attempt)};

	return flyte_unique_id(f->a, parts, 3, TASK_UNIQUE_NAME_MAX, UNIQUE_ID_FNV32);
}

static const char *raw_prefix(struct fold *f, uint32_t i, uint32_t attempt)
{
	const char *base = f->x->command->start->raw_output_prefix;

	return path_raw_output(f->a, *base ? base : top_frame(f->x)->dir, attempt_name(f, i, attempt));
}

static const char *checkpoints(struct fold *f, const char *raw)
{
	return arena_printf(f->a, "%s/_flytecheckpoints", raw);
}

/* ---- what an attempt is given ---- */

/* After so many system failures a node gets machines that nobody takes away. */
bool attempt_interruptible(const struct fold *f, uint32_t i)
{
	const struct engine_options *o = &f->e->options;
	const AlulaStartExecution *start = f->x->command->start;
	const struct wf_node *wn = wf_node(f, i);
	bool interruptible = start->interruptible ? start->interruptible->value : top_frame(f->x)->wf->interruptible;
	int threshold = o->interruptible_failure_threshold;

	if (wn->interruptible >= 0)
		interruptible = wn->interruptible;
	if (threshold <= 0)
		threshold += o->max_system_retries + 1;
	return interruptible && node_at(f, i)->system_failures < MAX(threshold, 0);
}

struct attempt *attempt_described(struct fold *f, uint32_t i)
{
	struct node *n = node_at(f, i);
	const struct wf_node *wn = wf_node(f, i);
	struct resolving r = resolving_of(f, i);
	struct attempt *a = arena_new_of(f->a, struct attempt);
	struct values inputs;

	if (!resolve_inputs(&r, wn, &inputs))
		return NULL;
	const struct frame *frame = frame_of(f, i);
	a->node_id = frame->array ? arena_printf(f->a, "n%u", i - frame->first) : wn->id;
	a->is_item = frame->array;
	a->item = frame->array ? i - frame->first : 0;
	a->shares_inputs = frame->array && frame->array->spec->single_file;
	a->node_unique_id = node_unique_id(f, i);
	a->unique_name = attempt_name(f, i, n->attempt);
	a->attempt = n->attempt;
	a->interruptible = attempt_interruptible(f, i);
	a->task = wn->task->template;
	a->command = f->x->command;
	a->inputs = values_clone(f->a, &inputs);
	a->n_inputs = inputs.n;
	a->inputs_uri = path_inputs(f->a, a->shares_inputs ? frame->array->dir : node_dir(f, i));
	a->output_prefix = node_output_dir(f, i);
	a->raw_output_prefix = raw_prefix(f, i, n->attempt);
	a->checkpoint_prefix = checkpoints(f, a->raw_output_prefix);
	a->prev_checkpoint_prefix =
		n->attempt ? checkpoints(f, raw_prefix(f, i, n->attempt - 1)) : recovered_checkpoint(f, i);
	a->timeout_us = node_attempt_timeout(f, i);
	return a;
}

static void attempt_action(struct fold *f, uint32_t i)
{
	const struct attempt *a = attempt_described(f, i);

	if (a)
		action_new(f, ACTION_START_ATTEMPT, i)->start = a;
}

/* ---- start ---- */

EventTaskExecutionEvent *attempt_event(struct fold *f, uint32_t i, CoreTaskExecutionPhase phase)
{
	EventTaskExecutionEvent *t = event_task(f, i, phase);

	if (wf_node(f, i)->task->leaf != LEAF_EXECUTOR)
		return t;
	t->input_value_case = EVENT_TASK_EXECUTION_EVENT_INPUT_VALUE_INPUT_URI;
	t->input_uri = (char *)path_inputs(f->a, node_dir(f, i));
	return t;
}

void attempt_add_reason(struct fold *f, EventTaskExecutionEvent *t, const char *text)
{
	EventEventReason *reason = pb_new(f->a, EVENT_EVENT_REASON_DESC);

	reason->reason = (char *)text;
	reason->occurred_at = f->now;
	*PB_ADD(f->a, t->reasons, t->n_reasons) = reason;
}

/* Where people may look for a deck while the task runs, if it makes one. */
static const char *deck_so_far(struct fold *f, uint32_t i)
{
	const CoreTaskMetadata *m = wf_node(f, i)->task->template->metadata;
	bool makes = m && m->generates_deck && m->generates_deck->value;

	return makes && wf_node(f, i)->task->leaf == LEAF_EXECUTOR ? path_deck(f->a, node_output_dir(f, i)) : "";
}

static void tell_running(struct fold *f, uint32_t i)
{
	EventNodeExecutionEvent *event = event_node(f, i, CORE_NODE_EXECUTION_PHASE_RUNNING);

	event->deck_uri = (char *)deck_so_far(f, i);
	if (!f->x->caching || !wf_node(f, i)->cache)
		return;
	event->target_metadata_case = EVENT_NODE_EXECUTION_EVENT_TARGET_METADATA_TASK_NODE_METADATA;
	event->task_node_metadata = pb_new(f->a, EVENT_TASK_NODE_METADATA_DESC);
	cache_tell(f, i, event->task_node_metadata, NULL);
}

static void start(struct fold *f, uint32_t i, int64_t sleep_us)
{
	struct node *n = node_at(f, i);
	bool inside = wf_node(f, i)->task->leaf != LEAF_EXECUTOR;

	n->run->dispatched_us = f->now_us;
	n->run->attempt_due_us = 0;
	n->run->sleep_due_us = inside ? f->now_us + sleep_us : 0;
	n->run->started = inside;
	if (inside)
		node_set_deadlines(f, i);
	if (inside)
		attempt_event(f, i, CORE_TASK_EXECUTION_PHASE_RUNNING);
	else
		attempt_add_reason(f, attempt_event(f, i, CORE_TASK_EXECUTION_PHASE_QUEUED), "task submitted");
	if (n->attempt == 0)
		tell_running(f, i);
	if (inside)
		node_timers(f, i);
	else
		attempt_action(f, i);
}

static const char NO_DURATION[] = "core-sleep needs an input that is a duration";

/* How long to sleep lies in the store only. */
static bool must_read(struct fold *f, uint32_t i, const struct values *inputs)
{
	return wf_node(f, i)->task->leaf == LEAF_CORE_SLEEP && !values_inline(f->a, inputs);
}

static void attempt_read(struct fold *f, uint32_t i, const AlulaValuesRead *in)
{
	struct values inputs;
	int64_t sleep_us;

	if (in->result_case == ALULA_VALUES_READ_RESULT_ERROR)
		node_fail(f, i, in->error, false);
	if (in->result_case != ALULA_VALUES_READ_RESULT_LITERALS)
		return;
	node_at(f, i)->run->reading = false;
	values_of_map(f->a, in->literals, &inputs);
	if (leaf_sleep_us(&inputs, &sleep_us))
		start(f, i, MIN(MAX(sleep_us, 0), INT64_MAX / 4));
	else
		node_fail_at_once(f, i, SYSTEM_ERROR, "BadTaskSpecification", NO_DURATION);
}

/* It may have told so, and run, while it waited for the cache. */
static void queue(struct fold *f, uint32_t i, const struct values *inputs)
{
	struct run *r = node_at(f, i)->run;

	if (!r || !r->queued)
		leaf_set_inputs(f, i, event_node(f, i, CORE_NODE_EXECUTION_PHASE_QUEUED), inputs);
	r = r ? r : node_run(f, i);
	r->cache = CACHE_BEGUN;
}

static void start_first(struct fold *f, uint32_t i, const struct resolving *resolved, const struct values *inputs)
{
	const struct task *task = wf_node(f, i)->task;
	int64_t sleep_us = 0;

	if (must_read(f, i, inputs)) {
		queue(f, i, inputs);
		node_read(f, i, inputs, READ_WHOLE);
		return;
	}
	if (task->leaf == LEAF_CORE_SLEEP && !leaf_sleep_us(inputs, &sleep_us)) {
		node_fail_at_once(f, i, SYSTEM_ERROR, "BadTaskSpecification", NO_DURATION);
		return;
	}
	if (task->leaf == LEAF_ECHO || (task->leaf == LEAF_CORE_SLEEP && sleep_us <= 0)) {
		leaf_instant(f, i, resolved, inputs);
		return;
	}
	queue(f, i, inputs);
	start(f, i, MIN(sleep_us, INT64_MAX / 4));
}

static void attempt_first(struct fold *f, uint32_t i)
{
	struct resolving r = resolving_of(f, i);
	struct values inputs;

	if (!resolve_inputs(&r, wf_node(f, i), &inputs))
		node_fail_at_once(f, i, SYSTEM_ERROR, "BindingResolutionFailure", r.error);
	else if (wf_node(f, i)->task->misfit)
		node_fail_at_once(f, i, SYSTEM_ERROR, "UnsupportedTaskType", wf_node(f, i)->task->misfit);
	else if (!cache_begin(f, i))
		start_first(f, i, &r, &inputs);
}

static void start_again(struct fold *f, uint32_t i)
{
	struct resolving r = resolving_of(f, i);
	bool sleeps = wf_node(f, i)->task->leaf == LEAF_CORE_SLEEP, first = node_at(f, i)->run->cache == CACHE_MISSED;
	struct values inputs;
	int64_t sleep_us = 0;
	bool resolved = (sleeps || first) && resolve_inputs(&r, wf_node(f, i), &inputs);

	if (first && resolved) {
		start_first(f, i, &r, &inputs);
		return;
	}
	if (sleeps && resolved) {
		if (must_read(f, i, &inputs)) {
			node_read(f, i, &inputs, READ_WHOLE);
			return;
		}
		leaf_sleep_us(&inputs, &sleep_us);
	}
	start(f, i, MIN(sleep_us, INT64_MAX / 4));
}

/* ---- it runs ---- */

struct node *attempt_running(const struct fold *f, uint32_t i, uint32_t attempt)
{
	struct node *n = node_running(f, i);

	if (!n || n->attempt != attempt || wf_node(f, i)->kind != KIND_TASK || n->run->dynamic || n->run->waiting)
		return NULL;
	return cache_has_node(n->run) ? NULL : n;
}

void attempt_started(struct fold *f, const AlulaAttemptStarted *in)
{
	struct node *n = attempt_running(f, in->node, in->attempt);
	size_t len = n ? pb_size(in) : 0;

	if (!n || n->run->started)
		return;
	n->run = x_realloc(n->run, sizeof *n->run + len);
	protobuf_c_message_pack(&in->base, n->run->started_packed);
	n->run->started_len = len;
	n->run->started = true;
	f->e->bytes += len;
	EventTaskExecutionEvent *t = attempt_event(f, in->node, CORE_TASK_EXECUTION_PHASE_RUNNING);
	t->logs = in->logs;
	t->n_logs = in->n_logs;
	/* Waiting for a slot of this host is no fault of the task's. */
	node_set_deadlines(f, in->node);
	node_timers(f, in->node);
}

/* ---- it ends ---- */

static void add_logs(struct fold *f, const struct run *r, const AlulaAttemptFinished *in, EventTaskExecutionEvent *t)
{
	AlulaAttemptStarted *started;

	if (in && in->n_logs) {
		t->logs = in->logs;
		t->n_logs = in->n_logs;
	} else if (r->started_len && pb_unpack_own(ALULA_ATTEMPT_STARTED_DESC,
						   (struct str){(const char *)r->started_packed, r->started_len}, f->a,
						   (void **)&started, NULL) == OK) {
		t->logs = started->logs;
		t->n_logs = started->n_logs;
	}
	if (in)
		t->custom_info = in->custom_info;
}

/* Its start was never told, or comes late. */
static void make_up_for_start(struct fold *f, const struct run *r, const AlulaAttemptFinished *in)
{
	if (r->started || in->started_at_us <= 0)
		return;
	EventTaskExecutionEvent *t = attempt_event(f, in->node, CORE_TASK_EXECUTION_PHASE_RUNNING);
	t->occurred_at = pb_timestamp(f->a, MIN(MAX(in->started_at_us, r->dispatched_us), f->now_us));
	add_logs(f, r, in, t);
}

/* A task that does not say whether it makes one has it when it succeeds. */
static char *deck_at_end(struct fold *f, const AlulaAttemptFinished *in)
{
	const CoreTaskMetadata *m = wf_node(f, in->node)->task->template->metadata;
	bool said = m && m->generates_deck;
	bool counts = said ? m->generates_deck->value : in->outcome_case != ALULA_ATTEMPT_FINISHED_OUTCOME_ERROR;

	return counts ? in->deck_uri : "";
}

static void complete_event(struct fold *f, const AlulaAttemptFinished *in, const char *checkpoint,
			   EventNodeExecutionEvent *event, const AlulaCachePut *put)
{
	EventTaskNodeMetadata *m = pb_new(f->a, EVENT_TASK_NODE_METADATA_DESC);

	m->checkpoint_uri = (char *)checkpoint;
	if (put)
		cache_tell(f, in->node, m, put);
	event->target_metadata_case = EVENT_NODE_EXECUTION_EVENT_TARGET_METADATA_TASK_NODE_METADATA;
	event->task_node_metadata = m;
	event->deck_uri = deck_at_end(f, in);
	node_set_inputs_uri(f, in->node, event);
}

void attempt_succeeded(struct fold *f, const AlulaAttemptFinished *in, const AlulaCachePut *put)
{
	struct node *n = node_at(f, in->node);
	const AlulaAttemptOutputs *o = in->outputs;
	const char *checkpoint = checkpoints(f, raw_prefix(f, in->node, n->attempt));
	EventTaskExecutionEvent *t = attempt_event(f, in->node, CORE_TASK_EXECUTION_PHASE_SUCCEEDED);

	add_logs(f, n->run, in, t);
	if (put && frame_of(f, in->node)->array)
		array_note_cache(frame_of(f, in->node), put->status);
	EventNodeExecutionEvent *event = event_node(f, in->node, CORE_NODE_EXECUTION_PHASE_SUCCEEDED);
	complete_event(f, in, checkpoint, event, put);
	event_set_outputs(event, t, o->uri, o->literals);
	node_succeed(f, in->node, event, outputs_of_attempt(f, in->node, o));
}

static void failed(struct fold *f, const AlulaAttemptFinished *in)
{
	struct node *n = node_at(f, in->node);
	const AlulaAttemptError *outcome = in->error;
	const CoreExecutionError *error = outcome->error ? outcome->error
							 : error_new(f->a, CORE_EXECUTION_ERROR_ERROR_KIND_UNKNOWN,
								     "Unknown", "Unknown error message");
	const char *checkpoint = checkpoints(f, raw_prefix(f, in->node, n->attempt));
	EventTaskExecutionEvent *t = attempt_event(f, in->node, CORE_TASK_EXECUTION_PHASE_FAILED);
	EventNodeExecutionEvent *event;

	t->output_result_case = EVENT_TASK_EXECUTION_EVENT_OUTPUT_RESULT_ERROR;
	t->error = (CoreExecutionError *)error;
	add_logs(f, n->run, in, t);
	if (outcome->recoverable || outcome->system)
		event = node_retry_or_fail(f, in->node, error, outcome->system || error->kind == SYSTEM_ERROR);
	else
		event = node_fail(f, in->node, error, false);
	if (event)
		complete_event(f, in, checkpoint, event, NULL);
}

/* An item cannot be a workflow: what its task did was of no use. */
static void item_gave_workflow(struct fold *f, const AlulaAttemptFinished *in)
{
	AlulaAttemptFinished failure = *in;
	AlulaAttemptError error = ALULA_ATTEMPT_ERROR_INIT;

	error.error = in->dynamic->error ? in->dynamic->error
					 : error_new(f->a, USER_ERROR, "DynamicWorkflowBuildFailed",
						     "an item of an array cannot be a workflow");
	failure.outcome_case = ALULA_ATTEMPT_FINISHED_OUTCOME_ERROR;
	failure.error = &error;
	failed(f, &failure);
}

void attempt_finished(struct fold *f, const AlulaAttemptFinished *in)
{
	struct node *n = attempt_running(f, in->node, in->attempt);

	if (!n || wf_node(f, in->node)->task->leaf != LEAF_EXECUTOR)
		return;
	if (!n->run->recovering && in->outcome_case)
		make_up_for_start(f, n->run, in);
	if (n->run->recovering) {
		recovering_compiled(f, in);
	} else if (in->outcome_case == ALULA_ATTEMPT_FINISHED_OUTCOME_OUTPUTS) {
		if (!cache_keep(f, in, NULL))
			attempt_succeeded(f, in, NULL);
	} else if (in->outcome_case == ALULA_ATTEMPT_FINISHED_OUTCOME_ERROR) {
		failed(f, in);
	} else if (in->outcome_case == ALULA_ATTEMPT_FINISHED_OUTCOME_DYNAMIC && frame_of(f, in->node)->array) {
		item_gave_workflow(f, in);
	} else if (in->outcome_case == ALULA_ATTEMPT_FINISHED_OUTCOME_DYNAMIC) {
		add_logs(f, n->run, in, attempt_event(f, in->node, CORE_TASK_EXECUTION_PHASE_SUCCEEDED));
		dynamic_begin(f, in->node, in->dynamic, deck_at_end(f, in));
	} else {
		return;
	}
	if (n->run && cache_has_node(n->run))
		resource_over(f, in->node, in->attempt);
	else
		resource_drop(f, in->node, in->attempt);
}

static void attempt_abort(struct fold *f, uint32_t i, const char *reason)
{
	const struct run *r = node_at(f, i)->run;
	bool executor = wf_node(f, i)->task->leaf == LEAF_EXECUTOR;
	/* Of an attempt that is over, but for its outputs' way into the cache, people know that it runs. */
	bool known = !cache_has_node(r) || (r->cache == CACHE_PUTTING && executor);

	if (r->dynamic || r->waiting || r->reading || r->recovering || !known)
		return;
	EventTaskExecutionEvent *t = attempt_event(f, i, CORE_TASK_EXECUTION_PHASE_ABORTED);
	t->output_result_case = EVENT_TASK_EXECUTION_EVENT_OUTPUT_RESULT_ERROR;
	t->error = error_new(f->a, CORE_EXECUTION_ERROR_ERROR_KIND_UNKNOWN, "Task Aborted", "%s", reason);
	add_logs(f, node_at(f, i)->run, NULL, t);
	if (executor)
		action_new(f, ACTION_ABORT_ATTEMPT, i);
}

/* ---- after a restart ---- */

/* An earlier attempt may not have been stopped before we were. */
static void attempt_pending(struct fold *f, uint32_t i)
{
	uint32_t attempt = node_at(f, i)->attempt;
	const struct run *r = node_at(f, i)->run;
	bool executor = wf_node(f, i)->task->leaf == LEAF_EXECUTOR;

	struct resolving res = resolving_of(f, i);
	struct values inputs;

	if (r->recovering) {
		recovering_pending(f, i);
		return;
	}
	if (r->reading && resolve_inputs(&res, wf_node(f, i), &inputs))
		node_read(f, i, &inputs, READ_WHOLE);
	if (executor && attempt > 0)
		action_new(f, ACTION_ABORT_ATTEMPT, i)->attempt = attempt - 1;
	if (cache_pending(f, i))
		return;
	if (executor && !r->dynamic && !r->waiting)
		attempt_action(f, i);
	node_timers(f, i);
}

static void attempt_stop_again(struct fold *f, uint32_t i)
{
	uint32_t last = node_at(f, i)->attempt;

	for (uint32_t k = last ? last - 1 : 0; wf_node(f, i)->task->leaf == LEAF_EXECUTOR && k <= last; k++)
		action_new(f, ACTION_ABORT_ATTEMPT, i)->attempt = k;
}

static bool attempt_orphan(struct fold *f, uint32_t i, uint32_t attempt, struct orphan *ret)
{
	*ret = (struct orphan){i, attempt, NULL};
	return wf_node(f, i)->task->leaf == LEAF_EXECUTOR;
}

static void attempt_describe(const struct fold *f, uint32_t i, EventNodeExecutionEvent *event)
{
	const struct run *r = node_at(f, i)->run;

	event->is_dynamic = event->is_parent = r && r->dynamic;
}

const struct kind KIND_OF_TASK = {
	.limited = true,
	.begin = attempt_first,
	.again = start_again,
	.abort = attempt_abort,
	.pending = attempt_pending,
	.stop_again = attempt_stop_again,
	.orphan = attempt_orphan,
	.frame_done = dynamic_done,
	.frame_failed = dynamic_failed,
	.slept = leaf_done_sleeping,
	.read = attempt_read,
	.describe = attempt_describe,
};

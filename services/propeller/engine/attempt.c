/* Attempts of task nodes: start, retry, timeouts.
 * Source: flytepropeller controller/nodes/executor.go, nodes/task/handler.go (v1.16.8). */
#include "engine/private.h"
#include "flyte/ids.h"
#include "pb/pb.h"

#define USER_ERROR   CORE_EXECUTION_ERROR_ERROR_KIND_USER
#define SYSTEM_ERROR CORE_EXECUTION_ERROR_ERROR_KIND_SYSTEM

/* ---- paths and names ---- */

static const char *node_dir(struct fold *f, uint32_t i)
{
	return path_node(f->a, f->x->dir, wf_node(f, i)->id);
}

const char *attempt_name(struct fold *f, uint32_t i, uint32_t attempt)
{
	const char *parts[] = {f->x->command->id->name, wf_node(f, i)->event_id.node_id,
			       arena_printf(f->a, "%u", attempt)};

	return flyte_unique_id(f->a, parts, 3, TASK_UNIQUE_NAME_MAX, UNIQUE_ID_FNV32);
}

static const char *raw_prefix(struct fold *f, uint32_t i, uint32_t attempt)
{
	const char *base = f->x->command->start->raw_output_prefix;

	return path_raw_output(f->a, *base ? base : f->x->dir, attempt_name(f, i, attempt));
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
	bool interruptible = start->interruptible ? start->interruptible->value : f->x->wf->interruptible;
	int threshold = o->interruptible_failure_threshold;

	if (wn->interruptible >= 0)
		interruptible = wn->interruptible;
	if (threshold <= 0)
		threshold += o->max_system_retries + 1;
	return interruptible && f->x->nodes[i].system_failures < MAX(threshold, 0);
}

static int64_t due(int64_t from_us, int64_t timeout_us)
{
	return timeout_us > 0 && timeout_us < INT64_MAX - from_us ? from_us + timeout_us : 0;
}

static int64_t attempt_timeout(const struct fold *f, uint32_t i)
{
	int64_t own = wf_node(f, i)->attempt_timeout_us;

	return own ? own : f->e->options.default_attempt_timeout_us;
}

void attempt_action(struct fold *f, uint32_t i)
{
	struct node *n = &f->x->nodes[i];
	const struct wf_node *wn = wf_node(f, i);
	struct resolving r = {.a = f->a, .x = f->x};
	struct attempt *a = arena_new_of(f->a, struct attempt);
	struct values inputs;

	if (!resolve_inputs(&r, wn, &inputs))
		return;
	a->node_id = wn->id;
	a->node_unique_id = wn->event_id.node_id;
	a->unique_name = attempt_name(f, i, n->attempt);
	a->attempt = n->attempt;
	a->interruptible = attempt_interruptible(f, i);
	a->task = wn->task->template;
	a->command = f->x->command;
	a->inputs = values_clone(f->a, &inputs);
	a->n_inputs = inputs.n;
	a->inputs_uri = path_inputs(f->a, node_dir(f, i));
	a->output_prefix = path_attempt(f->a, node_dir(f, i), n->attempt);
	a->raw_output_prefix = raw_prefix(f, i, n->attempt);
	a->checkpoint_prefix = checkpoints(f, a->raw_output_prefix);
	a->prev_checkpoint_prefix = n->attempt ? checkpoints(f, raw_prefix(f, i, n->attempt - 1)) : "";
	a->timeout_us = attempt_timeout(f, i);
	action_new(f, ACTION_START_ATTEMPT, i)->start = a;
}

static void set_timer(struct fold *f, uint32_t i, enum timer timer, int64_t at_us)
{
	if (!at_us)
		return;
	struct action *action = action_new(f, ACTION_SET_TIMER, i);
	action->timer = timer;
	action->at_us = at_us;
}

void attempt_timers(struct fold *f, uint32_t i)
{
	const struct run *r = f->x->nodes[i].run;

	set_timer(f, i, TIMER_ATTEMPT, r->attempt_due_us);
	set_timer(f, i, TIMER_SLEEP, r->sleep_due_us);
	set_timer(f, i, TIMER_NODE, r->node_due_us);
}

/* ---- start ---- */

static EventTaskExecutionEvent *task_event(struct fold *f, uint32_t i, CoreTaskExecutionPhase phase)
{
	EventTaskExecutionEvent *t = event_task(f, i, phase);

	if (wf_node(f, i)->task->leaf != LEAF_EXECUTOR)
		return t;
	t->input_value_case = EVENT_TASK_EXECUTION_EVENT_INPUT_VALUE_INPUT_URI;
	t->input_uri = (char *)path_inputs(f->a, node_dir(f, i));
	return t;
}

static void add_reason(struct fold *f, EventTaskExecutionEvent *t, const char *text)
{
	EventEventReason *reason = pb_new(f->a, EVENT_EVENT_REASON_DESC);

	reason->reason = (char *)text;
	reason->occurred_at = f->now;
	*PB_ADD(f->a, t->reasons, t->n_reasons) = reason;
}

/* Time counts from where an attempt truly starts: waiting for a slot of this host is no fault of the task's. */
static void set_deadlines(struct fold *f, uint32_t i)
{
	struct run *r = f->x->nodes[i].run;

	r->attempt_due_us = due(f->now_us, attempt_timeout(f, i));
	if (!r->node_due_us)
		r->node_due_us = due(f->now_us, wf_node(f, i)->node_timeout_us);
}

static void start(struct fold *f, uint32_t i, int64_t sleep_us)
{
	struct node *n = &f->x->nodes[i];
	bool inside = wf_node(f, i)->task->leaf != LEAF_EXECUTOR;

	n->run->dispatched_us = f->now_us;
	n->run->attempt_due_us = 0;
	n->run->sleep_due_us = inside ? f->now_us + sleep_us : 0;
	n->run->started = inside;
	if (inside)
		set_deadlines(f, i);
	if (inside)
		task_event(f, i, CORE_TASK_EXECUTION_PHASE_RUNNING);
	else
		add_reason(f, task_event(f, i, CORE_TASK_EXECUTION_PHASE_QUEUED), "task submitted");
	if (n->attempt == 0)
		event_node(f, i, CORE_NODE_EXECUTION_PHASE_RUNNING);
	if (inside)
		attempt_timers(f, i);
	else
		attempt_action(f, i);
}

static void fail_at_once(struct fold *f, uint32_t i, const char *code, const char *text)
{
	EventNodeExecutionEvent *event = node_fail(f, i, error_new(f->a, SYSTEM_ERROR, code, "%s", text), false);

	node_set_inputs_uri(f, i, event);
}

static void start_first(struct fold *f, uint32_t i, const struct resolving *resolved, const struct values *inputs)
{
	const struct task *task = wf_node(f, i)->task;
	int64_t sleep_us = 0;

	if (task->leaf == LEAF_CORE_SLEEP && !leaf_sleep_us(inputs, &sleep_us)) {
		fail_at_once(f, i, "BadTaskSpecification", "core-sleep needs an input that is a duration, and inline");
		return;
	}
	if (task->leaf == LEAF_ECHO || (task->leaf == LEAF_CORE_SLEEP && sleep_us <= 0)) {
		leaf_instant(f, i, resolved, inputs);
		return;
	}
	leaf_set_inputs(f, i, event_node(f, i, CORE_NODE_EXECUTION_PHASE_QUEUED), inputs);
	node_run(f, i);
	start(f, i, MIN(sleep_us, INT64_MAX / 4));
}

void attempt_first(struct fold *f, uint32_t i)
{
	struct resolving r = {.a = f->a, .x = f->x};
	struct values inputs;

	if (!resolve_inputs(&r, wf_node(f, i), &inputs))
		fail_at_once(f, i, "BindingResolutionFailure", r.error);
	else if (wf_node(f, i)->task->misfit)
		fail_at_once(f, i, "UnsupportedTaskType", wf_node(f, i)->task->misfit);
	else
		start_first(f, i, &r, &inputs);
}

static void start_again(struct fold *f, uint32_t i)
{
	struct node *n = &f->x->nodes[i];
	struct resolving r = {.a = f->a, .x = f->x};
	struct values inputs;
	int64_t sleep_us = 0;

	f->e->bytes -= n->run->started_len;
	n->run->started_len = 0;
	n->attempt++;
	if (wf_node(f, i)->task->leaf == LEAF_CORE_SLEEP && resolve_inputs(&r, wf_node(f, i), &inputs))
		leaf_sleep_us(&inputs, &sleep_us);
	start(f, i, MIN(sleep_us, INT64_MAX / 4));
}

/* ---- it runs ---- */

/* The node whose attempt this is about, if it is the one that runs. */
static struct node *running_attempt(const struct fold *f, uint32_t i, uint32_t attempt)
{
	struct execution *x = f->x;

	if (x->phase != EXECUTION_RUNNING || i < FIRST_TASK_NODE || i >= x->wf->n_nodes)
		return NULL;
	struct node *n = &x->nodes[i];
	return n->run && n->attempt == attempt ? n : NULL;
}

void attempt_started(struct fold *f, const AlulaAttemptStarted *in)
{
	struct node *n = running_attempt(f, in->node, in->attempt);
	size_t len = n ? pb_size(in) : 0;

	if (!n || n->run->started)
		return;
	n->run = x_realloc(n->run, sizeof *n->run + len);
	protobuf_c_message_pack(&in->base, n->run->started_packed);
	n->run->started_len = len;
	n->run->started = true;
	f->e->bytes += len;
	EventTaskExecutionEvent *t = task_event(f, in->node, CORE_TASK_EXECUTION_PHASE_RUNNING);
	t->logs = in->logs;
	t->n_logs = in->n_logs;
	set_deadlines(f, in->node);
	attempt_timers(f, in->node);
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
	EventTaskExecutionEvent *t = task_event(f, in->node, CORE_TASK_EXECUTION_PHASE_RUNNING);
	t->occurred_at = pb_timestamp(f->a, MIN(MAX(in->started_at_us, r->dispatched_us), f->now_us));
	add_logs(f, r, in, t);
}

static void complete_event(struct fold *f, const AlulaAttemptFinished *in, const char *checkpoint,
			   EventNodeExecutionEvent *event)
{
	EventTaskNodeMetadata *m = pb_new(f->a, EVENT_TASK_NODE_METADATA_DESC);

	m->checkpoint_uri = (char *)checkpoint;
	event->target_metadata_case = EVENT_NODE_EXECUTION_EVENT_TARGET_METADATA_TASK_NODE_METADATA;
	event->task_node_metadata = m;
	event->deck_uri = in->deck_uri;
	node_set_inputs_uri(f, in->node, event);
}

static void succeeded(struct fold *f, const AlulaAttemptFinished *in)
{
	struct node *n = &f->x->nodes[in->node];
	const AlulaAttemptOutputs *o = in->outputs;
	const char *checkpoint = checkpoints(f, raw_prefix(f, in->node, n->attempt));
	EventTaskExecutionEvent *t = task_event(f, in->node, CORE_TASK_EXECUTION_PHASE_SUCCEEDED);

	add_logs(f, n->run, in, t);
	EventNodeExecutionEvent *event = node_succeed(f, in->node, outputs_of_attempt(f, in->node, o));
	complete_event(f, in, checkpoint, event);
	if (*o->uri) {
		t->output_result_case = EVENT_TASK_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_URI;
		event->output_result_case = EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_URI;
		t->output_uri = event->output_uri = o->uri;
	} else if (o->literals) {
		t->output_result_case = EVENT_TASK_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA;
		event->output_result_case = EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA;
		t->output_data = event->output_data = o->literals;
	}
}

static const char *kind_text(CoreExecutionErrorErrorKind kind)
{
	return kind == USER_ERROR ? "USER" : kind == SYSTEM_ERROR ? "SYSTEM" : "UNKNOWN";
}

/* May the attempt be repeated? System failures have a budget of their own. */
static bool eligible(const struct fold *f, uint32_t i, bool system, uint32_t *ret_current, uint32_t *ret_max)
{
	const struct engine_options *o = &f->e->options;
	const struct node *n = &f->x->nodes[i];
	uint32_t own = wf_node(f, i)->min_attempts;

	*ret_current = system ? n->system_failures : n->attempt + 1 - n->system_failures;
	*ret_max = system ? (uint32_t)o->max_system_retries : own ? own : (uint32_t)MAX(o->default_max_attempts, 1);
	return *ret_current < *ret_max;
}

static EventNodeExecutionEvent *retry_or_fail(struct fold *f, uint32_t i, const CoreExecutionError *error, bool system)
{
	struct node *n = &f->x->nodes[i];
	uint32_t current, max;

	bool again = eligible(f, i, system, &current, &max);
	if (system && n->system_failures < UINT16_MAX)
		n->system_failures++;
	if (again) {
		start_again(f, i);
		return NULL;
	}
	return node_fail(f, i,
			 error_new(f->a, USER_ERROR, arena_printf(f->a, "RetriesExhausted|%s", error->code),
				   "[%u/%u] currentAttempt done. Last Error: %s::%s", current, max,
				   kind_text(error->kind), error->message),
			 false);
}

static void failed(struct fold *f, const AlulaAttemptFinished *in)
{
	struct node *n = &f->x->nodes[in->node];
	const AlulaAttemptError *outcome = in->error;
	const CoreExecutionError *error = outcome->error ? outcome->error
							 : error_new(f->a, CORE_EXECUTION_ERROR_ERROR_KIND_UNKNOWN,
								     "Unknown", "Unknown error message");
	const char *checkpoint = checkpoints(f, raw_prefix(f, in->node, n->attempt));
	EventTaskExecutionEvent *t = task_event(f, in->node, CORE_TASK_EXECUTION_PHASE_FAILED);
	EventNodeExecutionEvent *event;

	t->output_result_case = EVENT_TASK_EXECUTION_EVENT_OUTPUT_RESULT_ERROR;
	t->error = (CoreExecutionError *)error;
	add_logs(f, n->run, in, t);
	if (outcome->recoverable || outcome->system)
		event = retry_or_fail(f, in->node, error, outcome->system || error->kind == SYSTEM_ERROR);
	else
		event = node_fail(f, in->node, error, false);
	if (event)
		complete_event(f, in, checkpoint, event);
}

void attempt_finished(struct fold *f, const AlulaAttemptFinished *in)
{
	struct node *n = running_attempt(f, in->node, in->attempt);

	if (!n || wf_node(f, in->node)->task->leaf != LEAF_EXECUTOR)
		return;
	if (in->outcome_case == ALULA_ATTEMPT_FINISHED_OUTCOME_OUTPUTS) {
		make_up_for_start(f, n->run, in);
		succeeded(f, in);
	} else if (in->outcome_case == ALULA_ATTEMPT_FINISHED_OUTCOME_ERROR) {
		make_up_for_start(f, n->run, in);
		failed(f, in);
	}
}

void attempt_abort(struct fold *f, uint32_t i, const char *reason)
{
	EventTaskExecutionEvent *t = task_event(f, i, CORE_TASK_EXECUTION_PHASE_ABORTED);

	t->output_result_case = EVENT_TASK_EXECUTION_EVENT_OUTPUT_RESULT_ERROR;
	t->error = error_new(f->a, CORE_EXECUTION_ERROR_ERROR_KIND_UNKNOWN, "Task Aborted", "%s", reason);
	add_logs(f, f->x->nodes[i].run, NULL, t);
	if (wf_node(f, i)->task->leaf == LEAF_EXECUTOR)
		action_new(f, ACTION_ABORT_ATTEMPT, i);
}

/* ---- timers ---- */

static const char *duration_text(struct fold *f, int64_t us)
{
	auto_buf struct buf b = {0};

	duration_add(&b, us);
	return arena_strdup(f->a, buf_text(&b));
}

static void attempt_timed_out(struct fold *f, uint32_t i)
{
	CoreExecutionError *error = error_new(f->a, USER_ERROR, "TimeoutExpired", "task execution timeout [%s] expired",
					      duration_text(f, attempt_timeout(f, i)));

	attempt_abort(f, i, error->message);
	EventNodeExecutionEvent *event = retry_or_fail(f, i, error, false);
	if (event)
		node_set_inputs_uri(f, i, event);
}

static void node_timed_out(struct fold *f, uint32_t i)
{
	CoreExecutionError *error = error_new(f->a, USER_ERROR, "Timeout", "task active timeout [%s] expired",
					      duration_text(f, wf_node(f, i)->node_timeout_us));

	attempt_abort(f, i, "node timed out");
	node_set_inputs_uri(f, i, node_fail(f, i, error, true));
}

static const struct {
	size_t due; /* where in a run */
	void (*fn)(struct fold *f, uint32_t i);
} TIMERS[] = {
	[TIMER_ATTEMPT] = {offsetof(struct run, attempt_due_us), attempt_timed_out},
	[TIMER_SLEEP] = {offsetof(struct run, sleep_due_us), leaf_done_sleeping},
	[TIMER_NODE] = {offsetof(struct run, node_due_us), node_timed_out},
};

void attempt_timer(struct fold *f, const AlulaTimerFired *in)
{
	bool any_attempt = in->timer == TIMER_NODE;
	struct node *n = NULL;

	if (in->timer < ARRAY_SIZE(TIMERS) && TIMERS[in->timer].fn && in->node < f->x->wf->n_nodes)
		n = running_attempt(f, in->node, any_attempt ? f->x->nodes[in->node].attempt : in->attempt);
	if (!n)
		return;
	int64_t due_us = *(const int64_t *)((const char *)n->run + TIMERS[in->timer].due);
	if (due_us == 0)
		return;
	if (f->now_us < due_us)
		set_timer(f, in->node, in->timer, due_us);
	else
		TIMERS[in->timer].fn(f, in->node);
}

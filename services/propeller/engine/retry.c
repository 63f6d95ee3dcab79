/* Attempts and timers, of every kind of node.
 * Source: flytepropeller controller/nodes/executor.go: execute, isEligibleForRetry (v1.16.8). */
#include "engine/private.h"
#include "pb/pb.h"

#define USER_ERROR   CORE_EXECUTION_ERROR_ERROR_KIND_USER
#define SYSTEM_ERROR CORE_EXECUTION_ERROR_ERROR_KIND_SYSTEM

/* ---- retries ---- */

static const char *kind_text(CoreExecutionErrorErrorKind kind)
{
	return kind == USER_ERROR ? "USER" : kind == SYSTEM_ERROR ? "SYSTEM" : "UNKNOWN";
}

/* May the attempt be repeated? System failures have a budget of their own. */
static bool eligible(const struct fold *f, uint32_t i, bool system, uint32_t *ret_current, uint32_t *ret_max)
{
	const struct engine_options *o = &f->e->options;
	const struct node *n = node_at(f, i);
	uint32_t own = wf_node(f, i)->min_attempts;

	*ret_current = system ? n->system_failures : n->attempt + 1 - n->system_failures;
	*ret_max = system ? (uint32_t)o->max_system_retries : own ? own : (uint32_t)MAX(o->default_max_attempts, 1);
	return *ret_current < *ret_max && node_kind(f, i)->again;
}

/* What had given up its place has to wait for another one. */
void node_try_again(struct fold *f, uint32_t i)
{
	struct run *r = node_at(f, i)->run;

	if (node_kind(f, i)->limited && !r->counted && !frame_of(f, i)->array) {
		r->waiting = true;
		vec_push(&f->x->ready, i);
		return;
	}
	node_kind(f, i)->again(f, i);
}

EventNodeExecutionEvent *node_retry_or_fail(struct fold *f, uint32_t i, const CoreExecutionError *error, bool system)
{
	struct node *n = node_at(f, i);
	uint32_t current, max;

	bool again = eligible(f, i, system, &current, &max);
	if (system && n->system_failures < UINT16_MAX)
		n->system_failures++;
	if (again) {
		f->e->bytes -= n->run->started_len;
		n->run->started_len = 0;
		n->run->started = false;
		n->run->told_phase = 0;
		n->run->told_version = 0;
		n->run->attempt_due_us = n->run->sleep_due_us = 0;
		n->run->dynamic = n->run->recovering = false;
		n->attempt++;
		f->changed = true;
		node_try_again(f, i);
		return NULL;
	}
	return node_fail(f, i,
			 error_new(f->a, USER_ERROR, arena_printf(f->a, "RetriesExhausted|%s", error->code),
				   "[%u/%u] currentAttempt done. Last Error: %s::%s", current, max,
				   kind_text(error->kind), error->message),
			 false);
}

/* ---- deadlines ---- */

static int64_t due(int64_t from_us, int64_t timeout_us)
{
	return timeout_us > 0 && timeout_us < INT64_MAX - from_us ? from_us + timeout_us : 0;
}

int64_t node_attempt_timeout(const struct fold *f, uint32_t i)
{
	int64_t own = wf_node(f, i)->attempt_timeout_us;

	return own ? own : f->e->options.default_attempt_timeout_us;
}

void node_set_deadlines(struct fold *f, uint32_t i)
{
	struct run *r = node_at(f, i)->run;

	r->attempt_due_us = due(f->now_us, node_attempt_timeout(f, i));
	if (!r->node_due_us)
		r->node_due_us = due(f->now_us, wf_node(f, i)->node_timeout_us);
}

static void set_timer(struct fold *f, uint32_t i, enum timer timer, int64_t at_us)
{
	if (!at_us)
		return;
	struct action *action = action_new(f, ACTION_SET_TIMER, i);
	action->timer = timer;
	action->at_us = at_us;
}

void node_timers(struct fold *f, uint32_t i)
{
	const struct run *r = node_at(f, i)->run;

	set_timer(f, i, TIMER_ATTEMPT, r->attempt_due_us);
	set_timer(f, i, TIMER_SLEEP, r->sleep_due_us);
	set_timer(f, i, TIMER_NODE, r->node_due_us);
}

/* ---- timers ---- */

static const char *duration_text(struct fold *f, int64_t us)
{
	auto_buf struct buf b = {0};

	duration_add(&b, us);
	return arena_strdup(f->a, buf_text(&b));
}

static CoreExecutionError *attempt_error(struct fold *f, uint32_t i)
{
	return error_new(f->a, USER_ERROR, "TimeoutExpired", "task execution timeout [%s] expired",
			 duration_text(f, node_attempt_timeout(f, i)));
}

static void stop(struct fold *f, uint32_t i, const char *reason)
{
	if (node_kind(f, i)->abort)
		node_kind(f, i)->abort(f, i, reason);
}

void node_timed_out_attempt(struct fold *f, uint32_t i)
{
	CoreExecutionError *error = attempt_error(f, i);

	stop(f, i, error->message);
	EventNodeExecutionEvent *event = node_retry_or_fail(f, i, error, false);
	if (event)
		node_set_inputs_uri(f, i, event);
}

void node_timed_out(struct fold *f, uint32_t i)
{
	CoreExecutionError *error = error_new(f->a, USER_ERROR, "Timeout", "task active timeout [%s] expired",
					      duration_text(f, wf_node(f, i)->node_timeout_us));

	stop(f, i, "node timed out");
	node_set_inputs_uri(f, i, node_fail(f, i, error, true));
}

static void on_attempt(struct fold *f, uint32_t i)
{
	struct run *r = node_at(f, i)->run;

	r->attempt_due_us = 0;
	if (r->frame)
		frame_stop(f, r->frame, "task execution timeout expired", THEN_TRY_AGAIN);
	else
		node_timed_out_attempt(f, i);
}

static void on_node(struct fold *f, uint32_t i)
{
	struct run *r = node_at(f, i)->run;

	r->node_due_us = 0;
	if (r->frame)
		frame_stop(f, r->frame, "node timed out", THEN_TIME_OUT);
	else
		node_timed_out(f, i);
}

static void on_sleep(struct fold *f, uint32_t i)
{
	node_at(f, i)->run->sleep_due_us = 0;
	node_kind(f, i)->slept(f, i);
}

static const struct {
	size_t due; /* where in a run */
	void (*fn)(struct fold *f, uint32_t i);
} TIMERS[] = {
	[TIMER_ATTEMPT] = {offsetof(struct run, attempt_due_us), on_attempt},
	[TIMER_SLEEP] = {offsetof(struct run, sleep_due_us), on_sleep},
	[TIMER_NODE] = {offsetof(struct run, node_due_us), on_node},
};

void node_timer(struct fold *f, const AlulaTimerFired *in)
{
	bool known = in->timer < ARRAY_SIZE(TIMERS) && TIMERS[in->timer].fn;
	struct node *n = known ? node_running(f, in->node) : NULL;

	if (!n || (in->timer != TIMER_NODE && n->attempt != in->attempt))
		return;
	int64_t due_us = *(const int64_t *)((const char *)n->run + TIMERS[in->timer].due);
	if (due_us == 0)
		return;
	if (f->now_us < due_us)
		set_timer(f, in->node, in->timer, due_us);
	else
		TIMERS[in->timer].fn(f, in->node);
}

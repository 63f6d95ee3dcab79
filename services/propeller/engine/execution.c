/* One execution: accepted, run in parts, ended. Source: flytepropeller controller/workflow/executor.go (v1.16.8). */
#include "engine/private.h"
#include "pb/pb.h"

struct action *action_new(struct fold *f, enum action_kind kind, uint32_t node)
{
	struct action *a = arena_new_of(f->a, struct action);

	a->kind = kind;
	a->execution = f->x->id;
	a->node = node;
	a->attempt = top_frame(f->x)->n ? node_at(f, node)->attempt : 0;
	*f->step->tail = a;
	f->step->tail = &a->next;
	return a;
}

/* ---- life ---- */

struct execution *execution_new(struct engine *e, int64_t id)
{
	struct execution *x = x_calloc(1, sizeof *x);

	x->id = id;
	x->arena = arena_new(1024);
	u64map_put(e->executions, (uint64_t)id, x);
	return x;
}

/* A running child's name in the map, about. */
enum { CHILD_BYTES = 64 };

void execution_account(struct engine *e, struct execution *x)
{
	size_t lists = (x->ready.cap + x->held.cap + x->gates.cap) * sizeof(uint32_t) +
		       (x->frames.cap + x->ending.cap + x->dynamic.cap) * sizeof(void *) +
		       x->orphans.cap * sizeof *x->orphans.at + x->signals.cap * sizeof *x->signals.at +
		       x->resources.cap * sizeof *x->resources.at + x->resource_bytes +
		       (x->children ? map_count(x->children) * CHILD_BYTES : 0);
	size_t bytes = sizeof *x + arena_used(x->arena) + lists;

	e->bytes += bytes - x->bytes;
	x->bytes = bytes;
}

static void closure_unref(struct engine *e, struct closure *c)
{
	if (!c || --c->refs)
		return;
	if (c->digest)
		map_remove(e->closures, str_of(c->digest));
	e->bytes -= c->bytes;
	closure_free(c);
}

void execution_free(struct engine *e, struct execution *x)
{
	for (size_t i = 0; i < x->frames.n; i++)
		frame_free(e, x->frames.at[i]);
	outputs_collect(e);
	e->bytes -= x->bytes;
	vec_free(&x->frames);
	vec_free(&x->ending);
	vec_free(&x->ready);
	vec_free(&x->held);
	vec_free(&x->gates);
	vec_free(&x->arrays);
	vec_free(&x->orphans);
	gate_free_signals(e, x);
	resources_free(x);
	map_free(x->children);
	recovery_free(e, x->recovery);
	closure_unref(e, x->closure);
	for (size_t i = 0; i < x->dynamic.n; i++)
		closure_unref(e, x->dynamic.at[i]);
	vec_free(&x->dynamic);
	arena_free(x->arena);
	free(x);
}

/* ---- accept ---- */

/* The closure of a command, shared if it can be; NULL when it is not there. */
static struct closure *closure_of(struct engine *e, const AlulaStartExecution *start)
{
	struct closure *c = *start->closure_digest ? map_get(e->closures, str_of(start->closure_digest)) : NULL;

	if (c) {
		c->refs++;
		return c;
	}
	if (!start->closure)
		return NULL;
	c = closure_new(start->closure, &e->options, false);
	e->bytes += c->bytes;
	if (*start->closure_digest) {
		c->digest = x_strdup(start->closure_digest);
		map_put(e->closures, str_of(c->digest), c);
	}
	return c;
}

/* The command without its closure, which struct closure stands for, and without what it recovers. */
static const AlulaCommand *keep_command(struct execution *x, const AlulaCommand *command)
{
	AlulaCommand c = *command;
	AlulaStartExecution start = *command->start;

	start.closure = NULL;
	start.recovery = NULL;
	c.start = &start;
	return pb_clone(&c, x->arena);
}

static const CoreExecutionError *why_unreadable(struct fold *f, const AlulaAccepted *in)
{
	if (in->unreadable)
		return in->unreadable;
	if (f->x->closure)
		return f->x->closure->error;
	return error_new(f->a, CORE_EXECUTION_ERROR_ERROR_KIND_SYSTEM, "UnreadableExecution",
			 "the compiled workflow is missing");
}

static void set_deadline(struct fold *f)
{
	struct execution *x = f->x;
	int64_t timeout_us = x->command->start->timeout_us;

	if (timeout_us <= 0)
		timeout_us = f->e->options.default_execution_timeout_us;
	if (timeout_us <= 0 || timeout_us >= INT64_MAX - f->now_us)
		return;
	x->due_us = f->now_us + timeout_us;
	struct action *timer = action_new(f, ACTION_SET_TIMER, 0);
	timer->timer = TIMER_EXECUTION;
	timer->at_us = x->due_us;
}

void execution_accept(struct fold *f, const AlulaAccepted *in, bool aborted)
{
	struct execution *x = f->x;

	x->command = keep_command(x, in->command);
	x->caching = in->caching;
	f->record->id = x->command->id;
	if (!aborted)
		x->closure = in->unreadable ? NULL : closure_of(f->e, in->command->start);
	const CoreExecutionError *error = aborted ? NULL : why_unreadable(f, in);
	struct frame *top = frame_new(f->e, x, aborted || error ? NULL : &x->closure->workflows[0], NULL, NO_NODE, 0);
	top->dir = path_execution(x->arena, f->e->options.metadata_prefix, x->command->id);
	if (aborted) {
		execution_abort(f);
	} else if (error) {
		frame_set_error(f, top, error, false);
		frame_fail(f, top);
	} else {
		if (in->command->start->recovery)
			recovery_begin(f, in->command->start->recovery);
		event_workflow(f, CORE_WORKFLOW_EXECUTION_PHASE_RUNNING);
		set_deadline(f);
	}
	execution_run(f);
}

/* ---- the end ---- */

static void done(struct fold *f)
{
	f->x->done = true;
	f->record->last = true;
	f->changed = true;
	action_new(f, ACTION_DONE, 0);
}

void execution_done(struct fold *f, CoreWorkflowExecutionPhase phase)
{
	EventWorkflowExecutionEvent *event = event_workflow(f, phase);

	if (phase == CORE_WORKFLOW_EXECUTION_PHASE_FAILED) {
		event->output_result_case = EVENT_WORKFLOW_EXECUTION_EVENT_OUTPUT_RESULT_ERROR;
		event->error = (CoreExecutionError *)top_frame(f->x)->error;
	}
	done(f);
}

void execution_succeed(struct fold *f, const EventNodeExecutionEvent *end)
{
	event_workflow(f, CORE_WORKFLOW_EXECUTION_PHASE_SUCCEEDING);
	EventWorkflowExecutionEvent *event = event_workflow(f, CORE_WORKFLOW_EXECUTION_PHASE_SUCCEEDED);

	if (end->output_result_case == EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_URI) {
		event->output_result_case = EVENT_WORKFLOW_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_URI;
		event->output_uri = end->output_uri;
	} else if (end->output_result_case == EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA) {
		event->output_result_case = EVENT_WORKFLOW_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA;
		event->output_data = end->output_data;
	}
	done(f);
}

void execution_timed_out(struct fold *f)
{
	struct execution *x = f->x;
	struct frame *top = top_frame(x);
	auto_buf struct buf text = {0};

	if (!x->due_us || (top->phase != FRAME_RUNNING && top->phase != FRAME_STORING))
		return;
	if (f->now_us < x->due_us) {
		struct action *timer = action_new(f, ACTION_SET_TIMER, 0);
		timer->timer = TIMER_EXECUTION;
		timer->at_us = x->due_us;
		return;
	}
	int64_t timeout_us = x->command->start->timeout_us;
	duration_add(&text, timeout_us > 0 ? timeout_us : f->e->options.default_execution_timeout_us);
	frame_set_error(f, top,
			error_new(f->a, CORE_EXECUTION_ERROR_ERROR_KIND_USER, "Timeout",
				  "execution timeout [%s] expired", buf_text(&text)),
			true);
	frame_fail(f, top);
}

/* ---- run, in parts ---- */

static bool is_full(const struct execution *x)
{
	int32_t max = x->command->start->max_parallelism;

	return max > 0 && x->running >= (uint32_t)max;
}

static bool has_work(const struct execution *x)
{
	if (x->done)
		return false;
	return x->ending.n || x->ready_head < x->ready.n || (x->held_head < x->held.n && !is_full(x));
}

#define POP(queue, head)                                                                                               \
	({                                                                                                             \
		uint32_t first_ = (queue)->at[(*(head))++];                                                            \
		if (*(head) == (queue)->n)                                                                             \
			*(head) = (queue)->n = 0;                                                                      \
		first_;                                                                                                \
	})

/* Its frame may be over, or only its failure node may run; it may be over itself, that waited for another attempt. */
static bool is_due(const struct fold *f, uint32_t i)
{
	const struct frame *frame = frame_of(f, i);

	if (!frame || frame->array ||
	    (frame->phase == FRAME_HANDLING && i - frame->first < frame->wf->first_of_failure))
		return false;
	const struct node *n = &frame->nodes[i - frame->first];
	return n->phase == NODE_WAITING || (n->run && (n->run->waiting || n->run->feeding));
}

static void begin_one(struct fold *f)
{
	struct execution *x = f->x;
	bool was_held = x->held_head < x->held.n && !is_full(x);
	uint32_t i = was_held ? POP(&x->held, &x->held_head) : POP(&x->ready, &x->ready_head);

	if (!is_due(f, i))
		return;
	const struct node *n = node_at(f, i);
	bool feeding = n->run && n->run->feeding;
	if (!was_held && node_kind(f, i)->limited && !feeding && !n->skip && is_full(x) && !cache_goes_first(f, i))
		vec_push(&x->held, i);
	else
		node_begin(f, i);
}

void execution_run(struct fold *f)
{
	struct execution *x = f->x;

	if (x->going_on)
		return;
	while (has_work(x)) {
		if (f->record->n_events + f->n_notes >= (size_t)f->e->options.record_events) {
			x->going_on = true;
			action_new(f, ACTION_CONTINUE, 0);
			return;
		}
		if (x->ending.n)
			frame_sweep_one(f);
		else
			begin_one(f);
	}
}

void execution_go_on(struct fold *f)
{
	f->changed |= f->x->going_on;
	f->x->going_on = false;
}

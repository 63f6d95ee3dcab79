/* One execution: accepted, run in parts, ended. Source: flytepropeller controller/workflow/executor.go (v1.16.8). */
#include "engine/private.h"
#include "pb/pb.h"

static const char ABORT_REASON[] = "Workflow aborted.", FAIL_REASON[] = "Some node execution failed, auto-abort.";

struct action *action_new(struct fold *f, enum action_kind kind, uint32_t node)
{
	struct action *a = arena_new_of(f->a, struct action);

	a->kind = kind;
	a->execution = f->x->id;
	a->node = node;
	a->attempt = node >= FIRST_TASK_NODE ? f->x->nodes[node].attempt : 0;
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

static void account(struct engine *e, struct execution *x)
{
	size_t nodes = x->nodes ? x->wf->n_nodes * (sizeof *x->nodes + sizeof *x->ready) : 0;
	size_t error = x->error_arena ? arena_used(x->error_arena) : 0;
	size_t bytes = sizeof *x + arena_used(x->arena) + nodes + error;

	e->bytes += bytes - x->bytes;
	x->bytes = bytes;
}

static void workflow_unref(struct engine *e, struct workflow *w)
{
	if (!w || --w->refs)
		return;
	if (w->digest)
		map_remove(e->workflows, str_of(w->digest));
	e->bytes -= w->bytes;
	workflow_free(w);
}

void execution_free(struct engine *e, struct execution *x)
{
	for (uint32_t i = 0; x->nodes && i < x->wf->n_nodes; i++) {
		outputs_drop(e, x->nodes[i].outputs);
		if (x->nodes[i].run)
			e->bytes -= sizeof *x->nodes[i].run + x->nodes[i].run->started_len;
		free(x->nodes[i].run);
	}
	outputs_collect(e);
	e->bytes -= x->bytes;
	free(x->nodes);
	free(x->ready);
	workflow_unref(e, x->wf);
	arena_free(x->error_arena);
	arena_free(x->arena);
	free(x);
}

/* ---- accept ---- */

struct workflow *execution_workflow(struct engine *e, const AlulaStartExecution *start)
{
	struct workflow *w = *start->closure_digest ? map_get(e->workflows, str_of(start->closure_digest)) : NULL;

	if (w) {
		w->refs++;
		return w;
	}
	if (!start->closure)
		return NULL;
	w = workflow_new(start->closure, &e->options);
	e->bytes += w->bytes;
	if (*start->closure_digest) {
		w->digest = x_strdup(start->closure_digest);
		map_put(e->workflows, str_of(w->digest), w);
	}
	return w;
}

/* The command without its closure, which the workflow stands for. */
static const AlulaCommand *keep_command(struct execution *x, const AlulaCommand *command)
{
	AlulaCommand c = *command;
	AlulaStartExecution start = *command->start;

	start.closure = NULL;
	c.start = &start;
	return pb_clone(&c, x->arena);
}

static void make_nodes(struct execution *x)
{
	const struct workflow *w = x->wf;

	x->nodes = x_calloc(w->n_nodes, sizeof *x->nodes);
	x->ready = x_calloc(w->n_nodes, sizeof *x->ready);
	for (uint32_t i = 0; i < w->n_nodes; i++) {
		x->nodes[i].upstream = w->nodes[i].n_upstream;
		x->nodes[i].users = w->nodes[i].n_users;
	}
	x->ready[x->ready_tail++] = START_NODE;
}

static const CoreExecutionError *why_unreadable(struct fold *f, const AlulaAccepted *in)
{
	if (in->unreadable)
		return in->unreadable;
	if (f->x->wf)
		return f->x->wf->error;
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
	f->record->id = x->command->id;
	x->dir = path_execution(x->arena, f->e->options.metadata_prefix, x->command->id);
	if (!aborted)
		x->wf = in->unreadable ? NULL : execution_workflow(f->e, in->command->start);
	const CoreExecutionError *error = aborted ? NULL : why_unreadable(f, in);
	if (aborted) {
		execution_abort(f);
	} else if (error) {
		execution_fail(f, error);
	} else {
		make_nodes(x);
		event_workflow(f, CORE_WORKFLOW_EXECUTION_PHASE_RUNNING);
		set_deadline(f);
	}
	account(f->e, x);
	execution_run(f);
}

/* ---- the end ---- */

static void done(struct fold *f, CoreWorkflowExecutionPhase phase)
{
	EventWorkflowExecutionEvent *event = event_workflow(f, phase);

	if (phase == CORE_WORKFLOW_EXECUTION_PHASE_FAILED) {
		event->output_result_case = EVENT_WORKFLOW_EXECUTION_EVENT_OUTPUT_RESULT_ERROR;
		event->error = (CoreExecutionError *)f->x->error;
	}
	f->x->phase = EXECUTION_DONE;
	f->record->last = true;
	action_new(f, ACTION_DONE, 0);
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
	f->x->phase = EXECUTION_DONE;
	f->record->last = true;
	action_new(f, ACTION_DONE, 0);
}

void execution_set_error(struct fold *f, const CoreExecutionError *error)
{
	struct execution *x = f->x;

	if (error == x->error)
		return;
	if (x->error_arena)
		arena_reset(x->error_arena);
	else
		x->error_arena = arena_new(512);
	x->error = pb_clone(error, x->error_arena);
	account(f->e, x);
}

void execution_fail(struct fold *f, const CoreExecutionError *error)
{
	struct execution *x = f->x;

	execution_set_error(f, error);
	x->phase = EXECUTION_ENDING;
	EventWorkflowExecutionEvent *event = event_workflow(f, CORE_WORKFLOW_EXECUTION_PHASE_FAILING);
	event->output_result_case = EVENT_WORKFLOW_EXECUTION_EVENT_OUTPUT_RESULT_ERROR;
	event->error = (CoreExecutionError *)x->error;
}

void execution_abort(struct fold *f)
{
	if (f->x->phase == EXECUTION_ENDING || f->x->phase == EXECUTION_DONE)
		return;
	f->x->phase = EXECUTION_ENDING;
	f->x->aborted = true;
	f->changed = true;
}

void execution_timed_out(struct fold *f)
{
	struct execution *x = f->x;
	auto_buf struct buf text = {0};

	if (!x->due_us || (x->phase != EXECUTION_RUNNING && x->phase != EXECUTION_STORING))
		return;
	if (f->now_us < x->due_us) {
		struct action *timer = action_new(f, ACTION_SET_TIMER, 0);
		timer->timer = TIMER_EXECUTION;
		timer->at_us = x->due_us;
		return;
	}
	int64_t timeout_us = x->command->start->timeout_us;
	duration_add(&text, timeout_us > 0 ? timeout_us : f->e->options.default_execution_timeout_us);
	execution_fail(f, error_new(f->a, CORE_EXECUTION_ERROR_ERROR_KIND_USER, "Timeout",
				    "execution timeout [%s] expired", buf_text(&text)));
}

/* ---- outputs that are put together outside ---- */

static const char *outputs_uri(struct fold *f)
{
	const char *node = path_node(f->a, f->x->dir, wf_node(f, END_NODE)->id);

	return arena_printf(f->a, "%s/outputs.pb", path_attempt(f->a, node, 0));
}

const char *execution_store(struct fold *f)
{
	struct resolving r = {.a = f->a, .x = f->x};
	struct action *a = action_new(f, ACTION_STORE_OUTPUTS, END_NODE);
	struct values values = {0};

	resolve_inputs(&r, wf_node(f, END_NODE), &values);
	a->uri = outputs_uri(f);
	a->values = values_clone(f->a, &values);
	a->n_values = values.n;
	return a->uri;
}

void execution_stored(struct fold *f, const AlulaOutputsStored *in)
{
	if (f->x->phase != EXECUTION_STORING)
		return;
	if (in->result_case == ALULA_OUTPUTS_STORED_RESULT_ERROR) {
		node_fail(f, END_NODE, in->error, false);
	} else if (in->result_case == ALULA_OUTPUTS_STORED_RESULT_OUTPUTS) {
		EventNodeExecutionEvent *end = node_succeed(f, END_NODE, NULL);
		end->output_result_case = EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_URI;
		end->output_uri = *in->outputs->uri ? in->outputs->uri : (char *)outputs_uri(f);
		execution_succeed(f, end);
	}
}

/* ---- run, in parts ---- */

static bool may_begin(const struct execution *x, uint32_t i)
{
	int32_t max = x->command->start->max_parallelism;

	return max <= 0 || !x->wf->nodes[i].task || x->nodes[i].skip || x->running < (uint32_t)max;
}

static bool has_work(const struct execution *x)
{
	if (x->phase == EXECUTION_ENDING)
		return true;
	return x->phase == EXECUTION_RUNNING && x->ready_head < x->ready_tail && may_begin(x, x->ready[x->ready_head]);
}

/* One node more is dealt with; after the last the execution is over. */
static void sweep_one(struct fold *f)
{
	struct execution *x = f->x;

	if (x->nodes && x->sweep < x->wf->n_nodes)
		node_abort(f, x->sweep++, x->aborted ? ABORT_REASON : FAIL_REASON);
	else
		done(f, x->aborted ? CORE_WORKFLOW_EXECUTION_PHASE_ABORTED : CORE_WORKFLOW_EXECUTION_PHASE_FAILED);
}

void execution_run(struct fold *f)
{
	struct execution *x = f->x;

	if (x->going_on)
		return;
	while (has_work(x)) {
		if (f->record->n_events >= (size_t)f->e->options.record_events) {
			x->going_on = true;
			action_new(f, ACTION_CONTINUE, 0);
			return;
		}
		if (x->phase == EXECUTION_ENDING)
			sweep_one(f);
		else
			node_begin(f, x->ready[x->ready_head++]);
	}
}

void execution_go_on(struct fold *f)
{
	f->changed |= f->x->going_on;
	f->x->going_on = false;
}

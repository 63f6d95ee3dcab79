/* One node: its turn, its end, and what that means for those that wait for it. */
#include "engine/private.h"
#include "pb/pb.h"

struct run *node_run(struct fold *f, uint32_t i)
{
	struct node *n = &f->x->nodes[i];

	n->run = x_calloc(1, sizeof *n->run);
	n->phase = NODE_RUNNING;
	f->x->running++;
	f->e->bytes += sizeof *n->run;
	return n->run;
}

static void drop_run(struct fold *f, struct node *n)
{
	if (!n->run)
		return;
	f->e->bytes -= sizeof *n->run + n->run->started_len;
	free(n->run);
	n->run = NULL;
	f->x->running--;
}

void node_set_inputs_uri(struct fold *f, uint32_t i, EventNodeExecutionEvent *event)
{
	const struct task *task = wf_node(f, i)->task;

	if (task && task->leaf != LEAF_EXECUTOR)
		return;
	event->input_value_case = EVENT_NODE_EXECUTION_EVENT_INPUT_VALUE_INPUT_URI;
	event->input_uri = (char *)path_inputs(f->a, path_node(f->a, f->x->dir, wf_node(f, i)->id));
}

/* ---- the end of a node ---- */

static void release_sources(struct fold *f, uint32_t i)
{
	const struct edges *sources = &wf_node(f, i)->sources;

	for (uint32_t k = 0; k < sources->n; k++) {
		struct node *source = &f->x->nodes[f->x->wf->edges[sources->first + k]];
		if (--source->users == 0)
			outputs_drop(f->e, take(source->outputs));
	}
}

static void tell_downstream(struct fold *f, uint32_t i, bool skip)
{
	const struct edges *down = &wf_node(f, i)->downstream;
	struct execution *x = f->x;

	for (uint32_t k = 0; k < down->n; k++) {
		uint32_t at = x->wf->edges[down->first + k];
		x->nodes[at].skip |= skip;
		if (--x->nodes[at].upstream == 0)
			x->ready[x->ready_tail++] = at;
	}
}

static void end(struct fold *f, uint32_t i, enum node_phase phase)
{
	struct node *n = &f->x->nodes[i];

	drop_run(f, n);
	n->phase = (uint8_t)phase;
	release_sources(f, i);
	tell_downstream(f, i, phase != NODE_SUCCEEDED);
}

EventNodeExecutionEvent *node_succeed(struct fold *f, uint32_t i, struct outputs *outputs)
{
	struct node *n = &f->x->nodes[i];
	EventNodeExecutionEvent *event = event_node(f, i, CORE_NODE_EXECUTION_PHASE_SUCCEEDED);

	if (n->users)
		n->outputs = outputs;
	else
		outputs_drop(f->e, outputs);
	end(f, i, NODE_SUCCEEDED);
	return event;
}

/* What the execution says of a node that timed out. */
static const CoreExecutionError *execution_error(struct fold *f, const CoreExecutionError *error, bool timed_out)
{
	if (!timed_out)
		return error;
	return error_new(f->a, CORE_EXECUTION_ERROR_ERROR_KIND_USER, "Timeout", "Timeout in node");
}

EventNodeExecutionEvent *node_fail(struct fold *f, uint32_t i, const CoreExecutionError *error, bool timed_out)
{
	EventNodeExecutionEvent *event =
		event_node(f, i, timed_out ? CORE_NODE_EXECUTION_PHASE_TIMED_OUT : CORE_NODE_EXECUTION_PHASE_FAILED);

	event->output_result_case = EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_ERROR;
	event->error = (CoreExecutionError *)error;
	end(f, i, timed_out ? NODE_TIMED_OUT : NODE_FAILED);
	error = execution_error(f, error, timed_out);
	if (f->x->wf->fail_after && i != END_NODE)
		execution_set_error(f, error);
	else
		execution_fail(f, error);
	return event;
}

void node_abort(struct fold *f, uint32_t i, const char *reason)
{
	struct node *n = &f->x->nodes[i];

	if (n->phase != NODE_RUNNING)
		return;
	if (n->run)
		attempt_abort(f, i, reason);
	EventNodeExecutionEvent *event = event_node(f, i, CORE_NODE_EXECUTION_PHASE_ABORTED);
	event->output_result_case = EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_ERROR;
	event->error = error_new(f->a, CORE_EXECUTION_ERROR_ERROR_KIND_UNKNOWN, "NodeAborted", "%s", reason);
	drop_run(f, n);
	n->phase = NODE_ABORTED;
}

/* ---- its turn ---- */

/* The start node's outputs are the execution's inputs. */
static void begin_start(struct fold *f)
{
	const AlulaStartExecution *start = f->x->command->start;
	struct outputs *outputs = outputs_of_execution(f, start);
	EventNodeExecutionEvent *event = node_succeed(f, START_NODE, outputs);

	if (*start->inputs_uri) {
		event->output_result_case = EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_URI;
		event->output_uri = start->inputs_uri;
	} else if (start->inputs) {
		event->output_result_case = EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA;
		event->output_data = start->inputs;
	}
}

static void store_outputs(struct fold *f, EventNodeExecutionEvent *queued)
{
	f->x->nodes[END_NODE].phase = NODE_RUNNING;
	f->x->phase = EXECUTION_STORING;
	queued->input_value_case = EVENT_NODE_EXECUTION_EVENT_INPUT_VALUE_INPUT_URI;
	queued->input_uri = (char *)execution_store(f);
}

/* The end node's inputs are the execution's outputs. */
static void begin_end(struct fold *f)
{
	struct resolving r = {.a = f->a, .x = f->x};
	struct values outputs;

	if (!resolve_inputs(&r, wf_node(f, END_NODE), &outputs)) {
		node_fail(f, END_NODE,
			  error_new(f->a, CORE_EXECUTION_ERROR_ERROR_KIND_SYSTEM, "BindingResolutionFailure", "%s",
				    r.error),
			  false);
		return;
	}
	CoreLiteralMap *map = values_inline(f->a, &outputs);
	EventNodeExecutionEvent *queued = event_node(f, END_NODE, CORE_NODE_EXECUTION_PHASE_QUEUED);
	if (!map || pb_size(map) > f->e->options.inline_bytes) {
		store_outputs(f, queued);
		return;
	}
	queued->input_value_case = EVENT_NODE_EXECUTION_EVENT_INPUT_VALUE_INPUT_DATA;
	queued->input_data = map;
	EventNodeExecutionEvent *last = node_succeed(f, END_NODE, NULL);
	if (outputs.n) {
		last->output_result_case = EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA;
		last->output_data = map;
	}
	execution_succeed(f, last);
}

static void skip(struct fold *f, uint32_t i)
{
	event_node(f, i, CORE_NODE_EXECUTION_PHASE_SKIPPED);
	end(f, i, NODE_SKIPPED);
	if (i == END_NODE)
		execution_fail(f, f->x->error);
}

void node_begin(struct fold *f, uint32_t i)
{
	if (f->x->nodes[i].skip)
		skip(f, i);
	else if (i == START_NODE)
		begin_start(f);
	else if (i == END_NODE)
		begin_end(f);
	else
		attempt_first(f, i);
}

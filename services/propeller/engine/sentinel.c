/* The start node, whose outputs are the workflow's inputs, and the end node, whose inputs are its outputs. */
#include "engine/private.h"
#include "pb/pb.h"

/* ---- start ---- */

static void show_given(struct fold *f, EventNodeExecutionEvent *event, const struct outputs *given)
{
	struct values values = {given ? given->at : NULL, given ? given->n : 0};
	CoreLiteralMap *map = values.n ? values_inline(f->a, &values) : NULL;

	if (!map)
		return;
	event->output_result_case = EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA;
	event->output_data = map;
}

/* What a node gave its workflow is there already. */
static void begin_start(struct fold *f, uint32_t i)
{
	const AlulaStartExecution *start = f->x->command->start;
	bool top = !frame_of(f, i)->parent;
	EventNodeExecutionEvent *event = event_node(f, i, CORE_NODE_EXECUTION_PHASE_SUCCEEDED);

	if (top)
		event_set_outputs(event, NULL, start->inputs_uri, start->inputs);
	else
		show_given(f, event, node_at(f, i)->outputs);
	node_succeed(f, i, event, top ? outputs_of_execution(f, start) : take(node_at(f, i)->outputs));
}

const struct kind KIND_OF_START = {.begin = begin_start};

/* ---- end ---- */

static void store_outputs(struct fold *f, struct frame *frame, EventNodeExecutionEvent *queued)
{
	frame->nodes[END_NODE].phase = NODE_RUNNING;
	frame->phase = FRAME_STORING;
	queued->input_value_case = EVENT_NODE_EXECUTION_EVENT_INPUT_VALUE_INPUT_URI;
	queued->input_uri = (char *)frame_store(f, frame);
}

static bool outputs_are_used(const struct fold *f, const struct frame *frame)
{
	return frame->parent && node_at(f, frame->node)->users > 0;
}

static void begin_end(struct fold *f, uint32_t i)
{
	struct frame *frame = frame_of(f, i);
	struct resolving r = resolving_of(f, i);
	struct values outputs;

	if (!resolve_inputs(&r, wf_node(f, i), &outputs)) {
		node_fail(f, i,
			  error_new(f->a, CORE_EXECUTION_ERROR_ERROR_KIND_SYSTEM, "BindingResolutionFailure", "%s",
				    r.error),
			  false);
		return;
	}
	CoreLiteralMap *map = values_inline(f->a, &outputs);
	EventNodeExecutionEvent *queued = event_node(f, i, CORE_NODE_EXECUTION_PHASE_QUEUED);
	if (!map || pb_size(map) > f->e->options.inline_bytes) {
		store_outputs(f, frame, queued);
		return;
	}
	queued->input_value_case = EVENT_NODE_EXECUTION_EVENT_INPUT_VALUE_INPUT_DATA;
	queued->input_data = map;
	struct outputs *given = outputs_are_used(f, frame) ? outputs_of_values(f->e, &outputs) : NULL;
	EventNodeExecutionEvent *last = event_node(f, i, CORE_NODE_EXECUTION_PHASE_SUCCEEDED);
	if (outputs.n) {
		last->output_result_case = EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA;
		last->output_data = map;
	}
	node_succeed(f, i, last, NULL);
	frame_succeed(f, frame, last, given);
}

const struct kind KIND_OF_END = {.begin = begin_end};

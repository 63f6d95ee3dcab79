/* Nodes that are workflows. Source: flytepropeller controller/nodes/subworkflow/subworkflow.go (v1.16.8). */
#include "engine/private.h"

static void start(struct fold *f, uint32_t i, const struct values *inputs)
{
	const CoreExecutionError *error = NULL;

	node_set_deadlines(f, i);
	if (!frame_begin(f, i, wf_node(f, i)->workflow, inputs, false, &error)) {
		node_set_inputs_uri(f, i, node_fail(f, i, error, false));
		return;
	}
	node_timers(f, i);
}

static void begin(struct fold *f, uint32_t i)
{
	struct values inputs;

	if (!node_inputs(f, i, &inputs))
		return;
	node_queue(f, i, &inputs)->started = true;
	event_node(f, i, CORE_NODE_EXECUTION_PHASE_RUNNING);
	start(f, i, &inputs);
}

static void again(struct fold *f, uint32_t i)
{
	struct values inputs;

	if (node_inputs(f, i, &inputs))
		start(f, i, &inputs);
}

static void pending(struct fold *f, uint32_t i)
{
	node_timers(f, i);
}

static void frame_done(struct fold *f, uint32_t i, const EventNodeExecutionEvent *end, struct outputs *outputs)
{
	EventNodeExecutionEvent *event = event_node(f, i, CORE_NODE_EXECUTION_PHASE_SUCCEEDED);

	node_copy_result(event, end);
	node_succeed(f, i, event, outputs);
}

static void frame_failed(struct fold *f, uint32_t i, const CoreExecutionError *error, bool timed_out)
{
	(void)timed_out;
	node_fail(f, i, error, false);
}

static void describe(const struct fold *f, uint32_t i, EventNodeExecutionEvent *event)
{
	(void)f;
	(void)i;
	event->is_parent = true;
}

const struct kind KIND_OF_SUBWORKFLOW = {
	.begin = begin,
	.again = again,
	.pending = pending,
	.frame_done = frame_done,
	.frame_failed = frame_failed,
	.describe = describe,
};

/* Nodes that launch another execution, by its launch plan. The child has a name that follows from the node's, so
 * launching it twice is launching it once.
 * Source: flytepropeller controller/nodes/subworkflow/{launchplan,util}.go (v1.16.8). */
#include "engine/private.h"
#include "flyte/ids.h"
#include "pb/pb.h"

enum { CHILD_NAME_MAX = 20 };

#define USER_ERROR    CORE_EXECUTION_ERROR_ERROR_KIND_USER
#define UNKNOWN_ERROR CORE_EXECUTION_ERROR_ERROR_KIND_UNKNOWN

/* ---- the child ---- */

static CoreWorkflowExecutionIdentifier child_id(struct fold *f, uint32_t i, uint32_t attempt)
{
	const CoreWorkflowExecutionIdentifier *parent = f->x->command->id;
	const char *parts[] = {parent->name, node_unique_id(f, i), arena_printf(f->a, "%u", attempt)};
	CoreWorkflowExecutionIdentifier id = CORE_WORKFLOW_EXECUTION_IDENTIFIER_INIT;

	id.project = parent->project;
	id.domain = parent->domain;
	id.name = (char *)flyte_unique_id(f->a, parts, 3, CHILD_NAME_MAX, UNIQUE_ID_FNV64);
	return id;
}

static void remember(struct fold *f, uint32_t i)
{
	if (!f->x->children)
		f->x->children = map_new();
	map_put(f->x->children, str_of(child_id(f, i, node_at(f, i)->attempt).name), (void *)(uintptr_t)(i + 1));
}

static void forget(struct fold *f, uint32_t i)
{
	map_remove(f->x->children, str_of(child_id(f, i, node_at(f, i)->attempt).name));
}

static void launch(struct fold *f, uint32_t i, const struct values *inputs)
{
	struct child *c = arena_new_of(f->a, struct child);

	c->id = child_id(f, i, node_at(f, i)->attempt);
	c->launch_plan = wf_node(f, i)->launch_plan;
	c->parent_node_id = node_unique_id(f, i);
	c->command = f->x->command;
	c->inputs = values_clone(f->a, inputs);
	c->n_inputs = inputs->n;
	c->recovers = node_at(f, i)->attempt == 0 ? recovered_child(f, i) : NULL;
	action_new(f, ACTION_LAUNCH, i)->child = c;
}

static void abort_child(struct fold *f, uint32_t i, CoreWorkflowExecutionIdentifier id, const char *reason)
{
	struct child *c = arena_new_of(f->a, struct child);

	c->id = id;
	c->command = f->x->command;
	c->reason = arena_printf(f->a, "cascading abort as parent execution id [%s] aborted, reason [%s]",
				 f->x->command->id->name, reason);
	action_new(f, ACTION_ABORT_CHILD, i)->child = c;
}

static EventNodeExecutionEvent *with_child(struct fold *f, uint32_t i, EventNodeExecutionEvent *event)
{
	EventWorkflowNodeMetadata *m = pb_new(f->a, EVENT_WORKFLOW_NODE_METADATA_DESC);
	CoreWorkflowExecutionIdentifier id = child_id(f, i, node_at(f, i)->attempt);

	m->execution_id = arena_dup(f->a, &id, sizeof id);
	event->target_metadata_case = EVENT_NODE_EXECUTION_EVENT_TARGET_METADATA_WORKFLOW_NODE_METADATA;
	event->workflow_node_metadata = m;
	return event;
}

/* ---- begin ---- */

static void start(struct fold *f, uint32_t i, const struct values *inputs)
{
	remember(f, i);
	node_set_deadlines(f, i);
	launch(f, i, inputs);
	node_timers(f, i);
}

static void begin(struct fold *f, uint32_t i)
{
	struct values inputs;

	if (!node_inputs(f, i, &inputs))
		return;
	node_queue(f, i, &inputs);
	start(f, i, &inputs);
}

static void again(struct fold *f, uint32_t i)
{
	struct values inputs;

	if (node_inputs(f, i, &inputs))
		start(f, i, &inputs);
}

/* Whoever launches knows what was launched before, and tells. */
static void pending(struct fold *f, uint32_t i)
{
	struct resolving r = resolving_of(f, i);
	uint32_t attempt = node_at(f, i)->attempt;
	struct values inputs;

	/* The earlier attempt's child may not have been stopped before we were. */
	if (attempt > 0)
		abort_child(f, i, child_id(f, i, attempt - 1), "");
	if (resolve_inputs(&r, wf_node(f, i), &inputs))
		launch(f, i, &inputs);
	node_timers(f, i);
}

/* ---- end ---- */

static void running(struct fold *f, uint32_t i)
{
	struct node *n = node_at(f, i);

	if (n->run->started)
		return;
	n->run->started = true;
	f->changed = true;
	if (!n->run->told || frame_of(f, i)->array)
		with_child(f, i, event_node(f, i, CORE_NODE_EXECUTION_PHASE_RUNNING));
	n->run->told = true;
}

static void failed(struct fold *f, uint32_t i, const CoreExecutionError *error)
{
	forget(f, i);
	EventNodeExecutionEvent *event = node_fail(f, i, error, false);
	node_set_inputs_uri(f, i, with_child(f, i, event));
}

void launch_started(struct fold *f, const AlulaChildStarted *in)
{
	struct node *n = node_running(f, in->node);

	if (!n || wf_node(f, in->node)->kind != KIND_LAUNCH_PLAN || n->attempt != in->attempt || n->run->started)
		return;
	if (!in->error) {
		running(f, in->node);
		return;
	}
	forget(f, in->node);
	node_set_inputs_uri(f, in->node, node_fail(f, in->node, in->error, false));
}

static void succeeded(struct fold *f, uint32_t i, const AlulaChildFinished *in)
{
	EventNodeExecutionEvent *event = with_child(f, i, event_node(f, i, CORE_NODE_EXECUTION_PHASE_SUCCEEDED));

	node_set_inputs_uri(f, i, event);
	if (in->result_case == ALULA_CHILD_FINISHED_RESULT_OUTPUTS_URI) {
		event->output_result_case = EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_URI;
		event->output_uri = in->outputs_uri;
	} else if (in->result_case == ALULA_CHILD_FINISHED_RESULT_OUTPUTS) {
		event->output_result_case = EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA;
		event->output_data = in->outputs;
	}
	forget(f, i);
	node_succeed(f, i, event, node_at(f, i)->users ? outputs_of_child(f, in) : NULL);
}

static const CoreExecutionError *aborted_error(struct fold *f, uint32_t i, const char *name)
{
	static const char CODE[] = "RemoteChildWorkflowExecutionFailed";

	return error_new(f->a, USER_ERROR, CODE,
			 "failed at Node[%s]. %s: launchplan [%s] aborted, caused by: launchplan execution aborted",
			 wf_node(f, i)->id, CODE, name);
}

static const CoreExecutionError *failed_error(struct fold *f, const AlulaChildFinished *in)
{
	if (in->result_case == ALULA_CHILD_FINISHED_RESULT_ERROR)
		return in->error;
	return error_new(f->a, UNKNOWN_ERROR, "LaunchPlanExecutionFailed", "Unknown Error");
}

void launch_finished(struct fold *f, const AlulaChildFinished *in)
{
	const char *name = in->child ? in->child->name : "";
	uintptr_t at = f->x->children ? (uintptr_t)map_get(f->x->children, str_of(name)) : 0;
	uint32_t i = (uint32_t)(at - 1);

	if (!at || !node_running(f, i))
		return;
	switch (in->phase) {
	case CORE_WORKFLOW_EXECUTION_PHASE_SUCCEEDED:
		running(f, i);
		succeeded(f, i, in);
		break;
	case CORE_WORKFLOW_EXECUTION_PHASE_ABORTED:
		running(f, i);
		failed(f, i, aborted_error(f, i, name));
		break;
	case CORE_WORKFLOW_EXECUTION_PHASE_FAILED:
	case CORE_WORKFLOW_EXECUTION_PHASE_TIMED_OUT:
		running(f, i);
		failed(f, i, failed_error(f, in));
		break;
	default: break;
	}
}

/* ---- abort ---- */

static void stop(struct fold *f, uint32_t i, const char *reason)
{
	forget(f, i);
	abort_child(f, i, child_id(f, i, node_at(f, i)->attempt), reason);
}

static void stop_again(struct fold *f, uint32_t i)
{
	uint32_t last = node_at(f, i)->attempt;

	for (uint32_t k = last ? last - 1 : 0; k <= last; k++)
		abort_child(f, i, child_id(f, i, k), "");
}

static bool orphan(struct fold *f, uint32_t i, uint32_t attempt, struct orphan *ret)
{
	*ret = (struct orphan){i, attempt, arena_strdup(f->x->arena, child_id(f, i, attempt).name)};
	return true;
}

void launch_abort_orphan(struct fold *f, const struct orphan *o)
{
	CoreWorkflowExecutionIdentifier id = *f->x->command->id;

	id.name = (char *)o->child;
	abort_child(f, START_NODE, id, "");
}

static void describe(const struct fold *f, uint32_t i, EventNodeExecutionEvent *event)
{
	event->target_entity = (CoreIdentifier *)wf_node(f, i)->launch_plan;
}

const struct kind KIND_OF_LAUNCH_PLAN = {
	.limited = true,
	.begin = begin,
	.again = again,
	.abort = stop,
	.pending = pending,
	.stop_again = stop_again,
	.orphan = orphan,
	.describe = describe,
};

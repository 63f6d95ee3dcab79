/* Tasks that give a workflow, which then runs in their node.
 * Source: flytepropeller controller/nodes/dynamic/{handler,dynamic_workflow}.go (v1.16.8). */
#include "flyte/dynamic.h"
#include "engine/private.h"
#include "pb/pb.h"

static const char BUILD_FAILED[] = "DynamicWorkflowBuildFailed";

static const struct closure *compile(struct fold *f, const CoreCompiledWorkflowClosure *from)
{
	struct closure *c = closure_new(from, &f->e->options, true);

	f->e->bytes += c->bytes;
	vec_push(&f->x->dynamic, c);
	return c;
}

/* A large workflow is told of by its place: whoever wants it finds it beside the job's specification. */
static void tell(struct fold *f, uint32_t i, const AlulaDynamicWorkflow *in, char *deck_uri)
{
	EventNodeExecutionEvent *event = event_node(f, i, CORE_NODE_EXECUTION_PHASE_DYNAMIC_RUNNING);
	EventTaskNodeMetadata *m = pb_new(f->a, EVENT_TASK_NODE_METADATA_DESC);

	m->dynamic_workflow = pb_new(f->a, EVENT_DYNAMIC_WORKFLOW_NODE_METADATA_DESC);
	m->dynamic_workflow->id = in->closure->primary->template_->id;
	if (pb_size(in->closure) <= f->e->options.inline_bytes || !compiled_futures_uri(f->a, in->uri))
		m->dynamic_workflow->compiled_workflow = in->closure;
	m->dynamic_workflow->dynamic_job_spec_uri = in->uri;
	event->target_metadata_case = EVENT_NODE_EXECUTION_EVENT_TARGET_METADATA_TASK_NODE_METADATA;
	event->task_node_metadata = m;
	event->deck_uri = deck_uri;
	node_set_inputs_uri(f, i, event);
}

void dynamic_begin(struct fold *f, uint32_t i, const AlulaDynamicWorkflow *in, char *deck_uri)
{
	const CoreExecutionError *error = in->error;
	const struct closure *c = in->closure ? compile(f, in->closure) : NULL;
	struct run *r = node_at(f, i)->run;

	if (!error && (!c || c->error))
		error = error_new(f->a, CORE_EXECUTION_ERROR_ERROR_KIND_USER, BUILD_FAILED, "%s",
				  c ? c->error->message : "the task gave no workflow");
	if (!error)
		frame_begin(f, i, &c->workflows[0], &(struct values){0}, true, &error);
	if (error) {
		node_set_inputs_uri(f, i, node_fail(f, i, error, false));
		return;
	}
	r->dynamic = true;
	node_uncount(f, r);
	tell(f, i, in, deck_uri);
}

static void succeed(struct fold *f, uint32_t i, const AlulaAttemptOutputs *given, struct outputs *outputs,
		    const AlulaCachePut *put)
{
	EventNodeExecutionEvent *event = event_node(f, i, CORE_NODE_EXECUTION_PHASE_SUCCEEDED);

	node_set_inputs_uri(f, i, event);
	event_set_outputs(event, NULL, given->uri, given->literals);
	if (put) {
		event->target_metadata_case = EVENT_NODE_EXECUTION_EVENT_TARGET_METADATA_TASK_NODE_METADATA;
		event->task_node_metadata = pb_new(f->a, EVENT_TASK_NODE_METADATA_DESC);
		cache_tell(f, i, event->task_node_metadata, put);
	}
	node_succeed(f, i, event, outputs);
}

void dynamic_succeeded(struct fold *f, const AlulaAttemptFinished *in, struct outputs *outputs,
		       const AlulaCachePut *put)
{
	succeed(f, in->node, in->outputs, outputs, put);
}

void dynamic_done(struct fold *f, uint32_t i, const EventNodeExecutionEvent *end, struct outputs *outputs)
{
	AlulaAttemptFinished in = ALULA_ATTEMPT_FINISHED_INIT;
	AlulaAttemptOutputs given = ALULA_ATTEMPT_OUTPUTS_INIT;

	in.node = i;
	in.attempt = node_at(f, i)->attempt;
	in.outcome_case = ALULA_ATTEMPT_FINISHED_OUTCOME_OUTPUTS;
	in.outputs = &given;
	if (end->output_result_case == EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_URI)
		given.uri = end->output_uri;
	else if (end->output_result_case == EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA)
		given.literals = end->output_data;
	if (!cache_keep(f, &in, outputs))
		succeed(f, i, &given, outputs, NULL);
}

/* A failure of its nodes is final; if one timed out, the task may run again. */
void dynamic_failed(struct fold *f, uint32_t i, const CoreExecutionError *error, bool timed_out)
{
	EventNodeExecutionEvent *event;

	if (timed_out)
		event = node_retry_or_fail(f, i,
					   error_new(f->a, CORE_EXECUTION_ERROR_ERROR_KIND_UNKNOWN,
						     "DynamicNodeFailing", "Dynamic workflow failed"),
					   false);
	else
		event = node_fail(f, i, error, false);
	if (event)
		node_set_inputs_uri(f, i, event);
}

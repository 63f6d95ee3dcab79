/* Tasks that run inside the engine: echo hands its input on, core-sleep waits. No files are written: the values travel
 * in the events. Source: flyteplugins tasks/plugins/testing/echo.go (v1.16.8); flyte-benchmarks' core-sleep leaf. */
#include "engine/private.h"
#include "pb/pb.h"

static void set_values(EventTaskExecutionEvent *task, EventNodeExecutionEvent *node, CoreLiteralMap *outputs)
{
	static const EventTaskNodeMetadata NOT_CACHED = EVENT_TASK_NODE_METADATA_INIT;

	node->target_metadata_case = EVENT_NODE_EXECUTION_EVENT_TARGET_METADATA_TASK_NODE_METADATA;
	node->task_node_metadata = (EventTaskNodeMetadata *)&NOT_CACHED;
	if (!outputs)
		return;
	task->output_result_case = EVENT_TASK_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA;
	task->output_data = outputs;
	node->output_result_case = EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA;
	node->output_data = outputs;
}

/* What echo gives: its input under the name of its output. */
static struct outputs *echo(struct fold *f, uint32_t i, const struct resolving *r, const struct values *inputs,
			    CoreLiteralMap **ret_map)
{
	const struct task *task = wf_node(f, i)->task;
	const struct value_ref *in = NULL;

	*ret_map = NULL;
	for (size_t k = 0; task->in && k < inputs->n; k++)
		if (strcmp(inputs->at[k].var, task->in) == 0)
			in = &inputs->at[k];
	if (!in)
		return NULL;
	if (in->literal)
		*ret_map = literal_map_of(f->a, &in->literal, &task->out, 1);
	if (wf_node(f, i)->n_users == 0 && !wf_node(f, i)->cache)
		return NULL;
	return outputs_alias(f->e, in, r->source, r->composed || inputs->n > 1, task->out);
}

void leaf_set_inputs(struct fold *f, uint32_t i, EventNodeExecutionEvent *event, const struct values *inputs)
{
	CoreLiteralMap *map = wf_node(f, i)->task->leaf == LEAF_EXECUTOR ? NULL : values_inline(f->a, inputs);

	node_set_inputs_uri(f, i, event);
	if (!map)
		return;
	event->input_value_case = EVENT_NODE_EXECUTION_EVENT_INPUT_VALUE_INPUT_DATA;
	event->input_data = map;
}

void leaf_instant(struct fold *f, uint32_t i, const struct resolving *r, const struct values *inputs)
{
	AlulaAttemptFinished finished = ALULA_ATTEMPT_FINISHED_INIT;
	CoreLiteralMap *in = values_inline(f->a, inputs), *out = NULL;
	const struct run *run = node_at(f, i)->run;
	bool echoes = wf_node(f, i)->task->leaf == LEAF_ECHO;

	if (!run || !run->queued)
		leaf_set_inputs(f, i, event_node(f, i, CORE_NODE_EXECUTION_PHASE_QUEUED), inputs);
	struct outputs *outputs = echoes ? echo(f, i, r, inputs, &out) : NULL;
	finished.node = i;
	finished.attempt = node_at(f, i)->attempt;
	if (echoes && cache_keep(f, &finished, outputs))
		return;
	EventTaskExecutionEvent *task = event_task(f, i, CORE_TASK_EXECUTION_PHASE_SUCCEEDED);
	if (in) {
		task->input_value_case = EVENT_TASK_EXECUTION_EVENT_INPUT_VALUE_INPUT_DATA;
		task->input_data = in;
	}
	EventNodeExecutionEvent *last = event_node(f, i, CORE_NODE_EXECUTION_PHASE_SUCCEEDED);
	set_values(task, last, out);
	node_succeed(f, i, last, outputs);
}

void leaf_succeeded(struct fold *f, uint32_t i, struct outputs *outputs, const AlulaCachePut *put)
{
	struct values values = {outputs ? outputs->at : NULL, outputs ? outputs->n : 0};
	EventTaskExecutionEvent *task = event_task(f, i, CORE_TASK_EXECUTION_PHASE_SUCCEEDED);

	if (frame_of(f, i)->array)
		array_note_cache(frame_of(f, i), put->status);
	EventNodeExecutionEvent *last = event_node(f, i, CORE_NODE_EXECUTION_PHASE_SUCCEEDED);
	set_values(task, last, values.n ? values_inline(f->a, &values) : NULL);
	last->task_node_metadata = pb_new(f->a, EVENT_TASK_NODE_METADATA_DESC);
	cache_tell(f, i, last->task_node_metadata, put);
	node_succeed(f, i, last, outputs);
}

/* ---- core-sleep ---- */

bool leaf_sleep_us(const struct values *inputs, int64_t *ret)
{
	for (size_t i = 0; i < inputs->n; i++) {
		const CoreLiteral *l = inputs->at[i].literal;
		const CorePrimitive *p = l && l->value_case == CORE_LITERAL_VALUE_SCALAR &&
							 l->scalar->value_case == CORE_SCALAR_VALUE_PRIMITIVE
						 ? l->scalar->primitive
						 : NULL;
		if (p && p->value_case == CORE_PRIMITIVE_VALUE_DURATION) {
			*ret = pb_duration_us(p->duration);
			return true;
		}
	}
	return false;
}

void leaf_done_sleeping(struct fold *f, uint32_t i)
{
	EventTaskExecutionEvent *task = event_task(f, i, CORE_TASK_EXECUTION_PHASE_SUCCEEDED);
	EventNodeExecutionEvent *last = event_node(f, i, CORE_NODE_EXECUTION_PHASE_SUCCEEDED);

	set_values(task, last, NULL);
	node_succeed(f, i, last, NULL);
}

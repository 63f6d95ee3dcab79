/* Executions that take over what an earlier one has finished: such nodes end at once, in phase RECOVERED, with what
 * they gave then. Of others the checkpoint, the dynamic workflow, the finished items of an array or the launched
 * execution are used again. Source: flytepropeller controller/nodes/executor.go attemptRecovery (v1.16.8). */
#include "engine/private.h"
#include "google/protobuf/struct.h"
#include "pb/pb.h"

/* What the earlier execution left, by nodes' unique ids; nodes are unpacked when they are looked at. */
struct recovery {
	struct arena *arena;
	const AlulaRecovery *left;
	struct map *nodes; /* AlulaRecoveredNode */
	size_t bytes;
};

static const char ITEM_KEY[] = "recovered_from";

/* ---- life ---- */

void recovery_begin(struct fold *f, const AlulaRecovery *in)
{
	struct recovery *r = x_calloc(1, sizeof *r);

	r->arena = arena_new(4096);
	r->left = pb_clone(in, r->arena);
	r->nodes = map_new();
	for (size_t i = 0; i < r->left->n_nodes; i++)
		map_put(r->nodes, str_of(r->left->nodes[i]->node_id), r->left->nodes[i]);
	r->bytes = sizeof *r + arena_used(r->arena) + map_count(r->nodes) * 3 * sizeof(void *);
	f->e->bytes += r->bytes;
	f->x->recovery = r;
}

void recovery_free(struct engine *e, struct recovery *r)
{
	if (!r)
		return;
	e->bytes -= r->bytes;
	map_free(r->nodes);
	arena_free(r->arena);
	free(r);
}

/* ---- what there was ---- */

static const AlulaRecoveredNode *find(const struct fold *f, const char *unique_id)
{
	return f->x->recovery ? map_get(f->x->recovery->nodes, str_of(unique_id)) : NULL;
}

/* NULL if the node is not known, or what is said of it cannot be read: then it runs like a new one. */
static const EventNodeExecutionEvent *look_up(struct fold *f, uint32_t i)
{
	const AlulaRecoveredNode *n = f->x->recovery ? find(f, node_unique_id(f, i)) : NULL;
	void *event;

	if (!n)
		return NULL;
	struct str packed = {(const char *)n->event.data, n->event.len};
	return pb_unpack(EVENT_NODE_EXECUTION_EVENT_DESC, packed, f->a, &event, NULL) == OK ? event : NULL;
}

static const EventTaskNodeMetadata *task_metadata(const EventNodeExecutionEvent *old)
{
	bool has = old && old->target_metadata_case == EVENT_NODE_EXECUTION_EVENT_TARGET_METADATA_TASK_NODE_METADATA;

	return has ? old->task_node_metadata : NULL;
}

const char *recovered_checkpoint(struct fold *f, uint32_t i)
{
	const EventTaskNodeMetadata *m = frame_of(f, i)->array ? NULL : task_metadata(look_up(f, i));

	return m ? m->checkpoint_uri : "";
}

const CoreWorkflowExecutionIdentifier *recovered_child(struct fold *f, uint32_t i)
{
	const EventNodeExecutionEvent *old = frame_of(f, i)->array ? NULL : look_up(f, i);
	bool has =
		old && old->target_metadata_case == EVENT_NODE_EXECUTION_EVENT_TARGET_METADATA_WORKFLOW_NODE_METADATA;

	return has ? old->workflow_node_metadata->execution_id : NULL;
}

/* ---- nodes that are done ---- */

static void copy_input(EventNodeExecutionEvent *to, const EventNodeExecutionEvent *from)
{
	to->input_value_case = from->input_value_case;
	if (from->input_value_case == EVENT_NODE_EXECUTION_EVENT_INPUT_VALUE_INPUT_URI)
		to->input_uri = from->input_uri;
	else if (from->input_value_case == EVENT_NODE_EXECUTION_EVENT_INPUT_VALUE_INPUT_DATA)
		to->input_data = from->input_data;
}

static void copy_target(EventNodeExecutionEvent *to, const EventNodeExecutionEvent *from)
{
	to->target_metadata_case = from->target_metadata_case;
	if (from->target_metadata_case == EVENT_NODE_EXECUTION_EVENT_TARGET_METADATA_TASK_NODE_METADATA)
		to->task_node_metadata = from->task_node_metadata;
	else if (from->target_metadata_case == EVENT_NODE_EXECUTION_EVENT_TARGET_METADATA_WORKFLOW_NODE_METADATA)
		to->workflow_node_metadata = from->workflow_node_metadata;
}

/* What leaves inside the engine hand on of large values is not told: they run again. */
static bool lacks_outputs(const struct fold *f, uint32_t i, const EventNodeExecutionEvent *old)
{
	return node_at(f, i)->users > 0 && !old->output_result_case;
}

static struct outputs *outputs_of(struct fold *f, uint32_t i, const EventNodeExecutionEvent *old)
{
	if (node_at(f, i)->users == 0)
		return NULL;
	if (old->output_result_case == EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA)
		return outputs_of_map(f->e, old->output_data);
	if (old->output_result_case == EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_URI)
		return outputs_at(f->e, old->output_uri);
	return NULL;
}

static void recovered(struct fold *f, uint32_t i, const EventNodeExecutionEvent *old)
{
	EventNodeExecutionEvent *event = event_node(f, i, CORE_NODE_EXECUTION_PHASE_RECOVERED);

	copy_input(event, old);
	copy_target(event, old);
	node_copy_result(event, old);
	event->deck_uri = old->deck_uri;
	event->is_parent |= old->is_parent;
	event->is_dynamic |= old->is_dynamic;
	node_succeed(f, i, event, outputs_of(f, i, old));
}

/* ---- dynamic nodes whose task was done ---- */

static const char *spec_uri(const EventNodeExecutionEvent *old)
{
	const EventTaskNodeMetadata *m = task_metadata(old);

	return m && m->dynamic_workflow ? m->dynamic_workflow->dynamic_job_spec_uri : "";
}

static bool compile_again(struct fold *f, uint32_t i, const EventNodeExecutionEvent *old)
{
	const struct wf_node *wn = wf_node(f, i);

	if (wn->kind != KIND_TASK || wn->task->leaf != LEAF_EXECUTOR || !*spec_uri(old))
		return false;
	struct attempt *a = attempt_described(f, i);
	if (!a)
		return false;
	struct run *r = node_run(f, i);
	r->recovering = r->started = true;
	node_set_deadlines(f, i);
	copy_input(event_node(f, i, CORE_NODE_EXECUTION_PHASE_RUNNING), old);
	struct action *action = action_new(f, ACTION_COMPILE_FUTURES, i);
	action->start = a;
	action->uri = spec_uri(old);
	node_timers(f, i);
	return true;
}

void recovering_pending(struct fold *f, uint32_t i)
{
	const EventNodeExecutionEvent *old = look_up(f, i);
	struct attempt *a = old ? attempt_described(f, i) : NULL;

	if (!a)
		return;
	struct action *action = action_new(f, ACTION_COMPILE_FUTURES, i);
	action->start = a;
	action->uri = spec_uri(old);
	node_timers(f, i);
}

void recovering_compiled(struct fold *f, const AlulaAttemptFinished *in)
{
	struct run *r = node_at(f, in->node)->run;
	EventNodeExecutionEvent *event;

	if (in->outcome_case == ALULA_ATTEMPT_FINISHED_OUTCOME_DYNAMIC) {
		r->recovering = false;
		dynamic_begin(f, in->node, in->dynamic, in->deck_uri);
	} else if (in->outcome_case == ALULA_ATTEMPT_FINISHED_OUTCOME_ERROR && in->error->error) {
		r->recovering = false;
		event = node_retry_or_fail(f, in->node, in->error->error, in->error->system);
		if (event)
			node_set_inputs_uri(f, in->node, event);
	}
}

/* ---- its turn ---- */

bool recover_node(struct fold *f, uint32_t i)
{
	enum node_kind kind = wf_node(f, i)->kind;
	const EventNodeExecutionEvent *old = kind == KIND_START || kind == KIND_END ? NULL : look_up(f, i);

	if (!old)
		return false;
	if (old->phase != CORE_NODE_EXECUTION_PHASE_RECOVERED)
		return compile_again(f, i, old);
	if (lacks_outputs(f, i, old))
		return false;
	recovered(f, i, old);
	return true;
}

/* ---- items of arrays ---- */

void recover_items(struct fold *f, struct frame *frame)
{
	const AlulaRecoveredNode *n = find(f, frame->unique_id);
	AlulaRecoveredItems *items;
	struct array *a = frame->array;

	if (!n || n->items.len == 0 || !a->spec->item.task || a->spec->item.task->leaf != LEAF_EXECUTOR)
		return;
	struct str packed = {(const char *)n->items.data, n->items.len};
	if (pb_unpack(ALULA_RECOVERED_ITEMS_DESC, packed, f->a, (void **)&items, NULL) != OK)
		return;
	a->recovered = arena_array(frame->arena, const char *, a->size);
	/* The same place in the other execution's directory. */
	const char *below = frame->dir + strlen(top_frame(f->x)->dir);
	const char *dir = arena_printf(
		f->a, "%s%s", path_execution(f->a, f->e->options.metadata_prefix, f->x->recovery->left->source), below);
	for (size_t k = 0; k < items->n_items; k++) {
		const AlulaRecoveredItem *item = items->items[k];
		if (item->index >= a->size)
			continue;
		a->recovered[item->index] = *item->output_uri
						    ? arena_strdup(frame->arena, item->output_uri)
						    : arena_printf(frame->arena, "%s/outputs.pb",
								   path_item(f->a, dir, item->index, item->attempt));
	}
}

/* So that another execution can recover it from this one. */
static PbStruct *where_from(struct arena *a, const char *uri)
{
	PbStruct *s = pb_new(a, PB_STRUCT_DESC);
	PbStructFieldsEntry *field = pb_new(a, PB_STRUCT_FIELDS_ENTRY_DESC);

	field->key = (char *)ITEM_KEY;
	field->value = pb_new(a, PB_VALUE_DESC);
	field->value->kind_case = PB_VALUE_KIND_STRING_VALUE;
	field->value->string_value = (char *)uri;
	*PB_ADD(a, s->fields, s->n_fields) = field;
	return s;
}

bool recover_item(struct fold *f, struct frame *frame, uint32_t item)
{
	const char *uri = frame->array->recovered ? frame->array->recovered[item] : NULL;

	if (!uri)
		return false;
	event_task(f, frame->first + item, CORE_TASK_EXECUTION_PHASE_SUCCEEDED)->custom_info = where_from(f->a, uri);
	node_succeed(f, frame->first + item, NULL, outputs_at(f->e, uri));
	return true;
}

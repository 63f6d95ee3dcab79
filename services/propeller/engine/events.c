/* Flyte's events, as its propeller makes them. Source: flytepropeller controller/nodes/transformers.go,
 * nodes/task/transformer.go, workflow/executor.go (v1.16.8). */
#include "engine/private.h"
#include "flyte/ids.h"
#include "pb/pb.h"

static const char PRODUCER[] = "propeller";

static AlulaExecutionEvent *add(struct fold *f, AlulaExecutionEvent *e)
{
	*PB_ADD(f->a, f->record->events, f->record->n_events) = e;
	f->changed = true;
	return e;
}

static void describe(const struct fold *f, uint32_t i, EventNodeExecutionEvent *event)
{
	const struct kind *kind = node_kind(f, i);

	if (kind->describe)
		kind->describe(f, i, event);
}

static CoreNodeExecutionIdentifier *inner_id(struct fold *f, uint32_t i)
{
	CoreNodeExecutionIdentifier *id = pb_new(f->a, CORE_NODE_EXECUTION_IDENTIFIER_DESC);
	id->node_id = (char *)node_unique_id(f, i);
	return id;
}

static CoreNodeExecutionIdentifier *event_id(struct fold *f, uint32_t i)
{
	return frame_of(f, i)->parent ? inner_id(f, i) : (CoreNodeExecutionIdentifier *)&wf_node(f, i)->event_id;
}

/* Of a node inside another one. */
static void set_parent(struct fold *f, uint32_t i, EventNodeExecutionEvent *n)
{
	const struct frame *frame = frame_of(f, i);
	uint32_t branch = wf_node(f, i)->parent;

	n->parent_node_metadata = pb_new(f->a, EVENT_PARENT_NODE_EXECUTION_METADATA_DESC);
	n->parent_node_metadata->node_id =
		(char *)(branch == NO_NODE ? frame->unique_id : node_unique_id(f, frame->first + branch));
	n->retry_group = (char *)(branch == NO_NODE ? frame->retry_group : "0");
	n->is_in_dynamic_chain = frame->dynamic;
}

/* ---- of items ---- */

static void note_task(struct fold *f, uint32_t i, const EventTaskExecutionEvent *t)
{
	struct frame *frame = frame_of(f, i);

	array_note(f, frame, i - frame->first, t);
}

/* A launched execution has no task: its node's phases are told. */
static void note_item(struct fold *f, uint32_t i, CoreNodeExecutionPhase phase)
{
	static const unsigned char PHASES[] = {
		[CORE_NODE_EXECUTION_PHASE_QUEUED] = CORE_TASK_EXECUTION_PHASE_QUEUED,
		[CORE_NODE_EXECUTION_PHASE_RUNNING] = CORE_TASK_EXECUTION_PHASE_RUNNING,
		[CORE_NODE_EXECUTION_PHASE_SUCCEEDED] = CORE_TASK_EXECUTION_PHASE_SUCCEEDED,
		[CORE_NODE_EXECUTION_PHASE_FAILED] = CORE_TASK_EXECUTION_PHASE_FAILED,
		[CORE_NODE_EXECUTION_PHASE_TIMED_OUT] = CORE_TASK_EXECUTION_PHASE_FAILED,
		[CORE_NODE_EXECUTION_PHASE_ABORTED] = CORE_TASK_EXECUTION_PHASE_ABORTED,
	};

	f->changed = true;
	if (wf_node(f, i)->kind == KIND_TASK || phase >= ARRAY_SIZE(PHASES))
		return;
	EventTaskExecutionEvent *t = pb_new(f->a, EVENT_TASK_EXECUTION_EVENT_DESC);
	t->phase = (CoreTaskExecutionPhase)PHASES[phase];
	t->retry_attempt = node_at(f, i)->attempt;
	note_task(f, i, t);
}

/* ---- of nodes, tasks, workflows ---- */

EventNodeExecutionEvent *event_node(struct fold *f, uint32_t i, CoreNodeExecutionPhase phase)
{
	struct both {
		AlulaExecutionEvent event;
		EventNodeExecutionEvent node;
	} *both = arena_alloc(f->a, sizeof *both);
	const struct frame *frame = frame_of(f, i);
	const struct wf_node *wn = wf_node(f, i);
	EventNodeExecutionEvent *n = &both->node;

	both->event = (AlulaExecutionEvent)ALULA_EXECUTION_EVENT_INIT;
	both->event.event_case = ALULA_EXECUTION_EVENT_EVENT_NODE;
	both->event.node = n;
	*n = (EventNodeExecutionEvent)EVENT_NODE_EXECUTION_EVENT_INIT;
	if (frame->array) {
		note_item(f, i, phase);
		return n;
	}
	n->id = frame->parent ? inner_id(f, i) : (CoreNodeExecutionIdentifier *)&wn->event_id;
	n->producer_id = (char *)PRODUCER;
	n->phase = phase;
	n->occurred_at = n->reported_at = f->now;
	n->spec_node_id = (char *)wn->id;
	n->node_name = (char *)wn->name;
	n->event_version = 1;
	if (wn->task) {
		n->target_entity = wn->task->template->id;
		n->is_eager = wn->task->template->metadata && wn->task->template->metadata->is_eager;
	}
	if (frame->parent || wn->parent != NO_NODE)
		set_parent(f, i, n);
	/* Of a task there is more to say only while it runs. */
	if (!wn->task || frame->nodes[i - frame->first].run)
		describe(f, i, n);
	add(f, &both->event);
	return n;
}

void event_set_outputs(EventNodeExecutionEvent *node, EventTaskExecutionEvent *task, const char *uri,
		       CoreLiteralMap *data)
{
	if (*uri) {
		node->output_result_case = EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_URI;
		node->output_uri = (char *)uri;
	} else if (data) {
		node->output_result_case = EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA;
		node->output_data = data;
	}
	if (task && *uri) {
		task->output_result_case = EVENT_TASK_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_URI;
		task->output_uri = (char *)uri;
	} else if (task && data) {
		task->output_result_case = EVENT_TASK_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA;
		task->output_data = data;
	}
}

/* A gate has begun to wait. */
void event_signal(struct fold *f, const char *id, CoreLiteralType *type)
{
	AlulaExecutionEvent *e = pb_new(f->a, ALULA_EXECUTION_EVENT_DESC);

	e->event_case = ALULA_EXECUTION_EVENT_EVENT_SIGNAL;
	e->signal = pb_new(f->a, ALULA_SIGNAL_AWAITED_DESC);
	e->signal->signal_id = (char *)id;
	e->signal->type = type;
	e->signal->occurred_at = f->now;
	add(f, e);
}

static const char *plugin_of(struct fold *f, uint32_t i)
{
	const struct task *task = wf_node(f, i)->task;

	switch (task->leaf) {
	case LEAF_ECHO: return "echo";
	case LEAF_CORE_SLEEP: return "core-sleep";
	default: break;
	}
	const char *made_by = resource_plugin(f, i, node_at(f, i)->attempt);
	if (made_by)
		return made_by;
	return f->e->options.plugin_of ? f->e->options.plugin_of(f->e->options.arg, task->template) : "container";
}

EventTaskExecutionEvent *event_task(struct fold *f, uint32_t i, CoreTaskExecutionPhase phase)
{
	struct both {
		AlulaExecutionEvent event;
		EventTaskExecutionEvent task;
		EventTaskExecutionMetadata metadata;
	} *both = arena_alloc(f->a, sizeof *both);
	const struct wf_node *wn = wf_node(f, i);
	EventTaskExecutionEvent *t = &both->task;
	bool is_item = frame_of(f, i)->array; /* its event is a note in another one, and needs no names */

	both->event = (AlulaExecutionEvent)ALULA_EXECUTION_EVENT_INIT;
	both->event.event_case = ALULA_EXECUTION_EVENT_EVENT_TASK;
	both->event.task = t;
	both->metadata = (EventTaskExecutionMetadata)EVENT_TASK_EXECUTION_METADATA_INIT;
	if (!is_item)
		both->metadata.generated_name = (char *)attempt_name(f, i, node_at(f, i)->attempt);
	both->metadata.plugin_identifier = (char *)plugin_of(f, i);
	both->metadata.instance_class = attempt_interruptible(f, i)
						? EVENT_TASK_EXECUTION_METADATA_INSTANCE_CLASS_INTERRUPTIBLE
						: EVENT_TASK_EXECUTION_METADATA_INSTANCE_CLASS_DEFAULT;
	*t = (EventTaskExecutionEvent)EVENT_TASK_EXECUTION_EVENT_INIT;
	t->task_id = wn->task->template->id;
	t->parent_node_execution_id = is_item ? NULL : event_id(f, i);
	t->retry_attempt = node_at(f, i)->attempt;
	t->phase = phase;
	t->producer_id = (char *)PRODUCER;
	t->occurred_at = t->reported_at = f->now;
	t->task_type = wn->task->template->type;
	t->metadata = &both->metadata;
	t->event_version = 1;
	if (is_item)
		note_task(f, i, t);
	else
		add(f, &both->event);
	return t;
}

EventTaskExecutionEvent *event_array(struct fold *f, uint32_t i, CoreTaskExecutionPhase phase)
{
	AlulaExecutionEvent *e = pb_new(f->a, ALULA_EXECUTION_EVENT_DESC);
	EventTaskExecutionEvent *t = pb_new(f->a, EVENT_TASK_EXECUTION_EVENT_DESC);

	e->event_case = ALULA_EXECUTION_EVENT_EVENT_TASK;
	e->task = t;
	t->parent_node_execution_id = event_id(f, i);
	t->phase = phase;
	t->producer_id = (char *)PRODUCER;
	t->occurred_at = t->reported_at = f->now;
	t->task_type = "container_array";
	t->metadata = pb_new(f->a, EVENT_TASK_EXECUTION_METADATA_DESC);
	t->metadata->plugin_identifier = "k8s-array";
	t->event_version = 1;
	add(f, e);
	return t;
}

void values_of_map(struct arena *a, const CoreLiteralMap *m, struct values *ret)
{
	struct value_ref *at = arena_array(a, struct value_ref, m->n_literals);

	for (size_t i = 0; i < m->n_literals; i++)
		at[i] = (struct value_ref){.var = m->literals[i]->key, .literal = m->literals[i]->value};
	*ret = (struct values){at, m->n_literals};
}

EventWorkflowExecutionEvent *event_workflow(struct fold *f, CoreWorkflowExecutionPhase phase)
{
	AlulaExecutionEvent *e = add(f, pb_new(f->a, ALULA_EXECUTION_EVENT_DESC));
	EventWorkflowExecutionEvent *w = pb_new(f->a, EVENT_WORKFLOW_EXECUTION_EVENT_DESC);

	e->event_case = ALULA_EXECUTION_EVENT_EVENT_WORKFLOW;
	e->workflow = w;
	w->producer_id = (char *)PRODUCER;
	w->phase = phase;
	w->occurred_at = f->now;
	return w;
}

CoreLiteralMap *literal_map_of(struct arena *a, const CoreLiteral *const *items, const char *const *keys, size_t n)
{
	struct all {
		CoreLiteralMap map;
		CoreLiteralMapLiteralsEntry entries[];
	} *all = arena_alloc(a, sizeof *all + n * (sizeof *all->entries + sizeof(void *)));
	CoreLiteralMapLiteralsEntry **ptrs = (void *)(all->entries + n);

	all->map = (CoreLiteralMap)CORE_LITERAL_MAP_INIT;
	for (size_t i = 0; i < n; i++) {
		all->entries[i] = (CoreLiteralMapLiteralsEntry)CORE_LITERAL_MAP_LITERALS_ENTRY_INIT;
		all->entries[i].key = (char *)keys[i];
		all->entries[i].value = (CoreLiteral *)items[i];
		ptrs[i] = &all->entries[i];
	}
	all->map.literals = ptrs;
	all->map.n_literals = n;
	return &all->map;
}

CoreLiteralMap *values_inline(struct arena *a, const struct values *v)
{
	const CoreLiteral *one[8], **items = v->n <= ARRAY_SIZE(one) ? one : arena_array(a, const CoreLiteral *, v->n);
	const char *one_key[8], **keys = v->n <= ARRAY_SIZE(one_key) ? one_key : arena_array(a, const char *, v->n);

	for (size_t i = 0; i < v->n; i++) {
		if (!v->at[i].literal)
			return NULL;
		items[i] = v->at[i].literal;
		keys[i] = v->at[i].var;
	}
	return literal_map_of(a, items, keys, v->n);
}

CoreExecutionError *error_new(struct arena *a, CoreExecutionErrorErrorKind kind, const char *code, const char *fmt, ...)
{
	CoreExecutionError *e = pb_new(a, CORE_EXECUTION_ERROR_DESC);
	va_list ap;

	va_start(ap, fmt);
	e->kind = kind;
	e->code = arena_strdup(a, code);
	e->message = arena_vprintf(a, fmt, ap);
	va_end(ap);
	return e;
}

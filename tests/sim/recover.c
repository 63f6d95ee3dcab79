/* Executions that take over what an earlier one has finished: what admin would write down of it. Their places begin
 * like those of the earlier one with '~' before them: fortune is another one there, but what is given is the same. */
#include "google/protobuf/struct.h"
#include "sim.h"

const char *without_fortune(const char *dir)
{
	while (*dir == '~')
		dir++;
	return dir;
}

/* ---- what is written down ---- */

static struct left *left_put(struct sim *s, struct exec *x, const char *dir, const char *node_id)
{
	struct left *l = map_get(x->left, str_of(dir));

	if (l)
		return l;
	l = arena_new_of(s->a, struct left);
	map_put(x->left, str_of(dir), l);
	l->node_id = arena_strdup(s->a, node_id);
	l->items = pb_new(s->a, ALULA_RECOVERED_ITEMS_DESC);
	return l;
}

static const EventTaskNodeMetadata *task_metadata(const EventNodeExecutionEvent *e)
{
	bool has = e->target_metadata_case == EVENT_NODE_EXECUTION_EVENT_TARGET_METADATA_TASK_NODE_METADATA;

	return has ? e->task_node_metadata : NULL;
}

/* What an event does not say stands as it was. */
static void merge(EventNodeExecutionEvent *e, const EventNodeExecutionEvent *before)
{
	if (!e->target_metadata_case) {
		e->target_metadata_case = before->target_metadata_case;
		e->task_node_metadata = before->task_node_metadata;
	}
	if (!e->input_value_case) {
		e->input_value_case = before->input_value_case;
		e->input_data = before->input_data;
	}
}

void left_note(struct sim *s, struct exec *x, const struct place *p, const EventNodeExecutionEvent *e)
{
	bool done = e->phase == CORE_NODE_EXECUTION_PHASE_SUCCEEDED || e->phase == CORE_NODE_EXECUTION_PHASE_RECOVERED;

	if (!p->node || e->phase == CORE_NODE_EXECUTION_PHASE_SKIPPED)
		return;
	struct left *l = left_put(s, x, p->dir, e->id->node_id);
	EventNodeExecutionEvent *event = pb_clone(e, s->a);
	const EventTaskNodeMetadata *m = task_metadata(event);
	if (l->event)
		merge(event, l->event);
	if (m && m->dynamic_workflow && *m->dynamic_workflow->dynamic_job_spec_uri)
		l->futures_uri = m->dynamic_workflow->dynamic_job_spec_uri;
	l->event = event;
	l->done = done;
	l->untold = e->output_result_case == EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_NOT_SET;
}

/* Where the item's outputs lie, if it was recovered itself. */
static const char *recovered_from(const EventExternalResourceInfo *info)
{
	const PbStruct *custom = info->custom_info;

	for (size_t i = 0; custom && i < custom->n_fields; i++)
		if (strcmp(custom->fields[i]->key, "recovered_from") == 0)
			return custom->fields[i]->value->string_value;
	return "";
}

void left_note_item(struct sim *s, struct exec *x, const struct place *array, const EventExternalResourceInfo *info)
{
	const AlulaRecoveredItem *old = item_left(x, array->node, array->dir, info->index);
	const char *from = recovered_from(info);

	if (info->phase != CORE_TASK_EXECUTION_PHASE_SUCCEEDED)
		return;
	check(s, !old == !*from);
	check(s, !old || strcmp(from, item_left_uri(s, x, old, array->dir)) == 0);
	seen->items_recovered += old != NULL;
	struct left *l = map_get(x->left, str_of(array->dir));
	AlulaRecoveredItem *item = pb_new(s->a, ALULA_RECOVERED_ITEM_DESC);
	check(s, l);
	item->index = info->index;
	item->attempt = info->retry_attempt;
	item->output_uri = arena_strdup(s->a, from);
	*PB_ADD(s->a, l->items->items, l->items->n_items) = item;
}

/* ---- what is told of it ---- */

static EventTaskNodeMetadata *metadata_left(struct sim *s, const struct left *l)
{
	const EventTaskNodeMetadata *old = task_metadata(l->event);
	EventTaskNodeMetadata *m = pb_new(s->a, EVENT_TASK_NODE_METADATA_DESC);

	m->checkpoint_uri = old->checkpoint_uri;
	if (l->futures_uri) {
		m->dynamic_workflow = pb_new(s->a, EVENT_DYNAMIC_WORKFLOW_NODE_METADATA_DESC);
		m->dynamic_workflow->dynamic_job_spec_uri = (char *)l->futures_uri;
	}
	return m;
}

static AlulaRecoveredNode *node_left(struct sim *s, const struct left *l)
{
	AlulaRecoveredNode *n = pb_new(s->a, ALULA_RECOVERED_NODE_DESC);
	EventNodeExecutionEvent e = *l->event;

	e.phase = l->done ? CORE_NODE_EXECUTION_PHASE_RECOVERED : CORE_NODE_EXECUTION_PHASE_FAILED;
	if (!l->done && task_metadata(l->event))
		e.task_node_metadata = metadata_left(s, l);
	struct str packed = pb_pack(&e, s->a), items = pb_pack(l->items, s->a);
	n->node_id = (char *)l->node_id;
	n->event = (ProtobufCBinaryData){packed.len, (uint8_t *)packed.ptr};
	if (!l->done)
		n->items = (ProtobufCBinaryData){items.len, (uint8_t *)items.ptr};
	return n;
}

void left_tell(struct sim *s, const struct exec *old, AlulaStartExecution *start)
{
	AlulaRecovery *r = pb_new(s->a, ALULA_RECOVERY_DESC);
	size_t it = 0;
	void *value;

	r->source = pb_new(s->a, CORE_WORKFLOW_EXECUTION_IDENTIFIER_DESC);
	r->source->project = "p";
	r->source->domain = "development";
	r->source->name = (char *)old->name;
	while (map_next(old->left, &it, NULL, &value)) {
		const struct left *l = value;
		if (l->event->phase != CORE_NODE_EXECUTION_PHASE_QUEUED)
			*PB_ADD(s->a, r->nodes, r->n_nodes) = node_left(s, l);
	}
	start->recovery_uri = arena_printf(s->a, "/recoveries/%s", old->name);
	start->recovery = r;
}

/* ---- what there is ---- */

/* What the execution that this one recovers has at the same place. */
static void *old_at(const struct exec *x, const struct map *m, const char *dir)
{
	auto_buf struct buf b = {0};

	buf_printf(&b, "%s%s", x->recovers->dir, dir + strlen(x->dir));
	return map_get(m, buf_str(&b));
}

const struct left *left_of(const struct exec *x, const char *dir)
{
	const struct left *l = x->recovers ? old_at(x, x->recovers->left, dir) : NULL;

	return l && l->event->phase != CORE_NODE_EXECUTION_PHASE_QUEUED ? l : NULL;
}

bool outcome_left(const struct exec *x, const char *dir, struct outcome *ret)
{
	const struct left *l = left_of(x, dir);
	const struct outcome *o = l ? old_at(x, x->recovers->results, dir) : NULL;

	if (!l || !l->done)
		return false;
	*ret = outcome_gives(o ? o->v[0] : (struct val){.kind = VAL_ANY, .may_miss = true});
	return true;
}

bool is_half_done(const struct exec *x, const char *dir)
{
	const struct left *l = left_of(x, dir);

	return l && !l->done && l->futures_uri;
}

bool is_settled(const struct exec *x, const char *dir)
{
	const struct left *l = left_of(x, dir);

	return l && l->done && !l->untold;
}

const char *checkpoint_left(const struct exec *x, const char *dir)
{
	const struct left *l = left_of(x, dir);
	const EventTaskNodeMetadata *m = l ? task_metadata(l->event) : NULL;

	return m ? m->checkpoint_uri : "";
}

const char *child_left(const struct exec *x, const char *dir)
{
	const struct left *l = left_of(x, dir);
	bool has = l &&
		   l->event->target_metadata_case == EVENT_NODE_EXECUTION_EVENT_TARGET_METADATA_WORKFLOW_NODE_METADATA;

	return has ? l->event->workflow_node_metadata->execution_id->name : NULL;
}

const AlulaRecoveredItem *item_left(const struct exec *x, const struct plan_node *array, const char *array_dir,
				    uint32_t item)
{
	const struct left *l = array->item->kind == PLAN_TASK ? left_of(x, array_dir) : NULL;

	for (size_t i = 0; l && !l->done && i < l->items->n_items; i++)
		if (l->items->items[i]->index == item)
			return l->items->items[i];
	return NULL;
}

const char *item_left_uri(struct sim *s, const struct exec *x, const AlulaRecoveredItem *item, const char *array_dir)
{
	return *item->output_uri ? item->output_uri
				 : arena_printf(s->a, "%s%s/0/%u/%u/outputs.pb", x->recovers->root,
						array_dir + strlen(x->dir), item->index, item->attempt);
}

/* ---- who recovers ---- */

static bool all_over(const struct sim *s, const struct exec *x)
{
	for (size_t i = 0; i < s->execs.n; i++) {
		const struct exec *child = s->execs.at[i];
		if (child->parent == x && !(child->done && all_over(s, child)))
			return false;
	}
	return x->done;
}

/* Somebody may; not before all that it launched has been stopped. */
void recover_perhaps(struct sim *s, struct exec *x)
{
	bool over_well = x->phase == CORE_WORKFLOW_EXECUTION_PHASE_SUCCEEDED;

	x->to_recover = !x->parent && !over_well && !x->accept->accepted->unreadable && strlen(x->dir) <= 2 &&
			(*x->dir || one_in(s, 2));
}

void recover_what_is_over(struct sim *s)
{
	for (size_t i = 0; i < s->execs.n; i++) {
		struct exec *x = s->execs.at[i];
		if (!x->to_recover || !all_over(s, x))
			continue;
		x->to_recover = false;
		seen->recoveries++;
		exec_new(s, x->plan, arena_printf(s->a, "~%s", x->dir), x->input, NULL, x);
	}
}

/* The task of a dynamic node was done. */
void compile_futures(struct sim *s, struct exec *x, const struct action *action)
{
	const struct place *place = place_named(x, action->start->node_unique_id);

	check(s, place && place->node && place->node->kind == PLAN_DYNAMIC && is_half_done(x, place->dir));
	post(s, later(s, 2),
	     finished_dynamic(s->a, x->id, 0, action->node, action->attempt,
			      closure_of_plan(s, plan_of_dynamic(s, place->dir, place->node->depth + 1))),
	     MAIL_INTERNAL);
}

/* Executions that take over what an earlier one has finished: what admin would write down of it. Their places begin
 * with
 * '~': fortune is another one there, but what is given is the same. */
#include "sim.h"

/* What is known of a node that has had this event. */
void left_note(struct sim *s, struct exec *x, const struct place *p, const EventNodeExecutionEvent *e)
{
	bool done = e->phase == CORE_NODE_EXECUTION_PHASE_SUCCEEDED || e->phase == CORE_NODE_EXECUTION_PHASE_RECOVERED;

	if (!p->node || !(done || e->phase == CORE_NODE_EXECUTION_PHASE_DYNAMIC_RUNNING))
		return;
	struct left *l = map_get(x->left, str_of(p->dir));
	if (!l) {
		l = arena_new_of(s->a, struct left);
		map_put(x->left, str_of(p->dir), l);
	}
	l->node_id = arena_strdup(s->a, e->id->node_id);
	l->event = pb_clone(e, s->a);
	l->done = done;
	l->untold = e->output_result_case == EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_NOT_SET;
	if (done)
		l->event->phase = CORE_NODE_EXECUTION_PHASE_RECOVERED;
}

static AlulaRecoveredNode *node_left(struct sim *s, const struct left *l)
{
	AlulaRecoveredNode *n = pb_new(s->a, ALULA_RECOVERED_NODE_DESC);
	struct str packed = pb_pack(l->event, s->a);

	n->node_id = (char *)l->node_id;
	n->event = (ProtobufCBinaryData){packed.len, (uint8_t *)packed.ptr};
	return n;
}

void left_tell(struct sim *s, const struct exec *old, AlulaStartExecution *start)
{
	AlulaRecovery *r = pb_new(s->a, ALULA_RECOVERY_DESC);
	size_t it = 0;
	void *l;

	r->source = pb_new(s->a, CORE_WORKFLOW_EXECUTION_IDENTIFIER_DESC);
	r->source->project = "p";
	r->source->domain = "development";
	r->source->name = (char *)old->name;
	while (map_next(old->left, &it, NULL, &l))
		*PB_ADD(s->a, r->nodes, r->n_nodes) = node_left(s, l);
	start->recovery_uri = arena_printf(s->a, "/recoveries/%s", old->name);
	start->recovery = r;
}

/* Of the execution that this one recovers. */
const struct left *left_of(const struct exec *x, const char *dir)
{
	return x->recovers ? map_get(x->recovers->left, str_of(dir + 1)) : NULL;
}

const char *without_fortune(const char *dir)
{
	while (*dir == '~')
		dir++;
	return dir;
}

bool outcome_left(const struct exec *x, const char *dir, struct outcome *ret)
{
	const struct left *l = left_of(x, dir);
	const struct outcome *o = l ? map_get(x->recovers->results, str_of(dir + 1)) : NULL;

	if (!l || !l->done)
		return false;
	*ret = outcome_gives(o ? o->v[0] : (struct val){.kind = VAL_ANY, .may_miss = true});
	return true;
}

bool is_half_done(const struct exec *x, const char *dir)
{
	const struct left *l = left_of(x, dir);

	return l && !l->done;
}

bool is_settled(const struct exec *x, const char *dir)
{
	const struct left *l = left_of(x, dir);

	return l && l->done && !l->untold;
}

/* The task of a dynamic node was done. */
void compile_futures(struct sim *s, struct exec *x, const struct action *action)
{
	const struct place *place = place_named(x, action->start->node_unique_id);

	check(s, place && place->node && place->node->kind == PLAN_DYNAMIC && left_of(x, place->dir));
	post(s, later(s, 2),
	     finished_dynamic(s->a, x->id, 0, action->node, action->attempt,
			      closure_of_plan(s, plan_of_dynamic(s, place->dir, place->node->depth + 1))),
	     MAIL_INTERNAL);
}

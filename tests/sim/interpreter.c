/* A plain interpreter of plans: recursion, no events, no time. It tells what may become of an execution: several
 * things, when that depends on who is faster. Knows nothing of the engine. */
#include "interpreter.h"

/* ---- sources ---- */

static const struct outcome *result_of(const struct scope *c, const struct plan_node *n)
{
	return map_get(c->done, (struct str){(const char *)&n, sizeof n});
}

/* MISSING inside a list makes all of it missing. */
static struct val resolve(const struct scope *c, const struct source *from)
{
	if (from->kind == SOURCE_CONSTANT)
		return (struct val){.kind = VAL_INT, .number = from->constant};
	if (from->kind == SOURCE_INPUT)
		return c->input;
	if (from->kind == SOURCE_NODE)
		return result_of(c, from->node)->v[0];
	struct val *items = arena_array(c->s->a, struct val, from->n);
	bool may_miss = false;
	for (size_t i = 0; i < from->n; i++) {
		items[i] = resolve(c, &from->items[i]);
		if (items[i].kind == VAL_MISSING)
			return items[i];
		may_miss |= items[i].may_miss;
		items[i].may_miss = false;
	}
	return (struct val){.kind = VAL_LIST, .items = items, .n = from->n, .may_miss = may_miss};
}

/* Have those that this value is made of succeeded, perhaps? */
static bool is_reached(const struct scope *c, const struct source *from)
{
	if (from->kind == SOURCE_NODE)
		return result_of(c, from->node)->ok;
	for (size_t i = 0; from->kind == SOURCE_LIST && i < from->n; i++)
		if (!is_reached(c, &from->items[i]))
			return false;
	return true;
}

bool may_begin(const struct scope *c, const struct plan_node *n)
{
	for (size_t i = 0; i < n->n_in; i++)
		if (!is_reached(c, &n->in[i]))
			return false;
	for (size_t i = 0; i < n->n_after; i++)
		if (!result_of(c, n->after[i])->ok)
			return false;
	return true;
}

static bool may_go_wrong(const struct scope *c, const struct source *from)
{
	const struct outcome *o = from->kind == SOURCE_NODE ? result_of(c, from->node) : NULL;

	if (o && (o->fail || o->timed_out || o->skip))
		return true;
	for (size_t i = 0; from->kind == SOURCE_LIST && i < from->n; i++)
		if (may_go_wrong(c, &from->items[i]))
			return true;
	return false;
}

/* Something that it waits for may fail. */
bool may_be_skipped(const struct scope *c, const struct plan_node *n)
{
	for (size_t i = 0; i < n->n_in; i++)
		if (may_go_wrong(c, &n->in[i]))
			return true;
	for (size_t i = 0; i < n->n_after; i++) {
		struct source from = {.kind = SOURCE_NODE, .node = n->after[i]};
		if (may_go_wrong(c, &from))
			return true;
	}
	return false;
}

/* ---- patience ---- */

/* Is it a matter of luck whether a node is done before its time is up? */
bool is_racing(const struct scope *c)
{
	return c->s->racing || c->x->starved;
}

/* Something that lasts too long for its node, or may. */
void lose_patience(const struct scope *c, const struct plan_node *n, struct outcome *o)
{
	if (n->timeout_us && (o->slow || is_racing(c)))
		o->fail = o->timed_out = true;
}

/* ---- nodes ---- */

static struct outcome run_kind(struct scope *c, const struct plan_node *n, const char *dir, const struct val *in,
			       size_t n_in)
{
	switch (n->kind) {
	case PLAN_SLEEP:
	case PLAN_SIGNAL:
	case PLAN_APPROVAL: return run_gate(c, n, dir, in);
	case PLAN_WORKFLOW: return run_workflow(c, n, dir, in);
	case PLAN_BRANCH: return run_branch(c, n, dir, in);
	case PLAN_LAUNCH: return run_launch(c, n, dir, in);
	case PLAN_CHILD: return run_child(c, n, dir, in);
	case PLAN_ARRAY: return run_array(c, n, dir, in);
	default: return run_task(c, n, dir, in, n_in);
	}
}

struct outcome run_node(struct scope *c, const struct plan_node *n, const char *dir, const struct val *item_inputs,
			size_t n_item_inputs)
{
	struct val in[2] = {0};
	struct outcome o = {0};
	bool left = !item_inputs && outcome_left(c->x, dir, &o);
	bool settled = left && is_settled(c->x, dir);
	struct outcome again = {0};
	bool may_miss = false, misses = false;

	for (size_t i = 0; !settled && i < ARRAY_SIZE(in); i++) {
		if (i < n_item_inputs)
			in[i] = item_inputs[i];
		else if (i < n->n_in)
			in[i] = resolve(c, &n->in[i]);
		if (item_inputs || i >= n->n_in)
			continue;
		misses |= in[i].kind == VAL_MISSING;
		may_miss |= in[i].may_miss;
		in[i].may_miss = false;
	}
	if (!misses && !settled)
		again = run_kind(c, n, dir, in, item_inputs ? n_item_inputs : n->n_in);
	outcome_either(&o, &again);
	o.fail |= misses || may_miss;
	o.fail |= c->s->bad_store && !settled;
	o.skip = !item_inputs && may_be_skipped(c, n);
	struct outcome *kept = arena_dup(c->s->a, &o, sizeof o);
	map_put(c->done, (struct str){(const char *)&n, sizeof n}, kept);
	if (!item_inputs)
		map_put(c->x->results, str_of(dir), kept);
	return o;
}

/* ---- workflows ---- */

static const char *node_dir(const struct scope *c, const struct plan_node *n)
{
	return arena_printf(c->s->a, c->top ? "%s/%s/data" : "%s/%s", c->dir, n->id);
}

static struct outcome run_nodes(struct scope *c)
{
	static const struct outcome NEVER = {0};
	struct outcome all = {.ok = true};

	for (size_t i = 0; i < c->plan->nodes.n; i++) {
		const struct plan_node *n = c->plan->nodes.at[i];
		struct outcome o = NEVER;
		if (may_begin(c, n))
			o = run_node(c, n, node_dir(c, n), NULL, 0);
		else
			map_put(c->done, (struct str){(const char *)&n, sizeof n}, (void *)&NEVER);
		all.ok &= o.ok;
		all.fail |= o.fail;
		all.timed_out |= o.timed_out;
		all.slow |= o.slow;
	}
	return all;
}

struct outcome run_plan(struct scope *outer, const struct plan *p, const char *dir, struct val input, bool top)
{
	struct scope c = {outer->s, outer->x, p, dir, input, map_new(), top};
	struct outcome all = run_nodes(&c);

	all.n = all.ok ? p->n_outputs : 0;
	for (size_t i = 0; i < all.n; i++) {
		all.v[i] = resolve(&c, &p->outputs[i]);
		all.fail |= all.v[i].kind == VAL_MISSING || all.v[i].may_miss;
		all.ok &= all.v[i].kind != VAL_MISSING;
		all.v[i].may_miss = false;
	}
	all.fail |= c.s->bad_store;
	if (p->failure) {
		struct outcome o = run_node(&c, p->failure, node_dir(&c, p->failure), NULL, 0);
		all.slow |= (all.fail || all.timed_out) && o.slow;
	}
	if (top && p->timeout_us)
		all.fail = true;
	map_free(c.done);
	return all;
}

void interpret(struct sim *s, struct exec *x)
{
	struct scope none = {.s = s, .x = x};

	x->allowed = run_plan(&none, x->plan, x->dir, x->input, true);
	/* What hangs takes the places of others. */
	x->starved = x->plan->max_parallelism && x->allowed.slow;
	if (x->starved)
		x->allowed = run_plan(&none, x->plan, x->dir, x->input, true);
	x->allowed.fail |= x->allowed.timed_out;
}

/* The interpreter: arrays. */
#include <math.h>

#include "interpreter.h"

/* How many items; -1: they do not fit, -2: who knows. */
static int measure(const struct plan_node *n, const struct val *in)
{
	int size = -1;
	size_t bound = 0;

	for (size_t i = 0; i < n->n_in; i++) {
		bound += n->bound[i];
		if (n->bound[i])
			continue;
		if (in[i].kind == VAL_ANY)
			return -2;
		if (in[i].kind != VAL_LIST)
			continue;
		if (size >= 0 && size != (int)in[i].n)
			return -1;
		size = (int)in[i].n;
	}
	return size < 0 && bound == n->n_in ? 1 : size;
}

static uint32_t least(const struct plan_node *n, int size)
{
	if (n->min == MIN_NUMBER)
		return n->min_number;
	return n->min == MIN_RATIO ? (uint32_t)ceil((double)n->min_ratio * size) : (uint32_t)size;
}

static struct val item_value(const struct outcome *o)
{
	struct val none = {.kind = VAL_NONE};
	struct val v = o->v[0].kind == VAL_MISSING ? none : o->v[0];

	if (!o->ok)
		return none;
	return o->fail ? val_join(v, none) : v;
}

/* One that was done in an execution that this one recovers gives what it gave. */
static struct outcome run_item(struct scope *c, const struct plan_node *n, const char *dir, uint32_t item,
			       const struct val *in)
{
	const char *item_dir = arena_printf(c->s->a, "%s/0/%u", dir, item);
	const AlulaRecoveredItem *old = item_left(c->x, n, dir, item);

	if (!old)
		return run_node(c, n->item, item_dir, in, n->n_in);
	const CoreLiteralMap *m = store_get(c->s, item_left_uri(c->s, c->x, old, dir));
	return outcome_gives(val_of(c->s->a, m->literals[0]->value));
}

struct outcome run_array(struct scope *c, const struct plan_node *n, const char *dir, const struct val *in)
{
	int size = measure(n, in);
	bool by_plan = n->item->kind == PLAN_LAUNCH || n->item->kind == PLAN_CHILD, may_miss = by_plan,
	     misses = by_plan;
	struct outcome all = {0};
	uint32_t may_succeed = 0, may_fail = 0;

	if (size == -1)
		return outcome_fails();
	if (size == -2) {
		c->x->imprecise = true;
		return (struct outcome){.ok = true,
					.fail = true,
					.slow = true,
					.v = {{VAL_ANY, true, 0, NULL, 0}},
					.n = 1,
					.timed_out = n->timeout_us != 0};
	}
	struct val *items = arena_array(c->s->a, struct val, (size_t)size);
	for (int i = 0; i < size; i++) {
		struct val item_in[2];
		for (size_t k = 0; k < n->n_in; k++)
			item_in[k] = in[k].kind == VAL_LIST && !n->bound[k] ? in[k].items[i] : in[k];
		struct outcome o = run_item(c, n, dir, (uint32_t)i, item_in);
		o.fail |= o.timed_out;
		may_succeed += o.ok;
		may_fail += o.fail;
		all.slow |= o.slow;
		items[i] = item_value(&o);
		/* Only an item that gave something tells what items of a launch plan give. */
		may_miss &= !o.ok || o.fail || o.v[0].kind == VAL_MISSING || o.v[0].may_miss;
		misses &= !o.ok || o.v[0].kind == VAL_MISSING;
	}
	all.ok = may_succeed >= least(n, size);
	all.fail = (uint32_t)size - may_fail < least(n, size);
	all.v[0] = misses ? (struct val){.kind = VAL_MISSING}
			  : (struct val){.kind = VAL_LIST, .items = items, .n = (size_t)size, .may_miss = may_miss};
	all.n = 1;
	lose_patience(c, n, &all);
	return all;
}

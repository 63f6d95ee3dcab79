/* Values and outcomes of which not everything is known. */
#include "sim.h"

static bool same(const struct val *x, const struct val *y)
{
	if (x->kind != y->kind || x->may_miss != y->may_miss)
		return false;
	if (x->kind == VAL_INT)
		return x->number == y->number;
	bool equal = x->kind != VAL_LIST || x->n == y->n;
	for (size_t i = 0; equal && x->kind == VAL_LIST && i < x->n; i++)
		equal = same(&x->items[i], &y->items[i]);
	return equal;
}

struct val val_join(struct val x, struct val y)
{
	if (same(&x, &y))
		return x;
	bool may_miss = x.kind == VAL_MISSING || y.kind == VAL_MISSING || x.may_miss || y.may_miss;
	return (struct val){.kind = VAL_ANY, .may_miss = may_miss};
}

bool val_is_vague(const struct val *v)
{
	if (v->kind == VAL_ANY)
		return true;
	for (size_t i = 0; v->kind == VAL_LIST && i < v->n; i++)
		if (val_is_vague(&v->items[i]))
			return true;
	return false;
}

/* One of these two happens. */
void outcome_either(struct outcome *o, const struct outcome *more)
{
	if (more->ok) {
		for (size_t i = 0; i < MAX(o->n, more->n); i++)
			o->v[i] = o->ok ? val_join(o->v[i], more->v[i]) : more->v[i];
		o->n = MAX(o->n, more->n);
	}
	o->ok |= more->ok;
	o->fail |= more->fail;
	o->timed_out |= more->timed_out;
	o->slow |= more->slow;
}

struct outcome outcome_gives(struct val v)
{
	return (struct outcome){.ok = true, .v = {v}, .n = 1};
}

struct outcome outcome_nothing(void)
{
	return outcome_gives((struct val){.kind = VAL_MISSING});
}

struct outcome outcome_fails(void)
{
	return (struct outcome){.fail = true};
}

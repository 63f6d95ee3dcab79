/* The interpreter: nodes that no task runs. */
#include "interpreter.h"

/* ---- gates ---- */

struct outcome run_gate(struct scope *c, const struct plan_node *n, const char *dir, const struct val *in)
{
	struct outcome o = n->kind == PLAN_APPROVAL ? outcome_gives(in[0]) : outcome_nothing();
	bool comes = !n->signal || signal_comes(c->s, n->signal);

	(void)dir;
	if (n->kind == PLAN_SIGNAL)
		o.v[0] =
			(struct val){.kind = c->s->fickle ? VAL_ANY : VAL_INT, .number = signal_value(c->s, n->signal)};
	if (n->kind == PLAN_APPROVAL && (c->s->fickle || signal_value(c->s, n->signal) != 1)) {
		o.fail = true;
		o.ok = c->s->fickle;
	}
	o.slow = !comes;
	o.fail &= comes;
	o.ok &= comes;
	if (n->kind != PLAN_SLEEP || n->sleep_us)
		lose_patience(c, n, &o);
	return o;
}

/* ---- workflows inside and elsewhere ---- */

/* What fails is not repeated; only a timeout makes it run again. */
static struct outcome run_patiently(struct scope *c, const struct plan_node *n, const char *dir, const struct val *in,
				    run_fn *run)
{
	struct outcome all = {0};
	bool again = true;

	for (uint32_t k = 0; again && k <= (n->timeout_us ? n->retries : 0); k++) {
		struct outcome o = run(c, n, arena_printf(c->s->a, "%s/%u", dir, k), in);
		again = n->timeout_us && (o.slow || is_racing(c));
		o.fail |= o.timed_out;
		o.timed_out = false;
		lose_patience(c, n, &o);
		outcome_either(&all, &o);
	}
	return all;
}

static struct outcome inner(struct scope *c, const struct plan_node *n, const char *dir, const struct val *in)
{
	return run_plan(c, n->plan, dir, in[0], false);
}

static struct outcome child(struct scope *c, const struct plan_node *n, const char *dir, const struct val *in)
{
	const char *child_dir = arena_printf(c->s->a, "%s/child", dir), *attempt = strrchr(dir, '/');
	const char *old = strcmp(attempt, "/0") == 0
				  ? child_left(c->x, arena_strndup(c->s->a, dir, (size_t)(attempt - dir)))
				  : NULL;

	if (!old)
		return run_plan(c, n->plan, child_dir, in[0], true);
	/* It recovers what was launched before, with what that had. */
	struct exec x = *c->x;
	struct scope inside = *c;
	x.recovers = exec_named(c->s, old);
	x.dir = child_dir;
	inside.x = &x;
	struct outcome o = run_plan(&inside, n->plan, child_dir, x.recovers->input, true);
	c->x->imprecise |= x.imprecise;
	return o;
}

/* `dir` is that of the attempt. */
static struct outcome launched(struct scope *c, const struct plan_node *n, const char *dir, const struct val *in)
{
	const char *node = arena_strndup(c->s->a, dir, (size_t)(strrchr(dir, '/') - dir));
	enum child_fate fate = child_fate_of(c->s, n, node, (uint32_t)atoi(strrchr(dir, '/') + 1));
	struct outcome o = fate == CHILD_SUCCESS         ? outcome_gives(given(c, node, in, 1))
			   : fate == CHILD_GIVES_NOTHING ? outcome_nothing()
							 : outcome_fails();

	o.slow = fate == CHILD_HANGS;
	o.fail &= !o.slow;
	return o;
}

struct outcome run_workflow(struct scope *c, const struct plan_node *n, const char *dir, const struct val *in)
{
	return run_patiently(c, n, dir, in, inner);
}

struct outcome run_launch(struct scope *c, const struct plan_node *n, const char *dir, const struct val *in)
{
	return run_patiently(c, n, dir, in, launched);
}

struct outcome run_child(struct scope *c, const struct plan_node *n, const char *dir, const struct val *in)
{
	return run_patiently(c, n, dir, in, child);
}

/* ---- branches ---- */

static bool holds(int op, int64_t x, int64_t y)
{
	switch (op) {
	case CORE_COMPARISON_EXPRESSION_OPERATOR_EQ: return x == y;
	case CORE_COMPARISON_EXPRESSION_OPERATOR_NEQ: return x != y;
	case CORE_COMPARISON_EXPRESSION_OPERATOR_GT: return x > y;
	case CORE_COMPARISON_EXPRESSION_OPERATOR_GTE: return x >= y;
	case CORE_COMPARISON_EXPRESSION_OPERATOR_LT: return x < y;
	default: return x <= y;
	}
}

static struct outcome run_case(struct scope *c, const struct plan_node *n, const char *dir)
{
	struct outcome o = may_begin(c, n) ? run_node(c, n, arena_printf(c->s->a, "%s/0/%s", dir, n->id), NULL, 0)
					   : outcome_nothing();

	/* The branch is done then all the same, without outputs. */
	struct outcome none = outcome_nothing();
	if (may_be_skipped(c, n))
		outcome_either(&o, &none);
	o.fail |= o.timed_out;
	o.timed_out = false;
	return o;
}

struct outcome run_branch(struct scope *c, const struct plan_node *n, const char *dir, const struct val *in)
{
	struct outcome o = {0};

	if (in[0].kind != VAL_INT && in[0].kind != VAL_ANY)
		return outcome_fails();
	for (size_t i = 0; i < n->n_cases; i++) {
		const struct plan_case *k = &n->cases[i];
		bool unsure = in[0].kind == VAL_ANY;
		if (!unsure && !k->always && !holds(k->op, in[0].number, k->with))
			continue;
		struct outcome taken = run_case(c, k->node, dir);
		outcome_either(&o, &taken);
		if (!unsure)
			return o;
	}
	o.fail = true;
	return o;
}

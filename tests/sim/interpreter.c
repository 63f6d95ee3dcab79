/* A plain interpreter of plans: recursion, no events, no time. It tells what may become of an execution: several
 * things, when that depends on who is faster. Knows nothing of the engine. */
#include <math.h>

#include "sim.h"

enum { SYSTEM_RETRIES = 3 };

/* A workflow that runs at a place. */
struct scope {
	struct sim *s;
	struct exec *x;
	const struct plan *plan;
	const char *dir;  /* of its nodes: "<dir>/<id>"; the top's have "/data" behind them */
	struct val input; /* x */
	struct map *done; /* node -> struct outcome */
	bool top;
};

static struct outcome run_node(struct scope *c, const struct plan_node *n, const char *dir,
			       const struct val *item_inputs, size_t n_item_inputs);
static struct outcome run_plan(struct scope *outer, const struct plan *p, const char *dir, struct val input, bool top);

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

static bool may_begin(const struct scope *c, const struct plan_node *n)
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
static bool may_be_skipped(const struct scope *c, const struct plan_node *n)
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

static bool may_retry(const struct plan_node *n, uint32_t attempt, uint32_t system, bool by_system)
{
	if (by_system)
		return system < SYSTEM_RETRIES;
	return attempt + 1 - system < (n->retries ? n->retries + 1 : 1);
}

/* Is it a matter of luck whether a node is done before its time is up? */
static bool is_racing(const struct scope *c)
{
	return c->s->racing || c->x->starved;
}

/* Something that lasts too long for its node, or may. */
static void lose_patience(const struct scope *c, const struct plan_node *n, struct outcome *o)
{
	if (n->timeout_us && (o->slow || is_racing(c)))
		o->fail = o->timed_out = true;
}

/* ---- tasks ---- */

struct attempts {
	struct scope *c;
	const struct plan_node *n;
	const char *dir;
	struct val value; /* what it gives if it does */
	struct outcome o;
};

static void attempt(struct attempts *t, uint32_t number, uint32_t system, uint32_t hangs, int losses);

static void retry(struct attempts *t, uint32_t number, uint32_t system, uint32_t hangs, int losses, bool by_system)
{
	if (may_retry(t->n, number, system, by_system))
		attempt(t, number + 1, system + by_system, hangs, losses);
	else
		t->o.fail = true;
}

/* Its node is given up when two timeouts have passed. */
static void hang(struct attempts *t, uint32_t number, uint32_t system, uint32_t hangs, int losses)
{
	t->o.slow = true;
	t->o.timed_out |= hangs > 0 || is_racing(t->c);
	retry(t, number, system, hangs + 1, losses, false);
}

static void dynamic(struct attempts *t, uint32_t number, uint32_t system, uint32_t hangs, int losses)
{
	struct plan *p = plan_of_dynamic(t->c->s, t->dir, t->n->depth + 1);
	const char *dir = arena_printf(t->c->s->a, "%s/%u", t->dir, number);
	struct outcome o = run_plan(t->c, p, dir, (struct val){.kind = VAL_MISSING}, false);

	if (o.timed_out || (t->n->timeout_us && o.slow))
		hang(t, number, system, hangs, losses);
	if (t->n->timeout_us && o.slow)
		t->o.timed_out = true;
	o.timed_out = false;
	outcome_either(&t->o, &o);
}

static void attempt(struct attempts *t, uint32_t number, uint32_t system, uint32_t hangs, int losses)
{
	const struct sim *s = t->c->s;
	struct outcome good = outcome_gives(t->value);
	bool hung = fate_of(s, t->n, t->dir, number) == FATE_HANG;

	/* It may get lost after a long while. */
	if (losses > 0)
		retry(t, number, system, hangs + hung, losses - 1, true);
	if (is_racing(t->c) && t->n->timeout_us)
		hang(t, number, system, hangs, losses);
	if (number == 0 && t->n->kind == PLAN_DYNAMIC && is_half_done(t->c->x, t->dir)) {
		dynamic(t, number, system, hangs, losses);
		return;
	}
	switch (fate_of(s, t->n, t->dir, number)) {
	case FATE_USER_ERROR: retry(t, number, system, hangs, losses, false); break;
	case FATE_SYSTEM_ERROR: retry(t, number, system, hangs, losses, true); break;
	case FATE_HANG: hang(t, number, system, hangs, losses); break;
	case FATE_SUCCESS:
		if (t->n->kind == PLAN_DYNAMIC)
			dynamic(t, number, system, hangs, losses);
		else
			outcome_either(&t->o, &good);
		break;
	default: t->o.fail = true; break;
	}
}

static struct val given(const struct scope *c, const char *dir, const struct val *in, size_t n)
{
	auto_buf struct buf b = {0};

	for (size_t i = 0; i < n; i++) {
		if (val_is_vague(&in[i]))
			return (struct val){.kind = VAL_ANY};
		buf_addc(&b, ' ');
		val_text(&b, &in[i]);
	}
	return (struct val){.kind = VAL_INT, .number = given_for(c->s, dir, buf_text(&b))};
}

static struct outcome run_task(struct scope *c, const struct plan_node *n, const char *dir, const struct val *in,
			       size_t n_in)
{
	static const struct val ERROR = {.kind = VAL_NONE};
	struct attempts t = {.c = c, .n = n, .dir = dir};

	t.value = n->takes_error ? given(c, dir, &ERROR, 1) : given(c, dir, in, n_in);
	attempt(&t, 0, 0, 0, c->s->harsh ? c->s->losses_left : 0);
	return t.o;
}

/* ---- other kinds ---- */

static struct outcome run_nap(const struct scope *c, const struct plan_node *n)
{
	struct outcome o = outcome_nothing();

	if (n->sleep_us)
		lose_patience(c, n, &o);
	return o;
}

static struct outcome run_gate(const struct scope *c, const struct plan_node *n, const struct val *in)
{
	struct outcome o = n->kind == PLAN_APPROVAL ? outcome_gives(in[0]) : outcome_nothing();
	bool comes = !n->signal || signal_comes(c->s, n->signal);

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

static struct outcome run_inner(struct scope *c, const struct plan_node *n, const char *dir, const struct val *in)
{
	return run_plan(c, n->plan, dir, in[0], false);
}

static struct outcome run_child(struct scope *c, const struct plan_node *n, const char *dir, const struct val *in)
{
	return run_plan(c, n->plan, arena_printf(c->s->a, "%s/child", dir), in[0], true);
}

/* `dir` is that of the attempt. */
static struct outcome run_launch(struct scope *c, const struct plan_node *n, const char *dir, const struct val *in)
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

typedef struct outcome run_fn(struct scope *c, const struct plan_node *n, const char *dir, const struct val *in);

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

static struct outcome run_branch(struct scope *c, const struct plan_node *n, const char *dir, const struct val *in)
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

/* ---- arrays ---- */

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

static struct outcome run_array(struct scope *c, const struct plan_node *n, const char *dir, const struct val *in)
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
		struct outcome o = run_node(c, n->item, arena_printf(c->s->a, "%s/0/%d", dir, i), item_in, n->n_in);
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

/* ---- nodes ---- */

static struct outcome run_kind(struct scope *c, const struct plan_node *n, const char *dir, const struct val *in,
			       size_t n_in)
{
	switch (n->kind) {
	case PLAN_ECHO: return outcome_gives(in[0]);
	case PLAN_NAP: return run_nap(c, n);
	case PLAN_SLEEP:
	case PLAN_SIGNAL:
	case PLAN_APPROVAL: return run_gate(c, n, in);
	case PLAN_WORKFLOW: return run_patiently(c, n, dir, in, run_inner);
	case PLAN_BRANCH: return run_branch(c, n, dir, in);
	case PLAN_LAUNCH: return run_patiently(c, n, dir, in, run_launch);
	case PLAN_CHILD: return run_patiently(c, n, dir, in, run_child);
	case PLAN_ARRAY: return run_array(c, n, dir, in);
	default: return run_task(c, n, dir, in, n_in);
	}
}

static struct outcome run_node(struct scope *c, const struct plan_node *n, const char *dir,
			       const struct val *item_inputs, size_t n_item_inputs)
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

static struct outcome run_plan(struct scope *outer, const struct plan *p, const char *dir, struct val input, bool top)
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

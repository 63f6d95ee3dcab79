/* Random workflows. */
#include "sim.h"

enum { MAX_NODES = 250 };

struct sketch {
	struct sim *s;
	struct plan *plan;
	uint64_t *chance;
	size_t *budget;
	bool no_input; /* a dynamic's */
};

static uint64_t pick(const struct sketch *k, uint64_t n)
{
	return below_of(k->chance, n);
}

static bool odds(const struct sketch *k, uint64_t n)
{
	return pick(k, n) == 0;
}

static struct plan *random_plan(const struct sketch *outer, int depth, size_t size, const char *prefix, bool no_input);

/* ---- sources ---- */

static struct source of_node(const struct plan_node *n)
{
	return (struct source){.kind = SOURCE_NODE, .node = n};
}

/* An earlier node that gives such a thing; NULL for none. */
static const struct plan_node *earlier(const struct sketch *k, enum gives gives)
{
	size_t n = k->plan->nodes.n;

	for (size_t tries = 0; n && tries < 4; tries++) {
		const struct plan_node *from = k->plan->nodes.at[pick(k, n)];
		if (from->gives == gives)
			return from;
	}
	return NULL;
}

static struct source random_int(const struct sketch *k)
{
	const struct plan_node *from = odds(k, 4) ? NULL : earlier(k, GIVES_INT);

	if (odds(k, 150) && k->plan->nodes.n)
		from = k->plan->nodes.at[pick(k, k->plan->nodes.n)];
	if (from)
		return of_node(from);
	if (odds(k, 3) && !k->no_input)
		return (struct source){.kind = SOURCE_INPUT};
	return (struct source){.kind = SOURCE_CONSTANT, .constant = (int64_t)pick(k, k->s->shares_keys ? 3 : 100)};
}

static struct source list_of_ints(const struct sketch *k)
{
	size_t n = odds(k, 8) ? 0 : 1 + pick(k, MAX_ITEMS - 1);
	struct source *items = arena_array(k->s->a, struct source, n);

	for (size_t i = 0; i < n; i++)
		items[i] = random_int(k);
	return (struct source){.kind = SOURCE_LIST, .items = items, .n = n};
}

static struct source random_list(const struct sketch *k)
{
	const struct plan_node *from = odds(k, 2) ? earlier(k, GIVES_LIST) : NULL;

	if (odds(k, 150))
		return random_int(k);
	return from ? of_node(from) : list_of_ints(k);
}

static struct source random_any(const struct sketch *k)
{
	return odds(k, 5) ? random_list(k) : random_int(k);
}

/* ---- nodes ---- */

static struct plan_node *node_new(const struct sketch *k, enum plan_kind kind, enum gives gives)
{
	static const char *const PREFIX[] = {"p", "d", "e", "s", "z", "g", "v", "w", "b", "l", "c", "a"};
	struct plan_node *n = arena_new_of(k->s->a, struct plan_node);

	n->kind = kind;
	n->gives = gives;
	n->depth = k->plan->depth;
	n->id = arena_printf(k->s->a, "%s%zu%s", PREFIX[kind], k->plan->next_id++,
			     odds(k, 9) ? "-with-quite-a-long-name" : "");
	n->parallelism = -1;
	map_put(k->plan->by_id, str_of(n->id), n);
	*k->budget -= *k->budget > 0;
	return n;
}

/* What is shared lies no deeper than whoever shares it, or one would wait for the other inside itself. */
static void random_cache(const struct sketch *k, struct plan_node *n)
{
	static const char *const KINDS[] = {"task", "dynamic", "echo", "nap"};

	if (odds(k, 3) == k->s->shares_keys)
		return;
	n->version = arena_printf(k->s->a, "%s%d.%d", KINDS[n->kind], n->depth, (int)pick(k, 2));
	n->serialize = odds(k, 4) != k->s->shares_keys;
	n->cached_by_task = odds(k, 2);
}

static struct plan_node *random_task(const struct sketch *k)
{
	size_t dice = pick(k, 10);
	bool dynamic = dice == 0 && k->plan->depth < MAX_DEPTH;
	enum plan_kind kind = dynamic ? PLAN_DYNAMIC : dice < 6 ? PLAN_TASK : dice < 9 ? PLAN_ECHO : PLAN_NAP;
	struct plan_node *n = node_new(k, kind, kind == PLAN_NAP ? GIVES_NOTHING : GIVES_INT);

	random_cache(k, n);
	if (kind == PLAN_NAP) {
		n->sleep_us = (int64_t)pick(k, 3) * USEC_PER_SEC;
		return n;
	}
	n->in[n->n_in++] = kind == PLAN_ECHO ? random_int(k) : random_any(k);
	if (kind == PLAN_TASK && odds(k, 3))
		n->in[n->n_in++] = random_any(k);
	return n;
}

static struct plan_node *random_gate(const struct sketch *k)
{
	struct plan_node *n;

	switch (pick(k, 3)) {
	case 0:
		n = node_new(k, PLAN_SLEEP, GIVES_NOTHING);
		n->sleep_us = (int64_t)pick(k, 4) * USEC_PER_SEC;
		return n;
	case 1:
		n = node_new(k, PLAN_SIGNAL, GIVES_INT);
		n->signal = arena_printf(k->s->a, "value%d", (int)pick(k, 12));
		return n;
	default:
		n = node_new(k, PLAN_APPROVAL, GIVES_INT);
		n->signal = arena_printf(k->s->a, "yes%d", (int)pick(k, 12));
		n->in[n->n_in++] = random_int(k);
		return n;
	}
}

static struct plan_node *random_launch(const struct sketch *k)
{
	bool real = odds(k, 3) && k->plan->depth < MAX_DEPTH - 1;
	struct plan_node *n = node_new(k, real ? PLAN_CHILD : PLAN_LAUNCH, GIVES_INT);

	n->in[n->n_in++] = random_int(k);
	if (!real)
		return n;
	n->plan = random_plan(k, k->plan->depth + 1, 1 + pick(k, 4), "o", false);
	n->plan->name = arena_printf(k->s->a, "plan%zu", k->s->n_plans++);
	n->plan->fail_after = odds(k, 3);
	map_put(k->s->plans, str_of(n->plan->name), n->plan);
	return n;
}

static struct plan_node *random_inner(const struct sketch *k)
{
	struct plan_node *n = node_new(k, PLAN_WORKFLOW, GIVES_INT);

	n->in[n->n_in++] = random_int(k);
	n->plan = random_plan(k, k->plan->depth + 1, 1 + pick(k, 5), "o", false);
	return n;
}

static void random_criteria(const struct sketch *k, struct plan_node *n)
{
	if (odds(k, 3))
		n->parallelism = (int)pick(k, 4);
	if (odds(k, 3)) {
		n->min = MIN_NUMBER;
		n->min_number = (uint32_t)pick(k, 4);
	} else if (odds(k, 2)) {
		n->min = MIN_RATIO;
		n->min_ratio = (float)pick(k, 11) / 10;
	}
}

static void random_patience(const struct sketch *k, struct plan_node *n)
{
	bool waits = n->signal && !signal_comes(k->s, n->signal);

	if (odds(k, 2))
		n->retries = (uint32_t)pick(k, 4);
	if (waits || odds(k, 4))
		n->timeout_us = k->s->racing ? (int64_t)(1 + pick(k, 20)) * USEC_PER_SEC : LONG_TIMEOUT_US;
}

static struct plan_node *random_array(const struct sketch *k)
{
	struct plan_node *n = node_new(k, PLAN_ARRAY, GIVES_LIST);
	struct plan_node *item;

	if (odds(k, 4)) {
		item = random_launch(k);
		/* Nothing but the first item tells what it gives. */
	} else {
		item = node_new(k, odds(k, 2) ? PLAN_TASK : PLAN_ECHO, GIVES_INT);
		random_cache(k, item);
	}
	item->n_in = 0;
	random_patience(k, item);
	map_remove(k->plan->by_id, str_of(item->id));
	n->item = item;
	random_criteria(k, n);
	n->single_file = odds(k, 3);
	n->in[n->n_in++] = random_list(k);
	if (item->kind == PLAN_TASK && odds(k, 3)) {
		n->bound[1] = odds(k, 2);
		n->in[1] = n->bound[1] ? random_any(k) : random_list(k);
		n->n_in = 2;
	}
	return n;
}

static struct plan_node *random_node(const struct sketch *k, int nesting);

static enum gives common(enum gives a, enum gives b)
{
	return a == b ? a : GIVES_NOTHING;
}

static struct plan_node *random_branch(const struct sketch *k, int nesting)
{
	struct plan_node *n = node_new(k, PLAN_BRANCH, GIVES_NOTHING);

	n->in[n->n_in++] = random_int(k);
	n->n_cases = 1 + pick(k, 3);
	for (size_t i = 0; i < n->n_cases; i++) {
		n->cases[i].op = (int)pick(k, 6);
		n->cases[i].with = (int64_t)pick(k, odds(k, 2) ? 100 : 1000);
		n->cases[i].node = random_node(k, nesting + 1);
		n->gives = i ? common(n->gives, n->cases[i].node->gives) : n->cases[i].node->gives;
	}
	if (odds(k, 12)) {
		n->branch_fails = true;
	} else if (!odds(k, 12)) {
		struct plan_case *last = &n->cases[n->n_cases++];
		last->always = true;
		last->node = random_node(k, nesting + 1);
		n->gives = common(n->gives, last->node->gives);
	}
	return n;
}

static struct plan_node *random_node(const struct sketch *k, int nesting)
{
	bool deep = *k->budget == 0 || k->plan->depth + nesting >= MAX_DEPTH;
	size_t dice = deep ? 9 : pick(k, 13);
	struct plan_node *n = dice == 0   ? random_inner(k)
			      : dice == 1 ? random_branch(k, nesting)
			      : dice == 2 ? random_gate(k)
			      : dice == 3 ? random_launch(k)
			      : dice == 4 ? random_array(k)
					  : random_task(k);

	for (size_t i = pick(k, 3); k->plan->nodes.n && i > 0; i--) {
		const struct plan_node *other = k->plan->nodes.at[pick(k, k->plan->nodes.n)];
		if (nesting)
			n->named[n->n_named++] = other;
		else
			n->after[n->n_after++] = other;
	}
	random_patience(k, n);
	return n;
}

static void random_failure_node(const struct sketch *k)
{
	bool inner = odds(k, 4) && k->plan->depth < MAX_DEPTH;
	struct plan_node *n = inner ? random_inner(k) : node_new(k, odds(k, 2) ? PLAN_TASK : PLAN_ECHO, GIVES_INT);

	n->on_failure = true;
	n->takes_error = n->kind == PLAN_TASK && odds(k, 2);
	if (!inner && !n->takes_error)
		random_cache(k, n);
	n->in[0] = (struct source){.kind = k->no_input ? SOURCE_CONSTANT : SOURCE_INPUT};
	n->n_in = 1;
	random_patience(k, n);
	k->plan->failure = n;
}

/* ---- plans ---- */

static struct plan *plan_new(struct sim *s, int depth, const char *prefix)
{
	struct plan *p = arena_new_of(s->a, struct plan);

	p->depth = depth;
	p->output_prefix = prefix;
	p->by_id = map_new();
	p->digest = arena_printf(s->a, "d%zu", s->all_plans.n);
	vec_push(&s->all_plans, p);
	return p;
}

static void fill(const struct sketch *k, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		struct plan_node *n = random_node(k, 0);
		vec_push(&k->plan->nodes, n);
	}
	if (odds(k, 4))
		random_failure_node(k);
}

static struct plan *random_plan(const struct sketch *outer, int depth, size_t size, const char *prefix, bool no_input)
{
	struct sketch k = *outer;

	k.plan = plan_new(k.s, depth, prefix);
	k.no_input = no_input;
	fill(&k, size);
	k.plan->n_outputs = prefix[0] == 'o' ? 1 : pick(&k, 4);
	for (size_t i = 0; i < k.plan->n_outputs; i++)
		k.plan->outputs[i] = prefix[0] == 'o' ? random_int(&k) : random_any(&k);
	return k.plan;
}

struct plan *plan_random(struct sim *s, uint64_t chance, int depth, const char *prefix)
{
	size_t budget = MAX_NODES;
	struct sketch k = {.s = s, .chance = &chance, .budget = &budget};
	size_t size = odds(&k, 60) ? 1 + pick(&k, MAX_NODES) : 1 + pick(&k, 12);
	struct plan *p = random_plan(&k, depth, size, prefix, false);

	p->fail_after = odds(&k, 3);
	p->max_parallelism = odds(&k, 2) ? (int)(1 + pick(&k, s->shares_keys ? 2 : 5)) : 0;
	if (odds(&k, 12))
		p->timeout_us = (int64_t)(1 + pick(&k, 60)) * USEC_PER_SEC;
	return p;
}

struct plan *plan_of_dynamic(struct sim *s, const char *dir, int depth)
{
	dir = without_fortune(dir);
	struct plan *p = map_get(s->dynamics, str_of(dir));
	uint64_t chance = oracle(s, "dynamic", dir, 0);
	size_t budget = 8;
	struct sketch k = {.s = s, .chance = &chance, .budget = &budget};

	if (p)
		return p;
	p = random_plan(&k, depth, 1 + pick(&k, 5), "o", true);
	map_put(s->dynamics, str_of(dir), p);
	return p;
}

const struct plan_node *plan_find(const struct plan *p, const char *id)
{
	return map_get(p->by_id, str_of(id));
}

/* The graph of a workflow: who waits for whom. Nodes are numbers, edges pairs of them; nothing here recurses. */
#include <stdlib.h>
#include <string.h>

#include "compiler/private.h"
#include "pb/pb.h"

/* ---- edges ---- */

static int by_source(const void *x, const void *y)
{
	const struct edge *a = x, *b = y;

	if (a->from != b->from)
		return a->from < b->from ? -1 : 1;
	return a->to < b->to ? -1 : a->to > b->to;
}

void edges_sort(struct edges *e)
{
	size_t n = 0;

	if (e->n)
		qsort(e->at, e->n, sizeof *e->at, by_source);
	for (size_t i = 0; i < e->n; i++)
		if (!n || memcmp(&e->at[i], &e->at[n - 1], sizeof *e->at) != 0)
			e->at[n++] = e->at[i];
	e->n = n;
}

/* ---- the walk ---- */

struct walk {
	const struct graph *graph;
	size_t *next, *end; /* edges of each node that are still to be followed */
	uint8_t *state;     /* 0: not seen, 1: on the way, 2: done */
	uint32_t *stack;
	size_t depth;
};

static void walk_init(struct walk *w, struct arena *a)
{
	const struct edges *e = w->graph->edges;

	w->next = arena_array(a, size_t, w->graph->n);
	w->end = arena_array(a, size_t, w->graph->n);
	w->state = arena_array(a, uint8_t, w->graph->n);
	w->stack = arena_array(a, uint32_t, w->graph->n);
	for (size_t i = 0; i < e->n; i++) {
		uint32_t from = e->at[i].from;
		if (!w->end[from])
			w->next[from] = i;
		w->end[from] = i + 1;
	}
}

static void report_cycle(struct compile_errors *errors, const struct walk *w, uint32_t back_to)
{
	const struct graph *g = w->graph;
	auto_buf struct buf path = {0};

	for (size_t i = 0; i < w->depth; i++)
		buf_printf(&path, "%s>", g->name(g->arg, w->stack[i]));
	buf_adds(&path, g->name(g->arg, back_to));
	compile_error(errors, "CycleDetected", START_ID,
		      "A cycle has been detected while traversing the Workflow [%s].", buf_text(&path));
}

static bool walk(struct walk *w, struct compile_errors *errors)
{
	w->stack[w->depth++] = w->graph->start;
	w->state[w->graph->start] = 1;
	while (w->depth) {
		uint32_t at = w->stack[w->depth - 1];
		if (w->next[at] == w->end[at]) {
			w->state[at] = 2;
			w->depth--;
			continue;
		}
		uint32_t to = w->graph->edges->at[w->next[at]++].to;
		if (w->state[to] == 1) {
			report_cycle(errors, w, to);
			return false;
		}
		if (w->state[to] == 0) {
			w->state[to] = 1;
			w->stack[w->depth++] = to;
		}
	}
	return true;
}

bool graph_walk(const struct graph *g, struct program *p, bool *seen)
{
	struct walk w = {.graph = g};

	walk_init(&w, p->arena);
	if (!walk(&w, &p->errors))
		return false;
	for (uint32_t i = 0; i < g->n; i++)
		seen[i] = w.state[i];
	return true;
}

/* ---- ranks: places of ids in their order, so that edges are sorted by id ---- */

struct ranks {
	uint32_t *of;      /* by position; nodes of one id share it */
	const char **name; /* by rank */
	bool *top;         /* by rank: a node of the graph itself */
	uint32_t n;
};

static int by_id(const void *x, const void *y, void *arg)
{
	const struct compilation *c = arg;
	return strcmp(c->nodes.at[*(const uint32_t *)x]->node->id, c->nodes.at[*(const uint32_t *)y]->node->id);
}

/* Nodes of branches are called after their branch: who would share a name with another could not be told from it. */
static void check_ids(const struct compilation *c, const uint32_t *order)
{
	const char *last = NULL;

	for (size_t i = 0; i < c->nodes.n; i++) {
		const struct compile_node *n = c->nodes.at[order[i]];
		if (n->apart)
			continue;
		if (last && strcmp(last, n->node->id) == 0)
			compile_error(&c->program->errors, "ValueCollision", last,
				      "Id is expected to be unique. %s already exists.", last);
		last = n->node->id;
	}
}

static void rank_nodes(const struct compilation *c, struct ranks *r)
{
	size_t n = c->nodes.n;
	uint32_t *order = arena_array(c->arena, uint32_t, n);

	r->of = arena_array(c->arena, uint32_t, n);
	r->name = arena_array(c->arena, const char *, n);
	r->top = arena_array(c->arena, bool, n);
	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	qsort_r(order, n, sizeof *order, by_id, (void *)c);
	check_ids(c, order);
	for (size_t i = 0; i < n; i++) {
		const struct compile_node *node = c->nodes.at[order[i]];
		if (i && strcmp(r->name[r->n - 1], node->node->id) == 0)
			r->n--;
		r->of[order[i]] = r->n;
		r->name[r->n] = node->node->id;
		r->top[r->n++] |= !node->inner;
	}
}

static void to_ranks(const struct ranks *r, struct edges *e)
{
	for (size_t i = 0; i < e->n; i++)
		e->at[i] = (struct edge){r->of[e->at[i].from], r->of[e->at[i].to]};
}

/* ---- the graph is closed ---- */

static void connect_orphans(struct compilation *c, const struct ranks *r)
{
	bool *has_up = arena_array(c->arena, bool, r->n), *has_down = arena_array(c->arena, bool, r->n);
	uint32_t start = r->of[START], end = r->of[END];

	vec_each (struct edge *, e, &c->edges)
		has_up[e->to] = has_down[e->from] = true;
	vec_each (struct edge *, e, &c->upstream)
		has_up[e->to] = true;
	for (uint32_t i = 0; i < r->n; i++) {
		if (!r->top[i] || i == start || i == end)
			continue;
		if (!has_up[i])
			add_edge(&c->edges, start, i);
		if (!has_down[i])
			add_edge(&c->edges, i, end);
	}
	edges_sort(&c->edges);
}

static const char *name_of_rank(const void *arg, uint32_t i)
{
	return ((const struct ranks *)arg)->name[i];
}

/* Nothing runs that waits for its own branch, or for what waits for that. Flyte does not look: such a node finds no
 * outputs, or waits for ever. It suffices that a branch comes after its nodes, as they know nodes outside only. */
static void check_branches(struct compilation *c, const struct ranks *r)
{
	struct edges all = {0};
	struct graph g = {r->n, &all, name_of_rank, r, r->of[START]};

	vec_each (struct edge *, e, &c->edges)
		vec_push(&all, *e);
	vec_each (struct edge *, e, &c->upstream)
		vec_push(&all, *e);
	vec_each (struct compile_node **, n, &c->nodes)
		for (size_t i = 0; i < (*n)->n_cases; i++)
			add_edge(&all, r->of[(*n)->cases[i]->at], r->of[(*n)->at]);
	edges_sort(&all);
	graph_walk(&g, c->program, arena_array(c->arena, bool, r->n));
	vec_free(&all);
}

static void check_reachable(struct compilation *c, const struct ranks *r)
{
	struct graph g = {r->n, &c->edges, name_of_rank, r, r->of[START]};
	bool *seen = arena_array(c->arena, bool, r->n);
	auto_buf struct buf lost = {0};

	if (!graph_walk(&g, c->program, seen))
		return;
	for (uint32_t i = 0; i < r->n; i++)
		if (r->top[i] && !seen[i] && i != r->of[END])
			buf_printf(&lost, "%s%s", lost.len ? "," : "", r->name[i]);
	if (lost.len)
		compile_error(&c->program->errors, "UnreachableNodes", START_ID,
			      "The Workflow contain unreachable nodes [%s].", buf_text(&lost));
	if (!compile_errors_count(&c->program->errors))
		check_branches(c, r);
}

/* ---- connections ---- */

/* The entries of downstream and of upstream have the same shape, but are two types to protobuf-c. */
#define DEFINE_ADD_LISTS(fn, Entry, DESC, entries, n_entries)                                                          \
	static void fn(struct arena *a, const struct edges *edges, const struct ranks *r, CoreConnectionSet *set)      \
	{                                                                                                              \
		uint32_t last = UINT32_MAX;                                                                            \
		CoreConnectionSetIdList *list = NULL;                                                                  \
		vec_each (struct edge *, e, edges) {                                                                   \
			if (e->from != last) {                                                                         \
				Entry *entry = pb_new(a, DESC);                                                        \
				entry->key = (char *)r->name[e->from];                                                 \
				entry->value = list = pb_new(a, CORE_CONNECTION_SET_ID_LIST_DESC);                     \
				*PB_ADD(a, set->entries, set->n_entries) = entry;                                      \
				last = e->from;                                                                        \
			}                                                                                              \
			*PB_ADD(a, list->ids, list->n_ids) = (char *)r->name[e->to];                                   \
		}                                                                                                      \
	}
DEFINE_ADD_LISTS(add_downstream, CoreConnectionSetDownstreamEntry, CORE_CONNECTION_SET_DOWNSTREAM_ENTRY_DESC,
		 downstream, n_downstream)
DEFINE_ADD_LISTS(add_upstream, CoreConnectionSetUpstreamEntry, CORE_CONNECTION_SET_UPSTREAM_ENTRY_DESC, upstream,
		 n_upstream)

CoreConnectionSet *connect_nodes(struct compilation *c)
{
	CoreConnectionSet *set = pb_new(c->arena, CORE_CONNECTION_SET_DESC);
	struct ranks r = {0};

	rank_nodes(c, &r);
	to_ranks(&r, &c->edges);
	to_ranks(&r, &c->upstream);
	connect_orphans(c, &r);
	check_reachable(c, &r);
	add_downstream(c->arena, &c->edges, &r, set);
	vec_each (struct edge *, e, &c->edges)
		add_edge(&c->upstream, e->from, e->to);
	vec_each (struct edge *, e, &c->upstream)
		*e = (struct edge){e->to, e->from};
	edges_sort(&c->upstream);
	add_upstream(c->arena, &c->upstream, &r, set);
	return set;
}

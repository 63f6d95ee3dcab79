/* The graph of a workflow: who waits for whom. Nodes are positions, edges pairs of them; nothing here recurses. */
#include <string.h>

#include "compiler/private.h"
#include "pb/pb.h"

/* ---- order by id ---- */

static int by_id(const void *x, const void *y, void *arg)
{
	const struct compilation *c = arg;
	return strcmp(c->nodes[*(const uint32_t *)x].node->id, c->nodes[*(const uint32_t *)y].node->id);
}

void rank_nodes(struct compilation *c)
{
	uint32_t *order = arena_array(c->arena, uint32_t, c->n_nodes);

	c->rank = arena_array(c->arena, uint32_t, c->n_nodes);
	for (uint32_t i = 0; i < c->n_nodes; i++)
		order[i] = i;
	qsort_r(order, c->n_nodes, sizeof *order, by_id, c);
	for (uint32_t i = 0; i < c->n_nodes; i++)
		c->rank[order[i]] = i;
}

struct order {
	const uint32_t *rank;
	bool by_to;
};

static int by_ends(const void *x, const void *y, void *arg)
{
	const struct edge *a = x, *b = y;
	const struct order *o = arg;
	uint32_t a1 = o->rank[o->by_to ? a->to : a->from], b1 = o->rank[o->by_to ? b->to : b->from];
	uint32_t a2 = o->rank[o->by_to ? a->from : a->to], b2 = o->rank[o->by_to ? b->from : b->to];

	if (a1 != b1)
		return a1 < b1 ? -1 : 1;
	return a2 < b2 ? -1 : a2 > b2;
}

static void sort_edges(struct compilation *c, bool by_to)
{
	struct order o = {c->rank, by_to};
	size_t n = 0;

	if (!c->edges.n)
		return;
	qsort_r(c->edges.at, c->edges.n, sizeof *c->edges.at, by_ends, &o);
	for (size_t i = 0; i < c->edges.n; i++) {
		const struct edge *e = &c->edges.at[i];
		if (!n || memcmp(e, &c->edges.at[n - 1], sizeof *e) != 0)
			c->edges.at[n++] = *e;
	}
	c->edges.n = n;
}

void connect_orphans(struct compilation *c)
{
	bool *has_up = arena_array(c->arena, bool, c->n_nodes), *has_down = arena_array(c->arena, bool, c->n_nodes);

	vec_each (struct edge *, e, &c->edges)
		has_up[e->to] = has_down[e->from] = true;
	for (uint32_t i = FIRST_NODE; i < c->n_nodes; i++) {
		if (!has_up[i])
			add_edge(c, START, i);
		if (!has_down[i])
			add_edge(c, i, END);
	}
	sort_edges(c, false);
}

/* ---- the walk from the start node; edges are sorted by their source ---- */

struct walk {
	size_t *next, *end; /* edges of each node that are still to be followed */
	uint8_t *state;     /* 0: not seen, 1: on the way, 2: done */
	uint32_t *stack;
	size_t depth;
};

static void walk_init(struct compilation *c, struct walk *w)
{
	w->next = arena_array(c->arena, size_t, c->n_nodes);
	w->end = arena_array(c->arena, size_t, c->n_nodes);
	w->state = arena_array(c->arena, uint8_t, c->n_nodes);
	w->stack = arena_array(c->arena, uint32_t, c->n_nodes);
	for (size_t i = 0; i < c->edges.n; i++) {
		uint32_t from = c->edges.at[i].from;
		if (!w->end[from])
			w->next[from] = i;
		w->end[from] = i + 1;
	}
}

static void report_cycle(struct compilation *c, const struct walk *w, uint32_t back_to)
{
	auto_buf struct buf path = {0};

	for (size_t i = 0; i < w->depth; i++)
		buf_printf(&path, "%s>", c->nodes[w->stack[i]].node->id);
	buf_adds(&path, c->nodes[back_to].node->id);
	compile_error(&c->errors, "CycleDetected", START_ID,
		      "A cycle has been detected while traversing the Workflow [%s].", buf_text(&path));
}

/* False when a cycle was found. */
static bool walk_graph(struct compilation *c, struct walk *w)
{
	w->stack[w->depth++] = START;
	w->state[START] = 1;
	while (w->depth) {
		uint32_t at = w->stack[w->depth - 1];
		if (w->next[at] == w->end[at]) {
			w->state[at] = 2;
			w->depth--;
			continue;
		}
		uint32_t to = c->edges.at[w->next[at]++].to;
		if (w->state[to] == 1) {
			report_cycle(c, w, to);
			return false;
		}
		if (w->state[to] == 0) {
			w->state[to] = 1;
			w->stack[w->depth++] = to;
		}
	}
	return true;
}

void check_reachable(struct compilation *c)
{
	struct walk w = {0};
	auto_buf struct buf lost = {0};

	walk_init(c, &w);
	if (!walk_graph(c, &w))
		return;
	for (uint32_t i = FIRST_NODE; i < c->n_nodes; i++)
		if (!w.state[i])
			buf_printf(&lost, "%s%s", lost.len ? "," : "", c->nodes[i].node->id);
	if (lost.len)
		compile_error(&c->errors, "UnreachableNodes", START_ID, "The Workflow contain unreachable nodes [%s].",
			      buf_text(&lost));
}

/* ---- connections ---- */

/* The entries of downstream and of upstream have the same shape, but are two types to protobuf-c. */
#define DEFINE_ADD_LISTS(fn, Entry, DESC, entries, n_entries, key_end, value_end)                                      \
	static void fn(struct compilation *c, CoreConnectionSet *set)                                                  \
	{                                                                                                              \
		uint32_t last = UINT32_MAX;                                                                            \
		CoreConnectionSetIdList *list = NULL;                                                                  \
		vec_each (struct edge *, e, &c->edges) {                                                               \
			if (e->key_end != last) {                                                                      \
				Entry *entry = pb_new(c->arena, DESC);                                                 \
				entry->key = c->nodes[e->key_end].node->id;                                            \
				entry->value = list = pb_new(c->arena, CORE_CONNECTION_SET_ID_LIST_DESC);              \
				*PB_ADD(c->arena, set->entries, set->n_entries) = entry;                               \
				last = e->key_end;                                                                     \
			}                                                                                              \
			*PB_ADD(c->arena, list->ids, list->n_ids) = c->nodes[e->value_end].node->id;                   \
		}                                                                                                      \
	}
DEFINE_ADD_LISTS(add_downstream, CoreConnectionSetDownstreamEntry, CORE_CONNECTION_SET_DOWNSTREAM_ENTRY_DESC,
		 downstream, n_downstream, from, to)
DEFINE_ADD_LISTS(add_upstream, CoreConnectionSetUpstreamEntry, CORE_CONNECTION_SET_UPSTREAM_ENTRY_DESC, upstream,
		 n_upstream, to, from)

CoreConnectionSet *make_connections(struct compilation *c)
{
	CoreConnectionSet *set = pb_new(c->arena, CORE_CONNECTION_SET_DESC);

	sort_edges(c, false);
	add_downstream(c, set);
	sort_edges(c, true);
	add_upstream(c, set);
	return set;
}

/* Bindings and edges of a workflow. */
#include "engine/building.h"
#include "engine/private.h"
#include "pb/pb.h"

/* Are outputs that this node reads needed in the engine itself? Of what goes into or out of another workflow we do not
 * know. */
static bool looks_into(const struct building *b, uint32_t i)
{
	const struct wf_node *wn = &b->w->nodes[i];

	if (wn->kind == KIND_TASK)
		return wn->task->leaf != LEAF_EXECUTOR;
	return wn->kind != KIND_LAUNCH_PLAN && (wn->kind != KIND_END || b->w->inner);
}

static void add_source(struct building *b, uint32_t i, const struct expr *e)
{
	if (e->kind == EXPR_PROMISE) {
		vec_push(&b->sources[i], e->promise.node);
		b->w->nodes[e->promise.node].looked_into |= e->promise.path || looks_into(b, i);
	}
	for (uint32_t k = 0; (e->kind == EXPR_COLLECTION || e->kind == EXPR_MAP) && k < e->n; k++)
		add_source(b, i, &e->items.at[k]);
}

static void bind(struct building *b, uint32_t i, CoreBinding *const *bindings, size_t n)
{
	struct wf_node *wn = &b->w->nodes[i];
	struct binding *at = arena_array(b->w->arena, struct binding, n);
	const char *error = NULL;

	for (size_t k = 0; k < n; k++) {
		at[k].var = arena_strdup(b->w->arena, bindings[k]->var);
		at[k].expr = binding_compile(b->w, &b->names, bindings[k]->binding, &error);
		if (error)
			making_fail(b->making, "BadSpecificationError", "node [%s]: %s", wn->id, error);
		if (b->making->c->error)
			return;
		add_source(b, i, &at[k].expr);
	}
	wn->bindings = at;
	wn->n_bindings = (uint32_t)n;
}

/* Runs only when something else says so. */
static bool waits_to_be_taken(const struct workflow *w, uint32_t i)
{
	return w->nodes[i].parent != NO_NODE || i == w->failure_node;
}

/* Of nodes that wait to be taken, Flyte's compiler follows bindings alone, and so its executions do. */
static void add_upstream_ids(struct building *b, uint32_t i)
{
	const CoreNode *n = b->nodes[i];
	uint32_t at;

	if (waits_to_be_taken(b->w, i))
		return;
	for (size_t k = 0; k < n->n_upstream_node_ids; k++) {
		if (node_names_find(&b->names, n->upstream_node_ids[k], &at))
			vec_push(&b->upstream[i], at);
		else
			making_fail(b->making, "BadSpecificationError", "node [%s]: upstream node [%s] is not defined",
				    n->id, n->upstream_node_ids[k]);
	}
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void make_distinct(uint32_t *at, size_t *n)
{
	size_t out = 0;

	if (*n)
		qsort(at, *n, sizeof *at, by_number);
	for (size_t i = 0; i < *n; i++)
		if (out == 0 || at[out - 1] != at[i])
			at[out++] = at[i];
	*n = out;
}

static void close_upstream(struct building *b, uint32_t i)
{
	struct workflow *w = b->w;

	make_distinct(b->sources[i].at, &b->sources[i].n);
	/* When the failure node runs, all else is over. */
	if (i >= w->first_of_failure)
		b->upstream[i].n = 0;
	for (size_t k = 0; i < w->first_of_failure && k < b->sources[i].n; k++)
		vec_push(&b->upstream[i], b->sources[i].at[k]);
	if (i != START_NODE && i != END_NODE && b->upstream[i].n == 0 && !waits_to_be_taken(w, i))
		vec_push(&b->upstream[i], START_NODE);
	make_distinct(b->upstream[i].at, &b->upstream[i].n);
}

/* Everything waits for the start, and the end for everything. */
static void close_graph(struct building *b)
{
	struct workflow *w = b->w;
	auto_mem bool *has_downstream = x_calloc(w->n_nodes, sizeof *has_downstream);

	for (uint32_t i = 0; i < w->n_nodes; i++) {
		close_upstream(b, i);
		/* That a branch's node waits for it does not mean that anybody will. */
		for (size_t k = 0; !waits_to_be_taken(w, i) && k < b->upstream[i].n; k++)
			has_downstream[b->upstream[i].at[k]] = true;
	}
	for (uint32_t i = 0; i < w->n_nodes; i++)
		if (i != END_NODE && !has_downstream[i] && !waits_to_be_taken(w, i))
			vec_push(&b->upstream[END_NODE], i);
	make_distinct(b->upstream[END_NODE].at, &b->upstream[END_NODE].n);
}

/* What a branch gives is what the node gave that it took. Its nodes come before it. */
static void join_branches(struct building *b)
{
	for (uint32_t i = b->w->n_nodes; i-- > FIRST_TASK_NODE;) {
		uint32_t parent = b->w->nodes[i].parent;
		if (parent == NO_NODE)
			continue;
		vec_push(&b->sources[parent], i);
		b->w->nodes[i].looked_into |= b->w->nodes[parent].looked_into;
	}
}

static void store_edges(struct building *b)
{
	struct workflow *w = b->w;
	uint32_t n = 0, at = 0;

	for (uint32_t i = 0; i < w->n_nodes; i++) {
		w->nodes[i].n_upstream = (uint32_t)b->upstream[i].n + waits_to_be_taken(w, i);
		w->nodes[i].sources.n = (uint32_t)b->sources[i].n;
		n += (uint32_t)(b->upstream[i].n + b->sources[i].n);
		for (size_t k = 0; k < b->upstream[i].n; k++)
			w->nodes[b->upstream[i].at[k]].downstream.n++;
		for (size_t k = 0; k < b->sources[i].n; k++)
			w->nodes[b->sources[i].at[k]].n_users++;
	}
	w->edges = arena_array(w->arena, uint32_t, n);
	for (uint32_t i = 0; i < w->n_nodes; i++) {
		struct wf_node *wn = &w->nodes[i];
		wn->downstream.first = at;
		at += wn->downstream.n;
		wn->downstream.n = 0;
		wn->sources.first = at;
		at += wn->sources.n;
		for (size_t k = 0; k < b->sources[i].n; k++)
			w->edges[wn->sources.first + k] = b->sources[i].at[k];
	}
	for (uint32_t i = 0; i < w->n_nodes; i++)
		for (size_t k = 0; k < b->upstream[i].n; k++) {
			struct edges *down = &w->nodes[b->upstream[i].at[k]].downstream;
			w->edges[down->first + down->n++] = i;
		}
}

/* ---- is every node reached? ---- */

struct reaching {
	const struct workflow *w;
	uint32_t *left;     /* what a node waits for */
	uint32_t *children; /* of a branch, that are not reached */
	uint32_t *queue, tail;
};

static void one_less(struct reaching *r, uint32_t i)
{
	if (--r->left[i] == 0)
		r->queue[r->tail++] = i;
}

/* A branch is over when its nodes are: as if it took them all. */
static void reach_end(struct reaching *r, uint32_t i)
{
	const struct wf_node *wn = &r->w->nodes[i];

	for (uint32_t k = 0; k < wn->downstream.n; k++)
		one_less(r, r->w->edges[wn->downstream.first + k]);
	if (wn->parent != NO_NODE && --r->children[wn->parent] == 0)
		reach_end(r, wn->parent);
}

static void reach(struct reaching *r, uint32_t i)
{
	const struct wf_node *wn = &r->w->nodes[i];

	if (wn->kind != KIND_BRANCH || wn->branch->n == 0) {
		reach_end(r, i);
		return;
	}
	r->children[i] = wn->branch->n;
	for (uint32_t k = 0; k < wn->branch->n; k++)
		one_less(r, wn->branch->cases[k].node);
}

/* Every node must be, or the execution would never end. */
static void check_reached(struct building *b)
{
	struct workflow *w = b->w;
	auto_mem uint32_t *queue = x_calloc(w->n_nodes, sizeof *queue);
	auto_mem uint32_t *left = x_calloc(w->n_nodes, sizeof *left);
	auto_mem uint32_t *children = x_calloc(w->n_nodes, sizeof *children);
	struct reaching r = {w, left, children, queue, 0};

	for (uint32_t i = 0; i < w->n_nodes; i++)
		left[i] = w->nodes[i].n_upstream;
	if (w->failure_node != NO_NODE)
		one_less(&r, w->failure_node);
	for (uint32_t i = 0; i < w->n_nodes; i++)
		if (w->nodes[i].n_upstream == 0)
			queue[r.tail++] = i;
	for (uint32_t head = 0; head < r.tail; head++)
		reach(&r, queue[head]);
	for (uint32_t i = 0; i < w->n_nodes; i++)
		if (left[i])
			making_fail(b->making, "BadSpecificationError", "node [%s] lies on a cycle or behind one",
				    w->nodes[i].id);
}

void graph_build(struct building *b)
{
	struct workflow *w = b->w;

	for (uint32_t i = FIRST_TASK_NODE; i < w->n_nodes && !b->making->c->error; i++) {
		bind(b, i, b->nodes[i]->inputs, b->nodes[i]->n_inputs);
		add_upstream_ids(b, i);
	}
	if (!b->making->c->error)
		bind(b, END_NODE, b->template->outputs, b->template->n_outputs);
	if (b->making->c->error)
		return;
	close_graph(b);
	join_branches(b);
	store_edges(b);
	check_reached(b);
}

/* Which of several failures an execution that goes on after the first ends with. Flyte's propeller walks the graph from
 * the start, what is behind a node by its id, and keeps the last failure that it comes to: the order of the graph
 * counts, not that of time. Source: flytepropeller controller/nodes/executor.go handleDownstream (v1.16.8). */
#include "engine/private.h"

static int by_id(const void *a, const void *b, void *arg)
{
	const struct workflow *w = arg;

	return strcmp(w->nodes[*(const uint32_t *)a].id, w->nodes[*(const uint32_t *)b].id);
}

static size_t count_edges(const struct workflow *w)
{
	size_t n = 0;

	for (uint32_t i = 0; i < w->n_nodes; i++)
		n += w->nodes[i].downstream.n;
	return n;
}

static size_t push_downstream(struct workflow *w, uint32_t i, uint32_t *to)
{
	const struct edges *down = &w->nodes[i].downstream;

	if (down->n) {
		memcpy(to, w->edges + down->first, down->n * sizeof *to);
		qsort_r(to, down->n, sizeof *to, by_id, w);
	}
	return down->n;
}

/* The walk backwards: whom it meets first, Flyte's meets last. */
static uint32_t *walk(struct workflow *w)
{
	uint32_t *order = arena_array(w->arena, uint32_t, w->n_nodes);
	auto_mem uint32_t *stack = x_calloc(count_edges(w) + 1, sizeof *stack);
	uint32_t met = 0;
	size_t n = 0;

	stack[n++] = START_NODE;
	while (n > 0) {
		uint32_t i = stack[--n];
		if (order[i])
			continue;
		order[i] = ++met;
		n += push_downstream(w, i, stack + n);
	}
	return order;
}

bool workflow_meets_later(struct workflow *w, uint32_t i, uint32_t other)
{
	if (!w->order)
		w->order = walk(w);
	return w->order[i] <= w->order[other];
}

/* What spans are made of: the nodes and task executions of an execution, and graphs of workflows, for look-up.
 * Messages lie in the request's arena. */
#pragma once
#include "base/map.h"
#include "execution.h"
#include "flyteidl/core/compiler.h"

struct span_tree {
	struct arena *arena;
	const char **parents;       /* of each node; "" at the top */
	AdminNodeExecution **nodes; /* by parent, then created_at */
	AdminTaskExecution **tasks; /* by node, then created_at */
	size_t n_nodes, n_tasks;
};

/* Every node and task execution of an execution; nodes that tasks made are left out, as in Flyte's lists. NOT_FOUND. */
enum code span_tree_load(struct request *rq, const CoreWorkflowExecutionIdentifier *id, struct span_tree *ret,
			 struct err *err);
/* Of one node, by created_at; *ret_n of them. */
AdminTaskExecution **span_tree_tasks(const struct span_tree *t, const char *node_id, size_t *ret_n);

/* Node executions with one parent: one for each node of the workflow, by created_at. */
struct level {
	AdminNodeExecution **at;
	size_t n;
	struct map *by_spec;
};
struct level level_new(const struct span_tree *t, const char *parent);
void level_clear(struct level *l);
#define auto_level __attribute__((cleanup(level_clear)))
AdminNodeExecution *level_get(const struct level *l, const char *spec_node_id); /* NULL for none */

struct graph {
	struct map *nodes;    /* by id */
	struct map *upstream; /* CoreConnectionSet__IdList by id */
};
struct graph graph_new(const CoreCompiledWorkflow *w); /* NULL: empty */
void graph_clear(struct graph *g);
#define auto_graph __attribute__((cleanup(graph_clear)))
const CoreNode *graph_node(const struct graph *g, const char *id); /* NULL for none */
/* The one of the node's upstream nodes that changed last; NULL for none. */
AdminNodeExecution *graph_latest_upstream(const struct graph *g, const struct level *l, const char *id);

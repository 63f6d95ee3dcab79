/* State of one compilation, shared by workflow.c, bindings.c and graph.c. */
#pragma once
#include "compiler/compiler.h"
#include "compiler/errors.h"

/* Variables of one side of an interface, by name: made once for a task, however many nodes it has. */
struct variables {
	struct map *by_name;
	const CoreVariableMap *source;
};

struct interface {
	struct variables inputs, outputs;
	struct interface *next; /* all of a compilation */
	CoreCompiledTask *task; /* NULL for the workflow's own */
};

struct compile_node {
	CoreNode *node;
	const struct interface *interface; /* NULL when it could not be found out */
};

enum { START, END, FIRST_NODE };
#define START_ID "start-node"
#define END_ID   "end-node"

struct edge {
	uint32_t from, to;
};

struct compilation {
	struct arena *arena;
	struct compile_errors errors;
	CoreWorkflowTemplate *workflow;
	struct compile_node *nodes; /* START, END, then the workflow's, in its order */
	size_t n_nodes;
	struct map *index; /* id to position + 1 */
	uint32_t *rank;    /* place of each node's id among all, sorted */
	struct map *tasks; /* identifier's key to struct interface */
	struct interface *interfaces, start, end;
	VEC(struct edge) edges;
	int union_steps; /* left, for values tried against unions */
};

/* bindings.c: check the bindings of a node against what it takes, and note an edge for each promise. */
void check_bindings(struct compilation *c, uint32_t at, CoreBinding *const *bindings, size_t n);
const CoreVariable *variables_find(const struct variables *v, const char *name);
bool node_position(const struct compilation *c, const char *id, uint32_t *ret);

/* graph.c */
static inline void add_edge(struct compilation *c, uint32_t from, uint32_t to)
{
	vec_push(&c->edges, (struct edge){from, to});
}
void rank_nodes(struct compilation *c);
/* Nodes without upstream hang on the start node, those without downstream on the end node. */
void connect_orphans(struct compilation *c);
/* Errors for cycles, and for nodes that the start node does not lead to. */
void check_reachable(struct compilation *c);
CoreConnectionSet *make_connections(struct compilation *c);

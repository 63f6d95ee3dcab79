/* State of one compilation: a program is all that is compiled together, a compilation one of its templates. */
#pragma once
#include "base/buf.h"
#include "base/map.h"
#include "compiler/compiler.h"
#include "compiler/errors.h"

/* ---- interfaces ---- */

/* Variables of one side of an interface. */
struct variables {
	const CoreVariableMap *source; /* NULL: none */
	struct map *by_name;           /* of many; few are just walked */
	const bool *unbound_ok;        /* by place in source: may stay unbound. NULL: no */
	const char **required;         /* of inputs: names of those that have to be bound */
	size_t n_required;
};

struct interface {
	struct variables inputs, outputs;
	struct interface *next; /* all of a program */
	bool made, flawed;      /* flawed ones are told of at each node, which then has no interface */
};

/* A task, launch plan or sub-workflow: its interface is made once, however many nodes it has. */
struct entity {
	struct interface interface;
	CoreCompiledTask *task;
	const struct launch_plan_interface *launch_plan;
	CoreCompiledWorkflow *sub_workflow;
	uint32_t number; /* of a sub-workflow, from 1 */
	bool used;
};

struct program {
	struct arena *arena;
	struct compile_errors errors;
	struct map *tasks, *launch_plans, *sub_workflows; /* by id_key */
	struct interface *interfaces;
	struct buf key;
	struct map *casts; /* pairs of types that were asked for: (void *)1 if they cast, 2 if not */
	/* What is left for values tried against unions, for casts, and for variables copied: legitimate workflows stay
	 * far below, hostile ones must not take for ever. */
	int union_steps, cast_steps, copies;
};

/* Valid until the next id_key. */
struct str id_key(struct program *g, const CoreIdentifier *id);

/* interface.c */
struct interface *new_interface(struct program *g);
const CoreVariable *variables_find(const struct variables *v, const char *name);
/* Check one side and make it ready for use; false after telling `node` what is wrong. */
bool init_variables(struct program *g, const char *node, const CoreVariableMap *m, struct variables *ret);
/* After init_variables of inputs. */
void set_required(struct program *g, struct variables *inputs);
/* False after an error: the program copies too many variables. */
bool may_copy(struct program *g, const char *node, const struct variables *v);
void clear_interfaces(struct program *g);

/* ---- one template ---- */

struct compile_node {
	CoreNode *node;
	const struct interface *interface; /* NULL when it could not be found out */
	struct compile_node **cases;       /* a branch's inner nodes */
	size_t n_cases;
	uint32_t at; /* place in compilation.nodes */
	bool inner;  /* in a branch or an array, or the failure node: not part of the graph itself */
	bool apart;  /* its id is not among the graph's: an array's node, or a failure node that was told of */
	bool tried;  /* its interface was looked for */
	bool bad_aliases;
};

enum { START, END, FIRST_NODE };
#define START_ID "start-node"
#define END_ID   "end-node"

struct edge {
	uint32_t from, to;
};

struct edges {
	struct edge *at;
	size_t n, cap;
};

struct compilation {
	struct program *program;
	struct arena *arena;
	CoreWorkflowTemplate *workflow;
	VEC(struct compile_node *) nodes; /* START, END, then in order of appearance */
	struct map *index;                /* id to position + 1, of those in the graph so far */
	struct edges edges;               /* both ways */
	struct edges upstream;            /* known to the later node only: inner nodes are not the graph's */
};

/* task.c: Flyte's CompileTask */
void compile_task(const CoreTaskTemplate *t, struct compile_errors *e);

/* template.c */
void compile_template(struct program *g, CoreCompiledWorkflow *w);
struct compile_node *add_inner_node(struct compilation *c, CoreNode *n);
/* Flyte's ValidateNode: false if anything is wrong. */
bool check_node(struct compilation *c, struct compile_node *n);

/* node.c: the interface of a node by its kind; NULL after an error. */
const struct interface *node_interface(struct compilation *c, struct compile_node *n);
const struct interface *known_interface(struct compilation *c, struct compile_node *n);
void check_timeout(struct compilation *c, const CoreNode *n);

/* branch.c */
const struct interface *branch_interface(struct compilation *c, struct compile_node *n);
void check_branch(struct compilation *c, struct compile_node *n);

/* bindings.c */
/* Check the bindings of a node against what it takes, and note an edge for each promise. */
void check_bindings(struct compilation *c, const struct compile_node *n, struct edges *edges);
/* A node that takes what it is given: the variables that its bindings make, for branches and approvals. */
CoreVariableMap *resolve_bindings(struct compilation *c, const struct compile_node *n);
bool node_position(const struct compilation *c, const char *id, uint32_t *ret);

/* type.c */
/* A type as Flyte's errors show it. Source: compiler/common/pretty_print.go. */
const char *type_error_text(const CoreLiteralType *t, struct arena *a);
/* type_castable, of types that the templates hold, once for each pair. */
bool types_cast(struct program *g, const CoreLiteralType *from, const CoreLiteralType *to);
/* The same in all, metadata included; two NULLs are. */
bool type_equal(const CoreLiteralType *a, const CoreLiteralType *b);

/* graph.c */
static inline void add_edge(struct edges *e, uint32_t from, uint32_t to)
{
	vec_push(e, (struct edge){from, to});
}

/* Edges between numbers below n, sorted by their source; name(arg, i) is for messages. */
struct graph {
	uint32_t n;
	const struct edges *edges;
	const char *(*name)(const void *arg, uint32_t i);
	const void *arg;
	uint32_t start;
};
/* Walk from the start. False when there is a cycle: an error is told. Else `seen` (of n) says what was reached. */
bool graph_walk(const struct graph *g, struct program *p, bool *seen);
void edges_sort(struct edges *e);
/* Nodes that nothing leads to hang on the start node, those that lead nowhere on the end node; errors for cycles and
 * for nodes that the start does not lead to; the connections. */
CoreConnectionSet *connect_nodes(struct compilation *c);

/* requirements.c */
struct gathered {
	VEC(const CoreIdentifier *) tasks, launch_plans;
	struct edges sub_workflows; /* who contains whom: 0 is the workflow itself */
};
/* Put sub-workflows into the program; errors for those without an id or with another's. */
void index_sub_workflows(struct program *g, CoreWorkflowTemplate *const *sub_workflows, size_t n,
			 CoreCompiledWorkflow ***ret);
/* All that `w` and what it contains refer to; marks the sub-workflows used. Errors for sub-workflows not there. */
void gather(struct program *g, const CoreWorkflowTemplate *w, struct gathered *ret);
void gathered_free(struct gathered *r);
void program_init(struct program *g, struct arena *a);
void program_clear(struct program *g);

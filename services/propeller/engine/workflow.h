/* A compiled closure made small: for each of its workflows arrays of nodes and edges, bindings ready to be resolved.
 * Immutable once made; shared by the executions of one engine, so it costs each of them nothing. */
#pragma once
#include "engine/attribute.h"
#include "engine/engine.h"
#include "flyteidl/core/compiler.h"

/* Numbers of nodes in their workflow. */
enum { START_NODE, END_NODE, FIRST_TASK_NODE };
#define NO_NODE UINT32_MAX

enum node_kind {
	KIND_START,
	KIND_END,
	KIND_TASK,
	KIND_BRANCH,
	KIND_SUBWORKFLOW,
	KIND_LAUNCH_PLAN,
	KIND_GATE,
	KIND_ARRAY,
	N_KINDS,
};

/* Where a value comes from. */
enum expr_kind { EXPR_LITERAL, EXPR_PROMISE, EXPR_COLLECTION, EXPR_MAP };

struct expr {
	enum expr_kind kind;
	uint32_t n; /* items of a collection or map */
	union {
		const CoreLiteral *literal;
		struct {
			uint32_t node;
			const char *var;
			const struct value_path *path; /* NULL: the whole */
		} promise;
		struct {
			const struct expr *at;
			const char *const *keys; /* of a map */
		} items;
	};
};

struct binding {
	const char *var;
	struct expr expr;
};

struct task {
	const CoreTaskTemplate *template;
	enum leaf leaf;
	const char *in, *out; /* echo's variables; NULL for none */
	const char *misfit;   /* why its leaf cannot run it, or NULL */
};

/* A slice of workflow.edges. */
struct edges {
	uint32_t first, n;
};

/* One way that a branch node may take. */
struct wf_case {
	const CoreBooleanExpression *condition; /* NULL: else */
	uint32_t node;
};

struct wf_branch {
	const struct wf_case *cases; /* in order; an else is the last */
	uint32_t n;
	const char *error; /* of a branch that ends in .fail(), or NULL */
};

/* A task whose outputs are kept for the next one with the same inputs. */
struct wf_cache {
	const char *version;
	bool serialize;
};

struct wf_node {
	const char *id, *name;
	CoreNodeExecutionIdentifier event_id; /* its node_id is the unique id in the top workflow */
	enum node_kind kind;
	uint32_t parent;              /* the branch node that may take it, or NO_NODE */
	const struct task *task;      /* of a KIND_TASK, else NULL */
	const struct wf_cache *cache; /* NULL: not cached */
	union {
		const struct wf_branch *branch;
		struct workflow *workflow; /* of a KIND_SUBWORKFLOW */
		const CoreIdentifier *launch_plan;
		const CoreGateNode *gate;
		const struct wf_array *array;
	};
	const struct binding *bindings;
	uint32_t n_bindings;
	uint32_t n_upstream;     /* distinct nodes that must finish first; one more if it must be taken, see `parent` */
	uint32_t n_users;        /* distinct nodes that read its outputs */
	uint32_t min_attempts;   /* of the user's budget; 0: the default */
	struct edges downstream; /* nodes that wait for it */
	struct edges sources;    /* nodes whose outputs it reads */
	int64_t attempt_timeout_us, node_timeout_us; /* 0: none of its own */
	signed char interruptible;                   /* -1: not said */
	bool looked_into; /* its outputs are needed here, not only by those who run attempts */
};

/* An array node: what runs for each item, and how. */
struct wf_array {
	struct wf_node item;      /* a task or a launch plan, without bindings */
	const char *const *bound; /* inputs that every item gets whole */
	size_t n_bound;
	uint32_t parallelism; /* 0: no bound */
	uint32_t min_successes;
	float min_success_ratio;
	bool min_is_set, ratio_is_set;
	bool single_file; /* all items read the array's own inputs.pb, and know their number */
};

struct workflow {
	struct arena *arena; /* the closure's */
	const CoreIdentifier *id;
	uint32_t n_nodes;
	struct wf_node *nodes; /* START_NODE, END_NODE, then the others; nodes of a branch come before it */
	uint32_t *edges;
	uint32_t *order;           /* see workflow_meets_later; NULL: nobody asked */
	uint32_t failure_node;     /* NO_NODE: none */
	uint32_t first_of_failure; /* from here on nodes belong to it */
	bool interruptible, fail_after;
	bool inner;  /* it runs in a node */
	bool wanted; /* by a node, or it is the primary one; others are not made */
};

struct closure {
	struct arena *arena;
	char *digest; /* NULL: not shared */
	uint32_t refs;
	struct workflow *workflows; /* the primary one is the first */
	uint32_t n_workflows;
	size_t bytes;
	const CoreExecutionError *error; /* it cannot be run */
};

/* Never fails: what is wrong with the closure is in `error`. The message is not kept. `dynamic`: a task gave it. */
struct closure *closure_new(const CoreCompiledWorkflowClosure *closure, const struct engine_options *options,
			    bool dynamic);
void closure_free(struct closure *c);

/* Does the node `i` fail later than `other`, as Flyte's propeller comes to them? Both have failed; both run only once
 * all that is before them is done. */
bool workflow_meets_later(struct workflow *w, uint32_t i, uint32_t other);

/* Make an expression of a binding. Sets *ret_error to a text (in w->arena) for a promise of an unknown node. */
struct node_names;
bool node_names_find(const struct node_names *names, const char *id, uint32_t *ret);
/* What the variable of that node is called in its outputs (output aliases). */
const char *node_names_variable(const struct node_names *names, uint32_t node, const char *var);
struct expr binding_compile(struct workflow *w, const struct node_names *names, const CoreBindingData *data,
			    const char **ret_error);

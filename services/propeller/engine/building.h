/* Inside the compiler of closures: workflow.c makes nodes, graph.c edges, closure.c holds them together. */
#pragma once
#include "base/base.h"
#include "engine/workflow.h"

struct node_names {
	struct map *index;            /* id -> index + 1 */
	const CoreNode *const *nodes; /* by index; NULL for start and end */
};

/* A closure being made. */
struct making {
	struct closure *c;
	const CoreCompiledWorkflowClosure *from;
	const struct engine_options *options;
	struct map *tasks;     /* id as text -> struct task */
	struct map *workflows; /* id as text -> struct workflow */
	VEC(struct workflow *) wanted;
};

/* One of its workflows being made. */
struct building {
	struct making *making;
	struct workflow *w;
	const CoreWorkflowTemplate *template;
	const CoreNode **nodes; /* by index */
	struct node_names names;
	VEC(uint32_t) * upstream, *sources; /* by node */
};

/* Only the first error is kept. */
void making_fail(struct making *m, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
const char *making_id_text(struct arena *a, const CoreIdentifier *id);

/* A node runs it. The compiler does not look into the others, nor do we. */
void workflow_want(struct making *m, struct workflow *w);
void workflow_build(struct making *m, struct workflow *w, const CoreWorkflowTemplate *template);
/* All nodes are there: bindings, edges, and whether every node is reached. */
void graph_build(struct building *b);

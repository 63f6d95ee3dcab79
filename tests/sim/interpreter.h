/* Inside the interpreter. */
#pragma once
#include "sim.h"

/* A workflow that runs at a place. */
struct scope {
	struct sim *s;
	struct exec *x;
	const struct plan *plan;
	const char *dir;  /* of its nodes: "<dir>/<id>"; the top's have "/data" behind them */
	struct val input; /* x */
	struct map *done; /* node -> struct outcome */
	bool top;
};

/* What runs a node whose inputs are there, at its place or at that of its attempt. */
typedef struct outcome run_fn(struct scope *c, const struct plan_node *n, const char *dir, const struct val *in);

/* interpreter.c */
struct outcome run_node(struct scope *c, const struct plan_node *n, const char *dir, const struct val *item_inputs,
			size_t n_item_inputs);
struct outcome run_plan(struct scope *outer, const struct plan *p, const char *dir, struct val input, bool top);
/* May those that it waits for succeed? May one of them not? */
bool may_begin(const struct scope *c, const struct plan_node *n);
bool may_be_skipped(const struct scope *c, const struct plan_node *n);
/* Is it a matter of luck whether a node is done before its time is up? */
bool is_racing(const struct scope *c);
/* Something that lasts too long for its node, or may. */
void lose_patience(const struct scope *c, const struct plan_node *n, struct outcome *o);

/* interpret_task.c: those of executors, and those inside the engine */
struct outcome run_task(struct scope *c, const struct plan_node *n, const char *dir, const struct val *in, size_t n_in);
/* What a task or child at `dir` gives for these. */
struct val given(const struct scope *c, const char *dir, const struct val *in, size_t n);

/* interpret_kinds.c */
run_fn run_gate, run_branch, run_workflow, run_launch, run_child;

/* interpret_array.c */
run_fn run_array;

/* Inside the engine: executions, their nodes and values, and one step's folding. */
#pragma once
#include <string.h>

#include "base/base.h"
#include "engine/engine.h"
#include "engine/paths.h"
#include "engine/workflow.h"
#include "flyteidl/event/event.h"

/* ---- values ---- */

struct values {
	const struct value_ref *at;
	size_t n;
};

/* What a node has given, while others still need it. Shared: what echo hands on is its source's memory. */
struct outputs {
	uint32_t refs;
	uint32_t n;
	size_t bytes;
	struct outputs *owner; /* whose memory the literals are, when not ours */
	struct arena *arena;   /* ours, or NULL */
	struct value_ref at[];
};

/* ---- state ---- */

enum node_phase {
	NODE_WAITING, /* for others; or ready, for its turn */
	NODE_RUNNING, /* has a `run` */
	NODE_SUCCEEDED,
	NODE_FAILED,
	NODE_TIMED_OUT,
	NODE_SKIPPED,
	NODE_ABORTED,
};

/* What a node has only while it runs. */
struct run {
	int64_t dispatched_us;
	int64_t attempt_due_us, node_due_us, sleep_due_us; /* 0: no timer */
	bool started;                                      /* the executor said so */
	size_t started_len;
	uint8_t started_packed[]; /* its AttemptStarted: the logs */
};

struct node {
	uint8_t phase;
	bool skip; /* something before it failed */
	uint16_t system_failures;
	uint32_t attempt;
	uint32_t upstream; /* that have not finished */
	uint32_t users;    /* that may still read the outputs */
	struct outputs *outputs;
	struct run *run;
};

enum execution_phase {
	EXECUTION_RUNNING,
	EXECUTION_STORING, /* everything ran; the outputs are being put together */
	EXECUTION_ENDING,  /* failed or aborted: what runs is being stopped */
	EXECUTION_DONE,
};

struct execution {
	int64_t id, seq;
	struct workflow *wf;
	struct arena *arena; /* the command and all that lives as long as the execution */
	const AlulaCommand *command;
	const char *dir;    /* where its files lie */
	struct node *nodes; /* as many as wf's; NULL without a workflow that runs */
	uint32_t *ready;    /* nodes in the order they became ready: each comes here once */
	uint32_t ready_head, ready_tail;
	uint32_t running;
	uint32_t sweep; /* ENDING: nodes up to here are dealt with */
	enum execution_phase phase;
	bool going_on;                   /* a Continue is on its way */
	bool aborted;                    /* ENDING by abort, not by failure */
	int64_t due_us, now_us;          /* now: time never goes back */
	const CoreExecutionError *error; /* why it fails */
	struct arena *error_arena;       /* only the last one is kept: they may be large */
	size_t bytes;
};

struct tombstone {
	int64_t execution, until_us;
};

struct engine {
	struct engine_options options;
	struct u64map *executions;
	struct map *workflows;            /* by digest */
	struct u64map *aborted;           /* executions that were aborted before they came */
	VEC(struct tombstone) tombstones; /* the same, the oldest at `first_tombstone` */
	size_t first_tombstone;
	VEC(struct outputs *) unused; /* given up in the last step; its record may still refer to them */
	struct arena *scratch;        /* of replays */
	size_t bytes;
};

/* ---- one step ---- */

struct fold {
	struct engine *e;
	struct execution *x;
	struct step *step;
	struct arena *a;
	AlulaRecord *record;
	int64_t now_us;
	PbTimestamp *now;
	bool changed;
};

struct resolving;

/* execution.c */
struct execution *execution_new(struct engine *e, int64_t id);
void execution_free(struct engine *e, struct execution *x);
/* f->x is new. `aborted`: its abort came first. */
void execution_accept(struct fold *f, const AlulaAccepted *in, bool aborted);
/* The workflow of a command, shared if it can be; NULL when it is not there. */
struct workflow *execution_workflow(struct engine *e, const AlulaStartExecution *start);
void execution_abort(struct fold *f);
void execution_stored(struct fold *f, const AlulaOutputsStored *in);
void execution_timed_out(struct fold *f);
void execution_go_on(struct fold *f);
/* What it will fail with; copied. */
void execution_set_error(struct fold *f, const CoreExecutionError *error);
/* It fails: what runs is stopped. */
void execution_fail(struct fold *f, const CoreExecutionError *error);
/* Do what can be done now, up to the limit of a record. */
void execution_run(struct fold *f);
struct action *action_new(struct fold *f, enum action_kind kind, uint32_t node);
/* The action that puts the execution's outputs together outside the engine; gives where. */
const char *execution_store(struct fold *f);
/* All nodes are done. The end node's outputs are in `event`, if there are any. */
void execution_succeed(struct fold *f, const EventNodeExecutionEvent *event);

/* node.c */
void node_begin(struct fold *f, uint32_t i);
/* The node's run, as long as it has none. */
struct run *node_run(struct fold *f, uint32_t i);
/* Both give the node's last event, for the caller to complete. */
EventNodeExecutionEvent *node_succeed(struct fold *f, uint32_t i, struct outputs *outputs);
EventNodeExecutionEvent *node_fail(struct fold *f, uint32_t i, const CoreExecutionError *error, bool timed_out);
void node_abort(struct fold *f, uint32_t i, const char *reason);
/* Nothing for a leaf inside the engine, which has no file. */
void node_set_inputs_uri(struct fold *f, uint32_t i, EventNodeExecutionEvent *event);

/* attempt.c */
/* The first attempt of a task node whose turn has come. */
void attempt_first(struct fold *f, uint32_t i);
void attempt_started(struct fold *f, const AlulaAttemptStarted *in);
void attempt_finished(struct fold *f, const AlulaAttemptFinished *in);
void attempt_abort(struct fold *f, uint32_t i, const char *reason);
void attempt_timer(struct fold *f, const AlulaTimerFired *in);
bool attempt_interruptible(const struct fold *f, uint32_t i);
/* The task execution's generated name. */
const char *attempt_name(struct fold *f, uint32_t i, uint32_t attempt);
/* The action that starts the running attempt of the node. */
void attempt_action(struct fold *f, uint32_t i);
void attempt_timers(struct fold *f, uint32_t i);

/* leaf.c: tasks that run inside the engine */
/* Begins and ends in one. */
void leaf_instant(struct fold *f, uint32_t i, const struct resolving *r, const struct values *inputs);
/* The inputs themselves, or where their file lies. */
void leaf_set_inputs(struct fold *f, uint32_t i, EventNodeExecutionEvent *event, const struct values *inputs);
/* How long core-sleep sleeps; false when its input does not tell. */
bool leaf_sleep_us(const struct values *inputs, int64_t *ret);
void leaf_done_sleeping(struct fold *f, uint32_t i);

/* events.c */
EventNodeExecutionEvent *event_node(struct fold *f, uint32_t i, CoreNodeExecutionPhase phase);
EventTaskExecutionEvent *event_task(struct fold *f, uint32_t i, CoreTaskExecutionPhase phase);
EventWorkflowExecutionEvent *event_workflow(struct fold *f, CoreWorkflowExecutionPhase phase);
CoreLiteralMap *literal_map_of(struct arena *a, const CoreLiteral *const *items, const char *const *keys, size_t n);
/* NULL unless all of them are there. */
CoreLiteralMap *values_inline(struct arena *a, const struct values *v);
CoreExecutionError *error_new(struct arena *a, CoreExecutionErrorErrorKind kind, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* outputs.c */
struct outputs *outputs_new(struct engine *e, size_t n, struct outputs *owner);
struct outputs *outputs_of_attempt(struct fold *f, uint32_t i, const AlulaAttemptOutputs *in);
struct outputs *outputs_of_execution(struct fold *f, const AlulaStartExecution *start);
/* `from` handed on under another name. */
struct outputs *outputs_alias(struct engine *e, const struct value_ref *from, struct outputs *source, bool composed,
			      const char *var);
/* The record of this step may still refer to it: it goes at the next one. */
void outputs_drop(struct engine *e, struct outputs *o);
void outputs_collect(struct engine *e);
const struct value_ref *values_clone(struct arena *a, const struct values *v);

/* binding.c */
struct resolving {
	struct arena *a;
	const struct execution *x;
	struct outputs *source; /* whose literal the last one was, or NULL */
	bool composed;          /* the last one was put together in `a` */
	const char *error;
};
CoreLiteral *literal_of_items(struct arena *a, bool map, const CoreLiteral *const *items, const char *const *keys,
			      size_t n);
bool resolve_expr(struct resolving *r, const struct expr *e, struct value_ref *ret);
/* False with r->error. */
bool resolve_inputs(struct resolving *r, const struct wf_node *wn, struct values *ret);

enum timer { TIMER_EXECUTION = 1, TIMER_NODE, TIMER_ATTEMPT, TIMER_SLEEP };

static inline const struct wf_node *wf_node(const struct fold *f, uint32_t i)
{
	return &f->x->wf->nodes[i];
}

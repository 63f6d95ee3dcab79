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
	const char *uri;       /* where those lie that are not in `at`, or NULL */
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

/* Where a node stands with the cache. */
enum run_cache {
	CACHE_NOT_ASKED,
	CACHE_LOOKING, /* asked; nothing is told yet */
	CACHE_WAITING, /* asked; somebody else has the reservation, and the node is told to be queued */
	CACHE_MISSED,  /* its first attempt may begin */
	CACHE_BEGUN,
	CACHE_PUTTING, /* what it gives is being put; its end waits for that */
};

/* How a node ended, while its outputs are put into the cache. */
struct kept {
	struct outputs *outputs; /* of a leaf or a dynamic workflow */
	size_t len;
	uint8_t packed[]; /* AlulaAttemptFinished */
};

/* What a node has only while it runs. */
struct run {
	int64_t dispatched_us;
	int64_t attempt_due_us, node_due_us, sleep_due_us; /* 0: no timer */
	struct frame *frame;                               /* of its sub-workflow */
	uint32_t taken;                                    /* which node a branch runs; global */
	bool started;                                      /* the executor said so */
	bool told;                                         /* that a child runs, of whatever attempt */
	bool counted;                                      /* in the execution's parallelism */
	bool dynamic;                                      /* its task gave a workflow, which runs or did */
	bool waiting;                                      /* for its turn to try again */
	bool storing;                                      /* its outputs are being put together */
	bool reading;                                      /* its inputs are being read */
	bool feeding;                                      /* an array that begins its next item when it is its turn */
	bool recovering;    /* an earlier execution's dynamic workflow is being compiled */
	uint8_t told_phase; /* of its task execution, by an AttemptUpdate: a CoreTaskExecutionPhase */
	uint32_t told_version;
	bool queued;       /* the node is told to be so already */
	bool reserved;     /* in the cache, for this node */
	bool cache_failed; /* the cache could not be asked */
	uint8_t cache;     /* enum run_cache */
	struct kept *kept;
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

enum frame_phase {
	FRAME_RUNNING,
	FRAME_STORING,  /* everything ran; the outputs are being put together */
	FRAME_ENDING,   /* what runs in it is being stopped */
	FRAME_HANDLING, /* failed; the failure node runs */
};

/* What comes when all that runs in a frame was stopped. */
enum frame_then {
	THEN_FAIL,      /* it fails, or its failure node runs */
	THEN_ABORT,     /* whoever stopped it goes on */
	THEN_TRY_AGAIN, /* the attempt of the node that it belongs to timed out */
	THEN_TIME_OUT,  /* that node timed out */
};

/* A workflow that runs inside the execution: the first frame is the execution's own, each other one belongs to a node.
 * Its nodes have consecutive numbers in the execution, which are never used again. */
/* The items of an array node. */
struct array {
	const struct wf_array *spec;
	struct values inputs; /* of the whole array; in the frame's arena, or held by the node's sources */
	const char *dir;      /* the array node's own */
	uint32_t size, next;  /* items before `next` have begun */
	uint32_t running, done, failed;
	uint32_t version; /* of its task execution's phase */
	bool over;        /* no item begins any more */
	bool closed;      /* its last event is told */
	bool touched;     /* in this step */
	uint8_t *phases;  /* enum node_phase, by item */
	uint8_t **given;  /* a length and a packed Given, by item; NULL: nobody gave anything yet */
	size_t given_bytes, bytes;
	const char **names; /* of what its items give, when that had to be looked up; in the frame's arena */
	size_t n_names;
	const char **recovered;            /* where the outputs of items lie that need not run; NULL: none has */
	struct u64map *nodes;              /* item -> struct node: those that run, and those that ended in this step */
	VEC(uint32_t) ended;               /* in this step */
	EventExternalResourceInfo **notes; /* what happened to items in this step; in its arena */
	const EventTaskExecutionEvent **sources; /* where each note came from */
	size_t n_notes, n_sources;
};

struct frame {
	struct array *array;  /* its nodes are items of an array; it has no `wf`; NULL: not so */
	struct workflow *wf;  /* NULL: it could not be read */
	struct frame *parent; /* NULL: the top */
	uint32_t node;        /* of the parent's frame; global */
	uint32_t first, n;    /* its nodes */
	uint32_t depth;
	enum frame_phase phase;
	enum frame_then then;
	const char *reason;                  /* ENDING: why, for those that are stopped */
	uint32_t sweep;                      /* ENDING: nodes up to here are dealt with */
	bool timed_out;                      /* it fails as a node of it timed out */
	uint32_t failed;                     /* whose error it has, of its own numbers; START_NODE: nobody's */
	bool dynamic;                        /* it, or a frame around it, came from a task */
	const char *dir;                     /* where its files lie */
	const char *unique_id, *retry_group; /* of the node that it belongs to; NULL at the top */
	const CoreExecutionError *error;     /* why it fails */
	struct arena *error_arena;           /* only the last one is kept: they may be large */
	struct arena *arena;                 /* NULL at the top, which has the execution's */
	size_t bytes;
	struct node nodes[];
};

/* What may run on although nothing here knows it any more: its end was asked for, but perhaps lost. */
struct orphan {
	uint32_t node, attempt;
	const char *child; /* of a launch plan node, the name of its execution; NULL for a task */
};

/* An AttemptResource, packed; until its attempt ends by itself, or the execution does. */
struct kept_resource {
	uint32_t node, attempt;
	size_t len;
	uint8_t *packed;
};

/* A value that somebody set. */
struct known_signal {
	struct arena *arena;
	const char *id;
	const CoreLiteral *value;
};

struct execution {
	int64_t id, seq;
	struct closure *closure;
	VEC(struct closure *) dynamic; /* that tasks gave: actions may borrow from them, so they stay */
	VEC(struct orphan) orphans;
	VEC(struct known_signal) signals;
	VEC(struct kept_resource) resources;
	size_t resource_bytes;
	VEC(struct frame *) arrays; /* that this step touched */
	VEC(uint32_t) gates;        /* that wait for a signal */
	struct map *children;       /* name of an execution -> number of the node that waits for it, + 1; NULL: none */
	struct arena *arena;        /* the command and all that lives as long as the execution */
	const AlulaCommand *command;
	struct recovery *recovery;  /* what an earlier execution left; NULL: nothing */
	VEC(struct frame *) frames; /* by the numbers of their nodes; the first one is the top */
	VEC(struct frame *) ending; /* the last one is being swept */
	struct frame *last;         /* that was looked for */
	uint32_t next_node;
	VEC(uint32_t) ready; /* nodes in the order they became ready: each comes here once */
	VEC(uint32_t) held;  /* of those: wait until fewer run */
	size_t ready_head, held_head;
	uint32_t running; /* that count for max_parallelism */
	bool done;
	bool going_on;          /* a Continue is on its way */
	bool aborted;           /* the end is by abort, not by failure */
	bool caching;           /* the cache is asked */
	int64_t due_us, now_us; /* now: time never goes back */
	size_t bytes;
};

struct tombstone {
	int64_t execution, until_us;
};

struct engine {
	struct engine_options options;
	struct u64map *executions;
	struct map *closures;             /* by digest */
	struct u64map *aborted;           /* executions that were aborted before they came */
	VEC(struct tombstone) tombstones; /* the same, the oldest at `first_tombstone` */
	size_t first_tombstone;
	/* Given up in the last step; its record may still refer to them. */
	VEC(struct outputs *) unused;
	VEC(struct frame *) unused_frames;
	struct arena *scratch; /* of replays */
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
	size_t n_notes; /* of items of arrays, questions to the cache: as good as events */
};

struct resolving;

/* ---- kinds of nodes ---- */

/* What differs between kinds; what is NULL does not happen. Nodes are global numbers. */
struct kind {
	bool limited; /* counts for max_parallelism */
	/* Its turn: from here on it has events. */
	void (*begin)(struct fold *f, uint32_t i);
	/* Its next attempt, which is counted already; NULL: it has only one. */
	void (*again)(struct fold *f, uint32_t i);
	/* Stop what it does itself; its frame has been stopped. */
	void (*abort)(struct fold *f, uint32_t i, const char *reason);
	/* The actions that its state calls for while it runs. */
	void (*pending)(struct fold *f, uint32_t i);
	/* Ask again for the end of what it started, when it has ended badly. */
	void (*stop_again)(struct fold *f, uint32_t i);
	/* What must be remembered for that when its frame goes; false if nothing. */
	bool (*orphan)(struct fold *f, uint32_t i, struct orphan *ret);
	/* Its frame is over. `outputs` is the callee's; `end` the end node's last event. */
	void (*frame_done)(struct fold *f, uint32_t i, const EventNodeExecutionEvent *end, struct outputs *outputs);
	void (*frame_failed)(struct fold *f, uint32_t i, const CoreExecutionError *error, bool timed_out);
	void (*slept)(struct fold *f, uint32_t i); /* its TIMER_SLEEP */
	/* Its outputs have been put together, its inputs read. */
	void (*stored)(struct fold *f, uint32_t i, const AlulaOutputsStored *in);
	void (*read)(struct fold *f, uint32_t i, const AlulaValuesRead *in);
	/* More for its events. */
	void (*describe)(const struct fold *f, uint32_t i, EventNodeExecutionEvent *event);
};

extern const struct kind KIND_OF_START, KIND_OF_END, KIND_OF_TASK, KIND_OF_BRANCH, KIND_OF_SUBWORKFLOW,
	KIND_OF_LAUNCH_PLAN, KIND_OF_GATE, KIND_OF_ARRAY;

const struct kind *node_kind(const struct fold *f, uint32_t i);

/* execution.c */
struct execution *execution_new(struct engine *e, int64_t id);
void execution_free(struct engine *e, struct execution *x);
void execution_account(struct engine *e, struct execution *x);
/* f->x is new. `aborted`: its abort came first. */
void execution_accept(struct fold *f, const AlulaAccepted *in, bool aborted);
void execution_abort(struct fold *f);
void execution_timed_out(struct fold *f);
void execution_go_on(struct fold *f);
/* Do what can be done now, up to the limit of a record. */
void execution_run(struct fold *f);
struct action *action_new(struct fold *f, enum action_kind kind, uint32_t node);
void execution_done(struct fold *f, CoreWorkflowExecutionPhase phase);
/* All nodes are done. `end` is the end node's last event. */
void execution_succeed(struct fold *f, const EventNodeExecutionEvent *end);

/* frame.c */
struct frame *frame_new(struct engine *e, struct execution *x, struct workflow *wf, struct frame *parent, uint32_t node,
			uint32_t size);
void frame_free(struct engine *e, struct frame *frame);
/* The record of this step may still refer to it: it goes at the next one. */
void frame_drop(struct fold *f, struct frame *frame);
void frames_collect(struct engine *e);
/* The frame that has this node, or NULL: none has, or it is over. */
struct frame *frame_find(struct execution *x, uint32_t i);
/* Does anything go on in it? Not when it, or one around it, is ending. */
bool frame_is_alive(const struct frame *frame);
/* What it will fail with; copied. */
void frame_set_error(struct fold *f, struct frame *frame, const CoreExecutionError *error, bool timed_out);
/* It fails: what runs is stopped, then its failure node runs, if it has one. */
void frame_fail(struct fold *f, struct frame *frame);
void frame_stop(struct fold *f, struct frame *frame, const char *reason, enum frame_then then);
/* One node more of a frame that ends is dealt with. */
void frame_sweep_one(struct fold *f);
/* Its outputs; the end node's number is global. */
const char *frame_store(struct fold *f, struct frame *frame);
void frame_stored(struct fold *f, struct frame *frame, const AlulaOutputsStored *in);
/* All its nodes are done. Takes `outputs`; `end` is the end node's last event. */
void frame_succeed(struct fold *f, struct frame *frame, const EventNodeExecutionEvent *end, struct outputs *outputs);
/* Start a workflow in this running node; false with an error for the node if it lies too deep. */
bool frame_begin(struct fold *f, uint32_t i, struct workflow *wf, const struct values *inputs, bool dynamic,
		 const CoreExecutionError **ret_error);

/* node.c */
void node_begin(struct fold *f, uint32_t i);
/* The node's run, as long as it has none. */
struct run *node_run(struct fold *f, uint32_t i);
void node_drop_run(struct fold *f, uint32_t i);
void node_run_free(struct engine *e, struct run *r);
/* No longer one of those that max_parallelism counts. */
void node_uncount(struct fold *f, struct run *r);
/* `event` is its last event, complete; takes `outputs`. */
void node_succeed(struct fold *f, uint32_t i, const EventNodeExecutionEvent *event, struct outputs *outputs);
/* Gives its last event, for the caller to add to. */
EventNodeExecutionEvent *node_fail(struct fold *f, uint32_t i, const CoreExecutionError *error, bool timed_out);
void node_fail_at_once(struct fold *f, uint32_t i, CoreExecutionErrorErrorKind kind, const char *code,
		       const char *text);
/* It can't run any more, without a word: the branch that it belongs to took another one, or none. */
void node_pass_over(struct fold *f, uint32_t i);
/* One thing less that it waits for. */
void node_one_less(struct fold *f, uint32_t i);
void node_abort(struct fold *f, uint32_t i, const char *reason);
/* Nothing for a leaf inside the engine, which has no file. */
void node_set_inputs_uri(struct fold *f, uint32_t i, EventNodeExecutionEvent *event);
/* The inputs themselves if they are all at hand and small; else they are put together at their place. */
void node_set_inputs(struct fold *f, uint32_t i, EventNodeExecutionEvent *event, const struct values *inputs);
/* Have its values put together at `uri`; OutputsStored follows. */
struct action *node_store(struct fold *f, uint32_t i, const char *uri, const struct values *values);
/* Ask for values that lie in the store; its kind's `read` gets them. */
void node_read(struct fold *f, uint32_t i, const struct values *values, enum read_how how);
/* False if they can't be had: then the node has failed. */
bool node_inputs(struct fold *f, uint32_t i, struct values *ret);
void node_copy_result(EventNodeExecutionEvent *to, const EventNodeExecutionEvent *from);
/* "<frame>/<node>[/data]", and below that "<attempt>". */
const char *node_dir(struct fold *f, uint32_t i);
const char *node_output_dir(struct fold *f, uint32_t i);
const char *node_outputs_uri(struct fold *f, uint32_t i);
const char *node_unique_id(const struct fold *f, uint32_t i);
/* The node that runs, if this is one and it still matters; else NULL. */
struct node *node_running(const struct fold *f, uint32_t i);

/* gate.c */
void gate_signal(struct fold *f, const AlulaSetSignal *in);
void gate_free_signals(struct engine *e, struct execution *x);

/* array.c */
void array_free(struct engine *e, struct array *a);
/* NULL unless the item runs. */
struct node *array_node(const struct array *a, uint32_t item);
/* Begin one item more. */
void array_feed(struct fold *f, uint32_t i);
void array_note(struct fold *f, struct frame *frame, uint32_t item, const EventTaskExecutionEvent *t);
/* Of what was noted last. */
void array_note_cache(struct frame *frame, CoreCatalogCacheStatus status);
void array_item_over(struct fold *f, struct frame *frame, uint32_t item, enum node_phase phase);
/* Takes `outputs`. */
void array_item_done(struct fold *f, struct frame *frame, uint32_t item, struct outputs *outputs);
void array_item_failed(struct fold *f, struct frame *frame, uint32_t item, const CoreExecutionError *error,
		       bool timed_out);
/* All its items have been stopped. */
void array_stopped(struct fold *f, struct frame *frame);
void array_account(struct engine *e, struct array *a);

/* array_told.c */
void array_touch(struct fold *f, struct frame *frame);
/* The array's task execution, with what happened to items since the last time. */
EventTaskExecutionEvent *array_tell(struct fold *f, struct frame *frame, CoreTaskExecutionPhase phase);
/* The step is over: what happened to items is told, and what is over is dropped. */
void arrays_settle(struct fold *f);

/* array_values.c */
/* The lists that must be looked at before it is known how many items there are; false if none. */
bool array_wants(struct fold *f, uint32_t i, const struct values *inputs, struct values *ret);
/* What was wanted of the inputs put in its place. */
void array_take_read(struct fold *f, const struct values *wanted, const AlulaValuesRead *in, struct values *inputs);
/* How many items there are; false with a text. */
bool array_measure(struct fold *f, const struct wf_array *spec, const struct values *inputs, uint32_t *ret,
		   const char **ret_text);
void array_inputs(const struct array *a, uint32_t item, struct arena *arena, struct values *ret);
/* What an item gave; copied. */
void array_keep(struct fold *f, struct array *a, uint32_t item, const struct outputs *o);
/* What must be read to know the names of what items gave; false if nothing. */
bool array_wants_names(struct fold *f, const struct array *a, struct values *ret);
void array_name(struct frame *frame, const AlulaValuesRead *in);
/* Lists of what they gave. */
void array_gather(struct fold *f, const struct array *a, struct values *ret);

/* launch.c */
void launch_started(struct fold *f, const AlulaChildStarted *in);
void launch_finished(struct fold *f, const AlulaChildFinished *in);
void launch_abort_orphan(struct fold *f, const struct orphan *o);

/* cache.c: what comes before a task's first attempt and after its success */
/* The cache is asked first: the node begins, or ends, when it has answered. */
bool cache_begin(struct fold *f, uint32_t i);
/* Does it have to wait for its turn? Not for asking the cache. */
bool cache_goes_first(const struct fold *f, uint32_t i);
void cache_answered(struct fold *f, const AlulaCacheAnswered *in);
/* What the node gives goes into the cache first. Takes `outputs`, and keeps a copy of `in`; false if it takes nothing:
 * the node is not cached. */
bool cache_keep(struct fold *f, const AlulaAttemptFinished *in, struct outputs *outputs);
void cache_put_done(struct fold *f, const AlulaCachePut *in);
/* The node asked the cache and does nothing else. */
bool cache_has_node(const struct run *r);
/* Nobody was told of the node yet. */
bool cache_is_silent(const struct run *r);
/* The actions that its state calls for; false if there are others. */
bool cache_pending(struct fold *f, uint32_t i);
/* The node is over. */
void cache_end(struct fold *f, uint32_t i);
/* What its event says of the cache. */
void cache_tell(struct fold *f, uint32_t i, EventTaskNodeMetadata *m, const AlulaCachePut *put);

/* dynamic.c: tasks that give workflows */
void dynamic_begin(struct fold *f, uint32_t i, const AlulaDynamicWorkflow *in, char *deck_uri);
void dynamic_done(struct fold *f, uint32_t i, const EventNodeExecutionEvent *end, struct outputs *outputs);
void dynamic_failed(struct fold *f, uint32_t i, const CoreExecutionError *error, bool timed_out);
void dynamic_succeeded(struct fold *f, const AlulaAttemptFinished *in, struct outputs *outputs,
		       const AlulaCachePut *put);

/* retry.c: attempts and timers of every kind of node */
/* Its next attempt, or its first one after it waited for the cache; at once or when it is its turn. */
void node_try_again(struct fold *f, uint32_t i);
/* Its last event if it failed, NULL if it tries again. */
EventNodeExecutionEvent *node_retry_or_fail(struct fold *f, uint32_t i, const CoreExecutionError *error, bool system);
int64_t node_attempt_timeout(const struct fold *f, uint32_t i);
/* The frame of its attempt has been stopped, as it timed out. */
void node_timed_out_attempt(struct fold *f, uint32_t i);
void node_timed_out(struct fold *f, uint32_t i);
/* Time counts from here. */
void node_set_deadlines(struct fold *f, uint32_t i);
void node_timers(struct fold *f, uint32_t i);
void node_timer(struct fold *f, const AlulaTimerFired *in);

/* attempt.c */
void attempt_started(struct fold *f, const AlulaAttemptStarted *in);
void attempt_finished(struct fold *f, const AlulaAttemptFinished *in);
/* It succeeded, and `put` says what the cache made of that; NULL: it was not asked. */
void attempt_succeeded(struct fold *f, const AlulaAttemptFinished *in, const AlulaCachePut *put);
bool attempt_interruptible(const struct fold *f, uint32_t i);
/* The node whose attempt this is about, if it is the one that runs; else NULL. */
struct node *attempt_running(const struct fold *f, uint32_t i, uint32_t attempt);
EventTaskExecutionEvent *attempt_event(struct fold *f, uint32_t i, CoreTaskExecutionPhase phase);
void attempt_add_reason(struct fold *f, EventTaskExecutionEvent *t, const char *text);
/* The task execution's generated name. */
const char *attempt_name(struct fold *f, uint32_t i, uint32_t attempt);

/* What an attempt of the node is given; NULL if its inputs cannot be had. */
struct attempt *attempt_described(struct fold *f, uint32_t i);

/* recover.c */
void recovery_begin(struct fold *f, const AlulaRecovery *in);
void recovery_free(struct engine *e, struct recovery *r);
/* False if there is nothing to take over: then it begins like any other. */
bool recover_node(struct fold *f, uint32_t i);
/* The array begins: which items need not run. */
void recover_items(struct fold *f, struct frame *frame);
bool recover_item(struct fold *f, struct frame *frame, uint32_t item);
/* What a node's attempts before this execution left; "" and NULL for nothing. */
const char *recovered_checkpoint(struct fold *f, uint32_t i);
const CoreWorkflowExecutionIdentifier *recovered_child(struct fold *f, uint32_t i);
/* For a node that is `recovering`. */
void recovering_pending(struct fold *f, uint32_t i);
void recovering_compiled(struct fold *f, const AlulaAttemptFinished *in);

/* resource.c: what executors make outside for attempts */
void attempt_resource(struct fold *f, const AlulaAttemptResource *in);
void attempt_update(struct fold *f, const AlulaAttemptUpdate *in);
/* Its attempt has ended by itself. */
void resource_drop(struct fold *f, uint32_t node, uint32_t attempt);
void resources_free(struct execution *x);
/* Whose it is; NULL if there is none. */
const char *resource_plugin(const struct fold *f, uint32_t node, uint32_t attempt);
/* The step's actions get what is known. */
void resources_attach(struct fold *f);
void resources_pending(struct fold *f);

/* branch.c */
/* The node that branch `i` took is over; `last` is its last event. */
void branch_child_done(struct fold *f, uint32_t i, uint32_t child, const EventNodeExecutionEvent *last);
void branch_child_failed(struct fold *f, uint32_t i, const CoreExecutionError *error, bool timed_out);

/* condition.c */
/* False with *ret_error in `a`: why it can't be said. */
bool condition_holds(const CoreBooleanExpression *e, const struct values *inputs, struct arena *a, bool *ret,
		     const char **ret_error);

/* leaf.c: tasks that run inside the engine */
/* Begins and ends in one. */
void leaf_instant(struct fold *f, uint32_t i, const struct resolving *r, const struct values *inputs);
/* The inputs themselves, or where their file lies. */
void leaf_set_inputs(struct fold *f, uint32_t i, EventNodeExecutionEvent *event, const struct values *inputs);
/* Its values have been put into the cache. Takes `outputs`. */
void leaf_succeeded(struct fold *f, uint32_t i, struct outputs *outputs, const AlulaCachePut *put);
/* How long core-sleep sleeps; false when its input does not tell. */
bool leaf_sleep_us(const struct values *inputs, int64_t *ret);
void leaf_done_sleeping(struct fold *f, uint32_t i);

/* events.c */
EventNodeExecutionEvent *event_node(struct fold *f, uint32_t i, CoreNodeExecutionPhase phase);
void event_signal(struct fold *f, const char *id, CoreLiteralType *type);
EventTaskExecutionEvent *event_task(struct fold *f, uint32_t i, CoreTaskExecutionPhase phase);
/* Of an array's one task execution. */
EventTaskExecutionEvent *event_array(struct fold *f, uint32_t i, CoreTaskExecutionPhase phase);
EventWorkflowExecutionEvent *event_workflow(struct fold *f, CoreWorkflowExecutionPhase phase);
CoreLiteralMap *literal_map_of(struct arena *a, const CoreLiteral *const *items, const char *const *keys, size_t n);
void values_of_map(struct arena *a, const CoreLiteralMap *m, struct values *ret);
/* NULL unless all of them are there. */
CoreLiteralMap *values_inline(struct arena *a, const struct values *v);
CoreExecutionError *error_new(struct arena *a, CoreExecutionErrorErrorKind kind, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* outputs.c */
struct outputs *outputs_new(struct engine *e, size_t n, struct outputs *owner);
struct outputs *outputs_of_attempt(struct fold *f, uint32_t i, const AlulaAttemptOutputs *in);
struct outputs *outputs_of_child(struct fold *f, const AlulaChildFinished *in);
/* Copied. */
struct outputs *outputs_of_map(struct engine *e, const CoreLiteralMap *m);
/* Whatever lies there. */
struct outputs *outputs_at(struct engine *e, const char *uri);
struct outputs *outputs_of_execution(struct fold *f, const AlulaStartExecution *start);
/* Copied. */
struct outputs *outputs_of_values(struct engine *e, const struct values *v);
/* One holder more. */
struct outputs *outputs_ref(struct outputs *o);
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
	const struct frame *frame;
	uint32_t item;          /* in a frame of an array */
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

static inline struct frame *frame_of(const struct fold *f, uint32_t i)
{
	struct frame *last = f->x->last;

	return i - last->first < last->n ? last : frame_find(f->x, i);
}

static inline struct node *node_at(const struct fold *f, uint32_t i)
{
	struct frame *frame = frame_of(f, i);

	return frame->array ? array_node(frame->array, i - frame->first) : &frame->nodes[i - frame->first];
}

static inline const struct wf_node *wf_node(const struct fold *f, uint32_t i)
{
	const struct frame *frame = frame_of(f, i);

	return frame->array ? &frame->array->spec->item : &frame->wf->nodes[i - frame->first];
}

static inline struct resolving resolving_of(const struct fold *f, uint32_t i)
{
	const struct frame *frame = frame_of(f, i);

	return (struct resolving){.a = f->a, .frame = frame, .item = i - frame->first};
}

static inline bool node_ended_badly(const struct node *n)
{
	return n->phase == NODE_ABORTED || n->phase == NODE_FAILED || n->phase == NODE_TIMED_OUT;
}

static inline struct frame *top_frame(const struct execution *x)
{
	return x->frames.at[0];
}

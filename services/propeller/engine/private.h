/* Inside the engine: one step's folding, and what its files do for each other. */
#pragma once
#include <string.h>

#include "base/base.h"
#include "engine/engine.h"
#include "engine/paths.h"
#include "engine/records.h"
#include "engine/workflow.h"
#include "flyteidl/event/event.h"

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
	bool (*orphan)(struct fold *f, uint32_t i, uint32_t attempt, struct orphan *ret);
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
/* The node ends badly and is forgotten: what it started may run on if we crash now. */
void frame_remember_orphans(struct fold *f, uint32_t i);
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
/* It is queued with its inputs, and has a run. */
struct run *node_queue(struct fold *f, uint32_t i, const struct values *inputs);
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
/* Does it have to wait for its turn? Not for asking the cache, unless that may give it a reservation. */
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
/* Its attempt has ended by itself; but its last event is still to come. */
void resource_over(struct fold *f, uint32_t node, uint32_t attempt);
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
/* Where the outputs lie, else (`uri` is "") what they are, if they are anything; the same for the task's event, if
 * there is one. Borrowed. */
void event_set_outputs(EventNodeExecutionEvent *node, EventTaskExecutionEvent *task, const char *uri,
		       CoreLiteralMap *data);
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

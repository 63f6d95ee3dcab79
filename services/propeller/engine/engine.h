/* The engine: what an execution does next. A pure state machine over all executions of this propeller.
 *
 * An input (execution accepted, attempt finished, timer fired, abort asked, …) carries its own time and randomness; a
 * step folds it into the state and returns one record (what became true: Flyte events, to be journaled with the input)
 * and actions (what to do once the record is committed). No I/O, no clock, no chance, no threads; so replaying the
 * inputs of the journal rebuilds the state exactly. Work is proportional to what changed: a completion touches its node
 * and its successors.
 *
 * Fold, commit, act: records must be committed before their actions run. Actions are idempotent; after a restart
 * engine_pending gives those that the state still calls for.
 *
 * Leaves with no effect outside (echo; core-sleep of no duration) complete within the step.
 * Source: flytepropeller pkg/controller/{workflow,nodes}, v1.16.8. */
#pragma once
#include <stdint.h>

#include "alula/journal.h"
#include "base/arena.h"
#include "base/err.h"

struct engine;

/* What runs a task type. */
enum leaf { LEAF_UNKNOWN, LEAF_ECHO, LEAF_CORE_SLEEP, LEAF_EXECUTOR };

struct engine_options {
	int max_system_retries;              /* Flyte's node-config.max-node-retries-system-failures: 3 */
	int default_max_attempts;            /* 1 */
	int interruptible_failure_threshold; /* -1: the last attempt is not interruptible */
	int64_t default_execution_timeout_us, default_attempt_timeout_us; /* 0: none */
	int record_events;           /* a step stops after about so many events and asks to continue; 512 */
	size_t inline_bytes;         /* outputs up to this travel inline; 64 KiB */
	const char *metadata_prefix; /* "<root>/metadata/propeller": where inputs and outputs lie, see engine/paths.h */
	/* Which executor runs this task type. Must answer the same for the same configuration. */
	enum leaf (*leaf_of)(void *arg, const char *task_type);
	/* What events of executors' tasks name as their plugin, as far as the configuration tells; NULL: "container".
	 */
	const char *(*plugin_of)(void *arg, const CoreTaskTemplate *task);
	void *arg;
};

struct value_path;

/* Inputs of an attempt, or outputs of an execution, as far as the engine knows them: a literal, a place in the store
 * (one variable of another node's outputs, or an attribute of it) that whoever runs the attempt reads, or a list or map
 * of such. */
struct value_ref {
	const char *var; /* the variable; inside a map its key */
	enum { VALUE_LITERAL, VALUE_STORED, VALUE_COLLECTION, VALUE_MAP } kind;
	const CoreLiteral *literal;
	const char *uri;     /* of a LiteralMap: outputs.pb or inputs.pb */
	const char *uri_var; /* which of its variables; "": all, as a map; NULL: `uri` is of a single Literal, which was
				offloaded */
	const struct value_path *path; /* what of it; NULL: all (engine/attribute.h) */
	bool load;                     /* if it is an offloaded literal, what that stands for is wanted */
	const struct value_ref *items;
	size_t n_items; /* of VALUE_STORED: 0, or how long the list is that lies there */
};

enum action_kind {
	ACTION_START_ATTEMPT,   /* run it, then feed AttemptStarted and AttemptFinished */
	ACTION_ABORT_ATTEMPT,   /* stop it; no answer needed */
	ACTION_SET_TIMER,       /* feed TimerFired{timer, node, attempt} at at_us */
	ACTION_STORE_OUTPUTS,   /* put `values` together at `uri`, then feed OutputsStored{node} */
	ACTION_STORE_INPUTS,    /* put `values` together at `uri`, for people to look at: nobody waits */
	ACTION_READ_VALUES,     /* read `values` as `how` says, then feed ValuesRead{node, attempt} */
	ACTION_LAUNCH,          /* create the execution `child`, or find it if it is there; then feed ChildStarted, and
				   ChildFinished when it is over. Again after a restart */
	ACTION_ABORT_CHILD,     /* abort the execution `child`, if it is there; no answer needed */
	ACTION_COMPILE_FUTURES, /* compile the dynamic workflow at `uri` as if `start` had given it, which has not run;
				   then feed AttemptFinished: its workflow or an error. Again after a restart */
	ACTION_CACHE_LOOKUP,    /* feed CacheAnswered */
	ACTION_CACHE_PUT,       /* then feed CachePut, whether it worked or not */
	ACTION_CACHE_HOLD,      /* after a restart: the node has the reservation still */
	ACTION_CACHE_RELEASE,   /* neither wait for nor keep the reservation any more; no answer needed */
	ACTION_WATCH_ATTEMPT,   /* what was made for the attempt is in the journal: follow how it does. Not after a
				   restart: START_ATTEMPT has it then */
	ACTION_CONTINUE,        /* feed Continue, at once */
	ACTION_DONE,            /* the execution is over: no further input is expected; its state may be dropped */
};

/* What its executor has made for an attempt and told by AttemptResource. */
struct attempt_resource {
	const char *plugin, *endpoint, *task_type;
	int32_t task_type_version;
	struct str meta;
};

/* Everything a START_ATTEMPT needs is in it or in the closure; strings and literals live in the output's arena, `task`
 * and `command` as long as the execution. */
struct attempt {
	const char *node_id, *node_unique_id,
		*unique_name; /* unique_name: Flyte's generated name of the task execution */
	uint32_t attempt;
	bool interruptible;
	const CoreTaskTemplate *task;
	const AlulaCommand *command; /* the execution's start command: ids, envs, labels, … */
	const struct value_ref *inputs;
	size_t n_inputs;
	const char *inputs_uri, *output_prefix, *raw_output_prefix, *checkpoint_prefix, *prev_checkpoint_prefix;
	bool is_item; /* of an array node: the task is told its number, `item`, by FLYTE_K8S_ARRAY_INDEX */
	uint32_t item;
	bool shares_inputs; /* inputs_uri is the whole array's and there already: not to be written */
	const struct attempt_resource *resource; /* after a restart: there already, not to be made again; else NULL */
	int64_t timeout_us; /* from its start on; 0 for none. The engine sets a timer too; this is for who runs it */
};

/* The execution that a launch plan node starts. Lives like an attempt. */
struct child {
	CoreWorkflowExecutionIdentifier id; /* the same whenever this attempt of the node is asked for */
	const CoreIdentifier *launch_plan;
	const char *parent_node_id; /* the node's unique id in the execution of `command` */
	const AlulaCommand *command;
	const struct value_ref *inputs;
	size_t n_inputs;
	const char *reason;                              /* ABORT_CHILD */
	const CoreWorkflowExecutionIdentifier *recovers; /* LAUNCH: an execution that it is to recover, or NULL */
};

/* What is wanted of values that are read. An extent is the length of a list or the keys of a map. */
enum read_how {
	READ_WHOLE,           /* too large is an error */
	READ_LONG_AS_EXTENTS, /* extents of all, if they are large */
	READ_EXTENTS,
};

/* What is asked of the cache. Lives like an attempt. */
struct cache_ask {
	const CoreTaskTemplate *task;
	const char *version;
	bool serialize; /* what is not there is made by one node at a time */
	bool overwrite; /* PUT: replace what is there */
	const char *owner;
	const CoreTaskExecutionIdentifier *source; /* PUT: who made it */
	const struct value_ref *inputs;
	size_t n_inputs;
	const struct value_ref *outputs; /* PUT */
	size_t n_outputs;
	const char *outputs_uri; /* LOOKUP: where outputs that are found go */
	bool keeps_inline;       /* they go there only if they are large */
};

struct action {
	enum action_kind kind;
	int64_t execution;
	uint32_t node, attempt;
	uint32_t timer;
	int64_t at_us;
	const char *uri;
	const struct value_ref *values;
	size_t n_values;
	enum read_how how; /* READ_VALUES */
	bool may_offload;  /* STORE_OUTPUTS: large ones may go to files of their own */
	const struct attempt *start;
	const struct attempt_resource *resource; /* ABORT_ATTEMPT: what is to be removed, if any is known */
	const struct child *child;
	const struct cache_ask *cache;
	struct action *next;
};

/* What one step gives. Everything is in `arena`, which is the caller's; but literals in the record may be the engine's:
 * pack the record before the next call. Actions borrow nothing but the closure's tasks and the command. */
struct step {
	struct arena *arena;
	AlulaRecord *record;    /* NULL when the input changed nothing (a repeat, too late, unknown): journal nothing */
	struct action *actions; /* in order */
	struct action **tail;
};

struct engine *engine_new(const struct engine_options *options);
void engine_free(struct engine *e);

/* One step. `in` is guarded but not trusted: anything that does not fit the state is ignored (record NULL). The closure
 * of an Accepted is compiled once a digest, as long as executions have it. A record may have no events: then only the
 * state changed, and it must be journaled all the same. Actions may come without a record (a timer that fired too
 * early). Never fails: what is wrong with a workflow fails that execution with an error in its events. */
void engine_step(struct engine *e, const AlulaInput *in, struct step *step);
/* During reload: the same fold, nothing given out. `seq` is the record's; they must come in order. An Accepted needs
 * its closure, unless one with the same digest is loaded, and what it recovers. DATA_LOSS when the entry does not
 * follow. */
enum code engine_replay(struct engine *e, const AlulaJournalEntry *entry, struct err *err);
/* After a reload: the actions that this execution's state calls for (running attempts as START_ATTEMPT with the same
 * attempt number, timers, continues). */
void engine_pending(struct engine *e, int64_t execution, struct step *step);
/* Give up executions (their shard went to somebody else), or drop one that is done. */
void engine_forget(struct engine *e, int64_t execution);

/* For metrics and tests. */
size_t engine_executions(const struct engine *e);
size_t engine_bytes(const struct engine *e); /* memory of all states */
/* The state of one execution as bytes, the same for the same state: for comparing a replayed engine. Empty if unknown.
 */
struct str engine_state(const struct engine *e, int64_t execution, struct arena *a);

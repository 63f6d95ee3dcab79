/* Inside the engine: what it keeps of executions, their frames, nodes and values. */
#pragma once
#include "base/base.h"
#include "engine/engine.h"
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

/* A workflow that runs inside the execution: the first frame is the execution's own, each other one belongs to a node.
 * Its nodes have consecutive numbers in the execution, which are never used again. */
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
	bool over; /* its attempt has ended, and is put into the cache: only its events name it still */
	size_t len;
	uint8_t *packed;
};

/* A value that somebody set. */
struct known_signal {
	struct arena *arena;
	const char *id;
	const CoreLiteral *value;
	int64_t order; /* of the command that set it */
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

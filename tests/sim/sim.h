/* The simulator: production's engine in a world that is a function of one seed. The world owns time, the store, the
 * executor, the journal and the mail; it crashes, forgets, doubles and reorders. What the executions may end with says
 * an interpreter that knows nothing of the engine.
 *
 * A workflow is a struct plan. closure.c writes it down as Flyte's compiled closure for the engine; interpreter.c runs
 * it by plain recursion. Both ask oracle.c what becomes of an attempt, by the place of its node ("dir": where the
 * node's files lie, below the execution's root) and its number. */
#pragma once
#include <setjmp.h>

#include "engine_inputs.h"

enum { MAX_ITEMS = 5, MAX_DEPTH = 5, LONG_US = 1000000000 };
#define LONG_TIMEOUT_US ((int64_t)100 * LONG_US)

/* ---- plans ---- */

enum plan_kind {
	PLAN_TASK,    /* an executor runs it */
	PLAN_DYNAMIC, /* so that it gives a workflow */
	PLAN_ECHO,    /* inside the engine */
	PLAN_NAP,     /* core-sleep */
	PLAN_SLEEP,   /* gates */
	PLAN_SIGNAL,
	PLAN_APPROVAL,
	PLAN_WORKFLOW,
	PLAN_BRANCH,
	PLAN_LAUNCH, /* of an execution that the oracle knows */
	PLAN_CHILD,  /* of one that runs here */
	PLAN_ARRAY,
	N_PLAN_KINDS,
};

/* What a node gives as "o0". */
enum gives { GIVES_NOTHING, GIVES_INT, GIVES_LIST };

struct source {
	enum { SOURCE_CONSTANT, SOURCE_INPUT, SOURCE_NODE, SOURCE_LIST } kind;
	int64_t constant;
	const struct plan_node *node;
	const struct source *items; /* of a list */
	size_t n;
};

struct plan_case {
	int op; /* CoreComparisonExpressionOperator */
	int64_t with;
	bool always; /* else */
	const struct plan_node *node;
};

struct plan_node {
	const char *id;
	enum plan_kind kind;
	enum gives gives;
	struct source in[2]; /* i0, i1; x of a workflow; c of a branch; o0 of an approval */
	size_t n_in;
	const struct plan_node *after[2];
	size_t n_after;
	const struct plan_node *named[2]; /* upstream of a node in a branch, which waits for what it reads only */
	size_t n_named;
	uint32_t retries;
	int64_t timeout_us, sleep_us;
	const char *signal;
	const char *version; /* of what is cached; the beginning tells the kind. NULL: not cached */
	bool serialize, cached_by_task;
	struct plan *plan; /* of a sub-workflow or child */
	struct plan_case cases[4];
	size_t n_cases;
	bool branch_fails;
	const struct plan_node *item;
	bool bound[2], single_file;
	int parallelism; /* -1: not set */
	enum { MIN_ALL, MIN_NUMBER, MIN_RATIO } min;
	uint32_t min_number;
	float min_ratio;
	bool on_failure, takes_error;
	int depth;
};

struct plan {
	const char *name, *digest;
	VEC(struct plan_node *) nodes; /* later ones need earlier ones */
	struct map *by_id;             /* those in branches too */
	size_t next_id;
	struct source outputs[3];
	size_t n_outputs;
	const char *output_prefix; /* "y": y0, y1, …; or "o" */
	struct plan_node *failure;
	bool fail_after; /* counts in the first plan of an execution */
	int depth;
	int64_t timeout_us; /* of an execution */
	int max_parallelism;
};

/* ---- values, as the interpreter and the executor see them ---- */

struct val {
	enum { VAL_MISSING, VAL_ANY, VAL_INT, VAL_NONE, VAL_LIST } kind;
	bool may_miss; /* ANY */
	int64_t number;
	const struct val *items;
	size_t n;
};

/* What may become of a node or workflow. Several may, when it depends on who is faster. */
struct outcome {
	bool ok, fail, timed_out;
	bool slow; /* it may last until a timeout */
	bool skip; /* something before it may go wrong */
	struct val v[3];
	size_t n;
};

enum fate { FATE_SUCCESS, FATE_USER_ERROR, FATE_FINAL_ERROR, FATE_SYSTEM_ERROR, FATE_HANG, FATE_BAD_DYNAMIC };
enum child_fate { CHILD_SUCCESS, CHILD_FAILED, CHILD_ABORTED, CHILD_REFUSED, CHILD_HANGS, CHILD_GIVES_NOTHING };

/* ---- the world ---- */

/* Where a node of an execution is. */
struct place {
	const char *dir; /* without attempt */
	const struct plan *plan;
	const struct plan_node *node; /* NULL: start-node, end-node */
	const char *scope;            /* where the nodes are that it waits for */
	const struct place *array;    /* of an item */
	uint32_t item;
};

/* What a node leaves to an execution that recovers its own. */
struct left {
	const char *node_id;
	EventNodeExecutionEvent *event; /* the last one, and what earlier ones said */
	bool done;
	bool untold;             /* its outputs, if it has any: then it may run again */
	const char *futures_uri; /* its task gave a workflow */
	AlulaRecoveredItems *items;
};

struct exec {
	int64_t id;
	const char *name, *root, *dir; /* root: physical; dir: of the interpreter */
	const struct plan *plan;
	struct val input;
	AlulaInput *accept;
	struct exec *parent, *recovers;
	struct map *left; /* dir of a node -> struct left */
	struct outcome allowed;
	struct map *results; /* dir of a node -> struct outcome; by the interpreter */
	bool imprecise;      /* it does not know every node */
	bool starved;        /* something may hang, and not everything may run at once */
	bool may_abort;
	int64_t seq;
	struct map *phases;   /* key -> phase + 1 */
	struct map *versions; /* of tasks' phases */
	struct map *places;   /* unique id of a node -> struct place */
	struct map *dirs;     /* the same, by dir */
	struct map *asked;    /* the cache: dir -> struct asked */
	int phase;
	size_t running;
	bool accepted, done, confirmed; /* confirmed: its journal is gone */
	bool going_on, to_recover;
	VEC(struct str) journal;
};

enum mail_kind { MAIL_COMMAND, MAIL_PROCESS, MAIL_INTERNAL };

struct mail {
	int64_t at_us;
	AlulaInput *in;
	enum mail_kind kind;
};

enum doing { RUNS = 1, ENDED, STOPPED };

struct attempt_state {
	enum doing doing;
	struct exec *exec;
	const struct place *place; /* NULL: it was stopped before it began */
	AlulaInput *end;           /* NULL: it hangs */
	int64_t end_us;
	bool by_connector, watched;
	const char *resource;  /* what the connector made, once that is committed */
	bool failed_by_system; /* committed */
};

struct child_state {
	enum doing doing;
	bool refused;
	struct exec *parent, *exec; /* exec: that runs here, or NULL */
};

/* A step whose record is not committed. */
struct waiting {
	struct arena *a;
	struct str entry; /* empty: it has none */
	struct action *actions;
	struct mail mail;
};

struct sim {
	uint64_t seed, chance;
	bool verbose;
	jmp_buf out;
	const char *failure;
	struct arena *a, *scratch;
	/* What this world is like. */
	int cruelty; /* of 1,000 attempts so many go wrong */
	int record_events, crash_rate, batch;
	size_t inline_bytes;
	bool racing; /* short timeouts */
	bool harsh;  /* attempts get lost when the engine crashes */
	bool fickle; /* signals have two values */
	bool bad_store;
	bool caching, overwrite, catalog_away;
	bool shares_keys; /* different nodes may be cached as one; there are few values */
	int losses_left;
	/* What there is. */
	struct engine *engine, *follower, *fenced;
	VEC(struct exec *) execs;
	VEC(struct plan *) all_plans;
	VEC(struct mail) mails;
	VEC(struct waiting) waiting;
	struct map *store;    /* uri -> CoreLiteralMap */
	struct map *attempts; /* "execution/node/attempt" -> struct attempt_state */
	struct map *catalog;  /* key -> CoreLiteralMap */
	struct map *reservations;
	struct map *signals;  /* "execution/signal" that was asked for */
	struct map *children; /* execution's name -> struct child_state */
	struct map *dynamics; /* dir -> struct plan */
	struct map *plans;    /* launch plan -> struct plan */
	struct map *closures; /* plan's address -> CoreCompiledWorkflowClosure */
	const AlulaInput *now;
	int64_t now_us;
	size_t steps, crashes, starts, n_plans, n_resources;
	bool restarting, over;
};

#define check(s, cond)                                                                                                 \
	do {                                                                                                           \
		if (!(cond))                                                                                           \
			sim_fail((s), "%s (%s:%d)", #cond, __FILE__, __LINE__);                                        \
	} while (0)

void sim_fail(struct sim *s, const char *fmt, ...) __attribute__((noreturn, format(printf, 2, 3)));
void sim_say(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline uint64_t below_of(uint64_t *chance, uint64_t n)
{
	return splitmix64(chance) % n;
}

static inline uint64_t below(struct sim *s, uint64_t n)
{
	return below_of(&s->chance, n);
}

static inline bool one_in(struct sim *s, uint64_t n)
{
	return below(s, n) == 0;
}

/* generate.c */
struct plan *plan_random(struct sim *s, uint64_t chance, int depth, const char *output_prefix);
/* What the dynamic node at this place gives: always the same. */
struct plan *plan_of_dynamic(struct sim *s, const char *dir, int depth);
const struct plan_node *plan_find(const struct plan *p, const char *id);

/* closure.c */
CoreCompiledWorkflowClosure *closure_of_plan(struct sim *s, const struct plan *p);

/* oracle.c */
uint64_t oracle(const struct sim *s, const char *what, const char *dir, uint32_t attempt);
enum fate fate_of(const struct sim *s, const struct plan_node *n, const char *dir, uint32_t attempt);
/* Somebody elsewhere runs it, and tells what was made for it. */
bool is_by_connector(const struct sim *s, const char *dir, uint32_t attempt);
enum child_fate child_fate_of(const struct sim *s, const struct plan_node *n, const char *dir, uint32_t attempt);
/* What a task or child at `dir` gives for these inputs, each as text. */
int64_t given_for(const struct sim *s, const char *dir, const char *inputs);
/* False: nobody will ever set it. */
bool signal_comes(const struct sim *s, const char *id);
int64_t signal_value(const struct sim *s, const char *id); /* an approval's: 0 is no, 1 yes, 2 neither */
bool is_yes(const char *signal);
void val_text(struct buf *b, const struct val *v);
void literal_text(struct buf *b, const CoreLiteral *l);
struct val val_of(struct arena *a, const CoreLiteral *l);
CoreLiteral *literal_of_val(struct arena *a, const struct val *v);
bool val_fits(const struct val *v, const CoreLiteral *l);

/* outcome.c */
/* One of the two. */
struct val val_join(struct val x, struct val y);
/* Is it, or is anything in it, not known? */
bool val_is_vague(const struct val *v);
/* One of these two happens. */
void outcome_either(struct outcome *o, const struct outcome *more);
struct outcome outcome_gives(struct val v);
struct outcome outcome_nothing(void);
struct outcome outcome_fails(void);

/* interpreter.c */
void interpret(struct sim *s, struct exec *x);

/* store.c */
void store_put(struct sim *s, const char *uri, CoreLiteralMap *m);
CoreLiteralMap *store_get(struct sim *s, const char *uri);
/* The literals; what refers to nothing is a mistake of the engine's. */
CoreLiteralMap *store_resolve(struct sim *s, const struct value_ref *at, size_t n);

/* The answer to a READ_VALUES. */
void store_read(struct sim *s, const struct action *action, AlulaValuesRead *read);

/* attempts.c */
void start_attempt(struct sim *s, struct exec *x, const struct action *action);
void abort_attempt(struct sim *s, struct exec *x, const struct action *action);
void watch_attempt(struct sim *s, const struct action *action);
/* It has told its end; what it told is committed. */
void attempt_ended(struct sim *s, const AlulaInput *in);
void attempt_committed(struct sim *s, const AlulaInput *in);
/* What events name as the plugin of the attempt that ends with this. */
const char *attempt_plugin(struct sim *s, const AlulaInput *in);
/* Its node says that there were enough attempts. */
void check_budget_spent(struct sim *s, const struct place *p);
void check_no_attempt_runs(struct sim *s, const struct exec *x);

/* Whoever had this attempt has told its end. */
void check_attempt_over(struct sim *s, const struct action *action);
/* Does any attempt? */
bool node_runs(struct sim *s, const struct exec *x, uint32_t node);

/* catalog.c */
enum chance { CHANCE_NONE, CHANCE_SOME, CHANCE_SURE };
bool is_cached(const struct sim *s, const struct plan_node *n);
/* What the values that the node gives hang on, besides its inputs: the same for all that are cached as one. */
const char *giver_of(const struct sim *s, const struct plan_node *n, const char *dir);
/* `inputs` NULL: they are not known. */
enum chance chance_of_hit(struct sim *s, const struct exec *x, const struct plan_node *n, const char *dir,
			  const char *inputs);
void catalog_act(struct sim *s, struct exec *x, const struct action *action);
/* The engine, and whoever asked for it, are gone; after that, what it did not ask for again is. */
void catalog_crash(struct sim *s);
void catalog_expire(struct sim *s);
void catalog_committed(struct sim *s, const AlulaInput *in);
void catalog_free(struct sim *s);
void check_cached_start(struct sim *s, struct exec *x, const struct place *p, const struct attempt *attempt);
void check_cached_node(struct sim *s, struct exec *x, const struct place *p, const EventNodeExecutionEvent *e);
void check_cached_item(struct sim *s, struct exec *x, const struct place *array, const EventExternalResourceInfo *info);
void check_nothing_reserved(struct sim *s, const struct exec *x);
bool is_hit(const struct exec *x, const struct place *p);

/* executor.c */
/* Somebody will set it, if the oracle says so. */
void await_signal(struct sim *s, const struct exec *x, const char *signal);
void act(struct sim *s, const struct action *action);
void child_ended(struct sim *s, const AlulaInput *in);
/* An execution that runs here is over: tell its parent. */
void tell_parent(struct sim *s, struct exec *x, const EventWorkflowExecutionEvent *last);

/* world.c */
void world_run(struct sim *s);
struct exec *exec_of(struct sim *s, int64_t id);
struct exec *exec_named(struct sim *s, const char *name);
/* `name` NULL: nobody launched it. */
struct exec *exec_new(struct sim *s, const struct plan *plan, const char *dir, struct val input, const char *name,
		      struct exec *recovers);
void post(struct sim *s, int64_t at_us, AlulaInput *in, enum mail_kind kind);
int64_t later(struct sim *s, int64_t seconds);

struct engine *engine_of_world(const struct sim *s);
/* Nothing may be left of it. */
void engine_end(struct sim *s, struct engine *e);

/* garbage.c */
void suffer(struct sim *s, const struct exec *x);

/* recover.c */
void left_note(struct sim *s, struct exec *x, const struct place *p, const EventNodeExecutionEvent *e);
void left_note_item(struct sim *s, struct exec *x, const struct place *array, const EventExternalResourceInfo *info);
void left_tell(struct sim *s, const struct exec *old, AlulaStartExecution *start);
/* What the execution that this one recovers has left at this place; NULL for nothing. */
const struct left *left_of(const struct exec *x, const char *dir);
/* False: it is not done yet. */
bool outcome_left(const struct exec *x, const char *dir, struct outcome *ret);
/* Its task was done, the workflow that it gave was not. */
bool is_half_done(const struct exec *x, const char *dir);
/* It was done, and must not run again. */
bool is_settled(const struct exec *x, const char *dir);
/* "" for none. */
const char *checkpoint_left(const struct exec *x, const char *dir);
/* The execution that it launched; NULL for none. */
const char *child_left(const struct exec *x, const char *dir);
/* An item that is done, of an array that is not; NULL for none. */
const AlulaRecoveredItem *item_left(const struct exec *x, const struct plan_node *array, const char *array_dir,
				    uint32_t item);
const char *item_left_uri(struct sim *s, const struct exec *x, const AlulaRecoveredItem *item, const char *array_dir);
void compile_futures(struct sim *s, struct exec *x, const struct action *action);
/* It is over: somebody may want to have it recovered. */
void recover_perhaps(struct sim *s, struct exec *x);
void recover_what_is_over(struct sim *s);
const char *without_fortune(const char *dir);

/* checks.c */
void check_record(struct sim *s, struct exec *x, const AlulaRecord *r);
void check_end(struct sim *s, struct exec *x);
const struct place *place_named(struct exec *x, const char *unique_id);
const struct place *place_at(const struct exec *x, const char *dir);

/* What happened in all worlds; shared by the processes. */
struct seen {
	size_t nodes[N_PLAN_KINDS + 1][16]; /* by kind (the last: failure nodes) and phase */
	size_t items[16], ends[3], exact;
	size_t crashes, lost_records, fenced, starts, steps, executions, spoilt, recoveries;
	size_t resources, watched_again, items_recovered, children_recovered, hits, puts, cache_waits,
		exhausted[2]; /* by themselves, by the system */
};
extern struct seen *seen;

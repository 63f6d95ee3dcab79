#include "core.h"

#include <assert.h>
#include <pthread.h>

#include "alula/journal.h"
#include "base/base.h"
#include "committer.h"
#include "flyte/shard.h"
#include "pb/pb.h"
#include "plugins.h"

enum {
	TURN_ITEMS = 512,     /* inputs folded before what they made true is handed on */
	TURN_BYTES = 2 << 20, /* … or so many bytes of journal */
	FEED_BLOCK_BYTES = 2048,
	CYCLE_BLOCK_BYTES = 32768,
};

struct core {
	struct propeller *p;
	struct queue *queue;
	struct engine *engine;
	pthread_t thread;
	bool started;
	VEC(int64_t) go_on; /* executions whose step was cut short */
	struct metric *steps, *records, *executions, *bytes;
};

struct item *item_new(int kind)
{
	struct arena *a = arena_new(FEED_BLOCK_BYTES);
	struct item *item = arena_new_of(a, struct item);

	item->kind = kind;
	item->arena = a;
	return item;
}

void item_free(struct item *item)
{
	if (item)
		arena_free(item->arena);
}

void cycle_unref(struct cycle *c)
{
	if (atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	vec_free(&c->moved);
	vec_free(&c->receipts);
	vec_free(&c->actions);
	arena_free(c->arena);
	free(c);
}

static struct cycle *cycle_new(void)
{
	struct cycle *c = x_calloc(1, sizeof *c);

	c->arena = arena_new(CYCLE_BLOCK_BYTES);
	atomic_init(&c->refs, 1);
	return c;
}

static bool runs_inside(const struct propeller_config *config, const char *plugin, const struct config_strings *types,
			const char *task_type)
{
	const char *named = plugin_for_type(config, task_type);

	if (named)
		return strcasecmp(named, plugin) == 0;
	for (size_t i = 0; i < types->n && plugin_enabled(config, plugin); i++)
		if (strcmp(types->at[i], task_type) == 0)
			return true;
	return false;
}

/* Which kind of leaf a task type is: by configuration. */
static enum leaf leaf_of(void *arg, const char *task_type)
{
	const struct propeller_config *config = arg;

	if (runs_inside(config, "echo", &config->echo_types, task_type))
		return LEAF_ECHO;
	if (runs_inside(config, "core-sleep", &config->sleep_types, task_type))
		return LEAF_CORE_SLEEP;
	return LEAF_EXECUTOR;
}

static const char *plugin_of(void *arg, const CoreTaskTemplate *task)
{
	return plugin_by_config(arg, task);
}

/* The journal names what lies in the store instead of holding it. */
static void pack_start(struct buf *b, const AlulaInput *in, const AlulaRecord *record, struct str *ret_record)
{
	AlulaStartExecution *start = in->accepted->command->start;
	CoreCompiledWorkflowClosure *closure = start->closure;
	CoreLiteralMap *inputs = start->inputs;

	if (*start->closure_uri)
		start->closure = NULL;
	if (*start->inputs_uri)
		start->inputs = NULL;
	AlulaRecovery *recovery = take(start->recovery);
	journal_entry_pack(b, in, record, ret_record);
	start->closure = closure;
	start->inputs = inputs;
	start->recovery = recovery;
}

static void pack_dynamic(struct buf *b, const AlulaInput *in, const AlulaRecord *record, struct str *ret_record)
{
	AlulaDynamicWorkflow *dynamic = in->attempt_finished->dynamic;
	CoreCompiledWorkflowClosure *closure = dynamic->closure;

	if (*dynamic->closure_uri)
		dynamic->closure = NULL;
	journal_entry_pack(b, in, record, ret_record);
	dynamic->closure = closure;
}

static void pack_entry(struct buf *b, const AlulaInput *in, const AlulaRecord *record, struct str *ret_record)
{
	bool starts = in->input_case == ALULA_INPUT_INPUT_ACCEPTED && in->accepted->command->start;
	bool gives_workflow = in->input_case == ALULA_INPUT_INPUT_ATTEMPT_FINISHED &&
			      in->attempt_finished->outcome_case == ALULA_ATTEMPT_FINISHED_OUTCOME_DYNAMIC;

	if (starts)
		pack_start(b, in, record, ret_record);
	else if (gives_workflow)
		pack_dynamic(b, in, record, ret_record);
	else
		journal_entry_pack(b, in, record, ret_record);
}

/* Keep what a step made true: the packed entry, and the actions that wait for its commit. */
static void keep_step(struct cycle *c, const AlulaInput *in, const struct step *step)
{
	if (step->record) {
		struct buf b = {0};
		struct moved m = {.last = step->record->last};
		pack_entry(&b, in, step->record, &m.record);
		size_t at = (size_t)(m.record.ptr - b.data);
		char *copy = arena_dup(c->arena, b.data, b.len);
		m.row = (struct journal_row){
			.shard = execution_shard(step->record->execution),
			.execution = step->record->execution,
			.seq = step->record->seq,
			.entry = {copy, b.len},
		};
		m.record.ptr = copy + at;
		buf_clear(&b);
		vec_push(&c->moved, m);
	}
	if (step->actions)
		vec_push(&c->actions, step->actions);
}

static void note_continues(struct core *core, const struct step *step)
{
	for (const struct action *a = step->actions; a; a = a->next)
		if (a->kind == ACTION_CONTINUE)
			vec_push(&core->go_on, a->execution);
}

static void fold(struct core *core, struct cycle *c, const AlulaInput *in)
{
	struct step step = {.arena = c->arena};

	engine_step(core->engine, in, &step);
	metric_add(core->steps, 1);
	keep_step(c, in, &step);
	note_continues(core, &step);
}

static void fold_continue(struct core *core, struct cycle *c, int64_t execution)
{
	AlulaContinue go_on = ALULA_CONTINUE_INIT;
	AlulaInput in = ALULA_INPUT_INIT;

	in.execution = execution;
	in.time_us = time_now_us();
	in.seed = random_u64();
	in.input_case = ALULA_INPUT_INPUT_GO_ON;
	in.go_on = &go_on;
	fold(core, c, &in);
}

static void pending(struct core *core, struct cycle *c, int64_t execution)
{
	struct step step = {.arena = c->arena};

	engine_pending(core->engine, execution, &step);
	note_continues(core, &step);
	if (step.actions)
		vec_push(&c->actions, step.actions);
}

static void replay(struct core *core, const struct item *item)
{
	struct err err;

	if (engine_replay(core->engine, item->entry, &err) == OK)
		return;
	log_error("journal entry does not follow its predecessors", LOG_INT("execution", item->execution),
		  LOG_ERR(&err));
	service_fail("the journal cannot be replayed");
}

static void take_item(struct core *core, struct cycle *c, struct item *item)
{
	switch (item->kind) {
	case ITEM_INPUT:
		fold(core, c, item->in);
		if (item->confirm_subject)
			vec_push(&c->receipts,
				 (struct receipt){arena_strdup(c->arena, item->confirm_subject), item->envelope});
		break;
	case ITEM_REPLAY: replay(core, item); break;
	case ITEM_PENDING: pending(core, c, item->execution); break;
	case ITEM_FORGET: engine_forget(core->engine, item->execution); break;
	}
	item_free(item);
}

static void hand_on(struct core *core, struct cycle *c)
{
	metric_add(core->records, (int64_t)c->moved.n);
	metric_set(core->executions, (int64_t)engine_executions(core->engine));
	metric_set(core->bytes, (int64_t)engine_bytes(core->engine));
	if (c->moved.n || c->receipts.n || c->actions.n)
		committer_push(core->p->committer, c);
	else
		cycle_unref(c);
}

/* Actions of a load are marked, so they get a cycle of their own. */
static bool breaks_cycle(const struct cycle *c, const struct item *item)
{
	bool empty = !c->moved.n && !c->receipts.n && !c->actions.n;

	return !empty && (arena_used(c->arena) >= TURN_BYTES || c->restarted != (item->kind == ITEM_PENDING));
}

static void turn(struct core *core, struct item **items, size_t n)
{
	struct cycle *c = cycle_new();

	for (size_t i = 0; i < n; i++) {
		if (breaks_cycle(c, items[i])) {
			hand_on(core, c);
			c = cycle_new();
		}
		c->restarted = items[i]->kind == ITEM_PENDING;
		take_item(core, c, items[i]);
	}
	if (c->restarted) {
		hand_on(core, c);
		c = cycle_new();
	}
	/* A part of each cut step a turn: executions take turns, and new inputs come in between. */
	size_t go_on = core->go_on.n;
	for (size_t i = 0; i < go_on; i++)
		fold_continue(core, c, core->go_on.at[i]);
	vec_drop(&core->go_on, go_on);
	hand_on(core, c);
}

static void *core_thread(void *arg)
{
	struct core *core = arg;
	struct item *items[TURN_ITEMS];

	pthread_setname_np(pthread_self(), "engine");
	for (;;) {
		size_t n = queue_pop(core->queue, (void **)items, ARRAY_SIZE(items), core->go_on.n ? 0 : -1);
		if (n == 0 && core->go_on.n == 0)
			return NULL;
		turn(core, items, n);
	}
}

struct core *core_new(struct propeller *p)
{
	const struct propeller_config *config = p->config;
	struct core *core = x_calloc(1, sizeof *core);
	struct engine_options options = {
		.max_system_retries = (int)config->max_system_retries,
		.default_max_attempts = (int)config->default_max_attempts,
		.interruptible_failure_threshold = (int)config->interruptible_failure_threshold,
		.default_execution_timeout_us = config->default_execution_timeout_us,
		.default_attempt_timeout_us = config->default_attempt_timeout_us,
		.inline_bytes = (size_t)config->inline_bytes,
		.metadata_prefix = p->metadata_root,
		.leaf_of = leaf_of,
		.plugin_of = plugin_of,
		.arg = (void *)config,
	};

	core->p = p;
	core->queue = queue_new("engine", (size_t)config->engine_queue);
	core->engine = engine_new(&options);
	core->steps = metrics_counter(p->metrics, "propeller:engine:steps", NULL, "Inputs folded.");
	core->records =
		metrics_counter(p->metrics, "propeller:engine:records", NULL, "Steps that made something true.");
	core->executions = metrics_gauge(p->metrics, "propeller:engine:executions", NULL, "Executions in memory.");
	core->bytes = metrics_gauge(p->metrics, "propeller:engine:bytes", NULL, "Memory of their states.");
	return core;
}

void core_start(struct core *core)
{
	core->started = pthread_create(&core->thread, NULL, core_thread, core) == 0;
	assert(core->started);
}

bool core_push(struct core *core, struct item *item)
{
	if (queue_push(core->queue, item))
		return true;
	item_free(item);
	return false;
}

void core_feed(struct core *core, const AlulaInput *in)
{
	struct item *item = item_new(ITEM_INPUT);

	item->execution = in->execution;
	item->in = pb_clone(in, item->arena);
	core_push(core, item);
}

void core_stop(struct core *core)
{
	if (!core || !core->started)
		return;
	queue_close(core->queue);
	pthread_join(core->thread, NULL);
	core->started = false;
}

void core_free(struct core *core)
{
	if (!core)
		return;
	core_stop(core);
	queue_free(core->queue);
	engine_free(core->engine);
	vec_free(&core->go_on);
	free(core);
}

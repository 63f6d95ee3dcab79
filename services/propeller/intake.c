#include "intake.h"

#include <assert.h>
#include <pthread.h>
#include <time.h>

#include "base/base.h"
#include "cacher.h"
#include "core.h"
#include "flyte/shard.h"
#include "known.h"
#include "pb/pb.h"
#include "recovery.h"
#include "relay.h"
#include "relay_batch.h"

enum {
	INTAKE_QUEUE = 8192,
	INTAKE_BATCH = 256,
	LOAD_ROWS = 2000,
	RETRY_US = 500000,
	MAX_TRIES = 120,
	MAX_INPUT_BYTES = 2 << 20,
	MAX_CLOSURE_BYTES = 256 << 20,
	READ_PATIENCE_US = 600 * 1000000,
};

struct message {
	uint64_t load; /* shards to load, or 0 for a command */
	struct buf envelope;
};

struct intake {
	struct propeller *p;
	struct queue *queue;
	pthread_t thread;
	bool started;
	_Atomic bool stopping;
	struct bus_listener *commands;
	struct metric *received, *repeated, *unreadable;
};

/* ---- what a start command only points to ---- */

static enum code read_message(struct intake *in, const char *uri, const ProtobufCMessageDescriptor *desc,
			      struct arena *a, void **ret, struct err *err)
{
	auto_buf struct buf b = {0};
	enum code c = store_get(in->p->store, uri, MAX_CLOSURE_BYTES, &b, err);

	return c ? c : pb_unpack(desc, buf_str(&b), a, ret, err);
}

/* Large ones stay where they are: whoever needs them reads them there. */
static enum code read_inputs(struct intake *in, AlulaStartExecution *start, struct arena *a, struct err *err)
{
	uint64_t bytes;
	enum code c = store_stat(in->p->store, start->inputs_uri, &bytes, err);

	if (c || bytes > MAX_INPUT_BYTES)
		return c;
	return read_message(in, start->inputs_uri, CORE_LITERAL_MAP_DESC, a, (void **)&start->inputs, err);
}

/* Put closure and inputs into the command, where they are only named. */
static enum code complete_start(struct intake *in, int64_t execution, AlulaStartExecution *start, struct arena *a,
				struct err *err)
{
	enum code c = OK;

	if (!start->closure && *start->closure_uri)
		c = read_message(in, start->closure_uri, CORE_COMPILED_WORKFLOW_CLOSURE_DESC, a,
				 (void **)&start->closure, err);
	if (c)
		return err_prefix(err, c, "compiled workflow %s: ", start->closure_uri);
	if (!start->inputs && *start->inputs_uri)
		c = read_inputs(in, start, a, err);
	if (c)
		return err_prefix(err, c, "inputs %s: ", start->inputs_uri);
	if (*start->recovery_uri)
		known_set_file(in->p->known, execution, start->recovery_uri);
	return recovery_read(in->p->store, start, a, err);
}

static CoreExecutionError *unreadable(struct arena *a, const struct err *err)
{
	CoreExecutionError *e = pb_new(a, CORE_EXECUTION_ERROR_DESC);

	e->code = "UnreadableExecution";
	e->message = arena_strdup(a, err->text);
	e->kind = CORE_EXECUTION_ERROR_ERROR_KIND_SYSTEM;
	return e;
}

/* ---- commands ---- */

static void received(struct intake *in, const AlulaEnvelope *envelope)
{
	AlulaReceived m = ALULA_RECEIVED_INIT;
	auto_buf struct buf b = {0};

	m.ids = (int64_t *)&envelope->id;
	m.n_ids = 1;
	pb_pack_buf(&m, &b);
	bus_send(in->p->bus, envelope->confirm_subject, buf_str(&b), NULL);
}

/* A store that is short of something, or broken for a while, says nothing of the execution. Not for ever, as there may
 * be no end to it. */
static bool may_be_read_later(enum code code, const AlulaStartExecution *start)
{
	return code == UNAVAILABLE || (code == INTERNAL && time_now_us() - start->created_at_us < READ_PATIENCE_US);
}

/* False: not now. */
static bool take_start(struct intake *in, struct item *item, AlulaCommand *command)
{
	static struct log_limit limit;
	AlulaAccepted *accepted = pb_new(item->arena, ALULA_ACCEPTED_DESC);
	struct err err;
	size_t held;

	accepted->command = command;
	accepted->caching = cacher_is_on(in->p->config);
	enum code c = complete_start(in, command->execution, command->start, item->arena, &err);
	if (may_be_read_later(c, command->start)) {
		if (log_allow(&limit, 10 * USEC_PER_SEC, &held))
			log_warn("an execution cannot be read now; it is taken when its command is repeated",
				 LOG_INT("execution", command->execution), LOG_ERR(&err), LOG_INT("held_back", held));
		return false;
	}
	if (c)
		accepted->unreadable = unreadable(item->arena, &err);
	item->in->input_case = ALULA_INPUT_INPUT_ACCEPTED;
	item->in->accepted = accepted;
	return true;
}

/* A child can only be known by a parent that ran: one that is not here is over. */
static bool is_late(const AlulaCommand *command, enum known_state known)
{
	return command->command_case == ALULA_COMMAND_COMMAND_CHILD_FINISHED && known == KNOWN_NOT;
}

static bool set_input(struct intake *in, struct item *item, AlulaCommand *command, int64_t envelope)
{
	switch (command->command_case) {
	case ALULA_COMMAND_COMMAND_START: return take_start(in, item, command);
	case ALULA_COMMAND_COMMAND_ABORT:
		item->in->input_case = ALULA_INPUT_INPUT_ABORT;
		item->in->abort = command->abort;
		break;
	case ALULA_COMMAND_COMMAND_SET_SIGNAL:
		item->in->input_case = ALULA_INPUT_INPUT_SIGNAL_SET;
		item->in->signal_set = command->set_signal;
		item->in->signal_set->order = envelope;
		break;
	case ALULA_COMMAND_COMMAND_CHILD_FINISHED:
		item->in->input_case = ALULA_INPUT_INPUT_CHILD_FINISHED;
		item->in->child_finished = command->child_finished;
		break;
	default: break;
	}
	return true;
}

static void take_command(struct intake *in, struct item *item, const AlulaEnvelope *envelope, AlulaCommand *command)
{
	bool start = command->command_case == ALULA_COMMAND_COMMAND_START;
	enum known_state known =
		start ? known_claim(in->p->known, command->execution) : known_get(in->p->known, command->execution);

	if ((start && known != KNOWN_NOT) || is_late(command, known)) {
		metric_add(in->repeated, 1);
		if (!start || known == KNOWN_COMMITTED)
			received(in, envelope);
		item_free(item);
		return;
	}
	item->execution = command->execution;
	item->in = pb_new(item->arena, ALULA_INPUT_DESC);
	item->in->execution = command->execution;
	item->in->time_us = time_now_us();
	item->in->seed = random_u64();
	/* Shards are given back when nothing of theirs is known: the last look is after the claim. */
	bool ours = !start || propeller_owns(in->p, execution_shard(command->execution));
	if (!ours || !set_input(in, item, command, envelope->id)) {
		known_unclaim(in->p->known, command->execution);
		item_free(item);
		return;
	}
	/* An abort or a signal that overtook its create is kept by the engine but not confirmed: should we stop before
	 * the create comes, its sender repeats it. */
	if (start || known != KNOWN_NOT) {
		item->confirm_subject = envelope->confirm_subject;
		item->envelope = envelope->id;
	}
	core_push(in->p->core, item);
}

static void take_envelope(struct intake *in, struct str payload)
{
	struct item *item = item_new(ITEM_INPUT);
	AlulaEnvelope *envelope;
	AlulaCommand *command;
	struct err err;

	if (pb_unpack(ALULA_ENVELOPE_DESC, payload, item->arena, (void **)&envelope, &err) != OK ||
	    pb_unpack(ALULA_COMMAND_DESC, (struct str){(char *)envelope->payload.data, envelope->payload.len},
		      item->arena, (void **)&command, &err) != OK) {
		metric_add(in->unreadable, 1);
		log_warn("unreadable command", LOG_ERR(&err));
		item_free(item);
		return;
	}
	metric_add(in->received, 1);
	bool known_kind =
		command->command_case != ALULA_COMMAND_COMMAND_NOT_SET && command->id && command->execution > 0;
	if (!known_kind || !propeller_owns(in->p, execution_shard(command->execution))) {
		item_free(item);
		return;
	}
	take_command(in, item, envelope, command);
}

/* ---- loading shards ---- */

/* The execution whose rows are being read. */
struct loading {
	int64_t execution, seq;
	unsigned shard;
	bool last, lost; /* lost: its closure is gone, so it cannot be replayed */
	bool large;      /* a row is so large that its record may lie in the store */
	int tries;       /* to read the files of the present row */
	size_t executions, rows;
};

static void loaded(struct intake *in, struct loading *l)
{
	if (!l->execution)
		return;
	/* One that is over may still have attempts to stop: we may have died between the commit and the act. */
	struct item *item = item_new(l->lost ? ITEM_FORGET : ITEM_PENDING);
	item->execution = l->execution;
	known_committed(in->p->known, l->execution);
	/* Before the engine goes on: the relay must not hear of this row after later ones. */
	relay_loaded(in->p->relay, l->execution, l->shard, l->seq, l->last, l->large);
	core_push(in->p->core, item);
	l->executions++;
}

static enum code complete_dynamic(struct intake *in, AlulaDynamicWorkflow *dynamic, struct arena *a, struct err *err)
{
	if (dynamic->closure || !*dynamic->closure_uri)
		return OK;
	enum code c = read_message(in, dynamic->closure_uri, CORE_COMPILED_WORKFLOW_CLOSURE_DESC, a,
				   (void **)&dynamic->closure, err);
	return c ? err_prefix(err, c, "compiled workflow %s: ", dynamic->closure_uri) : OK;
}

/* What is not in the journal, but in the store. */
static enum code complete_input(struct intake *in, AlulaInput *input, struct arena *a, struct err *err)
{
	if (input->input_case == ALULA_INPUT_INPUT_ACCEPTED && !input->accepted->unreadable)
		return complete_start(in, input->execution, input->accepted->command->start, a, err);
	if (input->input_case == ALULA_INPUT_INPUT_ATTEMPT_FINISHED &&
	    input->attempt_finished->outcome_case == ALULA_ATTEMPT_FINISHED_OUTCOME_DYNAMIC)
		return complete_dynamic(in, input->attempt_finished->dynamic, a, err);
	return OK;
}

/* When the store has lost it for good, or it has become too large, or cannot be read for a minute, the execution stays
 * where it is and somebody must look; the others go on. */
static enum code complete_entry(struct intake *in, struct loading *l, struct item *item, struct err *err)
{
	enum code c = complete_input(in, item->entry->input, item->arena, err);
	bool broken = c == INTERNAL && ++l->tries >= MAX_TRIES;

	if (c != NOT_FOUND && c != INVALID_ARGUMENT && c != RESOURCE_EXHAUSTED && !broken)
		return c;
	log_error("an execution cannot go on: restore the file, then restart propeller",
		  LOG_INT("execution", item->execution), LOG_ERR(err));
	l->lost = true;
	return OK;
}

static enum code load_row(struct intake *in, struct loading *l, const struct journal_row *row, struct err *err)
{
	struct item *item = item_new(ITEM_REPLAY);

	if (row->execution != l->execution) {
		loaded(in, l);
		l->execution = row->execution;
		l->seq = 0; /* should this row fail, the page begins with it again */
		l->shard = row->shard;
		l->lost = l->large = false;
	}
	l->large |= row->entry.len > BATCH_MESSAGE_BYTES;
	item->execution = row->execution;
	enum code c = pb_unpack_own(ALULA_JOURNAL_ENTRY_DESC, row->entry, item->arena, (void **)&item->entry, err);
	if (c) {
		item_free(item);
		return err_prefix(err, c, "journal of execution %lld, seq %lld: ", (long long)row->execution,
				  (long long)row->seq);
	}
	c = complete_entry(in, l, item, err);
	if (c) {
		item_free(item);
		return c;
	}
	l->tries = 0;
	l->seq = row->seq;
	l->last = item->entry->record->last;
	l->rows++;
	if (l->lost)
		item_free(item);
	else
		core_push(in->p->core, item);
	return OK;
}

static enum code load_page(struct intake *in, uint64_t shards, struct loading *l, bool *ret_more, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = db_take(in->p->db, &db, err);

	if (!c)
		c = journal_load(db, shards, l->execution, l->seq, LOAD_ROWS, &rows, err);
	for (size_t i = 0; !c && i < db_rows_count(rows); i++) {
		struct journal_row row = journal_loaded(rows, i);
		c = load_row(in, l, &row, err);
	}
	if (!c)
		*ret_more = db_rows_count(rows) == LOAD_ROWS;
	return c;
}

static void send_ready(struct intake *in, uint64_t shards)
{
	AlulaReady m = ALULA_READY_INIT;
	uint32_t list[SHARDS];
	auto_buf struct buf b = {0};

	m.shards = list;
	for (uint32_t i = 0; i < SHARDS; i++)
		if (shards >> i & 1)
			list[m.n_shards++] = i;
	pb_pack_buf(&m, &b);
	bus_send(in->p->bus, SUBJECT_READY, buf_str(&b), NULL);
}

static void load_shards(struct intake *in, uint64_t shards)
{
	struct loading l = {0};
	int64_t start_us = time_mono_us();
	bool more = true;
	struct err err;

	while (more && !atomic_load(&in->stopping)) {
		/* A page that failed half way goes on after the last row that was taken. */
		if (load_page(in, shards, &l, &more, &err) == OK)
			continue;
		log_warn("cannot load executions from the journal; trying again", LOG_ERR(&err));
		nanosleep(&(struct timespec){.tv_nsec = RETRY_US * 1000}, NULL);
	}
	/* Nobody may act on an execution of which a part is read. */
	if (more)
		return;
	loaded(in, &l);
	atomic_fetch_or(&in->p->owned, shards);
	send_ready(in, shards);
	log_info("shards loaded", LOG_INT("shards", __builtin_popcountll(shards)), LOG_INT("executions", l.executions),
		 LOG_INT("rows", l.rows), LOG_INT("took_us", time_mono_us() - start_us));
}

/* ---- the thread ---- */

static void *intake_thread(void *arg)
{
	struct intake *in = arg;
	struct message *messages[INTAKE_BATCH];
	size_t n;

	pthread_setname_np(pthread_self(), "intake");
	while ((n = queue_pop(in->queue, (void **)messages, INTAKE_BATCH, -1)) > 0) {
		for (size_t i = 0; i < n; i++) {
			if (messages[i]->load)
				load_shards(in, messages[i]->load);
			else
				take_envelope(in, buf_str(&messages[i]->envelope));
			buf_clear(&messages[i]->envelope);
			free(messages[i]);
		}
	}
	return NULL;
}

static void on_command(const char *subject, struct str payload, void *arg)
{
	struct intake *in = arg;
	uint64_t shard;

	struct str last = str_of(strrchr(subject, '.') + 1);
	if (!str_to_u64(last, &shard) || shard >= SHARDS || !propeller_owns(in->p, (unsigned)shard))
		return;
	struct message *m = x_calloc(1, sizeof *m);
	buf_add_str(&m->envelope, payload);
	if (queue_try_push(in->queue, m))
		return;
	/* No room: the sender repeats what is not confirmed. */
	buf_clear(&m->envelope);
	free(m);
}

/* Commands may have been lost while there was no connection. */
static void on_connected(void *arg)
{
	struct intake *in = arg;
	uint64_t owned = atomic_load(&in->p->owned);

	if (owned)
		send_ready(in, owned);
}

struct intake *intake_new(struct propeller *p)
{
	struct intake *in = x_calloc(1, sizeof *in);

	in->p = p;
	in->queue = queue_new("intake", INTAKE_QUEUE);
	in->received = metrics_counter(p->metrics, "propeller:commands:received", NULL, "Commands from the bus.");
	in->repeated = metrics_counter(p->metrics, "propeller:commands:repeated", NULL, "Commands that came again.");
	in->unreadable =
		metrics_counter(p->metrics, "propeller:commands:unreadable", NULL, "Messages that are no command.");
	return in;
}

void intake_start(struct intake *in)
{
	in->started = pthread_create(&in->thread, NULL, intake_thread, in) == 0;
	assert(in->started);
	in->commands = bus_listen(in->p->bus, "alula.commands.*", NULL, on_command, on_connected, in);
}

void intake_load(struct intake *in, uint64_t shards)
{
	struct message *m = x_calloc(1, sizeof *m);

	m->load = shards;
	if (!queue_push(in->queue, m))
		free(m);
}

void intake_stop(struct intake *in)
{
	if (!in || !in->started)
		return;
	atomic_store(&in->stopping, true);
	bus_unlisten(in->commands);
	queue_close(in->queue);
	pthread_join(in->thread, NULL);
	in->started = false;
}

void intake_free(struct intake *in)
{
	if (!in)
		return;
	intake_stop(in);
	queue_free(in->queue);
	free(in);
}

#include "materialise.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "flyte/shard.h"
#include "materialise_fold.h"
#include "materialise_table.h"
#include "pb/pb.h"

#define CONSUMER "admin"
/* As propeller's relay creates the stream; whoever comes first does. */
#define STREAM_BYTES  (INT64_C(2) << 30)
#define STREAM_AGE_US (INT64_C(24) * 3600 * USEC_PER_SEC)

enum {
	FETCH_MESSAGES = 64,
	FETCH_TIMEOUT_US = 500000,
	LEASE_RETRY_US = 2000000,
	FAILURE_PAUSE_US = 250000,
	FAILED_READS = 20, /* some 5 s */
	HEARTBEAT_US = 5000000,
	RESEND_AGAIN_US = 1000000,
	ASKED_MAX = 10000,
	MARKS_MAX = 20000, /* of one message */
	MAX_BATCH_BYTES = 256 << 20,
	LEASE_CLASS = 0x616c6d61, /* of the advisory locks */
};

struct lane {
	struct materialiser *m;
	unsigned number;
	pthread_t thread;
	struct db *db; /* holds the lease; NULL without it */
	struct bus_reader *reader;
	struct arena *arena;
	struct u64map *asked; /* execution -> when its records were asked for, monotonic ms */
	int64_t heartbeat_us;
	int failed_reads; /* one after the other */
};

struct materialiser {
	struct admin *admin;
	pthread_mutex_t lock;
	pthread_cond_t stop;
	_Atomic bool stopping;
	struct bus_listener *ready;
	struct lane lanes[LANES];
	struct metric *batches, *events, *repeated, *resends, *unreadable, *batch_time;
};

/* Postgres ends the session, and the lease with it, when nothing comes any more: the admin may stand still. */
static const struct db_stmt LEASE = {
	"materialise_lease",
	"SELECT CASE WHEN pg_try_advisory_lock($1, $2) THEN set_config('idle_session_timeout', '15s', false) || "
	"set_config('idle_in_transaction_session_timeout', '15s', false) END",
};
/* Then the connection is as any of the pool. */
static const struct db_stmt UNLEASE = {
	"materialise_unlease",
	"SELECT pg_advisory_unlock($1, $2), set_config('idle_session_timeout', '0', false), "
	"set_config('idle_in_transaction_session_timeout', '1min', false)",
};
static const struct db_stmt HEARTBEAT = {"materialise_heartbeat", "SELECT 1"};

/* ---- messages to propeller ---- */

static void send_message(struct materialiser *m, const void *message, const char *subject)
{
	auto_buf struct buf b = {0};

	pb_pack_buf(message, &b);
	/* Lost ones are made up for: propeller sends again what nobody confirmed. */
	bus_send(m->admin->bus, subject, buf_str(&b), NULL);
}

/* Marks of executions by shard. */
struct marks {
	struct arena *arena;
	struct {
		AlulaMark **at;
		size_t n;
	} shard[SHARDS];
};

static void add_mark(struct marks *marks, int64_t execution, int64_t seq)
{
	unsigned shard = execution_shard(execution);
	AlulaMark *mark = pb_new(marks->arena, ALULA_MARK_DESC);

	mark->execution = execution;
	mark->seq = seq;
	*PB_ADD(marks->arena, marks->shard[shard].at, marks->shard[shard].n) = mark;
}

static void send_confirms(struct materialiser *m, struct marks *marks)
{
	char subject[SUBJECT_BYTES];

	for (unsigned shard = 0; shard < SHARDS; shard++) {
		subject_confirms(shard, subject);
		for (size_t i = 0; i < marks->shard[shard].n; i += MARKS_MAX) {
			AlulaConfirm confirm = ALULA_CONFIRM_INIT;
			confirm.consumer = CONSUMER;
			confirm.marks = marks->shard[shard].at + i;
			confirm.n_marks = MIN(marks->shard[shard].n - i, (size_t)MARKS_MAX);
			send_message(m, &confirm, subject);
		}
	}
}

static void send_resends(struct materialiser *m, struct marks *marks)
{
	char subject[SUBJECT_BYTES];

	for (unsigned shard = 0; shard < SHARDS; shard++) {
		AlulaResend resend = ALULA_RESEND_INIT;
		if (marks->shard[shard].n == 0)
			continue;
		resend.consumer = CONSUMER;
		resend.marks = marks->shard[shard].at;
		resend.n_marks = MIN(marks->shard[shard].n, (size_t)MARKS_MAX);
		subject_resends(shard, subject);
		send_message(m, &resend, subject);
		metric_add(m->resends, (int64_t)resend.n_marks);
	}
}

/* Not for every batch that shows the same gap: what was asked for is on its way. */
static bool may_ask(struct lane *l, int64_t execution)
{
	uintptr_t now_ms = (uintptr_t)(time_mono_us() / USEC_PER_MSEC) + 1;
	uintptr_t asked_ms = (uintptr_t)u64map_get(l->asked, (uint64_t)execution);

	if (asked_ms && now_ms - asked_ms < RESEND_AGAIN_US / USEC_PER_MSEC)
		return false;
	if (u64map_count(l->asked) >= ASKED_MAX) {
		u64map_free(l->asked);
		l->asked = u64map_new();
	}
	u64map_put(l->asked, (uint64_t)execution, (void *)now_ms);
	return true;
}

static void answer(struct lane *l, struct fold *f)
{
	struct marks confirms = {.arena = l->arena}, resends = {.arena = l->arena};

	vec_each (struct execution_row **, at, &f->executions) {
		const struct execution_row *x = *at;
		if (x->seq)
			add_mark(&confirms, x->key, x->seq);
		if (x->gap > x->seq && may_ask(l, x->key))
			add_mark(&resends, x->key, x->seq + 1);
	}
	send_confirms(l->m, &confirms);
	send_resends(l->m, &resends);
}

/* ---- a batch ---- */

static void unreadable(struct materialiser *m, const struct err *err)
{
	static struct log_limit limit;
	size_t held;

	metric_add(m->unreadable, 1);
	if (log_allow(&limit, 10 * USEC_PER_SEC, &held))
		log_warn("unreadable events are left out", LOG_ERR(err), LOG_INT("held_back", held));
}

typedef VEC(AlulaRecord *) record_list;

/* UNAVAILABLE when the store cannot be read now; what cannot be read at all is left out. */
static enum code add_records(struct lane *l, struct str payload, bool stored, record_list *records, struct err *err)
{
	AlulaEventBatch *batch = NULL;
	auto_buf struct buf file = {0};

	if (pb_unpack(ALULA_EVENT_BATCH_DESC, payload, l->arena, (void **)&batch, err) != OK) {
		unreadable(l->m, err);
		return OK;
	}
	for (size_t i = 0; i < batch->n_records; i++)
		if (batch->records[i]->execution > 0 && batch->records[i]->seq > 0)
			vec_push(records, batch->records[i]);
	if (!*batch->uri || stored)
		return OK;
	enum code c = store_get(l->m->admin->store, batch->uri, MAX_BATCH_BYTES, &file, err);
	if (!c)
		return add_records(l, buf_str(&file), true, records, err);
	/* Gone: every consumer has confirmed it before. Or it will be sent again. */
	if (c != UNAVAILABLE)
		unreadable(l->m, err);
	return c == UNAVAILABLE ? c : OK;
}

static void warn_unknown(const AlulaRecord *record)
{
	static struct log_limit limit;
	size_t held;

	if (log_allow(&limit, 10 * USEC_PER_SEC, &held))
		log_warn("events of an execution that there is not are left out",
			 LOG_INT("execution", record->execution), LOG_STR("name", record->id ? record->id->name : ""),
			 LOG_INT("held_back", held));
}

/* The record of an unknown execution can be of no use to anybody: it counts as taken. */
static void fold_records(struct fold *f, const record_list *records)
{
	vec_each (AlulaRecord **, r, records) {
		struct execution_row *x = fold_execution(f, (*r)->execution);
		if (x->known) {
			fold_record(f, *r);
			continue;
		}
		warn_unknown(*r);
		x->seq = MAX(x->seq, (*r)->seq);
	}
}

/* Propeller has the start of an execution that it has begun, and needs no abort (minus the key) of one that is over. */
static void forget_commands(struct fold *f, struct table_steps *steps)
{
	VEC(int64_t) keys = {0};

	vec_each (struct execution_row **, x, &f->executions) {
		if ((*x)->known && (*x)->read_seq == 0 && (*x)->seq > 0)
			vec_push(&keys, (*x)->key);
		if ((*x)->known && (*x)->over)
			vec_push(&keys, -(*x)->key);
	}
	if (keys.n)
		steps->at[steps->n++] = outbox_forget(f->arena, keys.at, keys.n);
	vec_free(&keys);
}

static bool anything_new(const struct fold *f)
{
	vec_each (struct execution_row **, x, &f->executions)
		if (fold_changes(*x))
			return true;
	return false;
}

static enum code write_batch(struct lane *l, struct fold *f, struct err *err)
{
	static const struct db_stmt BEGIN = {"begin", "BEGIN"};
	auto_outbox_rows struct outbox_rows sent = {0};
	struct table_steps steps = {.at = {{.stmt = &BEGIN}}, .n = 1};

	if (!anything_new(f))
		return OK;
	table_write(f, &steps);
	forget_commands(f, &steps);
	enum code c = table_run(&steps, l->db, err);
	if (!c)
		c = tell_parents(f, l->db, &sent, err);
	if (c) {
		db_rollback(l->db);
		return c;
	}
	c = db_commit(l->db, err);
	if (!c && sent.rows.n)
		outbox_send(l->m->admin->outbox, &sent);
	return c;
}

static enum code take_records(struct lane *l, const record_list *records, struct err *err)
{
	struct materialiser *m = l->m;
	struct fold f;

	if (records->n == 0)
		return OK;
	fold_init(&f, l->arena);
	vec_each (AlulaRecord **, r, records)
		fold_execution(&f, (*r)->execution);
	enum code c = table_read_executions(&f, l->db, err);
	if (!c)
		c = table_read_rows(&f, records->at, records->n, l->db, err);
	if (!c) {
		fold_records(&f, records);
		c = write_batch(l, &f, err);
	}
	if (!c) {
		answer(l, &f);
		metric_add(m->events, (int64_t)f.events);
		metric_add(m->repeated, (int64_t)f.repeated);
	}
	fold_clear(&f);
	return c;
}

static enum code take_messages(struct lane *l, const struct bus_message *messages, size_t n, struct err *err)
{
	record_list records = {0};
	enum code c = OK;

	arena_reset(l->arena);
	for (size_t i = 0; !c && i < n; i++)
		c = add_records(l, messages[i].payload, false, &records, err);
	if (!c)
		c = take_records(l, &records, err);
	vec_free(&records);
	return c;
}

/* A batch that the database refuses is tried message by message, so that one bad message holds up nothing else. */
static enum code take_one_by_one(struct lane *l, const struct bus_message *messages, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		enum code c = take_messages(l, &messages[i], 1, err);
		if (c == UNAVAILABLE || c == ABORTED)
			return c;
		if (c)
			log_error("events cannot be stored and are left out", LOG_STR("subject", messages[i].subject),
				  LOG_ERR(err));
	}
	return OK;
}

/* ---- the lease ---- */

static void pause_us(struct materialiser *m, int64_t us)
{
	int64_t until_us = time_mono_us() + us;

	pthread_mutex_lock(&m->lock);
	while (!m->stopping && cond_wait_until(&m->stop, &m->lock, until_us))
		continue;
	pthread_mutex_unlock(&m->lock);
}

static bool take_lease(struct lane *l)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	char durable[32], filter[SUBJECT_BYTES];

	if (db_take(l->m->admin->data_db, &db, NULL) != OK ||
	    db_query(db, &LEASE, &rows, NULL, db_i32(LEASE_CLASS), db_i32((int32_t)l->number)) != OK ||
	    db_is_null(rows, 0, 0))
		return false;
	snprintf(durable, sizeof durable, CONSUMER "-%u", l->number);
	subject_event_lane(l->number, filter);
	struct bus_reader_options options = {
		.stream = {STREAM_EVENTS, STREAM_EVENTS_SUBJECTS, STREAM_BYTES, STREAM_AGE_US},
		.durable = durable,
		.filter = filter,
	};
	l->reader = bus_reader_new(l->m->admin->bus, &options);
	l->db = take(db);
	return true;
}

static void give_lease(struct lane *l)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;

	if (!l->db)
		return;
	bus_reader_free(take(l->reader));
	db_query(l->db, &UNLEASE, &rows, NULL, db_i32(LEASE_CLASS), db_i32((int32_t)l->number));
	db_give(take(l->db));
}

/* A connection that broke unnoticed took the lease with it. */
static void heartbeat(struct lane *l)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;

	if (time_mono_us() < l->heartbeat_us)
		return;
	l->heartbeat_us = time_mono_us() + HEARTBEAT_US;
	if (db_query(l->db, &HEARTBEAT, &rows, NULL) != OK)
		give_lease(l);
}

/* ---- the thread ---- */

static void failed(struct lane *l, enum code code, const struct err *err)
{
	static struct log_limit limit;
	size_t held;

	if (log_allow(&limit, 10 * USEC_PER_SEC, &held))
		log_warn("events cannot be taken in; trying again", LOG_INT("lane", l->number), LOG_ERR(err),
			 LOG_INT("held_back", held));
	if (code == UNAVAILABLE)
		give_lease(l);
	pause_us(l->m, FAILURE_PAUSE_US);
}

/* Another admin may have a bus when we have none. */
static void cannot_read(struct lane *l)
{
	pause_us(l->m, FAILURE_PAUSE_US);
	if (++l->failed_reads < FAILED_READS) {
		heartbeat(l);
		return;
	}
	l->failed_reads = 0;
	give_lease(l);
	pause_us(l->m, 2 * LEASE_RETRY_US);
}

static void take_turn(struct lane *l)
{
	struct bus_message messages[FETCH_MESSAGES];
	struct materialiser *m = l->m;
	bool gap = false;
	size_t n = 0;
	struct err err;

	if (bus_reader_fetch(l->reader, messages, FETCH_MESSAGES, FETCH_TIMEOUT_US, &n, &gap, &err) != OK) {
		cannot_read(l);
		return;
	}
	l->failed_reads = 0;
	if (n == 0) {
		heartbeat(l);
		return;
	}
	int64_t start_us = time_mono_us();
	enum code c = take_messages(l, messages, n, &err);
	if (c && c != UNAVAILABLE && c != ABORTED)
		c = take_one_by_one(l, messages, n, &err);
	bus_reader_done(l->reader, c != OK);
	l->heartbeat_us = time_mono_us() + HEARTBEAT_US;
	if (c) {
		failed(l, c, &err);
		return;
	}
	metric_add(m->batches, 1);
	metric_observe_us(m->batch_time, time_mono_us() - start_us);
}

static void *lane_thread(void *arg)
{
	struct lane *l = arg;
	char name[16];

	snprintf(name, sizeof name, "lane-%u", l->number);
	pthread_setname_np(pthread_self(), name);
	while (!atomic_load(&l->m->stopping)) {
		if (l->db || take_lease(l))
			take_turn(l);
		else
			pause_us(l->m, LEASE_RETRY_US);
	}
	give_lease(l);
	return NULL;
}

/* ---- ready propellers ---- */

static void on_ready(const char *subject, struct str payload, void *arg)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct materialiser *m = arg;
	AlulaReady *ready = NULL;
	char commands[SUBJECT_BYTES];

	(void)subject;
	if (pb_unpack(ALULA_READY_DESC, payload, a, (void **)&ready, NULL) != OK)
		return;
	for (size_t i = 0; i < ready->n_shards; i++) {
		if (ready->shards[i] >= SHARDS)
			continue;
		subject_commands(ready->shards[i], commands);
		outbox_resend(m->admin->outbox, commands);
	}
}

static void make_metrics(struct materialiser *m)
{
	struct metrics *r = m->admin->metrics;

	m->batches = metrics_counter(r, "flyte:admin:materialise:batches", NULL, "Batches of events committed.");
	m->events = metrics_counter(r, "flyte:admin:materialise:events", NULL, "Events taken in.");
	m->repeated = metrics_counter(r, "flyte:admin:materialise:repeated", NULL, "Records that came again.");
	m->resends =
		metrics_counter(r, "flyte:admin:materialise:resends", NULL, "Executions whose records were missing.");
	m->unreadable = metrics_counter(r, "flyte:admin:materialise:unreadable", NULL, "Messages that are no events.");
	m->batch_time = metrics_summary(r, "flyte:admin:materialise:batch_us", NULL, "Time to take a batch in.", 1);
}

struct materialiser *materialiser_new(struct admin *admin)
{
	struct materialiser *m = x_calloc(1, sizeof *m);

	m->admin = admin;
	pthread_mutex_init(&m->lock, NULL);
	cond_init_mono(&m->stop);
	make_metrics(m);
	m->ready = bus_listen(admin->bus, SUBJECT_READY, NULL, on_ready, NULL, m);
	for (unsigned i = 0; i < LANES; i++) {
		struct lane *l = &m->lanes[i];
		*l = (struct lane){.m = m, .number = i, .arena = arena_new(64 * 1024), .asked = u64map_new()};
		int failed_with = pthread_create(&l->thread, NULL, lane_thread, l);
		assert(failed_with == 0);
		(void)failed_with;
	}
	return m;
}

void materialiser_free(struct materialiser *m)
{
	if (!m)
		return;
	pthread_mutex_lock(&m->lock);
	atomic_store(&m->stopping, true);
	pthread_cond_broadcast(&m->stop);
	pthread_mutex_unlock(&m->lock);
	bus_unlisten(m->ready);
	for (unsigned i = 0; i < LANES; i++) {
		pthread_join(m->lanes[i].thread, NULL);
		arena_free(m->lanes[i].arena);
		u64map_free(m->lanes[i].asked);
	}
	pthread_cond_destroy(&m->stop);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

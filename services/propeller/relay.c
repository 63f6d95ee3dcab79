#include "relay.h"

#include <assert.h>
#include <pthread.h>
#include <time.h>

#include "alula/bus.h"
#include "base/base.h"
#include "flyte/shard.h"
#include "known.h"
#include "marks.h"
#include "pb/pb.h"
#include "relay_batch.h"

enum {
	RELAY_QUEUE = 1024,
	READ_ROWS = 256,
	TRIM_EXECUTIONS = 2000,
	TRIM_DELAY_US = 20000,
	SWEEP_US = 1000000,
	FIRST_RETRY_US = 5000000,
	MAX_RETRY_US = 60000000,
	RECOVER_TIMEOUT_US = 2000000,
	RECOVER_PAUSE_US = 250000,
};

struct event {
	enum { EVENT_CYCLE, EVENT_CONFIRM, EVENT_RESEND, EVENT_LOADED } kind;
	struct cycle *cycle;
	struct buf payload; /* a Confirm or Resend, not yet unpacked */
	struct {
		int64_t execution, written;
		unsigned shard;
		bool last, stored;
	} loaded;
};

struct relay {
	struct propeller *p;
	struct queue *queue;
	pthread_t thread;
	bool started;
	struct marks *marks;
	struct batcher *batcher;
	struct bus_listener *confirms, *resends;
	bool connected;     /* the writer works; not before its first recovery */
	int64_t recover_us; /* next try while it does not */
	VEC(int64_t) again; /* executions to publish from the journal */
	int64_t again_us;   /* not before, since the database did not answer */
	VEC(int64_t) trim;
	int64_t trim_us, sweep_us; /* when due, monotonic */
	struct metric *published, *republished, *trimmed;
};

/* ---- publishing ---- */

static void queue_again(struct relay *r, struct mark *mark)
{
	if (mark->queued)
		return;
	mark->queued = true;
	vec_push(&r->again, mark->execution);
}

static void lost_connection(struct relay *r, const struct err *err)
{
	static struct log_limit limit;
	size_t held;

	if (r->connected && log_allow(&limit, 10 * USEC_PER_SEC, &held))
		log_warn("cannot publish events; they stay in the journal", LOG_ERR(err), LOG_INT("held_back", held));
	r->connected = false;
	r->recover_us = time_mono_us();
}

static void flush(struct relay *r)
{
	struct err err;

	if (r->connected && batcher_flush(r->batcher, &err) != OK)
		lost_connection(r, &err);
}

/* A record goes out in order of seq; out of turn it waits for the journal to be read. */
static void publish(struct relay *r, struct mark *mark, int64_t seq, struct str record)
{
	struct err err;

	if (!r->connected || mark->queued || seq != mark->sent + 1) {
		queue_again(r, mark);
		return;
	}
	if (batcher_add(r->batcher, mark->shard, mark->execution, seq, record, &err) != OK) {
		lost_connection(r, &err);
		queue_again(r, mark);
		return;
	}
	mark->stored |= record.len > BATCH_MESSAGE_BYTES;
	mark->sent = seq;
	metric_add(r->published, 1);
}

static struct mark *mark_of(struct relay *r, int64_t execution, unsigned shard)
{
	struct mark *mark = marks_get(r->marks, execution);

	if (mark)
		return mark;
	mark = marks_add(r->marks, execution, shard);
	mark->backoff_us = FIRST_RETRY_US;
	mark->retry_us = time_mono_us() + mark->backoff_us;
	return mark;
}

static void take_cycle(struct relay *r, struct cycle *cycle)
{
	vec_each (struct moved *, m, &cycle->moved) {
		struct mark *mark = mark_of(r, m->row.execution, m->row.shard);
		mark->written = m->row.seq;
		mark->last = m->last;
		publish(r, mark, m->row.seq, m->record);
	}
	cycle_unref(cycle);
}

/* Publish what the journal has after mark->sent, a page of rows; false when the execution needs more or the bus is
 * away. */
static bool publish_page(struct relay *r, struct db *db, struct mark *mark)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	struct err err;

	if (journal_read(db, mark->shard, mark->execution, mark->sent, READ_ROWS, &rows, &err) != OK) {
		r->again_us = time_mono_us() + RECOVER_PAUSE_US;
		return false;
	}
	for (size_t i = 0; i < db_rows_count(rows); i++) {
		struct journal_row row = journal_loaded(rows, i);
		struct str record;
		if (journal_entry_record(row.entry, &record, &err) != OK ||
		    batcher_add(r->batcher, row.shard, row.execution, row.seq, record, &err) != OK) {
			lost_connection(r, &err);
			return false;
		}
		mark->stored |= record.len > BATCH_MESSAGE_BYTES;
		mark->sent = row.seq;
		metric_add(r->republished, 1);
	}
	return db_rows_count(rows) < READ_ROWS || mark->sent >= mark->written;
}

/* A bounded piece of the executions that wait to be published from the journal. */
static void publish_again(struct relay *r)
{
	auto_free(db_give) struct db *db = NULL;
	size_t done = 0;

	if (!r->connected || r->again.n == 0 || time_mono_us() < r->again_us)
		return;
	if (db_take(r->p->db, &db, NULL) != OK) {
		r->again_us = time_mono_us() + RECOVER_PAUSE_US;
		return;
	}
	for (; done < r->again.n && done < READ_ROWS; done++) {
		struct mark *mark = marks_get(r->marks, r->again.at[done]);
		if (!mark)
			continue;
		if (!publish_page(r, db, mark))
			break;
		mark->queued = false;
	}
	vec_drop(&r->again, done);
}

/* ---- the bus came back ---- */

/* What the bus has for certain is what it acknowledged; when it lost that too, what the consumers have confirmed. */
static void rewind_marks(struct relay *r, bool lost)
{
	auto_free(u64map_free) struct u64map *unacked = batcher_unacked(r->batcher);
	struct mark *mark;
	size_t it = 0;

	while (marks_next(r->marks, &it, &mark)) {
		int64_t first = (int64_t)(uintptr_t)u64map_get(unacked, (uint64_t)mark->execution);
		if (lost)
			mark->sent = MIN(mark->sent, marks_confirmed(r->marks, mark));
		else if (first)
			mark->sent = MIN(mark->sent, first - 1);
		if (mark->sent < mark->written)
			queue_again(r, mark);
	}
}

static void recover(struct relay *r)
{
	struct err err;

	if (r->connected || time_mono_us() < r->recover_us)
		return;
	r->recover_us = time_mono_us() + RECOVER_PAUSE_US;
	if (!bus_connected(r->p->bus))
		return;
	enum code code = batcher_recover(r->batcher, RECOVER_TIMEOUT_US, &err);
	if (code != OK && code != DATA_LOSS)
		return;
	log_info("publishing events", LOG_BOOL("stream_lost_messages", code == DATA_LOSS),
		 LOG_INT("executions", marks_count(r->marks)));
	rewind_marks(r, code == DATA_LOSS);
	batcher_reset(r->batcher);
	r->connected = true;
}

/* ---- confirms, resends, trimming ---- */

static void queue_trim(struct relay *r, int64_t execution)
{
	if (r->trim.n == 0)
		r->trim_us = time_mono_us() + TRIM_DELAY_US;
	vec_push(&r->trim, execution);
}

static size_t consumer_index(const struct relay *r, const char *name)
{
	const struct config_strings *consumers = &r->p->config->consumers;
	size_t i = 0;

	while (i < consumers->n && strcmp(consumers->at[i], name) != 0)
		i++;
	return i;
}

static void take_confirm(struct relay *r, struct str payload)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	AlulaConfirm *m = NULL;
	struct err err;

	if (pb_unpack(ALULA_CONFIRM_DESC, payload, a, (void **)&m, &err) != OK) {
		log_warn("unreadable Confirm", LOG_ERR(&err));
		return;
	}
	size_t consumer = consumer_index(r, m->consumer);
	for (size_t i = 0; i < m->n_marks; i++) {
		struct mark *mark = marks_get(r->marks, m->marks[i]->execution);
		if (!mark)
			continue;
		mark->backoff_us = FIRST_RETRY_US;
		mark->retry_us = time_mono_us() + mark->backoff_us;
		if (marks_confirm(r->marks, mark, consumer, m->marks[i]->seq) && !mark->trimming) {
			mark->trimming = true;
			queue_trim(r, mark->execution);
		}
	}
}

static void take_resend(struct relay *r, struct str payload)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	AlulaResend *m = NULL;
	struct err err;

	if (pb_unpack(ALULA_RESEND_DESC, payload, a, (void **)&m, &err) != OK) {
		log_warn("unreadable Resend", LOG_ERR(&err));
		return;
	}
	for (size_t i = 0; i < m->n_marks; i++) {
		struct mark *mark = marks_get(r->marks, m->marks[i]->execution);
		if (!mark || m->marks[i]->seq < 1 || m->marks[i]->seq > mark->sent)
			continue;
		mark->sent = m->marks[i]->seq - 1;
		queue_again(r, mark);
	}
}

static void forget(struct relay *r, int64_t execution)
{
	struct mark *mark = marks_get(r->marks, execution);

	if (!mark)
		return;
	for (int64_t seq = 1; mark->stored && seq <= mark->written; seq++)
		batcher_remove_stored(r->batcher, execution, seq);
	auto_mem char *file = known_trimmed(r->p->known, execution, time_mono_us());
	if (file)
		store_remove(r->p->store, file, NULL);
	marks_remove(r->marks, execution);
}

static void trim(struct relay *r)
{
	auto_free(db_give) struct db *db = NULL;
	VEC(unsigned) shards = {0};
	struct err err;

	if (r->trim.n == 0 || (r->trim.n < TRIM_EXECUTIONS && time_mono_us() < r->trim_us))
		return;
	r->trim_us = time_mono_us() + SWEEP_US;
	if (db_take(r->p->db, &db, NULL) != OK)
		return;
	size_t n = MIN(r->trim.n, TRIM_EXECUTIONS);
	for (size_t i = 0; i < n; i++)
		vec_push(&shards, execution_shard(r->trim.at[i]));
	if (journal_trim(db, r->p->name, r->p->epoch, shards.at, r->trim.at, n, &err) == OK) {
		for (size_t i = 0; i < n; i++)
			forget(r, r->trim.at[i]);
		metric_add(r->trimmed, (int64_t)n);
		vec_drop(&r->trim, n);
		r->trim_us = time_mono_us() + TRIM_DELAY_US;
	}
	vec_free(&shards);
}

/* Slow: a consumer that says nothing gets the last record once more, ever more rarely. */
static void sweep(struct relay *r)
{
	int64_t now = time_mono_us();
	struct mark *mark;
	size_t it = 0;

	if (!r->connected || now < r->sweep_us)
		return;
	r->sweep_us = now + SWEEP_US;
	while (marks_next(r->marks, &it, &mark)) {
		if (mark->retry_us > now || mark->queued || marks_confirmed(r->marks, mark) >= mark->written)
			continue;
		mark->backoff_us = MIN(mark->backoff_us * 2, MAX_RETRY_US);
		mark->retry_us = now + mark->backoff_us;
		mark->sent = MIN(mark->sent, mark->written - 1);
		queue_again(r, mark);
		if (r->again.n >= READ_ROWS)
			break;
	}
}

static void take_loaded(struct relay *r, const struct event *e)
{
	struct mark *mark = mark_of(r, e->loaded.execution, e->loaded.shard);

	mark->written = e->loaded.written;
	mark->last = e->loaded.last;
	mark->stored = e->loaded.stored;
	mark->sent = mark->written - 1;
	queue_again(r, mark);
}

/* ---- the thread ---- */

static void take_event(struct relay *r, struct event *e)
{
	switch (e->kind) {
	case EVENT_CYCLE: take_cycle(r, e->cycle); break;
	case EVENT_CONFIRM: take_confirm(r, buf_str(&e->payload)); break;
	case EVENT_RESEND: take_resend(r, buf_str(&e->payload)); break;
	case EVENT_LOADED: take_loaded(r, e); break;
	}
	buf_clear(&e->payload);
	free(e);
}

/* How long the thread may sleep: until something is due. */
static int64_t idle_us(const struct relay *r)
{
	int64_t now = time_mono_us();

	if (r->connected && r->again.n)
		return MAX(r->again_us - now, 0);
	int64_t due = r->connected ? r->sweep_us : r->recover_us;
	if (r->trim.n)
		due = MIN(due, r->trim_us);
	return MAX(due - now, 0);
}

static void *relay_thread(void *arg)
{
	struct relay *r = arg;
	struct event *events[RELAY_QUEUE];

	pthread_setname_np(pthread_self(), "relay");
	for (;;) {
		size_t n = queue_pop(r->queue, (void **)events, ARRAY_SIZE(events), idle_us(r));
		if (n == 0 && queue_closed(r->queue))
			break;
		for (size_t i = 0; i < n; i++)
			take_event(r, events[i]);
		recover(r);
		publish_again(r);
		flush(r);
		trim(r);
		sweep(r);
	}
	return NULL;
}

static void push(struct relay *r, struct event *e)
{
	if (queue_push(r->queue, e))
		return;
	if (e->cycle)
		cycle_unref(e->cycle);
	buf_clear(&e->payload);
	free(e);
}

static void on_message(struct relay *r, int kind, struct str payload)
{
	struct event *e = x_calloc(1, sizeof *e);

	e->kind = kind;
	buf_add_str(&e->payload, payload);
	/* Dropped when there is no room: consumers ask again, confirms are repeated by later ones. */
	if (queue_try_push(r->queue, e))
		return;
	buf_clear(&e->payload);
	free(e);
}

static void on_confirm(const char *subject, struct str payload, void *arg)
{
	(void)subject;
	on_message(arg, EVENT_CONFIRM, payload);
}

static void on_resend(const char *subject, struct str payload, void *arg)
{
	(void)subject;
	on_message(arg, EVENT_RESEND, payload);
}

struct relay *relay_new(struct propeller *p)
{
	struct relay *r = x_calloc(1, sizeof *r);

	r->p = p;
	r->queue = queue_new("relay", RELAY_QUEUE);
	r->marks = marks_new(p->config->consumers.n);
	r->batcher = batcher_new(p);
	r->published = metrics_counter(p->metrics, "propeller:events:published", NULL, "Records published.");
	r->republished = metrics_counter(p->metrics, "propeller:events:republished", NULL,
					 "Records published from the journal.");
	r->trimmed = metrics_counter(p->metrics, "propeller:journal:trimmed", NULL, "Executions trimmed.");
	return r;
}

void relay_start(struct relay *r)
{
	r->confirms = bus_listen(r->p->bus, "alula.confirms.*", NULL, on_confirm, NULL, r);
	r->resends = bus_listen(r->p->bus, "alula.resends.*", NULL, on_resend, NULL, r);
	r->started = pthread_create(&r->thread, NULL, relay_thread, r) == 0;
	assert(r->started);
}

void relay_push(struct relay *r, struct cycle *cycle)
{
	struct event *e = x_calloc(1, sizeof *e);

	e->kind = EVENT_CYCLE;
	e->cycle = cycle;
	push(r, e);
}

void relay_loaded(struct relay *r, int64_t execution, unsigned shard, int64_t written, bool last, bool stored)
{
	struct event *e = x_calloc(1, sizeof *e);

	e->kind = EVENT_LOADED;
	e->loaded.execution = execution;
	e->loaded.shard = shard;
	e->loaded.written = written;
	e->loaded.last = last;
	e->loaded.stored = stored;
	push(r, e);
}

void relay_stop(struct relay *r)
{
	if (!r || !r->started)
		return;
	bus_unlisten(r->confirms);
	bus_unlisten(r->resends);
	queue_close(r->queue);
	pthread_join(r->thread, NULL);
	r->started = false;
}

void relay_free(struct relay *r)
{
	if (!r)
		return;
	relay_stop(r);
	queue_free(r->queue);
	batcher_free(r->batcher);
	marks_free(r->marks);
	vec_free(&r->again);
	vec_free(&r->trim);
	free(r);
}

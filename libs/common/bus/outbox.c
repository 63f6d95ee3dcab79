#include "bus/outbox.h"

#include <pthread.h>
#include <stdio.h>

#include "alula/bus.h"
#include "base/base.h"
#include "pb/pb.h"

enum {
	DEFAULT_WINDOW = 4096,
	DEFAULT_RESEND_US = 5000000,
	DEFAULT_SWEEP_US = 5000000,
	WINDOW_BYTES = 64 << 20,
	EVENTS = 16384,
	TURN = 512,
	SWEEP_ROWS = 512,
	CONFIRMED_AT_ONCE = 1024,
	CONFIRMED_WAIT_US = 250000,
	CONFIRMED_WAITS = 20, /* of them at least in the time after which others look for rows */
};

static const struct db_stmt ADD = {
	"outbox_add",
	"INSERT INTO outbox (key, subject, payload) VALUES ($1, $2, $3) RETURNING id",
};
static const struct db_stmt FORGET = {"outbox_forget", "DELETE FROM outbox WHERE key = ANY($1)"};
static const struct db_stmt CONFIRMED = {"outbox_confirmed", "DELETE FROM outbox WHERE id = ANY($1)"};
static const struct db_stmt STILL = {"outbox_still", "SELECT id FROM outbox WHERE id = ANY($1)"};
static const struct db_stmt SWEEP = {
	"outbox_sweep",
	"SELECT id, subject, payload FROM outbox WHERE id <> ALL($1) "
	"AND created_at < now() - $2 * interval '1 microsecond' ORDER BY id LIMIT $3",
};
static const struct db_stmt SWEEP_SUBJECT = {
	"outbox_sweep_subject",
	"SELECT id, subject, payload FROM outbox WHERE id <> ALL($1) AND subject = ANY($2) ORDER BY id LIMIT $3",
};

/* A row on its way. */
struct flight {
	struct outbox_row row;
	int64_t sent_us;            /* monotonic */
	struct flight *prev, *next; /* in order of sending */
};

struct event {
	enum { SEND, RECEIVED, RESEND, CONNECTED } kind;
	struct outbox_row row;
	struct buf payload; /* a Received */
	char *subject;
};

struct outbox {
	struct bus *bus;
	struct db_pool *pool;
	size_t window;
	int64_t resend_us, sweep_us, next_sweep_us;
	char confirm_subject[64];
	struct bus_listener *listener;
	struct queue *events;
	pthread_t thread;
	struct u64map *flights;
	struct flight oldest; /* head of the ring */
	int64_t lost_us;      /* what was sent before may be lost, monotonic */
	size_t bytes;         /* of payloads on their way */
	VEC(int64_t) confirmed;
	int64_t confirmed_us; /* when the oldest of them came, monotonic */
	VEC(char *) subjects; /* whose rows are wanted at once */
	bool left_out;        /* the table may have rows of any age that are not on their way */
	bool more;            /* the last sweep found as much as it looked for */
	struct metric *sent, *resent, *in_flight;
};

static void row_clear(struct outbox_row *row)
{
	free(row->subject);
	buf_clear(&row->payload);
}

void outbox_rows_clear(struct outbox_rows *r)
{
	vec_each (struct outbox_row *, row, &r->rows)
		row_clear(row);
	vec_free(&r->rows);
}

void outbox_note(struct outbox_rows *rows, int64_t id, const char *subject, struct str payload)
{
	struct outbox_row row = {.id = id, .subject = x_strdup(subject)};

	buf_add_str(&row.payload, payload);
	vec_push(&rows->rows, row);
}

enum code outbox_add(struct db *db, struct outbox_rows *rows, int64_t key, const char *subject, struct str payload,
		     struct err *err)
{
	auto_free(db_rows_free) struct db_rows *r = NULL;
	enum code c = db_query(db, &ADD, &r, err, db_i64(key), db_text(subject), db_bytea(payload));

	if (!c)
		outbox_note(rows, db_get_i64(r, 0, 0), subject, payload);
	return c;
}

static struct db_param id_array(struct arena *a, const int64_t *ids, size_t n)
{
	struct db_array *x = db_array_new(a, db_i64(0));

	for (size_t i = 0; i < n; i++)
		db_array_add(x, db_i64(ids[i]));
	return db_array(x);
}

struct db_step outbox_forget(struct arena *a, const int64_t *keys, size_t n)
{
	struct db_param ids = id_array(a, keys, n);

	return (struct db_step){&FORGET, 1, arena_dup(a, &ids, sizeof ids), 0};
}

/* ---- flights ---- */

static void unlink_flight(struct flight *f)
{
	f->prev->next = f->next;
	f->next->prev = f->prev;
}

static void link_after(struct flight *before, struct flight *f)
{
	f->prev = before;
	f->next = before->next;
	f->prev->next = f->next->prev = f;
}

static void link_last(struct outbox *o, struct flight *f)
{
	link_after(o->oldest.prev, f);
}

/* Lost ones are sent again; one that cannot be sent at all is for a person to see. */
static void transmit(struct outbox *o, struct flight *f)
{
	static struct log_limit limit;
	AlulaEnvelope envelope = ALULA_ENVELOPE_INIT;
	auto_buf struct buf b = {0};
	struct err err;
	size_t held;

	envelope.id = f->row.id;
	envelope.confirm_subject = o->confirm_subject;
	envelope.payload.data = (uint8_t *)f->row.payload.data;
	envelope.payload.len = f->row.payload.len;
	pb_pack_buf(&envelope, &b);
	f->sent_us = time_mono_us();
	enum code c = bus_send(o->bus, f->row.subject, buf_str(&b), &err);
	if (c && c != UNAVAILABLE && log_allow(&limit, 60 * USEC_PER_SEC, &held))
		log_error("an outbox row cannot be sent", LOG_ERR(&err), LOG_INT("row", f->row.id),
			  LOG_STR("subject", f->row.subject), LOG_INT("held_back", held));
}

static bool is_full(const struct outbox *o)
{
	return u64map_count(o->flights) >= o->window || o->bytes >= WINDOW_BYTES;
}

/* The row becomes ours. */
static void take_row(struct outbox *o, struct outbox_row *row)
{
	bool full = is_full(o);

	if (full || u64map_get(o->flights, (uint64_t)row->id)) {
		o->left_out |= full;
		row_clear(row);
		return;
	}
	struct flight *f = x_calloc(1, sizeof *f);
	f->row = *row;
	u64map_put(o->flights, (uint64_t)row->id, f);
	link_last(o, f);
	o->bytes += f->row.payload.len;
	transmit(o, f);
	metric_add(o->sent, 1);
}

static bool drop_flight(struct outbox *o, int64_t id)
{
	struct flight *f = u64map_remove(o->flights, (uint64_t)id);

	if (!f)
		return false;
	unlink_flight(f);
	o->bytes -= f->row.payload.len;
	row_clear(&f->row);
	free(f);
	return true;
}

/* What is due stands first. */
static void resend_subject(struct outbox *o, const char *subject)
{
	for (struct flight *f = o->oldest.next, *next; f != &o->oldest; f = next) {
		next = f->next;
		if (strcmp(f->row.subject, subject) != 0)
			continue;
		unlink_flight(f);
		f->sent_us = 0;
		link_after(&o->oldest, f);
	}
	vec_push(&o->subjects, x_strdup(subject));
}

static bool is_due(const struct outbox *o, const struct flight *f)
{
	return f != &o->oldest && f->sent_us < MAX(time_mono_us() - o->resend_us, o->lost_us);
}

/* ---- the table ---- */

/* A failed one is tried again at the next turn. A row that was deleted with its key (outbox_forget) stays on its way
 * until it would be sent again. */
static void delete_confirmed(struct outbox *o, struct db *db)
{
	auto_free(arena_free) struct arena *a = arena_new(0);

	if (o->confirmed.n == 0 ||
	    db_exec(db, &CONFIRMED, NULL, NULL, id_array(a, o->confirmed.at, o->confirmed.n)) != OK)
		return;
	vec_clear(&o->confirmed);
}

/* Most confirmed rows are soon forgotten by their key: to delete them right away would contend for their locks. */
static int64_t confirmed_wait_us(const struct outbox *o)
{
	return MIN(o->sweep_us / CONFIRMED_WAITS, CONFIRMED_WAIT_US);
}

static bool confirmed_due(const struct outbox *o)
{
	return o->confirmed.n >= CONFIRMED_AT_ONCE ||
	       (o->confirmed.n && time_mono_us() - o->confirmed_us >= confirmed_wait_us(o));
}

static struct db_param flight_ids(struct outbox *o, struct arena *a)
{
	struct db_array *x = db_array_new(a, db_i64(0));

	for (struct flight *f = o->oldest.next; f != &o->oldest; f = f->next)
		db_array_add(x, db_i64(f->row.id));
	for (size_t i = 0; i < o->confirmed.n; i++)
		db_array_add(x, db_i64(o->confirmed.at[i]));
	return db_array(x);
}

static void take_rows(struct outbox *o, struct db_rows *rows)
{
	for (size_t i = 0; i < db_rows_count(rows); i++) {
		struct str subject = db_get_str(rows, i, 1);
		struct outbox_row row = {.id = db_get_i64(rows, i, 0), .subject = x_strndup(subject.ptr, subject.len)};
		buf_add_str(&row.payload, db_get_str(rows, i, 2));
		take_row(o, &row);
	}
}

/* Take rows that are not on their way, at most SWEEP_ROWS, as payloads may be large. *ret_more: there may be others. */
static bool look(struct outbox *o, struct db *db, const struct db_stmt *stmt, struct arena *a, struct db_param which,
		 bool *ret_more)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	size_t flying = u64map_count(o->flights), limit = MIN(o->window - MIN(flying, o->window), SWEEP_ROWS);

	if (limit == 0 || is_full(o) ||
	    db_query(db, stmt, &rows, NULL, flight_ids(o, a), which, db_i64((int64_t)limit)) != OK)
		return false;
	take_rows(o, rows);
	*ret_more = db_rows_count(rows) == limit;
	return true;
}

static void sweep(struct outbox *o, struct db *db)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	bool all_ages = o->left_out;

	o->next_sweep_us = time_mono_us() + o->sweep_us;
	o->left_out = o->more = false;
	if (!look(o, db, &SWEEP, a, db_i64(all_ages ? 0 : o->sweep_us), &o->more) || o->more)
		o->left_out |= all_ages;
}

static void sweep_subjects(struct outbox *o, struct db *db)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct db_array *subjects = db_array_new(a, db_text(""));
	bool more = false;

	vec_each (char **, s, &o->subjects) {
		db_array_add(subjects, db_text(*s));
		free(*s);
	}
	vec_clear(&o->subjects);
	if (!look(o, db, &SWEEP_SUBJECT, a, db_array(subjects), &more) || more)
		o->left_out = true;
}

/* Only what is still in the table: a receiver that has restarted knows nothing of what is over, and would do it once
 * more, or never confirm it. */
static void resend(struct outbox *o, struct db *db)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	auto_free(u64map_free) struct u64map *still = u64map_new();
	struct db_array *due = db_array_new(a, db_i64(0));
	struct flight *next = o->oldest.next;
	size_t left = 0;

	for (struct flight *f = next; is_due(o, f); f = f->next, left++)
		db_array_add(due, db_i64(f->row.id));
	if (db_query(db, &STILL, &rows, NULL, db_array(due)) != OK)
		return;
	for (size_t i = 0; i < db_rows_count(rows); i++)
		u64map_put(still, (uint64_t)db_get_i64(rows, i, 0), o);
	for (; left; left--) {
		struct flight *f = next;
		next = f->next;
		if (!u64map_get(still, (uint64_t)f->row.id)) {
			drop_flight(o, f->row.id);
			continue;
		}
		unlink_flight(f);
		link_last(o, f);
		transmit(o, f);
		metric_add(o->resent, 1);
	}
}

static bool half_empty(const struct outbox *o)
{
	return u64map_count(o->flights) <= o->window / 2 && o->bytes <= WINDOW_BYTES / 2;
}

/* Is it worth a connection? */
static void use_database(struct outbox *o)
{
	auto_free(db_give) struct db *db = NULL;
	bool due = time_mono_us() >= o->next_sweep_us || ((o->left_out || o->more) && half_empty(o));

	if (!confirmed_due(o) && !due && !o->subjects.n && !is_due(o, o->oldest.next))
		return;
	if (due)
		o->more = false; /* should the database not answer, try again later, not at once */
	if (db_take(o->pool, &db, NULL) != OK)
		return;
	if (confirmed_due(o))
		delete_confirmed(o, db);
	if (is_due(o, o->oldest.next))
		resend(o, db);
	if (o->subjects.n)
		sweep_subjects(o, db);
	if (due)
		sweep(o, db);
}

static void delete_last(struct outbox *o)
{
	auto_free(db_give) struct db *db = NULL;

	if (o->confirmed.n && db_take(o->pool, &db, NULL) == OK)
		delete_confirmed(o, db);
}

/* ---- the thread ---- */

static void take_received(struct outbox *o, struct str payload)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	AlulaReceived *m = NULL;
	static struct log_limit limit;
	struct err err;
	size_t held;

	if (pb_unpack(ALULA_RECEIVED_DESC, payload, a, (void **)&m, &err) != OK) {
		if (log_allow(&limit, 10 * USEC_PER_SEC, &held))
			log_warn("unreadable Received", LOG_ERR(&err), LOG_INT("held_back", held));
		return;
	}
	if (!o->confirmed.n)
		o->confirmed_us = time_mono_us();
	/* Only what was on its way: nobody else can confirm a row. */
	for (size_t i = 0; i < m->n_ids; i++)
		if (drop_flight(o, m->ids[i]))
			vec_push(&o->confirmed, m->ids[i]);
}

static void event_free(struct event *e)
{
	buf_clear(&e->payload);
	free(e->subject);
	free(e);
}

static void take_event(struct outbox *o, struct event *e)
{
	switch (e->kind) {
	case SEND: take_row(o, &e->row); break;
	case RECEIVED: take_received(o, buf_str(&e->payload)); break;
	case RESEND: resend_subject(o, e->subject); break;
	case CONNECTED: o->lost_us = time_mono_us(); break;
	}
	event_free(e);
}

static int64_t wait_us(const struct outbox *o)
{
	int64_t turn_us = MIN(o->resend_us, o->sweep_us) / 4;

	if (o->more && half_empty(o))
		return 0;
	return o->confirmed.n ? MIN(turn_us, confirmed_wait_us(o)) : turn_us;
}

static void *outbox_thread(void *arg)
{
	struct outbox *o = arg;
	struct event *events[TURN];

	pthread_setname_np(pthread_self(), "outbox");
	for (;;) {
		size_t n = queue_pop(o->events, (void **)events, TURN, wait_us(o));
		if (n == 0 && queue_closed(o->events))
			break;
		for (size_t i = 0; i < n; i++)
			take_event(o, events[i]);
		use_database(o);
		metric_set(o->in_flight, (int64_t)u64map_count(o->flights));
	}
	delete_last(o);
	return NULL;
}

static void push(struct outbox *o, struct event *e)
{
	if (queue_push(o->events, e))
		return;
	row_clear(&e->row);
	event_free(e);
}

void outbox_send(struct outbox *o, struct outbox_rows *rows)
{
	vec_each (struct outbox_row *, row, &rows->rows) {
		struct event *e = x_calloc(1, sizeof *e);
		e->kind = SEND;
		e->row = *row;
		push(o, e);
	}
	vec_clear(&rows->rows);
}

void outbox_resend(struct outbox *o, const char *subject)
{
	struct event *e = x_calloc(1, sizeof *e);

	e->kind = RESEND;
	e->subject = x_strdup(subject);
	push(o, e);
}

/* A confirm that finds no room is lost; the row is then sent again and confirmed again. */
static void on_received(const char *subject, struct str payload, void *arg)
{
	struct outbox *o = arg;
	struct event *e = x_calloc(1, sizeof *e);

	(void)subject;
	e->kind = RECEIVED;
	buf_add_str(&e->payload, payload);
	if (!queue_try_push(o->events, e))
		event_free(e);
}

/* What was under way is lost. Must not wait: when there is no room, rows are sent again in their time. */
static void on_connected(void *arg)
{
	struct outbox *o = arg;
	struct event *e = x_calloc(1, sizeof *e);

	e->kind = CONNECTED;
	if (!queue_try_push(o->events, e))
		event_free(e);
}

struct outbox *outbox_new(const struct outbox_options *options)
{
	struct outbox *o = x_calloc(1, sizeof *o);
	const char *prefix = options->metrics_prefix ? options->metrics_prefix : "outbox";

	o->bus = options->bus;
	o->pool = options->pool;
	o->window = options->window ? options->window : DEFAULT_WINDOW;
	o->resend_us = options->resend_us ? options->resend_us : DEFAULT_RESEND_US;
	o->sweep_us = options->sweep_us ? options->sweep_us : DEFAULT_SWEEP_US;
	o->events = queue_new("outbox", EVENTS);
	o->flights = u64map_new();
	o->oldest.prev = o->oldest.next = &o->oldest;
	o->left_out = true; /* rows of before: the first turn looks */
	if (options->metrics) {
		auto_mem char *sent = x_printf("%s:sent", prefix), *resent = x_printf("%s:resent", prefix);
		auto_mem char *flying = x_printf("%s:in_flight", prefix);
		o->sent = metrics_counter(options->metrics, sent, NULL, "Outbox rows sent.");
		o->resent = metrics_counter(options->metrics, resent, NULL, "Outbox rows sent again.");
		o->in_flight = metrics_gauge(options->metrics, flying, NULL, "Outbox rows sent and not confirmed.");
	}
	snprintf(o->confirm_subject, sizeof o->confirm_subject, "alula.received.%016llx",
		 (unsigned long long)random_u64());
	o->listener = bus_listen(o->bus, o->confirm_subject, NULL, on_received, on_connected, o);
	pthread_create(&o->thread, NULL, outbox_thread, o);
	return o;
}

void outbox_free(struct outbox *o)
{
	if (!o)
		return;
	bus_unlisten(o->listener);
	queue_close(o->events);
	pthread_join(o->thread, NULL);
	queue_free(o->events);
	while (o->oldest.next != &o->oldest)
		drop_flight(o, o->oldest.next->row.id);
	u64map_free(o->flights);
	vec_free(&o->confirmed);
	vec_each (char **, s, &o->subjects)
		free(*s);
	vec_free(&o->subjects);
	free(o);
}

/* The outbox between a real Postgres and a real nats-server, both killed under it, and a receiver that is deaf or mute
 * for a while. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../servers.h"
#include "alula/bus.h"
#include "base/base.h"
#include "bus/outbox.h"
#include "pb/pb.h"

enum { MOST = 30000, PATIENCE_US = 40000000 };

static struct server pg, nats;
static struct db_pool *pool;
static struct bus *bus;

static const struct db_migration MIGRATIONS[] = {
	{"001", "CREATE TABLE outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key bigint NOT NULL,"
		" subject text NOT NULL, payload bytea NOT NULL, created_at timestamptz NOT NULL DEFAULT now())"},
	{0},
};
static const struct db_stmt COUNT = {"count", "SELECT count(*) FROM outbox"};

/* ---- the receiver: payloads are numbers ---- */

static struct {
	struct bus_listener *listener;
	struct queue *queue;
	pthread_t thread;
	_Atomic bool deaf, mute;
	_Atomic int seen[MOST];
	_Atomic int different, repeats;
	char confirm_subject[128]; /* of the last envelope */
	pthread_mutex_t lock;
} receiver = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void on_command(const char *subject, struct str payload, void *arg)
{
	(void)subject;
	(void)arg;
	if (atomic_load(&receiver.deaf))
		return;
	struct buf *b = x_calloc(1, sizeof *b);
	buf_add_str(b, payload);
	queue_push(receiver.queue, b);
}

static void note(const AlulaEnvelope *e)
{
	uint64_t number;

	assert_true(str_to_u64((struct str){(char *)e->payload.data, e->payload.len}, &number) && number < MOST);
	if (atomic_fetch_add(&receiver.seen[number], 1) == 0)
		atomic_fetch_add(&receiver.different, 1);
	else
		atomic_fetch_add(&receiver.repeats, 1);
	pthread_mutex_lock(&receiver.lock);
	snprintf(receiver.confirm_subject, sizeof receiver.confirm_subject, "%s", e->confirm_subject);
	pthread_mutex_unlock(&receiver.lock);
}

static void confirm(const char *subject, int64_t *ids, size_t n)
{
	AlulaReceived m = ALULA_RECEIVED_INIT;
	auto_buf struct buf b = {0};

	m.ids = ids;
	m.n_ids = n;
	pb_pack_buf(&m, &b);
	bus_send(bus, subject, buf_str(&b), NULL);
}

/* One confirm for what came together from one sender. */
static void receive(struct buf **at, size_t n)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	int64_t ids[512];
	size_t n_ids = 0;
	const char *subject = "";

	for (size_t i = 0; i < n; i++) {
		AlulaEnvelope *e;
		assert_int_equal(pb_unpack(ALULA_ENVELOPE_DESC, buf_str(at[i]), a, (void **)&e, NULL), OK);
		note(e);
		if (n_ids && strcmp(subject, e->confirm_subject) != 0) {
			if (!atomic_load(&receiver.mute))
				confirm(subject, ids, n_ids);
			n_ids = 0;
		}
		subject = e->confirm_subject;
		ids[n_ids++] = e->id;
		buf_clear(at[i]);
		free(at[i]);
	}
	if (!atomic_load(&receiver.mute))
		confirm(subject, ids, n_ids);
}

static void *receiver_thread(void *arg)
{
	void *at[512];
	size_t n;

	(void)arg;
	while ((n = queue_pop(receiver.queue, at, ARRAY_SIZE(at), -1)) > 0)
		receive((struct buf **)at, n);
	return NULL;
}

/* ---- fixture ---- */

static int start_servers(void **state)
{
	char text[128];

	(void)state;
	postgres_new(&pg);
	nats_new(&nats);
	snprintf(text, sizeof text, "host=127.0.0.1 port=%d user=postgres dbname=postgres", pg.port);
	pool = db_pool_new(&(struct db_pool_options){.dsn = text, .schema = "test", .max_connections = 8});
	snprintf(text, sizeof text, "nats://127.0.0.1:%d", nats.port);
	bus = bus_new(&(struct bus_options){.url = text, .name = "test"});
	return db_migrate(pool, MIGRATIONS, NULL) || bus_wait(bus, 10 * USEC_PER_SEC, NULL);
}

static int stop_servers(void **state)
{
	(void)state;
	bus_free(bus);
	db_pool_free(pool);
	server_free(&nats, SIGKILL);
	server_free(&pg, SIGINT);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	receiver.deaf = receiver.mute = false;
	receiver.different = receiver.repeats = 0;
	for (int i = 0; i < MOST; i++)
		receiver.seen[i] = 0;
	receiver.queue = queue_new("test", 65536);
	receiver.listener = bus_listen(bus, "test.*", NULL, on_command, NULL, NULL);
	pthread_create(&receiver.thread, NULL, receiver_thread, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bus_unlisten(receiver.listener);
	queue_close(receiver.queue);
	pthread_join(receiver.thread, NULL);
	queue_free(receiver.queue);
	return 0;
}

static struct outbox *new_outbox(size_t window, int64_t resend_us, int64_t sweep_us)
{
	return outbox_new(&(struct outbox_options){
		.bus = bus, .pool = pool, .window = window, .resend_us = resend_us, .sweep_us = sweep_us});
}

static int64_t rows_left(void)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *r = NULL;

	if (db_take(pool, &db, NULL) != OK || db_query(db, &COUNT, &r, NULL) != OK)
		return -1;
	return db_get_i64(r, 0, 0);
}

static void wait_empty(void)
{
	int64_t until_us = time_mono_us() + PATIENCE_US;

	while (rows_left() != 0 && time_mono_us() < until_us)
		usleep(2000);
	assert_int_equal(rows_left(), 0);
}

static void wait_different(int n)
{
	int64_t until_us = time_mono_us() + PATIENCE_US;

	while (receiver.different < n && time_mono_us() < until_us)
		usleep(1000);
	assert_int_equal(receiver.different, n);
}

/* A transaction with rows from..to; false when it did not commit for certain. */
static bool commit_rows(struct outbox *o, int from, int to, bool tell)
{
	auto_free(db_give) struct db *db = NULL;
	auto_outbox_rows struct outbox_rows rows = {0};
	enum code c = db_take(pool, &db, NULL);

	if (!c)
		c = db_begin(db, NULL);
	for (int i = from; !c && i < to; i++) {
		char text[16];
		snprintf(text, sizeof text, "%d", i);
		c = outbox_add(db, &rows, i, i % 2 ? "test.1" : "test.0", str_of(text), NULL);
	}
	if (!c)
		c = db_commit(db, NULL);
	if (!c && tell)
		outbox_send(o, &rows);
	return c == OK;
}

/* ---- senders at once ---- */

struct sender {
	pthread_t thread;
	struct outbox *outbox;
	int from, to, committed[MOST], n;
};

static void *sender_thread(void *arg)
{
	struct sender *s = arg;

	for (int i = s->from; i < s->to; i++)
		for (int tries = 0; tries < 1000; tries++) {
			if (commit_rows(s->outbox, i, i + 1, true)) {
				s->committed[s->n++] = i;
				break;
			}
			usleep(20000);
		}
	return NULL;
}

static struct sender *start_senders(struct outbox *const outboxes[], size_t n_outboxes, int n, int each)
{
	struct sender *s = x_calloc((size_t)n, sizeof *s);

	for (int i = 0; i < n; i++) {
		s[i].outbox = outboxes[(size_t)i % n_outboxes];
		s[i].from = i * each;
		s[i].to = (i + 1) * each;
		pthread_create(&s[i].thread, NULL, sender_thread, &s[i]);
	}
	return s;
}

static void finish_senders(struct sender *s, int n, int each)
{
	for (int i = 0; i < n; i++) {
		pthread_join(s[i].thread, NULL);
		assert_int_equal(s[i].n, each);
	}
	wait_empty();
	for (int i = 0; i < n; i++)
		for (int k = 0; k < s[i].n; k++)
			assert_true(receiver.seen[s[i].committed[k]] > 0);
	free(s);
}

static int per_second(int n, int64_t start_us)
{
	return (int)(n * USEC_PER_SEC / (time_mono_us() - start_us));
}

/* ---- tests ---- */

static void test_end_to_end(void **state)
{
	(void)state;
	struct outbox *o = new_outbox(0, 0, 0);

	int64_t start_us = time_mono_us();
	finish_senders(start_senders(&o, 1, 4, 2000), 4, 2000);
	print_message("%d transactions of one row a second, end to end\n", per_second(8000, start_us));
	start_us = time_mono_us();
	for (int i = 8000; i < 28000; i += 100)
		assert_true(commit_rows(o, i, i + 100, true));
	wait_empty();
	print_message("%d rows a second in transactions of 100, end to end\n", per_second(20000, start_us));
	assert_int_equal(receiver.different, 28000);
	outbox_free(o);
}

static void test_rollback_sends_nothing(void **state)
{
	(void)state;
	struct outbox *o = new_outbox(0, 50000, 50000);
	auto_free(db_give) struct db *db = NULL;
	auto_outbox_rows struct outbox_rows rows = {0};

	assert_int_equal(db_take(pool, &db, NULL), OK);
	assert_int_equal(db_begin(db, NULL), OK);
	assert_int_equal(outbox_add(db, &rows, 7, "test.0", STR("7"), NULL), OK);
	usleep(150000); /* sweeps must not see it */
	db_rollback(db);
	assert_true(commit_rows(o, 1, 2, true));
	wait_empty();
	assert_int_equal(receiver.seen[7], 0);
	assert_true(receiver.seen[1] > 0);
	outbox_free(o);
}

/* Rows of a process that died between its commit and sending. */
static void test_leftovers(void **state)
{
	(void)state;
	assert_true(commit_rows(NULL, 0, 100, false));
	struct outbox *o = new_outbox(0, 0, 200000);
	wait_empty();
	/* And while we run. */
	assert_true(commit_rows(NULL, 100, 200, false));
	wait_empty();
	assert_int_equal(receiver.different, 200);
	outbox_free(o);
}

static void test_backlog(void **state)
{
	(void)state;
	for (int i = 0; i < MOST; i += 1000)
		assert_true(commit_rows(NULL, i, i + 1000, false));
	int64_t start_us = time_mono_us();
	struct outbox *o = new_outbox(0, 0, 0);
	wait_empty();
	print_message("%d rows of a backlog a second\n", per_second(MOST, start_us));
	assert_int_equal(receiver.different, MOST);
	outbox_free(o);
}

static void test_small_window(void **state)
{
	(void)state;
	struct outbox *o = new_outbox(8, 0, 500000);

	for (int i = 0; i < 1000; i += 50)
		assert_true(commit_rows(o, i, i + 50, true));
	wait_empty();
	assert_int_equal(receiver.different, 1000);
	outbox_free(o);
}

static void test_repeats_until_confirmed(void **state)
{
	(void)state;
	struct outbox *o = new_outbox(0, 100000, 0);

	receiver.mute = true;
	assert_true(commit_rows(o, 0, 10, true));
	for (int i = 0; receiver.repeats < 10 && i < 40000; i++)
		usleep(1000);
	assert_true(receiver.repeats >= 10);
	assert_int_equal(rows_left(), 10);
	receiver.mute = false;
	wait_empty();
	outbox_free(o);
}

static void test_resend_when_receiver_comes(void **state)
{
	(void)state;
	struct outbox *o = new_outbox(4, 60 * USEC_PER_SEC, 60 * USEC_PER_SEC);

	receiver.deaf = true;
	assert_true(commit_rows(o, 0, 20, true)); /* more than the window */
	usleep(50000);
	receiver.deaf = false;
	int64_t start_us = time_mono_us();
	outbox_resend(o, "test.0");
	outbox_resend(o, "test.1");
	wait_empty();
	/* Its thread would look by itself after 15 s. */
	assert_true(time_mono_us() - start_us < 12 * USEC_PER_SEC);
	assert_int_equal(receiver.different, 20);
	outbox_free(o);
}

static void test_garbage_confirms(void **state)
{
	(void)state;
	struct outbox *o = new_outbox(0, 100000, 60 * USEC_PER_SEC);
	static const char *garbage[] = {"", "\xff\xff\xff\xff", "\x0a\x05xx", "hello"};
	int64_t ids[3000];

	assert_true(commit_rows(o, 0, 1, true));
	wait_empty();
	assert_true(commit_rows(NULL, 1, 2, false)); /* not on its way: nobody can have received it */
	pthread_mutex_lock(&receiver.lock);
	for (size_t i = 0; i < ARRAY_SIZE(garbage); i++)
		assert_int_equal(bus_send(bus, receiver.confirm_subject, str_of(garbage[i]), NULL), OK);
	for (int64_t base = 0; base < 300000; base += 3000) {
		for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
			ids[i] = base + (int64_t)i;
		confirm(receiver.confirm_subject, ids, ARRAY_SIZE(ids));
	}
	pthread_mutex_unlock(&receiver.lock);
	assert_true(commit_rows(o, 2, 3, true));
	wait_different(2);
	for (int i = 0; rows_left() != 1 && i < 20000; i++)
		usleep(1000);
	assert_int_equal(rows_left(), 1);
	outbox_resend(o, "test.1");
	wait_empty();
	assert_true(receiver.seen[1] > 0);
	outbox_free(o);
}

static void forget(struct db *db, const int64_t *keys, size_t n)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct db_step step = outbox_forget(a, keys, n);

	assert_int_equal(db_exec_steps(db, &step, 1, NULL), OK);
	assert_int_equal(step.affected, n);
}

static void test_forget(void **state)
{
	(void)state;
	struct outbox *o = new_outbox(0, 60 * USEC_PER_SEC, 60 * USEC_PER_SEC);
	auto_free(db_give) struct db *db = NULL;
	int64_t keys[] = {3, 5, 7};

	receiver.mute = true;
	assert_true(commit_rows(o, 0, 10, true));
	wait_different(10);
	assert_int_equal(db_take(pool, &db, NULL), OK);
	forget(db, keys, ARRAY_SIZE(keys));
	forget(db, keys, 0);
	assert_int_equal(rows_left(), 7);
	receiver.mute = false;
	outbox_resend(o, "test.0");
	outbox_resend(o, "test.1");
	wait_empty();
	outbox_free(o);
	/* A receiver that has restarted would not know that it had them. */
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		assert_int_equal(receiver.seen[keys[i]], 1);
	assert_int_equal(receiver.repeats, 7);
}

static void test_too_large(void **state)
{
	(void)state;
	struct outbox *o = new_outbox(0, 50000, 60 * USEC_PER_SEC);
	auto_free(db_give) struct db *db = NULL;
	auto_outbox_rows struct outbox_rows rows = {0};
	static char big[2 << 20];

	assert_int_equal(db_take(pool, &db, NULL), OK);
	assert_int_equal(outbox_add(db, &rows, 77, "test.0", (struct str){big, sizeof big}, NULL), OK);
	outbox_send(o, &rows);
	assert_true(commit_rows(o, 0, 50, true)); /* are not held up */
	wait_different(50);
	forget(db, (int64_t[]){77}, 1);
	wait_empty();
	outbox_free(o);
}

/* Two processes over one table; with a window that is full, or a row that is old, they may repeat each other's. */
static void test_two_senders(void **state)
{
	(void)state;
	struct outbox *o[] = {new_outbox(256, 0, 300000), new_outbox(256, 0, 300000)};

	finish_senders(start_senders(o, 2, 4, 1000), 4, 1000);
	assert_int_equal(receiver.different, 4000);
	print_message("two senders: %d repeats of 4000 rows\n", receiver.repeats);
	outbox_free(o[0]);
	outbox_free(o[1]);
}

/* Another's rows are left alone until they are as old as the time between two sweeps. */
static void test_young_rows_are_left_alone(void **state)
{
	const int64_t sweep_us = 2 * USEC_PER_SEC;
	struct outbox *other = new_outbox(0, 60 * USEC_PER_SEC, sweep_us), *owner;

	(void)state;
	assert_true(commit_rows(other, 0, 1, true));
	wait_empty(); /* so its first sweep, for rows of any age, is over */
	usleep((useconds_t)sweep_us / 2);
	int before = receiver.repeats;
	owner = new_outbox(0, 60 * USEC_PER_SEC, 60 * USEC_PER_SEC);
	receiver.mute = true;
	int64_t start_us = time_mono_us();
	assert_true(commit_rows(owner, 1, 11, true));
	while (receiver.repeats == before && time_mono_us() - start_us < PATIENCE_US)
		usleep(1000);
	assert_in_range(time_mono_us() - start_us, sweep_us, PATIENCE_US);
	wait_different(11);
	receiver.mute = false;
	outbox_resend(owner, "test.0");
	outbox_resend(owner, "test.1");
	wait_empty();
	outbox_free(owner);
	outbox_free(other);
}

static void test_postgres_restarts(void **state)
{
	(void)state;
	struct outbox *o = new_outbox(0, 500000, 500000);
	struct sender *s = start_senders(&o, 1, 3, 1000);

	for (int i = 0; i < 3; i++) {
		usleep(200000);
		server_stop(&pg, SIGQUIT);
		usleep(100000);
		postgres_start(&pg);
	}
	finish_senders(s, 3, 1000);
	outbox_free(o);
}

static void test_nats_restarts(void **state)
{
	(void)state;
	struct outbox *o = new_outbox(0, 60 * USEC_PER_SEC, 60 * USEC_PER_SEC);
	struct sender *s = start_senders(&o, 1, 3, 1000);

	for (int i = 0; i < 3; i++) {
		usleep(200000);
		server_stop(&nats, SIGKILL);
		usleep(100000);
		nats_start(&nats);
	}
	/* Whose confirm was lost goes out again with the connection or with a resend, long before its time. */
	for (int i = 0; i < 3; i++)
		pthread_join(s[i].thread, NULL);
	bus_wait(bus, 10 * USEC_PER_SEC, NULL);
	int64_t until_us = time_mono_us() + 20 * USEC_PER_SEC;
	while (receiver.different < 3000 && time_mono_us() < until_us)
		usleep(1000);
	assert_int_equal(receiver.different, 3000);
	while (rows_left() != 0 && time_mono_us() < until_us) {
		outbox_resend(o, "test.0");
		outbox_resend(o, "test.1");
		usleep(100000);
	}
	assert_int_equal(rows_left(), 0);
	free(s);
	outbox_free(o);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_end_to_end),
		TEST(test_rollback_sends_nothing),
		TEST(test_leftovers),
		TEST(test_backlog),
		TEST(test_small_window),
		TEST(test_repeats_until_confirmed),
		TEST(test_resend_when_receiver_comes),
		TEST(test_garbage_confirms),
		TEST(test_forget),
		TEST(test_too_large),
		TEST(test_two_senders),
		TEST(test_young_rows_are_left_alone),
		TEST(test_postgres_restarts),
		TEST(test_nats_restarts),
	};
	return cmocka_run_group_tests(tests, start_servers, stop_servers);
}

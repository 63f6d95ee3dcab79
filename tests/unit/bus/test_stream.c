/* Streams and addressed messages over a real nats-server that is killed, restarted and wiped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>
#include <nats/nats.h>
#include <pthread.h>

#include "../servers.h"
#include "base/base.h"
#include "bus/bus.h"

enum { MOST = 5000 }; /* messages of a test */

static struct server nats;
static struct bus *bus;
static const struct bus_stream_config STREAM = {"TEST", "test.>", 64 << 20, INT64_C(3600) * 1000000};

static int setup(void **state)
{
	(void)state;
	char url[64];
	struct err err;

	nats_new(&nats);
	snprintf(url, sizeof url, "nats://127.0.0.1:%d", nats.port);
	bus = bus_new(&(struct bus_options){.url = url, .name = "test"});
	assert_int_equal(bus_wait(bus, 30 * USEC_PER_SEC, &err), OK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bus_free(bus);
	server_free(&nats, SIGKILL);
	return 0;
}

static enum code recover(struct bus_writer *w)
{
	struct err err;
	enum code c = UNAVAILABLE;

	for (int i = 0; i < 100 && c == UNAVAILABLE; i++)
		c = bus_writer_recover(w, 200000, &err);
	return c;
}

/* Publish from..to, recovering as the relay does; counts losses of the stream. */
static void publish(struct bus_writer *w, uint64_t from, uint64_t to, int *ret_lost)
{
	for (uint64_t id = from; id <= to;) {
		char text[24], subject[24];
		struct err err;
		snprintf(text, sizeof text, "%llu", (unsigned long long)id);
		snprintf(subject, sizeof subject, "test.0.%llu", (unsigned long long)(id % 3));
		enum code c = bus_writer_publish(w, subject, str_of(text), id, &err);
		if (!c) {
			id++;
			continue;
		}
		assert_int_equal(c, UNAVAILABLE);
		c = recover(w);
		assert_true(c == OK || c == DATA_LOSS);
		*ret_lost += c == DATA_LOSS;
		id = c == DATA_LOSS ? 1 : bus_writer_acked(w) + 1;
	}
}

static void wait_acked(struct bus_writer *w, uint64_t id, int *ret_lost)
{
	for (int i = 0; bus_writer_acked(w) < id; i++) {
		usleep(1000);
		if (i && i % 1000 == 0) {
			enum code c = recover(w);
			assert_true(c == OK || c == DATA_LOSS);
			*ret_lost += c == DATA_LOSS;
			publish(w, bus_writer_acked(w) + 1, id, ret_lost);
		}
		assert_true(i < 20000);
	}
}

/* Read until everything up to `to` was seen. */
static void read_all(struct bus_reader *r, bool *seen, uint64_t to)
{
	struct bus_message m[64];
	uint64_t missing = 0;
	int64_t until_us = time_mono_us() + 30 * USEC_PER_SEC;

	for (uint64_t i = 1; i <= to; i++)
		missing += !seen[i];
	while (missing && time_mono_us() < until_us) {
		size_t n = 0;
		bool gap;
		if (bus_reader_fetch(r, m, ARRAY_SIZE(m), 500000, &n, &gap, NULL) != OK) {
			usleep(50000);
			continue;
		}
		for (size_t i = 0; i < n; i++) {
			uint64_t id;
			assert_true(str_to_u64(m[i].payload, &id) && id <= MOST);
			missing -= id <= to && !seen[id];
			seen[id] = true;
		}
		bus_reader_done(r, false);
	}
	assert_int_equal(missing, 0);
}

static struct bus_reader *reader(void)
{
	return bus_reader_new(bus, &(struct bus_reader_options){STREAM, "reader-0", "test.0.*"});
}

static void test_publish_read(void **state)
{
	(void)state;
	struct bus_writer *w = bus_writer_new(bus, &(struct bus_writer_options){.stream = STREAM});
	struct bus_reader *r = reader();
	static bool seen[MOST + 1];
	int lost = 0;

	int64_t start_us = time_mono_us();
	publish(w, 1, 5000, &lost);
	wait_acked(w, 5000, &lost);
	print_message("%d publishes a second\n", (int)(5000 * USEC_PER_SEC / (time_mono_us() - start_us)));
	read_all(r, seen, 5000);
	assert_int_equal(lost, 0);
	bus_reader_free(r);
	bus_writer_free(w);
}

static void test_too_large(void **state)
{
	(void)state;
	struct bus_writer *w = bus_writer_new(bus, &(struct bus_writer_options){.stream = STREAM});
	static char big[2 << 20];
	struct err err;

	assert_int_equal(recover(w), OK);
	assert_int_equal(bus_writer_publish(w, "test.0.0", (struct str){big, sizeof big}, 1, &err), RESOURCE_EXHAUSTED);
	assert_int_equal(bus_send(bus, "x", (struct str){big, sizeof big}, &err), RESOURCE_EXHAUSTED);
	assert_int_equal(bus_writer_publish(w, "test.0.0", STR("1"), 1, &err), OK);
	bus_writer_free(w);
}

static void test_restart_keeps(void **state)
{
	(void)state;
	struct bus_writer *w = bus_writer_new(bus, &(struct bus_writer_options){.stream = STREAM});
	struct bus_reader *r = reader();
	static bool seen[MOST + 1];
	int lost = 0;

	publish(w, 1, 1000, &lost);
	wait_acked(w, 1000, &lost);
	server_stop(&nats, SIGTERM);
	nats_start(&nats);
	publish(w, 1001, 2000, &lost);
	read_all(r, seen, 1500);
	server_stop(&nats, SIGTERM);
	nats_start(&nats);
	publish(w, 2001, 3000, &lost);
	wait_acked(w, 3000, &lost);
	read_all(r, seen, 3000);
	assert_int_equal(lost, 0);
	bus_reader_free(r);
	bus_writer_free(w);
}

static void *publish_slowly(void *arg)
{
	struct bus_writer *w = arg;
	static int lost;

	for (uint64_t id = 1; id <= MOST; id += 50) {
		publish(w, id, id + 49, &lost);
		usleep(10000);
	}
	wait_acked(w, MOST, &lost);
	return &lost;
}

/* Killed again and again while one publishes and another reads: nothing is lost, whatever the writer is told. */
static void test_killed_under_load(void **state)
{
	(void)state;
	struct bus_writer *w = bus_writer_new(bus, &(struct bus_writer_options){.stream = STREAM});
	struct bus_reader *r = reader();
	static bool seen[MOST + 1];
	pthread_t thread;
	void *lost;

	pthread_create(&thread, NULL, publish_slowly, w);
	for (uint64_t to = 500; to <= 3000; to += 500) {
		read_all(r, seen, to);
		server_stop(&nats, SIGKILL);
		nats_start(&nats);
	}
	read_all(r, seen, MOST);
	pthread_join(thread, &lost);
	print_message("the stream lost its tail %d times\n", *(int *)lost);
	bus_reader_free(r);
	bus_writer_free(w);
}

static void test_wiped(void **state)
{
	(void)state;
	struct bus_writer *w = bus_writer_new(bus, &(struct bus_writer_options){.stream = STREAM});
	struct bus_reader *r = reader();
	static bool seen[MOST + 1];
	char command[200];
	int lost = 0;

	publish(w, 1, 1000, &lost);
	wait_acked(w, 1000, &lost);
	server_stop(&nats, SIGKILL);
	snprintf(command, sizeof command, "rm -rf %s/js", nats.dir);
	assert_int_equal(system(command), 0);
	nats_start(&nats);
	publish(w, 1001, 2000, &lost);
	wait_acked(w, 2000, &lost);
	assert_int_equal(lost, 1);
	read_all(r, seen, 2000);
	bus_reader_free(r);
	bus_writer_free(w);
}

/* Delete the stream, or only the reader's consumer, on a server that lives on. */
static void delete_by_hand(bool stream)
{
	natsConnection *nc;
	jsCtx *js;
	char url[64];

	snprintf(url, sizeof url, "nats://127.0.0.1:%d", nats.port);
	assert_int_equal(natsConnection_ConnectTo(&nc, url), NATS_OK);
	assert_int_equal(natsConnection_JetStream(&js, nc, NULL), NATS_OK);
	if (stream)
		assert_int_equal(js_DeleteStream(js, "TEST", NULL, NULL), NATS_OK);
	else
		assert_int_equal(js_DeleteConsumer(js, "TEST", "reader-0", NULL, NULL), NATS_OK);
	jsCtx_Destroy(js);
	natsConnection_Destroy(nc);
}

static void test_deleted_consumer(void **state)
{
	(void)state;
	struct bus_writer *w = bus_writer_new(bus, &(struct bus_writer_options){.stream = STREAM});
	struct bus_reader *r = reader();
	static bool seen[MOST + 1];
	int lost = 0;

	publish(w, 1, 500, &lost);
	read_all(r, seen, 500);
	delete_by_hand(false);
	publish(w, 501, 1000, &lost);
	int64_t start_us = time_mono_us();
	read_all(r, seen, 1000);
	assert_true(time_mono_us() - start_us < 15 * USEC_PER_SEC); /* its pull would end after 30 */
	bus_reader_free(r);
	bus_writer_free(w);
}

static void test_deleted_stream(void **state)
{
	(void)state;
	struct bus_writer *w = bus_writer_new(bus, &(struct bus_writer_options){.stream = STREAM});
	struct bus_reader *r = reader();
	static bool seen[MOST + 1];
	struct bus_message m[8];
	int lost = 0;
	size_t n;
	bool gap;

	publish(w, 1, 500, &lost);
	read_all(r, seen, 500);
	delete_by_hand(true);
	publish(w, 501, 1000, &lost);
	wait_acked(w, 1000, &lost);
	assert_int_equal(lost, 1);
	read_all(r, seen, 1000);
	/* Alone, the reader makes the stream anew and tells of the gap. */
	delete_by_hand(true);
	gap = false;
	for (int i = 0; i < 100 && !gap; i++)
		if (bus_reader_fetch(r, m, ARRAY_SIZE(m), 100000, &n, &gap, NULL) == OK)
			bus_reader_done(r, false);
	assert_true(gap);
	publish(w, 1001, 1010, &lost);
	wait_acked(w, 1010, &lost);
	assert_int_equal(lost, 2);
	read_all(r, seen, 1010);
	bus_reader_free(r);
	bus_writer_free(w);
}

static uint64_t fetch_first(struct bus_reader *r, size_t max, size_t *ret_n)
{
	struct bus_message m[64];
	uint64_t id = 0;
	bool gap;

	*ret_n = 0;
	for (int i = 0; i < 200 && *ret_n == 0; i++)
		assert_int_equal(bus_reader_fetch(r, m, max, 100000, ret_n, &gap, NULL), OK);
	assert_true(*ret_n > 0 && str_to_u64(m[0].payload, &id));
	return id;
}

/* What was not committed comes again, first, in this reader and in a later one. */
static void test_again(void **state)
{
	(void)state;
	struct bus_writer *w = bus_writer_new(bus, &(struct bus_writer_options){.stream = STREAM});
	struct bus_reader *r = reader();
	int lost = 0;
	size_t n;

	publish(w, 1, 300, &lost);
	wait_acked(w, 300, &lost);
	assert_int_equal(fetch_first(r, 10, &n), 1);
	bus_reader_done(r, true);
	assert_int_equal(fetch_first(r, 5, &n), 1);
	assert_true(n <= 5);
	bus_reader_done(r, false);
	uint64_t next = 1 + n;
	assert_int_equal(fetch_first(r, 5, &n), next);
	bus_reader_done(r, true);
	bus_reader_free(r);
	r = reader();
	/* The server may not have taken the acknowledgement yet: repeats are harmless. */
	assert_true(fetch_first(r, 5, &n) <= next);
	/* Its connection breaks before it says that it has committed. */
	server_stop(&nats, SIGTERM);
	nats_start(&nats);
	bus_reader_done(r, false);
	bus_reader_free(r);
	r = reader();
	static bool seen[MOST + 1];
	memset(seen, true, next);
	read_all(r, seen, 300);
	bus_reader_free(r);
	bus_writer_free(w);
}

static _Atomic int heard, connections;

static void on_message(const char *subject, struct str payload, void *arg)
{
	(void)arg;
	assert_string_equal(subject, "hello.7");
	assert_true(str_is(payload, "hi"));
	heard++;
}

static void on_connected(void *arg)
{
	(void)arg;
	connections++;
}

static void send_until_heard(int n)
{
	for (int i = 0; heard < n && i < 5000; i++) {
		bus_send(bus, "hello.7", STR("hi"), NULL);
		usleep(2000);
	}
	assert_true(heard >= n);
}

static void test_listen(void **state)
{
	(void)state;
	heard = connections = 0;
	struct bus_listener *l = bus_listen(bus, "hello.*", NULL, on_message, on_connected, NULL);

	assert_int_equal(connections, 1);
	send_until_heard(1);
	server_stop(&nats, SIGKILL);
	nats_start(&nats);
	for (int i = 0; connections < 2 && i < 20000; i++)
		usleep(1000);
	int before = heard;
	send_until_heard(before + 1);
	assert_int_equal(connections, 2);
	/* Subjects come from messages too. */
	const char *bad[] = {"", "a b", "x\r\nPUB hello.7 2\r\nhi", "a..b", ".a", "a.", "a.*", ">"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(bus_send(bus, bad[i], STR("hi"), NULL), INVALID_ARGUMENT);
	assert_int_equal(connections, 2);
	bus_unlisten(l);
	before = heard;
	bus_send(bus, "hello.7", STR("hi"), NULL);
	usleep(50000);
	assert_int_equal(heard, before);
}

static size_t heap_bytes(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

enum { LARGE = 100, LARGE_BYTES = 100000, MANY_READERS = 600 };

/* Readers come and go, as lanes do, on a connection that lasts for months. */
static void test_what_a_reader_leaves(void **state)
{
	(void)state;
	if (!heap_bytes())
		skip(); /* a sanitizer's heap */
	struct bus_writer *w = bus_writer_new(bus, &(struct bus_writer_options){.stream = STREAM});
	auto_mem char *large = x_calloc(1, LARGE_BYTES);
	struct bus_message m;
	struct err err;
	int lost = 0;
	bool gap;
	size_t n;

	assert_int_equal(recover(w), OK);
	for (uint64_t id = 1; id <= LARGE; id++)
		assert_int_equal(bus_writer_publish(w, "test.0.0", (struct str){large, LARGE_BYTES}, id, &err), OK);
	wait_acked(w, LARGE, &lost);
	size_t before = heap_bytes();
	struct bus_reader *r = reader();
	assert_int_equal(bus_reader_fetch(r, &m, 1, 30 * USEC_PER_SEC, &n, &gap, &err), OK);
	for (int i = 0; heap_bytes() < before + (LARGE - 10) * LARGE_BYTES; i++) {
		assert_in_range(i, 0, 30000);
		usleep(1000);
	}
	bus_reader_free(r);
	/* A thread of libnats frees them. */
	for (int i = 0; heap_bytes() > before + LARGE / 4 * LARGE_BYTES; i++) {
		assert_in_range(i, 0, 30000);
		usleep(1000);
	}

	struct bus_listener *l = bus_listen(bus, "hello.*", NULL, on_message, on_connected, NULL);
	connections = 0;
	for (int i = 0; i < MANY_READERS && connections == 0; i++) {
		r = reader();
		bus_reader_fetch(r, &m, 1, 0, &n, &gap, &err);
		bus_reader_free(r);
	}
	for (int i = 0; connections == 0; i++) {
		assert_in_range(i, 0, 30000);
		usleep(1000);
	}
	bus_unlisten(l);
	bus_writer_free(w);
}

static void test_unreachable(void **state)
{
	(void)state;
	struct err err;
	struct bus *b = bus_new(&(struct bus_options){.url = "nats://127.0.0.1:1", .name = "test"});

	assert_int_equal(bus_wait(b, 100000, &err), UNAVAILABLE);
	assert_non_null(strstr(err.text, "nats://127.0.0.1:1"));
	assert_int_equal(bus_send(b, "x", STR("y"), &err), UNAVAILABLE);
	bus_free(b);
}

/* A server that greets, and closes the connection while we subscribe. */
static void *closing_server(void *arg)
{
	static const char INFO[] = "INFO {\"server_id\":\"x\",\"version\":\"2.9.0\",\"proto\":1,"
				   "\"max_payload\":1048576}\r\n";
	char text[4096];
	int fd;

	while ((fd = accept4(*(int *)arg, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		size_t at = 0;
		ssize_t n = send(fd, INFO, sizeof INFO - 1, MSG_NOSIGNAL);
		for (text[0] = '\0'; n > 0 && !strstr(text, "PING\r\n"); text[at] = '\0') {
			n = recv(fd, text + at, sizeof text - 1 - at, 0);
			at += n > 0 ? (size_t)n : 0;
		}
		send(fd, "PONG\r\n", 6, MSG_NOSIGNAL);
		close(fd);
	}
	return NULL;
}

static void ignore_message(const char *subject, struct str payload, void *arg)
{
	(void)subject, (void)payload, (void)arg;
}

static void test_closed_while_subscribing(void **state)
{
	(void)state;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof to;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct bus_listener *listeners[300];
	char url[64];
	pthread_t server;

	alarm(60); /* whoever waits for a lock waits for ever */
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof to), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&to, &len), 0);
	assert_int_equal(pthread_create(&server, NULL, closing_server, &fd), 0);
	snprintf(url, sizeof url, "nats://127.0.0.1:%d", ntohs(to.sin_port));
	struct bus *b = bus_new(&(struct bus_options){.url = url, .name = "test"});
	for (size_t i = 0; i < ARRAY_SIZE(listeners); i++)
		listeners[i] = bus_listen(b, "x", NULL, ignore_message, NULL, NULL);
	for (int i = 0; i < 20; i++) {
		usleep(50000);
		bus_send(b, "x", STR("y"), NULL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(listeners); i++)
		bus_unlisten(listeners[i]);
	bus_free(b);
	shutdown(fd, SHUT_RDWR);
	pthread_join(server, NULL);
	close(fd);
	alarm(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_publish_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_large, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart_keeps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed_under_load, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wiped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deleted_consumer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deleted_stream, setup, teardown),
		cmocka_unit_test_setup_teardown(test_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_listen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_a_reader_leaves, setup, teardown),
		cmocka_unit_test(test_unreachable),
		cmocka_unit_test(test_closed_while_subscribing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Time, size and number: what a server does with clients that ask too much of it. */
#include <pthread.h>
#include <semaphore.h>
#include <sys/resource.h>

#include "client.h"

static struct http_server *server;
static struct metrics *metrics;
static int port;
static sem_t entered, leave;

static void echo(struct http_request *rq, struct http_response *rs)
{
	buf_add_str(&rs->body, rq->body);
}

static void blocking(struct http_request *rq, struct http_response *rs)
{
	sem_post(&entered);
	sem_wait(&leave);
	buf_adds(&rs->body, rq->path);
}

static void large(struct http_request *rq, struct http_response *rs)
{
	(void)rq;
	size_t n = 32 << 20;
	memset(buf_reserve(&rs->body, n), 'x', n);
	buf_commit(&rs->body, n);
}

static const struct http_route routes[] = {
	{.verb = NULL, .path = "/echo", .fn = echo},
	{.verb = "GET", .path = "/block*", .fn = blocking},
	{.verb = "GET", .path = "/large", .fn = large},
	{.verb = "GET", .path = "/quick", .fn = echo, .quick = true},
	{0},
};

enum { LIMIT = 500 * 1000, BODY = 1 << 20, INFLIGHT = 3 << 20 };

static void start(int64_t limit_us)
{
	sem_init(&entered, 0, 0);
	sem_init(&leave, 0, 0);
	metrics = metrics_new();
	server = serve((struct http_server_options){.request_timeout_us = limit_us,
						    .idle_timeout_us = 2 * limit_us,
						    .max_body_bytes = BODY,
						    .max_inflight_bytes = INFLIGHT,
						    .workers = 4,
						    .metrics = metrics},
		       routes);
	port = http_server_port(server);
}

static int set_up(void **state)
{
	(void)state;
	start(LIMIT);
	return 0;
}

/* Where time is not under test it ends nothing, however slow the machine. */
static int set_up_patient(void **state)
{
	(void)state;
	start(60 * USEC_PER_SEC);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	http_server_stop(take(server), USEC_PER_SEC);
	metrics_free(metrics);
	return 0;
}

/* Send `head`, then 'a' after 'a', each well within any idle limit, until the server ends the connection; how long it
 * took. */
static int64_t trickle(const char *head, struct reply *ret)
{
	int64_t from_us = time_mono_us();
	int fd = dial(port);
	puts_to(fd, head);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	while (time_mono_us() - from_us < 20 * USEC_PER_SEC)
		if (!puts_to(fd, "a") || poll(&p, 1, 20) > 0)
			break;
	*ret = get_reply(fd, false);
	close(fd);
	return time_mono_us() - from_us;
}

static void test_slow_clients(void **state)
{
	static const struct {
		const char *head;
		int status;
		int64_t limit_us;
	} cases[] = {
		{"GET /", 0, 2 * LIMIT},
		{"GET /echo HTTP/1.1\r\nHost: h\r\nX-Slow: ", 408, LIMIT},
		{"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n", 408, LIMIT},
		{"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n", 408, LIMIT},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct reply r;
		int64_t took_us = trickle(cases[i].head, &r);
		assert_int_equal(r.status, cases[i].status);
		assert_in_range(took_us, cases[i].limit_us * 9 / 10, 15 * USEC_PER_SEC);
		free(r.body);
	}
}

static void test_idle_connections_end(void **state)
{
	(void)state;
	char c;
	int fresh = dial(port), used = dial(port);
	int64_t from_us = time_mono_us();
	puts_to(used, "GET /quick HTTP/1.1\r\nHost: h\r\n\r\n");
	struct reply r = get_reply(used, false);
	assert_int_equal(r.status, 200);
	free(r.body);
	assert_int_equal(recv(fresh, &c, 1, 0), 0);
	assert_int_equal(recv(used, &c, 1, 0), 0);
	assert_in_range(time_mono_us() - from_us, LIMIT * 3 / 2, 15 * USEC_PER_SEC);
	close(fresh);
	close(used);
}

static bool timed_out(void)
{
	auto_buf struct buf b = {0};
	metrics_print(metrics, &b);
	return strstr(buf_text(&b), "\nalula_http_timeouts_total 1\n");
}

/* Nothing is read before the server gives it up. */
static void test_reader_that_stops(void **state)
{
	(void)state;
	int fd = dial(port);
	puts_to(fd, "GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
	for (int i = 0; i < 2000 && !timed_out(); i++)
		usleep(10 * 1000);
	assert_true(timed_out());
	size_t got = 0;
	static char block[1 << 16];
	for (ssize_t n; (n = recv(fd, block, sizeof block, 0)) > 0;)
		got += (size_t)n;
	assert_in_range(got, 1, (32 << 20) - 1);
	close(fd);
}

static void test_long_handler_is_left_alone(void **state)
{
	(void)state;
	int fd = dial(port);
	puts_to(fd, "GET /block/1 HTTP/1.1\r\nHost: h\r\n\r\n");
	sem_wait(&entered);
	usleep(3 * LIMIT); /* longer than every limit */
	sem_post(&leave);
	struct reply r = get_reply(fd, false);
	assert_int_equal(r.status, 200);
	free(r.body);
	close(fd);
}

static void test_oversized_headers(void **state)
{
	(void)state;
	auto_buf struct buf b = {0};
	buf_adds(&b, "GET /echo HTTP/1.1\r\nHost: h\r\nX-Long: ");
	for (int i = 0; i < 20000; i++)
		buf_adds(&b, "aaaaaaaaaa");
	buf_adds(&b, "\r\n\r\n");
	expect(port, buf_text(&b), 431, NULL);
	buf_reset(&b);
	buf_adds(&b, "GET /");
	for (int i = 0; i < 20000; i++)
		buf_adds(&b, "aaaaaaaaaa");
	buf_adds(&b, " HTTP/1.1\r\nHost: h\r\n\r\n");
	expect(port, buf_text(&b), 414, NULL);
	buf_reset(&b);
	buf_adds(&b, "GET /echo HTTP/1.1\r\nHost: h\r\nX-Long: ");
	for (int i = 0; i < 2000; i++)
		buf_adds(&b, "aaaaaaaaaa");
	buf_adds(&b, "\r\n\r\n");
	expect(port, buf_text(&b), 200, NULL);
}

static void test_oversized_bodies(void **state)
{
	(void)state;
	char head[200];
	size_t n = BODY + 1;
	auto_mem char *zeros = x_calloc(1, n);
	int fd = dial(port);
	/* Sent at once, the client still gets its answer, and the connection goes on. */
	snprintf(head, sizeof head, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", n);
	puts_to(fd, head);
	put(fd, zeros, n);
	struct reply r = get_reply(fd, false);
	assert_int_equal(r.status, 413);
	free(r.body);
	puts_to(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
	snprintf(head, sizeof head, "%zx\r\n", n);
	puts_to(fd, head);
	put(fd, zeros, n);
	puts_to(fd, "\r\n0\r\n\r\n");
	r = get_reply(fd, false);
	assert_int_equal(r.status, 413);
	free(r.body);
	snprintf(head, sizeof head, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", BODY);
	puts_to(fd, head);
	put(fd, zeros, BODY);
	r = get_reply(fd, false);
	assert_int_equal(r.status, 200);
	assert_int_equal(r.len, BODY);
	free(r.body);
	close(fd);
	/* Refused before a byte of it. */
	expect(port, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n", 413, NULL);
	expect(port, "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1048577\r\n\r\n", 413,
	       NULL);
}

static void test_bytes_in_flight(void **state)
{
	(void)state;
	auto_mem char *zeros = x_calloc(1, BODY);
	char head[] = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1048576\r\n\r\n";
	int fds[3];
	/* Three bodies that lack their last byte fill the limit. */
	for (int i = 0; i < 3; i++) {
		fds[i] = dial(port);
		puts_to(fds[i], head);
		put(fds[i], zeros, BODY - 1);
	}
	int status = 0;
	for (int i = 0; i < 2000 && status != 503; i++) {
		usleep(i ? 10 * 1000 : 0);
		struct reply r = ask(
			port, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n");
		status = r.status;
		free(r.body);
	}
	assert_int_equal(status, 503);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	for (int i = 0; i < 2000 && status != 200; i++) {
		usleep(i ? 10 * 1000 : 0);
		struct reply r = ask(port, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
		status = r.status;
		free(r.body);
	}
	assert_int_equal(status, 200);
}

static void test_many_idle_connections(void **state)
{
	struct rlimit limit;
	(void)state;
	getrlimit(RLIMIT_NOFILE, &limit);
	/* Both ends are ours. */
	size_t n = limit.rlim_cur >= 20000 ? (limit.rlim_cur - 1000) / 2 : (limit.rlim_cur - 200) / 3;
	n = MIN(n, (size_t)10000);
	struct http_server *s = serve((struct http_server_options){0}, routes);
	int *fds = x_calloc(n, sizeof *fds);
	long before_kib = memory_kib("VmRSS:");
	int64_t from_us = time_mono_us();
	for (size_t i = 0; i < n; i++)
		assert_true((fds[i] = dial(http_server_port(s))) >= 0);
	expect(http_server_port(s), "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", 200, "abc");
	print_message("%zu idle connections: %ld KiB, %lld ms\n", n, memory_kib("VmRSS:") - before_kib,
		      (long long)(time_mono_us() - from_us) / 1000);
	/* Each of them is alive. */
	for (size_t i = 0; i < n; i += n / 100) {
		puts_to(fds[i], "GET /quick HTTP/1.1\r\nHost: h\r\n\r\n");
		struct reply r = get_reply(fds[i], false);
		assert_int_equal(r.status, 200);
		free(r.body);
	}
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
	free(fds);
	http_server_stop(s, 0);
}

static void test_connection_limit(void **state)
{
	(void)state;
	struct http_server *s = serve((struct http_server_options){.max_connections = 4}, routes);
	int fds[4];
	for (int i = 0; i < 4; i++) {
		fds[i] = dial(http_server_port(s));
		puts_to(fds[i], "GET /quick HTTP/1.1\r\nHost: h\r\n\r\n");
		struct reply r = get_reply(fds[i], false);
		assert_int_equal(r.status, 200);
		free(r.body);
	}
	int fifth = dial(http_server_port(s));
	puts_to(fifth, "GET /quick HTTP/1.1\r\nHost: h\r\n\r\n");
	struct pollfd p = {.fd = fifth, .events = POLLIN};
	assert_int_equal(poll(&p, 1, 100), 0); /* it waits for a place */
	close(fds[0]);
	struct reply r = get_reply(fifth, false);
	assert_int_equal(r.status, 200);
	free(r.body);
	close(fifth);
	for (int i = 1; i < 4; i++)
		close(fds[i]);
	http_server_stop(s, 0);
}

static void *stop_it(void *grace)
{
	http_server_stop(take(server), *(int64_t *)grace);
	return NULL;
}

static void test_drain(void **state)
{
	(void)state;
	char c;
	pthread_t stopper;
	int64_t grace_us = 10 * USEC_PER_SEC, from_us = time_mono_us();
	int idle = dial(port), busy = dial(port);
	puts_to(busy, "GET /block/2 HTTP/1.1\r\nHost: h\r\n\r\n");
	sem_wait(&entered);
	pthread_create(&stopper, NULL, stop_it, &grace_us);
	assert_int_equal(recv(idle, &c, 1, 0), 0);
	sem_post(&leave);
	struct reply r = get_reply(busy, false);
	assert_int_equal(r.status, 200);
	assert_true(has(&r, "\r\nConnection: close\r\n"));
	free(r.body);
	pthread_join(stopper, NULL);
	assert_true(time_mono_us() - from_us < grace_us);
	close(idle);
	close(busy);
}

static void add_depth(struct queue *q, void *arg)
{
	*(size_t *)arg += queue_depth(q);
}

static void await_waiting(size_t n)
{
	size_t depth = 0;
	for (int i = 0; i < 20000 && depth != n; i++) {
		usleep(1000);
		depth = 0;
		queue_each(add_depth, &depth);
	}
	assert_int_equal(depth, n);
}

static void test_stop_without_grace(void **state)
{
	(void)state;
	pthread_t stopper;
	int64_t grace_us = 0;
	int busy[6], half = dial(port);
	puts_to(half, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na");
	for (size_t i = 0; i < ARRAY_SIZE(busy); i++) {
		busy[i] = dial(port);
		puts_to(busy[i], "GET /block/3 HTTP/1.1\r\nHost: h\r\n\r\n");
	}
	for (int i = 0; i < 4; i++)
		sem_wait(&entered); /* four workers run, two requests wait */
	await_waiting(2);
	pthread_create(&stopper, NULL, stop_it, &grace_us);
	struct reply r = get_reply(half, false);
	assert_true(r.status == 0 || r.status == 408);
	free(r.body);
	for (int i = 0; i < 6; i++)
		sem_post(&leave);
	int served = 0, refused = 0;
	for (size_t i = 0; i < ARRAY_SIZE(busy); i++) {
		r = get_reply(busy[i], false);
		served += r.status == 200;
		refused += r.status == 503;
		free(r.body);
		close(busy[i]);
	}
	assert_int_equal(served, 4);
	assert_int_equal(served + refused, 6);
	pthread_join(stopper, NULL);
	close(half);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_slow_clients, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_idle_connections_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reader_that_stops, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_long_handler_is_left_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_oversized_headers, set_up_patient, tear_down),
		cmocka_unit_test_setup_teardown(test_oversized_bodies, set_up_patient, tear_down),
		cmocka_unit_test_setup_teardown(test_bytes_in_flight, set_up_patient, tear_down),
		cmocka_unit_test(test_many_idle_connections),
		cmocka_unit_test(test_connection_limit),
		cmocka_unit_test_setup_teardown(test_drain, set_up_patient, tear_down),
		cmocka_unit_test_setup_teardown(test_stop_without_grace, set_up_patient, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What a well-behaved client gets, and what a malformed request gets. */
#include <pthread.h>

#include "client.h"

static char me[] = "me";
static char dir[] = "/tmp/alula-http-XXXXXX";
static char file_path[64];
static struct http_server *server;
static struct metrics *metrics;
static int port;

static void hello(struct http_request *rq, struct http_response *rs)
{
	buf_printf(&rs->body, "%s %s %s %s", rq->verb, rq->path, rq->query, (const char *)rq->user);
	http_response_header(rs, "Content-Type", "text/x-hello");
}

static void echo(struct http_request *rq, struct http_response *rs)
{
	const char *kind = http_header(rq, "x-kind");
	http_response_header(rs, "X-Kind", kind ? kind : "none");
	buf_add_str(&rs->body, rq->body);
}

static void file(struct http_request *rq, struct http_response *rs)
{
	rs->file = x_strdup(strstr(rq->path, "absent") ? "/nonexistent/x" : strstr(rq->path, "dir") ? dir : file_path);
}

static const struct http_route routes[] = {
	{.verb = "GET", .path = "/hello*", .fn = hello}, {.verb = "GET", .path = "/quick", .fn = hello, .quick = true},
	{.verb = "POST", .path = "/echo", .fn = echo},   {.verb = NULL, .path = "/any", .fn = echo},
	{.verb = "GET", .path = "/file*", .fn = file},   {0},
};

static int set_up(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(file_path, sizeof file_path, "%s/file", dir);
	FILE *f = fopen(file_path, "we");
	fputs("0123456789", f);
	fclose(f);
	metrics = metrics_new();
	server = serve((struct http_server_options){.user = me, .metrics = metrics, .event_threads = 2}, routes);
	port = http_server_port(server);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	http_server_stop(server, USEC_PER_SEC);
	auto_buf struct buf b = {0};
	metrics_print(metrics, &b);
	metrics_free(metrics);
	unlink(file_path);
	rmdir(dir);
	/* Nothing is left behind in the counters. */
	return strstr(buf_text(&b), "alula_http_connections 0\n") &&
			       strstr(buf_text(&b), "alula_http_inflight_bytes 0\n")
		       ? 0
		       : -1;
}

static void test_get(void **state)
{
	(void)state;
	expect(port, "GET /hello/a%2Fb?x=%20&y HTTP/1.1\r\nHost: h\r\n\r\n", 200, "GET /hello/a%2Fb x=%20&y me");
	expect(port, "GET /quick HTTP/1.1\r\nHost: h\r\n\r\n", 200, "GET /quick  me");
	expect(port, "GET http://h:1/hello?q HTTP/1.1\r\nHost: h\r\n\r\n", 200, "GET /hello q me");
	expect(port, "GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n", 404, NULL);
	struct reply r = ask(port, "PUT /hello HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(r.status, 405);
	assert_true(has(&r, "\r\nAllow: GET\r\n"));
	free(r.body);
}

static void test_head(void **state)
{
	(void)state;
	int fd = dial(port);
	for (int i = 0; i < 2; i++) {
		puts_to(fd, "HEAD /hello HTTP/1.1\r\nHost: h\r\n\r\n");
		struct reply r = get_reply(fd, true);
		assert_int_equal(r.status, 200);
		assert_true(has(&r, "\r\nContent-Length: 15\r\n"));
		assert_true(has(&r, "\r\nContent-Type: text/x-hello\r\n"));
	}
	close(fd);
}

static void test_bodies(void **state)
{
	(void)state;
	expect(port, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", 200, "hello");
	expect(port, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", 200, "");
	expect(port,
	       "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
	       "4\r\nWiki\r\nA;x=y\r\npedia more\r\n0\r\nTrailer: t\r\n\r\n",
	       200, "Wikipedia more");
	expect(port, "DELETE /any HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", 200, "hi");
	struct reply r = ask(port, "POST /echo HTTP/1.1\r\nHost: h\r\nX-KIND: k\r\nContent-Length: 1\r\n\r\nx");
	assert_true(has(&r, "\r\nX-Kind: k\r\n"));
	free(r.body);
}

static void test_expect_continue(void **state)
{
	(void)state;
	int fd = dial(port);
	puts_to(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
	struct reply r = get_reply(fd, true);
	assert_int_equal(r.status, 100);
	puts_to(fd, "abc");
	r = get_reply(fd, false);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "abc");
	free(r.body);
	close(fd);
	/* Refused before the body. */
	expect(port, "POST /nowhere HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n", 404,
	       NULL);
}

static void test_refused_bodies_keep_the_connection(void **state)
{
	(void)state;
	int fd = dial(port);
	for (int i = 0; i < 3; i++) {
		puts_to(fd, "POST /nowhere HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
		struct reply r = get_reply(fd, false);
		assert_int_equal(r.status, 404);
		free(r.body);
	}
	close(fd);
}

static void test_pipeline(void **state)
{
	(void)state;
	int fd = dial(port);
	puts_to(fd, "GET /hello/1 HTTP/1.1\r\nHost: h\r\n\r\n"
		    "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\ntwo"
		    "GET /quick HTTP/1.1\r\nHost: h\r\n\r\n"
		    "GET /hello/4 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	static const char *const bodies[] = {"GET /hello/1  me", "two", "GET /quick  me", "GET /hello/4  me"};
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		struct reply r = get_reply(fd, false);
		assert_string_equal(r.body, bodies[i]);
		free(r.body);
	}
	char c;
	assert_int_equal(recv(fd, &c, 1, 0), 0);
	close(fd);
}

static void test_malformed(void **state)
{
	static const char *const bad[] = {
		"GET /hello%00 HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /hello%1f HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /hello?a=%00 HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /hello\x01 HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET hello HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /hello HTTP/1.1\r\n\r\n",
		"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
		"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
		"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
		"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		expect(port, bad[i], 400, NULL);
	expect(port, "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\nExpect: 100-continue\r\n\r\n", 501,
	       NULL);
	static const char nul[] = "GET /hello\0x HTTP/1.1\r\nHost: h\r\n\r\n";
	int fd = dial(port);
	put(fd, nul, sizeof nul - 1);
	struct reply r = get_reply(fd, false);
	assert_int_equal(r.status, 400);
	free(r.body);
	close(fd);
	fd = dial(port);
	puts_to(fd, "\x16\x03\x01\x02 a TLS hello?\r\n\r\n");
	r = get_reply(fd, false);
	assert_true(r.status == 0 || r.status == 400);
	free(r.body);
	close(fd);
}

static void test_files(void **state)
{
	static const struct {
		const char *range;
		int status;
		const char *body, *header;
	} cases[] = {
		{"bytes=0-3", 206, "0123", "Content-Range: bytes 0-3/10\r\n"},
		{"bytes=4-", 206, "456789", "Content-Range: bytes 4-9/10\r\n"},
		{"bytes=-2", 206, "89", "Content-Range: bytes 8-9/10\r\n"},
		{"bytes=-20", 206, "0123456789", "Content-Range: bytes 0-9/10\r\n"},
		{"bytes=9-100", 206, "9", "Content-Range: bytes 9-9/10\r\n"},
		{"bytes=10-", 416, NULL, "Content-Range: bytes */10\r\n"},
		{"bytes=-0", 416, NULL, "Content-Range: bytes */10\r\n"},
		{"bytes=0-1,3-4", 200, "0123456789", "Accept-Ranges: bytes\r\n"},
		{"bytes=5-4", 200, "0123456789", "Accept-Ranges: bytes\r\n"},
		{"bytes=x", 200, "0123456789", "Accept-Ranges: bytes\r\n"},
		{"bytes=-", 200, "0123456789", "Accept-Ranges: bytes\r\n"},
		{"lines=1-2", 200, "0123456789", "Content-Type: application/octet-stream\r\n"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[200];
		snprintf(text, sizeof text, "GET /file HTTP/1.1\r\nHost: h\r\nRange: %s\r\n\r\n", cases[i].range);
		struct reply r = ask(port, text);
		assert_int_equal(r.status, cases[i].status);
		if (cases[i].body)
			assert_string_equal(r.body, cases[i].body);
		assert_true(has(&r, cases[i].header));
		free(r.body);
	}
	struct reply r = ask(port, "HEAD /file HTTP/1.1\r\nHost: h\r\nRange: bytes=0-3\r\n\r\n");
	assert_int_equal(r.status, 200);
	assert_true(has(&r, "Content-Length: 10\r\n"));
	expect(port, "GET /file HTTP/1.1\r\nHost: h\r\nRange: bytes=0-3\r\nIf-Range: x\r\n\r\n", 200, "0123456789");
	expect(port, "GET /file/absent HTTP/1.1\r\nHost: h\r\n\r\n", 404, NULL);
	expect(port, "GET /file/dir HTTP/1.1\r\nHost: h\r\n\r\n", 404, NULL);
}

static void *mixing_client(void *arg)
{
	long failures = 0, id = (long)arg;
	char text[256], want[64];
	int fd = dial(port);
	for (int i = 0; i < 50 && fd >= 0; i++) {
		bool post = (i + id) % 3 == 0;
		if (post)
			snprintf(text, sizeof text,
				 "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\n%04ld%04d", id, i);
		else
			snprintf(text, sizeof text, "GET /%s?%ld-%d HTTP/1.1\r\nHost: h\r\n\r\n",
				 i % 2 ? "hello" : "quick", id, i);
		snprintf(want, sizeof want, "%04ld%04d", id, i);
		if (!post)
			snprintf(want, sizeof want, "GET /%s %ld-%d me", i % 2 ? "hello" : "quick", id, i);
		puts_to(fd, text);
		struct reply r = get_reply(fd, false);
		failures += r.status != 200 || strcmp(r.body, want) != 0;
		free(r.body);
		if (i % 20 == 19) {
			close(fd);
			fd = dial(port);
		}
	}
	failures += fd < 0;
	close(fd);
	return (void *)failures;
}

static void test_64_clients(void **state)
{
	pthread_t threads[64];
	(void)state;
	for (long i = 0; i < 64; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, mixing_client, (void *)i), 0);
	for (int i = 0; i < 64; i++) {
		void *failures;
		pthread_join(threads[i], &failures);
		assert_null(failures);
	}
}

static void test_port_taken(void **state)
{
	(void)state;
	char address[32];
	struct err err;
	struct http_server *s;
	snprintf(address, sizeof address, "127.0.0.1:%d", port);
	struct http_server_options o = {.listen = address, .routes = routes};
	assert_int_equal(http_server_new(&o, &s, &err), UNAVAILABLE);
	assert_non_null(strstr(err.text, address));
	o.listen = "nonsense";
	assert_int_equal(http_server_new(&o, &s, &err), INVALID_ARGUMENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_expect_continue),
		cmocka_unit_test(test_refused_bodies_keep_the_connection),
		cmocka_unit_test(test_pipeline),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_64_clients),
		cmocka_unit_test(test_port_taken),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}

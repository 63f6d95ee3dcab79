#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/time.h"

static int saved_stderr = -1, capture = -1;

/* Standard error goes to a file until `captured`. */
static void start(void)
{
	fflush(stderr);
	saved_stderr = dup(STDERR_FILENO);
	capture = memfd_create("log", 0);
	dup2(capture, STDERR_FILENO);
}

static char *captured(void)
{
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	off_t size = lseek(capture, 0, SEEK_END);
	char *text = x_calloc(1, (size_t)size + 1);
	assert_int_equal(pread(capture, text, (size_t)size, 0), size);
	close(capture);
	return text;
}

static void test_line(void **state)
{
	(void)state;
	struct err err;
	err_set(&err, NOT_FOUND, "no \"x\"");
	log_set_service("admin");
	start();
	errno = EAGAIN;
	log_error("cannot start", LOG_STR("host", "a\nb"), LOG_INT("n", -5), LOG_BOOL("ok", true), LOG_DBL("d", 0.25),
		  LOG_DBL("nan", NAN), LOG_TEXT("t", STR("x")), LOG_STR("none", NULL), LOG_ERR(&err));
	int error = errno;
	auto_mem char *text = captured();
	log_set_service(NULL);
	assert_int_equal(error, EAGAIN);
	assert_memory_equal(text, "{\"ts\":\"20", 9);
	const char *rest = strchr(text, 'Z');
	assert_non_null(rest);
	int64_t us;
	assert_true(time_parse_rfc3339((struct str){text + 7, (size_t)(rest - text) - 6}, &us));
	assert_true(llabs(us - time_now_us()) < 60 * USEC_PER_SEC);
	assert_string_equal(rest + 1, "\",\"level\":\"error\",\"msg\":\"cannot start\",\"host\":\"a\\nb\",\"n\":-5,"
				      "\"ok\":true,\"d\":0.25,\"nan\":null,\"t\":\"x\",\"none\":\"\","
				      "\"code\":\"NOT_FOUND\",\"error\":\"no \\\"x\\\"\",\"service\":\"admin\"}\n");
}

static int evaluated;

static int64_t count(void)
{
	return ++evaluated;
}

static void test_levels(void **state)
{
	(void)state;
	start();
	log_debug("hidden", LOG_INT("n", count()));
	log_info("shown");
	log_set_level(LOG_WARN);
	log_info("hidden");
	log_warn("shown too");
	log_set_level(LOG_DEBUG);
	log_debug("last", LOG_INT("n", count()));
	log_set_level(LOG_INFO);
	auto_mem char *text = captured();
	assert_int_equal(evaluated, 1);
	assert_null(strstr(text, "hidden"));
	const char *shown = strstr(text, "\"info\",\"msg\":\"shown\"}\n");
	assert_non_null(shown);
	shown = strstr(shown, "\"warn\",\"msg\":\"shown too\"}\n");
	assert_non_null(shown);
	assert_non_null(strstr(shown, "\"debug\",\"msg\":\"last\",\"n\":1}\n"));
}

static void test_level_names(void **state)
{
	(void)state;
	enum log_level level = LOG_WARN;
	assert_true(log_level_parse(STR("debug"), &level) && level == LOG_DEBUG);
	assert_true(log_level_parse(STR("error"), &level) && level == LOG_ERROR);
	assert_false(log_level_parse(STR("loud"), &level) || log_level_parse(STR(""), &level));
	assert_int_equal(level, LOG_ERROR);
}

enum { THREADS = 4, LINES = 500 };

static void *chatter(void *arg)
{
	static const char LONG_TEXT[] = "0123456789012345678901234567890123456789012345678901234567890123456789";
	for (int i = 0; i < LINES; i++) {
		log_info("line", LOG_INT("thread", (intptr_t)arg), LOG_STR("text", LONG_TEXT));
		log_set_service(i % 2 ? "one" : "other");
	}
	return NULL;
}

/* Lines of several threads don't mix. */
static void test_threads(void **state)
{
	(void)state;
	pthread_t threads[THREADS];
	start();
	for (intptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, chatter, (void *)i);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	auto_mem char *text = captured();
	log_set_service(NULL);
	int lines = 0;
	for (struct str rest = str_of(text); rest.ptr;) {
		struct str line = str_cut(&rest, '\n');
		if (line.len == 0)
			continue;
		lines++;
		assert_true(str_starts(line, "{\"ts\":\"") && str_ends(line, "}"));
		assert_null(memmem(line.ptr + 1, line.len - 1, "{", 1));
	}
	assert_int_equal(lines, THREADS * LINES);
}

static void test_limit(void **state)
{
	(void)state;
	struct log_limit l = {0};
	size_t held = 42;
	assert_true(log_allow(&l, INT64_C(3600) * USEC_PER_SEC, &held));
	assert_int_equal(held, 0);
	for (int i = 0; i < 5; i++)
		assert_false(log_allow(&l, INT64_C(3600) * USEC_PER_SEC, &held));
	l.next_us = time_mono_us(); /* an hour later */
	assert_true(log_allow(&l, INT64_C(3600) * USEC_PER_SEC, &held));
	assert_int_equal(held, 5);
	l.next_us = 0;
	assert_true(log_allow(&l, 0, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),    cmocka_unit_test(test_levels), cmocka_unit_test(test_level_names),
		cmocka_unit_test(test_threads), cmocka_unit_test(test_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

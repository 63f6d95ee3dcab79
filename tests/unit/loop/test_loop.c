#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/time.h"
#include "loop/loop.h"

static struct loop *loop;
static struct buf trace; /* one character per thing that happened */

static int set_up(void **state)
{
	(void)state;
	loop = loop_new("test");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	loop_free(loop);
	buf_clear(&trace);
	return 0;
}

static void note(void *arg)
{
	buf_adds(&trace, arg);
}

static void stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void test_posts_in_order(void **state)
{
	(void)state;
	loop_post(loop, note, "a");
	loop_post(loop, note, "b");
	loop_post(loop, stop, NULL);
	loop_post(loop, note, "c"); /* posted before the stop took place, so it runs */
	loop_run(loop);
	assert_string_equal(buf_text(&trace), "abc");
}

static void test_stop_before_run(void **state)
{
	(void)state;
	loop_post(loop, note, "a");
	loop_stop(loop);
	loop_run(loop);
	assert_string_equal(buf_text(&trace), "a");
	loop_post(loop, note, "b"); /* and once more */
	loop_stop(loop);
	loop_run(loop);
	assert_string_equal(buf_text(&trace), "ab");
}

static int reposts;

static void repost(void *arg)
{
	(void)arg;
	if (++reposts < 1000)
		loop_post(loop, repost, NULL);
	else
		loop_stop(loop);
}

static void test_post_from_call(void **state)
{
	(void)state;
	loop_post(loop, repost, NULL);
	loop_run(loop);
	assert_int_equal(reposts, 1000);
}

static void test_dropped_posts(void **state)
{
	(void)state;
	loop_post(loop, note, "never");
	loop_free(loop);
	loop = NULL;
	loop_free(NULL);
	assert_int_equal(trace.len, 0);
}

enum { THREADS = 4, EACH = 5000 };
static int counted; /* loop thread only */

static void count(void *arg)
{
	(void)arg;
	if (++counted == THREADS * EACH)
		loop_stop(loop);
}

static void *poster(void *arg)
{
	for (int i = 0; i < EACH; i++)
		loop_post(loop, count, arg);
	return NULL;
}

static void test_posts_of_threads(void **state)
{
	(void)state;
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, poster, NULL);
	loop_run(loop);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(counted, THREADS * EACH);
}

static void test_timers(void **state)
{
	(void)state;
	struct loop_timer *late = loop_timer_new(loop, "late", note, "3");
	struct loop_timer *early = loop_timer_new(loop, "early", note, "1");
	struct loop_timer *moved = loop_timer_new(loop, "moved", note, "2");
	struct loop_timer *never = loop_timer_new(loop, "never", note, "x");
	struct loop_timer *end = loop_timer_new(loop, "end", stop, NULL);
	int64_t before = time_mono_us();
	loop_timer_set(late, 30 * USEC_PER_MSEC);
	loop_timer_set(early, -5);
	loop_timer_set(moved, 3600 * USEC_PER_SEC);
	loop_timer_set(moved, 15 * USEC_PER_MSEC);
	loop_timer_set(never, 5 * USEC_PER_MSEC);
	loop_timer_stop(never);
	loop_timer_set(end, 45 * USEC_PER_MSEC);
	loop_run(loop);
	assert_true(time_mono_us() - before >= 45 * USEC_PER_MSEC);
	assert_string_equal(buf_text(&trace), "123"); /* each once */
	loop_timer_free(late);
	loop_timer_free(early);
	loop_timer_free(moved);
	loop_timer_free(never);
	loop_timer_free(end);
	loop_timer_free(NULL);
}

static struct loop_timer *own;

static void free_own(void *arg)
{
	loop_timer_free(own);
	loop_post(loop, note, arg);
	loop_stop(loop);
}

static void test_timer_frees_itself(void **state)
{
	(void)state;
	own = loop_timer_new(loop, "own", free_own, "z");
	loop_timer_set(own, 0);
	loop_run(loop);
	assert_string_equal(buf_text(&trace), "z");
}

static struct loop_timer *second;
static int64_t set_at_us, fired_at_us;

static void fired(void *arg)
{
	(void)arg;
	fired_at_us = time_mono_us();
	loop_stop(loop);
}

static void slow_then_set(void *arg)
{
	(void)arg;
	usleep(20000);
	set_at_us = time_mono_us();
	loop_timer_set(second, 10 * USEC_PER_MSEC);
}

/* The delay counts from loop_timer_set, not from when the loop last looked at the clock. */
static void test_timer_after_slow_callback(void **state)
{
	(void)state;
	second = loop_timer_new(loop, "second", fired, NULL);
	struct loop_timer *first = loop_timer_new(loop, "first", slow_then_set, NULL);
	loop_timer_set(first, 0);
	loop_run(loop);
	assert_true(fired_at_us - set_at_us >= 10 * USEC_PER_MSEC);
	loop_timer_free(first);
	loop_timer_free(second);
}

static struct loop_io *reader, *writer;

static void on_writable(int fd, bool readable, bool writable, void *arg)
{
	assert_false(readable);
	assert_true(writable);
	assert_int_equal(write(fd, arg, 1), 1);
	loop_io_free(writer); /* inside its own callback */
}

/* Reads one of two bytes at a time: level-triggered, so it is called again; then the end of the stream. */
static void on_readable(int fd, bool readable, bool writable, void *arg)
{
	(void)arg;
	assert_true(readable);
	assert_false(writable);
	char c = 0;
	if (read(fd, &c, 1) == 1) {
		buf_addc(&trace, c);
		return;
	}
	loop_io_free(reader);
	loop_stop(loop);
}

static void hang_up(void *arg)
{
	int fd = *(int *)arg;
	assert_int_equal(write(fd, "cd", 2), 2);
	close(fd);
}

static void test_io(void **state)
{
	(void)state;
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	reader = loop_io_new(loop, "reader", fds[0], true, false, on_readable, NULL);
	writer = loop_io_new(loop, "writer", fds[1], false, true, on_writable, "b");
	struct loop_timer *end = loop_timer_new(loop, "end", hang_up, &fds[1]);
	loop_timer_set(end, 10 * USEC_PER_MSEC);
	loop_run(loop);
	assert_string_equal(buf_text(&trace), "bcd");
	loop_timer_free(end);
	close(fds[0]);
}

static void sleep_60_ms(void *arg)
{
	(void)arg;
	usleep(60000);
	loop_stop(loop);
}

/* What holds up the loop is named in the log. */
static void test_slow_callback(void **state)
{
	(void)state;
	int saved = dup(STDERR_FILENO), capture = memfd_create("log", 0);
	dup2(capture, STDERR_FILENO);
	struct loop_timer *t = loop_timer_new(loop, "sleeper", sleep_60_ms, NULL);
	loop_timer_set(t, 0);
	loop_run(loop);
	loop_timer_free(t);
	dup2(saved, STDERR_FILENO);
	close(saved);
	char text[1000] = "";
	assert_true(pread(capture, text, sizeof text - 1, 0) > 0);
	close(capture);
	assert_non_null(strstr(text, "\"level\":\"warn\""));
	assert_non_null(strstr(text, "\"loop\":\"test\",\"callback\":\"sleeper\",\"dur_us\":"));
}

#define with_loop(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_loop(test_posts_in_order),
		with_loop(test_stop_before_run),
		with_loop(test_post_from_call),
		with_loop(test_dropped_posts),
		with_loop(test_posts_of_threads),
		with_loop(test_timers),
		with_loop(test_timer_frees_itself),
		with_loop(test_timer_after_slow_callback),
		with_loop(test_io),
		with_loop(test_slow_callback),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

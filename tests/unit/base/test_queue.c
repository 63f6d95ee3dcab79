#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/queue.h"
#include "base/time.h"

static void *number(size_t n)
{
	return (void *)(uintptr_t)(n + 1);
}

static void test_order_and_limits(void **state)
{
	(void)state;
	auto_free(queue_free) struct queue *q = queue_new("q", 3);
	void *items[8];
	assert_string_equal(queue_name(q), "q");
	assert_int_equal(queue_capacity(q), 3);
	assert_int_equal(queue_pop(q, items, 8, 0), 0);
	for (size_t round = 0; round < 10; round++) { /* round the ring */
		for (size_t i = 0; i < 3; i++)
			assert_true(queue_try_push(q, number(i)));
		assert_false(queue_try_push(q, number(9)));
		assert_int_equal(queue_depth(q), 3);
		assert_int_equal(queue_pop(q, items, 2, -1), 2);
		assert_ptr_equal(items[0], number(0));
		assert_ptr_equal(items[1], number(1));
		assert_true(queue_push(q, number(3)));
		assert_int_equal(queue_pop(q, items, 8, -1), 2);
		assert_ptr_equal(items[0], number(2));
		assert_ptr_equal(items[1], number(3));
		assert_int_equal(queue_depth(q), 0);
	}
}

static void test_timeout(void **state)
{
	(void)state;
	auto_free(queue_free) struct queue *q = queue_new("q", 1);
	void *item;
	int64_t before = time_mono_us();
	assert_int_equal(queue_pop(q, &item, 1, 20 * USEC_PER_MSEC), 0);
	assert_true(time_mono_us() - before >= 20 * USEC_PER_MSEC);
	queue_push(q, number(1));
	assert_int_equal(queue_pop(q, &item, 1, INT64_MAX), 1);
}

static void test_close(void **state)
{
	(void)state;
	auto_free(queue_free) struct queue *q = queue_new("q", 4);
	void *items[4];
	assert_true(queue_push(q, number(1)));
	assert_false(queue_closed(q));
	queue_close(q);
	queue_close(q);
	assert_true(queue_closed(q));
	assert_false(queue_push(q, number(2)) || queue_try_push(q, number(2)));
	assert_int_equal(queue_pop(q, items, 4, -1), 1);
	assert_int_equal(queue_pop(q, items, 4, -1), 0);
	queue_free(NULL);
}

static bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, 0) == 1;
}

static void test_fd(void **state)
{
	(void)state;
	auto_free(queue_free) struct queue *q = queue_new("q", 4);
	void *items[4];
	queue_push(q, number(1));
	int fd = queue_fd(q); /* made late, right at once */
	assert_int_equal(queue_fd(q), fd);
	assert_true(readable(fd));
	queue_push(q, number(2));
	assert_int_equal(queue_pop(q, items, 1, 0), 1);
	assert_true(readable(fd));
	assert_int_equal(queue_pop(q, items, 4, 0), 1);
	assert_false(readable(fd));
	queue_push(q, number(3));
	assert_true(readable(fd));
	queue_close(q);
	assert_int_equal(queue_pop(q, items, 4, 0), 1);
	assert_true(readable(fd)); /* closed */
}

static void *push_blocked(void *arg)
{
	return queue_push(arg, number(7)) ? arg : NULL;
}

static void *pop_blocked(void *arg)
{
	void *item;
	return queue_pop(arg, &item, 1, -1) ? arg : NULL;
}

/* One waits on a full queue, two on an empty one; closing ends them. */
static void test_close_wakes(void **state)
{
	(void)state;
	auto_free(queue_free) struct queue *full = queue_new("full", 1);
	auto_free(queue_free) struct queue *empty = queue_new("empty", 1);
	queue_push(full, number(1));
	pthread_t threads[3];
	void *result;
	pthread_create(&threads[0], NULL, push_blocked, full);
	pthread_create(&threads[1], NULL, pop_blocked, empty);
	pthread_create(&threads[2], NULL, pop_blocked, empty);
	usleep(20000); /* most likely they wait by now; either way the results are these */
	queue_close(full);
	queue_close(empty);
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], &result);
		assert_null(result);
	}
}

/* A writer that waits goes on when room appears. */
static void test_back_pressure(void **state)
{
	(void)state;
	auto_free(queue_free) struct queue *q = queue_new("q", 1);
	queue_push(q, number(1));
	pthread_t writer;
	pthread_create(&writer, NULL, push_blocked, q);
	void *item, *result;
	assert_int_equal(queue_pop(q, &item, 1, -1), 1);
	assert_ptr_equal(item, number(1));
	assert_int_equal(queue_pop(q, &item, 1, -1), 1);
	assert_ptr_equal(item, number(7));
	pthread_join(writer, &result);
	assert_non_null(result);
}

enum { WRITERS = 4, READERS = 3, EACH = 20000 };

static struct queue *shared;
static unsigned char seen[WRITERS * EACH];
static size_t got;

static void *writer(void *arg)
{
	for (size_t i = 0; i < EACH; i++)
		if (!queue_push(shared, number((uintptr_t)arg * EACH + i)))
			abort();
	return NULL;
}

/* Items of one writer come in order, so each reader sees them ascending. */
static void *reader(void *arg)
{
	(void)arg;
	uintptr_t last[WRITERS] = {0};
	void *items[16];
	size_t n, sum = 0;
	while ((n = queue_pop(shared, items, 16, -1)) > 0) {
		for (size_t i = 0; i < n; i++) {
			uintptr_t item = (uintptr_t)items[i];
			size_t from = (item - 1) / EACH;
			if (item <= last[from] || __atomic_fetch_add(&seen[item - 1], 1, __ATOMIC_RELAXED))
				abort();
			last[from] = item;
		}
		sum += n;
	}
	__atomic_fetch_add(&got, sum, __ATOMIC_RELAXED);
	return NULL;
}

static void test_threads(void **state)
{
	(void)state;
	shared = queue_new("shared", 50);
	queue_fd(shared);
	pthread_t writers[WRITERS], readers[READERS];
	for (uintptr_t i = 0; i < WRITERS; i++)
		pthread_create(&writers[i], NULL, writer, (void *)i);
	for (int i = 0; i < READERS; i++)
		pthread_create(&readers[i], NULL, reader, NULL);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
	queue_close(shared);
	for (int i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	assert_int_equal(got, WRITERS * EACH);
	assert_int_equal(queue_depth(shared), 0);
	queue_free(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_and_limits),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_fd),
		cmocka_unit_test(test_close_wakes),
		cmocka_unit_test(test_back_pressure),
		cmocka_unit_test(test_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

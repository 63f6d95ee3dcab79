#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "metrics/metrics.h"

static void check_print(struct metrics *m, const char *want)
{
	auto_buf struct buf b = {0};
	metrics_print(m, &b);
	assert_string_equal(buf_text(&b), want);
}

static double twice(void *arg)
{
	return *(double *)arg * 2;
}

static void test_print(void **state)
{
	(void)state;
	auto_free(metrics_free) struct metrics *m = metrics_new();
	check_print(m, "");
	struct metric *get = metrics_counter(m, "flyte:admin:calls", "method=\"get\"", "Calls\nby \\method");
	struct metric *depth = metrics_gauge(m, "depth", NULL, NULL);
	struct metric *list = metrics_counter(m, "flyte:admin:calls", "method=\"list\"", "not used");
	double half = 0.75;
	metrics_gauge_fn(m, "size", NULL, "Size", twice, &half);
	metric_add(get, 2);
	metric_add(get, 3);
	metric_add(list, 1);
	metric_set(depth, 10);
	metric_add(depth, -15);
	check_print(m, "# HELP flyte:admin:calls Calls\\nby \\\\method\n"
		       "# TYPE flyte:admin:calls counter\n"
		       "flyte:admin:calls{method=\"get\"} 5\n"
		       "flyte:admin:calls{method=\"list\"} 1\n"
		       "# HELP depth \n"
		       "# TYPE depth gauge\n"
		       "depth -5\n"
		       "# HELP size Size\n"
		       "# TYPE size gauge\n"
		       "size 1.5\n");
}

static void test_summary(void **state)
{
	(void)state;
	auto_free(metrics_free) struct metrics *m = metrics_new();
	struct metric *ms = metrics_summary(m, "wait_ms", "q=\"a\"", "Wait", 1000);
	for (int i = 0; i < 4; i++)
		metric_observe_us(ms, 10);
	struct metric *us = metrics_summary(m, "wait_us", NULL, "Wait", 1);
	check_print(m, "# HELP wait_ms Wait\n"
		       "# TYPE wait_ms summary\n"
		       "wait_ms{q=\"a\",quantile=\"0.5\"} 0.01\n"
		       "wait_ms{q=\"a\",quantile=\"0.9\"} 0.01\n"
		       "wait_ms{q=\"a\",quantile=\"0.99\"} 0.01\n"
		       "wait_ms_sum{q=\"a\"} 0.04\n"
		       "wait_ms_count{q=\"a\"} 4\n"
		       "# HELP wait_us Wait\n"
		       "# TYPE wait_us summary\n"
		       "wait_us{quantile=\"0.5\"} NaN\n"
		       "wait_us{quantile=\"0.9\"} NaN\n"
		       "wait_us{quantile=\"0.99\"} NaN\n"
		       "wait_us_sum 0\n"
		       "wait_us_count 0\n");
	assert_ptr_equal(metrics_summary(m, "wait_us", NULL, "Wait", 1), us);
}

static void test_histogram(void **state)
{
	(void)state;
	auto_free(metrics_free) struct metrics *m = metrics_new();
	struct metric *h = metrics_histogram(m, "took", "m=\"a\"", "Took");
	static const int64_t took_us[] = {-5, 5000, 5001, 2000000, 60000000};
	for (size_t i = 0; i < ARRAY_SIZE(took_us); i++)
		metric_observe_us(h, took_us[i]);
	check_print(m, "# HELP took Took\n"
		       "# TYPE took histogram\n"
		       "took_bucket{m=\"a\",le=\"0.005\"} 2\n"
		       "took_bucket{m=\"a\",le=\"0.01\"} 3\n"
		       "took_bucket{m=\"a\",le=\"0.025\"} 3\n"
		       "took_bucket{m=\"a\",le=\"0.05\"} 3\n"
		       "took_bucket{m=\"a\",le=\"0.1\"} 3\n"
		       "took_bucket{m=\"a\",le=\"0.25\"} 3\n"
		       "took_bucket{m=\"a\",le=\"0.5\"} 3\n"
		       "took_bucket{m=\"a\",le=\"1\"} 3\n"
		       "took_bucket{m=\"a\",le=\"2.5\"} 4\n"
		       "took_bucket{m=\"a\",le=\"5\"} 4\n"
		       "took_bucket{m=\"a\",le=\"10\"} 4\n"
		       "took_bucket{m=\"a\",le=\"+Inf\"} 5\n"
		       "took_sum{m=\"a\"} 62.010001\n"
		       "took_count{m=\"a\"} 5\n");
	assert_ptr_equal(metrics_histogram(m, "took", "m=\"a\"", "Took"), h);
}

static void test_same_series(void **state)
{
	(void)state;
	auto_free(metrics_free) struct metrics *m = metrics_new();
	struct metric *a = metrics_counter(m, "a", NULL, "A");
	assert_ptr_equal(metrics_counter(m, "a", "", "other"), a);
	assert_ptr_not_equal(metrics_counter(m, "a", "x=\"1\"", "A"), a);
	char name[] = "copied";
	struct metric *copied = metrics_gauge(m, name, NULL, name);
	name[0] = 'x';
	assert_ptr_equal(metrics_gauge(m, "copied", NULL, "copied"), copied);
}

static void test_null(void **state)
{
	(void)state;
	metric_add(NULL, 1);
	metric_set(NULL, 1);
	metric_observe_us(NULL, 1);
	metrics_free(NULL);
}

enum { THREADS = 4, EACH = 20000 };

static void *count(void *arg)
{
	struct metrics *m = arg;
	for (int i = 0; i < EACH; i++) {
		metric_add(metrics_counter(m, "n", NULL, "N"), 1);
		metric_observe_us(metrics_summary(m, "t", NULL, "T", 1), 1);
	}
	return NULL;
}

static void test_threads(void **state)
{
	(void)state;
	auto_free(metrics_free) struct metrics *m = metrics_new();
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, count, m);
	for (int i = 0; i < 100; i++) {
		auto_buf struct buf b = {0};
		metrics_print(m, &b);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	auto_buf struct buf b = {0};
	metrics_print(m, &b);
	assert_non_null(strstr(buf_text(&b), "\nn 80000\n"));
	assert_non_null(strstr(buf_text(&b), "\nt_sum 80000\n"));
	assert_non_null(strstr(buf_text(&b), "\nt_count 80000\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_print),       cmocka_unit_test(test_summary), cmocka_unit_test(test_histogram),
		cmocka_unit_test(test_same_series), cmocka_unit_test(test_null),    cmocka_unit_test(test_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

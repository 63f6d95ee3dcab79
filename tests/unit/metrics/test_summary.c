#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "metrics/summary.h"

static const double QUANTILES[] = {0, 0.5, 0.9, 0.99, 1};

static void check(const struct summary *s, int64_t now_us, const double want[5])
{
	double got[5];
	summary_quantiles(s, now_us, QUANTILES, 5, got);
	for (int i = 0; i < 5; i++)
		if (fabs(got[i] - want[i]) > want[i] * 0.032)
			fail_msg("quantile %g: %g, not %g", QUANTILES[i], got[i], want[i]);
}

static void test_uniform(void **state)
{
	(void)state;
	auto_free(summary_free) struct summary *s = summary_new();
	for (int64_t us = 1; us <= 100000; us++)
		summary_observe(s, 0, us);
	check(s, 0, (double[]){1, 50000, 90000, 99000, 100000});
	assert_int_equal(s->count, 100000);
	assert_int_equal(s->sum_us, INT64_C(100000) * 100001 / 2);
}

static void test_one_value(void **state)
{
	(void)state;
	static const int64_t VALUES[] = {
		0, 1, 15, 16, 17, 31, 32, 1000, 999999, INT64_C(3600000000), INT64_C(100000000000)};
	for (size_t i = 0; i < ARRAY_SIZE(VALUES); i++) {
		auto_free(summary_free) struct summary *s = summary_new();
		summary_observe(s, 5, VALUES[i]);
		double v = (double)VALUES[i];
		check(s, 5, (double[]){v, v, v, v, v});
	}
}

static void test_extremes(void **state)
{
	(void)state;
	auto_free(summary_free) struct summary *s = summary_new();
	summary_observe(s, 0, -7);
	assert_int_equal(s->sum_us, 0);
	check(s, 0, (double[]){0, 0, 0, 0, 0});
	auto_free(summary_free) struct summary *huge = summary_new();
	summary_observe(huge, 0, INT64_MAX);
	double got;
	summary_quantiles(huge, 0, &(double){0.5}, 1, &got);
	assert_true(got > 1.3e11 && got < 1.4e11);
}

static void test_window(void **state)
{
	(void)state;
	auto_free(summary_free) struct summary *s = summary_new();
	double got;
	summary_quantiles(s, 0, &(double){0.5}, 1, &got);
	assert_true(isnan(got));
	summary_observe(s, 0, 10);
	summary_observe(s, SUMMARY_WINDOW_US, 12);
	summary_observe(s, 2 * SUMMARY_WINDOW_US, 14);
	check(s, 3 * SUMMARY_WINDOW_US - 1, (double[]){10, 12, 14, 14, 14});
	check(s, 3 * SUMMARY_WINDOW_US, (double[]){12, 12, 14, 14, 14}); /* the first is too old */
	summary_observe(s, 3 * SUMMARY_WINDOW_US, 15);                   /* reuses its window */
	check(s, 3 * SUMMARY_WINDOW_US, (double[]){12, 14, 15, 15, 15});
	summary_quantiles(s, 6 * SUMMARY_WINDOW_US, &(double){0.5}, 1, &got);
	assert_true(isnan(got));
	assert_int_equal(s->count, 4);
	assert_int_equal(s->sum_us, 51);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uniform),
		cmocka_unit_test(test_one_value),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_window),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Timers: due ones fire in order; those of executions that are over neither fire nor stay. */
#include "timers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"

enum { MANY = 20000, KEPT = 100 };

static struct {
	struct loop *loop;
	struct timers *timers;
	int64_t last_us;
	size_t fired, wrong;
} t;

static void on_timer(void *arg, const struct timer *x)
{
	(void)arg;
	t.wrong += x->at_us < t.last_us || x->execution % (MANY / KEPT) != 0;
	t.last_us = x->at_us;
	if (++t.fired == KEPT)
		loop_stop(t.loop);
}

static int setup(void **state)
{
	(void)state;
	t.loop = loop_new("test");
	t.timers = timers_new(t.loop, on_timer, NULL);
	t.last_us = 0;
	t.fired = t.wrong = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	timers_free(t.timers);
	loop_free(t.loop);
	return 0;
}

/* A timeout of a year each; only a few executions go on. */
static void what_is_over_does_not_stay(void **state)
{
	int64_t now = time_now_us();
	size_t most = 0;

	(void)state;
	for (int64_t x = 1; x <= MANY; x++) {
		timers_add(t.timers, (struct timer){now + INT64_C(365) * 86400 * USEC_PER_SEC, x, 0, 0, 0});
		timers_add(t.timers, (struct timer){now + (x * 7919) % 1000, x, 0, 0, 0});
		if (x % (MANY / KEPT))
			timers_forget(t.timers, x);
		most = MAX(most, timers_count(t.timers));
	}
	assert_in_range(most, 2 * KEPT, 4 * KEPT + 2100);
	alarm(60);
	loop_run(t.loop);
	alarm(0);
	assert_int_equal(t.fired, KEPT);
	assert_int_equal(t.wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_over_does_not_stay, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

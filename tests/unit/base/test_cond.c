/* Waits end by the monotonic clock, or when somebody wakes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/cond.h"
#include "base/time.h"

struct fixture {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool said;
};

static void start(struct fixture *f)
{
	pthread_mutex_init(&f->lock, NULL);
	cond_init_mono(&f->changed);
	f->said = false;
}

static void end(struct fixture *f)
{
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
}

/* By a condition of the wall clock, which is ahead by decades, this would be over at once. */
static void test_until_it_is_late(void **state)
{
	struct fixture f;
	int64_t begin_us = time_mono_us(), until_us = begin_us + 50 * USEC_PER_MSEC;

	(void)state;
	start(&f);
	pthread_mutex_lock(&f.lock);
	while (cond_wait_until(&f.changed, &f.lock, until_us))
		continue;
	assert_true(time_mono_us() >= until_us);
	assert_false(cond_wait_until(&f.changed, &f.lock, begin_us));
	assert_false(cond_wait_until(&f.changed, &f.lock, 0));
	assert_int_not_equal(pthread_mutex_trylock(&f.lock), 0);
	pthread_mutex_unlock(&f.lock);
	end(&f);
}

static void *say(void *arg)
{
	struct fixture *f = arg;

	usleep(20000);
	pthread_mutex_lock(&f->lock);
	f->said = true;
	pthread_cond_signal(&f->changed);
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

static void test_woken_before(void **state)
{
	const int64_t untils[] = {time_mono_us() + 60 * USEC_PER_SEC, INT64_MAX};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(untils); i++) {
		struct fixture f;
		pthread_t thread;
		bool late = false;
		start(&f);
		pthread_mutex_lock(&f.lock);
		assert_int_equal(pthread_create(&thread, NULL, say, &f), 0);
		while (!f.said && !late)
			late = !cond_wait_until(&f.changed, &f.lock, untils[i]);
		assert_true(f.said);
		assert_false(late);
		pthread_mutex_unlock(&f.lock);
		pthread_join(thread, NULL);
		end(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_until_it_is_late),
					   cmocka_unit_test(test_woken_before)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Where an execution's messages go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "flyte/shard.h"

/* Neighbouring keys spread out, evenly. */
static void test_spread(void **state)
{
	(void)state;
	unsigned n[SHARDS] = {0};

	for (int64_t i = 1; i <= 64000; i++)
		n[execution_shard(i)]++;
	for (unsigned i = 0; i < SHARDS; i++)
		assert_in_range(n[i], 800, 1200);
	assert_int_equal(execution_shard(1), execution_shard(1));
}

/* Keys are stored under their shard: the function must never change. */
static void test_fixed(void **state)
{
	(void)state;
	/* splitmix64 of 0 gives 0xe220a8397b1dcdaf, of 1 gives 0x910a2dec89025cc1 (published test vectors). */
	assert_int_equal(execution_shard(0), 0xaf % 64);
	assert_int_equal(execution_shard(1), 0xc1 % 64);
}

static void test_subjects(void **state)
{
	(void)state;
	char s[SUBJECT_BYTES];

	subject_commands(63, s);
	assert_string_equal(s, "alula.commands.63");
	subject_events(63, s);
	assert_string_equal(s, "alula.events.3.63");
	subject_confirms(0, s);
	assert_string_equal(s, "alula.confirms.0");
	subject_resends(7, s);
	assert_string_equal(s, "alula.resends.7");
	subject_event_lane(2, s);
	assert_string_equal(s, "alula.events.2.*");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_fixed),
		cmocka_unit_test(test_subjects),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

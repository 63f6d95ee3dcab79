/* Names made of parts. Hashes computed with an independent FNV and base32. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "flyte/ids.h"

static void test_short(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	static const struct {
		const char *parts[3], *expected;
	} cases[] = {
		{{"n0", "0", "n1"}, "n0-0-n1"},
		{{"", "", "n1"}, "n1"},
		{{"", "0", "n1"}, "0-n1"},
		{{"x", "", "y"}, "x--y"},
		{{"12345678", "12345678", "12"}, "12345678-12345678-12"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(flyte_unique_id(a, cases[i].parts, 3, NODE_UNIQUE_ID_MAX, UNIQUE_ID_FNV32),
				    cases[i].expected);
}

static void test_long(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	const char *parts[] = {"a-very-long-node", "name-here"};

	assert_string_equal(flyte_unique_id(a, parts, 2, NODE_UNIQUE_ID_MAX, UNIQUE_ID_FNV32), "fb64infq");
	assert_string_equal(flyte_unique_id(a, parts, 2, NODE_UNIQUE_ID_MAX, UNIQUE_ID_FNV64), "f2xp6trgkwjglm");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short),
		cmocka_unit_test(test_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

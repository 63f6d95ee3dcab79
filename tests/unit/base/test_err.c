#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"

static void test_set_and_prefix(void **state)
{
	(void)state;
	struct err err;
	assert_int_equal(err_set(&err, NOT_FOUND, "launch plan %s", "x"), NOT_FOUND);
	assert_int_equal(err.code, NOT_FOUND);
	assert_string_equal(err.text, "launch plan x");
	assert_int_equal(err_prefix(&err, INTERNAL, "execution %d: ", 7), NOT_FOUND);
	assert_string_equal(err.text, "execution 7: launch plan x");
	/* its own text as an argument */
	err_set(&err, ABORTED, "again: %s", err.text);
	assert_string_equal(err.text, "again: execution 7: launch plan x");
	assert_int_equal(err.code, ABORTED);
}

static void test_null(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, UNAVAILABLE, "x"), UNAVAILABLE);
	assert_int_equal(err_prefix(NULL, DATA_LOSS, "x"), DATA_LOSS);
}

static void test_invalid_utf8(void **state)
{
	(void)state;
	struct err err;
	err_set(&err, INTERNAL, "%s", "a\xff\xc3|\xed\xa0\x80 \xc3\xa9");
	assert_string_equal(err.text, "a??|??? \xc3\xa9");
}

/* Texts of every length around the limit, of characters of 1 to 4 bytes. */
static void test_cut(void **state)
{
	(void)state;
	static const char *const UNITS[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
	struct err err;
	for (size_t u = 0; u < 4; u++) {
		size_t step = strlen(UNITS[u]);
		char text[2 * ERR_TEXT_BYTES];
		for (size_t len = ERR_TEXT_BYTES - 12; len < ERR_TEXT_BYTES + 12; len++) {
			size_t n = len % step; /* shifts where the characters lie */
			memset(text, 'x', n);
			for (; n < len; n += step)
				memcpy(text + n, UNITS[u], step);
			text[n] = 0;
			err_set(&err, INTERNAL, "%s", text);
			size_t got = strlen(err.text);
			assert_true(utf8_valid(err.text, got));
			if (n < ERR_TEXT_BYTES) {
				assert_string_equal(err.text, text);
				continue;
			}
			assert_true(got < ERR_TEXT_BYTES && got > ERR_TEXT_BYTES - 9);
			assert_string_equal(err.text + got - 3, "\xe2\x80\xa6");
			assert_memory_equal(err.text, text, got - 3);
		}
	}
}

static void test_long_prefix(void **state)
{
	(void)state;
	struct err err;
	err_set(&err, INTERNAL, "%05000d", 1);
	err_prefix(&err, OK, "node n0: ");
	assert_memory_equal(err.text, "node n0: 000", 12);
	assert_int_equal(strlen(err.text), ERR_TEXT_BYTES - 1);
	assert_int_equal(err.code, INTERNAL);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(code_name(OK), "OK");
	assert_string_equal(code_name(NOT_FOUND), "NOT_FOUND");
	assert_string_equal(code_name(UNAUTHENTICATED), "UNAUTHENTICATED");
	assert_int_equal(UNAUTHENTICATED, 16);
	assert_string_equal(code_name((enum code)17), "CODE_17");
	assert_string_equal(code_name((enum code) - 1), "CODE_-1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_and_prefix), cmocka_unit_test(test_null),
		cmocka_unit_test(test_invalid_utf8),   cmocka_unit_test(test_cut),
		cmocka_unit_test(test_long_prefix),    cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

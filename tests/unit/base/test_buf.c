#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/buf.h"

static void test_growth(void **state)
{
	(void)state;
	auto_buf struct buf b = {0};
	assert_string_equal(buf_text(&b), "");
	assert_int_equal(buf_str(&b).len, 0);
	for (int i = 0; i < 100000; i++)
		buf_addc(&b, (char)('a' + i % 26));
	assert_int_equal(b.len, 100000);
	assert_int_equal(b.data[b.len], 0);
	assert_int_equal(b.data[99999], 'a' + 99999 % 26);
	buf_reset(&b);
	assert_string_equal(buf_text(&b), "");
	buf_adds(&b, "x");
	buf_add(&b, NULL, 0);
	buf_add_str(&b, (struct str){0});
	assert_string_equal(buf_text(&b), "x");
}

static void test_limit(void **state)
{
	(void)state;
	auto_buf struct buf b = {.limit = 5};
	buf_adds(&b, "12345");
	assert_false(b.failed);
	buf_addc(&b, '6');
	assert_true(b.failed);
	buf_add(&b, "", 0);
	assert_string_equal(buf_text(&b), "12345");
	assert_null(buf_reserve(&b, 0)); /* sticky */
	buf_reset(&b);
	assert_false(b.failed);
	buf_printf(&b, "%s", "123456");
	assert_true(b.failed);
	assert_string_equal(buf_text(&b), "");
	buf_clear(&b);
	assert_int_equal(b.limit, 5);
	buf_printf(&b, "%d", 12345);
	assert_string_equal(buf_text(&b), "12345");
	assert_false(b.failed);
}

static void test_absurd_size(void **state)
{
	(void)state;
	auto_buf struct buf b = {0};
	buf_adds(&b, "x");
	assert_null(buf_reserve(&b, SIZE_MAX));
	assert_true(b.failed);
	assert_string_equal(buf_text(&b), "x");
}

static void test_reserve_commit(void **state)
{
	(void)state;
	auto_buf struct buf b = {0};
	char *at = buf_reserve(&b, 100);
	memcpy(at, "hello", 5);
	buf_commit(&b, 5);
	assert_string_equal(buf_text(&b), "hello");
	at = buf_reserve(&b, 0);
	assert_ptr_equal(at, b.data + 5);
	buf_commit(&b, 0);
	assert_string_equal(buf_text(&b), "hello");
}

static void test_printf_lengths(void **state)
{
	(void)state;
	for (int width = 1; width < 300; width++) {
		auto_buf struct buf b = {0};
		buf_adds(&b, "-");
		buf_printf(&b, "%*d", width, 7);
		buf_printf(&b, "%s", "");
		assert_int_equal(b.len, width + 1);
		assert_int_equal(b.data[width], '7');
		assert_int_equal(strlen(b.data), b.len);
	}
}

static void test_take(void **state)
{
	(void)state;
	struct buf b = {0};
	size_t len = 9;
	auto_mem char *empty = buf_take(&b, &len);
	assert_string_equal(empty, "");
	assert_int_equal(len, 0);
	buf_add(&b, "a\0b", 3);
	auto_mem char *text = buf_take(&b, &len);
	assert_int_equal(len, 3);
	assert_memory_equal(text, "a\0b", 4);
	assert_true(!b.data && !b.len && !b.cap);
	auto_mem char *without_len = buf_take(&b, NULL);
	assert_non_null(without_len);
}

static void check_json(struct str s, const char *want)
{
	auto_buf struct buf b = {0};
	buf_json_string(&b, s);
	assert_string_equal(buf_text(&b), want);
}

static void test_json(void **state)
{
	(void)state;
	check_json((struct str){0}, "\"\"");
	check_json(STR("plain"), "\"plain\"");
	check_json(STR("\"\\/"), "\"\\\"\\\\/\"");
	check_json(STR("\b\f\n\r\t\0\x1f\x7f"), "\"\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\"");
	check_json(STR("\xc3\xa9\xf0\x9f\x98\x80"), "\"\xc3\xa9\xf0\x9f\x98\x80\"");
	check_json(STR("a\xff\xc3"), "\"a\xef\xbf\xbd\xef\xbf\xbd\"");
	check_json(STR("\xed\xa0\x80z"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\"");
}

static void check_double(double d, const char *want)
{
	auto_buf struct buf b = {0};
	buf_double(&b, d);
	assert_string_equal(buf_text(&b), want);
}

static void test_double(void **state)
{
	(void)state;
	check_double(0.1, "0.1");
	check_double(-3, "-3");
	check_double(1e22, "1e+22");
	check_double(0.1 + 0.2, "0.30000000000000004");
	check_double(NAN, "NaN");
	check_double(INFINITY, "+Inf");
	check_double(-INFINITY, "-Inf");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_growth),         cmocka_unit_test(test_limit),
		cmocka_unit_test(test_absurd_size),    cmocka_unit_test(test_reserve_commit),
		cmocka_unit_test(test_printf_lengths), cmocka_unit_test(test_take),
		cmocka_unit_test(test_json),           cmocka_unit_test(test_double),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static void test_ends(void **state)
{
	(void)state;
	assert_true(str_starts(STR("flyte"), "fl") && str_starts(STR("flyte"), "") && str_starts(STR(""), ""));
	assert_false(str_starts(STR("f"), "fl") || str_starts(STR("xfl"), "fl"));
	assert_true(str_ends(STR("flyte"), "te") && str_ends(STR("flyte"), "") && str_ends((struct str){0}, ""));
	assert_false(str_ends(STR("e"), "te") || str_ends(STR("tex"), "te"));
	assert_true(str_eq((struct str){0}, STR("")) && str_is(STR("a"), "a"));
	assert_false(str_is(STR("a\0b"), "a"));
}

static void test_trim(void **state)
{
	(void)state;
	assert_true(str_is(str_trim(STR(" \t\r\n a b \v\f")), "a b"));
	assert_true(str_is(str_trim(STR("  ")), ""));
	assert_true(str_is(str_trim((struct str){0}), ""));
}

static void check_cut(const char *text, size_t n, const char *const *parts)
{
	struct str rest = str_of(text);
	size_t i = 0;
	while (rest.ptr) {
		struct str part = str_cut(&rest, ',');
		assert_true(i < n);
		assert_true(str_is(part, parts[i++]));
	}
	assert_int_equal(i, n);
}

static void test_cut(void **state)
{
	(void)state;
	check_cut("a,bc,d", 3, (const char *const[]){"a", "bc", "d"});
	check_cut("", 1, (const char *const[]){""});
	check_cut(",", 2, (const char *const[]){"", ""});
	check_cut("a,", 2, (const char *const[]){"a", ""});
	check_cut(",,a", 3, (const char *const[]){"", "", "a"});
}

static void test_integers(void **state)
{
	(void)state;
	int64_t i = 7;
	uint64_t u = 7;
	assert_true(str_to_i64(STR("-9223372036854775808"), &i) && i == INT64_MIN);
	assert_true(str_to_i64(STR("9223372036854775807"), &i) && i == INT64_MAX);
	assert_true(str_to_i64(STR("-0"), &i) && i == 0);
	assert_true(str_to_i64(STR("007"), &i) && i == 7);
	assert_true(str_to_u64(STR("18446744073709551615"), &u) && u == UINT64_MAX);
	static const char *const BAD[] = {"",
					  "-",
					  "+1",
					  " 1",
					  "1 ",
					  "1a",
					  "0x1",
					  "--1",
					  "1.0",
					  "9223372036854775808",
					  "-9223372036854775809",
					  "99999999999999999999999"};
	for (size_t k = 0; k < ARRAY_SIZE(BAD); k++) {
		i = 42;
		assert_false(str_to_i64(str_of(BAD[k]), &i));
		assert_int_equal(i, 42);
	}
	u = 42;
	assert_false(str_to_u64(STR("18446744073709551616"), &u) || str_to_u64(STR("-1"), &u));
	assert_false(str_to_u64(STR("1\0"), &u) || str_to_u64((struct str){0}, &u));
	assert_int_equal(u, 42);
}

static void test_doubles(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		double d;
	} GOOD[] = {{"0", 0}, {"-2.5", -2.5}, {"1e3", 1000}, {".5", .5}, {"+1", 1}, {"1E-400", 0}, {"5.", 5}};
	double d;
	for (size_t i = 0; i < ARRAY_SIZE(GOOD); i++) {
		d = 42;
		assert_true(str_to_double(str_of(GOOD[i].text), &d));
		assert_true(d == GOOD[i].d);
	}
	static const char *const BAD[] = {"",   ".",  "1e",    "inf",    "nan", "0x1p3",
					  " 1", "1 ", "1e999", "-1e999", "1,5", "e5"};
	for (size_t i = 0; i < ARRAY_SIZE(BAD); i++) {
		d = 42;
		assert_false(str_to_double(str_of(BAD[i]), &d));
		assert_true(d == 42);
	}
	assert_false(str_to_double((struct str){"1\0002", 3}, &d));
	assert_true(str_to_double((struct str){"1234", 2}, &d) && d == 12);
}

#define BYTES(literal) (literal), sizeof(literal) - 1

static void test_utf8(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t len;
		bool valid;
	} CASES[] = {
		{BYTES(""), true},
		{BYTES("plain text, longer than eight bytes"), true},
		{BYTES("a\0b"), true},
		{BYTES("\x7f"), true},
		{BYTES("\xc2\x80"), true},
		{BYTES("\xdf\xbf"), true},
		{BYTES("\xe0\xa0\x80"), true},
		{BYTES("\xed\x9f\xbf"), true}, /* U+D7FF */
		{BYTES("\xee\x80\x80"), true}, /* U+E000 */
		{BYTES("\xef\xbf\xbf"), true},
		{BYTES("\xf0\x90\x80\x80"), true},
		{BYTES("\xf4\x8f\xbf\xbf"), true}, /* U+10FFFF */
		{BYTES("eight b.\xf0\x9f\x98\x80"), true},
		{BYTES("\x80"), false},
		{BYTES("\xc0\x80"), false}, /* overlong */
		{BYTES("\xc1\xbf"), false},
		{BYTES("\xe0\x9f\xbf"), false},
		{BYTES("\xf0\x8f\xbf\xbf"), false},
		{BYTES("\xed\xa0\x80"), false}, /* surrogates */
		{BYTES("\xed\xbf\xbf"), false},
		{BYTES("\xf4\x90\x80\x80"), false}, /* beyond U+10FFFF */
		{BYTES("\xf5\x80\x80\x80"), false},
		{BYTES("\xff"), false},
		{BYTES("\xc3"), false}, /* cut short */
		{BYTES("\xe2\x82"), false},
		{BYTES("\xf0\x9f\x98"), false},
		{BYTES("\xc3("), false},
		{BYTES("\xe2\x82("), false},
		{BYTES("\xf0\x9f\x98("), false},
		{BYTES("eight b.\xff"), false},
		{BYTES("1234567\xff"), false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(CASES); i++)
		if (utf8_valid(CASES[i].text, CASES[i].len) != CASES[i].valid)
			fail_msg("case %zu", i);
}

/* Every code point's encoding is one character of the right length, and no surrogate is. */
static void test_utf8_all(void **state)
{
	(void)state;
	for (uint32_t c = 0; c < 0x110000; c++) {
		uint8_t s[4] = {(uint8_t)c};
		size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
		if (n > 1) {
			uint32_t rest = c;
			for (size_t i = n - 1; i > 0; i--, rest >>= 6)
				s[i] = 0x80 | (rest & 0x3f);
			s[0] = (uint8_t)(0xf00 >> n | rest);
		}
		size_t want = c >= 0xd800 && c < 0xe000 ? 0 : n;
		if (utf8_len(s, 4) != want || utf8_len(s, n) != want || (n > 1 && utf8_len(s, n - 1)))
			fail_msg("U+%04X", c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends),     cmocka_unit_test(test_trim),    cmocka_unit_test(test_cut),
		cmocka_unit_test(test_integers), cmocka_unit_test(test_doubles), cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_utf8_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

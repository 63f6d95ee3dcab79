/* What robfig/cron takes and refuses, and its words. Source: github.com/robfig/cron/v3 parser.go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "flyte/cron.h"

static void good(void **state)
{
	static const char *const GOOD[] = {
		"* * * * *",     "0 8 * * mon-fri",  "*/15 0-23/2 1,15 JAN-dec ?",
		"59 23 31 12 6", " 0\t8  *  * * ",   "5/10 * * * *",
		"0,,30 * * * *", "@daily",           "@hourly",
		"@yearly",       "@annually",        "@midnight",
		"@weekly",       "@monthly",         "@every 1h30m",
		"@every 10s",    "TZ=UTC 0 8 * * *", "CRON_TZ=UTC @daily",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(GOOD); i++) {
		struct err err = {0};
		if (cron_check(GOOD[i], &err) != OK)
			fail_msg("%s: %s", GOOD[i], err.text);
	}
}

static void bad(void **state)
{
	static const struct {
		const char *text, *words;
	} BAD[] = {
		{"", "empty spec string"},
		{"* * * *", "expected exactly 5 fields, found 4: [* * * *]"},
		{"* * * * * *", "expected exactly 5 fields, found 6: [* * * * * *]"},
		{"60 * * * *", "end of range (60) above maximum (59): 60"},
		{"* 24 * * *", "end of range (24) above maximum (23): 24"},
		{"* * 0 * *", "beginning of range (0) below minimum (1): 0"},
		{"* * * 13 *", "end of range (13) above maximum (12): 13"},
		{"* * * * 7", "end of range (7) above maximum (6): 7"},
		{"30-10 * * * *", "beginning of range (30) beyond end of range (10): 30-10"},
		{"1-2-3 * * * *", "too many hyphens: 1-2-3"},
		{"*/5/5 * * * *", "too many slashes: */5/5"},
		{"*/0 * * * *", "step of range should be a positive number: */0"},
		{"x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"},
		{"* * * mon *", "failed to parse int from mon: strconv.Atoi: parsing \"mon\": invalid syntax"},
		{"-1 * * * *", "failed to parse int from : strconv.Atoi: parsing \"\": invalid syntax"},
		{"@often", "unrecognized descriptor: @often"},
		{"@every soon", "failed to parse duration @every soon: time: invalid duration \"soon\""},
		{"TZ=Nowhere/Town * * * * *", "provided bad location Nowhere/Town: unknown time zone Nowhere/Town"},
		{"TZ=../../etc/passwd * * * * *",
		 "provided bad location ../../etc/passwd: unknown time zone ../../etc/passwd"},
		{"TZ=UTC", "expected exactly 5 fields, found 0: []"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(BAD); i++) {
		struct err err = {0};
		assert_int_equal(cron_check(BAD[i].text, &err), INVALID_ARGUMENT);
		assert_string_equal(err.text, BAD[i].words);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(good), cmocka_unit_test(bad)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

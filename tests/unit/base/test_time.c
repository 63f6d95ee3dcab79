#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/time.h"

/* texts that come back as they were */
static const struct {
	const char *text;
	int64_t us;
} ROUND_TRIPS[] = {
	{"1970-01-01T00:00:00Z", 0},
	{"1970-01-01T00:00:00.000001Z", 1},
	{"1970-01-01T00:00:00.100Z", 100000},
	{"1970-01-01T00:00:01Z", 1000000},
	{"1969-12-31T23:59:59.999999Z", -1},
	{"1969-12-31T23:59:59.999Z", -1000},
	{"2026-11-21T07:03:00Z", INT64_C(1795244580000000)},
	{"2000-02-29T12:00:00Z", INT64_C(951825600000000)},
	{"2024-12-31T23:59:59.123456Z", INT64_C(1735689599123456)},
	{"0000-01-01T00:00:00Z", INT64_C(-62167219200000000)},
	{"0001-01-01T00:00:00Z", INT64_C(-62135596800000000)},
	{"9999-12-31T23:59:59.999999Z", INT64_C(253402300799999999)},
};

static void check_add(int64_t us, const char *want)
{
	auto_buf struct buf b = {0};
	time_add_rfc3339(&b, us);
	assert_string_equal(buf_text(&b), want);
}

static void test_round_trips(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ROUND_TRIPS); i++) {
		int64_t us = 42;
		assert_true(time_parse_rfc3339(str_of(ROUND_TRIPS[i].text), &us));
		assert_int_equal(us, ROUND_TRIPS[i].us);
		check_add(us, ROUND_TRIPS[i].text);
	}
}

static void test_other_forms(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t us;
	} CASES[] = {
		{"1970-01-01t00:00:00z", 0},
		{"1970-01-01T05:30:00+05:30", 0},
		{"1969-12-31T16:00:00-08:00", 0},
		{"1970-01-01T00:00:00-00:00", 0},
		{"1970-01-01T23:59:00+23:59", 0},
		{"1970-01-01T00:00:00.5Z", 500000},
		{"1970-01-01T00:00:00.123456789Z", 123456},
		{"1970-01-01T00:00:00.000000999Z", 0},
		{"1970-01-01T00:00:00.1234567+00:01", 123456 - 60000000},
		{"2016-12-31T23:59:60Z", INT64_C(1483228800000000)}, /* leap second */
		{"2016-12-31T15:59:60-08:00", INT64_C(1483228800000000)},
		{"2000-02-29T00:00:00Z", INT64_C(951782400000000)},
	};
	for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
		int64_t us = 42;
		if (!time_parse_rfc3339(str_of(CASES[i].text), &us) || us != CASES[i].us)
			fail_msg("%s: %ld", CASES[i].text, (long)us);
	}
}

static void test_bad_times(void **state)
{
	(void)state;
	static const char *const BAD[] = {
		"",
		"2026-11-21",
		"2026-11-21T07:03:00",
		"2026-11-21 07:03:00Z",
		"2026-11-21T07:03Z",
		"2026-11-21T7:03:00Z",
		"26-11-21T07:03:00Z",
		"2026-00-21T07:03:00Z",
		"2026-13-21T07:03:00Z",
		"2026-11-00T07:03:00Z",
		"2026-11-31T07:03:00Z",
		"2026-02-29T07:03:00Z",
		"1900-02-29T07:03:00Z",
		"2026-11-21T24:00:00Z",
		"2026-11-21T07:60:00Z",
		"2026-11-21T07:03:60Z",
		"2026-11-21T07:03:61Z",
		"2026-11-21T07:03:00.Z",
		"2026-11-21T07:03:00.1234567890Z",
		"2026-11-21T07:03:00,5Z",
		"2026-11-21T07:03:00+0100",
		"2026-11-21T07:03:00+24:00",
		"2026-11-21T07:03:00+01:60",
		"2026-11-21T07:03:00+01",
		"2026-11-21T07:03:00Zx",
		" 2026-11-21T07:03:00Z",
		"2026-11-21T07:03:00Z ",
		"-026-11-21T07:03:00Z",
		"2026-11-+1T07:03:00Z",
	};
	for (size_t i = 0; i < ARRAY_SIZE(BAD); i++) {
		int64_t us = 42;
		if (time_parse_rfc3339(str_of(BAD[i]), &us) || us != 42)
			fail_msg("%s", BAD[i]);
	}
	assert_false(time_parse_rfc3339((struct str){0}, &(int64_t){0}));
	assert_false(time_parse_rfc3339(STR("2026-11-21\0"
					    "07:03:00Z"),
					&(int64_t){0}));
}

/* A day in every fifth of all days of 1600 to 2500, compared with the C library's calendar. */
static void test_calendar(void **state)
{
	(void)state;
	for (int64_t day = -135140; day < 193933; day += 5) {
		time_t t = day * 86400 + 3661;
		struct tm tm;
		gmtime_r(&t, &tm);
		char want[40];
		strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%SZ", &tm);
		auto_buf struct buf b = {0};
		time_add_rfc3339(&b, t * USEC_PER_SEC);
		int64_t us = 0;
		if (strcmp(buf_text(&b), want) != 0 || !time_parse_rfc3339(buf_str(&b), &us) || us != t * USEC_PER_SEC)
			fail_msg("%s: %s", want, buf_text(&b));
	}
}

static void test_clocks(void **state)
{
	(void)state;
	int64_t mono = time_mono_us();
	assert_true(llabs(time_now_us() - (int64_t)time(NULL) * USEC_PER_SEC) < 5 * USEC_PER_SEC);
	assert_true(time_mono_us() >= mono);
}

static void test_durations(void **state)
{
	(void)state;
	/* `text` gives `us`, which prints as `printed` (NULL: as `text`) */
	static const struct {
		const char *text;
		int64_t us;
		const char *printed;
	} CASES[] = {
		{"0", 0, "0s"},
		{"+0", 0, "0s"},
		{"-0", 0, "0s"},
		{"0s", 0, NULL},
		{"5s", 5000000, NULL},
		{"+5s", 5000000, "5s"},
		{"-5s", -5000000, NULL},
		{"1h30m", INT64_C(5400000000), "1h30m0s"},
		{"1h0m0.5s", INT64_C(3600500000), NULL},
		{"500ms", 500000, NULL},
		{"-2.5s", -2500000, NULL},
		{"100us", 100, "100\u00b5s"},
		{"100\u00b5s", 100, NULL},
		{"100\u03bcs", 100, "100\u00b5s"},
		{"1.5ms", 1500, NULL},
		{"999.999ms", 999999, NULL},
		{".5s", 500000, "500ms"},
		{"5.s", 5000000, "5s"},
		{"1.0s", 1000000, "1s"},
		{"39h9m14.425s", INT64_C(140954425000), NULL},
		{"10.5s4m", 250500000, "4m10.5s"},
		{"1m1m", 120000000, "2m0s"},
		{"90m", INT64_C(5400000000), "1h30m0s"},
		{"1999ns", 1, "1\u00b5s"},
		{"-999ns", 0, "0s"},
		{"0.100000000000000000000h", 360000000, "6m0s"},
		{"0.3333333333333333333h", 1199999999, "19m59.999999s"},
		{"0.9223372036854775807h", INT64_C(3320413933), "55m20.413933s"},
		{"9223372036854775807ns", INT64_C(9223372036854775), "2562047h47m16.854775s"},
		{"-9223372036854775808ns", INT64_C(-9223372036854775), "-2562047h47m16.854775s"},
		{"2562047h47m16.854775s", INT64_C(9223372036854775), NULL},
	};
	for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
		int64_t us = 42;
		if (!duration_parse(str_of(CASES[i].text), &us) || us != CASES[i].us)
			fail_msg("%s: %ld", CASES[i].text, (long)us);
		auto_buf struct buf b = {0};
		duration_add(&b, us);
		assert_string_equal(buf_text(&b), CASES[i].printed ? CASES[i].printed : CASES[i].text);
	}
}

static void test_extreme_duration(void **state)
{
	(void)state;
	auto_buf struct buf b = {0};
	duration_add(&b, INT64_MIN);
	assert_string_equal(buf_text(&b), "-2562047788h0m54.775808s");
}

static void test_bad_durations(void **state)
{
	(void)state;
	static const char *const BAD[] = {
		"",
		"3",
		"-",
		"s",
		".",
		"-.",
		".s",
		"+.s",
		"1.2.3s",
		"1d",
		"1 s",
		" 1s",
		"1s ",
		"--1s",
		"+-1s",
		"1S",
		"0x1s",
		"1e3s",
		"1h-1m",
		"00",
		"1h3",
		"-1m5",
		"1\xb5s",
		"2562048h",
		"9223372036854775808ns",
		"-9223372036854775809ns",
		"99999999999999999999s",
		"9223372036s854775808ns",
		"18446744073709551616ns",
		"1us\xff",
	};
	for (size_t i = 0; i < ARRAY_SIZE(BAD); i++) {
		int64_t us = 42;
		if (duration_parse(str_of(BAD[i]), &us) || us != 42)
			fail_msg("%s: %ld", BAD[i], (long)us);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips),      cmocka_unit_test(test_other_forms),
		cmocka_unit_test(test_bad_times),        cmocka_unit_test(test_calendar),
		cmocka_unit_test(test_clocks),           cmocka_unit_test(test_durations),
		cmocka_unit_test(test_extreme_duration), cmocka_unit_test(test_bad_durations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

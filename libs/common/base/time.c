#include "base/time.h"

#include <stdlib.h>
#include <time.h>

#include "base/mem.h"

enum { SEC_PER_DAY = 86400 };
#define NSEC_PER_USEC UINT64_C(1000)

static int64_t clock_us(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec * USEC_PER_SEC + t.tv_nsec / 1000;
}

int64_t time_now_us(void)
{
	return clock_us(CLOCK_REALTIME);
}

int64_t time_mono_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* The proleptic Gregorian calendar in years that begin in March: the leap day comes last. */
static int64_t days_of_date(int64_t year, int64_t month, int64_t day)
{
	int64_t y = year - (month <= 2), m = (month + 9) % 12;
	int64_t era = floor_div(y, 400), year_of_era = y - era * 400;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + (153 * m + 2) / 5 + day - 1;
	return era * 146097 + day_of_era - 719468;
}

static void date_of_days(int64_t days, int64_t *year, int *month, int *day)
{
	days += 719468;
	int64_t era = floor_div(days, 146097), day_of_era = days - era * 146097;
	int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year = day_of_era - (year_of_era * 365 + year_of_era / 4 - year_of_era / 100);
	int m = (int)((5 * day_of_year + 2) / 153);
	*day = (int)(day_of_year - (153 * m + 2) / 5 + 1);
	*month = m < 10 ? m + 3 : m - 9;
	*year = era * 400 + year_of_era + (*month <= 2);
}

void time_add_rfc3339(struct buf *b, int64_t us)
{
	int64_t seconds = floor_div(us, USEC_PER_SEC), fraction = us - seconds * USEC_PER_SEC;
	int64_t days = floor_div(seconds, SEC_PER_DAY), year;
	int of_day = (int)(seconds - days * SEC_PER_DAY), month, day;
	date_of_days(days, &year, &month, &day);
	buf_printf(b, "%04ld-%02d-%02dT%02d:%02d:%02d", (long)year, month, day, of_day / 3600, of_day / 60 % 60,
		   of_day % 60);
	if (fraction % USEC_PER_MSEC)
		buf_printf(b, ".%06d", (int)fraction);
	else if (fraction)
		buf_printf(b, ".%03d", (int)(fraction / USEC_PER_MSEC));
	buf_addc(b, 'Z');
}

/* Takes `n` digits that make a number of min..max. */
static bool take_number(struct str *s, size_t n, int min, int max, int *ret)
{
	uint64_t value;
	if (s->len < n || !str_to_u64((struct str){s->ptr, n}, &value) || value < (uint64_t)min ||
	    value > (uint64_t)max)
		return false;
	*s = (struct str){s->ptr + n, s->len - n};
	*ret = (int)value;
	return true;
}

static bool take_any(struct str *s, const char *chars, char *ret)
{
	if (s->len == 0 || !s->ptr[0] || !strchr(chars, s->ptr[0]))
		return false;
	*ret = s->ptr[0];
	*s = (struct str){s->ptr + 1, s->len - 1};
	return true;
}

static size_t count_digits(struct str s)
{
	size_t n = 0;
	while (n < s.len && s.ptr[n] >= '0' && s.ptr[n] <= '9')
		n++;
	return n;
}

static bool take_fraction(struct str *s, int *ret_us)
{
	char c;
	*ret_us = 0;
	if (!take_any(s, ".", &c))
		return true;
	size_t n = count_digits(*s);
	if (n == 0 || n > 9)
		return false;
	for (size_t i = 0; i < 6; i++)
		*ret_us = *ret_us * 10 + (i < n ? s->ptr[i] - '0' : 0);
	*s = (struct str){s->ptr + n, s->len - n};
	return true;
}

static bool take_offset(struct str *s, int *ret_seconds)
{
	char sign;
	int hours, minutes;
	if (!take_any(s, "Zz+-", &sign))
		return false;
	if (sign == 'Z' || sign == 'z') {
		*ret_seconds = 0;
		return true;
	}
	char colon;
	if (!take_number(s, 2, 0, 23, &hours) || !take_any(s, ":", &colon) || !take_number(s, 2, 0, 59, &minutes))
		return false;
	*ret_seconds = (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
	return true;
}

static int days_of_month(int year, int month)
{
	static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return DAYS[month - 1] + (month == 2 && leap);
}

static bool take_date(struct str *s, int64_t *ret_days)
{
	int year, month, day;
	char c;
	if (!take_number(s, 4, 0, 9999, &year) || !take_any(s, "-", &c) || !take_number(s, 2, 1, 12, &month) ||
	    !take_any(s, "-", &c) || !take_number(s, 2, 1, days_of_month(year, month), &day))
		return false;
	*ret_days = days_of_date(year, month, day);
	return true;
}

static bool take_time(struct str *s, int *ret_seconds, bool *ret_leap)
{
	int hour, minute, second;
	char c;
	if (!take_number(s, 2, 0, 23, &hour) || !take_any(s, ":", &c) || !take_number(s, 2, 0, 59, &minute) ||
	    !take_any(s, ":", &c) || !take_number(s, 2, 0, 60, &second))
		return false;
	*ret_seconds = hour * 3600 + minute * 60 + second;
	*ret_leap = second == 60;
	return true;
}

bool time_parse_rfc3339(struct str s, int64_t *ret_us)
{
	int64_t days;
	int of_day, offset, fraction_us;
	char t;
	bool leap;
	if (!take_date(&s, &days) || !take_any(&s, "Tt", &t) || !take_time(&s, &of_day, &leap) ||
	    !take_fraction(&s, &fraction_us) || !take_offset(&s, &offset) || s.len)
		return false;
	int64_t seconds = days * SEC_PER_DAY + of_day - offset;
	/* A leap second, which the Unix clock does not have, only ever ends a UTC day. */
	if (leap && floor_div(seconds, SEC_PER_DAY) * SEC_PER_DAY != seconds)
		return false;
	*ret_us = seconds * USEC_PER_SEC + fraction_us;
	return true;
}

/* "µs" is written with U+00B5 (micro sign) or U+03BC (Greek mu). */
static const struct unit {
	const char *name;
	uint64_t ns;
} UNITS[] = {
	{"ns", 1},
	{"us", 1000},
	{"\u00b5s", 1000},
	{"\u03bcs", 1000},
	{"ms", 1000 * 1000},
	{"s", 1000 * 1000 * 1000},
	{"m", UINT64_C(60) * 1000 * 1000 * 1000},
	{"h", UINT64_C(3600) * 1000 * 1000 * 1000},
};

/* A unit reaches to the next digit or point, as in Go. */
static const struct unit *take_unit(struct str *s)
{
	size_t n = 0;
	while (n < s->len && s->ptr[n] != '.' && (s->ptr[n] < '0' || s->ptr[n] > '9'))
		n++;
	struct str name = {s->ptr, n};
	for (const struct unit *u = UNITS; u < UNITS + ARRAY_SIZE(UNITS); u++) {
		if (str_is(name, u->name)) {
			*s = (struct str){s->ptr + n, s->len - n};
			return u;
		}
	}
	return NULL;
}

/* Digits after a point, as value / scale; what is too fine to matter is left out. */
static bool take_decimals(struct str *s, uint64_t *ret_value, uint64_t *ret_scale)
{
	size_t n = count_digits(*s);
	*ret_value = 0;
	*ret_scale = 1;
	for (size_t i = 0; i < MIN(n, (size_t)18); i++) {
		*ret_value = *ret_value * 10 + (uint64_t)(s->ptr[i] - '0');
		*ret_scale *= 10;
	}
	*s = (struct str){s->ptr + n, s->len - n};
	return n;
}

/* One "1.5h" of a duration. */
static bool take_part(struct str *s, uint64_t *ret_ns)
{
	size_t digits = count_digits(*s);
	uint64_t whole = 0, decimals = 0, scale = 1;
	if (digits && !str_to_u64((struct str){s->ptr, digits}, &whole))
		return false;
	*s = (struct str){s->ptr + digits, s->len - digits};
	char point;
	bool any = take_any(s, ".", &point) && take_decimals(s, &decimals, &scale);
	const struct unit *unit = digits || any ? take_unit(s) : NULL;
	if (!unit || __builtin_mul_overflow(whole, unit->ns, ret_ns))
		return false;
	uint64_t fraction = (uint64_t)((unsigned __int128)decimals * unit->ns / scale);
	return !__builtin_add_overflow(*ret_ns, fraction, ret_ns);
}

bool duration_parse(struct str s, int64_t *ret_us)
{
	char sign = '+';
	take_any(&s, "+-", &sign);
	if (str_is(s, "0")) {
		*ret_us = 0;
		return true;
	}
	if (s.len == 0)
		return false;
	uint64_t ns = 0, part;
	/* Go counts nanoseconds in an int64: what does not fit there is no duration. */
	uint64_t max = (uint64_t)INT64_MAX + (sign == '-');
	while (s.len)
		if (!take_part(&s, &part) || __builtin_add_overflow(ns, part, &ns) || ns > max)
			return false;
	int64_t us = (int64_t)(ns / NSEC_PER_USEC);
	*ret_us = sign == '-' ? -us : us;
	return true;
}

/* value / scale without trailing zeros: "1.5". */
static void add_decimal(struct buf *b, uint64_t value, uint64_t scale)
{
	buf_printf(b, "%lu", (unsigned long)(value / scale));
	uint64_t rest = value % scale;
	if (rest)
		buf_addc(b, '.');
	while (rest) {
		scale /= 10;
		buf_addc(b, (char)('0' + rest / scale));
		rest %= scale;
	}
}

void duration_add(struct buf *b, int64_t us)
{
	uint64_t n = us < 0 ? 0 - (uint64_t)us : (uint64_t)us;
	uint64_t sec = (uint64_t)USEC_PER_SEC, minutes = n / (60 * sec), hours = minutes / 60;
	if (us < 0)
		buf_addc(b, '-');
	if (n == 0 || n >= sec) {
		if (hours)
			buf_printf(b, "%luh", (unsigned long)hours);
		if (minutes)
			buf_printf(b, "%lum", (unsigned long)(minutes % 60));
		add_decimal(b, n % (60 * sec), sec);
		buf_adds(b, "s");
	} else if (n >= (uint64_t)USEC_PER_MSEC) {
		add_decimal(b, n, (uint64_t)USEC_PER_MSEC);
		buf_adds(b, "ms");
	} else {
		add_decimal(b, n, 1);
		buf_adds(b, "\u00b5s");
	}
}

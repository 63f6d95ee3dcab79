#include <math.h>
#include <time.h>

#include "json/private.h"

/* Protobuf's ranges: 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z, and 10,000 years. */
#define MAX_DURATION INT64_C(315576000000)
enum { NANOS = 1000000000 };

/* A fraction of 0, 3, 6 or 9 digits. */
static void add_nanos(struct buf *b, int32_t nanos)
{
	if (nanos == 0)
		return;
	if (nanos % 1000000 == 0)
		buf_printf(b, ".%03d", nanos / 1000000);
	else if (nanos % 1000 == 0)
		buf_printf(b, ".%06d", nanos / 1000);
	else
		buf_printf(b, ".%09d", nanos);
}

bool timestamp_write(struct buf *b, int64_t seconds, int32_t nanos)
{
	time_t t = seconds;
	struct tm tm;

	if (seconds < TIME_FIRST_SECOND || seconds > TIME_LAST_SECOND || nanos < 0 || nanos >= NANOS)
		return false;
	gmtime_r(&t, &tm);
	buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
		   tm.tm_min, tm.tm_sec);
	add_nanos(b, nanos);
	buf_addc(b, 'Z');
	return true;
}

bool duration_write(struct buf *b, int64_t seconds, int32_t nanos)
{
	if (seconds < -MAX_DURATION || seconds > MAX_DURATION || nanos <= -NANOS || nanos >= NANOS ||
	    (seconds < 0 && nanos > 0) || (seconds > 0 && nanos < 0))
		return false;
	if (seconds < 0 || nanos < 0)
		buf_addc(b, '-');
	buf_printf(b, "%lld", (long long)llabs(seconds));
	add_nanos(b, abs(nanos));
	buf_addc(b, 's');
	return true;
}

/* `n` digits, cut from *s. */
static bool digits(struct str *s, size_t n, int64_t *ret)
{
	int64_t v = 0;

	if (s->len < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s->ptr[i] < '0' || s->ptr[i] > '9')
			return false;
		v = v * 10 + s->ptr[i] - '0';
	}
	*s = (struct str){s->ptr + n, s->len - n};
	*ret = v;
	return true;
}

static bool skip_char(struct str *s, const char *any_of)
{
	if (s->len == 0 || !s->ptr[0] || !strchr(any_of, s->ptr[0]))
		return false;
	*s = (struct str){s->ptr + 1, s->len - 1};
	return true;
}

/* ".5" up to 9 digits, cut from *s; nothing there is 0. */
static bool fraction(struct str *s, int32_t *ret)
{
	int64_t nanos = 0, digit;
	int n = 0;

	*ret = 0;
	if (!skip_char(s, "."))
		return true;
	for (; digits(s, 1, &digit); n++) {
		if (n == 9)
			return false;
		nanos = nanos * 10 + digit;
	}
	if (n == 0)
		return false;
	for (; n < 9; n++)
		nanos *= 10;
	*ret = (int32_t)nanos;
	return true;
}

static bool offset_read(struct str *s, int64_t *ret)
{
	int64_t hours, minutes;

	*ret = 0;
	if (skip_char(s, "Z"))
		return true;
	int sign = s->len && s->ptr[0] == '-' ? -1 : 1;
	if (!skip_char(s, "+-") || !digits(s, 2, &hours) || !skip_char(s, ":") || !digits(s, 2, &minutes) ||
	    hours > 23 || minutes > 59)
		return false;
	*ret = sign * (hours * 3600 + minutes * 60);
	return true;
}

bool timestamp_read(struct str s, int64_t *ret_seconds, int32_t *ret_nanos)
{
	int64_t year, month, day, hour, minute, second, offset;
	int32_t nanos;

	if (!digits(&s, 4, &year) || !skip_char(&s, "-") || !digits(&s, 2, &month) || !skip_char(&s, "-") ||
	    !digits(&s, 2, &day) || !skip_char(&s, "T") || !digits(&s, 2, &hour) || !skip_char(&s, ":") ||
	    !digits(&s, 2, &minute) || !skip_char(&s, ":") || !digits(&s, 2, &second) || !fraction(&s, &nanos) ||
	    !offset_read(&s, &offset) || s.len > 0 || hour > 23 || minute > 59 || second > 59)
		return false;
	struct tm tm = {.tm_year = (int)year - 1900,
			.tm_mon = (int)month - 1,
			.tm_mday = (int)day,
			.tm_hour = (int)hour,
			.tm_min = (int)minute,
			.tm_sec = (int)second};
	int64_t seconds = timegm(&tm) - offset;
	if (tm.tm_mday != day || tm.tm_mon + 1 != month || seconds < TIME_FIRST_SECOND || seconds > TIME_LAST_SECOND)
		return false; /* 30 February and the like: timegm would move them */
	*ret_seconds = seconds;
	*ret_nanos = nanos;
	return true;
}

bool duration_read(struct str s, int64_t *ret_seconds, int32_t *ret_nanos)
{
	bool negative = skip_char(&s, "-");
	int64_t seconds = 0, digit;
	size_t n = 0;
	int32_t nanos;

	for (; n < 13 && digits(&s, 1, &digit); n++)
		seconds = seconds * 10 + digit;
	if (n == 0 || !fraction(&s, &nanos) || !skip_char(&s, "s") || s.len > 0 || seconds > MAX_DURATION)
		return false;
	*ret_seconds = negative ? -seconds : seconds;
	*ret_nanos = negative ? -nanos : nanos;
	return true;
}

static size_t skip_digits(struct str s, size_t i)
{
	while (i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9')
		i++;
	return i;
}

bool number_ok(struct str s)
{
	size_t i = s.len && s.ptr[0] == '-', start = i;

	i = skip_digits(s, i);
	if (i == start || (s.ptr[start] == '0' && i > start + 1))
		return false;
	if (i < s.len && s.ptr[i] == '.') {
		start = ++i;
		if ((i = skip_digits(s, i)) == start)
			return false;
	}
	if (i < s.len && (s.ptr[i] == 'e' || s.ptr[i] == 'E')) {
		i++;
		if (i < s.len && (s.ptr[i] == '+' || s.ptr[i] == '-'))
			i++;
		start = i;
		if ((i = skip_digits(s, i)) == start)
			return false;
	}
	return i == s.len;
}

/* 1e3 and 5.0 are integers too. A long double holds every 64-bit integer exactly. */
static bool integer_read(struct str s, int64_t min, uint64_t max, uint64_t *ret)
{
	int64_t i;

	if (min < 0 && str_to_i64(s, &i)) {
		*ret = (uint64_t)i;
		return i >= min && (i < 0 || (uint64_t)i <= max);
	}
	if (str_to_u64(s, ret))
		return *ret <= max;
	auto_mem char *text = x_strndup(s.ptr, s.len);
	long double d = strtold(text, NULL);
	if (d != truncl(d) || d < (long double)min || d > (long double)max)
		return false;
	*ret = d < 0 ? (uint64_t)(int64_t)d : (uint64_t)d;
	return true;
}

static const char *real_read(ProtobufCType type, struct str s, void *ret)
{
	static const struct {
		const char *name;
		double value;
	} names[] = {{"NaN", NAN}, {"Infinity", INFINITY}, {"-Infinity", -INFINITY}};
	double d;
	size_t i = 0;

	while (i < ARRAY_SIZE(names) && !str_is(s, names[i].name))
		i++;
	if (i < ARRAY_SIZE(names))
		d = names[i].value;
	else if (!number_ok(s))
		return "a number is expected";
	else if (!str_to_double(s, &d) || (type == PROTOBUF_C_TYPE_FLOAT && isinf((float)d)))
		return "the number is out of range";
	if (type == PROTOBUF_C_TYPE_FLOAT)
		*(float *)ret = (float)d;
	else
		*(double *)ret = d;
	return NULL;
}

static const char *bool_read(struct str s, void *ret)
{
	if (!str_is(s, "true") && !str_is(s, "false"))
		return "true or false is expected";
	*(protobuf_c_boolean *)ret = s.len == 4;
	return NULL;
}

const char *number_read(ProtobufCType type, struct str s, void *ret)
{
	static const struct {
		bool is;
		uint8_t size;
		int64_t min;
		uint64_t max;
	} ints[] = {
		[PROTOBUF_C_TYPE_INT32] = {true, 4, INT32_MIN, INT32_MAX},
		[PROTOBUF_C_TYPE_SINT32] = {true, 4, INT32_MIN, INT32_MAX},
		[PROTOBUF_C_TYPE_SFIXED32] = {true, 4, INT32_MIN, INT32_MAX},
		[PROTOBUF_C_TYPE_ENUM] = {true, 4, INT32_MIN, INT32_MAX},
		[PROTOBUF_C_TYPE_UINT32] = {true, 4, 0, UINT32_MAX},
		[PROTOBUF_C_TYPE_FIXED32] = {true, 4, 0, UINT32_MAX},
		[PROTOBUF_C_TYPE_INT64] = {true, 8, INT64_MIN, INT64_MAX},
		[PROTOBUF_C_TYPE_SINT64] = {true, 8, INT64_MIN, INT64_MAX},
		[PROTOBUF_C_TYPE_SFIXED64] = {true, 8, INT64_MIN, INT64_MAX},
		[PROTOBUF_C_TYPE_UINT64] = {true, 8, 0, UINT64_MAX},
		[PROTOBUF_C_TYPE_FIXED64] = {true, 8, 0, UINT64_MAX},
	};
	uint64_t v;

	if (type == PROTOBUF_C_TYPE_BOOL)
		return bool_read(s, ret);
	if (type >= ARRAY_SIZE(ints) || !ints[type].is)
		return real_read(type, s, ret);
	if (!number_ok(s))
		return "an integer is expected";
	if (!integer_read(s, ints[type].min, ints[type].max, &v))
		return "an integer within the type's range is expected";
	memcpy(ret, &v, ints[type].size); /* little endian, as all that Alula runs on */
	return NULL;
}

bool enum_read(const ProtobufCEnumDescriptor *desc, struct str name, int *ret)
{
	for (unsigned i = 0; i < desc->n_value_names; i++)
		if (str_is(name, desc->values_by_name[i].name)) {
			*ret = desc->values[desc->values_by_name[i].index].value;
			return true;
		}
	return false;
}

const char *bytes_read(struct str s, struct arena *a, ProtobufCBinaryData *ret)
{
	auto_buf struct buf b = {0};

	if (!base64_decode(&b, s))
		return "base64 is expected";
	*ret = (ProtobufCBinaryData){.len = b.len, .data = b.len ? arena_dup(a, b.data, b.len) : NULL};
	return NULL;
}

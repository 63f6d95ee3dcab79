#include "flyte/cron.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/time.h"

struct field {
	unsigned min, max;
	const char *names; /* three letters each, the first is `first` */
	unsigned first;
};

static const struct field FIELDS[] = {
	{.min = 0, .max = 59}, /* minutes */
	{.min = 0, .max = 23}, /* hours */
	{.min = 1, .max = 31}, /* days of the month */
	{.min = 1, .max = 12, .names = "janfebmaraprmayjunjulaugsepoctnovdec", .first = 1},
	{.min = 0, .max = 6, .names = "sunmontuewedthufrisat", .first = 0},
};

/* ---- fields ---- */

static enum code read_number(struct str s, unsigned *ret, struct err *err)
{
	int64_t n = 0;
	bool sign = s.len && s.ptr[0] == '+';
	struct str digits = {s.ptr + sign, s.len - sign};

	if (!str_to_i64(digits, &n) || n > INT32_MAX)
		return err_set(err, INVALID_ARGUMENT,
			       "failed to parse int from %.*s: strconv.Atoi: parsing \"%.*s\": invalid syntax",
			       STR_ARG(s), STR_ARG(s));
	if (n < 0)
		return err_set(err, INVALID_ARGUMENT, "negative number (%lld) not allowed: %.*s", (long long)n,
			       STR_ARG(s));
	*ret = (unsigned)n;
	return OK;
}

static enum code read_value(const struct field *f, struct str s, unsigned *ret, struct err *err)
{
	for (unsigned i = 0; s.len == 3 && f->names && f->names[3 * i]; i++) {
		if (strncasecmp(f->names + 3 * i, s.ptr, 3) != 0)
			continue;
		*ret = f->first + i;
		return OK;
	}
	return read_number(s, ret, err);
}

struct span {
	unsigned start, end, step;
};

/* "*", "?", "3" or "3-7" */
static enum code read_ends(const struct field *f, struct str ends, struct str whole, struct span *ret, bool *ret_single,
			   struct err *err)
{
	struct str rest = ends, low = str_cut(&rest, '-');

	*ret_single = !rest.ptr;
	if (str_is(low, "*") || str_is(low, "?")) {
		*ret = (struct span){f->min, f->max, 1};
		return OK;
	}
	enum code c = read_value(f, low, &ret->start, err);
	ret->end = ret->start;
	if (c || !rest.ptr)
		return c;
	struct str high = str_cut(&rest, '-');
	if (rest.ptr)
		return err_set(err, INVALID_ARGUMENT, "too many hyphens: %.*s", STR_ARG(whole));
	return read_value(f, high, &ret->end, err);
}

static enum code check_span(const struct field *f, const struct span *s, struct str text, struct err *err)
{
	if (s->start < f->min)
		return err_set(err, INVALID_ARGUMENT, "beginning of range (%u) below minimum (%u): %.*s", s->start,
			       f->min, STR_ARG(text));
	if (s->end > f->max)
		return err_set(err, INVALID_ARGUMENT, "end of range (%u) above maximum (%u): %.*s", s->end, f->max,
			       STR_ARG(text));
	if (s->start > s->end)
		return err_set(err, INVALID_ARGUMENT, "beginning of range (%u) beyond end of range (%u): %.*s",
			       s->start, s->end, STR_ARG(text));
	if (s->step == 0)
		return err_set(err, INVALID_ARGUMENT, "step of range should be a positive number: %.*s", STR_ARG(text));
	return OK;
}

static enum code check_range(const struct field *f, struct str text, struct err *err)
{
	struct str rest = text, ends = str_cut(&rest, '/');
	struct span s = {.step = 1};
	bool single;
	enum code c = read_ends(f, ends, text, &s, &single, err);

	if (!c && rest.ptr) {
		struct str step = str_cut(&rest, '/');
		if (rest.ptr)
			return err_set(err, INVALID_ARGUMENT, "too many slashes: %.*s", STR_ARG(text));
		c = read_number(step, &s.step, err);
		s.end = single ? f->max : s.end;
	}
	return c ? c : check_span(f, &s, text, err);
}

static enum code check_fields(struct str text, struct err *err)
{
	struct str fields[ARRAY_SIZE(FIELDS)];
	size_t n = 0;
	enum code c = OK;

	for (size_t i = 0; i < text.len;) {
		size_t from = i;
		while (i < text.len && !isspace((unsigned char)text.ptr[i]))
			i++;
		if (i > from && n < ARRAY_SIZE(FIELDS))
			fields[n] = (struct str){text.ptr + from, i - from};
		n += i > from;
		i += i == from || i < text.len;
	}
	if (n != ARRAY_SIZE(FIELDS))
		return err_set(err, INVALID_ARGUMENT, "expected exactly %zu fields, found %zu: [%.*s]",
			       ARRAY_SIZE(FIELDS), n, STR_ARG(text));
	for (size_t i = 0; !c && i < n; i++)
		for (struct str rest = fields[i]; !c && rest.ptr;) {
			struct str range = str_cut(&rest, ',');
			if (range.len)
				c = check_range(&FIELDS[i], range, err);
		}
	return c;
}

/* ---- what stands for fields, or before them ---- */

static enum code check_descriptor(struct str text, struct err *err)
{
	static const char *const KNOWN[] = {"@yearly", "@annually", "@monthly", "@weekly",
					    "@daily",  "@midnight", "@hourly"};
	static const char EVERY[] = "@every ";
	int64_t us;

	for (size_t i = 0; i < ARRAY_SIZE(KNOWN); i++)
		if (str_is(text, KNOWN[i]))
			return OK;
	if (!str_starts(text, EVERY))
		return err_set(err, INVALID_ARGUMENT, "unrecognized descriptor: %.*s", STR_ARG(text));
	struct str duration = {text.ptr + sizeof EVERY - 1, text.len - (sizeof EVERY - 1)};
	if (duration_parse(duration, &us))
		return OK;
	return err_set(err, INVALID_ARGUMENT, "failed to parse duration %.*s: time: invalid duration \"%.*s\"",
		       STR_ARG(text), STR_ARG(duration));
}

static bool known_zone(struct str zone)
{
	char path[256];

	if (!zone.len || str_is(zone, "UTC") || str_is(zone, "Local"))
		return true;
	if (zone.len > 100 || zone.ptr[0] == '/' || zone.ptr[0] == '\\' || memmem(zone.ptr, zone.len, "..", 2))
		return false;
	snprintf(path, sizeof path, "/usr/share/zoneinfo/%.*s", STR_ARG(zone));
	return access(path, R_OK) == 0;
}

/* "TZ=Europe/Berlin 0 8 * * *" */
static enum code take_zone(struct str *text, struct err *err)
{
	if (!str_starts(*text, "TZ=") && !str_starts(*text, "CRON_TZ="))
		return OK;
	struct str rest = *text, first = str_cut(&rest, ' ');
	struct str zone = first;
	str_cut(&zone, '=');
	if (!known_zone(zone))
		return err_set(err, INVALID_ARGUMENT, "provided bad location %.*s: unknown time zone %.*s",
			       STR_ARG(zone), STR_ARG(zone));
	*text = str_trim(rest.ptr ? rest : STR(""));
	return OK;
}

enum code cron_check(const char *text, struct err *err)
{
	struct str s = str_of(text);

	if (!s.len)
		return err_set(err, INVALID_ARGUMENT, "empty spec string");
	enum code c = take_zone(&s, err);
	if (c)
		return c;
	return s.len && s.ptr[0] == '@' ? check_descriptor(s, err) : check_fields(s, err);
}

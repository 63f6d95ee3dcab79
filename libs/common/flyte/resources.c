#include "flyte/resources.h"

#include <stdio.h>

#include "base/base.h"
#include "pb/pb.h"

enum { MAX_DIGITS = 30, NANO_PLACES = 9, MAX_EXPONENT = 18 };
#define NANO ((__int128)1000000000)

/* ---- quantities ---- */

static const struct suffix {
	const char *name;
	int two, ten; /* times 2^two * 10^ten */
} SUFFIXES[] = {
	{"", 0, 0},    {"n", 0, -9},  {"u", 0, -6},  {"m", 0, -3},  {"k", 0, 3},   {"M", 0, 6},
	{"G", 0, 9},   {"T", 0, 12},  {"P", 0, 15},  {"E", 0, 18},  {"Ki", 10, 0}, {"Mi", 20, 0},
	{"Gi", 30, 0}, {"Ti", 40, 0}, {"Pi", 50, 0}, {"Ei", 60, 0},
};

static bool is_exponent(const char *s)
{
	if (*s != 'e' && *s != 'E')
		return false;
	s += 1 + (s[1] == '+' || s[1] == '-');
	size_t digits = strspn(s, "0123456789");
	return digits && !s[digits];
}

bool is_quantity(const char *s)
{
	s += *s == '+' || *s == '-';
	size_t whole = strspn(s, "0123456789"), fraction = 0;
	s += whole;
	if (*s == '.') {
		fraction = strspn(++s, "0123456789");
		s += fraction;
	}
	if (!whole && !fraction)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(SUFFIXES); i++)
		if (strcmp(s, SUFFIXES[i].name) == 0)
			return true;
	return is_exponent(s);
}

static bool read_suffix(struct str s, int *ret_two, int *ret_ten)
{
	int64_t exponent;

	for (size_t i = 0; i < ARRAY_SIZE(SUFFIXES); i++) {
		if (!str_is(s, SUFFIXES[i].name))
			continue;
		*ret_two = SUFFIXES[i].two;
		*ret_ten = SUFFIXES[i].ten;
		return true;
	}
	if (s.len < 2 || (s.ptr[0] != 'e' && s.ptr[0] != 'E'))
		return false;
	struct str digits = {s.ptr + 1 + (s.ptr[1] == '+'), s.len - 1 - (s.ptr[1] == '+')};
	if (!str_to_i64(digits, &exponent) || exponent < -MAX_EXPONENT || exponent > MAX_EXPONENT)
		return false;
	*ret_two = 0;
	*ret_ten = (int)exponent;
	return true;
}

/* Digits without their point, and how many stood behind it; false for none or too many. */
static bool read_digits(const char **p, __int128 *ret, int *ret_places)
{
	int digits = 0;
	bool point = false;

	*ret = 0;
	*ret_places = 0;
	for (; **p == '.' || (**p >= '0' && **p <= '9'); (*p)++) {
		if (**p == '.' && point)
			return false;
		if (**p == '.') {
			point = true;
			continue;
		}
		if (++digits > MAX_DIGITS)
			return false;
		*ret = *ret * 10 + (**p - '0');
		*ret_places += point;
	}
	return digits > 0;
}

bool quantity_read(const char *text, struct quantity *ret)
{
	const __int128 max = (__int128)INT64_MAX * NANO;
	int places, two, ten;
	__int128 value;
	bool negative = *text == '-';
	const char *p = text + (*text == '-' || *text == '+');

	if (!read_digits(&p, &value, &places) || !read_suffix(str_of(p), &two, &ten))
		return false;
	for (ten += NANO_PLACES - places; ten < 0; ten++)
		value = (value + 9) / 10;
	for (; ten > 0 && value <= max; ten--)
		value *= 10;
	for (; two > 0 && value <= max; two--)
		value *= 2;
	/* What is more than an int64 can hold is that: more than anybody has. */
	value = MIN(value, max);
	*ret = (struct quantity){negative ? -value : value, strchr(p, 'i') != NULL};
	return true;
}

static const char *with_suffix(__int128 value, const char *suffix, struct arena *a)
{
	return arena_printf(a, "%lld%s", (long long)value, suffix);
}

const char *quantity_text(struct quantity q, struct arena *a)
{
	static const char *const BINARY[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
	static const char *const DECIMAL[] = {"n", "u", "m", "", "k", "M", "G", "T", "P", "E"};
	__int128 value = q.nano;
	size_t i = 0;

	if (value == 0)
		return "0";
	if (q.binary && value % NANO == 0 && value / NANO >= 1024) {
		for (value /= NANO; value % 1024 == 0 && i + 1 < ARRAY_SIZE(BINARY); i++)
			value /= 1024;
		return with_suffix(value, BINARY[i], a);
	}
	for (; (value % 1000 == 0 || value > INT64_MAX) && i + 1 < ARRAY_SIZE(DECIMAL); i++)
		value = (value + 999) / 1000;
	return with_suffix(value, DECIMAL[i], a);
}

/* Go's Quantity.Value(): whole units, rounded up. */
static __int128 whole(struct quantity q)
{
	return q.nano >= 0 ? (q.nano + NANO - 1) / NANO : q.nano / NANO;
}

/* ---- what a task asks for, what a platform allows ---- */

#define RESOURCE(name) CORE_RESOURCES_RESOURCE_NAME_##name

static const struct kind {
	CoreResourcesResourceName name;
	const char *text;
	size_t of_platform; /* a text in a TaskResourceSpec */
	bool always;        /* a task has it even if nobody asks for it */
} KINDS[] = {
	{RESOURCE(CPU), "CPU", offsetof(AdminTaskResourceSpec, cpu), true},
	{RESOURCE(MEMORY), "MEMORY", offsetof(AdminTaskResourceSpec, memory), true},
	{RESOURCE(EPHEMERAL_STORAGE), "EPHEMERAL_STORAGE", offsetof(AdminTaskResourceSpec, ephemeral_storage), false},
	{RESOURCE(GPU), "GPU", offsetof(AdminTaskResourceSpec, gpu), false},
};

static struct quantity of_platform(const AdminTaskResourceSpec *spec, const struct kind *k)
{
	struct quantity q;
	const char *text = spec ? *(char *const *)((const char *)spec + k->of_platform) : "";

	return *text && quantity_read(text, &q) ? q : (struct quantity){0};
}

/* The amount asked for; false if there is none. The last entry of a resource counts. */
static bool asked(CoreResourcesResourceEntry *const *entries, size_t n, const struct kind *k, struct quantity *ret)
{
	bool found = false;

	*ret = (struct quantity){0};
	for (size_t i = 0; i < n; i++)
		if (entries[i]->name == k->name)
			found |= quantity_read(entries[i]->value, ret);
	return found;
}

static enum code check_entries(const CoreIdentifier *task, CoreResourcesResourceEntry *const *entries, size_t n,
			       struct err *err)
{
	bool seen[ARRAY_SIZE(KINDS)] = {0};
	struct quantity q;

	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(KINDS); k++) {
			if (entries[i]->name != KINDS[k].name)
				continue;
			if (seen[k])
				return err_set(err, INVALID_ARGUMENT,
					       "can't specify %s limit for task [%s] multiple times", KINDS[k].text,
					       task->name);
			seen[k] = true;
			if (KINDS[k].name == RESOURCE(GPU) && quantity_read(entries[i]->value, &q) && q.nano % NANO)
				return err_set(err, INVALID_ARGUMENT,
					       "gpu for [%s] must be a whole number, got: %s instead", task->name,
					       entries[i]->value);
		}
	}
	return OK;
}

static enum code above_platform(const struct kind *k, const char *what, struct quantity q, struct quantity limit,
				struct arena *a, struct err *err)
{
	return err_set(err, INVALID_ARGUMENT,
		       "Requested %s %s [%s] is greater than current limit set in the platform configuration [%s]. "
		       "Please contact Flyte Admins to change these limits or consult the configuration",
		       k->text, what, quantity_text(q, a), quantity_text(limit, a));
}

static enum code check_kind(const CoreIdentifier *task, const CoreResources *r, const struct kind *k,
			    struct quantity platform, struct arena *a, struct err *err)
{
	struct quantity request, limit;
	bool gpu = k->name == RESOURCE(GPU);

	if (!asked(r->requests, r->n_requests, k, &request))
		return OK;
	bool limited = asked(r->limits, r->n_limits, k, &limit);
	if (gpu && limited && whole(request) != whole(limit))
		return err_set(err, INVALID_ARGUMENT,
			       "For extended resource 'gpu' the default value must equal the limit value for task [%s]",
			       task->name);
	if (!gpu && limited && whole(limit) < whole(request))
		return err_set(
			err, INVALID_ARGUMENT,
			"Requested %s default [%s] is greater than the limit [%s]. Please fix your configuration",
			k->text, quantity_text(request, a), quantity_text(limit, a));
	if (!gpu && limited && platform.nano && whole(limit) > whole(platform))
		return above_platform(k, "limit", limit, platform, a, err);
	if (platform.nano && whole(request) > whole(platform))
		return above_platform(k, "default", request, platform, a, err);
	return OK;
}

enum code resources_check(const CoreIdentifier *task, const CoreResources *resources,
			  const struct platform_resources *platform, struct arena *a, struct err *err)
{
	enum code c = OK;

	if (!resources)
		return OK;
	c = check_entries(task, resources->requests, resources->n_requests, err);
	if (!c)
		c = check_entries(task, resources->limits, resources->n_limits, err);
	for (size_t i = 0; !c && i < ARRAY_SIZE(KINDS); i++)
		c = check_kind(task, resources, &KINDS[i], of_platform(platform->limits, &KINDS[i]), a, err);
	return c;
}

/* ---- what it gets ---- */

static struct quantity at_most(struct quantity value, struct quantity limit)
{
	return value.nano && limit.nano && value.nano > limit.nano ? limit : value;
}

static CoreResourcesResourceEntry *entry(const struct kind *k, struct quantity q, struct arena *a)
{
	CoreResourcesResourceEntry *e = pb_new(a, CORE_RESOURCES_RESOURCE_ENTRY_DESC);

	e->name = k->name;
	e->value = (char *)quantity_text(q, a);
	return e;
}

CoreResources *resources_adjust(const CoreResources *resources, const struct platform_resources *platform,
				struct arena *a)
{
	static const CoreResources NONE = CORE_RESOURCES_INIT;
	const CoreResources *from = resources ? resources : &NONE;
	CoreResources *ret = pb_new(a, CORE_RESOURCES_DESC);

	for (size_t i = 0; i < ARRAY_SIZE(KINDS); i++) {
		const struct kind *k = &KINDS[i];
		struct quantity request, limit, most = of_platform(platform->limits, k);
		asked(from->requests, from->n_requests, k, &request);
		asked(from->limits, from->n_limits, k, &limit);
		if (!request.nano)
			request = limit.nano ? limit : of_platform(platform->defaults, k);
		if (!request.nano && !limit.nano && !k->always)
			continue;
		limit = at_most(limit.nano ? limit : request, most);
		request = at_most(at_most(request, most), limit);
		*PB_ADD(a, ret->requests, ret->n_requests) = entry(k, request, a);
		*PB_ADD(a, ret->limits, ret->n_limits) = entry(k, limit, a);
	}
	return ret;
}

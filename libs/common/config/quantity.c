#include "private.h"

/* Decimal places of the mantissa beyond these are dropped, rounding up. */
enum { MAX_DIGITS = 18, MAX_EXPONENT = 30 };

static const struct suffix {
	const char *name;
	int two, ten; /* times 2^two * 10^ten */
} SUFFIXES[] = {
	{"", 0, 0},   {"Ki", 10, 0}, {"Mi", 20, 0}, {"Gi", 30, 0}, {"Ti", 40, 0}, {"Pi", 50, 0}, {"Ei", 60, 0},
	{"m", 0, -3}, {"k", 0, 3},   {"M", 0, 6},   {"G", 0, 9},   {"T", 0, 12},  {"P", 0, 15},  {"E", 0, 18},
};

static bool find_suffix(struct str s, int *ret_two, int *ret_ten)
{
	for (const struct suffix *x = SUFFIXES; x < SUFFIXES + ARRAY_SIZE(SUFFIXES); x++) {
		if (str_is(s, x->name)) {
			*ret_two = x->two;
			*ret_ten = x->ten;
			return true;
		}
	}
	int64_t exponent;
	if (s.len < 2 || (s.ptr[0] != 'e' && s.ptr[0] != 'E'))
		return false;
	if (!str_to_i64((struct str){s.ptr + 1, s.len - 1}, &exponent) || exponent < -MAX_EXPONENT ||
	    exponent > MAX_EXPONENT)
		return false;
	*ret_two = 0;
	*ret_ten = (int)exponent;
	return true;
}

/* Digits with at most one point: their value without the point, and how many stood behind it. */
static bool take_mantissa(struct str *s, uint64_t *ret, int *ret_places)
{
	size_t i = 0, digits = 0;
	bool point = false;
	*ret = 0;
	*ret_places = 0;
	for (; i < s->len && (s->ptr[i] == '.' || (s->ptr[i] >= '0' && s->ptr[i] <= '9')); i++) {
		if (s->ptr[i] == '.' && point)
			return false;
		if (s->ptr[i] == '.') {
			point = true;
			continue;
		}
		if (++digits > MAX_DIGITS)
			return false;
		*ret = *ret * 10 + (uint64_t)(s->ptr[i] - '0');
		*ret_places += point;
	}
	*s = (struct str){s->ptr + i, s->len - i};
	return digits > 0;
}

bool quantity_parse(struct str s, int64_t *ret)
{
	uint64_t mantissa;
	int places, two, ten;
	bool negative = s.len && s.ptr[0] == '-';
	if (s.len && (s.ptr[0] == '-' || s.ptr[0] == '+'))
		s = (struct str){s.ptr + 1, s.len - 1};
	if (!take_mantissa(&s, &mantissa, &places) || !find_suffix(s, &two, &ten))
		return false;
	ten -= places;
	unsigned __int128 value = (unsigned __int128)mantissa << two;
	for (; ten > 0; ten--) {
		if (value > INT64_MAX)
			return false;
		value *= 10;
	}
	for (; ten < 0; ten++)
		value = (value + 9) / 10;
	if (value > INT64_MAX)
		return false;
	*ret = negative ? -(int64_t)value : (int64_t)value;
	return true;
}

void quantity_add(struct buf *b, int64_t bytes)
{
	static const char *const NAMES[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
	size_t i = 0;
	while (i + 1 < ARRAY_SIZE(NAMES) && bytes && bytes % 1024 == 0) {
		bytes /= 1024;
		i++;
	}
	buf_printf(b, "%lld%s", (long long)bytes, NAMES[i]);
}

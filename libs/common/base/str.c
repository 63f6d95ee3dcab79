#include "base/str.h"

#include <stdlib.h>

#include "base/mem.h"

bool str_starts(struct str s, const char *prefix)
{
	size_t n = strlen(prefix);
	return s.len >= n && (n == 0 || memcmp(s.ptr, prefix, n) == 0);
}

bool str_ends(struct str s, const char *suffix)
{
	size_t n = strlen(suffix);
	return s.len >= n && (n == 0 || memcmp(s.ptr + s.len - n, suffix, n) == 0);
}

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_trim(struct str s)
{
	while (s.len && is_blank(s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	while (s.len && is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

struct str str_cut(struct str *rest, char sep)
{
	struct str part = *rest;
	const char *at = part.len ? memchr(part.ptr, sep, part.len) : NULL;
	if (!at) {
		*rest = (struct str){0};
		return part;
	}
	part.len = (size_t)(at - part.ptr);
	*rest = (struct str){at + 1, rest->len - part.len - 1};
	return part;
}

bool str_to_u64(struct str s, uint64_t *ret)
{
	uint64_t n = 0;
	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		unsigned digit = (unsigned char)s.ptr[i] - (unsigned)'0';
		if (digit > 9 || __builtin_mul_overflow(n, UINT64_C(10), &n) ||
		    __builtin_add_overflow(n, (uint64_t)digit, &n))
			return false;
	}
	*ret = n;
	return true;
}

bool str_to_i64(struct str s, int64_t *ret)
{
	bool negative = s.len && s.ptr[0] == '-';
	uint64_t n;
	if (negative)
		s = (struct str){s.ptr + 1, s.len - 1};
	if (!str_to_u64(s, &n) || n > (uint64_t)INT64_MAX + negative)
		return false;
	*ret = negative ? (int64_t)(0 - n) : (int64_t)n;
	return true;
}

bool str_to_double(struct str s, double *ret)
{
	if (s.len == 0)
		return false;
	/* strtod would also take blanks, hexadecimal, "inf" and "nan". */
	for (size_t i = 0; i < s.len; i++)
		if (!s.ptr[i] || !strchr("0123456789+-.eE", s.ptr[i]))
			return false;
	auto_mem char *text = x_strndup(s.ptr, s.len);
	char *end;
	double d = strtod(text, &end);
	if (*end || end == text || d > __DBL_MAX__ || d < -__DBL_MAX__)
		return false;
	*ret = d;
	return true;
}

/* By first byte: how many bytes follow, and what the second one may be (RFC 3629 section 4). */
static const struct lead {
	uint8_t first, last, follow, second_min, second_max;
} LEADS[] = {
	{0xc2, 0xdf, 1, 0x80, 0xbf}, {0xe0, 0xe0, 2, 0xa0, 0xbf}, {0xe1, 0xec, 2, 0x80, 0xbf},
	{0xed, 0xed, 2, 0x80, 0x9f}, {0xee, 0xef, 2, 0x80, 0xbf}, {0xf0, 0xf0, 3, 0x90, 0xbf},
	{0xf1, 0xf3, 3, 0x80, 0xbf}, {0xf4, 0xf4, 3, 0x80, 0x8f},
};

size_t utf8_len(const void *p, size_t len)
{
	const uint8_t *s = p;
	if (len == 0)
		return 0;
	if (s[0] < 0x80)
		return 1;
	for (const struct lead *l = LEADS; l < LEADS + ARRAY_SIZE(LEADS); l++) {
		if (s[0] < l->first || s[0] > l->last)
			continue;
		if (len <= l->follow || s[1] < l->second_min || s[1] > l->second_max)
			return 0;
		for (size_t i = 2; i <= l->follow; i++)
			if ((s[i] & 0xc0) != 0x80)
				return 0;
		return l->follow + 1u;
	}
	return 0;
}

bool utf8_valid(const void *p, size_t len)
{
	const uint8_t *s = p;
	while (len) {
		uint64_t eight;
		if (len >= sizeof eight && (memcpy(&eight, s, sizeof eight), !(eight & UINT64_C(0x8080808080808080)))) {
			s += sizeof eight;
			len -= sizeof eight;
			continue;
		}
		size_t n = utf8_len(s, len);
		if (n == 0)
			return false;
		s += n;
		len -= n;
	}
	return true;
}

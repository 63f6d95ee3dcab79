/* Objecthash: a hash of JSON by value. Every value is SHA-256 of a letter for its type and its content; lists and
 * objects hash the hashes of what they hold, objects in the order of their keys' hashes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "catalog_key.h"

enum { MAX_DEPTH = 1000 };

struct reader {
	const char *at, *end;
	int depth;
};

struct entry {
	uint8_t key[OBJECT_HASH_BYTES], value[OBJECT_HASH_BYTES];
};

static bool hash_value(struct reader *r, uint8_t ret[OBJECT_HASH_BYTES]);

static void hash_typed(char type, const void *p, size_t n, uint8_t ret[OBJECT_HASH_BYTES])
{
	struct hasher *h = hasher_sha256();

	hasher_add(h, &type, 1);
	hasher_add(h, p, n);
	hasher_finish(h, ret);
}

static void skip_blanks(struct reader *r)
{
	while (r->at < r->end && *r->at && strchr(" \t\r\n", *r->at))
		r->at++;
}

static bool next_is(struct reader *r, char c)
{
	skip_blanks(r);
	if (r->at == r->end || *r->at != c)
		return false;
	r->at++;
	return true;
}

static void add_utf8(struct buf *b, unsigned c)
{
	if (c < 0x80) {
		buf_addc(b, (char)c);
		return;
	}
	if (c < 0x800) {
		buf_addc(b, (char)(0xc0 | c >> 6));
	} else {
		if (c < 0x10000) {
			buf_addc(b, (char)(0xe0 | c >> 12));
		} else {
			buf_addc(b, (char)(0xf0 | c >> 18));
			buf_addc(b, (char)(0x80 | (c >> 12 & 0x3f)));
		}
		buf_addc(b, (char)(0x80 | (c >> 6 & 0x3f)));
	}
	buf_addc(b, (char)(0x80 | (c & 0x3f)));
}

static bool read_hex(struct reader *r, unsigned *ret)
{
	char digits[5] = "", *end;

	if (r->end - r->at < 4)
		return false;
	memcpy(digits, r->at, 4);
	*ret = (unsigned)strtoul(digits, &end, 16);
	r->at += 4;
	return end == digits + 4;
}

static bool read_escape(struct reader *r, struct buf *b)
{
	static const char NAMES[] = "\"\\/bfnrt", CHARACTERS[] = "\"\\/\b\f\n\r\t";
	char c = r->at < r->end ? *r->at++ : 0;
	const char *name = c ? strchr(NAMES, c) : NULL;
	unsigned unit, low;

	if (name) {
		buf_addc(b, CHARACTERS[name - NAMES]);
		return true;
	}
	if (c != 'u' || !read_hex(r, &unit))
		return false;
	if (unit >= 0xd800 && unit < 0xdc00) {
		if (r->end - r->at < 2 || r->at[0] != '\\' || r->at[1] != 'u')
			return false;
		r->at += 2;
		if (!read_hex(r, &low))
			return false;
		unit = 0x10000 + ((unit & 0x3ff) << 10) + (low & 0x3ff);
	}
	add_utf8(b, unit);
	return true;
}

/* Behind the opening quote. */
static bool hash_string(struct reader *r, uint8_t ret[OBJECT_HASH_BYTES])
{
	auto_buf struct buf b = {0};

	while (r->at < r->end && *r->at != '"')
		if (*r->at != '\\')
			buf_addc(&b, *r->at++);
		else if (r->at++, !read_escape(r, &b))
			return false;
	if (r->at == r->end)
		return false;
	r->at++;
	hash_typed('u', buf_text(&b), b.len, ret);
	return true;
}

static bool hash_list(struct reader *r, uint8_t ret[OBJECT_HASH_BYTES])
{
	auto_buf struct buf b = {0};
	uint8_t one[OBJECT_HASH_BYTES];
	bool more = !next_is(r, ']');

	while (more) {
		if (!hash_value(r, one))
			return false;
		buf_add(&b, one, sizeof one);
		more = next_is(r, ',');
		if (!more && !next_is(r, ']'))
			return false;
	}
	hash_typed('l', buf_text(&b), b.len, ret);
	return true;
}

static int compare_entries(const void *a, const void *b)
{
	return memcmp(a, b, OBJECT_HASH_BYTES);
}

static bool hash_object(struct reader *r, uint8_t ret[OBJECT_HASH_BYTES])
{
	auto_buf struct buf b = {0};
	struct entry e;
	bool more = !next_is(r, '}');

	while (more) {
		if (!next_is(r, '"') || !hash_string(r, e.key) || !next_is(r, ':') || !hash_value(r, e.value))
			return false;
		buf_add(&b, &e, sizeof e);
		more = next_is(r, ',');
		if (!more && !next_is(r, '}'))
			return false;
	}
	if (b.len)
		qsort(b.data, b.len / sizeof e, sizeof e, compare_entries);
	hash_typed('d', buf_text(&b), b.len, ret);
	return true;
}

/* A double as sign, exponent and the digits of a mantissa in (0.5, 1]. */
static void hash_double(double d, uint8_t ret[OBJECT_HASH_BYTES])
{
	auto_buf struct buf b = {0};
	double f = fabs(d);
	int exponent = 0;

	if (d == 0) {
		hash_typed('f', "+0:", 3, ret);
		return;
	}
	f = frexp(f, &exponent); /* [0.5, 1) */
	if (f == 0.5) {
		f = 1;
		exponent--;
	}
	buf_printf(&b, "%c%d:", d < 0 ? '-' : '+', exponent);
	for (; f != 0; f *= 2) {
		buf_addc(&b, f >= 1 ? '1' : '0');
		f -= f >= 1;
	}
	hash_typed('f', b.data, b.len, ret);
}

static bool hash_number(struct reader *r, uint8_t ret[OBJECT_HASH_BYTES])
{
	const char *start = r->at;
	double d;

	while (r->at < r->end && *r->at && strchr("+-0123456789.eE", *r->at))
		r->at++;
	if (!str_to_double((struct str){start, (size_t)(r->at - start)}, &d) || !isfinite(d))
		return false;
	hash_double(d, ret);
	return true;
}

static bool hash_word(struct reader *r, uint8_t ret[OBJECT_HASH_BYTES])
{
	static const struct {
		const char *word;
		char type;
		const char *content;
	} WORDS[] = {{"true", 'b', "1"}, {"false", 'b', "0"}, {"null", 'n', ""}};

	for (size_t i = 0; i < ARRAY_SIZE(WORDS); i++) {
		size_t n = strlen(WORDS[i].word);
		if ((size_t)(r->end - r->at) < n || memcmp(r->at, WORDS[i].word, n) != 0)
			continue;
		r->at += n;
		hash_typed(WORDS[i].type, WORDS[i].content, strlen(WORDS[i].content), ret);
		return true;
	}
	return hash_number(r, ret);
}

static bool hash_value(struct reader *r, uint8_t ret[OBJECT_HASH_BYTES])
{
	bool ok;

	if (r->depth == MAX_DEPTH)
		return false;
	r->depth++;
	if (next_is(r, '{'))
		ok = hash_object(r, ret);
	else if (next_is(r, '['))
		ok = hash_list(r, ret);
	else if (next_is(r, '"'))
		ok = hash_string(r, ret);
	else
		ok = hash_word(r, ret);
	r->depth--;
	return ok;
}

enum code object_hash(struct str json, uint8_t ret[OBJECT_HASH_BYTES], struct err *err)
{
	struct reader r = {json.ptr, json.ptr + json.len, 0};

	bool ok = hash_value(&r, ret);

	skip_blanks(&r);
	if (!ok || r.at != r.end)
		return err_set(err, INVALID_ARGUMENT, "no JSON at byte %zu", (size_t)(r.at - json.ptr));
	return OK;
}

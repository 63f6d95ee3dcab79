#include "engine/msgpack.h"

#include <string.h>

#include "base/base.h"
#include "flyte/types.h"
#include "pb/pb.h"

enum kind { BAD, NIL, TRUTH, UNSIGNED, SIGNED, REAL, TEXT, OPAQUE, ARRAY, MAP };

/* The first byte, the number behind it and the payload; not the items of arrays and maps. */
struct head {
	enum kind kind;
	uint64_t n; /* a scalar's bits, bytes of a text, items of an array, pairs of a map */
	size_t width;
	struct str text;
	size_t size;
};

/* First bytes from 0xc0 to 0xdf: kind, width of the number behind, and payload apart from what the number says. */
static const struct {
	uint8_t kind, width, more;
} FORMS[32] = {
	{NIL, 0, 0},      {BAD, 0, 0},      {TRUTH, 0, 0},    {TRUTH, 0, 0},    {OPAQUE, 1, 0}, {OPAQUE, 2, 0},
	{OPAQUE, 4, 0},   {OPAQUE, 1, 1},   {OPAQUE, 2, 1},   {OPAQUE, 4, 1},   {REAL, 4, 0},   {REAL, 8, 0},
	{UNSIGNED, 1, 0}, {UNSIGNED, 2, 0}, {UNSIGNED, 4, 0}, {UNSIGNED, 8, 0}, {SIGNED, 1, 0}, {SIGNED, 2, 0},
	{SIGNED, 4, 0},   {SIGNED, 8, 0},   {OPAQUE, 0, 2},   {OPAQUE, 0, 3},   {OPAQUE, 0, 5}, {OPAQUE, 0, 9},
	{OPAQUE, 0, 17},  {TEXT, 1, 0},     {TEXT, 2, 0},     {TEXT, 4, 0},     {ARRAY, 2, 0},  {ARRAY, 4, 0},
	{MAP, 2, 0},      {MAP, 4, 0},
};

/* First bytes that hold their number themselves. */
static struct head short_head(uint8_t b)
{
	if (b < 0x80)
		return (struct head){.kind = UNSIGNED, .n = b};
	if (b < 0x90)
		return (struct head){.kind = MAP, .n = b & 15};
	if (b < 0xa0)
		return (struct head){.kind = ARRAY, .n = b & 15};
	if (b < 0xc0)
		return (struct head){.kind = TEXT, .n = b & 31};
	return (struct head){.kind = SIGNED, .n = b, .width = 1};
}

static uint64_t big_endian(const char *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | (uint8_t)p[i];
	return v;
}

static bool read_head(struct str s, struct head *ret)
{
	if (s.len == 0)
		return false;
	uint8_t b = (uint8_t)s.ptr[0];
	bool formed = b >= 0xc0 && b < 0xe0;
	struct head h =
		formed ? (struct head){.kind = FORMS[b & 31].kind, .width = FORMS[b & 31].width} : short_head(b);
	size_t used = 1, payload = formed ? FORMS[b & 31].more : 0;

	if (formed) {
		if (s.len - used < h.width)
			return false;
		h.n = h.kind == TRUTH ? b & 1 : big_endian(s.ptr + 1, h.width);
		used += h.width;
	}
	if (h.kind == TEXT || h.kind == OPAQUE)
		payload += h.n;
	if (h.kind == BAD || payload > s.len - used)
		return false;
	h.text = (struct str){s.ptr + used, payload};
	h.size = used + payload;
	*ret = h;
	return true;
}

/* Bytes of `count` values one after another. */
static bool span(struct str s, uint64_t count, size_t *ret)
{
	size_t used = 0;
	struct head h;

	for (; count; count--) {
		if (!read_head((struct str){s.ptr + used, s.len - used}, &h))
			return false;
		used += h.size;
		count += h.kind == ARRAY ? h.n : h.kind == MAP ? 2 * h.n : 0;
	}
	*ret = used;
	return true;
}

/* The next value; *rest goes behind it. */
static bool next(struct str *rest, struct str *ret)
{
	size_t n;

	if (!span(*rest, 1, &n))
		return false;
	*ret = (struct str){rest->ptr, n};
	*rest = (struct str){rest->ptr + n, rest->len - n};
	return true;
}

static bool open_items(struct str value, enum kind kind, struct head *h, struct str *rest)
{
	if (!read_head(value, h) || h->kind != kind)
		return false;
	*rest = (struct str){value.ptr + h->size, value.len - h->size};
	return true;
}

bool msgpack_key(struct str value, const char *key, struct str *ret)
{
	struct head h, k;
	struct str rest, name, part;

	if (!open_items(value, MAP, &h, &rest))
		return false;
	for (uint64_t i = 0; i < h.n; i++) {
		if (!next(&rest, &name) || !next(&rest, &part) || !read_head(name, &k))
			return false;
		if (k.kind == TEXT && str_is(k.text, key)) {
			*ret = part;
			return true;
		}
	}
	return false;
}

bool msgpack_item(struct str value, int64_t at, struct str *ret)
{
	struct head h;
	struct str rest;

	if (!open_items(value, ARRAY, &h, &rest) || at < 0 || (uint64_t)at >= h.n)
		return false;
	for (int64_t i = 0; i <= at; i++)
		if (!next(&rest, ret))
			return false;
	return true;
}

/* ---- literals ---- */

static CoreLiteral *binary_literal(struct arena *a, struct str value)
{
	CoreLiteral *l = literal_of_scalar(a, CORE_SCALAR_VALUE_BINARY);

	l->scalar->binary = pb_new(a, CORE_BINARY_DESC);
	l->scalar->binary->tag = "msgpack";
	l->scalar->binary->value.data = arena_dup(a, value.ptr, value.len);
	l->scalar->binary->value.len = value.len;
	return l;
}

static int64_t signed_number(const struct head *h)
{
	unsigned shift = 64 - 8 * (unsigned)h->width;

	return h->kind == SIGNED ? (int64_t)(h->n << shift) >> shift : (int64_t)h->n;
}

static double real_number(const struct head *h)
{
	uint32_t bits = (uint32_t)h->n;
	float narrow;
	double wide;

	memcpy(&narrow, &bits, sizeof narrow);
	memcpy(&wide, &h->n, sizeof wide);
	return h->width == 4 ? (double)narrow : wide;
}

static CoreLiteral *array_literal(struct arena *a, struct str rest, uint64_t n)
{
	CoreLiteral *l = pb_new(a, CORE_LITERAL_DESC);
	struct str part;

	l->value_case = CORE_LITERAL_VALUE_COLLECTION;
	l->collection = pb_new(a, CORE_LITERAL_COLLECTION_DESC);
	l->collection->literals = arena_array(a, CoreLiteral *, (size_t)n);
	l->collection->n_literals = (size_t)n;
	for (uint64_t i = 0; i < n; i++) {
		if (!next(&rest, &part))
			return NULL;
		l->collection->literals[i] = binary_literal(a, part);
	}
	return l;
}

CoreLiteral *msgpack_literal(struct arena *a, struct str value)
{
	struct head h;
	CoreLiteral *l;
	size_t size;

	if (!read_head(value, &h) || !span(value, 1, &size))
		return NULL;
	switch (h.kind) {
	case TRUTH:
		l = literal_of_primitive(a, CORE_PRIMITIVE_VALUE_BOOLEAN);
		l->scalar->primitive->boolean = h.n != 0;
		return l;
	case UNSIGNED:
	case SIGNED:
		l = literal_of_primitive(a, CORE_PRIMITIVE_VALUE_INTEGER);
		l->scalar->primitive->integer = signed_number(&h);
		return l;
	case REAL:
		l = literal_of_primitive(a, CORE_PRIMITIVE_VALUE_FLOAT_VALUE);
		l->scalar->primitive->float_value = real_number(&h);
		return l;
	case TEXT:
		/* Else protobuf could not hold it. */
		if (!utf8_valid(h.text.ptr, h.text.len) || memchr(h.text.ptr, '\0', h.text.len))
			return binary_literal(a, (struct str){value.ptr, size});
		l = literal_of_primitive(a, CORE_PRIMITIVE_VALUE_STRING_VALUE);
		l->scalar->primitive->string_value = arena_strndup(a, h.text.ptr, h.text.len);
		return l;
	case ARRAY:
		/* span() has seen them all: no more than the bytes there are. */
		return array_literal(a, (struct str){value.ptr + h.size, size - h.size}, h.n);
	default: return binary_literal(a, (struct str){value.ptr, size});
	}
}

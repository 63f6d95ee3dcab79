#include "packed.h"

#include "base/base.h"
#include "pb/pb.h"

enum wire { WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_32 = 5 };
enum { MAP_ENTRY = 1, ENTRY_KEY = 1, ENTRY_VALUE = 2, COLLECTION_LITERAL = 1 };

/* ---- reading ---- */

static bool read_varint(struct str *rest, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64 && rest->len; shift += 7) {
		uint8_t b = (uint8_t)*rest->ptr++;
		rest->len--;
		v |= (uint64_t)(b & 127) << shift;
		if (b < 128) {
			*ret = v;
			return true;
		}
	}
	return false;
}

struct field {
	uint64_t number;
	bool bytes;
	struct str body; /* of bytes */
};

/* False at the end, with rest->len 0, or at damage. */
static bool next_field(struct str *rest, struct field *ret)
{
	uint64_t tag, n = 0;

	if (!rest->len || !read_varint(rest, &tag))
		return false;
	ret->number = tag >> 3;
	ret->bytes = (tag & 7) == WIRE_BYTES;
	switch (tag & 7) {
	case WIRE_VARINT: return read_varint(rest, &n);
	case WIRE_64: n = 8; break;
	case WIRE_32: n = 4; break;
	case WIRE_BYTES:
		if (!read_varint(rest, &n))
			return false;
		break;
	default: return false;
	}
	if (n > rest->len)
		return false;
	ret->body = (struct str){rest->ptr, (size_t)n};
	rest->ptr += n;
	rest->len -= (size_t)n;
	return true;
}

bool packed_open(struct str literal, int *ret_case, struct str *ret_body)
{
	struct field f;

	*ret_case = CORE_LITERAL_VALUE_NOT_SET;
	*ret_body = STR("");
	while (next_field(&literal, &f)) {
		if (!f.bytes ||
		    (f.number != CORE_LITERAL_VALUE_SCALAR && f.number != CORE_LITERAL_VALUE_COLLECTION &&
		     f.number != CORE_LITERAL_VALUE_MAP && f.number != CORE_LITERAL_VALUE_OFFLOADED_METADATA))
			continue;
		*ret_case = (int)f.number;
		*ret_body = f.body;
	}
	return literal.len == 0;
}

static bool read_entry(struct str entry, struct str *ret_key, struct str *ret_value)
{
	struct field f;

	*ret_key = *ret_value = STR("");
	while (next_field(&entry, &f)) {
		if (f.bytes && f.number == ENTRY_KEY)
			*ret_key = f.body;
		else if (f.bytes && f.number == ENTRY_VALUE)
			*ret_value = f.body;
	}
	return entry.len == 0;
}

/* Of several entries with one key the last one counts. */
bool packed_key(struct str map, const char *key, struct str *ret)
{
	struct str k, v;
	struct field f;
	bool found = false;

	while (next_field(&map, &f)) {
		if (!f.bytes || f.number != MAP_ENTRY)
			continue;
		if (!read_entry(f.body, &k, &v))
			return false;
		if (str_is(k, key)) {
			found = true;
			*ret = v;
		}
	}
	return found && map.len == 0;
}

bool packed_item(struct str collection, size_t at, struct str *ret)
{
	struct field f;

	while (next_field(&collection, &f)) {
		if (!f.bytes || f.number != COLLECTION_LITERAL)
			continue;
		if (at-- == 0) {
			*ret = f.body;
			return true;
		}
	}
	return false;
}

bool packed_count(struct str collection, size_t *ret)
{
	struct field f;
	size_t n = 0;

	while (next_field(&collection, &f))
		n += f.bytes && f.number == COLLECTION_LITERAL;
	*ret = n;
	return collection.len == 0;
}

size_t packed_keys(struct str map, struct arena *a, size_t max, char ***ret)
{
	struct str k, v;
	struct field f;
	size_t n = 0;

	*ret = NULL;
	while (n < max && next_field(&map, &f)) {
		bool entry = f.bytes && f.number == MAP_ENTRY && read_entry(f.body, &k, &v);
		if (entry && utf8_valid(k.ptr, k.len) && !memchr(k.ptr, '\0', k.len))
			*PB_ADD(a, *ret, n) = arena_strndup(a, k.ptr, k.len);
	}
	return n;
}

/* ---- writing ---- */

static size_t varint_size(size_t n)
{
	size_t bytes = 1;

	for (; n >= 128; n >>= 7)
		bytes++;
	return bytes;
}

size_t packed_field_size(size_t body)
{
	return 1 + varint_size(body) + body;
}

void packed_add_head(struct buf *b, unsigned field, size_t body)
{
	buf_addc(b, (char)(field << 3 | WIRE_BYTES));
	for (; body >= 128; body >>= 7)
		buf_addc(b, (char)(body | 128));
	buf_addc(b, (char)body);
}

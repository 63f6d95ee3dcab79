/* Packing in one walk, from the last byte to the first: when a nested message's length is to be written, the message is
 * there already. protobuf-c walks twice, and moves what is nested. The bytes are the same, but for -0.0, which is no
 * default. */
#include "pb/pb.h"
#include "pb/private.h"

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LEN = 2, WIRE_32 = 5, AT_FIRST = 4096 };

/* What is packed lies at the end of `from`. */
struct packer {
	uint8_t *from, *at, *end;
	uint8_t first[AT_FIRST];
};

static void packer_init(struct packer *p)
{
	p->from = p->first;
	p->at = p->end = p->first + sizeof p->first;
}

static void packer_clear(struct packer *p)
{
	if (p->from != p->first)
		free(p->from);
}

static struct str packed(const struct packer *p)
{
	return (struct str){(const char *)p->at, (size_t)(p->end - p->at)};
}

static void grow(struct packer *p, size_t n)
{
	size_t used = (size_t)(p->end - p->at), cap = (size_t)(p->end - p->from) * 2 + n;
	uint8_t *to = x_malloc(cap);

	memcpy(to + cap - used, p->at, used);
	packer_clear(p);
	p->from = to;
	p->end = to + cap;
	p->at = p->end - used;
}

static inline uint8_t *before(struct packer *p, size_t n)
{
	if ((size_t)(p->at - p->from) < n)
		grow(p, n);
	return p->at -= n;
}

static void put_bytes(struct packer *p, const void *bytes, size_t n)
{
	uint8_t *to = before(p, n);

	if (n)
		memcpy(to, bytes, n);
}

static void put_long_varint(struct packer *p, uint64_t v)
{
	size_t n = (size_t)(70 - __builtin_clzll(v | 1)) / 7;
	uint8_t *to = before(p, n);

	for (; v >= 0x80; v >>= 7)
		*to++ = (uint8_t)(v | 0x80);
	*to = (uint8_t)v;
}

static inline void put_varint(struct packer *p, uint64_t v)
{
	if (v < 0x80)
		*before(p, 1) = (uint8_t)v;
	else
		put_long_varint(p, v);
}

static inline void put_tag(struct packer *p, uint32_t id, unsigned wire)
{
	put_varint(p, (uint64_t)id << 3 | wire);
}

/* ---- values ---- */

/* How a type travels. */
enum form {
	FORM_SIGNED_32,
	FORM_ZIGZAG_32,
	FORM_UNSIGNED_32,
	FORM_64,
	FORM_ZIGZAG_64,
	FORM_BOOL,
	FORM_FIXED_32,
	FORM_FIXED_64,
	FORM_TEXT,
	FORM_BYTES,
	FORM_MESSAGE
};

static const struct {
	enum form form;
	unsigned wire;
} FORMS[] = {
	[PROTOBUF_C_TYPE_INT32] = {FORM_SIGNED_32, WIRE_VARINT},
	[PROTOBUF_C_TYPE_SINT32] = {FORM_ZIGZAG_32, WIRE_VARINT},
	[PROTOBUF_C_TYPE_SFIXED32] = {FORM_FIXED_32, WIRE_32},
	[PROTOBUF_C_TYPE_INT64] = {FORM_64, WIRE_VARINT},
	[PROTOBUF_C_TYPE_SINT64] = {FORM_ZIGZAG_64, WIRE_VARINT},
	[PROTOBUF_C_TYPE_SFIXED64] = {FORM_FIXED_64, WIRE_64},
	[PROTOBUF_C_TYPE_UINT32] = {FORM_UNSIGNED_32, WIRE_VARINT},
	[PROTOBUF_C_TYPE_FIXED32] = {FORM_FIXED_32, WIRE_32},
	[PROTOBUF_C_TYPE_UINT64] = {FORM_64, WIRE_VARINT},
	[PROTOBUF_C_TYPE_FIXED64] = {FORM_FIXED_64, WIRE_64},
	[PROTOBUF_C_TYPE_FLOAT] = {FORM_FIXED_32, WIRE_32},
	[PROTOBUF_C_TYPE_DOUBLE] = {FORM_FIXED_64, WIRE_64},
	[PROTOBUF_C_TYPE_BOOL] = {FORM_BOOL, WIRE_VARINT},
	[PROTOBUF_C_TYPE_ENUM] = {FORM_SIGNED_32, WIRE_VARINT},
	[PROTOBUF_C_TYPE_STRING] = {FORM_TEXT, WIRE_LEN},
	[PROTOBUF_C_TYPE_BYTES] = {FORM_BYTES, WIRE_LEN},
	[PROTOBUF_C_TYPE_MESSAGE] = {FORM_MESSAGE, WIRE_LEN},
};

static void put_message(struct packer *p, const ProtobufCMessage *m);

static void put_delimited(struct packer *p, const void *bytes, size_t n)
{
	put_bytes(p, bytes, n);
	put_varint(p, n);
}

static void put_nested(struct packer *p, const ProtobufCMessage *m)
{
	size_t behind = (size_t)(p->end - p->at);

	if (m)
		put_message(p, m);
	put_varint(p, (size_t)(p->end - p->at) - behind);
}

static void put_text(struct packer *p, const char *s)
{
	put_delimited(p, s, s ? strlen(s) : 0);
}

static void put_value(struct packer *p, ProtobufCType type, const void *v)
{
	const ProtobufCBinaryData *bytes = v;

	switch (FORMS[type].form) {
	case FORM_SIGNED_32: put_varint(p, (uint64_t)(int64_t) * (const int32_t *)v); break;
	case FORM_UNSIGNED_32: put_varint(p, *(const uint32_t *)v); break;
	case FORM_64: put_varint(p, *(const uint64_t *)v); break;
	case FORM_ZIGZAG_32: {
		int32_t i = *(const int32_t *)v;
		put_varint(p, (uint32_t)i << 1 ^ (uint32_t)(i >> 31));
		break;
	}
	case FORM_ZIGZAG_64: {
		int64_t i = *(const int64_t *)v;
		put_varint(p, (uint64_t)i << 1 ^ (uint64_t)(i >> 63));
		break;
	}
	case FORM_BOOL: put_varint(p, *(const protobuf_c_boolean *)v != 0); break;
	case FORM_FIXED_32: put_bytes(p, v, 4); break;
	case FORM_FIXED_64: put_bytes(p, v, 8); break;
	case FORM_TEXT: put_text(p, *(const char *const *)v); break;
	case FORM_BYTES: put_delimited(p, bytes->data, bytes->len); break;
	case FORM_MESSAGE: put_nested(p, *(const ProtobufCMessage *const *)v); break;
	}
}

/* ---- fields ---- */

static void put_repeated(struct packer *p, const ProtobufCFieldDescriptor *f, const char *array, size_t n)
{
	size_t size = pb_type_size(f->type), behind = (size_t)(p->end - p->at);
	bool one = f->flags & PROTOBUF_C_FIELD_FLAG_PACKED;

	while (n-- > 0) {
		put_value(p, f->type, array + n * size);
		if (!one)
			put_tag(p, f->id, FORMS[f->type].wire);
	}
	if (!one)
		return;
	put_varint(p, (size_t)(p->end - p->at) - behind);
	put_tag(p, f->id, WIRE_LEN);
}

/* As pb_field_is_set, but that a oneof's text or message that is the default does not count: see pb.h. Most fields of
 * most messages are not set: this decides how fast packing is. */
static inline bool is_set(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	const char *member = (const char *)m + f->offset;
	bool pointer = f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE;
	const char *at = pointer ? *(const char *const *)member : NULL;

	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		if (*(const uint32_t *)((const char *)m + f->quantifier_offset) != f->id)
			return false;
		return !pointer || (at && at != f->default_value);
	}
	if (f->label != PROTOBUF_C_LABEL_NONE || !pointer)
		return pb_field_is_set(m, f);
	return at && (f->type == PROTOBUF_C_TYPE_MESSAGE || *at);
}

static inline void put_field(struct packer *p, const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	const char *member = (const char *)m + f->offset;

	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		size_t n = *(const size_t *)((const char *)m + f->quantifier_offset);
		if (n)
			put_repeated(p, f, *(const char *const *)member, n);
	} else if (is_set(m, f)) {
		put_value(p, f->type, member);
		put_tag(p, f->id, FORMS[f->type].wire);
	}
}

static void put_message(struct packer *p, const ProtobufCMessage *m)
{
	const ProtobufCMessageDescriptor *d = m->descriptor;

	for (unsigned i = m->n_unknown_fields; i-- > 0;) {
		const ProtobufCMessageUnknownField *u = &m->unknown_fields[i];
		put_bytes(p, u->data, u->len);
		put_tag(p, u->tag, u->wire_type);
	}
	for (unsigned i = d->n_fields; i-- > 0;)
		put_field(p, m, &d->fields[i]);
}

/* ---- what others see ---- */

size_t pb_size(const void *message)
{
	return protobuf_c_message_get_packed_size(message);
}

struct str pb_pack(const void *message, struct arena *a)
{
	struct packer p;

	packer_init(&p);
	put_message(&p, message);
	struct str s = packed(&p);
	s.ptr = arena_dup(a, s.ptr, s.len);
	packer_clear(&p);
	return s;
}

void pb_pack_buf(const void *message, struct buf *b)
{
	struct packer p;

	packer_init(&p);
	put_message(&p, message);
	buf_add_str(b, packed(&p));
	packer_clear(&p);
}

struct str pb_pack_field_buf(uint32_t field, const void *message, struct buf *b)
{
	struct packer p;

	packer_init(&p);
	put_message(&p, message);
	size_t len = packed(&p).len;
	put_varint(&p, len);
	put_tag(&p, field, WIRE_LEN);
	buf_add_str(b, packed(&p));
	packer_clear(&p);
	return (struct str){b->failed ? "" : b->data + b->len - len, b->failed ? 0 : len};
}

void *pb_clone(const void *message, struct arena *a)
{
	const ProtobufCMessage *m = message;
	struct packer p;

	packer_init(&p);
	put_message(&p, message);
	void *ret = pb_unpack_trusted(m->descriptor, packed(&p), a);
	packer_clear(&p);
	return ret;
}

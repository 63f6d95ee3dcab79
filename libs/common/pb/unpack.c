/* One loop over an explicit stack, for the scan and for unpacking: bytes from outside never meet protobuf-c's recursive
 * parser. */
#include <stdio.h>

#include "pb/pb.h"
#include "pb/private.h"

enum { VARINT, I64, LEN, START_GROUP, END_GROUP, I32, MAX_FIELD_NUMBER = (1 << 29) - 1, MAX_PATH = 256 };

struct frame {
	const uint8_t *end;
	const ProtobufCMessageDescriptor *desc;
	const ProtobufCFieldDescriptor *last; /* the field met last: where the search for the next one starts */
	ProtobufCMessage *msg;                /* NULL in a scan */
};

struct decoder {
	const uint8_t *start, *at;
	struct arena *arena; /* NULL in a scan */
	size_t left;         /* bytes that may still be taken from the arena */
	bool own;            /* our own bytes: text isn't checked */
	const char *wrong;   /* what is wrong with field `field` (number `tag`) of the top frame */
	enum code code;
	const ProtobufCFieldDescriptor *field;
	uint32_t tag;
	size_t depth;
	struct frame frames[PB_MAX_OWN_DEPTH + 1];
};

static const struct {
	uint8_t wire, size;
} TYPES[] = {
	[PROTOBUF_C_TYPE_INT32] = {VARINT, 4},
	[PROTOBUF_C_TYPE_SINT32] = {VARINT, 4},
	[PROTOBUF_C_TYPE_SFIXED32] = {I32, 4},
	[PROTOBUF_C_TYPE_INT64] = {VARINT, 8},
	[PROTOBUF_C_TYPE_SINT64] = {VARINT, 8},
	[PROTOBUF_C_TYPE_SFIXED64] = {I64, 8},
	[PROTOBUF_C_TYPE_UINT32] = {VARINT, 4},
	[PROTOBUF_C_TYPE_FIXED32] = {I32, 4},
	[PROTOBUF_C_TYPE_UINT64] = {VARINT, 8},
	[PROTOBUF_C_TYPE_FIXED64] = {I64, 8},
	[PROTOBUF_C_TYPE_FLOAT] = {I32, 4},
	[PROTOBUF_C_TYPE_DOUBLE] = {I64, 8},
	[PROTOBUF_C_TYPE_BOOL] = {VARINT, sizeof(protobuf_c_boolean)},
	[PROTOBUF_C_TYPE_ENUM] = {VARINT, 4},
	[PROTOBUF_C_TYPE_STRING] = {LEN, sizeof(char *)},
	[PROTOBUF_C_TYPE_BYTES] = {LEN, sizeof(ProtobufCBinaryData)},
	[PROTOBUF_C_TYPE_MESSAGE] = {LEN, sizeof(void *)},
};

size_t pb_type_size(ProtobufCType type)
{
	return TYPES[type].size;
}

static bool fail(struct decoder *d, const char *what)
{
	d->wrong = what;
	d->code = INVALID_ARGUMENT;
	return false;
}

static bool afford(struct decoder *d, size_t n)
{
	size_t rounded = (n + 15) & ~(size_t)15;

	if (rounded > d->left) {
		fail(d, "the message takes too much memory");
		d->code = RESOURCE_EXHAUSTED;
		return false;
	}
	d->left -= rounded;
	return true;
}

static bool long_varint(struct decoder *d, const uint8_t *end, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 70 && d->at < end; shift += 7) {
		uint64_t byte = *d->at++;
		v |= (byte & 0x7f) << shift;
		if (byte < 0x80) {
			*ret = v;
			return true;
		}
	}
	return fail(d, d->at == end ? "it ends within a number" : "a number is longer than 10 bytes");
}

static inline bool read_varint(struct decoder *d, const uint8_t *end, uint64_t *ret)
{
	if (d->at < end && *d->at < 0x80) {
		*ret = *d->at++;
		return true;
	}
	return long_varint(d, end, ret);
}

static inline bool read_length(struct decoder *d, const uint8_t *end, size_t *ret)
{
	uint64_t n;

	if (!read_varint(d, end, &n))
		return false;
	if (n > (uint64_t)(end - d->at))
		return fail(d, "it is cut off");
	*ret = (size_t)n;
	return true;
}

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *desc, uint32_t tag)
{
	for (unsigned i = 0; i < desc->n_field_ranges; i++) {
		const ProtobufCIntRange *r = &desc->field_ranges[i];
		uint32_t from_start = tag - (uint32_t)r->start_value;
		if (from_start < r[1].orig_index - r[0].orig_index)
			return &desc->fields[r->orig_index + from_start];
	}
	return NULL;
}

/* Fields come in order, most often. */
static inline const ProtobufCFieldDescriptor *next_field(struct frame *f, uint32_t tag)
{
	const ProtobufCFieldDescriptor *last = f->last;

	if (!last)
		return f->last = find_field(f->desc, tag);
	if (last->id == tag)
		return last;
	if (last + 1 < f->desc->fields + f->desc->n_fields && last[1].id == tag)
		return ++f->last;
	const ProtobufCFieldDescriptor *found = find_field(f->desc, tag);
	if (found)
		f->last = found;
	return found;
}

/* UTF-8 without NUL. */
static bool text_ok(const uint8_t *p, size_t n)
{
	const uint64_t high = UINT64_C(0x8080808080808080), low = UINT64_C(0x0101010101010101);
	const uint8_t *end = p + n;
	uint64_t eight;

	for (; end - p >= 8; p += 8) {
		memcpy(&eight, p, 8);
		if (((eight - low) | eight) & high) /* a byte above 127 or a zero */
			break;
	}
	for (; p < end && *p < 0x80; p++)
		if (*p == 0)
			return false;
	return p == end || (!memchr(p, 0, (size_t)(end - p)) && utf8_valid(p, (size_t)(end - p)));
}

/* How many elements of the field at hand follow each other, this one included: arrays get the right size at once. */
static size_t run_length(struct decoder *d, const uint8_t *end, const uint8_t *tag_at, size_t tag_len)
{
	struct decoder ahead = {.at = d->at};
	size_t n = 0, len;
	uint64_t v;

	for (;;) {
		uint8_t wire = *tag_at & 7;
		if (wire == VARINT ? !read_varint(&ahead, end, &v) : wire == LEN && !read_length(&ahead, end, &len))
			return n + 1; /* broken: found out in a moment */
		size_t fixed = wire == I64 ? 8 : wire == I32 ? 4 : wire == LEN ? len : 0;
		if ((size_t)(end - ahead.at) < fixed)
			return n + 1;
		ahead.at += fixed;
		n++;
		if ((size_t)(end - ahead.at) <= tag_len || memcmp(ahead.at, tag_at, tag_len) != 0)
			return n;
		ahead.at += tag_len;
	}
}

static void *at_offset(ProtobufCMessage *m, unsigned offset)
{
	return (char *)m + offset;
}

/* Place for `add` more elements of a repeated field; `soon` (at least as many) are in sight. */
static void *add_elements(struct decoder *d, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, size_t add,
			  size_t soon)
{
	size_t *n = at_offset(m, f->quantifier_offset), size = pb_type_size(f->type);
	void **array = at_offset(m, f->offset);

	if (pb_array_room(*array, *n) < add) {
		size_t cap = MAX(*n * 2, *n + soon);
		if (!afford(d, cap * size + sizeof(struct pb_array)))
			return NULL;
		*array = pb_array_new(d->arena, *array, *n, cap, size);
	}
	void *ret = (char *)*array + *n * size;
	*n += add;
	pb_array_head(*array)->used = *n;
	return ret;
}

/* Where a value that begins at d->at goes: into its array or its member, whose oneof or has-flag is set. */
static void *place(struct decoder *d, struct frame *f, const uint8_t *tag_at)
{
	const ProtobufCFieldDescriptor *field = d->field;

	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		size_t n = *(size_t *)at_offset(f->msg, field->quantifier_offset), soon = 1;
		void *array = *(void **)at_offset(f->msg, field->offset);
		if (pb_array_room(array, n) == 0)
			soon = run_length(d, f->end, tag_at, (size_t)(d->at - tag_at));
		return add_elements(d, f->msg, field, 1, soon);
	}
	return pb_slot(d->arena, f->msg, field);
}

static void store_varint(void *to, ProtobufCType type, uint64_t v)
{
	uint32_t low = (uint32_t)v;

	if (type == PROTOBUF_C_TYPE_BOOL)
		*(protobuf_c_boolean *)to = v != 0;
	else if (type == PROTOBUF_C_TYPE_SINT32)
		*(uint32_t *)to = (low >> 1) ^ -(low & 1);
	else if (type == PROTOBUF_C_TYPE_SINT64)
		*(uint64_t *)to = (v >> 1) ^ -(v & 1);
	else if (TYPES[type].size == 4)
		*(uint32_t *)to = low;
	else
		*(uint64_t *)to = v;
}

static bool read_scalar(struct decoder *d, struct frame *f, const uint8_t *tag_at)
{
	unsigned wire = TYPES[d->field->type].wire, size = TYPES[d->field->type].size;
	void *to = NULL;
	uint64_t v;

	if (f->msg && !(to = place(d, f, tag_at)))
		return false;
	if (wire == VARINT) {
		if (!read_varint(d, f->end, &v))
			return false;
		if (to)
			store_varint(to, d->field->type, v);
		return true;
	}
	if ((size_t)(f->end - d->at) < size)
		return fail(d, "it is cut off");
	if (to)
		memcpy(to, d->at, size);
	d->at += size;
	return true;
}

static size_t count_packed(const uint8_t *p, const uint8_t *end)
{
	size_t n = 0;

	for (; p < end; p++)
		n += *p < 0x80;
	return n;
}

static bool read_packed(struct decoder *d, struct frame *f, size_t len)
{
	unsigned wire = TYPES[d->field->type].wire, size = TYPES[d->field->type].size;
	const uint8_t *end = d->at + len;
	size_t n = wire == VARINT ? count_packed(d->at, end) : len / size;
	char *to = NULL;
	uint64_t v;

	if (wire != VARINT && len % size != 0)
		return fail(d, "its packed length is no multiple of the element's");
	if (f->msg && n > 0 && !(to = add_elements(d, f->msg, d->field, n, n)))
		return false;
	if (wire != VARINT) {
		if (to)
			memcpy(to, d->at, len);
		d->at = end;
		return true;
	}
	while (d->at < end) {
		if (!read_varint(d, end, &v))
			return false;
		if (!to)
			continue;
		store_varint(to, d->field->type, v);
		to += size;
	}
	return true;
}

static bool read_string(struct decoder *d, struct frame *f, const uint8_t *tag_at)
{
	const uint8_t *value_at = d->at, *bytes;
	char **to;
	size_t len;

	if (!read_length(d, f->end, &len))
		return false;
	bytes = d->at;
	if (!d->own && !text_ok(bytes, len))
		return fail(d, "its text is not UTF-8 or has a NUL");
	d->at = value_at;
	if (f->msg) {
		if (!(to = place(d, f, tag_at)) || !afford(d, len + 1))
			return false;
		*to = arena_strndup(d->arena, (const char *)bytes, len);
	}
	d->at = bytes + len;
	return true;
}

static bool read_bytes(struct decoder *d, struct frame *f, const uint8_t *tag_at)
{
	const uint8_t *value_at = d->at, *bytes;
	ProtobufCBinaryData *to;
	size_t len;

	if (!read_length(d, f->end, &len))
		return false;
	bytes = d->at;
	d->at = value_at;
	if (f->msg) {
		if (!(to = place(d, f, tag_at)) || !afford(d, len))
			return false;
		*to = (ProtobufCBinaryData){.len = len, .data = len ? arena_dup(d->arena, bytes, len) : NULL};
	}
	d->at = bytes + len;
	return true;
}

static ProtobufCMessage *new_message(struct decoder *d, const ProtobufCMessageDescriptor *desc)
{
	return afford(d, desc->sizeof_message) ? pb_new(d->arena, desc) : NULL;
}

/* Go down one level. A message that comes twice is merged, as protobuf wants it. */
static bool enter_message(struct decoder *d, struct frame *f, const uint8_t *tag_at)
{
	const ProtobufCMessageDescriptor *desc = d->field->descriptor;
	ProtobufCMessage **to, *msg = NULL;
	size_t len;

	if (d->depth == (d->own ? PB_MAX_OWN_DEPTH : PB_MAX_DEPTH))
		return fail(d, "messages are nested too deeply");
	if (f->msg) {
		if (!(to = (ProtobufCMessage **)place(d, f, tag_at)))
			return false;
		msg = d->field->label == PROTOBUF_C_LABEL_REPEATED ? NULL : *to;
		if (!msg && !(*to = msg = new_message(d, desc)))
			return false;
	}
	if (!read_length(d, f->end, &len))
		return false;
	d->frames[++d->depth] = (struct frame){.end = d->at + len, .desc = desc, .msg = msg};
	return true;
}

static bool skip_value(struct decoder *d, struct frame *f, unsigned wire)
{
	uint64_t v;
	size_t len = wire == I64 ? 8 : 4;

	if (wire == VARINT)
		return read_varint(d, f->end, &v);
	if (wire == LEN && !read_length(d, f->end, &len))
		return false;
	if ((size_t)(f->end - d->at) < len)
		return fail(d, "it is cut off");
	d->at += len;
	return true;
}

/* Unknown fields are kept as they are: whoever repacks the message passes them on. */
static bool keep_unknown(struct decoder *d, struct frame *f, unsigned wire)
{
	const uint8_t *from = d->at;
	ProtobufCMessage *m = f->msg;
	size_t n = m ? m->n_unknown_fields : 0;

	if (!skip_value(d, f, wire))
		return false;
	if (!m)
		return true;
	if (pb_array_room(m->unknown_fields, n) == 0 &&
	    !afford(d, MAX(2 * n, (size_t)PB_ARRAY_MIN) * sizeof *m->unknown_fields + sizeof(struct pb_array)))
		return false;
	size_t len = (size_t)(d->at - from);
	if (!afford(d, len))
		return false;
	m->unknown_fields = pb_grow(d->arena, m->unknown_fields, n, sizeof *m->unknown_fields);
	m->unknown_fields[m->n_unknown_fields++] =
		(ProtobufCMessageUnknownField){d->tag, wire, len, arena_dup(d->arena, from, len)};
	return true;
}

static bool read_value(struct decoder *d, struct frame *f, unsigned wire, const uint8_t *tag_at)
{
	const ProtobufCFieldDescriptor *field = d->field;
	size_t len;

	if (wire == TYPES[field->type].wire) {
		switch (field->type) {
		case PROTOBUF_C_TYPE_MESSAGE: return enter_message(d, f, tag_at);
		case PROTOBUF_C_TYPE_STRING: return read_string(d, f, tag_at);
		case PROTOBUF_C_TYPE_BYTES: return read_bytes(d, f, tag_at);
		default: return read_scalar(d, f, tag_at);
		}
	}
	if (wire == LEN && field->label == PROTOBUF_C_LABEL_REPEATED)
		return read_length(d, f->end, &len) && read_packed(d, f, len);
	return fail(d, "its wire type is not that of the field");
}

static bool read_field(struct decoder *d, struct frame *f)
{
	const uint8_t *tag_at = d->at;
	uint64_t key;

	d->field = NULL;
	d->tag = 0;
	if (!read_varint(d, f->end, &key))
		return false;
	if (key >> 3 == 0 || key >> 3 > MAX_FIELD_NUMBER)
		return fail(d, "there is no such field number");
	d->tag = (uint32_t)(key >> 3);
	unsigned wire = key & 7;
	if (wire == START_GROUP || wire == END_GROUP || wire > I32)
		return fail(d, "groups and unknown wire types are not accepted");
	d->field = next_field(f, d->tag);
	return d->field ? read_value(d, f, wire, tag_at) : keep_unknown(d, f, wire);
}

static bool decode(struct decoder *d)
{
	for (;;) {
		struct frame *f = &d->frames[d->depth];
		if (d->at < f->end) {
			if (!read_field(d, f))
				return false;
		} else if (d->depth == 0) {
			return true;
		} else {
			d->depth--;
		}
	}
}

/* The path of the field at hand: "spec.inputs.literals.value". */
static enum code explain(const struct decoder *d, enum code code, struct err *err)
{
	char path[MAX_PATH], number[16];
	size_t n = 0;

	snprintf(number, sizeof number, "#%u", d->tag);
	for (size_t i = 0; i <= d->depth && n < sizeof path; i++) {
		const char *name = i < d->depth ? d->frames[i].last->name : d->field ? d->field->name : number;
		n += (size_t)snprintf(path + n, sizeof path - n, "%s%s", i ? "." : "", name);
	}
	return err_set(err, code, "%s, field %s%s (byte %zu): %s", d->frames[0].desc->name, path,
		       n >= sizeof path ? "…" : "", (size_t)(d->at - d->start), d->wrong);
}

static void decoder_init(struct decoder *d, const ProtobufCMessageDescriptor *desc, struct str in, struct arena *a)
{
	d->start = d->at = (const uint8_t *)in.ptr;
	d->arena = a;
	d->left = PB_MAX_UNPACKED_BYTES;
	d->own = false;
	d->depth = 0;
	d->frames[0] = (struct frame){.end = d->start + in.len, .desc = desc, .msg = a ? new_message(d, desc) : NULL};
}

enum code pb_scan(const ProtobufCMessageDescriptor *desc, struct str in, struct err *err)
{
	struct decoder d;

	decoder_init(&d, desc, in, NULL);
	return decode(&d) ? OK : explain(&d, d.code, err);
}

enum code pb_unpack(const ProtobufCMessageDescriptor *desc, struct str in, struct arena *a, void **ret, struct err *err)
{
	struct decoder d;

	decoder_init(&d, desc, in, a);
	if (!decode(&d))
		return explain(&d, d.code, err);
	*ret = d.frames[0].msg;
	return OK;
}

enum code pb_unpack_own(const ProtobufCMessageDescriptor *desc, struct str in, struct arena *a, void **ret,
			struct err *err)
{
	struct decoder d;

	decoder_init(&d, desc, in, a);
	d.own = true;
	if (!decode(&d))
		return explain(&d, DATA_LOSS, err);
	*ret = d.frames[0].msg;
	return OK;
}

void *pb_unpack_trusted(const ProtobufCMessageDescriptor *desc, struct str in, struct arena *a)
{
	struct decoder d;

	decoder_init(&d, desc, in, a);
	d.own = true;
	d.left = SIZE_MAX;
	if (!decode(&d))
		abort(); /* it was made by pb_pack: memory is corrupt, or we nested too deeply */
	return d.frames[0].msg;
}

#include "flyte/text.h"

#include <inttypes.h>

#include "pb/pb.h"

static void add_message(const ProtobufCMessage *m, struct buf *b);

static void add_enum(const ProtobufCEnumDescriptor *desc, int value, struct buf *b)
{
	const char *name = pb_enum_name(desc, value);

	if (name)
		buf_adds(b, name);
	else
		buf_printf(b, "%d", value);
}

static void add_quoted(struct str s, struct buf *b)
{
	static const char ESCAPES[] = "\"\"\\\\\nn\rr\tt";

	buf_addc(b, '"');
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		const char *e = ESCAPES;
		while (*e && (unsigned char)*e != c)
			e += 2;
		if (*e)
			buf_printf(b, "\\%c", e[1]);
		else if (c < 0x20 || c == 0x7f)
			buf_printf(b, "\\x%02x", c);
		else
			buf_addc(b, (char)c);
	}
	buf_addc(b, '"');
}

void value_add_text(const ProtobufCFieldDescriptor *f, const void *at, struct buf *b)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32: buf_printf(b, "%" PRId32, *(const int32_t *)at); break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32: buf_printf(b, "%" PRIu32, *(const uint32_t *)at); break;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64: buf_printf(b, "%" PRId64, *(const int64_t *)at); break;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64: buf_printf(b, "%" PRIu64, *(const uint64_t *)at); break;
	case PROTOBUF_C_TYPE_FLOAT: buf_double(b, (double)*(const float *)at); break;
	case PROTOBUF_C_TYPE_DOUBLE: buf_double(b, *(const double *)at); break;
	case PROTOBUF_C_TYPE_BOOL: buf_adds(b, *(const protobuf_c_boolean *)at ? "true" : "false"); break;
	case PROTOBUF_C_TYPE_ENUM: add_enum(f->descriptor, *(const int *)at, b); break;
	case PROTOBUF_C_TYPE_STRING: add_quoted(str_of(*(const char *const *)at), b); break;
	case PROTOBUF_C_TYPE_BYTES: {
		const ProtobufCBinaryData *data = at;
		add_quoted((struct str){(const char *)data->data, data->len}, b);
		break;
	}
	case PROTOBUF_C_TYPE_MESSAGE:
		buf_addc(b, '{');
		add_message(*(const ProtobufCMessage *const *)at, b);
		buf_addc(b, '}');
		break;
	}
}

static void add_name(const ProtobufCFieldDescriptor *f, bool *first, struct buf *b)
{
	buf_printf(b, "%s%s:", *first ? "" : " ", f->name);
	*first = false;
}

static void add_map(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, bool *first, struct buf *b)
{
	size_t n;
	auto_mem const ProtobufCMessage **entries = pb_map_sorted(m, f, &n);

	for (size_t i = 0; i < n; i++) {
		add_name(f, first, b);
		value_add_text(f, &entries[i], b);
	}
}

static void add_repeated(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, bool *first, struct buf *b)
{
	size_t n = *(const size_t *)((const char *)m + f->quantifier_offset);
	const char *at = *(const char *const *)((const char *)m + f->offset);

	for (size_t i = 0; i < n; i++) {
		add_name(f, first, b);
		value_add_text(f, at + i * pb_type_size(f->type), b);
	}
}

static void add_message(const ProtobufCMessage *m, struct buf *b)
{
	bool first = true;

	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		if (!pb_field_is_set(m, f))
			continue;
		if (pb_field_is_map(f)) {
			add_map(m, f, &first, b);
		} else if (f->label == PROTOBUF_C_LABEL_REPEATED) {
			add_repeated(m, f, &first, b);
		} else {
			add_name(f, &first, b);
			value_add_text(f, (const char *)m + f->offset, b);
		}
	}
}

void message_add_text(const void *message, struct buf *b)
{
	if (message)
		add_message(message, b);
	else
		buf_adds(b, "<nil>");
}

const char *message_text(const void *message, struct arena *a)
{
	auto_buf struct buf b = {0};

	message_add_text(message, &b);
	return arena_strdup(a, buf_text(&b));
}

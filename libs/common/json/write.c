#include <math.h>
#include <stdio.h>

#include "google/protobuf/any.h"
#include "google/protobuf/struct.h"
#include "json/private.h"

struct writer {
	struct buf *b;
	const struct json_options *o;
	struct err *err;
	unsigned depth;
};

static enum code write_message(struct writer *w, const ProtobufCMessage *m);
static enum code write_fields(struct writer *w, const ProtobufCMessage *m, bool first);

static void write_text(struct buf *b, const char *s)
{
	size_t plain = 0;

	while ((unsigned char)s[plain] >= 0x20 && (unsigned char)s[plain] < 0x80 && s[plain] != '"' && s[plain] != '\\')
		plain++;
	if (s[plain] != '\0') {
		buf_json_string(b, str_of(s));
		return;
	}
	char *to = buf_reserve(b, plain + 2);
	if (!to)
		return;
	to[0] = '"';
	memcpy(to + 1, s, plain);
	to[plain + 1] = '"';
	buf_commit(b, plain + 2);
}

static void write_unsigned(struct buf *b, uint64_t v, bool negative, bool quoted)
{
	char text[24], *p = text + sizeof text;

	if (quoted)
		*--p = '"';
	do
		*--p = (char)('0' + v % 10);
	while (v /= 10);
	if (negative)
		*--p = '-';
	if (quoted)
		*--p = '"';
	buf_add(b, p, (size_t)(text + sizeof text - p));
}

static void write_signed(struct buf *b, int64_t v, bool quoted)
{
	write_unsigned(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, v < 0, quoted);
}

/* The shortest form that reads back as the same number. */
static void write_real(struct buf *b, double d, bool is_float)
{
	char text[40];

	if (isnan(d) || isinf(d)) {
		buf_adds(b, isnan(d) ? "\"NaN\"" : d > 0 ? "\"Infinity\"" : "\"-Infinity\"");
		return;
	}
	if (d == trunc(d) && fabs(d) < (is_float ? 1e6 : 1e15) && !(d == 0 && signbit(d))) {
		write_signed(b, (int64_t)d, false);
		return;
	}
	for (int digits = is_float ? 6 : 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, d);
		if (is_float ? strtof(text, NULL) == (float)d : strtod(text, NULL) == d)
			break;
	}
	buf_adds(b, text);
}

static void write_enum(struct writer *w, const ProtobufCEnumDescriptor *desc, int value)
{
	const ProtobufCEnumValue *v = w->o->enum_numbers ? NULL : protobuf_c_enum_descriptor_get_value(desc, value);

	if (desc == PB_NULL_VALUE_DESC)
		buf_adds(w->b, "null");
	else if (v)
		write_text(w->b, v->name);
	else
		write_signed(w->b, value, false);
}

static enum code write_value(struct writer *w, const ProtobufCFieldDescriptor *f, const void *member)
{
	const ProtobufCBinaryData *bytes = member;

	switch (f->type) {
	case PROTOBUF_C_TYPE_MESSAGE: return write_message(w, *(ProtobufCMessage *const *)member);
	case PROTOBUF_C_TYPE_STRING: write_text(w->b, *(const char *const *)member ?: ""); break;
	case PROTOBUF_C_TYPE_BYTES:
		buf_addc(w->b, '"');
		base64_add(w->b, bytes->data, bytes->len, false);
		buf_addc(w->b, '"');
		break;
	case PROTOBUF_C_TYPE_BOOL: buf_adds(w->b, *(const protobuf_c_boolean *)member ? "true" : "false"); break;
	case PROTOBUF_C_TYPE_ENUM: write_enum(w, f->descriptor, *(const int *)member); break;
	case PROTOBUF_C_TYPE_FLOAT: write_real(w->b, (double)*(const float *)member, true); break;
	case PROTOBUF_C_TYPE_DOUBLE: write_real(w->b, *(const double *)member, false); break;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64: write_unsigned(w->b, *(const uint64_t *)member, false, true); break;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64: write_signed(w->b, *(const int64_t *)member, true); break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32: write_unsigned(w->b, *(const uint32_t *)member, false, false); break;
	default: write_signed(w->b, *(const int32_t *)member, false);
	}
	return OK;
}

static enum code write_repeated(struct writer *w, const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	size_t n = *(const size_t *)((const char *)m + f->quantifier_offset), size = pb_type_size(f->type);
	const char *array = *(char *const *)member_of(m, f);
	enum code c;

	buf_addc(w->b, '[');
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_addc(w->b, ',');
		if ((c = write_value(w, f, array + i * size)))
			return c;
	}
	buf_addc(w->b, ']');
	return OK;
}

/* A message that is absent where JSON must have one: the value of a map's entry. */
static enum code write_empty(struct writer *w, const ProtobufCMessageDescriptor *desc)
{
	auto_mem ProtobufCMessage *m = x_malloc(desc->sizeof_message);

	desc->message_init(m);
	return write_message(w, m);
}

static enum code write_map_entry(struct writer *w, const ProtobufCMessage *entry)
{
	const ProtobufCFieldDescriptor *key = &entry->descriptor->fields[0], *value = key + 1;
	bool quoted = key->type == PROTOBUF_C_TYPE_STRING || pb_type_size(key->type) == 8;
	enum code c;

	if (key->type == PROTOBUF_C_TYPE_BOOL)
		quoted = false;
	if (!quoted)
		buf_addc(w->b, '"');
	if ((c = write_value(w, key, member_of(entry, key))))
		return c;
	buf_adds(w->b, quoted ? ":" : "\":");
	if (value->type == PROTOBUF_C_TYPE_MESSAGE && !*(void **)member_of(entry, value))
		return write_empty(w, value->descriptor);
	return write_value(w, value, member_of(entry, value));
}

static enum code write_map(struct writer *w, const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	size_t n;
	auto_mem const ProtobufCMessage **entries = pb_map_sorted(m, f, &n);
	enum code c;

	buf_addc(w->b, '{');
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_addc(w->b, ',');
		if ((c = write_map_entry(w, entries[i])))
			return c;
	}
	buf_addc(w->b, '}');
	return OK;
}

static void write_name(struct writer *w, const char *name)
{
	size_t len = strlen(name), n = 0;
	char *to = buf_reserve(w->b, len + 3);
	bool up = false;

	if (!to)
		return;
	to[n++] = '"';
	for (; *name; name++) {
		if (*name == '_' && !w->o->proto_names) {
			up = true;
			continue;
		}
		to[n++] = up && *name >= 'a' && *name <= 'z' ? (char)(*name - 'a' + 'A') : *name;
		up = false;
	}
	to[n++] = '"';
	to[n++] = ':';
	buf_commit(w->b, n);
}

enum presence { SKIP, AS_NULL, AS_VALUE };

static enum presence presence(const struct writer *w, const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	bool message = f->type == PROTOBUF_C_TYPE_MESSAGE && f->label != PROTOBUF_C_LABEL_REPEATED;

	if (pb_field_is_set(m, f))
		return message && !*(void **)member_of(m, f) ? SKIP : AS_VALUE;
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF || f->label == PROTOBUF_C_LABEL_OPTIONAL)
		return SKIP;
	if (message)
		return w->o->emit_nulls ? AS_NULL : SKIP;
	return w->o->emit_defaults ? AS_VALUE : SKIP;
}

static enum code write_fields(struct writer *w, const ProtobufCMessage *m, bool first)
{
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		enum presence p = presence(w, m, f);
		enum code c = OK;
		if (p == SKIP)
			continue;
		if (!first)
			buf_addc(w->b, ',');
		first = false;
		write_name(w, f->name);
		if (p == AS_NULL)
			buf_adds(w->b, "null");
		else if (pb_field_is_map(f))
			c = write_map(w, m, f);
		else if (f->label == PROTOBUF_C_LABEL_REPEATED)
			c = write_repeated(w, m, f);
		else
			c = write_value(w, f, member_of(m, f));
		if (c)
			return c;
	}
	return OK;
}

static enum code write_pb_value(struct writer *w, const ProtobufCMessage *m)
{
	const PbValue *v = (const PbValue *)m;

	switch (v->kind_case) {
	case PB_VALUE_KIND_NUMBER_VALUE:
		if (isnan(v->number_value) || isinf(v->number_value))
			return err_set(w->err, INVALID_ARGUMENT,
				       "google.protobuf.Value: NaN and infinity have no JSON");
		write_real(w->b, v->number_value, false);
		return OK;
	case PB_VALUE_KIND_STRING_VALUE: write_text(w->b, v->string_value ?: ""); return OK;
	case PB_VALUE_KIND_BOOL_VALUE: buf_adds(w->b, v->bool_value ? "true" : "false"); return OK;
	case PB_VALUE_KIND_STRUCT_VALUE: return write_message(w, &v->struct_value->base);
	case PB_VALUE_KIND_LIST_VALUE: return write_message(w, &v->list_value->base);
	default: buf_adds(w->b, "null"); return OK;
	}
}

static enum code write_any(struct writer *w, const PbAny *any)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	const ProtobufCMessageDescriptor *desc = type_of_url(str_of(any->type_url));
	enum code c;
	void *m;

	if (!*(any->type_url ?: "") && any->value.len == 0) {
		buf_adds(w->b, "{}");
		return OK;
	}
	if (!desc)
		return err_set(w->err, INVALID_ARGUMENT, "google.protobuf.Any of unknown type \"%s\"", any->type_url);
	if ((c = pb_unpack(desc, (struct str){(char *)any->value.data, any->value.len}, a, &m, w->err)))
		return c;
	buf_adds(w->b, "{\"@type\":");
	write_text(w->b, any->type_url);
	if (special_of(desc) == PLAIN) {
		c = write_fields(w, m, false);
	} else {
		buf_adds(w->b, ",\"value\":");
		c = write_message(w, m);
	}
	buf_addc(w->b, '}');
	return c;
}

static enum code write_time(struct writer *w, const ProtobufCMessage *m, bool timestamp)
{
	const PbTimestamp *t = (const PbTimestamp *)m;
	const PbDuration *d = (const PbDuration *)m;

	buf_addc(w->b, '"');
	if (timestamp ? !timestamp_write(w->b, t->seconds, t->nanos) : !duration_write(w->b, d->seconds, d->nanos))
		return err_set(w->err, INVALID_ARGUMENT, "%s out of range: %lld s, %d ns", m->descriptor->name,
			       (long long)t->seconds, t->nanos);
	buf_addc(w->b, '"');
	return OK;
}

static enum code write_special(struct writer *w, const ProtobufCMessage *m, enum special special)
{
	const ProtobufCFieldDescriptor *first = m->descriptor->fields;

	switch (special) {
	case TIMESTAMP:
	case DURATION: return write_time(w, m, special == TIMESTAMP);
	case STRUCT: return write_map(w, m, first);
	case LIST: return write_repeated(w, m, first);
	case VALUE: return write_pb_value(w, m);
	case ANY: return write_any(w, (const PbAny *)m);
	default: return write_value(w, first, member_of(m, first));
	}
}

static enum code write_message(struct writer *w, const ProtobufCMessage *m)
{
	enum code c;

	if (!m) {
		buf_adds(w->b, "null");
		return OK;
	}
	if (++w->depth > PB_MAX_OWN_DEPTH)
		return err_set(w->err, INVALID_ARGUMENT, "%s: messages are nested too deeply", m->descriptor->name);
	enum special special = special_of(m->descriptor);
	if (special) {
		c = write_special(w, m, special);
	} else {
		buf_addc(w->b, '{');
		c = write_fields(w, m, true);
		buf_addc(w->b, '}');
	}
	w->depth--;
	return c;
}

enum code json_write(struct buf *b, const void *message, const struct json_options *options, struct err *err)
{
	struct writer w = {.b = b, .o = options, .err = err};

	return write_message(&w, message);
}

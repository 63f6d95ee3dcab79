/* Message to JSON to message. Input: a type, then a message as protobuf. */
#include <math.h>

#include "fuzz.h"
#include "google/protobuf/any.h"
#include "google/protobuf/struct.h"
#include "json/json.h"

enum { PER_BYTE = 400 };

static const struct json_options FORMS[] = {
	{.proto_names = true, .emit_defaults = true, .emit_nulls = true},
	{.emit_defaults = true, .emit_nulls = true},
	{.proto_names = true, .enum_numbers = true},
};

static bool is_exact(const ProtobufCMessage *m);

/* What has no value, or a null that is another number than NULL_VALUE, is written as null. */
static bool value_is_exact(const PbValue *v)
{
	return v->kind_case == PB_VALUE_KIND_NULL_VALUE ? v->null_value == PB_NULL_VALUE_NULL_VALUE : v->kind_case != 0;
}

/* The i-th element of an array, or a field itself. All NaNs are written as one. */
static bool element_is_exact(ProtobufCType type, const void *at, size_t i)
{
	switch (type) {
	case PROTOBUF_C_TYPE_MESSAGE: return is_exact(((ProtobufCMessage *const *)at)[i]);
	case PROTOBUF_C_TYPE_DOUBLE: return !isnan(((const double *)at)[i]);
	case PROTOBUF_C_TYPE_FLOAT: return !isnan(((const float *)at)[i]);
	default: return true;
	}
}

static bool all_exact(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	const void *member = (const char *)m + f->offset;

	if (!pb_field_is_set(m, f))
		return f->type != PROTOBUF_C_TYPE_MESSAGE || f->descriptor != PB_VALUE_DESC;
	if (f->label != PROTOBUF_C_LABEL_REPEATED)
		return element_is_exact(f->type, member, 0);
	size_t n = *(const size_t *)((const char *)m + f->quantifier_offset);
	for (size_t i = 0; i < n; i++)
		if (!element_is_exact(f->type, *(const void *const *)member, i))
			return false;
	return true;
}

/* Does JSON keep all of it? Not the unknown fields within an Any. */
static bool is_exact(const ProtobufCMessage *m)
{
	if (!m)
		return true;
	if (m->descriptor == PB_ANY_DESC || (m->descriptor == PB_VALUE_DESC && !value_is_exact((const PbValue *)m)))
		return false;
	for (unsigned i = 0; i < m->descriptor->n_fields; i++)
		if (!all_exact(m, &m->descriptor->fields[i]))
			return false;
	return true;
}

static void check_same(const ProtobufCMessage *m, const ProtobufCMessage *back, const char *text)
{
	uint8_t digest[32], other[32];

	pb_digest(m, digest);
	pb_digest(back, other);
	HOLDS(!is_exact(m) || memcmp(digest, other, sizeof digest) == 0, "another message: %s", text);
}

static enum code check_form(const ProtobufCMessage *m, const struct json_options *form)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	auto_buf struct buf text = {0}, again = {0};
	struct err err = {0};
	void *back;

	enum code c = json_write(&text, m, form, &err);
	check_error(c, &err);
	if (c)
		return c;
	HOLDS(utf8_valid(text.data, text.len), "%s", buf_text(&text));
	c = json_read(m->descriptor, buf_str(&text), false, a, &back, &err);
	HOLDS(!c, "what was written is not read: %s: %s", err.text, buf_text(&text));
	check_same(m, back, buf_text(&text));
	c = json_write(&again, back, form, &err);
	HOLDS(!c && str_eq(buf_str(&text), buf_str(&again)), "%s and then %s", buf_text(&text), buf_text(&again));
	return OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct err err = {0};
	void *m;

	json_know_types(FUZZ_TYPES, N_FUZZ_TYPES);
	if (size == 0 || pb_unpack(fuzz_type(data[0]), (struct str){(const char *)data + 1, size - 1}, a, &m, &err))
		return 0;
	check_memory(a, size, PER_BYTE);
	enum code c = check_form(m, &FORMS[0]);
	for (size_t i = 1; i < ARRAY_SIZE(FORMS); i++)
		HOLDS(check_form(m, &FORMS[i]) == c, "form %zu differs", i);
	return 0;
}

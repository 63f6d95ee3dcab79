#include "google/protobuf/wrappers.h"
#include "json/private.h"

/* What URLs may say for a bool. Source: Go strconv.ParseBool, which grpc-gateway uses. */
static bool bool_read(struct str s, bool *ret)
{
	static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
	static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		if (str_is(s, yes[i]) || str_is(s, no[i])) {
			*ret = str_is(s, yes[i]);
			return true;
		}
	return false;
}

static const char *text_read(struct str s, struct arena *a, char **ret)
{
	if (memchr(s.ptr, 0, s.len) || !utf8_valid(s.ptr, s.len))
		return "the text is not UTF-8 or has a NUL";
	*ret = arena_strndup(a, s.ptr, s.len);
	return NULL;
}

static const char *message_read(const ProtobufCMessageDescriptor *desc, struct str s, struct arena *a,
				ProtobufCMessage **ret);

/* By name or number; grpc-gateway takes no number that the enum lacks. */
static const char *enum_value_read(const ProtobufCEnumDescriptor *desc, struct str s, int32_t *ret)
{
	if (enum_read(desc, s, ret))
		return NULL;
	const char *wrong = number_read(PROTOBUF_C_TYPE_ENUM, s, ret);
	if (!wrong && !protobuf_c_enum_descriptor_get_value(desc, *ret))
		wrong = "no value of the enum has this number";
	return wrong;
}

/* NULL, or what is wrong. */
static const char *scalar_read(const ProtobufCFieldDescriptor *f, struct str s, struct arena *a, void *ret)
{
	bool yes;

	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING: return text_read(s, a, ret);
	case PROTOBUF_C_TYPE_BYTES: return bytes_read(s, a, ret);
	case PROTOBUF_C_TYPE_BOOL:
		if (!bool_read(s, &yes))
			return "true or false is expected";
		*(protobuf_c_boolean *)ret = yes;
		return NULL;
	case PROTOBUF_C_TYPE_ENUM: return enum_value_read(f->descriptor, s, ret);
	case PROTOBUF_C_TYPE_MESSAGE: return message_read(f->descriptor, s, a, ret);
	default: return number_read(f->type, s, ret);
	}
}

/* Messages that a single text can stand for. */
static const char *message_read(const ProtobufCMessageDescriptor *desc, struct str s, struct arena *a,
				ProtobufCMessage **ret)
{
	ProtobufCMessage *m = pb_new(a, desc);
	PbTimestamp *t = (PbTimestamp *)m;
	PbDuration *d = (PbDuration *)m;
	const char *wrong = NULL;

	switch (special_of(desc)) {
	case TIMESTAMP:
		if (!timestamp_read(s, &t->seconds, &t->nanos))
			wrong = "a timestamp as 2026-11-21T07:03:00.5Z is expected";
		break;
	case DURATION:
		if (!duration_read(s, &d->seconds, &d->nanos))
			wrong = "a duration as 1.5s is expected";
		break;
	case WRAPPER: wrong = scalar_read(&desc->fields[0], s, a, member_of(m, &desc->fields[0])); break;
	default: wrong = "it is a message, name one of its fields";
	}
	if (!wrong)
		*ret = m;
	return wrong;
}

static bool other_of_oneof(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	uint32_t which = f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF ? *(uint32_t *)((char *)m + f->quantifier_offset) : 0;

	return which != 0 && which != f->id;
}

static const char *set_field(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, struct str value, struct arena *a)
{
	union {
		uint64_t number;
		char *text;
		ProtobufCBinaryData bytes;
		ProtobufCMessage *message;
	} v = {0};
	const char *wrong = pb_field_is_map(f) ? "a map cannot be set by name" : scalar_read(f, value, a, &v);

	if (!wrong)
		memcpy(pb_slot(a, m, f), &v, pb_type_size(f->type));
	return wrong;
}

enum code json_set_path(ProtobufCMessage *m, struct str path, struct str value, struct arena *a, struct err *err)
{
	struct str rest = path;
	const char *wrong = NULL;

	while (!wrong && rest.ptr) {
		const ProtobufCFieldDescriptor *f = json_field(m->descriptor, str_cut(&rest, '.'));
		if (!f) {
			wrong = "there is no such field";
		} else if (other_of_oneof(m, f)) {
			wrong = "another field of its oneof is set already";
		} else if (!rest.ptr) {
			wrong = set_field(m, f, value, a);
		} else if (f->type != PROTOBUF_C_TYPE_MESSAGE || f->label == PROTOBUF_C_LABEL_REPEATED) {
			wrong = "what stands before a dot is no single message";
		} else {
			ProtobufCMessage **to = pb_slot(a, m, f);
			m = *to = *to ? *to : pb_new(a, f->descriptor);
		}
	}
	if (!wrong)
		return OK;
	return err_set(err, INVALID_ARGUMENT, "%.*s: %s, not \"%.*s\"", (int)MIN(path.len, (size_t)200), path.ptr,
		       wrong, (int)MIN(value.len, (size_t)200), value.ptr);
}

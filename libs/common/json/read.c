#include <stdio.h>

#include "base/map.h"
#include "google/protobuf/any.h"
#include "google/protobuf/struct.h"
#include "json/lexer.h"

enum { MAX_FIELDS = 256, MAX_PATH = 256 };

struct reader {
	struct lexer l;
	bool ignore_unknown;
	unsigned depth;
	struct str path[PB_MAX_DEPTH + 2]; /* names on the way to where we are */
};

static bool read_message(struct reader *r, ProtobufCMessage *m);
static bool read_any(struct reader *r, PbAny *any);

static bool go_down(struct reader *r)
{
	if (++r->depth > PB_MAX_DEPTH)
		return lex_fail(&r->l, "messages are nested too deeply");
	r->path[r->depth] = (struct str){0};
	return true;
}

/* A message that is field `f` of what is being read. */
static bool read_submessage(struct reader *r, const ProtobufCFieldDescriptor *f, ProtobufCMessage **to)
{
	if (!go_down(r))
		return false;
	if (!*to)
		*to = pb_new(r->l.arena, f->descriptor);
	if (!read_message(r, *to))
		return false;
	r->depth--;
	return true;
}

static bool read_null_enum(struct reader *r, const ProtobufCFieldDescriptor *f)
{
	return f->type == PROTOBUF_C_TYPE_ENUM && f->descriptor == PB_NULL_VALUE_DESC && lex_peek(&r->l) == 'n';
}

/* *ret_skip: an unknown name that may be ignored. */
static bool read_enum(struct reader *r, const ProtobufCFieldDescriptor *f, int *ret, bool *ret_skip)
{
	const ProtobufCEnumDescriptor *desc = f->descriptor;
	struct str s;

	if (lex_peek(&r->l) == '"') {
		if (!lex_string(&r->l, &s))
			return false;
		if (enum_read(desc, s, ret))
			return true;
		*ret_skip = r->ignore_unknown;
		return *ret_skip ||
		       lex_fail(&r->l, "%s has no value \"%.*s\"", desc->name, (int)MIN(s.len, (size_t)60), s.ptr);
	}
	if (!lex_word(&r->l, &s))
		return false;
	if (read_null_enum(r, f) || (desc == PB_NULL_VALUE_DESC && str_is(s, "null"))) {
		*ret = 0;
		return true;
	}
	const char *wrong = number_read(PROTOBUF_C_TYPE_ENUM, s, ret);
	return !wrong || lex_fail(&r->l, "%s", wrong);
}

static bool read_number(struct reader *r, ProtobufCType type, void *ret)
{
	bool quoted = lex_peek(&r->l) == '"';
	struct str s;

	if (quoted ? !lex_string(&r->l, &s) : !lex_word(&r->l, &s))
		return false;
	const char *wrong =
		quoted && type == PROTOBUF_C_TYPE_BOOL ? "true or false is expected" : number_read(type, s, ret);
	return !wrong || lex_fail(&r->l, "%s", wrong);
}

/* A value of the field's type; *ret_skip: there is none to keep. */
static bool read_scalar(struct reader *r, const ProtobufCFieldDescriptor *f, void *ret, bool *ret_skip)
{
	struct str s;
	const char *wrong;

	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		if (!lex_string(&r->l, &s))
			return false;
		if (memchr(s.ptr, 0, s.len))
			return lex_fail(&r->l, "NUL is not accepted in texts");
		*(char **)ret = arena_strndup(r->l.arena, s.ptr, s.len);
		return true;
	case PROTOBUF_C_TYPE_BYTES:
		if (!lex_string(&r->l, &s))
			return false;
		wrong = bytes_read(s, r->l.arena, ret);
		return !wrong || lex_fail(&r->l, "%s", wrong);
	case PROTOBUF_C_TYPE_ENUM: return read_enum(r, f, ret, ret_skip);
	default: return read_number(r, f->type, ret);
	}
}

/* One value into the field: the member, or a new element of a repeated field. */
static bool read_one(struct reader *r, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	union {
		uint64_t number;
		char *text;
		ProtobufCBinaryData bytes;
		ProtobufCMessage *message;
	} v = {0};
	bool skip = false;

	if (f->type == PROTOBUF_C_TYPE_MESSAGE ? !read_submessage(r, f, &v.message) : !read_scalar(r, f, &v, &skip))
		return false;
	if (!skip)
		memcpy(pb_slot(r->l.arena, m, f), &v, pb_type_size(f->type));
	return true;
}

static bool takes_null(const ProtobufCFieldDescriptor *f)
{
	return f->descriptor == PB_VALUE_DESC || f->descriptor == PB_NULL_VALUE_DESC;
}

static bool read_list(struct reader *r, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	bool first = true;

	if (!lex_take(&r->l, '['))
		return false;
	while (lex_more(&r->l, ']', &first)) {
		if (lex_peek(&r->l) == 'n' && !takes_null(f))
			return lex_fail(&r->l, "null cannot be an element");
		if (!read_one(r, m, f))
			return false;
	}
	return !r->l.wrong[0];
}

/* The key of a map's entry, which JSON has as text. */
static bool read_key(struct reader *r, ProtobufCMessage *entry, struct str name)
{
	const ProtobufCFieldDescriptor *key = &entry->descriptor->fields[0];

	if (key->type == PROTOBUF_C_TYPE_STRING) {
		if (memchr(name.ptr, 0, name.len))
			return lex_fail(&r->l, "NUL is not accepted in texts");
		*(char **)member_of(entry, key) = arena_strndup(r->l.arena, name.ptr, name.len);
		return true;
	}
	const char *wrong = number_read(key->type, name, member_of(entry, key));
	return !wrong || lex_fail(&r->l, "key: %s", wrong);
}

static bool read_entry(struct reader *r, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, struct str name)
{
	ProtobufCMessage *entry = pb_new(r->l.arena, f->descriptor);
	const ProtobufCFieldDescriptor *value = &entry->descriptor->fields[1];

	if (!go_down(r) || !read_key(r, entry, name))
		return false;
	r->path[r->depth] = name;
	if (lex_peek(&r->l) == 'n' && !takes_null(value))
		return lex_fail(&r->l, "null cannot be a map's value");
	if (!read_one(r, entry, value))
		return false;
	r->depth--;
	*(ProtobufCMessage **)pb_slot(r->l.arena, m, f) = entry;
	return true;
}

static bool read_map(struct reader *r, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	auto_free(map_free) struct map *seen = map_new();
	bool first = true;
	struct str name;

	if (!lex_take(&r->l, '{'))
		return false;
	while (lex_more(&r->l, '}', &first)) {
		if (!lex_string(&r->l, &name))
			return false;
		if (map_put(seen, name, seen))
			return lex_fail(&r->l, "the key \"%.*s\" comes twice", (int)MIN(name.len, (size_t)60),
					name.ptr);
		if (!lex_take(&r->l, ':') || !read_entry(r, m, f, name))
			return false;
	}
	return !r->l.wrong[0];
}

static bool set_twice(struct reader *r, const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF && *(uint32_t *)((char *)m + f->quantifier_offset) != 0)
		return !lex_fail(&r->l, "another field of its oneof is set already");
	return false;
}

static bool read_member(struct reader *r, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	struct str null;

	if (lex_peek(&r->l) == 'n' && (!takes_null(f) || f->label == PROTOBUF_C_LABEL_REPEATED))
		return lex_word(&r->l, &null);
	if (set_twice(r, m, f))
		return false;
	if (pb_field_is_map(f))
		return read_map(r, m, f);
	return f->label == PROTOBUF_C_LABEL_REPEATED ? read_list(r, m, f) : read_one(r, m, f);
}

/* The members of an object, its '{' taken. `any`: "@type" is let through. */
static bool read_members(struct reader *r, ProtobufCMessage *m, bool any)
{
	uint64_t seen[MAX_FIELDS / 64] = {0};
	bool first = true;
	struct str name;

	while (lex_more(&r->l, '}', &first)) {
		if (!lex_string(&r->l, &name) || !lex_take(&r->l, ':'))
			return false;
		const ProtobufCFieldDescriptor *f = json_field(m->descriptor, name);
		r->path[r->depth] = name;
		if (!f) {
			if (!r->ignore_unknown && !(any && str_is(name, "@type")))
				return lex_fail(&r->l, "%s has no such field", m->descriptor->name);
			if (!lex_skip(&r->l))
				return false;
			continue;
		}
		size_t i = (size_t)(f - m->descriptor->fields) % MAX_FIELDS;
		if (seen[i / 64] >> i % 64 & 1)
			return lex_fail(&r->l, "it comes twice");
		seen[i / 64] |= UINT64_C(1) << i % 64;
		if (!read_member(r, m, f))
			return false;
	}
	return !r->l.wrong[0];
}

static bool read_time(struct reader *r, ProtobufCMessage *m, bool timestamp)
{
	PbTimestamp *t = (PbTimestamp *)m;
	PbDuration *d = (PbDuration *)m;
	struct str s;

	if (!lex_string(&r->l, &s))
		return false;
	if (timestamp)
		return timestamp_read(s, &t->seconds, &t->nanos) ||
		       lex_fail(&r->l, "a timestamp as \"2026-11-21T07:03:00.5Z\" is expected");
	return duration_read(s, &d->seconds, &d->nanos) || lex_fail(&r->l, "a duration as \"1.5s\" is expected");
}

static bool read_pb_value(struct reader *r, ProtobufCMessage *m)
{
	static const struct {
		char first;
		const char *field;
	} kinds[] = {{'"', "string_value"}, {'{', "struct_value"}, {'[', "list_value"},
		     {'t', "bool_value"},   {'f', "bool_value"},   {'n', "null_value"}};
	char first = lex_peek(&r->l);
	const char *field = "number_value";

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].first == first)
			field = kinds[i].field;
	return read_one(r, m, json_field(m->descriptor, str_of(field)));
}

static bool read_message(struct reader *r, ProtobufCMessage *m)
{
	const ProtobufCFieldDescriptor *first = m->descriptor->fields;
	enum special special = special_of(m->descriptor);

	switch (special) {
	case TIMESTAMP:
	case DURATION: return read_time(r, m, special == TIMESTAMP);
	case STRUCT: return read_map(r, m, first);
	case LIST: return read_list(r, m, first);
	case VALUE: return read_pb_value(r, m);
	case WRAPPER: return read_one(r, m, first);
	case ANY: return read_any(r, (PbAny *)m);
	default: return lex_take(&r->l, '{') && read_members(r, m, false);
	}
}

/* The value of a member of the object at hand as text, which stays unread. False if there is none. */
static bool find_member(struct reader *r, const char *wanted, const char **ret)
{
	const char *from = r->l.at;
	bool first = true, found = false;
	struct str name;

	if (!lex_take(&r->l, '{'))
		return false;
	while (lex_more(&r->l, '}', &first)) {
		if (!lex_string(&r->l, &name) || !lex_take(&r->l, ':'))
			return false;
		lex_peek(&r->l);
		if (str_is(name, wanted)) {
			found = true;
			*ret = r->l.at;
		}
		if (!lex_skip(&r->l))
			return false;
	}
	r->l.at = from;
	return found && !r->l.wrong[0];
}

/* {"@type": …, "value": …}: what stands at "value" is read, then the rest is passed over. */
static bool read_any_special(struct reader *r, ProtobufCMessage *m)
{
	const char *value_at, *object_at = r->l.at;

	if (!find_member(r, "value", &value_at))
		return lex_fail(&r->l, "an Any of %s needs a \"value\"", m->descriptor->name);
	r->l.at = value_at;
	if (!read_message(r, m))
		return false;
	r->l.at = object_at;
	return lex_skip(&r->l);
}

static bool read_any(struct reader *r, PbAny *any)
{
	const char *type_at, *object_at = (lex_peek(&r->l), r->l.at);
	struct str url;

	if (!find_member(r, "@type", &type_at)) {
		bool first = true;
		if (r->l.wrong[0] || !lex_take(&r->l, '{'))
			return false;
		return !lex_more(&r->l, '}', &first) || lex_fail(&r->l, "an Any needs an \"@type\"");
	}
	r->l.at = type_at;
	if (!lex_string(&r->l, &url))
		return false;
	const ProtobufCMessageDescriptor *desc = type_of_url(url);
	if (!desc)
		return lex_fail(&r->l, "the type \"%.*s\" is unknown", (int)MIN(url.len, (size_t)100), url.ptr);
	if (!go_down(r))
		return false;
	r->l.at = object_at;
	ProtobufCMessage *m = pb_new(r->l.arena, desc);
	if (special_of(desc) ? !read_any_special(r, m) : !lex_take(&r->l, '{') || !read_members(r, m, true))
		return false;
	r->depth--;
	struct str packed = pb_pack(m, r->l.arena);
	any->type_url = arena_strndup(r->l.arena, url.ptr, url.len);
	any->value = (ProtobufCBinaryData){.len = packed.len, .data = (uint8_t *)packed.ptr};
	return true;
}

static enum code explain(const struct reader *r, struct err *err)
{
	char path[MAX_PATH] = "";
	size_t line = 1, column = 1, n = 0;

	for (const char *p = r->l.start; p < r->l.wrong_at; p++) {
		column = *p == '\n' ? 1 : column + 1;
		line += *p == '\n';
	}
	for (unsigned i = 0; i <= r->depth && i <= PB_MAX_DEPTH && n < sizeof path; i++)
		if (r->path[i].len)
			n += (size_t)snprintf(path + n, sizeof path - n, "%s%.*s", n ? "." : "",
					      (int)MIN(r->path[i].len, (size_t)60), r->path[i].ptr);
	return err_set(err, INVALID_ARGUMENT, "JSON, line %zu, column %zu%s%s: %s", line, column, n ? ", " : "", path,
		       r->l.wrong);
}

enum code json_read(const ProtobufCMessageDescriptor *desc, struct str in, bool ignore_unknown, struct arena *a,
		    void **ret, struct err *err)
{
	struct reader r;
	ProtobufCMessage *m = pb_new(a, desc);

	memset(&r, 0, sizeof r);
	r.l = (struct lexer){.start = in.ptr, .at = in.ptr, .end = in.ptr + in.len, .arena = a};
	r.ignore_unknown = ignore_unknown;
	read_message(&r, m);
	lex_peek(&r.l);
	if (r.l.at < r.l.end)
		lex_fail(&r.l, "something follows the end of the message");
	if (r.l.wrong[0])
		return explain(&r, err);
	*ret = m;
	return OK;
}

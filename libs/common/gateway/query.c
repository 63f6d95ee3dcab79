/* Query parameters into the fields of a message.
 * Source: grpc-gateway v2 runtime/query.go: unknown names are passed over, a single field takes a single value, what
 * the path has set is not set again. */
#include "gateway/private.h"

/* Follow "id.project" from `desc`: the last field, and the path in .proto names. NULL where a name is unknown; *ret_bad
 * is set where a field on the way has no fields. */
static const ProtobufCFieldDescriptor *resolve(const ProtobufCMessageDescriptor *desc, struct str key, struct buf *path,
					       bool *ret_bad)
{
	const ProtobufCFieldDescriptor *f = NULL;
	*ret_bad = false;
	while (key.ptr) {
		if (f && (f->type != PROTOBUF_C_TYPE_MESSAGE || f->label == PROTOBUF_C_LABEL_REPEATED)) {
			*ret_bad = true;
			return f;
		}
		f = json_field(f ? f->descriptor : desc, str_cut(&key, '.'));
		if (!f)
			return NULL;
		buf_printf(path, "%s%s", path->len ? "." : "", f->name);
	}
	return f;
}

static bool covers(struct str field, struct str path)
{
	return path.len >= field.len && memcmp(path.ptr, field.ptr, field.len) == 0 &&
	       (path.len == field.len || path.ptr[field.len] == '.');
}

/* Have path or body set it already? */
static bool is_bound(const struct rule *rule, struct str path)
{
	for (size_t i = 0; i < rule->n_captures; i++)
		if (covers(rule->captures[i].field, path))
			return true;
	return rule->body && covers(str_of(rule->body->name), path);
}

static bool given_before(const struct http_pair *pairs, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (str_eq(pairs[j].key, pairs[i].key))
			return true;
	return false;
}

static enum code apply(const struct rule *rule, ProtobufCMessage *m, const struct http_pair *pairs, size_t i,
		       struct arena *a, struct err *err)
{
	bool bad;
	auto_buf struct buf path = {0};
	struct str key = pairs[i].key;
	struct str name = key;
	const char *bracket = key.len && key.ptr[key.len - 1] == ']' ? memchr(key.ptr, '[', key.len) : NULL;
	if (bracket)
		name.len = (size_t)(bracket - key.ptr);
	const ProtobufCFieldDescriptor *f = resolve(m->descriptor, name, &path, &bad);
	if (!f || is_bound(rule, buf_str(&path)))
		return OK;
	if (bad)
		return err_set(err, INVALID_ARGUMENT, "query parameter %.*s: %s is not a message", STR_ARG(key),
			       f->name);
	if (bracket || pb_field_is_map(f))
		return err_set(err, INVALID_ARGUMENT, "query parameter %.*s: maps are not taken from queries",
			       STR_ARG(key));
	if (f->label != PROTOBUF_C_LABEL_REPEATED && given_before(pairs, i))
		return err_set(err, INVALID_ARGUMENT, "too many values for field \"%s\"", f->name);
	enum code c = json_set_path(m, buf_str(&path), pairs[i].value, a, err);
	return c ? err_prefix(err, c, "query parameter ") : OK;
}

enum code query_apply(const struct rule *rule, ProtobufCMessage *m, const struct http_pair *pairs, size_t n,
		      struct arena *a, struct err *err)
{
	enum code c = OK;
	for (size_t i = 0; i < n && !c; i++)
		c = apply(rule, m, pairs, i, a, err);
	return c;
}

/* JSON schemas of dataclasses, as flytekit puts them into a type's metadata. */
#include <string.h>

#include "base/mem.h"
#include "flyte/private.h"
#include "pb/pb.h"

static const PbValue *field(const PbStruct *s, const char *name)
{
	for (size_t i = 0; s && i < s->n_fields; i++)
		if (strcmp(s->fields[i]->key, name) == 0)
			return s->fields[i]->value;
	return NULL;
}

static const PbStruct *object(const PbValue *v)
{
	return v && v->kind_case == PB_VALUE_KIND_STRUCT_VALUE ? v->struct_value : NULL;
}

static bool same(const PbStruct *a, const PbStruct *b)
{
	uint8_t x[32], y[32];

	pb_digest(a, x);
	pb_digest(b, y);
	return memcmp(x, y, sizeof x) == 0;
}

/* Of what the schema is: its "type" if that is one word. */
static const char *type_word(const PbStruct *s)
{
	const PbValue *v = field(s, "type");
	return v && v->kind_case == PB_VALUE_KIND_STRING_VALUE ? v->string_value : "";
}

static bool is_required(const PbStruct *schema, const char *property)
{
	const PbValue *v = field(schema, "required");

	if (!v || v->kind_case != PB_VALUE_KIND_LIST_VALUE)
		return false;
	for (size_t i = 0; i < v->list_value->n_values; i++) {
		const PbValue *name = v->list_value->values[i];
		if (name->kind_case == PB_VALUE_KIND_STRING_VALUE && strcmp(name->string_value, property) == 0)
			return true;
	}
	return false;
}

static bool covers(const PbStruct *from, const PbStruct *to)
{
	if (!from || !to)
		return from == to;
	if (strcmp(type_word(from), type_word(to)) != 0)
		return false;
	const PbStruct *items = object(field(to, "items")), *wanted = object(field(to, "properties"));
	if (items && !covers(object(field(from, "items")), items))
		return false;
	if (!wanted)
		return items || *type_word(to) || same(from, to);
	const PbStruct *given = object(field(from, "properties"));
	for (size_t i = 0; i < wanted->n_fields; i++) {
		const char *name = wanted->fields[i]->key;
		const PbStruct *mine = object(field(given, name)), *theirs = object(wanted->fields[i]->value);
		if (!mine && !is_required(to, name))
			continue;
		if (!covers(mine, theirs))
			return false;
	}
	return true;
}

bool json_schema_covers(const PbStruct *from, const PbStruct *to)
{
	return same(from, to) || covers(from, to);
}

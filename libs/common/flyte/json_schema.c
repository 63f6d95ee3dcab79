/* JSON schemas of dataclasses, as flytekit puts them into a type's metadata. */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "flyte/private.h"
#include "pb/pb.h"

/* Both sides of a comparison. Schemas may refer to themselves, and alternatives are tried in all pairs: steps and depth
 * bound the work, and beyond them nothing is covered. */
enum { MAX_STEPS = 100000, MAX_DEPTH = 64 };

struct comparison {
	const PbStruct *from_root, *to_root;
	int steps, depth;
};

static bool covers(struct comparison *c, const PbStruct *from, const PbStruct *to, bool strict);

/* ---- reading ---- */

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

static const PbListValue *list(const PbValue *v)
{
	return v && v->kind_case == PB_VALUE_KIND_LIST_VALUE ? v->list_value : NULL;
}

static const char *text(const PbValue *v)
{
	return v && v->kind_case == PB_VALUE_KIND_STRING_VALUE ? v->string_value : NULL;
}

static bool same(const void *a, const void *b)
{
	uint8_t x[32], y[32];

	if (!a || !b)
		return a == b;
	pb_digest(a, x);
	pb_digest(b, y);
	return memcmp(x, y, sizeof x) == 0;
}

static bool has_text(const PbListValue *l, const char *word)
{
	for (size_t i = 0; l && i < l->n_values; i++) {
		const char *s = text(l->values[i]);
		if (s && strcmp(s, word) == 0)
			return true;
	}
	return false;
}

/* "#/$defs/Inner": NULL if there is no such place. */
static const PbStruct *follow(const PbStruct *root, const char *ref)
{
	struct str rest = str_of(ref);

	if (rest.len == 0 || *str_cut(&rest, '/').ptr != '#')
		return NULL;
	while (root && rest.ptr) {
		struct str part = str_cut(&rest, '/');
		const PbStruct *next = NULL;
		for (size_t i = 0; i < root->n_fields && !next; i++)
			if (str_eq(str_of(root->fields[i]->key), part))
				next = object(root->fields[i]->value);
		root = next;
	}
	return root;
}

static const PbStruct *resolve(const PbStruct *root, const PbStruct *s)
{
	const char *ref;

	for (int i = 0; s && (ref = text(field(s, "$ref"))); i++)
		s = i < MAX_DEPTH ? follow(root, ref) : NULL;
	return s;
}

/* ---- types ---- */

static bool has_type(const PbStruct *s, const char *word)
{
	const PbValue *v = field(s, "type");
	const char *one = text(v);

	return one ? strcmp(one, word) == 0 : has_text(list(v), word);
}

static bool untyped(const PbStruct *s)
{
	return !field(s, "type");
}

/* The same types; an untyped schema wants an object. */
static bool types_agree(const PbStruct *from, const PbStruct *to)
{
	static const char *const TYPES[] = {"null", "boolean", "object", "array", "number", "string", "integer"};

	for (size_t i = 0; i < ARRAY_SIZE(TYPES); i++)
		if (has_type(from, TYPES[i]) != has_type(to, TYPES[i]) &&
		    !(untyped(to) && strcmp(TYPES[i], "object") == 0))
			return false;
	return true;
}

/* ---- bounds ---- */

static const struct bound {
	const char *type, *key;
	bool is_maximum;
} BOUNDS[] = {
	{"string", "minLength", false}, {"string", "maxLength", true},      {"array", "minItems", false},
	{"array", "maxItems", true},    {"object", "minProperties", false}, {"object", "maxProperties", true},
	{"number", "minimum", false},   {"number", "maximum", true},
};

static bool bounds_agree(const PbStruct *from, const PbStruct *to)
{
	for (size_t i = 0; i < ARRAY_SIZE(BOUNDS); i++) {
		const struct bound *b = &BOUNDS[i];
		const PbValue *wanted = has_type(to, b->type) ? field(to, b->key) : NULL, *given = field(from, b->key);
		if (!wanted || wanted->kind_case != PB_VALUE_KIND_NUMBER_VALUE)
			continue;
		if (!given || given->kind_case != PB_VALUE_KIND_NUMBER_VALUE)
			return false;
		double x = given->number_value, y = wanted->number_value;
		if (b->is_maximum ? x > y : x < y)
			return false;
	}
	return true;
}

/* ---- by type ---- */

static bool strings_agree(const PbStruct *from, const PbStruct *to)
{
	const PbListValue *given = list(field(from, "enum")), *wanted = list(field(to, "enum"));

	if (!same(field(from, "format"), field(to, "format")))
		return false;
	for (size_t i = 0; wanted && given && i < given->n_values; i++) {
		const char *value = text(given->values[i]);
		if (!value || !has_text(wanted, value))
			return false;
	}
	return !field(to, "pattern") || same(field(from, "pattern"), field(to, "pattern"));
}

static bool items_agree(struct comparison *c, const PbStruct *from, const PbStruct *to, bool strict)
{
	const PbValue *given = field(from, "items"), *wanted = field(to, "items");
	const PbListValue *x = list(given), *y = list(wanted);

	if (!wanted)
		return true;
	if (object(given) && object(wanted))
		return covers(c, object(given), object(wanted), strict);
	if (!x || !y || x->n_values != y->n_values)
		return false;
	for (size_t i = 0; i < x->n_values; i++)
		if (!covers(c, object(x->values[i]), object(y->values[i]), strict))
			return false;
	return true;
}

static bool is_closed(const PbStruct *s)
{
	const PbValue *v = field(s, "additionalProperties");
	return v && (v->kind_case != PB_VALUE_KIND_BOOL_VALUE || !v->bool_value);
}

static bool objects_agree(struct comparison *c, const PbStruct *from, const PbStruct *to, bool strict)
{
	const PbListValue *required = list(field(to, "required")), *given = list(field(from, "required"));
	const PbStruct *theirs = object(field(from, "properties")), *wanted = object(field(to, "properties"));

	/* The library does not compare these, and says so: that only counts among alternatives. */
	if (strict && (is_closed(from) || is_closed(to)))
		return false;
	for (size_t i = 0; required && i < required->n_values; i++)
		if (!text(required->values[i]) || !has_text(given, text(required->values[i])))
			return false;
	for (size_t i = 0; wanted && i < wanted->n_fields; i++) {
		const PbStruct *mine = object(field(theirs, wanted->fields[i]->key));
		if (!mine || !covers(c, mine, object(wanted->fields[i]->value), strict))
			return false;
	}
	return true;
}

/* ---- alternatives: each that is given is wanted ---- */

static bool alternatives_agree(struct comparison *c, const PbListValue *given, const PbListValue *wanted)
{
	size_t n = given ? given->n_values : 0, m = wanted ? wanted->n_values : 0;

	if (!n || !m)
		return n == m;
	for (size_t i = 0; i < n; i++) {
		size_t k = 0;
		while (k < m && !covers(c, object(given->values[i]), object(wanted->values[k]), true))
			k++;
		if (k == m)
			return false;
	}
	return true;
}

static bool schemas_agree(struct comparison *c, const PbStruct *from, const PbStruct *to, bool strict)
{
	static const char *const ALTERNATIVES[] = {"allOf", "anyOf", "oneOf"};

	if (!types_agree(from, to) || !bounds_agree(from, to))
		return false;
	if (has_type(to, "string") && !strings_agree(from, to))
		return false;
	if (has_type(to, "array") && !items_agree(c, from, to, strict))
		return false;
	if ((has_type(to, "object") || untyped(to)) && !objects_agree(c, from, to, strict))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(ALTERNATIVES); i++)
		if (!alternatives_agree(c, list(field(from, ALTERNATIVES[i])), list(field(to, ALTERNATIVES[i]))))
			return false;
	return !field(to, "const") || same(field(from, "const"), field(to, "const"));
}

static bool covers(struct comparison *c, const PbStruct *from, const PbStruct *to, bool strict)
{
	from = resolve(c->from_root, from);
	to = resolve(c->to_root, to);
	if (!from || !to || --c->steps < 0 || c->depth == MAX_DEPTH)
		return false;
	c->depth++;
	bool ok = schemas_agree(c, from, to, strict);
	c->depth--;
	return ok;
}

bool json_schema_covers(const PbStruct *from, const PbStruct *to)
{
	struct comparison c = {from, to, MAX_STEPS, 0};

	return same(from, to) || covers(&c, from, to, false);
}

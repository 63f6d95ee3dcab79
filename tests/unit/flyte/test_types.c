/* Which type may go where. Types are written short: i s f n d (integer, string, float, none, datetime), S struct,
 * E enum, B blob without and Bx with format x, [t] list, {t} map, (tu) union of t and u. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "flyte/text.h"
#include "flyte/types.h"
#include "pb/pb.h"

static CoreLiteralType *parse(struct arena *a, const char **p);

static CoreLiteralType *inner(struct arena *a, const char **p, char end)
{
	CoreLiteralType *t = parse(a, p);

	assert_int_equal(*(*p)++, end);
	return t;
}

static CoreUnionType *variants(struct arena *a, const char **p)
{
	CoreUnionType *u = pb_new(a, CORE_UNION_TYPE_DESC);

	while (**p != ')')
		*PB_ADD(a, u->variants, u->n_variants) = parse(a, p);
	(*p)++;
	return u;
}

static CoreLiteralType *parse(struct arena *a, const char **p)
{
	static const char SIMPLE[] = "nifsbdDBES";
	CoreLiteralType *t = pb_new(a, CORE_LITERAL_TYPE_DESC);
	char c = *(*p)++;

	switch (c) {
	case '[':
		t->type_case = CORE_LITERAL_TYPE_TYPE_COLLECTION_TYPE;
		t->collection_type = inner(a, p, ']');
		break;
	case '{':
		t->type_case = CORE_LITERAL_TYPE_TYPE_MAP_VALUE_TYPE;
		t->map_value_type = inner(a, p, '}');
		break;
	case '(':
		t->type_case = CORE_LITERAL_TYPE_TYPE_UNION_TYPE;
		t->union_type = variants(a, p);
		break;
	case 'B':
		t->type_case = CORE_LITERAL_TYPE_TYPE_BLOB;
		t->blob = pb_new(a, CORE_BLOB_TYPE_DESC);
		if (**p == 'x' || **p == 'y')
			t->blob->format = arena_strndup(a, (*p)++, 1);
		break;
	case 'E':
		t->type_case = CORE_LITERAL_TYPE_TYPE_ENUM_TYPE;
		t->enum_type = pb_new(a, CORE_ENUM_TYPE_DESC);
		break;
	default: t->type_case = CORE_LITERAL_TYPE_TYPE_SIMPLE; t->simple = (CoreSimpleType)(strchr(SIMPLE, c) - SIMPLE);
	}
	return t;
}

static CoreLiteralType *type(struct arena *a, const char *text)
{
	return parse(a, &text);
}

static void test_castable(void **state)
{
	(void)state;
	static const struct {
		const char *from, *to;
		bool ok;
	} cases[] = {
		{"i", "i", true},         {"i", "f", false},    {"i", "s", false},       {"n", "n", true},
		{"i", "n", false},        {"n", "i", false},    {"E", "s", true},        {"s", "E", true},
		{"i", "E", false},        {"E", "E", true},     {"[i]", "[i]", true},    {"[i]", "[s]", false},
		{"[n]", "[i]", true},     {"i", "[i]", false},  {"[i]", "i", false},     {"[[i]]", "[[i]]", true},
		{"[[n]]", "[[i]]", true}, {"{i}", "{i}", true}, {"{n}", "{i}", true},    {"{s}", "{i}", false},
		{"[i]", "{i}", false},    {"B", "Bx", true},    {"Bx", "B", true},       {"Bx", "Bx", true},
		{"Bx", "By", false},      {"i", "B", false},    {"i", "(is)", true},     {"f", "(is)", false},
		{"n", "(in)", true},      {"i", "(ii)", false}, {"(is)", "(sif)", true}, {"(is)", "(if)", false},
		{"(i)", "i", true},       {"(is)", "i", false}, {"[i]", "([i]n)", true}, {"(i)", "(in)", true},
		{"[(i)]", "[i]", false},  {"S", "S", true},     {"d", "D", false},
	};
	auto_free(arena_free) struct arena *a = arena_new(0);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (type_castable(type(a, cases[i].from), type(a, cases[i].to)) != cases[i].ok)
			fail_msg("%s to %s: not %d", cases[i].from, cases[i].to, cases[i].ok);
	}
	assert_false(type_castable(NULL, type(a, "i")));
	assert_false(type_castable(type(a, "i"), NULL));
}

/* Nested unions try all pairs: there is an end to it. */
static void test_hostile_unions(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	char from[200] = "", to[200] = "";

	for (int i = 0; i < 40; i++) {
		strcat(from, "(");
		strcat(to, "(");
	}
	strcat(from, "i");
	strcat(to, "s");
	for (int i = 0; i < 40; i++) {
		strcat(from, ")");
		strcat(to, ")");
	}
	int64_t start = time_mono_us();
	assert_false(type_castable(type(a, from), type(a, to)));
	assert_true(time_mono_us() - start < 20 * USEC_PER_SEC);
}

static void test_structure_is_left_aside(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	CoreLiteralType *x = type(a, "i"), *y = type(a, "i");

	y->metadata = pb_new(a, PB_STRUCT_DESC);
	y->annotation = pb_new(a, CORE_TYPE_ANNOTATION_DESC);
	assert_true(type_castable(x, y) && type_same(x, y));
	x->structure = pb_new(a, CORE_TYPE_STRUCTURE_DESC);
	x->structure->tag = arena_strdup(a, "int");
	assert_false(type_castable(x, y)); /* tags, however, must agree */
	assert_true(type_castable(y, x));
	y->structure = x->structure;
	assert_true(type_castable(x, y));
}

static void test_optional(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);

	assert_true(type_optional(type(a, "(in)")));
	assert_false(type_optional(type(a, "(is)")));
	assert_false(type_optional(type(a, "n")));
	assert_false(type_optional(NULL));
}

/* ---- tables ---- */

static CoreLiteralType *dataset(struct arena *a, const char *format, const char *columns)
{
	CoreLiteralType *t = type(a, "i");

	t->type_case = CORE_LITERAL_TYPE_TYPE_STRUCTURED_DATASET_TYPE;
	t->structured_dataset_type = pb_new(a, CORE_STRUCTURED_DATASET_TYPE_DESC);
	t->structured_dataset_type->format = (char *)format;
	for (; *columns; columns += 2) {
		CoreStructuredDatasetTypeDatasetColumn *c = pb_new(a, CORE_STRUCTURED_DATASET_TYPE_DATASET_COLUMN_DESC);
		c->name = arena_strndup(a, columns, 1);
		c->literal_type = type(a, arena_strndup(a, columns + 1, 1));
		*PB_ADD(a, t->structured_dataset_type->columns, t->structured_dataset_type->n_columns) = c;
	}
	return t;
}

static CoreLiteralType *schema(struct arena *a, const char *columns)
{
	CoreLiteralType *t = type(a, "i");

	t->type_case = CORE_LITERAL_TYPE_TYPE_SCHEMA;
	t->schema = pb_new(a, CORE_SCHEMA_TYPE_DESC);
	for (; *columns; columns += 2) {
		CoreSchemaTypeSchemaColumn *c = pb_new(a, CORE_SCHEMA_TYPE_SCHEMA_COLUMN_DESC);
		c->name = arena_strndup(a, columns, 1);
		c->type = columns[1] == 's' ? CORE_SCHEMA_TYPE_SCHEMA_COLUMN_SCHEMA_COLUMN_TYPE_STRING
					    : CORE_SCHEMA_TYPE_SCHEMA_COLUMN_SCHEMA_COLUMN_TYPE_INTEGER;
		*PB_ADD(a, t->schema->columns, t->schema->n_columns) = c;
	}
	return t;
}

static void test_tables(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);

	assert_true(type_castable(dataset(a, "", "ai"), dataset(a, "", "")));
	assert_true(type_castable(dataset(a, "", "aibs"), dataset(a, "", "ai")));
	assert_false(type_castable(dataset(a, "", "ai"), dataset(a, "", "aibs")));
	assert_false(type_castable(dataset(a, "", "as"), dataset(a, "", "ai")));
	assert_false(type_castable(dataset(a, "csv", ""), dataset(a, "parquet", "")));
	assert_true(type_castable(dataset(a, "Parquet", ""), dataset(a, "parquet", "")));
	assert_true(type_castable(type(a, "n"), dataset(a, "", "ai")));
	assert_false(type_castable(type(a, "i"), dataset(a, "", "")));
	assert_true(type_castable(schema(a, "aibs"), schema(a, "bs")));
	assert_false(type_castable(schema(a, "ai"), schema(a, "as")));
	assert_true(type_castable(schema(a, "aibs"), dataset(a, "parquet", "ai")));
	assert_false(type_castable(schema(a, "ai"), dataset(a, "csv", "")));
	assert_true(type_castable(dataset(a, "", "ai"), schema(a, "ai")));
	assert_false(type_castable(dataset(a, "csv", "ai"), schema(a, "ai")));
}

/* ---- dataclasses ---- */

static PbValue *value(struct arena *a, int kind)
{
	PbValue *v = pb_new(a, PB_VALUE_DESC);

	v->kind_case = kind;
	return v;
}

static void set(struct arena *a, PbStruct *s, const char *key, PbValue *v)
{
	PbStructFieldsEntry *e = pb_new(a, PB_STRUCT_FIELDS_ENTRY_DESC);

	e->key = (char *)key;
	e->value = v;
	*PB_ADD(a, s->fields, s->n_fields) = e;
}

static PbValue *word(struct arena *a, const char *text)
{
	PbValue *v = value(a, PB_VALUE_KIND_STRING_VALUE);

	v->string_value = (char *)text;
	return v;
}

/* Pairs of a property's name and type, one letter each: "aibs". All of them are required. */
static CoreLiteralType *dataclass(struct arena *a, const char *title, const char *properties)
{
	CoreLiteralType *t = type(a, "S");
	PbStruct *all = pb_new(a, PB_STRUCT_DESC);
	PbValue *object = value(a, PB_VALUE_KIND_STRUCT_VALUE), *required = value(a, PB_VALUE_KIND_LIST_VALUE);

	required->list_value = pb_new(a, PB_LIST_VALUE_DESC);
	for (; *properties; properties += 2) {
		PbValue *property = value(a, PB_VALUE_KIND_STRUCT_VALUE);
		char *name = arena_strndup(a, properties, 1);
		property->struct_value = pb_new(a, PB_STRUCT_DESC);
		set(a, property->struct_value, "type", word(a, properties[1] == 'i' ? "integer" : "string"));
		set(a, all, name, property);
		*PB_ADD(a, required->list_value->values, required->list_value->n_values) = word(a, name);
	}
	object->struct_value = all;
	t->metadata = pb_new(a, PB_STRUCT_DESC);
	set(a, t->metadata, "title", word(a, title));
	set(a, t->metadata, "type", word(a, "object"));
	set(a, t->metadata, "properties", object);
	set(a, t->metadata, "required", required);
	return t;
}

static void test_dataclasses(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);

	assert_true(type_castable(dataclass(a, "A", "aibs"), dataclass(a, "A", "aibs")));
	assert_true(type_castable(dataclass(a, "Child", "aibs"), dataclass(a, "Parent", "ai")));
	assert_false(type_castable(dataclass(a, "Parent", "ai"), dataclass(a, "Child", "aibs")));
	assert_false(type_castable(dataclass(a, "A", "as"), dataclass(a, "A", "ai")));
	assert_true(type_castable(type(a, "S"), dataclass(a, "A", "ai")));
}

/* ---- literals ---- */

static CoreLiteral *integer(struct arena *a, int64_t i)
{
	CoreLiteral *l = literal_of_primitive(a, CORE_PRIMITIVE_VALUE_INTEGER);

	l->scalar->primitive->integer = i;
	return l;
}

static CoreLiteral *text_literal(struct arena *a, const char *s)
{
	CoreLiteral *l = integer(a, 0);

	l->scalar->primitive->value_case = CORE_PRIMITIVE_VALUE_STRING_VALUE;
	l->scalar->primitive->string_value = arena_strdup(a, s);
	return l;
}

static CoreLiteral *list(struct arena *a, size_t n, ...)
{
	CoreLiteral *l = pb_new(a, CORE_LITERAL_DESC);
	va_list ap;

	l->value_case = CORE_LITERAL_VALUE_COLLECTION;
	l->collection = pb_new(a, CORE_LITERAL_COLLECTION_DESC);
	va_start(ap, n);
	for (size_t i = 0; i < n; i++)
		*PB_ADD(a, l->collection->literals, l->collection->n_literals) = va_arg(ap, CoreLiteral *);
	va_end(ap);
	return l;
}

static void assert_type(struct arena *a, const CoreLiteral *l, const char *expected)
{
	assert_string_equal(type_text(literal_type(l, a), a), type_text(type(a, expected), a));
}

static void test_literal_types(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	CoreLiteral *dict = integer(a, 0);

	assert_type(a, integer(a, 1), "i");
	assert_type(a, text_literal(a, ""), "s");
	assert_type(a, list(a, 0), "[n]");
	assert_type(a, list(a, 2, integer(a, 1), integer(a, 2)), "[i]");
	assert_type(a, list(a, 3, integer(a, 1), text_literal(a, "x"), integer(a, 3)), "[(is)]");
	assert_type(a, list(a, 2, list(a, 0), list(a, 1, integer(a, 1))), "[[i]]");
	dict->scalar->value_case = CORE_SCALAR_VALUE_BINARY;
	dict->scalar->binary = pb_new(a, CORE_BINARY_DESC);
	dict->scalar->binary->tag = arena_strdup(a, "msgpack");
	assert_type(a, dict, "S");
}

static void test_unknown_literals(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	CoreLiteral *nothing = pb_new(a, CORE_LITERAL_DESC);
	struct err err;

	assert_null(literal_type(nothing, a));
	assert_int_equal(literal_type_check(NULL, &err), INVALID_ARGUMENT);
	assert_non_null(strstr(err.text, "got unknown literal type: [<nil>]."));
	assert_int_equal(literal_type_check(literal_type(list(a, 1, nothing), a), &err), INVALID_ARGUMENT);
	assert_int_equal(literal_type_check(literal_type(list(a, 1, integer(a, 1)), a), &err), OK);
}

static void test_text(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);

	assert_string_equal(type_text(type(a, "[(in)]"), a),
			    "collection_type:{union_type:{variants:{simple:INTEGER} variants:{simple:NONE}}}");
	assert_string_equal(message_text(text_literal(a, "a\"\\\n\x01ä"), a),
			    "scalar:{primitive:{string_value:\"a\\\"\\\\\\n\\x01ä\"}}");
	assert_string_equal(message_text(NULL, a), "<nil>");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_castable),
		cmocka_unit_test(test_hostile_unions),
		cmocka_unit_test(test_structure_is_left_aside),
		cmocka_unit_test(test_optional),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_dataclasses),
		cmocka_unit_test(test_literal_types),
		cmocka_unit_test(test_unknown_literals),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Dataclasses cast by the JSON schemas in their types' metadata. Expected results are those of Flyte's library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "flyte/types.h"
#include "pb/pb.h"
#include "json/json.h"

static CoreLiteralType *dataclass(struct arena *a, const char *schema)
{
	CoreLiteralType *t = NULL;
	struct err err;
	const char *text = arena_printf(a, "{\"simple\": \"STRUCT\", \"metadata\": %s}", schema);

	if (json_read(CORE_LITERAL_TYPE_DESC, str_of(text), false, a, (void **)&t, &err))
		fail_msg("%s: %s", err.text, text);
	return t;
}

#define OBJECT(properties, more) "{\"type\": \"object\", \"properties\": {" properties "}" more "}"
#define REQUIRED(names)          ", \"required\": [" names "]"
#define OPTIONAL(type)           "{\"anyOf\": [{\"type\": \"" type "\"}, {\"type\": \"null\"}]}"
#define INT                      "{\"type\": \"integer\"}"
#define TEXT                     "{\"type\": \"string\"}"
#define CLOSED                   ", \"additionalProperties\": false"

static const struct {
	const char *from, *to;
	bool ok, back;
} CASES[] = {
	/* a subclass has all that its parent has */
	{OBJECT("\"a\": " INT ", \"b\": " TEXT, CLOSED), OBJECT("\"a\": " INT, CLOSED), true, false},
	{OBJECT("\"a\": " INT, ""), OBJECT("\"a\": " TEXT, ""), false, false},
	{OBJECT("\"a\": " INT, ""), OBJECT("\"a\": {\"type\": \"number\"}", ""), false, false},
	/* what is wanted must be given, even if it has a default */
	{OBJECT("\"a\": " INT, REQUIRED("\"a\"")), OBJECT("\"a\": " INT, ""), true, false},
	{OBJECT("\"a\": " OPTIONAL("integer"), ""), OBJECT("\"a\": " OPTIONAL("integer"), CLOSED), true, true},
	{OBJECT("\"a\": " OPTIONAL("integer"), ""), OBJECT("\"a\": " OPTIONAL("string"), ""), false, false},
	{OBJECT("\"a\": " INT, ""), OBJECT("\"a\": " OPTIONAL("integer"), ""), false, false},
	/* dataclasses in dataclasses, lists of them, and by reference */
	{OBJECT("\"i\": " OBJECT("\"a\": " INT ", \"b\": " INT, ""), ""),
	 OBJECT("\"i\": " OBJECT("\"a\": " INT, ""), ""), true, false},
	{OBJECT("\"l\": {\"type\": \"array\", \"items\": " INT "}", ""),
	 OBJECT("\"l\": {\"type\": \"array\", \"items\": " TEXT "}", ""), false, false},
	{"{\"$ref\": \"#/definitions/A\", \"definitions\": {\"A\": " OBJECT("\"a\": " INT, "") "}}",
	 OBJECT("\"a\": " INT, ""), true, true},
	{"{\"$ref\": \"#/definitions/B\", \"definitions\": {\"A\": " OBJECT("\"a\": " INT, "") "}}",
	 OBJECT("\"a\": " INT, ""), false, false},
	{"{\"$ref\": \"#\"}", OBJECT("\"a\": " INT, ""), false, false},
	/* enums: no value may be unknown */
	{OBJECT("\"e\": {\"type\": \"string\", \"enum\": [\"a\"]}", ""),
	 OBJECT("\"e\": {\"type\": \"string\", \"enum\": [\"a\", \"b\"]}", ""), true, false},
	{OBJECT("\"d\": {\"type\": \"string\", \"format\": \"date\"}", ""), OBJECT("\"d\": " TEXT, ""), false, false},
	{OBJECT("\"l\": {\"type\": \"array\", \"minItems\": 2}", ""),
	 OBJECT("\"l\": {\"type\": \"array\", \"minItems\": 1}", ""), true, false},
};

static void test_schemas(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
		auto_free(arena_free) struct arena *a = arena_new(0);
		const CoreLiteralType *from = dataclass(a, CASES[i].from), *to = dataclass(a, CASES[i].to);
		if (type_castable(from, to) != CASES[i].ok || type_castable(to, from) != CASES[i].back)
			fail_msg("%s to %s", CASES[i].from, CASES[i].to);
		assert_true(type_castable(from, from));
	}
}

/* A class that refers to itself is compared as deep as it matters, and no deeper than is wise. */
static void test_recursion(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	static const char TREE[] = OBJECT("\"next\": {\"$ref\": \"#\"}, \"a\": %s", "");
	const CoreLiteralType *ints = dataclass(a, arena_printf(a, TREE, INT));
	const CoreLiteralType *texts = dataclass(a, arena_printf(a, TREE, TEXT));

	assert_true(type_castable(ints, ints));
	assert_false(type_castable(ints, texts));
}

static void test_steps(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	const CoreLiteralType *t = dataclass(a, OBJECT("", ""));
	int steps = 2;

	assert_true(type_castable_within(t, t, &steps));
	assert_int_equal(steps, 1);
	assert_true(type_castable_within(t, t, &steps));
	assert_false(type_castable_within(t, t, &steps));
	assert_int_equal(steps, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_schemas),
		cmocka_unit_test(test_recursion),
		cmocka_unit_test(test_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

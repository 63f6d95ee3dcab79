/* Which type may be given to a variable of which other: all pairs of a generated set, against the rules of
 * docs/types.md as castability.py states them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "flyte/types.h"
#include "pb/pb.h"
#include "json/json.h"

static const struct leaf {
	const char *name, *json;
} LEAVES[] = {
#define LEAF(name, json) {name, json},
#define ROW(expression, bits)
#include "castability.inc"
#undef LEAF
#undef ROW
};

static const struct row {
	const char *expression, *bits;
} ROWS[] = {
#define LEAF(name, json)
#define ROW(expression, bits) {expression, bits},
#include "castability.inc"
#undef LEAF
#undef ROW
};

/* ---- expressions ---- */

static CoreLiteralType *leaf(struct arena *a, struct str name)
{
	CoreLiteralType *t = NULL;
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(LEAVES); i++) {
		if (!str_eq(name, str_of(LEAVES[i].name)))
			continue;
		if (json_read(CORE_LITERAL_TYPE_DESC, str_of(LEAVES[i].json), false, a, (void **)&t, &err))
			fail_msg("%s: %s", LEAVES[i].json, err.text);
		return t;
	}
	fail_msg("no leaf %.*s", (int)name.len, name.ptr);
	return NULL;
}

static CoreLiteralType *parse(struct arena *a, const char **p);

static CoreLiteralType *parse_union(struct arena *a, const char **p)
{
	CoreLiteralType *t = pb_new(a, CORE_LITERAL_TYPE_DESC);

	t->type_case = CORE_LITERAL_TYPE_TYPE_UNION_TYPE;
	t->union_type = pb_new(a, CORE_UNION_TYPE_DESC);
	do
		*PB_ADD(a, t->union_type->variants, t->union_type->n_variants) = parse(a, p);
	while (*(*p)++ == '|');
	return t;
}

static CoreLiteralType *parse_elements(struct arena *a, const char **p, bool map)
{
	CoreLiteralType *t = pb_new(a, CORE_LITERAL_TYPE_DESC), *inner = parse(a, p);

	assert_int_equal(*(*p)++, map ? '}' : ']');
	t->type_case = map ? CORE_LITERAL_TYPE_TYPE_MAP_VALUE_TYPE : CORE_LITERAL_TYPE_TYPE_COLLECTION_TYPE;
	if (map)
		t->map_value_type = inner;
	else
		t->collection_type = inner;
	return t;
}

/* What stands before the end of it; *p is moved there. */
static CoreLiteralType *parse(struct arena *a, const char **p)
{
	size_t word = strcspn(*p, "()[]{}|#");
	char c = **p;
	CoreLiteralType *t;

	*p += word ? word : 1;
	if (word)
		t = leaf(a, (struct str){*p - word, word});
	else
		t = c == '(' ? parse_union(a, p) : parse_elements(a, p, c == '{');
	if (**p == '#') {
		t->structure = pb_new(a, CORE_TYPE_STRUCTURE_DESC);
		t->structure->tag = arena_strndup(a, *p + 1, 1);
		*p += 2;
	}
	return t;
}

/* ---- all pairs ---- */

static bool wanted(const struct row *row, size_t to)
{
	static const char DIGITS[] = "0123456789abcdef";
	const char *digit = memchr(DIGITS, row->bits[to / 4], 16);

	assert_non_null(digit);
	return (digit - DIGITS) >> (3 - to % 4) & 1;
}

static void test_all_pairs(void **state)
{
	(void)state;
	enum { N = ARRAY_SIZE(ROWS), SHOWN = 20 };
	auto_free(arena_free) struct arena *a = arena_new(0);
	static CoreLiteralType *types[N];
	size_t casts = 0, wrong = 0;

	for (size_t i = 0; i < N; i++) {
		const char *p = ROWS[i].expression;
		types[i] = parse(a, &p);
		assert_string_equal(p, "");
		assert_int_equal(strlen(ROWS[i].bits), (N + 3) / 4);
	}
	for (size_t i = 0; i < N; i++) {
		for (size_t k = 0; k < N; k++) {
			bool ok = type_castable(types[i], types[k]);
			casts += ok;
			if (ok == wanted(&ROWS[i], k))
				continue;
			if (wrong++ < SHOWN)
				print_error("%s to %s: %s\n", ROWS[i].expression, ROWS[k].expression,
					    ok ? "casts, but must not" : "must cast");
		}
	}
	print_message("%d types, %d pairs, %zu of them cast\n", (int)N, (int)(N * N), casts);
	assert_int_equal(wrong, 0);
}

/* The set is worth its name: kinds of types are all there, outermost, often. */
static void test_set(void **state)
{
	(void)state;
	static const int KINDS[] = {
		CORE_LITERAL_TYPE_TYPE_NOT_SET,        CORE_LITERAL_TYPE_TYPE_SIMPLE,
		CORE_LITERAL_TYPE_TYPE_SCHEMA,         CORE_LITERAL_TYPE_TYPE_COLLECTION_TYPE,
		CORE_LITERAL_TYPE_TYPE_MAP_VALUE_TYPE, CORE_LITERAL_TYPE_TYPE_BLOB,
		CORE_LITERAL_TYPE_TYPE_ENUM_TYPE,      CORE_LITERAL_TYPE_TYPE_STRUCTURED_DATASET_TYPE,
		CORE_LITERAL_TYPE_TYPE_UNION_TYPE,
	};
	auto_free(arena_free) struct arena *a = arena_new(0);

	assert_true(ARRAY_SIZE(ROWS) >= 400);
	for (size_t k = 0; k < ARRAY_SIZE(KINDS); k++) {
		size_t n = 0;
		for (size_t i = 0; i < ARRAY_SIZE(ROWS); i++) {
			const char *p = ROWS[i].expression;
			n += parse(a, &p)->type_case == (unsigned)KINDS[k];
		}
		if (!n)
			fail_msg("no type of kind %d", (int)KINDS[k]);
	}
}

/* Thousands of columns are no reason to refuse. */
static void test_wide_tables(void **state)
{
	(void)state;
	enum { N = 10000 };
	auto_free(arena_free) struct arena *a = arena_new(0);
	CoreLiteralType *wide = leaf(a, str_of("schema")), *narrow = leaf(a, str_of("data-a"));

	for (int i = 0; i < N; i++) {
		CoreSchemaTypeSchemaColumn *c = pb_new(a, CORE_SCHEMA_TYPE_SCHEMA_COLUMN_DESC);
		c->name = i == N / 2 ? arena_strdup(a, "a") : arena_printf(a, "c%d", i);
		*PB_ADD(a, wide->schema->columns, wide->schema->n_columns) = c;
	}
	assert_true(type_castable(wide, wide));
	assert_true(type_castable(wide, narrow));
	assert_false(type_castable(narrow, wide));
	wide->schema->columns[N / 2]->type = CORE_SCHEMA_TYPE_SCHEMA_COLUMN_SCHEMA_COLUMN_TYPE_FLOAT;
	assert_false(type_castable(wide, narrow));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_pairs),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_wide_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

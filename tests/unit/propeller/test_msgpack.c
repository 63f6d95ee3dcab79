/* Parts of msgpack values. */
#include "engine/msgpack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

#define BYTES(text) ((struct str){"" text, sizeof text - 1})

/* {"x": -7, "name": "café", "path": [0.5, 1.5f, [true]], 5: nil, "big": 2^40, "sub": {"k": bin}} */
static const struct str POINT =
	BYTES("\x86\xa1x\xf9\xa4name\xa5"
	      "caf\xc3\xa9\xa4path\x93\xcb\x3f\xe0\0\0\0\0\0\0\xca\x3f\xc0\0\0\x91\xc3\x05\xc0\xa3"
	      "big\xcf\0\0\1\0\0\0\0\0\xa3sub\x81\xa1k\xc4\x02\x01\x02");

static const CoreLiteral *literal_at(struct arena *a, const char *key)
{
	struct str part;

	assert_true(msgpack_key(POINT, key, &part));
	CoreLiteral *l = msgpack_literal(a, part);
	assert_non_null(l);
	return l;
}

static void test_primitives(void **state)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct str list, part;

	(void)state;
	assert_int_equal(literal_at(a, "x")->scalar->primitive->integer, -7);
	assert_int_equal(literal_at(a, "big")->scalar->primitive->integer, INT64_C(1) << 40);
	assert_string_equal(literal_at(a, "name")->scalar->primitive->string_value, "caf\xc3\xa9");
	assert_true(msgpack_key(POINT, "path", &list));
	assert_true(msgpack_item(list, 0, &part));
	assert_true(msgpack_literal(a, part)->scalar->primitive->float_value == 0.5);
	assert_true(msgpack_item(list, 1, &part));
	assert_true(msgpack_literal(a, part)->scalar->primitive->float_value == 1.5);
	assert_true(msgpack_item(list, 2, &part) && msgpack_item(part, 0, &part));
	assert_true(msgpack_literal(a, part)->scalar->primitive->boolean);
}

static void test_numbers(void **state)
{
	static const struct {
		struct str bytes;
		int64_t value;
	} CASES[] = {
		{BYTES("\0"), 0},
		{BYTES("\x7f"), 127},
		{BYTES("\xff"), -1},
		{BYTES("\xe0"), -32},
		{BYTES("\xcc\xff"), 255},
		{BYTES("\xcd\x12\x34"), 0x1234},
		{BYTES("\xce\xff\xff\xff\xff"), UINT32_MAX},
		{BYTES("\xd0\x80"), -128},
		{BYTES("\xd1\x80\0"), -32768},
		{BYTES("\xd2\x80\0\0\0"), INT32_MIN},
		{BYTES("\xd3\x80\0\0\0\0\0\0\0"), INT64_MIN},
	};
	auto_free(arena_free) struct arena *a = arena_new(0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(CASES); i++)
		assert_int_equal(msgpack_literal(a, CASES[i].bytes)->scalar->primitive->integer, CASES[i].value);
}

static void test_containers(void **state)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	const CoreLiteral *list = literal_at(a, "path"), *map = literal_at(a, "sub");

	(void)state;
	assert_int_equal(list->collection->n_literals, 3);
	const CoreBinary *last = list->collection->literals[2]->scalar->binary;
	assert_string_equal(last->tag, "msgpack");
	assert_int_equal(last->value.len, 2);
	assert_memory_equal(last->value.data, "\x91\xc3", 2);
	assert_int_equal(map->scalar->binary->value.len, 7);
	assert_memory_equal(map->scalar->binary->value.data, "\x81\xa1k\xc4\x02\x01\x02", 7);
}

static void test_what_is_not_there(void **state)
{
	struct str part;

	(void)state;
	assert_false(msgpack_key(POINT, "nam", &part));
	assert_false(msgpack_key(POINT, "", &part));
	assert_false(msgpack_item(POINT, 0, &part));
	assert_false(msgpack_key(BYTES("\x91\x01"), "x", &part));
	assert_false(msgpack_item(BYTES("\x91\x01"), 1, &part));
	assert_false(msgpack_item(BYTES("\x91\x01"), -1, &part));
}

/* A text that no protobuf string can be stays what it is. */
static void test_texts_that_are_none(void **state)
{
	auto_free(arena_free) struct arena *a = arena_new(0);

	(void)state;
	assert_int_equal(msgpack_literal(a, BYTES("\xa2\xff\xfe"))->scalar->value_case, CORE_SCALAR_VALUE_BINARY);
	assert_int_equal(msgpack_literal(a, BYTES("\xa2"
						  "a\0"))
				 ->scalar->value_case,
			 CORE_SCALAR_VALUE_BINARY);
	assert_int_equal(msgpack_literal(a, BYTES("\xc0"))->scalar->value_case, CORE_SCALAR_VALUE_BINARY);
}

/* Every beginning of a good value is damaged; each lies in memory of its own for the sanitizer. */
static void test_truncated(void **state)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct str part;

	(void)state;
	for (size_t n = 0; n < POINT.len; n++) {
		auto_mem char *copy = x_calloc(n + 1, 1);
		memcpy(copy + 1, POINT.ptr, n);
		assert_null(msgpack_literal(a, (struct str){copy + 1, n}));
		assert_false(msgpack_key((struct str){copy + 1, n}, "nowhere", &part));
	}
}

static void test_garbage(void **state)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct str part;

	(void)state;
	assert_null(msgpack_literal(a, BYTES("\xc1")));
	assert_null(msgpack_literal(a, BYTES("\xdd\xff\xff\xff\xff\x01")));
	assert_null(msgpack_literal(a, BYTES("\xdf\xff\xff\xff\xff\x01")));
	assert_null(msgpack_literal(a, BYTES("\xdb\xff\xff\xff\xff\x01")));
	assert_null(msgpack_literal(a, BYTES("\xc9\xff\xff\xff\xff\x01")));
	for (uint64_t seed = 1; seed < 200000; seed++) {
		uint64_t bits = seed * UINT64_C(0x9e3779b97f4a7c15);
		size_t n = seed % 9;
		auto_mem char *copy = x_calloc(n + 1, 1);
		memcpy(copy + 1, &bits, MIN(n, sizeof bits));
		msgpack_literal(a, (struct str){copy + 1, n});
		msgpack_key((struct str){copy + 1, n}, "k", &part);
		msgpack_item((struct str){copy + 1, n}, 2, &part);
	}
}

static void test_deep(void **state)
{
	enum { DEPTH = 1 << 20 };
	auto_free(arena_free) struct arena *a = arena_new(0);
	auto_mem char *deep = x_calloc(DEPTH, 1);

	(void)state;
	memset(deep, 0x91, DEPTH);
	assert_null(msgpack_literal(a, (struct str){deep, DEPTH}));
	deep[DEPTH - 1] = 1;
	assert_int_equal(msgpack_literal(a, (struct str){deep, DEPTH})->collection->n_literals, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_primitives),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_containers),
		cmocka_unit_test(test_what_is_not_there),
		cmocka_unit_test(test_texts_that_are_none),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

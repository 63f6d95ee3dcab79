#include "../arena_fixture.h"
#include "base/base.h"
#include "flyteidl/admin/common.h"
#include "flyteidl/core/literals.h"
#include "google/protobuf/struct.h"
#include "pb/pb.h"

#include <stdio.h>

static CoreLiteral *integer(int64_t i)
{
	CoreLiteral *l = pb_new(arena, CORE_LITERAL_DESC);
	l->value_case = CORE_LITERAL_VALUE_SCALAR;
	l->scalar = pb_new(arena, CORE_SCALAR_DESC);
	l->scalar->value_case = CORE_SCALAR_VALUE_PRIMITIVE;
	l->scalar->primitive = pb_new(arena, CORE_PRIMITIVE_DESC);
	l->scalar->primitive->value_case = CORE_PRIMITIVE_VALUE_INTEGER;
	l->scalar->primitive->integer = i;
	return l;
}

static void put(CoreLiteralMap *m, const char *key, CoreLiteral *value)
{
	CoreLiteralMapLiteralsEntry *e = pb_new(arena, CORE_LITERAL_MAP_LITERALS_ENTRY_DESC);
	e->key = arena_strdup(arena, key);
	e->value = value;
	*PB_ADD(arena, m->literals, m->n_literals) = e;
}

static void test_round_trip(void **state)
{
	CoreLiteralMap *m = pb_new(arena, CORE_LITERAL_MAP_DESC), *copy = NULL;
	struct err err = {0};
	void *back = NULL;
	(void)state;

	for (int i = 0; i < 100; i++)
		put(m, arena_printf(arena, "k%02d", i), integer(i - 50));
	struct str packed = pb_pack(m, arena);
	assert_int_equal(packed.len, pb_size(m));
	assert_int_equal(pb_unpack(CORE_LITERAL_MAP_DESC, packed, arena, &back, &err), OK);
	copy = pb_clone(back, arena);
	assert_int_equal(copy->n_literals, 100);
	assert_string_equal(copy->literals[7]->key, "k07");
	assert_int_equal(copy->literals[7]->value->scalar->primitive->integer, -43);
	auto_buf struct buf b = {0};
	buf_adds(&b, "x");
	pb_pack_buf(copy, &b);
	assert_int_equal(b.len, packed.len + 1);
	assert_memory_equal(b.data + 1, packed.ptr, packed.len);
}

/* Appends must not touch what lies behind an array, whoever made it. */
static void test_add_to_any_array(void **state)
{
	(void)state;
	for (size_t n = 0; n < 20; n++) {
		int64_t *own = arena_alloc(arena, n * sizeof *own), *behind = arena_alloc(arena, sizeof *behind);
		size_t count = n;
		for (size_t i = 0; i < n; i++)
			own[i] = (int64_t)i;
		*behind = -1;
		int64_t *slice = own;
		for (int64_t i = 0; i < 40; i++)
			*PB_ADD(arena, own, count) = (int64_t)n + i;
		assert_int_equal(*behind, -1);
		assert_int_equal(count, n + 40);
		for (size_t i = 0; i < count; i++)
			assert_int_equal(own[i], i);
		if (n > 3) { /* the tail of an array, which ends where the array ends */
			int64_t *tail = slice + 1;
			size_t tail_n = n - 1;
			*PB_ADD(arena, tail, tail_n) = 77;
			assert_int_equal(*behind, -1);
			assert_int_equal(tail[tail_n - 1], 77);
			assert_int_equal(tail[0], 1);
		}
	}
}

static void test_add_after_unpack(void **state)
{
	(void)state;
	for (size_t n = 0; n < 10; n++) {
		CoreLiteralMap *m = pb_new(arena, CORE_LITERAL_MAP_DESC);
		for (size_t i = 0; i < n; i++)
			put(m, arena_printf(arena, "%zu", i), integer(1));
		CoreLiteralMap *copy = pb_clone(m, arena);
		for (size_t i = n; i < n + 5; i++)
			put(copy, arena_printf(arena, "%zu", i), integer(2));
		assert_int_equal(copy->n_literals, n + 5);
		assert_string_equal(copy->literals[n]->key, arena_printf(arena, "%zu", n));
		assert_int_equal(m->n_literals, n);
	}
}

static void test_shallow_copies_do_not_share(void **state)
{
	CoreLiteralMap *a = pb_new(arena, CORE_LITERAL_MAP_DESC);
	(void)state;
	put(a, "one", integer(1));
	CoreLiteralMap b = *a, c = *a;
	put(a, "a", integer(2));
	put(&b, "b", integer(2));
	c.n_literals = 0;
	put(&c, "c", integer(2));
	assert_string_equal(a->literals[0]->key, "one");
	assert_string_equal(a->literals[1]->key, "a");
	assert_string_equal(b.literals[1]->key, "b");
	assert_string_equal(c.literals[0]->key, "c");
}

static void digest_of(const void *m, char ret[65])
{
	uint8_t d[32];
	pb_digest(m, d);
	for (size_t i = 0; i < 32; i++)
		snprintf(ret + 2 * i, 3, "%02x", d[i]);
}

static void test_digest_is_canonical(void **state)
{
	char x[65], y[65];
	void *a = NULL, *b = NULL;
	(void)state;

	CoreLiteralMap *m = pb_new(arena, CORE_LITERAL_MAP_DESC), *n = pb_new(arena, CORE_LITERAL_MAP_DESC);
	put(m, "a", integer(1));
	put(m, "b", integer(2));
	put(n, "b", integer(2));
	put(n, "a", integer(9)); /* a later entry of the same key replaces it */
	put(n, "a", integer(1));
	digest_of(m, x);
	digest_of(n, y);
	assert_string_equal(x, y);
	put(n, "c", integer(1));
	digest_of(n, y);
	assert_string_not_equal(x, y);

	/* Struct inside Struct; an unknown field; an explicit default */
	assert_int_equal(pb_unpack(PB_STRUCT_DESC,
				   STR("\x0a\x14\x0a\x01s\x12\x0f\x2a\x0d\x0a\x05\x0a\x01x\x12\x00\x0a\x04\x0a\x02yy"),
				   arena, &a, NULL),
			 OK);
	assert_int_equal(
		pb_unpack(PB_STRUCT_DESC,
			  STR("\x0a\x19\x12\x14\x2a\x12\x0a\x06\x0a\x02yy\x12\x00\x0a\x08\xb8\x3e\x01\x0a\x01x\x12"
			      "\x00\x0a\x01s"),
			  arena, &b, NULL),
		OK);
	digest_of(a, x);
	digest_of(b, y);
	assert_string_equal(x, y);
}

static const ProtobufCFieldDescriptor *field(const ProtobufCMessageDescriptor *d, const char *name)
{
	return protobuf_c_message_descriptor_get_field_by_name(d, name);
}

static void test_field_questions(void **state)
{
	CorePrimitive *p = pb_new(arena, CORE_PRIMITIVE_DESC);
	CoreLiteralMap *m = pb_new(arena, CORE_LITERAL_MAP_DESC);
	CoreLiteral *l = pb_new(arena, CORE_LITERAL_DESC);
	(void)state;

	assert_true(pb_field_is_map(field(CORE_LITERAL_MAP_DESC, "literals")));
	assert_false(pb_field_is_map(field(CORE_LITERAL_COLLECTION_DESC, "literals")));
	assert_true(pb_field_is_map(field(PB_STRUCT_DESC, "fields")));
	assert_false(pb_field_is_set(&p->base, field(CORE_PRIMITIVE_DESC, "integer")));
	p->value_case = CORE_PRIMITIVE_VALUE_INTEGER;
	assert_true(pb_field_is_set(&p->base, field(CORE_PRIMITIVE_DESC, "integer")));
	assert_false(pb_field_is_set(&p->base, field(CORE_PRIMITIVE_DESC, "boolean")));
	assert_false(pb_field_is_set(&m->base, field(CORE_LITERAL_MAP_DESC, "literals")));
	put(m, "x", NULL);
	assert_true(pb_field_is_set(&m->base, field(CORE_LITERAL_MAP_DESC, "literals")));
	assert_false(pb_field_is_set(&l->base, field(CORE_LITERAL_DESC, "hash")));
	l->hash = arena_strdup(arena, "h");
	assert_true(pb_field_is_set(&l->base, field(CORE_LITERAL_DESC, "hash")));
}

static void test_times(void **state)
{
	static const int64_t some[] = {0, 1, -1, 1500000, -1500000, 253402300799999999, -62135596800000000};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(some); i++) {
		PbTimestamp *t = pb_timestamp(arena, some[i]);
		assert_in_range(t->nanos, 0, 999999999);
		assert_int_equal(pb_timestamp_us(t), some[i]);
		PbDuration *d = pb_duration(arena, some[i]);
		assert_true(d->seconds == 0 || d->nanos == 0 || (d->seconds < 0) == (d->nanos < 0));
		assert_int_equal(pb_duration_us(d), some[i]);
	}
	assert_int_equal(pb_timestamp_us(NULL), 0);
	assert_int_equal(pb_duration_us(NULL), 0);
	PbDuration huge = PB_DURATION_INIT;
	huge.seconds = INT64_MAX;
	assert_int_equal(pb_duration_us(&huge), INT64_MAX);
	huge.seconds = INT64_MIN;
	assert_int_equal(pb_duration_us(&huge), INT64_MIN);
}

static void test_depth(void **state)
{
	(void)state;
	CoreLiteralMap *m = pb_new(arena, CORE_LITERAL_MAP_DESC);
	CoreLiteralMapLiteralsEntry *shallow = pb_new(arena, CORE_LITERAL_MAP_LITERALS_ENTRY_DESC),
				    *deep = pb_new(arena, CORE_LITERAL_MAP_LITERALS_ENTRY_DESC);

	assert_int_equal(pb_depth(m), 0);
	*PB_ADD(arena, m->literals, m->n_literals) = shallow;
	assert_int_equal(pb_depth(m), 1);
	deep->value = pb_new(arena, CORE_LITERAL_DESC);
	deep->value->value_case = CORE_LITERAL_VALUE_MAP;
	deep->value->map = pb_new(arena, CORE_LITERAL_MAP_DESC);
	*PB_ADD(arena, m->literals, m->n_literals) = deep;
	*PB_ADD(arena, m->literals, m->n_literals) = shallow;
	assert_int_equal(pb_depth(m), 3);
	/* What the oneof does not have does not count. */
	deep->value->value_case = CORE_LITERAL_VALUE_NOT_SET;
	assert_int_equal(pb_depth(m), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_add_to_any_array),
		cmocka_unit_test(test_add_after_unpack),
		cmocka_unit_test(test_shallow_copies_do_not_share),
		cmocka_unit_test(test_digest_is_canonical),
		cmocka_unit_test(test_field_questions),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_depth),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}

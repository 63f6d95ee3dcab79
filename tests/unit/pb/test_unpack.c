#include "../arena_fixture.h"
#include "base/base.h"
#include "flyteidl/admin/common.h"
#include "flyteidl/core/literals.h"
#include "flyteidl/core/tasks.h"
#include "pb/pb.h"

/* in_memory: a copy of exactly this size, so that a read behind the end is seen by the sanitizers. */
static enum code unpack(const ProtobufCMessageDescriptor *desc, struct str in, void **ret, struct err *err)
{
	char *exact = x_malloc(in.len);
	memcpy(exact, in.ptr, in.len);
	enum code scanned = pb_scan(desc, (struct str){exact, in.len}, NULL);
	enum code c = pb_unpack(desc, (struct str){exact, in.len}, arena, ret, err);
	free(exact);
	assert_int_equal(scanned, c);
	return c;
}

static void refuses_(const ProtobufCMessageDescriptor *desc, struct str in, const char *text)
{
	struct err err = {0};
	void *m = NULL;

	assert_int_equal(unpack(desc, in, &m, &err), INVALID_ARGUMENT);
	assert_null(m);
	if (!strstr(err.text, text))
		fail_msg("\"%s\" lacks \"%s\"", err.text, text);
}
#define refuses(desc, bytes, text) refuses_(desc, STR(bytes), text)

#define accepts(desc, bytes)                                                                                           \
	({                                                                                                             \
		struct err err_ = {0};                                                                                 \
		void *m_ = NULL;                                                                                       \
		if (unpack(desc, STR(bytes), &m_, &err_))                                                              \
			fail_msg("%s", err_.text);                                                                     \
		m_;                                                                                                    \
	})

static void test_malformed(void **state)
{
	(void)state;
	refuses(CORE_PRIMITIVE_DESC, "\x08", "integer (byte 1): it ends within a number");
	refuses(CORE_PRIMITIVE_DESC, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "longer than 10 bytes");
	refuses(CORE_PRIMITIVE_DESC, "\x11\x01\x02\x03", "float_value (byte 1): it is cut off");
	refuses(CORE_PRIMITIVE_DESC,
		"\x1a\x05"
		"ab",
		"string_value (byte 2): it is cut off");
	refuses(CORE_PRIMITIVE_DESC, "\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "it is cut off");
	refuses(CORE_PRIMITIVE_DESC, "\x02\x00", "no such field number");
	refuses(CORE_PRIMITIVE_DESC, "\xfa\xff\xff\xff\x7f\x00", "no such field number");
	refuses(CORE_PRIMITIVE_DESC, "\xba\x3e\x05", "#999 (byte 3): it is cut off");
	/* the inner message ends within the outer one's bytes */
	refuses(CORE_LITERAL_DESC, "\x0a\x03\x0a\x05\x08\x01\x02\x03\x04", "scalar.primitive (byte 4): it is cut off");
}

static void test_wire_types(void **state)
{
	(void)state;
	refuses(CORE_PRIMITIVE_DESC, "\x0a\x00", "its wire type is not that of the field");
	refuses(CORE_PRIMITIVE_DESC, "\x18\x01", "its wire type is not that of the field");
	refuses(CORE_SCALAR_DESC, "\x08\x01", "its wire type is not that of the field");
	refuses(CORE_SCALAR_DESC, "\x0b\x0c", "groups and unknown wire types");
	refuses(CORE_SCALAR_DESC, "\xbb\x3e\xbc\x3e", "groups and unknown wire types");
	refuses(CORE_SCALAR_DESC, "\x0f\x00", "groups and unknown wire types");
}

static void test_text(void **state)
{
	(void)state;
	refuses(CORE_PRIMITIVE_DESC, "\x1a\x02\xc3\x28", "string_value (byte 2): its text is not UTF-8 or has a NUL");
	refuses(CORE_PRIMITIVE_DESC, "\x1a\x03\x61\x00\x62", "NUL");
	refuses(CORE_PRIMITIVE_DESC, "\x1a\x0b\xc3\xa4xxxxx\x00xxx", "NUL");
	refuses(CORE_PRIMITIVE_DESC, "\x1a\x0axxxxxxxxx\x00", "NUL");
	refuses(CORE_PRIMITIVE_DESC, "\x1a\x0ayyyyyyyyyy\x1a\x08\x00xxxxxxx", "NUL");
	refuses(CORE_PRIMITIVE_DESC, "\x1a\x03\xed\xa0\x80", "UTF-8"); /* a surrogate */
	CorePrimitive *p = accepts(CORE_PRIMITIVE_DESC, "\x1a\x0bxxxxxxx\xe2\x82\xacy");
	assert_string_equal(p->string_value, "xxxxxxx€y");
}

static void test_packed_or_not(void **state)
{
	(void)state;
	AdminNotification *n = accepts(ADMIN_NOTIFICATION_DESC, "\x0a\x03\x01\x02\x03\x08\x04\x08\x05\x0a\x02\x86\x01");
	static const int want[] = {1, 2, 3, 4, 5, 134};
	assert_int_equal(n->n_phases, 6);
	assert_memory_equal(n->phases, want, sizeof want);
	refuses(ADMIN_NOTIFICATION_DESC, "\x0a\x02\x01\x82", "phases (byte 4): it ends within a number");
}

static void test_interleaved(void **state)
{
	struct buf b = {0};
	(void)state;
	for (int i = 0; i < 300; i++) /* Container: command = 2, args = 3 */
		buf_printf(&b, "\x12\x03%03d\x1a\x04%04d", i, i);
	struct err err = {0};
	void *m = NULL;
	assert_int_equal(unpack(CORE_CONTAINER_DESC, buf_str(&b), &m, &err), OK);
	CoreContainer *c = m;
	assert_int_equal(c->n_command, 300);
	assert_int_equal(c->n_args, 300);
	assert_string_equal(c->command[299], "299");
	assert_string_equal(c->args[0], "0000");
	struct str packed = pb_pack(c, arena);
	assert_int_equal(packed.len, b.len);
	buf_clear(&b);
}

static void test_merge(void **state)
{
	(void)state;
	/* LiteralCollection in a Literal, twice: one list of two; the field's hash in between */
	CoreLiteral *l = accepts(CORE_LITERAL_DESC, "\x12\x02\x0a\x00"
						    "\x22\x01h"
						    "\x12\x02\x0a\x00");
	assert_int_equal(l->value_case, CORE_LITERAL_VALUE_COLLECTION);
	assert_int_equal(l->collection->n_literals, 2);
	assert_string_equal(l->hash, "h");
	/* another case of the oneof throws the first away, and the first again is a fresh one */
	l = accepts(CORE_LITERAL_DESC, "\x12\x02\x0a\x00\x1a\x00\x12\x02\x0a\x00");
	assert_int_equal(l->value_case, CORE_LITERAL_VALUE_COLLECTION);
	assert_int_equal(l->collection->n_literals, 1);
	CorePrimitive *p = accepts(CORE_PRIMITIVE_DESC, "\x1a\x01"
							"a\x08\x07");
	assert_int_equal(p->value_case, CORE_PRIMITIVE_VALUE_INTEGER);
	assert_int_equal(p->integer, 7);
}

static void test_empty_text_in_oneof(void **state)
{
	(void)state;
	CorePrimitive *p = accepts(CORE_PRIMITIVE_DESC, "\x1a\x00");
	assert_int_equal(p->value_case, CORE_PRIMITIVE_VALUE_STRING_VALUE);
	assert_int_equal(pb_pack(p, arena).len, 2);
}

static void test_unknown_fields_stay(void **state)
{
	static const char bytes[] =
		"\x08\x05\xb8\x3e\x07\xba\x3e\x02hi\xbd\x3e\x01\x02\x03\x04\xb9\x3e\x01\x02\x03\x04\x05\x06"
		"\x07\x08";
	(void)state;
	CorePrimitive *p =
		accepts(CORE_PRIMITIVE_DESC,
			"\x08\x05\xb8\x3e\x07\xba\x3e\x02hi\xbd\x3e\x01\x02\x03\x04\xb9\x3e\x01\x02\x03\x04\x05"
			"\x06\x07\x08");
	struct str packed = pb_pack(p, arena);
	assert_int_equal(packed.len, sizeof bytes - 1);
	assert_memory_equal(packed.ptr, bytes, packed.len);
}

/* A literal `levels` lists deep: a message for the Literal and one for its collection at each level. */
static struct str nested(struct buf *b, size_t levels)
{
	size_t cap = levels * 12 + 16, at = cap;
	char *s = x_malloc(cap);

	for (size_t i = 0; i < 2 * levels; i++) {
		size_t len = cap - at;
		uint8_t head[8];
		size_t n = 0;
		head[n++] = i % 2 ? 0x12 : 0x0a; /* Literal.collection, LiteralCollection.literals */
		for (; len > 127; len >>= 7)
			head[n++] = (uint8_t)(len & 0x7f) | 0x80;
		head[n++] = (uint8_t)len;
		at -= n;
		memcpy(s + at, head, n);
	}
	buf_add(b, s + at, cap - at);
	free(s);
	return buf_str(b);
}

static void test_depth(void **state)
{
	auto_buf struct buf fits = {0}, over = {0}, far = {0};
	struct err err = {0};
	void *m = NULL;
	(void)state;

	assert_int_equal(unpack(CORE_LITERAL_DESC, nested(&fits, PB_MAX_DEPTH / 2), &m, &err), OK);
	refuses_(CORE_LITERAL_DESC, nested(&over, PB_MAX_DEPTH / 2 + 1), "nested too deeply");
	refuses_(CORE_LITERAL_DESC, nested(&far, 5000), "nested too deeply");
	assert_true(strlen(err.text) < 1000);
}

static void test_memory_is_bounded(void **state)
{
	size_t len = (size_t)16 << 20;
	char *body = x_malloc(len);
	struct err err = {0};
	void *m = NULL;
	(void)state;

	for (size_t i = 0; i < len; i += 2)
		memcpy(body + i, "\x0a\x00", 2);
	struct arena *a = arena_new(0);
	assert_int_equal(pb_unpack(CORE_LITERAL_COLLECTION_DESC, (struct str){body, len}, a, &m, &err),
			 RESOURCE_EXHAUSTED);
	assert_null(m);
	assert_true(arena_used(a) <= PB_MAX_UNPACKED_BYTES);
	arena_free(a);
	free(body);
}

static void test_every_prefix_and_flip(void **state)
{
	auto_buf struct buf b = {0};
	(void)state;

	buf_add_str(&b, STR("\x0a\x0b\x0a\x09\x1a\x07some xt\x22\x04hash\x12\x02\x0a\x00"));
	void *whole = NULL;
	assert_int_equal(unpack(CORE_LITERAL_DESC, buf_str(&b), &whole, NULL), OK);
	for (size_t n = 0; n <= b.len; n++) {
		void *m = NULL;
		unpack(CORE_LITERAL_DESC, (struct str){b.data, n}, &m, NULL);
	}
	for (size_t i = 0; i < b.len * 8; i++) {
		void *m = NULL;
		b.data[i / 8] ^= (char)(1 << i % 8);
		unpack(CORE_LITERAL_DESC, buf_str(&b), &m, NULL);
		b.data[i / 8] ^= (char)(1 << i % 8);
	}
}

static void test_own_bytes(void **state)
{
	struct err err = {0};
	void *m = NULL;
	(void)state;
	assert_int_equal(pb_unpack_own(CORE_PRIMITIVE_DESC, STR("\x1a\x02\xc3\x28"), arena, &m, &err), OK);
	assert_int_equal(pb_unpack_own(CORE_PRIMITIVE_DESC, STR("\x1a\x02\xc3"), arena, &m, &err), DATA_LOSS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_wire_types),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_packed_or_not),
		cmocka_unit_test(test_interleaved),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_empty_text_in_oneof),
		cmocka_unit_test(test_unknown_fields_stay),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_memory_is_bounded),
		cmocka_unit_test(test_every_prefix_and_flip),
		cmocka_unit_test(test_own_bytes),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}

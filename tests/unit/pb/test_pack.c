/* What is packed is what protobuf-c packs, byte for byte. */
#include "alula/journal.h"
#include "base/base.h"
#include "flyteidl/core/compiler.h"
#include "google/protobuf/struct.h"
#include "pb/pb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static uint64_t seed = 1;

static uint64_t up_to(uint64_t n)
{
	return splitmix64(&seed) % (n + 1);
}

static void check(const void *message)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	auto_buf struct buf b = {0}, field = {0};
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *expected = x_malloc(size + 1);

	protobuf_c_message_pack(message, expected);
	struct str packed = pb_pack(message, a);
	assert_int_equal(packed.len, size);
	assert_memory_equal(packed.ptr, expected, size);
	buf_adds(&b, "before");
	pb_pack_buf(message, &b);
	assert_int_equal(b.len, 6 + size);
	assert_memory_equal(b.data, "before", 6);
	assert_memory_equal(b.data + 6, expected, size);
	struct str inner = pb_pack_field_buf(300, message, &field);
	assert_int_equal(inner.len, size);
	assert_memory_equal(inner.ptr, expected, size);
	assert_memory_equal(field.data, "\xe2\x12", 2); /* 300 << 3 | 2 */
	free(expected);
}

/* ---- our own types, filled at random ---- */

static void fill(ProtobufCMessage *m, struct arena *a, int depth);

static const char *some_text(struct arena *a)
{
	size_t n = up_to(3) ? up_to(20) : up_to(5000);
	char *s = arena_alloc(a, n + 1);

	memset(s, 'x', n);
	s[n] = '\0';
	return s;
}

/* Numbers of all lengths. */
static uint64_t some_number(void)
{
	return splitmix64(&seed) >> up_to(63);
}

static void set(void *slot, const ProtobufCFieldDescriptor *f, struct arena *a, int depth)
{
	uint64_t number = f->type == PROTOBUF_C_TYPE_BOOL ? up_to(1) : some_number();
	const char *text = some_text(a);
	ProtobufCBinaryData bytes = {strlen(text), (uint8_t *)text};

	if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
		*(ProtobufCMessage **)slot = pb_new(a, f->descriptor);
		fill(*(ProtobufCMessage **)slot, a, depth - 1);
	} else if (f->type == PROTOBUF_C_TYPE_STRING) {
		*(const char **)slot = text;
	} else if (f->type == PROTOBUF_C_TYPE_BYTES) {
		memcpy(slot, &bytes, sizeof bytes);
	} else {
		memcpy(slot, &number, pb_type_size(f->type));
	}
}

static void fill(ProtobufCMessage *m, struct arena *a, int depth)
{
	const ProtobufCMessageDescriptor *d = m->descriptor;

	for (unsigned i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &d->fields[i];
		uint64_t n = f->label == PROTOBUF_C_LABEL_REPEATED ? up_to(3) : up_to(1);
		for (; n && (depth > 0 || f->type != PROTOBUF_C_TYPE_MESSAGE); n--)
			set(pb_slot(a, m, f), f, a, depth);
	}
	if (up_to(9) == 0) {
		static uint8_t data[] = {3, 'a', 'b', 'c'};
		ProtobufCMessageUnknownField unknown = {.tag = 9999,
							.wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
							.len = sizeof data,
							.data = data};
		m->unknown_fields = arena_dup(a, &unknown, sizeof unknown);
		m->n_unknown_fields = 1;
	}
}

static void test_random_messages(void **state)
{
	const ProtobufCMessageDescriptor *const descs[] = {CORE_COMPILED_WORKFLOW_CLOSURE_DESC,
							   ALULA_JOURNAL_ENTRY_DESC, PB_STRUCT_DESC};
	(void)state;

	for (int i = 0; i < 300; i++) {
		auto_free(arena_free) struct arena *a = arena_new(0);
		ProtobufCMessage *m = pb_new(a, descs[(size_t)i % ARRAY_SIZE(descs)]);
		fill(m, a, 2 + (int)up_to(3));
		check(m);
	}
}

/* ---- every type and label ---- */

enum { TYPES = 16, SOME = 5 };

struct every {
	ProtobufCMessage base;
	uint64_t one[TYPES + 1][2];
	size_t n[TYPES + 1], n_packed[TYPES + 1];
	void *many[TYPES + 1], *packed[TYPES + 1];
};

static ProtobufCFieldDescriptor field_of(uint32_t id, ProtobufCLabel label, ProtobufCType type, size_t quantifier,
					 size_t offset)
{
	return (ProtobufCFieldDescriptor){.name = "f",
					  .id = id,
					  .label = label,
					  .type = type,
					  .quantifier_offset = (unsigned)quantifier,
					  .offset = (unsigned)offset};
}

static unsigned make_fields(ProtobufCFieldDescriptor *to)
{
	unsigned n = 0;

	for (size_t t = 0; t < TYPES; t++)
		to[n++] = field_of(1 + (uint32_t)t, PROTOBUF_C_LABEL_NONE, (ProtobufCType)t, 0,
				   offsetof(struct every, one[t]));
	for (size_t t = 0; t < TYPES; t++)
		to[n++] = field_of(100 + (uint32_t)t, PROTOBUF_C_LABEL_REPEATED, (ProtobufCType)t,
				   offsetof(struct every, n[t]), offsetof(struct every, many[t]));
	for (size_t t = 0; t < PROTOBUF_C_TYPE_STRING; t++) {
		to[n] = field_of(5000 + (uint32_t)t, PROTOBUF_C_LABEL_REPEATED, (ProtobufCType)t,
				 offsetof(struct every, n_packed[t]), offsetof(struct every, packed[t]));
		to[n++].flags = PROTOBUF_C_FIELD_FLAG_PACKED;
	}
	return n;
}

static void fill_every(struct every *m, const ProtobufCFieldDescriptor *fields, unsigned n, struct arena *a)
{
	for (unsigned i = 0; i < n; i++) {
		const ProtobufCFieldDescriptor *f = &fields[i];
		size_t size = pb_type_size(f->type);
		if (f->label == PROTOBUF_C_LABEL_NONE) {
			if (up_to(2))
				set((char *)m + f->offset, f, a, 0);
			continue;
		}
		size_t count = up_to(SOME);
		char *array = arena_alloc(a, SOME * size);
		for (size_t k = 0; k < count; k++)
			set(array + k * size, f, a, 0);
		*(size_t *)((char *)m + f->quantifier_offset) = count;
		*(void **)((char *)m + f->offset) = array;
	}
}

static void test_every_type(void **state)
{
	static ProtobufCFieldDescriptor fields[3 * TYPES];
	static ProtobufCMessageDescriptor desc = {.magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
						  .sizeof_message = sizeof(struct every),
						  .fields = fields};
	(void)state;

	desc.n_fields = make_fields(fields);
	for (int i = 0; i < 500; i++) {
		auto_free(arena_free) struct arena *a = arena_new(0);
		struct every m = {.base = {.descriptor = &desc}};
		fill_every(&m, fields, desc.n_fields, a);
		check(&m);
	}
}

/* A value that is there but the default: -0.0 is none. */
static void test_defaults(void **state)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	CoreLiteral *l = pb_new(a, CORE_LITERAL_DESC);
	PbValue *v = pb_new(a, PB_VALUE_DESC);
	(void)state;

	assert_int_equal(pb_pack(l, a).len, 0);
	l->hash = arena_strdup(a, "");
	assert_int_equal(pb_pack(l, a).len, 0);
	v->kind_case = PB_VALUE_KIND_STRING_VALUE;
	v->string_value = arena_strdup(a, "");
	assert_true(str_eq(pb_pack(v, a), STR("\x1a\x00")));
	v->kind_case = PB_VALUE_KIND_NUMBER_VALUE;
	v->number_value = 0;
	assert_int_equal(pb_pack(v, a).len, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_messages),
		cmocka_unit_test(test_every_type),
		cmocka_unit_test(test_defaults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

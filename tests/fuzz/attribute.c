/* Attribute paths into literals, msgpack among them. Input: a byte, the number of the path's steps ('0' to '9'); for
 * each a line, a number for an item or a text for a key; then a packed Literal, or after a line "msgpack" the bytes of
 * one. */
#include "engine/attribute.h"
#include "engine/msgpack.h"
#include "flyte/types.h"
#include "fuzz.h"

enum { PER_BYTE = 1000, MAX_STEPS = 10 };

static const CorePromiseAttribute *read_step(struct str line, struct arena *a)
{
	CorePromiseAttribute *step = pb_new(a, CORE_PROMISE_ATTRIBUTE_DESC);
	int64_t item;

	if (str_to_i64(line, &item)) {
		step->value_case = CORE_PROMISE_ATTRIBUTE_VALUE_INT_VALUE;
		step->int_value = (int32_t)item;
	} else {
		step->value_case = CORE_PROMISE_ATTRIBUTE_VALUE_STRING_VALUE;
		step->string_value = arena_strndup(a, line.ptr, line.len);
	}
	return step;
}

static const CoreLiteral *read_literal(struct str in, struct arena *a)
{
	static const char mark[] = "msgpack\n";
	CoreLiteral *l = NULL;
	void *m = NULL;

	if (!str_starts(in, mark))
		return pb_unpack(CORE_LITERAL_DESC, in, a, &m, NULL) ? NULL : m;
	l = literal_of_scalar(a, CORE_SCALAR_VALUE_BINARY);
	l->scalar->binary = pb_new(a, CORE_BINARY_DESC);
	l->scalar->binary->tag = "msgpack";
	l->scalar->binary->value.len = in.len - (sizeof mark - 1);
	l->scalar->binary->value.data = (uint8_t *)in.ptr + sizeof mark - 1;
	return l;
}

/* A part is within the whole. */
static void check_msgpack(struct str in, struct arena *a)
{
	struct str part;

	for (int64_t i = -1; i < 3; i++)
		if (msgpack_item(in, i, &part))
			HOLDS(i >= 0 && part.ptr > in.ptr && part.len > 0 && part.ptr + part.len <= in.ptr + in.len,
			      "item %d", (int)i);
	if (msgpack_key(in, "a", &part))
		HOLDS(part.ptr > in.ptr && part.len > 0 && part.ptr + part.len <= in.ptr + in.len, "key");
	msgpack_literal(a, in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	const CorePromiseAttribute *steps[MAX_STEPS];
	struct value_path path = {.node = "n0", .var = "o0", .steps = steps};
	struct attribute found = {0};
	struct err err = {0};
	void *back;

	if (size == 0)
		return 0;
	struct str rest = {(const char *)data + 1, size - 1};
	uint32_t wanted = (uint8_t)(data[0] - '0') % MAX_STEPS;
	while (rest.ptr && path.n < wanted) {
		struct str line = str_cut(&rest, '\n');
		if (!utf8_valid(line.ptr, line.len) || memchr(line.ptr, 0, line.len))
			return 0;
		steps[path.n++] = read_step(line, a);
	}
	const CoreLiteral *literal = rest.ptr ? read_literal(rest, a) : NULL;
	if (!literal)
		return 0;
	check_msgpack(rest, a);
	enum attribute_result r = attribute_follow(a, literal, &path, 0, &found);
	check_memory(a, size, PER_BYTE);
	if (r == ATTRIBUTE_MISSING)
		HOLDS(found.error && *found.error && utf8_valid(found.error, strlen(found.error)), "no text");
	else
		HOLDS(found.literal, "nothing was found");
	if (r != ATTRIBUTE_FOUND)
		return 0;
	struct str packed = pb_pack(found.literal, a);
	enum code c = pb_unpack(CORE_LITERAL_DESC, packed, a, &back, &err);
	HOLDS(!c && str_eq(pb_pack(back, a), packed), "what was found is no literal: %s", err.text);
	return 0;
}

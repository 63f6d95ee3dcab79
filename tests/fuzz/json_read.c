/* JSON to message to JSON. Input: a type; 'i' to pass over unknown fields, else strict; then a text. */
#include "fuzz.h"
#include "json/json.h"

enum { PER_BYTE = 400 };

static const struct json_options FORMS[] = {
	{.proto_names = true, .emit_defaults = true, .emit_nulls = true},
	{.emit_defaults = true, .emit_nulls = true},
	{.enum_numbers = true},
};

/* What was read is written, read again strictly, and is the same. */
static void check_form(const ProtobufCMessage *m, const struct json_options *form)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	auto_buf struct buf text = {0}, again = {0};
	struct err err = {0};
	uint8_t digest[32], other[32];
	void *back;

	enum code c = json_write(&text, m, form, &err);
	HOLDS(!c, "what was read is not written: %s", err.text);
	HOLDS(utf8_valid(text.data, text.len), "%s", buf_text(&text));
	c = json_read(m->descriptor, buf_str(&text), false, a, &back, &err);
	HOLDS(!c, "what was written is not read: %s: %s", err.text, buf_text(&text));
	c = json_write(&again, back, form, &err);
	HOLDS(!c && str_eq(buf_str(&text), buf_str(&again)), "%s and then %s", buf_text(&text), buf_text(&again));
	pb_digest(m, digest);
	pb_digest(back, other);
	HOLDS(memcmp(digest, other, sizeof digest) == 0, "another message: %s", buf_text(&text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct err err = {0};
	void *m;

	json_know_types(FUZZ_TYPES, N_FUZZ_TYPES);
	if (size < 2)
		return 0;
	struct str in = {(const char *)data + 2, size - 2};
	enum code c = json_read(fuzz_type(data[0]), in, data[1] == 'i', a, &m, &err);
	check_error(c, &err);
	check_memory(a, size, PER_BYTE);
	if (c)
		return 0;
	struct str packed = pb_pack(m, a);
	c = pb_scan(fuzz_type(data[0]), packed, &err);
	HOLDS(!c, "JSON makes a message that pb does not take: %s", err.text);
	for (size_t i = 0; i < ARRAY_SIZE(FORMS); i++)
		check_form(m, &FORMS[i]);
	return 0;
}

/* Protobuf: what pb_unpack takes pb_pack gives back. Input: a type, then a message. */
#include "fuzz.h"

enum { PER_BYTE = 400 }; /* two bytes may be an empty message */

static void check_pack(const ProtobufCMessage *m, struct str packed, struct arena *a)
{
	HOLDS(pb_size(m) == packed.len, "%zu instead of %zu", packed.len, pb_size(m));
	uint8_t *theirs = arena_alloc(a, packed.len);
	protobuf_c_message_pack(m, theirs);
	HOLDS(memcmp(theirs, packed.ptr, packed.len) == 0, "protobuf-c packs %s otherwise", m->descriptor->name);
}

/* Bytes behind a message are the message merged with them: as good as the same bytes at once. */
static void check_merge(const ProtobufCMessageDescriptor *desc, struct str packed, struct arena *a)
{
	struct err err = {0};
	void *twice, *again;
	char *both = arena_alloc(a, packed.len * 2);

	memcpy(both, packed.ptr, packed.len);
	memcpy(both + packed.len, packed.ptr, packed.len);
	enum code c = pb_unpack(desc, (struct str){both, packed.len * 2}, a, &twice, &err);
	HOLDS(!c, "merging a message with itself: %s", err.text);
	struct str first = pb_pack(twice, a);
	c = pb_unpack(desc, first, a, &again, &err);
	HOLDS(!c && str_eq(pb_pack(again, a), first), "what was merged does not come back: %s", err.text);
}

static void check_copies(const ProtobufCMessage *m, struct str packed, struct arena *a)
{
	const ProtobufCMessageDescriptor *desc = m->descriptor;
	uint8_t digest[32], other[32];
	struct err err = {0};
	void *again, *own;

	enum code c = pb_unpack(desc, packed, a, &again, &err);
	HOLDS(!c, "%s is not taken back: %s", desc->name, err.text);
	HOLDS(str_eq(pb_pack(again, a), packed), "%s comes back otherwise", desc->name);
	HOLDS(pb_depth(again) == pb_depth(m) && pb_depth(m) <= PB_MAX_DEPTH, "depth %zu", pb_depth(m));
	c = pb_unpack_own(desc, packed, a, &own, &err);
	HOLDS(!c && str_eq(pb_pack(own, a), packed), "unpack_own: %s", err.text);
	HOLDS(str_eq(pb_pack(pb_clone(m, a), a), packed), "the copy is another");
	pb_digest(m, digest);
	pb_digest(again, other);
	HOLDS(memcmp(digest, other, sizeof digest) == 0, "the digest is another");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct err err = {0}, scan_err = {0};
	void *m;

	if (size == 0)
		return 0;
	const ProtobufCMessageDescriptor *desc = fuzz_type(data[0]);
	struct str in = {(const char *)data + 1, size - 1};
	enum code scanned = pb_scan(desc, in, &scan_err);
	enum code c = pb_unpack(desc, in, a, &m, &err);
	check_error(c, &err);
	check_error(scanned, &scan_err);
	check_memory(a, size, PER_BYTE);
	HOLDS(c == scanned, "scanned: %s, unpacked: %s", scan_err.text, err.text);
	if (c)
		return 0;
	struct str packed = pb_pack(m, a);
	check_pack(m, packed, a);
	check_copies(m, packed, a);
	check_merge(desc, packed, a);
	return 0;
}

/* Packs, unpacks and transcodes messages for the Python tests, as one long-lived process.
 *
 * Each request on stdin: u32 length (little endian), then u8 operation, u8 flags, u8 length of the type's full name,
 * the name, the body. Each answer on stdout: u32 length, u8 code (enum code), body: the result, or the error's text. w
 * binary message to JSON; flags: 1 names of the .proto file, 2 defaults, 4 nulls, 8 numbers for enums r  JSON to
 * binary; flags: 1 ignore unknown fields u  binary to binary: unpack and pack again d  digest p  "path\nvalue" into an
 * empty message by json_set_path, packed b  bench: scan, unpack, pack, write and read the (binary) body over and over;
 * prints MB/s */
#include <stdio.h>

#include "base/base.h"
#include "pb/pb.h"
#include "json/json.h"

extern const ProtobufCMessageDescriptor *const ALL_TYPES[];
extern const size_t N_ALL_TYPES;

struct request {
	uint8_t flags;
	const ProtobufCMessageDescriptor *desc;
	struct str body;
	struct arena *arena;
	struct buf *out;
	struct err *err;
};

static enum code to_json(struct request *rq)
{
	const struct json_options o = {.proto_names = rq->flags & 1,
				       .emit_defaults = rq->flags & 2,
				       .emit_nulls = rq->flags & 4,
				       .enum_numbers = rq->flags & 8};
	void *m;
	enum code c = pb_unpack(rq->desc, rq->body, rq->arena, &m, rq->err);

	return c ? c : json_write(rq->out, m, &o, rq->err);
}

static enum code from_json(struct request *rq)
{
	void *m;
	enum code c = json_read(rq->desc, rq->body, rq->flags & 1, rq->arena, &m, rq->err);

	if (!c)
		pb_pack_buf(m, rq->out);
	return c;
}

static enum code repack(struct request *rq)
{
	enum code scanned = pb_scan(rq->desc, rq->body, rq->err);
	void *m;
	enum code c = pb_unpack(rq->desc, rq->body, rq->arena, &m, rq->err);

	if (c != scanned)
		return err_set(rq->err, INTERNAL, "pb_scan says %s, pb_unpack %s", code_name(scanned), code_name(c));
	if (!c)
		pb_pack_buf(m, rq->out);
	return c;
}

static enum code digest(struct request *rq)
{
	uint8_t sum[SHA256_BYTES];
	void *m;
	enum code c = pb_unpack(rq->desc, rq->body, rq->arena, &m, rq->err);

	if (c)
		return c;
	pb_digest(m, sum);
	buf_add(rq->out, sum, sizeof sum);
	return OK;
}

static enum code set_path(struct request *rq)
{
	struct str rest = rq->body, path = str_cut(&rest, '\n');
	ProtobufCMessage *m = pb_new(rq->arena, rq->desc);
	enum code c = json_set_path(m, path, rest, rq->arena, rq->err);

	if (!c)
		pb_pack_buf(m, rq->out);
	return c;
}

static enum code bench(struct request *rq)
{
	static const char *const names[] = {"scan", "unpack", "pack", "json_write", "json_read"};
	const struct json_options o = {.proto_names = true};
	auto_free(arena_free) struct arena *a = arena_new(1 << 20);
	auto_buf struct buf json = {0};
	void *m, *again;
	enum code c = pb_unpack(rq->desc, rq->body, rq->arena, &m, rq->err);

	if (c || (c = json_write(&json, m, &o, rq->err)))
		return c;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int64_t start = time_mono_us(), took = 0;
		size_t bytes = 0;
		for (; took < USEC_PER_SEC / 2; took = time_mono_us() - start) {
			auto_buf struct buf out = {0};
			c = i == 0   ? pb_scan(rq->desc, rq->body, rq->err)
			    : i == 1 ? pb_unpack(rq->desc, rq->body, a, &again, rq->err)
			    : i == 3 ? json_write(&out, m, &o, rq->err)
			    : i == 4 ? json_read(rq->desc, buf_str(&json), false, a, &again, rq->err)
				     : OK;
			if (i == 2)
				pb_pack(m, a);
			if (c)
				return c;
			arena_reset(a);
			bytes += i < 3 ? rq->body.len : json.len;
		}
		buf_printf(rq->out, "%s %.0f MB/s\n", names[i], (double)bytes / (double)took);
	}
	return OK;
}

static const struct {
	char name;
	enum code (*run)(struct request *rq);
} OPERATIONS[] = {{'w', to_json}, {'r', from_json}, {'u', repack}, {'d', digest}, {'p', set_path}, {'b', bench}};

static const ProtobufCMessageDescriptor *type_named(struct str name)
{
	for (size_t i = 0; i < N_ALL_TYPES; i++)
		if (str_is(name, ALL_TYPES[i]->name))
			return ALL_TYPES[i];
	return NULL;
}

static enum code serve(struct str in, struct request *rq)
{
	size_t name_len;

	if (in.len < 3 || in.len < 3 + (name_len = (uint8_t)in.ptr[2]))
		return err_set(rq->err, INTERNAL, "a request is too short");
	rq->flags = (uint8_t)in.ptr[1];
	rq->desc = type_named((struct str){in.ptr + 3, name_len});
	rq->body = (struct str){in.ptr + 3 + name_len, in.len - 3 - name_len};
	if (!rq->desc)
		return err_set(rq->err, INTERNAL, "no such type");
	for (size_t i = 0; i < ARRAY_SIZE(OPERATIONS); i++)
		if (OPERATIONS[i].name == in.ptr[0])
			return OPERATIONS[i].run(rq);
	return err_set(rq->err, INTERNAL, "no such operation");
}

static void answer(enum code c, struct str body)
{
	uint32_t len = (uint32_t)body.len + 1;
	uint8_t code = (uint8_t)c;

	fwrite(&len, sizeof len, 1, stdout);
	fwrite(&code, 1, 1, stdout);
	fwrite(body.ptr, 1, body.len, stdout);
	fflush(stdout);
}

int main(void)
{
	uint32_t len;

	json_know_types(ALL_TYPES, N_ALL_TYPES);
	while (fread(&len, sizeof len, 1, stdin) == 1) {
		auto_free(arena_free) struct arena *a = arena_new(0);
		auto_mem char *in = x_malloc(len); /* exactly as long, so that sanitizers see reads behind the end */
		auto_buf struct buf out = {0};
		struct err err = {0};
		struct request rq = {.arena = a, .out = &out, .err = &err};
		if (fread(in, 1, len, stdin) != len)
			return 1;
		enum code c = serve((struct str){in, len}, &rq);
		answer(c, c ? str_of(err.text) : buf_str(&out));
	}
	return 0;
}

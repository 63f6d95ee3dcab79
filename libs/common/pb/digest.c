/* The canonical form is protobuf's own encoding, fields by number, where at every level unknown fields are left out,
 * the entries of maps are sorted and unique, and an entry without a message has an empty one. */
#include "base/ids.h"
#include "pb/pb.h"
#include "pb/private.h"

static void canonize(ProtobufCMessage *m, struct arena *a);

static void canonize_map(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, struct arena *a)
{
	const ProtobufCMessage ***array = (const ProtobufCMessage ***)((char *)m + f->offset);
	size_t *n = (size_t *)((char *)m + f->quantifier_offset);
	auto_mem const ProtobufCMessage **sorted = pb_map_sorted(m, f, n);
	const ProtobufCFieldDescriptor *value = &((const ProtobufCMessageDescriptor *)f->descriptor)->fields[1];

	for (size_t i = 0; i < *n; i++) {
		(*array)[i] = sorted[i];
		ProtobufCMessage **v = (ProtobufCMessage **)((char *)sorted[i] + value->offset);
		if (value->type == PROTOBUF_C_TYPE_MESSAGE && !*v)
			*v = pb_new(a, value->descriptor);
	}
}

static void canonize_field(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, struct arena *a)
{
	if (f->label != PROTOBUF_C_LABEL_REPEATED) {
		canonize(*(ProtobufCMessage **)((char *)m + f->offset), a);
		return;
	}
	if (pb_field_is_map(f))
		canonize_map(m, f, a);
	ProtobufCMessage **array = *(ProtobufCMessage ***)((char *)m + f->offset);
	for (size_t i = 0; i < *(size_t *)((char *)m + f->quantifier_offset); i++)
		canonize(array[i], a);
}

static void canonize(ProtobufCMessage *m, struct arena *a)
{
	m->n_unknown_fields = 0;
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		if (f->type == PROTOBUF_C_TYPE_MESSAGE && pb_field_is_set(m, f))
			canonize_field(m, f, a);
	}
}

void pb_digest(const void *message, uint8_t ret[32])
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	ProtobufCMessage *copy = pb_clone(message, a);

	canonize(copy, a);
	struct str packed = pb_pack(copy, a);
	sha256(packed.ptr, packed.len, ret);
}

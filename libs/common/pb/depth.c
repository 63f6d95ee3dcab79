#include "pb/pb.h"

static size_t depth_of(const ProtobufCMessage *m);

static size_t deeper(size_t depth, const ProtobufCMessage *sub)
{
	size_t d = sub ? 1 + depth_of(sub) : 0;

	return d > depth ? d : depth;
}

static size_t depth_of(const ProtobufCMessage *m)
{
	size_t depth = 0;

	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		const void *at = (const char *)m + f->offset;
		if (f->type != PROTOBUF_C_TYPE_MESSAGE || !pb_field_is_set(m, f))
			continue;
		if (f->label != PROTOBUF_C_LABEL_REPEATED) {
			depth = deeper(depth, *(const ProtobufCMessage *const *)at);
			continue;
		}
		size_t n = *(const size_t *)((const char *)m + f->quantifier_offset);
		for (size_t k = 0; k < n; k++)
			depth = deeper(depth, (*(const ProtobufCMessage *const *const *)at)[k]);
	}
	return depth;
}

size_t pb_depth(const void *message)
{
	return depth_of(message);
}

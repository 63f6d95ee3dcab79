#include "pb/pb.h"

#include "pb/private.h"

void *pb_new(struct arena *a, const ProtobufCMessageDescriptor *desc)
{
	ProtobufCMessage *m = arena_alloc(a, desc->sizeof_message);

	desc->message_init(m);
	return m;
}

static void *allocator_alloc(void *data, size_t n)
{
	return arena_alloc(data, n);
}

static void allocator_free(void *data, void *p)
{
	(void)data;
	(void)p;
}

ProtobufCAllocator pb_allocator(struct arena *a)
{
	return (ProtobufCAllocator){.alloc = allocator_alloc, .free = allocator_free, .allocator_data = a};
}

void *pb_array_new(struct arena *a, const void *from, size_t n, size_t cap, size_t size)
{
	struct pb_array *h = arena_alloc(a, sizeof *h + cap * size);
	void *array = h + 1;

	*h = (struct pb_array){.cap = cap, .used = n, .self = (uintptr_t)array ^ PB_ARRAY_MARK};
	if (n > 0)
		memcpy(array, from, n * size);
	return array;
}

void *pb_grow(struct arena *a, void *array, size_t n, size_t size)
{
	if (pb_array_room(array, n) == 0)
		array = pb_array_new(a, array, n, MAX(2 * n, (size_t)PB_ARRAY_MIN), size);
	pb_array_head(array)->used = n + 1;
	return array;
}

static void *at_offset(ProtobufCMessage *m, unsigned offset)
{
	return (char *)m + offset;
}

void *pb_slot(struct arena *a, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	void *member = at_offset(m, f->offset), *quantifier = at_offset(m, f->quantifier_offset);
	size_t size = pb_type_size(f->type), *n = quantifier;
	void **array = member;

	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		*array = pb_grow(a, *array, *n, size);
		return (char *)*array + (*n)++ * size;
	}
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		uint32_t *which = quantifier;
		if (*which != f->id && f->type == PROTOBUF_C_TYPE_MESSAGE)
			*array = NULL;
		*which = f->id;
	} else if (f->label == PROTOBUF_C_LABEL_OPTIONAL && f->type != PROTOBUF_C_TYPE_STRING &&
		   f->type != PROTOBUF_C_TYPE_MESSAGE) {
		*(protobuf_c_boolean *)quantifier = 1;
	}
	return member;
}

static bool is_zero(const void *p, size_t n)
{
	static const char zero[8];

	return memcmp(p, zero, n) == 0;
}

bool pb_field_is_set(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	const char *member = (const char *)m + f->offset, *quantifier = (const char *)m + f->quantifier_offset;

	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)quantifier > 0;
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return *(const uint32_t *)quantifier == f->id;
	if (f->type == PROTOBUF_C_TYPE_MESSAGE)
		return *(void *const *)member != NULL;
	if (f->type == PROTOBUF_C_TYPE_STRING) {
		const char *s = *(const char *const *)member;
		return s && (f->label == PROTOBUF_C_LABEL_NONE ? *s != '\0' : s != f->default_value);
	}
	if (f->label == PROTOBUF_C_LABEL_REQUIRED)
		return true;
	if (f->label == PROTOBUF_C_LABEL_OPTIONAL)
		return *(const protobuf_c_boolean *)quantifier;
	if (f->type == PROTOBUF_C_TYPE_BYTES)
		return ((const ProtobufCBinaryData *)member)->len > 0;
	return !is_zero(member, pb_type_size(f->type));
}

static void split_us(int64_t us, int64_t *seconds, int32_t *nanos)
{
	*seconds = us / USEC_PER_SEC;
	*nanos = (int32_t)(us % USEC_PER_SEC) * 1000;
}

static int64_t join_us(int64_t seconds, int32_t nanos)
{
	int64_t us;

	if (__builtin_mul_overflow(seconds, USEC_PER_SEC, &us) || __builtin_add_overflow(us, nanos / 1000, &us))
		return seconds < 0 ? INT64_MIN : INT64_MAX;
	return us;
}

PbTimestamp *pb_timestamp(struct arena *a, int64_t us)
{
	PbTimestamp *t = pb_new(a, PB_TIMESTAMP_DESC);

	split_us(us, &t->seconds, &t->nanos);
	if (t->nanos < 0) { /* a Timestamp's nanos count forward, also before 1970 */
		t->seconds--;
		t->nanos += 1000000000;
	}
	return t;
}

int64_t pb_timestamp_us(const PbTimestamp *t)
{
	return t ? join_us(t->seconds, t->nanos) : 0;
}

PbDuration *pb_duration(struct arena *a, int64_t us)
{
	PbDuration *d = pb_new(a, PB_DURATION_DESC);

	split_us(us, &d->seconds, &d->nanos);
	return d;
}

int64_t pb_duration_us(const PbDuration *d)
{
	return d ? join_us(d->seconds, d->nanos) : 0;
}

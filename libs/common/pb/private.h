/* Shared by the files of pb only. */
#pragma once
#include "base/time.h"
#include "pb/pb.h"

/* Unpack what pb_pack just made: cannot fail. */
void *pb_unpack_trusted(const ProtobufCMessageDescriptor *desc, struct str in, struct arena *a);

bool pb_is_map_entry(const ProtobufCMessageDescriptor *d, const char *field_name);

/* Arrays that grow carry this in front. Arena memory is aligned to 16 bytes and the head takes 24, so an array at 8
 * (mod 16) may be ours, and `self` says whether it is. An element is put in place only behind the last one that was
 * ever put in, so shallow copies of a message never write into each other's arrays. */
struct pb_array {
	size_t cap, used;
	uintptr_t self; /* last, so that looking for it in front of a slice of another array stays in that array */
};
_Static_assert(sizeof(struct pb_array) % 16 == 8, "told from other arena memory by its alignment");

enum { PB_ARRAY_MIN = 4 };
static const uintptr_t PB_ARRAY_MARK = (uintptr_t)0x70625f67726f776eULL;

/* The first `n` of `cap` elements come from `from`. */
void *pb_array_new(struct arena *a, const void *from, size_t n, size_t cap, size_t size);

static inline struct pb_array *pb_array_head(void *array)
{
	return (struct pb_array *)array - 1;
}

/* How many elements still fit behind the n-th without a copy. */
static inline size_t pb_array_room(void *array, size_t n)
{
	if (!array || (uintptr_t)array % 16 != 8)
		return 0;
	const struct pb_array *h = pb_array_head(array);
	return h->self == ((uintptr_t)array ^ PB_ARRAY_MARK) && h->used == n ? h->cap - n : 0;
}

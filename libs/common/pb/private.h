/* Shared by the files of pb only. */
#pragma once
#include "base/time.h"
#include "pb/pb.h"

/* Unpack what pb_pack just made: cannot fail. */
void *pb_unpack_trusted(const ProtobufCMessageDescriptor *desc, struct str in, struct arena *a);

/* Bytes of a field of this type in a message or an array. */
size_t pb_type_size(ProtobufCType type);

bool pb_is_map_entry(const ProtobufCMessageDescriptor *d, const char *field_name);

/* An array that pb_grow can append to: the first `n` of `cap` elements come from `from`. */
void *pb_array(struct arena *a, const void *from, size_t n, size_t cap, size_t size);
/* Elements that still fit behind the n-th without a copy. */
size_t pb_room(void *array, size_t n);

/* Messages in arenas, and the guard that every byte from outside passes.
 *
 * protobuf-c unpacks recursively, lets NUL and bad UTF-8 through, and fails or takes quadratic memory when messages are
 * merged. So bytes are unpacked by a loop of our own over protobuf-c's descriptors, which checks while it stores;
 * and packed in one walk where protobuf-c takes two. Unpacked messages live in an arena and are never freed one by one.
 * All functions are thread-safe as far as their arena is.
 *
 * A trap of protobuf-c: an unset string field points to protobuf_c_empty_string, and a oneof's string that has this
 * very pointer is taken as unset when packed. Set a oneof's text to "" or arena_strdup(a, text). */
#pragma once
#include <protobuf-c/protobuf-c.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "pb/method.h"

/* Levels of nested messages that a message from outside may have: as deep as Go's and Java's parsers of Flyte's
 * clients go by default. */
enum { PB_MAX_DEPTH = 100 };
/* Our own messages wrap what came from outside, so they may nest deeper. */
enum { PB_MAX_OWN_DEPTH = 200 };

/* A message's size in memory is bounded too: 2 bytes of an empty message can become 120, so limits on received bytes
 * alone do not bound memory. Ordinary messages take 5 to 30 times their packed size. */
#define PB_MAX_UNPACKED_BYTES ((size_t)512 << 20)

/* Scan `in` as a message of `desc`: tags and lengths well-formed, wire types as declared (repeated scalars packed or
 * not), no groups, depth bounded, strings valid UTF-8 without NUL. Unknown fields are only skipped. protobuf would keep
 * a known field with another wire type as unknown; here that is an error, as a message that says one thing here and
 * another elsewhere is worse. Takes no memory. Errors: INVALID_ARGUMENT, with the path of the field. */
enum code pb_scan(const ProtobufCMessageDescriptor *desc, struct str in, struct err *err);

/* Scan and unpack into `a`, in one pass. The message borrows nothing from `in`; unknown fields are kept; a singular
 * message that comes twice is merged; proto2's `required` is not checked.
 * Errors: INVALID_ARGUMENT as pb_scan, RESOURCE_EXHAUSTED above PB_MAX_UNPACKED_BYTES. `a` keeps what was unpacked. */
enum code pb_unpack(const ProtobufCMessageDescriptor *desc, struct str in, struct arena *a, void **ret,
		    struct err *err);
/* The same for bytes that we packed ourselves and kept in our own tables: skips the check of texts, and lets them nest
 * PB_MAX_OWN_DEPTH levels. Errors: DATA_LOSS. */
enum code pb_unpack_own(const ProtobufCMessageDescriptor *desc, struct str in, struct arena *a, void **ret,
			struct err *err);

/* A message with defaults, in `a`: `CoreLiteralMap *m = pb_new(a, CORE_LITERAL_MAP_DESC);` */
void *pb_new(struct arena *a, const ProtobufCMessageDescriptor *desc);
struct str pb_pack(const void *message, struct arena *a);
void pb_pack_buf(const void *message, struct buf *b);
/* As a field of the message that `b` holds the beginning of: tag, length, message. Gives the message's own bytes, which
 * are the buffer's until it grows. */
struct str pb_pack_field_buf(uint32_t field, const void *message, struct buf *b);
size_t pb_size(const void *message);
/* Levels of messages below this one: 0 if it holds none. */
size_t pb_depth(const void *message);
/* Deep copy (by pack and unpack); `message` nests at most PB_MAX_OWN_DEPTH levels. */
void *pb_clone(const void *message, struct arena *a);

/* protobuf-c's allocator over an arena; valid as long as `a`. */
ProtobufCAllocator pb_allocator(struct arena *a);

/* SHA-256 of the message in canonical form: map entries sorted by key at every level (a Struct's too), defaults
 * dropped, unknown fields left out; so two specs that mean the same have the same digest, whatever order a client's
 * maps came in. */
void pb_digest(const void *message, uint8_t ret[32]);

/* Map entries are messages named <Field>Entry with key = 1 and value = 2; protobuf-c does not mark them. */
bool pb_field_is_map(const ProtobufCFieldDescriptor *f);
/* The entries of a map field sorted by key (texts by their bytes), of equal keys only the last: free() the array. */
const ProtobufCMessage **pb_map_sorted(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, size_t *ret_n);

/* Bytes of a value of this type in a message or an array. */
size_t pb_type_size(ProtobufCType type);

/* Is the field set? Follows oneofs, repeated counts, proto3 defaults. */
bool pb_field_is_set(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f);

/* Append to a repeated field of any type: `*PB_ADD(a, map->literals, map->n_literals) = entry;`
 * The array may be NULL, unpacked, made by PB_ADD or by arena_array: arrays that PB_ADD and pb_unpack make know their
 * capacity (in a head before the first element) and grow by doubling; any other array is copied once, never written
 * behind its end. After a shallow copy of a message both may append: the second one to do so gets an array of its
 * own. The array must not outlive `a`. */
void *pb_grow(struct arena *a, void *array, size_t n, size_t size);
#define PB_ADD(a, array, n)                                                                                            \
	({                                                                                                             \
		(array) = pb_grow((a), (array), (n), sizeof *(array));                                                 \
		&(array)[(n)++];                                                                                       \
	})

/* Where a value for the field goes, by the field's type: a new element of a repeated field, else the member, with its
 * oneof's case or has-flag set (and a message of another case forgotten: NULL). For code that works by descriptors. */
void *pb_slot(struct arena *a, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f);

/* As the .proto file calls it; NULL for a number that it has no name for. */
static inline const char *pb_enum_name(const ProtobufCEnumDescriptor *desc, int value)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(desc, value);

	return v ? v->name : NULL;
}

/* google.protobuf.Timestamp and Duration. */
#include "google/protobuf/duration.h"
#include "google/protobuf/timestamp.h"
PbTimestamp *pb_timestamp(struct arena *a, int64_t us);
int64_t pb_timestamp_us(const PbTimestamp *t); /* NULL: 0 */
PbDuration *pb_duration(struct arena *a, int64_t us);
int64_t pb_duration_us(const PbDuration *d); /* NULL: 0; saturates */

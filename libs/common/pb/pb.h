/* Messages in arenas, and the guard that stands before every parse of bytes from outside.
 *
 * protobuf-c unpacks recursively and lets NUL and bad UTF-8 through, so nothing is unpacked unscanned: pb_unpack scans
 * first, with a loop instead of recursion.  Unpacked messages live in an arena and are never freed one by one.
 * All functions are thread-safe as far as their arena is. */
#pragma once
#include <protobuf-c/protobuf-c.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "pb/method.h"

/* Levels of nested messages that a message from outside may have: as deep as Go's and Java's parsers of Flyte's
 * clients go by default. */
enum { PB_MAX_DEPTH = 100 };

/* Scan `in` as a message of `desc`: tags and lengths well-formed, wire types as declared, depth of known and unknown
 * groups/messages bounded, strings valid UTF-8 without NUL. Errors: INVALID_ARGUMENT, with the path of the field. */
enum code pb_scan(const ProtobufCMessageDescriptor *desc, struct str in, struct err *err);

/* Scan, then unpack into `a`. The message borrows nothing from `in`.
 * Errors: INVALID_ARGUMENT as pb_scan. */
enum code pb_unpack(const ProtobufCMessageDescriptor *desc, struct str in, struct arena *a, void **ret,
                    struct err *err);
/* The same for bytes that we packed ourselves and kept in our own tables: skips the scan of UTF-8 and depth.
 * Errors: DATA_LOSS. */
enum code pb_unpack_own(const ProtobufCMessageDescriptor *desc, struct str in, struct arena *a, void **ret,
                        struct err *err);

/* A message with defaults, in `a`: `CoreLiteralMap *m = pb_new(a, CORE_LITERAL_MAP_DESC);` */
void *pb_new(struct arena *a, const ProtobufCMessageDescriptor *desc);
struct str pb_pack(const void *message, struct arena *a);
void pb_pack_buf(const void *message, struct buf *b);
size_t pb_size(const void *message);
/* Deep copy (by pack and unpack). */
void *pb_clone(const void *message, struct arena *a);

/* protobuf-c's allocator over an arena; valid as long as `a`. */
ProtobufCAllocator pb_allocator(struct arena *a);

/* SHA-256 of the message in canonical form: map entries sorted by key, defaults dropped, unknown fields left out; so
 * two specs that mean the same have the same digest, whatever order a client's maps came in. */
void pb_digest(const void *message, uint8_t ret[32]);

/* Map entries are messages named <Field>Entry with key = 1 and value = 2; protobuf-c does not mark them. */
bool pb_field_is_map(const ProtobufCFieldDescriptor *f);

/* Is the field set? Follows oneofs, repeated counts, proto3 defaults. */
bool pb_field_is_set(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f);

/* Append to a repeated message field: `*PB_ADD(a, map->literals, map->n_literals) = entry;` The array is in the arena
 * and grows by doubling (sizes are powers of two). */
void *pb_grow(struct arena *a, void *array, size_t n, size_t size);
#define PB_ADD(a, array, n) (&((array) = pb_grow((a), (array), (n), sizeof *(array)))[(n)++])

/* google.protobuf.Timestamp and Duration. */
#include "google/protobuf/duration.h"
#include "google/protobuf/timestamp.h"
PbTimestamp *pb_timestamp(struct arena *a, int64_t us);
int64_t pb_timestamp_us(const PbTimestamp *t); /* NULL: 0 */
PbDuration *pb_duration(struct arena *a, int64_t us);
int64_t pb_duration_us(const PbDuration *d); /* NULL: 0; saturates */

/* Shared by the files of json only. */
#pragma once
#include "base/ids.h"
#include "base/time.h"
#include "pb/pb.h"
#include "json/json.h"

/* The message types whose JSON is not an object of their fields. */
enum special { PLAIN, TIMESTAMP, DURATION, STRUCT, VALUE, LIST, ANY, WRAPPER };
enum special special_of(const ProtobufCMessageDescriptor *desc);

/* Find a type that json_know_types told, or one with a special form. `url` ends with "/<full name>". */
const ProtobufCMessageDescriptor *type_of_url(struct str url);

/* "2026-11-21T07:03:00.25Z" and "-1.5s"; false when the value is out of protobuf's range. */
bool timestamp_write(struct buf *b, int64_t seconds, int32_t nanos);
bool timestamp_read(struct str s, int64_t *ret_seconds, int32_t *ret_nanos);
bool duration_write(struct buf *b, int64_t seconds, int32_t nanos);
bool duration_read(struct str s, int64_t *ret_seconds, int32_t *ret_nanos);

/* Text (of a JSON number, of a quoted number, of a URL) into a numeric or bool member of that type; NULL, or what is
 * wrong. */
const char *number_read(ProtobufCType type, struct str s, void *ret);
/* Is `s` a number by JSON's grammar? */
bool number_ok(struct str s);
bool enum_read(const ProtobufCEnumDescriptor *desc, struct str name, int *ret);
const char *bytes_read(struct str s, struct arena *a, ProtobufCBinaryData *ret);

static inline void *member_of(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	return (char *)m + f->offset;
}

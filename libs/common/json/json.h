/* Protobuf's JSON form, both ways, straight between text and message.
 * Source: protobuf.dev "ProtoJSON"; grpc-gateway runtime.JSONPb as flyteadmin sets it up (pkg/server/service.go).
 * Well-known types (Timestamp, Duration, Struct, Value, ListValue, Any, wrappers) have their special forms; the entries
 * of maps are sorted by key, as Go's protojson does it. Thread-safe.
 *
 * flyteadmin (grpc-gateway 2.28) has two JSON marshalers. "application/json", asked for by Accept or, when no Accept is
 * known, by the request's Content-Type: proto_names, emit_defaults, emit_nulls; unknown fields in a request are an
 * error. Any other type, so also a wildcard Accept without a Content-Type: lowerCamelCase names, emit_defaults,
 * emit_nulls; unknown fields in a request are ignored. */
#pragma once
#include <protobuf-c/protobuf-c.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct json_options {
	bool proto_names;   /* snake_case field names as in the .proto file; else lowerCamelCase */
	bool emit_defaults; /* also fields that hold their default: 0, "", [], {}; never a oneof's */
	bool emit_nulls;    /* also messages that are absent, as null (protojson's EmitUnpopulated is both) */
	bool enum_numbers;
};

/* Types that an Any may hold, beside the well-known ones: for the whole program, before its threads start; borrowed.
 * flyteidl has one Any, LaunchPlanMetadata.launch_conditions. */
void json_know_types(const ProtobufCMessageDescriptor *const *types, size_t n);

/* Append the message as JSON. Errors: INVALID_ARGUMENT for what JSON cannot say (a Timestamp out of range, an Any of an
 * unknown type). */
enum code json_write(struct buf *b, const void *message, const struct json_options *options, struct err *err);

/* Parse into a message in `a`: both name styles, enums by name or number, int64 as text or number, null as absent;
 * depth bounded by PB_MAX_DEPTH, UTF-8 checked, NUL refused. Names that come
 * twice and two fields of a oneof are an error. Unknown fields (and names of enum values) are an error unless
 * `ignore_unknown`. Errors: INVALID_ARGUMENT with line, column and the path of the field. */
enum code json_read(const ProtobufCMessageDescriptor *desc, struct str in, bool ignore_unknown, struct arena *a,
		    void **ret, struct err *err);

/* Set one scalar (or enum, Timestamp, Duration, wrapper, bytes) field from plain text, by a dotted path such as
 * "id.project" or "filters": for URL paths and queries. Repeated fields are appended to. Errors: INVALID_ARGUMENT. */
enum code json_set_path(ProtobufCMessage *m, struct str path, struct str value, struct arena *a, struct err *err);

/* The field that a JSON or URL name means, as in the .proto file or in lowerCamelCase; NULL if there is none. */
const ProtobufCFieldDescriptor *json_field(const ProtobufCMessageDescriptor *desc, struct str name);

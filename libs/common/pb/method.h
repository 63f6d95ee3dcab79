/* Tables that protoc-gen-alula makes from services: gRPC paths, message types, HTTP routes, file descriptors.
 * Everything is constant and lives as long as the program. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

/* One google.api.http binding; an absent body or response_body is "". */
struct pb_route {
	const char *verb;          /* "GET", "PUT", … */
	const char *path;          /* "/api/v1/tasks/{id.project}/…", as in the .proto file */
	const char *body;          /* "*", a field's name, or "" */
	const char *response_body; /* a field's name, or "" */
};

struct pb_method {
	const char *name; /* "CreateTask" */
	const char *path; /* "/flyteidl.service.AdminService/CreateTask" */
	const ProtobufCMessageDescriptor *in, *out;
	bool client_stream, server_stream;
	const struct pb_route *routes;
	size_t n_routes;
};

/* A .proto file, as gRPC reflection hands it out. */
struct pb_file {
	const char *name;          /* "flyteidl/service/admin.proto" */
	const uint8_t *descriptor; /* a serialized FileDescriptorProto */
	size_t len;
	const struct pb_file *const *deps; /* ends with NULL */
};

struct pb_service {
	const char *name; /* "flyteidl.service.AdminService" */
	const struct pb_file *file;
	const struct pb_method *methods;
	size_t n_methods;
};

/* NULL if the service has no such method ("GetTask"). */
const struct pb_method *pb_find_method(const struct pb_service *s, const char *name);

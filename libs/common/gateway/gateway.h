/* REST in front of an api, by the google.api.http rules of its services, as flyteadmin's grpc-gateway does it.
 * Source: flyteadmin pkg/server/service.go and grpc-gateway v2 runtime (errors, query parameters, marshalers).
 *
 * Content-Type application/json or application/octet-stream (binary protobuf) in; Accept the same out, else as it came
 * in: flyteconsole asks for application/octet-stream. Where both say something else (curl, browsers), JSON has
 * lowerCamelCase names and unknown fields are passed over; application/json has the names of the .proto files and is
 * strict. A percent-encoded slash stays within its segment (grpc-gateway splits there). */
#pragma once
#include "api/api.h"
#include "http/http.h"

struct gateway;

/* `api` is borrowed and fully bound. */
struct gateway *gateway_new(const struct api *api);
void gateway_free(struct gateway *g);

/* Serve a request whose path some rule matches (any verb); false when no rule knows the path (the caller answers 404).
 * A known path with another verb answers 501 as grpc-gateway does. Methods that stream are not served. */
bool gateway_serve(const struct gateway *g, struct http_request *rq, struct http_response *rs);

/* grpc-gateway's answer for a path that it does not know. */
void gateway_not_found(struct http_request *rq, struct http_response *rs);

/* The Swagger document of the service whose file is called so: "admin" or "admin.swagger.json". False: there is none.
 */
bool gateway_openapi(const struct gateway *g, const char *name, struct http_response *rs);

/* HTTP status of a code. Source: grpc-gateway HTTPStatusFromCode. */
int gateway_status(enum code code);

DEFINE_CLEANUP(struct gateway *, gateway_free);

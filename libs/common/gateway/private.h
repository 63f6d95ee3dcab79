/* The gateway module's own header. */
#pragma once
#include "base/base.h"
#include "gateway/gateway.h"
#include "pb/pb.h"
#include "json/json.h"

/* ---- routes.c: which rule takes a path ---- */

enum { MAX_SEGMENTS = 64 };

/* A path cut at its slashes, each segment percent-decoded. */
struct path {
	struct str at[MAX_SEGMENTS];
	size_t n;
};
/* False when it has more segments than any path that we serve. Decoded text lies in `a`. */
bool path_split(const char *text, struct arena *a, struct path *ret);

/* "{id.name}": a field and the segments of the path that it gets. */
struct capture {
	struct str field; /* "id.name" */
	size_t first, n;  /* n is SIZE_MAX for all that follow */
};

struct rule {
	struct rule *next; /* same path */
	const struct pb_method *method;
	const struct api_method *target;
	const struct pb_route *route;
	const ProtobufCFieldDescriptor *body, *response_body; /* NULL for the whole message or none */
	struct capture *captures;
	size_t n_captures;
};

struct route_node;
struct route_node *routes_new(void);
void routes_free(struct route_node *root);
void routes_add(struct route_node *root, const struct pb_method *method, const struct api_method *target,
		const struct pb_route *route);
/* The rule for path and verb (NULL for any): literal segments go before variables, a later rule before an earlier one.
 * Does not allocate. */
const struct rule *routes_find(const struct route_node *root, const char *verb, const struct path *path);
/* What a capture caught, decoded. */
struct str capture_text(const struct capture *c, const struct path *path, struct arena *a);

/* ---- gateway.c ---- */

const struct api *gateway_api(const struct gateway *g);

/* ---- openapi.c ---- */

/* Append the service's document. */
void openapi_add(struct buf *b, const struct pb_service *s);

/* ---- query.c ---- */

/* Set fields of `m` from query pairs. Left out: what path and body have set, and names that `m` lacks. */
enum code query_apply(const struct rule *rule, ProtobufCMessage *m, const struct http_pair *pairs, size_t n,
		      struct arena *a, struct err *err);

/* ---- format.c: how messages are written ---- */

struct format;
/* By Content-Type, and by Accept (else as the request came). */
const struct format *format_in(const struct http_request *rq);
const struct format *format_out(const struct http_request *rq);
enum code format_read(const struct format *f, const ProtobufCMessageDescriptor *desc, struct str body, struct arena *a,
		      void **ret, struct err *err);
enum code format_write(const struct format *f, const void *message, struct http_response *rs, struct err *err);
/* google.rpc.Status, with the HTTP status of `code`; `detail` may be NULL. */
void format_error(const struct format *f, enum code code, const char *text, const void *detail,
		  struct http_response *rs);

/* ---- metadata.c ---- */

/* struct request's `header`: rq->transport is the struct http_request. */
const char *metadata_header(const struct request *rq, const char *name);
/* When a call that came at `received_us` must have ended, by its Grpc-Timeout. Errors: INVALID_ARGUMENT. */
enum code metadata_deadline(const struct http_request *rq, int64_t *ret_us, struct err *err);

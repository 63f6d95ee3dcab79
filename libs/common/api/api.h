/* RPC handlers, apart from how a call arrives: the same handler serves gRPC (rpc/) and REST (gateway/).
 *
 *   enum code admin_get_task(struct request *rq, const AdminObjectGetRequest *in, AdminTask *ret, struct err *err);
 *
 * `ret` comes initialised with defaults; what a handler hangs below it lives in rq->arena, which is gone once the
 * response is packed. Handlers run on worker threads and may block. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "metrics/metrics.h"
#include "pb/method.h"

struct api;

struct request {
	struct arena *arena;
	const struct pb_method *method;
	void *user;            /* the service's context, from api_new */
	const char *principal; /* who calls; "" without authentication */
	const char *peer;      /* address of the client, for logs */
	const char *authority; /* host[:port] that the client addressed; "" if unknown */
	int64_t received_us;   /* wall clock */
	int64_t deadline_us;   /* wall clock; INT64_MAX for none */
	/* Metadata (gRPC) or header (HTTP) by lower-case name; NULL if absent. Borrowed from the call. */
	const char *(*header)(const struct request *rq, const char *name);
	void *transport; /* the transport's own */
	/* With an error: a message in `arena` that says it to programs, the one of google.rpc.Status.details; NULL for
	 * none. Flyte's propeller looks there for what became of its events. */
	const void *detail;
};

typedef enum code (*api_handler)(struct request *rq, const void *in, void *ret, struct err *err);

/* API_THUNK(admin_get_task) makes admin_get_task_api, whose type is that of api_handler. */
#define API_THUNK(fn)                                                                                                  \
	static enum code fn##_api(struct request *rq, const void *in, void *ret, struct err *err)                      \
	{                                                                                                              \
		return fn(rq, in, ret, err);                                                                           \
	}

/* One of the calls that a handler is given together. */
struct api_one {
	struct request *rq;
	const void *in;
	void *ret;
	struct err *err;
	enum code code; /* for the handler to set; OK at first */
};

/* Of methods whose calls cost less together than one by one (a round trip to the database, a commit): up to
 * API_TOGETHER of them at once, of different callers, each with its own end. What comes alone is a call of one. */
enum { API_TOGETHER = 32 };
typedef void (*api_together)(struct api_one *const *ones, size_t n);

struct api_binding {
	const char *method; /* "GetTask"; NULL ends the table */
	api_handler fn;
};
struct api_together_binding {
	const char *method;
	api_together fn;
};

struct api_options {
	void *user;
	struct metrics *metrics; /* borrowed; NULL for none */
	/* "flyte:admin" gives "flyte:admin:admin:create_task:duration_ms", …:success, …:errors, …:codes:NotFound for
	 * AdminService.CreateTask; grpc_server_handling_seconds beside them. Source:
	 * flyteadmin/pkg/rpc/adminservice/metrics.go; deployment/stats/prometheus. */
	const char *metrics_prefix;
	/* Where authentication sits: may set rq->principal; an error ends the call. NULL lets everybody in. */
	enum code (*authenticate)(struct request *rq, struct err *err);
};

struct api *api_new(const struct api_options *options);
void api_free(struct api *api);

/* Serve `service`: bindings by method name. A name that the service lacks is our bug (assert); a method without a
 * binding answers UNIMPLEMENTED. A service may be bound in several steps (a table per file), but no method twice.
 * All binding is done before the first call; afterwards an api is read-only and thread-safe. */
void api_bind(struct api *api, const struct pb_service *service, const struct api_binding *bindings);
void api_bind_together(struct api *api, const struct pb_service *service, const struct api_together_binding *bindings);

/* The services bound, in order; *ret_n of them. */
const struct pb_service *const *api_services(const struct api *api, size_t *ret_n);

/* One method of one bound service, with its handler and metrics. */
struct api_method;
const struct api_method *api_find(const struct api *api, struct str path); /* NULL: no such service or method */
const struct pb_method *api_method_table(const struct api_method *m);

/* Run hook and handler: fills `rq`'s method and user; `ret` is a message of method->out made by pb_new.
 * A deadline that has passed is DEADLINE_EXCEEDED and nothing runs. Counts, times and, for INTERNAL, logs. UNKNOWN and
 * (without auth) UNAUTHENTICATED never leave: they become INTERNAL and PERMISSION_DENIED, since Flyte's clients take
 * them for a login prompt. */
enum code api_call(const struct api *api, const struct api_method *m, struct request *rq, const void *in, void *ret,
		   struct err *err);
/* The same for `n` calls of one method, at most API_TOGETHER; ones[i].code and what ones[i].err (not NULL) says are its
 * answer. What may not run is answered without the handler seeing it. */
void api_call_together(const struct api *api, const struct api_method *m, struct api_one *ones, size_t n);
bool api_takes_together(const struct api_method *m);

/* Append google.rpc.Status, packed. `detail` may be NULL. */
#define TYPE_URL_PREFIX "type.googleapis.com/"
void status_pack(enum code code, const char *text, const void *detail, struct buf *b);

/* Count a call that ended before api_call: its message did not parse, say. */
void api_count(const struct api_method *m, enum code code, int64_t duration_us);

DEFINE_CLEANUP(struct api *, api_free);

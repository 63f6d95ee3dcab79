/* The http module's own header: what its files share.
 *
 * Threads: MHD's event threads call the callbacks of connection.c and exchange.c; workers run handlers; the sweeper
 * ends what takes too long. A connection's `state` changes under the server's lock only, so that the sweeper never
 * touches a socket that has moved on; an exchange belongs to the event thread, or to the worker while its connection is
 * suspended. */
#pragma once
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/base.h"
#include "http/http.h"

enum {
	HTTP_POOL_BYTES = 64 * 1024, /* MHD's memory of a connection: read buffer and headers (431 beyond) */
	HTTP_SWALLOW_BYTES =
		128 * 1024 * 1024, /* a refused body is read up to here, so that the client sees the answer */
};

enum http_state {
	HTTP_IDLE,    /* between requests, or before the first */
	HTTP_HEADERS, /* the request line has come */
	HTTP_BODY,
	HTTP_HANDLING, /* queued or with a worker */
	HTTP_RESPONDING,
};

struct http_upload {
	int fd; /* -1 when none */
	char *path;
	uint64_t bytes;
	struct hasher *md5;
};

/* One request and its response. */
struct http_exchange {
	struct http_request rq;
	struct http_response rs;
	struct http_connection *connection;
	const struct http_route *route;
	size_t target_len;  /* of the request's target, as far as a NUL lets us see */
	uint64_t declared;  /* Content-Length */
	uint64_t swallowed; /* bytes of a refused body */
	struct buf body;
	size_t held; /* of the server's bytes in flight */
	struct http_upload upload;
	struct MHD_Response *answer;
	int64_t started_mono_us;
	bool has_body, begun, dispatched, refused;
};

struct http_connection {
	struct http_server *server;
	struct http_connection *next, **prev; /* under the server's lock */
	struct MHD_Connection *mhd;
	int fd;
	enum http_state state;
	bool ended;          /* the sweeper has shut the socket down */
	bool gone;           /* the client had closed its side at the last sweep */
	int64_t since_us;    /* monotonic: when the state began, or when a response last moved on */
	int64_t deadline_us; /* monotonic: when the state must have ended */
	uint64_t acked;      /* bytes of the response that the client has confirmed */
	char peer[64];
};

struct http_metrics {
	struct metric *connections, *queued, *inflight, *timeouts, *latency, *classes[6];
};

struct http_server {
	struct http_server_options o;
	struct MHD_Daemon *daemon;
	int listen_fd; /* MHD's once the daemon runs */
	int port;
	char *upload_dir;
	struct queue *queue;
	pthread_t *workers;
	int n_workers;
	pthread_t sweeper;
	bool sweeping; /* the thread runs */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct http_connection *connections;
	size_t n_busy; /* connections that are not idle */
	bool quit;     /* for the sweeper */
	atomic_bool draining, aborting;
	atomic_size_t inflight;
	struct http_metrics metrics;
};

/* connection.c */
void http_on_connection(void *cls, struct MHD_Connection *mhd, void **context,
			enum MHD_ConnectionNotificationCode code);
/* Enter `state`, to be left within `within_us` (-1: no bound). */
void http_connection_enter(struct http_connection *c, enum http_state state, int64_t within_us);
/* Answer past MHD with nothing but a status, and end the connection: for bodies that are still coming. */
void http_connection_abort(struct http_connection *c, int status);
void *http_sweeper(void *server);
/* Shut down idle connections, or all. */
void http_connections_end(struct http_server *s, bool all);
/* Wait until no request is under way; false at `deadline_us` (monotonic). */
bool http_connections_wait(struct http_server *s, int64_t deadline_us);

/* exchange.c */
void *http_on_uri(void *cls, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result http_on_access(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
			       const char *version, const char *data, size_t *size, void **context);
void http_on_completed(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode why);
void *http_worker(void *server);
bool http_hold(struct http_exchange *x, size_t n); /* false: more bytes in flight than allowed */
void http_release(struct http_exchange *x);

/* request.c: what is wrong with a target as it was sent, or NULL. */
const char *http_target_fault(const char *path, const char *query);

/* route.c: the route that takes path and verb. NULL: *ret_status is 404, or 405 with the verbs for Allow in *ret_allow.
 */
const struct http_route *http_route_find(const struct http_route *routes, const char *verb, const char *path,
					 struct arena *a, int *ret_status, const char **ret_allow);

/* upload.c */
enum code http_upload_open(struct http_upload *u, const char *dir, struct err *err);
enum code http_upload_write(struct http_upload *u, const void *p, size_t n, struct err *err);
/* MD5 of what came, into `md5`; then the file is on disk and closed. */
enum code http_upload_sync(struct http_upload *u, uint8_t *md5, struct err *err);
void http_upload_discard(struct http_upload *u);
/* Remove what a crash has left in `dir` longer than `age_us` ago. */
void http_upload_sweep(const char *dir, int64_t age_us);

/* cors.c; `cors` may be NULL. */
/* The answer to OPTIONS: true if that is what the request is. */
bool http_cors_preflight(const struct http_cors *cors, const struct http_request *rq, struct http_response *rs);
void http_cors_add(const struct http_cors *cors, const struct http_request *rq, struct MHD_Response *answer);

/* response.c: MHD's form of x->rs, which is used up. Opens files: for workers (or small answers). */
struct MHD_Response *http_answer(struct http_exchange *x, int *ret_status);

/* HTTP/1.1 server over libmicrohttpd: bounded bodies, streamed uploads, total-time limits.
 *
 * A few event threads hold all connections; a request whose headers and body are complete is handed to a worker thread,
 * which may block, while its connection is suspended. So neither slow clients nor ten thousand idle ones cost a thread.
 * Limits: header memory, body size (413), time from the first byte to the last of a request (408), connections. */
#pragma once
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "metrics/metrics.h"

struct http_server;

struct http_request {
	struct arena *arena;
	const char *verb;  /* "GET" */
	const char *path;  /* percent-encoded as sent, without the query */
	const char *query; /* as sent, without '?'; "" if none */
	struct str body;   /* empty for uploads */
	const char *peer;
	int64_t received_us;
	/* For routes with `upload`: what arrived, if anything. The file is removed after the handler unless it renamed
	 * it. */
	const char *upload_path;
	uint64_t upload_bytes;
	uint8_t upload_md5[16];
	void *user;
	struct http_connection *connection;
};

/* Header by name (any case); NULL if absent. */
const char *http_header(const struct http_request *rq, const char *name);
/* First value of a query key, percent-decoded ('+' is a blank), in rq->arena; NULL if absent. */
const char *http_query(const struct http_request *rq, const char *key);
/* All pairs, decoded, in order; returns how many. */
struct http_pair {
	struct str key, value;
};
size_t http_query_pairs(const struct http_request *rq, struct http_pair **ret);
/* The same of a body of type application/x-www-form-urlencoded. */
size_t http_form_pairs(struct arena *a, struct str form, struct http_pair **ret);

struct http_response {
	int status;      /* 200 at first */
	struct buf body; /* sent as it is, with Content-Length */
	char *file;      /* or a file's path (malloc'd, taken): streamed, with Range support for one range */
	struct {
		const char *name, *value;
	} headers[16]; /* arena or static strings; use http_response_header */
	size_t n_headers;
};
void http_response_header(struct http_response *rs, const char *name, const char *value);
/* Plain text answer; replaces what was there. */
void http_response_text(struct http_response *rs, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

typedef void (*http_handler)(struct http_request *rq, struct http_response *rs);

struct http_route {
	const char *verb; /* NULL for any */
	const char *path; /* exact, or a prefix when it ends in '*'; the longest match wins */
	http_handler fn;
	bool upload; /* stream the body to a temporary file in upload_dir instead of rq->body */
	/* Asked when an upload's headers are in, before its body is taken: false refuses it with what it put in `rs`.
	 * Runs on the event thread: must not block. */
	bool (*admit)(struct http_request *rq, struct http_response *rs);
	bool quick; /* runs on the event thread: must not block (health checks, metrics) */
};

/* Pages of which origins may ask this server, and with which headers beside those of any request. Without origins, or
 * with "*", all may. OPTIONS is answered without a route then. Borrowed. */
struct http_cors {
	const char *const *origins, *const *headers;
	size_t n_origins, n_headers;
};

struct http_server_options {
	const char *listen;              /* "0.0.0.0:8088"; port 0 picks a free one */
	const struct http_route *routes; /* ends with fn NULL; borrowed */
	void *user;
	int event_threads;          /* 0 for 1 */
	int workers;                /* 0 for 8 */
	size_t max_body_bytes;      /* 0 for 64 MiB */
	uint64_t max_upload_bytes;  /* 0 for 5 GiB */
	const char *upload_dir;     /* NULL if no route uploads */
	int64_t request_timeout_us; /* 0 for 30 s: headers and body of a plain request */
	int64_t upload_timeout_us;  /* 0 for 1 h */
	int64_t idle_timeout_us;    /* 0 for 120 s between requests */
	int max_connections;        /* 0 for 12000, or what the rlimit allows */
	size_t max_inflight_bytes;  /* bodies held at once; over it 503. 0 for 256 MiB */
	struct metrics *metrics;
	const struct http_cors *cors; /* NULL: pages of other origins get nothing */
};
/* Errors: UNAVAILABLE naming the address when the port is taken. */
enum code http_server_new(const struct http_server_options *options, struct http_server **ret, struct err *err);
int http_server_port(const struct http_server *s);
/* From now on new connections are closed and idle ones ended; returns at once. NULL is fine. */
void http_server_drain(struct http_server *s);
/* Drain, serve the requests under way until `grace_us` has passed, cut what then still transfers and answer what still
 * waits for a worker with 503. Waits for handlers that run. NULL is fine. */
void http_server_stop(struct http_server *s, int64_t grace_us);

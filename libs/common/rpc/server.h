/* The server's parts, shared by server.c, crew.c, call.c, stream.c, health.c and reflection.c.
 *
 * Everything happens as events of one completion queue, which one thread serves, the poller; so pings and arrivals are
 * looked after whatever the handlers do. It gives complete requests to the workers, but runs handlers that never block
 * itself. (More threads on the queue were no faster with handlers that take time, and one
 * never stalls behind a handler. tests/tools/rpc_bench.c measures.) */
#pragma once
#include <grpc/support/time.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/queue.h"
#include "base/vec.h"
#include "rpc/private.h"

struct worker;

/* What waits for an event of the completion queue. */
struct tag {
	void (*fn)(struct worker *w, struct tag *t, bool ok);
	void *owner;
};

/* ---- unary calls (call.c) ---- */

struct call {
	struct tag tag;
	struct rpc_server *server;
	grpc_call *call;
	grpc_call_details details;
	grpc_metadata_array metadata;
	grpc_byte_buffer *in, *out;
	grpc_slice status_text;
	grpc_metadata status_details; /* its value is empty for none */
	int cancelled;
	const struct api *api;
	const struct api_method *method;
	int64_t received_us;
	struct call *earlier, *later; /* in the list of requests that are arriving */
	bool arriving;
};

/* Ask gRPC's core for one more call. */
void call_request(struct rpc_server *s);
/* Run the handler for these calls of one method (more than one only if it takes them together), and answer. */
void calls_run(struct worker *w, struct call *const *calls, size_t n);
/* Answer: with c->out if `code` is OK, otherwise with `text`. The call is no longer the caller's. */
void call_answer(struct call *c, enum code code, const char *text);
void call_free(struct call *c);
/* Cancel requests that have been arriving for too long. */
void calls_sweep(struct rpc_server *s);

/* ---- streams of the built-in services (stream.c) ---- */

struct stream;
struct stream_handler {
	const char *path;
	const ProtobufCMessageDescriptor *in;
	/* A message came; a message was sent. Both hold the server's stream_lock. */
	void (*message)(struct worker *w, struct stream *st, const void *in);
	void (*sent)(struct stream *st);
};

struct stream {
	struct tag receive, send, close;
	struct rpc_server *server;
	grpc_call *call;
	const struct stream_handler *handler;
	grpc_byte_buffer *in, *out;
	grpc_slice status_text;
	enum code status;
	int cancelled;
	int ops; /* started and not completed */
	bool begun, sending, ending, ended;
	struct stream *earlier, *later; /* in server->streams */
	/* health */
	char *service;
	int sent_status; /* -1: none yet */
};

/* Takes over c->call; frees c. */
void stream_start(struct call *c, const struct stream_handler *handler);
void stream_receive(struct stream *st);
void stream_send(struct stream *st, const void *message); /* one at a time: wait for `sent` */
void stream_end(struct stream *st, enum code code, const char *text);
/* End all of them, at drain. */
void streams_end(struct rpc_server *s);

extern const struct stream_handler health_watch, reflection_v1, reflection_v1alpha;
extern const struct api_binding health_bindings[];
void health_changed(struct rpc_server *s); /* under stream_lock */
/* Every file that the services need, each once. */
void reflection_init(struct rpc_server *s);

/* ---- the crew (crew.c) ---- */

struct worker {
	struct rpc_server *server;
	struct queue *queue; /* where it takes calls from; NULL: it is the poller */
	size_t at_once;      /* up to so many */
	struct arena *arena;
	pthread_t thread;
};

/* Calls of a method that takes them together: they gather while its workers are at others. */
struct lane {
	const struct api_method *method;
	struct queue *queue;
};

struct crew {
	struct queue *fast, *slow; /* of struct call */
	VEC(struct lane) lanes;
	struct worker *workers;
	size_t n;
};

void crew_start(struct rpc_server *s, size_t workers, size_t slow_workers);
/* A request is complete: run it here or pass it on. */
void crew_take(struct worker *w, struct call *c);
/* When the completion queue is shut down: let the threads end, and wait for them. */
void crew_join(struct rpc_server *s);

/* ---- the server (server.c) ---- */

struct rpc_server {
	struct rpc_server_options options;
	grpc_server *server;
	grpc_completion_queue *cq;
	int port;
	struct api *builtin; /* health */
	struct crew crew;
	VEC(const struct pb_file *) files;

	atomic_int calls; /* under way */
	atomic_bool serving, draining, cancelling;
	struct tag stopped;
	pthread_mutex_t stop_lock;
	pthread_cond_t stop_wake;
	bool is_stopped;

	pthread_mutex_t stream_lock;
	struct stream *streams;

	pthread_mutex_t arriving_lock;
	struct call *arriving_first, *arriving_last;

	struct metric *in_flight, *waiting, *refused;
};

void server_call_begun(struct rpc_server *s);
void server_call_ended(struct rpc_server *s);

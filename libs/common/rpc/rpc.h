/* gRPC server and client over libgrpc's C core.
 *
 * Server: one generic call pool; methods come from an api (api/api.h), so the same handlers serve REST. Health
 * (grpc.health.v1: Check, Watch) and reflection (v1 and v1alpha) are built in. Handlers run on worker threads.
 * Client: blocking unary calls and streams, for use from worker threads, any number at once over one channel. */
#pragma once
#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

#include "api/api.h"
#include "base/arena.h"
#include "base/err.h"

struct rpc_server;

struct rpc_server_options {
	const char *listen; /* "0.0.0.0:8089", "[::]:8089", ":8089" (all addresses); port 0 picks a free one */
	const struct api *api;
	int workers;                /* handlers that may run at once, beside two of each method that takes many calls
				     * together (api_bind_together); 0 for 16 */
	size_t max_receive_bytes;   /* a larger request is RESOURCE_EXHAUSTED; 0 for 64 MiB */
	size_t quota_bytes;         /* memory of all calls in flight (grpc resource quota); 0 for 512 MiB */
	int max_calls;              /* under way at once; one more is RESOURCE_EXHAUSTED; 0 for 10,000 */
	int64_t receive_timeout_us; /* for a request to arrive whole, else DEADLINE_EXCEEDED; 0 for two minutes */
	struct metrics *metrics;    /* borrowed; NULL for none */
	/* Services with worker threads of their own, so that what takes long does not hold up the others: full names,
	 * ended by NULL; borrowed. NULL for none. */
	const char *const *slow_services;
	int slow_workers; /* 0 for 4 */
	/* Methods whose handlers never block (no database, no lock held for long), by path, ended by NULL; borrowed.
	 * They run where the connections are served, at twice the rate. NULL for none. */
	const char *const *quick_methods;
};

/* Listens and serves. The api must outlive the server. Errors: UNAVAILABLE naming the address when the port is taken or
 * not allowed. A request that arrives slowly, or not at all, holds no worker; pings of idle clients are permitted from
 * one a second on. */
enum code rpc_server_new(const struct rpc_server_options *options, struct rpc_server **ret, struct err *err);
int rpc_server_port(const struct rpc_server *s);
/* What health answers: SERVING or NOT_SERVING, for "" and for every bound service. NOT_SERVING at first. */
void rpc_server_set_serving(struct rpc_server *s, bool serving);
/* Drain: no new calls, NOT_SERVING, `grace_us` for those under way, cancel the rest, free everything. NULL is fine.
 * A handler is not interrupted: this returns when the last one has. A call that is sent before its client has heard of
 * it may be CANCELLED by libgrpc 1.51; rpc_may_pass allows for that. */
void rpc_server_stop(struct rpc_server *s, int64_t grace_us);

struct rpc_channel;
struct rpc_channel_options {
	const char *target;       /* "host:port" or "dns:///host:port" */
	const char *name;         /* who answers there ("admin"), for error texts; NULL for none */
	size_t max_receive_bytes; /* 0 for 64 MiB */
	/* Called for each call to add metadata (authorization, …); NULL for none. */
	void (*credentials)(void *arg, struct arena *a, const char **ret_key, const char **ret_value);
	void *credentials_arg;
	bool tls;                   /* check the server's certificate against the system's roots, or those of: */
	const char *roots_file;     /* PEM; NULL or "" for the system's */
	const char *server_name;    /* what its certificate must say, if that is not the target's host; NULL or "" */
	const char *service_config; /* gRPC's own, JSON; NULL or "" for none */
};
/* Connects when the first call is made, and again whenever it must; never through an HTTP proxy. Thread-safe. */
struct rpc_channel *rpc_channel_new(const struct rpc_channel_options *options);
void rpc_channel_free(struct rpc_channel *c); /* no call may be under way */

/* One unary call: the response is guarded, unpacked into `a`. Errors: the server's status and text; UNAVAILABLE at once
 * when not connected ("cannot reach admin at host:port: …"); DEADLINE_EXCEEDED after timeout_us (INT64_MAX for no
 * deadline); DATA_LOSS when the response does not parse. */
enum code rpc_call(struct rpc_channel *c, const struct pb_method *method, const void *in, int64_t timeout_us,
		   struct arena *a, void **ret, struct err *err);

/* May a call that failed so do better when it is tried again? Not when it was refused for what it says, nor when a
 * message of it is larger than its receiver takes: that is RESOURCE_EXHAUSTED as being busy is, and gRPC's own text
 * ("… larger than max …") tells them apart. CANCELLED, when the caller hasn't: its server ends (rpc_server_stop). */
bool rpc_may_pass(enum code code, const struct err *err);

/* Calls that nobody waits for; one thread takes the ends of any number of them, over any channels. */
struct rpc_calls;
/* How the call went, as rpc_call tells it; `message` lies in the call's arena. Called once, on that one thread, so it
 * must not block; it may start calls. */
typedef void (*rpc_answer_fn)(void *arg, enum code code, void *message, const struct err *err);
struct rpc_calls *rpc_calls_new(void);
/* Start a call of any kind: the `n` messages of `in` are sent one after the other (packed here), and the first message
 * that comes back is the answer: a stream is cancelled then. `a` must not be used by others until the answer. */
void rpc_start(struct rpc_calls *calls, struct rpc_channel *c, const struct pb_method *method, const void *const *in,
	       size_t n, int64_t timeout_us, struct arena *a, rpc_answer_fn fn, void *arg);
/* Cancel what is under way and whatever is started from now on; when it returns, all have been answered. */
void rpc_calls_cancel(struct rpc_calls *calls);
void rpc_calls_free(struct rpc_calls *calls); /* cancels; NULL is fine */

/* Streams of either direction. Sending and receiving may be done by two threads at once. */
struct rpc_stream;
enum code rpc_stream_open(struct rpc_channel *c, const struct pb_method *method, int64_t timeout_us,
			  struct rpc_stream **ret, struct err *err);
enum code rpc_stream_send(struct rpc_stream *s, const void *message, struct err *err);
enum code rpc_stream_close_send(struct rpc_stream *s, struct err *err);
/* OUT_OF_RANGE once the server has ended the stream with OK; its status otherwise. */
enum code rpc_stream_receive(struct rpc_stream *s, struct arena *a, void **ret, struct err *err);
void rpc_stream_free(struct rpc_stream *s); /* cancels what is open */

DEFINE_CLEANUP(struct rpc_channel *, rpc_channel_free);
DEFINE_CLEANUP(struct rpc_stream *, rpc_stream_free);

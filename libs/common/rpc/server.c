#include "rpc/server.h"

#include <errno.h>
#include <grpc/grpc_security.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cond.h"
#include "base/log.h"
#include "grpc/health/v1/health.h"

enum {
	DEFAULT_WORKERS = 16,
	DEFAULT_SLOW_WORKERS = 4,
	DEFAULT_MAX_CALLS = 10000,
	STREAMS_PER_CONNECTION = 1000,
	REQUESTS_AHEAD = 64, /* calls that gRPC's core may hand over without asking */
	METADATA_BYTES = 32 << 10,
	PERMITTED_PING_MS = 1000,
	KEEPALIVE_MS = 60000, /* finds peers that are gone */
	KEEPALIVE_TIMEOUT_MS = 20000,
	HANDSHAKE_MS = 60000, /* when thousands connect at once, the last wait for their turn; gRPC then cuts off even
			       * who has calls under way */
};
#define DEFAULT_QUOTA           (INT64_C(512) << 20)
#define DEFAULT_RECEIVE_TIMEOUT (120 * USEC_PER_SEC)

/* ---- listening ---- */

/* What the kernel says about this address; gRPC's core only logs it. */
static const char *listen_error(const char *listen)
{
	const char *colon = strrchr(listen, ':');
	auto_mem char *host = x_strndup(listen, colon ? (size_t)(colon - listen) : strlen(listen));
	char *bare = host[0] == '[' ? host + 1 : host;
	struct addrinfo *found, hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
	int fd, rc = 0, one = 1;

	if (!colon)
		return "no port given";
	bare[strcspn(bare, "]")] = '\0';
	rc = getaddrinfo(*bare ? bare : NULL, colon + 1, &hints, &found);
	if (rc != 0)
		return gai_strerror(rc);
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	rc = fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) != 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
	freeaddrinfo(found);
	return rc ? strerror(rc) : "gRPC cannot use this address";
}

static enum code add_port(struct rpc_server *s, struct err *err)
{
	grpc_server_credentials *insecure = grpc_insecure_server_credentials_create();
	const char *listen = s->options.listen;
	auto_mem char *address = x_printf("%s%s", listen[0] == ':' ? "[::]" : "", listen);

	s->port = grpc_server_add_http2_port(s->server, address, insecure);
	grpc_server_credentials_release(insecure);
	if (s->port <= 0)
		return err_set(err, UNAVAILABLE, "cannot listen on %s: %s", listen, listen_error(listen));
	return OK;
}

/* ---- the library's server ---- */

static void create_server(struct rpc_server *s)
{
	grpc_resource_quota *quota = grpc_resource_quota_create("rpc_server");
	struct rpc_args args = {.n = 0};
	grpc_channel_args list;

	grpc_resource_quota_resize(quota, s->options.quota_bytes);
	rpc_arg_int(&args, GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int64_t)s->options.max_receive_bytes);
	rpc_arg_int(&args, GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1);
	rpc_arg_int(&args, GRPC_ARG_MAX_METADATA_SIZE, METADATA_BYTES);
	rpc_arg_int(&args, GRPC_ARG_MAX_CONCURRENT_STREAMS, STREAMS_PER_CONNECTION);
	rpc_arg_int(&args, GRPC_ARG_ALLOW_REUSEPORT, 0);
	rpc_arg_int(&args, GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, HANDSHAKE_MS);
	rpc_arg_int(&args, GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
	rpc_arg_int(&args, GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, PERMITTED_PING_MS);
	rpc_arg_int(&args, GRPC_ARG_KEEPALIVE_TIME_MS, KEEPALIVE_MS);
	rpc_arg_int(&args, GRPC_ARG_KEEPALIVE_TIMEOUT_MS, KEEPALIVE_TIMEOUT_MS);
	rpc_arg_int(&args, GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
	args.at[args.n++] = (grpc_arg){.type = GRPC_ARG_POINTER,
				       .key = (char *)GRPC_ARG_RESOURCE_QUOTA,
				       .value.pointer = {quota, grpc_resource_quota_arg_vtable()}};
	list = rpc_args(&args);
	s->server = grpc_server_create(&list, NULL);
	grpc_resource_quota_unref(quota);
	s->cq = grpc_completion_queue_create_for_next(NULL);
	grpc_server_register_completion_queue(s->server, s->cq, NULL);
}

/* ---- calls under way ---- */

void server_call_begun(struct rpc_server *s)
{
	atomic_fetch_add(&s->calls, 1);
	metric_add(s->in_flight, 1);
}

void server_call_ended(struct rpc_server *s)
{
	metric_add(s->in_flight, -1);
	atomic_fetch_sub(&s->calls, 1);
	if (atomic_load(&s->draining)) {
		pthread_mutex_lock(&s->stop_lock);
		pthread_cond_signal(&s->stop_wake);
		pthread_mutex_unlock(&s->stop_lock);
	}
}

/* ---- life ---- */

static void stopped(struct worker *w, struct tag *t, bool ok)
{
	struct rpc_server *s = t->owner;

	(void)w, (void)ok;
	pthread_mutex_lock(&s->stop_lock);
	s->is_stopped = true;
	pthread_cond_signal(&s->stop_wake);
	pthread_mutex_unlock(&s->stop_lock);
}

static void set_defaults(struct rpc_server_options *o)
{
	o->workers = o->workers > 0 ? o->workers : DEFAULT_WORKERS;
	o->slow_workers = o->slow_workers > 0 ? o->slow_workers : DEFAULT_SLOW_WORKERS;
	o->max_receive_bytes = o->max_receive_bytes ? o->max_receive_bytes : RPC_DEFAULT_RECEIVE_BYTES;
	o->quota_bytes = o->quota_bytes ? o->quota_bytes : DEFAULT_QUOTA;
	o->max_calls = o->max_calls > 0 ? o->max_calls : DEFAULT_MAX_CALLS;
	o->receive_timeout_us = o->receive_timeout_us > 0 ? o->receive_timeout_us : DEFAULT_RECEIVE_TIMEOUT;
}

static void init_metrics(struct rpc_server *s)
{
	struct metrics *m = s->options.metrics;

	if (!m)
		return;
	s->in_flight = metrics_gauge(m, "alula:rpc:calls", NULL, "gRPC calls under way");
	s->waiting = metrics_gauge(m, "alula:rpc:waiting", NULL, "gRPC calls that wait for a worker");
	s->refused = metrics_counter(m, "alula:rpc:refused", NULL, "gRPC calls refused for want of room");
}

static void server_free(struct rpc_server *s)
{
	grpc_server_destroy(s->server);
	grpc_completion_queue_destroy(s->cq);
	api_free(s->builtin);
	vec_free(&s->files);
	pthread_mutex_destroy(&s->stop_lock);
	pthread_cond_destroy(&s->stop_wake);
	pthread_mutex_destroy(&s->stream_lock);
	pthread_mutex_destroy(&s->arriving_lock);
	free(s);
	rpc_library_unref();
}

static void init_locks(struct rpc_server *s)
{
	cond_init_mono(&s->stop_wake);
	pthread_mutex_init(&s->stop_lock, NULL);
	pthread_mutex_init(&s->stream_lock, NULL);
	pthread_mutex_init(&s->arriving_lock, NULL);
}

enum code rpc_server_new(const struct rpc_server_options *options, struct rpc_server **ret, struct err *err)
{
	struct rpc_server *s = x_calloc(1, sizeof *s);
	enum code code;

	rpc_library_ref();
	s->options = *options;
	set_defaults(&s->options);
	init_locks(s);
	init_metrics(s);
	s->stopped = (struct tag){stopped, s};
	s->builtin = api_new(&(struct api_options){.user = s});
	api_bind(s->builtin, &GRPC_HEALTH_V1_HEALTH_TABLE, health_bindings);
	reflection_init(s);
	create_server(s);
	code = add_port(s, err);
	if (code != OK) {
		grpc_completion_queue_shutdown(s->cq);
		server_free(s);
		return code;
	}
	grpc_server_start(s->server);
	for (int i = 0; i < REQUESTS_AHEAD; i++)
		call_request(s);
	crew_start(s, (size_t)s->options.workers, options->slow_services ? (size_t)s->options.slow_workers : 0);
	*ret = s;
	return OK;
}

int rpc_server_port(const struct rpc_server *s)
{
	return s->port;
}

void rpc_server_set_serving(struct rpc_server *s, bool serving)
{
	pthread_mutex_lock(&s->stream_lock);
	atomic_store(&s->serving, serving);
	health_changed(s);
	pthread_mutex_unlock(&s->stream_lock);
}

/* True once nothing is under way any more; waits until `until_us` (monotonic) for it. */
static bool wait_stopped(struct rpc_server *s, int64_t until_us)
{
	bool done;

	pthread_mutex_lock(&s->stop_lock);
	while (!(done = s->is_stopped && atomic_load(&s->calls) == 0))
		if (!cond_wait_until(&s->stop_wake, &s->stop_lock, until_us))
			break;
	pthread_mutex_unlock(&s->stop_lock);
	return done;
}

void rpc_server_stop(struct rpc_server *s, int64_t grace_us)
{
	if (!s)
		return;
	atomic_store(&s->draining, true);
	RPC_STARTED(&s->stopped);
	grpc_server_shutdown_and_notify(s->server, s->cq, &s->stopped);
	/* After that: who learns from its stream that we end must not find the port still open. */
	rpc_server_set_serving(s, false);
	streams_end(s);
	if (!wait_stopped(s, time_mono_us() + grace_us)) {
		atomic_store(&s->cancelling, true);
		grpc_server_cancel_all_calls(s->server);
		while (!wait_stopped(s, time_mono_us() + 10 * USEC_PER_SEC))
			log_warn("the gRPC server waits for handlers to return",
				 LOG_INT("calls", atomic_load(&s->calls)));
	}
	grpc_completion_queue_shutdown(s->cq);
	crew_join(s);
	server_free(s);
}

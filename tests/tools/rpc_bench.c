/* How fast is rpc with an empty handler? Also what tests/integration/test_rpc.py talks to.
 *   rpc_bench serve PORT [HANDLER_US]       AdminService.GetVersion on 127.0.0.1:PORT (0: a free one, printed),
 *                                           until SIGTERM; the handler sleeps HANDLER_US, or is declared quick (-1)
 *   rpc_bench load PORT IN_FLIGHT SECONDS   one connection, one thread, IN_FLIGHT calls at a time over gRPC's core
 *   rpc_bench call PORT THREADS SECONDS     one channel, THREADS threads in rpc_call
 * Prints calls a second. Server and load are processes of their own, as in life. */
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/time.h"
#include "flyteidl/service/admin.h"
#include "rpc/private.h"

#define PATH "/flyteidl.service.AdminService/GetVersion"

static int handler_us; /* how long the handler sleeps; negative: it is declared quick */

static enum code get_version(struct request *rq, const void *in, void *ret, struct err *err)
{
	(void)rq, (void)in, (void)ret, (void)err;
	if (handler_us > 0)
		usleep((useconds_t)handler_us);
	return OK;
}

static int serve(int port)
{
	static const char *const quick[] = {PATH, NULL};
	static const struct api_binding bindings[] = {{"GetVersion", get_version}, {0}};
	struct metrics *metrics = metrics_new();
	struct api *api = api_new(&(struct api_options){.metrics = metrics, .metrics_prefix = "bench"});
	char listen[64];
	struct rpc_server *s;
	struct err err;
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	api_bind(api, &ADMIN_SERVICE_TABLE, bindings);
	snprintf(listen, sizeof listen, "127.0.0.1:%d", port);
	if (rpc_server_new(&(struct rpc_server_options){.listen = listen,
							.api = api,
							.metrics = metrics,
							.quick_methods = handler_us < 0 ? quick : NULL},
			   &s, &err) != OK) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	rpc_server_set_serving(s, true);
	printf("%d\n", rpc_server_port(s));
	fflush(stdout);
	sigwait(&set, &sig);
	rpc_server_stop(s, USEC_PER_SEC);
	api_free(api);
	metrics_free(metrics);
	return 0;
}

/* ---- load ---- */

struct slot {
	grpc_call *call;
	grpc_metadata_array headers, trailers;
	grpc_byte_buffer *in, *out;
	grpc_status_code status;
	grpc_slice details;
};

static void begin(struct slot *sl, grpc_channel *channel, grpc_completion_queue *cq)
{
	AdminGetVersionRequest in = ADMIN_GET_VERSION_REQUEST_INIT;
	grpc_op ops[6] = {0};

	*sl = (struct slot){.in = rpc_pack(&in)};
	grpc_metadata_array_init(&sl->headers);
	grpc_metadata_array_init(&sl->trailers);
	sl->call = grpc_channel_create_call(channel, NULL, GRPC_PROPAGATE_DEFAULTS, cq,
					    grpc_slice_from_static_string(PATH), NULL,
					    gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
	ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[1].op = GRPC_OP_SEND_MESSAGE;
	ops[1].data.send_message.send_message = sl->in;
	ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
	ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
	ops[3].data.recv_initial_metadata.recv_initial_metadata = &sl->headers;
	ops[4].op = GRPC_OP_RECV_MESSAGE;
	ops[4].data.recv_message.recv_message = &sl->out;
	ops[5].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
	ops[5].data.recv_status_on_client.trailing_metadata = &sl->trailers;
	ops[5].data.recv_status_on_client.status = &sl->status;
	ops[5].data.recv_status_on_client.status_details = &sl->details;
	if (grpc_call_start_batch(sl->call, ops, 6, sl, NULL) != GRPC_CALL_OK)
		abort();
}

static void finish(struct slot *sl)
{
	if (sl->status != GRPC_STATUS_OK)
		abort();
	grpc_byte_buffer_destroy(sl->in);
	grpc_byte_buffer_destroy(sl->out);
	grpc_slice_unref(sl->details);
	grpc_metadata_array_destroy(&sl->headers);
	grpc_metadata_array_destroy(&sl->trailers);
	grpc_call_unref(sl->call);
}

static int load(int port, int in_flight, int seconds)
{
	grpc_completion_queue *cq;
	struct slot *slots = x_calloc((size_t)in_flight, sizeof *slots);
	grpc_channel *channel;
	char target[64];
	long done = 0;
	int64_t start, now;
	int open = in_flight;

	grpc_init();
	snprintf(target, sizeof target, "127.0.0.1:%d", port);
	channel = grpc_channel_create(target, grpc_insecure_credentials_create(), NULL);
	cq = grpc_completion_queue_create_for_next(NULL);
	for (int i = 0; i < in_flight; i++)
		begin(&slots[i], channel, cq);
	start = now = time_mono_us();
	while (open) {
		grpc_event e = grpc_completion_queue_next(cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
		finish(e.tag);
		done++;
		now = time_mono_us();
		if (now - start < seconds * USEC_PER_SEC)
			begin(e.tag, channel, cq);
		else
			open--;
	}
	printf("%d in flight: %.0f/s\n", in_flight, (double)done * USEC_PER_SEC / (double)(now - start));
	return 0;
}

/* ---- call ---- */

static struct rpc_channel *shared;
static const struct pb_method *method;
static int64_t until;

static void *call_on(void *arg)
{
	struct arena *a = arena_new(0);
	AdminGetVersionRequest in = ADMIN_GET_VERSION_REQUEST_INIT;
	long *n = arg;
	void *out;

	while (time_mono_us() < until) {
		if (rpc_call(shared, method, &in, INT64_MAX, a, &out, NULL) == OK)
			++*n;
		arena_reset(a);
	}
	arena_free(a);
	return NULL;
}

static int call(int port, int n, int seconds)
{
	pthread_t *threads = x_calloc((size_t)n, sizeof *threads);
	long *counts = x_calloc((size_t)n, sizeof *counts), total = 0;
	char target[64];

	snprintf(target, sizeof target, "127.0.0.1:%d", port);
	for (method = ADMIN_SERVICE_TABLE.methods; strcmp(method->path, PATH) != 0; method++)
		;
	shared = rpc_channel_new(&(struct rpc_channel_options){.target = target});
	until = time_mono_us() + seconds * USEC_PER_SEC;
	for (int i = 0; i < n; i++)
		pthread_create(&threads[i], NULL, call_on, &counts[i]);
	for (int i = 0; i < n; i++) {
		pthread_join(threads[i], NULL);
		total += counts[i];
	}
	printf("%d threads: %.0f/s\n", n, (double)total / seconds);
	rpc_channel_free(shared);
	return 0;
}

int main(int argc, char **argv)
{
	if ((argc == 3 || argc == 4) && strcmp(argv[1], "serve") == 0) {
		handler_us = argc == 4 ? atoi(argv[3]) : 0;
		return serve(atoi(argv[2]));
	}
	if (argc == 5 && strcmp(argv[1], "load") == 0)
		return load(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]));
	if (argc == 5 && strcmp(argv[1], "call") == 0)
		return call(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]));
	fprintf(stderr,
		"usage: rpc_bench serve PORT [HANDLER_US] | load PORT IN_FLIGHT SECONDS | call PORT THREADS SECONDS\n");
	return 2;
}

#include "base/log.h"
#include "rpc/server.h"

#define SWEEP_US (5 * USEC_PER_SEC)

static void *poll_events(void *arg)
{
	struct worker *w = arg;
	int64_t next_sweep_us = time_mono_us() + SWEEP_US;

	for (;;) {
		gpr_timespec until = gpr_time_from_micros(SWEEP_US, GPR_TIMESPAN);
		grpc_event event = grpc_completion_queue_next(w->server->cq, until, NULL);
		if (event.type == GRPC_QUEUE_SHUTDOWN)
			return NULL;
		if (event.type == GRPC_OP_COMPLETE) {
			struct tag *t = event.tag;
			RPC_COMPLETED(t);
			t->fn(w, t, event.success);
		}
		if (time_mono_us() >= next_sweep_us) {
			calls_sweep(w->server);
			next_sweep_us = time_mono_us() + SWEEP_US;
		}
	}
}

static void *run_calls(void *arg)
{
	struct worker *w = arg;
	void *c;

	while (queue_pop(w->queue, &c, 1, -1)) {
		metric_add(w->server->waiting, -1);
		call_run(w, c);
	}
	return NULL;
}

static bool is_slow(const struct rpc_server *s, const char *path)
{
	const char *const *name = s->options.slow_services;

	for (; name && *name; name++) {
		size_t len = strlen(*name);
		if (strncmp(path + 1, *name, len) == 0 && path[1 + len] == '/')
			return true;
	}
	return false;
}

static bool is_quick(const struct rpc_server *s, const char *path)
{
	const char *const *name = s->options.quick_methods;

	for (; name && *name; name++)
		if (strcmp(path, *name) == 0)
			return true;
	return false;
}

void crew_take(struct worker *w, struct call *c)
{
	struct rpc_server *s = w->server;
	const char *path = api_method_table(c->method)->path;

	if (c->api == s->builtin || is_quick(s, path)) {
		call_run(w, c);
		return;
	}
	metric_add(s->waiting, 1);
	if (queue_try_push(is_slow(s, path) ? s->crew.slow : s->crew.fast, c))
		return;
	metric_add(s->waiting, -1);
	metric_add(s->refused, 1);
	call_answer(c, RESOURCE_EXHAUSTED, "too many calls are waiting; try again later");
}

static void start_thread(struct worker *w, struct rpc_server *s, struct queue *queue, void *(*fn)(void *))
{
	int rc;

	w->server = s;
	w->queue = queue;
	w->arena = arena_new(32 << 10);
	rc = pthread_create(&w->thread, NULL, fn, w);
	if (rc != 0) {
		log_error("cannot start a thread", LOG_STR("error", strerror(rc)));
		abort();
	}
}

void crew_start(struct rpc_server *s, size_t workers, size_t slow_workers)
{
	struct crew *crew = &s->crew;
	size_t i = 0;

	crew->n = 1 + workers + slow_workers;
	crew->workers = x_calloc(crew->n, sizeof *crew->workers);
	crew->fast = queue_new("rpc calls", (size_t)s->options.max_calls);
	crew->slow = queue_new("rpc calls of slow services", (size_t)s->options.max_calls);
	start_thread(&crew->workers[i++], s, NULL, poll_events);
	while (i < 1 + workers)
		start_thread(&crew->workers[i++], s, crew->fast, run_calls);
	while (i < crew->n)
		start_thread(&crew->workers[i++], s, crew->slow, run_calls);
}

void crew_join(struct rpc_server *s)
{
	struct crew *crew = &s->crew;

	queue_close(crew->fast);
	queue_close(crew->slow);
	for (size_t i = 0; i < crew->n; i++) {
		pthread_join(crew->workers[i].thread, NULL);
		arena_free(crew->workers[i].arena);
	}
	free(crew->workers);
	queue_free(crew->fast);
	queue_free(crew->slow);
}

#include "base/log.h"
#include "rpc/server.h"

#define SWEEP_US (5 * USEC_PER_SEC)

enum {
	LANE_WORKERS = 2,          /* one waits for the database while the other reads and answers */
	TOGETHER_BYTES = 64 << 10, /* larger requests hold nobody up: they are calls of one, run by the others */
};

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
	void *items[API_TOGETHER];
	struct call *calls[API_TOGETHER];
	size_t n;

	while ((n = queue_pop(w->queue, items, w->at_once, -1))) {
		metric_add(w->server->waiting, -(int64_t)n);
		for (size_t i = 0; i < n; i++)
			calls[i] = items[i];
		calls_run(w, calls, n);
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

static struct queue *queue_for(struct rpc_server *s, const struct call *c)
{
	if (api_takes_together(c->method) && grpc_byte_buffer_length(c->in) <= TOGETHER_BYTES)
		vec_each (struct lane *, lane, &s->crew.lanes)
			if (lane->method == c->method)
				return lane->queue;
	return is_slow(s, api_method_table(c->method)->path) ? s->crew.slow : s->crew.fast;
}

void crew_take(struct worker *w, struct call *c)
{
	struct rpc_server *s = w->server;

	if (c->api == s->builtin || is_quick(s, api_method_table(c->method)->path)) {
		calls_run(w, &c, 1);
		return;
	}
	metric_add(s->waiting, 1);
	if (queue_try_push(queue_for(s, c), c))
		return;
	metric_add(s->waiting, -1);
	metric_add(s->refused, 1);
	call_answer(c, RESOURCE_EXHAUSTED, "too many calls are waiting; try again later");
}

static void start_thread(struct rpc_server *s, struct queue *queue, size_t at_once, void *(*fn)(void *))
{
	struct worker *w = &s->crew.workers[s->crew.n++];
	int rc;

	*w = (struct worker){.server = s, .queue = queue, .at_once = at_once, .arena = arena_new(32 << 10)};
	rc = pthread_create(&w->thread, NULL, fn, w);
	if (rc != 0) {
		log_error("cannot start a thread", LOG_STR("error", strerror(rc)));
		abort();
	}
}

static void open_lanes(struct rpc_server *s)
{
	size_t n, capacity = (size_t)s->options.max_calls;
	const struct pb_service *const *services = api_services(s->options.api, &n);

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < services[i]->n_methods; k++) {
			const struct api_method *m = api_find(s->options.api, str_of(services[i]->methods[k].path));
			if (api_takes_together(m))
				vec_push(&s->crew.lanes,
					 (struct lane){m, queue_new("rpc calls taken together", capacity)});
		}
}

void crew_start(struct rpc_server *s, size_t workers, size_t slow_workers)
{
	struct crew *crew = &s->crew;

	open_lanes(s);
	crew->workers = x_calloc(1 + workers + slow_workers + crew->lanes.n * LANE_WORKERS, sizeof *crew->workers);
	crew->fast = queue_new("rpc calls", (size_t)s->options.max_calls);
	crew->slow = queue_new("rpc calls of slow services", (size_t)s->options.max_calls);
	start_thread(s, NULL, 0, poll_events);
	for (size_t i = 0; i < workers; i++)
		start_thread(s, crew->fast, 1, run_calls);
	for (size_t i = 0; i < slow_workers; i++)
		start_thread(s, crew->slow, 1, run_calls);
	vec_each (struct lane *, lane, &crew->lanes)
		for (size_t i = 0; i < LANE_WORKERS; i++)
			start_thread(s, lane->queue, API_TOGETHER, run_calls);
}

void crew_join(struct rpc_server *s)
{
	struct crew *crew = &s->crew;

	queue_close(crew->fast);
	queue_close(crew->slow);
	vec_each (struct lane *, lane, &crew->lanes)
		queue_close(lane->queue);
	for (size_t i = 0; i < crew->n; i++) {
		pthread_join(crew->workers[i].thread, NULL);
		arena_free(crew->workers[i].arena);
	}
	free(crew->workers);
	vec_each (struct lane *, lane, &crew->lanes)
		queue_free(lane->queue);
	vec_free(&crew->lanes);
	queue_free(crew->fast);
	queue_free(crew->slow);
}

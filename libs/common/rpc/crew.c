#include "base/log.h"
#include "rpc/server.h"

enum { SLOW_QUEUE = 1024 };
#define SWEEP_US (5 * USEC_PER_SEC)

static void sweep_if_due(struct rpc_server *s)
{
	int64_t now = time_mono_us(), due = atomic_load_explicit(&s->next_sweep_us, memory_order_relaxed);

	if (now >= due && atomic_compare_exchange_strong(&s->next_sweep_us, &due, now + SWEEP_US))
		calls_sweep(s);
}

/* Serve the completion queue until crew_take sends this thread elsewhere; false at the end. */
static bool poll_events(struct worker *w)
{
	struct rpc_server *s = w->server;

	w->polling = true;
	while (w->polling) {
		gpr_timespec until = gpr_time_from_micros(SWEEP_US, GPR_TIMESPAN);
		grpc_event event = grpc_completion_queue_next(s->cq, until, NULL);
		if (event.type == GRPC_QUEUE_SHUTDOWN)
			return false;
		if (event.type == GRPC_OP_COMPLETE) {
			struct tag *t = event.tag;
			t->fn(w, t, event.success);
		}
		sweep_if_due(s);
	}
	return true;
}

static struct call *pop_backlog(struct crew *crew)
{
	struct call *c = crew->backlog;

	if (c && !(crew->backlog = c->next))
		crew->backlog_end = &crew->backlog;
	return c;
}

/* What a thread does next: a call of the backlog, or NULL to go polling; false at the end. */
static bool next_duty(struct crew *crew, struct call **ret)
{
	bool more = true;

	pthread_mutex_lock(&crew->lock);
	while (!(*ret = pop_backlog(crew)) && crew->pollers >= CREW_POLLERS && !crew->over)
		pthread_cond_wait(&crew->wake, &crew->lock);
	if (!*ret) {
		more = !crew->over;
		crew->pollers += more;
	}
	pthread_mutex_unlock(&crew->lock);
	return more;
}

static void end_crew(struct crew *crew)
{
	pthread_mutex_lock(&crew->lock);
	crew->over = true;
	pthread_cond_broadcast(&crew->wake);
	pthread_mutex_unlock(&crew->lock);
}

static void *serve(void *arg)
{
	struct worker *w = arg;
	struct crew *crew = &w->server->crew;
	struct call *c;

	while (next_duty(crew, &c)) {
		if (c) {
			metric_add(w->server->waiting, -1);
			call_run(w, c);
		} else if (!poll_events(w)) {
			end_crew(crew);
			break;
		}
	}
	return NULL;
}

static void *serve_slow(void *arg)
{
	struct worker *w = arg;
	void *c;

	while (queue_pop(w->server->slow, &c, 1, -1)) {
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

static void take_slow(struct call *c)
{
	metric_add(c->server->waiting, 1);
	if (queue_try_push(c->server->slow, c))
		return;
	metric_add(c->server->waiting, -1);
	metric_add(c->server->refused, 1);
	call_answer(c, RESOURCE_EXHAUSTED, "too many calls of this service are waiting; try again later");
}

void crew_take(struct worker *w, struct call *c)
{
	struct crew *crew = &w->server->crew;
	bool mine;

	if (is_slow(w->server, api_method_table(c->method)->path)) {
		take_slow(c);
		return;
	}
	pthread_mutex_lock(&crew->lock);
	mine = crew->pollers > 1;
	if (mine) {
		crew->pollers--;
	} else {
		c->next = NULL;
		*crew->backlog_end = c;
		crew->backlog_end = &c->next;
		pthread_cond_signal(&crew->wake);
	}
	pthread_mutex_unlock(&crew->lock);
	if (mine) {
		w->polling = false;
		call_run(w, c);
	} else {
		metric_add(w->server->waiting, 1);
	}
}

static void start_worker(struct worker *w, struct rpc_server *s, void *(*fn)(void *))
{
	int rc;

	w->server = s;
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
	size_t fast = workers + 1; /* one stays on the completion queue */

	pthread_mutex_init(&crew->lock, NULL);
	pthread_cond_init(&crew->wake, NULL);
	crew->backlog_end = &crew->backlog;
	crew->n = fast + slow_workers;
	crew->workers = x_calloc(crew->n, sizeof *crew->workers);
	if (slow_workers)
		s->slow = queue_new("rpc slow services", SLOW_QUEUE);
	for (size_t i = 0; i < crew->n; i++)
		start_worker(&crew->workers[i], s, i < fast ? serve : serve_slow);
}

void crew_join(struct rpc_server *s)
{
	struct crew *crew = &s->crew;

	if (s->slow)
		queue_close(s->slow);
	for (size_t i = 0; i < crew->n; i++) {
		pthread_join(crew->workers[i].thread, NULL);
		arena_free(crew->workers[i].arena);
	}
	free(crew->workers);
	queue_free(s->slow);
	pthread_cond_destroy(&crew->wake);
	pthread_mutex_destroy(&crew->lock);
}

/* The profiler port: /healthcheck, /metrics, /version. */
#include <pthread.h>

#include "service/private.h"

struct profiler {
	const struct service *service;
	struct service_context *ctx;
	struct http_server *http;
	pthread_mutex_t lock; /* while the service is asked; then it may not go away */
	bool detached;
};

static bool ask_health(struct profiler *p, struct buf *why)
{
	static const char *const NOT_SERVING[] = {
		[PHASE_OPENING] = "starting", [PHASE_DRAINING] = "draining", [PHASE_CLOSING] = "stopping"};
	enum phase phase = atomic_load(&service_phase);
	if (phase != PHASE_SERVING) {
		buf_adds(why, NOT_SERVING[phase]);
		return false;
	}
	pthread_mutex_lock(&p->lock);
	bool healthy = !p->detached && (!p->service->healthy || p->service->healthy(p->ctx->state, why));
	pthread_mutex_unlock(&p->lock);
	return healthy;
}

static void get_health(struct http_request *rq, struct http_response *rs)
{
	auto_buf struct buf why = {0};
	if (ask_health(rq->user, &why))
		http_response_text(rs, 200, "OK\n");
	else
		http_response_text(rs, 503, "%s\n", why.len ? buf_text(&why) : "not healthy");
}

static void get_metrics(struct http_request *rq, struct http_response *rs)
{
	struct profiler *p = rq->user;
	metrics_print(p->ctx->metrics, &rs->body);
	queues_print(&rs->body);
	http_response_header(rs, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
}

static void get_version(struct http_request *rq, struct http_response *rs)
{
	struct profiler *p = rq->user;
	buf_printf(&rs->body, "{\"service\":\"%s\",\"version\":\"%s\"}\n", p->service->name, ALULA_VERSION);
	http_response_header(rs, "Content-Type", "application/json");
}

static const struct http_route ROUTES[] = {
	{.verb = "GET", .path = "/healthcheck", .fn = get_health},
	{.verb = "GET", .path = "/metrics", .fn = get_metrics},
	{.verb = "GET", .path = "/version", .fn = get_version, .quick = true},
	{0},
};

enum code profiler_start(const struct service *service, struct service_context *ctx, struct profiler **ret,
			 struct err *err)
{
	const struct service_config *config = ctx->config;
	*ret = NULL;
	if (config->profiler_port < 0)
		return OK;
	auto_buf struct buf listen = {0};
	buf_printf(&listen, strchr(config->profiler_host, ':') ? "[%s]:%lld" : "%s:%lld", config->profiler_host,
		   (long long)config->profiler_port);
	struct profiler *p = x_calloc(1, sizeof *p);
	p->service = service;
	p->ctx = ctx;
	pthread_mutex_init(&p->lock, NULL);
	struct http_server_options o = {.listen = buf_text(&listen),
					.routes = ROUTES,
					.user = p,
					.workers = 1,
					.max_body_bytes = 4096,
					.max_connections = 64};
	enum code c = http_server_new(&o, &p->http, err);
	if (c) {
		profiler_stop(p);
		return err_prefix(err, c, "profiler.port: ");
	}
	*ret = p;
	return OK;
}

int profiler_port(const struct profiler *p)
{
	return p ? http_server_port(p->http) : 0;
}

void profiler_detach(struct profiler *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->detached = true;
	pthread_mutex_unlock(&p->lock);
}

void profiler_stop(struct profiler *p)
{
	if (!p)
		return;
	http_server_stop(p->http, 0);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

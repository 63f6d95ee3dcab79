/* grpc.health.v1.Health: "" and every bound service are SERVING or not, all at once.
 * Source: grpc doc/health-checking.md. */
#include "grpc/health/v1/health.h"
#include "rpc/server.h"

typedef GrpcHealthV1HealthCheckRequest Request;
typedef GrpcHealthV1HealthCheckResponse Response;
#define STATUS(name) GRPC_HEALTH_V1_HEALTH_CHECK_RESPONSE_SERVING_STATUS_##name

static bool is_served(const struct api *api, const char *service)
{
	const struct pb_service *const *services;
	size_t n;

	services = api_services(api, &n);
	for (size_t i = 0; i < n; i++)
		if (strcmp(services[i]->name, service) == 0)
			return true;
	return false;
}

static int status_of(const struct rpc_server *s, const char *service)
{
	if (*service && !is_served(s->options.api, service) && !is_served(s->builtin, service))
		return STATUS(SERVICE_UNKNOWN);
	return atomic_load(&s->serving) ? STATUS(SERVING) : STATUS(NOT_SERVING);
}

static enum code health_check(struct request *rq, const Request *in, Response *ret, struct err *err)
{
	int status = status_of(rq->user, in->service);

	if (status == STATUS(SERVICE_UNKNOWN))
		return err_set(err, NOT_FOUND, "service %s is not served here", in->service);
	ret->status = status;
	return OK;
}
API_THUNK(health_check)

const struct api_binding health_bindings[] = {{"Check", health_check_api}, {0}};

/* ---- Watch ---- */

static void tell(struct stream *st)
{
	Response out = GRPC_HEALTH_V1_HEALTH_CHECK_RESPONSE_INIT;
	int status = status_of(st->server, st->service);

	if (st->sending || st->ended || status == st->sent_status)
		return;
	st->sent_status = status;
	out.status = status;
	stream_send(st, &out);
}

static void watch_message(struct worker *w, struct stream *st, const void *in)
{
	const Request *request = in;

	(void)w;
	st->service = x_strdup(request->service);
	tell(st);
}

void health_changed(struct rpc_server *s)
{
	for (struct stream *st = s->streams; st; st = st->later)
		if (st->handler == &health_watch && st->service)
			tell(st);
}

const struct stream_handler health_watch = {
	.path = "/grpc.health.v1.Health/Watch",
	.in = GRPC_HEALTH_V1_HEALTH_CHECK_REQUEST_DESC,
	.message = watch_message,
	.sent = tell,
};

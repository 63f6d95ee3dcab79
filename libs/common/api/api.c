#include "api/private.h"
#include "base/log.h"
#include "base/map.h"
#include "base/time.h"
#include "base/vec.h"

#include <assert.h>

struct bound {
	const struct pb_service *service;
	struct api_method *methods; /* as service->methods */
};

struct api {
	struct api_options options;
	struct map *by_path; /* -> struct api_method */
	VEC(struct bound) bound;
	VEC(const struct pb_service *) services;
};

struct api *api_new(const struct api_options *options)
{
	struct api *api = x_calloc(1, sizeof *api);

	api->options = *options;
	api->by_path = map_new();
	return api;
}

void api_free(struct api *api)
{
	if (!api)
		return;
	vec_each (struct bound *, b, &api->bound)
		free(b->methods);
	vec_free(&api->bound);
	vec_free(&api->services);
	map_free(api->by_path);
	free(api);
}

static struct api_method *bound_methods(struct api *api, const struct pb_service *service)
{
	struct api_method *methods;

	vec_each (struct bound *, b, &api->bound)
		if (b->service == service)
			return b->methods;
	methods = x_calloc(service->n_methods, sizeof *methods);
	for (size_t i = 0; i < service->n_methods; i++) {
		methods[i].method = &service->methods[i];
		map_put(api->by_path, str_of(service->methods[i].path), &methods[i]);
	}
	vec_push(&api->bound, (struct bound){service, methods});
	vec_push(&api->services, service);
	return methods;
}

/* To be bound now, and counted from now on. */
static struct api_method *bind(struct api *api, const struct pb_service *service, struct api_method *methods,
			       const char *name)
{
	struct api_method *m = NULL;

	for (size_t i = 0; !m && i < service->n_methods; i++)
		if (strcmp(methods[i].method->name, name) == 0)
			m = &methods[i];
	assert(m && "the service has no method of this name");
	assert(!m->fn && !m->together && "the method is bound already");
	api_metrics_init(&m->metrics, &api->options, service, m->method);
	return m;
}

void api_bind(struct api *api, const struct pb_service *service, const struct api_binding *bindings)
{
	struct api_method *methods = bound_methods(api, service);

	for (const struct api_binding *b = bindings; b->method; b++)
		bind(api, service, methods, b->method)->fn = b->fn;
}

void api_bind_together(struct api *api, const struct pb_service *service, const struct api_together_binding *bindings)
{
	struct api_method *methods = bound_methods(api, service);

	for (const struct api_together_binding *b = bindings; b->method; b++)
		bind(api, service, methods, b->method)->together = b->fn;
}

const struct pb_service *const *api_services(const struct api *api, size_t *ret_n)
{
	*ret_n = api->services.n;
	return api->services.at;
}

const struct api_method *api_find(const struct api *api, struct str path)
{
	return map_get(api->by_path, path);
}

const struct pb_method *api_method_table(const struct api_method *m)
{
	return m->method;
}

/* Flyte's clients answer these two with a login prompt, and the user never sees the text. */
static enum code presentable(const struct api *api, enum code code)
{
	if (code == UNAUTHENTICATED && !api->options.authenticate)
		return PERMISSION_DENIED;
	if (code == UNKNOWN || code < OK || code > UNAUTHENTICATED)
		return INTERNAL;
	return code;
}

bool api_takes_together(const struct api_method *m)
{
	return m->together;
}

/* What comes before the handler. */
static enum code admit(const struct api *api, const struct api_method *m, struct request *rq, struct err *err)
{
	*err = (struct err){.code = OK, .text = ""};
	rq->method = m->method;
	rq->user = api->options.user;
	rq->principal = rq->principal ? rq->principal : "";
	if (rq->deadline_us <= time_now_us())
		return err_set(err, DEADLINE_EXCEEDED, "%s: the deadline had passed before the call was begun",
			       m->method->path);
	return api->options.authenticate ? api->options.authenticate(rq, err) : OK;
}

static enum code finish(const struct api *api, const struct api_method *m, const struct request *rq, enum code code,
			int64_t begin_us, struct err *err)
{
	code = presentable(api, code);
	err->code = code;
	if (code != OK && !err->text[0])
		err_set(err, code, "%s failed (%s)", m->method->path, code_name(code));
	api_count(m, code, time_mono_us() - begin_us);
	if (code == INTERNAL)
		log_error("a call failed", LOG_STR("rpc", m->method->path), LOG_STR("peer", rq->peer), LOG_ERR(err));
	return code;
}

static void handle(const struct api_method *m, struct api_one *const *ones, size_t n)
{
	if (m->together && n)
		m->together(ones, n);
	for (size_t i = 0; m->fn && i < n; i++)
		ones[i]->code = m->fn(ones[i]->rq, ones[i]->in, ones[i]->ret, ones[i]->err);
}

void api_call_together(const struct api *api, const struct api_method *m, struct api_one *ones, size_t n)
{
	int64_t begin_us = time_mono_us();
	struct api_one *admitted[API_TOGETHER];
	size_t n_admitted = 0;

	assert(n <= API_TOGETHER);
	if (!m->fn && !m->together) {
		for (struct api_one *one = ones; one < ones + n; one++)
			one->code = err_set(one->err, UNIMPLEMENTED, "%s is not implemented", m->method->path);
		return;
	}
	for (struct api_one *one = ones; one < ones + n; one++) {
		one->code = admit(api, m, one->rq, one->err);
		if (one->code == OK)
			admitted[n_admitted++] = one;
	}
	handle(m, admitted, n_admitted);
	for (struct api_one *one = ones; one < ones + n; one++)
		one->code = finish(api, m, one->rq, one->code, begin_us, one->err);
}

enum code api_call(const struct api *api, const struct api_method *m, struct request *rq, const void *in, void *ret,
		   struct err *err)
{
	struct err own;
	struct api_one one = {rq, in, ret, err ? err : &own, OK};

	api_call_together(api, m, &one, 1);
	return one.code;
}

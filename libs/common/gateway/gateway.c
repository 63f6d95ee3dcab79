/* From an HTTP request to a call of the api and back. */
#include <ctype.h>

#include "gateway/private.h"

struct gateway {
	const struct api *api;
	struct route_node *routes;
};

static void add_service(struct gateway *g, const struct pb_service *service)
{
	for (size_t i = 0; i < service->n_methods; i++) {
		const struct pb_method *m = &service->methods[i];
		const struct api_method *target = api_find(g->api, str_of(m->path));
		if (m->client_stream || m->server_stream || !target)
			continue;
		for (size_t k = 0; k < m->n_routes; k++)
			routes_add(g->routes, m, target, &m->routes[k]);
	}
}

struct gateway *gateway_new(const struct api *api)
{
	struct gateway *g = x_calloc(1, sizeof *g);
	g->api = api;
	g->routes = routes_new();
	size_t n;
	const struct pb_service *const *services = api_services(api, &n);
	for (size_t i = 0; i < n; i++)
		add_service(g, services[i]);
	return g;
}

const struct api *gateway_api(const struct gateway *g)
{
	return g->api;
}

void gateway_free(struct gateway *g)
{
	if (g)
		routes_free(g->routes);
	free(g);
}

int gateway_status(enum code code)
{
	static const int statuses[] = {
		[OK] = 200,
		[CANCELLED] = 499,
		[UNKNOWN] = 500,
		[INVALID_ARGUMENT] = 400,
		[DEADLINE_EXCEEDED] = 504,
		[NOT_FOUND] = 404,
		[ALREADY_EXISTS] = 409,
		[PERMISSION_DENIED] = 403,
		[RESOURCE_EXHAUSTED] = 429,
		[FAILED_PRECONDITION] = 400,
		[ABORTED] = 409,
		[OUT_OF_RANGE] = 400,
		[UNIMPLEMENTED] = 501,
		[INTERNAL] = 500,
		[UNAVAILABLE] = 503,
		[DATA_LOSS] = 500,
		[UNAUTHENTICATED] = 401,
	};
	return (size_t)code < ARRAY_SIZE(statuses) ? statuses[code] : 500;
}

/* One request on its way through a rule. */
struct passage {
	const struct gateway *gateway;
	const struct rule *rule;
	const struct path *path;
	struct http_request *http;
	bool form; /* the body holds query parameters */
};

static enum code read_body(const struct passage *p, ProtobufCMessage **ret, struct err *err)
{
	const struct rule *rule = p->rule;
	const ProtobufCMessageDescriptor *desc = rule->body ? rule->body->descriptor : rule->method->in;
	struct str body = p->form || !*rule->route->body ? STR("") : p->http->body;
	void *m;
	enum code c = format_read(format_in(p->http), desc, body, p->http->arena, &m, err);
	if (c)
		return c;
	if (rule->body) {
		char *whole = pb_new(p->http->arena, rule->method->in);
		*(void **)(whole + rule->body->offset) = m;
		m = whole;
	}
	*ret = m;
	return OK;
}

static enum code read_path(const struct passage *p, ProtobufCMessage *m, struct err *err)
{
	for (size_t i = 0; i < p->rule->n_captures; i++) {
		const struct capture *cap = &p->rule->captures[i];
		struct str value = capture_text(cap, p->path, p->http->arena);
		enum code c = json_set_path(m, cap->field, value, p->http->arena, err);
		if (c)
			return err_prefix(err, c, "type mismatch, parameter: %.*s, error: ", STR_ARG(cap->field));
	}
	return OK;
}

/* The parameters of a form come before those of the query, as one list. */
static size_t all_pairs(const struct passage *p, struct http_pair **ret)
{
	struct arena *a = p->http->arena;
	struct http_pair *form = NULL, *query;
	size_t n_form = p->form ? http_form_pairs(a, p->http->body, &form) : 0;
	size_t n_query = http_query_pairs(p->http, &query);
	*ret = arena_array(a, struct http_pair, n_form + n_query);
	memcpy(*ret, form ? form : query, n_form * sizeof **ret);
	memcpy(*ret + n_form, query, n_query * sizeof **ret);
	return n_form + n_query;
}

static bool well_encoded(struct str s)
{
	auto_buf struct buf b = {0};
	return url_decode(&b, s);
}

static enum code read_query(const struct passage *p, ProtobufCMessage *m, struct err *err)
{
	struct http_pair *pairs;
	if (strcmp(p->rule->route->body, "*") == 0)
		return OK;
	if (!well_encoded(str_of(p->http->query)) || (p->form && !well_encoded(p->http->body)))
		return err_set(err, INVALID_ARGUMENT, "the query has a malformed percent-encoding");
	size_t n = all_pairs(p, &pairs);
	return query_apply(p->rule, m, pairs, n, p->http->arena, err);
}

static const char *authority(const struct http_request *rq)
{
	const char *forwarded = http_header(rq, "X-Forwarded-Host"), *host = http_header(rq, "Host");
	return forwarded && *forwarded ? forwarded : host ? host : "";
}

static enum code call(const struct passage *p, ProtobufCMessage **ret, const void **ret_detail, struct err *err)
{
	struct http_request *http = p->http;
	struct request rq = {.arena = http->arena,
			     .principal = "",
			     .peer = http->peer,
			     .authority = authority(http),
			     .received_us = http->received_us,
			     .header = metadata_header,
			     .transport = http};
	ProtobufCMessage *in = NULL;
	enum code c = metadata_deadline(http, &rq.deadline_us, err);
	if (!c)
		c = read_body(p, &in, err);
	if (!c)
		c = read_path(p, in, err);
	if (!c)
		c = read_query(p, in, err);
	if (c)
		return c;
	*ret = pb_new(http->arena, p->rule->method->out);
	c = api_call(p->gateway->api, p->rule->target, &rq, in, *ret, err);
	*ret_detail = rq.detail;
	return c;
}

static void serve(const struct passage *p, struct http_response *rs)
{
	const struct format *format = format_out(p->http);
	ProtobufCMessage *out = NULL;
	const void *detail = NULL;
	struct err err;
	enum code c = call(p, &out, &detail, &err);
	const ProtobufCFieldDescriptor *part = p->rule->response_body;
	if (!c && part) {
		ProtobufCMessage *m = *(ProtobufCMessage **)((char *)out + part->offset);
		out = m ? m : pb_new(p->http->arena, part->descriptor);
	}
	if (!c && format_write(format, out, rs, &err))
		c = INTERNAL;
	if (c)
		format_error(format, c, arena_strdup(p->http->arena, err.text), detail, rs);
}

/* A POST of a form can stand for another method (grpc-gateway's path length fallback). */
static bool is_form(const struct http_request *rq)
{
	const char *type = http_header(rq, "Content-Type");
	return strcmp(rq->verb, "POST") == 0 && type && strcmp(type, "application/x-www-form-urlencoded") == 0;
}

static const char *verb_of(const struct http_request *rq, bool form)
{
	const char *override = form ? http_header(rq, "X-HTTP-Method-Override") : NULL;
	if (!override || !*override)
		return rq->verb;
	char *verb = arena_strdup(rq->arena, override);
	for (char *c = verb; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	return verb;
}

bool gateway_serve(const struct gateway *g, struct http_request *rq, struct http_response *rs)
{
	struct path path;
	if (!path_split(rq->path, rq->arena, &path))
		return false;
	bool form = is_form(rq);
	const char *verb = verb_of(rq, form);
	const struct rule *rule = routes_find(g->routes, verb, &path);
	bool as_form = form && verb != rq->verb;
	if (!rule && !routes_find(g->routes, NULL, &path))
		return false;
	if (!rule && form) {
		rule = routes_find(g->routes, "GET", &path);
		as_form = true;
	}
	if (rule)
		serve(&(struct passage){g, rule, &path, rq, as_form}, rs);
	else
		format_error(format_out(rq), UNIMPLEMENTED, "Method Not Allowed", NULL, rs);
	return true;
}

void gateway_not_found(struct http_request *rq, struct http_response *rs)
{
	format_error(format_out(rq), NOT_FOUND, "Not Found", NULL, rs);
}

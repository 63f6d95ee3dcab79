/* The gateway: an HTTP request to a call of a method, and back. Input: "VERB target" as a line, lines of headers, an
 * empty line, the body. What a call was asked is asked again as a GET or DELETE of path and query, if its method has
 * such a rule, and must come out the same. */
#include "flyteidl/service/admin.h"
#include "flyteidl/service/dataproxy.h"
#include "flyteidl/service/signal.h"
#include "fuzz.h"
#include "gateway/gateway.h"
#include "google/protobuf/struct.h"
#include "http/private.h"
#include "json/json.h"

enum { PER_BYTE = 1500, MAX_HEADERS = 16 };

struct header {
	const char *name, *value;
};

static struct {
	struct gateway *gateway;
	struct header headers[MAX_HEADERS + 1];
	struct arena *arena; /* where `in` is kept */
	const struct pb_method *method;
	const ProtobufCMessage *in; /* what the last call was asked */
} fixture;

/* libmicrohttpd's, which there is no connection for. */
const char *MHD_lookup_connection_value(struct MHD_Connection *c, enum MHD_ValueKind kind, const char *key)
{
	(void)c, (void)kind;
	for (const struct header *h = fixture.headers; h->name; h++)
		if (strcasecmp(h->name, key) == 0)
			return h->value;
	return NULL;
}

static enum code keep(struct request *rq, const void *in, void *ret, struct err *err)
{
	(void)ret;
	fixture.method = rq->method;
	fixture.in = pb_clone(in, fixture.arena);
	return rq->header(rq, "x-fail") ? err_set(err, NOT_FOUND, "as asked") : OK;
}

static void bind_all(struct api *api, const struct pb_service *service)
{
	auto_mem struct api_binding *bindings = x_calloc(service->n_methods + 1, sizeof *bindings);

	for (size_t i = 0; i < service->n_methods; i++)
		bindings[i] = (struct api_binding){service->methods[i].name, keep};
	api_bind(api, service, bindings);
}

static void set_up(void)
{
	struct api *api = api_new(&(struct api_options){.metrics_prefix = "fuzz"});

	bind_all(api, &ADMIN_SERVICE_TABLE);
	bind_all(api, &DATA_PROXY_SERVICE_TABLE);
	bind_all(api, &SIGNAL_SERVICE_TABLE);
	fixture.gateway = gateway_new(api);
}

/* ---- one request ---- */

static void check_response(const struct http_response *rs, struct arena *a)
{
	struct err err = {0};
	void *m;

	HOLDS(rs->status >= 200 && rs->status < 600 && rs->n_headers > 0, "status %d", rs->status);
	HOLDS(!rs->body.failed, "the body is too long");
	if (strcmp(rs->headers[0].value, "application/json") != 0)
		return;
	enum code c = json_read(PB_STRUCT_DESC, buf_str(&rs->body), false, a, &m, &err);
	HOLDS(!c, "status %d, %s in %s", rs->status, err.text, buf_text(&rs->body));
}

/* The HTTP status, 0 when no rule has the path. `target` is changed. */
static int serve(const char *verb, char *target, struct str body, struct arena *a)
{
	struct http_connection connection = {0};
	struct http_request rq = {.arena = a, .verb = verb, .path = target, .query = "", .body = body, .peer = "fuzz"};
	struct http_response rs = {.status = 200};
	char *query = strchr(target, '?');

	if (query) {
		*query = 0;
		rq.query = query + 1;
	}
	rq.connection = &connection;
	rq.received_us = time_now_us();
	fixture.method = NULL;
	if (http_target_fault(rq.path, rq.query))
		return 0;
	int status = gateway_serve(fixture.gateway, &rq, &rs) ? rs.status : 0;
	if (status)
		check_response(&rs, a);
	buf_clear(&rs.body);
	return status;
}

/* ---- and again ---- */

static bool scalar_text(const ProtobufCFieldDescriptor *f, const void *v, struct buf *b)
{
	const ProtobufCEnumValue *name;

	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING: url_encode(b, str_of(*(const char *const *)v)); return true;
	case PROTOBUF_C_TYPE_BOOL: buf_adds(b, *(const protobuf_c_boolean *)v ? "true" : "false"); return true;
	case PROTOBUF_C_TYPE_UINT32: buf_printf(b, "%u", *(const uint32_t *)v); return true;
	case PROTOBUF_C_TYPE_INT32: buf_printf(b, "%d", *(const int32_t *)v); return true;
	case PROTOBUF_C_TYPE_INT64: buf_printf(b, "%lld", (long long)*(const int64_t *)v); return true;
	case PROTOBUF_C_TYPE_ENUM:
		name = protobuf_c_enum_descriptor_get_value(f->descriptor, *(const int *)v);
		buf_adds(b, name ? name->name : "");
		return name;
	default: return false;
	}
}

/* The field at a dotted path: its text for a URL. An absent one is "". */
static bool field_text(const ProtobufCMessage *m, struct str path, struct buf *b)
{
	while (m) {
		const ProtobufCFieldDescriptor *f = json_field(m->descriptor, str_cut(&path, '.'));
		HOLDS(f, "a rule's path names no field");
		const void *v = (const char *)m + f->offset;
		if (!path.ptr)
			return scalar_text(f, v, b);
		m = *(ProtobufCMessage *const *)v;
	}
	return true;
}

/* "/api/v1/tasks/{id.project}/…" with the message's fields; false for templates of more segments a field. */
static bool path_text(const char *template, const ProtobufCMessage *m, struct buf *b)
{
	for (const char *p = template; *p;) {
		size_t plain = strcspn(p, "{");
		buf_add(b, p, plain);
		p += plain;
		if (!*p)
			break;
		const char *close = strchr(p, '}');
		struct str field = {p + 1, (size_t)(close - p - 1)};
		if (memchr(field.ptr, '=', field.len) || !field_text(m, field, b))
			return false;
		p = close + 1;
	}
	return true;
}

/* Fields below the message as query parameters, those of the path too, which are passed over. */
static bool query_text(const ProtobufCMessage *m, const char *prefix, struct buf *b)
{
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		const char *v = (const char *)m + f->offset;
		bool many = f->label == PROTOBUF_C_LABEL_REPEATED;
		size_t n = many ? *(const size_t *)((const char *)m + f->quantifier_offset) : 1;
		if (!pb_field_is_set(m, f))
			continue;
		if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
			char below[256];
			snprintf(below, sizeof below, "%s%s.", prefix, f->name);
			if (many || !query_text(*(ProtobufCMessage *const *)v, below, b))
				return false;
			continue;
		}
		for (size_t k = 0; k < n; k++) {
			buf_printf(b, "%c%s%s=", strchr(b->data, '?') ? '&' : '?', prefix, f->name);
			if (!scalar_text(f, (many ? *(const char *const *)v : v) + k * pb_type_size(f->type), b))
				return false;
		}
	}
	return true;
}

static bool make_target(const struct pb_route *route, const ProtobufCMessage *m, struct buf *b)
{
	return !*route->body && path_text(route->path, m, b) && query_text(m, "", b) && !b->failed;
}

static void ask_again(const struct pb_route *route, const struct pb_method *method, const ProtobufCMessage *in,
		      struct arena *a)
{
	auto_buf struct buf first = {0}, second = {0};

	fixture.headers[0] = (struct header){0};
	if (!make_target(route, in, &first))
		return;
	int status = serve(route->verb, arena_strdup(a, buf_text(&first)), STR(""), a);
	/* An empty or odd field may make it another rule's path. */
	if (fixture.method != method)
		return;
	HOLDS(status == 200, "%s: %d", buf_text(&first), status);
	HOLDS(make_target(route, fixture.in, &second) && str_eq(buf_str(&first), buf_str(&second)), "%s and then %s",
	      buf_text(&first), buf_text(&second));
}

/* ---- the input ---- */

static bool read_headers(struct str *rest, struct arena *a)
{
	size_t n = 0;

	while (rest->ptr) {
		struct str line = str_cut(rest, '\n');
		struct str value = line;
		struct str name = str_cut(&value, ':');
		if (!line.len)
			break;
		if (!value.ptr || n == MAX_HEADERS || memchr(line.ptr, 0, line.len))
			return false;
		value = str_trim(value);
		fixture.headers[n++] =
			(struct header){arena_strndup(a, name.ptr, name.len), arena_strndup(a, value.ptr, value.len)};
	}
	fixture.headers[n] = (struct header){0};
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free(arena_free) struct arena *a = arena_new(0), *kept = arena_new(0);
	struct str rest = {(const char *)data, size};

	if (!fixture.gateway)
		set_up();
	fixture.arena = kept;
	struct str target = size ? str_cut(&rest, '\n') : STR("");
	struct str verb = str_cut(&target, ' ');
	if (!target.len || memchr(data, 0, target.ptr + target.len - (const char *)data) || !read_headers(&rest, a))
		return 0;
	int status = serve(arena_strndup(a, verb.ptr, verb.len), arena_strndup(a, target.ptr, target.len),
			   rest.ptr ? rest : STR(""), a);
	check_memory(a, size, PER_BYTE);
	const struct pb_method *method = fixture.method;
	const ProtobufCMessage *in = fixture.in;
	for (size_t i = 0; method && status && i < method->n_routes; i++)
		ask_again(&method->routes[i], method, in, a);
	return 0;
}

/* One request through its stages: target, headers, body, worker, response. */
#include "http/private.h"

/* Answer with this instead of a handler's response. */
static void refuse(struct http_exchange *x, int status, const char *text)
{
	x->refused = true;
	http_response_text(&x->rs, status, "%s", text);
	http_upload_discard(&x->upload);
	buf_clear(&x->body);
	http_release(x);
}

bool http_hold(struct http_exchange *x, size_t n)
{
	struct http_server *s = x->connection->server;
	x->held += n;
	metric_add(s->metrics.inflight, (int64_t)n);
	return atomic_fetch_add(&s->inflight, n) + n <= s->o.max_inflight_bytes;
}

void http_release(struct http_exchange *x)
{
	struct http_server *s = x->connection->server;
	metric_add(s->metrics.inflight, -(int64_t)x->held);
	atomic_fetch_sub(&s->inflight, x->held);
	x->held = 0;
}

/* The target, cut in two; of an absolute one ("http://host/path") what follows the authority. */
static void set_target(struct http_request *rq, const char *uri)
{
	char *path = arena_strdup(rq->arena, uri ? uri : "");
	if (strncasecmp(path, "http://", 7) == 0) {
		path += 7 + strcspn(path + 7, "/?");
		if (*path != '/')
			path = arena_printf(rq->arena, "/%s", path);
	}
	char *query = strchr(path, '?');
	if (query)
		*query++ = 0;
	rq->path = path;
	rq->query = query ? query : "";
}

void *http_on_uri(void *cls, const char *uri, struct MHD_Connection *mhd)
{
	struct http_server *s = cls;
	struct http_connection *c = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
	struct http_exchange *x = x_calloc(1, sizeof *x);
	x->connection = c;
	x->upload.fd = -1;
	x->rs.status = 200;
	x->started_mono_us = time_mono_us();
	x->rq = (struct http_request){.arena = arena_new(0),
				      .peer = c->peer,
				      .received_us = time_now_us(),
				      .user = s->o.user,
				      .connection = c};
	set_target(&x->rq, uri);
	x->target_len = uri ? strlen(uri) : 0;
	http_connection_enter(c, HTTP_HEADERS, s->o.request_timeout_us);
	return x;
}

struct framing {
	size_t lengths, encodings;
	const char *length, *encoding;
};

static enum MHD_Result add_framing(void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
	(void)kind;
	struct framing *f = cls;
	if (strcasecmp(key, "Content-Length") == 0) {
		f->lengths++;
		f->length = value;
	} else if (strcasecmp(key, "Transfer-Encoding") == 0) {
		f->encodings++;
		f->encoding = value;
	}
	return MHD_YES;
}

/* How long the body is. One length or one encoding, or requests could be smuggled past a proxy (RFC 9112 6.3). */
static bool measure(struct http_exchange *x)
{
	struct framing f = {0};
	MHD_get_connection_values(x->connection->mhd, MHD_HEADER_KIND, add_framing, &f);
	x->declared = 0;
	x->has_body = f.encodings > 0;
	if (f.lengths + f.encodings > 1)
		return refuse(x, 400, "more than one Content-Length or Transfer-Encoding"), false;
	if (f.encodings && strcasecmp(f.encoding, "chunked") != 0)
		return refuse(x, 501, "the only Transfer-Encoding served is chunked"), false;
	if (f.lengths && !str_to_u64(str_of(f.length), &x->declared))
		return refuse(x, 400, "malformed Content-Length"), false;
	x->has_body |= x->declared > 0;
	return true;
}

static bool check_target(struct http_exchange *x, bool cut)
{
	const char *fault = cut ? "the target has a NUL" : http_target_fault(x->rq.path, x->rq.query);
	if (fault)
		refuse(x, 400, fault);
	return !fault;
}

static bool find_route(struct http_exchange *x)
{
	int status;
	const char *allow;
	if (http_cors_preflight(x->connection->server->o.cors, &x->rq, &x->rs)) {
		x->refused = true; /* no handler's */
		return false;
	}
	x->route =
		http_route_find(x->connection->server->o.routes, x->rq.verb, x->rq.path, x->rq.arena, &status, &allow);
	if (x->route)
		return true;
	refuse(x, status, status == 405 ? "this path is not served for this method" : "no such path");
	if (status == 405)
		http_response_header(&x->rs, "Allow", allow);
	return false;
}

/* May the body come? */
static bool admit(struct http_exchange *x)
{
	const struct http_server_options *o = &x->connection->server->o;
	if (x->declared > (x->route->upload ? o->max_upload_bytes : o->max_body_bytes))
		return refuse(x, 413, "the body is larger than this server takes"), false;
	if (!x->route->upload && x->declared + atomic_load(&x->connection->server->inflight) > o->max_inflight_bytes)
		return refuse(x, 503, "the server holds as many bytes as it may: try again"), false;
	if (x->route->upload && x->route->admit && !x->route->admit(&x->rq, &x->rs))
		x->refused = true;
	return !x->refused;
}

static enum MHD_Result respond(struct http_exchange *x)
{
	struct http_server *s = x->connection->server;
	int status = x->rs.status;
	if (!x->answer)
		x->answer = http_answer(x, &status);
	http_connection_enter(x->connection, HTTP_RESPONDING, s->o.upload_timeout_us);
	metric_add(s->metrics.classes[MIN(MAX(status / 100, 1), 5)], 1);
	enum MHD_Result ret = MHD_queue_response(x->connection->mhd, (unsigned)status, x->answer);
	MHD_destroy_response(take(x->answer));
	return ret;
}

static bool awaits_continue(const struct http_exchange *x)
{
	const char *expect = http_header(&x->rq, "Expect");
	return expect && strcasecmp(expect, "100-continue") == 0;
}

/* The headers are in. A refused body that is on its way is read all the same, since a client that still writes may
 * not read; unless the client waits for our word, or it is too long. */
static enum MHD_Result begin(struct http_exchange *x, const char *url, const char *method, const char *version)
{
	struct http_server *s = x->connection->server;
	/* The target ends one character before the version, unless a NUL has cut it short. */
	bool cut = (size_t)(version - url) != x->target_len + 1;
	x->begun = true;
	x->rq.verb = arena_strdup(x->rq.arena, method);
	(void)(measure(x) && check_target(x, cut) && find_route(x) && admit(x));
	int64_t timeout_us = x->route && x->route->upload ? s->o.upload_timeout_us : s->o.request_timeout_us;
	int64_t left_us = timeout_us - (time_mono_us() - x->started_mono_us);
	http_connection_enter(x->connection, HTTP_BODY, MAX(left_us, 0));
	if (x->refused && x->has_body && (awaits_continue(x) || x->declared > HTTP_SWALLOW_BYTES))
		return respond(x);
	return MHD_YES;
}

static void take_upload(struct http_exchange *x, const char *data, size_t n)
{
	const struct http_server_options *o = &x->connection->server->o;
	struct err err;
	enum code c = x->upload.path ? OK : http_upload_open(&x->upload, o->upload_dir, &err);
	if (x->upload.bytes + n > o->max_upload_bytes)
		return refuse(x, 413, "the body is larger than this server takes");
	if (!c && n)
		c = http_upload_write(&x->upload, data, n, &err);
	if (c)
		refuse(x, c == RESOURCE_EXHAUSTED ? 507 : 500, err.text);
}

static void take_body(struct http_exchange *x, const char *data, size_t n)
{
	if (x->body.len + n > x->connection->server->o.max_body_bytes)
		return refuse(x, 413, "the body is larger than this server takes");
	if (!http_hold(x, n))
		return refuse(x, 503, "the server holds as many bytes as it may: try again");
	buf_add(&x->body, data, n);
}

static enum MHD_Result receive(struct http_exchange *x, const char *data, size_t *size)
{
	size_t n = *size;
	*size = 0;
	if (x->refused)
		x->swallowed += n;
	else if (x->route->upload)
		take_upload(x, data, n);
	else
		take_body(x, data, n);
	if (x->swallowed <= HTTP_SWALLOW_BYTES)
		return MHD_YES;
	http_connection_abort(x->connection, x->rs.status);
	return MHD_NO;
}

static void call(struct http_exchange *x)
{
	x->rq.body = buf_str(&x->body);
	x->route->fn(&x->rq, &x->rs);
	metric_observe_us(x->connection->server->metrics.latency, time_mono_us() - x->started_mono_us);
}

/* The body is in: run the handler, here or on a worker. */
static enum MHD_Result dispatch(struct http_exchange *x)
{
	struct http_server *s = x->connection->server;
	x->dispatched = true;
	bool stores =
		!x->refused && x->route->upload && (strcmp(x->rq.verb, "PUT") == 0 || strcmp(x->rq.verb, "POST") == 0);
	if (stores)
		take_upload(x, NULL, 0); /* an empty body makes an empty file */
	if (!x->refused && x->route->quick)
		call(x);
	if (x->refused || x->route->quick)
		return respond(x);
	http_connection_enter(x->connection, HTTP_HANDLING, -1);
	struct MHD_Connection *mhd = x->connection->mhd;
	MHD_suspend_connection(mhd);
	metric_add(s->metrics.queued, 1);
	if (queue_try_push(s->queue, x))
		return MHD_YES;
	metric_add(s->metrics.queued, -1);
	refuse(x, 503, "too many requests are waiting: try again");
	MHD_resume_connection(mhd);
	return MHD_YES;
}

enum MHD_Result http_on_access(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
			       const char *version, const char *data, size_t *size, void **context)
{
	(void)cls, (void)mhd;
	struct http_exchange *x = *context;
	if (!x->begun)
		return begin(x, url, method, version);
	if (*size)
		return receive(x, data, size);
	return x->dispatched ? respond(x) : dispatch(x);
}

void http_on_completed(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode why)
{
	(void)mhd, (void)why;
	struct http_server *s = cls;
	struct http_exchange *x = take(*context);
	if (!x)
		return;
	http_connection_enter(x->connection, HTTP_IDLE, s->o.idle_timeout_us);
	http_upload_discard(&x->upload);
	http_release(x);
	buf_clear(&x->body);
	buf_clear(&x->rs.body);
	free(x->rs.file);
	if (x->answer)
		MHD_destroy_response(x->answer);
	arena_free(x->rq.arena);
	free(x);
}

static void handle(struct http_exchange *x)
{
	struct err err;
	if (atomic_load(&x->connection->server->aborting))
		return refuse(x, 503, "the server is stopping");
	if (x->upload.path) {
		if (http_upload_sync(&x->upload, x->rq.upload_md5, &err))
			return refuse(x, 500, err.text);
		x->rq.upload_path = x->upload.path;
		x->rq.upload_bytes = x->upload.bytes;
	}
	call(x);
}

void *http_worker(void *server)
{
	struct http_server *s = server;
	for (void *item; queue_pop(s->queue, &item, 1, -1);) {
		struct http_exchange *x = item;
		metric_add(s->metrics.queued, -1);
		handle(x);
		x->answer = http_answer(x, &x->rs.status);
		http_upload_discard(&x->upload);
		buf_clear(&x->body);
		arena_free(take(x->rq.arena)); /* a slow reader holds no more than the response */
		MHD_resume_connection(x->connection->mhd);
	}
	return NULL;
}

/* Unary calls: requested -> arrived -> received -> run -> answered. At each moment one thread has the call. */
#include <assert.h>
#include <grpc/support/alloc.h>
#include <stdio.h>

#include "rpc/server.h"

/* ---- requests on their way in: a list in order of arrival, for the sweep ---- */

static void arriving_add(struct call *c)
{
	struct rpc_server *s = c->server;

	pthread_mutex_lock(&s->arriving_lock);
	c->arriving = true;
	c->earlier = s->arriving_last;
	c->later = NULL;
	*(c->earlier ? &c->earlier->later : &s->arriving_first) = c;
	s->arriving_last = c;
	pthread_mutex_unlock(&s->arriving_lock);
}

static void arriving_remove(struct call *c)
{
	struct rpc_server *s = c->server;

	pthread_mutex_lock(&s->arriving_lock);
	c->arriving = false;
	*(c->earlier ? &c->earlier->later : &s->arriving_first) = c->later;
	*(c->later ? &c->later->earlier : &s->arriving_last) = c->earlier;
	pthread_mutex_unlock(&s->arriving_lock);
}

void calls_sweep(struct rpc_server *s)
{
	int64_t limit_us = time_now_us() - s->options.receive_timeout_us;

	pthread_mutex_lock(&s->arriving_lock);
	for (struct call *c = s->arriving_first; c && c->received_us < limit_us; c = c->later)
		grpc_call_cancel_with_status(c->call, GRPC_STATUS_DEADLINE_EXCEEDED,
					     "the request did not arrive whole within the server's time limit", NULL);
	pthread_mutex_unlock(&s->arriving_lock);
}

/* ---- the end ---- */

void call_free(struct call *c)
{
	grpc_call_details_destroy(&c->details);
	grpc_metadata_array_destroy(&c->metadata);
	if (c->in)
		grpc_byte_buffer_destroy(c->in);
	if (c->out)
		grpc_byte_buffer_destroy(c->out);
	grpc_slice_unref(c->status_text);
	grpc_slice_unref(c->status_details.value);
	if (c->call)
		grpc_call_unref(c->call);
	free(c);
}

static void answered(struct worker *w, struct tag *t, bool ok)
{
	struct call *c = t->owner;
	struct rpc_server *s = c->server;

	(void)w, (void)ok;
	call_free(c);
	server_call_ended(s);
}

void call_answer(struct call *c, enum code code, const char *text)
{
	grpc_op ops[4] = {0};
	grpc_call *call = c->call;
	size_t n = 0;
	grpc_call_error rc;

	ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
	if (code == OK) {
		ops[n].op = GRPC_OP_SEND_MESSAGE;
		ops[n++].data.send_message.send_message = c->out;
	}
	ops[n].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
	ops[n].data.send_status_from_server.status = (grpc_status_code)code;
	if (code != OK) {
		c->status_text = rpc_status_slice(text);
		ops[n].data.send_status_from_server.status_details = &c->status_text;
		ops[n].data.send_status_from_server.trailing_metadata = &c->status_details;
		ops[n].data.send_status_from_server.trailing_metadata_count =
			GRPC_SLICE_LENGTH(c->status_details.value) > 0;
	}
	n++;
	ops[n].op = GRPC_OP_RECV_CLOSE_ON_SERVER;
	ops[n++].data.recv_close_on_server.cancelled = &c->cancelled;
	c->tag.fn = answered;
	RPC_STARTED(&c->tag);
	rc = grpc_call_start_batch(call, ops, n, &c->tag, NULL);
	assert(rc == GRPC_CALL_OK);
	(void)rc;
}

/* ---- the handler ---- */

/* Trailers are bounded by clients; a detail without its text would be taken for the whole. */
enum { MAX_DETAILS_BYTES = 3072 };

static void set_details(struct call *c, enum code code, const char *text, const void *detail)
{
	auto_buf struct buf b = {0};

	if (!detail)
		return;
	status_pack(code, text, detail, &b);
	if (b.len > MAX_DETAILS_BYTES)
		return;
	c->status_details.key = grpc_slice_from_static_string("grpc-status-details-bin");
	c->status_details.value = grpc_slice_from_copied_buffer(b.data, b.len);
}

static const char *find_header(const struct request *rq, const char *name)
{
	const struct call *c = rq->transport;

	for (size_t i = 0; i < c->metadata.count; i++) {
		const grpc_metadata *m = &c->metadata.metadata[i];
		if (str_is(rpc_slice_str(&m->key), name)) {
			struct str value = rpc_slice_str(&m->value);
			return arena_strndup(rq->arena, value.ptr, value.len);
		}
	}
	return NULL;
}

/* What a worker has of a call while it runs. */
struct running {
	struct call *call;
	struct request rq;
	struct err err;
	char *peer;
};

/* The handler's view of the call; false when its request does not parse. */
static bool prepare(struct running *r, struct arena *a, struct api_one *ret)
{
	struct call *c = r->call;
	const struct pb_method *method = api_method_table(c->method);
	struct str host = rpc_slice_str(&c->details.host);
	void *in;

	r->peer = grpc_call_get_peer(c->call);
	r->rq = (struct request){.arena = a,
				 .peer = r->peer,
				 .authority = arena_strndup(a, host.ptr, host.len),
				 .received_us = c->received_us,
				 .deadline_us = rpc_wall_us(c->details.deadline),
				 .header = find_header,
				 .transport = c};
	*ret = (struct api_one){.rq = &r->rq, .err = &r->err};
	ret->code = rpc_unpack(method->in, c->in, a, &in, &r->err);
	grpc_byte_buffer_destroy(c->in);
	c->in = NULL;
	if (ret->code) {
		api_count(c->method, ret->code, time_now_us() - c->received_us);
		return false;
	}
	ret->in = in;
	ret->ret = pb_new(a, method->out);
	return true;
}

static void answer(struct running *r, const struct api_one *one)
{
	if (one->code == OK)
		r->call->out = rpc_pack(one->ret);
	else
		set_details(r->call, one->code, r->err.text, r->rq.detail);
	gpr_free(r->peer);
	call_answer(r->call, one->code, r->err.text);
}

/* Calls of one method. */
static void run(struct worker *w, struct call *const *calls, size_t n)
{
	struct running *running = arena_alloc(w->arena, n * sizeof *running);
	struct api_one ones[API_TOGETHER];
	size_t n_ones = 0;

	for (size_t i = 0; i < n; i++) {
		struct running *r = &running[n_ones];
		r->call = calls[i];
		if (prepare(r, w->arena, &ones[n_ones]))
			n_ones++;
		else
			answer(r, &ones[n_ones]);
	}
	/* What did not parse is answered, and gone. */
	if (n_ones)
		api_call_together(running[0].call->api, running[0].call->method, ones, n_ones);
	for (size_t i = 0; i < n_ones; i++)
		answer(&running[i], &ones[i]);
	arena_reset(w->arena);
}

void calls_run(struct worker *w, struct call *const *calls, size_t n)
{
	if (atomic_load(&w->server->cancelling)) {
		for (size_t i = 0; i < n; i++)
			call_answer(calls[i], UNAVAILABLE, "the server is shutting down");
		return;
	}
	run(w, calls, n);
}

/* ---- arrival ---- */

static void received(struct worker *w, struct tag *t, bool ok)
{
	struct call *c = t->owner;

	(void)ok;
	arriving_remove(c);
	if (c->in)
		crew_take(w, c);
	else
		call_answer(c, INVALID_ARGUMENT, "the call ended without a request message");
}

static void receive(struct call *c)
{
	grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &c->in};
	grpc_call *call = c->call;
	grpc_call_error rc;

	arriving_add(c);
	c->tag.fn = received;
	RPC_STARTED(&c->tag);
	rc = grpc_call_start_batch(call, &op, 1, &c->tag, NULL);
	assert(rc == GRPC_CALL_OK);
	(void)rc;
}

static const struct stream_handler *find_stream(struct str path)
{
	static const struct stream_handler *const handlers[] = {&health_watch, &reflection_v1, &reflection_v1alpha};

	for (size_t i = 0; i < ARRAY_SIZE(handlers); i++)
		if (str_is(path, handlers[i]->path))
			return handlers[i];
	return NULL;
}

static void refuse_unknown(struct call *c, struct str path)
{
	const struct pb_service *const *services;
	char text[512];
	size_t n;

	services = api_services(c->server->options.api, &n);
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(services[i]->name);
		if (path.len > len + 2 && memcmp(path.ptr + 1, services[i]->name, len) == 0 &&
		    path.ptr[len + 1] == '/') {
			snprintf(text, sizeof text, "unknown method %.*s of service %s",
				 (int)MIN(path.len - len - 2, (size_t)256), path.ptr + len + 2, services[i]->name);
			call_answer(c, UNIMPLEMENTED, text);
			return;
		}
	}
	snprintf(text, sizeof text, "unknown service: %.*s is not served here", (int)MIN(path.len, (size_t)256),
		 path.ptr);
	call_answer(c, UNIMPLEMENTED, text);
}

static bool find_method(struct call *c, struct str path)
{
	const struct pb_method *method;

	c->api = c->server->options.api;
	c->method = api_find(c->api, path);
	if (!c->method) {
		c->api = c->server->builtin;
		c->method = api_find(c->api, path);
	}
	if (!c->method)
		return false;
	method = api_method_table(c->method);
	return !method->client_stream && !method->server_stream;
}

static void route(struct call *c)
{
	struct rpc_server *s = c->server;
	struct str path = rpc_slice_str(&c->details.method);
	const struct stream_handler *stream;

	if (atomic_load(&s->calls) > s->options.max_calls) {
		metric_add(s->refused, 1);
		call_answer(c, RESOURCE_EXHAUSTED, "too many calls are under way; try again later");
	} else if (find_method(c, path)) {
		receive(c);
	} else if ((stream = find_stream(path))) {
		stream_start(c, stream);
	} else if (c->method) {
		call_answer(c, UNIMPLEMENTED, "this server has no streaming methods but health and reflection");
	} else {
		refuse_unknown(c, path);
	}
}

static void arrived(struct worker *w, struct tag *t, bool ok)
{
	struct call *c = t->owner;
	struct rpc_server *s = c->server;

	(void)w;
	if (!ok) {
		call_free(c);
		return;
	}
	server_call_begun(s);
	call_request(s);
	c->received_us = time_now_us();
	route(c);
}

void call_request(struct rpc_server *s)
{
	struct call *c = x_calloc(1, sizeof *c);
	grpc_call_error rc;

	c->server = s;
	c->tag = (struct tag){.fn = arrived, .owner = c};
	c->status_text = c->status_details.value = grpc_empty_slice();
	grpc_call_details_init(&c->details);
	grpc_metadata_array_init(&c->metadata);
	RPC_STARTED(&c->tag);
	rc = grpc_server_request_call(s->server, &c->call, &c->details, &c->metadata, s->cq, s->cq, &c->tag);
	assert(rc == GRPC_CALL_OK);
	(void)rc;
}

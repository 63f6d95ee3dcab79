/* Streams of the built-in services: a few of them, so one lock for all. */
#include <assert.h>

#include "rpc/server.h"

static void start(struct stream *st, const grpc_op *ops, size_t n, struct tag *tag)
{
	grpc_call_error rc;

	st->ops++;
	RPC_STARTED(tag);
	rc = grpc_call_start_batch(st->call, ops, n, tag, NULL);
	assert(rc == GRPC_CALL_OK);
	(void)rc;
}

static size_t begin(struct stream *st, grpc_op *op)
{
	if (st->begun)
		return 0;
	st->begun = true;
	op->op = GRPC_OP_SEND_INITIAL_METADATA;
	return 1;
}

static void stream_free(struct stream *st)
{
	if (st->in)
		grpc_byte_buffer_destroy(st->in);
	if (st->out)
		grpc_byte_buffer_destroy(st->out);
	grpc_slice_unref(st->status_text);
	grpc_call_unref(st->call);
	free(st->service);
	free(st);
}

/* Every event of a stream begins and ends here. */
static struct stream *enter(struct tag *t)
{
	struct stream *st = t->owner;

	pthread_mutex_lock(&st->server->stream_lock);
	st->ops--;
	return st;
}

static void leave(struct stream *st)
{
	struct rpc_server *s = st->server;
	bool over = st->ops == 0;

	if (over) {
		*(st->earlier ? &st->earlier->later : &s->streams) = st->later;
		if (st->later)
			st->later->earlier = st->earlier;
	}
	pthread_mutex_unlock(&s->stream_lock);
	if (over) {
		stream_free(st);
		server_call_ended(s);
	}
}

static void closed(struct worker *w, struct tag *t, bool ok)
{
	(void)w, (void)ok;
	leave(enter(t));
}

static void send_end(struct stream *st)
{
	grpc_op ops[2] = {0};
	size_t n;

	if (st->sending || !st->ending || st->ended)
		return;
	st->ended = true;
	n = begin(st, ops);
	ops[n].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
	ops[n].data.send_status_from_server.status = (grpc_status_code)st->status;
	ops[n++].data.send_status_from_server.status_details = &st->status_text;
	start(st, ops, n, &st->send);
}

static void sent(struct worker *w, struct tag *t, bool ok)
{
	struct stream *st = enter(t);

	(void)w;
	if (st->sending) {
		st->sending = false;
		grpc_byte_buffer_destroy(st->out);
		st->out = NULL;
		if (ok)
			st->handler->sent(st);
		send_end(st);
	}
	leave(st);
}

void stream_send(struct stream *st, const void *message)
{
	grpc_op ops[2] = {0};
	size_t n = begin(st, ops);

	assert(!st->sending && !st->ended);
	st->sending = true;
	st->out = rpc_pack(message);
	ops[n].op = GRPC_OP_SEND_MESSAGE;
	ops[n++].data.send_message.send_message = st->out;
	start(st, ops, n, &st->send);
}

void stream_end(struct stream *st, enum code code, const char *text)
{
	if (st->ending)
		return;
	st->ending = true;
	st->status = code;
	st->status_text = rpc_status_slice(text);
	send_end(st);
}

static void take_message(struct worker *w, struct stream *st)
{
	struct err err;
	void *in;
	enum code code = rpc_unpack(st->handler->in, st->in, w->arena, &in, &err);

	if (code == OK)
		st->handler->message(w, st, in);
	else
		stream_end(st, code, err.text);
	arena_reset(w->arena);
}

static void received(struct worker *w, struct tag *t, bool ok)
{
	struct stream *st = enter(t);

	(void)ok;
	if (!st->in)
		stream_end(st, OK, "");
	else if (!st->ending)
		take_message(w, st);
	if (st->in)
		grpc_byte_buffer_destroy(st->in);
	st->in = NULL;
	leave(st);
}

void stream_receive(struct stream *st)
{
	grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &st->in};

	start(st, &op, 1, &st->receive);
}

void stream_start(struct call *c, const struct stream_handler *handler)
{
	struct stream *st = x_calloc(1, sizeof *st);
	struct rpc_server *s = c->server;
	grpc_op close = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};

	*st = (struct stream){.server = s,
			      .call = take(c->call),
			      .handler = handler,
			      .status_text = grpc_empty_slice(),
			      .receive = {received, st},
			      .send = {sent, st},
			      .close = {closed, st},
			      .sent_status = -1};
	call_free(c);
	close.data.recv_close_on_server.cancelled = &st->cancelled;
	pthread_mutex_lock(&s->stream_lock);
	st->later = s->streams;
	if (st->later)
		st->later->earlier = st;
	s->streams = st;
	start(st, &close, 1, &st->close);
	if (atomic_load(&s->draining))
		stream_end(st, UNAVAILABLE, "the server is shutting down");
	else
		stream_receive(st);
	pthread_mutex_unlock(&s->stream_lock);
}

void streams_end(struct rpc_server *s)
{
	pthread_mutex_lock(&s->stream_lock);
	for (struct stream *st = s->streams; st; st = st->later)
		stream_end(st, UNAVAILABLE, "the server is shutting down");
	pthread_mutex_unlock(&s->stream_lock);
}

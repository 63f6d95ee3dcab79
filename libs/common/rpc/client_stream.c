#include <assert.h>
#include <grpc/support/time.h>

#include "rpc/client.h"

/* Tags are the addresses of the fields that they fill. */
struct rpc_stream {
	struct rpc_channel *channel;
	const struct pb_method *method;
	grpc_call *call;
	grpc_completion_queue *cq;
	grpc_metadata_array headers;
	bool headers_asked;
	grpc_byte_buffer *in, *out;
	int begin_tag, close_tag;
	pthread_mutex_t lock; /* of what follows */
	struct status status;
	bool ended;
};

static bool start(struct rpc_stream *s, const grpc_op *ops, size_t n, void *tag)
{
	grpc_call_error rc = grpc_call_start_batch(s->call, ops, n, tag, NULL);

	assert(rc == GRPC_CALL_OK);
	return rc == GRPC_CALL_OK;
}

static bool wait_for(struct rpc_stream *s, void *tag)
{
	return grpc_completion_queue_pluck(s->cq, tag, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).success;
}

/* The stream's status, which is there or about to be. */
static enum code end(struct rpc_stream *s, struct err *err)
{
	pthread_mutex_lock(&s->lock);
	if (!s->ended) {
		wait_for(s, &s->status);
		s->ended = true;
	}
	pthread_mutex_unlock(&s->lock);
	if (s->status.code == GRPC_STATUS_OK)
		return err_set(err, OUT_OF_RANGE, "%s: the stream has ended", s->method->path);
	return status_code(s->channel, s->method, &s->status, err);
}

enum code rpc_stream_open(struct rpc_channel *c, const struct pb_method *method, int64_t timeout_us,
			  struct rpc_stream **ret, struct err *err)
{
	struct rpc_stream *s = x_calloc(1, sizeof *s);
	auto_free(arena_free) struct arena *a = arena_new(0);
	grpc_metadata credentials;
	grpc_op op = {.op = GRPC_OP_SEND_INITIAL_METADATA}, last = {0};
	bool ok;

	s->channel = c;
	s->method = method;
	s->cq = grpc_completion_queue_create_for_pluck(NULL);
	s->call = channel_call(c, s->cq, method, timeout_us);
	grpc_metadata_array_init(&s->headers);
	status_init(&s->status);
	pthread_mutex_init(&s->lock, NULL);
	status_op(&s->status, &last);
	start(s, &last, 1, &s->status);
	op.data.send_initial_metadata.count = channel_credentials(c, a, &credentials);
	op.data.send_initial_metadata.metadata = &credentials;
	start(s, &op, 1, &s->begin_tag);
	ok = wait_for(s, &s->begin_tag);
	if (op.data.send_initial_metadata.count) {
		grpc_slice_unref(credentials.key);
		grpc_slice_unref(credentials.value);
	}
	if (!ok) {
		enum code code = end(s, err);
		rpc_stream_free(s);
		return code;
	}
	*ret = s;
	return OK;
}

enum code rpc_stream_send(struct rpc_stream *s, const void *message, struct err *err)
{
	grpc_op op = {.op = GRPC_OP_SEND_MESSAGE};
	bool ok;

	s->out = rpc_pack(message);
	op.data.send_message.send_message = s->out;
	start(s, &op, 1, &s->out);
	ok = wait_for(s, &s->out);
	grpc_byte_buffer_destroy(s->out);
	s->out = NULL;
	return ok ? OK : end(s, err);
}

enum code rpc_stream_close_send(struct rpc_stream *s, struct err *err)
{
	grpc_op op = {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};

	start(s, &op, 1, &s->close_tag);
	return wait_for(s, &s->close_tag) ? OK : end(s, err);
}

enum code rpc_stream_receive(struct rpc_stream *s, struct arena *a, void **ret, struct err *err)
{
	grpc_op ops[2] = {0};
	size_t n = 0;
	enum code code;

	if (!s->headers_asked) {
		s->headers_asked = true;
		ops[n].op = GRPC_OP_RECV_INITIAL_METADATA;
		ops[n++].data.recv_initial_metadata.recv_initial_metadata = &s->headers;
	}
	ops[n].op = GRPC_OP_RECV_MESSAGE;
	ops[n++].data.recv_message.recv_message = &s->in;
	start(s, ops, n, &s->in);
	wait_for(s, &s->in);
	if (!s->in)
		return end(s, err);
	code = rpc_unpack(s->method->out, s->in, a, ret, err);
	grpc_byte_buffer_destroy(s->in);
	s->in = NULL;
	if (code == OK)
		return OK;
	if (err)
		err->code = DATA_LOSS;
	return err_prefix(err, DATA_LOSS, "%s: a message of %s: ", s->method->path, s->channel->target);
}

void rpc_stream_free(struct rpc_stream *s)
{
	if (!s)
		return;
	grpc_call_cancel(s->call, NULL);
	end(s, NULL);
	grpc_call_unref(s->call);
	grpc_completion_queue_shutdown(s->cq);
	grpc_completion_queue_destroy(s->cq);
	grpc_metadata_array_destroy(&s->headers);
	status_clear(&s->status);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

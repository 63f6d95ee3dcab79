/* Calls that nobody waits for: one thread takes their ends. */
#include <assert.h>
#include <grpc/support/time.h>

#include "rpc/client.h"

struct async;

/* A completion queue's tag: which part of a call has ended. */
struct part {
	struct async *call;
	void (*fn)(struct async *s, bool success);
};

struct async {
	struct rpc_calls *calls;
	struct rpc_channel *channel;
	const struct pb_method *method;
	grpc_call *call;
	grpc_byte_buffer **out; /* the messages, in order */
	size_t n_out, n_sent;
	bool closed;
	grpc_byte_buffer *in;
	grpc_metadata_array headers;
	grpc_metadata credentials;
	size_t n_credentials;
	struct status status;
	struct part sent, received, ended;
	int open; /* parts that have not ended */
	struct arena *arena;
	rpc_answer_fn fn;
	void *arg;
	struct async *before, *after; /* under the lock: of all calls */
};

struct rpc_calls {
	grpc_completion_queue *cq;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	struct async *all;
	size_t n; /* of them and those that are just going */
	bool closing;
};

/* ---- the end ---- */

static enum code answer(struct async *s, void **ret, struct err *err)
{
	bool complete = s->status.code == GRPC_STATUS_OK || s->method->server_stream;

	if (!s->in || !complete) {
		enum code c = status_code(s->channel, s->method, &s->status, err);
		return c ? c
			 : err_set(err, DATA_LOSS, "%s: %s answered OK without a message", s->method->path,
				   s->channel->target);
	}
	enum code c = rpc_unpack(s->method->out, s->in, s->arena, ret, err);
	if (c == OK)
		return OK;
	if (err)
		err->code = DATA_LOSS;
	return err_prefix(err, DATA_LOSS, "%s: the answer of %s: ", s->method->path, s->channel->target);
}

static void unlink_call(struct async *s)
{
	pthread_mutex_lock(&s->calls->lock);
	*(s->before ? &s->before->after : &s->calls->all) = s->after;
	if (s->after)
		s->after->before = s->before;
	pthread_mutex_unlock(&s->calls->lock);
}

static void async_free(struct async *s)
{
	struct rpc_calls *calls = s->calls;

	unlink_call(s);
	for (size_t i = 0; i < s->n_out; i++)
		grpc_byte_buffer_destroy(s->out[i]);
	if (s->in)
		grpc_byte_buffer_destroy(s->in);
	if (s->n_credentials) {
		grpc_slice_unref(s->credentials.key);
		grpc_slice_unref(s->credentials.value);
	}
	grpc_metadata_array_destroy(&s->headers);
	status_clear(&s->status);
	grpc_call_unref(s->call);
	free(s->out);
	free(s);
	pthread_mutex_lock(&calls->lock);
	if (--calls->n == 0)
		pthread_cond_broadcast(&calls->idle);
	pthread_mutex_unlock(&calls->lock);
}

static void part_over(struct async *s)
{
	struct err err = {OK, ""};
	void *message = NULL;

	if (--s->open > 0)
		return;
	enum code c = answer(s, &message, &err);
	s->fn(s->arg, c, c ? NULL : message, &err);
	async_free(s);
}

/* ---- the parts ---- */

static void start(struct async *s, grpc_op *ops, size_t n, struct part *part, void (*fn)(struct async *s, bool success))
{
	*part = (struct part){s, fn};
	s->open++;
	RPC_STARTED(part);
	grpc_call_error rc = grpc_call_start_batch(s->call, ops, n, part, NULL);
	assert(rc == GRPC_CALL_OK);
	(void)rc;
}

static void on_sent(struct async *s, bool success)
{
	grpc_op op = {.op = GRPC_OP_SEND_MESSAGE};

	if (success && s->n_sent < s->n_out) {
		op.data.send_message.send_message = s->out[s->n_sent++];
		start(s, &op, 1, &s->sent, on_sent);
	} else if (success && !s->closed) {
		s->closed = true;
		op = (grpc_op){.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
		start(s, &op, 1, &s->sent, on_sent);
	}
	part_over(s);
}

/* Of a stream nobody reads on after the first message. */
static void on_received(struct async *s, bool success)
{
	(void)success;
	if (s->in && s->method->server_stream)
		grpc_call_cancel(s->call, NULL);
	part_over(s);
}

static void on_ended(struct async *s, bool success)
{
	(void)success;
	part_over(s);
}

static void start_parts(struct async *s)
{
	grpc_op begin[2] = {0}, receive[2] = {0}, last = {0};

	status_op(&s->status, &last);
	start(s, &last, 1, &s->ended, on_ended);
	receive[0].op = GRPC_OP_RECV_INITIAL_METADATA;
	receive[0].data.recv_initial_metadata.recv_initial_metadata = &s->headers;
	receive[1].op = GRPC_OP_RECV_MESSAGE;
	receive[1].data.recv_message.recv_message = &s->in;
	start(s, receive, 2, &s->received, on_received);
	begin[0].op = GRPC_OP_SEND_INITIAL_METADATA;
	begin[0].data.send_initial_metadata.count = s->n_credentials;
	begin[0].data.send_initial_metadata.metadata = &s->credentials;
	begin[1].op = GRPC_OP_SEND_MESSAGE;
	begin[1].data.send_message.send_message = s->out[s->n_sent++];
	start(s, begin, 2, &s->sent, on_sent);
}

void rpc_start(struct rpc_calls *calls, struct rpc_channel *c, const struct pb_method *method, const void *const *in,
	       size_t n_in, int64_t timeout_us, struct arena *a, rpc_answer_fn fn, void *arg)
{
	struct async *s = x_calloc(1, sizeof *s);

	assert(n_in > 0);
	s->calls = calls;
	s->channel = c;
	s->method = method;
	s->arena = a;
	s->fn = fn;
	s->arg = arg;
	s->n_out = n_in;
	s->out = x_calloc(n_in, sizeof *s->out);
	for (size_t i = 0; i < n_in; i++)
		s->out[i] = rpc_pack(in[i]);
	s->call = channel_call(c, calls->cq, method, timeout_us);
	grpc_metadata_array_init(&s->headers);
	status_init(&s->status);
	s->n_credentials = channel_credentials(c, a, &s->credentials);
	/* Under the lock: the thread must not see an end before all parts are counted. */
	pthread_mutex_lock(&calls->lock);
	s->after = calls->all;
	if (calls->all)
		calls->all->before = s;
	calls->all = s;
	calls->n++;
	start_parts(s);
	if (calls->closing)
		grpc_call_cancel(s->call, NULL);
	pthread_mutex_unlock(&calls->lock);
}

/* ---- the thread ---- */

static void *calls_thread(void *arg)
{
	struct rpc_calls *calls = arg;

	pthread_setname_np(pthread_self(), "rpc calls");
	for (;;) {
		grpc_event e = grpc_completion_queue_next(calls->cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
		if (e.type == GRPC_QUEUE_SHUTDOWN)
			return NULL;
		RPC_COMPLETED(e.tag);
		/* Whoever starts the call still holds it. */
		pthread_mutex_lock(&calls->lock);
		pthread_mutex_unlock(&calls->lock);
		struct part *part = e.tag;
		part->fn(part->call, e.success);
	}
}

struct rpc_calls *rpc_calls_new(void)
{
	struct rpc_calls *calls = x_calloc(1, sizeof *calls);

	rpc_library_ref();
	calls->cq = grpc_completion_queue_create_for_next(NULL);
	pthread_mutex_init(&calls->lock, NULL);
	pthread_cond_init(&calls->idle, NULL);
	if (pthread_create(&calls->thread, NULL, calls_thread, calls) != 0)
		abort();
	return calls;
}

void rpc_calls_cancel(struct rpc_calls *calls)
{
	if (!calls)
		return;
	pthread_mutex_lock(&calls->lock);
	calls->closing = true;
	for (struct async *s = calls->all; s; s = s->after)
		grpc_call_cancel(s->call, NULL);
	while (calls->n)
		pthread_cond_wait(&calls->idle, &calls->lock);
	pthread_mutex_unlock(&calls->lock);
}

void rpc_calls_free(struct rpc_calls *calls)
{
	if (!calls)
		return;
	rpc_calls_cancel(calls);
	grpc_completion_queue_shutdown(calls->cq);
	pthread_join(calls->thread, NULL);
	grpc_completion_queue_destroy(calls->cq);
	pthread_cond_destroy(&calls->idle);
	pthread_mutex_destroy(&calls->lock);
	free(calls);
	rpc_library_unref();
}

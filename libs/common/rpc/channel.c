#include <assert.h>
#include <fcntl.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <unistd.h>

#include "base/base.h"
#include "rpc/client.h"

enum {
	KEEPALIVE_MS = 30000,
	KEEPALIVE_TIMEOUT_MS = 10000,
	FIRST_RECONNECT_MS = 100,
	MIN_RECONNECT_MS = 1000, /* also how long one attempt to connect may take */
	MAX_RECONNECT_MS = 5000,
};

static char *read_roots(const char *path)
{
	auto_buf struct buf b = {0};
	auto_fd int fd = path && *path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t n = fd < 0 ? 0 : 1;

	while (n > 0) {
		n = read(fd, buf_reserve(&b, 65536), 65536);
		buf_commit(&b, n > 0 ? (size_t)n : 0);
	}
	return b.len ? x_strdup(buf_text(&b)) : NULL;
}

static grpc_channel_credentials *credentials_of(const struct rpc_channel_options *o)
{
	if (!o->tls)
		return grpc_insecure_credentials_create();
	auto_mem char *roots = read_roots(o->roots_file);
	if (o->roots_file && *o->roots_file && !roots)
		log_warn("cannot read the roots of TLS; the system's are used", LOG_STR("file", o->roots_file));
	return grpc_ssl_credentials_create(roots, NULL, NULL, NULL);
}

struct rpc_channel *rpc_channel_new(const struct rpc_channel_options *options)
{
	struct rpc_channel *c = x_calloc(1, sizeof *c);
	size_t max_receive = options->max_receive_bytes ? options->max_receive_bytes : RPC_DEFAULT_RECEIVE_BYTES;
	struct rpc_args args = {.n = 0};
	grpc_channel_args list;

	rpc_library_ref();
	grpc_channel_credentials *credentials = credentials_of(options);

	c->options = *options;
	c->target = x_strdup(options->target);
	c->name = x_strdup(options->name);
	pthread_mutex_init(&c->lock, NULL);
	rpc_arg_str(&args, GRPC_ARG_PRIMARY_USER_AGENT_STRING, "alula/" ALULA_VERSION);
	rpc_arg_int(&args, GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int64_t)max_receive);
	rpc_arg_int(&args, GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1);
	rpc_arg_int(&args, GRPC_ARG_KEEPALIVE_TIME_MS, KEEPALIVE_MS);
	rpc_arg_int(&args, GRPC_ARG_KEEPALIVE_TIMEOUT_MS, KEEPALIVE_TIMEOUT_MS);
	rpc_arg_int(&args, GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
	rpc_arg_int(&args, GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
	rpc_arg_int(&args, GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, FIRST_RECONNECT_MS);
	rpc_arg_int(&args, GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, MIN_RECONNECT_MS);
	rpc_arg_int(&args, GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, MAX_RECONNECT_MS);
	rpc_arg_int(&args, GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
	rpc_arg_int(&args, GRPC_ARG_ENABLE_HTTP_PROXY, 0);
	rpc_arg_int(&args, GRPC_ARG_ENABLE_RETRIES, 0);
	if (options->server_name && *options->server_name)
		rpc_arg_str(&args, GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, options->server_name);
	if (options->service_config && *options->service_config)
		rpc_arg_str(&args, GRPC_ARG_SERVICE_CONFIG, options->service_config);
	list = rpc_args(&args);
	c->channel = grpc_channel_create(c->target, credentials, &list);
	grpc_channel_credentials_release(credentials);
	return c;
}

void rpc_channel_free(struct rpc_channel *c)
{
	if (!c)
		return;
	vec_each (grpc_completion_queue **, cq, &c->idle) {
		grpc_completion_queue_shutdown(*cq);
		grpc_completion_queue_destroy(*cq);
	}
	vec_free(&c->idle);
	grpc_channel_destroy(c->channel);
	pthread_mutex_destroy(&c->lock);
	free(c->target);
	free(c->name);
	free(c);
	rpc_library_unref();
}

/* ---- shared with streams ---- */

void status_init(struct status *st)
{
	*st = (struct status){.code = GRPC_STATUS_UNKNOWN, .details = grpc_empty_slice()};
	grpc_metadata_array_init(&st->trailers);
}

void status_clear(struct status *st)
{
	grpc_slice_unref(st->details);
	gpr_free((void *)st->debug);
	grpc_metadata_array_destroy(&st->trailers);
}

void status_op(struct status *st, grpc_op *op)
{
	op->op = GRPC_OP_RECV_STATUS_ON_CLIENT;
	op->data.recv_status_on_client.trailing_metadata = &st->trailers;
	op->data.recv_status_on_client.status = &st->code;
	op->data.recv_status_on_client.status_details = &st->details;
	op->data.recv_status_on_client.error_string = &st->debug;
}

/* Did the server say so, or did the call never get through? */
static bool from_peer(const struct status *st)
{
	return st->debug && strstr(st->debug, "Error received from peer");
}

enum code status_code(const struct rpc_channel *c, const struct pb_method *method, const struct status *st,
		      struct err *err)
{
	struct str text = rpc_slice_str(&st->details);
	enum code code = (enum code)st->code;

	if (code == OK)
		return OK;
	if (code < OK || code > UNAUTHENTICATED)
		code = INTERNAL;
	if (code == UNAVAILABLE && !from_peer(st))
		return err_set(err, code, "cannot reach %s%s%s: %.*s", c->name ? c->name : "", c->name ? " at " : "",
			       c->target, STR_ARG(text));
	/* Whichever side's clock is first says it in these words. */
	if (code == DEADLINE_EXCEEDED && (!from_peer(st) || str_is(text, "Deadline Exceeded")))
		return err_set(err, code, "%s: no answer from %s in time", method->path, c->name ? c->name : c->target);
	if (text.len == 0)
		return err_set(err, code, "%s failed (%s)", method->path, code_name(code));
	return err_set(err, code, "%.*s", STR_ARG(text));
}

size_t channel_credentials(struct rpc_channel *c, struct arena *a, grpc_metadata *ret)
{
	const char *key = NULL, *value = NULL;

	if (c->options.credentials)
		c->options.credentials(c->options.credentials_arg, a, &key, &value);
	if (!key || !value)
		return 0;
	*ret = (grpc_metadata){.key = grpc_slice_from_copied_string(key),
			       .value = grpc_slice_from_copied_string(value)};
	return 1;
}

grpc_call *channel_call(struct rpc_channel *c, grpc_completion_queue *cq, const struct pb_method *method,
			int64_t timeout_us)
{
	gpr_timespec deadline = gpr_inf_future(GPR_CLOCK_MONOTONIC);
	grpc_slice path = grpc_slice_from_static_string(method->path);

	if (timeout_us != INT64_MAX)
		deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_micros(timeout_us, GPR_TIMESPAN));
	return grpc_channel_create_call(c->channel, NULL, GRPC_PROPAGATE_DEFAULTS, cq, path, NULL, deadline, NULL);
}

/* ---- unary calls ---- */

static grpc_completion_queue *take_queue(struct rpc_channel *c)
{
	grpc_completion_queue *cq = NULL;

	pthread_mutex_lock(&c->lock);
	if (c->idle.n)
		cq = c->idle.at[--c->idle.n];
	pthread_mutex_unlock(&c->lock);
	return cq ? cq : grpc_completion_queue_create_for_pluck(NULL);
}

static void return_queue(struct rpc_channel *c, grpc_completion_queue *cq)
{
	pthread_mutex_lock(&c->lock);
	vec_push(&c->idle, cq);
	pthread_mutex_unlock(&c->lock);
}

struct unary {
	struct status status;
	grpc_metadata_array headers;
	grpc_metadata credentials;
	size_t n_credentials;
	grpc_byte_buffer *in, *out;
};

static void run(struct unary *u, grpc_call *call, grpc_completion_queue *cq)
{
	grpc_op ops[6] = {0};
	grpc_call_error rc;

	ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[0].data.send_initial_metadata.count = u->n_credentials;
	ops[0].data.send_initial_metadata.metadata = &u->credentials;
	ops[1].op = GRPC_OP_SEND_MESSAGE;
	ops[1].data.send_message.send_message = u->in;
	ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
	ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
	ops[3].data.recv_initial_metadata.recv_initial_metadata = &u->headers;
	ops[4].op = GRPC_OP_RECV_MESSAGE;
	ops[4].data.recv_message.recv_message = &u->out;
	status_op(&u->status, &ops[5]);
	rc = grpc_call_start_batch(call, ops, ARRAY_SIZE(ops), u, NULL);
	assert(rc == GRPC_CALL_OK);
	(void)rc;
	grpc_completion_queue_pluck(cq, u, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
}

static void unary_clear(struct unary *u)
{
	status_clear(&u->status);
	grpc_metadata_array_destroy(&u->headers);
	grpc_byte_buffer_destroy(u->in);
	if (u->out)
		grpc_byte_buffer_destroy(u->out);
	if (u->n_credentials) {
		grpc_slice_unref(u->credentials.key);
		grpc_slice_unref(u->credentials.value);
	}
}

static enum code response(const struct rpc_channel *c, const struct pb_method *method, grpc_byte_buffer *out,
			  struct arena *a, void **ret, struct err *err)
{
	enum code code;

	if (!out)
		return err_set(err, DATA_LOSS, "%s: %s answered OK without a message", method->path, c->target);
	code = rpc_unpack(method->out, out, a, ret, err);
	if (code == OK)
		return OK;
	if (err)
		err->code = DATA_LOSS;
	return err_prefix(err, DATA_LOSS, "%s: the answer of %s: ", method->path, c->target);
}

enum code rpc_call(struct rpc_channel *c, const struct pb_method *method, const void *in, int64_t timeout_us,
		   struct arena *a, void **ret, struct err *err)
{
	grpc_completion_queue *cq = take_queue(c);
	grpc_call *call = channel_call(c, cq, method, timeout_us);
	struct unary u = {.in = rpc_pack(in)};
	enum code code;

	status_init(&u.status);
	grpc_metadata_array_init(&u.headers);
	u.n_credentials = channel_credentials(c, a, &u.credentials);
	run(&u, call, cq);
	code = status_code(c, method, &u.status, err);
	if (code == OK)
		code = response(c, method, u.out, a, ret, err);
	unary_clear(&u);
	grpc_call_unref(call);
	return_queue(c, cq);
	return code;
}

bool rpc_may_pass(enum code code, const struct err *err)
{
	static const bool PASSES[] = {
		[UNAVAILABLE] = true, [DEADLINE_EXCEEDED] = true, [INTERNAL] = true,           [UNKNOWN] = true,
		[DATA_LOSS] = true,   [ABORTED] = true,           [RESOURCE_EXHAUSTED] = true, [CANCELLED] = true,
	};

	if (code == RESOURCE_EXHAUSTED && strstr(err->text, "larger than max"))
		return false;
	return (size_t)code < ARRAY_SIZE(PASSES) && PASSES[code];
}

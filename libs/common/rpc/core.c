#include "rpc/private.h"

#include <grpc/byte_buffer_reader.h>
#include <grpc/support/log.h>
#include <grpc/support/time.h>
#include <limits.h>
#include <pthread.h>

#include "base/log.h"

enum { STATUS_TEXT_BYTES = 6 << 10 }; /* percent-encoded */

static void write_log(gpr_log_func_args *args)
{
	static struct log_limit limit;
	size_t held;

	if (args->severity < GPR_LOG_SEVERITY_ERROR)
		log_debug(args->message, LOG_STR("from", "grpc"));
	else if (log_allow(&limit, USEC_PER_SEC, &held))
		log_warn(args->message, LOG_STR("from", "grpc"), LOG_INT("held_back", held));
}

static void set_log_function(void)
{
	gpr_set_log_function(write_log);
}

void rpc_library_ref(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, set_log_function);
	grpc_init();
}

void rpc_library_unref(void)
{
	grpc_shutdown();
}

static grpc_arg *add_arg(struct rpc_args *args, const char *key, grpc_arg_type type)
{
	grpc_arg *arg = &args->at[args->n++];

	*arg = (grpc_arg){.type = type, .key = (char *)key};
	return arg;
}

void rpc_arg_int(struct rpc_args *args, const char *key, int64_t value)
{
	add_arg(args, key, GRPC_ARG_INTEGER)->value.integer = (int)MIN(value, INT_MAX);
}

void rpc_arg_str(struct rpc_args *args, const char *key, const char *value)
{
	add_arg(args, key, GRPC_ARG_STRING)->value.string = (char *)value;
}

grpc_channel_args rpc_args(struct rpc_args *args)
{
	return (grpc_channel_args){.num_args = args->n, .args = args->at};
}

struct str rpc_slice_str(const grpc_slice *s)
{
	return (struct str){(const char *)GRPC_SLICE_START_PTR(*s), GRPC_SLICE_LENGTH(*s)};
}

grpc_byte_buffer *rpc_pack(const void *message)
{
	auto_buf struct buf b = {0};

	pb_pack_buf(message, &b);
	grpc_slice slice = grpc_slice_from_copied_buffer(buf_text(&b), b.len);
	grpc_byte_buffer *ret = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_slice_unref(slice);
	return ret;
}

enum code rpc_unpack(const ProtobufCMessageDescriptor *desc, grpc_byte_buffer *in, struct arena *a, void **ret,
		     struct err *err)
{
	grpc_slice_buffer *pieces = &in->data.raw.slice_buffer;
	grpc_byte_buffer_reader reader;
	grpc_slice whole;
	enum code code;

	if (pieces->count == 1)
		return pb_unpack(desc, rpc_slice_str(&pieces->slices[0]), a, ret, err);
	if (!grpc_byte_buffer_reader_init(&reader, in))
		return err_set(err, INVALID_ARGUMENT, "%s: the message cannot be decompressed", desc->name);
	whole = grpc_byte_buffer_reader_readall(&reader);
	grpc_byte_buffer_reader_destroy(&reader);
	code = pb_unpack(desc, rpc_slice_str(&whole), a, ret, err);
	grpc_slice_unref(whole);
	return code;
}

gpr_timespec rpc_timespec(int64_t wall_us)
{
	if (wall_us == INT64_MAX)
		return gpr_inf_future(GPR_CLOCK_REALTIME);
	return gpr_time_from_micros(wall_us, GPR_CLOCK_REALTIME);
}

int64_t rpc_wall_us(gpr_timespec t)
{
	t = gpr_convert_clock_type(t, GPR_CLOCK_REALTIME);
	if (t.tv_sec >= INT64_MAX / USEC_PER_SEC)
		return INT64_MAX;
	return t.tv_sec * USEC_PER_SEC + t.tv_nsec / 1000;
}

grpc_slice rpc_status_slice(const char *text)
{
	size_t len = strlen(text), encoded = 0, n = 0;
	char *cut;

	while (n < len && encoded < STATUS_TEXT_BYTES) {
		size_t step = MAX(utf8_len(text + n, len - n), (size_t)1);
		bool plain = step == 1 && text[n] >= ' ' && text[n] <= '~' && text[n] != '%';
		encoded += plain ? 1 : 3 * step;
		n += step;
	}
	if (n == len)
		return grpc_slice_from_copied_buffer(text, len);
	cut = x_printf("%.*s…", (int)n, text);
	return grpc_slice_new(cut, strlen(cut), free);
}

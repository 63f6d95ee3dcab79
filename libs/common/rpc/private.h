/* Shared by the files of rpc only: what gRPC's core and our modules exchange. */
#pragma once
#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/slice.h>

#include "base/str.h"
#include "base/time.h"
#include "pb/pb.h"
#include "rpc/rpc.h"

/* Each server, channel and stream holds a reference to gRPC's library while it lives. */
void rpc_library_ref(void);
void rpc_library_unref(void);

/* Channel arguments, built on the stack. */
enum { RPC_ARGS_MAX = 20 };
struct rpc_args {
	grpc_arg at[RPC_ARGS_MAX];
	size_t n;
};
void rpc_arg_int(struct rpc_args *args, const char *key, int64_t value); /* cut to an int's range */
void rpc_arg_str(struct rpc_args *args, const char *key, const char *value);
grpc_channel_args rpc_args(struct rpc_args *args);

enum { RPC_DEFAULT_RECEIVE_BYTES = 64 << 20 };

/* The slice's bytes; borrowed from *s, so `s` must not move. */
struct str rpc_slice_str(const grpc_slice *s);
grpc_byte_buffer *rpc_pack(const void *message);
/* Guarded; the message borrows nothing from `in`. Errors: INVALID_ARGUMENT. */
enum code rpc_unpack(const ProtobufCMessageDescriptor *desc, grpc_byte_buffer *in, struct arena *a, void **ret,
		     struct err *err);

/* INT64_MAX and what lies beyond gRPC's own range is "for ever". */
gpr_timespec rpc_timespec(int64_t wall_us);
int64_t rpc_wall_us(gpr_timespec t);

/* gRPC percent-encodes a status text, and clients bound the trailers (8 KiB by default): the text, cut so that it
 * fits, as a slice. */
grpc_slice rpc_status_slice(const char *text);

/* gRPC's core is not built with ThreadSanitizer, which so cannot see that what was done before a batch is started
 * happened before its event: these two tell it. */
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#define RPC_STARTED(tag)   __tsan_release(tag)
#define RPC_COMPLETED(tag) __tsan_acquire(tag)
#else
#define RPC_STARTED(tag)   (void)(tag)
#define RPC_COMPLETED(tag) (void)(tag)
#endif

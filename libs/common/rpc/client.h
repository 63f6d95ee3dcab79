/* Shared by channel.c and client_stream.c. */
#pragma once
#include <pthread.h>

#include "base/vec.h"
#include "rpc/private.h"

struct rpc_channel {
	grpc_channel *channel;
	char *target, *name;
	struct rpc_channel_options options;
	pthread_mutex_t lock;
	VEC(grpc_completion_queue *) idle; /* of unary calls; each is used by one call at a time */
};

/* What comes back at a call's end. */
struct status {
	grpc_status_code code;
	grpc_slice details;
	const char *debug; /* gRPC's own account of the error; gpr_free */
	grpc_metadata_array trailers;
};

void status_init(struct status *st);
void status_clear(struct status *st);
void status_op(struct status *st, grpc_op *op);
/* The status as our error; OK is OK. `st` must be complete. */
enum code status_code(const struct rpc_channel *c, const struct pb_method *method, const struct status *st,
		      struct err *err);

/* Metadata that goes with each call; `ret` holds up to one. */
size_t channel_credentials(struct rpc_channel *c, struct arena *a, grpc_metadata *ret);
grpc_call *channel_call(struct rpc_channel *c, grpc_completion_queue *cq, const struct pb_method *method,
			int64_t timeout_us);

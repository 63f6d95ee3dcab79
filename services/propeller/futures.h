/* What dynamic tasks leave, futures.pb: read, compiled, and kept beside it as futures_compiled.pb. On threads of its
 * own, since admin may have to be asked for the interfaces of launch plans; while admin or the store cannot be reached,
 * a request waits on a timer and holds up no other. Source: flytepropeller controller/nodes/dynamic/dynamic_workflow.go
 * (v1.16.8). */
#pragma once
#include "alula/journal.h"
#include "base/arena.h"
#include "executor.h"
#include "loop/loop.h"
#include "rpc/rpc.h"
#include "store/store.h"

struct futures;

/* Of the attempt that left it. */
struct futures_request {
	const char *output_prefix;
	const char *spec_uri; /* NULL: the futures.pb that lies there */
	const CoreTaskTemplate *task;
	const char *project, *domain, *node_id, *version; /* version: the same whenever it is compiled */
	size_t max_bytes;                                 /* of futures.pb */
	/* Called once, on one of the threads. Either it has a closure or an error, the user's; or there was none to be
	 * had this time: `err` says why, and `workflow` is NULL. Borrowed for the call. */
	void (*fn)(void *arg, const AlulaDynamicWorkflow *workflow, const struct err *err);
	void *arg;
	/* Of the futures while the request is theirs. */
	struct futures *futures;
	int64_t pause_us;
	struct loop_timer *timer;
	struct futures_request *before, *after;
};

/* What the attempt may leave, or another one left in its place; in `arena`, but for the answer and max_bytes. */
struct futures_request futures_request_of(struct attempt_id id, const struct attempt *a, struct arena *arena);
/* All borrowed. */
struct futures *futures_new(struct store *store, struct rpc_channel *admin, struct loop *loop);
/* From any thread; `rq` must live until the answer. */
void futures_compile(struct futures *f, struct futures_request *rq);
/* Requests that wait are dropped without an answer. The loop must not run any more. NULL is fine. */
void futures_free(struct futures *f);

/* What runs attempts outside the engine. One vtable a kind: processes and connectors now; docker and kubernetes later.
 *
 * All functions are called on the loop thread and must not block: slow work goes to the store's threads, to child
 * processes or to other machines. Results are handed in by executor_host's functions, from any thread, any number of
 * times: the engine ignores repeats. An attempt is known by (execution, node, attempt). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "alula/journal.h"
#include "base/err.h"
#include "engine/engine.h"
#include "loop/loop.h"
#include "metrics/metrics.h"
#include "store/store.h"

struct futures;

struct attempt_id {
	int64_t execution;
	uint32_t node, attempt;
};

/* What the executor is given, and where its results go. */
struct executor_host {
	struct loop *loop;
	struct store *store;
	struct futures *futures; /* compiles what dynamic tasks leave */
	struct metrics *metrics;
	const char *propeller; /* this propeller's name, unique among those of the database */
	uint64_t epoch;        /* fencing epoch */
	void *arg;
	/* Feed an input to the engine; copied. From any thread. */
	void (*feed)(void *arg, const AlulaInput *in);
};

struct executor;

/* Where an attempt that is to be found again comes from. */
enum attempt_origin {
	ATTEMPT_RELOADED, /* from the journal of this host: an earlier process may have started it here */
	ATTEMPT_FOREIGN,  /* from the journal of another host: if it ran, it ran there */
};

struct executor_kind {
	const char *name; /* "process" */
	const char *const
		*plugins; /* what tasks.task-plugins calls it, ended by NULL; the first one is shown in events */
	/* `config` is the propeller's whole configuration struct (propeller.h). */
	enum code (*open)(const struct executor_host *host, const void *config, struct executor **ret, struct err *err);
	/* Does it run this task, when nothing else is configured for its type? Later kinds are asked when earlier ones
	 * do not. */
	bool (*takes)(struct executor *x, const CoreTaskTemplate *task);
	/* Start the attempt: nobody has. Everything in `a` is borrowed for the call. */
	void (*start)(struct executor *x, struct attempt_id id, const struct attempt *a);
	/* It may have been started by an earlier process: running: watch it; finished: report; gone: report lost
	 * (system error); never started: start it. What AttemptResource told is in a->resource. */
	void (*reattach)(struct executor *x, struct attempt_id id, const struct attempt *a, enum attempt_origin origin);
	/* The AttemptResource that it told is committed. NULL: it never tells one. */
	void (*event)(struct executor *x, struct attempt_id id);
	/* Stop it for good, if it is there; `resource` as far as it was told, or NULL. All kinds are asked. */
	void (*abort)(struct executor *x, struct attempt_id id, const struct attempt_resource *resource);
	/* The execution is over: remove what is left of its attempts. */
	void (*finalise)(struct executor *x, int64_t execution);
	/* Let go without stopping anything: running attempts are found again by the next process. */
	void (*close)(struct executor *x);
};

extern const struct executor_kind process_executor, connector_executor;

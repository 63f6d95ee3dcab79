/* Executions that launch plan nodes start: admin is asked to create and to abort them. What becomes of a child comes by
 * command (intake.c), never by asking.
 *
 * A child has a name that follows from its node, so creating it again, after a restart or a lost answer, finds it. What
 * fails for a reason that may pass (admin is away, overloaded) is tried until it succeeds or is aborted; everything
 * else is the node's error. Source: flytepropeller pkg/controller/nodes/subworkflow/launchplan/admin.go (v1.16.8). */
#pragma once
#include "executor.h"
#include "metrics/metrics.h"
#include "rpc/rpc.h"

struct launcher;

/* Host and channel are borrowed. */
struct launcher *launcher_new(const struct executor_host *host, struct rpc_channel *admin, size_t max_input_bytes);
/* Both on the loop thread; `child` is borrowed for the call. An abort overtakes no launch that is under way. */
void launcher_launch(struct launcher *l, struct attempt_id id, const struct child *child);
void launcher_abort(struct launcher *l, const struct child *child);
/* What is not done is forgotten: the next process asks again. Loop and store have stopped. NULL is fine. */
void launcher_free(struct launcher *l);

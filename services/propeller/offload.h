/* Offloaded literals: a large one goes into a file of its own, and what says where takes its place. Propeller writes
 * them for the lists that arrays give, when that is switched on; tasks of SDKs that cannot read them are not run with
 * them. Source: flytepropeller controller/nodes/common/utils.go, controller/config (v1.16.8). */
#pragma once
#include "flyteidl/core/tasks.h"
#include "propeller.h"

/* `packed` is a LiteralMap, the outputs to be written at `uri`. *ret is what to write there. Waits for the store.
 * Errors: the store's, RESOURCE_EXHAUSTED for a literal beyond the limit, INVALID_ARGUMENT. */
enum code offload_outputs(const struct propeller *p, struct str packed, const char *uri, struct buf *ret,
			  struct err *err);

/* May this task have these packed inputs? FAILED_PRECONDITION with *ret_code for its error otherwise. `task` is as the
 * messages name it. */
enum code offload_check(const struct propeller_config *config, const char *task, const CoreRuntimeMetadata *runtime,
			struct str packed, const char **ret_code, struct err *err);

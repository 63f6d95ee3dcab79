/* What executions that recover earlier ones need from outside the engine. */
#pragma once
#include "alula/bus.h"
#include "executor.h"
#include "store/store.h"

/* Read what the command only names into start->recovery; in `a`. NOT_FOUND, RESOURCE_EXHAUSTED, … */
enum code recovery_read(struct store *store, AlulaStartExecution *start, struct arena *a, struct err *err);
/* ACTION_COMPILE_FUTURES: compile the workflow at `uri` for an attempt that need not run, and feed AttemptFinished. */
void recovery_compile(const struct executor_host *host, struct attempt_id id, const struct attempt *a, const char *uri,
		      size_t max_bytes);

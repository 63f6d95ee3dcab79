/* Putting values together outside the engine: the inputs of an attempt, the outputs of an execution.
 * Literals that the engine has are taken as they are, the others are read from the outputs.pb they lie in (each file
 * once). */
#pragma once
#include "engine/engine.h"
#include "store/store.h"

/* Called on one of the store's threads, or at once by the caller's when nothing must be read. `literals` is a packed
 * core.LiteralMap, borrowed for the call. Errors: the store's, INVALID_ARGUMENT for a file that is no LiteralMap,
 * NOT_FOUND naming the variable that a file lacks, RESOURCE_EXHAUSTED. */
typedef void (*values_fn)(void *arg, enum code code, struct str literals, const struct err *err);

/* `values` are copied; they need not outlive the call. `max_bytes` bounds each file. */
void values_collect(struct store *store, const struct value_ref *values, size_t n, size_t max_bytes, values_fn fn,
		    void *arg);

/* A copy whose everything is in `a`. */
const struct value_ref *values_copy(const struct value_ref *values, size_t n, struct arena *a);

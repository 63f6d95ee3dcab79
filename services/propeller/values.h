/* Putting values together outside the engine: the inputs of an attempt, the outputs of an execution.
 * Literals that the engine has are taken as they are, the others are read from the outputs.pb they lie in (each file
 * once), attribute paths are followed there, through offloaded literals too. Values are copied by their bytes, one file
 * is held at a time. */
#pragma once
#include "engine/engine.h"
#include "loop/loop.h"
#include "store/store.h"

/* Called on one of the store's threads, or at once by the caller's when nothing must be read. `literals` is a packed
 * core.LiteralMap, borrowed for the call; what came from files is in it as it was there: unpack it guarded. Errors: the
 * store's, INVALID_ARGUMENT for a file that is damaged, OUT_OF_RANGE for a variable or an attribute that is not there,
 * RESOURCE_EXHAUSTED. */
typedef void (*values_fn)(void *arg, enum code code, struct str literals, const struct err *err);

/* `values` are copied; they need not outlive the call. `max_bytes` bounds each file, and four times as much all values
 * together. */
void values_collect(struct store *store, const struct value_ref *values, size_t n, size_t max_bytes, values_fn fn,
		    void *arg);

/* Is nothing to be read? */
bool values_at_hand(const struct value_ref *values, size_t n);

/* A copy whose everything is in `a`. */
const struct value_ref *values_copy(const struct value_ref *values, size_t n, struct arena *a);

/* The code of the node's error if values could not be put together; `otherwise`, if it was the store that failed. */
const char *values_error_code(enum code code, const char *otherwise);

/* Do an ACTION_READ_VALUES: feed the ValuesRead. What the store cannot read now is read later. */
void values_read(struct store *store, struct loop *loop, const struct action *action, size_t max_bytes,
		 void (*feed)(void *arg, const AlulaInput *in), void *arg);

/* Containers that know nothing of Flyte: their inputs lie in files, and files are their outputs (a task's data_config).
 *
 * A local process cannot have /var/inputs for itself: the directories that the task names become two of the attempt's
 * own, and their names in arguments and variables are replaced by those. `<inputs>/<variable>` holds the text of a
 * primitive, or is a link to a blob; `<inputs>/inputs.json` (or .pb) has all of them. `<outputs>/<variable>` becomes an
 * output once the task has ended well; `<outputs>/_ERROR` makes it fail with that text.
 * Source: flytecopilot data/{download,upload}.go, cmd/sidecar.go; flyteplugins flytek8s/copilot.go (v1.16.8). */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "executors/task_spec.h"
#include "flyteidl/core/interface.h"
#include "store/store.h"

struct copilot {
	const CoreDataLoadingConfig *config; /* NULL: the task wants none of it */
	const char *inputs, *outputs;        /* absolute directories */
};

/* Of a task that runs in directory `dir` (absolute); borrows from the task, else in `a`. */
struct copilot copilot_of(const CoreTaskTemplate *task, const char *dir, struct arena *a);
/* Replace the names of directories in `spec`. In `a`. */
void copilot_rename(const struct copilot *c, struct task_spec *spec, struct arena *a);
/* Make the directories and lay the inputs there. Small blocking file work. Errors: INVALID_ARGUMENT naming an input
 * that has no form as a file. */
enum code copilot_lay_inputs(const struct copilot *c, const CoreLiteralMap *inputs, struct err *err);
/* What the task left, as outputs, in `a`; blobs are copied below `raw_prefix`. Blocking.
 * Errors: INVALID_ARGUMENT with what the task said or what is wrong with one file; NOT_FOUND naming a missing one. */
enum code copilot_take_outputs(const struct copilot *c, const CoreVariableMap *declared, struct store *store,
			       const char *raw_prefix, struct arena *a, CoreLiteralMap **ret, struct err *err);

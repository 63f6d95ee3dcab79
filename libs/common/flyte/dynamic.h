/* What a dynamic task leaves in the store. */
#pragma once
#include "base/arena.h"

/* The file that a dynamic task leaves in its output directory: a DynamicJobSpec. */
#define FUTURES_FILE "futures.pb"

/* Where the CompiledWorkflowClosure lies that a DynamicJobSpec was made into: "<dir>/futures_compiled.pb" beside
 * "<dir>/futures.pb", as Flyte has it; NULL if `job_spec_uri` is no such place. Events tell only of the latter when the
 * closure is large. Pure; the text is in `a`. Source: flytepropeller controller/nodes/task/future_file_reader.go. */
const char *compiled_futures_uri(struct arena *a, const char *job_spec_uri);

/* The command line and environment of a task's process, as Flyte gives them to its container.
 * Source: flyteplugins flytek8s/k8s_resource_adds.go, container_helper.go; flytekit's environment (WIRE facts). */
#pragma once
#include "base/arena.h"
#include "engine/engine.h"
#include "flyte/template.h"
#include "propeller.h"

struct task_spec {
	const char **argv;
	size_t argc;
	const char **env; /* "KEY=value" */
	size_t n_env;
	bool needs_inputs;         /* some argument asks for an input's value: finish with task_spec_inputs */
	const char *template_path; /* some argument asks for the task's template: to be written there; or NULL */
};

/* Everything in `a`. Errors: INVALID_ARGUMENT for a task that has no container or a template that cannot be rendered.
 */
enum code task_spec_make(const struct propeller_config *config, const struct attempt *attempt, struct arena *a,
			 struct task_spec *ret, struct err *err);
/* What the execution's or the container's environment sets a variable to; NULL: nothing. Borrowed, or in `a`. */
const char *task_spec_variable(const struct attempt *attempt, const char *key, struct arena *a);
/* What templates in its arguments stand for, all but the task's own template and its inputs. Borrows from the attempt.
 */
struct template_values task_spec_values(const struct attempt *attempt, struct arena *a);
/* Put input values into the arguments that ask for them. */
enum code task_spec_inputs(struct task_spec *spec, const CoreLiteralMap *inputs, struct arena *a, struct err *err);

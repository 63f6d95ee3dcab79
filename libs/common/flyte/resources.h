/* Quantities of resources as Kubernetes writes them ("500m", "1Gi"), and what a platform allows tasks.
 * Source: apimachinery resource.Quantity; flyteadmin validation/task_validator.go, execution_manager.go
 * setCompiledTaskDefaults; flyteplugins flytek8s/container_helper.go AdjustOrDefaultResource (v1.16.8). */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "flyteidl/admin/matchable_resource.h"
#include "flyteidl/core/tasks.h"

struct quantity {
	__int128 nano; /* in units of 10^-9, rounded up */
	bool binary;   /* written with Ki, Mi, … */
};

/* Does Kubernetes read it as a quantity? */
bool is_quantity(const char *text);
/* What that takes, for messages. */
#define QUANTITY_RULE "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
/* False also for one of more than 30 digits. */
bool quantity_read(const char *text, struct quantity *ret);
/* As Go prints it: 2000m is "2", 1024Mi is "1Gi". */
const char *quantity_text(struct quantity q, struct arena *a);

/* What a platform gives a task that asks for nothing, and at most; a resource of no amount is not bounded. Texts are
 * quantities: those that are none count as no amount. */
struct platform_resources {
	const AdminTaskResourceSpec *defaults, *limits; /* NULL: nothing */
};

/* May a task with these resources be registered? Errors: INVALID_ARGUMENT in flyteadmin's words. */
enum code resources_check(const CoreIdentifier *task, const CoreResources *resources,
			  const struct platform_resources *platform, struct arena *a, struct err *err);
/* What a task of an execution really gets: defaults filled in, everything cut to the limits. `resources` may be NULL.
 * In `a`. */
CoreResources *resources_adjust(const CoreResources *resources, const struct platform_resources *platform,
				struct arena *a);

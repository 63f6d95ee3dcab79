/* What executions need of the registry: registered tasks, workflows and launch plans by identifier.
 * Everything returned lives in rq->arena. Errors: NOT_FOUND "missing entity of type … with identifier …", as
 * flyteadmin's; INVALID_ARGUMENT for an incomplete identifier. */
#pragma once
#include "admin.h"
#include "flyteidl/admin/execution.h"
#include "flyteidl/admin/launch_plan.h"
#include "flyteidl/admin/task.h"
#include "flyteidl/core/compiler.h"
#include "flyteidl/core/identifier.h"
#include "flyteidl/core/workflow_closure.h"

struct registered_task {
	int64_t key; /* tasks.id */
	CoreCompiledTask *task;
	int64_t created_at_us;
};
enum code registry_task(struct request *rq, struct db *db, const CoreIdentifier *id, struct registered_task *ret,
			struct err *err);

struct registered_workflow {
	int64_t key; /* workflows.id */
	CoreIdentifier *id;
	const char *closure_uri;    /* a packed CompiledWorkflowClosure in the store */
	const char *closure_digest; /* hexadecimal; one digest, one content */
	struct str closure;         /* the same bytes if they are few (REGISTRY_INLINE_BYTES), else empty */
	CoreTypedInterface *interface;
	int64_t created_at_us;
};
enum { REGISTRY_INLINE_BYTES = 64 * 1024 };
enum code registry_workflow(struct request *rq, struct db *db, const CoreIdentifier *id,
			    struct registered_workflow *ret, struct err *err);

struct registered_launch_plan {
	int64_t key;                  /* launch_plans.id */
	AdminLaunchPlan *launch_plan; /* spec, closure with expected inputs and outputs, state */
	struct registered_workflow workflow;
};
/* A launch plan with its workflow, in one statement. */
enum code registry_launch_plan(struct request *rq, struct db *db, const CoreIdentifier *id,
			       struct registered_launch_plan *ret, struct err *err);

/* The generated workflow and launch plan ".flytegen.<task>" that run a single task: found, or made (committed by
 * themselves). `spec` gives a new launch plan its roles.
 * Source: flyteadmin pkg/manager/impl/util/single_task_execution.go. */
enum code registry_single_task(struct request *rq, struct db *db, const CoreIdentifier *task_id,
			       const AdminExecutionSpec *spec, struct registered_launch_plan *ret, struct err *err);

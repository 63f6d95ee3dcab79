/* What the configuration's `registration` bounds: workflows when they are registered, executions when they are created.
 * Source: flyteadmin validation/workflow_validator.go ValidateCompiledWorkflow, impl/execution_manager.go
 * validateMapSize (v1.16.8). */
#pragma once
#include "admin.h"
#include "flyteidl/admin/matchable_resource.h"
#include "flyteidl/admin/workflow.h"

/* Is workflowSizeLimit a quantity? Errors: INVALID_ARGUMENT naming the key. */
enum code limits_check_config(const struct admin_config *config, struct err *err);
/* A compiled workflow: its nodes and the bytes of its closure. Errors: INVALID_ARGUMENT in flyteadmin's words. */
enum code limits_check_workflow(const struct admin_config *config, const CoreCompiledWorkflowClosure *closure,
				struct arena *a, struct err *err);
/* What an execution runs with, all that it inherits included, but for the project's labels. Errors: as above. */
enum code limits_check_execution(const struct admin_config *config, const AdminWorkflowExecutionConfig *of,
				 struct err *err);

/* What resources the platform gives tasks: attributes of the project, its domain or the workflow, else the
 * configuration. Source: flyteadmin pkg/manager/impl/util/resources.go GetTaskResources (v1.16.8). */
#pragma once
#include "attributes.h"
#include "flyteidl/core/tasks.h"

/* In the request's arena. `has_attributes` false: nobody has set any, so they are not looked for. */
enum code task_resources_of(struct request *rq, struct db *db, const struct attributes_scope *scope,
			    bool has_attributes, AdminTaskResourceAttributes **ret, struct err *err);
/* May a task with this template be registered? Errors: INVALID_ARGUMENT in flyteadmin's words. */
enum code task_resources_check(struct request *rq, struct db *db, const CoreIdentifier *id,
			       const CoreTaskTemplate *task, struct err *err);
/* Is everything in the configuration a quantity? Errors: INVALID_ARGUMENT naming the key. */
enum code task_resources_check_config(const struct admin_config *config, struct err *err);

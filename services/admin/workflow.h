/* Registering workflows, for RPCs and for what admin generates itself; reading their rows. */
#pragma once
#include "flyteidl/admin/workflow.h"
#include "registry.h"

/* Columns of a registered_workflow, for tables with the alias `w`. */
#define WORKFLOW_COLUMNS                                                                                               \
	"w.id, w.project, w.domain, w.name, w.version, w.digest, w.interface, w.closure_uri, w.closure, w.created_at"
enum { N_WORKFLOW_COLUMNS = 10 };
/* WORKFLOW_COLUMNS start at `col`. */
enum code fill_workflow(struct request *rq, const struct db_rows *rows, size_t row, int col,
			struct registered_workflow *ret, struct err *err);

/* GetWorkflow. */
enum code admin_get_workflow(struct request *rq, const AdminObjectGetRequest *in, AdminWorkflow *ret, struct err *err);
/* CreateWorkflow; `in` is changed by the compiler. Commits by itself. */
enum code create_workflow(struct request *rq, struct db *db, const AdminWorkflowCreateRequest *in, struct err *err);

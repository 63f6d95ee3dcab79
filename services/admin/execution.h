/* Shared by the files about executions: what their handlers have in common. */
#pragma once
#include "admin.h"
#include "alula/bus.h"
#include "attributes.h"
#include "base/base.h"
#include "filters.h"
#include "flyteidl/admin/execution.h"
#include "flyteidl/admin/launch_plan.h"
#include "flyteidl/admin/node_execution.h"
#include "flyteidl/admin/task_execution.h"
#include "registry.h"

/* Flyte's clients read the fields that its own files call deprecated. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/* Lists show the first bytes of errors only. Source: flyteadmin transformers/execution.go. */
enum { TRIMMED_ERROR_BYTES = 100 };

/* ---- execution_cache.c: what executions are created from ---- */

/* A launch plan with its workflow, as the registry has it: rows that never change. Shared; give it back. */
struct launchable {
	struct arena *arena;
	struct registered_launch_plan plan;
	CoreCompiledWorkflowClosure *closure; /* NULL when it is large */
	int refs;
};
struct execution_cache *execution_cache_new(void);
void execution_cache_free(struct execution_cache *cache);
/* `id` names a launch plan or a task; `spec` as for registry_single_task. */
enum code launchable_get(struct request *rq, struct db *db, const CoreIdentifier *id, const AdminExecutionSpec *spec,
			 struct launchable **ret, struct err *err);
void launchable_put(struct launchable *l);
DEFINE_CLEANUP(struct launchable *, launchable_put);
/* A key that no execution has had. */
enum code execution_next_key(struct execution_cache *cache, struct db *db, int64_t *ret, struct err *err);

/* ---- execution_inputs.c ---- */

/* Inputs of the request with defaults and fixed inputs. INVALID_ARGUMENT in flyteadmin's words.
 * Source: flyteadmin validation.CheckAndFetchInputsForExecution. */
enum code execution_inputs(struct arena *a, const CoreLiteralMap *given, const CoreLiteralMap *fixed,
			   const CoreParameterMap *expected, CoreLiteralMap **ret, struct err *err);

/* ---- execution_settings.c ---- */

/* What a project says of its executions. */
struct execution_project {
	bool has_attributes; /* somebody made settings for executions, of whatever scope */
	bool has_resources;  /* … for resources of tasks */
	AdminLabels *labels; /* NULL: none */
};

/* Settings of the request, else of the launch plan, else of matchable attributes, else of the configuration, into
 * `start`; the project's labels are added. `scope`: where the workflow is.
 * Source: flyteadmin execution_manager.go getExecutionConfig, addProjectLabels; util.MergeIntoExecConfig. */
enum code execution_settings(struct request *rq, struct db *db, const AdminExecutionSpec *spec,
			     const AdminLaunchPlanSpec *plan, const struct execution_project *project,
			     const struct attributes_scope *scope, AlulaStartExecution *start, struct err *err);

/* ---- execution_parent.c: executions that come from others ---- */

/* The execution whose node launches this one; key 0 for none. */
struct execution_parent {
	int64_t key;
	const char *principal;
	uint32_t nesting;
	AdminExecutionClusterLabel *cluster_label; /* NULL for none */
};
/* What a child inherits from the parent that its metadata names. NOT_FOUND; FAILED_PRECONDITION when it lies too deep.
 * Source: flyteadmin execution_manager.go getInheritedExecMetadata. */
enum code execution_parent(struct request *rq, struct db *db, const AdminExecutionMetadata *m,
			   struct execution_parent *ret, struct err *err);

/* The request that would create the execution again. NOT_FOUND. */
enum code execution_again(struct request *rq, const CoreWorkflowExecutionIdentifier *id,
			  AdminExecutionCreateRequest *ret, struct err *err);

/* ---- execution_recover.c ---- */

/* Write to `uri` what an execution that recovers `source` takes over from it: alula.Recovery. *ret_source
 * is its key. NOT_FOUND. */
enum code execution_recovery(struct request *rq, struct db *db, const CoreWorkflowExecutionIdentifier *source,
			     const char *uri, int64_t *ret_source, struct err *err);

/* ---- identifiers; execution.c, node_execution.c ---- */

enum code check_execution_id(const CoreWorkflowExecutionIdentifier *id, struct err *err);
enum code check_node_execution_id(const CoreNodeExecutionIdentifier *id, struct err *err);
enum code check_task_execution_id(const CoreTaskExecutionIdentifier *id, struct arena *a, struct err *err);
/* NOT_FOUND. */
enum code node_execution_exists(struct db *db, const CoreNodeExecutionIdentifier *id, struct err *err);
enum code task_execution_exists(struct request *rq, struct db *db, const CoreTaskExecutionIdentifier *id,
				struct err *err);
/* The key of an execution. NOT_FOUND in flyteadmin's words. */
enum code execution_key(struct db *db, const CoreWorkflowExecutionIdentifier *id, int64_t *ret, struct err *err);
/* NOT_FOUND, in flyteadmin's words. */
enum code missing_execution(const CoreWorkflowExecutionIdentifier *id, struct err *err);
/* One row of a statement by project, domain and name. NOT_FOUND. */
enum code execution_by_name(struct db *db, const struct db_stmt *stmt, const CoreWorkflowExecutionIdentifier *id,
			    struct db_rows **ret, struct err *err);
void trim_error(CoreExecutionError *e);

/* Columns that lists are filtered by, with the aliases e of executions and n of node_executions. */
extern const struct list_column execution_columns[], node_execution_columns[];
/* Those that name the execution whose key `table` has. */
#define EXECUTION_OF(table, column) "(SELECT e." column " FROM executions e WHERE e.key = " table ".execution)"
#define EXECUTION_PROJECT(table)                                                                                       \
	{                                                                                                              \
		"execution_project", EXECUTION_OF(table, "project"), .kind = COLUMN_TEXT                               \
	}
#define EXECUTION_DOMAIN(table)                                                                                        \
	{                                                                                                              \
		"execution_domain", EXECUTION_OF(table, "domain"), .kind = COLUMN_TEXT                                 \
	}
#define EXECUTION_NAME(table)                                                                                          \
	{                                                                                                              \
		"execution_name", EXECUTION_OF(table, "name"), .kind = COLUMN_TEXT                                     \
	}

/* ---- execution_data.c: inputs and outputs ---- */

/* What a row says of inputs or outputs: inline, or where they are. */
struct kept_data {
	struct str packed; /* a LiteralMap; empty for none */
	const char *uri;   /* NULL or "" for none */
};
/* The literals, if they are not too many for an answer, and a signed URL of what the store has.
 * *ret_map and *ret_blob are never NULL. Source: flyteadmin manager/impl/util/data.go. */
enum code read_data(struct request *rq, const struct kept_data *d, CoreLiteralMap **ret_map, AdminUrlBlob **ret_blob,
		    struct err *err);
/* The file at `uri`, unpacked; NOT_FOUND, DATA_LOSS, … */
enum code read_literals(struct request *rq, const char *uri, CoreLiteralMap **ret, struct err *err);

/* Tell programs that what they ask for has ended in this phase; event_rules.c. */
void detail_terminal(struct request *rq, const char *phase);
/* The command that has propeller end an execution; the outbox keeps it under minus the key. */
struct str abort_command(struct request *rq, int64_t key, const AdminExecutionTerminateRequest *in);

/* ---- handlers that others call too ---- */

enum code admin_create_execution(struct request *rq, const AdminExecutionCreateRequest *in,
				 AdminExecutionCreateResponse *ret, struct err *err);

enum code admin_get_execution(struct request *rq, const AdminWorkflowExecutionGetRequest *in, AdminExecution *ret,
			      struct err *err);
enum code admin_get_node_execution(struct request *rq, const AdminNodeExecutionGetRequest *in, AdminNodeExecution *ret,
				   struct err *err);
enum code admin_get_node_execution_data(struct request *rq, const AdminNodeExecutionGetDataRequest *in,
					AdminNodeExecutionGetDataResponse *ret, struct err *err);
enum code admin_get_task_execution(struct request *rq, const AdminTaskExecutionGetRequest *in, AdminTaskExecution *ret,
				   struct err *err);
enum code admin_get_task_execution_data(struct request *rq, const AdminTaskExecutionGetDataRequest *in,
					AdminTaskExecutionGetDataResponse *ret, struct err *err);
/* The first task execution of a node's attempt. INVALID_ARGUMENT when there is none, as flyteadmin's data proxy has it.
 */
enum code task_execution_of_attempt(struct request *rq, const CoreNodeExecutionIdentifier *node, uint32_t attempt,
				    CoreTaskExecutionIdentifier **ret, struct err *err);

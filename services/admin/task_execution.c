/* Task executions: what the materialiser wrote, read back.
 * Source: flyteadmin pkg/manager/impl/task_execution_manager.go (v1.16.8). */
#include "execution.h"
#include "flyte/text.h"
#include "lookup.h"
#include "pb/pb.h"
#include "resource.h"
#include "validation.h"

#define COLUMNS                                                                                                           \
	"t.task_project, t.task_domain, t.task_name, t.task_version, t.node_id, t.retry_attempt, t.input_uri, "           \
	"t.closure, EXISTS (SELECT 1 FROM node_executions c WHERE c.execution = t.execution AND c.parent_task <> '' AND " \
	"c.parent_task = concat_ws(E'\\n', t.node_id, t.retry_attempt, t.task_project, t.task_domain, t.task_name, "      \
	"t.task_version))"
enum { TASK, NODE_ID = 4, ATTEMPT, INPUT_URI, CLOSURE, IS_PARENT, INPUTS, OUTPUTS };
/* An execution that there is not has no tasks either. */
#define BY_TASK                                                                                                        \
	" FROM task_executions t WHERE t.execution = "                                                                 \
	"(SELECT e.key FROM executions e WHERE e.project = $1 AND e.domain = $2 AND e.name = $3) "                     \
	"AND t.node_id = $4 AND t.retry_attempt = $5 "                                                                 \
	"AND t.task_project = $6 AND t.task_domain = $7 AND t.task_name = $8 AND t.task_version = $9"

static const struct db_stmt GET = {"task_execution_get", "SELECT " COLUMNS BY_TASK};
static const struct db_stmt GET_DATA = {"task_execution_get_data", "SELECT " COLUMNS ", t.inputs, t.outputs" BY_TASK};
static const struct db_stmt OF_ATTEMPT = {
	"task_execution_of_attempt",
	"SELECT t.task_project, t.task_domain, t.task_name, t.task_version FROM task_executions t "
	"WHERE t.execution = $1 AND t.node_id = $2 AND t.retry_attempt = $3 LIMIT 1",
};

static const char *const PHASES[] = {"UNDEFINED",        "QUEUED", "RUNNING",      "SUCCEEDED",
				     "ABORTED",          "FAILED", "INITIALIZING", "WAITING_FOR_RESOURCES",
				     "RETRYABLE_FAILED", NULL};

static const struct list_column TASK_EXECUTION_COLUMNS[] = {
	EXECUTION_PROJECT("t"),
	EXECUTION_DOMAIN("t"),
	EXECUTION_NAME("t"),
	{"id", "t.id", .kind = COLUMN_I64},
	{"retry_attempt", "t.retry_attempt", .kind = COLUMN_I64},
	{"phase", "t.phase", COLUMN_I64, .words = PHASES},
	{"phase_version", "t.phase_version", .kind = COLUMN_I64},
	{"project", "t.task_project", .kind = COLUMN_TEXT},
	{"domain", "t.task_domain", .kind = COLUMN_TEXT},
	{"name", "t.task_name", .kind = COLUMN_TEXT},
	{"version", "t.task_version", .kind = COLUMN_TEXT},
	{"node_id", "t.node_id", .kind = COLUMN_TEXT},
	{"input_uri", "coalesce(t.input_uri, '')", .kind = COLUMN_TEXT},
	{"created_at", "t.created_at", .kind = COLUMN_TIME},
	{"task_execution_created_at", "t.created_at", .kind = COLUMN_TIME},
	{"started_at", "coalesce(t.started_at, 'epoch')", COLUMN_TIME, .nullable = "t.started_at",
	 .after = "t.created_at"},
	{"updated_at", "t.updated_at", COLUMN_TIME, .after = "t.created_at"},
	{"task_execution_updated_at", "t.updated_at", COLUMN_TIME, .after = "t.created_at"},
	{"duration", "coalesce(t.duration, 0)", .kind = COLUMN_DURATION},
	{0},
};
static const struct list_column TASK_COLUMNS[] = {
	{"id", "k.id", .kind = COLUMN_I64},
	{"project", "k.project", .kind = COLUMN_TEXT},
	{"domain", "k.domain", .kind = COLUMN_TEXT},
	{"name", "k.name", .kind = COLUMN_TEXT},
	{"version", "k.version", .kind = COLUMN_TEXT},
	{"type", "k.type", .kind = COLUMN_TEXT},
	{"short_description", "k.short_description", .kind = COLUMN_TEXT},
	{"created_at", "k.created_at", .kind = COLUMN_TIME},
	{0},
};
static const struct list_entity ENTITIES[] = {
	{"task_execution", "te", TASK_EXECUTION_COLUMNS, NULL},
	{"task", "t", TASK_COLUMNS,
	 "SELECT FROM tasks k WHERE k.project = t.task_project AND k.domain = t.task_domain AND k.name = t.task_name AND "
	 "k.version = t.task_version"},
	{"execution", "e", execution_columns, "SELECT FROM executions e WHERE e.key = t.execution"},
	{"node_execution", "ne", node_execution_columns,
	 "SELECT FROM node_executions n WHERE n.execution = t.execution AND n.node_id = t.node_id"},
	{0},
};

enum code check_task_execution_id(const CoreTaskExecutionIdentifier *id, struct arena *a, struct err *err)
{
	if (!id)
		return err_set(err, INVALID_ARGUMENT, "missing id");
	if (!id->node_execution_id)
		return err_set(err, INVALID_ARGUMENT, "missing node_execution_id");
	enum code c = check_node_execution_id(id->node_execution_id, err);
	if (!c && !id->task_id)
		return err_set(err, INVALID_ARGUMENT, "missing task_id");
	return c ? c : check_identifier(id->task_id, CORE_RESOURCE_TYPE_TASK, a, err);
}

static enum code missing_task(const CoreTaskExecutionIdentifier *id, struct err *err)
{
	auto_buf struct buf b = {0};
	CoreTaskExecutionIdentifier bare = *id;
	CoreIdentifier task = *id->task_id;

	bare.retry_attempt = 0;
	bare.task_id = &task;
	task.resource_type = CORE_RESOURCE_TYPE_UNSPECIFIED;
	message_add_text(&bare, &b);
	return err_set(err, NOT_FOUND, "missing entity of type task execution with identifier %s", buf_text(&b));
}

enum { N_KEY = 9 };

static enum code task_key(struct request *rq, const CoreTaskExecutionIdentifier *id, struct db_param ret[N_KEY],
			  struct err *err)
{
	enum code c = check_task_execution_id(id, rq->arena, err);

	if (c)
		return c;
	const CoreWorkflowExecutionIdentifier *x = id->node_execution_id->execution_id;
	const CoreIdentifier *task = id->task_id;
	const struct db_param params[N_KEY] = {
		db_text(x->project),       db_text(x->domain),
		db_text(x->name),          db_text(id->node_execution_id->node_id),
		db_i64(id->retry_attempt), db_text(task->project),
		db_text(task->domain),     db_text(task->name),
		db_text(task->version),
	};
	memcpy(ret, params, sizeof params);
	return OK;
}

static enum code by_task(struct request *rq, struct db *db, const struct db_stmt *stmt,
			 const CoreTaskExecutionIdentifier *id, struct db_rows **ret, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	struct db_param params[N_KEY];
	enum code c = task_key(rq, id, params, err);

	if (!c)
		c = db_query_params(db, stmt, N_KEY, params, &rows, err);
	if (!c && db_rows_count(rows) == 0)
		return missing_task(id, err);
	if (!c)
		*ret = take(rows);
	return c;
}

enum code task_execution_exists(struct request *rq, struct db *db, const CoreTaskExecutionIdentifier *id,
				struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;

	return by_task(rq, db, &GET, id, &rows, err);
}

static enum code read_task(const struct db_rows *rows, size_t i, int col, CoreWorkflowExecutionIdentifier *execution,
			   struct arena *a, AdminTaskExecution *ret, struct err *err)
{
	CoreTaskExecutionIdentifier *id = pb_new(a, CORE_TASK_EXECUTION_IDENTIFIER_DESC);

	id->task_id = resource_id(a, CORE_RESOURCE_TYPE_TASK, rows, i, col + TASK);
	id->node_execution_id = pb_new(a, CORE_NODE_EXECUTION_IDENTIFIER_DESC);
	id->node_execution_id->execution_id = execution;
	id->node_execution_id->node_id = db_get_text(rows, i, col + NODE_ID, a);
	id->retry_attempt = (uint32_t)db_get_i64(rows, i, col + ATTEMPT);
	ret->id = id;
	ret->input_uri = db_get_text(rows, i, col + INPUT_URI, a);
	ret->is_parent = db_get_bool(rows, i, col + IS_PARENT);
	return pb_unpack_own(ADMIN_TASK_EXECUTION_CLOSURE_DESC, db_get_str(rows, i, col + CLOSURE), a,
			     (void **)&ret->closure, err);
}

static enum code lookup_key(struct request *rq, const void *in, struct db_param *ret, struct err *err)
{
	return task_key(rq, ((const AdminTaskExecutionGetRequest *)in)->id, ret, err);
}

static enum code read_found(struct request *rq, const void *in, const struct db_rows *rows, void *ret, struct err *err)
{
	const CoreTaskExecutionIdentifier *id = ((const AdminTaskExecutionGetRequest *)in)->id;

	if (db_rows_count(rows) == 0)
		return missing_task(id, err);
	return read_task(rows, 0, 0, id->node_execution_id->execution_id, rq->arena, ret, err);
}

static const struct lookup LOOKUP = {&GET, N_KEY, lookup_key, read_found};

enum code admin_get_task_execution(struct request *rq, const AdminTaskExecutionGetRequest *in, AdminTaskExecution *ret,
				   struct err *err)
{
	return lookup_one(&LOOKUP, rq, in, ret, err);
}

static void get_task_executions(struct api_one *const *ones, size_t n)
{
	lookup_together(&LOOKUP, ones, n);
}

static AdminFlyteURLs *task_urls(struct arena *a, const CoreTaskExecutionIdentifier *id)
{
	AdminFlyteURLs *urls = pb_new(a, ADMIN_FLYTE_URLS_DESC);
	const CoreWorkflowExecutionIdentifier *x = id->node_execution_id->execution_id;
	const char *base = arena_printf(a, "flyte://v1/%s/%s/%s/%s/%u", x->project, x->domain, x->name,
					id->node_execution_id->node_id, id->retry_attempt);

	urls->inputs = arena_printf(a, "%s/i", base);
	urls->outputs = arena_printf(a, "%s/o", base);
	return urls;
}

enum code admin_get_task_execution_data(struct request *rq, const AdminTaskExecutionGetDataRequest *in,
					AdminTaskExecutionGetDataResponse *ret, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	AdminTaskExecution t = ADMIN_TASK_EXECUTION_INIT;
	enum code c = db_take(admin_of(rq)->db, &db, err);

	if (!c)
		c = by_task(rq, db, &GET_DATA, in->id, &rows, err);
	if (!c)
		c = read_task(rows, 0, 0, in->id->node_execution_id->execution_id, rq->arena, &t, err);
	if (c)
		return c;
	db_give(take(db)); /* reading files may take long */
	bool stored = t.closure->output_result_case == ADMIN_TASK_EXECUTION_CLOSURE_OUTPUT_RESULT_OUTPUT_URI;
	struct kept_data inputs = {db_get_str(rows, 0, INPUTS), t.input_uri};
	struct kept_data outputs = {db_get_str(rows, 0, OUTPUTS), stored ? t.closure->output_uri : NULL};
	ret->flyte_urls = task_urls(rq->arena, in->id);
	c = read_data(rq, &inputs, &ret->full_inputs, &ret->inputs, err);
	return c ? c : read_data(rq, &outputs, &ret->full_outputs, &ret->outputs, err);
}
API_THUNK(admin_get_task_execution_data)

enum code task_execution_of_attempt(struct request *rq, const CoreNodeExecutionIdentifier *node, uint32_t attempt,
				    CoreTaskExecutionIdentifier **ret, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	CoreTaskExecutionIdentifier *id = pb_new(rq->arena, CORE_TASK_EXECUTION_IDENTIFIER_DESC);
	int64_t key = 0;
	enum code c = db_take(admin_of(rq)->db, &db, err);

	if (!c)
		c = execution_key(db, node->execution_id, &key, err);
	if (!c)
		c = db_query(db, &OF_ATTEMPT, &rows, err, db_i64(key), db_text(node->node_id), db_i64(attempt));
	if (c)
		return c;
	if (db_rows_count(rows) == 0)
		return err_set(err, INVALID_ARGUMENT, "no task executions were listed [%s retry_attempt:%u]",
			       message_text(node, rq->arena), attempt);
	id->node_execution_id = (CoreNodeExecutionIdentifier *)node;
	id->task_id = resource_id(rq->arena, CORE_RESOURCE_TYPE_TASK, rows, 0, 0);
	id->retry_attempt = attempt;
	*ret = id;
	return OK;
}

/* ---- lists ---- */

static enum code run_list(struct request *rq, struct db *db, const AdminTaskExecutionListRequest *in, struct list *l,
			  AdminTaskExecutionList *ret, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	const char *token = "";
	enum code c = list_run(l, db, in->limit, in->token, &rows, &token, err);

	for (size_t i = 0; !c && i < db_rows_count(rows); i++) {
		AdminTaskExecution *t = pb_new(rq->arena, ADMIN_TASK_EXECUTION_DESC);
		c = read_task(rows, i, 2, in->node_execution_id->execution_id, rq->arena, t, err);
		if (!c)
			*PB_ADD(rq->arena, ret->task_executions, ret->n_task_executions) = t;
	}
	ret->token = (char *)token;
	return c;
}

/* A node that there is not has no task executions, and that is no error. */
static enum code admin_list_task_executions(struct request *rq, const AdminTaskExecutionListRequest *in,
					    AdminTaskExecutionList *ret, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_list struct list l;
	int64_t key = 0;
	struct err missing;

	list_init(&l, rq->arena, "ListTaskExecutions", ENTITIES);
	enum code c = check_node_execution_id(in->node_execution_id, err);
	if (!c)
		c = check_limit(in->limit, err);
	if (!c)
		c = db_take(admin_of(rq)->db, &db, err);
	if (c)
		return c;
	c = execution_key(db, in->node_execution_id->execution_id, &key, &missing);
	if (c && c != NOT_FOUND)
		return err_set(err, c, "%s", missing.text);
	list_select(&l, COLUMNS, "task_executions t", "t.id", in->sort_by);
	list_where(&l, "t.execution", db_i64(key));
	list_where(&l, "t.node_id", db_text(in->node_execution_id->node_id));
	c = list_filter(&l, in->filters, err);
	return c ? c : run_list(rq, db, in, &l, ret, err);
}
API_THUNK(admin_list_task_executions)

const struct api_binding admin_task_execution_rpcs[] = {
	{"GetTaskExecutionData", admin_get_task_execution_data_api},
	{"ListTaskExecutions", admin_list_task_executions_api},
	{0},
};
const struct api_together_binding admin_task_execution_lookups[] = {{"GetTaskExecution", get_task_executions}, {0}};

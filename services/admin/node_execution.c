/* Node executions: what the materialiser wrote, read back.
 * Source: flyteadmin pkg/manager/impl/node_execution_manager.go (v1.16.8). */
#include "execution.h"
#include "flyte/dynamic.h"
#include "flyte/text.h"
#include "lookup.h"
#include "materialise_fold.h"
#include "pb/pb.h"
#include "validation.h"

/* Of a dynamic workflow: as for any workflow. */
enum { MAX_COMPILED_BYTES = 1 << 30 };

#define COLUMNS "n.node_id, n.input_uri, n.metadata, n.closure"
/* An execution that there is not has no nodes either. */
#define BY_NODE                                                                                                        \
	" FROM node_executions n WHERE n.execution = "                                                                 \
	"(SELECT e.key FROM executions e WHERE e.project = $1 AND e.domain = $2 AND e.name = $3) AND n.node_id = $4"
#define NODE_KEY(id)                                                                                                   \
	db_text((id)->execution_id->project), db_text((id)->execution_id->domain), db_text((id)->execution_id->name),  \
		db_text((id)->node_id)

static const struct db_stmt GET = {"node_execution_get", "SELECT " COLUMNS BY_NODE};
static const struct db_stmt GET_DATA = {
	"node_execution_get_data",
	"SELECT " COLUMNS ", n.inputs, n.outputs, n.dynamic_workflow" BY_NODE,
};

static const char *const PHASES[] = {"UNDEFINED", "QUEUED",  "RUNNING",   "SUCCEEDED",       "FAILING",   "FAILED",
				     "ABORTED",   "SKIPPED", "TIMED_OUT", "DYNAMIC_RUNNING", "RECOVERED", NULL};

const struct list_column node_execution_columns[] = {
	EXECUTION_PROJECT("n"),
	EXECUTION_DOMAIN("n"),
	EXECUTION_NAME("n"),
	{"id", "n.id", .kind = COLUMN_I64},
	{"node_id", "n.node_id", .kind = COLUMN_TEXT},
	{"phase", "n.phase", COLUMN_I64, .words = PHASES},
	{"input_uri", "coalesce(n.input_uri, '')", .kind = COLUMN_TEXT},
	{"created_at", "n.created_at", .kind = COLUMN_TIME},
	{"node_execution_created_at", "n.created_at", .kind = COLUMN_TIME},
	{"started_at", "coalesce(n.started_at, 'epoch')", COLUMN_TIME, .nullable = "n.started_at",
	 .after = "n.created_at"},
	{"updated_at", "n.updated_at", COLUMN_TIME, .after = "n.created_at"},
	{"node_execution_updated_at", "n.updated_at", COLUMN_TIME, .after = "n.created_at"},
	{"duration", "coalesce(n.duration, 0)", .kind = COLUMN_DURATION},
	{"error_kind", "coalesce(n.error_kind, '')", COLUMN_TEXT, .nullable = "n.error_kind"},
	{"error_code", "coalesce(n.error_code, '')", COLUMN_TEXT, .nullable = "n.error_code"},
	{0},
};
static const struct list_entity ENTITIES[] = {
	{"node_execution", "ne", node_execution_columns, NULL},
	{"execution", "e", execution_columns, "SELECT FROM executions e WHERE e.key = n.execution"},
	{0},
};

enum code check_node_execution_id(const CoreNodeExecutionIdentifier *id, struct err *err)
{
	if (!id)
		return err_set(err, INVALID_ARGUMENT, "missing id");
	if (!id->execution_id)
		return err_set(err, INVALID_ARGUMENT, "missing execution_id");
	enum code c = check_text(id->node_id, "node_id", err);
	return c ? c : check_execution_id(id->execution_id, err);
}

static enum code missing_node(const CoreNodeExecutionIdentifier *id, struct err *err)
{
	auto_buf struct buf b = {0};

	message_add_text(id, &b);
	return err_set(err, NOT_FOUND, "missing entity of type node execution with identifier %s", buf_text(&b));
}

static enum code by_node(struct db *db, const struct db_stmt *stmt, const CoreNodeExecutionIdentifier *id,
			 struct db_rows **ret, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = check_node_execution_id(id, err);

	if (!c)
		c = db_query(db, stmt, &rows, err, NODE_KEY(id));
	if (!c && db_rows_count(rows) == 0)
		return missing_node(id, err);
	if (!c)
		*ret = take(rows);
	return c;
}

enum code node_execution_exists(struct db *db, const CoreNodeExecutionIdentifier *id, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;

	return by_node(db, &GET, id, &rows, err);
}

static enum code read_node(const struct db_rows *rows, size_t i, int col, CoreWorkflowExecutionIdentifier *execution,
			   struct arena *a, AdminNodeExecution *ret, struct err *err)
{
	ret->id = pb_new(a, CORE_NODE_EXECUTION_IDENTIFIER_DESC);
	ret->id->execution_id = execution;
	ret->id->node_id = db_get_text(rows, i, col, a);
	ret->input_uri = db_get_text(rows, i, col + 1, a);
	enum code c = pb_unpack_own(ADMIN_NODE_EXECUTION_META_DATA_DESC, db_get_str(rows, i, col + 2), a,
				    (void **)&ret->metadata, err);
	return c ? c
		 : pb_unpack_own(ADMIN_NODE_EXECUTION_CLOSURE_DESC, db_get_str(rows, i, col + 3), a,
				 (void **)&ret->closure, err);
}

static enum code node_key(struct request *rq, const void *in, struct db_param *ret, struct err *err)
{
	const CoreNodeExecutionIdentifier *id = ((const AdminNodeExecutionGetRequest *)in)->id;
	enum code c = check_node_execution_id(id, err);

	(void)rq;
	if (c)
		return c;
	const struct db_param params[] = {NODE_KEY(id)};
	memcpy(ret, params, sizeof params);
	return OK;
}

static enum code read_found(struct request *rq, const void *in, const struct db_rows *rows, void *ret, struct err *err)
{
	const CoreNodeExecutionIdentifier *id = ((const AdminNodeExecutionGetRequest *)in)->id;

	if (db_rows_count(rows) == 0)
		return missing_node(id, err);
	return read_node(rows, 0, 0, id->execution_id, rq->arena, ret, err);
}

static const struct lookup LOOKUP = {&GET, 4, node_key, read_found};

enum code admin_get_node_execution(struct request *rq, const AdminNodeExecutionGetRequest *in, AdminNodeExecution *ret,
				   struct err *err)
{
	return lookup_one(&LOOKUP, rq, in, ret, err);
}

static void get_node_executions(struct api_one *const *ones, size_t n)
{
	lookup_together(&LOOKUP, ones, n);
}

/* ---- data ---- */

static AdminFlyteURLs *node_urls(struct arena *a, const CoreNodeExecutionIdentifier *id, bool deck)
{
	AdminFlyteURLs *urls = pb_new(a, ADMIN_FLYTE_URLS_DESC);
	const CoreWorkflowExecutionIdentifier *x = id->execution_id;
	const char *base = arena_printf(a, "flyte://v1/%s/%s/%s/%s", x->project, x->domain, x->name, id->node_id);

	urls->inputs = arena_printf(a, "%s/i", base);
	urls->outputs = arena_printf(a, "%s/o", base);
	if (deck)
		urls->deck = arena_printf(a, "%s/d", base);
	return urls;
}

static enum code read_dynamic(const struct db_rows *rows, int col, struct arena *a,
			      AdminDynamicWorkflowNodeMetadata **ret, struct err *err)
{
	if (db_is_null(rows, 0, col))
		return OK;
	return pb_unpack_own(ADMIN_DYNAMIC_WORKFLOW_NODE_METADATA_DESC, db_get_str(rows, 0, col), a, (void **)ret, err);
}

/* A large workflow is not in the row, but in the store. */
static enum code read_compiled(struct request *rq, AdminDynamicWorkflowNodeMetadata *d, struct err *err)
{
	auto_buf struct buf b = {0};
	const char *uri = d->compiled_workflow ? NULL : compiled_futures_uri(rq->arena, d->dynamic_job_spec_uri);

	if (!uri)
		return OK;
	enum code c = store_get(admin_of(rq)->store, uri, MAX_COMPILED_BYTES, &b, err);
	if (!c)
		c = pb_unpack_own(CORE_COMPILED_WORKFLOW_CLOSURE_DESC, buf_str(&b), rq->arena,
				  (void **)&d->compiled_workflow, err);
	return c ? err_prefix(err, c, "dynamic workflow %s: ", uri) : OK;
}

enum code admin_get_node_execution_data(struct request *rq, const AdminNodeExecutionGetDataRequest *in,
					AdminNodeExecutionGetDataResponse *ret, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	AdminNodeExecution n = ADMIN_NODE_EXECUTION_INIT;
	struct err why;
	enum code c = db_take(admin_of(rq)->db, &db, err);

	if (!c)
		c = by_node(db, &GET_DATA, in->id, &rows, err);
	if (!c)
		c = read_node(rows, 0, 0, in->id->execution_id, rq->arena, &n, err);
	if (!c)
		c = read_dynamic(rows, 6, rq->arena, &ret->dynamic_workflow, err);
	if (c)
		return c;
	db_give(take(db)); /* reading files may take long */
	bool stored = n.closure->output_result_case == ADMIN_NODE_EXECUTION_CLOSURE_OUTPUT_RESULT_OUTPUT_URI;
	struct kept_data inputs = {db_get_str(rows, 0, 4), n.input_uri};
	struct kept_data outputs = {db_get_str(rows, 0, 5), stored ? n.closure->output_uri : NULL};
	ret->flyte_urls = node_urls(rq->arena, in->id, *n.closure->deck_uri);
	/* The data is there to be shown without the workflow too. */
	if (ret->dynamic_workflow && read_compiled(rq, ret->dynamic_workflow, &why) != OK)
		log_warn("cannot read what a dynamic node runs", LOG_ERR(&why));
	c = read_data(rq, &inputs, &ret->full_inputs, &ret->inputs, err);
	return c ? c : read_data(rq, &outputs, &ret->full_outputs, &ret->outputs, err);
}
API_THUNK(admin_get_node_execution_data)

static enum code admin_get_dynamic_node_workflow(struct request *rq, const AdminGetDynamicNodeWorkflowRequest *in,
						 AdminDynamicNodeWorkflowResponse *ret, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	AdminDynamicWorkflowNodeMetadata *dynamic = NULL;
	enum code c = db_take(admin_of(rq)->db, &db, err);

	if (!c)
		c = by_node(db, &GET_DATA, in->id, &rows, err);
	if (!c)
		c = read_dynamic(rows, 6, rq->arena, &dynamic, err);
	db_give(take(db)); /* reading a file may take long */
	if (!c && dynamic)
		c = read_compiled(rq, dynamic, err);
	if (!c && (!dynamic || !dynamic->compiled_workflow))
		return err_set(err, NOT_FOUND, "node does not contain dynamic workflow");
	if (!c)
		ret->compiled_workflow = dynamic->compiled_workflow;
	return c;
}
API_THUNK(admin_get_dynamic_node_workflow)

/* ---- lists ---- */

struct node_list {
	const CoreWorkflowExecutionIdentifier *execution;
	uint32_t limit;
	const char *token, *filters;
	const AdminSort *sort;
	const char *parent_node_id, *parent_task; /* "" for the nodes of the workflow itself */
};

static enum code run_list(struct request *rq, struct db *db, const struct node_list *what, struct list *l,
			  AdminNodeExecutionList *ret, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	const char *token = "";
	enum code c = list_run(l, db, what->limit, what->token, &rows, &token, err);

	for (size_t i = 0; !c && i < db_rows_count(rows); i++) {
		AdminNodeExecution *n = pb_new(rq->arena, ADMIN_NODE_EXECUTION_DESC);
		c = read_node(rows, i, 2, (CoreWorkflowExecutionIdentifier *)what->execution, rq->arena, n, err);
		if (c)
			return c;
		if (n->closure->output_result_case == ADMIN_NODE_EXECUTION_CLOSURE_OUTPUT_RESULT_ERROR)
			trim_error(n->closure->error);
		*PB_ADD(rq->arena, ret->node_executions, ret->n_node_executions) = n;
	}
	ret->token = (char *)token;
	return c;
}

/* An execution that there is not has no nodes, and that is no error. */
static enum code list_nodes(struct request *rq, struct db *db, const struct node_list *what,
			    AdminNodeExecutionList *ret, struct err *err)
{
	auto_list struct list l;
	int64_t key = 0;
	struct err missing;
	enum code c = execution_key(db, what->execution, &key, &missing);

	list_init(&l, rq->arena, "ListNodeExecutions", ENTITIES);
	if (c && c != NOT_FOUND)
		return err_set(err, c, "%s", missing.text);
	list_select(&l, COLUMNS, "node_executions n", "n.id", what->sort);
	list_where(&l, "n.execution + 0", db_i64(key)); /* see migrations/001_registry.sql */
	if (!*what->parent_task)
		list_where(&l, "n.parent_node_id", db_text(what->parent_node_id));
	if (!*what->parent_node_id)
		list_where(&l, "n.parent_task", db_text(what->parent_task));
	c = list_filter(&l, what->filters, err);
	return c ? c : run_list(rq, db, what, &l, ret, err);
}

static enum code check_parent(struct db *db, const AdminNodeExecutionListRequest *in, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	CoreNodeExecutionIdentifier parent = CORE_NODE_EXECUTION_IDENTIFIER_INIT;

	if (!*in->unique_parent_id)
		return OK;
	parent.execution_id = in->workflow_execution_id;
	parent.node_id = in->unique_parent_id;
	return by_node(db, &GET, &parent, &rows, err);
}

static enum code admin_list_node_executions(struct request *rq, const AdminNodeExecutionListRequest *in,
					    AdminNodeExecutionList *ret, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	struct node_list what = {
		.execution = in->workflow_execution_id,
		.limit = in->limit,
		.token = in->token,
		.filters = in->filters,
		.sort = in->sort_by,
		.parent_node_id = in->unique_parent_id,
		.parent_task = "",
	};
	if (check_execution_id(in->workflow_execution_id, NULL) != OK)
		return err_set(err, INVALID_ARGUMENT, "missing execution_id");
	enum code c = check_limit(in->limit, err);
	if (!c)
		c = db_take(admin_of(rq)->db, &db, err);
	if (!c)
		c = check_parent(db, in, err);
	return c ? c : list_nodes(rq, db, &what, ret, err);
}
API_THUNK(admin_list_node_executions)

static enum code admin_list_node_executions_for_task(struct request *rq, const AdminNodeExecutionForTaskListRequest *in,
						     AdminNodeExecutionList *ret, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	AdminTaskExecution parent = ADMIN_TASK_EXECUTION_INIT;
	AdminTaskExecutionGetRequest get = ADMIN_TASK_EXECUTION_GET_REQUEST_INIT;

	get.id = in->task_execution_id;
	enum code c = admin_get_task_execution(rq, &get, &parent, err);
	if (!c)
		c = check_limit(in->limit, err);
	if (!c)
		c = db_take(admin_of(rq)->db, &db, err);
	if (c)
		return c;
	struct node_list what = {
		.execution = in->task_execution_id->node_execution_id->execution_id,
		.limit = in->limit,
		.token = in->token,
		.filters = in->filters,
		.sort = in->sort_by,
		.parent_node_id = "",
		.parent_task = task_execution_text(rq->arena, in->task_execution_id),
	};
	return list_nodes(rq, db, &what, ret, err);
}
API_THUNK(admin_list_node_executions_for_task)

const struct api_binding admin_node_execution_rpcs[] = {
	{"GetNodeExecutionData", admin_get_node_execution_data_api},
	{"GetDynamicNodeWorkflow", admin_get_dynamic_node_workflow_api},
	{"ListNodeExecutions", admin_list_node_executions_api},
	{"ListNodeExecutionsForTask", admin_list_node_executions_for_task_api},
	{0},
};
const struct api_together_binding admin_node_execution_lookups[] = {{"GetNodeExecution", get_node_executions}, {0}};

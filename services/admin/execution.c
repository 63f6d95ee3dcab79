/* Executions: reading, listing, archiving, terminating.
 * Source: flyteadmin pkg/manager/impl/execution_manager.go (v1.16.8). */
#include "execution.h"

#include "flyte/shard.h"
#include "flyte/text.h"
#include "lookup.h"
#include "materialise_fold.h"
#include "pb/pb.h"
#include "resource.h"
#include "validation.h"

#define COLUMNS                                                                                                        \
	"e.project, e.domain, e.name, e.phase, e.created_at, e.started_at, e.updated_at, e.duration, e.error, "        \
	"e.outputs_uri, e.outputs, e.abort_cause, e.abort_principal, e.state, e.state_changed_at, e.state_principal, " \
	"e.spec, e.closure"
/* Places of those columns after what is selected before them. */
enum {
	PROJECT,
	DOMAIN_,
	NAME,
	PHASE,
	CREATED_AT,
	STARTED_AT,
	UPDATED_AT,
	DURATION,
	ERROR,
	OUTPUTS_URI,
	OUTPUTS,
	ABORT_CAUSE,
	ABORT_PRINCIPAL,
	STATE,
	STATE_CHANGED_AT,
	STATE_PRINCIPAL,
	SPEC,
	CLOSURE,
};
#define BY_NAME " FROM executions e WHERE e.project = $1 AND e.domain = $2 AND e.name = $3"

static const struct db_stmt GET = {"execution_get", "SELECT " COLUMNS BY_NAME};
static const struct db_stmt GET_KEY = {"execution_key", "SELECT e.key, e.phase" BY_NAME};
static const struct db_stmt GET_DATA = {"execution_get_data",
					"SELECT e.inputs_uri, e.inputs, e.outputs_uri, e.outputs" BY_NAME};
static const struct db_stmt UPDATE = {
	"execution_update",
	"UPDATE executions SET state = $4, state_changed_at = $5, state_principal = $6 "
	"WHERE project = $1 AND domain = $2 AND name = $3",
};
/* The phases 4, 6, 7 and 8 are terminal, 9 is ABORTING. */
static const struct db_stmt TERMINATE = {
	"execution_terminate",
	"WITH e AS (UPDATE executions SET phase = 9, abort_cause = $2, abort_principal = $3 "
	"WHERE key = $1 AND phase NOT IN (4, 6, 7, 8) RETURNING key) "
	"INSERT INTO outbox (key, subject, payload) SELECT -key, $4, $5 FROM e RETURNING id",
};

static const char *const PHASES[] = {"UNDEFINED", "QUEUED",  "RUNNING",   "SUCCEEDING", "SUCCEEDED", "FAILING",
				     "FAILED",    "ABORTED", "TIMED_OUT", "ABORTING",   NULL};
static const char *const STATES[] = {"EXECUTION_ACTIVE", "EXECUTION_ARCHIVED", NULL};

static const struct list_column CREATED_AT_COLUMN = {"created_at", "e.created_at", .kind = COLUMN_TIME};
const struct list_column execution_columns[] = {
	{"id", "e.key", .kind = COLUMN_I64},
	{"project", "e.project", .kind = COLUMN_TEXT},
	{"domain", "e.domain", .kind = COLUMN_TEXT},
	{"name", "e.name", .kind = COLUMN_TEXT},
	{"execution_project", "e.project", .kind = COLUMN_TEXT},
	{"execution_domain", "e.domain", .kind = COLUMN_TEXT},
	{"execution_name", "e.name", .kind = COLUMN_TEXT},
	{"phase", "e.phase", COLUMN_I64, .words = PHASES},
	{"state", "e.state", COLUMN_I64, .words = STATES},
	{"mode", "e.mode", .kind = COLUMN_I64},
	{"created_at", "e.created_at", .kind = COLUMN_TIME},
	{"execution_created_at", "e.created_at", .kind = COLUMN_TIME},
	{"started_at", "coalesce(e.started_at, 'epoch')", COLUMN_TIME, .nullable = "e.started_at",
	 .after = "e.created_at"},
	{"updated_at", "e.updated_at", COLUMN_TIME, .after = "e.created_at"},
	{"execution_updated_at", "e.updated_at", COLUMN_TIME, .after = "e.created_at"},
	{"duration", "coalesce(e.duration, 0)", .kind = COLUMN_DURATION},
	{"user", "e.principal", .kind = COLUMN_TEXT},
	{"launch_entity", "e.launch_entity", .kind = COLUMN_TEXT},
	{"abort_cause", "coalesce(e.abort_cause, '')", .kind = COLUMN_TEXT},
	{"error_kind", "coalesce(e.error_kind, '')", COLUMN_TEXT, .nullable = "e.error_kind"},
	{"error_code", "coalesce(e.error_code, '')", COLUMN_TEXT, .nullable = "e.error_code"},
	{0},
};
static const struct list_column WORKFLOW_COLUMNS[] = {
	{"name", "e.workflow_name", .kind = COLUMN_TEXT},
	{"version", "e.workflow_version", .kind = COLUMN_TEXT},
	{0},
};
static const struct list_column LAUNCH_PLAN_COLUMNS[] = {
	{"name", "e.launch_plan_name", .kind = COLUMN_TEXT},
	{"version", "e.launch_plan_version", .kind = COLUMN_TEXT},
	{0},
};
static const struct list_column TASK_COLUMNS[] = {
	{"name", "e.task_name", .kind = COLUMN_TEXT},
	{"version", "e.task_version", .kind = COLUMN_TEXT},
	{0},
};
static const struct list_column TAG_COLUMNS[] = {
	{"key", "et.key", .kind = COLUMN_TEXT},
	{"value", "et.value", .kind = COLUMN_TEXT},
	{0},
};
static const struct list_column ADMIN_TAG_COLUMNS[] = {
	{"name", "et.key", .kind = COLUMN_TEXT},
	{0},
};
#define WITH_TAG "SELECT FROM execution_tags et WHERE et.execution = e.key"
static const struct list_entity ENTITIES[] = {
	{"execution", "e", execution_columns, NULL},
	{"workflow", "w", WORKFLOW_COLUMNS, NULL},
	{"launch_plan", "l", LAUNCH_PLAN_COLUMNS, NULL},
	{"task", "t", TASK_COLUMNS, NULL},
	{"execution_tag", "et", TAG_COLUMNS, WITH_TAG},
	{"admin_tag", "at", ADMIN_TAG_COLUMNS, WITH_TAG},
	{0},
};

/* ---- identifiers ---- */

enum code check_execution_id(const CoreWorkflowExecutionIdentifier *id, struct err *err)
{
	if (!id)
		return err_set(err, INVALID_ARGUMENT, "missing id");
	enum code c = check_text(id->project, "project", err);
	if (!c)
		c = check_text(id->domain, "domain", err);
	return c ? c : check_text(id->name, "name", err);
}

enum code missing_execution(const CoreWorkflowExecutionIdentifier *id, struct err *err)
{
	auto_buf struct buf b = {0};

	message_add_text(id, &b);
	return err_set(err, NOT_FOUND, "missing entity of type execution with identifier %s", buf_text(&b));
}

/* One row of a statement by name. */
enum code execution_by_name(struct db *db, const struct db_stmt *stmt, const CoreWorkflowExecutionIdentifier *id,
			    struct db_rows **ret, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = check_execution_id(id, err);

	if (!c)
		c = db_query(db, stmt, &rows, err, db_text(id->project), db_text(id->domain), db_text(id->name));
	if (c)
		return c;
	if (db_rows_count(rows) == 0)
		return missing_execution(id, err);
	*ret = take(rows);
	return OK;
}

enum code execution_key(struct db *db, const CoreWorkflowExecutionIdentifier *id, int64_t *ret, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = execution_by_name(db, &GET_KEY, id, &rows, err);

	if (!c)
		*ret = db_get_i64(rows, 0, 0);
	return c;
}

/* ---- rows ---- */

/* At a character's end. */
void trim_error(CoreExecutionError *e)
{
	size_t n = TRIMMED_ERROR_BYTES;

	if (!e || strlen(e->message) <= n)
		return;
	while (n && ((unsigned char)e->message[n] & 0xc0) == 0x80)
		n--;
	e->message[n] = '\0';
}

/* Aborted ones say by whom and why, others what came of them. */
static enum code set_result(const struct db_rows *rows, size_t i, int col, struct arena *a, AdminExecutionClosure *c,
			    struct err *err)
{
	enum code code = OK;

	if (c->phase == CORE_WORKFLOW_EXECUTION_PHASE_ABORTED || c->phase == CORE_WORKFLOW_EXECUTION_PHASE_ABORTING) {
		c->output_result_case = ADMIN_EXECUTION_CLOSURE_OUTPUT_RESULT_ABORT_METADATA;
		c->abort_metadata = pb_new(a, ADMIN_ABORT_METADATA_DESC);
		c->abort_metadata->cause = db_get_text(rows, i, col + ABORT_CAUSE, a);
		c->abort_metadata->principal = db_get_text(rows, i, col + ABORT_PRINCIPAL, a);
	} else if (!db_is_null(rows, i, col + ERROR)) {
		c->output_result_case = ADMIN_EXECUTION_CLOSURE_OUTPUT_RESULT_ERROR;
		code = pb_unpack_own(CORE_EXECUTION_ERROR_DESC, db_get_str(rows, i, col + ERROR), a, (void **)&c->error,
				     err);
	} else if (!db_is_null(rows, i, col + OUTPUTS_URI)) {
		c->output_result_case = ADMIN_EXECUTION_CLOSURE_OUTPUT_RESULT_OUTPUTS;
		c->outputs = pb_new(a, ADMIN_LITERAL_MAP_BLOB_DESC);
		c->outputs->data_case = ADMIN_LITERAL_MAP_BLOB_DATA_URI;
		c->outputs->uri = db_get_text(rows, i, col + OUTPUTS_URI, a);
	} else if (!db_is_null(rows, i, col + OUTPUTS)) {
		c->output_result_case = ADMIN_EXECUTION_CLOSURE_OUTPUT_RESULT_OUTPUT_DATA;
		code = pb_unpack_own(CORE_LITERAL_MAP_DESC, db_get_str(rows, i, col + OUTPUTS), a,
				     (void **)&c->output_data, err);
	}
	return code;
}

static PbTimestamp *get_time(const struct db_rows *rows, size_t i, int col, struct arena *a)
{
	return db_is_null(rows, i, col) ? NULL : pb_timestamp(a, db_get_time_us(rows, i, col));
}

static enum code read_closure(const struct db_rows *rows, size_t i, int col, struct arena *a,
			      AdminExecutionClosure **ret, struct err *err)
{
	AdminExecutionClosure *c = NULL;
	enum code code =
		pb_unpack_own(ADMIN_EXECUTION_CLOSURE_DESC, db_get_str(rows, i, col + CLOSURE), a, (void **)&c, err);

	if (code)
		return code;
	c->phase = (CoreWorkflowExecutionPhase)db_get_i64(rows, i, col + PHASE);
	c->created_at = get_time(rows, i, col + CREATED_AT, a);
	c->started_at = get_time(rows, i, col + STARTED_AT, a);
	c->updated_at = get_time(rows, i, col + UPDATED_AT, a);
	if (!db_is_null(rows, i, col + DURATION))
		c->duration = pb_duration(a, db_get_i64(rows, i, col + DURATION));
	c->state_change_details = pb_new(a, ADMIN_EXECUTION_STATE_CHANGE_DETAILS_DESC);
	c->state_change_details->state = (AdminExecutionState)db_get_i64(rows, i, col + STATE);
	c->state_change_details->occurred_at = get_time(rows, i, col + STATE_CHANGED_AT, a);
	c->state_change_details->principal = db_get_text(rows, i, col + STATE_PRINCIPAL, a);
	*ret = c;
	return set_result(rows, i, col, a, c, err);
}

static enum code read_execution(const struct db_rows *rows, size_t i, int col, struct arena *a, AdminExecution *ret,
				struct err *err)
{
	ret->id = pb_new(a, CORE_WORKFLOW_EXECUTION_IDENTIFIER_DESC);
	ret->id->project = db_get_text(rows, i, col + PROJECT, a);
	ret->id->domain = db_get_text(rows, i, col + DOMAIN_, a);
	ret->id->name = db_get_text(rows, i, col + NAME, a);
	enum code c =
		pb_unpack_own(ADMIN_EXECUTION_SPEC_DESC, db_get_str(rows, i, col + SPEC), a, (void **)&ret->spec, err);
	return c ? c : read_closure(rows, i, col, a, &ret->closure, err);
}

/* ---- handlers ---- */

static enum code execution_id_params(struct request *rq, const void *in, struct db_param *ret, struct err *err)
{
	const CoreWorkflowExecutionIdentifier *id = ((const AdminWorkflowExecutionGetRequest *)in)->id;
	enum code c = check_execution_id(id, err);

	(void)rq;
	if (c)
		return c;
	ret[0] = db_text(id->project);
	ret[1] = db_text(id->domain);
	ret[2] = db_text(id->name);
	return OK;
}

static enum code read_found(struct request *rq, const void *in, const struct db_rows *rows, void *ret, struct err *err)
{
	if (db_rows_count(rows) == 0)
		return missing_execution(((const AdminWorkflowExecutionGetRequest *)in)->id, err);
	return read_execution(rows, 0, 0, rq->arena, ret, err);
}

static const struct lookup LOOKUP = {&GET, 3, execution_id_params, read_found};

enum code admin_get_execution(struct request *rq, const AdminWorkflowExecutionGetRequest *in, AdminExecution *ret,
			      struct err *err)
{
	return lookup_one(&LOOKUP, rq, in, ret, err);
}

static void get_executions(struct api_one *const *ones, size_t n)
{
	lookup_together(&LOOKUP, ones, n);
}

static struct kept_data kept(const struct db_rows *rows, int uri, int packed, struct arena *a)
{
	return (struct kept_data){.packed = db_get_str(rows, 0, packed), .uri = db_get_text(rows, 0, uri, a)};
}

static enum code admin_get_execution_data(struct request *rq, const AdminWorkflowExecutionGetDataRequest *in,
					  AdminWorkflowExecutionGetDataResponse *ret, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = db_take(admin_of(rq)->db, &db, err);

	if (!c)
		c = execution_by_name(db, &GET_DATA, in->id, &rows, err);
	if (c)
		return c;
	db_give(take(db)); /* reading files may take long */
	struct kept_data inputs = kept(rows, 0, 1, rq->arena), outputs = kept(rows, 2, 3, rq->arena);
	c = read_data(rq, &inputs, &ret->full_inputs, &ret->inputs, err);
	return c ? c : read_data(rq, &outputs, &ret->full_outputs, &ret->outputs, err);
}
API_THUNK(admin_get_execution_data)

static enum code run_list(struct request *rq, struct db *db, const AdminResourceListRequest *in, struct list *l,
			  AdminExecutionList *ret, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	const char *token = "";
	enum code c = list_run(l, db, in->limit, in->token, &rows, &token, err);

	for (size_t i = 0; !c && i < db_rows_count(rows); i++) {
		AdminExecution *x = pb_new(rq->arena, ADMIN_EXECUTION_DESC);
		c = read_execution(rows, i, 2, rq->arena, x, err);
		if (c)
			return c;
		x->spec->inputs = NULL;
		if (x->closure->output_result_case == ADMIN_EXECUTION_CLOSURE_OUTPUT_RESULT_ERROR)
			trim_error(x->closure->error);
		*PB_ADD(rq->arena, ret->executions, ret->n_executions) = x;
	}
	ret->token = (char *)token;
	return c;
}

/* Only who asks for names is shown their index (migrations/001_registry.sql says why), and for an order by name the
 * others as well: few rows may be left to sort. */
static void add_scope(struct list *l, const AdminResourceListRequest *in)
{
	bool named = *in->id->name || list_filters(l, in->filters, "e.name", true);
	bool by_name = l->sort && strcmp(l->sort->sql, "e.name") == 0;

	if (!named)
		list_where_scope(l, "e", in->id->project, in->id->domain);
	if (named || by_name) {
		list_where(l, "e.project", db_text(in->id->project));
		list_where(l, "e.domain", db_text(in->id->domain));
	}
	if (*in->id->name)
		list_where(l, "e.name", db_text(in->id->name));
}

static enum code admin_list_executions(struct request *rq, const AdminResourceListRequest *in, AdminExecutionList *ret,
				       struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_list struct list l = {0};
	enum code c = check_list_request(in, err);

	if (c)
		return c;
	list_init(&l, rq->arena, "ListExecutions", ENTITIES);
	list_then_by(&l, &CREATED_AT_COLUMN);
	list_select(&l, COLUMNS, "executions e", "e.key", in->sort_by);
	add_scope(&l, in);
	if (!list_filters(&l, in->filters, "e.state", false))
		list_where_sql(&l, "e.state = 0");
	c = list_filter(&l, in->filters, err);
	if (!c)
		c = db_take(admin_of(rq)->db, &db, err);
	return c ? c : run_list(rq, db, in, &l, ret, err);
}
API_THUNK(admin_list_executions)

static enum code admin_update_execution(struct request *rq, const AdminExecutionUpdateRequest *in,
					AdminExecutionUpdateResponse *ret, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	int64_t affected = 0;
	enum code c = check_execution_id(in->id, err);

	(void)ret;
	if (!c && (unsigned)in->state > ADMIN_EXECUTION_STATE_EXECUTION_ARCHIVED)
		c = err_set(err, INVALID_ARGUMENT, "invalid value for state");
	if (!c)
		c = db_take(admin_of(rq)->db, &db, err);
	if (!c)
		c = db_exec(db, &UPDATE, &affected, err, db_text(in->id->project), db_text(in->id->domain),
			    db_text(in->id->name), db_i32((int32_t)in->state), db_time(time_now_us()),
			    db_text(rq->principal));
	if (!c && affected == 0)
		c = missing_execution(in->id, err);
	return c;
}
API_THUNK(admin_update_execution)

/* ---- termination ---- */

struct str abort_command(struct request *rq, int64_t key, const AdminExecutionTerminateRequest *in)
{
	AlulaCommand command = ALULA_COMMAND_INIT;
	AlulaAbortExecution abort = ALULA_ABORT_EXECUTION_INIT;

	abort.cause = in->cause;
	abort.principal = (char *)rq->principal;
	command.execution = key;
	command.id = in->id;
	command.command_case = ALULA_COMMAND_COMMAND_ABORT;
	command.abort = &abort;
	return pb_pack(&command, rq->arena);
}

static enum code already_terminated(struct request *rq, int64_t phase, struct err *err)
{
	const char *name = phase >= 0 && phase < (int64_t)ARRAY_SIZE(PHASES) - 1 ? PHASES[phase] : PHASES[0];

	detail_terminal(rq, name);
	return err_set(err, FAILED_PRECONDITION, "Cannot abort an already terminated workflow execution (phase %s)",
		       name);
}

/* The outbox row has minus the key: an arrived start forgets what has its key, and an abort is not that. */
static enum code write_abort(struct request *rq, struct db *db, int64_t key, const AdminExecutionTerminateRequest *in,
			     struct outbox_rows *sent, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	struct str command = abort_command(rq, key, in);
	char subject[SUBJECT_BYTES];

	subject_commands(execution_shard(key), subject);
	enum code c = db_query(db, &TERMINATE, &rows, err, db_i64(key), db_text(in->cause), db_text(rq->principal),
			       db_text(subject), db_bytea(command));
	if (c)
		return c;
	if (db_rows_count(rows) == 0)
		return err_set(err, FAILED_PRECONDITION, "Cannot abort an already terminated workflow execution");
	outbox_note(sent, db_get_i64(rows, 0, 0), subject, command);
	return OK;
}

static enum code admin_terminate_execution(struct request *rq, const AdminExecutionTerminateRequest *in,
					   AdminExecutionTerminateResponse *ret, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	auto_outbox_rows struct outbox_rows sent = {0};
	struct admin *admin = admin_of(rq);
	enum code c = db_take(admin->db, &db, err);

	(void)ret;
	if (!c)
		c = execution_by_name(db, &GET_KEY, in->id, &rows, err);
	if (!c && execution_phase_terminal((int32_t)db_get_i64(rows, 0, 1)))
		c = already_terminated(rq, db_get_i64(rows, 0, 1), err);
	if (!c)
		c = write_abort(rq, db, db_get_i64(rows, 0, 0), in, &sent, err);
	if (!c)
		outbox_send(admin->outbox, &sent);
	return c;
}
API_THUNK(admin_terminate_execution)

const struct api_binding admin_execution_rpcs[] = {
	{"GetExecutionData", admin_get_execution_data_api},
	{"ListExecutions", admin_list_executions_api},
	{"UpdateExecution", admin_update_execution_api},
	{"TerminateExecution", admin_terminate_execution_api},
	{0},
};
const struct api_together_binding admin_execution_lookups[] = {{"GetExecution", get_executions}, {0}};

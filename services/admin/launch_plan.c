/* Launch plans. Source: flyteadmin pkg/manager/impl/launch_plan_manager.go (v1.16.8). */
#include "launch_plan.h"

#include <string.h>

#include "flyte/identifier.h"
#include "lookup.h"
#include "named_entity.h"
#include "pb/pb.h"
#include "resource.h"
#include "validation.h"
#include "workflow.h"

#define PLAN_COLUMNS "t.project, t.domain, t.name, t.version, t.spec, t.closure, t.state, t.created_at, t.updated_at"
/* Fields that flyteidl calls deprecated, and clients still send. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

enum { N_PLAN_COLUMNS = 9 };

static const struct db_stmt CREATE = {
	"launch_plan_create",
	"WITH made AS (INSERT INTO launch_plans (project, domain, name, version, workflow_id, digest, spec, closure, "
	"schedule_type) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING id), "
	"named AS (INSERT INTO named_entities (resource_type, project, domain, name) SELECT 3, $1, $2, $3 FROM made "
	"WHERE NOT EXISTS (SELECT FROM named_entities WHERE resource_type = 3 AND project = $1 AND domain = $2 AND "
	"name = $3) ON CONFLICT DO NOTHING) "
	"SELECT EXISTS (SELECT FROM made)",
};
static const struct db_stmt DIGEST = {
	"launch_plan_digest",
	"SELECT digest, spec FROM launch_plans WHERE project = $1 AND domain = $2 AND name = $3 AND version = $4",
};
static const struct db_stmt GET = {
	"launch_plan_get",
	"SELECT " PLAN_COLUMNS " FROM launch_plans t "
	"WHERE t.project = $1 AND t.domain = $2 AND t.name = $3 AND t.version = $4",
};
static const struct db_stmt GET_WITH_WORKFLOW = {
	"launch_plan_get_with_workflow",
	"SELECT t.id, " PLAN_COLUMNS ", " WORKFLOW_COLUMNS
	" FROM launch_plans t JOIN workflows w ON w.id = t.workflow_id "
	"WHERE t.project = $1 AND t.domain = $2 AND t.name = $3 AND t.version = $4",
};
static const struct db_stmt GET_ACTIVE = {
	"launch_plan_get_active",
	"SELECT " PLAN_COLUMNS
	" FROM launch_plans t WHERE t.project = $1 AND t.domain = $2 AND t.name = $3 AND t.state = 1",
};
/* Activations of one name queue up here; it lasts to the end of the transaction. */
static const struct db_stmt LOCK_NAME = {
	"launch_plan_lock_name",
	"SELECT pg_advisory_xact_lock(hashtextextended('launch_plan:' || $1 || ':' || $2 || ':' || $3, 0))",
};
static const struct db_stmt DEACTIVATE_OTHERS = {
	"launch_plan_deactivate_others",
	"UPDATE launch_plans SET state = 0, updated_at = now() "
	"WHERE project = $1 AND domain = $2 AND name = $3 AND version <> $4 AND state = 1",
};
static const struct db_stmt SET_STATE = {
	"launch_plan_set_state",
	"UPDATE launch_plans SET state = $5, updated_at = now() "
	"WHERE project = $1 AND domain = $2 AND name = $3 AND version = $4",
};

static const struct list_column PLAN_LIST_COLUMNS[] = {
	RESOURCE_COLUMNS,
	{"updated_at", "t.updated_at", .kind = COLUMN_TIME},
	{"state", "t.state", .kind = COLUMN_I64},
	{"workflow_id", "t.workflow_id", .kind = COLUMN_I64},
	{"schedule_type", "t.schedule_type", .kind = COLUMN_TEXT},
	{0},
};
static const struct list_column WORKFLOW_JOIN_COLUMNS[] = {
	{"id", "w.id", .kind = COLUMN_I64},
	{"project", "w.project", .kind = COLUMN_TEXT},
	{"domain", "w.domain", .kind = COLUMN_TEXT},
	{"name", "w.name", .kind = COLUMN_TEXT},
	{"version", "w.version", .kind = COLUMN_TEXT},
	{"created_at", "w.created_at", .kind = COLUMN_TIME},
	{"updated_at", "w.created_at", .kind = COLUMN_TIME},
	{0},
};
static const struct list_entity PLAN_ENTITIES[] = {
	{"launch_plan", "l", PLAN_LIST_COLUMNS, NULL},
	{"workflow", "w", WORKFLOW_JOIN_COLUMNS, NULL},
	{0},
};

/* ---- registering ---- */

static const char *schedule_type(const AdminLaunchPlanSpec *spec)
{
	const AdminSchedule *s = spec->entity_metadata ? spec->entity_metadata->schedule : NULL;

	if (!s)
		return "NONE";
	switch (s->schedule_expression_case) {
	case ADMIN_SCHEDULE_SCHEDULE_EXPRESSION_RATE: return "RATE";
	case ADMIN_SCHEDULE_SCHEDULE_EXPRESSION_CRON_SCHEDULE: return "CRON";
	case ADMIN_SCHEDULE_SCHEDULE_EXPRESSION_CRON_EXPRESSION: return *s->cron_expression ? "CRON" : "NONE";
	default: return "NONE";
	}
}

static enum code compare_plan(struct request *rq, struct db *db, const AdminLaunchPlan *plan,
			      const uint8_t digest[DIGEST_BYTES], bool *ret_found, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	void *old = NULL;
	enum code c = db_query(db, &DIGEST, &rows, err, ID_PARAMS(plan->id));

	if (c)
		return c;
	*ret_found = db_rows_count(rows);
	if (!*ret_found)
		return OK;
	bool same = str_eq(db_get_str(rows, 0, 0), (struct str){(const char *)digest, DIGEST_BYTES});
	if (!same)
		c = pb_unpack_own(ADMIN_LAUNCH_PLAN_SPEC_DESC, db_get_str(rows, 0, 1), rq->arena, &old, err);
	return c ? c : already_registered("launch plan", plan->id->name, same, old, plan->spec, err);
}

static enum code insert_plan(struct request *rq, struct db *db, const AdminLaunchPlan *plan, int64_t workflow_key,
			     struct err *err)
{
	auto_free(db_rows_free) struct db_rows *made = NULL;
	uint8_t digest[DIGEST_BYTES];
	bool found = false;

	pb_digest(plan, digest);
	enum code c = db_query(db, &CREATE, &made, err, ID_PARAMS(plan->id), db_i64(workflow_key),
			       db_bytea((struct str){(char *)digest, sizeof digest}),
			       db_bytea(pb_pack(plan->spec, rq->arena)), db_bytea(pb_pack(plan->closure, rq->arena)),
			       db_text(schedule_type(plan->spec)));
	if (c || db_get_bool(made, 0, 0))
		return c;
	c = compare_plan(rq, db, plan, digest, &found, err);
	return c || found ? c : err_set(err, ABORTED, "launch plan %s was being changed: try again", plan->id->name);
}

enum code create_launch_plan(struct request *rq, struct db *db, const AdminLaunchPlanCreateRequest *in,
			     const struct registered_workflow *workflow, struct err *err)
{
	AdminLaunchPlan plan = ADMIN_LAUNCH_PLAN_INIT;
	AdminLaunchPlanClosure closure = ADMIN_LAUNCH_PLAN_CLOSURE_INIT;
	CoreParameterMap *expected = NULL;
	enum code c = check_labels(in->spec->labels, err);

	if (!c)
		c = expected_inputs(in->spec, workflow->interface->inputs, rq->arena, &expected, err);
	if (!c)
		c = check_schedule(in->spec, expected, rq->arena, err);
	if (!c && in->spec->entity_metadata)
		c = check_notifications(in->spec->entity_metadata->notifications,
					in->spec->entity_metadata->n_notifications, err);
	if (!c && in->spec->entity_metadata && in->spec->entity_metadata->launch_conditions)
		c = err_set(err, INVALID_ARGUMENT, "Launch condition must be empty, found %s",
			    in->spec->entity_metadata->launch_conditions->type_url);
	if (c)
		return c;
	in->spec->default_inputs = expected;
	closure.expected_inputs = expected;
	closure.expected_outputs = workflow->interface->outputs;
	plan.id = in->id;
	plan.spec = in->spec;
	plan.closure = &closure;
	return insert_plan(rq, db, &plan, workflow->key, err);
}

static enum code admin_create_launch_plan(struct request *rq, const AdminLaunchPlanCreateRequest *in,
					  AdminLaunchPlanCreateResponse *ret, struct err *err)
{
	(void)ret;
	auto_free(db_give) struct db *db = NULL;
	struct registered_workflow workflow;
	enum code c = check_identifier(in->id, CORE_RESOURCE_TYPE_LAUNCH_PLAN, rq->arena, err);

	if (!c && !in->spec)
		c = err_set(err, INVALID_ARGUMENT, "missing spec");
	if (!c)
		c = db_take(admin_of(rq)->db, &db, err);
	if (!c)
		c = check_project_domain(rq, db, in->id->project, in->id->domain, err);
	if (!c)
		c = registry_workflow(rq, db, in->spec->workflow_id, &workflow, err);
	return c ? c : create_launch_plan(rq, db, in, &workflow, err);
}
API_THUNK(admin_create_launch_plan)

/* ---- reading ---- */

/* PLAN_COLUMNS start at `col`. */
static enum code fill_plan(struct request *rq, const struct db_rows *rows, size_t row, int col, AdminLaunchPlan *ret,
			   struct err *err)
{
	enum code c = pb_unpack_own(ADMIN_LAUNCH_PLAN_SPEC_DESC, db_get_str(rows, row, col + 4), rq->arena,
				    (void **)&ret->spec, err);
	if (!c)
		c = pb_unpack_own(ADMIN_LAUNCH_PLAN_CLOSURE_DESC, db_get_str(rows, row, col + 5), rq->arena,
				  (void **)&ret->closure, err);
	if (c)
		return c;
	ret->id = resource_id(rq->arena, CORE_RESOURCE_TYPE_LAUNCH_PLAN, rows, row, col);
	ret->closure->state = (AdminLaunchPlanState)db_get_i64(rows, row, col + 6);
	ret->closure->created_at = pb_timestamp(rq->arena, db_get_time_us(rows, row, col + 7));
	ret->closure->updated_at = pb_timestamp(rq->arena, db_get_time_us(rows, row, col + 8));
	return OK;
}

static enum code plan_key(struct request *rq, const void *in, struct db_param *ret, struct err *err)
{
	return resource_key(rq, CORE_RESOURCE_TYPE_LAUNCH_PLAN, in, ret, err);
}

static enum code read_plan(struct request *rq, const void *in, const struct db_rows *rows, void *ret, struct err *err)
{
	if (db_rows_count(rows) == 0)
		return resource_missing(rq, CORE_RESOURCE_TYPE_LAUNCH_PLAN, in, err);
	return fill_plan(rq, rows, 0, 0, ret, err);
}

static void get_launch_plans(struct api_one *const *ones, size_t n)
{
	static const struct lookup LOOKUP = {&GET, 4, plan_key, read_plan};

	lookup_together(&LOOKUP, ones, n);
}

enum code registry_launch_plan(struct request *rq, struct db *db, const CoreIdentifier *id,
			       struct registered_launch_plan *ret, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = check_identifier(id, CORE_RESOURCE_TYPE_LAUNCH_PLAN, rq->arena, err);

	if (!c)
		c = db_query(db, &GET_WITH_WORKFLOW, &rows, err, ID_PARAMS(id));
	if (!c && !db_rows_count(rows))
		c = missing_entity(id, CORE_RESOURCE_TYPE_LAUNCH_PLAN, rq->arena, err);
	if (c)
		return c;
	ret->key = db_get_i64(rows, 0, 0);
	ret->launch_plan = pb_new(rq->arena, ADMIN_LAUNCH_PLAN_DESC);
	c = fill_plan(rq, rows, 0, 1, ret->launch_plan, err);
	return c ? c : fill_workflow(rq, rows, 0, 1 + N_PLAN_COLUMNS, &ret->workflow, err);
}

static enum code admin_get_active_launch_plan(struct request *rq, const AdminActiveLaunchPlanRequest *in,
					      AdminLaunchPlan *ret, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	const AdminNamedEntityIdentifier *id = in->id;
	enum code c = check_entity_identifier(id, err);

	if (!c)
		c = db_take(admin_of(rq)->db, &db, err);
	if (!c)
		c = db_query(db, &GET_ACTIVE, &rows, err, db_text(id->project), db_text(id->domain), db_text(id->name));
	if (!c && !db_rows_count(rows))
		c = err_set(err, NOT_FOUND, "No active launch plan could be found: %s:%s:%s", id->project, id->domain,
			    id->name);
	return c ? c : fill_plan(rq, rows, 0, 0, ret, err);
}
API_THUNK(admin_get_active_launch_plan)

/* ---- lists ---- */

static void start_list(struct list *l, struct request *rq, const char *what, const AdminSort *sort)
{
	list_init(l, rq->arena, what, PLAN_ENTITIES);
	list_select(l, PLAN_COLUMNS, "launch_plans t JOIN workflows w ON w.id = t.workflow_id", "t.id", sort);
}

static enum code fill_plans(struct request *rq, const struct db_rows *rows, const char *token, AdminLaunchPlanList *ret,
			    struct err *err)
{
	enum code c = OK;

	for (size_t i = 0; !c && i < db_rows_count(rows); i++) {
		AdminLaunchPlan *plan = pb_new(rq->arena, ADMIN_LAUNCH_PLAN_DESC);
		c = fill_plan(rq, rows, i, 2, plan, err);
		*PB_ADD(rq->arena, ret->launch_plans, ret->n_launch_plans) = plan;
	}
	ret->token = (char *)token;
	return c;
}

static enum code admin_list_launch_plans(struct request *rq, const AdminResourceListRequest *in,
					 AdminLaunchPlanList *ret, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	auto_list struct list l = {0};
	const char *token = "";
	enum code c = check_list_request(in, err);

	start_list(&l, rq, "ListLaunchPlans", in->sort_by);
	if (!c)
		c = db_take(admin_of(rq)->db, &db, err);
	if (!c)
		c = list_resources(&l, db, in, &rows, &token, err);
	return c ? c : fill_plans(rq, rows, token, ret, err);
}
API_THUNK(admin_list_launch_plans)

static enum code check_active_list(const AdminActiveLaunchPlanListRequest *in, struct err *err)
{
	enum code c = check_text(in->project, "project", err);

	if (!c)
		c = check_text(in->domain, "domain", err);
	return c ? c : check_limit(in->limit, err);
}

static enum code admin_list_active_launch_plans(struct request *rq, const AdminActiveLaunchPlanListRequest *in,
						AdminLaunchPlanList *ret, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	auto_list struct list l = {0};
	const char *token = "";
	enum code c = check_active_list(in, err);

	start_list(&l, rq, "ListActiveLaunchPlans", in->sort_by);
	if (!c)
		c = db_take(admin_of(rq)->db, &db, err);
	if (c)
		return c;
	/* Plain columns: the index of active plans has them. */
	list_where(&l, "t.project", db_text(in->project));
	list_where(&l, "t.domain", db_text(in->domain));
	list_where_sql(&l, "t.state = 1");
	c = list_run(&l, db, in->limit, in->token, &rows, &token, err);
	return c ? c : fill_plans(rq, rows, token, ret, err);
}
API_THUNK(admin_list_active_launch_plans)

static enum code admin_list_launch_plan_ids(struct request *rq, const AdminNamedEntityIdentifierListRequest *in,
					    AdminNamedEntityIdentifierList *ret, struct err *err)
{
	return list_names(rq, "ListLaunchPlanIds", CORE_RESOURCE_TYPE_LAUNCH_PLAN, in, ret, err);
}
API_THUNK(admin_list_launch_plan_ids)

/* ---- state ---- */

static enum code deactivate_others(struct db *db, const CoreIdentifier *id, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c =
		db_query(db, &LOCK_NAME, &rows, err, db_text(id->project), db_text(id->domain), db_text(id->name));

	return c ? c : db_exec(db, &DEACTIVATE_OTHERS, NULL, err, ID_PARAMS(id));
}

/* An error leaves the transaction open: db_give rolls it back. */
static enum code set_state(struct request *rq, struct db *db, const CoreIdentifier *id, AdminLaunchPlanState state,
			   struct err *err)
{
	int64_t changed = 0;
	enum code c = db_begin(db, err);

	if (!c && state == ADMIN_LAUNCH_PLAN_STATE_ACTIVE)
		c = deactivate_others(db, id, err);
	if (!c)
		c = db_exec(db, &SET_STATE, &changed, err, ID_PARAMS(id), db_i32((int32_t)state));
	if (!c && !changed)
		c = missing_entity(id, CORE_RESOURCE_TYPE_LAUNCH_PLAN, rq->arena, err);
	return c ? c : db_commit(db, err);
}

static enum code admin_update_launch_plan(struct request *rq, const AdminLaunchPlanUpdateRequest *in,
					  AdminLaunchPlanUpdateResponse *ret, struct err *err)
{
	(void)ret;
	auto_free(db_give) struct db *db = NULL;
	const CoreIdentifier *id = implied_type(in->id, CORE_RESOURCE_TYPE_LAUNCH_PLAN, rq->arena);
	enum code c = check_identifier(id, CORE_RESOURCE_TYPE_LAUNCH_PLAN, rq->arena, err);

	if (!c && in->state != ADMIN_LAUNCH_PLAN_STATE_ACTIVE && in->state != ADMIN_LAUNCH_PLAN_STATE_INACTIVE)
		c = err_set(err, INVALID_ARGUMENT, "Unrecognized launch plan state %d for update for launch plan [%s]",
			    (int)in->state, identifier_text(id, rq->arena));
	if (!c)
		c = db_take(admin_of(rq)->db, &db, err);
	return c ? c : set_state(rq, db, id, in->state, err);
}
API_THUNK(admin_update_launch_plan)

const struct api_binding admin_launch_plan_rpcs[] = {
	{"CreateLaunchPlan", admin_create_launch_plan_api},
	{"GetActiveLaunchPlan", admin_get_active_launch_plan_api},
	{"ListLaunchPlans", admin_list_launch_plans_api},
	{"ListActiveLaunchPlans", admin_list_active_launch_plans_api},
	{"ListLaunchPlanIds", admin_list_launch_plan_ids_api},
	{"UpdateLaunchPlan", admin_update_launch_plan_api},
	{0},
};
const struct api_together_binding admin_launch_plan_lookups[] = {{"GetLaunchPlan", get_launch_plans}, {0}};

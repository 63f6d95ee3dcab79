/* Workflows: compiled when they are registered; the closure lies in the store, small ones in the row too.
 * Source: flyteadmin pkg/manager/impl/workflow_manager.go (v1.16.8). */
#include "workflow.h"

#include <string.h>

#include "base/ids.h"
#include "compiler/compiler.h"
#include "description.h"
#include "flyte/identifier.h"
#include "named_entity.h"
#include "pb/pb.h"
#include "registration_limits.h"
#include "resource.h"
#include "validation.h"

/* One row in any case: the project's state and, if the workflow is there, what it is. */
static const struct db_stmt STATUS = {
	"workflow_status",
	"SELECT (SELECT state FROM projects WHERE id = $1), w.digest, w.closure_uri, w.closure FROM (SELECT) x "
	"LEFT JOIN workflows w ON w.project = $1 AND w.domain = $2 AND w.name = $3 AND w.version = $4",
};
static const struct db_stmt CREATE = {
	"workflow_create",
	"WITH made AS (INSERT INTO workflows (project, domain, name, version, short_description, digest, interface, "
	"closure_uri, closure) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING id), "
	"named AS (INSERT INTO named_entities (resource_type, project, domain, name) SELECT 2, $1, $2, $3 FROM made "
	"WHERE NOT EXISTS (SELECT FROM named_entities WHERE resource_type = 2 AND project = $1 AND domain = $2 AND "
	"name = $3) ON CONFLICT DO NOTHING), " WITH_DESCRIPTION("2", "$5", "$10",
								"$11") " "
								       "SELECT EXISTS (SELECT FROM made)",
};
static const struct db_stmt GET = {
	"workflow_get",
	"SELECT " WORKFLOW_COLUMNS ", w.short_description FROM workflows w "
	"WHERE w.project = $1 AND w.domain = $2 AND w.name = $3 AND w.version = $4",
};
static const struct db_stmt REQUIRED_TASKS = {
	"workflow_required_tasks",
	"SELECT r.n, t.compiled FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[]) "
	"AS r(n, project, domain, name, version) LEFT JOIN tasks t USING (project, domain, name, version) ORDER BY r.n",
};
static const struct db_stmt REQUIRED_LAUNCH_PLANS = {
	"workflow_required_launch_plans",
	"SELECT r.n, l.closure FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[]) "
	"AS r(n, project, domain, name, version) LEFT JOIN launch_plans l USING (project, domain, name, version) "
	"ORDER BY r.n",
};

enum { MAX_CLOSURE_BYTES = 1 << 30 };

static const struct list_column WORKFLOW_LIST_COLUMNS[] = {
	RESOURCE_COLUMNS,
	{"updated_at", "t.created_at", .kind = COLUMN_TIME}, /* workflows never change */
	{"short_description", "t.short_description", .kind = COLUMN_TEXT},
	{"remote_closure_identifier", "t.closure_uri", .kind = COLUMN_TEXT},
	{0},
};
static const struct list_entity WORKFLOW_ENTITIES[] = {{"workflow", "w", WORKFLOW_LIST_COLUMNS, NULL}, {0}};

/* ---- compiling ---- */

/* The packed messages of `ids`, one row each in their order. NOT_FOUND for the first that is not there. */
static enum code load_required(struct request *rq, struct db *db, const struct db_stmt *stmt, CoreResourceType type,
			       const CoreIdentifier *const *ids, size_t n, struct db_rows **ret, struct err *err)
{
	struct arena *a = rq->arena;
	struct db_array *number = db_array_new(a, db_i64(0)), *part[4];

	for (size_t k = 0; k < ARRAY_SIZE(part); k++)
		part[k] = db_array_new(a, db_text(""));
	for (size_t i = 0; i < n; i++) {
		const struct db_param values[] = {ID_PARAMS(ids[i])};
		db_array_add(number, db_i64((int64_t)i));
		for (size_t k = 0; k < ARRAY_SIZE(part); k++)
			db_array_add(part[k], values[k]);
	}
	enum code c = db_query(db, stmt, ret, err, db_array(number), db_array(part[0]), db_array(part[1]),
			       db_array(part[2]), db_array(part[3]));
	for (size_t i = 0; !c && i < n; i++)
		if (db_is_null(*ret, i, 1))
			return missing_entity(ids[i], type, a, err);
	return c;
}

static enum code load_tasks(struct request *rq, struct db *db, const struct requirements *need,
			    struct compile_input *ret, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	CoreCompiledTask **tasks = arena_array(rq->arena, CoreCompiledTask *, need->n_tasks);

	if (!need->n_tasks)
		return OK;
	enum code c =
		load_required(rq, db, &REQUIRED_TASKS, CORE_RESOURCE_TYPE_TASK, need->tasks, need->n_tasks, &rows, err);
	for (size_t i = 0; !c && i < need->n_tasks; i++)
		c = pb_unpack_own(CORE_COMPILED_TASK_DESC, db_get_str(rows, i, 1), rq->arena, (void **)&tasks[i], err);
	ret->tasks = tasks;
	ret->n_tasks = need->n_tasks;
	return c;
}

static enum code load_launch_plans(struct request *rq, struct db *db, const struct requirements *need,
				   struct compile_input *ret, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	struct launch_plan_interface *plans =
		arena_array(rq->arena, struct launch_plan_interface, need->n_launch_plans);

	if (!need->n_launch_plans)
		return OK;
	enum code c = load_required(rq, db, &REQUIRED_LAUNCH_PLANS, CORE_RESOURCE_TYPE_LAUNCH_PLAN, need->launch_plans,
				    need->n_launch_plans, &rows, err);
	for (size_t i = 0; !c && i < need->n_launch_plans; i++) {
		AdminLaunchPlanClosure *closure = NULL;
		c = pb_unpack_own(ADMIN_LAUNCH_PLAN_CLOSURE_DESC, db_get_str(rows, i, 1), rq->arena, (void **)&closure,
				  err);
		if (!c)
			plans[i] = (struct launch_plan_interface){need->launch_plans[i], closure->expected_inputs,
								  closure->expected_outputs};
	}
	ret->launch_plans = plans;
	ret->n_launch_plans = need->n_launch_plans;
	return c;
}

static enum code load_and_compile(struct request *rq, struct db *db, const AdminWorkflowSpec *spec,
				  CoreCompiledWorkflowClosure **ret, struct err *err)
{
	struct compile_input in = {
		.workflow = spec->template_,
		.sub_workflows = spec->sub_workflows,
		.n_sub_workflows = spec->n_sub_workflows,
	};
	struct requirements need;
	enum code c = compile_requirements(in.workflow, in.sub_workflows, in.n_sub_workflows, rq->arena, &need, err);

	if (c)
		return err_prefix(err, c, "failed to get workflow requirements with err ");
	c = load_tasks(rq, db, &need, &in, err);
	if (!c)
		c = load_launch_plans(rq, db, &need, &in, err);
	return c ? c : compile_workflow(&in, rq->arena, ret, err);
}

static enum code compile(struct request *rq, struct db *db, const AdminWorkflowSpec *spec,
			 CoreCompiledWorkflowClosure **ret, struct err *err)
{
	enum code c = load_and_compile(rq, db, spec, ret, err);

	if (c != NOT_FOUND && c != INVALID_ARGUMENT)
		return c;
	err_prefix(err, c,
		   "failed to compile workflow for [%s] with err: ", identifier_text(spec->template_->id, rq->arena));
	if (err)
		err->code = INVALID_ARGUMENT;
	return INVALID_ARGUMENT;
}

/* ---- registering ---- */

struct compiled {
	CoreCompiledWorkflowClosure *closure;
	struct str bytes;
	uint8_t digest[DIGEST_BYTES];
	const char *uri;
};

/* Named by its content: one digest, one content, whoever else registers what at the same time. */
static const char *closure_uri(struct request *rq, const CoreIdentifier *id, const uint8_t digest[DIGEST_BYTES])
{
	auto_buf struct buf b = {0};

	buf_printf(&b, "%s/%s/%s/workflows/", admin_of(rq)->metadata_root, id->project, id->domain);
	hex_add(&b, digest, DIGEST_BYTES);
	buf_adds(&b, ".pb");
	return arena_strdup(rq->arena, buf_text(&b));
}

static enum code read_closure(struct request *rq, const char *uri, struct str inline_bytes,
			      CoreCompiledWorkflowClosure **ret, struct err *err)
{
	auto_buf struct buf file = {0};
	enum code c = OK;

	if (!inline_bytes.len) {
		c = store_get(admin_of(rq)->store, uri, MAX_CLOSURE_BYTES, &file, err);
		inline_bytes = buf_str(&file);
	}
	return c ? c : pb_unpack_own(CORE_COMPILED_WORKFLOW_CLOSURE_DESC, inline_bytes, rq->arena, (void **)ret, err);
}

/* What flytectl and others tell the two cases apart by. */
static const void *detail_exists(struct request *rq, const CoreIdentifier *id, bool same)
{
	AdminCreateWorkflowFailureReason *r = pb_new(rq->arena, ADMIN_CREATE_WORKFLOW_FAILURE_REASON_DESC);

	if (same) {
		r->reason_case = ADMIN_CREATE_WORKFLOW_FAILURE_REASON_REASON_EXISTS_IDENTICAL_STRUCTURE;
		r->exists_identical_structure = pb_new(rq->arena, ADMIN_WORKFLOW_ERROR_EXISTS_IDENTICAL_STRUCTURE_DESC);
		r->exists_identical_structure->id = (CoreIdentifier *)id;
	} else {
		r->reason_case = ADMIN_CREATE_WORKFLOW_FAILURE_REASON_REASON_EXISTS_DIFFERENT_STRUCTURE;
		r->exists_different_structure = pb_new(rq->arena, ADMIN_WORKFLOW_ERROR_EXISTS_DIFFERENT_STRUCTURE_DESC);
		r->exists_different_structure->id = (CoreIdentifier *)id;
	}
	return r;
}

static enum code compare_workflow(struct request *rq, const struct db_rows *status, const CoreIdentifier *id,
				  const struct compiled *new, struct err *err)
{
	bool same = str_eq(db_get_str(status, 0, 1), (struct str){(const char *)new->digest, DIGEST_BYTES});
	CoreCompiledWorkflowClosure *old = NULL;
	struct err unread;

	/* Differences are a courtesy: without the old closure there are none. */
	if (!same)
		read_closure(rq, db_get_text(status, 0, 2, rq->arena), db_get_str(status, 0, 3), &old, &unread);
	rq->detail = detail_exists(rq, id, same);
	return already_registered("workflow", id->name, same, old, new->closure, err);
}

static struct db_param inline_closure(const struct compiled *w)
{
	return w->bytes.len <= REGISTRY_INLINE_BYTES ? db_bytea(w->bytes) : db_null();
}

static enum code insert_workflow(struct request *rq, struct db *db, const AdminWorkflowCreateRequest *in,
				 const struct compiled *w, struct err *err)
{
	const AdminDescriptionEntity *d = in->spec->description;
	auto_free(db_rows_free) struct db_rows *made = NULL, *status = NULL;
	enum code c = store_put(admin_of(rq)->store, w->uri, w->bytes, err);

	if (!c)
		c = db_query(db, &CREATE, &made, err, ID_PARAMS(in->id), description_short(d),
			     db_bytea((struct str){(const char *)w->digest, DIGEST_BYTES}),
			     db_bytea(pb_pack(w->closure->primary->template_->interface, rq->arena)), db_text(w->uri),
			     inline_closure(w), description_long(d, rq->arena), description_link(d));
	if (c || db_get_bool(made, 0, 0))
		return c;
	c = db_query(db, &STATUS, &status, err, ID_PARAMS(in->id));
	return c ? c : compare_workflow(rq, status, in->id, w, err);
}

enum code create_workflow(struct request *rq, struct db *db, const AdminWorkflowCreateRequest *in, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *status = NULL;
	struct compiled w = {0};
	enum code c = db_query(db, &STATUS, &status, err, ID_PARAMS(in->id));

	if (!c)
		c = check_project_state(rq, !db_is_null(status, 0, 0), db_get_i64(status, 0, 0), in->id->project,
					in->id->domain, err);
	if (!c && (!in->spec || !in->spec->template_))
		c = err_set(err, INVALID_ARGUMENT, "missing spec");
	if (c)
		return c;
	in->spec->template_->id = in->id;
	c = compile(rq, db, in->spec, &w.closure, err);
	if (!c)
		c = limits_check_workflow(admin_of(rq)->config, w.closure, rq->arena, err);
	if (c)
		return c;
	pb_digest(w.closure, w.digest);
	if (!db_is_null(status, 0, 1))
		return compare_workflow(rq, status, in->id, &w, err);
	w.bytes = pb_pack(w.closure, rq->arena);
	w.uri = closure_uri(rq, in->id, w.digest);
	return insert_workflow(rq, db, in, &w, err);
}

static enum code admin_create_workflow(struct request *rq, const AdminWorkflowCreateRequest *in,
				       AdminWorkflowCreateResponse *ret, struct err *err)
{
	(void)ret;
	auto_free(db_give) struct db *db = NULL;
	enum code c = check_identifier(in->id, CORE_RESOURCE_TYPE_WORKFLOW, rq->arena, err);

	if (!c)
		c = db_take(admin_of(rq)->db, &db, err);
	return c ? c : create_workflow(rq, db, in, err);
}
API_THUNK(admin_create_workflow)

/* ---- reading ---- */

enum code fill_workflow(struct request *rq, const struct db_rows *rows, size_t row, int col,
			struct registered_workflow *ret, struct err *err)
{
	struct str digest = db_get_str(rows, row, col + 5), closure = db_get_str(rows, row, col + 8);
	auto_buf struct buf hex = {0};

	hex_add(&hex, digest.ptr, digest.len);
	*ret = (struct registered_workflow){
		.key = db_get_i64(rows, row, col),
		.id = resource_id(rq->arena, CORE_RESOURCE_TYPE_WORKFLOW, rows, row, col + 1),
		.closure_uri = db_get_text(rows, row, col + 7, rq->arena),
		.closure_digest = arena_strdup(rq->arena, buf_text(&hex)),
		.closure = {arena_dup(rq->arena, closure.ptr, closure.len), closure.len},
		.created_at_us = db_get_time_us(rows, row, col + 9),
	};
	return pb_unpack_own(CORE_TYPED_INTERFACE_DESC, db_get_str(rows, row, col + 6), rq->arena,
			     (void **)&ret->interface, err);
}

static enum code query_workflow(struct request *rq, struct db *db, const CoreIdentifier *id, struct db_rows **ret,
				struct err *err)
{
	enum code c = check_identifier(id, CORE_RESOURCE_TYPE_WORKFLOW, rq->arena, err);

	if (!c)
		c = db_query(db, &GET, ret, err, ID_PARAMS(id));
	if (!c && !db_rows_count(*ret))
		c = missing_entity(id, CORE_RESOURCE_TYPE_WORKFLOW, rq->arena, err);
	return c;
}

enum code registry_workflow(struct request *rq, struct db *db, const CoreIdentifier *id,
			    struct registered_workflow *ret, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = query_workflow(rq, db, id, &rows, err);

	return c ? c : fill_workflow(rq, rows, 0, 0, ret, err);
}

enum code admin_get_workflow(struct request *rq, const AdminObjectGetRequest *in, AdminWorkflow *ret, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	const CoreIdentifier *id = implied_type(in->id, CORE_RESOURCE_TYPE_WORKFLOW, rq->arena);
	struct registered_workflow w;
	enum code c = db_take(admin_of(rq)->db, &db, err);

	if (!c)
		c = query_workflow(rq, db, id, &rows, err);
	if (!c)
		c = fill_workflow(rq, rows, 0, 0, &w, err);
	if (c)
		return c;
	ret->id = w.id;
	ret->short_description = db_get_text(rows, 0, N_WORKFLOW_COLUMNS, rq->arena);
	ret->closure = pb_new(rq->arena, ADMIN_WORKFLOW_CLOSURE_DESC);
	ret->closure->created_at = pb_timestamp(rq->arena, w.created_at_us);
	return read_closure(rq, w.closure_uri, w.closure, &ret->closure->compiled_workflow, err);
}
API_THUNK(admin_get_workflow)

/* Of lists, the closure holds the interface only. */
static AdminWorkflowClosure *short_closure(struct arena *a, CoreTypedInterface *interface, int64_t created_at_us)
{
	AdminWorkflowClosure *closure = pb_new(a, ADMIN_WORKFLOW_CLOSURE_DESC);
	CoreCompiledWorkflowClosure *compiled = pb_new(a, CORE_COMPILED_WORKFLOW_CLOSURE_DESC);

	closure->created_at = pb_timestamp(a, created_at_us);
	closure->compiled_workflow = compiled;
	compiled->primary = pb_new(a, CORE_COMPILED_WORKFLOW_DESC);
	compiled->primary->template_ = pb_new(a, CORE_WORKFLOW_TEMPLATE_DESC);
	compiled->primary->template_->interface = interface;
	return closure;
}

static enum code query_workflows(struct request *rq, const AdminResourceListRequest *in, struct db *db,
				 struct db_rows **ret, const char **ret_token, struct err *err)
{
	auto_list struct list l;
	list_init(&l, rq->arena, "ListWorkflows", WORKFLOW_ENTITIES);
	list_select(&l,
		    "t.project, t.domain, t.name, t.version, t.interface, t.created_at, "
		    "t.short_description",
		    "workflows t", "t.id", in->sort_by);
	return list_resources(&l, db, in, ret, ret_token, err);
}

static enum code admin_list_workflows(struct request *rq, const AdminResourceListRequest *in, AdminWorkflowList *ret,
				      struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	const char *token = "";
	enum code c = check_list_request(in, err);

	if (!c)
		c = db_take(admin_of(rq)->db, &db, err);
	if (!c)
		c = query_workflows(rq, in, db, &rows, &token, err);
	for (size_t i = 0; !c && i < db_rows_count(rows); i++) {
		AdminWorkflow *w = pb_new(rq->arena, ADMIN_WORKFLOW_DESC);
		CoreTypedInterface *interface = NULL;
		c = pb_unpack_own(CORE_TYPED_INTERFACE_DESC, db_get_str(rows, i, 6), rq->arena, (void **)&interface,
				  err);
		w->id = resource_id(rq->arena, CORE_RESOURCE_TYPE_WORKFLOW, rows, i, 2);
		w->closure = short_closure(rq->arena, interface, db_get_time_us(rows, i, 7));
		w->short_description = db_get_text(rows, i, 8, rq->arena);
		*PB_ADD(rq->arena, ret->workflows, ret->n_workflows) = w;
	}
	ret->token = (char *)token;
	return c;
}
API_THUNK(admin_list_workflows)

static enum code admin_list_workflow_ids(struct request *rq, const AdminNamedEntityIdentifierListRequest *in,
					 AdminNamedEntityIdentifierList *ret, struct err *err)
{
	return list_names(rq, "ListWorkflowIdentifiers", CORE_RESOURCE_TYPE_WORKFLOW, in, ret, err);
}
API_THUNK(admin_list_workflow_ids)

const struct api_binding admin_workflow_rpcs[] = {
	{"CreateWorkflow", admin_create_workflow_api},
	{"GetWorkflow", admin_get_workflow_api},
	{"ListWorkflows", admin_list_workflows_api},
	{"ListWorkflowIds", admin_list_workflow_ids_api},
	{0},
};

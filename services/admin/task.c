/* Tasks. Source: flyteadmin pkg/manager/impl/task_manager.go (v1.16.8). */
#include <string.h>

#include "admin.h"
#include "compiler/compiler.h"
#include "description.h"
#include "flyteidl/admin/task.h"
#include "lookup.h"
#include "named_entity.h"
#include "pb/pb.h"
#include "registry.h"
#include "resource.h"
#include "task_resources.h"
#include "validation.h"

/* Project, task and name in one statement; a row comes back in any case: the project's state, whether the task was
 * made, and if not (and nobody is just making it) the digest of what is there. */
static const struct db_stmt CREATE = {
	"task_create",
	"WITH p AS (SELECT state FROM projects WHERE id = $1), "
	"made AS (INSERT INTO tasks (project, domain, name, version, type, short_description, digest, compiled) "
	"SELECT $1, $2, $3, $4, $5, $6, $7, $8 FROM p WHERE state = 0 AND $9::boolean "
	"ON CONFLICT DO NOTHING RETURNING id), "
	"named AS (INSERT INTO named_entities (resource_type, project, domain, name) SELECT 1, $1, $2, $3 FROM made "
	"WHERE NOT EXISTS (SELECT FROM named_entities WHERE resource_type = 1 AND project = $1 AND domain = $2 AND "
	"name = $3) ON CONFLICT DO NOTHING), " WITH_DESCRIPTION(
		"1", "$6", "$10", "$11") " "
					 "SELECT (SELECT state FROM p), EXISTS (SELECT FROM made)",
};
static const struct db_stmt GET = {
	"task_get",
	"SELECT id, compiled, created_at, short_description, digest FROM tasks "
	"WHERE project = $1 AND domain = $2 AND name = $3 AND version = $4",
};

static const struct list_column TASK_COLUMNS[] = {
	RESOURCE_COLUMNS,
	{"updated_at", "t.created_at", .kind = COLUMN_TIME}, /* tasks never change */
	{"type", "t.type", .kind = COLUMN_TEXT},
	{"short_description", "t.short_description", .kind = COLUMN_TEXT},
	{0},
};
static const struct list_entity TASK_ENTITIES[] = {{"task", "t", TASK_COLUMNS, NULL}, {0}};

static enum code compare_task(struct request *rq, struct db *db, const CoreIdentifier *id, const CoreCompiledTask *new,
			      const uint8_t digest[DIGEST_BYTES], struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	void *old = NULL;
	enum code c = db_query(db, &GET, &rows, err, ID_PARAMS(id));

	if (!c && !db_rows_count(rows))
		c = err_set(err, ABORTED, "task %s was being changed: try again", id->name);
	if (c)
		return c;
	bool same = str_eq(db_get_str(rows, 0, 4), (struct str){(const char *)digest, DIGEST_BYTES});
	if (!same)
		c = pb_unpack_own(CORE_COMPILED_TASK_DESC, db_get_str(rows, 0, 1), rq->arena, &old, err);
	return c ? c : already_registered("task", id->name, same, old, new, err);
}

static enum code insert_task(struct request *rq, const AdminTaskCreateRequest *in, const CoreCompiledTask *task,
			     struct err *err)
{
	const CoreIdentifier *id = in->id;
	const struct admin *admin = admin_of(rq);
	uint8_t digest[DIGEST_BYTES];
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	struct err domain_err;
	bool domain_ok = !check_project_state(rq, true, 0, id->project, id->domain, &domain_err);

	pb_digest(task, digest);
	enum code c = db_take(admin->db, &db, err);
	if (!c)
		c = task_resources_check(rq, db, id, task->template_, err);
	if (!c)
		c = db_query(db, &CREATE, &rows, err, ID_PARAMS(id), db_text(task->template_->type),
			     description_short(in->spec->description),
			     db_bytea((struct str){(char *)digest, sizeof digest}), db_bytea(pb_pack(task, rq->arena)),
			     db_bool(domain_ok), description_long(in->spec->description, rq->arena),
			     description_link(in->spec->description));
	if (!c)
		c = check_project_state(rq, !db_is_null(rows, 0, 0), db_get_i64(rows, 0, 0), id->project, id->domain,
					err);
	if (c || db_get_bool(rows, 0, 1))
		return c;
	return compare_task(rq, db, id, task, digest, err);
}

static enum code admin_create_task(struct request *rq, const AdminTaskCreateRequest *in, AdminTaskCreateResponse *ret,
				   struct err *err)
{
	(void)ret;
	enum code c = check_identifier(in->id, CORE_RESOURCE_TYPE_TASK, rq->arena, err);
	if (c)
		return c;
	if (!in->spec || !in->spec->template_)
		return err_set(err, INVALID_ARGUMENT, "missing spec");
	c = check_task_template(in->spec->template_, err);
	if (c)
		return c;
	CoreTaskTemplate template_ = *in->spec->template_;
	CoreCompiledTask task = CORE_COMPILED_TASK_INIT;
	template_.id = in->id;
	task.template_ = &template_;
	return insert_task(rq, in, &task, err);
}
API_THUNK(admin_create_task)

/* ---- reading ---- */

static AdminTaskClosure *make_closure(struct arena *a, CoreCompiledTask *task, int64_t created_at_us)
{
	AdminTaskClosure *closure = pb_new(a, ADMIN_TASK_CLOSURE_DESC);

	closure->compiled_task = task;
	closure->created_at = pb_timestamp(a, created_at_us);
	return closure;
}

static enum code unpack_task(struct request *rq, const struct db_rows *rows, size_t row, int col,
			     CoreCompiledTask **ret, struct err *err)
{
	return pb_unpack_own(CORE_COMPILED_TASK_DESC, db_get_str(rows, row, col), rq->arena, (void **)ret, err);
}

enum code registry_task(struct request *rq, struct db *db, const CoreIdentifier *id, struct registered_task *ret,
			struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = check_identifier(id, CORE_RESOURCE_TYPE_TASK, rq->arena, err);

	if (!c)
		c = db_query(db, &GET, &rows, err, ID_PARAMS(id));
	if (!c && !db_rows_count(rows))
		c = missing_entity(id, CORE_RESOURCE_TYPE_TASK, rq->arena, err);
	if (c)
		return c;
	ret->key = db_get_i64(rows, 0, 0);
	ret->created_at_us = db_get_time_us(rows, 0, 2);
	return unpack_task(rq, rows, 0, 1, &ret->task, err);
}

static enum code task_id_params(struct request *rq, const void *in, struct db_param *ret, struct err *err)
{
	return resource_key(rq, CORE_RESOURCE_TYPE_TASK, in, ret, err);
}

static enum code read_task(struct request *rq, const void *in, const struct db_rows *rows, void *ret, struct err *err)
{
	AdminTask *t = ret;
	CoreCompiledTask *task;

	if (db_rows_count(rows) == 0)
		return resource_missing(rq, CORE_RESOURCE_TYPE_TASK, in, err);
	enum code c = unpack_task(rq, rows, 0, 1, &task, err);
	if (c)
		return c;
	t->id = task->template_->id;
	t->closure = make_closure(rq->arena, task, db_get_time_us(rows, 0, 2));
	t->short_description = db_get_text(rows, 0, 3, rq->arena);
	return OK;
}

static void get_tasks(struct api_one *const *ones, size_t n)
{
	static const struct lookup LOOKUP = {&GET, 4, task_id_params, read_task};

	lookup_together(&LOOKUP, ones, n);
}

static enum code query_tasks(struct request *rq, const AdminResourceListRequest *in, struct db *db,
			     struct db_rows **ret, const char **ret_token, struct err *err)
{
	auto_list struct list l;
	list_init(&l, rq->arena, "ListTasks", TASK_ENTITIES);
	list_select(&l, "t.compiled, t.created_at, t.short_description", "tasks t", "t.id", in->sort_by);
	return list_resources(&l, db, in, ret, ret_token, err);
}

static enum code admin_list_tasks(struct request *rq, const AdminResourceListRequest *in, AdminTaskList *ret,
				  struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	const char *token = "";
	enum code c = check_list_request(in, err);

	if (!c)
		c = db_take(admin_of(rq)->db, &db, err);
	if (!c)
		c = query_tasks(rq, in, db, &rows, &token, err);
	for (size_t i = 0; !c && i < db_rows_count(rows); i++) {
		AdminTask *t = pb_new(rq->arena, ADMIN_TASK_DESC);
		CoreCompiledTask *task = NULL;
		c = unpack_task(rq, rows, i, 2, &task, err);
		if (c)
			break;
		t->id = task->template_->id;
		t->closure = make_closure(rq->arena, task, db_get_time_us(rows, i, 3));
		t->short_description = db_get_text(rows, i, 4, rq->arena);
		*PB_ADD(rq->arena, ret->tasks, ret->n_tasks) = t;
	}
	ret->token = (char *)token;
	return c;
}
API_THUNK(admin_list_tasks)

static enum code admin_list_task_ids(struct request *rq, const AdminNamedEntityIdentifierListRequest *in,
				     AdminNamedEntityIdentifierList *ret, struct err *err)
{
	return list_names(rq, "ListUniqueTaskIdentifiers", CORE_RESOURCE_TYPE_TASK, in, ret, err);
}
API_THUNK(admin_list_task_ids)

const struct api_binding admin_task_rpcs[] = {
	{"CreateTask", admin_create_task_api},
	{"ListTasks", admin_list_tasks_api},
	{"ListTaskIds", admin_list_task_ids_api},
	{0},
};
const struct api_together_binding admin_task_lookups[] = {{"GetTask", get_tasks}, {0}};

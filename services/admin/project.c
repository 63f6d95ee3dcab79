/* Projects and domains. Source: flyteadmin pkg/manager/impl/project_manager.go (v1.16.8). */
#include <string.h>

#include "admin.h"
#include "filters.h"
#include "flyteidl/admin/project.h"
#include "pb/pb.h"
#include "validation.h"

#define COLUMNS "id, name, description, labels, state"

static const struct db_stmt CREATE = {
	"project_create",
	"INSERT INTO projects (id, name, description, labels, state) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
};
static const struct db_stmt GET = {"project_get", "SELECT " COLUMNS " FROM projects WHERE id = $1"};
/* What the request leaves empty stays, as gorm has it; the state is always set. */
static const struct db_stmt UPDATE = {
	"project_update",
	"UPDATE projects SET name = CASE $2 WHEN '' THEN name ELSE $2 END, "
	"description = CASE $3 WHEN '' THEN description ELSE $3 END, "
	"labels = CASE WHEN $4::bytea = '' THEN labels ELSE $4 END, state = $5, updated_at = now() WHERE id = $1",
};

enum { MAX_NAME = 64, MAX_DESCRIPTION = 300 };

static const struct list_column PROJECT_COLUMNS[] = {
	{"id", "key", .kind = COLUMN_I64},
	{"identifier", "id", .kind = COLUMN_TEXT},
	{"name", "name", .kind = COLUMN_TEXT},
	{"description", "description", .kind = COLUMN_TEXT},
	{"state", "state", .kind = COLUMN_I64},
	{"created_at", "created_at", .kind = COLUMN_TIME},
	{"updated_at", "updated_at", .kind = COLUMN_TIME},
	{0},
};
static const struct list_entity PROJECT_ENTITIES[] = {{"project", "p", PROJECT_COLUMNS, NULL}, {0}};

static enum code check_project(const AdminProject *p, struct err *err)
{
	enum code c = check_text(p->id, "project_id", err);

	if (!c)
		c = check_labels(p->labels, err);
	if (!c)
		c = check_dns_label(p->id, "project id", err);
	if (!c)
		c = check_max_length(p->name, "project_name", MAX_NAME, err);
	if (!c)
		c = check_max_length(p->description, "project_description", MAX_DESCRIPTION, err);
	if (!c && p->n_domains)
		c = err_set(err, INVALID_ARGUMENT,
			    "Domains are currently only set system wide. Please retry without domains included in your "
			    "request.");
	return c;
}

static struct str pack_labels(const AdminProject *p, struct arena *a)
{
	return p->labels && p->labels->n_values ? pb_pack(p->labels, a) : STR("");
}

static void add_domains(const struct admin *admin, struct arena *a, AdminDomain ***ret, size_t *ret_n)
{
	const struct config_strings *domains = &admin->config->domains;

	for (size_t i = 0; i < domains->n; i++) {
		AdminDomain *d = pb_new(a, ADMIN_DOMAIN_DESC);
		d->id = d->name = (char *)domains->at[i];
		*PB_ADD(a, *ret, *ret_n) = d;
	}
}

/* COLUMNS start at `col`. */
static enum code fill_project(struct request *rq, const struct db_rows *rows, size_t row, int col, AdminProject *ret,
			      struct err *err)
{
	struct str labels = db_get_str(rows, row, col + 3);
	enum code c = OK;

	ret->id = db_get_text(rows, row, col, rq->arena);
	ret->name = db_get_text(rows, row, col + 1, rq->arena);
	ret->description = db_get_text(rows, row, col + 2, rq->arena);
	ret->state = (AdminProjectProjectState)db_get_i64(rows, row, col + 4);
	add_domains(admin_of(rq), rq->arena, &ret->domains, &ret->n_domains);
	if (labels.len)
		c = pb_unpack_own(ADMIN_LABELS_DESC, labels, rq->arena, (void **)&ret->labels, err);
	return c;
}

static enum code admin_register_project(struct request *rq, const AdminProjectRegisterRequest *in,
					AdminProjectRegisterResponse *ret, struct err *err)
{
	(void)ret;
	const AdminProject *p = in->project;
	if (!p)
		return err_set(err, INVALID_ARGUMENT, "missing project");
	enum code c = check_text(p->name, "project_name", err);
	if (!c)
		c = check_project(p, err);
	if (c)
		return c;

	auto_free(db_give) struct db *db = NULL;
	int64_t made = 0;
	c = db_take(admin_of(rq)->db, &db, err);
	if (!c)
		c = db_exec(db, &CREATE, &made, err, db_text(p->id), db_text(p->name), db_text(p->description),
			    db_bytea(pack_labels(p, rq->arena)), db_i32((int32_t)p->state));
	if (!c && !made)
		c = err_set(err, ALREADY_EXISTS, "value with matching already exists (project [%s])", p->id);
	return c;
}
API_THUNK(admin_register_project)

static enum code admin_update_project(struct request *rq, const AdminProject *in, AdminProjectUpdateResponse *ret,
				      struct err *err)
{
	(void)ret;
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	int64_t changed = 0;
	enum code c = db_take(admin_of(rq)->db, &db, err);

	if (!c)
		c = db_query(db, &GET, &rows, err, db_text(in->id));
	if (!c && !db_rows_count(rows))
		c = err_set(err, NOT_FOUND, "project [%s] not found", in->id);
	if (!c)
		c = check_project(in, err);
	if (!c)
		c = db_exec(db, &UPDATE, &changed, err, db_text(in->id), db_text(in->name), db_text(in->description),
			    db_bytea(pack_labels(in, rq->arena)), db_i32((int32_t)in->state));
	return c;
}
API_THUNK(admin_update_project)

static enum code admin_get_project(struct request *rq, const AdminProjectGetRequest *in, AdminProject *ret,
				   struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = check_text(in->id, "project_id", err);

	if (!c)
		c = db_take(admin_of(rq)->db, &db, err);
	if (!c)
		c = db_query(db, &GET, &rows, err, db_text(in->id));
	if (!c && !db_rows_count(rows))
		c = err_set(err, NOT_FOUND, "project [%s] not found", in->id);
	return c ? c : fill_project(rq, rows, 0, 0, ret, err);
}
API_THUNK(admin_get_project)

static enum code query_projects(struct request *rq, const AdminProjectListRequest *in, struct db *db,
				struct db_rows **ret, const char **ret_token, struct err *err)
{
	AdminSort by_id = ADMIN_SORT_INIT;
	by_id.key = "identifier";
	by_id.direction = ADMIN_SORT_DIRECTION_ASCENDING;
	auto_list struct list l;
	list_init(&l, rq->arena, "ListProjects", PROJECT_ENTITIES);
	list_select(&l, COLUMNS, "projects", "key", in->sort_by ? in->sort_by : &by_id);
	enum code c = list_filter(&l, in->filters, err);
	if (!c && !*in->filters)
		list_where_sql(&l, "state <> 1"); /* not the archived ones */
	return c ? c : list_run(&l, db, in->limit ? in->limit : UINT32_MAX, in->token, ret, ret_token, err);
}

static enum code admin_list_projects(struct request *rq, const AdminProjectListRequest *in, AdminProjects *ret,
				     struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	const char *token = "";
	enum code c = db_take(admin_of(rq)->db, &db, err);

	if (!c)
		c = query_projects(rq, in, db, &rows, &token, err);
	for (size_t i = 0; !c && i < db_rows_count(rows); i++) {
		AdminProject *p = pb_new(rq->arena, ADMIN_PROJECT_DESC);
		*PB_ADD(rq->arena, ret->projects, ret->n_projects) = p;
		c = fill_project(rq, rows, i, 2, p, err);
	}
	ret->token = (char *)token;
	return c;
}
API_THUNK(admin_list_projects)

static enum code admin_get_domains(struct request *rq, const AdminGetDomainRequest *in, AdminGetDomainsResponse *ret,
				   struct err *err)
{
	(void)in, (void)err;
	add_domains(admin_of(rq), rq->arena, &ret->domains, &ret->n_domains);
	return OK;
}
API_THUNK(admin_get_domains)

enum code admin_seed_projects(struct admin *admin, const struct config_strings *seeds, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	enum code c = db_take(admin->db, &db, err);

	for (size_t i = 0; !c && i < seeds->n; i++) {
		auto_mem char *description = x_printf("%s description", seeds->at[i]);
		c = check_dns_label(seeds->at[i], "project id", err);
		if (!c)
			c = db_exec(db, &CREATE, NULL, err, db_text(seeds->at[i]), db_text(seeds->at[i]),
				    db_text(description), db_bytea(STR("")),
				    db_i32(ADMIN_PROJECT_PROJECT_STATE_ACTIVE));
	}
	return c;
}

const struct api_binding admin_project_rpcs[] = {
	{"RegisterProject", admin_register_project_api}, {"UpdateProject", admin_update_project_api},
	{"GetProject", admin_get_project_api},           {"ListProjects", admin_list_projects_api},
	{"GetDomains", admin_get_domains_api},           {0},
};

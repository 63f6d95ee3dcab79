/* Named entities: description and state of a name, whatever its versions.
 * Source: flyteadmin pkg/manager/impl/named_entity_manager.go (v1.16.8). */
#include "named_entity.h"

#include "filters.h"
#include "flyte/identifier.h"
#include "flyte/text.h"
#include "pb/pb.h"
#include "validation.h"

static const struct db_stmt GET = {
	"named_entity_get",
	"SELECT project, domain, name, description, state FROM named_entities "
	"WHERE resource_type = $1 AND project = $2 AND domain = $3 AND name = $4",
};
/* An empty description leaves the old one, as gorm has it. */
static const struct db_stmt UPDATE = {
	"named_entity_update",
	"UPDATE named_entities SET description = CASE $5 WHEN '' THEN description ELSE $5 END, state = $6, "
	"updated_at = now() WHERE resource_type = $1 AND project = $2 AND domain = $3 AND name = $4",
};

enum { MAX_DESCRIPTION = 300 };

static const struct list_column NAME_COLUMNS[] = {
	{"id", "id", .kind = COLUMN_I64},
	{"resource_type", "resource_type", .kind = COLUMN_I64},
	{"project", "project", .kind = COLUMN_TEXT},
	{"domain", "domain", .kind = COLUMN_TEXT},
	{"name", "name", .kind = COLUMN_TEXT},
	{"description", "description", .kind = COLUMN_TEXT},
	{"state", "state", .kind = COLUMN_I64},
	{"created_at", "created_at", .kind = COLUMN_TIME},
	{"updated_at", "updated_at", .kind = COLUMN_TIME},
	{0},
};
static const struct list_entity NAME_ENTITIES[] = {
	{"entities", "nen", NAME_COLUMNS, NULL},
	{"named_entity_metadata", "nem", NAME_COLUMNS, NULL},
	{0},
};

static enum code check_type(CoreResourceType type, struct err *err)
{
	if (type == CORE_RESOURCE_TYPE_UNSPECIFIED || type > CORE_RESOURCE_TYPE_DATASET)
		return err_set(err, INVALID_ARGUMENT, "invalid value for resource_type");
	return OK;
}

static AdminNamedEntityIdentifier *fill_id(struct request *rq, const struct db_rows *rows, size_t row, int col)
{
	AdminNamedEntityIdentifier *id = pb_new(rq->arena, ADMIN_NAMED_ENTITY_IDENTIFIER_DESC);

	id->project = db_get_text(rows, row, col, rq->arena);
	id->domain = db_get_text(rows, row, col + 1, rq->arena);
	id->name = db_get_text(rows, row, col + 2, rq->arena);
	return id;
}

static void fill_entity(struct request *rq, CoreResourceType type, const struct db_rows *rows, size_t row, int col,
			AdminNamedEntity *ret)
{
	ret->resource_type = type;
	ret->id = fill_id(rq, rows, row, col);
	ret->metadata = pb_new(rq->arena, ADMIN_NAMED_ENTITY_METADATA_DESC);
	ret->metadata->description = db_get_text(rows, row, col + 3, rq->arena);
	ret->metadata->state = (AdminNamedEntityState)db_get_i64(rows, row, col + 4);
}

static enum code missing_name(struct request *rq, CoreResourceType type, const AdminNamedEntityIdentifier *id,
			      struct err *err)
{
	return err_set(err, NOT_FOUND, "missing entity of type %s with identifier %s", resource_type_word(type),
		       message_text(id, rq->arena));
}

static enum code check_has_names(CoreResourceType type, const char *what, struct err *err)
{
	if (type <= CORE_RESOURCE_TYPE_LAUNCH_PLAN)
		return OK;
	return err_set(err, INVALID_ARGUMENT, "%s for resource type: %s", what, resource_type_word(type));
}

static enum code admin_get_named_entity(struct request *rq, const AdminNamedEntityGetRequest *in, AdminNamedEntity *ret,
					struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = check_type(in->resource_type, err);

	if (!c)
		c = check_entity_identifier(in->id, err);
	if (!c)
		c = check_has_names(in->resource_type, "Cannot get NamedEntityMetadata", err);
	if (!c)
		c = db_take(admin_of(rq)->db, &db, err);
	if (!c)
		c = db_query(db, &GET, &rows, err, db_i32((int32_t)in->resource_type), db_text(in->id->project),
			     db_text(in->id->domain), db_text(in->id->name));
	if (!c && !db_rows_count(rows))
		c = missing_name(rq, in->resource_type, in->id, err);
	if (!c)
		fill_entity(rq, in->resource_type, rows, 0, 0, ret);
	return c;
}
API_THUNK(admin_get_named_entity)

static enum code check_update(const AdminNamedEntityUpdateRequest *in, struct err *err)
{
	enum code c = check_type(in->resource_type, err);

	if (!c)
		c = check_entity_identifier(in->id, err);
	if (!c && !in->metadata)
		c = err_set(err, INVALID_ARGUMENT, "missing metadata");
	if (!c && in->metadata->state != ADMIN_NAMED_ENTITY_STATE_NAMED_ENTITY_ACTIVE &&
	    in->resource_type > CORE_RESOURCE_TYPE_LAUNCH_PLAN)
		c = err_set(err, INVALID_ARGUMENT, "Resource [%s] cannot have its state updated",
			    resource_type_word(in->resource_type));
	if (!c)
		c = check_has_names(in->resource_type, "Cannot get NamedEntityMetadata", err);
	return c ? c : check_max_length(in->metadata->description, "description", MAX_DESCRIPTION, err);
}

static enum code update_name(struct db *db, CoreResourceType type, const AdminNamedEntityIdentifier *id,
			     const char *description, AdminNamedEntityState state, int64_t *ret_changed,
			     struct err *err)
{
	return db_exec(db, &UPDATE, ret_changed, err, db_i32((int32_t)type), db_text(id->project), db_text(id->domain),
		       db_text(id->name), db_text(description), db_i32((int32_t)state));
}

static enum code admin_update_named_entity(struct request *rq, const AdminNamedEntityUpdateRequest *in,
					   AdminNamedEntityUpdateResponse *ret, struct err *err)
{
	(void)ret;
	auto_free(db_give) struct db *db = NULL;
	int64_t changed = 0;
	enum code c = check_update(in, err);

	if (!c)
		c = db_take(admin_of(rq)->db, &db, err);
	if (!c)
		c = update_name(db, in->resource_type, in->id, in->metadata->description, in->metadata->state, &changed,
				err);
	return c || changed ? c : missing_name(rq, in->resource_type, in->id, err);
}
API_THUNK(admin_update_named_entity)

enum code name_set_generated(struct db *db, const CoreIdentifier *id, CoreResourceType type, struct err *err)
{
	AdminNamedEntityIdentifier name = ADMIN_NAMED_ENTITY_IDENTIFIER_INIT;

	name.project = id->project;
	name.domain = id->domain;
	name.name = id->name;
	return update_name(db, type, &name, "", ADMIN_NAMED_ENTITY_STATE_SYSTEM_GENERATED, NULL, err);
}

/* ---- lists ---- */

struct name_query {
	const char *what;
	CoreResourceType type;
	const char *project, *domain, *filters, *token;
	const AdminSort *sort;
	uint32_t limit;
	bool hide_generated;
};

static enum code query_names(struct request *rq, const struct name_query *q, struct db *db, struct db_rows **ret,
			     const char **ret_token, struct err *err)
{
	auto_list struct list l;
	list_init(&l, rq->arena, q->what, NAME_ENTITIES);
	list_select(&l, "project, domain, name, description, state", "named_entities", "id", q->sort);
	list_where(&l, "resource_type", db_i32((int32_t)q->type));
	list_where(&l, "project", db_text(q->project));
	list_where(&l, "domain", db_text(q->domain));
	if (q->hide_generated && !*q->filters)
		list_where_sql(&l, "name NOT LIKE '.flytegen%'");
	enum code c = list_filter(&l, q->filters, err);
	return c ? c : list_run(&l, db, q->limit, q->token, ret, ret_token, err);
}

static enum code check_scope(const char *project, const char *domain, struct err *err)
{
	enum code c = check_text(project, "project", err);
	return c ? c : check_text(domain, "domain", err);
}

static enum code admin_list_named_entities(struct request *rq, const AdminNamedEntityListRequest *in,
					   AdminNamedEntityList *ret, struct err *err)
{
	struct name_query q = {
		.what = "ListNamedEntities",
		.type = in->resource_type,
		.project = in->project,
		.domain = in->domain,
		.filters = in->filters,
		.token = in->token,
		.sort = in->sort_by,
		.limit = in->limit,
		.hide_generated = true,
	};
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	const char *token = "";
	enum code c = check_scope(in->project, in->domain, err);

	if (!c)
		c = check_type(in->resource_type, err);
	if (!c)
		c = check_limit(in->limit, err);
	if (!c)
		c = check_has_names(in->resource_type, "Cannot list entity names", err);
	if (!c)
		c = db_take(admin_of(rq)->db, &db, err);
	if (!c)
		c = query_names(rq, &q, db, &rows, &token, err);
	for (size_t i = 0; !c && i < db_rows_count(rows); i++) {
		AdminNamedEntity *e = pb_new(rq->arena, ADMIN_NAMED_ENTITY_DESC);
		fill_entity(rq, in->resource_type, rows, i, 2, e);
		*PB_ADD(rq->arena, ret->entities, ret->n_entities) = e;
	}
	ret->token = (char *)token;
	return c;
}
API_THUNK(admin_list_named_entities)

enum code list_names(struct request *rq, const char *what, CoreResourceType type,
		     const AdminNamedEntityIdentifierListRequest *in, AdminNamedEntityIdentifierList *ret,
		     struct err *err)
{
	struct name_query q = {
		.what = what,
		.type = type,
		.project = in->project,
		.domain = in->domain,
		.filters = "", /* flyteadmin passes them over here */
		.token = in->token,
		.sort = in->sort_by,
		.limit = in->limit,
	};
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	const char *token = "";
	enum code c = check_scope(in->project, in->domain, err);

	if (!c)
		c = check_limit(in->limit, err);
	if (!c)
		c = db_take(admin_of(rq)->db, &db, err);
	if (!c)
		c = query_names(rq, &q, db, &rows, &token, err);
	for (size_t i = 0; !c && i < db_rows_count(rows); i++)
		*PB_ADD(rq->arena, ret->entities, ret->n_entities) = fill_id(rq, rows, i, 2);
	ret->token = (char *)token;
	return c;
}

const struct api_binding admin_named_entity_rpcs[] = {
	{"GetNamedEntity", admin_get_named_entity_api},
	{"UpdateNamedEntity", admin_update_named_entity_api},
	{"ListNamedEntities", admin_list_named_entities_api},
	{0},
};

#include "description.h"

#include "filters.h"
#include "pb/pb.h"
#include "resource.h"
#include "validation.h"

#define COLUMNS                                                                                                        \
	"d.resource_type, d.project, d.domain, d.name, d.version, d.short_description, d.long_description, "           \
	"d.source_code"
enum { TYPE, ID, SHORT = 5, LONG, LINK };

static const struct db_stmt GET = {
	"description_get",
	"SELECT " COLUMNS " FROM description_entities d "
	"WHERE d.resource_type = $5 AND d.project = $1 AND d.domain = $2 AND d.name = $3 AND d.version = $4",
};

static const struct list_column DESCRIPTION_COLUMNS[] = {
	{"id", "d.id", .kind = COLUMN_I64},
	{"resource_type", "d.resource_type", .kind = COLUMN_I64},
	{"project", "d.project", .kind = COLUMN_TEXT},
	{"domain", "d.domain", .kind = COLUMN_TEXT},
	{"name", "d.name", .kind = COLUMN_TEXT},
	{"version", "d.version", .kind = COLUMN_TEXT},
	{"created_at", "d.created_at", .kind = COLUMN_TIME},
	{"updated_at", "d.created_at", .kind = COLUMN_TIME}, /* descriptions never change */
	{"short_description", "d.short_description", .kind = COLUMN_TEXT},
	{"link", "d.source_code", .kind = COLUMN_TEXT},
	{0},
};
static const struct list_entity ANY_ENTITIES[] = {{"description_entity", "de", DESCRIPTION_COLUMNS, NULL}, {0}};
static const struct list_entity TASK_ENTITIES[] = {{"task", "t", DESCRIPTION_COLUMNS, NULL}, {0}};
static const struct list_entity WORKFLOW_ENTITIES[] = {{"workflow", "w", DESCRIPTION_COLUMNS, NULL}, {0}};

/* ---- parameters of a registration ---- */

struct db_param description_short(const AdminDescriptionEntity *d)
{
	return db_text(d ? d->short_description : "");
}

struct db_param description_long(const AdminDescriptionEntity *d, struct arena *a)
{
	if (!d)
		return db_null();
	return db_bytea(d->long_description ? pb_pack(d->long_description, a) : STR(""));
}

struct db_param description_link(const AdminDescriptionEntity *d)
{
	return db_text(d && d->source_code ? d->source_code->link : "");
}

/* ---- reading ---- */

static enum code read_description(struct request *rq, const struct db_rows *rows, size_t i, int col,
				  AdminDescriptionEntity *ret, struct err *err)
{
	ret->id = resource_id(rq->arena, (CoreResourceType)db_get_i64(rows, i, col + TYPE), rows, i, col + ID);
	ret->short_description = db_get_text(rows, i, col + SHORT, rq->arena);
	ret->source_code = pb_new(rq->arena, ADMIN_SOURCE_CODE_DESC);
	ret->source_code->link = db_get_text(rows, i, col + LINK, rq->arena);
	return pb_unpack_own(ADMIN_DESCRIPTION_DESC, db_get_str(rows, i, col + LONG), rq->arena,
			     (void **)&ret->long_description, err);
}

static enum code admin_get_description_entity(struct request *rq, const AdminObjectGetRequest *in,
					      AdminDescriptionEntity *ret, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;

	if (!in->id || in->id->resource_type == CORE_RESOURCE_TYPE_UNSPECIFIED)
		return err_set(err, INVALID_ARGUMENT, "invalid value for resource_type");
	enum code c = check_identifier(in->id, in->id->resource_type, rq->arena, err);
	if (!c)
		c = db_take(admin_of(rq)->db, &db, err);
	if (!c)
		c = db_query(db, &GET, &rows, err, ID_PARAMS(in->id), db_i32((int32_t)in->id->resource_type));
	if (!c && db_rows_count(rows) == 0)
		c = missing_entity(in->id, in->id->resource_type, rq->arena, err);
	return c ? c : read_description(rq, rows, 0, 0, ret, err);
}
API_THUNK(admin_get_description_entity)

static enum code check_list(const AdminDescriptionEntityListRequest *in, struct err *err)
{
	enum code c = check_entity_identifier(in->id, err);

	return c ? c : check_limit(in->limit, err);
}

static enum code query_descriptions(struct request *rq, const AdminDescriptionEntityListRequest *in, struct db *db,
				    struct db_rows **ret, const char **ret_token, struct err *err)
{
	auto_list struct list l;
	const struct list_entity *entities = in->resource_type == CORE_RESOURCE_TYPE_TASK       ? TASK_ENTITIES
					     : in->resource_type == CORE_RESOURCE_TYPE_WORKFLOW ? WORKFLOW_ENTITIES
												: ANY_ENTITIES;

	list_init(&l, rq->arena, "ListWorkflows", entities);
	l.stmt = "ListDescriptionEntities";
	list_select(&l, COLUMNS, "description_entities d", "d.id", in->sort_by);
	if (in->resource_type != CORE_RESOURCE_TYPE_UNSPECIFIED)
		list_where(&l, "d.resource_type", db_i32((int32_t)in->resource_type));
	list_where(&l, "d.project", db_text(in->id->project));
	list_where(&l, "d.domain", db_text(in->id->domain));
	list_where(&l, "d.name", db_text(in->id->name));
	enum code c = list_filter(&l, in->filters, err);
	return c ? c : list_run(&l, db, in->limit, in->token, ret, ret_token, err);
}

static enum code admin_list_description_entities(struct request *rq, const AdminDescriptionEntityListRequest *in,
						 AdminDescriptionEntityList *ret, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	const char *token = "";
	enum code c = check_list(in, err);

	if (!c)
		c = db_take(admin_of(rq)->db, &db, err);
	if (!c)
		c = query_descriptions(rq, in, db, &rows, &token, err);
	for (size_t i = 0; !c && i < db_rows_count(rows); i++) {
		AdminDescriptionEntity *d = pb_new(rq->arena, ADMIN_DESCRIPTION_ENTITY_DESC);
		c = read_description(rq, rows, i, 2, d, err);
		*PB_ADD(rq->arena, ret->descriptionentities, ret->n_descriptionentities) = d;
	}
	ret->token = (char *)token;
	return c;
}
API_THUNK(admin_list_description_entities)

const struct api_binding admin_description_rpcs[] = {
	{"GetDescriptionEntity", admin_get_description_entity_api},
	{"ListDescriptionEntities", admin_list_description_entities_api},
	{0},
};

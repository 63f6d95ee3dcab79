#include "resource.h"

#include "difference.h"
#include "pb/pb.h"
#include "validation.h"

CoreIdentifier *resource_id(struct arena *a, CoreResourceType type, const struct db_rows *rows, size_t row, int col)
{
	CoreIdentifier *id = pb_new(a, CORE_IDENTIFIER_DESC);

	id->resource_type = type;
	id->project = db_get_text(rows, row, col, a);
	id->domain = db_get_text(rows, row, col + 1, a);
	id->name = db_get_text(rows, row, col + 2, a);
	id->version = db_get_text(rows, row, col + 3, a);
	return id;
}

void list_where_scope(struct list *l, const char *table, const char *project, const char *domain)
{
	const char *sql = arena_printf(l->arena, "%s.project || '/' || %s.domain", table, table);

	list_where(l, sql, db_text(arena_printf(l->arena, "%s/%s", project, domain)));
}

enum code list_resources(struct list *l, struct db *db, const AdminResourceListRequest *in, struct db_rows **ret,
			 const char **ret_token, struct err *err)
{
	const AdminNamedEntityIdentifier *id = in->id;

	if (*id->name) {
		list_where(l, "t.project", db_text(id->project));
		list_where(l, "t.domain", db_text(id->domain));
		list_where(l, "t.name", db_text(id->name));
	} else {
		list_where_scope(l, "t", id->project, id->domain);
	}
	enum code c = list_filter(l, in->filters, err);
	return c ? c : list_run(l, db, in->limit, in->token, ret, ret_token, err);
}

enum code already_registered(const char *kind, const char *name, bool identical, const void *old, const void *new,
			     struct err *err)
{
	auto_buf struct buf b = {0};

	if (identical)
		return err_set(err, ALREADY_EXISTS, "%s with identical structure already exists", kind);
	if (old && err)
		add_differences(old, new, ERR_TEXT_BYTES, &b);
	return err_set(err, INVALID_ARGUMENT,
		       "%s %s with different structure already exists. (Please register a new version of the %s):\n%s",
		       name, kind, kind, buf_text(&b));
}

enum code resource_key(struct request *rq, CoreResourceType type, const AdminObjectGetRequest *in,
		       struct db_param ret[4], struct err *err)
{
	const CoreIdentifier *id = implied_type(in->id, type, rq->arena);
	enum code c = check_identifier(id, type, rq->arena, err);

	if (c)
		return c;
	const struct db_param params[] = {ID_PARAMS(id)};
	memcpy(ret, params, sizeof params);
	return OK;
}

enum code resource_missing(struct request *rq, CoreResourceType type, const AdminObjectGetRequest *in, struct err *err)
{
	return missing_entity(implied_type(in->id, type, rq->arena), type, rq->arena, err);
}

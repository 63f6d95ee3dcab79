/* What tasks, workflows and launch plans have in common: they are registered once under project, domain, name and
 * version. */
#pragma once
#include "admin.h"
#include "filters.h"
#include "flyteidl/admin/common.h"
#include "flyteidl/core/identifier.h"

enum { DIGEST_BYTES = 32 };

/* The four parts of an identifier, as parameters. */
#define ID_PARAMS(id) db_text((id)->project), db_text((id)->domain), db_text((id)->name), db_text((id)->version)

/* Columns of every list of resources, for tables with the alias `t`. */
#define RESOURCE_COLUMNS                                                                                               \
	{"id", "t.id", .kind = COLUMN_I64}, {"project", "t.project", .kind = COLUMN_TEXT},                             \
		{"domain", "t.domain", .kind = COLUMN_TEXT}, {"name", "t.name", .kind = COLUMN_TEXT},                  \
		{"version", "t.version", .kind = COLUMN_TEXT},                                                         \
	{                                                                                                              \
		"created_at", "t.created_at", .kind = COLUMN_TIME                                                      \
	}

/* An identifier of columns project, domain, name, version from `col` on. */
CoreIdentifier *resource_id(struct arena *a, CoreResourceType type, const struct db_rows *rows, size_t row, int col);

/* The rows of one project and domain, as the lists' indexes have it; neither has a '/' in it. `table`: the alias. */
void list_where_scope(struct list *l, const char *table, const char *project, const char *domain);
/* The request's project, domain, name if given, filters; then the page. `l` has its SELECT. */
enum code list_resources(struct list *l, struct db *db, const AdminResourceListRequest *in, struct db_rows **ret,
			 const char **ret_token, struct err *err);

/* What an AdminObjectGetRequest asks for: the parameters of its key, and the error when there is no such row
 * (lookup.h). */
enum code resource_key(struct request *rq, CoreResourceType type, const AdminObjectGetRequest *in,
		       struct db_param ret[4], struct err *err);
enum code resource_missing(struct request *rq, CoreResourceType type, const AdminObjectGetRequest *in, struct err *err);

/* It is registered already: ALREADY_EXISTS when the digests agree; else INVALID_ARGUMENT with the differences of the
 * two messages (`old` may be NULL). `kind`: "task", "workflow", "launch plan". */
enum code already_registered(const char *kind, const char *name, bool identical, const void *old, const void *new,
			     struct err *err);

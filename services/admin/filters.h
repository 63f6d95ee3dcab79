/* Lists: Flyte's filter expressions, sort keys and page tokens, made into SQL by tables of columns.
 *
 *   eq(name,x)+contains(version,v)+gte(created_at,2026-01-01T00:00:00Z)+value_in(phase,RUNNING;FAILED)
 *
 * An expression names a column of the entity that is listed ("name") or of one joined to it ("workflow.name").
 * Pages are cut by key (the sort column's value, then id), so rows that come or go meanwhile move no page; a token of
 * digits is an offset, since flytectl computes offsets of its own. No text from outside becomes SQL.
 * Source: flyteadmin pkg/manager/impl/util/filters.go, pkg/common/filters.go, sorting.go (v1.16.8). */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "db/db.h"
#include "flyteidl/admin/common.h"

enum column_kind { COLUMN_TEXT, COLUMN_I64, COLUMN_TIME, COLUMN_DURATION /* bigint microseconds */ };

struct list_column {
	const char *name; /* Flyte's; NULL ends a table */
	const char *sql;  /* an expression of ours that is never NULL: "t.name" */
	enum column_kind kind;
	/* Words that stand for the numbers 0, 1, … of a COLUMN_I64 (phases); NULL for none, and at its end. */
	const char *const *words;
	/* NULL, or the column itself where `sql` is a stand-in for its NULLs: what has none matches no filter. */
	const char *nullable;
	/* NULL, or a time that never is later: rows that it rules out need not be looked at. */
	const char *after;
};

/* An entity that filters may name; the last of an array has columns NULL. */
struct list_entity {
	const char *prefix; /* "launch_plan" in "launch_plan.name" */
	const char *code;   /* Flyte's, for its error texts: "l" */
	const struct list_column *columns;
	/* Several rows may belong to a listed one: "SELECT FROM … WHERE …", which all filters of the entity are added
	 * to; one row must satisfy them together. NULL: the columns are those of the listed row. */
	const char *exists;
};

/* A statement in the making. Start with list_init, end with list_clear (or auto_list). */
struct list {
	struct arena *arena;
	const char *what;                   /* the RPC, for error texts: "ListTasks" */
	const char *stmt;                   /* the statement's name; NULL: `what` */
	const struct list_entity *entities; /* the first is the one that is listed */
	struct buf sql;
	struct db_param params[256];
	size_t n_params;
	bool has_where;
	const struct list_column *sort; /* NULL: by id */
	const struct list_column *then; /* NULL, or what orders rows of the same sort value, before their id */
	bool descending;
	const char *bad_sort; /* what is wrong with it, NULL for nothing */
	const char *id_sql;
};
void list_clear(struct list *l);
#define auto_list __attribute__((cleanup(list_clear)))

void list_init(struct list *l, struct arena *a, const char *what, const struct list_entity *entities);
/* Before list_select: rows of the same sort value are in the order of this column of numbers or times. */
static inline void list_then_by(struct list *l, const struct list_column *column)
{
	l->then = column;
}
/* "SELECT <sort value as text>, <id>, <columns> FROM <from>"; `id_sql` is the bigint that makes rows distinct.
 * What is wrong with the sort key is told by list_run: flyteadmin looks at filters first. */
void list_select(struct list *l, const char *columns, const char *from, const char *id_sql, const AdminSort *sort);
/* AND <sql> = value, where `sql` is an expression of ours. */
void list_where(struct list *l, const char *sql, struct db_param value);
/* AND <sql>, as it is. */
void list_where_sql(struct list *l, const char *sql);
/* The request's filters; NULL or "" for none. Errors: INVALID_ARGUMENT in flyteadmin's words. */
enum code list_filter(struct list *l, const char *filters, struct err *err);
/* Do they compare the listed row's column of this `sql`? With `equal`: to one or a few values that it is to have. What
 * cannot be read compares nothing. */
bool list_filters(const struct list *l, const char *filters, const char *sql, bool equal);
/* The page, then run. Column 0 of the rows is the sort value, 1 the id, then `columns`.
 * *ret_token: for the next page, "" when this one is not full; in the arena.
 * Errors: INVALID_ARGUMENT for a limit of 0, a bad sort key or a bad token. */
enum code list_run(struct list *l, struct db *db, uint32_t limit, const char *token, struct db_rows **ret,
		   const char **ret_token, struct err *err);

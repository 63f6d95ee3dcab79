/* Postgres through libpq: a pool of connections, prepared statements with binary parameters and results, transactions,
 * multi-row batches, COPY, migrations. Blocking: for worker threads, one connection per thread at a time.
 *
 *   static const struct db_stmt GET_TASK = {"get_task", "SELECT closure FROM tasks WHERE project = $1 AND name = $2"};
 *   auto_free(db_rows_free) struct db_rows *rows = NULL;
 *   enum code c = db_query(db, &GET_TASK, &rows, err, db_text(project), db_text(name));
 *
 * Statements are prepared on a connection when first used there. No SQL is put together from outside text.
 * Errors: UNAVAILABLE (no connection, or one that may not write; the next take reconnects), ALREADY_EXISTS (unique
 * violation, 23505), FAILED_PRECONDITION (foreign key, check, not null), ABORTED (serialization, deadlock, lock
 * timeout: worth a retry), INVALID_ARGUMENT (data exceptions), DEADLINE_EXCEEDED (statement timeout),
 * RESOURCE_EXHAUSTED (disk or memory full), INTERNAL with Postgres' own message otherwise. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "metrics/metrics.h"

struct db_pool;
struct db;
struct db_rows;

/* A statement that is timed in a series of its own: "node_execution_get" in "node_executions:get_ms". */
struct db_timed {
	const char *stmt, *series;
};

struct db_pool_options {
	const char *dsn;         /* libpq connection string or URI */
	const char *schema;      /* search_path of every connection; created by db_migrate */
	int max_connections;     /* 0 for 16; takers wait for one */
	int64_t take_timeout_us; /* 0 for 30 s; then UNAVAILABLE */
	int64_t slow_query_us;   /* statements above this are logged with name and SQL, one a second; 0 for never */
	struct metrics *metrics; /* borrowed; NULL for none */
	const char *metrics_prefix;
	/* Summaries in milliseconds, "<timed_prefix>:<series>"; several statements may share one. Ended by {0}; NULL
	 * for none. */
	const struct db_timed *timed;
	const char *timed_prefix;
	/* Statements find their rows by keys only: each is planned once, as loops over indexes, whatever its values and
	 * however small its tables. Else those with arrays are planned at every call. */
	bool keyed;
	struct db_pool *replica; /* where db_query_replica reads; borrowed, outlives this pool. NULL for none */
};

/* Does not connect yet. Strings are copied. */
struct db_pool *db_pool_new(const struct db_pool_options *options);
void db_pool_free(struct db_pool *p); /* every connection has been given back */
enum code db_take(struct db_pool *p, struct db **ret, struct err *err);
/* A connection in a failed or open transaction is rolled back; a broken one is closed. NULL is fine. */
void db_give(struct db *db);
DEFINE_CLEANUP(struct db *, db_give);
DEFINE_CLEANUP(struct db_pool *, db_pool_free);

struct db_stmt {
	const char *name; /* unique in the process */
	const char *sql;  /* $1 … $n */
};

/* A parameter, binary on the wire. Borrowed until the call returns. */
struct db_param {
	enum { DB_NULL, DB_I64, DB_I32, DB_BOOL, DB_F64, DB_TEXT, DB_BYTEA, DB_TIME, DB_ARRAY } kind;
	int64_t i;
	double d;
	struct str s;
	const struct db_array *array;
};
struct db_param db_null(void);
struct db_param db_i64(int64_t v); /* bigint */
struct db_param db_i32(int32_t v); /* integer */
struct db_param db_bool(bool v);
struct db_param db_f64(double v);
struct db_param db_text(const char *s); /* NULL gives NULL */
struct db_param db_str(struct str s);
struct db_param db_bytea(struct str s);
struct db_param db_time(int64_t us); /* timestamptz; 0 gives NULL */

/* Columns of a batch, for `INSERT … SELECT * FROM unnest($1::bigint[], $2::bytea[])`: add one value a row. */
struct db_array;
struct db_array *db_array_new(struct arena *a,
			      struct db_param kind_of);       /* kind from a sample, db_i64(0), db_text("") … */
void db_array_add(struct db_array *x, struct db_param value); /* of that kind, or db_null() */
struct db_param db_array(const struct db_array *x);

#define DB_PARAMS(...)                                                                                                 \
	(sizeof((struct db_param[]){{0}, ##__VA_ARGS__}) / sizeof(struct db_param) - 1),                               \
		((struct db_param[]){{0}, ##__VA_ARGS__} + 1)
/* Run and get rows: db_query(db, &STMT, &rows, err, db_text(x), …). */
#define db_query(db_, stmt, ret, err, ...) db_query_params((db_), (stmt), DB_PARAMS(__VA_ARGS__), (ret), (err))
enum code db_query_params(struct db *db, const struct db_stmt *stmt, size_t n, const struct db_param *params,
			  struct db_rows **ret, struct err *err);
/* Run without rows: *ret_affected (may be NULL) rows changed. */
#define db_exec(db_, stmt, ret_affected, err, ...)                                                                     \
	db_exec_params((db_), (stmt), DB_PARAMS(__VA_ARGS__), (ret_affected), (err))
enum code db_exec_params(struct db *db, const struct db_stmt *stmt, size_t n, const struct db_param *params,
			 int64_t *ret_affected, struct err *err);

/* One statement for each of `n` sets of `n_params` parameters, which follow each other in `params` and agree in their
 * kinds (NULL agrees with any): all are sent, then all answers read (libpq's pipeline), in one transaction unless there
 * is one. ret[i] are the rows of set i. Any error is that of all: nothing has happened, and `ret` is untouched. */
enum code db_query_each(struct db *db, const struct db_stmt *stmt, size_t n_params, const struct db_param *params,
			size_t n, struct db_rows **ret, struct err *err);

/* Several statements in one round trip (libpq's pipeline), in one transaction unless there is one; BEGIN may be the
 * first. An error is that of all: those after it are not run. Each one's time, in metrics and the slow query log, is
 * that of all. */
struct db_step {
	const struct db_stmt *stmt;
	size_t n;
	const struct db_param *params; /* borrowed until it has run */
	int64_t affected;              /* set: rows changed */
};
enum code db_exec_steps(struct db *db, struct db_step *steps, size_t n, struct err *err);

/* For statements whose text depends on a choice from tables of ours (sort column, filters): text is made with $n only,
 * by the caller. Planned at each call, for these very values: what is the best index for a rare one is not for others.
 */
enum code db_query_text(struct db *db, const struct db_stmt *stmt, size_t n, const struct db_param *params,
			struct db_rows **ret, struct err *err);

/* The same, by a connection to the pool's replica: for what may be a little old. Without a replica, or when it fails,
 * by `db`. */
enum code db_query_replica(struct db *db, const struct db_stmt *stmt, size_t n, const struct db_param *params,
			   struct db_rows **ret, struct err *err);

/* Rows stay valid until freed. Columns by position; a NULL reads as 0, false, "" or 0 bytes. */
size_t db_rows_count(const struct db_rows *r);
bool db_is_null(const struct db_rows *r, size_t row, int col);
int64_t db_get_i64(const struct db_rows *r, size_t row, int col); /* smallint, integer, bigint */
bool db_get_bool(const struct db_rows *r, size_t row, int col);
double db_get_f64(const struct db_rows *r, size_t row, int col);
struct str db_get_str(const struct db_rows *r, size_t row, int col); /* text or bytea, borrowed from the rows */
char *db_get_text(const struct db_rows *r, size_t row, int col, struct arena *a);
int64_t db_get_time_us(const struct db_rows *r, size_t row, int col); /* timestamptz */
void db_rows_free(struct db_rows *r);
DEFINE_CLEANUP(struct db_rows *, db_rows_free);

enum code db_begin(struct db *db, struct err *err);
enum code db_commit(struct db *db, struct err *err); /* an error means: unknown whether it committed */
void db_rollback(struct db *db);

/* COPY … FROM STDIN BINARY: start, rows of exactly `n_columns` values, finish. An error anywhere ends the COPY. */
enum code db_copy_start(struct db *db, const char *sql, struct err *err); /* sql is a literal of ours */
enum code db_copy_row(struct db *db, size_t n, const struct db_param *values, struct err *err);
enum code db_copy_finish(struct db *db, struct err *err);

/* Migrations: files services/<name>/migrations/NNN_what.sql, embedded by the build (<name>_migrations). Applied in
 * order under an advisory lock, all in one transaction, remembered with checksum in <schema>.migrations. Errors:
 * FAILED_PRECONDITION when an applied file has changed since, or the schema is newer than this binary. */
struct db_migration {
	const char *name; /* "001_init"; NULL ends the table */
	const char *sql;
};
enum code db_migrate(struct db_pool *p, const struct db_migration *migrations, struct err *err);
struct db_migration_status {
	const char *name;
	enum { MIGRATION_APPLIED, MIGRATION_PENDING, MIGRATION_CHANGED, MIGRATION_UNKNOWN } state;
};
/* Ours in their order, then those that only the database has; in `a`. Changes nothing: a schema that is not there has
 * everything pending. */
enum code db_migration_status(struct db_pool *p, const struct db_migration *migrations, struct arena *a,
			      struct db_migration_status **ret, size_t *ret_n, struct err *err);

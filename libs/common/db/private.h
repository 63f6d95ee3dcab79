/* Shared by the files of db. */
#pragma once
#include <libpq-fe.h>
#include <pthread.h>

#include "base/base.h"
#include "db/db.h"

/* Type oids of Postgres' catalogue (pg_type.dat): they never change. */
enum {
	OID_BOOL = 16,
	OID_BYTEA = 17,
	OID_INT8 = 20,
	OID_INT4 = 23,
	OID_TEXT = 25,
	OID_FLOAT8 = 701,
	OID_TIMESTAMPTZ = 1184,
	OID_BOOL_ARRAY = 1000,
	OID_BYTEA_ARRAY = 1001,
	OID_INT4_ARRAY = 1007,
	OID_TEXT_ARRAY = 1009,
	OID_INT8_ARRAY = 1016,
	OID_FLOAT8_ARRAY = 1022,
	OID_TIMESTAMPTZ_ARRAY = 1185,
};

/* 2000-01-01 in µs since 1970: where Postgres counts from. */
#define PG_EPOCH_US (INT64_C(946684800) * USEC_PER_SEC)

/* A statement on one connection, with its parameters' types as they were prepared. */
struct prepared {
	size_t n;
	uint32_t types[];
};

struct db {
	struct db_pool *pool;
	PGconn *conn;
	struct map *prepared; /* statement name -> struct prepared */
	bool broken;
	struct db *next; /* in the pool's free list */
};

struct db_pool {
	char *dsn, *schema;
	struct db_pool *replica; /* NULL for none */
	bool keyed;
	int max;
	int64_t take_timeout_us, slow_us;
	pthread_mutex_t lock;
	pthread_cond_t returned;
	struct db *free;
	int open; /* connections taken or free */
	struct metric *taken, *queries, *query_time, *errors;
	struct map *timed; /* statement -> struct metric; NULL for none */
};

struct db_array {
	struct arena *arena;
	int kind;
	uint32_t oid;
	int32_t n;
	bool has_null;
	struct buf body; /* elements: length, bytes; its memory is the arena's once packed */
};

struct db_rows {
	PGresult *result;
};

/* Parameters as libpq takes them. */
struct packed {
	struct buf bytes;
	const char **values;
	int *lengths, *formats;
	Oid *types; /* 0 of a NULL */
	size_t *offsets;
	void *memory;
};
void pack_params(struct packed *k, size_t n, const struct db_param *params);
void packed_clear(struct packed *k);

/* See to it that the statement is prepared on this connection for parameters like these. */
enum code prepared_for(struct db *db, const struct db_stmt *stmt, const struct packed *k, size_t n, struct err *err);
/* Takes the result; *ret is it unless it is an error. */
enum code check_result(struct db *db, const char *name, PGresult *r, PGresult **ret, struct err *err);
void rows_from(PGresult *r, struct db_rows **ret);
/* Count and time a statement that was begun at start_us (monotonic); a slow one is logged. */
void note_time(struct db *db, const struct db_stmt *stmt, int64_t start_us);

/* A parameter's bytes: appended to `b`, network byte order. Not for DB_NULL. */
void param_add(struct buf *b, const struct db_param *p);
uint32_t param_oid(int kind);
uint32_t param_array_oid(int kind);
Oid param_type(const struct db_param *p); /* 0 of a NULL */

/* Error of the connection or of a result, by SQLSTATE. Marks broken connections. */
enum code db_fail(struct db *db, const PGresult *r, const char *what, struct err *err);
/* Send SQL of ours without parameters; several statements may stand in it. */
enum code db_simple(struct db *db, const char *sql, struct err *err);

static inline void add_be32(struct buf *b, uint32_t v)
{
	v = __builtin_bswap32(v);
	buf_add(b, &v, sizeof v);
}

static inline void add_be64(struct buf *b, uint64_t v)
{
	v = __builtin_bswap64(v);
	buf_add(b, &v, sizeof v);
}

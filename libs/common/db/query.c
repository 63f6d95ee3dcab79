/* Statements: prepared when first used on a connection, parameters and results binary. */
#include <assert.h>

#include "private.h"

/* ---- errors ---- */

static const struct {
	const char *state; /* SQLSTATE, or a prefix of it. Source: Postgres, appendix "Error Codes" */
	enum code code;
} STATES[] = {
	{"23505", ALREADY_EXISTS},  {"23", FAILED_PRECONDITION},  {"40001", ABORTED},     {"40P01", ABORTED},
	{"55P03", ABORTED},         {"57014", DEADLINE_EXCEEDED}, {"57", UNAVAILABLE},    {"08", UNAVAILABLE},
	{"53", RESOURCE_EXHAUSTED}, {"22", INVALID_ARGUMENT},     {"25006", UNAVAILABLE}, /* it is a standby by now */
};

enum code db_fail(struct db *db, const PGresult *r, const char *what, struct err *err)
{
	const char *state = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
	const char *primary = r ? PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY) : NULL;
	struct str text = str_trim(str_of(primary ? primary : PQerrorMessage(db->conn)));
	enum code code = INTERNAL;

	metric_add(db->pool->errors, 1);
	if (PQstatus(db->conn) != CONNECTION_OK || !state)
		code = UNAVAILABLE;
	for (size_t i = 0; state && code == INTERNAL && i < ARRAY_SIZE(STATES); i++)
		if (strncmp(state, STATES[i].state, strlen(STATES[i].state)) == 0)
			code = STATES[i].code;
	/* 0A000: a migration has changed the columns behind a prepared statement. */
	if (code == UNAVAILABLE || (state && strcmp(state, "0A000") == 0))
		db->broken = true;
	return err_set(err, code, "database: %s: %.*s", what, STR_ARG(text));
}

enum code db_simple(struct db *db, const char *sql, struct err *err)
{
	PGresult *r = PQexec(db->conn, sql);
	ExecStatusType status = PQresultStatus(r);
	enum code c = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ? OK : db_fail(db, r, "command", err);

	PQclear(r);
	return c;
}

/* ---- running ---- */

Oid param_type(const struct db_param *p)
{
	return p->kind == DB_ARRAY ? param_array_oid(p->array->kind) : param_oid((int)p->kind);
}

void pack_params(struct packed *k, size_t n, const struct db_param *params)
{
	char *m = x_calloc(n + 1, sizeof *k->values + sizeof *k->offsets + 2 * sizeof(int) + sizeof(Oid));

	k->memory = m;
	k->values = (const char **)m;
	k->offsets = (size_t *)(k->values + n);
	k->lengths = (int *)(k->offsets + n);
	k->formats = k->lengths + n;
	k->types = (Oid *)(k->formats + n);
	for (size_t i = 0; i < n; i++) {
		k->offsets[i] = k->bytes.len;
		param_add(&k->bytes, &params[i]);
		k->lengths[i] = (int)(k->bytes.len - k->offsets[i]);
		k->formats[i] = 1;
		k->types[i] = param_type(&params[i]);
	}
	/* Only now: the buffer moves while it grows. */
	for (size_t i = 0; i < n; i++)
		k->values[i] = params[i].kind == DB_NULL ? NULL : buf_text(&k->bytes) + k->offsets[i];
}

/* A NULL has no type, so the server infers one, which need not be that of a later value. */
static enum code learn_types(struct db *db, const char *name, struct prepared *p, struct err *err)
{
	PGresult *r = PQdescribePrepared(db->conn, name);
	enum code c = PQresultStatus(r) == PGRES_COMMAND_OK ? OK : db_fail(db, r, name, err);

	for (size_t i = 0; !c && i < p->n; i++)
		p->types[i] = PQparamtype(r, (int)i);
	PQclear(r);
	return c;
}

static enum code prepare(struct db *db, const char *name, const char *sql, const struct packed *k, size_t n,
			 struct prepared **ret, struct err *err)
{
	PGresult *r = PQprepare(db->conn, name, sql, (int)n, k->types);
	enum code c = PQresultStatus(r) == PGRES_COMMAND_OK ? OK : db_fail(db, r, name, err);
	struct prepared *p = x_calloc(1, sizeof *p + n * sizeof *p->types);
	bool all = true;

	PQclear(r);
	p->n = n;
	for (size_t i = 0; i < n; i++) {
		p->types[i] = k->types[i];
		all = all && k->types[i];
	}
	if (!c && !all)
		c = learn_types(db, name, p, err);
	if (c) {
		free(p);
		return c;
	}
	*ret = p;
	return OK;
}

static bool fits(const struct prepared *p, const struct packed *k, size_t n)
{
	for (size_t i = 0; i < n && i < p->n; i++)
		if (k->types[i] && k->types[i] != p->types[i])
			return false;
	return true;
}

/* Prepare at the first use, and anew when the values are of other types than those that it was prepared for. *at is
 * NULL while it isn't prepared. */
static enum code ensure_prepared(struct db *db, struct prepared **at, const char *name, const char *sql,
				 const struct packed *k, size_t n, struct err *err)
{
	if (*at && fits(*at, k, n))
		return OK;
	if (*at) {
		auto_mem char *drop = x_printf("DEALLOCATE \"%s\"", name);
		enum code c = db_simple(db, drop, err);
		if (c)
			return c;
		free(*at);
		*at = NULL;
	}
	return prepare(db, name, sql, k, n, at, err);
}

void note_time(struct db *db, const struct db_stmt *stmt, int64_t start_us)
{
	static struct log_limit limit;
	int64_t took_us = time_mono_us() - start_us;
	size_t held;

	metric_add(db->pool->queries, 1);
	metric_observe_us(db->pool->query_time, took_us);
	if (db->pool->timed)
		metric_observe_us(map_get(db->pool->timed, str_of(stmt->name)), took_us);
	if (db->pool->slow_us && took_us > db->pool->slow_us && log_allow(&limit, USEC_PER_SEC, &held))
		log_warn("slow statement", LOG_STR("statement", stmt->name), LOG_STR("sql", stmt->sql),
			 LOG_INT("took_us", took_us), LOG_INT("held_back", held));
}

enum code check_result(struct db *db, const char *name, PGresult *r, PGresult **ret, struct err *err)
{
	ExecStatusType status = PQresultStatus(r);

	if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
		enum code c = db_fail(db, r, name, err);
		PQclear(r);
		return c;
	}
	*ret = r;
	return OK;
}

void packed_clear(struct packed *k)
{
	buf_clear(&k->bytes);
	free(k->memory);
}

enum code prepared_for(struct db *db, const struct db_stmt *stmt, const struct packed *k, size_t n, struct err *err)
{
	struct str name = str_of(stmt->name);
	struct prepared *prepared = map_get(db->prepared, name), *before = prepared;
	enum code c = ensure_prepared(db, &prepared, stmt->name, stmt->sql, k, n, err);

	if (prepared && prepared != before)
		map_put(db->prepared, name, prepared);
	else if (!prepared && before)
		map_remove(db->prepared, name);
	return c;
}

static enum code run(struct db *db, const struct db_stmt *stmt, size_t n, const struct db_param *params, PGresult **ret,
		     struct err *err)
{
	int64_t start_us = time_mono_us(); /* preparing waits for locks, too */
	struct packed k = {0};

	pack_params(&k, n, params);
	enum code c = prepared_for(db, stmt, &k, n, err);
	if (!c) {
		PGresult *r = PQexecPrepared(db->conn, stmt->name, (int)n, k.values, k.lengths, k.formats, 1);
		c = check_result(db, stmt->name, r, ret, err);
	}
	note_time(db, stmt, start_us);
	packed_clear(&k);
	return c;
}

void rows_from(PGresult *r, struct db_rows **ret)
{
	struct db_rows *rows = x_calloc(1, sizeof *rows);

	rows->result = r;
	*ret = rows;
}

enum code db_query_params(struct db *db, const struct db_stmt *stmt, size_t n, const struct db_param *params,
			  struct db_rows **ret, struct err *err)
{
	PGresult *r;
	enum code c = run(db, stmt, n, params, &r, err);

	if (!c)
		rows_from(r, ret);
	return c;
}

enum code db_exec_params(struct db *db, const struct db_stmt *stmt, size_t n, const struct db_param *params,
			 int64_t *ret_affected, struct err *err)
{
	PGresult *r;
	enum code c = run(db, stmt, n, params, &r, err);

	if (c)
		return c;
	if (ret_affected)
		*ret_affected = strtoll(PQcmdTuples(r), NULL, 10);
	PQclear(r);
	return OK;
}

enum code db_query_text(struct db *db, const struct db_stmt *stmt, size_t n, const struct db_param *params,
			struct db_rows **ret, struct err *err)
{
	int64_t start_us = time_mono_us();
	struct packed k = {0};
	PGresult *r;

	pack_params(&k, n, params);
	r = PQexecParams(db->conn, stmt->sql, (int)n, k.types, k.values, k.lengths, k.formats, 1);
	note_time(db, stmt, start_us);
	enum code c = check_result(db, stmt->name, r, &r, err);
	if (!c)
		rows_from(r, ret);
	packed_clear(&k);
	return c;
}

/* ---- transactions ---- */

enum code db_begin(struct db *db, struct err *err)
{
	return db_simple(db, "BEGIN", err);
}

enum code db_commit(struct db *db, struct err *err)
{
	/* COMMIT of a failed transaction answers ROLLBACK, without an error. */
	if (PQtransactionStatus(db->conn) == PQTRANS_INERROR) {
		db_rollback(db);
		return err_set(err, INTERNAL, "database: COMMIT of a transaction in which a statement had failed");
	}
	static const struct db_stmt COMMIT = {"commit", "COMMIT"};
	int64_t start_us = time_mono_us();
	enum code c = db_simple(db, COMMIT.sql, err);
	note_time(db, &COMMIT, start_us);
	return c;
}

void db_rollback(struct db *db)
{
	if (db_simple(db, "ROLLBACK", NULL) != OK)
		db->broken = true;
}

/* Many statements in one round trip: all are sent, then all answers read. */
#include "private.h"

struct sent {
	const struct db_stmt *stmt;
	size_t n;
	struct packed packed;
	PGresult *result; /* NULL until it is known to be no error */
};

static bool send_one(struct db *db, const struct sent *s)
{
	const struct packed *k = &s->packed;

	return PQsendQueryPrepared(db->conn, s->stmt->name, (int)s->n, k->values, k->lengths, k->formats, 1);
}

/* What else there is of a statement's answer, up to the NULL that ends it. */
static void end_one(struct db *db)
{
	PGresult *r;

	while ((r = PQgetResult(db->conn)))
		PQclear(r);
}

/* The pipeline's end, and that of its transaction: only now is it known whether it has happened. */
static enum code receive_sync(struct db *db, const struct db_stmt *stmt, struct err *err)
{
	PGresult *r = PQgetResult(db->conn);
	enum code c = PQresultStatus(r) == PGRES_PIPELINE_SYNC ? OK : db_fail(db, r, stmt->name, err);

	PQclear(r);
	return c;
}

/* All are prepared. */
static enum code pipeline(struct db *db, struct sent *all, size_t n, struct err *err)
{
	enum code c = OK;
	bool sent = PQenterPipelineMode(db->conn);

	for (size_t i = 0; sent && i < n; i++)
		sent = send_one(db, &all[i]);
	if (!sent || !PQpipelineSync(db->conn)) {
		db->broken = true;
		return db_fail(db, NULL, all[0].stmt->name, err);
	}
	for (size_t i = 0; i < n; i++) {
		if (!c)
			c = check_result(db, all[i].stmt->name, PQgetResult(db->conn), &all[i].result, err);
		end_one(db);
	}
	if (!c)
		c = receive_sync(db, all[n - 1].stmt, err);
	else
		PQclear(PQgetResult(db->conn));
	if (!PQexitPipelineMode(db->conn))
		db->broken = true;
	return c;
}

static void sent_free(struct sent *all, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		packed_clear(&all[i].packed);
		PQclear(all[i].result);
	}
	free(all);
}

static enum code prepare_all(struct db *db, const struct sent *all, size_t n, struct err *err)
{
	enum code c = OK;

	for (size_t i = 0; !c && i < n; i++)
		c = prepared_for(db, all[i].stmt, &all[i].packed, all[i].n, err);
	return c;
}

/* ---- one statement, many sets ---- */

/* A NULL has no type, but the same parameter of another set may have one. */
static void take_types(struct packed *first, size_t n_params, const struct db_param *params, size_t n)
{
	for (size_t i = n_params; i < n * n_params; i++)
		if (!first->types[i % n_params])
			first->types[i % n_params] = param_type(&params[i]);
}

enum code db_query_each(struct db *db, const struct db_stmt *stmt, size_t n_params, const struct db_param *params,
			size_t n, struct db_rows **ret, struct err *err)
{
	struct sent *all = x_calloc(n + 1, sizeof *all);
	int64_t start_us = time_mono_us(); /* preparing waits for locks, too */
	enum code c = OK;

	for (size_t i = 0; i < n; i++) {
		all[i] = (struct sent){.stmt = stmt, .n = n_params};
		pack_params(&all[i].packed, n_params, params + i * n_params);
	}
	if (n) {
		take_types(&all[0].packed, n_params, params, n);
		c = prepare_all(db, all, 1, err);
	}
	if (n && !c)
		c = pipeline(db, all, n, err);
	if (n) {
		note_time(db, stmt, start_us);
		metric_add(db->pool->queries, (int64_t)n - 1);
	}
	for (size_t i = 0; !c && i < n; i++)
		rows_from(take(all[i].result), &ret[i]);
	sent_free(all, n);
	return c;
}

/* ---- many statements ---- */

enum code db_exec_steps(struct db *db, struct db_step *steps, size_t n, struct err *err)
{
	struct sent *all = x_calloc(n + 1, sizeof *all);
	int64_t start_us = time_mono_us();

	for (size_t i = 0; i < n; i++) {
		all[i] = (struct sent){.stmt = steps[i].stmt, .n = steps[i].n};
		pack_params(&all[i].packed, steps[i].n, steps[i].params);
	}
	enum code c = prepare_all(db, all, n, err);
	if (!c && n)
		c = pipeline(db, all, n, err);
	for (size_t i = 0; i < n; i++) {
		note_time(db, steps[i].stmt, start_us);
		steps[i].affected = c ? 0 : strtoll(PQcmdTuples(all[i].result), NULL, 10);
	}
	sent_free(all, n);
	return c;
}

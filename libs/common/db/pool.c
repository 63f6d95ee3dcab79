/* The pool: connections that wait, and waiting for one. */
#include <poll.h>

#include "private.h"

static void add_timed(struct db_pool *p, const struct db_pool_options *o)
{
	p->timed = map_new();
	for (const struct db_timed *t = o->timed; t->stmt; t++) {
		auto_mem char *name = x_printf("%s:%s", o->timed_prefix, t->series);
		map_put(p->timed, str_of(t->stmt),
			metrics_summary(o->metrics, name, NULL, "Time of such statements.", USEC_PER_MSEC));
	}
}

struct db_pool *db_pool_new(const struct db_pool_options *o)
{
	struct db_pool *p = x_calloc(1, sizeof *p);
	const char *prefix = o->metrics_prefix ? o->metrics_prefix : "db";

	p->dsn = x_strdup(o->dsn);
	p->schema = x_strdup(o->schema);
	p->max = o->max_connections > 0 ? o->max_connections : 16;
	p->take_timeout_us = o->take_timeout_us ? o->take_timeout_us : 30 * USEC_PER_SEC;
	p->slow_us = o->slow_query_us;
	p->replica = o->replica;
	p->keyed = o->keyed;
	pthread_mutex_init(&p->lock, NULL);
	cond_init_mono(&p->returned);
	if (!o->metrics)
		return p;
	auto_mem char *taken = x_printf("%s:connections_taken", prefix), *queries = x_printf("%s:statements", prefix);
	auto_mem char *time = x_printf("%s:statement_us", prefix), *errors = x_printf("%s:errors", prefix);
	p->taken = metrics_gauge(o->metrics, taken, NULL, "Connections of the pool in use.");
	p->queries = metrics_counter(o->metrics, queries, NULL, "Statements run.");
	p->query_time = metrics_summary(o->metrics, time, NULL, "Time of one statement.", 1);
	p->errors = metrics_counter(o->metrics, errors, NULL, "Statements that failed.");
	if (o->timed)
		add_timed(p, o);
	return p;
}

static void db_close(struct db *db)
{
	void *prepared;
	size_t it = 0;

	PQfinish(db->conn);
	while (map_next(db->prepared, &it, NULL, &prepared))
		free(prepared);
	map_free(db->prepared);
	free(db);
}

void db_pool_free(struct db_pool *p)
{
	if (!p)
		return;
	while (p->free) {
		struct db *db = p->free;
		p->free = db->next;
		db_close(db);
	}
	pthread_cond_destroy(&p->returned);
	pthread_mutex_destroy(&p->lock);
	map_free(p->timed);
	free(p->dsn);
	free(p->schema);
	free(p);
}

static void ignore_notice(void *arg, const char *message)
{
	(void)arg;
	(void)message;
}

/* A prepared statement keeps its plan: one made while a table was small would go on scanning all of it when it has
 * grown, until the next ANALYZE. What finds no index scans all the same, and is no reason to compile. */
#define PLANNER "SET enable_seqscan TO off; SET jit TO off"

/* A plan that is made once must not be one for a table that was empty then. */
#define KEYED "; SET plan_cache_mode TO force_generic_plan; SET enable_hashjoin TO off; SET enable_mergejoin TO off"

/* Locks and leases of who is gone without a word, or stands still in the middle of a transaction, hold nobody up for
 * long. */
#define GONE                                                                                                           \
	"; SET tcp_keepalives_idle TO 15; SET tcp_keepalives_interval TO 5; SET tcp_keepalives_count TO 3"             \
	"; SET idle_in_transaction_session_timeout TO '1min'"

/* Quoted as an identifier: schema names are ours, but may come from a test. */
static enum code set_up(struct db *db, const struct db_pool *p, struct err *err)
{
	char *quoted = p->schema ? PQescapeIdentifier(db->conn, p->schema, strlen(p->schema)) : NULL;
	auto_mem char *sql = x_printf(PLANNER GONE "%s%s%s", p->keyed ? KEYED : "",
				      quoted ? "; SET search_path TO " : "", quoted ? quoted : "");

	PQfreemem(quoted);
	return db_simple(db, sql, err);
}

static enum code connect_new(struct db_pool *p, struct db **ret, struct err *err)
{
	struct db *db = x_calloc(1, sizeof *db);
	/* What comes before dbname is for the DSN to change. */
	const char *keys[] = {"connect_timeout", "tcp_user_timeout", "fallback_application_name",
			      "dbname",          "client_encoding",  NULL};
	const char *values[] = {"10", "30000", p->schema ? p->schema : "alula", p->dsn, "UTF8", NULL};

	db->pool = p;
	db->prepared = map_new();
	db->conn = PQconnectdbParams(keys, values, 1);
	if (PQstatus(db->conn) != CONNECTION_OK) {
		struct str text = str_trim(str_of(PQerrorMessage(db->conn)));
		enum code c = err_set(err, UNAVAILABLE, "cannot connect to Postgres: %.*s", STR_ARG(text));
		db_close(db);
		return c;
	}
	PQsetNoticeProcessor(db->conn, ignore_notice, NULL);
	enum code c = set_up(db, p, err);
	if (c) {
		db_close(db);
		return c;
	}
	*ret = db;
	return OK;
}

/* A free connection, or the right to open one (*ret NULL). */
static enum code wait_turn(struct db_pool *p, struct db **ret, struct err *err)
{
	int64_t until_us = time_mono_us() + p->take_timeout_us;
	enum code c = OK;

	pthread_mutex_lock(&p->lock);
	while (!c && !p->free && p->open >= p->max)
		if (!cond_wait_until(&p->returned, &p->lock, until_us) && !p->free && p->open >= p->max)
			c = err_set(err, UNAVAILABLE, "all %d database connections are busy", p->max);
	if (!c) {
		*ret = p->free;
		if (*ret)
			p->free = (*ret)->next;
		else
			p->open++;
	}
	pthread_mutex_unlock(&p->lock);
	return c;
}

static void give_up_place(struct db_pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->open--;
	pthread_cond_signal(&p->returned);
	pthread_mutex_unlock(&p->lock);
}

/* The server may have closed a connection while it lay here (a restart): an idle one has nothing to say but that. */
static bool still_good(struct db *db)
{
	struct pollfd fd = {.fd = PQsocket(db->conn), .events = POLLIN};

	return PQstatus(db->conn) == CONNECTION_OK && poll(&fd, 1, 0) == 0;
}

enum code db_take(struct db_pool *p, struct db **ret, struct err *err)
{
	struct db *db = NULL;
	enum code c = wait_turn(p, &db, err);

	if (c)
		return c;
	if (db && !still_good(db)) {
		db_close(db);
		db = NULL;
	}
	if (!db)
		c = connect_new(p, &db, err);
	if (c) {
		give_up_place(p);
		return c;
	}
	metric_add(p->taken, 1);
	*ret = db;
	return OK;
}

void db_give(struct db *db)
{
	if (!db)
		return;
	struct db_pool *p = db->pool;
	if (PQtransactionStatus(db->conn) != PQTRANS_IDLE)
		db_rollback(db);
	metric_add(p->taken, -1);
	if (db->broken || PQtransactionStatus(db->conn) != PQTRANS_IDLE) {
		db_close(db);
		give_up_place(p);
		return;
	}
	pthread_mutex_lock(&p->lock);
	db->next = p->free;
	p->free = db;
	pthread_cond_signal(&p->returned);
	pthread_mutex_unlock(&p->lock);
}

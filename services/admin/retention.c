#include "retention.h"

#include <pthread.h>

#include "base/base.h"

enum { BATCH = 100, NODE_ROWS = 5000 };

/* A domain at a time, since the index by update begins with it; each is found by a step in that index. */
static const struct db_stmt DOMAINS = {
	"retention_domains",
	"WITH RECURSIVE d AS ((SELECT project || '/' || domain AS x FROM executions ORDER BY 1 LIMIT 1) UNION ALL "
	"SELECT (SELECT project || '/' || domain FROM executions WHERE project || '/' || domain > d.x ORDER BY 1 LIMIT 1) "
	"FROM d WHERE d.x IS NOT NULL) SELECT x FROM d WHERE x IS NOT NULL",
};
/* The phases 4, 6, 7 and 8 are terminal. */
static const struct db_stmt OLD = {
	"retention_old",
	"SELECT e.key, e.project, e.domain, e.name FROM executions e WHERE e.project || '/' || e.domain = $1 "
	"AND e.updated_at < $2 AND e.phase IN (4, 6, 7, 8) "
	"AND NOT EXISTS (SELECT FROM executions r WHERE r.source_execution = e.key) ORDER BY e.updated_at LIMIT $3",
};
static const struct db_stmt LOCK = {
	"retention_lock",
	"SELECT pg_try_advisory_lock(hashtext(current_schema() || '.retention'))",
};
static const struct db_stmt UNLOCK = {
	"retention_unlock",
	"SELECT pg_advisory_unlock(hashtext(current_schema() || '.retention'))",
};
#define SOME_OF(table)                                                                                                 \
	"DELETE FROM " table " WHERE ctid = ANY(ARRAY(SELECT ctid FROM " table " WHERE execution = ANY($1) LIMIT $2))"
static const struct db_stmt REMOVE_TASKS = {"retention_remove_tasks", SOME_OF("task_executions")};
static const struct db_stmt REMOVE_NODES = {"retention_remove_nodes", SOME_OF("node_executions")};
/* The execution goes last: as long as its name is taken, nothing new is where its files are. */
static const struct db_stmt REMOVE = {
	"retention_remove",
	"WITH t AS (DELETE FROM execution_tags WHERE execution = ANY($1)), "
	"s AS (DELETE FROM signals WHERE execution = ANY($1)) DELETE FROM executions WHERE key = ANY($1)",
};

struct retention {
	struct admin *admin;
	struct queue *stop; /* nothing is ever in it: it is closed */
	pthread_t thread;
	struct metric *removed;
	char *propeller_root;
};

static bool pause_for(struct retention *r, int64_t us)
{
	void *nothing;

	queue_pop(r->stop, &nothing, 1, us);
	return !queue_closed(r->stop);
}

static enum code remove_files(struct retention *r, const struct db_rows *rows, size_t i, struct arena *a,
			      struct err *err)
{
	const char *project = db_get_text(rows, i, 1, a), *domain = db_get_text(rows, i, 2, a),
		   *name = db_get_text(rows, i, 3, a);
	const char *folders[] = {
		arena_printf(a, "%s/%s/%s/%s/%lld", r->admin->metadata_root, project, domain, name,
			     (long long)db_get_i64(rows, i, 0)),
		arena_printf(a, "%s/%s-%s-%s", r->propeller_root, project, domain, name),
		/* What propeller's tasks have printed. */
		arena_printf(a, "%s/logs/%s/%s/%s", store_root(r->admin->store), project, domain, name),
	};
	enum code c = OK;

	for (size_t k = 0; !c && k < ARRAY_SIZE(folders); k++)
		c = store_remove_all(r->admin->store, folders[k], err);
	return c;
}

static enum code remove_some(struct retention *r, struct db *db, const struct db_stmt *stmt, struct db_param keys,
			     struct err *err)
{
	int64_t removed = 0;
	enum code c;

	do
		c = db_exec(db, stmt, &removed, err, keys, db_i64(NODE_ROWS));
	while (!c && removed == NODE_ROWS && !queue_closed(r->stop));
	return c;
}

/* The executions whose files are gone. Those with files that cannot be removed stay, and hold up no others. */
static size_t remove_all_files(struct retention *r, const struct db_rows *rows, struct db_array *keys, struct arena *a)
{
	static struct log_limit limit;
	size_t held, n = 0;
	struct err err;

	for (size_t i = 0; i < db_rows_count(rows); i++) {
		if (remove_files(r, rows, i, a, &err) == OK) {
			db_array_add(keys, db_i64(db_get_i64(rows, i, 0)));
			n++;
		} else if (log_allow(&limit, 10 * USEC_PER_SEC, &held)) {
			log_error("an old execution stays, since its files cannot be removed",
				  LOG_STR("name", db_get_text(rows, i, 3, a)), LOG_ERR(&err),
				  LOG_INT("held_back", held));
		}
	}
	return n;
}

/* *ret_n: how many are gone; *ret_more: there may be more. */
static enum code remove_batch(struct retention *r, struct db *db, const char *domain, int64_t before_us, size_t *ret_n,
			      bool *ret_more, struct err *err)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	struct db_array *keys = db_array_new(a, db_i64(0));
	enum code c = db_query(db, &OLD, &rows, err, db_text(domain), db_time(before_us), db_i64(BATCH));

	if (c)
		return c;
	*ret_n = remove_all_files(r, rows, keys, a);
	*ret_more = *ret_n && db_rows_count(rows) == BATCH;
	if (!*ret_n)
		return OK;
	c = remove_some(r, db, &REMOVE_TASKS, db_array(keys), err);
	if (!c)
		c = remove_some(r, db, &REMOVE_NODES, db_array(keys), err);
	if (!c && !queue_closed(r->stop))
		c = db_exec(db, &REMOVE, NULL, err, db_array(keys));
	return c;
}

static enum code remove_of_domain(struct retention *r, struct db *db, const char *domain, int64_t before_us,
				  int64_t *removed, struct err *err)
{
	bool more;
	size_t n;

	do {
		int64_t start_us = time_mono_us();
		enum code c = remove_batch(r, db, domain, before_us, &n, &more, err);
		if (c)
			return c;
		*removed += (int64_t)n;
		metric_add(r->removed, (int64_t)n);
		if (n && !pause_for(r, time_mono_us() - start_us))
			return OK;
	} while (more);
	return OK;
}

static enum code remove_old(struct retention *r, struct db *db, int64_t *removed, struct err *err)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	auto_free(db_rows_free) struct db_rows *domains = NULL;
	int64_t before_us = time_now_us() - r->admin->config->retention_us;
	enum code c = db_query(db, &DOMAINS, &domains, err);

	for (size_t i = 0; !c && i < db_rows_count(domains) && !queue_closed(r->stop); i++)
		c = remove_of_domain(r, db, db_get_text(domains, i, 0, a), before_us, removed, err);
	return c;
}

/* Another admin may be at it. */
static enum code run_once(struct retention *r, int64_t *removed, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *locked = NULL, *unlocked = NULL;
	enum code c = db_take(r->admin->data_db, &db, err);

	if (!c)
		c = db_query(db, &LOCK, &locked, err);
	if (c || !db_get_bool(locked, 0, 0))
		return c;
	c = remove_old(r, db, removed, err);
	db_query(db, &UNLOCK, &unlocked, NULL); /* a broken connection holds no lock */
	return c;
}

static void *retention_thread(void *arg)
{
	struct retention *r = arg;

	pthread_setname_np(pthread_self(), "retention");
	do {
		int64_t removed = 0;
		struct err err;
		if (run_once(r, &removed, &err) != OK)
			log_error("retention stopped short; it goes on at its next turn", LOG_ERR(&err));
		if (removed)
			log_info("old executions removed", LOG_INT("executions", removed));
	} while (pause_for(r, r->admin->config->retention_interval_us));
	return NULL;
}

struct retention *retention_new(struct admin *admin)
{
	if (!admin->config->retention_us)
		return NULL;
	struct retention *r = x_calloc(1, sizeof *r);
	r->admin = admin;
	r->stop = queue_new("retention", 1);
	r->removed =
		metrics_counter(admin->metrics, "flyte:admin:retention:removed", NULL, "Executions removed by age.");
	r->propeller_root = x_printf("%s/%s", store_root(admin->store), admin->config->propeller_metadata_prefix);
	pthread_create(&r->thread, NULL, retention_thread, r);
	return r;
}

void retention_free(struct retention *r)
{
	if (!r)
		return;
	queue_close(r->stop);
	pthread_join(r->thread, NULL);
	queue_free(r->stop);
	free(r->propeller_root);
	free(r);
}

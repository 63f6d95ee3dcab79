#include "shards.h"

#include <assert.h>
#include <pthread.h>
#include <unistd.h>

#include "base/base.h"
#include "flyte/shard.h"
#include "intake.h"
#include "known.h"

static const struct db_stmt REGISTER = {
	"propeller_register",
	"INSERT INTO propellers (name) VALUES ($1) ON CONFLICT (name) DO UPDATE "
	"SET epoch = nextval('propeller_epochs'), heartbeat_at = now() RETURNING epoch",
};
static const struct db_stmt HEARTBEAT = {
	"propeller_heartbeat",
	"UPDATE propellers SET heartbeat_at = now() WHERE name = $1 AND epoch = $2",
};
static const struct db_stmt UNREGISTER = {
	"propeller_unregister",
	"WITH gone AS (DELETE FROM propellers WHERE name = $1 AND epoch = $2 RETURNING name) "
	"UPDATE shards SET owner = NULL FROM gone WHERE owner = gone.name",
};
/* The heartbeat is looked at again once the row's lock is ours: it may have been late, not dead. */
static const struct db_stmt FENCE_DEAD = {
	"propeller_fence_dead",
	"DELETE FROM propellers WHERE heartbeat_at < now() - $1 * interval '1 microsecond' RETURNING name",
};
static const struct db_stmt FREE_ORPHANS = {
	"shards_free_orphans",
	"UPDATE shards SET owner = NULL WHERE owner IS NOT NULL AND owner NOT IN (SELECT name FROM propellers)",
};
static const struct db_stmt COUNT_LIVE = {"propellers_count", "SELECT count(*) FROM propellers"};
/* A shard keeps the host it last ran on: attempts that run elsewhere cannot be found again here. */
static const struct db_stmt MINE = {
	"shards_mine",
	"WITH old AS (SELECT shard, host FROM shards WHERE owner = $1 FOR UPDATE) "
	"UPDATE shards SET host = $2 FROM old WHERE shards.shard = old.shard RETURNING old.shard, old.host",
};
static const struct db_stmt CLAIM = {
	"shards_claim",
	"WITH me AS MATERIALIZED (SELECT 1 FROM propellers WHERE name = $1 AND epoch = $2 FOR KEY SHARE), "
	"free AS (SELECT shard, host FROM shards, me WHERE owner IS NULL ORDER BY shard LIMIT $3 FOR UPDATE OF shards "
	"SKIP LOCKED) UPDATE shards SET owner = $1, host = $4 FROM free WHERE shards.shard = free.shard "
	"RETURNING free.shard, free.host",
};
/* Ours by the table but not by what we know: given back, or claimed by a statement whose answer got lost. */
static const struct db_stmt SETTLE = {
	"shards_settle",
	"WITH me AS MATERIALIZED (SELECT 1 FROM propellers WHERE name = $1 AND epoch = $2 FOR KEY SHARE) "
	"UPDATE shards SET owner = NULL FROM me WHERE owner = $1 AND shard <> ALL($3)",
};

enum { BEATS_PER_LEASE = 4 };

struct shards {
	struct propeller *p;
	char host[256];
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool started, stopping;
	uint64_t claimed; /* ours by lease; loaded or loading */
	uint64_t shut;    /* of these: take no commands any more, go back at the next beat */
	struct metric *owned;
};

static enum code take_shards(struct shards *s, struct db *db, const struct db_stmt *stmt, size_t n,
			     const struct db_param *params, uint64_t *ret, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = db_query_params(db, stmt, n, params, &rows, err);

	if (c)
		return c;
	*ret = 0;
	for (size_t i = 0; i < db_rows_count(rows); i++) {
		uint64_t bit = UINT64_C(1) << (db_get_i64(rows, i, 0) & 63);
		*ret |= bit;
		if (db_is_null(rows, i, 1) || str_is(db_get_str(rows, i, 1), s->host))
			atomic_fetch_and(&s->p->foreign, ~bit);
		else
			atomic_fetch_or(&s->p->foreign, bit);
	}
	return OK;
}

static enum code heartbeat(struct shards *s, struct db *db, struct err *err)
{
	int64_t n = 0;
	enum code c = db_exec(db, &HEARTBEAT, &n, err, db_text(s->p->name), db_i64((int64_t)s->p->epoch));

	if (c)
		return c;
	if (n == 0)
		return err_set(err, ABORTED, "fenced: propeller %s has lost epoch %llu", s->p->name,
			       (unsigned long long)s->p->epoch);
	return OK;
}

static enum code fence_dead(struct shards *s, struct db *db, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *dead = NULL;
	enum code c = db_query(db, &FENCE_DEAD, &dead, err, db_i64(s->p->config->lease_us));

	for (size_t i = 0; !c && i < db_rows_count(dead); i++)
		log_warn("a propeller is gone; its shards are free", LOG_TEXT("propeller", db_get_str(dead, i, 0)));
	if (!c)
		c = db_exec(db, &FREE_ORPHANS, NULL, err);
	return c;
}

static enum code fair_share(struct db *db, unsigned *ret, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = db_query(db, &COUNT_LIVE, &rows, err);

	if (c)
		return c;
	unsigned live = (unsigned)MAX(db_get_i64(rows, 0, 0), 1);
	*ret = (SHARDS + live - 1) / live;
	return OK;
}

static enum code claim(struct shards *s, struct db *db, unsigned share, struct err *err)
{
	unsigned have = (unsigned)__builtin_popcountll(s->claimed);
	uint64_t more = 0;

	if (have >= share)
		return OK;
	struct db_param params[] = {db_text(s->p->name), db_i64((int64_t)s->p->epoch), db_i64(share - have),
				    db_text(s->host)};
	enum code c = take_shards(s, db, &CLAIM, ARRAY_SIZE(params), params, &more, err);
	if (c)
		return c;
	if (more) {
		s->claimed |= more;
		metric_set(s->owned, __builtin_popcountll(s->claimed));
		intake_load(s->p->intake, more);
	}
	return OK;
}

/* Give back what was shut at the last beat and is still idle; a command taken just before shows by now, and its shard
 * is opened again. */
static void release_shut(struct shards *s)
{
	for (unsigned i = 0; i < SHARDS; i++) {
		uint64_t bit = UINT64_C(1) << i;
		if (!(s->shut & bit))
			continue;
		if (known_load(s->p->known, i))
			atomic_fetch_or(&s->p->owned, bit);
		else
			s->claimed &= ~bit;
	}
	s->shut = 0;
	metric_set(s->owned, __builtin_popcountll(s->claimed));
}

/* Shards above our share are shut, if nothing of theirs is here: what runs stays where it runs. */
static void give_back(struct shards *s, unsigned share)
{
	release_shut(s);
	unsigned have = (unsigned)__builtin_popcountll(s->claimed);

	for (unsigned i = 0; i < SHARDS && have > share; i++) {
		if (!propeller_owns(s->p, i) || known_load(s->p->known, i))
			continue;
		atomic_fetch_and(&s->p->owned, ~(UINT64_C(1) << i));
		s->shut |= UINT64_C(1) << i;
		have--;
	}
}

static enum code settle(struct shards *s, struct db *db, struct err *err)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct db_array *claimed = db_array_new(a, db_i32(0));

	for (unsigned i = 0; i < SHARDS; i++)
		if (s->claimed >> i & 1)
			db_array_add(claimed, db_i32((int32_t)i));
	return db_exec(db, &SETTLE, NULL, err, db_text(s->p->name), db_i64((int64_t)s->p->epoch), db_array(claimed));
}

static enum code beat(struct shards *s, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	unsigned share = SHARDS;
	enum code c = db_take(s->p->db, &db, err);

	if (!c)
		c = heartbeat(s, db, err);
	if (!c)
		c = fence_dead(s, db, err);
	if (!c)
		c = fair_share(db, &share, err);
	if (c)
		return c;
	give_back(s, share);
	c = settle(s, db, err);
	return c ? c : claim(s, db, share, err);
}

static void *shards_thread(void *arg)
{
	static struct log_limit limit;
	struct shards *s = arg;
	struct err err;
	size_t held;

	pthread_setname_np(pthread_self(), "shards");
	pthread_mutex_lock(&s->lock);
	while (!s->stopping) {
		pthread_mutex_unlock(&s->lock);
		enum code c = beat(s, &err);
		if (c == ABORTED && strncmp(err.text, "fenced", 6) == 0) {
			log_error("another propeller took over", LOG_ERR(&err));
			service_fail("fenced");
			return NULL;
		}
		if (c && log_allow(&limit, 5 * USEC_PER_SEC, &held))
			log_warn("cannot keep the lease of the shards", LOG_ERR(&err), LOG_INT("held_back", held));
		int64_t until_us = time_mono_us() + s->p->config->lease_us / BEATS_PER_LEASE;
		pthread_mutex_lock(&s->lock);
		if (!s->stopping)
			cond_wait_until(&s->wake, &s->lock, until_us);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

struct shards *shards_new(struct propeller *p)
{
	struct shards *s = x_calloc(1, sizeof *s);

	s->p = p;
	gethostname(s->host, sizeof s->host - 1);
	pthread_mutex_init(&s->lock, NULL);
	cond_init_mono(&s->wake);
	s->owned = metrics_gauge(p->metrics, "propeller:shards:owned", NULL, "Shards that this propeller runs.");
	return s;
}

enum code shards_register(struct shards *s, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = db_take(s->p->db, &db, err);

	if (!c)
		c = db_query(db, &REGISTER, &rows, err, db_text(s->p->name));
	if (c)
		return c;
	s->p->epoch = (uint64_t)db_get_i64(rows, 0, 0);
	struct db_param params[] = {db_text(s->p->name), db_text(s->host)};
	return take_shards(s, db, &MINE, ARRAY_SIZE(params), params, &s->claimed, err);
}

void shards_start(struct shards *s)
{
	if (s->claimed)
		intake_load(s->p->intake, s->claimed);
	metric_set(s->owned, __builtin_popcountll(s->claimed));
	s->started = pthread_create(&s->thread, NULL, shards_thread, s) == 0;
	assert(s->started);
}

void shards_stop(struct shards *s)
{
	if (!s || !s->started)
		return;
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	s->started = false;
}

void shards_leave(struct shards *s)
{
	auto_free(db_give) struct db *db = NULL;

	if (s && s->p->epoch && db_take(s->p->db, &db, NULL) == OK)
		db_exec(db, &UNREGISTER, NULL, NULL, db_text(s->p->name), db_i64((int64_t)s->p->epoch));
}

void shards_free(struct shards *s)
{
	if (!s)
		return;
	shards_stop(s);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->wake);
	free(s);
}

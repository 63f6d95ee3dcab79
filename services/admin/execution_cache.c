/* Launch plans that executions were created from lately, and blocks of keys: so that creating an execution is one
 * statement. */
#include <pthread.h>

#include "execution.h"
#include "pb/pb.h"

enum { MAX_ENTRIES = 512, KEY_BLOCK = 256, MAX_INLINE_CLOSURE = 16 * 1024 };
#define MAX_BYTES ((size_t)32 << 20)

static const struct db_stmt NEXT_KEYS = {"execution_next_keys", "SELECT nextval('execution_keys')"};

struct execution_cache {
	pthread_mutex_t lock;
	struct map *entries;
	size_t bytes;
	int64_t next_key, end_key;
};

struct execution_cache *execution_cache_new(void)
{
	struct execution_cache *cache = x_calloc(1, sizeof *cache);

	pthread_mutex_init(&cache->lock, NULL);
	cache->entries = map_new();
	return cache;
}

void launchable_put(struct launchable *l)
{
	if (!l || __atomic_sub_fetch(&l->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	arena_free(l->arena);
	free(l);
}

static void drop_all(struct execution_cache *cache)
{
	void *l;
	size_t it = 0;

	while (map_next(cache->entries, &it, NULL, &l))
		launchable_put(l);
	map_free(cache->entries);
	cache->entries = map_new();
	cache->bytes = 0;
}

void execution_cache_free(struct execution_cache *cache)
{
	if (!cache)
		return;
	drop_all(cache);
	map_free(cache->entries);
	pthread_mutex_destroy(&cache->lock);
	free(cache);
}

static struct launchable *find(struct execution_cache *cache, const char *key)
{
	pthread_mutex_lock(&cache->lock);
	struct launchable *l = map_get(cache->entries, str_of(key));
	if (l)
		__atomic_add_fetch(&l->refs, 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&cache->lock);
	return l;
}

static void keep(struct execution_cache *cache, const char *key, struct launchable *l)
{
	size_t bytes = arena_used(l->arena);

	if (bytes > MAX_BYTES / 4)
		return;
	pthread_mutex_lock(&cache->lock);
	if (map_count(cache->entries) >= MAX_ENTRIES || cache->bytes + bytes > MAX_BYTES)
		drop_all(cache);
	cache->bytes += bytes;
	__atomic_add_fetch(&l->refs, 1, __ATOMIC_RELAXED);
	launchable_put(map_put(cache->entries, str_of(key), l));
	pthread_mutex_unlock(&cache->lock);
}

/* Only what the registry has for good; `rq` lends everything but its arena. */
static enum code load(struct request *rq, struct db *db, const CoreIdentifier *id, const AdminExecutionSpec *spec,
		      struct launchable *l, struct err *err)
{
	struct request own = *rq;

	own.arena = l->arena;
	enum code c = id->resource_type == CORE_RESOURCE_TYPE_TASK
			      ? registry_single_task(&own, db, id, spec, &l->plan, err)
			      : registry_launch_plan(&own, db, id, &l->plan, err);
	const struct registered_workflow *w = &l->plan.workflow;
	if (c || w->closure.len == 0 || w->closure.len > MAX_INLINE_CLOSURE)
		return c;
	return pb_unpack_own(CORE_COMPILED_WORKFLOW_CLOSURE_DESC, w->closure, l->arena, (void **)&l->closure, err);
}

enum code launchable_get(struct request *rq, struct db *db, const CoreIdentifier *id, const AdminExecutionSpec *spec,
			 struct launchable **ret, struct err *err)
{
	struct execution_cache *cache = admin_of(rq)->execution_cache;
	const char *key = arena_printf(rq->arena, "%d\n%s\n%s\n%s\n%s", (int)id->resource_type, id->project, id->domain,
				       id->name, id->version);

	*ret = find(cache, key);
	if (*ret)
		return OK;
	struct launchable *l = x_calloc(1, sizeof *l);
	l->refs = 1;
	l->arena = arena_new(0);
	enum code c = load(rq, db, id, spec, l, err);
	if (c) {
		launchable_put(l);
		return c;
	}
	keep(cache, key, l);
	*ret = l;
	return OK;
}

enum code execution_next_key(struct execution_cache *cache, struct db *db, int64_t *ret, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;

	pthread_mutex_lock(&cache->lock);
	bool have = cache->next_key < cache->end_key;
	if (have)
		*ret = cache->next_key++;
	pthread_mutex_unlock(&cache->lock);
	if (have)
		return OK;
	enum code c = db_query(db, &NEXT_KEYS, &rows, err);
	if (c)
		return c;
	/* Of two blocks that came at once, the rest of one is never used. */
	pthread_mutex_lock(&cache->lock);
	*ret = db_get_i64(rows, 0, 0);
	cache->next_key = *ret + 1;
	cache->end_key = *ret + KEY_BLOCK;
	pthread_mutex_unlock(&cache->lock);
	return OK;
}

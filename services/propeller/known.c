#include "known.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "base/time.h"
#include "base/vec.h"
#include "flyte/shard.h"

enum { REMEMBER_US = 600 * 1000000 };

struct past {
	int64_t execution, until_us;
};

struct known {
	pthread_mutex_t lock;
	struct u64map *states; /* execution -> enum known_state */
	struct u64map *files;  /* execution -> char * */
	VEC(struct past) past; /* in order of time, from `first` on */
	size_t first;
	_Atomic size_t load[SHARDS];
};

static void *state_value(enum known_state s)
{
	return (void *)(uintptr_t)s;
}

struct known *known_new(void)
{
	struct known *k = x_calloc(1, sizeof *k);

	pthread_mutex_init(&k->lock, NULL);
	k->states = u64map_new();
	k->files = u64map_new();
	return k;
}

void known_free(struct known *k)
{
	size_t it = 0;
	void *file;

	if (!k)
		return;
	while (u64map_next(k->files, &it, NULL, &file))
		free(file);
	u64map_free(k->files);
	pthread_mutex_destroy(&k->lock);
	u64map_free(k->states);
	vec_free(&k->past);
	free(k);
}

size_t known_load(const struct known *k, unsigned shard)
{
	return atomic_load(&k->load[shard]);
}

enum known_state known_claim(struct known *k, int64_t execution)
{
	pthread_mutex_lock(&k->lock);
	enum known_state s = (enum known_state)(uintptr_t)u64map_get(k->states, (uint64_t)execution);
	if (s == KNOWN_NOT) {
		u64map_put(k->states, (uint64_t)execution, state_value(KNOWN_PENDING));
		atomic_fetch_add(&k->load[execution_shard(execution)], 1);
	}
	pthread_mutex_unlock(&k->lock);
	return s;
}

void known_unclaim(struct known *k, int64_t execution)
{
	pthread_mutex_lock(&k->lock);
	u64map_remove(k->states, (uint64_t)execution);
	free(u64map_remove(k->files, (uint64_t)execution));
	atomic_fetch_sub(&k->load[execution_shard(execution)], 1);
	pthread_mutex_unlock(&k->lock);
}

enum known_state known_get(struct known *k, int64_t execution)
{
	pthread_mutex_lock(&k->lock);
	enum known_state s = (enum known_state)(uintptr_t)u64map_get(k->states, (uint64_t)execution);
	pthread_mutex_unlock(&k->lock);
	return s;
}

void known_committed(struct known *k, int64_t execution)
{
	pthread_mutex_lock(&k->lock);
	if (!u64map_put(k->states, (uint64_t)execution, state_value(KNOWN_COMMITTED)))
		atomic_fetch_add(&k->load[execution_shard(execution)], 1);
	pthread_mutex_unlock(&k->lock);
}

static void drop_past(struct known *k, int64_t now_us)
{
	while (k->first < k->past.n && k->past.at[k->first].until_us <= now_us)
		u64map_remove(k->states, (uint64_t)k->past.at[k->first++].execution);
	if (k->first > 1024 && k->first > k->past.n / 2) {
		vec_drop(&k->past, k->first);
		k->first = 0;
	}
}

void known_set_file(struct known *k, int64_t execution, const char *uri)
{
	pthread_mutex_lock(&k->lock);
	free(u64map_put(k->files, (uint64_t)execution, x_strdup(uri)));
	pthread_mutex_unlock(&k->lock);
}

char *known_trimmed(struct known *k, int64_t execution, int64_t now_us)
{
	pthread_mutex_lock(&k->lock);
	vec_push(&k->past, (struct past){execution, now_us + REMEMBER_US});
	drop_past(k, now_us);
	atomic_fetch_sub(&k->load[execution_shard(execution)], 1);
	char *file = u64map_remove(k->files, (uint64_t)execution);
	pthread_mutex_unlock(&k->lock);
	return file;
}

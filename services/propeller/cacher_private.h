/* Inside the cacher. What has no other comment runs on its thread. */
#pragma once
#include <pthread.h>
#include <string.h>

#include "base/base.h"
#include "cacher.h"
#include "catalog.h"
#include "catalog_key.h"
#include "pb/pb.h"
#include "values.h"

struct cacher {
	struct propeller *p;
	const struct executor_host *host;
	struct catalog *catalog; /* NULL: there is none */
	pthread_t thread;
	/* Under the lock. As many jobs as nodes that wait for an answer, which the engine bounds. */
	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct job *first, **tail; /* to be gone on with, in order */
	bool stopping;

	struct map *jobs;         /* lookups and reservations, by place */
	VEC(struct job *) parked; /* those of them that wait for a time */
	int64_t next_sweep_us;
	int64_t down_until_us, down_pause_us; /* of datacatalog */
	struct metric *hits, *misses, *failures, *puts, *put_failures, *waits;
};

/* One question of the engine's. */
struct job {
	struct cacher *c;
	struct arena *arena;
	struct job *next;
	void (*then)(struct job *j);

	enum action_kind kind;
	int64_t execution;
	uint32_t node, attempt;
	const char *place; /* the node's, among jobs */
	const CoreTaskTemplate *task;
	const char *version, *owner, *outputs_uri;
	bool serialize, overwrite, keeps_inline;
	const CoreTaskExecutionIdentifier *source;
	const struct value_ref *inputs, *outputs;
	size_t n_inputs, n_outputs;

	AlulaCatalogKey *key;
	bool abandoned; /* nobody waits for it any more */
	bool reserved;  /* we have the reservation */
	bool waiting;   /* the engine knows that somebody else has it */
	bool held;      /* the engine has its answer: only the reservation is kept */
	bool is_parked;
	int64_t due_us, pause_us;

	/* The call under way, and what the last one gave: in `round`, which ends when the job is parked. Many a job is
	 * parked thousands of times. */
	struct arena *round;
	struct call *call;
	enum code code;
	struct err err;
	void *answer;
	struct str data;

	/* Of a hit. */
	const AlulaCatalogEntry *entry;
	AlulaStoredArtifact *stored;
	CoreLiteralMap *found;
	size_t n_found;
};

/* ---- cacher.c ---- */

/* Go on with `then` on the cacher's thread. From any thread. */
void cache_job_post(struct job *j, void (*then)(struct job *j));
void cache_job_free(struct job *j);
/* Ask datacatalog; `then` finds code, err and answer. */
void cache_job_call(struct job *j, enum catalog_call call, const void *item, void (*then)(struct job *j));
/* Keep what a call gave, and go on. From any thread. */
void cache_job_result(struct job *j, enum code code, const struct err *err, void (*then)(struct job *j));
/* Put these values together; `then` finds them packed in `data`, or why not in code and err. */
void cache_job_collect(struct job *j, const struct value_ref *values, size_t n, void (*then)(struct job *j));
/* Feed an input about its node. */
void cache_job_feed(struct job *j, AlulaInput *in);
/* It goes on with lookup_due at its time. What calls have given is gone then. */
void cache_job_park(struct job *j, int64_t delay_us);
/* The reservation is given back, and those here that wait for it look at once; no answer is waited for. */
void cache_job_release(struct job *j);
AlulaCatalogReserve *cache_job_reservation(struct job *j);
CoreCatalogMetadata *cache_job_catalog_metadata(struct job *j, const char *artifact,
						CoreTaskExecutionIdentifier *source);

/* ---- cacher_lookup.c ---- */

/* The key is there. */
void lookup_begin(struct job *j);
/* The time that it waited for has come. */
void lookup_due(struct job *j);
void lookup_failed(struct job *j);

/* ---- cacher_put.c ---- */

void put_begin(struct job *j);
void put_failed(struct job *j);

/* Asks datacatalog on behalf of the engine: reads the inputs that a key is made of, looks up, reserves and waits, puts;
 * and keeps reservations alive as long as their nodes run. Answers are inputs: CacheAnswered, CachePut.
 *
 * A datacatalog that cannot be reached makes every question a miss; for a moment then nobody asks it.
 * One thread does it all; what it waits for comes back to it. Source: flytepropeller controller/nodes/cache.go,
 * catalog/datacatalog/datacatalog.go (v1.16.8). */
#pragma once
#include "propeller.h"

struct cacher;

/* Does the configuration name a cache? */
bool cacher_is_on(const struct propeller_config *config);
/* Errors: INVALID_ARGUMENT for a type that there is not. Without a cache it answers all the same: a miss, or that
 * nothing was put. */
enum code cacher_new(struct propeller *p, const struct executor_host *host, struct cacher **ret, struct err *err);
void cacher_free(struct cacher *c); /* NULL is fine; the store is stopped */
/* One of ACTION_CACHE_…; everything in it is borrowed for the call. */
void cacher_act(struct cacher *c, const struct action *action);

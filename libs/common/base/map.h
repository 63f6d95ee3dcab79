/* Hash tables: text (or bytes) to pointer, and 64-bit number to pointer. Open addressing, keyed SipHash-like mixing
 * with a random secret per map, so that outsiders can't choose colliding keys. Iteration order is unspecified. Values
 * are borrowed; keys of `struct map` are copied. Not thread-safe. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/str.h"

struct map;
struct map *map_new(void);
void map_free(struct map *m); /* NULL is fine; values are the caller's */
size_t map_count(const struct map *m);
void *map_get(const struct map *m, struct str key); /* NULL if absent */
/* Put; returns the value that it replaced, or NULL. `value` is not NULL. */
void *map_put(struct map *m, struct str key, void *value);
void *map_remove(struct map *m, struct str key); /* what was there, or NULL */
/* Walk: start with *it = 0; false at the end. ret_key and ret_value may be NULL. The map must not change meanwhile,
 * except by map_remove of the current. */
bool map_next(const struct map *m, size_t *it, struct str *ret_key, void **ret_value);

struct u64map;
struct u64map *u64map_new(void);
void u64map_free(struct u64map *m);
size_t u64map_count(const struct u64map *m);
void *u64map_get(const struct u64map *m, uint64_t key);
void *u64map_put(struct u64map *m, uint64_t key, void *value);
void *u64map_remove(struct u64map *m, uint64_t key);
bool u64map_next(const struct u64map *m, size_t *it, uint64_t *ret_key, void **ret_value);

DEFINE_CLEANUP(struct map *, map_free);
DEFINE_CLEANUP(struct u64map *, u64map_free);

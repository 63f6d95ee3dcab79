/* Which executions this propeller has: so that a command that comes twice starts nothing twice.
 * A finished execution is remembered for ten minutes after its journal is gone: longer than a doubled command can be on
 * its way to a subscription that stood when it was sent. Thread-safe. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct known;
enum known_state { KNOWN_NOT, KNOWN_PENDING, KNOWN_COMMITTED };

struct known *known_new(void);
void known_free(struct known *k);
/* Executions of this shard that are here: from their claim, or load, until the journal has forgotten them. */
size_t known_load(const struct known *k, unsigned shard);
/* What was known before; an execution not known is PENDING afterwards. */
enum known_state known_claim(struct known *k, int64_t execution);
/* It was not taken after all. */
void known_unclaim(struct known *k, int64_t execution);
enum known_state known_get(struct known *k, int64_t execution);
void known_committed(struct known *k, int64_t execution);
/* It needs this file as long as its journal is there. */
void known_set_file(struct known *k, int64_t execution, const char *uri);
/* The journal has forgotten it; we do so later. `now_us` on the monotonic clock. Gives its file, for the caller to
 * remove and free; NULL if there is none. */
char *known_trimmed(struct known *k, int64_t execution, int64_t now_us);

DEFINE_CLEANUP(struct known *, known_free);

/* Which executions this propeller has: so that a command that comes twice starts nothing twice.
 * A finished execution is remembered for ten minutes after its journal is gone: longer than a doubled command can be on
 * its way to a subscription that stood when it was sent. Thread-safe. */
#pragma once
#include <stdint.h>

#include "base/mem.h"

struct known;
enum known_state { KNOWN_NOT, KNOWN_PENDING, KNOWN_COMMITTED };

struct known *known_new(void);
void known_free(struct known *k);
/* What was known before; an execution not known is PENDING afterwards. */
enum known_state known_claim(struct known *k, int64_t execution);
enum known_state known_get(struct known *k, int64_t execution);
void known_committed(struct known *k, int64_t execution);
/* The journal has forgotten it; we do so later. `now_us` on the monotonic clock. */
void known_trimmed(struct known *k, int64_t execution, int64_t now_us);
/* It is not ours any more. */
void known_forget(struct known *k, int64_t execution);

DEFINE_CLEANUP(struct known *, known_free);

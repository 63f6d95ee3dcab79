/* The relay's thread: publishes committed records as events, in order for each shard, and trims the journal once every
 * durable consumer has confirmed.
 *
 * The journal is the outbox, so the relay holds no records: while the bus is away it only notes how far each execution
 * has come, and publishes from the journal afterwards. What lies unconfirmed for long is published again (its last
 * record: a consumer that lacks earlier ones asks for them). */
#pragma once
#include "core.h"

struct relay *relay_new(struct propeller *p);
void relay_start(struct relay *r);
/* A committed cycle; the reference becomes the relay's. Blocks while the queue is full. */
void relay_push(struct relay *r, struct cycle *cycle);
/* An execution read from the journal at load; `stored`: one of its records may lie in the store, being large. */
void relay_loaded(struct relay *r, int64_t execution, unsigned shard, int64_t written, bool last, bool stored);
void relay_stop(struct relay *r);
void relay_free(struct relay *r);

/* The lease's thread: which propeller runs which shards.
 *
 * A propeller is a row (name, epoch, heartbeat). Whoever finds a heartbeat older than the lease deletes the row, which
 * waits for that propeller's commits under way and fences it for good, and frees its shards. Everybody takes free
 * shards up to a fair share, and gives back idle ones above it. Starting under a name that stands takes its place at
 * once: the shards and the running attempts of the one before are found again. */
#pragma once
#include "propeller.h"

struct shards *shards_new(struct propeller *p);
/* Write our row: p->epoch is set. The predecessor of the same name is fenced. */
enum code shards_register(struct shards *s, struct err *err);
void shards_start(struct shards *s);
/* No more heartbeats. */
void shards_stop(struct shards *s);
/* Once nothing more will be written: give the shards back at once instead of after the lease. */
void shards_leave(struct shards *s);
void shards_free(struct shards *s);

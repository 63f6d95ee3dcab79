/* Gathers records into EventBatch messages, one a shard, and gives them to the bus in order.
 * A message holds up to 256 KiB; a single record above that goes to the store and the message has its URI (the bus's
 * own limit is 1 MiB). Relay's thread only. */
#pragma once
#include "base/map.h"
#include "propeller.h"

enum { BATCH_MESSAGE_BYTES = 256 * 1024 };

struct batcher;
struct batcher *batcher_new(struct propeller *p);
void batcher_free(struct batcher *b);
/* `record` is a packed alula.Record, copied. Errors as bus_writer_publish: nothing more may be added until recovered.
 */
enum code batcher_add(struct batcher *b, unsigned shard, int64_t execution, int64_t seq, struct str record,
		      struct err *err);
/* Remove the file of a record that was larger than BATCH_MESSAGE_BYTES, if it is there. */
void batcher_remove_stored(struct batcher *b, int64_t execution, int64_t seq);
/* Publish what was gathered. */
enum code batcher_flush(struct batcher *b, struct err *err);
/* bus_writer_recover. */
enum code batcher_recover(struct batcher *b, int64_t timeout_us, struct err *err);
/* Executions with records published and not acknowledged by the bus, with the first such seq as the value. The caller
 * frees the map. What was gathered but not published counts too. */
struct u64map *batcher_unacked(struct batcher *b);
/* Forget everything gathered and published. */
void batcher_reset(struct batcher *b);

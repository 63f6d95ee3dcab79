/* Where an execution's messages go: 64 shards, in 4 lanes of 16. A propeller owns shards; each lane of events is one
 * durable consumer of admin's (nats-server 2.9 has one filter subject a consumer). */
#pragma once
#include <stdint.h>

enum { SHARDS = 64, LANES = 4 };

/* `execution`: admin's key. Neighbouring keys spread out (splitmix64's finaliser). */
unsigned execution_shard(int64_t execution);

static inline unsigned shard_lane(unsigned shard)
{
	return shard % LANES;
}

enum { SUBJECT_BYTES = 48 };
void subject_commands(unsigned shard, char ret[SUBJECT_BYTES]); /* alula.commands.<shard> */
void subject_events(unsigned shard, char ret[SUBJECT_BYTES]);   /* alula.events.<lane>.<shard> */
void subject_confirms(unsigned shard, char ret[SUBJECT_BYTES]);
void subject_resends(unsigned shard, char ret[SUBJECT_BYTES]);
void subject_event_lane(unsigned lane, char ret[SUBJECT_BYTES]); /* alula.events.<lane>.*, for a reader */
#define SUBJECT_READY          "alula.ready"
#define STREAM_EVENTS          "ALULA_EVENTS"
#define STREAM_EVENTS_SUBJECTS "alula.events.>"

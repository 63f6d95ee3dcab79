#include "flyte/shard.h"

#include <stdio.h>

#include "base/ids.h"

unsigned execution_shard(int64_t execution)
{
	uint64_t state = (uint64_t)execution;

	return (unsigned)(splitmix64(&state) % SHARDS);
}

void subject_commands(unsigned shard, char ret[SUBJECT_BYTES])
{
	snprintf(ret, SUBJECT_BYTES, "alula.commands.%u", shard);
}

void subject_events(unsigned shard, char ret[SUBJECT_BYTES])
{
	snprintf(ret, SUBJECT_BYTES, "alula.events.%u.%u", shard_lane(shard), shard);
}

void subject_confirms(unsigned shard, char ret[SUBJECT_BYTES])
{
	snprintf(ret, SUBJECT_BYTES, "alula.confirms.%u", shard);
}

void subject_resends(unsigned shard, char ret[SUBJECT_BYTES])
{
	snprintf(ret, SUBJECT_BYTES, "alula.resends.%u", shard);
}

void subject_event_lane(unsigned lane, char ret[SUBJECT_BYTES])
{
	snprintf(ret, SUBJECT_BYTES, "alula.events.%u.*", lane);
}

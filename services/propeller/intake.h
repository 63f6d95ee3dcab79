/* The intake's thread: commands from the bus, and shards to load from the journal. It does the reading that may take
 * time (closures and large inputs in the store, journal rows), so that the engine never waits. */
#pragma once
#include "propeller.h"

struct intake *intake_new(struct propeller *p);
void intake_start(struct intake *in);
/* These shards (bits) are ours by lease now: load them, then take their commands. */
void intake_load(struct intake *in, uint64_t shards);
void intake_stop(struct intake *in);
void intake_free(struct intake *in);

/* Materialiser: takes propeller's events from the bus and makes them rows of executions, node and task executions.
 *
 * Events come in LANES lanes. Each lane is taken by one thread of whichever admin holds its lease, an advisory lock of
 * Postgres held by the connection that the lane writes with; others try now and then. A batch of messages is one
 * transaction; what it committed is confirmed to propeller, and what is missing before a record is asked for again.
 * It also listens for propellers that have taken shards, and sends them what the outbox has.
 * Works when the bus comes up late; without a bus it waits. */
#pragma once
#include "admin.h"

/* Starts the threads. `admin` has data_db, store, bus, outbox and metrics, and outlives it. */
struct materialiser *materialiser_new(struct admin *admin);
/* Finishes the batches under way. NULL is fine. */
void materialiser_free(struct materialiser *m);

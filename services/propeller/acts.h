/* What is to be done once a cycle is committed: attempts to start and stop, timers, outputs to put together. Runs on
 * the loop; results come back to the engine as inputs. */
#pragma once
#include "core.h"

struct acts *acts_new(struct propeller *p);
/* Open the executors. On the main thread, before the loop runs. */
enum code acts_open(struct acts *a, struct err *err);
/* Do the cycle's actions; the reference becomes the loop's. From any thread. */
void acts_post(struct acts *a, struct cycle *cycle);
/* Let go of the executors without stopping what runs. On the main thread, the loop has ended. */
void acts_close(struct acts *a);
void acts_free(struct acts *a);

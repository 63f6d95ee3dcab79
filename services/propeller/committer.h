/* The committer's thread: writes what the engine made true, all that waits in one transaction, then lets it act:
 * receipts to the senders of commands, records to the relay, actions to the loop. */
#pragma once
#include "core.h"

struct committer *committer_new(struct propeller *p);
void committer_start(struct committer *c);
void committer_push(struct committer *c, struct cycle *cycle); /* blocks while the queue is full */
/* Commits what is queued, then ends. */
void committer_stop(struct committer *c);
void committer_free(struct committer *c);

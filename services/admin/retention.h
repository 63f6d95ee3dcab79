/* Retention: executions that ended longer ago than `retention.period` are removed, with their node and task executions,
 * signals, tags and files (inputs, outputs, errors, decks, logs; not what tasks wrote to their raw output prefix, which
 * caches and other executions may refer to). One admin at a time, few executions at a time, and as long a pause after
 * each batch as the batch took. An execution that one still kept was recovered from is kept as well. */
#pragma once
#include "admin.h"

struct retention;
struct retention *retention_new(struct admin *admin); /* NULL when it is off; else starts its thread */
void retention_free(struct retention *r);             /* NULL is fine */

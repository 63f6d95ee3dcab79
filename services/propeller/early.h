/* Aborts that overtook their create: kept until it comes, the oldest dropped when there are too many (their sender
 * repeats them). Engine's thread only. */
#pragma once
#include "core.h"

struct early;
struct early *early_new(void);
void early_free(struct early *e);
/* Takes the item. */
void early_keep(struct early *e, struct item *item);
/* The abort kept for this execution, the caller's; or NULL. */
struct item *early_take(struct early *e, int64_t execution);

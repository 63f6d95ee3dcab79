/* How far each execution's records have come: written, published, confirmed by every durable consumer.
 * What is not confirmed can be published again from the journal; what is over and confirmed can be trimmed.
 * Pure data; one thread. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

enum { MARK_CONSUMERS = 4 };

struct mark {
	int64_t execution;
	unsigned shard;
	bool last;       /* `written` is the last there will be */
	bool queued;     /* waits in the relay's list to be published again */
	bool stored;     /* some record was so large that it lies in the store */
	bool trimming;   /* waits in the relay's list to be trimmed */
	int64_t written; /* highest seq in the journal */
	int64_t sent;    /* highest seq given to the bus */
	int64_t confirmed[MARK_CONSUMERS];
	int64_t retry_us; /* monotonic; publish again if not confirmed by then */
	int64_t backoff_us;
};

struct marks;
struct marks *marks_new(size_t consumers);
void marks_free(struct marks *m);
size_t marks_count(const struct marks *m);
struct mark *marks_get(struct marks *m, int64_t execution);                 /* NULL if unknown */
struct mark *marks_add(struct marks *m, int64_t execution, unsigned shard); /* the known one, or a new one */
void marks_remove(struct marks *m, int64_t execution);
bool marks_next(struct marks *m, size_t *it, struct mark **ret);
/* The least that a consumer has confirmed. */
int64_t marks_confirmed(const struct marks *m, const struct mark *mark);
/* A consumer has everything up to seq. True when the execution is over and everybody has everything. */
bool marks_confirm(const struct marks *m, struct mark *mark, size_t consumer, int64_t seq);

DEFINE_CLEANUP(struct marks *, marks_free);

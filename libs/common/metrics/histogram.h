/* Durations counted by fixed bounds, for metrics.c. Every update is atomic.
 * Source: the default buckets of Prometheus' client libraries. */
#pragma once
#include <stdint.h>

enum { HISTOGRAM_BOUNDS = 11 };
extern const int64_t HISTOGRAM_BOUNDS_US[HISTOGRAM_BOUNDS];

/* All zeros is an empty one. */
struct histogram {
	int64_t sum_us;
	uint64_t counts[HISTOGRAM_BOUNDS + 1]; /* each bound's own, not those below; the last: above all bounds */
};

void histogram_observe(struct histogram *h, int64_t us); /* negative ones count as 0 */

/* Quantiles of durations over a sliding window, for metrics.c: logarithmic buckets (16 per power of two, so a quantile
 * is at most 3 % off) in three windows of 30 s, of which the oldest is cleared for reuse. Every update is atomic;
 * those that coincide with the change of a window may be missing from the quantiles, never from count and sum. */
#pragma once
#include <stdint.h>

#include "base/mem.h"

enum { SUMMARY_WINDOWS = 3, SUMMARY_BUCKETS = 544 };
#define SUMMARY_WINDOW_US INT64_C(30000000)

struct summary {
	int64_t count, sum_us;
	struct {
		int64_t number; /* now_us / SUMMARY_WINDOW_US + 1; 0: never used */
		uint32_t counts[SUMMARY_BUCKETS];
	} windows[SUMMARY_WINDOWS];
};

struct summary *summary_new(void);
void summary_free(struct summary *s);
/* `now_us` is monotonic. Negative durations count as 0, those over 38 hours as that. */
void summary_observe(struct summary *s, int64_t now_us, int64_t us);
/* For `n` quantiles (0 to 1, ascending) the microseconds; NaN if nothing happened in the last 60 to 90 s. */
void summary_quantiles(const struct summary *s, int64_t now_us, const double *quantiles, size_t n, double *ret);

DEFINE_CLEANUP(struct summary *, summary_free);

#include "metrics/summary.h"

#include <math.h>
#include <stdbool.h>

enum { SUB_BITS = 4, SUBS = 1 << SUB_BITS };

struct summary *summary_new(void)
{
	return x_calloc(1, sizeof(struct summary));
}

void summary_free(struct summary *s)
{
	free(s);
}

/* Below SUBS each number has its own bucket; above, each power of two has SUBS of them. */
static size_t bucket_of(uint64_t us)
{
	if (us < SUBS)
		return us;
	unsigned shift = 63 - (unsigned)__builtin_clzll(us) - SUB_BITS;
	return MIN((shift + 1) * SUBS + (us >> shift) % SUBS, (size_t)SUMMARY_BUCKETS - 1);
}

static double middle_of(size_t bucket)
{
	if (bucket < SUBS)
		return (double)bucket;
	unsigned shift = (unsigned)(bucket / SUBS) - 1;
	uint64_t low = (SUBS + bucket % SUBS) << shift, width = UINT64_C(1) << shift;
	return (double)low + (double)(width - 1) / 2;
}

static int64_t window_number(int64_t now_us)
{
	return now_us / SUMMARY_WINDOW_US + 1;
}

void summary_observe(struct summary *s, int64_t now_us, int64_t us)
{
	uint64_t value = us > 0 ? (uint64_t)us : 0;
	__atomic_add_fetch(&s->count, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&s->sum_us, (int64_t)value, __ATOMIC_RELAXED);
	int64_t number = window_number(now_us);
	__typeof__(&s->windows[0]) w = &s->windows[number % SUMMARY_WINDOWS];
	int64_t before = __atomic_load_n(&w->number, __ATOMIC_RELAXED);
	if (before < number &&
	    __atomic_compare_exchange_n(&w->number, &before, number, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		for (size_t i = 0; i < SUMMARY_BUCKETS; i++)
			__atomic_store_n(&w->counts[i], 0, __ATOMIC_RELAXED);
	__atomic_add_fetch(&w->counts[bucket_of(value)], 1, __ATOMIC_RELAXED);
}

/* Adds up the windows that are recent enough; returns the total. */
static uint64_t collect(const struct summary *s, int64_t now_us, uint64_t counts[SUMMARY_BUCKETS])
{
	uint64_t total = 0;
	for (size_t w = 0; w < SUMMARY_WINDOWS; w++) {
		int64_t number = __atomic_load_n(&s->windows[w].number, __ATOMIC_RELAXED);
		if (number == 0 || number + SUMMARY_WINDOWS <= window_number(now_us))
			continue;
		for (size_t i = 0; i < SUMMARY_BUCKETS; i++) {
			uint32_t n = __atomic_load_n(&s->windows[w].counts[i], __ATOMIC_RELAXED);
			counts[i] += n;
			total += n;
		}
	}
	return total;
}

void summary_quantiles(const struct summary *s, int64_t now_us, const double *quantiles, size_t n, double *ret)
{
	uint64_t counts[SUMMARY_BUCKETS] = {0}, below = 0;
	uint64_t total = collect(s, now_us, counts);
	size_t bucket = 0;
	for (size_t i = 0; i < n; i++) {
		if (total == 0) {
			ret[i] = NAN;
			continue;
		}
		double rank = ceil(quantiles[i] * (double)total);
		while (bucket < SUMMARY_BUCKETS - 1 && (double)(below + counts[bucket]) < MAX(rank, 1.0))
			below += counts[bucket++];
		ret[i] = middle_of(bucket);
	}
}

#include "metrics/histogram.h"

#include <stddef.h>

#include "base/mem.h"

const int64_t HISTOGRAM_BOUNDS_US[HISTOGRAM_BOUNDS] = {
	5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000,
};

void histogram_observe(struct histogram *h, int64_t us)
{
	size_t i = 0;

	us = MAX(us, 0);
	while (i < HISTOGRAM_BOUNDS && us > HISTOGRAM_BOUNDS_US[i])
		i++;
	__atomic_add_fetch(&h->counts[i], 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&h->sum_us, us, __ATOMIC_RELAXED);
}

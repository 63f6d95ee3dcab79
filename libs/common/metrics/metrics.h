/* Counters, gauges, duration summaries and histograms, printed as Prometheus text (exposition format 0.0.4).
 * Updates are lock-free atomics; registering and printing take a lock. Names are created at start-up and never freed
 * before the registry. Flyte's names contain colons ("flyte:admin:…"), which Prometheus allows. */
#pragma once
#include <stdint.h>

#include "base/buf.h"
#include "base/mem.h"

struct metrics;
struct metric; /* one time series */

struct metrics *metrics_new(void);
void metrics_free(struct metrics *m);

/* Find or create. `labels` is the inside of the braces, ready to print (`method="get",code="OK"`), or NULL. `help` and
 * `name` are copied. Asking again for the same name and labels returns the same series. */
struct metric *metrics_counter(struct metrics *m, const char *name, const char *labels, const char *help);
struct metric *metrics_gauge(struct metrics *m, const char *name, const char *labels, const char *help);
/* Durations: count, sum and quantiles 0.5, 0.9, 0.99 over about the last minute (60 to 90 s), printed in units of
 * `unit_us` (1: microseconds, 1000: milliseconds, 1000000: seconds). */
struct metric *metrics_summary(struct metrics *m, const char *name, const char *labels, const char *help,
			       int64_t unit_us);
/* Durations: how many took at most 5 ms, 10 ms, … 10 s (the buckets of Prometheus' own clients), sum and count since
 * the start, in seconds. */
struct metric *metrics_histogram(struct metrics *m, const char *name, const char *labels, const char *help);
/* A gauge that is read when printed. `fn` is called under the registry's lock. */
void metrics_gauge_fn(struct metrics *m, const char *name, const char *labels, const char *help,
		      double (*fn)(void *arg), void *arg);

/* NULL metrics are fine everywhere below: nothing happens. */
void metric_add(struct metric *m, int64_t n);
void metric_set(struct metric *m, int64_t value);
void metric_observe_us(struct metric *m, int64_t us);

void metrics_print(struct metrics *m, struct buf *b);

DEFINE_CLEANUP(struct metrics *, metrics_free);

#include "metrics/metrics.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>

#include "base/map.h"
#include "base/time.h"
#include "base/vec.h"
#include "metrics/histogram.h"
#include "metrics/summary.h"

enum kind { COUNTER, GAUGE, SUMMARY, HISTOGRAM };
static const char *const KINDS[] = {"counter", "gauge", "summary", "histogram"};
static const double QUANTILES[] = {0.5, 0.9, 0.99};

struct metric {
	enum kind kind;
	char *labels; /* "" for none */
	int64_t value;
	double (*fn)(void *arg);
	void *arg;
	struct summary *summary;
	double unit_us; /* of the summary */
	struct histogram *histogram;
};

/* The series of one name. */
struct family {
	char *name, *help;
	enum kind kind;
	VEC(struct metric *) series;
};

struct metrics {
	pthread_mutex_t lock;
	VEC(struct family *) families; /* in order of creation */
	struct map *by_name;           /* struct family */
	struct map *by_series;         /* name{labels} to struct metric */
};

struct metrics *metrics_new(void)
{
	struct metrics *m = x_calloc(1, sizeof *m);
	pthread_mutex_init(&m->lock, NULL);
	m->by_name = map_new();
	m->by_series = map_new();
	return m;
}

static void metric_free(struct metric *s)
{
	summary_free(s->summary);
	free(s->histogram);
	free(s->labels);
	free(s);
}

static void family_free(struct family *f)
{
	vec_each (struct metric **, s, &f->series)
		metric_free(*s);
	vec_free(&f->series);
	free(f->name);
	free(f->help);
	free(f);
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	vec_each (struct family **, f, &m->families)
		family_free(*f);
	vec_free(&m->families);
	map_free(m->by_name);
	map_free(m->by_series);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

static struct family *family_of(struct metrics *m, enum kind kind, const char *name, const char *help)
{
	struct family *f = map_get(m->by_name, str_of(name));
	if (f) {
		assert(f->kind == kind);
		return f;
	}
	f = x_calloc(1, sizeof *f);
	f->kind = kind;
	f->name = x_strdup(name);
	f->help = x_strdup(help ? help : "");
	map_put(m->by_name, str_of(name), f);
	vec_push(&m->families, f);
	return f;
}

/* Under the lock. */
static struct metric *series_of(struct metrics *m, enum kind kind, const char *name, const char *labels,
				const char *help)
{
	auto_mem char *key = x_printf("%s{%s}", name, labels ? labels : "");
	struct metric *s = map_get(m->by_series, str_of(key));
	if (s) {
		assert(s->kind == kind);
		return s;
	}
	struct family *f = family_of(m, kind, name, help);
	s = x_calloc(1, sizeof *s);
	s->kind = kind;
	s->labels = x_strdup(labels ? labels : "");
	map_put(m->by_series, str_of(key), s);
	vec_push(&f->series, s);
	return s;
}

static struct metric *find_or_create(struct metrics *m, enum kind kind, const char *name, const char *labels,
				     const char *help)
{
	pthread_mutex_lock(&m->lock);
	struct metric *s = series_of(m, kind, name, labels, help);
	pthread_mutex_unlock(&m->lock);
	return s;
}

struct metric *metrics_counter(struct metrics *m, const char *name, const char *labels, const char *help)
{
	return find_or_create(m, COUNTER, name, labels, help);
}

struct metric *metrics_gauge(struct metrics *m, const char *name, const char *labels, const char *help)
{
	return find_or_create(m, GAUGE, name, labels, help);
}

struct metric *metrics_summary(struct metrics *m, const char *name, const char *labels, const char *help,
			       int64_t unit_us)
{
	pthread_mutex_lock(&m->lock);
	struct metric *s = series_of(m, SUMMARY, name, labels, help);
	if (!s->summary) {
		s->summary = summary_new();
		s->unit_us = (double)unit_us;
	}
	pthread_mutex_unlock(&m->lock);
	return s;
}

struct metric *metrics_histogram(struct metrics *m, const char *name, const char *labels, const char *help)
{
	pthread_mutex_lock(&m->lock);
	struct metric *s = series_of(m, HISTOGRAM, name, labels, help);
	if (!s->histogram)
		s->histogram = x_calloc(1, sizeof *s->histogram);
	pthread_mutex_unlock(&m->lock);
	return s;
}

void metrics_gauge_fn(struct metrics *m, const char *name, const char *labels, const char *help,
		      double (*fn)(void *arg), void *arg)
{
	pthread_mutex_lock(&m->lock);
	struct metric *s = series_of(m, GAUGE, name, labels, help);
	s->fn = fn;
	s->arg = arg;
	pthread_mutex_unlock(&m->lock);
}

void metric_add(struct metric *m, int64_t n)
{
	if (m)
		__atomic_add_fetch(&m->value, n, __ATOMIC_RELAXED);
}

void metric_set(struct metric *m, int64_t value)
{
	if (m)
		__atomic_store_n(&m->value, value, __ATOMIC_RELAXED);
}

void metric_observe_us(struct metric *m, int64_t us)
{
	if (!m)
		return;
	assert(m->kind == SUMMARY || m->kind == HISTOGRAM);
	if (m->kind == SUMMARY)
		summary_observe(m->summary, time_mono_us(), us);
	else
		histogram_observe(m->histogram, us);
}

/* "name_suffix{labels,quantile="0.5"} "; `last` is that last label, NULL for none. */
static void print_name(struct buf *b, const char *name, const char *suffix, const char *labels, const char *last)
{
	buf_printf(b, "%s%s", name, suffix);
	if (*labels || last)
		buf_printf(b, "{%s", labels);
	if (last)
		buf_printf(b, "%s%s", *labels ? "," : "", last);
	if (*labels || last)
		buf_addc(b, '}');
	buf_addc(b, ' ');
}

static void print_double(struct buf *b, double value)
{
	buf_double(b, value);
	buf_addc(b, '\n');
}

static void print_summary(struct buf *b, const char *name, const struct metric *s)
{
	double values[ARRAY_SIZE(QUANTILES)];
	summary_quantiles(s->summary, time_mono_us(), QUANTILES, ARRAY_SIZE(QUANTILES), values);
	for (size_t i = 0; i < ARRAY_SIZE(QUANTILES); i++) {
		char quantile[32];
		snprintf(quantile, sizeof quantile, "quantile=\"%g\"", QUANTILES[i]);
		print_name(b, name, "", s->labels, quantile);
		print_double(b, values[i] / s->unit_us);
	}
	print_name(b, name, "_sum", s->labels, NULL);
	print_double(b, (double)__atomic_load_n(&s->summary->sum_us, __ATOMIC_RELAXED) / s->unit_us);
	print_name(b, name, "_count", s->labels, NULL);
	buf_printf(b, "%lld\n", (long long)__atomic_load_n(&s->summary->count, __ATOMIC_RELAXED));
}

static void print_histogram(struct buf *b, const char *name, const struct metric *s)
{
	uint64_t below = 0;
	for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++) {
		char bound[32] = "le=\"+Inf\"";
		if (i < HISTOGRAM_BOUNDS)
			snprintf(bound, sizeof bound, "le=\"%g\"", (double)HISTOGRAM_BOUNDS_US[i] / USEC_PER_SEC);
		below += __atomic_load_n(&s->histogram->counts[i], __ATOMIC_RELAXED);
		print_name(b, name, "_bucket", s->labels, bound);
		buf_printf(b, "%llu\n", (unsigned long long)below);
	}
	print_name(b, name, "_sum", s->labels, NULL);
	print_double(b, (double)__atomic_load_n(&s->histogram->sum_us, __ATOMIC_RELAXED) / USEC_PER_SEC);
	print_name(b, name, "_count", s->labels, NULL);
	buf_printf(b, "%llu\n", (unsigned long long)below);
}

static void print_series(struct buf *b, const char *name, const struct metric *s)
{
	if (s->kind == SUMMARY) {
		print_summary(b, name, s);
		return;
	}
	if (s->kind == HISTOGRAM) {
		print_histogram(b, name, s);
		return;
	}
	print_name(b, name, "", s->labels, NULL);
	if (s->fn)
		print_double(b, s->fn(s->arg));
	else
		buf_printf(b, "%lld\n", (long long)__atomic_load_n(&s->value, __ATOMIC_RELAXED));
}

static void print_help(struct buf *b, const struct family *f)
{
	buf_printf(b, "# HELP %s ", f->name);
	for (const char *c = f->help; *c; c++) {
		if (*c == '\\' || *c == '\n')
			buf_adds(b, *c == '\n' ? "\\n" : "\\\\");
		else
			buf_addc(b, *c);
	}
	buf_printf(b, "\n# TYPE %s %s\n", f->name, KINDS[f->kind]);
}

void metrics_print(struct metrics *m, struct buf *b)
{
	pthread_mutex_lock(&m->lock);
	vec_each (struct family **, f, &m->families) {
		print_help(b, *f);
		vec_each (struct metric **, s, &(*f)->series)
			print_series(b, (*f)->name, *s);
	}
	pthread_mutex_unlock(&m->lock);
}

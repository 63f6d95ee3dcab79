/* The service module's own header: what its files share. */
#pragma once
#include <stdatomic.h>

#include "base/base.h"
#include "service/service.h"

enum action { ACTION_SERVE, ACTION_COMMAND, ACTION_DUMP, ACTION_DOCS, ACTION_CHECK, ACTION_DONE };

struct options {
	VEC(char *) files; /* globs resolved */
	enum action action;
	int argc; /* of a command, from its name on */
	char **argv;
};
/* False: told on stderr what is wrong. ACTION_DONE: --help or --version has been answered. */
bool options_parse(const struct service *service, int argc, char **argv, struct options *ret);
void options_clear(struct options *o);

/* crash.c: one JSON line with signal and addresses, then the signal's own effect. */
void crash_install(const char *service);

/* signals.c */
enum phase { PHASE_OPENING, PHASE_SERVING, PHASE_DRAINING, PHASE_CLOSING };
extern _Atomic enum phase service_phase;
/* Handlers for SIGTERM and SIGINT: while opening they end the process at once, then the first wakes the returned
 * descriptor and the second ends it. Once per process. */
int signals_install(void);
/* Wake the descriptor as a signal does. Async-signal-safe. */
void signals_wake(void);
/* The file that must not outlive the process; NULL for none. Kept by pointer. */
void signals_set_ready_file(const char *path);
/* End the process if it lives longer than this. */
void signals_watchdog(int64_t timeout_us);

/* profiler.c */
struct profiler;
enum code profiler_start(const struct service *service, struct service_context *ctx, struct profiler **ret,
			 struct err *err);
int profiler_port(const struct profiler *p); /* 0 for none */
/* Ask the service no more; returns once no question is under way. */
void profiler_detach(struct profiler *p);
void profiler_stop(struct profiler *p); /* NULL is fine */

/* queues.c: depth and capacity of every queue of the process; they come and go, so they are no metrics of a registry.
 */
void queues_print(struct buf *b);

/* process.c: resident memory, CPU time, descriptors, threads, start time, under Prometheus' usual names. */
void process_metrics(struct metrics *m);

/* heap.c: bound glibc's heaps (before any thread starts); then, from the loop, give back what a peak left behind. */
void heap_bound(void);
struct heap_keeper *heap_keeper_new(struct loop *loop);
void heap_keeper_free(struct heap_keeper *k);

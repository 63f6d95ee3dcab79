/* Shared by the process executor's files. */
#pragma once
#include <sys/types.h>

#include "base/base.h"
#include "copilot.h"
#include "executor.h"
#include "flyte/resources.h"
#include "inputs.h"
#include "propeller.h"
#include "results.h"
#include "task_spec.h"

struct run {
	struct executor *x;
	struct attempt_id id;
	struct arena *arena;
	enum { WAITING, PREPARING, RUNNING, READING } state;
	bool aborted, holds_slot, outputs_declared;
	char *key; /* "<execution>/<node>-<attempt>" */
	const char *dir, *log_path, *log_uri, *output_prefix;
	struct inputs_request wanted;
	int64_t timeout_us, started_us;
	bool many_errors; /* its workers write an error file each */
	bool eager;
	struct task_spec spec;
	struct copilot copilot;
	CoreLiteralMap *literals; /* its inputs, if files are made of them */
	const char *raw_prefix;
	struct platform_resources platform; /* what the platform gives its task */
	struct futures_request dynamic;     /* should it leave a workflow */
	pid_t shim;
	int pidfd;
	struct loop_io *io;
	struct results_request results;
	struct run *next; /* in the queue for a slot */
};

struct executor {
	struct executor_host host;
	const struct propeller_config *config;
	char *shim, *dir;
	struct map *runs;          /* key -> run */
	struct u64map *used;       /* executions with a directory */
	struct run *first, **last; /* waiting for a slot */
	size_t slots, busy;
	struct queue *rubbish; /* paths to remove */
	pthread_t cleaner;
	struct metric *running, *waiting, *spawned, *lost;
};

/* process_slots.c */
void run_free(struct run *r); /* gives its slot to the next */
void run_wait_for_slot(struct run *r);
void run_leave_queue(struct run *r);
/* Its process is over: another one may run, though what it left is still being read. */
void run_leave_slot(struct run *r);
void process_throw_away(struct executor *x, char *path); /* malloc'd; removed later */

/* process_run.c */
void run_prepare(struct run *r);    /* its slot is there: inputs, shim */
bool run_find_again(struct run *r); /* an earlier process started it; false if there is nothing to find */
void run_stop(struct run *r);
/* The attempt failed before its task could say anything. */
void run_fail(struct run *r, const char *code, const char *message, bool system);

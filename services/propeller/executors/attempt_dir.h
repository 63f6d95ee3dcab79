/* The directory of one running attempt, as propeller sees it; shim/shim.c has the other end.
 * <process dir>/<execution>/<node>-<attempt>/{claim,spec,lock,pid,status,work/}. Small blocking file work. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

enum attempt_found {
	FOUND_NOTHING, /* never started here, or not so far that the task ran */
	FOUND_RUNNING, /* the shim lives: *ret_pid */
	FOUND_OVER,    /* its status is there */
	FOUND_LOST,    /* it ran and nobody saw it end */
};

struct attempt_status {
	enum { ENDED_EXIT, ENDED_SIGNAL, ENDED_DEADLINE, ENDED_STOPPED, ENDED_EXEC, ENDED_LOST } how;
	int number;      /* exit code or signal */
	char text[1024]; /* why it could not be run */
};

/* What an earlier process left in `dir`. A lost task's group is killed, if it still is the one on record. */
enum attempt_found attempt_dir_look(const char *dir, pid_t *ret_shim);
/* Make it anew: whatever is there goes, no shim of an earlier start can run any more. `spec` as shim.c reads it.
 * Errors: ABORTED when such a shim has begun just now: look again. */
enum code attempt_dir_make(const char *dir, const char *token, struct str spec, struct err *err);
/* Read the status; ENDED_LOST when there is none. */
void attempt_dir_status(const char *dir, struct attempt_status *ret);
/* Remove a tree; symlinks are not followed. */
void attempt_dir_remove(const char *path);
/* Make the directories above `path`; what cannot be made shows when it is used. */
void attempt_dir_make_parents(const char *path);

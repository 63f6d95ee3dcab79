/* One libevent loop, run by one thread. Other threads enter only by loop_post.
 * Callbacks that take longer than 50 ms are logged with their name. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct event_base;
struct loop;
struct loop_timer;
struct loop_io;

struct loop *loop_new(const char *name);
void loop_free(struct loop *l); /* not running; posted calls that did not run are dropped */
void loop_run(struct loop *l);  /* until loop_stop */
void loop_stop(struct loop *l); /* from any thread, also before loop_run */
/* Run fn(arg) on the loop's thread, soon, in order of posting. From any thread. */
void loop_post(struct loop *l, void (*fn)(void *arg), void *arg);
/* Calls that were posted and have not run. From any thread. */
size_t loop_posted(struct loop *l);
/* For libraries with adapters of their own. */
struct event_base *loop_base(struct loop *l);

/* One-shot timers. `name` is for logs and is borrowed. Loop thread only. */
struct loop_timer *loop_timer_new(struct loop *l, const char *name, void (*fn)(void *arg), void *arg);
void loop_timer_set(struct loop_timer *t, int64_t delay_us); /* arms, or moves */
void loop_timer_stop(struct loop_timer *t);
void loop_timer_free(struct loop_timer *t);

/* Watch a descriptor until freed (level-triggered). The descriptor stays the caller's. Loop thread only. */
struct loop_io *loop_io_new(struct loop *l, const char *name, int fd, bool read, bool write,
			    void (*fn)(int fd, bool readable, bool writable, void *arg), void *arg);
void loop_io_free(struct loop_io *io);

DEFINE_CLEANUP(struct loop *, loop_free);

/* The engine's timers: a heap over one loop timer. Loop thread only.
 * A timer whose time has gone by for another reason is ignored by the engine; it leaves when it is due, or some time
 * after its execution is over. */
#pragma once
#include "loop/loop.h"

struct timer {
	int64_t at_us; /* wall clock */
	int64_t execution;
	uint32_t timer, node, attempt;
};

struct timers;
struct timers *timers_new(struct loop *loop, void (*fn)(void *arg, const struct timer *t), void *arg);
void timers_add(struct timers *t, struct timer timer);
/* The execution is over: its timers fire no more. */
void timers_forget(struct timers *t, int64_t execution);
size_t timers_count(const struct timers *t); /* in memory */
void timers_free(struct timers *t);          /* NULL is fine */

/* The engine's timers: a heap over one loop timer. Loop thread only.
 * Nothing is taken out early: a timer whose time has gone by for another reason is ignored by the engine. */
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
void timers_free(struct timers *t); /* NULL is fine */

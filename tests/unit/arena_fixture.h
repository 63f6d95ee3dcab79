/* An arena for all tests of a program: set_up and tear_down are its group's. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"

static struct arena *arena;

static inline int set_up(void **state)
{
	(void)state;
	arena = arena_new(0);
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

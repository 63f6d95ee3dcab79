/* A process that has no descriptor left for a while. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#define ENOUGH_DESCRIPTORS ((void *)1000)

/* From now on so many; as a timer calls it. */
static inline void allow_descriptors(void *most)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)(uintptr_t)most;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* No more than there are: what is open stays. */
static inline void allow_no_more_descriptors(void)
{
	int free = dup(0);

	close(free);
	allow_descriptors((void *)(uintptr_t)free);
}

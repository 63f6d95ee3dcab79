/* Memory that a peak leaves behind goes back to the system. */
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#include "base/base.h"
#include "private.h"

/* Small pieces that stay high up in a heap keep all below it: glibc gives back by itself only what lies on top. */
enum { MAX_HEAPS = 4, LARGE_BLOCK_BYTES = 1 << 20, SLACK_BYTES = 32 << 20, LOOK_US = 2000000 };

struct heap_keeper {
	struct loop_timer *timer;
};

/* By itself glibc makes eight heaps a core for the threads, and keeps the more of them the larger the blocks that were
 * freed. (A smaller threshold gives more back, and makes large executions slower: their blocks come and go by page
 * faults.) */
void heap_bound(void)
{
	mallopt(M_ARENA_MAX, MAX_HEAPS);
	mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES);
	mallopt(M_TRIM_THRESHOLD, LARGE_BLOCK_BYTES);
}

static size_t resident_bytes(void)
{
	size_t total = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f)
		return 0;
	if (fscanf(f, "%zu %zu", &total, &resident) != 2)
		resident = 0;
	fclose(f);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void look(void *arg)
{
	struct heap_keeper *k = arg;
	size_t resident = resident_bytes();

	if (resident > 2 * SLACK_BYTES) {
		struct mallinfo2 info = mallinfo2();
		if (info.fordblks > SLACK_BYTES && resident > info.uordblks + info.hblkhd + SLACK_BYTES)
			malloc_trim(0);
	}
	loop_timer_set(k->timer, LOOK_US);
}

struct heap_keeper *heap_keeper_new(struct loop *loop)
{
	struct heap_keeper *k = x_calloc(1, sizeof *k);

	k->timer = loop_timer_new(loop, "heap", look, k);
	loop_timer_set(k->timer, LOOK_US);
	return k;
}

void heap_keeper_free(struct heap_keeper *k)
{
	loop_timer_free(k->timer);
	free(k);
}

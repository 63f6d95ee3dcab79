#include "timers.h"

#include "base/map.h"
#include "base/time.h"
#include "base/vec.h"

enum { MOST_DEAD = 1024 };

struct timers {
	struct loop_timer *loop_timer;
	void (*fn)(void *arg, const struct timer *t);
	void *arg;
	VEC(struct timer) heap; /* the earliest at 0 */
	struct u64map *live;    /* execution -> how many of them are its */
	size_t dead;            /* how many are of executions that are over */
};

static void swap(struct timers *t, size_t i, size_t k)
{
	struct timer x = t->heap.at[i];

	t->heap.at[i] = t->heap.at[k];
	t->heap.at[k] = x;
}

static void sift_up(struct timers *t, size_t i)
{
	for (; i > 0 && t->heap.at[i].at_us < t->heap.at[(i - 1) / 2].at_us; i = (i - 1) / 2)
		swap(t, i, (i - 1) / 2);
}

static void sift_down(struct timers *t, size_t i)
{
	for (;;) {
		size_t least = i;
		for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < t->heap.n; k++)
			if (t->heap.at[k].at_us < t->heap.at[least].at_us)
				least = k;
		if (least == i)
			return;
		swap(t, i, least);
		i = least;
	}
}

static void arm(struct timers *t)
{
	if (t->heap.n)
		loop_timer_set(t->loop_timer, MAX(t->heap.at[0].at_us - time_now_us(), 0));
}

static bool is_live(const struct timers *t, const struct timer *x)
{
	return u64map_get(t->live, (uint64_t)x->execution);
}

static void count(struct timers *t, int64_t execution, int n)
{
	uintptr_t now = (uintptr_t)u64map_get(t->live, (uint64_t)execution) + (uintptr_t)n;

	if (now)
		u64map_put(t->live, (uint64_t)execution, (void *)now);
	else
		u64map_remove(t->live, (uint64_t)execution);
}

static void fire(void *arg)
{
	struct timers *t = arg;
	int64_t now = time_now_us();

	while (t->heap.n && t->heap.at[0].at_us <= now) {
		struct timer due = t->heap.at[0];
		vec_swap_remove(&t->heap, 0);
		sift_down(t, 0);
		if (!is_live(t, &due)) {
			t->dead--;
			continue;
		}
		count(t, due.execution, -1);
		t->fn(t->arg, &due);
	}
	arm(t);
}

struct timers *timers_new(struct loop *loop, void (*fn)(void *arg, const struct timer *t), void *arg)
{
	struct timers *t = x_calloc(1, sizeof *t);

	t->fn = fn;
	t->arg = arg;
	t->live = u64map_new();
	t->loop_timer = loop_timer_new(loop, "engine timers", fire, t);
	return t;
}

void timers_add(struct timers *t, struct timer timer)
{
	vec_push(&t->heap, timer);
	count(t, timer.execution, 1);
	sift_up(t, t->heap.n - 1);
	if (t->heap.at[0].at_us == timer.at_us)
		arm(t);
}

/* Timeouts are often days, and executions minutes: most of the heap would be of executions that are over. */
static void drop_dead(struct timers *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->heap.n; i++)
		if (is_live(t, &t->heap.at[i]))
			t->heap.at[n++] = t->heap.at[i];
	t->heap.n = n;
	t->dead = 0;
	for (size_t i = n / 2; i-- > 0;)
		sift_down(t, i);
}

void timers_forget(struct timers *t, int64_t execution)
{
	t->dead += (uintptr_t)u64map_remove(t->live, (uint64_t)execution);
	if (t->dead > MOST_DEAD && t->dead > t->heap.n / 2)
		drop_dead(t);
}

size_t timers_count(const struct timers *t)
{
	return t->heap.n;
}

void timers_free(struct timers *t)
{
	if (!t)
		return;
	loop_timer_free(t->loop_timer);
	vec_free(&t->heap);
	u64map_free(t->live);
	free(t);
}

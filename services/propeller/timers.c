#include "timers.h"

#include "base/time.h"
#include "base/vec.h"

struct timers {
	struct loop_timer *loop_timer;
	void (*fn)(void *arg, const struct timer *t);
	void *arg;
	VEC(struct timer) heap; /* the earliest at 0 */
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

static void fire(void *arg)
{
	struct timers *t = arg;
	int64_t now = time_now_us();

	while (t->heap.n && t->heap.at[0].at_us <= now) {
		struct timer due = t->heap.at[0];
		vec_swap_remove(&t->heap, 0);
		sift_down(t, 0);
		t->fn(t->arg, &due);
	}
	arm(t);
}

struct timers *timers_new(struct loop *loop, void (*fn)(void *arg, const struct timer *t), void *arg)
{
	struct timers *t = x_calloc(1, sizeof *t);

	t->fn = fn;
	t->arg = arg;
	t->loop_timer = loop_timer_new(loop, "engine timers", fire, t);
	return t;
}

void timers_add(struct timers *t, struct timer timer)
{
	vec_push(&t->heap, timer);
	sift_up(t, t->heap.n - 1);
	if (t->heap.at[0].at_us == timer.at_us)
		arm(t);
}

void timers_free(struct timers *t)
{
	if (!t)
		return;
	loop_timer_free(t->loop_timer);
	vec_free(&t->heap);
	free(t);
}

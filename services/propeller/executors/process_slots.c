/* Slots of the process executor: how many attempts run at once, and who waits. */
#include <unistd.h>

#include "process.h"

static void next_waiting(struct executor *x)
{
	while (x->first && x->busy < x->slots) {
		struct run *r = x->first;
		x->first = r->next;
		if (!x->first)
			x->last = &x->first;
		metric_add(x->waiting, -1);
		x->busy++;
		r->holds_slot = true;
		run_prepare(r);
	}
}

void process_throw_away(struct executor *x, char *path)
{
	if (!queue_try_push(x->rubbish, path))
		free(path); /* the execution's directory goes later as a whole */
}

void run_free(struct run *r)
{
	struct executor *x = r->x;

	map_remove(x->runs, str_of(r->key));
	if (r->io) {
		loop_io_free(r->io);
		metric_add(x->running, -1);
	}
	if (r->pidfd >= 0)
		close(r->pidfd);
	if (r->holds_slot)
		x->busy--;
	free(r->key);
	arena_free(r->arena);
	next_waiting(x);
}

void run_leave_slot(struct run *r)
{
	if (!r->holds_slot)
		return;
	r->holds_slot = false;
	r->x->busy--;
	next_waiting(r->x);
}

void run_wait_for_slot(struct run *r)
{
	struct executor *x = r->x;

	/* Who only waits for other executions must not hold up those. */
	if (r->eager) {
		run_prepare(r);
		return;
	}
	r->state = WAITING;
	*x->last = r;
	x->last = &r->next;
	metric_add(x->waiting, 1);
	next_waiting(x);
}

void run_leave_queue(struct run *r)
{
	struct executor *x = r->x;
	struct run **p = &x->first;

	while (*p && *p != r)
		p = &(*p)->next;
	if (!*p)
		return;
	*p = r->next;
	if (x->last == &r->next)
		x->last = p;
	metric_add(x->waiting, -1);
}

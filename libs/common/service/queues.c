#include "service/private.h"

/* Queues of one name count as one. */
struct load {
	const char *name;
	size_t depth, capacity;
};
typedef VEC(struct load) loads;

static void add_load(struct queue *q, void *arg)
{
	loads *all = arg;
	struct load *found = NULL;

	vec_each (struct load *, l, all)
		if (strcmp(l->name, queue_name(q)) == 0)
			found = l;
	if (!found) {
		vec_push(all, (struct load){.name = queue_name(q)});
		found = &all->at[all->n - 1];
	}
	found->depth += queue_depth(q);
	found->capacity += queue_capacity(q);
}

void queues_print(struct buf *b)
{
	loads all = {0};

	queue_each(add_load, &all);
	buf_adds(b, "# HELP alula:queue:depth Items that wait in a queue.\n# TYPE alula:queue:depth gauge\n");
	vec_each (struct load *, l, &all)
		buf_printf(b, "alula:queue:depth{queue=\"%s\"} %zu\n", l->name, l->depth);
	buf_adds(b, "# HELP alula:queue:capacity Items at which a queue is full.\n# TYPE alula:queue:capacity gauge\n");
	vec_each (struct load *, l, &all)
		buf_printf(b, "alula:queue:capacity{queue=\"%s\"} %zu\n", l->name, l->capacity);
	vec_free(&all);
}

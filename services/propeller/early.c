#include "early.h"

#include "base/map.h"

enum { MOST = 10000 };

struct early {
	struct u64map *items; /* execution -> item */
	VEC(int64_t) order;   /* executions, the oldest first */
};

struct early *early_new(void)
{
	struct early *e = x_calloc(1, sizeof *e);

	e->items = u64map_new();
	return e;
}

void early_free(struct early *e)
{
	if (!e)
		return;
	while (e->order.n)
		item_free(early_take(e, e->order.at[0]));
	vec_free(&e->order);
	u64map_free(e->items);
	free(e);
}

struct item *early_take(struct early *e, int64_t execution)
{
	struct item *item = u64map_remove(e->items, (uint64_t)execution);

	for (size_t i = 0; item && i < e->order.n; i++) {
		if (e->order.at[i] != execution)
			continue;
		e->order.n--;
		memmove(e->order.at + i, e->order.at + i + 1, (e->order.n - i) * sizeof *e->order.at);
		break;
	}
	return item;
}

void early_keep(struct early *e, struct item *item)
{
	item_free(early_take(e, item->execution));
	if (e->order.n == MOST)
		item_free(early_take(e, e->order.at[0]));
	u64map_put(e->items, (uint64_t)item->execution, item);
	vec_push(&e->order, item->execution);
}

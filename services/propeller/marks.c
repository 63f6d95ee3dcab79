#include "marks.h"

#include <assert.h>

#include "base/map.h"

struct marks {
	struct u64map *map;
	size_t consumers;
};

struct marks *marks_new(size_t consumers)
{
	struct marks *m = x_calloc(1, sizeof *m);

	assert(consumers <= MARK_CONSUMERS);
	m->map = u64map_new();
	m->consumers = consumers;
	return m;
}

void marks_free(struct marks *m)
{
	struct mark *mark;
	size_t it = 0;

	if (!m)
		return;
	while (marks_next(m, &it, &mark))
		free(mark);
	u64map_free(m->map);
	free(m);
}

size_t marks_count(const struct marks *m)
{
	return u64map_count(m->map);
}

struct mark *marks_get(struct marks *m, int64_t execution)
{
	return u64map_get(m->map, (uint64_t)execution);
}

struct mark *marks_add(struct marks *m, int64_t execution, unsigned shard)
{
	struct mark *mark = marks_get(m, execution);

	if (mark)
		return mark;
	mark = x_calloc(1, sizeof *mark);
	mark->execution = execution;
	mark->shard = shard;
	u64map_put(m->map, (uint64_t)execution, mark);
	return mark;
}

void marks_remove(struct marks *m, int64_t execution)
{
	free(u64map_remove(m->map, (uint64_t)execution));
}

bool marks_next(struct marks *m, size_t *it, struct mark **ret)
{
	uint64_t key;
	void *value;

	if (!u64map_next(m->map, it, &key, &value))
		return false;
	*ret = value;
	return true;
}

int64_t marks_confirmed(const struct marks *m, const struct mark *mark)
{
	int64_t least = m->consumers ? mark->confirmed[0] : mark->written;

	for (size_t i = 1; i < m->consumers; i++)
		least = MIN(least, mark->confirmed[i]);
	return least;
}

bool marks_confirm(const struct marks *m, struct mark *mark, size_t consumer, int64_t seq)
{
	if (consumer < m->consumers && seq > mark->confirmed[consumer])
		mark->confirmed[consumer] = MIN(seq, mark->written);
	return mark->last && marks_confirmed(m, mark) == mark->written;
}

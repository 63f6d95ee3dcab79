/* Types in words, and whether they are the same or cast: what compilations ask again and again. */
#include <string.h>

#include "compiler/private.h"
#include "flyte/types.h"
#include "pb/pb.h"

enum { TEXT_BYTES = 2000 }; /* longer ones are cut */

static void add_type(const CoreLiteralType *t, struct buf *b)
{
	if (!t) {
		buf_adds(b, "None");
		return;
	}
	if (t->type_case != CORE_LITERAL_TYPE_TYPE_SIMPLE || t->simple != CORE_SIMPLE_TYPE_STRUCT) {
		type_add_text(t, b);
		return;
	}
	buf_adds(b, "simple: STRUCT structure{");
	for (size_t i = 0; t->structure && i < t->structure->n_dataclass_type; i++) {
		const CoreTypeStructureDataclassTypeEntry *e = t->structure->dataclass_type[i];
		buf_printf(b, "%sdataclass_type:{key:%s value:{", i ? ", " : "", e->key);
		add_type(e->value, b);
		buf_adds(b, "}");
	}
	buf_adds(b, "}");
}

const char *type_error_text(const CoreLiteralType *t, struct arena *a)
{
	auto_buf struct buf b = {.limit = TEXT_BYTES};

	add_type(t, &b);
	return arena_printf(a, "%s%s", buf_text(&b), b.failed ? "…" : "");
}

static bool is_plain(const CoreLiteralType *t)
{
	return t->type_case == CORE_LITERAL_TYPE_TYPE_SIMPLE && !t->metadata && !t->structure && !t->annotation;
}

bool type_equal(const CoreLiteralType *a, const CoreLiteralType *b)
{
	uint8_t x[32], y[32];

	if (!a || !b || a == b)
		return a == b;
	if (is_plain(a) && is_plain(b))
		return a->simple == b->simple;
	pb_digest(a, x);
	pb_digest(b, y);
	return memcmp(x, y, sizeof x) == 0;
}

bool types_cast(struct program *g, const CoreLiteralType *from, const CoreLiteralType *to)
{
	const void *pair[] = {from, to};
	struct str key = {(const char *)pair, sizeof pair};

	if (!from || !to || (is_plain(from) && is_plain(to)))
		return type_castable(from, to);
	uintptr_t known = (uintptr_t)map_get(g->casts, key);
	if (!known) {
		known = type_castable_within(from, to, &g->cast_steps) ? 1 : 2;
		map_put(g->casts, key, (void *)known);
	}
	return known == 1;
}

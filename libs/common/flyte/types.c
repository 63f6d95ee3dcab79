#include "flyte/types.h"

#include <string.h>

#include "flyte/text.h"
#include "pb/pb.h"

bool type_same(const CoreLiteralType *a, const CoreLiteralType *b)
{
	if (a->type_case != b->type_case)
		return false;
	if (a->type_case == CORE_LITERAL_TYPE_TYPE_SIMPLE)
		return a->simple == b->simple;
	CoreLiteralType x = *a, y = *b;
	uint8_t dx[32], dy[32];
	x.metadata = y.metadata = NULL;
	x.annotation = y.annotation = NULL;
	x.structure = y.structure = NULL;
	pb_digest(&x, dx);
	pb_digest(&y, dy);
	return memcmp(dx, dy, sizeof dx) == 0;
}

static bool is_none(const CoreLiteralType *t)
{
	return t && t->type_case == CORE_LITERAL_TYPE_TYPE_SIMPLE && t->simple == CORE_SIMPLE_TYPE_NONE;
}

bool type_optional(const CoreLiteralType *t)
{
	if (!t || t->type_case != CORE_LITERAL_TYPE_TYPE_UNION_TYPE)
		return false;
	for (size_t i = 0; i < t->union_type->n_variants; i++)
		if (is_none(t->union_type->variants[i]))
			return true;
	return false;
}

void type_add_text(const CoreLiteralType *t, struct buf *b)
{
	message_add_text(t, b);
}

const char *type_text(const CoreLiteralType *t, struct arena *a)
{
	return message_text(t, a);
}

/* ---- maps ---- */

#define DEFINE_GET(fn, result, map, entries)                                                                           \
	result fn(const map *m, const char *name)                                                                      \
	{                                                                                                              \
		for (size_t i = 0; m && i < m->n_##entries; i++)                                                       \
			if (strcmp(m->entries[i]->key, name) == 0)                                                     \
				return m->entries[i]->value;                                                           \
		return NULL;                                                                                           \
	}
DEFINE_GET(variable_get, const CoreVariable *, CoreVariableMap, variables)
DEFINE_GET(parameter_get, const CoreParameter *, CoreParameterMap, parameters)
DEFINE_GET(literal_get, CoreLiteral *, CoreLiteralMap, literals)

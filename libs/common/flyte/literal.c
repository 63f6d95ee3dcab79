/* Values, and their types. */
#include <string.h>

#include "base/vec.h"
#include "flyte/text.h"
#include "flyte/types.h"
#include "pb/pb.h"

CoreLiteral *literal_of_scalar(struct arena *a, int value_case)
{
	CoreLiteral *l = pb_new(a, CORE_LITERAL_DESC);

	l->value_case = CORE_LITERAL_VALUE_SCALAR;
	l->scalar = pb_new(a, CORE_SCALAR_DESC);
	l->scalar->value_case = value_case;
	return l;
}

CoreLiteral *literal_of_primitive(struct arena *a, int value_case)
{
	CoreLiteral *l = literal_of_scalar(a, CORE_SCALAR_VALUE_PRIMITIVE);

	l->scalar->primitive = pb_new(a, CORE_PRIMITIVE_DESC);
	l->scalar->primitive->value_case = value_case;
	return l;
}

static CoreLiteralType *new_type(struct arena *a, int type_case)
{
	CoreLiteralType *t = pb_new(a, CORE_LITERAL_TYPE_DESC);

	t->type_case = type_case;
	return t;
}

static CoreLiteralType *simple_type(struct arena *a, CoreSimpleType simple)
{
	CoreLiteralType *t = new_type(a, CORE_LITERAL_TYPE_TYPE_SIMPLE);

	t->simple = simple;
	return t;
}

static CoreSimpleType primitive_type(const CorePrimitive *p)
{
	switch (p->value_case) {
	case CORE_PRIMITIVE_VALUE_INTEGER: return CORE_SIMPLE_TYPE_INTEGER;
	case CORE_PRIMITIVE_VALUE_FLOAT_VALUE: return CORE_SIMPLE_TYPE_FLOAT;
	case CORE_PRIMITIVE_VALUE_STRING_VALUE: return CORE_SIMPLE_TYPE_STRING;
	case CORE_PRIMITIVE_VALUE_BOOLEAN: return CORE_SIMPLE_TYPE_BOOLEAN;
	case CORE_PRIMITIVE_VALUE_DATETIME: return CORE_SIMPLE_TYPE_DATETIME;
	case CORE_PRIMITIVE_VALUE_DURATION: return CORE_SIMPLE_TYPE_DURATION;
	default: return CORE_SIMPLE_TYPE_NONE;
	}
}

static const CoreLiteralType *blob_type(const CoreBlob *blob, struct arena *a)
{
	if (!blob->metadata)
		return NULL;
	CoreLiteralType *t = new_type(a, CORE_LITERAL_TYPE_TYPE_BLOB);
	t->blob = blob->metadata->type ? blob->metadata->type : pb_new(a, CORE_BLOB_TYPE_DESC);
	return t;
}

static const CoreLiteralType *dataset_type(const CoreStructuredDataset *d, struct arena *a)
{
	CoreLiteralType *t = new_type(a, CORE_LITERAL_TYPE_TYPE_STRUCTURED_DATASET_TYPE);

	t->structured_dataset_type = d->metadata && d->metadata->structured_dataset_type
					     ? d->metadata->structured_dataset_type
					     : pb_new(a, CORE_STRUCTURED_DATASET_TYPE_DESC);
	return t;
}

static const CoreLiteralType *union_type(CoreLiteralType *const *variants, size_t n, struct arena *a)
{
	CoreLiteralType *t = new_type(a, CORE_LITERAL_TYPE_TYPE_UNION_TYPE);

	t->union_type = pb_new(a, CORE_UNION_TYPE_DESC);
	for (size_t i = 0; i < n; i++)
		*PB_ADD(a, t->union_type->variants, t->union_type->n_variants) = variants[i];
	return t;
}

/* Dataclasses and dicts travel as msgpack. */
static CoreSimpleType binary_type(const CoreBinary *b)
{
	return strcmp(b->tag, "msgpack") == 0 ? CORE_SIMPLE_TYPE_STRUCT : CORE_SIMPLE_TYPE_BINARY;
}

static const CoreLiteralType *schema_type(const CoreSchema *schema, struct arena *a)
{
	CoreLiteralType *t = new_type(a, CORE_LITERAL_TYPE_TYPE_SCHEMA);

	t->schema = schema->type ? schema->type : pb_new(a, CORE_SCHEMA_TYPE_DESC);
	return t;
}

const CoreLiteralType *scalar_type(const CoreScalar *s, struct arena *a)
{
	switch (s->value_case) {
	case CORE_SCALAR_VALUE_PRIMITIVE: return simple_type(a, primitive_type(s->primitive));
	case CORE_SCALAR_VALUE_BLOB: return blob_type(s->blob, a);
	case CORE_SCALAR_VALUE_BINARY: return simple_type(a, binary_type(s->binary));
	case CORE_SCALAR_VALUE_SCHEMA: return schema_type(s->schema, a);
	case CORE_SCALAR_VALUE_NONE_TYPE: return simple_type(a, CORE_SIMPLE_TYPE_NONE);
	case CORE_SCALAR_VALUE_ERROR: return simple_type(a, CORE_SIMPLE_TYPE_ERROR);
	case CORE_SCALAR_VALUE_GENERIC: return simple_type(a, CORE_SIMPLE_TYPE_STRUCT);
	case CORE_SCALAR_VALUE_STRUCTURED_DATASET: return dataset_type(s->structured_dataset, a);
	case CORE_SCALAR_VALUE_UNION: return s->union_->type ? union_type(&s->union_->type, 1, a) : NULL;
	default: return NULL;
	}
}

/* ---- collections ---- */

struct typed {
	const char *text;
	CoreLiteralType *type;
};

struct types {
	VEC(struct typed) types;
	CoreLiteralType *empty; /* of an empty list among them */
};

static bool is_empty_list(const CoreLiteral *l)
{
	return l->value_case == CORE_LITERAL_VALUE_COLLECTION && !l->collection->n_literals;
}

static void types_add(struct types *x, const CoreLiteral *l, struct arena *a)
{
	CoreLiteralType *t = l ? (CoreLiteralType *)literal_type(l, a) : NULL;

	if (!t)
		t = new_type(a, CORE_LITERAL_TYPE_TYPE_NOT_SET);
	if (l && is_empty_list(l)) {
		x->empty = t;
		return;
	}
	const char *text = type_text(t, a);
	vec_each (struct typed *, p, &x->types)
		if (strcmp(p->text, text) == 0)
			return;
	vec_push(&x->types, (struct typed){text, t});
}

static int by_text(const void *x, const void *y)
{
	return strcmp(((const struct typed *)x)->text, ((const struct typed *)y)->text);
}

/* Lists of unions become one list of a union. Source: validators/utils.go buildMultipleTypeUnion. */
static const CoreLiteralType *types_union(struct types *x, struct arena *a)
{
	CoreLiteralType *t = new_type(a, CORE_LITERAL_TYPE_TYPE_UNION_TYPE);
	CoreUnionType *u = t->union_type = pb_new(a, CORE_UNION_TYPE_DESC);
	bool nested = false;

	qsort(x->types.at, x->types.n, sizeof *x->types.at, by_text);
	vec_each (struct typed *, p, &x->types) {
		const CoreLiteralType *inner =
			p->type->type_case == CORE_LITERAL_TYPE_TYPE_COLLECTION_TYPE ? p->type->collection_type : NULL;
		if (!inner || inner->type_case != CORE_LITERAL_TYPE_TYPE_UNION_TYPE) {
			*PB_ADD(a, u->variants, u->n_variants) = p->type;
			continue;
		}
		nested = true;
		for (size_t i = 0; i < inner->union_type->n_variants; i++)
			*PB_ADD(a, u->variants, u->n_variants) = inner->union_type->variants[i];
	}
	if (!nested)
		return t;
	CoreLiteralType *list = new_type(a, CORE_LITERAL_TYPE_TYPE_COLLECTION_TYPE);
	list->collection_type = t;
	return list;
}

static const CoreLiteralType *types_of(struct types *x, struct arena *a)
{
	const CoreLiteralType *t;

	if (!x->types.n)
		t = x->empty ? x->empty : simple_type(a, CORE_SIMPLE_TYPE_NONE);
	else
		t = x->types.n == 1 ? x->types.at[0].type : types_union(x, a);
	vec_free(&x->types);
	return t;
}

static const CoreLiteralType *collection_type(const CoreLiteralCollection *c, struct arena *a)
{
	CoreLiteralType *t = new_type(a, CORE_LITERAL_TYPE_TYPE_COLLECTION_TYPE);
	struct types x = {0};

	for (size_t i = 0; i < c->n_literals; i++)
		types_add(&x, c->literals[i], a);
	t->collection_type = (CoreLiteralType *)types_of(&x, a);
	return t;
}

static const CoreLiteralType *map_type(const CoreLiteralMap *m, struct arena *a)
{
	CoreLiteralType *t = new_type(a, CORE_LITERAL_TYPE_TYPE_MAP_VALUE_TYPE);
	struct types x = {0};

	for (size_t i = 0; i < m->n_literals; i++)
		types_add(&x, m->literals[i]->value, a);
	t->map_value_type = (CoreLiteralType *)types_of(&x, a);
	return t;
}

const CoreLiteralType *literal_type(const CoreLiteral *l, struct arena *a)
{
	switch (l->value_case) {
	case CORE_LITERAL_VALUE_SCALAR: return scalar_type(l->scalar, a);
	case CORE_LITERAL_VALUE_COLLECTION: return collection_type(l->collection, a);
	case CORE_LITERAL_VALUE_MAP: return map_type(l->map, a);
	case CORE_LITERAL_VALUE_OFFLOADED_METADATA: return l->offloaded_metadata->inferred_type;
	default: return NULL;
	}
}

enum code literal_type_check(const CoreLiteralType *t, struct err *err)
{
	while (t && t->type_case != CORE_LITERAL_TYPE_TYPE_NOT_SET) {
		if (t->type_case == CORE_LITERAL_TYPE_TYPE_COLLECTION_TYPE)
			t = t->collection_type;
		else if (t->type_case == CORE_LITERAL_TYPE_TYPE_MAP_VALUE_TYPE)
			t = t->map_value_type;
		else
			return OK;
	}
	return err_set(err, INVALID_ARGUMENT,
		       "got unknown literal type: [<nil>].\nSuggested solution: Please update all your Flyte "
		       "deployment images to the latest version and try again");
}

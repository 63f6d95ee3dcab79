#include "engine/attribute.h"

#include "base/base.h"
#include "engine/msgpack.h"
#include "flyte/types.h"
#include "pb/pb.h"

/* ---- paths ---- */

const struct value_path *attribute_path_copy(struct arena *a, const struct value_path *path)
{
	if (!path)
		return NULL;
	struct value_path *copy = arena_new_of(a, struct value_path);
	const CorePromiseAttribute **steps = arena_array(a, const CorePromiseAttribute *, path->n);
	for (uint32_t i = 0; i < path->n; i++)
		steps[i] = pb_clone(path->steps[i], a);
	*copy = (struct value_path){arena_strdup(a, path->node), arena_strdup(a, path->var), path->n, steps};
	return copy;
}

const struct value_path *attribute_path_join(struct arena *a, const struct value_path *head,
					     const struct value_path *tail, uint32_t from)
{
	struct value_path *path = arena_new_of(a, struct value_path);
	uint32_t n = head ? head->n : 0, more = tail->n - from;
	const CorePromiseAttribute **steps = arena_array(a, const CorePromiseAttribute *, n + more);

	for (uint32_t i = 0; i < n; i++)
		steps[i] = head->steps[i];
	for (uint32_t i = 0; i < more; i++)
		steps[n + i] = tail->steps[from + i];
	*path = (struct value_path){tail->node, tail->var, n + more, steps};
	return path;
}

const struct value_path *attribute_path_item(struct arena *a, const struct value_path *head, uint32_t item)
{
	CorePromiseAttribute *step = pb_new(a, CORE_PROMISE_ATTRIBUTE_DESC);
	const CorePromiseAttribute *const steps[] = {step};
	struct value_path tail = {head ? head->node : "", head ? head->var : "", 1, steps};

	step->value_case = CORE_PROMISE_ATTRIBUTE_VALUE_INT_VALUE;
	step->int_value = (int32_t)item;
	return attribute_path_join(a, head, &tail, 0);
}

/* ---- literals ---- */

static bool is_key(const CorePromiseAttribute *step)
{
	return step->value_case == CORE_PROMISE_ATTRIBUTE_VALUE_STRING_VALUE;
}

static const CoreLiteral *map_item(const CoreLiteralMap *map, const CorePromiseAttribute *step)
{
	for (size_t i = 0; is_key(step) && i < map->n_literals; i++)
		if (strcmp(map->literals[i]->key, step->string_value) == 0)
			return map->literals[i]->value;
	return NULL;
}

static const CoreLiteral *list_item(const CoreLiteralCollection *list, const CorePromiseAttribute *step)
{
	bool within = !is_key(step) && step->int_value >= 0 && (size_t)step->int_value < list->n_literals;

	return within ? list->literals[step->int_value] : NULL;
}

/* ---- JSON, in a protobuf Struct ---- */

static CoreLiteral *primitive_literal(struct arena *a, const PbValue *v)
{
	CoreLiteral *l;

	if (v->kind_case == PB_VALUE_KIND_NUMBER_VALUE) {
		l = literal_of_primitive(a, CORE_PRIMITIVE_VALUE_FLOAT_VALUE);
		l->scalar->primitive->float_value = v->number_value;
	} else if (v->kind_case == PB_VALUE_KIND_BOOL_VALUE) {
		l = literal_of_primitive(a, CORE_PRIMITIVE_VALUE_BOOLEAN);
		l->scalar->primitive->boolean = v->bool_value;
	} else {
		l = literal_of_primitive(a, CORE_PRIMITIVE_VALUE_STRING_VALUE);
		l->scalar->primitive->string_value = v->string_value;
	}
	return l;
}

/* Borrows from `v`. */
static CoreLiteral *json_literal(struct arena *a, const PbValue *v)
{
	CoreLiteral *l;

	switch (v->kind_case) {
	case PB_VALUE_KIND_STRUCT_VALUE:
		l = literal_of_scalar(a, CORE_SCALAR_VALUE_GENERIC);
		l->scalar->generic = v->struct_value;
		return l;
	case PB_VALUE_KIND_LIST_VALUE:
		l = pb_new(a, CORE_LITERAL_DESC);
		l->value_case = CORE_LITERAL_VALUE_COLLECTION;
		l->collection = pb_new(a, CORE_LITERAL_COLLECTION_DESC);
		l->collection->n_literals = v->list_value->n_values;
		l->collection->literals = arena_array(a, CoreLiteral *, v->list_value->n_values);
		for (size_t i = 0; i < v->list_value->n_values; i++)
			l->collection->literals[i] = json_literal(a, v->list_value->values[i]);
		return l;
	case PB_VALUE_KIND_NUMBER_VALUE:
	case PB_VALUE_KIND_BOOL_VALUE:
	case PB_VALUE_KIND_STRING_VALUE: return primitive_literal(a, v);
	default:
		l = literal_of_scalar(a, CORE_SCALAR_VALUE_NONE_TYPE);
		l->scalar->none_type = pb_new(a, CORE_VOID_DESC);
		return l;
	}
}

static const PbValue *json_item(const PbValue *v, const CorePromiseAttribute *step)
{
	const PbStruct *s = v->kind_case == PB_VALUE_KIND_STRUCT_VALUE ? v->struct_value : NULL;
	const PbListValue *list = v->kind_case == PB_VALUE_KIND_LIST_VALUE ? v->list_value : NULL;

	for (size_t i = 0; s && is_key(step) && i < s->n_fields; i++)
		if (strcmp(s->fields[i]->key, step->string_value) == 0)
			return s->fields[i]->value;
	if (list && !is_key(step) && step->int_value >= 0 && (size_t)step->int_value < list->n_values)
		return list->values[step->int_value];
	return NULL;
}

static const CoreLiteral *in_json(struct arena *a, PbStruct *generic, const struct value_path *path, uint32_t *i)
{
	PbValue top = PB_VALUE_INIT;
	const PbValue *v = &top;

	top.kind_case = PB_VALUE_KIND_STRUCT_VALUE;
	top.struct_value = generic;
	for (; *i < path->n; ++*i) {
		v = json_item(v, path->steps[*i]);
		if (!v)
			return NULL;
	}
	return json_literal(a, v);
}

/* ---- msgpack ---- */

static const CoreLiteral *in_msgpack(struct arena *a, const CoreBinary *b, const struct value_path *path, uint32_t *i)
{
	struct str value = {(const char *)b->value.data, b->value.len};

	for (; *i < path->n; ++*i) {
		const CorePromiseAttribute *step = path->steps[*i];
		if (is_key(step) ? !msgpack_key(value, step->string_value, &value)
				 : !msgpack_item(value, step->int_value, &value))
			return NULL;
	}
	return msgpack_literal(a, value);
}

/* ---- a path ---- */

static enum attribute_result missing(struct arena *a, const struct value_path *path, uint32_t i, struct attribute *ret)
{
	const CorePromiseAttribute *step = path->steps[MIN(i, path->n - 1)];

	ret->error = is_key(step)
			     ? arena_printf(a,
					    "failed at Node[%s]. PromiseAttributeResolveError: key [%s] does not exist "
					    "in output [%s]",
					    path->node, step->string_value, path->var)
			     : arena_printf(a,
					    "failed at Node[%s]. PromiseAttributeResolveError: index [%d] is out of "
					    "range in output [%s]",
					    path->node, step->int_value, path->var);
	return ATTRIBUTE_MISSING;
}

static enum attribute_result bad_format(struct arena *a, const struct value_path *path, const char *tag,
					struct attribute *ret)
{
	ret->error = arena_printf(a,
				  "failed at Node[%s]. PromiseAttributeResolveError: Unsupported format '%s' found for "
				  "literal value.\nPlease ensure the serialization format is supported.",
				  path->node, tag);
	return ATTRIBUTE_MISSING;
}

/* The rest of the way lies within one scalar. */
static enum attribute_result in_scalar(struct arena *a, const CoreScalar *s, const struct value_path *path, uint32_t i,
				       struct attribute *ret)
{
	const CoreLiteral *l = NULL;

	if (s->value_case == CORE_SCALAR_VALUE_BINARY && strcmp(s->binary->tag, "msgpack") != 0)
		return bad_format(a, path, s->binary->tag, ret);
	if (s->value_case == CORE_SCALAR_VALUE_BINARY)
		l = in_msgpack(a, s->binary, path, &i);
	else if (s->value_case == CORE_SCALAR_VALUE_GENERIC)
		l = in_json(a, s->generic, path, &i);
	if (!l)
		return missing(a, path, i, ret);
	ret->literal = l;
	ret->composed = true;
	return ATTRIBUTE_FOUND;
}

enum attribute_result attribute_follow(struct arena *a, const CoreLiteral *literal, const struct value_path *path,
				       uint32_t from, struct attribute *ret)
{
	*ret = (struct attribute){0};
	for (uint32_t i = from; i < path->n; i++) {
		while (literal && literal->value_case == CORE_LITERAL_VALUE_SCALAR &&
		       literal->scalar->value_case == CORE_SCALAR_VALUE_UNION)
			literal = literal->scalar->union_->value;
		ret->literal = literal;
		ret->done = i;
		switch (literal ? literal->value_case : CORE_LITERAL_VALUE_NOT_SET) {
		case CORE_LITERAL_VALUE_OFFLOADED_METADATA: return ATTRIBUTE_ELSEWHERE;
		case CORE_LITERAL_VALUE_SCALAR: return in_scalar(a, literal->scalar, path, i, ret);
		case CORE_LITERAL_VALUE_MAP: literal = map_item(literal->map, path->steps[i]); break;
		case CORE_LITERAL_VALUE_COLLECTION: literal = list_item(literal->collection, path->steps[i]); break;
		default: literal = NULL;
		}
		if (!literal)
			return missing(a, path, i, ret);
	}
	ret->literal = literal;
	return ATTRIBUTE_FOUND;
}

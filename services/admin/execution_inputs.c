#include "execution.h"
#include "flyte/types.h"
#include "pb/pb.h"

/* Inputs by name, in the making. */
struct inputs {
	struct arena *arena;
	struct map *names;
	CoreLiteralMap *map;
};

static void add(struct inputs *in, char *name, CoreLiteral *value)
{
	CoreLiteralMapLiteralsEntry *entry = pb_new(in->arena, CORE_LITERAL_MAP_LITERALS_ENTRY_DESC);

	entry->key = name;
	entry->value = value;
	*PB_ADD(in->arena, in->map->literals, in->map->n_literals) = entry;
	map_put(in->names, str_of(name), entry);
}

static enum code check_type(struct arena *a, const char *name, const CoreLiteral *value, const CoreParameter *expected,
			    struct err *err)
{
	const CoreLiteralType *type = value ? literal_type(value, a) : NULL;
	const CoreLiteralType *wanted = expected->var ? expected->var->type : NULL;

	if (!value || (value->value_case == CORE_LITERAL_VALUE_NOT_SET))
		return err_set(err, INVALID_ARGUMENT, "missing valid literal in inputs %s", name);
	enum code c = literal_type_check(type, err);

	if (c)
		return err_prefix(err, c, "Failed to validate literal type for [%s] with err: ", name);
	if (type_castable(type, wanted))
		return OK;
	return err_set(err, INVALID_ARGUMENT, "invalid %s input wrong type. Expected %s, but got %s", name,
		       wanted ? type_text(wanted, a) : "<nil>", type ? type_text(type, a) : "<nil>");
}

static enum code add_given(struct inputs *in, const CoreLiteralMap *given, const struct map *expected, struct err *err)
{
	for (size_t i = 0; given && i < given->n_literals; i++) {
		CoreLiteralMapLiteralsEntry *e = given->literals[i];
		const CoreParameter *p = map_get(expected, str_of(e->key));
		if (!p)
			return err_set(err, INVALID_ARGUMENT, "invalid input %s", e->key);
		enum code c = check_type(in->arena, e->key, e->value, p, err);
		if (c)
			return c;
		if (!map_get(in->names, str_of(e->key)))
			add(in, e->key, e->value);
	}
	return OK;
}

static enum code add_defaults(struct inputs *in, const CoreParameterMap *expected, struct err *err)
{
	for (size_t i = 0; expected && i < expected->n_parameters; i++) {
		char *name = expected->parameters[i]->key;
		const CoreParameter *p = expected->parameters[i]->value;
		if (!p || map_get(in->names, str_of(name)))
			continue;
		if (p->behavior_case == CORE_PARAMETER_BEHAVIOR_REQUIRED && p->required)
			return err_set(err, INVALID_ARGUMENT, "expected_inputs %s missing", name);
		if (p->behavior_case == CORE_PARAMETER_BEHAVIOR_DEFAULT)
			add(in, name, p->default_);
	}
	return OK;
}

static enum code add_fixed(struct inputs *in, const CoreLiteralMap *fixed, struct err *err)
{
	for (size_t i = 0; fixed && i < fixed->n_literals; i++) {
		char *name = fixed->literals[i]->key;
		if (map_get(in->names, str_of(name)))
			return err_set(err, INVALID_ARGUMENT, "fixed_inputs %s cannot be overridden", name);
		add(in, name, fixed->literals[i]->value);
	}
	return OK;
}

enum code execution_inputs(struct arena *a, const CoreLiteralMap *given, const CoreLiteralMap *fixed,
			   const CoreParameterMap *expected, CoreLiteralMap **ret, struct err *err)
{
	auto_free(map_free) struct map *names = map_new(), *parameters = map_new();
	struct inputs in = {.arena = a, .names = names, .map = pb_new(a, CORE_LITERAL_MAP_DESC)};

	for (size_t i = 0; expected && i < expected->n_parameters; i++)
		if (expected->parameters[i]->value)
			map_put(parameters, str_of(expected->parameters[i]->key), expected->parameters[i]->value);
	enum code c = add_given(&in, given, parameters, err);
	if (!c)
		c = add_defaults(&in, expected, err);
	if (!c)
		c = add_fixed(&in, fixed, err);
	if (!c && pb_depth(in.map) > LITERAL_MAP_MAX_DEPTH)
		return err_set(err, INVALID_ARGUMENT, "inputs are nested deeper than %d levels of messages",
			       LITERAL_MAP_MAX_DEPTH);
	if (!c)
		*ret = in.map;
	return c;
}

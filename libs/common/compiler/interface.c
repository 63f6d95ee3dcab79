/* Variables by name, checked once. Source: flytepropeller validators/vars.go, interface.go (v1.16.8). */
#include <string.h>

#include "compiler/private.h"

enum { FEW = 8 };

struct interface *new_interface(struct program *g)
{
	struct interface *i = arena_new_of(g->arena, struct interface);

	i->next = g->interfaces;
	g->interfaces = i;
	return i;
}

static void clear_variables(struct variables *v)
{
	map_free(v->by_name);
	v->by_name = NULL;
}

void clear_interfaces(struct program *g)
{
	for (struct interface *i = g->interfaces; i; i = i->next) {
		clear_variables(&i->inputs);
		clear_variables(&i->outputs);
	}
}

const CoreVariable *variables_find(const struct variables *v, const char *name)
{
	if (v->by_name)
		return map_get(v->by_name, str_of(name));
	for (size_t i = v->source ? v->source->n_variables : 0; i--;)
		if (strcmp(v->source->variables[i]->key, name) == 0)
			return v->source->variables[i]->value;
	return NULL;
}

bool init_variables(struct program *g, const char *node, const CoreVariableMap *m, struct variables *ret)
{
	size_t n = m ? m->n_variables : 0;
	bool ok = true;

	ret->source = m;
	if (n > FEW && !ret->by_name)
		ret->by_name = map_new();
	for (size_t i = 0; i < n; i++) {
		const CoreVariableMapVariablesEntry *e = m->variables[i];
		bool typed = e->value && e->value->type;
		if (!*e->key)
			compile_error(&g->errors, "ValueRequired", node, "Value required [paramName].");
		if (!typed)
			compile_error(&g->errors, "ValueRequired", node, "Value required [param.Type].");
		if (ret->by_name && typed)
			map_put(ret->by_name, str_of(e->key), (void *)e->value);
		ok = ok && *e->key && typed;
	}
	return ok;
}

/* As Flyte sees it, also of a union with a variant that is not simple. */
static bool is_optional(const CoreLiteralType *t)
{
	for (size_t i = 0; t && t->type_case == CORE_LITERAL_TYPE_TYPE_UNION_TYPE && i < t->union_type->n_variants;
	     i++) {
		const CoreLiteralType *v = t->union_type->variants[i];
		if (v->type_case != CORE_LITERAL_TYPE_TYPE_SIMPLE || v->simple == CORE_SIMPLE_TYPE_NONE)
			return true;
	}
	return false;
}

void set_required(struct program *g, struct variables *v)
{
	size_t n = v->source ? v->source->n_variables : 0;

	v->n_required = 0;
	v->required = arena_array(g->arena, const char *, n);
	for (size_t i = 0; i < n; i++) {
		const CoreVariable *variable = v->source->variables[i]->value;
		bool unbound_ok = (v->unbound_ok && v->unbound_ok[i]) || (variable && is_optional(variable->type));
		if (!unbound_ok)
			v->required[v->n_required++] = v->source->variables[i]->key;
	}
}

bool may_copy(struct program *g, const char *node, const struct variables *v)
{
	size_t n = v->source ? v->source->n_variables : 0;

	if (n <= (size_t)g->copies) {
		g->copies -= (int)n;
		return true;
	}
	compile_error(&g->errors, "WorkflowBuildError", node,
		      "Branches and arrays of all nodes have too many variables together.");
	return false;
}

/* A node's bindings: does each input get one value?
 * Source: flytepropeller pkg/compiler/validators/bindings.go ValidateBindings (v1.16.8). */
#include <stdlib.h>
#include <string.h>

#include "compiler/binding.h"
#include "pb/pb.h"

struct sorted_binding {
	CoreBinding *binding;
	size_t i;
};

static int by_var(const void *x, const void *y)
{
	const struct sorted_binding *a = x, *b = y;
	int order = strcmp(a->binding->var, b->binding->var);

	return order ? order : a->i < b->i ? -1 : a->i > b->i;
}

/* Equal names in the order in which they came: the first one counts. */
static struct sorted_binding *sort_bindings(struct arena *a, const CoreNode *n)
{
	struct sorted_binding *sorted = arena_array(a, struct sorted_binding, n->n_inputs);

	for (size_t i = 0; i < n->n_inputs; i++)
		sorted[i] = (struct sorted_binding){n->inputs[i], i};
	qsort(sorted, n->n_inputs, sizeof *sorted, by_var);
	return sorted;
}

/* Has the binding something to say, and is it the first for its variable? */
static bool is_first(const struct place *p, const CoreBinding *b, bool bound)
{
	if (!b->binding)
		compile_error(p->errors, "ValueRequired", p->node->id, "Value required [Binding].");
	else if (bound)
		compile_error(p->errors, "ParameterBoundMoreThanOnce", p->node->id,
			      "Input [%s] is bound more than once.", b->var);
	return b->binding && !bound;
}

static int find_binding(const void *key, const void *at)
{
	return strcmp(key, ((const struct sorted_binding *)at)->binding->var);
}

/* Those without a value bind nothing. */
static size_t drop_empty(struct sorted_binding *sorted, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (sorted[i].binding->binding)
			sorted[kept++] = sorted[i];
	return kept;
}

static void check_unbound(struct place *p, const struct variables *params, const struct sorted_binding *sorted,
			  size_t n)
{
	/* When nobody will read them any more, it is enough to count. */
	if (p->errors->dropped) {
		p->errors->dropped += params->n_required - MIN(n, params->n_required);
		return;
	}
	for (size_t i = 0; i < params->n_required; i++) {
		p->param = params->required[i];
		if (!n || !bsearch(p->param, sorted, n, sizeof *sorted, find_binding))
			not_bound(p);
	}
}

void check_bindings(struct compilation *c, const struct compile_node *n, struct edges *edges)
{
	if (!n->interface)
		return;
	const struct variables *params = &n->interface->inputs;
	struct place p = {.c = c, .errors = &c->program->errors, .edges = edges, .at = n->at, .node = n->node};
	struct sorted_binding *sorted = sort_bindings(c->arena, n->node);
	bool bound = false;

	for (size_t i = 0; i < n->node->n_inputs; i++) {
		CoreBinding *b = sorted[i].binding;
		const CoreVariable *param = variables_find(params, b->var);
		p.param = b->var;
		bound = bound && strcmp(b->var, sorted[i - 1].binding->var) == 0;
		if (!param) {
			compile_error(p.errors, "VariableNameNotFound", p.node->id,
				      "Variable [%s] not found on node [%s].", b->var, p.node->id);
		} else if (is_first(&p, b, bound)) {
			bound = true;
			check_bound_value(&p, b->binding, param->type);
		}
	}
	check_unbound(&p, params, sorted, drop_empty(sorted, n->node->n_inputs));
}

CoreVariableMap *resolve_bindings(struct compilation *c, const struct compile_node *n)
{
	CoreLiteralType none = CORE_LITERAL_TYPE_INIT;
	const CoreLiteralType *resolved = NULL;
	struct place p = {.c = c,
			  .errors = &c->program->errors,
			  .edges = &c->upstream,
			  .at = n->at,
			  .node = n->node,
			  .resolved = &resolved};
	size_t errors = compile_errors_count(p.errors);
	CoreVariableMap *variables = pb_new(c->arena, CORE_VARIABLE_MAP_DESC);
	struct sorted_binding *sorted = sort_bindings(c->arena, n->node);
	bool bound = false;

	none.type_case = CORE_LITERAL_TYPE_TYPE_SIMPLE;
	for (size_t i = 0; i < n->node->n_inputs; i++) {
		CoreBinding *b = sorted[i].binding;
		p.param = b->var;
		bound = bound && strcmp(b->var, sorted[i - 1].binding->var) == 0;
		if (!is_first(&p, b, bound))
			continue;
		bound = true;
		check_bound_value(&p, b->binding, &none);
		CoreVariableMapVariablesEntry *e = pb_new(c->arena, CORE_VARIABLE_MAP_VARIABLES_ENTRY_DESC);
		e->key = b->var;
		e->value = pb_new(c->arena, CORE_VARIABLE_DESC);
		e->value->type = (CoreLiteralType *)resolved;
		*PB_ADD(c->arena, variables->variables, variables->n_variables) = e;
	}
	return compile_errors_count(p.errors) == errors ? variables : NULL;
}

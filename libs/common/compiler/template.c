/* One template: its nodes are checked in their order, then all bindings.
 * Source: flytepropeller pkg/compiler/workflow_compiler.go ValidateWorkflow, validators/node.go (v1.16.8). */
#include <stdlib.h>
#include <string.h>

#include "compiler/private.h"
#include "flyte/identifier.h"
#include "pb/pb.h"

enum { MAX_ALIASES = 1000 };

/* ---- nodes ---- */

static struct compile_node *new_node(struct compilation *c, CoreNode *n)
{
	struct compile_node *x = arena_new_of(c->arena, struct compile_node);

	x->node = n;
	x->at = (uint32_t)c->nodes.n;
	vec_push(&c->nodes, x);
	return x;
}

struct compile_node *add_inner_node(struct compilation *c, CoreNode *n)
{
	struct compile_node *x = new_node(c, n);

	x->inner = true;
	return x;
}

/* NULL if there is one of this id. */
static struct compile_node *add_node(struct compilation *c, CoreNode *n)
{
	if (map_get(c->index, str_of(n->id))) {
		compile_error(&c->program->errors, "DuplicateId", n->id,
			      "Trying to insert two nodes with the same id.");
		return NULL;
	}
	struct compile_node *x = new_node(c, n);
	map_put(c->index, str_of(n->id), (void *)(uintptr_t)(x->at + 1));
	return x;
}

static void duplicate_alias(struct compilation *c, const CoreNode *n, const CoreAlias *alias)
{
	compile_error(&c->program->errors, "DuplicateAlias", n->id,
		      "Duplicate alias [%s] found. An output alias can only be used once in the Workflow.",
		      alias->alias);
}

static void check_aliases(struct compilation *c, struct compile_node *x)
{
	struct compile_errors *errors = &c->program->errors;
	size_t before = compile_errors_count(errors);
	const CoreNode *n = x->node;

	if (n->n_output_aliases > MAX_ALIASES)
		compile_error(errors, "InvalidValue", n->id, "Invalid value [OutputAliases]: more than %d of them.",
			      MAX_ALIASES);
	for (size_t i = 0; i < n->n_output_aliases && i < MAX_ALIASES && x->interface; i++) {
		const CoreAlias *alias = n->output_aliases[i];
		size_t k = 0;
		while (k < i && strcmp(n->output_aliases[k]->var, alias->var) != 0)
			k++;
		if (k < i)
			duplicate_alias(c, n, alias);
		else if (!variables_find(&x->interface->outputs, alias->var))
			compile_error(errors, "ParameterNotBound", n->id, "Parameter not bound [%s].", alias->alias);
	}
	x->bad_aliases = compile_errors_count(errors) != before;
}

static int by_text(const void *x, const void *y)
{
	return strcmp(*(char *const *)x, *(char *const *)y);
}

bool check_node(struct compilation *c, struct compile_node *x)
{
	struct compile_errors *errors = &c->program->errors;
	size_t before = compile_errors_count(errors);
	CoreNode *n = x->node;

	if (!*n->id)
		compile_error(errors, "ValueRequired", "<node>", "Value required [Id].");
	if (known_interface(c, x))
		check_aliases(c, x);
	check_timeout(c, n);
	if (n->n_upstream_node_ids)
		qsort(n->upstream_node_ids, n->n_upstream_node_ids, sizeof(char *), by_text);
	if (n->target_case == CORE_NODE_TARGET_BRANCH_NODE)
		check_branch(c, x);
	return x->interface && compile_errors_count(errors) == before;
}

/* ---- the workflow's own ends ---- */

static struct compile_node *add_end(struct compilation *c, const char *id, struct interface *i)
{
	CoreNode *n = pb_new(c->arena, CORE_NODE_DESC);

	n->id = arena_strdup(c->arena, id);
	struct compile_node *x = add_node(c, n);
	x->interface = i;
	return x;
}

/* Its inputs are what the start node gives, its outputs what the end node takes. */
static bool add_ends(struct compilation *c)
{
	CoreWorkflowTemplate *w = c->workflow;
	struct interface *start = new_interface(c->program), *end = new_interface(c->program);

	if (!w->interface)
		w->interface = pb_new(c->arena, CORE_TYPED_INTERFACE_DESC);
	if (!w->interface->inputs)
		w->interface->inputs = pb_new(c->arena, CORE_VARIABLE_MAP_DESC);
	if (!w->interface->outputs)
		w->interface->outputs = pb_new(c->arena, CORE_VARIABLE_MAP_DESC);
	bool ok = init_variables(c->program, START_ID, w->interface->inputs, &start->outputs);
	ok = init_variables(c->program, START_ID, w->interface->outputs, &end->inputs) && ok;
	set_required(c->program, &end->inputs);
	add_end(c, START_ID, start);
	struct compile_node *x = add_end(c, END_ID, end);
	x->node->inputs = w->outputs;
	x->node->n_inputs = w->n_outputs;
	return ok;
}

/* ---- edges ---- */

static void add_explicit_edges(struct compilation *c, const struct compile_node *x)
{
	for (size_t i = 0; i < x->node->n_upstream_node_ids; i++) {
		const char *id = x->node->upstream_node_ids[i];
		uint32_t from;
		if (node_position(c, id, &from))
			add_edge(&c->edges, from, x->at);
		else
			compile_error(&c->program->errors, "NodeReferenceNotFound", id,
				      "Referenced node [%s] not found.", id);
	}
}

static void add_edges(struct compilation *c)
{
	for (size_t i = END; i < c->nodes.n; i++) {
		const struct compile_node *x = c->nodes.at[i];
		if (x->inner || !x->interface)
			continue;
		add_explicit_edges(c, x);
		check_bindings(c, x, &c->edges);
	}
}

static void add_failure_node(struct compilation *c, CoreNode *n)
{
	struct compile_node *x = add_inner_node(c, n);

	x->apart = map_get(c->index, str_of(n->id)) != NULL;
	if (x->apart)
		compile_error(&c->program->errors, "DuplicateId", n->id,
			      "Trying to insert two nodes with the same id.");
	check_node(c, x);
	check_bindings(c, x, &c->upstream);
}

/* ---- all of it ---- */

static void compile(struct compilation *c, CoreCompiledWorkflow *ret)
{
	CoreWorkflowTemplate *w = c->workflow;

	if (!add_ends(c))
		return;
	for (size_t i = 0; i < w->n_nodes; i++) {
		struct compile_node *x = add_node(c, w->nodes[i]);
		if (x)
			check_node(c, x);
	}
	add_edges(c);
	if (w->failure_node)
		add_failure_node(c, w->failure_node);
	ret->connections = connect_nodes(c);
	w->nodes = NULL;
	w->n_nodes = 0;
	for (size_t i = 0; i < c->nodes.n; i++)
		if (!c->nodes.at[i]->inner)
			*PB_ADD(c->arena, w->nodes, w->n_nodes) = c->nodes.at[i]->node;
}

void compile_template(struct program *g, CoreCompiledWorkflow *ret)
{
	struct compilation c = {.program = g, .arena = g->arena, .workflow = ret->template_, .index = map_new()};

	if (c.workflow->n_nodes) {
		compile(&c, ret);
	} else {
		const char *id = identifier_text(c.workflow->id, g->arena);
		compile_error(&g->errors, "NoNodesFound", id, "Can't find any nodes in workflow [%s].", id);
	}
	map_free(c.index);
	vec_free(&c.nodes);
	vec_free(&c.edges);
	vec_free(&c.upstream);
}

/* A workflow's template becomes its closure.
 * Source: flytepropeller pkg/compiler/workflow_compiler.go, validators/node.go, interface.go (v1.16.8). */
#include <stdlib.h>
#include <string.h>

#include "compiler/private.h"
#include "flyte/identifier.h"
#include "flyteidl/core/identifier.h"
#include "pb/pb.h"

enum { UNION_STEPS = 1000000, MAX_ALIASES = 1000 };

/* ---- interfaces ---- */

static void init_variables(struct compilation *c, const char *node, const CoreVariableMap *m, struct variables *ret)
{
	*ret = (struct variables){.source = m};
	if (!m || !m->n_variables)
		return;
	ret->by_name = map_new();
	for (size_t i = 0; i < m->n_variables; i++) {
		const CoreVariableMapVariablesEntry *e = m->variables[i];
		if (!*e->key)
			compile_error(&c->errors, "ValueRequired", node, "Value required [paramName].");
		if (!e->value || !e->value->type)
			compile_error(&c->errors, "ValueRequired", node, "Value required [param.Type].");
		else
			map_put(ret->by_name, str_of(e->key), (void *)e->value);
	}
}

static void clear_interface(struct interface *i)
{
	map_free(i->inputs.by_name);
	map_free(i->outputs.by_name);
}

/* Task nodes of one task share its interface; what is wrong with it is told of the first node. */
static const struct interface *task_interface(struct compilation *c, const CoreNode *n, const CoreIdentifier *id)
{
	struct interface *i = map_get(c->tasks, str_of(identifier_text(id, c->arena)));

	if (!i) {
		compile_error(&c->errors, "TaskReferenceNotFound", n->id, "Referenced Task [%s] not found.",
			      identifier_text(id, c->arena));
		return NULL;
	}
	const CoreTypedInterface *typed = i->task->template_->interface;
	if (typed && !i->inputs.source && !i->outputs.source) {
		init_variables(c, n->id, typed->inputs, &i->inputs);
		init_variables(c, n->id, typed->outputs, &i->outputs);
	}
	return i;
}

static void index_tasks(struct compilation *c, CoreCompiledTask *const *tasks, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *key = identifier_text(tasks[i]->template_->id, c->arena);
		if (map_get(c->tasks, str_of(key)))
			continue;
		struct interface *x = arena_new_of(c->arena, struct interface);
		x->task = tasks[i];
		x->next = c->interfaces;
		c->interfaces = x;
		map_put(c->tasks, str_of(key), x);
	}
}

/* The workflow's inputs are what the start node gives, its outputs what the end node takes. */
static void set_ends(struct compilation *c)
{
	CoreWorkflowTemplate *w = c->workflow;

	if (!w->interface)
		w->interface = pb_new(c->arena, CORE_TYPED_INTERFACE_DESC);
	if (!w->interface->inputs)
		w->interface->inputs = pb_new(c->arena, CORE_VARIABLE_MAP_DESC);
	if (!w->interface->outputs)
		w->interface->outputs = pb_new(c->arena, CORE_VARIABLE_MAP_DESC);
	init_variables(c, START_ID, w->interface->inputs, &c->start.outputs);
	init_variables(c, START_ID, w->interface->outputs, &c->end.inputs);
	c->nodes[START].interface = &c->start;
	c->nodes[END].interface = &c->end;
	c->nodes[END].node->inputs = w->outputs;
	c->nodes[END].node->n_inputs = w->n_outputs;
}

/* ---- nodes ---- */

static const char *kind_of(const CoreNode *n)
{
	switch (n->target_case) {
	case CORE_NODE_TARGET_WORKFLOW_NODE: return "a workflow node";
	case CORE_NODE_TARGET_BRANCH_NODE: return "a branch node";
	case CORE_NODE_TARGET_GATE_NODE: return "a gate node";
	case CORE_NODE_TARGET_ARRAY_NODE: return "an array node";
	default: return NULL;
	}
}

static const struct interface *node_interface(struct compilation *c, const CoreNode *n)
{
	const char *kind = kind_of(n);

	if (kind)
		compile_error(&c->errors, "InvalidValue", n->id, "Invalid value [Target]: %s is not supported yet.",
			      kind);
	else if (n->target_case != CORE_NODE_TARGET_TASK_NODE)
		compile_error(&c->errors, "ValueRequired", n->id, "Value required [Target].");
	else if (n->task_node->reference_case != CORE_TASK_NODE_REFERENCE_REFERENCE_ID)
		compile_error(&c->errors, "ValueRequired", n->id, "Value required [TaskNode.ReferenceId].");
	else
		return task_interface(c, n, n->task_node->reference_id);
	return NULL;
}

static void add_node(struct compilation *c, CoreNode *n)
{
	if (map_get(c->index, str_of(n->id))) {
		compile_error(&c->errors, "DuplicateId", n->id, "Trying to insert two nodes with the same id.");
		return;
	}
	c->nodes[c->n_nodes++].node = n;
	map_put(c->index, str_of(n->id), (void *)(uintptr_t)c->n_nodes);
}

static CoreNode *new_node(struct compilation *c, char *id)
{
	CoreNode *n = pb_new(c->arena, CORE_NODE_DESC);

	n->id = id;
	return n;
}

static int by_text(const void *x, const void *y)
{
	return strcmp(*(char *const *)x, *(char *const *)y);
}

static void check_aliases(struct compilation *c, const struct compile_node *n)
{
	if (n->node->n_output_aliases > MAX_ALIASES)
		compile_error(&c->errors, "InvalidValue", n->node->id,
			      "Invalid value [OutputAliases]: more than %d of them.", MAX_ALIASES);
	for (size_t i = 0; i < n->node->n_output_aliases && i < MAX_ALIASES && n->interface; i++) {
		const CoreAlias *alias = n->node->output_aliases[i];
		if (!variables_find(&n->interface->outputs, alias->var))
			compile_error(&c->errors, "ParameterNotBound", n->node->id, "Parameter not bound [%s].",
				      alias->alias);
		for (size_t k = 0; k < i; k++)
			if (strcmp(n->node->output_aliases[k]->var, alias->var) == 0)
				compile_error(
					&c->errors, "DuplicateAlias", n->node->id,
					"Duplicate alias [%s] found. An output alias can only be used once in the "
					"Workflow.",
					alias->alias);
	}
}

static void check_node(struct compilation *c, struct compile_node *n)
{
	if (!*n->node->id)
		compile_error(&c->errors, "ValueRequired", "<node>", "Value required [Id].");
	n->interface = node_interface(c, n->node);
	check_aliases(c, n);
	if (n->node->n_upstream_node_ids)
		qsort(n->node->upstream_node_ids, n->node->n_upstream_node_ids, sizeof(char *), by_text);
}

static void add_nodes(struct compilation *c)
{
	CoreWorkflowTemplate *w = c->workflow;

	c->nodes = arena_array(c->arena, struct compile_node, w->n_nodes + FIRST_NODE);
	add_node(c, new_node(c, START_ID));
	add_node(c, new_node(c, END_ID));
	set_ends(c);
	for (size_t i = 0; i < w->n_nodes; i++)
		add_node(c, w->nodes[i]);
	for (size_t i = FIRST_NODE; i < c->n_nodes; i++)
		check_node(c, &c->nodes[i]);
	if (w->failure_node)
		compile_error(&c->errors, "InvalidValue", w->failure_node->id,
			      "Invalid value [FailureNode]: a failure node is not supported yet.");
}

static void add_explicit_edges(struct compilation *c, uint32_t at)
{
	const CoreNode *n = c->nodes[at].node;

	for (size_t i = 0; i < n->n_upstream_node_ids; i++) {
		uint32_t from;
		if (node_position(c, n->upstream_node_ids[i], &from))
			add_edge(c, from, at);
		else
			compile_error(&c->errors, "NodeReferenceNotFound", n->upstream_node_ids[i],
				      "Referenced node [%s] not found.", n->upstream_node_ids[i]);
	}
}

static void add_edges(struct compilation *c)
{
	for (uint32_t i = END; i < c->n_nodes; i++) {
		const CoreNode *n = c->nodes[i].node;
		if (!c->nodes[i].interface)
			continue;
		add_explicit_edges(c, i);
		check_bindings(c, i, n->inputs, n->n_inputs);
	}
}

/* ---- the closure ---- */

static CoreCompiledWorkflowClosure *make_closure(struct compilation *c, CoreCompiledTask *const *tasks, size_t n)
{
	CoreCompiledWorkflowClosure *closure = pb_new(c->arena, CORE_COMPILED_WORKFLOW_CLOSURE_DESC);
	CoreCompiledWorkflow *primary = closure->primary = pb_new(c->arena, CORE_COMPILED_WORKFLOW_DESC);
	CoreWorkflowTemplate *w = primary->template_ = c->workflow;

	primary->connections = make_connections(c);
	w->n_nodes = 0;
	w->nodes = NULL;
	for (size_t i = 0; i < c->n_nodes; i++)
		*PB_ADD(c->arena, w->nodes, w->n_nodes) = c->nodes[i].node;
	for (size_t i = 0; i < n; i++)
		*PB_ADD(c->arena, closure->tasks, closure->n_tasks) = tasks[i];
	return closure;
}

static void clear(struct compilation *c)
{
	for (struct interface *i = c->interfaces; i; i = i->next)
		clear_interface(i);
	clear_interface(&c->start);
	clear_interface(&c->end);
	map_free(c->index);
	map_free(c->tasks);
	vec_free(&c->edges);
	compile_errors_free(&c->errors);
}

static enum code compile(struct compilation *c, CoreCompiledTask *const *tasks, size_t n_tasks, struct err *err)
{
	if (!c->workflow->n_nodes) {
		const char *id = identifier_text(c->workflow->id, c->arena);
		compile_error(&c->errors, "NoNodesFound", id, "Can't find any nodes in workflow [%s].", id);
		return compile_errors_finish(&c->errors, "", err);
	}
	index_tasks(c, tasks, n_tasks);
	add_nodes(c);
	add_edges(c);
	rank_nodes(c);
	connect_orphans(c);
	/* Of a graph with nodes that could not be understood, reachability says nothing. */
	if (!compile_errors_count(&c->errors))
		check_reachable(c);
	return compile_errors_finish(&c->errors, "", err);
}

enum code compile_workflow(CoreWorkflowTemplate *w, CoreCompiledTask *const *tasks, size_t n_tasks, struct arena *a,
			   CoreCompiledWorkflowClosure **ret, struct err *err)
{
	struct compilation c = {
		.arena = a,
		.workflow = w,
		.index = map_new(),
		.tasks = map_new(),
		.union_steps = UNION_STEPS,
	};
	enum code code = compile(&c, tasks, n_tasks, err);

	if (!code)
		*ret = make_closure(&c, tasks, n_tasks);
	clear(&c);
	return code;
}

void required_tasks(const CoreWorkflowTemplate *w, struct arena *a, const CoreIdentifier *const **ret, size_t *ret_n)
{
	auto_free(map_free) struct map *seen = map_new();
	const CoreIdentifier **ids = NULL;
	size_t n = 0;

	for (size_t i = 0; i < w->n_nodes; i++) {
		const CoreNode *node = w->nodes[i];
		if (node->target_case != CORE_NODE_TARGET_TASK_NODE ||
		    node->task_node->reference_case != CORE_TASK_NODE_REFERENCE_REFERENCE_ID)
			continue;
		const CoreIdentifier *id = node->task_node->reference_id;
		if (!map_put(seen, str_of(identifier_text(id, a)), (void *)id))
			*PB_ADD(a, ids, n) = id;
	}
	*ret = ids;
	*ret_n = n;
}

#include "engine/workflow.h"

#include "base/base.h"
#include "engine/private.h"
#include "flyte/ids.h"
#include "pb/pb.h"

struct node_names {
	struct map *index;            /* id -> index + 1 */
	const CoreNode *const *nodes; /* by index; NULL for start and end where the closure has none */
};

struct building {
	struct workflow *w;
	const CoreCompiledWorkflowClosure *closure;
	const CoreWorkflowTemplate *template;
	const struct engine_options *options;
	const CoreNode **nodes; /* by index */
	struct node_names names;
	struct map *tasks;                  /* id as text -> struct task */
	VEC(uint32_t) * upstream, *sources; /* by node */
};

bool node_names_find(const struct node_names *names, const char *id, uint32_t *ret)
{
	uintptr_t at = *id ? (uintptr_t)map_get(names->index, str_of(id)) : START_NODE + 1;

	if (!at)
		return false;
	*ret = (uint32_t)(at - 1);
	return true;
}

const char *node_names_variable(const struct node_names *names, uint32_t node, const char *var)
{
	const CoreNode *n = names->nodes[node];

	for (size_t i = 0; n && i < n->n_output_aliases; i++)
		if (strcmp(n->output_aliases[i]->alias, var) == 0)
			return n->output_aliases[i]->var;
	return var;
}

static void fail(struct building *b, const char *code, const char *fmt, ...)
{
	va_list ap;

	if (b->w->error)
		return;
	va_start(ap, fmt);
	b->w->error = error_new(b->w->arena, CORE_EXECUTION_ERROR_ERROR_KIND_SYSTEM, code, "%s",
				arena_vprintf(b->w->arena, fmt, ap));
	va_end(ap);
}

/* ---- tasks ---- */

static const char *id_text(struct arena *a, const CoreIdentifier *id)
{
	return id ? arena_printf(a, "%d:%s:%s:%s:%s", (int)id->resource_type, id->project, id->domain, id->name,
				 id->version)
		  : "";
}

static size_t count(const CoreVariableMap *m)
{
	return m ? m->n_variables : 0;
}

static void fit_echo(struct workflow *w, struct task *t)
{
	const CoreTypedInterface *i = t->template->interface;
	size_t in = count(i ? i->inputs : NULL), out = count(i ? i->outputs : NULL);

	if (in != out)
		t->misfit = arena_printf(
			w->arena, "the number of input [%zu] and output [%zu] variables does not match", in, out);
	else if (in > 1)
		t->misfit = "this plugin does not currently support more than one input variable";
	else if (in == 1)
		t->in = i->inputs->variables[0]->key, t->out = i->outputs->variables[0]->key;
}

static void add_task(struct building *b, const CoreTaskTemplate *template)
{
	struct workflow *w = b->w;
	struct task *t = arena_new_of(w->arena, struct task);

	t->template = pb_clone(template, w->arena);
	t->leaf = b->options->leaf_of(b->options->arg, template->type);
	if (t->leaf == LEAF_ECHO)
		fit_echo(w, t);
	else if (t->leaf == LEAF_UNKNOWN)
		t->misfit = arena_printf(w->arena,
					 "no plugin defined for Handler type [%s] and no defaultPlugin configured",
					 template->type);
	map_put(b->tasks, str_of(id_text(w->arena, template->id)), t);
}

/* ---- nodes ---- */

static const char *kind_name(const CoreNode *n)
{
	switch (n->target_case) {
	case CORE_NODE_TARGET_WORKFLOW_NODE:
		return n->workflow_node->reference_case == CORE_WORKFLOW_NODE_REFERENCE_LAUNCHPLAN_REF ? "launch plan"
												       : "sub-workflow";
	case CORE_NODE_TARGET_BRANCH_NODE: return "branch";
	case CORE_NODE_TARGET_GATE_NODE: return "gate";
	case CORE_NODE_TARGET_ARRAY_NODE: return "array";
	default: return NULL;
	}
}

static bool is_sentinel(const CoreNode *n)
{
	return strcmp(n->id, "start-node") == 0 || strcmp(n->id, "end-node") == 0;
}

static void list_nodes(struct building *b)
{
	const CoreWorkflowTemplate *t = b->template;
	uint32_t n = FIRST_TASK_NODE;

	b->nodes = x_calloc(t->n_nodes + FIRST_TASK_NODE, sizeof *b->nodes);
	b->names = (struct node_names){map_new(), b->nodes};
	map_put(b->names.index, STR("start-node"), (void *)(uintptr_t)(START_NODE + 1));
	map_put(b->names.index, STR("end-node"), (void *)(uintptr_t)(END_NODE + 1));
	for (size_t i = 0; i < t->n_nodes; i++) {
		if (is_sentinel(t->nodes[i]))
			continue;
		if (map_put(b->names.index, str_of(t->nodes[i]->id), (void *)(uintptr_t)(n + 1)))
			fail(b, "BadSpecificationError", "two nodes are called [%s]", t->nodes[i]->id);
		b->nodes[n++] = t->nodes[i];
	}
	b->w->n_nodes = n;
	b->w->nodes = arena_array(b->w->arena, struct wf_node, n);
	b->upstream = x_calloc(n, sizeof *b->upstream);
	b->sources = x_calloc(n, sizeof *b->sources);
}

static void fill_metadata(struct wf_node *wn, const CoreNodeMetadata *m)
{
	wn->interruptible = -1;
	if (!m)
		return;
	if (m->interruptible_value_case == CORE_NODE_METADATA_INTERRUPTIBLE_VALUE_INTERRUPTIBLE)
		wn->interruptible = (signed char)m->interruptible;
	if (m->retries && m->retries->retries)
		wn->min_attempts = m->retries->retries + 1;
	if (m->timeout && pb_duration_us(m->timeout) > 0) {
		wn->attempt_timeout_us = pb_duration_us(m->timeout);
		/* All attempts and the waiting together. */
		wn->node_timeout_us = wn->attempt_timeout_us < INT64_MAX / 2 ? 2 * wn->attempt_timeout_us : 0;
	}
}

/* What the node does not say, its task may. */
static void fill_from_task(struct wf_node *wn)
{
	const CoreTaskMetadata *m = wn->task->template->metadata;

	if (!m)
		return;
	if (!wn->min_attempts && m->retries && m->retries->retries)
		wn->min_attempts = m->retries->retries + 1;
	if (!wn->attempt_timeout_us && m->timeout)
		wn->attempt_timeout_us = MAX(pb_duration_us(m->timeout), 0);
}

static void fill_ids(struct workflow *w, struct wf_node *wn, const char *id, const char *name)
{
	const char *parts[] = {id};

	wn->id = arena_strdup(w->arena, id);
	wn->name = name && *name ? arena_strdup(w->arena, name) : "";
	wn->event_id = (CoreNodeExecutionIdentifier)CORE_NODE_EXECUTION_IDENTIFIER_INIT;
	wn->event_id.node_id = (char *)flyte_unique_id(w->arena, parts, 1, NODE_UNIQUE_ID_MAX, UNIQUE_ID_FNV32);
}

/* A node may ask for another image or other resources than its task. */
static const struct task *overridden(struct workflow *w, const struct task *task, const CoreTaskNodeOverrides *o)
{
	bool applies = task && task->template->target_case == CORE_TASK_TEMPLATE_TARGET_CONTAINER && o &&
		       (*o->container_image || o->resources);

	if (!applies)
		return task;
	struct task *t = arena_dup(w->arena, task, sizeof *task);
	CoreTaskTemplate *template = pb_clone(task->template, w->arena);
	if (*o->container_image)
		template->container->image = arena_strdup(w->arena, o->container_image);
	if (o->resources)
		template->container->resources = pb_clone(o->resources, w->arena);
	t->template = template;
	return t;
}

static void fill_node(struct building *b, uint32_t i)
{
	const CoreNode *n = b->nodes[i];
	struct wf_node *wn = &b->w->nodes[i];
	const char *kind = kind_name(n);

	fill_ids(b->w, wn, n->id, n->metadata ? n->metadata->name : NULL);
	fill_metadata(wn, n->metadata);
	if (kind) {
		fail(b, "NotYetImplementedError", "node [%s]: %s nodes are not supported yet", n->id, kind);
		return;
	}
	const CoreIdentifier *id = n->target_case == CORE_NODE_TARGET_TASK_NODE ? n->task_node->reference_id : NULL;
	wn->task = map_get(b->tasks, str_of(id_text(b->w->arena, id)));
	wn->task = overridden(b->w, wn->task, id ? n->task_node->overrides : NULL);
	if (!wn->task)
		fail(b, "BadSpecificationError", "node [%s]: its task is not in the compiled workflow", n->id);
	else
		fill_from_task(wn);
}

/* ---- bindings and edges ---- */

static void add_source(struct building *b, uint32_t i, const struct expr *e)
{
	const struct task *task = b->w->nodes[i].task;

	if (e->kind == EXPR_PROMISE) {
		vec_push(&b->sources[i], e->promise.node);
		b->w->nodes[e->promise.node].looked_into |= e->n > 0 || (task && task->leaf != LEAF_EXECUTOR);
	}
	for (uint32_t k = 0; (e->kind == EXPR_COLLECTION || e->kind == EXPR_MAP) && k < e->n; k++)
		add_source(b, i, &e->items.at[k]);
}

static void bind(struct building *b, uint32_t i, CoreBinding *const *bindings, size_t n)
{
	struct wf_node *wn = &b->w->nodes[i];
	struct binding *at = arena_array(b->w->arena, struct binding, n);
	const char *error = NULL;

	for (size_t k = 0; k < n; k++) {
		at[k].var = arena_strdup(b->w->arena, bindings[k]->var);
		at[k].expr = binding_compile(b->w, &b->names, bindings[k]->binding, &error);
		if (error)
			fail(b, "BadSpecificationError", "node [%s]: %s", wn->id, error);
		if (b->w->error)
			return;
		add_source(b, i, &at[k].expr);
	}
	wn->bindings = at;
	wn->n_bindings = (uint32_t)n;
}

static void add_upstream_ids(struct building *b, uint32_t i)
{
	const CoreNode *n = b->nodes[i];
	uint32_t at;

	for (size_t k = 0; k < n->n_upstream_node_ids; k++) {
		if (node_names_find(&b->names, n->upstream_node_ids[k], &at))
			vec_push(&b->upstream[i], at);
		else
			fail(b, "BadSpecificationError", "node [%s]: upstream node [%s] is not defined", n->id,
			     n->upstream_node_ids[k]);
	}
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void make_distinct(uint32_t *at, size_t *n)
{
	size_t out = 0;

	if (*n)
		qsort(at, *n, sizeof *at, by_number);
	for (size_t i = 0; i < *n; i++)
		if (out == 0 || at[out - 1] != at[i])
			at[out++] = at[i];
	*n = out;
}

/* Everything waits for the start, and the end for everything. */
static void close_graph(struct building *b)
{
	struct workflow *w = b->w;
	auto_mem bool *has_downstream = x_calloc(w->n_nodes, sizeof *has_downstream);

	for (uint32_t i = 0; i < w->n_nodes; i++) {
		make_distinct(b->sources[i].at, &b->sources[i].n);
		for (size_t k = 0; k < b->sources[i].n; k++)
			vec_push(&b->upstream[i], b->sources[i].at[k]);
		if (i != START_NODE && i != END_NODE && b->upstream[i].n == 0)
			vec_push(&b->upstream[i], START_NODE);
		make_distinct(b->upstream[i].at, &b->upstream[i].n);
		for (size_t k = 0; k < b->upstream[i].n; k++)
			has_downstream[b->upstream[i].at[k]] = true;
	}
	for (uint32_t i = 0; i < w->n_nodes; i++)
		if (i != END_NODE && !has_downstream[i])
			vec_push(&b->upstream[END_NODE], i);
	make_distinct(b->upstream[END_NODE].at, &b->upstream[END_NODE].n);
}

static void store_edges(struct building *b)
{
	struct workflow *w = b->w;
	uint32_t n = 0, at = 0;

	for (uint32_t i = 0; i < w->n_nodes; i++) {
		w->nodes[i].n_upstream = (uint32_t)b->upstream[i].n;
		w->nodes[i].sources.n = (uint32_t)b->sources[i].n;
		n += (uint32_t)(b->upstream[i].n + b->sources[i].n);
		for (size_t k = 0; k < b->upstream[i].n; k++)
			w->nodes[b->upstream[i].at[k]].downstream.n++;
		for (size_t k = 0; k < b->sources[i].n; k++)
			w->nodes[b->sources[i].at[k]].n_users++;
	}
	w->edges = arena_array(w->arena, uint32_t, n);
	for (uint32_t i = 0; i < w->n_nodes; i++) {
		struct wf_node *wn = &w->nodes[i];
		wn->downstream.first = at;
		at += wn->downstream.n;
		wn->downstream.n = 0;
		wn->sources.first = at;
		at += wn->sources.n;
		for (size_t k = 0; k < b->sources[i].n; k++)
			w->edges[wn->sources.first + k] = b->sources[i].at[k];
	}
	for (uint32_t i = 0; i < w->n_nodes; i++)
		for (size_t k = 0; k < b->upstream[i].n; k++) {
			struct edges *down = &w->nodes[b->upstream[i].at[k]].downstream;
			w->edges[down->first + down->n++] = i;
		}
}

/* Every node must be reached, or the execution would never end. */
static void check_reached(struct building *b)
{
	struct workflow *w = b->w;
	auto_mem uint32_t *queue = x_calloc(w->n_nodes, sizeof *queue);
	auto_mem uint32_t *left = x_calloc(w->n_nodes, sizeof *left);
	uint32_t head = 0, tail = 0;

	for (uint32_t i = 0; i < w->n_nodes; i++) {
		left[i] = w->nodes[i].n_upstream;
		if (left[i] == 0)
			queue[tail++] = i;
	}
	while (head < tail) {
		const struct edges *down = &w->nodes[queue[head++]].downstream;
		for (uint32_t k = 0; k < down->n; k++)
			if (--left[w->edges[down->first + k]] == 0)
				queue[tail++] = w->edges[down->first + k];
	}
	for (uint32_t i = 0; tail < w->n_nodes && i < w->n_nodes; i++)
		if (left[i])
			fail(b, "BadSpecificationError", "node [%s] lies on a cycle or behind one", w->nodes[i].id);
}

static void build_nodes(struct building *b)
{
	const CoreWorkflowTemplate *t = b->template;
	struct workflow *w = b->w;

	for (size_t i = 0; i < b->closure->n_tasks; i++)
		if (b->closure->tasks[i]->template_)
			add_task(b, b->closure->tasks[i]->template_);
	list_nodes(b);
	fill_ids(w, &w->nodes[START_NODE], "start-node", NULL);
	fill_ids(w, &w->nodes[END_NODE], "end-node", NULL);
	for (uint32_t i = FIRST_TASK_NODE; i < w->n_nodes && !w->error; i++)
		fill_node(b, i);
	for (uint32_t i = FIRST_TASK_NODE; i < w->n_nodes && !w->error; i++) {
		bind(b, i, b->nodes[i]->inputs, b->nodes[i]->n_inputs);
		add_upstream_ids(b, i);
	}
	if (!w->error)
		bind(b, END_NODE, t->outputs, t->n_outputs);
	if (w->error)
		return;
	close_graph(b);
	store_edges(b);
	check_reached(b);
}

static void fill_workflow(struct building *b)
{
	const CoreWorkflowTemplate *t = b->template;

	b->w->interruptible = t->metadata_defaults && t->metadata_defaults->interruptible;
	b->w->fail_after =
		t->metadata && t->metadata->on_failure ==
				       CORE_WORKFLOW_METADATA_ON_FAILURE_POLICY_FAIL_AFTER_EXECUTABLE_NODES_COMPLETE;
	if (t->failure_node)
		fail(b, "NotYetImplementedError", "node [%s]: failure nodes are not supported yet",
		     t->failure_node->id);
	else
		build_nodes(b);
}

struct workflow *workflow_new(const CoreCompiledWorkflowClosure *closure, const struct engine_options *options)
{
	struct arena *a = arena_new(0);
	struct workflow *w = arena_new_of(a, struct workflow);
	struct building b = {.w = w, .closure = closure, .options = options};

	w->arena = a;
	w->refs = 1;
	b.tasks = map_new();
	b.template = closure->primary ? closure->primary->template_ : NULL;
	if (b.template)
		fill_workflow(&b);
	else
		fail(&b, "BadSpecificationError", "the compiled workflow has no template");
	for (uint32_t i = 0; b.upstream && i < w->n_nodes; i++) {
		vec_free(&b.upstream[i]);
		vec_free(&b.sources[i]);
	}
	free(b.upstream);
	free(b.sources);
	free(b.nodes);
	map_free(b.names.index);
	map_free(b.tasks);
	w->bytes = arena_used(a);
	return w;
}

void workflow_free(struct workflow *w)
{
	if (!w)
		return;
	free(w->digest);
	arena_free(w->arena);
}

/* Plans as Flyte's compiled workflows. */
#include "sim.h"

enum { TASK_OF_EXECUTOR, TASK_ECHO, TASK_NAP, N_TASKS };

struct writing {
	struct sim *s;
	struct arena *a;
	struct wf wf;
	CoreTaskTemplate *const *tasks;
	size_t *n_flows;
};

static CoreBindingData *binding(const struct writing *w, const struct source *from)
{
	CoreBindingData *b;

	switch (from->kind) {
	case SOURCE_CONSTANT: return constant(w->a, int_literal(w->a, from->constant));
	case SOURCE_INPUT: return promise(w->a, "", "x");
	case SOURCE_NODE: return promise(w->a, from->node->id, "o0");
	default: break;
	}
	b = pb_new(w->a, CORE_BINDING_DATA_DESC);
	b->value_case = CORE_BINDING_DATA_VALUE_COLLECTION;
	b->collection = pb_new(w->a, CORE_BINDING_DATA_COLLECTION_DESC);
	for (size_t i = 0; i < from->n; i++)
		*PB_ADD(w->a, b->collection->bindings, b->collection->n_bindings) = binding(w, &from->items[i]);
	return b;
}

static CoreNode *write_node(const struct writing *w, const struct plan_node *n);
static void write_plan(const struct writing *w, const struct plan *p);

static CoreNode *write_branch(const struct writing *w, const struct plan_node *n)
{
	CoreNode *b = node_of_branch(w->a, n->id);

	for (size_t i = 0; i < n->n_cases; i++) {
		const struct plan_case *c = &n->cases[i];
		CoreNode *then = write_node(w, c->node);
		if (c->always)
			branch_else(b, then);
		else
			branch_case(w->a, b,
				    comparison(w->a, operand_var(w->a, "c"), (CoreComparisonExpressionOperator)c->op,
					       operand_of(w->a, int_literal(w->a, c->with))),
				    then);
	}
	if (n->branch_fails)
		branch_error(w->a, b, "no case");
	return b;
}

static CoreNode *write_array(const struct writing *w, const struct plan_node *n)
{
	CoreNode *item = write_node(w, n->item);
	CoreNode *to = node_of_array(w->a, n->id, item);
	CoreArrayNode *array = to->array_node;

	if (n->parallelism >= 0) {
		array->parallelism_option_case = CORE_ARRAY_NODE_PARALLELISM_OPTION_PARALLELISM;
		array->parallelism = (uint32_t)n->parallelism;
	}
	if (n->min == MIN_NUMBER) {
		array->success_criteria_case = CORE_ARRAY_NODE_SUCCESS_CRITERIA_MIN_SUCCESSES;
		array->min_successes = n->min_number;
	} else if (n->min == MIN_RATIO) {
		array->success_criteria_case = CORE_ARRAY_NODE_SUCCESS_CRITERIA_MIN_SUCCESS_RATIO;
		array->min_success_ratio = n->min_ratio;
	}
	if (n->single_file)
		array->data_mode = CORE_ARRAY_NODE_DATA_MODE_SINGLE_INPUT_FILE;
	if (n->bound[1])
		*PB_ADD(w->a, array->bound_inputs, array->n_bound_inputs) = "i1";
	return to;
}

static CoreNode *write_workflow(const struct writing *w, const struct plan_node *n)
{
	struct writing inner = *w;

	inner.wf = wf_inner(&w->wf, arena_printf(w->a, "flow%zu", (*w->n_flows)++));
	write_plan(&inner, n->plan);
	return node_of_workflow(w->a, n->id, &inner.wf);
}

/* Either the node says that it is cached, or its task. */
static const CoreTaskTemplate *task_of(const struct writing *w, const struct plan_node *n, int kind)
{
	static const char *const TYPES[] = {"python-task", "echo", "core-sleep"};

	if (!n->version || !n->cached_by_task)
		return w->tasks[kind];
	CoreTaskTemplate *t = wf_task((struct wf *)&w->wf, TYPES[kind], 1, kind != TASK_NAP);
	t->metadata->discoverable = true;
	t->metadata->discovery_version = (char *)n->version;
	t->metadata->cache_serializable = n->serialize;
	return t;
}

static void write_cache(const struct plan_node *n, CoreNodeMetadata *m)
{
	m->cacheable_value_case = CORE_NODE_METADATA_CACHEABLE_VALUE_CACHEABLE;
	m->cacheable = true;
	m->cache_version_value_case = CORE_NODE_METADATA_CACHE_VERSION_VALUE_CACHE_VERSION;
	m->cache_version = (char *)n->version;
	m->cache_serializable_value_case = CORE_NODE_METADATA_CACHE_SERIALIZABLE_VALUE_CACHE_SERIALIZABLE;
	m->cache_serializable = n->serialize;
}

static CoreNode *write_target(const struct writing *w, const struct plan_node *n)
{
	switch (n->kind) {
	case PLAN_ECHO: return node_of_task(w->a, n->id, task_of(w, n, TASK_ECHO));
	case PLAN_NAP: return node_of_task(w->a, n->id, task_of(w, n, TASK_NAP));
	case PLAN_SLEEP: return node_of_sleep(w->a, n->id, n->sleep_us);
	case PLAN_SIGNAL: return node_of_signal(w->a, n->id, n->signal);
	case PLAN_APPROVAL: return node_of_approval(w->a, n->id, n->signal);
	case PLAN_WORKFLOW: return write_workflow(w, n);
	case PLAN_BRANCH: return write_branch(w, n);
	case PLAN_LAUNCH: return node_of_launch_plan(w->a, n->id, "elsewhere");
	case PLAN_CHILD: return node_of_launch_plan(w->a, n->id, n->plan->name);
	case PLAN_ARRAY: return write_array(w, n);
	default: return node_of_task(w->a, n->id, task_of(w, n, TASK_OF_EXECUTOR));
	}
}

/* What the inputs of such a node are called. */
static const char *input_name(const struct plan_node *n, size_t i)
{
	switch (n->kind) {
	case PLAN_WORKFLOW:
	case PLAN_LAUNCH:
	case PLAN_CHILD: return "x";
	case PLAN_BRANCH: return "c";
	case PLAN_APPROVAL: return "o0";
	case PLAN_ARRAY:
		if (n->item->kind == PLAN_LAUNCH || n->item->kind == PLAN_CHILD)
			return "x";
		return i ? "i1" : "i0";
	default: return i ? "i1" : "i0";
	}
}

static CoreNode *write_node(const struct writing *w, const struct plan_node *n)
{
	CoreNode *to = write_target(w, n);

	for (size_t i = 0; i < n->n_in; i++)
		node_bind((struct wf *)&w->wf, to, n->takes_error ? "err" : input_name(n, i), binding(w, &n->in[i]));
	if (n->kind == PLAN_NAP)
		node_bind((struct wf *)&w->wf, to, "i0", constant(w->a, duration_literal(w->a, n->sleep_us)));
	for (size_t i = 0; i < n->n_after; i++)
		node_after((struct wf *)&w->wf, to, n->after[i]->id);
	for (size_t i = 0; i < n->n_named; i++)
		node_after((struct wf *)&w->wf, to, n->named[i]->id);
	if (n->retries)
		node_retries((struct wf *)&w->wf, to, n->retries);
	if (n->version && !n->cached_by_task)
		write_cache(n, to->metadata);
	if (n->timeout_us)
		to->metadata->timeout = pb_duration(w->a, n->timeout_us);
	return to;
}

static void write_plan(const struct writing *w, const struct plan *p)
{
	struct wf *wf = (struct wf *)&w->wf;

	for (size_t i = 0; i < p->nodes.n; i++)
		node_add(wf, write_node(w, p->nodes.at[i]));
	if (p->failure)
		wf->template->failure_node = write_node(w, p->failure);
	for (size_t i = 0; i < p->n_outputs; i++)
		wf_output(wf, arena_printf(w->a, "%s%zu", p->output_prefix, i), binding(w, &p->outputs[i]));
}

CoreCompiledWorkflowClosure *closure_of_plan(struct sim *s, const struct plan *p)
{
	struct str key = {(const char *)&p, sizeof p};
	CoreCompiledWorkflowClosure *known = map_get(s->closures, key);
	CoreTaskTemplate *tasks[N_TASKS];
	size_t n_flows = 0;

	if (known)
		return known;
	struct writing w = {s, s->a, wf_new(s->a), tasks, &n_flows};
	tasks[TASK_OF_EXECUTOR] = wf_task(&w.wf, "python-task", 1, 1);
	tasks[TASK_ECHO] = wf_task(&w.wf, "echo", 1, 1);
	tasks[TASK_NAP] = wf_task(&w.wf, "core-sleep", 1, 0);
	if (p->fail_after)
		w.wf.template->metadata->on_failure =
			CORE_WORKFLOW_METADATA_ON_FAILURE_POLICY_FAIL_AFTER_EXECUTABLE_NODES_COMPLETE;
	write_plan(&w, p);
	map_put(s->closures, key, w.wf.closure);
	return w.wf.closure;
}

/* The nodes of a workflow. */
#include "engine/workflow.h"

#include "engine/building.h"
#include "engine/private.h"
#include "flyte/ids.h"
#include "flyte/overrides.h"
#include "pb/pb.h"

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

/* ---- which nodes there are ---- */

static bool is_sentinel(const CoreNode *n)
{
	return strcmp(n->id, "start-node") == 0 || strcmp(n->id, "end-node") == 0;
}

static const CoreIfElseBlock *if_else(const CoreNode *n)
{
	return n->target_case == CORE_NODE_TARGET_BRANCH_NODE ? n->branch_node->if_else : NULL;
}

/* The nodes that a branch may take; a case without one is left out. */
static size_t cases_of(const CoreIfElseBlock *b, struct arena *a, const CoreIfBlock ***ret)
{
	const CoreIfBlock **all = arena_array(a, const CoreIfBlock *, b->n_other + 1);
	size_t n = 0;

	for (size_t i = 0; i <= b->n_other; i++) {
		const CoreIfBlock *block = i ? b->other[i - 1] : b->case_;
		if (block && block->then_node)
			all[n++] = block;
	}
	*ret = all;
	return n;
}

static const CoreNode *else_node(const CoreIfElseBlock *b)
{
	return b->default_case == CORE_IF_ELSE_BLOCK_DEFAULT_ELSE_NODE ? b->else_node : NULL;
}

static size_t count_nodes(const CoreNode *n)
{
	const CoreIfElseBlock *b = if_else(n);
	size_t count = 1;

	if (!b)
		return count;
	if (b->case_ && b->case_->then_node)
		count += count_nodes(b->case_->then_node);
	for (size_t i = 0; i < b->n_other; i++)
		if (b->other[i]->then_node)
			count += count_nodes(b->other[i]->then_node);
	return count + (else_node(b) ? count_nodes(else_node(b)) : 0);
}

static uint32_t list_node(struct building *b, const CoreNode *n, struct arena *scratch);

/* A branch's nodes come before it; so what it has started is ended first. */
static struct wf_branch *list_branch(struct building *b, const CoreIfElseBlock *from, struct arena *scratch)
{
	struct wf_branch *branch = arena_new_of(b->w->arena, struct wf_branch);
	const CoreIfBlock **blocks;
	size_t n = cases_of(from, scratch, &blocks);
	struct wf_case *cases = arena_array(b->w->arena, struct wf_case, n + 1);

	for (size_t i = 0; i < n; i++) {
		static const CoreBooleanExpression NOTHING = CORE_BOOLEAN_EXPRESSION_INIT;
		cases[i].condition = pb_clone(blocks[i]->condition ? blocks[i]->condition : &NOTHING, b->w->arena);
		cases[i].node = list_node(b, blocks[i]->then_node, scratch);
	}
	if (else_node(from))
		cases[n++].node = list_node(b, else_node(from), scratch);
	else if (from->default_case == CORE_IF_ELSE_BLOCK_DEFAULT_ERROR)
		branch->error = arena_strdup(b->w->arena, from->error->message);
	branch->cases = cases;
	branch->n = (uint32_t)n;
	return branch;
}

static uint32_t list_node(struct building *b, const CoreNode *n, struct arena *scratch)
{
	static const CoreIfElseBlock NO_CASES = CORE_IF_ELSE_BLOCK_INIT;
	bool is_branch = n->target_case == CORE_NODE_TARGET_BRANCH_NODE;
	const CoreIfElseBlock *from = if_else(n);
	const struct wf_branch *branch = is_branch ? list_branch(b, from ? from : &NO_CASES, scratch) : NULL;
	uint32_t i = b->w->n_nodes++;

	b->nodes[i] = n;
	b->w->nodes[i].parent = NO_NODE;
	b->w->nodes[i].branch = branch;
	if (map_put(b->names.index, str_of(n->id), (void *)(uintptr_t)(i + 1)))
		making_fail(b->making, "BadSpecificationError", "two nodes are called [%s]", n->id);
	for (uint32_t k = 0; branch && k < branch->n; k++)
		b->w->nodes[branch->cases[k].node].parent = i;
	return i;
}

static void list_nodes(struct building *b)
{
	auto_free(arena_free) struct arena *scratch = arena_new(0);
	const CoreWorkflowTemplate *t = b->template;
	size_t n = FIRST_TASK_NODE + (t->failure_node ? count_nodes(t->failure_node) : 0);

	for (size_t i = 0; i < t->n_nodes; i++)
		n += count_nodes(t->nodes[i]);
	b->nodes = x_calloc(n, sizeof *b->nodes);
	b->upstream = x_calloc(n, sizeof *b->upstream);
	b->sources = x_calloc(n, sizeof *b->sources);
	b->names = (struct node_names){map_new(), b->nodes};
	map_put(b->names.index, STR("start-node"), (void *)(uintptr_t)(START_NODE + 1));
	map_put(b->names.index, STR("end-node"), (void *)(uintptr_t)(END_NODE + 1));
	b->w->nodes = arena_array(b->w->arena, struct wf_node, n);
	b->w->n_nodes = FIRST_TASK_NODE;
	for (size_t i = 0; i < t->n_nodes; i++)
		if (!is_sentinel(t->nodes[i]))
			list_node(b, t->nodes[i], scratch);
	b->w->first_of_failure = b->w->n_nodes;
	if (t->failure_node)
		b->w->failure_node = list_node(b, t->failure_node, scratch);
}

/* ---- one node ---- */

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

/* The unique id of a branch's node, too, is the same in every execution: a branch has one attempt. */
static void fill_ids(struct workflow *w, uint32_t i, const char *id, const char *name)
{
	struct wf_node *wn = &w->nodes[i];
	bool taken = wn->parent != NO_NODE;
	const char *parts[] = {taken ? w->nodes[wn->parent].event_id.node_id : "", taken ? "0" : "", id};

	wn->id = arena_strdup(w->arena, id);
	wn->name = name && *name ? arena_strdup(w->arena, name) : "";
	wn->event_id = (CoreNodeExecutionIdentifier)CORE_NODE_EXECUTION_IDENTIFIER_INIT;
	wn->event_id.node_id = (char *)flyte_unique_id(w->arena, parts, 3, NODE_UNIQUE_ID_MAX, UNIQUE_ID_FNV32);
}

/* The task as this node runs it. */
static const struct task *overridden(struct building *b, const struct wf_node *wn, const CoreTaskNodeOverrides *o)
{
	struct err err;
	const CoreTaskTemplate *template;

	if (!wn->task)
		return NULL;
	if (task_overridden(wn->task->template, o, b->w->arena, &template, &err) != OK) {
		making_fail(b->making, "WorkflowBuildError", "node [%s]: %s", wn->id, err.text);
		return wn->task;
	}
	if (template == wn->task->template)
		return wn->task;
	struct task *t = arena_dup(b->w->arena, wn->task, sizeof *wn->task);
	t->template = template;
	return t;
}

/* What the node says of the cache comes before what its task says. */
static void fill_cache(struct building *b, uint32_t i)
{
	static const CoreNodeMetadata NOTHING = CORE_NODE_METADATA_INIT;
	static const CoreTaskMetadata NOT_CACHED = CORE_TASK_METADATA_INIT;
	struct wf_node *wn = &b->w->nodes[i];
	const CoreNodeMetadata *m = b->nodes[i]->metadata ? b->nodes[i]->metadata : &NOTHING;
	const CoreTaskMetadata *t = wn->task->template->metadata ? wn->task->template->metadata : &NOT_CACHED;
	bool said = m->cacheable_value_case == CORE_NODE_METADATA_CACHEABLE_VALUE_CACHEABLE;
	bool versioned = m->cache_version_value_case == CORE_NODE_METADATA_CACHE_VERSION_VALUE_CACHE_VERSION;
	bool ordered =
		m->cache_serializable_value_case == CORE_NODE_METADATA_CACHE_SERIALIZABLE_VALUE_CACHE_SERIALIZABLE;

	if (!(said ? m->cacheable : t->discoverable))
		return;
	struct wf_cache *c = arena_new_of(b->w->arena, struct wf_cache);
	c->version = arena_strdup(b->w->arena, versioned ? m->cache_version : t->discovery_version);
	c->serialize = ordered ? m->cache_serializable : t->cache_serializable;
	wn->cache = c;
}

static void fill_task(struct building *b, uint32_t i)
{
	const CoreTaskNode *n = b->nodes[i]->task_node;
	struct wf_node *wn = &b->w->nodes[i];

	wn->kind = KIND_TASK;
	wn->task = map_get(b->making->tasks, str_of(making_id_text(b->w->arena, n->reference_id)));
	wn->task = overridden(b, wn, n->overrides);
	if (!wn->task)
		making_fail(b->making, "BadSpecificationError", "node [%s]: its task is not in the compiled workflow",
			    wn->id);
	else
		fill_from_task(wn);
	if (wn->task)
		fill_cache(b, i);
}

static void fill_branch(struct building *b, uint32_t i)
{
	b->w->nodes[i].kind = KIND_BRANCH;
}

static void fill_workflow(struct building *b, uint32_t i)
{
	const CoreWorkflowNode *n = b->nodes[i]->workflow_node;
	struct wf_node *wn = &b->w->nodes[i];

	if (n->reference_case == CORE_WORKFLOW_NODE_REFERENCE_LAUNCHPLAN_REF) {
		wn->kind = KIND_LAUNCH_PLAN;
		wn->launch_plan = pb_clone(n->launchplan_ref, b->w->arena);
		return;
	}
	if (n->reference_case != CORE_WORKFLOW_NODE_REFERENCE_SUB_WORKFLOW_REF) {
		making_fail(b->making, "BadSpecificationError",
			    "node [%s]: workflow wfNode does not have a subworkflow or child workflow reference",
			    wn->id);
		return;
	}
	wn->kind = KIND_SUBWORKFLOW;
	wn->workflow = map_get(b->making->workflows, str_of(making_id_text(b->w->arena, n->sub_workflow_ref)));
	if (wn->workflow)
		workflow_want(b->making, wn->workflow);
	else
		making_fail(b->making, "BadSpecificationError",
			    "node [%s]: its sub-workflow is not in the compiled workflow", wn->id);
}

static void fill_gate(struct building *b, uint32_t i)
{
	b->w->nodes[i].kind = KIND_GATE;
	b->w->nodes[i].gate = pb_clone(b->nodes[i]->gate_node, b->w->arena);
}

static void fill_array(struct building *b, uint32_t i);

static void (*const FILL[])(struct building *b, uint32_t i) = {
	[CORE_NODE_TARGET_TASK_NODE] = fill_task,     [CORE_NODE_TARGET_WORKFLOW_NODE] = fill_workflow,
	[CORE_NODE_TARGET_BRANCH_NODE] = fill_branch, [CORE_NODE_TARGET_GATE_NODE] = fill_gate,
	[CORE_NODE_TARGET_ARRAY_NODE] = fill_array,
};

static void fill_node(struct building *b, uint32_t i)
{
	const CoreNode *n = b->nodes[i];
	struct wf_node *wn = &b->w->nodes[i];

	fill_ids(b->w, i, n->id, n->metadata ? n->metadata->name : NULL);
	fill_metadata(wn, n->metadata);
	if (n->target_case < ARRAY_SIZE(FILL) && FILL[n->target_case])
		FILL[n->target_case](b, i);
	else
		making_fail(b->making, "BadSpecificationError", "node [%s] has no target", n->id);
}

/* ---- arrays ---- */

static const char *const *copy_names(struct arena *a, char *const *names, size_t n)
{
	const char **copy = arena_array(a, const char *, n);

	for (size_t i = 0; i < n; i++)
		copy[i] = arena_strdup(a, names[i]);
	return copy;
}

/* The node of the items is in no graph: a workflow of its own serves to fill it. */
static void fill_item(struct building *b, const CoreNode *n, struct wf_node *ret)
{
	struct workflow w = {.arena = b->w->arena, .nodes = ret, .n_nodes = 1};
	struct building one = {.making = b->making, .w = &w, .nodes = &n};

	ret->parent = NO_NODE;
	fill_node(&one, 0);
	ret->n_users = 1;
	if (!b->making->c->error && ret->kind != KIND_TASK && ret->kind != KIND_LAUNCH_PLAN)
		making_fail(b->making, "BadSpecificationError",
			    "node [%s]: the items of an array can only be tasks or launch plans", n->id);
}

static void fill_array(struct building *b, uint32_t i)
{
	const CoreArrayNode *n = b->nodes[i]->array_node;
	struct wf_array *a = arena_new_of(b->w->arena, struct wf_array);

	b->w->nodes[i].kind = KIND_ARRAY;
	b->w->nodes[i].array = a;
	if (!n->node) {
		making_fail(b->making, "BadSpecificationError", "node [%s] has no node for its items", b->nodes[i]->id);
		return;
	}
	fill_item(b, n->node, &a->item);
	a->bound = copy_names(b->w->arena, n->bound_inputs, n->n_bound_inputs);
	a->n_bound = n->n_bound_inputs;
	a->parallelism =
		n->parallelism_option_case == CORE_ARRAY_NODE_PARALLELISM_OPTION_PARALLELISM ? n->parallelism : 0;
	a->min_is_set = n->success_criteria_case == CORE_ARRAY_NODE_SUCCESS_CRITERIA_MIN_SUCCESSES;
	a->ratio_is_set = n->success_criteria_case == CORE_ARRAY_NODE_SUCCESS_CRITERIA_MIN_SUCCESS_RATIO;
	a->min_successes = a->min_is_set ? n->min_successes : 0;
	a->min_success_ratio = a->ratio_is_set ? n->min_success_ratio : 0;
	a->single_file = n->data_mode == CORE_ARRAY_NODE_DATA_MODE_SINGLE_INPUT_FILE;
}

static void fill_sentinel(struct workflow *w, uint32_t i, enum node_kind kind, const char *id)
{
	w->nodes[i].kind = kind;
	w->nodes[i].parent = NO_NODE;
	w->nodes[i].interruptible = -1;
	fill_ids(w, i, id, NULL);
}

/* ---- the workflow ---- */

static void free_building(struct building *b)
{
	for (uint32_t i = 0; b->upstream && i < b->w->n_nodes; i++) {
		vec_free(&b->upstream[i]);
		vec_free(&b->sources[i]);
	}
	free(b->upstream);
	free(b->sources);
	free(b->nodes);
	map_free(b->names.index);
}

void workflow_want(struct making *m, struct workflow *w)
{
	if (!w->wanted)
		vec_push(&m->wanted, w);
	w->wanted = true;
}

void workflow_build(struct making *m, struct workflow *w, const CoreWorkflowTemplate *t)
{
	struct building b = {.making = m, .w = w, .template = t};

	w->id = t->id ? pb_clone(t->id, w->arena) : NULL;
	w->interruptible = t->metadata_defaults && t->metadata_defaults->interruptible;
	w->fail_after =
		t->metadata && t->metadata->on_failure ==
				       CORE_WORKFLOW_METADATA_ON_FAILURE_POLICY_FAIL_AFTER_EXECUTABLE_NODES_COMPLETE;
	list_nodes(&b);
	fill_sentinel(w, START_NODE, KIND_START, "start-node");
	fill_sentinel(w, END_NODE, KIND_END, "end-node");
	/* From the end: a branch before its nodes. */
	for (uint32_t i = w->n_nodes; i-- > FIRST_TASK_NODE && !m->c->error;)
		fill_node(&b, i);
	if (!m->c->error)
		graph_build(&b);
	free_building(&b);
}

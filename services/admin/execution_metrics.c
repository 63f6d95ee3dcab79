/* GetExecutionMetrics: where an execution's time went, as a tree of spans. What Flyte itself spends is an operation
 * (NODE_SETUP, TASK_TEARDOWN, …), what runs is the span of a workflow, node or task execution.
 * Source: flyteadmin pkg/manager/impl/metrics_manager.go (v1.16.8). */
#include "flyte/identifier.h"
#include "flyteidl/core/metrics.h"
#include "pb/pb.h"
#include "span_tree.h"
#include "workflow.h"

enum {
	MAX_DEPTH = 80,     /* clients read messages that are nested up to 100 deep */
	MAX_SPANS = 200000, /* of an answer */
};

struct measure {
	struct request *rq;
	size_t spans;
};

/* An execution, or a part of it, that is being measured. */
struct scope {
	struct measure *m;
	const struct span_tree *tree;
	const CoreCompiledWorkflowClosure *closure; /* for its sub-workflows */
	int depth;                                  /* levels below this one that are wanted */
};

/* ---- spans ---- */

static CoreSpan *add_span(struct measure *m, CoreSpan *to, PbTimestamp *start, PbTimestamp *end)
{
	CoreSpan *s = pb_new(m->rq->arena, CORE_SPAN_DESC);

	m->spans++;
	s->start_time = start;
	s->end_time = end;
	if (to)
		*PB_ADD(m->rq->arena, to->spans, to->n_spans) = s;
	return s;
}

static void add_operation(struct measure *m, CoreSpan *to, PbTimestamp *start, PbTimestamp *end, const char *operation)
{
	CoreSpan *s = add_span(m, to, start, end);

	s->id_case = CORE_SPAN_ID_OPERATION_ID;
	s->operation_id = (char *)operation;
}

/* What is left after its last part; nothing when clocks say that the part ended later. */
static void add_rest(struct measure *m, CoreSpan *to, PbTimestamp *start, PbTimestamp *end, const char *operation)
{
	if (pb_timestamp_us(end) >= pb_timestamp_us(start))
		add_operation(m, to, start, end, operation);
}

static bool time_set(const PbTimestamp *t)
{
	return t && (t->seconds || t->nanos);
}

static bool duration_set(const PbDuration *d)
{
	return d && (d->seconds || d->nanos);
}

static PbTimestamp *after(struct arena *a, const PbTimestamp *start, const PbDuration *d)
{
	return pb_timestamp(a, pb_timestamp_us(start) + pb_duration_us(d));
}

/* ---- tasks ---- */

static void measure_task(struct measure *m, CoreSpan *to, AdminTaskExecution *t)
{
	AdminTaskExecutionClosure *c = t->closure;
	CoreSpan *s = add_span(m, to, c->created_at, c->updated_at);

	s->id_case = CORE_SPAN_ID_TASK_ID;
	s->task_id = t->id;
	if (!time_set(c->started_at)) {
		add_operation(m, s, c->created_at, c->updated_at, "TASK_SETUP");
		return;
	}
	add_operation(m, s, c->created_at, c->started_at, "TASK_SETUP");
	if (!duration_set(c->duration)) {
		add_operation(m, s, c->started_at, c->updated_at, "TASK_RUNTIME");
		return;
	}
	PbTimestamp *end = after(m->rq->arena, c->started_at, c->duration);
	add_operation(m, s, c->started_at, end, "TASK_RUNTIME");
	add_rest(m, s, end, c->updated_at, "TASK_TEARDOWN");
}

static void measure_tasks(const struct scope *x, CoreSpan *to, AdminTaskExecution **at, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			add_operation(x->m, to, at[i - 1]->closure->updated_at, at[i]->closure->created_at,
				      "NODE_RESET");
		if (x->depth)
			measure_task(x->m, to, at[i]);
	}
}

/* ---- nodes ---- */

static enum code measure_level(const struct scope *x, const struct level *l, const CoreCompiledWorkflow *w,
			       CoreSpan *to, AdminNodeExecution **ret_last, struct err *err);
static enum code measure_node(const struct scope *x, AdminNodeExecution *n, const CoreNode *node, CoreSpan *to,
			      CoreSpan **ret, struct err *err);
static enum code measure_execution(struct measure *m, const AdminExecution *e, int depth, CoreSpan *to,
				   struct err *err);

static void all_setup(struct measure *m, const AdminNodeExecution *n, CoreSpan *to)
{
	add_operation(m, to, n->closure->created_at, n->closure->updated_at, "NODE_SETUP");
}

static PbTimestamp *start_of(const struct level *l)
{
	const AdminNodeExecution *start = level_get(l, "start-node");

	return start ? start->closure->updated_at : NULL;
}

static enum code measure_task_node(const struct scope *x, AdminNodeExecution *n, CoreSpan *to, struct err *err)
{
	size_t n_tasks;
	AdminTaskExecution **tasks = span_tree_tasks(x->tree, n->id->node_id, &n_tasks);

	(void)err;
	if (n_tasks == 0) {
		all_setup(x->m, n, to);
		return OK;
	}
	add_operation(x->m, to, n->closure->created_at, tasks[0]->closure->created_at, "NODE_SETUP");
	measure_tasks(x, to, tasks, n_tasks);
	add_rest(x->m, to, tasks[n_tasks - 1]->closure->updated_at, n->closure->updated_at, "NODE_TEARDOWN");
	return OK;
}

static enum code dynamic_workflow(const struct scope *x, AdminNodeExecution *n, CoreCompiledWorkflowClosure **ret,
				  struct err *err)
{
	AdminNodeExecutionGetDataRequest in = ADMIN_NODE_EXECUTION_GET_DATA_REQUEST_INIT;
	AdminNodeExecutionGetDataResponse data = ADMIN_NODE_EXECUTION_GET_DATA_RESPONSE_INIT;

	in.id = n->id;
	enum code c = admin_get_node_execution_data(x->m->rq, &in, &data, err);
	*ret = c || !data.dynamic_workflow ? NULL : data.dynamic_workflow->compiled_workflow;
	return c;
}

static enum code measure_dynamic(const struct scope *x, AdminNodeExecution *n, CoreSpan *to, struct err *err)
{
	size_t n_tasks;
	AdminTaskExecution **tasks = span_tree_tasks(x->tree, n->id->node_id, &n_tasks);
	auto_level struct level l = level_new(x->tree, n->id->node_id);
	CoreCompiledWorkflowClosure *closure = NULL;
	AdminNodeExecution *last = NULL;

	if (n_tasks == 0) {
		all_setup(x->m, n, to);
		return OK;
	}
	PbTimestamp *made = tasks[n_tasks - 1]->closure->updated_at;
	add_operation(x->m, to, n->closure->created_at, tasks[0]->closure->created_at, "NODE_SETUP");
	measure_tasks(x, to, tasks, n_tasks);
	if (l.n == 0) {
		add_rest(x->m, to, made, n->closure->updated_at, "NODE_RESET");
		return OK;
	}
	add_operation(x->m, to, made, start_of(&l), "NODE_RESET");
	enum code c = dynamic_workflow(x, n, &closure, err);
	if (c)
		return c;
	struct scope below = *x;
	below.closure = closure;
	c = measure_level(&below, &l, closure ? closure->primary : NULL, to, &last, err);
	if (!c && last)
		add_rest(x->m, to, last->closure->updated_at, n->closure->updated_at, "NODE_TEARDOWN");
	return c;
}

/* The node that a branch took. */
static const CoreNode *taken(const CoreIfElseBlock *b, const char *id)
{
	if (b->case_ && b->case_->then_node && strcmp(b->case_->then_node->id, id) == 0)
		return b->case_->then_node;
	for (size_t i = 0; i < b->n_other; i++)
		if (b->other[i]->then_node && strcmp(b->other[i]->then_node->id, id) == 0)
			return b->other[i]->then_node;
	bool is_else = b->default_case == CORE_IF_ELSE_BLOCK_DEFAULT_ELSE_NODE;
	return is_else && strcmp(b->else_node->id, id) == 0 ? b->else_node : NULL;
}

/* Nodes that it did not take have executions too, which were skipped; Flyte's propeller does not report those. */
static AdminNodeExecution *taken_execution(const struct level *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->at[i]->closure->phase != CORE_NODE_EXECUTION_PHASE_SKIPPED)
			return l->at[i];
	return NULL;
}

static enum code measure_branch(const struct scope *x, AdminNodeExecution *n, const CoreBranchNode *b, CoreSpan *to,
				struct err *err)
{
	auto_level struct level l = level_new(x->tree, n->id->node_id);
	AdminNodeExecution *e = taken_execution(&l);
	CoreSpan *span;

	if (!e) {
		all_setup(x->m, n, to);
		return OK;
	}
	const CoreNode *node = b->if_else ? taken(b->if_else, e->metadata->spec_node_id) : NULL;
	if (!node)
		return err_set(err, INTERNAL, "the branch of node %s has no node %s", n->id->node_id,
			       e->metadata->spec_node_id);
	add_operation(x->m, to, n->closure->created_at, e->closure->created_at, "NODE_SETUP");
	enum code c = measure_node(x, e, node, to, &span, err);
	if (!c)
		add_rest(x->m, to, e->closure->updated_at, n->closure->updated_at, "NODE_TEARDOWN");
	return c;
}

static void measure_gate(const struct scope *x, AdminNodeExecution *n, CoreSpan *to)
{
	AdminNodeExecutionClosure *c = n->closure;

	if (!time_set(c->started_at)) {
		all_setup(x->m, n, to);
		return;
	}
	add_operation(x->m, to, c->created_at, c->started_at, "NODE_SETUP");
	if (!duration_set(c->duration)) {
		add_operation(x->m, to, c->started_at, c->updated_at, "NODE_IDLE");
		return;
	}
	PbTimestamp *end = after(x->m->rq->arena, c->started_at, c->duration);
	add_operation(x->m, to, c->started_at, end, "NODE_IDLE");
	add_operation(x->m, to, end, c->updated_at, "NODE_TEARDOWN");
}

static enum code measure_launch(const struct scope *x, AdminNodeExecution *n, CoreSpan *to, struct err *err)
{
	AdminWorkflowExecutionGetRequest in = ADMIN_WORKFLOW_EXECUTION_GET_REQUEST_INIT;
	AdminExecution *e = pb_new(x->m->rq->arena, ADMIN_EXECUTION_DESC);

	if (n->closure->target_metadata_case != ADMIN_NODE_EXECUTION_CLOSURE_TARGET_METADATA_WORKFLOW_NODE_METADATA) {
		all_setup(x->m, n, to);
		return OK;
	}
	in.id = n->closure->workflow_node_metadata->executionid;
	enum code c = admin_get_execution(x->m->rq, &in, e, err);
	if (c)
		return c;
	add_operation(x->m, to, n->closure->created_at, e->closure->created_at, "NODE_SETUP");
	c = measure_execution(x->m, e, x->depth, to, err);
	if (!c)
		add_rest(x->m, to, e->closure->updated_at, n->closure->updated_at, "NODE_TEARDOWN");
	return c;
}

static const CoreCompiledWorkflow *sub_workflow(const CoreCompiledWorkflowClosure *c, const CoreIdentifier *id)
{
	for (size_t i = 0; c && i < c->n_sub_workflows; i++)
		if (identifier_equal(c->sub_workflows[i]->template_->id, id))
			return c->sub_workflows[i];
	return NULL;
}

static enum code measure_sub_workflow(const struct scope *x, AdminNodeExecution *n, const CoreIdentifier *id,
				      CoreSpan *to, struct err *err)
{
	auto_level struct level l = level_new(x->tree, n->id->node_id);
	AdminNodeExecution *last = NULL;

	if (l.n == 0) {
		all_setup(x->m, n, to);
		return OK;
	}
	add_operation(x->m, to, n->closure->created_at, start_of(&l), "NODE_SETUP");
	enum code c = measure_level(x, &l, sub_workflow(x->closure, id), to, &last, err);
	if (!c && last)
		add_rest(x->m, to, last->closure->updated_at, n->closure->updated_at, "NODE_TEARDOWN");
	return c;
}

static enum code measure_workflow_node(const struct scope *x, AdminNodeExecution *n, const CoreWorkflowNode *w,
				       CoreSpan *to, struct err *err)
{
	if (w->reference_case == CORE_WORKFLOW_NODE_REFERENCE_SUB_WORKFLOW_REF)
		return measure_sub_workflow(x, n, w->sub_workflow_ref, to, err);
	return measure_launch(x, n, to, err);
}

static enum code measure_target(const struct scope *x, AdminNodeExecution *n, const CoreNode *node, CoreSpan *to,
				struct err *err)
{
	switch (node->target_case) {
	case CORE_NODE_TARGET_TASK_NODE:
		return n->metadata->is_parent_node ? measure_dynamic(x, n, to, err) : measure_task_node(x, n, to, err);
	case CORE_NODE_TARGET_WORKFLOW_NODE: return measure_workflow_node(x, n, node->workflow_node, to, err);
	case CORE_NODE_TARGET_BRANCH_NODE: return measure_branch(x, n, node->branch_node, to, err);
	case CORE_NODE_TARGET_GATE_NODE: measure_gate(x, n, to); return OK;
	default: return OK; /* Flyte does not look into arrays */
	}
}

static enum code measure_node(const struct scope *x, AdminNodeExecution *n, const CoreNode *node, CoreSpan *to,
			      CoreSpan **ret, struct err *err)
{
	CoreSpan *s = add_span(x->m, to, n->closure->created_at, n->closure->updated_at);
	struct scope below = *x;

	s->id_case = CORE_SPAN_ID_NODE_ID;
	s->node_id = n->id;
	*ret = s;
	if (x->m->spans > MAX_SPANS)
		return err_set(err, RESOURCE_EXHAUSTED,
			       "the execution has more than %d spans: ask with a smaller depth", MAX_SPANS);
	if (x->depth == 0)
		return OK;
	below.depth--;
	return measure_target(&below, n, node, s, err);
}

/* Before its own spans stands the time between what it waited for and its creation. */
static void add_transition(const struct scope *x, CoreSpan *s, const AdminNodeExecution *upstream,
			   const AdminNodeExecution *n)
{
	if (!upstream)
		return;
	add_operation(x->m, s, upstream->closure->updated_at, n->closure->created_at, "NODE_TRANSITION");
	CoreSpan *transition = s->spans[s->n_spans - 1];
	memmove(s->spans + 1, s->spans, (s->n_spans - 1) * sizeof *s->spans);
	s->spans[0] = transition;
}

static bool is_sentinel(const char *spec_node_id)
{
	return strcmp(spec_node_id, "start-node") == 0 || strcmp(spec_node_id, "end-node") == 0;
}

/* *ret_last: what the workflow's end waited for. */
static enum code measure_level(const struct scope *x, const struct level *l, const CoreCompiledWorkflow *w,
			       CoreSpan *to, AdminNodeExecution **ret_last, struct err *err)
{
	auto_graph struct graph g = graph_new(w);
	enum code c = OK;

	for (size_t i = 0; !c && i < l->n; i++) {
		const char *id = l->at[i]->metadata->spec_node_id;
		const CoreNode *node = graph_node(&g, id);
		CoreSpan *s = NULL;
		if (is_sentinel(id))
			continue;
		if (!node)
			return err_set(err, INTERNAL, "failed to discover workflow node '%s' of node execution %s", id,
				       l->at[i]->id->node_id);
		c = measure_node(x, l->at[i], node, to, &s, err);
		if (!c)
			add_transition(x, s, graph_latest_upstream(&g, l, id), l->at[i]);
	}
	*ret_last = graph_latest_upstream(&g, l, "end-node");
	return c;
}

/* ---- executions ---- */

static enum code measure_nodes(struct measure *m, const AdminExecution *e, int depth, CoreSpan *to, struct err *err)
{
	AdminObjectGetRequest in = ADMIN_OBJECT_GET_REQUEST_INIT;
	AdminWorkflow workflow = ADMIN_WORKFLOW_INIT;
	AdminNodeExecution *last = NULL;
	struct span_tree tree;

	in.id = e->closure->workflow_id;
	enum code c = admin_get_workflow(m->rq, &in, &workflow, err);
	if (!c)
		c = span_tree_load(m->rq, e->id, &tree, err);
	if (c)
		return c;
	auto_level struct level l = level_new(&tree, "");
	PbTimestamp *start = start_of(&l);
	if (!time_set(start)) {
		add_operation(m, to, e->closure->created_at, e->closure->updated_at, "WORKFLOW_SETUP");
		return OK;
	}
	add_operation(m, to, e->closure->created_at, start, "WORKFLOW_SETUP");
	CoreCompiledWorkflowClosure *closure = workflow.closure->compiled_workflow;
	struct scope x = {m, &tree, closure, depth};
	c = measure_level(&x, &l, closure->primary, to, &last, err);
	if (!c && last)
		add_rest(m, to, last->closure->updated_at, e->closure->updated_at, "WORKFLOW_TEARDOWN");
	return c;
}

static enum code measure_execution(struct measure *m, const AdminExecution *e, int depth, CoreSpan *to, struct err *err)
{
	CoreSpan *s = add_span(m, to, e->closure->created_at, e->closure->updated_at);

	s->id_case = CORE_SPAN_ID_WORKFLOW_ID;
	s->workflow_id = e->id;
	return depth ? measure_nodes(m, e, depth - 1, s, err) : OK;
}

static enum code admin_get_execution_metrics(struct request *rq, const AdminWorkflowExecutionGetMetricsRequest *in,
					     AdminWorkflowExecutionGetMetricsResponse *ret, struct err *err)
{
	AdminWorkflowExecutionGetRequest get = ADMIN_WORKFLOW_EXECUTION_GET_REQUEST_INIT;
	AdminExecution *e = pb_new(rq->arena, ADMIN_EXECUTION_DESC);
	int depth = in->depth < 0 || in->depth > MAX_DEPTH ? MAX_DEPTH : in->depth;
	CoreSpan root = CORE_SPAN_INIT;
	struct measure m = {.rq = rq};

	get.id = in->id;
	enum code c = admin_get_execution(rq, &get, e, err);
	if (!c)
		c = measure_execution(&m, e, depth, &root, err);
	if (!c)
		ret->span = root.spans[0];
	return c;
}
API_THUNK(admin_get_execution_metrics)

const struct api_binding admin_execution_metrics_rpcs[] = {
	{"GetExecutionMetrics", admin_get_execution_metrics_api},
	{0},
};

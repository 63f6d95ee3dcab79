/* What a workflow refers to, through branches, arrays and sub-workflows.
 * Source: flytepropeller pkg/compiler/requirements.go, common/index.go, common/id_set.go (v1.16.8). */
#include <stdlib.h>
#include <string.h>

#include "compiler/private.h"
#include "flyte/identifier.h"
#include "pb/pb.h"

struct str id_key(struct program *g, const CoreIdentifier *id)
{
	buf_reset(&g->key);
	buf_printf(&g->key, "%d\n%s\n%s\n%s\n%s\n%s", (int)id->resource_type, id->project, id->domain, id->name,
		   id->version, id->org);
	return buf_str(&g->key);
}

void program_init(struct program *g, struct arena *a)
{
	enum { UNION_STEPS = 1000000, CAST_STEPS = 50000000, COPIES = 5000000 };

	*g = (struct program){.arena = a, .union_steps = UNION_STEPS, .cast_steps = CAST_STEPS, .copies = COPIES};
	g->casts = map_new();
	g->tasks = map_new();
	g->launch_plans = map_new();
	g->sub_workflows = map_new();
}

void program_clear(struct program *g)
{
	clear_interfaces(g);
	map_free(g->casts);
	map_free(g->tasks);
	map_free(g->launch_plans);
	map_free(g->sub_workflows);
	buf_clear(&g->key);
	compile_errors_free(&g->errors);
}

void index_sub_workflows(struct program *g, CoreWorkflowTemplate *const *sub_workflows, size_t n,
			 CoreCompiledWorkflow ***ret)
{
	*ret = arena_array(g->arena, CoreCompiledWorkflow *, n);
	for (size_t i = 0; i < n; i++) {
		CoreWorkflowTemplate *w = sub_workflows[i];
		(*ret)[i] = pb_new(g->arena, CORE_COMPILED_WORKFLOW_DESC);
		(*ret)[i]->template_ = w;
		if (!w->id) {
			compile_error(&g->errors, "ValueRequired", "root", "Value required [SubWorkflow.Template.Id].");
			continue;
		}
		struct entity *e = arena_new_of(g->arena, struct entity), *other;
		e->sub_workflow = (*ret)[i];
		e->number = (uint32_t)i + 1;
		e->interface.next = g->interfaces;
		g->interfaces = &e->interface;
		other = map_put(g->sub_workflows, id_key(g, w->id), e);
		if (other)
			compile_error(&g->errors, "DuplicateId", identifier_text(w->id, g->arena),
				      "Trying to insert two nodes with the same id.");
	}
}

/* ---- gathering ---- */

struct gathering {
	struct program *program;
	struct gathered *ret;
	struct map *seen;
	VEC(struct entity *) queue; /* sub-workflows to look into */
	uint32_t from;              /* the workflow that is being looked into */
};

static void gather_id(struct gathering *g, const CoreIdentifier *id, bool is_task)
{
	/* Kinds are told apart: references of one are not looked up as the other. */
	auto_buf struct buf key = {0};

	buf_addc(&key, is_task ? 't' : 'l');
	buf_add_str(&key, id_key(g->program, id));
	if (map_put(g->seen, buf_str(&key), (void *)id))
		return;
	if (is_task)
		vec_push(&g->ret->tasks, id);
	else
		vec_push(&g->ret->launch_plans, id);
}

static void gather_sub_workflow(struct gathering *g, const CoreNode *n, const CoreIdentifier *id)
{
	struct program *p = g->program;
	struct entity *e = map_get(p->sub_workflows, id_key(p, id));

	if (!e) {
		compile_error(&p->errors, "WorkflowReferenceNotFound", n->id, "Referenced Workflow [%s] not found.",
			      identifier_text(id, p->arena));
		return;
	}
	add_edge(&g->ret->sub_workflows, g->from, e->number);
	if (e->used)
		return;
	e->used = true;
	vec_push(&g->queue, e);
}

static void gather_node(struct gathering *g, const CoreNode *n);

static void gather_branch(struct gathering *g, const CoreIfElseBlock *b)
{
	if (!b)
		return;
	if (b->case_)
		gather_node(g, b->case_->then_node);
	for (size_t i = 0; i < b->n_other; i++)
		gather_node(g, b->other[i]->then_node);
	if (b->default_case == CORE_IF_ELSE_BLOCK_DEFAULT_ELSE_NODE)
		gather_node(g, b->else_node);
}

static void gather_node(struct gathering *g, const CoreNode *n)
{
	if (!n)
		return;
	switch (n->target_case) {
	case CORE_NODE_TARGET_TASK_NODE:
		if (n->task_node->reference_case == CORE_TASK_NODE_REFERENCE_REFERENCE_ID)
			gather_id(g, n->task_node->reference_id, true);
		break;
	case CORE_NODE_TARGET_WORKFLOW_NODE:
		if (n->workflow_node->reference_case == CORE_WORKFLOW_NODE_REFERENCE_LAUNCHPLAN_REF)
			gather_id(g, n->workflow_node->launchplan_ref, false);
		else if (n->workflow_node->reference_case == CORE_WORKFLOW_NODE_REFERENCE_SUB_WORKFLOW_REF)
			gather_sub_workflow(g, n, n->workflow_node->sub_workflow_ref);
		break;
	case CORE_NODE_TARGET_BRANCH_NODE: gather_branch(g, n->branch_node->if_else); break;
	case CORE_NODE_TARGET_ARRAY_NODE: gather_node(g, n->array_node->node); break;
	default: break;
	}
}

static void gather_workflow(struct gathering *g, const CoreWorkflowTemplate *w)
{
	for (size_t i = 0; i < w->n_nodes; i++)
		gather_node(g, w->nodes[i]);
	gather_node(g, w->failure_node);
}

static int by_identifier(const void *x, const void *y)
{
	const CoreIdentifier *a = *(const CoreIdentifier *const *)x, *b = *(const CoreIdentifier *const *)y;
	int order = (int)a->resource_type - (int)b->resource_type;

	order = order ? order : strcmp(a->project, b->project);
	order = order ? order : strcmp(a->domain, b->domain);
	order = order ? order : strcmp(a->name, b->name);
	return order ? order : strcmp(a->version, b->version);
}

void gather(struct program *p, const CoreWorkflowTemplate *w, struct gathered *ret)
{
	struct gathering g = {.program = p, .ret = ret, .seen = map_new()};

	gather_workflow(&g, w);
	while (g.queue.n) {
		struct entity *e = g.queue.at[--g.queue.n];
		g.from = e->number;
		gather_workflow(&g, e->sub_workflow->template_);
	}
	if (ret->tasks.n)
		qsort(ret->tasks.at, ret->tasks.n, sizeof *ret->tasks.at, by_identifier);
	if (ret->launch_plans.n)
		qsort(ret->launch_plans.at, ret->launch_plans.n, sizeof *ret->launch_plans.at, by_identifier);
	vec_free(&g.queue);
	map_free(g.seen);
}

void gathered_free(struct gathered *r)
{
	vec_free(&r->tasks);
	vec_free(&r->launch_plans);
	vec_free(&r->sub_workflows);
}

/* ---- for the caller ---- */

static void take_requirements(const CoreWorkflowTemplate *w, struct program *g, struct requirements *ret)
{
	struct gathered r = {0};

	gather(g, w, &r);
	*ret = (struct requirements){
		.tasks = arena_dup(g->arena, r.tasks.at, r.tasks.n * sizeof *r.tasks.at),
		.n_tasks = r.tasks.n,
		.launch_plans = arena_dup(g->arena, r.launch_plans.at, r.launch_plans.n * sizeof *r.launch_plans.at),
		.n_launch_plans = r.launch_plans.n,
	};
	gathered_free(&r);
}

enum code compile_requirements(const CoreWorkflowTemplate *w, CoreWorkflowTemplate *const *sub_workflows,
			       size_t n_sub_workflows, struct arena *a, struct requirements *ret, struct err *err)
{
	struct program g;
	CoreCompiledWorkflow **unused;

	program_init(&g, a);
	index_sub_workflows(&g, sub_workflows, n_sub_workflows, &unused);
	enum code c = compile_errors_finish(&g.errors, "", err);
	if (!c)
		take_requirements(w, &g, ret);
	program_clear(&g);
	return c;
}

/* A workflow with all that it contains becomes a closure.
 * Source: flytepropeller pkg/compiler/workflow_compiler.go CompileWorkflow (v1.16.8). */
#include "compiler/private.h"
#include "flyte/identifier.h"
#include "pb/pb.h"

/* ---- what it is compiled against ---- */

static struct entity *add_entity(struct program *g, struct map *m, const CoreIdentifier *id)
{
	if (map_get(m, id_key(g, id)))
		return NULL;
	struct entity *e = arena_new_of(g->arena, struct entity);
	e->interface.next = g->interfaces;
	g->interfaces = &e->interface;
	map_put(m, id_key(g, id), e);
	return e;
}

static void index_tasks(struct program *g, const struct compile_input *in, CoreCompiledWorkflowClosure *closure)
{
	for (size_t i = 0; i < in->n_tasks; i++) {
		struct entity *e = add_entity(g, g->tasks, in->tasks[i]->template_->id);
		if (!e)
			continue;
		e->task = in->tasks[i];
		*PB_ADD(g->arena, closure->tasks, closure->n_tasks) = in->tasks[i];
	}
}

static void index_launch_plans(struct program *g, const struct compile_input *in)
{
	for (size_t i = 0; i < in->n_launch_plans; i++) {
		struct entity *e = add_entity(g, g->launch_plans, in->launch_plans[i].id);
		if (e)
			e->launch_plan = &in->launch_plans[i];
	}
}

/* ---- is all there that is referred to? ---- */

struct names {
	const CoreWorkflowTemplate *workflow;
	const struct compile_input *in;
};

static const char *workflow_name(const void *arg, uint32_t i)
{
	const struct names *n = arg;
	const CoreIdentifier *id = i ? n->in->sub_workflows[i - 1]->id : n->workflow->id;

	return id ? id->name : "";
}

static void check_recursion(struct program *g, const struct compile_input *in, struct edges *edges)
{
	struct names names = {in->workflow, in};
	struct graph graph = {(uint32_t)in->n_sub_workflows + 1, edges, workflow_name, &names, 0};
	bool *seen = arena_array(g->arena, bool, graph.n);

	edges_sort(edges);
	graph_walk(&graph, g, seen);
}

static void check_present(struct program *g, const struct map *m, const CoreIdentifier *id, const char *code,
			  const char *what)
{
	if (!map_get(m, id_key(g, id)))
		compile_error(&g->errors, code, START_ID, "Referenced %s [%s] not found.", what,
			      identifier_text(id, g->arena));
}

static void check_requirements(struct program *g, const struct compile_input *in)
{
	struct gathered r = {0};

	gather(g, in->workflow, &r);
	for (size_t i = 0; i < r.launch_plans.n; i++)
		check_present(g, g->launch_plans, r.launch_plans.at[i], "WorkflowReferenceNotFound", "Workflow");
	for (size_t i = 0; i < r.tasks.n; i++)
		check_present(g, g->tasks, r.tasks.at[i], "TaskReferenceNotFound", "Task");
	check_recursion(g, in, &r.sub_workflows);
	gathered_free(&r);
}

/* ---- compiling ---- */

static void compile_all(struct program *g, const struct compile_input *in, CoreCompiledWorkflowClosure *closure)
{
	index_tasks(g, in, closure);
	index_launch_plans(g, in);
	index_sub_workflows(g, in->sub_workflows, in->n_sub_workflows, &closure->sub_workflows);
	closure->n_sub_workflows = in->n_sub_workflows;
	if (compile_errors_count(&g->errors))
		return;
	check_requirements(g, in);
	if (compile_errors_count(&g->errors))
		return;
	compile_template(g, closure->primary);
	for (size_t i = 0; i < in->n_sub_workflows; i++) {
		const struct entity *e = map_get(g->sub_workflows, id_key(g, in->sub_workflows[i]->id));
		if (e->used)
			compile_template(g, closure->sub_workflows[i]);
	}
}

enum code compile_workflow(const struct compile_input *in, struct arena *a, CoreCompiledWorkflowClosure **ret,
			   struct err *err)
{
	CoreCompiledWorkflowClosure *closure = pb_new(a, CORE_COMPILED_WORKFLOW_CLOSURE_DESC);
	struct program g;

	closure->primary = pb_new(a, CORE_COMPILED_WORKFLOW_DESC);
	closure->primary->template_ = in->workflow;
	program_init(&g, a);
	compile_all(&g, in, closure);
	enum code c = compile_errors_finish(&g.errors, "", err);
	program_clear(&g);
	if (!c)
		*ret = closure;
	return c;
}

/* The workflow that a dynamic task made at run time.
 * Source: flytepropeller pkg/controller/nodes/dynamic/dynamic_workflow.go, utils.go (v1.16.8). */
#include "compiler/private.h"
#include "pb/pb.h"

/* Containers' configuration is deprecated, and still handed down. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static void inherit_config(CoreTaskTemplate *t, const CoreTaskTemplate *parent, struct arena *a)
{
	if (t->target_case != CORE_TASK_TEMPLATE_TARGET_CONTAINER ||
	    parent->target_case != CORE_TASK_TEMPLATE_TARGET_CONTAINER)
		return;
	for (size_t i = 0; i < parent->container->n_config; i++)
		*PB_ADD(a, t->container->config, t->container->n_config) = parent->container->config[i];
}

static enum code compile_tasks(const struct dynamic_input *in, struct arena *a, struct compile_input *ret,
			       struct err *err)
{
	CoreDynamicJobSpec *spec = in->spec;
	CoreCompiledTask **tasks = arena_array(a, CoreCompiledTask *, spec->n_tasks);
	enum code c = OK;

	for (size_t i = 0; !c && i < spec->n_tasks; i++) {
		struct compile_errors errors = {0};
		tasks[i] = pb_new(a, CORE_COMPILED_TASK_DESC);
		tasks[i]->template_ = spec->tasks[i];
		inherit_config(spec->tasks[i], in->parent, a);
		compile_task(spec->tasks[i], &errors);
		c = compile_errors_finish(&errors, "[User] failed to compile dynamic tasks, caused by: ", err);
	}
	ret->tasks = tasks;
	ret->n_tasks = spec->n_tasks;
	return c;
}

static CoreWorkflowTemplate *make_template(const struct dynamic_input *in, struct arena *a)
{
	CoreWorkflowTemplate *w = pb_new(a, CORE_WORKFLOW_TEMPLATE_DESC);

	w->id = pb_new(a, CORE_IDENTIFIER_DESC);
	w->id->resource_type = CORE_RESOURCE_TYPE_WORKFLOW;
	w->id->project = (char *)in->project;
	w->id->domain = (char *)in->domain;
	w->id->name = arena_printf(a, "dynamic_%s", in->node_id);
	w->id->version = (char *)in->version;
	w->interface = pb_new(a, CORE_TYPED_INTERFACE_DESC);
	if (in->parent->interface)
		w->interface->outputs = in->parent->interface->outputs;
	w->nodes = in->spec->nodes;
	w->n_nodes = in->spec->n_nodes;
	w->outputs = in->spec->outputs;
	w->n_outputs = in->spec->n_outputs;
	return w;
}

enum code dynamic_requirements(const CoreDynamicJobSpec *spec, struct arena *a, struct requirements *ret,
			       struct err *err)
{
	CoreWorkflowTemplate w = CORE_WORKFLOW_TEMPLATE_INIT;

	w.nodes = spec->nodes;
	w.n_nodes = spec->n_nodes;
	enum code c = compile_requirements(&w, spec->subworkflows, spec->n_subworkflows, a, ret, err);
	return c ? err_prefix(err, c, "[User] failed to Get requirements for subworkflows, caused by: ") : OK;
}

enum code compile_dynamic(const struct dynamic_input *in, struct arena *a, CoreCompiledWorkflowClosure **ret,
			  struct err *err)
{
	struct compile_input input = {
		.workflow = make_template(in, a),
		.sub_workflows = in->spec->subworkflows,
		.n_sub_workflows = in->spec->n_subworkflows,
		.launch_plans = in->launch_plans,
		.n_launch_plans = in->n_launch_plans,
	};
	enum code c = compile_tasks(in, a, &input, err);

	if (c)
		return c;
	c = compile_workflow(&input, a, ret, err);
	return c ? err_prefix(err, c, "[User] malformed dynamic workflow, caused by: ") : OK;
}

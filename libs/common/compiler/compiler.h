/* The workflow compiler: checks templates against the tasks, sub-workflows and launch plans that they refer to, works
 * out their connections, and makes the closure that is stored and run. For workflows that are registered, and for
 * those that dynamic tasks make.
 *
 * Pure: no I/O, no clock; thread-safe; about linear in nodes, bindings and edges. Templates and tasks are changed in
 * place: missing sides of interfaces become empty ones, bindings to a workflow's inputs get the start node's name,
 * upstream ids are sorted, inner nodes of branches get ids "<branch>-<node>", start and end nodes are added. The
 * closure borrows from all that was given, and from the arena.
 *
 * Source: flytepropeller pkg/compiler (v1.16.8): the checks, their codes and texts. Where we differ:
 *   - two nodes of one id are refused (Flyte forgets the second), as are upstream ids that name no node, and
 *     sub-workflows that contain themselves (Flyte's recursion does not end);
 *   - nodes in branches whose ids, "<branch>-<node>", another node has, and timeouts that are no durations are refused
 *     (Flyte registers them, and then can't build the executions: ValueCollision, SyntaxError);
 *   - nodes of branches that wait for their own branch are refused (CycleDetected; Flyte registers them, but what runs
 *     into one finds no outputs or does not end), as are items of arrays that are neither tasks nor launch plans
 *     (InvalidValue; the engine has no others);
 *   - a sub-workflow is compiled once, however many others use it (Flyte compiles it anew for each that does, and
 *     prefixes the ids of its branches' nodes once more each time);
 *   - an array node that says `is_original_sub_node_interface` maps over a task or launch plan which knows nothing of
 *     it: its inputs, but for the bound ones, and its outputs are lifted to collections (elements are optional where
 *     min_success_ratio lets some fail). Flyte's own compiler has the field but does not look at it. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "flyteidl/core/compiler.h"
#include "flyteidl/core/dynamic_job.h"
#include "flyteidl/core/workflow.h"

/* What flyteadmin wants of a task's template. INVALID_ARGUMENT. */
enum code check_task_template(const CoreTaskTemplate *t, struct err *err);

/* Entities that nodes refer to, those of sub-workflows, branches and the failure node included: each once, sorted.
 * They are the caller's to find. */
struct requirements {
	const CoreIdentifier **tasks, **launch_plans;
	size_t n_tasks, n_launch_plans;
};

/* INVALID_ARGUMENT: "Collected Errors: N…" when sub-workflows lack an id or share one. References to sub-workflows
 * that are not there are left to compile_workflow. */
enum code compile_requirements(const CoreWorkflowTemplate *w, CoreWorkflowTemplate *const *sub_workflows,
			       size_t n_sub_workflows, struct arena *a, struct requirements *ret, struct err *err);

/* Of a launch plan the compiler wants what its closure says: expected inputs and outputs. */
struct launch_plan_interface {
	const CoreIdentifier *id;
	const CoreParameterMap *inputs;
	const CoreVariableMap *outputs;
};

struct compile_input {
	CoreWorkflowTemplate *workflow;
	CoreWorkflowTemplate *const *sub_workflows;
	CoreCompiledTask *const *tasks; /* each with template and id; of equal ids the first counts */
	const struct launch_plan_interface *launch_plans;
	size_t n_sub_workflows, n_tasks, n_launch_plans;
};

/* Compile. The closure lists tasks and sub-workflows in the order given; sub-workflows that nothing uses stay without
 * connections. No launch plans are listed, as flyteadmin's closures have none.
 * Errors: INVALID_ARGUMENT "Collected Errors: N…", all of them at once, without anything before it. */
enum code compile_workflow(const struct compile_input *in, struct arena *a, CoreCompiledWorkflowClosure **ret,
			   struct err *err);

/* A dynamic task's futures. */
struct dynamic_input {
	CoreDynamicJobSpec *spec;
	const CoreTaskTemplate *parent; /* the dynamic task: its outputs are the workflow's */
	/* The workflow becomes WORKFLOW project:domain:dynamic_<node_id>:version; all borrowed. Flyte takes a random
	 * version of 10 characters; whoever replays gives the same again. */
	const char *project, *domain, *node_id, *version;
	const struct launch_plan_interface *launch_plans;
	size_t n_launch_plans;
};

/* What compile_dynamic wants of the registry: launch plans (tasks come with the futures). Errors as compile_dynamic. */
enum code dynamic_requirements(const CoreDynamicJobSpec *spec, struct arena *a, struct requirements *ret,
			       struct err *err);

/* Compile the workflow that a dynamic task made. `spec` is changed like any template, and its container tasks inherit
 * the parent's configuration. Node ids stay as they are (Flyte's event version 1 and later).
 * Errors: INVALID_ARGUMENT, the user's: the node fails with DynamicWorkflowBuildFailed and this text.
 * Source: flytepropeller pkg/controller/nodes/dynamic/dynamic_workflow.go (v1.16.8). */
enum code compile_dynamic(const struct dynamic_input *in, struct arena *a, CoreCompiledWorkflowClosure **ret,
			  struct err *err);

/* The workflow and launch plan that run one task, ".flytegen.<task>": made when first asked for.
 * Source: flyteadmin pkg/manager/impl/util/single_task_execution.go (v1.16.8). */
#include <ctype.h>
#include <string.h>

#include "launch_plan.h"
#include "named_entity.h"
#include "pb/pb.h"
#include "workflow.h"

/* Fields that flyteidl calls deprecated, and clients still send. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

enum { MAX_NODE_ID = 63, DEFAULT_RETRIES = 3 };

/* Letters, digits and dashes of the task's name, of its last 63 characters. Flyte counts letters of any script. */
static char *node_name(const char *task, struct arena *a)
{
	auto_buf struct buf b = {0};
	size_t len = strlen(task);

	for (const char *p = task + (len > MAX_NODE_ID ? len - MAX_NODE_ID : 0); *p; p++)
		if (isalnum((unsigned char)*p) || *p == '-' || (unsigned char)*p >= 0x80)
			buf_addc(&b, *p);
	return arena_strdup(a, buf_text(&b));
}

static CoreIdentifier *generated_id(const CoreIdentifier *task, CoreResourceType type, struct arena *a)
{
	CoreIdentifier *id = arena_dup(a, task, sizeof *task);

	id->resource_type = type;
	id->name = arena_printf(a, ".flytegen.%s", task->name);
	return id;
}

/* Each variable bound to the one of that name on `node`. */
static void bind_all(const CoreVariableMap *m, char *node, struct arena *a, CoreBinding ***ret, size_t *ret_n)
{
	for (size_t i = 0; m && i < m->n_variables; i++) {
		CoreBinding *b = pb_new(a, CORE_BINDING_DESC);
		b->var = m->variables[i]->key;
		b->binding = pb_new(a, CORE_BINDING_DATA_DESC);
		b->binding->value_case = CORE_BINDING_DATA_VALUE_PROMISE;
		b->binding->promise = pb_new(a, CORE_OUTPUT_REFERENCE_DESC);
		b->binding->promise->node_id = node;
		b->binding->promise->var = m->variables[i]->key;
		*PB_ADD(a, *ret, *ret_n) = b;
	}
}

static CoreRetryStrategy *retries(const CoreTaskTemplate *task, struct arena *a)
{
	if (task->metadata && task->metadata->retries)
		return task->metadata->retries;
	CoreRetryStrategy *r = pb_new(a, CORE_RETRY_STRATEGY_DESC);
	r->retries = DEFAULT_RETRIES;
	return r;
}

static CoreNode *make_node(const CoreIdentifier *task_id, const CoreTaskTemplate *task, struct arena *a)
{
	CoreNode *n = pb_new(a, CORE_NODE_DESC);

	n->id = node_name(task_id->name, a);
	n->metadata = pb_new(a, CORE_NODE_METADATA_DESC);
	n->metadata->name = n->id;
	n->metadata->retries = retries(task, a);
	n->target_case = CORE_NODE_TARGET_TASK_NODE;
	n->task_node = pb_new(a, CORE_TASK_NODE_DESC);
	n->task_node->reference_case = CORE_TASK_NODE_REFERENCE_REFERENCE_ID;
	n->task_node->reference_id = (CoreIdentifier *)task_id;
	bind_all(task->interface->inputs, "", a, &n->inputs, &n->n_inputs);
	return n;
}

static enum code make_workflow(struct request *rq, struct db *db, const CoreIdentifier *task_id, struct err *err)
{
	struct arena *a = rq->arena;
	struct registered_task task;
	enum code c = registry_task(rq, db, task_id, &task, err);
	if (c)
		return c;

	AdminWorkflowCreateRequest *in = pb_new(a, ADMIN_WORKFLOW_CREATE_REQUEST_DESC);
	in->id = generated_id(task_id, CORE_RESOURCE_TYPE_WORKFLOW, a);
	in->spec = pb_new(a, ADMIN_WORKFLOW_SPEC_DESC);
	CoreWorkflowTemplate *w = in->spec->template_ = pb_new(a, CORE_WORKFLOW_TEMPLATE_DESC);
	w->interface = task.task->template_->interface;
	CoreNode *node = make_node(task_id, task.task->template_, a);
	*PB_ADD(a, w->nodes, w->n_nodes) = node;
	bind_all(w->interface->outputs, node->id, a, &w->outputs, &w->n_outputs);
	c = create_workflow(rq, db, in, err);
	if (c == ALREADY_EXISTS) /* somebody else was faster */
		c = OK;
	return c ? c : name_set_generated(db, in->id, CORE_RESOURCE_TYPE_WORKFLOW, err);
}

static enum code find_workflow(struct request *rq, struct db *db, const CoreIdentifier *task_id,
			       struct registered_workflow *ret, struct err *err)
{
	const CoreIdentifier *id = generated_id(task_id, CORE_RESOURCE_TYPE_WORKFLOW, rq->arena);
	enum code c = registry_workflow(rq, db, id, ret, err);

	if (c != NOT_FOUND)
		return c;
	c = make_workflow(rq, db, task_id, err);
	return c ? c : registry_workflow(rq, db, id, ret, err);
}

/* Its spec names the task where a workflow should stand, as Flyte's does. */
static enum code make_launch_plan(struct request *rq, struct db *db, const CoreIdentifier *task_id, CoreIdentifier *id,
				  const AdminExecutionSpec *spec, struct err *err)
{
	struct arena *a = rq->arena;
	struct registered_workflow workflow;
	enum code c = find_workflow(rq, db, task_id, &workflow, err);
	if (c)
		return c;

	AdminLaunchPlanCreateRequest *in = pb_new(a, ADMIN_LAUNCH_PLAN_CREATE_REQUEST_DESC);
	in->id = id;
	in->spec = pb_new(a, ADMIN_LAUNCH_PLAN_SPEC_DESC);
	in->spec->workflow_id = arena_dup(a, task_id, sizeof *task_id);
	in->spec->workflow_id->resource_type = CORE_RESOURCE_TYPE_WORKFLOW;
	in->spec->entity_metadata = pb_new(a, ADMIN_LAUNCH_PLAN_METADATA_DESC);
	in->spec->fixed_inputs = pb_new(a, CORE_LITERAL_MAP_DESC);
	in->spec->labels = pb_new(a, ADMIN_LABELS_DESC);
	in->spec->annotations = pb_new(a, ADMIN_ANNOTATIONS_DESC);
	if (spec) {
		in->spec->auth_role = spec->auth_role;
		in->spec->security_context = spec->security_context;
	}
	c = create_launch_plan(rq, db, in, &workflow, err);
	/* Another execution may just have made it, with roles of its own. */
	if (c == ALREADY_EXISTS || c == INVALID_ARGUMENT) {
		struct registered_launch_plan made;
		if (!registry_launch_plan(rq, db, id, &made, NULL))
			c = OK;
	}
	return c ? c : name_set_generated(db, id, CORE_RESOURCE_TYPE_LAUNCH_PLAN, err);
}

enum code registry_single_task(struct request *rq, struct db *db, const CoreIdentifier *task_id,
			       const AdminExecutionSpec *spec, struct registered_launch_plan *ret, struct err *err)
{
	CoreIdentifier *id = generated_id(task_id, CORE_RESOURCE_TYPE_LAUNCH_PLAN, rq->arena);
	enum code c = registry_launch_plan(rq, db, id, ret, err);

	if (c != NOT_FOUND)
		return c;
	c = make_launch_plan(rq, db, task_id, id, spec, err);
	return c ? c : registry_launch_plan(rq, db, id, ret, err);
}

/* What CreateTask and ExecuteTaskSync are told.
 * Source: flyteplugins webapi/connector/plugin.go: Create, buildTaskExecutionMetadata (v1.16.8). */
#include "connector.h"

#include "alula/bus.h"
#include "pb/pb.h"
#include "task_spec.h"

static enum code render_args(CoreTaskTemplate *task, const struct attempt *at, struct arena *a, struct err *err)
{
	struct template_values v = task_spec_values(at, a);

	for (size_t i = 0; i < task->container->n_args; i++) {
		enum code c =
			template_render(task->container->args[i], &v, a, (const char **)&task->container->args[i], err);
		if (c)
			return c;
	}
	return OK;
}

static CoreTaskExecutionIdentifier *id_of(const struct attempt *at, struct arena *a)
{
	CoreTaskExecutionIdentifier *id = pb_new(a, CORE_TASK_EXECUTION_IDENTIFIER_DESC);

	id->task_id = at->task->id ? pb_clone(at->task->id, a) : NULL;
	id->retry_attempt = at->attempt;
	id->node_execution_id = pb_new(a, CORE_NODE_EXECUTION_IDENTIFIER_DESC);
	id->node_execution_id->node_id = arena_strdup(a, at->node_unique_id);
	id->node_execution_id->execution_id = pb_clone(at->command->id, a);
	return id;
}

static void add_label(AdminTaskExecutionMetadata *m, struct arena *a, const char *key, const char *value)
{
	AdminTaskExecutionMetadataLabelsEntry *e = pb_new(a, ADMIN_TASK_EXECUTION_METADATA_LABELS_ENTRY_DESC);

	e->key = arena_strdup(a, key);
	e->value = arena_strdup(a, value);
	*PB_ADD(a, m->labels, m->n_labels) = e;
}

static void add_annotation(AdminTaskExecutionMetadata *m, struct arena *a, const char *key, const char *value)
{
	AdminTaskExecutionMetadataAnnotationsEntry *e = pb_new(a, ADMIN_TASK_EXECUTION_METADATA_ANNOTATIONS_ENTRY_DESC);

	e->key = arena_strdup(a, key);
	e->value = arena_strdup(a, value);
	*PB_ADD(a, m->annotations, m->n_annotations) = e;
}

static void add_env(AdminTaskExecutionMetadata *m, struct arena *a, const char *key, const char *value)
{
	AdminTaskExecutionMetadataEnvironmentVariablesEntry *e =
		pb_new(a, ADMIN_TASK_EXECUTION_METADATA_ENVIRONMENT_VARIABLES_ENTRY_DESC);

	e->key = arena_strdup(a, key);
	e->value = arena_strdup(a, value);
	*PB_ADD(a, m->environment_variables, m->n_environment_variables) = e;
}

static AdminTaskExecutionMetadata *metadata_of(const struct attempt *at, struct arena *a)
{
	const AlulaStartExecution *start = at->command->start;
	const CoreIdentity *run_as = start->security_context ? start->security_context->run_as : NULL;
	AdminTaskExecutionMetadata *m = pb_new(a, ADMIN_TASK_EXECUTION_METADATA_DESC);

	m->task_execution_id = id_of(at, a);
	m->namespace_ = arena_printf(a, "%s-%s", at->command->id->project, at->command->id->domain);
	for (size_t i = 0; i < start->n_labels; i++)
		add_label(m, a, start->labels[i]->key, start->labels[i]->value);
	for (size_t i = 0; i < start->n_annotations; i++)
		add_annotation(m, a, start->annotations[i]->key, start->annotations[i]->value);
	for (size_t i = 0; i < start->n_envs; i++)
		add_env(m, a, start->envs[i]->key, start->envs[i]->value);
	m->interruptible = at->interruptible;
	if (run_as) {
		m->identity = pb_clone(run_as, a);
		m->k8s_service_account = arena_strdup(a, run_as->k8s_service_account);
	}
	return m;
}

enum code job_make_request(struct job *j, const struct attempt *at, struct err *err)
{
	struct arena *a = j->request_arena = arena_new(4096);
	AdminCreateTaskRequest *rq = pb_new(a, ADMIN_CREATE_TASK_REQUEST_DESC);

	rq->template_ = pb_clone(at->task, a);
	rq->output_prefix = (char *)j->output_prefix;
	rq->task_execution_metadata = metadata_of(at, a);
	j->request = rq;
	return rq->template_->target_case == CORE_TASK_TEMPLATE_TARGET_CONTAINER
		       ? render_args(rq->template_, at, a, err)
		       : OK;
}

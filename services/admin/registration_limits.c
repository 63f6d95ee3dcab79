#include "registration_limits.h"

#include "flyte/identifier.h"
#include "flyte/resources.h"
#include "pb/pb.h"

enum code limits_check_config(const struct admin_config *config, struct err *err)
{
	struct quantity q;

	if (!*config->workflow_size_limit || quantity_read(config->workflow_size_limit, &q))
		return OK;
	return err_set(err, INVALID_ARGUMENT,
		       "registration.workflowSizeLimit: expected a quantity of bytes such as 500k or 10Mi, not \"%s\"",
		       config->workflow_size_limit);
}

/* As the closure that GetWorkflow answers, but for the time of its creation. */
static enum code check_bytes(const char *limit, const CoreCompiledWorkflowClosure *compiled, struct err *err)
{
	AdminWorkflowClosure closure = ADMIN_WORKFLOW_CLOSURE_INIT;
	struct quantity most;

	if (!*limit || !quantity_read(limit, &most))
		return OK;
	closure.compiled_workflow = (CoreCompiledWorkflowClosure *)compiled;
	if ((__int128)pb_size(&closure) * 1000000000 <= most.nano)
		return OK;
	return err_set(err, INVALID_ARGUMENT, "Workflow closure size exceeds max limit [%s]", limit);
}

enum code limits_check_workflow(const struct admin_config *config, const CoreCompiledWorkflowClosure *closure,
				struct arena *a, struct err *err)
{
	int64_t limit = config->max_workflow_nodes;
	const CoreWorkflowTemplate *w = closure->primary->template_;
	int64_t n = (int64_t)w->n_nodes - 2; /* start and end */
	enum code c = check_bytes(config->workflow_size_limit, closure, err);

	if (c || !limit || n <= limit)
		return c;
	return err_set(err, INVALID_ARGUMENT, "number of nodes in workflow [%s] exceeds limit (%lld > %lld)",
		       identifier_text(w->id, a), (long long)n, (long long)limit);
}

static enum code check_entries(size_t n, int64_t limit, const char *what, struct err *err)
{
	if (!limit || n <= (size_t)limit)
		return OK;
	return err_set(err, INVALID_ARGUMENT, "%s has too many entries [%zu > %lld]", what, n, (long long)limit);
}

enum code limits_check_execution(const struct admin_config *config, const AdminWorkflowExecutionConfig *of,
				 struct err *err)
{
	enum code c = check_entries(of->labels ? of->labels->n_values : 0, config->max_label_entries, "labels", err);

	return c ? c
		 : check_entries(of->annotations ? of->annotations->n_values : 0, config->max_annotation_entries,
				 "annotations", err);
}

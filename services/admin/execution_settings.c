#include "attributes.h"
#include "execution.h"
#include "pb/pb.h"
#include "registration_limits.h"
#include "store/store.h"

/* A map of texts under another message's name: key and value are the same. */
#define COPY_PAIRS(a, start, field, DESC, from)                                                                        \
	for (size_t i_ = 0; (from) && i_ < (from)->n_values; i_++) {                                                   \
		__typeof__(**(start)->field) *entry_ = pb_new((a), (DESC));                                            \
		entry_->key = (from)->values[i_]->key;                                                                 \
		entry_->value = (from)->values[i_]->value;                                                             \
		*PB_ADD((a), (start)->field, (start)->n_##field) = entry_;                                             \
	}

static bool names_somebody(const CoreSecurityContext *c)
{
	const CoreIdentity *who = c ? c->run_as : NULL;

	return who && (*who->k8s_service_account || *who->iam_role || *who->execution_identity);
}

/* ---- who says what: a setting counts where it is made first ---- */

static bool has_prefix(const AdminRawOutputDataConfig *c)
{
	return c && *c->output_location_prefix;
}

#define TAKE_PAIRS(into, from, field)                                                                                  \
	if (!((into)->field && (into)->field->n_values))                                                               \
	(into)->field = (from)->field

static void merge(AdminWorkflowExecutionConfig *into, const AdminWorkflowExecutionConfig *from)
{
	if (into->max_parallelism <= 0)
		into->max_parallelism = from->max_parallelism;
	if (!names_somebody(into->security_context))
		into->security_context = names_somebody(from->security_context) ? from->security_context : NULL;
	if (!has_prefix(into->raw_output_data_config))
		into->raw_output_data_config = from->raw_output_data_config;
	if (!into->interruptible)
		into->interruptible = from->interruptible;
	into->overwrite_cache |= from->overwrite_cache;
	TAKE_PAIRS(into, from, labels);
	TAKE_PAIRS(into, from, annotations);
	TAKE_PAIRS(into, from, envs);
}

#define CONFIG_OF(ret, spec)                                                                                           \
	(ret)->max_parallelism = (spec)->max_parallelism;                                                              \
	(ret)->security_context = (spec)->security_context;                                                            \
	(ret)->raw_output_data_config = (spec)->raw_output_data_config;                                                \
	(ret)->interruptible = (spec)->interruptible;                                                                  \
	(ret)->overwrite_cache = (spec)->overwrite_cache;                                                              \
	(ret)->labels = (spec)->labels;                                                                                \
	(ret)->annotations = (spec)->annotations;                                                                      \
	(ret)->envs = (spec)->envs

static void merge_specs(AdminWorkflowExecutionConfig *into, const AdminExecutionSpec *spec,
			const AdminLaunchPlanSpec *plan)
{
	AdminWorkflowExecutionConfig of_spec = ADMIN_WORKFLOW_EXECUTION_CONFIG_INIT,
				     of_plan = ADMIN_WORKFLOW_EXECUTION_CONFIG_INIT;

	CONFIG_OF(&of_spec, spec);
	CONFIG_OF(&of_plan, plan);
	merge(into, &of_spec);
	merge(into, &of_plan);
}

/* The most specific attributes, and then the project's own: flyteconsole shows those. */
static enum code merge_attributes(struct request *rq, struct db *db, const struct attributes_scope *scope,
				  AdminWorkflowExecutionConfig *into, struct err *err)
{
	const AdminMatchableResource type = ADMIN_MATCHABLE_RESOURCE_WORKFLOW_EXECUTION_CONFIG;
	struct attributes_scope project = {scope->project, "", ""};
	struct attributes_found found = {0}, of_project = {0};
	enum code c = attributes_find(rq, db, type, scope, &found, err);

	if (!c && found.attributes)
		c = attributes_exact(rq, db, type, &project, &of_project, err);
	if (!c && found.attributes)
		merge(into, found.attributes->workflow_execution_config);
	if (!c && of_project.attributes)
		merge(into, of_project.attributes->workflow_execution_config);
	return c;
}

/* Which plugins run which types of tasks here. */
static enum code add_overrides(struct request *rq, struct db *db, const struct attributes_scope *scope,
			       AlulaStartExecution *start, struct err *err)
{
	struct attributes_found found = {0};
	enum code c = attributes_find(rq, db, ADMIN_MATCHABLE_RESOURCE_PLUGIN_OVERRIDE, scope, &found, err);

	if (!c && found.attributes) {
		start->plugin_overrides = found.attributes->plugin_overrides->overrides;
		start->n_plugin_overrides = found.attributes->plugin_overrides->n_overrides;
	}
	return c;
}

/* Roles of older clients: the request's, else the launch plan's newest. */
static CoreIdentity *auth_role(struct arena *a, const AdminExecutionSpec *spec, const AdminLaunchPlanSpec *plan)
{
	CoreIdentity *who = pb_new(a, CORE_IDENTITY_DESC);
	const AdminAuthRole *role = spec->auth_role ? spec->auth_role : plan->auth_role;

	if (role) {
		who->iam_role = role->assumable_iam_role;
		who->k8s_service_account = role->kubernetes_service_account;
	} else if (plan->auth) {
		who->iam_role = plan->auth->assumable_iam_role;
		who->k8s_service_account = plan->auth->kubernetes_service_account;
	} else {
		who->iam_role = plan->role;
	}
	return who;
}

static CoreSecurityContext *security_context(struct arena *a, const AdminExecutionSpec *spec,
					     const AdminLaunchPlanSpec *plan)
{
	CoreSecurityContext *c = pb_new(a, CORE_SECURITY_CONTEXT_DESC);

	c->run_as = auth_role(a, spec, plan);
	return c;
}

/* ---- */

static void fill(struct request *rq, const AdminWorkflowExecutionConfig *config, AlulaStartExecution *start)
{
	const struct admin *admin = admin_of(rq);
	const AdminRawOutputDataConfig *raw = config->raw_output_data_config;

	start->max_parallelism =
		config->max_parallelism > 0 ? config->max_parallelism : (int32_t)admin->config->max_parallelism;
	start->raw_output_prefix = has_prefix(raw) ? raw->output_location_prefix
						   : arena_printf(rq->arena, "%s/raw", store_root(admin->store));
	start->overwrite_cache = config->overwrite_cache;
	start->security_context = config->security_context;
	if (config->interruptible) {
		start->interruptible = pb_new(rq->arena, ALULA_INTERRUPTIBLE_OVERRIDE_DESC);
		start->interruptible->value = config->interruptible->value;
	}
	COPY_PAIRS(rq->arena, start, envs, ALULA_START_EXECUTION_ENVS_ENTRY_DESC, config->envs);
	COPY_PAIRS(rq->arena, start, labels, ALULA_START_EXECUTION_LABELS_ENTRY_DESC, config->labels);
	COPY_PAIRS(rq->arena, start, annotations, ALULA_START_EXECUTION_ANNOTATIONS_ENTRY_DESC, config->annotations);
}

static bool has_label(const AlulaStartExecution *start, const char *key)
{
	for (size_t i = 0; i < start->n_labels; i++)
		if (strcmp(start->labels[i]->key, key) == 0)
			return true;
	return false;
}

static void add_labels(struct arena *a, const AdminLabels *labels, AlulaStartExecution *start)
{
	for (size_t i = 0; labels && i < labels->n_values; i++) {
		if (has_label(start, labels->values[i]->key))
			continue;
		__typeof__(**start->labels) *entry = pb_new(a, ALULA_START_EXECUTION_LABELS_ENTRY_DESC);
		entry->key = labels->values[i]->key;
		entry->value = labels->values[i]->value;
		*PB_ADD(a, start->labels, start->n_labels) = entry;
	}
}

enum code execution_settings(struct request *rq, struct db *db, const AdminExecutionSpec *spec,
			     const AdminLaunchPlanSpec *plan, const struct execution_project *project,
			     const struct attributes_scope *scope, AlulaStartExecution *start, struct err *err)
{
	AdminWorkflowExecutionConfig config = ADMIN_WORKFLOW_EXECUTION_CONFIG_INIT;
	enum code c = OK;

	merge_specs(&config, spec, plan);
	if (project->has_attributes)
		c = merge_attributes(rq, db, scope, &config, err);
	if (!c)
		c = limits_check_execution(admin_of(rq)->config, &config, err);
	if (!c && project->has_attributes)
		c = add_overrides(rq, db, scope, start, err);
	if (c)
		return c;
	if (!config.security_context)
		config.security_context = security_context(rq->arena, spec, plan);
	fill(rq, &config, start);
	add_labels(rq->arena, project->labels, start);
	return OK;
}

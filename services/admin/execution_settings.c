#include "execution.h"
#include "pb/pb.h"
#include "store/store.h"

/* A map of texts under another message's name: key and value are the same. */
#define COPY_PAIRS(a, start, field, DESC, from)                                                                        \
	for (size_t i_ = 0; (from) && i_ < (from)->n_values; i_++) {                                                   \
		__typeof__(**(start)->field) *entry_ = pb_new((a), (DESC));                                            \
		entry_->key = (from)->values[i_]->key;                                                                 \
		entry_->value = (from)->values[i_]->value;                                                             \
		*PB_ADD((a), (start)->field, (start)->n_##field) = entry_;                                             \
	}

/* The request's map, or if that is empty the launch plan's. */
#define FIRST_PAIRS(one, other) ((one) && (one)->n_values ? (one) : (other))

static void set_maps(struct arena *a, const AdminExecutionSpec *spec, const AdminLaunchPlanSpec *plan,
		     AlulaStartExecution *start)
{
	/* Envs hold key-value pairs, the others maps. */
	const AdminEnvs *envs = FIRST_PAIRS(spec->envs, plan->envs);
	const AdminLabels *labels = FIRST_PAIRS(spec->labels, plan->labels);
	const AdminAnnotations *annotations = FIRST_PAIRS(spec->annotations, plan->annotations);

	COPY_PAIRS(a, start, envs, ALULA_START_EXECUTION_ENVS_ENTRY_DESC, envs);
	COPY_PAIRS(a, start, labels, ALULA_START_EXECUTION_LABELS_ENTRY_DESC, labels);
	COPY_PAIRS(a, start, annotations, ALULA_START_EXECUTION_ANNOTATIONS_ENTRY_DESC, annotations);
}

static bool names_somebody(const CoreSecurityContext *c)
{
	const CoreIdentity *who = c ? c->run_as : NULL;

	return who && (*who->k8s_service_account || *who->iam_role || *who->execution_identity);
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
	if (names_somebody(spec->security_context))
		return spec->security_context;
	if (names_somebody(plan->security_context))
		return plan->security_context;
	CoreSecurityContext *c = pb_new(a, CORE_SECURITY_CONTEXT_DESC);
	c->run_as = auth_role(a, spec, plan);
	return c;
}

static char *raw_output_prefix(struct request *rq, const AdminExecutionSpec *spec, const AdminLaunchPlanSpec *plan)
{
	const AdminRawOutputDataConfig *of_spec = spec->raw_output_data_config, *of_plan = plan->raw_output_data_config;

	if (of_spec && *of_spec->output_location_prefix)
		return of_spec->output_location_prefix;
	if (of_plan && *of_plan->output_location_prefix)
		return of_plan->output_location_prefix;
	return arena_printf(rq->arena, "%s/raw", store_root(admin_of(rq)->store));
}

void execution_settings(struct request *rq, const AdminExecutionSpec *spec, const AdminLaunchPlanSpec *plan,
			AlulaStartExecution *start)
{
	const PbBoolValue *interruptible = spec->interruptible ? spec->interruptible : plan->interruptible;
	int64_t parallelism = spec->max_parallelism > 0 ? spec->max_parallelism : plan->max_parallelism;

	start->max_parallelism = (int32_t)(parallelism > 0 ? parallelism : admin_of(rq)->config->max_parallelism);
	start->raw_output_prefix = raw_output_prefix(rq, spec, plan);
	start->overwrite_cache = spec->overwrite_cache || plan->overwrite_cache;
	start->security_context = security_context(rq->arena, spec, plan);
	if (interruptible) {
		start->interruptible = pb_new(rq->arena, ALULA_INTERRUPTIBLE_OVERRIDE_DESC);
		start->interruptible->value = interruptible->value;
	}
	set_maps(rq->arena, spec, plan, start);
}

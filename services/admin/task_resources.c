#include "task_resources.h"

#include "flyte/pod.h"
#include "flyte/resources.h"
#include "pb/pb.h"

static AdminTaskResourceSpec *spec_of(const struct resource_config *config, struct arena *a)
{
	AdminTaskResourceSpec *spec = pb_new(a, ADMIN_TASK_RESOURCE_SPEC_DESC);

	spec->cpu = (char *)config->cpu;
	spec->gpu = (char *)config->gpu;
	spec->memory = (char *)config->memory;
	spec->ephemeral_storage = (char *)config->ephemeral_storage;
	return spec;
}

enum code task_resources_of(struct request *rq, struct db *db, const struct attributes_scope *scope,
			    bool has_attributes, AdminTaskResourceAttributes **ret, struct err *err)
{
	const struct admin_config *config = admin_of(rq)->config;
	struct attributes_found found = {0};
	enum code c = has_attributes
			      ? attributes_find(rq, db, ADMIN_MATCHABLE_RESOURCE_TASK_RESOURCE, scope, &found, err)
			      : OK;

	if (c)
		return c;
	if (found.attributes && found.attributes->task_resource_attributes) {
		*ret = found.attributes->task_resource_attributes;
		return OK;
	}
	*ret = pb_new(rq->arena, ADMIN_TASK_RESOURCE_ATTRIBUTES_DESC);
	(*ret)->defaults = spec_of(&config->resource_defaults, rq->arena);
	(*ret)->limits = spec_of(&config->resource_limits, rq->arena);
	return OK;
}

/* What its containers ask for. */
static CoreResources **asked_by(const CoreTaskTemplate *task, struct arena *a, size_t *ret_n)
{
	CoreResources *none = NULL;
	CoreResources **own =
		task->target_case == CORE_TASK_TEMPLATE_TARGET_CONTAINER ? &task->container->resources : &none;

	if (task->target_case == CORE_TASK_TEMPLATE_TARGET_K8S_POD)
		return pod_resources(task->k8s_pod->pod_spec, a, ret_n);
	*ret_n = *own && ((*own)->n_requests || (*own)->n_limits);
	return arena_dup(a, own, sizeof(CoreResources *));
}

enum code task_resources_check(struct request *rq, struct db *db, const CoreIdentifier *id,
			       const CoreTaskTemplate *task, struct err *err)
{
	struct attributes_scope scope = {id->project, id->domain, ""};
	AdminTaskResourceAttributes *platform = NULL;
	size_t n;
	CoreResources **asked = asked_by(task, rq->arena, &n);

	if (!n)
		return OK;
	enum code c = task_resources_of(rq, db, &scope, true, &platform, err);
	struct platform_resources of = {platform ? platform->defaults : NULL, platform ? platform->limits : NULL};
	for (size_t i = 0; !c && i < n; i++)
		c = resources_check(id, asked[i], &of, rq->arena, err);
	return c;
}

static enum code check_one(const char *which, const char *key, const char *text, struct err *err)
{
	struct quantity q;

	if (!*text || quantity_read(text, &q))
		return OK;
	return err_set(err, INVALID_ARGUMENT,
		       "task_resources.%s.%s: expected a quantity such as 500m or 1Gi, not \"%s\"", which, key, text);
}

enum code task_resources_check_config(const struct admin_config *config, struct err *err)
{
	const struct {
		const char *name;
		const struct resource_config *of;
	} sets[] = {{"defaults", &config->resource_defaults}, {"limits", &config->resource_limits}};
	enum code c = OK;

	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		c = check_one(sets[i].name, "cpu", sets[i].of->cpu, err);
		if (!c)
			c = check_one(sets[i].name, "gpu", sets[i].of->gpu, err);
		if (!c)
			c = check_one(sets[i].name, "memory", sets[i].of->memory, err);
		if (!c)
			c = check_one(sets[i].name, "ephemeralStorage", sets[i].of->ephemeral_storage, err);
		if (c)
			return c;
	}
	return OK;
}

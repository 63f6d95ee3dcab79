#include "flyte/pod.h"

#include <stdio.h>

#include "base/base.h"
#include "flyte/resources.h"
#include "pb/pb.h"

#define PRIMARY "primary_container_name"
#define GPU     "nvidia.com/gpu"

/* ---- JSON ---- */

const PbValue *struct_field(const PbStruct *s, const char *name)
{
	for (size_t i = 0; s && i < s->n_fields; i++)
		if (strcmp(s->fields[i]->key, name) == 0)
			return s->fields[i]->value;
	return NULL;
}

static const PbStruct *as_struct(const PbValue *v)
{
	return v && v->kind_case == PB_VALUE_KIND_STRUCT_VALUE ? v->struct_value : NULL;
}

static const PbListValue *as_list(const PbValue *v)
{
	return v && v->kind_case == PB_VALUE_KIND_LIST_VALUE ? v->list_value : NULL;
}

static const char *as_text(const PbValue *v, struct arena *a)
{
	if (v && v->kind_case == PB_VALUE_KIND_STRING_VALUE)
		return v->string_value;
	return v && v->kind_case == PB_VALUE_KIND_NUMBER_VALUE ? arena_printf(a, "%.15g", v->number_value) : NULL;
}

static char **texts(const PbListValue *l, struct arena *a, size_t *ret_n)
{
	char **ret = arena_array(a, char *, l ? l->n_values : 0);

	*ret_n = 0;
	for (size_t i = 0; l && i < l->n_values; i++) {
		const char *text = as_text(l->values[i], a);
		if (text)
			ret[(*ret_n)++] = (char *)text;
	}
	return ret;
}

/* ---- one container ---- */

static void add_env(const PbListValue *l, struct arena *a, CoreContainer *c)
{
	for (size_t i = 0; l && i < l->n_values; i++) {
		const PbStruct *pair = as_struct(l->values[i]);
		const char *name = as_text(struct_field(pair, "name"), a),
			   *value = as_text(struct_field(pair, "value"), a);
		/* Values from config maps and the like are of another world. */
		if (!name || struct_field(pair, "valueFrom"))
			continue;
		CoreKeyValuePair *p = pb_new(a, CORE_KEY_VALUE_PAIR_DESC);
		p->key = (char *)name;
		p->value = (char *)(value ? value : "");
		*PB_ADD(a, c->env, c->n_env) = p;
	}
}

static const struct {
	const char *name;
	CoreResourcesResourceName kind;
} RESOURCES[] = {
	{"cpu", CORE_RESOURCES_RESOURCE_NAME_CPU},
	{"memory", CORE_RESOURCES_RESOURCE_NAME_MEMORY},
	{"ephemeral-storage", CORE_RESOURCES_RESOURCE_NAME_EPHEMERAL_STORAGE},
	{GPU, CORE_RESOURCES_RESOURCE_NAME_GPU},
};

const char *pod_resource_name(CoreResourcesResourceName kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(RESOURCES); i++)
		if (RESOURCES[i].kind == kind)
			return RESOURCES[i].name;
	return NULL;
}

/* `gpu` is what it is called. */
static CoreResourcesResourceEntry **entries(const PbStruct *s, const char *gpu, struct arena *a, size_t *ret_n)
{
	CoreResourcesResourceEntry **ret = arena_array(a, CoreResourcesResourceEntry *, ARRAY_SIZE(RESOURCES));

	*ret_n = 0;
	for (size_t i = 0; i < ARRAY_SIZE(RESOURCES); i++) {
		bool is_gpu = RESOURCES[i].kind == CORE_RESOURCES_RESOURCE_NAME_GPU;
		const char *value = as_text(struct_field(s, is_gpu ? gpu : RESOURCES[i].name), a);
		if (!value)
			continue;
		CoreResourcesResourceEntry *e = pb_new(a, CORE_RESOURCES_RESOURCE_ENTRY_DESC);
		e->name = RESOURCES[i].kind;
		e->value = (char *)value;
		ret[(*ret_n)++] = e;
	}
	return ret;
}

static CoreResources *resources_of(const PbStruct *container, const char *gpu, struct arena *a)
{
	const PbStruct *s = as_struct(struct_field(container, "resources"));
	CoreResources *ret = s ? pb_new(a, CORE_RESOURCES_DESC) : NULL;

	if (!s)
		return NULL;
	ret->requests = entries(as_struct(struct_field(s, "requests")), gpu, a, &ret->n_requests);
	ret->limits = entries(as_struct(struct_field(s, "limits")), gpu, a, &ret->n_limits);
	return ret;
}

static CoreContainer *convert(const PbStruct *s, struct arena *a)
{
	CoreContainer *c = pb_new(a, CORE_CONTAINER_DESC);
	const char *image = as_text(struct_field(s, "image"), a);

	c->image = (char *)(image ? image : "");
	c->command = texts(as_list(struct_field(s, "command")), a, &c->n_command);
	c->args = texts(as_list(struct_field(s, "args")), a, &c->n_args);
	add_env(as_list(struct_field(s, "env")), a, c);
	c->resources = resources_of(s, GPU, a);
	return c;
}

/* ---- the task ---- */

static CoreTaskTemplateConfigEntry *primary_entry(const CoreTaskTemplate *task)
{
	for (size_t i = 0; i < task->n_config; i++)
		if (strcmp(task->config[i]->key, PRIMARY) == 0)
			return task->config[i];
	return NULL;
}

const char *pod_primary_name(const CoreTaskTemplate *task)
{
	const CoreTaskTemplateConfigEntry *e = primary_entry(task);

	if (e)
		return e->value;
	return *task->k8s_pod->primary_container_name ? task->k8s_pod->primary_container_name : NULL;
}

void pod_set_primary_name(CoreTaskTemplate *task, const char *name, struct arena *a)
{
	CoreTaskTemplateConfigEntry *e = primary_entry(task);

	if (!e) {
		e = pb_new(a, CORE_TASK_TEMPLATE_CONFIG_ENTRY_DESC);
		e->key = PRIMARY;
		*PB_ADD(a, task->config, task->n_config) = e;
	}
	e->value = arena_strdup(a, name);
}

PbStruct *pod_find_container(const PbStruct *pod_spec, const char *name)
{
	const PbListValue *all = as_list(struct_field(pod_spec, "containers"));

	for (size_t i = 0; all && i < all->n_values; i++) {
		const PbStruct *s = as_struct(all->values[i]);
		const PbValue *own = struct_field(s, "name");
		if (own && own->kind_case == PB_VALUE_KIND_STRING_VALUE && strcmp(own->string_value, name) == 0)
			return (PbStruct *)s;
	}
	return NULL;
}

/* ---- checks ---- */

static enum code check_list(const PbStruct *container, const char *list, struct err *err)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	const PbStruct *s = as_struct(struct_field(as_struct(struct_field(container, "resources")), list));

	for (size_t i = 0; s && i < s->n_fields; i++) {
		const PbValue *v = s->fields[i]->value;
		const char *text = as_text(v, a), *name = as_text(struct_field(container, "name"), a);
		/* As Kubernetes reads JSON: nothing, and no text, are none. */
		if (!v || v->kind_case == PB_VALUE_KIND_NULL_VALUE || (text && (!*text || is_quantity(text))))
			continue;
		return err_set(err, INVALID_ARGUMENT,
			       "container [%s]: resources.%s.%s is \"%s\": " QUANTITY_RULE
			       ". Please follow K8s conventions for resources "
			       "https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/",
			       name ? name : "", list, s->fields[i]->key, text ? text : "no text or number");
	}
	return OK;
}

enum code pod_check_quantities(const PbStruct *pod_spec, struct err *err)
{
	static const char *const LISTS[] = {"initContainers", "containers"};
	enum code c = OK;

	for (size_t k = 0; k < ARRAY_SIZE(LISTS); k++) {
		const PbListValue *all = as_list(struct_field(pod_spec, LISTS[k]));
		for (size_t i = 0; !c && all && i < all->n_values; i++) {
			c = check_list(as_struct(all->values[i]), "requests", err);
			if (!c)
				c = check_list(as_struct(all->values[i]), "limits", err);
		}
	}
	return c;
}

CoreResources **pod_resources(const PbStruct *pod_spec, struct arena *a, size_t *ret_n)
{
	const PbListValue *all = as_list(struct_field(pod_spec, "containers"));
	CoreResources **ret = arena_array(a, CoreResources *, all ? all->n_values : 0);

	*ret_n = 0;
	for (size_t i = 0; all && i < all->n_values; i++) {
		CoreResources *r = resources_of(as_struct(all->values[i]), "gpu", a);
		if (r)
			ret[(*ret_n)++] = r;
	}
	return ret;
}

/* ---- what runs ---- */

static enum code pod_container(const CoreTaskTemplate *task, struct arena *a, const CoreContainer **ret,
			       struct err *err)
{
	const CoreK8sPod *pod = task->k8s_pod;
	const char *name = pod_primary_name(task);

	if (!pod->pod_spec)
		return err_set(
			err, INVALID_ARGUMENT,
			"Pod tasks with task type version > 1 should specify their target as a K8sPod with a defined "
			"pod spec");
	if (!name)
		return err_set(err, INVALID_ARGUMENT, "invalid TaskSpecification, config missing [%s] key", PRIMARY);
	const PbStruct *s = pod_find_container(pod->pod_spec, name);
	if (!s)
		return err_set(err, INVALID_ARGUMENT, "invalid TaskSpecification, primary container [%s] not defined",
			       name);
	CoreContainer *c = convert(s, a);
	c->data_config = pod->data_config;
	*ret = c;
	return OK;
}

enum code task_container(const CoreTaskTemplate *task, struct arena *a, const CoreContainer **ret, struct err *err)
{
	if (task->target_case == CORE_TASK_TEMPLATE_TARGET_K8S_POD)
		return pod_container(task, a, ret, err);
	if (task->target_case != CORE_TASK_TEMPLATE_TARGET_CONTAINER)
		return err_set(err, INVALID_ARGUMENT,
			       "task type '%s' of %s is no container: only container tasks run as local processes",
			       task->type, task->id ? task->id->name : "?");
	*ret = task->container;
	return OK;
}

#include "flyte/pod.h"

#include <stdio.h>

#include "base/base.h"
#include "google/protobuf/struct.h"
#include "pb/pb.h"

#define PRIMARY "primary_container_name"

/* ---- JSON ---- */

static const PbValue *field(const PbStruct *s, const char *name)
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
		const char *name = as_text(field(pair, "name"), a), *value = as_text(field(pair, "value"), a);
		/* Values from config maps and the like are of another world. */
		if (!name || field(pair, "valueFrom"))
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
	{"nvidia.com/gpu", CORE_RESOURCES_RESOURCE_NAME_GPU},
};

static CoreResourcesResourceEntry **entries(const PbStruct *s, struct arena *a, size_t *ret_n)
{
	CoreResourcesResourceEntry **ret = arena_array(a, CoreResourcesResourceEntry *, ARRAY_SIZE(RESOURCES));

	*ret_n = 0;
	for (size_t i = 0; i < ARRAY_SIZE(RESOURCES); i++) {
		const char *value = as_text(field(s, RESOURCES[i].name), a);
		if (!value)
			continue;
		CoreResourcesResourceEntry *e = pb_new(a, CORE_RESOURCES_RESOURCE_ENTRY_DESC);
		e->name = RESOURCES[i].kind;
		e->value = (char *)value;
		ret[(*ret_n)++] = e;
	}
	return ret;
}

static CoreContainer *convert(const PbStruct *s, struct arena *a)
{
	CoreContainer *c = pb_new(a, CORE_CONTAINER_DESC);
	const PbStruct *resources = as_struct(field(s, "resources"));
	const char *image = as_text(field(s, "image"), a);

	c->image = (char *)(image ? image : "");
	c->command = texts(as_list(field(s, "command")), a, &c->n_command);
	c->args = texts(as_list(field(s, "args")), a, &c->n_args);
	add_env(as_list(field(s, "env")), a, c);
	if (resources) {
		c->resources = pb_new(a, CORE_RESOURCES_DESC);
		c->resources->requests = entries(as_struct(field(resources, "requests")), a, &c->resources->n_requests);
		c->resources->limits = entries(as_struct(field(resources, "limits")), a, &c->resources->n_limits);
	}
	return c;
}

/* ---- the task ---- */

static const char *primary_name(const CoreTaskTemplate *task)
{
	for (size_t i = 0; i < task->n_config; i++)
		if (strcmp(task->config[i]->key, PRIMARY) == 0)
			return task->config[i]->value;
	return *task->k8s_pod->primary_container_name ? task->k8s_pod->primary_container_name : NULL;
}

static enum code pod_container(const CoreTaskTemplate *task, struct arena *a, const CoreContainer **ret,
			       struct err *err)
{
	const CoreK8sPod *pod = task->k8s_pod;
	const char *name = primary_name(task);

	if (!pod->pod_spec)
		return err_set(
			err, INVALID_ARGUMENT,
			"Pod tasks with task type version > 1 should specify their target as a K8sPod with a defined "
			"pod spec");
	if (!name)
		return err_set(err, INVALID_ARGUMENT, "invalid TaskSpecification, config missing [%s] key", PRIMARY);
	const PbListValue *all = as_list(field(pod->pod_spec, "containers"));
	for (size_t i = 0; all && i < all->n_values; i++) {
		const PbStruct *s = as_struct(all->values[i]);
		const char *own = as_text(field(s, "name"), a);
		if (!own || strcmp(own, name) != 0)
			continue;
		CoreContainer *c = convert(s, a);
		c->data_config = pod->data_config;
		*ret = c;
		return OK;
	}
	return err_set(err, INVALID_ARGUMENT, "invalid TaskSpecification, primary container [%s] not defined", name);
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

#include "flyte/overrides.h"

#include "base/base.h"
#include "flyte/pod.h"
#include "flyte/resources.h"
#include "google/protobuf/struct.h"
#include "pb/pb.h"

/* ---- resources ---- */

static enum code check_quantities(CoreResourcesResourceEntry *const *entries, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (!is_quantity(entries[i]->value))
			return err_set(err, INVALID_ARGUMENT,
				       "Failed to parse resource as a valid quantity.: " QUANTITY_RULE ", not \"%s\"",
				       entries[i]->value);
	return OK;
}

static bool asks(const CoreResourcesResourceEntry *e)
{
	struct quantity q;

	return quantity_read(e->value, &q) && q.nano != 0;
}

static void merge_entries(CoreResourcesResourceEntry *const *from, size_t n, CoreResourcesResourceEntry ***to,
			  size_t *n_to, struct arena *a)
{
	for (size_t i = 0; i < n; i++) {
		size_t at = 0;
		if (!asks(from[i]))
			continue;
		while (at < *n_to && (*to)[at]->name != from[i]->name)
			at++;
		CoreResourcesResourceEntry *e = pb_clone(from[i], a);
		if (at < *n_to)
			(*to)[at] = e;
		else
			*PB_ADD(a, *to, *n_to) = e;
	}
}

static void merge_container(CoreContainer *c, const CoreResources *from, struct arena *a)
{
	if (!c->resources)
		c->resources = pb_new(a, CORE_RESOURCES_DESC);
	merge_entries(from->requests, from->n_requests, &c->resources->requests, &c->resources->n_requests, a);
	merge_entries(from->limits, from->n_limits, &c->resources->limits, &c->resources->n_limits, a);
}

/* ---- pods ---- */

static PbValue *set_field(PbStruct *s, const char *name, struct arena *a)
{
	PbStructFieldsEntry *entry = NULL;

	for (size_t i = 0; i < s->n_fields && !entry; i++)
		if (strcmp(s->fields[i]->key, name) == 0)
			entry = s->fields[i];
	if (!entry) {
		entry = pb_new(a, PB_STRUCT_FIELDS_ENTRY_DESC);
		entry->key = (char *)name;
		*PB_ADD(a, s->fields, s->n_fields) = entry;
	}
	if (!entry->value)
		entry->value = pb_new(a, PB_VALUE_DESC);
	return entry->value;
}

static void set_text(PbStruct *s, const char *name, const char *text, struct arena *a)
{
	PbValue *v = set_field(s, name, a);

	v->kind_case = PB_VALUE_KIND_STRING_VALUE;
	v->string_value = arena_strdup(a, text);
}

/* The object of that name, made if there is none. */
static PbStruct *set_object(PbStruct *s, const char *name, struct arena *a)
{
	PbValue *v = set_field(s, name, a);

	if (v->kind_case != PB_VALUE_KIND_STRUCT_VALUE) {
		v->kind_case = PB_VALUE_KIND_STRUCT_VALUE;
		v->struct_value = pb_new(a, PB_STRUCT_DESC);
	}
	return v->struct_value;
}

static void merge_list(PbStruct *resources, const char *list, CoreResourcesResourceEntry *const *from, size_t n,
		       struct arena *a)
{
	for (size_t i = 0; i < n; i++) {
		const char *name = pod_resource_name(from[i]->name);
		if (name && asks(from[i]))
			set_text(set_object(resources, list, a), name, from[i]->value, a);
	}
}

/* A primary container that is not there is told of when the pod is to run. */
static void override_pod(CoreTaskTemplate *task, const CoreTaskNodeOverrides *o, struct arena *a)
{
	const char *name = pod_primary_name(task);
	PbStruct *container = name ? pod_find_container(task->k8s_pod->pod_spec, name) : NULL;

	if (!container)
		return;
	if (*o->container_image)
		set_text(container, "image", o->container_image, a);
	if (!o->resources)
		return;
	PbStruct *resources = set_object(container, "resources", a);
	merge_list(resources, "requests", o->resources->requests, o->resources->n_requests, a);
	merge_list(resources, "limits", o->resources->limits, o->resources->n_limits, a);
}

static void override_container(CoreTaskTemplate *task, const CoreTaskNodeOverrides *o, struct arena *a)
{
	if (*o->container_image)
		task->container->image = arena_strdup(a, o->container_image);
	if (o->resources)
		merge_container(task->container, o->resources, a);
}

/* Entries of maps of texts are alike; the last one of a key counts. */
static void merge_metadata(CoreK8sObjectMetadata *to, const CoreK8sObjectMetadata *from, struct arena *a)
{
	for (size_t i = 0; from && i < from->n_labels; i++)
		*PB_ADD(a, to->labels, to->n_labels) = pb_clone(from->labels[i], a);
	for (size_t i = 0; from && i < from->n_annotations; i++)
		*PB_ADD(a, to->annotations, to->n_annotations) = pb_clone(from->annotations[i], a);
}

/* The pod takes the place of the task's container or pod; how inputs and outputs come as files stays the task's. */
static void take_pod(CoreTaskTemplate *task, const CoreK8sPod *template_, struct arena *a)
{
	bool is_pod = task->target_case == CORE_TASK_TEMPLATE_TARGET_K8S_POD;
	CoreK8sPod *pod = pb_clone(template_, a);

	pod->metadata = pb_new(a, CORE_K8S_OBJECT_METADATA_DESC);
	merge_metadata(pod->metadata, is_pod ? task->k8s_pod->metadata : NULL, a);
	merge_metadata(pod->metadata, template_->metadata, a);
	pod->data_config = is_pod ? task->k8s_pod->data_config : task->container->data_config;
	task->target_case = CORE_TASK_TEMPLATE_TARGET_K8S_POD;
	task->k8s_pod = pod;
	pod_set_primary_name(task, template_->primary_container_name, a);
}

/* ---- all of it ---- */

static bool has_target(const CoreTaskTemplate *task)
{
	return task->target_case == CORE_TASK_TEMPLATE_TARGET_CONTAINER ||
	       (task->target_case == CORE_TASK_TEMPLATE_TARGET_K8S_POD && task->k8s_pod->pod_spec);
}

static void override_extended(CoreTaskTemplate *task, const CoreExtendedResources *from, struct arena *a)
{
	if (!task->extended_resources)
		task->extended_resources = pb_new(a, CORE_EXTENDED_RESOURCES_DESC);
	if (from->gpu_accelerator)
		task->extended_resources->gpu_accelerator = pb_clone(from->gpu_accelerator, a);
	if (from->shared_memory)
		task->extended_resources->shared_memory = pb_clone(from->shared_memory, a);
}

enum code task_overridden(const CoreTaskTemplate *task, const CoreTaskNodeOverrides *o, struct arena *a,
			  const CoreTaskTemplate **ret, struct err *err)
{
	bool pod = o && o->pod_template && o->pod_template->pod_spec;
	bool any = o && (*o->container_image || o->resources || o->extended_resources || pod);
	enum code c = OK;

	if (any && o->resources)
		c = check_quantities(o->resources->requests, o->resources->n_requests, err);
	if (any && o->resources && !c)
		c = check_quantities(o->resources->limits, o->resources->n_limits, err);
	if (c)
		return c;
	if (!any) {
		*ret = task;
		return OK;
	}
	CoreTaskTemplate *t = pb_clone(task, a);
	if (pod && has_target(t))
		take_pod(t, o->pod_template, a);
	if (t->target_case == CORE_TASK_TEMPLATE_TARGET_CONTAINER)
		override_container(t, o, a);
	else if (has_target(t))
		override_pod(t, o, a);
	if (o->extended_resources)
		override_extended(t, o->extended_resources, a);
	*ret = t;
	return OK;
}

enum code task_check_shared_memory(const CoreTaskTemplate *task, struct err *err)
{
	const CoreSharedMemory *m = task->extended_resources ? task->extended_resources->shared_memory : NULL;

	if (!m)
		return OK;
	if (!*m->mount_name)
		return err_set(err, INVALID_ARGUMENT, "mount name is not set");
	if (!*m->mount_path)
		return err_set(err, INVALID_ARGUMENT, "mount path is not set");
	if (*m->size_limit && !is_quantity(m->size_limit))
		return err_set(err, INVALID_ARGUMENT, "Unable to parse size limit: " QUANTITY_RULE ", not \"%s\"",
			       m->size_limit);
	return OK;
}

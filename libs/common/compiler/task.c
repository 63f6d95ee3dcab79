/* Tasks: what a template must have before it is registered.
 * Source: flyteadmin validation/task_validator.go, flytepropeller pkg/compiler/task_compiler.go (v1.16.8). */
#include <ctype.h>
#include <string.h>

#include "compiler/private.h"
#include "flyte/pod.h"
#include "flyte/resources.h"
#include "flyteidl/core/tasks.h"
#include "pb/pb.h"

static enum code missing(const char *field, struct err *err)
{
	return err_set(err, INVALID_ARGUMENT, "missing %s", field);
}

/* ---- quantities ---- */

static const char *resource_name(const CoreResourcesResourceEntry *e)
{
	const char *name = pb_enum_name(CORE_RESOURCES_RESOURCE_NAME_DESC, (int)e->name);

	return name ? name : "resource";
}

static enum code check_quantities(CoreResourcesResourceEntry *const *entries, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (is_quantity(entries[i]->value))
			continue;
		return err_set(err, INVALID_ARGUMENT,
			       "Parsing of %s request failed for value %s - reason  " QUANTITY_RULE
			       ". Please follow K8s conventions for resources "
			       "https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/",
			       resource_name(entries[i]), entries[i]->value);
	}
	return OK;
}

/* ---- templates ---- */

static bool has_variables(const CoreTypedInterface *i)
{
	return i && ((i->inputs && i->inputs->n_variables) || (i->outputs && i->outputs->n_variables));
}

/* What stands before the compiler's own checks in flyteadmin, and says less. */
static enum code check_container(const CoreContainer *c, struct err *err)
{
	enum code code = OK;

	if (!*c->image)
		return missing("image", err);
	if (c->resources)
		code = check_quantities(c->resources->requests, c->resources->n_requests, err);
	if (!code && c->resources)
		code = check_quantities(c->resources->limits, c->resources->n_limits, err);
	return code;
}

static void compile_quantities(CoreResourcesResourceEntry *const *entries, size_t n, struct compile_errors *e)
{
	for (size_t i = 0; i < n; i++) {
		auto_buf struct buf node = {0};
		if (is_quantity(entries[i]->value))
			continue;
		buf_printf(&node, "resources.%s", resource_name(entries[i]));
		compile_error(e, "UnrecognizedValue", buf_text(&node), "Unrecognized value [%s].", entries[i]->value);
	}
}

static void compile_container(const CoreTaskTemplate *t, struct compile_errors *e)
{
	const CoreContainer *c = t->container;

	if (has_variables(t->interface) && !c->n_command && !c->n_args)
		compile_error(e, "ValueRequired", "container", "Value required [command].");
	if (!*c->image)
		compile_error(e, "ValueRequired", "container", "Value required [image].");
	if (c->resources) {
		compile_quantities(c->resources->requests, c->resources->n_requests, e);
		compile_quantities(c->resources->limits, c->resources->n_limits, e);
	}
}

/* A name as DNS has them: RFC 1123, up to 63 characters. */
static bool is_dns_label(const char *s)
{
	enum { LABEL_BYTES = 63 };
	static const char WORD[] = "abcdefghijklmnopqrstuvwxyz0123456789",
			  ANY[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	size_t n = strlen(s);

	return n && n <= LABEL_BYTES && strspn(s, ANY) == n && strchr(WORD, s[0]) && strchr(WORD, s[n - 1]);
}

static void compile_pod(const CoreTaskTemplate *t, struct compile_errors *e)
{
	const PbStruct *spec = t->k8s_pod->pod_spec;
	const PbValue *list = struct_field(spec, "containers");

	if (!spec)
		compile_error(e, "InvalidValue", "root", "Invalid value [k8s pod spec].");
	if (!list || list->kind_case != PB_VALUE_KIND_LIST_VALUE)
		return;
	for (size_t i = 0; i < list->list_value->n_values; i++) {
		const PbValue *container = list->list_value->values[i];
		bool is_struct = container->kind_case == PB_VALUE_KIND_STRUCT_VALUE;
		const PbValue *name = is_struct ? struct_field(container->struct_value, "name") : NULL;
		if (!name || name->kind_case != PB_VALUE_KIND_STRING_VALUE || !is_dns_label(name->string_value))
			compile_error(e, "InvalidValue", "root", "Invalid value [k8s pod spec container name].");
	}
}

void compile_task(const CoreTaskTemplate *t, struct compile_errors *e)
{
	if (!t->id)
		compile_error(e, "ValueRequired", "root", "Value required [Id].");
	if (t->target_case == CORE_TASK_TEMPLATE_TARGET_CONTAINER)
		compile_container(t, e);
	else if (t->target_case == CORE_TASK_TEMPLATE_TARGET_K8S_POD)
		compile_pod(t, e);
}

enum code check_task_template(const CoreTaskTemplate *t, struct err *err)
{
	if (!*t->type)
		return missing("type", err);
	if (!t->metadata)
		return missing("metadata", err);
	if (t->metadata->runtime && !*t->metadata->runtime->version)
		return missing("runtime version", err);
	if (!t->interface)
		return missing("typed interface", err);
	if (t->target_case == CORE_TASK_TEMPLATE_TARGET_K8S_POD && !t->k8s_pod->pod_spec)
		return err_set(err, INVALID_ARGUMENT,
			       "invalid TaskSpecification, pod tasks should specify their target as a K8sPod with a "
			       "defined pod spec");
	enum code c = t->target_case == CORE_TASK_TEMPLATE_TARGET_CONTAINER ? check_container(t->container, err) : OK;
	if (t->target_case == CORE_TASK_TEMPLATE_TARGET_K8S_POD)
		c = pod_check_quantities(t->k8s_pod->pod_spec, err);
	if (c)
		return c;
	struct compile_errors errors = {0};
	static CoreIdentifier given = CORE_IDENTIFIER_INIT; /* the request's, which the caller has checked */
	CoreTaskTemplate named = *t;
	named.id = &given;
	compile_task(&named, &errors);
	return compile_errors_finish(&errors, "task failed compilation with ", err);
}

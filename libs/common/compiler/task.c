/* Tasks: what a template must have before it is registered.
 * Source: flyteadmin validation/task_validator.go, flytepropeller pkg/compiler/task_compiler.go (v1.16.8). */
#include <ctype.h>
#include <string.h>

#include "compiler/compiler.h"
#include "compiler/errors.h"
#include "flyteidl/core/tasks.h"

static enum code missing(const char *field, struct err *err)
{
	return err_set(err, INVALID_ARGUMENT, "missing %s", field);
}

/* ---- quantities ---- */

static const char *const SUFFIXES[] = {"",  "n", "u",  "m",  "k",  "M",  "G",  "T",
				       "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};

static bool is_exponent(const char *s)
{
	if (*s != 'e' && *s != 'E')
		return false;
	s += 1 + (s[1] == '+' || s[1] == '-');
	size_t digits = strspn(s, "0123456789");
	return digits && !s[digits];
}

/* Kubernetes' quantities. Source: apimachinery resource.ParseQuantity. */
static bool is_quantity(const char *s)
{
	s += *s == '+' || *s == '-';
	size_t whole = strspn(s, "0123456789"), fraction = 0;
	s += whole;
	if (*s == '.') {
		fraction = strspn(++s, "0123456789");
		s += fraction;
	}
	if (!whole && !fraction)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(SUFFIXES); i++)
		if (strcmp(s, SUFFIXES[i]) == 0)
			return true;
	return is_exponent(s);
}

static enum code check_quantities(CoreResourcesResourceEntry *const *entries, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		const ProtobufCEnumValue *name =
			protobuf_c_enum_descriptor_get_value(CORE_RESOURCES_RESOURCE_NAME_DESC, (int)entries[i]->name);
		if (is_quantity(entries[i]->value))
			continue;
		return err_set(
			err, INVALID_ARGUMENT,
			"Parsing of %s request failed for value %s - reason  quantities must match the regular "
			"expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'. Please follow K8s conventions "
			"for resources "
			"https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/",
			name ? name->name : "resource", entries[i]->value);
	}
	return OK;
}

/* ---- templates ---- */

static bool has_variables(const CoreTypedInterface *i)
{
	return (i->inputs && i->inputs->n_variables) || (i->outputs && i->outputs->n_variables);
}

static enum code check_container(const CoreTaskTemplate *t, struct err *err)
{
	const CoreContainer *c = t->container;
	enum code code = OK;

	if (!*c->image)
		return missing("image", err);
	if (c->resources)
		code = check_quantities(c->resources->requests, c->resources->n_requests, err);
	if (!code && c->resources)
		code = check_quantities(c->resources->limits, c->resources->n_limits, err);
	if (code || !has_variables(t->interface) || c->n_command || c->n_args)
		return code;
	struct compile_errors errors = {0};
	compile_error(&errors, "ValueRequired", "container", "Value required [command].");
	return compile_errors_finish(&errors, "task failed compilation with ", err);
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
	if (t->target_case == CORE_TASK_TEMPLATE_TARGET_CONTAINER)
		return check_container(t, err);
	if (t->target_case == CORE_TASK_TEMPLATE_TARGET_K8S_POD && !t->k8s_pod->pod_spec)
		return err_set(err, INVALID_ARGUMENT,
			       "invalid TaskSpecification, pod tasks should specify their target as a K8sPod with a "
			       "defined pod spec");
	return OK;
}

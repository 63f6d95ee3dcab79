#include "task_spec.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

#include "alula/bus.h"
#include "base/base.h"
#include "flyte/overrides.h"
#include "flyte/pod.h"

/* ---- arguments ---- */

static enum code render_all(char **texts, size_t n, const struct template_values *v, struct arena *a,
			    struct task_spec *spec, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		enum code c = template_render(texts[i], v, a, &spec->argv[spec->argc], err);
		if (c)
			return c;
		spec->needs_inputs |= strcasestr(spec->argv[spec->argc], ".inputs.") != NULL;
		if (strcasestr(texts[i], "taskTemplatePath"))
			spec->template_path = v->task_template_path;
		spec->argc++;
	}
	return OK;
}

/* flytekit's code of fast registration would go to a directory of the image, one for all: each attempt has its own. */
static void unpack_here(struct task_spec *spec)
{
	for (size_t i = 0; i + 1 < spec->argc; i++)
		if (strcmp(spec->argv[i], "--dest-dir") == 0 && *spec->argv[i + 1] == '/')
			spec->argv[i + 1] = ".";
}

static bool is_program(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');

	return strcmp(slash ? slash + 1 : path, name) == 0;
}

struct template_values task_spec_values(const struct attempt *at, struct arena *a)
{
	const CoreWorkflowExecutionIdentifier *id = at->command->id;
	const char *slash = strrchr(at->inputs_uri, '/');

	return (struct template_values){
		.input = at->inputs_uri,
		.input_prefix = arena_strndup(a, at->inputs_uri, (size_t)(slash - at->inputs_uri)),
		.output_prefix = at->output_prefix,
		.raw_output_prefix = at->raw_output_prefix,
		.checkpoint_prefix = at->checkpoint_prefix,
		.prev_checkpoint_prefix = at->prev_checkpoint_prefix,
		.unique_name = at->unique_name,
		.namespace = arena_printf(a, "%s-%s", id->project, id->domain),
	};
}

static enum code make_argv(const struct attempt *at, const CoreContainer *container, struct arena *a,
			   struct task_spec *spec, struct err *err)
{
	struct template_values v = task_spec_values(at, a);

	v.task_template_path = arena_printf(a, "%s/task.pb", v.input_prefix);
	spec->argv = arena_array(a, const char *, container->n_command + container->n_args + 1);
	enum code c = render_all(container->command, container->n_command, &v, a, spec, err);
	if (!c)
		c = render_all(container->args, container->n_args, &v, a, spec, err);
	if (!c && spec->argc == 0)
		return err_set(err, INVALID_ARGUMENT, "task %s has a container without command or arguments",
			       at->task->id->name);
	if (!c && is_program(spec->argv[0], "pyflyte-fast-execute"))
		unpack_here(spec);
	return c;
}

enum code task_spec_inputs(struct task_spec *spec, const CoreLiteralMap *inputs, struct arena *a, struct err *err)
{
	struct template_values v = {.inputs = inputs};

	for (size_t i = 0; i < spec->argc; i++) {
		if (!strcasestr(spec->argv[i], ".inputs."))
			continue;
		enum code c = template_render(spec->argv[i], &v, a, &spec->argv[i], err);
		if (c)
			return c;
	}
	return OK;
}

/* ---- environment ---- */

struct env {
	struct arena *a;
	struct task_spec *spec;
	size_t cap;
};

/* A later value takes the place of an earlier one. */
static void env_set(struct env *e, const char *key, const char *value)
{
	const char *text = arena_printf(e->a, "%s=%s", key, value ? value : "");
	size_t n = strlen(key) + 1;

	for (size_t i = 0; i < e->spec->n_env; i++) {
		if (strncmp(e->spec->env[i], text, n) == 0) {
			e->spec->env[i] = text;
			return;
		}
	}
	if (e->spec->n_env < e->cap)
		e->spec->env[e->spec->n_env++] = text;
}

static const char *env_get(const struct env *e, const char *key)
{
	size_t n = strlen(key);

	for (size_t i = 0; i < e->spec->n_env; i++)
		if (strncmp(e->spec->env[i], key, n) == 0 && e->spec->env[i][n] == '=')
			return e->spec->env[i] + n + 1;
	return NULL;
}

/* From our own environment: what programs need to run at all. */
static void env_inherit(struct env *e)
{
	static const char *const keys[] = {"HOME",   "PATH", "LANG",    "LC_ALL", "TZ",
					   "TMPDIR", "USER", "LOGNAME", "SHELL"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (getenv(keys[i]))
			env_set(e, keys[i], getenv(keys[i]));
	if (!env_get(e, "HOME"))
		env_set(e, "HOME", "/");
	if (!env_get(e, "PATH"))
		env_set(e, "PATH", "/usr/local/bin:/usr/bin:/bin");
}

static void env_flyte(struct env *e, const struct attempt *at)
{
	const AlulaCommand *command = at->command;
	const AlulaStartExecution *start = command->start;
	const CoreIdentifier *task = at->task->id;
	const CoreIdentifier *w = start->workflow_id;
	char attempt[16];

	snprintf(attempt, sizeof attempt, "%u", at->attempt);
	env_set(e, "FLYTE_INTERNAL_EXECUTION_ID", command->id->name);
	env_set(e, "FLYTE_INTERNAL_EXECUTION_PROJECT", command->id->project);
	env_set(e, "FLYTE_INTERNAL_EXECUTION_DOMAIN", command->id->domain);
	env_set(e, "FLYTE_INTERNAL_EXECUTION_WORKFLOW",
		w ? arena_printf(e->a, "%s:%s:%s", w->project, w->domain, w->name) : "");
	env_set(e, "FLYTE_INTERNAL_EXECUTION_LAUNCHPLAN", start->launch_plan_id ? start->launch_plan_id->name : "");
	env_set(e, "FLYTE_ATTEMPT_NUMBER", attempt);
	if (!task)
		return;
	env_set(e, "FLYTE_INTERNAL_TASK_PROJECT", task->project);
	env_set(e, "FLYTE_INTERNAL_TASK_DOMAIN", task->domain);
	env_set(e, "FLYTE_INTERNAL_TASK_NAME", task->name);
	env_set(e, "FLYTE_INTERNAL_TASK_VERSION", task->version);
}

/* Which item of its array it is. Source: flytepropeller nodes/array/execution_context.go. */
static void env_array(struct env *e, const struct attempt *at)
{
	char item[16];

	if (!at->is_item)
		return;
	snprintf(item, sizeof item, "%u", at->item);
	env_set(e, "BATCH_JOB_ARRAY_INDEX_VAR_NAME", "FLYTE_K8S_ARRAY_INDEX");
	env_set(e, "FLYTE_K8S_ARRAY_INDEX", item);
}

/* The directories of programs: those set for everything, then those of the image, then PATH. */
static void env_path(struct env *e, const struct propeller_config *config, const char *image)
{
	const char *path = env_get(e, "PATH");

	for (size_t i = 0; i < config->process_path.n; i++) {
		if (fnmatch(config->process_path.at[i].key, image, 0) != 0)
			continue;
		path = arena_printf(e->a, "%s:%s", config->process_path.at[i].value, path);
		break;
	}
	if (*config->process_task_path)
		path = arena_printf(e->a, "%s:%s", config->process_task_path, path);
	env_set(e, "PATH", path);
}

const char *task_spec_variable(const struct attempt *at, const char *key, struct arena *a)
{
	const AlulaStartExecution *start = at->command->start;
	const CoreContainer *container = NULL;

	task_container(at->task, a, &container, NULL);
	for (size_t i = 0; i < start->n_envs; i++)
		if (strcmp(start->envs[i]->key, key) == 0)
			return start->envs[i]->value;
	for (size_t i = 0; container && i < container->n_env; i++)
		if (strcmp(container->env[i]->key, key) == 0)
			return container->env[i]->value;
	return NULL;
}

static void make_env(const struct propeller_config *config, const struct attempt *at, const CoreContainer *container,
		     struct arena *a, struct task_spec *spec)
{
	const AlulaStartExecution *start = at->command->start;
	struct env e = {a, spec, 64 + container->n_env + start->n_envs + config->process_env.n};

	spec->env = arena_array(a, const char *, e.cap);
	env_inherit(&e);
	for (size_t i = 0; i < container->n_env; i++)
		env_set(&e, container->env[i]->key, container->env[i]->value);
	env_flyte(&e, at);
	env_array(&e, at);
	env_set(&e, "FLYTE_PLATFORM_URL", config->platform_url);
	env_set(&e, "FLYTE_PLATFORM_INSECURE", config->platform_insecure ? "true" : "false");
	for (size_t i = 0; i < start->n_envs; i++)
		env_set(&e, start->envs[i]->key, start->envs[i]->value);
	for (size_t i = 0; i < config->process_env.n; i++)
		env_set(&e, config->process_env.at[i].key, config->process_env.at[i].value);
	env_path(&e, config, container->image);
}

enum code task_spec_make(const struct propeller_config *config, const struct attempt *attempt, struct arena *a,
			 struct task_spec *ret, struct err *err)
{
	const CoreContainer *container = NULL;
	struct task_spec spec = {0};
	enum code c = task_container(attempt->task, a, &container, err);

	if (!c)
		c = task_check_shared_memory(attempt->task, err);
	if (!c)
		c = make_argv(attempt, container, a, &spec, err);
	if (c)
		return c;
	make_env(config, attempt, container, a, &spec);
	*ret = spec;
	return OK;
}

#include "plugins.h"

#include <fnmatch.h>

#include "alula/bus.h"
#include "base/base.h"
#include "propeller.h"

enum { MAX_KINDS = 8 };

struct plugins {
	const struct propeller_config *config;
	struct installed at[MAX_KINDS];
	size_t n;
};

/* ---- what the configuration says ---- */

/* Of names that mean the same. */
static const char *canonical(const char *plugin)
{
	static const char *const NAMES[][2] = {{"agent-service", "connector-service"}, {"process", "container"}};

	for (size_t i = 0; i < ARRAY_SIZE(NAMES); i++)
		if (strcasecmp(plugin, NAMES[i][0]) == 0)
			return NAMES[i][1];
	return plugin;
}

static bool same(const char *a, const char *b)
{
	return strcasecmp(canonical(a), canonical(b)) == 0;
}

bool plugin_enabled(const struct propeller_config *config, const char *plugin)
{
	for (size_t i = 0; i < config->enabled_plugins.n; i++)
		if (same(config->enabled_plugins.at[i], plugin))
			return true;
	return config->enabled_plugins.n == 0;
}

static bool kind_is(const struct executor_kind *kind, const char *plugin)
{
	for (const char *const *name = kind->plugins; *name; name++)
		if (same(*name, plugin))
			return true;
	return false;
}

static bool kind_enabled(const struct propeller_config *config, const struct executor_kind *kind)
{
	for (const char *const *name = kind->plugins; *name; name++)
		if (plugin_enabled(config, *name))
			return true;
	return false;
}

static const char *map_find(const struct config_map *m, const char *key)
{
	for (size_t i = 0; i < m->n; i++)
		if (strcasecmp(m->at[i].key, key) == 0)
			return m->at[i].value;
	return NULL;
}

const char *plugin_for_type(const struct propeller_config *config, const char *type)
{
	return map_find(&config->default_plugins, type);
}

static const char *overridden(const struct propeller_config *config, const CoreWorkflowExecutionIdentifier *id,
			      const char *type)
{
	auto_mem char *path = x_printf("%s/%s/%s", id->project, id->domain, type);

	for (size_t i = 0; i < config->plugin_overrides.n; i++)
		if (fnmatch(config->plugin_overrides.at[i].key, path, FNM_PATHNAME) == 0)
			return config->plugin_overrides.at[i].value;
	return NULL;
}

static bool has_connectors(const struct connectors_config *c)
{
	return *c->endpoint || c->connectors.n || c->agents.n;
}

const char *plugin_by_config(const struct propeller_config *config, const CoreTaskTemplate *task)
{
	const char *named = plugin_for_type(config, task->type);

	if (named)
		return canonical(named);
	if (map_find(&config->connectors.for_task_types, task->type) ||
	    (task->target_case != CORE_TASK_TEMPLATE_TARGET_CONTAINER &&
	     task->target_case != CORE_TASK_TEMPLATE_TARGET_K8S_POD && has_connectors(&config->connectors)))
		return "connector-service";
	return "container";
}

/* ---- which one ---- */

static enum code by_name(struct plugins *p, const char *type, const char *plugin, const char *key,
			 struct installed **ret, struct err *err)
{
	for (size_t i = 0; i < p->n; i++) {
		if (!kind_is(p->at[i].kind, plugin))
			continue;
		*ret = &p->at[i];
		return OK;
	}
	return err_set(err, NOT_FOUND,
		       "task type [%s] is to be run by plugin [%s] as %s says, but there is no such plugin, or "
		       "tasks.task-plugins.enabled-plugins does not name it",
		       type, plugin, key);
}

static struct installed *by_any_name(struct plugins *p, const AdminPluginOverride *o)
{
	for (size_t i = 0; i < o->n_plugin_id; i++)
		for (size_t k = 0; k < p->n; k++)
			if (kind_is(p->at[k].kind, o->plugin_id[i]))
				return &p->at[k];
	return NULL;
}

/* Matchable attributes: false if they say nothing of the type, or of no plugin that is here, and may be passed over. */
static bool by_attributes(struct plugins *p, const struct attempt *a, struct installed **ret, enum code *code,
			  struct err *err)
{
	const AlulaStartExecution *start = a->command->start;

	for (size_t i = 0; start && i < start->n_plugin_overrides; i++) {
		const AdminPluginOverride *o = start->plugin_overrides[i];
		if (strcmp(o->task_type, a->task->type) != 0 || o->n_plugin_id == 0)
			continue;
		*ret = by_any_name(p, o);
		*code = OK;
		if (*ret)
			return true;
		if (o->missing_plugin_behavior != ADMIN_PLUGIN_OVERRIDE_MISSING_PLUGIN_BEHAVIOR_FAIL)
			return false;
		*code = err_set(
			err, NOT_FOUND,
			"no matching plugin overrides defined for Handler type [%s]. Ignoring any defaultPlugins "
			"configured: the matchable attribute names plugin [%s], which tasks.task-plugins."
			"enabled-plugins does not have",
			o->task_type, o->plugin_id[0]);
		return true;
	}
	return false;
}

enum code plugins_choose(struct plugins *p, const struct attempt *a, struct installed **ret, struct err *err)
{
	const CoreTaskTemplate *task = a->task;
	const char *here = overridden(p->config, a->command->id, task->type);
	const char *always = plugin_for_type(p->config, task->type);
	enum code code;

	/* It began there, whatever the configuration says by now. */
	if (a->resource)
		return by_name(p, task->type, a->resource->plugin, "the journal", ret, err);
	if (by_attributes(p, a, ret, &code, err))
		return code;
	if (here)
		return by_name(p, task->type, here, "tasks.task-plugins.overrides", ret, err);
	if (always)
		return by_name(p, task->type, always, "tasks.task-plugins.default-for-task-types", ret, err);
	for (size_t i = 0; i < p->n; i++) {
		if (!p->at[i].kind->takes(p->at[i].x, task))
			continue;
		*ret = &p->at[i];
		return OK;
	}
	return err_set(err, NOT_FOUND,
		       "no plugin defined for Handler type [%s] and no defaultPlugin configured: the task has no "
		       "container; name a plugin for the type in tasks.task-plugins.default-for-task-types, or a "
		       "connector that has it in plugins.connector-service",
		       task->type);
}

void plugins_refuse(const struct executor_host *host, struct attempt_id id, const struct err *err)
{
	AlulaAttemptFinished finished = ALULA_ATTEMPT_FINISHED_INIT;
	AlulaAttemptError outcome = ALULA_ATTEMPT_ERROR_INIT;
	CoreExecutionError error = CORE_EXECUTION_ERROR_INIT;
	AlulaInput in = ALULA_INPUT_INIT;

	error.code = "UnsupportedTaskType";
	error.message = (char *)err->text;
	error.kind = CORE_EXECUTION_ERROR_ERROR_KIND_SYSTEM;
	outcome.error = &error;
	finished.node = id.node;
	finished.attempt = id.attempt;
	finished.outcome_case = ALULA_ATTEMPT_FINISHED_OUTCOME_ERROR;
	finished.error = &outcome;
	in.execution = id.execution;
	in.input_case = ALULA_INPUT_INPUT_ATTEMPT_FINISHED;
	in.attempt_finished = &finished;
	host->feed(host->arg, &in);
}

/* ---- all of them ---- */

void plugins_abort(struct plugins *p, struct attempt_id id, const struct attempt_resource *resource)
{
	for (size_t i = 0; i < p->n; i++)
		if (!resource || kind_is(p->at[i].kind, resource->plugin))
			p->at[i].kind->abort(p->at[i].x, id, resource);
}

void plugins_event(struct plugins *p, struct attempt_id id)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->at[i].kind->event)
			p->at[i].kind->event(p->at[i].x, id);
}

void plugins_finalise(struct plugins *p, int64_t execution)
{
	for (size_t i = 0; i < p->n; i++)
		p->at[i].kind->finalise(p->at[i].x, execution);
}

/* ---- life ---- */

static enum code check_defaults(const struct propeller_config *config, struct err *err)
{
	for (size_t i = 0; i < config->default_plugins.n; i++) {
		const struct config_pair *pair = &config->default_plugins.at[i];
		if (!plugin_enabled(config, pair->value))
			return err_set(
				err, INVALID_ARGUMENT,
				"tasks.task-plugins.default-for-task-types: cannot set default plugin [%s] for task "
				"type [%s] when it is not configured to be an enabled plugin",
				pair->value, pair->key);
	}
	return OK;
}

enum code plugins_open(const struct executor_host *host, const struct propeller_config *config,
		       const struct executor_kind *const *kinds, struct plugins **ret, struct err *err)
{
	struct plugins *p = x_calloc(1, sizeof *p);
	enum code c = check_defaults(config, err);

	p->config = config;
	for (; *kinds && !c && p->n < MAX_KINDS; kinds++) {
		if (!kind_enabled(config, *kinds))
			continue;
		p->at[p->n].kind = *kinds;
		c = (*kinds)->open(host, config, &p->at[p->n].x, err);
		p->n += !c;
	}
	if (c)
		plugins_close(p);
	else
		*ret = p;
	return c;
}

void plugins_close(struct plugins *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++)
		p->at[i].kind->close(p->at[i].x);
	free(p);
}

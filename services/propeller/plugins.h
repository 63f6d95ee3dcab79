/* Which executor runs a task: by configuration. Flyte's plugins are our kinds of executors.
 *
 *   1. the matchable attribute PLUGIN_OVERRIDE of the project, domain or workflow, as admin found it
 *   2. tasks.task-plugins.overrides, for the project and domain
 *   3. tasks.task-plugins.default-for-task-types
 *   4. the first executor that takes it: a connector that has the type, then processes for what has a container
 *
 * Source: flytepropeller nodes/task/{handler.go: ResolvePlugin, config/config.go} (v1.16.8). */
#pragma once
#include "executor.h"

struct plugins;
struct propeller_config;

struct installed {
	const struct executor_kind *kind;
	struct executor *x;
};

/* What tasks.task-plugins.default-for-task-types has for this type, or NULL. */
const char *plugin_for_type(const struct propeller_config *config, const char *type);
/* What events name as the plugin of such a task, as far as the configuration alone tells. */
const char *plugin_by_config(const struct propeller_config *config, const CoreTaskTemplate *task);
/* Is this plugin in use? */
bool plugin_enabled(const struct propeller_config *config, const char *plugin);

/* Open those kinds that are enabled, in order. Errors: theirs; INVALID_ARGUMENT for a task type whose plugin is not
 * enabled. */
enum code plugins_open(const struct executor_host *host, const struct propeller_config *config,
		       const struct executor_kind *const *kinds, struct plugins **ret, struct err *err);
void plugins_close(struct plugins *p); /* NULL is fine */
/* Errors: NOT_FOUND naming the task type and the key to set. */
enum code plugins_choose(struct plugins *p, const struct attempt *a, struct installed **ret, struct err *err);
/* No executor has the attempt's type: its node fails. */
void plugins_refuse(const struct executor_host *host, struct attempt_id id, const struct err *err);
void plugins_abort(struct plugins *p, struct attempt_id id, const struct attempt_resource *resource);
void plugins_event(struct plugins *p, struct attempt_id id);
void plugins_finalise(struct plugins *p, int64_t execution);

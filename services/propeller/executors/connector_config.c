/* plugins.connector-service, and its older form plugins.agent-service. */
#include "connector.h"

enum { DEFAULT_TIMEOUT_US = 10000000 };

static bool is_true(const char *text)
{
	return strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0;
}

static void add_timeout(struct arena *a, struct connector *c, const char *method, const char *text)
{
	struct config_pair *at = arena_array(a, struct config_pair, c->timeouts.n + 1);

	if (c->timeouts.n)
		memcpy(at, c->timeouts.at, c->timeouts.n * sizeof *at);
	at[c->timeouts.n] = (struct config_pair){method, text};
	c->timeouts.at = at;
	c->timeouts.n++;
}

static const struct {
	const char *key;
	size_t offset;
} TEXTS[] = {
	{"endpoint", offsetof(struct connector, endpoint)},
	{"defaultServiceConfig", offsetof(struct connector, service_config)},
	{"caFile", offsetof(struct connector, roots_file)},
	{"serverName", offsetof(struct connector, server_name)},
};

/* One key of a connector in a tree; false if it has no such. */
static bool set_key(struct arena *a, struct connector *c, const char *key, const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(TEXTS); i++) {
		if (strcasecmp(TEXTS[i].key, key) != 0)
			continue;
		*(const char **)((char *)c + TEXTS[i].offset) = value;
		return true;
	}
	if (strcasecmp(key, "insecure") == 0)
		c->insecure = is_true(value);
	else if (strncasecmp(key, "timeouts.", 9) == 0)
		add_timeout(a, c, key + 9, value);
	else
		return strcasecmp(key, "defaultTimeout") == 0 || strncasecmp(key, "defaultTimeout.", 15) == 0
			       ? duration_parse(str_of(value), &c->default_timeout_us)
			       : false;
	return true;
}

static struct connector *by_id(struct registry *r, const char *id, size_t len)
{
	vec_each (struct connector **, c, &r->connectors)
		if (strncasecmp((*c)->id, id, len) == 0 && !(*c)->id[len])
			return *c;
	return NULL;
}

static struct connector *add(struct registry *r, const char *id, size_t len)
{
	struct connector *c = arena_new_of(r->arena, struct connector);

	c->id = arena_strndup(r->arena, id, len);
	c->endpoint = c->service_config = c->roots_file = c->server_name = "";
	c->insecure = true;
	c->default_timeout_us = DEFAULT_TIMEOUT_US;
	vec_push(&r->connectors, c);
	return c;
}

/* "<id>.<key>" of a tree whose keys begin with `prefix`. */
static enum code read_tree(const struct config_map *tree, const char *prefix, const char *section, struct registry *r,
			   struct err *err)
{
	size_t skip = strlen(prefix);

	for (size_t i = 0; i < tree->n; i++) {
		const char *path = tree->at[i].key, *id = path + skip;
		if (strncasecmp(path, prefix, skip) != 0)
			continue;
		const char *dot = strchr(id, '.');
		size_t len = dot ? (size_t)(dot - id) : 0;
		struct connector *c = len ? by_id(r, id, len) : NULL;
		if (len && !c)
			c = add(r, id, len);
		if (!c || !set_key(r->arena, c, dot + 1, tree->at[i].value))
			return err_set(
				err, INVALID_ARGUMENT,
				"%s.%s: not a key of a connector, or not a value for it: expected <id>.{endpoint, "
				"insecure, caFile, serverName, defaultServiceConfig, timeouts.<RPC>, defaultTimeout}",
				section, path);
	}
	return OK;
}

/* "<prefix><key>" of a tree, as a map. */
static void read_map(const struct config_map *tree, const char *prefix, struct arena *a, struct config_map *ret)
{
	size_t skip = strlen(prefix);
	struct config_pair *at = arena_array(a, struct config_pair, ret->n + tree->n + 1);

	if (ret->n)
		memcpy(at, ret->at, ret->n * sizeof *at);
	ret->at = at;
	for (size_t i = 0; i < tree->n; i++)
		if (strncasecmp(tree->at[i].key, prefix, skip) == 0)
			at[ret->n++] = (struct config_pair){tree->at[i].key + skip, tree->at[i].value};
}

static void read_list(const struct config_map *tree, const char *key, struct arena *a, struct config_strings *ret)
{
	for (size_t i = 0; i < tree->n; i++) {
		if (strcasecmp(tree->at[i].key, key) != 0)
			continue;
		struct str rest = str_of(tree->at[i].value);
		const char **at = arena_array(a, const char *, ret->n + rest.len + 1);
		if (ret->n)
			memcpy(at, ret->at, ret->n * sizeof *at);
		ret->at = at;
		while (rest.len) {
			struct str one = str_trim(str_cut(&rest, ','));
			at[ret->n++] = arena_strndup(a, one.ptr, one.len);
		}
	}
}

static void read_default(const struct connectors_config *config, struct registry *r)
{
	static const char NAME[] = "default";

	if (!*config->endpoint)
		return;
	struct connector *c = add(r, NAME, sizeof NAME - 1);
	c->endpoint = config->endpoint;
	c->service_config = config->service_config;
	c->roots_file = config->roots_file;
	c->server_name = config->server_name;
	c->insecure = config->insecure;
	c->default_timeout_us = config->default_timeout_us;
	c->timeouts = config->timeouts;
	r->fallback = c;
}

/* "defaultAgent.endpoint", … */
static enum code read_default_agent(const struct connectors_config *config, struct registry *r, struct err *err)
{
	static const char PREFIX[] = "defaultAgent.";
	struct connector *c = NULL;

	for (size_t i = 0; i < config->agents.n && !r->fallback; i++)
		if (strcasecmp(config->agents.at[i].key, "defaultAgent.endpoint") == 0 && *config->agents.at[i].value)
			c = add(r, "default-agent", 13);
	for (size_t i = 0; c && i < config->agents.n; i++) {
		const char *key = config->agents.at[i].key;
		if (strncasecmp(key, PREFIX, sizeof PREFIX - 1) == 0 &&
		    !set_key(r->arena, c, key + sizeof PREFIX - 1, config->agents.at[i].value))
			return err_set(err, INVALID_ARGUMENT, "plugins.agent-service.%s: not a key of a connector",
				       key);
	}
	if (c)
		r->fallback = c;
	return OK;
}

static enum code check(struct registry *r, struct err *err)
{
	int64_t us;

	vec_each (struct connector **, at, &r->connectors) {
		const struct connector *c = *at;
		if (!*c->endpoint)
			return err_set(err, INVALID_ARGUMENT, "plugins.connector-service.connectors.%s has no endpoint",
				       c->id);
		for (size_t i = 0; i < c->timeouts.n; i++)
			if (!duration_parse(str_of(c->timeouts.at[i].value), &us))
				return err_set(
					err, INVALID_ARGUMENT,
					"timeouts.%s of connector %s: expected a duration such as 10s, not \"%s\"",
					c->timeouts.at[i].key, c->id, c->timeouts.at[i].value);
	}
	for (size_t i = 0; i < r->for_task_types.n; i++) {
		const char *id = r->for_task_types.at[i].value;
		if (!by_id(r, id, strlen(id)))
			return err_set(err, INVALID_ARGUMENT,
				       "plugins.connector-service.connectorForTaskTypes.%s: there is no connector [%s]",
				       r->for_task_types.at[i].key, id);
	}
	return OK;
}

enum code connectors_read(const struct connectors_config *config, struct registry *r, struct err *err)
{
	read_default(config, r);
	enum code c = read_default_agent(config, r, err);
	if (!c)
		c = read_tree(&config->connectors, "", "plugins.connector-service.connectors", r, err);
	if (!c)
		c = read_tree(&config->agents, "agents.", "plugins.agent-service", r, err);
	if (c)
		return c;
	read_map(&config->for_task_types, "", r->arena, &r->for_task_types);
	read_map(&config->agents, "agentForTaskTypes.", r->arena, &r->for_task_types);
	r->task_types = config->task_types;
	read_list(&config->agents, "supportedTaskTypes", r->arena, &r->task_types);
	return check(r, err);
}

int64_t connector_timeout(const struct connector *c, const char *method)
{
	int64_t us = c->default_timeout_us;

	for (size_t i = 0; i < c->timeouts.n; i++)
		if (strcasecmp(c->timeouts.at[i].key, method) == 0)
			duration_parse(str_of(c->timeouts.at[i].value), &us);
	return us > 0 ? us : INT64_MAX;
}

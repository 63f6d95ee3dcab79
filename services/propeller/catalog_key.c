#include "catalog_key.h"

#include "base/base.h"
#include "pb/pb.h"
#include "json/json.h"

enum { SHORT_HASH = 8, MAX_LEVELS = PB_MAX_OWN_DEPTH };

#define TASK_VERSION "task-version"
#define EXEC_NAME    "execution-name"
#define EXEC_DOMAIN  "exec-domain"
#define EXEC_PROJECT "exec-project"
#define EXEC_NODE    "exec-node"
#define EXEC_ATTEMPT "exec-attempt"

/* Base64 for URLs without padding, as text in `a`. */
enum code catalog_message_hash(const void *message, struct arena *a, char **ret, struct err *err)
{
	static const struct json_options PLAIN = {0};
	auto_buf struct buf json = {0}, text = {0};
	uint8_t hash[OBJECT_HASH_BYTES];
	enum code c = json_write(&json, message, &PLAIN, err);

	if (!c)
		c = object_hash(buf_str(&json), hash, err);
	if (c)
		return c;
	base64_add(&text, hash, sizeof hash, true);
	*ret = arena_strndup(a, text.data, text.len - 1);
	return OK;
}

static enum code variables_hash(const CoreVariableMap *map, struct arena *a, char **ret, struct err *err)
{
	CoreVariableMap none = CORE_VARIABLE_MAP_INIT;
	enum code c = catalog_message_hash(map ? map : &none, a, ret, err);

	if (!c)
		(*ret)[SHORT_HASH] = 0;
	return c;
}

enum code catalog_dataset_id(const CoreIdentifier *task, const CoreTypedInterface *interface, const char *cache_version,
			     struct arena *a, DatacatalogDatasetID **ret, struct err *err)
{
	struct str version = {cache_version, strlen(cache_version)};
	char *inputs, *outputs;

	/* Go's strings.Trim of blanks alone. */
	for (; version.len && *version.ptr == ' '; version.ptr++, version.len--)
		;
	while (version.len && version.ptr[version.len - 1] == ' ')
		version.len--;
	if (!version.len)
		return err_set(err, INVALID_ARGUMENT, "task cannot have an empty discoveryVersion");
	enum code c = variables_hash(interface ? interface->inputs : NULL, a, &inputs, err);
	if (!c)
		c = variables_hash(interface ? interface->outputs : NULL, a, &outputs, err);
	if (c)
		return c;
	DatacatalogDatasetID *id = pb_new(a, DATACATALOG_DATASET_ID_DESC);
	id->project = task->project;
	id->domain = task->domain;
	id->name = arena_printf(a, "flyte_task-%s", task->name);
	id->version = arena_printf(a, "%.*s-%s-%s", STR_ARG(version), inputs, outputs);
	*ret = id;
	return OK;
}

static CoreLiteral *hashed(CoreLiteral *l, struct arena *a, int level);

static CoreLiteralMap *hashed_map(const CoreLiteralMap *m, struct arena *a, int level)
{
	CoreLiteralMap *copy = pb_new(a, CORE_LITERAL_MAP_DESC);

	for (size_t i = 0; i < m->n_literals; i++) {
		CoreLiteralMapLiteralsEntry *e = arena_dup(a, m->literals[i], sizeof *m->literals[i]);
		e->value = e->value ? hashed(e->value, a, level + 1) : NULL;
		*PB_ADD(a, copy->literals, copy->n_literals) = e;
	}
	return copy;
}

static CoreLiteralCollection *hashed_collection(const CoreLiteralCollection *l, struct arena *a, int level)
{
	CoreLiteralCollection *copy = pb_new(a, CORE_LITERAL_COLLECTION_DESC);

	for (size_t i = 0; i < l->n_literals; i++)
		*PB_ADD(a, copy->literals, copy->n_literals) = hashed(l->literals[i], a, level + 1);
	return copy;
}

/* A literal with a hash is nothing but its hash, at any level. What is inside lists and maps loses its other fields. */
static CoreLiteral *hashed(CoreLiteral *l, struct arena *a, int level)
{
	bool map = l->value_case == CORE_LITERAL_VALUE_MAP && l->map;
	bool collection = l->value_case == CORE_LITERAL_VALUE_COLLECTION && l->collection;
	CoreLiteral *copy;

	if ((!*l->hash && !map && !collection) || level == MAX_LEVELS)
		return l;
	copy = pb_new(a, CORE_LITERAL_DESC);
	if (*l->hash) {
		copy->hash = l->hash;
		return copy;
	}
	copy->value_case = l->value_case;
	if (map)
		copy->map = hashed_map(l->map, a, level);
	else
		copy->collection = hashed_collection(l->collection, a, level);
	return copy;
}

static bool is_among(const char *name, char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

enum code catalog_tag(const CoreLiteralMap *inputs, char *const *ignored, size_t n_ignored, struct arena *a,
		      const char **ret, struct err *err)
{
	CoreLiteralMap counted = CORE_LITERAL_MAP_INIT;
	char *hash;

	for (size_t i = 0; inputs && i < inputs->n_literals; i++)
		if (!is_among(inputs->literals[i]->key, ignored, n_ignored))
			*PB_ADD(a, counted.literals, counted.n_literals) = inputs->literals[i];
	enum code c = catalog_message_hash(hashed_map(&counted, a, 0), a, &hash, err);
	if (!c)
		*ret = arena_printf(a, "flyte_cached-%s", hash);
	return c;
}

static void add_pair(DatacatalogMetadata *m, struct arena *a, const char *key, const char *value)
{
	DatacatalogMetadataKeyMapEntry *e = pb_new(a, DATACATALOG_METADATA_KEY_MAP_ENTRY_DESC);

	e->key = (char *)key;
	e->value = (char *)value;
	*PB_ADD(a, m->key_map, m->n_key_map) = e;
}

DatacatalogMetadata *catalog_dataset_metadata(const CoreTaskExecutionIdentifier *attempt, struct arena *a)
{
	DatacatalogMetadata *m = pb_new(a, DATACATALOG_METADATA_DESC);

	if (attempt)
		add_pair(m, a, TASK_VERSION, attempt->task_id ? attempt->task_id->version : "");
	return m;
}

DatacatalogMetadata *catalog_artifact_metadata(const CoreTaskExecutionIdentifier *attempt, struct arena *a)
{
	DatacatalogMetadata *m = pb_new(a, DATACATALOG_METADATA_DESC);
	const CoreNodeExecutionIdentifier *node = attempt ? attempt->node_execution_id : NULL;
	const CoreWorkflowExecutionIdentifier *execution = node ? node->execution_id : NULL;

	if (!attempt)
		return m;
	add_pair(m, a, EXEC_PROJECT, execution ? execution->project : "");
	add_pair(m, a, EXEC_DOMAIN, execution ? execution->domain : "");
	add_pair(m, a, EXEC_NAME, execution ? execution->name : "");
	add_pair(m, a, EXEC_NODE, node ? node->node_id : "");
	add_pair(m, a, EXEC_ATTEMPT, arena_printf(a, "%u", attempt->retry_attempt));
	return m;
}

static char *pair_or(const DatacatalogMetadata *m, const char *key, const char *otherwise)
{
	for (size_t i = 0; m && i < m->n_key_map; i++)
		if (strcmp(m->key_map[i]->key, key) == 0)
			return m->key_map[i]->value;
	return (char *)otherwise;
}

enum code catalog_source(const DatacatalogMetadata *dataset, const DatacatalogMetadata *artifact,
			 const CoreIdentifier *task, struct arena *a, CoreTaskExecutionIdentifier **ret,
			 struct err *err)
{
	const char *text = pair_or(artifact, EXEC_ATTEMPT, "0");
	uint64_t attempt;

	if (!str_to_u64(str_of(text), &attempt) || attempt > UINT32_MAX)
		return err_set(err, INVALID_ARGUMENT, "failed to parse [%s] to integer", text);
	CoreTaskExecutionIdentifier *id = pb_new(a, CORE_TASK_EXECUTION_IDENTIFIER_DESC);
	id->retry_attempt = (uint32_t)attempt;
	id->task_id = pb_new(a, CORE_IDENTIFIER_DESC);
	id->task_id->resource_type = task->resource_type;
	id->task_id->project = task->project;
	id->task_id->domain = task->domain;
	id->task_id->name = task->name;
	id->task_id->version = pair_or(dataset, TASK_VERSION, "unknown");
	id->node_execution_id = pb_new(a, CORE_NODE_EXECUTION_IDENTIFIER_DESC);
	id->node_execution_id->node_id = pair_or(artifact, EXEC_NODE, "unknown");
	CoreWorkflowExecutionIdentifier *execution = pb_new(a, CORE_WORKFLOW_EXECUTION_IDENTIFIER_DESC);
	execution->project = pair_or(artifact, EXEC_PROJECT, task->project);
	execution->domain = pair_or(artifact, EXEC_DOMAIN, task->domain);
	execution->name = pair_or(artifact, EXEC_NAME, "unknown");
	id->node_execution_id->execution_id = execution;
	*ret = id;
	return OK;
}

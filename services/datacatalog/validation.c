#include "validation.h"

#include "base/base.h"
#include "flyte/text.h"

enum code check_text(const char *value, const char *field, struct err *err)
{
	return *value ? OK : err_set(err, INVALID_ARGUMENT, "missing %s", field);
}

enum code check_dataset_id(const DatacatalogDatasetID *id, struct err *err)
{
	if (!id)
		return err_set(err, INVALID_ARGUMENT, "missing dataset");
	const struct {
		const char *value, *name;
	} parts[] = {{id->project, "project"}, {id->domain, "domain"}, {id->name, "name"}, {id->version, "version"}};
	enum code c = OK;
	for (size_t i = 0; !c && i < ARRAY_SIZE(parts); i++)
		c = check_text(parts[i].value, parts[i].name, err);
	return c;
}

enum code check_data(DatacatalogArtifactData *const *data, size_t n, struct err *err)
{
	auto_free(map_free) struct map *names = map_new();

	if (!n)
		return err_set(err, INVALID_ARGUMENT, "missing artifactData");
	for (size_t i = 0; i < n; i++) {
		if (!*data[i]->name)
			return err_set(err, INVALID_ARGUMENT, "missing artifactData[%zu] name", i);
		if (map_put(names, str_of(data[i]->name), data[i]))
			return err_set(err, INVALID_ARGUMENT,
				       "invalid value for artifactData, value:[%s is there twice]", data[i]->name);
	}
	return OK;
}

enum code check_artifact(const DatacatalogArtifact *artifact, struct err *err)
{
	if (!artifact)
		return err_set(err, INVALID_ARGUMENT, "missing artifact");
	enum code c = check_dataset_id(artifact->dataset, err);
	if (!c)
		c = check_text(artifact->id, "artifactID", err);
	return c ? c : check_data(artifact->data, artifact->n_data, err);
}

enum code check_tag(const DatacatalogTag *tag, struct err *err)
{
	if (!tag)
		return err_set(err, INVALID_ARGUMENT, "missing tag");
	enum code c = check_dataset_id(tag->dataset, err);
	if (!c)
		c = check_text(tag->name, "tagName", err);
	return c ? c : check_text(tag->artifact_id, "artifactID", err);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted, as Go prints a map. */
static char **sorted_texts(char *const *texts, size_t n, struct arena *a)
{
	char **sorted = arena_dup(a, texts, n * sizeof *texts);

	if (n)
		qsort(sorted, n, sizeof *sorted, compare_texts);
	return sorted;
}

enum code check_unique_keys(char *const *keys, size_t n, struct arena *a, struct err *err)
{
	char **sorted = sorted_texts(keys, n, a);
	auto_buf struct buf b = {.limit = ERR_TEXT_BYTES};
	bool unique = true;

	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && strcmp(sorted[i], sorted[end]) == 0; end++)
			unique = false;
		buf_printf(&b, "%s%s:%zu", i ? " " : "", sorted[i], end - i);
	}
	return unique ? OK
		      : err_set(err, INVALID_ARGUMENT,
				"invalid value for partitionKey, value:[Keys are not unique, occurrence count: map[%s]]",
				buf_text(&b));
}

static enum code partition_counts_differ(const DatacatalogDataset *dataset, const DatacatalogArtifact *artifact,
					 struct err *err)
{
	auto_buf struct buf keys = {.limit = ERR_TEXT_BYTES}, partitions = {.limit = ERR_TEXT_BYTES};

	for (size_t i = 0; i < dataset->n_partitionkeys; i++)
		buf_printf(&keys, "%s%s", i ? " " : "", dataset->partitionkeys[i]);
	for (size_t i = 0; i < artifact->n_partitions; i++) {
		buf_adds(&partitions, i ? " " : "");
		message_add_text(artifact->partitions[i], &partitions);
	}
	return err_set(err, INVALID_ARGUMENT, "Partition key mismatch, dataset keys: [%s], artifact Partitions: [%s]",
		       buf_text(&keys), buf_text(&partitions));
}

static bool has_key(const DatacatalogArtifact *artifact, const char *key)
{
	for (size_t i = 0; i < artifact->n_partitions; i++)
		if (strcmp(artifact->partitions[i]->key, key) == 0)
			return true;
	return false;
}

static bool is_key(const DatacatalogDataset *dataset, const char *key)
{
	for (size_t i = 0; i < dataset->n_partitionkeys; i++)
		if (strcmp(dataset->partitionkeys[i], key) == 0)
			return true;
	return false;
}

enum code check_partitions(const DatacatalogDataset *dataset, const DatacatalogArtifact *artifact, struct arena *a,
			   struct err *err)
{
	bool strange = false;

	if (dataset->n_partitionkeys != artifact->n_partitions)
		return partition_counts_differ(dataset, artifact, err);
	for (size_t i = 0; i < artifact->n_partitions; i++)
		strange |= !is_key(dataset, artifact->partitions[i]->key);
	if (!strange)
		return OK;
	char **keys = sorted_texts(dataset->partitionkeys, dataset->n_partitionkeys, a);
	auto_buf struct buf b = {.limit = ERR_TEXT_BYTES};
	for (size_t i = 0; i < dataset->n_partitionkeys; i++)
		buf_printf(&b, "%s%s:%s", i ? " " : "", keys[i], has_key(artifact, keys[i]) ? "true" : "false");
	return err_set(err, INVALID_ARGUMENT,
		       "Artifact partition assignment does not match dataset partition keys: map[%s]", buf_text(&b));
}

enum code check_handle(const DatacatalogDatasetID *dataset, const char *artifact_id, const char *tag, struct err *err)
{
	enum code c = OK;

	if (!artifact_id && !tag)
		return err_set(err, INVALID_ARGUMENT, "missing one of artifactID/tagName");
	if (tag || dataset)
		c = check_dataset_id(dataset, err);
	if (c)
		return c;
	return artifact_id ? check_text(artifact_id, "artifactID", err) : check_text(tag, "tagName", err);
}

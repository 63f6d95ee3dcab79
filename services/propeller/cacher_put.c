/* Putting what a task gave. */
#include "cacher_private.h"

CoreCatalogMetadata *cache_job_catalog_metadata(struct job *j, const char *artifact,
						CoreTaskExecutionIdentifier *source)
{
	CoreCatalogMetadata *m = pb_new(j->arena, CORE_CATALOG_METADATA_DESC);
	const DatacatalogDatasetID *dataset = j->key->dataset;

	m->dataset_id = pb_new(j->arena, CORE_IDENTIFIER_DESC);
	m->dataset_id->resource_type = CORE_RESOURCE_TYPE_DATASET;
	m->dataset_id->project = dataset->project;
	m->dataset_id->domain = dataset->domain;
	m->dataset_id->name = dataset->name;
	m->dataset_id->version = dataset->version;
	m->artifact_tag = pb_new(j->arena, CORE_CATALOG_ARTIFACT_TAG_DESC);
	m->artifact_tag->artifact_id = (char *)artifact;
	m->artifact_tag->name = j->key->tag;
	if (source) {
		m->source_execution_case = CORE_CATALOG_METADATA_SOURCE_EXECUTION_SOURCE_TASK_EXECUTION;
		m->source_task_execution = source;
	}
	return m;
}

static void answer(struct job *j, CoreCatalogCacheStatus status, CoreCatalogMetadata *key)
{
	AlulaCachePut put = ALULA_CACHE_PUT_INIT;
	AlulaInput in = ALULA_INPUT_INIT;

	put.node = j->node;
	put.attempt = j->attempt;
	put.status = status;
	put.key = key;
	in.input_case = ALULA_INPUT_INPUT_CACHE_PUT;
	in.cache_put = &put;
	cache_job_feed(j, &in);
	cache_job_free(j);
}

void put_failed(struct job *j)
{
	static struct log_limit limit;
	CoreCatalogMetadata *m = pb_new(j->arena, CORE_CATALOG_METADATA_DESC);
	size_t held;

	metric_add(j->c->put_failures, 1);
	if (log_allow(&limit, 10 * USEC_PER_SEC, &held))
		log_warn("outputs could not be cached", LOG_INT("execution", j->execution),
			 LOG_STR("task", j->task->id->name), LOG_INT("held_back", held), LOG_ERR(&j->err));
	m->dataset_id = j->task->id;
	answer(j, CORE_CATALOG_CACHE_STATUS_CACHE_PUT_FAILURE, m);
}

static void put_done(struct job *j)
{
	const AlulaCatalogPutResult *r = j->answer;
	CoreTaskExecutionIdentifier *source = j->overwrite ? (CoreTaskExecutionIdentifier *)j->source : NULL;

	if (j->code) {
		put_failed(j);
		return;
	}
	metric_add(j->c->puts, 1);
	answer(j, CORE_CATALOG_CACHE_STATUS_CACHE_POPULATED, cache_job_catalog_metadata(j, r->artifact_id, source));
}

static char *new_artifact_id(struct arena *a)
{
	uint8_t b[16];

	random_bytes(b, sizeof b);
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	return arena_printf(a, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2],
			    b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static AlulaCatalogPut *item_of(struct job *j, const CoreLiteralMap *outputs)
{
	AlulaCatalogPut *put = pb_new(j->arena, ALULA_CATALOG_PUT_DESC);

	put->key = j->key;
	put->artifact_id = new_artifact_id(j->arena);
	put->metadata = catalog_artifact_metadata(j->source, j->arena);
	put->dataset_metadata = catalog_dataset_metadata(j->source, j->arena);
	put->overwrite = j->overwrite;
	for (size_t i = 0; i < outputs->n_literals; i++) {
		AlulaCatalogValue *v = pb_new(j->arena, ALULA_CATALOG_VALUE_DESC);
		struct str literal = pb_pack(outputs->literals[i]->value, j->arena);
		v->name = outputs->literals[i]->key;
		v->literal.data = (uint8_t *)literal.ptr;
		v->literal.len = literal.len;
		*PB_ADD(j->arena, put->values, put->n_values) = v;
	}
	return put;
}

static void with_outputs(struct job *j)
{
	CoreLiteralMap *outputs;

	if (!j->code)
		j->code = pb_unpack_own(CORE_LITERAL_MAP_DESC, j->data, j->arena, (void **)&outputs, &j->err);
	if (j->code)
		put_failed(j);
	else
		cache_job_call(j, CATALOG_PUT, item_of(j, outputs), put_done);
}

void put_begin(struct job *j)
{
	if (!j->c->catalog)
		answer(j, CORE_CATALOG_CACHE_STATUS_CACHE_DISABLED, NULL);
	else
		cache_job_collect(j, j->outputs, j->n_outputs, with_outputs);
}

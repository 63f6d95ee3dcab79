#include "artifact.h"

#include "base/base.h"
#include "flyte/text.h"
#include "pb/pb.h"
#include "validation.h"

static const struct db_stmt BY_KEY = {"artifact_by_key", "SELECT " ARTIFACT_COLUMNS ARTIFACT_FROM "WHERE a.key = $1"};
static const struct db_stmt BY_KEY_LOCKED = {"artifact_by_key_locked", "SELECT " ARTIFACT_COLUMNS ARTIFACT_FROM
								       "WHERE a.key = $1 FOR UPDATE OF a"};
static const struct db_stmt BY_ID = {
	"artifact_by_id",
	"SELECT " ARTIFACT_COLUMNS ARTIFACT_FROM "WHERE a.id = $1 ORDER BY a.created_at DESC, a.seq DESC LIMIT 1",
};
static const struct db_stmt BY_TAG = {
	"artifact_by_tag",
	"SELECT " ARTIFACT_COLUMNS
	" FROM tags t JOIN artifacts a ON a.key = t.artifact JOIN datasets d ON d.key = a.dataset WHERE t.key = $1",
};
static const struct db_stmt TAGS = {
	"artifact_tags",
	"SELECT artifact, name FROM tags WHERE artifact = ANY($1) ORDER BY created_at, name",
};
static const struct db_stmt CREATE = {
	"artifact_create",
	"INSERT INTO artifacts (key, dataset, id, stored) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
};
static const struct db_stmt CREATE_PARTITIONS = {
	"artifact_partitions",
	"INSERT INTO partitions (artifact, dataset, key, value) SELECT $1, $2, * FROM unnest($3::text[], $4::text[]) "
	"ON CONFLICT DO NOTHING",
};

enum code missing_artifact(struct request *rq, const DatacatalogDatasetID *dataset, const char *id, struct err *err)
{
	DatacatalogArtifact names = DATACATALOG_ARTIFACT_INIT;
	DatacatalogDatasetID dataset_names = DATACATALOG_DATASET_ID_INIT;

	if (dataset) {
		dataset_names.project = dataset->project;
		dataset_names.domain = dataset->domain;
		dataset_names.name = dataset->name;
		dataset_names.version = dataset->version;
	}
	names.id = (char *)id;
	names.dataset = &dataset_names;
	return err_set(err, NOT_FOUND, "missing entity of type Artifact with identifier %s",
		       message_text(&names, rq->arena));
}

static enum code missing_tag(struct request *rq, const char *name, struct err *err)
{
	DatacatalogTag tag = DATACATALOG_TAG_INIT;

	tag.name = (char *)name;
	return err_set(err, NOT_FOUND, "missing entity of type Tag with identifier %s", message_text(&tag, rq->arena));
}

/* The artifact of rows is read a second time, locked: its tag may have moved, its data may have changed. */
static enum code lock_artifact(struct db *db, struct db_rows **rows, struct err *err)
{
	struct db_rows *found = *rows;
	enum code c;

	*rows = NULL;
	c = db_query(db, &BY_KEY_LOCKED, rows, err, db_bytea(db_get_str(found, 0, 0)));
	db_rows_free(found);
	return c;
}

enum code artifact_find(struct request *rq, struct db *db, const DatacatalogDatasetID *dataset, const char *artifact_id,
			const char *tag, bool lock, struct db_rows **ret, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	struct key key;
	enum code c;

	if (tag) {
		key = key_of_tag(dataset, tag);
		c = db_query(db, &BY_TAG, &rows, err, db_bytea(key_str(&key)));
	} else if (dataset) {
		key = key_of_artifact(dataset, artifact_id);
		c = db_query(db, &BY_KEY, &rows, err, db_bytea(key_str(&key)));
	} else {
		c = db_query(db, &BY_ID, &rows, err, db_text(artifact_id));
	}
	if (!c && lock && db_rows_count(rows))
		c = lock_artifact(db, &rows, err);
	if (c)
		return c;
	if (!db_rows_count(rows))
		return tag ? missing_tag(rq, tag, err) : missing_artifact(rq, dataset, artifact_id, err);
	*ret = take(rows);
	return OK;
}

static enum code artifact_from_row(struct request *rq, const struct db_rows *rows, size_t row, size_t *budget,
				   DatacatalogArtifact *ret, struct err *err)
{
	AlulaStoredArtifact *stored;
	DatacatalogDatasetID *id = pb_new(rq->arena, DATACATALOG_DATASET_ID_DESC);
	enum code c =
		pb_unpack_own(ALULA_STORED_ARTIFACT_DESC, db_get_str(rows, row, 2), rq->arena, (void **)&stored, err);

	if (!c)
		c = pb_unpack_own(DATACATALOG_METADATA_DESC,
				  (struct str){(const char *)stored->metadata.data, stored->metadata.len}, rq->arena,
				  (void **)&ret->metadata, err);
	if (c)
		return c;
	id->project = db_get_text(rows, row, 4, rq->arena);
	id->domain = db_get_text(rows, row, 5, rq->arena);
	id->name = db_get_text(rows, row, 6, rq->arena);
	id->version = db_get_text(rows, row, 7, rq->arena);
	id->uuid = db_get_text(rows, row, 8, rq->arena);
	ret->id = db_get_text(rows, row, 1, rq->arena);
	ret->dataset = id;
	ret->created_at = pb_timestamp(rq->arena, db_get_time_us(rows, row, 3));
	ret->partitions = stored->partitions;
	ret->n_partitions = stored->n_partitions;
	return stored_read(rq, stored, budget, ret, err);
}

static enum code add_tags(struct request *rq, struct db *db, const struct db_rows *rows,
			  DatacatalogArtifact **artifacts, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *tags = NULL;
	auto_free(map_free) struct map *by_key = map_new();
	struct db_array *keys = db_array_new(rq->arena, db_bytea(STR("")));

	for (size_t i = 0; i < db_rows_count(rows); i++) {
		db_array_add(keys, db_bytea(db_get_str(rows, i, 0)));
		map_put(by_key, db_get_str(rows, i, 0), artifacts[i]);
	}
	enum code c = db_query(db, &TAGS, &tags, err, db_array(keys));
	for (size_t i = 0; !c && i < db_rows_count(tags); i++) {
		DatacatalogArtifact *a = map_get(by_key, db_get_str(tags, i, 0));
		DatacatalogTag *t = pb_new(rq->arena, DATACATALOG_TAG_DESC);
		t->name = db_get_text(tags, i, 1, rq->arena);
		t->artifact_id = a->id;
		t->dataset = a->dataset;
		*PB_ADD(rq->arena, a->tags, a->n_tags) = t;
	}
	return c;
}

enum code artifacts_from_rows(struct request *rq, struct db *db, const struct db_rows *rows, DatacatalogArtifact ***ret,
			      size_t *ret_n, struct err *err)
{
	size_t budget = (size_t)catalog_of(rq)->config->max_message_bytes, n = *ret_n;
	enum code c = OK;

	for (size_t i = 0; !c && i < db_rows_count(rows); i++) {
		DatacatalogArtifact *a = pb_new(rq->arena, DATACATALOG_ARTIFACT_DESC);
		*PB_ADD(rq->arena, *ret, *ret_n) = a;
		c = artifact_from_row(rq, rows, i, &budget, a, err);
	}
	return c ? c : add_tags(rq, db, rows, *ret + n, err);
}

static enum code insert_partitions(struct request *rq, struct db *db, const DatacatalogArtifact *artifact,
				   const struct key *key, const struct key *dataset, struct err *err)
{
	struct db_array *keys = db_array_new(rq->arena, db_text("")), *values = db_array_new(rq->arena, db_text(""));

	if (!artifact->n_partitions)
		return OK;
	for (size_t i = 0; i < artifact->n_partitions; i++) {
		db_array_add(keys, db_text(artifact->partitions[i]->key));
		db_array_add(values, db_text(artifact->partitions[i]->value));
	}
	return db_exec(db, &CREATE_PARTITIONS, NULL, err, db_bytea(key_str(key)), db_bytea(key_str(dataset)),
		       db_array(keys), db_array(values));
}

/* The row goes first: who meets it waits for us, and finds the data written when it sees the row. */
static enum code insert_artifact(struct request *rq, struct db *db, const DatacatalogArtifact *artifact,
				 struct err *err)
{
	struct key dataset = key_of_dataset(artifact->dataset);
	struct key key = key_of_member(KEY_ARTIFACT, &dataset, artifact->id);
	auto_writes struct writes writes = {0};
	AlulaStoredArtifact stored;
	int64_t made = 0;

	stored_init(&stored, pack_metadata(artifact->metadata, rq->arena));
	stored.partitions = artifact->partitions;
	stored.n_partitions = artifact->n_partitions;
	for (size_t i = 0; i < artifact->n_data; i++) {
		const DatacatalogArtifactData *d = artifact->data[i];
		stored_add(rq, &stored, artifact->dataset, artifact->id, d->name,
			   d->value ? pb_pack(d->value, rq->arena) : STR(""), &writes);
	}
	stored_finish(rq, &stored);
	enum code c = db_exec(db, &CREATE, &made, err, db_bytea(key_str(&key)), db_bytea(key_str(&dataset)),
			      db_text(artifact->id), db_bytea(pb_pack(&stored, rq->arena)));
	if (!c && !made)
		c = already_exists("artifacts_pkey", err);
	if (!c)
		c = insert_partitions(rq, db, artifact, &key, &dataset, err);
	return c ? c : writes_run(rq, &writes, err);
}

static enum code catalog_create_artifact(struct request *rq, const DatacatalogCreateArtifactRequest *in,
					 DatacatalogCreateArtifactResponse *ret, struct err *err)
{
	(void)ret;
	auto_free(db_give) struct db *db = NULL;
	DatacatalogDataset dataset = DATACATALOG_DATASET_INIT;
	enum code c = check_artifact(in->artifact, err);

	if (!c)
		c = db_take(catalog_of(rq)->db, &db, err);
	if (!c)
		c = dataset_load(rq, db, in->artifact->dataset, &dataset, err);
	if (!c)
		c = check_partitions(&dataset, in->artifact, rq->arena, err);
	if (!c)
		c = db_begin(db, err);
	if (!c)
		c = insert_artifact(rq, db, in->artifact, err);
	return c ? c : db_commit(db, err);
}
API_THUNK(catalog_create_artifact)

static enum code catalog_get_artifact(struct request *rq, const DatacatalogGetArtifactRequest *in,
				      DatacatalogGetArtifactResponse *ret, struct err *err)
{
	bool by_id = in->query_handle_case == DATACATALOG_GET_ARTIFACT_REQUEST_QUERY_HANDLE_ARTIFACT_ID;
	bool by_tag = in->query_handle_case == DATACATALOG_GET_ARTIFACT_REQUEST_QUERY_HANDLE_TAG_NAME;
	const char *id = by_id ? in->artifact_id : NULL, *tag = by_tag ? in->tag_name : NULL;
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	DatacatalogArtifact **artifacts = NULL;
	size_t n = 0;
	enum code c = check_handle(in->dataset, id, tag, err);

	if (!c)
		c = db_take(catalog_of(rq)->db, &db, err);
	if (!c)
		c = artifact_find(rq, db, in->dataset, id, tag, false, &rows, err);
	if (!c)
		c = artifacts_from_rows(rq, db, rows, &artifacts, &n, err);
	if (!c || c == NOT_FOUND)
		metric_add(c ? catalog_of(rq)->misses : catalog_of(rq)->hits, 1);
	if (!c)
		ret->artifact = artifacts[0];
	return c;
}
API_THUNK(catalog_get_artifact)

const struct api_binding catalog_artifact_rpcs[] = {
	{"CreateArtifact", catalog_create_artifact_api},
	{"GetArtifact", catalog_get_artifact_api},
	{0},
};

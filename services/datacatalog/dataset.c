#include "dataset.h"

#include <strings.h>

#include "flyte/text.h"
#include "pb/pb.h"
#include "validation.h"

static const struct db_stmt CREATE = {
	"dataset_create",
	"INSERT INTO datasets (key, project, domain, name, version, metadata, partition_keys, uuid) "
	"VALUES ($1, $2, $3, $4, $5, $6, $7, coalesce($8::text::uuid, gen_random_uuid())) ON CONFLICT DO NOTHING",
};
static const struct db_stmt GET = {"dataset_get", "SELECT " DATASET_COLUMNS " FROM datasets d WHERE key = $1"};

struct str pack_metadata(const DatacatalogMetadata *m, struct arena *a)
{
	return m ? pb_pack(m, a) : STR("");
}

enum code already_exists(const char *constraint, struct err *err)
{
	return err_set(err, ALREADY_EXISTS,
		       "value with matching already exists (ERROR: duplicate key value violates unique constraint "
		       "\"%s\" (SQLSTATE 23505))",
		       constraint);
}

enum code dataset_from_row(struct request *rq, const struct db_rows *rows, size_t row, int col, DatacatalogDataset *ret,
			   struct err *err)
{
	DatacatalogDataset *keys;
	enum code c =
		pb_unpack_own(DATACATALOG_DATASET_DESC, db_get_str(rows, row, col + 6), rq->arena, (void **)&keys, err);

	if (!c)
		c = pb_unpack_own(DATACATALOG_METADATA_DESC, db_get_str(rows, row, col + 5), rq->arena,
				  (void **)&ret->metadata, err);
	if (c)
		return c;
	ret->id = pb_new(rq->arena, DATACATALOG_DATASET_ID_DESC);
	ret->id->project = db_get_text(rows, row, col, rq->arena);
	ret->id->domain = db_get_text(rows, row, col + 1, rq->arena);
	ret->id->name = db_get_text(rows, row, col + 2, rq->arena);
	ret->id->version = db_get_text(rows, row, col + 3, rq->arena);
	ret->id->uuid = db_get_text(rows, row, col + 4, rq->arena);
	ret->partitionkeys = keys->partitionkeys;
	ret->n_partitionkeys = keys->n_partitionkeys;
	return OK;
}

static enum code missing_dataset(struct request *rq, const DatacatalogDatasetID *id, struct err *err)
{
	DatacatalogDatasetID names = DATACATALOG_DATASET_ID_INIT;

	names.project = id->project;
	names.domain = id->domain;
	names.name = id->name;
	names.version = id->version;
	return err_set(err, NOT_FOUND, "missing entity of type Dataset with identifier %s",
		       message_text(&names, rq->arena));
}

enum code dataset_load(struct request *rq, struct db *db, const DatacatalogDatasetID *id, DatacatalogDataset *ret,
		       struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	struct key key = key_of_dataset(id);
	enum code c = db_query(db, &GET, &rows, err, db_bytea(key_str(&key)));

	if (!c && !db_rows_count(rows))
		return missing_dataset(rq, id, err);
	if (!c)
		c = dataset_from_row(rq, rows, 0, 0, ret, err);
	if (!c && *id->uuid && strcasecmp(id->uuid, ret->id->uuid) != 0)
		c = missing_dataset(rq, id, err);
	return c;
}

static struct str pack_partition_keys(const DatacatalogDataset *dataset, struct arena *a)
{
	DatacatalogDataset keys = DATACATALOG_DATASET_INIT;

	keys.partitionkeys = dataset->partitionkeys;
	keys.n_partitionkeys = dataset->n_partitionkeys;
	return pb_pack(&keys, a);
}

static enum code check_create(struct request *rq, const DatacatalogDataset *dataset, struct err *err)
{
	struct err id, keys;
	enum code a = check_dataset_id(dataset ? dataset->id : NULL, &id);
	enum code b =
		dataset ? check_unique_keys(dataset->partitionkeys, dataset->n_partitionkeys, rq->arena, &keys) : OK;

	if (a && b)
		return err_set(err, INVALID_ARGUMENT, "%s, %s", id.text, keys.text);
	if (a || b)
		return err_set(err, INVALID_ARGUMENT, "%s", a ? id.text : keys.text);
	return OK;
}

static enum code catalog_create_dataset(struct request *rq, const DatacatalogCreateDatasetRequest *in,
					DatacatalogCreateDatasetResponse *ret, struct err *err)
{
	(void)ret;
	const DatacatalogDataset *d = in->dataset;
	auto_free(db_give) struct db *db = NULL;
	int64_t made = 0;
	enum code c = check_create(rq, d, err);

	if (!c)
		c = db_take(catalog_of(rq)->db, &db, err);
	if (c)
		return c;
	struct key key = key_of_dataset(d->id);
	c = db_exec(db, &CREATE, &made, err, db_bytea(key_str(&key)), db_text(d->id->project), db_text(d->id->domain),
		    db_text(d->id->name), db_text(d->id->version), db_bytea(pack_metadata(d->metadata, rq->arena)),
		    db_bytea(pack_partition_keys(d, rq->arena)), db_text(*d->id->uuid ? d->id->uuid : NULL));
	return c || made ? c : already_exists("datasets_pkey", err);
}
API_THUNK(catalog_create_dataset)

static enum code catalog_get_dataset(struct request *rq, const DatacatalogGetDatasetRequest *in,
				     DatacatalogGetDatasetResponse *ret, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	enum code c = check_dataset_id(in->dataset, err);

	if (!c)
		c = db_take(catalog_of(rq)->db, &db, err);
	if (c)
		return c;
	ret->dataset = pb_new(rq->arena, DATACATALOG_DATASET_DESC);
	return dataset_load(rq, db, in->dataset, ret->dataset, err);
}
API_THUNK(catalog_get_dataset)

const struct api_binding catalog_dataset_rpcs[] = {
	{"CreateDataset", catalog_create_dataset_api},
	{"GetDataset", catalog_get_dataset_api},
	{0},
};

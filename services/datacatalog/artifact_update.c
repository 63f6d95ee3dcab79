/* UpdateArtifact replaces data and metadata. The row stays locked from before the objects are written until after, so
 * that two updates do not mix theirs. */
#include "artifact.h"
#include "base/base.h"
#include "pb/pb.h"
#include "validation.h"

static const struct db_stmt UPDATE = {
	"artifact_update",
	"UPDATE artifacts SET stored = $2, updated_at = now() WHERE key = $1",
};

struct update {
	struct request *rq;
	const DatacatalogUpdateArtifactRequest *in;
	struct db_rows *rows; /* ARTIFACT_COLUMNS */
	AlulaStoredArtifact *old, new;
};

/* Where its data lie is said by the dataset that it has, which the request need not name. */
static DatacatalogDatasetID row_dataset(const struct update *u)
{
	DatacatalogDatasetID id = DATACATALOG_DATASET_ID_INIT;
	struct arena *a = u->rq->arena;

	id.project = db_get_text(u->rows, 0, 4, a);
	id.domain = db_get_text(u->rows, 0, 5, a);
	id.name = db_get_text(u->rows, 0, 6, a);
	id.version = db_get_text(u->rows, 0, 7, a);
	return id;
}

static enum code replace_data(struct update *u, struct db *db, struct err *err)
{
	struct arena *a = u->rq->arena;
	auto_writes struct writes writes = {0};
	DatacatalogDatasetID dataset = row_dataset(u);
	const char *id = db_get_text(u->rows, 0, 1, a);
	enum code c = pb_unpack_own(ALULA_STORED_ARTIFACT_DESC, db_get_str(u->rows, 0, 2), a, (void **)&u->old, err);
	if (c)
		return c;

	stored_init(&u->new, pack_metadata(u->in->metadata, a));
	u->new.partitions = u->old->partitions;
	u->new.n_partitions = u->old->n_partitions;
	for (size_t i = 0; i < u->in->n_data; i++) {
		const DatacatalogArtifactData *d = u->in->data[i];
		stored_add(u->rq, &u->new, &dataset, id, d->name, d->value ? pb_pack(d->value, a) : STR(""), &writes);
	}
	stored_finish(u->rq, &u->new);
	c = writes_run(u->rq, &writes, err);
	return c ? c
		 : db_exec(db, &UPDATE, NULL, err, db_bytea(db_get_str(u->rows, 0, 0)), db_bytea(pb_pack(&u->new, a)));
}

static enum code find_and_replace(struct update *u, const char *id, const char *tag, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	enum code c = db_take(catalog_of(u->rq)->db, &db, err);

	if (!c)
		c = db_begin(db, err);
	if (!c)
		c = artifact_find(u->rq, db, u->in->dataset, id, tag, true, &u->rows, err);
	if (!c)
		c = replace_data(u, db, err);
	return c ? c : db_commit(db, err);
}

static enum code catalog_update_artifact(struct request *rq, const DatacatalogUpdateArtifactRequest *in,
					 DatacatalogUpdateArtifactResponse *ret, struct err *err)
{
	bool by_id = in->query_handle_case == DATACATALOG_UPDATE_ARTIFACT_REQUEST_QUERY_HANDLE_ARTIFACT_ID;
	bool by_tag = in->query_handle_case == DATACATALOG_UPDATE_ARTIFACT_REQUEST_QUERY_HANDLE_TAG_NAME;
	const char *id = by_id ? in->artifact_id : NULL, *tag = by_tag ? in->tag_name : NULL;
	struct update u = {.rq = rq, .in = in};
	enum code c = check_handle(in->dataset, id, tag, err);

	if (!c)
		c = check_data(in->data, in->n_data, err);
	if (!c)
		c = find_and_replace(&u, id, tag, err);
	if (!c) {
		stored_remove(rq, u.old, &u.new);
		ret->artifact_id = db_get_text(u.rows, 0, 1, rq->arena);
	}
	db_rows_free(u.rows);
	return c;
}
API_THUNK(catalog_update_artifact)

const struct api_binding catalog_artifact_update_rpcs[] = {
	{"UpdateArtifact", catalog_update_artifact_api},
	{0},
};

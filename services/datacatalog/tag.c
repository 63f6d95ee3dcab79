/* Tags: names of artifacts, each once a dataset. */
#include "artifact.h"
#include "base/base.h"
#include "validation.h"

static const struct db_stmt ADD = {
	"tag_add",
	"INSERT INTO tags (key, artifact, name, overwritten) SELECT $1, key, $3, false FROM artifacts WHERE key = $2 "
	"ON CONFLICT DO NOTHING",
};
static const struct db_stmt ARTIFACT_EXISTS = {"tag_artifact", "SELECT FROM artifacts WHERE key = $1"};

/* Nothing was added: why. */
static enum code explain(struct request *rq, struct db *db, const DatacatalogTag *tag, const struct key *artifact,
			 struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	DatacatalogDataset dataset = DATACATALOG_DATASET_INIT;
	enum code c = dataset_load(rq, db, tag->dataset, &dataset, err);

	if (!c)
		c = db_query(db, &ARTIFACT_EXISTS, &rows, err, db_bytea(key_str(artifact)));
	if (c)
		return c;
	return db_rows_count(rows) ? already_exists("tags_pkey", err)
				   : missing_artifact(rq, tag->dataset, tag->artifact_id, err);
}

static enum code catalog_add_tag(struct request *rq, const DatacatalogAddTagRequest *in, DatacatalogAddTagResponse *ret,
				 struct err *err)
{
	(void)ret;
	auto_free(db_give) struct db *db = NULL;
	int64_t added = 0;
	enum code c = check_tag(in->tag, err);

	if (!c)
		c = db_take(catalog_of(rq)->db, &db, err);
	if (c)
		return c;
	struct key key = key_of_tag(in->tag->dataset, in->tag->name);
	struct key artifact = key_of_artifact(in->tag->dataset, in->tag->artifact_id);
	c = db_exec(db, &ADD, &added, err, db_bytea(key_str(&key)), db_bytea(key_str(&artifact)),
		    db_text(in->tag->name));
	return c || added ? c : explain(rq, db, in->tag, &artifact, err);
}
API_THUNK(catalog_add_tag)

const struct api_binding catalog_tag_rpcs[] = {{"AddTag", catalog_add_tag_api}, {0}};

/* BatchPut: datasets, artifacts and tags of many puts by one statement; then the objects; then the commit. So nothing
 * is written for what was there before, and nobody sees a row whose objects are missing. */
#include "artifact.h"
#include "base/base.h"
#include "batch.h"
#include "pb/pb.h"
#include "validation.h"

/* Every statement goes through keys in their order, so that batches never wait for each other in a circle. */
static const struct db_stmt PUT = {
	"batch_put",
	"WITH w AS (SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::text[], "
	"$7::bytea[], $8::text[], $9::bytea[], $10::text[], $11::bytea[], $12::bool[]) AS w (tag, dataset, project, "
	"domain, name, version, metadata, tag_name, artifact, id, stored, overwrite)), "
	"ds AS (INSERT INTO datasets (key, project, domain, name, version, metadata, partition_keys) "
	"SELECT DISTINCT ON (dataset) dataset, project, domain, name, version, metadata, ''::bytea FROM w "
	"ORDER BY dataset ON CONFLICT DO NOTHING), "
	"made AS (INSERT INTO tags AS t (key, artifact, name, overwritten) "
	"SELECT tag, artifact, tag_name, overwrite FROM w ORDER BY tag ON CONFLICT (key) DO UPDATE "
	"SET artifact = excluded.artifact, overwritten = true WHERE excluded.overwritten RETURNING key), "
	"put AS (INSERT INTO artifacts (key, dataset, id, stored) "
	"SELECT artifact, dataset, id, stored FROM w JOIN made ON made.key = w.tag ORDER BY artifact "
	"ON CONFLICT (key) DO UPDATE SET stored = excluded.stored, updated_at = now()) "
	"SELECT key FROM made",
};
/* What overwriting replaces; locked, so that it is not replaced meanwhile. */
static const struct db_stmt REPLACED = {
	"batch_put_replaced",
	"SELECT artifact FROM tags WHERE key = ANY($1) ORDER BY key FOR UPDATE",
};
static const struct db_stmt DELETE_REPLACED = {
	"batch_put_delete",
	"DELETE FROM artifacts a WHERE key = ANY($1) AND NOT EXISTS (SELECT FROM tags t WHERE t.artifact = a.key) "
	"RETURNING stored",
};
static const struct db_stmt EXISTING = {
	"batch_put_existing",
	"SELECT t.key, a.id FROM tags t JOIN artifacts a ON a.key = t.artifact WHERE t.key = ANY($1)",
};

enum { COLUMNS = 12 };
enum column { TAG, DATASET, PROJECT, DOMAIN, NAME, VERSION, METADATA, TAG_NAME, ARTIFACT, ID, STORED, OVERWRITE };

struct put {
	const AlulaCatalogPut *in;
	AlulaCatalogPutResult *result;
	struct key tag, artifact;
	size_t first_write, n_writes;
	bool made;
};

struct batch {
	struct request *rq;
	struct put *puts;
	size_t n;
	struct map *by_tag; /* the first put of each tag */
	struct map *by_artifact;
	struct writes writes;
	struct db_array *columns[COLUMNS], *overwrites;
	size_t n_overwrites;
	struct db_rows *replaced, *deleted;
};

static void batch_clear(struct batch *b)
{
	map_free(b->by_tag);
	map_free(b->by_artifact);
	writes_clear(&b->writes);
	db_rows_free(b->replaced);
	db_rows_free(b->deleted);
}

static void batch_init(struct batch *b, struct request *rq, size_t n)
{
	const struct db_param bytes = db_bytea(STR("")), text = db_text("");
	const struct db_param kinds[COLUMNS] = {bytes, bytes, text,  text, text,  text,
						bytes, text,  bytes, text, bytes, db_bool(false)};

	b->rq = rq;
	b->puts = arena_array(rq->arena, struct put, n);
	b->n = n;
	b->by_tag = map_new();
	b->by_artifact = map_new();
	for (int i = 0; i < COLUMNS; i++)
		b->columns[i] = db_array_new(rq->arena, kinds[i]);
	b->overwrites = db_array_new(rq->arena, bytes);
}

static enum code check_put(const AlulaCatalogPut *in, struct err *err)
{
	auto_free(map_free) struct map *names = map_new();
	enum code c = check_key(in->key, err);

	if (!c)
		c = check_text(in->artifact_id, "artifactID", err);
	if (!c && !in->n_values)
		c = err_set(err, INVALID_ARGUMENT, "missing artifactData");
	for (size_t i = 0; !c && i < in->n_values; i++) {
		const AlulaCatalogValue *v = in->values[i];
		c = check_text(v->name, "artifactData name", err);
		if (!c && map_put(names, str_of(v->name), (void *)v))
			c = err_set(err, INVALID_ARGUMENT, "invalid value for artifactData, value:[%s is there twice]",
				    v->name);
		if (!c)
			c = pb_scan(CORE_LITERAL_DESC, (struct str){(const char *)v->literal.data, v->literal.len},
				    err);
	}
	return c;
}

static struct str stored_of(struct batch *b, struct put *p)
{
	const AlulaCatalogPut *in = p->in;
	AlulaStoredArtifact stored;

	stored_init(&stored, pack_metadata(in->metadata, b->rq->arena));
	p->first_write = b->writes.n;
	for (size_t i = 0; i < in->n_values; i++)
		stored_add(b->rq, &stored, in->key->dataset, in->artifact_id, in->values[i]->name,
			   (struct str){(const char *)in->values[i]->literal.data, in->values[i]->literal.len},
			   &b->writes);
	p->n_writes = b->writes.n - p->first_write;
	stored_finish(b->rq, &stored);
	return pb_pack(&stored, b->rq->arena);
}

static void add_columns(struct batch *b, struct put *p)
{
	const DatacatalogDatasetID *id = p->in->key->dataset;
	struct key dataset = key_of_dataset(id);
	const struct db_param row[COLUMNS] = {
		[TAG] = db_bytea(key_str(&p->tag)),
		[DATASET] = db_bytea(key_str(&dataset)),
		[PROJECT] = db_text(id->project),
		[DOMAIN] = db_text(id->domain),
		[NAME] = db_text(id->name),
		[VERSION] = db_text(id->version),
		[METADATA] = db_bytea(pack_metadata(p->in->dataset_metadata, b->rq->arena)),
		[TAG_NAME] = db_text(p->in->key->tag),
		[ARTIFACT] = db_bytea(key_str(&p->artifact)),
		[ID] = db_text(p->in->artifact_id),
		[STORED] = db_bytea(stored_of(b, p)),
		[OVERWRITE] = db_bool(p->in->overwrite),
	};

	for (int i = 0; i < COLUMNS; i++)
		db_array_add(b->columns[i], row[i]);
	if (p->in->overwrite) {
		db_array_add(b->overwrites, db_bytea(key_str(&p->tag)));
		b->n_overwrites++;
	}
}

/* A bad put gets its error; of several with one tag the first is put. */
static void add_put(struct batch *b, struct put *p)
{
	struct err bad = {.code = OK, .text = ""};
	enum code c = check_put(p->in, &bad);

	if (!c) {
		p->tag = key_of_tag(p->in->key->dataset, p->in->key->tag);
		p->artifact = key_of_artifact(p->in->key->dataset, p->in->artifact_id);
		if (map_get(b->by_tag, key_str(&p->tag)))
			return;
		if (map_get(b->by_artifact, key_str(&p->artifact)))
			c = err_set(&bad, INVALID_ARGUMENT, "another put of the batch has artifactID %s",
				    p->in->artifact_id);
	}
	if (c) {
		p->result->code = bad.code;
		p->result->error = arena_strdup(b->rq->arena, bad.text);
		return;
	}
	map_put(b->by_tag, key_str(&p->tag), p);
	map_put(b->by_artifact, key_str(&p->artifact), p);
	add_columns(b, p);
}

static enum code insert(struct batch *b, struct db *db, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *made = NULL;
	struct db_param params[COLUMNS];
	enum code c = OK;

	if (b->n_overwrites)
		c = db_query(db, &REPLACED, &b->replaced, err, db_array(b->overwrites));
	for (int i = 0; i < COLUMNS; i++)
		params[i] = db_array(b->columns[i]);
	if (!c)
		c = db_query_params(db, &PUT, COLUMNS, params, &made, err);
	for (size_t i = 0; !c && i < db_rows_count(made); i++) {
		struct put *p = map_get(b->by_tag, db_get_str(made, i, 0));
		p->made = true;
	}
	return c;
}

static enum code delete_replaced(struct batch *b, struct db *db, struct err *err)
{
	struct db_array *keys = db_array_new(b->rq->arena, db_bytea(STR("")));

	if (!b->replaced || !db_rows_count(b->replaced))
		return OK;
	for (size_t i = 0; i < db_rows_count(b->replaced); i++)
		db_array_add(keys, db_bytea(db_get_str(b->replaced, i, 0)));
	return db_query(db, &DELETE_REPLACED, &b->deleted, err, db_array(keys));
}

static enum code write_made(struct batch *b, struct err *err)
{
	auto_writes struct writes writes = {0};

	for (size_t i = 0; i < b->n; i++)
		for (size_t k = 0; b->puts[i].made && k < b->puts[i].n_writes; k++) {
			vec_reserve(&writes, 1);
			writes.at[writes.n++] = b->writes.at[b->puts[i].first_write + k];
		}
	return writes_run(b->rq, &writes, err);
}

static void remove_replaced(struct batch *b)
{
	for (size_t i = 0; b->deleted && i < db_rows_count(b->deleted); i++) {
		AlulaStoredArtifact *old;
		if (pb_unpack_own(ALULA_STORED_ARTIFACT_DESC, db_get_str(b->deleted, i, 0), b->rq->arena, (void **)&old,
				  NULL) == OK)
			stored_remove(b->rq, old, NULL);
	}
}

/* What the tags have that were there before. */
static enum code tell_existing(struct batch *b, struct db *db, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	auto_free(map_free) struct map *ids = map_new();
	struct db_array *keys = db_array_new(b->rq->arena, db_bytea(STR("")));
	enum code c;

	for (size_t i = 0; i < b->n; i++)
		if (b->puts[i].result->code == OK && !b->puts[i].made)
			db_array_add(keys, db_bytea(key_str(&b->puts[i].tag)));
	c = db_query(db, &EXISTING, &rows, err, db_array(keys));
	for (size_t i = 0; !c && i < db_rows_count(rows); i++)
		map_put(ids, db_get_str(rows, i, 0), db_get_text(rows, i, 1, b->rq->arena));
	for (size_t i = 0; !c && i < b->n; i++) {
		struct put *p = &b->puts[i];
		const char *id = p->result->code == OK && !p->made ? map_get(ids, key_str(&p->tag)) : NULL;
		if (!id)
			continue;
		p->result->existed = true;
		p->result->artifact_id = (char *)id;
	}
	return c;
}

static enum code put_all(struct batch *b, struct db *db, struct err *err)
{
	enum code c = db_begin(db, err);

	if (!c)
		c = insert(b, db, err);
	if (!c)
		c = delete_replaced(b, db, err);
	if (!c)
		c = write_made(b, err);
	return c ? c : db_commit(db, err);
}

static enum code batch_put(struct request *rq, const AlulaBatchPutRequest *in, AlulaBatchPutResponse *ret,
			   struct err *err)
{
	__attribute__((cleanup(batch_clear))) struct batch b = {0};
	auto_free(db_give) struct db *db = NULL;
	size_t left = 0;
	enum code c = check_batch(rq, in->n_puts, err);

	if (c)
		return c;
	batch_init(&b, rq, in->n_puts);
	for (size_t i = 0; i < in->n_puts; i++) {
		b.puts[i].in = in->puts[i];
		b.puts[i].result = pb_new(rq->arena, ALULA_CATALOG_PUT_RESULT_DESC);
		*PB_ADD(rq->arena, ret->results, ret->n_results) = b.puts[i].result;
		add_put(&b, &b.puts[i]);
	}
	if (!map_count(b.by_tag))
		return OK;
	c = db_take(catalog_of(rq)->db, &db, err);
	if (!c)
		c = put_all(&b, db, err);
	if (c)
		return c;
	remove_replaced(&b);
	for (size_t i = 0; i < b.n; i++) {
		b.puts[i].result->artifact_id = b.puts[i].made ? b.puts[i].in->artifact_id : "";
		left += b.puts[i].result->code == OK && !b.puts[i].made;
	}
	return left ? tell_existing(&b, db, err) : OK;
}
API_THUNK(batch_put)

const struct api_binding catalog_batch_put_rpcs[] = {{"BatchPut", batch_put_api}, {0}};

/* Batched look-ups and reservations, for propeller. What a row has goes out as it is: nothing is unpacked here. */
#include "batch.h"

#include "base/base.h"
#include "pb/pb.h"
#include "reservation.h"
#include "validation.h"

static const struct db_stmt GET = {
	"batch_get",
	"SELECT w.n, a.id, a.stored, d.metadata, a.created_at "
	"FROM unnest($1::bytea[]) WITH ORDINALITY AS w (key, n) JOIN tags t ON t.key = w.key "
	"JOIN artifacts a ON a.key = t.artifact JOIN datasets d ON d.key = a.dataset",
};

enum code check_batch(struct request *rq, size_t n, struct err *err)
{
	int64_t most = catalog_of(rq)->config->max_batch;

	return n <= (size_t)most ? OK
				 : err_set(err, INVALID_ARGUMENT, "%zu items are more than the %lld of one batch", n,
					   (long long)most);
}

enum code check_key(const AlulaCatalogKey *key, struct err *err)
{
	if (!key)
		return err_set(err, INVALID_ARGUMENT, "missing key");
	enum code c = check_dataset_id(key->dataset, err);
	return c ? c : check_text(key->tag, "tagName", err);
}

static void fill_entry(struct request *rq, const struct db_rows *rows, size_t row, AlulaCatalogEntry *e)
{
	struct str artifact = db_get_str(rows, row, 2), metadata = db_get_str(rows, row, 3);

	e->code = OK;
	e->error = "";
	e->artifact_id = db_get_text(rows, row, 1, rq->arena);
	e->artifact.data = arena_dup(rq->arena, artifact.ptr, artifact.len);
	e->artifact.len = artifact.len;
	e->dataset_metadata.data = arena_dup(rq->arena, metadata.ptr, metadata.len);
	e->dataset_metadata.len = metadata.len;
	e->created_at = pb_timestamp(rq->arena, db_get_time_us(rows, row, 4));
}

static enum code look_up(struct request *rq, struct db_array *keys, AlulaBatchGetResponse *ret, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = db_take(catalog_of(rq)->db, &db, err);

	if (!c)
		c = db_query(db, &GET, &rows, err, db_array(keys));
	if (c)
		return c;
	for (size_t i = 0; i < db_rows_count(rows); i++)
		fill_entry(rq, rows, i, ret->entries[db_get_i64(rows, i, 0) - 1]);
	metric_add(catalog_of(rq)->hits, (int64_t)db_rows_count(rows));
	metric_add(catalog_of(rq)->misses, (int64_t)(ret->n_entries - db_rows_count(rows)));
	return OK;
}

static enum code batch_get(struct request *rq, const AlulaBatchGetRequest *in, AlulaBatchGetResponse *ret,
			   struct err *err)
{
	struct db_array *keys = db_array_new(rq->arena, db_bytea(STR("")));
	enum code c = check_batch(rq, in->n_keys, err);

	if (c)
		return c;
	for (size_t i = 0; i < in->n_keys; i++) {
		AlulaCatalogEntry *e = pb_new(rq->arena, ALULA_CATALOG_ENTRY_DESC);
		struct err bad = {.code = NOT_FOUND, .text = "no such tag"};
		*PB_ADD(rq->arena, ret->entries, ret->n_entries) = e;
		if (check_key(in->keys[i], &bad) == OK) {
			struct key key = key_of_tag(in->keys[i]->dataset, in->keys[i]->tag);
			db_array_add(keys, db_bytea(key_str(&key)));
		} else {
			db_array_add(keys, db_null());
		}
		e->code = bad.code;
		e->error = arena_strdup(rq->arena, bad.text);
	}
	return in->n_keys ? look_up(rq, keys, ret, err) : OK;
}
API_THUNK(batch_get)

/* Items that are well-formed become `reserves`; `index` says whose each is. */
static size_t read_reserves(struct request *rq, AlulaCatalogReserve *const *items, size_t n, struct reserve *reserves,
			    size_t *index, struct err *bad)
{
	size_t good = 0;

	for (size_t i = 0; i < n; i++) {
		struct reserve r = {.owner = items[i]->owner_id};
		enum code c = check_key(items[i]->key, &bad[i]);
		if (!c)
			c = check_text(r.owner, "owner_id", &bad[i]);
		if (!c)
			c = heartbeat_of(catalog_of(rq), items[i]->heartbeat_interval, &r.heartbeat_us, &bad[i]);
		if (c)
			continue;
		bad[i] = (struct err){.code = OK, .text = ""};
		r.key = key_of_tag(items[i]->key->dataset, items[i]->key->tag);
		index[good] = i;
		reserves[good++] = r;
	}
	return good;
}

struct reserve_batch {
	struct reserve *reserves;
	size_t *index, n;
	struct err *bad;
	struct db *db;
};

static void reserve_batch_clear(struct reserve_batch *b)
{
	free(b->bad);
	db_give(b->db);
}

static enum code reserve_batch_init(struct request *rq, AlulaCatalogReserve *const *items, size_t n,
				    struct reserve_batch *ret, struct err *err)
{
	enum code c = check_batch(rq, n, err);

	if (c)
		return c;
	ret->reserves = arena_array(rq->arena, struct reserve, n);
	ret->index = arena_array(rq->arena, size_t, n);
	ret->bad = x_calloc(n + 1, sizeof *ret->bad);
	ret->n = read_reserves(rq, items, n, ret->reserves, ret->index, ret->bad);
	return db_take(catalog_of(rq)->db, &ret->db, err);
}

static enum code batch_reserve(struct request *rq, const AlulaBatchReserveRequest *in, AlulaBatchReserveResponse *ret,
			       struct err *err)
{
	__attribute__((cleanup(reserve_batch_clear))) struct reserve_batch b = {0};
	enum code c = reserve_batch_init(rq, in->reserves, in->n_reserves, &b, err);

	if (!c && b.n)
		c = reservations_take(rq, b.db, b.reserves, b.n, err);
	if (c)
		return c;
	for (size_t i = 0; i < in->n_reserves; i++) {
		AlulaCatalogReservation *r = pb_new(rq->arena, ALULA_CATALOG_RESERVATION_DESC);
		*PB_ADD(rq->arena, ret->reservations, ret->n_reservations) = r;
		r->code = b.bad[i].code;
		r->error = arena_strdup(rq->arena, b.bad[i].text);
	}
	for (size_t i = 0; i < b.n; i++) {
		AlulaCatalogReservation *r = ret->reservations[b.index[i]];
		r->owner_id = (char *)b.reserves[i].holder;
		r->expires_at = pb_timestamp(rq->arena, b.reserves[i].expires_us);
	}
	return OK;
}
API_THUNK(batch_reserve)

static enum code batch_release(struct request *rq, const AlulaBatchReleaseRequest *in, AlulaBatchReleaseResponse *ret,
			       struct err *err)
{
	(void)ret;
	__attribute__((cleanup(reserve_batch_clear))) struct reserve_batch b = {0};
	enum code c = reserve_batch_init(rq, in->releases, in->n_releases, &b, err);

	return c || !b.n ? c : reservations_release(rq, b.db, b.reserves, b.n, err);
}
API_THUNK(batch_release)

const struct api_binding catalog_batch_rpcs[] = {
	{"BatchGet", batch_get_api},
	{"BatchReserve", batch_reserve_api},
	{"BatchRelease", batch_release_api},
	{0},
};

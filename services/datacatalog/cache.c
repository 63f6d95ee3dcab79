/* CacheService: outputs by a key that the client computes. Small literals lie in the row; larger ones go to the store,
 * and readers get the URI. Source: flyteidl/cacheservice (v1.16.8); cacheservice/pkg/manager/impl/cache_manager.go. */
#include "artifact.h"
#include "base/base.h"
#include "flyteidl/cacheservice/cacheservice.h"
#include "pb/pb.h"
#include "reservation.h"
#include "validation.h"

static const struct db_stmt GET = {
	"output_get", "SELECT literals, uri, metadata, created_at, updated_at FROM outputs WHERE key = $1"};
/* The row remembers whose place it took, so that the object there can go. */
static const struct db_stmt PUT = {
	"output_put",
	"INSERT INTO outputs AS o (key, id, literals, uri, owned, metadata, replaced) VALUES ($1, $2, $3, $4, $5, $6, '') "
	"ON CONFLICT (key) DO UPDATE SET literals = excluded.literals, uri = excluded.uri, owned = excluded.owned, "
	"metadata = excluded.metadata, replaced = CASE WHEN o.owned THEN o.uri ELSE '' END, updated_at = now() WHERE $7 "
	"RETURNING replaced",
};
static const struct db_stmt DELETE = {
	"output_delete",
	"DELETE FROM outputs WHERE key = $1 RETURNING CASE WHEN owned THEN uri ELSE '' END",
};

static enum code check_output(const CacheserviceCachedOutput *output, struct err *err)
{
	if (!output)
		return err_set(err, INVALID_ARGUMENT, "missing output");
	if (output->output_case == CACHESERVICE_CACHED_OUTPUT_OUTPUT_NOT_SET)
		return err_set(err, INVALID_ARGUMENT, "invalid value for output, value:[]");
	if (!output->metadata || !output->metadata->source_identifier)
		return err_set(err, INVALID_ARGUMENT, "missing source_identifier");
	return output->output_case == CACHESERVICE_CACHED_OUTPUT_OUTPUT_OUTPUT_URI
		       ? check_text(output->output_uri, "output_uri", err)
		       : OK;
}

static enum code missing_output(const char *key, struct err *err)
{
	return err_set(err, NOT_FOUND, "missing entity of type output with identifier %s", key);
}

static void remove_object(struct request *rq, const char *uri)
{
	struct err err;

	if (*uri && store_remove(catalog_of(rq)->store, uri, &err) != OK)
		log_warn("cannot remove a cached output", LOG_STR("uri", uri), LOG_ERR(&err));
}

/* Where a put's literals are. */
struct place {
	struct db_param literals;
	const char *uri;
	bool owned;
};

/* Every put has an object of its own: a reader never sees another one's. */
static enum code place_literals(struct request *rq, const char *key, const CacheserviceCachedOutput *output,
				struct place *ret, struct err *err)
{
	*ret = (struct place){.literals = db_null(), .uri = ""};
	if (output->output_case == CACHESERVICE_CACHED_OUTPUT_OUTPUT_OUTPUT_URI) {
		ret->uri = output->output_uri;
		return OK;
	}
	struct str packed = pb_pack(output->output_literals, rq->arena);
	if (packed.len <= (size_t)catalog_of(rq)->config->inline_bytes) {
		ret->literals = db_bytea(packed);
		return OK;
	}
	char name[21];
	random_name(random_u64(), sizeof name - 1, name);
	ret->owned = true;
	ret->uri = path_of_names(rq->arena, catalog_of(rq)->root,
				 (const char *[]){"cached_outputs", key, name, "literals.pb", NULL});
	return store_put(catalog_of(rq)->store, ret->uri, packed, err);
}

static struct str pack_source(const CacheserviceMetadata *m, struct arena *a)
{
	CacheserviceMetadata kept = CACHESERVICE_METADATA_INIT;

	kept.source_identifier = m->source_identifier;
	kept.key_map = m->key_map;
	return pb_pack(&kept, a);
}

static enum code put_output(struct request *rq, struct db *db, const CacheservicePutCacheRequest *in,
			    const struct place *place, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	struct key key = key_of_name(KEY_OUTPUT, in->key);
	enum code c = db_query(db, &PUT, &rows, err, db_bytea(key_str(&key)), db_text(in->key), place->literals,
			       db_text(place->uri), db_bool(place->owned),
			       db_bytea(pack_source(in->output->metadata, rq->arena)), db_bool(in->overwrite));

	if (!c && !db_rows_count(rows))
		return err_set(err, ALREADY_EXISTS, "Output with key %s already exists", in->key);
	if (!c)
		remove_object(rq, db_get_text(rows, 0, 0, rq->arena));
	return c;
}

static enum code cache_put(struct request *rq, const CacheservicePutCacheRequest *in, CacheservicePutCacheResponse *ret,
			   struct err *err)
{
	(void)ret;
	auto_free(db_give) struct db *db = NULL;
	struct place place = {.uri = ""};
	enum code c = check_text(in->key, "key", err);

	if (!c)
		c = check_output(in->output, err);
	if (!c)
		c = place_literals(rq, in->key, in->output, &place, err);
	if (!c)
		c = db_take(catalog_of(rq)->db, &db, err);
	if (!c)
		c = put_output(rq, db, in, &place, err);
	/* When the connection broke it may be there: a row without its object is worse than the contrary. */
	if (c && c != UNAVAILABLE && place.owned)
		remove_object(rq, place.uri);
	return c;
}
API_THUNK(cache_put)

static enum code output_from_row(struct request *rq, const struct db_rows *rows, CacheserviceCachedOutput *ret,
				 struct err *err)
{
	enum code c = pb_unpack_own(CACHESERVICE_METADATA_DESC, db_get_str(rows, 0, 2), rq->arena,
				    (void **)&ret->metadata, err);
	if (c)
		return c;
	ret->metadata->created_at = pb_timestamp(rq->arena, db_get_time_us(rows, 0, 3));
	ret->metadata->last_updated_at = pb_timestamp(rq->arena, db_get_time_us(rows, 0, 4));
	if (db_is_null(rows, 0, 0)) {
		ret->output_case = CACHESERVICE_CACHED_OUTPUT_OUTPUT_OUTPUT_URI;
		ret->output_uri = db_get_text(rows, 0, 1, rq->arena);
		return OK;
	}
	ret->output_case = CACHESERVICE_CACHED_OUTPUT_OUTPUT_OUTPUT_LITERALS;
	return pb_unpack_own(CORE_LITERAL_MAP_DESC, db_get_str(rows, 0, 0), rq->arena, (void **)&ret->output_literals,
			     err);
}

static enum code cache_get(struct request *rq, const CacheserviceGetCacheRequest *in, CacheserviceGetCacheResponse *ret,
			   struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	struct key key = key_of_name(KEY_OUTPUT, in->key);
	enum code c = check_text(in->key, "key", err);

	if (!c)
		c = db_take(catalog_of(rq)->db, &db, err);
	if (!c)
		c = db_query(db, &GET, &rows, err, db_bytea(key_str(&key)));
	if (c)
		return c;
	metric_add(db_rows_count(rows) ? catalog_of(rq)->hits : catalog_of(rq)->misses, 1);
	if (!db_rows_count(rows))
		return missing_output(in->key, err);
	ret->output = pb_new(rq->arena, CACHESERVICE_CACHED_OUTPUT_DESC);
	return output_from_row(rq, rows, ret->output, err);
}
API_THUNK(cache_get)

static enum code cache_delete(struct request *rq, const CacheserviceDeleteCacheRequest *in,
			      CacheserviceDeleteCacheResponse *ret, struct err *err)
{
	(void)ret;
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	struct key key = key_of_name(KEY_OUTPUT, in->key);
	enum code c = check_text(in->key, "key", err);

	if (!c)
		c = db_take(catalog_of(rq)->db, &db, err);
	if (!c)
		c = db_query(db, &DELETE, &rows, err, db_bytea(key_str(&key)));
	if (!c && !db_rows_count(rows))
		return missing_output(in->key, err);
	if (!c)
		remove_object(rq, db_get_text(rows, 0, 0, rq->arena));
	return c;
}
API_THUNK(cache_delete)

static enum code check_reserve(const char *key, const char *owner, struct err *err)
{
	enum code c = check_text(key, "key", err);

	return c ? c : check_text(owner, "owner_id", err);
}

static enum code cache_get_or_extend(struct request *rq, const CacheserviceGetOrExtendReservationRequest *in,
				     CacheserviceGetOrExtendReservationResponse *ret, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	struct reserve r = {.key = key_of_name(KEY_OUTPUT, in->key), .owner = in->owner_id};
	enum code c = check_reserve(in->key, in->owner_id, err);

	if (!c)
		c = heartbeat_of(catalog_of(rq), in->heartbeat_interval, &r.heartbeat_us, err);
	if (!c)
		c = db_take(catalog_of(rq)->db, &db, err);
	if (!c)
		c = reservations_take(rq, db, &r, 1, err);
	if (c)
		return c;
	ret->reservation = pb_new(rq->arena, CACHESERVICE_RESERVATION_DESC);
	ret->reservation->key = in->key;
	ret->reservation->owner_id = (char *)r.holder;
	ret->reservation->heartbeat_interval = pb_duration(rq->arena, r.heartbeat_us);
	ret->reservation->expires_at = pb_timestamp(rq->arena, r.expires_us);
	return OK;
}
API_THUNK(cache_get_or_extend)

static enum code cache_release(struct request *rq, const CacheserviceReleaseReservationRequest *in,
			       CacheserviceReleaseReservationResponse *ret, struct err *err)
{
	(void)ret;
	auto_free(db_give) struct db *db = NULL;
	struct reserve r = {.key = key_of_name(KEY_OUTPUT, in->key), .owner = in->owner_id};
	enum code c = check_reserve(in->key, in->owner_id, err);

	if (!c)
		c = db_take(catalog_of(rq)->db, &db, err);
	return c ? c : reservations_release(rq, db, &r, 1, err);
}
API_THUNK(cache_release)

const struct api_binding catalog_cache_rpcs[] = {
	{"Get", cache_get_api},
	{"Put", cache_put_api},
	{"Delete", cache_delete_api},
	{"GetOrExtendReservation", cache_get_or_extend_api},
	{"ReleaseReservation", cache_release_api},
	{0},
};

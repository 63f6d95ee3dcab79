#include "reservation.h"

#include "base/base.h"
#include "pb/pb.h"
#include "validation.h"

enum { MAX_TRIES = 10 };
#define SWEEP_US (600 * USEC_PER_SEC)

/* A row that is not ours to take is locked and left as it is; its holder is read from the snapshot, which a rival that
 * committed meanwhile may have made stale: then the row is missing or has expired, and the statement is run again. */
static const struct db_stmt TAKE = {
	"reservations_take",
	"WITH wanted AS (SELECT * FROM unnest($1::bytea[], $2::text[], $3::bigint[]) AS w (key, owner, lasts)), "
	"taken AS (INSERT INTO reservations AS r (key, owner, expires_at) "
	"SELECT key, owner, clock_timestamp() + lasts * interval '1 microsecond' FROM wanted ORDER BY key "
	"ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at "
	"WHERE r.owner = excluded.owner OR r.expires_at <= clock_timestamp() RETURNING key, owner, expires_at) "
	"SELECT w.key, coalesce(t.owner, r.owner), coalesce(t.expires_at, r.expires_at), "
	"t.key IS NOT NULL OR (r.owner <> w.owner AND r.expires_at > clock_timestamp()) "
	"FROM wanted w LEFT JOIN taken t USING (key) LEFT JOIN reservations r ON r.key = w.key",
};
static const struct db_stmt RELEASE = {
	"reservations_release",
	"DELETE FROM reservations r USING unnest($1::bytea[], $2::text[]) AS w (key, owner) "
	"WHERE r.key = w.key AND r.owner = w.owner",
};
/* Waits for nobody who takes one of them. */
static const struct db_stmt SWEEP = {
	"reservations_sweep",
	"DELETE FROM reservations WHERE key = ANY(ARRAY(SELECT key FROM reservations "
	"WHERE expires_at < now() - interval '1 day' LIMIT 10000 FOR UPDATE SKIP LOCKED))",
};

enum code heartbeat_of(const struct catalog *catalog, const PbDuration *d, int64_t *ret, struct err *err)
{
	int64_t us = d ? pb_duration_us(d) : INT64_MAX;

	if (us < 0)
		return err_set(err, INVALID_ARGUMENT, "invalid value for heartbeat_interval, value:[%lld us]",
			       (long long)us);
	*ret = MIN(us, catalog->config->max_heartbeat_us);
	return OK;
}

/* One statement for what has no holder yet; of equal keys the first goes in. */
static enum code try_take(struct request *rq, struct db *db, struct map *by_key, size_t *ret_left, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	struct db_array *keys = db_array_new(rq->arena, db_bytea(STR("")));
	struct db_array *owners = db_array_new(rq->arena, db_text(""));
	struct db_array *lasts = db_array_new(rq->arena, db_i64(0));
	int64_t multiplier = catalog_of(rq)->config->heartbeat_grace_multiplier;
	size_t it = 0;
	void *at;

	*ret_left = 0;
	while (map_next(by_key, &it, NULL, &at)) {
		const struct reserve *r = at;
		if (r->holder)
			continue;
		db_array_add(keys, db_bytea(key_str(&r->key)));
		db_array_add(owners, db_text(r->owner));
		db_array_add(lasts, db_i64(r->heartbeat_us * multiplier));
	}
	enum code c = db_query(db, &TAKE, &rows, err, db_array(keys), db_array(owners), db_array(lasts));
	for (size_t i = 0; !c && i < db_rows_count(rows); i++) {
		struct reserve *r = map_get(by_key, db_get_str(rows, i, 0));
		if (!db_get_bool(rows, i, 3)) {
			++*ret_left;
			continue;
		}
		r->holder = db_get_text(rows, i, 1, rq->arena);
		r->expires_us = db_get_time_us(rows, i, 2);
	}
	return c;
}

static void count(struct request *rq, const struct reserve *reserves, size_t n)
{
	int64_t own = 0;

	for (size_t i = 0; i < n; i++)
		own += strcmp(reserves[i].holder, reserves[i].owner) == 0;
	metric_add(catalog_of(rq)->reserved, own);
	metric_add(catalog_of(rq)->contended, (int64_t)n - own);
}

/* Whoever comes first after a while. That it fails is no matter. */
static void sweep_sometimes(struct catalog *catalog, struct db *db)
{
	int64_t now = time_mono_us(), due = atomic_load(&catalog->sweep_us);

	if (now >= due && atomic_compare_exchange_strong(&catalog->sweep_us, &due, now + SWEEP_US))
		db_exec(db, &SWEEP, NULL, NULL);
}

enum code reservations_take(struct request *rq, struct db *db, struct reserve *reserves, size_t n, struct err *err)
{
	auto_free(map_free) struct map *by_key = map_new();
	size_t left = n;
	enum code c = OK;

	for (size_t i = 0; i < n; i++)
		if (!map_get(by_key, key_str(&reserves[i].key)))
			map_put(by_key, key_str(&reserves[i].key), &reserves[i]);
	for (int i = 0; !c && left && i < MAX_TRIES; i++)
		c = try_take(rq, db, by_key, &left, err);
	if (!c && left)
		c = err_set(err, ABORTED, "%zu reservations change hands too often", left);
	for (size_t i = 0; !c && i < n; i++) {
		const struct reserve *first = map_get(by_key, key_str(&reserves[i].key));
		reserves[i].holder = first->holder;
		reserves[i].expires_us = first->expires_us;
	}
	if (c)
		return c;
	count(rq, reserves, n);
	sweep_sometimes(catalog_of(rq), db);
	return OK;
}

enum code reservations_release(struct request *rq, struct db *db, const struct reserve *reserves, size_t n,
			       struct err *err)
{
	struct db_array *keys = db_array_new(rq->arena, db_bytea(STR("")));
	struct db_array *owners = db_array_new(rq->arena, db_text(""));

	for (size_t i = 0; i < n; i++) {
		db_array_add(keys, db_bytea(key_str(&reserves[i].key)));
		db_array_add(owners, db_text(reserves[i].owner));
	}
	return db_exec(db, &RELEASE, NULL, err, db_array(keys), db_array(owners));
}

static enum code check_reservation(const DatacatalogReservationID *id, const char *owner, struct err *err)
{
	if (!id)
		return err_set(err, INVALID_ARGUMENT, "missing reservation_id");
	enum code c = check_dataset_id(id->dataset_id, err);
	if (!c)
		c = check_text(id->tag_name, "tagName", err);
	return c ? c : check_text(owner, "owner_id", err);
}

static enum code catalog_get_or_extend(struct request *rq, const DatacatalogGetOrExtendReservationRequest *in,
				       DatacatalogGetOrExtendReservationResponse *ret, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	struct reserve r = {.owner = in->owner_id};
	enum code c = check_reservation(in->reservation_id, in->owner_id, err);

	if (!c)
		c = heartbeat_of(catalog_of(rq), in->heartbeat_interval, &r.heartbeat_us, err);
	if (!c)
		c = db_take(catalog_of(rq)->db, &db, err);
	if (c)
		return c;
	r.key = key_of_tag(in->reservation_id->dataset_id, in->reservation_id->tag_name);
	c = reservations_take(rq, db, &r, 1, err);
	if (c)
		return c;
	ret->reservation = pb_new(rq->arena, DATACATALOG_RESERVATION_DESC);
	ret->reservation->reservation_id = in->reservation_id;
	ret->reservation->owner_id = (char *)r.holder;
	ret->reservation->heartbeat_interval = pb_duration(rq->arena, r.heartbeat_us);
	ret->reservation->expires_at = pb_timestamp(rq->arena, r.expires_us);
	return OK;
}
API_THUNK(catalog_get_or_extend)

static enum code catalog_release(struct request *rq, const DatacatalogReleaseReservationRequest *in,
				 DatacatalogReleaseReservationResponse *ret, struct err *err)
{
	(void)ret;
	auto_free(db_give) struct db *db = NULL;
	struct reserve r = {.owner = in->owner_id};
	enum code c = check_reservation(in->reservation_id, in->owner_id, err);

	if (!c)
		c = db_take(catalog_of(rq)->db, &db, err);
	if (c)
		return c;
	r.key = key_of_tag(in->reservation_id->dataset_id, in->reservation_id->tag_name);
	return reservations_release(rq, db, &r, 1, err);
}
API_THUNK(catalog_release)

const struct api_binding catalog_reservation_rpcs[] = {
	{"GetOrExtendReservation", catalog_get_or_extend_api},
	{"ReleaseReservation", catalog_release_api},
	{0},
};

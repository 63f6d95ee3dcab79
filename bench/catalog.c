/* Datacatalog: look-ups, puts and reservations by its API, beside the same statement sent to the database directly. */
#include <stdio.h>

#include "alula/catalog.h"
#include "bench.h"
#include "db/db.h"
#include "flyteidl/datacatalog/datacatalog.h"
#include "pb/pb.h"

enum { ENTRIES = 10000, PUT_BATCH = 500, THREADS = 16 };

static const struct db_stmt KEYS = {"bench_keys", "SELECT key FROM tags LIMIT $1"};
static const struct db_stmt PROBE = {
	"bench_probe",
	"SELECT w.n, a.id, a.stored, d.metadata, a.created_at FROM unnest($1::bytea[]) WITH ORDINALITY AS w (key, n) "
	"JOIN tags t ON t.key = w.key JOIN artifacts a ON a.key = t.artifact JOIN datasets d ON d.key = a.dataset",
};

static const struct pb_method *method_of(const struct pb_service *service, const char *name)
{
	for (size_t i = 0; i < service->n_methods; i++)
		if (strcmp(service->methods[i].name, name) == 0)
			return &service->methods[i];
	abort();
}

static AlulaCatalogKey *key_of(struct arena *a, int i)
{
	AlulaCatalogKey *key = pb_new(a, ALULA_CATALOG_KEY_DESC);

	key->dataset = pb_new(a, DATACATALOG_DATASET_ID_DESC);
	key->dataset->project = "bench";
	key->dataset->domain = "development";
	key->dataset->name = "flyte_task-bench.lookups";
	key->dataset->version = "1.0-abcdefgh-ijklmnop";
	key->tag = arena_printf(a, "flyte_cached-bench-%d", i);
	return key;
}

static AlulaCatalogPut *put_of(struct arena *a, int i)
{
	static uint8_t literal[] = {0x0a, 5, 0x0a, 3, 0x08, 0xe8, 0x07}; /* the integer 1000 */
	AlulaCatalogPut *put = pb_new(a, ALULA_CATALOG_PUT_DESC);
	AlulaCatalogValue *value = pb_new(a, ALULA_CATALOG_VALUE_DESC);

	value->name = "o0";
	value->literal.data = literal;
	value->literal.len = sizeof literal;
	put->key = key_of(a, i);
	put->artifact_id = arena_printf(a, "artifact-%d", i);
	*PB_ADD(a, put->values, put->n_values) = value;
	return put;
}

static void put_batch(struct rpc_channel *c, int first, int n)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	AlulaBatchPutRequest in = ALULA_BATCH_PUT_REQUEST_INIT;

	for (int i = 0; i < n; i++)
		*PB_ADD(a, in.puts, in.n_puts) = put_of(a, first + i);
	const AlulaBatchPutResponse *out = call(c, method_of(&ALULA_CATALOG_TABLE, "BatchPut"), &in, a);
	for (size_t i = 0; i < out->n_results; i++)
		if (out->results[i]->code != OK) {
			fprintf(stderr, "bench: put: %s\n", out->results[i]->error);
			exit(1);
		}
}

double catalog_puts(const char *address, int batch, int seconds)
{
	struct rpc_channel *c = connect_to(address);
	int64_t start_us = time_mono_us();
	int n = ENTRIES; /* keys that the look-ups do not ask for */

	for (; time_mono_us() < start_us + seconds * USEC_PER_SEC; n += batch)
		put_batch(c, n, batch);
	double took = (double)(time_mono_us() - start_us) / USEC_PER_SEC;
	rpc_channel_free(c);
	return (n - ENTRIES) / took;
}

struct looking {
	const char *address;
	int batch;
	int64_t until_us;
	_Atomic long n;
};

static void look_up(void *arg, int index)
{
	struct looking *x = arg;
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct rpc_channel *c = connect_to(x->address);
	const struct pb_method *m = method_of(&ALULA_CATALOG_TABLE, "BatchGet");

	for (int at = index * 997; time_mono_us() < x->until_us; at += x->batch, x->n += x->batch) {
		AlulaBatchGetRequest in = ALULA_BATCH_GET_REQUEST_INIT;
		arena_reset(a);
		for (int i = 0; i < x->batch; i++)
			*PB_ADD(a, in.keys, in.n_keys) = key_of(a, (at + i) % ENTRIES);
		const AlulaBatchGetResponse *out = call(c, m, &in, a);
		for (size_t i = 0; i < out->n_entries; i++)
			if (out->entries[i]->code != OK)
				abort();
	}
	rpc_channel_free(c);
}

static double lookups(const char *address, int batch, int seconds, int threads)
{
	struct looking x = {.address = address, .batch = batch};
	struct rpc_channel *c = connect_to(address);

	for (int i = 0; i < ENTRIES; i += PUT_BATCH)
		put_batch(c, i, PUT_BATCH);
	rpc_channel_free(c);
	x.until_us = time_mono_us() + seconds * USEC_PER_SEC;
	on_threads(threads, look_up, &x);
	return (double)x.n / seconds;
}

double catalog_lookups(const char *address, int batch, int seconds)
{
	return lookups(address, batch, seconds, 1);
}

double catalog_lookups_many(const char *address, int batch, int seconds)
{
	return lookups(address, batch, seconds, THREADS);
}

static void get_artifacts(void *arg, int index)
{
	struct looking *x = arg;
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct rpc_channel *c = connect_to(x->address);
	const struct pb_method *m = method_of(&DATACATALOG_DATA_CATALOG_TABLE, "GetArtifact");

	for (int at = index * 997; time_mono_us() < x->until_us; at++, x->n++) {
		DatacatalogGetArtifactRequest in = DATACATALOG_GET_ARTIFACT_REQUEST_INIT;
		arena_reset(a);
		AlulaCatalogKey *key = key_of(a, at % ENTRIES);
		in.dataset = key->dataset;
		in.query_handle_case = DATACATALOG_GET_ARTIFACT_REQUEST_QUERY_HANDLE_TAG_NAME;
		in.tag_name = key->tag;
		call(c, m, &in, a);
	}
	rpc_channel_free(c);
}

double catalog_artifacts(const char *address, int threads, int seconds)
{
	struct looking x = {.address = address};

	x.until_us = time_mono_us() + seconds * USEC_PER_SEC;
	on_threads(threads, get_artifacts, &x);
	return (double)x.n / seconds;
}

double catalog_probes(const char *dsn, int batch, int seconds)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct db_pool *pool = db_pool_new(&(struct db_pool_options){.dsn = dsn, .schema = "datacatalog"});
	struct db_array *keys = db_array_new(a, db_bytea(STR("")));
	struct db_rows *rows = NULL;
	struct db *db = NULL;
	struct err err;
	long n = 0;

	if (db_take(pool, &db, &err) != OK || db_query(db, &KEYS, &rows, &err, db_i64(batch)) != OK)
		fail("keys", &err);
	for (size_t i = 0; i < db_rows_count(rows); i++)
		db_array_add(keys, db_bytea(db_get_str(rows, i, 0)));
	db_rows_free(rows);
	for (int64_t until_us = time_mono_us() + seconds * USEC_PER_SEC; time_mono_us() < until_us; n += batch) {
		if (db_query(db, &PROBE, &rows, &err, db_array(keys)) != OK)
			fail("probe", &err);
		db_rows_free(rows);
	}
	db_give(db);
	db_pool_free(pool);
	return (double)n / seconds;
}

/* What the machine, Postgres and the bus can do at most, by the same libraries as the daemons. */
#include <stdio.h>
#include <unistd.h>

#include "bench.h"
#include "bus/bus.h"
#include "db/db.h"

enum { BUS_WAIT_US = 10000000, TAIL_LOOK_US = 500 };

static const struct db_migration MIGRATIONS[] = {
	{"001_bench", "CREATE TABLE small (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload bytea);"},
	{0},
};
static const struct db_stmt INSERT = {"bench_insert", "INSERT INTO small (payload) VALUES ($1)"};
static const struct db_stmt INSERT_MANY = {"bench_insert_many",
					   "INSERT INTO small (payload) SELECT * FROM unnest($1::bytea[])"};
static const struct db_stmt EMPTY = {"bench_empty", "TRUNCATE small"};

static const char PAYLOAD[200];

static struct db_pool *open_pool(const char *dsn, int connections)
{
	struct db_pool *p = db_pool_new(
		&(struct db_pool_options){.dsn = dsn, .schema = "bench", .max_connections = connections + 1});
	struct err err;

	if (db_migrate(p, MIGRATIONS, &err) != OK)
		fail("migrate", &err);
	return p;
}

static void close_pool(struct db_pool *p)
{
	struct db *db = NULL;

	if (db_take(p, &db, NULL) == OK)
		db_exec(db, &EMPTY, NULL, NULL);
	db_give(db);
	db_pool_free(p);
}

struct committing {
	struct db_pool *pool;
	int64_t until_us;
	_Atomic long n;
};

static void commit_alone(void *arg, int index)
{
	struct committing *x = arg;
	auto_free(db_give) struct db *db = NULL;
	struct err err;

	(void)index;
	if (db_take(x->pool, &db, &err) != OK)
		fail("connect", &err);
	for (; time_mono_us() < x->until_us; x->n++)
		if (db_exec(db, &INSERT, NULL, &err, db_bytea((struct str){PAYLOAD, sizeof PAYLOAD})) != OK)
			fail("insert", &err);
}

double commits(const char *dsn, int connections, int seconds)
{
	struct committing x = {.pool = open_pool(dsn, connections)};

	x.until_us = time_mono_us() + seconds * USEC_PER_SEC;
	on_threads(connections, commit_alone, &x);
	close_pool(x.pool);
	return (double)x.n / seconds;
}

double rows(const char *dsn, int batch, int seconds)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct db_pool *pool = open_pool(dsn, 1);
	struct db_array *x = db_array_new(a, db_bytea(STR("")));
	struct db *db = NULL;
	struct err err;
	long n = 0;

	for (int i = 0; i < batch; i++)
		db_array_add(x, db_bytea((struct str){PAYLOAD, sizeof PAYLOAD}));
	if (db_take(pool, &db, &err) != OK)
		fail("connect", &err);
	for (int64_t until_us = time_mono_us() + seconds * USEC_PER_SEC; time_mono_us() < until_us; n += batch)
		if (db_exec(db, &INSERT_MANY, NULL, &err, db_array(x)) != OK)
			fail("insert", &err);
	db_give(db);
	close_pool(pool);
	return (double)n / seconds;
}

double publishes(const char *url, int bytes, int seconds)
{
	struct bus *bus = bus_new(&(struct bus_options){.url = url, .name = "bench"});
	struct bus_stream_config stream = {"BENCH", "bench.>", 64 << 20, 60 * USEC_PER_SEC};
	char *payload = x_calloc(1, (size_t)bytes);
	struct err err;
	uint64_t id = 0;

	if (bus_wait(bus, BUS_WAIT_US, &err) != OK)
		fail("bus", &err);
	struct bus_writer *w = bus_writer_new(bus, &(struct bus_writer_options){.stream = stream});
	if (bus_writer_recover(w, BUS_WAIT_US, &err) != OK)
		fail("stream", &err);
	int64_t start_us = time_mono_us();
	while (time_mono_us() < start_us + seconds * USEC_PER_SEC)
		if (bus_writer_publish(w, "bench.x", (struct str){payload, (size_t)bytes}, ++id, &err) != OK)
			fail("publish", &err);
	while (bus_writer_acked(w) < id)
		usleep(TAIL_LOOK_US);
	double took = (double)(time_mono_us() - start_us) / USEC_PER_SEC;
	bus_writer_free(w);
	bus_free(bus);
	free(payload);
	return (double)id / took;
}

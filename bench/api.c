/* Single calls, as many as there can be, and the statements behind them sent to the database directly. */
#include <stdio.h>

#include "bench.h"
#include "db/db.h"
#include "pb/pb.h"

struct calling {
	const char *address;
	struct rpc_channel *channel; /* NULL: each thread has one of its own */
	const struct pb_method *method;
	const void *in; /* NULL: `make` makes one for each call */
	const void *(*make)(struct arena *a, long n);
	int64_t until_us;
	_Atomic long n;
};

static void call_on(void *arg, int index)
{
	struct calling *x = arg;
	auto_free(rpc_channel_free) struct rpc_channel *own = x->channel ? NULL : connect_to(x->address);
	auto_free(arena_free) struct arena *a = arena_new(0);

	(void)index;
	while (time_mono_us() < x->until_us) {
		long n = x->n++;
		call(own ? own : x->channel, x->method, x->in ? x->in : x->make(a, n), a);
		arena_reset(a);
	}
}

static double call_many(struct calling *x, int threads, int seconds)
{
	int64_t start_us = time_mono_us();

	x->until_us = start_us + seconds * USEC_PER_SEC;
	on_threads(threads, call_on, x);
	return (double)x->n * USEC_PER_SEC / (double)(time_mono_us() - start_us);
}

double get_execution(const char *address, int in_flight, int seconds)
{
	auto_free(rpc_channel_free) struct rpc_channel *c = connect_to(address);
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct calling x = {.channel = c, .method = admin_method("GetExecution")};
	char name[NAME_BYTES];

	finished_execution(c, name);
	x.in = request_of(x.method, a, "{\"id\":{" WHERE ",\"name\":\"%s\"}}", name);
	return call_many(&x, in_flight, seconds);
}

double get_task(const char *address, int in_flight, int seconds)
{
	auto_free(rpc_channel_free) struct rpc_channel *c = connect_to(address);
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct calling x = {.channel = c, .method = admin_method("GetTask")};
	char name[NAME_BYTES];

	register_workflow(c, CHAIN, 1, name);
	x.in = request_of(x.method, a,
			  "{\"id\":{\"resourceType\":\"TASK\"," WHERE ",\"name\":\"%s-echo\",\"version\":\"v1\"}}",
			  name);
	return call_many(&x, in_flight, seconds);
}

double list_executions(const char *address, int in_flight, int seconds)
{
	auto_free(rpc_channel_free) struct rpc_channel *c = connect_to(address);
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct calling x = {.channel = c, .method = admin_method("ListExecutions")};

	x.in = request_of(x.method, a,
			  "{\"id\":{" WHERE
			  "},\"limit\":100,\"sortBy\":{\"key\":\"created_at\",\"direction\":\"DESCENDING\"}}");
	return call_many(&x, in_flight, seconds);
}

static uint64_t run_id;

static const void *new_task(struct arena *a, long n)
{
	return request_of(
		admin_method("CreateTask"), a,
		"{\"id\":{\"resourceType\":\"TASK\"," WHERE
		",\"name\":\"created-%llx\",\"version\":\"v%ld\"},\"spec\":{\"template\":{\"type\":\"echo\",\"metadata\":{"
		"\"runtime\":{\"version\":\"1\",\"type\":\"FLYTE_SDK\"}},\"interface\":{}}}}",
		(unsigned long long)run_id, n);
}

double create_tasks(const char *address, int connections, int seconds)
{
	struct calling x = {.address = address, .method = admin_method("CreateTask"), .make = new_task};

	run_id = random_u64();
	return call_many(&x, connections, seconds);
}

double get_version(const char *address, int connections, int seconds)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct calling x = {.address = address, .method = admin_method("GetVersion")};

	x.in = pb_new(a, x.method->in);
	return call_many(&x, connections, seconds);
}

/* ---- the database alone ---- */

#define COLUMNS                                                                                                        \
	"project, domain, name, phase, created_at, started_at, updated_at, duration, error, outputs_uri, outputs, "    \
	"abort_cause, abort_principal, state, state_changed_at, state_principal, spec, closure FROM executions "
static const struct db_stmt NEWEST = {"bench_newest", "SELECT name FROM executions ORDER BY key DESC LIMIT 1"};
static const struct db_stmt GET = {
	"bench_get",
	"SELECT " COLUMNS "WHERE project = 'flytesnacks' AND domain = 'development' AND name = $1",
};
static const struct db_stmt LIST = {
	"bench_list",
	"SELECT " COLUMNS "WHERE project || '/' || domain = 'flytesnacks/development' AND state = 0 "
	"AND $1::text IS NOT NULL ORDER BY created_at DESC, key DESC LIMIT 100",
};

struct asking {
	struct db_pool *pool;
	const struct db_stmt *stmt;
	int64_t until_us;
	_Atomic long n;
};

static void ask(void *arg, int index)
{
	struct asking *x = arg;
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *newest = NULL;
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct err err;

	(void)index;
	if (db_take(x->pool, &db, &err) != OK || db_query(db, &NEWEST, &newest, &err) != OK)
		fail("connect", &err);
	const char *name = db_rows_count(newest) ? db_get_text(newest, 0, 0, a) : "";
	for (; time_mono_us() < x->until_us; x->n++) {
		auto_free(db_rows_free) struct db_rows *rows = NULL;
		if (db_query(db, x->stmt, &rows, &err, db_text(name)) != OK)
			fail(x->stmt->name, &err);
	}
}

static double ask_many(const char *dsn, const struct db_stmt *stmt, int connections, int seconds)
{
	struct asking x = {.stmt = stmt};

	x.pool = db_pool_new(&(struct db_pool_options){.dsn = dsn, .schema = "admin", .max_connections = connections});
	x.until_us = time_mono_us() + seconds * USEC_PER_SEC;
	on_threads(connections, ask, &x);
	db_pool_free(x.pool);
	return (double)x.n / seconds;
}

double database_gets(const char *dsn, int connections, int seconds)
{
	return ask_many(dsn, &GET, connections, seconds);
}

double database_lists(const char *dsn, int connections, int seconds)
{
	return ask_many(dsn, &LIST, connections, seconds);
}

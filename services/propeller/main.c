/* Propeller: runs executions. This file wires the parts (see propeller.h) and takes them down in the reverse order. */
#include <string.h>
#include <unistd.h>

#include "acts.h"
#include "base/base.h"
#include "committer.h"
#include "config.h"
#include "core.h"
#include "intake.h"
#include "known.h"
#include "relay.h"
#include "shards.h"
#include "sweeper.h"

extern const struct db_migration propeller_migrations[];

static const struct executor_kind *const EXECUTORS[] = {&connector_executor, &process_executor, NULL};

enum { BUS_PATIENCE_US = 10000000 };

/* Threads stop along the stream: first what takes in, last what writes out. */
static void stop_threads(struct propeller *p)
{
	sweeper_stop(take(p->sweeper));
	shards_stop(p->shards);
	intake_stop(p->intake);
	core_stop(p->core);
	committer_stop(p->committer);
	relay_stop(p->relay);
}

static void propeller_close(void *state)
{
	struct propeller *p = state;

	stop_threads(p);
	store_stop(p->store); /* its callbacks know the parts */
	acts_free(p->acts);
	shards_leave(p->shards);
	shards_free(p->shards);
	intake_free(p->intake);
	core_free(p->core);
	committer_free(p->committer);
	relay_free(p->relay);
	known_free(p->known);
	bus_free(p->bus);
	store_free(p->store);
	db_pool_free(p->db);
	free(p->metadata_root);
	free(p->name);
	free(p);
}

static enum code open_database(struct propeller *p, struct err *err)
{
	auto_buf struct buf dsn = {0};
	enum code c = database_dsn(&p->config->database, &dsn, err);
	if (c)
		return c;

	struct db_pool_options options = {
		.dsn = buf_text(&dsn),
		.schema = "propeller",
		.max_connections = (int)p->config->database.max_connections,
		.keyed = true,
		.metrics = p->metrics,
		.metrics_prefix = "propeller:db",
	};
	p->db = db_pool_new(&options);
	return db_migrate(p->db, propeller_migrations, err);
}

static enum code open_store(struct propeller *p, struct err *err)
{
	struct store_options options = {
		.type = p->config->storage.type,
		.root = p->config->storage.container,
		.durable = p->config->storage.durable,
	};
	enum code c = store_new(&options, &p->store, err);

	if (!c)
		p->metadata_root = x_printf("%s/%s", store_root(p->store), p->config->metadata_prefix);
	return c;
}

static void open_parts(struct propeller *p)
{
	p->known = known_new();
	p->acts = acts_new(p);
	p->core = core_new(p);
	p->committer = committer_new(p);
	p->relay = relay_new(p);
	p->intake = intake_new(p);
	p->shards = shards_new(p);
}

static void start_threads(struct propeller *p)
{
	relay_start(p->relay);
	committer_start(p->committer);
	core_start(p->core);
	intake_start(p->intake);
	shards_start(p->shards);
	p->sweeper = sweeper_start(p);
}

static enum code open_all(struct propeller *p, struct err *err)
{
	enum code c = open_database(p, err);

	if (!c)
		c = open_store(p, err);
	if (c)
		return c;
	struct bus_options bus = {.url = p->config->bus.url, .name = "alula-propeller", .metrics = p->metrics};
	p->bus = bus_new(&bus);
	c = bus_wait(p->bus, BUS_PATIENCE_US, err);
	if (c)
		return c;
	open_parts(p);
	c = shards_register(p->shards, err);
	if (!c)
		c = acts_open(p->acts, err);
	if (!c)
		start_threads(p);
	return c;
}

/* An empty name is the host's. */
static void set_name(struct propeller *p)
{
	char host[256] = "propeller";

	gethostname(host, sizeof host - 1);
	p->name = x_strdup(*p->config->name ? p->config->name : host);
}

static enum code propeller_open(struct service_context *ctx, void **ret, struct err *err)
{
	struct propeller *p = x_calloc(1, sizeof *p);

	p->config = ctx->config;
	p->executors = EXECUTORS;
	p->metrics = ctx->metrics;
	p->loop = ctx->loop;
	set_name(p);
	enum code c = open_all(p, err);
	if (c) {
		propeller_close(p);
		return c;
	}
	*ret = p;
	return OK;
}

/* Running attempts stay: the next process finds them. */
static void propeller_drain(void *state, int64_t grace_us)
{
	(void)grace_us;
	stop_threads(state);
}

static bool propeller_healthy(void *state, struct buf *why)
{
	struct propeller *p = state;

	if (bus_connected(p->bus))
		return true;
	buf_adds(why, "no connection to the bus; executions go on, their events wait in the journal");
	return false;
}

static const struct service propeller = {
	.name = "propeller",
	.text = "Runs workflow executions: takes commands from the bus, keeps a journal in Postgres, emits events.",
	.keys = propeller_keys,
	.config_size = sizeof(struct propeller_config),
	.open = propeller_open,
	.drain = propeller_drain,
	.close = propeller_close,
	.healthy = propeller_healthy,
};

int main(int argc, char **argv)
{
	return service_main(&propeller, argc, argv);
}

/* The database's pools, and the commands that prepare it: migrate run | status | seed-projects.
 * Source: flyteadmin cmd/entrypoints/migrate.go (v1.16.8). */
#include <stdio.h>

#include "admin.h"
#include "base/base.h"
#include "flyte/shard.h"

static struct db_pool *open_pool(struct admin *admin, const char *dsn, int64_t connections, const char *metrics_prefix,
				 bool keyed, struct db_pool *replica)
{
	struct db_pool_options options = {
		.dsn = dsn,
		.schema = "admin",
		.max_connections = (int)connections,
		.slow_query_us = admin->config->slow_query_us,
		.metrics = admin->metrics,
		.metrics_prefix = metrics_prefix,
		.timed = admin_database_series,
		.timed_prefix = "flyte:admin:admin:database",
		.keyed = keyed,
		.replica = replica,
	};
	return db_pool_new(&options);
}

/* A replica differs from the primary by its host, or has a DSN of its own. */
static enum code open_replica(struct admin *admin, struct err *err)
{
	const struct admin_config *config = admin->config;
	struct database_config database = config->database;
	auto_buf struct buf dsn = {0};

	if (!*config->replica_host && !*config->replica_dsn)
		return OK;
	if (!*config->replica_dsn && *database.dsn)
		return err_set(err, INVALID_ARGUMENT,
			       "database.postgres.readReplicaHost does not go with database.dsn: set "
			       "database.readReplicaDsn");
	database.host = config->replica_host;
	database.dsn = config->replica_dsn;
	enum code c = database_dsn(&database, &dsn, err);
	if (!c)
		admin->replica = open_pool(admin, buf_text(&dsn), database.max_connections, "flyte:admin:replica_db",
					   false, NULL);
	return c;
}

enum code admin_open_pools(struct admin *admin, struct err *err)
{
	const struct admin_config *config = admin->config;
	auto_buf struct buf dsn = {0};
	enum code c = database_dsn(&config->database, &dsn, err);

	if (!c)
		c = open_replica(admin, err);
	if (c)
		return c;
	admin->db = open_pool(admin, buf_text(&dsn), config->database.max_connections, "flyte:admin:db", false,
			      admin->replica);
	/* Each lane of events keeps a connection for itself. */
	admin->data_db = open_pool(admin, buf_text(&dsn), config->data_proxy_connections + LANES, "flyte:admin:data_db",
				   true, NULL);
	return OK;
}

/* ---- commands ---- */

static enum code run(struct admin *admin, int argc, char **argv, struct err *err)
{
	(void)argc, (void)argv;
	return db_migrate(admin->db, admin_migrations, err);
}

static enum code status(struct admin *admin, int argc, char **argv, struct err *err)
{
	(void)argc, (void)argv;
	static const char *const WORDS[] = {"applied", "pending", "changed", "unknown"};
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct db_migration_status *rows;
	size_t n, bad = 0;
	enum code c = db_migration_status(admin->db, admin_migrations, a, &rows, &n, err);

	for (size_t i = 0; !c && i < n; i++) {
		printf("%-8s  %s\n", WORDS[rows[i].state], rows[i].name);
		bad += rows[i].state >= MIGRATION_CHANGED;
	}
	if (!c && bad)
		return err_set(err, FAILED_PRECONDITION,
			       "the schema has what this program does not know (unknown: the schema is newer, install "
			       "the newer program) or knows otherwise (changed: put the file's text back)");
	return c;
}

/* Those that are named, else those of the configuration. */
static enum code seed(struct admin *admin, int argc, char **argv, struct err *err)
{
	struct config_strings named = {.at = (const char **)argv, .n = (size_t)argc};
	enum code c = db_migrate(admin->db, admin_migrations, err);

	return c ? c : admin_seed_projects(admin, argc ? &named : &admin->config->seed_projects, err);
}

static const struct {
	const char *name;
	enum code (*fn)(struct admin *admin, int argc, char **argv, struct err *err);
	bool takes_names;
} STEPS[] = {{"run", run, false}, {"status", status, false}, {"seed-projects", seed, true}};

static enum code migrate_step(struct admin *admin, int argc, char **argv, struct err *err)
{
	enum code c = INVALID_ARGUMENT;

	err_set(err, c, "migrate what? run, status, or seed-projects [NAME...]");
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(STEPS); i++) {
		if (strcmp(STEPS[i].name, argv[1]) != 0)
			continue;
		if (argc > 2 && !STEPS[i].takes_names)
			return err_set(err, INVALID_ARGUMENT, "migrate %s takes nothing more, and there is %s", argv[1],
				       argv[2]);
		c = admin_open_pools(admin, err);
		if (!c)
			c = STEPS[i].fn(admin, argc - 2, argv + 2, err);
		db_pool_free(admin->data_db);
		db_pool_free(admin->db);
		db_pool_free(admin->replica);
	}
	return c;
}

static int migrate(struct service_context *ctx, int argc, char **argv)
{
	struct admin admin = {.config = ctx->config, .metrics = ctx->metrics};
	struct err err;
	enum code c = migrate_step(&admin, argc, argv, &err);

	if (c)
		fprintf(stderr, "alula-admin: %s\n", err.text);
	return !c ? 0 : c == INVALID_ARGUMENT ? 2 : 1;
}

const struct service_command admin_commands[] = {
	{"migrate", "run: bring the schema up to date; status: what of it is; seed-projects [NAME...]", migrate},
	{0},
};

/* A Postgres of the test's own, and a pool of four connections to it. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "../servers.h"
#include "base/base.h"
#include "db/db.h"

static struct server pg;
static struct db_pool *pool;

static inline struct db_pool *new_pool_of(const char *schema, int max, bool keyed)
{
	char dsn[128];

	snprintf(dsn, sizeof dsn, "host=127.0.0.1 port=%d user=postgres dbname=postgres", pg.port);
	return db_pool_new(&(struct db_pool_options){
		.dsn = dsn, .schema = schema, .max_connections = max, .take_timeout_us = 300000, .keyed = keyed});
}

static inline struct db_pool *new_pool(const char *schema, int max)
{
	return new_pool_of(schema, max, false);
}

static inline int world_start(const struct db_migration *migrations)
{
	struct err err;

	alarm(300);
	postgres_new(&pg);
	pool = new_pool("test", 4);
	enum code c = db_migrate(pool, migrations, &err);
	if (c)
		print_error("%s\n", err.text);
	return c;
}

static inline int world_stop(void **state)
{
	(void)state;
	db_pool_free(pool);
	server_free(&pg, SIGINT);
	return 0;
}

static inline struct db *take_db(void)
{
	struct db *db = NULL;
	struct err err;

	for (int i = 0; i < 100; i++) {
		if (db_take(pool, &db, &err) == OK)
			return db;
		usleep(20000);
	}
	fail_msg("%s", err.text);
	return NULL;
}

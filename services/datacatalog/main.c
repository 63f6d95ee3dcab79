/* Datacatalog: what cached tasks have put out. This file binds the handlers to their services, wires the parts (see
 * datacatalog.h) and takes them down in the reverse order. */
#include "alula/catalog.h"
#include "base/base.h"
#include "datacatalog.h"
#include "flyteidl/cacheservice/cacheservice.h"

extern const struct db_migration datacatalog_migrations[];

static const struct {
	const struct pb_service *service;
	const struct api_binding *bindings;
} BINDINGS[] = {
	{&DATACATALOG_DATA_CATALOG_TABLE, catalog_dataset_rpcs},
	{&DATACATALOG_DATA_CATALOG_TABLE, catalog_artifact_rpcs},
	{&DATACATALOG_DATA_CATALOG_TABLE, catalog_tag_rpcs},
	{&DATACATALOG_DATA_CATALOG_TABLE, catalog_artifact_update_rpcs},
	{&DATACATALOG_DATA_CATALOG_TABLE, catalog_list_rpcs},
	{&DATACATALOG_DATA_CATALOG_TABLE, catalog_reservation_rpcs},
	{&CACHE_SERVICE_TABLE, catalog_cache_rpcs},
	{&ALULA_CATALOG_TABLE, catalog_batch_rpcs},
	{&ALULA_CATALOG_TABLE, catalog_batch_put_rpcs},
};

static enum code open_database(struct catalog *catalog, struct err *err)
{
	const struct catalog_config *config = catalog->config;
	auto_buf struct buf dsn = {0};
	enum code c = database_dsn(&config->database, &dsn, err);
	if (c)
		return c;

	struct db_pool_options options = {
		.dsn = buf_text(&dsn),
		.schema = "datacatalog",
		.max_connections = (int)config->database.max_connections,
		.slow_query_us = config->slow_query_us,
		.metrics = catalog->metrics,
		.metrics_prefix = "datacatalog:db",
	};
	catalog->db = db_pool_new(&options);
	return db_migrate(catalog->db, datacatalog_migrations, err);
}

static enum code open_store(struct catalog *catalog, struct err *err)
{
	const struct catalog_config *config = catalog->config;
	struct store_options options = {
		.type = config->storage.type,
		.root = config->storage.container,
		.durable = config->storage.durable,
	};
	enum code c = store_new(&options, &catalog->store, err);

	if (!c)
		catalog->root = x_printf("%s%s%s", store_root(catalog->store), *config->storage_prefix ? "/" : "",
					 config->storage_prefix);
	return c;
}

static struct metric *counter(struct catalog *catalog, const char *name, const char *help)
{
	auto_mem char *full = x_printf("%s:%s", catalog->config->metrics_scope, name);

	return metrics_counter(catalog->metrics, full, NULL, help);
}

static void open_api(struct catalog *catalog)
{
	struct api_options options = {
		.user = catalog,
		.metrics = catalog->metrics,
		.metrics_prefix = catalog->config->metrics_scope,
	};

	catalog->hits = counter(catalog, "hits", "Look-ups that found something");
	catalog->misses = counter(catalog, "misses", "Look-ups that found nothing");
	catalog->reserved = counter(catalog, "reservation:reservation_acquired", "Reservations taken or extended");
	catalog->contended =
		counter(catalog, "reservation:reservation_already_in_progress", "Reservations that another owner had");
	catalog->api = api_new(&options);
	for (size_t i = 0; i < ARRAY_SIZE(BINDINGS); i++)
		api_bind(catalog->api, BINDINGS[i].service, BINDINGS[i].bindings);
}

static enum code open_rpc(struct catalog *catalog, struct err *err)
{
	const struct catalog_config *config = catalog->config;
	auto_mem char *listen = x_printf("%s:%lld", config->host, (long long)config->grpc_port);
	struct rpc_server_options options = {
		.listen = listen,
		.api = catalog->api,
		.workers = (int)config->grpc_workers,
		.max_receive_bytes = (size_t)config->max_message_bytes,
		.metrics = catalog->metrics,
	};
	enum code c = rpc_server_new(&options, &catalog->rpc, err);

	if (!c)
		rpc_server_set_serving(catalog->rpc, true);
	return c;
}

static void catalog_drain(void *state, int64_t grace_us)
{
	struct catalog *catalog = state;

	rpc_server_stop(take(catalog->rpc), grace_us);
}

static void catalog_close(void *state)
{
	struct catalog *catalog = state;

	catalog_drain(catalog, 0);
	api_free(catalog->api);
	store_free(catalog->store);
	db_pool_free(catalog->db);
	free(catalog->root);
	free(catalog);
}

static enum code catalog_open(struct service_context *ctx, void **ret, struct err *err)
{
	struct catalog *catalog = x_calloc(1, sizeof *catalog);

	catalog->config = ctx->config;
	catalog->metrics = ctx->metrics;
	enum code c = open_database(catalog, err);
	if (!c)
		c = open_store(catalog, err);
	if (!c) {
		open_api(catalog);
		c = open_rpc(catalog, err);
	}
	if (c) {
		catalog_close(catalog);
		return c;
	}
	log_info("serving", LOG_INT("grpc_port", rpc_server_port(catalog->rpc)));
	*ret = catalog;
	return OK;
}

/* Flyte's name of the port. */
static void catalog_adjust(void *config)
{
	struct catalog_config *c = config;

	if (c->profiler_port >= 0)
		c->service.profiler_port = c->profiler_port;
}

static const struct service datacatalog = {
	.name = "datacatalog",
	.text = "Flyte's DataCatalog and CacheService APIs over gRPC: outputs of cached tasks, tags, reservations.",
	.keys = catalog_keys,
	.config_size = sizeof(struct catalog_config),
	.adjust = catalog_adjust,
	.open = catalog_open,
	.drain = catalog_drain,
	.close = catalog_close,
};

int main(int argc, char **argv)
{
	return service_main(&datacatalog, argc, argv);
}

/* Admin: Flyte's control API. This file binds the handlers to their services, wires the parts (see admin.h) and takes
 * them down in the reverse order. */
#include "admin.h"

#include <pthread.h>

#include "base/base.h"
#include "data_proxy.h"
#include "execution.h"
#include "flyte/shard.h"
#include "flyteidl/service/admin.h"
#include "flyteidl/service/auth.h"
#include "flyteidl/service/dataproxy.h"
#include "flyteidl/service/identity.h"
#include "flyteidl/service/signal.h"
#include "gateway/gateway.h"
#include "materialise.h"
#include "registration_limits.h"
#include "retention.h"
#include "rpc/rpc.h"
#include "task_resources.h"

/* ---- what is served ---- */

static const struct {
	const struct pb_service *service;
	const struct api_binding *bindings;
} BINDINGS[] = {
	/* clang-format off */
	{&ADMIN_SERVICE_TABLE, admin_project_rpcs},
	{&ADMIN_SERVICE_TABLE, admin_task_rpcs},
	{&ADMIN_SERVICE_TABLE, admin_workflow_rpcs},
	{&ADMIN_SERVICE_TABLE, admin_launch_plan_rpcs},
	{&ADMIN_SERVICE_TABLE, admin_named_entity_rpcs},
	{&ADMIN_SERVICE_TABLE, admin_description_rpcs},
	{&ADMIN_SERVICE_TABLE, admin_about_rpcs},
	{&ADMIN_SERVICE_TABLE, admin_attributes_rpcs},
	{&ADMIN_SERVICE_TABLE, admin_event_rpcs},
	{&ADMIN_SERVICE_TABLE, admin_execution_metrics_rpcs},
	{&ADMIN_SERVICE_TABLE, admin_execution_parent_rpcs},
	{&ADMIN_SERVICE_TABLE, admin_execution_recover_rpcs},
	{&ADMIN_SERVICE_TABLE, admin_execution_rpcs},
	{&ADMIN_SERVICE_TABLE, admin_node_execution_rpcs},
	{&ADMIN_SERVICE_TABLE, admin_task_execution_rpcs},
	{&SIGNAL_SERVICE_TABLE, admin_signal_rpcs},
	{&DATA_PROXY_SERVICE_TABLE, admin_data_proxy_rpcs},
	{&AUTH_METADATA_SERVICE_TABLE, admin_auth_metadata_rpcs},
	{&IDENTITY_SERVICE_TABLE, admin_identity_rpcs},
	/* clang-format on */
};

static const struct api_together_binding *const TOGETHER[] = {
	admin_task_lookups,           admin_launch_plan_lookups,
	admin_execution_lookups,      admin_execution_create_together,
	admin_node_execution_lookups, admin_task_execution_lookups,
};

static const char *const SLOW_SERVICES[] = {"flyteidl.service.DataProxyService", NULL};

/* They read nothing but the configuration. */
static const char *const QUICK_METHODS[] = {
	"/flyteidl.service.AdminService/GetVersion",
	"/flyteidl.service.AdminService/GetDomains",
	NULL,
};

static void serve_health(struct http_request *rq, struct http_response *rs)
{
	(void)rq;
	http_response_text(rs, 200, "ok");
}

static void serve_api(struct http_request *rq, struct http_response *rs)
{
	struct admin *admin = rq->user;

	if (!gateway_serve(admin->gateway, rq, rs))
		gateway_not_found(rq, rs);
}

static void serve_openapi(struct http_request *rq, struct http_response *rs)
{
	static const char PREFIX[] = "/api/v1/openapi/";
	struct admin *admin = rq->user;
	bool one = strncmp(rq->path, PREFIX, sizeof PREFIX - 1) == 0;

	if (!gateway_openapi(admin->gateway, one ? rq->path + sizeof PREFIX - 1 : "admin", rs))
		gateway_not_found(rq, rs);
}

static const struct http_route ROUTES[] = {
	{.verb = "GET", .path = "/healthcheck", .fn = serve_health, .quick = true},
	{.verb = "GET", .path = "/data/*", .fn = serve_download},
	{.verb = "PUT", .path = "/data/*", .fn = serve_upload, .upload = true, .admit = admit_upload},
	{.verb = "GET", .path = "/logs/*", .fn = serve_log},
	{.verb = "GET", .path = "/api/v1/openapi", .fn = serve_openapi},
	{.verb = "GET", .path = "/api/v1/openapi/*", .fn = serve_openapi},
	{.path = "/*", .fn = serve_api},
	{0},
};

/* ---- the parts, in order of opening ---- */

static enum code open_database(struct admin *admin, struct err *err)
{
	enum code c = admin_open_pools(admin, err);

	if (!c)
		c = db_migrate(admin->db, admin_migrations, err);
	return c ? c : admin_seed_projects(admin, &admin->config->seed_projects, err);
}

static enum code open_store(struct admin *admin, struct err *err)
{
	const struct admin_config *config = admin->config;
	struct store_options options = {
		.type = config->storage.type,
		.root = config->storage.container,
		.durable = config->storage.durable,
		.public_url = config->storage.public_url,
		.secret = str_of(config->storage.secret),
	};
	enum code c = store_new(&options, &admin->store, err);
	if (c)
		return c;

	auto_buf struct buf root = {0};
	buf_adds(&root, store_root(admin->store));
	for (size_t i = 0; i < config->metadata_prefix.n; i++)
		buf_printf(&root, "/%s", config->metadata_prefix.at[i]);
	admin->metadata_root = buf_take(&root, NULL);
	return OK;
}

/* The bus may be away: commands wait in the outbox. */
static void open_bus(struct admin *admin)
{
	struct bus_options bus = {.url = admin->config->bus.url, .name = "alula-admin", .metrics = admin->metrics};
	admin->bus = bus_new(&bus);
	struct outbox_options outbox = {
		.bus = admin->bus,
		.pool = admin->data_db,
		.metrics = admin->metrics,
		.metrics_prefix = "flyte:admin:outbox",
	};
	admin->outbox = outbox_new(&outbox);
	admin->materialiser = materialiser_new(admin);
}

static void open_api(struct admin *admin)
{
	struct api_options options = {.user = admin, .metrics = admin->metrics, .metrics_prefix = "flyte:admin"};

	admin->api = api_new(&options);
	for (size_t i = 0; i < ARRAY_SIZE(BINDINGS); i++)
		api_bind(admin->api, BINDINGS[i].service, BINDINGS[i].bindings);
	for (size_t i = 0; i < ARRAY_SIZE(TOGETHER); i++)
		api_bind_together(admin->api, &ADMIN_SERVICE_TABLE, TOGETHER[i]);
	admin->gateway = gateway_new(admin->api);
}

static enum code open_http(struct admin *admin, struct err *err)
{
	const struct admin_config *config = admin->config;
	const struct config_strings *origins = &config->allowed_origins, *headers = &config->allowed_headers;
	admin->cors = (struct http_cors){origins->at, headers->at, origins->n, headers->n};
	auto_mem char *listen = x_printf("%s:%lld", config->host, (long long)config->http_port);
	struct http_server_options options = {
		.listen = listen,
		.routes = ROUTES,
		.user = admin,
		.workers = (int)config->http_workers,
		.max_body_bytes = (size_t)config->max_message_bytes,
		.max_upload_bytes = (uint64_t)config->max_upload_bytes,
		.upload_dir = store_upload_dir(admin->store),
		.metrics = admin->metrics,
		.cors = config->allow_cors ? &admin->cors : NULL,
	};
	return http_server_new(&options, &admin->http, err);
}

static enum code open_rpc(struct admin *admin, struct err *err)
{
	const struct admin_config *config = admin->config;
	auto_mem char *listen = x_printf("%s:%lld", config->host, (long long)config->grpc_port);
	struct rpc_server_options options = {
		.listen = listen,
		.api = admin->api,
		.workers = (int)config->grpc_workers,
		.max_receive_bytes = (size_t)config->max_message_bytes,
		.metrics = admin->metrics,
		.slow_services = SLOW_SERVICES,
		.slow_workers = (int)config->data_proxy_workers,
		.quick_methods = QUICK_METHODS,
	};
	return rpc_server_new(&options, &admin->rpc, err);
}

static enum code open_all(struct admin *admin, struct err *err)
{
	enum code c = open_database(admin, err);

	if (!c)
		c = open_store(admin, err);
	if (c)
		return c;
	open_bus(admin);
	open_api(admin);
	c = open_http(admin, err);
	if (!c)
		c = open_rpc(admin, err);
	if (c)
		return c;
	admin->retention = retention_new(admin);
	rpc_server_set_serving(admin->rpc, true);
	return OK;
}

/* ---- the service ---- */

struct http_stop {
	struct http_server *http;
	int64_t grace_us;
};

static void *stop_http(void *arg)
{
	struct http_stop *stop = arg;

	http_server_stop(stop->http, stop->grace_us);
	return NULL;
}

/* Both at once: while the one waits for what is under way, the other must not go on taking work. HTTP is closed first,
 * since gRPC is what tells clients that this admin ends. */
static void stop_serving(struct admin *admin, int64_t grace_us)
{
	struct http_stop stop = {take(admin->http), grace_us};
	pthread_t thread;

	http_server_drain(stop.http);
	bool started = pthread_create(&thread, NULL, stop_http, &stop) == 0;

	rpc_server_stop(take(admin->rpc), grace_us);
	if (started)
		pthread_join(thread, NULL);
	else
		stop_http(&stop);
}

static void admin_close(void *state)
{
	struct admin *admin = state;

	stop_serving(admin, 0);
	retention_free(admin->retention);
	gateway_free(admin->gateway);
	api_free(admin->api);
	materialiser_free(admin->materialiser);
	if (admin->outbox)
		outbox_free(admin->outbox);
	if (admin->bus)
		bus_free(admin->bus);
	execution_cache_free(admin->execution_cache);
	store_free(admin->store);
	db_pool_free(admin->data_db);
	db_pool_free(admin->db);
	db_pool_free(admin->replica);
	free(admin->metadata_root);
	free(admin);
}

static void admin_drain(void *state, int64_t grace_us)
{
	stop_serving(state, grace_us);
}

static enum code admin_open(struct service_context *ctx, void **ret, struct err *err)
{
	struct admin *admin = x_calloc(1, sizeof *admin);

	admin->config = ctx->config;
	admin->metrics = ctx->metrics;
	admin->execution_cache = execution_cache_new();
	enum code c = task_resources_check_config(admin->config, err);
	if (!c)
		c = limits_check_config(admin->config, err);
	if (!c)
		c = open_all(admin, err);
	if (c) {
		admin_close(admin);
		return c;
	}
	log_info("serving", LOG_INT("grpc_port", rpc_server_port(admin->rpc)),
		 LOG_INT("http_port", http_server_port(admin->http)));
	*ret = admin;
	return OK;
}

static const struct service admin_service = {
	.name = "admin",
	.text = "Flyte's control API over gRPC and REST; sends commands to propeller and takes its events.",
	.keys = admin_keys,
	.config_size = sizeof(struct admin_config),
	.commands = admin_commands,
	.open = admin_open,
	.drain = admin_drain,
	.close = admin_close,
};

int main(int argc, char **argv)
{
	return service_main(&admin_service, argc, argv);
}

/* Context of the admin service: Flyte's control API over Postgres.
 * One file per resource; handlers are bound by name in main.c's tables. */
#pragma once
#include "api/api.h"
#include "bus/bus.h"
#include "bus/outbox.h"
#include "config/config.h"
#include "db/db.h"
#include "service/service.h"
#include "store/store.h"

struct admin_config {
	struct service_config service;
	const char *grpc_listen, *http_listen;
	int64_t grpc_workers, http_workers;
	int64_t max_message_bytes;
	const char *dsn;
	int64_t db_connections, data_proxy_connections;
	int64_t slow_query_us;
	const char *bus_url;
	const char *storage_type, *storage_root, *storage_public_url, *storage_secret;
	const char *metadata_prefix;     /* flyteadmin.metadataStoragePrefix: "metadata/admin" */
	int64_t max_parallelism;         /* flyteadmin.maxParallelism: 25 */
	int64_t max_workflow_nodes;      /* registrationMaxWorkflowNodes; 0: none */
	int64_t inline_bytes;            /* data above this is answered by URL; Flyte's remoteData.maxSizeInBytes */
	struct config_strings domains;   /* "development", "staging", "production" */
	struct config_strings seed_projects;
	int64_t signed_url_us;           /* how long signed URLs last */
	int64_t max_upload_bytes;
};

struct admin {
	const struct admin_config *config;
	struct metrics *metrics;
	struct db_pool *db;        /* for API handlers */
	struct db_pool *data_db;   /* the data proxy's and the materialiser's own */
	struct store *store;
	struct bus *bus;
	struct outbox *outbox;     /* commands to propeller */
	struct materialiser *materialiser;
	struct api *api;
	struct rpc_server *rpc;
	struct http_server *http;
	struct gateway *gateway;
};

static inline struct admin *admin_of(const struct request *rq)
{
	return rq->user;
}

/* Bindings of the services, each in its resource's file:
 * project.c, task.c, workflow.c, launch_plan.c, named_entity.c, execution.c, node_execution.c, task_execution.c,
 * data_proxy.c, about.c (version, auth metadata, identity). */

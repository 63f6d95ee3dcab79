/* Context of the datacatalog service: what tasks have put out, kept under what they were given.
 * One file per resource, which exports its handlers as a table; main.c binds the tables.
 * Source: datacatalog/pkg (v1.16.8); cacheservice is known by its API only. */
#pragma once
#include <stdatomic.h>

#include "api/api.h"
#include "config/common_keys.h"
#include "config/config.h"
#include "db/db.h"
#include "flyteidl/datacatalog/datacatalog.h"
#include "rpc/rpc.h"
#include "service/service.h"
#include "store/store.h"

struct catalog_config {
	struct service_config service;
	struct database_config database;
	struct storage_config storage;

	const char *host;
	int64_t grpc_port, grpc_workers, max_message_bytes;
	int64_t slow_query_us;

	const char *storage_prefix; /* "metadata" */
	const char *metrics_scope;  /* "datacatalog" */
	int64_t profiler_port;      /* -1: service.profiler_port's */
	int64_t heartbeat_grace_multiplier;
	int64_t max_heartbeat_us;
	int64_t inline_bytes; /* an artifact's literals up to this size are kept in its row as well */
	int64_t max_batch;
};

struct catalog {
	const struct catalog_config *config;
	struct metrics *metrics;
	struct metric *hits, *misses, *reserved, *contended;
	struct db_pool *db;
	struct store *store;
	char *root; /* "<store's root>/<storage prefix>" */
	struct api *api;
	struct rpc_server *rpc;
	_Atomic int64_t sweep_us; /* when expired reservations are to be forgotten, monotonic */
};

static inline struct catalog *catalog_of(const struct request *rq)
{
	return rq->user;
}

extern const struct api_binding catalog_dataset_rpcs[];
extern const struct api_binding catalog_artifact_rpcs[];
extern const struct api_binding catalog_artifact_update_rpcs[];
extern const struct api_binding catalog_tag_rpcs[];
extern const struct api_binding catalog_list_rpcs[];
extern const struct api_binding catalog_reservation_rpcs[];
extern const struct api_binding catalog_cache_rpcs[];     /* CacheService */
extern const struct api_binding catalog_batch_rpcs[];     /* alula.Catalog */
extern const struct api_binding catalog_batch_put_rpcs[]; /* alula.Catalog */

extern const struct config_key catalog_keys[];

/* Context of the admin service: Flyte's control API over Postgres.
 * One file per resource, which exports its handlers as a table; main.c binds the tables. */
#pragma once
#include "api/api.h"
#include "bus/bus.h"
#include "bus/outbox.h"
#include "config/common_keys.h"
#include "config/config.h"
#include "db/db.h"
#include "http/http.h"
#include "service/service.h"
#include "store/store.h"

/* Quantities; "" for nothing. */
struct resource_config {
	const char *cpu, *gpu, *memory, *ephemeral_storage;
};

struct admin_config {
	struct service_config service;
	struct database_config database;
	struct bus_config bus;
	struct storage_config storage;

	const char *host;
	int64_t http_port, grpc_port;
	bool allow_cors;
	struct config_strings allowed_origins, allowed_headers; /* "*"; "Content-Type", "flyte-authorization" */
	int64_t grpc_workers, http_workers, data_proxy_workers;
	int64_t max_message_bytes;
	int64_t data_proxy_connections;
	int64_t slow_query_us;
	const char *replica_host, *replica_dsn; /* "" for none */

	struct config_strings metadata_prefix;             /* "metadata", "admin" */
	int64_t max_parallelism;                           /* 25 */
	int64_t max_nesting;                               /* of executions launched by executions; 0: none */
	int64_t max_workflow_nodes;                        /* 0: none */
	int64_t max_label_entries, max_annotation_entries; /* of an execution; 0: none */
	const char *workflow_size_limit;                   /* a quantity; "": none */
	int64_t inline_bytes;                              /* inputs up to this size travel inline in commands */
	int64_t max_data_bytes;                            /* data above this is answered by URL; 0: always inline */
	struct config_strings domains;                     /* "development", "staging", "production" */
	struct config_strings seed_projects;

	int64_t signed_url_minutes; /* how long signed URLs of execution data last */
	int64_t upload_max_expires_us, download_max_expires_us;
	int64_t upload_name_length; /* of generated file names */
	const char *upload_prefix;
	struct resource_config resource_defaults, resource_limits; /* of tasks */
	int64_t max_upload_bytes;
	int64_t retention_us, retention_interval_us; /* of ended executions; 0: for ever */
	const char *propeller_metadata_prefix;       /* as in propeller's configuration */
};

struct admin {
	const struct admin_config *config;
	struct metrics *metrics;
	struct db_pool *db;      /* for API handlers */
	struct db_pool *replica; /* where lists are read; NULL for none */
	struct db_pool *data_db; /* the data proxy's and the materialiser's own */
	struct store *store;
	struct bus *bus;
	struct outbox *outbox; /* commands to propeller */
	struct materialiser *materialiser;
	struct retention *retention;             /* NULL when it is off */
	struct execution_cache *execution_cache; /* what executions are created from */
	char *metadata_root;                     /* "<store's root>/metadata/admin" */
	struct api *api;
	struct rpc_server *rpc;
	struct http_cors cors;
	struct http_server *http;
	struct gateway *gateway;
};

static inline struct admin *admin_of(const struct request *rq)
{
	return rq->user;
}

/* Handlers of the services, each in its resource's file. */
extern const struct api_binding admin_project_rpcs[];
extern const struct api_binding admin_task_rpcs[];
extern const struct api_binding admin_workflow_rpcs[];
extern const struct api_binding admin_launch_plan_rpcs[];
extern const struct api_binding admin_named_entity_rpcs[];
extern const struct api_binding admin_attributes_rpcs[];
extern const struct api_binding admin_description_rpcs[];
extern const struct api_binding admin_event_rpcs[];
extern const struct api_binding admin_execution_metrics_rpcs[];
extern const struct api_binding admin_execution_parent_rpcs[];
extern const struct api_binding admin_execution_recover_rpcs[];
extern const struct api_binding admin_execution_rpcs[];
extern const struct api_binding admin_node_execution_rpcs[];
extern const struct api_binding admin_task_execution_rpcs[];
extern const struct api_binding admin_signal_rpcs[];        /* SignalService */
extern const struct api_binding admin_data_proxy_rpcs[];    /* DataProxyService */
extern const struct api_binding admin_about_rpcs[];         /* AdminService */
extern const struct api_binding admin_auth_metadata_rpcs[]; /* AuthMetadataService */
extern const struct api_binding admin_identity_rpcs[];      /* IdentityService */
/* AdminService: what is done together */
extern const struct api_together_binding admin_task_lookups[];
extern const struct api_together_binding admin_launch_plan_lookups[];
extern const struct api_together_binding admin_execution_lookups[];
extern const struct api_together_binding admin_execution_create_together[];
extern const struct api_together_binding admin_node_execution_lookups[];
extern const struct api_together_binding admin_task_execution_lookups[];

extern const struct config_key admin_keys[];
extern const struct db_timed admin_database_series[];

/* Register those of these projects that are missing. INVALID_ARGUMENT for a name that cannot be one. */
enum code admin_seed_projects(struct admin *admin, const struct config_strings *seeds, struct err *err);

/* ---- database.c ---- */

extern const struct db_migration admin_migrations[];
extern const struct service_command admin_commands[];
/* admin->db and admin->data_db; nothing connects yet. */
enum code admin_open_pools(struct admin *admin, struct err *err);

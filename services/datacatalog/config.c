/* Datacatalog's configuration keys: Flyte's names where Flyte has the thing. */
#include "datacatalog.h"

#define AT(field) .offset = offsetof(struct catalog_config, field)

/* clang-format off */
const struct config_key catalog_keys[] = {
	DATABASE_KEYS(struct catalog_config, database),
	STORAGE_KEYS(struct catalog_config, storage),
	{.path = "database.slowQuery", .type = CONFIG_DURATION, .default_value = "1s", .min = 0, .max = INT64_MAX,
	 AT(slow_query_us), .text = "Statements that take longer are logged; 0 for none."},
	{.path = "application.grpcHost", .type = CONFIG_STRING, .default_value = "0.0.0.0", AT(host),
	 .text = "Address that gRPC listens on."},
	{.path = "application.grpcPort", .type = CONFIG_INT, .default_value = "8081", .min = 0, .max = 65535, AT(grpc_port),
	 .text = "Port of gRPC; 0 picks a free one."},
	{.path = "application.grpcWorkers", .type = CONFIG_INT, .default_value = "16", .min = 1, .max = 1024,
	 AT(grpc_workers), .text = "gRPC handlers that run at once."},
	{.path = "application.grpcMaxRecvMsgSize", .type = CONFIG_SIZE, .default_value = "64Mi", .min = 1024,
	 .max = 2147483647, AT(max_message_bytes), .text = "Messages up to this size are taken and answered."},
	{.path = "datacatalog.storage-prefix", .type = CONFIG_STRING, .default_value = "metadata", AT(storage_prefix),
	 .text = "Where the artifacts' data lie below the store's root."},
	{.path = "datacatalog.metrics-scope", .type = CONFIG_STRING, .default_value = "datacatalog", AT(metrics_scope),
	 .text = "What the names of the calls' metrics begin with."},
	{.path = "datacatalog.profiler-port", .type = CONFIG_INT, .default_value = "-1", .min = -1, .max = 65535,
	 AT(profiler_port), .text = "Flyte's name of `profiler.port`, which wins unless this is set."},
	{.path = "datacatalog.heartbeat-grace-period-multiplier", .type = CONFIG_INT, .default_value = "3", .min = 1,
	 .max = 1000, AT(heartbeat_grace_multiplier), .text = "Heartbeats that may be missed before a reservation ends."},
	{.path = "datacatalog.max-reservation-heartbeat", .type = CONFIG_DURATION, .default_value = "10s", .min = 1000,
	 .max = 86400000000, AT(max_heartbeat_us), .text = "Longest interval of a reservation's heartbeats; longer ones are cut."},
	{.path = "datacatalog.inline-bytes", .type = CONFIG_SIZE, .default_value = "16Ki", .min = 0, .max = 1048576,
	 AT(inline_bytes), .text = "Literals of an artifact up to this size in all are kept in its row as well, so that reading it needs no store."},
	{.path = "datacatalog.max-batch", .type = CONFIG_INT, .default_value = "1000", .min = 1, .max = 10000,
	 AT(max_batch), .text = "Items of one batched call, and of one page of a list."},
	{0},
};
/* clang-format on */

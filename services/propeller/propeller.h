/* Context of the propeller service: runs executions. Fold, commit, act.
 *
 *   intake     commands from the bus, shards to load  -> engine's queue      (intake.c)
 *   core       folds inputs into records and actions  -> committer's queue   (core.c; the state is engine/)
 *   committer  one transaction for all that moved     -> relay, loop         (committer.c)
 *   relay      publishes events, trims the journal                           (relay.c)
 *   shards     lease, fencing, who runs what                                 (shards.c)
 *   loop       timers, executors, what is to be done after a commit          (acts.c, executors/)
 *
 * Each is one thread; queues between them are bounded. The only calls against the stream are unbounded posts to the
 * loop, so no ring of full queues can form. */
#pragma once
#include <stdatomic.h>

#include "bus/bus.h"
#include "config/common_keys.h"
#include "db/db.h"
#include "executor.h"
#include "executors/secrets.h"
#include "service/service.h"
#include "store/store.h"

struct propeller_config {
	struct service_config service;
	struct database_config database;
	struct bus_config bus;
	struct storage_config storage;
	const char *name;            /* of this propeller; the next one of the name takes its place */
	const char *metadata_prefix; /* below the store's root: "metadata/propeller" */
	int64_t lease_us;
	struct config_strings consumers; /* durable consumers of events whose confirms the journal waits for */
	struct config_strings echo_types, sleep_types; /* task types of leaves that run in the engine */
	int64_t max_system_retries, default_max_attempts, interruptible_failure_threshold;
	int64_t default_execution_timeout_us, default_attempt_timeout_us;
	int64_t inline_bytes, max_output_bytes;
	bool offload_enabled;
	struct config_map offload_sdks; /* SDK -> first version that reads offloaded literals */
	int64_t offload_min_mb, offload_max_mb;
	int64_t engine_queue;
	/* tasks.task-plugins.* */
	struct config_strings enabled_plugins;               /* none: all */
	struct config_map default_plugins, plugin_overrides; /* task type, or project/domain/task type -> plugin */
	/* plugins.connector-service.*, and what of it was called plugins.agent-service.* */
	struct connectors_config {
		const char *endpoint, *service_config, *roots_file, *server_name; /* of the default connector */
		bool insecure;
		int64_t default_timeout_us;
		struct config_map timeouts;       /* RPC's name -> duration */
		struct config_map connectors;     /* "<id>.<key>" */
		struct config_map for_task_types; /* -> id */
		struct config_strings task_types; /* of the default connector */
		struct config_map agents;         /* plugins.agent-service */
		int64_t poll_interval_us, first_get_us, resync_us, max_failures, max_calls;
	} connectors;
	/* plugins.process.* */
	const char *process_dir;
	int64_t process_slots;
	const char *process_shim;
	struct config_map process_path, process_env; /* image pattern -> directory; further variables of every task */
	const char *process_task_path;
	int64_t process_kill_grace_us;
	const char *platform_url, *log_url;
	const char *admin_endpoint;
	bool platform_insecure;
	struct secrets_source secrets;
	/* catalog-cache.* */
	const char *catalog_type, *catalog_endpoint;
	bool catalog_insecure;
	int64_t catalog_max_age_us;
	int64_t reeval_us; /* heartbeats of reservations */
};

struct core;
struct committer;
struct relay;
struct intake;
struct shards;
struct acts;
struct known;
struct sweeper;

struct propeller {
	const struct propeller_config *config;
	const struct executor_kind *const *executors; /* ended by NULL */
	struct metrics *metrics;
	struct loop *loop;
	struct db_pool *db;
	struct bus *bus;
	struct store *store;
	char *name;          /* config->name, or the host's */
	char *metadata_root; /* "<root>/<metadata_prefix>" */
	uint64_t epoch;
	_Atomic uint64_t owned; /* bit n: shard n is loaded and ours */

	_Atomic uint64_t foreign; /* bit n: shard n was last run on another host */

	struct known *known;
	struct acts *acts;
	struct core *core;
	struct committer *committer;
	struct relay *relay;
	struct intake *intake;
	struct shards *shards;
	struct sweeper *sweeper;
};

static inline bool propeller_owns(const struct propeller *p, unsigned shard)
{
	return atomic_load_explicit(&p->owned, memory_order_acquire) >> shard & 1;
}

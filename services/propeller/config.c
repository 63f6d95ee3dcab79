/* Propeller's configuration keys: Flyte's names where Flyte has the thing. */
#include "config.h"

#define AT(field) .offset = offsetof(struct propeller_config, field)

/* clang-format off */
const struct config_key propeller_keys[] = {
	DATABASE_KEYS(struct propeller_config, database),
	BUS_KEYS(struct propeller_config, bus),
	STORAGE_KEYS(struct propeller_config, storage),
	{.path = "propeller.name", .type = CONFIG_STRING, .default_value = "", AT(name), .env = "ALULA_PROPELLER_NAME",
	 .text = "Name among the propellers of one database; empty for the host's. Starting a second one under a name takes "
	         "the first one's place: its shards and running attempts are found again."},
	{.path = "propeller.metadata-prefix", .type = CONFIG_STRING, .default_value = "metadata/propeller",
	 AT(metadata_prefix), .text = "Where inputs and outputs lie below the store's root."},
	{.path = "propeller.lease", .type = CONFIG_DURATION, .default_value = "5s", .min = 500000, .max = 600000000,
	 AT(lease_us), .text = "A propeller that gave no sign for so long is fenced and its shards move."},
	{.path = "propeller.consumers", .type = CONFIG_STRINGS, .default_value = "[admin]", AT(consumers),
	 .text = "Durable consumers of events: the journal of a finished execution stays until all of them have confirmed."},
	{.path = "propeller.queue-size", .type = CONFIG_INT, .default_value = "8192", .min = 16, .max = 1000000,
	 AT(engine_queue), .text = "Inputs that wait for the engine at most."},
	{.path = "propeller.node-config.max-node-retries-system-failures", .type = CONFIG_INT, .default_value = "3",
	 .min = 0, .max = 100, AT(max_system_retries),
	 .text = "Retries of an attempt that failed for a reason that is not the user's."},
	{.path = "propeller.node-config.default-max-attempts", .type = CONFIG_INT, .default_value = "1", .min = 1,
	 .max = 1000, AT(default_max_attempts), .text = "Attempts of a task that says nothing of retries."},
	{.path = "propeller.node-config.interruptible-failure-threshold", .type = CONFIG_INT, .default_value = "-1",
	 .min = -1000, .max = 1000, AT(interruptible_failure_threshold),
	 .text = "From which attempt on an interruptible task is no longer so: counted from the first, or if negative from "
	         "the last."},
	{.path = "propeller.node-config.default-deadlines.workflow-active-deadline", .type = CONFIG_DURATION,
	 .default_value = "0s", .min = 0, .max = INT64_MAX, AT(default_execution_timeout_us),
	 .text = "Time that an execution may take; 0 for any."},
	{.path = "propeller.node-config.default-deadlines.node-execution-deadline", .type = CONFIG_DURATION,
	 .default_value = "0s", .min = 0, .max = INT64_MAX, AT(default_attempt_timeout_us),
	 .text = "Time that an attempt may take when its task says nothing; 0 for any."},
	{.path = "propeller.inline-bytes", .type = CONFIG_SIZE, .default_value = "64Ki", .min = 0, .max = 262144,
	 AT(inline_bytes), .text = "Outputs up to this size travel with the events; larger ones stay in the store."},
	{.path = "max-output-size-bytes", .type = CONFIG_SIZE, .default_value = "64Mi", .min = 1024, .max = 1073741824,
	 AT(max_output_bytes), .text = "Outputs of a task, or one file that is read for inputs, at most."},
	{.path = "plugins.echo.task-types", .type = CONFIG_STRINGS, AT(echo_types),
	 .text = "Task types that the echo leaf runs inside the engine: outputs are the inputs. For tests and benchmarks."},
	{.path = "plugins.core-sleep.task-types", .type = CONFIG_STRINGS, AT(sleep_types),
	 .text = "Task types that the core-sleep leaf runs inside the engine: does nothing for the time its input says."},
	{.path = "plugins.process.dir", .type = CONFIG_STRING, .default_value = "/var/lib/alula/attempts", AT(process_dir),
	 .text = "Directory of running attempts: working directories, logs, status. On a local disk; propellers of one host "
	         "share it."},
	{.path = "plugins.process.slots", .type = CONFIG_INT, .default_value = "0", .min = 0, .max = 100000,
	 AT(process_slots), .text = "Attempts that run at once on this host; 0 for two a core."},
	{.path = "plugins.process.shim", .type = CONFIG_STRING, .default_value = "", AT(process_shim),
	 .text = "Path of alula-shim; empty for the directory of this program."},
	{.path = "plugins.process.path", .type = CONFIG_MAP, AT(process_path),
	 .text = "Container image (shell pattern) to a directory of programs that goes before PATH; the first match wins."},
	{.path = "plugins.process.task-path", .type = CONFIG_STRING, .default_value = "", .env = "ALULA_TASK_PATH", AT(process_task_path),
	 .text = "Directories (with colons) that go before everything else in a task's PATH."},
	{.path = "plugins.process.env", .type = CONFIG_MAP, AT(process_env),
	 .text = "Further environment variables of every task."},
	{.path = "plugins.process.kill-grace", .type = CONFIG_DURATION, .default_value = "10s", .min = 0,
	 .max = 3600000000, AT(process_kill_grace_us), .text = "Between SIGTERM and SIGKILL when an attempt is stopped."},
	{.path = "plugins.process.platform-url", .type = CONFIG_STRING, .default_value = "localhost:8089", AT(platform_url),
	 .text = "Admin's gRPC address as tasks reach it (FLYTE_PLATFORM_URL)."},
	{.path = "plugins.process.platform-insecure", .type = CONFIG_BOOL, .default_value = "true", AT(platform_insecure),
	 .text = "Whether tasks reach it without TLS (FLYTE_PLATFORM_INSECURE)."},
	{.path = "plugins.process.log-url", .type = CONFIG_STRING, .default_value = "", AT(log_url),
	 .text = "Where people read logs of attempts over HTTP: the link is this, '/', and the log's path below the store's "
	         "root; empty for file links."},
	{0},
};
/* clang-format on */

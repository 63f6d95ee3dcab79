/* The main() that all daemons share: options, configuration, logging, signals, health, metrics, drain.
 *
 *   static const struct service admin = {.name = "admin", .keys = admin_keys, .config_size = sizeof(struct
 * admin_config), .open = admin_open, .drain = admin_drain, .close = admin_close}; int main(int argc, char **argv) {
 * return service_main(&admin, argc, argv); }
 *
 * Options: --config FILE (repeatable), --help, --version, --dump-config, --docs (prints the Markdown of its keys),
 * --check (load the configuration, say what is wrong, exit). Exit: 0 after SIGTERM or SIGINT and a drain; 2 for bad
 * options or configuration; 1 when open fails or the service gives up. Order: options, configuration, log, profiler
 * port, open, ready; on a signal: drain, close, exit. A second signal ends the process at once, and so does one that
 * comes before open has returned: nothing has been promised yet. A watchdog ends what is still there 15 s after the
 * grace. SIGPIPE and SIGHUP are ignored (children inherit that: reset them). A crash writes one JSON line with signal,
 * load base and return addresses (addr2line -e PROGRAM, address minus base). The profiler port serves /healthcheck
 * (200, or 503 with a reason), /metrics and /version. */
#pragma once
#include "base/err.h"
#include "config/config.h"
#include "http/http.h"
#include "loop/loop.h"
#include "metrics/metrics.h"

struct service_context {
	const void *config; /* the filled struct */
	struct metrics *metrics;
	struct loop *loop; /* runs on the main thread once open has returned */
	void *state;       /* open's */
};

struct service_command {
	const char *name; /* "migrate"; NULL ends the table */
	const char *text;
	/* Instead of serving; argc/argv after the name. Returns the exit code. */
	int (*run)(struct service_context *ctx, int argc, char **argv);
};

struct service {
	const char *name;                       /* "admin" */
	const char *text;                       /* one sentence for --help */
	const struct config_key *keys;          /* its own; the shared ones (logger, profiler port) are added */
	size_t config_size;                     /* struct service_config must be its first member */
	const struct service_command *commands; /* NULL for none */
	/* Settle what keys with a second name say, once they are read; NULL for nothing. */
	void (*adjust)(void *config);
	/* Start everything; *ret_state is handed to the others. On error nothing is left running. */
	enum code (*open)(struct service_context *ctx, void **ret_state, struct err *err);
	/* Stop taking work and finish what is under way, within the grace. May be NULL. Runs on a thread of its own
	 * while the loop goes on; close comes after it, on the main thread, when the loop has stopped. */
	void (*drain)(void *state, int64_t grace_us);
	void (*close)(void *state);
	/* Is it able to work now? For /healthcheck; NULL for always. `why` gets a sentence. From any thread, between
	 * open and close, one question at a time. */
	bool (*healthy)(void *state, struct buf *why);
};

/* Shared keys: logger.level (Flyte's numbers 0-6 or names), profiler.port (10254), profiler.host, drain.grace (30s),
 * service.readyFile. */
struct service_config {
	const char *log_level;
	int64_t profiler_port; /* 0 picks a free one, -1 for none */
	const char *profiler_host;
	int64_t drain_grace_us;
	const char *ready_file; /* written once open has returned, removed at exit; "" for none */
};

int service_main(const struct service *service, int argc, char **argv);
/* From any thread: the service cannot go on (fenced, broken); drains and exits 1. */
void service_fail(const char *why);

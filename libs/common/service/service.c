/* The main that daemons share: boot in order, serve, drain, tear down in the order's mirror. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "service/private.h"

/* Beyond the grace, for close and what a drain overran. */
enum { WATCHDOG_EXTRA_US = 15 * 1000 * 1000 };

#define AT(field) .offset = offsetof(struct service_config, field)
static const struct config_key SHARED_KEYS[] = {
	{.path = "logger.level",
	 .type = CONFIG_STRING,
	 AT(log_level),
	 .default_value = "info",
	 .text = "Least level that is logged: debug, info, warn, error, or Flyte's number (2 error, 3 warn, 4 info, 5 "
		 "debug)."},
	{.path = "profiler.port",
	 .type = CONFIG_INT,
	 AT(profiler_port),
	 .default_value = "10254",
	 .min = -1,
	 .max = 65535,
	 .text = "Port of /healthcheck, /metrics and /version; 0 picks a free one, -1 opens none."},
	{.path = "profiler.host",
	 .type = CONFIG_STRING,
	 AT(profiler_host),
	 .default_value = "0.0.0.0",
	 .text = "Address that it listens on."},
	{.path = "drain.grace",
	 .type = CONFIG_DURATION,
	 AT(drain_grace_us),
	 .default_value = "30s",
	 .max = 3600 * USEC_PER_SEC,
	 .text = "After SIGTERM, how long what is under way may take."},
	{.path = "service.readyFile",
	 .type = CONFIG_STRING,
	 AT(ready_file),
	 .text = "File that is written once the service is ready, and removed when it ends."},
	{0},
};
#undef AT

struct run {
	const struct service *service;
	const struct config_key *tables[3];
	struct options options;
	void *target;
	struct config *config;
	struct service_context ctx;
	struct profiler *profiler;
	struct loop_io *wake;
	pthread_t drain_thread;
	bool draining;
};

static atomic_bool failed;

void service_fail(const char *why)
{
	if (!atomic_exchange(&failed, true))
		log_error("giving up", LOG_STR("why", why));
	signals_wake();
}

/* Flyte's numbers are logrus': 0 panic to 6 trace. */
static bool parse_level(const char *text, enum log_level *ret)
{
	static const enum log_level NUMBERS[] = {LOG_ERROR, LOG_ERROR, LOG_ERROR, LOG_WARN,
						 LOG_INFO,  LOG_DEBUG, LOG_DEBUG};
	int64_t number;
	if (!str_to_i64(str_of(text), &number))
		return log_level_parse(str_of(text), ret);
	if (number < 0 || number >= (int64_t)ARRAY_SIZE(NUMBERS))
		return false;
	*ret = NUMBERS[number];
	return true;
}

static void tell(const struct run *r, const char *text)
{
	struct str rest = str_of(text);
	while (rest.ptr) {
		struct str line = str_cut(&rest, '\n');
		fprintf(stderr, "alula-%s: %.*s\n", r->service->name, STR_ARG(line));
	}
}

/* Configuration and log. */
static bool configure(struct run *r)
{
	struct err err;
	r->target = x_calloc(1, r->service->config_size);
	if (config_load(r->tables, (const char *const *)r->options.files.at, r->options.files.n, r->target, &r->config,
			&err)) {
		tell(r, err.text);
		return false;
	}
	if (r->service->adjust)
		r->service->adjust(r->target);
	const struct service_config *config = r->target;
	enum log_level level;
	if (!parse_level(config->log_level, &level)) {
		auto_mem char *text = x_printf("logger.level: expected debug, info, warn, error or 0 to 6, not \"%s\"",
					       config->log_level);
		tell(r, text);
		return false;
	}
	log_set_service(r->service->name);
	log_set_level(level);
	r->ctx.config = r->target;
	return true;
}

static void warn_of_keys(const struct run *r)
{
	const char *const *warnings;
	size_t n = config_warnings(r->config, &warnings);
	for (size_t i = 0; i < n; i++) {
		if (r->options.action == ACTION_SERVE)
			log_warn("configuration", LOG_STR("what", warnings[i]));
		else
			tell(r, warnings[i]);
	}
}

static void print_docs(const struct run *r)
{
	auto_buf struct buf b = {0};
	config_docs(r->service->name, r->tables, &b);
	fputs(buf_text(&b), stdout);
}

static void print_config(const struct run *r)
{
	auto_buf struct buf b = {0};
	config_dump(r->tables, r->target, &b);
	fputs(buf_text(&b), stdout);
}

static void *drain_thread(void *arg)
{
	struct run *r = arg;
	const struct service_config *config = r->ctx.config;
	r->service->drain(r->ctx.state, config->drain_grace_us);
	loop_stop(r->ctx.loop);
	return NULL;
}

/* On the loop: a signal, or service_fail. The drain has a thread of its own, so that the loop goes on for it. */
static void on_wake(int fd, bool readable, bool writable, void *arg)
{
	struct run *r = arg;
	uint64_t n;
	(void)readable;
	(void)writable;
	if (read(fd, &n, sizeof n) < 0 || atomic_load(&service_phase) != PHASE_SERVING)
		return;
	const struct service_config *config = r->ctx.config;
	atomic_store(&service_phase, PHASE_DRAINING);
	log_info("draining", LOG_INT("grace_us", config->drain_grace_us));
	signals_watchdog(config->drain_grace_us + WATCHDOG_EXTRA_US);
	r->draining = r->service->drain && pthread_create(&r->drain_thread, NULL, drain_thread, r) == 0;
	if (!r->draining)
		loop_stop(r->ctx.loop);
}

/* Whole or not at all: somebody waits for it. */
static enum code write_ready_file(const struct run *r, struct err *err)
{
	const char *path = ((const struct service_config *)r->ctx.config)->ready_file;
	if (!*path)
		return OK;
	auto_mem char *temporary = x_printf("%s.new", path);
	FILE *f = fopen(temporary, "we");
	bool ok =
		f && fprintf(f, "{\"pid\":%ld,\"profiler_port\":%d}\n", (long)getpid(), profiler_port(r->profiler)) > 0;
	if (f)
		ok = fclose(f) == 0 && ok;
	if (!ok || rename(temporary, path) != 0)
		return err_set(err, INTERNAL, "service.readyFile: %s: %s", path, strerror(errno));
	signals_set_ready_file(path);
	return OK;
}

static void remove_ready_file(const struct run *r)
{
	const char *path = ((const struct service_config *)r->ctx.config)->ready_file;
	signals_set_ready_file(NULL);
	if (*path)
		unlink(path);
}

static void shut_down(struct run *r)
{
	atomic_store(&service_phase, PHASE_CLOSING);
	if (r->draining)
		pthread_join(r->drain_thread, NULL);
	remove_ready_file(r);
	profiler_detach(r->profiler);
	r->service->close(r->ctx.state);
	log_info("stopped");
}

static enum code open_service(struct run *r, struct err *err)
{
	int64_t start = time_mono_us();
	enum code c = profiler_start(r->service, &r->ctx, &r->profiler, err);
	if (!c)
		c = r->service->open(&r->ctx, &r->ctx.state, err);
	if (c)
		return c;
	atomic_store(&service_phase, PHASE_SERVING);
	c = write_ready_file(r, err);
	if (c) {
		shut_down(r);
		return c;
	}
	log_info("ready", LOG_STR("version", ALULA_VERSION), LOG_INT("profiler_port", profiler_port(r->profiler)),
		 LOG_INT("open_us", time_mono_us() - start));
	return OK;
}

static int serve(struct run *r)
{
	struct err err;
	int fd = signals_install();
	crash_install(r->service->name);
	process_metrics(r->ctx.metrics);
	struct heap_keeper *heap = heap_keeper_new(r->ctx.loop);
	r->wake = loop_io_new(r->ctx.loop, "signals", fd, true, false, on_wake, r);
	enum code c = open_service(r, &err);
	if (c) {
		log_error("cannot start", LOG_ERR(&err));
	} else {
		loop_run(r->ctx.loop);
		shut_down(r);
	}
	profiler_stop(r->profiler);
	loop_io_free(r->wake);
	heap_keeper_free(heap);
	return c || atomic_load(&failed) ? 1 : 0;
}

static int run_command(struct run *r)
{
	const struct service_command *command = r->service->commands;
	while (strcmp(command->name, r->options.argv[0]) != 0)
		command++;
	return command->run(&r->ctx, r->options.argc, r->options.argv);
}

static double posted_calls(void *loop)
{
	return (double)loop_posted(loop);
}

static int act(struct run *r)
{
	if (r->options.action == ACTION_DOCS) {
		print_docs(r);
		return 0;
	}
	if (!configure(r))
		return 2;
	warn_of_keys(r);
	if (r->options.action == ACTION_DUMP)
		print_config(r);
	if (r->options.action == ACTION_DUMP || r->options.action == ACTION_CHECK)
		return 0;
	r->ctx.metrics = metrics_new();
	r->ctx.loop = loop_new("main");
	metrics_gauge_fn(r->ctx.metrics, "alula:loop:posted", NULL, "Calls that wait for the main loop.", posted_calls,
			 r->ctx.loop);
	int status = r->options.action == ACTION_COMMAND ? run_command(r) : serve(r);
	loop_free(r->ctx.loop);
	metrics_free(r->ctx.metrics);
	return status;
}

int service_main(const struct service *service, int argc, char **argv)
{
	struct run r = {.service = service, .tables = {SHARED_KEYS, service->keys}};
	int status = 2;

	heap_bound();
	if (options_parse(service, argc, argv, &r.options))
		status = r.options.action == ACTION_DONE ? 0 : act(&r);
	config_free(r.config);
	free(r.target);
	options_clear(&r.options);
	return status;
}

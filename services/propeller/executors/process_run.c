/* One attempt as a process: inputs, shim, results. Loop thread, but for what says otherwise. */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attempt_dir.h"
#include "flyte/resources.h"
#include "pb/pb.h"
#include "process.h"

/* Before anybody raised it: what tasks get. */
static rlim_t original_nofile;
__attribute__((constructor)) static void remember_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		original_nofile = limit.rlim_cur;
}

/* ---- telling the engine ---- */

static void feed_finished(struct run *r, const AlulaAttemptFinished *finished)
{
	AlulaAttemptFinished copy = *finished;
	AlulaInput in = ALULA_INPUT_INIT;

	copy.node = r->id.node;
	copy.attempt = r->id.attempt;
	copy.started_at_us = r->started_us;
	in.execution = r->id.execution;
	in.input_case = ALULA_INPUT_INPUT_ATTEMPT_FINISHED;
	in.attempt_finished = &copy;
	r->x->host.feed(r->x->host.arg, &in);
}

static void feed_started(struct run *r)
{
	AlulaAttemptStarted started = ALULA_ATTEMPT_STARTED_INIT;
	CoreTaskLog log = CORE_TASK_LOG_INIT, *logs[] = {&log};
	AlulaInput in = ALULA_INPUT_INIT;
	char host[256] = "";

	gethostname(host, sizeof host - 1);
	log.uri = (char *)r->log_uri;
	log.name = "Logs";
	log.message_format = CORE_TASK_LOG_MESSAGE_FORMAT_UNKNOWN;
	started.node = r->id.node;
	started.attempt = r->id.attempt;
	started.logs = logs;
	started.n_logs = 1;
	started.host = host;
	in.execution = r->id.execution;
	in.input_case = ALULA_INPUT_INPUT_ATTEMPT_STARTED;
	in.attempt_started = &started;
	r->x->host.feed(r->x->host.arg, &in);
}

static void fail(struct run *r, const char *code, const char *message, CoreExecutionErrorErrorKind kind, bool again)
{
	AlulaAttemptFinished finished = ALULA_ATTEMPT_FINISHED_INIT;
	AlulaAttemptError outcome = ALULA_ATTEMPT_ERROR_INIT;
	CoreExecutionError error = CORE_EXECUTION_ERROR_INIT;

	error.code = (char *)code;
	error.message = (char *)message;
	error.kind = kind;
	outcome.error = &error;
	outcome.system = outcome.recoverable = again;
	finished.outcome_case = ALULA_ATTEMPT_FINISHED_OUTCOME_ERROR;
	finished.error = &outcome;
	feed_finished(r, &finished);
}

void run_fail(struct run *r, const char *code, const char *message, bool system)
{
	fail(r, code, message, system ? CORE_EXECUTION_ERROR_ERROR_KIND_SYSTEM : CORE_EXECUTION_ERROR_ERROR_KIND_USER,
	     system);
}

/* ---- reading what the task left ---- */

static void results_posted(void *arg)
{
	struct run *r = arg;

	process_throw_away(r->x, x_printf("%s/work", r->dir));
	if (r->copilot.config)
		process_throw_away(r->x, x_strdup(r->copilot.outputs));
	process_throw_away(r->x, x_printf("%s/secrets", r->dir)); /* if the shim could not */
	run_free(r);
}

/* On a thread of the store. */
static void on_results(void *arg, const AlulaAttemptFinished *finished)
{
	struct run *r = arg;

	feed_finished(r, finished);
	loop_post(r->x->host.loop, results_posted, r);
}

static void read_results(struct run *r)
{
	struct attempt_status status;

	attempt_dir_status(r->dir, &status);
	if (status.how == ENDED_LOST)
		metric_add(r->x->lost, 1);
	if (r->aborted) {
		results_posted(r);
		return;
	}
	r->state = READING;
	r->results = (struct results_request){
		.store = r->x->host.store,
		.output_prefix = r->output_prefix,
		.log_path = r->log_path,
		.outputs_declared = r->outputs_declared,
		.many_errors = r->many_errors,
		.copilot = r->copilot,
		.raw_prefix = r->raw_prefix,
		.max_bytes = (size_t)r->x->config->max_output_bytes,
		.inline_bytes = (size_t)r->x->config->inline_bytes,
		.status = status,
		.futures = r->x->host.futures,
		.dynamic = r->dynamic,
		.fn = on_results,
		.arg = r,
	};
	results_read(&r->results);
	run_leave_slot(r);
}

/* ---- the shim ---- */

static void on_shim_end(int fd, bool readable, bool writable, void *arg)
{
	struct run *r = arg;

	(void)fd;
	(void)readable;
	(void)writable;
	waitpid(r->shim, NULL, WNOHANG); /* not our child after a restart: no matter */
	loop_io_free(r->io);
	r->io = NULL;
	metric_add(r->x->running, -1);
	read_results(r);
}

/* One whose end nobody would see is stopped: the next attempt must not run beside it. */
static bool watch(struct run *r, pid_t shim, struct err *err)
{
	r->shim = shim;
	r->pidfd = pidfd_open(shim, 0);
	if (r->pidfd < 0) {
		err_set(err, UNAVAILABLE, "cannot watch process %d: %s", (int)shim, strerror(errno));
		kill(shim, SIGTERM);
		return false;
	}
	r->state = RUNNING;
	metric_add(r->x->running, 1);
	r->io = loop_io_new(r->x->host.loop, "shim", r->pidfd, true, false, on_shim_end, r);
	return true;
}

static pid_t spawn_shim(struct executor *x, const char *dir, const char *token, char **env, struct err *err)
{
	char *argv[] = {x->shim, (char *)dir, (char *)token, NULL};
	posix_spawnattr_t attr;
	sigset_t none, all;
	pid_t pid = 0;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	int e = posix_spawn(&pid, x->shim, NULL, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	if (e)
		err_set(err, UNAVAILABLE, "cannot start %s: %s", x->shim, strerror(e));
	return e ? 0 : pid;
}

static void add_text(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text) + 1);
}

static void pack_spec(const struct run *r, struct buf *b)
{
	buf_printf(b, "%lld", (long long)(r->timeout_us ? time_now_us() + r->timeout_us : 0));
	buf_addc(b, '\0');
	buf_printf(b, "%lld", (long long)r->x->config->process_kill_grace_us);
	buf_addc(b, '\0');
	buf_printf(b, "%llu", (unsigned long long)original_nofile);
	buf_addc(b, '\0');
	add_text(b, r->log_path);
	buf_printf(b, "%zu", r->spec.argc);
	buf_addc(b, '\0');
	for (size_t i = 0; i < r->spec.argc; i++)
		add_text(b, r->spec.argv[i]);
	for (size_t i = 0; i < r->spec.n_env; i++)
		add_text(b, r->spec.env[i]);
}

/* Secrets go to the task by the shim's environment and by files that go with it; the spec stays. */
static pid_t spawn_with_secrets(struct run *r, const struct secrets *secrets, struct arena *a, const char *token,
				struct err *err)
{
	const char *dir = arena_printf(a, "%s/secrets", r->dir);

	return secrets_write(secrets, dir, err) == OK
		       ? spawn_shim(r->x, r->dir, token, secrets_env(secrets, dir, a), err)
		       : 0;
}

static void fail_start(struct run *r, const char *code, const struct err *err, bool system)
{
	run_fail(r, code, err->text, system);
	run_free(r);
}

static void start_shim(struct run *r)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	const char *token =
		arena_printf(a, "%llu-%016llx", (unsigned long long)r->x->host.epoch, (unsigned long long)random_u64());
	auto_buf struct buf spec = {0};
	struct secrets secrets;
	struct err err;

	if (secrets_read(&r->x->config->secrets, r->dynamic.task->security_context, a, &secrets, &err) != OK) {
		fail_start(r, "SecretNotFound", &err, false);
		return;
	}
	attempt_dir_make_parents(r->log_path);
	pack_spec(r, &spec);
	u64map_put(r->x->used, (uint64_t)r->id.execution, r->x);
	enum code c = attempt_dir_make(r->dir, token, buf_str(&spec), &err);
	if (c == ABORTED && run_find_again(r))
		return;
	if (!c && r->copilot.config)
		c = copilot_lay_inputs(&r->copilot, r->literals, &err);
	if (c == INVALID_ARGUMENT) {
		fail_start(r, "BadTaskSpecification", &err, false);
		return;
	}
	pid_t pid = c ? 0 : spawn_with_secrets(r, &secrets, a, token, &err);
	if (!pid || !watch(r, pid, &err)) {
		fail_start(r, "CannotStartProcess", &err, true);
		return;
	}
	metric_add(r->x->spawned, 1);
	r->started_us = time_now_us();
	feed_started(r);
}

/* ---- inputs ---- */

static void fail_preparing(struct run *r)
{
	struct inputs_error e = inputs_error(&r->wanted);

	fail(r, e.code, r->wanted.failure.text, e.kind, e.again);
	run_free(r);
}

static void prepared(void *arg)
{
	struct run *r = arg;

	if (r->aborted)
		run_free(r);
	else if (r->wanted.failure.code)
		fail_preparing(r);
	else
		start_shim(r);
}

static void on_template_written(void *arg, enum code code, const struct err *err)
{
	struct run *r = arg;

	if (code)
		r->wanted.failure = *err;
	loop_post(r->x->host.loop, prepared, r);
}

static void write_template(struct run *r)
{
	auto_free(arena_free) struct arena *a = arena_new(0);

	CoreTaskTemplate *task = pb_clone(r->dynamic.task, a);

	if (task->target_case == CORE_TASK_TEMPLATE_TARGET_CONTAINER)
		task->container->resources = resources_adjust(task->container->resources, &r->platform, a);
	store_write(r->x->host.store, r->spec.template_path, pb_pack(task, a), on_template_written, r);
}

static void inputs_are_there(void *arg)
{
	struct run *r = arg;

	if (r->spec.template_path && !r->wanted.failure.code && !r->aborted)
		write_template(r);
	else
		prepared(r);
}

/* On a thread of the store. */
static enum code finish_spec(void *arg, struct str literals, struct err *err)
{
	struct run *r = arg;
	enum code c = OK;

	if (r->spec.needs_inputs || r->copilot.config)
		c = pb_unpack(CORE_LITERAL_MAP_DESC, literals, r->arena, (void **)&r->literals, err);
	if (!c && r->spec.needs_inputs)
		c = task_spec_inputs(&r->spec, r->literals, r->arena, err);
	copilot_rename(&r->copilot, &r->spec, r->arena);
	return c;
}

void run_prepare(struct run *r)
{
	r->state = PREPARING;
	r->wanted.use = finish_spec;
	r->wanted.done = inputs_are_there;
	inputs_prepare(&r->wanted);
}

/* An attempt that an earlier process started; false if there is nothing to find. */
bool run_find_again(struct run *r)
{
	pid_t shim = 0;
	enum attempt_found found = attempt_dir_look(r->dir, &shim);

	if (found == FOUND_NOTHING)
		return false;
	u64map_put(r->x->used, (uint64_t)r->id.execution, r->x);
	r->holds_slot = !r->eager && !r->holds_slot ? (r->x->busy++, true) : r->holds_slot;
	if (found == FOUND_RUNNING && watch(r, shim, NULL)) {
		feed_started(r);
		return true;
	}
	read_results(r);
	return true;
}

void run_stop(struct run *r)
{
	pidfd_send_signal(r->pidfd, SIGTERM, NULL, 0);
}

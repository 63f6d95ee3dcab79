/* The process executor: container commands as local processes, each under a shim that outlives propeller.
 *
 *   start -> wait for a slot -> put the inputs together, write inputs.pb -> spawn the shim -> watch it -> read what the
 * task wrote -> tell the engine. After a restart an attempt is found again by its directory.
 *
 * Everything here runs on the loop; the store's threads come back by loop_post. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attempt_dir.h"
#include "pb/pb.h"
#include "process.h"
#include "values.h"

enum { MOST_LEFT = 1000, FIRST_PAUSE_US = 1000000, MAX_PAUSE_US = 64000000 };

/* ---- start ---- */

static const char *log_path_of(struct run *r, const struct attempt *a)
{
	const CoreWorkflowExecutionIdentifier *id = a->command->id;

	return arena_printf(r->arena, "logs/%s/%s/%s/%s-%u.log", id->project, id->domain, id->name, a->node_unique_id,
			    a->attempt);
}

static struct inputs_request wanted_by(struct run *r, const struct attempt *a)
{
	const CoreTaskTemplate *task = a->task;
	const CoreRuntimeMetadata *runtime = task->metadata ? task->metadata->runtime : NULL;

	return (struct inputs_request){
		.loop = r->x->host.loop,
		.store = r->x->host.store,
		.config = r->x->config,
		.inputs = values_copy(a->inputs, a->n_inputs, r->arena),
		.n_inputs = a->n_inputs,
		.uri = arena_strdup(r->arena, a->inputs_uri),
		.shared = a->shares_inputs,
		.task = arena_printf(r->arena, "%s", task->id ? task->id->name : ""),
		.runtime = runtime ? pb_clone(runtime, r->arena) : NULL,
		.arg = r,
	};
}

/* Who starts several workers asks for it, as Flyte's plugins for distributed tasks do. */
static bool many_errors(const struct attempt *a)
{
	static const char *const KEYS[] = {"_F_DES", "FLYTE_INTERNAL_DIST_ERROR_STRATEGY"};
	auto_free(arena_free) struct arena *scratch = arena_new(1024);

	for (size_t i = 0; i < ARRAY_SIZE(KEYS); i++) {
		const char *value = task_spec_variable(a, KEYS[i], scratch);
		if (value && *value)
			return true;
	}
	return false;
}

static struct platform_resources platform_of(struct run *r, const AdminTaskResourceAttributes *from)
{
	const AdminTaskResourceAttributes *a = from ? pb_clone(from, r->arena) : NULL;

	return (struct platform_resources){a ? a->defaults : NULL, a ? a->limits : NULL};
}

static struct run *run_new(struct executor *x, struct attempt_id id, const struct attempt *a)
{
	struct arena *arena = arena_new(4096);
	struct run *r = arena_new_of(arena, struct run);
	const CoreTaskTemplate *task = a->task;

	r->x = x;
	r->id = id;
	r->arena = arena;
	r->pidfd = -1;
	r->key = x_printf("%lld/%u-%u", (long long)id.execution, id.node, id.attempt);
	r->dir = arena_printf(arena, "%s/%s", x->dir, r->key);
	const char *log = log_path_of(r, a);
	r->log_path = arena_printf(arena, "%s/%s", store_root(x->host.store), log);
	r->log_uri = *x->config->log_url ? arena_printf(arena, "%s/%s", x->config->log_url, log)
					 : arena_printf(arena, "file://%s", r->log_path);
	r->output_prefix = arena_strdup(arena, a->output_prefix);
	r->wanted = wanted_by(r, a);
	r->timeout_us = a->timeout_us;
	r->dynamic = futures_request_of(id, a, arena); /* by the time that it is needed, the execution may be gone */
	r->many_errors = many_errors(a);
	r->copilot = copilot_of(r->dynamic.task, r->dir, arena);
	r->raw_prefix = arena_strdup(arena, a->raw_output_prefix);
	r->platform = platform_of(r, a->command->start->task_resources);
	r->eager = task->metadata && task->metadata->is_eager;
	r->outputs_declared = task->interface && task->interface->outputs && task->interface->outputs->n_variables > 0;
	map_put(x->runs, str_of(r->key), r);
	return r;
}

static const char *const PLUGINS[] = {"container", "process", NULL};

static bool process_takes(struct executor *x, const CoreTaskTemplate *task)
{
	(void)x;
	return task->target_case == CORE_TASK_TEMPLATE_TARGET_CONTAINER ||
	       task->target_case == CORE_TASK_TEMPLATE_TARGET_K8S_POD;
}

/* NULL: it is here already. */
static struct run *run_begin(struct executor *x, struct attempt_id id, const struct attempt *a)
{
	char key[64];

	snprintf(key, sizeof key, "%lld/%u-%u", (long long)id.execution, id.node, id.attempt);
	return map_get(x->runs, str_of(key)) ? NULL : run_new(x, id, a);
}

static void run_anew(struct run *r, const struct attempt *a)
{
	struct err err;

	if (task_spec_make(r->x->config, a, r->arena, &r->spec, &err) != OK) {
		run_fail(r, "BadTaskSpecification", err.text, false);
		run_free(r);
		return;
	}
	run_wait_for_slot(r);
}

static void process_start(struct executor *x, struct attempt_id id, const struct attempt *a)
{
	struct run *r = run_begin(x, id, a);

	if (r)
		run_anew(r, a);
}

static void process_reattach(struct executor *x, struct attempt_id id, const struct attempt *a,
			     enum attempt_origin origin)
{
	struct run *r = run_begin(x, id, a);

	if (!r || run_find_again(r))
		return;
	if (origin == ATTEMPT_FOREIGN) {
		metric_add(x->lost, 1);
		run_fail(r, "Interrupted", "The attempt ran on another host, whose propeller is gone.", true);
		run_free(r);
		return;
	}
	run_anew(r, a);
}

/* An attempt that an earlier process started and that is to be stopped instead of found again. */
static void stop_stranger(struct executor *x, const char *key)
{
	auto_mem char *dir = x_printf("%s/%s", x->dir, key);
	pid_t shim = 0;

	if (attempt_dir_look(dir, &shim) == FOUND_RUNNING)
		kill(shim, SIGTERM);
}

static void process_abort(struct executor *x, struct attempt_id id, const struct attempt_resource *resource)
{
	(void)resource;
	char key[64];

	snprintf(key, sizeof key, "%lld/%u-%u", (long long)id.execution, id.node, id.attempt);
	struct run *r = map_get(x->runs, str_of(key));
	if (!r) {
		stop_stranger(x, key);
		return;
	}
	r->aborted = true;
	if (r->state == RUNNING) {
		run_stop(r);
	} else if (r->state == WAITING) {
		run_leave_queue(r);
		run_free(r);
	}
}

static void process_finalise(struct executor *x, int64_t execution)
{
	auto_mem char *dir = x_printf("%s/%lld", x->dir, (long long)execution);

	if (u64map_remove(x->used, (uint64_t)execution) || access(dir, F_OK) == 0)
		process_throw_away(x, take(dir));
}

/* ---- open and close ---- */

/* What could not be removed: a task that is being stopped may write meanwhile. */
struct rest {
	VEC(char *) paths;
	int64_t due_us, pause_us;
};

static bool clean(char *path)
{
	attempt_dir_remove(path);
	if (access(path, F_OK) == 0)
		return false;
	free(path);
	return true;
}

/* Of very many, the sweeper finds some at the next start. */
static void clean_later(struct rest *r, char *path)
{
	if (r->paths.n >= MOST_LEFT) {
		free(path);
		return;
	}
	vec_push(&r->paths, path);
	r->pause_us = FIRST_PAUSE_US;
	r->due_us = time_mono_us() + r->pause_us;
}

static void clean_again(struct rest *r)
{
	for (size_t i = r->paths.n; i-- > 0;)
		if (clean(r->paths.at[i]))
			vec_swap_remove(&r->paths, i);
	r->pause_us = MIN(r->pause_us * 2, MAX_PAUSE_US);
	r->due_us = time_mono_us() + r->pause_us;
}

static void *cleaner_thread(void *arg)
{
	struct executor *x = arg;
	struct rest rest = {0};
	char *path;

	pthread_setname_np(pthread_self(), "cleaner");
	for (;;) {
		int64_t wait_us = rest.paths.n ? MAX(rest.due_us - time_mono_us(), 0) : -1;
		size_t n = queue_pop(x->rubbish, (void **)&path, 1, wait_us);
		if (n == 0 && queue_closed(x->rubbish))
			break;
		if (n && !clean(path))
			clean_later(&rest, path);
		if (rest.paths.n && time_mono_us() >= rest.due_us)
			clean_again(&rest);
	}
	vec_each (char **, p, &rest.paths)
		free(*p);
	vec_free(&rest.paths);
	return NULL;
}

/* The shim lies beside this program unless configured. */
static enum code find_shim(struct executor *x, struct err *err)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	if (*x->config->process_shim) {
		x->shim = x_strdup(x->config->process_shim);
	} else {
		self[MAX(n, 0)] = '\0';
		char *slash = strrchr(self, '/');
		x->shim = x_printf("%.*s/alula-shim", slash ? (int)(slash - self) : 0, self);
	}
	if (access(x->shim, X_OK) != 0)
		return err_set(err, NOT_FOUND, "plugins.process.shim: %s: %s", x->shim, strerror(errno));
	return OK;
}

static enum code open_dir(struct executor *x, struct err *err)
{
	x->dir = x_strdup(x->config->process_dir);
	attempt_dir_make_parents(x->dir);
	bool made = mkdir(x->dir, 0755) == 0 || errno == EEXIST;
	char *real = made ? realpath(x->dir, NULL) : NULL;
	if (real) {
		free(x->dir);
		x->dir = real;
	}
	if (!made)
		return err_set(err, PERMISSION_DENIED, "plugins.process.dir: cannot make %s: %s", x->dir,
			       strerror(errno));
	if (access(x->dir, W_OK | X_OK) != 0)
		return err_set(err, PERMISSION_DENIED, "plugins.process.dir: cannot write to %s: %s", x->dir,
			       strerror(errno));
	return OK;
}

static void process_close(struct executor *x)
{
	size_t it = 0;
	struct str key;
	void *value;

	if (!x)
		return;
	if (x->rubbish) {
		queue_close(x->rubbish);
		pthread_join(x->cleaner, NULL);
		queue_free(x->rubbish);
	}
	while (map_next(x->runs, &it, &key, &value)) {
		struct run *r = value;
		loop_io_free(r->io);
		if (r->pidfd >= 0)
			close(r->pidfd);
		free(r->key);
		arena_free(r->arena);
	}
	map_free(x->runs);
	u64map_free(x->used);
	free(x->shim);
	free(x->dir);
	free(x);
}

static enum code process_open(const struct executor_host *host, const void *config, struct executor **ret,
			      struct err *err)
{
	struct executor *x = x_calloc(1, sizeof *x);
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	x->host = *host;
	x->config = config;
	x->last = &x->first;
	x->slots = x->config->process_slots ? (size_t)x->config->process_slots : (size_t)MAX(cores, 1) * 2;
	x->runs = map_new();
	x->used = u64map_new();
	x->running = metrics_gauge(host->metrics, "propeller:process:running", NULL, "Attempts that run as processes.");
	x->waiting = metrics_gauge(host->metrics, "propeller:process:waiting", NULL, "Attempts that wait for a slot.");
	x->spawned = metrics_counter(host->metrics, "propeller:process:spawned", NULL, "Processes started.");
	x->lost = metrics_counter(host->metrics, "propeller:process:lost", NULL, "Attempts whose end nobody saw.");
	enum code c = find_shim(x, err);
	if (!c)
		c = open_dir(x, err);
	if (c) {
		process_close(x);
		return c;
	}
	x->rubbish = queue_new("cleaner", 65536);
	pthread_create(&x->cleaner, NULL, cleaner_thread, x);
	*ret = x;
	return OK;
}

const struct executor_kind process_executor = {
	.name = "process",
	.plugins = PLUGINS,
	.takes = process_takes,
	.open = process_open,
	.start = process_start,
	.reattach = process_reattach,
	.abort = process_abort,
	.finalise = process_finalise,
	.close = process_close,
};

/* The connector executor: tasks that a service outside runs, asked over gRPC.
 *
 *   start -> put the inputs together, write inputs.pb -> CreateTask -> the engine journals the resource -> GetTask,
 * again and again -> tell the engine. A synchronous connector answers the first call with the end. After a restart an
 * attempt whose resource is in the journal goes on with GetTask; one without is created again, under the same name.
 *
 * Everything here runs on the loop; the store's threads and that of RPCs come back by loop_post.
 * Source: flyteplugins webapi/connector/plugin.go, internal/webapi (v1.16.8). */
#include "connector.h"

#include <stdio.h>

#include "flyteidl/service/agent.h"
#include "pb/pb.h"

enum { REFRESH_TIMER = 1, JOB_TIMER };

const char CONNECTOR_PLUGIN[] = "connector-service";

static const char *const PLUGINS[] = {CONNECTOR_PLUGIN, NULL};

/* ---- jobs ---- */

static struct job *job_new(struct executor *x, struct attempt_id id)
{
	struct arena *arena = arena_new(1024);
	struct job *j = arena_new_of(arena, struct job);

	j->x = x;
	j->id = id;
	j->arena = arena;
	j->key = x_printf("%lld/%u-%u", (long long)id.execution, id.node, id.attempt);
	j->pause_us = x->config->connectors.first_get_us;
	map_put(x->jobs, str_of(j->key), j);
	metric_add(x->running, 1);
	return j;
}

static struct job *find(struct executor *x, struct attempt_id id)
{
	char key[64];

	snprintf(key, sizeof key, "%lld/%u-%u", (long long)id.execution, id.node, id.attempt);
	return map_get(x->jobs, str_of(key));
}

static void free_memory(struct job *j)
{
	free(j->key);
	arena_free(j->request_arena);
	arena_free(j->call_arena);
	arena_free(j->arena);
}

void job_free(struct job *j)
{
	map_remove(j->x->jobs, str_of(j->key));
	metric_add(j->x->running, -1);
	free_memory(j);
}

void job_wait(struct job *j, int64_t pause_us)
{
	j->due_us = time_now_us() + pause_us;
	timers_add(j->x->timers, (struct timer){j->due_us, j->id.execution, JOB_TIMER, j->id.node, j->id.attempt});
}

/* ---- inputs ---- */

static void collected(void *arg)
{
	struct job *j = arg;
	struct inputs_error e = inputs_error(&j->wanted);

	if (j->aborted)
		job_free(j);
	else if (j->wanted.failure.code)
		job_fail(j, e.code, j->wanted.failure.text, e.again, e.kind == CORE_EXECUTION_ERROR_ERROR_KIND_SYSTEM);
	else
		job_create(j);
}

/* On a thread of the store. */
static enum code take_inputs(void *arg, struct str literals, struct err *err)
{
	struct job *j = arg;

	return pb_unpack_own(CORE_LITERAL_MAP_DESC, literals, j->request_arena, (void **)&j->request->inputs, err);
}

/* ---- the vtable ---- */

/* NULL: it is here already. */
static struct job *job_begin(struct executor *x, struct attempt_id id, const struct attempt *a)
{
	const CoreTaskTemplate *task = a->task;

	if (find(x, id))
		return NULL;
	struct job *j = job_new(x, id);
	j->type = arena_strdup(j->arena, task->type);
	j->version = task->task_type_version;
	j->output_prefix = arena_strdup(j->arena, a->output_prefix);
	j->is_item = a->is_item;
	j->interface = task->interface ? pb_clone(task->interface, j->arena) : NULL;
	j->outputs_declared = task->interface && task->interface->outputs && task->interface->outputs->n_variables > 0;
	return j;
}

static void begin_anew(struct job *j, const struct attempt *a)
{
	struct err err;

	j->state = COLLECTING;
	if (job_make_request(j, a, &err) != OK) {
		job_fail(j, "BadTaskSpecification", err.text, false, false);
		return;
	}
	const CoreTaskTemplate *task = j->request->template_;
	j->wanted = (struct inputs_request){
		.loop = j->x->host.loop,
		.store = j->x->host.store,
		.config = j->x->config,
		.inputs = a->inputs,
		.n_inputs = a->n_inputs,
		.uri = arena_strdup(j->arena, a->inputs_uri),
		.shared = a->shares_inputs,
		.task = task->id ? task->id->name : "",
		.runtime = task->metadata ? task->metadata->runtime : NULL,
		.use = take_inputs,
		.done = collected,
		.arg = j,
	};
	inputs_prepare(&j->wanted);
}

static void connector_start(struct executor *x, struct attempt_id id, const struct attempt *a)
{
	struct job *j = job_begin(x, id, a);

	if (j)
		begin_anew(j, a);
}

/* Where the resource is: at its endpoint, or wherever the type is by now. */
static bool find_resource(struct job *j, const struct attempt_resource *r)
{
	j->version = r->task_type_version;
	j->connector = registry_at(&j->x->registry, r->endpoint);
	if (!j->connector && j->type)
		j->connector = registry_find(&j->x->registry, j->type, j->version, &j->is_sync);
	if (!j->connector)
		j->connector = j->x->registry.fallback;
	j->meta = (struct str){arena_dup(j->arena, r->meta.ptr, r->meta.len), r->meta.len};
	return j->connector != NULL;
}

static void connector_reattach(struct executor *x, struct attempt_id id, const struct attempt *a,
			       enum attempt_origin origin)
{
	struct job *j = job_begin(x, id, a);

	(void)origin;
	if (!j)
		return;
	if (!a->resource) {
		begin_anew(j, a);
		return;
	}
	j->state = WATCHING;
	if (find_resource(j, a->resource)) {
		job_get(j);
		return;
	}
	auto_mem char *text = x_printf("the task was made by a connector at %s, which is not configured any more "
				       "(plugins.connector-service.connectors)",
				       a->resource->endpoint);
	job_fail(j, "SystemError", text, false, true);
}

static void connector_event(struct executor *x, struct attempt_id id)
{
	struct job *j = find(x, id);

	if (!j || j->state != KEEPING)
		return;
	j->state = WATCHING;
	job_wait(j, j->pause_us);
}

static void abort_stranger(struct executor *x, struct attempt_id id, const struct attempt_resource *r)
{
	struct job *j = job_new(x, id);

	j->type = arena_strdup(j->arena, r->task_type);
	j->aborted = true;
	if (find_resource(j, r))
		job_delete(j);
	else
		job_free(j);
}

static void connector_abort(struct executor *x, struct attempt_id id, const struct attempt_resource *r)
{
	struct job *j = find(x, id);

	if (!j && r)
		abort_stranger(x, id, r);
	if (!j || j->aborted)
		return;
	j->aborted = true;
	/* Whatever is under way comes back and sees it. */
	if (j->calling || j->state == COLLECTING || j->state == ENDING || j->state == DELETING)
		return;
	if (j->state == HOLDING)
		job_free(j);
	else
		job_delete(j);
}

static void connector_finalise(struct executor *x, int64_t execution)
{
	(void)x;
	(void)execution;
}

/* What local processes are for, unless somebody says otherwise. */
static bool is_core_type(const char *type)
{
	static const char *const TYPES[] = {"container", "raw-container", "python-task", "sidecar"};

	for (size_t i = 0; i < ARRAY_SIZE(TYPES); i++)
		if (strcmp(TYPES[i], type) == 0)
			return true;
	return false;
}

static bool connector_takes(struct executor *x, const CoreTaskTemplate *task)
{
	struct registry *r = &x->registry;
	bool sync, contained = task->target_case == CORE_TASK_TEMPLATE_TARGET_CONTAINER ||
			       task->target_case == CORE_TASK_TEMPLATE_TARGET_K8S_POD;

	if (r->connectors.n == 0)
		return false;
	for (size_t i = 0; i < r->for_task_types.n; i++)
		if (strcasecmp(r->for_task_types.at[i].key, task->type) == 0)
			return true;
	return !contained ||
	       (!is_core_type(task->type) && registry_find(r, task->type, task->task_type_version, &sync));
}

/* ---- time ---- */

static void on_timer(void *arg, const struct timer *t)
{
	struct executor *x = arg;

	if (t->timer == REFRESH_TIMER) {
		registry_refresh(&x->registry);
		timers_add(x->timers, (struct timer){.at_us = time_now_us() + x->config->connectors.poll_interval_us,
						     .timer = REFRESH_TIMER});
		return;
	}
	struct job *j = find(x, (struct attempt_id){t->execution, t->node, t->attempt});
	if (!j || j->due_us != t->at_us || j->calling)
		return;
	if (j->state == HOLDING)
		job_create(j);
	else if (j->state == WATCHING)
		job_get(j);
	else if (j->state == DELETING)
		job_delete_now(j);
}

/* ---- open and close ---- */

static void connector_close(struct executor *x)
{
	size_t it = 0;
	void *j;

	if (!x)
		return;
	rpc_calls_free(x->calls);
	while (map_next(x->jobs, &it, NULL, &j))
		free_memory(j);
	map_free(x->jobs);
	registry_free(&x->registry);
	timers_free(x->timers);
	free(x);
}

static enum code connector_open(const struct executor_host *host, const void *config, struct executor **ret,
				struct err *err)
{
	struct executor *x = x_calloc(1, sizeof *x);

	x->host = *host;
	x->config = config;
	x->create = pb_find_method(&ASYNC_AGENT_SERVICE_TABLE, "CreateTask");
	x->get = pb_find_method(&ASYNC_AGENT_SERVICE_TABLE, "GetTask");
	x->delete = pb_find_method(&ASYNC_AGENT_SERVICE_TABLE, "DeleteTask");
	x->execute = pb_find_method(&SYNC_AGENT_SERVICE_TABLE, "ExecuteTaskSync");
	x->list = pb_find_method(&AGENT_METADATA_SERVICE_TABLE, "ListAgents");
	x->jobs = map_new();
	x->timers = timers_new(host->loop, on_timer, x);
	x->running = metrics_gauge(host->metrics, "propeller:connector:tasks", NULL, "Attempts at connectors.");
	x->created = metrics_counter(host->metrics, "propeller:connector:created", NULL, "Tasks made by connectors.");
	x->failed_calls = metrics_counter(host->metrics, "propeller:connector:failed_calls", NULL,
					  "RPCs to connectors that failed.");
	x->calls = rpc_calls_new();
	enum code c = registry_open(&x->registry, x, &x->config->connectors, err);
	if (c) {
		connector_close(x);
		return c;
	}
	if (x->registry.connectors.n) {
		registry_refresh(&x->registry);
		registry_wait(&x->registry);
		timers_add(x->timers, (struct timer){.at_us = time_now_us() + x->config->connectors.poll_interval_us,
						     .timer = REFRESH_TIMER});
	}
	*ret = x;
	return OK;
}

const struct executor_kind connector_executor = {
	.name = "connector",
	.plugins = PLUGINS,
	.open = connector_open,
	.takes = connector_takes,
	.start = connector_start,
	.reattach = connector_reattach,
	.event = connector_event,
	.abort = connector_abort,
	.finalise = connector_finalise,
	.close = connector_close,
};

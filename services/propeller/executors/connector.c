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
#include "values.h"

enum { MAX_META_BYTES = 256 << 10, BUSY_PAUSE_US = 20000, REFRESH_TIMER = 1, JOB_TIMER };

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

/* ---- calls ---- */

static void call_over(void *arg)
{
	struct job *j = arg;

	j->called->calls--;
	j->calling = false;
	if (j->code)
		metric_add(j->x->failed_calls, 1);
	j->call_over(j);
}

/* On the thread of RPCs. */
static void on_answer(void *arg, enum code code, void *message, const struct err *err)
{
	struct job *j = arg;

	j->code = code;
	j->answer = message;
	j->err = *err;
	loop_post(j->x->host.loop, call_over, j);
}

void job_call(struct job *j, const struct pb_method *method, const void *const *in, size_t n, void (*fn)(void *job))
{
	arena_free(j->call_arena);
	j->call_arena = arena_new(0);
	j->last = NULL;
	j->calling = true;
	j->connector->calls++;
	j->called = j->connector;
	j->call_over = fn;
	rpc_start(j->x->calls, j->connector->channel, method, in, n, connector_timeout(j->connector, method->name),
		  j->call_arena, on_answer, j);
}

static bool too_busy(struct job *j)
{
	if (j->connector->calls < (size_t)j->x->config->connectors.max_calls)
		return false;
	job_wait(j, BUSY_PAUSE_US);
	return true;
}

bool is_connection_error(enum code code)
{
	return code == UNAVAILABLE || code == DEADLINE_EXCEEDED || code == CANCELLED || code == RESOURCE_EXHAUSTED;
}

/* So many failures; and who cannot be reached has the time that they would take at the slowest pace. */
bool job_may_try_again(struct job *j)
{
	const struct connectors_config *config = &j->x->config->connectors;
	int64_t now = time_now_us();

	if (j->failures++ == 0)
		j->failing_since_us = now;
	bool too_many = j->failures > config->max_failures;
	bool too_long = now - j->failing_since_us >= config->max_failures * config->resync_us;
	if (too_many && (too_long || !is_connection_error(j->code)))
		return false;
	int64_t pause = config->first_get_us << MIN(j->failures - 1, 20);
	job_wait(j, MIN(pause, config->resync_us));
	return true;
}

/* "GetTask of connector default at host:port: …" */
static const char *call_text(struct job *j, const char *what, const char *method)
{
	return arena_printf(j->arena, "failed to %s with %s: %s of connector %s at %s: %s", what, code_name(j->code),
			    method, j->connector->id, j->connector->endpoint, j->err.text);
}

/* ---- DeleteTask ---- */

static void delete_now(struct job *j);

static void deleted(void *arg)
{
	static struct log_limit limit;
	struct job *j = arg;
	size_t held;

	if (j->code == OK || (!is_connection_error(j->code) && j->failures > 0) || j->code == NOT_FOUND ||
	    j->code == UNIMPLEMENTED) {
		job_free(j);
		return;
	}
	if (log_allow(&limit, USEC_PER_SEC, &held))
		log_warn("a connector could not delete a task", LOG_STR("endpoint", j->connector->endpoint),
			 LOG_STR("attempt", j->key), LOG_ERR(&j->err), LOG_INT("held_back", held));
	if (!job_may_try_again(j))
		job_free(j);
}

static void delete_now(struct job *j)
{
	AdminDeleteTaskRequest rq = ADMIN_DELETE_TASK_REQUEST_INIT;
	AdminTaskCategory category = ADMIN_TASK_CATEGORY_INIT;
	const void *in[] = {&rq};

	if (too_busy(j))
		return;
	category.name = (char *)j->type;
	category.version = j->version;
	rq.task_type = (char *)j->type;
	rq.task_category = &category;
	rq.resource_meta = (ProtobufCBinaryData){j->meta.len, (uint8_t *)j->meta.ptr};
	job_call(j, j->x->delete, in, 1, deleted);
}

void job_delete(struct job *j)
{
	j->state = DELETING;
	j->failures = 0;
	delete_now(j);
}

/* ---- GetTask ---- */

static void got(void *arg)
{
	struct job *j = arg;
	const AdminGetTaskResponse *answer = j->code ? NULL : j->answer;

	if (j->aborted) {
		job_delete(j);
		return;
	}
	if (answer && answer->resource) {
		j->failures = 0;
		job_take_resource(j, answer->resource);
		return;
	}
	if (answer) {
		j->code = DATA_LOSS;
		err_set(&j->err, DATA_LOSS, "the answer has no resource");
	}
	if (job_may_try_again(j))
		return;
	bool lost = is_connection_error(j->code);
	job_tell_failure(j, "AutoRefreshCacheFailed", call_text(j, "get task from connector", "GetTask"), lost, lost);
	job_delete(j);
}

static void get(struct job *j)
{
	AdminGetTaskRequest rq = ADMIN_GET_TASK_REQUEST_INIT;
	AdminTaskCategory category = ADMIN_TASK_CATEGORY_INIT;
	const void *in[] = {&rq};

	if (too_busy(j))
		return;
	category.name = (char *)j->type;
	category.version = j->version;
	rq.task_type = (char *)j->type;
	rq.task_category = &category;
	rq.output_prefix = (char *)j->output_prefix;
	rq.resource_meta = (ProtobufCBinaryData){j->meta.len, (uint8_t *)j->meta.ptr};
	job_call(j, j->x->get, in, 1, got);
}

/* ---- CreateTask, ExecuteTaskSync ---- */

/* What it was told is not needed any more. */
static void drop_request(struct job *j)
{
	arena_free(j->request_arena);
	j->request_arena = NULL;
	j->request = NULL;
}

static void not_created(struct job *j)
{
	bool lost = is_connection_error(j->code);
	const char *method = j->is_sync ? "ExecuteTaskSync" : "CreateTask";

	/* Not reached: nothing has been made, so far as can be told. */
	if (j->code == UNAVAILABLE && job_may_try_again(j)) {
		j->state = HOLDING;
		return;
	}
	job_fail(j, "TaskFailedWithError",
		 call_text(j, j->is_sync ? "execute task from connector" : "create task from connector", method), true,
		 lost);
}

static void created(void *arg)
{
	struct job *j = arg;
	const AdminCreateTaskResponse *answer = j->code ? NULL : j->answer;

	if (answer && answer->resource_meta.len > MAX_META_BYTES) {
		char text[200];
		snprintf(text, sizeof text,
			 "CreateTask of connector %s at %s: a resource_meta of %zu bytes, more than %d",
			 j->connector->id, j->connector->endpoint, answer->resource_meta.len, MAX_META_BYTES);
		job_fail(j, "TaskFailedWithError", text, false, false);
		return;
	}
	if (answer)
		j->meta = (struct str){arena_dup(j->arena, answer->resource_meta.data, answer->resource_meta.len),
				       answer->resource_meta.len};
	if (j->aborted && answer) {
		job_delete(j);
	} else if (j->aborted) {
		job_free(j);
	} else if (answer) {
		metric_add(j->x->created, 1);
		j->state = KEEPING;
		j->failures = 0;
		drop_request(j);
		job_tell_resource(j);
	} else {
		not_created(j);
	}
}

static void executed(void *arg)
{
	struct job *j = arg;
	const AdminExecuteTaskSyncResponse *answer = j->code ? NULL : j->answer;
	AdminResource *r = answer && answer->res_case == ADMIN_EXECUTE_TASK_SYNC_RESPONSE_RES_HEADER
				   ? answer->header->resource
				   : NULL;

	if (j->aborted) {
		job_free(j);
		return;
	}
	if (!j->code && !r) {
		j->code = DATA_LOSS;
		err_set(&j->err, DATA_LOSS, "expected header in the response, but got none");
	}
	if (j->code) {
		not_created(j);
		return;
	}
	metric_add(j->x->created, 1);
	drop_request(j);
	if (r->phase == CORE_TASK_EXECUTION_PHASE_SUCCEEDED || r->phase == CORE_TASK_EXECUTION_PHASE_FAILED ||
	    r->phase == CORE_TASK_EXECUTION_PHASE_RETRYABLE_FAILED || r->phase == CORE_TASK_EXECUTION_PHASE_ABORTED) {
		job_take_resource(j, r);
		return;
	}
	const ProtobufCEnumValue *phase =
		protobuf_c_enum_descriptor_get_value(CORE_TASK_EXECUTION_PHASE_DESC, (int)r->phase);
	char text[300];
	snprintf(text, sizeof text, "ExecuteTaskSync of connector %s at %s: phase %s is no end", j->connector->id,
		 j->connector->endpoint, phase ? phase->name : "of another kind");
	job_fail(j, "SystemError", text, false, true);
}

static void execute(struct job *j)
{
	AdminExecuteTaskSyncRequest head = ADMIN_EXECUTE_TASK_SYNC_REQUEST_INIT, inputs = head;
	AdminCreateRequestHeader header = ADMIN_CREATE_REQUEST_HEADER_INIT;
	const void *in[] = {&head, &inputs};

	header.template_ = j->request->template_;
	header.output_prefix = j->request->output_prefix;
	header.task_execution_metadata = j->request->task_execution_metadata;
	head.part_case = ADMIN_EXECUTE_TASK_SYNC_REQUEST_PART_HEADER;
	head.header = &header;
	inputs.part_case = ADMIN_EXECUTE_TASK_SYNC_REQUEST_PART_INPUTS;
	inputs.inputs = j->request->inputs;
	job_call(j, j->x->execute, in, 2, executed);
}

/* ---- where to ---- */

static void unknown_type(struct job *j, const char *who)
{
	auto_mem char *text = x_printf(
		"no plugin defined for Handler type [%s] and no defaultPlugin configured: no connector has it; name one in "
		"plugins.connector-service.connectorForTaskTypes, or a plugin in "
		"tasks.task-plugins.default-for-task-types%s%s",
		j->type, *who ? "; " : "", who);

	job_fail(j, "UnsupportedTaskType", text, *who, true);
}

static void create(struct job *j)
{
	auto_buf struct buf who = {0};

	j->connector = registry_find(&j->x->registry, j->type, j->version, &j->is_sync);
	if (!j->connector) {
		/* One that is down may have it. */
		j->code = UNAVAILABLE;
		j->state = HOLDING;
		if (!registry_incomplete(&j->x->registry, &who) || !job_may_try_again(j))
			unknown_type(j, who.len ? buf_text(&who) : "");
		return;
	}
	if (too_busy(j)) {
		j->state = HOLDING;
		return;
	}
	const void *in[] = {j->request};
	j->state = CREATING;
	/* flytekit's map tasks are of version 1, whatever the task is that they map. */
	if (j->is_item)
		j->version = registry_version(&j->x->registry, j->connector, j->type, j->version);
	j->request->template_->task_type_version = j->version;
	if (j->is_sync)
		execute(j);
	else
		job_call(j, j->x->create, in, 1, created);
}

/* ---- inputs ---- */

static void collected(void *arg)
{
	struct job *j = arg;

	if (j->aborted)
		job_free(j);
	else if (j->failure.code)
		job_fail(j, "InputsNotWritten", j->failure.text, true, true);
	else
		create(j);
}

static void on_inputs_written(void *arg, enum code code, const struct err *err)
{
	struct job *j = arg;

	if (code)
		j->failure = *err;
	loop_post(j->x->host.loop, collected, j);
}

/* On a thread of the store, or at once. */
static void on_inputs(void *arg, enum code code, struct str literals, const struct err *err)
{
	struct job *j = arg;

	if (code)
		j->failure = *err;
	else
		code = pb_unpack_own(CORE_LITERAL_MAP_DESC, literals, j->request_arena, (void **)&j->request->inputs,
				     &j->failure);
	if (code || j->shares_inputs)
		loop_post(j->x->host.loop, collected, j);
	else
		store_write(j->x->host.store, j->inputs_uri, literals, on_inputs_written, j);
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
	j->inputs_uri = arena_strdup(j->arena, a->inputs_uri);
	j->shares_inputs = a->shares_inputs;
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
	values_collect(j->x->host.store, a->inputs, a->n_inputs, (size_t)j->x->config->max_output_bytes, on_inputs, j);
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
		get(j);
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
		create(j);
	else if (j->state == WATCHING)
		get(j);
	else if (j->state == DELETING)
		delete_now(j);
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

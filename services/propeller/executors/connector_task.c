/* The RPCs about one task: CreateTask or ExecuteTaskSync, GetTask, DeleteTask; what fails is tried again. On the loop,
 * but for what says otherwise. Source: flyteplugins webapi/connector/plugin.go, internal/webapi (v1.16.8). */
#include <stdio.h>

#include "connector.h"
#include "pb/pb.h"

enum { MAX_META_BYTES = 256 << 10, BUSY_PAUSE_US = 20000 };

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

/* Start an RPC; `fn` gets the job on the loop, with the answer in it. */
static void job_call(struct job *j, const struct pb_method *method, const void *const *in, size_t n,
		     void (*fn)(void *job))
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

static bool is_connection_error(enum code code)
{
	return code == UNAVAILABLE || code == DEADLINE_EXCEEDED || code == CANCELLED || code == RESOURCE_EXHAUSTED;
}

/* One failure more: false when it was one too many; otherwise the job waits. So many failures; and who cannot be
 * reached has the time that they would take at the slowest pace. */
static bool job_may_try_again(struct job *j)
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

/* Requests name their task's type twice, as Flyte's do for older connectors. */
static AdminTaskCategory category_of(const struct job *j)
{
	AdminTaskCategory category = ADMIN_TASK_CATEGORY_INIT;

	category.name = (char *)j->type;
	category.version = j->version;
	return category;
}

static ProtobufCBinaryData meta_of(const struct job *j)
{
	return (ProtobufCBinaryData){j->meta.len, (uint8_t *)j->meta.ptr};
}

/* ---- DeleteTask ---- */

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

void job_delete_now(struct job *j)
{
	AdminDeleteTaskRequest rq = ADMIN_DELETE_TASK_REQUEST_INIT;
	AdminTaskCategory category = category_of(j);
	const void *in[] = {&rq};

	if (too_busy(j))
		return;
	rq.task_type = category.name;
	rq.task_category = &category;
	rq.resource_meta = meta_of(j);
	job_call(j, j->x->delete, in, 1, deleted);
}

void job_delete(struct job *j)
{
	j->state = DELETING;
	j->failures = 0;
	job_delete_now(j);
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

void job_get(struct job *j)
{
	AdminGetTaskRequest rq = ADMIN_GET_TASK_REQUEST_INIT;
	AdminTaskCategory category = category_of(j);
	const void *in[] = {&rq};

	if (too_busy(j))
		return;
	rq.task_type = category.name;
	rq.task_category = &category;
	rq.output_prefix = (char *)j->output_prefix;
	rq.resource_meta = meta_of(j);
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
	const char *phase = pb_enum_name(CORE_TASK_EXECUTION_PHASE_DESC, (int)r->phase);
	char text[300];
	snprintf(text, sizeof text, "ExecuteTaskSync of connector %s at %s: phase %s is no end", j->connector->id,
		 j->connector->endpoint, phase ? phase : "of another kind");
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

void job_create(struct job *j)
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

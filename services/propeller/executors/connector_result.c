/* What a connector says of a task, as the engine is told.
 * Source: flyteplugins webapi/connector/plugin.go: Status, writeOutput (v1.16.8). */
#include <stdio.h>
#include <unistd.h>

#include "connector.h"
#include "flyte/types.h"
#include "pb/pb.h"

enum { MAX_MESSAGE_BYTES = 64 << 10, MAX_INFO_BYTES = 64 << 10, MAX_LOGS = 100 };

/* Bytes of the text, or of so many characters as fit. */
static size_t cut(const char *text)
{
	size_t n = strlen(text);

	if (n <= MAX_MESSAGE_BYTES)
		return n;
	for (n = MAX_MESSAGE_BYTES; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80;)
		n--;
	return n;
}

/* ---- telling the engine; from any thread ---- */

static void feed(struct job *j, AlulaInput *in)
{
	in->execution = j->id.execution;
	j->x->host.feed(j->x->host.arg, in);
}

static void feed_finished(struct job *j, const AlulaAttemptFinished *finished)
{
	AlulaAttemptFinished copy = *finished;
	AlulaInput in = ALULA_INPUT_INIT;

	copy.node = j->id.node;
	copy.attempt = j->id.attempt;
	in.input_case = ALULA_INPUT_INPUT_ATTEMPT_FINISHED;
	in.attempt_finished = &copy;
	feed(j, &in);
}

void job_tell_resource(struct job *j)
{
	AlulaAttemptResource resource = ALULA_ATTEMPT_RESOURCE_INIT;
	AlulaInput in = ALULA_INPUT_INIT;

	resource.node = j->id.node;
	resource.attempt = j->id.attempt;
	resource.plugin = (char *)CONNECTOR_PLUGIN;
	resource.endpoint = (char *)j->connector->endpoint;
	resource.task_type = (char *)j->type;
	resource.task_type_version = j->version;
	resource.meta = (ProtobufCBinaryData){j->meta.len, (uint8_t *)j->meta.ptr};
	in.input_case = ALULA_INPUT_INPUT_ATTEMPT_RESOURCE;
	in.attempt_resource = &resource;
	feed(j, &in);
}

/* What else the end has: of the last answer, if there is one. */
static void add_info(AlulaAttemptFinished *finished, const AdminResource *r)
{
	if (!r)
		return;
	finished->logs = r->log_links;
	finished->n_logs = MIN(r->n_log_links, (size_t)MAX_LOGS);
	finished->custom_info = r->custom_info && pb_size(r->custom_info) <= MAX_INFO_BYTES ? r->custom_info : NULL;
}

void job_tell_failure(struct job *j, const char *code, const char *message, bool recoverable, bool system)
{
	AlulaAttemptFinished finished = ALULA_ATTEMPT_FINISHED_INIT;
	AlulaAttemptError outcome = ALULA_ATTEMPT_ERROR_INIT;
	CoreExecutionError error = CORE_EXECUTION_ERROR_INIT;
	auto_mem char *text = x_printf("%.*s", (int)cut(message), message);

	error.code = (char *)code;
	error.message = text;
	error.kind = system ? CORE_EXECUTION_ERROR_ERROR_KIND_SYSTEM : CORE_EXECUTION_ERROR_ERROR_KIND_USER;
	outcome.error = &error;
	outcome.recoverable = recoverable;
	outcome.system = system && recoverable;
	finished.outcome_case = ALULA_ATTEMPT_FINISHED_OUTCOME_ERROR;
	finished.error = &outcome;
	add_info(&finished, j->last);
	feed_finished(j, &finished);
}

void job_fail(struct job *j, const char *code, const char *message, bool recoverable, bool system)
{
	job_tell_failure(j, code, message, recoverable, system);
	job_free(j);
}

/* ---- it goes on ---- */

static bool told_already(struct job *j, const AlulaAttemptUpdate *update)
{
	auto_buf struct buf b = {0};
	uint64_t digest = 14695981039346656037u;

	pb_pack_buf(update, &b);
	for (size_t i = 0; i < b.len; i++)
		digest = (digest ^ (unsigned char)b.data[i]) * 1099511628211u;
	if (digest == j->told)
		return true;
	j->told = digest;
	return false;
}

static void goes_on(struct job *j, CoreTaskExecutionPhase phase, const AdminResource *r)
{
	AlulaAttemptUpdate update = ALULA_ATTEMPT_UPDATE_INIT;
	AlulaInput in = ALULA_INPUT_INIT;
	auto_mem char *reason = x_printf("%.*s", (int)cut(r->message), r->message);

	update.node = j->id.node;
	update.attempt = j->id.attempt;
	update.phase = phase;
	update.reason = reason;
	update.logs = r->log_links;
	update.n_logs = MIN(r->n_log_links, (size_t)MAX_LOGS);
	update.custom_info = r->custom_info && pb_size(r->custom_info) <= MAX_INFO_BYTES ? r->custom_info : NULL;
	if (told_already(j, &update)) {
		j->pause_us = MIN(j->pause_us + j->pause_us / 2, j->x->config->connectors.resync_us);
	} else {
		j->pause_us = j->x->config->connectors.first_get_us;
		in.input_case = ALULA_INPUT_INPUT_ATTEMPT_UPDATE;
		in.attempt_update = &update;
		feed(j, &in);
	}
	job_wait(j, j->pause_us);
}

/* ---- it has succeeded ---- */

static void ended(void *arg)
{
	job_free(arg);
}

static const char *missing_output(const struct job *j, const CoreLiteralMap *outputs)
{
	const CoreVariableMap *declared = j->interface ? j->interface->outputs : NULL;

	for (size_t i = 0; declared && i < declared->n_variables; i++) {
		bool found = false;
		for (size_t k = 0; k < outputs->n_literals && !found; k++)
			found = outputs->literals[k]->value &&
				strcmp(outputs->literals[k]->key, declared->variables[i]->key) == 0;
		if (!found)
			return declared->variables[i]->key;
	}
	return NULL;
}

/* On a thread of the store. */
static void on_written(void *arg, enum code code, const struct err *err)
{
	struct job *j = arg;
	AlulaAttemptFinished finished = ALULA_ATTEMPT_FINISHED_INIT;
	AlulaAttemptOutputs outputs = ALULA_ATTEMPT_OUTPUTS_INIT;

	if (code) {
		job_tell_failure(j, "OutputsNotWritten", err->text, true, true);
	} else {
		outputs.uri = (char *)j->outputs_uri;
		outputs.size_bytes = (int64_t)j->outputs_size;
		outputs.literals = j->outputs_size <= (size_t)j->x->config->inline_bytes ? j->last->outputs : NULL;
		finished.outcome_case = ALULA_ATTEMPT_FINISHED_OUTCOME_OUTPUTS;
		finished.outputs = &outputs;
		add_info(&finished, j->last);
		feed_finished(j, &finished);
	}
	loop_post(j->x->host.loop, ended, j);
}

static void write_outputs(struct job *j, const CoreLiteralMap *outputs)
{
	auto_buf struct buf b = {0};
	const char *missing = missing_output(j, outputs);
	char text[512];

	pb_pack_buf(outputs, &b);
	if (missing) {
		snprintf(text, sizeof text,
			 "connector %s at %s says that the task has succeeded, without its output %s", j->connector->id,
			 j->connector->endpoint, missing);
		job_fail(j, "OutputsNotFound", text, true, false);
	} else if (b.len > (size_t)j->x->config->max_output_bytes) {
		snprintf(text, sizeof text, "outputs of %zu bytes are larger than max-output-size-bytes (%lld)", b.len,
			 (long long)j->x->config->max_output_bytes);
		job_fail(j, "OutputSizeExceeded", text, false, false);
	} else {
		j->outputs_uri = arena_printf(j->arena, "%s/outputs.pb", j->output_prefix);
		j->outputs_size = b.len;
		store_write(j->x->host.store, j->outputs_uri, buf_str(&b), on_written, j);
	}
}

/* On a thread of the store. */
static void on_results(void *arg, const AlulaAttemptFinished *finished)
{
	struct job *j = arg;
	AlulaAttemptFinished copy = *finished;

	add_info(&copy, j->last);
	feed_finished(j, &copy);
	loop_post(j->x->host.loop, ended, j);
}

/* The task has left them where it was told to. */
static void read_outputs(struct job *j)
{
	j->results = (struct results_request){
		.store = j->x->host.store,
		.output_prefix = j->output_prefix,
		.log_path = "",
		.outputs_declared = j->outputs_declared,
		.max_bytes = (size_t)j->x->config->max_output_bytes,
		.inline_bytes = (size_t)j->x->config->inline_bytes,
		.status = {.how = ENDED_EXIT},
		.fn = on_results,
		.arg = j,
	};
	results_read(&j->results);
}

static void succeeded(struct job *j, AdminResource *r)
{
	j->state = ENDING;
	if (r->outputs && j->outputs_declared)
		write_outputs(j, r->outputs);
	else
		read_outputs(j);
}

/* ---- one answer ---- */

static const char *error_code(const AdminResource *r)
{
	return r->agent_error && *r->agent_error->code ? r->agent_error->code : "TaskFailedWithError";
}

static void failed(struct job *j, const char *why, const AdminResource *r, bool recoverable)
{
	auto_mem char *text = x_printf("%s%s", why, r->message);

	job_fail(j, error_code(r), text, recoverable, false);
}

/* Before there were phases. */
static bool take_state(struct job *j, AdminResource *r)
{
	switch (r->state) {
	case ADMIN_STATE_PENDING: goes_on(j, CORE_TASK_EXECUTION_PHASE_INITIALIZING, r); return false;
	case ADMIN_STATE_RUNNING: goes_on(j, CORE_TASK_EXECUTION_PHASE_RUNNING, r); return false;
	case ADMIN_STATE_PERMANENT_FAILURE: failed(j, "failed to run the job.\n", r, false); return true;
	case ADMIN_STATE_RETRYABLE_FAILURE: failed(j, "failed to run the job.\n", r, true); return true;
	case ADMIN_STATE_SUCCEEDED: succeeded(j, r); return true;
	default: break;
	}
	auto_mem char *text = x_printf("connector %s at %s: unknown execution state [%d].", j->connector->id,
				       j->connector->endpoint, (int)r->state);
	job_fail(j, "SystemError", text, false, true);
	return true;
}

/* What is too deep goes nowhere: neither into journal and events, nor to those who read them. */
static const char *too_deep(AdminResource *r)
{
	if (r->custom_info && pb_depth(r->custom_info) > LITERAL_MAP_MAX_DEPTH) {
		r->custom_info = NULL;
		return "custom_info is";
	}
	return r->outputs && pb_depth(r->outputs) > LITERAL_MAP_MAX_DEPTH ? "outputs are" : NULL;
}

static bool is_over(const AdminResource *r)
{
	if (r->phase == CORE_TASK_EXECUTION_PHASE_UNDEFINED)
		return r->state != ADMIN_STATE_PENDING && r->state != ADMIN_STATE_RUNNING;
	return r->phase == CORE_TASK_EXECUTION_PHASE_SUCCEEDED || r->phase == CORE_TASK_EXECUTION_PHASE_FAILED ||
	       r->phase == CORE_TASK_EXECUTION_PHASE_ABORTED || r->phase == CORE_TASK_EXECUTION_PHASE_RETRYABLE_FAILED;
}

static void refuse(struct job *j, const AdminResource *r, const char *what)
{
	char text[300];

	snprintf(text, sizeof text, "connector %s at %s: the task's %s nested deeper than %d levels of messages",
		 j->connector->id, j->connector->endpoint, what, LITERAL_MAP_MAX_DEPTH);
	job_tell_failure(j, "SystemError", text, false, true);
	if (is_over(r))
		job_free(j);
	else
		job_delete(j);
}

bool job_take_resource(struct job *j, AdminResource *r)
{
	const char *deep = too_deep(r);

	j->last = r;
	if (deep) {
		refuse(j, r, deep);
		return true;
	}
	switch (r->phase) {
	case CORE_TASK_EXECUTION_PHASE_UNDEFINED: return take_state(j, r);
	case CORE_TASK_EXECUTION_PHASE_QUEUED:
	case CORE_TASK_EXECUTION_PHASE_WAITING_FOR_RESOURCES:
	case CORE_TASK_EXECUTION_PHASE_INITIALIZING:
	case CORE_TASK_EXECUTION_PHASE_RUNNING: goes_on(j, r->phase, r); return false;
	case CORE_TASK_EXECUTION_PHASE_SUCCEEDED: succeeded(j, r); return true;
	case CORE_TASK_EXECUTION_PHASE_ABORTED:
		job_fail(j, error_code(r), "failed to run the job with aborted phase.", false, false);
		return true;
	case CORE_TASK_EXECUTION_PHASE_FAILED: failed(j, "failed to run the job: ", r, false); return true;
	case CORE_TASK_EXECUTION_PHASE_RETRYABLE_FAILED: failed(j, "failed to run the job: ", r, true); return true;
	default: break;
	}
	auto_mem char *text = x_printf("connector %s at %s: unknown execution phase [%d].", j->connector->id,
				       j->connector->endpoint, (int)r->phase);
	job_fail(j, "SystemError", text, false, true);
	return true;
}

/* Inputs for the engine's tests. */
#pragma once
#include "engine_fixture.h"

/* ---- inputs ---- */

static inline AlulaInput *input_new(struct arena *a, int64_t execution, int64_t time_us)
{
	AlulaInput *in = pb_new(a, ALULA_INPUT_DESC);

	in->execution = execution;
	in->time_us = time_us;
	return in;
}

static inline AlulaInput *accepted(struct wf *w, int64_t execution)
{
	struct arena *a = w->a;
	AlulaInput *in = input_new(a, execution, T0);
	AlulaCommand *c = pb_new(a, ALULA_COMMAND_DESC);

	in->input_case = ALULA_INPUT_INPUT_ACCEPTED;
	in->accepted = pb_new(a, ALULA_ACCEPTED_DESC);
	in->accepted->command = c;
	c->execution = execution;
	c->id = pb_new(a, CORE_WORKFLOW_EXECUTION_IDENTIFIER_DESC);
	c->id->project = "p";
	c->id->domain = "development";
	c->id->name = arena_printf(a, "x%lld", (long long)execution);
	c->command_case = ALULA_COMMAND_COMMAND_START;
	c->start = pb_new(a, ALULA_START_EXECUTION_DESC);
	c->start->closure = w->closure;
	c->start->raw_output_prefix = "/raw";
	return in;
}

static inline AlulaInput *abort_input(struct arena *a, int64_t execution, int64_t time_us)
{
	AlulaInput *in = input_new(a, execution, time_us);

	in->input_case = ALULA_INPUT_INPUT_ABORT;
	in->abort = pb_new(a, ALULA_ABORT_EXECUTION_DESC);
	in->abort->cause = "enough";
	return in;
}

static inline AlulaInput *started(struct arena *a, int64_t execution, int64_t time_us, uint32_t node, uint32_t attempt)
{
	AlulaInput *in = input_new(a, execution, time_us);
	CoreTaskLog *log = pb_new(a, CORE_TASK_LOG_DESC);

	log->uri = "/logs/1";
	log->name = "Logs";
	in->input_case = ALULA_INPUT_INPUT_ATTEMPT_STARTED;
	in->attempt_started = pb_new(a, ALULA_ATTEMPT_STARTED_DESC);
	in->attempt_started->node = node;
	in->attempt_started->attempt = attempt;
	in->attempt_started->host = "h";
	*PB_ADD(a, in->attempt_started->logs, in->attempt_started->n_logs) = log;
	return in;
}

/* Something was made outside: its meta is "m<node>.<attempt>". */
static inline AlulaInput *resource_made(struct arena *a, int64_t execution, int64_t time_us, uint32_t node,
					uint32_t attempt)
{
	AlulaInput *in = input_new(a, execution, time_us);
	char *meta = arena_printf(a, "m%u.%u", node, attempt);

	in->input_case = ALULA_INPUT_INPUT_ATTEMPT_RESOURCE;
	in->attempt_resource = pb_new(a, ALULA_ATTEMPT_RESOURCE_DESC);
	in->attempt_resource->node = node;
	in->attempt_resource->attempt = attempt;
	in->attempt_resource->plugin = "connector-service";
	in->attempt_resource->endpoint = "host:1";
	in->attempt_resource->meta = (ProtobufCBinaryData){strlen(meta), (uint8_t *)meta};
	return in;
}

static inline AlulaInput *updated(struct arena *a, int64_t execution, int64_t time_us, uint32_t node, uint32_t attempt,
				  CoreTaskExecutionPhase phase)
{
	AlulaInput *in = input_new(a, execution, time_us);
	CoreTaskLog *log = pb_new(a, CORE_TASK_LOG_DESC);

	log->uri = "/logs/2";
	in->input_case = ALULA_INPUT_INPUT_ATTEMPT_UPDATE;
	in->attempt_update = pb_new(a, ALULA_ATTEMPT_UPDATE_DESC);
	in->attempt_update->node = node;
	in->attempt_update->attempt = attempt;
	in->attempt_update->phase = phase;
	in->attempt_update->reason = "so it goes";
	*PB_ADD(a, in->attempt_update->logs, in->attempt_update->n_logs) = log;
	return in;
}

static inline AlulaInput *finished(struct arena *a, int64_t execution, int64_t time_us, uint32_t node, uint32_t attempt)
{
	AlulaInput *in = input_new(a, execution, time_us);

	in->input_case = ALULA_INPUT_INPUT_ATTEMPT_FINISHED;
	in->attempt_finished = pb_new(a, ALULA_ATTEMPT_FINISHED_DESC);
	in->attempt_finished->node = node;
	in->attempt_finished->attempt = attempt;
	return in;
}

/* `literals` NULL: they lie in the store only. */
static inline AlulaInput *finished_with(struct arena *a, int64_t execution, int64_t time_us, uint32_t node,
					uint32_t attempt, CoreLiteralMap *literals, const char *uri)
{
	AlulaInput *in = finished(a, execution, time_us, node, attempt);

	in->attempt_finished->outcome_case = ALULA_ATTEMPT_FINISHED_OUTCOME_OUTPUTS;
	in->attempt_finished->outputs = pb_new(a, ALULA_ATTEMPT_OUTPUTS_DESC);
	in->attempt_finished->outputs->literals = literals;
	in->attempt_finished->outputs->uri = arena_strdup(a, uri);
	return in;
}

static inline AlulaInput *failed(struct arena *a, int64_t execution, int64_t time_us, uint32_t node, uint32_t attempt,
				 bool recoverable, bool system)
{
	AlulaInput *in = finished(a, execution, time_us, node, attempt);
	AlulaAttemptError *e = pb_new(a, ALULA_ATTEMPT_ERROR_DESC);

	in->attempt_finished->outcome_case = ALULA_ATTEMPT_FINISHED_OUTCOME_ERROR;
	in->attempt_finished->error = e;
	e->recoverable = recoverable;
	e->system = system;
	e->error = pb_new(a, CORE_EXECUTION_ERROR_DESC);
	e->error->code = "Boom";
	e->error->message = "it broke";
	e->error->kind = system ? CORE_EXECUTION_ERROR_ERROR_KIND_SYSTEM : CORE_EXECUTION_ERROR_ERROR_KIND_USER;
	return in;
}

/* `closure` NULL: with an error. */
static inline AlulaInput *finished_dynamic(struct arena *a, int64_t execution, int64_t time_us, uint32_t node,
					   uint32_t attempt, CoreCompiledWorkflowClosure *closure)
{
	AlulaInput *in = finished(a, execution, time_us, node, attempt);
	AlulaDynamicWorkflow *d = pb_new(a, ALULA_DYNAMIC_WORKFLOW_DESC);

	in->attempt_finished->outcome_case = ALULA_ATTEMPT_FINISHED_OUTCOME_DYNAMIC;
	in->attempt_finished->dynamic = d;
	d->uri = "/s/futures.pb";
	d->closure = closure;
	if (closure)
		return in;
	d->error = pb_new(a, CORE_EXECUTION_ERROR_DESC);
	d->error->code = "DynamicWorkflowBuildFailed";
	d->error->message = "no good";
	d->error->kind = CORE_EXECUTION_ERROR_ERROR_KIND_USER;
	return in;
}

static inline AlulaInput *signal_set(struct arena *a, int64_t execution, int64_t time_us, const char *id,
				     CoreLiteral *value)
{
	AlulaInput *in = input_new(a, execution, time_us);

	in->input_case = ALULA_INPUT_INPUT_SIGNAL_SET;
	in->signal_set = pb_new(a, ALULA_SET_SIGNAL_DESC);
	in->signal_set->signal_id = arena_strdup(a, id);
	in->signal_set->value = value;
	return in;
}

static inline AlulaInput *child_started(struct arena *a, int64_t execution, int64_t time_us, uint32_t node,
					uint32_t attempt)
{
	AlulaInput *in = input_new(a, execution, time_us);

	in->input_case = ALULA_INPUT_INPUT_CHILD_STARTED;
	in->child_started = pb_new(a, ALULA_CHILD_STARTED_DESC);
	in->child_started->node = node;
	in->child_started->attempt = attempt;
	return in;
}

static inline AlulaInput *child_finished(struct arena *a, int64_t execution, int64_t time_us, const char *name,
					 CoreWorkflowExecutionPhase phase)
{
	AlulaInput *in = input_new(a, execution, time_us);

	in->input_case = ALULA_INPUT_INPUT_CHILD_FINISHED;
	in->child_finished = pb_new(a, ALULA_CHILD_FINISHED_DESC);
	in->child_finished->child = pb_new(a, CORE_WORKFLOW_EXECUTION_IDENTIFIER_DESC);
	in->child_finished->child->name = arena_strdup(a, name);
	in->child_finished->phase = phase;
	return in;
}

static inline void child_outputs(AlulaInput *in, CoreLiteralMap *outputs)
{
	in->child_finished->result_case = ALULA_CHILD_FINISHED_RESULT_OUTPUTS;
	in->child_finished->outputs = outputs;
}

static inline void child_outputs_uri(AlulaInput *in, const char *uri)
{
	in->child_finished->result_case = ALULA_CHILD_FINISHED_RESULT_OUTPUTS_URI;
	in->child_finished->outputs_uri = (char *)uri;
}

static inline AlulaInput *outputs_stored(struct arena *a, int64_t execution, int64_t time_us, uint32_t node,
					 const char *uri)
{
	AlulaInput *in = input_new(a, execution, time_us);

	in->input_case = ALULA_INPUT_INPUT_OUTPUTS_STORED;
	in->outputs_stored = pb_new(a, ALULA_OUTPUTS_STORED_DESC);
	in->outputs_stored->node = node;
	in->outputs_stored->result_case = ALULA_OUTPUTS_STORED_RESULT_OUTPUTS;
	in->outputs_stored->outputs = pb_new(a, ALULA_ATTEMPT_OUTPUTS_DESC);
	in->outputs_stored->outputs->uri = arena_strdup(a, uri);
	return in;
}

/* Every value asked for is `value`. */
static inline AlulaInput *values_read(struct arena *a, int64_t time_us, const struct action *action, int64_t value)
{
	AlulaInput *in = input_new(a, action->execution, time_us);

	in->input_case = ALULA_INPUT_INPUT_VALUES_READ;
	in->values_read = pb_new(a, ALULA_VALUES_READ_DESC);
	in->values_read->node = action->node;
	in->values_read->attempt = action->attempt;
	in->values_read->result_case = ALULA_VALUES_READ_RESULT_LITERALS;
	for (size_t i = 0; i < action->n_values; i++)
		in->values_read->literals =
			add_literal(a, in->values_read->literals, action->values[i].var, int_literal(a, value));
	return in;
}

/* That there are so many items in each of the lists. */
static inline AlulaInput *lengths_read(struct arena *a, int64_t time_us, const struct action *action, uint32_t length)
{
	AlulaInput *in = values_read(a, time_us, action, 0);
	AlulaValuesRead *read = in->values_read;

	read->literals->n_literals = 0;
	for (size_t i = 0; i < action->n_values; i++) {
		AlulaExtent *e = pb_new(a, ALULA_EXTENT_DESC);
		e->var = arena_strdup(a, action->values[i].var);
		e->extent_case = ALULA_EXTENT_EXTENT_LENGTH;
		e->length = length;
		*PB_ADD(a, read->extents, read->n_extents) = e;
	}
	return in;
}

/* That its one map has this one key. */
static inline AlulaInput *key_read(struct arena *a, int64_t time_us, const struct action *action, const char *key)
{
	AlulaInput *in = lengths_read(a, time_us, action, 0);
	AlulaExtent *e = in->values_read->extents[0];

	e->extent_case = ALULA_EXTENT_EXTENT_KEYS;
	e->keys = pb_new(a, ALULA_KEYS_DESC);
	*PB_ADD(a, e->keys->keys, e->keys->n_keys) = arena_strdup(a, key);
	return in;
}

static inline AlulaInput *timer_fired(struct arena *a, int64_t execution, int64_t time_us, uint32_t timer,
				      uint32_t node, uint32_t attempt)
{
	AlulaInput *in = input_new(a, execution, time_us);

	in->input_case = ALULA_INPUT_INPUT_TIMER_FIRED;
	in->timer_fired = pb_new(a, ALULA_TIMER_FIRED_DESC);
	in->timer_fired->timer = timer;
	in->timer_fired->node = node;
	in->timer_fired->attempt = attempt;
	return in;
}

static inline AlulaInput *go_on(struct arena *a, int64_t execution, int64_t time_us)
{
	AlulaInput *in = input_new(a, execution, time_us);

	in->input_case = ALULA_INPUT_INPUT_GO_ON;
	in->go_on = pb_new(a, ALULA_CONTINUE_DESC);
	return in;
}

static inline AlulaInput *cache_answered(struct arena *a, int64_t execution, uint32_t node, uint32_t attempt)
{
	AlulaInput *in = input_new(a, execution, T0);

	in->input_case = ALULA_INPUT_INPUT_CACHE_ANSWERED;
	in->cache_answered = pb_new(a, ALULA_CACHE_ANSWERED_DESC);
	in->cache_answered->node = node;
	in->cache_answered->attempt = attempt;
	return in;
}

static inline AlulaInput *cache_waiting(struct arena *a, int64_t execution, uint32_t node, uint32_t attempt)
{
	AlulaInput *in = cache_answered(a, execution, node, attempt);

	in->cache_answered->answer_case = ALULA_CACHE_ANSWERED_ANSWER_WAITING;
	in->cache_answered->waiting = pb_new(a, ALULA_CACHE_WAITING_DESC);
	return in;
}

static inline AlulaInput *cache_missed(struct arena *a, int64_t execution, uint32_t node, uint32_t attempt,
				       bool reserved, const char *failure)
{
	AlulaInput *in = cache_answered(a, execution, node, attempt);

	in->cache_answered->answer_case = ALULA_CACHE_ANSWERED_ANSWER_MISS;
	in->cache_answered->miss = pb_new(a, ALULA_CACHE_MISS_DESC);
	in->cache_answered->miss->reserved = reserved;
	in->cache_answered->miss->failure = arena_strdup(a, failure);
	return in;
}

/* `literals` NULL: they lie in the store only. */
static inline AlulaInput *cache_hit(struct arena *a, int64_t execution, uint32_t node, uint32_t attempt,
				    CoreLiteralMap *literals, const char *uri)
{
	AlulaInput *in = cache_answered(a, execution, node, attempt);
	AlulaCacheHit *hit = pb_new(a, ALULA_CACHE_HIT_DESC);

	in->cache_answered->answer_case = ALULA_CACHE_ANSWERED_ANSWER_HIT;
	in->cache_answered->hit = hit;
	hit->outputs = pb_new(a, ALULA_ATTEMPT_OUTPUTS_DESC);
	hit->outputs->literals = literals;
	hit->outputs->uri = arena_strdup(a, uri);
	hit->key = pb_new(a, CORE_CATALOG_METADATA_DESC);
	hit->key->dataset_id = identifier(a, CORE_RESOURCE_TYPE_DATASET, "flyte_task-t");
	return in;
}

static inline AlulaInput *cache_put(struct arena *a, int64_t execution, uint32_t node, uint32_t attempt,
				    CoreCatalogCacheStatus status)
{
	AlulaInput *in = input_new(a, execution, T0);

	in->input_case = ALULA_INPUT_INPUT_CACHE_PUT;
	in->cache_put = pb_new(a, ALULA_CACHE_PUT_DESC);
	in->cache_put->node = node;
	in->cache_put->attempt = attempt;
	in->cache_put->status = status;
	in->cache_put->key = pb_new(a, CORE_CATALOG_METADATA_DESC);
	in->cache_put->key->dataset_id = identifier(a, CORE_RESOURCE_TYPE_DATASET, "flyte_task-t");
	return in;
}

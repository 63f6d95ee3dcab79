/* Looking up: miss, hit, or wait until whoever has the reservation is done. */
#include "cacher_private.h"

enum { FIRST_PAUSE_US = 200000 };

/* ---- answers ---- */

static void answer(struct job *j, AlulaCacheAnswered *answered)
{
	AlulaInput in = ALULA_INPUT_INIT;

	answered->node = j->node;
	answered->attempt = j->attempt;
	in.input_case = ALULA_INPUT_INPUT_CACHE_ANSWERED;
	in.cache_answered = answered;
	cache_job_feed(j, &in);
}

static void answer_miss(struct job *j, const char *failure)
{
	AlulaCacheAnswered answered = ALULA_CACHE_ANSWERED_INIT;
	AlulaCacheMiss miss = ALULA_CACHE_MISS_INIT;

	miss.reserved = j->reserved;
	miss.failure = (char *)failure;
	answered.answer_case = ALULA_CACHE_ANSWERED_ANSWER_MISS;
	answered.miss = &miss;
	answer(j, &answered);
	j->held = j->reserved;
	if (j->held)
		cache_job_park(j, j->c->p->config->reeval_us);
	else
		cache_job_free(j);
}

void lookup_failed(struct job *j)
{
	static struct log_limit limit;
	size_t held;

	if (j->kind == ACTION_CACHE_HOLD) {
		cache_job_free(j);
		return;
	}
	metric_add(j->c->failures, 1);
	if (log_allow(&limit, 10 * USEC_PER_SEC, &held))
		log_warn("cache lookup failed: the task runs", LOG_INT("execution", j->execution),
			 LOG_STR("task", j->task->id->name), LOG_INT("held_back", held), LOG_ERR(&j->err));
	answer_miss(j, j->err.text);
}

/* ---- hit ---- */

static void answer_hit(struct job *j, bool written)
{
	AlulaCacheAnswered answered = ALULA_CACHE_ANSWERED_INIT;
	AlulaCacheHit hit = ALULA_CACHE_HIT_INIT;
	AlulaAttemptOutputs outputs = ALULA_ATTEMPT_OUTPUTS_INIT;
	CoreTaskExecutionIdentifier *source = NULL;
	DatacatalogMetadata *of_dataset = NULL, *of_artifact = NULL;
	struct str dataset = {(const char *)j->entry->dataset_metadata.data, j->entry->dataset_metadata.len};
	struct str artifact = {(const char *)j->stored->metadata.data, j->stored->metadata.len};

	pb_unpack_own(DATACATALOG_METADATA_DESC, dataset, j->arena, (void **)&of_dataset, NULL);
	pb_unpack_own(DATACATALOG_METADATA_DESC, artifact, j->arena, (void **)&of_artifact, NULL);
	catalog_source(of_dataset, of_artifact, j->task->id, j->arena, &source, NULL);
	hit.key = cache_job_catalog_metadata(j, j->entry->artifact_id, source);
	hit.outputs = &outputs;
	outputs.size_bytes = (int64_t)j->data.len;
	if (j->data.len <= (size_t)j->c->p->config->inline_bytes)
		outputs.literals = j->found;
	if (written)
		outputs.uri = (char *)j->outputs_uri;
	answered.answer_case = ALULA_CACHE_ANSWERED_ANSWER_HIT;
	answered.hit = &hit;
	answer(j, &answered);
	metric_add(j->c->hits, 1);
	if (j->reserved)
		cache_job_release(j);
	cache_job_free(j);
}

static void written(struct job *j)
{
	if (j->code)
		lookup_failed(j);
	else
		answer_hit(j, true);
}

static void on_written(void *arg, enum code code, const struct err *err)
{
	cache_job_result(arg, code, err, written);
}

static void found_all(struct job *j)
{
	j->data = pb_pack(j->found, j->arena);
	if (j->keeps_inline && j->data.len <= (size_t)j->c->p->config->inline_bytes)
		answer_hit(j, false);
	else
		store_write(j->c->p->store, j->outputs_uri, j->data, on_written, j);
}

static void next_value(struct job *j);

static enum code take_value(struct job *j, struct str literal)
{
	const AlulaStoredValue *v = j->stored->values[j->n_found++];
	CoreLiteralMapLiteralsEntry *e = pb_new(j->arena, CORE_LITERAL_MAP_LITERALS_ENTRY_DESC);

	e->key = v->name;
	*PB_ADD(j->arena, j->found->literals, j->found->n_literals) = e;
	return pb_unpack_own(CORE_LITERAL_DESC, literal, j->arena, (void **)&e->value, &j->err);
}

static void value_read(struct job *j)
{
	if (!j->code)
		j->code = take_value(j, j->data);
	if (j->code)
		lookup_failed(j);
	else
		next_value(j);
}

static void on_value(void *arg, enum code code, char *data, size_t len, const struct err *err)
{
	struct job *j = arg;

	j->data = code ? STR("") : (struct str){arena_dup(j->arena, data, len), len};
	free(data);
	cache_job_result(j, code, err, value_read);
}

static void next_value(struct job *j)
{
	while (j->n_found < j->stored->n_values) {
		const AlulaStoredValue *v = j->stored->values[j->n_found];
		if (!v->in_row) {
			store_read(j->c->p->store, v->uri, (size_t)j->c->p->config->max_output_bytes, on_value, j);
			return;
		}
		j->code = take_value(j, (struct str){(const char *)v->literal.data, v->literal.len});
		if (j->code) {
			lookup_failed(j);
			return;
		}
	}
	found_all(j);
}

static bool has_output(const CoreTaskTemplate *task, const char *name)
{
	const CoreVariableMap *m = task->interface ? task->interface->outputs : NULL;

	for (size_t i = 0; m && i < m->n_variables; i++)
		if (strcmp(m->variables[i]->key, name) == 0)
			return true;
	return false;
}

/* The dataset's version has a hash of the outputs' types, so names are all that can differ. */
static enum code check_artifact(struct job *j)
{
	const CoreVariableMap *m = j->task->interface ? j->task->interface->outputs : NULL;
	size_t n = m ? m->n_variables : 0;

	if (n != j->stored->n_values)
		return err_set(&j->err, FAILED_PRECONDITION,
			       "the task %s with %zu outputs, should have %zu artifactData for artifact %s",
			       j->task->id->name, n, j->stored->n_values, j->entry->artifact_id);
	for (size_t i = 0; i < j->stored->n_values; i++)
		if (!has_output(j->task, j->stored->values[i]->name))
			return err_set(
				&j->err, FAILED_PRECONDITION,
				"unexpected artifactData with name [%s] does not match any task output variables",
				j->stored->values[i]->name);
	return OK;
}

static void found(struct job *j)
{
	struct str stored = {(const char *)j->entry->artifact.data, j->entry->artifact.len};

	j->found = pb_new(j->arena, CORE_LITERAL_MAP_DESC);
	j->code = pb_unpack_own(ALULA_STORED_ARTIFACT_DESC, stored, j->arena, (void **)&j->stored, &j->err);
	if (!j->code)
		j->code = check_artifact(j);
	if (j->code)
		lookup_failed(j);
	else
		next_value(j);
}

/* ---- miss ---- */

static void look(struct job *j);

static void tell_waiting(struct job *j)
{
	static AlulaCacheWaiting nothing = ALULA_CACHE_WAITING_INIT;
	AlulaCacheAnswered answered = ALULA_CACHE_ANSWERED_INIT;

	answered.answer_case = ALULA_CACHE_ANSWERED_ANSWER_WAITING;
	answered.waiting = &nothing;
	answer(j, &answered);
	metric_add(j->c->waits, 1);
	j->waiting = true;
}

static void reserved(struct job *j)
{
	const AlulaCatalogReservation *r = j->answer;
	int64_t longest = j->c->p->config->reeval_us;

	if (j->code) {
		lookup_failed(j);
	} else if (strcmp(r->owner_id, j->owner) == 0) {
		/* Whoever had it may have put what we look for since we looked. */
		j->reserved = true;
		look(j);
	} else {
		if (!j->waiting)
			tell_waiting(j);
		j->pause_us = MIN(j->pause_us ? j->pause_us * 2 : FIRST_PAUSE_US, longest);
		cache_job_park(j, j->pause_us);
	}
}

static void not_found(struct job *j)
{
	metric_add(j->c->misses, 1);
	if (j->serialize && !j->reserved)
		cache_job_call(j, CATALOG_RESERVE, cache_job_reservation(j), reserved);
	else
		answer_miss(j, "");
}

static bool is_too_old(const struct job *j)
{
	int64_t max = j->c->p->config->catalog_max_age_us;

	return max > 0 && time_now_us() - pb_timestamp_us(j->entry->created_at) > max;
}

static void looked(struct job *j)
{
	j->entry = j->answer;
	if (j->code == NOT_FOUND || (!j->code && is_too_old(j)))
		not_found(j);
	else if (j->code)
		lookup_failed(j);
	else
		found(j);
}

static void look(struct job *j)
{
	cache_job_call(j, CATALOG_GET, j->key, looked);
}

/* ---- reservations that we have ---- */

/* That somebody else has it now changes nothing: the task runs. */
static void extended(struct job *j)
{
	cache_job_park(j, j->c->p->config->reeval_us);
}

void lookup_due(struct job *j)
{
	if (j->held)
		cache_job_call(j, CATALOG_RESERVE, cache_job_reservation(j), extended);
	else
		look(j);
}

void lookup_begin(struct job *j)
{
	if (!j->c->catalog) {
		if (j->kind == ACTION_CACHE_HOLD)
			cache_job_free(j);
		else
			answer_miss(j, "");
		return;
	}
	j->held = j->kind == ACTION_CACHE_HOLD;
	lookup_due(j);
}

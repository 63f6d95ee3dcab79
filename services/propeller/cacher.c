#include "cacher.h"

#include "cacher_private.h"
#include "known.h"

enum {
	CALL_TIMEOUT_US = 2000000,
	SWEEP_US = 100000,
	FIRST_DOWN_US = 500000,
	MAX_DOWN_US = 8000000,
};

bool cacher_is_on(const struct propeller_config *config)
{
	return strcmp(config->catalog_type, "datacatalog") == 0;
}

/* ---- jobs ---- */

/* What a key is made of. */
static const CoreTaskTemplate *slim_task(const CoreTaskTemplate *task, struct arena *a)
{
	CoreTaskTemplate t = CORE_TASK_TEMPLATE_INIT;
	CoreTaskMetadata m = CORE_TASK_METADATA_INIT;

	t.id = task->id;
	t.interface = task->interface;
	t.metadata = &m;
	if (task->metadata) {
		m.cache_ignore_input_vars = task->metadata->cache_ignore_input_vars;
		m.n_cache_ignore_input_vars = task->metadata->n_cache_ignore_input_vars;
	}
	return pb_clone(&t, a);
}

static struct job *job_new(struct cacher *c, const struct action *action)
{
	const struct cache_ask *ask = action->cache;
	struct arena *a = arena_new(2048);
	struct job *j = arena_new_of(a, struct job);

	j->c = c;
	j->arena = a;
	j->kind = action->kind;
	j->execution = action->execution;
	j->node = action->node;
	j->attempt = action->attempt;
	j->place = arena_printf(a, "%lld/%u", (long long)action->execution, action->node);
	j->task = slim_task(ask->task, a);
	j->version = arena_strdup(a, ask->version);
	j->owner = arena_strdup(a, ask->owner);
	j->outputs_uri = arena_strdup(a, ask->outputs_uri);
	j->serialize = ask->serialize;
	j->overwrite = ask->overwrite;
	j->keeps_inline = ask->keeps_inline;
	j->source = pb_clone(ask->source, a);
	j->inputs = values_copy(ask->inputs, ask->n_inputs, a);
	j->outputs = values_copy(ask->outputs, ask->n_outputs, a);
	j->n_inputs = ask->n_inputs;
	j->n_outputs = ask->n_outputs;
	return j;
}

void cache_job_free(struct job *j)
{
	if (map_get(j->c->jobs, str_of(j->place)) == j)
		map_remove(j->c->jobs, str_of(j->place));
	arena_free(j->round);
	arena_free(j->arena);
}

void cache_job_post(struct job *j, void (*then)(struct job *j))
{
	struct cacher *c = j->c;

	j->then = then;
	j->next = NULL;
	pthread_mutex_lock(&c->lock);
	*c->tail = j;
	c->tail = &j->next;
	pthread_cond_signal(&c->cond);
	pthread_mutex_unlock(&c->lock);
}

void cache_job_feed(struct job *j, AlulaInput *in)
{
	in->execution = j->execution;
	j->c->host->feed(j->c->host->arg, in);
}

void cache_job_result(struct job *j, enum code code, const struct err *err, void (*then)(struct job *j))
{
	j->code = code;
	if (code)
		j->err = *err;
	cache_job_post(j, then);
}

static void on_collected(void *arg, enum code code, struct str literals, const struct err *err)
{
	struct job *j = arg;

	j->data = code ? STR("") : (struct str){arena_dup(j->arena, literals.ptr, literals.len), literals.len};
	cache_job_result(j, code, err, j->then);
}

void cache_job_collect(struct job *j, const struct value_ref *values, size_t n, void (*then)(struct job *j))
{
	const struct propeller *p = j->c->p;

	j->then = then;
	values_collect(p->store, values, n, (size_t)p->config->max_output_bytes, on_collected, j);
}

/* ---- calls ---- */

static bool is_down(const struct cacher *c)
{
	return time_mono_us() < c->down_until_us;
}

static void note_answer(struct cacher *c, enum code code, const struct err *err)
{
	int64_t now = time_mono_us();

	if (code != UNAVAILABLE && code != DEADLINE_EXCEEDED) {
		if (c->down_pause_us)
			log_info("datacatalog answers again");
		c->down_pause_us = c->down_until_us = 0;
	} else if (now >= c->down_until_us) {
		c->down_pause_us = c->down_pause_us ? MIN(c->down_pause_us * 2, MAX_DOWN_US) : FIRST_DOWN_US;
		c->down_until_us = now + c->down_pause_us;
		log_warn("datacatalog cannot be reached: tasks run as if nothing were cached",
			 LOG_INT("pause_us", c->down_pause_us), LOG_ERR(err));
	}
}

static struct arena *round_of(struct job *j)
{
	if (!j->round)
		j->round = arena_new(1024);
	return j->round;
}

struct call {
	struct job *job;
	void (*then)(struct job *j);
};

static void answered(struct job *j)
{
	struct call *call = j->call;

	note_answer(j->c, j->code, &j->err);
	call->then(j);
}

static void on_answer(void *arg, enum code code, const void *answer, const struct err *err)
{
	struct call *call = arg;

	call->job->answer = answer ? pb_clone(answer, round_of(call->job)) : NULL;
	cache_job_result(call->job, code, err, answered);
}

void cache_job_call(struct job *j, enum catalog_call kind, const void *item, void (*then)(struct job *j))
{
	struct call *call = arena_new_of(round_of(j), struct call);

	*call = (struct call){.job = j, .then = then};
	j->call = call;
	j->answer = NULL;
	if (is_down(j->c)) {
		j->code = err_set(&j->err, UNAVAILABLE, "datacatalog could not be reached a moment ago");
		cache_job_post(j, then);
	} else {
		catalog_ask(j->c->catalog, kind, item, on_answer, call);
	}
}

AlulaCatalogReserve *cache_job_reservation(struct job *j)
{
	AlulaCatalogReserve *r = pb_new(round_of(j), ALULA_CATALOG_RESERVE_DESC);

	r->key = j->key;
	r->owner_id = (char *)j->owner;
	r->heartbeat_interval = pb_duration(round_of(j), j->c->p->config->reeval_us);
	return r;
}

static bool same_key(const AlulaCatalogKey *a, const AlulaCatalogKey *b)
{
	return strcmp(a->tag, b->tag) == 0 && strcmp(a->dataset->version, b->dataset->version) == 0 &&
	       strcmp(a->dataset->name, b->dataset->name) == 0 && strcmp(a->dataset->domain, b->dataset->domain) == 0 &&
	       strcmp(a->dataset->project, b->dataset->project) == 0;
}

/* Those that wait for the key need not wait for their time. */
static void released(struct job *j)
{
	struct cacher *c = j->c;

	vec_each (struct job **, other, &c->parked) {
		if ((*other)->held || !same_key((*other)->key, j->key))
			continue;
		(*other)->due_us = 0;
		c->next_sweep_us = 0;
	}
	cache_job_free(j);
}

void cache_job_release(struct job *j)
{
	struct arena *a = arena_new(1024);
	struct job *r = arena_new_of(a, struct job);

	r->c = j->c;
	r->arena = a;
	r->kind = ACTION_CACHE_RELEASE;
	r->place = "";
	r->key = pb_clone(j->key, a);
	r->owner = arena_strdup(a, j->owner);
	cache_job_call(r, CATALOG_RELEASE, cache_job_reservation(r), released);
}

/* ---- those that wait for a time ---- */

void cache_job_park(struct job *j, int64_t delay_us)
{
	struct cacher *c = j->c;

	arena_free(take(j->round));
	j->call = NULL;
	j->answer = NULL;
	j->entry = NULL;
	j->due_us = time_mono_us() + delay_us;
	j->is_parked = true;
	vec_push(&c->parked, j);
	c->next_sweep_us = MIN(c->next_sweep_us, j->due_us);
}

static void drop(struct job *j)
{
	if (j->serialize && j->key)
		cache_job_release(j);
	cache_job_free(j);
}

/* Its shard need not be ours yet: while others of it are loaded, this one goes on. */
static bool is_known(const struct job *j)
{
	return known_get(j->c->p->known, j->execution) != KNOWN_NOT;
}

static void sweep(struct cacher *c)
{
	int64_t now = time_mono_us(), next = INT64_MAX;

	for (size_t i = c->parked.n; i-- > 0;) {
		struct job *j = c->parked.at[i];
		if (j->due_us > now && !j->abandoned) {
			next = MIN(next, j->due_us);
			continue;
		}
		vec_swap_remove(&c->parked, i);
		j->is_parked = false;
		if (j->abandoned)
			drop(j);
		else if (is_known(j))
			lookup_due(j);
		else
			cache_job_free(j);
	}
	c->next_sweep_us = next == INT64_MAX ? next : MAX(next, now + SWEEP_US);
}

/* ---- one action ---- */

static void with_key(struct job *j)
{
	if (j->kind == ACTION_CACHE_PUT)
		put_begin(j);
	else
		lookup_begin(j);
}

static void failed(struct job *j)
{
	if (j->kind == ACTION_CACHE_PUT)
		put_failed(j);
	else
		lookup_failed(j);
}

static enum code make_key(struct job *j)
{
	const CoreTaskMetadata *m = j->task->metadata;
	CoreLiteralMap *inputs;
	const char *tag = NULL;

	j->key = pb_new(j->arena, ALULA_CATALOG_KEY_DESC);
	enum code c = pb_unpack_own(CORE_LITERAL_MAP_DESC, j->data, j->arena, (void **)&inputs, &j->err);
	if (!c)
		c = catalog_dataset_id(j->task->id, j->task->interface, j->version, j->arena, &j->key->dataset,
				       &j->err);
	if (!c)
		c = catalog_tag(inputs, m->cache_ignore_input_vars, m->n_cache_ignore_input_vars, j->arena, &tag,
				&j->err);
	if (c) {
		j->key = NULL;
		return c;
	}
	j->key->tag = (char *)tag;
	return OK;
}

static void with_inputs(struct job *j)
{
	if (!j->code)
		j->code = make_key(j);
	if (j->code)
		failed(j);
	else
		with_key(j);
}

static void release(struct job *j)
{
	struct job *other = map_remove(j->c->jobs, str_of(j->place));

	if (other)
		other->abandoned = true;
	if (other && other->is_parked)
		j->c->next_sweep_us = 0;
	cache_job_free(j);
}

static void begin(struct job *j)
{
	struct cacher *c = j->c;

	if (j->kind == ACTION_CACHE_RELEASE) {
		release(j);
		return;
	}
	if (j->serialize && j->kind != ACTION_CACHE_PUT) {
		struct job *old = map_put(c->jobs, str_of(j->place), j);
		if (old)
			old->abandoned = true;
	}
	if (c->catalog)
		cache_job_collect(j, j->inputs, j->n_inputs, with_inputs);
	else
		with_key(j);
}

void cacher_act(struct cacher *c, const struct action *action)
{
	cache_job_post(job_new(c, action), begin);
}

/* ---- the thread ---- */

static struct job *take_jobs(struct cacher *c)
{
	pthread_mutex_lock(&c->lock);
	while (!c->first && !c->stopping && cond_wait_until(&c->cond, &c->lock, c->next_sweep_us))
		continue;
	struct job *jobs = take(c->first);
	c->tail = &c->first;
	pthread_mutex_unlock(&c->lock);
	return jobs;
}

static bool is_stopping(struct cacher *c)
{
	pthread_mutex_lock(&c->lock);
	bool stopping = c->stopping;
	pthread_mutex_unlock(&c->lock);
	return stopping;
}

static void run(struct job *j)
{
	if (j->abandoned && j->kind != ACTION_CACHE_RELEASE)
		drop(j);
	else
		j->then(j);
}

static void *cacher_thread(void *arg)
{
	struct cacher *c = arg;
	struct job *next;

	pthread_setname_np(pthread_self(), "cacher");
	while (!is_stopping(c)) {
		for (struct job *j = take_jobs(c); j; j = next) {
			next = j->next;
			run(j);
		}
		if (c->next_sweep_us <= time_mono_us())
			sweep(c);
	}
	return NULL;
}

/* ---- life ---- */

static void open_metrics(struct cacher *c)
{
	struct metrics *m = c->p->metrics;

	c->hits = metrics_counter(m, "propeller:cache:hits", NULL, "Lookups that found outputs.");
	c->misses = metrics_counter(m, "propeller:cache:misses", NULL, "Lookups that found nothing.");
	c->failures = metrics_counter(m, "propeller:cache:get_failures", NULL, "Lookups that failed: taken as misses.");
	c->puts = metrics_counter(m, "propeller:cache:puts", NULL, "Outputs put into the cache.");
	c->put_failures = metrics_counter(m, "propeller:cache:put_failures", NULL, "Outputs that could not be put.");
	c->waits = metrics_counter(m, "propeller:cache:waits", NULL, "Nodes that waited for a reservation.");
}

static enum code check_config(const struct propeller_config *config, struct err *err)
{
	if (*config->catalog_type && strcmp(config->catalog_type, "noop") != 0 && !cacher_is_on(config))
		return err_set(err, INVALID_ARGUMENT,
			       "catalog-cache.type: no such catalog type available: %s (expected datacatalog or noop)",
			       config->catalog_type);
	if (cacher_is_on(config) && !*config->catalog_endpoint)
		return err_set(err, INVALID_ARGUMENT, "catalog-cache.endpoint: expected datacatalog's host:port");
	if (cacher_is_on(config) && !config->catalog_insecure)
		return err_set(err, INVALID_ARGUMENT,
			       "catalog-cache.insecure: TLS to datacatalog is not supported; expected true");
	return OK;
}

enum code cacher_new(struct propeller *p, const struct executor_host *host, struct cacher **ret, struct err *err)
{
	struct catalog_options options = {.target = p->config->catalog_endpoint, .timeout_us = CALL_TIMEOUT_US};
	enum code code = check_config(p->config, err);

	if (code)
		return code;
	struct cacher *c = x_calloc(1, sizeof *c);
	c->p = p;
	c->host = host;
	c->tail = &c->first;
	c->next_sweep_us = INT64_MAX;
	c->jobs = map_new();
	pthread_mutex_init(&c->lock, NULL);
	cond_init_mono(&c->cond);
	open_metrics(c);
	if (cacher_is_on(p->config))
		c->catalog = catalog_new(&options);
	if (pthread_create(&c->thread, NULL, cacher_thread, c) != 0)
		abort();
	*ret = c;
	return OK;
}

void cacher_free(struct cacher *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->stopping = true;
	pthread_cond_signal(&c->cond);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	/* Its last answers are posted, and that is all. */
	catalog_free(c->catalog);
	for (struct job *j = c->first, *next; j; j = next) {
		next = j->next;
		cache_job_free(j);
	}
	vec_each (struct job **, j, &c->parked)
		cache_job_free(*j);
	vec_free(&c->parked);
	map_free(c->jobs);
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->cond);
	free(c);
}

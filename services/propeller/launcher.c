#include "launcher.h"

#include <pthread.h>

#include "base/base.h"
#include "flyteidl/admin/execution.h"
#include "flyteidl/service/admin.h"
#include "pb/pb.h"
#include "values.h"

enum {
	THREADS = 16, /* as many calls as admin handles at once by default */
	QUEUED = 65536,
	CALL_TIMEOUT_US = 20000000,
	FIRST_PAUSE_US = 100000,
	MAX_PAUSE_US = 10000000,
	MAX_READS = 30, /* of a file that is there, but cannot be read: about four minutes */
	DOUBTS = 8,     /* more than twenty seconds */
};

/* A child to be created or, with a reason, aborted. */
struct job {
	struct launcher *launcher;
	struct arena *arena;
	struct attempt_id id;
	const char *key; /* of the child; a create is found by it as long as it is not done */
	AdminExecutionCreateRequest *create;
	const struct value_ref *inputs; /* while they are still to be read */
	size_t n_inputs;
	int reads;                             /* that failed */
	AdminExecutionRecoverRequest *recover; /* first, if there is an earlier execution to recover */
	AdminExecutionTerminateRequest *terminate;
	bool unanswered;  /* admin may have been asked to create it, or be at it still */
	int doubts;       /* of an abort: how often it may come too early for such a create */
	bool abandoned;   /* under the lock: the child is not wanted any more */
	struct job *next; /* under the lock: the abort that waits for this create */
	int64_t pause_us;
	struct loop_timer *timer;   /* while it waits to be tried again */
	struct job *before, *after; /* under the lock: of all jobs */
};

struct launcher {
	const struct executor_host *host;
	struct rpc_channel *admin;
	size_t max_input_bytes;
	const struct pb_method *create, *recover, *terminate;
	struct queue *queue;
	pthread_t threads[THREADS];
	pthread_mutex_t lock;
	struct map *creates; /* by key */
	struct job *jobs;    /* all of them */
	struct metric *launched, *failed, *retried;
};

static struct job *job_new(struct launcher *l, const struct child *child)
{
	struct arena *a = arena_new(0);
	struct job *j = arena_new_of(a, struct job);

	j->launcher = l;
	j->arena = a;
	j->key = arena_printf(a, "%s/%s/%s", child->id.project, child->id.domain, child->id.name);
	pthread_mutex_lock(&l->lock);
	j->after = l->jobs;
	if (l->jobs)
		l->jobs->before = j;
	l->jobs = j;
	pthread_mutex_unlock(&l->lock);
	return j;
}

static void job_free(struct job *j)
{
	struct launcher *l = j->launcher;

	pthread_mutex_lock(&l->lock);
	*(j->before ? &j->before->after : &l->jobs) = j->after;
	if (j->after)
		j->after->before = j->before;
	pthread_mutex_unlock(&l->lock);
	loop_timer_free(j->timer);
	arena_free(j->arena);
}

static void start(struct job *j);

/* ---- results ---- */

static void report(struct job *j, enum code code, const struct err *err)
{
	AlulaChildStarted started = ALULA_CHILD_STARTED_INIT;
	CoreExecutionError error = CORE_EXECUTION_ERROR_INIT;
	AlulaInput in = ALULA_INPUT_INIT;

	if (code) {
		error.code = code == OUT_OF_RANGE ? "BindingResolutionFailure" : "RuntimeExecutionError";
		error.message = arena_printf(j->arena, "failed to launch workflow, caused by: %s", err->text);
		error.kind = CORE_EXECUTION_ERROR_ERROR_KIND_USER;
		started.error = &error;
	}
	metric_add(code ? j->launcher->failed : j->launcher->launched, 1);
	started.node = j->id.node;
	started.attempt = j->id.attempt;
	in.execution = j->id.execution;
	in.input_case = ALULA_INPUT_INPUT_CHILD_STARTED;
	in.child_started = &started;
	j->launcher->host->feed(j->launcher->host->arg, &in);
}

/* The create is over, one way or another: an abort that waited for it goes on. */
static void close_create(struct job *j)
{
	struct launcher *l = j->launcher;

	pthread_mutex_lock(&l->lock);
	map_remove(l->creates, str_of(j->key));
	struct job *next = j->next;
	pthread_mutex_unlock(&l->lock);
	if (next) {
		next->doubts = j->unanswered ? DOUBTS : 0;
		start(next);
	}
	job_free(j);
}

static void done(struct job *j, enum code code, const struct err *err)
{
	if (!j->create) {
		job_free(j);
		return;
	}
	report(j, code, err);
	close_create(j);
}

/* ---- trying again; on the loop ---- */

static void on_timer(void *arg)
{
	struct job *j = arg;

	loop_timer_free(take(j->timer));
	start(j);
}

static void wait_on_loop(void *arg)
{
	struct job *j = arg;

	j->timer = loop_timer_new(j->launcher->host->loop, "launcher", on_timer, j);
	loop_timer_set(j->timer, j->pause_us);
}

static void try_later(struct job *j)
{
	j->pause_us = j->pause_us ? MIN(j->pause_us * 2, MAX_PAUSE_US) : FIRST_PAUSE_US;
	metric_add(j->launcher->retried, 1);
	loop_post(j->launcher->host->loop, wait_on_loop, j);
}

static void put_off(struct job *j, const char *what, const struct err *err)
{
	static struct log_limit limit;
	size_t held;

	if (log_allow(&limit, 10 * USEC_PER_SEC, &held))
		log_warn(what, LOG_STR("child", j->key), LOG_ERR(err), LOG_INT("held_back", held));
	try_later(j);
}

/* For the threads; from any thread. */
static void start(struct job *j)
{
	if (!queue_try_push(j->launcher->queue, j))
		try_later(j);
}

/* ---- inputs ---- */

/* The store's own faults say nothing of the child. Some last: an error is better than a node that hangs. */
static bool may_be_read_later(struct job *j, enum code code)
{
	return j->inputs && (code == UNAVAILABLE || (code == INTERNAL && ++j->reads < MAX_READS));
}

static void on_inputs(void *arg, enum code code, struct str literals, const struct err *err)
{
	struct job *j = arg;
	struct err bad;

	if (may_be_read_later(j, code)) {
		put_off(j, "a child execution's inputs cannot be read; trying again", err);
		return;
	}
	j->inputs = NULL;
	if (!code) {
		code = pb_unpack(CORE_LITERAL_MAP_DESC, literals, j->arena, (void **)&j->create->inputs, &bad);
		err = &bad;
	}
	if (code)
		done(j, code, err);
	else
		start(j);
}

static void collect(struct job *j, const struct value_ref *inputs, size_t n)
{
	values_collect(j->launcher->host->store, inputs, n, j->launcher->max_input_bytes, on_inputs, j);
}

/* ---- the threads ---- */

static bool abandoned(struct job *j)
{
	pthread_mutex_lock(&j->launcher->lock);
	bool is = j->abandoned;
	pthread_mutex_unlock(&j->launcher->lock);
	return is;
}

static enum code call(struct job *j, struct err *err)
{
	struct launcher *l = j->launcher;
	auto_free(arena_free) struct arena *a = arena_new(0);
	void *answer;

	if (!j->create) {
		enum code c = rpc_call(l->admin, l->terminate, j->terminate, CALL_TIMEOUT_US, a, &answer, err);
		if (c == NOT_FOUND && j->doubts-- > 0)
			return UNAVAILABLE;
		return rpc_may_pass(c, err) ? c : OK; /* it is not there, or over already */
	}
	enum code c = NOT_FOUND;
	if (j->recover)
		c = rpc_call(l->admin, l->recover, j->recover, CALL_TIMEOUT_US, a, &answer, err);
	if (c == NOT_FOUND)
		c = rpc_call(l->admin, l->create, j->create, CALL_TIMEOUT_US, a, &answer, err);
	return c == ALREADY_EXISTS ? OK : c;
}

static void run(struct job *j)
{
	struct err err;

	if (abandoned(j)) {
		close_create(j);
		return;
	}
	if (j->inputs) {
		collect(j, j->inputs, j->n_inputs);
		return;
	}
	enum code c = call(j, &err);
	if (!rpc_may_pass(c, &err)) {
		done(j, c, &err);
		return;
	}
	j->unanswered = true;
	put_off(j, "admin cannot take a child execution; trying again", &err);
}

static void *launcher_thread(void *arg)
{
	struct launcher *l = arg;
	struct job *j;

	pthread_setname_np(pthread_self(), "launcher");
	while (queue_pop(l->queue, (void **)&j, 1, -1) == 1)
		run(j);
	return NULL;
}

/* ---- what is asked for; on the loop ---- */

static void copy_envs(AdminExecutionSpec *spec, const AlulaStartExecution *start, struct arena *a)
{
	spec->envs = pb_new(a, ADMIN_ENVS_DESC);
	for (size_t i = 0; i < start->n_envs; i++) {
		CoreKeyValuePair *e = pb_new(a, CORE_KEY_VALUE_PAIR_DESC);
		e->key = arena_strdup(a, start->envs[i]->key);
		e->value = arena_strdup(a, start->envs[i]->value);
		*PB_ADD(a, spec->envs->values, spec->envs->n_values) = e;
	}
}

static void copy_labels(AdminExecutionSpec *spec, const AlulaStartExecution *start, struct arena *a)
{
	spec->labels = pb_new(a, ADMIN_LABELS_DESC);
	for (size_t i = 0; i < start->n_labels; i++) {
		AdminLabelsValuesEntry *e = pb_new(a, ADMIN_LABELS_VALUES_ENTRY_DESC);
		e->key = arena_strdup(a, start->labels[i]->key);
		e->value = arena_strdup(a, start->labels[i]->value);
		*PB_ADD(a, spec->labels->values, spec->labels->n_values) = e;
	}
	spec->annotations = pb_new(a, ADMIN_ANNOTATIONS_DESC);
	for (size_t i = 0; i < start->n_annotations; i++) {
		AdminAnnotationsValuesEntry *e = pb_new(a, ADMIN_ANNOTATIONS_VALUES_ENTRY_DESC);
		e->key = arena_strdup(a, start->annotations[i]->key);
		e->value = arena_strdup(a, start->annotations[i]->value);
		*PB_ADD(a, spec->annotations->values, spec->annotations->n_values) = e;
	}
}

static AdminExecutionMetadata *metadata_of(const struct child *child, struct arena *a)
{
	AdminExecutionMetadata *m = pb_new(a, ADMIN_EXECUTION_METADATA_DESC);
	CoreNodeExecutionIdentifier *parent = pb_new(a, CORE_NODE_EXECUTION_IDENTIFIER_DESC);

	parent->execution_id = pb_clone(child->command->id, a);
	parent->node_id = arena_strdup(a, child->parent_node_id);
	m->mode = ADMIN_EXECUTION_METADATA_EXECUTION_MODE_CHILD_WORKFLOW;
	m->principal = arena_strdup(a, child->command->start->principal);
	m->parent_node_execution = parent;
	return m;
}

/* The child has what its parent was told. */
static AdminExecutionSpec *spec_of(const struct child *child, struct arena *a)
{
	const AlulaStartExecution *start = child->command->start;
	AdminExecutionSpec *spec = pb_new(a, ADMIN_EXECUTION_SPEC_DESC);

	spec->launch_plan = pb_clone(child->launch_plan, a);
	spec->metadata = metadata_of(child, a);
	copy_envs(spec, start, a);
	copy_labels(spec, start, a);
	spec->security_context = start->security_context ? pb_clone(start->security_context, a) : NULL;
	spec->max_parallelism = start->max_parallelism;
	spec->overwrite_cache = start->overwrite_cache;
	if (*start->raw_output_prefix) {
		spec->raw_output_data_config = pb_new(a, ADMIN_RAW_OUTPUT_DATA_CONFIG_DESC);
		spec->raw_output_data_config->output_location_prefix = arena_strdup(a, start->raw_output_prefix);
	}
	if (start->interruptible) {
		spec->interruptible = pb_new(a, PB_BOOL_VALUE_DESC);
		spec->interruptible->value = start->interruptible->value;
	}
	return spec;
}

static AdminExecutionRecoverRequest *recover_of(const struct child *child, struct arena *a)
{
	AdminExecutionRecoverRequest *r = pb_new(a, ADMIN_EXECUTION_RECOVER_REQUEST_DESC);

	r->id = pb_clone(child->recovers, a);
	r->name = arena_strdup(a, child->id.name);
	r->metadata = metadata_of(child, a);
	return r;
}

void launcher_launch(struct launcher *l, struct attempt_id id, const struct child *child)
{
	struct job *j = job_new(l, child);

	j->id = id;
	j->create = pb_new(j->arena, ADMIN_EXECUTION_CREATE_REQUEST_DESC);
	j->create->project = arena_strdup(j->arena, child->id.project);
	j->create->domain = arena_strdup(j->arena, child->id.domain);
	j->create->name = arena_strdup(j->arena, child->id.name);
	j->create->spec = spec_of(child, j->arena);
	j->recover = child->recovers ? recover_of(child, j->arena) : NULL;
	pthread_mutex_lock(&l->lock);
	bool known = map_get(l->creates, str_of(j->key));
	if (!known)
		map_put(l->creates, str_of(j->key), j);
	pthread_mutex_unlock(&l->lock);
	if (known) {
		job_free(j);
		return;
	}
	if (!values_at_hand(child->inputs, child->n_inputs)) {
		j->inputs = values_copy(child->inputs, child->n_inputs, j->arena);
		j->n_inputs = child->n_inputs;
	}
	collect(j, child->inputs, child->n_inputs);
}

void launcher_abort(struct launcher *l, const struct child *child)
{
	struct job *j = job_new(l, child);

	j->terminate = pb_new(j->arena, ADMIN_EXECUTION_TERMINATE_REQUEST_DESC);
	j->terminate->id = pb_clone(&child->id, j->arena);
	j->terminate->cause = arena_strdup(j->arena, child->reason ? child->reason : "");
	pthread_mutex_lock(&l->lock);
	struct job *create = map_get(l->creates, str_of(j->key));
	bool again = create && create->next;
	if (create && !again) {
		create->abandoned = true;
		create->next = j;
	}
	pthread_mutex_unlock(&l->lock);
	if (again)
		job_free(j);
	else if (!create)
		start(j);
}

/* ---- life ---- */

struct launcher *launcher_new(const struct executor_host *host, struct rpc_channel *admin, size_t max_input_bytes)
{
	struct launcher *l = x_calloc(1, sizeof *l);

	l->host = host;
	l->max_input_bytes = max_input_bytes;
	l->admin = admin;
	l->create = pb_find_method(&ADMIN_SERVICE_TABLE, "CreateExecution");
	l->recover = pb_find_method(&ADMIN_SERVICE_TABLE, "RecoverExecution");
	l->terminate = pb_find_method(&ADMIN_SERVICE_TABLE, "TerminateExecution");
	l->queue = queue_new("launcher", QUEUED);
	l->creates = map_new();
	pthread_mutex_init(&l->lock, NULL);
	l->launched = metrics_counter(host->metrics, "propeller:children:launched", NULL, "Child executions created.");
	l->failed = metrics_counter(host->metrics, "propeller:children:failed", NULL, "Children that admin refused.");
	l->retried = metrics_counter(host->metrics, "propeller:children:retried", NULL, "Calls to admin put off.");
	for (size_t i = 0; i < THREADS; i++)
		if (pthread_create(&l->threads[i], NULL, launcher_thread, l) != 0)
			abort();
	return l;
}

void launcher_free(struct launcher *l)
{
	if (!l)
		return;
	queue_close(l->queue);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(l->threads[i], NULL);
	while (l->jobs)
		job_free(l->jobs);
	queue_free(l->queue);
	map_free(l->creates);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

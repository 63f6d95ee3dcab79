/* What executors make outside for attempts, and what they tell of it until the end.
 * Source: flyteplugins internal/webapi/{launcher,monitor}.go (v1.16.8). */
#include "engine/private.h"
#include "pb/pb.h"

enum { LAUNCHED_VERSION = 2 };

static size_t find(const struct execution *x, uint32_t node, uint32_t attempt)
{
	for (size_t i = x->resources.n; i-- > 0;)
		if (x->resources.at[i].node == node && x->resources.at[i].attempt == attempt)
			return i;
	return SIZE_MAX;
}

static const struct attempt_resource *unpack(const struct kept_resource *k, struct arena *a)
{
	struct attempt_resource *r = arena_new_of(a, struct attempt_resource);
	AlulaAttemptResource *in;

	if (pb_unpack_own(ALULA_ATTEMPT_RESOURCE_DESC, (struct str){(const char *)k->packed, k->len}, a, (void **)&in,
			  NULL) != OK)
		return NULL;
	r->plugin = in->plugin;
	r->endpoint = in->endpoint;
	r->task_type = in->task_type;
	r->task_type_version = in->task_type_version;
	r->meta = (struct str){(const char *)in->meta.data, in->meta.len};
	return r;
}

static void keep(struct fold *f, const AlulaAttemptResource *in)
{
	struct kept_resource k = {.node = in->node, .attempt = in->attempt, .len = pb_size(in)};

	k.packed = x_malloc(k.len + 1);
	protobuf_c_message_pack(&in->base, k.packed);
	vec_push(&f->x->resources, k);
	f->x->resource_bytes += k.len;
}

void resource_drop(struct fold *f, uint32_t node, uint32_t attempt)
{
	struct execution *x = f->x;
	size_t i = x->resources.n ? find(x, node, attempt) : SIZE_MAX;

	if (i == SIZE_MAX)
		return;
	x->resource_bytes -= x->resources.at[i].len;
	free(x->resources.at[i].packed);
	x->resources.n--;
	memmove(&x->resources.at[i], &x->resources.at[i + 1], (x->resources.n - i) * sizeof *x->resources.at);
}

void resource_over(struct fold *f, uint32_t node, uint32_t attempt)
{
	size_t i = f->x->resources.n ? find(f->x, node, attempt) : SIZE_MAX;

	if (i != SIZE_MAX)
		f->x->resources.at[i].over = true;
}

void resources_free(struct execution *x)
{
	vec_each (struct kept_resource *, k, &x->resources)
		free(k->packed);
	vec_free(&x->resources);
}

const char *resource_plugin(const struct fold *f, uint32_t node, uint32_t attempt)
{
	size_t i = f->x->resources.n ? find(f->x, node, attempt) : SIZE_MAX;
	const struct attempt_resource *r = i == SIZE_MAX ? NULL : unpack(&f->x->resources.at[i], f->a);

	return r ? r->plugin : NULL;
}

/* ---- it is made; it goes on ---- */

void attempt_resource(struct fold *f, const AlulaAttemptResource *in)
{
	struct node *n = attempt_running(f, in->node, in->attempt);

	if (!n || n->run->recovering || wf_node(f, in->node)->task->leaf != LEAF_EXECUTOR ||
	    find(f->x, in->node, in->attempt) != SIZE_MAX)
		return;
	keep(f, in);
	EventTaskExecutionEvent *t = attempt_event(f, in->node, CORE_TASK_EXECUTION_PHASE_QUEUED);
	t->phase_version = LAUNCHED_VERSION;
	attempt_add_reason(f, t, "launched");
	n->run->told_phase = CORE_TASK_EXECUTION_PHASE_QUEUED;
	n->run->told_version = LAUNCHED_VERSION;
	node_set_deadlines(f, in->node);
	node_timers(f, in->node);
	action_new(f, ACTION_WATCH_ATTEMPT, in->node);
}

static bool goes_on(CoreTaskExecutionPhase phase)
{
	return phase == CORE_TASK_EXECUTION_PHASE_QUEUED || phase == CORE_TASK_EXECUTION_PHASE_WAITING_FOR_RESOURCES ||
	       phase == CORE_TASK_EXECUTION_PHASE_INITIALIZING || phase == CORE_TASK_EXECUTION_PHASE_RUNNING;
}

/* As AttemptStarted would have: the last event has the logs too. */
static void keep_logs(struct fold *f, uint32_t i, const AlulaAttemptUpdate *in)
{
	struct node *n = node_at(f, i);
	AlulaAttemptStarted started = ALULA_ATTEMPT_STARTED_INIT;

	started.logs = in->logs;
	started.n_logs = in->n_logs;
	size_t len = in->n_logs ? pb_size(&started) : 0;
	f->e->bytes += len - n->run->started_len;
	n->run = x_realloc(n->run, sizeof *n->run + len);
	protobuf_c_message_pack(&started.base, n->run->started_packed);
	n->run->started_len = len;
}

void attempt_update(struct fold *f, const AlulaAttemptUpdate *in)
{
	struct node *n = attempt_running(f, in->node, in->attempt);

	if (!n || !goes_on(in->phase) || find(f->x, in->node, in->attempt) == SIZE_MAX)
		return;
	keep_logs(f, in->node, in);
	n->run->told_version = n->run->told_phase == (uint8_t)in->phase ? n->run->told_version + 1 : 0;
	n->run->told_phase = (uint8_t)in->phase;
	n->run->started |= in->phase == CORE_TASK_EXECUTION_PHASE_RUNNING;
	EventTaskExecutionEvent *t = attempt_event(f, in->node, in->phase);
	t->phase_version = n->run->told_version;
	t->logs = in->logs;
	t->n_logs = in->n_logs;
	t->custom_info = in->custom_info;
	if (*in->reason)
		attempt_add_reason(f, t, in->reason);
}

/* ---- for those who act ---- */

void resources_attach(struct fold *f)
{
	struct execution *x = f->x;

	for (struct action *a = x->resources.n ? f->step->actions : NULL; a; a = a->next) {
		if (a->kind != ACTION_ABORT_ATTEMPT && a->kind != ACTION_START_ATTEMPT)
			continue;
		size_t i = find(x, a->node, a->attempt);
		if (i == SIZE_MAX || x->resources.at[i].over)
			continue;
		a->resource = unpack(&x->resources.at[i], f->a);
		if (a->start)
			((struct attempt *)a->start)->resource = a->resource;
	}
}

static bool mentioned(const struct fold *f, const struct kept_resource *k)
{
	for (const struct action *a = f->step->actions; a; a = a->next)
		if ((a->kind == ACTION_ABORT_ATTEMPT || a->kind == ACTION_START_ATTEMPT) && a->node == k->node &&
		    a->attempt == k->attempt)
			return true;
	return false;
}

/* Those of attempts that were stopped may still be there. */
void resources_pending(struct fold *f)
{
	for (size_t i = 0; i < f->x->resources.n; i++) {
		const struct kept_resource *k = &f->x->resources.at[i];
		if (k->over || mentioned(f, k))
			continue;
		struct action *a = action_new(f, ACTION_ABORT_ATTEMPT, END_NODE);
		a->node = k->node;
		a->attempt = k->attempt;
	}
	resources_attach(f);
}

/* Cached tasks: what comes before their first attempt and after their success. The cache itself is asked by actions;
 * which of them were asked, and what came of it, is state.
 * Source: flytepropeller controller/nodes/{executor,cache}.go, nodes/task/cache.go (v1.16.8). */
#include "engine/private.h"
#include "pb/pb.h"

static bool applies(const struct fold *f, uint32_t i)
{
	return f->x->caching && wf_node(f, i)->cache;
}

static bool looks(const struct fold *f, uint32_t i)
{
	return applies(f, i) && !f->x->command->start->overwrite_cache;
}

bool cache_has_node(const struct run *r)
{
	return r->cache == CACHE_LOOKING || r->cache == CACHE_WAITING || r->cache == CACHE_PUTTING;
}

bool cache_is_silent(const struct run *r)
{
	return r->cache == CACHE_LOOKING || (r->cache == CACHE_MISSED && !r->queued);
}

bool cache_goes_first(const struct fold *f, uint32_t i)
{
	const struct wf_cache *c = wf_node(f, i)->cache;

	return c && !c->serialize && !node_at(f, i)->run && !f->x->recovery && looks(f, i);
}

/* ---- what is asked ---- */

/* An item of an array has no events of its own: the array's are where people find it. */
static CoreTaskExecutionIdentifier *source_of(struct fold *f, uint32_t i)
{
	const struct frame *frame = frame_of(f, i);
	CoreTaskExecutionIdentifier *id = pb_new(f->a, CORE_TASK_EXECUTION_IDENTIFIER_DESC);

	id->task_id = wf_node(f, i)->task->template->id;
	id->retry_attempt = node_at(f, frame->array ? frame->node : i)->attempt;
	id->node_execution_id = pb_new(f->a, CORE_NODE_EXECUTION_IDENTIFIER_DESC);
	id->node_execution_id->execution_id = f->x->command->id;
	id->node_execution_id->node_id = (char *)(frame->array ? frame->unique_id : node_unique_id(f, i));
	return id;
}

/* NULL if its inputs cannot be had any more. */
static struct cache_ask *ask(struct fold *f, uint32_t i, enum action_kind kind)
{
	const struct wf_node *wn = wf_node(f, i);
	struct resolving r = resolving_of(f, i);
	struct cache_ask *c = arena_new_of(f->a, struct cache_ask);
	struct values inputs;

	if (!resolve_inputs(&r, wn, &inputs))
		return NULL;
	c->task = wn->task->template;
	c->version = arena_strdup(f->a, wn->cache->version);
	c->serialize = wn->cache->serialize;
	c->overwrite = f->x->command->start->overwrite_cache;
	/* All attempts of a node are one owner. */
	c->owner = attempt_name(f, i, 0);
	c->source = source_of(f, i);
	c->inputs = values_clone(f->a, &inputs);
	c->n_inputs = inputs.n;
	c->outputs_uri = node_outputs_uri(f, i);
	c->keeps_inline = wn->task->leaf != LEAF_EXECUTOR;
	action_new(f, kind, i)->cache = c;
	return c;
}

/* ---- before the first attempt ---- */

bool cache_begin(struct fold *f, uint32_t i)
{
	if (node_at(f, i)->run || !looks(f, i))
		return false;
	struct run *r = node_run(f, i);
	/* Whoever only asks takes nobody's place. But who gets a reservation needs one: those that have places may wait
	 * for what it makes. */
	if (!wf_node(f, i)->cache->serialize)
		node_uncount(f, r);
	r->cache = CACHE_LOOKING;
	f->changed = true;
	f->n_notes++;
	ask(f, i, ACTION_CACHE_LOOKUP);
	return true;
}

static void set_inputs(struct fold *f, uint32_t i, EventNodeExecutionEvent *event)
{
	struct resolving r = resolving_of(f, i);
	struct values inputs;

	if (!frame_of(f, i)->array && resolve_inputs(&r, wf_node(f, i), &inputs))
		node_set_inputs(f, i, event, &inputs);
}

/* An item has only its place among the array's external resources. */
static void note_hit(struct fold *f, uint32_t i)
{
	struct frame *frame = frame_of(f, i);
	EventTaskExecutionEvent *t = pb_new(f->a, EVENT_TASK_EXECUTION_EVENT_DESC);

	t->phase = CORE_TASK_EXECUTION_PHASE_SUCCEEDED;
	t->retry_attempt = node_at(f, i)->attempt;
	array_note(f, frame, i - frame->first, t);
	array_note_cache(frame, CORE_CATALOG_CACHE_STATUS_CACHE_HIT);
}

static void hit(struct fold *f, uint32_t i, const AlulaCacheHit *in)
{
	static const AlulaAttemptOutputs NOTHING = ALULA_ATTEMPT_OUTPUTS_INIT;
	const AlulaAttemptOutputs *o = in->outputs ? in->outputs : &NOTHING;
	EventNodeExecutionEvent *event = event_node(f, i, CORE_NODE_EXECUTION_PHASE_SUCCEEDED);
	EventTaskNodeMetadata *m = pb_new(f->a, EVENT_TASK_NODE_METADATA_DESC);

	m->cache_status = CORE_CATALOG_CACHE_STATUS_CACHE_HIT;
	m->catalog_key = in->key;
	event->target_metadata_case = EVENT_NODE_EXECUTION_EVENT_TARGET_METADATA_TASK_NODE_METADATA;
	event->task_node_metadata = m;
	set_inputs(f, i, event);
	event_set_outputs(event, NULL, o->uri, o->literals);
	if (frame_of(f, i)->array)
		note_hit(f, i);
	node_at(f, i)->run->cache = CACHE_BEGUN;
	node_succeed(f, i, event, outputs_of_attempt(f, i, o));
}

static void missed(struct fold *f, uint32_t i, const AlulaCacheMiss *in)
{
	struct run *r = node_at(f, i)->run;

	r->cache = CACHE_MISSED;
	r->reserved = in->reserved;
	r->cache_failed = *in->failure;
	f->changed = true;
	node_try_again(f, i);
}

static void waits(struct fold *f, uint32_t i)
{
	struct run *r = node_at(f, i)->run;

	if (r->cache != CACHE_LOOKING)
		return;
	r->cache = CACHE_WAITING;
	r->queued = true;
	f->changed = true;
	set_inputs(f, i, event_node(f, i, CORE_NODE_EXECUTION_PHASE_QUEUED));
}

void cache_answered(struct fold *f, const AlulaCacheAnswered *in)
{
	const struct node *n = node_running(f, in->node);
	bool asked =
		n && n->attempt == in->attempt && (n->run->cache == CACHE_LOOKING || n->run->cache == CACHE_WAITING);

	if (!asked)
		return;
	if (in->answer_case == ALULA_CACHE_ANSWERED_ANSWER_HIT)
		hit(f, in->node, in->hit);
	else if (in->answer_case == ALULA_CACHE_ANSWERED_ANSWER_MISS)
		missed(f, in->node, in->miss);
	else if (in->answer_case == ALULA_CACHE_ANSWERED_ANSWER_WAITING)
		waits(f, in->node);
}

/* ---- after success ---- */

static size_t n_outputs(const struct fold *f, uint32_t i)
{
	const CoreTypedInterface *interface = wf_node(f, i)->task->template->interface;

	return interface && interface->outputs ? interface->outputs->n_variables : 0;
}

static void stored_values(struct fold *f, uint32_t i, const char *uri, struct values *ret)
{
	size_t n = n_outputs(f, i);
	struct value_ref *at = arena_array(f->a, struct value_ref, n);

	for (size_t k = 0; k < n; k++) {
		const char *var = wf_node(f, i)->task->template->interface->outputs->variables[k]->key;
		at[k] = (struct value_ref){.var = var, .kind = VALUE_STORED, .uri = uri, .uri_var = var};
	}
	*ret = (struct values){at, n};
}

static void given(struct fold *f, uint32_t i, const AlulaAttemptFinished *in, struct values *ret)
{
	const struct outputs *o = node_at(f, i)->run->kept->outputs;
	bool told = in->outcome_case == ALULA_ATTEMPT_FINISHED_OUTCOME_OUTPUTS;

	*ret = (struct values){0};
	if (told && in->outputs->literals)
		values_of_map(f->a, in->outputs->literals, ret);
	else if (told && *in->outputs->uri)
		stored_values(f, i, in->outputs->uri, ret);
	else if (o)
		*ret = (struct values){o->at, o->n};
}

static void put(struct fold *f, uint32_t i, const AlulaAttemptFinished *in)
{
	struct cache_ask *c = ask(f, i, ACTION_CACHE_PUT);
	struct values outputs;

	if (!c)
		return;
	given(f, i, in, &outputs);
	c->outputs = values_clone(f->a, &outputs);
	c->n_outputs = outputs.n;
}

bool cache_keep(struct fold *f, const AlulaAttemptFinished *in, struct outputs *outputs)
{
	size_t len = pb_size(in);

	if (!applies(f, in->node) || n_outputs(f, in->node) == 0)
		return false;
	struct run *r = node_at(f, in->node)->run ? node_at(f, in->node)->run : node_run(f, in->node);
	r->kept = x_malloc(sizeof *r->kept + len);
	r->kept->outputs = outputs;
	r->kept->len = len;
	protobuf_c_message_pack(&in->base, r->kept->packed);
	f->e->bytes += sizeof *r->kept + len;
	r->cache = CACHE_PUTTING;
	r->attempt_due_us = r->node_due_us = 0;
	f->changed = true;
	put(f, in->node, in);
	return true;
}

static const AlulaAttemptFinished *kept(struct fold *f, uint32_t i)
{
	const struct kept *k = node_at(f, i)->run->kept;
	void *in;

	if (pb_unpack_own(ALULA_ATTEMPT_FINISHED_DESC, (struct str){(const char *)k->packed, k->len}, f->a, &in, NULL))
		return NULL;
	return in;
}

void cache_put_done(struct fold *f, const AlulaCachePut *in)
{
	struct node *n = node_running(f, in->node);

	if (!n || n->attempt != in->attempt || n->run->cache != CACHE_PUTTING)
		return;
	const AlulaAttemptFinished *finished = kept(f, in->node);
	struct outputs *outputs = take(n->run->kept->outputs);
	n->run->cache = CACHE_BEGUN;
	if (n->run->dynamic)
		dynamic_succeeded(f, finished, outputs, in);
	else if (wf_node(f, in->node)->task->leaf == LEAF_EXECUTOR)
		attempt_succeeded(f, finished, in);
	else
		leaf_succeeded(f, in->node, outputs, in);
	resource_drop(f, in->node, in->attempt);
}

/* ---- at any time ---- */

bool cache_pending(struct fold *f, uint32_t i)
{
	const struct run *r = node_at(f, i)->run;

	if (r->reserved)
		ask(f, i, ACTION_CACHE_HOLD);
	if (r->cache == CACHE_LOOKING || r->cache == CACHE_WAITING)
		ask(f, i, ACTION_CACHE_LOOKUP);
	else if (r->cache == CACHE_PUTTING)
		put(f, i, kept(f, i));
	return cache_has_node(r);
}

void cache_end(struct fold *f, uint32_t i)
{
	const struct run *r = node_at(f, i)->run;

	if (r->reserved || r->cache == CACHE_LOOKING || r->cache == CACHE_WAITING)
		ask(f, i, ACTION_CACHE_RELEASE);
}

void cache_tell(struct fold *f, uint32_t i, EventTaskNodeMetadata *m, const AlulaCachePut *put)
{
	const struct run *r = node_at(f, i)->run;

	if (r->reserved)
		m->reservation_status = put ? CORE_CATALOG_RESERVATION_STATUS_RESERVATION_RELEASED
					    : CORE_CATALOG_RESERVATION_STATUS_RESERVATION_ACQUIRED;
	if (put) {
		m->cache_status = put->status;
		m->catalog_key = put->key;
	} else if (r->cache_failed) {
		m->cache_status = CORE_CATALOG_CACHE_STATUS_CACHE_LOOKUP_FAILURE;
		m->catalog_key = pb_new(f->a, CORE_CATALOG_METADATA_DESC);
		m->catalog_key->dataset_id = wf_node(f, i)->task->template->id;
	} else if (applies(f, i) && f->x->command->start->overwrite_cache) {
		m->cache_status = CORE_CATALOG_CACHE_STATUS_CACHE_SKIPPED;
	}
}

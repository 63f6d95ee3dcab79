/* What every record must be like: phases in order and without a gap, nodes that wait for those before them, results
 * that the interpreter allows. */
#include "flyte/ids.h"
#include "sim.h"

#define BIT(n)  (1U << (n))
#define FLOW(p) CORE_WORKFLOW_EXECUTION_PHASE_##p
#define NODE(p) CORE_NODE_EXECUTION_PHASE_##p
#define TASK(p) CORE_TASK_EXECUTION_PHASE_##p

#define TASK_BEGUN (BIT(TASK(QUEUED)) | BIT(TASK(WAITING_FOR_RESOURCES)) | BIT(TASK(INITIALIZING)))

static const unsigned TASK_BEFORE[] = {
	[TASK(QUEUED)] = BIT(0),
	[TASK(WAITING_FOR_RESOURCES)] = BIT(TASK(QUEUED)),
	[TASK(INITIALIZING)] = BIT(TASK(QUEUED)) | BIT(TASK(WAITING_FOR_RESOURCES)),
	[TASK(RUNNING)] = BIT(0) | TASK_BEGUN,
	[TASK(SUCCEEDED)] = BIT(0) | TASK_BEGUN | BIT(TASK(RUNNING)),
	[TASK(FAILED)] = TASK_BEGUN | BIT(TASK(RUNNING)),
	[TASK(ABORTED)] = TASK_BEGUN | BIT(TASK(RUNNING)),
};
static const unsigned NODE_BEFORE[] = {
	[NODE(QUEUED)] = BIT(0),
	[NODE(RUNNING)] = BIT(NODE(QUEUED)),
	[NODE(DYNAMIC_RUNNING)] = BIT(NODE(RUNNING)) | BIT(NODE(DYNAMIC_RUNNING)),
	[NODE(SUCCEEDED)] = BIT(0) | BIT(NODE(QUEUED)) | BIT(NODE(RUNNING)) | BIT(NODE(DYNAMIC_RUNNING)),
	[NODE(FAILED)] = BIT(0) | BIT(NODE(QUEUED)) | BIT(NODE(RUNNING)) | BIT(NODE(DYNAMIC_RUNNING)),
	[NODE(TIMED_OUT)] = BIT(NODE(QUEUED)) | BIT(NODE(RUNNING)) | BIT(NODE(DYNAMIC_RUNNING)),
	[NODE(ABORTED)] = BIT(NODE(QUEUED)) | BIT(NODE(RUNNING)) | BIT(NODE(DYNAMIC_RUNNING)),
	[NODE(SKIPPED)] = BIT(0),
	[NODE(RECOVERED)] = BIT(0),
};
/* Admin has told QUEUED before. */
static const unsigned FLOW_BEFORE[] = {
	[FLOW(RUNNING)] = BIT(0),
	[FLOW(SUCCEEDING)] = BIT(FLOW(RUNNING)),
	[FLOW(SUCCEEDED)] = BIT(FLOW(SUCCEEDING)),
	[FLOW(FAILING)] = BIT(0) | BIT(FLOW(RUNNING)),
	[FLOW(FAILED)] = BIT(FLOW(FAILING)),
	[FLOW(ABORTED)] = BIT(0) | BIT(FLOW(RUNNING)) | BIT(FLOW(FAILING)),
};

static bool node_is_over(unsigned phase)
{
	return phase != NODE(QUEUED) && phase != NODE(RUNNING) && phase != NODE(DYNAMIC_RUNNING);
}

static bool is_good(unsigned phase)
{
	return phase == NODE(SUCCEEDED) || phase == NODE(RECOVERED);
}

static bool task_is_over(unsigned phase)
{
	return phase == TASK(SUCCEEDED) || phase == TASK(FAILED) || phase == TASK(ABORTED);
}

static unsigned phase_of(const struct exec *x, const char *key)
{
	uintptr_t p = (uintptr_t)map_get(x->phases, str_of(key));

	return p ? (unsigned)p - 1 : 0;
}

static void set_phase(struct exec *x, const char *key, unsigned phase)
{
	map_put(x->phases, str_of(key), (void *)(uintptr_t)(phase + 1));
}

/* ---- where nodes are ---- */

const struct place *place_named(struct exec *x, const char *unique_id)
{
	return map_get(x->places, str_of(unique_id));
}

const struct place *place_at(const struct exec *x, const char *dir)
{
	return map_get(x->dirs, str_of(dir));
}

static void remember(struct exec *x, const struct place *p, const char *unique_id)
{
	map_put(x->places, str_of(unique_id), (void *)p);
	map_put(x->dirs, str_of(p->dir), (void *)p);
}

static const struct plan_node *spec_of(const struct plan *p, const char *id)
{
	return plan_find(p, id);
}

/* The plan that runs in this node, in this attempt. */
static const struct plan *inner_plan(struct sim *s, const struct place *outer)
{
	const struct plan_node *n = outer->node;

	if (n->kind == PLAN_BRANCH)
		return outer->plan;
	if (n->kind == PLAN_WORKFLOW)
		return n->plan;
	check(s, n->kind == PLAN_DYNAMIC);
	return plan_of_dynamic(s, outer->dir, n->depth + 1);
}

static struct place *place_new(struct sim *s, struct exec *x, const EventNodeExecutionEvent *e)
{
	struct place *p = arena_new_of(s->a, struct place);
	const struct place *outer = NULL;

	p->plan = x->plan;
	p->dir = arena_printf(s->a, "%s/%s/data", x->dir, e->spec_node_id);
	if (e->parent_node_metadata) {
		outer = place_named(x, e->parent_node_metadata->node_id);
		check(s, outer && outer->node);
		p->plan = inner_plan(s, outer);
		p->dir = arena_printf(s->a, "%s/%s/%s", outer->dir, e->retry_group, e->spec_node_id);
	}
	/* Nodes of a branch wait for those around it. */
	p->scope = !outer                             ? ""
		   : outer->node->kind == PLAN_BRANCH ? outer->scope
						      : arena_printf(s->a, "%s/%s", outer->dir, e->retry_group);
	p->node = spec_of(p->plan, e->spec_node_id);
	check(s, p->node || strcmp(e->spec_node_id, "start-node") == 0 || strcmp(e->spec_node_id, "end-node") == 0);
	return p;
}

/* Items have no events of their own. */
static void place_items(struct sim *s, struct exec *x, const struct place *array, const char *unique_id)
{
	for (int i = 0; i < 2 * MAX_ITEMS; i++) {
		const char *parts[] = {unique_id, "0", arena_printf(s->scratch, "n%d", i)};
		struct place *p = arena_new_of(s->a, struct place);
		*p = *array;
		p->dir = arena_printf(s->a, "%s/0/%d", array->dir, i);
		p->node = array->node->item;
		p->array = array;
		p->item = (uint32_t)i;
		remember(x, p, flyte_unique_id(s->a, parts, 3, NODE_UNIQUE_ID_MAX, UNIQUE_ID_FNV32));
	}
}

static const struct place *place_of(struct sim *s, struct exec *x, const EventNodeExecutionEvent *e)
{
	const struct place *known = place_named(x, e->id->node_id);

	if (known) {
		check(s, !known->node || strcmp(known->node->id, e->spec_node_id) == 0);
		return known;
	}
	struct place *p = place_new(s, x, e);
	remember(x, p, e->id->node_id);
	if (p->node && p->node->kind == PLAN_ARRAY)
		place_items(s, x, p, e->id->node_id);
	return p;
}

static const char *key_of(struct sim *s, const char *scope, const char *id)
{
	return arena_printf(s->scratch, "%s|%s", scope, id);
}

/* ---- nodes ---- */

static void check_source(struct sim *s, const struct exec *x, const struct place *p, const struct source *from)
{
	if (from->kind == SOURCE_NODE)
		check(s, is_good(phase_of(x, key_of(s, p->scope, from->node->id))));
	for (size_t i = 0; from->kind == SOURCE_LIST && i < from->n; i++)
		check_source(s, x, p, &from->items[i]);
}

/* Whatever it waits for has succeeded. */
static void check_upstream(struct sim *s, const struct exec *x, const struct place *p)
{
	const struct plan_node *n = p->node;

	for (size_t i = 0; n && i < n->n_after; i++)
		check(s, is_good(phase_of(x, key_of(s, p->scope, n->after[i]->id))));
	for (size_t i = 0; n && i < n->n_in; i++)
		check_source(s, x, p, &n->in[i]);
}

/* Kinds that nobody runs may end without having run. */
static bool may_leap(const struct plan_node *n)
{
	return !n || n->kind == PLAN_ECHO || n->kind == PLAN_NAP;
}

static void check_result(struct sim *s, const struct exec *x, const struct place *p, const EventNodeExecutionEvent *e)
{
	const struct outcome *o = map_get(x->results, str_of(p->dir));
	unsigned phase = (unsigned)e->phase;

	if (phase == NODE(FAILED) && p->node && str_starts(str_of(e->error->code), "RetriesExhausted|"))
		check_budget_spent(s, p);

	if (!p->node || phase == NODE(SKIPPED))
		return;
	if (!o && !x->imprecise)
		sim_fail(s, "node %s runs, but should not", p->dir);
	if (!o)
		return;
	if ((phase == NODE(SUCCEEDED) && !o->ok) || (phase == NODE(FAILED) && !o->fail) ||
	    (phase == NODE(TIMED_OUT) && !o->timed_out))
		sim_fail(s, "node %s ends as %s, but may%s%s%s", p->dir,
			 enum_name(CORE_NODE_EXECUTION_PHASE_DESC, (int)phase), o->ok ? " succeed" : "",
			 o->fail ? " fail" : "", o->timed_out ? " time out" : "");
	if (e->output_result_case != EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA || o->n == 0)
		return;
	for (size_t i = 0; i < e->output_data->n_literals; i++)
		if (!val_fits(&o->v[0], e->output_data->literals[i]->value))
			sim_fail(s, "node %s gives something else", p->dir);
}

static void count_node(const struct place *p, unsigned phase)
{
	if (p->node)
		seen->nodes[p->node->on_failure ? N_PLAN_KINDS : p->node->kind][phase]++;
}

/* Those that max_parallelism counts. */
static bool is_limited(const struct plan_node *n)
{
	return n && (n->kind <= PLAN_NAP || n->kind == PLAN_ARRAY || n->kind == PLAN_LAUNCH || n->kind == PLAN_CHILD);
}

static void check_parallelism(struct sim *s, struct exec *x, const struct place *p, unsigned before, unsigned phase)
{
	x->running += is_limited(p->node) && phase == NODE(RUNNING);
	x->running -= is_limited(p->node) && before == NODE(RUNNING);
	check(s, x->plan->max_parallelism == 0 || x->running <= (size_t)x->plan->max_parallelism);
}

static void check_node(struct sim *s, struct exec *x, const EventNodeExecutionEvent *e)
{
	const struct place *p = place_of(s, x, e);
	const char *key = key_of(s, p->scope, e->spec_node_id);
	unsigned before = phase_of(x, key), phase = (unsigned)e->phase;

	const struct left *left = left_of(x, p->dir);

	if (is_settled(x, p->dir) && phase != NODE(RECOVERED) && phase != NODE(SKIPPED))
		sim_fail(s, "node %s was done before, but runs again", p->dir);
	check(s, phase != NODE(RECOVERED) || (left && left->done));
	/* The task of a dynamic node was done. */
	bool leaps = phase == NODE(RUNNING) && !before && is_half_done(x, p->dir);
	if (phase >= ARRAY_SIZE(NODE_BEFORE) || !((NODE_BEFORE[phase] & BIT(before)) || leaps))
		sim_fail(s, "node %s goes from %s to %s", p->dir,
			 enum_name(CORE_NODE_EXECUTION_PHASE_DESC, (int)before),
			 enum_name(CORE_NODE_EXECUTION_PHASE_DESC, (int)phase));
	left_note(s, x, p, e);
	check(s, before || phase != NODE(SUCCEEDED) || is_hit(x, p) || strcmp(e->spec_node_id, "start-node") == 0);
	check_cached_node(s, x, p, e);
	if (before == NODE(QUEUED) && phase == NODE(SUCCEEDED) && !may_leap(p->node) && !is_hit(x, p))
		sim_fail(s, "node %s has not run, but succeeded", p->dir);
	if (!before && phase != NODE(SKIPPED))
		check_upstream(s, x, p);
	check_parallelism(s, x, p, before, phase);
	set_phase(x, key, phase);
	count_node(p, phase);
	if (node_is_over(phase))
		check_result(s, x, p, e);
}

/* ---- tasks ---- */

/* One task execution for the whole array; its items are external resources, each attempt one. */
static void check_array(struct sim *s, struct exec *x, const EventTaskExecutionEvent *e)
{
	const char *key = arena_printf(s->scratch, "%s array", e->parent_node_execution_id->node_id);
	unsigned before = phase_of(x, key), phase = (unsigned)e->phase;
	const struct place *array = place_named(x, e->parent_node_execution_id->node_id);

	check(s, e->retry_attempt == 0 && phase < ARRAY_SIZE(TASK_BEFORE));
	check(s, (TASK_BEFORE[phase] & BIT(before)) || (before == TASK(RUNNING) && phase == TASK(RUNNING)));
	set_phase(x, key, phase);
	for (size_t i = 0; i < e->metadata->n_external_resources; i++) {
		const EventExternalResourceInfo *info = e->metadata->external_resources[i];
		key = arena_printf(s->scratch, "item %s", info->external_id);
		before = phase_of(x, key);
		bool goes_on = info->phase == before && !task_is_over(before);
		check(s, (TASK_BEFORE[info->phase] & BIT(before)) || goes_on ||
				 (!before && info->retry_attempt)); /* a child that is launched again */
		set_phase(x, key, (unsigned)info->phase);
		seen->items[info->phase]++;
		left_note_item(s, x, array, info);
		check_cached_item(s, x, array, info);
	}
}

/* A connector may tell more than once in a phase. */
static bool goes_on(struct exec *x, const char *key, const EventTaskExecutionEvent *e, unsigned before)
{
	bool same = (unsigned)e->phase == before && !task_is_over(before);
	uintptr_t next = (uintptr_t)map_get(x->versions, str_of(key));
	bool more = same && e->phase_version >= next;

	map_put(x->versions, str_of(key), (void *)((uintptr_t)e->phase_version + 1));
	return more;
}

static bool is_of_executor(const EventTaskExecutionEvent *e)
{
	const char *plugin = e->metadata->plugin_identifier;

	return strcmp(plugin, "container") == 0 || strcmp(plugin, "connector-service") == 0;
}

/* It ends an attempt of this number. */
static bool is_about(const AlulaInput *in, uint32_t attempt)
{
	if (in->input_case == ALULA_INPUT_INPUT_CACHE_PUT)
		return in->cache_put->attempt == attempt;
	return in->input_case == ALULA_INPUT_INPUT_ATTEMPT_FINISHED && in->attempt_finished->attempt == attempt;
}

static void check_task(struct sim *s, struct exec *x, const EventTaskExecutionEvent *e)
{
	if (strcmp(e->metadata->plugin_identifier, "k8s-array") == 0) {
		check_array(s, x, e);
		return;
	}
	const char *node = e->parent_node_execution_id->node_id;
	const char *key = arena_printf(s->scratch, "task %s %u", node, e->retry_attempt);
	unsigned before = phase_of(x, key), phase = (unsigned)e->phase;

	bool more = goes_on(x, key, e, before);
	check(s, phase < ARRAY_SIZE(TASK_BEFORE) && ((TASK_BEFORE[phase] & BIT(before)) || more));
	if (!before && e->retry_attempt) {
		unsigned last = phase_of(x, arena_printf(s->scratch, "task %s %u", node, e->retry_attempt - 1));
		/* It succeeds and its workflow does not; or it did so in an execution that this one recovers. */
		check(s, task_is_over(last) || (!last && x->recovers && e->retry_attempt == 1));
	}
	if ((phase == TASK(SUCCEEDED) || phase == TASK(FAILED)) && is_of_executor(e)) {
		check(s, is_about(s->now, e->retry_attempt));
		check(s, strcmp(e->metadata->plugin_identifier, attempt_plugin(s, s->now)) == 0);
	}
	set_phase(x, key, phase);
}

/* ---- the execution ---- */

static void check_outputs(struct sim *s, const struct exec *x, const EventWorkflowExecutionEvent *e)
{
	CoreLiteralMap *m = NULL;

	if (e->output_result_case == EVENT_WORKFLOW_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA)
		m = e->output_data;
	else if (e->output_result_case == EVENT_WORKFLOW_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_URI)
		m = store_get(s, e->output_uri);
	check(s, (m ? m->n_literals : 0) == x->plan->n_outputs);
	for (size_t i = 0; m && i < m->n_literals; i++) {
		const char *name = arena_printf(s->scratch, "%s%zu", x->plan->output_prefix, i);
		check(s, strcmp(m->literals[i]->key, name) == 0);
		if (!val_fits(&x->allowed.v[i], m->literals[i]->value))
			sim_fail(s, "output %s of %s is not what it should be", name, x->name);
	}
}

static void check_workflow(struct sim *s, struct exec *x, const EventWorkflowExecutionEvent *e)
{
	unsigned phase = (unsigned)e->phase;
	const struct outcome *o = &x->allowed;

	check(s, phase < ARRAY_SIZE(FLOW_BEFORE) && (FLOW_BEFORE[phase] & BIT(x->phase)));
	x->phase = (int)phase;
	if ((phase == FLOW(SUCCEEDED) && !o->ok) || (phase == FLOW(FAILED) && !o->fail) ||
	    (phase == FLOW(ABORTED) && !x->may_abort))
		sim_fail(s, "%s ends as %s, but may%s%s%s", x->name,
			 enum_name(CORE_WORKFLOW_EXECUTION_PHASE_DESC, (int)phase), o->ok ? " succeed" : "",
			 o->fail ? " fail" : "", x->may_abort ? " be aborted" : "");
	if (phase == FLOW(SUCCEEDED))
		check_outputs(s, x, e);
}

static void check_signal(struct sim *s, const struct exec *x, const AlulaSignalAwaited *e)
{
	check(s, e && *e->signal_id && e->type);
	await_signal(s, x, e->signal_id);
}

static bool is_over(const struct exec *x)
{
	return x->phase == FLOW(SUCCEEDED) || x->phase == FLOW(FAILED) || x->phase == FLOW(ABORTED);
}

void check_record(struct sim *s, struct exec *x, const AlulaRecord *r)
{
	check(s, r->execution == x->id && r->seq == ++x->seq);
	check(s, !is_over(x) && !s->over);
	check(s, r->n_events <= (size_t)s->record_events + 30);
	check(s, strcmp(r->id->name, x->name) == 0);
	for (size_t i = 0; i < r->n_events; i++) {
		const AlulaExecutionEvent *e = r->events[i];
		check(s, !is_over(x));
		if (e->event_case == ALULA_EXECUTION_EVENT_EVENT_NODE)
			check_node(s, x, e->node);
		else if (e->event_case == ALULA_EXECUTION_EVENT_EVENT_TASK)
			check_task(s, x, e->task);
		else if (e->event_case == ALULA_EXECUTION_EVENT_EVENT_WORKFLOW)
			check_workflow(s, x, e->workflow);
		else
			check_signal(s, x, e->signal);
	}
	check(s, r->last == is_over(x));
}

static void check_all_over(struct sim *s, const struct exec *x)
{
	size_t it = 0;
	struct str key;
	void *value;

	while (map_next(x->phases, &it, &key, &value)) {
		unsigned phase = (unsigned)(uintptr_t)value - 1;
		/* One that never began, or a child that took too long and was launched again. */
		bool item = str_starts(key, "item ");
		bool over = memchr(key.ptr, '|', key.len) ? node_is_over(phase) : task_is_over(phase);
		if (!over && !item)
			sim_fail(s, "%.*s is not over when its execution is", STR_ARG(key));
	}
}

/* Of a branch that succeeded one node did, and the others are told to be skipped. */
static void check_cases(struct sim *s, const struct exec *x, const struct plan_node *branch)
{
	size_t good = 0;

	if (phase_of(x, key_of(s, "", branch->id)) != NODE(SUCCEEDED))
		return;
	for (size_t i = 0; i < branch->n_cases; i++) {
		unsigned phase = phase_of(x, key_of(s, "", branch->cases[i].node->id));
		good += is_good(phase);
		check(s, is_good(phase) || phase == NODE(SKIPPED));
		check_cases(s, x, branch->cases[i].node);
	}
	/* The one that it takes may be behind a node that failed. */
	check(s, branch->n_cases == 0 || good == 1 || (x->plan->fail_after && x->phase != FLOW(SUCCEEDED)));
}

void check_end(struct sim *s, struct exec *x)
{
	bool succeeded = x->phase == FLOW(SUCCEEDED);

	check(s, is_over(x) && x->running == 0);
	check_all_over(s, x);
	for (size_t i = 0; i < x->plan->nodes.n; i++) {
		unsigned phase = phase_of(x, key_of(s, "", x->plan->nodes.at[i]->id));
		check(s, !succeeded || is_good(phase));
		check_cases(s, x, x->plan->nodes.at[i]);
		check(s, phase || !x->plan->fail_after || x->phase != FLOW(FAILED) || x->plan->timeout_us ||
				 x->accept->accepted->unreadable);
	}
	seen->ends[succeeded ? 0 : x->phase == FLOW(FAILED) ? 1 : 2]++;
	seen->exact += x->allowed.ok + x->allowed.fail + x->may_abort == 1;
}

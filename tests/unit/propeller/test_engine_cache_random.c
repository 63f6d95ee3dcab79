/* Random workflows, many of their tasks cached, in a world that fails, loses, doubles and reorders: every execution
 * ends, events come in a legal order without gaps or repeats, no attempt starts twice, replay gives the same state
 * after every record, also when the engine is thrown away in between, and no memory is left. */
#include "engine_world.h"

#ifdef ALULA_SANITIZE
enum { SEEDS = 150 };
#else
enum { SEEDS = 2000 };
#endif

/* ---- legal phases ---- */

/* Bit p of PHASES_BEFORE[q]: may q come after p? Bit 0: as the first. */
#define BIT(p)  (1u << (p))
#define TASK(p) CORE_TASK_EXECUTION_PHASE_##p
#define NODE(p) CORE_NODE_EXECUTION_PHASE_##p
#define FLOW(p) CORE_WORKFLOW_EXECUTION_PHASE_##p

static const unsigned TASK_BEFORE[] = {
	[TASK(QUEUED)] = BIT(0),
	[TASK(RUNNING)] = BIT(0) | BIT(TASK(QUEUED)),
	[TASK(SUCCEEDED)] = BIT(0) | BIT(TASK(QUEUED)) | BIT(TASK(RUNNING)),
	[TASK(FAILED)] = BIT(TASK(QUEUED)) | BIT(TASK(RUNNING)),
	[TASK(ABORTED)] = BIT(TASK(QUEUED)) | BIT(TASK(RUNNING)),
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
};
static const unsigned FLOW_BEFORE[] = {
	[FLOW(RUNNING)] = BIT(0),
	[FLOW(SUCCEEDING)] = BIT(FLOW(RUNNING)),
	[FLOW(SUCCEEDED)] = BIT(FLOW(SUCCEEDING)),
	[FLOW(FAILING)] = BIT(FLOW(RUNNING)),
	[FLOW(FAILED)] = BIT(FLOW(FAILING)),
	[FLOW(ABORTED)] = BIT(0) | BIT(FLOW(RUNNING)) | BIT(FLOW(FAILING)),
};

static bool node_is_over(unsigned phase)
{
	return phase != NODE(QUEUED) && phase != NODE(RUNNING) && phase != NODE(DYNAMIC_RUNNING);
}

static unsigned phase_of(struct world *w, const char *key)
{
	uintptr_t p = (uintptr_t)map_get(w->phases, str_of(key));

	return p ? (unsigned)p - 1 : 0;
}

static void set_phase(struct world *w, const char *key, unsigned phase)
{
	map_put(w->phases, str_of(key), (void *)(uintptr_t)(phase + 1));
}

/* ---- where nodes are ---- */

static const CoreNode *spec_of(struct world *w, const char *spec_id)
{
	return map_get(w->upstream, str_of(spec_id));
}

struct place {
	const char *frame; /* the unique id and attempt of the node whose workflow it is in */
	const char *spec_id;
};

/* A branch's node is in the workflow of its branch. */
static const struct place *place_of(struct world *w, const EventNodeExecutionEvent *e)
{
	struct place *p = map_get(w->places, str_of(e->id->node_id));

	if (p)
		return p;
	p = arena_new_of(w->a, struct place);
	p->frame = "";
	p->spec_id = arena_strdup(w->a, e->spec_node_id);
	if (e->parent_node_metadata) {
		const struct place *outer = map_get(w->places, str_of(e->parent_node_metadata->node_id));
		check(w, outer);
		const CoreNode *n = spec_of(w, outer->spec_id);
		bool branch = n->target_case == CORE_NODE_TARGET_BRANCH_NODE;
		p->frame = branch ? outer->frame
				  : arena_printf(w->a, "%s:%s", e->parent_node_metadata->node_id, e->retry_group);
	}
	map_put(w->places, str_of(e->id->node_id), p);
	return p;
}

static const char *key_of(struct world *w, const struct place *p, const char *spec_id)
{
	return arena_printf(w->scratch, "%s/%s", p->frame, spec_id);
}

/* Whatever it waits for has succeeded. */
static void check_upstream(struct world *w, const struct place *p)
{
	const CoreNode *n = spec_of(w, p->spec_id);

	for (size_t i = 0; n && i < n->n_upstream_node_ids; i++)
		check(w, phase_of(w, key_of(w, p, n->upstream_node_ids[i])) == NODE(SUCCEEDED));
	for (size_t i = 0; n && i < n->n_inputs; i++) {
		const CoreBindingData *b = n->inputs[i]->binding;
		if (b->value_case == CORE_BINDING_DATA_VALUE_PROMISE && *b->promise->node_id)
			check(w, phase_of(w, key_of(w, p, b->promise->node_id)) == NODE(SUCCEEDED));
	}
}

/* What happened in all worlds, by target and phase of nodes: nothing that should happen may stay away. */
static size_t seen[16][16], seen_items[16], hits;

static int kind_of(const CoreNode *n)
{
	if (*n->id == 'f')
		return 0;
	return *n->id == 'l' ? 1 : (int)n->target_case;
}

static void count_seen(const CoreNode *n, unsigned phase)
{
	if (n)
		seen[kind_of(n)][phase]++;
}

static bool is_limited(const CoreNode *n)
{
	return n && (n->target_case == CORE_NODE_TARGET_TASK_NODE || n->target_case == CORE_NODE_TARGET_ARRAY_NODE);
}

static void check_node(struct world *w, const EventNodeExecutionEvent *e)
{
	const struct place *p = place_of(w, e);
	const char *key = key_of(w, p, e->spec_node_id);
	unsigned before = phase_of(w, key), phase = (unsigned)e->phase;

	check(w, strcmp(p->spec_id, e->spec_node_id) == 0);
	check(w, phase < ARRAY_SIZE(NODE_BEFORE) && (NODE_BEFORE[phase] & BIT(before)));
	bool hit = e->target_metadata_case == EVENT_NODE_EXECUTION_EVENT_TARGET_METADATA_TASK_NODE_METADATA &&
		   e->task_node_metadata->cache_status == CORE_CATALOG_CACHE_STATUS_CACHE_HIT;
	check(w, before || phase != NODE(SUCCEEDED) || hit || strcmp(e->spec_node_id, "start-node") == 0);
	hits += hit;
	if (!before && phase != NODE(SKIPPED))
		check_upstream(w, p);
	w->running += is_limited(spec_of(w, p->spec_id)) && phase == NODE(RUNNING);
	w->running -= is_limited(spec_of(w, p->spec_id)) && before == NODE(RUNNING);
	check(w, w->max_parallelism == 0 || w->running <= (size_t)w->max_parallelism);
	set_phase(w, key, phase);
	count_seen(spec_of(w, p->spec_id), phase);
}

/* One task execution for the whole array; its items are external resources, each attempt one. */
static void check_array(struct world *w, const EventTaskExecutionEvent *e)
{
	const char *key = arena_printf(w->scratch, "%s array", e->parent_node_execution_id->node_id);
	unsigned before = phase_of(w, key), phase = (unsigned)e->phase;

	check(w, e->retry_attempt == 0 && phase < ARRAY_SIZE(TASK_BEFORE));
	check(w, (TASK_BEFORE[phase] & BIT(before)) || (before == TASK(RUNNING) && phase == TASK(RUNNING)));
	set_phase(w, key, phase);
	for (size_t i = 0; i < e->metadata->n_external_resources; i++) {
		const EventExternalResourceInfo *info = e->metadata->external_resources[i];
		bool goes_on = info->phase == CORE_TASK_EXECUTION_PHASE_QUEUED ||
			       info->phase == CORE_TASK_EXECUTION_PHASE_RUNNING;
		before = phase_of(w, info->external_id);
		check(w, (TASK_BEFORE[info->phase] & BIT(before)) || (goes_on && before == (unsigned)info->phase) ||
				 (!before && info->retry_attempt)); /* a child that is launched again */
		set_phase(w, info->external_id, (unsigned)info->phase);
		seen_items[info->phase]++;
	}
}

static void check_task(struct world *w, const EventTaskExecutionEvent *e)
{
	if (strcmp(e->metadata->plugin_identifier, "k8s-array") == 0) {
		check_array(w, e);
		return;
	}
	const char *node = e->parent_node_execution_id->node_id;
	const char *key = arena_printf(w->scratch, "%s %u", node, e->retry_attempt);
	unsigned before = phase_of(w, key), phase = (unsigned)e->phase;

	bool goes_on = phase == before && e->phase_version > 0; /* a connector tells more than once in a phase */
	check(w, phase < ARRAY_SIZE(TASK_BEFORE) && ((TASK_BEFORE[phase] & BIT(before)) || goes_on));
	if (!before && e->retry_attempt) {
		unsigned last = phase_of(w, arena_printf(w->scratch, "%s %u", node, e->retry_attempt - 1));
		/* It succeeds and its workflow does not. */
		check(w, last == TASK(FAILED) || last == TASK(ABORTED) || last == TASK(SUCCEEDED));
	}
	if ((phase == TASK(SUCCEEDED) || phase == TASK(FAILED)) &&
	    strcmp(e->metadata->plugin_identifier, "container") == 0)
		check(w, (w->now->input_case == ALULA_INPUT_INPUT_ATTEMPT_FINISHED &&
			  w->now->attempt_finished->attempt == e->retry_attempt) ||
				 (w->now->input_case == ALULA_INPUT_INPUT_CACHE_PUT &&
				  w->now->cache_put->attempt == e->retry_attempt));
	set_phase(w, key, phase);
}

static void check_workflow(struct world *w, const EventWorkflowExecutionEvent *e)
{
	unsigned phase = (unsigned)e->phase;

	check(w, phase < ARRAY_SIZE(FLOW_BEFORE) && (FLOW_BEFORE[phase] & BIT(w->workflow_phase)));
	w->workflow_phase = (int)phase;
}

static void check_record(struct world *w, const AlulaRecord *r)
{
	check(w, r->execution == EXECUTION && r->seq == ++w->seq);
	check(w, r->n_events <= (size_t)w->record_events + 30);
	check(w, strcmp(r->id->name, "x7") == 0);
	for (size_t i = 0; i < r->n_events; i++) {
		const AlulaExecutionEvent *e = r->events[i];
		if (e->event_case == ALULA_EXECUTION_EVENT_EVENT_NODE)
			check_node(w, e->node);
		else if (e->event_case == ALULA_EXECUTION_EVENT_EVENT_TASK)
			check_task(w, e->task);
		else if (e->event_case == ALULA_EXECUTION_EVENT_EVENT_WORKFLOW)
			check_workflow(w, e->workflow);
		else
			check(w, e->signal && *e->signal->signal_id && e->signal->type);
	}
	bool over = w->workflow_phase == FLOW(SUCCEEDED) || w->workflow_phase == FLOW(FAILED) ||
		    w->workflow_phase == FLOW(ABORTED);
	check(w, r->last == over);
}

static void check_end(struct world *w)
{
	size_t it = 0;
	struct str key;
	void *value;

	check(w, w->running == 0);
	while (map_next(w->phases, &it, &key, &value))
		if (memchr(key.ptr, '/', key.len))
			check(w, node_is_over((unsigned)(uintptr_t)value - 1));
	/* Nobody is left waiting, nothing reserved. */
	it = 0;
	while (!w->crashes && map_next(w->cache, &it, &key, &value))
		check(w, (uintptr_t)value != RESERVED);
	for (size_t i = 0; i < w->w.template->n_nodes; i++) {
		unsigned phase = phase_of(w, arena_printf(w->scratch, "/%s", w->w.template->nodes[i]->id));
		check(w, w->workflow_phase != FLOW(SUCCEEDED) || phase == NODE(SUCCEEDED));
		check(w, phase || !w->fail_after || w->workflow_phase != FLOW(FAILED) ||
				 w->accept->accepted->command->start->timeout_us);
	}
}

/* ---- steps, journal, crashes ---- */

static void replay_last(struct world *w)
{
	AlulaJournalEntry *entry;
	struct err err;

	check(w, pb_unpack_own(ALULA_JOURNAL_ENTRY_DESC, w->journal.at[w->journal.n - 1], w->scratch, (void **)&entry,
			       &err) == OK);
	if (engine_replay(w->follower, entry, &err) != OK)
		fail_msg("seed %llu: %s (input %d)", (unsigned long long)w->seed, err.text,
			 (int)entry->input->input_case);
}

static void check_same_state(struct world *w)
{
	struct str x = engine_state(w->engine, EXECUTION, w->scratch),
		   y = engine_state(w->follower, EXECUTION, w->scratch);

	check(w, x.len > 0 && str_eq(x, y));
}

static void keep(struct world *w, AlulaInput *in, AlulaRecord *record)
{
	AlulaJournalEntry entry = ALULA_JOURNAL_ENTRY_INIT;

	entry.input = in;
	entry.record = record;
	vec_push(&w->journal, pb_pack(&entry, w->a));
	replay_last(w);
	if (w->w.template->n_nodes < 20 || one_in(w, 16))
		check_same_state(w);
}

/* The engine is gone; another one was rebuilt from the journal. Of the mail only the world's own is left. */
static void crash(struct world *w)
{
	struct step step = {.arena = w->scratch};
	struct engine *old = w->engine;
	size_t kept = 0;

	for (size_t i = 0; i < w->mails.n; i++)
		if (w->mails.at[i].survives)
			w->mails.at[kept++] = w->mails.at[i];
	w->mails.n = kept;
	check_same_state(w);
	w->crashes++;
	w->engine = w->follower;
	w->follower = old; /* as good as another replay, and its state is the same */
	engine_pending(w->engine, EXECUTION, &step);
	for (const struct action *a = step.actions; a; a = a->next)
		act(w, a, true);
}

static void answer_gates(struct world *w, const AlulaRecord *record)
{
	for (size_t i = 0; i < record->n_events; i++)
		if (record->events[i]->event_case == ALULA_EXECUTION_EVENT_EVENT_SIGNAL)
			set_signal(w, record->events[i]->signal->signal_id);
}

static void deliver(struct world *w, AlulaInput *in)
{
	struct step step = {.arena = w->scratch};

	arena_reset(w->scratch);
	in->time_us = w->now_us;
	in->seed = splitmix64(&w->chance);
	w->now = in;
	w->going_on = w->going_on && in->input_case != ALULA_INPUT_INPUT_GO_ON;
	w->steps++;
	engine_step(w->engine, in, &step);
	if (step.record) {
		note_miss(w, in);
		check_record(w, step.record);
		keep(w, in, step.record);
		answer_gates(w, step.record);
	}
	bool crashes = w->journal.n && one_in(w, 60);
	for (const struct action *a = step.actions; a && !(crashes && one_in(w, 2)); a = a->next)
		act(w, a, false);
	if (crashes)
		crash(w);
}

/* The earliest, or now and then another one. */
static struct mail next_mail(struct world *w)
{
	size_t at = below(w, w->mails.n);

	for (size_t i = 0; i < w->mails.n; i++)
		if (w->mails.at[i].at_us < w->mails.at[at].at_us)
			at = i;
	struct mail m = w->mails.at[at];
	vec_swap_remove(&w->mails, at);
	return m;
}

static void post_trouble(struct world *w)
{
	if (one_in(w, 6))
		post(w, T0 + (int64_t)below(w, 60 * USEC_PER_SEC), abort_input(w->a, EXECUTION, 0), true);
	for (size_t i = below(w, 4); i > 0; i--)
		set_signal(w, arena_printf(w->a, "%s%d", one_in(w, 2) ? "yes" : "value", (int)below(w, 4)));
	for (size_t i = 0; i < 3; i++)
		post(w, T0 + (int64_t)below(w, 30 * USEC_PER_SEC),
		     timer_fired(w->a, EXECUTION, 0, (uint32_t)below(w, 7), (uint32_t)below(w, 20), 0), true);
	post(w, T0 + (int64_t)below(w, 30 * USEC_PER_SEC),
	     finished_with(w->a, EXECUTION, 0, (uint32_t)below(w, 400), (uint32_t)below(w, 3) + 50, NULL, "/z"), true);
	post(w, T0 + (int64_t)below(w, 30 * USEC_PER_SEC), go_on(w->a, EXECUTION, 0), true);
	post(w, T0 + (int64_t)below(w, 30 * USEC_PER_SEC), w->accept, true);
}

static struct world world_new(uint64_t seed)
{
	struct world w = {.seed = seed, .chance = seed, .now_us = T0};

	w.a = arena_new(0);
	w.scratch = arena_new(0);
	w.attempts = map_new();
	w.phases = map_new();
	w.upstream = map_new();
	w.children = map_new();
	w.places = map_new();
	w.cache = map_new();
	w.record_events = (int)(4 + below(&w, 60));
	w.engine = engine_for_tests(w.record_events);
	w.follower = engine_for_tests(w.record_events);
	return w;
}

static void world_free(struct world *w)
{
	engine_forget(w->engine, EXECUTION);
	engine_forget(w->follower, EXECUTION);
	check(w, engine_bytes(w->engine) == 0 && engine_bytes(w->follower) == 0);
	engine_free(w->engine);
	engine_free(w->follower);
	map_free(w->attempts);
	map_free(w->phases);
	map_free(w->upstream);
	map_free(w->children);
	map_free(w->places);
	map_free(w->cache);
	vec_free(&w->mails);
	vec_free(&w->journal);
	arena_free(w->a);
	arena_free(w->scratch);
}

static void live(uint64_t seed, size_t ends[3], size_t *starts)
{
	struct world w = world_new(seed);

	random_workflow(&w);
	post_trouble(&w);
	if (one_in(&w, 30))
		deliver(&w, abort_input(w.a, EXECUTION, 0));
	deliver(&w, w.accept);
	while (!w.done) {
		check(&w, w.mails.n > 0 && w.steps < 100000);
		struct mail m = next_mail(&w);
		w.now_us = MAX(w.now_us, m.at_us);
		deliver(&w, m.in);
	}
	check_same_state(&w);
	check_end(&w);
	/* Late mail changes nothing. */
	while (w.mails.n) {
		struct mail m = next_mail(&w);
		int64_t seq = w.seq;
		deliver(&w, m.in);
		check(&w, w.seq == seq);
	}
	ends[w.workflow_phase == FLOW(SUCCEEDED) ? 0 : w.workflow_phase == FLOW(FAILED) ? 1 : 2]++;
	*starts += w.starts;
	world_free(&w);
}

static void test_random_workflows(void **state)
{
	(void)state;
	size_t ends[3] = {0}, starts = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		live(seed, ends, &starts);
	print_message("%d workflows, %zu attempts: %zu succeeded, %zu failed, %zu aborted\n", SEEDS, starts, ends[0],
		      ends[1], ends[2]);
	/* The world is neither too kind nor too cruel. */
	for (size_t i = 0; i < 3; i++)
		assert_true(ends[i] > SEEDS / 30);
	print_message("%zu cache hits\n", hits);
	assert_true(hits > SEEDS / 10);
	print_message("items: %zu succeeded, %zu failed, %zu aborted\n", seen_items[TASK(SUCCEEDED)],
		      seen_items[TASK(FAILED)], seen_items[TASK(ABORTED)]);
	static const struct {
		int target;
		const char *name;
	} KINDS[] = {
		{0, "failure"},
		{CORE_NODE_TARGET_TASK_NODE, "task"},
		{CORE_NODE_TARGET_WORKFLOW_NODE, "workflow"},
		{CORE_NODE_TARGET_BRANCH_NODE, "branch"},
		{CORE_NODE_TARGET_GATE_NODE, "gate"},
		{1, "launch plan"},
		{CORE_NODE_TARGET_ARRAY_NODE, "array"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(KINDS); i++) {
		const size_t *n = seen[KINDS[i].target];
		print_message(
			"%s nodes: %zu succeeded, %zu dynamic, %zu failed, %zu timed out, %zu aborted, %zu skipped\n",
			KINDS[i].name, n[NODE(SUCCEEDED)], n[NODE(DYNAMIC_RUNNING)], n[NODE(FAILED)],
			n[NODE(TIMED_OUT)], n[NODE(ABORTED)], n[NODE(SKIPPED)]);
		assert_true(n[NODE(SUCCEEDED)] > SEEDS / 60 && n[NODE(FAILED)] > SEEDS / 1000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_workflows)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

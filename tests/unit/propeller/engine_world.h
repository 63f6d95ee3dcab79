/* A fake world around the engine: runs attempts, fires timers, loses, doubles and reorders what it tells; keeps a
 * journal and a second engine that follows it by replay. All chance comes from one seed. */
#pragma once
#include "engine_inputs.h"

enum { EXECUTION = 7, MAX_NODES = 300 };

struct mail {
	int64_t at_us;
	AlulaInput *in;
	bool survives; /* a crash of ours: it comes from a process that goes on */
};

/* What an attempt or a child in the world is doing. */
enum doing { UNKNOWN_YET, RUNS, STOPPED, REFUSED };

struct world {
	uint64_t seed, chance;
	struct arena *a, *scratch;
	struct engine *engine, *follower;
	struct wf w;
	AlulaInput *accept;
	const AlulaInput *now; /* what is being delivered */
	int64_t now_us, seq;
	VEC(struct mail) mails;
	VEC(struct str) journal;
	struct map *attempts; /* "node/attempt" -> enum doing */
	struct map *children; /* name of an execution -> enum doing */
	struct map *phases;   /* "node" or "node attempt" -> phase + 1 */
	struct map *upstream; /* node id -> CoreNode */
	struct map *cache;    /* "node" -> enum cached */
	struct map *places;   /* unique id of a node -> where it is, see place_of */
	int workflow_phase, max_parallelism, record_events;
	size_t running, starts, steps, n_nodes, dynamics, crashes;
	bool done, fail_after, going_on;
};

/* What the world's cache has to do with a node. */
enum cached { NOT_CACHED, ASKED, RESERVED, DONE_WITH };

/* cmocka's asserts do not tell the seed. */
#define check(w, cond)                                                                                                 \
	do {                                                                                                           \
		if (!(cond))                                                                                           \
			fail_msg("seed %llu, step %zu: %s (line %d)", (unsigned long long)(w)->seed, (w)->steps,       \
				 #cond, __LINE__);                                                                     \
	} while (0)

static inline uint64_t below(struct world *w, uint64_t n)
{
	return splitmix64(&w->chance) % n;
}

static inline bool one_in(struct world *w, uint64_t n)
{
	return below(w, n) == 0;
}

/* ---- a random workflow ---- */

/* Ids of nodes are unique in the whole closure, and tell the kind: those that begin with 's' give nothing. */
struct sketch {
	struct world *w;
	struct wf wf;
	int depth;
	CoreTaskTemplate *const *tasks;
	bool no_inputs;
};

static inline void sketch_workflow(struct sketch *s, size_t n);

static inline CoreBindingData *random_binding(struct sketch *s, size_t i)
{
	struct world *w = s->w;
	struct arena *a = w->a;

	if (i > 0 && !one_in(w, 4)) {
		const CoreNode *from = s->wf.template->nodes[below(w, i)];
		if (!str_starts(str_of(from->id), "s"))
			return promise(a, from->id, "o0");
	}
	if (one_in(w, 3) && !s->no_inputs)
		return promise(a, one_in(w, 2) ? "" : "start-node", "x");
	return constant(a, int_literal(a, (int64_t)below(w, 100)));
}

static inline const char *random_id(struct world *w, const char *prefix)
{
	return arena_printf(w->a, "%s%zu%s", prefix, w->n_nodes++, one_in(w, 9) ? "-with-quite-a-long-name" : "");
}

static inline CoreNode *random_task(struct sketch *s, size_t i)
{
	static const char *const PREFIX[] = {"e", "p", "q", "s"};
	struct world *w = s->w;
	size_t kind = below(w, 4);
	CoreNode *n = node_of_task(w->a, random_id(w, PREFIX[kind]), s->tasks[kind]);

	if (kind == 3)
		node_bind(&s->wf, n, "i0", constant(w->a, duration_literal(w->a, (int64_t)below(w, 3) * USEC_PER_SEC)));
	else if (kind != 2)
		node_bind(&s->wf, n, "i0", random_binding(s, i));
	else
		node_bind(&s->wf, n, "i0", list_of(w->a, random_binding(s, i), random_binding(s, i)));
	return n;
}

static inline CoreNode *random_gate(struct sketch *s, size_t i)
{
	struct world *w = s->w;
	CoreNode *n;

	switch (below(w, 3)) {
	case 0: return node_of_sleep(w->a, random_id(w, "sleep"), (int64_t)below(w, 4) * USEC_PER_SEC);
	case 1: return node_of_signal(w->a, random_id(w, "g"), arena_printf(w->a, "value%d", (int)below(w, 4)));
	default:
		n = node_of_approval(w->a, random_id(w, "g"), arena_printf(w->a, "yes%d", (int)below(w, 4)));
		node_bind(&s->wf, n, "o0", random_binding(s, i));
		return n;
	}
}

static inline CoreNode *random_child(struct sketch *s, size_t i)
{
	CoreNode *n = node_of_launch_plan(s->w->a, random_id(s->w, "l"), "plan");

	node_bind(&s->wf, n, "x", random_binding(s, i));
	return n;
}

static inline CoreNode *random_array(struct sketch *s, size_t i)
{
	struct world *w = s->w;
	bool child = one_in(w, 4);
	CoreNode *item = child ? node_of_launch_plan(w->a, "item", "plan")
			       : node_of_task(w->a, "item", s->tasks[one_in(w, 2) ? 0 : 1]);
	CoreNode *n = node_of_array(w->a, random_id(w, "a"), item);

	if (one_in(w, 2))
		node_retries(&s->wf, item, (uint32_t)below(w, 3));
	if (one_in(w, 3))
		item->metadata->timeout = pb_duration(w->a, (int64_t)(1 + below(w, 20)) * USEC_PER_SEC);
	if (one_in(w, 3)) {
		n->array_node->parallelism_option_case = CORE_ARRAY_NODE_PARALLELISM_OPTION_PARALLELISM;
		n->array_node->parallelism = (uint32_t)below(w, 4);
	}
	if (one_in(w, 2)) {
		n->array_node->success_criteria_case = CORE_ARRAY_NODE_SUCCESS_CRITERIA_MIN_SUCCESS_RATIO;
		n->array_node->min_success_ratio = 0.4F;
	}
	if (one_in(w, 3))
		n->array_node->data_mode = CORE_ARRAY_NODE_DATA_MODE_SINGLE_INPUT_FILE;
	node_bind(&s->wf, n, "i0", list_of(w->a, random_binding(s, i), random_binding(s, i)));
	return n;
}

static inline CoreNode *random_inner(struct sketch *s, size_t i)
{
	struct world *w = s->w;
	struct sketch inner = {w, wf_inner(&s->wf, random_id(w, "workflow")), s->depth + 1, s->tasks, false};
	CoreNode *n = node_of_workflow(w->a, random_id(w, "w"), &inner.wf);
	size_t size = 1 + below(w, 5);

	sketch_workflow(&inner, size);
	wf_output(&inner.wf, "o0", random_binding(&inner, size));
	node_bind(&s->wf, n, "x", random_binding(s, i));
	return n;
}

static inline CoreNode *random_node(struct sketch *s, size_t i, int nesting);

static inline CoreNode *random_branch(struct sketch *s, size_t i, int nesting)
{
	struct world *w = s->w;
	CoreNode *n = node_of_branch(w->a, random_id(w, "b"));

	for (size_t k = 1 + below(w, 3); k > 0; k--)
		branch_case(w->a, n,
			    comparison(w->a, operand_var(w->a, "c"), (CoreComparisonExpressionOperator)below(w, 6),
				       operand_of(w->a, int_literal(w->a, (int64_t)below(w, 100)))),
			    random_node(s, i, nesting + 1));
	if (one_in(w, 6))
		branch_error(w->a, n, "no case");
	else if (!one_in(w, 9))
		branch_else(n, random_node(s, i, nesting + 1));
	node_bind(&s->wf, n, "c", random_binding(s, i));
	return n;
}

static inline CoreNode *random_node(struct sketch *s, size_t i, int nesting)
{
	struct world *w = s->w;
	size_t dice = w->n_nodes > MAX_NODES || s->depth + nesting >= 5 ? 9 : below(w, 13);
	CoreNode *n = dice == 0   ? random_inner(s, i)
		      : dice == 1 ? random_branch(s, i, nesting)
		      : dice == 2 ? random_gate(s, i)
		      : dice == 3 ? random_child(s, i)
		      : dice == 4 ? random_array(s, i)
				  : random_task(s, i);

	for (size_t k = below(w, 3); i > 0 && k > 0; k--)
		node_after(&s->wf, n, s->wf.template->nodes[below(w, i)]->id);
	if (one_in(w, 2))
		node_retries(&s->wf, n, (uint32_t)below(w, 4));
	if (one_in(w, 5))
		n->metadata->timeout = pb_duration(w->a, (int64_t)(1 + below(w, 20)) * USEC_PER_SEC);
	map_put(w->upstream, str_of(n->id), n);
	return n;
}

static inline void random_failure_node(struct sketch *s)
{
	struct world *w = s->w;
	bool inside = one_in(w, 2);
	CoreNode *n = node_of_task(w->a, random_id(w, "f"), s->tasks[inside ? 0 : 1]);

	node_bind(&s->wf, n, inside ? "i0" : "err", promise(w->a, "", "x"));
	map_put(w->upstream, str_of(n->id), n);
	s->wf.template->failure_node = n;
}

static inline void sketch_workflow(struct sketch *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		node_add(&s->wf, random_node(s, i, 0));
	if (one_in(s->w, 4))
		random_failure_node(s);
}

static inline void random_cache(struct world *w, CoreTaskTemplate *t)
{
	if (!one_in(w, 3))
		return;
	t->metadata->discoverable = true;
	t->metadata->discovery_version = "1";
	t->metadata->cache_serializable = one_in(w, 2);
}

static inline void random_tasks(struct world *world, struct wf *w, CoreTaskTemplate *ret[4])
{
	ret[0] = wf_task(w, "echo", 1, 1);
	ret[1] = wf_task(w, "python-task", 1, 1);
	ret[2] = wf_task(w, "python-task", 1, 1);
	ret[3] = wf_task(w, "core-sleep", 1, 0);
	for (size_t i = 0; i < 4; i++)
		random_cache(world, ret[i]);
}

/* What a task gives instead of outputs. Nested ones grow smaller. */
static inline CoreCompiledWorkflowClosure *random_dynamic(struct world *w)
{
	CoreTaskTemplate *tasks[4];
	struct sketch s = {w, wf_new(w->a), 2 + (int)w->dynamics++, tasks, true};
	size_t n = 1 + below(w, 5);

	random_tasks(w, &s.wf, tasks);
	sketch_workflow(&s, n);
	s.wf.template->failure_node = NULL;
	wf_output(&s.wf, "o0", random_binding(&s, n));
	return s.wf.closure;
}

static inline void random_workflow(struct world *w)
{
	size_t n = one_in(w, 40) ? 1 + below(w, MAX_NODES) : 1 + below(w, 12);

	w->w = wf_new(w->a);
	w->fail_after = one_in(w, 3);
	if (w->fail_after)
		w->w.template->metadata->on_failure =
			CORE_WORKFLOW_METADATA_ON_FAILURE_POLICY_FAIL_AFTER_EXECUTABLE_NODES_COMPLETE;
	CoreTaskTemplate *tasks[4];
	random_tasks(w, &w->w, tasks);
	struct sketch s = {w, w->w, 0, tasks, false};
	sketch_workflow(&s, n);
	for (size_t i = below(w, 3); i > 0; i--)
		wf_output(&w->w, arena_printf(w->a, "y%zu", i), random_binding(&s, n));
	w->accept = accepted(&w->w, EXECUTION);
	AlulaStartExecution *start = w->accept->accepted->command->start;
	start->inputs = add_literal(w->a, NULL, "x", int_literal(w->a, 3));
	start->closure_digest = "d";
	w->accept->accepted->caching = !one_in(w, 3);
	start->overwrite_cache = one_in(w, 6);
	w->max_parallelism = one_in(w, 2) ? (int)(1 + below(w, 5)) : 0;
	start->max_parallelism = w->max_parallelism;
	if (one_in(w, 8))
		start->timeout_us = (int64_t)(1 + below(w, 100)) * USEC_PER_SEC;
}

/* ---- mail ---- */

static inline void post(struct world *w, int64_t at_us, AlulaInput *in, bool survives)
{
	vec_push(&w->mails, (struct mail){at_us, in, survives});
	if (one_in(w, 8))
		vec_push(&w->mails, (struct mail){at_us + (int64_t)below(w, 5 * USEC_PER_SEC), in, survives});
}

static inline AlulaInput *random_end(struct world *w, uint32_t node, uint32_t attempt)
{
	const char *uri = arena_printf(w->a, "/o/%u/%u", node, attempt);

	switch (below(w, 13)) {
	case 12:
		if (w->dynamics < 4)
			return finished_dynamic(w->a, EXECUTION, 0, node, attempt,
						one_in(w, 9) ? NULL : random_dynamic(w));
		/* fall through */
	case 0: return failed(w->a, EXECUTION, 0, node, attempt, true, false);
	case 1: return failed(w->a, EXECUTION, 0, node, attempt, true, true);
	case 2:
		if (one_in(w, 4))
			return failed(w->a, EXECUTION, 0, node, attempt, false, false);
		/* fall through */
	case 3: return finished_with(w->a, EXECUTION, 0, node, attempt, NULL, uri);
	default:
		return finished_with(w->a, EXECUTION, 0, node, attempt,
				     add_literal(w->a, NULL, "o0", int_literal(w->a, (int64_t)below(w, 1000))), uri);
	}
}

static inline void set_cached(struct world *w, uint32_t node, enum cached to)
{
	map_put(w->cache, str_of(arena_printf(w->scratch, "%u", node)), (void *)(uintptr_t)to);
}

static inline enum cached cached_of(struct world *w, uint32_t node)
{
	return (enum cached)(uintptr_t)map_get(w->cache, str_of(arena_printf(w->scratch, "%u", node)));
}

static inline const char *attempt_key(struct world *w, uint32_t node, uint32_t attempt)
{
	return arena_printf(w->scratch, "%u/%u", node, attempt);
}

/* What is known of it is what was told. */
static inline void check_resource(struct world *w, const struct action *action, const struct attempt_resource *r)
{
	if (r)
		check(w, str_is(r->meta, arena_printf(w->scratch, "m%u.%u", action->node, action->attempt)));
}

/* No attempt starts twice, but a restarted propeller may ask for one that runs. */
static inline void start_attempt(struct world *w, const struct action *action, bool restarted)
{
	struct str key = str_of(attempt_key(w, action->node, action->attempt));
	int64_t end_us = w->now_us + (int64_t)below(w, 15 * USEC_PER_SEC);

	check(w, action->start->n_inputs == 1 && (restarted || cached_of(w, action->node) != ASKED));
	check(w, restarted || !action->start->resource);
	check_resource(w, action, action->start->resource);
	if (map_get(w->attempts, key)) {
		check(w, restarted && (uintptr_t)map_get(w->attempts, key) == RUNS);
		return;
	}
	if (action->attempt > 0) {
		const char *last = attempt_key(w, action->node, action->attempt - 1);
		check(w, map_get(w->attempts, str_of(last)) || restarted);
	}
	map_put(w->attempts, key, (void *)(uintptr_t)RUNS);
	w->starts++;
	if (one_in(w, 3))
		post(w, w->now_us + (int64_t)below(w, 8 * USEC_PER_SEC),
		     resource_made(w->a, EXECUTION, 0, action->node, action->attempt), one_in(w, 2));
	else if (!one_in(w, 6))
		post(w, w->now_us + (int64_t)below(w, 8 * USEC_PER_SEC),
		     started(w->a, EXECUTION, 0, action->node, action->attempt), true);
	AlulaInput *end = random_end(w, action->node, action->attempt);
	if (one_in(w, 2))
		end->attempt_finished->started_at_us = w->now_us + 1;
	post(w, end_us, end, true);
}

static inline void store_outputs(struct world *w, const struct action *action)
{
	AlulaInput *in = input_new(w->a, EXECUTION, 0);

	in->input_case = ALULA_INPUT_INPUT_OUTPUTS_STORED;
	in->outputs_stored = pb_new(w->a, ALULA_OUTPUTS_STORED_DESC);
	in->outputs_stored->node = action->node;
	if (one_in(w, 10)) {
		in->outputs_stored->result_case = ALULA_OUTPUTS_STORED_RESULT_ERROR;
		in->outputs_stored->error = pb_new(w->a, CORE_EXECUTION_ERROR_DESC);
	} else {
		in->outputs_stored->result_case = ALULA_OUTPUTS_STORED_RESULT_OUTPUTS;
		in->outputs_stored->outputs = pb_new(w->a, ALULA_ATTEMPT_OUTPUTS_DESC);
		in->outputs_stored->outputs->uri = arena_strdup(w->a, action->uri);
	}
	post(w, w->now_us + (int64_t)below(w, USEC_PER_SEC), in, false);
}

static inline void set_signal(struct world *w, const char *id)
{
	bool yes = str_starts(str_of(id), "yes") && !one_in(w, 20);
	CoreLiteral *value = yes ? bool_literal(w->a, !one_in(w, 8)) : int_literal(w->a, (int64_t)below(w, 100));

	post(w, w->now_us + (int64_t)below(w, 15 * USEC_PER_SEC), signal_set(w->a, EXECUTION, 0, id, value), true);
}

static inline void launch(struct world *w, const struct action *action, bool restarted)
{
	static const CoreWorkflowExecutionPhase ENDS[] = {
		CORE_WORKFLOW_EXECUTION_PHASE_SUCCEEDED, CORE_WORKFLOW_EXECUTION_PHASE_SUCCEEDED,
		CORE_WORKFLOW_EXECUTION_PHASE_SUCCEEDED, CORE_WORKFLOW_EXECUTION_PHASE_SUCCEEDED,
		CORE_WORKFLOW_EXECUTION_PHASE_SUCCEEDED, CORE_WORKFLOW_EXECUTION_PHASE_FAILED,
		CORE_WORKFLOW_EXECUTION_PHASE_ABORTED,
	};
	const char *name = action->child->id.name;
	AlulaInput *in = child_started(w->a, EXECUTION, 0, action->node, action->attempt);

	check(w, strlen(name) <= 20 && action->child->n_inputs == 1);
	check(w, !map_get(w->children, str_of(name)) || restarted);
	uintptr_t before = (uintptr_t)map_get(w->children, str_of(name));
	bool known = before != UNKNOWN_YET;
	if (before == REFUSED || (!known && one_in(w, 12)))
		in->child_started->error = pb_new(w->a, CORE_EXECUTION_ERROR_DESC);
	map_put(w->children, str_of(name), (void *)(uintptr_t)(in->child_started->error ? REFUSED : RUNS));
	post(w, w->now_us + (int64_t)below(w, USEC_PER_SEC), in, true);
	if (known || in->child_started->error)
		return;
	in = child_finished(w->a, EXECUTION, 0, name, ENDS[below(w, ARRAY_SIZE(ENDS))]);
	if (one_in(w, 3))
		child_outputs_uri(in, "/o/child");
	else if (!one_in(w, 6))
		child_outputs(in, add_literal(w->a, NULL, "o0", int_literal(w->a, 5)));
	post(w, w->now_us + (int64_t)below(w, 20 * USEC_PER_SEC), in, true);
}

static inline AlulaInput *read_values(struct world *w, const struct action *action)
{
	if (action->how == READ_EXTENTS)
		return key_read(w->a, 0, action, "o0");
	if (action->how == READ_LONG_AS_EXTENTS && one_in(w, 2))
		return lengths_read(w->a, 0, action, (uint32_t)below(w, 5));
	return values_read(w->a, 0, action, (int64_t)below(w, 100));
}

static inline AlulaInput *random_answer(struct world *w, const struct action *action)
{
	uint32_t node = action->node, attempt = action->attempt;
	bool reserved = action->cache->serialize && !one_in(w, 9);

	switch (below(w, 6)) {
	case 0: return cache_hit(w->a, EXECUTION, node, attempt, NULL, arena_printf(w->a, "/c/%u/outputs.pb", node));
	case 1:
	case 2:
		return cache_hit(w->a, EXECUTION, node, attempt,
				 add_literal(w->a, NULL, "o0", int_literal(w->a, (int64_t)below(w, 1000))), "");
	default: return cache_missed(w->a, EXECUTION, node, attempt, reserved, one_in(w, 4) ? "down" : "");
	}
}

static inline void look_up(struct world *w, const struct action *action, bool restarted)
{
	AlulaInput *in = random_answer(w, action);
	int64_t at_us = w->now_us + (int64_t)below(w, 3 * USEC_PER_SEC);

	check(w, restarted || cached_of(w, action->node) == NOT_CACHED);
	check(w, action->cache->n_inputs == 1 && !w->accept->accepted->command->start->overwrite_cache);
	check(w, w->accept->accepted->caching);
	set_cached(w, action->node, ASKED);
	if (action->cache->serialize && one_in(w, 2))
		post(w, w->now_us, cache_waiting(w->a, EXECUTION, action->node, action->attempt), false);
	post(w, at_us, in, false);
}

static inline void put(struct world *w, const struct action *action, bool restarted)
{
	CoreCatalogCacheStatus status =
		one_in(w, 4) ? CORE_CATALOG_CACHE_STATUS_CACHE_PUT_FAILURE : CORE_CATALOG_CACHE_STATUS_CACHE_POPULATED;

	check(w, action->cache->n_inputs == 1 && action->cache->n_outputs == 1);
	check(w, action->cache->overwrite || restarted || cached_of(w, action->node) >= RESERVED);
	post(w, w->now_us + (int64_t)below(w, 2 * USEC_PER_SEC),
	     cache_put(w->a, EXECUTION, action->node, action->attempt, status), false);
}

/* The engine has taken the answer. */
static inline void note_miss(struct world *w, const AlulaInput *in)
{
	const AlulaCacheAnswered *c = in->input_case == ALULA_INPUT_INPUT_CACHE_ANSWERED ? in->cache_answered : NULL;

	if (c && c->answer_case == ALULA_CACHE_ANSWERED_ANSWER_MISS)
		set_cached(w, c->node, c->miss->reserved ? RESERVED : DONE_WITH);
}

static inline void act(struct world *w, const struct action *action, bool restarted)
{
	switch (action->kind) {
	case ACTION_START_ATTEMPT: start_attempt(w, action, restarted); break;
	case ACTION_WATCH_ATTEMPT:
		post(w, w->now_us + (int64_t)below(w, 4 * USEC_PER_SEC),
		     updated(w->a, EXECUTION, 0, action->node, action->attempt, CORE_TASK_EXECUTION_PHASE_RUNNING),
		     one_in(w, 2));
		break;
	case ACTION_ABORT_ATTEMPT:
		check_resource(w, action, action->resource);
		map_put(w->attempts, str_of(attempt_key(w, action->node, action->attempt)), (void *)(uintptr_t)STOPPED);
		break;
	case ACTION_SET_TIMER:
		post(w, action->at_us - (one_in(w, 20) ? USEC_PER_SEC : 0),
		     timer_fired(w->a, EXECUTION, 0, action->timer, action->node, action->attempt), false);
		break;
	case ACTION_STORE_OUTPUTS: store_outputs(w, action); break;
	case ACTION_STORE_INPUTS: break;
	case ACTION_READ_VALUES:
		post(w, w->now_us + (int64_t)below(w, USEC_PER_SEC), read_values(w, action), false);
		break;
	case ACTION_LAUNCH: launch(w, action, restarted); break;
	case ACTION_ABORT_CHILD:
		map_put(w->children, str_of(action->child->id.name), (void *)(uintptr_t)STOPPED);
		break;
	case ACTION_COMPILE_FUTURES:
		post(w, w->now_us + (int64_t)below(w, USEC_PER_SEC),
		     finished_dynamic(w->a, EXECUTION, 0, action->node, action->attempt,
				      one_in(w, 5) ? NULL : random_dynamic(w)),
		     false);
		break;
	case ACTION_CACHE_LOOKUP: look_up(w, action, restarted); break;
	case ACTION_CACHE_PUT: put(w, action, restarted); break;
	case ACTION_CACHE_HOLD: check(w, restarted && action->cache->serialize); break;
	case ACTION_CACHE_RELEASE:
		check(w, cached_of(w, action->node) == ASKED || cached_of(w, action->node) == RESERVED);
		set_cached(w, action->node, DONE_WITH);
		break;
	case ACTION_CONTINUE:
		check(w, !w->going_on || restarted); /* one at a time */
		w->going_on = true;
		post(w, w->now_us, go_on(w->a, EXECUTION, 0), false);
		break;
	case ACTION_DONE: w->done = true; break;
	}
}

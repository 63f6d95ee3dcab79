/* A fake world around the engine: runs attempts, fires timers, loses, doubles and reorders what it tells; keeps a
 * journal and a second engine that follows it by replay. All chance comes from one seed. */
#pragma once
#include "engine_fixture.h"

enum { EXECUTION = 7, MAX_NODES = 300 };

struct mail {
	int64_t at_us;
	AlulaInput *in;
	bool survives; /* a crash of ours: it comes from a process that goes on */
};

/* What an attempt in the world is doing. */
enum doing { UNKNOWN_YET, RUNS, STOPPED };

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
	struct map *phases;   /* "node" or "node attempt" -> phase + 1 */
	struct map *upstream; /* node id -> CoreNode */
	int workflow_phase, max_parallelism, record_events;
	size_t running, starts, steps;
	bool done, fail_after, going_on;
};

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

static inline CoreBindingData *random_binding(struct world *w, size_t i)
{
	struct arena *a = w->a;

	if (i > 0 && !one_in(w, 4)) {
		const CoreNode *from = w->w.template->nodes[below(w, i)];
		if (!str_starts(str_of(from->id), "s"))
			return promise(a, from->id, "o0");
	}
	if (one_in(w, 3))
		return promise(a, one_in(w, 2) ? "" : "start-node", "x");
	return constant(a, int_literal(a, (int64_t)below(w, 100)));
}

static inline void random_node(struct world *w, size_t i, CoreTaskTemplate *const tasks[4])
{
	static const char *const PREFIX[] = {"e", "p", "q", "s"};
	size_t kind = below(w, 4);
	CoreNode *n = wf_node_new(
		&w->w, arena_printf(w->a, "%s%zu%s", PREFIX[kind], i, one_in(w, 9) ? "-with-quite-a-long-name" : ""),
		tasks[kind]);

	if (kind == 3)
		node_bind(&w->w, n, "i0", constant(w->a, duration_literal(w->a, (int64_t)below(w, 3) * USEC_PER_SEC)));
	else if (kind != 2)
		node_bind(&w->w, n, "i0", random_binding(w, i));
	else
		node_bind(&w->w, n, "i0", list_of(w->a, random_binding(w, i), random_binding(w, i)));
	for (size_t k = below(w, 3); i > 0 && k > 0; k--)
		node_after(&w->w, n, w->w.template->nodes[below(w, i)]->id);
	if (one_in(w, 2))
		node_retries(&w->w, n, (uint32_t)below(w, 4));
	if (one_in(w, 5))
		n->metadata->timeout = pb_duration(w->a, (int64_t)(1 + below(w, 20)) * USEC_PER_SEC);
	map_put(w->upstream, str_of(n->id), n);
}

static inline void random_workflow(struct world *w)
{
	size_t n = one_in(w, 40) ? 1 + below(w, MAX_NODES) : 1 + below(w, 12);

	w->w = wf_new(w->a);
	w->fail_after = one_in(w, 3);
	if (w->fail_after)
		w->w.template->metadata->on_failure =
			CORE_WORKFLOW_METADATA_ON_FAILURE_POLICY_FAIL_AFTER_EXECUTABLE_NODES_COMPLETE;
	CoreTaskTemplate *tasks[] = {wf_task(&w->w, "echo", 1, 1), wf_task(&w->w, "python-task", 1, 1),
				     wf_task(&w->w, "python-task", 1, 1), wf_task(&w->w, "core-sleep", 1, 0)};
	for (size_t i = 0; i < n; i++)
		random_node(w, i, tasks);
	for (size_t i = below(w, 3); i > 0; i--)
		wf_output(&w->w, arena_printf(w->a, "y%zu", i), random_binding(w, n));
	w->accept = accepted(&w->w, EXECUTION);
	AlulaStartExecution *start = w->accept->accepted->command->start;
	start->inputs = add_literal(w->a, NULL, "x", int_literal(w->a, 3));
	start->closure_digest = "d";
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

	switch (below(w, 12)) {
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

static inline const char *attempt_key(struct world *w, uint32_t node, uint32_t attempt)
{
	return arena_printf(w->scratch, "%u/%u", node, attempt);
}

/* No attempt starts twice, but a restarted propeller may ask for one that runs. */
static inline void start_attempt(struct world *w, const struct action *action, bool restarted)
{
	struct str key = str_of(attempt_key(w, action->node, action->attempt));
	int64_t end_us = w->now_us + (int64_t)below(w, 15 * USEC_PER_SEC);

	check(w, action->start->n_inputs == 1);
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
	if (!one_in(w, 6))
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

static inline void act(struct world *w, const struct action *action, bool restarted)
{
	switch (action->kind) {
	case ACTION_START_ATTEMPT: start_attempt(w, action, restarted); break;
	case ACTION_ABORT_ATTEMPT:
		map_put(w->attempts, str_of(attempt_key(w, action->node, action->attempt)), (void *)(uintptr_t)STOPPED);
		break;
	case ACTION_SET_TIMER:
		post(w, action->at_us - (one_in(w, 20) ? USEC_PER_SEC : 0),
		     timer_fired(w->a, EXECUTION, 0, action->timer, action->node, action->attempt), false);
		break;
	case ACTION_STORE_OUTPUTS: store_outputs(w, action); break;
	case ACTION_STORE_INPUTS: break;
	case ACTION_CONTINUE:
		check(w, !w->going_on || restarted); /* one at a time */
		w->going_on = true;
		post(w, w->now_us, go_on(w->a, EXECUTION, 0), false);
		break;
	case ACTION_DONE: w->done = true; break;
	}
}

/* Attempts: who runs them, here or by a connector elsewhere, and what is told of them. */
#include "sim.h"

enum { SYSTEM_RETRIES = 3 };

static struct attempt_state *attempt_at(struct sim *s, int64_t execution, uint32_t node, uint32_t attempt)
{
	return map_get(s->attempts,
		       str_of(arena_printf(s->scratch, "%lld/%u/%u", (long long)execution, node, attempt)));
}

static struct attempt_state *attempt_put(struct sim *s, struct exec *x, const struct action *action, enum doing doing)
{
	struct attempt_state *state = arena_new_of(s->a, struct attempt_state);

	state->doing = doing;
	state->exec = x;
	map_put(s->attempts, str_of(arena_printf(s->a, "%lld/%u/%u", (long long)x->id, action->node, action->attempt)),
		state);
	return state;
}

/* The attempt that an input is about. */
static struct attempt_state *attempt_of(struct sim *s, const AlulaInput *in)
{
	if (in->input_case == ALULA_INPUT_INPUT_ATTEMPT_FINISHED)
		return attempt_at(s, in->execution, in->attempt_finished->node, in->attempt_finished->attempt);
	if (in->input_case == ALULA_INPUT_INPUT_CACHE_PUT)
		return attempt_at(s, in->execution, in->cache_put->node, in->cache_put->attempt);
	if (in->input_case == ALULA_INPUT_INPUT_ATTEMPT_RESOURCE)
		return attempt_at(s, in->execution, in->attempt_resource->node, in->attempt_resource->attempt);
	return NULL;
}

/* ---- how it ends ---- */

static AlulaInput *end_with_outputs(struct sim *s, const struct action *action, const char *giver)
{
	const struct attempt *a = action->start;
	const char *uri = arena_printf(s->a, "%s/outputs.pb", a->output_prefix);
	CoreLiteralMap *in = store_resolve(s, a->inputs, a->n_inputs);
	auto_buf struct buf text = {0};

	for (size_t i = 0; i < in->n_literals; i++) {
		buf_addc(&text, ' ');
		literal_text(&text, in->literals[i]->value);
	}
	CoreLiteralMap *out = add_literal(s->a, NULL, "o0", int_literal(s->a, given_for(s, giver, buf_text(&text))));
	store_put(s, uri, out);
	return finished_with(s->a, action->execution, 0, action->node, action->attempt, one_in(s, 2) ? out : NULL, uri);
}

static AlulaInput *end_of(struct sim *s, const struct action *action, const struct place *place)
{
	int64_t x = action->execution;
	uint32_t node = action->node, attempt = action->attempt;
	const struct plan_node *n = place->node;

	switch (fate_of(s, n, place->dir, attempt)) {
	case FATE_HANG: return NULL;
	case FATE_USER_ERROR: return failed(s->a, x, 0, node, attempt, true, false);
	case FATE_FINAL_ERROR: return failed(s->a, x, 0, node, attempt, false, false);
	case FATE_SYSTEM_ERROR: return failed(s->a, x, 0, node, attempt, true, true);
	case FATE_BAD_DYNAMIC: return finished_dynamic(s->a, x, 0, node, attempt, NULL);
	default: break;
	}
	if (n->kind != PLAN_DYNAMIC)
		return end_with_outputs(s, action, giver_of(s, n, place->dir));
	return finished_dynamic(s->a, x, 0, node, attempt,
				closure_of_plan(s, plan_of_dynamic(s, place->dir, n->depth + 1)));
}

static void tell_end(struct sim *s, const struct attempt_state *state)
{
	if (!state->end)
		return;
	AlulaInput *end = pb_clone(state->end, s->a);
	if (one_in(s, 2))
		end->attempt_finished->started_at_us = s->now_us + 1;
	post(s, MAX(state->end_us, s->now_us), end, MAIL_PROCESS);
}

/* ---- budgets ---- */

/* What of the attempts before this one failed by the system; others failed by themselves, or took too long. */
static uint32_t system_failures(struct sim *s, int64_t execution, uint32_t node, uint32_t attempts)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < attempts; i++) {
		const struct attempt_state *state = attempt_at(s, execution, node, i);
		n += state && state->failed_by_system;
	}
	return n;
}

/* After so many attempts, may there be another one? */
static bool has_budget(struct sim *s, const struct plan_node *n, int64_t execution, uint32_t node, uint32_t attempts)
{
	const struct attempt_state *last = attempt_at(s, execution, node, attempts - 1);
	uint32_t system = system_failures(s, execution, node, attempts);

	return last && last->failed_by_system ? system <= SYSTEM_RETRIES : attempts - system <= n->retries;
}

void check_budget_spent(struct sim *s, const struct place *p)
{
	const struct attempt_state *state = attempt_of(s, s->now);
	const AlulaAttemptFinished *in = s->now->attempt_finished;

	if (!state || state->place != p || s->now->input_case != ALULA_INPUT_INPUT_ATTEMPT_FINISHED)
		return;
	seen->exhausted[state->failed_by_system]++;
	check(s, !has_budget(s, p->node, s->now->execution, in->node, in->attempt + 1));
}

/* An attempt never begins before the one before it is over, nor without a reason, nor too often. */
static void check_earlier_attempt(struct sim *s, const struct action *action, const struct place *place)
{
	struct attempt_state *last = attempt_at(s, action->execution, action->node, action->attempt - 1);

	check(s, has_budget(s, place->node, action->execution, action->node, action->attempt));
	/* It had succeeded in an execution that this one recovers. */
	if (!last && action->attempt == 1 && is_half_done(exec_of(s, action->execution), place->dir))
		return;
	check(s, last && last->doing != RUNS);
	if (place->node->kind == PLAN_TASK && !s->racing && !s->harsh)
		check(s, fate_of(s, place->node, place->dir, action->attempt - 1) != FATE_SUCCESS);
}

/* ---- connectors ---- */

static void make_resource(struct sim *s, const struct action *action, struct attempt_state *state)
{
	AlulaInput *in = resource_made(s->a, action->execution, 0, action->node, action->attempt);
	char *meta = arena_printf(s->a, "made%zu", ++s->n_resources);

	check(s, !state->resource);
	seen->resources++;
	in->attempt_resource->meta = (ProtobufCBinaryData){strlen(meta), (uint8_t *)meta};
	post(s, later(s, 8), in, MAIL_PROCESS);
}

/* Phases only go on, even if what is told comes again. */
static void watch(struct sim *s, const struct action *action, struct attempt_state *state)
{
	static const CoreTaskExecutionPhase PHASES[] = {
		CORE_TASK_EXECUTION_PHASE_WAITING_FOR_RESOURCES, CORE_TASK_EXECUTION_PHASE_INITIALIZING,
		CORE_TASK_EXECUTION_PHASE_RUNNING, CORE_TASK_EXECUTION_PHASE_RUNNING};
	int64_t at_us = s->now_us;

	for (size_t i = state->watched ? 2 : 0; i < ARRAY_SIZE(PHASES); i++) {
		at_us = at_us + 1 + (int64_t)below(s, 4 * USEC_PER_SEC);
		AlulaInput *in = updated(s->a, action->execution, 0, action->node, action->attempt, PHASES[i]);
		if (one_in(s, 2))
			vec_push(&s->mails, (struct mail){at_us, in, MAIL_PROCESS});
	}
	state->watched = true;
	tell_end(s, state);
}

/* What is known of it is what was committed, and that always. */
static void check_resource(struct sim *s, const struct attempt_state *state, const struct attempt_resource *r)
{
	check(s, !r || (state && state->resource && str_is(r->meta, state->resource)));
}

void watch_attempt(struct sim *s, const struct action *action)
{
	struct attempt_state *state = attempt_at(s, action->execution, action->node, action->attempt);

	check(s, !s->restarting && state && state->resource && !state->watched && state->doing == RUNS);
	watch(s, action, state);
}

/* ---- start ---- */

static void tell_of_attempt(struct sim *s, const struct action *action, struct attempt_state *state, int64_t from_us)
{
	if (state->by_connector && state->resource) {
		watch(s, action, state);
	} else if (state->by_connector) {
		make_resource(s, action, state);
	} else {
		if (!state->end || !one_in(s, 6))
			post(s, from_us, started(s->a, action->execution, 0, action->node, action->attempt),
			     MAIL_PROCESS);
		tell_end(s, state);
	}
}

/* A restarted propeller may ask for one that runs. */
static void found_again(struct sim *s, const struct action *action, struct attempt_state *state)
{
	check(s, s->restarting && state->doing != STOPPED);
	check(s, !state->resource == !action->start->resource);
	seen->watched_again += state->resource != NULL;
	if (s->harsh && s->losses_left > 0 && state->doing == RUNS && one_in(s, 2)) {
		s->losses_left--;
		state->end = failed(s->a, action->execution, 0, action->node, action->attempt, true, true);
		state->end_us = s->now_us;
	}
	tell_of_attempt(s, action, state, s->now_us);
}

void start_attempt(struct sim *s, struct exec *x, const struct action *action)
{
	const struct attempt *a = action->start;
	const struct place *place = place_named(x, a->node_unique_id);
	struct attempt_state *state = attempt_at(s, x->id, action->node, action->attempt);

	check(s, place && place->node && (place->node->kind == PLAN_TASK || place->node->kind == PLAN_DYNAMIC));
	check(s, a->attempt == action->attempt);
	check_resource(s, state, a->resource);
	const char *prefix = arena_printf(s->a, "%s%s/%u", x->root, place->dir + strlen(x->dir), action->attempt);
	if (strcmp(prefix, a->output_prefix) != 0)
		sim_fail(s, "an attempt writes to %s instead of %s", a->output_prefix, prefix);
	if (a->shares_inputs)
		store_get(s, a->inputs_uri);
	check_cached_start(s, x, place, a);
	if (state) {
		found_again(s, action, state);
		return;
	}
	if (place->array && item_left(x, place->array->node, place->array->dir, place->item))
		sim_fail(s, "item %s was done before, but runs again", place->dir);
	if (action->attempt > 0)
		check_earlier_attempt(s, action, place);
	else
		check(s, strcmp(a->prev_checkpoint_prefix, place->array ? "" : checkpoint_left(x, place->dir)) == 0);
	state = attempt_put(s, x, action, RUNS);
	state->place = place;
	state->by_connector = place->node->kind == PLAN_TASK && is_by_connector(s, place->dir, action->attempt);
	state->end = end_of(s, action, place);
	/* What fails does so late: more is done then that can be recovered. */
	state->end_us = later(s, fate_of(s, place->node, place->dir, action->attempt) == FATE_SUCCESS ? 12 : 40);
	seen->starts++;
	tell_of_attempt(s, action, state, later(s, 8));
}

void abort_attempt(struct sim *s, struct exec *x, const struct action *action)
{
	struct attempt_state *state = attempt_at(s, x->id, action->node, action->attempt);

	check_resource(s, state, action->resource);
	if (!state) {
		attempt_put(s, x, action, STOPPED);
		return;
	}
	/* Or else it stays there for ever. */
	check(s, !state->resource || action->resource || state->doing == ENDED);
	if (state->doing == RUNS)
		state->doing = STOPPED;
}

/* ---- what becomes known ---- */

void attempt_ended(struct sim *s, const AlulaInput *in)
{
	struct attempt_state *state = attempt_of(s, in);

	if (state && in->input_case == ALULA_INPUT_INPUT_ATTEMPT_FINISHED && state->doing == RUNS)
		state->doing = ENDED;
}

void attempt_committed(struct sim *s, const AlulaInput *in)
{
	struct attempt_state *state = attempt_of(s, in);

	if (!state)
		return;
	if (in->input_case == ALULA_INPUT_INPUT_ATTEMPT_RESOURCE) {
		const ProtobufCBinaryData *meta = &in->attempt_resource->meta;
		check(s, !state->resource);
		state->resource = arena_strndup(s->a, (const char *)meta->data, meta->len);
	} else if (in->input_case == ALULA_INPUT_INPUT_ATTEMPT_FINISHED &&
		   in->attempt_finished->outcome_case == ALULA_ATTEMPT_FINISHED_OUTCOME_ERROR) {
		state->failed_by_system = in->attempt_finished->error->system;
	}
}

const char *attempt_plugin(struct sim *s, const AlulaInput *in)
{
	const struct attempt_state *state = attempt_of(s, in);

	return state && state->resource ? "connector-service" : "container";
}

void check_attempt_over(struct sim *s, const struct action *action)
{
	const struct attempt_state *state = attempt_at(s, action->execution, action->node, action->attempt);

	check(s, !state || state->doing == ENDED);
}

bool node_runs(struct sim *s, const struct exec *x, uint32_t node)
{
	for (uint32_t attempt = 0; attempt < 4 + 4; attempt++) {
		const struct attempt_state *state = attempt_at(s, x->id, node, attempt);
		if (state && state->doing == RUNS)
			return true;
	}
	return false;
}

void check_no_attempt_runs(struct sim *s, const struct exec *x)
{
	size_t it = 0;
	struct str key;
	void *value;

	while (map_next(s->attempts, &it, &key, &value)) {
		const struct attempt_state *state = value;
		if (state->exec == x && state->doing == RUNS)
			sim_fail(s, "attempt %.*s runs on when its execution is over", STR_ARG(key));
	}
}

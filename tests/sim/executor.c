/* Who does what the engine asks for: launches children, sets timers, reads and writes the store. */
#include "sim.h"

/* ---- children ---- */

static AlulaInput *end_of_child(struct sim *s, struct exec *x, const struct action *action, const struct place *place,
				CoreLiteral *input, enum child_fate fate)
{
	const char *name = action->child->id.name;
	CoreWorkflowExecutionPhase phase = fate == CHILD_FAILED    ? CORE_WORKFLOW_EXECUTION_PHASE_FAILED
					   : fate == CHILD_ABORTED ? CORE_WORKFLOW_EXECUTION_PHASE_ABORTED
								   : CORE_WORKFLOW_EXECUTION_PHASE_SUCCEEDED;
	AlulaInput *end = child_finished(s->a, x->id, 0, name, phase);
	auto_buf struct buf text = {0};

	if (fate != CHILD_SUCCESS)
		return end;
	buf_addc(&text, ' ');
	literal_text(&text, input);
	CoreLiteralMap *out =
		add_literal(s->a, NULL, "o0", int_literal(s->a, given_for(s, place->dir, buf_text(&text))));
	const char *uri = arena_printf(s->a, "/children/%s/outputs.pb", name);
	store_put(s, uri, out);
	if (one_in(s, 3))
		child_outputs_uri(end, uri);
	else
		child_outputs(end, out);
	return end;
}

static void child_answers(struct sim *s, const struct action *action, const struct child_state *state)
{
	AlulaInput *in = child_started(s->a, action->execution, 0, action->node, action->attempt);

	if (state->refused)
		in->child_started->error = failed(s->a, 0, 0, 0, 0, false, false)->attempt_finished->error->error;
	post(s, later(s, 1), in, MAIL_PROCESS);
}

static void launch_real(struct sim *s, struct exec *x, const struct action *action, const struct place *place,
			struct child_state *state, CoreLiteral *input)
{
	const char *dir = arena_printf(s->a, "%s/%u/child", place->dir, action->attempt);

	check(s, strcmp(action->child->launch_plan->name, place->node->plan->name) == 0);
	/* What recovers has what the earlier one had. */
	struct exec *old = action->child->recovers ? exec_named(s, action->child->recovers->name) : NULL;
	check(s, !old || (old->done && old->plan == place->node->plan));
	state->exec = exec_new(s, place->node->plan, dir, old ? old->input : val_of(s->a, input),
			       action->child->id.name, old);
	state->exec->parent = x;
	seen->children_recovered += old != NULL;
}

static void launch(struct sim *s, struct exec *x, const struct action *action)
{
	const struct child *c = action->child;
	const struct place *place = place_named(x, c->parent_node_id);
	struct child_state *state = map_get(s->children, str_of(c->id.name));
	CoreLiteralMap *in = store_resolve(s, c->inputs, c->n_inputs);

	check(s, strlen(c->id.name) <= 20 && in->n_literals == 1 && strcmp(in->literals[0]->key, "x") == 0);
	check(s, place && place->node && (place->node->kind == PLAN_LAUNCH || place->node->kind == PLAN_CHILD));
	const char *old = place->array || action->attempt ? NULL : child_left(x, place->dir);
	check(s, !old == !c->recovers && (!old || strcmp(old, c->recovers->name) == 0));
	if (state) {
		check(s, s->restarting && state->doing != STOPPED && state->parent == x);
		child_answers(s, action, state);
		return;
	}
	state = arena_new_of(s->a, struct child_state);
	state->doing = RUNS;
	state->parent = x;
	map_put(s->children, str_of(c->id.name), state);
	if (place->node->kind == PLAN_CHILD) {
		launch_real(s, x, action, place, state, in->literals[0]->value);
	} else {
		enum child_fate fate = child_fate_of(s, place->node, place->dir, action->attempt);
		state->refused = fate == CHILD_REFUSED;
		if (state->refused)
			state->doing = ENDED;
		else if (fate != CHILD_HANGS)
			post(s, later(s, 20), end_of_child(s, x, action, place, in->literals[0]->value, fate),
			     MAIL_COMMAND);
	}
	child_answers(s, action, state);
}

static void abort_child(struct sim *s, struct exec *x, const struct action *action)
{
	const char *name = action->child->id.name;
	struct child_state *state = map_get(s->children, str_of(name));

	if (!state) {
		state = arena_new_of(s->a, struct child_state);
		map_put(s->children, str_of(arena_strdup(s->a, name)), state);
		state->parent = x;
		state->doing = STOPPED;
	}
	if (state->doing == RUNS)
		state->doing = STOPPED;
	if (!state->exec || state->exec->done || state->exec->may_abort)
		return;
	state->exec->may_abort = true;
	post(s, later(s, 2), abort_input(s->a, state->exec->id, 0), MAIL_COMMAND);
}

void tell_parent(struct sim *s, struct exec *x, const EventWorkflowExecutionEvent *last)
{
	AlulaInput *in = child_finished(s->a, x->parent->id, 0, x->name, last->phase);

	if (last->output_result_case == EVENT_WORKFLOW_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA)
		child_outputs(in, pb_clone(last->output_data, s->a));
	else if (last->output_result_case == EVENT_WORKFLOW_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_URI)
		child_outputs_uri(in, arena_strdup(s->a, last->output_uri));
	post(s, later(s, 3), in, MAIL_COMMAND);
}

void child_ended(struct sim *s, const AlulaInput *in)
{
	if (in->input_case != ALULA_INPUT_INPUT_CHILD_FINISHED)
		return;
	struct child_state *child = map_get(s->children, str_of(in->child_finished->child->name));
	if (child && child->doing == RUNS)
		child->doing = ENDED;
}

static void check_no_child_runs(struct sim *s, const struct exec *x)
{
	size_t it = 0;
	struct str key;
	void *value;

	while (map_next(s->children, &it, &key, &value)) {
		const struct child_state *state = value;
		if (state->parent == x && state->doing == RUNS)
			sim_fail(s, "child %.*s runs on when its parent is over", STR_ARG(key));
	}
}

/* ---- the rest ---- */

static void store_outputs(struct sim *s, const struct action *action)
{
	AlulaInput *in = input_new(s->a, action->execution, 0);
	const char *uri = arena_strdup(s->a, action->uri);

	in->input_case = ALULA_INPUT_INPUT_OUTPUTS_STORED;
	in->outputs_stored = pb_new(s->a, ALULA_OUTPUTS_STORED_DESC);
	in->outputs_stored->node = action->node;
	if (s->bad_store && one_in(s, 4)) {
		in->outputs_stored->result_case = ALULA_OUTPUTS_STORED_RESULT_ERROR;
		in->outputs_stored->error = pb_new(s->a, CORE_EXECUTION_ERROR_DESC);
	} else {
		store_put(s, uri, store_resolve(s, action->values, action->n_values));
		in->outputs_stored->result_case = ALULA_OUTPUTS_STORED_RESULT_OUTPUTS;
		in->outputs_stored->outputs = pb_new(s->a, ALULA_ATTEMPT_OUTPUTS_DESC);
		in->outputs_stored->outputs->uri = (char *)uri;
	}
	post(s, later(s, 1), in, MAIL_INTERNAL);
}

static void read_values(struct sim *s, const struct action *action)
{
	AlulaInput *in = input_new(s->a, action->execution, 0);

	in->input_case = ALULA_INPUT_INPUT_VALUES_READ;
	in->values_read = pb_new(s->a, ALULA_VALUES_READ_DESC);
	in->values_read->node = action->node;
	in->values_read->attempt = action->attempt;
	if (s->bad_store && one_in(s, 4)) {
		in->values_read->result_case = ALULA_VALUES_READ_RESULT_ERROR;
		in->values_read->error = pb_new(s->a, CORE_EXECUTION_ERROR_DESC);
	} else {
		in->values_read->result_case = ALULA_VALUES_READ_RESULT_LITERALS;
		store_read(s, action, in->values_read);
	}
	post(s, later(s, 1), in, MAIL_INTERNAL);
}

static CoreLiteral *signal_literal(struct sim *s, const char *id)
{
	int64_t value = signal_value(s, id);

	return is_yes(id) && value < 2 ? bool_literal(s->a, value) : int_literal(s->a, value);
}

void await_signal(struct sim *s, const struct exec *x, const char *signal)
{
	const char *id = arena_strdup(s->a, signal);
	const char *key = arena_printf(s->a, "%s/%s", x->name, id);
	CoreLiteral *other = is_yes(id) ? bool_literal(s->a, one_in(s, 2)) : int_literal(s->a, 7);

	if (!signal_comes(s, id) || map_put(s->signals, str_of(key), s))
		return;
	post(s, later(s, 15), signal_set(s->a, x->id, 0, id, signal_literal(s, id)), MAIL_COMMAND);
	if (s->fickle)
		post(s, later(s, 15), signal_set(s->a, x->id, 0, id, other), MAIL_COMMAND);
}

static void go_on_later(struct sim *s, struct exec *x)
{
	check(s, !x->going_on || s->restarting || s->batch > 1); /* one at a time, unless a stray one comes between */
	x->going_on = true;
	post(s, s->now_us, go_on(s->a, x->id, 0), MAIL_INTERNAL);
}

static void done(struct sim *s, struct exec *x)
{
	if (!x->done)
		check_end(s, x);
	check_no_attempt_runs(s, x);
	check_no_child_runs(s, x);
	check_nothing_reserved(s, x);
	if (!x->done)
		recover_perhaps(s, x);
	x->done = true;
	engine_forget(s->engine, x->id);
	recover_what_is_over(s);
}

void act(struct sim *s, const struct action *action)
{
	struct exec *x = exec_of(s, action->execution);

	switch (action->kind) {
	case ACTION_START_ATTEMPT: start_attempt(s, x, action); break;
	case ACTION_ABORT_ATTEMPT: abort_attempt(s, x, action); break;
	case ACTION_WATCH_ATTEMPT: watch_attempt(s, action); break;
	case ACTION_SET_TIMER:
		post(s, action->at_us - (one_in(s, 20) ? USEC_PER_SEC : 0),
		     timer_fired(s->a, x->id, 0, action->timer, action->node, action->attempt), MAIL_INTERNAL);
		break;
	case ACTION_STORE_OUTPUTS: store_outputs(s, action); break;
	case ACTION_STORE_INPUTS: store_resolve(s, action->values, action->n_values); break;
	case ACTION_READ_VALUES: read_values(s, action); break;
	case ACTION_LAUNCH: launch(s, x, action); break;
	case ACTION_ABORT_CHILD: abort_child(s, x, action); break;
	case ACTION_COMPILE_FUTURES: compile_futures(s, x, action); break;
	case ACTION_CACHE_LOOKUP:
	case ACTION_CACHE_PUT:
	case ACTION_CACHE_HOLD:
	case ACTION_CACHE_RELEASE: catalog_act(s, x, action); break;
	case ACTION_CONTINUE: go_on_later(s, x); break;
	case ACTION_DONE: done(s, x); break;
	default: sim_fail(s, "an action that the simulator does not know: %d", action->kind);
	}
}

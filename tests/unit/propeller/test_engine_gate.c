/* Gate nodes. */
#include "engine_rig.h"

static CoreNode *approval(struct rig *r)
{
	CoreNode *n = node_add(&r->w, node_of_approval(r->a, "n0", "ok"));

	node_bind(&r->w, n, "o0", constant(r->a, int_literal(r->a, 7)));
	wf_output(&r->w, "y", promise(r->a, "n0", "o0"));
	return n;
}

static int64_t output_of(const struct rig *r)
{
	const EventWorkflowExecutionEvent *w = r->step.record->events[r->step.record->n_events - 1]->workflow;

	assert_int_equal(w->phase, CORE_WORKFLOW_EXECUTION_PHASE_SUCCEEDED);
	return w->output_data->literals[0]->value->scalar->primitive->integer;
}

/* What the last step told of that signal. */
static const AlulaSignalAwaited *awaited(const struct rig *r, const char *id)
{
	for (size_t i = 0; i < r->step.record->n_events; i++) {
		const AlulaExecutionEvent *e = r->step.record->events[i];
		if (e->event_case == ALULA_EXECUTION_EVENT_EVENT_SIGNAL && strcmp(e->signal->signal_id, id) == 0)
			return e->signal;
	}
	fail_msg("nobody waits for %s", id);
	return NULL;
}

#define END "N end-node QUEUED\nN end-node SUCCEEDED\nW SUCCEEDING\nW SUCCEEDED"

static void test_sleep(void **state)
{
	struct rig *r = *state;

	node_add(&r->w, node_of_sleep(r->a, "n0", 5 * USEC_PER_SEC));
	node_add(&r->w, node_of_sleep(r->a, "n1", 0));
	assert_events(r, accepted(&r->w, 1),
		      "W RUNNING\nN start-node SUCCEEDED\nN n0 QUEUED\nN n0 RUNNING\nN n1 QUEUED\nN n1 RUNNING\n"
		      "N n1 SUCCEEDED");
	const struct action *timer = find_action(&r->step, ACTION_SET_TIMER, N0);
	assert_int_equal(timer->at_us, T0 + 5 * USEC_PER_SEC);
	engine_pending(r->e, 1, &r->step);
	assert_int_equal(find_action(&r->step, ACTION_SET_TIMER, N0)->at_us, T0 + 5 * USEC_PER_SEC);
	AlulaInput *in = timer_fired(r->a, 1, T0 + 5 * USEC_PER_SEC, 4, N0, 0);
	assert_events(r, in, "N n0 SUCCEEDED\n" END);
	assert_events(r, in, "");
}

static void test_approval(void **state)
{
	struct rig *r = *state;

	approval(r);
	assert_events(r, accepted(&r->w, 1), "W RUNNING\nN start-node SUCCEEDED\nN n0 QUEUED\nN n0 RUNNING\nS ok");
	const AlulaSignalAwaited *ask = awaited(r, "ok");
	assert_int_equal(ask->type->simple, CORE_SIMPLE_TYPE_BOOLEAN);
	assert_events(r, signal_set(r->a, 1, T0, "other", bool_literal(r->a, true)), "");
	assert_non_null(r->step.record); /* kept for gates to come */
	AlulaInput *yes = signal_set(r->a, 1, T0, "ok", bool_literal(r->a, true));
	assert_events(r, yes, "N n0 SUCCEEDED\n" END);
	assert_int_equal(output_of(r), 7);
	assert_events(r, yes, "");
}

static void test_rejection(void **state)
{
	struct rig *r = *state;

	approval(r);
	feed(r, accepted(&r->w, 1));
	assert_true(str_starts(str_of(feed(r, signal_set(r->a, 1, T0, "ok", bool_literal(r->a, false)))),
			       "N n0 FAILED {USER ReceivedRejectSignal: received a reject signal to disapprove the "
			       "node input values}\nW FAILING"));
	engine_forget(r->e, 1);
	feed(r, accepted(&r->w, 1));
	assert_true(str_starts(str_of(feed(r, signal_set(r->a, 1, T0, "ok", int_literal(r->a, 1)))),
			       "N n0 FAILED {UNKNOWN RuntimeExecutionError: received a non-boolean approve signal"));
}

/* One signal may open several gates, and one that comes later. */
static void test_signal(void **state)
{
	struct rig *r = *state;

	node_add(&r->w, node_of_signal(r->a, "n0", "s"));
	node_add(&r->w, node_of_signal(r->a, "n1", "s"));
	node_after(&r->w, node_add(&r->w, node_of_signal(r->a, "n2", "s")), "n1");
	wf_output(&r->w, "y", promise(r->a, "n2", "o0"));
	feed(r, accepted(&r->w, 1));
	assert_non_null(awaited(r, "s")->type);
	assert_events(r, signal_set(r->a, 1, T0, "s", int_literal(r->a, 5)),
		      "N n0 SUCCEEDED\nN n1 SUCCEEDED\nN n2 QUEUED\nN n2 RUNNING\nN n2 SUCCEEDED\n" END);
	assert_int_equal(output_of(r), 5);
}

static void test_early_signal(void **state)
{
	struct rig *r = *state;

	python_node(r, "n0", 0, 0);
	node_after(&r->w, node_add(&r->w, node_of_signal(r->a, "n1", "s")), "n0");
	wf_output(&r->w, "y", promise(r->a, "n1", "o0"));
	feed(r, accepted(&r->w, 1));
	feed(r, signal_set(r->a, 1, T0, "s", int_literal(r->a, 5)));
	feed(r, signal_set(r->a, 1, T0, "s", int_literal(r->a, 5)));
	assert_null(r->step.record); /* no news */
	feed(r, signal_set(r->a, 1, T0, "s", int_literal(r->a, 6)));
	assert_non_null(strstr(feed(r, finished_with(r->a, 1, T0, N0, 0, NULL, "")), "W SUCCEEDED"));
	assert_int_equal(output_of(r), 6);
}

static AlulaInput *ordered(struct rig *r, int64_t order, int64_t value)
{
	AlulaInput *in = signal_set(r->a, 1, T0, "s", int_literal(r->a, value));

	in->signal_set->order = order;
	return in;
}

/* A command that got lost comes again after the one that was sent later. */
static void test_late_signal(void **state)
{
	struct rig *r = *state;

	python_node(r, "n0", 0, 0);
	node_after(&r->w, node_add(&r->w, node_of_signal(r->a, "n1", "s")), "n0");
	wf_output(&r->w, "y", promise(r->a, "n1", "o0"));
	feed(r, accepted(&r->w, 1));
	feed(r, ordered(r, 3, 6));
	feed(r, ordered(r, 5, 6));
	feed(r, ordered(r, 4, 5));
	assert_null(r->step.record); /* no news */
	assert_non_null(strstr(feed(r, finished_with(r->a, 1, T0, N0, 0, NULL, "")), "W SUCCEEDED"));
	assert_int_equal(output_of(r), 6);
}

static void test_timeout(void **state)
{
	struct rig *r = *state;
	CoreNode *n = approval(r);

	n->metadata->timeout = pb_duration(r->a, 300 * USEC_PER_SEC);
	feed(r, accepted(&r->w, 1));
	const struct action *timer = find_action(&r->step, ACTION_SET_TIMER, N0);
	assert_int_equal(timer->at_us, T0 + 300 * USEC_PER_SEC);
	assert_true(str_starts(str_of(feed(r, timer_fired(r->a, 1, timer->at_us, timer->timer, N0, 0))),
			       "N n0 FAILED {USER RetriesExhausted|TimeoutExpired: [1/1] currentAttempt done. Last "
			       "Error: USER::task execution timeout [5m0s] expired}"));
}

static void test_abort(void **state)
{
	struct rig *r = *state;

	approval(r);
	feed(r, accepted(&r->w, 1));
	assert_events(r, abort_input(r->a, 1, T0), "N n0 ABORTED {UNKNOWN NodeAborted: Workflow aborted.}\nW ABORTED");
	assert_events(r, signal_set(r->a, 1, T0, "ok", bool_literal(r->a, true)), "");
}

/* What lies in the store is handed on by being put together at the node's own place. */
static void test_stored_approval(void **state)
{
	struct rig *r = *state;
	CoreNode *n;

	python_node(r, "n0", 0, 1);
	n = node_add(&r->w, node_of_approval(r->a, "n1", "ok"));
	node_bind(&r->w, n, "o0", promise(r->a, "n0", "o0"));
	wf_output(&r->w, "y", promise(r->a, "n1", "o0"));
	feed(r, accepted(&r->w, 1));
	feed(r, finished_with(r->a, 1, T0, N0, 0, NULL, "/s/o"));
	assert_string_equal(find_action(&r->step, ACTION_STORE_INPUTS, N1)->uri,
			    "/m/p-development-x1/n1/data/inputs.pb");
	assert_events(r, signal_set(r->a, 1, T0, "ok", bool_literal(r->a, true)), "");
	const struct action *store = find_action(&r->step, ACTION_STORE_OUTPUTS, N1);
	assert_string_equal(store->uri, "/m/p-development-x1/n1/data/0/outputs.pb");
	assert_events(r, outputs_stored(r->a, 1, T0, N1, store->uri), "N n1 SUCCEEDED\nN end-node QUEUED");
	assert_string_equal(node_event(r, "n1")->output_uri, store->uri);
}

static void test_no_condition(void **state)
{
	struct rig *r = *state;

	node_add(&r->w, node_of_gate(r->a, "n0", CORE_GATE_NODE_CONDITION_NOT_SET));
	assert_non_null(strstr(feed(r, accepted(&r->w, 1)), "N n0 FAILED {SYSTEM BadSpecificationError: gateNode does "
							    "not have a supported condition reference}"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sleep),           TEST(test_approval),     TEST(test_rejection), TEST(test_signal),
		TEST(test_early_signal),    TEST(test_late_signal),  TEST(test_timeout),   TEST(test_abort),
		TEST(test_stored_approval), TEST(test_no_condition),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

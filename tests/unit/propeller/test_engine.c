/* The engine's transitions, one behaviour a test. */
#include "engine_rig.h"

static void test_echo(void **state)
{
	struct rig *r = *state;
	CoreTaskTemplate *t = wf_task(&r->w, "echo", 1, 1);

	node_bind(&r->w, wf_node_new(&r->w, "n0", t), "i0", promise(r->a, "", "x"));
	node_bind(&r->w, wf_node_new(&r->w, "n1", t), "i0", promise(r->a, "n0", "o0"));
	wf_output(&r->w, "y", promise(r->a, "n1", "o0"));
	AlulaInput *in = accepted_with(r, int_literal(r->a, 42));
	assert_events(r, in,
		      "W RUNNING\nN start-node SUCCEEDED\n"
		      "N n0 QUEUED\nT n0 0 SUCCEEDED\nN n0 SUCCEEDED\n"
		      "N n1 QUEUED\nT n1 0 SUCCEEDED\nN n1 SUCCEEDED\n"
		      "N end-node QUEUED\nN end-node SUCCEEDED\nW SUCCEEDING\nW SUCCEEDED");
	assert_int_equal(r->step.record->seq, 1);
	assert_true(r->step.record->last);
	assert_non_null(find_action(&r->step, ACTION_DONE, 0));
	const EventWorkflowExecutionEvent *w = r->step.record->events[11]->workflow;
	assert_int_equal(w->output_result_case, EVENT_WORKFLOW_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA);
	assert_string_equal(w->output_data->literals[0]->key, "y");
	assert_int_equal(w->output_data->literals[0]->value->scalar->primitive->integer, 42);
	const EventNodeExecutionEvent *n = r->step.record->events[2]->node;
	assert_string_equal(n->spec_node_id, "n0");
	assert_string_equal(n->node_name, "name of n0");
	assert_int_equal(n->event_version, 1);
	assert_int_equal(pb_timestamp_us(n->occurred_at), T0);
	assert_int_equal(n->input_data->literals[0]->value->scalar->primitive->integer, 42);
	assert_string_equal(n->target_entity->name, "echo-0");
	const EventTaskExecutionEvent *task = r->step.record->events[3]->task;
	assert_string_equal(task->metadata->generated_name, "x1-n0-0");
	assert_string_equal(task->metadata->plugin_identifier, "echo");
	assert_string_equal(task->task_type, "echo");
	assert_string_equal(task->output_data->literals[0]->key, "o0");
	/* Nothing can follow. */
	assert_events(r, in, "");
	assert_null(r->step.record);
	assert_events(r, abort_input(r->a, 1, T0), "");
}

static void test_attempt(void **state)
{
	struct rig *r = *state;
	CoreNode *n = python_node(r, "n0", 1, 1);

	node_bind(&r->w, n, "i0", constant(r->a, int_literal(r->a, 7)));
	wf_output(&r->w, "y", promise(r->a, "n0", "o0"));
	assert_events(r, accepted(&r->w, 1),
		      "W RUNNING\nN start-node SUCCEEDED\nN n0 QUEUED\nT n0 0 QUEUED\nN n0 RUNNING");
	const struct action *start = find_action(&r->step, ACTION_START_ATTEMPT, N0);
	assert_non_null(start);
	assert_string_equal(start->start->inputs_uri, "/m/p-development-x1/n0/data/inputs.pb");
	assert_string_equal(start->start->output_prefix, "/m/p-development-x1/n0/data/0");
	assert_string_equal(start->start->unique_name, "x1-n0-0");
	assert_string_equal(start->start->prev_checkpoint_prefix, "");
	assert_true(str_ends(str_of(start->start->checkpoint_prefix), "/x1-n0-0/_flytecheckpoints"));
	assert_int_equal(start->start->n_inputs, 1);
	assert_int_equal(start->start->inputs[0].kind, VALUE_LITERAL);
	assert_int_equal(start->start->inputs[0].literal->scalar->primitive->integer, 7);
	assert_string_equal(r->step.record->events[2]->node->input_uri, start->start->inputs_uri);

	assert_events(r, started(r->a, 1, T0 + 1, N0, 1), "");
	assert_events(r, started(r->a, 1, T0 + 1, N0, 0), "T n0 0 RUNNING");
	assert_int_equal(r->step.record->events[0]->task->n_logs, 1);
	assert_events(r, started(r->a, 1, T0 + 2, N0, 0), "");
	CoreLiteralMap *out = add_literal(r->a, NULL, "o0", int_literal(r->a, 8));
	AlulaInput *end = finished_with(r->a, 1, T0 + 3, N0, 0, out, "/m/p-development-x1/n0/data/0/outputs.pb");
	assert_events(r, end,
		      "T n0 0 SUCCEEDED\nN n0 SUCCEEDED\nN end-node QUEUED\nN end-node SUCCEEDED\nW SUCCEEDING\nW "
		      "SUCCEEDED");
	assert_string_equal(r->step.record->events[0]->task->logs[0]->uri, "/logs/1");
	assert_string_equal(r->step.record->events[1]->node->output_uri, "/m/p-development-x1/n0/data/0/outputs.pb");
	assert_int_equal(
		r->step.record->events[5]->workflow->output_data->literals[0]->value->scalar->primitive->integer, 8);
	assert_events(r, end, "");
}

/* Outputs too large to travel: refer to them; a list of such is put together outside. */
static void test_stored_values(void **state)
{
	struct rig *r = *state;
	CoreNode *n1;

	python_node(r, "n0", 0, 1);
	n1 = python_node(r, "n1", 1, 0);
	node_bind(&r->w, n1, "i0", list_of(r->a, promise(r->a, "n0", "o0"), constant(r->a, int_literal(r->a, 1))));
	wf_output(&r->w, "y", promise(r->a, "n0", "o0"));
	feed(r, accepted(&r->w, 1));
	feed(r, finished_with(r->a, 1, T0, N0, 0, NULL, "/s/outputs.pb"));
	const struct value_ref *v = find_action(&r->step, ACTION_START_ATTEMPT, N1)->start->inputs;
	assert_int_equal(v->kind, VALUE_COLLECTION);
	assert_int_equal(v->n_items, 2);
	assert_int_equal(v->items[0].kind, VALUE_STORED);
	assert_string_equal(v->items[0].uri, "/s/outputs.pb");
	assert_string_equal(v->items[0].uri_var, "o0");
	assert_int_equal(v->items[1].literal->scalar->primitive->integer, 1);
	assert_events(r, finished_with(r->a, 1, T0, N1, 0, NULL, ""),
		      "T n1 0 SUCCEEDED\nN n1 SUCCEEDED\nN end-node QUEUED");
	const struct action *store = find_action(&r->step, ACTION_STORE_OUTPUTS, 1);
	assert_string_equal(store->uri, "/m/p-development-x1/end-node/data/0/outputs.pb");
	assert_string_equal(store->values[0].var, "y");
	assert_string_equal(store->values[0].uri, "/s/outputs.pb");
	assert_events(r, outputs_stored(r->a, 1, T0, 0, store->uri), "N end-node SUCCEEDED\nW SUCCEEDING\nW SUCCEEDED");
	assert_string_equal(r->step.record->events[2]->workflow->output_uri, store->uri);
}

static AlulaInput *finished_with_text(struct rig *r, uint32_t node, size_t len)
{
	CoreLiteral *l = int_literal(r->a, 0);

	l->scalar->primitive->value_case = CORE_PRIMITIVE_VALUE_STRING_VALUE;
	l->scalar->primitive->string_value = memset(arena_zalloc(r->a, len + 1), 'x', len);
	return finished_with(r->a, 1, T0, node, 0, add_literal(r->a, NULL, "o0", l), "/s/o");
}

/* What nobody reads any more is not kept. */
static void test_outputs_are_given_up(void **state)
{
	struct rig *r = *state;

	python_node(r, "n0", 0, 1);
	node_bind(&r->w, python_node(r, "n1", 1, 0), "i0", promise(r->a, "n0", "o0"));
	node_after(&r->w, python_node(r, "n2", 0, 0), "n1");
	feed(r, accepted(&r->w, 1));
	size_t before = engine_bytes(r->e);
	feed(r, finished_with_text(r, N0, 3000));
	assert_in_range(engine_bytes(r->e), before + 3000, before + 4000);
	feed(r, finished_with(r->a, 1, T0, N1, 0, NULL, ""));
	feed(r, go_on(r->a, 1, T0));
	assert_int_equal(engine_bytes(r->e), before);
}

/* Large outputs stay in the store, unless the engine itself must see them. */
static void test_large_outputs(void **state)
{
	struct rig *r = *state;

	python_node(r, "n0", 0, 1);
	node_bind(&r->w, python_node(r, "n1", 1, 0), "i0", promise(r->a, "n0", "o0"));
	feed(r, accepted(&r->w, 1));
	feed(r, finished_with_text(r, N0, 20000));
	const struct value_ref *in = find_action(&r->step, ACTION_START_ATTEMPT, N1)->start->inputs;
	assert_int_equal(in->kind, VALUE_STORED);
	assert_string_equal(in->uri, "/s/o");
	engine_forget(r->e, 1);
	node_bind(&r->w, wf_node_new(&r->w, "n2", wf_task(&r->w, "echo", 1, 1)), "i0", promise(r->a, "n0", "o0"));
	wf_output(&r->w, "y", promise(r->a, "n2", "o0"));
	feed(r, accepted(&r->w, 1));
	feed(r, finished_with_text(r, N0, 20000));
	assert_int_equal(find_action(&r->step, ACTION_START_ATTEMPT, N1)->start->inputs->kind, VALUE_LITERAL);
	assert_non_null(strstr(feed(r, finished_with(r->a, 1, T0, N1, 0, NULL, "")), "W SUCCEEDED"));
	const EventWorkflowExecutionEvent *w = r->step.record->events[r->step.record->n_events - 1]->workflow;
	assert_int_equal(strlen(w->output_data->literals[0]->value->scalar->primitive->string_value), 20000);
}

static void test_user_retries(void **state)
{
	struct rig *r = *state;

	node_retries(&r->w, python_node(r, "n0", 0, 0), 1);
	feed(r, accepted(&r->w, 1));
	assert_events(r, failed(r->a, 1, T0, N0, 0, true, false), "T n0 0 FAILED {USER Boom: it broke}\nT n0 1 QUEUED");
	assert_non_null(find_action(&r->step, ACTION_START_ATTEMPT, N0));
	assert_events(r, failed(r->a, 1, T0, N0, 0, true, false), "");
#define EXHAUSTED "{USER RetriesExhausted|Boom: [2/2] currentAttempt done. Last Error: USER::it broke}"
	assert_events(r, failed(r->a, 1, T0, N0, 1, true, false),
		      "T n0 1 FAILED {USER Boom: it broke}\nN n0 FAILED " EXHAUSTED "\nW FAILING " EXHAUSTED
		      "\nW FAILED " EXHAUSTED);
	assert_true(r->step.record->last);
}

/* System failures have a budget of their own; before the last attempt the machine is a safe one. */
static void test_system_retries(void **state)
{
	struct rig *r = *state;
	CoreNode *n = python_node(r, "n0", 0, 0);

	n->metadata->interruptible_value_case = CORE_NODE_METADATA_INTERRUPTIBLE_VALUE_INTERRUPTIBLE;
	n->metadata->interruptible = true;
	feed(r, accepted(&r->w, 1));
	for (uint32_t i = 0; i < 3; i++) {
		assert_true(find_action(&r->step, ACTION_START_ATTEMPT, N0)->start->interruptible);
		feed(r, failed(r->a, 1, T0, N0, i, true, true));
	}
	assert_false(find_action(&r->step, ACTION_START_ATTEMPT, N0)->start->interruptible);
	assert_true(str_starts(str_of(feed(r, failed(r->a, 1, T0, N0, 3, true, true))),
			       "T n0 3 FAILED {SYSTEM Boom: it broke}\nN n0 FAILED {USER RetriesExhausted|Boom: [3/3] "
			       "currentAttempt done. Last Error: SYSTEM::it broke}"));
}

static void test_failure_stops_the_rest(void **state)
{
	struct rig *r = *state;

	python_node(r, "n0", 0, 0);
	python_node(r, "n1", 0, 0);
	node_after(&r->w, python_node(r, "n2", 0, 0), "n0");
	feed(r, accepted(&r->w, 1));
	assert_events(
		r, failed(r->a, 1, T0, N0, 0, false, false),
		"T n0 0 FAILED {USER Boom: it broke}\nN n0 FAILED {USER Boom: it broke}\nW FAILING {USER Boom: it "
		"broke}\nT n1 0 ABORTED {UNKNOWN Task Aborted: Some node execution failed, auto-abort.}\nN n1 ABORTED "
		"{UNKNOWN NodeAborted: Some node execution failed, auto-abort.}\nW FAILED {USER Boom: it broke}");
	assert_non_null(find_action(&r->step, ACTION_ABORT_ATTEMPT, N1));
	assert_non_null(find_action(&r->step, ACTION_DONE, 0));
}

static void test_failure_lets_the_rest_finish(void **state)
{
	struct rig *r = *state;

	r->w.template->metadata->on_failure =
		CORE_WORKFLOW_METADATA_ON_FAILURE_POLICY_FAIL_AFTER_EXECUTABLE_NODES_COMPLETE;
	python_node(r, "n0", 0, 0);
	python_node(r, "n1", 0, 0);
	node_after(&r->w, python_node(r, "n2", 0, 0), "n0");
	feed(r, accepted(&r->w, 1));
	assert_events(r, failed(r->a, 1, T0, N0, 0, false, false),
		      "T n0 0 FAILED {USER Boom: it broke}\nN n0 FAILED {USER Boom: it broke}\nN n2 SKIPPED");
	assert_events(
		r, finished_with(r->a, 1, T0, N1, 0, NULL, ""),
		"T n1 0 SUCCEEDED\nN n1 SUCCEEDED\nN end-node SKIPPED\nW FAILING {USER Boom: it broke}\nW FAILED {USER "
		"Boom: it broke}");
}

static AlulaInput *failed_as(struct arena *a, uint32_t node, const char *message)
{
	AlulaInput *in = failed(a, 1, T0, node, 0, false, false);

	in->attempt_finished->error->error->message = (char *)message;
	return in;
}

/* Three nodes fail in some order; how it ends. */
static void fail_three(const uint32_t order[3], const char *expected)
{
	enum { Z = N0, A, OF_A, N_10, N_2 };
	static const char *const MESSAGES[] = {[OF_A] = "of a", [N_10] = "of n10", [N_2] = "of n2"};
	void *state;

	setup(&state);
	struct rig *r = state;
	r->w.template->metadata->on_failure =
		CORE_WORKFLOW_METADATA_ON_FAILURE_POLICY_FAIL_AFTER_EXECUTABLE_NODES_COMPLETE;
	python_node(r, "z", 0, 0);
	python_node(r, "a", 0, 0);
	node_after(&r->w, python_node(r, "zz", 0, 0), "a");
	python_node(r, "n10", 0, 0);
	python_node(r, "n2", 0, 0);
	feed(r, accepted(&r->w, 1));
	feed(r, finished_with(r->a, 1, T0, A, 0, NULL, ""));
	for (size_t i = 0; i < 3; i++)
		feed(r, failed_as(r->a, order[i], MESSAGES[order[i]]));
	const char *last = feed(r, finished_with(r->a, 1, T0, Z, 0, NULL, ""));
	assert_non_null(strstr(last, expected));
	teardown(&state);
}

/* The graph counts, by ids, and not time: a with what is behind it, n10, n2, z. */
static void test_last_failure_of_the_graph_counts(void **state)
{
	static const uint32_t ORDERS[][3] = {{4, 5, 6}, {6, 4, 5}, {4, 6, 5}, {6, 5, 4}};

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(ORDERS); k++)
		fail_three(ORDERS[k], "W FAILED {USER Boom: of n2}");
}

static void test_abort(void **state)
{
	struct rig *r = *state;

	python_node(r, "n0", 0, 0);
	node_after(&r->w, python_node(r, "n1", 0, 0), "n0");
	feed(r, accepted(&r->w, 1));
	feed(r, started(r->a, 1, T0, N0, 0));
	assert_events(
		r, abort_input(r->a, 1, T0 + 5),
		"T n0 0 ABORTED {UNKNOWN Task Aborted: Workflow aborted.}\nN n0 ABORTED {UNKNOWN NodeAborted: Workflow "
		"aborted.}\nW ABORTED");
	assert_int_equal(r->step.record->events[0]->task->n_logs, 1);
	assert_non_null(find_action(&r->step, ACTION_ABORT_ATTEMPT, N0));
	assert_events(r, finished_with(r->a, 1, T0 + 6, N0, 0, NULL, ""), "");
}

static void test_abort_first(void **state)
{
	struct rig *r = *state;
	AlulaJournalEntry entry = ALULA_JOURNAL_ENTRY_INIT;
	struct engine *again = engine_for_tests(0);
	struct err err;

	python_node(r, "n0", 0, 0);
	assert_events(r, abort_input(r->a, 1, T0 - 5), "");
	assert_null(r->step.record);
	entry.input = accepted(&r->w, 1);
	assert_events(r, entry.input, "W ABORTED");
	assert_true(r->step.record->last);
	/* The abort itself is in no journal. */
	entry.record = r->step.record;
	assert_int_equal(engine_replay(again, &entry, &err), OK);
	assert_true(str_eq(engine_state(again, 1, r->a), engine_state(r->e, 1, r->a)));
	engine_free(again);
	/* Not for ever. */
	feed(r, abort_input(r->a, 2, T0));
	AlulaInput *late = accepted(&r->w, 2);
	late->time_us += 3600 * USEC_PER_SEC;
	assert_true(str_starts(str_of(feed(r, late)), "W RUNNING"));
	engine_forget(r->e, 2);
}

static void test_attempt_timeout(void **state)
{
	struct rig *r = *state;
	CoreNode *n = python_node(r, "n0", 0, 0);

	n->metadata->timeout = pb_duration(r->a, 90 * USEC_PER_SEC);
	node_retries(&r->w, n, 1);
	feed(r, accepted(&r->w, 1));
	assert_int_equal(find_action(&r->step, ACTION_START_ATTEMPT, N0)->start->timeout_us, 90 * USEC_PER_SEC);
	feed(r, started(r->a, 1, T0, N0, 0));
	const struct action *timer = find_action(&r->step, ACTION_SET_TIMER, N0);
	assert_int_equal(timer->at_us, T0 + 90 * USEC_PER_SEC);
	AlulaInput *in = timer_fired(r->a, 1, timer->at_us - 1, timer->timer, N0, 0);
	assert_events(r, in, ""); /* too early: again */
	assert_int_equal(find_action(&r->step, ACTION_SET_TIMER, N0)->at_us, timer->at_us);
	in->time_us++;
	assert_events(r, in,
		      "T n0 0 ABORTED {UNKNOWN Task Aborted: task execution timeout [1m30s] expired}\nT n0 1 QUEUED");
	assert_int_equal(find_action(&r->step, ACTION_ABORT_ATTEMPT, N0)->attempt, 0);
	assert_int_equal(find_action(&r->step, ACTION_START_ATTEMPT, N0)->attempt, 1);
	assert_events(r, in, "");
	/* All attempts together may take twice as long. */
	AlulaInput *whole = timer_fired(r->a, 1, T0 + 180 * USEC_PER_SEC, 2, N0, 0);
	assert_events(
		r, whole,
		"T n0 1 ABORTED {UNKNOWN Task Aborted: node timed out}\nN n0 TIMED_OUT {USER Timeout: task active "
		"timeout [3m0s] expired}\nW FAILING {USER Timeout: Timeout in node}\nW FAILED {USER Timeout: Timeout "
		"in node}");
}

static void test_execution_timeout(void **state)
{
	struct rig *r = *state;
	AlulaInput *in = accepted(&r->w, 1);

	python_node(r, "n0", 0, 0);
	in->accepted->command->start->timeout_us = 60 * USEC_PER_SEC;
	feed(r, in);
	const struct action *timer = find_action(&r->step, ACTION_SET_TIMER, 0);
	assert_int_equal(timer->at_us, T0 + 60 * USEC_PER_SEC);
	assert_true(str_starts(str_of(feed(r, timer_fired(r->a, 1, timer->at_us, timer->timer, 0, 0))),
			       "W FAILING {USER Timeout: execution timeout [1m0s] expired}\nT n0 0 ABORTED"));
}

static void test_parallelism(void **state)
{
	struct rig *r = *state;
	AlulaInput *in = accepted(&r->w, 1);

	for (int i = 0; i < 3; i++)
		python_node(r, arena_printf(r->a, "n%d", i), 0, 0);
	in->accepted->command->start->max_parallelism = 2;
	feed(r, in);
	assert_non_null(find_action(&r->step, ACTION_START_ATTEMPT, N0));
	assert_non_null(find_action(&r->step, ACTION_START_ATTEMPT, N1));
	assert_null(find_action(&r->step, ACTION_START_ATTEMPT, N2));
	assert_events(r, finished_with(r->a, 1, T0, N1, 0, NULL, ""),
		      "T n1 0 SUCCEEDED\nN n1 SUCCEEDED\nN n2 QUEUED\nT n2 0 QUEUED\nN n2 RUNNING");
}

static void test_sleep(void **state)
{
	struct rig *r = *state;
	CoreTaskTemplate *t = wf_task(&r->w, "core-sleep", 1, 0);

	node_bind(&r->w, wf_node_new(&r->w, "n0", t), "i0", constant(r->a, duration_literal(r->a, 0)));
	node_bind(&r->w, wf_node_new(&r->w, "n1", t), "i0", constant(r->a, duration_literal(r->a, 5 * USEC_PER_SEC)));
	assert_events(
		r, accepted(&r->w, 1),
		"W RUNNING\nN start-node SUCCEEDED\nN n0 QUEUED\nT n0 0 SUCCEEDED\nN n0 SUCCEEDED\nN n1 QUEUED\nT n1 0 "
		"RUNNING\nN n1 RUNNING");
	const struct action *timer = find_action(&r->step, ACTION_SET_TIMER, N1);
	assert_int_equal(timer->at_us, T0 + 5 * USEC_PER_SEC);
	/* Nobody can end it from outside. */
	assert_events(r, finished_with(r->a, 1, T0, N1, 0, NULL, ""), "");
	assert_true(str_starts(str_of(feed(r, timer_fired(r->a, 1, timer->at_us, timer->timer, N1, 0))),
			       "T n1 0 SUCCEEDED\nN n1 SUCCEEDED\nN end-node QUEUED"));
}

static void test_cannot_run(void **state)
{
	struct rig *r = *state;
	CoreNode *n = python_node(r, "n0", 0, 0);

	n->target_case = CORE_NODE_TARGET_ARRAY_NODE;
	n->array_node = pb_new(r->a, CORE_ARRAY_NODE_DESC);
#define UNSUPPORTED "{SYSTEM BadSpecificationError: node [n0] has no node for its items}"
	assert_events(r, accepted(&r->w, 1), "W FAILING " UNSUPPORTED "\nW FAILED " UNSUPPORTED);
	assert_true(r->step.record->last);
}

static void test_bad_graphs(void **state)
{
	struct rig *r = *state;
	CoreNode *n0 = python_node(r, "n0", 0, 0), *n1 = python_node(r, "n1", 0, 0);

	node_after(&r->w, n0, "n1");
	node_after(&r->w, n1, "n0");
	assert_true(str_starts(str_of(feed(r, accepted(&r->w, 1))),
			       "W FAILING {SYSTEM BadSpecificationError: node [n0] lies on a cycle"));
	engine_forget(r->e, 1);
	n0->n_upstream_node_ids = 0;
	n1->upstream_node_ids[0] = "nowhere";
	assert_true(str_starts(str_of(feed(r, accepted(&r->w, 1))),
			       "W FAILING {SYSTEM BadSpecificationError: node [n1]: upstream node [nowhere]"));
	engine_forget(r->e, 1);
	AlulaInput *in = accepted(&r->w, 1);
	in->accepted->command->start->closure = NULL;
	assert_true(str_starts(str_of(feed(r, in)), "W FAILING {SYSTEM UnreadableExecution"));
	engine_forget(r->e, 1);
	in->accepted->unreadable = pb_new(r->a, CORE_EXECUTION_ERROR_DESC);
	in->accepted->unreadable->code = "Gone";
	assert_true(str_starts(str_of(feed(r, in)), "W FAILING {UNKNOWN Gone: }"));
}

static void test_bad_bindings(void **state)
{
	struct rig *r = *state;
	CoreNode *n0 = python_node(r, "n0", 1, 0);

	node_bind(&r->w, n0, "i0", promise(r->a, "", "missing"));
	assert_true(
		str_starts(str_of(feed(r, accepted(&r->w, 1))),
			   "W RUNNING\nN start-node SUCCEEDED\nN n0 FAILED {SYSTEM BindingResolutionFailure: failed at "
			   "Node[n0]. BindingResolutionError: Error binding Var [wf].[i0], caused by: failed at "
			   "Node[start-node]. OutputsNotFoundError: Failed to find [start-node].[missing]}"));
	engine_forget(r->e, 1);
	n0->inputs[0]->binding->promise->node_id = "nobody";
	assert_true(str_starts(str_of(feed(r, accepted(&r->w, 1))), "W FAILING {SYSTEM BadSpecificationError"));
}

/* Attributes of lists and maps that are at hand. */
static void test_attributes(void **state)
{
	struct rig *r = *state;
	CoreNode *n0 = python_node(r, "n0", 1, 0);
	CoreBindingData *p = promise(r->a, "", "x");
	CorePromiseAttribute *step = pb_new(r->a, CORE_PROMISE_ATTRIBUTE_DESC);
	CoreLiteral *list = pb_new(r->a, CORE_LITERAL_DESC);
	AlulaInput *in = accepted(&r->w, 1);

	step->value_case = CORE_PROMISE_ATTRIBUTE_VALUE_INT_VALUE;
	step->int_value = 1;
	*PB_ADD(r->a, p->promise->attr_path, p->promise->n_attr_path) = step;
	node_bind(&r->w, n0, "i0", p);
	list->value_case = CORE_LITERAL_VALUE_COLLECTION;
	list->collection = pb_new(r->a, CORE_LITERAL_COLLECTION_DESC);
	*PB_ADD(r->a, list->collection->literals, list->collection->n_literals) = int_literal(r->a, 10);
	*PB_ADD(r->a, list->collection->literals, list->collection->n_literals) = int_literal(r->a, 11);
	in->accepted->command->start->inputs = add_literal(r->a, NULL, "x", list);
	feed(r, in);
	assert_int_equal(
		find_action(&r->step, ACTION_START_ATTEMPT, N0)->start->inputs[0].literal->scalar->primitive->integer,
		11);
	engine_forget(r->e, 1);
	step->int_value = 2;
	assert_non_null(strstr(feed(r, in), "PromiseAttributeResolveError"));
}

/* A record grows to about the limit; the rest comes with Continue, and nothing else moves it on. */
static void test_continue(void **state)
{
	struct rig *r = *state;
	CoreTaskTemplate *t = wf_task(&r->w, "echo", 0, 0);
	size_t events = 0, steps = 1;

	engine_free(r->e);
	r->e = engine_for_tests(10);
	for (int i = 0; i < 30; i++)
		wf_node_new(&r->w, arena_printf(r->a, "n%d", i), t);
	feed(r, accepted(&r->w, 1));
	while (find_action(&r->step, ACTION_CONTINUE, 0)) {
		assert_in_range(r->step.record->n_events, 10, 13);
		assert_int_equal(r->step.record->seq, steps++);
		events += r->step.record->n_events;
		feed(r, started(r->a, 1, T0, N0, 0));
		assert_null(r->step.record);
		feed(r, go_on(r->a, 1, T0));
	}
	assert_int_equal(events + r->step.record->n_events, 2 + 30 * 3 + 4);
	assert_true(r->step.record->last);
	assert_events(r, go_on(r->a, 1, T0), "");
}

/* A finish that overtakes its start: no phase is left out, the start is ignored. */
static void test_late_start(void **state)
{
	struct rig *r = *state;

	python_node(r, "n0", 0, 0);
	feed(r, accepted(&r->w, 1));
	AlulaInput *in = finished_with(r->a, 1, T0 + 9, N0, 0, NULL, "");
	in->attempt_finished->started_at_us = T0 + 4;
	assert_true(str_starts(str_of(feed(r, in)), "T n0 0 RUNNING\nT n0 0 SUCCEEDED\nN n0 SUCCEEDED"));
	assert_int_equal(pb_timestamp_us(r->step.record->events[0]->task->occurred_at), T0 + 4);
	assert_events(r, started(r->a, 1, T0 + 9, N0, 0), "");
}

/* A node's own image and resources, without touching its task's other nodes. */
static void test_overrides(void **state)
{
	struct rig *r = *state;
	CoreTaskTemplate *t = wf_task(&r->w, "python-task", 0, 0);
	CoreNode *n1;

	t->target_case = CORE_TASK_TEMPLATE_TARGET_CONTAINER;
	t->container = pb_new(r->a, CORE_CONTAINER_DESC);
	t->container->image = "plain";
	wf_node_new(&r->w, "n0", t);
	n1 = wf_node_new(&r->w, "n1", t);
	n1->task_node->overrides = pb_new(r->a, CORE_TASK_NODE_OVERRIDES_DESC);
	n1->task_node->overrides->container_image = "special";
	feed(r, accepted(&r->w, 1));
	assert_string_equal(find_action(&r->step, ACTION_START_ATTEMPT, N0)->start->task->container->image, "plain");
	assert_string_equal(find_action(&r->step, ACTION_START_ATTEMPT, N1)->start->task->container->image, "special");
}

/* A clock that is set back does not turn durations negative. */
static void test_time_goes_on(void **state)
{
	struct rig *r = *state;

	python_node(r, "n0", 0, 0);
	feed(r, accepted(&r->w, 1));
	feed(r, finished_with(r->a, 1, T0 - 500, N0, 0, NULL, ""));
	assert_int_equal(pb_timestamp_us(r->step.record->events[0]->task->occurred_at), T0);
}

/* After a restart: what runs, its timers, and the end of what may not have been stopped. */
static void test_pending(void **state)
{
	struct rig *r = *state;
	CoreNode *n = python_node(r, "n0", 0, 0);

	n->metadata->timeout = pb_duration(r->a, 60 * USEC_PER_SEC);
	node_retries(&r->w, n, 2);
	feed(r, accepted(&r->w, 1));
	feed(r, failed(r->a, 1, T0, N0, 0, true, false));
	feed(r, started(r->a, 1, T0, N0, 1));
	engine_pending(r->e, 1, &r->step);
	assert_null(r->step.record);
	assert_int_equal(find_action(&r->step, ACTION_ABORT_ATTEMPT, N0)->attempt, 0);
	assert_int_equal(find_action(&r->step, ACTION_START_ATTEMPT, N0)->attempt, 1);
	assert_int_equal(find_action(&r->step, ACTION_SET_TIMER, N0)->at_us, T0 + 60 * USEC_PER_SEC);
	feed(r, abort_input(r->a, 1, T0));
	engine_pending(r->e, 1, &r->step);
	/* The end of the one before may be lost as well (sim seed 32378). */
	assert_int_equal(find_action(&r->step, ACTION_ABORT_ATTEMPT, N0)->attempt, 0);
	assert_int_equal(find_action(&r->step, ACTION_ABORT_ATTEMPT, N0)->next->attempt, 1);
	assert_null(find_action(&r->step, ACTION_START_ATTEMPT, N0));
	assert_non_null(find_action(&r->step, ACTION_DONE, 0));
	engine_pending(r->e, 99, &r->step);
	assert_null(r->step.actions);
}

static void test_replay_guards(void **state)
{
	struct rig *r = *state;
	AlulaJournalEntry entry = ALULA_JOURNAL_ENTRY_INIT;
	struct engine *e = engine_for_tests(0);
	struct err err;

	python_node(r, "n0", 0, 0);
	entry.input = accepted(&r->w, 1);
	feed(r, entry.input);
	entry.record = pb_clone(r->step.record, r->a);
	entry.record->seq = 2;
	assert_int_equal(engine_replay(e, &entry, &err), DATA_LOSS);
	entry.record->seq = 1;
	entry.input->accepted->command->start->closure = NULL;
	assert_int_equal(engine_replay(e, &entry, &err), DATA_LOSS);
	entry.input->accepted->command->start->closure = r->w.closure;
	entry.record->n_events--;
	assert_int_equal(engine_replay(e, &entry, &err), DATA_LOSS);
	engine_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_echo),
		TEST(test_attempt),
		TEST(test_stored_values),
		TEST(test_outputs_are_given_up),
		TEST(test_large_outputs),
		TEST(test_user_retries),
		TEST(test_system_retries),
		TEST(test_failure_stops_the_rest),
		TEST(test_failure_lets_the_rest_finish),
		TEST(test_last_failure_of_the_graph_counts),
		TEST(test_abort),
		TEST(test_abort_first),
		TEST(test_attempt_timeout),
		TEST(test_execution_timeout),
		TEST(test_parallelism),
		TEST(test_sleep),
		TEST(test_cannot_run),
		TEST(test_bad_graphs),
		TEST(test_bad_bindings),
		TEST(test_attributes),
		TEST(test_continue),
		TEST(test_late_start),
		TEST(test_overrides),
		TEST(test_time_goes_on),
		TEST(test_pending),
		TEST(test_replay_guards),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

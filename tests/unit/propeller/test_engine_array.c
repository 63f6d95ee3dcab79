/* Array nodes. */
#include "engine_rig.h"

/* "n0" maps a task over x. */
static CoreNode *map(struct rig *r, const char *type)
{
	CoreNode *n =
		node_add(&r->w, node_of_array(r->a, "n0", node_of_task(r->a, "item", wf_task(&r->w, type, 1, 1))));

	node_bind(&r->w, n, "i0", promise(r->a, "", "x"));
	wf_output(&r->w, "y", promise(r->a, "n0", "o0"));
	return n;
}

enum { ITEM0 = 3 }; /* after start, end and n0 */

static const EventTaskExecutionEvent *last_task(const struct rig *r)
{
	for (size_t i = r->step.record->n_events; i-- > 0;)
		if (r->step.record->events[i]->event_case == ALULA_EXECUTION_EVENT_EVENT_TASK)
			return r->step.record->events[i]->task;
	fail_msg("no task event");
	return NULL;
}

/* "index attempt PHASE, …" */
static const char *items_text(struct rig *r, const EventTaskExecutionEvent *t)
{
	auto_buf struct buf b = {0};

	for (size_t i = 0; i < t->metadata->n_external_resources; i++) {
		const EventExternalResourceInfo *info = t->metadata->external_resources[i];
		buf_printf(&b, "%s%u %u %s", i ? ", " : "", info->index, info->retry_attempt,
			   enum_name(CORE_TASK_EXECUTION_PHASE_DESC, (int)info->phase));
	}
	return arena_strdup(r->a, buf_text(&b));
}

static void test_echo_items(void **state)
{
	struct rig *r = *state;

	map(r, "echo");
	assert_events(r, accepted_with(r, int_list(r->a, 3)),
		      "W RUNNING\nN start-node SUCCEEDED\nN n0 QUEUED\nN n0 RUNNING\nT n0 0 QUEUED\n"
		      "T n0 0 SUCCEEDED\nN n0 SUCCEEDED\nN end-node QUEUED\nN end-node SUCCEEDED\nW SUCCEEDING\n"
		      "W SUCCEEDED");
	assert_true(node_event(r, "n0")->is_array);
	assert_false(node_event(r, "n0")->is_parent);
	const EventTaskExecutionEvent *t = last_task(r);
	assert_string_equal(items_text(r, t), "0 0 SUCCEEDED, 1 0 SUCCEEDED, 2 0 SUCCEEDED");
	assert_string_equal(t->metadata->external_resources[1]->external_id, "x1-n0-0-n1-0");
	assert_string_equal(t->metadata->plugin_identifier, "k8s-array");
	assert_string_equal(t->task_type, "container_array");
	assert_string_equal(t->task_id->name, "echo-0");
	const CoreLiteral *y = node_event(r, "end-node")->output_data->literals[0]->value;
	assert_int_equal(y->collection->n_literals, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(y->collection->literals[i]->scalar->primitive->integer, i);
}

static void test_tasks(void **state)
{
	struct rig *r = *state;

	map(r, "python-task");
	assert_events(r, accepted_with(r, int_list(r->a, 2)),
		      "W RUNNING\nN start-node SUCCEEDED\nN n0 QUEUED\nN n0 RUNNING\nT n0 0 QUEUED\nT n0 0 RUNNING");
	assert_string_equal(items_text(r, last_task(r)), "0 0 QUEUED, 1 0 QUEUED");
	const struct attempt *a = find_action(&r->step, ACTION_START_ATTEMPT, ITEM0 + 1)->start;
	assert_true(a->is_item && a->item == 1 && !a->shares_inputs);
	assert_string_equal(a->node_id, "n1");
	assert_string_equal(a->unique_name, "x1-n0-0-n1-0");
	assert_string_equal(a->inputs_uri, "/m/p-development-x1/n0/data/1/0/inputs.pb");
	assert_string_equal(a->output_prefix, "/m/p-development-x1/n0/data/0/1/0");
	assert_int_equal(a->inputs[0].literal->scalar->primitive->integer, 1);
	assert_events(r, started(r->a, 1, T0, ITEM0, 0), "T n0 0 RUNNING");
	assert_string_equal(items_text(r, last_task(r)), "0 0 RUNNING");
	assert_string_equal(last_task(r)->metadata->external_resources[0]->logs[0]->name, "Logs-0");
	assert_int_equal(last_task(r)->phase_version, 2);
	CoreLiteralMap *out = add_literal(r->a, NULL, "o0", int_literal(r->a, 8));
	feed(r, finished_with(r->a, 1, T0, ITEM0, 0, out, "/s/0"));
	engine_pending(r->e, 1, &r->step);
	assert_null(find_action(&r->step, ACTION_START_ATTEMPT, ITEM0));
	assert_non_null(find_action(&r->step, ACTION_START_ATTEMPT, ITEM0 + 1));
	/* One lies in the store: the list is put together there. */
	assert_events(r, finished_with(r->a, 1, T0, ITEM0 + 1, 0, NULL, "/s/1"), "T n0 0 RUNNING");
	const struct action *store = find_action(&r->step, ACTION_STORE_OUTPUTS, N0);
	assert_string_equal(store->uri, "/m/p-development-x1/n0/data/0/outputs.pb");
	assert_int_equal(store->values[0].items[0].literal->scalar->primitive->integer, 8);
	assert_string_equal(store->values[0].items[1].uri, "/s/1");
	assert_events(r, outputs_stored(r->a, 1, T0, N0, store->uri),
		      "T n0 0 SUCCEEDED\nN n0 SUCCEEDED\nN end-node QUEUED");
	assert_string_equal(find_action(&r->step, ACTION_STORE_OUTPUTS, 1)->values[0].uri, store->uri);
}

static void test_parallelism(void **state)
{
	struct rig *r = *state;
	CoreNode *n = map(r, "python-task");

	n->array_node->parallelism_option_case = CORE_ARRAY_NODE_PARALLELISM_OPTION_PARALLELISM;
	n->array_node->parallelism = 2;
	feed(r, accepted_with(r, int_list(r->a, 4)));
	assert_non_null(find_action(&r->step, ACTION_START_ATTEMPT, ITEM0 + 1));
	assert_null(find_action(&r->step, ACTION_START_ATTEMPT, ITEM0 + 2));
	feed(r, finished_with(r->a, 1, T0, ITEM0, 0, NULL, "/s"));
	assert_non_null(find_action(&r->step, ACTION_START_ATTEMPT, ITEM0 + 2));
	assert_null(find_action(&r->step, ACTION_START_ATTEMPT, ITEM0 + 3));
}

static void test_retries_and_failure(void **state)
{
	struct rig *r = *state;
	CoreNode *n = map(r, "python-task");

	node_retries(&r->w, n->array_node->node, 1);
	feed(r, accepted_with(r, int_list(r->a, 2)));
	feed(r, failed(r->a, 1, T0, ITEM0, 0, true, false));
	assert_string_equal(items_text(r, last_task(r)), "0 0 FAILED, 0 1 QUEUED");
	const struct attempt *a = find_action(&r->step, ACTION_START_ATTEMPT, ITEM0)->start;
	assert_string_equal(a->output_prefix, "/m/p-development-x1/n0/data/0/0/1");
	const char *events = feed(r, failed(r->a, 1, T0, ITEM0, 1, false, false));
	assert_true(str_starts(str_of(events), "T n0 0 FAILED {UNKNOWN : [0]: it broke\n}\nN n0 FAILED {UNKNOWN : [0]: "
					       "it broke\n}\nW FAILING"));
	assert_string_equal(items_text(r, last_task(r)), "0 1 FAILED, 1 0 ABORTED");
	assert_non_null(find_action(&r->step, ACTION_ABORT_ATTEMPT, ITEM0 + 1));
	engine_pending(r->e, 1, &r->step);
	assert_non_null(find_action(&r->step, ACTION_ABORT_ATTEMPT, ITEM0 + 1));
}

/* Enough of them is enough; the others give nothing. */
static void test_min_successes(void **state)
{
	struct rig *r = *state;
	CoreNode *n = map(r, "python-task");
	CoreLiteralMap *out = add_literal(r->a, NULL, "o0", int_literal(r->a, 8));

	n->array_node->success_criteria_case = CORE_ARRAY_NODE_SUCCESS_CRITERIA_MIN_SUCCESS_RATIO;
	n->array_node->min_success_ratio = 0.3F;
	feed(r, accepted_with(r, int_list(r->a, 3)));
	feed(r, failed(r->a, 1, T0, ITEM0, 0, false, false));
	feed(r, failed(r->a, 1, T0, ITEM0 + 1, 0, false, false));
	assert_non_null(strstr(feed(r, finished_with(r->a, 1, T0, ITEM0 + 2, 0, out, "")), "W SUCCEEDED"));
	const CoreLiteral *y = node_event(r, "end-node")->output_data->literals[0]->value;
	assert_int_equal(y->collection->literals[0]->scalar->value_case, CORE_SCALAR_VALUE_NONE_TYPE);
	assert_int_equal(y->collection->literals[2]->scalar->primitive->integer, 8);
}

/* More than there are: nothing starts, and nobody knows a reason. */
static void test_more_successes_than_items(void **state)
{
	struct rig *r = *state;
	CoreNode *n = map(r, "python-task");

	n->array_node->success_criteria_case = CORE_ARRAY_NODE_SUCCESS_CRITERIA_MIN_SUCCESSES;
	n->array_node->min_successes = 3;
	const char *text = feed(r, accepted_with(r, int_list(r->a, 2)));
	assert_non_null(strstr(text, "N n0 FAILED {UNKNOWN ArrayNodeFailing: Unknown reason}"));
	assert_non_null(strstr(text, "W FAILED {UNKNOWN ArrayNodeFailing: Unknown reason}"));
	assert_null(find_action(&r->step, ACTION_START_ATTEMPT, ITEM0));
}

static void test_abort(void **state)
{
	struct rig *r = *state;

	map(r, "python-task");
	feed(r, accepted_with(r, int_list(r->a, 2)));
	assert_events(r, abort_input(r->a, 1, T0),
		      "T n0 0 ABORTED {UNKNOWN Task Aborted: Workflow aborted.}\n"
		      "N n0 ABORTED {UNKNOWN NodeAborted: Workflow aborted.}\nW ABORTED");
	assert_string_equal(items_text(r, last_task(r)), "0 0 ABORTED, 1 0 ABORTED");
	assert_events(r, finished_with(r->a, 1, T0, ITEM0, 0, NULL, "/s"), "");
}

/* All items read one file, which must be there first. */
static void test_single_file(void **state)
{
	struct rig *r = *state;
	CoreNode *n = map(r, "python-task");

	n->array_node->data_mode = CORE_ARRAY_NODE_DATA_MODE_SINGLE_INPUT_FILE;
	feed(r, accepted_with(r, int_list(r->a, 2)));
	const struct action *store = find_action(&r->step, ACTION_STORE_OUTPUTS, N0);
	assert_string_equal(store->uri, "/m/p-development-x1/n0/data/inputs.pb");
	assert_null(find_action(&r->step, ACTION_START_ATTEMPT, ITEM0));
	feed(r, outputs_stored(r->a, 1, T0, N0, ""));
	const struct attempt *a = find_action(&r->step, ACTION_START_ATTEMPT, ITEM0 + 1)->start;
	assert_true(a->shares_inputs);
	assert_string_equal(a->inputs_uri, store->uri);
}

static void test_bound_and_odd_inputs(void **state)
{
	struct rig *r = *state;
	CoreNode *n = map(r, "python-task");

	node_bind(&r->w, n, "b", promise(r->a, "", "x"));
	*PB_ADD(r->a, n->array_node->bound_inputs, n->array_node->n_bound_inputs) = "b";
	feed(r, accepted_with(r, int_list(r->a, 2)));
	const struct attempt *a = find_action(&r->step, ACTION_START_ATTEMPT, ITEM0)->start;
	assert_int_equal(a->inputs[1].literal->collection->n_literals, 2);
	engine_forget(r->e, 1);
	assert_non_null(strstr(feed(r, accepted_with(r, int_literal(r->a, 2))),
			       "N n0 FAILED {USER InvalidArrayLength: no input array provided}"));
	engine_forget(r->e, 1);
	n->array_node->n_bound_inputs = 0;
	n->inputs[1]->binding = list_of(r->a, promise(r->a, "", "x"), promise(r->a, "", "x"));
	assert_non_null(strstr(feed(r, accepted_with(r, int_list(r->a, 3))),
			       "InvalidArrayLength: input arrays have different lengths: expecting '3' found '2'"));
}

static void test_no_items(void **state)
{
	struct rig *r = *state;

	map(r, "python-task");
	assert_non_null(strstr(feed(r, accepted_with(r, int_list(r->a, 0))), "W SUCCEEDED"));
	const CoreLiteral *y = node_event(r, "end-node")->output_data->literals[0]->value;
	assert_int_equal(y->value_case, CORE_LITERAL_VALUE_COLLECTION);
	assert_int_equal(y->collection->n_literals, 0);
}

static void test_children(void **state)
{
	struct rig *r = *state;
	CoreNode *n = node_add(&r->w, node_of_array(r->a, "n0", node_of_launch_plan(r->a, "item", "plan")));

	node_bind(&r->w, n, "x", promise(r->a, "", "x"));
	wf_output(&r->w, "y", promise(r->a, "n0", "o0"));
	feed(r, accepted_with(r, int_list(r->a, 2)));
	const struct child *c = find_action(&r->step, ACTION_LAUNCH, ITEM0 + 1)->child;
	assert_string_equal(c->id.name, "x1-n0-0-n1-0");
	assert_int_equal(c->inputs[0].literal->scalar->primitive->integer, 1);
	for (int i = 0; i < 2; i++) {
		AlulaInput *in = child_finished(r->a, 1, T0, arena_printf(r->a, "x1-n0-0-n%d-0", i),
						CORE_WORKFLOW_EXECUTION_PHASE_SUCCEEDED);
		child_outputs(in, add_literal(r->a, NULL, "o0", int_literal(r->a, i + 5)));
		feed(r, in);
	}
	const CoreLiteral *y = node_event(r, "end-node")->output_data->literals[0]->value;
	assert_int_equal(y->collection->literals[1]->scalar->primitive->integer, 6);
}

/* A hundred thousand items: the engine keeps a few bytes of each that waits, and time grows with their number only. */
static void test_many(void **state)
{
	struct rig *r = *state;
	enum { N = 100000 };
	auto_free(arena_free) struct arena *a = arena_new(1 << 20);
	CoreNode *n = map(r, "python-task");
	struct step step = {.arena = a};
	size_t steps = 1;

	n->array_node->parallelism_option_case = CORE_ARRAY_NODE_PARALLELISM_OPTION_PARALLELISM;
	n->array_node->parallelism = 1;
	python_node(r, "n1", 0, 0);
	node_after(&r->w, n, "n1");
	AlulaInput *in = accepted_with(r, int_list(r->a, N));
	engine_step(r->e, in, &step);
	size_t before = engine_bytes(r->e);
	engine_step(r->e, finished_with(r->a, 1, T0, N1, 0, NULL, ""), &step);
	size_t bytes = engine_bytes(r->e) - before;
	print_message("array: %.2f bytes a waiting item\n", (double)bytes / N);
	assert_true(bytes < 16 * N);
	engine_forget(r->e, 1);
	n->n_upstream_node_ids = 0;
	r->w.template->n_nodes = 1;
	n->array_node->node->task_node->reference_id = wf_task(&r->w, "echo", 1, 1)->id;
	n->array_node->parallelism = 0;
	int64_t start_us = time_mono_us();
	engine_step(r->e, in, &step);
	while (find_action(&step, ACTION_CONTINUE, 0)) {
		assert_true(step.record->n_events < 600);
		arena_reset(a);
		engine_step(r->e, go_on(r->a, 1, T0), &step);
		steps++;
	}
	print_message("array of %d echo items: %lld ns an item, %zu steps\n", N,
		      (long long)(time_mono_us() - start_us) * 1000 / N, steps);
	assert_non_null(find_action(&step, ACTION_STORE_OUTPUTS, N0));
}

/* Found by the simulator: it was told to have succeeded, and taken over when the execution was recovered. */
static void test_item_that_gives_a_workflow_fails(void **state)
{
	struct rig *r = *state;
	struct wf given = wf_new(r->a);

	map(r, "python-task");
	feed(r, accepted_with(r, int_list(r->a, 2)));
	feed(r, finished_dynamic(r->a, 1, T0, ITEM0 + 1, 0, given.closure));
	assert_string_equal(items_text(r, last_task(r)), "1 0 FAILED, 0 0 ABORTED");
	assert_non_null(strstr(events_text(r->step.record, r->a), "cannot be a workflow"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_echo_items),
		TEST(test_tasks),
		TEST(test_item_that_gives_a_workflow_fails),
		TEST(test_parallelism),
		TEST(test_retries_and_failure),
		TEST(test_min_successes),
		TEST(test_more_successes_than_items),
		TEST(test_abort),
		TEST(test_single_file),
		TEST(test_bound_and_odd_inputs),
		TEST(test_no_items),
		TEST(test_children),
		TEST(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

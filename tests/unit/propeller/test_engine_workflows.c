/* Nodes that are workflows, and failure nodes. */
#include "engine_rig.h"

/* "n0" of the top workflow is a workflow of one node. */
static struct wf one_inside(struct rig *r, const char *type)
{
	struct wf inner = wf_inner(&r->w, "inner");
	CoreNode *n = wf_node_new(&inner, "m0", wf_task(&inner, type, 1, 1));

	node_bind(&inner, n, "i0", promise(r->a, "", "z"));
	wf_output(&inner, "v", promise(r->a, "m0", "o0"));
	CoreNode *outer = node_add(&r->w, node_of_workflow(r->a, "n0", &inner));
	node_bind(&r->w, outer, "z", promise(r->a, "", "x"));
	wf_output(&r->w, "y", promise(r->a, "n0", "v"));
	return inner;
}

static void test_inner_workflow(void **state)
{
	struct rig *r = *state;

	one_inside(r, "echo");
	assert_events(r, accepted_with(r, int_literal(r->a, 42)),
		      "W RUNNING\nN start-node SUCCEEDED\nN n0 QUEUED\nN n0 RUNNING\n"
		      "N n0-0-start-node SUCCEEDED\nN n0-0-m0 QUEUED\nT n0-0-m0 0 SUCCEEDED\nN n0-0-m0 SUCCEEDED\n"
		      "N n0-0-end-node QUEUED\nN n0-0-end-node SUCCEEDED\nN n0 SUCCEEDED\n"
		      "N end-node QUEUED\nN end-node SUCCEEDED\nW SUCCEEDING\nW SUCCEEDED");
	const EventNodeExecutionEvent *outer = node_event(r, "n0"), *inner = node_event(r, "n0-0-m0");
	assert_true(outer->is_parent);
	assert_null(outer->parent_node_metadata);
	assert_null(outer->target_entity);
	assert_string_equal(outer->retry_group, "");
	assert_int_equal(outer->output_data->literals[0]->value->scalar->primitive->integer, 42);
	assert_false(inner->is_parent);
	assert_string_equal(inner->parent_node_metadata->node_id, "n0");
	assert_string_equal(inner->retry_group, "0");
	assert_string_equal(inner->spec_node_id, "m0");
	assert_string_equal(inner->node_name, "name of m0");
	assert_false(inner->is_in_dynamic_chain);
	const AlulaRecord *record = r->step.record;
	const EventWorkflowExecutionEvent *w = record->events[record->n_events - 1]->workflow;
	assert_string_equal(w->output_data->literals[0]->key, "y");
	assert_int_equal(w->output_data->literals[0]->value->scalar->primitive->integer, 42);
}

enum { INNER_M0 = 3 + 2 }; /* after start, end and n0 come the inner start, end and m0 */

static void test_inner_task(void **state)
{
	struct rig *r = *state;

	one_inside(r, "python-task");
	feed(r, accepted_with(r, int_literal(r->a, 1)));
	const struct attempt *a = find_action(&r->step, ACTION_START_ATTEMPT, INNER_M0)->start;
	assert_string_equal(a->inputs_uri, "/m/p-development-x1/n0/data/0/m0/inputs.pb");
	assert_string_equal(a->output_prefix, "/m/p-development-x1/n0/data/0/m0/0");
	assert_string_equal(a->unique_name, "x1-n0-0-m0-0");
	assert_string_equal(a->node_unique_id, "n0-0-m0");
	assert_int_equal(a->inputs[0].literal->scalar->primitive->integer, 1);
	engine_pending(r->e, 1, &r->step);
	assert_non_null(find_action(&r->step, ACTION_START_ATTEMPT, INNER_M0));
	/* Large outputs stay where they are: the end node's are put together outside. */
	assert_events(r, finished_with(r->a, 1, T0, INNER_M0, 0, NULL, "/s/o"),
		      "T n0-0-m0 0 SUCCEEDED\nN n0-0-m0 SUCCEEDED\nN n0-0-end-node QUEUED");
	const struct action *store = find_action(&r->step, ACTION_STORE_OUTPUTS, 4);
	assert_string_equal(store->uri, "/m/p-development-x1/n0/data/0/end-node/0/outputs.pb");
	assert_events(r, outputs_stored(r->a, 1, T0, 4, store->uri),
		      "N n0-0-end-node SUCCEEDED\nN n0 SUCCEEDED\nN end-node QUEUED");
	assert_string_equal(node_event(r, "n0")->output_uri, store->uri);
	assert_string_equal(find_action(&r->step, ACTION_STORE_OUTPUTS, 1)->values[0].uri, "/s/o");
}

#define BOOM "{USER Boom: it broke}"

static void test_inner_failure(void **state)
{
	struct rig *r = *state;
	struct wf inner = one_inside(r, "python-task");

	node_bind(&inner, wf_node_new(&inner, "m1", wf_task(&inner, "python-task", 1, 0)), "i0",
		  promise(r->a, "", "z"));
	feed(r, accepted_with(r, int_literal(r->a, 1)));
	assert_events(r, failed(r->a, 1, T0, INNER_M0, 0, false, false),
		      "T n0-0-m0 0 FAILED " BOOM "\nN n0-0-m0 FAILED " BOOM
		      "\nT n0-0-m1 0 ABORTED {UNKNOWN Task Aborted: subworkflow failed}\n"
		      "N n0-0-m1 ABORTED {UNKNOWN NodeAborted: subworkflow failed}\nN n0 FAILED " BOOM
		      "\nW FAILING " BOOM "\nW FAILED " BOOM);
	assert_non_null(find_action(&r->step, ACTION_ABORT_ATTEMPT, INNER_M0 + 1));
}

static void test_inner_abort(void **state)
{
	struct rig *r = *state;

	one_inside(r, "python-task");
	feed(r, accepted_with(r, int_literal(r->a, 1)));
	assert_events(r, abort_input(r->a, 1, T0),
		      "T n0-0-m0 0 ABORTED {UNKNOWN Task Aborted: Workflow aborted.}\n"
		      "N n0-0-m0 ABORTED {UNKNOWN NodeAborted: Workflow aborted.}\n"
		      "N n0 ABORTED {UNKNOWN NodeAborted: Workflow aborted.}\nW ABORTED");
	assert_events(r, finished_with(r->a, 1, T0, INNER_M0, 0, NULL, "/s/o"), "");
}

/* The whole workflow is tried again, under other names. */
static void test_inner_timeout(void **state)
{
	struct rig *r = *state;

	one_inside(r, "python-task");
	r->w.template->nodes[0]->metadata->timeout = pb_duration(r->a, 60 * USEC_PER_SEC);
	node_retries(&r->w, r->w.template->nodes[0], 1);
	feed(r, accepted_with(r, int_literal(r->a, 1)));
	const struct action *timer = find_action(&r->step, ACTION_SET_TIMER, N0);
	assert_int_equal(timer->at_us, T0 + 60 * USEC_PER_SEC);
	const char *events = feed(r, timer_fired(r->a, 1, timer->at_us, timer->timer, N0, 0));
	assert_non_null(strstr(events, "N n0-0-m0 ABORTED"));
	assert_non_null(strstr(events, "N n0-1-m0 RUNNING"));
	assert_string_equal(node_event(r, "n0-1-m0")->retry_group, "1");
	const struct action *start = find_action(&r->step, ACTION_START_ATTEMPT, INNER_M0 + 3);
	assert_string_equal(start->start->output_prefix, "/m/p-development-x1/n0/data/1/m0/0");
	events = feed(r, timer_fired(r->a, 1, T0 + 120 * USEC_PER_SEC, 2, N0, 0));
	assert_non_null(strstr(events, "N n0 TIMED_OUT {USER Timeout: task active timeout [2m0s] expired}"));
}

static void test_nesting(void **state)
{
	struct rig *r = *state;
	struct wf last = r->w;
	CoreTaskTemplate *t = wf_task(&r->w, "echo", 0, 0);

	for (int i = 0; i < 6; i++) {
		struct wf next = wf_inner(&r->w, arena_printf(r->a, "w%d", i));
		node_add(&last, node_of_workflow(r->a, "n0", &next));
		last = next;
	}
	wf_node_new(&last, "n0", t);
	const char *events = feed(r, accepted(&r->w, 1));
	assert_non_null(strstr(events, "N n0-0-n0-0-n0-0-n0 RUNNING")); /* 20 characters and no more */
	assert_non_null(strstr(events, "W SUCCEEDED"));
}

/* A workflow that contains itself ends with an error. */
static void test_endless(void **state)
{
	struct rig *r = *state;
	struct wf inner = wf_inner(&r->w, "inner");

	node_add(&r->w, node_of_workflow(r->a, "n0", &inner));
	node_add(&inner, node_of_workflow(r->a, "n0", &inner));
	assert_non_null(strstr(feed(r, accepted(&r->w, 1)), "SubWorkflowExecutionFailed: workflows nest deeper"));
	assert_true(r->step.record->last);
}

static void test_missing(void **state)
{
	struct rig *r = *state;
	struct wf inner = one_inside(r, "echo");

	inner.template->id = identifier(r->a, CORE_RESOURCE_TYPE_WORKFLOW, "another");
	assert_true(str_starts(str_of(feed(r, accepted_with(r, int_literal(r->a, 1)))),
			       "W FAILING {SYSTEM BadSpecificationError: node [n0]: its sub-workflow is not in"));
}

/* Nobody has looked into a sub-workflow that no node runs. */
static void test_unused(void **state)
{
	struct rig *r = *state;
	struct wf inner = wf_inner(&r->w, "inner"), unused = wf_inner(&r->w, "unused");
	CoreTaskTemplate *t = wf_task(&r->w, "echo", 0, 0);

	node_add(&r->w, node_of_workflow(r->a, "n0", &inner));
	wf_node_new(&inner, "m0", t);
	node_after(&unused, wf_node_new(&unused, "m0", t), "nowhere");
	node_add(&unused, node_of_workflow(r->a, "m1", &unused));
	assert_non_null(strstr(feed(r, accepted(&r->w, 1)), "W SUCCEEDED"));
}

/* What waits for a slot does not hold up what needs none. */
static void test_parallelism(void **state)
{
	struct rig *r = *state;
	struct wf inner = wf_inner(&r->w, "inner");
	CoreTaskTemplate *t = wf_task(&r->w, "python-task", 0, 0);

	wf_node_new(&r->w, "n0", t);
	wf_node_new(&r->w, "n1", t);
	node_add(&r->w, node_of_workflow(r->a, "n2", &inner));
	wf_node_new(&inner, "m0", t);
	AlulaInput *in = accepted(&r->w, 1);
	in->accepted->command->start->max_parallelism = 1;
	const char *events = feed(r, in);
	assert_null(strstr(events, "N n1 "));
	assert_non_null(strstr(events, "N n2 RUNNING\nN n2-0-start-node SUCCEEDED"));
	assert_null(strstr(events, "m0"));
	assert_non_null(strstr(feed(r, finished_with(r->a, 1, T0, N0, 0, NULL, "")), "N n1 RUNNING"));
	assert_non_null(strstr(feed(r, finished_with(r->a, 1, T0, N1, 0, NULL, "")), "N n2-0-m0 RUNNING"));
}

/* ---- failure nodes ---- */

static CoreNode *failure_node(struct wf *w, const char *type)
{
	CoreNode *n = node_of_task(w->a, "fn0", wf_task(w, type, 1, 1));

	w->template->failure_node = n;
	return n;
}

static void test_failure_node(void **state)
{
	struct rig *r = *state;

	python_node(r, "n0", 0, 0);
	python_node(r, "n1", 0, 0);
	node_bind(&r->w, failure_node(&r->w, "python-task"), "err", constant(r->a, int_literal(r->a, 0)));
	feed(r, accepted(&r->w, 1));
	assert_events(r, failed(r->a, 1, T0, N0, 0, false, false),
		      "T n0 0 FAILED " BOOM "\nN n0 FAILED " BOOM "\nW FAILING " BOOM
		      "\nT n1 0 ABORTED {UNKNOWN Task Aborted: Some node execution failed, auto-abort.}\n"
		      "N n1 ABORTED {UNKNOWN NodeAborted: Some node execution failed, auto-abort.}\n"
		      "N fn0 QUEUED\nT fn0 0 QUEUED\nN fn0 RUNNING");
	const struct attempt *a = find_action(&r->step, ACTION_START_ATTEMPT, N2)->start;
	const CoreUnion *u = a->inputs[0].literal->scalar->union_;
	assert_string_equal(a->inputs[0].var, "err");
	assert_string_equal(u->value->scalar->error->message, "it broke");
	assert_string_equal(u->value->scalar->error->failed_node_id, "fn0");
	assert_string_equal(u->type->structure->tag, "FlyteError");
	assert_string_equal(a->inputs_uri, "/m/p-development-x1/fn0/data/inputs.pb");
	assert_events(r, finished_with(r->a, 1, T0, N2, 0, NULL, ""),
		      "T fn0 0 SUCCEEDED\nN fn0 SUCCEEDED\nW FAILED " BOOM);
}

static void test_failure_node_fails(void **state)
{
	struct rig *r = *state;

	python_node(r, "n0", 0, 0);
	failure_node(&r->w, "python-task");
	feed(r, accepted(&r->w, 1));
	AlulaInput *first = failed(r->a, 1, T0, N0, 0, false, false);
	first->attempt_finished->error->error->code = "First";
	feed(r, first);
	assert_events(r, failed(r->a, 1, T0, N1, 0, false, false),
		      "T fn0 0 FAILED " BOOM "\nN fn0 FAILED " BOOM "\nW FAILED " BOOM);
}

static void test_failure_node_aborted(void **state)
{
	struct rig *r = *state;

	python_node(r, "n0", 0, 0);
	failure_node(&r->w, "python-task");
	feed(r, accepted(&r->w, 1));
	feed(r, failed(r->a, 1, T0, N0, 0, false, false));
	assert_events(r, abort_input(r->a, 1, T0),
		      "T fn0 0 ABORTED {UNKNOWN Task Aborted: Workflow aborted.}\n"
		      "N fn0 ABORTED {UNKNOWN NodeAborted: Workflow aborted.}\nW ABORTED");
}

static void test_failure_node_not_needed(void **state)
{
	struct rig *r = *state;

	wf_node_new(&r->w, "n0", wf_task(&r->w, "echo", 0, 0));
	failure_node(&r->w, "echo");
	assert_null(strstr(feed(r, accepted(&r->w, 1)), "fn0"));
	assert_true(r->step.record->last);
}

/* A sub-workflow's own one, in its frame; what its node then fails with is the first error. */
static void test_inner_failure_node(void **state)
{
	struct rig *r = *state;
	struct wf inner = one_inside(r, "python-task");

	node_bind(&inner, failure_node(&inner, "echo"), "i0", promise(r->a, "", "z"));
	feed(r, accepted_with(r, int_literal(r->a, 1)));
	assert_events(r, failed(r->a, 1, T0, INNER_M0, 0, false, false),
		      "T n0-0-m0 0 FAILED " BOOM "\nN n0-0-m0 FAILED " BOOM
		      "\nN n0-0-fn0 QUEUED\nT n0-0-fn0 0 SUCCEEDED\nN n0-0-fn0 SUCCEEDED\nN n0 FAILED " BOOM
		      "\nW FAILING " BOOM "\nW FAILED " BOOM);
}

/* Nothing of the failed workflow starts any more once its failure node runs. */
static void test_failure_node_with_rest(void **state)
{
	struct rig *r = *state;
	AlulaInput *in = accepted(&r->w, 1);

	for (int i = 0; i < 3; i++)
		python_node(r, arena_printf(r->a, "n%d", i), 0, 0);
	failure_node(&r->w, "python-task");
	in->accepted->command->start->max_parallelism = 1;
	feed(r, in);
	const char *events = feed(r, failed(r->a, 1, T0, N0, 0, false, false));
	assert_non_null(strstr(events, "N fn0 RUNNING"));
	assert_null(strstr(events, "N n1"));
	assert_events(r, finished_with(r->a, 1, T0, 5, 0, NULL, ""),
		      "T fn0 0 SUCCEEDED\nN fn0 SUCCEEDED\nW FAILED " BOOM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_inner_workflow),
		TEST(test_inner_task),
		TEST(test_inner_failure),
		TEST(test_inner_abort),
		TEST(test_inner_timeout),
		TEST(test_nesting),
		TEST(test_endless),
		TEST(test_missing),
		TEST(test_unused),
		TEST(test_parallelism),
		TEST(test_failure_node),
		TEST(test_failure_node_fails),
		TEST(test_failure_node_aborted),
		TEST(test_failure_node_not_needed),
		TEST(test_inner_failure_node),
		TEST(test_failure_node_with_rest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

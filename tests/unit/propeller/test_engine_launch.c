/* Nodes that launch executions. */
#include "engine_rig.h"

#define PHASE(p) CORE_WORKFLOW_EXECUTION_PHASE_##p

static CoreNode *child(struct rig *r)
{
	CoreNode *n = node_add(&r->w, node_of_launch_plan(r->a, "n0", "plan"));

	node_bind(&r->w, n, "x", constant(r->a, int_literal(r->a, 7)));
	wf_output(&r->w, "y", promise(r->a, "n0", "o0"));
	return n;
}

static void test_launch(void **state)
{
	struct rig *r = *state;

	child(r);
	assert_events(r, accepted(&r->w, 1), "W RUNNING\nN start-node SUCCEEDED\nN n0 QUEUED");
	const struct child *c = find_action(&r->step, ACTION_LAUNCH, N0)->child;
	assert_string_equal(c->id.name, "x1-n0-0");
	assert_string_equal(c->id.project, "p");
	assert_string_equal(c->launch_plan->name, "plan");
	assert_string_equal(c->parent_node_id, "n0");
	assert_int_equal(c->inputs[0].literal->scalar->primitive->integer, 7);
	assert_string_equal(node_event(r, "n0")->target_entity->name, "plan");
	AlulaInput *start = child_started(r->a, 1, T0, N0, 0);
	assert_events(r, start, "N n0 RUNNING");
	assert_string_equal(node_event(r, "n0")->workflow_node_metadata->execution_id->name, "x1-n0-0");
	assert_events(r, start, "");
	engine_pending(r->e, 1, &r->step);
	assert_string_equal(find_action(&r->step, ACTION_LAUNCH, N0)->child->id.name, "x1-n0-0");
	assert_events(r, child_finished(r->a, 1, T0, "x1-n0-0", PHASE(RUNNING)), "");
	assert_events(r, child_finished(r->a, 1, T0, "x1-n9-0", PHASE(SUCCEEDED)), "");
	AlulaInput *end = child_finished(r->a, 1, T0, "x1-n0-0", PHASE(SUCCEEDED));
	child_outputs(end, add_literal(r->a, NULL, "o0", int_literal(r->a, 8)));
	assert_events(r, end, "N n0 SUCCEEDED\nN end-node QUEUED\nN end-node SUCCEEDED\nW SUCCEEDING\nW SUCCEEDED");
	assert_string_equal(node_event(r, "n0")->workflow_node_metadata->execution_id->name, "x1-n0-0");
	assert_int_equal(node_event(r, "end-node")->output_data->literals[0]->value->scalar->primitive->integer, 8);
}

/* The end may come first; large outputs are only referred to. */
static void test_end_first(void **state)
{
	struct rig *r = *state;

	child(r);
	feed(r, accepted(&r->w, 1));
	AlulaInput *end = child_finished(r->a, 1, T0, "x1-n0-0", PHASE(SUCCEEDED));
	child_outputs_uri(end, "/c/outputs.pb");
	assert_events(r, end, "N n0 RUNNING\nN n0 SUCCEEDED\nN end-node QUEUED");
	assert_string_equal(node_event(r, "n0")->output_uri, "/c/outputs.pb");
	const struct action *store = find_action(&r->step, ACTION_STORE_OUTPUTS, 1);
	assert_string_equal(store->values[0].uri, "/c/outputs.pb");
	assert_string_equal(store->values[0].uri_var, "o0");
	assert_events(r, child_started(r->a, 1, T0, N0, 0), "");
}

static const char *end_with(struct rig *r, CoreWorkflowExecutionPhase phase, const char *code)
{
	AlulaInput *end = child_finished(r->a, 1, T0, "x1-n0-0", phase);

	child(r);
	feed(r, accepted(&r->w, 1));
	feed(r, child_started(r->a, 1, T0, N0, 0));
	if (code) {
		end->child_finished->result_case = ALULA_CHILD_FINISHED_RESULT_ERROR;
		end->child_finished->error = pb_new(r->a, CORE_EXECUTION_ERROR_DESC);
		end->child_finished->error->code = (char *)code;
	}
	return feed(r, end);
}

static void test_child_fails(void **state)
{
	assert_true(
		str_starts(str_of(end_with(*state, PHASE(FAILED), "Sad")), "N n0 FAILED {UNKNOWN Sad: }\nW FAILING"));
}

static void test_child_fails_without_a_word(void **state)
{
	assert_true(str_starts(str_of(end_with(*state, PHASE(FAILED), NULL)),
			       "N n0 FAILED {UNKNOWN LaunchPlanExecutionFailed: Unknown Error}"));
}

static void test_child_is_aborted(void **state)
{
	assert_true(str_starts(str_of(end_with(*state, PHASE(ABORTED), NULL)),
			       "N n0 FAILED {USER RemoteChildWorkflowExecutionFailed: failed at Node[n0]. "
			       "RemoteChildWorkflowExecutionFailed: launchplan [x1-n0-0] aborted, caused by: "
			       "launchplan execution aborted}"));
}

static void test_cannot_launch(void **state)
{
	struct rig *r = *state;
	AlulaInput *in = child_started(r->a, 1, T0, N0, 0);

	child(r);
	feed(r, accepted(&r->w, 1));
	in->child_started->error = pb_new(r->a, CORE_EXECUTION_ERROR_DESC);
	in->child_started->error->code = "RuntimeExecutionError";
	assert_true(str_starts(str_of(feed(r, in)), "N n0 FAILED {UNKNOWN RuntimeExecutionError: }\nW FAILING"));
	assert_events(r, child_finished(r->a, 1, T0, "x1-n0-0", PHASE(SUCCEEDED)), "");
}

static void test_abort(void **state)
{
	struct rig *r = *state;

	child(r);
	feed(r, accepted(&r->w, 1));
	feed(r, child_started(r->a, 1, T0, N0, 0));
	assert_events(r, abort_input(r->a, 1, T0), "N n0 ABORTED {UNKNOWN NodeAborted: Workflow aborted.}\nW ABORTED");
	const struct child *c = find_action(&r->step, ACTION_ABORT_CHILD, N0)->child;
	assert_string_equal(c->id.name, "x1-n0-0");
	assert_string_equal(c->reason,
			    "cascading abort as parent execution id [x1] aborted, reason [Workflow aborted.]");
	engine_pending(r->e, 1, &r->step);
	assert_non_null(find_action(&r->step, ACTION_ABORT_CHILD, N0));
}

/* What was stopped in a sub-workflow that is over is still stopped again after a restart. */
static void test_orphans(void **state)
{
	struct rig *r = *state;
	struct wf inner = wf_inner(&r->w, "inner");

	r->w.template->metadata->on_failure =
		CORE_WORKFLOW_METADATA_ON_FAILURE_POLICY_FAIL_AFTER_EXECUTABLE_NODES_COMPLETE;
	CoreNode *n = node_add(&r->w, node_of_workflow(r->a, "n0", &inner));
	n->metadata->timeout = pb_duration(r->a, 60 * USEC_PER_SEC);
	python_node(r, "n1", 0, 0);
	node_add(&inner, node_of_launch_plan(r->a, "child", "plan"));
	wf_node_new(&inner, "task", wf_task(&inner, "python-task", 0, 0));
	feed(r, accepted(&r->w, 1));
	assert_string_equal(find_action(&r->step, ACTION_LAUNCH, 6)->child->id.name, "x1-n0-0-child-0");
	const char *events = feed(r, timer_fired(r->a, 1, T0 + 60 * USEC_PER_SEC, 3, N0, 0));
	assert_non_null(strstr(events, "N n0-0-child ABORTED"));
	assert_non_null(strstr(events, "N n0 FAILED {USER RetriesExhausted|TimeoutExpired"));
	engine_pending(r->e, 1, &r->step);
	assert_string_equal(find_action(&r->step, ACTION_ABORT_CHILD, 0)->child->id.name, "x1-n0-0-child-0");
	assert_non_null(find_action(&r->step, ACTION_ABORT_ATTEMPT, 7));
}

static void test_names_are_short(void **state)
{
	struct rig *r = *state;
	AlulaInput *in = accepted(&r->w, 1);

	child(r);
	in->accepted->command->id->name = "a-rather-long-name-of-an-execution";
	feed(r, in);
	const char *name = find_action(&r->step, ACTION_LAUNCH, N0)->child->id.name;
	assert_int_equal(strlen(name), 14); /* 64 bits: 32 would collide */
	assert_int_equal(name[0], 'f');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_launch),
		TEST(test_end_first),
		TEST(test_child_fails),
		TEST(test_child_fails_without_a_word),
		TEST(test_child_is_aborted),
		TEST(test_cannot_launch),
		TEST(test_abort),
		TEST(test_orphans),
		TEST(test_names_are_short),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

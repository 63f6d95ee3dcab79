/* Tasks that give workflows. */
#include "engine_rig.h"

/* A workflow of one task, for a node whose task gives it. */
static struct wf given(struct rig *r, const char *type)
{
	struct wf w = wf_new(r->a);

	w.template->id = identifier(r->a, CORE_RESOURCE_TYPE_WORKFLOW, "dynamic_n0");
	node_bind(&w, wf_node_new(&w, "dn0", wf_task(&w, type, 1, 1)), "i0", constant(r->a, int_literal(r->a, 9)));
	wf_output(&w, "o0", promise(r->a, "dn0", "o0"));
	return w;
}

static CoreNode *dynamic_node(struct rig *r)
{
	CoreNode *n = python_node(r, "n0", 0, 1);

	wf_output(&r->w, "y", promise(r->a, "n0", "o0"));
	return n;
}

enum { DN0 = 3 + 2 };

static void test_dynamic(void **state)
{
	struct rig *r = *state;
	struct wf w = given(r, "echo");

	dynamic_node(r);
	feed(r, accepted(&r->w, 1));
	feed(r, started(r->a, 1, T0, N0, 0));
	assert_events(r, finished_dynamic(r->a, 1, T0, N0, 0, w.closure),
		      "T n0 0 SUCCEEDED\nN n0 DYNAMIC_RUNNING\nN n0-0-start-node SUCCEEDED\nN n0-0-dn0 QUEUED\n"
		      "T n0-0-dn0 0 SUCCEEDED\nN n0-0-dn0 SUCCEEDED\nN n0-0-end-node QUEUED\n"
		      "N n0-0-end-node SUCCEEDED\nN n0 SUCCEEDED\nN end-node QUEUED\nN end-node SUCCEEDED\n"
		      "W SUCCEEDING\nW SUCCEEDED");
	const EventNodeExecutionEvent *n = r->step.record->events[1]->node;
	const EventDynamicWorkflowNodeMetadata *d = n->task_node_metadata->dynamic_workflow;
	assert_true(n->is_dynamic && n->is_parent);
	assert_string_equal(d->id->name, "dynamic_n0");
	assert_string_equal(d->dynamic_job_spec_uri, "/s/futures.pb");
	assert_non_null(d->compiled_workflow->primary);
	assert_true(node_event(r, "n0-0-dn0")->is_in_dynamic_chain);
	assert_false(node_event(r, "n0")->is_in_dynamic_chain);
	assert_true(node_event(r, "n0")->is_dynamic);
	assert_string_equal(node_event(r, "n0-0-dn0")->parent_node_metadata->node_id, "n0");
	assert_int_equal(node_event(r, "n0")->output_data->literals[0]->value->scalar->primitive->integer, 9);
	assert_int_equal(node_event(r, "end-node")->output_data->literals[0]->value->scalar->primitive->integer, 9);
}

/* A large workflow stays out of the events. */
static void test_large(void **state)
{
	struct rig *r = *state;
	struct wf w = given(r, "echo");

	for (int i = 1; i < 2000; i++)
		node_bind(&w, wf_node_new(&w, arena_printf(r->a, "dn%d", i), w.closure->tasks[0]->template_), "i0",
			  constant(r->a, int_literal(r->a, i)));
	dynamic_node(r);
	feed(r, accepted(&r->w, 1));
	feed(r, finished_dynamic(r->a, 1, T0, N0, 0, w.closure));
	const EventDynamicWorkflowNodeMetadata *d =
		r->step.record->events[1]->node->task_node_metadata->dynamic_workflow;
	assert_string_equal(d->id->name, "dynamic_n0");
	assert_string_equal(d->dynamic_job_spec_uri, "/s/futures.pb");
	assert_null(d->compiled_workflow);
}

static void test_its_tasks(void **state)
{
	struct rig *r = *state;
	struct wf w = given(r, "python-task");

	dynamic_node(r);
	AlulaInput *in = accepted(&r->w, 1);
	in->accepted->command->start->max_parallelism = 1; /* the node itself no longer counts */
	feed(r, in);
	feed(r, finished_dynamic(r->a, 1, T0, N0, 0, w.closure));
	const struct attempt *a = find_action(&r->step, ACTION_START_ATTEMPT, DN0)->start;
	assert_string_equal(a->output_prefix, "/m/p-development-x1/n0/data/0/dn0/0");
	assert_string_equal(a->unique_name, "x1-n0-0-dn0-0");
	/* The task's own attempt is over. */
	assert_events(r, finished_with(r->a, 1, T0, N0, 0, NULL, ""), "");
	engine_pending(r->e, 1, &r->step);
	assert_null(find_action(&r->step, ACTION_START_ATTEMPT, N0));
	assert_non_null(find_action(&r->step, ACTION_START_ATTEMPT, DN0));
	assert_events(r, abort_input(r->a, 1, T0),
		      "T n0-0-dn0 0 ABORTED {UNKNOWN Task Aborted: Workflow aborted.}\n"
		      "N n0-0-dn0 ABORTED {UNKNOWN NodeAborted: Workflow aborted.}\n"
		      "N n0 ABORTED {UNKNOWN NodeAborted: Workflow aborted.}\nW ABORTED");
}

#define BOOM "{USER Boom: it broke}"

/* For good, whatever retries the node has. */
static void test_failure(void **state)
{
	struct rig *r = *state;
	struct wf w = given(r, "python-task");

	node_retries(&r->w, dynamic_node(r), 3);
	feed(r, accepted(&r->w, 1));
	feed(r, finished_dynamic(r->a, 1, T0, N0, 0, w.closure));
	assert_events(r, failed(r->a, 1, T0, DN0, 0, false, false),
		      "T n0-0-dn0 0 FAILED " BOOM "\nN n0-0-dn0 FAILED " BOOM "\nN n0 FAILED " BOOM "\nW FAILING " BOOM
		      "\nW FAILED " BOOM);
}

/* A node in it that timed out lets the task run again. */
static void test_timeout_inside(void **state)
{
	struct rig *r = *state;
	struct wf w = given(r, "python-task");

	node_retries(&r->w, dynamic_node(r), 1);
	w.template->nodes[0]->metadata->timeout = pb_duration(r->a, 60 * USEC_PER_SEC);
	node_retries(&w, w.template->nodes[0], 9);
	feed(r, accepted(&r->w, 1));
	feed(r, finished_dynamic(r->a, 1, T0, N0, 0, w.closure));
	feed(r, started(r->a, 1, T0, DN0, 0));
	const char *events = feed(r, timer_fired(r->a, 1, T0 + 120 * USEC_PER_SEC, 2, DN0, 0));
	assert_non_null(strstr(events, "N n0-0-dn0 TIMED_OUT"));
	assert_non_null(strstr(events, "T n0 1 QUEUED"));
	assert_non_null(find_action(&r->step, ACTION_START_ATTEMPT, N0));
	events = feed(r, finished_dynamic(r->a, 1, T0, N0, 1, given(r, "echo").closure));
	assert_non_null(strstr(events, "N n0-1-dn0 SUCCEEDED"));
	assert_non_null(strstr(events, "W SUCCEEDED"));
}

static void test_cannot_be_built(void **state)
{
	struct rig *r = *state;
	struct wf w = given(r, "echo");

	dynamic_node(r);
	feed(r, accepted(&r->w, 1));
	assert_true(str_starts(str_of(feed(r, finished_dynamic(r->a, 1, T0, N0, 0, NULL))),
			       "T n0 0 SUCCEEDED\nN n0 FAILED {USER DynamicWorkflowBuildFailed: no good}\nW FAILING"));
	engine_forget(r->e, 1);
	feed(r, accepted(&r->w, 1));
	node_after(&w, w.template->nodes[0], "nowhere");
	assert_non_null(strstr(feed(r, finished_dynamic(r->a, 1, T0, N0, 0, w.closure)),
			       "N n0 FAILED {USER DynamicWorkflowBuildFailed: node [dn0]: upstream node [nowhere]"));
	engine_forget(r->e, 1);
	feed(r, accepted(&r->w, 1));
	AlulaInput *in = finished_dynamic(r->a, 1, T0, N0, 0, NULL);
	in->attempt_finished->dynamic->error = NULL;
	assert_non_null(strstr(feed(r, in), "DynamicWorkflowBuildFailed: the task gave no workflow"));
}

/* A dynamic node in a dynamic node. */
static void test_nested(void **state)
{
	struct rig *r = *state;

	dynamic_node(r);
	feed(r, accepted(&r->w, 1));
	feed(r, finished_dynamic(r->a, 1, T0, N0, 0, given(r, "python-task").closure));
	const char *events = feed(r, finished_dynamic(r->a, 1, T0, DN0, 0, given(r, "echo").closure));
	assert_non_null(strstr(events, "N n0-0-dn0 DYNAMIC_RUNNING"));
	assert_non_null(strstr(events, "N n0-0-dn0-0-dn0 SUCCEEDED"));
	assert_non_null(strstr(events, "W SUCCEEDED"));
	assert_true(node_event(r, "n0-0-dn0")->is_in_dynamic_chain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_dynamic),        TEST(test_large),           TEST(test_its_tasks), TEST(test_failure),
		TEST(test_timeout_inside), TEST(test_cannot_be_built), TEST(test_nested),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

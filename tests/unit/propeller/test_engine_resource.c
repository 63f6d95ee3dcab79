/* Attempts that something outside runs: what was made for them is kept, and what is told of them. */
#include "engine_rig.h"

#define PHASE(p) CORE_TASK_EXECUTION_PHASE_##p

static void one_task(struct rig *r)
{
	CoreTaskTemplate *t = wf_task(&r->w, "spark", 0, 0);

	t->metadata->retries = pb_new(r->a, CORE_RETRY_STRATEGY_DESC);
	t->metadata->retries->retries = 1;
	t->metadata->timeout = pb_duration(r->a, 60 * USEC_PER_SEC);
	wf_node_new(&r->w, "n0", t);
	feed(r, accepted(&r->w, 1));
}

static const EventTaskExecutionEvent *task_event(const struct rig *r)
{
	const AlulaRecord *record = r->step.record;

	for (size_t i = 0; i < record->n_events; i++)
		if (record->events[i]->event_case == ALULA_EXECUTION_EVENT_EVENT_TASK)
			return record->events[i]->task;
	fail_msg("no event of a task");
	return NULL;
}

static void is_meta(const struct attempt_resource *r, const char *meta)
{
	assert_non_null(r);
	assert_true(str_is(r->meta, meta));
	assert_string_equal(r->plugin, "connector-service");
	assert_string_equal(r->endpoint, "host:1");
}

static void test_made_and_watched(void **state)
{
	struct rig *r = *state;

	one_task(r);
	assert_string_equal(task_event(r)->metadata->plugin_identifier, "container");
	AlulaInput *made = resource_made(r->a, 1, T0, N0, 0);
	assert_events(r, made, "T n0 0 QUEUED");
	assert_int_equal(task_event(r)->phase_version, 2);
	assert_string_equal(task_event(r)->reasons[0]->reason, "launched");
	assert_string_equal(task_event(r)->metadata->plugin_identifier, "connector-service");
	assert_non_null(find_action(&r->step, ACTION_WATCH_ATTEMPT, N0));
	assert_int_equal(find_action(&r->step, ACTION_SET_TIMER, N0)->at_us, T0 + 60 * USEC_PER_SEC);
	/* Only the first one counts. */
	assert_events(r, made, "");
	assert_null(r->step.record);
	/* Each update is an event of its own. */
	assert_events(r, updated(r->a, 1, T0, N0, 0, PHASE(QUEUED)), "T n0 0 QUEUED");
	assert_int_equal(task_event(r)->phase_version, 3);
	assert_events(r, updated(r->a, 1, T0, N0, 0, PHASE(RUNNING)), "T n0 0 RUNNING");
	assert_int_equal(task_event(r)->phase_version, 0);
	assert_events(r, updated(r->a, 1, T0, N0, 0, PHASE(RUNNING)), "T n0 0 RUNNING");
	assert_int_equal(task_event(r)->phase_version, 1);
	assert_string_equal(task_event(r)->reasons[0]->reason, "so it goes");
	assert_events(r, updated(r->a, 1, T0, N0, 1, PHASE(RUNNING)), "");
	assert_events(r, updated(r->a, 1, T0, N0, 0, PHASE(SUCCEEDED)), "");
	/* The end has the logs that were told before. */
	feed(r, finished_with(r->a, 1, T0, N0, 0, NULL, ""));
	assert_int_equal(task_event(r)->phase, PHASE(SUCCEEDED));
	assert_string_equal(task_event(r)->logs[0]->uri, "/logs/2");
	assert_string_equal(task_event(r)->metadata->plugin_identifier, "connector-service");
	engine_pending(r->e, 1, &r->step);
	assert_null(find_action(&r->step, ACTION_ABORT_ATTEMPT, N0));
}

static void test_restart(void **state)
{
	struct rig *r = *state;

	one_task(r);
	engine_pending(r->e, 1, &r->step);
	assert_null(find_action(&r->step, ACTION_START_ATTEMPT, N0)->start->resource);
	feed(r, resource_made(r->a, 1, T0, N0, 0));
	engine_pending(r->e, 1, &r->step);
	is_meta(find_action(&r->step, ACTION_START_ATTEMPT, N0)->start->resource, "m2.0");
	assert_null(find_action(&r->step, ACTION_WATCH_ATTEMPT, N0));
}

/* A failed attempt's is over; the next one makes its own. */
static void test_retry(void **state)
{
	struct rig *r = *state;

	one_task(r);
	feed(r, resource_made(r->a, 1, T0, N0, 0));
	feed(r, updated(r->a, 1, T0, N0, 0, PHASE(RUNNING)));
	assert_events(r, failed(r->a, 1, T0, N0, 0, true, false), "T n0 0 FAILED {USER Boom: it broke}\nT n0 1 QUEUED");
	engine_pending(r->e, 1, &r->step);
	const struct action *start = find_action(&r->step, ACTION_START_ATTEMPT, N0);
	assert_int_equal(start->attempt, 1);
	assert_null(start->start->resource);
	assert_null(find_action(&r->step, ACTION_ABORT_ATTEMPT, N0)->resource);
	assert_events(r, updated(r->a, 1, T0, N0, 1, PHASE(RUNNING)), "");
	feed(r, resource_made(r->a, 1, T0, N0, 1));
	assert_events(r, updated(r->a, 1, T0, N0, 1, PHASE(RUNNING)), "T n0 1 RUNNING");
	assert_int_equal(task_event(r)->phase_version, 0);
}

/* One that timed out is removed, again after a restart, until the execution is over. */
static void test_timeout(void **state)
{
	struct rig *r = *state;

	one_task(r);
	feed(r, resource_made(r->a, 1, T0, N0, 0));
	uint32_t timer = find_action(&r->step, ACTION_SET_TIMER, N0)->timer;
	feed(r, timer_fired(r->a, 1, T0 + 61 * USEC_PER_SEC, timer, N0, 0));
	is_meta(find_action(&r->step, ACTION_ABORT_ATTEMPT, N0)->resource, "m2.0");
	feed(r, resource_made(r->a, 1, T0, N0, 1));
	feed(r, finished_with(r->a, 1, T0, N0, 1, NULL, ""));
	engine_pending(r->e, 1, &r->step);
	const struct action *again = find_action(&r->step, ACTION_ABORT_ATTEMPT, N0);
	assert_int_equal(again->attempt, 0);
	is_meta(again->resource, "m2.0");
}

static void test_abort(void **state)
{
	struct rig *r = *state;

	one_task(r);
	feed(r, resource_made(r->a, 1, T0, N0, 0));
	feed(r, abort_input(r->a, 1, T0));
	is_meta(find_action(&r->step, ACTION_ABORT_ATTEMPT, N0)->resource, "m2.0");
	engine_pending(r->e, 1, &r->step);
	is_meta(find_action(&r->step, ACTION_ABORT_ATTEMPT, N0)->resource, "m2.0");
	/* Late words change nothing. */
	assert_events(r, updated(r->a, 1, T0, N0, 0, PHASE(RUNNING)), "");
	assert_events(r, resource_made(r->a, 1, T0, N0, 0), "");
}

/* Found by the simulator: the last event named another plugin than those before. */
static void test_cached(void **state)
{
	struct rig *r = *state;

	python_node(r, "n0", 0, 1);
	r->w.closure->tasks[0]->template_->metadata->discoverable = true;
	AlulaInput *in = accepted(&r->w, 1);
	in->accepted->caching = true;
	feed(r, in);
	feed(r, cache_missed(r->a, 1, N0, 0, false, ""));
	feed(r, resource_made(r->a, 1, T0, N0, 0));
	feed(r, finished_with(r->a, 1, T0, N0, 0, NULL, "/s/outputs.pb"));
	/* There is nothing to stop any more. */
	engine_pending(r->e, 1, &r->step);
	assert_null(find_action(&r->step, ACTION_ABORT_ATTEMPT, N0));
	feed(r, cache_put(r->a, 1, N0, 0, CORE_CATALOG_CACHE_STATUS_CACHE_POPULATED));
	const EventTaskExecutionEvent *t = r->step.record->events[0]->task;
	assert_int_equal(t->phase, CORE_TASK_EXECUTION_PHASE_SUCCEEDED);
	assert_string_equal(t->metadata->plugin_identifier, "connector-service");
}

static void test_nonsense(void **state)
{
	struct rig *r = *state;

	one_task(r);
	assert_events(r, resource_made(r->a, 1, T0, 99, 0), "");
	assert_events(r, resource_made(r->a, 1, T0, 0, 0), "");
	assert_events(r, resource_made(r->a, 1, T0, N0, 7), "");
	assert_events(r, updated(r->a, 1, T0, N0, 0, PHASE(RUNNING)), "");
	feed(r, resource_made(r->a, 1, T0, N0, 0));
	assert_events(r, updated(r->a, 1, T0, N0, 0, (CoreTaskExecutionPhase)77), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_made_and_watched), TEST(test_restart), TEST(test_retry), TEST(test_timeout), TEST(test_abort),
		TEST(test_nonsense),         TEST(test_cached),
	};

	return cmocka_run_group_tests_name("engine resources", tests, NULL, NULL);
}

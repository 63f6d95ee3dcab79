/* Cached tasks. */
#include "engine_rig.h"

#define STATUS(s) CORE_CATALOG_CACHE_STATUS_CACHE_##s
enum { ITEM0 = 3 }; /* after start, end and n0 */

static CoreTaskTemplate *cached_task(struct rig *r, const char *type, bool serialize)
{
	CoreTaskTemplate *t = wf_task(&r->w, type, 1, 1);

	t->metadata->discoverable = true;
	t->metadata->discovery_version = "1.0";
	t->metadata->cache_serializable = serialize;
	return t;
}

/* "n0" is cached, and its output the workflow's. */
static CoreNode *cached_node(struct rig *r, const char *type, bool serialize)
{
	CoreNode *n = wf_node_new(&r->w, "n0", cached_task(r, type, serialize));

	node_bind(&r->w, n, "i0", constant(r->a, int_literal(r->a, 7)));
	wf_output(&r->w, "y", promise(r->a, "n0", "o0"));
	return n;
}

static AlulaInput *caching(struct rig *r)
{
	AlulaInput *in = accepted(&r->w, 1);

	in->accepted->caching = true;
	return in;
}

static CoreLiteralMap *nine(struct rig *r)
{
	return add_literal(r->a, NULL, "o0", int_literal(r->a, 9));
}

static AlulaInput *gives_nine(struct rig *r)
{
	return finished_with(r->a, 1, T0, N0, 0, nine(r), "/s/outputs.pb");
}

static AlulaInput *put_done(struct rig *r, CoreCatalogCacheStatus status)
{
	return cache_put(r->a, 1, N0, 0, status);
}

static const EventTaskNodeMetadata *metadata(const struct rig *r, const char *node)
{
	const EventNodeExecutionEvent *e = node_event(r, node);

	assert_int_equal(e->target_metadata_case, EVENT_NODE_EXECUTION_EVENT_TARGET_METADATA_TASK_NODE_METADATA);
	return e->task_node_metadata;
}

static int64_t output_of(const struct rig *r, const char *node)
{
	return node_event(r, node)->output_data->literals[0]->value->scalar->primitive->integer;
}

#define ENDS "N end-node QUEUED\nN end-node SUCCEEDED\nW SUCCEEDING\nW SUCCEEDED"
#define BEGINS                                                                                                         \
	"N n0 QUEUED\nT n0 0 QUEUED\n"                                                                                 \
	"N n0 RUNNING"

static void test_without_a_cache(void **state)
{
	struct rig *r = *state;

	cached_node(r, "python-task", true);
	assert_events(r, accepted(&r->w, 1), "W RUNNING\nN start-node SUCCEEDED\n" BEGINS);
	assert_null(find_action(&r->step, ACTION_CACHE_LOOKUP, N0));
	assert_events(r, gives_nine(r), "T n0 0 SUCCEEDED\nN n0 SUCCEEDED\n" ENDS);
}

static void test_hit(void **state)
{
	struct rig *r = *state;

	cached_node(r, "python-task", false);
	assert_events(r, caching(r), "W RUNNING\nN start-node SUCCEEDED");
	assert_null(find_action(&r->step, ACTION_START_ATTEMPT, N0));
	const struct cache_ask *c = find_action(&r->step, ACTION_CACHE_LOOKUP, N0)->cache;
	assert_string_equal(c->version, "1.0");
	assert_string_equal(c->owner, "x1-n0-0");
	assert_string_equal(c->outputs_uri, "/m/p-development-x1/n0/data/0/outputs.pb");
	assert_int_equal(c->inputs[0].literal->scalar->primitive->integer, 7);
	assert_string_equal(c->task->id->name, "python-task-0");
	assert_false(c->serialize || c->keeps_inline);
	AlulaInput *hit = cache_hit(r->a, 1, N0, 0, nine(r), "/c/outputs.pb");
	assert_events(r, hit, "N n0 SUCCEEDED\n" ENDS);
	assert_int_equal(metadata(r, "n0")->cache_status, STATUS(HIT));
	assert_string_equal(metadata(r, "n0")->catalog_key->dataset_id->name, "flyte_task-t");
	assert_string_equal(node_event(r, "n0")->output_uri, "/c/outputs.pb");
	assert_int_equal(node_event(r, "n0")->input_data->literals[0]->value->scalar->primitive->integer, 7);
	assert_int_equal(output_of(r, "end-node"), 9);
	assert_events(r, hit, "");
}

static void test_miss_and_put(void **state)
{
	struct rig *r = *state;

	cached_node(r, "python-task", false);
	feed(r, caching(r));
	assert_events(r, cache_missed(r->a, 1, N0, 0, false, ""), BEGINS);
	assert_non_null(find_action(&r->step, ACTION_START_ATTEMPT, N0));
	assert_events(r, cache_missed(r->a, 1, N0, 0, false, ""), "");
	assert_events(r, put_done(r, STATUS(POPULATED)), "");
	/* The end waits for the cache. */
	assert_events(r, gives_nine(r), "");
	assert_non_null(r->step.record);
	const struct cache_ask *c = find_action(&r->step, ACTION_CACHE_PUT, N0)->cache;
	assert_int_equal(c->outputs[0].literal->scalar->primitive->integer, 9);
	assert_string_equal(c->source->node_execution_id->node_id, "n0");
	assert_string_equal(c->source->node_execution_id->execution_id->name, "x1");
	assert_false(c->overwrite);
	assert_events(r, gives_nine(r), "");
	engine_pending(r->e, 1, &r->step);
	assert_null(find_action(&r->step, ACTION_START_ATTEMPT, N0));
	c = find_action(&r->step, ACTION_CACHE_PUT, N0)->cache;
	assert_int_equal(c->outputs[0].literal->scalar->primitive->integer, 9);
	assert_events(r, put_done(r, STATUS(POPULATED)), "T n0 0 SUCCEEDED\nN n0 SUCCEEDED\n" ENDS);
	assert_int_equal(metadata(r, "n0")->cache_status, STATUS(POPULATED));
	assert_string_equal(metadata(r, "n0")->checkpoint_uri, "/raw/fs/x1-n0-0/_flytecheckpoints");
	assert_string_equal(node_event(r, "n0")->output_uri, "/s/outputs.pb");
	assert_int_equal(output_of(r, "end-node"), 9);
}

/* Large outputs are named, not handed over. */
static void test_put_of_what_is_stored(void **state)
{
	struct rig *r = *state;

	cached_node(r, "python-task", false);
	feed(r, caching(r));
	feed(r, cache_missed(r->a, 1, N0, 0, false, ""));
	feed(r, finished_with(r->a, 1, T0, N0, 0, NULL, "/s/outputs.pb"));
	const struct cache_ask *c = find_action(&r->step, ACTION_CACHE_PUT, N0)->cache;
	assert_int_equal(c->n_outputs, 1);
	assert_string_equal(c->outputs[0].uri, "/s/outputs.pb");
	assert_string_equal(c->outputs[0].uri_var, "o0");
	assert_events(r, put_done(r, STATUS(PUT_FAILURE)), "T n0 0 SUCCEEDED\nN n0 SUCCEEDED\nN end-node QUEUED");
	assert_int_equal(metadata(r, "n0")->cache_status, STATUS(PUT_FAILURE));
}

static void test_lookup_fails(void **state)
{
	struct rig *r = *state;

	cached_node(r, "python-task", true);
	feed(r, caching(r));
	assert_events(r, cache_missed(r->a, 1, N0, 0, false, "no datacatalog"), BEGINS);
	assert_int_equal(metadata(r, "n0")->cache_status, STATUS(LOOKUP_FAILURE));
	assert_string_equal(metadata(r, "n0")->catalog_key->dataset_id->name, "python-task-0");
	assert_int_equal(metadata(r, "n0")->reservation_status, CORE_CATALOG_RESERVATION_STATUS_RESERVATION_DISABLED);
}

static void test_waits_and_reserves(void **state)
{
	struct rig *r = *state;
	AlulaInput *waiting = cache_waiting(r->a, 1, N0, 0);

	cached_node(r, "python-task", true);
	feed(r, caching(r));
	assert_true(find_action(&r->step, ACTION_CACHE_LOOKUP, N0)->cache->serialize);
	assert_events(r, waiting, "N n0 QUEUED");
	assert_events(r, waiting, "");
	engine_pending(r->e, 1, &r->step);
	assert_non_null(find_action(&r->step, ACTION_CACHE_LOOKUP, N0));
	assert_null(find_action(&r->step, ACTION_CACHE_HOLD, N0));
	assert_events(r, cache_missed(r->a, 1, N0, 0, true, ""), "T n0 0 QUEUED\nN n0 RUNNING");
	assert_int_equal(metadata(r, "n0")->reservation_status, CORE_CATALOG_RESERVATION_STATUS_RESERVATION_ACQUIRED);
	engine_pending(r->e, 1, &r->step);
	assert_string_equal(find_action(&r->step, ACTION_CACHE_HOLD, N0)->cache->owner, "x1-n0-0");
	assert_non_null(find_action(&r->step, ACTION_START_ATTEMPT, N0));
	feed(r, gives_nine(r));
	assert_null(find_action(&r->step, ACTION_CACHE_RELEASE, N0));
	assert_events(r, put_done(r, STATUS(POPULATED)), "T n0 0 SUCCEEDED\nN n0 SUCCEEDED\n" ENDS);
	assert_int_equal(metadata(r, "n0")->reservation_status, CORE_CATALOG_RESERVATION_STATUS_RESERVATION_RELEASED);
	assert_non_null(find_action(&r->step, ACTION_CACHE_RELEASE, N0));
}

/* All attempts of a node are one owner; the reservation ends with the last one. */
static void test_failures_release(void **state)
{
	struct rig *r = *state;

	node_retries(&r->w, cached_node(r, "python-task", true), 1);
	feed(r, caching(r));
	feed(r, cache_missed(r->a, 1, N0, 0, true, ""));
	assert_events(r, failed(r->a, 1, T0, N0, 0, true, false), "T n0 0 FAILED {USER Boom: it broke}\nT n0 1 QUEUED");
	assert_null(find_action(&r->step, ACTION_CACHE_RELEASE, N0));
	assert_null(find_action(&r->step, ACTION_CACHE_LOOKUP, N0));
	feed(r, failed(r->a, 1, T0, N0, 1, true, false));
	assert_string_equal(find_action(&r->step, ACTION_CACHE_RELEASE, N0)->cache->owner, "x1-n0-0");
}

#define ABORTED "W ABORTED"

/* Nobody heard of the node, so nobody hears of its end. */
static void test_abort_while_looking(void **state)
{
	struct rig *r = *state;

	cached_node(r, "python-task", true);
	feed(r, caching(r));
	assert_events(r, abort_input(r->a, 1, T0), ABORTED);
	assert_non_null(find_action(&r->step, ACTION_CACHE_RELEASE, N0));
	assert_null(find_action(&r->step, ACTION_ABORT_ATTEMPT, N0));
}

static void test_abort_while_waiting(void **state)
{
	struct rig *r = *state;

	cached_node(r, "python-task", true);
	feed(r, caching(r));
	feed(r, cache_waiting(r->a, 1, N0, 0));
	assert_events(r, abort_input(r->a, 1, T0), "N n0 ABORTED {UNKNOWN NodeAborted: Workflow aborted.}\n" ABORTED);
	assert_non_null(find_action(&r->step, ACTION_CACHE_RELEASE, N0));
}

static void test_abort_while_putting(void **state)
{
	struct rig *r = *state;

	cached_node(r, "python-task", true);
	feed(r, caching(r));
	feed(r, cache_missed(r->a, 1, N0, 0, true, ""));
	feed(r, gives_nine(r));
	assert_events(r, abort_input(r->a, 1, T0),
		      "T n0 0 ABORTED {UNKNOWN Task Aborted: Workflow aborted.}\n"
		      "N n0 ABORTED {UNKNOWN NodeAborted: Workflow aborted.}\n" ABORTED);
	assert_non_null(find_action(&r->step, ACTION_CACHE_RELEASE, N0));
}

static void test_overwrite(void **state)
{
	struct rig *r = *state;
	AlulaInput *in = caching(r);

	in->accepted->command->start->overwrite_cache = true;
	cached_node(r, "python-task", true);
	assert_events(r, in, "W RUNNING\nN start-node SUCCEEDED\n" BEGINS);
	assert_int_equal(metadata(r, "n0")->cache_status, STATUS(SKIPPED));
	feed(r, gives_nine(r));
	assert_true(find_action(&r->step, ACTION_CACHE_PUT, N0)->cache->overwrite);
	assert_events(r, put_done(r, STATUS(POPULATED)), "T n0 0 SUCCEEDED\nN n0 SUCCEEDED\n" ENDS);
	assert_null(find_action(&r->step, ACTION_CACHE_RELEASE, N0));
}

/* What a node says comes before what its task says. */
static void test_overrides(void **state)
{
	struct rig *r = *state;
	CoreNode *n0 = cached_node(r, "python-task", true), *n1 = python_node(r, "n1", 0, 1);

	n0->metadata->cacheable_value_case = CORE_NODE_METADATA_CACHEABLE_VALUE_CACHEABLE;
	n1->metadata->cacheable_value_case = CORE_NODE_METADATA_CACHEABLE_VALUE_CACHEABLE;
	n1->metadata->cacheable = true;
	n1->metadata->cache_version_value_case = CORE_NODE_METADATA_CACHE_VERSION_VALUE_CACHE_VERSION;
	n1->metadata->cache_version = "9";
	n1->metadata->cache_serializable_value_case = CORE_NODE_METADATA_CACHE_SERIALIZABLE_VALUE_CACHE_SERIALIZABLE;
	n1->metadata->cache_serializable = true;
	feed(r, caching(r));
	assert_null(find_action(&r->step, ACTION_CACHE_LOOKUP, N0));
	const struct cache_ask *c = find_action(&r->step, ACTION_CACHE_LOOKUP, N1)->cache;
	assert_string_equal(c->version, "9");
	assert_true(c->serialize);
}

/* Asking takes nobody's place; running does. */
static void test_parallelism(void **state)
{
	struct rig *r = *state;
	AlulaInput *in = caching(r);

	in->accepted->command->start->max_parallelism = 1;
	cached_node(r, "python-task", false);
	node_bind(&r->w, wf_node_new(&r->w, "n1", r->w.closure->tasks[0]->template_), "i0",
		  constant(r->a, int_literal(r->a, 8)));
	feed(r, in);
	assert_non_null(find_action(&r->step, ACTION_CACHE_LOOKUP, N0));
	assert_non_null(find_action(&r->step, ACTION_CACHE_LOOKUP, N1));
	assert_events(r, cache_missed(r->a, 1, N1, 0, false, ""), "N n1 QUEUED\nT n1 0 QUEUED\nN n1 RUNNING");
	assert_events(r, cache_missed(r->a, 1, N0, 0, false, ""), "");
	assert_non_null(r->step.record);
	feed(r, finished_with(r->a, 1, T0, N1, 0, nine(r), "/s/1"));
	assert_events(r, cache_put(r->a, 1, N1, 0, STATUS(POPULATED)), "T n1 0 SUCCEEDED\nN n1 SUCCEEDED\n" BEGINS);
}

/* Found by the simulator: whoever had the reservation waited for a place, and who had the place for the reservation. */
static void test_reservations_have_places(void **state)
{
	struct rig *r = *state;
	AlulaInput *in = caching(r);

	in->accepted->command->start->max_parallelism = 1;
	cached_node(r, "python-task", true);
	node_bind(&r->w, wf_node_new(&r->w, "n1", r->w.closure->tasks[0]->template_), "i0",
		  constant(r->a, int_literal(r->a, 7)));
	feed(r, in);
	assert_non_null(find_action(&r->step, ACTION_CACHE_LOOKUP, N0));
	assert_null(find_action(&r->step, ACTION_CACHE_LOOKUP, N1));
	assert_events(r, cache_missed(r->a, 1, N0, 0, true, ""), BEGINS);
	feed(r, gives_nine(r));
	assert_events(r, put_done(r, STATUS(POPULATED)), "T n0 0 SUCCEEDED\nN n0 SUCCEEDED");
	assert_non_null(find_action(&r->step, ACTION_CACHE_LOOKUP, N1));
}

static void test_echo(void **state)
{
	struct rig *r = *state;

	cached_node(r, "echo", false);
	feed(r, caching(r));
	assert_true(find_action(&r->step, ACTION_CACHE_LOOKUP, N0)->cache->keeps_inline);
	assert_events(r, cache_missed(r->a, 1, N0, 0, false, ""), "N n0 QUEUED");
	const struct cache_ask *c = find_action(&r->step, ACTION_CACHE_PUT, N0)->cache;
	assert_string_equal(c->outputs[0].var, "o0");
	assert_int_equal(c->outputs[0].literal->scalar->primitive->integer, 7);
	assert_events(r, put_done(r, STATUS(POPULATED)), "T n0 0 SUCCEEDED\nN n0 SUCCEEDED\n" ENDS);
	assert_int_equal(metadata(r, "n0")->cache_status, STATUS(POPULATED));
	assert_int_equal(output_of(r, "n0"), 7);
	assert_int_equal(output_of(r, "end-node"), 7);
}

static void test_echo_hit(void **state)
{
	struct rig *r = *state;

	cached_node(r, "echo", false);
	feed(r, caching(r));
	assert_events(r, cache_hit(r->a, 1, N0, 0, nine(r), ""), "N n0 SUCCEEDED\n" ENDS);
	assert_int_equal(output_of(r, "n0"), 9);
	assert_int_equal(output_of(r, "end-node"), 9);
}

static void test_no_outputs(void **state)
{
	struct rig *r = *state;
	CoreTaskTemplate *t = cached_task(r, "python-task", false);

	t->interface->outputs = NULL;
	node_bind(&r->w, wf_node_new(&r->w, "n0", t), "i0", constant(r->a, int_literal(r->a, 7)));
	feed(r, caching(r));
	feed(r, cache_missed(r->a, 1, N0, 0, false, ""));
	assert_events(r, finished_with(r->a, 1, T0, N0, 0, NULL, ""), "T n0 0 SUCCEEDED\nN n0 SUCCEEDED\n" ENDS);
}

static struct wf given(struct rig *r)
{
	struct wf w = wf_new(r->a);

	w.template->id = identifier(r->a, CORE_RESOURCE_TYPE_WORKFLOW, "dynamic_n0");
	node_bind(&w, wf_node_new(&w, "dn0", wf_task(&w, "echo", 1, 1)), "i0", constant(r->a, int_literal(r->a, 9)));
	wf_output(&w, "o0", promise(r->a, "dn0", "o0"));
	return w;
}

/* What the workflow gives is what is kept. */
static void test_dynamic(void **state)
{
	struct rig *r = *state;

	cached_node(r, "python-task", true);
	feed(r, caching(r));
	feed(r, cache_missed(r->a, 1, N0, 0, true, ""));
	feed(r, finished_dynamic(r->a, 1, T0, N0, 0, given(r).closure));
	const struct cache_ask *c = find_action(&r->step, ACTION_CACHE_PUT, N0)->cache;
	assert_int_equal(c->outputs[0].literal->scalar->primitive->integer, 9);
	assert_events(r, put_done(r, STATUS(POPULATED)), "N n0 SUCCEEDED\n" ENDS);
	assert_true(node_event(r, "n0")->is_dynamic);
	assert_int_equal(metadata(r, "n0")->cache_status, STATUS(POPULATED));
	assert_int_equal(output_of(r, "end-node"), 9);
	assert_non_null(find_action(&r->step, ACTION_CACHE_RELEASE, N0));
}

static void map_of_two(struct rig *r, const char *type)
{
	CoreNode *item = node_of_task(r->a, "item", cached_task(r, type, false));
	CoreNode *n = node_add(&r->w, node_of_array(r->a, "n0", item));
	AlulaInput *in = caching(r);

	node_bind(&r->w, n, "i0", promise(r->a, "", "x"));
	wf_output(&r->w, "y", promise(r->a, "n0", "o0"));
	in->accepted->command->start->inputs = add_literal(r->a, NULL, "x", int_list(r->a, 2));
	assert_events(r, in, "W RUNNING\nN start-node SUCCEEDED\nN n0 QUEUED\nN n0 RUNNING\nT n0 0 QUEUED");
}

static const EventExternalResourceInfo *only_item(const struct rig *r)
{
	const EventTaskExecutionEvent *t = r->step.record->events[0]->task;

	assert_int_equal(t->metadata->n_external_resources, 1);
	return t->metadata->external_resources[0];
}

static void test_items(void **state)
{
	struct rig *r = *state;

	map_of_two(r, "python-task");
	const struct cache_ask *c = find_action(&r->step, ACTION_CACHE_LOOKUP, ITEM0 + 1)->cache;
	assert_int_equal(c->inputs[0].literal->scalar->primitive->integer, 1);
	assert_string_equal(c->outputs_uri, "/m/p-development-x1/n0/data/0/1/0/outputs.pb");
	assert_events(r, cache_hit(r->a, 1, ITEM0 + 1, 0, nine(r), "/c/1"), "T n0 0 RUNNING");
	assert_int_equal(only_item(r)->cache_status, STATUS(HIT));
	assert_int_equal(only_item(r)->phase, CORE_TASK_EXECUTION_PHASE_SUCCEEDED);
	assert_string_equal(only_item(r)->external_id, "x1-n0-0-n1-0");
	assert_events(r, cache_missed(r->a, 1, ITEM0, 0, false, ""), "T n0 0 RUNNING");
	assert_non_null(find_action(&r->step, ACTION_START_ATTEMPT, ITEM0));
	assert_events(r, finished_with(r->a, 1, T0, ITEM0, 0, nine(r), "/s/0"), "");
	/* An item is found by its array. */
	c = find_action(&r->step, ACTION_CACHE_PUT, ITEM0)->cache;
	assert_string_equal(c->source->node_execution_id->node_id, "n0");
	assert_events(r, cache_put(r->a, 1, ITEM0, 0, STATUS(POPULATED)), "T n0 0 SUCCEEDED\nN n0 SUCCEEDED\n" ENDS);
	assert_int_equal(only_item(r)->cache_status, STATUS(POPULATED));
	const CoreLiteral *y = node_event(r, "end-node")->output_data->literals[0]->value;
	assert_int_equal(y->collection->literals[1]->scalar->primitive->integer, 9);
}

static void test_echo_items(void **state)
{
	struct rig *r = *state;

	map_of_two(r, "echo");
	assert_events(r, cache_missed(r->a, 1, ITEM0, 0, false, ""), "");
	assert_events(r, cache_put(r->a, 1, ITEM0, 0, STATUS(POPULATED)), "T n0 0 RUNNING");
	assert_int_equal(only_item(r)->cache_status, STATUS(POPULATED));
	assert_events(r, cache_hit(r->a, 1, ITEM0 + 1, 0, nine(r), ""), "T n0 0 SUCCEEDED\nN n0 SUCCEEDED\n" ENDS);
}

/* Answers that fit nothing. */
static void test_strays(void **state)
{
	struct rig *r = *state;

	cached_node(r, "python-task", true);
	feed(r, caching(r));
	assert_events(r, cache_missed(r->a, 1, N0, 1, false, ""), "");
	assert_events(r, cache_missed(r->a, 1, 77, 0, false, ""), "");
	assert_events(r, cache_answered(r->a, 1, N0, 0), "");
	assert_events(r, put_done(r, STATUS(POPULATED)), "");
	assert_events(r, gives_nine(r), "");
	assert_events(r, started(r->a, 1, T0, N0, 0), "");
	AlulaInput *empty = cache_answered(r->a, 1, N0, 0);
	empty->cache_answered->answer_case = ALULA_CACHE_ANSWERED_ANSWER_HIT;
	empty->cache_answered->hit = pb_new(r->a, ALULA_CACHE_HIT_DESC);
	/* A hit without outputs: whoever needs them fails. */
	assert_true(str_starts(str_of(feed(r, empty)), "N n0 SUCCEEDED\nN end-node FAILED"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_without_a_cache),
		TEST(test_hit),
		TEST(test_miss_and_put),
		TEST(test_put_of_what_is_stored),
		TEST(test_lookup_fails),
		TEST(test_waits_and_reserves),
		TEST(test_failures_release),
		TEST(test_abort_while_looking),
		TEST(test_abort_while_waiting),
		TEST(test_abort_while_putting),
		TEST(test_overwrite),
		TEST(test_overrides),
		TEST(test_parallelism),
		TEST(test_reservations_have_places),
		TEST(test_echo),
		TEST(test_echo_hit),
		TEST(test_no_outputs),
		TEST(test_dynamic),
		TEST(test_items),
		TEST(test_echo_items),
		TEST(test_strays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Values that the engine does not have: they lie in the store, whole or in part. */
#include "engine/attribute.h"
#include "engine_rig.h"

static CoreBindingData *with_step(struct arena *a, CoreBindingData *p, const char *key, int32_t index)
{
	CorePromiseAttribute *s = pb_new(a, CORE_PROMISE_ATTRIBUTE_DESC);

	s->value_case = key ? CORE_PROMISE_ATTRIBUTE_VALUE_STRING_VALUE : CORE_PROMISE_ATTRIBUTE_VALUE_INT_VALUE;
	if (key)
		s->string_value = arena_strdup(a, key);
	else
		s->int_value = index;
	*PB_ADD(a, p->promise->attr_path, p->promise->n_attr_path) = s;
	return p;
}

/* "big", whose output lies at /s/o once it is done. */
static const char *big_is_done(struct rig *r)
{
	feed(r, accepted(&r->w, 1));
	return feed(r, finished_with(r->a, 1, T0, N0, 0, NULL, "/s/o"));
}

/* The first node of the sub-workflow that "n1" is. */
enum { INSIDE = 2 + 2 + 2 };

/* "uri#var.step.step". */
static const char *place_text(struct rig *r, const struct value_ref *v)
{
	auto_buf struct buf b = {0};

	assert_int_equal(v->kind, VALUE_STORED);
	buf_printf(&b, "%s#%s", v->uri, v->uri_var ? v->uri_var : "-");
	for (uint32_t i = 0; v->path && i < v->path->n; i++) {
		const CorePromiseAttribute *s = v->path->steps[i];
		if (s->value_case == CORE_PROMISE_ATTRIBUTE_VALUE_STRING_VALUE)
			buf_printf(&b, ".%s", s->string_value);
		else
			buf_printf(&b, ".%d", s->int_value);
	}
	return arena_strdup(r->a, buf_text(&b));
}

static void test_task_input(void **state)
{
	struct rig *r = *state;
	CoreNode *n;

	python_node(r, "big", 0, 1);
	n = python_node(r, "n1", 1, 0);
	node_bind(&r->w, n, "i0", with_step(r->a, with_step(r->a, promise(r->a, "big", "o0"), "a", 0), NULL, 2));
	assert_events(r, (feed(r, accepted(&r->w, 1)), finished_with(r->a, 1, T0, N0, 0, NULL, "/s/o")),
		      "T big 0 SUCCEEDED\nN big SUCCEEDED\nN n1 QUEUED\nT n1 0 QUEUED\nN n1 RUNNING");
	const struct action *start = find_action(&r->step, ACTION_START_ATTEMPT, N1);
	assert_string_equal(place_text(r, &start->start->inputs[0]), "/s/o#o0.a.2");
	assert_string_equal(start->start->inputs[0].path->node, "big");
	engine_pending(r->e, 1, &r->step);
	start = find_action(&r->step, ACTION_START_ATTEMPT, N1);
	assert_string_equal(place_text(r, &start->start->inputs[0]), "/s/o#o0.a.2");
}

/* Steps of the outer and of the inner workflow follow each other. */
static void test_through_a_workflow(void **state)
{
	struct rig *r = *state;
	struct wf inner = wf_inner(&r->w, "inner");
	CoreTaskTemplate *t = wf_task(&r->w, "python-task", 1, 1);
	CoreNode *n = wf_node_new(&inner, "in", t), *sub;

	node_bind(&inner, n, "i0", with_step(r->a, promise(r->a, "", "x"), NULL, 3));
	wf_output(&inner, "o0", with_step(r->a, promise(r->a, "", "x"), "b", 0));
	python_node(r, "big", 0, 1);
	sub = node_add(&r->w, node_of_workflow(r->a, "sub", &inner));
	node_bind(&r->w, sub, "x", with_step(r->a, promise(r->a, "big", "o0"), "a", 0));
	wf_output(&r->w, "y", with_step(r->a, promise(r->a, "sub", "o0"), "c", 0));
	big_is_done(r);
	const uint32_t in = INSIDE;
	const struct action *start = find_action(&r->step, ACTION_START_ATTEMPT, in);
	assert_string_equal(place_text(r, &start->start->inputs[0]), "/s/o#o0.a.3");
	feed(r, finished_with(r->a, 1, T0, in, 0, NULL, "/s/in"));
	const struct action *store = find_action(&r->step, ACTION_STORE_OUTPUTS, in - 1);
	assert_string_equal(place_text(r, &store->values[0]), "/s/o#o0.a.b");
	feed(r, outputs_stored(r->a, 1, T0, in - 1, "/s/sub"));
	store = find_action(&r->step, ACTION_STORE_OUTPUTS, 1);
	assert_string_equal(place_text(r, &store->values[0]), "/s/o#o0.a.b.c");
}

/* An offloaded literal is handed on as it is; a part of it is looked for where it lies. */
static void test_offloaded(void **state)
{
	struct rig *r = *state;
	CoreNode *n = python_node(r, "n0", 2, 0);
	CoreLiteral *l = pb_new(r->a, CORE_LITERAL_DESC);
	AlulaInput *in = accepted(&r->w, 1);

	l->value_case = CORE_LITERAL_VALUE_OFFLOADED_METADATA;
	l->offloaded_metadata = pb_new(r->a, CORE_LITERAL_OFFLOADED_METADATA_DESC);
	l->offloaded_metadata->uri = "/s/off";
	in->accepted->command->start->inputs = add_literal(r->a, NULL, "x", l);
	node_bind(&r->w, n, "i0", promise(r->a, "", "x"));
	node_bind(&r->w, n, "i1", with_step(r->a, promise(r->a, "", "x"), NULL, 4));
	feed(r, in);
	const struct attempt *start = find_action(&r->step, ACTION_START_ATTEMPT, N0)->start;
	assert_int_equal(start->inputs[0].literal->value_case, CORE_LITERAL_VALUE_OFFLOADED_METADATA);
	assert_string_equal(place_text(r, &start->inputs[1]), "/s/off#-.4");
}

/* Lists and maps of places are walked through by the engine itself. */
static void test_items_of_places(void **state)
{
	struct rig *r = *state;
	struct wf inner = wf_inner(&r->w, "inner");
	CoreNode *n = wf_node_new(&inner, "in", wf_task(&r->w, "python-task", 1, 0)), *sub;

	node_bind(&inner, n, "i0", with_step(r->a, with_step(r->a, promise(r->a, "", "x"), NULL, 1), "k", 0));
	python_node(r, "big", 0, 1);
	sub = node_add(&r->w, node_of_workflow(r->a, "sub", &inner));
	node_bind(&r->w, sub, "x", list_of(r->a, constant(r->a, int_literal(r->a, 1)), promise(r->a, "big", "o0")));
	big_is_done(r);
	const struct action *start = find_action(&r->step, ACTION_START_ATTEMPT, INSIDE);
	assert_string_equal(place_text(r, &start->start->inputs[0]), "/s/o#o0.k");
	engine_forget(r->e, 1);
	n->inputs[0]->binding->promise->attr_path[0]->int_value = 2;
	assert_non_null(strstr(big_is_done(r), "PromiseAttributeResolveError: index [2] is out of range"));
}

static void test_sleep_is_read(void **state)
{
	struct rig *r = *state;
	CoreNode *n;

	python_node(r, "big", 0, 1);
	n = wf_node_new(&r->w, "n1", wf_task(&r->w, "core-sleep", 1, 0));
	node_bind(&r->w, n, "i0", with_step(r->a, promise(r->a, "big", "o0"), "a", 0));
	assert_string_equal(big_is_done(r), "T big 0 SUCCEEDED\nN big SUCCEEDED\nN n1 QUEUED");
	engine_pending(r->e, 1, &r->step);
	const struct action *read = find_action(&r->step, ACTION_READ_VALUES, N1);
	assert_string_equal(place_text(r, &read->values[0]), "/s/o#o0.a");
	AlulaInput *in = values_read(r->a, T0, read, 0), *bad = values_read(r->a, T0, read, 0);
	in->values_read->literals->literals[0]->value = duration_literal(r->a, 5 * USEC_PER_SEC);
	assert_events(r, in, "T n1 0 RUNNING\nN n1 RUNNING");
	assert_events(r, in, "");
	engine_pending(r->e, 1, &r->step);
	assert_int_equal(find_action(&r->step, ACTION_SET_TIMER, N1)->at_us, T0 + 5 * USEC_PER_SEC);
	engine_forget(r->e, 1);
	big_is_done(r);
	assert_non_null(strstr(feed(r, bad), "N n1 FAILED {SYSTEM BadTaskSpecification: core-sleep needs an input"));
}

/* A list of a list of … `levels` of them. */
static CoreLiteral *nested(struct arena *a, int levels)
{
	CoreLiteral *l = int_list(a, 0);

	while (--levels > 0) {
		CoreLiteral *outer = int_list(a, 0);
		*PB_ADD(a, outer->collection->literals, outer->collection->n_literals) = l;
		l = outer;
	}
	return l;
}

/* What grows too deep fails the node whose input it would be: it could not be told of in events. */
static void test_depth(void **state)
{
	struct rig *r = *state;
	CoreNode *n = python_node(r, "n0", 1, 0);
	CoreBindingData *x = promise(r->a, "", "x");
	AlulaInput *in = accepted(&r->w, 1);

	for (int i = 0; i < 4; i++) {
		CoreBindingData *outer = pb_new(r->a, CORE_BINDING_DATA_DESC);
		outer->value_case = CORE_BINDING_DATA_VALUE_COLLECTION;
		outer->collection = pb_new(r->a, CORE_BINDING_DATA_COLLECTION_DESC);
		*PB_ADD(r->a, outer->collection->bindings, outer->collection->n_bindings) = x;
		x = outer;
	}
	node_bind(&r->w, n, "i0", x);
	/* 2 for the map, 2 for each but the last list, 1 for that: 90 levels in all. */
	CoreLiteral *most = nested(r->a, 40);
	assert_int_equal(pb_depth(add_literal(r->a, NULL, "x", nested(r->a, 44))), 89);
	in->accepted->command->start->inputs = add_literal(r->a, NULL, "x", most);
	assert_non_null(strstr(feed(r, in), "N n0 RUNNING"));
	engine_forget(r->e, 1);
	in->accepted->command->start->inputs = add_literal(r->a, NULL, "x", nested(r->a, 41));
	assert_non_null(strstr(feed(r, in), "N n0 FAILED {SYSTEM BindingResolutionFailure: failed at Node[n0]. "
					    "BindingResolutionError: Error binding Var [wf].[i0], caused by: the value "
					    "is nested too deeply}"));
}

/* ---- arrays ---- */

/* "n1" maps a task over what "big" gives. */
static void map_over_big(struct rig *r, const char *type)
{
	CoreNode *n;

	python_node(r, "big", 0, 1);
	n = node_add(&r->w, node_of_array(r->a, "n1", node_of_task(r->a, "item", wf_task(&r->w, type, 1, 1))));
	node_bind(&r->w, n, "i0", with_step(r->a, promise(r->a, "big", "o0"), "a", 0));
	wf_output(&r->w, "y", promise(r->a, "n1", "o0"));
}

static const struct action *reading(struct rig *r, uint32_t node, enum read_how how)
{
	const struct action *a = find_action(&r->step, ACTION_READ_VALUES, node);

	assert_non_null(a);
	assert_int_equal(a->how, how);
	return a;
}

static void test_long_list(void **state)
{
	struct rig *r = *state;
	const uint32_t item = N1 + 1;

	map_over_big(r, "python-task");
	assert_non_null(strstr(big_is_done(r), "N n1 QUEUED"));
	feed(r, lengths_read(r->a, T0, reading(r, N1, READ_LONG_AS_EXTENTS), 2));
	assert_string_equal(place_text(r, &find_action(&r->step, ACTION_START_ATTEMPT, item + 1)->start->inputs[0]),
			    "/s/o#o0.a.1");
	/* One item gives its value with the answer, the other one a place. */
	feed(r, finished_with(r->a, 1, T0, item, 0, add_literal(r->a, NULL, "o0", int_literal(r->a, 5)), "/s/0"));
	feed(r, finished_with(r->a, 1, T0, item + 1, 0, NULL, "/s/1"));
	const struct action *store = find_action(&r->step, ACTION_STORE_OUTPUTS, N1);
	assert_int_equal(store->values[0].n_items, 2);
	assert_int_equal(store->values[0].items[0].literal->scalar->primitive->integer, 5);
	assert_string_equal(place_text(r, &store->values[0].items[1]), "/s/1#o0");
	assert_non_null(strstr(feed(r, outputs_stored(r->a, 1, T0, N1, "")), "N n1 SUCCEEDED"));
	assert_string_equal(node_event(r, "n1")->output_uri, "/m/p-development-x1/n1/data/0/outputs.pb");
}

/* What an echo hands on has another name where it lies. */
static void test_echo_of_places(void **state)
{
	struct rig *r = *state;

	map_over_big(r, "echo");
	big_is_done(r);
	assert_non_null(strstr(feed(r, lengths_read(r->a, T0, reading(r, N1, READ_LONG_AS_EXTENTS), 3)), "T n1 0"));
	const struct action *store = find_action(&r->step, ACTION_STORE_OUTPUTS, N1);
	assert_string_equal(store->values[0].var, "o0");
	for (uint32_t i = 0; i < 3; i++)
		assert_string_equal(place_text(r, &store->values[0].items[i]), arena_printf(r->a, "/s/o#o0.a.%u", i));
	engine_pending(r->e, 1, &r->step);
	assert_non_null(find_action(&r->step, ACTION_STORE_OUTPUTS, N1));
}

/* A list that is short comes whole. */
static void test_short_list(void **state)
{
	struct rig *r = *state;

	map_over_big(r, "echo");
	big_is_done(r);
	AlulaInput *in = values_read(r->a, T0, reading(r, N1, READ_LONG_AS_EXTENTS), 0);
	in->values_read->literals->literals[0]->value = int_list(r->a, 2);
	assert_non_null(strstr(feed(r, in), "N n1 SUCCEEDED"));
	assert_int_equal(node_event(r, "n1")->output_data->literals[0]->value->collection->n_literals, 2);
}

/* Children whose outputs are known by place only: what they are called is looked up. */
static void test_children_by_place(void **state)
{
	struct rig *r = *state;
	CoreNode *n = node_add(&r->w, node_of_array(r->a, "n0", node_of_launch_plan(r->a, "item", "plan")));

	node_bind(&r->w, n, "i0", promise(r->a, "", "x"));
	wf_output(&r->w, "y", promise(r->a, "n0", "o0"));
	AlulaInput *in = accepted_with(r, int_list(r->a, 2));
	feed(r, in);
	for (int i = 0; i < 2; i++) {
		in = child_finished(r->a, 1, T0, arena_printf(r->a, "x1-n0-0-n%d-0", i),
				    CORE_WORKFLOW_EXECUTION_PHASE_SUCCEEDED);
		child_outputs_uri(in, arena_printf(r->a, "/c/%d", i));
		feed(r, in);
	}
	engine_pending(r->e, 1, &r->step);
	const struct action *read = reading(r, N0, READ_EXTENTS);
	assert_string_equal(place_text(r, &read->values[0]), "/c/0#");
	feed(r, key_read(r->a, T0, read, "o0"));
	const struct action *store = find_action(&r->step, ACTION_STORE_OUTPUTS, N0);
	assert_string_equal(store->values[0].var, "o0");
	assert_string_equal(place_text(r, &store->values[0].items[1]), "/c/1#o0");
	engine_pending(r->e, 1, &r->step);
	assert_string_equal(find_action(&r->step, ACTION_STORE_OUTPUTS, N0)->values[0].var, "o0");
	assert_non_null(strstr(feed(r, outputs_stored(r->a, 1, T0, N0, "")), "N n0 SUCCEEDED"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_task_input),        TEST(test_through_a_workflow), TEST(test_offloaded),
		TEST(test_items_of_places),   TEST(test_sleep_is_read),      TEST(test_depth),
		TEST(test_long_list),         TEST(test_echo_of_places),     TEST(test_short_list),
		TEST(test_children_by_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

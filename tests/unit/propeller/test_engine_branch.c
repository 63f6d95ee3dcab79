/* Branch nodes and their conditions. */
#include "engine_rig.h"

#define OP(name) CORE_COMPARISON_EXPRESSION_OPERATOR_##name

static CoreNode *echo_case(struct rig *r, const char *id, const CoreTaskTemplate *t, int64_t value)
{
	CoreNode *n = node_of_task(r->a, id, t);

	node_bind(&r->w, n, "i0", constant(r->a, int_literal(r->a, value)));
	return n;
}

static CoreBooleanExpression *greater_than(struct rig *r, int64_t value)
{
	return comparison(r->a, operand_var(r->a, "c"), OP(GT), operand_of(r->a, int_literal(r->a, value)));
}

/* x > 10: 100; x > 5: 50; else: 1 */
static CoreNode *three_ways(struct rig *r, const char *type)
{
	CoreTaskTemplate *t = wf_task(&r->w, type, 1, 1);
	CoreNode *b = node_add(&r->w, node_of_branch(r->a, "n0"));

	branch_case(r->a, b, greater_than(r, 10), echo_case(r, "n0-n1", t, 100));
	branch_case(r->a, b, greater_than(r, 5), echo_case(r, "n0-n2", t, 50));
	branch_else(b, echo_case(r, "n0-n3", t, 1));
	node_bind(&r->w, b, "c", promise(r->a, "", "x"));
	wf_output(&r->w, "y", promise(r->a, "n0", "o0"));
	return b;
}

static void test_takes_one(void **state)
{
	struct rig *r = *state;

	three_ways(r, "echo");
	assert_events(r, accepted_with(r, int_literal(r->a, 7)),
		      "W RUNNING\nN start-node SUCCEEDED\nN n0 QUEUED\nN n0 RUNNING\nN n0-0-n0-n1 SKIPPED\n"
		      "N n0-0-n0-n3 SKIPPED\nN n0-0-n0-n2 QUEUED\nT n0-0-n0-n2 0 SUCCEEDED\nN n0-0-n0-n2 SUCCEEDED\n"
		      "N n0 SUCCEEDED\nN end-node QUEUED\nN end-node SUCCEEDED\nW SUCCEEDING\nW SUCCEEDED");
	const EventNodeExecutionEvent *branch = node_event(r, "n0"), *taken = node_event(r, "n0-0-n0-n2");
	assert_true(branch->is_parent);
	assert_int_equal(branch->output_data->literals[0]->value->scalar->primitive->integer, 50);
	assert_string_equal(taken->parent_node_metadata->node_id, "n0");
	assert_string_equal(taken->retry_group, "0");
	assert_string_equal(taken->spec_node_id, "n0-n2");
	const AlulaRecord *record = r->step.record;
	const EventWorkflowExecutionEvent *w = record->events[record->n_events - 1]->workflow;
	assert_int_equal(w->output_data->literals[0]->value->scalar->primitive->integer, 50);
}

static void test_order_and_else(void **state)
{
	struct rig *r = *state;

	three_ways(r, "echo");
	assert_non_null(strstr(feed(r, accepted_with(r, int_literal(r->a, 11))), "N n0-0-n0-n1 SUCCEEDED"));
	engine_forget(r->e, 1);
	assert_non_null(strstr(feed(r, accepted_with(r, int_literal(r->a, 5))), "N n0-0-n0-n3 SUCCEEDED"));
}

static void test_paths_and_abort(void **state)
{
	struct rig *r = *state;

	three_ways(r, "python-task");
	feed(r, accepted_with(r, int_literal(r->a, 7)));
	/* n0-n1, n0-n2, n0-n3 come before their branch. */
	const struct attempt *a = find_action(&r->step, ACTION_START_ATTEMPT, N1)->start;
	assert_string_equal(a->inputs_uri, "/m/p-development-x1/n0/data/0/n0-n2/inputs.pb");
	assert_string_equal(a->output_prefix, "/m/p-development-x1/n0/data/0/n0-n2/0");
	assert_string_equal(a->unique_name, "x1-n0-0-n0-n2-0");
	assert_events(r, abort_input(r->a, 1, T0),
		      "T n0-0-n0-n2 0 ABORTED {UNKNOWN Task Aborted: Workflow aborted.}\n"
		      "N n0-0-n0-n2 ABORTED {UNKNOWN NodeAborted: Workflow aborted.}\n"
		      "N n0 ABORTED {UNKNOWN NodeAborted: Workflow aborted.}\nW ABORTED");
}

static void test_taken_node_fails(void **state)
{
	struct rig *r = *state;

	three_ways(r, "python-task");
	feed(r, accepted_with(r, int_literal(r->a, 7)));
#define BOOM "{USER Boom: it broke}"
	assert_events(r, failed(r->a, 1, T0, N1, 0, false, false),
		      "T n0-0-n0-n2 0 FAILED " BOOM "\nN n0-0-n0-n2 FAILED " BOOM "\nN n0 FAILED " BOOM
		      "\nW FAILING " BOOM "\nW FAILED " BOOM);
}

/* What the taken node still waits for is none of the branch's business. */
static void test_taken_node_waits(void **state)
{
	struct rig *r = *state;
	CoreNode *slow = python_node(r, "slow", 0, 1), *b;
	CoreTaskTemplate *t = wf_task(&r->w, "echo", 1, 1);

	b = node_add(&r->w, node_of_branch(r->a, "n0"));
	CoreNode *then = node_of_task(r->a, "n1", t);
	node_bind(&r->w, then, "i0", promise(r->a, slow->id, "o0"));
	branch_case(r->a, b, greater_than(r, 5), then);
	branch_error(r->a, b, "too small");
	node_bind(&r->w, b, "c", promise(r->a, "", "x"));
	wf_output(&r->w, "y", promise(r->a, "n0", "o0"));
	const char *events = feed(r, accepted_with(r, int_literal(r->a, 7)));
	assert_non_null(strstr(events, "N n0 RUNNING"));
	assert_null(strstr(events, "n1"));
	CoreLiteralMap *out = add_literal(r->a, NULL, "o0", int_literal(r->a, 8));
	assert_events(r, finished_with(r->a, 1, T0, N0, 0, out, "/s/o"),
		      "T slow 0 SUCCEEDED\nN slow SUCCEEDED\nN n0-0-n1 QUEUED\nT n0-0-n1 0 SUCCEEDED\n"
		      "N n0-0-n1 SUCCEEDED\nN n0 SUCCEEDED\nN end-node QUEUED\nN end-node SUCCEEDED\nW SUCCEEDING\n"
		      "W SUCCEEDED");
}

/* What the condition is about lies in the store: it is read first. */
static void test_stored_input(void **state)
{
	struct rig *r = *state;
	CoreNode *b;

	python_node(r, "big", 0, 1);
	b = three_ways(r, "echo");
	b->inputs[0] = bind_to(r->a, "c", promise(r->a, "big", "o0"));
	feed(r, accepted_with(r, int_literal(r->a, 0)));
	assert_events(r, finished_with(r->a, 1, T0, N0, 0, NULL, "/s/o"),
		      "T big 0 SUCCEEDED\nN big SUCCEEDED\nN n0 QUEUED");
	const struct action *read = find_action(&r->step, ACTION_READ_VALUES, 6);
	assert_string_equal(read->values[0].uri, "/s/o");
	assert_string_equal(find_action(&r->step, ACTION_STORE_INPUTS, 6)->uri,
			    "/m/p-development-x1/n0/data/inputs.pb");
	AlulaInput *in = values_read(r->a, T0, read, 7);
	engine_pending(r->e, 1, &r->step);
	assert_non_null(find_action(&r->step, ACTION_READ_VALUES, 6));
	assert_non_null(strstr(feed(r, in), "N n0-0-n0-n2 SUCCEEDED\nN n0 SUCCEEDED"));
	assert_events(r, in, "");
}

static void test_no_case(void **state)
{
	struct rig *r = *state;
	CoreNode *b = three_ways(r, "echo");

	branch_error(r->a, b, "x is too small");
	assert_non_null(
		strstr(feed(r, accepted_with(r, int_literal(r->a, 1))),
		       "N n0 QUEUED\nN n0 FAILED {USER UserProvidedError: [UserProvidedError] x is too small}"));
	assert_false(node_event(r, "n0")->is_parent);
	engine_forget(r->e, 1);
	b->branch_node->if_else->default_case = CORE_IF_ELSE_BLOCK_DEFAULT_NOT_SET;
	assert_non_null(strstr(feed(r, accepted_with(r, int_literal(r->a, 1))),
			       "N n0 FAILED {USER MalformedBranchUserError: [MalformedBranchUserError] No branch "
			       "satisfied}"));
}

static void test_nested(void **state)
{
	struct rig *r = *state;
	CoreTaskTemplate *t = wf_task(&r->w, "echo", 1, 1);
	CoreNode *outer = node_add(&r->w, node_of_branch(r->a, "n0")), *inner = node_of_branch(r->a, "b");

	branch_case(r->a, outer, greater_than(r, 0), inner);
	branch_else(outer, echo_case(r, "low", t, 0));
	branch_case(r->a, inner, greater_than(r, 10), echo_case(r, "high", t, 2));
	branch_else(inner, echo_case(r, "mid", t, 1));
	node_bind(&r->w, outer, "c", promise(r->a, "", "x"));
	node_bind(&r->w, inner, "c", promise(r->a, "", "x"));
	wf_output(&r->w, "y", promise(r->a, "n0", "o0"));
	assert_events(r, accepted_with(r, int_literal(r->a, 7)),
		      "W RUNNING\nN start-node SUCCEEDED\nN n0 QUEUED\nN n0 RUNNING\nN n0-0-low SKIPPED\n"
		      "N n0-0-b QUEUED\nN n0-0-b RUNNING\nN n0-0-b-0-high SKIPPED\nN n0-0-b-0-mid QUEUED\n"
		      "T n0-0-b-0-mid 0 SUCCEEDED\nN n0-0-b-0-mid SUCCEEDED\nN n0-0-b SUCCEEDED\nN n0 SUCCEEDED\n"
		      "N end-node QUEUED\nN end-node SUCCEEDED\nW SUCCEEDING\nW SUCCEEDED");
	assert_int_equal(node_event(r, "n0")->output_data->literals[0]->value->scalar->primitive->integer, 1);
	engine_forget(r->e, 1);
	/* The nodes of a branch that is not taken are not spoken of. */
	assert_null(strstr(feed(r, accepted_with(r, int_literal(r->a, -1))), "high"));
}

/* A sub-workflow's branch, whose case is a workflow. */
static void test_in_and_of_workflows(void **state)
{
	struct rig *r = *state;
	struct wf w = wf_inner(&r->w, "w"), v = wf_inner(&r->w, "v");
	CoreTaskTemplate *t = wf_task(&r->w, "echo", 1, 1);
	CoreNode *top = node_add(&r->w, node_of_workflow(r->a, "n0", &w)), *b, *then;

	node_bind(&r->w, top, "c", promise(r->a, "", "x"));
	wf_output(&r->w, "y", promise(r->a, "n0", "q"));
	b = node_add(&w, node_of_branch(r->a, "b"));
	node_bind(&w, b, "c", promise(r->a, "", "c"));
	then = node_of_workflow(r->a, "v", &v);
	node_bind(&w, then, "i", promise(r->a, "", "c"));
	branch_case(r->a, b, greater_than(r, 5), then);
	branch_error(r->a, b, "no");
	wf_output(&w, "q", promise(r->a, "b", "p"));
	node_bind(&v, wf_node_new(&v, "m", t), "i0", promise(r->a, "", "i"));
	wf_output(&v, "p", promise(r->a, "m", "o0"));
	assert_non_null(strstr(feed(r, accepted_with(r, int_literal(r->a, 7))), "W SUCCEEDED"));
	const EventNodeExecutionEvent *e = node_event(r, "n0-0-b-0-v-0-m");
	assert_string_equal(e->parent_node_metadata->node_id, "n0-0-b-0-v");
	assert_int_equal(e->output_data->literals[0]->value->scalar->primitive->integer, 7);
	const AlulaRecord *record = r->step.record;
	const EventWorkflowExecutionEvent *last = record->events[record->n_events - 1]->workflow;
	assert_int_equal(last->output_data->literals[0]->value->scalar->primitive->integer, 7);
}

/* ---- conditions ---- */

static CoreLiteral *string_literal(struct arena *a, const char *text)
{
	CoreLiteral *l = int_literal(a, 0);

	l->scalar->primitive->value_case = CORE_PRIMITIVE_VALUE_STRING_VALUE;
	l->scalar->primitive->string_value = arena_strdup(a, text);
	return l;
}

static CoreLiteral *float_literal(struct arena *a, double value)
{
	CoreLiteral *l = int_literal(a, 0);

	l->scalar->primitive->value_case = CORE_PRIMITIVE_VALUE_FLOAT_VALUE;
	l->scalar->primitive->float_value = value;
	return l;
}

static CoreLiteral *datetime_literal(struct arena *a, int64_t us)
{
	CoreLiteral *l = int_literal(a, 0);

	l->scalar->primitive->value_case = CORE_PRIMITIVE_VALUE_DATETIME;
	l->scalar->primitive->datetime = pb_timestamp(a, us);
	return l;
}

/* "yes", "no", or the error. */
static const char *decide(struct rig *r, CoreBooleanExpression *e)
{
	struct wf w = wf_new(r->a);
	CoreTaskTemplate *t = wf_task(&w, "echo", 0, 0);
	CoreNode *b = node_add(&w, node_of_branch(r->a, "n0"));

	branch_case(r->a, b, e, node_of_task(r->a, "yes", t));
	branch_else(b, node_of_task(r->a, "no", t));
	const char *events = feed(r, accepted(&w, 1)), *error = strstr(events, "N n0 FAILED {");
	engine_forget(r->e, 1);
	if (!error)
		return strstr(events, "yes SUCCEEDED") ? "yes" : "no";
	error += strlen("N n0 FAILED {");
	return arena_strndup(r->a, error, strcspn(error, "}"));
}

static void test_operators(void **state)
{
	struct rig *r = *state;
	struct arena *a = r->a;
	static const struct {
		CoreComparisonExpressionOperator op;
		const char *less, *equal, *greater;
	} WANT[] = {
		{OP(EQ), "no", "yes", "no"},   {OP(NEQ), "yes", "no", "yes"}, {OP(LT), "yes", "no", "no"},
		{OP(LTE), "yes", "yes", "no"}, {OP(GT), "no", "no", "yes"},   {OP(GTE), "no", "yes", "yes"},
	};
	CoreLiteral *const pairs[][2] = {
		{int_literal(a, -3), int_literal(a, 4)},
		{float_literal(a, 0.5), float_literal(a, 0.75)},
		{string_literal(a, "abc"), string_literal(a, "abd")},
		{duration_literal(a, USEC_PER_SEC), duration_literal(a, 2 * USEC_PER_SEC)},
		{datetime_literal(a, USEC_PER_SEC), datetime_literal(a, 2 * USEC_PER_SEC)},
	};

	for (size_t i = 0; i < ARRAY_SIZE(WANT); i++)
		for (size_t k = 0; k < ARRAY_SIZE(pairs); k++) {
			CoreOperand *low = operand_of(a, pairs[k][0]), *high = operand_of(a, pairs[k][1]);
			assert_string_equal(decide(r, comparison(a, low, WANT[i].op, high)), WANT[i].less);
			assert_string_equal(decide(r, comparison(a, low, WANT[i].op, low)), WANT[i].equal);
			assert_string_equal(decide(r, comparison(a, high, WANT[i].op, low)), WANT[i].greater);
		}
}

static void test_odd_comparisons(void **state)
{
	struct rig *r = *state;
	struct arena *a = r->a;
	CoreOperand *yes = operand_of(a, bool_literal(a, true)), *no = operand_of(a, bool_literal(a, false));
	CoreOperand *nan = operand_of(a, float_literal(a, 0.0 / 0.0)), *one = operand_of(a, float_literal(a, 1));
	CoreOperand *early = operand_of(a, datetime_literal(a, 100)), *later = operand_of(a, datetime_literal(a, 200));

	assert_string_equal(decide(r, comparison(a, yes, OP(EQ), yes)), "yes");
	assert_string_equal(decide(r, comparison(a, yes, OP(NEQ), no)), "yes");
	assert_string_equal(decide(r, comparison(a, yes, OP(GT), no)),
			    "USER MalformedBranchUserError: [MalformedBranchUserError] [GT] not defined for boolean "
			    "operands.");
	assert_string_equal(decide(r, comparison(a, yes, OP(EQ), one)),
			    "USER MalformedBranchUserError: [MalformedBranchUserError] Comparison between different "
			    "primitives types. lVal[*core.Primitive_Boolean]:rVal[*core.Primitive_FloatValue]");
	assert_string_equal(decide(r, comparison(a, operand_var(a, "gone"), OP(EQ), one)),
			    "USER MalformedBranchUserError: [MalformedBranchUserError] Failed to find Value for "
			    "Variable [gone]");
	assert_string_equal(decide(r, comparison(a, nan, OP(EQ), nan)), "no");
	assert_string_equal(decide(r, comparison(a, nan, OP(LT), one)), "yes"); /* as Flyte has it */
	assert_string_equal(decide(r, comparison(a, nan, OP(GT), one)), "no");
	assert_string_equal(decide(r, comparison(a, early, OP(EQ), later)), "yes"); /* the same second */
	assert_string_equal(decide(r, pb_new(a, CORE_BOOLEAN_EXPRESSION_DESC)),
			    "USER MalformedBranchUserError: [MalformedBranchUserError] No Comparison or Conjunction "
			    "found in Branch node expression.");
}

static void test_conjunctions(void **state)
{
	struct rig *r = *state;
	struct arena *a = r->a;
	CoreOperand *one = operand_of(a, int_literal(a, 1));
	CoreBooleanExpression *yes = comparison(a, one, OP(EQ), one), *no = comparison(a, one, OP(NEQ), one);

	assert_string_equal(decide(r, conjunction(a, yes, false, yes)), "yes");
	assert_string_equal(decide(r, conjunction(a, yes, false, no)), "no");
	assert_string_equal(decide(r, conjunction(a, no, true, yes)), "yes");
	assert_string_equal(decide(r, conjunction(a, no, true, no)), "no");
	assert_string_equal(decide(r, conjunction(a, conjunction(a, no, true, yes), false, yes)), "yes");
	/* Both sides count, even if one would do. */
	assert_true(str_starts(
		str_of(decide(r, conjunction(a, yes, true, comparison(a, operand_var(a, "z"), OP(EQ), one)))),
		"USER MalformedBranchUserError"));
}

/* A branch whose node waits for what waits for the branch. */
static void test_cycle(void **state)
{
	struct rig *r = *state;
	CoreNode *b = three_ways(r, "echo"), *n9 = python_node(r, "n9", 0, 1);

	node_after(&r->w, n9, "n0");
	b->branch_node->if_else->case_->then_node->inputs[0]->binding = promise(r->a, "n9", "o0");
	assert_true(str_starts(str_of(feed(r, accepted_with(r, int_literal(r->a, 7)))),
			       "W FAILING {SYSTEM BadSpecificationError: node ["));
}

/* As Flyte has it: what a branch's node reads is all that it waits for, whatever it names upstream. */
static void test_names_upstream(void **state)
{
	struct rig *r = *state;
	CoreNode *taken = three_ways(r, "echo")->branch_node->if_else->case_->then_node;

	node_after(&r->w, python_node(r, "n9", 0, 0), "n0");
	node_after(&r->w, taken, "n9");
	node_after(&r->w, taken, "nowhere");
	assert_non_null(strstr(feed(r, accepted_with(r, int_literal(r->a, 11))), "N n0-0-n0-n1 SUCCEEDED"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_takes_one),
		TEST(test_order_and_else),
		TEST(test_paths_and_abort),
		TEST(test_taken_node_fails),
		TEST(test_taken_node_waits),
		TEST(test_no_case),
		TEST(test_nested),
		TEST(test_stored_input),
		TEST(test_in_and_of_workflows),
		TEST(test_operators),
		TEST(test_odd_comparisons),
		TEST(test_conjunctions),
		TEST(test_cycle),
		TEST(test_names_upstream),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

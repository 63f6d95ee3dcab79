/* Branches: what they take and give, how they are connected, and what is refused. */
#include "compiler_nodes.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static void test_branch_connections(void **state)
{
	struct result *r = *state;

	accept(r, OUTPUT("b") NODES(ADD_INPUT("a") ", " BRANCH(
			  "b", CASE(ABOVE_TEN("y"), ADD("one", PROMISE("a", "o0"), INPUT("x"))) ELSE(ADD_INPUT("two")),
			  BIND("y", PROMISE("a", "o0")))));
	assert_string_equal(downstream(r), "a: b; b: end-node; start-node: a");
	assert_string_equal(upstream(r), "a: start-node; b: a; b-one: a start-node; b-two: start-node; end-node: b");
	const CoreNode *b = r->closure->primary->template_->nodes[3];
	assert_string_equal(b->branch_node->if_else->case_->then_node->id, "b-one");
	assert_string_equal(b->branch_node->if_else->else_node->id, "b-two");
}

static void test_nested_branch(void **state)
{
	struct result *r = *state;

	accept(r, WITH_INPUT NODES(BRANCH("b",
					  CASE(ABOVE_TEN("y"), BRANCH("c", CASE(ABOVE_TEN("z"), ADD_INPUT("d")) ERROR,
								      BIND("z", INPUT("x")))) ERROR,
					  BIND("y", INPUT("x")))));
	assert_string_equal(upstream(r), "b: start-node; b-c: start-node; b-c-d: start-node; end-node: b");
	assert_string_equal(downstream(r), "b: end-node; start-node: b");
}

/* What all cases give; an error gives nothing and takes nothing away. */
static void test_common_outputs(void **state)
{
	struct result *r = *state;
	static const char *const TWO[] = {ADD_INPUT("two"), NODE("two", "void", ""),
					  NODE("two", "say", BIND("s", CONST("string_value: a")))};
	static const char *const REFUSED[] = {
		NULL, "Code: VariableNameNotFound, Node Id: b, Description: Variable [o0] not found on node [b].",
		"Code: MismatchingTypes, Node Id: b-two, Description: Variable [o0] (type [simple:INTEGER]) doesn't "
		"match expected type [simple:STRING]."};

	for (size_t i = 0; i < ARRAY_SIZE(TWO); i++) {
		const char *body =
			arena_printf(r->arena,
				     OUTPUT("b") NODES(BRANCH("b", CASE(ABOVE_TEN("y"), ADD_INPUT("one")) ELSE("%s"),
							      BIND("y", INPUT("x")))),
				     TWO[i]);
		if (REFUSED[i])
			refuse(r, body, REFUSED[i]);
		else
			accept(r, body);
	}
	accept(r, OUTPUT("b") NODES(BRANCH("b", CASE(ABOVE_TEN("y"), ADD_INPUT("one")) ERROR, BIND("y", INPUT("x")))));
}

static void refuse_branch(struct result *r, const char *cases, const char *text)
{
	refuse(r, arena_printf(r->arena, WITH_INPUT NODES(BRANCH("b", "%s", BIND("y", INPUT("x")))), cases), text);
}

static void test_bad_branches(void **state)
{
	struct result *r = *state;

	refuse(r, NODES("{id: b, branch_node: {}}"),
	       "Code: ValueRequired, Node Id: b, Description: Value required "
	       "[Branch.IfElse].");
	refuse_branch(r, "", "Value required [Branch.IfElse.Case].");
	refuse_branch(r, "",
		      "Code: BranchNodeHasNoCondition, Node Id: b, Description: One of the branches on the node "
		      "doesn't have a condition.");
	refuse_branch(r, CASE(ABOVE_TEN("y"), ADD_INPUT("a")),
		      "Code: BranchNodeHasNoDefault, Node Id: b, Description: Branch Node must have either the else "
		      "case set or a default error.");
	refuse_branch(r, "case: {condition: " ABOVE_TEN("y") "}" ERROR,
		      "Code: BranchNodeIdNotFound, Node Id: b, Description: BranchNode not assigned");
	refuse_branch(r, "case: {then_node: " ADD_INPUT("a") "}" ERROR, "Code: BranchNodeHasNoCondition, Node Id: b");
	refuse_branch(r, CASE(ABOVE_TEN("y"), ADD("a", INPUT("q"), ONE)) ERROR,
		      "Code: ParameterNotBound, Node Id: b-a, Description: Parameter not bound [x].");
	refuse_branch(r, CASE(ABOVE_TEN("y"), ADD("a", PROMISE("z", "o0"), ONE)) ERROR,
		      "Code: NodeReferenceNotFound, Node Id: z");
}

static void test_bad_conditions(void **state)
{
	struct result *r = *state;

	refuse_branch(r, CASE(ABOVE_TEN("z"), ADD_INPUT("a")) ERROR,
		      "Code: VariableNameNotFound, Node Id: b, Description: Variable [z] not found on node [b].");
	refuse_branch(r, CASE(COMPARE(VAR("y"), "primitive: {string_value: a}"), ADD_INPUT("a")) ERROR,
		      "Code: MismatchingTypes, Node Id: b, Description: Variable [RightValue] (type [simple:STRING]) "
		      "doesn't match expected type [simple:INTEGER].");
	refuse_branch(r, CASE("{}", ADD_INPUT("a")) ERROR, "Description: Value required [Expr].");
	refuse_branch(r, CASE("{comparison: {left_value: {" NUMBER "}}}", ADD_INPUT("a")) ERROR,
		      "Description: Value required [RightValue].");
	refuse_branch(r, CASE(COMPARE("", NUMBER), ADD_INPUT("a")) ERROR,
		      "Description: Value required [LeftValue.Val].");
	refuse_branch(r,
		      CASE("{conjunction: {left_expression: " ABOVE_TEN("y") ", right_expression: " ABOVE_TEN("z") "}}",
			   ADD_INPUT("a")) ERROR,
		      "Code: VariableNameNotFound, Node Id: b");
	refuse_branch(r, CASE("{conjunction: {left_expression: " ABOVE_TEN("y") "}}", ADD_INPUT("a")) ERROR,
		      "Code: BranchNodeHasNoCondition, Node Id: b");
}

/* Branches are understood when they are met: what they look at has to come before them. */
static void test_branch_order(void **state)
{
	struct result *r = *state;

	refuse(r,
	       WITH_INPUT NODES(BRANCH("b", CASE(ABOVE_TEN("y"), NODE("c", "void", "")) ERROR,
				       BIND("y", PROMISE("a", "o0"))) ", " ADD_INPUT("a")),
	       "Code: NodeReferenceNotFound, Node Id: a");
}

#define CYCLE(path)                                                                                                    \
	"Code: CycleDetected, Node Id: start-node, Description: A cycle has been detected while traversing the "       \
	"Workflow [start-node>" path "]."

/* A node of a branch reads its own branch, the one around that, or what waits for the branch: it would never run. */
static void test_branch_cycles(void **state)
{
	struct result *r = *state;

	refuse_branch(r, CASE(ABOVE_TEN("y"), ADD("a", PROMISE("b", "o0"), ONE)) ELSE(ADD_INPUT("c")),
		      CYCLE("b>b-a>b"));
	refuse_branch(r,
		      CASE(ABOVE_TEN("y"), BRANCH("c", CASE(ABOVE_TEN("z"), ADD("d", PROMISE("b", "o0"), ONE)) ERROR,
						  BIND("z", INPUT("x")))) ELSE(ADD_INPUT("e")),
		      CYCLE("b>b-c-d>b-c>b"));
	refuse(r,
	       WITH_INPUT NODES(NODE_AFTER("a", "add", BIND("x", ONE) ", " BIND("y", ONE), "b") ", " BRANCH(
		       "b", CASE(ABOVE_TEN("y"), ADD("c", PROMISE("a", "o0"), ONE)) ERROR, BIND("y", INPUT("x")))),
	       CYCLE("b>a>b-c>b"));
}

/* Of nodes in branches, and of the failure node, the names upstream mean nothing. */
static void test_names_upstream_in_branches(void **state)
{
	struct result *r = *state;

	accept(r, WITH_INPUT NODES(BRANCH("b", CASE(ABOVE_TEN("y"), NODE_AFTER("a", "void", "", "b, z")) ERROR,
					  BIND("y", INPUT("x")))) ", failure_node: " NODE_AFTER("f", "void", "", "z"));
	assert_string_equal(upstream(r), "b: start-node; end-node: b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_branch_connections), TEST(test_nested_branch),
		TEST(test_common_outputs),     TEST(test_bad_branches),
		TEST(test_bad_conditions),     TEST(test_branch_order),
		TEST(test_branch_cycles),      TEST(test_names_upstream_in_branches),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* One workflow for each kind of error that Flyte's compiler knows, with all that is said of it; and some with several.
 */
#include "compiler_fixture.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

#define ENTITY(type, name) "{resource_type: " type ", project: p, domain: d, name: " name ", version: v}"
#define TEXT(type, name)   "resource_type:" type " project:\"p\" domain:\"d\" name:\"" name "\" version:\"v\""
#define PLAN(id, name, inputs)                                                                                         \
	"{id: " id ", workflow_node: {launchplan_ref: " ENTITY("LAUNCH_PLAN", name) "}, inputs: [" inputs "]}"
#define SUB(id, name)      "{id: " id ", workflow_node: {sub_workflow_ref: " ENTITY("WORKFLOW", name) "}}"
#define VOID(id)           NODE(id, "void", "")
#define BRANCH(id, cases)  "{id: " id ", branch_node: {if_else: {" cases "}}, inputs: [" BIND("y", ONE) "]}"
#define ALWAYS             "{comparison: {left_value: {var: y}, right_value: {primitive: {integer: 1}}}}"
#define CASE(condition, n) "case: {condition: " condition ", then_node: " n "}"
#define ERROR              ", error: {failed_node_id: x, message: no}"
#define LISTS              "union_type:{variants:{collection_type:{simple:INTEGER}} variants:{collection_type:{simple:STRING}}}"

/* As they are told, one a line without numbers. */
#define SAYS(code, node, text) "Code: " code ", Node Id: " node ", Description: " text "\n"

static const struct {
	const char *body, *errors;
} CASES[] = {
	{INPUTS("x: " INT) NODES(ADD("a", PROMISE("b", "o0"), INPUT("x")) ", " ADD("b", PROMISE("a", "o0"), ONE)),
	 SAYS("CycleDetected", "start-node",
	      "A cycle has been detected while traversing the Workflow [start-node>a>b>a].")},
	{NODES(BRANCH("b", CASE(ALWAYS, VOID("c")) ERROR ", other: [{condition: " ALWAYS "}]")),
	 SAYS("BranchNodeIdNotFound", "b", "BranchNode not assigned")
		 SAYS("ValueRequired", "b", "Value required [IfElse.Case.ThenNode].")
			 SAYS("ValueRequired", "b", "Value required [y].")},
	{NODES(BRANCH("b", "case: {then_node: " VOID("c") "}" ERROR)),
	 SAYS("BranchNodeHasNoCondition", "b", "One of the branches on the node doesn't have a condition.")},
	{NODES(BRANCH("b", CASE(ALWAYS, VOID("c")))),
	 SAYS("BranchNodeHasNoDefault", "b", "Branch Node must have either the else case set or a default error.")},
	{NODES(NODE("a", "say", "{var: s}")), SAYS("ParameterNotBound", "a", "Parameter not bound [s].")
						      SAYS("ValueRequired", "a", "Value required [Binding].")},
	{NODES(VOID("a") ", " NODE_AFTER("c", "void", "", "a, b")),
	 SAYS("NodeReferenceNotFound", "b", "Referenced node [b] not found.")},
	{NODES(ADD("a", PROMISE("z", "o0"), ONE)), SAYS("NodeReferenceNotFound", "z", "Referenced node [z] not found.")
							   SAYS("ParameterNotBound", "a", "Parameter not bound [x].")},
	{NODES(NODE("a", "none", "")),
	 SAYS("TaskReferenceNotFound", "start-node", "Referenced Task [" TEXT("TASK", "none") "] not found.")},
	{NODES(SUB("a", "none")),
	 SAYS("WorkflowReferenceNotFound", "a", "Referenced Workflow [" TEXT("WORKFLOW", "none") "] not found.")},
	{NODES(PLAN("a", "none", "")), SAYS("WorkflowReferenceNotFound", "start-node",
					    "Referenced Workflow [" TEXT("LAUNCH_PLAN", "none") "] not found.")},
	{NODES(NODE("a", "void", BIND("x", ONE))),
	 SAYS("VariableNameNotFound", "a", "Variable [x] not found on node [a].")},
	{NODES("{id: a, task_node: {reference_id: " ENTITY("TASK", "say") "}, inputs: [" BIND(
		 "s", CONST("string_value: t")) "], output_aliases: [{var: o0, alias: p}, {var: o0, alias: q}]}"),
	 SAYS("DuplicateAlias", "a",
	      "Duplicate alias [q] found. An output alias can only be used once in the Workflow.")},
	{NODES(VOID("a") ", " VOID("a")), SAYS("DuplicateId", "a", "Trying to insert two nodes with the same id.")},
	{NODES(NODE("a", "say", BIND("s", ONE))),
	 SAYS("MismatchingTypes", "a",
	      "Variable [s] (type [simple:INTEGER]) doesn't match expected type [simple:STRING].")},
	{NODES(ADD("a", ONE, ONE) ", " NODE("b", "say", BIND("s", PROMISE("a", "o0")))),
	 SAYS("MismatchingTypes", "b",
	      "The output variable 'a_name.o0' has type [simple:INTEGER], but it's assigned to the input variable "
	      "'b_name.s' which has type type [simple:STRING].")},
	{NODES(ADD("a", "collection: {bindings: []}", ONE)),
	 SAYS("MismatchingBindings", "a",
	      "Input [x] on node [a] expects bindings of type [simple:INTEGER].  Received []")},
	{NODES(NODE("a", "say", BIND("s", CONST("string_value: t")) ", " BIND("s", CONST("string_value: u")))),
	 SAYS("ParameterBoundMoreThanOnce", "a", "Input [s] is bound more than once.")},
	{NODES(NODE("a", "say", "")), SAYS("ParameterNotBound", "a", "Parameter not bound [s].")},
	{NODES(ADD("a", PROMISE("b", "o0"), ONE) ", " ADD("b", PROMISE("a", "o0"), ONE)),
	 SAYS("UnreachableNodes", "start-node", "The Workflow contain unreachable nodes [a,b].")},
	{NODES(NODE("a", "say", BIND("s", "scalar: {blob: {}}"))),
	 SAYS("UnrecognizedValue", "a", "Unrecognized value [*core.Scalar_Blob].")},
	{NODES(VOID("b-c") ", " BRANCH("b", CASE(ALWAYS, VOID("c")) ERROR)),
	 SAYS("ValueCollision", "b-c", "Id is expected to be unique. b-c already exists.")},
	{INPUTS("x: " INT) NODES(ADD("a", "promise: {var: x.y}", ONE)),
	 SAYS("SyntaxError", "a", "Failed to parse element [x.y].")},
	{NODES("{id: a, metadata: {timeout: \"99999999999s\"}, task_node: {reference_id: " ENTITY("TASK", "void") "}}"),
	 SAYS("SyntaxError", "a", "Failed to parse element [node:metadata:timeout].")},
	{"nodes: []",
	 SAYS("NoNodesFound", TEXT("WORKFLOW", "w"), "Can't find any nodes in workflow [" TEXT("WORKFLOW", "w") "].")},
	{NODES(NODE("a", "color", BIND("c", CONST("string_value: blue")))),
	 SAYS("IllegalEnumValue", "a",
	      "Input [c] on node [a] is an Enum and expects value to be one of [[red green]].  Received [blue]")},
	{NODES(NODE("a", "lists", BIND("l", "collection: {bindings: []}"))),
	 SAYS("AmbiguousBindingUnionValue", "a",
	      "Input [l] on node [a] expects bindings of union type [" LISTS "].  Received [collection:{}] which is "
	      "ambiguous as both variants [collection_type:{simple:INTEGER}] and [collection_type:{simple:STRING}] "
	      "match.")},
	{NODES(NODE("a", "lists", BIND("l", "map: {bindings: {}}"))),
	 SAYS("IncompatibleBindingUnionValue", "a",
	      "Input [l] on node [a] expects bindings of union type [" LISTS
	      "].  Received [map:{}] which does not match "
	      "any of the variants.")},
	{NODES("{id: a, gate_node: {}}"), SAYS("NoConditionFound", "a", "Can't find any condition in gate node [a].")},
	{NODES(NODE("a", "data", "") ", " ADD("b", "promise: {node_id: a, var: o0, attr_path: [{string_value: z}]}",
					      ONE)),
	 SAYS("FieldNotFound", "b",
	      "Variable [o0] (type [simple:STRUCT structure:{dataclass_type:{key:\"a\" value:{simple:INTEGER}}}]) doesn't "
	      "have field [z].")},
};

/* Several at once: sorted by code and text, each once. */
#define MISSING(node, what) SAYS("ParameterNotBound", node, "Parameter not bound [" what "].")
static const struct {
	const char *body, *sub, *errors;
} SEVERAL[] = {
	{INPUTS("x: " INT) NODES(NODE("a", "add", "") ", " NODE("b", "add", BIND("x", PROMISE("a", "o1"))) ", " NODE(
		 "c", "say", BIND("s", ONE)) ", {id: g, gate_node: {}}, {id: h}"),
	 NULL,
	 SAYS("MismatchingTypes", "c",
	      "Variable [s] (type [simple:INTEGER]) doesn't match expected type [simple:STRING].")
		 SAYS("NoConditionFound", "g", "Can't find any condition in gate node [g].") MISSING("a", "x")
			 MISSING("a", "y") MISSING("b", "x") MISSING("b", "y")
				 SAYS("ValueRequired", "h", "Value required [Target].")
					 SAYS("VariableNameNotFound", "a", "Variable [o1] not found on node [a].")},
	/* in a list, a map and a branch; an error that two bindings have is told once */
	{NODES(NODE(
		 "a", "list",
		 BIND("l",
		      "collection: {bindings: [{" CONST("string_value: s") "}, {" ONE "}, {" CONST(
			      "string_value: t") "}, {" CONST("boolean: true") "}]}")) ", " BRANCH("b",
												   CASE("{}",
													NODE("c", "say",
													     ""))
													   ERROR)),
	 NULL,
	 SAYS("MismatchingTypes", "a",
	      "Variable [l] (type [simple:BOOLEAN]) doesn't match expected type [simple:INTEGER].")
		 SAYS("MismatchingTypes", "a",
		      "Variable [l] (type [simple:STRING]) doesn't match expected type [simple:INTEGER].")
			 SAYS("ValueRequired", "b", "Value required [Expr].")},
	/* in a sub-workflow and in the failure node */
	{NODES(SUB("s", "inner") ", " SUB("t", "inner")) ", failure_node: " NODE("f", "add", BIND("x", ONE)),
	 "interface: {}, " NODES(NODE("m", "say", "") ", " NODE("n", "void", BIND("x", ONE))),
	 MISSING("f", "y") MISSING("m", "s") SAYS("VariableNameNotFound", "n", "Variable [x] not found on node [n].")},
	/* what is not there is told first, and alone */
	{NODES(NODE("a", "none", "") ", " PLAN("b", "none", "") ", " NODE("c", "add", "")), NULL,
	 SAYS("TaskReferenceNotFound", "start-node", "Referenced Task [" TEXT("TASK", "none") "] not found.")
		 SAYS("WorkflowReferenceNotFound", "start-node",
		      "Referenced Workflow [" TEXT("LAUNCH_PLAN", "none") "] not found.")},
};

/* ---- */

/* Without numbers, which have to be right. */
static const char *told(struct result *r)
{
	auto_buf struct buf b = {0};
	struct str rest = str_of(r->err.text), line = str_cut(&rest, '\n');
	size_t n = 0;

	while (rest.ptr && rest.len) {
		line = str_cut(&rest, '\n');
		const char *head = arena_printf(r->arena, "\tError %zu: ", n++);
		assert_true(line.len > strlen(head));
		assert_memory_equal(line.ptr, head, strlen(head));
		buf_add(&b, line.ptr + strlen(head), line.len - strlen(head));
		buf_addc(&b, '\n');
	}
	const char *count = arena_printf(r->arena, "Collected Errors: %zu\n", n);
	assert_memory_equal(r->err.text, count, strlen(count));
	return arena_strdup(r->arena, buf_text(&b));
}

static void expect(struct result *r, const char *body, const char *sub, const char *errors)
{
	const char *const subs[][2] = {{"inner", sub}};

	compile_with(r, body, subs, sub ? 1 : 0);
	if (r->code != INVALID_ARGUMENT)
		fail_msg("not refused: %s", body);
	if (strcmp(told(r), errors) != 0)
		fail_msg("%s\nexpected\n%sgot\n%s", body, errors, told(r));
}

static void test_each_kind(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(CASES); i++)
		expect(*state, CASES[i].body, NULL, CASES[i].errors);
}

static void test_several(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(SEVERAL); i++)
		expect(*state, SEVERAL[i].body, SEVERAL[i].sub, SEVERAL[i].errors);
}

/* Tasks have errors of their own. */
static void test_tasks(void **state)
{
	struct result *r = *state;
	static const char *const TASK_CASES[][2] = {
		{"container: {image: i}", SAYS("ValueRequired", "container", "Value required [command].")},
		{"k8s_pod: {pod_spec: {containers: [{name: NOT_A_NAME}]}}",
		 SAYS("InvalidValue", "root", "Invalid value [k8s pod spec container name].")},
	};

	for (size_t i = 0; i < ARRAY_SIZE(TASK_CASES); i++) {
		const CoreTaskTemplate *t = read_message(
			r->arena, CORE_TASK_TEMPLATE_DESC,
			arena_printf(r->arena,
				     "{type: python-task, metadata: {runtime: {version: v}}, interface: {inputs: "
				     "{variables: {x: " INT "}}}, %s}",
				     TASK_CASES[i][0]));
		assert_int_equal(check_task_template(t, &r->err), INVALID_ARGUMENT);
		if (!strstr(r->err.text, TASK_CASES[i][1]))
			fail_msg("%s", r->err.text);
	}
}

/* All that Flyte's compiler has names for. */
static void test_all_kinds_are_here(void **state)
{
	(void)state;
	static const char *const CODES[] = {
		"CycleDetected",
		"BranchNodeIdNotFound",
		"BranchNodeHasNoCondition",
		"BranchNodeHasNoDefault",
		"ValueRequired",
		"NodeReferenceNotFound",
		"TaskReferenceNotFound",
		"WorkflowReferenceNotFound",
		"VariableNameNotFound",
		"DuplicateAlias",
		"DuplicateId",
		"MismatchingTypes",
		"MismatchingBindings",
		"ParameterBoundMoreThanOnce",
		"ParameterNotBound",
		"UnreachableNodes",
		"UnrecognizedValue",
		"ValueCollision",
		"SyntaxError",
		"NoNodesFound",
		"IllegalEnumValue",
		"AmbiguousBindingUnionValue",
		"IncompatibleBindingUnionValue",
		"NoConditionFound",
		"FieldNotFound",
		/* elsewhere: InvalidValue (tasks), WorkflowBuildError and InvalidLiteralType (executions); Flyte never
		 * says MismatchingInterfaces and InconsistentTypes, and NoEntryNodeFound of nothing that it has
		 * compiled */
	};

	for (size_t i = 0; i < ARRAY_SIZE(CODES); i++) {
		auto_buf struct buf start = {0};
		bool found = false;
		buf_printf(&start, "Code: %s, ", CODES[i]);
		for (size_t k = 0; k < ARRAY_SIZE(CASES) && !found; k++)
			found = strstr(CASES[k].errors, buf_text(&start));
		if (!found)
			fail_msg("no workflow for %s", CODES[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_kind),
		TEST(test_several),
		TEST(test_tasks),
		TEST(test_all_kinds_are_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

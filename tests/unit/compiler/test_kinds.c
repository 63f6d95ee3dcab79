/* Kinds of nodes: what each takes and gives, its connections, and what is refused with which code. */
#include "compiler_nodes.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/* ---- workflows in workflows ---- */

static void test_sub_workflows(void **state)
{
	struct result *r = *state;
	static const char *const SUBS[][2] = {
		{"inner", OUTPUT("a") NODES(ADD_INPUT("a"))},
		{"unused", NODES(NODE("a", "void", ""))},
		{"outer", OUTPUT("b") NODES(SUB("a", "inner", BIND("x", INPUT("x"))) ", " SUB(
				  "b", "inner", BIND("x", PROMISE("a", "o0"))))},
	};

	compile_with(r,
		     OUTPUT("b") NODES(SUB("a", "outer", BIND("x", INPUT("x"))) ", " SUB(
			     "b", "inner", BIND("x", PROMISE("a", "o0")))),
		     SUBS, ARRAY_SIZE(SUBS));
	if (r->code)
		fail_msg("%s", r->err.text);
	assert_string_equal(downstream(r), "a: b; b: end-node; start-node: a");
	assert_int_equal(r->closure->n_sub_workflows, 3);
	assert_string_equal(downstream_of(r, r->closure->sub_workflows[0]), "a: end-node; start-node: a");
	assert_null(r->closure->sub_workflows[1]->connections);
	assert_string_equal(downstream_of(r, r->closure->sub_workflows[2]), "a: b; b: end-node; start-node: a");
	assert_string_equal(r->closure->sub_workflows[2]->template_->nodes[2]->inputs[0]->binding->promise->node_id,
			    "start-node");
}

static void refuse_with(struct result *r, const char *body, const char *name, const char *sub, const char *text)
{
	const char *const subs[][2] = {{name, sub}};

	compile_with(r, body, subs, 1);
	assert_int_equal(r->code, INVALID_ARGUMENT);
	if (!strstr(r->err.text, text))
		fail_msg("expected %s\ngot %s", text, r->err.text);
}

static void test_bad_sub_workflows(void **state)
{
	struct result *r = *state;
	static const char USE[] = WITH_INPUT NODES(SUB("a", "s", BIND("x", INPUT("x"))));

	refuse(r, USE,
	       "Code: WorkflowReferenceNotFound, Node Id: a, Description: Referenced Workflow [resource_type:WORKFLOW "
	       "project:\"p\" domain:\"d\" name:\"s\" version:\"v\"] not found.");
	refuse(r, NODES("{id: a, workflow_node: {}}"),
	       "Code: WorkflowReferenceNotFound, Node Id: a, Description: Referenced Workflow [<nil>/<nil>] not found.");
	refuse_with(r, USE, "s", NODES(NODE("a", "void", "")),
		    "Code: ValueRequired, Node Id: a, Description: Value required [WorkflowNode.Template.Interface].");
	refuse_with(r, USE, "s", WITH_INPUT "nodes: []", "Code: NoNodesFound");
	refuse_with(r, USE, "s", WITH_INPUT NODES(ADD("n", INPUT("q"), ONE)),
		    "Code: VariableNameNotFound, Node Id: start-node, Description: Variable [q] not found");
	refuse_with(r, USE, "s", WITH_INPUT NODES(SUB("n", "s", BIND("x", INPUT("x")))),
		    "Code: CycleDetected, Node Id: start-node, Description: A cycle has been detected while traversing "
		    "the Workflow [w>s>s].");
}

/* All errors at once, of the workflow and of what it contains. */
static void test_all_errors(void **state)
{
	struct result *r = *state;

	refuse_with(r, WITH_INPUT NODES(SUB("a", "s", BIND("x", INPUT("x"))) ", " NODE("b", "add", "")), "s",
		    WITH_INPUT NODES(NODE("c", "say", BIND("s", ONE))), "Collected Errors: 3\n");
	assert_non_null(strstr(r->err.text, "Node Id: c, Description: Variable [s]"));
	assert_non_null(strstr(r->err.text, "Node Id: b, Description: Parameter not bound [x]."));
	assert_non_null(strstr(r->err.text, "Node Id: b, Description: Parameter not bound [y]."));
}

/* ---- launch plans ---- */

static void test_launch_plans(void **state)
{
	struct result *r = *state;

	accept(r,
	       OUTPUT("b") NODES(PLAN("a", "adder", BIND("x", INPUT("x"))) ", " PLAN(
		       "b", "adder", BIND("x", PROMISE("a", "o0")) ", " BIND("y", ONE)) ", " PLAN("c", "given", "")));
	assert_string_equal(downstream(r), "a: b; b: end-node; c: end-node; start-node: a c");
	assert_int_equal(r->closure->n_launch_plans, 0);
	refuse(r, NODES(PLAN("a", "none", "")), "Code: WorkflowReferenceNotFound, Node Id: start-node");
	refuse(r, NODES(PLAN("a", "adder", "")),
	       "Collected Errors: 1\n\tError 0: Code: ParameterNotBound, Node Id: a, Description: Parameter not bound "
	       "[x].");
	refuse(r, NODES(PLAN("a", "adder", BIND("x", ONE) ", " BIND("y", CONST("string_value: a")))),
	       "Code: MismatchingTypes, Node Id: a, Description: Variable [y]");
	refuse(r, NODES(PLAN("a", "given", BIND("x", ONE))), "Code: VariableNameNotFound, Node Id: a");
}

/* ---- gates ---- */

static void test_gates(void **state)
{
	struct result *r = *state;

	accept(r,
	       OUTPUT("c") NODES(
		       ADD_INPUT("a") ", " GATE("b", "approve: {signal_id: s}", BIND("o0", PROMISE("a", "o0"))) ", " ADD(
			       "c", PROMISE("b", "o0"),
			       PROMISE("d",
				       "v")) ", " GATE("d",
						       "signal: {signal_id: t, type: {simple: INTEGER}, output_variable_name: v}",
						       "") ", " GATE("e", "sleep: {}", "")));
	assert_string_equal(downstream(r), "a: b; b: c; c: end-node; d: c; e: end-node; start-node: a d e");
	assert_string_equal(upstream(r), "a: start-node; b: a; c: b d; d: start-node; e: start-node; end-node: c e");
	refuse(r, NODES(GATE("g", "", "")),
	       "Code: NoConditionFound, Node Id: g, Description: Can't find any condition in gate node [g].");
	refuse(r, NODES(GATE("g", "signal: {output_variable_name: v}", "")), "Value required [GateNode.Signal.Type].");
	refuse(r, NODES(GATE("g", "signal: {type: {simple: INTEGER}}", "")),
	       "Value required [GateNode.Signal.OutputVariableName].");
	refuse(r, NODES(GATE("g", "approve: {}", BIND("x", "collection: {bindings: []}"))),
	       "Code: MismatchingBindings, Node Id: g");
	refuse(r, NODES(GATE("g", "sleep: {}", BIND("x", ONE))), "Code: VariableNameNotFound, Node Id: g");
}

/* ---- arrays ---- */

#define ONES "collection: {bindings: [{" ONE "}, {" ONE "}]}"

static void test_arrays(void **state)
{
	struct result *r = *state;

	/* the task says itself that it takes lists */
	accept(r, NODES(ARRAY("a", NODE("n", "list", ""), ", parallelism: 2",
			      BIND("l", ONES)) ", " NODE("b", "list", BIND("l", PROMISE("a", "o0")))));
	refuse(r, NODES(ARRAY("a", NODE("n", "add", ""), "", BIND("x", ONES) ", " BIND("y", ONE))),
	       "Code: MismatchingBindings, Node Id: a");
	refuse(r, NODES("{id: a, array_node: {}}"),
	       "Code: ValueRequired, Node Id: , Description: Value required [Target].");
	refuse(r, NODES(ARRAY("a", "{id: n, task_node: {}}", "", "")), "Code: ValueRequired, Node Id: n");
}

/* An item is one task or one execution. */
static void test_bad_items(void **state)
{
	struct result *r = *state;
	static const char *const ITEMS[] = {GATE("n", "sleep: {duration: \"1s\"}", ""), "{id: n, branch_node: {}}",
					    ARRAY("n", NODE("m", "void", ""), "", ""), SUB("n", "s", "")};
	static const char INVALID[] = "Collected Errors: 1\n\tError 0: Code: InvalidValue, Node Id: a, Description: "
				      "Invalid value [ArrayNode.Node]: the items of an array can only be tasks or "
				      "launch plans.";

	for (size_t i = 0; i < ARRAY_SIZE(ITEMS); i++)
		refuse_with(r, arena_printf(r->arena, NODES(ARRAY("a", "%s", "", "")), ITEMS[i]), "s",
			    "interface: {}, " NODES(NODE("m", "void", "")), INVALID);
}

#define LIFT ", is_original_sub_node_interface: true"

/* Others are lifted: inputs that are not bound, and outputs, become lists. */
static void test_lifted_arrays(void **state)
{
	struct result *r = *state;

	accept(r, NODES(ARRAY("a", PLAN("n", "adder", ""), LIFT ", execution_mode: FULL_STATE",
			      BIND("x", ONES)) ", " NODE("b", "list", BIND("l", PROMISE("a", "o0")))));
	accept(r, NODES(ARRAY("a", NODE("n", "add", ""), LIFT ", bound_inputs: [y]",
			      BIND("x", ONES) ", " BIND("y", ONE))));
	refuse(r, NODES(ARRAY("a", NODE("n", "add", ""), LIFT, BIND("x", ONES) ", " BIND("y", ONE))),
	       "Description: Variable [y] (type [simple:INTEGER]) doesn't match expected type "
	       "[collection_type:{simple:INTEGER}].");
	/* where some may fail, elements are optional */
	refuse(r,
	       NODES(ARRAY("a", PLAN("n", "adder", ""), LIFT ", min_success_ratio: 0.5",
			   BIND("x", ONES)) ", " NODE("b", "list", BIND("l", PROMISE("a", "o0")))),
	       "Code: MismatchingTypes, Node Id: b");
}

/* ---- failure nodes ---- */

#define FAILURE(node) ", failure_node: " node

static void test_failure_nodes(void **state)
{
	struct result *r = *state;
	static const char *const HANDLER[][2] = {
		{"handler",
		 "interface: {inputs: {variables: {x: " INT ", err: {type: {union_type: {variants: [{simple: "
		 "ERROR}, {simple: NONE}]}}}}}}, " NODES(ADD_INPUT("a"))},
	};

	/* nothing binds the error: it is there when it is needed */
	accept(r, WITH_INPUT NODES(ADD_INPUT("a")) FAILURE(NODE("f", "fail", BIND("x", INPUT("x")))));
	assert_string_equal(upstream(r), "a: start-node; end-node: a; f: start-node");
	assert_string_equal(downstream(r), "a: end-node; start-node: a");
	assert_string_equal(r->closure->primary->template_->failure_node->inputs[0]->binding->promise->node_id,
			    "start-node");
	assert_int_equal(r->closure->primary->template_->n_nodes, 3);
	compile_with(r, WITH_INPUT NODES(ADD_INPUT("a")) FAILURE(SUB("f", "handler", BIND("x", INPUT("x")))), HANDLER,
		     1);
	assert_int_equal(r->code, OK);
	assert_non_null(r->closure->sub_workflows[0]->connections);
	refuse(r, WITH_INPUT NODES(ADD_INPUT("a")) FAILURE(NODE("f", "fail", "")),
	       "Code: ParameterNotBound, Node Id: f, Description: Parameter not bound [x].");
	refuse(r, WITH_INPUT NODES(ADD_INPUT("a")) FAILURE(ADD("f", INPUT("q"), ONE)),
	       "Code: ParameterNotBound, Node Id: f");
	refuse(r, WITH_INPUT NODES(ADD_INPUT("a")) FAILURE(NODE("a", "void", "")), "Code: DuplicateId, Node Id: a");
	refuse(r,
	       WITH_INPUT NODES(BRANCH("b", CASE(ABOVE_TEN("y"), NODE("c", "void", "")) ERROR, BIND("y", INPUT("x"))))
		       FAILURE(NODE("b-c", "void", "")),
	       "Code: ValueCollision, Node Id: b-c, Description: Id is expected to be unique. b-c already exists.");
}

/* ---- requirements ---- */

static void test_requirements(void **state)
{
	struct result *r = *state;
	CoreWorkflowTemplate *w =
		read_workflow(r->arena, "w",
			      NODES(BRANCH("b", CASE(ABOVE_TEN("y"), PLAN("p", "lp2", "")) ELSE(NODE("t", "t3", "")),
					   "") ", " ARRAY("a", PLAN("p", "lp1", ""), "", "") ", " SUB("s", "sub", ""))
				      FAILURE(NODE("f", "t2", "")));
	CoreWorkflowTemplate *sub = read_workflow(r->arena, "sub", NODES(NODE("t", "t1", "") ", " NODE("u", "t2", "")));
	struct requirements need;

	assert_int_equal(compile_requirements(w, &sub, 1, r->arena, &need, &r->err), OK);
	assert_int_equal(need.n_tasks, 3);
	assert_string_equal(need.tasks[0]->name, "t1");
	assert_string_equal(need.tasks[2]->name, "t3");
	assert_int_equal(need.n_launch_plans, 2);
	assert_string_equal(need.launch_plans[0]->name, "lp1");
	CoreWorkflowTemplate *twice[] = {sub, sub};
	assert_int_equal(compile_requirements(w, twice, 2, r->arena, &need, &r->err), INVALID_ARGUMENT);
	assert_non_null(strstr(r->err.text, "Code: DuplicateId"));
}

/* Each uses all before it twice: compiled anew for each, that would never end. */
static void test_many_sub_workflows(void **state)
{
	struct result *r = *state;
	enum { N = 60 };
	const char *subs[N][2];

	for (size_t i = 0; i < N; i++) {
		auto_buf struct buf b = {0};
		buf_adds(&b, "interface: {}, nodes: [" NODE("n", "void", ""));
		for (size_t k = 0; k < i; k++)
			buf_printf(&b, ", " SUB("a%zu", "s%zu", "") ", " SUB("b%zu", "s%zu", ""), k, k, k, k);
		buf_adds(&b, "]");
		subs[i][0] = arena_printf(r->arena, "s%zu", i);
		subs[i][1] = arena_strdup(r->arena, buf_text(&b));
	}
	compile_with(r, arena_printf(r->arena, NODES(SUB("a", "s%d", "")), N - 1), subs, N);
	assert_int_equal(r->code, OK);
	assert_non_null(r->closure->sub_workflows[0]->connections);
}

/* ---- dynamic workflows ---- */

static CoreDynamicJobSpec *read_spec(struct arena *a, const char *text)
{
	return read_message(a, CORE_DYNAMIC_JOB_SPEC_DESC, text);
}

static void compile_futures(struct result *r, const char *text)
{
	struct dynamic_input in = {
		.spec = read_spec(r->arena, text),
		.parent = read_message(r->arena, CORE_TASK_TEMPLATE_DESC,
				       "{id: " ENTITY("TASK", "dyn") ", interface: {inputs: {variables: {n: " INT
								     "}}, outputs: {variables: {o0: " INT
								     "}}}, container: {image: i, config: [{key: "
								     "k, value: v}]}}"),
		.project = "p",
		.domain = "d",
		.node_id = "n3",
		.version = "random",
		.launch_plans = read_launch_plans(r->arena),
		.n_launch_plans = ARRAY_SIZE(PLANS),
	};

	r->closure = NULL;
	r->code = compile_dynamic(&in, r->arena, &r->closure, &r->err);
}

#define ONE_TASK(container)                                                                                            \
	"tasks: [{id: " ENTITY("TASK", "add") ", interface: {inputs: {variables: {x: " INT ", y: " INT                 \
					      "}}, outputs: {variables: {o0: " INT "}}}, container: {" container "}}]"
#define FUTURES(container)                                                                                             \
	"{" NODES(ADD("a", ONE, ONE) ", " PLAN("l", "adder", BIND("x", PROMISE("a", "o0")))) ", outputs: [" BIND(      \
		"o0", PROMISE("l", "o0")) "], " ONE_TASK(container) "}"

static void test_dynamic(void **state)
{
	struct result *r = *state;
	struct requirements need;

	assert_int_equal(
		dynamic_requirements(read_spec(r->arena, FUTURES("image: i, args: [a]")), r->arena, &need, &r->err),
		OK);
	assert_int_equal(need.n_launch_plans, 1);
	compile_futures(r, FUTURES("image: i, args: [a]"));
	if (r->code)
		fail_msg("%s", r->err.text);
	const CoreWorkflowTemplate *w = r->closure->primary->template_;
	assert_string_equal(w->id->name, "dynamic_n3");
	assert_string_equal(w->id->version, "random");
	assert_int_equal(w->interface->inputs->n_variables, 0);
	assert_int_equal(w->interface->outputs->n_variables, 1);
	assert_string_equal(downstream(r), "a: l; l: end-node; start-node: a");
	assert_string_equal(r->closure->tasks[0]->template_->container->config[0]->key, "k");
}

static void test_bad_dynamic(void **state)
{
	struct result *r = *state;

	compile_futures(r, FUTURES("args: [a]"));
	assert_int_equal(r->code, INVALID_ARGUMENT);
	assert_string_equal(r->err.text,
			    "[User] failed to compile dynamic tasks, caused by: Collected Errors: 1\n\tError "
			    "0: Code: ValueRequired, Node Id: container, Description: Value required "
			    "[image].\n");
	compile_futures(r, "{" NODES(ADD("a", ONE, ONE)) ", " ONE_TASK("image: i, args: [a]") "}");
	assert_int_equal(r->code, INVALID_ARGUMENT);
	assert_string_equal(r->err.text,
			    "[User] malformed dynamic workflow, caused by: Collected Errors: 1\n\tError 0: "
			    "Code: ParameterNotBound, Node Id: end-node, Description: Parameter not bound "
			    "[o0].\n");
	compile_futures(r, "{}");
	assert_non_null(strstr(r->err.text, "Code: NoNodesFound"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sub_workflows),
		TEST(test_bad_sub_workflows),
		TEST(test_all_errors),
		TEST(test_launch_plans),
		TEST(test_gates),
		TEST(test_arrays),
		TEST(test_bad_items),
		TEST(test_lifted_arrays),
		TEST(test_failure_nodes),
		TEST(test_requirements),
		TEST(test_many_sub_workflows),
		TEST(test_dynamic),
		TEST(test_bad_dynamic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The workflow compiler: what it makes, and what it refuses in which words. Graphs, bindings, errors, size. */
#include <time.h>

#include "compiler_fixture.h"

/* ---- what it makes ---- */

static void test_connections(void **state)
{
	struct result *r = *state;

	/* a diamond with a node beside it that waits for nothing and gives nothing */
	accept(r, INPUTS("x: " INT) NODES(ADD("d", PROMISE("b", "o0"), PROMISE("c", "o0")) ", " ADD(
			  "b", PROMISE("a", "o0"),
			  ONE) ", " ADD("c", PROMISE("a", "o0"),
					INPUT("x")) ", " ADD("a", INPUT("x"), INPUT("x")) ", " NODE("z", "void", "")));
	assert_string_equal(downstream(r), "a: b c; b: d; c: d; d: end-node; start-node: a c z; z: end-node");
	assert_string_equal(upstream(r), "a: start-node; b: a; c: a start-node; d: b c; end-node: d z; z: start-node");
	assert_int_equal(r->closure->n_tasks, ARRAY_SIZE(TASKS));
}

static void test_nodes(void **state)
{
	struct result *r = *state;

	accept(r, "interface: {inputs: {variables: {x: " INT "}}, outputs: {variables: {o0: " INT
		  "}}}, outputs: [" BIND("o0", PROMISE("a", "o0")) "], " NODES(ADD("a", INPUT("x"), ONE)));
	const CoreWorkflowTemplate *w = r->closure->primary->template_;
	assert_int_equal(w->n_nodes, 3);
	assert_string_equal(w->nodes[0]->id, "start-node");
	assert_string_equal(w->nodes[1]->id, "end-node");
	assert_string_equal(w->nodes[1]->inputs[0]->var, "o0");
	assert_string_equal(w->nodes[2]->inputs[0]->binding->promise->node_id, "start-node");
	assert_int_equal(w->nodes[2]->n_upstream_node_ids, 0);
}

static void test_explicit_upstream(void **state)
{
	struct result *r = *state;

	accept(r, NODES(NODE("a", "void", "") ", " NODE("b", "void", "") ", " NODE_AFTER("c", "void", "", "b, a")));
	assert_string_equal(downstream(r), "a: c; b: c; c: end-node; start-node: a b");
	const CoreNode *c = r->closure->primary->template_->nodes[4];
	assert_string_equal(c->upstream_node_ids[0], "a");
	assert_string_equal(c->upstream_node_ids[1], "b");
}

/* The order in which a client's maps and upstream ids came does not change the digest. */
static void test_digest(void **state)
{
	struct result *r = *state;
	uint8_t one[32], two[32];

	accept(r, INPUTS("x: " INT ", y: " INT) NODES(
			  NODE("a", "void", "") ", " NODE("b", "void", "") ", " NODE_AFTER("c", "void", "", "b, a")));
	pb_digest(r->closure, one);
	accept(r, INPUTS("y: " INT ", x: " INT) NODES(
			  NODE("a", "void", "") ", " NODE("b", "void", "") ", " NODE_AFTER("c", "void", "", "a, b")));
	pb_digest(r->closure, two);
	assert_memory_equal(one, two, sizeof one);
}

static void test_bindings(void **state)
{
	static const char *const BODIES[] = {
		NODES(NODE("a", "list", BIND("l", "collection: {bindings: [{" ONE "}, {" ONE "}]}"))),
		NODES(NODE("a", "list", BIND("l", "collection: {bindings: []}"))),
		NODES(ADD("a", ONE, ONE) ", " NODE(
			"b", "list", BIND("l", "collection: {bindings: [{" ONE "}, {" PROMISE("a", "o0") "}]}"))),
		NODES(NODE("a", "dict", BIND("m", "map: {bindings: {k: {" ONE "}}}"))),
		NODES(NODE("a", "color", BIND("c", CONST("string_value: red")))),
		NODES(NODE("a", "maybe", BIND("x", "scalar: {none_type: {}}"))),
		NODES(NODE("a", "maybe", "")),
		NODES(NODE("a", "lists", BIND("l", "collection: {bindings: [{" ONE "}]}"))),
		/* an element of a list, by name and by path; a field of a dataclass */
		NODES(NODE("a", "list", BIND("l", "collection: {bindings: [{" ONE "}]}")) ", " ADD(
			"b", "promise: {node_id: a, var: o0, attr_path: [{int_value: 0}]}", ONE)),
		NODES(NODE("a", "data",
			   "") ", " ADD("b", "promise: {node_id: a, var: o0, attr_path: [{string_value: a}]}", ONE)),
	};

	for (size_t i = 0; i < ARRAY_SIZE(BODIES); i++)
		accept(*state, BODIES[i]);
}

/* ---- what it refuses ---- */

static void test_structure(void **state)
{
	struct result *r = *state;

	refuse(r, "nodes: []",
	       "Collected Errors: 1\n\tError 0: Code: NoNodesFound, Node Id: resource_type:WORKFLOW project:\"p\" "
	       "domain:\"d\" name:\"w\" version:\"v\", Description: Can't find any nodes in workflow "
	       "[resource_type:WORKFLOW project:\"p\" domain:\"d\" name:\"w\" version:\"v\"].\n");
	refuse(r, NODES(NODE("a", "void", "") ", " NODE("a", "void", "")),
	       "Code: DuplicateId, Node Id: a, Description: Trying to insert two nodes with the same id.");
	refuse(r, NODES(NODE("start-node", "void", "")), "Code: DuplicateId, Node Id: start-node");
	refuse(r,
	       NODES("{task_node: {reference_id: {resource_type: TASK, project: p, domain: d, name: void, version: v}}}"),
	       "Code: ValueRequired, Node Id: <node>, Description: Value required [Id].");
	refuse(r, NODES("{id: a}"), "Code: ValueRequired, Node Id: a, Description: Value required [Target].");
	refuse(r, NODES("{id: a, task_node: {}}"),
	       "Code: ValueRequired, Node Id: a, Description: Value required [TaskNode.ReferenceId].");
	refuse(r, NODES(NODE("a", "none", "")),
	       "Code: TaskReferenceNotFound, Node Id: start-node, Description: Referenced Task [resource_type:TASK project:\"p\" "
	       "domain:\"d\" name:\"none\" version:\"v\"] not found.");
	refuse(r, INPUTS("x: {}") NODES(NODE("a", "void", "")),
	       "Code: ValueRequired, Node Id: start-node, Description: Value required [param.Type].");
}

static void test_graph(void **state)
{
	struct result *r = *state;

	refuse(r, NODES(ADD("a", PROMISE("b", "o0"), ONE) ", " ADD("b", PROMISE("a", "o0"), ONE)),
	       "Code: UnreachableNodes, Node Id: start-node, Description: The Workflow contain unreachable nodes [a,b].");
	refuse(r,
	       INPUTS("x: " INT) NODES(ADD("a", PROMISE("c", "o0"), INPUT("x")) ", " ADD(
		       "b", PROMISE("a", "o0"), ONE) ", " ADD("c", PROMISE("b", "o0"), ONE)),
	       "Code: CycleDetected, Node Id: start-node, Description: A cycle has been detected while traversing the "
	       "Workflow [start-node>a>b>c>a].");
	refuse(r, INPUTS("x: " INT) NODES(ADD("a", PROMISE("a", "o0"), INPUT("x"))), "[start-node>a>a]");
	refuse(r, NODES(NODE_AFTER("a", "void", "", "b")),
	       "Code: NodeReferenceNotFound, Node Id: b, Description: Referenced node [b] not found.");
}

static void test_bad_bindings(void **state)
{
	struct result *r = *state;

	refuse(r, NODES(NODE("a", "add", BIND("x", ONE))),
	       "Code: ParameterNotBound, Node Id: a, Description: Parameter not bound [y].");
	refuse(r, NODES(NODE("a", "void", BIND("x", ONE))),
	       "Code: VariableNameNotFound, Node Id: a, Description: Variable [x] not found on node [a].");
	refuse(r, NODES(NODE("a", "say", BIND("s", CONST("string_value: a")) ", " BIND("s", CONST("string_value: b")))),
	       "Code: ParameterBoundMoreThanOnce, Node Id: a, Description: Input [s] is bound more than once.");
	refuse(r, NODES(NODE("a", "say", "{var: s}")),
	       "Code: ValueRequired, Node Id: a, Description: Value required [Binding].");
	refuse(r, NODES(NODE("a", "say", BIND("s", ONE))),
	       "Code: MismatchingTypes, Node Id: a, Description: Variable [s] (type [simple:INTEGER]) doesn't match "
	       "expected type [simple:STRING].");
	refuse(r, NODES(ADD("a", ONE, ONE) ", " NODE("b", "say", BIND("s", PROMISE("a", "o0")))),
	       "Code: MismatchingTypes, Node Id: b, Description: The output variable 'a_name.o0' has type "
	       "[simple:INTEGER], but it's assigned to the input variable 'b_name.s' which has type type [simple:STRING].");
	refuse(r, NODES(NODE("a", "void", "") ", " ADD("b", PROMISE("a", "o0"), ONE)),
	       "Error 0: Code: ParameterNotBound, Node Id: b, Description: Parameter not bound [x].\n\tError 1: Code: "
	       "VariableNameNotFound, Node Id: a, Description: Variable [o0] not found on node [a].");
	refuse(r, NODES(ADD("a", PROMISE("z", "o0"), ONE)),
	       "Error 0: Code: NodeReferenceNotFound, Node Id: z, Description: Referenced node [z] not found.\n\tError 1: "
	       "Code: ParameterNotBound, Node Id: a, Description: Parameter not bound [x].");
	refuse(r, NODES(ADD("a", "promise: {var: a.b}", ONE)),
	       "Code: SyntaxError, Node Id: a, Description: Failed to parse element [a.b].");
	refuse(r, NODES(ADD("a", "collection: {bindings: []}", ONE)),
	       "Code: MismatchingBindings, Node Id: a, Description: Input [x] on node [a] expects bindings of type "
	       "[simple:INTEGER].  Received []");
	refuse(r, NODES(NODE("a", "color", BIND("c", CONST("string_value: blue")))),
	       "Code: IllegalEnumValue, Node Id: a, Description: Input [c] on node [a] is an Enum and expects value to be "
	       "one of [[red green]].  Received [blue]");
	refuse(r, NODES(NODE("a", "lists", BIND("l", "collection: {bindings: []}"))),
	       "Code: AmbiguousBindingUnionValue, Node Id: a");
	refuse(r, NODES(NODE("a", "lists", BIND("l", "map: {bindings: {}}"))),
	       "Code: IncompatibleBindingUnionValue, Node Id: a");
	/* a binding without a value binds nothing; the first of two counts */
	refuse(r, NODES(NODE("a", "say", "{var: s}")), "Code: ParameterNotBound, Node Id: a");
	refuse(r, NODES(NODE("a", "say", BIND("s", ONE) ", " BIND("s", CONST("string_value: b")))), "MismatchingTypes");
	refuse(r,
	       NODES(NODE("a", "data",
			  "") ", " ADD("b", "promise: {node_id: a, var: o0, attr_path: [{string_value: z}]}", ONE)),
	       "Code: FieldNotFound, Node Id: b");
	refuse(r, "interface: {outputs: {variables: {o0: " INT "}}}, " NODES(NODE("a", "void", "")),
	       "Code: ParameterNotBound, Node Id: end-node, Description: Parameter not bound [o0].");
}

/* ---- size ---- */

/* A chain of n nodes of which each takes the outputs of the two before it. */
static CoreWorkflowTemplate *long_chain(struct arena *a, size_t n)
{
	CoreWorkflowTemplate *w = read_workflow(a, "w", INPUTS("x: " INT) "nodes: []");
	const CoreNode *model = read_message(a, CORE_NODE_DESC, ADD("n", INPUT("x"), INPUT("x")));

	for (size_t i = 0; i < n; i++) {
		CoreNode *node = pb_clone(model, a);
		node->id = arena_printf(a, "n%zu", i);
		for (size_t k = 0; k < 2 && i > k; k++) {
			CoreOutputReference *p = node->inputs[k]->binding->promise;
			p->node_id = arena_printf(a, "n%zu", i - 1 - k);
			p->var = arena_strdup(a, "o0");
		}
		*PB_ADD(a, w->nodes, w->n_nodes) = node;
	}
	return w;
}

/* Of this thread: other work on the machine does not count. */
static int64_t cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * USEC_PER_SEC + t.tv_nsec / 1000;
}

static int64_t time_chain(struct result *r, size_t n)
{
	CoreCompiledTask *task = read_message(r->arena, CORE_COMPILED_TASK_DESC, TASKS[0]);
	const struct compile_input in = {.workflow = long_chain(r->arena, n), .tasks = &task, .n_tasks = 1};
	int64_t start = cpu_us();

	r->code = compile_workflow(&in, r->arena, &r->closure, &r->err);
	int64_t took = cpu_us() - start;
	assert_int_equal(r->code, OK);
	assert_int_equal(r->closure->primary->template_->n_nodes, n + 2);
	return took;
}

static void test_size(void **state)
{
	struct result *r = *state;
	int64_t small = time_chain(r, 1000), large = time_chain(r, 50000);

	print_message("1,000 nodes: %lld us, 50,000 nodes: %lld us\n", (long long)small, (long long)large);
	assert_true(large < 500 * small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_connections), TEST(test_nodes),        TEST(test_explicit_upstream),
		TEST(test_digest),      TEST(test_bindings),     TEST(test_structure),
		TEST(test_graph),       TEST(test_bad_bindings), TEST(test_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

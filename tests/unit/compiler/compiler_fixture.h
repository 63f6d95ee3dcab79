/* Templates from short texts, compiled against a few tasks and launch plans: for tests of the compiler. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "compiler/compiler.h"
#include "pb/pb.h"
#include "json/json.h"

#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-const-variable"

/* A task of each name: add takes x and y and gives o0, all integers; void has neither; say takes a text; list takes a
 * list of integers, dict a map of them, color an enum, maybe an optional integer, both an integer or a text. */
#define TASK(name, inputs, outputs)                                                                                    \
	"{template: {id: {resource_type: TASK, project: p, domain: d, name: " name ", version: v}, interface: {"       \
	"inputs: {variables: {" inputs "}}, outputs: {variables: {" outputs "}}}}}"
#define INT "{type: {simple: INTEGER}}"
static const char *const TASKS[] = {
	TASK("add", "x: " INT ", y: " INT, "o0: " INT),
	TASK("void", "", ""),
	TASK("say", "s: {type: {simple: STRING}}", "o0: {type: {simple: STRING}}"),
	TASK("list", "l: {type: {collection_type: {simple: INTEGER}}}",
	     "o0: {type: {collection_type: {simple: INTEGER}}}"),
	TASK("dict", "m: {type: {map_value_type: {simple: INTEGER}}}",
	     "o0: {type: {map_value_type: {simple: INTEGER}}}"),
	TASK("color", "c: {type: {enum_type: {values: [red, green]}}}", ""),
	TASK("maybe", "x: {type: {union_type: {variants: [{simple: INTEGER}, {simple: NONE}]}}}", "o0: " INT),
	TASK("lists",
	     "l: {type: {union_type: {variants: [{collection_type: {simple: INTEGER}}, "
	     "{collection_type: {simple: STRING}}]}}}",
	     ""),
	TASK("fail", "x: " INT ", err: {type: {union_type: {variants: [{simple: ERROR}, {simple: NONE}]}}}", ""),
	TASK("data", "", "o0: {type: {simple: STRUCT, structure: {dataclass_type: {a: {simple: INTEGER}}}}}"),
};

/* Launch plans: adder takes x, and y if it is given one; both give o0. */
#define PARAMETER(name, rest) name ": {var: " INT ", " rest "}"
static const struct {
	const char *name, *inputs;
} PLANS[] = {
	{"adder", "{parameters: {" PARAMETER("x", "required: true") ", " PARAMETER(
			  "y", "default: {scalar: {primitive: {integer: 2}}}") "}}"},
	{"given", "{}"},
};

/* Bare words and keys are quoted: shorter tests. */
static void add_quoted(struct buf *b, const char *s)
{
	while (*s) {
		size_t word = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-0123456789.");
		bool plain = word && (s[0] >= '0' && s[0] <= '9');
		if (!word)
			buf_addc(b, *s++);
		else if (plain || strncmp(s, "true", 4) == 0)
			buf_add(b, s, word);
		else
			buf_printf(b, "\"%.*s\"", (int)word, s);
		s += word;
	}
}

static void *read_message(struct arena *a, const ProtobufCMessageDescriptor *desc, const char *text)
{
	auto_buf struct buf b = {0};
	void *m = NULL;
	struct err err;

	add_quoted(&b, text);
	if (json_read(desc, buf_str(&b), false, a, &m, &err))
		fail_msg("%s: %s", err.text, buf_text(&b));
	return m;
}

struct result {
	struct arena *arena;
	enum code code;
	struct err err;
	CoreCompiledWorkflowClosure *closure;
};

static int setup(void **state)
{
	struct result *r = x_calloc(1, sizeof *r);

	r->arena = arena_new(0);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct result *r = *state;

	arena_free(r->arena);
	free(r);
	return 0;
}

static CoreWorkflowTemplate *read_workflow(struct arena *a, const char *name, const char *body)
{
	return read_message(
		a, CORE_WORKFLOW_TEMPLATE_DESC,
		arena_printf(a, "{id: {resource_type: WORKFLOW, project: p, domain: d, name: %s, version: v}, %s}",
			     name, body));
}

static CoreCompiledTask **read_tasks(struct arena *a)
{
	CoreCompiledTask **tasks = arena_array(a, CoreCompiledTask *, ARRAY_SIZE(TASKS));

	for (size_t i = 0; i < ARRAY_SIZE(TASKS); i++)
		tasks[i] = read_message(a, CORE_COMPILED_TASK_DESC, TASKS[i]);
	return tasks;
}

static struct launch_plan_interface *read_launch_plans(struct arena *a)
{
	struct launch_plan_interface *plans = arena_array(a, struct launch_plan_interface, ARRAY_SIZE(PLANS));

	for (size_t i = 0; i < ARRAY_SIZE(PLANS); i++) {
		CoreIdentifier *id = read_message(a, CORE_IDENTIFIER_DESC,
						  "{resource_type: LAUNCH_PLAN, project: p, domain: d, version: v}");
		id->name = arena_strdup(a, PLANS[i].name);
		plans[i].id = id;
		plans[i].inputs = read_message(a, CORE_PARAMETER_MAP_DESC, PLANS[i].inputs);
		plans[i].outputs = read_message(a, CORE_VARIABLE_MAP_DESC, "{variables: {o0: " INT "}}");
	}
	return plans;
}

/* `body`: a workflow template's fields without id. `sub`: names and bodies of sub-workflows. */
static void compile_with(struct result *r, const char *body, const char *const (*sub)[2], size_t n_sub)
{
	CoreWorkflowTemplate **sub_workflows = arena_array(r->arena, CoreWorkflowTemplate *, n_sub);
	const struct compile_input in = {
		.workflow = read_workflow(r->arena, "w", body),
		.sub_workflows = sub_workflows,
		.n_sub_workflows = n_sub,
		.tasks = read_tasks(r->arena),
		.n_tasks = ARRAY_SIZE(TASKS),
		.launch_plans = read_launch_plans(r->arena),
		.n_launch_plans = ARRAY_SIZE(PLANS),
	};

	for (size_t i = 0; i < n_sub; i++)
		sub_workflows[i] = read_workflow(r->arena, sub[i][0], sub[i][1]);
	r->closure = NULL;
	r->code = compile_workflow(&in, r->arena, &r->closure, &r->err);
}

static void compile(struct result *r, const char *body)
{
	compile_with(r, body, NULL, 0);
}

#define INPUTS(vars) "interface: {inputs: {variables: {" vars "}}}, "
#define NODE(id, task, inputs)                                                                                         \
	"{id: " id ", metadata: {name: " id "_name}, task_node: {reference_id: {resource_type: TASK, project: p, "     \
	"domain: d, name: " task ", version: v}}, inputs: [" inputs "]}"
#define NODE_AFTER(id, task, inputs, upstream)                                                                         \
	"{id: " id ", upstream_node_ids: [" upstream "], task_node: {reference_id: {resource_type: TASK, project: p, " \
	"domain: d, name: " task ", version: v}}, inputs: [" inputs "]}"
#define BIND(var, data)       "{var: " var ", binding: {" data "}}"
#define PROMISE(node, source) "promise: {node_id: " node ", var: " source "}"
#define INPUT(source)         "promise: {var: " source "}"
#define CONST(value)          "scalar: {primitive: {" value "}}"
#define ONE                   CONST("integer: 1")
#define ADD(id, x, y)         NODE(id, "add", BIND("x", x) ", " BIND("y", y))
#define NODES(list)           "nodes: [" list "]"

static void accept(struct result *r, const char *body)
{
	compile(r, body);
	if (r->code)
		fail_msg("%s\n%s", r->err.text, body);
}

static void refuse(struct result *r, const char *body, const char *text)
{
	compile(r, body);
	if (r->code != INVALID_ARGUMENT)
		fail_msg("not refused: %s", body);
	if (!strstr(r->err.text, text))
		fail_msg("expected %s\ngot %s", text, r->err.text);
}

/* "start-node: n0 n1; n0: end-node" */
#define DEFINE_LINES(fn, field)                                                                                        \
	static const char *fn(struct result *r, const CoreCompiledWorkflow *w)                                         \
	{                                                                                                              \
		auto_buf struct buf b = {0};                                                                           \
		const CoreConnectionSet *set = w->connections;                                                         \
		for (size_t i = 0; i < set->n_##field; i++) {                                                          \
			buf_printf(&b, "%s%s:", i ? "; " : "", set->field[i]->key);                                    \
			for (size_t k = 0; k < set->field[i]->value->n_ids; k++)                                       \
				buf_printf(&b, " %s", set->field[i]->value->ids[k]);                                   \
		}                                                                                                      \
		return arena_strdup(r->arena, buf_text(&b));                                                           \
	}
DEFINE_LINES(downstream_of, downstream)
DEFINE_LINES(upstream_of, upstream)

static const char *downstream(struct result *r)
{
	return downstream_of(r, r->closure->primary);
}

static const char *upstream(struct result *r)
{
	return upstream_of(r, r->closure->primary);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

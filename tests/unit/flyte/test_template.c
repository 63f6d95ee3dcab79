/* Templates of task arguments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "flyte/template.h"
#include "flyte/types.h"
#include "pb/pb.h"

static const char *render(struct arena *a, const char *text, const CoreLiteralMap *inputs)
{
	struct template_values v = {
		.input = "/s/inputs.pb",
		.input_prefix = "/s",
		.output_prefix = "/s/0",
		.raw_output_prefix = "/raw/ab/x",
		.checkpoint_prefix = "/raw/cp",
		.prev_checkpoint_prefix = "",
		.unique_name = "4f-n0-0",
		.namespace = "flytesnacks-development",
		.inputs = inputs,
	};
	const char *ret = NULL;
	struct err err;

	return template_render(text, &v, a, &ret, &err) == OK ? ret : NULL;
}

static void test_names(void **state)
{
	(void)state;
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"{{.input}}", "/s/inputs.pb"},
		{"{{ .Input }}", "/s/inputs.pb"},
		{"{{$INPUT}}", "/s/inputs.pb"},
		{"a {{.inputPrefix}} b {{ .outputPrefix }}/c", "a /s b /s/0/c"},
		{"{{.rawOutputDataPrefix}}", "/raw/ab/x"},
		{"{{.checkpointOutputPrefix}}", "/raw/cp"},
		{"{{.prevCheckpointPrefix}}", "\"\""},
		{"{{.perRetryUniqueKey}}", "af_n0_0"},
		{"{{.namespace}}", "flytesnacks-development"},
		{"{{.unknown}} {{ input }} {{.input} {{", "{{.unknown}} {{ input }} {{.input} {{"},
		{"{{{{.input}}", "{{/s/inputs.pb"},
		{"{{.inputs.x}}", "{{.inputs.x}}"},
		{"", ""},
		{"plain", "plain"},
	};
	auto_free(arena_free) struct arena *a = arena_new(0);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(render(a, cases[i].text, NULL), cases[i].expected);
	assert_null(render(a, "{{.taskTemplatePath}}", NULL));
}

static CoreLiteral *number(struct arena *a, double d)
{
	CoreLiteral *l = literal_of_primitive(a, CORE_PRIMITIVE_VALUE_FLOAT_VALUE);

	l->scalar->primitive->float_value = d;
	return l;
}

static const char *render_literal(struct arena *a, CoreLiteral *l)
{
	CoreLiteralMapLiteralsEntry entry = CORE_LITERAL_MAP_LITERALS_ENTRY_INIT, *entries[] = {&entry};
	CoreLiteralMap map = CORE_LITERAL_MAP_INIT;

	entry.key = "x";
	entry.value = l;
	map.literals = entries;
	map.n_literals = 1;
	return render(a, "<{{ .inputs.x }}>", &map);
}

static void test_inputs(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	CoreLiteral *yes = literal_of_primitive(a, CORE_PRIMITIVE_VALUE_BOOLEAN);
	CoreLiteral *text = literal_of_primitive(a, CORE_PRIMITIVE_VALUE_STRING_VALUE);
	CoreLiteral *list = pb_new(a, CORE_LITERAL_DESC), *items[] = {number(a, 1.5), number(a, 1e21)};

	yes->scalar->primitive->boolean = true;
	assert_string_equal(render_literal(a, yes), "<true>");
	text->scalar->primitive->string_value = "{{.input}}";
	assert_string_equal(render_literal(a, text), "<{{.input}}>");
	assert_string_equal(render_literal(a, number(a, 0.1)), "<0.1>");
	assert_string_equal(render_literal(a, number(a, 100)), "<100>");
	assert_string_equal(render_literal(a, number(a, 1e20)), "<100000000000000000000>");
	list->value_case = CORE_LITERAL_VALUE_COLLECTION;
	list->collection = pb_new(a, CORE_LITERAL_COLLECTION_DESC);
	list->collection->literals = items;
	list->collection->n_literals = 2;
	assert_string_equal(render_literal(a, list), "<[1.5,1e+21]>");
	list->value_case = CORE_LITERAL_VALUE_NOT_SET;
	assert_null(render_literal(a, list));
}

static void test_missing_input(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	CoreLiteralMap empty = CORE_LITERAL_MAP_INIT;
	struct template_values v = {.inputs = &empty};
	const char *ret;
	struct err err;

	assert_int_equal(template_render("{{.inputs.gone}}", &v, a, &ret, &err), INVALID_ARGUMENT);
	assert_string_equal(err.text, "requested input is not found [gone]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_inputs),
		cmocka_unit_test(test_missing_input),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

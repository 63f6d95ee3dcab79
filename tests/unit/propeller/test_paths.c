/* Where files lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "engine/paths.h"

static void test_layout(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	CoreWorkflowExecutionIdentifier id = CORE_WORKFLOW_EXECUTION_IDENTIFIER_INIT;

	id.project = "p";
	id.domain = "development";
	id.name = "abc";
	const char *x = path_execution(a, "/s/metadata/propeller", &id);
	assert_string_equal(x, "/s/metadata/propeller/p-development-abc");
	const char *n = path_node(a, x, "n0");
	assert_string_equal(n, "/s/metadata/propeller/p-development-abc/n0/data");
	assert_string_equal(path_inputs(a, n), "/s/metadata/propeller/p-development-abc/n0/data/inputs.pb");
	assert_string_equal(path_attempt(a, n, 3), "/s/metadata/propeller/p-development-abc/n0/data/3");
}

/* Shards as Flyte's data sharder gives them: FNV-32a modulo 36 * 36, letters before digits. */
static void test_raw_output(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);

	/* fnv32a("") = 0x811c9dc5; modulo 1296 = 565 = 15 * 36 + 25: 'p', 'z' */
	assert_string_equal(path_raw_output(a, "/raw", ""), "/raw/pz/");
	/* fnv32a("a") = 0xe40c292c; modulo 1296 = 268 = 7 * 36 + 16: 'h', 'q' */
	assert_string_equal(path_raw_output(a, "s3://b/raw/", "a"), "s3://b/raw/hq/a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_raw_output),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

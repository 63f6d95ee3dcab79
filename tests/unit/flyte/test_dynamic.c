/* What dynamic tasks leave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "flyte/dynamic.h"

static void test_compiled(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);

	assert_string_equal(compiled_futures_uri(a, "/m/x/0/futures.pb"), "/m/x/0/futures_compiled.pb");
	assert_string_equal(compiled_futures_uri(a, "s3://b/futures.pb"), "s3://b/futures_compiled.pb");
	assert_null(compiled_futures_uri(a, "futures.pb"));
	assert_null(compiled_futures_uri(a, ""));
	assert_null(compiled_futures_uri(a, "/m/x/myfutures.pb"));
	assert_null(compiled_futures_uri(a, "/m/x/futures.pb/"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_compiled)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

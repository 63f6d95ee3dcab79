/* Identifiers as texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "flyte/identifier.h"
#include "pb/pb.h"

static CoreIdentifier make(CoreResourceType type)
{
	CoreIdentifier id = CORE_IDENTIFIER_INIT;

	id.resource_type = type;
	id.project = "p";
	id.domain = "d";
	id.name = "n \"x\"";
	id.version = "v";
	return id;
}

static void test_texts(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	CoreIdentifier id = make(CORE_RESOURCE_TYPE_TASK);
	auto_buf struct buf b = {0};

	assert_string_equal(identifier_text(&id, a),
			    "resource_type:TASK project:\"p\" domain:\"d\" name:\"n \\\"x\\\"\" version:\"v\"");
	id.resource_type = CORE_RESOURCE_TYPE_UNSPECIFIED;
	id.version = "";
	assert_string_equal(identifier_text(&id, a), "project:\"p\" domain:\"d\" name:\"n \\\"x\\\"\"");
	assert_string_equal(identifier_text(NULL, a), "<nil>");
	identifier_add_key(&id, &b);
	assert_string_equal(buf_text(&b), "p:d:n \"x\":");
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(resource_type_name(CORE_RESOURCE_TYPE_LAUNCH_PLAN), "launch_plan");
	assert_string_equal(resource_type_word(CORE_RESOURCE_TYPE_LAUNCH_PLAN), "LAUNCH_PLAN");
	assert_string_equal(resource_type_name((CoreResourceType)99), "unknown");
}

static void test_equal(void **state)
{
	(void)state;
	CoreIdentifier a = make(CORE_RESOURCE_TYPE_TASK), b = make(CORE_RESOURCE_TYPE_TASK);

	assert_true(identifier_equal(&a, &b));
	b.resource_type = CORE_RESOURCE_TYPE_WORKFLOW;
	assert_false(identifier_equal(&a, &b));
	b = make(CORE_RESOURCE_TYPE_TASK);
	b.version = "w";
	assert_false(identifier_equal(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

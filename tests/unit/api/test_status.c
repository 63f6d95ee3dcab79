/* google.rpc.Status as bytes, beside what protobuf says they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/api.h"
#include "flyteidl/admin/project.h"
#include "pb/pb.h"

static void assert_bytes(enum code code, const char *text, const void *detail, struct str expected)
{
	auto_buf struct buf b = {0};

	status_pack(code, text, detail, &b);
	assert_int_equal(b.len, expected.len);
	assert_memory_equal(b.data, expected.ptr, expected.len);
}

static void code_and_text(void **state)
{
	(void)state;
	assert_bytes(NOT_FOUND, "gone", NULL, STR("\x08\x05\x12\x04gone"));
	assert_bytes(OK, "", NULL, STR("\x08\x00\x12\x00"));
}

static void a_long_text(void **state)
{
	auto_buf struct buf b = {0};
	char text[301];

	(void)state;
	memset(text, 'x', 300);
	text[300] = 0;
	status_pack(INTERNAL, text, NULL, &b);
	assert_int_equal(b.len, 2 + 3 + 300);
	assert_memory_equal(b.data, "\x08\x0d\x12\xac\x02xxx", 8);
}

static void a_detail(void **state)
{
	AdminProjectGetRequest detail = ADMIN_PROJECT_GET_REQUEST_INIT;

	(void)state;
	detail.id = "p";
	assert_bytes(INVALID_ARGUMENT, "t", &detail,
		     STR("\x08\x03\x12\x01t\x1a\x3b"
			 "\x0a\x34type.googleapis.com/flyteidl.admin.ProjectGetRequest\x12\x03\x0a\x01p"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(code_and_text),
		cmocka_unit_test(a_long_text),
		cmocka_unit_test(a_detail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

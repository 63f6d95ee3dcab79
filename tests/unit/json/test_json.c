/* The forms of JSON, in memory-checked runs; tests/conformance/test_json.py compares with Google's on every type. */
#include "../arena_fixture.h"
#include "base/base.h"
#include "flyteidl/admin/common.h"
#include "flyteidl/admin/launch_plan.h"
#include "flyteidl/core/identifier.h"
#include "flyteidl/core/literals.h"
#include "flyteidl/core/workflow.h"
#include "google/protobuf/struct.h"
#include "google/protobuf/wrappers.h"
#include "pb/pb.h"
#include "json/json.h"

static int set_up_types(void **state)
{
	static const ProtobufCMessageDescriptor *const types[] = {CORE_PRIMITIVE_DESC};

	json_know_types(types, ARRAY_SIZE(types));
	return set_up(state);
}

/* From a copy of exactly this size, so that a read behind the end is seen by sanitizers and valgrind. */
static enum code read_exact(const ProtobufCMessageDescriptor *desc, struct str text, bool ignore, void **ret,
			    struct err *err)
{
	char *exact = x_malloc(text.len);
	memcpy(exact, text.ptr, text.len);
	enum code c = json_read(desc, (struct str){exact, text.len}, ignore, arena, ret, err);
	free(exact);
	return c;
}

static void *reads(const ProtobufCMessageDescriptor *desc, const char *text)
{
	struct err err = {0};
	void *m = NULL;

	if (read_exact(desc, str_of(text), false, &m, &err))
		fail_msg("%s: %s", text, err.text);
	return m;
}

static void refuses(const ProtobufCMessageDescriptor *desc, const char *text, const char *wrong)
{
	struct err err = {0};
	void *m = NULL;

	assert_int_equal(read_exact(desc, str_of(text), false, &m, &err), INVALID_ARGUMENT);
	assert_null(m);
	if (!strstr(err.text, wrong))
		fail_msg("%s: \"%s\" lacks \"%s\"", text, err.text, wrong);
}

static void writes(const void *m, struct json_options o, const char *want)
{
	auto_buf struct buf b = {0};
	struct err err = {0};

	if (json_write(&b, m, &o, &err))
		fail_msg("%s", err.text);
	assert_string_equal(buf_text(&b), want);
}

/* Reading `text` and writing it gives `want` (or the same). */
static void passes(const ProtobufCMessageDescriptor *desc, const char *text, const char *want)
{
	writes(reads(desc, text), (struct json_options){0}, want ? want : text);
}

static void test_scalars(void **state)
{
	(void)state;
	passes(CORE_PRIMITIVE_DESC, "{\"integer\":\"-9223372036854775808\"}", NULL);
	passes(CORE_PRIMITIVE_DESC, "{\"integer\":1e3}", "{\"integer\":\"1000\"}");
	passes(CORE_PRIMITIVE_DESC, "{\"floatValue\":\"NaN\"}", NULL);
	passes(CORE_PRIMITIVE_DESC, "{\"floatValue\":0.1}", NULL);
	passes(CORE_PRIMITIVE_DESC, "{\"floatValue\":-0}", NULL);
	passes(CORE_PRIMITIVE_DESC, "{\"stringValue\":\"\"}", NULL);
	passes(CORE_PRIMITIVE_DESC, "{\"stringValue\":\"\\u00e4\\ud834\\udd1e\\/\"}", "{\"stringValue\":\"ä𝄞/\"}");
	passes(CORE_PRIMITIVE_DESC, "{\"boolean\":false}", NULL);
	passes(CORE_PRIMITIVE_DESC, "{\"datetime\":\"2026-11-21T07:03:00.000000001Z\"}", NULL);
	passes(CORE_PRIMITIVE_DESC, "{\"duration\":\"-1.500s\"}", NULL);
	passes(CORE_BINARY_DESC, "{\"value\":\"-_-_\",\"tag\":\"t\"}", "{\"value\":\"+/+/\",\"tag\":\"t\"}");
	passes(CORE_IDENTIFIER_DESC, "{\"resource_type\":2}", "{\"resourceType\":\"WORKFLOW\"}");
	passes(CORE_IDENTIFIER_DESC, "{\"resourceType\":4711}", NULL);
}

static void test_maps(void **state)
{
	(void)state;
	passes(CORE_LITERAL_MAP_DESC, "{\"literals\":{\"b\":{},\"\":{},\"a\":{\"hash\":\"h\"}}}",
	       "{\"literals\":{\"\":{},\"a\":{\"hash\":\"h\"},\"b\":{}}}");
	/* as they may come from the wire: twice the same key, no value, no key */
	void *m = NULL;
	assert_int_equal(pb_unpack(CORE_LITERAL_MAP_DESC, STR("\x0a\x06\x0a\x01x\x12\x01\x22\x0a\x03\x0a\x01x\x0a\x00"),
				   arena, &m, NULL),
			 INVALID_ARGUMENT);
	assert_int_equal(pb_unpack(CORE_LITERAL_MAP_DESC,
				   STR("\x0a\x08\x0a\x01x\x12\x03\x22\x01h\x0a\x03\x0a\x01x\x0a\x00"), arena, &m, NULL),
			 OK);
	writes(m, (struct json_options){0}, "{\"literals\":{\"\":{},\"x\":{}}}");
}

static void test_special_forms(void **state)
{
	(void)state;
	passes(PB_STRUCT_DESC, "{\"a\":[null,true,1.5,\"x\",{}],\"b\":{\"c\":null}}", NULL);
	passes(PB_INT64_VALUE_DESC, "\"7\"", NULL);
	passes(PB_BOOL_VALUE_DESC, "true", NULL);
	passes(PB_LIST_VALUE_DESC, "[]", NULL);
	passes(ADMIN_LAUNCH_PLAN_METADATA_DESC,
	       "{\"launchConditions\":{\"integer\":\"5\",\"@type\":\"t/flyteidl.core.Primitive\"}}",
	       "{\"launchConditions\":{\"@type\":\"t/flyteidl.core.Primitive\",\"integer\":\"5\"}}");
	passes(ADMIN_LAUNCH_PLAN_METADATA_DESC,
	       "{\"launchConditions\":{\"@type\":\"t/google.protobuf.Duration\",\"value\":\"1s\"}}", NULL);
	refuses(ADMIN_LAUNCH_PLAN_METADATA_DESC, "{\"launchConditions\":{\"@type\":\"t/flyteidl.core.Binary\"}}",
		"launchConditions: the type \"t/flyteidl.core.Binary\" is unknown");
	refuses(ADMIN_LAUNCH_PLAN_METADATA_DESC, "{\"launchConditions\":{\"@type\":\"t/google.protobuf.Duration\"}}",
		"needs a \"value\"");
}

/* As protojson: a null has one form, whatever number it came with. */
static void test_null_of_another_number(void **state)
{
	PbValue v = PB_VALUE_INIT;

	(void)state;
	v.kind_case = PB_VALUE_KIND_NULL_VALUE;
	v.null_value = (PbNullValue)1;
	writes(&v, (struct json_options){.enum_numbers = true}, "null");
}

static void test_options(void **state)
{
	CoreTaskNode *n = pb_new(arena, CORE_TASK_NODE_DESC);
	(void)state;
	writes(n, (struct json_options){0}, "{}");
	writes(n, (struct json_options){.emit_defaults = true}, "{}");
	writes(n, (struct json_options){.emit_defaults = true, .emit_nulls = true}, "{\"overrides\":null}");
	CoreIdentifier *id = reads(CORE_IDENTIFIER_DESC, "{\"resourceType\":\"TASK\",\"name\":\"n\"}");
	writes(id, (struct json_options){.proto_names = true, .enum_numbers = true},
	       "{\"resource_type\":1,\"name\":\"n\"}");
	writes(id, (struct json_options){.proto_names = true, .emit_defaults = true},
	       "{\"resource_type\":\"TASK\",\"project\":\"\",\"domain\":\"\",\"name\":\"n\",\"version\":\"\",\"org\":\"\"}");
}

static void test_refused(void **state)
{
	(void)state;
	refuses(CORE_PRIMITIVE_DESC, "", "the text ends where '{' is expected");
	refuses(CORE_PRIMITIVE_DESC, "{\n \"integer\": tru}", "line 2, column 13, integer: a value is expected");
	refuses(CORE_PRIMITIVE_DESC, "{\"integer\":9223372036854775808}", "range");
	refuses(CORE_PRIMITIVE_DESC, "{\"integer\":1,\"integer\":1}", "it comes twice");
	refuses(CORE_PRIMITIVE_DESC, "{\"integer\":1,\"boolean\":true}", "oneof");
	refuses(CORE_PRIMITIVE_DESC, "{\"stringValue\":\"\\u0000\"}", "NUL");
	refuses(CORE_PRIMITIVE_DESC, "{\"stringValue\":\"\xff\"}", "UTF-8");
	refuses(CORE_PRIMITIVE_DESC, "{\"stringValue\":\"\\ud834\"}", "surrogate");
	refuses(CORE_PRIMITIVE_DESC, "{\"stringValue\":\"abc\\", "an escape is expected");
	refuses(CORE_PRIMITIVE_DESC, "{\"x\":1}", "has no such field");
	refuses(CORE_PRIMITIVE_DESC, "{} {}", "something follows");
	refuses(CORE_LITERAL_MAP_DESC, "{\"literals\":{\"a\":{},\"a\":{}}}", "comes twice");
	refuses(CORE_IDENTIFIER_DESC, "{\"resourceType\":\"X\"}", "has no value \"X\"");
}

static void test_ignoring(void **state)
{
	void *m = NULL;
	(void)state;
	assert_int_equal(read_exact(CORE_IDENTIFIER_DESC,
				    STR("{\"x\":[{\"y\":1}],\"resourceType\":\"X\",\"name\":\"n\"}"), true, &m, NULL),
			 OK);
	writes(m, (struct json_options){0}, "{\"name\":\"n\"}");
	m = NULL;
	assert_int_equal(read_exact(CORE_IDENTIFIER_DESC, STR("{\"x\":[}"), true, &m, NULL), INVALID_ARGUMENT);
	assert_null(m);
}

static void test_depth(void **state)
{
	(void)state;
	for (size_t i_level = 0; i_level < 4; i_level++) {
		static const size_t some[] = {49, 50, 51, 5000};
		size_t levels = some[i_level];
		auto_buf struct buf b = {0};
		void *m = NULL;
		for (size_t i = 0; i < levels; i++)
			buf_adds(&b, "{\"collection\":{\"literals\":[");
		buf_adds(&b, "{}");
		for (size_t i = 0; i < levels; i++)
			buf_adds(&b, "]}}");
		assert_int_equal(read_exact(CORE_LITERAL_DESC, buf_str(&b), false, &m, NULL),
				 levels <= PB_MAX_DEPTH / 2 ? OK : INVALID_ARGUMENT);
	}
}

static void test_every_prefix(void **state)
{
	static const char text[] =
		"{\"literals\":{\"a\\u00e4\":{\"scalar\":{\"primitive\":{\"floatValue\":-1.5e-3}}},\"b\":{\"hash"
		"\":\"\\ud834\\udd1e\"},\"c\":{\"scalar\":{\"generic\":{\"x\":[null,true]}}}}}";
	(void)state;
	reads(CORE_LITERAL_MAP_DESC, text);
	for (size_t n = 0; n + 1 < sizeof text; n++) {
		struct err err = {0};
		void *m = NULL;
		assert_int_equal(read_exact(CORE_LITERAL_MAP_DESC, (struct str){text, n}, n % 2, &m, &err),
				 INVALID_ARGUMENT);
		assert_non_null(strstr(err.text, "JSON, line 1"));
	}
}

static enum code set(void *m, const char *path, const char *value, struct err *err)
{
	return json_set_path(m, str_of(path), str_of(value), arena, err);
}

static void test_paths(void **state)
{
	AdminResourceListRequest *rq = pb_new(arena, ADMIN_RESOURCE_LIST_REQUEST_DESC);
	CorePrimitive *p = pb_new(arena, CORE_PRIMITIVE_DESC);
	struct err err = {0};
	(void)state;

	assert_int_equal(set(rq, "id.project", "p", &err), OK);
	assert_int_equal(set(rq, "id.domain", "d", &err), OK);
	assert_int_equal(set(rq, "sortBy.direction", "ASCENDING", &err), OK);
	assert_int_equal(set(rq, "limit", "10", &err), OK);
	writes(rq, (struct json_options){.proto_names = true},
	       "{\"id\":{\"project\":\"p\",\"domain\":\"d\"},\"limit\":10,\"sort_by\":{\"direction\":\"ASCENDING\"}}");
	assert_int_equal(set(rq, "limit", "ten", &err), INVALID_ARGUMENT);
	assert_string_equal(err.text, "limit: an integer is expected, not \"ten\"");
	assert_int_equal(set(rq, "limit.x", "1", &err), INVALID_ARGUMENT);
	assert_int_equal(set(rq, "id", "1", &err), INVALID_ARGUMENT);
	assert_int_equal(set(rq, "", "1", &err), INVALID_ARGUMENT);
	assert_int_equal(set(rq, "id..x", "1", &err), INVALID_ARGUMENT);
	assert_int_equal(set(rq, "token", "\xff", &err), INVALID_ARGUMENT);
	assert_int_equal(set(p, "boolean", "T", &err), OK);
	assert_int_equal(set(p, "integer", "1", &err), INVALID_ARGUMENT); /* the oneof has a value */
	writes(p, (struct json_options){0}, "{\"boolean\":true}");
}

static void test_cannot_be_written(void **state)
{
	PbTimestamp t = PB_TIMESTAMP_INIT;
	auto_buf struct buf b = {0};
	struct json_options o = {0};
	struct err err = {0};
	(void)state;
	t.seconds = INT64_C(253402300800);
	assert_int_equal(json_write(&b, &t, &o, &err), INVALID_ARGUMENT);
	PbValue v = PB_VALUE_INIT;
	v.kind_case = PB_VALUE_KIND_NUMBER_VALUE;
	v.number_value = 1.0 / 0.0;
	assert_int_equal(json_write(&b, &v, &o, &err), INVALID_ARGUMENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scalars),           cmocka_unit_test(test_maps),
		cmocka_unit_test(test_special_forms),     cmocka_unit_test(test_null_of_another_number),
		cmocka_unit_test(test_options),           cmocka_unit_test(test_refused),
		cmocka_unit_test(test_ignoring),          cmocka_unit_test(test_depth),
		cmocka_unit_test(test_every_prefix),      cmocka_unit_test(test_paths),
		cmocka_unit_test(test_cannot_be_written),
	};
	return cmocka_run_group_tests(tests, set_up_types, tear_down);
}

/* What a node's overrides make of its task, as JSON before and after. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "flyte/overrides.h"
#include "flyte/pod.h"
#include "pb/pb.h"
#include "json/json.h"

#define POD(containers) "{\"k8sPod\":{\"podSpec\":{\"containers\":[" containers "]}"

static void *from_json(const ProtobufCMessageDescriptor *desc, const char *text, struct arena *a)
{
	struct err err;
	void *ret;

	if (json_read(desc, str_of(text), false, a, &ret, &err) != OK)
		fail_msg("%s: %s", text, err.text);
	return ret;
}

static const char *to_json(const void *message, struct arena *a)
{
	static const struct json_options options = {0};
	auto_buf struct buf b = {0};
	struct err err;

	assert_int_equal(json_write(&b, message, &options, &err), OK);
	return arena_strdup(a, buf_text(&b));
}

static const struct override_case {
	const char *task, *overrides, *result; /* NULL: the task itself */
} CASES[] = {
	{"{\"container\":{\"image\":\"a\"}}", "{}", NULL},
	{"{\"container\":{\"image\":\"a\"}}", "{\"podTemplate\":{\"primaryContainerName\":\"p\"}}", NULL},
	{"{\"container\":{\"image\":\"a\"}}", "{\"containerImage\":\"b\"}", "{\"container\":{\"image\":\"b\"}}"},
	/* Kind by kind; nothing by 0. */
	{"{\"container\":{\"resources\":{\"requests\":[{\"name\":\"CPU\",\"value\":\"1\"},{\"name\":\"MEMORY\","
	 "\"value\":\"1Gi\"}]}}}",
	 "{\"resources\":{\"requests\":[{\"name\":\"MEMORY\",\"value\":\"2Gi\"},{\"name\":\"CPU\",\"value\":\"0\"},"
	 "{\"name\":\"GPU\",\"value\":\"3\"}],\"limits\":[{\"name\":\"CPU\",\"value\":\"4\"}]}}",
	 "{\"container\":{\"resources\":{\"requests\":[{\"name\":\"CPU\",\"value\":\"1\"},{\"name\":\"MEMORY\","
	 "\"value\":\"2Gi\"},{\"name\":\"GPU\",\"value\":\"3\"}],\"limits\":[{\"name\":\"CPU\",\"value\":\"4\"}]}}}"},
	{"{\"container\":{}}", "{\"resources\":{\"limits\":[{\"name\":\"CPU\",\"value\":\"4\"}]}}",
	 "{\"container\":{\"resources\":{\"limits\":[{\"name\":\"CPU\",\"value\":\"4\"}]}}}"},
	/* Of a pod: the primary container only. */
	{POD("{\"name\":\"x\",\"image\":\"i\"},{\"name\":\"m\",\"resources\":{\"requests\":{\"cpu\":\"1\",\"memory\":"
	     "\"1Gi\"}}}") "},\"config\":{\"primary_container_name\":\"m\"}}",
	 "{\"containerImage\":\"b\",\"resources\":{\"requests\":[{\"name\":\"MEMORY\",\"value\":\"2Gi\"}],\"limits\":"
	 "[{\"name\":\"GPU\",\"value\":\"1\"}]}}",
	 "{\"config\":{\"primary_container_name\":\"m\"},\"k8sPod\":{\"podSpec\":{\"containers\":[{\"name\":\"x\","
	 "\"image\":\"i\"},{\"name\":\"m\",\"resources\":{\"requests\":{\"cpu\":\"1\",\"memory\":\"2Gi\"},\"limits\":"
	 "{\"nvidia.com/gpu\":\"1\"}},\"image\":\"b\"}]}}}"},
	{POD("{\"name\":\"m\"}") "},\"config\":{\"primary_container_name\":\"gone\"}}", "{\"containerImage\":\"b\"}",
	 "{\"config\":{\"primary_container_name\":\"gone\"},\"k8sPod\":{\"podSpec\":{\"containers\":[{\"name\":\"m\"}]}}}"},
	/* A pod in a container's place, and the other overrides on it. */
	{"{\"container\":{\"image\":\"a\",\"dataConfig\":{\"enabled\":true}}}",
	 "{\"containerImage\":\"b\",\"podTemplate\":{\"primaryContainerName\":\"p\",\"metadata\":{\"labels\":{\"k\":"
	 "\"v\"}},\"podSpec\":{\"containers\":[{\"name\":\"p\",\"image\":\"c\"}]}}}",
	 "{\"config\":{\"primary_container_name\":\"p\"},\"k8sPod\":{\"metadata\":{\"labels\":{\"k\":\"v\"}},"
	 "\"podSpec\":{\"containers\":[{\"name\":\"p\",\"image\":\"b\"}]},\"dataConfig\":{\"enabled\":true},"
	 "\"primaryContainerName\":\"p\"}}"},
	/* In a pod's place: its labels stay. */
	{POD("{\"name\":\"m\"}") ",\"metadata\":{\"labels\":{\"a\":\"b\"}}},\"config\":{\"primary_container_name\":\"m\"}}",
	 "{\"podTemplate\":{\"primaryContainerName\":\"p\",\"metadata\":{\"annotations\":{\"k\":\"v\"}},\"podSpec\":"
	 "{\"containers\":[{\"name\":\"p\"}]}}}",
	 "{\"config\":{\"primary_container_name\":\"p\"},\"k8sPod\":{\"metadata\":{\"labels\":{\"a\":\"b\"},"
	 "\"annotations\":{\"k\":\"v\"}},\"podSpec\":{\"containers\":[{\"name\":\"p\"}]},\"primaryContainerName\":"
	 "\"p\"}}"},
	/* A task without either has no place for a pod. */
	{"{\"type\":\"t\"}", "{\"podTemplate\":{\"podSpec\":{}},\"containerImage\":\"b\"}", "{\"type\":\"t\"}"},
	{"{\"extendedResources\":{\"gpuAccelerator\":{\"device\":\"d\"},\"sharedMemory\":{\"mountName\":\"n\"}}}",
	 "{\"extendedResources\":{\"gpuAccelerator\":{\"device\":\"e\"}}}",
	 "{\"extendedResources\":{\"gpuAccelerator\":{\"device\":\"e\"},\"sharedMemory\":{\"mountName\":\"n\"}}}"},
};

static void test_overrides(void **state)
{
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
		auto_free(arena_free) struct arena *a = arena_new(0);
		CoreTaskTemplate *task = from_json(CORE_TASK_TEMPLATE_DESC, CASES[i].task, a);
		const char *before = to_json(task, a);
		const CoreTaskTemplate *got = NULL;
		const CoreTaskNodeOverrides *o = from_json(CORE_TASK_NODE_OVERRIDES_DESC, CASES[i].overrides, a);
		const char *expected =
			CASES[i].result ? to_json(from_json(CORE_TASK_TEMPLATE_DESC, CASES[i].result, a), a) : before;
		assert_int_equal(task_overridden(task, o, a, &got, &err), OK);
		assert_string_equal(to_json(got, a), expected);
		assert_string_equal(to_json(task, a), before);
		assert_int_equal(got == task, !CASES[i].result);
	}
}

static void test_no_overrides(void **state)
{
	CoreTaskTemplate task = CORE_TASK_TEMPLATE_INIT;
	const CoreTaskTemplate *got;
	auto_free(arena_free) struct arena *a = arena_new(0);

	(void)state;
	assert_int_equal(task_overridden(&task, NULL, a, &got, NULL), OK);
	assert_ptr_equal(got, &task);
}

static void test_bad_quantities(void **state)
{
	static const char *const lists[] = {"requests", "limits"};
	CoreTaskTemplate task = CORE_TASK_TEMPLATE_INIT;
	const CoreTaskTemplate *got;
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		const char *text = arena_printf(
			a, "{\"resources\":{\"%s\":[{\"name\":\"CPU\",\"value\":\"1\"},{\"value\":\"much\"}]}}",
			lists[i]);
		CoreTaskNodeOverrides *o = from_json(CORE_TASK_NODE_OVERRIDES_DESC, text, a);
		assert_int_equal(task_overridden(&task, o, a, &got, &err), INVALID_ARGUMENT);
		assert_non_null(strstr(err.text, "\"much\""));
	}
}

static void test_shared_memory(void **state)
{
	static const struct {
		const char *memory, *error;
	} cases[] = {
		{"{}", "mount name is not set"},
		{"{\"mountName\":\"n\"}", "mount path is not set"},
		{"{\"mountName\":\"n\",\"mountPath\":\"/p\"}", NULL},
		{"{\"mountName\":\"n\",\"mountPath\":\"/p\",\"sizeLimit\":\"1Gi\"}", NULL},
		{"{\"mountName\":\"n\",\"mountPath\":\"/p\",\"sizeLimit\":\"1G1\"}", "Unable to parse size limit"},
	};
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *text = arena_printf(a, "{\"extendedResources\":{\"sharedMemory\":%s}}", cases[i].memory);
		enum code c = task_check_shared_memory(from_json(CORE_TASK_TEMPLATE_DESC, text, a), &err);
		assert_int_equal(c, cases[i].error ? INVALID_ARGUMENT : OK);
		if (cases[i].error)
			assert_non_null(strstr(err.text, cases[i].error));
	}
}

/* Of pods: quantities of all containers; what flyteadmin compares with its limits. */
static void test_pods(void **state)
{
	static const struct {
		const char *spec, *error;
	} cases[] = {
		{"{}", NULL},
		{"{\"containers\":7}", NULL},
		{"{\"containers\":[{\"resources\":{\"requests\":{\"cpu\":1.5,\"memory\":\"1Gi\",\"x\":null,\"y\":\"\"}}}]}",
		 NULL},
		{"{\"containers\":[{\"name\":\"n\",\"resources\":{\"limits\":{\"any\":\"1Gx\"}}}]}",
		 "container [n]: resources.limits.any is \"1Gx\""},
		{"{\"containers\":[{\"resources\":{\"requests\":{\"cpu\":[]}}}]}", "resources.requests.cpu"},
		{"{\"initContainers\":[{\"name\":\"i\",\"resources\":{\"requests\":{\"cpu\":\"x\"}}}]}",
		 "container [i]"},
	};
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		enum code c = pod_check_quantities(from_json(PB_STRUCT_DESC, cases[i].spec, a), &err);
		assert_int_equal(c, cases[i].error ? INVALID_ARGUMENT : OK);
		if (cases[i].error)
			assert_non_null(strstr(err.text, cases[i].error));
	}
}

static void test_resources_of_pods(void **state)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	size_t n;
	CoreResources **r = pod_resources(
		from_json(PB_STRUCT_DESC,
			  "{\"containers\":[{},{\"resources\":{\"requests\":{\"cpu\":2,\"nvidia.com/gpu\":1}}},"
			  "{\"resources\":{\"limits\":{\"gpu\":\"3\"}}}]}",
			  a),
		a, &n);

	(void)state;
	assert_int_equal(n, 2);
	assert_int_equal(r[0]->n_requests, 1);
	assert_string_equal(r[0]->requests[0]->value, "2");
	assert_int_equal(r[1]->limits[0]->name, CORE_RESOURCES_RESOURCE_NAME_GPU);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_overrides),      cmocka_unit_test(test_no_overrides),
		cmocka_unit_test(test_bad_quantities), cmocka_unit_test(test_shared_memory),
		cmocka_unit_test(test_pods),           cmocka_unit_test(test_resources_of_pods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

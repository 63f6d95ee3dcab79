/* Quantities and the bounds of resources, against what Kubernetes' and flyteadmin's code gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "flyte/resources.h"
#include "pb/pb.h"

static void test_quantities(void **state)
{
	static const char *const same[][2] = {
		{"0", "0"},           {"2", "2"},
		{"2000m", "2"},       {"0.5", "500m"},
		{"1.5", "1500m"},     {"1024Mi", "1Gi"},
		{"1000Mi", "1000Mi"}, {"1e3", "1k"},
		{"1E", "1E"},         {"512Ki", "512Ki"},
		{"1500M", "1500M"},   {"0.1Ki", "102400m"},
		{"1Ki", "1Ki"},       {"+3", "3"},
		{"1023", "1023"},     {"100000000000000000000Ei", "9223372036854775807"},
		{"1e-3", "1m"},       {"0.0000000001", "1n"},
	};
	static const char *const bad[] = {"", "x", "1x", "1.2.3", "Mi", "1 Mi", ".", "1e", "1e99", "--1", "1Mii"};
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct quantity q;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		assert_true(quantity_read(same[i][0], &q));
		assert_string_equal(quantity_text(q, a), same[i][1]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(quantity_read(bad[i], &q));
}

static CoreResourcesResourceEntry *entry(struct arena *a, char kind, const char *value)
{
	CoreResourcesResourceEntry *e = pb_new(a, CORE_RESOURCES_RESOURCE_ENTRY_DESC);

	e->name = kind == 'c'   ? CORE_RESOURCES_RESOURCE_NAME_CPU
		  : kind == 'm' ? CORE_RESOURCES_RESOURCE_NAME_MEMORY
		  : kind == 'g' ? CORE_RESOURCES_RESOURCE_NAME_GPU
				: CORE_RESOURCES_RESOURCE_NAME_EPHEMERAL_STORAGE;
	e->value = arena_strdup(a, value);
	return e;
}

/* "c=1 m=2Gi/c=3": requests/limits. */
static CoreResources *resources(struct arena *a, const char *text)
{
	CoreResources *r = pb_new(a, CORE_RESOURCES_DESC);
	struct str rest = str_of(arena_strdup(a, text));

	for (bool limits = false; rest.ptr; limits = true) {
		struct str part = str_cut(&rest, '/');
		while (part.ptr && part.len) {
			struct str one = str_cut(&part, ' ');
			CoreResourcesResourceEntry *e =
				entry(a, one.ptr[0], arena_strndup(a, one.ptr + 2, one.len - 2));
			if (limits)
				*PB_ADD(a, r->limits, r->n_limits) = e;
			else
				*PB_ADD(a, r->requests, r->n_requests) = e;
		}
	}
	return r;
}

static const char *show(const CoreResources *r, struct arena *a)
{
	auto_buf struct buf b = {0};

	for (size_t i = 0; i < r->n_requests; i++)
		buf_printf(&b, "%s%c=%s", i ? " " : "", "ucgmse"[r->requests[i]->name], r -> requests[i] -> value);
	buf_adds(&b, "/");
	for (size_t i = 0; i < r->n_limits; i++)
		buf_printf(&b, "%s%c=%s", i ? " " : "", "ucgmse"[r->limits[i]->name], r -> limits[i] -> value);
	return arena_strdup(a, buf_text(&b));
}

static struct platform_resources platform(void)
{
	static AdminTaskResourceSpec defaults = ADMIN_TASK_RESOURCE_SPEC_INIT, limits = ADMIN_TASK_RESOURCE_SPEC_INIT;

	defaults.cpu = "500m";
	defaults.memory = "200Mi";
	limits.cpu = "2";
	limits.memory = "1Gi";
	limits.gpu = "1";
	return (struct platform_resources){&defaults, &limits};
}

static void test_check(void **state)
{
	static const char *const cases[][2] = {
		{"/", NULL},
		{"c=2 m=1Gi g=1/c=2 m=1024Mi g=1", NULL},
		{"c=500m/c=200m", NULL}, /* as Go's Value() rounds up */
		{"/c=9", NULL},          /* a limit without a request is not looked at */
		{"e=100Gi", NULL},
		{"c=2/c=1", "Requested CPU default [2] is greater than the limit [1]. Please fix your configuration"},
		{"c=3000m",
		 "Requested CPU default [3] is greater than current limit set in the platform configuration [2]. Please "
		 "contact Flyte Admins to change these limits or consult the configuration"},
		{"m=1Gi/m=2048Mi",
		 "Requested MEMORY limit [2Gi] is greater than current limit set in the platform configuration [1Gi]. "
		 "Please contact Flyte Admins to change these limits or consult the configuration"},
		{"g=2/g=2",
		 "Requested GPU default [2] is greater than current limit set in the platform configuration [1]. Please "
		 "contact Flyte Admins to change these limits or consult the configuration"},
		{"g=1/g=2", "For extended resource 'gpu' the default value must equal the limit value for task [t]"},
		{"g=500m", "gpu for [t] must be a whole number, got: 500m instead"},
		{"c=1 c=1", "can't specify CPU limit for task [t] multiple times"},
	};
	auto_free(arena_free) struct arena *a = arena_new(0);
	CoreIdentifier id = CORE_IDENTIFIER_INIT;
	struct platform_resources p = platform();
	struct err err;

	(void)state;
	id.name = "t";
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		enum code c = resources_check(&id, resources(a, cases[i][0]), &p, a, &err);
		assert_int_equal(c, cases[i][1] ? INVALID_ARGUMENT : OK);
		if (c)
			assert_string_equal(err.text, cases[i][1]);
	}
	assert_int_equal(resources_check(&id, NULL, &p, a, &err), OK);
	p.limits = NULL;
	assert_int_equal(resources_check(&id, resources(a, "c=1000"), &p, a, &err), OK);
}

static void test_adjust(void **state)
{
	static const char *const cases[][2] = {
		{"", "c=500m m=200Mi/c=500m m=200Mi"},
		{"c=1/", "c=1 m=200Mi/c=1 m=200Mi"},
		{"/c=1500m", "c=1500m m=200Mi/c=1500m m=200Mi"},
		{"c=8 m=8Gi/c=9", "c=2 m=1Gi/c=2 m=1Gi"},
		{"c=2/c=1", "c=1 m=200Mi/c=1 m=200Mi"},
		{"g=3 e=5Gi", "c=500m m=200Mi e=5Gi g=1/c=500m m=200Mi e=5Gi g=1"},
	};
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct platform_resources p = platform(), none = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(show(resources_adjust(resources(a, cases[i][0]), &p, a), a), cases[i][1]);
	assert_string_equal(show(resources_adjust(NULL, &none, a), a), "c=0 m=0/c=0 m=0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quantities),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_adjust),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

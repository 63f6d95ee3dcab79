/* Routes, targets and queries, without a server. */
#include "client.h"
#include "http/private.h"

static void nothing(struct http_request *rq, struct http_response *rs)
{
	(void)rq, (void)rs;
}

static const struct http_route routes[] = {
	{.verb = "GET", .path = "/healthcheck", .fn = nothing},
	{.verb = NULL, .path = "/api/*", .fn = nothing},
	{.verb = "PUT", .path = "/api/v1/upload/*", .fn = nothing},
	{.verb = "GET", .path = "/api/v1/upload/info", .fn = nothing},
	{.verb = "POST", .path = "/healthcheck", .fn = nothing},
	{0},
};

static void test_routes(void **state)
{
	static const struct {
		const char *verb, *path;
		int route; /* -1: `status` */
		int status;
		const char *allow;
	} cases[] = {
		{"GET", "/healthcheck", 0, 0, NULL},
		{"HEAD", "/healthcheck", 0, 0, NULL},
		{"POST", "/healthcheck", 4, 0, NULL},
		{"DELETE", "/healthcheck", -1, 405, "GET, POST"},
		{"GET", "/healthcheck/", -1, 404, NULL},
		{"GET", "/api/", 1, 0, NULL},
		{"GET", "/api", -1, 404, NULL},
		{"PUT", "/api/v1/upload/x", 2, 0, NULL},
		{"GET", "/api/v1/upload/x", 1, 0, NULL},
		{"GET", "/api/v1/upload/info", 3, 0, NULL},
		{"PUT", "/api/v1/upload/info", 2, 0, NULL},
		{"GET", "/", -1, 404, NULL},
	};
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int status = 0;
		const char *allow = NULL;
		const struct http_route *r = http_route_find(routes, cases[i].verb, cases[i].path, a, &status, &allow);
		assert_ptr_equal(r, cases[i].route < 0 ? NULL : &routes[cases[i].route]);
		assert_int_equal(status, cases[i].status);
		if (cases[i].allow)
			assert_string_equal(allow, cases[i].allow);
	}
}

static void test_targets(void **state)
{
	static const struct {
		const char *path, *query;
		bool good;
	} cases[] = {
		{"/", "", true},
		{"/a%20b/%2F/%C3%A9", "x=%0A&y=100%", true},
		{"/../../etc/passwd", "", true},
		{"", "", false},
		{"a", "", false},
		{"*", "", false},
		{"/a%00b", "", false},
		{"/a%0a", "", false},
		{"/a%7F", "", false},
		{"/a\tb", "", false},
		{"/a%", "", false},
		{"/a%4", "", false},
		{"/a%zz", "", false},
		{"/", "a=%00", false},
		{"/", "a=\x01", false},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(!http_target_fault(cases[i].path, cases[i].query), cases[i].good);
}

static void test_queries(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct http_request rq = {.arena = a, .query = "a=1&b=x+y%2Bz&&c&=d&a=2&e=100%&f=a=b&g=%C3%A9&"};
	static const char *const expected[][2] = {{"a", "1"}, {"b", "x y+z"}, {"c", ""},    {"", "d"},
						  {"a", "2"}, {"e", "100%"},  {"f", "a=b"}, {"g", "\xc3\xa9"}};
	struct http_pair *pairs;
	assert_int_equal(http_query_pairs(&rq, &pairs), ARRAY_SIZE(expected));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		assert_true(str_is(pairs[i].key, expected[i][0]));
		assert_true(str_is(pairs[i].value, expected[i][1]));
	}
	assert_string_equal(http_query(&rq, "a"), "1");
	assert_string_equal(http_query(&rq, "c"), "");
	assert_null(http_query(&rq, "z"));
	rq.query = "";
	assert_int_equal(http_query_pairs(&rq, &pairs), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_queries),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

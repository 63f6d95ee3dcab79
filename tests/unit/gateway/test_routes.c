/* Which rule takes a path: on rules made for the purpose, and on all of Flyte's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "flyteidl/admin/common.h"
#include "flyteidl/service/admin.h"
#include "flyteidl/service/agent.h"
#include "flyteidl/service/auth.h"
#include "flyteidl/service/dataproxy.h"
#include "flyteidl/service/identity.h"
#include "flyteidl/service/signal.h"
#include "gateway/private.h"

static const struct pb_route made[] = {
	{.verb = "GET", .path = "/v1/things/{id.name}", .body = "", .response_body = ""},
	{.verb = "GET", .path = "/v1/things/special", .body = "", .response_body = ""},
	{.verb = "PUT", .path = "/v1/things/{id.name}", .body = "", .response_body = ""},
	{.verb = "GET", .path = "/v1/things/{id.project}/{id.name=**}", .body = "", .response_body = ""},
	{.verb = "GET", .path = "/v1/{id.name=shelves/*}/books/{id.domain}", .body = "", .response_body = ""},
	{.verb = "GET", .path = "/v1/*/anything", .body = "", .response_body = ""},
	{.verb = "GET", .path = "/v1/twice", .body = "", .response_body = ""},
	{.verb = "GET", .path = "/v1/twice", .body = "", .response_body = ""},
	{.verb = "GET", .path = "/", .body = "", .response_body = ""},
};

static const struct pb_method method = {.name = "Get", .path = "/x/Get", .routes = made, .n_routes = ARRAY_SIZE(made)};

static struct route_node *build(void)
{
	struct route_node *root = routes_new();
	for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
		struct pb_method m = method;
		m.in = m.out = ADMIN_NAMED_ENTITY_IDENTIFIER_DESC;
		routes_add(root, &m, NULL, &made[i]);
	}
	return root;
}

static void test_made(void **state)
{
	static const struct {
		const char *verb, *path;
		int route; /* -1: none */
		const char *captures[2];
	} cases[] = {
		{"GET", "/v1/things/a", 0, {"a"}},
		{"GET", "/v1/things/special", 1, {NULL}},
		{"GET", "/v1/things/%73pecial", 1, {NULL}},
		{"PUT", "/v1/things/special", 2, {"special"}},
		{"POST", "/v1/things/a", -1, {NULL}},
		{NULL, "/v1/things/a", 2, {"a"}},
		{"GET", "/v1/things/a/", 3, {"a", ""}},
		{"GET", "/v1/things/special/b/c", 3, {"special", "b/c"}},
		{"GET", "/v1/things/a/b%2Fc/d", 3, {"a", "b/c/d"}},
		{"GET", "/v1/things/", 0, {""}},
		{"GET", "/v1/things/a%2Fb", 0, {"a/b"}},
		{"GET", "/v1/things/a%20b%C3%A9+", 0, {"a b\xc3\xa9+"}},
		{"GET", "/v1/shelves/s/books/b", 4, {"shelves/s", "b"}},
		{"GET", "/v1/shelves/s/b/b", -1, {NULL}},
		{"GET", "/v1/x/anything", 5, {NULL}},
		{"GET", "/v1/things/anything", 0, {"anything"}},
		{"GET", "/v1/shelves/anything", 5, {NULL}}, /* back from the literal to the variable */
		{"GET", "/v1/twice", 7, {NULL}},            /* the later wins */
		{"GET", "/", 8, {NULL}},
		{"GET", "/v1", -1, {NULL}},
		{"GET", "/v1/", -1, {NULL}},
		{"GET", "//v1/twice", -1, {NULL}},
		{"GET", "/V1/twice", -1, {NULL}},
		{"get", "/v1/twice", -1, {NULL}},
	};
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct route_node *root = build();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct path path;
		assert_true(path_split(cases[i].path, a, &path));
		const struct rule *r = routes_find(root, cases[i].verb, &path);
		if (!r != (cases[i].route < 0) || (r && r->route != &made[cases[i].route]))
			fail_msg("%s: %s", cases[i].path, r ? r->route->path : "none");
		for (size_t k = 0; r && k < r->n_captures; k++)
			assert_true(str_is(capture_text(&r->captures[k], &path, a), cases[i].captures[k]));
	}
	routes_free(root);
}

static void test_too_deep(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	auto_buf struct buf b = {0};
	struct path path;
	for (int i = 0; i < MAX_SEGMENTS; i++)
		buf_adds(&b, "/a");
	assert_true(path_split(buf_text(&b), a, &path));
	assert_int_equal(path.n, MAX_SEGMENTS);
	buf_adds(&b, "/a");
	assert_false(path_split(buf_text(&b), a, &path));
}

static const struct pb_service *const services[] = {
	&ADMIN_SERVICE_TABLE,  &AUTH_METADATA_SERVICE_TABLE, &IDENTITY_SERVICE_TABLE,    &DATA_PROXY_SERVICE_TABLE,
	&SIGNAL_SERVICE_TABLE, &SYNC_AGENT_SERVICE_TABLE,    &ASYNC_AGENT_SERVICE_TABLE, &AGENT_METADATA_SERVICE_TABLE,
};

static void add_all(struct route_node *root)
{
	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		for (size_t k = 0; k < services[i]->n_methods; k++)
			for (size_t r = 0; r < services[i]->methods[k].n_routes; r++)
				routes_add(root, &services[i]->methods[k], NULL, &services[i]->methods[k].routes[r]);
}

/* The template with values for its variables. */
static void fill(const char *template, struct buf *b)
{
	for (const char *p = template; *p; p++) {
		if (*p == '{') {
			buf_adds(b, "v-");
			p = strchr(p, '}');
		} else
			buf_addc(b, *p);
	}
}

/* Every rule of Flyte's answers its own path, and each capture names a field of the request. */
static void test_flyte(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct route_node *root = routes_new();
	size_t n = 0;
	add_all(root);
	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		for (size_t k = 0; k < services[i]->n_methods; k++)
			for (size_t j = 0; j < services[i]->methods[k].n_routes; j++, n++) {
				const struct pb_route *route = &services[i]->methods[k].routes[j];
				auto_buf struct buf b = {0};
				struct path path;
				fill(route->path, &b);
				assert_true(path_split(buf_text(&b), a, &path));
				const struct rule *r = routes_find(root, route->verb, &path);
				assert_non_null(r);
				assert_ptr_equal(r->route, route);
				for (size_t c = 0; c < r->n_captures; c++)
					assert_true(str_is(capture_text(&r->captures[c], &path, a), "v-"));
			}
	assert_true(n > 70);
	routes_free(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made),
		cmocka_unit_test(test_too_deep),
		cmocka_unit_test(test_flyte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

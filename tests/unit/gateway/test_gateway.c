/* REST calls end to end, by raw sockets. What is expected is what grpc-gateway v2.28 with flyteadmin's options answered
 * to the same requests; where the texts of errors differ, only their status is compared. */
#include "../http/client.h"

#include "flyteidl/admin/project.h"
#include "flyteidl/service/admin.h"
#include "gateway/gateway.h"
#include "pb/pb.h"
#include "json/json.h"

static struct http_server *server;
static struct api *api;
static struct gateway *gateway;
static int port;

/* Whatever the method, an error that tells it and its request. */
static enum code tell(struct request *rq, const void *in, void *ret, struct err *err)
{
	(void)ret;
	auto_buf struct buf b = {0};
	struct json_options options = {.proto_names = true};
	if (json_write(&b, in, &options, err))
		return err->code;
	return err_set(err, NOT_FOUND, "%s %s", rq->method->name, buf_text(&b));
}

static enum code list_projects(struct request *rq, const AdminProjectListRequest *in, AdminProjects *ret,
			       struct err *err)
{
	if (in->limit)
		return tell(rq, in, ret, err);
	AdminProject *p = pb_new(rq->arena, ADMIN_PROJECT_DESC);
	p->id = arena_strdup(rq->arena, "p");
	p->name = arena_printf(rq->arena, "%s %s", rq->authority, rq->deadline_us == INT64_MAX ? "-" : "deadline");
	*PB_ADD(rq->arena, ret->projects, ret->n_projects) = p;
	return OK;
}
API_THUNK(list_projects)

/* Metadata by name, if x-one is there. */
static enum code get_version(struct request *rq, const void *in, void *ret, struct err *err)
{
	(void)in, (void)ret;
	static const char *const names[] = {"x-one", "user-agent", "grpcgateway-user-agent", "authorization", "absent"};
	auto_buf struct buf b = {0};
	if (!rq->header(rq, "x-one"))
		return OK;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *value = rq->header(rq, names[i]);
		buf_printf(&b, "%s;", value ? value : "(none)");
	}
	return err_set(err, UNAUTHENTICATED, "%s", buf_text(&b));
}

static void serve_api(struct http_request *rq, struct http_response *rs)
{
	if (!gateway_serve(gateway, rq, rs))
		gateway_not_found(rq, rs);
}

static enum code let_in(struct request *rq, struct err *err)
{
	(void)rq, (void)err;
	return OK;
}

static const struct http_route routes[] = {{.verb = NULL, .path = "/*", .fn = serve_api}, {0}};

static int set_up(void **state)
{
	(void)state;
	const struct pb_service *admin = &ADMIN_SERVICE_TABLE;
	struct api_binding *bindings = x_calloc(admin->n_methods + 1, sizeof *bindings);
	for (size_t i = 0; i < admin->n_methods; i++) {
		const char *name = admin->methods[i].name;
		api_handler fn = strcmp(name, "ListProjects") == 0 ? list_projects_api
				 : strcmp(name, "GetVersion") == 0 ? get_version
								   : tell;
		bindings[i] = (struct api_binding){name, fn};
	}
	api = api_new(&(struct api_options){.metrics_prefix = "test", .authenticate = let_in});
	api_bind(api, admin, bindings);
	free(bindings);
	gateway = gateway_new(api);
	server = serve((struct http_server_options){0}, routes);
	port = http_server_port(server);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	http_server_stop(server, USEC_PER_SEC);
	gateway_free(gateway);
	api_free(api);
	return 0;
}

static struct reply rest(const char *verb, const char *target, const char *headers, const char *body)
{
	auto_buf struct buf b = {0};
	buf_printf(&b, "%s %s HTTP/1.1\r\nHost: h:1\r\nContent-Length: %zu\r\n%s\r\n%s", verb, target, strlen(body),
		   headers, body);
	return ask(port, buf_text(&b));
}

#define JSON   "Content-Type: application/json\r\n"
#define FORM   "Content-Type: application/x-www-form-urlencoded\r\n"
#define BINARY "Content-Type: application/octet-stream\r\n"

struct sample {
	const char *verb, *target, *headers, *body;
	int status;
	const char *text; /* part of the error's message, its quotes taken for JSON's; NULL for any */
};

/* JSON may put a blank after commas and colons. */
static char *squeeze(const char *text)
{
	char *ret = x_strdup(text), *to = ret;
	for (const char *from = text; *from; from++)
		if (*from != ' ' || (from > text && from[-1] != ',' && from[-1] != ':'))
			*to++ = *from;
	*to = 0;
	return ret;
}

static void check(const struct sample *s)
{
	struct reply r = rest(s->verb, s->target, s->headers, s->body);
	auto_buf struct buf quoted = {0};
	buf_json_string(&quoted, str_of(s->text ? s->text : ""));
	quoted.data[quoted.len - 1] = 0;
	auto_mem char *want = squeeze(quoted.data + 1), *got = squeeze(r.body ? r.body : "");
	if (r.status != s->status || !strstr(got, want))
		fail_msg("%s %s: %d %s, expected %d %s", s->verb, s->target, r.status, got, s->status, want);
	free(r.body);
}

static void check_all(const struct sample *samples, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check(&samples[i]);
}

static void test_paths(void **state)
{
	static const struct sample samples[] = {
		{"GET", "/api/v1/nothing", "", "", 404, "Not Found"},
		{"DELETE", "/api/v1/projects", "", "", 501, "Method Not Allowed"},
		{"OPTIONS", "/api/v1/projects", "", "", 501, "Method Not Allowed"},
		{"HEAD", "/api/v1/projects", "", "", 501, NULL},
		{"GET", "/api/v1/projects/", "", "", 404, "GetProject {}"},
		{"GET", "/api/v1/tasks/p/d/n/v", "", "", 404,
		 "GetTask {\"id\":{\"project\":\"p\",\"domain\":\"d\",\"name\":\"n\",\"version\":\"v\"}}"},
		{"GET", "/api/v1/tasks/p/d/n%20m%C3%A9+/v?id.name=q&id.org=o", "", "", 404,
		 "\"name\":\"n m\xc3\xa9+\",\"version\":\"v\",\"org\":\"o\""},
		{"GET", "/api/v1/tasks/p/d", "", "", 404, "ListTasks {\"id\":{\"project\":\"p\",\"domain\":\"d\"}}"},
		{"GET", "/api/v1/tasks/p/d/n", "", "", 404,
		 "ListTasks {\"id\":{\"project\":\"p\",\"domain\":\"d\",\"name\":\"n\"}}"},
		{"GET", "/api/v1/tasks/p/d/", "", "", 404, "ListTasks {\"id\":{\"project\":\"p\",\"domain\":\"d\"}}"},
		{"GET", "/api/v1/named_entities/TASK/p/d/n", "", "", 404, "\"resource_type\":\"TASK\""},
		{"GET", "/api/v1/named_entities/1/p/d/n", "", "", 404, "\"resource_type\":\"TASK\""},
		{"GET", "/api/v1/named_entities/nope/p/d/n", "", "", 400, "type mismatch, parameter:resource_type,"},
		{"GET", "/api/v1/named_entities/77/p/d/n", "", "", 400, "type mismatch, parameter:resource_type,"},
		{"GET", "/api/v1/task_executions/p/d/n/nid/tp/td/tn/tv/3", "", "", 404, "\"retry_attempt\":3"},
		{"GET", "/api/v1/task_executions/p/d/n/nid/tp/td/tn/tv/x", "", "", 400, "id.retry_attempt"},
		{"GET", "/api/v1/data/executions/p/d/n", "", "", 404, "GetExecutionData"},
		{"GET", "/api/v1/tasks/p/d/%ff/v", "", "", 400, "id.name"},
	};
	(void)state;
	check_all(samples, ARRAY_SIZE(samples));
}

static void test_queries(void **state)
{
	static const struct sample samples[] = {
		{"GET",
		 "/api/v1/projects?limit=3&token=a+b%2Bc&filters=eq(x,y)&sort_by.key=k&sort_by.direction=ASCENDING", "",
		 "", 404,
		 "{\"limit\":3,\"token\":\"a b+c\",\"filters\":\"eq(x,y)\",\"sort_by\":{\"key\":\"k\",\"direction\":"
		 "\"ASCENDING\"}}"},
		{"GET", "/api/v1/projects?limit=1&sortBy.key=k&sortBy.direction=1", "", "", 404, "\"ASCENDING\""},
		{"GET", "/api/v1/projects?nothing=1&nor.this=2&limit=1", "", "", 404, "{\"limit\":1}"},
		{"GET", "/api/v1/matchable_attributes?resource_type=EXECUTION_QUEUE", "", "", 404,
		 "\"resource_type\":\"EXECUTION_QUEUE\""},
		{"GET", "/api/v1/projects?sort_by.direction=7", "", "", 400, "direction"},
		{"GET", "/api/v1/projects?sort_by.direction=descending", "", "", 400, "direction"},
		{"GET", "/api/v1/projects?limit=x", "", "", 400, "limit"},
		{"GET", "/api/v1/projects?limit=", "", "", 400, "limit"},
		{"GET", "/api/v1/projects?limit=-1", "", "", 400, "limit"},
		{"GET", "/api/v1/projects?limit=4294967296", "", "", 400, "limit"},
		{"GET", "/api/v1/projects?limit=1&limit=2", "", "", 400, "too many values for field \"limit\""},
		{"GET", "/api/v1/projects?limit.x=2", "", "", 400, "limit is not a message"},
		{"GET", "/api/v1/projects?sort_by=x", "", "", 400, "sort_by"},
		{"GET", "/api/v1/projects?sort_by.key.z=x", "", "", 400, "key is not a message"},
		{"GET", "/api/v1/projects?token=%zz", "", "", 400, NULL},
		{"GET", "/api/v1/projects?token=%ff", "", "", 400, "token"},
		{"GET", "/api/v1/executions/p/d?filters[a]=b", "", "", 400, "filters"},
	};
	(void)state;
	check_all(samples, ARRAY_SIZE(samples));
}

static void test_bodies(void **state)
{
	static const char project[] = "{\"project\":{\"id\":\"x\",\"unknown\":1}}";
	static const struct sample samples[] = {
		{"POST", "/api/v1/projects", JSON,
		 "{\"project\":{\"id\":\"x\",\"labels\":{\"values\":{\"a_b\":\"c\"}}}}", 404,
		 "RegisterProject {\"project\":{\"id\":\"x\",\"labels\":{\"values\":{\"a_b\":\"c\"}}}}"},
		{"POST", "/api/v1/projects", "", project, 404, "RegisterProject {\"project\":{\"id\":\"x\"}}"},
		{"POST", "/api/v1/projects", JSON, project, 400, "unknown"},
		{"POST", "/api/v1/projects", "Content-Type: APPLICATION/json ; charset=utf-8\r\n", project, 400,
		 "unknown"},
		{"POST", "/api/v1/projects", JSON, "", 404, "RegisterProject {}"},
		{"POST", "/api/v1/projects", JSON, " \n", 404, "RegisterProject {}"},
		{"POST", "/api/v1/projects", JSON, "{", 400, NULL},
		{"POST", "/api/v1/projects", JSON, "[]", 400, NULL},
		{"POST", "/api/v1/projects", JSON, "null", 400, NULL},
		{"POST", "/api/v1/projects", BINARY "Accept: application/json\r\n", "\x0a\x03\x0a\x01x", 404,
		 "RegisterProject {\"project\":{\"id\":\"x\"}}"},
		{"POST", "/api/v1/projects", BINARY "Accept: application/json\r\n", "\x0a\x05\x0a\x01x", 400, NULL},
		{"POST", "/api/v1/projects?project.id=q", JSON, "{}", 404, "RegisterProject {}"},
		{"PUT", "/api/v1/projects/a", JSON, "{\"id\":\"b\",\"name\":\"n\"}", 404,
		 "UpdateProject {\"id\":\"a\",\"name\":\"n\"}"},
		{"DELETE", "/api/v1/executions/p/d/n", JSON,
		 "{\"cause\":\"w\",\"id\":{\"name\":\"other\",\"org\":\"o\"}}", 404,
		 "{\"id\":{\"project\":\"p\",\"domain\":\"d\",\"name\":\"n\",\"org\":\"o\"},\"cause\":\"w\"}"},
		{"DELETE", "/api/v1/executions/p/d/n", "", "", 404, "TerminateExecution"},
	};
	(void)state;
	check_all(samples, ARRAY_SIZE(samples));
}

static void test_forms(void **state)
{
	static const struct sample samples[] = {
		{"POST", "/api/v1/tasks/p/d", FORM, "limit=2&token=x", 404, "\"limit\":2,\"token\":\"x\""},
		{"POST", "/api/v1/tasks/p/d?token=u", FORM, "limit=2", 404, "\"limit\":2,\"token\":\"u\""},
		{"POST", "/api/v1/tasks/p/d?limit=3", FORM, "limit=2", 400, "too many values"},
		{"POST", "/api/v1/tasks/p/d", FORM "X-HTTP-Method-Override: get\r\n", "limit=2", 404, "\"limit\":2"},
		{"POST", "/api/v1/executions/p/d/n", FORM "X-HTTP-Method-Override: DELETE\r\n", "cause=x", 404,
		 "TerminateExecution {\"id\":{\"project\":\"p\",\"domain\":\"d\",\"name\":\"n\"}}"},
		{"POST", "/api/v1/executions/p/d/n", JSON "X-HTTP-Method-Override: DELETE\r\n", "{}", 501, NULL},
		{"POST", "/api/v1/tasks/p/d", JSON, "{}", 501, NULL},
		{"POST", "/api/v1/executions/p/d/n", FORM, "x=y", 404, "GetExecution {"},
	};
	(void)state;
	check_all(samples, ARRAY_SIZE(samples));
}

static void test_formats(void **state)
{
	static const struct {
		const char *headers, *type, *body;
	} cases[] = {
		{"", "application/json", "\"id\":\"p\""},
		{"Accept: application/json\r\n", "application/json", "\"id\":\"p\""},
		{"Accept: application/octet-stream\r\n", "application/octet-stream", "\n\x0a\n\x01p\x12\x05h:1 -"},
		{BINARY, "application/octet-stream", "\n\x0a\n\x01p\x12\x05h:1 -"},
		{"Accept: text/html, */*\r\n", "application/json", "\"id\":\"p\""},
		{"Accept: application/octet-stream, */*\r\n", "application/json", "\"id\":\"p\""},
		{BINARY "Accept: application/json\r\n", "application/json", "\"id\":\"p\""},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char type[80];
		struct reply r = rest("GET", "/api/v1/projects", cases[i].headers, "");
		snprintf(type, sizeof type, "\r\nContent-Type: %s\r\n", cases[i].type);
		assert_int_equal(r.status, 200);
		assert_true(has(&r, type));
		if (!strstr(r.body, cases[i].body))
			fail_msg("%s: %s", cases[i].headers, r.body);
		free(r.body);
	}
}

/* All fields are written, unset messages as null. */
static void test_names_and_nulls(void **state)
{
	static const struct {
		const char *headers, *body;
	} cases[] = {
		{"", "{\"controlPlaneVersion\":null}"},
		{"Accept: application/json\r\n", "{\"control_plane_version\":null}"},
		{JSON, "{\"control_plane_version\":null}"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct reply r = rest("GET", "/api/v1/version", cases[i].headers, "");
		assert_int_equal(r.status, 200);
		assert_string_equal(r.body, cases[i].body);
		free(r.body);
	}
	struct reply r = rest("GET", "/api/v1/projects", "", "");
	assert_non_null(strstr(r.body, "\"labels\":null"));
	assert_non_null(strstr(r.body, "\"domains\":[]"));
	assert_non_null(strstr(r.body, "\"state\":\"ACTIVE\""));
	assert_non_null(strstr(r.body, "\"token\":\"\""));
	free(r.body);
}

static void test_errors(void **state)
{
	(void)state;
	struct reply r = rest("GET", "/api/v1/nothing", "Accept: application/octet-stream\r\n", "");
	assert_int_equal(r.status, 404);
	assert_int_equal(r.len, 13);
	assert_memory_equal(r.body, "\x08\x05\x12\x09Not Found", 13);
	assert_true(has(&r, "\r\nContent-Type: application/octet-stream\r\n"));
	free(r.body);
	r = rest("GET", "/api/v1/nothing", "", "");
	assert_string_equal(r.body, "{\"code\":5,\"message\":\"Not Found\",\"details\":[]}");
	free(r.body);
	for (int code = OK; code <= UNAUTHENTICATED; code++)
		assert_in_range(gateway_status(code), 200, 504);
	assert_int_equal(gateway_status(99), 500);
}

static void test_metadata(void **state)
{
	(void)state;
	struct reply r = rest("GET", "/api/v1/version",
			      "Grpc-Metadata-X-One: 1\r\nUser-Agent: ua\r\nAuthorization: Bearer t\r\n", "");
	assert_int_equal(r.status, 401);
	assert_true(has(&r, "\r\nWWW-Authenticate: 1;ua;ua;Bearer t;(none);\r\n"));
	free(r.body);
	static const struct sample bad = {"GET", "/api/v1/projects",       "Grpc-Timeout: 1x\r\n", "",
					  400,   "invalid grpc-timeout:1x"};
	check(&bad);
	static const struct sample late = {"GET", "/api/v1/projects", "Grpc-Timeout: 0S\r\n", "", 504, NULL};
	check(&late);
	r = rest("GET", "/api/v1/projects", "Grpc-Timeout: 5S\r\nX-Forwarded-Host: outside\r\n", "");
	assert_non_null(strstr(r.body, "outside deadline"));
	free(r.body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),  cmocka_unit_test(test_queries),  cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_forms),  cmocka_unit_test(test_formats),  cmocka_unit_test(test_names_and_nulls),
		cmocka_unit_test(test_errors), cmocka_unit_test(test_metadata),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}

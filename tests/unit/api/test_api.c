/* Binding, calling and counting: what every handler of every service goes through. */
#include "fixture.h"
#include "flyteidl/service/signal.h"

static enum code get_version(struct request *rq, const AdminGetVersionRequest *in, AdminGetVersionResponse *ret,
			     struct err *err)
{
	struct world *w = rq->user;

	(void)in;
	w->handled++;
	if (w->answer != OK)
		return err_set(err, w->answer, "told to fail");
	ret->control_plane_version = pb_new(rq->arena, ADMIN_VERSION_DESC);
	ret->control_plane_version->version = arena_strdup(rq->arena, rq->principal);
	return OK;
}
API_THUNK(get_version)

static enum code silent_failure(struct request *rq, const void *in, void *ret, struct err *err)
{
	(void)rq, (void)in, (void)ret, (void)err;
	return NOT_FOUND;
}

static enum code authenticate(struct request *rq, struct err *err)
{
	struct world *w = rq->user;

	if (w->auth != OK)
		return err_set(err, w->auth, "who are you?");
	rq->principal = "somebody";
	return OK;
}

static const struct api_binding versions[] = {{"GetVersion", get_version_api}, {0}};
static const struct api_binding tasks[] = {{"GetTask", silent_failure}, {"ListTasks", silent_failure}, {0}};
static const struct api_binding signals[] = {{0}};

static struct world *bound(bool with_auth)
{
	struct world *w = world_new(with_auth ? authenticate : NULL);

	api_bind(w->api, &ADMIN_SERVICE_TABLE, versions);
	api_bind(w->api, &SIGNAL_SERVICE_TABLE, signals);
	api_bind(w->api, &ADMIN_SERVICE_TABLE, tasks);
	return w;
}

static enum code call(struct world *w, const char *path, int64_t deadline_us, AdminGetVersionResponse **ret,
		      struct err *err)
{
	const struct api_method *m = api_find(w->api, str_of(path));
	struct request rq = {.arena = w->arena, .peer = "test", .authority = "", .deadline_us = deadline_us};
	AdminGetVersionRequest in = ADMIN_GET_VERSION_REQUEST_INIT;

	assert_non_null(m);
	*ret = pb_new(w->arena, api_method_table(m)->out);
	return api_call(w->api, m, &rq, &in, *ret, err);
}

#define VERSION  "/flyteidl.service.AdminService/GetVersion"
#define GET_TASK "/flyteidl.service.AdminService/GetTask"

static void finds_methods(void **state)
{
	struct world *w = bound(false);
	size_t n;
	const struct pb_service *const *services = api_services(w->api, &n);

	(void)state;
	assert_int_equal(n, 2);
	assert_ptr_equal(services[0], &ADMIN_SERVICE_TABLE);
	assert_ptr_equal(services[1], &SIGNAL_SERVICE_TABLE);
	assert_non_null(api_find(w->api, STR(VERSION)));
	assert_null(api_find(w->api, STR("/flyteidl.service.AdminService/GetTasks")));
	assert_null(api_find(w->api, STR("/flyteidl.service.DataProxyService/GetData")));
	assert_null(api_find(w->api, STR("")));
	world_free(w);
}

static void calls_and_answers(void **state)
{
	struct world *w = bound(true);
	AdminGetVersionResponse *ret;
	struct err err;

	(void)state;
	assert_int_equal(call(w, VERSION, INT64_MAX, &ret, &err), OK);
	assert_string_equal(ret->control_plane_version->version, "somebody");
	assert_int_equal(call(w, GET_TASK, INT64_MAX, &ret, &err), NOT_FOUND);
	assert_string_equal(err.text, GET_TASK " failed (NOT_FOUND)");
	assert_int_equal(call(w, "/flyteidl.service.SignalService/SetSignal", INT64_MAX, &ret, &err), UNIMPLEMENTED);
	assert_string_equal(err.text, "/flyteidl.service.SignalService/SetSignal is not implemented");
	assert_int_equal(call(w, "/flyteidl.service.AdminService/CreateTask", INT64_MAX, &ret, NULL), UNIMPLEMENTED);
	world_free(w);
}

static void a_passed_deadline_runs_nothing(void **state)
{
	struct world *w = bound(false);
	AdminGetVersionResponse *ret;
	struct err err;

	(void)state;
	assert_int_equal(call(w, VERSION, time_now_us() - 1, &ret, &err), DEADLINE_EXCEEDED);
	assert_int_equal(w->handled, 0);
	world_free(w);
}

/* Clients answer UNKNOWN, and UNAUTHENTICATED where nobody can log in, with a login prompt. */
static void codes_that_prompt_never_leave(void **state)
{
	struct world *open = bound(false), *closed = bound(true);
	AdminGetVersionResponse *ret;
	struct err err;

	(void)state;
	open->answer = UNKNOWN;
	assert_int_equal(call(open, VERSION, INT64_MAX, &ret, &err), INTERNAL);
	assert_int_equal(err.code, INTERNAL);
	assert_string_equal(err.text, "told to fail");
	open->answer = UNAUTHENTICATED;
	assert_int_equal(call(open, VERSION, INT64_MAX, &ret, &err), PERMISSION_DENIED);
	open->answer = (enum code)99;
	assert_int_equal(call(open, VERSION, INT64_MAX, &ret, NULL), INTERNAL);

	closed->auth = UNAUTHENTICATED;
	assert_int_equal(call(closed, VERSION, INT64_MAX, &ret, &err), UNAUTHENTICATED);
	assert_string_equal(err.text, "who are you?");
	assert_int_equal(closed->handled, 0);
	world_free(open);
	world_free(closed);
}

static void counts_under_flytes_names(void **state)
{
	struct world *w = bound(false);
	AdminGetVersionResponse *ret;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(call(w, VERSION, INT64_MAX, &ret, NULL), OK);
	assert_int_equal(call(w, GET_TASK, INT64_MAX, &ret, NULL), NOT_FOUND);
	assert_int_equal(call(w, "/flyteidl.service.AdminService/ListTasks", INT64_MAX, &ret, NULL), NOT_FOUND);
	api_count(api_find(w->api, STR(GET_TASK)), INVALID_ARGUMENT, 1500);
	assert_line(w, "\nflyte:admin:admin:get_version:success 3\n");
	assert_line(w, "\nflyte:admin:admin:get_version:codes:OK 3\n");
	assert_line(w, "\nflyte:admin:admin:get_version:errors 0\n");
	assert_line(w, "\nflyte:admin:admin:get_version:duration_ms_count 3\n");
	assert_line(w, "\nflyte:admin:admin:get_task:errors 2\n");
	assert_line(w, "\nflyte:admin:admin:get_task:codes:NotFound 1\n");
	assert_line(w, "\nflyte:admin:admin:get_task:codes:InvalidArgument 1\n");
	assert_line(w, "\nflyte:admin:admin:list_task:errors 1\n");
	assert_line(w, "\ngrpc_server_handling_seconds_bucket{grpc_method=\"GetVersion\",grpc_service=\""
		       "flyteidl.service.AdminService\",grpc_type=\"unary\",le=\"10\"} 3\n");
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_methods),
		cmocka_unit_test(calls_and_answers),
		cmocka_unit_test(a_passed_deadline_runs_nothing),
		cmocka_unit_test(codes_that_prompt_never_leave),
		cmocka_unit_test(counts_under_flytes_names),
	};

	return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}

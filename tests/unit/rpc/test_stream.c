/* Streams through our own client: health and reflection; and what a drain does to calls and streams. */
#include "fixture.h"

#include "google/protobuf/descriptor.h"
#include "grpc/health/v1/health.h"
#include "grpc/reflection/v1/reflection.h"
#include "grpc/reflection/v1alpha/reflection.h"

#define STATUS(name) GRPC_HEALTH_V1_HEALTH_CHECK_RESPONSE_SERVING_STATUS_##name

static struct world *w;

static int start(void **state)
{
	static const char *const slow[] = {"flyteidl.service.DataProxyService", NULL};

	(void)state;
	w = world_new((struct rpc_server_options){.slow_services = slow, .slow_workers = 2, .workers = 2});
	return 0;
}

static int stop(void **state)
{
	(void)state;
	atomic_store(&w->closed, false);
	world_free(w);
	return 0;
}

/* ---- health ---- */

static enum code check(const char *service, int *ret, struct err *err)
{
	GrpcHealthV1HealthCheckRequest in = GRPC_HEALTH_V1_HEALTH_CHECK_REQUEST_INIT;
	GrpcHealthV1HealthCheckResponse *out;
	enum code code;

	in.service = (char *)service;
	code = rpc_call(w->channel, method_of(&GRPC_HEALTH_V1_HEALTH_TABLE, "Check"), &in, 20 * SECOND, w->arena,
			(void **)&out, err);
	if (code == OK)
		*ret = (int)out->status;
	return code;
}

static void checks_health(void **state)
{
	static const char *const served[] = {"", "flyteidl.service.AdminService", "flyteidl.service.DataProxyService",
					     "grpc.health.v1.Health"};
	struct err err;
	int status;

	(void)state;
	for (int serving = 0; serving < 2; serving++) {
		rpc_server_set_serving(w->server, serving);
		for (size_t i = 0; i < ARRAY_SIZE(served); i++) {
			assert_code(OK, &err, check(served[i], &status, &err));
			assert_int_equal(status, serving ? STATUS(SERVING) : STATUS(NOT_SERVING));
		}
	}
	assert_code(NOT_FOUND, &err, check("flyteidl.service.SignalService", &status, &err));
}

static struct rpc_stream *watch(const char *service)
{
	GrpcHealthV1HealthCheckRequest in = GRPC_HEALTH_V1_HEALTH_CHECK_REQUEST_INIT;
	struct rpc_stream *s;
	struct err err;

	in.service = (char *)service;
	assert_code(OK, &err,
		    rpc_stream_open(w->channel, method_of(&GRPC_HEALTH_V1_HEALTH_TABLE, "Watch"), INT64_MAX, &s, &err));
	assert_code(OK, &err, rpc_stream_send(s, &in, &err));
	assert_code(OK, &err, rpc_stream_close_send(s, &err));
	return s;
}

static int next_status(struct rpc_stream *s)
{
	GrpcHealthV1HealthCheckResponse *out;
	struct err err;

	assert_code(OK, &err, rpc_stream_receive(s, w->arena, (void **)&out, &err));
	return (int)out->status;
}

static void watches_health(void **state)
{
	struct rpc_stream *all, *unknown;

	(void)state;
	rpc_server_set_serving(w->server, false);
	all = watch("");
	unknown = watch("nobody");
	assert_int_equal(next_status(all), STATUS(NOT_SERVING));
	assert_int_equal(next_status(unknown), STATUS(SERVICE_UNKNOWN));
	rpc_server_set_serving(w->server, true);
	assert_int_equal(next_status(all), STATUS(SERVING));
	rpc_server_set_serving(w->server, true);
	rpc_server_set_serving(w->server, false);
	assert_int_equal(next_status(all), STATUS(NOT_SERVING));
	rpc_stream_free(all);
	rpc_stream_free(unknown);
}

/* ---- reflection ---- */

typedef GrpcReflectionV1ServerReflectionRequest Request;
typedef GrpcReflectionV1ServerReflectionResponse Response;

static const Response *ask(struct rpc_stream *s, const Request *in)
{
	Response *out;
	struct err err;

	assert_code(OK, &err, rpc_stream_send(s, in, &err));
	assert_code(OK, &err, rpc_stream_receive(s, w->arena, (void **)&out, &err));
	assert_string_equal(out->valid_host, in->host);
	assert_int_equal(out->original_request->message_request_case, in->message_request_case);
	return out;
}

static const char *first_file(const Response *out)
{
	PbFileDescriptorProto *file;
	struct err err;

	if (out->message_response_case !=
	    GRPC_REFLECTION_V1_SERVER_REFLECTION_RESPONSE_MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE)
		return NULL;
	ProtobufCBinaryData bytes = out->file_descriptor_response->file_descriptor_proto[0];
	assert_code(OK, &err,
		    pb_unpack(PB_FILE_DESCRIPTOR_PROTO_DESC, (struct str){(char *)bytes.data, bytes.len}, w->arena,
			      (void **)&file, &err));
	return file->name;
}

static const char *file_of_symbol(struct rpc_stream *s, const char *symbol)
{
	Request in = GRPC_REFLECTION_V1_SERVER_REFLECTION_REQUEST_INIT;

	in.host = (char *)"here";
	in.message_request_case = GRPC_REFLECTION_V1_SERVER_REFLECTION_REQUEST_MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL;
	in.file_containing_symbol = (char *)symbol;
	return first_file(ask(s, &in));
}

static void finds_symbols(struct rpc_stream *s)
{
	static const struct {
		const char *symbol, *file;
	} cases[] = {
		{"flyteidl.service.AdminService", "flyteidl/service/admin.proto"},
		{"flyteidl.service.AdminService.GetTask", "flyteidl/service/admin.proto"},
		{"flyteidl.service.AdminService.GetCake", NULL},
		{"flyteidl.core.Literal", "flyteidl/core/literals.proto"},
		{"flyteidl.core.LiteralMap.LiteralsEntry", "flyteidl/core/literals.proto"},
		{"flyteidl.core.NodeExecution.Phase", "flyteidl/core/execution.proto"},
		{"flyteidl.core.Literal.nothing", NULL},
		{"flyteidl.core", NULL},
		{"google.api.http", "google/api/annotations.proto"},
		{"google.protobuf.Timestamp", "google/protobuf/timestamp.proto"},
		{"grpc.health.v1.Health", "grpc/health/v1/health.proto"},
		{"grpc.reflection.v1alpha.ServerReflection", "grpc/reflection/v1alpha/reflection.proto"},
		{"", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *file = file_of_symbol(s, cases[i].symbol);
		if (!cases[i].file)
			assert_null(file);
		else
			assert_string_equal(file ? file : "none", cases[i].file);
	}
}

static void finds_files(struct rpc_stream *s)
{
	Request in = GRPC_REFLECTION_V1_SERVER_REFLECTION_REQUEST_INIT;
	const Response *out;

	in.host = (char *)"";
	in.message_request_case = GRPC_REFLECTION_V1_SERVER_REFLECTION_REQUEST_MESSAGE_REQUEST_FILE_BY_FILENAME;
	in.file_by_filename = (char *)"flyteidl/core/literals.proto";
	out = ask(s, &in);
	assert_string_equal(first_file(out), "flyteidl/core/literals.proto");
	assert_in_range(out->file_descriptor_response->n_file_descriptor_proto, 5, 8);
	in.file_by_filename = (char *)"no/such.proto";
	out = ask(s, &in);
	assert_null(first_file(out));
	assert_int_equal(out->error_response->error_code, NOT_FOUND);
	assert_string_equal(out->error_response->error_message, "no/such.proto not found");
}

static void finds_extensions(struct rpc_stream *s)
{
	Request in = GRPC_REFLECTION_V1_SERVER_REFLECTION_REQUEST_INIT;
	GrpcReflectionV1ExtensionRequest x = GRPC_REFLECTION_V1_EXTENSION_REQUEST_INIT;
	const Response *out;

	in.host = (char *)"";
	x.containing_type = (char *)"google.protobuf.MethodOptions";
	x.extension_number = 72295728;
	in.file_containing_extension = &x;
	in.message_request_case =
		GRPC_REFLECTION_V1_SERVER_REFLECTION_REQUEST_MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION;
	assert_string_equal(first_file(ask(s, &in)), "google/api/annotations.proto");
	in.message_request_case =
		GRPC_REFLECTION_V1_SERVER_REFLECTION_REQUEST_MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE;
	in.all_extension_numbers_of_type = x.containing_type;
	out = ask(s, &in);
	assert_int_equal(out->all_extension_numbers_response->n_extension_number, 1);
	assert_int_equal(out->all_extension_numbers_response->extension_number[0], 72295728);
}

static void lists_services(struct rpc_stream *s)
{
	Request in = GRPC_REFLECTION_V1_SERVER_REFLECTION_REQUEST_INIT;
	const Response *out;

	in.host = (char *)"";
	in.list_services = (char *)"";
	in.message_request_case = GRPC_REFLECTION_V1_SERVER_REFLECTION_REQUEST_MESSAGE_REQUEST_LIST_SERVICES;
	out = ask(s, &in);
	assert_int_equal(out->list_services_response->n_service, 5);
	assert_string_equal(out->list_services_response->service[0]->name, "flyteidl.service.AdminService");
	assert_string_equal(out->list_services_response->service[4]->name, "grpc.reflection.v1alpha.ServerReflection");
}

static void reflects(void **state)
{
	/* v1alpha's messages are v1's, so ours may be read by v1's types. */
	static const char *const paths[] = {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
					    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"};
	struct rpc_stream *s;
	struct err err;
	void *out;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct pb_method m = {"ServerReflectionInfo",
				      paths[i],
				      GRPC_REFLECTION_V1_SERVER_REFLECTION_REQUEST_DESC,
				      GRPC_REFLECTION_V1_SERVER_REFLECTION_RESPONSE_DESC,
				      true,
				      true,
				      NULL,
				      0};
		assert_code(OK, &err, rpc_stream_open(w->channel, &m, 60 * SECOND, &s, &err));
		lists_services(s);
		finds_files(s);
		finds_extensions(s);
		finds_symbols(s);
		assert_code(OK, &err, rpc_stream_close_send(s, &err));
		assert_code(OUT_OF_RANGE, &err, rpc_stream_receive(s, w->arena, &out, &err));
		assert_code(OUT_OF_RANGE, &err, rpc_stream_receive(s, w->arena, &out, &err));
		rpc_stream_free(s);
	}
}

static void streams_end_with_a_status(void **state)
{
	const struct pb_method *info = method_of(&GRPC_REFLECTION_V1_SERVER_REFLECTION_TABLE, "ServerReflectionInfo");
	struct pb_method nobody = {"Watch", "/no.Body/Watch", info->in, info->out, true, true, NULL, 0};
	struct rpc_stream *s;
	struct err err;
	void *out;

	(void)state;
	assert_code(OK, &err, rpc_stream_open(w->channel, &nobody, 60 * SECOND, &s, &err));
	assert_code(UNIMPLEMENTED, &err, rpc_stream_receive(s, w->arena, &out, &err));
	assert_string_equal(err.text, "unknown service: /no.Body/Watch is not served here");
	rpc_stream_free(s);

	assert_code(OK, &err, rpc_stream_open(w->channel, info, SECOND / 5, &s, &err));
	assert_code(DEADLINE_EXCEEDED, &err, rpc_stream_receive(s, w->arena, &out, &err));
	rpc_stream_free(s);
}

/* ---- workers and drain ---- */

struct caller {
	pthread_t thread;
	const struct pb_method *method;
	enum code code;
	struct err err;
	atomic_bool over;
};

static void *call_in_thread(void *arg)
{
	struct caller *c = arg;
	auto_free(arena_free) struct arena *a = arena_new(0);
	AdminGetVersionRequest in = ADMIN_GET_VERSION_REQUEST_INIT;
	void *out;

	c->code = rpc_call(w->channel, c->method, &in, INT64_MAX, a, &out, &c->err);
	atomic_store(&c->over, true);
	return NULL;
}

static void start_callers(struct caller *c, size_t n, const struct pb_method *method)
{
	for (size_t i = 0; i < n; i++) {
		c[i].method = method;
		atomic_store(&c[i].over, false);
		assert_int_equal(pthread_create(&c[i].thread, NULL, call_in_thread, &c[i]), 0);
	}
}

static void join_callers(struct caller *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		pthread_join(c[i].thread, NULL);
}

/* With every worker busy, slow services and health are still served, and nobody's call is lost. */
static void busy_workers_hold_up_only_their_own(void **state)
{
	const struct pb_method *get_data = method_of(&DATA_PROXY_SERVICE_TABLE, "GetData");
	struct caller admins[6], proxies[4];
	struct err err;
	int status;

	(void)state;
	atomic_store(&w->closed, true);
	start_callers(admins, 6, admin("GetDomains"));
	wait_inside(w, 2);
	start_callers(proxies, 4, get_data);
	wait_inside(w, 4);
	assert_code(OK, &err, check("", &status, &err));
	usleep(50000);
	assert_int_equal(atomic_load(&w->inside), 4);
	atomic_store(&w->closed, false);
	join_callers(admins, 6);
	join_callers(proxies, 4);
	for (size_t i = 0; i < 6; i++)
		assert_code(OK, &admins[i].err, admins[i].code);
	for (size_t i = 0; i < 4; i++)
		assert_code(OK, &proxies[i].err, proxies[i].code);
}

static void too_many_calls_are_refused(void **state)
{
	struct world *other;
	struct caller c[3];
	struct err err;
	int status;

	(void)state;
	other = w;
	w = world_new((struct rpc_server_options){.max_calls = 3});
	atomic_store(&w->closed, true);
	start_callers(c, 3, admin("GetDomains"));
	wait_inside(w, 3);
	assert_code(RESOURCE_EXHAUSTED, &err, check("", &status, &err));
	assert_string_equal(err.text, "too many calls are under way; try again later");
	atomic_store(&w->closed, false);
	join_callers(c, 3);
	for (int i = 0; check("", &status, &err) != OK; i++) { /* the server may still be clearing up */
		assert_true(i < 1000);
		usleep(1000);
	}
	world_free(w);
	w = other;
}

static void a_request_that_does_not_come_is_given_up(void **state)
{
	struct world *other = w;
	struct rpc_stream *s;
	struct err err;
	void *out;

	(void)state;
	w = world_new((struct rpc_server_options){.receive_timeout_us = SECOND / 10});
	assert_code(OK, &err, rpc_stream_open(w->channel, admin("GetVersion"), 60 * SECOND, &s, &err));
	assert_code(DEADLINE_EXCEEDED, &err, rpc_stream_receive(s, w->arena, &out, &err));
	assert_string_equal(err.text, "the request did not arrive whole within the server's time limit");
	rpc_stream_free(s);
	world_free(w);
	w = other;
}

static void *open_gate(void *arg)
{
	usleep(200000);
	atomic_store(&w->closed, false);
	return arg;
}

static void drain_lets_calls_finish(void **state)
{
	struct rpc_stream *s = watch("");
	int64_t begin = time_mono_us();
	struct caller c[2];
	pthread_t opener;
	struct err err;
	void *out;

	(void)state;
	rpc_server_set_serving(w->server, true);
	while (next_status(s) != STATUS(SERVING))
		;
	atomic_store(&w->closed, true);
	start_callers(c, 2, admin("GetDomains"));
	wait_inside(w, 2);
	pthread_create(&opener, NULL, open_gate, NULL);
	world_stop(w, 60 * SECOND);
	pthread_join(opener, NULL);
	assert_in_range(time_mono_us() - begin, SECOND / 5, 20 * SECOND);
	join_callers(c, 2);
	for (size_t i = 0; i < 2; i++)
		assert_code(OK, &c[i].err, c[i].code);
	assert_int_equal(next_status(s), STATUS(NOT_SERVING));
	assert_code(UNAVAILABLE, &err, rpc_stream_receive(s, w->arena, &out, &err));
	rpc_stream_free(s);
}

/* When the server has given up all five. */
static void *open_gate_at_last(void *callers)
{
	struct caller *c = callers;

	for (size_t i = 0; i < 5; i++)
		while (!atomic_load(&c[i].over))
			usleep(1000);
	atomic_store(&w->closed, false);
	return NULL;
}

static void drain_cancels_after_the_grace(void **state)
{
	struct caller c[5];
	pthread_t opener;

	(void)state;
	atomic_store(&w->closed, true);
	start_callers(c, 5, admin("GetDomains")); /* two run, three wait */
	wait_inside(w, 2);
	usleep(50000);
	pthread_create(&opener, NULL, open_gate_at_last, c);
	world_stop(w, SECOND / 20);
	pthread_join(opener, NULL);
	join_callers(c, 5);
	for (size_t i = 0; i < 5; i++)
		assert_true(c[i].code == UNAVAILABLE || c[i].code == CANCELLED);
	assert_int_equal(atomic_load(&w->inside), 0);
}

static void a_second_server_takes_over(void **state)
{
	struct rpc_server *second;
	struct err err;
	int status;

	(void)state;
	assert_code(OK, &err, check("", &status, &err));
	world_stop(w, SECOND);
	assert_code(UNAVAILABLE, &err, check("", &status, &err));
	assert_true(str_starts(str_of(err.text), "cannot reach admin at 127.0.0.1:"));
	assert_code(OK, &err,
		    rpc_server_new(&(struct rpc_server_options){.listen = w->target, .api = w->api}, &second, &err));
	for (int i = 0; check("", &status, &err) != OK; i++) {
		assert_true(i < 1000);
		usleep(10000);
	}
	rpc_server_stop(second, SECOND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(checks_health, start, stop),
		cmocka_unit_test_setup_teardown(watches_health, start, stop),
		cmocka_unit_test_setup_teardown(reflects, start, stop),
		cmocka_unit_test_setup_teardown(streams_end_with_a_status, start, stop),
		cmocka_unit_test_setup_teardown(busy_workers_hold_up_only_their_own, start, stop),
		cmocka_unit_test_setup_teardown(too_many_calls_are_refused, start, stop),
		cmocka_unit_test_setup_teardown(a_request_that_does_not_come_is_given_up, start, stop),
		cmocka_unit_test_setup_teardown(drain_lets_calls_finish, start, stop),
		cmocka_unit_test_setup_teardown(drain_cancels_after_the_grace, start, stop),
		cmocka_unit_test_setup_teardown(a_second_server_takes_over, start, stop),
	};

	log_set_level(LOG_ERROR + 1);
	return cmocka_run_group_tests_name("rpc streams and drain", tests, NULL, NULL);
}

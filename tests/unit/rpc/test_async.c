/* Calls that nobody waits for. */
#include "fixture.h"

#include "grpc/reflection/v1/reflection.h"

static struct world *w;

static void answers_and_fails(void **state)
{
	struct rpc_calls *calls = rpc_calls_new();
	AdminGetVersionRequest in = ADMIN_GET_VERSION_REQUEST_INIT;
	AdminProjectGetRequest bad = ADMIN_PROJECT_GET_REQUEST_INIT;
	const void *list[] = {&in}, *bad_list[] = {&bad};
	struct one o;

	(void)state;
	begin(calls, w->channel, &o, admin("GetVersion"), list, 1, 20 * SECOND);
	sem_wait(&o.done);
	assert_int_equal(o.code, OK);
	assert_string_equal(((AdminGetVersionResponse *)o.message)->control_plane_version->version, "none");
	end(&o);
	bad.id = "5";
	begin(calls, w->channel, &o, admin("GetProject"), bad_list, 1, 20 * SECOND);
	sem_wait(&o.done);
	assert_int_equal(o.code, NOT_FOUND);
	assert_null(o.message);
	assert_string_equal(o.err.text, "project 5: 100% größer\nline two");
	end(&o);
	rpc_calls_free(calls);
}

/* Whose server does not answer waits for nobody else, and only as long as it was told to. */
static void hangs_alone(void **state)
{
	struct rpc_calls *calls = rpc_calls_new();
	AdminGetDomainRequest in = ADMIN_GET_DOMAIN_REQUEST_INIT;
	AdminGetVersionRequest version = ADMIN_GET_VERSION_REQUEST_INIT;
	const void *list[] = {&in}, *version_list[] = {&version};
	struct one slow[2], quick[200];

	(void)state;
	atomic_store(&w->closed, true);
	for (size_t i = 0; i < 2; i++)
		begin(calls, w->channel, &slow[i], admin("GetDomains"), list, 1, 3 * SECOND);
	wait_inside(w, 2);
	for (size_t i = 0; i < ARRAY_SIZE(quick); i++)
		begin(calls, w->channel, &quick[i], admin("GetVersion"), version_list, 1, 20 * SECOND);
	for (size_t i = 0; i < ARRAY_SIZE(quick); i++) {
		sem_wait(&quick[i].done);
		assert_int_equal(quick[i].code, OK);
		end(&quick[i]);
	}
	for (size_t i = 0; i < 2; i++) {
		sem_wait(&slow[i].done);
		assert_int_equal(slow[i].code, DEADLINE_EXCEEDED);
		assert_non_null(strstr(slow[i].err.text, "GetDomains: no answer from admin in time"));
		end(&slow[i]);
	}
	atomic_store(&w->closed, false);
	rpc_calls_free(calls);
}

/* The first answer of a stream of requests is taken; the stream is not read on. */
static void streams(void **state)
{
	struct rpc_calls *calls = rpc_calls_new();
	const struct pb_method *info =
		pb_find_method(&GRPC_REFLECTION_V1_SERVER_REFLECTION_TABLE, "ServerReflectionInfo");
	struct pb_method nobody = {"Watch", "/no.Body/Watch", info->in, info->out, true, true, NULL, 0};
	GrpcReflectionV1ServerReflectionRequest ask = GRPC_REFLECTION_V1_SERVER_REFLECTION_REQUEST_INIT;
	const void *list[] = {&ask, &ask, &ask};
	struct one o;

	(void)state;
	ask.message_request_case = GRPC_REFLECTION_V1_SERVER_REFLECTION_REQUEST_MESSAGE_REQUEST_LIST_SERVICES;
	ask.list_services = "*";
	begin(calls, w->channel, &o, info, list, 3, 20 * SECOND);
	sem_wait(&o.done);
	assert_int_equal(o.code, OK);
	GrpcReflectionV1ServerReflectionResponse *out = o.message;
	assert_int_equal(out->list_services_response->n_service, 5);
	end(&o);
	begin(calls, w->channel, &o, &nobody, list, 3, 20 * SECOND);
	sem_wait(&o.done);
	assert_int_equal(o.code, UNIMPLEMENTED);
	end(&o);
	rpc_calls_free(calls);
}

static void says_who_cannot_be_reached(void **state)
{
	auto_free(rpc_channel_free) struct rpc_channel *c = rpc_channel_new(&(struct rpc_channel_options){
		.target = "127.0.0.1:1", .name = "nobody", .tls = true, .roots_file = "/no/such/file"});
	struct rpc_calls *calls = rpc_calls_new();
	AdminGetVersionRequest in = ADMIN_GET_VERSION_REQUEST_INIT;
	const void *list[] = {&in};
	struct one o;

	(void)state;
	begin(calls, c, &o, admin("GetVersion"), list, 1, 20 * SECOND);
	sem_wait(&o.done);
	assert_int_equal(o.code, UNAVAILABLE);
	assert_non_null(strstr(o.err.text, "cannot reach nobody at 127.0.0.1:1"));
	end(&o);
	rpc_calls_free(calls);
}

/* All are answered before it is gone, and what comes later as well. */
static void cancels(void **state)
{
	struct rpc_calls *calls = rpc_calls_new();
	AdminGetDomainRequest in = ADMIN_GET_DOMAIN_REQUEST_INIT;
	const void *list[] = {&in};
	struct one many[9];

	(void)state;
	atomic_store(&w->closed, true);
	for (size_t i = 0; i < 8; i++)
		begin(calls, w->channel, &many[i], admin("GetDomains"), list, 1, INT64_MAX);
	wait_inside(w, 4);
	rpc_calls_cancel(calls);
	begin(calls, w->channel, &many[8], admin("GetDomains"), list, 1, INT64_MAX);
	rpc_calls_free(calls);
	for (size_t i = 0; i < 9; i++) {
		assert_int_equal(sem_trywait(&many[i].done), 0);
		assert_int_equal(many[i].code, CANCELLED);
		end(&many[i]);
	}
	atomic_store(&w->closed, false);
}

static int start(void **state)
{
	(void)state;
	w = world_new((struct rpc_server_options){.workers = 4});
	return 0;
}

static int stop(void **state)
{
	(void)state;
	world_free(w);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_and_fails),          cmocka_unit_test(hangs_alone), cmocka_unit_test(streams),
		cmocka_unit_test(says_who_cannot_be_reached), cmocka_unit_test(cancels),
	};

	log_set_level(LOG_ERROR + 1);
	return cmocka_run_group_tests_name("rpc async", tests, start, stop);
}

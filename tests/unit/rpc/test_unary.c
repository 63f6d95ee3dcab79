/* Unary calls between our client and our server. */
#include "fixture.h"

static struct world *w;

static int start(void **state)
{
	(void)state;
	w = world_new((struct rpc_server_options){.max_receive_bytes = 1 << 20});
	return 0;
}

static int stop(void **state)
{
	(void)state;
	world_free(w);
	return 0;
}

static enum code call(const char *method, const void *in, void *ret, struct err *err)
{
	return rpc_call(w->channel, admin(method), in, 20 * SECOND, w->arena, ret, err);
}

static void answers(void **state)
{
	AdminGetVersionRequest in = ADMIN_GET_VERSION_REQUEST_INIT;
	AdminGetVersionResponse *out;
	struct err err;

	(void)state;
	assert_code(OK, &err, call("GetVersion", &in, &out, &err));
	assert_string_equal(out->control_plane_version->version, "none");
	assert_string_equal(out->control_plane_version->build, w->target);
	assert_memory_equal(out->control_plane_version->buildtime, "ipv4:127.0.0.1:", 15);
}

static void sends_credentials(void **state)
{
	auto_free(rpc_channel_free) struct rpc_channel *c = rpc_channel_new(&(struct rpc_channel_options){
		.target = w->target, .credentials = word_credentials, .credentials_arg = (char *)"Bearer of news"});
	AdminGetVersionRequest in = ADMIN_GET_VERSION_REQUEST_INIT;
	AdminGetVersionResponse *out;
	struct err err;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_code(OK, &err, rpc_call(c, admin("GetVersion"), &in, INT64_MAX, w->arena, (void **)&out, &err));
		assert_string_equal(out->control_plane_version->version, "Bearer of news");
	}
}

static void gives_every_code_and_text(void **state)
{
	AdminProjectGetRequest in = ADMIN_PROJECT_GET_REQUEST_INIT;
	AdminProject *out;
	struct err err;

	(void)state;
	for (int code = 1; code <= 16; code++) {
		char id[16], text[100];
		enum code expected = code == UNKNOWN           ? INTERNAL
				     : code == UNAUTHENTICATED ? PERMISSION_DENIED
							       : (enum code)code;

		snprintf(id, sizeof id, "%d", code);
		snprintf(text, sizeof text, "project %d: 100%% größer\nline two", code);
		in.id = id;
		assert_code(expected, &err, call("GetProject", &in, &out, &err));
		assert_int_equal(err.code, expected);
		assert_string_equal(err.text, text);
	}
	in.id = (char *)"fine";
	assert_code(OK, &err, call("GetProject", &in, &out, &err));
	assert_string_equal(out->id, "fine");
}

/* Percent-encoded, it would not fit into what clients take as metadata. */
static void cuts_a_long_text_at_a_character(void **state)
{
	AdminProjectGetRequest in = ADMIN_PROJECT_GET_REQUEST_INIT;
	AdminProject *out;
	struct err err;

	(void)state;
	in.id = (char *)"LONG";
	assert_code(NOT_FOUND, &err, call("GetProject", &in, &out, &err));
	assert_in_range(strlen(err.text), 2000, 2100);
	assert_true(utf8_valid(err.text, strlen(err.text)));
	assert_true(str_ends(str_of(err.text), "ü…"));
}

static void refuses_the_unknown(void **state)
{
	struct pb_method no_method = {"GetCake",
				      "/flyteidl.service.AdminService/GetCake",
				      ADMIN_GET_VERSION_REQUEST_DESC,
				      ADMIN_VERSION_DESC,
				      false,
				      false,
				      NULL,
				      0};
	struct pb_method no_service = {
		"Get", "/bakery.Cakes/Get", ADMIN_GET_VERSION_REQUEST_DESC, ADMIN_VERSION_DESC, false, false, NULL, 0};
	AdminGetVersionRequest in = ADMIN_GET_VERSION_REQUEST_INIT;
	struct err err;
	void *out;

	(void)state;
	assert_code(UNIMPLEMENTED, &err, rpc_call(w->channel, &no_method, &in, 20 * SECOND, w->arena, &out, &err));
	assert_string_equal(err.text, "unknown method GetCake of service flyteidl.service.AdminService");
	assert_code(UNIMPLEMENTED, &err, rpc_call(w->channel, &no_service, &in, 20 * SECOND, w->arena, &out, &err));
	assert_string_equal(err.text, "unknown service: /bakery.Cakes/Get is not served here");
	assert_code(UNIMPLEMENTED, &err, call("CreateTask", &in, &out, &err));
	assert_string_equal(err.text, "/flyteidl.service.AdminService/CreateTask is not implemented");
}

static void takes_large_answers(void **state)
{
	AdminProjectListRequest in = ADMIN_PROJECT_LIST_REQUEST_INIT;
	AdminProjects *out;
	struct err err;

	(void)state;
	in.limit = 30 << 20;
	assert_code(OK, &err, call("ListProjects", &in, &out, &err));
	assert_int_equal(strlen(out->projects[0]->description), 30 << 20);
	in.limit = 65 << 20;
	assert_code(RESOURCE_EXHAUSTED, &err, call("ListProjects", &in, &out, &err));
	assert_non_null(strstr(err.text, "larger than max"));
	assert_false(rpc_may_pass(RESOURCE_EXHAUSTED, &err));
}

static void bounds_requests(void **state)
{
	AdminExecutionCreateRequest in = ADMIN_EXECUTION_CREATE_REQUEST_INIT;
	AdminExecutionCreateResponse *out;
	auto_mem char *name = x_calloc(1, (2 << 20) + 1);
	struct err err;

	(void)state;
	in.name = name;
	memset(name, 'n', 1 << 20);
	assert_code(RESOURCE_EXHAUSTED, &err, call("CreateExecution", &in, &out, &err));
	assert_non_null(strstr(err.text, "larger than max"));
	assert_false(rpc_may_pass(RESOURCE_EXHAUSTED, &err));
	name[(1 << 20) - 10] = '\0';
	assert_code(OK, &err, call("CreateExecution", &in, &out, &err));
	assert_string_equal(out->id->name, "1048566");
}

/* ---- bytes that no honest client sends: an empty message whose "unknown" field is what we like ---- */

static enum code send_raw(const char *method, uint32_t tag, ProtobufCWireType type, struct str bytes, struct err *err)
{
	AdminGetVersionRequest in = ADMIN_GET_VERSION_REQUEST_INIT;
	ProtobufCMessageUnknownField field = {tag, type, bytes.len, (uint8_t *)bytes.ptr};
	void *out;

	in.base.n_unknown_fields = 1;
	in.base.unknown_fields = &field;
	return call(method, &in, &out, err);
}

static void add_varint(struct buf *b, size_t v)
{
	for (; v >= 0x80; v >>= 7)
		buf_addc(b, (char)(v | 0x80));
	buf_addc(b, (char)v);
}

static void wrap(struct buf *ret, char tag)
{
	struct buf outer = {0};

	buf_addc(&outer, tag);
	add_varint(&outer, ret->len);
	buf_add_str(&outer, buf_str(ret));
	buf_clear(ret);
	*ret = outer;
}

/* inputs { literals { value { collection { literals { collection { literals … */
static enum code send_nested(int levels, struct err *err)
{
	auto_buf struct buf inner = {0};
	auto_buf struct buf bytes = {0};

	for (int i = 0; i < levels; i++) {
		wrap(&inner, 0x0a);
		wrap(&inner, 0x12);
	}
	wrap(&inner, 0x12);
	wrap(&inner, 0x0a);
	add_varint(&bytes, inner.len);
	buf_add_str(&bytes, buf_str(&inner));
	return send_raw("CreateExecution", 5, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, buf_str(&bytes), err);
}

static void guards_against_depth(void **state)
{
	struct err err;

	(void)state;
	assert_code(OK, &err, send_nested(40, &err));
	assert_code(INVALID_ARGUMENT, &err, send_nested(5000, &err));
	assert_true(strlen(err.text) > 0);
}

static void guards_against_garbage(void **state)
{
	static const struct {
		uint32_t tag;
		ProtobufCWireType type;
		struct str bytes;
	} bad[] = {
		{3, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, {"\x20too short", 10}},
		{3, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, {"\x03n\0n", 4}},
		{3, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, {"\x02\xc0\x80", 3}},
		{3, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11}},
		{4, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, {"\x03\xff\xff\xff", 4}},
		{9, PROTOBUF_C_WIRE_TYPE_32BIT, {"\x01", 1}},
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		err.text[0] = '\0';
		assert_code(INVALID_ARGUMENT, &err,
			    send_raw("CreateExecution", bad[i].tag, bad[i].type, bad[i].bytes, &err));
		assert_true(strlen(err.text) > 0);
	}
	assert_code(
		OK, &err,
		send_raw("CreateExecution", 3, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, (struct str){"\x02ok", 3}, &err));
}

static void keeps_deadlines(void **state)
{
	AdminGetVersionRequest in = ADMIN_GET_VERSION_REQUEST_INIT;
	int64_t begin = time_mono_us();
	struct err err;
	void *out;

	(void)state;
	atomic_store(&w->closed, true);
	assert_code(DEADLINE_EXCEEDED, &err,
		    rpc_call(w->channel, admin("GetDomains"), &in, SECOND / 5, w->arena, &out, &err));
	assert_string_equal(err.text, "/flyteidl.service.AdminService/GetDomains: no answer from admin in time");
	assert_in_range(time_mono_us() - begin, SECOND / 5, 60 * SECOND);
	atomic_store(&w->closed, false);
	assert_code(OK, &err, call("GetDomains", &in, &out, &err));
}

static void says_who_cannot_be_reached(void **state)
{
	auto_free(rpc_channel_free) struct rpc_channel *c =
		rpc_channel_new(&(struct rpc_channel_options){.target = "127.0.0.1:1", .name = "admin"});
	AdminGetVersionRequest in = ADMIN_GET_VERSION_REQUEST_INIT;
	struct err err;
	void *out;

	(void)state;
	assert_code(UNAVAILABLE, &err, rpc_call(c, admin("GetVersion"), &in, 20 * SECOND, w->arena, &out, &err));
	assert_true(str_starts(str_of(err.text), "cannot reach admin at 127.0.0.1:1: "));
	assert_non_null(strstr(err.text, "refused"));
}

static void says_why_it_cannot_listen(void **state)
{
	struct rpc_server *s = NULL;
	struct err err;

	(void)state;
	assert_int_equal(rpc_server_new(&(struct rpc_server_options){.listen = w->target, .api = w->api}, &s, &err),
			 UNAVAILABLE);
	assert_non_null(strstr(err.text, w->target));
	assert_non_null(strstr(err.text, "Address already in use"));
	assert_null(s);
}

/* ---- many at once ---- */

static void *call_often(void *arg)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	AdminProjectListRequest in = ADMIN_PROJECT_LIST_REQUEST_INIT;
	size_t *wrong = arg;

	for (uint32_t i = 0; i < 200; i++) {
		char token[32];
		AdminProjects *out;

		snprintf(token, sizeof token, "%p-%u", arg, i);
		in.token = token;
		in.limit = i * 101;
		if (rpc_call(w->channel, admin("ListProjects"), &in, 30 * SECOND, a, (void **)&out, NULL) != OK ||
		    strcmp(out->projects[0]->id, token) != 0 || strlen(out->projects[0]->description) != in.limit)
			++*wrong;
		arena_reset(a);
	}
	return NULL;
}

static void serves_many_threads(void **state)
{
	pthread_t threads[16];
	size_t wrong[16] = {0};

	(void)state;
	for (size_t i = 0; i < 16; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, call_often, &wrong[i]), 0);
	for (size_t i = 0; i < 16; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(wrong[i], 0);
	}
}

/* ---- a server that ends ---- */

struct caller {
	struct world *world;
	pthread_t thread;
	enum code code;
	struct err err;
};

static void *call_until_it_ends(void *arg)
{
	struct caller *c = arg;
	auto_free(arena_free) struct arena *a = arena_new(0);
	AdminGetVersionRequest in = ADMIN_GET_VERSION_REQUEST_INIT;
	void *out;

	while (!(c->code = rpc_call(c->world->channel, admin("GetVersion"), &in, 20 * SECOND, a, &out, &c->err)))
		arena_reset(a);
	return NULL;
}

/* Some are cancelled by libgrpc, whose server has no other word for calls that cross its goodbye. */
static void who_calls_when_it_ends_may_call_again(void **state)
{
	struct caller callers[8];

	(void)state;
	for (int round = 0; round < 20; round++) {
		struct world *ending = world_new((struct rpc_server_options){0});
		for (size_t i = 0; i < ARRAY_SIZE(callers); i++) {
			callers[i].world = ending;
			pthread_create(&callers[i].thread, NULL, call_until_it_ends, &callers[i]);
		}
		usleep(5000);
		world_stop(ending, SECOND);
		for (size_t i = 0; i < ARRAY_SIZE(callers); i++) {
			pthread_join(callers[i].thread, NULL);
			assert_true(rpc_may_pass(callers[i].code, &callers[i].err));
		}
		world_free(ending);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(sends_credentials),
		cmocka_unit_test(gives_every_code_and_text),
		cmocka_unit_test(cuts_a_long_text_at_a_character),
		cmocka_unit_test(refuses_the_unknown),
		cmocka_unit_test(takes_large_answers),
		cmocka_unit_test(bounds_requests),
		cmocka_unit_test(guards_against_depth),
		cmocka_unit_test(guards_against_garbage),
		cmocka_unit_test(keeps_deadlines),
		cmocka_unit_test(says_who_cannot_be_reached),
		cmocka_unit_test(says_why_it_cannot_listen),
		cmocka_unit_test(serves_many_threads),
		cmocka_unit_test(who_calls_when_it_ends_may_call_again),
	};

	log_set_level(LOG_ERROR + 1);
	return cmocka_run_group_tests_name("rpc unary", tests, start, stop);
}

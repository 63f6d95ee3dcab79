/* Calls that gather while the workers of their method are at others, and are then taken together. */
#include "fixture.h"

#include "base/queue.h"

enum { BUSY = 2, FAST = 2, MANY = 50 }; /* a method's workers, those of all others */

static struct world *w;
static struct rpc_calls *calls;
static struct one busy[BUSY], ones[MANY];

static int start(void **state)
{
	(void)state;
	w = world_new((struct rpc_server_options){.workers = FAST});
	calls = rpc_calls_new();
	return 0;
}

static int stop(void **state)
{
	(void)state;
	atomic_store(&w->closed, false);
	rpc_calls_free(calls);
	world_free(w);
	return 0;
}

static void ask(struct rpc_calls *with, struct one *o, const char *project, const char *name, const char *version,
		int64_t timeout_us)
{
	CoreIdentifier id = CORE_IDENTIFIER_INIT;
	AdminObjectGetRequest in = ADMIN_OBJECT_GET_REQUEST_INIT;
	const void *list[] = {&in};

	id.project = (char *)project;
	id.name = (char *)name;
	id.version = (char *)version;
	in.id = &id;
	begin(with, w->channel, o, admin("GetTask"), list, 1, timeout_us);
}

/* An id that ends before its first field does. */
static void ask_nonsense(struct one *o)
{
	AdminObjectGetRequest in = ADMIN_OBJECT_GET_REQUEST_INIT;
	const void *list[] = {&in};
	char bytes[] = "\x02\x12\x7f";
	ProtobufCMessageUnknownField field = {1, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, 3, (uint8_t *)bytes};

	in.base.n_unknown_fields = 1;
	in.base.unknown_fields = &field;
	begin(calls, w->channel, o, admin("GetTask"), list, 1, 20 * SECOND);
}

/* Two calls that hold the method's workers at the gate. */
static void hold_workers(void)
{
	atomic_store(&w->closed, true);
	for (int i = 0; i < BUSY; i++) {
		ask(calls, &busy[i], "busy", "", "", INT64_MAX);
		wait_inside(w, i + 1);
	}
}

static void add_depth(struct queue *q, void *arg)
{
	if (strcmp(queue_name(q), "rpc calls taken together") == 0)
		*(size_t *)arg += queue_depth(q);
}

static void wait_gathered(size_t n)
{
	for (int i = 0;; i++) {
		size_t depth = 0;

		queue_each(add_depth, &depth);
		if (depth == n)
			return;
		assert_true(i < 20000);
		usleep(1000);
	}
}

static void assert_answered(struct one *o, const char *name, const char *version)
{
	sem_wait(&o->done);
	assert_code(OK, &o->err, o->code);
	const AdminTask *task = o->message;
	assert_string_equal(task->id->name, name);
	assert_string_equal(task->id->version, version);
	end(o);
}

static void assert_failed(struct one *o, enum code code, const char *text)
{
	sem_wait(&o->done);
	assert_int_equal(o->code, code);
	if (text)
		assert_string_equal(o->err.text, text);
	end(o);
}

static void open_gate(void)
{
	atomic_store(&w->closed, false);
	for (int i = 0; i < BUSY; i++)
		assert_answered(&busy[i], "busy", "0");
}

/* ---- answers ---- */

/* Every fifth fails, and one is no message at all. */
static void each_has_its_own_answer(void **state)
{
	char text[64], project[MANY][16];

	(void)state;
	hold_workers();
	for (int i = 0; i < MANY; i++) {
		snprintf(project[i], sizeof project[i], "p%d", i);
		if (i == 21)
			ask_nonsense(&ones[i]);
		else
			ask(calls, &ones[i], project[i], project[i], i % 5 ? "" : i % 2 ? "5" : "9", 20 * SECOND);
	}
	wait_gathered(MANY);
	open_gate();
	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof text, "no task %s", project[i]);
		if (i == 21)
			assert_failed(&ones[i], INVALID_ARGUMENT, NULL);
		else if (i % 5 == 0)
			assert_failed(&ones[i], i % 2 ? NOT_FOUND : FAILED_PRECONDITION, text);
		else
			assert_answered(&ones[i], project[i], i < 10 ? "2" : "3");
	}
	assert_int_equal(atomic_load(&w->together), BUSY + MANY - 1);
	assert_int_equal(atomic_load(&w->batches), BUSY + 2);
	assert_in_range(atomic_load(&w->largest), API_TOGETHER - 1, API_TOGETHER);
}

static void nonsense_alone(void **state)
{
	(void)state;
	ask_nonsense(&ones[0]);
	assert_failed(&ones[0], INVALID_ARGUMENT, NULL);
	assert_int_equal(atomic_load(&w->batches), 0);
	ask(calls, &ones[0], "p", "", "", 20 * SECOND);
	assert_answered(&ones[0], "p", "0");
}

/* It is answered, and gone, while those after it are still to be run. */
static void nonsense_first(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		hold_workers();
		ask_nonsense(&ones[0]);
		wait_gathered(1);
		for (int i = 1; i < API_TOGETHER; i++)
			ask(calls, &ones[i], "p", "", "", 20 * SECOND);
		wait_gathered(API_TOGETHER);
		open_gate();
		assert_failed(&ones[0], INVALID_ARGUMENT, NULL);
		for (int i = 1; i < API_TOGETHER; i++) {
			sem_wait(&ones[i].done);
			assert_code(OK, &ones[i].err, ones[i].code);
			end(&ones[i]);
		}
	}
}

/* Others are not held up by calls that wait in their lane. */
static void other_methods_go_on(void **state)
{
	AdminGetVersionRequest in = ADMIN_GET_VERSION_REQUEST_INIT;
	struct err err;
	void *out;

	(void)state;
	hold_workers();
	for (int i = 0; i < MANY; i++)
		ask(calls, &ones[i], "p", "", "", 20 * SECOND);
	wait_gathered(MANY);
	assert_code(OK, &err, rpc_call(w->channel, admin("GetVersion"), &in, 20 * SECOND, w->arena, &out, &err));
	open_gate();
	for (int i = 0; i < MANY; i++)
		assert_answered(&ones[i], "p", "0");
}

/* ---- large ones ---- */

static char name[100 << 10];

static void ask_large(struct one *o, size_t bytes)
{
	memset(name, 'n', bytes);
	name[bytes] = '\0';
	ask(calls, o, "large", name, "", 20 * SECOND);
}

static void what_gathers_is_bounded_in_bytes(void **state)
{
	(void)state;
	hold_workers();
	for (int i = 0; i < 6; i++)
		ask_large(&ones[i], 63 << 10);
	wait_gathered(6);
	open_gate();
	for (int i = 0; i < 6; i++)
		assert_answered(&ones[i], "large", "64512");
	assert_int_equal(atomic_load(&w->largest), 6);
}

/* It is run by other workers: at once, while small ones wait, and by itself. */
static void large_ones_do_not_gather(void **state)
{
	(void)state;
	hold_workers();
	for (int i = 0; i < 10; i++)
		ask(calls, &ones[i], "small", "", "", 20 * SECOND);
	wait_gathered(10);
	for (int i = 10; i < 13; i++)
		ask_large(&ones[i], 65 << 10);
	wait_inside(w, BUSY + FAST);
	wait_gathered(10);
	open_gate();
	for (int i = 0; i < 10; i++)
		assert_answered(&ones[i], "small", "0");
	for (int i = 10; i < 13; i++)
		assert_answered(&ones[i], "large", "66560");
	assert_int_equal(atomic_load(&w->batches), BUSY + 3 + 1);
	assert_int_equal(atomic_load(&w->largest), 10);
}

/* ---- clients that are gone, and a server that goes ---- */

static void clients_may_go(void **state)
{
	struct rpc_calls *impatient = rpc_calls_new();

	(void)state;
	hold_workers();
	for (int i = 0; i < MANY; i++)
		ask(i % 2 ? impatient : calls, &ones[i], "p", "", "", 20 * SECOND);
	wait_gathered(MANY);
	rpc_calls_cancel(impatient);
	open_gate();
	for (int i = 0; i < MANY; i++)
		if (i % 2)
			assert_failed(&ones[i], CANCELLED, NULL);
		else
			assert_answered(&ones[i], "p", "0");
	rpc_calls_free(impatient);
}

/* Who has given up meanwhile is not looked for. */
static void a_deadline_may_pass_in_the_lane(void **state)
{
	const int64_t patience_us = 3 * SECOND;

	(void)state;
	hold_workers();
	for (int i = 0; i < 10; i++)
		ask(calls, &ones[i], "p", "", "", i % 2 ? patience_us : 60 * SECOND);
	wait_gathered(10);
	/* The server counts from the arrival on, and gRPC rounds up what it is told. */
	int64_t until_us = time_mono_us() + patience_us + SECOND / 3;
	for (int i = 1; i < 10; i += 2)
		assert_failed(&ones[i], DEADLINE_EXCEEDED, NULL);
	while (time_mono_us() < until_us)
		usleep(10000);
	open_gate();
	for (int i = 0; i < 10; i += 2)
		assert_answered(&ones[i], "p", "0");
	assert_int_equal(atomic_load(&w->together), BUSY + 5);
}

static void *open_gate_later(void *arg)
{
	usleep(200000);
	atomic_store(&w->closed, false);
	return arg;
}

/* When the server has given up those that it runs. */
static void *open_gate_at_last(void *arg)
{
	for (int i = 0; i < BUSY; i++) {
		sem_wait(&busy[i].done);
		sem_post(&busy[i].done);
	}
	atomic_store(&w->closed, false);
	return arg;
}

static void stop_meanwhile(int64_t grace_us, void *(*open)(void *arg))
{
	pthread_t opener;

	hold_workers();
	for (int i = 0; i < MANY; i++)
		ask(calls, &ones[i], "p", "", "", INT64_MAX);
	wait_gathered(MANY);
	pthread_create(&opener, NULL, open, NULL);
	world_stop(w, grace_us);
	pthread_join(opener, NULL);
}

static void a_drain_lets_them_finish(void **state)
{
	(void)state;
	stop_meanwhile(60 * SECOND, open_gate_later);
	for (int i = 0; i < MANY; i++)
		assert_answered(&ones[i], "p", "0");
	open_gate();
}

static void after_the_grace_none_is_run(void **state)
{
	(void)state;
	stop_meanwhile(SECOND / 20, open_gate_at_last);
	for (int i = 0; i < BUSY + MANY; i++) {
		struct one *o = i < BUSY ? &busy[i] : &ones[i - BUSY];
		sem_wait(&o->done);
		assert_true(o->code == UNAVAILABLE || o->code == CANCELLED);
		end(o);
	}
	assert_int_equal(atomic_load(&w->together), BUSY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_has_its_own_answer, start, stop),
		cmocka_unit_test_setup_teardown(nonsense_alone, start, stop),
		cmocka_unit_test_setup_teardown(nonsense_first, start, stop),
		cmocka_unit_test_setup_teardown(other_methods_go_on, start, stop),
		cmocka_unit_test_setup_teardown(what_gathers_is_bounded_in_bytes, start, stop),
		cmocka_unit_test_setup_teardown(large_ones_do_not_gather, start, stop),
		cmocka_unit_test_setup_teardown(clients_may_go, start, stop),
		cmocka_unit_test_setup_teardown(a_deadline_may_pass_in_the_lane, start, stop),
		cmocka_unit_test_setup_teardown(a_drain_lets_them_finish, start, stop),
		cmocka_unit_test_setup_teardown(after_the_grace_none_is_run, start, stop),
	};

	log_set_level(LOG_ERROR + 1);
	return cmocka_run_group_tests_name("rpc together", tests, NULL, NULL);
}

/* The launcher with an admin that is not there, or says what it is told to, and a store that has no descriptors for a
 * while. */
#include "launcher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/api.h"
#include "base/base.h"
#include "descriptors.h"
#include "flyteidl/admin/execution.h"
#include "flyteidl/service/admin.h"
#include "pb/pb.h"

static struct {
	char dir[32];
	struct arena *a;
	struct executor_host host;
	struct rpc_channel *admin;
	struct launcher *launcher;
	struct child child;
	struct value_ref input;
	_Atomic int told;
	struct api *api; /* of our own admin */
	struct rpc_server *server;
	_Atomic int creates, aborts;
} t;

static void feed(void *arg, const AlulaInput *in)
{
	(void)arg;
	(void)in;
	atomic_fetch_add(&t.told, 1);
}

static void open_with(const char *admin)
{
	struct store_options store = {.type = "file", .root = t.dir};
	struct err err;

	strcpy(t.dir, "/tmp/alula-launch-XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	t.a = arena_new(0);
	t.host = (struct executor_host){.loop = loop_new("test"), .metrics = metrics_new(), .feed = feed};
	assert_int_equal(store_new(&store, &t.host.store, &err), OK);
	t.admin = rpc_channel_new(&(struct rpc_channel_options){.target = admin, .name = "admin"});
	t.launcher = launcher_new(&t.host, t.admin, 65536);
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof t);
	open_with("127.0.0.1:1");
	return 0;
}

/* The answer to a create gets lost, and the child is there only when it is aborted for the third time. */
static enum code create(struct request *rq, const AdminExecutionCreateRequest *in, AdminExecutionCreateResponse *ret,
			struct err *err)
{
	(void)rq, (void)in, (void)ret;
	atomic_fetch_add(&t.creates, 1);
	return err_set(err, UNAVAILABLE, "lost");
}
API_THUNK(create)

static enum code terminate(struct request *rq, const AdminExecutionTerminateRequest *in,
			   AdminExecutionTerminateResponse *ret, struct err *err)
{
	(void)rq, (void)in, (void)ret;
	return atomic_fetch_add(&t.aborts, 1) < 2 ? err_set(err, NOT_FOUND, "not yet") : OK;
}
API_THUNK(terminate)

static const struct api_binding BINDINGS[] = {
	{"CreateExecution", create_api},
	{"TerminateExecution", terminate_api},
	{0},
};

static int setup_slow_admin(void **state)
{
	char target[32];
	struct err err;

	(void)state;
	memset(&t, 0, sizeof t);
	t.api = api_new(&(struct api_options){0});
	api_bind(t.api, &ADMIN_SERVICE_TABLE, BINDINGS);
	struct rpc_server_options options = {.listen = "127.0.0.1:0", .api = t.api};
	assert_int_equal(rpc_server_new(&options, &t.server, &err), OK);
	snprintf(target, sizeof target, "127.0.0.1:%d", rpc_server_port(t.server));
	open_with(target);
	return 0;
}

static int teardown(void **state)
{
	auto_mem char *remove = x_printf("rm -rf %s", t.dir);

	(void)state;
	store_stop(t.host.store);
	launcher_free(t.launcher);
	rpc_channel_free(t.admin);
	rpc_server_stop(t.server, 0);
	api_free(t.api);
	store_free(t.host.store);
	loop_free(t.host.loop);
	metrics_free(t.host.metrics);
	arena_free(t.a);
	return system(remove);
}

/* A child whose input lies in a file. */
static void make_child(void)
{
	const char *uri = arena_printf(t.a, "%s/outputs.pb", t.dir);
	AlulaCommand *command = pb_new(t.a, ALULA_COMMAND_DESC);
	struct err err;

	assert_int_equal(store_put(t.host.store, uri, STR(""), &err), OK);
	command->id = pb_new(t.a, CORE_WORKFLOW_EXECUTION_IDENTIFIER_DESC);
	command->start = pb_new(t.a, ALULA_START_EXECUTION_DESC);
	t.input = (struct value_ref){.var = "x", .kind = VALUE_STORED, .uri = uri, .uri_var = ""};
	t.child = (struct child){
		.id = CORE_WORKFLOW_EXECUTION_IDENTIFIER_INIT,
		.launch_plan = pb_new(t.a, CORE_IDENTIFIER_DESC),
		.parent_node_id = "n0",
		.command = command,
		.inputs = &t.input,
		.n_inputs = 1,
	};
	t.child.id.name = "child";
}

static void end_loop(void *arg)
{
	(void)arg;
	loop_stop(t.host.loop);
}

static void inputs_wait_for_the_store(void **state)
{
	struct loop_timer *enough = loop_timer_new(t.host.loop, "enough", allow_descriptors, ENOUGH_DESCRIPTORS);
	struct loop_timer *over = loop_timer_new(t.host.loop, "end", end_loop, NULL);

	(void)state;
	make_child();
	loop_timer_set(enough, 300000);
	loop_timer_set(over, 1000000);
	allow_no_more_descriptors();
	launcher_launch(t.launcher, (struct attempt_id){1, 2, 0}, &t.child);
	loop_run(t.host.loop);
	/* Admin is asked, and asked again. */
	assert_int_equal(atomic_load(&t.told), 0);
	loop_timer_free(enough);
	loop_timer_free(over);
}

static void a_missing_input_is_told(void **state)
{
	(void)state;
	make_child();
	t.input.uri = arena_printf(t.a, "%s/elsewhere.pb", t.dir);
	launcher_launch(t.launcher, (struct attempt_id){1, 2, 0}, &t.child);
	for (int i = 0; i < 3000 && !atomic_load(&t.told); i++)
		usleep(10000);
	assert_int_equal(atomic_load(&t.told), 1);
}

static void run_for(int64_t us)
{
	struct loop_timer *over = loop_timer_new(t.host.loop, "end", end_loop, NULL);

	loop_timer_set(over, us);
	loop_run(t.host.loop);
	loop_timer_free(over);
}

/* Admin may be at it still, though its answer is not waited for any more. */
static void a_child_that_comes_late_is_aborted(void **state)
{
	(void)state;
	make_child();
	t.child.n_inputs = 0;
	launcher_launch(t.launcher, (struct attempt_id){1, 2, 0}, &t.child);
	for (int i = 0; i < 3000 && !atomic_load(&t.creates); i++)
		usleep(10000);
	usleep(50000);
	launcher_abort(t.launcher, &t.child);
	for (int i = 0; i < 60 && atomic_load(&t.aborts) < 3; i++)
		run_for(500000);
	run_for(500000);
	assert_int_equal(atomic_load(&t.aborts), 3);
	assert_int_equal(atomic_load(&t.told), 0);
}

static void a_child_that_nobody_made_is_aborted_once(void **state)
{
	(void)state;
	make_child();
	launcher_abort(t.launcher, &t.child);
	for (int i = 0; i < 60 && atomic_load(&t.aborts) < 1; i++)
		run_for(500000);
	run_for(500000);
	assert_int_equal(atomic_load(&t.aborts), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(inputs_wait_for_the_store, setup, teardown),
		cmocka_unit_test_setup_teardown(a_missing_input_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(a_child_that_comes_late_is_aborted, setup_slow_admin, teardown),
		cmocka_unit_test_setup_teardown(a_child_that_nobody_made_is_aborted_once, setup_slow_admin, teardown),
	};

	log_set_level(LOG_ERROR + 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

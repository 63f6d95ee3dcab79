/* The production engine thread and acts with executors that do as they are told: fail, hang, lose, answer twice. Only
 * the committer is ours: what it is given counts as committed, and is read here. */
#include "acts.h"
#include "committer.h"
#include "core.h"
#include "engine_inputs.h"

#include <stdlib.h>
#include <unistd.h>

#include "descriptors.h"
#include "plugins.h"

/* ---- what is committed ---- */

static struct {
	struct propeller p;
	struct propeller_config config;
	char dir[32];
	struct buf events;
	size_t commits;
	bool over;
	struct loop_timer *enough;
	struct arena *a;
	struct wf w;
} t;

static void end_loop(void *arg)
{
	(void)arg;
	loop_stop(t.p.loop);
}

/* On the engine's thread, as the real one's is another. */
void committer_push(struct committer *c, struct cycle *cycle)
{
	(void)c;
	vec_each (struct moved *, m, &cycle->moved) {
		AlulaRecord *r = NULL;
		assert_int_equal(pb_unpack_own(ALULA_RECORD_DESC, m->record, t.a, (void **)&r, NULL), OK);
		buf_printf(&t.events, "%s\n", events_text(r, t.a));
		t.commits++;
		t.over |= r->last;
	}
	acts_post(t.p.acts, cycle);
	if (t.over)
		loop_post(t.p.loop, end_loop, NULL);
}

/* ---- the fake executor ---- */

struct executor {
	struct executor_host host;
	char calls[2000]; /* "start 0; event 0; abort 0" */
	size_t commits;   /* when its resource was told */
};

static struct executor *fake;

static void note(const char *what, struct attempt_id id)
{
	size_t n = strlen(fake->calls);

	snprintf(fake->calls + n, sizeof fake->calls - n, "%s%s %u", n ? "; " : "", what, id.attempt);
}

static void tell(AlulaInput *in)
{
	fake->host.feed(fake->host.arg, in);
}

static AlulaInput *outputs(struct attempt_id id, int64_t value)
{
	CoreLiteralMap *out = add_literal(t.a, NULL, "o0", int_literal(t.a, value));

	return finished_with(t.a, id.execution, 0, id.node, id.attempt, out, "");
}

static void run_short_of_descriptors(void)
{
	allow_no_more_descriptors();
	t.enough = loop_timer_new(t.p.loop, "enough", allow_descriptors, ENOUGH_DESCRIPTORS);
	loop_timer_set(t.enough, 400000);
}

static void fake_start(struct executor *x, struct attempt_id id, const struct attempt *a)
{
	const char *type = a->task->type;

	(void)x;
	note("start", id);
	if (strcmp(type, "fails") == 0) {
		tell(failed(t.a, id.execution, 0, id.node, id.attempt, false, false));
	} else if (strcmp(type, "fails-once") == 0 && id.attempt == 0) {
		tell(failed(t.a, id.execution, 0, id.node, id.attempt, true, false));
	} else if (strcmp(type, "loses") == 0 && id.attempt < 2) {
		tell(started(t.a, id.execution, 0, id.node, id.attempt));
		tell(failed(t.a, id.execution, 0, id.node, id.attempt, true, true));
	} else if (strcmp(type, "answers-twice") == 0) {
		tell(started(t.a, id.execution, 0, id.node, id.attempt));
		tell(started(t.a, id.execution, 0, id.node, id.attempt));
		tell(outputs(id, 1));
		tell(failed(t.a, id.execution, 0, id.node, id.attempt, false, false));
		tell(outputs(id, 2));
	} else if (strcmp(type, "runs-short") == 0) {
		if (!t.enough)
			run_short_of_descriptors();
		tell(outputs(id, 7));
	} else if (strcmp(type, "makes") == 0) {
		fake->commits = t.commits;
		tell(resource_made(t.a, id.execution, 0, id.node, id.attempt));
		tell(resource_made(t.a, id.execution, 0, id.node, id.attempt));
	} else if (strcmp(type, "hangs") == 0) {
		AlulaInput *in = resource_made(t.a, id.execution, 0, id.node, id.attempt);
		in->attempt_resource->plugin = "fake";
		tell(in);
	} else {
		tell(outputs(id, 7));
	}
}

static void fake_reattach(struct executor *x, struct attempt_id id, const struct attempt *a, enum attempt_origin origin)
{
	(void)x, (void)a, (void)origin;
	note("reattach", id);
}

/* What was told before is in the journal by now. */
static void fake_event(struct executor *x, struct attempt_id id)
{
	note("event", id);
	if (x->commits) {
		assert_true(t.commits > x->commits);
		tell(outputs(id, 3));
	}
}

static void fake_abort(struct executor *x, struct attempt_id id, const struct attempt_resource *r)
{
	(void)x;
	note(r && str_is(r->meta, "m2.0") ? "abort with its resource" : "abort", id);
}

static void fake_finalise(struct executor *x, int64_t execution)
{
	(void)x;
	note("finalise", (struct attempt_id){execution, 0, 0});
}

static bool fake_takes(struct executor *x, const CoreTaskTemplate *task)
{
	(void)x;
	return strcmp(task->type, "nobody-s") != 0;
}

static void fake_close(struct executor *x)
{
	free(x);
	fake = NULL;
}

static enum code fake_open(const struct executor_host *host, const void *config, struct executor **ret, struct err *err)
{
	(void)config, (void)err;
	*ret = fake = x_calloc(1, sizeof *fake);
	fake->host = *host;
	return OK;
}

static const char *const FAKES[] = {"fake", NULL};
static const struct executor_kind FAKE = {"fake",        FAKES,      fake_open,  fake_takes,    fake_start,
					  fake_reattach, fake_event, fake_abort, fake_finalise, fake_close};
static const struct executor_kind *const KINDS[] = {&FAKE, NULL};

/* ---- one test ---- */

static int setup_with(int64_t inline_bytes)
{
	static const char *const NO_TYPES[] = {NULL};
	struct store_options store = {.type = "file", .root = t.dir};
	struct err err;

	memset(&t, 0, sizeof t);
	strcpy(t.dir, "/tmp/alula-acts-XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	t.a = arena_new(0);
	t.w = wf_new(t.a);
	t.config.echo_types.at = (const char **)NO_TYPES;
	t.config.max_system_retries = 3;
	t.config.default_max_attempts = 1;
	t.config.engine_queue = 100;
	t.config.inline_bytes = inline_bytes;
	t.config.max_output_bytes = 65536;
	t.config.admin_endpoint = "127.0.0.1:1";
	t.config.catalog_type = "noop";
	t.config.connectors.endpoint = "";
	t.p.config = &t.config;
	t.p.executors = KINDS;
	t.p.name = "p";
	t.p.metadata_root = t.dir;
	t.p.metrics = metrics_new();
	t.p.loop = loop_new("test");
	assert_int_equal(store_new(&store, &t.p.store, &err), OK);
	t.p.acts = acts_new(&t.p);
	t.p.core = core_new(&t.p);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_with(65536);
}

static int setup_storing(void **state)
{
	(void)state;
	return setup_with(1);
}

static int teardown(void **state)
{
	auto_mem char *remove = x_printf("rm -rf %s", t.dir);

	(void)state;
	core_stop(t.p.core);
	store_stop(t.p.store);
	acts_free(t.p.acts);
	core_free(t.p.core);
	store_free(t.p.store);
	loop_timer_free(t.enough);
	loop_free(t.p.loop);
	metrics_free(t.p.metrics);
	buf_clear(&t.events);
	arena_free(t.a);
	return system(remove);
}

static CoreTaskTemplate *task_of_type(const char *type)
{
	CoreTaskTemplate *task = wf_task(&t.w, type, 0, 1);

	wf_node_new(&t.w, "n0", task);
	wf_output(&t.w, "y", promise(t.a, "n0", "o0"));
	return task;
}

/* To its end; gives all events. */
static const char *run_input(const AlulaInput *in)
{
	struct err err;

	if (acts_open(t.p.acts, &err) != OK)
		fail_msg("%s", err.text);
	core_start(t.p.core);
	core_feed(t.p.core, in);
	alarm(60);
	loop_run(t.p.loop);
	alarm(0);
	return buf_text(&t.events);
}

static const char *run(void)
{
	return run_input(accepted(&t.w, 1));
}

#define assert_has(text, part)                                                                                         \
	do {                                                                                                           \
		if (!strstr((text), (part)))                                                                           \
			fail_msg("no \"%s\" in:\n%s", (part), (text));                                                 \
	} while (0)

static void test_runs(void **state)
{
	(void)state;
	task_of_type("works");
	assert_has(run(), "T n0 0 SUCCEEDED\nN n0 SUCCEEDED");
	assert_string_equal(fake->calls, "start 0; finalise 0");
}

static void test_fails(void **state)
{
	(void)state;
	task_of_type("fails");
	assert_has(run(), "T n0 0 FAILED {USER Boom: it broke}\nN n0 FAILED");
	assert_has(buf_text(&t.events), "W FAILED");
}

static void test_fails_once(void **state)
{
	CoreTaskTemplate *task = task_of_type("fails-once");

	(void)state;
	task->metadata->retries = pb_new(t.a, CORE_RETRY_STRATEGY_DESC);
	task->metadata->retries->retries = 1;
	assert_has(run(), "T n0 1 SUCCEEDED");
	assert_string_equal(fake->calls, "start 0; start 1; finalise 0");
}

static void test_hangs(void **state)
{
	CoreTaskTemplate *task = task_of_type("hangs");

	(void)state;
	task->metadata->timeout = pb_duration(t.a, 200000);
	assert_has(run(), "TimeoutExpired");
	assert_string_equal(fake->calls, "start 0; event 0; abort with its resource 0; finalise 0");
}

static void test_loses_its_result(void **state)
{
	(void)state;
	task_of_type("loses");
	assert_has(run(), "T n0 2 SUCCEEDED");
	assert_string_equal(fake->calls, "start 0; start 1; start 2; finalise 0");
}

static void test_answers_twice(void **state)
{
	(void)state;
	task_of_type("answers-twice");
	const char *events = run();
	assert_has(events, "T n0 0 RUNNING");
	assert_null(strstr(strstr(events, "T n0 0 RUNNING") + 1, "T n0 0 RUNNING"));
	assert_has(events, "T n0 0 SUCCEEDED");
	assert_null(strstr(events, "FAILED"));
}

static void test_its_resource_is_committed_first(void **state)
{
	(void)state;
	task_of_type("makes");
	assert_has(run(), "T n0 0 SUCCEEDED");
	assert_string_equal(fake->calls, "start 0; event 0; finalise 0");
}

static void test_unknown_type(void **state)
{
	(void)state;
	task_of_type("nobody-s");
	assert_has(run(), "SYSTEM UnsupportedTaskType: no plugin defined for Handler type [nobody-s]");
	assert_has(buf_text(&t.events), "tasks.task-plugins.default-for-task-types");
	assert_string_equal(fake->calls, "finalise 0");
}

static void test_outputs_wait_for_the_store(void **state)
{
	(void)state;
	task_of_type("runs-short");
	assert_has(run(), "W SUCCEEDED");
}

/* ---- by configuration ---- */

static void test_default_for_type(void **state)
{
	struct config_pair pair = {"nobody-s", "fake"};

	(void)state;
	t.config.default_plugins = (struct config_map){&pair, 1};
	task_of_type("nobody-s");
	assert_has(run(), "T n0 0 SUCCEEDED");
}

static void test_override(void **state)
{
	struct config_pair pairs[] = {{"p/production/*", "fake"}, {"p/dev*/works", "other"}};

	(void)state;
	t.config.plugin_overrides = (struct config_map){pairs, 2};
	task_of_type("works");
	assert_has(run(), "task type [works] is to be run by plugin [other] as tasks.task-plugins.overrides says");
}

static const char *run_overridden(const char *plugin, AdminPluginOverrideMissingPluginBehavior missing)
{
	AdminPluginOverride *o = pb_new(t.a, ADMIN_PLUGIN_OVERRIDE_DESC);
	AlulaInput *in = accepted(&t.w, 1);
	AlulaStartExecution *start = in->accepted->command->start;

	o->task_type = "nobody-s";
	o->missing_plugin_behavior = missing;
	*PB_ADD(t.a, o->plugin_id, o->n_plugin_id) = "not-here";
	*PB_ADD(t.a, o->plugin_id, o->n_plugin_id) = (char *)plugin;
	*PB_ADD(t.a, start->plugin_overrides, start->n_plugin_overrides) = o;
	return run_input(in);
}

static void test_attribute(void **state)
{
	(void)state;
	task_of_type("nobody-s");
	assert_has(run_overridden("fake", ADMIN_PLUGIN_OVERRIDE_MISSING_PLUGIN_BEHAVIOR_FAIL), "T n0 0 SUCCEEDED");
}

static void test_attribute_without_its_plugin(void **state)
{
	(void)state;
	task_of_type("nobody-s");
	assert_has(run_overridden("other", ADMIN_PLUGIN_OVERRIDE_MISSING_PLUGIN_BEHAVIOR_FAIL),
		   "no matching plugin overrides defined for Handler type [nobody-s]");
}

static void test_attribute_passed_over(void **state)
{
	struct config_pair pair = {"nobody-s", "fake"};

	(void)state;
	t.config.default_plugins = (struct config_map){&pair, 1};
	task_of_type("nobody-s");
	assert_has(run_overridden("other", ADMIN_PLUGIN_OVERRIDE_MISSING_PLUGIN_BEHAVIOR_USE_DEFAULT),
		   "T n0 0 SUCCEEDED");
}

static void test_enabled(void **state)
{
	const char *names[] = {"container"};
	struct config_pair pair = {"works", "fake"};
	struct err err;

	(void)state;
	t.config.enabled_plugins = (struct config_strings){names, 1};
	assert_false(plugin_enabled(&t.config, "fake"));
	assert_true(plugin_enabled(&t.config, "process"));
	t.config.default_plugins = (struct config_map){&pair, 1};
	assert_int_equal(acts_open(t.p.acts, &err), INVALID_ARGUMENT);
	assert_has(err.text, "[fake] for task type [works] when it is not configured to be an enabled plugin");
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_runs),
		T(test_fails),
		T(test_fails_once),
		T(test_hangs),
		T(test_loses_its_result),
		T(test_answers_twice),
		T(test_its_resource_is_committed_first),
		T(test_unknown_type),
		cmocka_unit_test_setup_teardown(test_outputs_wait_for_the_store, setup_storing, teardown),
		T(test_default_for_type),
		T(test_override),
		T(test_attribute),
		T(test_attribute_without_its_plugin),
		T(test_attribute_passed_over),
		T(test_enabled),
	};

	log_set_level(LOG_ERROR + 1);
	return cmocka_run_group_tests_name("acts", tests, NULL, NULL);
}

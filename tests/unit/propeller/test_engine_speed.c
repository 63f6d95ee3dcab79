/* Time and memory a node. Prints what it measures. Memory must keep to the aims (500 bytes a waiting node, 2 KiB a
 * running one); time, which depends on the machine, must not grow with the number of nodes. */
#include "engine_inputs.h"

enum { NODES = 60000 }; /* folded for each figure */

static struct wf add_chain(struct wf *w, size_t n)
{
	struct arena *a = w->a;
	CoreTaskTemplate *t = wf_task(w, "echo", 1, 1);

	for (size_t i = 0; i < n; i++)
		node_bind(w, wf_node_new(w, arena_printf(a, "n%zu", i), t), "i0",
			  i ? promise(a, arena_printf(a, "n%zu", i - 1), "o0") : promise(a, "", "x"));
	return *w;
}

static struct wf chain(struct arena *a, size_t n)
{
	struct wf w = wf_new(a);

	return add_chain(&w, n);
}

static struct wf fan_out(struct arena *a, size_t n, const char *type)
{
	struct wf w = wf_new(a);
	CoreTaskTemplate *t = wf_task(&w, type, 1, 1);

	for (size_t i = 0; i < n; i++)
		node_bind(&w, wf_node_new(&w, arena_printf(a, "n%zu", i), t), "i0", promise(a, "", "x"));
	return w;
}

/* A workflow whose one node is another one. */
static struct wf inside(struct arena *a, struct wf (*make)(struct wf *inner, size_t n), size_t n)
{
	struct wf w = wf_new(a), inner = wf_inner(&w, "inner");

	make(&inner, n);
	node_bind(&w, node_add(&w, node_of_workflow(a, "n0", &inner)), "x", promise(a, "", "x"));
	return w;
}

static bool continues(const struct step *s)
{
	for (const struct action *a = s->actions; a; a = a->next)
		if (a->kind == ACTION_CONTINUE)
			return true;
	return false;
}

/* From Accepted until done or waiting; the records are packed too, if asked for. */
static size_t run(struct engine *e, struct wf *w, int64_t execution, bool pack)
{
	auto_free(arena_free) struct arena *a = arena_new(1 << 20);
	AlulaInput *in = accepted(w, execution);
	struct step step = {.arena = a};
	size_t bytes = 0;

	in->accepted->command->start->inputs = add_literal(w->a, NULL, "x", int_literal(w->a, 1));
	in->accepted->command->start->closure_digest = "d";
	engine_step(e, in, &step);
	for (;;) {
		bytes += pack ? pb_pack(step.record, a).len : 0;
		if (!continues(&step))
			return bytes;
		arena_reset(a);
		engine_step(e, go_on(w->a, execution, T0), &step);
	}
}

static int64_t measure(const char *what, struct wf w, int record_events, bool pack)
{
	struct engine *e = engine_for_tests(record_events);
	bool nested = w.closure->n_sub_workflows > 0;
	size_t n = nested ? w.closure->sub_workflows[0]->template_->n_nodes : w.template->n_nodes;
	size_t rounds = NODES / n, bytes = 0;

	run(e, &w, 1, false); /* keeps the workflow compiled */
	int64_t start_us = time_mono_us();
	for (size_t i = 0; i < rounds; i++) {
		bytes = run(e, &w, 2 + (int64_t)i, pack);
		engine_forget(e, 2 + (int64_t)i);
	}
	int64_t ns = (time_mono_us() - start_us) * 1000 / (int64_t)(n * rounds);
	print_message("%s of %zu%s: %lld ns a node, %zu bytes of record a node\n", what, n, pack ? ", packed" : "",
		      (long long)ns, bytes / n);
	engine_free(e);
	return ns;
}

static void test_time(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);

	int64_t chain_ns = measure("chain", chain(a, 500), 10000, false);
	int64_t fan_out_ns = measure("fan-out", fan_out(a, 6000, "echo"), 512, false);
	measure("chain", chain(a, 500), 10000, true);
	measure("fan-out", fan_out(a, 6000, "echo"), 512, true);
	assert_in_range(measure("chain", chain(a, 30000), 512, false), 0, chain_ns * 10);
	assert_in_range(measure("chain in a sub-workflow", inside(a, add_chain, 500), 512, false), 0, chain_ns * 10);
	assert_in_range(measure("fan-out", fan_out(a, 60000, "echo"), 512, false), 0, fan_out_ns * 10);
}

static void test_many_executions(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	enum { N = 1000 };

	struct engine *e = engine_for_tests(512);
	struct wf w = chain(a, 1);
	for (int64_t i = 1; i <= N; i++)
		run(e, &w, i, false);
	print_message("execution: %zu bytes\n", engine_bytes(e) / N);
	assert_true(engine_bytes(e) / N < 4096);
	engine_free(e);
}

static void test_memory(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	enum { N = 6000 };
	struct engine *e = engine_for_tests(512);
	struct wf w = fan_out(a, N, "python-task");

	/* One runs, the others wait. */
	AlulaInput *in = accepted(&w, 1);
	struct step step = {.arena = a};
	in->accepted->command->start->inputs = add_literal(a, NULL, "x", int_literal(a, 1));
	in->accepted->command->start->closure_digest = "d";
	in->accepted->command->start->max_parallelism = 1;
	engine_step(e, in, &step);
	size_t waiting = engine_bytes(e) / N;
	/* The same workflow again: its compiled form is shared. */
	in = accepted(&w, 2);
	in->accepted->command->start->inputs = add_literal(a, NULL, "x", int_literal(a, 1));
	in->accepted->command->start->closure_digest = "d";
	in->accepted->command->start->max_parallelism = 1;
	engine_step(e, in, &step);
	size_t shared = engine_bytes(e) / N - waiting;
	engine_forget(e, 1);
	engine_forget(e, 2);
	assert_int_equal(engine_bytes(e), 0);
	run(e, &w, 3, false);
	for (uint32_t i = 0; i < N; i++)
		engine_step(e, started(a, 3, T0, 2 + i, 0), &step);
	size_t running = engine_bytes(e) / N;
	print_message("node: %zu bytes waiting, %zu waiting in another execution of the workflow, %zu running\n",
		      waiting, shared, running);
	assert_true(waiting < 500);
	assert_true(shared < 64);
	assert_true(running < 2048);
	engine_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_many_executions),
		cmocka_unit_test(test_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Time and memory a node, as lines that start with '#': tools/bench shows them. Memory must keep to the aims (500 bytes
 * a waiting node, 2 KiB a running one, 16 a waiting item of an array beside its input); time, which depends on the
 * machine, must not grow with the number of nodes. */
#include <time.h>

#include "engine_inputs.h"

enum { LEAST = 20000, SIZES = 3 }; /* nodes that are folded for each figure */

#ifdef ALULA_SANITIZE
static const size_t SIZE[SIZES] = {100, 1000, 10000};
#else
static const size_t SIZE[SIZES] = {1000, 10000, 100000};
#endif

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

/* One array node; its items come with the input x. */
static struct wf array_of(struct arena *a, const char *type, uint32_t parallelism)
{
	struct wf w = wf_new(a);
	CoreNode *n = node_add(&w, node_of_array(a, "n0", node_of_task(a, "item", wf_task(&w, type, 1, 1))));

	n->array_node->parallelism_option_case = CORE_ARRAY_NODE_PARALLELISM_OPTION_PARALLELISM;
	n->array_node->parallelism = parallelism;
	node_bind(&w, n, "i0", promise(a, "", "x"));
	return w;
}

/* A workflow whose one node is another one. */
static struct wf nested(struct arena *a, size_t n)
{
	struct wf w = wf_new(a), inner = wf_inner(&w, "inner");

	add_chain(&inner, n);
	node_bind(&w, node_add(&w, node_of_workflow(a, "n0", &inner)), "x", promise(a, "", "x"));
	return w;
}

static struct wf echoes(struct arena *a, size_t n)
{
	return fan_out(a, n, "echo");
}

static struct wf items(struct arena *a, size_t n)
{
	(void)n;
	return array_of(a, "echo", 0);
}

static bool continues(const struct step *s)
{
	for (const struct action *a = s->actions; a; a = a->next)
		if (a->kind == ACTION_CONTINUE)
			return true;
	return false;
}

static AlulaInput *accepted_with(struct wf *w, int64_t execution, CoreLiteral *x)
{
	AlulaInput *in = accepted(w, execution);

	in->accepted->command->start->inputs = add_literal(w->a, NULL, "x", x);
	in->accepted->command->start->closure_digest = "d";
	return in;
}

/* From Accepted until done or waiting; the records are packed too, if asked for. */
static size_t run(struct engine *e, struct wf *w, int64_t execution, CoreLiteral *x, bool pack)
{
	auto_free(arena_free) struct arena *a = arena_new(1 << 20), *inputs = arena_new(0);
	struct step step = {.arena = a};
	size_t bytes = 0;

	engine_step(e, accepted_with(w, execution, x), &step);
	for (;;) {
		bytes += pack ? pb_pack(step.record, a).len : 0;
		if (!continues(&step))
			return bytes;
		arena_reset(a);
		arena_reset(inputs);
		engine_step(e, go_on(inputs, execution, T0), &step);
	}
}

struct figure {
	int64_t step_ns, packed_ns; /* a node; `packed`: with the packing of its record */
	size_t record_bytes;
};

/* Of the processor: others use it as well. */
static int64_t cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* The least of several runs: what others do meanwhile only adds. */
static int64_t fastest(struct engine *e, struct wf *w, CoreLiteral *x, size_t n, bool pack, size_t *ret_bytes)
{
	static int64_t execution = 2;
	int64_t least_us = INT64_MAX;
	size_t rounds = MAX(LEAST / n, (size_t)2);

	for (size_t i = 0; i < rounds; i++) {
		int64_t start_us = cpu_us();
		*ret_bytes = run(e, w, execution, x, pack) / n;
		least_us = MIN(least_us, cpu_us() - start_us);
		engine_forget(e, execution++);
	}
	return least_us * 1000 / (int64_t)n;
}

static struct figure measure(struct wf (*make)(struct arena *a, size_t n), size_t n)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct engine *e = engine_for_tests(512);
	struct wf w = make(a, n);
	CoreLiteral *x = make == items ? int_list(a, n) : int_literal(a, 1);
	struct figure ret = {0};

	run(e, &w, 1, x, false); /* keeps the workflow compiled */
	ret.step_ns = fastest(e, &w, x, n, false, &ret.record_bytes);
	ret.packed_ns = fastest(e, &w, x, n, true, &ret.record_bytes);
	engine_free(e);
	return ret;
}

static void test_time(void **state)
{
	static const struct {
		const char *name;
		struct wf (*make)(struct arena *a, size_t n);
	} SHAPES[] = {{"chain", chain},
		      {"chain in a sub-workflow", nested},
		      {"fan-out", echoes},
		      {"items of an array", items}};
	(void)state;

	print_message("# ns a node of%26s%10zu%10zu%10zu   bytes of record a node\n", "", SIZE[0], SIZE[1], SIZE[2]);
	for (size_t s = 0; s < ARRAY_SIZE(SHAPES); s++) {
		struct figure f[SIZES];
		for (size_t i = 0; i < SIZES; i++)
			f[i] = measure(SHAPES[s].make, SIZE[i]);
		print_message("# %-24s steps     %10lld%10lld%10lld\n", SHAPES[s].name, (long long)f[0].step_ns,
			      (long long)f[1].step_ns, (long long)f[2].step_ns);
		print_message("# %-24s packed too%10lld%10lld%10lld%12zu\n", "", (long long)f[0].packed_ns,
			      (long long)f[1].packed_ns, (long long)f[2].packed_ns, f[2].record_bytes);
		assert_in_range(f[2].step_ns, 0, f[0].step_ns * 10);
	}
}

static void test_many_executions(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	enum { N = 1000 };

	struct engine *e = engine_for_tests(512);
	struct wf w = chain(a, 1);
	for (int64_t i = 1; i <= N; i++)
		run(e, &w, i, int_literal(a, 1), false);
	print_message("# execution: %zu bytes\n", engine_bytes(e) / N);
	assert_true(engine_bytes(e) / N < 4096);
	engine_free(e);
}

static size_t bytes_after(struct engine *e, struct wf *w, int64_t execution, CoreLiteral *x, int parallelism)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct step step = {.arena = a};
	AlulaInput *in = accepted_with(w, execution, x);

	in->accepted->command->start->max_parallelism = parallelism;
	engine_step(e, in, &step);
	return engine_bytes(e);
}

static void test_nodes(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	enum { N = 6000 };
	struct engine *e = engine_for_tests(512);
	struct wf w = fan_out(a, N, "python-task");
	struct step step = {.arena = a};

	/* One runs, the others wait; in the second execution the compiled workflow is shared. */
	size_t waiting = bytes_after(e, &w, 1, int_literal(a, 1), 1) / N;
	size_t shared = bytes_after(e, &w, 2, int_literal(a, 1), 1) / N - waiting;
	engine_forget(e, 1);
	engine_forget(e, 2);
	assert_int_equal(engine_bytes(e), 0);
	run(e, &w, 3, int_literal(a, 1), false);
	for (uint32_t i = 0; i < N; i++)
		engine_step(e, started(a, 3, T0, 2 + i, 0), &step);
	size_t running = engine_bytes(e) / N;
	print_message("# task node: %zu bytes waiting, %zu waiting in another execution of the workflow, %zu running\n",
		      waiting, shared, running);
	assert_true(waiting < 500);
	assert_true(shared < 64);
	assert_true(running < 2048);
	engine_free(e);
}

/* Beside its input, which the command holds. */
static size_t item_bytes(uint32_t parallelism, size_t few, size_t many, size_t *ret_input)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct engine *e = engine_for_tests(1000000);
	struct wf w = array_of(a, "python-task", parallelism), unused = fan_out(a, 1, "python-task");

	bytes_after(e, &w, 1, int_list(a, few), 0);
	size_t with_few = engine_bytes(e);
	engine_forget(e, 1);
	bytes_after(e, &w, 1, int_list(a, many), 0);
	size_t with_many = engine_bytes(e);
	engine_forget(e, 1);
	size_t few_only = bytes_after(e, &unused, 1, int_list(a, few), 0);
	engine_forget(e, 1);
	*ret_input = (bytes_after(e, &unused, 1, int_list(a, many), 0) - few_only) / (many - few);
	engine_free(e);
	return (with_many - with_few) / (many - few) - *ret_input;
}

static void test_items(void **state)
{
	(void)state;
	size_t input;

	size_t running = item_bytes(0, 1000, 5000, &input), waiting = item_bytes(1, 1000, 100000, &input);
	print_message("# item of an array: %zu bytes waiting, %zu running; beside its input, an integer: %zu\n",
		      waiting, running, input);
	assert_true(waiting < 16);
	assert_true(running < 2048);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_many_executions),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_items),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

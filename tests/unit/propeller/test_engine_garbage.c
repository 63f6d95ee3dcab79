/* Inputs that passed the guard but are nonsense: every execution that was accepted can still be ended, nothing crashes,
 * and replay gives the same. */
#include "engine_world.h"

#ifdef ALULA_SANITIZE
enum { SEEDS = 1000 };
#else
enum { SEEDS = 10000 };
#endif

/* A few bytes changed, doubled or cut out; NULL when the guard refuses it. */
static AlulaInput *spoil(struct world *w, struct str packed)
{
	char *bytes = arena_dup(w->a, packed.ptr, packed.len);
	void *in;

	for (uint64_t i = below(w, 6); i > 0; i--) {
		size_t at = below(w, packed.len);
		switch (below(w, 3)) {
		case 0: bytes[at] = (char)below(w, 256); break;
		case 1: bytes[at] ^= (char)(1 << below(w, 7)); break;
		default: bytes[at] = packed.ptr[below(w, packed.len)]; break;
		}
	}
	if (pb_unpack(ALULA_INPUT_DESC, (struct str){bytes, packed.len}, w->a, &in, NULL) != OK)
		return NULL;
	((AlulaInput *)in)->execution = EXECUTION;
	if (((AlulaInput *)in)->input_case == ALULA_INPUT_INPUT_ACCEPTED && ((AlulaInput *)in)->accepted->command)
		((AlulaInput *)in)->accepted->command->execution = EXECUTION;
	return in;
}

static AlulaInput *some_values(struct world *w, uint32_t node, uint32_t attempt)
{
	struct value_ref value = {.var = "c"};
	struct action action = {
		.execution = EXECUTION, .node = node, .attempt = attempt, .values = &value, .n_values = 1};

	return values_read(w->a, T0, &action, 7);
}

static struct str some_input(struct world *w)
{
	uint32_t node = (uint32_t)(2 + below(w, 12)), attempt = (uint32_t)below(w, 2);
	AlulaInput *in;

	switch (below(w, 10)) {
	case 6: in = signal_set(w->a, EXECUTION, T0, "yes1", bool_literal(w->a, true)); break;
	case 7: in = child_started(w->a, EXECUTION, T0, node, attempt); break;
	case 8:
		in = child_finished(w->a, EXECUTION, T0, arena_printf(w->a, "x7-l%u-0", node),
				    CORE_WORKFLOW_EXECUTION_PHASE_SUCCEEDED);
		break;
	case 9: in = some_values(w, node, attempt); break;
	case 0: in = started(w->a, EXECUTION, T0, node, attempt); break;
	case 1: in = go_on(w->a, EXECUTION, T0); break;
	case 2:
		in = timer_fired(w->a, EXECUTION, T0 + 90 * USEC_PER_SEC, (uint32_t)(1 + below(w, 4)), node, attempt);
		break;
	default: in = random_end(w, node, attempt); break;
	}
	return pb_pack(in, w->a);
}

static void feed(struct world *w, AlulaInput *in)
{
	struct step step = {.arena = w->scratch};
	AlulaJournalEntry entry = ALULA_JOURNAL_ENTRY_INIT;
	AlulaJournalEntry *copy;
	struct err err;

	arena_reset(w->scratch);
	w->steps++;
	engine_step(w->engine, in, &step);
	if (!step.record)
		return;
	w->done = step.record->last;
	entry.input = in;
	entry.record = step.record;
	copy = pb_clone(&entry, w->scratch);
	check(w, engine_replay(w->follower, copy, &err) == OK);
	check(w,
	      str_eq(engine_state(w->engine, EXECUTION, w->scratch), engine_state(w->follower, EXECUTION, w->scratch)));
}

static bool suffer(uint64_t seed)
{
	struct world w = {.seed = seed, .chance = seed};
	size_t n = 0;

	w.a = arena_new(0);
	w.scratch = arena_new(0);
	w.upstream = map_new();
	w.engine = engine_for_tests(40);
	w.follower = engine_for_tests(40);
	random_workflow(&w);
	AlulaInput *accept = spoil(&w, pb_pack(w.accept, w.a));
	if (accept)
		feed(&w, accept);
	while (!w.done && n++ < 30) {
		AlulaInput *in = spoil(&w, some_input(&w));
		if (in)
			feed(&w, in);
	}
	bool ran = engine_executions(w.engine) == 1;
	feed(&w, abort_input(w.a, EXECUTION, T0));
	for (n = 0; ran && !w.done && n < 200; n++)
		feed(&w, go_on(w.a, EXECUTION, T0));
	check(&w, w.done || !ran);
	engine_forget(w.engine, EXECUTION);
	engine_forget(w.follower, EXECUTION);
	check(&w, engine_bytes(w.engine) == 0 && engine_bytes(w.follower) == 0);
	engine_free(w.engine);
	engine_free(w.follower);
	map_free(w.upstream);
	arena_free(w.a);
	arena_free(w.scratch);
	return ran;
}

static void test_garbage(void **state)
{
	(void)state;
	size_t ran = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		ran += suffer(seed);
	print_message("%d spoilt workflows, %zu of them accepted\n", SEEDS, ran);
	assert_true(ran > SEEDS / 10 && ran < SEEDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_garbage)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

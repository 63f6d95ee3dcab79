/* Nonsense that passed the guard: an execution's inputs once more, with bytes changed, left out and told twice.
 * Whatever was accepted can still be ended, nothing crashes, and replay gives the same. */
#include "sim.h"

enum { MAX_INPUTS = 200, MAX_PARTS = 2000 };

struct suffering {
	struct sim *s;
	struct engine *engine, *follower;
	struct arena *a;
	const struct exec *x;
	bool done;
};

/* NULL when the guard refuses it. */
static AlulaInput *spoil(const struct suffering *g, const AlulaInput *in)
{
	struct sim *s = g->s;
	struct str packed = pb_pack(in, g->a);
	char *bytes = arena_dup(g->a, packed.ptr, packed.len);
	void *m;

	for (uint64_t i = below(s, 6); i > 0; i--) {
		size_t at = below(s, packed.len);
		switch (below(s, 3)) {
		case 0: bytes[at] = (char)below(s, 256); break;
		case 1: bytes[at] ^= (char)(1 << below(s, 7)); break;
		default: bytes[at] = packed.ptr[below(s, packed.len)]; break;
		}
	}
	if (pb_unpack(ALULA_INPUT_DESC, (struct str){bytes, packed.len}, g->a, &m, NULL) != OK)
		return NULL;
	AlulaInput *spoilt = m;
	spoilt->execution = g->x->id;
	if (spoilt->input_case == ALULA_INPUT_INPUT_ACCEPTED && spoilt->accepted->command)
		spoilt->accepted->command->execution = g->x->id;
	return spoilt;
}

static void feed(struct suffering *g, AlulaInput *in)
{
	struct step step = {.arena = g->a};
	AlulaJournalEntry entry = ALULA_JOURNAL_ENTRY_INIT;
	struct err err;

	engine_step(g->engine, in, &step);
	if (!step.record)
		return;
	g->done = step.record->last;
	entry.input = in;
	entry.record = step.record;
	if (engine_replay(g->follower, pb_clone(&entry, g->a), &err) != OK)
		sim_fail(g->s, "%s (after nonsense)", err.text);
	struct str one = engine_state(g->engine, g->x->id, g->a), two = engine_state(g->follower, g->x->id, g->a);
	if (!str_eq(one, two))
		sim_fail(g->s, "after nonsense the state is not what the journal gives");
}

static void feed_spoilt(struct suffering *g, struct str packed)
{
	AlulaJournalEntry *entry;

	arena_reset(g->a);
	if (pb_unpack_own(ALULA_JOURNAL_ENTRY_DESC, packed, g->a, (void **)&entry, NULL) != OK)
		return;
	for (uint64_t times = below(g->s, 3); times > 0 && !g->done; times--) {
		AlulaInput *in = one_in(g->s, 2) ? spoil(g, entry->input) : entry->input;
		if (in)
			feed(g, in);
	}
}

static void end(struct suffering *g)
{
	bool runs = engine_executions(g->engine) == 1;

	arena_reset(g->a);
	feed(g, abort_input(g->a, g->x->id, g->s->now_us));
	for (size_t n = 0; runs && !g->done && n < MAX_PARTS; n++)
		feed(g, go_on(g->a, g->x->id, g->s->now_us));
	check(g->s, g->done || !runs);
	seen->spoilt += runs;
}

void suffer(struct sim *s, const struct exec *x)
{
	struct suffering g = {s, engine_of_world(s), engine_of_world(s), arena_new(0), x, false};

	for (size_t i = 0; i < x->journal.n && i < MAX_INPUTS && !g.done; i++)
		feed_spoilt(&g, x->journal.at[i]);
	end(&g);
	engine_end(s, g.engine);
	engine_end(s, g.follower);
	arena_free(g.a);
}

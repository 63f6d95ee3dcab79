/* Time, mail, the journal, and crashes. */
#include "sim.h"

enum { MAX_STEPS = 200000 };

int64_t later(struct sim *s, int64_t seconds)
{
	return s->now_us + 1 + (int64_t)below(s, (uint64_t)(seconds * USEC_PER_SEC));
}

void post(struct sim *s, int64_t at_us, AlulaInput *in, enum mail_kind kind)
{
	vec_push(&s->mails, (struct mail){at_us, in, kind});
	if (one_in(s, 8))
		vec_push(&s->mails, (struct mail){later(s, 5) + at_us - s->now_us, in, kind});
}

/* ---- executions ---- */

struct exec *exec_of(struct sim *s, int64_t id)
{
	for (size_t i = 0; i < s->execs.n; i++)
		if (s->execs.at[i]->id == id)
			return s->execs.at[i];
	return NULL;
}

struct exec *exec_named(struct sim *s, const char *name)
{
	for (size_t i = 0; i < s->execs.n; i++)
		if (strcmp(s->execs.at[i]->name, name) == 0)
			return s->execs.at[i];
	return NULL;
}

static AlulaInput *acceptance(struct sim *s, const struct exec *x)
{
	struct wf w = {.a = s->a, .closure = closure_of_plan(s, x->plan)};
	AlulaInput *in = accepted(&w, x->id);
	AlulaStartExecution *start = in->accepted->command->start;

	in->accepted->command->id->name = (char *)x->name;
	in->accepted->caching = s->caching;
	start->overwrite_cache = s->overwrite;
	start->inputs = add_literal(s->a, NULL, "x", literal_of_val(s->a, &x->input));
	if (one_in(s, 4)) {
		start->inputs_uri = arena_printf(s->a, "/inputs/%s", x->name);
		store_put(s, start->inputs_uri, start->inputs);
	}
	start->closure_digest = (char *)x->plan->digest;
	start->max_parallelism = x->plan->max_parallelism;
	start->timeout_us = x->plan->timeout_us;
	if (x->recovers)
		left_tell(s, x->recovers, start);
	return in;
}

struct exec *exec_new(struct sim *s, const struct plan *plan, const char *dir, struct val input, const char *name,
		      struct exec *recovers)
{
	struct exec *x = arena_new_of(s->a, struct exec);

	x->id = 7 + (int64_t)s->execs.n;
	x->name = name ? arena_strdup(s->a, name) : arena_printf(s->a, "x%lld", (long long)x->id);
	x->root = arena_printf(s->a, "/m/p-development-%s", x->name);
	x->dir = dir;
	x->plan = plan;
	x->input = input;
	x->results = map_new();
	x->phases = map_new();
	x->versions = map_new();
	x->places = map_new();
	x->dirs = map_new();
	x->asked = map_new();
	x->left = map_new();
	x->recovers = recovers;
	vec_push(&s->execs, x);
	interpret(s, x);
	x->accept = acceptance(s, x);
	if (!name && one_in(s, 100)) {
		x->accept->accepted->unreadable = pb_new(s->a, CORE_EXECUTION_ERROR_DESC);
		x->accept->accepted->unreadable->code = "Unreadable";
		x->allowed = (struct outcome){.fail = true};
	}
	seen->executions++;
	post(s, later(s, 2), x->accept, MAIL_COMMAND);
	return x;
}

/* ---- the journal ---- */

struct engine *engine_of_world(const struct sim *s)
{
	struct engine_options o = {
		.max_system_retries = 3,
		.default_max_attempts = 1,
		.interruptible_failure_threshold = -1,
		.record_events = s->record_events,
		.inline_bytes = s->inline_bytes,
		.metadata_prefix = "/m",
		.leaf_of = leaf_by_name,
	};

	return engine_new(&o);
}

static AlulaJournalEntry *entry_of(struct sim *s, struct str packed, struct arena *a)
{
	AlulaJournalEntry *entry;
	struct err err;

	if (pb_unpack_own(ALULA_JOURNAL_ENTRY_DESC, packed, a, (void **)&entry, &err) != OK)
		sim_fail(s, "an entry cannot be read: %s", err.text);
	return entry;
}

static void replay(struct sim *s, struct engine *e, const AlulaJournalEntry *entry)
{
	struct err err;

	if (engine_replay(e, entry, &err) != OK)
		sim_fail(s, "%s (input %d)", err.text, (int)entry->input->input_case);
}

static void check_same(struct sim *s, const struct engine *one, const struct engine *two, const struct exec *x)
{
	struct str a = engine_state(one, x->id, s->scratch), b = engine_state(two, x->id, s->scratch);

	if (str_eq(a, b))
		return;
	if (s->verbose)
		printf("%.*s\n---- and ----\n%.*s\n", STR_ARG(a), STR_ARG(b));
	sim_fail(s, "the state of execution %s is not what its journal gives", x->name);
}

static void check_all_same(struct sim *s, const struct engine *one, const struct engine *two)
{
	for (size_t i = 0; i < s->execs.n; i++)
		if (!s->execs.at[i]->done)
			check_same(s, one, two, s->execs.at[i]);
}

void engine_end(struct sim *s, struct engine *e)
{
	for (size_t i = 0; i < s->execs.n; i++)
		engine_forget(e, s->execs.at[i]->id);
	check(s, engine_executions(e) == 0);
	if (engine_bytes(e) != 0)
		sim_fail(s, "%zu bytes are left when all executions are forgotten", engine_bytes(e));
	engine_free(e);
}

/* As production loads it: one execution after the other. */
static struct engine *rebuilt(struct sim *s)
{
	struct engine *e = engine_of_world(s);
	struct arena *a = arena_new(0);

	for (size_t i = 0; i < s->execs.n; i++) {
		const struct exec *x = s->execs.at[i];
		for (size_t k = 0; !x->confirmed && k < x->journal.n; k++) {
			arena_reset(a);
			replay(s, e, entry_of(s, x->journal.at[k], a));
		}
	}
	arena_free(a);
	return e;
}

/* ---- commit ---- */

static void say_record(struct sim *s, const struct exec *x, const AlulaJournalEntry *entry)
{
	if (s->verbose && entry->record)
		printf("%12.6f %s input %d\n%s\n", (double)s->now_us / 1e6, x->name, (int)entry->input->input_case,
		       events_text(entry->record, s->scratch));
}

static void commit(struct sim *s, const struct waiting *w)
{
	AlulaJournalEntry *entry = entry_of(s, w->entry, s->scratch);
	struct exec *x = exec_of(s, entry->input->execution);

	s->now = entry->input;
	say_record(s, x, entry);
	attempt_committed(s, entry->input);
	catalog_committed(s, entry->input);
	check_record(s, x, entry->record);
	x->accepted = true;
	vec_push(&x->journal, w->entry);
	replay(s, s->follower, entry);
	if (x->parent && entry->record->last)
		tell_parent(s, x, entry->record->events[entry->record->n_events - 1]->workflow);
}

static void drop_waiting(struct sim *s)
{
	for (size_t i = 0; i < s->waiting.n; i++)
		arena_free(s->waiting.at[i].a);
	s->waiting.n = 0;
}

/* Whoever sent it has had no answer, and sends it again. */
static void lose_waiting(struct sim *s)
{
	for (size_t i = 0; i < s->waiting.n; i++) {
		struct mail *m = &s->waiting.at[i].mail;
		if (m->kind == MAIL_COMMAND)
			vec_push(&s->mails, (struct mail){later(s, 10), m->in, m->kind});
		seen->lost_records += s->waiting.at[i].entry.len > 0;
	}
	drop_waiting(s);
}

/* ---- crashes ---- */

static void lose_mail(struct sim *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->mails.n; i++)
		if (s->mails.at[i].kind == MAIL_COMMAND)
			s->mails.at[kept++] = s->mails.at[i];
	s->mails.n = kept;
}

/* Another owner may have taken over: the old engine goes on for a while, and nobody listens. */
static void fence(struct sim *s)
{
	if (s->fenced)
		engine_end(s, s->fenced);
	s->fenced = NULL;
	if (one_in(s, 2)) {
		s->fenced = s->engine;
		seen->fenced++;
	} else {
		engine_end(s, s->engine);
	}
}

static void ask_pending(struct sim *s, struct exec *x)
{
	struct step step = {.arena = arena_new(0)};

	x->going_on = false;
	engine_pending(s->engine, x->id, &step);
	for (const struct action *a = step.actions; a; a = a->next)
		act(s, a);
	arena_free(step.arena);
}

static void crash(struct sim *s)
{
	size_t n = s->execs.n;

	s->crashes++;
	seen->crashes++;
	if (s->verbose)
		printf("%12.6f ---- crash\n", (double)s->now_us / 1e6);
	lose_waiting(s);
	lose_mail(s);
	catalog_crash(s);
	fence(s);
	for (size_t i = 0; i < n; i++)
		s->execs.at[i]->confirmed |= s->execs.at[i]->done && one_in(s, 2);
	s->engine = rebuilt(s);
	check_all_same(s, s->engine, s->follower);
	s->restarting = true;
	for (size_t i = 0; i < n; i++)
		if (s->execs.at[i]->accepted && !s->execs.at[i]->confirmed)
			ask_pending(s, s->execs.at[i]);
	s->restarting = false;
	catalog_expire(s);
}

static bool crashes_now(struct sim *s)
{
	return s->crash_rate && one_in(s, (uint64_t)s->crash_rate);
}

/* ---- steps ---- */

/* All records of a commit, then all their actions, unless we die on the way. */
static void flush(struct sim *s)
{
	bool dies = crashes_now(s);

	for (size_t i = 0; i < s->waiting.n; i++)
		if (s->waiting.at[i].entry.len)
			commit(s, &s->waiting.at[i]);
	for (size_t i = 0; i < s->waiting.n; i++)
		for (const struct action *a = s->waiting.at[i].actions; a; a = a->next) {
			if (dies && one_in(s, 4))
				goto crash;
			act(s, a);
		}
	drop_waiting(s);
	if (one_in(s, 8))
		check_all_same(s, s->engine, s->follower);
	if (dies)
		crash(s);
	return;
crash:
	drop_waiting(s);
	crash(s);
}

static void step_fenced(struct sim *s, const AlulaInput *in)
{
	struct step step = {.arena = s->scratch};

	if (s->fenced)
		engine_step(s->fenced, in, &step);
}

/* Commands for an execution that is not known yet come again; a second acceptance is known to be one. */
static bool is_taken(struct sim *s, const struct mail *m)
{
	const struct exec *x = exec_of(s, m->in->execution);
	bool early = m->in->input_case == ALULA_INPUT_INPUT_ACCEPTED || m->in->input_case == ALULA_INPUT_INPUT_ABORT;

	if (m->in->input_case == ALULA_INPUT_INPUT_ACCEPTED && x->accepted)
		return false;
	if (m->kind == MAIL_COMMAND && ((!x->accepted && !early) || one_in(s, 20))) {
		vec_push(&s->mails, (struct mail){later(s, 10), m->in, m->kind});
		return false;
	}
	return !x->done || one_in(s, 2);
}

static void deliver(struct sim *s, struct mail m)
{
	struct waiting w = {.a = arena_new(0), .mail = m};
	struct step step = {.arena = w.a};
	AlulaJournalEntry entry = ALULA_JOURNAL_ENTRY_INIT;
	AlulaInput in = *m.in;

	arena_reset(s->scratch);
	in.time_us = s->now_us;
	in.seed = splitmix64(&s->chance);
	if (in.input_case == ALULA_INPUT_INPUT_GO_ON)
		exec_of(s, in.execution)->going_on = false;
	s->steps++;
	step_fenced(s, &in);
	engine_step(s->engine, &in, &step);
	if (s->verbose && !step.record)
		printf("%12.6f input %d of %lld changes nothing\n", (double)s->now_us / 1e6, (int)in.input_case,
		       (long long)in.execution);
	entry.input = &in;
	entry.record = step.record;
	if (step.record)
		w.entry = pb_pack(&entry, s->a);
	w.actions = step.actions;
	vec_push(&s->waiting, w);
	attempt_ended(s, &in);
	child_ended(s, &in);
	if (crashes_now(s))
		crash(s);
	else if (below(s, (uint64_t)s->batch) == 0)
		flush(s);
}

static size_t earliest(const struct sim *s)
{
	size_t at = 0;

	for (size_t i = 1; i < s->mails.n; i++)
		if (s->mails.at[i].at_us < s->mails.at[at].at_us)
			at = i;
	return at;
}

/* A commit does not wait for what comes much later. */
static void flush_in_time(struct sim *s)
{
	if (s->mails.n == 0 || s->mails.at[earliest(s)].at_us > s->now_us + USEC_PER_SEC)
		flush(s);
}

static struct mail next_mail(struct sim *s)
{
	size_t at = earliest(s);
	struct mail m = s->mails.at[at];
	vec_swap_remove(&s->mails, at);
	return m;
}

static bool all_done(const struct sim *s)
{
	for (size_t i = 0; i < s->execs.n; i++)
		if (!s->execs.at[i]->done)
			return false;
	return true;
}

/* ---- trouble from outside ---- */

static void post_nonsense(struct sim *s, const struct exec *x)
{
	for (size_t i = 0; i < 3; i++)
		post(s, later(s, 30), timer_fired(s->a, x->id, 0, (uint32_t)below(s, 7), (uint32_t)below(s, 20), 0),
		     MAIL_INTERNAL);
	post(s, later(s, 30),
	     finished_with(s->a, x->id, 0, (uint32_t)below(s, 400), 50 + (uint32_t)below(s, 3), NULL, "/z"),
	     MAIL_PROCESS);
	post(s, later(s, 30), child_finished(s->a, x->id, 0, "nobody", CORE_WORKFLOW_EXECUTION_PHASE_FAILED),
	     MAIL_COMMAND);
	post(s, later(s, 30), go_on(s->a, x->id, 0), MAIL_INTERNAL);
	if (one_in(s, 4))
		post(s, later(s, 30), signal_set(s->a, x->id, 0, "whatever", int_literal(s->a, 1)), MAIL_COMMAND);
}

static void post_abort(struct sim *s, struct exec *x)
{
	x->may_abort = true;
	post(s, one_in(s, 8) ? s->now_us : later(s, 60), abort_input(s->a, x->id, 0), MAIL_COMMAND);
}

void world_run(struct sim *s)
{
	struct plan *plan = plan_random(s, splitmix64(&s->chance), 0, "y");

	size_t turns = 0;

	s->engine = engine_of_world(s);
	s->follower = engine_of_world(s);
	struct exec *x = exec_new(s, plan, "", (struct val){.kind = VAL_INT, .number = 3}, NULL, NULL);
	post_nonsense(s, x);
	if (one_in(s, 6))
		post_abort(s, x);
	while (flush_in_time(s), !all_done(s)) {
		if (s->mails.n == 0)
			sim_fail(s, "nothing happens any more");
		check(s, ++turns < MAX_STEPS);
		struct mail m = next_mail(s);
		s->now_us = MAX(s->now_us, m.at_us);
		if (is_taken(s, &m))
			deliver(s, m);
		else
			flush(s);
	}
	flush(s);
	/* Late mail changes nothing. */
	s->crash_rate = 0;
	s->over = true;
	while (s->mails.n) {
		struct mail m = next_mail(s);
		if (is_taken(s, &m))
			deliver(s, m);
		flush(s);
	}
	if (one_in(s, 4))
		suffer(s, x);
	struct engine *last = rebuilt(s);
	for (size_t i = 0; i < s->execs.n; i++)
		if (!s->execs.at[i]->confirmed)
			check_same(s, last, s->follower, s->execs.at[i]);
	engine_end(s, last);
	engine_end(s, s->engine);
	engine_end(s, s->follower);
	if (s->fenced)
		engine_end(s, s->fenced);
}

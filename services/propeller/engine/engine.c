#include "engine/private.h"
#include "pb/pb.h"

enum {
	RECORD_EVENTS = 512,
	INLINE_BYTES = 64 << 10,
	MAX_TOMBSTONES = 65536,
	TOMBSTONE_US = 600 * 1000000,
};

struct engine *engine_new(const struct engine_options *options)
{
	struct engine *e = x_calloc(1, sizeof *e);

	e->options = *options;
	if (e->options.record_events <= 0)
		e->options.record_events = RECORD_EVENTS;
	if (e->options.inline_bytes == 0)
		e->options.inline_bytes = INLINE_BYTES;
	e->executions = u64map_new();
	e->aborted = u64map_new();
	e->closures = map_new();
	e->scratch = arena_new(0);
	return e;
}

void engine_free(struct engine *e)
{
	size_t it = 0;
	void *x;

	if (!e)
		return;
	while (u64map_next(e->executions, &it, NULL, &x))
		execution_free(e, x);
	frames_collect(e);
	outputs_collect(e);
	u64map_free(e->executions);
	u64map_free(e->aborted);
	map_free(e->closures);
	vec_free(&e->tombstones);
	vec_free(&e->unused);
	vec_free(&e->unused_frames);
	arena_free(e->scratch);
	free(e);
}

/* ---- aborts that came before their executions ---- */

static void drop_tombstones(struct engine *e, int64_t now_us)
{
	size_t first = e->first_tombstone;

	while (first < e->tombstones.n &&
	       (e->tombstones.at[first].until_us <= now_us || e->tombstones.n - first >= MAX_TOMBSTONES))
		u64map_remove(e->aborted, (uint64_t)e->tombstones.at[first++].execution);
	if (first > 1024 && first > e->tombstones.n / 2) {
		e->tombstones.n -= first;
		memmove(e->tombstones.at, e->tombstones.at + first, e->tombstones.n * sizeof *e->tombstones.at);
		first = 0;
	}
	e->first_tombstone = first;
}

static void add_tombstone(struct engine *e, int64_t execution, int64_t now_us)
{
	drop_tombstones(e, now_us);
	if (u64map_get(e->aborted, (uint64_t)execution))
		return;
	u64map_put(e->aborted, (uint64_t)execution, e);
	vec_push(&e->tombstones, (struct tombstone){execution, now_us + TOMBSTONE_US});
}

/* The abort itself is not in the journal; what came of it is. */
static bool record_is_abort(const AlulaRecord *r)
{
	for (size_t i = 0; r && i < r->n_events; i++)
		if (r->events[i]->event_case == ALULA_EXECUTION_EVENT_EVENT_WORKFLOW &&
		    r->events[i]->workflow->phase == CORE_WORKFLOW_EXECUTION_PHASE_ABORTED)
			return true;
	return false;
}

/* ---- inputs by kind ---- */

static void on_abort(struct fold *f, const AlulaInput *in)
{
	(void)in;
	execution_abort(f);
}

static void on_started(struct fold *f, const AlulaInput *in)
{
	attempt_started(f, in->attempt_started);
}

static void on_finished(struct fold *f, const AlulaInput *in)
{
	attempt_finished(f, in->attempt_finished);
}

static void on_timer(struct fold *f, const AlulaInput *in)
{
	if (in->timer_fired->timer == TIMER_EXECUTION)
		execution_timed_out(f);
	else
		node_timer(f, in->timer_fired);
}

static void on_stored(struct fold *f, const AlulaInput *in)
{
	uint32_t node = in->outputs_stored->node ? in->outputs_stored->node : END_NODE;
	struct frame *frame = frame_find(f->x, node);

	if (!frame || !frame_is_alive(frame))
		return;
	if (node == frame->first + END_NODE)
		frame_stored(f, frame, in->outputs_stored);
	else if (node_running(f, node) && node_at(f, node)->run->storing)
		node_kind(f, node)->stored(f, node, in->outputs_stored);
}

static void on_read(struct fold *f, const AlulaInput *in)
{
	const AlulaValuesRead *read = in->values_read;
	struct node *n = node_running(f, read->node);

	if (n && n->run->reading && n->attempt == read->attempt)
		node_kind(f, read->node)->read(f, read->node, read);
}

static void on_signal(struct fold *f, const AlulaInput *in)
{
	gate_signal(f, in->signal_set);
}

static void on_child_started(struct fold *f, const AlulaInput *in)
{
	launch_started(f, in->child_started);
}

static void on_child_finished(struct fold *f, const AlulaInput *in)
{
	launch_finished(f, in->child_finished);
}

static void on_resource(struct fold *f, const AlulaInput *in)
{
	attempt_resource(f, in->attempt_resource);
}

static void on_update(struct fold *f, const AlulaInput *in)
{
	attempt_update(f, in->attempt_update);
}

static void on_cache_answered(struct fold *f, const AlulaInput *in)
{
	cache_answered(f, in->cache_answered);
}

static void on_cache_put(struct fold *f, const AlulaInput *in)
{
	cache_put_done(f, in->cache_put);
}

static void on_go_on(struct fold *f, const AlulaInput *in)
{
	(void)in;
	execution_go_on(f);
}

static void (*const HANDLERS[])(struct fold *f, const AlulaInput *in) = {
	[ALULA_INPUT_INPUT_ABORT] = on_abort,
	[ALULA_INPUT_INPUT_ATTEMPT_STARTED] = on_started,
	[ALULA_INPUT_INPUT_ATTEMPT_FINISHED] = on_finished,
	[ALULA_INPUT_INPUT_TIMER_FIRED] = on_timer,
	[ALULA_INPUT_INPUT_OUTPUTS_STORED] = on_stored,
	[ALULA_INPUT_INPUT_GO_ON] = on_go_on,
	[ALULA_INPUT_INPUT_SIGNAL_SET] = on_signal,
	[ALULA_INPUT_INPUT_CHILD_STARTED] = on_child_started,
	[ALULA_INPUT_INPUT_CHILD_FINISHED] = on_child_finished,
	[ALULA_INPUT_INPUT_VALUES_READ] = on_read,
	[ALULA_INPUT_INPUT_ATTEMPT_RESOURCE] = on_resource,
	[ALULA_INPUT_INPUT_ATTEMPT_UPDATE] = on_update,
	[ALULA_INPUT_INPUT_CACHE_ANSWERED] = on_cache_answered,
	[ALULA_INPUT_INPUT_CACHE_PUT] = on_cache_put,
};

/* ---- a step ---- */

static bool acceptable(const AlulaInput *in)
{
	const AlulaCommand *c = in->accepted->command;

	return c && c->command_case == ALULA_COMMAND_COMMAND_START && c->id && c->start &&
	       c->execution == in->execution;
}

static struct fold fold_new(struct engine *e, struct execution *x, int64_t now_us, struct step *step)
{
	struct fold f = {.e = e, .x = x, .step = step, .a = step->arena, .now_us = now_us};

	step->record = NULL;
	step->actions = NULL;
	step->tail = &step->actions;
	f.now = pb_timestamp(f.a, now_us);
	f.record = pb_new(f.a, ALULA_RECORD_DESC);
	return f;
}

static void fold_end(struct fold *f)
{
	struct execution *x = f->x;

	arrays_settle(f);
	resources_attach(f);
	execution_account(f->e, x);
	if (!f->changed)
		return;
	x->now_us = f->now_us;
	f->record->execution = x->id;
	f->record->seq = ++x->seq;
	f->record->id = x->command->id;
	f->step->record = f->record;
}

static void accept(struct engine *e, const AlulaInput *in, bool aborted, struct step *step)
{
	struct fold f = fold_new(e, NULL, in->time_us, step);

	if (!acceptable(in))
		return;
	f.x = execution_new(e, in->execution);
	f.x->now_us = in->time_us;
	execution_accept(&f, in->accepted, aborted);
	fold_end(&f);
}

static void step_on(struct engine *e, struct execution *x, const AlulaInput *in, struct step *step)
{
	struct fold f = fold_new(e, x, MAX(in->time_us, x->now_us), step);

	if (x->done || in->input_case >= ARRAY_SIZE(HANDLERS) || !HANDLERS[in->input_case])
		return;
	HANDLERS[in->input_case](&f, in);
	if (f.changed)
		execution_run(&f);
	fold_end(&f);
}

static void step_any(struct engine *e, const AlulaInput *in, const AlulaRecord *replayed, struct step *step)
{
	struct execution *x = u64map_get(e->executions, (uint64_t)in->execution);

	step->record = NULL;
	step->actions = NULL;
	step->tail = &step->actions;
	frames_collect(e);
	outputs_collect(e);
	if (x) {
		step_on(e, x, in, step);
	} else if (in->input_case == ALULA_INPUT_INPUT_ACCEPTED) {
		drop_tombstones(e, in->time_us);
		accept(e, in, u64map_get(e->aborted, (uint64_t)in->execution) || record_is_abort(replayed), step);
	} else if (in->input_case == ALULA_INPUT_INPUT_ABORT) {
		add_tombstone(e, in->execution, in->time_us);
	}
}

void engine_step(struct engine *e, const AlulaInput *in, struct step *step)
{
	step_any(e, in, NULL, step);
}

/* ---- reload ---- */

static enum code check_closure(struct engine *e, const AlulaInput *in, struct err *err)
{
	const AlulaStartExecution *start;

	if (in->input_case != ALULA_INPUT_INPUT_ACCEPTED || !acceptable(in) || in->accepted->unreadable)
		return OK;
	start = in->accepted->command->start;
	if (*start->recovery_uri && !start->recovery)
		return err_set(err, DATA_LOSS, "execution %lld: what it recovers is missing", (long long)in->execution);
	if (start->closure || map_get(e->closures, str_of(start->closure_digest)))
		return OK;
	return err_set(err, DATA_LOSS, "execution %lld: its compiled workflow is missing", (long long)in->execution);
}

enum code engine_replay(struct engine *e, const AlulaJournalEntry *entry, struct err *err)
{
	const AlulaInput *in = entry->input;
	const AlulaRecord *expected = entry->record;
	struct step step = {.arena = e->scratch};

	if (!in || !expected)
		return err_set(err, DATA_LOSS, "the journal entry has no input or no record");
	const struct execution *x = u64map_get(e->executions, (uint64_t)in->execution);
	int64_t seq = x ? x->seq : 0;
	if (expected->seq != seq + 1)
		return err_set(err, DATA_LOSS, "execution %lld: record %lld follows %lld", (long long)in->execution,
			       (long long)expected->seq, (long long)seq);
	enum code c = check_closure(e, in, err);
	if (c)
		return c;
	arena_reset(e->scratch);
	step_any(e, in, expected, &step);
	if (!step.record || step.record->seq != expected->seq || step.record->last != expected->last ||
	    step.record->n_events != expected->n_events)
		return err_set(err, DATA_LOSS, "execution %lld: record %lld is not what its input gives",
			       (long long)in->execution, (long long)expected->seq);
	return OK;
}

static void pending_node(struct fold *f, uint32_t i)
{
	const struct node *n = node_at(f, i);
	const struct kind *kind = node_kind(f, i);

	if (!n)
		return;
	if (kind->stop_again && node_ended_badly(n))
		kind->stop_again(f, i);
	if (n->run && kind->pending)
		kind->pending(f, i);
}

static void pending_orphan(struct fold *f, const struct orphan *o)
{
	if (o->child) {
		launch_abort_orphan(f, o);
		return;
	}
	struct action *action = action_new(f, ACTION_ABORT_ATTEMPT, END_NODE);
	action->node = o->node;
	action->attempt = o->attempt;
}

static void pending_frame(struct fold *f, struct frame *frame)
{
	for (uint32_t i = 0; i < frame->n; i++)
		pending_node(f, frame->first + i);
	/* When it is done its sources are gone, and the file is there. */
	if (frame->phase == FRAME_STORING && !f->x->done)
		frame_store(f, frame);
}

void engine_pending(struct engine *e, int64_t execution, struct step *step)
{
	struct execution *x = u64map_get(e->executions, (uint64_t)execution);
	struct fold f = fold_new(e, x, 0, step);

	frames_collect(e);
	outputs_collect(e);
	if (!x)
		return;
	if (x->due_us && !x->done && top_frame(x)->phase < FRAME_ENDING) {
		struct action *timer = action_new(&f, ACTION_SET_TIMER, 0);
		timer->timer = TIMER_EXECUTION;
		timer->at_us = x->due_us;
	}
	for (size_t i = 0; i < x->frames.n; i++)
		pending_frame(&f, x->frames.at[i]);
	for (size_t i = 0; i < x->orphans.n; i++)
		pending_orphan(&f, &x->orphans.at[i]);
	resources_pending(&f);
	if (x->going_on)
		action_new(&f, ACTION_CONTINUE, 0);
	if (x->done)
		action_new(&f, ACTION_DONE, 0);
}

void engine_forget(struct engine *e, int64_t execution)
{
	struct execution *x = u64map_remove(e->executions, (uint64_t)execution);

	frames_collect(e);
	outputs_collect(e);
	if (x)
		execution_free(e, x);
}

size_t engine_executions(const struct engine *e)
{
	return u64map_count(e->executions);
}

size_t engine_bytes(const struct engine *e)
{
	return e->bytes;
}

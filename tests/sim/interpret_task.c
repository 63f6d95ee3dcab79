/* The interpreter: tasks. */
#include "interpreter.h"

enum { SYSTEM_RETRIES = 3, MAX_ATTEMPTS = 16 };

static bool may_retry(const struct plan_node *n, uint32_t attempt, uint32_t system, bool by_system)
{
	if (by_system)
		return system < SYSTEM_RETRIES;
	return attempt + 1 - system < (n->retries ? n->retries + 1 : 1);
}

struct attempts {
	struct scope *c;
	const struct plan_node *n;
	const char *dir;
	struct val value; /* what it gives if it does */
	struct outcome o;
	/* Of its workflows, by number of the attempt: they are the same however it came to that. */
	struct outcome inside[MAX_ATTEMPTS];
	bool is_known[MAX_ATTEMPTS];
};

static void attempt(struct attempts *t, uint32_t number, uint32_t system, uint32_t hangs, int losses);

static void retry(struct attempts *t, uint32_t number, uint32_t system, uint32_t hangs, int losses, bool by_system)
{
	if (may_retry(t->n, number, system, by_system))
		attempt(t, number + 1, system + by_system, hangs, losses);
	else
		t->o.fail = true;
}

/* Its node is given up when two timeouts have passed. */
static void hang(struct attempts *t, uint32_t number, uint32_t system, uint32_t hangs, int losses)
{
	t->o.slow = true;
	t->o.timed_out |= hangs > 0 || is_racing(t->c);
	retry(t, number, system, hangs + 1, losses, false);
}

static struct outcome workflow_of(struct attempts *t, uint32_t number)
{
	struct sim *s = t->c->s;

	check(s, number < MAX_ATTEMPTS);
	if (!t->is_known[number])
		t->inside[number] =
			run_plan(t->c, plan_of_dynamic(s, t->dir, t->n->depth + 1),
				 arena_printf(s->a, "%s/%u", t->dir, number), (struct val){.kind = VAL_MISSING}, false);
	t->is_known[number] = true;
	return t->inside[number];
}

static void dynamic(struct attempts *t, uint32_t number, uint32_t system, uint32_t hangs, int losses)
{
	struct outcome o = workflow_of(t, number);

	if (o.timed_out || (t->n->timeout_us && o.slow))
		hang(t, number, system, hangs, losses);
	if (t->n->timeout_us && o.slow)
		t->o.timed_out = true;
	o.timed_out = false;
	outcome_either(&t->o, &o);
}

static void attempt(struct attempts *t, uint32_t number, uint32_t system, uint32_t hangs, int losses)
{
	const struct sim *s = t->c->s;
	struct outcome good = outcome_gives(t->value);
	bool hung = fate_of(s, t->n, t->dir, number) == FATE_HANG;

	/* It may get lost after a long while. */
	if (losses > 0)
		retry(t, number, system, hangs + hung, losses - 1, true);
	if (is_racing(t->c) && t->n->timeout_us)
		hang(t, number, system, hangs, losses);
	if (number == 0 && t->n->kind == PLAN_DYNAMIC && is_half_done(t->c->x, t->dir)) {
		dynamic(t, number, system, hangs, losses);
		return;
	}
	switch (fate_of(s, t->n, t->dir, number)) {
	case FATE_USER_ERROR: retry(t, number, system, hangs, losses, false); break;
	case FATE_SYSTEM_ERROR: retry(t, number, system, hangs, losses, true); break;
	case FATE_HANG: hang(t, number, system, hangs, losses); break;
	case FATE_SUCCESS:
		if (t->n->kind == PLAN_DYNAMIC)
			dynamic(t, number, system, hangs, losses);
		else
			outcome_either(&t->o, &good);
		break;
	default: t->o.fail = true; break;
	}
}

struct val given(const struct scope *c, const char *dir, const struct val *in, size_t n)
{
	auto_buf struct buf b = {0};

	for (size_t i = 0; i < n; i++) {
		if (val_is_vague(&in[i]))
			return (struct val){.kind = VAL_ANY};
		buf_addc(&b, ' ');
		val_text(&b, &in[i]);
	}
	return (struct val){.kind = VAL_INT, .number = given_for(c->s, dir, buf_text(&b))};
}

static struct outcome run_attempts(struct scope *c, const struct plan_node *n, const char *dir, const struct val *in,
				   size_t n_in)
{
	static const struct val ERROR = {.kind = VAL_NONE};
	struct attempts t = {.c = c, .n = n, .dir = dir};

	const char *giver = giver_of(c->s, n, dir);
	t.value = n->takes_error ? given(c, giver, &ERROR, 1) : given(c, giver, in, n_in);
	attempt(&t, 0, 0, 0, c->s->harsh ? c->s->losses_left : 0);
	return t.o;
}

static struct outcome run_nap(struct scope *c, const struct plan_node *n)
{
	struct outcome o = outcome_nothing();

	if (n->sleep_us)
		lose_patience(c, n, &o);
	return o;
}

/* ---- the cache ---- */

static enum chance chance_of(struct scope *c, const struct plan_node *n, const char *dir, const struct val *in,
			     size_t n_in)
{
	auto_buf struct buf b = {0};

	for (size_t i = 0; i < n_in; i++) {
		if (val_is_vague(&in[i]))
			return chance_of_hit(c->s, c->x, n, dir, NULL);
		buf_addc(&b, ' ');
		val_text(&b, &in[i]);
	}
	return chance_of_hit(c->s, c->x, n, dir, buf_text(&b));
}

/* What was there before, or what a workflow gave that this one recovers. */
static struct val found(const struct scope *c, const struct plan_node *n, const char *dir, const struct val *in,
			size_t n_in)
{
	if (n->kind == PLAN_ECHO)
		return in[0];
	if (n->kind == PLAN_DYNAMIC && *dir == '~')
		return (struct val){.kind = VAL_ANY};
	return given(c, giver_of(c->s, n, dir), in, n_in);
}

/* Whoever has its reservation may last. */
static bool may_wait(const struct sim *s, const struct plan_node *n)
{
	return is_cached(s, n) && n->serialize && !s->overwrite && s->shares_keys && s->cruelty;
}

struct outcome run_task(struct scope *c, const struct plan_node *n, const char *dir, const struct val *in, size_t n_in)
{
	enum chance hit = chance_of(c, n, dir, in, n_in);
	struct outcome o = {0};

	if (hit != CHANCE_NONE)
		o = outcome_gives(found(c, n, dir, in, n_in));
	if (hit == CHANCE_SURE)
		return o;
	struct outcome runs = n->kind == PLAN_ECHO  ? outcome_gives(in[0])
			      : n->kind == PLAN_NAP ? run_nap(c, n)
						    : run_attempts(c, n, dir, in, n_in);
	outcome_either(&o, &runs);
	o.slow |= may_wait(c->s, n);
	return o;
}

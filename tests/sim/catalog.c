/* The cache: what tasks gave before, who may make what is not there, and what that means for nodes that ask. */
#include "sim.h"

enum answer { NO_ANSWER, ANSWER_HIT, ANSWER_MISS };

/* A node that has asked. */
struct asked {
	struct exec *exec;
	const char *dir, *key, *version, *owner;
	const CoreLiteralMap *inputs;
	uint32_t node;
	bool serialize;
	enum answer answer; /* the last one on its way */
	bool committed;     /* the answer */
	bool reserved, failed, waits, released, began;
};

/* Who makes what has this key. */
struct reservation {
	const struct asked *by; /* NULL: nobody */
	bool held;              /* somebody sees to it that it does not expire */
	VEC(struct asked *) waiting;
};

/* ---- keys ---- */

bool is_cached(const struct sim *s, const struct plan_node *n)
{
	return s->caching && n->version;
}

static bool is_own(const struct sim *s, const char *version)
{
	return !s->shares_keys || str_starts(str_of(version), "dynamic");
}

const char *giver_of(const struct sim *s, const struct plan_node *n, const char *dir)
{
	return n->version && !is_own(s, n->version) ? n->version : dir;
}

static const char *key_of(struct sim *s, const char *version, const char *dir, const char *inputs)
{
	return arena_printf(s->a, "%s %s gets%s", version, is_own(s, version) ? without_fortune(dir) : "", inputs);
}

/* Somebody made it before this world began. */
static bool is_old(const struct sim *s, const char *version, const char *key)
{
	return !str_starts(str_of(version), "nap") && oracle(s, "cached", key, 0) % 5 == 0;
}

enum chance chance_of_hit(struct sim *s, const struct exec *x, const struct plan_node *n, const char *dir,
			  const char *inputs)
{
	if (!is_cached(s, n) || s->overwrite || n->kind == PLAN_NAP || is_half_done(x, dir))
		return CHANCE_NONE;
	if (inputs && is_old(s, n->version, key_of(s, n->version, dir, inputs)))
		return s->catalog_away ? CHANCE_SOME : CHANCE_SURE;
	return inputs && is_own(s, n->version) && *dir != '~' ? CHANCE_NONE : CHANCE_SOME;
}

/* Where an attempt would write tells the place. */
static const char *dir_of(struct sim *s, const struct exec *x, const struct cache_ask *c)
{
	const char *below = c->outputs_uri + strlen(x->root);
	const char *file = strrchr(below, '/'), *attempt = file;

	check(s, str_starts(str_of(c->outputs_uri), x->root) && strcmp(file, "/outputs.pb") == 0);
	while (*--attempt != '/')
		check(s, attempt > below);
	return arena_printf(s->a, "%s%.*s", x->dir, (int)(attempt - below), below);
}

static struct asked *asked_at(const struct exec *x, const char *dir)
{
	return map_get(x->asked, str_of(dir));
}

static struct asked *ask(struct sim *s, struct exec *x, const struct action *action)
{
	const struct cache_ask *c = action->cache;
	const char *dir = dir_of(s, x, c);
	struct asked *a = asked_at(x, dir);
	auto_buf struct buf inputs = {0};

	check(s, s->caching && c->overwrite == s->overwrite);
	if (a) {
		check(s, strcmp(a->owner, c->owner) == 0 && a->node == action->node);
		return a;
	}
	a = arena_new_of(s->a, struct asked);
	a->exec = x;
	a->dir = dir;
	a->version = arena_strdup(s->a, c->version);
	a->owner = arena_strdup(s->a, c->owner);
	a->inputs = store_resolve(s, c->inputs, c->n_inputs);
	for (size_t i = 0; i < a->inputs->n_literals; i++) {
		buf_addc(&inputs, ' ');
		literal_text(&inputs, a->inputs->literals[i]->value);
	}
	a->key = key_of(s, a->version, dir, buf_text(&inputs));
	a->node = action->node;
	a->serialize = c->serialize;
	map_put(x->asked, str_of(dir), a);
	return a;
}

/* ---- answers ---- */

static bool is_away(struct sim *s)
{
	return s->catalog_away && one_in(s, 3);
}

static CoreLiteralMap *found(struct sim *s, const struct asked *a)
{
	CoreLiteralMap *m = map_get(s->catalog, str_of(a->key));
	CoreLiteral *l;

	if (m || !is_old(s, a->version, a->key))
		return m;
	if (str_starts(str_of(a->version), "echo"))
		l = a->inputs->literals[0]->value;
	else
		l = int_literal(s->a, given_for(s, is_own(s, a->version) ? a->dir : a->version,
						strstr(a->key, "gets") + strlen("gets")));
	m = add_literal(s->a, NULL, "o0", l);
	map_put(s->catalog, str_of(a->key), m);
	return m;
}

static void answer_hit(struct sim *s, struct asked *a, CoreLiteralMap *m)
{
	const char *uri = arena_printf(s->a, "%s%s/0/outputs.pb", a->exec->root, a->dir + strlen(a->exec->dir));
	bool inside = str_starts(str_of(a->version), "echo") && one_in(s, 2);

	a->answer = ANSWER_HIT;
	if (!inside)
		store_put(s, uri, m);
	post(s, later(s, 3),
	     cache_hit(s->a, a->exec->id, a->node, 0, inside || one_in(s, 2) ? m : NULL, inside ? "" : uri),
	     MAIL_INTERNAL);
}

static void answer_miss(struct sim *s, struct asked *a, bool reserved, bool failed)
{
	a->answer = ANSWER_MISS;
	a->reserved = reserved;
	a->failed = failed;
	post(s, later(s, 3), cache_missed(s->a, a->exec->id, a->node, 0, reserved, failed ? "down" : ""),
	     MAIL_INTERNAL);
}

static struct reservation *reservation_of(struct sim *s, const char *key)
{
	struct reservation *r = map_get(s->reservations, str_of(key));

	if (r)
		return r;
	r = arena_new_of(s->a, struct reservation);
	map_put(s->reservations, str_of(key), r);
	return r;
}

static void wait_for(struct sim *s, struct asked *a, struct reservation *r)
{
	seen->cache_waits += !a->waits;
	a->waits = true;
	vec_push(&r->waiting, a);
	if (one_in(s, 2))
		post(s, s->now_us + 1, cache_waiting(s->a, a->exec->id, a->node, 0), MAIL_INTERNAL);
}

static void answer(struct sim *s, struct asked *a)
{
	struct reservation *r = a->serialize ? reservation_of(s, a->key) : NULL;
	CoreLiteralMap *m = found(s, a);

	if (is_away(s)) {
		answer_miss(s, a, false, true);
	} else if (m) {
		answer_hit(s, a, m);
	} else if (!r) {
		answer_miss(s, a, false, false);
	} else if (r->by && r->by != a) {
		wait_for(s, a, r);
	} else {
		r->by = a;
		r->held = true;
		answer_miss(s, a, true, false);
	}
}

/* It is made now, or never will be: those that wait look again. */
static void give_back(struct sim *s, struct reservation *r)
{
	struct asked **waiting = r->waiting.at;
	size_t n = r->waiting.n;

	r->by = NULL;
	memset(&r->waiting, 0, sizeof r->waiting);
	for (size_t i = 0; i < n; i++) {
		waiting[i]->waits = false;
		answer(s, waiting[i]);
	}
	free(waiting);
}

/* ---- what the engine asks for ---- */

static void look_up(struct sim *s, struct exec *x, const struct action *action)
{
	struct asked *a = ask(s, x, action);

	check(s, action->attempt == 0 && !s->overwrite && !a->committed && !a->began);
	check(s, s->restarting || (a->answer == NO_ANSWER && !a->waits));
	if (!a->waits)
		answer(s, a);
}

static void hold(struct sim *s, struct exec *x, const struct action *action)
{
	const struct asked *a = ask(s, x, action);
	struct reservation *r = reservation_of(s, a->key);

	check(s, s->restarting && a->serialize && a->reserved && r->by == a);
	r->held = true;
}

static void release(struct sim *s, struct exec *x, const struct action *action)
{
	struct asked *a = ask(s, x, action);
	struct reservation *r = reservation_of(s, a->key);

	check(s, !a->released && !s->restarting);
	a->released = true;
	a->waits = false;
	for (size_t i = r->waiting.n; i-- > 0;)
		if (r->waiting.at[i] == a)
			vec_swap_remove(&r->waiting, i);
	if (r->by == a)
		give_back(s, r);
}

static void put(struct sim *s, struct exec *x, const struct action *action)
{
	const struct asked *a = ask(s, x, action);
	const struct place *place = place_at(x, a->dir);
	CoreLiteralMap *out = store_resolve(s, action->cache->outputs, action->cache->n_outputs);
	const char *inputs = strstr(a->key, "gets") + strlen("gets");
	bool fails = is_away(s);

	check(s, place && place->node->version && strcmp(place->node->version, a->version) == 0);
	check(s, out->n_literals == 1 && strcmp(out->literals[0]->key, "o0") == 0);
	if (place->node->kind == PLAN_TASK) {
		struct val v = {.kind = VAL_INT, .number = given_for(s, giver_of(s, place->node, place->dir), inputs)};
		check(s, val_fits(&v, out->literals[0]->value));
	}
	if (place->node->kind != PLAN_ECHO)
		check_attempt_over(s, action);
	check(s, !a->reserved || reservation_of(s, a->key)->by == a);
	check(s, action->cache->source->retry_attempt == (place->array ? 0 : action->attempt));
	if (!fails)
		map_put(s->catalog, str_of(a->key), out);
	post(s, later(s, 2),
	     cache_put(s->a, x->id, action->node, action->attempt,
		       fails ? CORE_CATALOG_CACHE_STATUS_CACHE_PUT_FAILURE : CORE_CATALOG_CACHE_STATUS_CACHE_POPULATED),
	     MAIL_INTERNAL);
}

void catalog_act(struct sim *s, struct exec *x, const struct action *action)
{
	if (action->kind == ACTION_CACHE_LOOKUP)
		look_up(s, x, action);
	else if (action->kind == ACTION_CACHE_HOLD)
		hold(s, x, action);
	else if (action->kind == ACTION_CACHE_RELEASE)
		release(s, x, action);
	else
		put(s, x, action);
}

/* ---- crashes ---- */

/* Whoever waited and held is gone. */
void catalog_crash(struct sim *s)
{
	size_t it = 0;
	void *value;

	while (map_next(s->reservations, &it, NULL, &value)) {
		struct reservation *r = value;
		for (size_t i = 0; i < r->waiting.n; i++)
			r->waiting.at[i]->waits = false;
		vec_clear(&r->waiting);
		r->held = false;
	}
}

/* What nobody holds any more expires. */
void catalog_expire(struct sim *s)
{
	size_t it = 0;
	void *value;

	while (map_next(s->reservations, &it, NULL, &value)) {
		struct reservation *r = value;
		if (!r->by || r->held)
			continue;
		if (node_runs(s, r->by->exec, r->by->node))
			sim_fail(s, "node %s runs without its reservation", r->by->dir);
		give_back(s, r);
	}
}

void catalog_committed(struct sim *s, const AlulaInput *in)
{
	size_t it = 0;
	void *value;

	if (in->input_case != ALULA_INPUT_INPUT_CACHE_ANSWERED ||
	    in->cache_answered->answer_case == ALULA_CACHE_ANSWERED_ANSWER_WAITING)
		return;
	while (map_next(exec_of(s, in->execution)->asked, &it, NULL, &value)) {
		struct asked *a = value;
		a->committed |= a->node == in->cache_answered->node;
	}
}

void catalog_free(struct sim *s)
{
	size_t it = 0;
	void *value;

	while (map_next(s->reservations, &it, NULL, &value))
		vec_free(&((struct reservation *)value)->waiting);
	map_free(s->reservations);
	map_free(s->catalog);
}

/* ---- checks ---- */

/* An attempt begins, or is found again: the cache has been asked, and has nothing. */
void check_cached_start(struct sim *s, struct exec *x, const struct place *p, const struct attempt *attempt)
{
	struct asked *a = asked_at(x, p->dir);

	if (!is_cached(s, p->node) || s->overwrite || is_half_done(x, p->dir)) {
		check(s, !a || s->overwrite || is_half_done(x, p->dir));
		return;
	}
	if (!a || !a->committed)
		sim_fail(s, "node %s runs before the cache has answered", p->dir);
	if (a->answer != ANSWER_MISS)
		sim_fail(s, "node %s runs, although the cache has what it gives", p->dir);
	check(s, attempt->attempt || strcmp(a->owner, attempt->unique_name) == 0);
	check(s, strcmp(a->version, p->node->version) == 0 && a->serialize == p->node->serialize);
	if (a->reserved && !(reservation_of(s, a->key)->by == a && reservation_of(s, a->key)->held))
		sim_fail(s, "node %s runs, but its reservation is not its own", p->dir);
	a->began = true;
}

void check_nothing_reserved(struct sim *s, const struct exec *x)
{
	size_t it = 0;
	void *value;

	while (map_next(x->asked, &it, NULL, &value)) {
		const struct asked *a = value;
		const struct reservation *r = reservation_of(s, a->key);
		if (a->waits || (r->by == a && r->held))
			sim_fail(s, "node %s %s when its execution is over", a->dir,
				 a->waits ? "waits for the cache" : "has a reservation");
	}
}

static void check_status(struct sim *s, struct exec *x, const struct place *p, CoreCatalogCacheStatus status)
{
	const struct asked *a = asked_at(x, p->dir);
	bool hit = status == CORE_CATALOG_CACHE_STATUS_CACHE_HIT;
	bool answered = s->now->input_case == ALULA_INPUT_INPUT_CACHE_PUT;

	check(s, hit == (a && a->answer == ANSWER_HIT));
	check(s, !hit || a->committed);
	seen->hits += hit;
	if (hit)
		return;
	seen->puts++;
	/* A put was tried, if there is anything to put. */
	if (p->node->kind == PLAN_NAP)
		check(s, status == CORE_CATALOG_CACHE_STATUS_CACHE_DISABLED);
	else
		check(s, answered && a && s->now->cache_put->node == a->node && status == s->now->cache_put->status);
}

static void check_running(struct sim *s, struct exec *x, const struct place *p, const EventTaskNodeMetadata *m)
{
	const struct asked *a = asked_at(x, p->dir);
	CoreCatalogCacheStatus status = CORE_CATALOG_CACHE_STATUS_CACHE_DISABLED;

	if (a && a->failed)
		status = CORE_CATALOG_CACHE_STATUS_CACHE_LOOKUP_FAILURE;
	else if (s->overwrite)
		status = CORE_CATALOG_CACHE_STATUS_CACHE_SKIPPED;
	check(s, m && m->cache_status == status);
	check(s, (m->reservation_status == CORE_CATALOG_RESERVATION_STATUS_RESERVATION_ACQUIRED) == (a && a->reserved));
}

void check_cached_node(struct sim *s, struct exec *x, const struct place *p, const EventNodeExecutionEvent *e)
{
	bool has = e->target_metadata_case == EVENT_NODE_EXECUTION_EVENT_TARGET_METADATA_TASK_NODE_METADATA;
	const EventTaskNodeMetadata *m = has ? e->task_node_metadata : NULL;

	if (!p->node || !is_cached(s, p->node)) {
		check(s, !m || e->phase == CORE_NODE_EXECUTION_PHASE_RECOVERED || !m->cache_status);
		return;
	}
	if (e->phase == CORE_NODE_EXECUTION_PHASE_SUCCEEDED)
		check_status(s, x, p, m ? m->cache_status : CORE_CATALOG_CACHE_STATUS_CACHE_DISABLED);
	if (e->phase == CORE_NODE_EXECUTION_PHASE_RUNNING && !is_half_done(x, p->dir))
		check_running(s, x, p, m);
}

void check_cached_item(struct sim *s, struct exec *x, const struct place *array, const EventExternalResourceInfo *info)
{
	const struct place *p = place_at(x, arena_printf(s->scratch, "%s/0/%u", array->dir, info->index));

	if (!p || info->phase != CORE_TASK_EXECUTION_PHASE_SUCCEEDED || !is_cached(s, p->node) ||
	    item_left(x, array->node, array->dir, info->index))
		check(s, !info->cache_status);
	else
		check_status(s, x, p, info->cache_status);
}

bool is_hit(const struct exec *x, const struct place *p)
{
	const struct asked *a = asked_at(x, p->dir);

	return a && a->committed && a->answer == ANSWER_HIT;
}

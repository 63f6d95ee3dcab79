/* Which connector has which task types: they are asked at the start and now and then.
 * Source: flyteplugins webapi/connector/client.go: getConnectorRegistry (v1.16.8). */
#include "connector.h"
#include "flyteidl/service/agent.h"

enum { START_PATIENCE_US = 3000000 };

static const char ROUND_ROBIN[] = "{\"loadBalancingConfig\": [{\"round_robin\":{}}]}";

/* One ListAgents and its answer. */
struct discovery {
	struct registry *registry;
	struct connector *connector;
	struct arena *arena;
	enum code code;
	AdminListAgentsResponse *answer;
	struct err err;
	struct discovery *next;
};

/* ---- what is known ---- */

static void forget(struct registry *r, const struct connector *c)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->categories.n; i++) {
		if (r->categories.at[i].connector == c)
			free(r->categories.at[i].name);
		else
			r->categories.at[kept++] = r->categories.at[i];
	}
	r->categories.n = kept;
}

static void learn(struct registry *r, struct connector *c, const char *name, int32_t version, bool is_sync)
{
	vec_each (const struct category *, known, &r->categories)
		if (known->connector == c && known->version == version && strcmp(known->name, name) == 0)
			return;
	vec_push(&r->categories, (struct category){x_strdup(name), version, is_sync, c});
}

static void take_answer(struct registry *r, const struct discovery *d)
{
	const AdminListAgentsResponse *answer = d->answer;

	/* One that does not know the call is as good as one that has nothing to say. */
	if (d->code && d->code != UNIMPLEMENTED) {
		if (!d->connector->answered || d->connector->why_not.code == OK)
			log_warn("a connector does not say which task types it has",
				 LOG_STR("endpoint", d->connector->endpoint), LOG_ERR(&d->err));
		d->connector->why_not = d->err;
		d->connector->why_not.code = d->code;
		return;
	}
	if (!d->connector->answered || d->connector->why_not.code)
		log_info("connector found", LOG_STR("endpoint", d->connector->endpoint),
			 LOG_INT("agents", answer ? answer->n_agents : 0));
	d->connector->answered = true;
	d->connector->why_not.code = OK;
	forget(r, d->connector);
	for (size_t i = 0; answer && i < answer->n_agents; i++) {
		const AdminAgent *agent = answer->agents[i];
		for (size_t k = 0; k < agent->n_supported_task_categories; k++)
			learn(r, d->connector, agent->supported_task_categories[k]->name,
			      agent->supported_task_categories[k]->version, agent->is_sync);
		for (size_t k = 0; k < agent->n_supported_task_types; k++)
			learn(r, d->connector, agent->supported_task_types[k], 0, agent->is_sync);
	}
}

static void take_answers(void *arg)
{
	struct registry *r = arg;

	pthread_mutex_lock(&r->lock);
	struct discovery *d = take(r->inbox);
	pthread_mutex_unlock(&r->lock);
	while (d) {
		struct discovery *next = d->next;
		take_answer(r, d);
		arena_free(d->arena);
		d = next;
	}
}

/* ---- asking ---- */

/* On the thread of RPCs. */
static void on_answer(void *arg, enum code code, void *message, const struct err *err)
{
	struct discovery *d = arg;
	struct registry *r = d->registry;

	d->code = code;
	d->answer = message;
	d->err = *err;
	pthread_mutex_lock(&r->lock);
	d->next = r->inbox;
	r->inbox = d;
	r->asked--;
	pthread_cond_signal(&r->answered);
	pthread_mutex_unlock(&r->lock);
	loop_post(r->x->host.loop, take_answers, r);
}

void registry_refresh(struct registry *r)
{
	static const AdminListAgentsRequest NOTHING = ADMIN_LIST_AGENTS_REQUEST_INIT;
	const void *in[] = {&NOTHING};

	pthread_mutex_lock(&r->lock);
	bool busy = r->asked > 0;
	r->asked += busy ? 0 : r->connectors.n;
	pthread_mutex_unlock(&r->lock);
	if (busy)
		return;
	vec_each (struct connector **, c, &r->connectors) {
		struct arena *a = arena_new(0);
		struct discovery *d = arena_new_of(a, struct discovery);
		d->registry = r;
		d->connector = *c;
		d->arena = a;
		rpc_start(r->x->calls, (*c)->channel, r->x->list, in, 1, connector_timeout(*c, "ListAgents"), a,
			  on_answer, d);
	}
}

void registry_wait(struct registry *r)
{
	int64_t until_us = time_mono_us() + START_PATIENCE_US;

	pthread_mutex_lock(&r->lock);
	while (r->asked > 0 && cond_wait_until(&r->answered, &r->lock, until_us))
		continue;
	pthread_mutex_unlock(&r->lock);
	take_answers(r);
}

/* ---- finding ---- */

static struct connector *configured(struct registry *r, const char *type)
{
	for (size_t i = 0; i < r->for_task_types.n; i++) {
		if (strcasecmp(r->for_task_types.at[i].key, type) != 0)
			continue;
		vec_each (struct connector **, c, &r->connectors)
			if (strcasecmp((*c)->id, r->for_task_types.at[i].value) == 0)
				return *c;
	}
	return NULL;
}

static bool of_fallback(const struct registry *r, const char *type)
{
	for (size_t i = 0; r->fallback && i < r->task_types.n; i++)
		if (strcasecmp(r->task_types.at[i], type) == 0)
			return true;
	return false;
}

/* Its category at `c` (NULL: at anyone), best with this version. */
static const struct category *category_of(const struct registry *r, const struct connector *c, const char *type,
					  int32_t version)
{
	const struct category *found = NULL;

	vec_each (const struct category *, k, &r->categories) {
		if (strcmp(k->name, type) != 0 || (c && k->connector != c))
			continue;
		if (k->version == version)
			return k;
		found = found ? found : k;
	}
	return found;
}

struct connector *registry_find(struct registry *r, const char *type, int32_t version, bool *ret_sync)
{
	struct connector *chosen = configured(r, type);
	const struct category *k = category_of(r, chosen, type, version);

	*ret_sync = k && k->is_sync;
	if (chosen)
		return chosen;
	if (k)
		return k->connector;
	return of_fallback(r, type) ? r->fallback : NULL;
}

int32_t registry_version(const struct registry *r, const struct connector *c, const char *type, int32_t version)
{
	const struct category *k = category_of(r, c, type, version);

	return k ? k->version : version;
}

struct connector *registry_at(struct registry *r, const char *endpoint)
{
	vec_each (struct connector **, c, &r->connectors)
		if (strcmp((*c)->endpoint, endpoint) == 0)
			return *c;
	return NULL;
}

bool registry_incomplete(const struct registry *r, struct buf *ret_who)
{
	bool is = false;

	vec_each (struct connector *const *, c, &r->connectors) {
		if ((*c)->answered)
			continue;
		buf_printf(ret_who, "%sconnector %s at %s has not said which types it has (ListAgents: %s)",
			   is ? "; " : "", (*c)->id, (*c)->endpoint,
			   (*c)->why_not.code ? (*c)->why_not.text : "no answer yet");
		is = true;
	}
	return is;
}

/* ---- life ---- */

enum code registry_open(struct registry *r, struct executor *x, const struct connectors_config *config, struct err *err)
{
	r->x = x;
	r->arena = arena_new(0);
	pthread_mutex_init(&r->lock, NULL);
	cond_init_mono(&r->answered);
	enum code code = connectors_read(config, r, err);
	if (code)
		return code;
	vec_each (struct connector **, at, &r->connectors) {
		struct connector *c = *at;
		c->channel = rpc_channel_new(&(struct rpc_channel_options){
			.target = c->endpoint,
			.name = arena_printf(r->arena, "connector %s", c->id),
			.tls = !c->insecure,
			.roots_file = c->roots_file,
			.server_name = c->server_name,
			.service_config = *c->service_config ? c->service_config : ROUND_ROBIN,
		});
	}
	return OK;
}

void registry_free(struct registry *r)
{
	while (r->inbox) {
		struct discovery *next = r->inbox->next;
		arena_free(r->inbox->arena);
		r->inbox = next;
	}
	vec_each (struct connector **, c, &r->connectors) {
		forget(r, *c);
		if ((*c)->channel)
			rpc_channel_free((*c)->channel);
	}
	vec_free(&r->connectors);
	vec_free(&r->categories);
	pthread_cond_destroy(&r->answered);
	pthread_mutex_destroy(&r->lock);
	arena_free(r->arena);
}

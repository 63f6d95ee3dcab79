#include "acts.h"

#include "base/base.h"
#include "cacher.h"
#include "flyte/shard.h"
#include "futures.h"
#include "launcher.h"
#include "offload.h"
#include "pb/pb.h"
#include "plugins.h"
#include "recovery.h"
#include "timers.h"
#include "values.h"

enum { FIRST_PAUSE_US = 250000, MAX_PAUSE_US = 10000000 };

struct acts {
	struct propeller *p;
	struct executor_host host;
	struct plugins *plugins;
	struct rpc_channel *admin;
	struct launcher *launcher;
	struct cacher *cacher;
	struct timers *timers;
};

static void feed(void *arg, const AlulaInput *in)
{
	struct propeller *p = arg;
	AlulaInput stamped = *in;

	stamped.time_us = time_now_us();
	stamped.seed = random_u64();
	core_feed(p->core, &stamped);
}

static void on_timer(void *arg, const struct timer *t)
{
	AlulaTimerFired fired = ALULA_TIMER_FIRED_INIT;
	AlulaInput in = ALULA_INPUT_INIT;

	fired.timer = t->timer;
	fired.node = t->node;
	fired.attempt = t->attempt;
	in.execution = t->execution;
	in.input_case = ALULA_INPUT_INPUT_TIMER_FIRED;
	in.timer_fired = &fired;
	feed(arg, &in);
}

/* ---- values that the engine could not put together itself ---- */

struct storing {
	struct propeller *p;
	int64_t execution;
	uint32_t node;
	bool awaited, offload;
	char *uri;
	struct buf data; /* once they are put together */
	int64_t pause_us;
	struct loop_timer *timer; /* while it waits to write again */
};

static void stored(struct storing *s, AlulaOutputsStored *result)
{
	AlulaInput in = ALULA_INPUT_INIT;

	result->node = s->node;
	in.execution = s->execution;
	in.input_case = ALULA_INPUT_INPUT_OUTPUTS_STORED;
	in.outputs_stored = result;
	if (s->awaited)
		feed(s->p, &in);
	buf_clear(&s->data);
	free(s->uri);
	free(s);
}

static void storing_failed(struct storing *s, const struct err *err)
{
	AlulaOutputsStored result = ALULA_OUTPUTS_STORED_INIT;
	CoreExecutionError error = CORE_EXECUTION_ERROR_INIT;

	error.code = (char *)values_error_code(err->code, "OutputsNotFound");
	error.message = (char *)err->text;
	error.kind = CORE_EXECUTION_ERROR_ERROR_KIND_SYSTEM;
	result.result_case = ALULA_OUTPUTS_STORED_RESULT_ERROR;
	result.error = &error;
	stored(s, &result);
}

static void write_again(void *arg);

static void wait_on_loop(void *arg)
{
	struct storing *s = arg;

	s->pause_us = s->pause_us ? MIN(s->pause_us * 2, (int64_t)MAX_PAUSE_US) : FIRST_PAUSE_US;
	s->timer = loop_timer_new(s->p->loop, "values", write_again, s);
	loop_timer_set(s->timer, s->pause_us);
}

static void on_written(void *arg, enum code code, const struct err *err)
{
	static struct log_limit limit;
	struct storing *s = arg;
	AlulaOutputsStored result = ALULA_OUTPUTS_STORED_INIT;
	AlulaAttemptOutputs outputs = ALULA_ATTEMPT_OUTPUTS_INIT;
	size_t held;

	/* A full disk is nobody's workflow. */
	if (code == UNAVAILABLE) {
		if (log_allow(&limit, 10 * USEC_PER_SEC, &held))
			log_warn("values cannot be stored; trying again", LOG_INT("execution", s->execution),
				 LOG_ERR(err), LOG_INT("held_back", held));
		loop_post(s->p->loop, wait_on_loop, s);
		return;
	}
	if (code) {
		storing_failed(s, err);
		return;
	}
	outputs.uri = s->uri;
	outputs.size_bytes = (int64_t)s->data.len;
	result.result_case = ALULA_OUTPUTS_STORED_RESULT_OUTPUTS;
	result.outputs = &outputs;
	stored(s, &result);
}

static void write_values(struct storing *s)
{
	store_write(s->p->store, s->uri, buf_str(&s->data), on_written, s);
}

static void write_again(void *arg)
{
	struct storing *s = arg;

	loop_timer_free(take(s->timer));
	write_values(s);
}

static void on_collected(void *arg, enum code code, struct str literals, const struct err *err)
{
	struct storing *s = arg;
	struct err why = *err;

	if (!code && s->offload)
		code = offload_outputs(s->p, literals, s->uri, &s->data, &why);
	else if (!code)
		buf_add_str(&s->data, literals);
	if (code)
		storing_failed(s, &why);
	else
		write_values(s);
}

static void store_values(struct acts *a, const struct action *action)
{
	struct storing *s = x_calloc(1, sizeof *s);

	s->p = a->p;
	s->execution = action->execution;
	s->node = action->node;
	s->awaited = action->kind == ACTION_STORE_OUTPUTS;
	s->offload = action->may_offload && a->p->config->offload_enabled;
	s->uri = x_strdup(action->uri);
	values_collect(a->p->store, action->values, action->n_values, (size_t)a->p->config->max_output_bytes,
		       on_collected, s);
}

/* ---- one action ---- */

static void start_attempt(struct acts *a, const struct action *action, bool restarted)
{
	struct attempt_id id = {action->execution, action->node, action->attempt};
	bool foreign = atomic_load(&a->p->foreign) >> execution_shard(action->execution) & 1;
	struct err err;
	struct installed *plugin;

	if (plugins_choose(a->plugins, action->start, &plugin, &err) != OK)
		plugins_refuse(&a->host, id, &err);
	else if (restarted)
		plugin->kind->reattach(plugin->x, id, action->start, foreign ? ATTEMPT_FOREIGN : ATTEMPT_RELOADED);
	else
		plugin->kind->start(plugin->x, id, action->start);
}

static void act(struct acts *a, const struct action *action, bool restarted)
{
	struct attempt_id id = {action->execution, action->node, action->attempt};
	struct item *item;

	switch (action->kind) {
	case ACTION_START_ATTEMPT: start_attempt(a, action, restarted); break;
	case ACTION_ABORT_ATTEMPT: plugins_abort(a->plugins, id, action->resource); break;
	case ACTION_WATCH_ATTEMPT: plugins_event(a->plugins, id); break;
	case ACTION_SET_TIMER:
		timers_add(a->timers, (struct timer){action->at_us, action->execution, action->timer, action->node,
						     action->attempt});
		break;
	case ACTION_STORE_OUTPUTS:
	case ACTION_STORE_INPUTS: store_values(a, action); break;
	case ACTION_READ_VALUES:
		values_read(a->p->store, a->p->loop, action, (size_t)a->p->config->max_output_bytes, feed, a->p);
		break;
	case ACTION_LAUNCH: launcher_launch(a->launcher, id, action->child); break;
	case ACTION_ABORT_CHILD: launcher_abort(a->launcher, action->child); break;
	case ACTION_COMPILE_FUTURES:
		recovery_compile(&a->host, id, action->start, action->uri, (size_t)a->p->config->max_output_bytes);
		break;
	case ACTION_CACHE_LOOKUP:
	case ACTION_CACHE_PUT:
	case ACTION_CACHE_HOLD:
	case ACTION_CACHE_RELEASE: cacher_act(a->cacher, action); break;
	case ACTION_CONTINUE: break; /* the core goes on by itself */
	case ACTION_DONE:
		plugins_finalise(a->plugins, action->execution);
		timers_forget(a->timers, action->execution);
		/* Only now: actions before this one still looked at the execution's state. */
		item = item_new(ITEM_FORGET);
		item->execution = action->execution;
		core_push(a->p->core, item);
		break;
	}
}

struct posted {
	struct acts *acts;
	struct cycle *cycle;
};

static void run_cycle(void *arg)
{
	struct posted *posted = arg;
	struct cycle *cycle = posted->cycle;

	vec_each (struct action **, list, &cycle->actions)
		for (const struct action *action = *list; action; action = action->next)
			act(posted->acts, action, cycle->restarted);
	cycle_unref(cycle);
	free(posted);
}

void acts_post(struct acts *a, struct cycle *cycle)
{
	if (cycle->actions.n == 0) {
		cycle_unref(cycle);
		return;
	}
	struct posted *posted = x_malloc(sizeof *posted);
	*posted = (struct posted){a, cycle};
	loop_post(a->p->loop, run_cycle, posted);
}

struct acts *acts_new(struct propeller *p)
{
	struct acts *a = x_calloc(1, sizeof *a);

	a->p = p;
	a->timers = timers_new(p->loop, on_timer, p);
	a->host = (struct executor_host){
		.loop = p->loop,
		.store = p->store,
		.metrics = p->metrics,
		.propeller = p->name,
		.epoch = p->epoch,
		.arg = p,
		.feed = feed,
	};
	return a;
}

enum code acts_open(struct acts *a, struct err *err)
{
	a->host.epoch = a->p->epoch;
	a->admin =
		rpc_channel_new(&(struct rpc_channel_options){.target = a->p->config->admin_endpoint, .name = "admin"});
	a->host.futures = futures_new(a->p->store, a->admin, a->p->loop);
	a->launcher = launcher_new(&a->host, a->admin, (size_t)a->p->config->max_output_bytes);
	enum code c = cacher_new(a->p, &a->host, &a->cacher, err);
	if (c)
		return c;
	return plugins_open(&a->host, a->p->config, a->p->executors, &a->plugins, err);
}

void acts_close(struct acts *a)
{
	if (a)
		plugins_close(take(a->plugins));
}

void acts_free(struct acts *a)
{
	if (!a)
		return;
	/* First whoever calls back. */
	futures_free(a->host.futures);
	launcher_free(a->launcher);
	cacher_free(a->cacher);
	acts_close(a);
	if (a->admin)
		rpc_channel_free(a->admin);
	timers_free(a->timers);
	free(a);
}

#include "futures.h"

#include <pthread.h>

#include "base/base.h"
#include "compiler/compiler.h"
#include "flyte/dynamic.h"
#include "flyte/types.h"
#include "flyteidl/admin/common.h"
#include "flyteidl/admin/launch_plan.h"
#include "flyteidl/service/admin.h"
#include "pb/pb.h"

enum {
	VERSION_LETTERS = 10,
	THREADS = 2,
	QUEUED = 4096,
	CALL_TIMEOUT_US = 5000000,
	FIRST_PAUSE_US = 100000,
	MAX_PAUSE_US = 10000000,
};

struct futures {
	struct store *store;
	struct rpc_channel *admin;
	const struct pb_method *get_launch_plan;
	struct loop *loop;
	struct futures_request *waiting; /* to be tried again; on the loop */
	struct queue *queue;
	pthread_t threads[THREADS];
};

static void submit(struct futures_request *rq);

/* One request under way. */
struct compiling {
	struct futures *futures;
	struct futures_request *rq;
	struct arena *arena;
	CoreDynamicJobSpec *spec;
	struct launch_plan_interface *launch_plans;
	size_t n_launch_plans;
};

static char *spec_uri(const struct futures_request *rq, struct arena *a)
{
	return rq->spec_uri ? (char *)rq->spec_uri : arena_printf(a, "%s/" FUTURES_FILE, rq->output_prefix);
}

static enum code read_spec(struct compiling *c, struct err *err)
{
	auto_buf struct buf b = {0};
	const char *uri = spec_uri(c->rq, c->arena);
	enum code code = store_get(c->futures->store, uri, c->rq->max_bytes, &b, err);

	if (!code)
		code = pb_unpack(CORE_DYNAMIC_JOB_SPEC_DESC, buf_str(&b), c->arena, (void **)&c->spec, err);
	return code ? err_prefix(err, code, "%s: ", uri) : OK;
}

static enum code get_launch_plan(struct compiling *c, const CoreIdentifier *id, struct err *err)
{
	AdminObjectGetRequest get = ADMIN_OBJECT_GET_REQUEST_INIT;
	AdminLaunchPlan *plan = NULL;

	get.id = (CoreIdentifier *)id;
	enum code code = rpc_call(c->futures->admin, c->futures->get_launch_plan, &get, CALL_TIMEOUT_US, c->arena,
				  (void **)&plan, err);
	/* Whatever keeps admin from answering says nothing of the workflow. */
	if (code)
		return err_prefix(err, rpc_may_pass(code, err) ? UNAVAILABLE : code, "launch plan %s:%s: ", id->name,
				  id->version);
	c->launch_plans[c->n_launch_plans++] = (struct launch_plan_interface){
		.id = id,
		.inputs = plan->closure ? plan->closure->expected_inputs : NULL,
		.outputs = plan->closure ? plan->closure->expected_outputs : NULL,
	};
	return OK;
}

static enum code compile(struct compiling *c, CoreCompiledWorkflowClosure **ret, struct err *err)
{
	struct requirements needed = {0};
	enum code code = dynamic_requirements(c->spec, c->arena, &needed, err);

	if (!code)
		c->launch_plans = arena_array(c->arena, struct launch_plan_interface, needed.n_launch_plans + 1);
	for (size_t i = 0; !code && i < needed.n_launch_plans; i++)
		code = get_launch_plan(c, needed.launch_plans[i], err);
	if (code)
		return code;
	struct dynamic_input in = {
		.spec = c->spec,
		.parent = c->rq->task,
		.project = c->rq->project,
		.domain = c->rq->domain,
		.node_id = c->rq->node_id,
		.version = c->rq->version,
		.launch_plans = c->launch_plans,
		.n_launch_plans = c->n_launch_plans,
	};
	code = compile_dynamic(&in, c->arena, ret, err);
	/* It goes into an event. */
	if (!code && pb_depth(*ret) > LITERAL_MAP_MAX_DEPTH)
		return err_set(err, INVALID_ARGUMENT, "the workflow that the task gave is nested too deeply");
	return code;
}

/* The workflow is wrong, and will be so however often it is read. */
static bool is_users(enum code code)
{
	return code == INVALID_ARGUMENT || code == NOT_FOUND || code == RESOURCE_EXHAUSTED;
}

static void answer(struct compiling *c, AlulaDynamicWorkflow *workflow, enum code code, const struct err *err)
{
	if (code && !is_users(code)) {
		c->rq->fn(c->rq->arg, NULL, err);
		return;
	}
	if (code) {
		workflow->closure = NULL;
		workflow->closure_uri = "";
		workflow->error = pb_new(c->arena, CORE_EXECUTION_ERROR_DESC);
		workflow->error->code = "DynamicWorkflowBuildFailed";
		workflow->error->message = (char *)err->text;
		workflow->error->kind = CORE_EXECUTION_ERROR_ERROR_KIND_USER;
	}
	c->rq->fn(c->rq->arg, workflow, NULL);
}

/* ---- trying again; on the loop ---- */

static void on_timer(void *arg)
{
	struct futures_request *rq = arg;

	*(rq->before ? &rq->before->after : &rq->futures->waiting) = rq->after;
	if (rq->after)
		rq->after->before = rq->before;
	loop_timer_free(take(rq->timer));
	submit(rq);
}

static void wait_on_loop(void *arg)
{
	struct futures_request *rq = arg;
	struct futures *f = rq->futures;

	rq->before = NULL;
	rq->after = f->waiting;
	if (rq->after)
		rq->after->before = rq;
	f->waiting = rq;
	rq->timer = loop_timer_new(f->loop, "futures", on_timer, rq);
	loop_timer_set(rq->timer, rq->pause_us);
}

static void try_later(struct futures_request *rq)
{
	rq->pause_us = rq->pause_us ? MIN(rq->pause_us * 2, (int64_t)MAX_PAUSE_US) : FIRST_PAUSE_US;
	loop_post(rq->futures->loop, wait_on_loop, rq);
}

/* For the threads; from any thread. */
static void submit(struct futures_request *rq)
{
	if (!queue_try_push(rq->futures->queue, rq))
		try_later(rq);
}

/* ---- the threads ---- */

static enum code store_compiled(struct compiling *c, AlulaDynamicWorkflow *workflow, struct err *err)
{
	workflow->closure_uri = (char *)compiled_futures_uri(c->arena, workflow->uri);
	enum code code = store_put(c->futures->store, workflow->closure_uri, pb_pack(workflow->closure, c->arena), err);

	/* A full disk is nobody's workflow. */
	return code ? err_prefix(err, UNAVAILABLE, "%s: ", workflow->closure_uri) : OK;
}

static void run(struct futures *f, struct futures_request *rq)
{
	static struct log_limit limit;
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct compiling c = {.futures = f, .rq = rq, .arena = a};
	AlulaDynamicWorkflow workflow = ALULA_DYNAMIC_WORKFLOW_INIT;
	struct err err;
	size_t held;

	workflow.uri = spec_uri(rq, a);
	enum code code = read_spec(&c, &err);
	if (!code)
		code = compile(&c, &workflow.closure, &err);
	if (!code)
		code = store_compiled(&c, &workflow, &err);
	if (code != UNAVAILABLE) {
		answer(&c, &workflow, code, &err);
		return;
	}
	if (log_allow(&limit, 10 * USEC_PER_SEC, &held))
		log_warn("cannot compile a dynamic workflow; trying again", LOG_ERR(&err), LOG_INT("held_back", held));
	try_later(rq);
}

static void *futures_thread(void *arg)
{
	struct futures *f = arg;
	struct futures_request *rq;

	pthread_setname_np(pthread_self(), "futures");
	while (queue_pop(f->queue, (void **)&rq, 1, -1) == 1)
		run(f, rq);
	return NULL;
}

void futures_compile(struct futures *f, struct futures_request *rq)
{
	rq->futures = f;
	rq->pause_us = 0;
	submit(rq);
}

struct futures_request futures_request_of(struct attempt_id id, const struct attempt *a, struct arena *arena)
{
	char *version = arena_alloc(arena, VERSION_LETTERS + 1);

	random_name((uint64_t)id.execution << 32 ^ (uint64_t)id.node << 8 ^ id.attempt, VERSION_LETTERS, version);
	return (struct futures_request){
		.output_prefix = arena_strdup(arena, a->output_prefix),
		.task = pb_clone(a->task, arena),
		.project = arena_strdup(arena, a->command->id->project),
		.domain = arena_strdup(arena, a->command->id->domain),
		.node_id = arena_strdup(arena, a->node_id),
		.version = version,
	};
}

struct futures *futures_new(struct store *store, struct rpc_channel *admin, struct loop *loop)
{
	struct futures *f = x_calloc(1, sizeof *f);

	f->store = store;
	f->admin = admin;
	f->loop = loop;
	f->get_launch_plan = pb_find_method(&ADMIN_SERVICE_TABLE, "GetLaunchPlan");
	f->queue = queue_new("futures", QUEUED);
	for (size_t i = 0; i < THREADS; i++)
		if (pthread_create(&f->threads[i], NULL, futures_thread, f) != 0)
			abort();
	return f;
}

void futures_free(struct futures *f)
{
	struct futures_request *rq;

	if (!f)
		return;
	queue_close(f->queue);
	while (queue_pop(f->queue, (void **)&rq, 1, 0) == 1)
		continue;
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(f->threads[i], NULL);
	for (rq = f->waiting; rq; rq = rq->after)
		loop_timer_free(rq->timer);
	queue_free(f->queue);
	free(f);
}

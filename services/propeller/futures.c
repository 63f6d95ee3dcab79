#include "futures.h"

#include <pthread.h>

#include "base/base.h"
#include "compiler/compiler.h"
#include "flyte/dynamic.h"
#include "flyteidl/admin/common.h"
#include "flyteidl/admin/launch_plan.h"
#include "flyteidl/service/admin.h"
#include "pb/pb.h"

enum { THREADS = 2, QUEUED = 4096, CALL_TIMEOUT_US = 20000000 };

struct futures {
	struct store *store;
	struct rpc_channel *admin;
	const struct pb_method *get_launch_plan;
	struct queue *queue;
	pthread_t threads[THREADS];
};

/* One request under way. */
struct compiling {
	struct futures *futures;
	struct futures_request *rq;
	struct arena *arena;
	CoreDynamicJobSpec *spec;
	struct launch_plan_interface *launch_plans;
	size_t n_launch_plans;
};

static enum code read_spec(struct compiling *c, struct err *err)
{
	auto_buf struct buf b = {0};
	const char *uri = arena_printf(c->arena, "%s/" FUTURES_FILE, c->rq->output_prefix);
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
	if (code)
		return err_prefix(err, code, "launch plan %s:%s: ", id->name, id->version);
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
	return compile_dynamic(&in, c->arena, ret, err);
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

static void run(struct futures *f, struct futures_request *rq)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct compiling c = {.futures = f, .rq = rq, .arena = a};
	AlulaDynamicWorkflow workflow = ALULA_DYNAMIC_WORKFLOW_INIT;
	struct err err;

	workflow.uri = arena_printf(a, "%s/" FUTURES_FILE, rq->output_prefix);
	enum code code = read_spec(&c, &err);
	if (!code)
		code = compile(&c, &workflow.closure, &err);
	if (!code) {
		workflow.closure_uri = (char *)compiled_futures_uri(a, workflow.uri);
		code = store_put(f->store, workflow.closure_uri, pb_pack(workflow.closure, a), &err);
		/* A full disk is nobody's workflow. */
		code = code ? UNAVAILABLE : OK;
	}
	answer(&c, &workflow, code, &err);
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
	struct err err;

	if (queue_try_push(f->queue, rq))
		return;
	err_set(&err, UNAVAILABLE, "too many dynamic workflows wait to be compiled");
	rq->fn(rq->arg, NULL, &err);
}

struct futures *futures_new(struct store *store, struct rpc_channel *admin)
{
	struct futures *f = x_calloc(1, sizeof *f);

	f->store = store;
	f->admin = admin;
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
	queue_free(f->queue);
	free(f);
}

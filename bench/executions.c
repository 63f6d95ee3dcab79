/* Executions from CreateExecution until the API shows that they have succeeded. */
#include <stdio.h>
#include <unistd.h>

#include "bench.h"
#include "flyteidl/admin/execution.h"
#include "flyteidl/admin/node_execution.h"
#include "flyteidl/admin/task_execution.h"
#include "pb/pb.h"

#define SEVEN "{\"scalar\":{\"primitive\":{\"integer\":\"7\"}}}"

enum { LOOK_US = 3000, PAGE = 500, PAGE_LOOK_US = 20000 };

static void *creation(struct arena *a, const char *plan, const char *name, const char *x)
{
	return request_of(admin_method("CreateExecution"), a,
			  "{" WHERE ",\"name\":\"%s\",\"spec\":{\"launchPlan\":{\"resourceType\":\"LAUNCH_PLAN\"," WHERE
			  ",\"name\":\"%s\",\"version\":\"v1\"},\"maxParallelism\":100000},"
			  "\"inputs\":{\"literals\":{\"x\":%s}}}",
			  name, plan, x);
}

/* What its executions get: a number, or a list of n. */
static void add_input(struct buf *b, enum shape shape, int n)
{
	if (shape != MAP) {
		buf_adds(b, SEVEN);
		return;
	}
	buf_adds(b, "{\"collection\":{\"literals\":[");
	for (int i = 0; i < n; i++)
		buf_printf(b, "%s" SEVEN, i ? "," : "");
	buf_adds(b, "]}}");
}

static void check_phase(const AdminExecution *x)
{
	struct err err;
	CoreWorkflowExecutionPhase phase = x->closure->phase;

	if (phase == CORE_WORKFLOW_EXECUTION_PHASE_FAILED || phase == CORE_WORKFLOW_EXECUTION_PHASE_ABORTED) {
		err_set(&err, INTERNAL, "ended in phase %d", phase);
		fail(x->id->name, &err);
	}
}

static void wait_succeeded(struct rpc_channel *c, const char *name)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	const struct pb_method *m = admin_method("GetExecution");

	for (;;) {
		AdminExecution *x = call(c, m, request_of(m, a, "{\"id\":{" WHERE ",\"name\":\"%s\"}}", name), a);
		if (x->closure->phase == CORE_WORKFLOW_EXECUTION_PHASE_SUCCEEDED)
			return;
		check_phase(x);
		arena_reset(a);
		usleep(LOOK_US);
	}
}

static void check_found(const char *name, int found, int n)
{
	struct err err;

	if (found == n)
		return;
	err_set(&err, DATA_LOSS, "%d of %d are shown as succeeded", found, n);
	fail(name, &err);
}

/* Of the nodes below `parent`, or of the top, those called n0, n1, … */
static int count_nodes(struct rpc_channel *c, const char *name, const char *parent)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	const struct pb_method *m = admin_method("ListNodeExecutions");
	char token[32] = "";
	int found = 0;

	do {
		arena_reset(a);
		AdminNodeExecutionList *page = call(
			c, m,
			request_of(m, a,
				   "{\"workflowExecutionId\":{" WHERE ",\"name\":\"%s\"},\"limit\":1000,"
				   "\"uniqueParentId\":\"%s\",\"token\":\"%s\",\"filters\":\"eq(phase,SUCCEEDED)\"}",
				   name, parent, token),
			a);
		for (size_t i = 0; i < page->n_node_executions; i++)
			found += page->node_executions[i]->metadata->spec_node_id[0] == 'n';
		snprintf(token, sizeof token, "%s", page->token);
	} while (*token);
	return found;
}

static int count_items(struct rpc_channel *c, const char *name)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	const struct pb_method *m = admin_method("ListTaskExecutions");
	int found = 0;

	AdminTaskExecutionList *page = call(c, m,
					    request_of(m, a,
						       "{\"nodeExecutionId\":{\"executionId\":{" WHERE
						       ",\"name\":\"%s\"},\"nodeId\":\"m0\"},\"limit\":1}",
						       name),
					    a);
	const EventTaskExecutionMetadata *told =
		page->n_task_executions ? page->task_executions[0]->closure->metadata : NULL;
	for (size_t i = 0; told && i < told->n_external_resources; i++)
		found += told->external_resources[i]->phase == CORE_TASK_EXECUTION_PHASE_SUCCEEDED;
	return found;
}

static void check_dynamic(struct rpc_channel *c, const char *name, int n)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	const struct pb_method *m = admin_method("GetDynamicNodeWorkflow");

	AdminDynamicNodeWorkflowResponse *r = call(
		c, m,
		request_of(m, a, "{\"id\":{\"executionId\":{" WHERE ",\"name\":\"%s\"},\"nodeId\":\"d0\"}}", name), a);
	check_found(name, (int)r->compiled_workflow->primary->template_->n_nodes - 2, n);
}

/* The API must show all n as succeeded. */
static void check_shown(struct rpc_channel *c, const char *name, enum shape shape, int n)
{
	static const char *const PARENTS[] = {[CHAIN] = "",     [FAN] = "",      [MAP] = "",   [NESTED] = "s0",
					      [DYNAMIC] = "d0", [CHILDREN] = "", [CACHED] = ""};

	check_found(name, shape == MAP ? count_items(c, name) : count_nodes(c, name, PARENTS[shape]), n);
	if (shape == DYNAMIC)
		check_dynamic(c, name, n);
}

static double run_once(struct rpc_channel *c, const char *plan, enum shape shape, int n)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	auto_buf struct buf input = {0};
	char name[24];

	snprintf(name, sizeof name, "b%016llx", (unsigned long long)random_u64());
	add_input(&input, shape, n);
	void *in = creation(a, plan, name, buf_text(&input));
	int64_t start_us = time_mono_us();
	call(c, admin_method("CreateExecution"), in, a);
	wait_succeeded(c, name);
	double seconds = (double)(time_mono_us() - start_us) / USEC_PER_SEC;
	check_shown(c, name, shape, n);
	return seconds;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *seconds, int runs)
{
	qsort(seconds, (size_t)runs, sizeof *seconds, by_value);
	double ret = seconds[runs / 2];
	free(seconds);
	return ret;
}

double run_one(const char *address, enum shape shape, int n, int runs)
{
	auto_free(rpc_channel_free) struct rpc_channel *c = connect_to(address);
	double *seconds = x_calloc((size_t)runs, sizeof *seconds);
	char plan[NAME_BYTES];

	double registered = register_workflow(c, shape, n, plan);
	for (int i = 0; i < runs; i++)
		seconds[i] = run_once(c, plan, shape, n);
	fprintf(stderr, "registered in %.3f s\n", registered);
	return median(seconds, runs);
}

double run_register(const char *address, int n, int runs)
{
	auto_free(rpc_channel_free) struct rpc_channel *c = connect_to(address);
	double *seconds = x_calloc((size_t)runs, sizeof *seconds);
	char plan[NAME_BYTES];

	for (int i = 0; i < runs; i++)
		seconds[i] = register_workflow(c, FAN, n, plan);
	return median(seconds, runs);
}

/* ---- many small ones ---- */

struct many {
	const char *address, *plan;
	int n, threads;
};

/* Each thread has a connection of its own, as clients have. */
static void create_share(void *arg, int index)
{
	struct many *x = arg;
	auto_free(arena_free) struct arena *a = arena_new(0);
	auto_free(rpc_channel_free) struct rpc_channel *c = connect_to(x->address);

	for (int i = index; i < x->n; i += x->threads) {
		call(c, admin_method("CreateExecution"), creation(a, x->plan, "", SEVEN), a);
		arena_reset(a);
	}
}

static bool page_succeeded(const AdminExecutionList *page)
{
	for (size_t i = 0; i < page->n_executions; i++) {
		check_phase(page->executions[i]);
		if (page->executions[i]->closure->phase != CORE_WORKFLOW_EXECUTION_PHASE_SUCCEEDED)
			return false;
	}
	return true;
}

/* Page by page from the oldest; a page is asked for again until all of it has succeeded. */
static int list_succeeded(struct rpc_channel *c, const char *plan)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	const struct pb_method *m = admin_method("ListExecutions");
	char *token = x_strdup("");
	int found = 0;

	do {
		AdminExecutionList *page =
			call(c, m,
			     request_of(m, a,
					"{\"id\":{" WHERE "},\"limit\":%d,\"token\":\"%s\",\"filters\":"
					"\"eq(launch_plan.name,%s)\",\"sortBy\":{\"key\":\"created_at\","
					"\"direction\":\"ASCENDING\"}}",
					PAGE, token, plan),
			     a);
		if (page_succeeded(page)) {
			found += (int)page->n_executions;
			free(token);
			token = x_strdup(page->token);
			if (!*token)
				break;
		} else {
			usleep(PAGE_LOOK_US);
		}
		arena_reset(a);
	} while (true);
	free(token);
	return found;
}

double run_many(const char *address, int n, int threads)
{
	auto_free(rpc_channel_free) struct rpc_channel *c = connect_to(address);
	char plan[NAME_BYTES];
	struct err err;

	register_workflow(c, CHAIN, 1, plan);
	int64_t start_us = time_mono_us();
	on_threads(threads, create_share, &(struct many){address, plan, n, threads});
	double created = (double)(time_mono_us() - start_us) / USEC_PER_SEC;
	int found = list_succeeded(c, plan);
	double seconds = (double)(time_mono_us() - start_us) / USEC_PER_SEC;
	if (found != n) {
		err_set(&err, DATA_LOSS, "%d of %d executions are listed", found, n);
		fail(plan, &err);
	}
	fprintf(stderr, "created at %.0f/s\n", n / created);
	return n / seconds;
}

void finished_execution(struct rpc_channel *c, char ret_name[NAME_BYTES])
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	char plan[NAME_BYTES];

	register_workflow(c, CHAIN, 1, plan);
	snprintf(ret_name, NAME_BYTES, "b%016llx", (unsigned long long)random_u64());
	call(c, admin_method("CreateExecution"), creation(a, plan, ret_name, SEVEN), a);
	wait_succeeded(c, ret_name);
}

static double create_all(const char *address, const char *plan, int n, int threads)
{
	int64_t start_us = time_mono_us();

	on_threads(threads, create_share, &(struct many){address, plan, n, threads});
	return n * (double)USEC_PER_SEC / (double)(time_mono_us() - start_us);
}

double run_creates(const char *address, int n, int threads)
{
	auto_free(rpc_channel_free) struct rpc_channel *c = connect_to(address);
	char plan[NAME_BYTES];

	register_workflow(c, CHAIN, 1, plan);
	double rate = create_all(address, plan, n, threads);
	list_succeeded(c, plan);
	return rate;
}

double run_held_creates(const char *address, int n, int threads)
{
	auto_free(rpc_channel_free) struct rpc_channel *c = connect_to(address);
	char plan[NAME_BYTES];

	register_workflow(c, CHAIN, 1, plan);
	return create_all(address, plan, n, threads);
}

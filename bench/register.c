#include <stdio.h>

#include "bench.h"

#define ID                                                                                                             \
	"{\"resourceType\":\"%s\",\"project\":\"flytesnacks\",\"domain\":\"development\",\"name\":\"%s\",\"version\":\"v1\"}"
#define X     "{\"variables\":{\"x\":{\"type\":{\"simple\":\"INTEGER\"}}}}"
#define INOUT "{\"inputs\":" X ",\"outputs\":" X "}"

static void create(struct rpc_channel *c, const char *method, const char *kind, const char *name, const char *spec)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	const struct pb_method *m = admin_method(method);

	call(c, m, request_of(m, a, "{\"id\":" ID ",\"spec\":%s}", kind, name, spec), a);
}

static void add_node(struct buf *b, bool chain, int i, const char *task)
{
	char source[24] = "";

	if (chain && i)
		snprintf(source, sizeof source, "n%d", i - 1);
	buf_printf(
		b,
		"%s{\"id\":\"n%d\",\"inputs\":[{\"var\":\"x\",\"binding\":{\"promise\":{\"nodeId\":\"%s\",\"var\":\"x\"}}}],"
		"\"taskNode\":{\"referenceId\":" ID "}}",
		i ? "," : "", i, source, "TASK", task);
}

void register_workflow(struct rpc_channel *c, bool chain, int n, char *ret_name)
{
	auto_buf struct buf b = {0};

	snprintf(ret_name, 64, "bench-%s-%d-%08x", chain ? "chain" : "fan", n, (unsigned)random_u64());
	buf_printf(&b,
		   "{\"template\":{\"id\":" ID
		   ",\"type\":\"echo\",\"metadata\":{\"runtime\":{\"version\":\"1\",\"type\":"
		   "\"FLYTE_SDK\"}},\"interface\":" INOUT "}}",
		   "TASK", ret_name);
	create(c, "CreateTask", "TASK", ret_name, buf_text(&b));
	buf_reset(&b);
	buf_adds(&b, "{\"template\":{\"interface\":{\"inputs\":" X "},\"nodes\":[");
	for (int i = 0; i < n; i++)
		add_node(&b, chain, i, ret_name);
	buf_adds(&b, "]}}");
	create(c, "CreateWorkflow", "WORKFLOW", ret_name, buf_text(&b));
	buf_reset(&b);
	buf_printf(&b, "{\"workflowId\":" ID "}", "WORKFLOW", ret_name);
	create(c, "CreateLaunchPlan", "LAUNCH_PLAN", ret_name, buf_text(&b));
}

/* Workflows of echo nodes, in the shapes that the bench runs. A workflow named W uses tasks, workflows and launch plans
 * named W-echo, W-inner and so on. */
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "bench.h"
#include "flyteidl/core/dynamic_job.h"
#include "pb/pb.h"
#include "json/json.h"

#define ID                                                                                                               \
	"{\"resourceType\":\"%s\",\"project\":\"flytesnacks\",\"domain\":\"development\",\"name\":\"%s%s\",\"version\":" \
	"\"v1\"}"
#define X       "{\"variables\":{\"x\":{\"type\":{\"simple\":\"INTEGER\"}}}}"
#define LIST    "{\"variables\":{\"x\":{\"type\":{\"collectionType\":{\"simple\":\"INTEGER\"}}}}}"
#define RUNTIME "\"metadata\":{\"runtime\":{\"version\":\"1\",\"type\":\"FLYTE_SDK\"}}"
#define KEPT                                                                                                           \
	"\"metadata\":{\"discoverable\":true,\"discoveryVersion\":\"1\",\"runtime\":{\"version\":\"1\",\"type\":"      \
	"\"FLYTE_SDK\"}}"
#define TEMPLATE(metadata)                                                                                             \
	"{\"id\":" ID ",\"type\":\"echo\"," metadata ",\"interface\":{\"inputs\":" X ",\"outputs\":" X "}}"
#define ECHO TEMPLATE(RUNTIME)
/* A process that gives what was made ready for it. */
#define MAKER                                                                                                           \
	"{\"id\":" ID ",\"type\":\"container\"," RUNTIME ",\"interface\":{\"inputs\":" X                                \
	"},\"container\":{\"image\":\"bench\",\"command\":[\"/bin/sh\",\"-c\",\"mkdir -p $1 && cp $0 $1/futures.pb\"]," \
	"\"args\":[\"%s\",\"{{.outputPrefix}}\"]}}"
#define NODE      "%s{\"id\":\"%c%d\","
#define FROM      "\"inputs\":[{\"var\":\"x\",\"binding\":{\"promise\":{\"nodeId\":\"%s\",\"var\":\"x\"}}}],"
#define CONSTANT  "\"inputs\":[{\"var\":\"x\",\"binding\":{\"scalar\":{\"primitive\":{\"integer\":\"%d\"}}}}],"
#define CALL      "\"taskNode\":{\"referenceId\":" ID "}"
#define SEPARATOR (i ? "," : "")

static double create(struct rpc_channel *c, const char *method, const char *kind, const char *name, const char *suffix,
		     const char *spec)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	const struct pb_method *m = admin_method(method);
	void *in = request_of(m, a, "{\"id\":" ID ",\"spec\":%s}", kind, name, suffix, spec);
	int64_t start_us = time_mono_us();

	call(c, m, in, a);
	return (double)(time_mono_us() - start_us) / USEC_PER_SEC;
}

/* ---- nodes ---- */

static void add_chain(struct buf *b, const char *name, int n)
{
	char source[24] = "";

	for (int i = 0; i < n; i++) {
		buf_printf(b, NODE FROM CALL "}", SEPARATOR, 'n', i, source, "TASK", name, "-echo");
		snprintf(source, sizeof source, "n%d", i);
	}
}

static void add_fan(struct buf *b, const char *name, int n)
{
	for (int i = 0; i < n; i++)
		buf_printf(b, NODE FROM CALL "}", SEPARATOR, 'n', i, "", "TASK", name, "-echo");
}

static void add_map(struct buf *b, const char *name, int n)
{
	(void)n;
	buf_printf(b,
		   NODE FROM "\"arrayNode\":{\"node\":{\"id\":\"item\"," CALL
			     "},\"isOriginalSubNodeInterface\":true,\"dataMode\":\"INDIVIDUAL_INPUT_FILES\"}}",
		   "", 'm', 0, "", "TASK", name, "-echo");
}

static void add_nested(struct buf *b, const char *name, int n)
{
	(void)n;
	buf_printf(b, NODE FROM "\"workflowNode\":{\"subWorkflowRef\":" ID "}}", "", 's', 0, "", "WORKFLOW", name,
		   "-inner");
}

static void add_dynamic(struct buf *b, const char *name, int n)
{
	(void)n;
	buf_printf(b, NODE FROM CALL "}", "", 'd', 0, "", "TASK", name, "-maker");
}

static void add_children(struct buf *b, const char *name, int n)
{
	for (int i = 0; i < n; i++)
		buf_printf(b, NODE FROM "\"workflowNode\":{\"launchplanRef\":" ID "}}", SEPARATOR, 'n', i, "",
			   "LAUNCH_PLAN", name, "-inner");
}

static void add_futures(struct buf *b, const char *name, int n)
{
	for (int i = 0; i < n; i++)
		buf_printf(b, NODE CONSTANT CALL "}", SEPARATOR, 'n', i, 7, "TASK", name, "-echo");
}

/* Each with an input of its own, so that each is kept by itself. */
static void add_cached(struct buf *b, const char *name, int n)
{
	for (int i = 0; i < n; i++)
		buf_printf(b, NODE CONSTANT CALL "}", SEPARATOR, 'n', i, i, "TASK", name, "-echo");
}

/* ---- what they need beside themselves ---- */

static double create_workflow(struct rpc_channel *c, const char *name, const char *suffix, const char *spec)
{
	auto_buf struct buf b = {0};

	double seconds = create(c, "CreateWorkflow", "WORKFLOW", name, suffix, spec);
	buf_printf(&b, "{\"workflowId\":" ID "}", "WORKFLOW", name, suffix);
	create(c, "CreateLaunchPlan", "LAUNCH_PLAN", name, suffix, buf_text(&b));
	return seconds;
}

static void prepare_child(struct rpc_channel *c, const char *name, int n)
{
	auto_buf struct buf b = {0};

	(void)n;
	buf_adds(&b, "{\"template\":{\"interface\":{\"inputs\":" X "},\"nodes\":[");
	add_chain(&b, name, 1);
	buf_adds(&b, "]}}");
	create_workflow(c, name, "-inner", buf_text(&b));
}

/* A task that gives n nodes: the file lies in the directory that the bench runs in, and that the daemons can read. */
static void prepare_futures(struct rpc_channel *c, const char *name, int n)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	auto_buf struct buf b = {0};
	char directory[PATH_MAX], path[PATH_MAX + 128];
	struct err err;
	void *spec;

	buf_printf(&b, "{\"minSuccesses\":\"%d\",\"tasks\":[" ECHO "],\"nodes\":[", n, "TASK", name, "-echo");
	add_futures(&b, name, n);
	buf_adds(&b, "]}");
	if (json_read(CORE_DYNAMIC_JOB_SPEC_DESC, buf_str(&b), false, a, &spec, &err) != OK)
		fail("futures", &err);
	if (!getcwd(directory, sizeof directory))
		abort();
	snprintf(path, sizeof path, "%s/%s.pb", directory, name);
	struct str packed = pb_pack(spec, a);
	FILE *f = fopen(path, "w");
	if (!f || fwrite(packed.ptr, 1, packed.len, f) != packed.len || fclose(f) != 0)
		abort();
	buf_reset(&b);
	buf_printf(&b, "{\"template\":" MAKER "}", "TASK", name, "-maker", path);
	create(c, "CreateTask", "TASK", name, "-maker", buf_text(&b));
}

static void add_inner(struct buf *b, const char *name, int n)
{
	buf_printf(b, ",\"subWorkflows\":[{\"id\":" ID ",\"interface\":{\"inputs\":" X "},\"nodes\":[", "WORKFLOW",
		   name, "-inner");
	add_chain(b, name, n);
	buf_adds(b, "]}]");
}

static const struct maker {
	const char *inputs;
	void (*add_nodes)(struct buf *b, const char *name, int n);
	void (*prepare)(struct rpc_channel *c, const char *name, int n);
	void (*add_more)(struct buf *b, const char *name, int n);
} MAKERS[] = {
	[CHAIN] = {X, add_chain, NULL, NULL},
	[FAN] = {X, add_fan, NULL, NULL},
	[MAP] = {LIST, add_map, NULL, NULL},
	[NESTED] = {X, add_nested, NULL, add_inner},
	[DYNAMIC] = {X, add_dynamic, prepare_futures, NULL},
	[CHILDREN] = {X, add_children, prepare_child, NULL},
	[CACHED] = {X, add_cached, NULL, NULL},
};

double register_workflow(struct rpc_channel *c, enum shape shape, int n, char ret_name[NAME_BYTES])
{
	static const char *const NAMES[] = {"chain", "fan", "map", "nested", "dynamic", "children", "cached"};
	const struct maker *m = &MAKERS[shape];
	auto_buf struct buf b = {0};

	snprintf(ret_name, NAME_BYTES, "bench-%s-%d-%08x", NAMES[shape], n, (unsigned)random_u64());
	buf_printf(&b, shape == CACHED ? "{\"template\":" TEMPLATE(KEPT) "}" : "{\"template\":" ECHO "}", "TASK",
		   ret_name, "-echo");
	create(c, "CreateTask", "TASK", ret_name, "-echo", buf_text(&b));
	if (m->prepare)
		m->prepare(c, ret_name, n);
	buf_reset(&b);
	buf_printf(&b, "{\"template\":{\"interface\":{\"inputs\":%s},\"nodes\":[", m->inputs);
	m->add_nodes(&b, ret_name, n);
	buf_adds(&b, "]}");
	if (m->add_more)
		m->add_more(&b, ret_name, n);
	buf_adds(&b, "}");
	return create_workflow(c, ret_name, "", buf_text(&b));
}

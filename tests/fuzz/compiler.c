/* The compiler, and the engine that takes what it makes. Input: 'w' and a CompiledWorkflowClosure, whose templates and
 * tasks are compiled; or 'd' and a DynamicJobSpec. */
#include "compiler/compiler.h"
#include "engine/workflow.h"
#include "fuzz.h"
#include "json/json.h"

enum { PER_BYTE = 4000, ENGINE_PER_BYTE = 4000 };

/* All launch plans that are referred to are of one kind. */
static const struct launch_plan_interface *make_plans(const struct requirements *need, struct arena *a)
{
	static const char inputs[] =
		"{\"parameters\":{\"x\":{\"var\":{\"type\":{\"simple\":1}},\"required\":true},"
		"\"y\":{\"var\":{\"type\":{\"simple\":1}},\"default\":{\"scalar\":{\"none_type\":{}}}}}}";
	static const char outputs[] = "{\"variables\":{\"o0\":{\"type\":{\"simple\":1}}}}";
	struct launch_plan_interface *ret = arena_array(a, struct launch_plan_interface, need->n_launch_plans + 1);
	void *takes, *gives;

	enum code c = json_read(CORE_PARAMETER_MAP_DESC, str_of(inputs), false, a, &takes, NULL);
	c = c ? c : json_read(CORE_VARIABLE_MAP_DESC, str_of(outputs), false, a, &gives, NULL);
	HOLDS(!c, "the launch plan's interface");
	for (size_t i = 0; i < need->n_launch_plans; i++)
		ret[i] = (struct launch_plan_interface){need->launch_plans[i], takes, gives};
	return ret;
}

/* Only tasks that admin would have registered. */
static size_t good_tasks(CoreCompiledTask **tasks, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		struct err err = {0};
		if (!tasks[i]->template_ || !tasks[i]->template_->id)
			continue;
		enum code c = check_task_template(tasks[i]->template_, &err);
		check_error(c, &err);
		if (!c)
			tasks[kept++] = tasks[i];
	}
	return kept;
}

static enum code compile_whole(CoreCompiledWorkflowClosure *from, struct arena *a, CoreCompiledWorkflowClosure **ret,
			       struct err *err)
{
	CoreWorkflowTemplate **subs = arena_array(a, CoreWorkflowTemplate *, from->n_sub_workflows + 1);
	struct compile_input in = {.sub_workflows = subs, .tasks = from->tasks};
	struct requirements need = {0};

	if (!from->primary || !from->primary->template_ || !from->primary->template_->id)
		return err_set(err, INVALID_ARGUMENT, "admin does not take that");
	in.workflow = from->primary->template_;
	for (size_t i = 0; i < from->n_sub_workflows; i++)
		if (from->sub_workflows[i]->template_)
			subs[in.n_sub_workflows++] = from->sub_workflows[i]->template_;
	in.n_tasks = good_tasks(from->tasks, from->n_tasks);
	enum code c = compile_requirements(in.workflow, subs, in.n_sub_workflows, a, &need, err);
	if (c)
		return c;
	in.launch_plans = make_plans(&need, a);
	in.n_launch_plans = need.n_launch_plans;
	return compile_workflow(&in, a, ret, err);
}

static enum code compile_futures(CoreDynamicJobSpec *spec, struct arena *a, CoreCompiledWorkflowClosure **ret,
				 struct err *err)
{
	static const char outputs[] =
		"{\"interface\":{\"outputs\":{\"variables\":{\"o0\":{\"type\":{\"simple\":1}}}}}}";
	struct dynamic_input in = {.spec = spec, .project = "p", .domain = "d", .node_id = "n0", .version = "v"};
	struct requirements need = {0};
	void *parent;

	enum code c = dynamic_requirements(spec, a, &need, err);
	if (c)
		return c;
	c = json_read(CORE_TASK_TEMPLATE_DESC, str_of(outputs), false, a, &parent, err);
	HOLDS(!c, "%s", err->text);
	in.parent = parent;
	in.launch_plans = make_plans(&need, a);
	in.n_launch_plans = need.n_launch_plans;
	return compile_dynamic(&in, a, ret, err);
}

static enum leaf leaf_of(void *arg, const char *task_type)
{
	(void)arg;
	return strcmp(task_type, "echo") == 0 ? LEAF_ECHO : LEAF_EXECUTOR;
}

/* The engine can load what the compiler has accepted, but for what Flyte finds out no earlier either. */
static bool may_fail(const CoreExecutionError *error)
{
	static const char *const reasons[] = {"Failed to parse resource"};

	HOLDS(error->code[0] && error->message[0], "%s: %s", error->code, error->message);
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (strstr(error->message, reasons[i]))
			return true;
	return false;
}

static void check_engine(const CoreCompiledWorkflowClosure *closure, bool dynamic, size_t size)
{
	static const struct engine_options options = {
		.default_max_attempts = 1, .metadata_prefix = "/m", .leaf_of = leaf_of};
	struct closure *c = closure_new(closure, &options, dynamic);

	HOLDS(!c->error || may_fail(c->error), "%s: %s", c->error->code, c->error->message);
	check_memory(c->arena, size, ENGINE_PER_BYTE);
	closure_free(c);
}

/* 'w' or 'd'; the closure is in `a`. */
static enum code compile(char kind, struct str in, struct arena *a, CoreCompiledWorkflowClosure **ret, struct err *err)
{
	const ProtobufCMessageDescriptor *desc =
		kind == 'w' ? CORE_COMPILED_WORKFLOW_CLOSURE_DESC : CORE_DYNAMIC_JOB_SPEC_DESC;
	void *m;
	enum code c = pb_unpack(desc, in, a, &m, err);

	if (!c)
		c = kind == 'w' ? compile_whole(m, a, ret, err) : compile_futures(m, a, ret, err);
	check_error(c, err);
	HOLDS(c == OK || c == INVALID_ARGUMENT || c == NOT_FOUND, "%s", err->text);
	return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free(arena_free) struct arena *a = arena_new(0), *b = arena_new(0);
	CoreCompiledWorkflowClosure *closure = NULL, *again = NULL;
	struct err err = {0}, err_again = {0};
	void *back;

	if (size == 0 || (data[0] != 'w' && data[0] != 'd'))
		return 0;
	struct str in = {(const char *)data + 1, size - 1};
	enum code c = compile((char)data[0], in, a, &closure, &err);
	check_memory(a, size, PER_BYTE);
	HOLDS(compile((char)data[0], in, b, &again, &err_again) == c, "then: %s", err_again.text);
	HOLDS(strcmp(err.text, err_again.text) == 0, "%s and then %s", err.text, err_again.text);
	if (c)
		return 0;
	struct str packed = pb_pack(closure, a);
	HOLDS(str_eq(packed, pb_pack(again, b)), "compiled twice it differs");
	c = pb_unpack_own(CORE_COMPILED_WORKFLOW_CLOSURE_DESC, packed, b, &back, &err);
	HOLDS(!c, "the closure is not read: %s", err.text);
	check_engine(back, data[0] == 'd', size);
	return 0;
}

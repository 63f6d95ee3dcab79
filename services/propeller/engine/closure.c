/* A closure: its tasks, its workflows, its life. */
#include "engine/building.h"
#include "engine/private.h"
#include "pb/pb.h"

void making_fail(struct making *m, const char *code, const char *fmt, ...)
{
	va_list ap;

	if (m->c->error)
		return;
	va_start(ap, fmt);
	m->c->error = error_new(m->c->arena, CORE_EXECUTION_ERROR_ERROR_KIND_SYSTEM, code, "%s",
				arena_vprintf(m->c->arena, fmt, ap));
	va_end(ap);
}

const char *making_id_text(struct arena *a, const CoreIdentifier *id)
{
	return id ? arena_printf(a, "%d:%s:%s:%s:%s", (int)id->resource_type, id->project, id->domain, id->name,
				 id->version)
		  : "";
}

/* ---- tasks ---- */

static size_t count(const CoreVariableMap *m)
{
	return m ? m->n_variables : 0;
}

static void fit_echo(struct arena *a, struct task *t)
{
	const CoreTypedInterface *i = t->template->interface;
	size_t in = count(i ? i->inputs : NULL), out = count(i ? i->outputs : NULL);

	if (in != out)
		t->misfit =
			arena_printf(a, "the number of input [%zu] and output [%zu] variables does not match", in, out);
	else if (in > 1)
		t->misfit = "this plugin does not currently support more than one input variable";
	else if (in == 1)
		t->in = i->inputs->variables[0]->key, t->out = i->outputs->variables[0]->key;
}

static void add_task(struct making *m, const CoreTaskTemplate *template)
{
	struct arena *a = m->c->arena;
	struct task *t = arena_new_of(a, struct task);

	t->template = pb_clone(template, a);
	t->leaf = m->options->leaf_of(m->options->arg, template->type);
	if (t->leaf == LEAF_ECHO)
		fit_echo(a, t);
	else if (t->leaf == LEAF_UNKNOWN)
		t->misfit = arena_printf(a, "no plugin defined for Handler type [%s] and no defaultPlugin configured",
					 template->type);
	map_put(m->tasks, str_of(making_id_text(a, template->id)), t);
}

/* ---- workflows ---- */

static const CoreWorkflowTemplate *template_of(const struct making *m, uint32_t i)
{
	const CoreCompiledWorkflow *from = i ? m->from->sub_workflows[i - 1] : m->from->primary;

	return from ? from->template_ : NULL;
}

/* All of them exist before one is built, as nodes refer to them. */
static void add_workflows(struct making *m)
{
	struct closure *c = m->c;

	c->n_workflows = 1 + (uint32_t)m->from->n_sub_workflows;
	c->workflows = arena_array(c->arena, struct workflow, c->n_workflows);
	for (uint32_t i = 0; i < c->n_workflows; i++) {
		const CoreWorkflowTemplate *t = template_of(m, i);
		c->workflows[i].arena = c->arena;
		c->workflows[i].inner = i > 0;
		c->workflows[i].failure_node = NO_NODE;
		if (!t)
			making_fail(m, "BadSpecificationError", "the compiled workflow has no template");
		else if (i)
			map_put(m->workflows, str_of(making_id_text(c->arena, t->id)), &c->workflows[i]);
	}
}

struct closure *closure_new(const CoreCompiledWorkflowClosure *from, const struct engine_options *options, bool dynamic)
{
	struct arena *a = arena_new(0);
	struct closure *c = arena_new_of(a, struct closure);
	struct making m = {.c = c, .from = from, .options = options};

	c->arena = a;
	c->refs = 1;
	m.tasks = map_new();
	m.workflows = map_new();
	for (size_t i = 0; i < from->n_tasks; i++)
		if (from->tasks[i]->template_)
			add_task(&m, from->tasks[i]->template_);
	add_workflows(&m);
	c->workflows[0].inner = dynamic;
	workflow_want(&m, &c->workflows[0]);
	for (size_t i = 0; i < m.wanted.n && !c->error; i++)
		workflow_build(&m, m.wanted.at[i], template_of(&m, (uint32_t)(m.wanted.at[i] - c->workflows)));
	vec_free(&m.wanted);
	map_free(m.tasks);
	map_free(m.workflows);
	c->bytes = arena_used(a);
	return c;
}

void closure_free(struct closure *c)
{
	if (!c)
		return;
	free(c->digest);
	arena_free(c->arena);
}

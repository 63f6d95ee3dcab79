/* Branch nodes: one of their nodes runs, and what it gives is theirs. A branch has one attempt and no timeout: what it
 * runs has its own. Source: flytepropeller controller/nodes/branch (v1.16.8); unlike there, nodes that are not taken
 * are reported as skipped. */
#include "engine/private.h"

#define USER_ERROR CORE_EXECUTION_ERROR_ERROR_KIND_USER

static uint32_t case_node(const struct fold *f, uint32_t i, uint32_t k)
{
	return frame_of(f, i)->first + wf_node(f, i)->branch->cases[k].node;
}

/* Which case it takes; false with the node's error. */
static bool decide(struct fold *f, uint32_t i, const struct values *inputs, uint32_t *ret, const char **ret_code,
		   const char **ret_text)
{
	const struct wf_branch *b = wf_node(f, i)->branch;
	const char *error;

	*ret_code = "MalformedBranchUserError";
	for (uint32_t k = 0; k < b->n; k++) {
		bool holds = !b->cases[k].condition;
		if (!holds && !condition_holds(b->cases[k].condition, inputs, f->a, &holds, &error)) {
			*ret_text = arena_printf(f->a, "[%s] %s", *ret_code, error);
			return false;
		}
		*ret = k;
		if (holds)
			return true;
	}
	if (b->error)
		*ret_code = "UserProvidedError";
	*ret_text = arena_printf(f->a, "[%s] %s", *ret_code, b->error ? b->error : "No branch satisfied");
	return false;
}

static void skip_others(struct fold *f, uint32_t i, uint32_t taken)
{
	for (uint32_t k = 0; k < wf_node(f, i)->branch->n; k++) {
		if (k == taken)
			continue;
		event_node(f, case_node(f, i, k), CORE_NODE_EXECUTION_PHASE_SKIPPED);
		node_pass_over(f, case_node(f, i, k));
	}
}

static void take_case(struct fold *f, uint32_t i, const struct values *inputs)
{
	const char *code, *text;
	uint32_t taken = 0;

	if (!decide(f, i, inputs, &taken, &code, &text)) {
		node_fail_at_once(f, i, USER_ERROR, code, text);
		return;
	}
	node_at(f, i)->run->taken = case_node(f, i, taken);
	node_at(f, i)->run->started = true;
	event_node(f, i, CORE_NODE_EXECUTION_PHASE_RUNNING);
	skip_others(f, i, taken);
	node_one_less(f, case_node(f, i, taken));
}

static void begin(struct fold *f, uint32_t i)
{
	struct values inputs;

	if (!node_inputs(f, i, &inputs))
		return;
	node_queue(f, i, &inputs);
	if (values_inline(f->a, &inputs))
		take_case(f, i, &inputs);
	else
		node_read(f, i, &inputs, READ_WHOLE);
}

/* What lay in the store only. */
static void read_done(struct fold *f, uint32_t i, const AlulaValuesRead *in)
{
	bool read = in->result_case == ALULA_VALUES_READ_RESULT_LITERALS;
	struct values inputs;

	if (in->result_case == ALULA_VALUES_READ_RESULT_ERROR)
		node_set_inputs_uri(f, i, node_fail(f, i, in->error, false));
	if (!read)
		return;
	node_at(f, i)->run->reading = false;
	values_of_map(f->a, in->literals, &inputs);
	take_case(f, i, &inputs);
}

static void pending(struct fold *f, uint32_t i)
{
	struct resolving r = resolving_of(f, i);
	struct values inputs;

	if (node_at(f, i)->run->reading && resolve_inputs(&r, wf_node(f, i), &inputs))
		node_read(f, i, &inputs, READ_WHOLE);
}

void branch_child_done(struct fold *f, uint32_t i, uint32_t child, const EventNodeExecutionEvent *last)
{
	struct node *n = node_at(f, i);

	if (!n->run)
		return;
	EventNodeExecutionEvent *event = event_node(f, i, CORE_NODE_EXECUTION_PHASE_SUCCEEDED);
	node_copy_result(event, last);
	node_succeed(f, i, event, n->users ? outputs_ref(node_at(f, child)->outputs) : NULL);
}

void branch_child_failed(struct fold *f, uint32_t i, const CoreExecutionError *error, bool timed_out)
{
	if (timed_out)
		error = error_new(f->a, CORE_EXECUTION_ERROR_ERROR_KIND_UNKNOWN, "Unknown", "Unknown error message");
	if (node_at(f, i)->run)
		node_set_inputs_uri(f, i, node_fail(f, i, error, false));
}

/* Flyte's admin says so of a node as soon as another one has it for a parent. */
static void describe(const struct fold *f, uint32_t i, EventNodeExecutionEvent *event)
{
	const struct run *r = node_at(f, i)->run;

	event->is_parent = r && r->taken != NO_NODE;
}

const struct kind KIND_OF_BRANCH = {.begin = begin, .pending = pending, .read = read_done, .describe = describe};

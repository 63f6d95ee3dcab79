/* One node: its turn, its end, and what that means for those that wait for it. */
#include "engine/private.h"
#include "flyte/ids.h"
#include "pb/pb.h"

static const struct kind *const KINDS[N_KINDS] = {
	[KIND_START] = &KIND_OF_START,
	[KIND_END] = &KIND_OF_END,
	[KIND_TASK] = &KIND_OF_TASK,
	[KIND_BRANCH] = &KIND_OF_BRANCH,
	[KIND_SUBWORKFLOW] = &KIND_OF_SUBWORKFLOW,
	[KIND_LAUNCH_PLAN] = &KIND_OF_LAUNCH_PLAN,
	[KIND_GATE] = &KIND_OF_GATE,
	[KIND_ARRAY] = &KIND_OF_ARRAY,
};

const struct kind *node_kind(const struct fold *f, uint32_t i)
{
	return KINDS[wf_node(f, i)->kind];
}

/* ---- names and places ---- */

static uint32_t parent_of(const struct fold *f, uint32_t i)
{
	const struct frame *frame = frame_of(f, i);
	uint32_t parent = wf_node(f, i)->parent;

	return parent == NO_NODE ? NO_NODE : frame->first + parent;
}

const char *node_unique_id(const struct fold *f, uint32_t i)
{
	const struct frame *frame = frame_of(f, i);
	const struct wf_node *wn = wf_node(f, i);
	uint32_t parent = parent_of(f, i);

	if (!frame->parent)
		return wn->event_id.node_id;
	const char *id = frame->array ? arena_printf(f->a, "n%u", i - frame->first) : wn->id;
	const char *parts[] = {parent == NO_NODE ? frame->unique_id : node_unique_id(f, parent),
			       parent == NO_NODE ? frame->retry_group : "0", id};
	return flyte_unique_id(f->a, parts, 3, NODE_UNIQUE_ID_MAX, UNIQUE_ID_FNV32);
}

const char *node_dir(struct fold *f, uint32_t i)
{
	const struct frame *frame = frame_of(f, i);
	const char *id = wf_node(f, i)->id;
	uint32_t parent = parent_of(f, i);

	if (frame->array)
		return path_item(f->a, frame->array->dir, i - frame->first, node_at(f, i)->attempt);
	if (parent != NO_NODE)
		return path_inner_node(f->a, node_output_dir(f, parent), id);
	return frame->parent ? path_inner_node(f->a, frame->dir, id) : path_node(f->a, frame->dir, id);
}

const char *node_output_dir(struct fold *f, uint32_t i)
{
	const struct frame *frame = frame_of(f, i);

	if (frame->array)
		return path_item(f->a, frame->dir, i - frame->first, node_at(f, i)->attempt);
	return path_attempt(f->a, node_dir(f, i), node_at(f, i)->attempt);
}

const char *node_outputs_uri(struct fold *f, uint32_t i)
{
	return arena_printf(f->a, "%s/outputs.pb", node_output_dir(f, i));
}

/* ---- runs ---- */

struct run *node_run(struct fold *f, uint32_t i)
{
	struct node *n = node_at(f, i);

	n->run = x_calloc(1, sizeof *n->run);
	n->run->taken = NO_NODE;
	n->run->counted = node_kind(f, i)->limited && !frame_of(f, i)->array;
	n->phase = NODE_RUNNING;
	f->x->running += n->run->counted;
	f->e->bytes += sizeof *n->run;
	return n->run;
}

struct run *node_queue(struct fold *f, uint32_t i, const struct values *inputs)
{
	node_set_inputs(f, i, event_node(f, i, CORE_NODE_EXECUTION_PHASE_QUEUED), inputs);
	return node_run(f, i);
}

void node_uncount(struct fold *f, struct run *r)
{
	f->x->running -= r->counted;
	r->counted = false;
}

void node_run_free(struct engine *e, struct run *r)
{
	if (!r)
		return;
	if (r->kept) {
		e->bytes -= sizeof *r->kept + r->kept->len;
		outputs_drop(e, r->kept->outputs);
		free(r->kept);
	}
	e->bytes -= sizeof *r + r->started_len;
	free(r);
}

void node_drop_run(struct fold *f, uint32_t i)
{
	struct node *n = node_at(f, i);

	if (!n->run)
		return;
	cache_end(f, i);
	node_uncount(f, n->run);
	node_run_free(f->e, take(n->run));
}

struct node *node_running(const struct fold *f, uint32_t i)
{
	struct frame *frame = frame_find(f->x, i);

	if (f->x->done || !frame || !frame_is_alive(frame))
		return NULL;
	struct node *n = node_at(f, i);
	return n && n->run ? n : NULL;
}

/* ---- inputs ---- */

void node_set_inputs_uri(struct fold *f, uint32_t i, EventNodeExecutionEvent *event)
{
	const struct task *task = wf_node(f, i)->task;

	if (task && task->leaf != LEAF_EXECUTOR)
		return;
	event->input_value_case = EVENT_NODE_EXECUTION_EVENT_INPUT_VALUE_INPUT_URI;
	event->input_uri = (char *)path_inputs(f->a, node_dir(f, i));
}

static struct action *put_together(struct fold *f, uint32_t i, enum action_kind kind, const char *uri,
				   const struct values *values)
{
	struct action *a = action_new(f, kind, i);

	a->uri = uri;
	a->values = values_clone(f->a, values);
	a->n_values = values->n;
	return a;
}

void node_set_inputs(struct fold *f, uint32_t i, EventNodeExecutionEvent *event, const struct values *inputs)
{
	CoreLiteralMap *map = values_inline(f->a, inputs);

	if (map && pb_size(map) <= f->e->options.inline_bytes) {
		event->input_value_case = EVENT_NODE_EXECUTION_EVENT_INPUT_VALUE_INPUT_DATA;
		event->input_data = map;
		return;
	}
	node_set_inputs_uri(f, i, event);
	put_together(f, i, ACTION_STORE_INPUTS, path_inputs(f->a, node_dir(f, i)), inputs);
}

struct action *node_store(struct fold *f, uint32_t i, const char *uri, const struct values *values)
{
	return put_together(f, i, ACTION_STORE_OUTPUTS, uri, values);
}

void node_read(struct fold *f, uint32_t i, const struct values *values, enum read_how how)
{
	struct value_ref *wanted = (struct value_ref *)values_clone(f->a, values);
	struct action *a = action_new(f, ACTION_READ_VALUES, i);

	for (size_t k = 0; k < values->n; k++)
		wanted[k].load = true;
	node_at(f, i)->run->reading = true;
	f->changed = true;
	a->values = wanted;
	a->n_values = values->n;
	a->how = how;
}

bool node_inputs(struct fold *f, uint32_t i, struct values *ret)
{
	struct resolving r = resolving_of(f, i);

	if (resolve_inputs(&r, wf_node(f, i), ret))
		return true;
	node_fail_at_once(f, i, CORE_EXECUTION_ERROR_ERROR_KIND_SYSTEM, "BindingResolutionFailure", r.error);
	return false;
}

/* ---- the end of a node ---- */

static void release_sources(struct fold *f, struct frame *frame, uint32_t i)
{
	const struct edges *sources = &frame->wf->nodes[i - frame->first].sources;

	for (uint32_t k = 0; k < sources->n; k++) {
		struct node *source = &frame->nodes[frame->wf->edges[sources->first + k]];
		if (--source->users == 0)
			outputs_drop(f->e, take(source->outputs));
	}
}

void node_one_less(struct fold *f, uint32_t i)
{
	if (--node_at(f, i)->upstream == 0)
		vec_push(&f->x->ready, i);
}

static void tell_downstream(struct fold *f, struct frame *frame, uint32_t i, bool skip)
{
	const struct edges *down = &frame->wf->nodes[i - frame->first].downstream;

	for (uint32_t k = 0; k < down->n; k++) {
		uint32_t at = frame->wf->edges[down->first + k];
		frame->nodes[at].skip |= skip;
		if (--frame->nodes[at].upstream == 0)
			vec_push(&f->x->ready, frame->first + at);
	}
}

/* Those that a branch did not take, or can't take any more. */
static void pass_over_cases(struct fold *f, uint32_t i)
{
	const struct frame *frame = frame_of(f, i);
	const struct wf_branch *branch = wf_node(f, i)->branch;

	for (uint32_t k = 0; k < branch->n; k++)
		if (node_at(f, frame->first + branch->cases[k].node)->phase == NODE_WAITING)
			node_pass_over(f, frame->first + branch->cases[k].node);
}

static void end(struct fold *f, uint32_t i, enum node_phase phase)
{
	struct frame *frame = frame_of(f, i);
	struct node *n = &frame->nodes[i - frame->first];

	node_drop_run(f, i);
	n->phase = (uint8_t)phase;
	if (frame->wf->nodes[i - frame->first].kind == KIND_BRANCH)
		pass_over_cases(f, i);
	release_sources(f, frame, i);
	tell_downstream(f, frame, i, phase != NODE_SUCCEEDED);
}

/* The failure node is over, and with it its frame. */
static bool end_of_failure(struct fold *f, uint32_t i)
{
	struct frame *frame = frame_of(f, i);

	if (i - frame->first != frame->wf->failure_node)
		return false;
	frame_stop(f, frame, "", THEN_FAIL);
	return true;
}

void node_pass_over(struct fold *f, uint32_t i)
{
	end(f, i, NODE_SKIPPED);
}

void node_succeed(struct fold *f, uint32_t i, const EventNodeExecutionEvent *event, struct outputs *outputs)
{
	struct frame *frame = frame_of(f, i);
	struct node *n = node_at(f, i);
	uint32_t parent = parent_of(f, i);

	if (frame->array) {
		node_drop_run(f, i);
		n->phase = NODE_SUCCEEDED;
		array_item_done(f, frame, i - frame->first, outputs);
		return;
	}
	if (n->users)
		n->outputs = outputs;
	else
		outputs_drop(f->e, outputs);
	end(f, i, NODE_SUCCEEDED);
	if (!end_of_failure(f, i) && parent != NO_NODE)
		branch_child_done(f, parent, i, event);
}

/* What the execution says of a node that timed out. */
static const CoreExecutionError *execution_error(struct fold *f, uint32_t i, const CoreExecutionError *error,
						 bool timed_out)
{
	const struct frame *frame = frame_of(f, i);

	if (!timed_out)
		return error;
	if (i - frame->first != frame->wf->failure_node)
		return error_new(f->a, CORE_EXECUTION_ERROR_ERROR_KIND_USER, "Timeout", "Timeout in node");
	if (frame->parent)
		return frame->error;
	return error_new(f->a, CORE_EXECUTION_ERROR_ERROR_KIND_USER, "TimedOut", "FailureNode Timed-out");
}

/* Of several failures, is it this one's error? The failure node's counts most. */
static bool fails_with(struct frame *frame, uint32_t node)
{
	uint32_t other = frame->failed;

	if (node != frame->wf->failure_node && other != START_NODE && !workflow_meets_later(frame->wf, node, other))
		return false;
	frame->failed = node;
	return true;
}

EventNodeExecutionEvent *node_fail(struct fold *f, uint32_t i, const CoreExecutionError *error, bool timed_out)
{
	struct frame *frame = frame_of(f, i);
	uint32_t parent = parent_of(f, i);
	EventNodeExecutionEvent *event =
		event_node(f, i, timed_out ? CORE_NODE_EXECUTION_PHASE_TIMED_OUT : CORE_NODE_EXECUTION_PHASE_FAILED);

	event->output_result_case = EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_ERROR;
	event->error = (CoreExecutionError *)error;
	if (frame->array) {
		node_drop_run(f, i);
		node_at(f, i)->phase = timed_out ? NODE_TIMED_OUT : NODE_FAILED;
		array_item_failed(f, frame, i - frame->first, error, timed_out);
		return event;
	}
	end(f, i, timed_out ? NODE_TIMED_OUT : NODE_FAILED);
	if (parent != NO_NODE) {
		branch_child_failed(f, parent, error, timed_out);
		return event;
	}
	if (fails_with(frame, i - frame->first))
		frame_set_error(f, frame, execution_error(f, i, error, timed_out), timed_out);
	/* The policy is that of the whole execution. */
	if (!end_of_failure(f, i) && (!top_frame(f->x)->wf->fail_after || i == frame->first + END_NODE))
		frame_fail(f, frame);
	return event;
}

void node_fail_at_once(struct fold *f, uint32_t i, CoreExecutionErrorErrorKind kind, const char *code, const char *text)
{
	node_set_inputs_uri(f, i, node_fail(f, i, error_new(f->a, kind, code, "%s", text), false));
}

static void tell_abort(struct fold *f, uint32_t i, const char *reason)
{
	EventNodeExecutionEvent *event = event_node(f, i, CORE_NODE_EXECUTION_PHASE_ABORTED);

	event->output_result_case = EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_ERROR;
	event->error = error_new(f->a, CORE_EXECUTION_ERROR_ERROR_KIND_UNKNOWN, "NodeAborted", "%s", reason);
}

void node_abort(struct fold *f, uint32_t i, const char *reason)
{
	struct node *n = node_at(f, i);

	if (n->phase != NODE_RUNNING)
		return;
	if (n->run && node_kind(f, i)->abort)
		node_kind(f, i)->abort(f, i, reason);
	if (!n->run || !cache_is_silent(n->run))
		tell_abort(f, i, reason);
	node_drop_run(f, i);
	f->changed = true;
	n->phase = NODE_ABORTED;
	if (frame_of(f, i)->array)
		array_item_over(f, frame_of(f, i), i - frame_of(f, i)->first, NODE_ABORTED);
}

void node_copy_result(EventNodeExecutionEvent *to, const EventNodeExecutionEvent *from)
{
	if (from->output_result_case == EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_URI)
		to->output_uri = from->output_uri;
	else if (from->output_result_case == EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA)
		to->output_data = from->output_data;
	else
		return;
	to->output_result_case = from->output_result_case;
}

/* ---- its turn ---- */

/* A branch's node that is skipped leaves its branch without outputs, but done. */
static void skip(struct fold *f, uint32_t i)
{
	struct frame *frame = frame_of(f, i);
	uint32_t parent = parent_of(f, i);
	EventNodeExecutionEvent *event = event_node(f, i, CORE_NODE_EXECUTION_PHASE_SKIPPED);

	end(f, i, NODE_SKIPPED);
	if (parent != NO_NODE)
		branch_child_done(f, parent, i, event);
	else if (i == frame->first + END_NODE)
		frame_fail(f, frame);
}

static void begin_again(struct fold *f, uint32_t i)
{
	struct run *r = node_at(f, i)->run;

	r->waiting = false;
	r->counted = true;
	f->x->running++;
	node_kind(f, i)->again(f, i);
}

void node_begin(struct fold *f, uint32_t i)
{
	const struct run *r = node_at(f, i)->run;

	if (r && r->feeding)
		array_feed(f, i);
	else if (r)
		begin_again(f, i);
	else if (node_at(f, i)->skip)
		skip(f, i);
	else if (!recover_node(f, i))
		node_kind(f, i)->begin(f, i);
}

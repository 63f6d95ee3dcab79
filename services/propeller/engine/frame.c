/* Frames: workflows that run inside an execution, and how they end.
 * Source: flytepropeller controller/nodes/subworkflow, controller/workflow/executor.go (v1.16.8). */
#include "engine/private.h"
#include "flyte/ids.h"
#include "pb/pb.h"

enum { MAX_DEPTH = 64 };

static const char ABORT_REASON[] = "Workflow aborted.", FAIL_REASON[] = "Some node execution failed, auto-abort.";

/* ---- life ---- */

static void account(struct engine *e, struct frame *frame)
{
	size_t error = frame->error_arena ? arena_used(frame->error_arena) : 0;
	size_t own = frame->arena ? arena_used(frame->arena) : 0;
	size_t bytes = sizeof *frame + (frame->wf ? frame->n : 0) * sizeof *frame->nodes + error + own;

	e->bytes += bytes - frame->bytes;
	frame->bytes = bytes;
}

static void fill_nodes(struct frame *frame)
{
	const struct workflow *w = frame->wf;

	for (uint32_t i = 0; i < frame->n; i++) {
		frame->nodes[i].upstream = w->nodes[i].n_upstream;
		frame->nodes[i].users = w->nodes[i].n_users;
	}
}

struct frame *frame_new(struct engine *e, struct execution *x, struct workflow *wf, struct frame *parent, uint32_t node,
			uint32_t size)
{
	uint32_t n = wf ? wf->n_nodes : size;
	struct frame *frame = x_calloc(1, sizeof *frame + (wf ? n : 0) * sizeof *frame->nodes);

	frame->wf = wf;
	frame->parent = parent;
	frame->node = node;
	frame->first = x->next_node;
	frame->n = n;
	frame->depth = parent ? parent->depth + 1 : 0;
	frame->arena = parent ? arena_new(256) : NULL;
	x->next_node += n;
	vec_push(&x->frames, frame);
	x->last = frame;
	if (wf) {
		fill_nodes(frame);
		vec_push(&x->ready, frame->first + START_NODE);
	}
	account(e, frame);
	return frame;
}

void frame_free(struct engine *e, struct frame *frame)
{
	if (frame->array)
		array_free(e, frame->array);
	for (uint32_t i = 0; frame->wf && i < frame->n; i++) {
		outputs_drop(e, frame->nodes[i].outputs);
		node_run_free(e, frame->nodes[i].run);
	}
	e->bytes -= frame->bytes;
	arena_free(frame->error_arena);
	arena_free(frame->arena);
	free(frame);
}

static void forget(struct execution *x, const struct frame *frame)
{
	size_t at = 0;

	while (x->frames.at[at] != frame)
		at++;
	memmove(x->frames.at + at, x->frames.at + at + 1, (--x->frames.n - at) * sizeof *x->frames.at);
	x->last = x->frames.at[0];
}

/* The end of the attempt before may have been asked for just now, too. */
void frame_remember_orphans(struct fold *f, uint32_t i)
{
	const struct kind *kind = node_kind(f, i);
	uint32_t last = node_at(f, i)->attempt;
	struct orphan o;

	for (uint32_t k = last ? last - 1 : 0; kind->orphan && k <= last; k++)
		if (kind->orphan(f, i, k, &o))
			vec_push(&f->x->orphans, o);
}

void frame_drop(struct fold *f, struct frame *frame)
{
	if (!frame->array)
		for (uint32_t i = 0; i < frame->n; i++)
			if (node_ended_badly(&frame->nodes[i]))
				frame_remember_orphans(f, frame->first + i);
	forget(f->x, frame);
	vec_push(&f->e->unused_frames, frame);
}

void frames_collect(struct engine *e)
{
	for (size_t i = 0; i < e->unused_frames.n; i++)
		frame_free(e, e->unused_frames.at[i]);
	vec_clear(&e->unused_frames);
}

struct frame *frame_find(struct execution *x, uint32_t i)
{
	size_t low = 0, high = x->frames.n;

	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;
		if (x->frames.at[mid]->first <= i)
			low = mid;
		else
			high = mid;
	}
	struct frame *frame = x->frames.at[low];
	if (i - frame->first >= frame->n)
		return NULL;
	x->last = frame;
	return frame;
}

bool frame_is_alive(const struct frame *frame)
{
	for (; frame; frame = frame->parent)
		if (frame->phase == FRAME_ENDING)
			return false;
	return true;
}

/* ---- begin ---- */

/* What the node is given is what the workflow's start node gives. */
bool frame_begin(struct fold *f, uint32_t i, struct workflow *wf, const struct values *inputs, bool dynamic,
		 const CoreExecutionError **ret_error)
{
	struct frame *parent = frame_of(f, i);
	struct node *n = node_at(f, i);

	if (parent->depth >= MAX_DEPTH || f->x->next_node > UINT32_MAX - 1 - wf->n_nodes) {
		*ret_error =
			error_new(f->a, CORE_EXECUTION_ERROR_ERROR_KIND_USER, "SubWorkflowExecutionFailed",
				  "workflows nest deeper than %d, or have more nodes than can be counted", MAX_DEPTH);
		return false;
	}
	struct frame *frame = frame_new(f->e, f->x, wf, parent, i, 0);
	frame->dir = arena_strdup(frame->arena, node_output_dir(f, i));
	frame->unique_id = arena_strdup(frame->arena, node_unique_id(f, i));
	frame->retry_group = arena_printf(frame->arena, "%u", n->attempt);
	frame->dynamic = dynamic || parent->dynamic;
	if (wf->nodes[START_NODE].n_users && inputs->n)
		frame->nodes[START_NODE].outputs = outputs_of_values(f->e, inputs);
	n->run->frame = frame;
	account(f->e, frame);
	return true;
}

/* ---- failure ---- */

void frame_set_error(struct fold *f, struct frame *frame, const CoreExecutionError *error, bool timed_out)
{
	if (error == frame->error)
		return;
	if (frame->error_arena)
		arena_reset(frame->error_arena);
	else
		frame->error_arena = arena_new(512);
	frame->error = pb_clone(error, frame->error_arena);
	frame->timed_out = timed_out;
	account(f->e, frame);
}

/* Sweeping starts anew if it already went on for another reason: it comes before what it was to be after. */
void frame_stop(struct fold *f, struct frame *frame, const char *reason, enum frame_then then)
{
	struct execution *x = f->x;

	for (size_t i = 0; frame->phase == FRAME_ENDING && i < x->ending.n; i++) {
		if (x->ending.at[i] != frame)
			continue;
		memmove(x->ending.at + i, x->ending.at + i + 1, (--x->ending.n - i) * sizeof *x->ending.at);
	}
	if (frame->phase != FRAME_ENDING)
		frame->sweep = 0;
	frame->phase = FRAME_ENDING;
	frame->reason = reason;
	frame->then = then;
	vec_push(&x->ending, frame);
	f->changed = true;
}

static const char *failure_reason(const struct fold *f, const struct frame *frame)
{
	if (!frame->parent)
		return FAIL_REASON;
	return wf_node(f, frame->node)->kind == KIND_TASK ? "Dynamic workflow failed" : "subworkflow failed";
}

void frame_fail(struct fold *f, struct frame *frame)
{
	if (!frame->parent) {
		EventWorkflowExecutionEvent *event = event_workflow(f, CORE_WORKFLOW_EXECUTION_PHASE_FAILING);
		event->output_result_case = EVENT_WORKFLOW_EXECUTION_EVENT_OUTPUT_RESULT_ERROR;
		event->error = (CoreExecutionError *)frame->error;
	}
	frame_stop(f, frame, failure_reason(f, frame), THEN_FAIL);
}

/* ---- sweep ---- */

/* It failed and nothing runs any more: once, the failure node may. */
static bool handle_failure(struct fold *f, struct frame *frame)
{
	bool has = frame->wf && frame->wf->failure_node != NO_NODE;

	if (!has || f->x->aborted || frame->nodes[frame->wf->failure_node].phase != NODE_WAITING)
		return false;
	frame->phase = FRAME_HANDLING;
	node_one_less(f, frame->first + frame->wf->failure_node);
	return true;
}

static void failed(struct fold *f, struct frame *frame)
{
	if (handle_failure(f, frame))
		return;
	if (!frame->parent) {
		execution_done(f, f->x->aborted ? CORE_WORKFLOW_EXECUTION_PHASE_ABORTED
						: CORE_WORKFLOW_EXECUTION_PHASE_FAILED);
		return;
	}
	struct node *n = node_at(f, frame->node);
	if (frame->array)
		array_stopped(f, frame);
	n->run->frame = NULL;
	frame_drop(f, frame);
	node_kind(f, frame->node)->frame_failed(f, frame->node, frame->error, frame->timed_out);
}

static void swept(struct fold *f, struct frame *frame)
{
	f->x->ending.n--;
	if (frame->then == THEN_FAIL || !frame->parent) {
		failed(f, frame);
		return;
	}
	if (frame->array)
		array_stopped(f, frame);
	node_at(f, frame->node)->run->frame = NULL;
	frame_drop(f, frame);
	if (frame->then == THEN_TRY_AGAIN)
		node_timed_out_attempt(f, frame->node);
	else if (frame->then == THEN_TIME_OUT)
		node_timed_out(f, frame->node);
}

void frame_sweep_one(struct fold *f)
{
	struct frame *frame = f->x->ending.at[f->x->ending.n - 1];

	if (frame->sweep >= frame->n) {
		swept(f, frame);
		return;
	}
	const struct node *n = node_at(f, frame->first + frame->sweep);
	if (!n)
		frame->sweep++;
	else if (n->run && n->run->frame)
		frame_stop(f, n->run->frame, frame->reason, THEN_ABORT);
	else
		node_abort(f, frame->first + frame->sweep++, frame->reason);
}

void execution_abort(struct fold *f)
{
	struct execution *x = f->x;
	struct frame *top = top_frame(x);

	if (x->aborted || x->done)
		return;
	if (top->phase == FRAME_ENDING && (!top->wf || top->wf->failure_node == NO_NODE))
		return;
	x->aborted = true;
	frame_stop(f, top, ABORT_REASON, THEN_FAIL);
}

/* ---- outputs that are put together outside ---- */

const char *frame_store(struct fold *f, struct frame *frame)
{
	uint32_t end = frame->first + END_NODE;
	struct resolving r = resolving_of(f, end);
	struct values values = {0};

	resolve_inputs(&r, &frame->wf->nodes[END_NODE], &values);
	return node_store(f, end, node_outputs_uri(f, end), &values)->uri;
}

void frame_stored(struct fold *f, struct frame *frame, const AlulaOutputsStored *in)
{
	uint32_t end = frame->first + END_NODE;

	if (frame->phase != FRAME_STORING)
		return;
	if (in->result_case == ALULA_OUTPUTS_STORED_RESULT_ERROR) {
		node_fail(f, end, in->error, false);
	} else if (in->result_case == ALULA_OUTPUTS_STORED_RESULT_OUTPUTS) {
		struct resolving r = resolving_of(f, frame->first + END_NODE);
		struct values values = {0};
		resolve_inputs(&r, &frame->wf->nodes[END_NODE], &values);
		struct outputs *outputs = frame->parent ? outputs_of_values(f->e, &values) : NULL;
		EventNodeExecutionEvent *last = event_node(f, end, CORE_NODE_EXECUTION_PHASE_SUCCEEDED);
		last->output_result_case = EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_URI;
		last->output_uri = *in->outputs->uri ? in->outputs->uri : (char *)node_outputs_uri(f, end);
		node_succeed(f, end, last, NULL);
		frame_succeed(f, frame, last, outputs);
	}
}

/* ---- success ---- */

void frame_succeed(struct fold *f, struct frame *frame, const EventNodeExecutionEvent *end, struct outputs *outputs)
{
	if (!frame->parent) {
		outputs_drop(f->e, outputs);
		execution_succeed(f, end);
		return;
	}
	node_at(f, frame->node)->run->frame = NULL;
	frame_drop(f, frame);
	node_kind(f, frame->node)->frame_done(f, frame->node, end, outputs);
}

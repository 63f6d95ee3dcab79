/* Array nodes: the same task or launch plan for each item of a list. What waits or is over is a few bytes an item; what
 * runs is a node like any other, by the number of its item. Items have no events of their own: they are external
 * resources in the events of the array's one task execution.
 * Source: flytepropeller controller/nodes/array (v1.16.8, event version 0). */
#include "engine/private.h"
#include "flyte/types.h"
#include "pb/pb.h"

enum { ERROR_CHARS = 10000 };

#define USER_ERROR    CORE_EXECUTION_ERROR_ERROR_KIND_USER
#define UNKNOWN_ERROR CORE_EXECUTION_ERROR_ERROR_KIND_UNKNOWN

/* ---- life ---- */

void array_account(struct engine *e, struct array *a)
{
	size_t bytes = sizeof *a + a->size * (sizeof *a->phases + (a->given ? sizeof *a->given : 0)) + a->given_bytes +
		       a->running * (sizeof(struct node) + 48);

	e->bytes += bytes - a->bytes;
	a->bytes = bytes;
}

static struct array *array_new(const struct wf_array *spec, const struct values *inputs, uint32_t size)
{
	struct array *a = x_calloc(1, sizeof *a);

	a->spec = spec;
	a->inputs = *inputs;
	a->size = size;
	a->phases = x_calloc(size + 1, sizeof *a->phases);
	a->nodes = u64map_new();
	return a;
}

void array_free(struct engine *e, struct array *a)
{
	size_t it = 0;
	void *n;

	while (u64map_next(a->nodes, &it, NULL, &n)) {
		node_run_free(e, ((struct node *)n)->run);
		free(n);
	}
	for (uint32_t i = 0; a->given && i < a->size; i++)
		free(a->given[i]);
	e->bytes -= a->bytes;
	u64map_free(a->nodes);
	free(a->given);
	free(a->phases);
	free(a);
}

struct node *array_node(const struct array *a, uint32_t item)
{
	return u64map_get(a->nodes, item);
}

/* ---- the array's end ---- */

static void finish(struct fold *f, uint32_t i, CoreLiteralMap *map, const char *uri, struct outputs *outputs)
{
	struct frame *frame = node_at(f, i)->run->frame;
	frame->array->closed = true;
	EventTaskExecutionEvent *t = array_tell(f, frame, CORE_TASK_EXECUTION_PHASE_SUCCEEDED);
	EventNodeExecutionEvent *event = event_node(f, i, CORE_NODE_EXECUTION_PHASE_SUCCEEDED);

	event_set_outputs(event, t, uri ? uri : "", map);
	node_at(f, i)->run->frame = NULL;
	frame_drop(f, frame);
	node_succeed(f, i, event, outputs);
}

static void store(struct fold *f, uint32_t i, const char *uri, const struct values *values)
{
	struct run *r = node_at(f, i)->run;

	r->storing = true;
	f->changed = true;
	node_store(f, i, uri, values)->may_offload = r->frame->array->over;
}

static void succeed(struct fold *f, uint32_t i)
{
	struct array *a = node_at(f, i)->run->frame->array;
	struct values values;

	a->over = true;
	if (array_wants_names(f, a, &values)) {
		node_read(f, i, &values, READ_EXTENTS);
		return;
	}
	array_gather(f, a, &values);
	CoreLiteralMap *map = values_inline(f->a, &values);
	if (!map || pb_size(map) > f->e->options.inline_bytes || pb_depth(map) > LITERAL_MAP_MAX_DEPTH)
		store(f, i, node_outputs_uri(f, i), &values);
	else
		finish(f, i, map, NULL, node_at(f, i)->users ? outputs_of_values(f->e, &values) : NULL);
}

/* ---- items ---- */

static uint32_t min_successes(const struct array *a)
{
	double ratio = a->spec->min_success_ratio * a->size;

	if (a->spec->ratio_is_set)
		return (uint32_t)ratio + ((uint32_t)ratio < ratio);
	return a->spec->min_is_set ? a->spec->min_successes : a->size;
}

static bool may_begin_more(const struct array *a)
{
	uint32_t parallelism = a->spec->parallelism ? a->spec->parallelism : UINT32_MAX;

	return !a->over && a->next < a->size && a->running < parallelism;
}

static bool is_complete(const struct array *a)
{
	return !a->over && a->done + a->failed == a->size;
}

static void more(struct fold *f, uint32_t i)
{
	struct run *r = node_at(f, i)->run;

	if (r->feeding || !(may_begin_more(r->frame->array) || is_complete(r->frame->array)))
		return;
	r->feeding = true;
	vec_push(&f->x->ready, i);
}

void array_feed(struct fold *f, uint32_t i)
{
	struct run *r = node_at(f, i)->run;
	struct frame *frame = r->frame;
	struct array *a = frame->array;

	r->feeding = false;
	f->changed = true;
	if (is_complete(a))
		succeed(f, i);
	if (!may_begin_more(a))
		return;
	array_touch(f, frame);
	uint32_t item = a->next++;
	struct node *n = x_calloc(1, sizeof *n);
	n->users = 1;
	u64map_put(a->nodes, item, n);
	a->running++;
	if (!recover_item(f, frame, item))
		node_kind(f, frame->first + item)->begin(f, frame->first + item);
	more(f, i);
}

/* Its node is needed until the step is over: whoever ended it still looks at it. */
void array_item_over(struct fold *f, struct frame *frame, uint32_t item, enum node_phase phase)
{
	struct array *a = frame->array;

	bool unsure = phase != NODE_SUCCEEDED; /* it may have failed for its time was up */

	array_touch(f, frame);
	if (unsure)
		frame_remember_orphans(f, frame->first + item);
	a->phases[item] = (uint8_t)phase;
	a->running--;
	vec_push(&a->ended, item);
}

/* Too few can succeed any more. */
static void give_up(struct fold *f, struct frame *frame)
{
	if (!frame->error)
		frame_set_error(f, frame, error_new(f->a, UNKNOWN_ERROR, "ArrayNodeFailing", "Unknown reason"), false);
	frame->array->over = true;
	frame_stop(f, frame, "ArrayNodeFailing", THEN_FAIL);
}

static void after_item(struct fold *f, struct frame *frame)
{
	struct array *a = frame->array;

	if (a->over)
		return;
	/* Its end comes when it is its turn: whoever ended the item still looks at it. */
	if (a->size - a->failed < min_successes(a))
		give_up(f, frame);
	else
		more(f, frame->node);
}

void array_item_done(struct fold *f, struct frame *frame, uint32_t item, struct outputs *outputs)
{
	array_keep(f, frame->array, item, outputs);
	outputs_drop(f->e, outputs);
	array_item_over(f, frame, item, NODE_SUCCEEDED);
	frame->array->done++;
	after_item(f, frame);
}

void array_item_failed(struct fold *f, struct frame *frame, uint32_t item, const CoreExecutionError *error,
		       bool timed_out)
{
	if (!frame->error)
		frame_set_error(f, frame,
				error_new(f->a, UNKNOWN_ERROR, "", "[%u]: %.*s\n", item, ERROR_CHARS, error->message),
				false);
	array_item_over(f, frame, item, timed_out ? NODE_TIMED_OUT : NODE_FAILED);
	frame->array->failed++;
	after_item(f, frame);
}

/* ---- begin ---- */

static bool shares_inputs(const struct wf_array *spec)
{
	return spec->single_file && spec->item.task && spec->item.task->leaf == LEAF_EXECUTOR;
}

/* A short list of what is queued, as Flyte has it; a long one would say nothing that is news. */
static void tell_queued(struct fold *f, struct frame *frame)
{
	EventTaskExecutionEvent *t = pb_new(f->a, EVENT_TASK_EXECUTION_EVENT_DESC);

	t->phase = CORE_TASK_EXECUTION_PHASE_QUEUED;
	for (uint32_t item = 0; frame->array->size <= 1000 && item < frame->array->size; item++)
		array_note(f, frame, item, t);
	f->n_notes = 0;
	array_tell(f, frame, CORE_TASK_EXECUTION_PHASE_QUEUED);
}

static void start(struct fold *f, uint32_t i, const struct values *inputs, bool copy)
{
	const struct wf_array *spec = wf_node(f, i)->array;
	const char *text;
	uint32_t size;

	if (!array_measure(f, spec, inputs, &size, &text) || f->x->next_node > UINT32_MAX - 1 - size) {
		node_fail_at_once(f, i, USER_ERROR, "InvalidArrayLength", text);
		return;
	}
	struct frame *frame = frame_new(f->e, f->x, NULL, frame_of(f, i), i, size);
	frame->dir = arena_strdup(frame->arena, node_output_dir(f, i));
	frame->unique_id = arena_strdup(frame->arena, node_unique_id(f, i));
	frame->retry_group = arena_printf(frame->arena, "%u", node_at(f, i)->attempt);
	frame->dynamic = frame->parent->dynamic;
	struct values kept = {copy ? values_clone(frame->arena, inputs)
				   : arena_dup(frame->arena, inputs->at, inputs->n * sizeof *inputs->at),
			      inputs->n};
	frame->array = array_new(spec, &kept, size);
	frame->array->dir = arena_strdup(frame->arena, node_dir(f, i));
	recover_items(f, frame);
	array_account(f->e, frame->array);
	node_at(f, i)->run->frame = frame;
	node_at(f, i)->run->started = true;
	node_set_deadlines(f, i);
	event_node(f, i, CORE_NODE_EXECUTION_PHASE_RUNNING);
	tell_queued(f, frame);
	node_timers(f, i);
	if (size < min_successes(frame->array))
		give_up(f, frame);
	else if (size && shares_inputs(spec))
		store(f, i, path_inputs(f->a, node_dir(f, i)), &frame->array->inputs);
	else
		more(f, i);
}

static void begin(struct fold *f, uint32_t i)
{
	struct resolving r = resolving_of(f, i);
	struct values inputs, wanted;

	if (!resolve_inputs(&r, wf_node(f, i), &inputs)) {
		node_fail_at_once(f, i, CORE_EXECUTION_ERROR_ERROR_KIND_SYSTEM, "BindingResolutionFailure", r.error);
		return;
	}
	node_queue(f, i, &inputs);
	if (array_wants(f, i, &inputs, &wanted))
		node_read(f, i, &wanted, READ_LONG_AS_EXTENTS);
	else
		start(f, i, &inputs, r.composed);
}

static void inputs_read(struct fold *f, uint32_t i, const AlulaValuesRead *in)
{
	struct resolving r = resolving_of(f, i);
	struct values inputs, wanted;

	if (!resolve_inputs(&r, wf_node(f, i), &inputs))
		return;
	array_wants(f, i, &inputs, &wanted);
	array_take_read(f, &wanted, in, &inputs);
	start(f, i, &inputs, true);
}

/* The lists that the array is over, as far as they must be looked at, or the names of what its items gave. */
static void read_done(struct fold *f, uint32_t i, const AlulaValuesRead *in)
{
	struct run *r = node_at(f, i)->run;

	if (in->result_case == ALULA_VALUES_READ_RESULT_ERROR && r->frame) {
		frame_set_error(f, r->frame, in->error, false);
		give_up(f, r->frame);
		return;
	}
	if (in->result_case == ALULA_VALUES_READ_RESULT_ERROR)
		node_set_inputs_uri(f, i, node_fail(f, i, in->error, false));
	if (in->result_case != ALULA_VALUES_READ_RESULT_LITERALS)
		return;
	r->reading = false;
	f->changed = true;
	if (!r->frame) {
		inputs_read(f, i, in);
		return;
	}
	array_name(r->frame, in);
	succeed(f, i);
}

/* The items' common file is there, or the outputs' are. */
static void stored(struct fold *f, uint32_t i, const AlulaOutputsStored *in)
{
	struct run *r = node_at(f, i)->run;
	struct frame *frame = r->frame;

	if (in->result_case == ALULA_OUTPUTS_STORED_RESULT_ERROR) {
		frame_set_error(f, frame, in->error, false);
		give_up(f, frame);
	} else if (in->result_case == ALULA_OUTPUTS_STORED_RESULT_OUTPUTS) {
		const char *uri = frame->array->over ? node_outputs_uri(f, i) : path_inputs(f->a, node_dir(f, i));
		/* That the inputs are there may be said twice, and the second time late. */
		if (*in->outputs->uri && strcmp(in->outputs->uri, uri) != 0)
			return;
		r->storing = false;
		f->changed = true;
		if (frame->array->over)
			finish(f, i, NULL, uri, node_at(f, i)->users ? outputs_at(f->e, uri) : NULL);
		else
			more(f, i);
	}
}

static void pending(struct fold *f, uint32_t i)
{
	const struct run *r = node_at(f, i)->run;
	struct resolving res = resolving_of(f, i);
	struct values values, wanted;

	if (r->reading && r->frame && array_wants_names(f, r->frame->array, &values))
		node_read(f, i, &values, READ_EXTENTS);
	if (r->reading && !r->frame && resolve_inputs(&res, wf_node(f, i), &values) &&
	    array_wants(f, i, &values, &wanted))
		node_read(f, i, &wanted, READ_LONG_AS_EXTENTS);
	if (r->storing && r->frame->array->over) {
		array_gather(f, r->frame->array, &values);
		store(f, i, node_outputs_uri(f, i), &values);
	} else if (r->storing) {
		store(f, i, path_inputs(f->a, node_dir(f, i)), &r->frame->array->inputs);
	}
	node_timers(f, i);
}

/* ---- the end by force ---- */

void array_stopped(struct fold *f, struct frame *frame)
{
	bool failed = frame->then == THEN_FAIL;
	EventTaskExecutionEvent *t =
		array_tell(f, frame, failed ? CORE_TASK_EXECUTION_PHASE_FAILED : CORE_TASK_EXECUTION_PHASE_ABORTED);

	t->output_result_case = EVENT_TASK_EXECUTION_EVENT_OUTPUT_RESULT_ERROR;
	t->error = failed ? (CoreExecutionError *)frame->error
			  : error_new(f->a, UNKNOWN_ERROR, "Task Aborted", "%s", frame->reason);
	frame->array->over = frame->array->closed = true;
}

static void frame_failed(struct fold *f, uint32_t i, const CoreExecutionError *error, bool timed_out)
{
	(void)timed_out;
	node_set_inputs_uri(f, i, node_fail(f, i, error, false));
}

static void describe(const struct fold *f, uint32_t i, EventNodeExecutionEvent *event)
{
	(void)f;
	(void)i;
	event->is_array = true;
}

const struct kind KIND_OF_ARRAY = {
	.limited = true,
	.begin = begin,
	.pending = pending,
	.frame_failed = frame_failed,
	.stored = stored,
	.read = read_done,
	.describe = describe,
};

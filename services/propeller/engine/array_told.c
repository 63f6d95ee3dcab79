/* What an array is told by its items, and tells of them.
 * Source: flytepropeller controller/nodes/array/event_recorder.go (v1.16.8, event version 0). */
#include "engine/private.h"
#include "flyte/ids.h"
#include "pb/pb.h"

/* ---- events ---- */

void array_touch(struct fold *f, struct frame *frame)
{
	if (!frame->array->touched)
		vec_push(&f->x->arrays, frame);
	frame->array->touched = true;
}

static const char *external_id(struct fold *f, const struct frame *frame, uint32_t item, uint32_t attempt)
{
	const char *parts[] = {f->x->command->id->name, frame->unique_id, frame->retry_group};
	const char *name = flyte_unique_id(f->a, parts, 3, TASK_UNIQUE_NAME_MAX, UNIQUE_ID_FNV32);

	return arena_printf(f->a, "%s-n%u-%u", name, item, attempt);
}

void array_note(struct fold *f, struct frame *frame, uint32_t item, const EventTaskExecutionEvent *t)
{
	struct array *a = frame->array;
	EventExternalResourceInfo *info = pb_new(f->a, EVENT_EXTERNAL_RESOURCE_INFO_DESC);

	info->external_id = (char *)external_id(f, frame, item, t->retry_attempt);
	info->index = item;
	info->retry_attempt = t->retry_attempt;
	info->phase = t->phase;
	array_touch(f, frame);
	*PB_ADD(f->a, a->sources, a->n_sources) = t;
	*PB_ADD(f->a, a->notes, a->n_notes) = info;
	f->n_notes++;
	f->changed = true;
}

void array_note_cache(struct frame *frame, CoreCatalogCacheStatus status)
{
	const struct array *a = frame->array;

	if (a->n_notes)
		a->notes[a->n_notes - 1]->cache_status = status;
}

/* What was added to the items' events after they were noted. */
static void complete_notes(struct fold *f, struct array *a)
{
	for (size_t i = 0; i < a->n_notes; i++) {
		const EventTaskExecutionEvent *t = a->sources[i];
		EventExternalResourceInfo *info = a->notes[i];
		info->custom_info = t->custom_info;
		for (size_t k = 0; k < t->n_logs; k++) {
			CoreTaskLog *log = arena_dup(f->a, t->logs[k], sizeof *log);
			log->name = arena_printf(f->a, "%s-%u", log->name, info->index);
			*PB_ADD(f->a, info->logs, info->n_logs) = log;
		}
	}
}

static void forget_notes(struct array *a)
{
	a->notes = NULL;
	a->sources = NULL;
	a->n_notes = a->n_sources = 0;
}

EventTaskExecutionEvent *array_tell(struct fold *f, struct frame *frame, CoreTaskExecutionPhase phase)
{
	struct array *a = frame->array;
	const struct task *task = a->spec->item.task;
	EventTaskExecutionEvent *t = event_array(f, frame->node, phase);

	complete_notes(f, a);
	t->task_id = task ? task->template->id : NULL;
	t->phase_version = a->version++;
	t->metadata->generated_name = (char *)attempt_name(f, frame->node, 0);
	t->metadata->external_resources = a->notes;
	t->metadata->n_external_resources = a->n_notes;
	forget_notes(a);
	return t;
}

/* The step is over: what happened to items is told, and what is over is dropped. */
void arrays_settle(struct fold *f)
{
	struct execution *x = f->x;

	for (size_t i = 0; i < x->arrays.n; i++) {
		struct frame *frame = x->arrays.at[i];
		struct array *a = frame->array;
		if (a->n_notes && !a->closed)
			array_tell(f, frame, CORE_TASK_EXECUTION_PHASE_RUNNING);
		forget_notes(a);
		a->touched = false;
		vec_each (uint32_t *, item, &a->ended)
			free(u64map_remove(a->nodes, *item));
		vec_free(&a->ended);
		array_account(f->e, a);
	}
	vec_clear(&x->arrays);
}

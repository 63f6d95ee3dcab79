/* What an array is told by its items, and tells of them: events and outputs.
 * Source: flytepropeller controller/nodes/array/{event_recorder,handler}.go (v1.16.8, event version 0). */
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

/* ---- outputs ---- */

void array_keep(struct fold *f, struct array *a, uint32_t item, const struct outputs *o)
{
	AlulaAttemptOutputs given = ALULA_ATTEMPT_OUTPUTS_INIT;
	const CoreLiteral **literals = arena_array(f->a, const CoreLiteral *, o ? o->n : 0);
	const char **keys = arena_array(f->a, const char *, o ? o->n : 0);
	size_t n = 0;

	for (uint32_t i = 0; o && i < o->n; i++) {
		literals[n] = o->at[i].literal;
		keys[n] = o->at[i].var;
		n += o->at[i].literal != NULL;
		if (!o->at[i].literal && o->at[i].uri)
			given.uri = (char *)o->at[i].uri;
	}
	if (o && o->uri)
		given.uri = (char *)o->uri;
	given.literals = literal_map_of(f->a, literals, keys, n);
	struct str packed = pb_pack(&given, f->a);
	if (!a->given)
		a->given = x_calloc(a->size, sizeof *a->given);
	a->given[item] = x_malloc(sizeof(uint32_t) + packed.len);
	uint32_t len = (uint32_t)packed.len;
	memcpy(a->given[item], &len, sizeof len);
	memcpy(a->given[item] + sizeof len, packed.ptr, packed.len);
	a->given_bytes += sizeof len + packed.len;
}

/* What the item gave under this name; nothing for one that failed. */
static struct value_ref given(struct fold *f, const AlulaAttemptOutputs *o, const char *var)
{
	static const CoreVoid NOTHING = CORE_VOID_INIT;

	for (size_t i = 0; o && i < (o->literals ? o->literals->n_literals : 0); i++)
		if (strcmp(o->literals->literals[i]->key, var) == 0)
			return (struct value_ref){.literal = o->literals->literals[i]->value};
	if (o && *o->uri)
		return (struct value_ref){.kind = VALUE_STORED, .uri = o->uri, .uri_var = var};
	CoreLiteral *none = pb_new(f->a, CORE_LITERAL_DESC);
	none->value_case = CORE_LITERAL_VALUE_SCALAR;
	none->scalar = pb_new(f->a, CORE_SCALAR_DESC);
	none->scalar->value_case = CORE_SCALAR_VALUE_NONE_TYPE;
	none->scalar->none_type = (CoreVoid *)&NOTHING;
	return (struct value_ref){.literal = none};
}

static const AlulaAttemptOutputs *given_by(struct fold *f, const struct array *a, uint32_t item)
{
	void *o;
	uint32_t len;

	if (!a->given || !a->given[item])
		return NULL;
	memcpy(&len, a->given[item], sizeof len);
	struct str packed = {(const char *)a->given[item] + sizeof len, len};
	return pb_unpack_own(ALULA_ATTEMPT_OUTPUTS_DESC, packed, f->a, &o, NULL) == OK ? o : NULL;
}

/* The names that a task's interface tells, or else those that the first item used. */
static size_t names(struct fold *f, const struct array *a, const char ***ret)
{
	const struct task *task = a->spec->item.task;
	const CoreTypedInterface *i = task ? task->template->interface : NULL;
	const AlulaAttemptOutputs *first = task || a->size == 0 ? NULL : given_by(f, a, 0);
	size_t n = i && i->outputs            ? i->outputs->n_variables
		   : first && first->literals ? first->literals->n_literals
					      : 0;

	*ret = arena_array(f->a, const char *, n);
	for (size_t k = 0; k < n; k++)
		(*ret)[k] = task ? i->outputs->variables[k]->key : first->literals->literals[k]->key;
	return n;
}

static struct value_ref list_value(struct fold *f, const char *var, const struct value_ref *items, size_t n)
{
	const CoreLiteral **literals = arena_array(f->a, const CoreLiteral *, n);

	for (size_t i = 0; i < n; i++) {
		literals[i] = items[i].literal;
		if (!items[i].literal)
			return (struct value_ref){.var = var, .kind = VALUE_COLLECTION, .items = items, .n_items = n};
	}
	return (struct value_ref){.var = var, .literal = literal_of_items(f->a, false, literals, NULL, n)};
}

void array_gather(struct fold *f, const struct array *a, struct values *ret)
{
	const char **vars;
	size_t n = names(f, a, &vars);
	struct value_ref *at = arena_array(f->a, struct value_ref, n),
			 **items = arena_array(f->a, struct value_ref *, n);

	for (size_t k = 0; k < n; k++)
		items[k] = arena_array(f->a, struct value_ref, a->size);
	for (uint32_t i = 0; i < a->size; i++) {
		const AlulaAttemptOutputs *o = given_by(f, a, i);
		for (size_t k = 0; k < n; k++)
			items[k][i] = given(f, o, vars[k]);
	}
	for (size_t k = 0; k < n; k++)
		at[k] = list_value(f, vars[k], items[k], a->size);
	*ret = (struct values){at, n};
}

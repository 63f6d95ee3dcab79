/* Logs, custom info and metadata of a task execution: what an event adds to what earlier ones said.
 * Source: flyteadmin pkg/repositories/transformers/task_execution.go (v1.16.8). */
#include "google/protobuf/struct.h"
#include "materialise_fold.h"
#include "pb/pb.h"

typedef CoreTaskLog *task_log;

/* A log that has a new one of the same URI or name is overwritten. */
static bool log_replaced(const CoreTaskLog *old, CoreTaskLog **latest, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(old->uri, latest[i]->uri) == 0 ||
		    (*latest[i]->name && strcmp(old->name, latest[i]->name) == 0))
			return true;
	return false;
}

static bool log_shown(const CoreTaskLog *log, CoreTaskExecutionPhase phase)
{
	if (task_phase_terminal((int32_t)phase) && log->hideoncefinished)
		return false;
	bool pending = phase == CORE_TASK_EXECUTION_PHASE_QUEUED || phase == CORE_TASK_EXECUTION_PHASE_INITIALIZING;
	return !pending || log->showwhilepending;
}

static size_t join_logs(struct arena *a, task_log *old, size_t n_old, task_log *latest, size_t n_latest, task_log **ret)
{
	task_log *all = arena_array(a, task_log, n_old + n_latest + 1);
	size_t n = n_latest;

	if (n_latest)
		memcpy(all, latest, n_latest * sizeof *latest);
	for (size_t i = 0; i < n_old; i++)
		if (!log_replaced(old[i], latest, n_latest))
			all[n++] = old[i];
	*ret = all;
	return n;
}

static size_t filter_logs(task_log *logs, size_t n, CoreTaskExecutionPhase phase)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (log_shown(logs[i], phase))
			logs[kept++] = logs[i];
	return kept;
}

void merge_logs(struct arena *a, AdminTaskExecutionClosure *closure, const EventTaskExecutionEvent *e)
{
	/* As in flyteadmin, the first event's logs are not filtered, and created_at is that event's time. */
	bool first = closure->created_at == e->occurred_at && closure->n_logs == 0;
	task_log *all;

	if (closure->n_logs == 0 && e->n_logs == 0)
		return;
	size_t n = join_logs(a, closure->logs, closure->n_logs, e->logs, e->n_logs, &all);
	closure->logs = all;
	closure->n_logs = first ? n : filter_logs(all, n, e->phase);
}

/* ---- custom info: a JSON merge patch, where null removes ---- */

static PbStruct *merge_struct(struct arena *a, const PbStruct *old, const PbStruct *latest, unsigned depth);

static PbValue *merge_value(struct arena *a, const PbValue *old, PbValue *latest, unsigned depth)
{
	if (!latest || latest->kind_case != PB_VALUE_KIND_STRUCT_VALUE || depth == 0)
		return latest;
	const PbStruct *below = old && old->kind_case == PB_VALUE_KIND_STRUCT_VALUE ? old->struct_value : NULL;
	PbValue *v = pb_new(a, PB_VALUE_DESC);
	v->kind_case = PB_VALUE_KIND_STRUCT_VALUE;
	v->struct_value = merge_struct(a, below, latest->struct_value, depth - 1);
	return v;
}

static const PbValue *struct_get(const PbStruct *s, const char *key)
{
	for (size_t i = 0; s && i < s->n_fields; i++)
		if (strcmp(s->fields[i]->key, key) == 0)
			return s->fields[i]->value;
	return NULL;
}

static PbStruct *merge_struct(struct arena *a, const PbStruct *old, const PbStruct *latest, unsigned depth)
{
	PbStruct *s = pb_new(a, PB_STRUCT_DESC);

	for (size_t i = 0; old && i < old->n_fields; i++)
		if (!struct_get(latest, old->fields[i]->key))
			*PB_ADD(a, s->fields, s->n_fields) = old->fields[i];
	for (size_t i = 0; i < latest->n_fields; i++) {
		PbValue *v = latest->fields[i]->value;
		if (!v || v->kind_case == PB_VALUE_KIND_NULL_VALUE)
			continue;
		PbStructFieldsEntry *entry = pb_new(a, PB_STRUCT_FIELDS_ENTRY_DESC);
		entry->key = latest->fields[i]->key;
		entry->value = merge_value(a, struct_get(old, entry->key), v, depth);
		*PB_ADD(a, s->fields, s->n_fields) = entry;
	}
	return s;
}

void merge_custom_info(struct arena *a, AdminTaskExecutionClosure *closure, const PbStruct *latest)
{
	if (!latest)
		return;
	closure->custom_info =
		closure->custom_info ? merge_struct(a, closure->custom_info, latest, 32) : (PbStruct *)latest;
}

/* ---- metadata ---- */

typedef EventExternalResourceInfo *resource;

static int compare_resources(const EventExternalResourceInfo *a, const EventExternalResourceInfo *b)
{
	if (a->index != b->index)
		return a->index < b->index ? -1 : 1;
	return a->retry_attempt < b->retry_attempt ? -1 : a->retry_attempt > b->retry_attempt;
}

static int compare_resource_pointers(const void *a, const void *b)
{
	return compare_resources(*(const resource *)a, *(const resource *)b);
}

static void merge_resource(struct arena *a, resource old, resource latest)
{
	task_log *logs;

	if (*latest->external_id)
		old->external_id = latest->external_id;
	old->phase = latest->phase;
	if (latest->cache_status != CORE_CATALOG_CACHE_STATUS_CACHE_DISABLED)
		old->cache_status = latest->cache_status;
	old->n_logs = join_logs(a, old->logs, old->n_logs, latest->logs, latest->n_logs, &logs);
	old->logs = logs;
	if (latest->custom_info)
		old->custom_info = latest->custom_info;
	if (latest->log_context)
		old->log_context = latest->log_context;
}

/* Where `r` is or belongs in the sorted list. */
static size_t resource_place(const EventTaskExecutionMetadata *m, const EventExternalResourceInfo *r)
{
	size_t low = 0, high = m->n_external_resources;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (compare_resources(m->external_resources[middle], r) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void add_resource(struct arena *a, EventTaskExecutionMetadata *m, resource r)
{
	size_t i = resource_place(m, r);

	if (i < m->n_external_resources && compare_resources(m->external_resources[i], r) == 0) {
		merge_resource(a, m->external_resources[i], r);
		return;
	}
	*PB_ADD(a, m->external_resources, m->n_external_resources) = r;
	memmove(m->external_resources + i + 1, m->external_resources + i,
		(m->n_external_resources - 1 - i) * sizeof *m->external_resources);
	m->external_resources[i] = r;
}

static void merge_into(struct arena *a, EventTaskExecutionMetadata *m, EventTaskExecutionMetadata *latest)
{
	if (*latest->generated_name)
		m->generated_name = latest->generated_name;
	for (size_t i = 0; i < latest->n_external_resources; i++)
		add_resource(a, m, latest->external_resources[i]);
	m->resource_pool_info = latest->resource_pool_info;
	m->n_resource_pool_info = latest->n_resource_pool_info;
	if (*latest->plugin_identifier)
		m->plugin_identifier = latest->plugin_identifier;
	if (latest->instance_class != EVENT_TASK_EXECUTION_METADATA_INSTANCE_CLASS_DEFAULT)
		m->instance_class = latest->instance_class;
}

void merge_task_metadata(struct arena *a, AdminTaskExecutionClosure *closure, EventTaskExecutionMetadata *latest,
			 bool phase_changed)
{
	EventTaskExecutionMetadata *m = closure->metadata;

	if (!m && latest) {
		if (latest->n_external_resources > 1)
			qsort(latest->external_resources, latest->n_external_resources, sizeof(resource),
			      compare_resource_pointers);
		closure->metadata = latest;
		return;
	}
	if (m && latest)
		merge_into(a, m, latest);
	for (size_t i = 0; m && phase_changed && i < m->n_external_resources; i++)
		m->external_resources[i]->n_logs =
			filter_logs(m->external_resources[i]->logs, m->external_resources[i]->n_logs, closure->phase);
}

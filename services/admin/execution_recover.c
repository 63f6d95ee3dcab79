/* RecoverExecution: the same again, but what is finished is taken over. What there is to take over is written to a file
 * in the store, page by page, which the command to propeller names; propeller asks nothing more.
 * Source: flyteadmin pkg/manager/impl/execution_manager.go; flytepropeller controller/nodes/executor.go
 * attemptRecovery, which asks admin node by node (v1.16.8). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "execution.h"
#include "flyteidl/event/event.h"
#include "google/protobuf/struct.h"
#include "pb/pb.h"

enum { PAGE_ROWS = 200 };

/* The phases are SUCCEEDED and RECOVERED; QUEUED and SKIPPED nodes have left nothing. */
#define DONE "n.phase IN (3, 10)"
static const struct db_stmt GET_NODES = {
	"execution_recover_nodes",
	"SELECT n.node_id, " DONE ", n.input_uri, n.inputs, n.outputs, n.dynamic_workflow, n.metadata, n.closure "
	"FROM node_executions n WHERE n.execution = $1 AND n.node_id > $2 AND n.phase NOT IN (0, 1, 7) "
	"ORDER BY n.node_id LIMIT $3",
};
static const struct db_stmt GET_ARRAY = {
	"execution_recover_array",
	"SELECT closure FROM task_executions WHERE execution = $1 AND node_id = $2 ORDER BY retry_attempt DESC LIMIT 1",
};

struct recovering {
	struct request *rq;
	struct db *db;
	int64_t source;
	struct arena *arena; /* of the page */
	int fd;
};

/* ---- items of arrays ---- */

/* Where an item that was recovered itself lies. Source: propeller's engine/recover.c. */
static char *recovered_from(const PbStruct *custom)
{
	for (size_t i = 0; custom && i < custom->n_fields; i++)
		if (strcmp(custom->fields[i]->key, "recovered_from") == 0 && custom->fields[i]->value &&
		    custom->fields[i]->value->kind_case == PB_VALUE_KIND_STRING_VALUE)
			return custom->fields[i]->value->string_value;
	return "";
}

static enum code add_items(struct recovering *r, const char *node_id, AlulaRecoveredNode *to, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	AdminTaskExecutionClosure *closure = NULL;
	AlulaRecoveredItems items = ALULA_RECOVERED_ITEMS_INIT;
	enum code c = db_query(r->db, &GET_ARRAY, &rows, err, db_i64(r->source), db_text(node_id));

	if (c || db_rows_count(rows) == 0)
		return c;
	c = pb_unpack_own(ADMIN_TASK_EXECUTION_CLOSURE_DESC, db_get_str(rows, 0, 0), r->arena, (void **)&closure, err);
	for (size_t i = 0; !c && closure->metadata && i < closure->metadata->n_external_resources; i++) {
		const EventExternalResourceInfo *info = closure->metadata->external_resources[i];
		if (info->phase != CORE_TASK_EXECUTION_PHASE_SUCCEEDED)
			continue;
		AlulaRecoveredItem *item = pb_new(r->arena, ALULA_RECOVERED_ITEM_DESC);
		item->index = info->index;
		item->attempt = info->retry_attempt;
		item->output_uri = recovered_from(info->custom_info);
		*PB_ADD(r->arena, items.items, items.n_items) = item;
	}
	if (!c && items.n_items) {
		struct str packed = pb_pack(&items, r->arena);
		to->items.data = (uint8_t *)packed.ptr;
		to->items.len = packed.len;
	}
	return c;
}

/* ---- nodes ---- */

static enum code unpack_column(const struct db_rows *rows, size_t i, int column, const ProtobufCMessageDescriptor *desc,
			       struct arena *a, void **ret, struct err *err)
{
	return db_is_null(rows, i, column) ? OK : pb_unpack_own(desc, db_get_str(rows, i, column), a, ret, err);
}

static enum code set_data(struct recovering *r, const struct db_rows *rows, size_t i,
			  const AdminNodeExecutionClosure *closure, EventNodeExecutionEvent *e, struct err *err)
{
	enum code c = unpack_column(rows, i, 3, CORE_LITERAL_MAP_DESC, r->arena, (void **)&e->input_data, err);

	if (!c && e->input_data) {
		e->input_value_case = EVENT_NODE_EXECUTION_EVENT_INPUT_VALUE_INPUT_DATA;
	} else if (!c && !db_is_null(rows, i, 2)) {
		e->input_value_case = EVENT_NODE_EXECUTION_EVENT_INPUT_VALUE_INPUT_URI;
		e->input_uri = db_get_text(rows, i, 2, r->arena);
	}
	if (!c)
		c = unpack_column(rows, i, 4, CORE_LITERAL_MAP_DESC, r->arena, (void **)&e->output_data, err);
	if (!c && e->output_data) {
		e->output_result_case = EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA;
	} else if (!c && closure->output_result_case == ADMIN_NODE_EXECUTION_CLOSURE_OUTPUT_RESULT_OUTPUT_URI) {
		e->output_result_case = EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_URI;
		e->output_uri = closure->output_uri;
	}
	return c;
}

/* The two messages about dynamic workflows have the same fields. */
static enum code set_task(struct recovering *r, const struct db_rows *rows, size_t i,
			  const AdminNodeExecutionClosure *closure, bool done, EventNodeExecutionEvent *e,
			  struct err *err)
{
	EventTaskNodeMetadata *m = pb_new(r->arena, EVENT_TASK_NODE_METADATA_DESC);
	enum code c = done ? unpack_column(rows, i, 5, EVENT_DYNAMIC_WORKFLOW_NODE_METADATA_DESC, r->arena,
					   (void **)&m->dynamic_workflow, err)
			   : OK;

	if (c)
		return c;
	if (!done && *closure->dynamic_job_spec_uri) {
		m->dynamic_workflow = pb_new(r->arena, EVENT_DYNAMIC_WORKFLOW_NODE_METADATA_DESC);
		m->dynamic_workflow->dynamic_job_spec_uri = closure->dynamic_job_spec_uri;
	}
	m->catalog_key = closure->task_node_metadata->catalog_key;
	m->cache_status = closure->task_node_metadata->cache_status;
	m->checkpoint_uri = closure->task_node_metadata->checkpoint_uri;
	e->target_metadata_case = EVENT_NODE_EXECUTION_EVENT_TARGET_METADATA_TASK_NODE_METADATA;
	e->task_node_metadata = m;
	return OK;
}

static enum code set_target(struct recovering *r, const struct db_rows *rows, size_t i,
			    const AdminNodeExecutionClosure *closure, bool done, EventNodeExecutionEvent *e,
			    struct err *err)
{
	if (closure->target_metadata_case == ADMIN_NODE_EXECUTION_CLOSURE_TARGET_METADATA_TASK_NODE_METADATA)
		return set_task(r, rows, i, closure, done, e, err);
	if (closure->target_metadata_case == ADMIN_NODE_EXECUTION_CLOSURE_TARGET_METADATA_WORKFLOW_NODE_METADATA) {
		e->target_metadata_case = EVENT_NODE_EXECUTION_EVENT_TARGET_METADATA_WORKFLOW_NODE_METADATA;
		e->workflow_node_metadata = pb_new(r->arena, EVENT_WORKFLOW_NODE_METADATA_DESC);
		e->workflow_node_metadata->execution_id = closure->workflow_node_metadata->executionid;
	}
	return OK;
}

static enum code add_node(struct recovering *r, const struct db_rows *rows, size_t i, AlulaRecovery *page,
			  struct err *err)
{
	AlulaRecoveredNode *to = pb_new(r->arena, ALULA_RECOVERED_NODE_DESC);
	EventNodeExecutionEvent *e = pb_new(r->arena, EVENT_NODE_EXECUTION_EVENT_DESC);
	AdminNodeExecutionMetaData *metadata = NULL;
	AdminNodeExecutionClosure *closure = NULL;
	bool done = db_get_bool(rows, i, 1);
	enum code c = unpack_column(rows, i, 6, ADMIN_NODE_EXECUTION_META_DATA_DESC, r->arena, (void **)&metadata, err);

	if (!c)
		c = unpack_column(rows, i, 7, ADMIN_NODE_EXECUTION_CLOSURE_DESC, r->arena, (void **)&closure, err);
	if (!c)
		c = set_data(r, rows, i, closure, e, err);
	if (!c)
		c = set_target(r, rows, i, closure, done, e, err);
	to->node_id = db_get_text(rows, i, 0, r->arena);
	if (!c && metadata->is_array && !done)
		c = add_items(r, to->node_id, to, err);
	if (c)
		return c;
	if (!done && !e->target_metadata_case && !to->items.len)
		return OK;
	e->phase = done ? CORE_NODE_EXECUTION_PHASE_RECOVERED : CORE_NODE_EXECUTION_PHASE_FAILED;
	e->deck_uri = done ? closure->deck_uri : "";
	e->is_parent = done && metadata->is_parent_node;
	e->is_dynamic = metadata->is_dynamic;
	struct str packed = pb_pack(e, r->arena);
	to->event.data = (uint8_t *)packed.ptr;
	to->event.len = packed.len;
	*PB_ADD(r->arena, page->nodes, page->n_nodes) = to;
	return OK;
}

/* ---- the file ---- */

/* Repeated fields of messages one after the other are one message. */
static enum code append(struct recovering *r, const AlulaRecovery *part, struct err *err)
{
	struct str packed = pb_pack(part, r->arena);

	while (packed.len) {
		ssize_t n = write(r->fd, packed.ptr, packed.len);
		if (n < 0)
			return err_set(err, UNAVAILABLE, "cannot write what is recovered: %s", strerror(errno));
		packed.ptr += n;
		packed.len -= (size_t)n;
	}
	return OK;
}

static enum code write_page(struct recovering *r, const char *after, char **ret_last, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	AlulaRecovery page = ALULA_RECOVERY_INIT;
	enum code c = db_query(r->db, &GET_NODES, &rows, err, db_i64(r->source), db_text(after), db_i64(PAGE_ROWS));
	size_t n = c ? 0 : db_rows_count(rows);

	for (size_t i = 0; !c && i < n; i++)
		c = add_node(r, rows, i, &page, err);
	if (!c)
		c = append(r, &page, err);
	if (!c)
		*ret_last = n == PAGE_ROWS ? x_strdup(db_get_text(rows, n - 1, 0, r->arena)) : NULL;
	return c;
}

static enum code write_all(struct recovering *r, const CoreWorkflowExecutionIdentifier *source, struct err *err)
{
	AlulaRecovery head = ALULA_RECOVERY_INIT;
	auto_mem char *after = x_strdup("");

	head.source = (CoreWorkflowExecutionIdentifier *)source;
	enum code c = append(r, &head, err);
	while (!c && after) {
		char *last = NULL;
		c = write_page(r, after, &last, err);
		free(after);
		after = last;
		arena_reset(r->arena);
	}
	return c;
}

enum code execution_recovery(struct request *rq, struct db *db, const CoreWorkflowExecutionIdentifier *source,
			     const char *uri, int64_t *ret_source, struct err *err)
{
	struct store *store = admin_of(rq)->store;
	auto_mem char *path = x_printf("%s/recovery-XXXXXX", store_upload_dir(store));
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct recovering r = {.rq = rq, .db = db, .arena = a};
	enum code c = execution_key(db, source, &r.source, err);

	if (c)
		return c;
	auto_fd int fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return err_set(err, UNAVAILABLE, "cannot create %s: %s", path, strerror(errno));
	r.fd = fd;
	c = write_all(&r, source, err);
	if (!c && fdatasync(fd) != 0)
		c = err_set(err, UNAVAILABLE, "cannot write %s: %s", path, strerror(errno));
	if (!c)
		c = store_adopt(store, uri, path, err);
	if (c)
		unlink(path);
	else
		*ret_source = r.source;
	return c;
}

/* ---- the handler ---- */

static enum code admin_recover_execution(struct request *rq, const AdminExecutionRecoverRequest *in,
					 AdminExecutionCreateResponse *ret, struct err *err)
{
	AdminExecutionCreateRequest again = ADMIN_EXECUTION_CREATE_REQUEST_INIT;
	enum code c = execution_again(rq, in->id, &again, err);

	if (c)
		return c;
	again.name = in->name;
	again.spec->metadata->mode = ADMIN_EXECUTION_METADATA_EXECUTION_MODE_RECOVERED;
	again.spec->metadata->reference_execution = in->id;
	if (in->metadata)
		again.spec->metadata->parent_node_execution = in->metadata->parent_node_execution;
	return admin_create_execution(rq, &again, ret, err);
}
API_THUNK(admin_recover_execution)

const struct api_binding admin_execution_recover_rpcs[] = {
	{"RecoverExecution", admin_recover_execution_api},
	{0},
};

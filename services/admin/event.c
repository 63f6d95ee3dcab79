/* CreateWorkflowEvent, CreateNodeEvent, CreateTaskEvent: see event.h. */
#include "event.h"

#include "flyte/shard.h"
#include "flyte/text.h"
#include "materialise_table.h"
#include "pb/pb.h"

static const struct db_stmt LOCK = {
	"event_lock",
	"SELECT key, spec FROM executions WHERE project = $1 AND domain = $2 AND name = $3 FOR UPDATE",
};
static const struct db_stmt TOLD = {
	"event_told",
	"UPDATE executions SET told = true, spec = coalesce($2::bytea, spec) WHERE key = $1 AND (NOT told OR $2::bytea IS NOT NULL)",
};

/* ---- the transaction ---- */

static enum code lock_execution(struct telling *t, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = db_query(t->db, &LOCK, &rows, err, db_text(t->id->project), db_text(t->id->domain),
			       db_text(t->id->name));

	if (c)
		return c;
	if (db_rows_count(rows) == 0)
		return missing_execution(t->id, err);
	t->x = fold_execution(&t->fold, db_get_i64(rows, 0, 0));
	return pb_unpack_own(ADMIN_EXECUTION_SPEC_DESC, db_get_str(rows, 0, 1), t->rq->arena, (void **)&t->spec, err);
}

/* The rows that the event is about; the table takes them from a record. */
static enum code read_rows(struct telling *t, struct err *err)
{
	AlulaRecord record = ALULA_RECORD_INIT, *records[] = {&record};
	AlulaExecutionEvent *events[] = {&t->event};
	enum code c = table_read_executions(&t->fold, t->db, err);

	t->x->told = true;
	record.execution = t->x->key;
	record.seq = t->x->read_seq + 1;
	record.events = events;
	record.n_events = 1;
	return c ? c : table_read_rows(&t->fold, records, 1, t->db, err);
}

/* Propeller may be at it still, or not have begun. */
static enum code stop_propeller(struct telling *t, struct err *err)
{
	AdminExecutionTerminateRequest in = ADMIN_EXECUTION_TERMINATE_REQUEST_INIT;
	char subject[SUBJECT_BYTES];

	if (!t->x->over)
		return OK;
	in.id = t->id;
	in.cause = "its end was reported by API";
	subject_commands(execution_shard(t->x->key), subject);
	return outbox_add(t->db, &t->sent, -t->x->key, subject, abort_command(t->rq, t->x->key, &in), err);
}

static enum code write_rows(struct telling *t, struct err *err)
{
	struct arena *a = t->rq->arena;
	struct table_steps steps = {0};

	table_write(&t->fold, &steps);
	enum code c = table_run(&steps, t->db, err);

	if (!c)
		c = db_exec(t->db, &TOLD, NULL, err, db_i64(t->x->key),
			    t->reassigned ? db_bytea(pb_pack(t->spec, a)) : db_null());
	if (!c)
		c = tell_parents(&t->fold, t->db, &t->sent, err);
	return c ? c : stop_propeller(t, err);
}

static enum code transact(struct telling *t, telling_rule follows, struct err *err)
{
	enum code c = db_begin(t->db, err);

	if (!c)
		c = lock_execution(t, err);
	if (!c)
		c = read_rows(t, err);
	if (!c)
		c = follows(t, err);
	if (c)
		return c;
	fold_told(&t->fold, t->x, &t->event);
	c = write_rows(t, err);
	return c ? c : db_commit(t->db, err);
}

static enum code tell(struct telling *t, telling_rule follows, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	struct admin *admin = admin_of(t->rq);
	enum code c = db_take(admin->db, &db, err);

	if (c)
		return c;
	t->db = db;
	fold_init(&t->fold, t->rq->arena);
	c = transact(t, follows, err);
	if (!c)
		outbox_send(admin->outbox, &t->sent);
	outbox_rows_clear(&t->sent);
	fold_clear(&t->fold);
	return c;
}

/* ---- handlers ---- */

static enum code admin_create_workflow_event(struct request *rq, const AdminWorkflowExecutionEventRequest *in,
					     AdminWorkflowExecutionEventResponse *ret, struct err *err)
{
	struct telling t = {.rq = rq, .event = ALULA_EXECUTION_EVENT_INIT};
	enum code c = workflow_event_check(rq, in->event, err);

	(void)ret;
	if (c)
		return c;
	t.id = in->event->execution_id;
	t.cluster = in->event->producer_id;
	t.event.event_case = ALULA_EXECUTION_EVENT_EVENT_WORKFLOW;
	t.event.workflow = in->event;
	return tell(&t, workflow_event_follows, err);
}
API_THUNK(admin_create_workflow_event)

static enum code admin_create_node_event(struct request *rq, const AdminNodeExecutionEventRequest *in,
					 AdminNodeExecutionEventResponse *ret, struct err *err)
{
	struct telling t = {.rq = rq, .event = ALULA_EXECUTION_EVENT_INIT};
	enum code c = node_event_check(rq, in->event, err);

	(void)ret;
	if (c)
		return c;
	t.id = in->event->id->execution_id;
	t.cluster = in->event->producer_id;
	t.event.event_case = ALULA_EXECUTION_EVENT_EVENT_NODE;
	t.event.node = in->event;
	c = tell(&t, node_event_follows, err);
	if (c == NOT_FOUND && !t.x)
		return err_prefix(
			err, c, "Failed to get existing execution id: [%s] with err: ", message_text(t.id, rq->arena));
	return c;
}
API_THUNK(admin_create_node_event)

static enum code admin_create_task_event(struct request *rq, const AdminTaskExecutionEventRequest *in,
					 AdminTaskExecutionEventResponse *ret, struct err *err)
{
	struct telling t = {.rq = rq, .event = ALULA_EXECUTION_EVENT_INIT};
	enum code c = task_event_check(rq, in->event, err);

	(void)ret;
	if (c)
		return c;
	t.id = in->event->parent_node_execution_id->execution_id;
	t.cluster = in->event->producer_id;
	t.event.event_case = ALULA_EXECUTION_EVENT_EVENT_TASK;
	t.event.task = in->event;
	return tell(&t, task_event_follows, err);
}
API_THUNK(admin_create_task_event)

const struct api_binding admin_event_rpcs[] = {
	{"CreateWorkflowEvent", admin_create_workflow_event_api},
	{"CreateNodeEvent", admin_create_node_event_api},
	{"CreateTaskEvent", admin_create_task_event_api},
	{0},
};

/* Executions that have ended and whose parents wait for it: a command to each parent, in the transaction that writes
 * the end. What the parent no longer needs is forgotten with its other commands (minus its key). */
#include "flyte/shard.h"
#include "materialise_table.h"
#include "pb/pb.h"

enum { MAX_INLINE_BYTES = 256 << 10 };

/* From the table, since the event of its end may have come in an earlier batch than its last record. */
static const struct db_stmt READ_RESULT = {
	"materialise_read_result",
	"SELECT c.phase, c.outputs_uri, c.outputs, c.error, p.project, p.domain, p.name FROM executions c "
	"JOIN executions p ON p.key = c.parent_execution WHERE c.key = $1 AND p.phase NOT IN (4, 6, 7, 8)",
};

static enum code set_result(const struct db_rows *rows, AlulaChildFinished *m, struct arena *a, struct err *err)
{
	m->phase = (CoreWorkflowExecutionPhase)db_get_i64(rows, 0, 0);
	if (!db_is_null(rows, 0, 3)) {
		m->result_case = ALULA_CHILD_FINISHED_RESULT_ERROR;
		return pb_unpack_own(CORE_EXECUTION_ERROR_DESC, db_get_str(rows, 0, 3), a, (void **)&m->error, err);
	}
	if (!db_is_null(rows, 0, 2) && db_get_str(rows, 0, 2).len <= MAX_INLINE_BYTES) {
		m->result_case = ALULA_CHILD_FINISHED_RESULT_OUTPUTS;
		return pb_unpack_own(CORE_LITERAL_MAP_DESC, db_get_str(rows, 0, 2), a, (void **)&m->outputs, err);
	}
	if (!db_is_null(rows, 0, 1)) {
		m->result_case = ALULA_CHILD_FINISHED_RESULT_OUTPUTS_URI;
		m->outputs_uri = db_get_text(rows, 0, 1, a);
	}
	return OK;
}

static enum code tell(struct fold *f, const struct execution_row *x, struct db *db, struct outbox_rows *sent,
		      struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	AlulaCommand command = ALULA_COMMAND_INIT;
	AlulaChildFinished finished = ALULA_CHILD_FINISHED_INIT;
	char subject[SUBJECT_BYTES];
	enum code c = db_query(db, &READ_RESULT, &rows, err, db_i64(x->key));

	if (c || db_rows_count(rows) == 0)
		return c;
	c = set_result(rows, &finished, f->arena, err);
	if (c)
		return c;
	finished.node_id = (char *)x->parent_node;
	finished.child = x->id;
	command.execution = x->parent;
	command.id = pb_new(f->arena, CORE_WORKFLOW_EXECUTION_IDENTIFIER_DESC);
	command.id->project = db_get_text(rows, 0, 4, f->arena);
	command.id->domain = db_get_text(rows, 0, 5, f->arena);
	command.id->name = db_get_text(rows, 0, 6, f->arena);
	command.command_case = ALULA_COMMAND_COMMAND_CHILD_FINISHED;
	command.child_finished = &finished;
	subject_commands(execution_shard(x->parent), subject);
	return outbox_add(db, sent, -x->parent, subject, pb_pack(&command, f->arena), err);
}

enum code tell_parents(struct fold *f, struct db *db, struct outbox_rows *sent, struct err *err)
{
	enum code c = OK;

	vec_each (struct execution_row **, x, &f->executions)
		if (!c && (*x)->known && (*x)->over && (*x)->parent && (*x)->seq > (*x)->read_seq)
			c = tell(f, *x, db, sent, err);
	return c;
}

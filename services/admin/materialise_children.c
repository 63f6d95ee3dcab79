/* Executions that have ended and whose parents wait for it: a command to each parent, in the transaction that writes
 * the end. What the parent no longer needs is forgotten with its other commands (minus its key). */
#include "flyte/shard.h"
#include "materialise_table.h"
#include "pb/pb.h"

enum { MAX_INLINE_BYTES = 256 << 10 };

/* From the table, since the event of its end may have come in an earlier batch than its last record. */
static const struct db_stmt READ_RESULTS = {
	"materialise_read_results",
	"SELECT c.phase, c.outputs_uri, c.outputs, c.error, p.project, p.domain, p.name, p.key, c.project, c.domain, "
	"c.name FROM executions c JOIN executions p ON p.key = c.parent_execution "
	"WHERE c.key = ANY($1) AND p.phase NOT IN (4, 6, 7, 8)",
};

static enum code set_result(const struct db_rows *rows, size_t i, AlulaChildFinished *m, struct arena *a,
			    struct err *err)
{
	m->phase = (CoreWorkflowExecutionPhase)db_get_i64(rows, i, 0);
	if (!db_is_null(rows, i, 3)) {
		m->result_case = ALULA_CHILD_FINISHED_RESULT_ERROR;
		return pb_unpack_own(CORE_EXECUTION_ERROR_DESC, db_get_str(rows, i, 3), a, (void **)&m->error, err);
	}
	if (!db_is_null(rows, i, 2) && db_get_str(rows, i, 2).len <= MAX_INLINE_BYTES) {
		m->result_case = ALULA_CHILD_FINISHED_RESULT_OUTPUTS;
		return pb_unpack_own(CORE_LITERAL_MAP_DESC, db_get_str(rows, i, 2), a, (void **)&m->outputs, err);
	}
	if (!db_is_null(rows, i, 1)) {
		m->result_case = ALULA_CHILD_FINISHED_RESULT_OUTPUTS_URI;
		m->outputs_uri = db_get_text(rows, i, 1, a);
	}
	return OK;
}

static CoreWorkflowExecutionIdentifier *read_id(const struct db_rows *rows, size_t i, int column, struct arena *a)
{
	CoreWorkflowExecutionIdentifier *id = pb_new(a, CORE_WORKFLOW_EXECUTION_IDENTIFIER_DESC);

	id->project = db_get_text(rows, i, column, a);
	id->domain = db_get_text(rows, i, column + 1, a);
	id->name = db_get_text(rows, i, column + 2, a);
	return id;
}

static enum code tell(const struct db_rows *rows, size_t i, struct arena *a, struct db *db, struct outbox_rows *sent,
		      struct err *err)
{
	AlulaCommand command = ALULA_COMMAND_INIT;
	AlulaChildFinished finished = ALULA_CHILD_FINISHED_INIT;
	char subject[SUBJECT_BYTES];
	enum code c = set_result(rows, i, &finished, a, err);

	if (c)
		return c;
	finished.child = read_id(rows, i, 8, a);
	command.execution = db_get_i64(rows, i, 7);
	command.id = read_id(rows, i, 4, a);
	command.command_case = ALULA_COMMAND_COMMAND_CHILD_FINISHED;
	command.child_finished = &finished;
	subject_commands(execution_shard(command.execution), subject);
	return outbox_add(db, sent, -command.execution, subject, pb_pack(&command, a), err);
}

enum code tell_parents(struct fold *f, struct db *db, struct outbox_rows *sent, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	struct db_array *keys = db_array_new(f->arena, db_i64(0));
	bool any = false;

	vec_each (struct execution_row **, x, &f->executions) {
		if (!fold_changes(*x) || !(*x)->over || !(*x)->parent)
			continue;
		db_array_add(keys, db_i64((*x)->key));
		any = true;
	}
	if (!any)
		return OK;
	enum code c = db_query(db, &READ_RESULTS, &rows, err, db_array(keys));
	for (size_t i = 0; !c && i < db_rows_count(rows); i++)
		c = tell(rows, i, f->arena, db, sent, err);
	return c;
}

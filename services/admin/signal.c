/* Signals: what gate nodes wait for. A gate tells of its signal by an event; a value goes to propeller as a command.
 * Source: flyteadmin pkg/manager/impl/signal_manager.go, validation/signal_validator.go (v1.16.8). */
#include "flyteidl/admin/signal.h"
#include "execution.h"
#include "flyte/shard.h"
#include "flyte/types.h"
#include "materialise_fold.h"
#include "pb/pb.h"
#include "validation.h"

#define COLUMNS "s.signal_id, s.type, s.value"

static const struct db_stmt GET_OR_CREATE = {
	"signal_get_or_create",
	"WITH new AS (INSERT INTO signals (execution, signal_id, created_at, updated_at, type) "
	"VALUES ($1, $2, now(), now(), $3) ON CONFLICT DO NOTHING RETURNING signal_id, type, value) "
	"SELECT * FROM new UNION ALL SELECT " COLUMNS " FROM signals s WHERE s.execution = $1 AND s.signal_id = $2",
};
static const struct db_stmt GET_TYPE = {
	"signal_get_type",
	"SELECT s.type FROM signals s WHERE s.execution = $1 AND s.signal_id = $2",
};
static const struct db_stmt SET = {
	"signal_set",
	"UPDATE signals SET value = $3, updated_at = now() WHERE execution = $1 AND signal_id = $2",
};

/* Its end waits until the value is written. */
static const struct db_stmt GET_PHASE = {
	"signal_execution_phase",
	"SELECT phase FROM executions WHERE key = $1 FOR SHARE",
};

static const struct list_column SIGNAL_COLUMNS[] = {
	EXECUTION_PROJECT("s"),
	EXECUTION_DOMAIN("s"),
	EXECUTION_NAME("s"),
	{"id", "s.id", .kind = COLUMN_I64},
	{"signal_id", "s.signal_id", .kind = COLUMN_TEXT},
	{"created_at", "s.created_at", .kind = COLUMN_TIME},
	{"updated_at", "s.updated_at", .kind = COLUMN_TIME},
	{0},
};
static const struct list_entity ENTITIES[] = {{"signal", "s", SIGNAL_COLUMNS, NULL}, {0}};

static enum code check_signal_id(const CoreSignalIdentifier *id, struct err *err)
{
	if (!id)
		return err_set(err, INVALID_ARGUMENT, "missing id");
	if (!id->execution_id)
		return err_set(err, INVALID_ARGUMENT, "missing execution_id");
	enum code c = check_text(id->signal_id, "signal_id", err);
	if (!c)
		c = check_max_length(id->signal_id, "signal_id", 255, err);
	return c ? c : check_execution_id(id->execution_id, err);
}

static enum code read_signal(const struct db_rows *rows, size_t i, int col, CoreWorkflowExecutionIdentifier *execution,
			     struct arena *a, AdminSignal *ret, struct err *err)
{
	ret->id = pb_new(a, CORE_SIGNAL_IDENTIFIER_DESC);
	ret->id->execution_id = execution;
	ret->id->signal_id = db_get_text(rows, i, col, a);
	enum code c = pb_unpack_own(CORE_LITERAL_TYPE_DESC, db_get_str(rows, i, col + 1), a, (void **)&ret->type, err);
	if (c || db_is_null(rows, i, col + 2))
		return c;
	return pb_unpack_own(CORE_LITERAL_DESC, db_get_str(rows, i, col + 2), a, (void **)&ret->value, err);
}

static enum code signal_get_or_create(struct request *rq, const AdminSignalGetOrCreateRequest *in, AdminSignal *ret,
				      struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	int64_t key = 0;
	enum code c = check_signal_id(in->id, err);

	if (!c && !in->type)
		return err_set(err, INVALID_ARGUMENT, "missing type");
	if (!c)
		c = db_take(admin_of(rq)->db, &db, err);
	if (!c)
		c = execution_key(db, in->id->execution_id, &key, err);
	/* A row that another made meanwhile is not in this statement's snapshot, but in the next one's. */
	for (int i = 0; !c && db_rows_count(rows) == 0 && i < 2; i++) {
		db_rows_free(take(rows));
		c = db_query(db, &GET_OR_CREATE, &rows, err, db_i64(key), db_text(in->id->signal_id),
			     db_bytea(pb_pack(in->type, rq->arena)));
	}
	if (!c && db_rows_count(rows) == 0)
		return err_set(err, ABORTED, "signal %s was removed meanwhile; try again", in->id->signal_id);
	return c ? c : read_signal(rows, 0, 0, in->id->execution_id, rq->arena, ret, err);
}
API_THUNK(signal_get_or_create)

static enum code signal_list(struct request *rq, const AdminSignalListRequest *in, AdminSignalList *ret,
			     struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	auto_list struct list l = {0};
	const char *token = "";
	struct err missing;
	int64_t key = 0;

	if (check_execution_id(in->workflow_execution_id, NULL) != OK)
		return err_set(err, INVALID_ARGUMENT, "missing execution_id");
	enum code c = check_limit(in->limit, err);
	list_init(&l, rq->arena, "ListSignals", ENTITIES);
	list_select(&l, COLUMNS, "signals s", "s.id", in->sort_by);
	if (!c)
		c = db_take(admin_of(rq)->db, &db, err);
	if (c)
		return c;
	/* An execution that there is not has no signals, and that is no error. */
	c = execution_key(db, in->workflow_execution_id, &key, &missing);
	if (c && c != NOT_FOUND)
		return err_set(err, c, "%s", missing.text);
	list_where(&l, "s.execution", db_i64(key));
	c = list_filter(&l, in->filters, err);
	if (!c)
		c = list_run(&l, db, in->limit, in->token, &rows, &token, err);
	for (size_t i = 0; !c && i < db_rows_count(rows); i++) {
		AdminSignal *s = pb_new(rq->arena, ADMIN_SIGNAL_DESC);
		c = read_signal(rows, i, 2, in->workflow_execution_id, rq->arena, s, err);
		if (!c)
			*PB_ADD(rq->arena, ret->signals, ret->n_signals) = s;
	}
	ret->token = (char *)token;
	return c;
}
API_THUNK(signal_list)

/* ---- a value ---- */

static enum code check_value(struct request *rq, struct db *db, int64_t key, const AdminSignalSetRequest *in,
			     struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	CoreLiteralType *wanted = NULL;
	enum code c = db_query(db, &GET_TYPE, &rows, err, db_i64(key), db_text(in->id->signal_id));

	if (c)
		return c;
	if (db_rows_count(rows) == 0)
		return err_set(err, INVALID_ARGUMENT,
			       "failed to validate that signal [%s] of execution %s exists: no gate node waits for it",
			       in->id->signal_id, in->id->execution_id->name);
	c = pb_unpack_own(CORE_LITERAL_TYPE_DESC, db_get_str(rows, 0, 0), rq->arena, (void **)&wanted, err);
	if (c)
		return c;
	const CoreLiteralType *type = literal_type(in->value, rq->arena);
	c = literal_type_check(type, err);
	if (!c && !type_castable(type, wanted))
		return err_set(err, INVALID_ARGUMENT,
			       "requested signal value of type [%s] is not castable to existing signal type [%s]",
			       type_text(type, rq->arena), type_text(wanted, rq->arena));
	return c;
}

static struct str set_command(struct request *rq, int64_t key, const AdminSignalSetRequest *in)
{
	AlulaCommand command = ALULA_COMMAND_INIT;
	AlulaSetSignal set = ALULA_SET_SIGNAL_INIT;

	set.signal_id = in->id->signal_id;
	set.value = in->value;
	command.execution = key;
	command.id = in->id->execution_id;
	command.command_case = ALULA_COMMAND_COMMAND_SET_SIGNAL;
	command.set_signal = &set;
	return pb_pack(&command, rq->arena);
}

/* The outbox row has minus the key, as an abort has: it is forgotten when the execution is over. */
static enum code write_value(struct request *rq, struct db *db, int64_t key, const AdminSignalSetRequest *in,
			     struct outbox_rows *sent, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	char subject[SUBJECT_BYTES];
	enum code c = db_begin(db, err);

	subject_commands(execution_shard(key), subject);
	if (!c)
		c = db_exec(db, &SET, NULL, err, db_i64(key), db_text(in->id->signal_id),
			    db_bytea(pb_pack(in->value, rq->arena)));
	if (!c)
		c = db_query(db, &GET_PHASE, &rows, err, db_i64(key));
	/* Nobody would confirm what is said to an execution that is over. */
	if (!c && !execution_phase_terminal((int32_t)db_get_i64(rows, 0, 0)))
		c = outbox_add(db, sent, -key, subject, set_command(rq, key, in), err);
	return c ? c : db_commit(db, err);
}

static enum code signal_set(struct request *rq, const AdminSignalSetRequest *in, AdminSignalSetResponse *ret,
			    struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_outbox_rows struct outbox_rows sent = {0};
	struct admin *admin = admin_of(rq);
	int64_t key = 0;
	enum code c = check_signal_id(in->id, err);

	(void)ret;
	if (!c && !in->value)
		return err_set(err, INVALID_ARGUMENT, "missing value");
	if (!c && pb_depth(in->value) > LITERAL_MAP_MAX_DEPTH - 2)
		return err_set(err, INVALID_ARGUMENT, "value is nested too deeply");
	if (!c)
		c = db_take(admin->db, &db, err);
	if (!c)
		c = execution_key(db, in->id->execution_id, &key, err);
	if (!c)
		c = check_value(rq, db, key, in, err);
	if (!c)
		c = write_value(rq, db, key, in, &sent, err);
	if (!c)
		outbox_send(admin->outbox, &sent);
	return c;
}
API_THUNK(signal_set)

const struct api_binding admin_signal_rpcs[] = {
	{"GetOrCreateSignal", signal_get_or_create_api},
	{"ListSignals", signal_list_api},
	{"SetSignal", signal_set_api},
	{0},
};

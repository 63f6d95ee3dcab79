#include "materialise_table.h"

#include "execution.h"
#include "pb/pb.h"
#include "resource.h"

/* ---- reading ---- */

static const struct db_stmt READ_EXECUTIONS = {
	"materialise_read_executions",
	"SELECT key, seq, phase, started_at, parent_execution, told FROM executions WHERE key = ANY($1)",
};

static const struct db_stmt READ_NODES = {
	"materialise_read_nodes",
	"SELECT t.execution, t.node_id, t.seq, t.input_uri, t.metadata, t.closure FROM node_executions t "
	"JOIN (SELECT DISTINCT * FROM unnest($1::bigint[], $2::text[]) u (execution, node_id)) k "
	"ON t.execution = k.execution AND t.node_id = k.node_id COLLATE \"C\"",
};

static const struct db_stmt READ_TASKS = {
	"materialise_read_tasks",
	"SELECT t.execution, t.node_id, t.retry_attempt, t.task_project, t.task_domain, t.task_name, t.task_version, "
	"t.seq, t.phase_version, t.input_uri, t.closure FROM task_executions t "
	"JOIN (SELECT DISTINCT * FROM unnest($1::bigint[], $2::text[], $3::bigint[]) u (execution, node_id, attempt)) k "
	"ON t.execution = k.execution AND t.node_id = k.node_id COLLATE \"C\" AND t.retry_attempt = k.attempt",
};

enum code table_read_executions(struct fold *f, struct db *db, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	struct db_array *keys = db_array_new(f->arena, db_i64(0));

	vec_each (struct execution_row **, x, &f->executions)
		db_array_add(keys, db_i64((*x)->key));
	enum code c = db_query(db, &READ_EXECUTIONS, &rows, err, db_array(keys));
	for (size_t i = 0; !c && i < db_rows_count(rows); i++) {
		struct execution_row *x = fold_execution(f, db_get_i64(rows, i, 0));
		x->known = true;
		x->seq = x->read_seq = db_get_i64(rows, i, 1);
		x->phase = (int32_t)db_get_i64(rows, i, 2);
		x->started_us = db_is_null(rows, i, 3) ? 0 : db_get_time_us(rows, i, 3);
		x->parent = db_is_null(rows, i, 4) ? 0 : db_get_i64(rows, i, 4);
		x->told = db_get_bool(rows, i, 5);
	}
	return c;
}

/* Columns of what is to be looked up. */
struct wanted {
	struct db_array *executions, *nodes, *attempts;
	size_t n;
};

static struct wanted wanted_new(struct arena *a)
{
	return (struct wanted){
		.executions = db_array_new(a, db_i64(0)),
		.nodes = db_array_new(a, db_text("")),
		.attempts = db_array_new(a, db_i64(0)),
	};
}

static void want(struct wanted *w, int64_t execution, const CoreNodeExecutionIdentifier *node, uint32_t attempt)
{
	if (!node)
		return;
	db_array_add(w->executions, db_i64(execution));
	db_array_add(w->nodes, db_text(node->node_id));
	db_array_add(w->attempts, db_i64(attempt));
	w->n++;
}

static const char *text_or_null(const struct db_rows *rows, size_t row, int col, struct arena *a)
{
	return db_is_null(rows, row, col) ? NULL : db_get_text(rows, row, col, a);
}

static enum code read_nodes(struct fold *f, const struct wanted *w, struct db *db, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = db_query(db, &READ_NODES, &rows, err, db_array(w->executions), db_array(w->nodes));

	for (size_t i = 0; !c && i < db_rows_count(rows); i++) {
		struct node_row *n = fold_node(f, db_get_i64(rows, i, 0), db_get_text(rows, i, 1, f->arena));
		n->seq = db_get_i64(rows, i, 2);
		n->input_uri = text_or_null(rows, i, 3, f->arena);
		c = pb_unpack_own(ADMIN_NODE_EXECUTION_META_DATA_DESC, db_get_str(rows, i, 4), f->arena,
				  (void **)&n->metadata, err);
		if (!c)
			c = pb_unpack_own(ADMIN_NODE_EXECUTION_CLOSURE_DESC, db_get_str(rows, i, 5), f->arena,
					  (void **)&n->closure, err);
	}
	return c;
}

static enum code read_tasks(struct fold *f, const struct wanted *w, struct db *db, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = db_query(db, &READ_TASKS, &rows, err, db_array(w->executions), db_array(w->nodes),
			       db_array(w->attempts));

	for (size_t i = 0; !c && i < db_rows_count(rows); i++) {
		struct task_row *t = fold_task(f, db_get_i64(rows, i, 0), db_get_text(rows, i, 1, f->arena),
					       resource_id(f->arena, CORE_RESOURCE_TYPE_TASK, rows, i, 3),
					       (uint32_t)db_get_i64(rows, i, 2));
		t->seq = db_get_i64(rows, i, 7);
		t->phase_version = (uint32_t)db_get_i64(rows, i, 8);
		t->input_uri = text_or_null(rows, i, 9, f->arena);
		c = pb_unpack_own(ADMIN_TASK_EXECUTION_CLOSURE_DESC, db_get_str(rows, i, 10), f->arena,
				  (void **)&t->closure, err);
	}
	return c;
}

enum code table_read_rows(struct fold *f, AlulaRecord *const *records, size_t n, struct db *db, struct err *err)
{
	struct wanted nodes = wanted_new(f->arena), tasks = wanted_new(f->arena);

	for (size_t i = 0; i < n; i++) {
		const struct execution_row *x = fold_execution(f, records[i]->execution);
		/* Nothing was taken in before record 1, and nothing of repeats will be. */
		if ((x->read_seq == 0 && !x->told) || records[i]->seq <= x->read_seq)
			continue;
		for (size_t k = 0; k < records[i]->n_events; k++) {
			const AlulaExecutionEvent *e = records[i]->events[k];
			if (e->event_case == ALULA_EXECUTION_EVENT_EVENT_NODE)
				want(&nodes, x->key, e->node->id, 0);
			else if (e->event_case == ALULA_EXECUTION_EVENT_EVENT_TASK)
				want(&tasks, x->key, e->task->parent_node_execution_id, e->task->retry_attempt);
		}
	}
	enum code c = nodes.n ? read_nodes(f, &nodes, db, err) : OK;
	return !c && tasks.n ? read_tasks(f, &tasks, db, err) : c;
}

/* ---- writing ---- */

/* The phases 4, 6, 7 and 8 are terminal; 9 is ABORTING, which only those end. */
static const struct db_stmt WRITE_EXECUTIONS = {
	"materialise_write_executions",
	"UPDATE executions t SET seq = n.seq, "
	"phase = CASE WHEN n.phase IS NULL OR t.phase IN (4, 6, 7, 8) THEN t.phase "
	"WHEN t.phase = 9 AND n.phase NOT IN (4, 6, 7, 8) THEN t.phase ELSE n.phase END, "
	"started_at = coalesce(n.started_at, t.started_at), updated_at = coalesce(n.updated_at, t.updated_at), "
	"duration = coalesce(n.duration, t.duration), error = coalesce(n.error, t.error), "
	"error_kind = coalesce(n.error_kind, t.error_kind), error_code = coalesce(n.error_code, t.error_code), "
	"outputs_uri = coalesce(n.outputs_uri, t.outputs_uri), outputs = coalesce(n.outputs, t.outputs) "
	"FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::timestamptz[], $6::timestamptz[], "
	"$7::bigint[], $8::bytea[], $9::text[], $10::text[], $11::text[], $12::bytea[]) "
	"n (key, read_seq, seq, phase, started_at, updated_at, duration, error, error_kind, error_code, outputs_uri, "
	"outputs) WHERE t.key = n.key AND t.seq = n.read_seq",
};

static const struct db_stmt WRITE_NODES = {
	"materialise_write_nodes",
	"INSERT INTO node_executions AS t (execution, node_id, seq, phase, created_at, started_at, updated_at, duration, "
	"parent_node_id, parent_task, error_kind, error_code, input_uri, inputs, outputs, dynamic_workflow, metadata, "
	"closure) SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::timestamptz[], "
	"$6::timestamptz[], $7::timestamptz[], $8::bigint[], $9::text[], $10::text[], $11::text[], $12::text[], "
	"$13::text[], $14::bytea[], $15::bytea[], $16::bytea[], $17::bytea[], $18::bytea[]) "
	"ON CONFLICT (execution, node_id) DO UPDATE SET seq = excluded.seq, phase = excluded.phase, "
	"started_at = excluded.started_at, updated_at = excluded.updated_at, duration = excluded.duration, "
	"error_kind = excluded.error_kind, error_code = excluded.error_code, "
	"input_uri = coalesce(t.input_uri, excluded.input_uri), inputs = coalesce(t.inputs, excluded.inputs), "
	"outputs = coalesce(excluded.outputs, t.outputs), "
	"dynamic_workflow = coalesce(excluded.dynamic_workflow, t.dynamic_workflow), "
	"metadata = excluded.metadata, closure = excluded.closure "
	"WHERE t.seq <= excluded.seq AND t.phase NOT IN (3, 5, 6, 7, 8, 10)",
};

static const struct db_stmt WRITE_TASKS = {
	"materialise_write_tasks",
	"INSERT INTO task_executions AS t (execution, node_id, retry_attempt, task_project, task_domain, task_name, "
	"task_version, seq, phase, phase_version, created_at, started_at, updated_at, duration, error_kind, error_code, "
	"input_uri, inputs, outputs, closure) SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], "
	"$5::text[], $6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], $11::timestamptz[], "
	"$12::timestamptz[], $13::timestamptz[], $14::bigint[], $15::text[], $16::text[], $17::text[], $18::bytea[], "
	"$19::bytea[], $20::bytea[]) "
	"ON CONFLICT (execution, node_id, retry_attempt, task_name, task_version, task_project, task_domain) "
	"DO UPDATE SET seq = excluded.seq, phase = excluded.phase, phase_version = excluded.phase_version, "
	"started_at = excluded.started_at, updated_at = excluded.updated_at, duration = excluded.duration, "
	"error_kind = excluded.error_kind, error_code = excluded.error_code, "
	"input_uri = coalesce(t.input_uri, excluded.input_uri), inputs = coalesce(t.inputs, excluded.inputs), "
	"outputs = coalesce(excluded.outputs, t.outputs), closure = excluded.closure "
	"WHERE t.seq <= excluded.seq AND t.phase NOT IN (3, 4, 5)",
};

static const struct db_stmt WRITE_SIGNALS = {
	"materialise_write_signals",
	"INSERT INTO signals (execution, signal_id, created_at, updated_at, type) "
	"SELECT u.x, u.s, u.t, u.t, u.y FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::bytea[]) "
	"u (x, s, t, y) ON CONFLICT DO NOTHING",
};

enum { MAX_COLUMNS = 20 };

/* A statement's columns in the making. */
struct columns {
	struct arena *arena;
	struct db_array *at[MAX_COLUMNS];
	size_t n, next;
};

enum column { I64, TEXT, TIME, BYTES };

static struct columns columns_new(struct arena *a, size_t n, const enum column *kinds)
{
	struct columns c = {.arena = a, .n = n};
	const struct db_param samples[] = {
		[I64] = db_i64(0), [TEXT] = db_text(""), [TIME] = db_time(1), [BYTES] = db_bytea(str_of(""))};

	for (size_t i = 0; i < n; i++)
		c.at[i] = db_array_new(a, samples[kinds[i]]);
	return c;
}

/* The next column's value; rows are filled from left to right. */
static void put(struct columns *c, struct db_param v)
{
	db_array_add(c->at[c->next], v);
	c->next = (c->next + 1) % c->n;
}

static void put_message(struct columns *c, const void *message)
{
	put(c, message ? db_bytea(pb_pack(message, c->arena)) : db_null());
}

static void put_time(struct columns *c, const PbTimestamp *t)
{
	put(c, t ? db_time(pb_timestamp_us(t)) : db_null());
}

static void put_duration(struct columns *c, const PbDuration *d)
{
	put(c, d ? db_i64(pb_duration_us(d)) : db_null());
}

static void put_error(struct columns *c, const CoreExecutionError *e)
{
	static const char *const KINDS[] = {"UNKNOWN", "USER", "SYSTEM"};

	put(c, e ? db_text((size_t)e->kind < ARRAY_SIZE(KINDS) ? KINDS[e->kind] : KINDS[0]) : db_null());
	put(c, e ? db_text(e->code) : db_null());
}

static void add_step(struct table_steps *steps, struct columns *c, const struct db_stmt *stmt)
{
	struct db_param *params = arena_alloc(c->arena, c->n * sizeof *params);

	for (size_t i = 0; i < c->n; i++)
		params[i] = db_array(c->at[i]);
	steps->at[steps->n++] = (struct db_step){stmt, c->n, params, 0};
}

static void write_executions(struct fold *f, struct table_steps *steps)
{
	static const enum column KINDS[] = {I64, I64, I64, I64, TIME, TIME, I64, BYTES, TEXT, TEXT, TEXT, BYTES};
	struct columns c = columns_new(f->arena, ARRAY_SIZE(KINDS), KINDS);

	vec_each (struct execution_row **, at, &f->executions) {
		struct execution_row *x = *at;
		if (!fold_changes(x))
			continue;
		steps->executions++;
		put(&c, db_i64(x->key));
		put(&c, db_i64(x->read_seq));
		put(&c, db_i64(x->seq));
		put(&c, x->moved ? db_i64(x->phase) : db_null());
		put(&c, db_time(x->started_us));
		put(&c, db_time(x->updated_us));
		put(&c, x->duration_us < 0 ? db_null() : db_i64(x->duration_us));
		put_message(&c, x->error);
		put_error(&c, x->error);
		put(&c, db_text(x->outputs_uri));
		put_message(&c, x->outputs);
	}
	if (steps->executions)
		add_step(steps, &c, &WRITE_EXECUTIONS);
}

static void write_nodes(struct fold *f, struct table_steps *steps)
{
	static const enum column KINDS[] = {I64,  TEXT, I64,  I64,  TIME,  TIME,  TIME,  I64,   TEXT,
					    TEXT, TEXT, TEXT, TEXT, BYTES, BYTES, BYTES, BYTES, BYTES};
	struct columns c = columns_new(f->arena, ARRAY_SIZE(KINDS), KINDS);
	size_t rows = 0;

	vec_each (struct node_row **, at, &f->node_rows) {
		struct node_row *n = *at;
		if (!n->changed)
			continue;
		AdminNodeExecutionClosure *closure = n->closure;
		bool failed = closure->output_result_case == ADMIN_NODE_EXECUTION_CLOSURE_OUTPUT_RESULT_ERROR;
		rows++;
		put(&c, db_i64(n->execution));
		put(&c, db_text(n->node_id));
		put(&c, db_i64(n->seq));
		put(&c, db_i64(closure->phase));
		put(&c, db_time(MAX(pb_timestamp_us(closure->created_at), 1)));
		put_time(&c, closure->started_at);
		put(&c, db_time(MAX(pb_timestamp_us(closure->updated_at), 1)));
		put_duration(&c, closure->duration);
		put(&c, db_text(n->parent_node_id ? n->parent_node_id : ""));
		put(&c, db_text(n->parent_task ? n->parent_task : ""));
		put_error(&c, failed ? closure->error : NULL);
		put(&c, db_text(n->input_uri));
		put_message(&c, n->inputs);
		put_message(&c, n->outputs);
		put_message(&c, n->dynamic_workflow);
		put_message(&c, n->metadata);
		put_message(&c, closure);
	}
	if (rows)
		add_step(steps, &c, &WRITE_NODES);
}

static void write_tasks(struct fold *f, struct table_steps *steps)
{
	static const enum column KINDS[] = {I64,  TEXT, I64,  TEXT, TEXT, TEXT, TEXT, I64,   I64,   I64,
					    TIME, TIME, TIME, I64,  TEXT, TEXT, TEXT, BYTES, BYTES, BYTES};
	struct columns c = columns_new(f->arena, ARRAY_SIZE(KINDS), KINDS);
	size_t rows = 0;

	vec_each (struct task_row **, at, &f->task_rows) {
		struct task_row *t = *at;
		if (!t->changed)
			continue;
		AdminTaskExecutionClosure *closure = t->closure;
		bool failed = closure->output_result_case == ADMIN_TASK_EXECUTION_CLOSURE_OUTPUT_RESULT_ERROR;
		rows++;
		put(&c, db_i64(t->execution));
		put(&c, db_text(t->node_id));
		put(&c, db_i64(t->retry_attempt));
		put(&c, db_text(t->task_id->project));
		put(&c, db_text(t->task_id->domain));
		put(&c, db_text(t->task_id->name));
		put(&c, db_text(t->task_id->version));
		put(&c, db_i64(t->seq));
		put(&c, db_i64(closure->phase));
		put(&c, db_i64(t->phase_version));
		put(&c, db_time(MAX(pb_timestamp_us(closure->created_at), 1)));
		put_time(&c, closure->started_at);
		put(&c, db_time(MAX(pb_timestamp_us(closure->updated_at), 1)));
		put_duration(&c, closure->duration);
		put_error(&c, failed ? closure->error : NULL);
		put(&c, db_text(t->input_uri));
		put_message(&c, t->inputs);
		put_message(&c, t->outputs);
		put_message(&c, closure);
	}
	if (rows)
		add_step(steps, &c, &WRITE_TASKS);
}

static void write_signals(struct fold *f, struct table_steps *steps)
{
	static const enum column KINDS[] = {I64, TEXT, TIME, BYTES};
	struct columns c = columns_new(f->arena, ARRAY_SIZE(KINDS), KINDS);

	vec_each (struct signal_row *, s, &f->signal_rows) {
		put(&c, db_i64(s->execution));
		put(&c, db_text(s->awaited->signal_id));
		put(&c, db_time(MAX(pb_timestamp_us(s->awaited->occurred_at), 1)));
		put_message(&c, s->awaited->type);
	}
	if (f->signal_rows.n)
		add_step(steps, &c, &WRITE_SIGNALS);
}

void table_write(struct fold *f, struct table_steps *steps)
{
	write_executions(f, steps);
	write_nodes(f, steps);
	write_tasks(f, steps);
	write_signals(f, steps);
}

enum code table_run(struct table_steps *steps, struct db *db, struct err *err)
{
	enum code c = db_exec_steps(db, steps->at, steps->n, err);
	int64_t affected = 0;

	for (size_t i = 0; i < steps->n; i++)
		if (steps->at[i].stmt == &WRITE_EXECUTIONS)
			affected = steps->at[i].affected;
	if (!c && affected != steps->executions)
		return err_set(err, ABORTED, "%lld executions were changed by another admin meanwhile",
			       (long long)(steps->executions - affected));
	return c;
}

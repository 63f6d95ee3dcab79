#include "execution_create.h"
#include "pb/pb.h"

static const struct db_stmt CREATE = {
	"execution_create",
	"WITH e AS (INSERT INTO executions (key, project, domain, name, created_at, updated_at, state_changed_at, "
	"state_principal, principal, mode, launch_entity, launch_plan_name, launch_plan_version, workflow_name, "
	"workflow_version, task_name, task_version, inputs_uri, inputs, spec, closure, parent_execution, source_execution) "
	"SELECT key, project, domain, name, created_at, created_at, created_at, caller, principal, mode, launch_entity, "
	"launch_plan_name, launch_plan_version, workflow_name, workflow_version, task_name, task_version, inputs_uri, "
	"inputs, spec, closure, parent_execution, source_execution FROM unnest($1::bigint[], $2::text[], $3::text[], "
	"$4::text[], $5::timestamptz[], $6::text[], $7::text[], $8::integer[], $9::text[], $10::text[], $11::text[], "
	"$12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::bytea[], $18::bytea[], $19::bytea[], "
	"$20::bigint[], $21::bigint[]) AS n (key, project, domain, name, created_at, caller, principal, mode, "
	"launch_entity, launch_plan_name, launch_plan_version, workflow_name, workflow_version, task_name, task_version, "
	"inputs_uri, inputs, spec, closure, parent_execution, source_execution) "
	"ON CONFLICT (project, domain, name) DO NOTHING RETURNING key), "
	"t AS (INSERT INTO execution_tags (key, value, execution) SELECT u.k, u.v, u.execution FROM "
	"unnest($24::bigint[], $25::text[], $26::text[]) u (execution, k, v) WHERE u.execution IN (SELECT key FROM e) "
	"ON CONFLICT DO NOTHING) "
	"INSERT INTO outbox (key, subject, payload) SELECT n.key, n.subject, n.command FROM "
	"unnest($1::bigint[], $22::text[], $23::bytea[]) n (key, subject, command) WHERE n.key IN (SELECT key FROM e) "
	"RETURNING id, key",
};

/* A row of it, as the statement has its parameters; those of tags are made by themselves. */
enum { COLUMNS = 23, TAG_COLUMNS = 3 };

static void row_of(const struct creation *x, struct db_param row[COLUMNS])
{
	const CoreIdentifier *reference = x->spec->launch_plan, *workflow = x->launch->plan.workflow.id;
	bool task = reference->resource_type == CORE_RESOURCE_TYPE_TASK;
	const struct db_param params[COLUMNS] = {
		db_i64(x->key),
		db_text(x->id->project),
		db_text(x->id->domain),
		db_text(x->id->name),
		db_time(x->now_us),
		db_text(x->rq->principal),
		db_text(x->spec->metadata->principal),
		db_i32((int32_t)x->spec->metadata->mode),
		db_text(task ? "task" : "launch_plan"),
		db_text(task ? "" : reference->name),
		db_text(task ? "" : reference->version),
		db_text(workflow->name),
		db_text(workflow->version),
		db_text(task ? reference->name : ""),
		db_text(task ? reference->version : ""),
		db_text(x->inputs_uri),
		x->inputs_uri ? db_null() : db_bytea(x->packed_inputs),
		db_bytea(pb_pack(x->spec, x->rq->arena)),
		db_bytea(pb_pack(x->closure, x->rq->arena)),
		x->parent.key ? db_i64(x->parent.key) : db_null(),
		x->source ? db_i64(x->source) : db_null(),
		db_text(x->subject),
		db_bytea(x->command),
	};

	memcpy(row, params, sizeof params);
}

/* Labels are tags with values. */
static void add_tags(const struct creation *x, struct db_array *const tags[TAG_COLUMNS])
{
	const AdminExecutionSpec *spec = x->in->spec;
	size_t n_labels = spec->labels ? spec->labels->n_values : 0;

	for (size_t i = 0; i < n_labels + spec->n_tags; i++) {
		const AdminLabelsValuesEntry *label = i < n_labels ? spec->labels->values[i] : NULL;
		db_array_add(tags[0], db_i64(x->key));
		db_array_add(tags[1], db_text(label ? label->key : spec->tags[i - n_labels]));
		db_array_add(tags[2], db_text(label ? label->value : ""));
	}
}

static void make_arrays(struct arena *a, struct db_array *columns[COLUMNS + TAG_COLUMNS])
{
	const struct db_param number = db_i64(0), text = db_text(""), bytes = db_bytea(STR(""));
	const struct db_param kinds[COLUMNS + TAG_COLUMNS] = {
		number, text, text, text, db_time(1), text,  text,  db_i32(0), text,   text, text,  text,
		text,   text, text, text, bytes,      bytes, bytes, number,    number, text, bytes, /* tags: */
		number, text, text,
	};

	for (size_t i = 0; i < COLUMNS + TAG_COLUMNS; i++)
		columns[i] = db_array_new(a, kinds[i]);
}

static struct creation *with_key(struct creation *const *some, size_t n, int64_t key)
{
	for (size_t i = 0; i < n; i++)
		if (some[i]->key == key)
			return some[i];
	return NULL;
}

/* What has no row is what somebody else had made, or one before it in the same statement. */
static void take_rows(struct creation *const *some, size_t n, const struct db_rows *rows, struct outbox_rows *sent)
{
	for (size_t i = 0; i < n; i++)
		some[i]->one->code = ALREADY_EXISTS;
	for (size_t i = 0; i < db_rows_count(rows); i++) {
		struct creation *x = with_key(some, n, db_get_i64(rows, i, 1));
		outbox_note(sent, db_get_i64(rows, i, 0), x->subject, x->command);
		x->one->code = OK;
	}
	for (size_t i = 0; i < n; i++)
		if (some[i]->one->code)
			err_set(some[i]->one->err, ALREADY_EXISTS, "execution %s:%s:%s already exists",
				some[i]->id->project, some[i]->id->domain, some[i]->id->name);
}

static enum code insert(struct creation *const *some, size_t n, struct db *db, struct outbox_rows *sent,
			struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	struct db_array *columns[COLUMNS + TAG_COLUMNS];
	struct db_param params[COLUMNS + TAG_COLUMNS], row[COLUMNS];

	make_arrays(some[0]->rq->arena, columns);
	for (size_t i = 0; i < n; i++) {
		row_of(some[i], row);
		for (size_t k = 0; k < COLUMNS; k++)
			db_array_add(columns[k], row[k]);
		add_tags(some[i], columns + COLUMNS);
	}
	for (size_t k = 0; k < ARRAY_SIZE(params); k++)
		params[k] = db_array(columns[k]);
	enum code c = db_query_params(db, &CREATE, ARRAY_SIZE(params), params, &rows, err);
	if (!c)
		take_rows(some, n, rows, sent);
	return c;
}

/* Two statements at once that have names in common wait for each other in the same order. */
static int by_name(const void *a, const void *b)
{
	const CoreWorkflowExecutionIdentifier *x = (*(struct creation *const *)a)->id,
					      *y = (*(struct creation *const *)b)->id;
	int d = strcmp(x->project, y->project);

	d = d ? d : strcmp(x->domain, y->domain);
	return d ? d : strcmp(x->name, y->name);
}

void executions_insert(struct creating *all, struct outbox_rows *sent)
{
	struct creation *some[API_TOGETHER];
	struct err err;

	if (all->n == 0)
		return;
	for (size_t i = 0; i < all->n; i++)
		some[i] = &all->at[i];
	qsort(some, all->n, sizeof *some, by_name);
	enum code c = insert(some, all->n, all->db, sent, &err);
	for (size_t i = 0; c && i < all->n; i++) {
		/* One that the database refuses does not take the others with it. */
		struct api_one *one = some[i]->one;
		enum code own = all->n > 1 && c != UNAVAILABLE ? insert(&some[i], 1, all->db, sent, one->err)
							       : err_set(one->err, c, "%s", err.text);
		if (own)
			one->code = own;
	}
}

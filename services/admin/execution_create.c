/* CreateExecution: one statement writes the execution and the command to propeller.
 * Source: flyteadmin pkg/manager/impl/execution_manager.go, validation/execution_validator.go (v1.16.8). */
#include <ctype.h>

#include "execution.h"
#include "flyte/identifier.h"
#include "flyte/shard.h"
#include "flyte/text.h"
#include "pb/pb.h"
#include "task_resources.h"
#include "validation.h"

enum { MAX_NAME = 63, RANDOM_NAME = 19, MAX_COMMAND_BYTES = 1000 * 1000 };

static const struct db_stmt CREATE = {
	"execution_create",
	"WITH e AS (INSERT INTO executions (key, project, domain, name, created_at, updated_at, state_changed_at, "
	"state_principal, principal, mode, launch_entity, launch_plan_name, launch_plan_version, workflow_name, "
	"workflow_version, task_name, task_version, inputs_uri, inputs, spec, closure, parent_execution, source_execution) "
	"VALUES ($1, $2, $3, $4, $5, $5, $5, $6, $21, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $22, $25) "
	"RETURNING key), t AS (INSERT INTO execution_tags (key, value, execution) SELECT u.k, u.v, e.key FROM e, "
	"unnest($23::text[], $24::text[]) u (k, v) ON CONFLICT DO NOTHING) "
	"INSERT INTO outbox (key, subject, payload) SELECT key, $19, $20 FROM e RETURNING id",
};

static const struct db_stmt PROJECT_STATE = {
	"execution_project_state",
	"SELECT state, EXISTS (SELECT FROM matchable_attributes WHERE resource_type IN ($2, $4)), labels, "
	"EXISTS (SELECT FROM matchable_attributes WHERE resource_type = $3) FROM projects WHERE id = $1",
};

/* ---- checks ---- */

/* ^[a-z][a-z\-0-9]*$, in any case */
static bool is_execution_name(const char *name)
{
	if (!isalpha((unsigned char)*name))
		return false;
	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '-')
			return false;
	return true;
}

static enum code check_name(const char *name, struct err *err)
{
	if (!*name)
		return OK;
	if (strlen(name) > MAX_NAME)
		return err_set(err, INVALID_ARGUMENT, "size of name exceeded length %d : %s", MAX_NAME, name);
	if (!is_execution_name(name))
		return err_set(err, INVALID_ARGUMENT,
			       "invalid name format: %s, does not match regex '^[a-z][a-z\\-0-9]*$'", name);
	return OK;
}

static enum code check_reference(const CoreIdentifier *id, struct err *err)
{
	if (!id)
		return err_set(err, INVALID_ARGUMENT, "missing id");
	if (id->resource_type != CORE_RESOURCE_TYPE_LAUNCH_PLAN && id->resource_type != CORE_RESOURCE_TYPE_TASK)
		return err_set(err, INVALID_ARGUMENT,
			       "Invalid reference entity resource type [%s], only [map[TASK:<nil> LAUNCH_PLAN:<nil>]] "
			       "allowed",
			       resource_type_word(id->resource_type));
	const struct {
		const char *value, *field;
	} parts[] = {{id->project, "project"}, {id->domain, "domain"}, {id->name, "name"}, {id->version, "version"}};
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		enum code c = check_text(parts[i].value, parts[i].field, err);
		if (c)
			return c;
	}
	return OK;
}

static enum code check_overrides(const AdminExecutionSpec *spec, struct err *err)
{
	if (spec->notification_overrides_case != ADMIN_EXECUTION_SPEC_NOTIFICATION_OVERRIDES_NOTIFICATIONS)
		return OK;
	return check_notifications(spec->notifications->notifications, spec->notifications->n_notifications, err);
}

/* What the project says of executions is asked in the same breath. */
static enum code check_project(struct request *rq, struct db *db, const AdminExecutionCreateRequest *in,
			       struct execution_project *ret, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = db_query(db, &PROJECT_STATE, &rows, err, db_text(in->project),
			       db_i32(ADMIN_MATCHABLE_RESOURCE_WORKFLOW_EXECUTION_CONFIG),
			       db_i32(ADMIN_MATCHABLE_RESOURCE_TASK_RESOURCE),
			       db_i32(ADMIN_MATCHABLE_RESOURCE_PLUGIN_OVERRIDE));

	if (c)
		return c;
	bool found = db_rows_count(rows);
	c = check_project_state(rq, found, found ? db_get_i64(rows, 0, 0) : 0, in->project, in->domain, err);
	if (c)
		return c;
	struct str labels = db_get_str(rows, 0, 2);
	ret->has_attributes = db_get_bool(rows, 0, 1);
	ret->has_resources = db_get_bool(rows, 0, 3);
	return labels.len ? pb_unpack_own(ADMIN_LABELS_DESC, labels, rq->arena, (void **)&ret->labels, err) : OK;
}

static enum code check_create(struct request *rq, struct db *db, const AdminExecutionCreateRequest *in,
			      struct execution_project *ret, struct err *err)
{
	enum code c = check_text(in->project, "project", err);

	if (!c)
		c = check_text(in->domain, "domain", err);
	if (!c)
		c = check_name(in->name, err);
	if (!c)
		c = check_project(rq, db, in, ret, err);
	if (!c && !in->spec)
		c = err_set(err, INVALID_ARGUMENT, "missing spec");
	if (!c)
		c = check_reference(in->spec->launch_plan, err);
	if (!c)
		c = check_overrides(in->spec, err);
	return c ? c : check_labels(in->spec->labels, err);
}

/* ---- what is written ---- */

struct creation {
	struct request *rq;
	const AdminExecutionCreateRequest *in;
	const struct launchable *launch;
	int64_t key, now_us;
	CoreWorkflowExecutionIdentifier *id;
	AdminExecutionSpec *spec;
	CoreLiteralMap *inputs;
	struct execution_parent parent;
	struct str packed_inputs, command;
	char *inputs_uri; /* NULL when they are inline */
	int64_t source;   /* key of the execution that it recovers; 0 for none */
	struct execution_project project;
};

static CoreWorkflowExecutionIdentifier *make_id(struct request *rq, const AdminExecutionCreateRequest *in)
{
	CoreWorkflowExecutionIdentifier *id = pb_new(rq->arena, CORE_WORKFLOW_EXECUTION_IDENTIFIER_DESC);
	char name[RANDOM_NAME + 2] = "a";

	random_name(random_u64(), RANDOM_NAME, name + 1);
	id->project = in->project;
	id->domain = in->domain;
	id->name = *in->name ? in->name : arena_strdup(rq->arena, name);
	return id;
}

/* The request's, with what is known only here. */
static AdminExecutionSpec *make_spec(struct creation *x, const AlulaStartExecution *start)
{
	struct arena *a = x->rq->arena;
	AdminExecutionSpec *spec = arena_dup(a, x->in->spec, sizeof *spec);
	AdminExecutionMetadata *m =
		spec->metadata ? arena_dup(a, spec->metadata, sizeof *m) : pb_new(a, ADMIN_EXECUTION_METADATA_DESC);

	m->principal = (char *)(x->parent.key ? x->parent.principal : x->rq->principal);
	m->nesting = x->parent.key ? x->parent.nesting + 1 : m->nesting;
	if (x->parent.cluster_label)
		spec->execution_cluster_label = x->parent.cluster_label;
	m->system_metadata = pb_new(a, ADMIN_SYSTEM_METADATA_DESC);
	m->system_metadata->namespace_ = arena_printf(a, "%s-%s", x->in->project, x->in->domain);
	spec->metadata = m;
	spec->security_context = start->security_context;
	spec->max_parallelism = start->max_parallelism;
	return spec;
}

/* The part of the closure that stays as it is. */
static AdminExecutionClosure *make_closure(struct creation *x)
{
	AdminExecutionClosure *c = pb_new(x->rq->arena, ADMIN_EXECUTION_CLOSURE_DESC);
	const AdminExecutionSpec *spec = x->spec;
	const AdminLaunchPlanSpec *plan = x->launch->plan.launch_plan->spec;

	c->workflow_id = x->launch->plan.workflow.id;
	if (spec->notification_overrides_case == ADMIN_EXECUTION_SPEC_NOTIFICATION_OVERRIDES_NOTIFICATIONS &&
	    spec->notifications->n_notifications) {
		c->notifications = spec->notifications->notifications;
		c->n_notifications = spec->notifications->n_notifications;
	} else if (plan->entity_metadata &&
		   !(spec->notification_overrides_case == ADMIN_EXECUTION_SPEC_NOTIFICATION_OVERRIDES_DISABLE_ALL &&
		     spec->disable_all)) {
		c->notifications = plan->entity_metadata->notifications;
		c->n_notifications = plan->entity_metadata->n_notifications;
	}
	return c;
}

/* The key in the path keeps a second execution of a taken name from the first one's inputs. */
static enum code store_inputs(struct creation *x, struct err *err)
{
	struct admin *admin = admin_of(x->rq);

	x->packed_inputs = pb_pack(x->inputs, x->rq->arena);
	if (x->packed_inputs.len <= (size_t)admin->config->inline_bytes)
		return OK;
	x->inputs_uri = arena_printf(x->rq->arena, "%s/%s/%s/%s/%lld/inputs", admin->metadata_root, x->id->project,
				     x->id->domain, x->id->name, (long long)x->key);
	return store_put(admin->store, x->inputs_uri, x->packed_inputs, err);
}

static enum code store_recovery(struct creation *x, struct db *db, AlulaStartExecution *start, struct err *err)
{
	struct admin *admin = admin_of(x->rq);
	const AdminExecutionMetadata *m = x->spec->metadata;

	if (m->mode != ADMIN_EXECUTION_METADATA_EXECUTION_MODE_RECOVERED || !m->reference_execution)
		return OK;
	start->recovery_uri = arena_printf(x->rq->arena, "%s/%s/%s/%s/%lld/recovery", admin->metadata_root,
					   x->id->project, x->id->domain, x->id->name, (long long)x->key);
	return execution_recovery(x->rq, db, m->reference_execution, start->recovery_uri, &x->source, err);
}

static enum code pack_command(struct creation *x, AlulaStartExecution *start, struct err *err)
{
	AlulaCommand command = ALULA_COMMAND_INIT;
	const struct registered_workflow *w = &x->launch->plan.workflow;

	start->closure_digest = (char *)w->closure_digest;
	start->closure_uri = (char *)w->closure_uri;
	start->closure = x->launch->closure;
	start->workflow_id = w->id;
	start->launch_plan_id = x->launch->plan.launch_plan->id;
	start->created_at_us = x->now_us;
	start->principal = x->spec->metadata->principal;
	start->parent_node_execution = x->spec->metadata->parent_node_execution;
	if (x->inputs_uri)
		start->inputs_uri = x->inputs_uri;
	else
		start->inputs = x->inputs;
	command.execution = x->key;
	command.id = x->id;
	command.command_case = ALULA_COMMAND_COMMAND_START;
	command.start = start;
	x->command = pb_pack(&command, x->rq->arena);
	if (x->command.len > MAX_COMMAND_BYTES)
		return err_set(err, INVALID_ARGUMENT,
			       "environment, labels, annotations and other settings of execution %s take %zu bytes; "
			       "they may take %d",
			       x->id->name, x->command.len, MAX_COMMAND_BYTES);
	return OK;
}

/* Labels are tags with values. */
static void list_tags(const struct creation *x, struct db_array *keys, struct db_array *values)
{
	const AdminExecutionSpec *spec = x->in->spec;

	for (size_t i = 0; spec->labels && i < spec->labels->n_values; i++) {
		db_array_add(keys, db_text(spec->labels->values[i]->key));
		db_array_add(values, db_text(spec->labels->values[i]->value));
	}
	for (size_t i = 0; i < spec->n_tags; i++) {
		db_array_add(keys, db_text(spec->tags[i]));
		db_array_add(values, db_text(""));
	}
}

static enum code insert(struct creation *x, struct db *db, struct outbox_rows *sent, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	const CoreIdentifier *reference = x->spec->launch_plan, *workflow = x->launch->plan.workflow.id;
	bool task = reference->resource_type == CORE_RESOURCE_TYPE_TASK;
	struct db_array *keys = db_array_new(x->rq->arena, db_text("")),
			*values = db_array_new(x->rq->arena, db_text(""));
	char subject[SUBJECT_BYTES];

	list_tags(x, keys, values);
	subject_commands(execution_shard(x->key), subject);
	enum code c = db_query(db, &CREATE, &rows, err, db_i64(x->key), db_text(x->id->project), db_text(x->id->domain),
			       db_text(x->id->name), db_time(x->now_us), db_text(x->rq->principal),
			       db_i32((int32_t)x->spec->metadata->mode), db_text(task ? "task" : "launch_plan"),
			       db_text(task ? "" : reference->name), db_text(task ? "" : reference->version),
			       db_text(workflow->name), db_text(workflow->version),
			       db_text(task ? reference->name : ""), db_text(task ? reference->version : ""),
			       db_text(x->inputs_uri), x->inputs_uri ? db_null() : db_bytea(x->packed_inputs),
			       db_bytea(pb_pack(x->spec, x->rq->arena)),
			       db_bytea(pb_pack(make_closure(x), x->rq->arena)), db_text(subject), db_bytea(x->command),
			       db_text(x->spec->metadata->principal), x->parent.key ? db_i64(x->parent.key) : db_null(),
			       db_array(keys), db_array(values), x->source ? db_i64(x->source) : db_null());
	if (c == ALREADY_EXISTS)
		return err_set(err, ALREADY_EXISTS, "execution %s:%s:%s already exists", x->id->project, x->id->domain,
			       x->id->name);
	if (!c)
		outbox_note(sent, db_get_i64(rows, 0, 0), subject, x->command);
	return c;
}

/* The spec is where they were once. */
static const CoreLiteralMap *given_inputs(const AdminExecutionCreateRequest *in)
{
	return in->inputs && in->inputs->n_literals ? in->inputs : in->spec->inputs;
}

static enum code create(struct creation *x, struct db *db, struct outbox_rows *sent, struct err *err)
{
	const AdminLaunchPlan *plan = x->launch->plan.launch_plan;
	AlulaStartExecution *start = pb_new(x->rq->arena, ALULA_START_EXECUTION_DESC);
	enum code c = execution_inputs(x->rq->arena, given_inputs(x->in), plan->spec->fixed_inputs,
				       plan->closure ? plan->closure->expected_inputs : NULL, &x->inputs, err);

	if (!c)
		c = execution_parent(x->rq, db, x->in->spec->metadata, &x->parent, err);
	if (!c)
		c = execution_next_key(admin_of(x->rq)->execution_cache, db, &x->key, err);
	if (c)
		return c;
	x->id = make_id(x->rq, x->in);
	x->now_us = time_now_us();
	struct attributes_scope scope = {x->id->project, x->id->domain, x->launch->plan.workflow.id->name};
	c = execution_settings(x->rq, db, x->in->spec, plan->spec, &x->project, &scope, start, err);
	if (!c)
		c = task_resources_of(x->rq, db, &scope, x->project.has_resources, &start->task_resources, err);
	if (c)
		return c;
	x->spec = make_spec(x, start);
	c = store_inputs(x, err);
	if (!c)
		c = store_recovery(x, db, start, err);
	if (!c)
		c = pack_command(x, start, err);
	if (!c)
		c = insert(x, db, sent, err);
	/* Whether it was committed is not known when the connection broke. */
	if (c && c != UNAVAILABLE && x->inputs_uri)
		store_remove(admin_of(x->rq)->store, x->inputs_uri, NULL);
	if (c && c != UNAVAILABLE && *start->recovery_uri)
		store_remove(admin_of(x->rq)->store, start->recovery_uri, NULL);
	return c;
}

enum code admin_create_execution(struct request *rq, const AdminExecutionCreateRequest *in,
				 AdminExecutionCreateResponse *ret, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(launchable_put) struct launchable *launch = NULL;
	auto_outbox_rows struct outbox_rows sent = {0};
	struct admin *admin = admin_of(rq);
	struct execution_project project = {0};
	enum code c = db_take(admin->db, &db, err);

	if (!c)
		c = check_create(rq, db, in, &project, err);
	if (!c)
		c = launchable_get(rq, db, in->spec->launch_plan, in->spec, &launch, err);
	if (c)
		return c;
	struct creation x = {.rq = rq, .in = in, .launch = launch, .project = project};
	c = create(&x, db, &sent, err);
	if (c)
		return c;
	outbox_send(admin->outbox, &sent);
	ret->id = x.id;
	return OK;
}
API_THUNK(admin_create_execution)

const struct api_binding admin_execution_create_rpcs[] = {
	{"CreateExecution", admin_create_execution_api},
	{0},
};

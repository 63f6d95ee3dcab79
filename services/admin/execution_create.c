/* CreateExecution: checks and what is written; execution_insert.c writes it.
 * Source: flyteadmin pkg/manager/impl/execution_manager.go, validation/execution_validator.go (v1.16.8). */
#include <ctype.h>

#include "execution_create.h"
#include "flyte/identifier.h"
#include "flyte/text.h"
#include "pb/pb.h"
#include "task_resources.h"
#include "validation.h"

enum { MAX_NAME = 63, MAX_TAG = 255, RANDOM_NAME = 19, MAX_COMMAND_BYTES = 1000 * 1000 };

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

/* They become index keys. */
static enum code check_tags(const AdminExecutionSpec *spec, struct err *err)
{
	enum code c = OK;

	for (size_t i = 0; !c && i < spec->n_tags; i++)
		c = check_max_length(spec->tags[i], "tag", MAX_TAG, err);
	return c;
}

/* What the project says of executions is asked in the same breath. */
static enum code ask_project(struct request *rq, struct db *db, const char *name, struct project *ret, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = db_query(db, &PROJECT_STATE, &rows, err, db_text(name),
			       db_i32(ADMIN_MATCHABLE_RESOURCE_WORKFLOW_EXECUTION_CONFIG),
			       db_i32(ADMIN_MATCHABLE_RESOURCE_TASK_RESOURCE),
			       db_i32(ADMIN_MATCHABLE_RESOURCE_PLUGIN_OVERRIDE));

	if (c)
		return c;
	ret->found = db_rows_count(rows);
	if (!ret->found)
		return OK;
	struct str labels = db_get_str(rows, 0, 2);
	ret->state = db_get_i64(rows, 0, 0);
	ret->says.has_attributes = db_get_bool(rows, 0, 1);
	ret->says.has_resources = db_get_bool(rows, 0, 3);
	return labels.len ? pb_unpack_own(ADMIN_LABELS_DESC, labels, rq->arena, (void **)&ret->says.labels, err) : OK;
}

/* Most of what is created at once is of one project. */
static enum code get_project(struct creating *all, struct request *rq, const char *name, const struct project **ret,
			     struct err *err)
{
	struct project *p = all->projects, *end = p + all->n_projects;

	while (p < end && strcmp(p->name, name) != 0)
		p++;
	if (p == end) {
		*p = (struct project){.name = name};
		enum code c = ask_project(rq, all->db, name, p, err);
		if (c)
			return c;
		all->n_projects++;
	}
	*ret = p;
	return OK;
}

static enum code check_project(struct creating *all, struct creation *x, struct err *err)
{
	const AdminExecutionCreateRequest *in = x->in;
	const struct project *p;
	enum code c = get_project(all, x->rq, in->project, &p, err);

	if (!c)
		c = check_project_state(x->rq, p->found, p->state, in->project, in->domain, err);
	if (!c)
		x->project = p->says;
	return c;
}

static enum code check_create(struct creating *all, struct creation *x, struct err *err)
{
	const AdminExecutionCreateRequest *in = x->in;
	enum code c = check_text(in->project, "project", err);

	if (!c)
		c = check_text(in->domain, "domain", err);
	if (!c)
		c = check_name(in->name, err);
	if (!c)
		c = check_project(all, x, err);
	if (!c && !in->spec)
		c = err_set(err, INVALID_ARGUMENT, "missing spec");
	if (!c)
		c = check_reference(in->spec->launch_plan, err);
	if (!c)
		c = check_overrides(in->spec, err);
	if (!c)
		c = check_tags(in->spec, err);
	return c ? c : check_labels(in->spec->labels, err);
}

/* ---- what is written ---- */

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
static AdminExecutionClosure *make_closure(const struct creation *x)
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

/* The spec is where they were once. */
static const CoreLiteralMap *given_inputs(const AdminExecutionCreateRequest *in)
{
	return in->inputs && in->inputs->n_literals ? in->inputs : in->spec->inputs;
}

/* Everything that is written, and the files that must be there before. */
static enum code make(struct creation *x, struct db *db, struct err *err)
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
	subject_commands(execution_shard(x->key), x->subject);
	x->id = make_id(x->rq, x->in);
	x->now_us = time_now_us();
	struct attributes_scope scope = {x->id->project, x->id->domain, x->launch->plan.workflow.id->name};
	c = execution_settings(x->rq, db, x->in->spec, plan->spec, &x->project, &scope, start, err);
	if (!c)
		c = task_resources_of(x->rq, db, &scope, x->project.has_resources, &start->task_resources, err);
	if (c)
		return c;
	x->spec = make_spec(x, start);
	x->closure = make_closure(x);
	c = store_inputs(x, err);
	if (!c)
		c = store_recovery(x, db, start, err);
	x->recovery_uri = start->recovery_uri;
	return c ? c : pack_command(x, start, err);
}

/* Files of an execution that isn't there. */
static void remove_files(const struct creation *x)
{
	struct store *store = admin_of(x->rq)->store;

	if (x->inputs_uri)
		store_remove(store, x->inputs_uri, NULL);
	if (x->recovery_uri && *x->recovery_uri)
		store_remove(store, x->recovery_uri, NULL);
}

static void prepare(struct creating *all, struct api_one *one)
{
	struct creation *x = &all->at[all->n];

	*x = (struct creation){.one = one, .rq = one->rq, .in = one->in};
	one->code = check_create(all, x, one->err);
	if (!one->code)
		one->code = launchable_get(x->rq, all->db, x->in->spec->launch_plan, x->in->spec, &x->launch, one->err);
	if (!one->code)
		one->code = make(x, all->db, one->err);
	if (!one->code) {
		all->n++;
		return;
	}
	remove_files(x);
	launchable_put(x->launch);
}

static void create_executions(struct api_one *const *ones, size_t n)
{
	auto_free(db_give) struct db *db = NULL;
	auto_outbox_rows struct outbox_rows sent = {0};
	struct admin *admin = admin_of(ones[0]->rq);
	struct creating all = {0};
	struct err err;
	enum code c = db_take(admin->db, &db, &err);

	all.db = db;
	for (size_t i = 0; i < n; i++)
		if (c)
			ones[i]->code = err_set(ones[i]->err, c, "%s", err.text);
		else
			prepare(&all, ones[i]);
	executions_insert(&all, &sent);
	outbox_send(admin->outbox, &sent);
	for (struct creation *x = all.at; x < all.at + all.n; x++) {
		AdminExecutionCreateResponse *ret = x->one->ret;
		ret->id = x->id;
		/* Whether it was committed is not known when the connection broke. */
		if (x->one->code && x->one->code != UNAVAILABLE)
			remove_files(x);
		launchable_put(x->launch);
	}
}

enum code admin_create_execution(struct request *rq, const AdminExecutionCreateRequest *in,
				 AdminExecutionCreateResponse *ret, struct err *err)
{
	struct api_one one = {rq, in, ret, err, OK}, *ones[] = {&one};

	create_executions(ones, 1);
	return one.code;
}

const struct api_together_binding admin_execution_create_together[] = {
	{"CreateExecution", create_executions},
	{0},
};

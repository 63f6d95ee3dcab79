/* Executions that come from others: children of a node, relaunches.
 * Source: flyteadmin pkg/manager/impl/execution_manager.go (v1.16.8). */
#include "execution.h"
#include "flyte/types.h"
#include "pb/pb.h"

static const struct db_stmt GET_PARENT = {
	"execution_get_parent",
	"SELECT key, principal, spec FROM executions WHERE project = $1 AND domain = $2 AND name = $3",
};
static const struct db_stmt GET_RELAUNCHED = {
	"execution_get_relaunched",
	"SELECT spec, inputs_uri, inputs FROM executions WHERE project = $1 AND domain = $2 AND name = $3",
};

static enum code check_depth(struct request *rq, const struct execution_parent *parent,
			     const CoreWorkflowExecutionIdentifier *id, struct err *err)
{
	int64_t most = admin_of(rq)->config->max_nesting;

	if (most == 0 || parent->nesting < most)
		return OK;
	return err_set(err, FAILED_PRECONDITION,
		       "execution %s is the %lldth launched one within another; flyteadmin.maxNesting allows no more: "
		       "does a workflow launch itself?",
		       id->name, (long long)parent->nesting);
}

enum code execution_parent(struct request *rq, struct db *db, const AdminExecutionMetadata *m,
			   struct execution_parent *ret, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	AdminExecutionSpec *spec;
	const CoreNodeExecutionIdentifier *id = m ? m->parent_node_execution : NULL;

	if (!id)
		return OK;
	enum code c = check_node_execution_id(id, err);
	if (!c)
		c = execution_by_name(db, &GET_PARENT, id->execution_id, &rows, err);
	if (!c)
		c = pb_unpack_own(ADMIN_EXECUTION_SPEC_DESC, db_get_str(rows, 0, 2), rq->arena, (void **)&spec, err);
	if (c)
		return err_prefix(err, c, "the execution whose node %s launches this one: ", id->node_id);
	ret->key = db_get_i64(rows, 0, 0);
	ret->principal = db_get_text(rows, 0, 1, rq->arena);
	ret->nesting = spec->metadata ? spec->metadata->nesting : 0;
	ret->cluster_label = spec->execution_cluster_label;
	return check_depth(rq, ret, id->execution_id, err);
}

/* ---- relaunch ---- */

/* What was given once; fixed inputs were merged in and cannot be given. */
static enum code given_inputs(struct request *rq, const struct db_rows *rows, const AdminExecutionSpec *spec,
			      CoreLiteralMap **ret, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(launchable_put) struct launchable *launch = NULL;
	CoreLiteralMap *inputs = NULL;
	enum code c = db_is_null(rows, 0, 2) ? read_literals(rq, db_get_text(rows, 0, 1, rq->arena), &inputs, err)
					     : pb_unpack_own(CORE_LITERAL_MAP_DESC, db_get_str(rows, 0, 2), rq->arena,
							     (void **)&inputs, err);

	if (!c)
		c = db_take(admin_of(rq)->db, &db, err);
	if (!c)
		c = launchable_get(rq, db, spec->launch_plan, spec, &launch, err);
	if (c)
		return c;
	const CoreLiteralMap *fixed = launch->plan.launch_plan->spec->fixed_inputs;
	*ret = pb_new(rq->arena, CORE_LITERAL_MAP_DESC);
	for (size_t i = 0; i < inputs->n_literals; i++)
		if (!literal_get(fixed, inputs->literals[i]->key))
			*PB_ADD(rq->arena, (*ret)->literals, (*ret)->n_literals) = inputs->literals[i];
	return OK;
}

enum code execution_again(struct request *rq, const CoreWorkflowExecutionIdentifier *id,
			  AdminExecutionCreateRequest *ret, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = db_take(admin_of(rq)->db, &db, err);

	if (!c)
		c = execution_by_name(db, &GET_RELAUNCHED, id, &rows, err);
	db_give(take(db));
	if (!c)
		c = pb_unpack_own(ADMIN_EXECUTION_SPEC_DESC, db_get_str(rows, 0, 0), rq->arena, (void **)&ret->spec,
				  err);
	if (!c)
		c = given_inputs(rq, rows, ret->spec, &ret->inputs, err);
	if (c)
		return c;
	ret->project = id->project;
	ret->domain = id->domain;
	return OK;
}

static enum code admin_relaunch_execution(struct request *rq, const AdminExecutionRelaunchRequest *in,
					  AdminExecutionCreateResponse *ret, struct err *err)
{
	AdminExecutionCreateRequest again = ADMIN_EXECUTION_CREATE_REQUEST_INIT;
	enum code c = execution_again(rq, in->id, &again, err);

	if (c)
		return c;
	again.name = in->name;
	again.spec->overwrite_cache = in->overwrite_cache;
	again.spec->metadata->mode = ADMIN_EXECUTION_METADATA_EXECUTION_MODE_RELAUNCH;
	again.spec->metadata->reference_execution = in->id;
	/* Nobody waits for it, whoever waited for the first one. */
	again.spec->metadata->parent_node_execution = NULL;
	return admin_create_execution(rq, &again, ret, err);
}
API_THUNK(admin_relaunch_execution)

const struct api_binding admin_execution_parent_rpcs[] = {
	{"RelaunchExecution", admin_relaunch_execution_api},
	{0},
};

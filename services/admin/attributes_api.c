/* RPCs of matchable attributes. Source: flyteadmin pkg/manager/impl/resources/resource_manager.go,
 * validation/attributes_validator.go (v1.16.8). */
#include "attributes.h"
#include "flyteidl/admin/project_attributes.h"
#include "flyteidl/admin/project_domain_attributes.h"
#include "flyteidl/admin/workflow_attributes.h"
#include "pb/pb.h"
#include "validation.h"

static const struct db_stmt LIST = {
	"attributes_list",
	"SELECT project, domain, workflow, launch_plan, attributes FROM matchable_attributes WHERE resource_type = $1 "
	"ORDER BY priority DESC, id",
};

static const char *type_name(struct request *rq, AdminMatchableResource type)
{
	const char *name = pb_enum_name(ADMIN_MATCHABLE_RESOURCE_DESC, (int)type);

	return name ? name : arena_printf(rq->arena, "%d", (int)type);
}

static enum code not_set(struct request *rq, AdminMatchableResource type, const struct attributes_scope *s,
			 struct err *err)
{
	return err_set(err, NOT_FOUND,
		       "Resource [{Project:%s Domain:%s Workflow:%s LaunchPlan: ResourceType:%s}] not found",
		       s->project, s->domain, s->workflow, type_name(rq, type));
}

static enum code missing_attributes(struct err *err)
{
	return err_set(err, INVALID_ARGUMENT, "missing attributes");
}

/* ---- the same at each level ---- */

enum level { PROJECT, DOMAIN, WORKFLOW };

/* A connection, when the scope is one that the level has. */
static enum code open_scope(struct request *rq, enum level level, const struct attributes_scope *scope, bool for_change,
			    struct db **ret, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	enum code c = db_take(admin_of(rq)->db, &db, err);

	if (!c && level == PROJECT)
		c = check_known_project(db, scope->project, for_change, err);
	if (!c && level != PROJECT)
		c = check_project_domain(rq, db, scope->project, scope->domain, err);
	if (!c && level == WORKFLOW)
		c = check_text(scope->workflow, "name", err);
	if (!c)
		*ret = take(db);
	return c;
}

static enum code set(struct request *rq, enum level level, const struct attributes_scope *scope,
		     const AdminMatchingAttributes *attributes, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	enum code c = open_scope(rq, level, scope, true, &db, err);

	return c ? c : attributes_set(rq, db, scope, attributes, err);
}

/* A project has its own settings only; others what is more general too. */
static enum code find(struct request *rq, enum level level, const struct attributes_scope *scope,
		      AdminMatchableResource type, struct attributes_found *ret, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	enum code c = open_scope(rq, level, scope, false, &db, err);

	if (c)
		return c;
	return level == PROJECT ? attributes_exact(rq, db, type, scope, ret, err)
				: attributes_find(rq, db, type, scope, ret, err);
}

static enum code unset(struct request *rq, enum level level, const struct attributes_scope *scope,
		       AdminMatchableResource type, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	enum code c = open_scope(rq, level, scope, true, &db, err);

	return c ? c : attributes_delete(db, type, scope, err);
}

/* ---- of a project ---- */

static enum code update_project_attributes(struct request *rq, const AdminProjectAttributesUpdateRequest *in,
					   AdminProjectAttributesUpdateResponse *ret, struct err *err)
{
	const AdminProjectAttributes *a = in->attributes;

	(void)ret;
	if (!a)
		return missing_attributes(err);
	return set(rq, PROJECT, &(struct attributes_scope){a->project, "", ""}, a->matching_attributes, err);
}
API_THUNK(update_project_attributes)

/* flyteconsole shows of a project what holds there: what is not set comes from the configuration. */
static AdminMatchingAttributes *with_defaults(struct request *rq, const AdminMatchingAttributes *set)
{
	AdminMatchingAttributes *m = pb_new(rq->arena, ADMIN_MATCHING_ATTRIBUTES_DESC);
	AdminWorkflowExecutionConfig *config = pb_new(rq->arena, ADMIN_WORKFLOW_EXECUTION_CONFIG_DESC);

	if (set)
		*config = *set->workflow_execution_config;
	if (!config->max_parallelism)
		config->max_parallelism = (int32_t)admin_of(rq)->config->max_parallelism;
	m->target_case = ADMIN_MATCHING_ATTRIBUTES_TARGET_WORKFLOW_EXECUTION_CONFIG;
	m->workflow_execution_config = config;
	return m;
}

static enum code get_project_attributes(struct request *rq, const AdminProjectAttributesGetRequest *in,
					AdminProjectAttributesGetResponse *ret, struct err *err)
{
	struct attributes_scope scope = {in->project, "", ""};
	struct attributes_found found = {0};
	enum code c = find(rq, PROJECT, &scope, in->resource_type, &found, err);

	if (c)
		return c;
	if (in->resource_type == ADMIN_MATCHABLE_RESOURCE_WORKFLOW_EXECUTION_CONFIG)
		found.attributes = with_defaults(rq, found.attributes);
	if (!found.attributes)
		return not_set(rq, in->resource_type, &scope, err);
	ret->attributes = pb_new(rq->arena, ADMIN_PROJECT_ATTRIBUTES_DESC);
	ret->attributes->project = in->project;
	ret->attributes->matching_attributes = found.attributes;
	return OK;
}
API_THUNK(get_project_attributes)

static enum code delete_project_attributes(struct request *rq, const AdminProjectAttributesDeleteRequest *in,
					   AdminProjectAttributesDeleteResponse *ret, struct err *err)
{
	(void)ret;
	return unset(rq, PROJECT, &(struct attributes_scope){in->project, "", ""}, in->resource_type, err);
}
API_THUNK(delete_project_attributes)

/* ---- of a project's domain ---- */

static enum code update_project_domain_attributes(struct request *rq,
						  const AdminProjectDomainAttributesUpdateRequest *in,
						  AdminProjectDomainAttributesUpdateResponse *ret, struct err *err)
{
	const AdminProjectDomainAttributes *a = in->attributes;

	(void)ret;
	if (!a)
		return missing_attributes(err);
	return set(rq, DOMAIN, &(struct attributes_scope){a->project, a->domain, ""}, a->matching_attributes, err);
}
API_THUNK(update_project_domain_attributes)

static enum code get_project_domain_attributes(struct request *rq, const AdminProjectDomainAttributesGetRequest *in,
					       AdminProjectDomainAttributesGetResponse *ret, struct err *err)
{
	struct attributes_scope scope = {in->project, in->domain, ""};
	struct attributes_found found = {0};
	enum code c = find(rq, DOMAIN, &scope, in->resource_type, &found, err);

	if (!c && !found.attributes)
		c = not_set(rq, in->resource_type, &scope, err);
	if (c)
		return c;
	ret->attributes = pb_new(rq->arena, ADMIN_PROJECT_DOMAIN_ATTRIBUTES_DESC);
	ret->attributes->project = (char *)found.scope.project;
	ret->attributes->domain = (char *)found.scope.domain;
	ret->attributes->matching_attributes = found.attributes;
	return OK;
}
API_THUNK(get_project_domain_attributes)

static enum code delete_project_domain_attributes(struct request *rq,
						  const AdminProjectDomainAttributesDeleteRequest *in,
						  AdminProjectDomainAttributesDeleteResponse *ret, struct err *err)
{
	(void)ret;
	return unset(rq, DOMAIN, &(struct attributes_scope){in->project, in->domain, ""}, in->resource_type, err);
}
API_THUNK(delete_project_domain_attributes)

/* ---- of a workflow ---- */

static enum code update_workflow_attributes(struct request *rq, const AdminWorkflowAttributesUpdateRequest *in,
					    AdminWorkflowAttributesUpdateResponse *ret, struct err *err)
{
	const AdminWorkflowAttributes *a = in->attributes;

	(void)ret;
	if (!a)
		return missing_attributes(err);
	return set(rq, WORKFLOW, &(struct attributes_scope){a->project, a->domain, a->workflow}, a->matching_attributes,
		   err);
}
API_THUNK(update_workflow_attributes)

static enum code get_workflow_attributes(struct request *rq, const AdminWorkflowAttributesGetRequest *in,
					 AdminWorkflowAttributesGetResponse *ret, struct err *err)
{
	struct attributes_scope scope = {in->project, in->domain, in->workflow};
	struct attributes_found found = {0};
	enum code c = find(rq, WORKFLOW, &scope, in->resource_type, &found, err);

	if (!c && !found.attributes)
		c = not_set(rq, in->resource_type, &scope, err);
	if (c)
		return c;
	ret->attributes = pb_new(rq->arena, ADMIN_WORKFLOW_ATTRIBUTES_DESC);
	ret->attributes->project = (char *)found.scope.project;
	ret->attributes->domain = (char *)found.scope.domain;
	ret->attributes->workflow = (char *)found.scope.workflow;
	ret->attributes->matching_attributes = found.attributes;
	return OK;
}
API_THUNK(get_workflow_attributes)

static enum code delete_workflow_attributes(struct request *rq, const AdminWorkflowAttributesDeleteRequest *in,
					    AdminWorkflowAttributesDeleteResponse *ret, struct err *err)
{
	(void)ret;
	return unset(rq, WORKFLOW, &(struct attributes_scope){in->project, in->domain, in->workflow}, in->resource_type,
		     err);
}
API_THUNK(delete_workflow_attributes)

/* ---- of everybody ---- */

static enum code list_matchable_attributes(struct request *rq, const AdminListMatchableAttributesRequest *in,
					   AdminListMatchableAttributesResponse *ret, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;

	if (!pb_enum_name(ADMIN_MATCHABLE_RESOURCE_DESC, (int)in->resource_type))
		return err_set(err, INVALID_ARGUMENT, "invalid value for resource_type");
	enum code c = db_take(admin_of(rq)->db, &db, err);
	if (!c)
		c = db_query(db, &LIST, &rows, err, db_i32((int32_t)in->resource_type));
	for (size_t i = 0; !c && i < db_rows_count(rows); i++) {
		AdminMatchableAttributesConfiguration *one =
			pb_new(rq->arena, ADMIN_MATCHABLE_ATTRIBUTES_CONFIGURATION_DESC);
		one->project = db_get_text(rows, i, 0, rq->arena);
		one->domain = db_get_text(rows, i, 1, rq->arena);
		one->workflow = db_get_text(rows, i, 2, rq->arena);
		one->launch_plan = db_get_text(rows, i, 3, rq->arena);
		c = pb_unpack_own(ADMIN_MATCHING_ATTRIBUTES_DESC, db_get_str(rows, i, 4), rq->arena,
				  (void **)&one->attributes, err);
		*PB_ADD(rq->arena, ret->configurations, ret->n_configurations) = one;
	}
	return c;
}
API_THUNK(list_matchable_attributes)

const struct api_binding admin_attributes_rpcs[] = {
	{"UpdateProjectAttributes", update_project_attributes_api},
	{"GetProjectAttributes", get_project_attributes_api},
	{"DeleteProjectAttributes", delete_project_attributes_api},
	{"UpdateProjectDomainAttributes", update_project_domain_attributes_api},
	{"GetProjectDomainAttributes", get_project_domain_attributes_api},
	{"DeleteProjectDomainAttributes", delete_project_domain_attributes_api},
	{"UpdateWorkflowAttributes", update_workflow_attributes_api},
	{"GetWorkflowAttributes", get_workflow_attributes_api},
	{"DeleteWorkflowAttributes", delete_workflow_attributes_api},
	{"ListMatchableAttributes", list_matchable_attributes_api},
	{0},
};

/* Matchable attributes: settings of projects, domains and workflows. None can be set so far (Update… and Delete… are
 * not bound), so whoever asks learns that there are none: flytectl and flyteconsole ask before they do anything else.
 * Source: flyteadmin pkg/manager/impl/resources/resource_manager.go, pkg/repositories/gormimpl/resource_repo.go
 * (v1.16.8). */
#include "admin.h"
#include "flyteidl/admin/matchable_resource.h"
#include "flyteidl/admin/project_attributes.h"
#include "flyteidl/admin/project_domain_attributes.h"
#include "flyteidl/admin/workflow_attributes.h"
#include "pb/pb.h"
#include "validation.h"

static const struct db_stmt PROJECT_EXISTS = {"attributes_project_exists", "SELECT FROM projects WHERE id = $1"};

static const char *type_name(AdminMatchableResource type)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(ADMIN_MATCHABLE_RESOURCE_DESC, (int)type);
	return v ? v->name : NULL;
}

static enum code not_set(const char *project, const char *domain, const char *workflow, AdminMatchableResource type,
			 struct err *err)
{
	const char *name = type_name(type);

	if (!name)
		return err_set(err, INVALID_ARGUMENT, "invalid value for resource_type");
	return err_set(err, NOT_FOUND,
		       "Resource [{Project:%s Domain:%s Workflow:%s LaunchPlan: ResourceType:%s}] not found", project,
		       domain, workflow, name);
}

static enum code check_scope(struct request *rq, const char *project, const char *domain, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	enum code c = db_take(admin_of(rq)->db, &db, err);

	return c ? c : check_project_domain(rq, db, project, domain, err);
}

static enum code check_project_exists(struct request *rq, const char *project, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = db_take(admin_of(rq)->db, &db, err);

	if (!c)
		c = db_query(db, &PROJECT_EXISTS, &rows, err, db_text(project));
	if (!c && !db_rows_count(rows))
		c = err_set(err, INVALID_ARGUMENT,
			    "failed to validate that project [%s] exists, err: [project [%s] not found]", project,
			    project);
	return c;
}

static enum code admin_get_project_domain_attributes(struct request *rq,
						     const AdminProjectDomainAttributesGetRequest *in,
						     AdminProjectDomainAttributesGetResponse *ret, struct err *err)
{
	(void)ret;
	enum code c = check_scope(rq, in->project, in->domain, err);
	return c ? c : not_set(in->project, in->domain, "", in->resource_type, err);
}
API_THUNK(admin_get_project_domain_attributes)

static enum code admin_get_workflow_attributes(struct request *rq, const AdminWorkflowAttributesGetRequest *in,
					       AdminWorkflowAttributesGetResponse *ret, struct err *err)
{
	(void)ret;
	enum code c = check_scope(rq, in->project, in->domain, err);

	if (!c)
		c = check_text(in->workflow, "name", err);
	return c ? c : not_set(in->project, in->domain, in->workflow, in->resource_type, err);
}
API_THUNK(admin_get_workflow_attributes)

/* Of how workflows execute, a project without settings has the configuration's: flyteconsole shows them. */
static AdminProjectAttributes *configured(struct request *rq, const char *project)
{
	AdminProjectAttributes *attributes = pb_new(rq->arena, ADMIN_PROJECT_ATTRIBUTES_DESC);
	AdminMatchingAttributes *matching = pb_new(rq->arena, ADMIN_MATCHING_ATTRIBUTES_DESC);
	AdminWorkflowExecutionConfig *config = pb_new(rq->arena, ADMIN_WORKFLOW_EXECUTION_CONFIG_DESC);

	config->max_parallelism = (int32_t)admin_of(rq)->config->max_parallelism;
	matching->target_case = ADMIN_MATCHING_ATTRIBUTES_TARGET_WORKFLOW_EXECUTION_CONFIG;
	matching->workflow_execution_config = config;
	attributes->project = (char *)project;
	attributes->matching_attributes = matching;
	return attributes;
}

static enum code admin_get_project_attributes(struct request *rq, const AdminProjectAttributesGetRequest *in,
					      AdminProjectAttributesGetResponse *ret, struct err *err)
{
	enum code c = check_project_exists(rq, in->project, err);

	if (c)
		return c;
	if (in->resource_type != ADMIN_MATCHABLE_RESOURCE_WORKFLOW_EXECUTION_CONFIG)
		return not_set(in->project, "", "", in->resource_type, err);
	ret->attributes = configured(rq, in->project);
	return OK;
}
API_THUNK(admin_get_project_attributes)

static enum code admin_list_matchable_attributes(struct request *rq, const AdminListMatchableAttributesRequest *in,
						 AdminListMatchableAttributesResponse *ret, struct err *err)
{
	(void)rq, (void)ret;
	if (!type_name(in->resource_type))
		return err_set(err, INVALID_ARGUMENT, "invalid value for resource_type");
	return OK;
}
API_THUNK(admin_list_matchable_attributes)

const struct api_binding admin_attributes_rpcs[] = {
	{"GetProjectDomainAttributes", admin_get_project_domain_attributes_api},
	{"GetWorkflowAttributes", admin_get_workflow_attributes_api},
	{"GetProjectAttributes", admin_get_project_attributes_api},
	{"ListMatchableAttributes", admin_list_matchable_attributes_api},
	{0},
};

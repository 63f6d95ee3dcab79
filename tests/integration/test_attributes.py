"""Matchable attributes: set, read with inheritance, deleted; and what executions make of them."""
import threading

import grpc
import pytest
from flyteidl.admin import (common_pb2, execution_pb2, launch_plan_pb2, matchable_resource_pb2 as matchable,
                            project_attributes_pb2, project_domain_attributes_pb2, project_pb2,
                            workflow_attributes_pb2, workflow_pb2)
from flyteidl.core import (identifier_pb2, interface_pb2, literals_pb2, security_pb2, workflow_pb2 as core_workflow)

from test_registry import INTEGER, Refused, create_task, integer, promise, task_node, unique, variables

BAD, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
PROJECT, DOMAIN = "flytesnacks", "development"
MA = matchable.MatchingAttributes

EVERY_KIND = [
    ("TASK_RESOURCE", MA(task_resource_attributes=matchable.TaskResourceAttributes(
        defaults=matchable.TaskResourceSpec(cpu="1", memory="1Gi"), limits=matchable.TaskResourceSpec(cpu="2")))),
    ("CLUSTER_RESOURCE", MA(cluster_resource_attributes=matchable.ClusterResourceAttributes(attributes={"a": "b"}))),
    ("EXECUTION_QUEUE", MA(execution_queue_attributes=matchable.ExecutionQueueAttributes(tags=["gpu"]))),
    ("EXECUTION_CLUSTER_LABEL", MA(execution_cluster_label=matchable.ExecutionClusterLabel(value="east"))),
    ("PLUGIN_OVERRIDE", MA(plugin_overrides=matchable.PluginOverrides(
        overrides=[matchable.PluginOverride(task_type="spark", plugin_id=["container"])]))),
    ("WORKFLOW_EXECUTION_CONFIG", MA(workflow_execution_config=matchable.WorkflowExecutionConfig(max_parallelism=3))),
    ("CLUSTER_ASSIGNMENT", MA(cluster_assignment={"cluster_pool_name": "pool"})),
]


@pytest.fixture
def admin(stack):
    return stack.admin


@pytest.fixture
def project(admin):
    name = f"p{unique('')}".replace(".", "-")[:60]
    admin.RegisterProject(project_pb2.ProjectRegisterRequest(project=project_pb2.Project(id=name, name=name)))
    return name


class Level:
    """The three calls of one level, as one."""

    def __init__(self, admin, project, domain="", workflow=""):
        self.admin, self.where = admin, {"project": project}
        if workflow:
            self.kind, pb = "Workflow", workflow_attributes_pb2
        elif domain:
            self.kind, pb = "ProjectDomain", project_domain_attributes_pb2
        else:
            self.kind, pb = "Project", project_attributes_pb2
        if domain:
            self.where["domain"] = domain
        if workflow:
            self.where["workflow"] = workflow
        self.message = lambda suffix: getattr(pb, f"{self.kind}Attributes{suffix}")

    def set(self, attributes):
        self.call("Update", attributes=self.message("")(matching_attributes=attributes, **self.where))

    def get(self, type):
        return self.call("Get", resource_type=type, **self.where).attributes

    def delete(self, type):
        self.call("Delete", resource_type=type, **self.where)

    def call(self, verb, **fields):
        return getattr(self.admin, f"{verb}{self.kind}Attributes")(self.message(f"{verb}Request")(**fields))


def list_all(admin, type, project):
    rows = admin.ListMatchableAttributes(matchable.ListMatchableAttributesRequest(resource_type=type)).configurations
    return [r for r in rows if r.project == project]


@pytest.mark.parametrize("name,attributes", EVERY_KIND, ids=[k for k, _ in EVERY_KIND])
def test_every_kind_at_every_level(admin, project, name, attributes):
    type = matchable.MatchableResource.Value(name)
    levels = [Level(admin, project), Level(admin, project, DOMAIN), Level(admin, project, DOMAIN, "wf")]
    for level in levels:
        level.set(attributes)
        level.set(attributes)  # again: the same
        got = level.get(type)
        assert got.project == project
        if name != "WORKFLOW_EXECUTION_CONFIG" or level.kind != "Project":
            assert got.matching_attributes == attributes
    rows = list_all(admin, type, project)
    assert [(r.domain, r.workflow) for r in rows] == [(DOMAIN, "wf"), (DOMAIN, ""), ("", "")]
    for level in levels:
        level.delete(type)
        level.delete(type)  # not there: no error
    assert not list_all(admin, type, project)


def test_the_most_specific_setting_is_read(admin, project):
    label = lambda value: MA(execution_cluster_label=matchable.ExecutionClusterLabel(value=value))
    top, domain, workflow = Level(admin, project), Level(admin, project, DOMAIN), Level(admin, project, DOMAIN, "wf")
    type = matchable.EXECUTION_CLUSTER_LABEL
    top.set(label("top"))
    got = workflow.get(type)
    assert (got.project, got.domain, got.workflow) == (project, "", "")
    assert got.matching_attributes == label("top")
    domain.set(label("domain"))
    assert (workflow.get(type).domain, workflow.get(type).matching_attributes) == (DOMAIN, label("domain"))
    assert top.get(type).matching_attributes == label("top")
    workflow.set(label("workflow"))
    assert workflow.get(type).workflow == "wf"
    assert domain.get(type).matching_attributes == label("domain")
    assert Level(admin, project, "production", "wf").get(type).matching_attributes == label("top")


def override(task_type, plugin):
    return MA(plugin_overrides=matchable.PluginOverrides(
        overrides=[matchable.PluginOverride(task_type=task_type, plugin_id=[plugin])]))


def test_plugin_overrides_are_added_by_task_type(admin, project):
    domain = Level(admin, project, DOMAIN)
    domain.set(override("spark", "a"))
    threads = [threading.Thread(target=domain.set, args=(override(f"type{i}", "x"),)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    domain.set(override("spark", "b"))
    got = domain.get(matchable.PLUGIN_OVERRIDE).matching_attributes.plugin_overrides.overrides
    assert {o.task_type: o.plugin_id[0] for o in got} == {"spark": "b", **{f"type{i}": "x" for i in range(8)}}


def test_refused(admin, project):
    domain = Level(admin, project, DOMAIN)
    with Refused(BAD, "missing attributes"):
        domain.call("Update")
    with Refused(BAD, "missing matching_attributes"):
        domain.set(None)
    with Refused(BAD, f"Unrecognized matching attributes type for request {project}-{DOMAIN}"):
        domain.set(MA(quality_of_service={"tier": 1}))
    with Refused(BAD, f"Unrecognized matching attributes type for request {project}-{DOMAIN}-wf"):
        Level(admin, project, DOMAIN, "wf").set(MA())
    with Refused(BAD, "failed to validate that project [nobody] is registered, err: [project [nobody] not found]"):
        Level(admin, "nobody").set(EVERY_KIND[0][1])
    with Refused(BAD, "domain [nowhere] is unrecognized by system"):
        Level(admin, project, "nowhere").delete(0)
    with Refused(BAD, "missing name"):
        admin.DeleteWorkflowAttributes(workflow_attributes_pb2.WorkflowAttributesDeleteRequest(
            project=project, domain=DOMAIN))
    admin.UpdateProject(project_pb2.Project(id=project, name=project, state=project_pb2.Project.ARCHIVED))
    with Refused(BAD, f"project [{project}] is not active"):
        Level(admin, project).set(EVERY_KIND[0][1])
    assert not list_all(admin, matchable.TASK_RESOURCE, project)


def test_rest(stack, admin, project):
    path = f"/api/v1/project_domain_attributes/{project}/{DOMAIN}"
    body = {"attributes": {"project": project, "domain": DOMAIN,
                           "matchingAttributes": {"executionClusterLabel": {"value": "west"}}}}
    assert stack.http(path, "PUT", json=body).status_code == 200
    got = stack.http(f"{path}?resource_type=EXECUTION_CLUSTER_LABEL").json()["attributes"]
    assert got["matchingAttributes"]["executionClusterLabel"]["value"] == "west"
    gone = stack.http(path, "DELETE", json={"project": project, "domain": DOMAIN, "resourceType": 3})
    assert gone.status_code == 200
    assert stack.http(f"{path}?resource_type=EXECUTION_CLUSTER_LABEL").status_code == 404


# Executions.

def make_plan(admin, project):
    """A workflow of one echo task, and its default launch plan's reference."""
    task = create_task(admin, unique("task"), project=project)
    workflow = identifier_pb2.Identifier(resource_type=identifier_pb2.WORKFLOW, project=project, domain=DOMAIN,
                                         name=unique("wf"), version="v1")
    interface = interface_pb2.TypedInterface(inputs=variables(x=INTEGER), outputs=variables())
    admin.CreateWorkflow(workflow_pb2.WorkflowCreateRequest(id=workflow, spec=workflow_pb2.WorkflowSpec(
        template=core_workflow.WorkflowTemplate(interface=interface, nodes=[task_node("n0", task, promise("x"))]))))
    plan = identifier_pb2.Identifier(resource_type=identifier_pb2.LAUNCH_PLAN, project=project, domain=DOMAIN,
                                     name=workflow.name, version="v1")
    admin.CreateLaunchPlan(launch_plan_pb2.LaunchPlanCreateRequest(
        id=plan, spec=launch_plan_pb2.LaunchPlanSpec(workflow_id=workflow)))
    return plan


def create(admin, plan, **spec):
    id = admin.CreateExecution(execution_pb2.ExecutionCreateRequest(
        project=plan.project, domain=DOMAIN, spec=execution_pb2.ExecutionSpec(launch_plan=plan, **spec),
        inputs=literals_pb2.LiteralMap(literals={"x": integer(1)}))).id
    return admin.GetExecution(execution_pb2.WorkflowExecutionGetRequest(id=id)).spec


def account(name):
    return security_pb2.SecurityContext(run_as=security_pb2.Identity(k8s_service_account=name))


def config(**fields):
    return MA(workflow_execution_config=matchable.WorkflowExecutionConfig(**fields))


def test_executions_take_settings_where_they_are_made_first(admin, project):
    plan = make_plan(admin, project)
    top, domain = Level(admin, project), Level(admin, project, DOMAIN)
    assert create(admin, plan).max_parallelism == 25
    top.set(config(max_parallelism=7, security_context=account("top")))
    domain.set(config(security_context=account("domain")))
    spec = create(admin, plan)
    assert (spec.max_parallelism, spec.security_context.run_as.k8s_service_account) == (7, "domain")
    Level(admin, project, DOMAIN, plan.name).set(config(max_parallelism=9))
    spec = create(admin, plan)
    assert (spec.max_parallelism, spec.security_context.run_as.k8s_service_account) == (9, "top")
    spec = create(admin, plan, max_parallelism=2, security_context=account("mine"))
    assert (spec.max_parallelism, spec.security_context.run_as.k8s_service_account) == (2, "mine")
    # An older client's role comes after what others set, and before the configuration.
    role = common_pb2.AuthRole(kubernetes_service_account="old")
    assert create(admin, plan, auth_role=role).security_context.run_as.k8s_service_account == "top"
    for level in (top, domain, Level(admin, project, DOMAIN, plan.name)):
        level.delete(matchable.WORKFLOW_EXECUTION_CONFIG)
    assert create(admin, plan, auth_role=role).security_context.run_as.k8s_service_account == "old"


# Where nothing is set.

def test_attributes_that_are_not_set(stack, admin):
    domain_request = project_domain_attributes_pb2.ProjectDomainAttributesGetRequest
    workflow = workflow_attributes_pb2.WorkflowAttributesGetRequest
    for type in matchable.MatchableResource.values():
        with Refused(MISSING, "Resource [{Project:flytesnacks Domain:development Workflow: "):
            admin.GetProjectDomainAttributes(domain_request(project=PROJECT, domain=DOMAIN, resource_type=type))
        with Refused(MISSING, "Workflow:wf LaunchPlan: ResourceType:"):
            admin.GetWorkflowAttributes(workflow(project=PROJECT, domain=DOMAIN, workflow="wf", resource_type=type))
        assert not list_all(admin, type, PROJECT)
    with Refused(BAD, "failed to validate that project [nobody] and domain [development] are registered"):
        admin.GetProjectDomainAttributes(domain_request(project="nobody", domain=DOMAIN))
    with Refused(BAD, "domain [nowhere] is unrecognized by system"):
        admin.GetProjectDomainAttributes(domain_request(project=PROJECT, domain="nowhere"))
    with Refused(BAD, "missing name"):
        admin.GetWorkflowAttributes(workflow(project=PROJECT, domain=DOMAIN))
    with Refused(MISSING, "ResourceType:99}] not found"):
        admin.GetProjectDomainAttributes(domain_request(project=PROJECT, domain=DOMAIN, resource_type=99))
    with Refused(BAD, "invalid value for resource_type"):
        admin.ListMatchableAttributes(matchable.ListMatchableAttributesRequest(resource_type=99))
    rest = f"/api/v1/project_domain_attributes/{PROJECT}/{DOMAIN}?resource_type=TASK_RESOURCE"
    assert stack.http(rest).status_code == 404


def test_project_attributes(admin):
    get = lambda **what: admin.GetProjectAttributes(project_attributes_pb2.ProjectAttributesGetRequest(**what)).attributes
    with Refused(MISSING, "ResourceType:TASK_RESOURCE}] not found"):
        get(project=PROJECT, resource_type=matchable.TASK_RESOURCE)
    with Refused(BAD, "failed to validate that project [nobody] exists"):
        get(project="nobody", resource_type=matchable.TASK_RESOURCE)
    configured = get(project=PROJECT, resource_type=matchable.WORKFLOW_EXECUTION_CONFIG)
    assert configured.project == PROJECT
    assert configured.matching_attributes.workflow_execution_config.max_parallelism == 25

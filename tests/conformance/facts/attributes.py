"""Matchable attributes. Source: flyteadmin resources/resource_manager.go, validation/attributes_validator.go, repositories/gormimpl/
resource_repo.go (v1.16.8)."""
from facts.fact import BAD, DOMAIN, MISSING, PROJECT, Fact

NO_PROJECT = "failed to validate that project [nobody] and domain [development] are registered, err: [project [nobody] not found]"
NO_PROJECT_AT_ALL = "failed to validate that project [nobody] is registered, err: [project [nobody] not found]"
LABEL = {"execution_cluster_label": {"value": "east"}}
QUEUE = {"execution_queue_attributes": {"tags": ["q"]}}
PLUGIN = {"plugin_overrides": {"overrides": [{"task_type": "python", "plugin_id": ["a"]}]}}
KINDS = {
    "TASK_RESOURCE": {"task_resource_attributes": {"defaults": {"cpu": "1"}}},
    "CLUSTER_RESOURCE": {"cluster_resource_attributes": {"attributes": {"a": "b"}}},
    "EXECUTION_QUEUE": QUEUE,
    "EXECUTION_CLUSTER_LABEL": LABEL,
    "PLUGIN_OVERRIDE": PLUGIN,
    "WORKFLOW_EXECUTION_CONFIG": {"workflow_execution_config": {"max_parallelism": 5}},
    "CLUSTER_ASSIGNMENT": {"cluster_assignment": {"cluster_pool_name": "p"}},
}
# Level -> what names the scope, beside the project.
LEVELS = {"Project": {}, "ProjectDomain": {"domain": DOMAIN}, "Workflow": {"domain": DOMAIN, "workflow": "{u}"}}
NAMES = {"Project": "facts", "ProjectDomain": "facts-development", "Workflow": "facts-development-{u}"}


def update(level, attributes=None, project=PROJECT, **more):
    scope = dict(LEVELS[level], project=project, **more)
    return {"attributes": dict(scope, matching_attributes=LABEL if attributes is None else attributes)}


def asked(level, kind="EXECUTION_CLUSTER_LABEL", project=PROJECT, **more):
    return dict(LEVELS[level], project=project, resource_type=kind, **more)


FACTS = []
for level in LEVELS:
    FACTS += [
        Fact(f"Update{level}Attributes", {}, BAD, "missing attributes"),
        Fact(f"Update{level}Attributes", update(level, project="nobody"), BAD, NO_PROJECT_AT_ALL if level == "Project" else NO_PROJECT),
        Fact(f"Update{level}Attributes", update(level, project="resting"), BAD, "project [resting] is not active"),
        Fact(f"Update{level}Attributes", {"attributes": dict(LEVELS[level], project=PROJECT)}, BAD, "missing matching_attributes"),
        Fact(f"Update{level}Attributes", update(level, {}), BAD,
             f"Unrecognized matching attributes type for request {NAMES[level]}"),
        Fact(f"Update{level}Attributes", update(level, {"quality_of_service": {"tier": "HIGH"}}), BAD,
             f"Unrecognized matching attributes type for request {NAMES[level]}"),
        Fact(f"Delete{level}Attributes", asked(level, project="nobody"), BAD,
             NO_PROJECT_AT_ALL if level == "Project" else NO_PROJECT),
        Fact(f"Delete{level}Attributes", asked(level, project="resting"), BAD, "project [resting] is not active"),
    ]
    if level != "Project":
        FACTS += [
            Fact(f"Update{level}Attributes", {"attributes": dict(LEVELS[level], project=PROJECT, domain="nowhere",
                                                                 matching_attributes=LABEL)}, BAD,
                 "domain [nowhere] is unrecognized by system"),
            Fact(f"Get{level}Attributes", asked(level, project="nobody"), BAD, NO_PROJECT),
            Fact(f"Get{level}Attributes", dict(asked(level), domain="nowhere"), BAD, "domain [nowhere] is unrecognized by system"),
        ]
# Workflows' are their own, so nothing is in the way.
FACTS += [
    Fact("UpdateWorkflowAttributes", update("Workflow", attributes), then=[
        ("GetWorkflowAttributes", asked("Workflow", kind), {"attributes": {
            "project": PROJECT, "domain": DOMAIN, "workflow": "{u}", "matching_attributes": attributes}})])
    for kind, attributes in KINDS.items()]
FACTS += [
    Fact("UpdateWorkflowAttributes", update("Workflow", dict(QUEUE)), given=[("UpdateWorkflowAttributes", update("Workflow"))], then=[
        ("GetWorkflowAttributes", asked("Workflow"), {"attributes": {"matching_attributes": LABEL}}),
        ("GetWorkflowAttributes", asked("Workflow", "EXECUTION_QUEUE"), {"attributes": {"matching_attributes": QUEUE}})]),
    # Plugin overrides of other task types stay.
    Fact("UpdateWorkflowAttributes", update("Workflow", {"plugin_overrides": {"overrides": [
        {"task_type": "spark", "plugin_id": ["b"]}]}}), given=[("UpdateWorkflowAttributes", update("Workflow", PLUGIN))], then=[
            ("GetWorkflowAttributes", asked("Workflow", "PLUGIN_OVERRIDE"), {"attributes": {"matching_attributes": {
                "plugin_overrides": {"overrides": lambda os: sorted(o["task_type"] for o in os) == ["python", "spark"]}}}})]),
    Fact("GetWorkflowAttributes", {"project": PROJECT, "domain": DOMAIN, "resource_type": "EXECUTION_QUEUE"}, BAD, "missing name"),
    Fact("DeleteWorkflowAttributes", {"project": PROJECT, "domain": DOMAIN, "resource_type": "EXECUTION_QUEUE"}, BAD, "missing name"),
    Fact("UpdateWorkflowAttributes", {"attributes": {"project": PROJECT, "domain": DOMAIN, "matching_attributes": LABEL}}, BAD,
         "missing name"),
    Fact("GetWorkflowAttributes", asked("Workflow", "CLUSTER_RESOURCE"), MISSING, (
        "Resource [{Project:facts Domain:development Workflow:{u} LaunchPlan: ResourceType:CLUSTER_RESOURCE}] not found",)),
    Fact("DeleteWorkflowAttributes", asked("Workflow"), given=[("UpdateWorkflowAttributes", update("Workflow"))]),
    Fact("DeleteWorkflowAttributes", asked("Workflow")),
    Fact("GetProjectDomainAttributes", asked("ProjectDomain", "CLUSTER_RESOURCE"), MISSING, ("] not found",)),
    Fact("DeleteProjectDomainAttributes", asked("ProjectDomain", "CLUSTER_RESOURCE")),
    Fact("GetProjectAttributes", asked("Project", "CLUSTER_RESOURCE"), MISSING, ("] not found",)),
    Fact("DeleteProjectAttributes", asked("Project", "CLUSTER_RESOURCE")),
    Fact("GetProjectAttributes", asked("Project", project="nobody"), BAD,
         "failed to validate that project [nobody] exists, err: [project [nobody] not found]"),
    # Of a project that has no settings for executions, the platform's.
    Fact("GetProjectAttributes", asked("Project", "WORKFLOW_EXECUTION_CONFIG"), gives={"attributes": {
        "project": PROJECT, "matching_attributes": {"workflow_execution_config": {"max_parallelism": 25}}}}),
    # A workflow has what its domain has, and that what the project has.
    Fact("GetWorkflowAttributes", dict(asked("Workflow", "CLUSTER_ASSIGNMENT"), project="{u}"),
         given=[("RegisterProject", {"project": {"id": "{u}", "name": "n"}}),
                ("UpdateProjectDomainAttributes", {"attributes": {"project": "{u}", "domain": DOMAIN,
                                                                  "matching_attributes": KINDS["CLUSTER_ASSIGNMENT"]}})],
         gives={"attributes": {"matching_attributes": KINDS["CLUSTER_ASSIGNMENT"]}}),
    Fact("UpdateProjectAttributes", {"attributes": {"project": "{u}", "matching_attributes": LABEL}},
         given=[("RegisterProject", {"project": {"id": "{u}", "name": "n"}})],
         then=[("GetProjectAttributes", {"project": "{u}", "resource_type": "EXECUTION_CLUSTER_LABEL"},
                {"attributes": {"matching_attributes": LABEL}}),
               ("DeleteProjectAttributes", {"project": "{u}", "resource_type": "EXECUTION_CLUSTER_LABEL"}, {})]),
    Fact("UpdateProjectDomainAttributes", {"attributes": {"project": "{u}", "domain": DOMAIN, "matching_attributes": QUEUE}},
         given=[("RegisterProject", {"project": {"id": "{u}", "name": "n"}})],
         then=[("GetProjectDomainAttributes", {"project": "{u}", "domain": DOMAIN, "resource_type": "EXECUTION_QUEUE"},
                {"attributes": {"matching_attributes": QUEUE}}),
               ("DeleteProjectDomainAttributes", {"project": "{u}", "domain": DOMAIN, "resource_type": "EXECUTION_QUEUE"}, {})]),
    Fact("ListMatchableAttributes", {"resource_type": "EXECUTION_QUEUE"},
         given=[("UpdateWorkflowAttributes", update("Workflow", QUEUE))],
         gives={"configurations": lambda cs: any(c["attributes"]["execution_queue_attributes"]["tags"] == ["q"] for c in cs)}),
    Fact("ListMatchableAttributes", {"resource_type": 77}, BAD, "invalid value for resource_type", only="grpc"),
    Fact("ListMatchableAttributes", {"resource_type": "QUALITY_OF_SERVICE_SPECIFICATION"}, gives={"configurations": []}),
]

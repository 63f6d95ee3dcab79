"""The real flytectl: projects, and matchable attributes at every level that it offers."""
import uuid

import grpc
import pytest
from flyteidl.admin.project_attributes_pb2 import ProjectAttributesGetRequest
from flyteidl.admin.project_domain_attributes_pb2 import ProjectDomainAttributesGetRequest
from flyteidl.admin.project_pb2 import Project, ProjectListRequest
from flyteidl.admin.workflow_attributes_pb2 import WorkflowAttributesGetRequest
from google.protobuf.json_format import MessageToDict

from flytectl import need_flytectl
from flyte_client import DOMAIN

need_flytectl()

# Of each kind: what stands in a file, and what a second file changes it to.
KINDS = {
    "task-resource-attribute": (
        "TASK_RESOURCE", {"defaults": {"cpu": "1", "memory": "150Mi"}, "limits": {"cpu": "2", "memory": "450Mi"}},
        {"defaults": {"cpu": "3"}, "limits": {"cpu": "4"}}),
    "cluster-resource-attribute": (
        "CLUSTER_RESOURCE", {"attributes": {"projectQuotaCpu": "4", "projectQuotaMemory": "8Gi"}},
        {"attributes": {"projectQuotaCpu": "8"}}),
    "execution-queue-attribute": ("EXECUTION_QUEUE", {"tags": ["critical", "gpu"]}, {"tags": ["slow"]}),
    "execution-cluster-label": ("EXECUTION_CLUSTER_LABEL", {"value": "east"}, {"value": "west"}),
    "plugin-override": (
        "PLUGIN_OVERRIDE", {"overrides": [{"task_type": "spark", "plugin_id": ["a", "b"], "missing_plugin_behavior": 1}]},
        {"overrides": [{"task_type": "spark", "plugin_id": ["c"]}]}),
    "workflow-execution-config": (
        "WORKFLOW_EXECUTION_CONFIG", {"max_parallelism": 5, "security_context": {"run_as": {"k8s_service_account": "bird"}},
                                      "labels": {"values": {"team": "birds"}}, "interruptible": {"value": True}},
        {"max_parallelism": 7}),
}
# What protobuf's JSON has in another way.
AS_STORED = {
    "plugin-override": {"overrides": [{"task_type": "spark", "plugin_id": ["a", "b"], "missing_plugin_behavior": "USE_DEFAULT"}]},
    "workflow-execution-config": {**KINDS["workflow-execution-config"][1], "interruptible": True}}
LEVELS = ["project", "domain", "workflow"]
# Of a project alone flytectl writes and deletes every kind, but reads only one.
READ = [(k, at) for k in KINDS for at in LEVELS if at != "project" or k == "workflow-execution-config"]


@pytest.fixture
def project(ctl):
    name = f"attr-{uuid.uuid4().hex[:8]}"
    ctl.plain("create", "project", "--id", name, "--name", name)
    return name


class Level:
    """One kind of attribute of a project, of it in a domain, or of a workflow there."""

    def __init__(self, ctl, kind, project, level):
        self.ctl, self.kind, self.project = ctl, kind, project
        self.domain = "" if level == "project" else DOMAIN
        self.workflow = "some.workflow" if level == "workflow" else ""
        self.where = {k: v for k, v in (("project", project), ("domain", self.domain), ("workflow", self.workflow)) if v}

    def run(self, verb, *args):
        workflow = [self.workflow] if self.workflow and verb != "update" else []
        return self.ctl(verb, self.kind, *workflow, *args, project=self.project, domain=self.domain)

    def fails(self, verb):
        return self.ctl.fails(verb, self.kind, *filter(None, [self.workflow]), project=self.project, domain=self.domain)

    def update(self, content, *options):
        return self.run("update", "--attrFile", self.ctl.file("set.yaml", {**self.where, **content}), *options)

    def fetched(self):
        name = f"got-{uuid.uuid4().hex}.yaml"  # it asks before it writes over one
        self.run("get", "--attrFile", name)
        got = self.ctl.read(name)
        assert got.pop("domain", "") == self.domain and got.pop("project") == self.project
        assert got.pop("workflow", "") == self.workflow
        return got

    def stored(self):
        """As the API has it; None if there is none of this level."""
        of, admin = {"resource_type": KINDS[self.kind][0], **self.where}, self.ctl.stack.admin
        if self.workflow:
            got = admin.GetWorkflowAttributes(WorkflowAttributesGetRequest(**of)).attributes
        elif self.domain:
            got = admin.GetProjectDomainAttributes(ProjectDomainAttributesGetRequest(**of)).attributes
        else:
            try:
                got = admin.GetProjectAttributes(ProjectAttributesGetRequest(**of)).attributes
            except grpc.RpcError as e:
                assert e.code() == grpc.StatusCode.NOT_FOUND
                return None
        here = (got.domain if self.domain else "", got.workflow if self.workflow else "") == (self.domain, self.workflow)
        [value] = MessageToDict(got.matching_attributes, preserving_proto_field_name=True).values() or [None]
        return value if here else None


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", KINDS)
def test_attributes(ctl, project, kind, level):
    _, first, second = KINDS[kind]
    at = Level(ctl, kind, project, level)
    assert "+++ after" in at.update(first, "--dryRun")
    at.update(first, "--force")
    assert at.stored() == AS_STORED.get(kind, first)
    assert at.update(first, "--force").startswith("No changes detected")
    if (kind, level) in READ:
        assert at.fetched() == first
    at.update(second, "--force")
    assert at.stored() == second
    assert "Deleted matchable resources" in at.run("delete")
    if (kind, level) == ("workflow-execution-config", "project"):
        assert at.fetched() == {"max_parallelism": 25}  # the platform's
    elif (kind, level) in READ:
        assert at.fails("get") == "attribute not found"
    else:
        assert at.fails("get") == "project and domain are required parameters"
        assert at.stored() is None
    assert "Deleted matchable resources" in at.run("delete")  # once more: no error


def test_deleting_by_file(ctl, project):
    at = Level(ctl, "execution-cluster-label", project, "workflow")
    at.update({"value": "east"}, "--force")
    ctl("delete", "execution-cluster-label", "--attrFile", ctl.file("delete.yaml", {**at.where, "value": "east"}),
        project=project)
    assert at.fails("get") == "attribute not found"


def test_a_workflow_has_what_its_domain_and_project_have(ctl, project):
    of = {level: Level(ctl, "execution-queue-attribute", project, level) for level in LEVELS}
    of["project"].update({"tags": ["of the project"]}, "--force")
    assert of["workflow"].fetched() == {"tags": ["of the project"]}
    of["domain"].update({"tags": ["of the domain"]}, "--force")
    assert of["workflow"].fetched() == {"tags": ["of the domain"]}
    assert of["workflow"].stored() is None
    of["workflow"].update({"tags": ["its own"]}, "--force")
    assert of["workflow"].fetched() == {"tags": ["its own"]}
    assert of["domain"].fetched() == {"tags": ["of the domain"]}


def test_a_sample_for_what_is_not_there(ctl, project):
    ctl("get", "workflow-execution-config", "absent.workflow", "--attrFile", "sample.yaml", "--gen", project=project)
    sample = ctl.read("sample.yaml")
    assert (sample["project"], sample["domain"], sample["workflow"]) == (project, DOMAIN, "absent.workflow")
    assert sample["max_parallelism"] == 10
    ctl.plain("update", "workflow-execution-config", "--attrFile", "sample.yaml", "--force")
    assert ctl.json("get", "workflow-execution-config", "absent.workflow", project=project)["labels"] == {
        "values": {"cliLabelKey": "cliLabelValue"}}


def test_attributes_of_an_unknown_project_are_refused(ctl):
    path = ctl.file("nowhere.yaml", {"project": "nowhere", "domain": DOMAIN, "value": "east"})
    assert "code = InvalidArgument" in ctl.fails("update", "execution-cluster-label", "--attrFile", path, "--force")
    assert "nowhere" in ctl.fails("update", "execution-cluster-label", "--attrFile", path, "--force")


def test_a_file_of_another_kind_is_refused(ctl, project):
    path = ctl.file("other.yaml", {"project": project, "domain": DOMAIN, "tags": ["a"]})
    assert "unknown field" in ctl.fails("update", "task-resource-attribute", "--attrFile", path, "--force")


# Projects.

def get_project(ctl, name, state=""):
    filters = f"eq(identifier,{name})" + (f"+eq(state,{state})" if state else "")
    found = ctl.stack.admin.ListProjects(ProjectListRequest(filters=filters)).projects
    return found[0] if found else None


def test_a_project_from_its_creation_to_its_archive(ctl):
    name = f"life-{uuid.uuid4().hex[:8]}"
    ctl.plain("create", "project", "--id", name, "--name", "A life", "--description", "long", "--labels", "a=1,b=2")
    made = get_project(ctl, name)
    assert (made.name, made.description, dict(made.labels.values)) == ("A life", "long", {"a": "1", "b": "2"})
    [shown] = [p for p in ctl.table("get", "project") if p["ID"] == name]
    assert (shown["NAME"], shown["DESCRIPTION"]) == ("A life", "long")
    assert ctl.json("get", "project", name) == MessageToDict(made)
    assert ctl.yaml("get", "project", name) == MessageToDict(made)

    def update(*args):
        return ctl.plain("update", "project", "-p", name, "--force", *args)

    assert "-description: long\n+description: short" in update("--description", "short")
    assert get_project(ctl, name).description == "short"
    update("--labels", "c=3")
    assert dict(get_project(ctl, name).labels.values) == {"c": "3"}
    assert update("--labels", "c=3").startswith("No changes detected")
    update("--archive")
    archived = get_project(ctl, name, state=1)
    assert archived.state == Project.ARCHIVED
    assert (archived.name, archived.description, dict(archived.labels.values)) == ("A life", "short", {"c": "3"})
    assert name not in [p["ID"] for p in ctl.table("get", "project")]
    assert name in [p["ID"] for p in ctl.table("get", "project", "--filter.fieldSelector", "state=1")]
    update("--activate")
    assert get_project(ctl, name).state == Project.ACTIVE


def test_a_project_from_a_file(ctl):
    name = f"file-{uuid.uuid4().hex[:8]}"
    definition = {"id": name, "name": "Of a file", "description": "d", "labels": {"values": {"from": "file"}}}
    path = ctl.file("project.yaml", definition)
    ctl.plain("create", "project", "--file", path)
    assert dict(get_project(ctl, name).labels.values) == {"from": "file"}
    ctl.plain("update", "project", "--file", ctl.file("project.yaml", {**definition, "name": "Renamed"}), "--force")
    assert get_project(ctl, name).name == "Renamed"


@pytest.mark.parametrize("args, message", [
    (("--id", "flytesnacks", "--name", "again"), "code = AlreadyExists"),
    (("--id", "No Name", "--name", "x"), "code = InvalidArgument"),
    (("--id", "x" * 64, "--name", "x"), "code = InvalidArgument"),
    (("--id", "fine", "--name", "x" * 65), "code = InvalidArgument"),
    (("--id", "fine", "--name", "x", "--labels", "bad key=1"), "code = InvalidArgument"),
], ids=["exists", "id", "long id", "long name", "label"])
def test_bad_projects(ctl, args, message):
    assert message in ctl.fails("create", "project", *args, project="", domain="")


def test_a_project_that_is_not_there(ctl):
    assert "project absent not found" in ctl.fails("update", "project", "--description", "x", "--force", project="absent")
    assert ctl.plain("get", "project", "absent") == ""


def test_projects_filtered_sorted_and_in_pages(ctl):
    ask = ("get", "project", "--filter.sortBy", "name", "--filter.asc")
    chosen = ("--filter.fieldSelector", "name in (flyteexamples;flytesnacks;flytetester)")
    assert [p["ID"] for p in ctl.table(*ask, *chosen)] == ["flyteexamples", "flytesnacks", "flytetester"]
    pages = [ctl.table(*ask, *chosen, "--filter.limit", 2, "--filter.page", n) for n in (1, 2)]
    assert [[p["ID"] for p in page] for page in pages] == [["flyteexamples", "flytesnacks"], ["flytetester"]]
    assert [p["ID"] for p in ctl.table("get", "project", "--filter.fieldSelector", "project.name=flytesnacks")] == ["flytesnacks"]
    assert "code = InvalidArgument" in ctl.fails("get", "project", "--filter.fieldSelector", "colour=red")

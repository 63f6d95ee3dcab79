"""Descriptions of tasks and workflows: kept once with the registration, read one by one and in pages."""
import grpc
import pytest
from flyteidl.admin import common_pb2, description_entity_pb2, task_pb2, workflow_pb2
from flyteidl.core import identifier_pb2, interface_pb2, tasks_pb2, workflow_pb2 as core_workflow

from test_executions import DOMAIN, INTEGER, PROJECT, code_of, create_task, identifier, promise, unique, variables

TASK, WORKFLOW = identifier_pb2.TASK, identifier_pb2.WORKFLOW


def description(n=0, **more):
    return description_entity_pb2.DescriptionEntity(
        short_description=f"short {n}", long_description=description_entity_pb2.Description(value=f"long {n}", format=2, icon_link="i"),
        source_code=description_entity_pb2.SourceCode(link=f"https://example.org/{n}"), **more)


def register_task(admin, name, version, described=None):
    id = identifier(TASK, name, version)
    template = tasks_pb2.TaskTemplate(
        id=id, type="echo", metadata=tasks_pb2.TaskMetadata(runtime=tasks_pb2.RuntimeMetadata(version="1", type=1)),
        interface=interface_pb2.TypedInterface(inputs=variables(x=INTEGER), outputs=variables(x=INTEGER)))
    admin.CreateTask(task_pb2.TaskCreateRequest(id=id, spec=task_pb2.TaskSpec(template=template, description=described)))
    return id


def register_workflow(admin, name, version, described=None):
    id = identifier(WORKFLOW, name, version)
    node = core_workflow.Node(id="n0", metadata=core_workflow.NodeMetadata(name="n0"), inputs=[promise("x")],
                              task_node=core_workflow.TaskNode(reference_id=create_task(admin)))
    interface = interface_pb2.TypedInterface(inputs=variables(x=INTEGER))
    admin.CreateWorkflow(workflow_pb2.WorkflowCreateRequest(id=id, spec=workflow_pb2.WorkflowSpec(
        template=core_workflow.WorkflowTemplate(interface=interface, nodes=[node]), description=described)))
    return id


def get(admin, id):
    return admin.GetDescriptionEntity(common_pb2.ObjectGetRequest(id=id))


def listed(admin, kind, name, **more):
    return admin.ListDescriptionEntities(description_entity_pb2.DescriptionEntityListRequest(
        resource_type=kind, id=common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN, name=name),
        **{"limit": 100, **more}))


@pytest.mark.parametrize("register", [register_task, register_workflow])
def test_one(stack, register):
    admin, name = stack.admin, unique("described")
    id = register(admin, name, "v1", description())
    assert get(admin, id) == description(id=id)
    with pytest.raises(grpc.RpcError):  # it is there already: the first description stays
        register(admin, name, "v1", description(9))
    assert get(admin, id).short_description == "short 0"
    bare = register(admin, name, "v2")
    code, text = code_of(get, admin, bare)
    assert code == grpc.StatusCode.NOT_FOUND and text.endswith(f'name:"{name}" version:"v2"')
    kind = "TASK" if register is register_task else "WORKFLOW"
    r = stack.http(f"/api/v1/description_entities/{kind}/{PROJECT}/{DOMAIN}/{name}/v1", headers={"Accept": "application/json"})
    assert r.status_code == 200, r.text
    assert r.json()["long_description"]["value"] == "long 0"
    assert r.json()["source_code"] == {"link": "https://example.org/0"}


def test_task_and_workflow_of_one_name(stack):
    admin, name = stack.admin, unique("twice")
    task = register_task(admin, name, "v1", description(1))
    workflow = register_workflow(admin, name, "v1", description(2))
    assert get(admin, task).short_description == "short 1"
    assert get(admin, workflow).short_description == "short 2"
    assert [d.id for d in listed(admin, TASK, name).descriptionEntities] == [task]
    assert [d.id for d in listed(admin, WORKFLOW, name).descriptionEntities] == [workflow]


def test_lists(stack):
    admin, name = stack.admin, unique("listed")
    for i in range(5):
        register_task(admin, name, f"v{i}", description(i))
    page = listed(admin, TASK, name, limit=3, sort_by=common_pb2.Sort(key="version", direction=common_pb2.Sort.ASCENDING))
    assert [d.id.version for d in page.descriptionEntities] == ["v0", "v1", "v2"] and page.token
    rest = listed(admin, TASK, name, limit=3, token=page.token,
                  sort_by=common_pb2.Sort(key="version", direction=common_pb2.Sort.ASCENDING))
    assert [d.id.version for d in rest.descriptionEntities] == ["v3", "v4"] and not rest.token
    found = listed(admin, TASK, name, filters="contains(short_description,t 3)+eq(task.version,v3)").descriptionEntities
    assert [d.source_code.link for d in found] == ["https://example.org/3"]
    r = stack.http(f"/api/v1/description_entities/TASK/{PROJECT}/{DOMAIN}/{name}?limit=2&sort_by.key=version",
                   headers={"Accept": "application/json"})
    assert [d["id"]["version"] for d in r.json()["descriptionEntities"]] == ["v4", "v3"]


def test_refusals(stack):
    admin = stack.admin
    bad = grpc.StatusCode.INVALID_ARGUMENT
    id = identifier(TASK, "x")
    for field in ("project", "domain", "name", "version"):
        part = identifier_pb2.Identifier()
        part.CopyFrom(id)
        part.ClearField(field)
        assert code_of(get, admin, part) == (bad, f"missing {field}")
    id.resource_type = identifier_pb2.UNSPECIFIED
    assert code_of(get, admin, id) == (bad, "invalid value for resource_type")
    assert code_of(listed, admin, TASK, "") == (bad, "missing name")
    assert code_of(lambda: listed(admin, TASK, "x", limit=0)) == (bad, "invalid value for limit")
    code, text = code_of(lambda: listed(admin, TASK, "x", token="y"))
    assert code == bad and text.startswith("invalid pagination token y for ListWorkflows")

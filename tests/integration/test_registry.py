"""Projects, tasks, workflows, launch plans and named entities, over gRPC and REST."""
import concurrent.futures
import itertools
import json
import time

import grpc
import pytest
from flyteidl.admin import common_pb2, launch_plan_pb2, project_pb2, task_pb2, version_pb2, workflow_pb2
from flyteidl.core import (identifier_pb2, interface_pb2, literals_pb2, tasks_pb2, types_pb2,
                           workflow_pb2 as core_workflow)

from stack import wait_for

PROJECT, DOMAIN = "flytesnacks", "development"
INTEGER = types_pb2.LiteralType(simple=types_pb2.INTEGER)
STRING = types_pb2.LiteralType(simple=types_pb2.STRING)
TYPES = {identifier_pb2.TASK: "TASK", identifier_pb2.WORKFLOW: "WORKFLOW", identifier_pb2.LAUNCH_PLAN: "LAUNCH_PLAN"}
counter = itertools.count()


def unique(prefix="x"):
    return f"{prefix}{next(counter)}.{time.monotonic_ns()}"


def identifier(kind, name, version="v1", project=PROJECT, domain=DOMAIN):
    return identifier_pb2.Identifier(resource_type=kind, project=project, domain=domain, name=name, version=version)


def variables(**types):
    return interface_pb2.VariableMap(variables={k: interface_pb2.Variable(type=t) for k, t in types.items()})


def integer(i):
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(integer=i)))


def text(s):
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(string_value=s)))


def task_template(inputs=None, outputs=None, image="image:1"):
    return tasks_pb2.TaskTemplate(
        type="python-task", metadata=tasks_pb2.TaskMetadata(runtime=tasks_pb2.RuntimeMetadata(version="1", type=1)),
        interface=interface_pb2.TypedInterface(inputs=variables(**(inputs or {})), outputs=variables(**(outputs or {}))),
        container=tasks_pb2.Container(image=image, args=["run"]))


def create_task(admin, name, version="v1", template=None, **where):
    id = identifier(identifier_pb2.TASK, name, version, **where)
    admin.CreateTask(task_pb2.TaskCreateRequest(
        id=id, spec=task_pb2.TaskSpec(template=template or task_template({"x": INTEGER}, {"o0": INTEGER}))))
    return id


def promise(var, node="", source=None):
    return literals_pb2.Binding(var=var, binding=literals_pb2.BindingData(
        promise=types_pb2.OutputReference(node_id=node, var=source or var)))


def task_node(id, task, *inputs, upstream=()):
    return core_workflow.Node(id=id, metadata=core_workflow.NodeMetadata(name=id), inputs=inputs,
                              upstream_node_ids=upstream, task_node=core_workflow.TaskNode(reference_id=task))


def workflow_request(name, nodes, outputs=(), version="v1", inputs=None, output_types=None):
    id = identifier(identifier_pb2.WORKFLOW, name, version)
    interface = interface_pb2.TypedInterface(
        inputs=variables(**({"x": INTEGER} if inputs is None else inputs)), outputs=variables(**(output_types or {})))
    return workflow_pb2.WorkflowCreateRequest(id=id, spec=workflow_pb2.WorkflowSpec(
        template=core_workflow.WorkflowTemplate(interface=interface, nodes=nodes, outputs=outputs)))


def two_nodes(admin, name, version="v1"):
    """x -> n0 -> n1 -> o0"""
    task = create_task(admin, unique("task"))
    return workflow_request(name, [task_node("n0", task, promise("x")), task_node("n1", task, promise("x", "n0", "o0"))],
                            [promise("o0", "n1")], version, output_types={"o0": INTEGER})


def create_workflow(admin, name=None, version="v1"):
    request = two_nodes(admin, name or unique("wf"), version)
    admin.CreateWorkflow(request)
    return request.id


def plan_request(workflow, name=None, version="v1", **spec):
    return launch_plan_pb2.LaunchPlanCreateRequest(
        id=identifier(identifier_pb2.LAUNCH_PLAN, name or workflow.name, version),
        spec=launch_plan_pb2.LaunchPlanSpec(workflow_id=workflow, **spec))


def list_request(name="", limit=100, **more):
    return common_pb2.ResourceListRequest(
        id=common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN, name=name), limit=limit, **more)


class Refused:
    """with Refused(code, "text in its details"): ..."""

    def __init__(self, code, *texts):
        self.code, self.texts = code, texts

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        assert kind is not None, f"expected {self.code}, nothing was refused"
        if not issubclass(kind, grpc.RpcError):
            return False
        assert value.code() == self.code, value.details()
        for t in self.texts:
            assert t in value.details(), value.details()
        return True


def answer(call):
    """None while nobody serves."""
    try:
        return call()
    except grpc.RpcError as e:
        if e.code() != grpc.StatusCode.UNAVAILABLE:
            raise
        return None


BAD = grpc.StatusCode.INVALID_ARGUMENT
MISSING = grpc.StatusCode.NOT_FOUND
EXISTS = grpc.StatusCode.ALREADY_EXISTS


@pytest.fixture
def admin(stack):
    return stack.admin


# Projects and domains.

def test_seeded_projects(stack, admin):
    ids = [p.id for p in admin.ListProjects(project_pb2.ProjectListRequest()).projects]
    assert {"flytesnacks", "flytetester", "flyteexamples"} <= set(ids)
    assert ids == sorted(ids)
    answer = stack.http("/api/v1/projects", headers={"Accept": "application/octet-stream"})
    assert {p.id for p in project_pb2.Projects.FromString(answer.content).projects} == set(ids)
    domains = admin.GetDomains(project_pb2.GetDomainRequest()).domains
    assert [d.id for d in domains] == ["development", "staging", "production"]


def test_project_life(admin):
    name = unique("p").replace(".", "-")
    project = project_pb2.Project(id=name, name="A name", description="text", labels={"values": {"team": "a"}})
    admin.RegisterProject(project_pb2.ProjectRegisterRequest(project=project))
    with Refused(EXISTS, name):
        admin.RegisterProject(project_pb2.ProjectRegisterRequest(project=project))
    got = admin.GetProject(project_pb2.ProjectGetRequest(id=name))
    assert (got.name, got.description, dict(got.labels.values), len(got.domains)) == ("A name", "text", {"team": "a"}, 3)
    ids = [p.id for p in admin.ListProjects(project_pb2.ProjectListRequest()).projects]
    assert name in ids and ids == sorted(ids)  # not by name

    admin.UpdateProject(project_pb2.Project(id=name, description="new", state=project_pb2.Project.ARCHIVED))
    got = admin.GetProject(project_pb2.ProjectGetRequest(id=name))
    assert (got.name, got.description, got.state) == ("A name", "new", project_pb2.Project.ARCHIVED)
    listed = lambda filters: [p.id for p in admin.ListProjects(project_pb2.ProjectListRequest(filters=filters)).projects]
    assert name not in listed("")
    assert name in listed("eq(state,1)") and listed(f"eq(identifier,{name})") == [name]
    with Refused(BAD, f"project [{name}] is not active"):
        create_task(admin, "t", project=name)


def test_bad_projects(admin):
    register = lambda **p: admin.RegisterProject(project_pb2.ProjectRegisterRequest(project=project_pb2.Project(**p)))
    with Refused(BAD, "missing project_id"):
        register(name="x")
    with Refused(BAD, "missing project_name"):
        register(id="x")
    with Refused(BAD, "invalid project id [Not_DNS]"):
        register(id="Not_DNS", name="x")
    with Refused(BAD, "project_name cannot exceed 64 characters"):
        register(id="x", name="n" * 65)
    with Refused(BAD, "invalid label value [-]"):
        register(id="x", name="x", labels={"values": {"a": "-"}})
    with Refused(MISSING, "project [nowhere] not found"):
        admin.GetProject(project_pb2.ProjectGetRequest(id="nowhere"))
    with Refused(MISSING, "project [nowhere] not found"):
        admin.UpdateProject(project_pb2.Project(id="nowhere", name="x"))


# Tasks.

def test_task_round_trip(stack, admin):
    name = unique("my.task")
    template = task_template({"x": INTEGER, "y": STRING}, {"o0": STRING})
    id = create_task(admin, name, template=template)
    got = admin.GetTask(common_pb2.ObjectGetRequest(id=id))
    template.id.CopyFrom(id)
    assert got.id == id and got.closure.compiled_task.template == template
    assert abs(got.closure.created_at.ToSeconds() - time.time()) < 60
    rest = stack.http(f"/api/v1/tasks/{PROJECT}/{DOMAIN}/{name}/v1", headers={"Accept": "application/json"}).json()
    assert rest["closure"]["compiled_task"]["template"]["container"]["image"] == "image:1"


def test_task_again(admin):
    name = unique("task")
    create_task(admin, name)
    with Refused(EXISTS, "task with identical structure already exists"):
        create_task(admin, name)
    with Refused(BAD, f"{name} task with different structure already exists. (Please register a new version of the task)",
                 "/template/container/image", "- \"image:1\"", "+ \"image:2\""):
        create_task(admin, name, template=task_template({"x": INTEGER}, {"o0": INTEGER}, image="image:2"))
    create_task(admin, name, "v2")


def test_order_of_maps_does_not_matter(admin):
    name = unique("task")
    types = {f"v{i}": INTEGER for i in range(20)}
    create_task(admin, name, template=task_template(types))
    backwards = dict(reversed(types.items()))
    with Refused(EXISTS):
        create_task(admin, name, template=task_template(backwards))


def test_one_of_many_wins(admin):
    name = unique("task")

    def attempt(i):
        try:
            create_task(admin, name, template=task_template(image=f"image:{i % 2}"))
        except grpc.RpcError as e:
            return e.code()
        return None

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(attempt, range(16)))
    assert codes.count(None) == 1 and codes.count(BAD) == 8 and codes.count(EXISTS) == 7


def pod_of(request, **resources):
    """The task becomes a pod, whose second container has these resources."""
    request.spec.template.k8s_pod.pod_spec.update({"containers": [
        {"name": "beside", "image": "x:1"}, {"name": "main", "image": "x:1", "resources": resources}]})


@pytest.mark.parametrize("change, text", [
    (lambda r: r.id.ClearField("name"), "missing name"),
    (lambda r: r.id.ClearField("version"), "missing version"),
    (lambda r: r.ClearField("id"), "missing id"),
    (lambda r: setattr(r.id, "resource_type", identifier_pb2.WORKFLOW),
     "unexpected resource type workflow for identifier [resource_type:WORKFLOW project:\"flytesnacks\""),
    (lambda r: setattr(r.id, "project", "nowhere"),
     "failed to validate that project [nowhere] and domain [development] are registered"),
    (lambda r: setattr(r.id, "domain", "nowhere"), "domain [nowhere] is unrecognized by system"),
    (lambda r: r.ClearField("spec"), "missing spec"),
    (lambda r: r.spec.template.ClearField("type"), "missing type"),
    (lambda r: r.spec.template.ClearField("metadata"), "missing metadata"),
    (lambda r: r.spec.template.ClearField("interface"), "missing typed interface"),
    (lambda r: r.spec.template.container.ClearField("image"), "missing image"),
    (lambda r: r.spec.template.container.ClearField("args"),
     "task failed compilation with Collected Errors: 1\n\tError 0: Code: ValueRequired, Node Id: container, "
     "Description: Value required [command].\n"),
    (lambda r: r.spec.template.container.resources.requests.add(name=1, value="much"),
     "Parsing of CPU request failed for value much"),
    (lambda r: pod_of(r, requests={"cpu": "much"}), "container [main]: resources.requests.cpu is \"much\""),
    (lambda r: pod_of(r, limits={"example.com/any": "1Gx"}), "container [main]: resources.limits.example.com/any is"),
    (lambda r: pod_of(r, requests={"cpu": 2}, limits={"cpu": "1"}), "Requested CPU default [2] is greater than the limit [1]"),
    (lambda r: setattr(r.id, "name", "n" * 256), "name cannot exceed 255 characters"),
])
def test_bad_tasks(admin, change, text):
    request = task_pb2.TaskCreateRequest(id=identifier(identifier_pb2.TASK, unique()), spec=task_pb2.TaskSpec(
        template=task_template({"x": INTEGER})))
    change(request)
    with Refused(BAD, text):
        admin.CreateTask(request)


def test_missing_entities(admin):
    for kind, get in ((identifier_pb2.TASK, admin.GetTask), (identifier_pb2.WORKFLOW, admin.GetWorkflow),
                      (identifier_pb2.LAUNCH_PLAN, admin.GetLaunchPlan)):
        with Refused(MISSING, f"missing entity of type {TYPES[kind]} with identifier project:\"flytesnacks\" "
                     "domain:\"development\" name:\"none\" version:\"v1\""):
            get(common_pb2.ObjectGetRequest(id=identifier(kind, "none")))


# Lists.

def test_pages(admin):
    name = unique("task")
    for i in range(7):
        create_task(admin, name, f"v{i}")
    for sort in (None, common_pb2.Sort(key="created_at", direction=common_pb2.Sort.ASCENDING),
                 common_pb2.Sort(key="version", direction=common_pb2.Sort.DESCENDING),
                 common_pb2.Sort(key="project", direction=common_pb2.Sort.DESCENDING)):
        seen, token, pages = [], "", 0
        while True:
            page = admin.ListTasks(list_request(name, 3, token=token, sort_by=sort))
            seen += [t.id.version for t in page.tasks]
            token, pages = page.token, pages + 1
            if not token:
                break
        expected = [f"v{i}" for i in range(7)]
        assert seen == (expected[::-1] if sort and sort.direction == common_pb2.Sort.DESCENDING else expected)
        assert pages == 3
    by_offset = admin.ListTasks(list_request(name, 3, token="5"))
    assert [t.id.version for t in by_offset.tasks] == ["v5", "v6"] and by_offset.token == ""


RESOURCE_KEYS = ["id", "project", "domain", "name", "version", "created_at", "updated_at", "short_description"]


@pytest.mark.parametrize("kind, keys", [
    ("Tasks", RESOURCE_KEYS + ["type"]),
    ("Workflows", RESOURCE_KEYS + ["remote_closure_identifier"]),
    ("LaunchPlans", RESOURCE_KEYS[:-1] + ["state", "workflow_id", "schedule_type"]),
    ("Projects", ["id", "identifier", "name", "description", "state", "created_at", "updated_at"]),
    ("NamedEntities", ["id", "resource_type", "project", "domain", "name", "description", "state", "created_at"]),
])
@pytest.mark.parametrize("direction", [common_pb2.Sort.ASCENDING, common_pb2.Sort.DESCENDING])
def test_pages_by_every_key(admin, kind, keys, direction):
    """Five by five, each row comes once, whatever it is sorted by."""
    for _ in range(3):
        admin.CreateLaunchPlan(plan_request(create_workflow(admin)))
    scope = dict(project=PROJECT, domain=DOMAIN)
    make = {"Projects": project_pb2.ProjectListRequest,
            "NamedEntities": lambda **page: common_pb2.NamedEntityListRequest(
                resource_type=identifier_pb2.WORKFLOW, **scope, **page)}.get(
        kind, lambda **page: common_pb2.ResourceListRequest(id=common_pb2.NamedEntityIdentifier(**scope), **page))
    field = {"LaunchPlans": "launch_plans", "NamedEntities": "entities"}.get(kind, kind.lower())
    for key in keys:
        seen, token = [], ""
        while True:
            page = getattr(admin, "List" + kind)(make(
                limit=5, token=token, sort_by=common_pb2.Sort(key=key, direction=direction)))
            seen += [str(row.id) for row in getattr(page, field)]
            token = page.token
            if not token:
                break
        everything = getattr(admin, "List" + kind)(make(limit=10000))
        assert len(seen) == len(set(seen)), key
        assert set(seen) == {str(row.id) for row in getattr(everything, field)}, key


def test_pages_stay_when_rows_come(admin):
    name = unique("task")
    newest = common_pb2.Sort(key="created_at", direction=common_pb2.Sort.DESCENDING)
    for i in range(4):
        create_task(admin, name, f"v{i}")
    first = admin.ListTasks(list_request(name, 2, sort_by=newest))
    create_task(admin, name, "later")
    second = admin.ListTasks(list_request(name, 2, sort_by=newest, token=first.token))
    assert [t.id.version for t in [*first.tasks, *second.tasks]] == ["v3", "v2", "v1", "v0"]


@pytest.mark.parametrize("filters, expected", [
    ("eq(version,a1)", "a1"), ("ne(version,a1)", "a2 b1"), ("value_in(version,a1;b1)", "a1 b1"),
    ("value_not_in(version,a1;b1)", "a2"), ("contains(version,a)", "a1 a2"), ("gte(version,a2)", "a2 b1"),
    ("lt(version, a2)", "a1"), ("contains(version,a)+ne(version,a2)", "a1"), ("not_like(version,a%)", "b1"),
    ("gt(created_at,2020-01-01T00:00:00Z)", "a1 a2 b1"), ("lt(created_at,2020-01-01T00:00:00.5Z)", ""),
    ("eq(type,python-task)+eq(task.version,b1)", "b1"), ("eq(version,x' OR 'a'='a)", ""),
])
def test_filters(admin, filtered_tasks, filters, expected):
    found = admin.ListTasks(list_request(filtered_tasks, filters=filters))
    assert sorted(t.id.version for t in found.tasks) == expected.split()


@pytest.fixture(scope="module")
def filtered_tasks(stack):
    name = unique("task")
    for v in ("a1", "a2", "b1"):
        create_task(stack.admin, name, v)
    return name


@pytest.mark.parametrize("more, text", [
    ({"filters": "eq(nothing,1)"}, "'t.nothing' is invalid filter"),
    ({"filters": "eq(workflow.name,1)"}, "'w' entity is not allowed in filters"),
    ({"filters": "like(name,1)"}, "unrecognized filter function: like"),
    ({"filters": "name=1"}, "invalid value for filters"),
    ({"filters": "gt(created_at,soon)"}, "Timestamp soon must conform to RFC3339 Nano spec"),
    ({"filters": "eq(id,one)"}, "invalid value [one] for id"),
    ({"filters": "value_in(version," + ";".join("x" * 300) + ")"}, "more than 200 values"),
    ({"filters": "not_like(name,a\\)"}, "invalid value for filters"),
    ({"sort_by": common_pb2.Sort(key="nothing")}, "invalid sort key 'nothing'"),
    ({"token": "x"}, "invalid pagination token x for ListTasks"),
    ({"token": ".!"}, "invalid pagination token .! for ListTasks"),
    ({"token": ".MSAtOTIyMzM3MjAzNjg1NDc3NTgwOA", "sort_by": common_pb2.Sort(key="created_at")},
     "invalid pagination token"),  # "1 -9223372036854775808": no such time
    ({"limit": 0}, "invalid value for limit"),
])
def test_bad_lists(admin, more, text):
    with Refused(BAD, text):
        admin.ListTasks(list_request("x", **more))


# Workflows.

def test_workflow_round_trip(stack, admin):
    request = two_nodes(admin, unique("wf"))
    admin.CreateWorkflow(request)
    got = admin.GetWorkflow(common_pb2.ObjectGetRequest(id=request.id))
    compiled = got.closure.compiled_workflow
    nodes = {n.id: n for n in compiled.primary.template.nodes}
    assert [n.id for n in compiled.primary.template.nodes] == ["start-node", "end-node", "n0", "n1"]
    assert all("start-node" not in n.upstream_node_ids for n in nodes.values())
    assert nodes["n0"].inputs[0].binding.promise.node_id == "start-node"
    assert nodes["end-node"].inputs[0].binding.promise.node_id == "n1"
    assert [t.template.id.name for t in compiled.tasks] == [request.spec.template.nodes[0].task_node.reference_id.name]
    down = {k: list(v.ids) for k, v in compiled.primary.connections.downstream.items()}
    up = {k: list(v.ids) for k, v in compiled.primary.connections.upstream.items()}
    assert down == {"start-node": ["n0"], "n0": ["n1"], "n1": ["end-node"]}
    assert up == {"n0": ["start-node"], "n1": ["n0"], "end-node": ["n1"]}
    assert compiled.primary.template.id == request.id

    (uri, digest), = stack.sql("SELECT closure_uri, encode(digest, 'hex') FROM admin.workflows WHERE name = %s",
                               request.id.name)
    with open(uri, "rb") as f:
        assert type(compiled).FromString(f.read()) == compiled
    assert digest in uri


def test_workflow_again(admin):
    request = two_nodes(admin, unique("wf"))
    admin.CreateWorkflow(request)
    with Refused(EXISTS, "workflow with identical structure already exists"):
        admin.CreateWorkflow(request)
    request.spec.template.nodes[0].metadata.name = "other"
    with Refused(BAD, f"{request.id.name} workflow with different structure already exists.", "/metadata/name"):
        admin.CreateWorkflow(request)


def test_large_workflow(admin):
    """Above what rows hold: the closure comes from the store."""
    task = create_task(admin, unique("task"))
    chain = [task_node("n0", task, promise("x"))]
    chain += [task_node(f"n{i}", task, promise("x", f"n{i - 1}", "o0")) for i in range(1, 10000)]
    request = workflow_request(unique("wf"), chain)
    admin.CreateWorkflow(request)
    got = admin.GetWorkflow(common_pb2.ObjectGetRequest(id=request.id))
    assert len(got.closure.compiled_workflow.primary.template.nodes) == 10002
    with Refused(EXISTS):
        admin.CreateWorkflow(request)


def test_compile_errors(admin):
    task = create_task(admin, unique("task"))

    def refused(nodes, *texts, **more):
        request = workflow_request(unique("wf"), nodes, **more)
        with Refused(BAD, "failed to compile workflow for [resource_type:WORKFLOW project:\"flytesnacks\" "
                     "domain:\"development\" name:", *texts):
            admin.CreateWorkflow(request)

    refused([], "Can't find any nodes in workflow")
    refused([task_node("n0", task)],
            "with err: Collected Errors: 1\n\tError 0: Code: ParameterNotBound, Node Id: n0, Description: Parameter "
            "not bound [x].\n")
    refused([task_node("n0", task, promise("x", "nowhere", "o0"))],
            "Code: NodeReferenceNotFound, Node Id: nowhere, Description: Referenced node [nowhere] not found.",
            "Code: ParameterNotBound, Node Id: n0")
    refused([task_node("n0", task, promise("x"))],
            "Code: MismatchingTypes, Node Id: n0, Description: The output variable 'x' has type [simple:STRING], but it's "
            "assigned to the input variable 'n0.x' which has type type [simple:INTEGER].",
            inputs={"x": STRING})
    refused([task_node("n0", task, promise("x", "n1", "o0")), task_node("n1", task, promise("x", "n0", "o0"))],
            "Code: UnreachableNodes, Node Id: start-node")
    refused([task_node("n0", identifier(identifier_pb2.TASK, "none"), promise("x"))],
            "missing entity of type TASK with identifier project:\"flytesnacks\"")
    refused([core_workflow.Node(id="n0", branch_node=core_workflow.BranchNode())],
            "Code: BranchNodeHasNoCondition, Node Id: n0", "Code: BranchNodeHasNoDefault, Node Id: n0")
    missing = identifier(identifier_pb2.LAUNCH_PLAN, "none")
    refused([core_workflow.Node(id="n0", workflow_node=core_workflow.WorkflowNode(launchplan_ref=missing))],
            "missing entity of type LAUNCH_PLAN with identifier project:\"flytesnacks\"")


def sub_workflow_request(admin, sub_workflows):
    """x -> inner -> o0, and what `inner` is."""
    task = create_task(admin, unique("task"))
    inner = identifier(identifier_pb2.WORKFLOW, "inner")
    use = core_workflow.Node(id="n0", inputs=[promise("x")],
                             workflow_node=core_workflow.WorkflowNode(sub_workflow_ref=inner))
    request = workflow_request(unique("wf"), [use], [promise("o0", "n0")], output_types={"o0": INTEGER})
    for node in sub_workflows:
        sub = workflow_request("inner", [node(task)], [promise("o0", "m0")], output_types={"o0": INTEGER})
        sub.spec.template.id.CopyFrom(inner)
        request.spec.sub_workflows.append(sub.spec.template)
    return request


def test_sub_workflows(admin):
    request = sub_workflow_request(admin, [lambda task: task_node("m0", task, promise("x"))])
    admin.CreateWorkflow(request)
    closure = admin.GetWorkflow(common_pb2.ObjectGetRequest(id=request.id)).closure.compiled_workflow
    assert list(closure.primary.connections.upstream["end-node"].ids) == ["n0"]
    assert list(closure.sub_workflows[0].connections.upstream["m0"].ids) == ["start-node"]
    with Refused(EXISTS):
        admin.CreateWorkflow(request)


def test_bad_sub_workflows(admin):
    plain = lambda task: task_node("m0", task, promise("x"))
    itself = lambda task: core_workflow.Node(
        id="m0", inputs=[promise("x")],
        workflow_node=core_workflow.WorkflowNode(sub_workflow_ref=identifier(identifier_pb2.WORKFLOW, "inner")))
    for subs, text in (([], "Code: WorkflowReferenceNotFound, Node Id: n0"),
                       ([plain, plain], "failed to get workflow requirements with err Collected Errors: 1\n\tError 0: "
                                        "Code: DuplicateId"),
                       ([itself], "Code: CycleDetected"),
                       ([lambda task: task_node("m0", task)], "Code: ParameterNotBound, Node Id: m0")):
        with Refused(BAD, text):
            admin.CreateWorkflow(sub_workflow_request(admin, subs))


# Launch plans.

def test_expected_inputs(admin):
    task = create_task(admin, unique("task"), template=task_template({"a": INTEGER, "b": INTEGER, "c": STRING}))
    request = workflow_request(unique("wf"), [task_node("n0", task, promise("a"), promise("b"), promise("c"))],
                               inputs={"a": INTEGER, "b": INTEGER, "c": STRING})
    admin.CreateWorkflow(request)
    plan = plan_request(request.id, fixed_inputs={"literals": {"a": integer(1)}}, default_inputs={"parameters": {
        "b": {"var": {"type": INTEGER}, "default": integer(2)}}})
    admin.CreateLaunchPlan(plan)
    got = admin.GetLaunchPlan(common_pb2.ObjectGetRequest(id=plan.id))
    expected = got.closure.expected_inputs.parameters
    assert set(expected) == {"b", "c"}
    assert expected["b"].default == integer(2) and expected["c"].required and expected["c"].var.type == STRING
    assert got.spec.fixed_inputs == plan.spec.fixed_inputs and got.spec.workflow_id == request.id
    assert got.closure.state == launch_plan_pb2.INACTIVE

    with Refused(EXISTS, "launch plan with identical structure already exists"):
        admin.CreateLaunchPlan(plan)
    plan.spec.fixed_inputs.literals["a"].CopyFrom(integer(3))
    with Refused(BAD, "launch plan with different structure already exists", "/fixed_inputs/literals/a"):
        admin.CreateLaunchPlan(plan)


@pytest.mark.parametrize("spec, text", [
    ({"fixed_inputs": {"literals": {"z": integer(1)}}}, "unexpected fixed_input z"),
    ({"fixed_inputs": {"literals": {"x": text("a")}}},
     "invalid fixed_input wrong type x, expected simple:INTEGER, got simple:STRING instead"),
    ({"fixed_inputs": {"literals": {"x": literals_pb2.Literal()}}}, "missing valid literal in fixed_inputs x"),
    ({"default_inputs": {"parameters": {"z": {"var": {"type": INTEGER}, "required": True}}}},
     "unexpected default_input z"),
    ({"default_inputs": {"parameters": {"x": {"var": {"type": STRING}, "required": True}}}},
     "invalid default_input wrong type x"),
    ({"default_inputs": {"parameters": {"x": {"var": {"type": INTEGER}, "default": text("a")}}}},
     "Type mismatch for Parameter x in default_inputs has type simple:INTEGER, expected simple:STRING"),
    ({"default_inputs": {"parameters": {"x": {"var": {"type": INTEGER}}}}},
     "Invalid variable x in default_inputs - variable has neither default, nor is required."),
    ({"entity_metadata": {"schedule": {"cron_schedule": {"schedule": "* * * * *"}}}},
     "Cannot create a launch plan with a schedule if there is an unbound required input. [x] is required"),
    ({"fixed_inputs": {"literals": {"x": integer(1)}},
      "entity_metadata": {"schedule": {"cron_schedule": {"schedule": "* * * * *"}, "kickoff_time_input_arg": "x"}}},
     "Cannot create a schedule with a KickoffTimeInputArg that does not point to a free input. [x] is not free"),
    ({"entity_metadata": {"notifications": [{"phases": [4], "email": {}}]}}, "missing recipients"),
    ({"entity_metadata": {"notifications": [{"phases": [4]}]}}, "invalid value for notification type"),
    ({"entity_metadata": {"notifications": [{"phases": [2], "email": {"recipients_email": ["a@b"]}}]}},
     "invalid value for phase"),
    ({"labels": {"values": {"a b": "c"}}}, "invalid label key [a b]"),
])
def test_bad_launch_plans(admin, some_workflow, spec, text):
    with Refused(BAD, text):
        admin.CreateLaunchPlan(plan_request(some_workflow, unique("lp"), **spec))


@pytest.fixture(scope="module")
def some_workflow(stack):
    return create_workflow(stack.admin)


def test_launch_plan_of_no_workflow(admin):
    with Refused(MISSING, "missing entity of type WORKFLOW"):
        admin.CreateLaunchPlan(plan_request(identifier(identifier_pb2.WORKFLOW, "none")))


def test_activation(admin, some_workflow):
    name = unique("lp")
    plans = [plan_request(some_workflow, name, f"v{i}") for i in range(4)]
    for p in plans:
        admin.CreateLaunchPlan(p)
    active = lambda: admin.GetActiveLaunchPlan(launch_plan_pb2.ActiveLaunchPlanRequest(
        id=common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN, name=name)))
    set_state = lambda p, state: admin.UpdateLaunchPlan(launch_plan_pb2.LaunchPlanUpdateRequest(id=p.id, state=state))
    with Refused(MISSING, f"No active launch plan could be found: {PROJECT}:{DOMAIN}:{name}"):
        active()
    set_state(plans[0], launch_plan_pb2.ACTIVE)
    set_state(plans[1], launch_plan_pb2.ACTIVE)
    assert active().id.version == "v1"
    states = {p.id.version: p.closure.state for p in admin.ListLaunchPlans(list_request(name)).launch_plans}
    assert states == {"v0": 0, "v1": 1, "v2": 0, "v3": 0}
    assert [p.id.version for p in admin.ListLaunchPlans(list_request(name, filters="eq(state,1)")).launch_plans] == ["v1"]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: set_state(plans[i % 4], launch_plan_pb2.ACTIVE), range(40)))
    listed = admin.ListActiveLaunchPlans(launch_plan_pb2.ActiveLaunchPlanListRequest(
        project=PROJECT, domain=DOMAIN, limit=1000)).launch_plans
    assert len([p for p in listed if p.id.name == name]) == 1
    set_state(active(), launch_plan_pb2.INACTIVE)
    with Refused(MISSING):
        active()
    with Refused(MISSING):
        set_state(plan_request(some_workflow, name, "none"), launch_plan_pb2.ACTIVE)


def test_filter_launch_plans_by_workflow(admin, some_workflow):
    name = unique("lp")
    admin.CreateLaunchPlan(plan_request(some_workflow, name))
    found = admin.ListLaunchPlans(list_request(filters=f"eq(workflow.name,{some_workflow.name})"))
    assert name in [p.id.name for p in found.launch_plans]


# Names.

def test_names(admin):
    prefix = unique("names")
    for i in range(3):
        create_task(admin, f"{prefix}.{i}")
    create_task(admin, f"{prefix}.0", "v2")
    names = lambda **more: admin.ListTaskIds(common_pb2.NamedEntityIdentifierListRequest(
        project=PROJECT, domain=DOMAIN, limit=1000, **more))
    assert [e.name for e in names().entities if e.name.startswith(prefix)] == [f"{prefix}.{i}" for i in range(3)]

    id = common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN, name=f"{prefix}.1")
    kind = identifier_pb2.TASK
    admin.UpdateNamedEntity(common_pb2.NamedEntityUpdateRequest(resource_type=kind, id=id, metadata={
        "description": "about it", "state": common_pb2.NAMED_ENTITY_ARCHIVED}))
    got = admin.GetNamedEntity(common_pb2.NamedEntityGetRequest(resource_type=kind, id=id))
    assert (got.metadata.description, got.metadata.state) == ("about it", common_pb2.NAMED_ENTITY_ARCHIVED)
    listed = lambda filters: [e.id.name for e in admin.ListNamedEntities(common_pb2.NamedEntityListRequest(
        resource_type=kind, project=PROJECT, domain=DOMAIN, limit=1000, filters=filters,
        sort_by=common_pb2.Sort(key="name", direction=common_pb2.Sort.ASCENDING))).entities]
    assert listed(f"contains(name,{prefix})+eq(state,0)") == [f"{prefix}.0", f"{prefix}.2"]
    with Refused(MISSING, "missing entity of type WORKFLOW"):
        admin.GetNamedEntity(common_pb2.NamedEntityGetRequest(resource_type=identifier_pb2.WORKFLOW, id=id))


# The rest.

def test_about(stack, admin):
    assert admin.GetVersion(version_pb2.GetVersionRequest()).control_plane_version.Version.startswith("v")
    assert stack.http("/healthcheck").status_code == 200
    assert stack.http("/me").status_code == 501
    assert stack.http("/api/v1/nothing").status_code == 404
    bad = stack.http("/api/v1/tasks", "POST", data="{", headers={"Content-Type": "application/json"})
    assert bad.status_code == 400


def test_register_over_rest(stack):
    name = unique("rest")
    body = {"id": {"resource_type": "TASK", "project": PROJECT, "domain": DOMAIN, "name": name, "version": "v1"},
            "spec": {"template": {"type": "t", "metadata": {}, "interface": {}}}}
    send = lambda: stack.http("/api/v1/tasks", "POST", data=json.dumps(body), headers={"Content-Type": "application/json"})
    assert send().status_code == 200
    again = send()
    assert again.status_code == 409 and "identical" in again.json()["message"]
    assert stack.http(f"/api/v1/task_ids/{PROJECT}/{DOMAIN}?limit=1000").json()["entities"]


def test_serves_without_the_bus(new_stack):
    s = new_stack()
    wait_for(lambda: "connected to the bus" in s.log("admin"), what="the first connection")
    s.stop("nats")
    s.kill("admin")
    listed = wait_for(lambda: answer(lambda: s.admin.ListProjects(project_pb2.ProjectListRequest(limit=10), timeout=60)),
                      what="projects without the bus")
    assert len(listed.projects) == 3
    task = create_task(s.admin, "without.bus")
    assert s.admin.GetTask(common_pb2.ObjectGetRequest(id=task)).id == task
    wait_for(lambda: "the bus is away" in s.log("admin"), what="a line in the log")
    s.start("nats")
    wait_for(lambda: s.log("admin").count("connected to the bus") >= 2, what="a new connection")

"""Executions from creation to their end, their nodes and tasks, data and signed URLs; the materialiser under hand-made events."""
import base64
import hashlib
import itertools
import os
import time

import grpc
import pytest
import requests
from flyteidl.admin import (common_pb2, execution_pb2, launch_plan_pb2, node_execution_pb2, task_execution_pb2, task_pb2,
                            workflow_pb2)
from flyteidl.core import (execution_pb2 as core_execution, identifier_pb2, interface_pb2, literals_pb2, tasks_pb2,
                           types_pb2, workflow_pb2 as core_workflow)
from flyteidl.service import dataproxy_pb2
from google.protobuf import duration_pb2

from stack import wait_for

PROJECT, DOMAIN = "flytesnacks", "development"
INTEGER = types_pb2.LiteralType(simple=types_pb2.INTEGER)
STRING = types_pb2.LiteralType(simple=types_pb2.STRING)
Phase = core_execution.WorkflowExecution
TERMINAL = {Phase.SUCCEEDED, Phase.FAILED, Phase.ABORTED, Phase.TIMED_OUT}
CREATED_ASC = common_pb2.Sort(key="created_at", direction=common_pb2.Sort.ASCENDING)
counter = itertools.count()


def unique(prefix="x"):
    return f"{prefix}{next(counter)}-{time.monotonic_ns()}"


def identifier(kind, name, version="v1"):
    return identifier_pb2.Identifier(resource_type=kind, project=PROJECT, domain=DOMAIN, name=name, version=version)


def execution_id(name):
    return identifier_pb2.WorkflowExecutionIdentifier(project=PROJECT, domain=DOMAIN, name=name)


def integer(i):
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(integer=i)))


def text(s):
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(string_value=s)))


def literals(**values):
    return literals_pb2.LiteralMap(literals=values)


def variables(**types):
    return interface_pb2.VariableMap(variables={k: interface_pb2.Variable(type=t) for k, t in types.items()})


def promise(var, node="", source=None):
    return literals_pb2.Binding(var=var, binding=literals_pb2.BindingData(
        promise=types_pb2.OutputReference(node_id=node, var=source or var)))


def code_of(call, *args):
    with pytest.raises(grpc.RpcError) as e:
        call(*args)
    return e.value.code(), e.value.details()


def create_task(admin, kind="echo", types=None):
    """A task whose outputs are its inputs."""
    types = types or {"x": INTEGER}
    id = identifier(identifier_pb2.TASK, unique("task"))
    template = tasks_pb2.TaskTemplate(
        id=id, type=kind, metadata=tasks_pb2.TaskMetadata(runtime=tasks_pb2.RuntimeMetadata(version="1", type=1)),
        interface=interface_pb2.TypedInterface(inputs=variables(**types), outputs=variables(**types)))
    admin.CreateTask(task_pb2.TaskCreateRequest(id=id, spec=task_pb2.TaskSpec(template=template)))
    return id


def create_plan(admin, nodes=1, kind="echo", types=None, **settings):
    """x -> n0 -> n1 ... -> x, with a launch plan of the same name."""
    types = types or {"x": INTEGER}
    name = unique("wf")
    task = create_task(admin, kind, types)
    node = lambda i: core_workflow.Node(
        id=f"n{i}", metadata=core_workflow.NodeMetadata(name=f"node {i}"),
        inputs=[promise(v, f"n{i - 1}" if i else "") for v in types],
        upstream_node_ids=[f"n{i - 1}"] if i else [], task_node=core_workflow.TaskNode(reference_id=task))
    workflow = identifier(identifier_pb2.WORKFLOW, name)
    admin.CreateWorkflow(workflow_pb2.WorkflowCreateRequest(id=workflow, spec=workflow_pb2.WorkflowSpec(
        template=core_workflow.WorkflowTemplate(
            interface=interface_pb2.TypedInterface(inputs=variables(**types), outputs=variables(**types)),
            nodes=[node(i) for i in range(nodes)], outputs=[promise(v, f"n{nodes - 1}") for v in types]))))
    id = identifier(identifier_pb2.LAUNCH_PLAN, name)
    admin.CreateLaunchPlan(launch_plan_pb2.LaunchPlanCreateRequest(
        id=id, spec=launch_plan_pb2.LaunchPlanSpec(workflow_id=workflow, **settings)))
    return id


def create(admin, reference, name="", inputs=None, **spec):
    spec.setdefault("metadata", execution_pb2.ExecutionMetadata(principal="placeholder"))
    return admin.CreateExecution(execution_pb2.ExecutionCreateRequest(
        project=PROJECT, domain=DOMAIN, name=name, inputs=inputs if inputs is not None else literals(x=integer(7)),
        spec=execution_pb2.ExecutionSpec(launch_plan=reference, **spec))).id


def get(admin, id):
    return admin.GetExecution(execution_pb2.WorkflowExecutionGetRequest(id=id))


def get_data(admin, id):
    return admin.GetExecutionData(execution_pb2.WorkflowExecutionGetDataRequest(id=id))


def finish(admin, id, timeout=60):
    def over():
        x = get(admin, id)
        return x if x.closure.phase in TERMINAL else None
    return wait_for(over, timeout, f"the end of {id.name}")


def list_nodes(admin, id, limit=100, **fields):
    """All pages."""
    found, token = [], ""
    while True:
        page = admin.ListNodeExecutions(node_execution_pb2.NodeExecutionListRequest(
            workflow_execution_id=id, limit=limit, token=token, sort_by=CREATED_ASC, **fields))
        found += page.node_executions
        token = page.token
        if not token:
            return found


# ---- creating ----

@pytest.fixture(scope="module")
def plan(stack):
    return create_plan(stack.admin, nodes=3)


def test_echo_runs_to_its_end(stack, plan):
    id = create(stack.admin, plan)
    assert len(id.name) == 20 and id.name[0] == "a"
    x = finish(stack.admin, id)
    c = x.closure
    assert c.phase == Phase.SUCCEEDED
    assert c.workflow_id.name == plan.name and c.workflow_id.resource_type == identifier_pb2.WORKFLOW
    assert c.created_at.ToNanoseconds() <= c.started_at.ToNanoseconds() <= c.updated_at.ToNanoseconds()
    assert c.updated_at.ToNanoseconds() - c.started_at.ToNanoseconds() == c.duration.ToNanoseconds()
    assert x.spec.launch_plan == plan
    assert x.spec.metadata.system_metadata.namespace == "flytesnacks-development"
    data = get_data(stack.admin, id)
    assert data.full_inputs == literals(x=integer(7)) and data.full_outputs == literals(x=integer(7))


def test_nodes_and_tasks_of_an_execution(stack, plan):
    admin = stack.admin
    id = create(admin, plan)
    finish(admin, id)
    nodes = {n.id.node_id: n for n in list_nodes(admin, id, limit=2)}
    assert {"n0", "n1", "n2"} <= set(nodes)
    for name in ("n0", "n1", "n2"):
        n = nodes[name]
        assert n.metadata.spec_node_id == name and not n.metadata.is_parent_node
        assert n.closure.phase == core_execution.NodeExecution.SUCCEEDED
        assert n.closure.HasField("started_at") and n.closure.HasField("duration")
        data = admin.GetNodeExecutionData(node_execution_pb2.NodeExecutionGetDataRequest(id=n.id))
        assert data.full_inputs == literals(x=integer(7)) and data.full_outputs == literals(x=integer(7))
        assert data.flyte_urls.outputs == f"flyte://v1/{PROJECT}/{DOMAIN}/{id.name}/{name}/o"
        tasks = admin.ListTaskExecutions(task_execution_pb2.TaskExecutionListRequest(
            node_execution_id=n.id, limit=100)).task_executions
        assert len(tasks) == 1 and tasks[0].id.retry_attempt == 0 and tasks[0].closure.task_type == "echo"
        t = admin.GetTaskExecution(task_execution_pb2.TaskExecutionGetRequest(id=tasks[0].id))
        assert t == tasks[0] and t.closure.phase == core_execution.TaskExecution.SUCCEEDED
        data = admin.GetTaskExecutionData(task_execution_pb2.TaskExecutionGetDataRequest(id=t.id))
        assert data.full_outputs == literals(x=integer(7))
    got = admin.GetNodeExecution(node_execution_pb2.NodeExecutionGetRequest(id=nodes["n1"].id))
    assert got == nodes["n1"]
    failed = list_nodes(admin, id, filters="eq(phase,FAILED)")
    assert failed == []


def test_single_task_execution(stack):
    task = create_task(stack.admin)
    id = create(stack.admin, task)
    x = finish(stack.admin, id)
    assert x.closure.phase == Phase.SUCCEEDED
    assert x.spec.launch_plan == task and x.closure.workflow_id.name == f".flytegen.{task.name}"
    assert get_data(stack.admin, id).full_outputs == literals(x=integer(7))
    found = stack.admin.ListExecutions(common_pb2.ResourceListRequest(
        id=common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN), limit=10,
        filters=f"eq(task.name,{task.name})")).executions
    assert [f.id for f in found] == [id]


def test_names(stack, plan):
    name = unique("e")
    assert create(stack.admin, plan, name).name == name
    code, words = code_of(create, stack.admin, plan, name)
    assert code == grpc.StatusCode.ALREADY_EXISTS and name in words
    assert code_of(create, stack.admin, plan, "1-starts-with-digit")[0] == grpc.StatusCode.INVALID_ARGUMENT
    assert "does not match regex" in code_of(create, stack.admin, plan, "under_score")[1]
    assert "exceeded length 63" in code_of(create, stack.admin, plan, "e" * 64)[1]
    longest = (unique("e") + "x" * 63)[:63]
    assert create(stack.admin, plan, longest).name == longest


@pytest.mark.parametrize("inputs, words", [
    (literals(), "expected_inputs x missing"),
    (literals(x=integer(1), y=integer(2)), "invalid input y"),
    (literals(x=text("a")), "invalid x input wrong type. Expected simple:INTEGER, but got simple:STRING"),
])
def test_wrong_inputs(stack, plan, inputs, words):
    code, said = code_of(create, stack.admin, plan, "", inputs)
    assert code == grpc.StatusCode.INVALID_ARGUMENT and said == words


def test_defaults_and_fixed_inputs(stack):
    types = {"a": INTEGER, "b": STRING}
    parameter = interface_pb2.Parameter(var=interface_pb2.Variable(type=INTEGER), default=integer(5))
    plan = create_plan(stack.admin, types=types, fixed_inputs=literals(b=text("fixed")),
                       default_inputs=interface_pb2.ParameterMap(parameters={"a": parameter}))
    id = create(stack.admin, plan, "", literals())
    assert get_data(stack.admin, id).full_inputs == literals(a=integer(5), b=text("fixed"))
    # Echo takes one input only: what it says of that reaches the execution.
    error = finish(stack.admin, id).closure.error
    assert error.code and "more than one input" in error.message
    assert code_of(create, stack.admin, plan, "", literals(b=text("mine")))[0] == grpc.StatusCode.INVALID_ARGUMENT


def test_large_inputs_travel_by_the_store(stack):
    plan = create_plan(stack.admin, types={"s": STRING})
    inputs = literals(s=text("a" * 300_000))
    id = create(stack.admin, plan, "", inputs)
    assert finish(stack.admin, id).closure.phase == Phase.SUCCEEDED
    data = get_data(stack.admin, id)
    assert data.full_inputs == inputs and data.full_outputs == inputs
    assert data.inputs.bytes == inputs.ByteSize()
    assert literals_pb2.LiteralMap.FromString(requests.get(data.inputs.url, timeout=30).content) == inputs
    (uri,) = stack.sql("SELECT inputs_uri FROM admin.executions WHERE name = %s", id.name)[0]
    assert uri.startswith(stack.store) and os.path.exists(uri)


def test_refused_creations(stack, plan):
    missing = identifier(identifier_pb2.LAUNCH_PLAN, "nobody")
    assert code_of(create, stack.admin, missing)[0] == grpc.StatusCode.NOT_FOUND
    workflow = identifier(identifier_pb2.WORKFLOW, plan.name)
    assert "Invalid reference entity resource type" in code_of(create, stack.admin, workflow)[1]
    request = execution_pb2.ExecutionCreateRequest(project=PROJECT, domain="nowhere",
                                                   spec=execution_pb2.ExecutionSpec(launch_plan=plan))
    assert code_of(stack.admin.CreateExecution, request)[0] != grpc.StatusCode.OK
    request = execution_pb2.ExecutionCreateRequest(project=PROJECT, domain=DOMAIN)
    assert code_of(stack.admin.CreateExecution, request) == (grpc.StatusCode.INVALID_ARGUMENT, "missing spec")


# ---- reading, ending ----

def test_missing_execution(stack):
    get_request = execution_pb2.WorkflowExecutionGetRequest(id=execution_id("nobody"))
    code, words = code_of(stack.admin.GetExecution, get_request)
    assert code == grpc.StatusCode.NOT_FOUND and "nobody" in words
    code, words = code_of(stack.admin.GetExecution, execution_pb2.WorkflowExecutionGetRequest())
    assert (code, words) == (grpc.StatusCode.INVALID_ARGUMENT, "missing id")
    node = identifier_pb2.NodeExecutionIdentifier(execution_id=execution_id("nobody"), node_id="n0")
    request = node_execution_pb2.NodeExecutionGetDataRequest(id=node)
    assert code_of(stack.admin.GetNodeExecutionData, request)[0] == grpc.StatusCode.NOT_FOUND


def test_lists_page_and_filter(stack):
    plan = create_plan(stack.admin)
    names = [create(stack.admin, plan).name for _ in range(5)]
    for name in names:
        finish(stack.admin, execution_id(name))
    where = dict(id=common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN), limit=2)
    found, token = [], ""
    while True:
        page = stack.admin.ListExecutions(common_pb2.ResourceListRequest(
            filters=f"eq(launch_plan.name,{plan.name})+value_in(phase,SUCCEEDED;FAILED)", sort_by=CREATED_ASC,
            token=token, **where))
        found += [x.id.name for x in page.executions]
        token = page.token
        if not token:
            break
    assert found == names
    stack.admin.UpdateExecution(execution_pb2.ExecutionUpdateRequest(
        id=execution_id(names[0]), state=execution_pb2.EXECUTION_ARCHIVED))
    assert get(stack.admin, execution_id(names[0])).closure.state_change_details.state == execution_pb2.EXECUTION_ARCHIVED
    for extra, expected in (("", names[1:]), ("+eq(state,1)", names[:1])):
        page = stack.admin.ListExecutions(common_pb2.ResourceListRequest(
            id=where["id"], limit=100, filters=f"eq(workflow.name,{plan.name}){extra}", sort_by=CREATED_ASC))
        assert [x.id.name for x in page.executions] == expected


def test_terminate(stack):
    plan = create_plan(stack.admin, kind="core-sleep", types={"duration": types_pb2.LiteralType(simple=types_pb2.DURATION)})
    wait = literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(
        duration=duration_pb2.Duration(seconds=60))))
    id = create(stack.admin, plan, "", literals(duration=wait))
    stack.admin.TerminateExecution(execution_pb2.ExecutionTerminateRequest(id=id, cause="enough"))
    assert get(stack.admin, id).closure.phase in (Phase.ABORTING, Phase.ABORTED)
    x = finish(stack.admin, id)
    assert x.closure.phase == Phase.ABORTED and x.closure.abort_metadata.cause == "enough"
    again = execution_pb2.ExecutionTerminateRequest(id=id, cause="again")
    code, words = code_of(stack.admin.TerminateExecution, again)
    assert code == grpc.StatusCode.FAILED_PRECONDITION and "already terminated" in words
    assert get(stack.admin, id).closure.abort_metadata.cause == "enough"


def test_rest(stack, plan):
    body = {"project": PROJECT, "domain": DOMAIN, "spec": {"launch_plan": {
        "resource_type": "LAUNCH_PLAN", "project": PROJECT, "domain": DOMAIN, "name": plan.name, "version": "v1"}},
        "inputs": {"literals": {"x": {"scalar": {"primitive": {"integer": "7"}}}}}}
    name = stack.http("/api/v1/executions", "POST", json=body).json()["id"]["name"]
    finish(stack.admin, execution_id(name))
    x = stack.http(f"/api/v1/executions/{PROJECT}/{DOMAIN}/{name}").json()
    assert x["closure"]["phase"] == "SUCCEEDED"
    nodes = stack.http(f"/api/v1/node_executions/{PROJECT}/{DOMAIN}/{name}?limit=10").json()
    assert {"n0", "n1", "n2"} <= {n["id"]["nodeId"] for n in nodes["nodeExecutions"]}


def test_nothing_is_left_in_the_outbox(stack, plan):
    for _ in range(3):
        finish(stack.admin, create(stack.admin, plan))
    wait_for(lambda: stack.sql("SELECT count(*) FROM admin.outbox") == [(0,)], what="an empty outbox")


def test_fan_out_is_visible_quickly(stack):
    name, n = unique("fan"), 2000
    task = create_task(stack.admin)
    workflow = identifier(identifier_pb2.WORKFLOW, name)
    nodes = [core_workflow.Node(id=f"n{i}", inputs=[promise("x")], task_node=core_workflow.TaskNode(reference_id=task))
             for i in range(n)]
    stack.admin.CreateWorkflow(workflow_pb2.WorkflowCreateRequest(id=workflow, spec=workflow_pb2.WorkflowSpec(
        template=core_workflow.WorkflowTemplate(
            interface=interface_pb2.TypedInterface(inputs=variables(x=INTEGER)), nodes=nodes))))
    plan = identifier(identifier_pb2.LAUNCH_PLAN, name)
    stack.admin.CreateLaunchPlan(launch_plan_pb2.LaunchPlanCreateRequest(
        id=plan, spec=launch_plan_pb2.LaunchPlanSpec(workflow_id=workflow)))
    id = create(stack.admin, plan, max_parallelism=n)
    assert finish(stack.admin, id).closure.phase == Phase.SUCCEEDED
    found = list_nodes(stack.admin, id, filters="eq(phase,SUCCEEDED)")
    assert {f"n{i}" for i in range(n)} <= {x.id.node_id for x in found}
    assert len(found) == len({x.id.node_id for x in found})


def test_data_by_flyte_url(stack, plan):
    id = create(stack.admin, plan)
    finish(stack.admin, id)
    base = f"flyte://v1/{PROJECT}/{DOMAIN}/{id.name}/n0"
    ask = lambda url: stack.data_proxy.GetData(dataproxy_pb2.GetDataRequest(flyte_url=url))
    assert ask(f"{base}/o").literal_map == literals(x=integer(7))
    assert ask(f"{base}/i/x").literal == integer(7)
    assert ask(f"{base}/0/o/x").literal == integer(7)
    for wrong, words in ((f"{base}/o/y", "name [y] not found"), (f"{base}/z", "failed to parse"), ("http://x", "prefix"),
                         ("", "empty string"), (f"{base}/0/d", "just use the node")):
        code, said = code_of(ask, wrong)
        assert code == grpc.StatusCode.INVALID_ARGUMENT and words in said
    assert code_of(ask, f"{base}/9/o")[0] == grpc.StatusCode.INVALID_ARGUMENT


# ---- uploads, downloads, logs ----

def upload_location(stack, **fields):
    return stack.data_proxy.CreateUploadLocation(dataproxy_pb2.CreateUploadLocationRequest(
        project=PROJECT, domain=DOMAIN, **fields))


def test_upload_and_download(stack):
    content = os.urandom(200_000)
    md5 = hashlib.md5(content).digest()
    at = upload_location(stack, filename="code.tar.gz", content_md5=md5, add_content_md5_metadata=True)
    assert at.native_url == f"{stack.store}/{PROJECT}/{DOMAIN}/{base64.b32encode(md5).decode()}/code.tar.gz"
    headers = {"Content-MD5": base64.b64encode(md5).decode()}
    other = requests.put(at.signed_url, data=b"other", headers=headers, timeout=10)
    assert other.status_code == 400 and not os.path.exists(at.native_url)
    wrong = {"Content-MD5": base64.b64encode(hashlib.md5(b"other").digest()).decode()}
    assert requests.put(at.signed_url, data=b"other", headers=wrong, timeout=10).status_code == 400
    assert requests.put(at.signed_url, data=b"other", timeout=10).status_code == 400
    assert requests.put(at.signed_url.replace("expires=", "expires=9"), data=content, timeout=10).status_code == 403
    assert requests.get(at.signed_url, timeout=10).status_code == 403
    assert not os.path.exists(at.native_url)
    assert requests.put(at.signed_url, data=content, headers=headers, timeout=10).status_code == 200
    with open(at.native_url, "rb") as f:
        assert f.read() == content
    down = stack.data_proxy.CreateDownloadLocation(dataproxy_pb2.CreateDownloadLocationRequest(native_url=at.native_url))
    assert requests.get(down.signed_url, timeout=10).content == content
    assert requests.put(down.signed_url, data=b"x", timeout=10).status_code == 403


def test_data_frames_never_share_a_place(stack):
    one, two = (upload_location(stack, filename_root="00000") for _ in range(2))
    assert one.native_url != two.native_url
    assert requests.put(one.signed_url, data=b"frame", timeout=10).status_code == 200


def test_a_named_place_is_written_once(stack):
    name = unique("f")
    at = upload_location(stack, filename=name, filename_root="root")
    assert requests.put(at.signed_url, data=b"one", timeout=10).status_code == 200
    again = lambda **fields: upload_location(stack, filename=name, filename_root="root", **fields)
    assert code_of(lambda: again())[0] == grpc.StatusCode.ALREADY_EXISTS
    assert code_of(lambda: again(content_md5=hashlib.md5(b"two").digest()))[0] == grpc.StatusCode.ALREADY_EXISTS
    assert again(content_md5=hashlib.md5(b"one").digest()).native_url == at.native_url


@pytest.mark.parametrize("fields, words", [
    (dict(), "content_md5 or filename_root is a required parameter"),
    (dict(filename="../../x", filename_root="r"), "path segment"),
    (dict(filename="x", filename_root=".."), "path segment"),
    (dict(filename="x", content_md5=b"short"), "expected 16"),
    (dict(filename_root="r", expires_in=duration_pb2.Duration(seconds=7200)), "cannot exceed"),
])
def test_refused_uploads(stack, fields, words):
    code, said = code_of(lambda: upload_location(stack, **fields))
    assert code == grpc.StatusCode.INVALID_ARGUMENT and words in said


def test_downloads_stay_in_the_store(stack):
    for url in ("/etc/passwd", f"{stack.store}/../run/status.json", "s3://bucket/key"):
        request = dataproxy_pb2.CreateDownloadLocationRequest(native_url=url)
        assert code_of(stack.data_proxy.CreateDownloadLocation, request)[0] == grpc.StatusCode.INVALID_ARGUMENT


def test_logs_are_served_and_nothing_else(stack):
    os.makedirs(f"{stack.store}/logs/p/d", exist_ok=True)
    with open(f"{stack.store}/logs/p/d/x.log", "w", encoding="utf-8") as f:
        f.write("hello\n")
    with open(f"{stack.store}/secret", "w", encoding="utf-8") as f:
        f.write("secret\n")
    os.path.lexists(f"{stack.store}/logs/link") or os.symlink("/etc/passwd", f"{stack.store}/logs/link")
    answer = stack.http("/logs/p/d/x.log")
    assert answer.text == "hello\n" and answer.headers["Content-Type"].startswith("text/plain")
    for path in ("/logs/%2e%2e/secret", "/logs/p/%2e%2e/%2e%2e/secret", "/logs/link", "/logs/", "/logs/none"):
        answer = requests.Session().send(requests.Request("GET", stack.http_base + path).prepare(), timeout=30)
        assert answer.status_code in (400, 403, 404) and "root:" not in answer.text, path

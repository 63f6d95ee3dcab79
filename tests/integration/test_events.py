"""Events by API: another engine reports an execution while propeller is away, is refused what does not follow, and is not spoilt by
propeller when it comes back."""
import concurrent.futures
import time

import grpc
import pytest
from flyteidl.admin import event_pb2, execution_pb2, node_execution_pb2, task_execution_pb2
from flyteidl.core import execution_pb2 as core_execution, identifier_pb2
from flyteidl.event import event_pb2 as events
from google.protobuf import timestamp_pb2

from stack import wait_for
from test_executions import Phase, create, create_plan, create_task, execution_id, get, get_data, integer, literals, unique

Node, Task = core_execution.NodeExecution, core_execution.TaskExecution
START = 1_700_000_000


@pytest.fixture(scope="module")
def alone():
    """A stack whose propeller is away."""
    from stack import Stack
    with Stack() as s:
        s.up().stop("propeller")
        yield s


def at(seconds):
    return timestamp_pb2.Timestamp(seconds=START + seconds)


def node_id(x, node="n0"):
    return identifier_pb2.NodeExecutionIdentifier(node_id=node, execution_id=x)


def say(admin, x, phase, seconds=0, **more):
    admin.CreateWorkflowEvent(event_pb2.WorkflowExecutionEventRequest(request_id="r", event=events.WorkflowExecutionEvent(
        execution_id=x, producer_id=more.pop("producer_id", "propeller"), phase=phase, occurred_at=at(seconds), **more)))


def say_node(admin, x, phase, seconds=0, node="n0", **more):
    admin.CreateNodeEvent(event_pb2.NodeExecutionEventRequest(request_id="r", event=events.NodeExecutionEvent(
        id=node_id(x, node), phase=phase, occurred_at=at(seconds), **more)))


def say_task(admin, x, task, phase, seconds=0, version=0, node="n0", attempt=0, **more):
    admin.CreateTaskEvent(event_pb2.TaskExecutionEventRequest(request_id="r", event=events.TaskExecutionEvent(
        task_id=task, parent_node_execution_id=node_id(x, node), retry_attempt=attempt, phase=phase, phase_version=version,
        occurred_at=at(seconds), **more)))


def refused(call, *args, **kwargs):
    """Code, text and what the details say of the state, if anything."""
    with pytest.raises(grpc.RpcError) as e:
        call(*args, **kwargs)
    details = dict(e.value.trailing_metadata()).get("grpc-status-details-bin", b"")
    return e.value.code().name, e.value.details(), details


def get_node(admin, x, node="n0"):
    return admin.GetNodeExecution(node_execution_pb2.NodeExecutionGetRequest(id=node_id(x, node)))


def test_a_run_by_another_engine(alone):
    admin = alone.admin
    plan, task = create_plan(admin), create_task(admin)
    x = create(admin, plan, unique("foreign"))
    say(admin, x, Phase.QUEUED, 0)
    say(admin, x, Phase.QUEUED, 0)
    say(admin, x, Phase.RUNNING, 1)
    say_node(admin, x, Node.QUEUED, 2, input_uri="s3://b/in")
    say_node(admin, x, Node.RUNNING, 3, is_dynamic=True)
    say_task(admin, x, task, Task.QUEUED, 4, task_type="echo", reason="waits")
    say_task(admin, x, task, Task.RUNNING, 5)
    say_task(admin, x, task, Task.RUNNING, 6, version=1, reason="works")
    say_task(admin, x, task, Task.SUCCEEDED, 8, output_uri="s3://b/out")
    say_node(admin, x, Node.SUCCEEDED, 9, output_uri="s3://b/out")
    say(admin, x, Phase.SUCCEEDED, 11, output_data=literals(x=integer(8)))

    closure = get(admin, x).closure
    assert (closure.phase, closure.started_at, closure.updated_at) == (Phase.SUCCEEDED, at(1), at(11))
    assert closure.duration.seconds == 10
    assert get_data(admin, x).full_outputs == literals(x=integer(8))
    node = get_node(admin, x)
    assert (node.closure.phase, node.input_uri, node.closure.output_uri) == (Node.SUCCEEDED, "s3://b/in", "s3://b/out")
    assert (node.closure.created_at, node.closure.started_at, node.closure.duration.seconds) == (at(2), at(3), 6)
    assert node.metadata.is_dynamic
    [t] = admin.ListTaskExecutions(task_execution_pb2.TaskExecutionListRequest(
        node_execution_id=node_id(x), limit=10)).task_executions
    assert (t.closure.phase, t.closure.started_at, t.closure.duration.seconds) == (Task.SUCCEEDED, at(5), 3)
    assert [r.message for r in t.closure.reasons] == ["waits", "works"]
    assert t.closure.task_type == "echo"


def test_what_does_not_follow(alone):
    admin = alone.admin
    task = create_task(admin)
    x = create(admin, create_plan(admin), unique("order"))
    name = f'project:"flytesnacks" domain:"development" name:"{x.name}"'
    say(admin, x, Phase.RUNNING)
    assert refused(say, admin, x, Phase.RUNNING)[:2] == (
        "ALREADY_EXISTS", f"This phase RUNNING was already recorded for workflow execution {name}")
    assert refused(say, admin, x, Phase.QUEUED)[:2] == (
        "FAILED_PRECONDITION", f"Cannot go from RUNNING to QUEUED for workflow execution {name}")
    assert refused(say_task, admin, x, task, Task.RUNNING)[:2] == (
        "NOT_FOUND",
        f'Failed to get existing node execution id: [node_id:"n0" execution_id:{{{name}}}] with err: entry not found')
    say_node(admin, x, Node.RUNNING)
    assert refused(say_node, admin, x, Node.RUNNING)[0] == "ALREADY_EXISTS"
    say_node(admin, x, Node.QUEUED)
    assert get_node(admin, x).closure.phase == Node.QUEUED
    say_task(admin, x, task, Task.RUNNING, version=2)
    for version in (0, 2):
        code, text, _ = refused(say_task, admin, x, task, Task.RUNNING, version=version)
        assert code == "ALREADY_EXISTS"
        assert text.startswith(f"have already recorded task execution phase RUNNING (version: {version}) for task_id:{{")
    say_task(admin, x, task, Task.RUNNING, version=3)
    say_task(admin, x, task, Task.FAILED, error=core_execution.ExecutionError(code="E", message="no"))
    code, text, details = refused(say_task, admin, x, task, Task.RUNNING, version=9)
    assert (code, text[:63]) == ("FAILED_PRECONDITION", "invalid phase change from FAILED to RUNNING for task execution ")
    assert b"flyteidl.admin.EventFailureReason" in details and b"RUNNING" in details
    say_node(admin, x, Node.FAILED, error=core_execution.ExecutionError(code="E", message="no"))
    code, text, details = refused(say_node, admin, x, Node.RUNNING)
    assert (code, text[:61]) == ("FAILED_PRECONDITION", "Invalid phase change from FAILED to RUNNING for node executio")
    assert b"EventFailureReason" in details
    assert refused(say_node, admin, x, Node.FAILED)[0] == "ALREADY_EXISTS"
    say(admin, x, Phase.FAILED, error=core_execution.ExecutionError(code="E", message="no", kind=1))
    assert refused(say, admin, x, Phase.FAILED)[0] == "ALREADY_EXISTS"
    code, text, details = refused(say, admin, x, Phase.QUEUED)
    assert (code, text) == ("FAILED_PRECONDITION", f"Invalid phase change from FAILED to QUEUED for workflow execution {name}")
    assert b"FAILED" in details
    assert get(admin, x).closure.error.code == "E"
    rows = alone.sql("SELECT error_kind, error_code FROM admin.executions WHERE name = %s", x.name)
    assert rows == [("USER", "E")]


def test_what_ends_stays_ended_while_it_is_aborted(alone):
    admin = alone.admin
    x = create(admin, create_plan(admin), unique("abort"))
    admin.TerminateExecution(execution_pb2.ExecutionTerminateRequest(id=x, cause="enough"))
    code, text, _ = refused(say, admin, x, Phase.RUNNING)
    assert (code, text[:43]) == ("FAILED_PRECONDITION", "Invalid phase change from aborting to RUNNI")
    say(admin, x, Phase.ABORTED)
    closure = get(admin, x).closure
    assert (closure.phase, closure.abort_metadata.cause) == (Phase.ABORTED, "enough")


def test_clusters(alone):
    admin = alone.admin
    x = create(admin, create_plan(admin), unique("cluster"))
    code, text, details = refused(say, admin, x, Phase.RUNNING, producer_id="east")
    assert (code, text) == ("FAILED_PRECONDITION",
                            "Cluster/producer from event [east] does not match existing workflow execution clusterInDB: []")
    assert b"east" in details
    say(admin, x, Phase.QUEUED, producer_id="east")
    assert get(admin, x).spec.metadata.system_metadata.execution_cluster == "east"
    say(admin, x, Phase.RUNNING, producer_id="east")
    assert refused(say_node, admin, x, Node.RUNNING, producer_id="west")[0] == "FAILED_PRECONDITION"
    say_node(admin, x, Node.RUNNING, producer_id="east")
    say(admin, x, Phase.SUCCEEDED)


def test_parents_and_children_must_be_there(alone):
    admin = alone.admin
    x = create(admin, create_plan(admin), unique("tree"))
    task = create_task(admin)
    below = events.ParentNodeExecutionMetadata(node_id="n0")
    code, text, _ = refused(say_node, admin, x, Node.RUNNING, node="n0-0-n1", parent_node_metadata=below)
    assert code == "NOT_FOUND" and text.startswith('missing entity of type node execution with identifier node_id:"n0"')
    say_node(admin, x, Node.RUNNING)
    say_node(admin, x, Node.RUNNING, node="n0-0-n1", parent_node_metadata=below)
    made = events.ParentTaskExecutionMetadata(id=identifier_pb2.TaskExecutionIdentifier(
        task_id=task, node_execution_id=node_id(x), retry_attempt=0))
    code, text, _ = refused(say_node, admin, x, Node.RUNNING, node="made", parent_task_metadata=made)
    assert code == "NOT_FOUND" and text.startswith("missing entity of type task execution with identifier task_id:{")
    say_task(admin, x, task, Task.RUNNING)
    say_node(admin, x, Node.RUNNING, node="made", parent_task_metadata=made)
    child = events.WorkflowNodeMetadata(execution_id=execution_id("nobody"))
    code, text, _ = refused(say_node, admin, x, Node.SUCCEEDED, workflow_node_metadata=child)
    assert code == "NOT_FOUND" and 'name:"nobody"' in text
    child = events.WorkflowNodeMetadata(execution_id=x)
    say_node(admin, x, Node.SUCCEEDED, workflow_node_metadata=child)
    assert get_node(admin, x).closure.workflow_node_metadata.executionId == x
    listed = admin.ListNodeExecutions(node_execution_pb2.NodeExecutionListRequest(
        workflow_execution_id=x, unique_parent_id="n0", limit=9)).node_executions
    assert [n.id.node_id for n in listed] == ["n0-0-n1"]
    listed = admin.ListNodeExecutionsForTask(node_execution_pb2.NodeExecutionForTaskListRequest(
        task_execution_id=made.id, limit=9)).node_executions
    assert [n.id.node_id for n in listed] == ["made"]
    say(admin, x, Phase.ABORTED)


def test_hostile_events(alone):
    admin = alone.admin
    x = create(admin, create_plan(admin), unique("bad"))
    task = create_task(admin)
    for seconds in (-(1 << 62), 1 << 60):
        event = events.WorkflowExecutionEvent(execution_id=x, phase=Phase.RUNNING,
                                              occurred_at=timestamp_pb2.Timestamp(seconds=seconds))
        code, text, _ = refused(admin.CreateWorkflowEvent, event_pb2.WorkflowExecutionEventRequest(event=event))
        assert code == "INVALID_ARGUMENT" and "out of range" in text
    assert refused(say, admin, x, 77)[0] == "INVALID_ARGUMENT"
    assert refused(say_node, admin, x, Node.RUNNING, node="n" * 5000)[0] == "INVALID_ARGUMENT"
    say_node(admin, x, Node.RUNNING)
    assert refused(say_task, admin, x, task, Task.RUNNING, attempt=(1 << 32) - 1)[0] == "INVALID_ARGUMENT"
    task.resource_type = identifier_pb2.WORKFLOW
    assert refused(say_task, admin, x, task, Task.RUNNING)[0] == "INVALID_ARGUMENT"


def test_the_same_event_from_many_at_once(alone):
    admin = alone.admin
    x = create(admin, create_plan(admin), unique("many"))
    task = create_task(admin)
    say_node(admin, x, Node.RUNNING)

    def answer(call):
        try:
            call()
        except grpc.RpcError as e:
            return e.code().name
        return "OK"

    calls = [lambda: say(admin, x, Phase.RUNNING)] * 16 + [lambda: say_task(admin, x, task, Task.RUNNING)] * 16
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(answer, calls))
    for said in (answers[:16], answers[16:]):
        assert sorted(said) == ["ALREADY_EXISTS"] * 15 + ["OK"]


def test_details_by_rest(alone):
    admin = alone.admin
    x = create(admin, create_plan(admin), unique("rest"))
    say(admin, x, Phase.SUCCEEDED)
    event = {"execution_id": {"project": x.project, "domain": x.domain, "name": x.name}, "phase": "RUNNING",
             "occurred_at": "2026-11-21T00:00:00Z"}
    r = alone.http("/api/v1/events/workflows", "POST", json={"event": event})
    assert r.status_code == 400
    assert r.json()["details"] == [{"@type": "type.googleapis.com/flyteidl.admin.EventFailureReason",
                                    "already_in_terminal_state": {"current_phase": "SUCCEEDED"}}]


def test_propeller_gives_up_what_was_ended(alone):
    """Last: propeller comes back, and leaves what ended as it is; what nobody ended it runs."""
    admin = alone.admin
    ended = create(admin, create_plan(admin, kind="core-sleep"), unique("ended"))
    begun = create(admin, create_plan(admin), unique("begun"))
    say(admin, ended, Phase.RUNNING)
    say_node(admin, ended, Node.RUNNING)
    say(admin, ended, Phase.SUCCEEDED, 5)
    say(admin, begun, Phase.RUNNING)
    say_node(admin, begun, Node.QUEUED, input_uri="s3://told/by/api")
    alone.start("propeller")
    alone.wait_ready("propeller")
    wait_for(lambda: get(admin, begun).closure.phase == Phase.SUCCEEDED, 60, "the begun one ends")
    assert get_node(admin, begun).input_uri == "s3://told/by/api"
    keys = [k for k, in alone.sql("SELECT key FROM admin.executions")]
    wait_for(lambda: alone.sql("SELECT count(*) FROM admin.outbox WHERE abs(key) = ANY(%s)", keys) == [(0,)], 60, "outbox empty")
    time.sleep(1)
    closure = get(admin, ended).closure
    assert (closure.phase, closure.updated_at) == (Phase.SUCCEEDED, at(5))

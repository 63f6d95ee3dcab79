"""Executions that come from others: children of a node and whom their end is told to, depth, relaunches."""
import grpc
import pytest
from flyteidl.admin import event_pb2 as admin_event, execution_pb2
from flyteidl.core import execution_pb2 as core_execution, identifier_pb2
from flyteidl.event import event_pb2
from google.protobuf import timestamp_pb2

from stack import wait_for
from test_executions import create, create_plan, execution_id, get, get_data, integer, literals, text, finish
from test_materialiser import Execution, bus, fields, plan, quiet_stack, workflow_event  # noqa: F401
from test_signals import refused

Phase = core_execution.WorkflowExecution
Mode = execution_pb2.ExecutionMetadata


def child_of(parent, node="n0", **more):
    return execution_pb2.ExecutionMetadata(
        mode=Mode.CHILD_WORKFLOW, principal="nobody",
        parent_node_execution=identifier_pb2.NodeExecutionIdentifier(execution_id=parent, node_id=node), **more)


class Child(Execution):
    def __init__(self, stack, bus, plan, parent):  # noqa: F811
        self.stack, self.bus = stack, bus
        self.id = create(stack.admin, plan, metadata=child_of(parent.id))
        self.find()


def commands(stack, execution, kind):
    rows = stack.sql("SELECT payload FROM admin.outbox WHERE key = %s ORDER BY id", -execution.key)
    found = [dict(fields(bytes(r[0]))) for r in rows]
    return [dict(fields(c[kind])) for c in found if kind in c]


@pytest.fixture
def parent(quiet_stack, bus, plan):  # noqa: F811
    return Execution(quiet_stack, bus, plan)


def test_parent_hears_of_success(quiet_stack, bus, plan, parent):  # noqa: F811
    child = Child(quiet_stack, bus, plan, parent)
    metadata = get(quiet_stack.admin, child.id).spec.metadata
    assert (metadata.nesting, metadata.mode) == (1, Mode.CHILD_WORKFLOW)
    assert metadata.principal == get(quiet_stack.admin, parent.id).spec.metadata.principal
    outputs = literals(x=integer(5))
    child.send(child.record(1, workflow_event(Phase.RUNNING)),
               child.record(2, workflow_event(Phase.SUCCEEDED, 2, output_data=outputs)))
    child.wait_confirmed(2)
    assert not commands(quiet_stack, parent, 6)  # not over yet
    child.send(child.record(3, last=True), child.record(3, last=True))
    wait_for(lambda: commands(quiet_stack, parent, 6))
    (said,) = commands(quiet_stack, parent, 6)
    assert said == {2: child.id.SerializeToString(), 3: Phase.SUCCEEDED, 4: outputs.SerializeToString()}


def test_parent_hears_of_an_end_by_api(quiet_stack, bus, plan, parent):  # noqa: F811
    """And propeller is told to let go of the child."""
    child = Child(quiet_stack, bus, plan, parent)
    outputs = literals(x=integer(5))
    event = event_pb2.WorkflowExecutionEvent(execution_id=child.id, phase=Phase.SUCCEEDED, output_data=outputs,
                                             occurred_at=timestamp_pb2.Timestamp(seconds=1_700_000_000))
    quiet_stack.admin.CreateWorkflowEvent(admin_event.WorkflowExecutionEventRequest(event=event))
    (said,) = commands(quiet_stack, parent, 6)
    assert said == {2: child.id.SerializeToString(), 3: Phase.SUCCEEDED, 4: outputs.SerializeToString()}
    rows = quiet_stack.sql("SELECT payload FROM admin.outbox WHERE key = %s", -child.key)
    assert len(rows) == 1 and b"reported by API" in bytes(rows[0][0])


def test_parent_hears_of_failure(quiet_stack, bus, plan, parent):  # noqa: F811
    child = Child(quiet_stack, bus, plan, parent)
    error = core_execution.ExecutionError(code="Broken", message="it broke", kind=core_execution.ExecutionError.USER)
    child.send(child.record(1, workflow_event(Phase.FAILED, error=error), last=True))
    wait_for(lambda: commands(quiet_stack, parent, 6))
    (said,) = commands(quiet_stack, parent, 6)
    assert said[3] == Phase.FAILED and said[6] == error.SerializeToString()
    # What a parent that is over was to hear is forgotten.
    parent.send(parent.record(1, workflow_event(Phase.ABORTED, error=error), last=True))
    parent.wait_confirmed(1)
    assert not commands(quiet_stack, parent, 6)
    late = Child(quiet_stack, bus, plan, parent)
    late.send(late.record(1, workflow_event(Phase.SUCCEEDED), last=True))
    late.wait_confirmed(1)
    assert not commands(quiet_stack, parent, 6)


def test_depth(quiet_stack, plan):  # noqa: F811
    admin = quiet_stack.admin
    id = create(admin, plan)
    for depth in range(1, 51):
        id = create(admin, plan, metadata=child_of(id))
    assert get(admin, id).spec.metadata.nesting == 50
    with pytest.raises(grpc.RpcError) as e:
        create(admin, plan, metadata=child_of(id))
    assert e.value.code() == grpc.StatusCode.FAILED_PRECONDITION and "flyteadmin.maxNesting" in e.value.details()
    with pytest.raises(grpc.RpcError) as e:
        create(admin, plan, metadata=child_of(execution_id("nobody")))
    assert e.value.code() == grpc.StatusCode.NOT_FOUND and "nobody" in e.value.details()


# ---- relaunch ----

def relaunch(admin, id, **more):
    return admin.RelaunchExecution(execution_pb2.ExecutionRelaunchRequest(id=id, **more)).id


def test_relaunch(stack):
    plan_id = create_plan(stack.admin)  # noqa: F811
    first = create(stack.admin, plan_id, inputs=literals(x=integer(41)))
    again = relaunch(stack.admin, first, name="again-" + first.name, overwrite_cache=True)
    assert again.name == "again-" + first.name
    finish(stack.admin, again)
    got = get(stack.admin, again)
    assert got.closure.phase == Phase.SUCCEEDED and got.spec.overwrite_cache
    assert (got.spec.metadata.mode, got.spec.metadata.reference_execution) == (Mode.RELAUNCH, first)
    assert get_data(stack.admin, again).full_outputs == literals(x=integer(41))
    refused(grpc.StatusCode.ALREADY_EXISTS, again.name, stack.admin.RelaunchExecution,
            execution_pb2.ExecutionRelaunchRequest(id=first, name=again.name))
    refused(grpc.StatusCode.NOT_FOUND, "nobody", stack.admin.RelaunchExecution,
            execution_pb2.ExecutionRelaunchRequest(id=execution_id("nobody")))


def test_relaunch_large_inputs(stack):
    from flyteidl.core import types_pb2
    plan_id = create_plan(stack.admin, types={"x": types_pb2.LiteralType(simple=types_pb2.STRING)})  # noqa: F811
    inputs = literals(x=text("y" * 300_000))
    first = create(stack.admin, plan_id, inputs=inputs)
    again = relaunch(stack.admin, relaunch(stack.admin, first))
    finish(stack.admin, again)
    assert get_data(stack.admin, again).full_outputs == inputs


def test_relaunch_fixed_inputs(stack):
    """Fixed inputs cannot be given; those of the first run are merged in anew."""
    from flyteidl.core import types_pb2
    integer_type = types_pb2.LiteralType(simple=types_pb2.INTEGER)
    plan_id = create_plan(stack.admin, types={"a": integer_type, "b": integer_type}, fixed_inputs=literals(b=integer(2)))
    first = create(stack.admin, plan_id, inputs=literals(a=integer(1)))
    again = relaunch(stack.admin, first)
    assert get_data(stack.admin, again).full_inputs == literals(a=integer(1), b=integer(2))

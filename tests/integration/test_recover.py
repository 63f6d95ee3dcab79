"""RecoverExecution: what it refuses, what it copies, and that nothing that is done runs again."""
import grpc
from flyteidl.admin import execution_pb2
from flyteidl.core import execution_pb2 as core_execution, identifier_pb2, literals_pb2, types_pb2
from google.protobuf import duration_pb2

from stack import wait_for
from test_executions import (create, create_plan, execution_id, finish, get, get_data, integer, list_nodes, literals,
                             text, unique)
from test_signals import refused

Phase, Node = core_execution.WorkflowExecution, core_execution.NodeExecution
Mode = execution_pb2.ExecutionMetadata


def recover(admin, id, **more):
    return admin.RecoverExecution(execution_pb2.ExecutionRecoverRequest(id=id, **more)).id


def phases(admin, id):
    return {n.id.node_id: n.closure.phase for n in list_nodes(admin, id)}


def test_refused(stack):
    id = create(stack.admin, create_plan(stack.admin))
    finish(stack.admin, id)
    request = execution_pb2.ExecutionRecoverRequest
    refused(grpc.StatusCode.NOT_FOUND, "nobody", stack.admin.RecoverExecution, request(id=execution_id("nobody")))
    refused(grpc.StatusCode.INVALID_ARGUMENT, "missing", stack.admin.RecoverExecution, request())
    refused(grpc.StatusCode.ALREADY_EXISTS, id.name, stack.admin.RecoverExecution, request(id=id, name=id.name))


def test_all_done(stack):
    admin = stack.admin
    first = create(admin, create_plan(admin, nodes=450), inputs=literals(x=integer(3)))  # several pages
    finish(admin, first)
    name = unique("again")
    again = recover(admin, first, name=name)
    assert again.name == name
    got = finish(admin, again)
    assert got.closure.phase == Phase.SUCCEEDED
    assert (got.spec.metadata.mode, got.spec.metadata.reference_execution) == (Mode.RECOVERED, first)
    assert get_data(admin, again).full_outputs == literals(x=integer(3))
    found = phases(admin, again)
    assert {p for n, p in found.items() if n not in ("start-node", "end-node")} == {Node.RECOVERED}
    assert len(found) == 452
    # And that one again.
    assert finish(admin, recover(admin, again)).closure.phase == Phase.SUCCEEDED


def test_large_values(stack):
    """Echo's events do not tell them: such nodes run again."""
    admin = stack.admin
    plan = create_plan(admin, nodes=3, types={"x": types_pb2.LiteralType(simple=types_pb2.STRING)})
    inputs = literals(x=text("y" * 300_000))
    first = create(admin, plan, inputs=inputs)
    finish(admin, first)
    again = recover(admin, first)
    assert finish(admin, again).closure.phase == Phase.SUCCEEDED
    assert get_data(admin, again).full_outputs == inputs


def sleeper(admin):
    """An execution whose only node sleeps."""
    plan = create_plan(admin, nodes=1, kind="core-sleep",
                       types={"x": types_pb2.LiteralType(simple=types_pb2.DURATION)})
    day = literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(
        duration=duration_pb2.Duration(seconds=86400))))
    id = create(admin, plan, inputs=literals(x=day))
    wait_for(lambda: phases(admin, id).get("n0") == Node.RUNNING)
    return id


def abort(admin, id):
    admin.TerminateExecution(execution_pb2.ExecutionTerminateRequest(id=id, cause="enough"))
    assert finish(admin, id, 60).closure.phase == Phase.ABORTED


def test_one_that_runs(stack):
    """As flyteadmin, which does not look at the phase: what is done by now is taken over."""
    first = sleeper(stack.admin)
    again = recover(stack.admin, first)
    wait_for(lambda: phases(stack.admin, again).get("n0") == Node.RUNNING)
    for id in (first, again):
        abort(stack.admin, id)


def test_as_a_child(stack):
    """Propeller recovers what launch plan nodes launched, in the name of the new node."""
    admin = stack.admin
    plan = create_plan(admin)
    parent, first = create(admin, plan), create(admin, plan)
    finish(admin, parent)
    finish(admin, first)
    node = identifier_pb2.NodeExecutionIdentifier(execution_id=parent, node_id="n0")
    again = recover(admin, first, metadata=execution_pb2.ExecutionMetadata(parent_node_execution=node))
    metadata = finish(admin, again).spec.metadata
    assert (metadata.parent_node_execution, metadata.nesting, metadata.mode) == (node, 1, Mode.RECOVERED)
    # It is kept when it is recovered by hand.
    assert finish(admin, recover(admin, again)).spec.metadata.parent_node_execution == node


def test_after_a_crash(new_stack):
    """The journal only names what is recovered: it is read again."""
    stack = new_stack()
    first = sleeper(stack.admin)
    again = recover(stack.admin, first)
    wait_for(lambda: phases(stack.admin, again).get("n0") == Node.RUNNING)
    stack.kill("propeller")
    abort(stack.admin, again)
    abort(stack.admin, first)

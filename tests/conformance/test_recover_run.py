"""Executions that are recovered: what was finished does not run again, wherever it lies."""
import collections
import os
import uuid

import grpc
import pytest
from flytekit.models.core.execution import NodeExecutionPhase

import recover
from flyte_client import phase

RECOVERED = NodeExecutionPhase.RECOVERED


def ran(directory):
    """How often which task ran since the last time."""
    path = os.path.join(directory, "ran")
    with open(path) as f:
        count = collections.Counter(f.read().split())
    os.unlink(path)
    return count


def recovered(client, execution):
    name = "r" + uuid.uuid4().hex[:12]
    client.remote.client.recover_execution(execution.id, name)
    return client.wait(client.remote.fetch_execution(name=name))


def tree(client, execution):
    """Node executions by their unique ids, through all levels."""
    found, todo = {}, [None]
    while todo:
        parent = todo.pop()
        listed, _ = client.remote.client.list_node_executions(execution.id, unique_parent_id=parent)
        for n in listed:
            found[n.id.node_id] = n
            if n.metadata.is_parent_node:
                todo.append(n.id.node_id)
    return found


@pytest.fixture
def directory(tmp_path):
    os.chmod(tmp_path, 0o777)
    return str(tmp_path)


def test_everything_twice(client, directory):
    first = client.run(client.register("recover", "everything"), {"d": directory, "n": 1})
    assert phase(first) == "FAILED"
    assert ran(directory) == collections.Counter(
        ["first", "nested", "leaf", "leaf", "in-branch", "in-branch", "grow", "grown", "grown-fragile", "grow-well",
         "grown-well", "item-1", "item-2", "item-3", "item-4", "resumed"])

    again = recovered(client, first)
    assert phase(again) == "FAILED"
    assert again.spec.metadata.reference_execution == first.id
    assert ran(directory) == collections.Counter(
        ["in-branch", "in-branch", "grown-fragile", "item-4", "resumed"])

    open(os.path.join(directory, "go"), "w").close()
    last = recovered(client, again)
    assert phase(last) == "SUCCEEDED", last.closure.error
    assert ran(directory) == collections.Counter(["in-branch", "in-branch", "grown-fragile", "item-4", "resumed"])
    outputs = [last.outputs[f"o{i}"] for i in range(7)]
    assert outputs == [3, 5, 4, 3, [10, 20, 30, 40], 4, "half done"]

    nothing = recovered(client, last)
    assert phase(nothing) == "SUCCEEDED"
    assert not os.path.exists(os.path.join(directory, "ran"))
    assert [nothing.outputs[f"o{i}"] for i in range(7)] == outputs
    nodes = tree(client, nothing)
    assert {n.closure.phase for id, n in nodes.items() if id not in ("start-node", "end-node")} == {RECOVERED}


def test_of_nobody(client):
    first = client.run(client.register("recover", "leaf"), {"d": "/nowhere", "n": 1})
    id = first.id.to_flyte_idl()
    id.name = "nobody"
    from flyteidl.admin import execution_pb2
    with pytest.raises(grpc.RpcError) as e:
        client.stack.admin.RecoverExecution(execution_pb2.ExecutionRecoverRequest(id=id))
    assert e.value.code() == grpc.StatusCode.NOT_FOUND

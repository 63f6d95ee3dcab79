"""What clients read of an execution: the whole tree of nodes, by FlyteRemote and by the API, for every kind of node
inside others."""
import pytest
from flyteidl.admin import execution_pb2 as admin_execution, node_execution_pb2, task_execution_pb2
from flyteidl.core import execution_pb2
from flyteidl.event import event_pb2

import tree
from flyte_client import Client, phase
from stack import Stack

Phase = execution_pb2.NodeExecution
TaskPhase = execution_pb2.TaskExecution

# By the ids in the workflows: flags (parent, dynamic, array), inputs, outputs. Starts and ends are left out.
EXPECTED = {
    "n0": ("P", {".n": 2}, {"o0": 5}),
    "n0/n0-n0": ("PD", {"n": 2}, {"o0": 5}),
    "n0/n0-n0/dn0": ("P", {"n": 2}, {"o0": 5}),
    "n0/n0-n0/dn0/dn0": ("", {"n": 2}, {"o0": 4}),
    "n0/n0-n0/dn0/dn1": ("", {"a": 4, "b": 1}, {"o0": 5}),
    "n1": ("P", {"n": 3}, {"o0": 7, "o1": 6}),
    "n1/n0": ("P", {"n": 3}, {"o0": 7}),
    "n1/n0/n0": ("", {"n": 3}, {"o0": 6}),
    "n1/n0/n1": ("", {"a": 6, "b": 1}, {"o0": 7}),
    "n1/n1": ("P", {"n": 3}, {"o0": 6}),
    "n1/n1/n0": ("P", {".n": 3}, {"o0": 6}),
    "n1/n1/n0/n0-n1": ("", {"n": 3}, {"o0": 6}),
    "n2": ("PD", {"n": 4}, {"o0": 26, "o1": [4, 5], "o2": 9}),
    "n2/dn0": ("P", {"n": 4}, {"o0": 9, "o1": 8}),
    "n2/dn0/dn0": ("P", {"n": 4}, {"o0": 9}),
    "n2/dn0/dn0/dn0": ("", {"n": 4}, {"o0": 8}),
    "n2/dn0/dn0/dn1": ("", {"a": 8, "b": 1}, {"o0": 9}),
    "n2/dn0/dn1": ("P", {"n": 4}, {"o0": 8}),
    "n2/dn0/dn1/dn0": ("P", {".n": 4}, {"o0": 8}),
    "n2/dn0/dn1/dn0/dn0-dn1": ("", {"n": 4}, {"o0": 8}),
    "n2/dn1": ("PD", {"n": 8}, {"o0": 17}),
    "n2/dn1/dn0": ("P", {"n": 8}, {"o0": 17}),
    "n2/dn1/dn0/dn0": ("", {"n": 8}, {"o0": 16}),
    "n2/dn1/dn0/dn1": ("", {"a": 16, "b": 1}, {"o0": 17}),
    "n2/dn2": ("", {"a": 9, "b": 17}, {"o0": 26}),
    "n2/dn3": ("", {"n": 2}, {"o0": [0, 1]}),
    "n2/dn4": ("A", {"a": [0, 1], "b": 4}, {"o0": [4, 5]}),
    "n2/dn5": ("", {"n": 4}, {"o0": 9}),
    "n3": ("", {}, {}),
    "n4": ("", {"n": 7}, {"o0": 14}),
    "n5": ("", {"a": 26, "b": 14}, {"o0": 40}),
    "n6": ("", {"n": 2}, {"o0": 5}),
}
SKIPPED = {"n0/n0-n1", "n1/n1/n0/n0-n0", "n2/dn0/dn1/dn0/dn0-dn0"}


def value(literal):
    if literal.HasField("collection"):
        return [value(x) for x in literal.collection.literals]
    return literal.scalar.primitive.integer


def values(literals):
    return {k: value(v) for k, v in literals.literals.items()}


@pytest.fixture(scope="module")
def execution(client):
    execution = client.run(client.register("tree", "tree"), {"n": 2}, seconds=400)
    assert phase(execution) == "SUCCEEDED", execution.closure.error
    return execution


@pytest.fixture(scope="module")
def found(client, execution):
    """Path of ids in workflows -> NodeExecution."""
    admin, nodes = client.stack.admin, {}

    def walk(parent, prefix):
        listed = admin.ListNodeExecutions(node_execution_pb2.NodeExecutionListRequest(
            workflow_execution_id=execution.id.to_flyte_idl(), limit=100, unique_parent_id=parent)).node_executions
        for n in listed:
            path = prefix + n.metadata.spec_node_id
            assert path not in nodes
            nodes[path] = n
            if n.metadata.is_parent_node:
                walk(n.id.node_id, path + "/")

    walk("", "")
    return nodes


def flags(n):
    m = n.metadata
    return "P" * m.is_parent_node + "D" * m.is_dynamic + "A" * m.is_array


def test_nodes(client, found):
    inner = {k: n for k, n in found.items() if not k.endswith(("start-node", "end-node"))}
    assert {k for k, n in inner.items() if n.closure.phase == Phase.SKIPPED} == SKIPPED
    assert set(inner) == set(EXPECTED) | SKIPPED
    for path, (expected_flags, inputs, outputs) in EXPECTED.items():
        n = inner[path]
        data = client.stack.admin.GetNodeExecutionData(
            node_execution_pb2.NodeExecutionGetDataRequest(id=n.id))
        assert (path, flags(n), n.closure.phase) == (path, expected_flags, Phase.SUCCEEDED)
        assert (path, values(data.full_inputs), values(data.full_outputs)) == (path, inputs, outputs)
        assert n.metadata.retry_group == ("0" if "/" in path else "")
        c = n.closure
        assert c.created_at.ToNanoseconds() <= c.started_at.ToNanoseconds() <= c.updated_at.ToNanoseconds()
        assert c.duration.ToNanoseconds() == c.updated_at.ToNanoseconds() - c.started_at.ToNanoseconds()
        assert bool(data.dynamic_workflow.compiled_workflow.primary.template.nodes) == ("D" in expected_flags)


def test_starts_and_ends(client, found):
    """Every workflow has both; they show what was given to it and what it gave."""
    parents = {""} | {k + "/" for k, (f, _, _) in EXPECTED.items() if "P" in f and ".n" not in EXPECTED[k][1]}
    for p in parents:
        start, end = found[p + "start-node"], found[p + "end-node"]
        assert (start.closure.phase, end.closure.phase) == (Phase.SUCCEEDED, Phase.SUCCEEDED)
        data = [client.stack.admin.GetNodeExecutionData(node_execution_pb2.NodeExecutionGetDataRequest(id=n.id))
                for n in (start, end)]
        if p:
            assert (p, values(data[1].full_outputs)) == (p, EXPECTED[p[:-1]][2])
        if p and "D" not in EXPECTED[p[:-1]][0]:
            assert (p, values(data[0].full_outputs)) == (p, EXPECTED[p[:-1]][1])


def test_unique_ids(found):
    """A node's id begins with its parent's and the attempt, or is a hash of that, with at most 20 letters."""
    for path, n in found.items():
        parent = found[path.rpartition("/")[0]].id.node_id if "/" in path else None
        long = f"{parent}-0-{n.metadata.spec_node_id}" if parent else n.metadata.spec_node_id
        assert n.id.node_id == long if len(long) <= 20 else n.id.node_id.startswith("f") and len(n.id.node_id) == 8


def test_task_executions(client, execution, found):
    def tasks(path):
        return client.stack.admin.ListTaskExecutions(task_execution_pb2.TaskExecutionListRequest(
            node_execution_id=found[path].id, limit=10)).task_executions

    [plain] = tasks("n4")
    m = plain.closure.metadata
    assert (plain.id.task_id.name, plain.closure.phase) == ("tree.double", TaskPhase.SUCCEEDED)
    assert m.generated_name == f"{execution.id.name}-n4-0" and m.plugin_identifier == "container"
    assert m.instance_class == event_pb2.TaskExecutionMetadata.DEFAULT
    assert plain.closure.task_type == "python-task" and plain.closure.reasons[0].message == "task submitted"
    assert plain.input_uri == found["n4"].input_uri and plain.closure.output_uri == found["n4"].closure.output_uri
    assert plain.input_uri.endswith("/n4/data/inputs.pb") and plain.closure.output_uri.endswith("/n4/data/0/outputs.pb")
    [grow] = tasks("n2")
    assert grow.id.task_id.name == "tree.grow" and grow.closure.phase == TaskPhase.SUCCEEDED
    [array] = tasks("n2/dn4")
    resources = array.closure.metadata.external_resources
    assert [(r.index, r.phase, r.retry_attempt) for r in resources] == [
        (0, TaskPhase.SUCCEEDED, 0), (1, TaskPhase.SUCCEEDED, 0)]
    assert [r.external_id.rpartition("-n2-0-dn4-0-")[2] for r in resources] == ["n0-0", "n1-0"]
    assert all(log.name.endswith(f"-{r.index}") for r in resources for log in r.logs)
    assert array.closure.task_type == "container_array"
    assert not tasks("n1") and not tasks("n6") and not tasks("n3")


def metrics(client, execution, depth):
    return client.stack.admin.GetExecutionMetrics(admin_execution.WorkflowExecutionGetMetricsRequest(
        id=execution.id.to_flyte_idl(), depth=depth)).span


def shape(span):
    """An operation's name, or what kind of span with the shapes of those below."""
    kind = span.WhichOneof("id")
    return span.operation_id if kind == "operation_id" else (kind[0], *map(shape, span.spans))


def test_spans(client, execution, found):
    """Where the time went: every node that ran has a span, whose parts have no holes."""
    seen, shapes, ids = set(), {}, {n.id.node_id: path for path, n in found.items()}

    def walk(span):
        kind = span.WhichOneof("id")
        if kind == "node_id" and span.node_id.execution_id.name == execution.id.name:
            seen.add(ids[span.node_id.node_id])
            shapes[ids[span.node_id.node_id]] = shape(span)
        for below in span.spans:
            walk(below)
            assert below.end_time.ToNanoseconds() >= below.start_time.ToNanoseconds()
        if kind == "task_id":
            times = [t.ToNanoseconds() for s in span.spans for t in (s.start_time, s.end_time)]
            assert times[1:-1:2] == times[2::2] and times[0] == span.start_time.ToNanoseconds()

    root = metrics(client, execution, -1)
    walk(root)
    assert seen == set(EXPECTED)
    assert root.workflow_id.name == execution.id.name
    assert (shape(root)[1], shape(root)[-1]) == ("WORKFLOW_SETUP", "WORKFLOW_TEARDOWN")
    task = ("t", "TASK_SETUP", "TASK_RUNTIME", "TASK_TEARDOWN")
    plain = ("NODE_TRANSITION", "NODE_SETUP", task, "NODE_TEARDOWN")
    assert shapes["n4"] == ("n", *plain)
    assert shapes["n3"] == ("n", "NODE_TRANSITION", "NODE_SETUP", "NODE_IDLE", "NODE_TEARDOWN")
    assert shapes["n0"] == ("n", "NODE_TRANSITION", "NODE_SETUP", shapes["n0/n0-n0"], "NODE_TEARDOWN")
    leaf = ("n", *plain)
    assert shapes["n1/n0"] == ("n", "NODE_TRANSITION", "NODE_SETUP", leaf, leaf, "NODE_TEARDOWN")
    assert shapes["n0/n0-n0"] == ("n", "NODE_SETUP", task, "NODE_RESET", shapes["n0/n0-n0/dn0"], "NODE_TEARDOWN")
    child = ("w", "WORKFLOW_SETUP", leaf, leaf, "WORKFLOW_TEARDOWN")
    assert shapes["n6"] == ("n", "NODE_TRANSITION", "NODE_SETUP", child, "NODE_TEARDOWN")


def test_depth_of_spans(client, execution):
    assert shape(metrics(client, execution, 0)) == ("w",)
    one = shape(metrics(client, execution, 1))
    assert one == ("w", "WORKFLOW_SETUP", *[("n", "NODE_TRANSITION")] * 7, "WORKFLOW_TEARDOWN")
    two = {n.node_id.node_id: shape(n) for n in metrics(client, execution, 2).spans if n.WhichOneof("id") == "node_id"}
    assert two["n4"] == ("n", "NODE_TRANSITION", "NODE_SETUP", "NODE_TEARDOWN")
    assert two["n0"] == ("n", "NODE_TRANSITION", "NODE_SETUP", ("n",), "NODE_TEARDOWN")
    assert two["n1"] == ("n", "NODE_TRANSITION", "NODE_SETUP", *[("n", "NODE_TRANSITION")] * 2, "NODE_TEARDOWN")
    assert two["n6"] == ("n", "NODE_TRANSITION", "NODE_SETUP", ("w",), "NODE_TEARDOWN")


def resolved(literals):
    return {k: value(v.to_flyte_idl()) for k, v in literals.literals.items()}


def synced(node_executions, prefix=""):
    """What FlyteRemote made of it, by the same paths."""
    for n in node_executions.values():
        path = prefix + n.metadata.spec_node_id
        yield path, n
        yield from synced(n.subworkflow_node_executions, path + "/")


def test_flyte_remote(execution):
    """flytekit leaves out what is inside branches and gates' values; all else is rebuilt."""
    nodes = dict(synced(execution.node_executions))
    left_out = {p for p in EXPECTED if any(".n" in EXPECTED[q][1] and p.startswith(q + "/") for q in EXPECTED)}
    assert set(EXPECTED) - left_out <= set(nodes)
    for path, n in nodes.items():
        if path not in EXPECTED or path == "n3" or ".n" in EXPECTED[path][1]:
            continue
        _, inputs, outputs = EXPECTED[path]
        assert (path, resolved(n.inputs), resolved(n.outputs)) == (path, inputs, outputs)
    for path in ("n6", "n2/dn5"):
        [child] = nodes[path].workflow_executions
        assert phase(child) == "SUCCEEDED" and set(child.node_executions) >= {"n0", "n1"}
        assert child.spec.metadata.parent_node_execution.node_id == nodes[path].id.node_id
    assert [t.closure.phase for t in nodes["n2/dn4"].task_executions] == [TaskPhase.SUCCEEDED]


def test_recursion_without_end():
    """Who launches itself again and again is stopped at a depth, and every one of them fails."""
    with Stack(env={"ALULA_FLYTEADMIN_MAXNESTING": "2"}) as stack:
        client = Client(stack.up())
        execution = client.run(client.register("tree", "endless", version="endless"), {"n": 1}, seconds=300)
        assert phase(execution) == "FAILED"
        assert "flyteadmin.maxNesting" in execution.closure.error.message
        listed, _ = client.remote.client.list_executions_paginated("flytesnacks", "development", limit=10)
        assert len(listed) == 3

"""What tasks should not leave: graphs that are none, values of other types, garbage. The node fails with Flyte's code and
says why; an execution beside it that began before and ends after all this is untouched."""
import os

import bad as flows
import pytest
from flyteidl.admin.common_pb2 import ObjectGetRequest
from flyteidl.core import condition_pb2, dynamic_job_pb2, errors_pb2, identifier_pb2, literals_pb2, types_pb2, workflow_pb2
from flytekit.exceptions.user import FlyteEntityNotExistException

from stack import wait_for
from suite import USER, case, fails, runs_fixture

runs = runs_fixture(flows)
INTEGER = types_pb2.LiteralType(simple=types_pb2.INTEGER)
BUILD_FAILED = "DynamicWorkflowBuildFailed"


@pytest.fixture(scope="module", autouse=True)
def healthy(client, runs):
    execution = runs.start(flows.healthy, {"n": 7})
    yield execution
    wait_for(lambda: client.remote.list_signals(execution.id.name), 60)
    client.remote.set_input("go", execution.id.name, 5)
    runs.finish(case(flows.healthy, outputs={"o0": 7, "o1": 5}), execution)
    assert (client.stack.restarts("admin"), client.stack.restarts("propeller")) == (0, 0)


# What is left.

@pytest.fixture(scope="module")
def templates(client, runs):
    """The tasks as they were registered, by name."""
    def get(name):
        id = identifier_pb2.Identifier(resource_type=identifier_pb2.TASK, project="flytesnacks", domain="development",
                                       name=name, version=runs.version)
        return client.stack.admin.GetTask(ObjectGetRequest(id=id)).closure.compiled_task.template
    return {name: get(name) for name in ("bad.leaves_it", "leaves.integer", "leaves.text")}


def scalar(value):
    primitive = literals_pb2.Primitive(**{"integer" if isinstance(value, int) else "string_value": value})
    return literals_pb2.Scalar(primitive=primitive)


def bind(var, value):
    """A binding to a constant, or to ("node", "output")."""
    if isinstance(value, tuple):
        data = literals_pb2.BindingData(promise=types_pb2.OutputReference(node_id=value[0], var=value[1]))
    else:
        data = literals_pb2.BindingData(scalar=scalar(value))
    return literals_pb2.Binding(var=var, binding=data)


def literals(**values):
    return literals_pb2.LiteralMap(literals={k: literals_pb2.Literal(scalar=scalar(v)) for k, v in values.items()})


class Graph:
    def __init__(self, templates):
        self.templates = templates
        self.spec = dynamic_job_pb2.DynamicJobSpec(tasks=[templates["leaves.integer"], templates["leaves.text"]])

    def node(self, id, task="leaves.integer", upstream=(), **inputs):
        n = workflow_pb2.Node(id=id, inputs=[bind(k, v) for k, v in inputs.items()], upstream_node_ids=upstream)
        n.task_node.reference_id.CopyFrom(self.templates[task].id)
        return n

    def add(self, *nodes):
        self.spec.nodes.extend(nodes)
        return self

    def gives(self, value):
        self.spec.outputs.append(bind("o0", value))
        return self

    def bytes(self):
        return self.spec.SerializeToString()


def fine(g):
    return g.add(g.node("a", v=4), g.node("b", v=("a", "o0"))).gives(("b", "o0")).bytes()


def cycle(g):
    return g.add(g.node("first", v=1), g.node("a", upstream=["first"], v=("b", "o0")),
                 g.node("b", v=("a", "o0"))).gives(("a", "o0")).bytes()


def cycle_by_itself(g):
    """Nothing leads to it."""
    return g.add(g.node("a", v=("b", "o0")), g.node("b", v=("a", "o0"))).gives(("a", "o0")).bytes()


def self_cycle(g):
    return g.add(g.node("a", v=("a", "o0"))).gives(("a", "o0")).bytes()


def cycle_without_data(g):
    return g.add(g.node("first", v=1), g.node("a", upstream=["first", "b"], v=1),
                 g.node("b", upstream=["a"], v=1)).gives(("a", "o0")).bytes()


def mistyped(g):
    return g.add(g.node("a", "leaves.text", v="x"), g.node("b", v=("a", "o0"))).gives(("b", "o0")).bytes()


def mistyped_output(g):
    return g.add(g.node("a", "leaves.text", v="x")).gives(("a", "o0")).bytes()


def unbound_input(g):
    return g.add(g.node("a")).gives(("a", "o0")).bytes()


def unbound_output(g):
    return g.add(g.node("a", v=1)).bytes()


def unknown_upstream(g):
    return g.add(g.node("a", v=("nobody", "o0"))).gives(("a", "o0")).bytes()


def unknown_output(g):
    return g.add(g.node("a", v=1)).gives(("a", "other")).bytes()


def unknown_task(g):
    n = g.node("a", v=1)
    n.task_node.reference_id.name = "bad.unknown"
    return g.add(n).gives(("a", "o0")).bytes()


def unknown_launch_plan(g):
    n = workflow_pb2.Node(id="a", inputs=[bind("v", 1)])
    n.workflow_node.launchplan_ref.CopyFrom(identifier_pb2.Identifier(
        resource_type=identifier_pb2.LAUNCH_PLAN, project="flytesnacks", domain="development", name="bad.no_such_plan",
        version="1"))
    return g.add(n).gives(("a", "o0")).bytes()


def unknown_workflow(g):
    n = workflow_pb2.Node(id="a", inputs=[bind("v", 1)])
    n.workflow_node.sub_workflow_ref.CopyFrom(identifier_pb2.Identifier(
        resource_type=identifier_pb2.WORKFLOW, project="flytesnacks", domain="development", name="bad.no_such_workflow",
        version="1"))
    return g.add(n).gives(("a", "o0")).bytes()


def workflow_of_itself(g):
    """A sub-workflow whose node is the sub-workflow."""
    id = identifier_pb2.Identifier(resource_type=identifier_pb2.WORKFLOW, project="flytesnacks", domain="development",
                                   name="bad.itself", version="1")
    inner = workflow_pb2.Node(id="n0")
    inner.workflow_node.sub_workflow_ref.CopyFrom(id)
    outer = workflow_pb2.Node(id="a")
    outer.workflow_node.sub_workflow_ref.CopyFrom(id)
    sub = g.spec.subworkflows.add(id=id, nodes=[inner], outputs=[bind("o0", ("n0", "o0"))])
    sub.interface.outputs.variables["o0"].type.CopyFrom(INTEGER)
    return g.add(outer).gives(("a", "o0")).bytes()


def twice_the_same_id(g):
    return g.add(g.node("a", v=1), g.node("a", v=2)).gives(("a", "o0")).bytes()


def no_id(g):
    return g.add(g.node("", v=1)).gives(1).bytes()


def no_target(g):
    return g.add(workflow_pb2.Node(id="a")).gives(1).bytes()


def no_nodes(g):
    return g.gives(3).bytes()


def map_over_a_number(g):
    n = workflow_pb2.Node(id="a", inputs=[bind("v", 5)])
    n.array_node.node.CopyFrom(g.node("item"))
    return g.add(n).gives(1).bytes()


def branch(g, otherwise=None):
    n = workflow_pb2.Node(id="a", inputs=[bind("x", 5)])
    block = n.branch_node.if_else.case
    block.condition.comparison.CopyFrom(condition_pb2.ComparisonExpression(
        operator=condition_pb2.ComparisonExpression.EQ, left_value=condition_pb2.Operand(var="x"),
        right_value=condition_pb2.Operand(primitive=literals_pb2.Primitive(integer=6))))
    block.then_node.CopyFrom(g.node("b", v=1))
    if otherwise is not None:
        n.branch_node.if_else.error.message = otherwise
        n.branch_node.if_else.error.SetInParent()
    return n


def no_other_case(g):
    return g.add(branch(g)).gives(("a", "o0")).bytes()


def no_case_matches(g):
    """A default that says nothing."""
    return g.add(branch(g, "")).gives(("a", "o0")).bytes()


def condition_on_nothing(g):
    n = branch(g, "else")
    n.branch_node.if_else.case.condition.comparison.left_value.var = "nobody"
    return g.add(n).gives(("a", "o0")).bytes()


def other_types_compared(g):
    n = branch(g, "else")
    n.branch_node.if_else.case.condition.comparison.right_value.primitive.string_value = "6"
    return g.add(n).gives(("a", "o0")).bytes()


def field(number, data):
    """As bytes: protobuf's own library refuses to nest so deep."""
    length, n = b"", len(data)
    while True:
        length += bytes([n & 127 | (128 if n > 127 else 0)])
        n >>= 7
        if not n:
            return bytes([number << 3 | 2]) + length + data


def deep_constant(g):
    """A list in a list, 200 deep, for the input of a node."""
    data = literals_pb2.BindingData(scalar=scalar(1)).SerializeToString()
    for _ in range(200):
        data = field(2, field(1, data))
    binding = field(1, b"v") + field(2, data)
    node = g.node("a").SerializeToString() + field(3, binding)
    return g.gives(1).bytes() + field(1, node)


GRAPHS = {f.__name__: (f, code, parts) for f, code, *parts in [
    (cycle, BUILD_FAILED, "malformed dynamic workflow", "CycleDetected", "a>b"),
    (cycle_by_itself, BUILD_FAILED, "Code: UnreachableNodes", "[a,b]"),
    (self_cycle, BUILD_FAILED, "Code: UnreachableNodes", "[a]"),
    (cycle_without_data, BUILD_FAILED, "CycleDetected", "a>b"),
    (mistyped, BUILD_FAILED, "Code: MismatchingTypes, Node Id: b"),
    (mistyped_output, BUILD_FAILED, "Code: MismatchingTypes, Node Id: end-node"),
    (unbound_input, BUILD_FAILED, "Code: ParameterNotBound, Node Id: a", "[v]"),
    (unbound_output, BUILD_FAILED, "Code: ParameterNotBound, Node Id: end-node", "[o0]"),
    (unknown_upstream, BUILD_FAILED, "nobody"),
    (unknown_output, BUILD_FAILED, "[other]"),
    (unknown_task, BUILD_FAILED, "TaskReferenceNotFound", "bad.unknown"),
    (unknown_launch_plan, BUILD_FAILED, "bad.no_such_plan"),
    (unknown_workflow, BUILD_FAILED, "WorkflowReferenceNotFound", "bad.no_such_workflow"),
    (workflow_of_itself, None, "bad.itself"),
    (twice_the_same_id, BUILD_FAILED, "Code: DuplicateId, Node Id: a"),
    (no_id, BUILD_FAILED, ""),
    (no_target, BUILD_FAILED, "a"),
    (no_nodes, BUILD_FAILED, "NoNodesFound"),
    (map_over_a_number, "InvalidArrayLength", "no input array provided"),
    (no_other_case, BUILD_FAILED, "Code: BranchNodeHasNoDefault, Node Id: a"),
    (no_case_matches, "UserProvidedError", "[UserProvidedError]"),
    (condition_on_nothing, BUILD_FAILED, "nobody"),
    (other_types_compared, BUILD_FAILED, "MismatchingTypes", "Node Id: a"),
    (deep_constant, BUILD_FAILED, "futures.pb"),
]}


def write(directory, **files):
    """`directory` with name.pb of each file."""
    directory.mkdir(exist_ok=True)
    for name, data in files.items():
        (directory / f"{name}.pb").write_bytes(data if isinstance(data, bytes) else data.SerializeToString())
    return str(directory)


def crafted(runs, directory, workflow=flows.crafted):
    return runs.start(workflow, {"directory": directory})


@pytest.fixture(scope="module")
def started(runs, templates, tmp_path_factory):
    """All graphs at once."""
    return {name: crafted(runs, write(tmp_path_factory.mktemp(name), futures=make(Graph(templates))))
            for name, (make, *_) in GRAPHS.items()}


@pytest.mark.parametrize("graph", GRAPHS)
def test_graph(runs, started, graph):
    _, code, parts = GRAPHS[graph]
    runs.finish(fails(flows.crafted, {}, code, *parts, kind=USER), started[graph])


def test_a_graph_as_it_should_be(runs, templates, tmp_path):
    directory = write(tmp_path, futures=fine(Graph(templates)))
    runs.finish(case(flows.crafted, outputs={"o0": 4}, tree="""
        n0 SUCCEEDED
          a SUCCEEDED
          b SUCCEEDED
        n1 SUCCEEDED"""), crafted(runs, directory))


# Files that are none.

GARBAGE = {"text": b"this is no message", "ones": b"\xff" * 64, "cut": b"\x12\x80\x80\x80\x80\x08abc",
           "wire-type": b"\x0f\x0f\x0f", "utf-8": b"\x0a\x07\x0a\x03\xff\xfe\xfd\x12\x00"}


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("file, code", [("futures", BUILD_FAILED), ("outputs", "OutputsUnreadable"), ("error", None)])
def test_garbage(runs, tmp_path, file, code, garbage):
    execution = crafted(runs, write(tmp_path, **{file: GARBAGE[garbage]}))
    runs.finish(fails(flows.crafted, {}, code, f"{file}.pb", tree="n0 FAILED"), execution)


def test_an_empty_graph(runs, tmp_path):
    """An empty file is a message: of no nodes."""
    runs.finish(fails(flows.crafted, {}, BUILD_FAILED, "NoNodesFound", kind=USER),
                crafted(runs, write(tmp_path, futures=b"")))


def test_an_empty_error(runs, tmp_path):
    """The task failed, and does not say how."""
    runs.finish(fails(flows.crafted, {}, None, tree="n0 FAILED"), crafted(runs, write(tmp_path, error=b"")))


def test_an_error_counts_most_and_a_graph_more_than_outputs(runs, templates, tmp_path):
    """error.pb, then futures.pb, then outputs.pb."""
    error = errors_pb2.ErrorDocument(error=errors_pb2.ContainerError(code="Mine", message="my own fault"))
    graph = fine(Graph(templates))
    one = crafted(runs, write(tmp_path / "one", error=error, futures=graph, outputs=literals(o0=9)))
    two = crafted(runs, write(tmp_path / "two", futures=graph, outputs=literals(o0=9)))
    runs.finish(fails(flows.crafted, {}, "Mine", "my own fault"), one)
    runs.finish(case(flows.crafted, outputs={"o0": 4}), two)


def test_outputs_of_another_type(runs, tmp_path):
    """Flyte does not compare types of what a task gives; who maps over a number finds no list."""
    execution = crafted(runs, write(tmp_path, outputs=literals(o0=3)), flows.crafted_and_mapped)
    runs.finish(fails(flows.crafted_and_mapped, {}, "InvalidArrayLength", "no input array provided", kind=USER,
                      tree="n0 SUCCEEDED\nn1 FAILED"), execution)


def test_outputs_of_another_name(runs, tmp_path):
    execution = crafted(runs, write(tmp_path, outputs=literals(o1=3)))
    runs.finish(fails(flows.crafted, {}, None, "o0"), execution)


@pytest.mark.parametrize("id", ["../../../../evil", "/evil", "a/b", "a" * 5000, "start-node", "end-node", "a\nb", "..", "."])
def test_names_of_nodes_are_no_paths(client, runs, templates, tmp_path, id):
    """Nothing is read or written outside of the execution's own directory; whatever else becomes of it."""
    g = Graph(templates)
    g.spec.tasks.append(templates["bad.leaves_it"])
    inner = write(tmp_path / "inner", outputs=literals(o0=6))
    futures = g.add(g.node(id, "bad.leaves_it", directory=inner)).gives((id, "o0")).bytes()
    execution = crafted(runs, write(tmp_path / "outer", futures=futures))
    closure = runs.wait(execution)
    assert closure.phase in (4, 6), closure
    evil = [os.path.join(at, n) for at, names, files in os.walk(client.stack.directory) for n in [*names, *files]
            if "evil" in n and execution.id.name not in at]
    assert not evil


# Without end.

def test_a_task_that_makes_itself(runs, templates, tmp_path):
    """A dynamic task whose graph has the same task, which finds the same graph."""
    g = Graph(templates)
    g.spec.tasks.append(templates["bad.leaves_it"])
    futures = g.add(g.node("a", "bad.leaves_it", directory=str(tmp_path))).gives(("a", "o0")).bytes()
    execution = crafted(runs, write(tmp_path, futures=futures))
    runs.finish(fails(flows.crafted, {}, None, "nest deeper", kind=USER), execution)


def test_a_launch_plan_that_launches_itself(runs, tmp_path):
    """The graph of a task is the launch plan of the workflow that has the task."""
    n = workflow_pb2.Node(id="a")
    n.workflow_node.launchplan_ref.CopyFrom(identifier_pb2.Identifier(
        resource_type=identifier_pb2.LAUNCH_PLAN, project="flytesnacks", domain="development", name="bad.crafted",
        version=runs.version))
    n.inputs.append(bind("directory", str(tmp_path)))
    spec = dynamic_job_pb2.DynamicJobSpec(nodes=[n], outputs=[bind("o0", ("a", "o0"))])
    execution = crafted(runs, write(tmp_path, futures=spec))
    runs.finish(fails(flows.crafted, {}, None, "maxNesting", kind=USER, tree="""
        n0 FAILED
          a FAILED"""), execution)


# Signals.

def test_a_signal_for_an_execution_that_is_not_there(client):
    with pytest.raises(FlyteEntityNotExistException) as refused:
        client.remote.approve("go", "no-such-execution")
    assert "no-such-execution" in refused.value.__cause__.details()

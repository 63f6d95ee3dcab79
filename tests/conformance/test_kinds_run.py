"""flytekit's workflows of every kind of node, run to their end: values, failures, and the tree of nodes."""
import kinds
import pytest
from flytekit.models.core.execution import NodeExecutionPhase

from flyte_client import nodes, phase
from stack import wait_for


def registered(client, workflow):
    return client.register("kinds", workflow.name.rpartition(".")[2])


@pytest.mark.parametrize("workflow, inputs", [
    (kinds.branches, {"n": 101}),
    (kinds.branches, {"n": 20}),
    (kinds.nested_branches, {"x": 0.6, "n": 4}),
    (kinds.nested_branches, {"x": 0.3, "n": 3}),
    (kinds.nested_branches, {"x": 0.05, "n": 3}),
    (kinds.inner_most, {"n": 5}),
    (kinds.branch_of_workflows, {"n": 3}),
    (kinds.outer, {"n": 4}),
], ids=str)
def test_value_is_python_s(client, workflow, inputs):
    execution = client.succeed(registered(client, workflow), inputs)
    assert execution.outputs["o0"] == workflow(**inputs)


def test_void_branch(client):
    execution = client.succeed(registered(client, kinds.void_branch), {"n": 1, "s": "yes"})
    assert nodes(execution)["n0"].closure.phase == NodeExecutionPhase.SUCCEEDED


def test_no_case_matches(client):
    execution = client.run(registered(client, kinds.branches), {"n": 5})
    assert phase(execution) == "FAILED"
    assert "too small" in execution.closure.error.message


def test_launch_plans_run_as_children(client):
    execution = client.succeed(client.register("kinds", "two_plans"), {"n": 20})
    # 20 -> branches 400; middle(400, m=4): 400 -> 1200 -> 3600, branches(3600) = 7200
    assert (execution.outputs["o0"], execution.outputs["o1"]) == (3600, 7200)
    [first, _] = [n for n in execution.node_executions.values() if n.closure.workflow_node_metadata]
    child = client.remote.fetch_execution(name=first.closure.workflow_node_metadata.execution_id.name)
    assert phase(child) == "SUCCEEDED"
    assert child.spec.metadata.nesting == 1
    assert child.spec.metadata.parent_node_execution.execution_id == execution.id


def test_a_child_s_failure_is_the_parent_s(client):
    execution = client.run(registered(client, kinds.plans), {"n": 20})
    assert phase(execution) == "FAILED"
    assert "too small" in execution.closure.error.message


def test_abort_reaches_children(client):
    execution = client.start(client.register("kinds", "long_child"), {"n": 1})
    children = lambda: [n for n in client.remote.client.list_node_executions(execution.id)[0]
                        if n.closure.workflow_node_metadata]
    wait_for(children, 30)
    name = children()[0].closure.workflow_node_metadata.execution_id.name
    client.remote.terminate(execution, "enough")
    client.wait(execution)
    child = client.wait(client.remote.fetch_execution(name=name))
    assert (phase(execution), phase(child)) == ("ABORTED", "ABORTED")


def test_dynamic(client):
    execution = client.succeed(client.register("kinds", "dynamic_sum"), {"n": 3})
    assert execution.outputs["o0"] == 0 + 6 + 12


def test_dynamic_with_a_launch_plan_that_is_not_there(client):
    execution = client.run(registered(client, kinds.dynamics), {"n": 2})
    assert phase(execution) == "FAILED"
    assert "kinds.fixed_inner" in execution.closure.error.message


def test_gates(client):
    execution = client.start(registered(client, kinds.gates), {"n": 4})
    signals = lambda: {s.id.signal_id for s in client.remote.list_signals(execution.id.name)}
    wait_for(lambda: signals() == {"looks-good", "name"}, 60)
    client.remote.set_signal("looks-good", execution.id.name, True)
    client.remote.set_signal("name", execution.id.name, "Ada")
    execution = client.wait(execution)
    assert phase(execution) == "SUCCEEDED", execution.closure.error
    assert (execution.outputs["o0"], execution.outputs["o1"]) == (16, "Ada")


def test_a_rejected_gate_fails(client):
    execution = client.start(registered(client, kinds.gates), {"n": 4})
    wait_for(lambda: len(client.remote.list_signals(execution.id.name)) == 2, 60)
    client.remote.set_signal("looks-good", execution.id.name, False)
    execution = client.wait(execution)
    assert phase(execution) == "FAILED" and "reject" in execution.closure.error.message


def test_failure_node_runs(client):
    execution = client.run(client.register("kinds", "breaks"), {"n": 4})
    assert phase(execution) == "FAILED"
    assert "on purpose" in execution.closure.error.message
    assert nodes(execution)["fn0"].closure.phase == NodeExecutionPhase.SUCCEEDED


def test_maps(client):
    execution = client.succeed(registered(client, kinds.maps), {"n": 5, "xs": [1, 2, 3, 4]})
    assert execution.outputs["o0"] == 20
    assert execution.outputs["o1"] == [4, 16, 36, 64]
    assert execution.outputs["o2"] == [10, 7, 8]
    assert any(n.metadata.is_array for n in client.remote.client.list_node_executions(execution.id)[0])


def test_a_map_over_nothing(client):
    execution = client.succeed(registered(client, kinds.map_in_branch), {"n": 2, "xs": []})
    assert execution.outputs["o0"] == []


def test_an_array_of_launch_plans(client):
    execution = client.succeed(registered(client, kinds.array_of_plans), {"xs": [1, 2, 3]})
    assert execution.outputs["o0"] == [3, 6, 9]

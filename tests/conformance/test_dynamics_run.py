"""Dynamic tasks: what they return, what they call, how deep, and how they fail.

flytekit compiles what a dynamic task calls inside it: nodes of its sub-workflows are "dn0" as well."""
import dynamics as flows
import pytest
from flyteidl.admin.node_execution_pb2 import GetDynamicNodeWorkflowRequest

from flyte_client import phase
from stack import wait_for
from suite import USER, case, fails, node_executions, phase_of, runs_fixture, tree_of

runs = runs_fixture(flows)

CASES = {
    "constants": case(flows.returns_constants, {"n": 5}, {"o0": 5, "o1": "text", "o2": [5, 1], "o3": 5}, tree="""
        n0 SUCCEEDED
        n1 SUCCEEDED"""),
    "constants-and-nodes": case(flows.returns_constants_and_nodes, {"n": 5}, {
        "o0": 7, "o1": 5, "o2": [5, 3, 5], "o3": {"a": 5, "b": 4}, "o4": [5, 3, 5]}, tree="""
        n0 SUCCEEDED
          dn0 SUCCEEDED
        n1 SUCCEEDED"""),
    "lists": case(flows.returns_lists, {"n": 3}, {"o0": [0, 1, 2], "o1": [[], [0], [0, 1]]}, tree="""
        n0 SUCCEEDED
          dn0 SUCCEEDED
          dn1 SUCCEEDED
          dn2 SUCCEEDED
        n1 SUCCEEDED
          dn0 SUCCEEDED
          dn1 SUCCEEDED
          dn2 SUCCEEDED
        n2 SUCCEEDED
          dn0 SUCCEEDED
          dn1 SUCCEEDED
          dn2 SUCCEEDED"""),
    "empty-lists": case(flows.returns_lists, {"n": 0}, {"o0": [], "o1": []}, tree="""
        n0 SUCCEEDED
        n1 SUCCEEDED
        n2 SUCCEEDED"""),
    "everything": case(flows.calls_everything, {"n": 4}, {"o0": 4, "o1": 4, "o2": 4, "o3": [8], "o4": [4, 4]},
                       sync=True, tree="""
        n0 SUCCEEDED
          dn0 SUCCEEDED
            dn0 SUCCEEDED
            dn1 SUCCEEDED
              dn1-dn0 SUCCEEDED
              dn1-dn1 SKIPPED
          dn1 SUCCEEDED
          dn2 SUCCEEDED
            dn2-dn0 SUCCEEDED
              dn0 SUCCEEDED
              dn1 SUCCEEDED
                dn1-dn0 SUCCEEDED
                dn1-dn1 SKIPPED
            dn2-dn1 SKIPPED
          dn3 SUCCEEDED
          dn4 SUCCEEDED
          dn5 SUCCEEDED
          dn6 SUCCEEDED"""),
    "recursive": case(flows.recursive, {"n": 2}, {"o0": 100}, sync=True, tree="""
        n0 SUCCEEDED
          dn0 SUCCEEDED
            dn0 SUCCEEDED
              dn0 SUCCEEDED"""),
    "nested": case(flows.nested, {"n": 1}, {"o0": [0], "o1": [0, 1]}, tree="""
        n0 SUCCEEDED
          dn0 SUCCEEDED
            dn0 SUCCEEDED
          dn1 SUCCEEDED
            dn0 SUCCEEDED
              dn0 SUCCEEDED
              dn1 SUCCEEDED"""),
    "in-a-branch": case(flows.in_a_branch_in_a_workflow, {"n": 2}, {"o0": [0, 1]}, tree="""
        n0 SUCCEEDED
          n0 SUCCEEDED
            n0-n0 SUCCEEDED
              dn0 SUCCEEDED
              dn1 SUCCEEDED
            n0-n1 SKIPPED"""),
    "deep": case(flows.deep, {"n": 3}, {"o0": [3, 3]}, tree="""
        n0 SUCCEEDED
          n0 SUCCEEDED
            dn0 SUCCEEDED
            dn1 SUCCEEDED
              dn1-dn0 SUCCEEDED
              dn1-dn1 SKIPPED
        n1 SUCCEEDED"""),
    # Its nodes' error is its own; what it gave nothing to never starts.
    "failing": fails(flows.failing, {"n": 2}, None, "exit code (9)", "for nothing", sync=True, tree="""
        n0 FAILED
          dn0 FAILED
          dn1 SUCCEEDED"""),
    "failing-once": fails(flows.failing_once, {"n": 2}, None, "exit code (9)", tree="""
        n0 FAILED
          dn0 FAILED
          dn1 SUCCEEDED"""),
    "failing-itself": fails(flows.failing_itself, {"n": 2}, None, "ValueError: no graph for 2", kind=USER,
                            tree="n0 FAILED"),
    "mismatching": fails(
        flows.mismatching, {"n": 2}, "DynamicWorkflowBuildFailed", "malformed dynamic workflow",
        "Code: MismatchingTypes, Node Id: dn1", kind=USER, tree="n0 FAILED"),
}


@pytest.mark.parametrize("name", CASES)
def test_dynamic(runs, name):
    runs.check(CASES, name)


def test_gates_inside(client, runs):
    execution = runs.start(flows.gates_inside, {"n": 3})
    signals = lambda: {s.id.signal_id for s in client.remote.list_signals(execution.id.name)}
    wait_for(lambda: signals() == {"dynamic-ok", "dynamic-word"}, 60)
    client.remote.approve("dynamic-ok", execution.id.name)
    client.remote.set_input("dynamic-word", execution.id.name, "so")
    runs.finish(case(flows.gates_inside, outputs={"o0": 3, "o1": "so"}), execution)


def test_abort_reaches_all_that_it_made(client, runs):
    execution = runs.start(flows.waiting, {})
    id = execution.id.to_flyte_idl()
    running = "n0 DYNAMIC_RUNNING\n  dn0 RUNNING\n  dn1 RUNNING\n    dn0 RUNNING\n    dn1 SUCCEEDED\n  dn2 RUNNING"
    wait_for(lambda: tree_of(client, id) == running, 60)
    [child] = [n.closure.workflow_node_metadata.executionId.name for n in node_executions(client, id, "n0")
               if n.closure.workflow_node_metadata.executionId.name]
    client.remote.terminate(execution, "enough")
    assert phase_of(runs.wait(execution)) == "ABORTED"
    over = running.replace("DYNAMIC_RUNNING", "ABORTED").replace("RUNNING", "ABORTED")
    wait_for(lambda: tree_of(client, id) == over, 30)
    wait_for(lambda: phase(client.remote.fetch_execution(name=child)) == "ABORTED", 30)


def test_its_workflow_can_be_read(client, runs):
    execution = runs.finish(case(flows.recursive), runs.start(flows.recursive, {"n": 0}))
    [outer] = [n for n in node_executions(client, execution.id.to_flyte_idl()) if n.metadata.is_dynamic]
    got = client.stack.admin.GetDynamicNodeWorkflow(GetDynamicNodeWorkflowRequest(id=outer.id))
    template = got.compiled_workflow.primary.template
    assert [n.id for n in template.nodes] == ["start-node", "end-node", "dn0"]
    assert [t.template.id.name for t in got.compiled_workflow.tasks] == ["leaves.integer"]

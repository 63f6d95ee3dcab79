"""Launch plans as nodes: what children are given and give, whose they are, how they fail and how they are aborted."""
import launchplans as flows
import pytest
import referenced
from flyteidl.admin.execution_pb2 import WorkflowExecutionGetRequest
from flyteidl.admin.launch_plan_pb2 import INACTIVE, LaunchPlanUpdateRequest
from flytekit import Labels
from flytekit.core.options import Options

from stack import wait_for
from suite import USER, case, fails, node_executions, phase_of, register_all, runs_fixture

CHILD_WORKFLOW = 4


@pytest.fixture(scope="module")
def references(client):
    register_all(client, referenced, version=referenced.VERSION)


runs = runs_fixture(flows, needs=("references",))

CASES = {
    "all-plans": case(flows.all_plans, {"n": 3}, {
        "o0": 3, "o1": "child's", "o2": [1, 2], "o3": 7, "o4": "plan's", "o5": [1, 2], "o6": 7, "o7": "fixed",
        "o8": [], "o9": 8, "o10": "plan's", "o11": [9]}, tree="""
        n0 SUCCEEDED
        n1 SUCCEEDED
        n2 SUCCEEDED
        n3 SUCCEEDED"""),
    "given-over-default": case(flows.given_over_default, {"n": 3}, {"o0": 3, "o1": "node's", "o2": [3, 3]}),
    "inside": case(flows.inside, {"n": 6}, {"o0": 6, "o1": 6}, tree="""
        n0 SUCCEEDED
          n0 SUCCEEDED
          n1 SUCCEEDED
        n1 SUCCEEDED
          n1-n0 SUCCEEDED
          n1-n1 SKIPPED"""),
    "order": case(flows.order_of_children, {"n": 2}, {"o0": 2}),
    "references": case(flows.references, {"n": 2}, {"o0": 3, "o1": 3, "o2": "reference's"}),
    # The child's error is the node's, and so on up, with its code.
    "fails-above": fails(flows.fails_above, {"n": 2}, None, "exit code (6)", "so it goes", kind=USER,
                         tree="n0 FAILED"),
    "user-error-above": fails(flows.user_error_above, {"n": 2}, "UserProvidedError",
                              "[UserProvidedError] not above 5", kind=USER, tree="n0 FAILED"),
    "not-tried-again": fails(flows.not_tried_again, {"n": 2}, "UserProvidedError", tree="n0 FAILED"),
}


@pytest.mark.parametrize("name", CASES)
def test_launch_plan(runs, name):
    runs.check(CASES, name)


def get(client, id):
    return client.stack.admin.GetExecution(WorkflowExecutionGetRequest(id=id))


def children(client, id, parent=""):
    """Executions that the nodes launched, by node."""
    return {n.id.node_id: n.closure.workflow_node_metadata.executionId for n in node_executions(client, id, parent)
            if n.closure.workflow_node_metadata.executionId.name}


def test_parent_and_child_know_each_other(client, runs):
    execution = runs.finish(case(flows.three_deep, outputs={"o0": 4}), runs.start(flows.three_deep, {"n": 4}))
    id, depth = execution.id.to_flyte_idl(), 0
    while children(client, id):
        [(node, child)] = children(client, id).items()
        depth += 1
        metadata = get(client, child).spec.metadata
        assert (metadata.mode, metadata.nesting) == (CHILD_WORKFLOW, depth)
        assert metadata.parent_node_execution.execution_id == id and metadata.parent_node_execution.node_id == node
        id = child
    assert depth == 2
    assert get(client, id).spec.launch_plan.name == "launchplans.grandchild"


def test_flytekit_rebuilds_the_tree(client, runs):
    execution = runs.finish(case(flows.inside), runs.start(flows.inside, {"n": 2}))
    synced = client.remote.sync_execution(execution, sync_nodes=True)
    inner = synced.node_executions["n0"].subworkflow_node_executions
    [launched] = [n for n in inner.values() if n.workflow_executions]
    assert launched.workflow_executions[0].outputs["o0"] == 2
    assert launched.outputs["o0"] == 2


def test_children_inherit(runs, client):
    options = Options(labels=Labels({"team": "blue"}), max_parallelism=7)
    execution = runs.start(flows.greets_above, {}, envs={"GREETING": "welcome"}, options=options, overwrite_cache=True)
    runs.finish(case(flows.greets_above, outputs={"o0": "welcome"}), execution)
    [child] = children(client, execution.id.to_flyte_idl()).values()
    spec = get(client, child).spec
    assert dict(spec.labels.values) == {"team": "blue"}
    assert spec.max_parallelism == 7 and spec.overwrite_cache
    assert [(e.key, e.value) for e in spec.envs.values] == [("GREETING", "welcome")]


def started(client, execution, parent=""):
    id = execution.id.to_flyte_idl()
    wait_for(lambda: node_executions(client, id), 60)
    [child] = wait_for(lambda: list(children(client, id, parent).values()), 60)
    wait_for(lambda: node_executions(client, child), 60)
    return child


def test_an_aborted_child_fails_its_parent(client, runs):
    execution = runs.start(flows.waits_above, {})
    child = started(client, execution)
    client.remote.terminate(client.remote.fetch_execution(name=child.name), "not this one")
    runs.finish(fails(flows.waits_above, {}, "RemoteChildWorkflowExecutionFailed", f"launchplan [{child.name}] aborted",
                      "launchplan execution aborted", kind=USER, tree="n0 FAILED"), execution)


def test_abort_reaches_children_of_sub_workflows(client, runs):
    execution = runs.start(flows.waits_far_above, {})
    child = started(client, execution, "n0")
    client.remote.terminate(execution, "all of it")
    assert phase_of(runs.wait(execution)) == "ABORTED"
    wait_for(lambda: phase_of(get(client, child).closure) == "ABORTED", 30)
    assert "cascading abort" in get(client, child).closure.abort_metadata.cause


def test_a_child_s_time_is_up(client, runs):
    execution = runs.start(flows.timed_out_child, {})
    runs.finish(fails(flows.timed_out_child, {}, "RetriesExhausted|TimeoutExpired",
                      "task execution timeout [5s] expired", kind=USER, tree="n0 FAILED"), execution)
    [child] = children(client, execution.id.to_flyte_idl()).values()
    wait_for(lambda: phase_of(get(client, child).closure) == "ABORTED", 30)


def test_an_archived_launch_plan_still_launches(client, runs):
    """As Flyte's: the state is for schedules and for who asks for the active version."""
    plan = client.remote.fetch_launch_plan(name="launchplans.grandchild", version=runs.version)
    client.stack.admin.UpdateLaunchPlan(LaunchPlanUpdateRequest(id=plan.id.to_flyte_idl(), state=INACTIVE))
    runs.finish(case(flows.launches, outputs={"o0": 4}), runs.start(flows.launches, {"n": 4}))


def test_references_are_executed(client, references):
    """By FlyteRemote, as what they refer to."""
    assert client.succeed(flows.labelled, {"n": 1, "label": "x"}).outputs["label"] == "x"
    assert client.succeed(flows.plan, {"n": 1, "label": "y"}).outputs["label"] == "y"


def test_a_fetched_entity_is_a_node(client, references):
    """What FlyteRemote fetched, in an imperative workflow of our own."""
    from flytekit import Workflow
    remote = client.remote
    made = Workflow(name="launchplans.of_fetched")
    made.add_workflow_input("n", int)
    task = made.add_entity(remote.fetch_task(name="referenced.integer", version=referenced.VERSION), v=made.inputs["n"])
    plan = made.add_entity(remote.fetch_launch_plan(name="referenced.plan", version=referenced.VERSION),
                           n=task.outputs["o0"])
    made.add_workflow_output("label", plan.outputs["label"], python_type=str)
    registered = remote.register_workflow(made, version="fetched-1")
    execution = client.succeed(registered, {"n": 5})
    assert execution.outputs["label"] == "by the plan"

"""Maps: over tasks of Python and scripts and launch plans; what is bound, how many must succeed, what fails, and what
of the items can be seen."""
import maps as flows
import pytest
import referenced
from flyteidl.admin.task_execution_pb2 import TaskExecutionListRequest
from flyteidl.core.execution_pb2 import TaskExecution
from flytekit.core.options import Options
from flytekit.models.core.execution import WorkflowExecutionPhase

from stack import wait_for
from suite import UNKNOWN, USER, case, fails, node_executions, phase_of, register_all, runs_fixture


@pytest.fixture(scope="module")
def references(client):
    register_all(client, referenced, version=referenced.VERSION)


runs = runs_fixture(flows, needs=("references",))

CASES = {
    "partials": case(flows.partials, {"words": ["a", "b"], "n": 3}, {"o0": ["a-3", "b-3"], "o1": [4, 43]}, tree="""
        n0 SUCCEEDED
        n1 SUCCEEDED"""),
    "bound-values": case(flows.bound_values, {"words": ["x"]}, {"o0": ["x+7"]}),
    "holes": case(flows.holes, {"xs": [1, 2, 3]}, {"o0": [1, None, 3], "o1": 4}),
    "void-items": case(flows.void_items, {"xs": [5]}, {}),
    "different-lengths": fails(flows.different_lengths, {"xs": [1, 2], "ys": [1, 2, 3]}, "InvalidArrayLength",
                               "input arrays have different lengths: expecting '", kind=USER, tree="n0 FAILED"),
    "echoes": case(flows.echoes, {"xs": list(range(100))}, {"o0": list(range(100))}),
    "one": case(flows.echoes, {"xs": [-1]}, {"o0": [-1]}),
    "none": case(flows.echoes, {"xs": []}, {"o0": []}),
    # Flyte's array knows the outputs of tasks only: that of a launch plan without an item gives nothing.
    "none-of-a-plan": fails(flows.nested_lists, {"xss": []}, "BindingResolutionFailure", "Failed to find [n0].[o0]",
                            tree="n0 SUCCEEDED"),
    "of-a-map": case(flows.of_a_map, {"xs": [3, 4]}, {"o0": [3, 4], "o1": 4}, sync=True),
    "all-even": case(flows.all_even, {"xs": [2, 4, 6]}, {"o0": [2, 4, 6]}),
    # The error has no code and no kind: Flyte's array puts the items' messages together, after their numbers.
    "not-all-even": fails(flows.all_even, {"xs": [2, 4, 5, 6]}, "", "[2]: ", "5 is odd", kind=UNKNOWN),
    "half-even": case(flows.half_even, {"xs": [2, 3, 4, 5]}, {"o0": [2, None, 4, None]}),
    "not-half-even": fails(flows.half_even, {"xs": [2, 3, 5]}, "", "is odd"),
    "two-even": case(flows.two_even, {"xs": [4, 8]}, {"o0": [4, 8]}),
    "not-two-even": fails(flows.two_even, {"xs": [4, 7]}, "", "[1]: ", "7 is odd", sync=True),
    # More than there are: it fails, and knows no reason.
    "not-even-two": fails(flows.two_even, {"xs": [4]}, "ArrayNodeFailing", "Unknown reason", kind=UNKNOWN),
    "two-of-none": fails(flows.two_even, {"xs": []}, "ArrayNodeFailing", "Unknown reason", kind=UNKNOWN),
    "any-even": case(flows.any_even, {"xs": [3, 5]}, {"o0": [None, None]}),
    "all-bound": case(flows.all_bound, {"n": 4}, {"o0": [8]}),
    "one-refused": fails(flows.one_refused, {"xs": [1, 2, 1]}, "", "[1]: ", "ValueError: 2 is refused"),
    "timed-out": case(flows.timed_out, {"xs": [1, 2]}, {"o0": [1, None]}),
    "plans": case(flows.plans, {"xs": [1, 2, 3]}, {"o0": [1, 2, 3], "o1": [1, 2, 3]}, sync=True, tree="""
        n0 SUCCEEDED
        n1 SUCCEEDED"""),
    # Flyte's propeller looks for a task's outputs here, which a launch plan has not, and crashes.
    "some-plans": case(flows.some_plans, {"xs": [1, 100]}, {"o0": [1, None]}),
    "plan-fails": fails(flows.plan_fails, {"xs": [1, 100, 2]}, "", "[1]: ", "[UserProvidedError] too large"),
    "nested-lists": case(flows.nested_lists, {"xss": [[1, 2], [], [3]]}, {"o0": [[1, 2], [], [3]]}),
    "inside": case(flows.in_branches, {"xs": [1, 2], "n": 1}, {"o0": [1, 2]}, sync=True, tree="""
        n0 SUCCEEDED
          n0-n0 SUCCEEDED
            n0 SUCCEEDED
              n0 SUCCEEDED
          n0-n1 SKIPPED"""),
    "in-a-branch": case(flows.in_branches, {"xs": [1, 2], "n": 0}, {"o0": [0, 0]}),
    "in-a-dynamic": case(flows.in_a_dynamic, {"n": 3}, {"o0": [0, 1, 2], "o1": [6]}, tree="""
        n0 SUCCEEDED
          dn0 SUCCEEDED
          dn1 SUCCEEDED"""),
}


@pytest.mark.parametrize("name", CASES)
def test_map(runs, name):
    runs.check(CASES, name)


def children(client, execution):
    """Phases of what the items launched, by their input."""
    found = {}
    for e in client.remote.recent_executions(limit=100):
        if e.spec.metadata.parent_node_execution and e.spec.metadata.parent_node_execution.execution_id == execution.id:
            inputs = client.remote.client.get_execution_data(e.id).full_inputs.literals
            found[inputs["n"].scalar.primitive.integer] = WorkflowExecutionPhase.enum_to_string(e.closure.phase)
    return found


def test_abort_reaches_children_of_items(client, runs):
    execution = runs.start(flows.waiting_plans, {"xs": [1, 2, 3]})
    wait_for(lambda: children(client, execution) == {1: "RUNNING", 2: "RUNNING", 3: "RUNNING"}, 60)
    client.remote.terminate(execution, "enough")
    assert phase_of(runs.wait(execution)) == "ABORTED"
    wait_for(lambda: children(client, execution) == {1: "ABORTED", 2: "ABORTED", 3: "ABORTED"}, 30)


def test_a_child_that_fails_ends_the_others(client, runs):
    execution = runs.start(flows.waiting_plans, {"xs": [1, 0, 2]})
    runs.finish(fails(flows.waiting_plans, {}, "", "[1]: ", "exit code (7)", tree="n0 FAILED"), execution)
    wait_for(lambda: children(client, execution) == {1: "ABORTED", 0: "FAILED", 2: "ABORTED"}, 30)


def wait_for_each_other(shared, least):
    """Items of "timed" do."""
    with open(f"{shared}/least", "w", encoding="utf-8") as f:
        f.write(str(least))


def most_at_once(path):
    with open(path, encoding="utf-8") as f:
        counts, running = [], 0
        for line in f:
            running += 1 if line == "+\n" else -1
            counts.append(running)
    assert len(counts) == 10 and running == 0
    return max(counts)


def test_concurrency(runs, shared):
    wait_for_each_other(shared, 2)
    runs.finish(case(flows.two_at_a_time), runs.start(flows.two_at_a_time, {"directories": [shared] * 5}))
    assert most_at_once(f"{shared}/times") == 2


def test_no_concurrency_is_no_limit(runs, shared):
    """Flyte's default (default-parallelism-behavior: unlimited): the execution's limit is not for items."""
    wait_for_each_other(shared, 3)
    execution = runs.start(flows.as_the_execution_allows, {"directories": [shared] * 5},
                           options=Options(max_parallelism=1))
    runs.finish(case(flows.as_the_execution_allows), execution)
    assert most_at_once(f"{shared}/times") > 2


def items(client, execution):
    """The array's task execution, and (retry, phase) of its items as the console shows them: the last said of each."""
    id = execution.id.to_flyte_idl()
    [node] = [n for n in node_executions(client, id) if n.metadata.is_array]
    [task] = client.stack.admin.ListTaskExecutions(TaskExecutionListRequest(node_execution_id=node.id, limit=9)).task_executions
    last = {}
    for r in task.closure.metadata.external_resources:
        last[r.index, r.retry_attempt] = TaskExecution.Phase.Name(r.phase)
    return task, last


def test_items_are_tried_again(client, runs, shared):
    """Each by itself: the first works at once, the others at their second and third attempt."""
    execution = runs.start(flows.retried, {"directories": [shared] * 3, "xs": [1, 2, 3]})
    runs.finish(case(flows.retried, outputs={"o0": [1, 2, 3]}), execution)
    task, last = items(client, execution)
    assert last == {(0, 0): "SUCCEEDED", (1, 0): "FAILED", (1, 1): "SUCCEEDED", (2, 0): "FAILED", (2, 1): "FAILED",
                    (2, 2): "SUCCEEDED"}
    assert task.id.retry_attempt == 0 and TaskExecution.Phase.Name(task.closure.phase) == "SUCCEEDED"


def test_items_are_seen(client, runs):
    execution = runs.start(flows.half_even, {"xs": [2, 3]})
    runs.finish(case(flows.half_even), execution)
    task, last = items(client, execution)
    assert last == {(0, 0): "SUCCEEDED", (1, 0): "FAILED"}
    logs = {r.index: r.logs for r in task.closure.metadata.external_resources}
    assert logs[0] and logs[1] and logs[0][0].uri != logs[1][0].uri
    assert task.closure.metadata.external_resources[0].external_id

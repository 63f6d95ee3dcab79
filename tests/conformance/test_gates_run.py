"""Gates: who approves what, which values may be said, how long it waits, and what is refused."""
import datetime
import time
from typing import Dict, List

import gates as flows
import pytest
from flytekit.exceptions.user import FlyteInvalidInputException

from stack import wait_for
from suite import USER, case, fails, node_executions, phase_of, runs_fixture, tree_of

runs = runs_fixture(flows)
UTC = datetime.timezone.utc

CASES = {
    "sleeps": case(flows.sleeps, {"directory": "-"}, {"o0": 1}, tree="""
        n0 SUCCEEDED
        n1 SUCCEEDED"""),
    "too-late-to-approve": fails(
        flows.too_late_to_approve, {"n": 1}, "RetriesExhausted|TimeoutExpired", "task execution timeout [1s] expired",
        kind=USER, tree="""
        n0 SUCCEEDED
        n1 FAILED"""),
    "too-late-to-say": fails(
        flows.too_late_to_say, {"n": 1}, "RetriesExhausted|TimeoutExpired", "task execution timeout [1s] expired",
        tree="""
        n0 SUCCEEDED
        n1 FAILED"""),
}


@pytest.mark.parametrize("name", CASES)
def test_gate(runs, name):
    execution = runs.check(CASES, name)
    if name == "sleeps":
        assert runs.wait(execution).duration.ToMicroseconds() >= 1_200_000


def wait_for_signals(client, execution, *names):
    wait_for(lambda: {s.id.signal_id for s in client.remote.list_signals(execution.id.name)} == set(names), 60)


def start(client, runs, workflow, inputs, *names):
    execution = runs.start(workflow, inputs)
    wait_for_signals(client, execution, *names)
    return execution


def test_approval_hands_on_what_was_approved(client, runs):
    execution = start(client, runs, flows.approved, {"n": 6}, "ok")
    assert tree_of(client, execution.id.to_flyte_idl()) == "n0 SUCCEEDED\nn1 RUNNING"
    client.remote.approve("ok", execution.id.name)
    runs.finish(case(flows.approved, outputs={"o0": 6}, tree="n0 SUCCEEDED\nn1 SUCCEEDED\nn2 SUCCEEDED", sync=True),
                execution)


def test_rejection(client, runs):
    execution = start(client, runs, flows.approved, {"n": 6}, "ok")
    client.remote.reject("ok", execution.id.name)
    runs.finish(fails(flows.approved, {}, "ReceivedRejectSignal",
                      "received a reject signal to disapprove the node input values", kind=USER,
                      tree="n0 SUCCEEDED\nn1 FAILED"), execution)


def test_one_signal_for_two_gates(client, runs):
    execution = start(client, runs, flows.approved_twice, {"n": 6}, "ok")
    client.remote.approve("ok", execution.id.name)
    runs.finish(case(flows.approved_twice, outputs={"o0": 6, "o1": 6}), execution)


def say(client, execution, values, hints=None):
    for name, value in values.items():
        client.remote.set_input(name, execution.id.name, value, python_type=(hints or {}).get(name))


def test_values_of_simple_types(client, runs):
    values = {"integer": -2**62, "number": 0.125, "text": "ünï", "truth": False,
              "time": datetime.datetime(2024, 2, 29, 1, 2, 3, 456789, tzinfo=UTC),
              "duration": datetime.timedelta(days=2, microseconds=7)}
    execution = start(client, runs, flows.inputs, {}, *values)
    say(client, execution, values)
    runs.finish(case(flows.inputs, outputs={f"o{i}": v for i, v in enumerate(values.values())}), execution)


def test_values_of_other_types(client, runs):
    values = {"list": [3, 1], "map": {"k": "v"}, "order": flows.Order("tea", 3), "color": flows.Color.GREEN}
    hints = dict(zip(values, flows.large_inputs.python_interface.outputs.values()))
    execution = start(client, runs, flows.large_inputs, {}, *values)
    say(client, execution, values, hints)
    runs.finish(case(flows.large_inputs, outputs={f"o{i}": v for i, v in enumerate(values.values())}), execution)


def test_a_branch_on_what_was_said(client, runs):
    low, high = (start(client, runs, flows.decides, {}, "n") for _ in range(2))
    say(client, low, {"n": 1})
    say(client, high, {"n": 9})
    runs.finish(case(flows.decides, outputs={"o0": 3}), low)
    runs.finish(case(flows.decides, outputs={"o0": 9}), high)


def test_gates_of_a_workflow_s_workflows_share_a_signal(client, runs):
    """Signals are the execution's: the second gate finds its own said already."""
    execution = start(client, runs, flows.in_a_workflow, {"n": 2}, "inner")
    client.remote.approve("inner", execution.id.name)
    runs.finish(case(flows.in_a_workflow, outputs={"o0": 2}, sync=True), execution)


def test_a_child_s_signals_are_its_own(client, runs):
    execution = runs.start(flows.in_a_child, {"n": 2})
    id = execution.id.to_flyte_idl()
    child = wait_for(lambda: next((n.closure.workflow_node_metadata.executionId.name for n in node_executions(client, id)
                                   if n.closure.workflow_node_metadata.executionId.name), None), 60)
    wait_for(lambda: client.remote.list_signals(child), 60)
    with pytest.raises(FlyteInvalidInputException):
        client.remote.approve("inner", execution.id.name)
    client.remote.approve("inner", child)
    runs.finish(case(flows.in_a_child, outputs={"o0": 2}), execution)


# What is refused, and what is too late.

TYPES = {list: List[bool], dict: Dict[str, bool], type(None): type(None)}


@pytest.mark.parametrize("value", ["yes", 1, 1.0, [True], {"ok": True}, None], ids=repr)
def test_a_value_of_another_type(client, runs, waiting, value):
    with pytest.raises(FlyteInvalidInputException, match="not castable") as refused:
        client.remote.set_input("ok", waiting.id.name, value, python_type=TYPES.get(type(value)))
    assert "existing signal type" in refused.value.__cause__.details()
    assert phase_of(runs.closure(waiting)) == "RUNNING"


@pytest.fixture(scope="module")
def waiting(client, runs):
    """An execution that waits for "ok", and ends well in spite of all."""
    execution = start(client, runs, flows.approved, {"n": 6}, "ok")
    yield execution
    client.remote.approve("ok", execution.id.name)
    runs.finish(case(flows.approved, outputs={"o0": 6}), execution)


@pytest.mark.parametrize("signal", ["nobody-waits", "n1", "", "OK"])
def test_a_signal_that_nobody_waits_for(client, runs, waiting, signal):
    with pytest.raises(FlyteInvalidInputException) as refused:
        client.remote.approve(signal, waiting.id.name)
    assert (signal or "signal_id") in refused.value.__cause__.details()
    assert phase_of(runs.closure(waiting)) == "RUNNING"


def test_a_signal_said_twice(client, runs):
    """The first counts; that there was another is known to those who list signals, as in Flyte."""
    execution = start(client, runs, flows.approved, {"n": 6}, "ok")
    client.remote.approve("ok", execution.id.name)
    client.remote.reject("ok", execution.id.name)
    runs.finish(case(flows.approved, outputs={"o0": 6}), execution)
    [signal] = client.remote.list_signals(execution.id.name)
    assert not signal.value.scalar.primitive.boolean


def test_a_signal_for_what_is_over(client, runs):
    execution = start(client, runs, flows.approved, {"n": 6}, "ok")
    client.remote.terminate(execution, "enough")
    assert phase_of(runs.wait(execution)) == "ABORTED"
    client.remote.approve("ok", execution.id.name)
    time.sleep(0.3)
    assert phase_of(runs.closure(execution)) == "ABORTED"
    wait_for(lambda: tree_of(client, execution.id.to_flyte_idl()) == "n0 SUCCEEDED\nn1 ABORTED", 30)

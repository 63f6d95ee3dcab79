"""Failure nodes: when they run, what they are given, what becomes of the error, and how they fail themselves.

flytekit calls them "fn0", and the nodes of a workflow that is only used as one "fn0", "fn1", ..."""
import os

import failures as flows
import pytest

from stack import wait_for
from suite import USER, fails, node_executions, phase_of, runs_fixture, tree_of

runs = runs_fixture(flows)
BROKEN = "exit code (3)"

# workflow, parts of the error's message, what was noted, tree
CASES = {
    "no-error-wanted": (flows.no_error_wanted, (BROKEN, "in pieces"), "breaks cleans", """
        fn0 SUCCEEDED
        n0 FAILED"""),
    "by-a-workflow": (flows.by_a_workflow, (BROKEN,), "breaks cleans works", """
        fn0 SUCCEEDED
          fn0 SUCCEEDED
          fn1 SUCCEEDED
        n0 FAILED"""),
    # The failure node's own error is the execution's.
    "cannot-clean": (flows.cannot_clean, ("exit code (8)", "cannot clean"), "breaks cleans_badly", """
        fn0 FAILED
        n0 FAILED"""),
    "tries-twice": (flows.tries_twice, (BROKEN,), "breaks cleans_late cleans_late", """
        fn0 SUCCEEDED
        n0 FAILED"""),
    "waits-for-it": (flows.waits_for_it, (BROKEN,), "waits works breaks cleans", """
        fn0 SUCCEEDED
        n0 ABORTED
        n1 SUCCEEDED
        n2 FAILED"""),
    "outer": (flows.outer, (BROKEN,), "breaks cleans cleans", """
        fn0 SUCCEEDED
        n0 FAILED
          fn0 SUCCEEDED
          n0 FAILED"""),
    "inner-only": (flows.inner_only, (BROKEN,), None, None),
    "inner-cannot-clean": (flows.inner_cannot_clean, ("exit code (8)",), "breaks cleans_badly cleans_badly", """
        fn0 FAILED
        n0 FAILED
          fn0 FAILED
          n0 FAILED"""),
    "by-a-child": (flows.by_a_child, (BROKEN,), "breaks cleans cleans", """
        fn0 SUCCEEDED
        n0 FAILED"""),
    "by-a-dynamic": (flows.by_a_dynamic, (BROKEN,), "breaks cleans cleans", """
        fn0 SUCCEEDED
        n0 FAILED
          dn0 FAILED
            dfn0 SUCCEEDED
            dn0 FAILED"""),
    "cleaned-by-a-dynamic": (flows.cleaned_by_a_dynamic, (BROKEN,), "breaks cleans works", """
        fn0 SUCCEEDED
          dn0 SUCCEEDED
          dn1 SUCCEEDED
        n0 FAILED"""),
    "patient": (flows.patient, (BROKEN,), None, """
        fn0 SUCCEEDED
        n0 FAILED
        n1 SUCCEEDED
        n2 SUCCEEDED"""),
    # The last failure of the graph, by ids, is the execution's, not the last in time.
    "two-failures": (flows.two_failures, (BROKEN,), None, """
        n0 FAILED
        n1 FAILED"""),
    "nobody-says": (flows.nobody_says, ("task execution timeout [1s] expired",), "works cleans", """
        fn0 SUCCEEDED
        n0 FAILED
        n1 SUCCEEDED"""),
    "imperative": (flows.imperative, (BROKEN,), "breaks cleans", """
        efn SUCCEEDED
        n0 FAILED"""),
    "reported": (flows.reported, (BROKEN,), "breaks", """
        fn0 SUCCEEDED
        n0 FAILED"""),
    "reported-by-a-workflow": (flows.reported_by_a_workflow, (BROKEN,), "breaks", """
        fn0 SUCCEEDED
          n0 SUCCEEDED
        n0 FAILED"""),
    "chooses": (flows.chooses, ("[UserProvidedError] by choice",), "", """
        fn0 SUCCEEDED
        n0 FAILED"""),
}


SYNCED = ("outer", "by-a-workflow", "by-a-dynamic", "by-a-child", "waits-for-it")


@pytest.fixture(scope="module")
def started(runs, tmp_path_factory):
    """All of them at once, each with a directory of its own."""
    found = {}
    for name, (workflow, *_) in CASES.items():
        directory = str(tmp_path_factory.mktemp(name))
        found[name] = (runs.start(workflow, {"directory": directory}), directory)
    return found


def read(directory, name):
    path = os.path.join(directory, name)
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8") as f:
        return f.read()


def notes(directory):
    return read(directory, "notes").split()


@pytest.mark.parametrize("failure", CASES)
def test_failure(runs, started, failure):
    workflow, message, noted, tree = CASES[failure]
    execution, directory = started[failure]
    runs.finish(fails(workflow, {}, None, *message, kind=USER, tree=tree, sync=failure in SYNCED), execution)
    if noted is not None:
        assert notes(directory) == noted.split()


@pytest.mark.parametrize("failure, node, text", [
    ("reported", "fn0", BROKEN), ("reported-by-a-workflow", "fn0", BROKEN), ("chooses", "fn0", "by choice")])
def test_the_error_is_an_input(runs, started, failure, node, text):
    """Flyte gives the failure node's own id for the node that failed."""
    execution, directory = started[failure]
    runs.wait(execution)
    failed_node, _, message = read(directory, "report").partition("\n")
    assert failed_node == node and text in message


def test_no_failure_no_failure_node(client, runs, shared):
    execution = runs.start(flows.nothing_to_clean, {"directory": shared})
    assert phase_of(runs.wait(execution)) == "SUCCEEDED"
    assert tree_of(client, execution.id.to_flyte_idl()) == "n0 SUCCEEDED"
    assert notes(shared) == ["works"]


def test_an_abort_runs_no_failure_node(client, runs, shared):
    execution = runs.start(flows.waits_forever, {"directory": shared})
    wait_for(lambda: notes(shared), 60)
    client.remote.terminate(execution, "enough")
    assert phase_of(runs.wait(execution)) == "ABORTED"
    wait_for(lambda: tree_of(client, execution.id.to_flyte_idl()) == "n0 ABORTED", 30)
    assert notes(shared) == ["waits"]


def test_a_failure_node_is_aborted(client, runs, shared):
    execution = runs.start(flows.cleans_forever, {"directory": shared})
    wait_for(lambda: "waits" in notes(shared), 60)
    wait_for(lambda: phase_of(runs.closure(execution)) == "FAILING", 30)
    client.remote.terminate(execution, "enough of this too")
    assert phase_of(runs.wait(execution)) == "ABORTED"
    id = execution.id.to_flyte_idl()
    wait_for(lambda: tree_of(client, id) == "fn0 ABORTED\nn0 FAILED", 30)
    assert len(node_executions(client, id)) >= 2

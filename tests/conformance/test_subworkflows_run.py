"""Workflows in workflows: names, values, order, trees and failures."""
import pytest
import subworkflows as flows

from suite import case, fails, runs_fixture

runs = runs_fixture(flows)

CASES = {
    "three-levels": case(flows.level_one, {"v": 3}, {"o0": 3, "o1": 5, "o2": 5}, sync=True, tree="""
        n0 SUCCEEDED
          n0 SUCCEEDED
            n0 SUCCEEDED
            n1 SUCCEEDED
          n1 SUCCEEDED
            n0 SUCCEEDED
            n1 SUCCEEDED
        n1 SUCCEEDED
          n0 SUCCEEDED
            n0 SUCCEEDED
            n1 SUCCEEDED
          n1 SUCCEEDED
            n0 SUCCEEDED
            n1 SUCCEEDED"""),
    "names": case(flows.uses_names, {"n": 8}, {"o0": 8, "o1": "default", "o2": "given"}),
    "constants": case(flows.constants, {"n": 4}, {"o0": 4, "o1": [1, 2, 3], "o2": [4, 4, 9]}, tree="""
        n0 SUCCEEDED
          n0 SUCCEEDED
        n1 SUCCEEDED
          n0 SUCCEEDED"""),
    "bare": case(flows.bare, {"n": 1}, {"o0": 1, "o1": "constant"}),
    "attributes": case(flows.attributes, {"x": 6}, {"o0": 6, "o1": "x6", "o2": 7}),
    "imperative": case(flows.imperative, {"n": 2, "words": []}, {"sum": 2, "pair": [2, 2], "label": "inner"}, tree="""
        n0 SUCCEEDED
        n1 SUCCEEDED
        n2 SUCCEEDED
          n0 SUCCEEDED
          n1 SUCCEEDED"""),
    "around-imperative": case(flows.around_imperative, {"n": 2}, {"o0": 2, "o1": [2, 2]}),
    "optionals": case(flows.optionals, {"n": 2}, {"o0": None, "o1": 2, "o2": "s"}),
    "branch-below": case(flows.branch_below, {"n": 2}, {"o0": 2}, tree="""
        n0 SUCCEEDED
          n0 SUCCEEDED
        n1 SUCCEEDED
          n1-n0 SUCCEEDED
            n0 SUCCEEDED
            n1 SUCCEEDED
          n1-n1 SKIPPED"""),
    # What failed inside is what failed outside, on every level. The echo beside it was done at once.
    "fails-deeper": fails(flows.fails_deeper, {"n": 1}, None, "exit code (4)", sync=True, tree="""
        n0 FAILED
          n0 SUCCEEDED
          n1 FAILED
            n0 FAILED
            n1 SUCCEEDED"""),
}


@pytest.mark.parametrize("name", CASES)
def test_subworkflow(runs, name):
    runs.check(CASES, name)


def order(shared):
    with open(f"{shared}/order", encoding="utf-8") as f:
        return f.read().splitlines()


def test_order_without_data(runs, shared):
    runs.finish(case(flows.in_order), runs.start(flows.in_order, {"directory": shared}))
    assert order(shared) == [f"{n} {e}" for n in ("first", "second", "third") for e in ("start", "end")]


def test_order_of_workflows(runs, shared):
    runs.finish(case(flows.order_of_workflows), runs.start(flows.order_of_workflows, {"directory": shared}))
    assert order(shared) == ["first start", "first end", "second start", "second end"]


def test_failing_after_what_can_run(runs, shared):
    """The first failure is the execution's error; the sub-workflow fails as well, and what it was to give something to
    is skipped; the rest is done."""
    expected = fails(flows.patient, {}, None, "exit code (4)", tree="""
        n0 FAILED
        n1 SUCCEEDED
        n2 SUCCEEDED
        n3 FAILED
          n0 FAILED
          n1 SUCCEEDED
        n4 SKIPPED""")
    runs.finish(expected, runs.start(flows.patient, {"directory": shared}))
    assert order(shared) == ["first start", "first end", "second start", "second end"]


def test_failing_at_once(runs, shared):
    """What runs is aborted, what waits is never told of."""
    expected = fails(flows.impatient, {}, None, "exit code (4)", tree="""
        n0 ABORTED
        n2 FAILED""")
    runs.finish(expected, runs.start(flows.impatient, {"directory": shared}))
    assert order(shared) == ["endless start"]

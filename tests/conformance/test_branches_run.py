"""Branches of every sort: what they compare, what they take, what they give, and what is skipped."""
import datetime
import math

import branches
import pytest
from branches import Color

from suite import SYSTEM, USER, case, fails, runs_fixture

runs = runs_fixture(branches)

OPERATORS = ("==", "!=", "<", "<=", ">", ">=")
EQUAL, LESS, GREATER = "yes no no yes no yes", "no yes yes yes no no", "no yes no no yes yes"


def answers(words):
    return {f"o{i}": w for i, w in enumerate(words.split())}


def at(seconds, microseconds=0):
    return datetime.datetime(2024, 2, 29, 12, 0, seconds, microseconds, tzinfo=datetime.timezone.utc)


def lasting(seconds, microseconds=0):
    return datetime.timedelta(seconds=seconds, microseconds=microseconds)


CASES = {}
for kind, workflow, low, high in [
        ("integers", branches.compare_integers, -2**63, 2**63 - 1), ("numbers", branches.compare_numbers, 0.1, 0.2),
        ("texts", branches.compare_texts, "Z", "a"), ("times", branches.compare_times, at(1), at(2)),
        ("durations", branches.compare_durations, lasting(-5), lasting(7200))]:
    CASES[f"{kind}-equal"] = case(workflow, {"a": low, "b": low}, answers(EQUAL))
    CASES[f"{kind}-less"] = case(workflow, {"a": low, "b": high}, answers(LESS))
    CASES[f"{kind}-greater"] = case(workflow, {"a": high, "b": low}, answers(GREATER))

CASES |= {
    # Flyte: LT is "neither greater nor equal", LTE "not greater".
    "not-a-number": case(branches.compare_numbers, {"a": math.nan, "b": 1.0}, answers("no yes yes yes no no")),
    # Flyte compares whole seconds.
    "parts-of-a-second": case(branches.compare_times, {"a": at(1, 250), "b": at(1, 750_000)}, answers(EQUAL)),
    "parts-of-a-lasting-second": case(branches.compare_durations, {"a": lasting(1, 9), "b": lasting(1, 5)},
                                      answers(EQUAL)),
    "texts-are-bytes": case(branches.compare_texts, {"a": "ä", "b": "z"}, answers(GREATER)),
    "truths-tt": case(branches.compare_truths, {"a": True, "b": True}, answers("yes no yes no")),
    "truths-ft": case(branches.compare_truths, {"a": False, "b": True}, answers("no yes no yes")),
    "colors-same": case(branches.compare_colors, {"a": Color.RED, "b": Color.RED}, answers("yes no")),
    "colors-other": case(branches.compare_colors, {"a": Color.RED, "b": Color.GREEN}, answers("no yes")),
    "order-of-truths": fails(
        branches.order_of_truths, {"a": True, "b": False}, "MalformedBranchUserError",
        "[MalformedBranchUserError] [LT] not defined for boolean operands.", kind=USER, tree="n0 FAILED"),
    "constants-yes": case(branches.constants, {"n": 3, "x": 0.2, "s": "x"}, answers("yes yes yes no")),
    "constants-no": case(branches.constants, {"n": 2, "x": 0.25, "s": ""}, answers("no no no yes")),
    "common-left": case(branches.common_outputs, {"n": -3}, {"o0": -3}),
    "common-both": case(branches.common_outputs, {"n": 3}, {"o0": 3}, tree="""
        n0 SUCCEEDED
          n0-n0 SUCCEEDED
            n0 SUCCEEDED
            n1 SUCCEEDED
          n0-n1 SKIPPED"""),
    "void": case(branches.gives_nothing, {"n": 1}, {}, tree="""
        n0 SUCCEEDED
          n0-n0 SUCCEEDED
            n0 SUCCEEDED
          n0-n1 SKIPPED"""),
    "void-else": case(branches.gives_nothing, {"n": 0}, {}, tree="""
        n0 SUCCEEDED
          n0-n0 SKIPPED
          n0-n1 SUCCEEDED"""),
    "after-a-branch": case(branches.after_a_branch, {"n": 11}, {"o0": 11, "o1": 11}, tree="""
        n0 SUCCEEDED
          n0-n0 SUCCEEDED
          n0-n1 SKIPPED
        n1 SUCCEEDED
        n2 SUCCEEDED
          n2-n0 SUCCEEDED
          n2-n1 SKIPPED"""),
    "on-task-outputs": case(branches.on_task_outputs, {"text": "ABCD"}, answers("yes yes yes")),
    "on-two-nodes": case(branches.on_two_nodes, {"a": 1, "b": 2}, answers("yes no")),
    "on-a-color": case(branches.on_a_color, {"c": Color.GREEN}, answers("yes")),
    "three-deep": case(branches.three_deep, {"a": 1, "b": 1, "c": 0}, {"o0": "ab"}, tree="""
        n0 SUCCEEDED
          n0-n0 SUCCEEDED
            n0-n0-n0 SUCCEEDED
              n0-n0-n0-n0 SKIPPED
              n0-n0-n0-n1 SUCCEEDED
            n0-n0-n1 SKIPPED
          n0-n1 SKIPPED"""),
    "three-deep-fails": fails(
        branches.three_deep, {"a": 0, "b": 0, "c": 0}, "UserProvidedError",
        "[UserProvidedError] nothing of it holds", kind=USER, tree="""
        n0 FAILED
          n0-n0 SKIPPED
          n0-n1 FAILED"""),
    # A case of Flyte's own: the branch fails before it takes anything, so nothing below it is told of.
    "fails-by-choice": fails(
        branches.fails_by_choice, {"n": 50}, "UserProvidedError", "[UserProvidedError] n is not above 50", kind=USER,
        tree="""
        n0 SUCCEEDED
        n1 FAILED"""),
    "does-not-fail": case(branches.fails_by_choice, {"n": 51}, {"o0": 50}),
    "of-a-workflow": case(branches.of_workflows, {"n": 7}, {"o0": 7}, tree="""
        n0 SUCCEEDED
          n0-n0 SUCCEEDED
            n0 SUCCEEDED
              n0-n0 SUCCEEDED
              n0-n1 SKIPPED
          n0-n1 SKIPPED
          n0-n2 SKIPPED"""),
    "of-a-launch-plan": case(branches.of_workflows, {"n": 12}, {"o0": 12}, tree="""
        n0 SUCCEEDED
          n0-n0 SKIPPED
          n0-n1 SUCCEEDED
          n0-n2 SKIPPED"""),
    "in-a-workflow": case(branches.in_a_workflow, {"n": 21}, {"o0": 21}, sync=True, tree="""
        n0 SUCCEEDED
          n0-n0 SUCCEEDED
            n0 SUCCEEDED
              n0-n0 SKIPPED
              n0-n1 SKIPPED
              n0-n2 SUCCEEDED
          n0-n1 SKIPPED"""),
    "taken-one-fails": fails(
        branches.taken_one_fails, {"n": 1}, None, "ValueError: 1 is refused", kind=USER, sync=True, tree="""
        n0 FAILED
          n0-n0 FAILED
          n0-n1 SKIPPED"""),
    "other-one-would-fail": case(branches.taken_one_fails, {"n": -1}, {"o0": -1}),
}
for n, word in [(-1, "negative"), (0, "zero"), (11, "between"), (10, "edge"), (20, "edge"), (21, "above"), (5, "below")]:
    CASES[f"many-cases-{n}"] = case(branches.many_cases, {"n": n}, {"o0": word})
for bits in range(8):
    a, b, c = bool(bits & 4), bool(bits & 2), bool(bits & 1)
    expected = (a and b, a or b, (a and b) or c, (a or b) and c,
                (a and (b or c)) or ((a or b) and (b and c)) or not (a or b or c))
    CASES[f"conjunctions-{bits:03b}"] = case(branches.conjunctions, {"a": a, "b": b, "c": c},
                                             answers(" ".join("yes" if e else "no" for e in expected)))


@pytest.mark.parametrize("name", CASES)
def test_branch(runs, name):
    runs.check(CASES, name)

"""Branches: workflows of test_branches_run.py."""
import datetime
from enum import Enum
from typing import NamedTuple, Tuple

from flytekit import LaunchPlan, conditional, task, workflow

import leaves


class Color(Enum):
    RED = "red"
    GREEN = "green"


colored = leaves.Echo(name="branches.colored", inputs={"v": Color})


def chosen(name, condition):
    """A branch that says whether it holds."""
    return conditional(name).if_(condition).then(leaves.text(v="yes")).else_().then(leaves.text(v="no"))


# Comparisons: each operator on each type that has it, as in Python.

@workflow
def compare_integers(a: int, b: int) -> Tuple[str, str, str, str, str, str]:
    return (chosen("eq", a == b), chosen("ne", a != b), chosen("lt", a < b), chosen("le", a <= b), chosen("gt", a > b),
            chosen("ge", a >= b))


@workflow
def compare_numbers(a: float, b: float) -> Tuple[str, str, str, str, str, str]:
    return (chosen("eq", a == b), chosen("ne", a != b), chosen("lt", a < b), chosen("le", a <= b), chosen("gt", a > b),
            chosen("ge", a >= b))


@workflow
def compare_texts(a: str, b: str) -> Tuple[str, str, str, str, str, str]:
    return (chosen("eq", a == b), chosen("ne", a != b), chosen("lt", a < b), chosen("le", a <= b), chosen("gt", a > b),
            chosen("ge", a >= b))


@workflow
def compare_times(a: datetime.datetime, b: datetime.datetime) -> Tuple[str, str, str, str, str, str]:
    return (chosen("eq", a == b), chosen("ne", a != b), chosen("lt", a < b), chosen("le", a <= b), chosen("gt", a > b),
            chosen("ge", a >= b))


@workflow
def compare_durations(a: datetime.timedelta, b: datetime.timedelta) -> Tuple[str, str, str, str, str, str]:
    return (chosen("eq", a == b), chosen("ne", a != b), chosen("lt", a < b), chosen("le", a <= b), chosen("gt", a > b),
            chosen("ge", a >= b))


@workflow
def compare_truths(a: bool, b: bool) -> Tuple[str, str, str, str]:
    return chosen("eq", a == b), chosen("ne", a != b), chosen("true", a.is_true()), chosen("false", a.is_false())


@workflow
def compare_colors(a: Color, b: Color) -> Tuple[str, str]:
    return chosen("eq", a == b), chosen("ne", a != b)


@workflow
def order_of_truths(a: bool, b: bool) -> str:
    return chosen("less", a < b)


@workflow
def constants(n: int, x: float, s: str) -> Tuple[str, str, str, str]:
    return chosen("n", n >= 3), chosen("x", x < 0.25), chosen("s", s != ""), chosen("reversed", 3 > n)


# Conjunctions.

@workflow
def conjunctions(a: bool, b: bool, c: bool) -> Tuple[str, str, str, str, str]:
    x, y, z = a.is_true(), b.is_true(), c.is_true()
    return (chosen("and", x & y), chosen("or", x | y), chosen("and-or", (x & y) | z), chosen("or-and", (x | y) & z),
            chosen("many", (x & (y | z)) | ((x | y) & (y & z)) | (a.is_false() & b.is_false() & c.is_false())))


@workflow
def many_cases(n: int, low: int = 10, high: int = 20) -> str:
    return (conditional("many").if_(n < 0).then(leaves.text(v="negative")).elif_(n == 0).then(leaves.text(v="zero"))
            .elif_((n > low) & (n < high)).then(leaves.text(v="between")).elif_((n == low) | (n == high))
            .then(leaves.text(v="edge")).elif_(n > high).then(leaves.text(v="above")).else_()
            .then(leaves.text(v="below")))


# Where the operands come from.

@task
def measure(text: str) -> Tuple[int, bool, str]:
    return len(text), text.isupper(), text[:1]


@workflow
def on_task_outputs(text: str) -> Tuple[str, str, str]:
    length, upper, first = measure(text=text)
    return chosen("length", length > 3), chosen("upper", upper.is_true()), chosen("first", first == "A")


@workflow
def on_two_nodes(a: int, b: int) -> Tuple[str, str]:
    first, second = leaves.integer(v=a), leaves.integer(v=b)
    return chosen("nodes", first < second), chosen("node and input", (first == a) & (b > second))


@workflow
def on_a_color(c: Color) -> str:
    return chosen("same", colored(v=c) == c)


# What a branch gives.

class Both(NamedTuple):
    left: int
    right: str


@workflow
def gives_both(n: int) -> Both:
    return Both(leaves.integer(v=n), leaves.text(v="both"))


class Left(NamedTuple):
    left: int


@workflow
def gives_left(n: int) -> Left:
    return Left(leaves.integer(v=n))


@workflow
def common_outputs(n: int) -> int:
    """Only what all cases give can be used."""
    return conditional("common").if_(n > 0).then(gives_both(n=n)).else_().then(gives_left(n=n))


@workflow
def nothing(n: int):
    leaves.integer(v=n)


@workflow
def gives_nothing(n: int):
    conditional("void").if_(n > 0).then(nothing(n=n)).else_().then(leaves.integer(v=n))


@workflow
def after_a_branch(n: int) -> Tuple[int, int]:
    b = conditional("first").if_(n > 0).then(leaves.integer(v=n)).else_().then(leaves.integer(v=0))
    c = leaves.integer(v=b)
    d = conditional("second").if_(c > 10).then(leaves.integer(v=c)).else_().then(leaves.integer(v=b))
    return c, d


# Nested.

@workflow
def three_deep(a: int, b: int, c: int) -> str:
    return (conditional("a").if_(a > 0).then(
        conditional("b").if_(b > 0).then(
            conditional("c").if_(c > 0).then(leaves.text(v="abc")).else_().then(leaves.text(v="ab")))
        .else_().then(leaves.text(v="a"))).else_().then(
            conditional("not a").if_(b > 0).then(leaves.text(v="b")).else_().fail("nothing of it holds")))


@workflow
def fails_by_choice(n: int) -> int:
    leaves.integer(v=n)
    return (conditional("strict").if_(n > 100).then(leaves.integer(v=n)).elif_(n > 50).then(leaves.integer(v=50))
            .else_().fail("n is not above 50"))


# What a branch chooses from.

@workflow
def inner(n: int) -> int:
    return conditional("inner").if_(n > 5).then(leaves.integer(v=n)).else_().then(leaves.integer(v=5))


inner_plan = LaunchPlan.get_or_create(inner, "branches.inner_plan")


@workflow
def of_workflows(n: int) -> int:
    return (conditional("kind").if_(n < 10).then(inner(n=n)).elif_(n < 20).then(inner_plan(n=n)).else_()
            .then(leaves.integer(v=n)))


@workflow
def in_a_workflow(n: int) -> int:
    return conditional("twice").if_(n > 1).then(of_workflows(n=n)).else_().then(of_workflows(n=1))


@task
def refuse(n: int) -> int:
    if n > 0:
        raise ValueError(f"{n} is refused")
    return n


@workflow
def taken_one_fails(n: int) -> int:
    b = conditional("risky").if_(n > 0).then(refuse(n=n)).else_().then(leaves.integer(v=n))
    return leaves.integer(v=b)

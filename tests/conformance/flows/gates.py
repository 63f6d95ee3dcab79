"""Gates: workflows of test_gates_run.py."""
import datetime
from dataclasses import dataclass
from enum import Enum
from typing import Dict, List, Optional, Tuple

from flytekit import LaunchPlan, approve, conditional, sleep, wait_for_input, workflow
from flytekit.core.node_creation import create_node

import leaves

HOUR, SECOND = datetime.timedelta(hours=1), datetime.timedelta(seconds=1)


class Color(Enum):
    RED = "red"
    GREEN = "green"


@dataclass
class Order:
    item: str
    amount: int


@workflow
def approved(n: int) -> int:
    return leaves.integer(v=approve(leaves.integer(v=n), "ok", timeout=HOUR))


@workflow
def approved_twice(n: int) -> Tuple[int, int]:
    """One signal, two gates."""
    a = leaves.integer(v=n)
    return approve(a, "ok", timeout=HOUR), approve(a, "ok", timeout=HOUR)


@workflow
def inputs() -> Tuple[int, float, str, bool, datetime.datetime, datetime.timedelta]:
    return (wait_for_input("integer", HOUR, int), wait_for_input("number", HOUR, float), wait_for_input("text", HOUR, str),
            wait_for_input("truth", HOUR, bool), wait_for_input("time", HOUR, datetime.datetime),
            wait_for_input("duration", HOUR, datetime.timedelta))


@workflow
def large_inputs() -> Tuple[List[int], Dict[str, str], Order, Color]:
    return (wait_for_input("list", HOUR, List[int]), wait_for_input("map", HOUR, Dict[str, str]),
            wait_for_input("order", HOUR, Order), wait_for_input("color", HOUR, Color))


@workflow
def decides() -> int:
    """A branch on what somebody says."""
    n = wait_for_input("n", HOUR, int)
    return conditional("n").if_(n > 3).then(leaves.integer(v=n)).else_().then(leaves.integer(v=3))


@workflow
def sleeps(directory: str) -> int:
    nap = sleep(datetime.timedelta(milliseconds=1200))
    after = leaves.integer(v=1)
    nap >> after
    return after


@workflow
def too_late_to_approve(n: int) -> int:
    return approve(leaves.integer(v=n), "late", timeout=SECOND)


@workflow
def too_late_to_say(n: int) -> int:
    leaves.integer(v=n)
    return wait_for_input("late", SECOND, int)


@workflow
def inner(n: int) -> int:
    return approve(leaves.integer(v=n), "inner", timeout=HOUR)


inner_plan = LaunchPlan.get_or_create(inner, "gates.inner_plan")


@workflow
def in_a_workflow(n: int) -> int:
    return inner(n=inner(n=n))


@workflow
def in_a_child(n: int) -> int:
    return inner_plan(n=n)

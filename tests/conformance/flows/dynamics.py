"""Dynamic tasks: workflows of test_dynamics_run.py. A start of a task costs a second: what they make are mostly echoes."""
import datetime
from functools import partial
from typing import Dict, List, Tuple

from flytekit import LaunchPlan, approve, conditional, dynamic, map_task, sleep, task, wait_for_input, workflow
from flytekit.core.array_node import array_node

import leaves


@task
def add(a: int, b: int) -> int:
    return a + b


# What they return.

@dynamic
def constants(n: int) -> Tuple[int, str, List[int]]:
    """No node at all: flytekit writes outputs, not futures."""
    return n, "text", [n, 1]


@dynamic
def constants_and_nodes(n: int) -> Tuple[int, int, List[int], Dict[str, int]]:
    a = leaves.integer(v=n)
    return 7, a, [a, 3, a], {"a": a, "b": 4}


@dynamic
def list_of_promises(n: int) -> List[int]:
    return [leaves.integer(v=i) for i in range(n)]


@dynamic
def lists_of_lists(n: int) -> List[List[int]]:
    return [[leaves.integer(v=k) for k in range(i)] for i in range(n)]


@dynamic
def nothing(n: int):
    for i in range(n):
        leaves.integer(v=i)


@workflow
def returns_constants(n: int) -> Tuple[int, str, List[int], int]:
    a, b, c = constants(n=n)
    return a, b, c, leaves.integer(v=a)


@workflow
def returns_constants_and_nodes(n: int) -> Tuple[int, int, List[int], Dict[str, int], List[int]]:
    a, b, c, d = constants_and_nodes(n=n)
    return a, b, c, d, leaves.integers(v=c)


@workflow
def returns_lists(n: int) -> Tuple[List[int], List[List[int]]]:
    nothing(n=n)
    return list_of_promises(n=n), lists_of_lists(n=n)


# What they call.

@workflow
def sub(n: int) -> int:
    a = leaves.integer(v=n)
    return conditional("sub").if_(a > 2).then(leaves.integer(v=a)).else_().then(leaves.integer(v=2))


sub_plan = LaunchPlan.get_or_create(sub, "dynamics.sub_plan")


@dynamic
def everything(n: int) -> Tuple[int, int, int, List[int], List[int]]:
    a = sub(n=n)
    b = sub_plan(n=a)
    c = conditional("c").if_(b > 2).then(sub(n=b)).else_().then(sub_plan(n=b))
    d = map_task(partial(add, b=n))(a=[c])
    e = array_node(sub_plan)(n=[n, b])
    nap = sleep(datetime.timedelta(milliseconds=100))
    last = leaves.integer(v=c)
    nap >> last
    return a, b, last, d, e


@workflow
def calls_everything(n: int) -> Tuple[int, int, int, List[int], List[int]]:
    return everything(n=n)


# Nested.

@dynamic
def count_down(n: int) -> int:
    """By itself, until there is nothing to count."""
    return count_down(n=n - 1) if n > 0 else leaves.integer(v=n + 100)


@workflow
def recursive(n: int) -> int:
    return count_down(n=n)


@workflow
def inner(n: int) -> List[int]:
    return list_of_promises(n=n)


@dynamic
def calls_dynamics(n: int) -> Tuple[List[int], List[int]]:
    return list_of_promises(n=n), inner(n=n + 1)


@workflow
def nested(n: int) -> Tuple[List[int], List[int]]:
    return calls_dynamics(n=n)


@workflow
def in_a_branch(n: int) -> List[int]:
    return conditional("n").if_(n > 1).then(list_of_promises(n=n)).else_().then(leaves.integers(v=[n]))


@workflow
def in_a_branch_in_a_workflow(n: int) -> List[int]:
    return in_a_branch(n=n)


@dynamic
def chooses_a_map(n: int) -> List[int]:
    a = leaves.integer(v=n)
    return conditional("map").if_(a > 1).then(array_node(sub_plan)(n=[n, n])).else_().then(inner(n=n))


@workflow
def around_it(n: int) -> List[int]:
    return chooses_a_map(n=n)


@workflow
def deep(n: int) -> List[int]:
    """A map in a branch in a dynamic task in a workflow in a workflow."""
    return leaves.integers(v=around_it(n=n))


# Gates.

@dynamic
def asks(n: int) -> Tuple[int, str]:
    a = leaves.integer(v=n)
    ok = approve(a, "dynamic-ok", timeout=datetime.timedelta(hours=1))
    word = wait_for_input("dynamic-word", timeout=datetime.timedelta(hours=1), expected_type=str)
    return ok, word


@workflow
def gates_inside(n: int) -> Tuple[int, str]:
    return asks(n=n)


# Failures.

broken = leaves.shell("dynamics.broken", "echo for nothing; exit 9")


@dynamic
def fails_inside(n: int) -> int:
    broken()
    return leaves.integer(v=n)


@dynamic(retries=2)
def fails_with_retries(n: int) -> int:
    broken()
    return leaves.integer(v=n)


@workflow
def failing(n: int) -> int:
    return leaves.integer(v=fails_inside(n=n))


@workflow
def failing_once(n: int) -> int:
    """What its nodes do wrong is no reason to run the task again."""
    return fails_with_retries(n=n)


wait_long = leaves.shell("dynamics.wait_long", "sleep 600")


@workflow
def waits() -> int:
    wait_long()
    return leaves.integer(v=1)


waiting_plan = LaunchPlan.get_or_create(waits, "dynamics.waiting_plan")


@dynamic
def waits_in_many_ways():
    waiting_plan()
    waits()
    wait_long()


@workflow
def waiting():
    waits_in_many_ways()


@dynamic
def fails_itself(n: int) -> int:
    if n > 0:
        raise ValueError(f"no graph for {n}")
    return leaves.integer(v=n)


@workflow
def failing_itself(n: int) -> int:
    return fails_itself(n=n)


@dynamic
def makes_a_mismatch(n: int) -> int:
    """flytekit compares no types of promises, the compiler does."""
    return leaves.integer(v=leaves.text(v=str(n)))


@workflow
def mismatching(n: int) -> int:
    return makes_a_mismatch(n=n)

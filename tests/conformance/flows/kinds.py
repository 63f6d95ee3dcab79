"""Every kind of node that flytekit registers: workflows of test_kinds.py."""
import datetime
import time
import typing
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Dict, List, Optional, Tuple, Union

from flytekit import (LaunchPlan, approve, conditional, dynamic, map_task, reference_launch_plan, sleep, task,
                      wait_for_input, workflow)
from flytekit.core.array_node import array_node
from flytekit.types.error import FlyteError
from flytekit.types.file import FlyteFile
from flytekit.types.structured import StructuredDataset


class Color(Enum):
    RED = "red"
    GREEN = "green"


@dataclass
class Pair:
    a: int
    b: str


@task
def double(n: int) -> int:
    return 2 * n


@task
def square(n: int) -> int:
    return n * n


@task
def half(n: float) -> float:
    return n / 2


@task
def add(a: int, b: int) -> int:
    return a + b


@task
def total(xs: List[int]) -> int:
    return sum(xs)


@task
def total_some(xs: List[Optional[int]]) -> int:
    return sum(x or 0 for x in xs)


@task
def is_even(n: int) -> bool:
    return n % 2 == 0


@task
def split(n: int) -> Tuple[int, str]:
    return n, str(n)


@task
def say(text: str):
    print(text)


@task
def paint(c: Color) -> str:
    return c.value


@task
def either(x: Union[int, str]) -> Union[int, str]:
    return x


@task
def maybe(x: Optional[int] = None) -> int:
    return x or 0


@task
def make_pair(a: int) -> Pair:
    return Pair(a, str(a))


@task
def table() -> StructuredDataset:
    return StructuredDataset(uri="x")


@task
def read_table(t: StructuredDataset, path: FlyteFile) -> Dict[str, List[int]]:
    return {}


@task
def clean_up(n: int, err: typing.Optional[FlyteError] = None):
    print(n, err)


# Branches.

@workflow
def branches(n: int) -> int:
    return (conditional("size").if_(n > 100).then(double(n=n)).elif_((n > 10) & (n != 50)).then(square(n=n))
            .else_().fail("too small"))


@workflow
def nested_branches(x: float, n: int) -> int:
    even = is_even(n=n)
    d = double(n=n)
    inner = conditional("inner").if_(x < 0.5).then(double(n=d)).elif_(x < 0.75).then(square(n=d)).else_().fail("no")
    return conditional("outer").if_(even.is_true()).then(square(n=d)).elif_((x > 0.1) | (x < -1.0)).then(
        conditional("inner").if_(x < 0.5).then(double(n=d)).elif_(x < 0.75).then(square(n=d)).else_().then(
            double(n=inner))).else_().then(add(a=d, b=n))


@workflow
def void_branch(n: int, s: str):
    conditional("say").if_(s == "yes").then(say(text=s)).else_().then(double(n=n))


@workflow
def branch_of_workflows(n: int) -> int:
    return conditional("which").if_(n == 1).then(branches(n=n)).elif_(n == 2).then(branches_plan(n=n)).else_().then(
        inner_most(n=n))


# Workflows in workflows.

@workflow
def inner_most(n: int) -> int:
    return add(a=double(n=n), b=n)


@workflow
def middle(n: int, m: int = 3) -> Tuple[int, int]:
    a = inner_most(n=n)
    b = inner_most(n=a)
    double(n=m)
    return b, branches(n=b)


@workflow
def outer(n: int) -> int:
    a, b = middle(n=n)
    c, d = middle(n=a, m=b)
    say(text="between") >> double(n=d)
    return add(a=inner_most(n=c), b=d)


# Launch plans.

branches_plan = LaunchPlan.get_or_create(branches, "kinds.branches_plan", default_inputs={"n": 7})
fixed_plan = LaunchPlan.get_or_create(middle, "kinds.fixed_plan", fixed_inputs={"m": 4})


@workflow
def plans(n: int) -> int:
    a = branches_plan()
    b = branches_plan(n=n)
    c, d = fixed_plan(n=b)
    return add(a=add(a=a, b=c), b=d)


@workflow
def two_plans(n: int) -> Tuple[int, int]:
    return fixed_plan(n=branches_plan(n=n))


@task
def wait_long(n: int) -> int:
    time.sleep(600)
    return n


@workflow
def long_wait(n: int) -> int:
    return wait_long(n=n)


long_plan = LaunchPlan.get_or_create(long_wait, "kinds.long_plan")


@workflow
def long_child(n: int) -> int:
    return long_plan(n=n)


# Arrays.

@workflow
def maps(n: int, xs: List[int]) -> Tuple[int, List[Optional[int]], List[int]]:
    doubled = map_task(double, concurrency=3)(n=xs)
    some = map_task(square, min_success_ratio=0.5)(n=doubled)
    added = map_task(partial(add, b=n))(a=[n, 2, 3])
    total_some(xs=some)
    return total(xs=doubled), some, added


@workflow
def array_of_plans(xs: List[int]) -> List[int]:
    return array_node(fixed_inner, concurrency=2)(n=xs)


fixed_inner = LaunchPlan.get_or_create(inner_most, "kinds.fixed_inner")


@workflow
def map_in_branch(xs: List[int], n: int) -> List[int]:
    return conditional("map").if_(n > 1).then(map_task(double)(n=xs)).else_().then(map_task(square)(n=xs))


# Gates.

@workflow
def gates(n: int) -> Tuple[int, str]:
    d = double(n=n)
    ok = approve(d, "looks-good", timeout=datetime.timedelta(hours=1))
    name = wait_for_input("name", timeout=datetime.timedelta(hours=1), expected_type=str)
    s = sleep(datetime.timedelta(seconds=1))
    d >> s
    spoken = say(text=name)
    s >> spoken
    return add(a=ok, b=d), name


# Dynamic tasks.

@dynamic
def fan_out(n: int) -> List[int]:
    return [inner_most(n=double(n=i)) for i in range(n)]


@dynamic
def all_kinds(n: int) -> int:
    xs = map_task(double)(n=[n, n + 1])
    sub = inner_most(n=n)
    lp = fixed_inner(n=sub)
    return conditional("d").if_(sub > 10).then(add(a=lp, b=sub)).else_().then(total(xs=xs))


@workflow
def dynamics(n: int) -> int:
    return add(a=total(xs=fan_out(n=n)), b=all_kinds(n=n))


@workflow
def dynamic_sum(n: int) -> int:
    return total(xs=fan_out(n=n))


# Failure nodes.

@task
def break_down(n: int) -> int:
    if n > 0:
        raise ValueError(f"broken on purpose: {n}")
    return n


@workflow(on_failure=clean_up)
def breaks(n: int) -> int:
    return break_down(n=n)


@workflow(on_failure=clean_up)
def fragile(n: int) -> int:
    return double(n=n)


@workflow
def handle(n: int, err: typing.Optional[FlyteError] = None):
    clean_up(n=n, err=err)


@workflow(on_failure=handle)
def fragile_outer(n: int) -> int:
    return fragile(n=double(n=n))


# Types.

@workflow
def types(c: Color, p: Pair, u: Union[int, str], f: FlyteFile, m: Dict[str, List[int]]) -> Tuple[
        str, Union[int, str], Dict[str, List[int]], int]:
    say(text=paint(c=c))
    either(x=3)
    made = make_pair(a=p.a)
    double(n=m["k"][0])
    say(text=made.b)
    return paint(c=Color.GREEN), either(x=u), read_table(t=table(), path=f), add(a=maybe(), b=maybe(x=made.a))


# What is refused.

@reference_launch_plan(project="flytesnacks", domain="development", name="kinds.missing", version="1")
def missing_plan(n: int) -> int:
    ...


@workflow
def uses_missing_plan(n: int) -> int:
    return missing_plan(n=n)


@workflow
def mistyped(n: int) -> int:
    a = half(n=1.0)
    double(n=a)
    return conditional("typed").if_(n > 1).then(double(n=n)).else_().then(square(n=a))


WORKFLOWS = [branches, nested_branches, void_branch, branch_of_workflows, inner_most, middle, outer, plans, maps,
             array_of_plans, map_in_branch, gates, dynamics, fragile, fragile_outer, types]

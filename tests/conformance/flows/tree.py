"""Workflows of test_tree_run.py: every kind of node inside others."""
import datetime
from functools import partial
from typing import List, Tuple

from flytekit import LaunchPlan, conditional, dynamic, map_task, reference_launch_plan, sleep, task, workflow


@task
def double(n: int) -> int:
    return 2 * n


@task
def add(a: int, b: int) -> int:
    return a + b


@task
def numbers(n: int) -> List[int]:
    return list(range(n))


@workflow
def leaf(n: int) -> int:
    return add(a=double(n=n), b=1)


@workflow
def choice(n: int) -> int:
    return conditional("big").if_(n > 5).then(leaf(n=n)).else_().then(double(n=n))


@workflow
def deep(n: int) -> Tuple[int, int]:
    return leaf(n=n), choice(n=n)


leaf_plan = LaunchPlan.get_or_create(leaf, "tree.leaf_plan")


@dynamic
def inner_grow(n: int) -> int:
    return leaf(n=n)


@dynamic
def grow(n: int) -> Tuple[int, List[int], int]:
    a, b = deep(n=n)
    return add(a=a, b=inner_grow(n=b)), map_task(partial(add, b=n))(a=numbers(n=2)), leaf_plan(n=n)


@workflow
def tree(n: int) -> Tuple[int, int, List[int], int, int, int]:
    c = conditional("n").if_(n > 1).then(inner_grow(n=n)).else_().then(double(n=n))
    a, b = deep(n=3)
    g, m, p = grow(n=4)
    pause = sleep(datetime.timedelta(seconds=1))
    last = double(n=a)
    pause >> last
    return c, b, m, p, add(a=g, b=last), leaf_plan(n=n)


@reference_launch_plan(project="flytesnacks", domain="development", name="tree.endless", version="endless")
def endless_plan(n: int) -> int:
    ...


@dynamic
def one_more(n: int) -> int:
    return endless_plan(n=n)


@workflow
def endless(n: int) -> int:
    return one_more(n=n)

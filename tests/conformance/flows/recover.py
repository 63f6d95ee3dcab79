"""Workflows of test_recover_run.py: tasks that write down that they ran, and that fail until a file is there."""
import os
from functools import partial
from typing import List, Tuple

from flytekit import LaunchPlan, WorkflowFailurePolicy, conditional, current_context, dynamic, map_task, task, workflow


def ran(directory: str, name: str):
    with open(os.path.join(directory, "ran"), "a") as f:
        f.write(name + "\n")


def break_unless(directory: str, name: str):
    if not os.path.exists(os.path.join(directory, name)):
        raise ValueError(f"there is no {name}")


@task
def step(d: str, name: str, n: int) -> int:
    ran(d, name)
    return n + 1


@task
def fragile(d: str, name: str, n: int) -> int:
    ran(d, name)
    break_unless(d, "go")
    return n + 1


@task
def item(n: int, d: str) -> int:
    ran(d, f"item-{n}")
    if n % 4 == 0:
        break_unless(d, "go")
    return 10 * n


@task
def resumed(d: str) -> str:
    checkpoint = current_context().checkpoint
    before = checkpoint.read() if checkpoint else None
    ran(d, "resumed")
    if not os.path.exists(os.path.join(d, "go")):
        checkpoint.write(b"half done")
        raise ValueError("there is no go")
    return (before or b"nothing").decode()


@task
def numbers(n: int) -> List[int]:
    return [n, n + 1, n + 2, n + 3]


@workflow
def leaf(d: str, n: int) -> int:
    a = step(d=d, name="leaf", n=n)
    return conditional("leaf").if_(a > 0).then(fragile(d=d, name="in-branch", n=a)).else_().then(
        step(d=d, name="never", n=a))


@workflow
def nested(d: str, n: int) -> Tuple[int, int]:
    a = step(d=d, name="nested", n=n)
    return a, leaf(d=d, n=a)


@dynamic
def grow(d: str, n: int) -> int:
    ran(d, "grow")
    a = step(d=d, name="grown", n=n)
    return fragile(d=d, name="grown-fragile", n=a)


@dynamic
def grow_well(d: str, n: int) -> int:
    ran(d, "grow-well")
    return step(d=d, name="grown-well", n=n)


leaf_plan = LaunchPlan.get_or_create(leaf, "recover.leaf_plan")
after_all = WorkflowFailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE


@workflow(failure_policy=after_all)
def everything(d: str, n: int) -> Tuple[int, int, int, int, List[int], int, str]:
    a = step(d=d, name="first", n=n)
    b, c = nested(d=d, n=a)
    g = grow(d=d, n=a)
    w = grow_well(d=d, n=a)
    m = map_task(partial(item, d=d), concurrency=1)(n=numbers(n=n))
    p = leaf_plan(d=d, n=a)
    return b, c, g, w, m, p, resumed(d=d)

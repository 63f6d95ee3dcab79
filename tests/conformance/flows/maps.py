"""Maps: workflows of test_maps_run.py."""
from functools import partial
from typing import List, Optional, Tuple

from flytekit import LaunchPlan, conditional, dynamic, kwtypes, map_task, reference_task, task, workflow
from flytekit.core.array_node import array_node

import leaves
import referenced

PLACE = {"project": "flytesnacks", "domain": "development", "version": referenced.VERSION}


# Tasks of Python.

@task
def join(word: str, n: int, sep: str) -> str:
    return f"{word}{sep}{n}"


@task
def add(a: int, b: int) -> int:
    return a + b


@task(retries=1)
def refuse(n: int) -> int:
    if n == 2:
        raise ValueError(f"{n} is refused")
    return n


@task
def say(n: int):
    print(n)


@task
def total(xs: List[Optional[int]]) -> int:
    return sum(x or 0 for x in xs)


@workflow
def partials(words: List[str], n: int) -> Tuple[List[str], List[int]]:
    some = map_task(partial(join, sep="-", n=n))(word=words)
    return some, map_task(add)(a=[1, n], b=[n, 40])


@workflow
def bound_values(words: List[str]) -> List[str]:
    return map_task(join, bound_inputs_values={"sep": "+", "n": 7})(word=words)


@workflow
def different_lengths(xs: List[int], ys: List[int]) -> List[int]:
    return map_task(add)(a=xs, b=ys)


@workflow
def void_items(xs: List[int]):
    map_task(say)(n=xs)


@workflow
def one_refused(xs: List[int]) -> List[int]:
    return map_task(refuse, concurrency=1)(n=xs)


@workflow
def holes(xs: List[int]) -> Tuple[List[Optional[int]], int]:
    some = map_task(refuse, min_success_ratio=0.5)(n=xs)
    return some, total(xs=some)


# Tasks that are registered already: scripts.

@reference_task(name="referenced.odd_fails", **PLACE)
def odd_fails(v: int) -> int:
    return 0


@reference_task(name="referenced.integer", **PLACE)
def integer(v: int) -> int:
    return 0


@reference_task(name="referenced.timed", **PLACE)
def timed(directory: str):
    ...


@reference_task(name="referenced.second_time", **PLACE)
def second_time(directory: str, v: int) -> int:
    return 0


@reference_task(name="referenced.too_long", **PLACE)
def too_long(v: int) -> int:
    return 0


@workflow
def echoes(xs: List[int]) -> List[int]:
    return array_node(integer)(v=xs)


@workflow
def of_a_map(xs: List[int]) -> Tuple[List[int], int]:
    """One map's outputs are another's inputs, and one of them is a number."""
    first = array_node(integer)(v=xs)
    second = array_node(integer)(v=first)
    return second, leaves.integer(v=second[1])


@workflow
def all_even(xs: List[int]) -> List[int]:
    return array_node(odd_fails, concurrency=1)(v=xs)


@workflow
def half_even(xs: List[int]) -> List[Optional[int]]:
    return array_node(odd_fails, min_success_ratio=0.5)(v=xs)


@workflow
def two_even(xs: List[int]) -> List[int]:
    return array_node(odd_fails, min_successes=2)(v=xs)


@workflow
def any_even(xs: List[int]) -> List[Optional[int]]:
    return array_node(odd_fails, min_success_ratio=0.0)(v=xs)


@workflow
def all_bound(n: int) -> List[int]:
    return map_task(partial(add, a=n, b=n))()


@workflow
def two_at_a_time(directories: List[str]):
    array_node(timed, concurrency=2)(directory=directories)


@workflow
def as_the_execution_allows(directories: List[str]):
    array_node(timed)(directory=directories)


@workflow
def retried(directories: List[str], xs: List[int]) -> List[int]:
    return array_node(second_time)(directory=directories, v=xs)


@workflow
def timed_out(xs: List[int]) -> List[Optional[int]]:
    return array_node(too_long, min_success_ratio=0.5)(v=xs)


# Launch plans.

@workflow
def item(n: int, k: int = 3) -> int:
    leaves.integer(v=k)
    return conditional("small").if_(n < 100).then(leaves.integer(v=n)).else_().fail("too large")


@workflow
def item_list(xs: List[int]) -> List[int]:
    return leaves.integers(v=xs)


item_plan = LaunchPlan.get_or_create(item, "maps.item_plan")
fixed_plan = LaunchPlan.get_or_create(item, "maps.fixed_plan", fixed_inputs={"k": 4})
list_plan = LaunchPlan.get_or_create(item_list, "maps.list_plan")


@workflow
def plans(xs: List[int]) -> Tuple[List[int], List[int]]:
    return array_node(fixed_plan)(n=xs), map_task(item_plan, concurrency=1)(n=xs, k=xs)


@workflow
def plan_fails(xs: List[int]) -> List[int]:
    return array_node(item_plan, concurrency=1)(n=xs, k=xs)


@workflow
def some_plans(xs: List[int]) -> List[Optional[int]]:
    return array_node(item_plan, min_success_ratio=0.5)(n=xs, k=xs)


@workflow
def nested_lists(xss: List[List[int]]) -> List[List[int]]:
    return array_node(list_plan)(xs=xss)


wait_long = leaves.shell("maps.wait_long", "test {{.inputs.n}} = 0 && exit 7; sleep 600", inputs=kwtypes(n=int))


@workflow
def waiting_item(n: int) -> int:
    wait_long(n=n)
    return leaves.integer(v=n)


waiting_plan = LaunchPlan.get_or_create(waiting_item, "maps.waiting_plan")


@workflow
def waiting_plans(xs: List[int]) -> List[int]:
    return array_node(waiting_plan)(n=xs)


# In others.

@workflow
def inside(xs: List[int]) -> List[int]:
    return echoes(xs=xs)


@workflow
def in_branches(xs: List[int], n: int) -> List[int]:
    return conditional("n").if_(n > 0).then(inside(xs=xs)).else_().then(array_node(integer)(v=[n, n]))


@dynamic
def many(n: int) -> Tuple[List[int], List[int]]:
    return array_node(fixed_plan)(n=list(range(n))), map_task(partial(add, b=n))(a=[n])


@workflow
def in_a_dynamic(n: int) -> Tuple[List[int], List[int]]:
    return many(n=n)

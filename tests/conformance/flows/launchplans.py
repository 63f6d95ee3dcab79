"""Launch plans as nodes, and references to what is registered already: workflows of test_launchplans_run.py."""
import datetime
from typing import List, Tuple

from flytekit import (Labels, LaunchPlan, conditional, kwtypes, reference_launch_plan, reference_task,
                      reference_workflow, workflow)
from flytekit.core.node_creation import create_node

import leaves
import referenced

PLACE = {"project": "flytesnacks", "domain": "development", "version": referenced.VERSION}


@workflow
def child(n: int, xs: List[int], label: str = "child's") -> Tuple[int, str, List[int]]:
    return leaves.integer(v=n), leaves.text(v=label), leaves.integers(v=xs)


default_plan = LaunchPlan.get_or_create(child)
defaults_plan = LaunchPlan.get_or_create(child, "launchplans.defaults", default_inputs={"n": 7, "label": "plan's"})
fixed_plan = LaunchPlan.get_or_create(child, "launchplans.fixed", fixed_inputs={"label": "fixed", "xs": []})
mixed_plan = LaunchPlan.get_or_create(child, "launchplans.mixed", default_inputs={"n": 8}, fixed_inputs={"xs": [9]})


@workflow
def all_plans(n: int) -> Tuple[int, str, List[int], int, str, List[int], int, str, List[int], int, str, List[int]]:
    a, b, c = default_plan(n=n, xs=[1, 2])
    d, e, f = defaults_plan(xs=[1, 2])
    g, h, i = fixed_plan(n=d)
    j, k, l = mixed_plan(label=e)
    return a, b, c, d, e, f, g, h, i, j, k, l


@workflow
def given_over_default(n: int) -> Tuple[int, str, List[int]]:
    return defaults_plan(n=n, label="node's", xs=[n, n])


# Three executions deep.

@workflow
def grandchild(n: int) -> int:
    return leaves.integer(v=n)


grandchild_plan = LaunchPlan.get_or_create(grandchild, "launchplans.grandchild")


@workflow
def between(n: int) -> int:
    return grandchild_plan(n=n)


between_plan = LaunchPlan.get_or_create(between, "launchplans.between")


@workflow
def three_deep(n: int) -> int:
    return between_plan(n=n)


# Inside others, and others after it.

@workflow
def launches(n: int) -> int:
    a = leaves.integer(v=n)
    return grandchild_plan(n=a)


@workflow
def inside(n: int) -> Tuple[int, int]:
    a = launches(n=n)
    b = conditional("which").if_(a > 5).then(grandchild_plan(n=a)).else_().then(launches(n=a))
    return a, b


@workflow
def no_outputs(n: int):
    leaves.integer(v=n)


void_plan = LaunchPlan.get_or_create(no_outputs, "launchplans.void")


@workflow
def order_of_children(n: int) -> int:
    a = create_node(void_plan, n=n)
    b = create_node(grandchild_plan, n=n)
    c = create_node(leaves.integer, v=n)
    a >> b
    b >> c
    return b.o0


# Failures.

broken = leaves.shell("launchplans.broken", "echo so it goes; exit 6")


@workflow
def fails(n: int) -> int:
    broken()
    return leaves.integer(v=n)


failing_plan = LaunchPlan.get_or_create(fails, "launchplans.failing")


@workflow
def fails_between(n: int) -> int:
    return failing_plan(n=n)


fails_between_plan = LaunchPlan.get_or_create(fails_between, "launchplans.fails_between")


@workflow
def fails_above(n: int) -> int:
    return fails_between_plan(n=n)


@workflow
def chooses_to_fail(n: int) -> int:
    return conditional("choice").if_(n > 5).then(leaves.integer(v=n)).else_().fail("not above 5")


choosy_plan = LaunchPlan.get_or_create(chooses_to_fail, "launchplans.choosy")


@workflow
def user_error_above(n: int) -> int:
    return choosy_plan(n=n)


@workflow
def not_tried_again(n: int) -> int:
    """Retries are for attempts of tasks; a child that failed has failed."""
    return choosy_plan(n=n).with_overrides(retries=2)


wait_long = leaves.shell("launchplans.wait_long", "sleep 600")


@workflow
def waits():
    wait_long()


waiting_plan = LaunchPlan.get_or_create(waits, "launchplans.waiting")


@workflow
def waits_above():
    waiting_plan()


@workflow
def waits_far_above():
    waits_above()


@workflow
def timed_out_child():
    """The node's own time is up; its child is aborted."""
    create_node(waiting_plan).with_overrides(timeout=datetime.timedelta(seconds=5))


# Inherited by children.

GREETING = (r"mkdir -p {{.outputPrefix}}; printf '\012\031\012\010greeting\022\015\012\013\012\011\032\007%.7s' "
            r'"$GREETING" > {{.outputPrefix}}/outputs.pb')
show = leaves.shell("launchplans.show", GREETING, outputs=kwtypes(greeting=str))


@workflow
def greets() -> str:
    return show()


greeting_plan = LaunchPlan.get_or_create(greets, "launchplans.greeting", labels=Labels({"from": "plan"}))


@workflow
def greets_above() -> str:
    return greeting_plan()


# References.

@reference_task(name="referenced.add", **PLACE)
def add(a: int, b: int) -> int:
    return None


@reference_workflow(name="referenced.labelled", **PLACE)
def labelled(n: int, label: str = "none") -> referenced.Result:
    return None


@reference_launch_plan(name="referenced.plan", **PLACE)
def plan(n: int, label: str) -> referenced.Result:
    return None


@workflow
def references(n: int) -> Tuple[int, int, str]:
    a = add(a=n, b=1)
    b = plan(n=a, label="reference's")
    return a, b.total, b.label

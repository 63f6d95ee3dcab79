"""Workflows in workflows, imperative ones, order without data, and references: workflows of test_subworkflows_run.py."""
from dataclasses import dataclass
from typing import Dict, List, NamedTuple, Optional, Tuple

from flytekit import Workflow, WorkflowFailurePolicy, conditional, kwtypes, task, workflow
from flytekit.core.node_creation import create_node

import leaves


def note(name, seconds=0):
    """Writes its name to a file."""
    script = (f"echo {name} start >> {{{{.inputs.directory}}}}/order; sleep {seconds}; "
              f"echo {name} end >> {{{{.inputs.directory}}}}/order")
    return leaves.shell(f"subworkflows.{name}", script, inputs=kwtypes(directory=str))


first, second, third = note("first", 0.4), note("second"), note("third")


# Three levels whose nodes have the same names.

@workflow
def level_three(v: int) -> int:
    a = leaves.integer(v=v)
    return leaves.integer(v=a)


@workflow
def level_two(v: int) -> Tuple[int, int]:
    a = level_three(v=v)
    b = level_three(v=5)
    return a, b


@workflow
def level_one(v: int) -> Tuple[int, int, int]:
    a, b = level_two(v=v)
    c, d = level_two(v=b)
    return a, c, d


# Interfaces: names, defaults, constants, collections of promises, inputs handed straight through.

class Named(NamedTuple):
    total: int
    label: str


@workflow
def with_names(n: int, label: str = "default") -> Named:
    return Named(total=leaves.integer(v=n), label=leaves.text(v=label))


@workflow
def uses_names(n: int) -> Tuple[int, str, str]:
    a = with_names(n=n)
    b = with_names(n=a.total, label="given")
    return b.total, a.label, b.label


@workflow
def straight_through(n: int, xs: List[int]) -> Tuple[int, List[int]]:
    leaves.integer(v=n)
    return n, xs


@workflow
def constants(n: int) -> Tuple[int, List[int], List[int]]:
    a, xs = straight_through(n=n, xs=[1, 2, 3])
    _, ys = straight_through(n=3, xs=[a, n, 9])
    return a, xs, ys


@workflow
def empty_inside(n: int) -> int:
    leaves.integer(v=n)
    return n


@workflow
def no_inputs() -> str:
    return leaves.text(v="constant")


@workflow
def no_outputs(n: int):
    leaves.integer(v=n)


@workflow
def bare(n: int) -> Tuple[int, str]:
    no_outputs(n=n)
    return empty_inside(n=n), no_inputs()


# Attributes of what sub-workflows give.

@dataclass
class Point:
    x: int
    tags: Dict[str, List[str]]


@task
def make_point(x: int) -> Point:
    return Point(x, {"t": ["zero", f"x{x}"]})


@workflow
def point_inside(x: int) -> Tuple[Point, List[int]]:
    return make_point(x=x), [x, 7]


@workflow
def attributes(x: int) -> Tuple[int, str, int]:
    p, xs = point_inside(x=x)
    return leaves.integer(v=p.x), leaves.text(v=p.tags["t"][1]), leaves.integer(v=xs[1])


# Order without data.

@workflow
def in_order(directory: str):
    c, b, a = third(directory=directory), second(directory=directory), first(directory=directory)
    a >> b
    b >> c


@workflow
def one_note(directory: str):
    first(directory=directory)


@workflow
def order_of_workflows(directory: str):
    b = create_node(second, directory=directory)
    a = create_node(one_note, directory=directory)
    a >> b


# Imperative.

imperative = Workflow(name="subworkflows.imperative")
imperative.add_workflow_input("n", int)
imperative.add_workflow_input("words", List[str])
node_a = imperative.add_entity(leaves.integer, v=imperative.inputs["n"])
node_b = imperative.add_entity(leaves.integer, v=node_a.outputs["o0"])
node_c = imperative.add_subwf(with_names, n=node_b.outputs["o0"], label="inner")
imperative.add_workflow_output("sum", node_c.outputs["total"])
imperative.add_workflow_output("pair", [node_a.outputs["o0"], node_b.outputs["o0"]], python_type=List[int])
imperative.add_workflow_output("label", node_c.outputs["label"])


@workflow
def around_imperative(n: int) -> Tuple[int, List[int]]:
    made = imperative(n=n, words=["a"])
    return made.sum, made.pair


# Failures.

never_works = leaves.shell("subworkflows.never_works", "exit 4")
endless = note("endless", 600)
fails_beside_it = leaves.shell("subworkflows.fails_beside_it",
                               "until [ -s {{.inputs.directory}}/order ]; do sleep 0.05; done; exit 4",
                               inputs=kwtypes(directory=str))


@workflow
def fails_inside(n: int) -> int:
    never_works()
    return leaves.integer(v=n)


@workflow
def fails_deep(n: int) -> int:
    a = leaves.integer(v=n)
    return leaves.integer(v=fails_inside(n=a))


@workflow
def fails_deeper(n: int) -> int:
    return fails_deep(n=n)


@workflow(failure_policy=WorkflowFailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
def patient(directory: str) -> int:
    never_works()
    a = first(directory=directory)
    b = second(directory=directory)
    a >> b
    c = fails_inside(n=1)
    return leaves.integer(v=c)


@workflow
def impatient(directory: str):
    a, b = endless(directory=directory), second(directory=directory)
    a >> b
    fails_beside_it(directory=directory)


# Null and default values.

@workflow
def optional(n: Optional[int] = None, s: str = "s") -> Tuple[Optional[int], str]:
    return n, leaves.text(v=s)


@workflow
def optionals(n: int) -> Tuple[Optional[int], Optional[int], str]:
    a, s = optional()
    b, _ = optional(n=n, s="t")
    return a, b, s


@workflow
def branch_below(n: int) -> int:
    """A branch over a workflow's outputs of a workflow with a branch."""
    a = empty_inside(n=n)
    return conditional("below").if_(a > 0).then(level_three(v=a)).else_().then(empty_inside(n=n))

"""What launchplans.py refers to by name: registered beforehand, as VERSION."""
from typing import NamedTuple

from flytekit import LaunchPlan, task, workflow

import leaves

VERSION = "referenced-1"
integer = leaves.Echo(name="referenced.integer", inputs={"v": int})


class Result(NamedTuple):
    total: int
    label: str


@task
def add(a: int, b: int) -> int:
    return a + b


@workflow
def labelled(n: int, label: str = "none") -> Result:
    return Result(total=integer(v=n), label=leaves.text(v=label))


plan = LaunchPlan.get_or_create(labelled, "referenced.plan", default_inputs={"label": "by the plan"})

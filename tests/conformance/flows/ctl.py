"""Workflows of test_flytectl*.py and test_remote_*.py: of every kind that flytectl draws, with launch plans that say much."""
import datetime
import os
import time
from dataclasses import dataclass
from enum import Enum
from typing import Dict, List, Optional, Tuple, Union

from flytekit import CronSchedule, Deck, Email, FixedRate, LaunchPlan, conditional, current_context, dynamic, task, workflow
from flytekit.deck import MarkdownRenderer
from flytekit.models.common import Annotations, Labels
from flytekit.models.core.execution import WorkflowExecutionPhase
from flytekit.types.file import FlyteFile

import leaves


@task(cache=True, cache_version="7")
def greet(name: str, times: int = 1) -> str:
    """
    Greets somebody.

    :param name: who is greeted
    :param times: how often
    """
    return ", ".join([f"hello {name}"] * times)


class Colour(Enum):
    RED = "red"
    GREEN = "green"


@dataclass
class Point:
    x: int
    label: str


@task
def simple(i: int, f: float, s: str, b: bool, t: datetime.datetime, d: datetime.timedelta, c: Colour) -> str:
    return repr([i, f, s, b, t.isoformat(), d.total_seconds(), c.value])


@task
def nested(li: List[int], ll: List[List[str]], m: Dict[str, float], p: Point, g: dict, o: Optional[int],
           u: Union[int, str], a: FlyteFile) -> str:
    with open(a.download()) as f:
        return repr([li, ll, m, p.x, p.label, g, o, u, f.read()])


@task
def needs(path: str, n: int) -> int:
    if not os.path.exists(path):
        raise ValueError(f"there is no {path}")
    return 2 * n


@task(enable_deck=True)
def decked(title: str) -> FlyteFile:
    Deck("words", MarkdownRenderer().to_html(f"# {title}"))
    path = os.path.join(current_context().working_directory, "words.txt")
    with open(path, "w") as f:
        f.write(title)
    return FlyteFile(path)


@task
def waits(seconds: int):
    time.sleep(seconds)


@dynamic
def grows(n: int) -> int:
    return leaves.integer(v=leaves.integer(v=n))


@workflow
def hello(name: str = "you") -> str:
    """
    Says hello.

    :param name: to whom
    """
    return greet(name=name)


@workflow
def echoes(n: int = 3) -> int:
    return leaves.integer(v=leaves.integer(v=n))


@workflow
def fragile(path: str, n: int) -> int:
    """Fails as long as the path is not there."""
    return needs(path=path, n=leaves.integer(v=n))


echoes_plan = LaunchPlan.get_or_create(echoes, "ctl.echoes_plan", default_inputs={"n": 5})


@workflow
def shapes(n: int) -> Tuple[int, int]:
    """A branch and a sub-workflow."""
    a = conditional("size").if_(n > 9).then(leaves.integer(v=n)).else_().then(echoes(n=n))
    return a, echoes(n=n)


@workflow
def launches(n: int) -> int:
    return echoes_plan(n=n)


daily = LaunchPlan.get_or_create(
    hello, "ctl.daily", fixed_inputs={"name": "day"}, schedule=CronSchedule(schedule="30 4 * * *"),
    notifications=[Email(phases=[WorkflowExecutionPhase.FAILED], recipients_email=["a@example.org", "b@example.org"])],
    labels=Labels({"team": "birds"}), annotations=Annotations({"note": "each morning"}), max_parallelism=4)
hourly = LaunchPlan.get_or_create(echoes, "ctl.hourly", schedule=FixedRate(datetime.timedelta(hours=1)))

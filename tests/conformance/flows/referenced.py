"""What launchplans.py refers to by name: registered beforehand, as VERSION."""
import datetime
from typing import NamedTuple

from flytekit import LaunchPlan, kwtypes, task, workflow
from flytekit.core.base_task import TaskMetadata

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

# Items of maps, by shell: quick.
odd_fails = leaves.shell("referenced.odd_fails", "v={{.inputs.v}}; test $((v % 2)) = 0 || { echo $v is odd; exit 1; }; give $v",
                         inputs=kwtypes(v=int), outputs=kwtypes(o0=int))
# None goes on before as many as the file "least" says have begun.
timed = leaves.shell("referenced.timed", "cd {{.inputs.directory}}; echo + >> times; "
                     "until test $(grep -c + times) -ge $(cat least); do sleep 0.1; done; sleep 0.3; echo - >> times",
                     inputs=kwtypes(directory=str))
second_time = leaves.shell(
    "referenced.second_time", "f={{.inputs.directory}}/{{.inputs.v}}; echo x >> $f; n=$(wc -l < $f); "
    "test $n -ge {{.inputs.v}} || exit 1; give $n", inputs=kwtypes(directory=str, v=int), outputs=kwtypes(o0=int),
    metadata=TaskMetadata(retries=2))
too_long = leaves.shell("referenced.too_long", "test {{.inputs.v}} -lt 2 || sleep 600; give {{.inputs.v}}",
                        inputs=kwtypes(v=int), outputs=kwtypes(o0=int),
                        metadata=TaskMetadata(timeout=datetime.timedelta(seconds=10)))

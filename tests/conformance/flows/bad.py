"""Tasks that leave what a test wrote: workflows of test_bad_input_run.py."""
import datetime
from typing import List, Tuple

from flytekit import kwtypes, map_task, task, wait_for_input, workflow

import leaves
from leaves import text  # noqa: F401  registered, for graphs of tests

LEAVE = "mkdir -p {{.outputPrefix}}; cp -r {{.inputs.directory}}/. {{.outputPrefix}}"

leaves_it = leaves.shell("bad.leaves_it", LEAVE, inputs=kwtypes(directory=str), outputs=kwtypes(o0=int))
leaves_list = leaves.shell("bad.leaves_list", LEAVE, inputs=kwtypes(directory=str), outputs=kwtypes(o0=List[int]))
slow = leaves.shell("bad.slow", "sleep 0.2; give {{.inputs.v}}", inputs=kwtypes(v=int), outputs=kwtypes(o0=int))


@task
def negative(n: int) -> int:
    return -n


@workflow
def crafted(directory: str) -> int:
    """The workflow goes on with what the task gave."""
    return leaves.integer(v=leaves_it(directory=directory))


@workflow
def crafted_and_mapped(directory: str) -> List[int]:
    return map_task(negative)(n=leaves_list(directory=directory))


@workflow
def healthy(n: int) -> Tuple[int, int]:
    """Begins before all else and ends after it."""
    a = slow(v=n)
    b = wait_for_input("go", datetime.timedelta(hours=1), int)
    return slow(v=slow(v=a)), leaves.integer(v=b)

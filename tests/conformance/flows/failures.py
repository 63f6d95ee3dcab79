"""Failures and failure nodes: workflows of test_failures_run.py."""
import datetime
from pathlib import Path
from typing import Optional

from flytekit import (LaunchPlan, Workflow, WorkflowFailurePolicy, conditional, dynamic, kwtypes, task, wait_for_input,
                      workflow)
from flytekit.core.base_task import TaskMetadata
from flytekit.types.error import FlyteError

import leaves

INPUT = kwtypes(directory=str)


def note(name, script="true", **kwargs):
    """Writes its name to a file, then does what it is told."""
    return leaves.shell(f"failures.{name}", f"echo {name} >> {{{{.inputs.directory}}}}/notes; " + script, inputs=INPUT,
                        **kwargs)


works, breaks, waits = note("works"), note("breaks", "echo in pieces; exit 3"), note("waits", "sleep 600")
works_beside = leaves.shell("failures.works_beside", "cd {{.inputs.directory}}; until grep -qs waits notes; do sleep 0.1; "
                            "done; echo works >> notes", inputs=INPUT)
cleans, cleans_badly = note("cleans"), note("cleans_badly", "echo cannot clean; exit 8")
cleans_late = note("cleans_late", "n=$(grep -c cleans_late {{.inputs.directory}}/notes); test $n -ge 2 || exit 1",
                   metadata=TaskMetadata(retries=1))


@task
def reports(directory: str, err: Optional[FlyteError] = None):
    Path(directory, "report").write_text(f"{err.failed_node_id}\n{err.message}" if err else "no error")


@workflow
def cleans_thoroughly(directory: str, err: Optional[FlyteError] = None):
    a, b = cleans(directory=directory), works(directory=directory)
    a >> b


@workflow
def passes_it_on(directory: str, err: Optional[FlyteError] = None):
    """The error as a value between nodes."""
    reports(directory=directory, err=err)


@workflow(on_failure=reports)
def reported(directory: str):
    breaks(directory=directory)


@workflow(on_failure=cleans)
def no_error_wanted(directory: str):
    breaks(directory=directory)


@workflow(on_failure=cleans)
def nothing_to_clean(directory: str):
    works(directory=directory)


@workflow(on_failure=cleans_thoroughly)
def by_a_workflow(directory: str):
    breaks(directory=directory)


@workflow(on_failure=passes_it_on)
def reported_by_a_workflow(directory: str):
    breaks(directory=directory)


@workflow(on_failure=cleans_badly)
def cannot_clean(directory: str):
    breaks(directory=directory)


@workflow(on_failure=cleans_late)
def tries_twice(directory: str):
    breaks(directory=directory)


@workflow(on_failure=cleans)
def waits_for_it(directory: str):
    """What runs is aborted first."""
    waits(directory=directory)
    works_beside(directory=directory) >> breaks(directory=directory)


@workflow(on_failure=cleans)
def outer(directory: str):
    no_error_wanted(directory=directory)


@workflow
def inner_only(directory: str):
    works(directory=directory)
    no_error_wanted(directory=directory)


@workflow(on_failure=cleans_badly)
def inner_cannot_clean(directory: str):
    cannot_clean(directory=directory)


@workflow(on_failure=reports)
def chooses(directory: str):
    conditional("never").if_(directory == "").then(works(directory=directory)).else_().fail("by choice")


plan = LaunchPlan.get_or_create(no_error_wanted, "failures.plan")


@workflow(on_failure=cleans)
def by_a_child(directory: str):
    plan(directory=directory)


@dynamic
def makes_it(directory: str):
    no_error_wanted(directory=directory)


@workflow(on_failure=cleans)
def by_a_dynamic(directory: str):
    makes_it(directory=directory)


@dynamic
def cleans_by_itself(directory: str):
    a, b = cleans(directory=directory), works(directory=directory)
    a >> b


@workflow(on_failure=cleans_by_itself)
def cleaned_by_a_dynamic(directory: str):
    breaks(directory=directory)


@workflow(on_failure=cleans, failure_policy=WorkflowFailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
def patient(directory: str):
    breaks(directory=directory)
    a, b = works(directory=directory), works(directory=directory)
    a >> b


breaks_late = note("breaks_late", "sleep 0.5; exit 5")


@workflow(failure_policy=WorkflowFailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
def two_failures(directory: str):
    breaks_late(directory=directory)
    breaks(directory=directory)


@workflow(on_failure=waits)
def cleans_forever(directory: str):
    breaks(directory=directory)


@workflow(on_failure=cleans)
def waits_forever(directory: str):
    waits(directory=directory)


@workflow(on_failure=cleans)
def nobody_says(directory: str):
    """Nor is anything else under way when its time is up."""
    word = wait_for_input("word", datetime.timedelta(seconds=1), str)
    works(directory=directory) >> word


imperative = Workflow(name="failures.imperative")
imperative.add_workflow_input("directory", str)
imperative.add_entity(breaks, directory=imperative.inputs["directory"])
imperative.add_on_failure_handler(cleans)

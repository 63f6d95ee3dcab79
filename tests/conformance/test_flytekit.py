"""The real flytekit registers, runs and reads workflows."""
import os
import subprocess
import sys

import basic
import pytest
from flytekit import LaunchPlan
from flytekit.exceptions.user import FlyteInvalidInputException
from flytekit.models.core.execution import TaskExecutionPhase
from flytekit.tools.translator import Options

from flyte_client import DOMAIN, FLOWS, PROJECT, alive, attempts, log_text, node_phase, nodes, phase
from stack import wait_for


def test_a_workflow_runs_and_its_outputs_come_back(client):
    execution = client.succeed(client.register("basic", "sums"), {"a": 3})
    assert execution.outputs["o0"] == 8
    assert execution.outputs["o1"] == "total: 8"
    assert execution.inputs["a"] == 3 and execution.inputs["b"] == 5


def test_given_inputs_take_the_place_of_defaults(client):
    execution = client.succeed(client.register("basic", "sums"), {"a": 3, "b": -4, "label": "so"})
    assert (execution.outputs["o0"], execution.outputs["o1"]) == (-1, "so: -1")


def test_nodes_and_attempts_tell_what_happened(client):
    execution = client.succeed(client.register("basic", "sums"), {"a": 1, "b": 1})
    ran = nodes(execution)
    assert sorted(ran) == ["n0", "n1"]
    assert [node_phase(ran[n]) for n in sorted(ran)] == ["SUCCEEDED", "SUCCEEDED"]
    assert ran["n0"].inputs["a"] == 1 and ran["n0"].outputs["o0"] == 2
    assert ran["n1"].inputs["label"] == "total"
    [attempt] = attempts(execution, "n0")
    assert attempt.closure.phase == TaskExecutionPhase.SUCCEEDED
    assert attempt.id.task_id.name == "basic.add" and attempt.id.retry_attempt == 0
    assert attempt.outputs["o0"] == 2
    times = [execution.closure.created_at, ran["n0"].closure.created_at, attempt.closure.created_at,
             ran["n1"].closure.created_at]
    times = [t.replace(tzinfo=None) for t in times]
    assert times == sorted(times)
    assert 0 < ran["n0"].closure.duration.total_seconds() < execution.closure.duration.total_seconds()
    assert "adding 1 and 1" in log_text(attempt)


def test_a_dataclass_goes_from_task_to_task(client):
    execution = client.succeed(client.register("basic", "points"), {"x": 4})
    assert execution.outputs.get("o0", as_type=basic.Point) == basic.Point(8, "made-moved", [0.5, 1.5, 2.5])
    assert execution.outputs["o1"] == "made: 8"


def test_a_file_is_written_by_one_task_and_read_by_another(client):
    execution = client.succeed(client.register("basic", "files"), {"text": "grüße\n" * 1000})
    assert execution.outputs["o0"] == "GRÜSSE\n" * 1000
    blob = execution.node_executions["n0"].outputs["o0"]
    assert str(blob).startswith(client.stack.store)


def test_tasks_without_outputs_run_in_the_order_asked_for(client, shared):
    execution = client.succeed(client.register("basic", "voids"), {"directory": shared})
    with open(f"{shared}/second", encoding="utf-8") as f:
        assert f.read() == "True"
    assert len(execution.outputs.literals) == 0


def test_a_single_task_runs(client):
    execution = client.succeed(client.register("basic", "add"), {"a": 40, "b": 2})
    assert execution.outputs["o0"] == 42
    assert attempts(execution)[0].id.task_id.name == "basic.add"


def test_a_single_task_needs_all_its_inputs(client):
    with pytest.raises(FlyteInvalidInputException, match="expected_inputs b missing"):
        client.start(client.register("basic", "add"), {"a": 40})


def test_a_task_sees_its_execution_and_platform(client):
    execution = client.succeed(client.register("basic", "look_around"), {}, envs={"GREETING": "guten Tag"})
    seen = execution.outputs["o0"]
    assert seen["GREETING"] == "guten Tag"
    assert seen["FLYTE_PLATFORM_URL"] == f"localhost:{client.stack.port('admin.grpc')}"
    assert seen["FLYTE_PLATFORM_INSECURE"] == "true"
    assert seen["FLYTE_INTERNAL_EXECUTION_ID"] == execution.id.name
    assert (seen["FLYTE_INTERNAL_EXECUTION_PROJECT"], seen["FLYTE_INTERNAL_EXECUTION_DOMAIN"]) == (PROJECT, DOMAIN)
    assert seen["FLYTE_INTERNAL_TASK_NAME"] == "basic.look_around"
    assert seen["FLYTE_ATTEMPT_NUMBER"] == "0"
    assert seen["cwd"].startswith(os.path.join(client.stack.var, "attempts"))
    assert seen["path"].startswith(os.path.dirname(sys.executable) + ":")


def test_a_second_registration_of_a_version_changes_nothing(client):
    first = client.remote.register_script(basic.sums, source_path=FLOWS, module_name="basic", version="again")
    second = client.remote.register_script(basic.sums, source_path=FLOWS, module_name="basic", version="again")
    assert first.id == second.id
    found = client.remote.fetch_workflow(PROJECT, DOMAIN, "basic.sums", "again")
    assert sorted(found.interface.outputs) == ["o0", "o1"]


def test_a_launch_plan_fixes_and_defaults_inputs(client):
    workflow = client.register("basic", "sums", version="planned")
    plan = LaunchPlan.get_or_create(basic.sums, name="basic.planned", default_inputs={"a": 10},
                                    fixed_inputs={"label": "fixed"})
    remote_plan = client.remote.register_launch_plan(plan, version=workflow.id.version, project=PROJECT, domain=DOMAIN)
    execution = client.succeed(remote_plan, {"b": 1})
    assert (execution.outputs["o0"], execution.outputs["o1"]) == (11, "fixed: 11")


def test_an_execution_of_a_name_is_made_once(client):
    task = client.register("basic", "add")
    execution = client.succeed(task, {"a": 1, "b": 2}, execution_name="only-once")
    again = client.start(task, {"a": 100, "b": 2}, execution_name="only-once")
    assert again.id == execution.id
    assert client.wait(again).outputs["o0"] == 3


def test_abort_ends_the_process(client, shared):
    execution = client.start(client.register("basic", "sleep_long"), {"directory": shared})
    path = f"{shared}/pid"
    wait_for(lambda: os.path.exists(path) and os.path.getsize(path), 60, "the task's start")
    with open(path, encoding="utf-8") as f:
        pid = int(f.read())
    assert alive(pid)
    client.remote.terminate(execution, cause="no longer needed")
    client.wait(execution)
    assert phase(execution) == "ABORTED"
    assert execution.closure.abort_metadata.cause == "no longer needed"
    wait_for(lambda: not alive(pid), 30, "the process' end")
    wait_for(lambda: phase_of_node(client, execution) == "ABORTED", 30, "the node's end")


def phase_of_node(client, execution):
    client.remote.sync_execution(execution, sync_nodes=True)
    [node] = nodes(execution).values()
    return node_phase(node)


def test_max_parallelism_holds_tasks_back(client, shared):
    import wide
    workflow = client.register("wide", "wide", version="1")
    execution = client.succeed(workflow, {"directory": shared}, options=Options(max_parallelism=1))
    assert phase(execution) == "SUCCEEDED"
    with open(f"{shared}/times", encoding="utf-8") as f:
        lines = f.read().split()
    assert lines == ["start", "end"] * wide.WIDTH


def test_pyflyte_runs_a_script_from_elsewhere(client, tmp_path):
    """As people do it: another directory, no setting but the client's configuration."""
    (tmp_path / "mine.py").write_text("from flytekit import task, workflow\n\n@task\ndef double(n: int) -> int:\n"
                                      "    return 2 * n\n\n@workflow\ndef main(n: int = 4) -> int:\n"
                                      "    return double(n=n)\n")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("FLYTE", "PYTEST", "ALULA"))}
    env["PATH"] = f"{os.path.dirname(sys.executable)}:{env['PATH']}"
    env["FLYTECTL_CONFIG"] = f"{client.stack.var}/etc/flyte-client.yaml"
    p = subprocess.run(["pyflyte", "run", "--remote", "--wait", "--poll-interval", "1", "--name", "from-elsewhere",
                        "mine.py", "main", "--n", "21"], cwd=tmp_path, env=env, text=True, timeout=120,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert p.returncode == 0, p.stdout
    assert "has succeeded" in p.stdout
    execution = client.remote.sync_execution(client.remote.fetch_execution(name="from-elsewhere"))
    assert execution.outputs["o0"] == 42

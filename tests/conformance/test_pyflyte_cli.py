"""pyflyte's commands on what is registered already: looking, activating, backfilling, running, relaunching, fetching.
`pyflyte run --remote` of a script is in test_flytekit.py; `package` and `register` are used everywhere."""
import os
import re
import subprocess
import sys
import uuid

import ctl as flows
import pytest
from flyteidl.admin.common_pb2 import ObjectGetRequest
from flytekit.models.core.identifier import Identifier, ResourceType
from flytekit.models.launch_plan import LaunchPlanState

from flyte_client import DOMAIN, PROJECT, attempts
from suite import register_all


@pytest.fixture(scope="module")
def version(client):
    return register_all(client, flows, version=f"cli-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def pyflyte(client, version, tmp_path):
    """Runs it in a directory of its own; what it printed, in lines without their ends' blanks."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("FLYTE", "PYTEST", "ALULA"))}
    env.update(PATH=f"{os.path.dirname(sys.executable)}:{env['PATH']}", PYTHONWARNINGS="ignore", COLUMNS="200", NO_COLOR="1",
               FLYTECTL_CONFIG=f"{client.stack.var}/etc/flyte-client.yaml")

    def run(*args, code=0):
        p = subprocess.run(["pyflyte", *args], cwd=tmp_path, env=env, text=True, timeout=120, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert p.returncode == code, p.stdout
        return p.stdout

    return run


def made(printed):
    """The execution that it says it made."""
    return re.search(r"executions/(\w+) |ex:\w+:\w+:(\w+)", printed).expand(r"\1\2")


def done(client, name):
    return client.wait(client.remote.fetch_execution(name=name))


def state(client, name, version):
    """flytekit's client would keep its first answer."""
    id = Identifier(ResourceType.LAUNCH_PLAN, PROJECT, DOMAIN, name, version)
    return client.stack.admin.GetLaunchPlan(ObjectGetRequest(id=id.to_flyte_idl())).closure.state


def test_info(client, pyflyte):
    printed = pyflyte("info")
    assert f"Flyte Backend Version: {client.remote.client.get_control_plane_version()}" in printed
    assert f"localhost:{client.stack.port('admin.grpc')}" in printed


def test_launch_plans_are_listed_and_activated(client, pyflyte, version):
    def listed(*options):
        rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in pyflyte("get", "launchplan", *options).splitlines()]
        return {row[0]: row[1:] for row in rows if len(row) == 4 and row[1] == version}

    found = listed("--limit", "50")
    assert set(found) >= {"ctl.daily", "ctl.echoes", "ctl.hourly", "ctl.shapes"}
    assert found["ctl.daily"] == [version, "INACTIVE", "30 4 * * *"]
    assert "was set to ACTIVE" in pyflyte("launchplan", "ctl.daily", version, "--activate")
    assert state(client, "ctl.daily", version) == LaunchPlanState.ACTIVE
    assert listed("--active-only") == {"ctl.daily": [version, "ACTIVE", "30 4 * * *"]}
    assert f"was set to INACTIVE: ctl.daily:{version}" in pyflyte("launchplan", "ctl.daily", "--deactivate")  # the latest
    assert state(client, "ctl.daily", version) == LaunchPlanState.INACTIVE


def test_backfill(client, pyflyte, version):
    name = f"backfill-{uuid.uuid4().hex[:8]}"
    pyflyte("backfill", "ctl.daily", version, "--from-date", "2024-01-01", "--to-date", "2024-01-03", "-n", name)
    execution = done(client, name)
    children = [n for n in execution.node_executions.values() if n.closure.workflow_node_metadata]
    assert len(children) == 2
    for child in children:
        assert done(client, child.closure.workflow_node_metadata.execution_id.name).outputs["o0"] == "hello day"


@pytest.mark.parametrize("kind, entity, args, output", [
    ("remote-launchplan", "ctl.echoes", ["--n", "4"], 4), ("remote-launchplan", "ctl.echoes_plan", [], 5),
    ("remote-workflow", "ctl.echoes", ["--n", "6"], 6), ("remote-task", "ctl.greet", ["--name", "x", "--times", "1"], "hello x"),
])
def test_what_is_registered_is_run(client, pyflyte, version, kind, entity, args, output):
    name = made(pyflyte("run", kind, f"{entity}:{version}", *args))
    execution = done(client, name)
    assert execution.outputs["o0"] == output
    assert execution.spec.launch_plan.version == version


def test_relaunched_recovered_and_fetched(client, pyflyte, version, tmp_path):
    path = tmp_path / "path"
    failed = client.fail(client.remote.fetch_launch_plan(name="ctl.fragile", version=version), {"path": str(path), "n": 4})
    path.write_text("")
    names = [made(pyflyte("execution", "--execution-id", failed.id.name, verb)) for verb in ("relaunch", "recover")]
    for name in names:
        execution = done(client, name)
        assert execution.spec.metadata.reference_execution == failed.id
        assert execution.outputs["o0"] == 8
        assert "{'o0': 8}" in pyflyte("fetch", f"flyte://v1/{PROJECT}/{DOMAIN}/{execution.id.name}/n1/o")
    [attempt] = attempts(execution, "n1")
    assert attempt.id.task_id.name == "ctl.needs"


def test_files_are_fetched(client, pyflyte, version, tmp_path):
    execution = client.succeed(client.remote.fetch_task(name="ctl.decked", version=version), {"title": "fetched"})
    [node] = [n for n in execution.node_executions if n not in ("start-node", "end-node")]
    pyflyte("fetch", "-r", f"flyte://v1/{PROJECT}/{DOMAIN}/{execution.id.name}/{node}/0/o", "here")
    [found] = [p for p in (tmp_path / "here").rglob("*") if p.is_file()]
    assert found.read_text() == "fetched"


def test_metrics(client, pyflyte, version):
    execution = client.succeed(client.remote.fetch_launch_plan(name="ctl.shapes", version=version), {"n": 3})
    explained = pyflyte("metrics", "explain", execution.id.name)
    assert "NODE_SETUP" in explained and "TASK_RUNTIME" in explained
    dumped = pyflyte("metrics", "--depth", "2", "dump", execution.id.name)
    assert execution.id.name in dumped and "breakdown:" in dumped


@pytest.mark.parametrize("args, message", [
    (("execution", "--execution-id", "no-such", "relaunch"), "missing entity of type execution"),
    (("launchplan", "no.such", "1", "--activate"), "missing entity of type LAUNCH_PLAN"),
    (("run", "remote-launchplan", "no.such:1"), "missing entity of type LAUNCH_PLAN"),
    (("backfill", "no.such", "1", "--from-date", "2024-01-01", "--to-date", "2024-01-03"), "missing entity of type LAUNCH_PLAN"),
], ids=["execution", "launchplan", "run", "backfill"])
def test_what_is_not_there(pyflyte, args, message):
    assert message in pyflyte(*args, code=1)

"""Tasks of the real flytekit: what they are given, how they fail and are tried again, and what they leave behind."""
import os
import subprocess
import sys

import pytest
from flytekit.exceptions.user import FlyteEntityNotExistException
from flytekit.models.core.execution import NodeExecutionPhase

from flyte_client import DOMAIN, FLOWS, PROJECT, attempts, node_phase, nodes, phase
from stack import wait_for

USER, SYSTEM = 1, 2


@pytest.fixture(scope="module")
def entity(client, tmp_path_factory):
    """Registered by `pyflyte register`, all of flows/tasks.py at once: eager tasks with the workflows around them."""
    config = tmp_path_factory.mktemp("config") / "config.yaml"
    config.write_text(f"admin:\n  endpoint: {client.stack.grpc_address}\n  insecure: true\n", encoding="utf-8")
    command = [os.path.join(os.path.dirname(sys.executable), "pyflyte"), "--config", str(config), "register", "--project",
               PROJECT, "--domain", DOMAIN, "--version", "tasks", os.path.join(FLOWS, "tasks.py")]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    assert done.returncode == 0, done.stdout

    def fetch(name):
        try:
            return client.remote.fetch_launch_plan(name=f"tasks.{name}", version="tasks")
        except FlyteEntityNotExistException:
            return client.remote.fetch_task(name=f"tasks.{name}", version="tasks")
    return fetch


# ---- secrets ----

def put_secret(client, name, text):
    path = os.path.join(client.stack.var, "secrets", name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def everything_below(directory):
    for folder, _, files in os.walk(directory):
        for name in files:
            path = os.path.join(folder, name)
            with open(path, "rb") as f:
                yield path, f.read()


def test_secrets(client, entity, shared):
    put_secret(client, "db/password", "hunter2-env\n")
    put_secret(client, "db/Cert", "hunter2-file")
    put_secret(client, "api/token", "hunter2-any")
    execution = client.succeed(entity("use_secrets"), {"directory": shared})
    assert execution.outputs["o0"] == ["hunter2-env"] * 3 + ["hunter2-file"] * 2 + ["0o700", "hunter2-any"] + ["False"] * 2
    with open(f"{shared}/cert", encoding="utf-8") as f:
        assert not os.path.exists(f.read())
    # The task has seen its attempt's specification, which stays until the execution is over.
    for directory in ("attempts", "log"):
        leaks = [path for path, data in everything_below(os.path.join(client.stack.var, directory)) if b"hunter2" in data]
        assert not leaks


def test_a_secret_s_version(client, entity):
    put_secret(client, "db/v2/password", "the second")
    assert client.succeed(entity("use_version")).outputs["o0"] == "the second"


def test_a_missing_secret_is_named(client, entity):
    execution = client.fail(entity("misses_secret"))
    error = execution.closure.error
    assert "group [db], key [passwort]" in error.message and error.code == "SecretNotFound" and error.kind == USER
    assert len(attempts(execution)) == 1


# ---- eager ----

def tagged(client, key, value):
    from flytekit.models.filters import Equal
    page, _ = client.remote.client.list_executions_paginated(
        "flytesnacks", "development", filters=[Equal("execution_tag.key", key), Equal("execution_tag.value", value)])
    return page


def test_eager(client, entity):
    execution = client.succeed(entity("eager_sum"), {"n": 3})
    assert execution.outputs["o0"] == 4 + 5 + 5 + 1
    assert len(tagged(client, "eager-exec", execution.id.name)) == 4


def test_eager_in_eager(client, entity):
    execution = client.succeed(entity("eager_outer"), {"n": 3})
    assert execution.outputs["o0"] == 15
    assert execution.outputs["o1"] == execution.id.name
    assert len(tagged(client, "eager-exec", execution.id.name)) == 2
    assert len(tagged(client, "eager-root-exec", execution.id.name)) == 6


def test_eager_fails(client, entity):
    execution = client.fail(entity("eager_fails"), {"n": 3})
    assert "Error executing tasks.fails" in execution.closure.error.message
    assert len(attempts(execution, "n0")) == 1
    assert node_phase(nodes(execution)["fn0"]) == "SUCCEEDED"


def test_what_an_eager_task_leaves_is_ended_by_its_failure_node(client, entity, shared):
    execution = client.fail(entity("eager_leaves_one"), {"directory": shared})
    assert "Error executing tasks.fails" in execution.closure.error.message
    assert node_phase(nodes(execution)["fn0"]) == "SUCCEEDED"
    [child] = [e for e in tagged(client, "eager-exec", execution.id.name) if "-slow-" in e.id.name]
    assert phase(child) == "ABORTED"
    assert child.closure.abort_metadata.cause == f"clean up by parent eager execution {execution.id.name}"

"""Tasks of the real flytekit: what they are given, how they fail and are tried again, and what they leave behind."""
import contextlib
import os
import subprocess
import sys
import urllib.request

import pytest
from flyteidl.admin.execution_pb2 import WorkflowExecutionGetRequest
from flyteidl.admin.node_execution_pb2 import NodeExecutionGetRequest
from flyteidl.admin.task_execution_pb2 import TaskExecutionGetRequest
from flyteidl.core import execution_pb2, tasks_pb2
from flyteidl.event.event_pb2 import TaskExecutionMetadata
from flyteidl.service import dataproxy_pb2
from flytekit import kwtypes
from flytekit.exceptions.user import FlyteEntityNotExistException
from flytekit.models.filters import Equal

from flyte_client import DOMAIN, FLOWS, PROJECT, attempts, node_phase, nodes, phase
from stack import wait_for

USER = execution_pb2.ExecutionError.USER
# What takes longest is started first, and all of it at once.
AT_ONCE = [
    ("eager_outer", {"n": 3}),
    ("eager_leaves_one", {"directory": None}),
    ("resumes", {"steps": 3}),
    ("too_slow", {}),
    ("overridden", {"directory": None}),
    ("use_secrets", {"directory": None}),
    ("use_version", {}),
    ("misses_secret", {}),
    ("with_deck", {"fail": False}),
    ("with_deck", {"fail": True}),
    ("killed_before_its_deck", {}),
    ("dynamic_with_deck", {"n": 3}),
    ("one_of_many_workers", {}),
    ("all_workers_work", {}),
]


def put_secret(client, name, text):
    path = os.path.join(client.stack.var, "secrets", name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


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


@pytest.fixture(scope="module")
def ended(client, entity, tmp_path_factory):
    """Of one of AT_ONCE: the execution when it is over."""
    put_secret(client, "db/password", "hunter2-env\n")
    put_secret(client, "db/Cert", "hunter2-file")
    put_secret(client, "api/token", "hunter2-any")
    put_secret(client, "db/v2/password", "the second")
    started = {}
    for name, inputs in AT_ONCE:
        directory = tmp_path_factory.mktemp(name)
        inputs = {k: str(directory) if v is None else v for k, v in inputs.items()}
        execution = client.start(entity(name), inputs)
        execution.test_directory = str(directory)
        started[(name, *[v for v in inputs.values() if isinstance(v, bool)])] = execution

    def wait(*key):
        directory = started[key].test_directory
        execution = client.wait(started[key], 240)
        execution.test_directory = directory
        return execution
    return wait


def succeeded(execution):
    assert phase(execution) == "SUCCEEDED", execution.closure.error.message
    return execution


def failed(execution):
    assert phase(execution) == "FAILED"
    return execution


def phases(made):
    return [a.closure.phase for a in made]


# ---- secrets ----

def everything_below(directory):
    """But what vanishes meanwhile, with executions that have just ended."""
    for folder, _, files in os.walk(directory):
        for name in files:
            path = os.path.join(folder, name)
            with contextlib.suppress(FileNotFoundError), open(path, "rb") as f:
                yield path, f.read()


def test_secrets(client, ended):
    execution = succeeded(ended("use_secrets"))
    # The task has seen its attempt's specification, which stays until the execution is over.
    assert execution.outputs["o0"] == ["hunter2-env"] * 3 + ["hunter2-file"] * 2 + ["0o700", "hunter2-any"] + ["False"] * 2
    with open(f"{execution.test_directory}/cert", encoding="utf-8") as f:
        assert not os.path.exists(f.read())
    for directory in ("attempts", "log"):
        assert not [p for p, data in everything_below(os.path.join(client.stack.var, directory)) if b"hunter2-" in data and not p.endswith((".py", ".pyc"))]


def test_a_secret_s_version(ended):
    assert succeeded(ended("use_version")).outputs["o0"] == "the second"


def test_a_missing_secret_is_named(ended):
    execution = failed(ended("misses_secret"))
    error = execution.closure.error
    assert "group [db], key [passwort]" in error.message and error.code == "SecretNotFound" and error.kind == USER
    assert len(attempts(execution)) == 1


# ---- eager ----

def tagged(client, key, value):
    page, _ = client.remote.client.list_executions_paginated(
        PROJECT, DOMAIN, filters=[Equal("execution_tag.key", key), Equal("execution_tag.value", value)])
    return page


def test_eager_in_eager(client, ended):
    """Tasks, workflows and eager tasks that eager tasks start are executions, found by their labels."""
    execution = succeeded(ended("eager_outer"))
    assert (execution.outputs["o0"], execution.outputs["o1"]) == (4 + 5 + 5 + 1, execution.id.name)
    assert len(tagged(client, "eager-exec", execution.id.name)) == 2
    assert len(tagged(client, "eager-root-exec", execution.id.name)) == 6
    [node] = nodes(execution).values()
    request = NodeExecutionGetRequest(id=node.id.to_flyte_idl())
    assert client.stack.admin.GetNodeExecution(request).metadata.is_eager


def test_what_an_eager_task_leaves_is_ended_by_its_failure_node(client, ended):
    execution = failed(ended("eager_leaves_one"))
    assert "Error executing tasks.fails" in execution.closure.error.message
    assert {n: node_phase(e) for n, e in nodes(execution).items()} == {"n0": "FAILED", "efn": "SUCCEEDED"}
    assert len(attempts(execution, "n0")) == 1
    [child] = [e for e in tagged(client, "eager-exec", execution.id.name) if "-slow-" in e.id.name]
    child = client.wait(client.remote.fetch_execution(name=child.id.name))
    assert phase(child) == "ABORTED"
    assert child.closure.abort_metadata.cause == f"clean up by parent eager execution {execution.id.name}"


# ---- retries ----

def test_checkpoints_go_from_attempt_to_attempt(ended):
    execution = succeeded(ended("resumes"))
    assert execution.outputs["o0"] == "3 steps in attempt 2"
    assert ["stopped after step 1" in a.closure.error.message if a.closure.error else None for a in attempts(execution)][0]


def test_each_attempt_has_its_time(ended):
    execution = failed(ended("too_slow"))
    made = attempts(execution)
    assert len(made) == 2
    assert "[1/1] currentAttempt done" in execution.closure.error.message or "timeout" in execution.closure.error.message


def test_the_last_attempt_is_not_interruptible(client):
    _, task = client.register_shell("kill -9 $$")
    execution = client.fail(task, {}, interruptible=True)
    made = client.remote.client.list_task_executions_paginated(attempts(execution)[0].id.node_execution_id)[0]
    classes = [client.stack.admin.GetTaskExecution(get_request(a)).closure.metadata.instance_class
               for a in sorted(made, key=lambda a: a.id.retry_attempt)]
    assert classes == [TaskExecutionMetadata.INTERRUPTIBLE] * 3 + [TaskExecutionMetadata.DEFAULT]


def get_request(attempt):
    return TaskExecutionGetRequest(id=attempt.id.to_flyte_idl())


# ---- decks ----

def deck_of(client, execution, node):
    link = client.stack.data_proxy.CreateDownloadLink(dataproxy_pb2.CreateDownloadLinkRequest(
        artifact_type=dataproxy_pb2.ARTIFACT_TYPE_DECK, node_execution_id=nodes(execution)[node].id.to_flyte_idl()))
    with urllib.request.urlopen(link.pre_signed_urls.signed_url[0], timeout=30) as f:
        return f.read().decode("utf-8")


@pytest.mark.parametrize("fail", [False, True])
def test_decks(client, ended, fail):
    execution = ended("with_deck", fail)
    assert phase(execution) == ("FAILED" if fail else "SUCCEEDED")
    [(node, made)] = nodes(execution).items()
    assert made.closure.deck_uri.endswith("/0/deck.html")
    assert "a deck of mine" in deck_of(client, execution, node)


def test_a_dynamic_task_s_deck(client, ended):
    execution = succeeded(ended("dynamic_with_deck"))
    [node] = [n for n, e in nodes(execution).items() if e.closure.deck_uri]
    assert "a deck of mine" in deck_of(client, execution, node)


def test_a_deck_that_was_never_made(ended):
    execution = failed(ended("killed_before_its_deck"))
    [made] = nodes(execution).values()
    assert made.closure.deck_uri == "" and "exit code (3)" in execution.closure.error.message


def test_a_deck_can_be_seen_while_its_task_runs(client, entity, shared):
    execution = client.start(entity("deck_while_running"), {"directory": shared})
    try:
        wait_for(lambda: os.path.exists(f"{shared}/published"), 60)

        def linked():
            client.remote.sync_execution(execution, sync_nodes=True)
            return [n for n, e in nodes(execution).items() if e.closure.deck_uri]
        [node] = wait_for(linked, 30)
        assert phase(execution) == "RUNNING" and "the deck so far" in deck_of(client, execution, node)
    finally:
        with open(f"{shared}/go-on", "w", encoding="utf-8"):
            pass
    succeeded(client.wait(execution))


# ---- what it is told ----

def test_variables(client, entity):
    task = entity("variables")
    names = ["OF_TASK", "OF_BOTH", "OF_EXECUTION", "FLYTE_INTERNAL_EXECUTION_ID", "FLYTE_INTERNAL_EXECUTION_PROJECT",
             "FLYTE_INTERNAL_EXECUTION_DOMAIN", "FLYTE_INTERNAL_EXECUTION_WORKFLOW", "FLYTE_ATTEMPT_NUMBER",
             "FLYTE_INTERNAL_TASK_PROJECT", "FLYTE_INTERNAL_TASK_DOMAIN", "FLYTE_INTERNAL_TASK_NAME",
             "FLYTE_INTERNAL_TASK_VERSION", "FLYTE_PLATFORM_URL", "FLYTE_PLATFORM_INSECURE"]
    execution = client.succeed(task, {"names": names}, envs={"OF_EXECUTION": "execution", "OF_BOTH": "execution"})
    request = WorkflowExecutionGetRequest(id=execution.id.to_flyte_idl())
    workflow = client.stack.admin.GetExecution(request).closure.workflow_id
    assert execution.outputs["o0"] == {
        "OF_TASK": "task", "OF_BOTH": "execution", "OF_EXECUTION": "execution",
        "FLYTE_INTERNAL_EXECUTION_ID": execution.id.name, "FLYTE_INTERNAL_EXECUTION_PROJECT": PROJECT,
        "FLYTE_INTERNAL_EXECUTION_DOMAIN": DOMAIN,
        "FLYTE_INTERNAL_EXECUTION_WORKFLOW": f"{PROJECT}:{DOMAIN}:{workflow.name}", "FLYTE_ATTEMPT_NUMBER": "0",
        "FLYTE_INTERNAL_TASK_PROJECT": PROJECT, "FLYTE_INTERNAL_TASK_DOMAIN": DOMAIN,
        "FLYTE_INTERNAL_TASK_NAME": "tasks.variables", "FLYTE_INTERNAL_TASK_VERSION": "tasks",
        "FLYTE_PLATFORM_URL": f"localhost:{client.stack.port('admin.grpc')}", "FLYTE_PLATFORM_INSECURE": "true"}


FIELDS = ["input", "inputPrefix", "outputPrefix", "rawOutputDataPrefix", "checkpointOutputPrefix",
          "prevCheckpointPrefix", "perRetryUniqueKey", "namespace", "taskTemplatePath"]


def test_templates(client, shared):
    """What an argument may ask for; the second attempt has places of its own."""
    texts = "|".join(f"{{{{.{field}}}}}" for field in FIELDS)
    script = (f"echo '{texts}|{{{{ $Inputs.n }}}}|{{{{.other}}}}' >> {{{{.inputs.directory}}}}/rendered; "
              "test -e {{.taskTemplatePath}} && test $(wc -l < {{.inputs.directory}}/rendered) -gt 1 || kill -9 $$")
    _, task = client.register_shell(script, inputs=kwtypes(directory=str, n=int))
    execution = client.succeed(task, {"directory": shared, "n": 7})
    with open(f"{shared}/rendered", encoding="utf-8") as f:
        first, second = [dict(zip(FIELDS + ["n", "other"], line.rstrip("\n").split("|"))) for line in f]
    same = {"input", "inputPrefix", "namespace", "taskTemplatePath", "n", "other"}
    assert {k for k in first if first[k] == second[k]} == same
    [node] = nodes(execution)
    base = f"{client.stack.store}/metadata/propeller/{PROJECT}-{DOMAIN}-{execution.id.name}/{node}/data"
    assert (first["input"], first["outputPrefix"], second["outputPrefix"]) == (f"{base}/inputs.pb", f"{base}/0", f"{base}/1")
    assert first["prevCheckpointPrefix"] == '""'
    assert second["prevCheckpointPrefix"] == first["checkpointOutputPrefix"] == first["rawOutputDataPrefix"] + "/_flytecheckpoints"
    assert (first["namespace"], first["n"], first["other"]) == (f"{PROJECT}-{DOMAIN}", "7", "{{.other}}")


# ---- several workers ----

def test_the_earliest_error_of_several_workers_counts(client, ended):
    execution = failed(ended("one_of_many_workers"))
    [attempt] = attempts(execution)
    error = client.stack.admin.GetTaskExecution(get_request(attempt)).closure.error
    assert (error.code, error.message, error.worker) == ("USER:error-1.pb", "from error-1.pb", "worker of error-1.pb")
    assert error.timestamp.seconds == 1_000_000_000


def test_several_workers_without_errors(ended):
    assert succeeded(ended("all_workers_work")).outputs["o0"] == 5


# ---- overrides ----

def test_overrides(ended):
    execution = succeeded(ended("overridden"))
    template = tasks_pb2.TaskTemplate()
    with open(f"{execution.test_directory}/template.pb", "rb") as f:
        template.ParseFromString(f.read())
    resources = {(kind, tasks_pb2.Resources.ResourceName.Name(e.name)): e.value
                 for kind, entries in (("request", template.container.resources.requests),
                                       ("limit", template.container.resources.limits)) for e in entries}
    assert template.container.image == "elsewhere:2"
    assert resources == {("request", "CPU"): "2", ("request", "MEMORY"): "1Gi", ("limit", "CPU"): "3",
                         ("limit", "MEMORY"): "2Gi"}
    assert nodes(execution)["shown"].closure.phase and "n1" in nodes(execution)
    assert len(attempts(execution, "n1")) == 2
    assert execution.outputs["o0"] == "2 steps in attempt 1"

"""Connectors that hang, answer nonsense, are not there or do not know the type: the node fails and says why; TLS."""
import os
import subprocess
import sys
import uuid

import pytest
from flyteidl.admin import execution_pb2
from flyteidl.core import literals_pb2, types_pb2
from flytekit import kwtypes
from flytekit.configuration import ImageConfig, SerializationSettings
from flytekit.core.base_task import PythonTask
from flytekit.core.interface import Interface

from connector_server import FAST, free_port, listens
from flyte_client import DOMAIN, PROJECT, Client, phase
from stack import Stack, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))


def serve(*args):
    port = free_port()
    process = subprocess.Popen([sys.executable, os.path.join(HERE, "bad_connector.py"), str(port), *args])
    wait_for(lambda: listens(port), 60, "bad connector listens")
    return port, process


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A key and a certificate of its own, for "connector.test"."""
    d = tmp_path_factory.mktemp("tls")
    key, pem = str(d / "key.pem"), str(d / "cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", pem,
                    "-subj", "/CN=connector.test", "-addext", "subjectAltName=DNS:connector.test"],
                   check=True, capture_output=True)
    return key, pem


@pytest.fixture(scope="module")
def bad_stack(certificate):
    """The bad connector, once as it is, once with little patience and once behind TLS, and one that is not there."""
    port, process = serve()
    tls_port, tls_process = serve(*certificate)
    connectors = {"bad.endpoint": f"127.0.0.1:{port}", "gone.endpoint": "127.0.0.1:1",
                  "hung.endpoint": f"127.0.0.1:{port}", "hung.defaultTimeout": "2s", "hung.timeouts.GetTask": "1s",
                  "tls.endpoint": f"127.0.0.1:{tls_port}", "tls.insecure": "false", "tls.caFile": certificate[1],
                  "tls.serverName": "connector.test",
                  "distrusted.endpoint": f"127.0.0.1:{tls_port}", "distrusted.insecure": "false"}
    prefix = "ALULA_PLUGINS_CONNECTOR_SERVICE_"
    env = dict(FAST, **{
        prefix + "CONNECTORS": ",".join(f"{k}={v}" for k, v in connectors.items()),
        prefix + "CONNECTORFORTASKTYPES": "gone=gone,trusted=tls,distrusted=distrusted,bad=bad,bad_sync=bad,"
                                             "hung=hung,hung_sync=hung",
        prefix + "WEBAPI_CACHING_MAXSYSTEMFAILURES": "3",
        "ALULA_PROPELLER_LITERAL_OFFLOADING_CONFIG_SUPPORTED_SDK_VERSIONS": "FLYTE_SDK=99.0.0",
        "ALULA_PROPELLER_NODE_CONFIG_MAX_NODE_RETRIES_SYSTEM_FAILURES": "1",
    })
    try:
        with Stack(env=env) as s:
            yield s.up()
    finally:
        for p in (process, tls_process):
            p.kill()
            p.wait()


@pytest.fixture(scope="module")
def client(bad_stack):
    return Client(bad_stack)


class AnyTask(PythonTask):
    """A task of any type, without a container."""

    def __init__(self, task_type):
        super().__init__(task_type=task_type, name=f"any.{uuid.uuid4().hex[:12]}", task_config=None,
                         interface=Interface(inputs=kwtypes(how=str), outputs=kwtypes(o0=str)))


def run(client, task_type, how):
    settings = SerializationSettings(image_config=ImageConfig.auto_default_image(), project=PROJECT, domain=DOMAIN,
                                     version="1")
    task = client.remote.register_task(AnyTask(task_type), serialization_settings=settings, version="1")
    return client.run(task, {"how": how})


@pytest.mark.parametrize("task_type, how, texts", [
    ("hung", "create hangs", ["DEADLINE_EXCEEDED", "CreateTask of connector hung at 127.0.0.1", "no answer"]),
    ("bad", "create garbage", ["DATA_LOSS", "CreateTask of connector bad at 127.0.0.1"]),
    ("bad", "create large", ["resource_meta of 1000000 bytes"]),
    ("hung", "get hangs", ["DEADLINE_EXCEEDED", "GetTask of connector hung at 127.0.0.1", "no answer"]),
    ("bad", "get garbage", ["DATA_LOSS", "GetTask of connector bad at 127.0.0.1"]),
    ("bad", "get no resource", ["GetTask of connector bad", "the answer has no resource"]),
    ("bad", "get no phase", ["failed to run the job."]),
    ("bad", "get strange phase", ["unknown execution phase [99]"]),
    ("bad", "get strange state", ["unknown execution state [77]"]),
    ("bad", "get deep info", ["connector bad at 127.0.0.1", "the task's custom_info is nested deeper than 90 levels"]),
    ("bad", "get deep info while running", ["the task's custom_info is nested deeper than 90 levels"]),
    ("bad_sync", "get deep info", ["the task's custom_info is nested deeper than 90 levels"]),
    ("hung_sync", "hangs", ["DEADLINE_EXCEEDED", "ExecuteTaskSync of connector hung at 127.0.0.1"]),
    ("bad_sync", "no header", ["expected header in the response, but got none"]),
    ("bad_sync", "running", ["phase RUNNING is no end"]),
    ("bad_sync", "garbage", ["DATA_LOSS", "ExecuteTaskSync of connector bad at 127.0.0.1"]),
    ("bad_sync", "nothing", ["answered OK without a message"]),
    ("gone", "", ["UNAVAILABLE", "CreateTask of connector gone at 127.0.0.1:1", "cannot reach"]),
    ("distrusted", "", ["UNAVAILABLE", "CreateTask of connector distrusted"]),
    ("of_nobody", "", ["[of_nobody]", "plugins.connector-service.connectorForTaskTypes",
                       "tasks.task-plugins.default-for-task-types", "connector gone at 127.0.0.1:1 has not said"]),
])
def test_fails_and_says_why(client, task_type, how, texts):
    execution = run(client, task_type, how)
    assert phase(execution) == "FAILED"
    for text in texts:
        assert text in execution.closure.error.message


def test_who_cannot_read_offloaded_inputs_gets_none(client):
    """As tasks that run as processes: its SDK is too old."""
    settings = SerializationSettings(image_config=ImageConfig.auto_default_image(), project=PROJECT, domain=DOMAIN,
                                     version="1")
    task = client.remote.register_task(AnyTask("bad"), serialization_settings=settings, version="1")
    whole = literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(string_value="fine")))
    path = f"{client.stack.store}/offloaded.pb"
    with open(path, "wb") as f:
        f.write(whole.SerializeToString())
    literal = literals_pb2.Literal()
    literal.offloaded_metadata.uri = path
    literal.offloaded_metadata.size_bytes = whole.ByteSize()
    literal.offloaded_metadata.inferred_type.simple = types_pb2.STRING
    id = client.stack.admin.CreateExecution(execution_pb2.ExecutionCreateRequest(
        project=PROJECT, domain=DOMAIN, inputs=literals_pb2.LiteralMap(literals={"how": literal}),
        spec=execution_pb2.ExecutionSpec(launch_plan=task.id.to_flyte_idl()))).id
    execution = client.wait(client.remote.fetch_execution(name=id.name))
    assert execution.closure.error.code == "LiteralOffloadingDisabled"


@pytest.mark.parametrize("task_type, how, value", [
    ("bad", "fine", "fine"),
    ("bad", "get old success", "old"),
    ("bad", "get rather deep info", "x"),
    ("bad_sync", "fine", "fine"),
    ("trusted", "secret", "secret"),
])
def test_succeeds_all_the_same(client, task_type, how, value):
    execution = run(client, task_type, how)
    assert phase(execution) == "SUCCEEDED", execution.closure.error
    assert execution.outputs["o0"] == value


def test_who_hangs_holds_up_nobody(client):
    settings = SerializationSettings(image_config=ImageConfig.auto_default_image(), project=PROJECT, domain=DOMAIN,
                                     version="1")
    task = client.remote.register_task(AnyTask("hung"), serialization_settings=settings, version="1")
    hung = [client.start(task, {"how": "get hangs"}) for _ in range(12)]
    for _ in range(5):
        assert client.succeed(task, {"how": "quick"}).outputs["o0"] == "quick"
    assert all(phase(client.wait(e)) == "FAILED" for e in hung)

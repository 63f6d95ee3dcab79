"""What no decent client sends, over gRPC, REST, signed URLs and the bus: a clear error each, the daemons live on in the
same processes, and others' work goes on."""
import asyncio
import contextlib
import os
import random
import socket
import time

import grpc
import nats
import pytest
import requests
from flyteidl.admin import execution_pb2, task_pb2
from flyteidl.core import identifier_pb2, interface_pb2, literals_pb2, tasks_pb2
from flyteidl.service import dataproxy_pb2
from google.protobuf import duration_pb2

from stack import wait_for
from test_executions import (DOMAIN, INTEGER, PROJECT, Phase, create, create_plan, finish, identifier,
                             unique, variables)
from test_materialiser import message, number

SERVICE = "/flyteidl.service.AdminService/"
LEVELS = 5000
MIB = 1 << 20
REFUSED = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture(scope="module")
def plan(stack):
    return create_plan(stack.admin)


@pytest.fixture(autouse=True)
def unharmed(stack, plan):
    """The daemons are the same processes afterwards and run an execution as before."""
    before = {name: stack.pid(name) for name in ("admin", "propeller", "nats", "postgres")}
    yield
    assert {name: stack.pid(name) for name in before} == before
    assert finish(stack.admin, create(stack.admin, plan)).closure.phase == Phase.SUCCEEDED
    # Not at once: who floods the bus may have cost propeller its connection.
    wait_for(lambda: stack.healthy("admin") and stack.healthy("propeller"), what="health")


# ---- raw calls ----

def call(stack, method, body, options=()):
    """Bytes to a method of the admin; code and text of the error, or None and the answer's bytes."""
    same = lambda x: x
    try:
        with grpc.insecure_channel(stack.grpc_address, options=list(options)) as channel:
            return None, channel.unary_unary(SERVICE + method, request_serializer=same,
                                             response_deserializer=same)(body, timeout=60)
    except grpc.RpcError as e:
        return e.code(), e.details()


def nested_literal(levels=LEVELS):
    """A literal: a collection of a collection of ..."""
    b = b""
    for _ in range(levels):
        b = message(2, message(1, b))
    return b


def literal_map(literal):
    return message(1, message(1, "x") + message(2, literal))


def creation(plan, inputs):
    spec = execution_pb2.ExecutionSpec(launch_plan=plan).SerializeToString()
    return message(1, PROJECT) + message(2, DOMAIN) + message(4, spec) + message(5, inputs)


# ---- gRPC ----

def test_nested_literals_by_grpc(stack, plan):
    code, words = call(stack, "CreateExecution", creation(plan, literal_map(nested_literal())))
    assert code == REFUSED and ("nest" in words or "deep" in words or "level" in words), words


@pytest.mark.parametrize("method", ["CreateTask", "CreateWorkflow", "CreateLaunchPlan", "CreateExecution", "GetTask",
                                    "ListTasks", "GetExecution", "RegisterProject", "ListNodeExecutions"])
def test_garbage_by_grpc(stack, method):
    chance = random.Random(method)
    for size in (1, 2, 10, 100, 1000, 10_000):
        for _ in range(20):
            code, words = call(stack, method, bytes(chance.randrange(256) for _ in range(size)))
            assert code in (REFUSED, grpc.StatusCode.NOT_FOUND) and words, (code, words)


def test_truncated_protobuf(stack, plan):
    whole = creation(plan, literal_map(literals_pb2.Literal(scalar=literals_pb2.Scalar(
        primitive=literals_pb2.Primitive(integer=7))).SerializeToString()))
    assert call(stack, "CreateExecution", whole)[0] is None
    for cut in range(1, len(whole)):
        code, words = call(stack, "CreateExecution", whole[:cut])
        assert code in (REFUSED, grpc.StatusCode.NOT_FOUND) and words, (cut, code, words)


@pytest.mark.parametrize("body, words", [
    (message(1, b"\xff\xfe"), "UTF-8"), (message(1, b"a\0b"), "NUL"), (number(1, 5), ""), (message(4, b"\x0f"), "")],
    ids=["utf8", "nul", "wire-type", "group"])
def test_wrong_bytes_by_grpc(stack, body, words):
    code, said = call(stack, "CreateExecution", body)
    assert code == REFUSED and words in said and said


def test_unknown_enum_numbers(stack):
    id = identifier_pb2.Identifier(project=PROJECT, domain=DOMAIN, name="x", version="v").SerializeToString()
    for method in ("GetTask", "GetWorkflow", "GetLaunchPlan"):
        code, words = call(stack, method, message(1, number(1, 99) + id))
        assert code in (REFUSED, grpc.StatusCode.NOT_FOUND) and words
    interface = interface_pb2.TypedInterface(inputs=variables(x=INTEGER)).SerializeToString()
    unknown = message(1, message(1, "y") + message(2, message(1, number(1, 77))))  # a variable of simple type 77
    template = message(2, "echo") + message(4, interface + message(2, unknown))
    task = message(1, identifier(identifier_pb2.TASK, unique("enum"))) + message(2, message(1, template))
    code, words = call(stack, "CreateTask", task)
    assert code is None or (code == REFUSED and words)
    state = execution_pb2.ExecutionUpdateRequest(
        id=identifier_pb2.WorkflowExecutionIdentifier(project=PROJECT, domain=DOMAIN, name="nobody"), state=99)
    assert call(stack, "UpdateExecution", state.SerializeToString())[0] in (REFUSED, grpc.StatusCode.NOT_FOUND)


def test_a_hundred_mebibytes_by_grpc(stack, plan):
    text = literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(
        string_value="a" * (100 * MIB)))).SerializeToString()
    code, words = call(stack, "CreateExecution", creation(plan, literal_map(text)),
                       [("grpc.max_send_message_length", -1)])
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED and words


# ---- REST ----

def post(stack, body, path="/api/v1/executions", **headers):
    return stack.http(path, "POST", data=body, headers={"Content-Type": "application/json", **headers})


def test_nested_literals_by_json(stack):
    for deep in ('{"inputs":{"literals":{"x":' + '{"collection":{"literals":[' * LEVELS + "]}}" * LEVELS + "}}}",
                 "[" * 100_000, '{"inputs":' * 20_000):
        answer = post(stack, deep)
        assert answer.status_code == 400 and answer.json()["code"] == 3 and answer.json()["message"]


@pytest.mark.parametrize("body", [
    b"", b"{", b"nonsense", b"[]", b'"x"', b'{"project": 5}', b'{"inputs": []}', b'{"spec": "x"}', b'{"project": {}}',
    b'{"spec": {"launchPlan": {"resourceType": "NO_SUCH"}}}', b'{"project": "a\\u0000b"}', b'{"project": "\xff\xfe"}',
    b'{"project": "\\ud800"}', b'{"project": "a", "project": "b"}', b'{"spec": {"maxParallelism": 99999999999}}',
    b'{"spec": {"maxParallelism": 1.5}}', b'{"noSuchField": 1}', b'{"project": "x"} more', b"\0\0\0", b'{"a":1e999999}'])
def test_wrong_json(stack, body):
    answer = post(stack, body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == 3 and answer.json()["message"]


def test_unknown_enum_by_json(stack):
    answer = stack.http(f"/api/v1/executions/{PROJECT}/{DOMAIN}/nobody", "PUT", json={"state": "NO_SUCH"})
    assert answer.status_code == 400 and "NO_SUCH" in answer.json()["message"]


def test_a_hundred_mebibytes_by_rest(stack):
    pieces = lambda: iter([b'{"project":"'] + [b"a" * MIB] * 100 + [b'"}'])
    for body in (b'{"project":"' + b"a" * (100 * MIB) + b'"}', pieces()):
        try:
            assert post(stack, body).status_code in (400, 413)
        except requests.ConnectionError:
            pass  # told and closed while we were still sending


@pytest.mark.parametrize("path", [
    "/api/v1/executions/%00/x/y", "/api/v1/executions/%ff/x/y", "/api/v1/executions/" + "a" * 60_000, "/api/v1/%2e%2e/x",
    "/api/v1/executions/a/b/c?limit=x", "/api/v1/executions/flytesnacks/development?limit=99999999999999999999",
    "/api/v1/executions/flytesnacks/development?limit=1&filters=eq(", "/no/such", "/%"])
def test_wrong_paths(stack, path):
    answer = stack.http(path)
    assert 400 <= answer.status_code < 500 and answer.text


# ---- the data proxy ----

def test_paths_out_of_the_store(stack):
    for native in ("/etc/passwd", stack.store + "/../run/status.json", stack.store + "/a/../../etc/x", "file:///etc/passwd",
                   "", "/", stack.store + "/\0", stack.store + "x/y"):
        with pytest.raises(grpc.RpcError) as e:
            stack.data_proxy.CreateDownloadLocation(dataproxy_pb2.CreateDownloadLocationRequest(native_url=native))
        assert e.value.code() in (REFUSED, grpc.StatusCode.NOT_FOUND) and e.value.details(), native
    for name in ("../x", "a/../../x", "/etc/x", "..", "a/../b"):
        with pytest.raises(grpc.RpcError) as e:
            stack.data_proxy.CreateUploadLocation(dataproxy_pb2.CreateUploadLocationRequest(
                project=PROJECT, domain=DOMAIN, filename=name, filename_root="r"))
        assert e.value.code() == REFUSED, name


def upload_url(stack, **fields):
    return stack.data_proxy.CreateUploadLocation(dataproxy_pb2.CreateUploadLocationRequest(
        project=PROJECT, domain=DOMAIN, filename=unique("f"), filename_root="bad", **fields))


def test_expired_url(stack):
    at = upload_url(stack, expires_in=duration_pb2.Duration(seconds=1))
    time.sleep(2.1)
    answer = requests.put(at.signed_url, data=b"late", timeout=10)
    assert answer.status_code == 403 and "expired" in answer.text and not os.path.exists(at.native_url)


def test_tampered_urls(stack):
    at = upload_url(stack)
    path, _, query = at.signed_url.partition("?")
    pairs = query.split("&")
    spoilt = [path, path + "x?" + query, path.rpartition("/")[0] + "/%2e%2e/%2e%2e/%2e%2e/x?" + query]
    for i, pair in enumerate(pairs):
        key, _, value = pair.partition("=")
        rest = pairs[:i] + pairs[i + 1:]
        spoilt += [path + "?" + "&".join(rest)]
        spoilt += [path + "?" + "&".join(rest + [f"{key}={v}"]) for v in
                   ("", "0", "99999999999999999999", value + "0", value[:-1] + ("0" if value[-1:] != "0" else "1"))]
    for url in spoilt:
        answer = requests.put(url, data=b"x", timeout=10)
        assert 400 <= answer.status_code < 500, url
    assert not os.path.exists(at.native_url)
    assert requests.put(at.signed_url, data=b"x", timeout=10).status_code == 200


# ---- slow clients ----

@pytest.mark.parametrize("kind, opening", [
    ("admin.http", b"POST /api/v1/executions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"),
    ("admin.http", b""), ("admin.grpc", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), ("admin.grpc", b"")],
    ids=["http-body", "http-head", "grpc-frames", "grpc-preface"])
def test_slow_clients_hold_up_nobody(stack, plan, kind, opening):
    clients = [socket.create_connection(("127.0.0.1", stack.port(kind)), timeout=20) for _ in range(100)]
    try:
        for c in clients:
            c.sendall(opening)
        for i in range(3):
            for c in clients:
                with contextlib.suppress(OSError):
                    c.sendall(b"GET / HTTP/1.1 "[i:i + 1])
            start = time.monotonic()
            assert stack.http("/healthcheck").status_code == 200
            assert finish(stack.admin, create(stack.admin, plan), 25).closure.phase == Phase.SUCCEEDED
            assert time.monotonic() - start < 30
            time.sleep(1)
    finally:
        for c in clients:
            c.close()


# ---- the bus ----

def start_command(execution, inputs, uri=""):
    id = identifier_pb2.WorkflowExecutionIdentifier(project=PROJECT, domain=DOMAIN, name=unique("ghost"))
    return number(1, execution) + message(2, id) + message(3, message(2, uri) + message(4, inputs))


def envelope(payload, confirm="alula.received.test"):
    return number(1, 1 << 60) + message(2, confirm) + message(3, payload)


def spoilt_messages(seed):
    chance = random.Random(seed)
    noise = [bytes(chance.randrange(256) for _ in range(size)) for size in (1, 7, 50, 400, 3000, 20_000) for _ in range(4)]
    deep = literal_map(nested_literal())
    return noise + [b"", b"\0" * 1000, deep, envelope(b""), envelope(deep), envelope(b"\xff" * 10),
                    envelope(start_command(1 << 62, deep)),
                    envelope(start_command(1 << 62, b"")),
                    envelope(start_command(1 << 62, b"", "/etc/passwd")),
                    envelope(start_command(0, b"")),
                    envelope(number(1, 5) + message(4, b"")),
                    envelope(noise[3], "a b\r\nPUB x 1"), envelope(noise[3], "alula.>"), envelope(noise[3], ""),
                    message(4, deep), message(4, number(1, 1 << 62) + number(2, 1 << 62)), message(5, "/etc/passwd"),
                    message(5, "/no/such/file"), message(1, "admin") + message(2, number(1, 1 << 62) + number(2, 1 << 62)),
                    os.urandom(900_000)]


def subjects(kind):
    return [f"alula.{kind}.{i}" for i in (0, 1, 31, 63, 64, 999)] + [f"alula.{kind}.x", f"alula.{kind}.-1"]


SUBJECTS = {"commands": subjects("commands"), "confirms": subjects("confirms"), "resends": subjects("resends"),
            "received": ["alula.received.x", "alula.received.0"], "ready": ["alula.ready"],
            "events": [f"alula.events.{lane}.{shard}" for lane, shard in ((0, 0), (3, 63), (0, 99), (9, 1), ("x", "y"))]}


@pytest.mark.parametrize("kind", SUBJECTS)
def test_garbage_on_the_bus(stack, plan, kind):
    async def send():
        connection = await nats.connect(stack.nats_url, connect_timeout=20, max_reconnect_attempts=1)
        for subject in SUBJECTS[kind]:
            for body in spoilt_messages(subject):
                await connection.publish(subject, body)
        await connection.flush()
        await connection.drain()
    running = [create(stack.admin, plan) for _ in range(20)]
    asyncio.run(send())
    running += [create(stack.admin, plan) for _ in range(20)]
    for id in running:
        assert finish(stack.admin, id).closure.phase == Phase.SUCCEEDED
    wait_for(lambda: stack.sql("SELECT count(*) FROM admin.outbox") == [(0,)], what="an empty outbox", interval=0.2)


# ---- tasks that do not do what they should ----

@pytest.mark.parametrize("command, words", [
    (["/no/such/program"], "/no/such/program"),
    (["/bin/sh", "-c", "exit 0"], "Outputs"),
    (["/bin/sh", "-c", 'head -c 1000 /dev/urandom > "$1/outputs.pb"', "sh", "{{.outputPrefix}}"], "outputs"),
    (["/bin/sh", "-c", 'head -c 1000 /dev/urandom > "$1/error.pb"', "sh", "{{.outputPrefix}}"], "error"),
    (["/bin/sh", "-c", "kill -9 $$"], "9"),
    (["/bin/sh", "-c", "echo {{.inputs.nobody}}"], "nobody")],
    ids=["missing", "no-outputs", "garbage-outputs", "garbage-error", "killed", "template"])
def test_bad_tasks(stack, command, words):
    id = identifier(identifier_pb2.TASK, unique("bad"))
    template = tasks_pb2.TaskTemplate(
        id=id, type="python-task", metadata=tasks_pb2.TaskMetadata(runtime=tasks_pb2.RuntimeMetadata(version="1", type=1)),
        interface=interface_pb2.TypedInterface(inputs=variables(x=INTEGER), outputs=variables(y=INTEGER)),
        container=tasks_pb2.Container(image="shell", command=command))
    stack.admin.CreateTask(task_pb2.TaskCreateRequest(id=id, spec=task_pb2.TaskSpec(template=template)))
    x = finish(stack.admin, create(stack.admin, id), 60)
    assert x.closure.phase == Phase.FAILED
    assert words in x.closure.error.message, x.closure.error

"""Our gRPC server as other people's clients see it: Python's grpcio, raw sockets."""
import contextlib
import os
import pathlib
import queue
import signal
import socket
import subprocess
import time

import grpc
import pytest
from flyteidl.admin import version_pb2
from flyteidl.service import admin_pb2_grpc
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from stack import REPOSITORY, wait_for

GET_VERSION = "/flyteidl.service.AdminService/GetVersion"


@pytest.fixture
def server():
    binaries = pathlib.Path(os.environ.get("ALULA_BIN", os.path.join(REPOSITORY, "build/debug/bin")))
    process = subprocess.Popen([binaries.parent / "tests/tools/rpc_bench", "serve", "0"], stdout=subprocess.PIPE, text=True)
    yield process, f"127.0.0.1:{int(process.stdout.readline())}"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(server[1]) as c:
        yield c


def get_version(channel, **kwargs):
    return admin_pb2_grpc.AdminServiceStub(channel).GetVersion(version_pb2.GetVersionRequest(), timeout=20, **kwargs)


def serves(channel):
    with contextlib.suppress(grpc.RpcError):
        get_version(channel)
        return True
    return False


def test_pings_of_an_idle_client_are_permitted(server):
    """Against grpc's own default, the third such ping is answered with GOAWAY ENHANCE_YOUR_CALM."""
    options = [("grpc.keepalive_time_ms", 1200), ("grpc.keepalive_timeout_ms", 20000), ("grpc.keepalive_permit_without_calls", 1),
               ("grpc.http2.max_pings_without_data", 0)]
    states = []
    with grpc.insecure_channel(server[1], options=options) as channel:
        get_version(channel)
        channel.subscribe(states.append)
        time.sleep(7)
        get_version(channel)
    assert states == [grpc.ChannelConnectivity.READY]


def test_a_compressed_request_is_read(channel):
    metadata = [("x-word", "w" * 1000)]
    get_version(channel, compression=grpc.Compression.Gzip, metadata=metadata)
    call = channel.unary_unary(GET_VERSION)
    with pytest.raises(grpc.RpcError) as e:
        call(b"\x0a" * 10000, compression=grpc.Compression.Gzip, timeout=20)
    assert e.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_sizes_are_bounded(channel):
    call = channel.unary_unary(GET_VERSION)
    field = b"\x7a" + b"\x80\x80\x80\x1f"  # unknown field 15, 62 MiB
    assert call(field + bytes(62 << 20), timeout=60) == b""
    with pytest.raises(grpc.RpcError) as e:
        call(bytes(65 << 20), timeout=60)
    assert e.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in e.value.details()
    get_version(channel, metadata=[("x-word", "w" * 20000)])
    with pytest.raises(grpc.RpcError) as e:
        get_version(channel, metadata=[("x-word", "w" * 40000)])
    assert e.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    # libgrpc sometimes closes the connection of who sent such headers, also while the next call is under way; who calls
    # again is served.
    wait_for(lambda: serves(channel), 20, "an answer")


def test_requests_that_never_come_hold_nobody_up(server, channel):
    """More calls and connections than there are workers, none of which gets on."""
    sockets = [socket.create_connection(server[1].split(":")) for _ in range(50)]
    for s in sockets:
        s.sendall(b"PRI * HTTP/2.0\r\n")
    never = queue.Queue()
    calls = [channel.stream_unary(GET_VERSION).future(iter(never.get, None)) for _ in range(200)]
    time.sleep(0.5)
    begin = time.monotonic()
    for _ in range(20):
        get_version(channel)
    assert time.monotonic() - begin < 30
    assert not any(c.done() for c in calls)
    for c in calls:
        c.cancel()
        never.put(None)
    for s in sockets:
        s.close()


def test_errors(channel):
    def fails(path, request=b""):
        with pytest.raises(grpc.RpcError) as e:
            channel.unary_unary(path)(request, timeout=20)
        return e.value.code(), e.value.details()

    code, details = fails("/flyteidl.service.AdminService/GetTask")
    assert (code, details) == (grpc.StatusCode.UNIMPLEMENTED, "/flyteidl.service.AdminService/GetTask is not implemented")
    code, details = fails("/flyteidl.service.AdminService/Nothing")
    assert (code, details) == (grpc.StatusCode.UNIMPLEMENTED, "unknown method Nothing of service flyteidl.service.AdminService")
    code, details = fails("/nobody/Nothing")
    assert (code, details) == (grpc.StatusCode.UNIMPLEMENTED, "unknown service: /nobody/Nothing is not served here")
    code, details = fails(GET_VERSION, b"\xff\xff")
    assert code == grpc.StatusCode.INVALID_ARGUMENT and details


def test_health(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    for name in ("", "flyteidl.service.AdminService"):
        assert stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=20).status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as e:
        stub.Check(health_pb2.HealthCheckRequest(service="nobody"), timeout=20)
    assert e.value.code() == grpc.StatusCode.NOT_FOUND


def test_a_drain_tells_watchers_and_exits(server, channel):
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    server[0].send_signal(signal.SIGTERM)
    assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
    with pytest.raises(grpc.RpcError) as e:
        next(watch)
    assert e.value.code() == grpc.StatusCode.UNAVAILABLE
    assert server[0].wait(timeout=30) == 0


def test_reflection(channel):
    database = ProtoReflectionDescriptorDatabase(channel)
    assert {"flyteidl.service.AdminService", "grpc.health.v1.Health"} <= set(database.get_services())
    pool = DescriptorPool(database)
    service = pool.FindServiceByName("flyteidl.service.AdminService")
    assert service.methods_by_name["GetTask"].output_type.full_name == "flyteidl.admin.Task"
    assert pool.FindMessageTypeByName("flyteidl.core.Literal").fields_by_name["scalar"].number == 1

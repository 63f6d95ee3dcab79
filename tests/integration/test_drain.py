"""An admin that is told to end: what is under way is finished, nothing new is taken, and it goes in peace."""
import concurrent.futures
import contextlib
import json
import os
import re
import signal
import subprocess
import time

import grpc
import psycopg
import pytest
import requests
from flyteidl.admin import common_pb2
from flyteidl.service import admin_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from stack import BIN, wait_for
from test_executions import create_task

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


class Admin:
    """One more admin of a stack, which nobody starts again."""

    def __init__(self, stack, directory, **env):
        self.log = directory / "log"
        settings = {"ALULA_DATABASE_DSN": stack.dsn, "ALULA_SERVER_HOST": "127.0.0.1", "ALULA_SERVER_GRPC_PORT": "0",
                    "ALULA_SERVER_HTTPPORT": "0", "ALULA_PROFILER_PORT": "0", "ALULA_STORAGE_CONTAINER": stack.store,
                    "ALULA_STORAGE_SIGNEDURL_SECRET": "s" * 32, "ALULA_BUS_NATS_URL": stack.nats_url, **env}
        with open(self.log, "w", encoding="utf-8") as out:
            self.process = subprocess.Popen([os.path.join(BIN, "alula-admin"), "serve"], env={**os.environ, **settings},
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        wait_for(lambda: self.said("ready") or self.process.poll() is not None, what="admin ready")
        if self.process.poll() is not None:
            return
        self.grpc = f"127.0.0.1:{self.said('serving')['grpc_port']}"
        self.http = f"http://127.0.0.1:{self.said('serving')['http_port']}"
        self.profiler = f"http://127.0.0.1:{self.said('ready')['profiler_port']}"

    def said(self, message):
        for line in self.log.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                if json.loads(line)["msg"] == message:
                    return json.loads(line)
        return None

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def locked(stack):
    """While it lasts, what reads tasks waits."""
    with psycopg.connect(stack.dsn) as c:
        c.execute("LOCK TABLE admin.tasks IN ACCESS EXCLUSIVE MODE")
        yield


def waiting(stack):
    """Statements that wait for the lock on tasks."""
    return stack.sql("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'admin.tasks'::regclass")[0][0]


def calls_under_way(admin):
    text = requests.get(f"{admin.profiler}/metrics", timeout=20).text
    return int(re.search(r"^alula:rpc:calls (\d+)$", text, re.M).group(1))


def refused(address, request):
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as e:
        admin_pb2_grpc.AdminServiceStub(channel).GetTask(request, timeout=20)
    return e.value.code()


def test_what_is_under_way_is_finished(stack, tmp_path):
    task = create_task(stack.admin)
    request = common_pb2.ObjectGetRequest(id=task)
    path = f"/api/v1/tasks/{task.project}/{task.domain}/{task.name}/{task.version}"
    with Admin(stack, tmp_path, ALULA_DRAIN_GRACE="20s") as admin, grpc.insecure_channel(admin.grpc) as channel, \
            concurrent.futures.ThreadPoolExecutor() as pool:
        stub = admin_pb2_grpc.AdminServiceStub(channel)
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=60)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        stub.GetTask(request)
        with locked(stack):
            # Each page has a statement of its own; gRPC's calls gather behind one or two. The watch is a call, too.
            pages = [pool.submit(requests.get, admin.http + path, timeout=60) for _ in range(4)]
            wait_for(lambda: waiting(stack) == 4, what="all pages to be under way")
            calls = [stub.GetTask.future(request) for _ in range(8)]
            wait_for(lambda: calls_under_way(admin) == 9 and waiting(stack) >= 5, what="all calls to be under way")
            admin.terminate()
            assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
            with pytest.raises(grpc.RpcError) as e:
                next(watch)
            assert e.value.code() == UNAVAILABLE
            for _ in range(3):
                assert refused(admin.grpc, request) == UNAVAILABLE
                with pytest.raises(grpc.RpcError) as e:
                    stub.GetTask(request, timeout=20)
                assert e.value.code() == UNAVAILABLE
                with pytest.raises(requests.ConnectionError):
                    requests.get(admin.http + path, timeout=20)
            health = requests.get(f"{admin.profiler}/healthcheck", timeout=20)
            assert health.status_code == 503 and "draining" in health.text
            assert admin.process.poll() is None and not any(c.done() for c in calls + pages)
        begin = time.monotonic()
        assert [c.result(timeout=20).id for c in calls] == [task] * 8
        assert [p.result(timeout=20).json()["id"]["name"] for p in pages] == [task.name] * 4
        assert admin.process.wait(timeout=30) == 0
        assert time.monotonic() - begin < 15, "the grace was waited for"
        assert admin.said("stopped")


def test_the_grace_ends(stack, tmp_path):
    """Who waits longer than the grace is told so; a handler is not left in the middle, so the exit comes after it."""
    request = common_pb2.ObjectGetRequest(id=create_task(stack.admin))
    with Admin(stack, tmp_path, ALULA_DRAIN_GRACE="1s") as admin, grpc.insecure_channel(admin.grpc) as channel:
        stub = admin_pb2_grpc.AdminServiceStub(channel)
        stub.GetTask(request)
        with locked(stack):
            call = stub.GetTask.future(request, timeout=60)
            wait_for(lambda: waiting(stack) == 1, what="the statement that waits")
            begin = time.monotonic()
            admin.terminate()
            assert call.exception(timeout=20).code() in (UNAVAILABLE, grpc.StatusCode.CANCELLED)
            assert time.monotonic() - begin > 0.9
            assert admin.process.poll() is None
        assert admin.process.wait(timeout=30) == 0


def test_a_second_signal_ends_it_at_once(stack, tmp_path):
    request = common_pb2.ObjectGetRequest(id=create_task(stack.admin))
    with Admin(stack, tmp_path, ALULA_DRAIN_GRACE="60s") as admin, grpc.insecure_channel(admin.grpc) as channel:
        with locked(stack):
            call = admin_pb2_grpc.AdminServiceStub(channel).GetTask.future(request, timeout=60)
            wait_for(lambda: waiting(stack) == 1, what="the statement that waits")
            admin.terminate()
            wait_for(lambda: admin.said("draining"), what="draining")
            admin.terminate()
            assert admin.process.wait(timeout=30) not in (0, None)
        assert call.exception(timeout=20).code() == UNAVAILABLE

"""Lists are read from a streaming replica, a real one; everything else, and they too when it is away, from the primary."""
import glob
import os
import shutil
import signal
import socket
import subprocess

import grpc
import psycopg
import pytest
from flyteidl.admin import common_pb2
from flyteidl.service import admin_pb2_grpc

from stack import wait_for
from test_drain import Admin
from test_executions import DOMAIN, PROJECT, create_task


class Replica:
    """pg_basebackup of a stack's Postgres, and a server on it that follows."""

    def __init__(self, stack):
        data = os.path.realpath(os.path.join(stack.var, "pg"))
        self.data, owner = data + "-replica", os.stat(data)
        self.who = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        os.mkdir(self.data, 0o700)
        if self.who:
            os.chown(self.data, owner.st_uid, owner.st_gid)
        subprocess.run([self.tool("pg_basebackup"), "-d", stack.dsn, "-D", self.data, "-R", "-X", "stream", "-c", "fast",
                        "--no-sync"], check=True, cwd="/", **self.who)
        # Somebody may take the port before the server does: then it ends, and is started on another.
        if not any(self.serves(stack) for _ in range(5)):
            raise AssertionError("the replica does not start")

    def serves(self, stack):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        self.dsn = psycopg.conninfo.make_conninfo(stack.dsn, port=port)
        self.server = subprocess.Popen(
            [self.tool("postgres"), "-D", self.data, "-p", str(port), "-c", f"config_file={self.data}/alula.conf"],
            cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self.who)
        wait_for(lambda: self.server.poll() is not None or self.answers(), what="the replica")
        return self.server.poll() is None

    @staticmethod
    def tool(name):
        return shutil.which(name) or sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))[-1]

    def answers(self):
        try:
            return self.sql("SELECT pg_is_in_recovery()") == [(True,)]
        except psycopg.OperationalError:
            return False

    def sql(self, text):
        with psycopg.connect(self.dsn, autocommit=True, connect_timeout=10) as c:
            return c.execute(text).fetchall()

    def stop(self):
        if self.server.poll() is None:
            self.server.send_signal(signal.SIGINT)
            self.server.wait(timeout=60)
        shutil.rmtree(self.data, ignore_errors=True)


@pytest.fixture
def replica(stack):
    r = Replica(stack)
    yield r
    r.stop()


def listed(stub, task):
    return stub.ListTasks(common_pb2.ResourceListRequest(
        id=common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN, name=task.name), limit=10)).tasks


def test_lists_come_from_the_replica(stack, replica, tmp_path):
    with Admin(stack, tmp_path, ALULA_DATABASE_READREPLICADSN=replica.dsn) as admin, \
            grpc.insecure_channel(admin.grpc) as channel:
        stub = admin_pb2_grpc.AdminServiceStub(channel)
        first = create_task(stub)
        wait_for(lambda: listed(stub, first), what="the first in the list")
        replica.sql("SELECT pg_wal_replay_pause()")
        wait_for(lambda: replica.sql("SELECT pg_get_wal_replay_pause_state()") == [("paused",)], what="a replica that waits")
        second = create_task(stub)
        assert stub.GetTask(common_pb2.ObjectGetRequest(id=second)).id == second
        assert not listed(stub, second) and listed(stack.admin, second), "the replica is behind, the primary is not"
        replica.sql("SELECT pg_wal_replay_resume()")
        wait_for(lambda: listed(stub, second), what="the second in the list")
        replica.stop()
        third = create_task(stub)
        assert listed(stub, third), "without the replica, the primary answers"
        assert "the replica did not answer" in admin.log.read_text(encoding="utf-8")
        admin.terminate()
        assert admin.process.wait(timeout=30) == 0


def test_a_host_does_not_go_with_a_dsn(stack, tmp_path):
    with Admin(stack, tmp_path, ALULA_DATABASE_POSTGRES_READREPLICAHOST="127.0.0.1") as admin:
        assert admin.process.wait(timeout=30) == 1
        assert "database.readReplicaDsn" in admin.log.read_text(encoding="utf-8")

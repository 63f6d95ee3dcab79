"""Private stacks for tests: a directory and free ports of their own, driven by tools/stack as `make up` does.

    stack.admin                 stub of flyteidl's AdminService    stack.pid("propeller")
    stack.http("/api/v1/...")   a requests.Response                stack.kill("propeller")     SIGKILL; it is restarted
    stack.sql("SELECT ...")     rows                               stack.pause/resume(name)    SIGSTOP, SIGCONT
    stack.nats_url              for nats-py                        stack.stop/start(name)      ended and held; let go
    stack.stub(Stub, "admin-2") any stub, of any admin             stack.kill_and_hold(name)   SIGKILL, stays down

A sanitizer's report in any log fails the test that tears the stack down.
"""
import contextlib
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import grpc
import requests

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("ALULA_BIN") or os.path.join(REPOSITORY, "build/debug/bin")
SANITIZER = re.compile(r"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error: |\"msg\":\"crashed\"")


def wait_for(condition, timeout=60.0, what="condition", interval=0.01):
    """What `condition` returns once it is true; it is asked again and again. AssertionError at the end: long after
    what a machine needs that stands still now and then, since only failures take so long."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {timeout} s")
        time.sleep(interval)


class StackError(Exception):
    """What tools/stack said."""


class Stack:
    def __init__(self, admins=1, propellers=1, datacatalogs=1, env=None, bin_dir=BIN, keep=False):
        self.directory = tempfile.mkdtemp(prefix="alula-")
        os.chmod(self.directory, 0o755)  # Postgres' user passes through
        self.var = os.path.join(self.directory, "var")
        self.keep = keep
        self.env = dict(os.environ, VAR=self.var, ALULA_BIN=bin_dir, ALULA_GRPC_PORT="0", ALULA_HTTP_PORT="0",
                        ALULA_DATACATALOG_PORT="0", ALULA_ADMINS=str(admins), ALULA_PROPELLERS=str(propellers),
                        ALULA_DATACATALOGS=str(datacatalogs))
        self.env.update(env or {})
        self._channels = []
        self.facts = {}

    def run(self, *args, check=True):
        """tools/stack with these arguments; its output."""
        p = subprocess.run([sys.executable, "-B", os.path.join(REPOSITORY, "tools/stack"), *args], env=self.env,
                           cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True, timeout=180)
        if check and p.returncode:
            raise StackError(p.stderr.strip())
        return p.stdout

    def up(self):
        self.run("up")
        self.facts = json.loads(self.run("env"))
        return self

    def down(self):
        for c in self._channels:
            c.close()
        self._channels = []
        self.__dict__.pop("admin", None)
        self.__dict__.pop("data_proxy", None)
        self.run("down")

    # Where it serves.

    def port(self, name):
        """"admin.grpc", "admin-2.http", "propeller.profiler", "postgres", "nats" """
        return self.facts["ports"][name]

    @property
    def grpc_address(self):
        return f"127.0.0.1:{self.port('admin.grpc')}"

    @property
    def http_base(self):
        return f"http://127.0.0.1:{self.port('admin.http')}"

    @property
    def dsn(self):
        return self.facts["dsn"]

    @property
    def nats_url(self):
        return self.facts["nats_url"]

    @property
    def store(self):
        return os.path.join(self.var, "store")

    def channel(self, name="admin", options=()):
        """A channel to the daemon of that name; closed with the stack."""
        channel = grpc.insecure_channel(f"127.0.0.1:{self.port(name + '.grpc')}", options=list(options))
        self._channels.append(channel)
        return channel

    def stub(self, kind, name="admin"):
        """A stub of flyteidl.service.*_pb2_grpc on a channel of its own."""
        return kind(self.channel(name))

    @functools.cached_property
    def admin(self):
        from flyteidl.service.admin_pb2_grpc import AdminServiceStub
        return self.stub(AdminServiceStub)

    @functools.cached_property
    def data_proxy(self):
        from flyteidl.service.dataproxy_pb2_grpc import DataProxyServiceStub
        return self.stub(DataProxyServiceStub)

    def http(self, path, method="GET", name="admin", timeout=30, **kwargs):
        return requests.request(method, f"http://127.0.0.1:{self.port(name + '.http')}{path}", timeout=timeout, **kwargs)

    def healthy(self, name):
        with contextlib.suppress(requests.RequestException):
            url = f"http://127.0.0.1:{self.port(name + '.profiler')}/healthcheck"
            return requests.get(url, timeout=20).status_code == 200
        return False

    def metric(self, name, metric):
        """The value of a series as it is printed, with its labels; None if it is not there."""
        text = requests.get(f"http://127.0.0.1:{self.port(name + '.profiler')}/metrics", timeout=20).text
        found = re.search(rf"^{re.escape(metric)} (\S+)$", text, re.M)
        return float(found.group(1)) if found else None

    def sql(self, text, *params):
        """Rows of a query, or None for a statement without; each call has a connection of its own."""
        import psycopg
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(text, params or None)
            return cursor.fetchall() if cursor.description else None

    # The parts: admin, propeller, admin-2, ..., postgres, nats.

    def rows(self):
        with contextlib.suppress(FileNotFoundError, ValueError):
            with open(f"{self.var}/run/status.json", encoding="utf-8") as f:
                return {r["name"]: r for r in json.load(f)["parts"]}
        return {}

    def pid(self, name):
        return self.rows()[name]["pid"]

    def restarts(self, name):
        return self.rows()[name]["restarts"]

    def log(self, name):
        with contextlib.suppress(FileNotFoundError):
            with open(f"{self.var}/log/{name}.log", encoding="utf-8", errors="replace") as f:
                return f.read()
        return ""

    def wait_ready(self, name, timeout=60, restarts=0):
        """Until it serves; with `restarts`, after at least so many."""
        def ready():
            row = self.rows().get(name)
            return row and row["state"] == "ready" and row["restarts"] >= restarts
        wait_for(ready, timeout, f"{name} ready")

    def signal(self, name, number):
        pid = self.pid(name)
        os.kill(pid, number)
        return pid

    def kill(self, name, wait=True):
        """SIGKILL; the supervisor starts it again."""
        restarts = self.restarts(name)
        pid = self.signal(name, signal.SIGKILL)
        if wait:
            self.wait_ready(name, restarts=restarts + 1)
        return pid

    def pause(self, name):
        return self.signal(name, signal.SIGSTOP)

    def resume(self, name):
        return self.signal(name, signal.SIGCONT)

    def stop(self, name):
        """End it properly and keep it down."""
        self.run("stop", name)

    def start(self, name):
        self.run("start", name)

    def kill_and_hold(self, name, number=None):
        """SIGKILL, or another signal that ends it, and keep it down."""
        with open(f"{self.var}/run/{name}.hold", "w", encoding="utf-8"):
            pass
        self.signal(name, number or signal.SIGKILL)
        wait_for(lambda: self.rows().get(name, {}).get("state") == "held", what=f"{name} held")

    # The end.

    def sanitizer_reports(self):
        logs = os.path.join(self.var, "log")
        found = []
        for name in sorted(os.listdir(logs)) if os.path.isdir(logs) else []:
            text = self.log(name[:-4])
            match = SANITIZER.search(text)
            if match:
                found.append(f"{name}: {text[match.start():match.start() + 3000]}")
        return found

    def close(self):
        for name, row in self.rows().items():
            with contextlib.suppress(ProcessLookupError, TypeError):
                os.kill(row["pid"], signal.SIGCONT)
        try:
            self.down()
            reports = self.sanitizer_reports()
        finally:
            if not self.keep:
                shutil.rmtree(self.directory, ignore_errors=True)
        assert not reports, "\n".join(reports)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        if kind:
            for name in sorted(self.rows()):
                print(f"--- {name}\n" + "\n".join(self.log(name).splitlines()[-30:]), file=sys.stderr)
        self.close()

"""Connectors for tests: flytekit's own server, with or without connector_tasks.py of flows/, as a process."""
import os
import signal
import socket
import subprocess
import sys
import tempfile

from flyte_client import FLOWS
from stack import wait_for

# Short times, so that tests need not wait.
FAST = {
    "ALULA_PLUGINS_CONNECTOR_SERVICE_FIRSTRESYNCINTERVAL": "100ms",
    "ALULA_PLUGINS_CONNECTOR_SERVICE_WEBAPI_CACHING_RESYNCINTERVAL": "500ms",
    "ALULA_PLUGINS_CONNECTOR_SERVICE_WEBAPI_CACHING_MAXSYSTEMFAILURES": "40",
    "ALULA_PLUGINS_CONNECTOR_SERVICE_POLLINTERVAL": "500ms",
}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Connector:
    """`pyflyte serve connector` on a port that it keeps when it is started again; `calls()` is what it was asked."""

    def __init__(self):
        self.port, self.metrics_port = free_port(), free_port()
        self.directory = tempfile.mkdtemp(prefix="alula-connector-")
        self.notes = os.path.join(self.directory, "calls")
        self.process = None

    @property
    def endpoint(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        env = dict(os.environ, CONNECTOR_LOG=self.notes,
                   PYTHONPATH=os.pathsep.join([FLOWS, os.environ.get("PYTHONPATH", "")]))
        with open(os.path.join(self.directory, "log"), "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(os.path.dirname(sys.executable), "pyflyte"), "serve", "connector", "--port", str(self.port),
                 "--prometheus_port", str(self.metrics_port), "--modules", "connector_tasks"],
                env=env, cwd=FLOWS, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(lambda: listens(self.port) or self.process.poll() is not None, 60, "connector listens", 0.1)
        assert self.process.poll() is None, self.log()
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def log(self):
        with open(os.path.join(self.directory, "log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def calls(self, begins=""):
        try:
            with open(self.notes, encoding="utf-8") as f:
                return [line.strip() for line in f if line.startswith(begins)]
        except FileNotFoundError:
            return []

    def let_go(self, word):
        """Of a task that waits."""
        with open(f"{self.notes}.{word}", "w", encoding="utf-8"):
            pass

    def close(self):
        if self.process and self.process.poll() is None:
            self.resume()
            self.kill()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

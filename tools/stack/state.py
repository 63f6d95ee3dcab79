"""What lies under VAR: ports, pids, logs, generated configuration."""
import fcntl
import json
import os
import random
import secrets
import shutil
import signal
import socket
import string
import subprocess
import time

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Below the range from which the kernel picks ports of outgoing connections.
FREE_PORTS = range(20000, 32000)
FOREIGN = ("ALULA_DSN", "ALULA_NATS_URL", "ALULA_DATABASE_DSN", "ALULA_DATABASE_POSTGRES_", "ALULA_BUS_", "ALULA_STORAGE_", "PG")


class Problem(Exception):
    """One line for the person at the terminal."""


def port_is_free(port):
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                s.bind((address, port))
        except OSError as e:
            if e.errno in (98, 13):
                return False
    return True


class State:
    def __init__(self):
        self.var = os.path.abspath(os.environ.get("VAR") or "var")
        self.bin = os.path.abspath(os.environ.get("ALULA_BIN") or os.path.join(REPOSITORY, "build/debug/bin"))
        self.venv = os.path.abspath(os.environ.get("VENV") or os.path.join(REPOSITORY, "var/venv"))
        self.counts = {"admin": int(os.environ.get("ALULA_ADMINS") or 1),
                       "datacatalog": int(os.environ.get("ALULA_DATACATALOGS") or 1),
                       "propeller": int(os.environ.get("ALULA_PROPELLERS") or 1)}

    def path(self, name):
        return os.path.join(self.var, name)

    def remove(self, name):
        try:
            os.unlink(self.path(name))
        except FileNotFoundError:
            pass

    def read_json(self, name):
        try:
            with open(self.path(name), encoding="utf-8") as f:
                return json.load(f)
        except (FileNotFoundError, ValueError):
            return {}

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        fd = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(fd, "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(path + ".new", path)

    # Ports and secret, remembered in run/stack.json.

    def prepare(self):
        for d in ("run", "log", "etc", "store", "nats", "secrets"):
            os.makedirs(self.path(d), exist_ok=True)
        self.settings = self.read_json("run/stack.json")
        self.settings.setdefault("ports", {})
        self.settings.setdefault("secret", secrets.token_hex(32))
        self.settings["counts"] = self.counts

    def load(self):
        self.settings = self.read_json("run/stack.json")
        self.counts = self.settings.get("counts", self.counts)

    def save(self):
        self.write("run/stack.json", json.dumps(self.settings, indent=1), 0o600)

    def pick_port(self, name):
        """The port of last time, or another free one."""
        ports = self.settings["ports"]
        taken = {p for k, p in ports.items() if k != name}
        port = ports.get(name)
        while port is None or port in taken or not port_is_free(port):
            port = random.choice(FREE_PORTS)
        ports[name] = port
        return port

    def fixed_port(self, name, variable, default):
        """A port that people know; it must be free."""
        wanted = os.environ.get(variable, "")
        try:
            port = int(wanted or default)
        except ValueError:
            raise Problem(f"{variable}: expected a port number, not \"{wanted}\"") from None
        if not 0 <= port <= 65535:
            raise Problem(f"{variable}: expected a port from 0 to 65535, not {port}")
        if port == 0:
            return self.pick_port(name)
        if not port_is_free(port):
            raise Problem(f"port {port} ({name}) is in use: free it, or choose another with {variable}=PORT")
        self.settings["ports"][name] = port
        return port

    def env(self):
        self.load()
        ports = self.settings.get("ports", {})
        return {"var": self.var, "grpc_port": ports.get("admin.grpc"), "http_port": ports.get("admin.http"),
                "datacatalog_port": ports.get("datacatalog.grpc"),
                "dsn": f"host=127.0.0.1 port={ports.get('postgres')} user=postgres dbname=alula",
                "nats_url": f"nats://127.0.0.1:{ports.get('nats')}", "ports": ports}

    def render(self, template, target, values):
        source = os.path.join(REPOSITORY, "etc/local", template)
        try:
            with open(source, encoding="utf-8") as f:
                text = string.Template(f.read()).substitute(values)
        except (OSError, KeyError, ValueError) as e:
            raise Problem(f"{source}: {type(e).__name__}: {e}") from None
        self.write(target, text)
        return self.path(target)

    # Processes.

    @staticmethod
    def child_environment():
        """Ours, without what would turn the daemons from the stack's own servers to others."""
        return {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}

    def running(self):
        """The supervisor's pid; it holds the lock as long as it lives."""
        try:
            with open(self.path("run/stack.pid"), encoding="utf-8") as f:
                try:
                    fcntl.flock(f, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    return None
                except BlockingIOError:
                    return int(f.read() or 0) or None
        except (FileNotFoundError, ValueError):
            return None

    def part_pid(self, name):
        try:
            with open(self.path(f"run/{name}.pid"), encoding="utf-8") as f:
                return int(f.read())
        except (FileNotFoundError, ValueError):
            return None

    def part_state(self, name):
        for r in self.read_status().get("parts", []):
            if r["name"] == name:
                return r["state"]
        return None

    def read_status(self):
        return self.read_json("run/status.json")

    def is_ours(self, pid):
        """Is it still the process of the pid file, and no later one of the same number?"""
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                return self.var.encode() in f.read()
        except OSError:
            return False

    def end_orphans(self):
        """Parts whose supervisor was killed end by themselves; give them time, then force them."""
        if not os.path.isdir(self.path("run")):
            return
        names = [f[:-4] for f in os.listdir(self.path("run")) if f.endswith(".pid")]
        end = time.monotonic() + 20
        for name in names:
            pid = self.part_pid(name)
            while pid and self.is_ours(pid):
                if time.monotonic() > end:
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.02)
            self.remove(f"run/{name}.pid")

    def last_line(self, name):
        """Of its log, as much of it as a person reads: the message of a JSON line."""
        try:
            with open(self.path(f"log/{name}.log"), "rb") as f:
                f.seek(0, os.SEEK_END)
                f.seek(max(0, f.tell() - 16384))
                lines = f.read().decode(errors="replace").strip().splitlines()
        except OSError:
            return "no log"
        for line in reversed(lines):
            try:
                entry = json.loads(line)
            except ValueError:
                return line
            if isinstance(entry, dict) and entry.get("level") == "error":
                return ": ".join(str(entry[k]) for k in ("msg", "why", "error") if k in entry)
        return lines[-1] if lines else "no log"


def find_tool(name, *patterns):
    """A server's program; Debian keeps Postgres' out of PATH."""
    import glob
    found = sorted(f for p in patterns for f in glob.glob(p))
    program = found[-1] if found else shutil.which(name)
    if not program:
        raise Problem(f"{name} is missing: make deps")
    return program


def run_quietly(command, what, **kwargs):
    p = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       errors="replace", **kwargs)
    if p.returncode:
        raise Problem(f"{what}: {(p.stdout.strip().splitlines() or ['?'])[-1]}")

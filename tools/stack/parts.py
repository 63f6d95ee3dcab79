"""The parts of the stack: how each is configured, started, found ready and stopped.

A daemon is one row in DAEMONS and a template etc/local/<name>.yaml.
"""
import hashlib
import os
import pwd
import signal
import socket
import struct

from state import Problem, find_tool, run_quietly

# name, ports; a port with a variable is one that people know: its variable and default.
DAEMONS = [
    ("admin", {"grpc": ("ALULA_GRPC_PORT", 8089), "http": ("ALULA_HTTP_PORT", 8088), "profiler": None}),
    ("datacatalog", {"grpc": ("ALULA_DATACATALOG_PORT", 0), "profiler": None}),
    ("propeller", {"profiler": None}),
]


class Part:
    program = None  # of ours: must be there, and its configuration right
    config = None
    stop_signal = signal.SIGTERM
    stop_seconds = 30
    user = None  # a passwd entry to run as
    level = 0  # started from low to high, stopped from high to low

    def __init__(self, state, name):
        self.state = state
        self.name = name
        self.ports = {}

    def before_start(self):
        pass

    def after_first_ready(self):
        """Once per supervisor."""


def connects(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def exchange(port, request, answer):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as s:
            s.sendall(request)
            return s.recv(len(answer)) == answer
    except OSError:
        return False


class Postgres(Part):
    stop_signal = signal.SIGINT  # fast: ends sessions, writes a checkpoint

    def __init__(self, state):
        super().__init__(state, "postgres")
        self.initdb = find_tool("initdb", "/usr/lib/postgresql/*/bin/initdb")
        self.server = os.path.join(os.path.dirname(self.initdb), "postgres")
        self.createdb = os.path.join(os.path.dirname(self.initdb), "createdb")
        self.data = state.path("pg")
        self.ports = {"": state.pick_port("postgres")}
        if os.geteuid() == 0:
            self.user = self.find_user()

    @staticmethod
    def find_user():
        """Postgres refuses to run as root."""
        for name in ("postgres", "nobody"):
            try:
                return pwd.getpwnam(name)
            except KeyError:
                pass
        raise Problem("run as root, and neither user postgres nor nobody is there for Postgres")

    def become(self):
        if self.user:
            os.setgroups([])
            os.setgid(self.user.pw_gid)
            os.setuid(self.user.pw_uid)

    def may_enter(self, directory):
        """Whether the user gets there; below /root, say, it does not."""
        pid = os.fork()
        if pid == 0:
            self.become()
            os._exit(0 if os.access(directory, os.X_OK) else 1)
        return os.waitpid(pid, 0)[1] == 0

    def place(self):
        """The data directory; a link to one elsewhere when the user cannot enter ours."""
        if os.path.isdir(self.data):
            return
        if not self.user or self.may_enter(self.state.var):
            os.makedirs(self.data, exist_ok=True)
        else:
            other = "/var/lib/alula/" + hashlib.sha256(self.state.var.encode()).hexdigest()[:16]
            os.makedirs(other, exist_ok=True)
            if os.path.lexists(self.data):
                os.unlink(self.data)
            os.symlink(other, self.data)
        if self.user:
            os.chown(self.data, self.user.pw_uid, self.user.pw_gid)
        os.chmod(self.data, 0o700)

    def before_start(self):
        self.place()
        if not os.path.exists(os.path.join(self.data, "PG_VERSION")):
            for left in os.listdir(self.data):
                raise Problem(f"{self.data} holds {left} but no database: remove the directory")
            run_quietly([self.initdb, "-D", os.path.realpath(self.data), "-A", "trust", "-U", "postgres", "-E", "UTF8",
                         "--locale=C.UTF-8", "--no-sync"], "initdb", preexec_fn=self.become, cwd="/")
        with open(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                               "../etc/local/postgresql.conf"), encoding="utf-8") as f:
            text = f.read()
        # Next to the data: where Postgres' user can read it.
        with open(os.path.join(self.data, "alula.conf"), "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(os.path.join(self.data, "alula.conf"), 0o644)

    def command(self):
        real = os.path.realpath(self.data)
        return [self.server, "-D", real, "-p", str(self.ports[""]), "-c", f"config_file={real}/alula.conf",
                "-c", f"cluster_name={self.state.var}"]

    def ready(self):
        """It answers a login; before it can, with an error."""
        body = struct.pack("!i", 196608) + b"user\0postgres\0database\0postgres\0\0"
        return exchange(self.ports[""], struct.pack("!i", len(body) + 4) + body, b"R")

    def after_first_ready(self):
        marker = os.path.join(self.data, "alula.created")
        if not os.path.exists(marker):
            run_quietly([self.createdb, "-h", "127.0.0.1", "-p", str(self.ports[""]), "-U", "postgres", "alula"],
                        "createdb")
            open(marker, "w", encoding="utf-8").close()


class Nats(Part):
    def __init__(self, state):
        super().__init__(state, "nats")
        self.server = find_tool("nats-server", "/usr/sbin/nats-server")
        self.ports = {"": state.pick_port("nats")}
        self.file = state.render("nats.conf", "etc/nats.conf",
                                 {"port": self.ports[""], "store": state.path("nats"), "var": state.var})

    def command(self):
        return [self.server, "-c", self.file]

    def ready(self):
        return exchange(self.ports[""], b"", b"INFO")


class Daemon(Part):
    level = 1
    stop_seconds = 30

    def __init__(self, state, kind, index, ports):
        super().__init__(state, kind if index == 0 else f"{kind}-{index + 1}")
        self.kind = kind
        self.program = os.path.join(state.bin, f"alula-{kind}")
        self.ready_file = f"run/{self.name}.ready"
        for port, known in ports.items():
            key = f"{self.name}.{port}"
            self.ports[port] = state.fixed_port(key, *known) if known and index == 0 else state.pick_port(key)

    def configure(self, values):
        own = {f"{port}_port": number for port, number in self.ports.items()}
        self.config = self.state.render(f"{self.kind}.yaml", f"etc/{self.name}.yaml",
                                        {**values, **own, "name": self.name,
                                         "ready_file": self.state.path(self.ready_file)})

    def before_start(self):
        self.state.remove(self.ready_file)

    def command(self):
        return [self.program, "--config", self.config]

    def ready(self):
        return os.path.exists(self.state.path(self.ready_file)) and all(map(connects, self.ports.values()))


def make_parts(state):
    """All parts in the order of their start; ports are chosen and configuration is written on the way.

    The supervisor of a prepared stack takes the ports as they were chosen.
    """
    state.prepare()
    servers = [Postgres(state), Nats(state)]
    daemons = [Daemon(state, kind, i, ports) for kind, ports in DAEMONS for i in range(state.counts.get(kind, 1))]
    ports = state.settings["ports"]
    values = {"var": state.var, "venv": state.venv, "bin": state.bin, "secret": state.settings["secret"],
              "postgres_port": ports["postgres"], "nats_port": ports["nats"],
              "admin_grpc_port": ports["admin.grpc"], "admin_http_port": ports["admin.http"],
              "datacatalog_grpc_port": ports["datacatalog.grpc"]}
    for d in daemons:
        d.configure(values)
    state.render("flyte-client.yaml", "etc/flyte-client.yaml", values)
    state.save()
    return servers + daemons

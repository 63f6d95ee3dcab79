"""The process in the background: starts the parts, restarts what ends, stops all on SIGTERM.

It writes run/status.json whenever something changes. SIGUSR1: look at the hold files again. The parts die with it
(PR_SET_PDEATHSIG), so that killing it leaves nothing behind.
"""
import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time

from state import Problem

FIRST_DELAY, LAST_DELAY, CALM_SECONDS = 0.1, 10.0, 60
# A part that ends so often before it was ever ready is told to `up` as broken.
BROKEN_AFTER = 3
SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1}
# Logs are kept up to twice this.
LOG_BYTES = int(os.environ.get("ALULA_LOG_BYTES", 64 << 20))
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True)


def log(text):
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}", file=sys.stderr, flush=True)


class Child:
    """One part and its process."""

    def __init__(self, part):
        self.part = part
        self.process = None
        self.state = "waiting"
        self.since = time.time()
        self.started = 0.0
        self.restarts = 0
        self.starts = 0
        self.was_ready = False
        self.delay = FIRST_DELAY
        self.next_start = 0.0
        self.kill_at = None

    def become(self):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        if self.part.user:
            self.part.become()
        libc.prctl(PR_SET_PDEATHSIG, self.part.stop_signal)

    def log_path(self):
        return self.part.state.path(f"log/{self.part.name}.log")

    def bound_log(self):
        """The part appends to the file that it has open, so that is emptied, not replaced."""
        path = self.log_path()
        if os.path.exists(path) and os.path.getsize(path) > LOG_BYTES:
            shutil.copyfile(path, path + ".1")
            os.truncate(path, 0)

    def start(self):
        self.part.before_start()
        with open(self.log_path(), "ab") as out:
            self.process = subprocess.Popen(self.part.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            cwd="/" if self.part.user else self.part.state.var,
                                            env=self.part.state.child_environment(), preexec_fn=self.become,
                                            start_new_session=True)
        self.part.state.write(f"run/{self.part.name}.pid", f"{self.process.pid}\n")
        self.state, self.since, self.started = "starting", time.time(), time.monotonic()
        self.restarts += self.starts > 0
        self.starts += 1

    def stop(self):
        if self.process and self.kill_at is None:
            self.process.send_signal(self.part.stop_signal)
            self.kill_at = time.monotonic() + self.part.stop_seconds
            self.state = "stopping"

    def reap(self):
        """True if it has ended."""
        if not self.process or self.process.poll() is None:
            return False
        status, ran = self.process.returncode, time.monotonic() - self.started
        if self.kill_at is None:
            log(f"{self.part.name} (pid {self.process.pid}) ended with {status} after {ran:.1f} s")
        self.process, self.kill_at = None, None
        self.part.state.remove(f"run/{self.part.name}.pid")
        if ran > CALM_SECONDS:
            self.delay = FIRST_DELAY
        self.next_start = time.monotonic() + self.delay
        self.delay = min(self.delay * 2, LAST_DELAY)
        broken = not self.was_ready and self.starts >= BROKEN_AFTER
        self.state, self.since = "broken" if broken else "restarting", time.time()
        return True

    def row(self):
        p = self.part
        return {"name": p.name, "pid": self.process.pid if self.process else None, "state": self.state,
                "since": self.since, "restarts": self.restarts,
                "ports": {k or "port": v for k, v in p.ports.items()}}


class Supervisor:
    def __init__(self, state, parts):
        self.state = state
        self.children = [Child(p) for p in parts]
        self.written = None
        self.stopping = False

    def write_status(self):
        rows = [c.row() for c in self.children]
        if rows != self.written:
            self.state.write("run/status.json", json.dumps({"parts": rows}))
            self.written = rows

    def held(self, child):
        return os.path.exists(self.state.path(f"run/{child.part.name}.hold"))

    def may_start(self, child):
        """Daemons wait for the servers to have served once."""
        below = (c for c in self.children if c.part.level < child.part.level)
        return time.monotonic() >= child.next_start and all(c.was_ready or self.held(c) for c in below)

    def look_at(self, child):
        child.reap()
        if self.held(child):
            child.stop()
            if not child.process:
                child.state = "held"
        elif not child.process:
            if child.state == "held":
                child.next_start, child.delay = 0.0, FIRST_DELAY
                child.state = "waiting"
            if self.may_start(child):
                child.start()
        elif child.state == "starting" and child.part.ready():
            if not child.was_ready:
                child.part.after_first_ready()
            child.state, child.was_ready = "ready", True
        self.kill_late(child)
        child.bound_log()

    @staticmethod
    def kill_late(child):
        if child.process and child.kill_at and time.monotonic() > child.kill_at:
            log(f"{child.part.name} (pid {child.process.pid}) does not end: SIGKILL")
            child.process.kill()
            child.kill_at = time.monotonic() + 5

    def wait(self):
        busy = any(c.state in ("starting", "waiting", "stopping") for c in self.children)
        nap = 0.01 if busy else min([1.0] + [max(c.next_start - time.monotonic(), 0.01)
                                             for c in self.children if not c.process and c.state != "held"])
        got = signal.sigtimedwait(SIGNALS, nap)
        if got and got.si_signo in (signal.SIGTERM, signal.SIGINT):
            self.stopping = True

    def stop_level(self, children):
        for c in children:
            c.stop()
        while any(c.process for c in children):
            for c in children:
                c.reap()
                self.kill_late(c)
            self.write_status()
            signal.sigtimedwait({signal.SIGCHLD}, 0.02)

    def lock(self):
        """Held until this process ends: whoever looks knows that it lives."""
        path = self.state.path("run/stack.pid")
        self.lock_file = open(path, "a+", encoding="utf-8")
        try:
            fcntl.flock(self.lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Problem("another supervisor runs here") from None
        self.lock_file.truncate(0)
        self.lock_file.write(f"{os.getpid()}\n")
        self.lock_file.flush()

    def run(self):
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self.lock()
        log(f"supervising {', '.join(c.part.name for c in self.children)}")
        try:
            while not self.stopping:
                for c in self.children:
                    self.look_at(c)
                self.write_status()
                self.wait()
        finally:
            for level in sorted({c.part.level for c in self.children}, reverse=True):
                self.stop_level([c for c in self.children if c.part.level == level])
            self.state.remove("run/status.json")
            log("stopped")

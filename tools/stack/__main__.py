"""The local stack: a private Postgres and nats-server and the daemons, all state under one directory.

    python3 tools/stack up | down | status | logs | env | stop NAME | start NAME

`up` starts a supervisor in the background and returns when everything serves; what crashes is restarted. `stop NAME`
and `start NAME` hold one part and let it go. `env` prints ports and addresses as JSON. From the environment:
VAR (var), ALULA_BIN (build/debug/bin), VENV (var/venv), ALULA_GRPC_PORT (8089), ALULA_HTTP_PORT (8088), where 0 picks a
free one, ALULA_DATACATALOG_PORT (0), ALULA_ADMINS, ALULA_DATACATALOGS and ALULA_PROPELLERS (1).
"""
import json
import os
import signal
import subprocess
import sys
import time

import parts
import state
import supervisor
from state import Problem

START_SECONDS = 60
DOWN_SECONDS = 120


def wait_until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def launch(s):
    """Start the supervisor in a session of its own."""
    os.makedirs(s.path("log"), exist_ok=True)
    s.remove("run/status.json")
    with open(s.path("log/stack.log"), "ab") as log:
        return subprocess.Popen([sys.executable, os.path.dirname(os.path.abspath(__file__)), "supervise"],
                                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def check_daemons(s, all_parts):
    """Their configuration, by their own word, before anything starts."""
    for part in all_parts:
        if not part.program:
            continue
        if not os.access(part.program, os.X_OK):
            raise Problem(f"{part.program} is missing: make")
        if part.config:
            p = subprocess.run([part.program, "--config", part.config, "--check"], text=True, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=s.child_environment())
            if p.returncode:
                raise Problem(p.stderr.strip() or f"{part.program} --check fails with {p.returncode}")
            sys.stderr.write(p.stderr)


def await_ready(s, child):
    """What the supervisor writes down tells when all serve, or what does not."""
    end = time.monotonic() + START_SECONDS
    while True:
        status = s.read_status()
        rows = status.get("parts", [])
        broken = [r for r in rows if r["state"] == "broken"]
        if broken:
            raise Problem(f"{broken[0]['name']} does not start: {s.last_line(broken[0]['name'])}")
        if rows and all(r["state"] in ("ready", "held") for r in rows):
            return
        if child and child.poll() is not None:
            raise Problem(f"the supervisor ended: {s.last_line('stack')}")
        if time.monotonic() > end:
            late = [r["name"] for r in rows if r["state"] != "ready"]
            raise Problem(f"not ready after {START_SECONDS} s: {', '.join(late)}; see {s.path('log')}")
        time.sleep(0.01)


def print_ready(s, took):
    a = s.env()
    print(f"up in {took:.1f} s: gRPC localhost:{a['grpc_port']}, HTTP http://localhost:{a['http_port']}")


def tell_old_builds(s):
    for r in s.read_status().get("parts", []):
        program = os.path.join(s.bin, f"alula-{r['name'].split('-')[0]}")
        if os.path.exists(program) and os.stat(program).st_mtime > r["since"]:
            print(f"{r['name']} has been built anew since it started: make down up")


def up(s):
    start = time.monotonic()
    if s.running():
        await_ready(s, None)
        print_ready(s, time.monotonic() - start)
        tell_old_builds(s)
        return
    s.end_orphans()
    s.prepare()
    all_parts = parts.make_parts(s)
    check_daemons(s, all_parts)
    child = launch(s)
    try:
        await_ready(s, child)
    except Problem:
        down(s, quiet=True)
        raise
    print_ready(s, time.monotonic() - start)


def down(s, quiet=False):
    pid = s.running()
    if pid:
        os.kill(pid, signal.SIGTERM)
        if not wait_until(lambda: not s.running(), DOWN_SECONDS):
            raise Problem(f"the supervisor (pid {pid}) does not end")
    s.end_orphans()
    if not quiet:
        print("down" if pid else "nothing is running")


def age(seconds):
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f}{unit}"
    return f"{seconds:.0f}s"


def status(s):
    if not s.running():
        print("nothing is running")
        return 3
    row = "{:14} {:>8} {:10} {:>7} {:>8}  {}"
    print(row.format("NAME", "PID", "STATE", "UPTIME", "RESTARTS", "PORTS"))
    for r in s.read_status().get("parts", []):
        ports = " ".join(f"{k}={v}" for k, v in r["ports"].items())
        uptime = age(time.time() - r["since"]) if r["pid"] else "-"
        print(row.format(r["name"], r["pid"] or "-", r["state"], uptime, r["restarts"], ports))
    return 0


def logs(s, *names):
    follow = os.environ.get("FOLLOW") == "1"
    every = sorted(f[:-4] for f in os.listdir(s.path("log"))) if os.path.isdir(s.path("log")) else []
    files = [s.path(f"log/{n}.log") for n in names or every]
    if not files:
        raise Problem(f"no logs in {s.path('log')}")
    os.execvp("tail", ["tail", "-n", "40"] + (["-F"] if follow else []) + files)


def stop(s, name):
    pid = s.part_pid(name)
    open(s.path(f"run/{name}.hold"), "w").close()
    if pid and s.running():
        os.kill(s.running(), signal.SIGUSR1)
        if not wait_until(lambda: s.part_state(name) == "held", DOWN_SECONDS):
            raise Problem(f"{name} (pid {pid}) does not end")


def start(s, name):
    s.remove(f"run/{name}.hold")
    if not s.running():
        raise Problem("nothing is running: make up")
    os.kill(s.running(), signal.SIGUSR1)
    if not wait_until(lambda: s.part_state(name) == "ready", START_SECONDS):
        raise Problem(f"{name} does not start: {s.last_line(name)}")


def env(s):
    print(json.dumps(s.env(), indent=1))


def supervise(s):
    supervisor.Supervisor(s, parts.make_parts(s)).run()


COMMANDS = {f.__name__: f for f in (up, down, status, logs, stop, start, env, supervise)}


def main(argv):
    if len(argv) < 2 or argv[1] not in COMMANDS or (argv[1] in ("stop", "start")) != (len(argv) == 3 and argv[1] != "logs"):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    try:
        return COMMANDS[argv[1]](state.State(), *argv[2:]) or 0
    except Problem as problem:
        print(f"{argv[1]}: {problem}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))

"""The local stack's own machinery, with stand-ins for the daemons: start, ports, restarts, holds, faults, stop."""
import os
import signal
import socket
import time

import pytest

from stack import REPOSITORY, Stack, StackError, wait_for

FAKE = os.path.join(REPOSITORY, "tests/integration/fake_daemon.py")


@pytest.fixture
def fake(tmp_path):
    """A stack of stand-ins, not yet up."""
    for name in ("admin", "datacatalog", "propeller"):
        (tmp_path / f"alula-{name}").symlink_to(FAKE)
    with Stack(bin_dir=str(tmp_path)) as s:
        yield s


def alive(pid):
    return os.path.exists(f"/proc/{pid}")


def test_up_serves_and_down_stops_and_keeps_the_data(fake):
    fake.up()
    pids = [r["pid"] for r in fake.rows().values()]
    assert len(pids) == 5 and all(map(alive, pids))
    for port in fake.facts["ports"].values():
        socket.create_connection(("127.0.0.1", port)).close()
    fake.sql("CREATE TABLE kept (n int)")
    fake.sql("INSERT INTO kept VALUES (%s)", 7)
    fake.down()
    assert not any(map(alive, pids))
    assert [f for f in os.listdir(f"{fake.var}/run") if f.endswith(".pid") and f != "stack.pid"] == []
    ports = fake.facts["ports"]
    fake.up()
    assert fake.sql("SELECT n FROM kept") == [(7,)]
    assert {k: fake.facts["ports"][k] for k in ("postgres", "nats")} == {k: ports[k] for k in ("postgres", "nats")}


def test_a_second_up_and_down_do_nothing(fake):
    fake.up()
    before = fake.rows()
    assert "up in" in fake.run("up")
    assert fake.rows() == before
    assert fake.run("down") == "down\n"
    assert fake.run("down") == "nothing is running\n"
    assert fake.run("status", check=False) == "nothing is running\n"


@pytest.mark.parametrize("name", ["admin", "propeller", "nats", "postgres"])
def test_what_is_killed_is_restarted(fake, name):
    fake.up()
    old = fake.kill(name)
    assert fake.pid(name) != old and fake.restarts(name) == 1
    with open(f"{fake.var}/run/{name}.pid", encoding="utf-8") as f:
        assert int(f.read()) == fake.pid(name)


def test_the_delay_of_restarts_grows(fake):
    fake.up()
    start = time.monotonic()
    for _ in range(4):
        fake.kill("propeller")
    # 0.1 + 0.2 + 0.4 + 0.8 s
    assert time.monotonic() - start > 1.5
    assert fake.restarts("propeller") == 4


def test_a_held_part_stays_down_until_it_is_let_go(fake):
    fake.up()
    pid = fake.pid("nats")
    fake.stop("nats")
    assert not alive(pid) and fake.rows()["nats"]["state"] == "held"
    fake.start("nats")
    assert fake.rows()["nats"]["state"] == "ready"
    fake.kill_and_hold("admin")
    fake.start("admin")
    assert fake.rows()["admin"]["state"] == "ready"


def test_a_long_log_is_put_aside(fake):
    fake.env["ALULA_LOG_BYTES"] = "100000"
    fake.up()
    path = f"{fake.var}/log/nats.log"
    with open(path, "a", encoding="utf-8") as f:
        f.write("x" * 200000 + "\n")
    wait_for(lambda: os.path.getsize(path) < 100000)
    with open(path + ".1", encoding="utf-8") as f:
        assert "x" * 200000 in f.read()
    fake.kill("nats")
    assert os.path.getsize(path) > 0


def test_a_taken_port_is_named(fake):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        fake.env["ALULA_HTTP_PORT"] = str(port)
        with pytest.raises(StackError) as e:
            fake.up()
    assert str(e.value) == f"up: port {port} (admin.http) is in use: free it, or choose another with ALULA_HTTP_PORT=PORT"
    assert fake.rows() == {}


def test_a_missing_program_is_named(fake):
    os.unlink(os.path.join(fake.env["ALULA_BIN"], "alula-propeller"))
    with pytest.raises(StackError) as e:
        fake.up()
    assert str(e.value) == f"up: {fake.env['ALULA_BIN']}/alula-propeller is missing: make"


def test_a_broken_configuration_is_told_in_the_daemons_words(fake):
    fake.env["FAKE_BROKEN"] = "propeller:config"
    with pytest.raises(StackError) as e:
        fake.up()
    assert str(e.value) == f"up: {fake.var}/etc/propeller.yaml:1: x: expected a fake"


def test_a_daemon_that_cannot_start_ends_the_stack(fake):
    fake.env["FAKE_BROKEN"] = "propeller:start"
    with pytest.raises(StackError) as e:
        fake.up()
    assert str(e.value) == "up: propeller does not start: cannot start: no fake today"
    assert fake.run("status", check=False) == "nothing is running\n"


def test_nothing_outlives_a_killed_supervisor(fake):
    fake.up()
    pids = [r["pid"] for r in fake.rows().values()]
    with open(f"{fake.var}/run/stack.pid", encoding="utf-8") as f:
        os.kill(int(f.read()), signal.SIGKILL)
    wait_for(lambda: not any(map(alive, pids)), what="the parts' end")
    fake.up()
    assert all(alive(r["pid"]) for r in fake.rows().values())


def test_several_of_a_kind(tmp_path):
    for name in ("admin", "datacatalog", "propeller"):
        (tmp_path / f"alula-{name}").symlink_to(FAKE)
    with Stack(bin_dir=str(tmp_path), admins=2, propellers=3) as s:
        s.up()
        assert sorted(s.rows()) == ["admin", "admin-2", "datacatalog", "nats", "postgres", "propeller", "propeller-2", "propeller-3"]
        assert s.port("admin.grpc") != s.port("admin-2.grpc")


def test_settings_of_other_servers_do_not_reach_the_daemons(fake):
    fake.env.update(ALULA_DSN="host=elsewhere", ALULA_BUS_NATS_URL="nats://elsewhere", ALULA_TASK_PATH="/opt/mine")
    fake.up()
    with open(f"/proc/{fake.pid('admin')}/environ", encoding="utf-8") as f:
        environment = f.read()
    assert "elsewhere" not in environment and "ALULA_TASK_PATH=/opt/mine" in environment


def test_a_new_build_is_told(fake):
    fake.up()
    program = os.path.join(fake.env["ALULA_BIN"], "alula-admin")
    os.unlink(program)
    with open(program, "w", encoding="utf-8"):
        pass
    assert "admin has been built anew since it started: make down up" in fake.run("up")

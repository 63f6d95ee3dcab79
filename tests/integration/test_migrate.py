"""alula-admin migrate: run, status, seed-projects; schemas that are newer; admins that start at once."""
import os
import subprocess

import pytest

from stack import BIN, Stack, wait_for


@pytest.fixture(scope="module")
def base():
    """A stack with three databases more."""
    s = Stack().up()
    for name in ("fresh", "newer", "race"):
        s.sql(f"CREATE DATABASE {name}")
    yield s
    s.close()


def dsn(stack, database):
    import psycopg
    return psycopg.conninfo.make_conninfo(stack.dsn, dbname=database)


def admin(stack, database, *args, **env):
    p = subprocess.run([os.path.join(BIN, "alula-admin"), *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True, timeout=60,
                       env={**os.environ, "ALULA_DATABASE_DSN": dsn(stack, database), **env})
    return p.returncode, p.stdout, p.stderr


def rows(stack, database, sql):
    import psycopg
    with psycopg.connect(dsn(stack, database), autocommit=True) as c:
        cursor = c.execute(sql)
        return cursor.fetchall() if cursor.description else None


def test_run_status_seed(base):
    code, out, err = admin(base, "fresh", "migrate", "status")
    assert code == 0 and not err
    assert set(line.split()[0] for line in out.splitlines()) == {"pending"} and "001_registry" in out
    assert not rows(base, "fresh", "SELECT 1 FROM pg_namespace WHERE nspname = 'admin'"), "status changes nothing"
    for _ in range(2):
        assert admin(base, "fresh", "migrate", "run")[0] == 0
        code, out, _ = admin(base, "fresh", "migrate", "status")
        assert code == 0 and set(line.split()[0] for line in out.splitlines()) == {"applied"}
    assert admin(base, "fresh", "migrate", "seed-projects", ALULA_FLYTEADMIN_PROJECTS="configured")[0] == 0
    assert admin(base, "fresh", "migrate", "seed-projects", "one", "two")[0] == 0
    assert rows(base, "fresh", "SELECT id FROM admin.projects ORDER BY id") == [("configured",), ("one",), ("two",)]


@pytest.mark.parametrize("args, code, words", [
    (["migrate"], 2, "run, status, or seed-projects"),
    (["migrate", "rollback"], 2, "run, status, or seed-projects"),
    (["migrate", "run", "now"], 2, "takes nothing more"),
    (["migrate", "seed-projects", "Not A Name"], 2, "project id"),
    (["emigrate"], 2, "unknown command"),
    (["serve", "twice"], 2, "unknown command"),
])
def test_what_it_refuses(base, args, code, words):
    assert admin(base, "fresh", "migrate", "run")[0] == 0
    got, _, err = admin(base, "fresh", *args)
    assert got == code and words in err


def test_a_newer_schema_is_refused_by_name(base):
    assert admin(base, "newer", "migrate", "run")[0] == 0
    rows(base, "newer", "INSERT INTO admin.migrations (name, checksum) VALUES ('999_future', 'x')")
    code, out, err = admin(base, "newer", "migrate", "status")
    assert code == 1 and "unknown   999_future" in out and "newer" in err
    for args in (["migrate", "run"], ["serve"]):
        code, out, err = admin(base, "newer", *args, ALULA_SERVER_GRPC_PORT="0", ALULA_SERVER_HTTPPORT="0",
                               ALULA_PROFILER_PORT="-1", ALULA_STORAGE_CONTAINER=base.store,
                               ALULA_STORAGE_SIGNEDURL_SECRET="s" * 32, ALULA_BUS_NATS_URL=base.nats_url)
        assert code == 1 and "999_future" in out + err, args


def test_admins_that_start_at_once_migrate_once(base):
    started = [subprocess.Popen(
        [os.path.join(BIN, "alula-admin"), "serve"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, env={
            **os.environ, "ALULA_DATABASE_DSN": dsn(base, "race"), "ALULA_SERVER_GRPC_PORT": "0",
            "ALULA_SERVER_HTTPPORT": "0", "ALULA_PROFILER_PORT": "-1", "ALULA_STORAGE_CONTAINER": base.store,
            "ALULA_STORAGE_SIGNEDURL_SECRET": "s" * 32, "ALULA_BUS_NATS_URL": base.nats_url,
            "ALULA_SERVICE_READYFILE": os.path.join(base.directory, f"ready-{i}")})
        for i in range(3)]
    try:
        wait_for(lambda: all(os.path.exists(os.path.join(base.directory, f"ready-{i}")) for i in range(3)),
                 what="three admins ready")
    finally:
        for p in started:
            p.terminate()
        outputs = [p.communicate(timeout=60)[0] for p in started]
    assert [p.returncode for p in started] == [0, 0, 0], outputs
    names = rows(base, "race", "SELECT name FROM admin.migrations")
    assert len(names) == len(set(names)) > 5

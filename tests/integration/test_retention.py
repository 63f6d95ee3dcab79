"""Retention: what ended long ago goes, with all that was recorded of it; what is needed stays."""
import os

import grpc
import pytest
from flyteidl.admin import execution_pb2
from flyteidl.core import types_pb2

from stack import wait_for
from test_crashes import create_fan, create_script_task
from test_executions import create, create_plan, finish, get, get_data, list_nodes, literals, text, unique

STRING = types_pb2.LiteralType(simple=types_pb2.STRING)


@pytest.fixture(scope="module")
def kept(request):
    from stack import Stack
    s = Stack(admins=2, env={"ALULA_RETENTION_PERIOD": "1h", "ALULA_RETENTION_INTERVAL": "1s"}).up()
    yield s
    s.close()


def key_of(stack, id):
    return stack.sql("SELECT key FROM admin.executions WHERE name = %s", id.name)[0][0]


def age(stack, id, hours=2):
    stack.sql(f"UPDATE admin.executions SET updated_at = now() - interval '{hours} hours' WHERE name = '{id.name}'")


def gone(stack, id):
    return not stack.sql("SELECT 1 FROM admin.executions WHERE name = %s", id.name)


def rows_of(stack, key):
    tables = {"node_executions": "execution", "task_executions": "execution", "execution_tags": "execution",
              "signals": "execution", "executions": "key"}
    return {t: stack.sql(f"SELECT count(*) FROM admin.{t} WHERE {c} = %s", key)[0][0] for t, c in tables.items()}


def files_of(stack, id):
    """Files of the execution in the store, by admin and propeller."""
    found = []
    for top, _, names in os.walk(stack.store):
        found += [os.path.join(top, n) for n in names if id.name in top]
    return found


def test_old_ones_go_with_all_they_have(kept):
    admin = kept.admin
    plan = create_plan(admin, nodes=3, types={"x": STRING})
    large = literals(x=text("y" * 200_000))
    old = [create(admin, plan, name=unique("old"), inputs=large, tags=["t"]) for _ in range(3)]
    young = create(admin, plan, name=unique("young"), inputs=large, tags=["t"])
    for id in old + [young]:
        finish(admin, id)
    keys = [key_of(kept, id) for id in old]
    assert all(files_of(kept, id) for id in old) and rows_of(kept, keys[0])["node_executions"] == 5
    for id in old:
        age(kept, id)
    for id, key in zip(old, keys):
        wait_for(lambda: gone(kept, id), what=f"{id.name} gone")
        assert not any(rows_of(kept, key).values())
        assert not files_of(kept, id)
        with pytest.raises(grpc.RpcError) as e:
            get(admin, id)
        assert e.value.code() == grpc.StatusCode.NOT_FOUND
    assert get_data(admin, young).full_outputs == large
    assert len(list_nodes(admin, young)) == 5 and files_of(kept, young)
    # The name is free again.
    again = create(admin, plan, name=old[0].name, inputs=large)
    finish(admin, again)
    assert get_data(admin, again).full_outputs == large


def test_logs_go_too(kept):
    admin = kept.admin
    plan = create_fan(admin, create_script_task(admin, "echo hello"), 2)
    old, young = create(admin, plan, name=unique("old")), create(admin, plan, name=unique("young"))
    logs = {}
    for id in (old, young):
        finish(admin, id)
        logs[id.name] = os.path.join(kept.store, "logs", id.project, id.domain, id.name)
        assert len(os.listdir(logs[id.name])) == 2
    age(kept, old)
    wait_for(lambda: gone(kept, old), what="the old one gone")
    assert not os.path.exists(logs[old.name]) and len(os.listdir(logs[young.name])) == 2


def test_more_than_a_batch(kept):
    admin = kept.admin
    plan = create_plan(admin)
    ids = [create(admin, plan) for _ in range(250)]
    for id in ids:
        finish(admin, id)
    kept.sql("UPDATE admin.executions SET updated_at = now() - interval '2 hours'")
    wait_for(lambda: all(gone(kept, id) for id in ids), what="250 executions gone")
    assert kept.metric("admin", "flyte:admin:retention:removed") or kept.metric("admin-2", "flyte:admin:retention:removed")


def test_what_is_not_over_stays(kept):
    admin = kept.admin
    waiting = create(admin, create_plan(admin, kind="core-sleep", types={"duration": types_pb2.LiteralType(
        simple=types_pb2.DURATION)}), inputs=literals(duration=sleep(60)))
    over = create(admin, create_plan(admin))
    finish(admin, over)
    age(kept, waiting)
    age(kept, over)
    wait_for(lambda: gone(kept, over), what="the one that is over gone")
    assert not gone(kept, waiting)
    admin.TerminateExecution(execution_pb2.ExecutionTerminateRequest(id=waiting, cause="enough"))
    finish(admin, waiting)


def sleep(seconds):
    from flyteidl.core import literals_pb2
    from google.protobuf import duration_pb2
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(
        duration=duration_pb2.Duration(seconds=seconds))))


def test_what_others_were_recovered_from_stays(kept):
    admin = kept.admin
    first = create(admin, create_plan(admin))
    finish(admin, first)
    second = admin.RecoverExecution(execution_pb2.ExecutionRecoverRequest(id=first)).id
    finish(admin, second)
    marker = create(admin, create_plan(admin))
    finish(admin, marker)
    age(kept, first)
    age(kept, marker)
    wait_for(lambda: gone(kept, marker), what="the marker gone")
    assert not gone(kept, first)
    age(kept, second)
    wait_for(lambda: gone(kept, second) and gone(kept, first), what="both gone")


def test_files_that_cannot_be_removed_keep_the_execution(kept):
    """Nothing is lost sight of: the rows stay until the files are gone, and others go."""
    admin = kept.admin
    plan = create_plan(admin, nodes=1, types={"x": STRING})
    id, other = [create(admin, plan, inputs=literals(x=text("y" * 200_000))) for _ in range(2)]
    finish(admin, id)
    finish(admin, other)
    folder = os.path.join(kept.store, "metadata/propeller", f"flytesnacks-development-{id.name}")
    deep = folder
    for _ in range(210):
        deep = os.path.join(deep, "d")
    os.makedirs(deep)
    age(kept, id, 3)
    wait_for(lambda: "cannot be removed" in kept.log("admin") + kept.log("admin-2"), what="the complaint")
    age(kept, other)
    wait_for(lambda: gone(kept, other), what="the other one gone")
    assert not gone(kept, id)
    inner = folder
    for _ in range(50):
        inner = os.path.join(inner, "d")
    os.rename(inner, os.path.join(kept.store, "aside"))
    wait_for(lambda: gone(kept, id), what="gone after all")
    assert not os.path.exists(folder)

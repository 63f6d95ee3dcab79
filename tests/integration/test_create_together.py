"""Executions created at once, by many calls in flight on one connection: each gets its own answer."""
import collections
import concurrent.futures

import grpc
import pytest
from flyteidl.admin import execution_pb2, project_pb2
from flyteidl.core import identifier_pb2

from stack import wait_for
from test_executions import (DOMAIN, PROJECT, STRING, Phase, create_plan, execution_id, finish, get, get_data, identifier,
                             integer, literals, text, unique)

OK = grpc.StatusCode.OK


@pytest.fixture(scope="module")
def plan(stack):
    return create_plan(stack.admin)


def request(plan, name="", project=PROJECT, inputs=None, **spec):
    return execution_pb2.ExecutionCreateRequest(
        project=project, domain=DOMAIN, name=name, inputs=literals(x=integer(7)) if inputs is None else inputs,
        spec=execution_pb2.ExecutionSpec(launch_plan=plan, **spec))


def at_once(stack, requests, timeout=60):
    """(code, text or id) of each, in order; all are sent before the first answer is awaited."""
    def answer(call):
        try:
            return OK, call.result(timeout).id
        except grpc.RpcError as e:
            return e.code(), e.details()
    calls = [stack.admin.CreateExecution.future(r) for r in requests]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(answer, calls))


def test_each_has_its_own_answer(stack, plan):
    archived = unique("archived")
    stack.admin.RegisterProject(project_pb2.ProjectRegisterRequest(project=project_pb2.Project(id=archived, name=archived)))
    stack.admin.UpdateProject(project_pb2.Project(id=archived, name=archived, state=project_pb2.Project.ARCHIVED))
    taken = unique("taken")
    assert at_once(stack, [request(plan, taken)])[0][0] == OK
    kinds = {
        "good": (lambda i: request(plan, unique("g")), OK, ""),
        "unnamed": (lambda i: request(plan), OK, ""),
        "taken": (lambda i: request(plan, taken), grpc.StatusCode.ALREADY_EXISTS, taken),
        "bad name": (lambda i: request(plan, f"{i}-digit"), grpc.StatusCode.INVALID_ARGUMENT, "-digit"),
        "no plan": (lambda i: request(identifier(identifier_pb2.LAUNCH_PLAN, f"nobody{i}")), grpc.StatusCode.NOT_FOUND,
                    "nobody"),
        "no project": (lambda i: request(plan, project=f"no-project-{i}"), None, "no-project-"),
        "archived": (lambda i: request(plan, project=archived), grpc.StatusCode.INVALID_ARGUMENT, archived),
        "long tag": (lambda i: request(plan, tags=["t" * 256]), grpc.StatusCode.INVALID_ARGUMENT,
                     "tag cannot exceed 255 characters"),
        "bad inputs": (lambda i: request(plan, inputs=literals(x=text("seven"))), grpc.StatusCode.INVALID_ARGUMENT,
                       "invalid x input wrong type"),
    }
    asked = [(kind, i, kinds[kind][0](i)) for i in range(16) for kind in kinds]
    answers = at_once(stack, [r for _, _, r in asked])
    for (kind, i, r), (code, said) in zip(asked, answers):
        _, expected, words = kinds[kind]
        if expected is None:
            assert code != OK and f"no-project-{i}" in said, (kind, code, said)
        elif expected != OK:
            assert code == expected and words in said, (kind, code, said)
        else:
            assert code == OK and said.project == PROJECT and (not r.name or said.name == r.name), (kind, code, said)
            assert finish(stack.admin, said, 60).closure.phase == Phase.SUCCEEDED


def test_one_name_at_once(stack, plan):
    """In one statement and in several, exactly one creates."""
    names = [unique("same") for _ in range(8)]
    answers = at_once(stack, [request(plan, name, inputs=literals(x=integer(i))) for i in range(12) for name in names])
    for k, name in enumerate(names):
        codes = collections.Counter(code for code, _ in answers[k::len(names)])
        assert codes == {OK: 1, grpc.StatusCode.ALREADY_EXISTS: 11}
        (winner,) = [i for i, (code, _) in enumerate(answers[k::len(names)]) if code == OK]
        finish(stack.admin, execution_id(name), 60)
        assert get_data(stack.admin, execution_id(name)).full_inputs == literals(x=integer(winner))


def test_tags_and_settings_stay_with_theirs(stack, plan):
    n = 40
    requests = [request(plan, unique("t"), tags=[f"tag{i}"] if i % 2 else [], max_parallelism=i + 1) for i in range(n)]
    answers = at_once(stack, requests)
    for i, (code, id) in enumerate(answers):
        assert code == OK
        spec = get(stack.admin, id).spec
        assert spec.max_parallelism == i + 1 and list(spec.tags) == ([f"tag{i}"] if i % 2 else [])
        tags = stack.sql("SELECT t.key FROM admin.execution_tags t JOIN admin.executions e ON e.key = t.execution "
                         "WHERE e.name = %s", id.name)
        assert [t for (t,) in tags] == ([f"tag{i}"] if i % 2 else [])


def test_large_ones_among_small_ones(stack):
    plan = create_plan(stack.admin, types={"s": STRING})
    sizes = [10, 70_000, 100, 300_000] * 6
    answers = at_once(stack, [request(plan, inputs=literals(s=text(chr(97 + i) * size))) for i, size in enumerate(sizes)])
    for i, (size, (code, id)) in enumerate(zip(sizes, answers)):
        assert code == OK
        assert finish(stack.admin, id, 60).closure.phase == Phase.SUCCEEDED
        assert get_data(stack.admin, id).full_outputs == literals(s=text(chr(97 + i) * size))


def test_nothing_is_lost_when_postgres_restarts(stack, plan):
    """What was answered with OK is there and runs; what was not may be there, once."""
    names = [unique("r") for _ in range(400)]
    calls = [stack.admin.CreateExecution.future(request(plan, name)) for name in names[:200]]
    stack.stop("postgres")
    calls += [stack.admin.CreateExecution.future(request(plan, name)) for name in names[200:]]
    stack.start("postgres")
    codes = {name: call.code() for name, call in zip(names, calls)}
    assert set(codes.values()) <= {OK, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}, codes
    wait_for(lambda: all(map(stack.healthy, ("admin", "datacatalog", "propeller"))), what="the stack's health")
    there = collections.Counter(name for (name,) in stack.sql(
        "SELECT name FROM admin.executions WHERE name = ANY(%s)", names))
    assert all(n == 1 for n in there.values())
    assert {name for name, code in codes.items() if code == OK} <= set(there)
    for name in there:
        assert finish(stack.admin, execution_id(name), 60).closure.phase == Phase.SUCCEEDED

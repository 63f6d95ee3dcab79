"""Clients that want the same at once, and two admins that serve one database."""
import collections
import concurrent.futures
import itertools
import signal
import threading

import grpc
import pytest
from flyteidl.admin import (common_pb2, execution_pb2, launch_plan_pb2, node_execution_pb2, project_pb2, task_execution_pb2,
                            task_pb2, workflow_pb2)
from flyteidl.core import identifier_pb2, interface_pb2, tasks_pb2, types_pb2, workflow_pb2 as core_workflow
from flyteidl.service import admin_pb2_grpc

from stack import wait_for
from test_executions import (DOMAIN, INTEGER, PROJECT, Phase, create, create_plan, create_task, execution_id, finish, get,
                             identifier, integer, list_nodes, literals, promise, unique, variables)
from test_retention import sleep

CLIENTS = 50
OK, UNAVAILABLE = grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE
ALREADY_EXISTS, INVALID_ARGUMENT, FAILED_PRECONDITION, NOT_FOUND, INTERNAL = (
    grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INTERNAL)


@pytest.fixture(scope="module")
def two():
    from stack import Stack
    s = Stack(admins=2).up()
    yield s
    s.close()


@pytest.fixture(scope="module")
def clients(two):
    """Stubs with a connection each, half of them to each admin."""
    channels = [grpc.insecure_channel(f"127.0.0.1:{two.port(name)}", options=[("grpc.use_local_subchannel_pool", 1)])
                for _ in range(CLIENTS // 2) for name in ("admin.grpc", "admin-2.grpc")]
    for c in channels:
        grpc.channel_ready_future(c).result(timeout=60)
    yield [admin_pb2_grpc.AdminServiceStub(c) for c in channels]
    for c in channels:
        c.close()


def at_once(clients, call):
    """The codes of call(stub, i) by all clients at the same time."""
    codes, barrier = [], threading.Barrier(len(clients))

    def run(stub, i):
        barrier.wait()
        try:
            call(stub, i)
            codes.append(OK)
        except grpc.RpcError as e:
            codes.append(e.code())

    threads = [threading.Thread(target=run, args=(c, i)) for i, c in enumerate(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return collections.Counter(codes)


def task_request(name, type="echo"):
    id = identifier(identifier_pb2.TASK, name)
    template = tasks_pb2.TaskTemplate(
        id=id, type=type, metadata=tasks_pb2.TaskMetadata(runtime=tasks_pb2.RuntimeMetadata(version="1", type=1)),
        interface=interface_pb2.TypedInterface(inputs=variables(x=INTEGER), outputs=variables(x=INTEGER)))
    return task_pb2.TaskCreateRequest(id=id, spec=task_pb2.TaskSpec(template=template))


def workflow_request(name, task, node="n0"):
    node = core_workflow.Node(id=node, inputs=[promise("x")], task_node=core_workflow.TaskNode(reference_id=task))
    return workflow_pb2.WorkflowCreateRequest(
        id=identifier(identifier_pb2.WORKFLOW, name),
        spec=workflow_pb2.WorkflowSpec(template=core_workflow.WorkflowTemplate(
            interface=interface_pb2.TypedInterface(inputs=variables(x=INTEGER), outputs=variables(x=INTEGER)), nodes=[node],
            outputs=[promise("x", node.id)])))


def plan_request(name, workflow, role=""):
    return launch_plan_pb2.LaunchPlanCreateRequest(
        id=identifier(identifier_pb2.LAUNCH_PLAN, name),
        spec=launch_plan_pb2.LaunchPlanSpec(workflow_id=workflow, labels=common_pb2.Labels(values={"role": role})))


@pytest.fixture(scope="module")
def kinds(two):
    """What can be created: request(name, which of several different ones), RPC, table."""
    task = create_task(two.admin)
    plan = create_plan(two.admin)
    workflow = identifier(identifier_pb2.WORKFLOW, plan.name)
    return {
        "tasks": (lambda name, i: task_request(name, f"kind{i}"), "CreateTask"),
        "workflows": (lambda name, i: workflow_request(name, task, f"n{i}"), "CreateWorkflow"),
        "launch_plans": (lambda name, i: plan_request(name, workflow, f"role{i}"), "CreateLaunchPlan"),
        "executions": (lambda name, i: execution_pb2.ExecutionCreateRequest(
            project=PROJECT, domain=DOMAIN, name=name, inputs=literals(x=integer(i)),
            spec=execution_pb2.ExecutionSpec(launch_plan=plan)), "CreateExecution"),
    }


TABLES = ["tasks", "workflows", "launch_plans", "executions"]


@pytest.mark.parametrize("table", TABLES)
def test_one_of_fifty_creates(two, clients, kinds, table):
    request, rpc = kinds[table]
    for _ in range(3):
        name = unique("same")
        codes = at_once(clients, lambda stub, i: getattr(stub, rpc)(request(name, 0)))
        assert codes == {OK: 1, ALREADY_EXISTS: CLIENTS - 1}
        assert two.sql(f"SELECT count(*) FROM admin.{table} WHERE name = %s", name) == [(1,)]


@pytest.mark.parametrize("table", TABLES)
def test_one_of_fifty_different_ones_creates(two, clients, kinds, table):
    """The same version of another content is refused as such; an execution's name is taken, whatever its inputs."""
    request, rpc = kinds[table]
    name = unique("same")
    codes = at_once(clients, lambda stub, i: getattr(stub, rpc)(request(name, i)))
    rest = ALREADY_EXISTS if table == "executions" else INVALID_ARGUMENT
    assert codes == {OK: 1, rest: CLIENTS - 1}
    assert two.sql(f"SELECT count(*) FROM admin.{table} WHERE name = %s", name) == [(1,)]


def test_one_of_fifty_registers_the_project(clients):
    request = project_pb2.ProjectRegisterRequest(project=project_pb2.Project(id=unique("project"), name="one"))
    assert at_once(clients, lambda stub, i: stub.RegisterProject(request)) == {OK: 1, ALREADY_EXISTS: CLIENTS - 1}


def test_one_launch_plan_is_active(two, clients):
    """All clients activate another version at once: in the end it is one."""
    name, workflow = unique("plan"), identifier(identifier_pb2.WORKFLOW, create_plan(two.admin).name)
    versions = [identifier(identifier_pb2.LAUNCH_PLAN, name, f"v{i}") for i in range(CLIENTS)]
    for v in versions:
        two.admin.CreateLaunchPlan(launch_plan_pb2.LaunchPlanCreateRequest(
            id=v, spec=launch_plan_pb2.LaunchPlanSpec(workflow_id=workflow)))
    codes = at_once(clients, lambda stub, i: stub.UpdateLaunchPlan(launch_plan_pb2.LaunchPlanUpdateRequest(
        id=versions[i], state=launch_plan_pb2.ACTIVE)))
    assert codes == {OK: CLIENTS}
    assert two.sql("SELECT count(*) FROM admin.launch_plans WHERE name = %s AND state = 1", name) == [(1,)]
    active = two.admin.GetActiveLaunchPlan(launch_plan_pb2.ActiveLaunchPlanRequest(
        id=common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN, name=name)))
    assert active.id in versions


def test_one_of_fifty_terminates(two, clients):
    """All of them are told that it is so; the cause is one client's."""
    duration = types_pb2.LiteralType(simple=types_pb2.DURATION)
    plan = create_plan(two.admin, kind="core-sleep", types={"duration": duration})
    id = create(two.admin, plan, inputs=literals(duration=sleep(60)))
    codes = at_once(clients, lambda stub, i: stub.TerminateExecution(execution_pb2.ExecutionTerminateRequest(
        id=id, cause=f"cause {i}")))
    assert codes[OK] >= 1 and set(codes) <= {OK, FAILED_PRECONDITION}
    closure = finish(two.admin, id).closure
    assert closure.phase == Phase.ABORTED and closure.abort_metadata.cause.startswith("cause ")


# ---- reading by key, many at once over one connection ----

IN_FLIGHT = 64


@pytest.fixture(scope="module")
def one(two):
    with grpc.insecure_channel(f"127.0.0.1:{two.port('admin.grpc')}", options=[("grpc.use_local_subchannel_pool", 1)]) as c:
        grpc.channel_ready_future(c).result(timeout=60)
        yield admin_pb2_grpc.AdminServiceStub(c)


def execution_questions(admin, plan):
    """(RPC, request, code) about one execution: each kind found, missing under a name of its own, and asked wrongly."""
    id = create(admin, plan)
    assert finish(admin, id).closure.phase == Phase.SUCCEEDED
    node = list_nodes(admin, id)[0].id
    task = admin.ListTaskExecutions(task_execution_pb2.TaskExecutionListRequest(
        node_execution_id=identifier_pb2.NodeExecutionIdentifier(execution_id=id, node_id="n0"), limit=1)).task_executions[0].id
    in_execution = lambda name, node="n0": identifier_pb2.NodeExecutionIdentifier(execution_id=execution_id(name), node_id=node)
    in_node = lambda node: identifier_pb2.TaskExecutionIdentifier(task_id=task.task_id, node_execution_id=node)
    return [(rpc, request(id=i), code) for rpc, request, cases in (
        ("GetExecution", execution_pb2.WorkflowExecutionGetRequest, (
            (id, OK), (execution_id(unique("missing")), NOT_FOUND), (execution_id(""), INVALID_ARGUMENT))),
        ("GetNodeExecution", node_execution_pb2.NodeExecutionGetRequest, (
            (node, OK), (in_execution(id.name, unique("missing")), NOT_FOUND),
            (in_execution(unique("missing")), NOT_FOUND), (in_execution(id.name, ""), INVALID_ARGUMENT))),
        ("GetTaskExecution", task_execution_pb2.TaskExecutionGetRequest, (
            (task, OK), (in_node(in_execution(id.name, unique("missing"))), NOT_FOUND),
            (in_node(in_execution(unique("missing"))), NOT_FOUND), (in_node(in_execution("")), INVALID_ARGUMENT))),
    ) for i, code in cases]


def registry_questions(admin):
    plan, kinds = create_plan(admin), (("GetTask", identifier_pb2.TASK), ("GetLaunchPlan", identifier_pb2.LAUNCH_PLAN))
    found = {"GetTask": create_task(admin), "GetLaunchPlan": plan}
    return [(rpc, common_pb2.ObjectGetRequest(id=id), code) for rpc, kind in kinds for id, code in (
        (found[rpc], OK), (identifier(kind, unique("missing")), NOT_FOUND), (identifier(kind, "x", ""), INVALID_ARGUMENT))]


@pytest.fixture(scope="module")
def questions(two):
    plan = create_plan(two.admin)
    each = [q for _ in range(8) for q in execution_questions(two.admin, plan) + registry_questions(two.admin)]
    return each[::7] + [q for i, q in enumerate(each) if i % 7]


def missing_name(request):
    """What is said to be missing: a name that no other request has."""
    return next(word for word in str(request).split('"') if word.startswith("missing"))


def is_unavailable(question, future):
    """Whether it was; otherwise it is the answer to this very question."""
    rpc, request, code = question
    if future.code() == UNAVAILABLE:
        return True
    assert future.code() == code, (rpc, request, future.details())
    if code == OK:
        assert future.result().id == request.id
    elif code == NOT_FOUND:
        assert future.details().startswith("missing entity of type ") and missing_name(request) in future.details()
    else:
        assert future.details().startswith("missing ")
    return False


def ask(stub, questions):
    futures = [getattr(stub, rpc).future(request, timeout=30) for rpc, request, _ in questions]
    return [is_unavailable(q, f) for q, f in zip(questions, futures)]


def batches(questions):
    """IN_FLIGHT of them, others each time."""
    endless = itertools.cycle(questions)
    while True:
        yield list(itertools.islice(endless, IN_FLIGHT))


def gathered(two):
    """Statements less the round trips that they took."""
    return two.metric("admin", "flyte:admin:db:statements") - two.metric("admin", "flyte:admin:db:statement_us_count")


def test_each_read_has_its_own_answer(two, one, questions):
    before = gathered(two)
    for batch in itertools.islice(batches(questions), 30):
        assert not any(ask(one, batch))
    assert gathered(two) > before


def ask_while(stub, questions, call, *args):
    """Until `call` has returned; how many were UNAVAILABLE."""
    failed, asked = 0, batches(questions)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        called = pool.submit(call, *args)
        while not called.done():
            failed += sum(ask(stub, next(asked)))
        called.result()
    return failed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
def test_reads_while_postgres_restarts(two, one, questions, number):
    """What cannot be read is UNAVAILABLE, and nothing else; then all is as before."""
    ask_while(one, questions, two.kill_and_hold, "postgres", number)
    failed = sum(ask(one, next(batches(questions))))
    ask_while(one, questions, two.start, "postgres")
    wait_for(lambda: not any(ask(one, next(batches(questions)))), what="no UNAVAILABLE")
    for batch in itertools.islice(batches(questions), 5):
        assert not any(ask(one, batch))
    assert failed and two.restarts("admin") == 0


def test_each_create_has_its_own_answer(two, one):
    """Of executions that are created at once: new ones, names that are taken, and one that Postgres refuses."""
    plan = create_plan(two.admin)
    taken = create(two.admin, plan).name
    two.sql("CREATE FUNCTION admin.refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'not this one'; END $$")
    two.sql("CREATE TRIGGER refuse BEFORE INSERT ON admin.executions FOR EACH ROW WHEN (NEW.name LIKE 'refused%%') "
            "EXECUTE FUNCTION admin.refuse()")
    try:
        for _ in range(10):
            cases = [(unique("new"), OK) if i % 3 else (taken, ALREADY_EXISTS) for i in range(IN_FLIGHT)]
            cases[20] = unique("refused"), INTERNAL
            futures = [one.CreateExecution.future(execution_pb2.ExecutionCreateRequest(
                project=PROJECT, domain=DOMAIN, name=name, inputs=literals(x=integer(1)),
                spec=execution_pb2.ExecutionSpec(launch_plan=plan)), timeout=30) for name, _ in cases]
            assert [f.code() for f in futures] == [code for _, code in cases]
            for (name, code), f in zip(cases, futures):
                if code == OK:
                    assert f.result().id == execution_id(name) and get(one, f.result().id).id.name == name
                else:
                    assert (name if code == ALREADY_EXISTS else "not this one") in f.details()
    finally:
        two.sql("DROP TRIGGER refuse ON admin.executions")
        two.sql("DROP FUNCTION admin.refuse")


# ---- two admins ----

def patiently(call, *args):
    """As clients do when an admin restarts; what was done before the connection broke is done."""
    def attempt():
        try:
            return call(*args, timeout=10) or True
        except grpc.RpcError as e:
            if e.code() in (ALREADY_EXISTS, FAILED_PRECONDITION):
                return True
            assert e.code() in (UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED), e
            return None
    return wait_for(attempt, timeout=60, what="an answer")


def test_either_admin_knows_all_while_both_are_killed(two):
    duration = types_pb2.LiteralType(simple=types_pb2.DURATION)
    plan = create_plan(two.admin, kind="core-sleep", types={"duration": duration})
    names = ("admin", "admin-2")
    stubs = {n: two.stub(admin_pb2_grpc.AdminServiceStub, n) for n in names}
    ids = [execution_id(unique("two")) for _ in range(12)]
    mine = f"eq(launch_plan.name,{plan.name})"
    for i, id in enumerate(ids):
        here, there = (stubs[n] for n in (names if i % 2 else reversed(names)))
        patiently(here.CreateExecution, execution_pb2.ExecutionCreateRequest(
            project=PROJECT, domain=DOMAIN, name=id.name, inputs=literals(duration=sleep(600)),
            spec=execution_pb2.ExecutionSpec(launch_plan=plan)))
        if i % 3 == 0:
            two.kill(names[i // 3 % 2], wait=False)
        assert patiently(there.GetExecution, execution_pb2.WorkflowExecutionGetRequest(id=id)).id == id
        page = patiently(there.ListExecutions, common_pb2.ResourceListRequest(
            id=common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN), filters=mine, limit=100))
        assert {e.id.name for e in page.executions} == {x.name for x in ids[:i + 1]}
    for i, id in enumerate(ids):
        there = stubs[names[i % 2]]
        patiently(there.TerminateExecution, execution_pb2.ExecutionTerminateRequest(id=id, cause="enough"))
        if i == 4:
            two.kill(names[0], wait=False)
            two.kill(names[1], wait=False)
    for name in names:
        two.wait_ready(name)
    for id in ids:
        ends = [finish(stubs[n], id) for n in names]
        assert ends[0].closure.phase == Phase.ABORTED and ends[0].closure.abort_metadata.cause == "enough"
        assert ends[0] == ends[1] == get(two.admin, id)
        assert {n.id.node_id for n in list_nodes(stubs["admin"], id)} == {n.id.node_id for n in list_nodes(stubs["admin-2"], id)}

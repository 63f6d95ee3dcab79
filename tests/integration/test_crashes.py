"""Daemons and servers that are killed, wiped, frozen and doubled while executions run: nothing acknowledged is lost,
nothing finished runs twice, and everything ends."""
import collections
import contextlib
import fcntl
import os
import shutil
import signal
import threading
import time

import grpc
import pytest
from flyteidl.admin import common_pb2, launch_plan_pb2, task_pb2, workflow_pb2
from flyteidl.core import identifier_pb2, interface_pb2, literals_pb2, tasks_pb2, types_pb2, workflow_pb2 as core_workflow
from flyteidl.service.admin_pb2_grpc import AdminServiceStub
from google.protobuf import duration_pb2

from stack import wait_for
from test_executions import (DOMAIN, INTEGER, PROJECT, Phase, create, create_plan, create_task, finish, get, identifier,
                             list_nodes, promise, unique, variables)

SLOTS = {"ALULA_PLUGINS_PROCESS_SLOTS": "100"}
LEASE = {"ALULA_PROPELLER_LEASE": "2s"}


# ---- work ----

def create_script_task(admin, script, retries=0):
    """A container task that runs a shell script; $1 is its output prefix and $2 its input x."""
    id = identifier(identifier_pb2.TASK, unique("script"))
    template = tasks_pb2.TaskTemplate(
        id=id, type="python-task",
        metadata=tasks_pb2.TaskMetadata(runtime=tasks_pb2.RuntimeMetadata(version="1", type=1),
                                        retries={"retries": retries}),
        interface=interface_pb2.TypedInterface(inputs=variables(x=INTEGER), outputs=variables()),
        container=tasks_pb2.Container(image="shell", command=["/bin/sh", "-c", script, "sh"],
                                      args=["{{.outputPrefix}}", "{{.inputs.x}}"]))
    admin.CreateTask(task_pb2.TaskCreateRequest(id=id, spec=task_pb2.TaskSpec(template=template)))
    return id


def create_fan(admin, task, n, var="x", kind=INTEGER):
    """n nodes of one task side by side; the workflow has no outputs."""
    name = unique("fan")
    workflow, plan = identifier(identifier_pb2.WORKFLOW, name), identifier(identifier_pb2.LAUNCH_PLAN, name)
    nodes = [core_workflow.Node(id=f"n{i}", inputs=[promise(var)], task_node=core_workflow.TaskNode(reference_id=task))
             for i in range(n)]
    admin.CreateWorkflow(workflow_pb2.WorkflowCreateRequest(id=workflow, spec=workflow_pb2.WorkflowSpec(
        template=core_workflow.WorkflowTemplate(
            interface=interface_pb2.TypedInterface(inputs=variables(**{var: kind})), nodes=nodes))))
    admin.CreateLaunchPlan(launch_plan_pb2.LaunchPlanCreateRequest(
        id=plan, spec=launch_plan_pb2.LaunchPlanSpec(workflow_id=workflow)))
    return plan


class Script:
    """A shell script for tasks that notes its starts and ends, so that a second run of an attempt is seen. It takes so
    many seconds; without, all that run wait until they are let go."""

    def __init__(self, stack, seconds=None):
        self.directory = os.path.join(stack.directory, unique("runs"))
        os.makedirs(self.directory)
        os.chmod(self.directory, 0o777)
        log = f"{self.directory}/log"
        self.gate = open(f"{self.directory}/gate", "w", encoding="utf-8")
        fcntl.flock(self.gate, fcntl.LOCK_EX)
        wait = f"sleep {seconds}" if seconds else f"flock -s -w 200 {self.gate.name} true"
        self.text = f'echo "start $1 $$" >> {log}; {wait}; echo "end $1 $$" >> {log}'

    def let_go(self):
        self.gate.close()

    def lines(self, word):
        with contextlib.suppress(FileNotFoundError):
            with open(os.path.join(self.directory, "log"), encoding="utf-8") as f:
                return [line.split()[1:] for line in f if line.startswith(word + " ")]
        return []


class Load:
    """Threads that create executions and remember which of them were acknowledged."""

    def __init__(self, stack, plan, admins=("admin",), threads=4):
        self.stack, self.plan = stack, plan
        self.acknowledged, self.errors = [], collections.Counter()
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(admins[i % len(admins)], i)) for i in range(threads)]

    def run(self, admin, index):
        stub = self.stack.stub(AdminServiceStub, admin)
        for n in range(1_000_000):
            if self.stopping.is_set():
                return
            name = f"load{index}-{n}-{time.monotonic_ns() % 1_000_000_000}"
            while not self.stopping.is_set():
                try:
                    create(stub, self.plan, name)
                    self.acknowledged.append(name)
                    break
                except grpc.RpcError as e:
                    self.errors[e.code()] += 1
                    if e.code() == grpc.StatusCode.ALREADY_EXISTS:  # the answer before was lost
                        self.acknowledged.append(name)
                        break
                    time.sleep(0.05)

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *error):
        self.stopping.set()
        for t in self.threads:
            t.join()

    def wait_for(self, n, timeout=60):
        wait_for(lambda: len(self.acknowledged) >= n, timeout, f"{n} acknowledged executions")


def phases(stack, plan):
    """name -> phase of all executions of a launch plan, by the API; an execution listed twice fails."""
    found, token = {}, ""
    while True:
        page = stack.admin.ListExecutions(common_pb2.ResourceListRequest(
            id=common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN), limit=1000, token=token,
            filters=f"eq(launch_plan.name,{plan.name})",
            sort_by=common_pb2.Sort(key="created_at", direction=common_pb2.Sort.ASCENDING)))
        for x in page.executions:
            assert x.id.name not in found
            found[x.id.name] = x.closure.phase
        token = page.token
        if not token:
            return found


def wait_all(stack, plan, names, timeout=150):
    """Every acknowledged execution is there, once, and has succeeded; what was not acknowledged ends too."""
    def all_over():
        try:
            found = phases(stack, plan)
        except grpc.RpcError:
            return None
        return found if set(names) <= set(found) and all(p == Phase.SUCCEEDED for p in found.values()) else None
    try:
        return wait_for(all_over, timeout, "all executions", interval=0.25)
    except AssertionError:
        found = phases(stack, plan)
        missing = set(names) - set(found)
        left = {n: p for n, p in found.items() if p != Phase.SUCCEEDED}
        raise AssertionError(f"{len(found)} executions: {len(missing)} missing {sorted(missing)[:3]}, "
                             f"{len(left)} unfinished {list(left.items())[:3]}") from None


def settle(stack):
    """No row is left that somebody should have confirmed."""
    wait_for(lambda: stack.sql("SELECT count(*) FROM admin.outbox") == [(0,)], what="an empty outbox", interval=0.2)
    wait_for(lambda: stack.sql("SELECT count(*) FROM propeller.journal") == [(0,)], what="an empty journal", interval=0.2)


def restart(stack, name, number=signal.SIGKILL):
    restarts = stack.restarts(name)
    stack.signal(name, number)
    stack.wait_ready(name, timeout=60, restarts=restarts + 1)


# ---- propeller ----

def test_propeller_killed_under_process_tasks(new_stack):
    stack = new_stack(env={**SLOTS, **LEASE})
    script = Script(stack)
    plan = create_fan(stack.admin, create_script_task(stack.admin, script.text), 50)
    id = create(stack.admin, plan, max_parallelism=50)
    wait_for(lambda: len(script.lines("start")) == 50, 60, "50 running attempts")
    stack.kill("propeller")
    assert script.lines("end") == []
    script.let_go()
    x = finish(stack.admin, id, 60)
    assert x.closure.phase == Phase.SUCCEEDED, x.closure.error
    # One run a node: what ran was kept, nothing began anew.
    assert sorted(script.lines("end")) == sorted(script.lines("start"))
    assert len(script.lines("start")) == 50
    nodes = [n for n in list_nodes(stack.admin, id) if n.id.node_id.startswith("n")]
    assert len(nodes) == 50
    settle(stack)


def test_propeller_killed_again_and_again_as_tasks_come_and_go(new_stack):
    stack = new_stack(env={"ALULA_PLUGINS_PROCESS_SLOTS": "8", **LEASE})
    script = Script(stack, 0.3)
    plan = create_fan(stack.admin, create_script_task(stack.admin, script.text), 50)
    ids = [create(stack.admin, plan, max_parallelism=50)]
    for fraction in (5, 20, 35):
        wait_for(lambda f=fraction: len(script.lines("end")) >= f, 60, f"{fraction} ends", 0.005)
        stack.kill("propeller")
    x = finish(stack.admin, ids[0], 90)
    assert x.closure.phase == Phase.SUCCEEDED, x.closure.error
    ends = collections.Counter(prefix for prefix, _ in script.lines("end"))
    assert len(ends) == 50 and max(ends.values()) == 1, ends.most_common(3)
    assert len(script.lines("start")) == 50
    settle(stack)


def test_propeller_killed_under_echo_executions(new_stack):
    stack = new_stack(env=LEASE)
    plan = create_plan(stack.admin, nodes=5)
    with Load(stack, plan) as load:
        for n in (100, 300, 500):
            load.wait_for(n)
            restart(stack, "propeller")
    wait_all(stack, plan, load.acknowledged)
    assert not set(load.errors) - {grpc.StatusCode.UNAVAILABLE}
    settle(stack)


def test_propeller_killed_keeps_timers(new_stack):
    """What has slept for a while does not begin to sleep anew."""
    stack = new_stack(env=LEASE)
    duration = types_pb2.LiteralType(simple=types_pb2.DURATION)
    task = create_task(stack.admin, "core-sleep", {"duration": duration})
    plan = create_fan(stack.admin, task, 1, "duration", duration)
    wait = literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(
        duration=duration_pb2.Duration(seconds=10))))
    ids = [create(stack.admin, plan, "", literals_pb2.LiteralMap(literals={"duration": wait})) for _ in range(50)]
    for id in ids:
        wait_for(lambda i=id: get(stack.admin, i).closure.phase == Phase.RUNNING, what=f"{id.name} running")
    time.sleep(3)
    killed = time.time()
    stack.kill("propeller")
    for id in ids:
        closure = finish(stack.admin, id).closure
        assert closure.phase == Phase.SUCCEEDED
        assert closure.duration.ToNanoseconds() / 1e9 > 9.9
        assert closure.updated_at.ToNanoseconds() / 1e9 < killed + 10


# ---- admin ----

def test_admin_killed_under_load(new_stack):
    stack = new_stack()
    plan = create_plan(stack.admin)
    with Load(stack, plan) as load:
        for n in (100, 300, 500):
            load.wait_for(n)
            restart(stack, "admin")
    found = wait_all(stack, plan, load.acknowledged)
    assert not set(load.errors) - {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ALREADY_EXISTS}, load.errors
    # Nobody ran one twice: each has its node once.
    rows = stack.sql("SELECT count(*), count(DISTINCT name) FROM admin.executions")
    assert rows == [(len(found), len(found))]
    settle(stack)


# ---- servers ----

def test_nats_killed_and_wiped(new_stack):
    stack = new_stack()
    plan = create_plan(stack.admin, nodes=3)
    with Load(stack, plan) as load:
        load.wait_for(200)
        restart(stack, "nats")
        load.wait_for(len(load.acknowledged) + 200)
        stack.kill_and_hold("nats")
        before = len(load.acknowledged)
        load.wait_for(before + 50)  # Postgres is the truth: admin goes on acknowledging
        shutil.rmtree(os.path.join(stack.var, "nats"))
        stack.start("nats")
        stack.wait_ready("nats")
        load.wait_for(len(load.acknowledged) + 100)
    wait_all(stack, plan, load.acknowledged)
    assert not load.errors
    settle(stack)


def test_nats_wiped_under_process_tasks(new_stack):
    stack = new_stack(env=SLOTS)
    script = Script(stack)
    plan = create_fan(stack.admin, create_script_task(stack.admin, script.text), 20)
    id = create(stack.admin, plan, max_parallelism=20)
    wait_for(lambda: len(script.lines("start")) == 20, what="20 running attempts")
    stack.kill_and_hold("nats")
    shutil.rmtree(os.path.join(stack.var, "nats"))
    script.let_go()
    wait_for(lambda: len(script.lines("end")) == 20, what="20 ends")
    stack.start("nats")
    assert finish(stack.admin, id, 60).closure.phase == Phase.SUCCEEDED
    assert len(script.lines("start")) == 20
    settle(stack)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
def test_postgres_restarted(new_stack, number):
    stack = new_stack(env=SLOTS)
    script = Script(stack, 2)
    fan = create_fan(stack.admin, create_script_task(stack.admin, script.text), 20)
    plan = create_plan(stack.admin, nodes=3)
    id = create(stack.admin, fan, max_parallelism=20)
    with Load(stack, plan) as load:
        load.wait_for(100)
        wait_for(lambda: len(script.lines("start")) == 20, what="20 running attempts")
        restart(stack, "postgres", number)
        load.wait_for(len(load.acknowledged) + 100)
    wait_all(stack, plan, load.acknowledged)
    assert finish(stack.admin, id, 60).closure.phase == Phase.SUCCEEDED
    assert len(script.lines("start")) == 20 and len(script.lines("end")) == 20
    assert stack.restarts("admin") == 0 and stack.restarts("propeller") == 0
    assert not set(load.errors) - {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED,
                                   grpc.StatusCode.ALREADY_EXISTS}, load.errors
    settle(stack)


# ---- two of each ----

@pytest.fixture
def pair(new_stack):
    """Their lease is as long as by default: who stands still for a moment is not fenced."""
    stack = new_stack(admins=2, propellers=2, env=SLOTS)
    wait_for(lambda: sorted(owners(stack).values()) == [32, 32], what="shards shared out")
    return stack


def owners(stack):
    return dict(stack.sql("SELECT owner, count(*) FROM propeller.shards WHERE owner IS NOT NULL GROUP BY owner"))


def test_one_of_two_admins_killed(pair):
    plan = create_plan(pair.admin, nodes=2)
    with Load(pair, plan, admins=("admin", "admin-2")) as load:
        load.wait_for(200)
        pair.kill_and_hold("admin-2")
        load.wait_for(len(load.acknowledged) + 200)
    wait_all(pair, plan, load.acknowledged)
    settle(pair)


def test_one_of_two_admins_stands_still(pair):
    """It keeps its connections, but not what it holds for all: executions end while it stands still, whichever it is."""
    plan = create_plan(pair.admin, nodes=2)
    for frozen, other in (("admin", "admin-2"), ("admin-2", "admin")):
        stub = pair.stub(AdminServiceStub, other)
        with Load(pair, plan, admins=(other,)) as load:
            load.wait_for(50)
            pair.pause(frozen)
            for id in [create(stub, plan) for _ in range(16)]:
                finish(stub, id)
            pair.resume(frozen)
            load.wait_for(len(load.acknowledged) + 50)
        wait_all(pair, plan, load.acknowledged)
    settle(pair)


def forty_attempts(pair):
    """Eight executions whose attempts all run until they are let go."""
    script = Script(pair)
    fan = create_fan(pair.admin, create_script_task(pair.admin, script.text), 5)
    ids = [create(pair.admin, fan, max_parallelism=5) for _ in range(8)]
    wait_for(lambda: len(script.lines("start")) == 40, what="40 running attempts")
    return script, ids


def all_ran_once(pair, script, ids):
    for id in ids:
        assert finish(pair.admin, id, 60).closure.phase == Phase.SUCCEEDED
    assert len(script.lines("start")) == 40


def test_one_of_two_propellers_killed(pair):
    plan = create_plan(pair.admin, nodes=3)
    script, ids = forty_attempts(pair)
    with Load(pair, plan) as load:
        load.wait_for(100)
        pair.kill_and_hold("propeller-2")
        wait_for(lambda: list(owners(pair).values()) == [64], what="one owner of all shards")
        script.let_go()
        load.wait_for(len(load.acknowledged) + 100)
    wait_all(pair, plan, load.acknowledged)
    all_ran_once(pair, script, ids)
    settle(pair)


def test_stopped_propeller_is_fenced(pair):
    """It wakes after its lease, with work in its hands, and writes nothing."""
    plan = create_plan(pair.admin, nodes=3)
    script, ids = forty_attempts(pair)
    epochs = dict(pair.sql("SELECT name, epoch FROM propeller.propellers"))
    with Load(pair, plan) as load:
        load.wait_for(100)
        stopped = pair.pause("propeller-2")
        wait_for(lambda: list(owners(pair).values()) == [64], what="one owner of all shards")
        # Its attempts end while it stands still; it will find them when it wakes.
        script.let_go()
        wait_for(lambda: len(script.lines("end")) == 40, what="40 ends")
        pair.resume("propeller-2")
        load.wait_for(len(load.acknowledged) + 200)
    wait_all(pair, plan, load.acknowledged)
    all_ran_once(pair, script, ids)
    # It came back under a new epoch, in the same process or a new one, and takes its share again.
    wait_for(lambda: sorted(owners(pair).values()) == [32, 32], what="shards shared out again")
    now = dict(pair.sql("SELECT name, epoch FROM propeller.propellers"))
    assert now["propeller"] == epochs["propeller"] and now["propeller-2"] > epochs["propeller-2"]
    assert stopped
    settle(pair)

"""The materialiser alone: hand-made events on the bus, no propeller. What it writes, confirms and asks for again."""
import asyncio
import contextlib
import os
import socket
import threading

import nats
import nats.js.errors
import pytest
from flyteidl.core import execution_pb2 as core_execution, identifier_pb2
from flyteidl.event import event_pb2
from flyteidl.admin import execution_pb2, node_execution_pb2, task_execution_pb2
from google.protobuf import timestamp_pb2

from stack import wait_for
from test_drain import Admin
from test_executions import create, create_plan, finish, get, integer, list_nodes, literals

Phase = core_execution.WorkflowExecution
Node = core_execution.NodeExecution
Task = core_execution.TaskExecution


# ---- alula/bus.proto by hand ----

def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def number(field, n):
    return varint(field << 3) + varint(n) if n else b""


def message(field, m):
    m = m if isinstance(m, bytes) else m.encode() if isinstance(m, str) else m.SerializeToString()
    return varint(field << 3 | 2) + varint(len(m)) + m


def record(execution, seq, *events, last=False):
    fields = {event_pb2.WorkflowExecutionEvent: 1, event_pb2.NodeExecutionEvent: 2, event_pb2.TaskExecutionEvent: 3}
    return (number(1, execution.key) + number(2, seq) + message(3, execution.id) +
            b"".join(message(4, message(fields[type(e)], e)) for e in events) + number(5, last))


def batch(*records, uri=""):
    return b"".join(message(4, r) for r in records) + (message(5, uri) if uri else b"")


def read_varint(b, i):
    n = shift = 0
    while True:
        n |= (b[i] & 127) << shift
        shift += 7
        i += 1
        if b[i - 1] < 128:
            return n, i


def fields(b):
    i = 0
    while i < len(b):
        tag, i = read_varint(b, i)
        n, i = read_varint(b, i)
        if tag & 7 == 2:
            yield tag >> 3, b[i:i + n]
            i += n
        else:
            yield tag >> 3, n


def marks(b):
    """consumer, {execution: seq} of a Confirm or Resend"""
    found = dict(consumer="", marks={})
    for field, value in fields(b):
        if field == 1:
            found["consumer"] = value.decode()
        else:
            mark = dict(fields(value))
            found["marks"][mark[1]] = mark[2]
    return found["consumer"], found["marks"]


# ---- a bus that listens ----

class Bus:
    def __init__(self, url):
        self.loop = asyncio.new_event_loop()
        self.heard = []  # (subject, consumer, marks)
        self.run(self.connect(url))

    def run(self, what):
        return self.loop.run_until_complete(what)

    async def connect(self, url):
        self.nc = await nats.connect(url)
        for subject in ("alula.confirms.*", "alula.resends.*"):
            await self.nc.subscribe(subject, cb=self.hear)

    async def hear(self, m):
        self.heard.append((m.subject.split(".")[1], *marks(m.data)))

    def publish(self, subject, payload):
        """Who is ready need not have made the stream yet."""
        def published():
            with contextlib.suppress(nats.js.errors.NoStreamResponseError):
                self.run(self.nc.jetstream(timeout=20).publish(subject, payload))
                return True
            return False
        wait_for(published, what="the stream of events", interval=0.1)

    def turn(self):
        self.run(asyncio.sleep(0.02))
        return self.heard

    def close(self):
        self.run(self.nc.close())
        self.loop.close()


class Execution:
    def __init__(self, stack, bus, plan):
        self.stack, self.bus = stack, bus
        self.id = create(stack.admin, plan)
        self.find()

    def find(self):
        (self.key, subject), = self.stack.sql(
            "SELECT o.key, o.subject FROM admin.outbox o JOIN admin.executions e USING (key) WHERE e.name = %s", self.id.name)
        self.shard = int(subject.split(".")[-1])
        self.subject = f"alula.events.{self.shard % 4}.{self.shard}"

    def send(self, *records):
        self.bus.publish(self.subject, batch(*records))

    def record(self, seq, *events, **more):
        return record(self, seq, *events, **more)

    def confirmed(self):
        return max([m[self.key] for kind, _, m in self.bus.turn() if kind == "confirms" and self.key in m], default=0)

    def wait_confirmed(self, seq):
        wait_for(lambda: self.confirmed() >= seq, what=f"record {seq} confirmed")

    def resends(self):
        return [m[self.key] for kind, _, m in self.bus.turn() if kind == "resends" and self.key in m]

    def closure(self):
        return get(self.stack.admin, self.id).closure

    def nodes(self):
        return {n.id.node_id: n for n in list_nodes(self.stack.admin, self.id)}


@pytest.fixture(scope="module")
def quiet_stack():
    from stack import Stack
    with Stack() as s:
        s.up()
        s.stop("propeller")
        yield s


@pytest.fixture
def bus(quiet_stack):
    b = Bus(quiet_stack.nats_url)
    yield b
    b.close()


@pytest.fixture(scope="module")
def plan(quiet_stack):
    return create_plan(quiet_stack.admin)


@pytest.fixture
def execution(quiet_stack, bus, plan):
    return Execution(quiet_stack, bus, plan)


# ---- events ----

def at(seconds):
    return timestamp_pb2.Timestamp(seconds=1_700_000_000 + seconds)


def workflow_event(phase, seconds=0, **more):
    return event_pb2.WorkflowExecutionEvent(phase=phase, occurred_at=at(seconds), producer_id="propeller", **more)


def node_event(node, phase, seconds=0, **more):
    return event_pb2.NodeExecutionEvent(id=identifier_pb2.NodeExecutionIdentifier(node_id=node), phase=phase,
                                        occurred_at=at(seconds), spec_node_id=node, event_version=1, **more)


TASK_ID = identifier_pb2.Identifier(resource_type=identifier_pb2.TASK, project="p", domain="d", name="t", version="1")


def task_event(node, phase, seconds=0, attempt=0, **more):
    return event_pb2.TaskExecutionEvent(
        task_id=TASK_ID, parent_node_execution_id=identifier_pb2.NodeExecutionIdentifier(node_id=node),
        retry_attempt=attempt, phase=phase, occurred_at=at(seconds), task_type="echo", event_version=1, **more)


# ---- tests ----

def test_records_become_rows(execution):
    assert execution.closure().phase == Phase.UNDEFINED
    execution.send(execution.record(1, workflow_event(Phase.RUNNING, 1), node_event("n0", Node.QUEUED, 2)))
    execution.wait_confirmed(1)
    assert execution.closure().started_at == at(1)
    assert execution.stack.sql("SELECT count(*) FROM admin.outbox WHERE key = %s", execution.key) == [(0,)]
    log = core_execution.TaskLog(uri="http://log", name="log")
    execution.send(
        execution.record(2, node_event("n0", Node.RUNNING, 3, input_data=literals(x=integer(1))),
                         task_event("n0", Task.QUEUED, 3, reason="submitted"),
                         task_event("n0", Task.RUNNING, 4, logs=[log], input_uri="/nowhere")),
        execution.record(3, task_event("n0", Task.SUCCEEDED, 6, output_data=literals(x=integer(2)), reason="done"),
                         node_event("n0", Node.SUCCEEDED, 7, output_data=literals(x=integer(2)), deck_uri="/deck")),
        execution.record(4, workflow_event(Phase.SUCCEEDED, 9, output_data=literals(x=integer(3))), last=True))
    execution.wait_confirmed(4)
    c = execution.closure()
    assert (c.phase, c.started_at, c.updated_at, c.duration.seconds) == (Phase.SUCCEEDED, at(1), at(9), 8)
    assert c.output_data == literals(x=integer(3))
    n = execution.nodes()["n0"]
    assert (n.closure.phase, n.closure.created_at, n.closure.started_at) == (Node.SUCCEEDED, at(2), at(3))
    assert n.closure.duration.seconds == 4 and n.closure.deck_uri == "/deck"
    admin = execution.stack.admin
    data = admin.GetNodeExecutionData(node_execution_pb2.NodeExecutionGetDataRequest(id=n.id))
    assert (data.full_inputs, data.full_outputs) == (literals(x=integer(1)), literals(x=integer(2)))
    assert data.flyte_urls.deck.endswith("/n0/d")
    (t,) = admin.ListTaskExecutions(task_execution_pb2.TaskExecutionListRequest(
        node_execution_id=n.id, limit=10)).task_executions
    assert t.id.task_id == TASK_ID and t.input_uri == "/nowhere" and list(t.closure.logs) == [log]
    assert (t.closure.started_at, t.closure.duration.seconds) == (at(4), 2)
    assert [r.message for r in t.closure.reasons] == ["submitted", "done"] and t.closure.reason == "done"


def test_events_of_one_node_in_several_batches(execution):
    execution.send(execution.record(1, node_event("n0", Node.QUEUED, 1), task_event("n0", Task.QUEUED, 1, reason="a")))
    execution.wait_confirmed(1)
    execution.send(execution.record(2, node_event("n0", Node.RUNNING, 2), task_event("n0", Task.RUNNING, 2, reason="b")))
    execution.wait_confirmed(2)
    error = core_execution.ExecutionError(code="X", message="broken " * 30, kind=core_execution.ExecutionError.USER)
    execution.send(execution.record(3, task_event("n0", Task.FAILED, 5, error=error, reason="c"),
                                    node_event("n0", Node.FAILED, 5, error=error)))
    execution.wait_confirmed(3)
    n = execution.nodes()["n0"]
    assert (n.closure.created_at, n.closure.started_at, n.closure.duration.seconds) == (at(1), at(2), 3)
    assert n.closure.error.code == "X" and len(n.closure.error.message) == 100
    admin = execution.stack.admin
    assert admin.GetNodeExecution(node_execution_pb2.NodeExecutionGetRequest(id=n.id)).closure.error == error
    (t,) = admin.ListTaskExecutions(task_execution_pb2.TaskExecutionListRequest(
        node_execution_id=n.id, limit=10)).task_executions
    assert [r.message for r in t.closure.reasons] == ["a", "b", "c"] and t.closure.error == error


def test_repeats_change_nothing(execution):
    execution.send(execution.record(1, node_event("n0", Node.RUNNING, 1)))
    execution.wait_confirmed(1)
    execution.bus.heard.clear()
    execution.send(execution.record(1, node_event("n0", Node.FAILED, 2), node_event("other", Node.RUNNING, 2)))
    execution.wait_confirmed(1)
    assert {k: n.closure.phase for k, n in execution.nodes().items()} == {"n0": Node.RUNNING}


def test_gaps_are_asked_for(execution):
    execution.send(execution.record(1, node_event("n0", Node.RUNNING, 1)))
    execution.wait_confirmed(1)
    third = execution.record(3, node_event("n0", Node.SUCCEEDED, 3))
    execution.send(third)
    wait_for(lambda: set(execution.resends()) == {2}, what="record 2 asked for")
    assert execution.nodes()["n0"].closure.phase == Node.RUNNING and execution.confirmed() == 1
    execution.send(execution.record(2, node_event("n1", Node.RUNNING, 2)), third)
    execution.wait_confirmed(3)
    nodes = execution.nodes()
    assert nodes["n0"].closure.phase == Node.SUCCEEDED and nodes["n1"].closure.phase == Node.RUNNING


def test_terminal_stays_terminal(execution):
    execution.send(execution.record(1, workflow_event(Phase.RUNNING, 1), node_event("n0", Node.SUCCEEDED, 2),
                                    task_event("n0", Task.FAILED, 2), workflow_event(Phase.FAILED, 3)))
    execution.wait_confirmed(1)
    execution.send(execution.record(2, workflow_event(Phase.RUNNING, 4), node_event("n0", Node.RUNNING, 4),
                                    task_event("n0", Task.RUNNING, 4)))
    execution.wait_confirmed(2)
    n = execution.nodes()["n0"]
    assert execution.closure().phase == Phase.FAILED and n.closure.phase == Node.SUCCEEDED
    (t,) = execution.stack.admin.ListTaskExecutions(task_execution_pb2.TaskExecutionListRequest(
        node_execution_id=n.id, limit=10)).task_executions
    assert t.closure.phase == Task.FAILED


def test_abort_waits_for_its_event(execution):
    execution.send(execution.record(1, workflow_event(Phase.RUNNING, 1)))
    execution.wait_confirmed(1)
    execution.stack.admin.TerminateExecution(execution_pb2.ExecutionTerminateRequest(id=execution.id, cause="enough"))
    keys = execution.stack.sql("SELECT key FROM admin.outbox WHERE key IN (%s, %s)", execution.key, -execution.key)
    assert keys == [(-execution.key,)]
    execution.send(execution.record(2, workflow_event(Phase.RUNNING, 2)))
    execution.wait_confirmed(2)
    assert execution.closure().phase == Phase.ABORTING
    execution.send(execution.record(3, workflow_event(Phase.ABORTED, 3)))
    execution.wait_confirmed(3)
    c = execution.closure()
    assert c.phase == Phase.ABORTED and c.abort_metadata.cause == "enough"
    execution.send(execution.record(4, last=True))
    execution.wait_confirmed(4)
    assert execution.stack.sql("SELECT count(*) FROM admin.outbox WHERE abs(key) = %s", execution.key) == [(0,)]


def test_batches_in_the_store(execution):
    path = os.path.join(execution.stack.store, "metadata", "batch.pb")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(batch(execution.record(1, *(node_event(f"n{i}", Node.RUNNING, 1) for i in range(3000)))))
    execution.bus.publish(execution.subject, batch(uri=path))
    execution.bus.publish(execution.subject, batch(uri="/etc/passwd"))
    execution.bus.publish(execution.subject, batch(uri=path + ".gone"))
    execution.wait_confirmed(1)
    assert len(execution.nodes()) == 3000
    execution.send(execution.record(2, node_event("n0", Node.SUCCEEDED, 2)))
    execution.wait_confirmed(2)


def test_garbage_holds_nothing_up(execution):
    unknown = type("X", (), {"key": 1 << 40, "id": execution.id})
    for payload in (b"\xff\xff\xff", b"", batch(b"\x12\xff"), batch(number(1, 5)), message(4, message(4, b"\x0a\x00"))):
        execution.bus.publish(execution.subject, payload)
    empty = event_pb2.NodeExecutionEvent()
    execution.send(record(unknown, 7, node_event("n0", Node.RUNNING)), execution.record(1, empty, node_event("n0", Node.RUNNING)))
    execution.wait_confirmed(1)
    wait_for(lambda: any(m.get(1 << 40) == 7 for kind, _, m in execution.bus.turn() if kind == "confirms"),
             what="the unknown execution's record confirmed")
    assert set(execution.nodes()) == {"n0"}
    huge = os.urandom(10_000).hex()  # too long for an index
    execution.send(execution.record(2, node_event(huge, Node.RUNNING)))
    execution.send(execution.record(2, node_event("n1", Node.RUNNING)))
    execution.wait_confirmed(2)
    assert set(execution.nodes()) == {"n0", "n1"}


def leases(stack):
    return stack.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 1634495841")[0][0]


def test_a_record_is_materialised_once_by_either_of_two_admins(new_stack):
    s = new_stack(admins=2)
    s.stop("propeller")
    bus = Bus(s.nats_url)
    plan = create_plan(s.admin)
    many = [Execution(s, bus, plan) for _ in range(8)]
    for x in many:
        x.send(x.record(1, workflow_event(Phase.RUNNING, 1)))
    for x in many:
        x.wait_confirmed(1)
    # Of all lanes; those that the executions are in are read by now, others maybe a moment later.
    wait_for(lambda: leases(s) == 4, what="an admin for each lane")
    s.stop("admin")
    for x in many:
        x.stack = type("S", (), {"admin": None})
        x.send(x.record(2, workflow_event(Phase.SUCCEEDED, 2)))
    for x in many:
        x.wait_confirmed(2)
    wait_for(lambda: leases(s) == 4, what="the other admin for each lane")
    assert s.sql("SELECT DISTINCT phase, seq FROM admin.executions") == [(Phase.SUCCEEDED, 2)]
    bus.close()


class Wire:
    """A way to a port of this machine that can be cut."""

    def __init__(self, port):
        self.port, self.ends = port, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"nats://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread(self.accept)

    @staticmethod
    def thread(target, *args):
        threading.Thread(target=target, args=args, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                pair = self.listener.accept()[0], socket.create_connection(("127.0.0.1", self.port))
                self.ends += pair
                self.thread(self.carry, *pair)
                self.thread(self.carry, *reversed(pair))

    @staticmethod
    def carry(source, to):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)

    def cut(self):
        for s in [self.listener] + self.ends:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()


def test_who_has_no_bus_leaves_the_events_to_others(new_stack, tmp_path):
    s = new_stack()
    plan = create_plan(s.admin)
    wire = Wire(s.port("nats"))
    s.stop("admin")
    with Admin(s, tmp_path, ALULA_BUS_NATS_URL=wire.url):
        wait_for(lambda: leases(s) == 4, what="an admin for each lane")
        s.start("admin")
        s.wait_ready("admin")
        wire.cut()
        for id in [create(s.admin, plan) for _ in range(16)]:
            finish(s.admin, id)


def test_the_bus_may_come_late_and_go(new_stack):
    s = new_stack()
    s.stop("propeller")
    plan = create_plan(s.admin)
    s.kill_and_hold("nats")
    name = create(s.admin, plan).name
    assert get(s.admin, execution_id_of(name)).closure.phase == Phase.UNDEFINED
    s.start("nats")
    s.wait_ready("nats")
    bus = Bus(s.nats_url)
    x = Execution(s, bus, plan)
    x.send(x.record(1, workflow_event(Phase.RUNNING, 1)))
    x.wait_confirmed(1)
    bus.close()


def execution_id_of(name):
    from test_executions import execution_id
    return execution_id(name)

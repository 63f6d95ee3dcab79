"""Signals: gates tell of them by events, clients list and set them, values go out as commands."""
import grpc
import pytest
from flyteidl.admin import signal_pb2
from flyteidl.core import identifier_pb2, types_pb2
from flyteidl.service.signal_pb2_grpc import SignalServiceStub

from stack import wait_for
from test_executions import create, execution_id, integer, text
from test_materialiser import (Execution, bus, execution, fields, message, number, plan, quiet_stack,  # noqa: F401
                               record, workflow_event)

INTEGER = types_pb2.LiteralType(simple=types_pb2.INTEGER)


@pytest.fixture(scope="module")
def signals(quiet_stack):  # noqa: F811
    return quiet_stack.stub(SignalServiceStub)


def signal_id(execution, name):  # noqa: F811
    return identifier_pb2.SignalIdentifier(execution_id=execution, signal_id=name)


def listed(signals, execution, **more):  # noqa: F811
    return signals.ListSignals(signal_pb2.SignalListRequest(
        workflow_execution_id=execution, **{"limit": 100, **more}))


def awaited(execution, seq, name, type):  # noqa: F811
    """A record with alula.SignalAwaited, by hand."""
    event = message(1, name) + message(2, type) + message(3, number(1, 1_700_000_000))
    return (number(1, execution.key) + number(2, seq) + message(3, execution.id) + message(4, message(4, event)))


def refused(code, text, call, request):  # noqa: F811
    with pytest.raises(grpc.RpcError) as e:
        call(request)
    assert e.value.code() == code, e.value
    assert text in e.value.details()


def test_gate_to_value(quiet_stack, signals, execution):  # noqa: F811
    id = signal_id(execution.id, "go")
    set_go = signal_pb2.SignalSetRequest(id=id, value=integer(3))
    refused(grpc.StatusCode.INVALID_ARGUMENT, "signal [go]", signals.SetSignal, set_go)
    execution.send(awaited(execution, 1, "go", INTEGER))
    wait_for(lambda: listed(signals, execution.id).signals)
    (signal,) = listed(signals, execution.id).signals
    assert (signal.id, signal.type, signal.HasField("value")) == (id, INTEGER, False)
    wrong = signal_pb2.SignalSetRequest(id=id, value=text("x"))
    refused(grpc.StatusCode.INVALID_ARGUMENT, "not castable", signals.SetSignal, wrong)
    signals.SetSignal(set_go)
    (signal,) = listed(signals, execution.id).signals
    assert signal.value == integer(3)
    (command,), = quiet_stack.sql("SELECT payload FROM admin.outbox WHERE key = %s", -execution.key)
    sent = dict(fields(dict(fields(bytes(command)))[5]))
    assert sent[1] == b"go" and sent[2] == integer(3).SerializeToString()


def test_said_twice(signals, execution):  # noqa: F811
    """A repeated event neither doubles a signal nor takes its value away."""
    execution.send(awaited(execution, 1, "go", INTEGER))
    wait_for(lambda: listed(signals, execution.id).signals)
    signals.SetSignal(signal_pb2.SignalSetRequest(id=signal_id(execution.id, "go"), value=integer(1)))
    execution.send(awaited(execution, 1, "go", INTEGER))
    execution.send(awaited(execution, 2, "go", INTEGER))
    execution.send(awaited(execution, 3, "stop", INTEGER))
    wait_for(lambda: len(listed(signals, execution.id).signals) == 2)
    values = {s.id.signal_id: s.HasField("value") for s in listed(signals, execution.id).signals}
    assert values == {"go": True, "stop": False}


def test_an_execution_that_is_over_is_told_nothing(quiet_stack, signals, execution):  # noqa: F811
    """Nobody would confirm it, and the command would be sent for ever."""
    execution.send(awaited(execution, 1, "go", INTEGER))
    execution.send(execution.record(2, workflow_event(2), workflow_event(6), last=True))
    wait_for(lambda: execution.closure().phase == 6)
    signals.SetSignal(signal_pb2.SignalSetRequest(id=signal_id(execution.id, "go"), value=integer(1)))
    (signal,) = listed(signals, execution.id).signals
    assert signal.value == integer(1)
    assert not quiet_stack.sql("SELECT payload FROM admin.outbox WHERE key = %s", -execution.key)


def test_get_or_create(signals, execution):  # noqa: F811
    request = signal_pb2.SignalGetOrCreateRequest(id=signal_id(execution.id, "s"), type=INTEGER)
    for _ in range(2):
        got = signals.GetOrCreateSignal(request)
        assert (got.id, got.type, got.HasField("value")) == (request.id, INTEGER, False)
    for name in "abcde":
        signals.GetOrCreateSignal(signal_pb2.SignalGetOrCreateRequest(id=signal_id(execution.id, name), type=INTEGER))
    page = listed(signals, execution.id, limit=4)
    rest = listed(signals, execution.id, limit=4, token=page.token)
    names = [s.id.signal_id for s in list(page.signals) + list(rest.signals)]
    assert sorted(names) == list("abcdes") and rest.token == ""
    (only,) = listed(signals, execution.id, filters="eq(signal_id,c)").signals
    assert only.id.signal_id == "c"


def test_bad_requests(quiet_stack, signals, execution):  # noqa: F811
    invalid, missing = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
    ask, set_ = signals.GetOrCreateSignal, signals.SetSignal
    id = signal_id(execution.id, "s")
    nobody = signal_id(execution_id("nobody"), "s")
    refused(invalid, "missing id", ask, signal_pb2.SignalGetOrCreateRequest(type=INTEGER))
    refused(invalid, "missing type", ask, signal_pb2.SignalGetOrCreateRequest(id=id))
    refused(invalid, "missing signal_id", ask,
            signal_pb2.SignalGetOrCreateRequest(id=signal_id(execution.id, ""), type=INTEGER))
    refused(invalid, "missing execution_id", ask,
            signal_pb2.SignalGetOrCreateRequest(id=identifier_pb2.SignalIdentifier(signal_id="s"), type=INTEGER))
    refused(missing, "nobody", ask, signal_pb2.SignalGetOrCreateRequest(id=nobody, type=INTEGER))
    refused(invalid, "missing value", set_, signal_pb2.SignalSetRequest(id=id))
    refused(missing, "nobody", set_, signal_pb2.SignalSetRequest(id=nobody, value=integer(1)))
    refused(invalid, "missing execution_id", signals.ListSignals, signal_pb2.SignalListRequest(limit=1))
    refused(invalid, "limit", signals.ListSignals, signal_pb2.SignalListRequest(workflow_execution_id=execution.id))
    assert not listed(signals, execution_id("nobody")).signals
    path = f"/api/v1/signals/{execution.id.project}/{execution.id.domain}/{execution.id.name}?limit=5"
    assert quiet_stack.http(path).json() == {"signals": [], "token": ""}

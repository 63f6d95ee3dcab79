"""Facts about every RPC, each taken from flyteadmin's code, asked by gRPC and by REST alike: request -> code, message, effect.
The tables are facts/*.py. What is different on purpose stands in docs/api.md."""
import importlib
import itertools
import json
import os
import pkgutil
import re
import urllib.parse
import uuid

import grpc
import pytest
from google.api import annotations_pb2
from google.protobuf import json_format, message_factory
from flyteidl.service import admin_pb2, auth_pb2, dataproxy_pb2, identity_pb2, signal_pb2

import facts
from facts.world import WORLD
from stack import Stack

SERVICES = {s.name: s for m in (admin_pb2, auth_pb2, dataproxy_pb2, identity_pb2, signal_pb2)
            for s in m.DESCRIPTOR.services_by_name.values()}
# grpc-gateway's HTTPStatusFromCode.
HTTP = {"OK": 200, "INVALID_ARGUMENT": 400, "NOT_FOUND": 404, "ALREADY_EXISTS": 409, "FAILED_PRECONDITION": 400,
        "UNIMPLEMENTED": 501, "RESOURCE_EXHAUSTED": 429, "INTERNAL": 500}
counter = itertools.count()


def table(name):
    return importlib.import_module(f"facts.{name}").FACTS


FACTS = [f for m in sorted(m.name for m in pkgutil.iter_modules(facts.__path__)) if m not in ("fact", "world") for f in table(m)]


def method_of(rpc):
    service, _, name = rpc.rpartition(".")
    return SERVICES[service or "AdminService"].methods_by_name[name]


def filled(value, words):
    """With "{u}" and the like replaced, everywhere."""
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda m: words.get(m.group(1), m.group(0)), value)
    if isinstance(value, dict):
        return {k: filled(v, words) for k, v in value.items()}
    return [filled(v, words) for v in value] if isinstance(value, (list, tuple)) else value


class Answer:
    def __init__(self, code, message="", response=None, details=""):
        self.code, self.message, self.details = code, message, details
        self.response = json_format.MessageToDict(response, preserving_proto_field_name=True,
                                                  always_print_fields_with_no_presence=True) if response is not None else None


def by_grpc(stack, rpc, request):
    method = method_of(rpc)
    call = stack.facts_channel.unary_unary(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=lambda m: m.SerializeToString(),
        response_deserializer=message_factory.GetMessageClass(method.output_type).FromString)
    try:
        return Answer("OK", response=call(json_format.ParseDict(request, message_factory.GetMessageClass(method.input_type)()), timeout=30))
    except grpc.RpcError as e:
        details = dict(e.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
        return Answer(e.code().name, e.details(), details=details.decode("latin-1"))


# REST: the client's side of google.api.http.

def bindings(method):
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    return [r for r in (rule, *rule.additional_bindings) if r.WhichOneof("pattern")]


def take(request, path):
    """The value at a dotted path, and the request without it."""
    first, _, rest = path.partition(".")
    if first not in request:
        return None, request
    if not rest:
        return request[first], {k: v for k, v in request.items() if k != first}
    value, left = take(request[first], rest)
    left = dict(request, **{first: left}) if left else {k: v for k, v in request.items() if k != first}
    return value, left


def pairs(value, prefix=""):
    """A message as query parameters."""
    for k, v in value.items():
        if isinstance(v, dict):
            yield from pairs(v, f"{prefix}{k}.")
        else:
            yield from ((prefix + k, str(x).lower() if isinstance(x, bool) else x) for x in (v if isinstance(v, list) else [v]))


def transcode(method, request):
    """(verb, path, query, body) of the first rule that can say it; None if none can."""
    for rule in bindings(method):
        verb = rule.WhichOneof("pattern")
        left, path, whole = request, getattr(rule, verb), True
        for variable in re.findall(r"\{([^}]*)\}", path):
            value, left = take(left, variable.partition("=")[0])
            whole = whole and value not in (None, "")
            path = path.replace("{" + variable + "}", urllib.parse.quote(str(value), safe=""))
        if not whole:
            continue
        if rule.body == "*":
            return verb, path, [], left
        body = left.pop(rule.body, {}) if rule.body else None
        return verb, path, list(pairs(left)), body
    return None


def by_rest(stack, rpc, request):
    method = method_of(rpc)
    verb, path, query, body = transcode(method, request)
    r = stack.http(path, verb.upper(), params=query, headers={"Accept": "application/json", "Content-Type": "application/json"},
                   data=None if body is None else json.dumps(body))
    if r.status_code == 200:
        return Answer("OK", response=json_format.Parse(r.text, message_factory.GetMessageClass(method.output_type)()))
    body = r.json()
    code = next(c.name for c in grpc.StatusCode if c.value[0] == body["code"])
    assert r.status_code == HTTP[code], r.text
    return Answer(code, body["message"], details=json.dumps(body["details"]))


WAYS = {"grpc": by_grpc, "rest": by_rest}
CASES = [pytest.param(f, way, id=f"{f}-{way}") for f in FACTS for way in WAYS
         if way == "grpc" or (not f.only and transcode(method_of(f.rpc), f.request))]


@pytest.fixture(scope="module")
def world():
    with Stack(env={"ALULA_TASK_RESOURCES_LIMITS_CPU": "2", "ALULA_TASK_RESOURCES_LIMITS_MEMORY": "1Gi"}) as stack:
        stack.up().stop("propeller")
        stack.facts_channel = stack.channel()
        stack.words = {"store": stack.store}
        with open(os.path.join(stack.store, "deck.html"), "w", encoding="utf-8") as f:
            f.write("<p>deck</p>")
        for rpc, request in WORLD:
            answer = by_grpc(stack, rpc, filled(request, stack.words))
            assert answer.code == "OK", (rpc, request, answer.message)
        yield stack


def check(expected, found, path):
    if callable(expected):
        assert expected(found), (path, found)
    elif isinstance(expected, dict):
        assert isinstance(found, dict), (path, found)
        for k, v in expected.items():
            assert k in found, (path, k, found)
            check(v, found[k], f"{path}.{k}")
    elif isinstance(expected, list):
        assert len(expected) == len(found), (path, found)
        for i, (e, f) in enumerate(zip(expected, found)):
            check(e, f, f"{path}[{i}]")
    else:
        assert expected == found, (path, found)


def check_message(expected, found):
    if isinstance(expected, str):
        assert found == expected
    else:
        for part in expected or ():
            assert part in found, found


@pytest.mark.parametrize("fact, way", CASES)
def test_fact(world, fact, way):
    words = dict(world.words, u=f"u{next(counter)}-{uuid.uuid4().hex[:6]}")
    ask = WAYS[way]
    for rpc, request in fact.given:
        answer = by_grpc(world, rpc, filled(request, words))
        assert answer.code == "OK", (rpc, answer.message)
    answer = ask(world, fact.rpc, filled(fact.request, words))
    assert answer.code == fact.code, answer.message
    check_message(filled(fact.message, words), answer.message)
    if fact.detail:
        assert fact.detail in answer.details, answer.details
    if fact.gives is not None:
        check(filled(fact.gives, words), answer.response, fact.rpc)
    for rpc, request, expected in fact.then:
        after = ask(world, rpc, filled(request, words))
        assert after.code == "OK", (rpc, after.message)
        check(filled(expected, words), after.response, rpc)


def test_there_are_enough():
    """At least 250, and some of every RPC."""
    asked = {method_of(f.rpc).full_name for f in FACTS}
    every = {m.full_name for s in SERVICES.values() for m in s.methods}
    assert every <= asked, sorted(every - asked)
    assert len(FACTS) >= 250 and len(CASES) >= 400

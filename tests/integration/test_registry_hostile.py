"""Random lists and spoilt registrations: admin refuses them in its own words, and never fails."""
import base64
import collections
import random

import grpc
import pytest
from flyteidl.admin import common_pb2, launch_plan_pb2, project_pb2
from google.protobuf.descriptor import FieldDescriptor

from test_registry import DOMAIN, PROJECT, create_workflow, plan_request, two_nodes, unique

REFUSALS = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.ALREADY_EXISTS}
FUNCTIONS = ["contains", "not_like", "gt", "gte", "lt", "lte", "eq", "ne", "value_in", "value_not_in", "foo", ""]
COLUMNS = ["id", "name", "version", "project", "domain", "state", "created_at", "updated_at", "workflow.name",
           "workflow.id", "launch_plan.state", "type", "schedule_type", "description", "identifier", "labels",
           "entities.state", "project.name", "resource_type", "name;drop", ""]
VALUES = ["1", "-1", "99999999999999999999", "9223372036854775807", "abc", "a;b", "%", "\\", "\\\\", "2026-01-01",
          "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "294277-01-01T00:00:00Z", "é", "\U0001f600", "'", "$1", " ",
          "1e9", ")", "(", "a,b", "x" * 5000, ";;;", ";".join("2" * 300), "\n"]
KEYS = [b"1 a", b"1 1", b"1 ", b" ", b"9223372036854775807 9223372036854775807", b"1 -9223372036854775808",
        b"1 \xff", b"1 a\0b", b"1 99999999999999999"]
TOKENS = ["", "", "", "0", "5", "-1", "x", ".", "18446744073709551615", "9223372036854775808"] + [
    "." + base64.urlsafe_b64encode(k).decode().rstrip("=") for k in KEYS]


def outcome(call, *args):
    """OK or the refusal's code; anything else is a failure of admin's."""
    try:
        call(*args, timeout=60)
        return grpc.StatusCode.OK
    except grpc.RpcError as e:
        assert e.code() in REFUSALS, (e.code(), e.details(), args)
        return e.code()


def test_random_lists(stack):
    rng = random.Random(1)
    workflow = create_workflow(stack.admin)
    stack.admin.CreateLaunchPlan(plan_request(workflow))
    scope = dict(project=PROJECT, domain=DOMAIN)
    resource = lambda **page: common_pb2.ResourceListRequest(
        id=common_pb2.NamedEntityIdentifier(name=rng.choice(["", workflow.name]), **scope), **page)
    unfiltered = lambda make: lambda filters, **page: make(**scope, **page)
    requests = {
        "ListTasks": resource, "ListWorkflows": resource, "ListLaunchPlans": resource,
        "ListProjects": project_pb2.ProjectListRequest,
        "ListNamedEntities": lambda **page: common_pb2.NamedEntityListRequest(
            resource_type=rng.choice([0, 1, 2, 3, 4, 77]), **scope, **page),
        "ListTaskIds": unfiltered(common_pb2.NamedEntityIdentifierListRequest),
        "ListActiveLaunchPlans": unfiltered(launch_plan_pb2.ActiveLaunchPlanListRequest),
    }
    expression = lambda: f"{rng.choice(FUNCTIONS)}({rng.choice(COLUMNS)},{rng.choice(VALUES)})"
    outcomes = collections.Counter()
    for _ in range(3000):
        method, make = rng.choice(list(requests.items()))
        sort = common_pb2.Sort(key=rng.choice(COLUMNS), direction=rng.choice([0, 1])) if rng.random() < 0.5 else None
        filters = "+".join(expression() for _ in range(rng.choice([0, 0, 1, 1, 2])))
        request = make(limit=rng.choice([1, 100, 2**32 - 1]), token=rng.choice(TOKENS), filters=filters, sort_by=sort)
        outcomes[outcome(getattr(stack.admin, method), request)] += 1
    assert outcomes[grpc.StatusCode.OK] > 100 and outcomes[grpc.StatusCode.INVALID_ARGUMENT] > 100


def is_map(field):
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def parts(message):
    """The message and all messages in it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is None or is_map(field) and field.message_type.fields_by_name["value"].message_type is None:
            continue
        for child in value.values() if is_map(field) else value if field.is_repeated else [value]:
            yield from parts(child)


def spoil(rng, message):
    """Change one field of one part: cleared, set anew, doubled."""
    part = rng.choice(list(parts(message)))
    if not part.DESCRIPTOR.fields:
        return
    field = rng.choice(part.DESCRIPTOR.fields)
    if rng.random() < 0.35 or is_map(field):
        part.ClearField(field.name)
    elif field.message_type is not None and field.is_repeated:
        elements = getattr(part, field.name)
        elements.add().CopyFrom(rng.choice(elements)) if len(elements) else elements.add()
    elif field.message_type is not None:
        getattr(part, field.name).SetInParent()
    elif field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated:
        setattr(part, field.name, rng.choice(["", "x", "n0", "n1", "start-node", "end-node", "o0", "z" * 300, "é"]))
    elif field.type == FieldDescriptor.TYPE_ENUM and not field.is_repeated:
        setattr(part, field.name, rng.choice([0, 1, 2, 9, 77]))


@pytest.mark.parametrize("method", ["CreateWorkflow", "CreateLaunchPlan"])
def test_spoilt_registrations(stack, method):
    rng = random.Random(2)
    good = two_nodes(stack.admin, unique()) if method == "CreateWorkflow" else plan_request(create_workflow(stack.admin))
    send = stack.channel().unary_unary(f"/flyteidl.service.AdminService/{method}")
    outcomes = collections.Counter()
    for i in range(1000):
        request = type(good)()
        request.CopyFrom(good)
        request.id.version = f"spoilt{i}"
        for _ in range(rng.choice([1, 1, 2, 3, 6])):
            spoil(rng, request)
        data = bytearray(request.SerializeToString())
        if len(data) > 10 and rng.random() < 0.25:
            data[rng.randrange(len(data))] = rng.randrange(256)
            if rng.random() < 0.3:
                del data[rng.randrange(1, len(data)):]
        outcomes[outcome(send, bytes(data))] += 1
    assert outcomes[grpc.StatusCode.OK] > 20 and outcomes[grpc.StatusCode.INVALID_ARGUMENT] > 100
    assert outcome(getattr(stack.admin, method), good) == grpc.StatusCode.OK

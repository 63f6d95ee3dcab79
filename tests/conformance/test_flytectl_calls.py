"""What flytectl asks, asked again (flytectl_calls.py): the same codes, and as many objects in the lists."""
import json
import os
import re
import uuid

import ctl as flows
import grpc
import leaves
import pytest
from flyteidl.admin.project_pb2 import Project, ProjectRegisterRequest
from google.protobuf import message_factory
from google.protobuf.json_format import ParseDict

import suite
from flytectl_calls import METHODS, count

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "flytectl_calls.jsonl")
VERSIONS = ["v1", "v2", "whole", "scheduled", "set"]  # as the tests of flytectl register them


@pytest.fixture(scope="module")
def ask(stack):
    """ask(method's name, request): (code, number of objects)"""
    channel = stack.channel()
    paths = {method.name: path for path, method in METHODS.items()}

    def call(name, fields):
        method = METHODS[paths[name]]
        request = ParseDict(fields, message_factory.GetMessageClass(method.input_type)())
        answers = message_factory.GetMessageClass(method.output_type)
        try:
            answer = channel.unary_unary(paths[name], lambda m: m.SerializeToString(), answers.FromString)(request, timeout=30)
        except grpc.RpcError as e:
            return e.code().name, None
        return "OK", count(method, answer)

    return call


@pytest.fixture(scope="module")
def commands(client):
    """The file's lines with projects of this run, the first of which has all of flows/ctl.py."""
    with open(PATH, encoding="utf-8") as f:
        text = f.read()
    mine = uuid.uuid4().hex[:8]
    text = re.sub(r"\b(ctl|attr|life|file)-(\d+)\b", rf"\1-\2-{mine}", text)
    [project] = set(re.findall(rf"\bctl-\d+-{mine}", text))
    client.stack.admin.RegisterProject(ProjectRegisterRequest(project=Project(id=project, name=project)))
    for version in VERSIONS:
        for module in (leaves, flows):
            suite.register_all(client, module, version=version, project=project)
    return [json.loads(line) for line in text.splitlines()]


def test_flytectl_s_calls_have_the_same_answers(ask, commands):
    wrong, asked = [], 0
    for command in commands:
        for name, request, code, number in command["calls"]:
            if name == "RegisterProject" and request["project"]["id"].startswith("ctl-"):
                continue  # it is there
            got = ask(name, request)
            asked += 1
            if got != (code, number):
                wrong.append(f"flytectl {command['flytectl']}: {name} {request}: {got}, not {(code, number)}")
    assert not wrong, "\n".join(wrong)
    assert asked > 200

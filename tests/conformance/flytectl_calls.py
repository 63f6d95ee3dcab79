"""What flytectl asks of admin, written down so that it can be asked again where there is no flytectl.

`ALULA_FLYTECTL_RECORD=tests/conformance/flytectl_calls.jsonl make conformance PYTEST_ARGS='-k test_flytectl'` writes the file
anew: flytectl then speaks to a Recorder, which hands everything on to admin. A line is a command:

    {"flytectl": "get task -p ...", "calls": [["ListTasks", {request}, "OK", number of objects in the answer or null]]}

Registering is left out (whole specs), and so are executions, whose answers depend on when they are asked for. Names that the
tests made up are PREFIX-0, PREFIX-1, ...
"""
import concurrent.futures
import json
import re

import grpc
from flyteidl.service import admin_pb2, auth_pb2, dataproxy_pb2
from google.protobuf import message_factory
from google.protobuf.json_format import MessageToDict

MADE_UP = re.compile(r"\b(ctl|attr|life|file)-[0-9a-f]{8}\b")
METHODS = {f"/{service.full_name}/{method.name}": method for pb in (admin_pb2, auth_pb2, dataproxy_pb2)
           for service in pb.DESCRIPTOR.services_by_name.values() for method in service.methods}
# Of these the number depends on what else lives in the stack.
UNCOUNTED = ("ListProjects",)
LEFT_OUT = ("register", "compile", "config")
OF_AUTH = {m.name for m in auth_pb2.DESCRIPTOR.services_by_name["AuthMetadataService"].methods}


def parsed(descriptor, data):
    return message_factory.GetMessageClass(descriptor).FromString(data)


def count(method, answer):
    """How many objects an answer lists; None if it is no list."""
    lists = [f for f in method.output_type.fields if f.is_repeated and f.message_type]
    return len(getattr(answer, lists[0].name)) if len(lists) == 1 and method.name not in UNCOUNTED else None


class Recorder(grpc.GenericRpcHandler):
    """A server between flytectl and admin; `port` is its own."""

    def __init__(self, admin_address, path):
        self.channel = grpc.insecure_channel(admin_address)
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(4), handlers=[self])
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        self.path, self.calls, self.names = path, [], {}
        open(path, "w", encoding="utf-8").close()

    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self.hand_on(details.method, request, context))

    def hand_on(self, path, request, context):
        method = METHODS[path]
        call = [method.name, MessageToDict(parsed(method.input_type, request)), "OK", None]
        self.calls.append(call)
        try:
            answer = self.channel.unary_unary(path)(request, timeout=30)
        except grpc.RpcError as e:
            call[2] = e.code().name
            context.abort(e.code(), e.details())
        call[3] = count(method, parsed(method.output_type, answer))
        return answer

    def wrote(self, args):
        """The calls since the last time were those of this command."""
        calls, self.calls = self.calls, []
        calls = [c for c in calls if c[0] not in OF_AUTH]
        if not calls or args[0] in LEFT_OUT or "execution" in args[:2]:
            return
        line = json.dumps({"flytectl": " ".join(map(str, args)), "calls": calls})
        line = MADE_UP.sub(lambda m: self.names.setdefault(m.group(), f"{m.group(1)}-{len(self.names)}"), line)
        with open(self.path, "a", encoding="utf-8") as f:
            f.write(re.sub(r" /\S*/", " ", line) + "\n")


"""A connector that does harm: hangs, answers garbage, or what makes no sense, by the word of the task's input.

    python bad_connector.py PORT     [with TLS: KEY CERTIFICATE]

gRPC with no message types: the bytes are ours, so that they can be wrong."""
import sys
import time
from concurrent import futures

import grpc
from flyteidl.admin import agent_pb2
from flyteidl.core.execution_pb2 import TaskExecution
from flyteidl.core.literals_pb2 import Literal, LiteralMap, Primitive, Scalar
from google.protobuf.struct_pb2 import Struct

ASYNC, SYNC, METADATA = (f"flyteidl.service.{name}Service" for name in ("AsyncAgent", "SyncAgent", "AgentMetadata"))
Resource = agent_pb2.Resource


def agents(_, context):
    def categories(*names):
        return [agent_pb2.TaskCategory(name=name, version=0) for name in names]
    return agent_pb2.ListAgentsResponse(agents=[
        agent_pb2.Agent(name="bad", supported_task_categories=categories("bad", "hung")),
        agent_pb2.Agent(name="bad sync", is_sync=True, supported_task_categories=categories("bad_sync", "hung_sync")),
    ]).SerializeToString()


def how_of(inputs):
    return inputs.literals["how"].scalar.primitive.string_value


def create(request, context):
    request = agent_pb2.CreateTaskRequest.FromString(request)
    how = how_of(request.inputs)
    if how == "create hangs":
        time.sleep(30)
    if how == "create garbage":
        return b"\xff\xff\xff\xff"
    if how == "create large":
        return agent_pb2.CreateTaskResponse(resource_meta=b"x" * 1000000).SerializeToString()
    return agent_pb2.CreateTaskResponse(resource_meta=how.encode()).SerializeToString()


def outputs(value):
    return LiteralMap(literals={"o0": Literal(scalar=Scalar(primitive=Primitive(string_value=value)))})


def deep_info(levels):
    """Lists in each other, each two messages more."""
    info = Struct()
    value = info.fields["deep"]
    for _ in range(levels):
        value = value.list_value.values.add()
    value.string_value = "ground"
    return info


def resource_of(how):
    return {
        "get deep info": Resource(phase=TaskExecution.SUCCEEDED, custom_info=deep_info(46), outputs=outputs("x")),
        "get deep info while running": Resource(phase=TaskExecution.RUNNING, custom_info=deep_info(46)),
        "get rather deep info": Resource(phase=TaskExecution.SUCCEEDED, custom_info=deep_info(40), outputs=outputs("x")),
        "get no resource": None,
        "get no phase": Resource(),
        "get strange phase": Resource(phase=99),
        "get strange state": Resource(state=77),
        "get old success": Resource(state=agent_pb2.SUCCEEDED, outputs=outputs("old")),
        "get running": Resource(phase=TaskExecution.RUNNING),
    }.get(how, Resource(phase=TaskExecution.SUCCEEDED, outputs=outputs(how)))


def get(request, context):
    how = agent_pb2.GetTaskRequest.FromString(request).resource_meta.decode()
    if how == "get hangs":
        time.sleep(30)
    if how == "get garbage":
        return b"\x0a\xff\xff\xff"
    return agent_pb2.GetTaskResponse(resource=resource_of(how)).SerializeToString()


def delete(request, context):
    return b""


def execute(requests, context):
    next(requests)
    how = how_of(agent_pb2.ExecuteTaskSyncRequest.FromString(next(requests)).inputs)
    if how == "hangs":
        time.sleep(30)
    elif how == "no header":
        yield agent_pb2.ExecuteTaskSyncResponse(outputs=outputs("x")).SerializeToString()
    elif how == "running":
        yield header(Resource(phase=TaskExecution.RUNNING))
    elif how == "garbage":
        yield b"\xff\xff"
    elif how != "nothing":
        yield header(resource_of(how))
        time.sleep(30)  # nobody waits for the end


def header(resource):
    part = agent_pb2.ExecuteTaskSyncResponseHeader(resource=resource)
    return agent_pb2.ExecuteTaskSyncResponse(header=part).SerializeToString()


def serve(port, key=None, certificate=None):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1000))  # each that hangs keeps one for 30 s
    server.add_generic_rpc_handlers([
        grpc.method_handlers_generic_handler(METADATA, {"ListAgents": grpc.unary_unary_rpc_method_handler(agents)}),
        grpc.method_handlers_generic_handler(SYNC, {"ExecuteTaskSync": grpc.stream_stream_rpc_method_handler(execute)}),
        grpc.method_handlers_generic_handler(ASYNC, {
            "CreateTask": grpc.unary_unary_rpc_method_handler(create),
            "GetTask": grpc.unary_unary_rpc_method_handler(get),
            "DeleteTask": grpc.unary_unary_rpc_method_handler(delete),
        }),
    ])
    if key:
        with open(key, "rb") as k, open(certificate, "rb") as c:
            credentials = grpc.ssl_server_credentials([(k.read(), c.read())])
        server.add_secure_port(f"127.0.0.1:{port}", credentials)
    else:
        server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    serve(*sys.argv[1:])

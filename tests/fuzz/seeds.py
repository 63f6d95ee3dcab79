#!/usr/bin/env python3
"""Write first inputs for the fuzz targets: `make fuzz-seeds`.

They are the messages that flytekit makes of the workflows of tests/conformance/flows, requests and events around them,
and texts of the unit tests.  Usage: seeds.py DIRECTORY (below it, a directory for each target).
"""
import hashlib
import importlib
import pathlib
import sys
from collections import OrderedDict

import msgpack
from flyteidl.admin import (event_pb2, execution_pb2, launch_plan_pb2, node_execution_pb2, project_attributes_pb2,
                            project_pb2, task_execution_pb2, task_pb2, workflow_pb2)
from flyteidl.core import (compiler_pb2, dynamic_job_pb2, execution_pb2 as phases_pb2, identifier_pb2, literals_pb2,
                           tasks_pb2, types_pb2, workflow_pb2 as core_workflow_pb2)
from flytekit import LaunchPlan
from flytekit.configuration import FastSerializationSettings, ImageConfig, SerializationSettings
from flytekit.core.base_task import PythonTask
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.reference_entity import ReferenceEntity
from flytekit.core.workflow import WorkflowBase
from flytekit.tools.serialize_helpers import _should_register_with_admin
from flytekit.tools.translator import get_serializable
from google.protobuf import json_format, struct_pb2

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLOWS = ROOT / "tests/conformance/flows"
# The letters of tests/fuzz/lib/types.c.
LETTERS = {name: chr(ord("A") + i) for i, name in enumerate([
    "core.LiteralMap", "core.LiteralType", "core.CompiledWorkflowClosure", "core.DynamicJobSpec",
    "admin.TaskCreateRequest", "admin.WorkflowCreateRequest", "admin.LaunchPlanCreateRequest",
    "admin.ExecutionCreateRequest", "admin.WorkflowExecutionEventRequest", "admin.NodeExecutionEventRequest",
    "admin.TaskExecutionEventRequest", "admin.ProjectAttributesUpdateRequest", "admin.ResourceListRequest",
    "admin.Execution", "admin.NodeExecutionList", "admin.TaskExecutionClosure", "admin.Project"])}
LETTERS["google.protobuf.Struct"] = chr(ord("A") + 23)
MOST_BYTES = 1600


class Seeds:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)

    def add(self, target, content):
        content = content.encode() if isinstance(content, str) else content
        if len(content) > MOST_BYTES:
            return
        to = self.directory / target
        to.mkdir(parents=True, exist_ok=True)
        (to / hashlib.sha1(content).hexdigest()).write_bytes(content)

    def message(self, m):
        """For the targets over any type."""
        letter = LETTERS[m.DESCRIPTOR.full_name.removeprefix("flyteidl.")].encode()
        packed = m.SerializeToString(deterministic=True)
        self.add("pb", letter + packed)
        self.add("json_write", letter + packed)
        for proto_names in (True, False):
            text = json_format.MessageToJson(m, preserving_proto_field_name=proto_names, indent=None)
            self.add("json_read", letter + (b"s" if proto_names else b"i") + text.encode())


# ---- what flytekit makes of the flows ----

def settings():
    return SerializationSettings(
        project="p", domain="d", version="v", image_config=ImageConfig.auto(img_name="i:1"),
        fast_serialization_settings=FastSerializationSettings(enabled=True, destination_dir=".",
                                                              distribution_location="file:///code.tar.gz"))


def entities_of(module):
    kinds = (PythonTask, WorkflowBase, LaunchPlan)
    return [e for e in vars(module).values() if isinstance(e, kinds) and not isinstance(e, ReferenceEntity)]


def specs_of(name):
    """The messages that registering a module of flows/ sends."""
    context, specs = FlyteContextManager.current_context(), OrderedDict()
    module = importlib.import_module(name)
    for entity in entities_of(module):
        get_serializable(specs, settings(), entity)
        if isinstance(entity, WorkflowBase):
            get_serializable(specs, settings(), LaunchPlan.get_default_launch_plan(context, entity))
    return [s.to_flyte_idl() for s in specs.values() if _should_register_with_admin(s)]


def references(template):
    """Names of tasks that the nodes of a template run, however deep."""
    names = []

    def visit(message):
        for field, value in message.ListFields():
            if field.name == "reference_id" and value.resource_type == identifier_pb2.TASK:
                names.append(value.name)
            elif field.type == field.TYPE_MESSAGE:
                for m in (value.values() if hasattr(value, "values") and hasattr(value, "get") else
                          value if hasattr(value, "__len__") else [value]):
                    if hasattr(m, "ListFields"):
                        visit(m)
    visit(template)
    return names


def closure_of(workflow, tasks):
    closure = compiler_pb2.CompiledWorkflowClosure()
    closure.primary.template.CopyFrom(workflow.template)
    for sub in workflow.sub_workflows:
        closure.sub_workflows.add().template.CopyFrom(sub)
    needed = [n for w in (workflow.template, *workflow.sub_workflows) for n in references(w)]
    for name in sorted(set(needed)):
        if name in tasks:
            task = closure.tasks.add().template
            task.CopyFrom(tasks[name].template)
            task.container.Clear()
            task.container.image = "i"
            task.container.command.append("c")
    return closure


def dynamic_of(closure):
    spec = dynamic_job_pb2.DynamicJobSpec(min_successes=len(closure.primary.template.nodes))
    spec.nodes.extend(closure.primary.template.nodes)
    spec.outputs.extend(closure.primary.template.outputs)
    spec.tasks.extend(t.template for t in closure.tasks)
    spec.subworkflows.extend(w.template for w in closure.sub_workflows)
    return spec


def flows(seeds):
    modules = [specs_of(name) for name in sorted(f.stem for f in FLOWS.glob("*.py"))]
    tasks = {s.template.id.name: s for specs in modules for s in specs if isinstance(s, task_pb2.TaskSpec)}
    for specs in modules:
        for spec in specs:
            if isinstance(spec, task_pb2.TaskSpec):
                seeds.message(task_pb2.TaskCreateRequest(id=spec.template.id, spec=spec))
            elif isinstance(spec, workflow_pb2.WorkflowSpec):
                seeds.message(workflow_pb2.WorkflowCreateRequest(id=spec.template.id, spec=spec))
                closure = closure_of(spec, tasks)
                seeds.message(closure)
                seeds.add("compiler", b"w" + closure.SerializeToString(deterministic=True))
                dynamic = dynamic_of(closure)
                seeds.message(dynamic)
                seeds.add("compiler", b"d" + dynamic.SerializeToString(deterministic=True))
            elif isinstance(spec, launch_plan_pb2.LaunchPlan):
                seeds.message(launch_plan_pb2.LaunchPlanCreateRequest(id=spec.id, spec=spec.spec))


# ---- requests and events ----

def literals():
    scalar, literal = literals_pb2.Scalar, literals_pb2.Literal
    binary = msgpack.packb({"a": 1, "b": ["x", None, True, 1.5], "c": {"d": b"y"}})
    structure = struct_pb2.Struct()
    structure.update({"a": 1, "b": [1.5, "x", None, True], "c": {"d": "e"}})
    values = {
        "integer": scalar(primitive=literals_pb2.Primitive(integer=-(2 ** 63))),
        "float": scalar(primitive=literals_pb2.Primitive(float_value=0.1)),
        "text": scalar(primitive=literals_pb2.Primitive(string_value="h\u00e9 \U0001f600\n\"")),
        "truth": scalar(primitive=literals_pb2.Primitive(boolean=True)),
        "none": scalar(none_type=literals_pb2.Void()),
        "binary": scalar(binary=literals_pb2.Binary(value=binary, tag="msgpack")),
        "struct": scalar(generic=structure),
        "blob": scalar(blob=literals_pb2.Blob(uri="s3://b/k", metadata=literals_pb2.BlobMetadata(
            type=types_pb2.BlobType(format="csv", dimensionality=1)))),
        "error": scalar(error=types_pb2.Error(failed_node_id="n0", message="m")),
    }
    when = scalar(primitive=literals_pb2.Primitive())
    when.primitive.datetime.FromJsonString("2026-11-21T07:03:00.25Z")
    long = scalar(primitive=literals_pb2.Primitive())
    long.primitive.duration.FromJsonString("-3.000000001s")
    values.update(datetime=when, duration=long)
    ret = {k: literal(scalar=v) for k, v in values.items()}
    ret["list"] = literal(collection=literals_pb2.LiteralCollection(literals=list(ret.values())[:3]))
    ret["map"] = literal(map=literals_pb2.LiteralMap(literals={"k": ret["list"]}))
    ret["elsewhere"] = literal(offloaded_metadata=literals_pb2.LiteralOffloadedMetadata(uri="s3://b/o", size_bytes=5))
    ret["union"] = literal(scalar=scalar(union=literals_pb2.Union(
        value=ret["integer"], type=types_pb2.LiteralType(simple=types_pb2.INTEGER))))
    return ret


def requests(seeds):
    values = literals()
    for k, v in values.items():
        seeds.message(literals_pb2.LiteralMap(literals={k: v}))
    every = literals_pb2.LiteralMap(literals=values)
    run = identifier_pb2.WorkflowExecutionIdentifier(project="p", domain="d", name="e")
    node = identifier_pb2.NodeExecutionIdentifier(node_id="n0", execution_id=run)
    task = identifier_pb2.Identifier(resource_type=identifier_pb2.TASK, project="p", domain="d", name="t", version="v")
    plan = identifier_pb2.Identifier(resource_type=identifier_pb2.LAUNCH_PLAN, project="p", domain="d", name="l")
    seeds.message(execution_pb2.ExecutionCreateRequest(
        project="p", domain="d", name="e", inputs=every,
        spec=execution_pb2.ExecutionSpec(launch_plan=plan, max_parallelism=3, envs={"values": [{"key": "k", "value": "v"}]},
                                         labels={"values": {"a": "b"}}, interruptible={"value": True})))
    event = event_pb2.WorkflowExecutionEventRequest(request_id="r")
    event.event.execution_id.CopyFrom(run)
    event.event.phase = phases_pb2.WorkflowExecution.FAILED
    event.event.error.CopyFrom(phases_pb2.ExecutionError(code="c", message="m", kind=1))
    event.event.occurred_at.FromJsonString("2026-11-21T07:03:00Z")
    seeds.message(event)
    event = event_pb2.NodeExecutionEventRequest(request_id="r")
    event.event.id.CopyFrom(node)
    event.event.output_data.CopyFrom(literals_pb2.LiteralMap(literals={"o0": values["float"]}))
    event.event.phase = phases_pb2.NodeExecution.SUCCEEDED
    seeds.message(event)
    event = event_pb2.TaskExecutionEventRequest(request_id="r")
    event.event.task_id.CopyFrom(task)
    event.event.parent_node_execution_id.CopyFrom(node)
    event.event.phase = phases_pb2.TaskExecution.RUNNING
    event.event.custom_info.update({"pod": "x", "n": [1, 2]})
    event.event.logs.add(uri="http://l", name="n").ttl.FromSeconds(60)
    seeds.message(event)
    update = project_attributes_pb2.ProjectAttributesUpdateRequest()
    update.attributes.project = "p"
    update.attributes.matching_attributes.task_resource_attributes.defaults.cpu = "1"
    seeds.message(update)
    seeds.message(project_pb2.Project(id="p", name="P", domains=[{"id": "d", "name": "D"}],
                                      labels={"values": {"a": "b"}}))
    run_closure = execution_pb2.ExecutionClosure(phase=phases_pb2.WorkflowExecution.RUNNING, workflow_id=task)
    run_closure.created_at.FromSeconds(1)
    seeds.message(execution_pb2.Execution(id=run, closure=run_closure))
    seeds.message(node_execution_pb2.NodeExecutionList(node_executions=[{"id": node, "input_uri": "s3://i"}], token="t"))
    seeds.message(task_execution_pb2.TaskExecutionClosure(output_uri="s3://o", event_version=2))


# ---- texts ----

FILTERS = ["eq(name,x)", "contains(workflow.name,v)+gte(created_at,2026-01-01T00:00:00Z)", "value_in(phase,RUNNING;QUEUED)",
           "lt(duration,1h2m3.5s)+ne(state,0)", "not_like(admin_tag.name,a%)+value_not_in(name, b;c)",
           "lte(updated_at,2026-11-21 08:00:00)", "gt(duration,100)"]
TOKENS = ["", "20", ".MTcgeA", ".MTcgMSAxNzYzNzEyMDAwMDAwMDAw"]
SORTS = ["", "name", "created_at", "phase", "updated_at"]
REQUESTS = [
    "GET /api/v1/projects?limit=3&token=a+b%2Bc&filters=eq(x,y)&sort_by.key=k&sortBy.direction=ASCENDING\n\n",
    "GET /api/v1/tasks/p/d/n%20m%C3%A9+/v?id.name=q&id.org=o\nAccept: application/octet-stream\n\n",
    "GET /api/v1/named_entities/TASK/p/d?limit=1\nX-Fail: 1\n\n",
    "GET /api/v1/task_executions/p/d/n/nid/tp/td/tn/tv/3\nGrpc-Timeout: 3S\n\n",
    "GET /api/v1/data/executions/p/d/n\nX-Fail: 1\nAccept: application/octet-stream\n\n",
    "GET /api/v1/matchable_attributes?resource_type=EXECUTION_QUEUE\n\n",
    "GET /api/v1/signals/p/d/n?limit=2\n\n",
    "POST /api/v1/projects\nContent-Type: application/json\n\n{\"project\":{\"id\":\"x\",\"labels\":{\"values\":{\"a_b\":\"c\"}}}}",
    "POST /api/v1/projects\n\n{\"project\":{\"id\":\"x\",\"unknown\":1}}",
    "PUT /api/v1/projects/a\nContent-Type: application/json\n\n{\"id\":\"b\",\"name\":\"n\"}",
    "DELETE /api/v1/executions/p/d/n?cause=w\n\n",
    "POST /api/v1/executions/p/d/n\nContent-Type: application/x-www-form-urlencoded\nX-HTTP-Method-Override: DELETE\n\ncause=x",
    "POST /api/v1/tasks/p/d?token=u\nContent-Type: application/x-www-form-urlencoded\n\nlimit=2",
    "POST /api/v1/dataproxy/artifact_urn\nContent-Type: application/json\n\n{\"project\":\"p\",\"expires_in\":\"3.5s\"}",
]


def texts(seeds):
    for i, filters in enumerate(FILTERS):
        for j, (token, sort) in enumerate(zip(TOKENS, SORTS)):
            seeds.add("filters", f"{(i + j) % 4}{sort}\n{token}\n{filters}")
    for request in REQUESTS:
        seeds.add("rest", request)
    seeds.add("rest", b"POST /api/v1/projects\nContent-Type: application/octet-stream\n\n\x0a\x03\x0a\x01x")


def attributes(seeds):
    packed = msgpack.packb({"a": [1, {"b": "x", "c": 1.5}], "n": None, "t": True, "big": 2 ** 63, "d": b"y"})
    for path in ("a", "a\n0", "a\n1\nb", "n", "t", "big", "d", "a\n7"):
        seeds.add("attribute", f"{len(path.splitlines())}{path}\nmsgpack\n".encode() + packed)
    values = literals()
    for path in ("0", "k", "k\n1", "a", "c\nd", "b\n0"):
        for v in values.values():
            seeds.add("attribute", f"{len(path.splitlines())}{path}\n".encode() + v.SerializeToString())


def main():
    sys.path.insert(0, str(FLOWS))
    seeds = Seeds(sys.argv[1])
    flows(seeds)
    requests(seeds)
    texts(seeds)
    attributes(seeds)


if __name__ == "__main__":
    main()

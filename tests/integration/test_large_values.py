"""Values of 60 MiB: through tasks and workflows, while journal and bus carry only where they lie."""
import itertools
import os

import grpc
import psycopg
import pytest
from flyteidl.admin import execution_pb2, launch_plan_pb2, task_pb2, workflow_pb2
from flyteidl.core import (execution_pb2 as core_execution, identifier_pb2, interface_pb2, literals_pb2, tasks_pb2,
                           types_pb2, workflow_pb2 as core_workflow)

from stack import wait_for

PROJECT, DOMAIN = "flytesnacks", "development"
MIB = 1 << 20
MOST_MIB = 1024 if os.environ.get("MODE", "debug") != "debug" else 512  # sanitizers keep what is freed for a while
STRING = types_pb2.LiteralType(simple=types_pb2.STRING)
Phase = core_execution.WorkflowExecution
counter = itertools.count()


def identifier(kind, name):
    return identifier_pb2.Identifier(resource_type=kind, project=PROJECT, domain=DOMAIN, name=name, version="v1")


def variables(**types):
    return interface_pb2.VariableMap(variables={k: interface_pb2.Variable(type=t) for k, t in types.items()})


def promise(node, var, *path):
    steps = [types_pb2.PromiseAttribute(string_value=s) if isinstance(s, str) else
             types_pb2.PromiseAttribute(int_value=s) for s in path]
    return literals_pb2.BindingData(promise=types_pb2.OutputReference(node_id=node, var=var, attr_path=steps))


def bind(data, var="x"):
    return literals_pb2.Binding(var=var, binding=data)


def register_task(admin, name, script, type_):
    template = tasks_pb2.TaskTemplate(
        id=identifier(identifier_pb2.TASK, name), type="raw-container",
        interface=interface_pb2.TypedInterface(inputs=variables(x=type_), outputs=variables(x=type_)),
        metadata=tasks_pb2.TaskMetadata(runtime=tasks_pb2.RuntimeMetadata(type=1, version="1.16.0")),
        container=tasks_pb2.Container(image="debian:12", command=["sh", "-c", script]))
    admin.CreateTask(task_pb2.TaskCreateRequest(id=template.id, spec=task_pb2.TaskSpec(template=template)))
    return template.id


def node(id_, task, binding):
    return core_workflow.Node(id=id_, metadata=core_workflow.NodeMetadata(name=id_), inputs=[bind(binding)],
                              task_node=core_workflow.TaskNode(reference_id=task))


def register(admin, name, nodes, outputs, in_type, out_type):
    id_ = identifier(identifier_pb2.WORKFLOW, name)
    template = core_workflow.WorkflowTemplate(
        id=id_, metadata=core_workflow.WorkflowMetadata(), metadata_defaults=core_workflow.WorkflowMetadataDefaults(),
        interface=interface_pb2.TypedInterface(inputs=variables(x=in_type), outputs=variables(x=out_type)),
        nodes=nodes, outputs=[bind(outputs)])
    admin.CreateWorkflow(workflow_pb2.WorkflowCreateRequest(id=id_, spec=workflow_pb2.WorkflowSpec(template=template)))
    plan = identifier(identifier_pb2.LAUNCH_PLAN, name)
    spec = launch_plan_pb2.LaunchPlanSpec(workflow_id=id_, default_inputs=interface_pb2.ParameterMap(
        parameters={"x": interface_pb2.Parameter(var=interface_pb2.Variable(type=in_type), required=True)}))
    admin.CreateLaunchPlan(launch_plan_pb2.LaunchPlanCreateRequest(id=plan, spec=spec))
    return plan


@pytest.fixture(scope="module")
def admin(stack):
    from flyteidl.service.admin_pb2_grpc import AdminServiceStub
    return AdminServiceStub(stack.channel(options=[("grpc.max_send_message_length", -1),
                                                   ("grpc.max_receive_message_length", -1)]))


def execute(admin, plan, value):
    request = execution_pb2.ExecutionCreateRequest(
        project=PROJECT, domain=DOMAIN, name=f"large{next(counter)}{os.getpid()}",
        spec=execution_pb2.ExecutionSpec(launch_plan=plan), inputs=literals_pb2.LiteralMap(literals={"x": value}))
    return admin.CreateExecution(request, timeout=120).id


def finish(admin, id_, seconds=240):
    closure = lambda: admin.GetExecution(execution_pb2.WorkflowExecutionGetRequest(id=id_)).closure
    wait_for(lambda: closure().phase in (Phase.SUCCEEDED, Phase.FAILED), seconds)
    return closure()


def memory(stack, daemon):
    """The most it ever took, in MiB."""
    with open(f"/proc/{stack.pid(daemon)}/status", encoding="ascii") as f:
        [line] = [l for l in f if l.startswith("VmHWM")]
    return int(line.split()[1]) // 1024


def table_size(stack, table):
    with psycopg.connect(stack.dsn) as db:
        return db.execute("SELECT pg_total_relation_size(%s)", (table,)).fetchone()[0]


COPY = "mkdir -p {{.outputPrefix}} && cp {{.input}} {{.outputPrefix}}/outputs.pb"


def test_60_mib(stack, admin):
    copy = register_task(admin, "large.copy", COPY, STRING)
    plan = register(admin, "large.text", [node("n0", copy, promise("", "x")), node("n1", copy, promise("n0", "x"))],
                    promise("n1", "x"), STRING, STRING)
    text = "0123456789abcdef" * (60 * MIB // 16)
    value = literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(string_value=text)))
    tables = ("propeller.journal", "admin.outbox")
    before = [table_size(stack, t) for t in tables]  # what other tests left there and nobody has vacuumed yet
    id_ = execute(admin, plan, value)
    closure = finish(admin, id_)
    assert closure.phase == Phase.SUCCEEDED, closure.error.message
    with open(closure.outputs.uri, "rb") as f:
        assert literals_pb2.LiteralMap.FromString(f.read()).literals["x"] == value
    for table, size in zip(tables, before):
        assert table_size(stack, table) - size < 8 * MIB, table
    print("propeller", memory(stack, "propeller"), "admin", memory(stack, "admin"), "MiB")
    assert memory(stack, "propeller") < MOST_MIB
    assert memory(stack, "admin") < MOST_MIB


def test_part_of_many_literals(stack, admin):
    """Unpacked they would be a gigabyte."""
    item = types_pb2.LiteralType(simple=types_pb2.INTEGER)
    whole = types_pb2.LiteralType(map_value_type=types_pb2.LiteralType(collection_type=item))
    one = register_task(admin, "large.one", COPY, item)
    copy = register_task(admin, "large.copy_map", COPY, whole)
    plan = register(admin, "large.part",
                    [node("n0", copy, promise("", "x")), node("n1", one, promise("n0", "x", "k", 1_999_999))],
                    promise("n1", "x"), whole, item)
    value = literals_pb2.Literal()
    integers = value.map.literals["k"].collection.literals
    for i in range(2_000_000):
        integers.add().scalar.primitive.integer = i + 1_000_000
    before = memory(stack, "propeller")
    id_ = execute(admin, plan, value)
    closure = finish(admin, id_)
    assert closure.phase == Phase.SUCCEEDED, closure.error.message
    result = admin.GetExecutionData(execution_pb2.WorkflowExecutionGetDataRequest(id=id_)).full_outputs
    assert result.literals["x"].scalar.primitive.integer == 2_999_999
    assert memory(stack, "propeller") - before < 256


def test_too_large(stack, admin):
    value = literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(string_value="x" * 65 * MIB)))
    plan = identifier(identifier_pb2.LAUNCH_PLAN, "large.text")
    with pytest.raises(grpc.RpcError) as e:
        execute(admin, plan, value)
    assert e.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_output_too_large(stack, admin):
    script = "mkdir -p {{.outputPrefix}} && truncate -s 65M {{.outputPrefix}}/outputs.pb"
    task = register_task(admin, "large.output", script, STRING)
    plan = register(admin, "large.output", [node("n0", task, promise("", "x"))], promise("n0", "x"), STRING, STRING)
    value = literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(string_value="x")))
    closure = finish(admin, execute(admin, plan, value))
    assert closure.phase == Phase.FAILED
    assert closure.error.code == "OutputSizeExceeded"


def test_a_child_s_inputs_are_too_large(stack, admin):
    """Each value is fine; together admin does not take them: the node fails, instead of asking for ever."""
    two = identifier(identifier_pb2.WORKFLOW, "large.two")
    admin.CreateWorkflow(workflow_pb2.WorkflowCreateRequest(id=two, spec=workflow_pb2.WorkflowSpec(
        template=core_workflow.WorkflowTemplate(
            id=two, metadata=core_workflow.WorkflowMetadata(),
            metadata_defaults=core_workflow.WorkflowMetadataDefaults(),
            interface=interface_pb2.TypedInterface(inputs=variables(x=STRING, y=STRING), outputs=variables(x=STRING)),
            nodes=[node("n0", register_task(admin, "large.copy_two", COPY, STRING), promise("", "x"))],
            outputs=[bind(promise("n0", "x"))]))))
    child = identifier(identifier_pb2.LAUNCH_PLAN, "large.two")
    admin.CreateLaunchPlan(launch_plan_pb2.LaunchPlanCreateRequest(id=child, spec=launch_plan_pb2.LaunchPlanSpec(
        workflow_id=two, default_inputs=interface_pb2.ParameterMap(parameters={
            k: interface_pb2.Parameter(var=interface_pb2.Variable(type=STRING), required=True) for k in "xy"}))))
    launch = core_workflow.Node(
        id="n0", metadata=core_workflow.NodeMetadata(name="n0"), inputs=[bind(promise("", "x"), k) for k in "xy"],
        workflow_node=core_workflow.WorkflowNode(launchplan_ref=child))
    plan = register(admin, "large.launches", [launch], promise("n0", "x"), STRING, STRING)
    value = literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(string_value="x" * 40 * MIB)))
    closure = finish(admin, execute(admin, plan, value))
    assert closure.phase == Phase.FAILED
    assert "failed to launch workflow" in closure.error.message and "larger than max" in closure.error.message

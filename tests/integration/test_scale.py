"""What is large travels by the store, not in rows and messages."""
import os

from flyteidl.admin import common_pb2, node_execution_pb2
from flyteidl.core import dynamic_job_pb2, execution_pb2 as core_execution, literals_pb2, workflow_pb2

from stack import wait_for
from test_crashes import create_fan, create_script_task
from test_executions import create, create_plan, create_task, finish, integer, list_nodes, unique

N = 2000


def node(i, task):
    x = literals_pb2.Binding(var="x", binding=literals_pb2.BindingData(scalar=integer(i).scalar))
    return workflow_pb2.Node(id=f"n{i}", inputs=[x], task_node=workflow_pb2.TaskNode(reference_id=task))


def write_futures(stack, spec):
    """A file for a dynamic task to leave."""
    path = os.path.join(stack.directory, unique("futures"))
    with open(path, "wb") as f:
        f.write(spec.SerializeToString())
    return path


def many_nodes(stack):
    task = create_task(stack.admin)
    template = stack.admin.GetTask(common_pb2.ObjectGetRequest(id=task)).closure.compiled_task.template
    return dynamic_job_pb2.DynamicJobSpec(min_successes=N, tasks=[template], nodes=[node(i, task) for i in range(N)])


def test_large_dynamic_workflow(stack):
    script = f'mkdir -p "$1" && cp {write_futures(stack, many_nodes(stack))} "$1/futures.pb"'
    plan = create_fan(stack.admin, create_script_task(stack.admin, script), 1)
    execution = create(stack.admin, plan)
    assert finish(stack.admin, execution).closure.phase == core_execution.WorkflowExecution.SUCCEEDED
    made = list_nodes(stack.admin, execution, limit=1000, unique_parent_id="n0")
    assert len([n for n in made if n.closure.phase == core_execution.NodeExecution.SUCCEEDED]) == N + 2
    id = [n.id for n in list_nodes(stack.admin, execution) if n.id.node_id == "n0"][0]
    compiled = stack.admin.GetDynamicNodeWorkflow(node_execution_pb2.GetDynamicNodeWorkflowRequest(id=id))
    assert len(compiled.compiled_workflow.primary.template.nodes) == N + 2
    shown = stack.admin.GetNodeExecutionData(node_execution_pb2.NodeExecutionGetDataRequest(id=id)).dynamic_workflow
    assert shown.compiled_workflow == compiled.compiled_workflow
    assert shown.id == compiled.compiled_workflow.primary.template.id
    ((size,),) = stack.sql("SELECT length(dynamic_workflow) FROM admin.node_executions WHERE node_id = 'n0' AND "
                           "dynamic_workflow IS NOT NULL")
    assert size < 1000
    # What the store has lost is missed where it is asked for, and nowhere else.
    path = shown.dynamic_job_spec_uri.replace("futures.pb", "futures_compiled.pb")
    os.remove(path.removeprefix("file://"))
    data = stack.admin.GetNodeExecutionData(node_execution_pb2.NodeExecutionGetDataRequest(id=id))
    assert not data.dynamic_workflow.HasField("compiled_workflow") and data.full_inputs.literals


def test_dynamic_workflow_waits_for_admin(new_stack):
    """To know a launch plan's interface admin must be asked: while it is away, nothing fails and nobody else waits."""
    stack = new_stack(env={"ALULA_PLUGINS_PROCESS_SLOTS": "2"})
    child = create_plan(stack.admin)
    x = literals_pb2.Binding(var="x", binding=literals_pb2.BindingData(scalar=integer(3).scalar))
    made = workflow_pb2.Node(id="n0", inputs=[x], workflow_node=workflow_pb2.WorkflowNode(launchplan_ref=child))
    futures = write_futures(stack, dynamic_job_pb2.DynamicJobSpec(min_successes=1, nodes=[made]))
    runs, go, plain = (os.path.join(stack.directory, name) for name in ("runs", "go", "plain"))
    script = (f'echo run >> {runs}; until [ -e {go} ]; do sleep 0.01; done; mkdir -p "$1" && '
              f'cp {futures} "$1/futures.pb"')
    dynamic = create(stack.admin, create_fan(stack.admin, create_script_task(stack.admin, script), 2))
    wait_for(lambda: os.path.exists(runs) and len(open(runs).readlines()) == 2)
    other = create(stack.admin, create_fan(stack.admin, create_script_task(stack.admin, f"echo $2 >> {plain}"), 2))
    wait_for(lambda: stack.metric("propeller", "propeller:process:waiting") == 2)
    stack.kill_and_hold("admin")
    open(go, "w").close()
    wait_for(lambda: os.path.exists(plain) and len(open(plain).readlines()) == 2)
    wait_for(lambda: "cannot compile a dynamic workflow" in stack.log("propeller"))
    stack.start("admin")
    stack.wait_ready("admin")
    for execution in (dynamic, other):
        assert finish(stack.admin, execution).closure.phase == core_execution.WorkflowExecution.SUCCEEDED
    assert len(open(runs).readlines()) == 2

"""What executions leave behind on the machine and in the store, and that it goes."""
import glob
import os
import subprocess
import sys

from flyteidl.admin import execution_pb2, launch_plan_pb2, workflow_pb2
from flyteidl.core import execution_pb2 as core_execution
from flyteidl.core import identifier_pb2, interface_pb2, types_pb2
from flyteidl.core import workflow_pb2 as core_workflow

from stack import wait_for
from test_crashes import LEASE, Script, create_fan, create_script_task, settle
from test_executions import (INTEGER, create, create_plan, create_task, finish, identifier, integer, literals, promise,
                             text, unique, variables)
from test_recover import recover

Phase = core_execution.WorkflowExecution


def make(path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8"):
        pass


def test_attempt_directories_of_nobody_go(new_stack):
    """At the next start; those of executions that run stay, and what is none of ours."""
    stack = new_stack(env=LEASE)
    script = Script(stack)
    id = create(stack.admin, create_fan(stack.admin, create_script_task(stack.admin, script.text), 3))
    wait_for(lambda: len(script.lines("start")) == 3, what="running attempts")
    attempts = f"{stack.var}/attempts"
    [live] = os.listdir(attempts)
    stack.kill_and_hold("propeller")
    for n in range(1200):  # several batches
        make(f"{attempts}/{10**9 + n}/0-0/work/some/file")
    make(f"{attempts}/of-somebody-else/file")
    make(f"{attempts}/77/3-0/lock")
    shim = subprocess.Popen([sys.executable, "-c", "import fcntl, sys, time; f = open(sys.argv[1]); "
                             "fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); time.sleep(300)",
                             f"{attempts}/77/3-0/lock"], stdout=subprocess.PIPE)
    assert shim.stdout.readline() == b"held\n"
    stack.start("propeller")
    wait_for(lambda: set(os.listdir(attempts)) <= {live, "of-somebody-else", "77"}, what="the sweep")
    assert shim.wait(60) < 0  # its execution is over, and so is it
    assert os.path.exists(f"{attempts}/of-somebody-else/file") and os.path.exists(f"{attempts}/{live}")
    script.let_go()
    assert finish(stack.admin, id, 60).closure.phase == Phase.SUCCEEDED
    assert len(script.lines("start")) == 3 and len(script.lines("end")) == 3
    settle(stack)


def test_the_directory_of_a_task_that_writes_to_the_last_goes(new_stack):
    stack = new_stack()
    admin = stack.admin
    attempts = f"{stack.var}/attempts"
    files = lambda: glob.glob(f"{attempts}/*/*/work/f*")
    script = "trap '' TERM; i=0; while :; do i=$((i+1)); echo $i > f$i; done 2> /dev/null"
    id = create(admin, create_fan(admin, create_script_task(admin, script), 1))
    wait_for(lambda: len(files()) > 1000, what="a task that writes")
    admin.TerminateExecution(execution_pb2.ExecutionTerminateRequest(id=id, cause="enough"))
    finish(admin, id)
    wait_for(lambda: not os.listdir(attempts), what="no directory")


def test_recovery_files_go(new_stack):
    """With the journal of the execution that needed it, also when propeller has started anew meanwhile."""
    stack = new_stack(env=LEASE)
    admin = stack.admin
    files = lambda: glob.glob(f"{stack.store}/**/recovery", recursive=True)
    first = create(admin, create_plan(admin, nodes=3), inputs=literals(x=integer(3)))
    finish(admin, first)
    finish(admin, recover(admin, first))
    wait_for(lambda: not files(), what="the recovery file is gone", interval=0.2)
    # One that runs keeps it.
    script = Script(stack)
    plan = create_fan(admin, create_script_task(admin, script.text), 2)
    aborted = create(admin, plan)
    wait_for(lambda: len(script.lines("start")) == 2, what="running attempts")
    admin.TerminateExecution(execution_pb2.ExecutionTerminateRequest(id=aborted, cause="enough"))
    finish(admin, aborted)
    again = recover(admin, aborted)
    wait_for(lambda: len(script.lines("start")) == 4, what="running attempts")
    assert len(files()) == 1
    stack.kill("propeller")
    assert len(files()) == 1
    script.let_go()
    assert finish(admin, again, 60).closure.phase == Phase.SUCCEEDED
    wait_for(lambda: not files(), what="the recovery file is gone", interval=0.2)


def create_large_steps(admin, script):
    """Ten echoes of `big` and a script: the first record has all that the echoes were given and gave."""
    string = types_pb2.LiteralType(simple=types_pb2.STRING)
    echo = create_task(admin, types={"big": string})
    nodes = [core_workflow.Node(id=f"n{i}", inputs=[promise("big")],
                                task_node=core_workflow.TaskNode(reference_id=echo)) for i in range(10)]
    nodes.append(core_workflow.Node(id="script", inputs=[promise("x")], task_node=core_workflow.TaskNode(
        reference_id=create_script_task(admin, script.text))))
    name = unique("large")
    workflow, plan = identifier(identifier_pb2.WORKFLOW, name), identifier(identifier_pb2.LAUNCH_PLAN, name)
    admin.CreateWorkflow(workflow_pb2.WorkflowCreateRequest(id=workflow, spec=workflow_pb2.WorkflowSpec(
        template=core_workflow.WorkflowTemplate(
            interface=interface_pb2.TypedInterface(inputs=variables(big=string, x=INTEGER)), nodes=nodes))))
    admin.CreateLaunchPlan(launch_plan_pb2.LaunchPlanCreateRequest(
        id=plan, spec=launch_plan_pb2.LaunchPlanSpec(workflow_id=workflow)))
    return plan


def test_files_of_large_records_go(new_stack):
    """With the journal of their execution, also when propeller has started anew since they were written."""
    stack = new_stack(env=LEASE)
    admin = stack.admin
    files = lambda: os.listdir(f"{stack.store}/metadata/propeller/_batches")
    script = Script(stack)
    id = create(admin, create_large_steps(admin, script), inputs=literals(big=text("y" * 60_000), x=integer(1)))
    wait_for(lambda: len(script.lines("start")) == 1, what="a running attempt")
    assert files()
    stack.kill("propeller")
    script.let_go()
    assert finish(admin, id, 60).closure.phase == Phase.SUCCEEDED
    settle(stack)
    wait_for(lambda: not files(), what="no files of records", interval=0.2)

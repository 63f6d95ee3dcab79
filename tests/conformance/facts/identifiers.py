"""Identifiers with a part missing, or of another type; things that are not there. Source: flyteadmin
pkg/manager/impl/validation/*.go, pkg/repositories/errors (v1.16.8)."""
from facts.fact import (BAD, DOMAIN, MISSING, PROJECT, Fact, execution_id, node_id, plan_id, task, task_execution_id, task_id,
                        plan, workflow, workflow_id, without)

KINDS = {"TASK": task_id, "WORKFLOW": workflow_id, "LAUNCH_PLAN": plan_id}
# RPC -> request with an identifier "id" of that kind.
TYPED = {
    "CreateTask": (task(), "TASK"), "CreateWorkflow": (workflow(), "WORKFLOW"), "CreateLaunchPlan": (plan(), "LAUNCH_PLAN"),
    "GetLaunchPlan": ({"id": plan_id()}, "LAUNCH_PLAN"), "GetTask": ({"id": task_id()}, "TASK"),
    "GetWorkflow": ({"id": workflow_id()}, "WORKFLOW"),
    "UpdateLaunchPlan": ({"id": plan_id(), "state": "INACTIVE"}, "LAUNCH_PLAN"),
}


def typed(rpc, request, kind):
    for part in ("project", "domain", "name", "version"):
        yield Fact(rpc, without(request, f"id.{part}"), BAD, f"missing {part}")
    yield Fact(rpc, without(request, "id"), BAD, "missing id")
    other = "DATASET"
    wrong = dict(request, id=dict(request["id"], resource_type=other))
    yield Fact(rpc, wrong, BAD, (f"unexpected resource type {other.lower()} for identifier [",
                                 f"expected {kind.lower()} instead"))


FACTS = [f for rpc, (request, kind) in TYPED.items() for f in typed(rpc, request, kind)]
FACTS += [
    Fact(rpc, {"id": KINDS[kind]("nobody")}, MISSING,
         f'missing entity of type {kind} with identifier project:"{PROJECT}" domain:"{DOMAIN}" name:"nobody" version:"v1"')
    for rpc, kind in (("GetTask", "TASK"), ("GetWorkflow", "WORKFLOW"), ("GetLaunchPlan", "LAUNCH_PLAN"))]
FACTS += [
    Fact("UpdateLaunchPlan", {"id": plan_id("nobody"), "state": state}, MISSING, ("missing entity of type LAUNCH_PLAN",))
    for state in ("ACTIVE", "INACTIVE")]

# Executions.
EXECUTION = {"GetExecution": {}, "GetExecutionData": {}, "UpdateExecution": {"state": "EXECUTION_ACTIVE"},
             "TerminateExecution": {"cause": "no"}, "GetExecutionMetrics": {"depth": 1}}
for rpc, more in EXECUTION.items():
    request = dict(more, id=execution_id())
    FACTS += [Fact(rpc, without(request, f"id.{part}"), BAD, f"missing {part}") for part in ("project", "domain", "name")]
    FACTS += [Fact(rpc, without(request, "id"), BAD, "missing id"),
              Fact(rpc, dict(more, id=execution_id("nobody")), MISSING,
                   f'missing entity of type execution with identifier project:"{PROJECT}" domain:"{DOMAIN}" name:"nobody"')]
FACTS += [Fact(rpc, {"id": execution_id("nobody"), "name": "{u}"}, MISSING, ("missing entity of type execution",))
          for rpc in ("RelaunchExecution", "RecoverExecution")]

# Nodes and tasks of executions.
NODE = f'node_id:"nobody" execution_id:{{project:"{PROJECT}" domain:"{DOMAIN}" name:"x-base"}}'
for rpc in ("GetNodeExecution", "GetNodeExecutionData", "GetDynamicNodeWorkflow"):
    FACTS += [
        Fact(rpc, {"id": node_id("nobody")}, MISSING, f"missing entity of type node execution with identifier {NODE}"),
        Fact(rpc, {"id": node_id("n0", "nobody")}, MISSING, ("missing entity of type node execution with identifier",)),
    ]
for rpc in ("GetTaskExecution", "GetTaskExecutionData"):
    request = {"id": task_execution_id()}
    FACTS += [
        Fact(rpc, {}, BAD, "missing id"),
        Fact(rpc, without(request, "id.node_execution_id"), BAD, "missing node_execution_id"),
        Fact(rpc, without(request, "id.node_execution_id.execution_id"), BAD, "missing execution_id"),
        Fact(rpc, without(request, "id.node_execution_id.node_id"), BAD, "missing node_id"),
        Fact(rpc, without(request, "id.node_execution_id.execution_id.name"), BAD, "missing name"),
        Fact(rpc, without(request, "id.task_id"), BAD, "missing task_id"),
        Fact(rpc, without(request, "id.task_id.version"), BAD, "missing version"),
        Fact(rpc, {"id": task_execution_id(attempt=7)}, MISSING, ("missing entity of type task execution with identifier task_id:{",)),
    ]
FACTS += [
    Fact("ListTaskExecutions", {"limit": 5}, BAD, "missing id"),
    Fact("ListTaskExecutions", {"node_execution_id": without(node_id(), "execution_id"), "limit": 5}, BAD, "missing execution_id"),
    Fact("ListTaskExecutions", {"node_execution_id": without(node_id(), "node_id"), "limit": 5}, BAD, "missing node_id"),
    Fact("ListNodeExecutions", {"limit": 5}, BAD, "missing execution_id"),
    Fact("ListNodeExecutions", {"workflow_execution_id": without(execution_id(), "name"), "limit": 5}, BAD, "missing execution_id"),
    Fact("ListNodeExecutions", {"workflow_execution_id": execution_id(), "unique_parent_id": "nobody", "limit": 5}, MISSING,
         f"missing entity of type node execution with identifier {NODE}"),
    Fact("ListNodeExecutionsForTask", {"limit": 5}, BAD, "missing id"),
    Fact("ListNodeExecutionsForTask", {"task_execution_id": task_execution_id(attempt=7), "limit": 5}, MISSING,
         ("missing entity of type task execution",)),
]

# Names of entities, in lists and alone.
for rpc in ("ListTasks", "ListWorkflows", "ListLaunchPlans", "ListExecutions"):
    FACTS += [Fact(rpc, {"limit": 5}, BAD, "missing id"),
              Fact(rpc, {"id": {"domain": DOMAIN}, "limit": 5}, BAD, "missing project"),
              Fact(rpc, {"id": {"project": PROJECT}, "limit": 5}, BAD, "missing domain")]
for rpc in ("ListTaskIds", "ListWorkflowIds", "ListActiveLaunchPlans"):
    FACTS += [Fact(rpc, {"domain": DOMAIN, "limit": 5}, BAD, "missing project"),
              Fact(rpc, {"project": PROJECT, "limit": 5}, BAD, "missing domain")]
FACTS += [Fact("GetActiveLaunchPlan", {"id": without({"project": PROJECT, "domain": DOMAIN, "name": "x"}, part)}, BAD,
               f"missing {part}") for part in ("project", "domain", "name")]

"""Executions, their nodes and task executions, signals. Source: flyteadmin execution_manager.go, {node,task}_execution_manager.go,
signal_manager.go, validation/{execution,signal}_validator.go (v1.16.8)."""
from facts.fact import (BAD, DOMAIN, EXISTS, MISSING, PROJECT, STRING, WRONG_STATE, Fact, execution, execution_id, integer, literals, node_id,
                        plan_id, say, task_execution_id, task_id, text, without, workflow_id)

OWN = execution_id("{u}")
SCOPE = {"id": {"project": PROJECT, "domain": DOMAIN}, "limit": 50, "sort_by": {"key": "name", "direction": "ASCENDING"}}
NAME_RULE = "does not match regex '^[a-z][a-z\\-0-9]*$'"
SIGNAL = {"signal_id": "word", "execution_id": execution_id()}


def found(*names):
    return {"executions": lambda xs: [x["id"]["name"] for x in xs if x["id"]["name"].startswith("x-")] == list(names)}


FACTS = [
    # Creation.
    Fact("CreateExecution", execution(), gives={"id": OWN}, then=[("GetExecution", {"id": OWN}, {
        "id": OWN, "closure": {"phase": "UNDEFINED", "workflow_id": {"name": "w.base"}},
        "spec": {"launch_plan": {"name": "l.base"}, "metadata": {"mode": "MANUAL"}, "max_parallelism": 25}})]),
    Fact("CreateExecution", execution(""), gives={"id": {"name": lambda n: len(n) == 20 and n[0].isalpha()}}),
    Fact("CreateExecution", execution(), EXISTS, (" already exists",), given=[("CreateExecution", execution())]),
    Fact("CreateExecution", without(execution(), "project"), BAD, "missing project"),
    Fact("CreateExecution", without(execution(), "domain"), BAD, "missing domain"),
    Fact("CreateExecution", dict(execution(), project="nobody"), BAD,
         "failed to validate that project [nobody] and domain [development] are registered, err: [project [nobody] not found]"),
    Fact("CreateExecution", dict(execution(), project="resting"), BAD, "project [resting] is not active"),
    Fact("CreateExecution", dict(execution(), domain="nowhere"), BAD, "domain [nowhere] is unrecognized by system"),
    Fact("CreateExecution", execution("1st"), BAD, f"invalid name format: 1st, {NAME_RULE}"),
    # Of letters, small ones are meant.
    Fact("CreateExecution", execution("Upper-{u}"), gives={"id": {"name": "Upper-{u}"}}),
    Fact("CreateExecution", execution(labels={"values": {"a": "b"}}), then=[
        ("ListExecutions", dict(SCOPE, filters="eq(execution_tag.key,a)+eq(execution_tag.value,b)+eq(name,{u})"), {"executions": [{"id": OWN}]}),
        ("GetExecution", {"id": OWN}, {"spec": {"labels": {"values": {"a": "b"}},
                                                "metadata": {"system_metadata": {"namespace": "facts-development"}}}})]),
    Fact("CreateExecution", execution(notifications={"notifications": [
        {"phases": ["FAILED"], "email": {"recipients_email": ["a@example.org"]}}]}), then=[
            ("GetExecution", {"id": OWN}, {"closure": {"notifications": [{"email": {"recipients_email": ["a@example.org"]}}]}})]),
    Fact("CreateExecution", execution("a_b"), BAD, f"invalid name format: a_b, {NAME_RULE}"),
    Fact("CreateExecution", execution("n" * 64), BAD, f"size of name exceeded length 63 : {'n' * 64}"),
    Fact("CreateExecution", without(execution(), "spec"), BAD, "missing spec"),
    Fact("CreateExecution", dict(execution(), spec={}), BAD, "missing id"),
    Fact("CreateExecution", dict(execution(), spec={"launch_plan": without(plan_id(), "version")}), BAD, "missing version"),
    Fact("CreateExecution", dict(execution(), spec={"launch_plan": workflow_id()}), BAD,
         ("Invalid reference entity resource type [WORKFLOW], only [",)),
    Fact("CreateExecution", execution(plan="nobody"), MISSING, ("missing entity of type LAUNCH_PLAN with identifier",)),
    Fact("CreateExecution", dict(execution(), spec={"launch_plan": task_id("nobody")}), MISSING, ("missing entity of type TASK",)),
    Fact("CreateExecution", execution(labels={"values": {"#": "v"}}), BAD, ("invalid label key [#]",)),
    Fact("CreateExecution", execution(notifications={"notifications": [{"phases": ["FAILED"], "email": {"recipients_email": [""]}}]}),
         BAD, "missing recipient"),
    Fact("CreateExecution", execution(notifications={"notifications": [{"phases": ["FAILED"]}]}), BAD,
         "invalid value for notification type"),
    # Inputs.
    Fact("CreateExecution", execution(inputs={}), BAD, "expected_inputs x missing"),
    Fact("CreateExecution", execution(inputs=literals(y=integer(1))), BAD, "invalid input y"),
    Fact("CreateExecution", execution(inputs=literals(x=text("a"))), BAD,
         ("invalid x input wrong type. Expected simple:INTEGER, but got simple:STRING",)),
    Fact("CreateExecution", execution(inputs=literals(x={})), BAD, "missing valid literal in inputs x"),
    Fact("CreateExecution", execution(plan="l.default", inputs={}), then=[
        ("GetExecutionData", {"id": OWN}, {"full_inputs": literals(x=integer(5))})]),
    Fact("CreateExecution", execution(plan="l.default"), then=[
        ("GetExecutionData", {"id": OWN}, {"full_inputs": literals(x=integer(7))})]),
    Fact("CreateExecution", execution(plan="l.fixed", inputs={}), then=[
        ("GetExecutionData", {"id": OWN}, {"full_inputs": literals(x=integer(3))})]),
    Fact("CreateExecution", execution(plan="l.fixed"), BAD, "invalid input x"),
    # A deprecated place for them.
    Fact("CreateExecution", dict(execution(inputs={}), spec=dict(execution()["spec"], inputs=literals(x=integer(4)))), then=[
             ("GetExecutionData", {"id": OWN}, {"full_inputs": literals(x=integer(4))})]),
    Fact("CreateExecution", dict(execution(), spec={"launch_plan": task_id()}), then=[
        ("GetExecution", {"id": OWN}, {"spec": {"launch_plan": {"resource_type": "TASK", "name": "t.base"}},
                                       "closure": {"workflow_id": {"name": ".flytegen.t.base"}}})]),
    # Again.
    Fact("RelaunchExecution", {"id": execution_id("x-done"), "name": "{u}"}, gives={"id": OWN}, then=[
        ("GetExecution", {"id": OWN}, {"spec": {"metadata": {"mode": "RELAUNCH", "reference_execution": execution_id("x-done")}}}),
        ("GetExecutionData", {"id": OWN}, {"full_inputs": literals(x=integer(7))})]),
    Fact("RelaunchExecution", {"id": execution_id("x-done"), "name": "{u}", "overwrite_cache": True}, then=[
        ("GetExecution", {"id": OWN}, {"spec": {"overwrite_cache": True}})]),
    Fact("RelaunchExecution", {"id": execution_id("x-done"), "name": "x-done"}, EXISTS, (" already exists",)),
    Fact("RelaunchExecution", {"id": execution_id("x-done"), "name": "1st"}, BAD, (NAME_RULE,)),
    Fact("RecoverExecution", {"id": execution_id("x-failed"), "name": "{u}"}, gives={"id": OWN}, then=[
        ("GetExecution", {"id": OWN}, {"spec": {"metadata": {"mode": "RECOVERED", "reference_execution": execution_id("x-failed")}}})]),
    # State.
    Fact("UpdateExecution", {"id": OWN, "state": "EXECUTION_ARCHIVED"}, given=[("CreateExecution", execution())], then=[
        ("GetExecution", {"id": OWN}, {"closure": {"state_change_details": {"state": "EXECUTION_ARCHIVED"}}}),
        ("ListExecutions", dict(SCOPE, filters="eq(name,{u})"), {"executions": []}),
        ("ListExecutions", dict(SCOPE, filters="eq(name,{u})+eq(state,1)"), {"executions": [{"id": OWN}]})]),
    Fact("TerminateExecution", {"id": OWN, "cause": "enough"}, given=[("CreateExecution", execution())], then=[
        ("GetExecution", {"id": OWN}, {"closure": {"phase": "ABORTING", "abort_metadata": {"cause": "enough"}}})]),
    Fact("TerminateExecution", {"id": OWN, "cause": "again"},
         given=[("CreateExecution", execution()), ("TerminateExecution", {"id": OWN, "cause": "enough"})]),
    Fact("TerminateExecution", {"id": execution_id("x-done"), "cause": "late"}, WRONG_STATE,
         ("Cannot abort an already terminated workflow execution",), detail="flyteidl.admin.EventFailureReason"),
    # Reading.
    Fact("GetExecution", {"id": execution_id("x-failed")}, gives={"closure": {"phase": "FAILED", "error": {
        "code": "E", "kind": "USER", "message": "it broke"}}}),
    Fact("GetExecution", {"id": execution_id("x-done")}, gives={"closure": {"phase": "SUCCEEDED", "duration": "4s"}}),
    Fact("GetExecutionData", {"id": execution_id("x-done")}, gives={
        "full_outputs": literals(x=text("out")), "full_inputs": literals(x=integer(7))}),
    Fact("GetExecutionData", {"id": execution_id("x-fresh")}, gives={"full_outputs": {"literals": {}}}),
    Fact("GetExecutionMetrics", {"id": execution_id("x-done"), "depth": 0}, gives={"span": {"workflow_id": execution_id("x-done"),
                                                                                           "spans": []}}),
    Fact("GetExecutionMetrics", {"id": execution_id("x-fresh"), "depth": 3}, gives={"span": {"spans": [
        {"operation_id": "WORKFLOW_SETUP"}]}}),
    # Lists: archived ones only if asked for.
    Fact("ListExecutions", dict(SCOPE, filters="contains(name,x-)"), gives=found("x-base", "x-done", "x-failed", "x-fresh")),
    Fact("ListExecutions", dict(SCOPE, filters="eq(state,1)+contains(name,x-)"), gives=found("x-archived")),
    Fact("ListExecutions", dict(SCOPE, filters="value_in(state,0;1)+contains(name,x-)"),
         gives=found("x-archived", "x-base", "x-done", "x-failed", "x-fresh")),
    Fact("ListExecutions", dict(SCOPE, filters="eq(phase,SUCCEEDED)"), gives=found("x-done")),
    Fact("ListExecutions", dict(SCOPE, filters="value_in(phase,SUCCEEDED;FAILED)"), gives=found("x-done", "x-failed")),
    Fact("ListExecutions", dict(SCOPE, filters="eq(error_code,E)"), gives=found("x-failed")),
    Fact("ListExecutions", dict(SCOPE, filters="eq(error_kind,USER)"), gives=found("x-failed")),
    Fact("ListExecutions", dict(SCOPE, filters="gt(duration,3)"), gives=found("x-done")),
    Fact("ListExecutions", dict(SCOPE, filters="gt(duration,3s)"), gives=found("x-done")),
    Fact("ListExecutions", dict(SCOPE, filters="eq(launch_plan.name,l.base)+contains(name,x-d)"), gives=found("x-done")),
    Fact("ListExecutions", dict(SCOPE, filters="eq(workflow.name,w.base)+eq(name,x-done)"), gives=found("x-done")),
    Fact("ListExecutions", dict(SCOPE, filters="eq(workflow.name,nobody)"), gives={"executions": []}),
    Fact("ListExecutions", dict(SCOPE, filters="eq(admin_tag.name,blue)"), gives=found("x-base")),
    Fact("ListExecutions", dict(SCOPE, filters="eq(execution_name,x-done)+eq(execution_project,facts)"), gives=found("x-done")),
    Fact("ListExecutions", dict(SCOPE, filters="eq(execution.phase,FAILED)+eq(execution.duration,1)"), gives=found("x-failed")),
    Fact("ListExecutions", {"id": {"project": PROJECT, "domain": DOMAIN, "name": "x-done"}, "limit": 5}, gives={"executions": [
        {"id": {"name": "x-done"}, "spec": lambda s: not s.get("inputs")}]}),

    # Nodes.
    Fact("GetNodeExecution", {"id": node_id("n0", "x-done")}, gives={"id": node_id("n0", "x-done"), "closure": {
        "phase": "SUCCEEDED", "duration": "3s", "created_at": "2026-11-21T00:00:01Z", "updated_at": "2026-11-21T00:00:04Z"}}),
    Fact("GetNodeExecution", {"id": node_id("n0", "x-failed")}, gives={"closure": {"phase": "FAILED", "error": {"code": "E"}}}),
    Fact("GetNodeExecutionData", {"id": node_id("n0", "x-done")}, gives={
        "full_outputs": literals(x=text("of the node")), "flyte_urls": {
            "inputs": "flyte://v1/facts/development/x-done/n0/i", "outputs": "flyte://v1/facts/development/x-done/n0/o",
            "deck": "flyte://v1/facts/development/x-done/n0/d"}}),
    Fact("GetNodeExecutionData", {"id": node_id()}, gives={"full_inputs": literals(x=text("in")), "flyte_urls": {"deck": ""}}),
    Fact("GetDynamicNodeWorkflow", {"id": node_id()}, MISSING, "node does not contain dynamic workflow"),
    Fact("ListNodeExecutions", {"workflow_execution_id": execution_id(), "limit": 9,
                                "sort_by": {"key": "node_id", "direction": "ASCENDING"}},
         gives={"node_executions": [{"id": node_id("n0")}, {"id": node_id("n1")}]}),
    Fact("ListNodeExecutions", {"workflow_execution_id": execution_id(), "limit": 9, "filters": "eq(phase,QUEUED)"},
         gives={"node_executions": [{"id": node_id("n1")}]}),
    Fact("ListNodeExecutions", {"workflow_execution_id": execution_id(), "limit": 9, "filters":
                                "eq(execution.phase,RUNNING)+eq(execution_name,x-base)+eq(phase,RUNNING)"},
         gives={"node_executions": [{"id": node_id("n0")}]}),
    Fact("ListNodeExecutions", {"workflow_execution_id": execution_id(), "limit": 9, "filters": "eq(execution.phase,FAILED)"},
         gives={"node_executions": []}),
    Fact("ListNodeExecutions", {"workflow_execution_id": execution_id("nobody"), "limit": 9}, gives={"node_executions": []}),
    Fact("ListNodeExecutionsForTask", {"task_execution_id": task_execution_id(), "limit": 9},
         gives={"node_executions": [{"id": node_id("below")}]}),
    # Task executions.
    Fact("GetTaskExecution", {"id": task_execution_id(execution="x-done")}, gives={"closure": {"phase": "SUCCEEDED", "duration": "1s"},
                                                                                "is_parent": False}),
    Fact("GetTaskExecution", {"id": task_execution_id()}, gives={"closure": {"phase": "RUNNING"}, "is_parent": True}),
    Fact("GetTaskExecutionData", {"id": task_execution_id(execution="x-done")}, gives={
        "full_outputs": literals(x=text("of the task")), "full_inputs": literals(x=text("in")), "flyte_urls": {
            "inputs": "flyte://v1/facts/development/x-done/n0/0/i", "outputs": "flyte://v1/facts/development/x-done/n0/0/o",
            "deck": ""}}),
    Fact("ListTaskExecutions", {"node_execution_id": node_id(), "limit": 9}, gives={"task_executions": [
        {"id": {"retry_attempt": 0, "task_id": {"name": "t.base"}}}], "token": ""}),
    *[Fact("ListTaskExecutions", {"node_execution_id": node_id(), "limit": 9, "filters": filters},
           gives={"task_executions": [{}] * found})
      for filters, found in (("eq(task.type,echo)", 1), ("eq(task.type,other)", 0), ("eq(execution.phase,RUNNING)", 1),
                             ("eq(node_execution.phase,RUNNING)+eq(execution_name,x-base)", 1), ("eq(node_execution.phase,QUEUED)", 0))],
    Fact("ListTaskExecutions", {"node_execution_id": node_id("nobody"), "limit": 9}, gives={"task_executions": []}),
    Fact("ListTaskExecutions", {"node_execution_id": node_id(), "limit": 9, "filters": "eq(retry_attempt,1)"},
         gives={"task_executions": []}),

    # Signals.
    Fact("SignalService.GetOrCreateSignal", {"type": STRING}, BAD, "missing id"),
    Fact("SignalService.GetOrCreateSignal", {"id": without(SIGNAL, "execution_id"), "type": STRING}, BAD, "missing execution_id"),
    Fact("SignalService.GetOrCreateSignal", {"id": without(SIGNAL, "signal_id"), "type": STRING}, BAD, "missing signal_id"),
    Fact("SignalService.GetOrCreateSignal", {"id": SIGNAL}, BAD, "missing type"),
    Fact("SignalService.GetOrCreateSignal", {"id": SIGNAL, "type": {"simple": "INTEGER"}}, gives={"id": SIGNAL, "type": STRING}),
    Fact("SignalService.ListSignals", {"workflow_execution_id": execution_id(), "limit": 9,
                                       "sort_by": {"key": "signal_id", "direction": "ASCENDING"}},
         gives={"signals": [{"id": SIGNAL}, {"id": dict(SIGNAL, signal_id="word2")}]}),
    Fact("SignalService.ListSignals", {"limit": 9}, BAD, "missing execution_id"),
    Fact("SignalService.SetSignal", {"value": text("a")}, BAD, "missing id"),
    Fact("SignalService.SetSignal", {"id": SIGNAL}, BAD, "missing value"),
    Fact("SignalService.SetSignal", {"id": dict(SIGNAL, signal_id="nobody"), "value": text("a")}, BAD,
         ("failed to validate that signal [", "] of execution x-base exists")),
    Fact("SignalService.SetSignal", {"id": SIGNAL, "value": integer(1)}, BAD, ("requested signal value", "is not castable to existing "
                                                                               "signal type [")),
    Fact("SignalService.SetSignal", {"id": SIGNAL, "value": text("yes")}, then=[
        ("SignalService.ListSignals", {"workflow_execution_id": execution_id(), "limit": 9, "filters": "eq(signal_id,word)"},
         {"signals": [{"value": text("yes")}]})]),
]

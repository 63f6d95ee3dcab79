"""Events by API: which phase may follow which. Source: flyteadmin CreateWorkflowEvent, CreateNodeEvent, CreateTaskExecutionEvent of
the managers, validation/{execution,node_execution,task_execution,shared_execution}*.go, transformers (v1.16.8)."""
from facts.fact import (BAD, DOMAIN, EXISTS, MISSING, PROJECT, WRONG_STATE, Fact, at, error, execution, execution_id, literals, node_id, say,
                        say_node, say_task, task_execution_id, text, without)

NEW = ("CreateExecution", execution())
OWN = execution_id("{u}")
ID = f'project:"{PROJECT}" domain:"{DOMAIN}" name:"{{u}}"'
TERMINAL = "flyteidl.admin.EventFailureReason"
ENDED = ("SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT")
NODE_ENDED = ("SUCCEEDED", "FAILED", "ABORTED", "SKIPPED", "TIMED_OUT", "RECOVERED")
LARGE = literals(x=text("x" * (3 << 20)))


def said(*phases):
    return [NEW, *[("CreateWorkflowEvent", say("{u}", p)) for p in phases]]


def said_node(*phases):
    return [NEW, *[("CreateNodeEvent", say_node("{u}", p)) for p in phases]]


def said_task(*phases, version=0):
    return [*said_node("RUNNING"), *[("CreateTaskEvent", say_task("{u}", p, version=version)) for p in phases]]


def phase(name):
    return [("GetExecution", {"id": OWN}, {"closure": {"phase": name}})]


def node_phase(name):
    return [("GetNodeExecution", {"id": node_id("n0", "{u}")}, {"closure": {"phase": name}})]


def task_phase(name):
    return [("GetTaskExecution", {"id": task_execution_id(execution="{u}")}, {"closure": {"phase": name}})]


# Executions.
FACTS = [
    Fact("CreateWorkflowEvent", {}, BAD, "Workflow event handler was called without event"),
    Fact("CreateWorkflowEvent", {"event": {"phase": "RUNNING"}}, BAD,
         "Workflow event handler request event doesn't have an execution id - phase:RUNNING"),
    Fact("CreateWorkflowEvent", say("nobody", "RUNNING"), MISSING,
         f'missing entity of type execution with identifier project:"{PROJECT}" domain:"{DOMAIN}" name:"nobody"'),
    Fact("CreateWorkflowEvent", say("{u}", "SUCCEEDED", output_data=LARGE), "RESOURCE_EXHAUSTED",
         ("Output data size exceeds platform configured threshold (", " > 2097152)"), given=[NEW]),
    Fact("CreateWorkflowEvent", say("{u}", "QUEUED"), given=[NEW], then=phase("QUEUED")),
    Fact("CreateWorkflowEvent", say("{u}", "QUEUED"), given=said("QUEUED"), then=phase("QUEUED")),
    Fact("CreateWorkflowEvent", say("{u}", "RUNNING"), given=said("QUEUED"), then=phase("RUNNING")),
    Fact("CreateWorkflowEvent", say("{u}", "FAILING"), given=said("RUNNING"), then=phase("FAILING")),
    Fact("CreateWorkflowEvent", say("{u}", "RUNNING"), given=said("RUNNING", "FAILING"), then=phase("RUNNING")),
    Fact("CreateWorkflowEvent", say("{u}", "QUEUED"), WRONG_STATE, f"Cannot go from RUNNING to QUEUED for workflow execution {ID}",
         given=said("RUNNING")),
    Fact("CreateWorkflowEvent", say("{u}", "RUNNING"), WRONG_STATE,
         f"Invalid phase change from aborting to RUNNING for workflow execution {ID}", given=said("RUNNING", "ABORTING")),
    Fact("CreateWorkflowEvent", say("{u}", "ABORTED"), given=said("RUNNING", "ABORTING"), then=phase("ABORTED")),
    Fact("CreateWorkflowEvent", say("{u}", "FAILED", error=error()), given=said("RUNNING"), then=[
        ("GetExecution", {"id": OWN}, {"closure": {"phase": "FAILED", "error": {"code": "E", "message": "it broke", "kind": "USER"}}})]),
    Fact("CreateWorkflowEvent", say("{u}", "SUCCEEDED", 9, output_uri="s3://b/o"), given=said("RUNNING"), then=[
        ("GetExecution", {"id": OWN}, {"closure": {"outputs": {"uri": "s3://b/o"}, "duration": "8s", "started_at": at(1),
                                                   "updated_at": at(9)}})]),
    Fact("CreateWorkflowEvent", say("{u}", "SUCCEEDED", output_data=literals(x=text("o"))), given=[NEW], then=[
        ("GetExecutionData", {"id": OWN}, {"full_outputs": literals(x=text("o"))}),
        # It never ran, so it took no time.
        ("GetExecution", {"id": OWN}, {"closure": lambda c: not c.get("duration") and not c.get("started_at")})]),
    Fact("CreateWorkflowEvent", say("{u}", "RUNNING", producer_id="east"), WRONG_STATE,
         "Cluster/producer from event [east] does not match existing workflow execution clusterInDB: []", given=[NEW], detail=TERMINAL),
    Fact("CreateWorkflowEvent", say("{u}", "RUNNING", producer_id="propeller"), given=[NEW], then=phase("RUNNING")),
    Fact("CreateWorkflowEvent", say("{u}", "QUEUED", producer_id="east"), given=[NEW], then=[
        ("GetExecution", {"id": OWN}, {"spec": {"metadata": {"system_metadata": {"execution_cluster": "east"}}}})]),
    Fact("CreateWorkflowEvent", say("{u}", "RUNNING", producer_id="east"),
         given=[NEW, ("CreateWorkflowEvent", say("{u}", "QUEUED", producer_id="east"))], then=phase("RUNNING")),
]
FACTS += [Fact("CreateWorkflowEvent", say("{u}", p), EXISTS, f"This phase {p} was already recorded for workflow execution {ID}",
               given=said(p)) for p in ("RUNNING", "FAILING", "SUCCEEDING", *ENDED)]
FACTS += [Fact("CreateWorkflowEvent", say("{u}", "RUNNING"), WRONG_STATE,
               f"Invalid phase change from {p} to RUNNING for workflow execution {ID}", given=said(p), detail=TERMINAL) for p in ENDED]

# Nodes.
FACTS += [
    Fact("CreateNodeEvent", say_node("nobody", "RUNNING"), MISSING, (
        f'Failed to get existing execution id: [project:"{PROJECT}" domain:"{DOMAIN}" name:"nobody"] with err: missing entity of type '
        "execution",)),
    Fact("CreateNodeEvent", say_node("{u}", "QUEUED"), given=[NEW], then=[
        ("GetNodeExecution", {"id": node_id("n0", "{u}")}, {"closure": {"phase": "QUEUED", "created_at": at(1), "updated_at": at(1)}})]),
    Fact("CreateNodeEvent", say_node("{u}", "RUNNING", 3, reported_at=at(5)), given=said_node("QUEUED"), then=[
        ("GetNodeExecution", {"id": node_id("n0", "{u}")}, {"closure": {"phase": "RUNNING", "created_at": at(1), "started_at": at(3),
                                                                        "updated_at": at(5)}})]),
    # Back is allowed while it has not ended.
    Fact("CreateNodeEvent", say_node("{u}", "QUEUED"), given=said_node("RUNNING"), then=node_phase("QUEUED")),
    Fact("CreateNodeEvent", say_node("{u}", "DYNAMIC_RUNNING", is_parent=True, is_dynamic=True), given=said_node("RUNNING"), then=[
        ("GetNodeExecution", {"id": node_id("n0", "{u}")}, {"metadata": {"is_parent_node": True, "is_dynamic": True}})]),
    # Inputs are what was said first.
    Fact("CreateNodeEvent", say_node("{u}", "RUNNING", input_uri="s3://b/2"),
         given=[NEW, ("CreateNodeEvent", say_node("{u}", "QUEUED", input_uri="s3://b/1"))], then=[
             ("GetNodeExecution", {"id": node_id("n0", "{u}")}, {"input_uri": "s3://b/1"})]),
    Fact("CreateNodeEvent", say_node("{u}", "SUCCEEDED", 9, output_uri="s3://b/o", deck_uri="s3://b/d"), given=said_node("RUNNING"), then=[
        ("GetNodeExecution", {"id": node_id("n0", "{u}")}, {"closure": {"output_uri": "s3://b/o", "deck_uri": "s3://b/d",
                                                                        "duration": "8s"}})]),
    Fact("CreateNodeEvent", say_node("{u}", "FAILED", error=error("S", "SYSTEM")), given=said_node("RUNNING"), then=[
        ("ListNodeExecutions", {"workflow_execution_id": OWN, "limit": 5, "filters": "eq(error_kind,SYSTEM)+eq(error_code,S)"},
         {"node_executions": [{"id": node_id("n0", "{u}")}]})]),
    Fact("CreateNodeEvent", say_node("{u}", "RUNNING", parent_node_metadata={"node_id": "nobody"}), MISSING,
         f'missing entity of type node execution with identifier node_id:"nobody" execution_id:{{{ID}}}', given=[NEW]),
    Fact("CreateNodeEvent", say_node("{u}", "RUNNING", node="n1", parent_node_metadata={"node_id": "n0"}), given=said_node("RUNNING"), then=[
        ("ListNodeExecutions", {"workflow_execution_id": OWN, "unique_parent_id": "n0", "limit": 5},
         {"node_executions": [{"id": node_id("n1", "{u}")}]}),
        ("ListNodeExecutions", {"workflow_execution_id": OWN, "limit": 5}, {"node_executions": [{"id": node_id("n0", "{u}")}]})]),
    Fact("CreateNodeEvent", say_node("{u}", "RUNNING", parent_task_metadata={"id": task_execution_id("nobody", "{u}")}), MISSING,
         ("missing entity of type task execution with identifier task_id:{",), given=[NEW]),
    Fact("CreateNodeEvent", say_node("{u}", "SUCCEEDED", workflow_node_metadata={"execution_id": execution_id("nobody")}), MISSING,
         ("missing entity of type execution", "nobody"), given=said_node("RUNNING")),
    Fact("CreateNodeEvent", say_node("{u}", "SUCCEEDED", workflow_node_metadata={"execution_id": execution_id("x-done")}),
         given=said_node("RUNNING"), then=[("GetNodeExecution", {"id": node_id("n0", "{u}")}, {"closure": {
             "workflow_node_metadata": {"executionId": execution_id("x-done")}}})]),
    Fact("CreateNodeEvent", say_node("{u}", "RUNNING", producer_id="east"), WRONG_STATE, ("Cluster/producer from event [east]",),
         given=[NEW], detail=TERMINAL),
    # An execution that is over has nodes that go on.
    Fact("CreateNodeEvent", say_node("{u}", "SUCCEEDED"), given=[*said_node("RUNNING"), *said("SUCCEEDED")[1:]], then=node_phase("SUCCEEDED")),
]
FACTS += [Fact("CreateNodeEvent", say_node("{u}", p), EXISTS,
               f'This phase was already recorded {p} for node_id:"n0" execution_id:{{{ID}}}', given=said_node(p))
          for p in ("QUEUED", "RUNNING", "FAILING", *NODE_ENDED)]
FACTS += [Fact("CreateNodeEvent", say_node("{u}", "RUNNING"), WRONG_STATE, (
    f"Invalid phase change from {p} to RUNNING for node execution ",), given=said_node(p), detail=TERMINAL) for p in NODE_ENDED]

# Task executions.
EVENT = say_task("x-base", "RUNNING")
FACTS += [
    Fact("CreateTaskEvent", {}, BAD, "missing event"),
    Fact("CreateTaskEvent", without(EVENT, "event.occurred_at"), BAD, "missing occurred_at"),
    Fact("CreateTaskEvent", without(EVENT, "event.parent_node_execution_id"), BAD, "missing node_execution_id"),
    Fact("CreateTaskEvent", without(EVENT, "event.parent_node_execution_id.node_id"), BAD, "missing node_id"),
    Fact("CreateTaskEvent", without(EVENT, "event.task_id"), BAD, "missing task_id"),
    Fact("CreateTaskEvent", without(EVENT, "event.task_id.name"), BAD, "missing name"),
    Fact("CreateTaskEvent", without(EVENT, "event.task_id.resource_type"), BAD, ("unexpected resource type unspecified for identifier",)),
    Fact("CreateTaskEvent", say_task("nobody", "RUNNING"), MISSING, ("missing entity of type execution", "nobody")),
    Fact("CreateTaskEvent", say_task("{u}", "RUNNING"), MISSING,
         f'Failed to get existing node execution id: [node_id:"n0" execution_id:{{{ID}}}] with err: entry not found', given=[NEW]),
    Fact("CreateTaskEvent", say_task("{u}", "SUCCEEDED", output_data=LARGE), "RESOURCE_EXHAUSTED",
         ("Output data size exceeds platform configured threshold (",), given=said_node("RUNNING")),
    Fact("CreateTaskEvent", say_task("{u}", "QUEUED", task_type="spark"), given=said_node("RUNNING"), then=[
        ("GetTaskExecution", {"id": task_execution_id(execution="{u}")}, {"closure": {
            "phase": "QUEUED", "task_type": "spark", "created_at": at(1), "updated_at": at(1)}})]),
    Fact("CreateTaskEvent", say_task("{u}", "RUNNING", 3), given=said_task("QUEUED"), then=[
        ("GetTaskExecution", {"id": task_execution_id(execution="{u}")}, {"closure": {"phase": "RUNNING", "started_at": at(3)}})]),
    Fact("CreateTaskEvent", say_task("{u}", "RUNNING", version=1), given=said_task("RUNNING"), then=task_phase("RUNNING")),
    Fact("CreateTaskEvent", say_task("{u}", "RUNNING"), EXISTS,
         ("have already recorded task execution phase RUNNING (version: 0) for task_id:{",), given=said_task("RUNNING")),
    Fact("CreateTaskEvent", say_task("{u}", "RUNNING", version=1), EXISTS,
         ("have already recorded task execution phase RUNNING (version: 1) for",), given=said_task("RUNNING", version=2)),
    # Versions count within a phase; back is allowed.
    Fact("CreateTaskEvent", say_task("{u}", "QUEUED"), given=said_task("RUNNING", version=2), then=task_phase("QUEUED")),
    Fact("CreateTaskEvent", say_task("{u}", "SUCCEEDED", 6, output_uri="s3://b/o"), given=said_task("RUNNING"), then=[
        ("GetTaskExecution", {"id": task_execution_id(execution="{u}")}, {"closure": {"output_uri": "s3://b/o", "duration": "5s"}})]),
    Fact("CreateTaskEvent", say_task("{u}", "RUNNING", version=1, reason="second"),
         given=[*said_node("RUNNING"), ("CreateTaskEvent", say_task("{u}", "RUNNING", reason="first"))], then=[
             ("GetTaskExecution", {"id": task_execution_id(execution="{u}")}, {"closure": {
                 "reason": "second", "reasons": [{"message": "first"}, {"message": "second"}]}})]),
    Fact("CreateTaskEvent", say_task("{u}", "RUNNING", version=1, reason="first"),
         given=[*said_node("RUNNING"), ("CreateTaskEvent", say_task("{u}", "RUNNING", reason="first"))], then=[
             ("GetTaskExecution", {"id": task_execution_id(execution="{u}")}, {"closure": {"reasons": [{"message": "first"}]}})]),
    Fact("CreateTaskEvent", say_task("{u}", "RUNNING", version=1, logs=[{"uri": "u2", "name": "n2"}]),
         given=[*said_node("RUNNING"), ("CreateTaskEvent", say_task("{u}", "RUNNING", logs=[{"uri": "u1", "name": "n1"}]))], then=[
             ("GetTaskExecution", {"id": task_execution_id(execution="{u}")}, {"closure": {
                 "logs": [{"uri": "u2", "name": "n2"}, {"uri": "u1", "name": "n1"}]}})]),
    Fact("CreateTaskEvent", say_task("{u}", "RUNNING", version=1, custom_info={"a": {"c": 2}}),
         given=[*said_node("RUNNING"), ("CreateTaskEvent", say_task("{u}", "RUNNING", custom_info={"a": {"b": 1}}))], then=[
             ("GetTaskExecution", {"id": task_execution_id(execution="{u}")}, {"closure": {"custom_info": {"a": {"b": 1, "c": 2}}}})]),
    # Another attempt is another execution.
    Fact("CreateTaskEvent", say_task("{u}", "QUEUED", attempt=1), given=said_task("RETRYABLE_FAILED"), then=[
        ("ListTaskExecutions", {"node_execution_id": node_id("n0", "{u}"), "limit": 5,
                                "sort_by": {"key": "retry_attempt", "direction": "ASCENDING"}},
         {"task_executions": [{"closure": {"phase": "RETRYABLE_FAILED"}}, {"closure": {"phase": "QUEUED"}}]})]),
    Fact("CreateTaskEvent", say_task("{u}", "RUNNING"), given=said_task("RETRYABLE_FAILED"), then=task_phase("RUNNING")),
]
FACTS += [Fact("CreateTaskEvent", say_task("{u}", "RUNNING", version=9), WRONG_STATE,
               (f"invalid phase change from {p} to RUNNING for task execution task_id:{{",), given=said_task(p), detail=TERMINAL)
          for p in ("SUCCEEDED", "FAILED", "ABORTED")]

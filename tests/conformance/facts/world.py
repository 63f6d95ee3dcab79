"""What there is before any fact: a project of its own with some of everything. Propeller is away, so nothing moves by itself."""
from facts.fact import (PROJECT, STRING, error, execution, execution_id, literals, plan, plan_id, say, say_node, say_task, task,
                        task_execution_id, text, workflow)

DECK = "{store}/deck.html"

WORLD = [
    ("RegisterProject", {"project": {"id": PROJECT, "name": "Facts"}}),
    ("RegisterProject", {"project": {"id": "resting", "name": "Resting"}}),
    ("UpdateProject", {"id": "resting", "name": "Resting", "state": "ARCHIVED"}),
    ("CreateTask", task("t.base")),
    *[("CreateTask", task("t.many", f"v{i}", type=f"kind-{i}")) for i in range(3)],
    ("CreateWorkflow", workflow("w.base")),
    *[("CreateWorkflow", workflow("w.many", f"v{i}")) for i in range(3)],
    ("CreateLaunchPlan", plan("l.base")),
    *[("CreateLaunchPlan", plan("l.many", f"v{i}")) for i in range(3)],
    ("CreateLaunchPlan", plan("l.active")),
    ("UpdateLaunchPlan", {"id": plan_id("l.active"), "state": "ACTIVE"}),
    ("CreateLaunchPlan", plan("l.fixed", fixed_inputs=literals(x={"scalar": {"primitive": {"integer": "3"}}}))),
    ("CreateLaunchPlan", plan("l.default", default_inputs={"parameters": {"x": {
        "var": {"type": {"simple": "INTEGER"}}, "default": {"scalar": {"primitive": {"integer": "5"}}}}}})),
    ("CreateExecution", execution("x-base", tags=["blue"])),
    ("CreateWorkflowEvent", say("x-base", "RUNNING", 1)),
    ("CreateNodeEvent", say_node("x-base", "RUNNING", 2, input_data=literals(x=text("in")))),
    ("CreateTaskEvent", say_task("x-base", "RUNNING", 3, input_data=literals(x=text("in")))),
    ("CreateNodeEvent", say_node("x-base", "QUEUED", 4, node="n1")),
    ("CreateNodeEvent", say_node("x-base", "QUEUED", 4, node="below", parent_task_metadata={"id": task_execution_id()})),
    ("CreateExecution", execution("x-done")),
    ("CreateNodeEvent", say_node("x-done", "RUNNING", 1, deck_uri=DECK)),
    ("CreateTaskEvent", say_task("x-done", "RUNNING", 2, input_data=literals(x=text("in")))),
    ("CreateTaskEvent", say_task("x-done", "SUCCEEDED", 3, output_data=literals(x=text("of the task")))),
    ("CreateNodeEvent", say_node("x-done", "SUCCEEDED", 4, output_data=literals(x=text("of the node")), deck_uri=DECK)),
    ("CreateWorkflowEvent", say("x-done", "RUNNING", 1)),
    ("CreateWorkflowEvent", say("x-done", "SUCCEEDED", 5, output_data=literals(x=text("out")))),
    ("CreateExecution", execution("x-failed")),
    ("CreateNodeEvent", say_node("x-failed", "FAILED", 1, error=error())),
    ("CreateWorkflowEvent", say("x-failed", "RUNNING", 1)),
    ("CreateWorkflowEvent", say("x-failed", "FAILED", 2, error=error())),
    ("CreateExecution", execution("x-fresh")),
    ("CreateExecution", execution("x-archived")),
    ("UpdateExecution", {"id": execution_id("x-archived"), "state": "EXECUTION_ARCHIVED"}),
    ("SignalService.GetOrCreateSignal", {"id": {"signal_id": "word", "execution_id": execution_id()}, "type": STRING}),
    ("SignalService.GetOrCreateSignal", {"id": {"signal_id": "word2", "execution_id": execution_id()}, "type": STRING}),
]

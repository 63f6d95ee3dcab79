"""How a fact is written.

    Fact("GetTask", {"id": {...}}, "NOT_FOUND", "missing entity ...")          what is refused, with these words
    Fact("ListTasks", {...}, gives={"tasks": [...]})                           what is answered, as far as it is told
    Fact("CreateTask", {...}, given=[("RegisterProject", {...})], then=[("GetTask", {...}, {...})])

Requests are the message's JSON with the names of the .proto files. "{u}" in any text becomes a word of the run's own. A message is
the whole text, or a tuple of parts that stand in it. `given` is done before by gRPC; `then` is asked after, by the fact's own way.
In what is expected a dict names some fields, a list all elements, a function says yes or no."""
import dataclasses
from typing import Any, Optional

PROJECT, DOMAIN = "facts", "development"
BAD, MISSING, EXISTS, WRONG_STATE = "INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION"
INTEGER = {"simple": "INTEGER"}
STRING = {"simple": "STRING"}


@dataclasses.dataclass
class Fact:
    rpc: str
    request: dict
    code: str = "OK"
    message: Any = None
    gives: Optional[dict] = None
    given: tuple = ()
    then: tuple = ()
    detail: str = ""  # the type that the error's details have
    only: str = ""  # "grpc": REST cannot say it

    def __str__(self):
        words = self.message if isinstance(self.message, str) else " ".join(self.message or ())
        return f"{self.rpc}-{self.code}-{words[:40]}"


def ref(name, version="v1", kind=None, project=PROJECT, domain=DOMAIN):
    id = {"project": project, "domain": domain, "name": name, "version": version}
    return dict(id, resource_type=kind) if kind else id


def task_id(name="t.base", version="v1", **more):
    return ref(name, version, "TASK", **more)


def workflow_id(name="w.base", version="v1", **more):
    return ref(name, version, "WORKFLOW", **more)


def plan_id(name="l.base", version="v1", **more):
    return ref(name, version, "LAUNCH_PLAN", **more)


def execution_id(name="x-base", project=PROJECT, domain=DOMAIN):
    return {"project": project, "domain": domain, "name": name}


def node_id(node="n0", execution="x-base"):
    return {"node_id": node, "execution_id": execution_id(execution)}


def task_execution_id(node="n0", execution="x-base", attempt=0, task="t.base"):
    return {"task_id": task_id(task), "node_execution_id": node_id(node, execution), "retry_attempt": attempt}


def integer(n):
    return {"scalar": {"primitive": {"integer": str(n)}}}


def text(s):
    return {"scalar": {"primitive": {"string_value": s}}}


def variables(**types):
    return {"variables": {k: {"type": t} for k, t in types.items()}}


def literals(**values):
    return {"literals": values}


def interface(inputs=None, outputs=None):
    return {"inputs": variables(**({"x": INTEGER} if inputs is None else inputs)),
            "outputs": variables(**({"x": INTEGER} if outputs is None else outputs))}


def task(name="{u}", version="v1", **template):
    """A CreateTaskRequest."""
    made = {"type": "echo", "metadata": {"runtime": {"version": "1", "type": "FLYTE_SDK"}}, "interface": interface()}
    made.update(template)
    return {"id": task_id(name, version), "spec": {"template": {k: v for k, v in made.items() if v is not None}}}


def promise(var="x", node="", source=None):
    return {"var": var, "binding": {"promise": {"node_id": node, "var": source or var}}}


def node(id="n0", task="t.base", **more):
    return dict({"id": id, "metadata": {"name": id}, "inputs": [promise()], "task_node": {"reference_id": task_id(task)}}, **more)


def workflow(name="{u}", version="v1", **template):
    """A CreateWorkflowRequest of one node."""
    made = {"interface": interface(), "nodes": [node()], "outputs": [promise("x", "n0")]}
    made.update(template)
    return {"id": workflow_id(name, version), "spec": {"template": {k: v for k, v in made.items() if v is not None}}}


def plan(name="{u}", version="v1", workflow="w.base", **spec):
    """A CreateLaunchPlanRequest."""
    return {"id": plan_id(name, version), "spec": dict({"workflow_id": workflow_id(workflow)}, **spec)}


def execution(name="{u}", plan="l.base", inputs=None, **spec):
    """An ExecutionCreateRequest."""
    return {"project": PROJECT, "domain": DOMAIN, "name": name, "inputs": literals(x=integer(7)) if inputs is None else inputs,
            "spec": dict({"launch_plan": plan_id(plan), "metadata": {"mode": "MANUAL"}}, **spec)}


def at(second):
    return f"2026-11-21T00:00:{second:02d}Z"


def say(execution, phase, second=1, **more):
    """A WorkflowExecutionEventRequest."""
    return {"request_id": "r", "event": dict({"execution_id": execution_id(execution), "phase": phase, "occurred_at": at(second)},
                                             **more)}


def say_node(execution, phase, second=1, node="n0", **more):
    return {"request_id": "r", "event": dict({"id": node_id(node, execution), "phase": phase, "occurred_at": at(second)}, **more)}


def say_task(execution, phase, second=1, node="n0", version=0, attempt=0, **more):
    return {"request_id": "r", "event": dict(
        {"task_id": task_id(), "parent_node_execution_id": node_id(node, execution), "retry_attempt": attempt, "phase": phase,
         "phase_version": version, "occurred_at": at(second)}, **more)}


def error(code="E", kind="USER", message="it broke"):
    return {"code": code, "kind": kind, "message": message}


def without(request, path):
    """The request without one field, named by a path."""
    first, _, rest = path.partition(".")
    if rest:
        return dict(request, **{first: without(request[first], rest)})
    return {k: v for k, v in request.items() if k != first}

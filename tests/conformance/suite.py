"""Tables of cases: the workflows of a module of flows/ are registered in one go and run side by side.

    CASES = {"name": case(flows.workflow, {"n": 1}, {"o0": 2}, tree="n0 SUCCEEDED")}
    runs = runs_fixture(flows)                                 # a fixture of the test module

    @pytest.mark.parametrize("name", CASES)
    def test_case(runs, name): runs.check(CASES, name)

A tree is a line for each node execution, indented under its parent, without those of start and end nodes; nodes of one
parent are in the order of their names.
"""
import functools
import inspect
import pathlib
import re
import tempfile
import textwrap
import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field

import pytest
from flyteidl.admin.common_pb2 import ObjectGetRequest
from flyteidl.admin.execution_pb2 import WorkflowExecutionGetRequest
from flyteidl.admin.node_execution_pb2 import NodeExecutionListRequest
from flyteidl.core.execution_pb2 import NodeExecution, WorkflowExecution
from flytekit import LaunchPlan
from flytekit.configuration import FastSerializationSettings, ImageConfig, SerializationSettings
from flytekit.core.base_task import PythonTask
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.reference_entity import ReferenceEntity
from flytekit.core.workflow import WorkflowBase
from flytekit.tools.serialize_helpers import _should_register_with_admin
from flytekit.tools.translator import get_serializable

from flyte_client import DOMAIN, FLOWS, PROJECT

SECONDS = 240
USER, SYSTEM, UNKNOWN = 1, 2, 0


@dataclass
class Case:
    workflow: object
    inputs: dict
    outputs: dict = None       # of a case that succeeds
    code: str = None           # of one that fails
    message: tuple = ()        # parts of its message
    kind: int = None
    tree: str = None
    phase: str = "SUCCEEDED"
    sync: bool = False         # flytekit rebuilds the same tree
    options: dict = field(default_factory=dict)  # of FlyteRemote.execute


def case(workflow, inputs=None, outputs=None, tree=None, sync=False, **options):
    """Succeeds, with these outputs if they are given."""
    return Case(workflow, inputs or {}, outputs, tree=tree, sync=sync, options=options)


def fails(workflow, inputs=None, code=None, *message, kind=None, tree=None, sync=False, **options):
    return Case(workflow, inputs or {}, code=code, message=message, kind=kind, tree=tree, phase="FAILED", sync=sync,
                options=options)


def entities_of(module):
    """What `pyflyte register` would find in it: tasks, workflows and launch plans of the module's own and those it uses."""
    kinds = (PythonTask, WorkflowBase, LaunchPlan)
    return [v for _, v in inspect.getmembers(module, lambda v: isinstance(v, kinds)) if not isinstance(v, ReferenceEntity)]


@functools.lru_cache(maxsize=None)
def packaged(client):
    with tempfile.TemporaryDirectory() as directory:
        return client.remote.fast_package(pathlib.Path(FLOWS), output=directory)[1]


def settings_of(client, version, project=PROJECT):
    return SerializationSettings(image_config=ImageConfig.auto_default_image(), project=project, domain=DOMAIN,
                                 version=version, fast_serialization_settings=FastSerializationSettings(
                                     enabled=True, destination_dir=".", distribution_location=packaged(client)))


def register_all(client, module, version=None, leave_out=(), project=PROJECT):
    """As `pyflyte register`; the version."""
    version = version or f"v-{uuid.uuid4().hex[:12]}"
    settings = settings_of(client, version, project)
    specs = OrderedDict()
    with FlyteContextManager.with_context(client.remote.context.with_serialization_settings(settings)) as context:
        for entity in entities_of(module):
            if entity in leave_out:
                continue
            get_serializable(specs, settings, entity)
            if isinstance(entity, WorkflowBase):
                get_serializable(specs, settings, LaunchPlan.get_default_launch_plan(context, entity))
    for spec in filter(_should_register_with_admin, specs.values()):
        client.remote.raw_register(spec, settings, version=version, create_default_launchplan=False)
    return version


# What a run looks like.

def phase_of(closure):
    return WorkflowExecution.Phase.Name(closure.phase)


def node_executions(client, execution_id, parent=""):
    request = NodeExecutionListRequest(workflow_execution_id=execution_id, limit=200, unique_parent_id=parent)
    found = []
    while True:
        page = client.stack.admin.ListNodeExecutions(request)
        found += page.node_executions
        if not page.token:
            return found
        request.token = page.token


def natural(text):
    """n2 before n10."""
    return [(int(s), "") if s.isdigit() else (-1, s) for s in re.split(r"(\d+)", text)]


def name_of(node):
    """As the workflow has it."""
    return node.metadata.spec_node_id or node.id.node_id


def tree_lines(client, execution_id, parent="", indent=""):
    lines = []
    for n in sorted(node_executions(client, execution_id, parent), key=lambda n: natural(name_of(n))):
        if name_of(n) in ("start-node", "end-node"):
            continue
        lines.append(f"{indent}{name_of(n)} {NodeExecution.Phase.Name(n.closure.phase)}")
        if n.metadata.is_parent_node:
            lines += tree_lines(client, execution_id, n.id.node_id, indent + "  ")
    return lines


def tree_of(client, execution_id):
    return "\n".join(tree_lines(client, execution_id))


def synced_lines(executions, indent=""):
    """The tree as flytekit rebuilt it."""
    lines = []
    for n in sorted(executions, key=lambda n: natural(n.metadata.spec_node_id or n.id.node_id)):
        name = n.metadata.spec_node_id or n.id.node_id
        if name in ("start-node", "end-node"):
            continue
        lines.append(f"{indent}{name} {NodeExecution.Phase.Name(n.closure.phase)}")
        lines += synced_lines((n.subworkflow_node_executions or {}).values(), indent + "  ")
    return lines


class Runs:
    """The executions of a test module's cases; all are started when the first is asked for."""

    def __init__(self, client, module, chosen, leave_out=()):
        self.client = client
        self.version = register_all(client, module, leave_out=leave_out)
        self.plans = {}
        self.started = {}
        for name, c in chosen.items():
            self.started[name] = self.start(c.workflow, c.inputs, **c.options)

    def plan(self, entity):
        if entity.name not in self.plans:
            fetch = self.client.remote.fetch_launch_plan
            if isinstance(entity, PythonTask):
                fetch = self.client.remote.fetch_task
            self.plans[entity.name] = fetch(name=entity.name, version=self.version)
        return self.plans[entity.name]

    def start(self, entity, inputs, **options):
        return self.client.remote.execute(self.plan(entity), inputs=inputs,
                                          type_hints=entity.python_interface.inputs, **options)

    def closure(self, execution):
        return self.client.stack.admin.GetExecution(WorkflowExecutionGetRequest(id=execution.id.to_flyte_idl())).closure

    def wait(self, execution, seconds=SECONDS):
        """The closure at its end."""
        end = time.monotonic() + seconds
        while True:
            closure = self.closure(execution)
            if phase_of(closure) in ("SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"):
                return closure
            assert time.monotonic() < end, (f"{execution.id.name} is {phase_of(closure)} after {seconds} s\n" +
                                            tree_of(self.client, execution.id.to_flyte_idl()))
            time.sleep(0.05)

    def outputs(self, execution, workflow):
        remote = self.client.remote
        types = workflow.python_interface.outputs
        done = remote.sync_execution(execution)
        return {k: done.outputs.get(k, t) for k, t in types.items()}

    def tree(self, execution):
        return tree_of(self.client, execution.id.to_flyte_idl())

    def finish(self, c, execution):
        closure = self.wait(execution)
        told = f"{phase_of(closure)} [{closure.error.code}] {closure.error.message}\n{self.tree(execution)}"
        assert phase_of(closure) == c.phase, told
        for part in c.message:
            assert part in closure.error.message, told
        if c.code is not None:
            assert closure.error.code == c.code, told
        if c.kind is not None:
            assert closure.error.kind == c.kind, told
        if c.outputs is not None:
            assert self.outputs(execution, c.workflow) == c.outputs
        if c.tree is not None:
            tree = self.tree(execution)
            assert tree == textwrap.dedent(c.tree).strip("\n"), tree
        if c.sync:
            synced = self.client.remote.sync_execution(execution, sync_nodes=True)
            assert synced_lines(synced.node_executions.values()) == self.tree(execution).splitlines()
        return execution

    def check(self, cases, name):
        return self.finish(cases[name], self.started[name])


def runs_fixture(module, leave_out=(), needs=()):
    """`needs` are fixtures that come first."""
    @pytest.fixture(scope="module")
    def runs(request, client):
        for name in needs:
            request.getfixturevalue(name)
        here = [i for i in request.session.items if i.fspath == request.fspath and hasattr(i, "callspec")]
        names = [i.callspec.params["name"] for i in here if "name" in i.callspec.params]
        chosen = {n: request.module.CASES[n] for n in dict.fromkeys(names)}
        return Runs(client, module, chosen, leave_out)
    return runs

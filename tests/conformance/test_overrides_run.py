"""with_overrides: what a node asks for is what its task gets, and what the API says."""
import overrides
import pytest
from flyteidl.admin.common_pb2 import ObjectGetRequest
from flyteidl.admin.execution_pb2 import WorkflowExecutionGetRequest
from flyteidl.admin.node_execution_pb2 import NodeExecutionGetRequest
from flyteidl.admin.task_execution_pb2 import TaskExecutionGetRequest
from flyteidl.core import tasks_pb2
from flyteidl.event.event_pb2 import TaskExecutionMetadata

from flyte_client import attempts, nodes
from suite import register_all

NAMES = {"names": ["OF_TASK", "OF_BOTH", "OF_POD"]}


@pytest.fixture(scope="module")
def fetch(client):
    version = register_all(client, overrides)
    return lambda name: client.remote.fetch_launch_plan(name=f"overrides.{name}", version=version)


@pytest.fixture
def template(client, fetch, tmp_path):
    """What the task of that workflow was told of itself."""
    def run(name):
        client.succeed(fetch(name), {"directory": str(tmp_path)})
        return tasks_pb2.TaskTemplate.FromString((tmp_path / "template.pb").read_bytes())
    return run


def entries(of):
    return {tasks_pb2.Resources.ResourceName.Name(e.name): e.value for e in of}


# ---- time ----

def test_an_attempt_is_cut_when_the_node_s_time_is_over(client, fetch):
    execution = client.fail(fetch("shorter"), {"seconds": 60.0})
    [attempt] = attempts(execution)
    assert "task execution timeout [1s] expired" in execution.closure.error.message
    assert attempt.closure.duration.total_seconds() < 30
    assert execution.closure.error.code == "RetriesExhausted|TimeoutExpired"


def test_the_task_s_own_time_is_longer(client, fetch):
    assert client.succeed(fetch("no_longer"), {"seconds": 1.5}).outputs["o0"] == 1


def test_items_have_the_node_s_time(client, fetch):
    execution = client.fail(fetch("shorter_items"), {"seconds": [0.0, 60.0]})
    assert "task execution timeout [1s] expired" in execution.closure.error.message


# ---- names, machines ----

def test_node_has_its_names(client, fetch):
    execution = client.succeed(fetch("named"))
    assert set(nodes(execution)) == {"its-id", "n1"}
    own = client.stack.admin.GetNodeExecution(NodeExecutionGetRequest(
        id=nodes(execution)["its-id"].id.to_flyte_idl()))
    assert own.metadata.spec_node_id == "its-id"
    workflow = client.stack.admin.GetExecution(WorkflowExecutionGetRequest(id=execution.id.to_flyte_idl())).closure.workflow_id
    closure = client.stack.admin.GetWorkflow(ObjectGetRequest(id=workflow)).closure
    names = {n.id: n.metadata.name for n in closure.compiled_workflow.primary.template.nodes}
    assert names["its-id"] == "its name" and names["n1"] == "sleeps"


@pytest.mark.parametrize("workflow, node, interruptible", [
    ("machines", "of-the-workflow", True), ("machines", "steady", False),
    ("steady_machines", "of-the-workflow", False), ("steady_machines", "interruptible", True)])
def test_node_decides_on_its_machine(client, fetch, workflow, node, interruptible):
    execution = client.succeed(fetch(workflow))
    [attempt] = attempts(execution, node)
    metadata = client.stack.admin.GetTaskExecution(TaskExecutionGetRequest(id=attempt.id.to_flyte_idl())).closure.metadata
    assert metadata.instance_class == (TaskExecutionMetadata.INTERRUPTIBLE if interruptible
                                       else TaskExecutionMetadata.DEFAULT)


# ---- resources ----

def test_resources_replace_those_of_their_kind(template):
    resources = template("some_resources").container.resources
    assert entries(resources.requests) == {"CPU": "2", "MEMORY": "1Gi"}
    assert entries(resources.limits) == {"CPU": "4", "MEMORY": "4Gi"}


def test_accelerator(template):
    gpu = template("other_accelerator").extended_resources.gpu_accelerator
    assert gpu.device == "nvidia-tesla-a100" and gpu.partition_size == "1g.5gb"


def test_shared_memory(template):
    extended = template("shared_memory").extended_resources
    assert extended.shared_memory.size_limit == "1Gi" and extended.gpu_accelerator.device == "nvidia-tesla-t4"


def test_bad_shared_memory(client, fetch, tmp_path):
    execution = client.fail(fetch("bad_shared_memory"), {"directory": str(tmp_path)})
    assert execution.closure.error.code == "BadTaskSpecification"
    assert "Unable to parse size limit" in execution.closure.error.message
    assert not list(tmp_path.iterdir())


def test_bad_resources(client, fetch, tmp_path):
    """Flyte's admin registers such a workflow, and cannot build it when it is to run."""
    execution = client.fail(fetch("bad_resources"), {"directory": str(tmp_path)})
    assert execution.closure.error.code == "WorkflowBuildError"
    for text in ("node [n0]", "Failed to parse resource as a valid quantity.", '"much"'):
        assert text in execution.closure.error.message
    assert not nodes(execution) and not list(tmp_path.iterdir())


# ---- pods ----

def test_the_pod_s_primary_container_runs(client, fetch):
    execution = client.succeed(fetch("in_pod"), NAMES)
    assert execution.outputs["o0"] == {"OF_TASK": "task", "OF_BOTH": "pod", "OF_POD": "pod"}

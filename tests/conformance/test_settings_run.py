"""Settings of an execution: what is asked for is kept, reaches tasks, and reaches the executions that are launched."""
from flyteidl.admin import execution_pb2
from flytekit import Labels, Annotations
from flytekit.core.options import Options
from flytekit.models.common import RawOutputDataConfig
from flytekit.models.security import Identity, SecurityContext

from flyte_client import log_text, phase


def test_settings(client, shared):
    _, task = client.register_shell('echo "env=$COLOR raw={{.rawOutputDataPrefix}}"')
    prefix = f"{client.stack.store}/elsewhere"
    execution = client.succeed(task, envs={"COLOR": "blue"}, tags=["nice"], overwrite_cache=True, interruptible=True,
                               options=Options(
                                   labels=Labels({"team": "a"}), annotations=Annotations({"note": "b"}),
                                   raw_output_data_config=RawOutputDataConfig(prefix), max_parallelism=7,
                                   security_context=SecurityContext(run_as=Identity(k8s_service_account="robot"))))
    spec = client.stack.admin.GetExecution(
        execution_pb2.WorkflowExecutionGetRequest(id=execution.id.to_flyte_idl())).spec
    assert dict(spec.labels.values) == {"team": "a"} and dict(spec.annotations.values) == {"note": "b"}
    assert spec.raw_output_data_config.output_location_prefix == prefix and spec.max_parallelism == 7
    assert spec.security_context.run_as.k8s_service_account == "robot"
    assert spec.interruptible.value and spec.overwrite_cache and list(spec.tags) == ["nice"]
    assert [(e.key, e.value) for e in spec.envs.values] == [("COLOR", "blue")]
    [node] = [n for k, n in execution.node_executions.items() if k not in ("start-node", "end-node")]
    said = log_text(node.task_executions[0])
    assert "env=blue" in said and f"raw={prefix}/" in said


def test_settings_reach_children(client):
    execution = client.run(client.register("kinds", "two_plans"), {"n": 20}, envs={"COLOR": "red"},
                           overwrite_cache=True, options=Options(labels=Labels({"team": "c"}), max_parallelism=3),
                           seconds=300)
    assert phase(execution) == "SUCCEEDED", execution.closure.error
    child = [n for n in execution.node_executions.values() if n.closure.workflow_node_metadata][0]
    spec = client.stack.admin.GetExecution(execution_pb2.WorkflowExecutionGetRequest(
        id=child.closure.workflow_node_metadata.execution_id.to_flyte_idl())).spec
    assert dict(spec.labels.values) == {"team": "c"} and spec.max_parallelism == 3 and spec.overwrite_cache
    assert [(e.key, e.value) for e in spec.envs.values] == [("COLOR", "red")]
    assert spec.metadata.mode == execution_pb2.ExecutionMetadata.CHILD_WORKFLOW

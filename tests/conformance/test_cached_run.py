"""Caching with flytekit's own tasks: who runs, who does not, and what the API says of it."""
import pytest
from flyteidl.admin import node_execution_pb2, task_execution_pb2
from flyteidl.core import catalog_pb2, execution_pb2, identifier_pb2

from flyte_client import nodes, phase
from stack import wait_for

HIT, POPULATED = catalog_pb2.CACHE_HIT, catalog_pb2.CACHE_POPULATED


@pytest.fixture
def log(tmp_path):
    """A file that the tasks of this test write to; as an input it keeps their keys apart from other tests'."""
    path = tmp_path / "runs"
    path.touch()
    return path


def runs(log):
    return log.read_text(encoding="utf-8").splitlines()


def registered(client, name):
    return client.register("cached", name)


def task_nodes(client, execution):
    """Every node execution as the API has it, by its id; those of the start and the end left out."""
    request = node_execution_pb2.NodeExecutionListRequest(
        workflow_execution_id=execution.id.to_flyte_idl(), limit=1000)
    found = client.stack.admin.ListNodeExecutions(request).node_executions
    return {n.id.node_id: n for n in found if n.id.node_id not in ("start-node", "end-node")}


def only_node(client, execution):
    [n] = task_nodes(client, execution).values()
    return n


def status(client, execution):
    return only_node(client, execution).closure.task_node_metadata.cache_status


def test_the_second_run_is_a_hit(client, log):
    inputs = {"n": 7, "log": str(log)}
    first = client.succeed(registered(client, "squares"), inputs)
    made = only_node(client, first).closure.task_node_metadata
    assert made.cache_status == POPULATED
    assert made.catalog_key.dataset_id.name == "flyte_task-cached.square"
    assert made.catalog_key.dataset_id.resource_type == identifier_pb2.DATASET
    assert made.catalog_key.artifact_tag.name.startswith("flyte_cached-")
    second = client.succeed(registered(client, "squares"), inputs)
    assert second.outputs["o0"] == 49 and runs(log) == ["7"]
    n = only_node(client, second)
    found = n.closure.task_node_metadata
    assert found.cache_status == HIT
    assert found.catalog_key.artifact_tag == made.catalog_key.artifact_tag
    source = found.catalog_key.source_task_execution
    assert source.node_execution_id.execution_id.name == first.id.name
    assert (source.node_execution_id.node_id, source.retry_attempt) == ("n0", 0)
    assert source.task_id.name == "cached.square"
    # Nothing ran, and what was found is where the node's own outputs would be.
    assert not nodes(second)["n0"].task_executions
    assert second.id.name in n.closure.output_uri
    assert nodes(second)["n0"].outputs["o0"] == 49 and nodes(second)["n0"].inputs["n"] == 7


def test_hits_follow_one_another(client, log):
    for _ in range(2):
        assert client.succeed(registered(client, "chained"), {"n": 3, "log": str(log)}).outputs["o0"] == 81
    assert runs(log) == ["3", "9"]


def test_inputs_and_version_are_the_key(client, log):
    inputs = {"n": 4, "log": str(log)}
    client.succeed(registered(client, "squares"), inputs)
    client.succeed(registered(client, "squares"), {"n": 5, "log": str(log)})
    client.succeed(registered(client, "other_version"), inputs)
    assert runs(log) == ["4", "5", "4"]
    assert status(client, client.succeed(registered(client, "other_version"), inputs)) == HIT
    assert status(client, client.succeed(registered(client, "squares"), inputs)) == HIT
    assert len(runs(log)) == 3


def test_a_node_says_otherwise(client, log):
    inputs = {"n": 4, "log": str(log)}
    for _ in range(2):
        execution = client.succeed(registered(client, "not_cached_here"), inputs)
        assert status(client, execution) == catalog_pb2.CACHE_DISABLED
    assert runs(log) == ["4", "4"]
    for _ in range(2):
        client.succeed(registered(client, "cached_here"), inputs)
    assert runs(log) == ["4", "4", "4"]


def test_ignored_inputs(client, log):
    first = client.succeed(registered(client, "labels"), {"n": 1, "label": "a", "log": str(log)})
    second = client.succeed(registered(client, "labels"), {"n": 1, "label": "b", "log": str(log)})
    assert (first.outputs["o0"], second.outputs["o0"], runs(log)) == ("a 1", "a 1", ["a"])


def test_overwrite(client, log):
    inputs = {"n": 6, "log": str(log)}
    client.succeed(registered(client, "squares"), inputs)
    again = client.succeed(registered(client, "squares"), inputs, overwrite_cache=True)
    assert status(client, again) == POPULATED and runs(log) == ["6", "6"]
    third = client.succeed(registered(client, "squares"), inputs)
    source = only_node(client, third).closure.task_node_metadata.catalog_key.source_task_execution
    assert source.node_execution_id.execution_id.name == again.id.name
    assert len(runs(log)) == 2


def test_serialized_tasks_run_once(client, log):
    workflow = registered(client, "slow")
    inputs = {"n": 8, "log": str(log), "seconds": 2.0}
    started = [client.start(workflow, inputs) for _ in range(4)]
    ended = [client.wait(x) for x in started]
    assert [x.outputs["o0"] for x in ended] == [64] * 4
    assert runs(log) == ["8"]
    statuses = [status(client, x) for x in ended]
    assert sorted(statuses) == sorted([POPULATED] + [HIT] * 3)
    [maker] = [x for x, s in zip(ended, statuses) if s == POPULATED]
    assert len(nodes(maker)["n0"].task_executions) == 1


# A reservation that nobody ends does so by itself, 30 s after it was renewed last, which is done every 10 s. An attempt
# begins when its reservation is there; its program, which takes long to start, does not count.
ENDS_BY_ITSELF = 20


def task_executions(client, execution):
    requests = [task_execution_pb2.TaskExecutionListRequest(node_execution_id=n.id, limit=10)
                for n in task_nodes(client, execution).values()]
    return [t for r in requests for t in client.stack.admin.ListTaskExecutions(r).task_executions]


def test_a_reservation_ends_with_a_failure(client, log):
    workflow = registered(client, "second_chance")
    started = [client.start(workflow, {"n": 8, "log": str(log)}) for _ in range(2)]
    failed, succeeded = sorted((client.wait(x) for x in started), key=phase)
    assert (phase(failed), phase(succeeded)) == ("FAILED", "SUCCEEDED")
    assert runs(log) == ["8", "8"]
    [first], [second] = task_executions(client, failed), task_executions(client, succeeded)
    pause = second.closure.created_at.ToDatetime() - first.closure.updated_at.ToDatetime()
    assert pause.total_seconds() < ENDS_BY_ITSELF - 2


def test_a_reservation_ends_with_an_abort(client, log):
    workflow = registered(client, "slow")
    first = client.start(workflow, {"n": 9, "log": str(log), "seconds": 600.0})
    wait_for(lambda: runs(log) == ["9"], 60)
    second = client.start(workflow, {"n": 9, "log": str(log), "seconds": 600.0})
    waiting = lambda: [n for n in task_nodes(client, second).values()
                       if n.closure.phase == execution_pb2.NodeExecution.QUEUED]
    wait_for(waiting, 30)
    client.remote.terminate(second, "enough")
    assert phase(client.wait(second)) == "ABORTED" and runs(log) == ["9"]
    third = client.start(workflow, {"n": 9, "log": str(log), "seconds": 600.0})
    client.remote.terminate(first, "enough")
    wait_for(lambda: task_executions(client, third), ENDS_BY_ITSELF - 2)
    wait_for(lambda: runs(log) == ["9", "9"], 60)
    client.remote.terminate(third, "enough")
    client.wait(third)


def items(client, execution):
    [task] = task_executions(client, execution)
    return sorted(task.closure.metadata.external_resources, key=lambda r: r.index)


def test_items_of_a_map_are_cached_one_by_one(client, log):
    workflow = registered(client, "mapped")
    first = client.succeed(workflow, {"xs": [1, 2, 3, 4], "log": str(log)})
    assert first.outputs["o0"] == [1, 4, 9, 16] and sorted(runs(log)) == ["1", "2", "3", "4"]
    assert [r.cache_status for r in items(client, first)] == [POPULATED] * 4
    second = client.succeed(workflow, {"xs": [1, 5, 3, 6], "log": str(log)})
    assert second.outputs["o0"] == [1, 25, 9, 36] and sorted(runs(log)) == ["1", "2", "3", "4", "5", "6"]
    found = items(client, second)
    assert [r.cache_status for r in found] == [HIT, POPULATED, HIT, POPULATED]
    assert all(r.phase == execution_pb2.TaskExecution.SUCCEEDED for r in found)


def test_dynamic(client, log):
    inputs = {"n": 3, "log": str(log)}
    first = client.succeed(registered(client, "dynamic_flow"), inputs)
    assert first.outputs["o0"] == 3 and runs(log) == ["dynamic", "0", "1", "2"]
    made = task_nodes(client, first)["n0"]
    assert made.closure.task_node_metadata.cache_status == POPULATED and made.metadata.is_dynamic
    second = client.succeed(registered(client, "dynamic_flow"), inputs)
    assert second.outputs["o0"] == 3 and len(runs(log)) == 4
    assert only_node(client, second).closure.task_node_metadata.cache_status == HIT


def test_values_with_a_hash(client, log):
    for _ in range(2):
        assert client.succeed(registered(client, "by_hash"), {"n": 1, "log": str(log)}).outputs["o0"] == 1
    assert runs(log) == ["read"]
    client.succeed(registered(client, "by_hash"), {"n": 2, "log": str(log)})
    assert runs(log) == ["read", "read"]


def test_large_outputs(client, log):
    inputs = {"n": 300000, "log": str(log)}
    for _ in range(2):
        execution = client.succeed(registered(client, "large"), inputs)
        assert execution.outputs["o0"] == "/" * 300000
    assert status(client, execution) == HIT and runs(log) == ["300000"]


def test_without_outputs_nothing_is_kept(client, log):
    for _ in range(2):
        client.succeed(registered(client, "silent"), {"n": 1, "log": str(log)})
    assert runs(log) == ["1", "1"]


def test_datacatalog_that_is_gone_is_a_miss(client, log):
    inputs = {"n": 11, "log": str(log)}
    client.succeed(registered(client, "squares"), inputs)
    client.stack.kill_and_hold("datacatalog")
    try:
        execution = client.succeed(registered(client, "squares"), inputs, seconds=60)
        assert status(client, execution) == catalog_pb2.CACHE_PUT_FAILURE
        assert runs(log) == ["11", "11"]
        client.succeed(registered(client, "slow"), {"n": 1, "log": str(log), "seconds": 0.0}, seconds=60)
    finally:
        client.stack.start("datacatalog")
    assert "datacatalog cannot be reached" in client.stack.log("propeller")

    def hits():
        return status(client, client.succeed(registered(client, "squares"), inputs)) == HIT

    wait_for(hits, 60, interval=1)

"""What operators see of admin: metrics under the names of flyteadmin's dashboards, slow statements in the log."""
import json
import re
import time

import grpc
import psycopg
import pytest
import requests
from flyteidl.admin import common_pb2, event_pb2, launch_plan_pb2, node_execution_pb2, task_execution_pb2
from flyteidl.core import identifier_pb2

from stack import wait_for
from test_drain import waiting
from test_executions import DOMAIN, PROJECT, create, create_plan, finish, get, identifier, list_nodes, unique

# What the published dashboard (deployment/stats/prometheus/flyteadmin-dashboard.json of v1.16.8) queries.
RPCS = """create_execution create_launch_plan create_node_execution_event create_task create_task_execution_event
create_workflow get_active_launch_plan get_execution get_launch_plan get_node_execution get_task get_task_execution
get_workflow list_active_launch_plans list_execution list_launch_plan list_node_execution list_task list_task_execution
list_workflow""".split()
OF_RPC = """success errors codes:OK codes:InvalidArgument codes:AlreadyExists codes:FailedPrecondition
duration_ms_count duration_ms_sum duration_ms{quantile="0.5"} duration_ms{quantile="0.9"} duration_ms{quantile="0.99"}""".split()
TABLES = "executions launch_plans node_executions project task_executions workflows".split()
OF_TABLE = "create delete exists get list list_identifiers update".split()
OF_TIMER = ["_ms_count", "_ms_sum", '_ms{quantile="0.5"}', '_ms{quantile="0.9"}', '_ms{quantile="0.99"}']

LINE = re.compile(r'(?P<series>[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-z_]+="[^"\\]*",?)+\})?) (?P<value>NaN|[+-]?Inf|[-+.e0-9]+)')


def metrics(stack, name="admin"):
    """All series; every line is in Prometheus' format."""
    text = requests.get(f"http://127.0.0.1:{stack.port(name + '.profiler')}/metrics", timeout=20).text
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            match = LINE.fullmatch(line)
            assert match, line
            assert match["series"] not in found, line
            found[match["series"]] = float(match["value"])
    return found


def call_each(admin):
    """Every RPC of the dashboard, once well or once refused; the names of those that were refused."""
    plan = create_plan(admin)
    entity = dict(project=PROJECT, domain=DOMAIN, name=plan.name)
    execution = create(admin, plan)
    finish(admin, execution)
    admin.GetTask(common_pb2.ObjectGetRequest(id=admin.ListTasks(common_pb2.ResourceListRequest(
        id=common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN), limit=1)).tasks[0].id))
    admin.GetWorkflow(common_pb2.ObjectGetRequest(id=get(admin, execution).closure.workflow_id))
    admin.GetLaunchPlan(common_pb2.ObjectGetRequest(id=plan))
    admin.UpdateLaunchPlan(launch_plan_pb2.LaunchPlanUpdateRequest(id=plan, state=launch_plan_pb2.ACTIVE))
    admin.GetActiveLaunchPlan(launch_plan_pb2.ActiveLaunchPlanRequest(id=common_pb2.NamedEntityIdentifier(**entity)))
    admin.ListActiveLaunchPlans(launch_plan_pb2.ActiveLaunchPlanListRequest(project=PROJECT, domain=DOMAIN, limit=1))
    listed = common_pb2.ResourceListRequest(id=common_pb2.NamedEntityIdentifier(**entity), limit=1)
    for call in (admin.ListLaunchPlans, admin.ListExecutions, admin.ListWorkflows):
        call(listed)
    nodes = list_nodes(admin, execution)
    node = [n.id for n in nodes if n.id.node_id == "n0"][0]
    admin.GetNodeExecution(node_execution_pb2.NodeExecutionGetRequest(id=node))
    tasks = admin.ListTaskExecutions(task_execution_pb2.TaskExecutionListRequest(node_execution_id=node, limit=1))
    admin.GetTaskExecution(task_execution_pb2.TaskExecutionGetRequest(id=tasks.task_executions[0].id))
    for call, request in ((admin.CreateNodeEvent, event_pb2.NodeExecutionEventRequest),
                          (admin.CreateTaskEvent, event_pb2.TaskExecutionEventRequest)):
        with pytest.raises(grpc.RpcError) as e:
            call(request())
        assert e.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    return {"create_node_execution_event", "create_task_execution_event"}


def test_the_dashboard_finds_what_it_asks_for(stack):
    before = metrics(stack)
    refused = call_each(stack.admin)
    after = metrics(stack)
    grew = {k for k, v in after.items() if v > before.get(k, 0)}
    for rpc in RPCS:
        series = {kind: f"flyte:admin:admin:{rpc}:{kind}" for kind in OF_RPC}
        assert set(series.values()) <= set(after), rpc
        assert series["duration_ms_count"] in grew and series["duration_ms_sum"] in grew
        assert after[series['duration_ms{quantile="0.99"}']] > 0
        bad = rpc in refused
        assert (series["success"] in grew, series["codes:OK"] in grew) == (not bad, not bad), rpc
        assert (series["errors"] in grew, series["codes:InvalidArgument"] in grew) == (bad, bad), rpc
    for table in TABLES:
        for what in OF_TABLE:
            assert {f"flyte:admin:admin:database:{table}:{what}{t}" for t in OF_TIMER} <= set(after)
    for timed in ("workflows:create", "workflows:list", "launch_plans:create", "launch_plans:get", "launch_plans:update",
                  "launch_plans:list", "executions:create", "executions:get", "executions:list", "executions:update",
                  "node_executions:get", "node_executions:list", "node_executions:update", "task_executions:get",
                  "task_executions:list", "task_executions:update"):
        assert f"flyte:admin:admin:database:{timed}_ms_count" in grew, timed
        assert after[f'flyte:admin:admin:database:{timed}_ms{{quantile="0.99"}}'] > 0
    labels = 'grpc_method="GetExecution",grpc_service="flyteidl.service.AdminService",grpc_type="unary"'
    assert f'grpc_server_handling_seconds_bucket{{{labels},le="10"}}' in grew
    assert after[f'grpc_server_handling_seconds_bucket{{{labels},le="+Inf"}}'] == \
        after[f"grpc_server_handling_seconds_count{{{labels}}}"]


def test_rest_counts_as_grpc_does(stack):
    before = metrics(stack)
    assert stack.http(f"/api/v1/tasks/{PROJECT}/{DOMAIN}/{unique('none')}/v1").status_code == 404
    after = metrics(stack)
    for series in ("errors", "codes:NotFound", "duration_ms_count"):
        name = f"flyte:admin:admin:get_task:{series}"
        assert after[name] == before[name] + 1


def slow_statements(stack):
    lines = [json.loads(x) for x in stack.log("admin").splitlines() if '"slow statement"' in x]
    return {x["statement"]: x for x in lines}


def test_slow_statements_are_logged_by_name(new_stack):
    """A table that is locked makes its statements slow, prepared ones and lists alike; others are not named."""
    stack = new_stack(env={"ALULA_DATABASE_SLOWQUERY": "1s"})
    get_none = common_pb2.ObjectGetRequest(id=identifier(identifier_pb2.TASK, "secret-name"))
    listed = common_pb2.ResourceListRequest(id=common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN), limit=3)
    for call, request, name, of in ((stack.admin.GetTask, get_none, "task_get", "FROM tasks"),
                                    (stack.admin.ListTasks, listed, "ListTasks", "FROM tasks")):
        with psycopg.connect(stack.dsn) as c:
            c.execute("LOCK TABLE admin.tasks IN ACCESS EXCLUSIVE MODE")
            future = call.future(request)
            wait_for(lambda: waiting(stack), what="the statement that waits")
            time.sleep(1.5)
            assert not future.done()
        future.exception(timeout=60)
        slow = wait_for(lambda: slow_statements(stack).get(name), what=f"{name} in the log")
        assert slow["level"] == "warn" and 1_000_000 < slow["took_us"] < 60_000_000 and of in slow["sql"]
        assert "secret-name" not in json.dumps(slow)
        time.sleep(1)  # one line a second
    assert "project_get" not in slow_statements(stack)

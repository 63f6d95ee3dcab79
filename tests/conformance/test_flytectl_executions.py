"""The real flytectl: executions, from the file that describes one to its tree of nodes, its relaunch and its end."""
import ast
import time
import uuid

import pytest
from flyteidl.admin.execution_pb2 import ExecutionState, WorkflowExecutionGetDataRequest, WorkflowExecutionGetRequest
from flyteidl.core.execution_pb2 import WorkflowExecution
from flyteidl.core.identifier_pb2 import WorkflowExecutionIdentifier

from flytectl import need_flytectl
from flyte_client import DOMAIN

need_flytectl()

SECONDS = 120


@pytest.fixture(scope="module")
def runs(flows):
    return Runs(flows)


class Runs:
    """Executions that flytectl makes."""

    def __init__(self, flows):
        self.flows, self.ctl, self.admin = flows, flows.ctl, flows.ctl.stack.admin

    def id(self, name):
        return WorkflowExecutionIdentifier(project=self.flows.project, domain=DOMAIN, name=name)

    def get(self, name):
        return self.admin.GetExecution(WorkflowExecutionGetRequest(id=self.id(name)))

    def outputs(self, name):
        return self.admin.GetExecutionData(WorkflowExecutionGetDataRequest(id=self.id(name))).full_outputs.literals

    def phase(self, name):
        return WorkflowExecution.Phase.Name(self.get(name).closure.phase)

    def wait(self, name, *phases):
        end = time.monotonic() + SECONDS
        while self.phase(name) not in phases:
            assert time.monotonic() < end, f"{name} is {self.phase(name)}"
            time.sleep(0.05)
        return self.get(name)

    def described(self, kind, entity, *args, **changes):
        """The file that flytectl writes for it, changed; its path."""
        path = f"exec-{uuid.uuid4().hex}.yaml"
        self.flows("get", kind, entity, "--execFile", path, *(args or ["--version", "v1"]))
        return self.ctl.file(path, {**self.ctl.read(path), **changes})

    def create(self, *args, **kwargs):
        """Made with these arguments and a name of its own; the name."""
        name = f"run-{uuid.uuid4().hex[:8]}"
        printed = self.flows("create", "execution", *args, name, **kwargs)
        assert printed.split() == ["execution", "identifier", f'project:"{self.flows.project}"', f'domain:"{DOMAIN}"',
                                   f'name:"{name}"']
        return name

    def run(self, *args, phase="SUCCEEDED"):
        name = self.create(*args)
        self.wait(name, phase)
        return name


@pytest.fixture(scope="module")
def echoed(runs):
    """A succeeded execution of ctl.echoes."""
    return runs.run("--execFile", runs.described("launchplan", "ctl.echoes", inputs={"n": 42}))


@pytest.fixture(scope="module")
def failed(runs, tmp_path_factory):
    """A failed execution of ctl.fragile, and the path that it misses."""
    path = tmp_path_factory.mktemp("fragile") / "path"
    described = runs.described("launchplan", "ctl.fragile", inputs={"path": str(path), "n": 21})
    return runs.run("--execFile", described, phase="FAILED"), path


# Creating.

def test_a_workflow_runs(runs, echoed):
    assert runs.outputs(echoed)["o0"].scalar.primitive.integer == 42
    spec = runs.get(echoed).spec
    assert (spec.launch_plan.name, spec.launch_plan.version) == ("ctl.echoes", "v1")


def test_defaults_are_taken(runs):
    name = runs.run("--execFile", runs.described("launchplan", "ctl.echoes_plan", "--latest"))
    assert runs.outputs(name)["o0"].scalar.primitive.integer == 5


def test_a_task_runs_with_settings_of_the_file(runs):
    described = runs.described("task", "ctl.greet", inputs={"name": "du", "times": 2}, envs={"COLOUR": "red"},
                               kubeServiceAcct="bird", iamRoleARN="arn:aws:iam::1:role/bird")
    name = runs.run("--execFile", described)
    assert runs.outputs(name)["o0"].scalar.primitive.string_value == "hello du, hello du"
    spec = runs.get(name).spec
    assert {e.key: e.value for e in spec.envs.values} == {"COLOUR": "red"}
    assert (spec.security_context.run_as.k8s_service_account, spec.security_context.run_as.iam_role) == (
        "bird", "arn:aws:iam::1:role/bird")
    assert spec.launch_plan.name == "ctl.greet"


def test_values_of_every_type(runs, tmp_path):
    """flytectl makes them from YAML by the types that Alula tells; the task prints what arrives."""
    (tmp_path / "file").write_text("text")
    cases = {"simple": ({"i": 7, "f": 1, "s": "5", "b": True, "t": "2024-05-06T07:08:09Z", "d": "90s", "c": "green"},
                        [7, 1.0, "5", True, "2024-05-06T07:08:09+00:00", 90.0, "green"]),
             "nested": ({"li": [1, 2], "ll": [["a", "b"], []], "m": {"x": 1.5}, "p": {"x": 5, "label": "six"},
                         "g": {"k": ["v"]}, "o": 4, "u": "word", "a": str(tmp_path / "file")},
                        [[1, 2], [["a", "b"], []], {"x": 1.5}, 5, "six", {"k": ["v"]}, 4, "word", "text"])}
    names = {task: runs.create("--execFile", runs.described("task", f"ctl.{task}", inputs=inputs))
             for task, (inputs, _) in cases.items()}
    for task, name in names.items():
        runs.wait(name, "SUCCEEDED")
        assert ast.literal_eval(runs.outputs(name)["o0"].scalar.primitive.string_value) == cases[task][1]


def test_where_it_shall_run_is_kept(runs):
    """Pools and clusters say nothing to Alula; they stay in the execution."""
    described = runs.described("launchplan", "ctl.echoes", targetExecutionCluster="east")
    spec = runs.get(runs.create("--execFile", described, "--clusterPool", "pool")).spec
    assert (spec.cluster_assignment.cluster_pool_name, spec.execution_cluster_label.value) == ("pool", "east")


def test_cache_may_be_overwritten(runs):
    def described(**changes):
        return runs.described("task", "ctl.greet", inputs={"name": "again", "times": 1}, **changes)

    runs.run("--execFile", described())
    again = runs.run("--execFile", described())
    overwritten = runs.run("--execFile", described(overwriteCache=True))
    statuses = []
    for name in (again, overwritten):
        nodes = runs.flows.json("get", "execution", name, "--details")
        statuses += [n["node_exec"]["closure"]["taskNodeMetadata"]["cacheStatus"] for n in nodes
                     if "taskNodeMetadata" in n["node_exec"]["closure"]]
    assert statuses == ["CACHE_HIT", "CACHE_POPULATED"]
    assert runs.get(overwritten).spec.overwrite_cache


def test_another_target(runs):
    """Registered here, run there."""
    described = runs.described("launchplan", "ctl.echoes", inputs={"n": 1})
    name = f"run-{uuid.uuid4().hex[:8]}"
    printed = runs.flows("create", "execution", "--execFile", described, "--targetProject", "flytesnacks",
                         "--targetDomain", "staging", name)
    assert f'project:"flytesnacks" domain:"staging" name:"{name}"' in " ".join(printed.split())
    found = runs.admin.GetExecution(WorkflowExecutionGetRequest(
        id=WorkflowExecutionIdentifier(project="flytesnacks", domain="staging", name=name)))
    assert found.spec.launch_plan.project == runs.flows.project


def test_a_name_is_made_when_none_is_given(runs):
    printed = runs.flows("create", "execution", "--execFile", runs.described("launchplan", "ctl.echoes", inputs={"n": 1}))
    name = printed.split('name:"')[1].split('"')[0]
    assert name.startswith("a") and len(name) == 20
    runs.wait(name, "SUCCEEDED")


def test_a_dry_run_makes_nothing(runs):
    runs.flows("create", "execution", "--execFile", runs.described("launchplan", "ctl.echoes"), "--dryRun", "not-made")
    assert "code = NotFound" in runs.flows.fails("get", "execution", "not-made")


@pytest.mark.parametrize("changes, message", [
    ({"inputs": {}}, "code = InvalidArgument desc = expected_inputs "),
    ({"workflow": "absent"}, "code = NotFound desc = missing entity of type LAUNCH_PLAN"),
    ({"version": "v9"}, "code = NotFound desc = missing entity of type LAUNCH_PLAN"),
    ({"workflow": ""}, "either task or workflow name should be specified"),
    ({"inputs": {"path": "a", "n": "no number"}}, "failed to parse integer value"),
], ids=["no inputs", "no workflow", "no version", "neither", "wrong type"])
def test_bad_descriptions(runs, changes, message):
    described = runs.described("launchplan", "ctl.fragile", **changes)
    assert message in runs.flows.fails("create", "execution", "--execFile", described)


def test_a_name_is_given_once(runs, echoed):
    described = runs.described("launchplan", "ctl.echoes")
    assert "code = AlreadyExists" in runs.flows.fails("create", "execution", "--execFile", described, echoed)


# Relaunching and recovering.

def test_relaunch(runs, echoed):
    name = runs.run("--relaunch", echoed)
    metadata = runs.get(name).spec.metadata
    assert metadata.mode == metadata.RELAUNCH and metadata.reference_execution.name == echoed
    assert runs.outputs(name)["o0"].scalar.primitive.integer == 42


def test_recover(runs, failed):
    name, path = failed
    assert runs.get(name).closure.error.message.find(f"there is no {path}") > 0
    path.write_text("")
    recovered = runs.run("--recover", name)
    metadata = runs.get(recovered).spec.metadata
    assert metadata.mode == metadata.RECOVERED and metadata.reference_execution.name == name
    assert runs.outputs(recovered)["o0"].scalar.primitive.integer == 42
    phases = {n["node_exec"]["id"]["nodeId"]: n["node_exec"]["closure"]["phase"]
              for n in runs.flows.json("get", "execution", recovered, "--details")}
    assert phases["n0"] == "RECOVERED" and phases["n1"] == "SUCCEEDED"


@pytest.mark.parametrize("how", ["--relaunch", "--recover"])
def test_neither_of_what_is_not_there(runs, how):
    assert "code = NotFound" in runs.flows.fails("create", "execution", how, "absent", "anew")


# Ending.

def test_terminate(runs):
    described = runs.described("task", "ctl.waits", inputs={"seconds": 600})
    first, second = runs.create("--execFile", described), runs.create("--execFile", described)
    runs.flows("delete", "execution", first, "--dryRun")
    assert runs.phase(first) not in ("ABORTED", "ABORTING")
    runs.flows("delete", "execution", first, second)
    for name in (first, second):
        assert runs.wait(name, "ABORTED").closure.HasField("abort_metadata")
    [row] = runs.flows.table("get", "execution", first)
    assert row["PHASE"] == "ABORTED"


def test_terminating_what_is_not_there(runs):
    assert "code = NotFound desc = missing entity of type execution" in runs.flows.fails("delete", "execution", "absent")


# Reading.

def test_a_table_row(runs, echoed, failed):
    [row] = runs.flows.table("get", "execution", echoed)
    closure = runs.get(echoed).closure
    assert (row["NAME"], row["LAUNCH PLAN NAME"], row["VERSION"], row["TYPE"], row["PHASE"]) == (
        echoed, "ctl.echoes", "v1", "LAUNCH_PLAN", "SUCCEEDED")
    assert row["STARTED"][:26] == closure.started_at.ToJsonString()[:26]
    assert float(row["ELAPSED TIME"].rstrip("s")) == closure.duration.ToTimedelta().total_seconds()
    [row] = runs.flows.table("get", "execution", failed[0])
    assert row["PHASE"] == "FAILED" and row["ERROR DATA (TRUNC)"]


def test_yaml_and_json_are_the_same(runs, echoed):
    found = runs.flows.json("get", "execution", echoed)
    assert runs.flows.yaml("get", "execution", echoed) == found
    assert found["id"] == {"project": runs.flows.project, "domain": DOMAIN, "name": echoed}
    assert found["closure"]["workflowId"]["name"] == "ctl.echoes"
    assert found["closure"]["phase"] == "SUCCEEDED"


def test_details_are_a_tree(runs, echoed):
    printed = runs.flows("get", "execution", echoed, "--details")
    lines = [line.strip("│├└─ ") for line in printed.splitlines()]
    assert [line.split(" - ")[:2] for line in lines if line.startswith(("start-node", "n0 ", "n1 "))] == [
        ["start-node", "SUCCEEDED"], ["n0", "SUCCEEDED"], ["n1", "SUCCEEDED"]]
    assert lines.count("o0: 42") == 3


def test_details_of_a_task(runs, failed):
    name, _ = failed
    details = {n["node_exec"]["id"]["nodeId"]: n for n in runs.flows.json("get", "execution", name, "--details")}
    assert details["n0"]["outputs"] == {"o0": 21}
    assert details["n1"]["inputs"]["n"] == 21
    assert details["n1"]["node_exec"]["closure"]["phase"] == "FAILED"
    [attempt] = details["n1"]["task_execs"]
    assert attempt["id"]["taskId"]["name"] == "ctl.needs"
    assert attempt["closure"]["phase"] == "FAILED" and "there is no" in attempt["closure"]["error"]["message"]
    assert attempt["closure"]["taskType"] == "python-task"
    assert runs.flows.yaml("get", "execution", name, "--details") == list(details.values())


def test_one_node(runs, failed):
    [node] = runs.flows.yaml("get", "execution", failed[0], "--nodeID", "n1")
    assert node["node_exec"]["id"]["nodeId"] == "n1" and len(node["task_execs"]) == 1


def test_details_of_nested_workflows(runs):
    name = runs.run("--execFile", runs.described("launchplan", "ctl.shapes", inputs={"n": 4}))
    details = {n["node_exec"]["id"]["nodeId"]: n for n in runs.flows.json("get", "execution", name, "--details")}
    assert set(details) == {"start-node", "n0", "n1", "end-node"}
    children = {n["node_exec"]["metadata"].get("specNodeId"): n for n in details["n1"]["child_nodes"]}
    assert {"n0", "n1"} <= set(children)
    assert children["n1"]["outputs"] == {"o0": 4}
    [branch] = [n for n in details["n0"]["child_nodes"] if n["node_exec"]["closure"]["phase"] == "SUCCEEDED"]
    assert branch["node_exec"]["metadata"]["isParentNode"]


def test_details_of_a_dynamic_task(runs):
    name = runs.run("--execFile", runs.described("task", "ctl.grows", inputs={"n": 4}))
    [node] = [n for n in runs.flows.json("get", "execution", name, "--details") if n.get("child_nodes")]
    children = {n["node_exec"]["metadata"]["specNodeId"]: n for n in node["child_nodes"]}
    assert children["dn1"]["inputs"] == {"v": 4} and children["dn1"]["outputs"] == {"o0": 4}


def test_details_of_a_launched_execution(runs):
    name = runs.run("--execFile", runs.described("launchplan", "ctl.launches", inputs={"n": 4}))
    details = {n["node_exec"]["id"]["nodeId"]: n for n in runs.flows.json("get", "execution", name, "--details")}
    child = details["n0"]["node_exec"]["closure"]["workflowNodeMetadata"]["executionId"]["name"]
    found = runs.flows.json("get", "execution", child)
    assert found["spec"]["metadata"]["mode"] == "CHILD_WORKFLOW"
    assert found["spec"]["metadata"]["parentNodeExecution"]["nodeId"] == "n0"
    assert found["closure"]["phase"] == "SUCCEEDED"


def test_details_of_a_map(runs, client):
    """Its items are external resources of one task execution."""
    name = client.succeed(client.register("maps", "void_items"), {"xs": [1, 2]}).id.name
    printed = runs.ctl("get", "execution", name, "--details")
    assert printed.count("Ext Resource :") >= 2


def test_an_execution_that_is_not_there(runs):
    assert "code = NotFound desc = missing entity of type execution" in runs.flows.fails("get", "execution", "absent")


# Lists.

class Listed:
    def __init__(self, runs):
        self.runs = runs

    def __call__(self, *args):
        found = self.runs.flows.json("get", "execution", *args)
        return [e["id"]["name"] for e in (found if isinstance(found, list) else [found] if found else [])]

    def by(self, selector, *args):
        return self("--filter.fieldSelector", selector, *args)


@pytest.fixture
def listed(runs):
    return Listed(runs)


def test_filters(listed, echoed, failed):
    assert failed[0] in listed.by("execution.phase in (FAILED;ABORTED)")
    assert echoed not in listed.by("execution.phase in (FAILED;ABORTED)")
    assert set(listed.by(f"name in ({echoed};{failed[0]})")) == {echoed, failed[0]}
    assert listed.by(f"execution.phase=SUCCEEDED,name={echoed}") == [echoed]
    assert listed.by(f"execution.phase=FAILED,name={echoed}") == []
    assert listed.by(f"name={echoed},execution.duration<200") == [echoed]
    assert listed.by(f"name={echoed},execution.duration>200") == []
    assert echoed in listed.by("launch_plan.name=ctl.echoes")
    assert echoed in listed.by("workflow.name=ctl.echoes,workflow.version=v1")
    assert failed[0] not in listed.by("workflow.name=ctl.echoes")
    assert listed.by("started_at<2000-01-01T00:00:00Z") == []
    assert listed.by(f"name contains {echoed[3:]}") == [echoed]


def test_sorted_and_in_pages(listed):
    oldest = listed("--filter.sortBy", "created_at", "--filter.asc", "--filter.limit", 100)
    assert len(oldest) > 6
    assert listed("--filter.sortBy", "created_at", "--filter.limit", 100) == oldest[::-1]
    pages = [listed("--filter.sortBy", "created_at", "--filter.asc", "--filter.limit", 3, "--filter.page", n) for n in (1, 2)]
    assert pages == [oldest[:3], oldest[3:6]]
    assert listed("--filter.sortBy", "name", "--filter.asc", "--filter.limit", 100) == sorted(oldest)


def test_archived_executions_are_out_of_the_list(runs, listed, echoed):
    name = runs.run("--relaunch", echoed)
    update = ("update", "execution", name)
    assert "successfully to state EXECUTION_ARCHIVED" in runs.flows(*update, "--archive", "--force")
    assert runs.get(name).closure.state_change_details.state == ExecutionState.EXECUTION_ARCHIVED
    assert listed.by(f"name={name}") == []
    assert listed.by(f"name={name},state=1") == [name]
    assert runs.flows(*update, "--archive", "--force").startswith("No changes detected")
    runs.flows(*update, "--activate", "--force")
    assert listed.by(f"name={name}") == [name]
    assert "could not fetch execution absent" in runs.flows.fails("update", "execution", "absent", "--archive", "--force")


@pytest.mark.parametrize("args, message", [
    (("--filter.fieldSelector", "colour=red"), "code = InvalidArgument"),
    (("--filter.fieldSelector", "execution.duration<long"), "code = InvalidArgument"),
    (("--filter.fieldSelector", "started_at<yesterday"), "code = InvalidArgument"),
    (("--filter.sortBy", "colour"), "code = InvalidArgument"),
], ids=["field", "number", "time", "sort"])
def test_bad_lists(runs, args, message):
    assert message in runs.flows.fails("get", "execution", *args)

"""The real flytectl: registering, reading tasks, workflows and launch plans, their state and their words."""
import json
import os
import tarfile

import pytest
import yaml
from flyteidl.admin.common_pb2 import NamedEntityGetRequest, NamedEntityIdentifier, NamedEntityState, ObjectGetRequest
from flyteidl.admin.launch_plan_pb2 import LaunchPlanState
from flyteidl.core.identifier_pb2 import LAUNCH_PLAN, TASK, WORKFLOW, Identifier

from flytectl import need_flytectl, package
from flyte_client import DOMAIN

need_flytectl()

TASKS = ["ctl.decked", "ctl.greet", "ctl.grows", "ctl.needs", "ctl.nested", "ctl.simple", "ctl.waits", "leaves.instant",
         "leaves.integer", "leaves.integers", "leaves.number", "leaves.text", "leaves.truth"]
WORKFLOWS = ["ctl.echoes", "ctl.fragile", "ctl.hello", "ctl.launches", "ctl.shapes"]
PLANS = sorted(WORKFLOWS + ["ctl.daily", "ctl.echoes_plan", "ctl.hourly"])
OF_NAME = {TASK: "task", WORKFLOW: "workflow", LAUNCH_PLAN: "launchplan"}


def names(found):
    return sorted(e["id"]["name"] for e in found)


def as_list(found):
    """flytectl prints a single object without a list."""
    return found if isinstance(found, list) else [found]


def entity(flows, kind, name):
    return flows.ctl.stack.admin.GetNamedEntity(NamedEntityGetRequest(
        resource_type=kind, id=NamedEntityIdentifier(project=flows.project, domain=DOMAIN, name=name)))


def plan_state(flows, name, version):
    plan = flows.ctl.stack.admin.GetLaunchPlan(ObjectGetRequest(id=Identifier(
        resource_type=LAUNCH_PLAN, project=flows.project, domain=DOMAIN, name=name, version=version)))
    return LaunchPlanState.Name(plan.closure.state)


# Registering.

def test_every_file_of_a_package_is_registered(flows):
    found = flows.register("whole")
    assert {r["STATUS"] for r in found} == {"Success"}
    assert {r["ADDITIONAL INFO"] for r in found} == {"Successfully registered file"}
    for kind, expected in [("task", TASKS), ("workflow", WORKFLOWS), ("launchplan", PLANS)]:
        for name in expected:
            assert flows.json("get", kind, name, "--version", "whole")["id"]["version"] == "whole"
    assert len(found) == len(TASKS + WORKFLOWS + PLANS)


def test_a_second_registration_tells_that_all_is_there(flows):
    again = flows.register("v1")
    assert {(r["STATUS"], r["ADDITIONAL INFO"]) for r in again} == {("Success", "AlreadyExists")}


def test_a_changed_workflow_of_the_same_version_is_refused(flows, tmp_path):
    """The package of leaves alone has a file of the same name with other content."""
    other = tmp_path / "ctl_changed.py"
    other.write_text("from flytekit import task\n\n@task\ndef changing(n: int) -> int:\n    return n\n")
    for text in (other.read_text(), other.read_text().replace("n: int", "n: str")):
        other.write_text(text)
        archive = package(str(tmp_path), ["ctl_changed"], "--copy", "none", source=str(tmp_path))
        found = flows.run_in("register", "files", "--archive", archive, "--version", "same")
    assert found.returncode == 1
    assert "task with different structure already exists" in found.stderr


def test_a_dry_run_registers_nothing(flows):
    archive = package(flows.directory, ["leaves"], "--copy", "none")
    found = flows.table("register", "files", "--archive", archive, "--version", "dry", "--dryRun")
    assert {r["STATUS"] for r in found} == {"Success"}
    assert "NotFound" in flows.fails("get", "task", "leaves.integer", "--version", "dry")


def test_files_of_an_unknown_project_are_refused(flows):
    found = flows.run_in("register", "files", "--archive", flows.archive, "--version", "v1", project="nowhere")
    assert found.returncode == 1
    assert "project [nowhere] not found" in found.stderr


def test_serialized_code_is_uploaded_and_named_by_its_tasks(flows):
    args = flows.json("get", "task", "ctl.greet", "--version", "v1")["closure"]["compiledTask"]["template"]["container"]["args"]
    where = args[args.index("--additional-distribution") + 1]
    assert where.endswith(".tar.gz") and f"/{flows.project}/{DOMAIN}/" in where
    with tarfile.open(where) as code:  # flytectl unpacks it for the upload
        assert "./ctl.py" in code.getnames() or "ctl.py" in code.getnames()


def test_schedules_are_enabled_when_asked_for(flows):
    flows.register("scheduled", "--enableSchedule")
    assert plan_state(flows, "ctl.hourly", "scheduled") == "ACTIVE"
    assert plan_state(flows, "ctl.hourly", "v1") == "INACTIVE"


def test_settings_of_the_registration_are_in_the_launch_plans(flows):
    flows.register("set", "--outputLocationPrefix", "/somewhere", "--k8sServiceAccount", "bird",
                   "--assumableIamRole", "arn:aws:iam::1:role/bird")
    plan = flows.json("get", "launchplan", "ctl.hello", "--version", "set")["spec"]
    assert plan["rawOutputDataConfig"] == {"outputLocationPrefix": "/somewhere"}
    assert plan["securityContext"]["runAs"] == {"iamRole": "arn:aws:iam::1:role/bird", "k8sServiceAccount": "bird"}


# Reading.

@pytest.mark.parametrize("kind, expected", [("task", TASKS), ("launchplan", PLANS)])
def test_all_of_a_kind(flows, kind, expected):
    of_v1 = f"{kind}.version=v1" if kind == "task" else "version=v1"
    found = flows.json("get", kind, "--filter.fieldSelector", of_v1)
    assert names(found) == expected
    assert {e["id"]["version"] for e in found} == {"v1"}
    assert flows.yaml("get", kind, "--filter.fieldSelector", of_v1) == found
    assert sorted(r["NAME"] for r in flows.table("get", kind, "--filter.fieldSelector", of_v1)) == expected


def test_workflows_are_listed_by_name(flows):
    assert names(flows.json("get", "workflow")) == WORKFLOWS
    table = flows.table("get", "workflow", "--filter.sortBy", "name", "--filter.asc")
    assert [r["NAME"] for r in table] == WORKFLOWS
    assert {(r["PROJECT"], r["DOMAIN"]) for r in table} == {(flows.project, DOMAIN)}


@pytest.mark.parametrize("kind, name", [("task", "ctl.greet"), ("workflow", "ctl.hello"), ("launchplan", "ctl.daily")])
def test_versions_of_a_name(flows, kind, name):
    newest = as_list(flows.json("get", kind, name, "--filter.sortBy", "created_at"))
    assert names(newest) == [name] * len(newest) and len(newest) >= 2
    oldest = as_list(flows.json("get", kind, name, "--filter.sortBy", "created_at", "--filter.asc"))
    assert oldest == newest[::-1]
    assert [e["id"]["version"] for e in oldest[:2]] == ["v1", "v2"]
    assert as_list(flows.json("get", kind, name, "--latest"))[0]["id"] == newest[0]["id"]
    assert flows.json("get", kind, name, "--version", "v1")["id"] == oldest[0]["id"]


@pytest.mark.parametrize("kind", ["task", "workflow", "launchplan"])
def test_pages(flows, kind):
    """flytectl asks for a page by the offset that it makes of its number."""
    ask = ("get", kind, "--filter.sortBy", "name", "--filter.asc", "--filter.fieldSelector")
    chosen = {"task": "version=v1", "launchplan": "version=v1", "workflow": "name contains ctl"}[kind]
    everything = names(flows.json(*ask, chosen))
    pages = [as_list(flows.json(*ask, chosen, "--filter.limit", 2, "--filter.page", n)) for n in (1, 2)]
    assert [names(p) for p in pages] == [everything[:2], everything[2:4]]


@pytest.mark.parametrize("selector, expected", [
    ("name=ctl.greet,version=v2", ["ctl.greet"]),
    ("name contains integer,version=v1", ["leaves.integer", "leaves.integers"]),
    ("name in (ctl.greet;ctl.needs),version=v1", ["ctl.greet", "ctl.needs"]),
    ("name!=ctl.greet,name!=ctl.needs,name contains ctl.,name contains s,version=v1",
     ["ctl.grows", "ctl.nested", "ctl.simple", "ctl.waits"]),
    ("created_at>2000-01-01T00:00:00Z,name=ctl.greet,version=v1", ["ctl.greet"]),
    ("created_at<2000-01-01T00:00:00Z", None),
])
def test_filters_of_tasks(flows, selector, expected):
    if expected:
        assert names(as_list(flows.json("get", "task", "--filter.fieldSelector", selector))) == expected
    else:
        assert flows.fails("get", "task", "--filter.fieldSelector", selector) == "no tasks retrieved for "


def test_launch_plans_of_a_workflow(flows):
    assert set(names(flows.json("get", "launchplan", "--workflow", "ctl.hello"))) == {"ctl.hello", "ctl.daily"}


@pytest.mark.parametrize("args, message", [
    (("task", "absent"), "no tasks retrieved for absent"),
    (("task", "absent", "--latest"), "no tasks retrieved for absent"),
    (("workflow", "absent"), "no workflow retrieved for absent"),
    (("workflow", "absent", "--latest"), "no workflow retrieved for absent"),
    (("launchplan", "absent"), "no launchplans retrieved for absent"),
    (("launchplan", "--workflow", "absent"), "no launchplans retrieved for "),
    (("task", "absent", "--version", "1"), "code = NotFound desc = missing entity of type TASK"),
    (("workflow", "absent", "--version", "1"), "code = NotFound desc = missing entity of type WORKFLOW"),
    (("launchplan", "absent", "--version", "1"), "code = NotFound desc = missing entity of type LAUNCH_PLAN"),
    (("task", "--filter.fieldSelector", "colour=red"), "code = InvalidArgument"),
    (("workflow", "--filter.sortBy", "colour"), "code = InvalidArgument"),
], ids=" ".join)
def test_what_is_not_there(flows, args, message):
    assert message in flows.fails("get", *args)


def test_tables_tell_inputs_and_outputs(flows):
    [task] = flows.table("get", "task", "ctl.greet", "--version", "v1")
    assert (task["TYPE"], task["DISCOVERY VERSION"]) == ("python-task", "7")
    assert "true" in task["DISCOVERABLE"]
    assert task["INPUTS"].splitlines() == ["name: who is greeted", "times: how often"]
    assert task["OUTPUTS"] == "o0"
    [workflow] = flows.table("get", "workflow", "ctl.hello", "--version", "v1")
    assert (workflow["INPUTS"], workflow["OUTPUTS"]) == ("name: to whom", "o0")
    [plan] = flows.table("get", "launchplan", "ctl.daily", "--version", "v1")
    assert "30 4 * * *" in plan["SCHEDULE"]


def test_a_launch_plan_keeps_all_it_was_given(flows):
    spec = flows.yaml("get", "launchplan", "ctl.daily", "--version", "v1")["spec"]
    assert spec["fixedInputs"] == {"literals": {"name": {"scalar": {"primitive": {"stringValue": "day"}}}}}
    assert spec["entityMetadata"] == {
        "schedule": {"cronSchedule": {"schedule": "30 4 * * *"}},
        "notifications": [{"phases": ["FAILED"], "email": {"recipientsEmail": ["a@example.org", "b@example.org"]}}]}
    assert (spec["labels"], spec["annotations"]) == ({"values": {"team": "birds"}}, {"values": {"note": "each morning"}})
    assert spec["maxParallelism"] == 4
    assert flows.yaml("get", "launchplan", "ctl.hourly", "--version", "v1")["spec"]["entityMetadata"] == {
        "schedule": {"rate": {"value": 1, "unit": "HOUR"}}}


def test_a_workflow_is_drawn(flows):
    """flytectl walks the whole compiled closure for it."""
    dot = flows("get", "workflow", "ctl.shapes", "--version", "v1", "-o", "dot")
    edges = {tuple(line.split("[")[0].strip(" ;\t").split("->")) for line in dot.splitlines() if "->" in line}
    assert {("start_node", "n0"), ("n0", "n0_n0"), ("n0", "n0_n1_start_node"), ("n0_n1_n0", "n0_n1_n1"),
            ("start_node", "n1_start_node"), ("n1_n0", "n1_n1"), ("n0", "end_node")} <= edges
    assert "subgraph cluster_size" in dot and "subgraph cluster_n1" in dot
    assert 'n1_n0 [ label="integer [echo]", shape=box ]' in dot


# Execution files.

def test_execution_files_show_inputs_and_their_defaults(flows, ctl):
    flows("get", "task", "ctl.greet", "--version", "v1", "--execFile", "greet.yaml")
    assert ctl.read("greet.yaml") == {"iamRoleARN": "", "inputs": {"name": "", "times": 0}, "envs": {}, "kubeServiceAcct": "",
                                      "targetDomain": "", "targetProject": "", "task": "ctl.greet", "version": "v1"}
    flows("get", "launchplan", "ctl.echoes_plan", "--version", "v2", "--execFile", "plan.yaml")
    written = ctl.read("plan.yaml")
    assert (written["inputs"], written["workflow"], written["version"]) == ({"n": 5}, "ctl.echoes_plan", "v2")


def test_execution_files_have_an_example_of_every_type(flows, ctl):
    for task in ("simple", "nested"):
        flows("get", "task", f"ctl.{task}", "--version", "v1", "--execFile", f"{task}.yaml")
    simple, nested = ctl.read("simple.yaml")["inputs"], ctl.read("nested.yaml")["inputs"]
    assert {k: v for k, v in simple.items() if k != "t"} == {"i": 0, "f": 0, "s": "", "b": False, "d": "1s", "c": "red"}
    assert nested == {"li": [0], "ll": [[""]], "m": {"itemKey": 0}, "p": {}, "g": {}, "o": 0, "u": 0, "a": "/tmp/somepath"}


# Words and states.

@pytest.mark.parametrize("kind, name", [(TASK, "ctl.needs"), (WORKFLOW, "ctl.fragile"), (LAUNCH_PLAN, "ctl.fragile")],
                         ids=["task", "workflow", "launchplan"])
def test_metadata(flows, kind, name):
    update = ("update", f"{OF_NAME[kind]}-meta", name)
    printed = flows(*update, "--description", "some words", "--force")
    assert "+description: some words" in printed
    assert f"updated metadata successfully on {name}" in printed
    assert entity(flows, kind, name).metadata.description == "some words"
    flows(*update, "--archive", "--description", "other words", "--force")
    archived = entity(flows, kind, name).metadata
    assert NamedEntityState.Name(archived.state) == "NAMED_ENTITY_ARCHIVED"
    assert archived.description == "other words"
    assert flows(*update, "--archive", "--force").startswith("No changes detected")
    assert "skipping UpdateNamedEntity" in flows(*update, "--activate", "--dryRun")
    assert entity(flows, kind, name).metadata.state == archived.state
    flows(*update, "--activate", "--description", "at last", "--force")
    active = entity(flows, kind, name).metadata
    assert NamedEntityState.Name(active.state) == "NAMED_ENTITY_ACTIVE"
    assert active.description == "at last"
    assert "update metadata for absent: could not fetch metadata" in flows.fails(
        "update", f"{OF_NAME[kind]}-meta", "absent", "--description", "x", "--force")


def test_a_workflow_s_description_is_listed(flows):
    flows("update", "workflow-meta", "ctl.echoes", "--description", "goes through", "--force")
    [row] = [r for r in flows.table("get", "workflow") if r["NAME"] == "ctl.echoes"]
    assert row["DESCRIPTION"] == "goes through"


def test_an_update_asks_first(flows):
    update = ("update", "workflow-meta", "ctl.launches", "--description", "asked")
    assert flows.fails(*update, stdin="n\n") == "update aborted by user"
    assert entity(flows, WORKFLOW, "ctl.launches").metadata.description == ""
    flows(*update, stdin="y\n")
    assert entity(flows, WORKFLOW, "ctl.launches").metadata.description == "asked"


def test_one_version_of_a_launch_plan_is_active(flows):
    def update(version, state):
        return flows("update", "launchplan", "ctl.echoes", "--version", version, state, "--force")

    assert "updated launch plan successfully on ctl.echoes" in update("v1", "--activate")
    assert (plan_state(flows, "ctl.echoes", "v1"), plan_state(flows, "ctl.echoes", "v2")) == ("ACTIVE", "INACTIVE")
    update("v2", "--activate")
    assert (plan_state(flows, "ctl.echoes", "v1"), plan_state(flows, "ctl.echoes", "v2")) == ("INACTIVE", "ACTIVE")
    assert update("v2", "--activate").startswith("No changes detected")
    active = as_list(flows.json("get", "launchplan", "ctl.echoes", "--filter.fieldSelector", "state=1"))
    assert [p["id"]["version"] for p in active] == ["v2"]
    update("v2", "--deactivate")
    assert plan_state(flows, "ctl.echoes", "v2") == "INACTIVE"
    update("v2", "--activate")
    update("v2", "--archive")
    assert plan_state(flows, "ctl.echoes", "v2") == "INACTIVE"
    assert "could not fetch launch plan: rpc error: code = NotFound" in flows.fails(
        "update", "launchplan", "ctl.echoes", "--version", "v9", "--activate", "--force")


def test_a_launch_plan_with_a_schedule_is_activated(flows):
    flows("update", "launchplan", "ctl.daily", "--version", "v1", "--activate", "--force")
    assert plan_state(flows, "ctl.daily", "v1") == "ACTIVE"
    flows("update", "launchplan", "ctl.daily", "--version", "v1", "--deactivate", "--force")
    assert plan_state(flows, "ctl.daily", "v1") == "INACTIVE"


# What else it does.

def test_compile(ctl):
    archive = package(ctl.directory, ["ctl"], "--copy", "none")
    printed = ctl.plain("compile", "--file", archive)
    assert "All Workflows compiled successfully!" in printed
    assert "5  workflows found in package" in printed


def test_version_tells_alula_s(ctl):
    printed = ctl.plain("version")
    decoder, found = json.JSONDecoder(), []
    while printed:
        value, end = decoder.raw_decode(printed)
        found.append(value)
        printed = printed[end:]
    assert [v["App"] for v in found] == ["flytectl", "controlPlane"]
    assert found[1]["Build"] == "alula"


def test_config_validate(ctl):
    assert "Validated config file successfully." in ctl.run("config", "validate", "--file", ctl.config).stderr
    wrong = ctl.file("wrong.yaml", {"admin": {"endpoint": "dns:///localhost:1", "colour": "red"}})
    found = ctl.run("config", "validate", "--strict", "--file", wrong)
    assert found.returncode == 1 and "invalid keys: colour" in found.stderr


def test_the_config_that_flytectl_makes_is_enough(ctl, tmp_path):
    env = {"HOME": str(tmp_path), "FLYTECTL_CONFIG": ""}
    ctl.plain("config", "init", "--host", f"localhost:{ctl.stack.port('admin.grpc')}", "--insecure", **env)
    assert os.path.exists(tmp_path / ".flyte/config.yaml")
    found = yaml.safe_load(ctl.plain("get", "project", "-o", "yaml", **env))
    assert "flytesnacks" in [p["id"] for p in found]


def test_a_server_that_is_not_there_is_named(ctl):
    found = ctl.run("get", "project", "--admin.endpoint", "dns:///127.0.0.1:9", "--admin.maxRetries", "0",
                    "--admin.perRetryTimeout", "1s")
    assert found.returncode == 1
    assert "127.0.0.1:9" in found.stderr

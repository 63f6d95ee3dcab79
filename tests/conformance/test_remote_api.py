"""flytekit's FlyteRemote and its client, beyond running things: fetching, listing, filtering, states, data in and out.
Signals are in test_gates_run.py."""
import base64
import datetime
import hashlib
import pathlib
import time
import urllib.error
import urllib.request
import uuid

import ctl as flows
import pytest
import yaml
from flyteidl.admin.common_pb2 import ObjectGetRequest
from flyteidl.admin.execution_pb2 import (EXECUTION_ACTIVE, EXECUTION_ARCHIVED, ExecutionMetadata,
                                          ExecutionUpdateRequest, WorkflowExecutionGetRequest)
from flyteidl.service.dataproxy_pb2 import ARTIFACT_TYPE_DECK
from flytekit.exceptions.user import FlyteEntityNotExistException, FlyteInvalidInputException, FlyteTimeout, FlyteUserException
from flytekit.models import filters
from flytekit.models.admin.common import Sort
from flytekit.models.common import NamedEntityIdentifier
from flytekit.models.core.identifier import Identifier, ResourceType
from flytekit.models.launch_plan import LaunchPlanState
from flytekit.models.named_entity import NamedEntityMetadata, NamedEntityState
from flytekit.models.project import Project
from flytekit.remote import FlyteRemote
from flytekit.types.file import FlyteFile

from flyte_client import DOMAIN, PROJECT, SECONDS, nodes
from suite import register_all

NEWEST, OLDEST = Sort("created_at", Sort.Direction.DESCENDING), Sort("created_at", Sort.Direction.ASCENDING)


@pytest.fixture(scope="module")
def versions(client):
    """All of flows/ctl.py twice, first to last."""
    return [register_all(client, flows, version=f"remote-{uuid.uuid4().hex[:8]}-{n}") for n in (1, 2)]


@pytest.fixture(scope="module")
def version(versions):
    return versions[1]


@pytest.fixture(scope="module")
def echoed(client, remote, version):
    """A succeeded execution of ctl.echoes."""
    return client.succeed(remote.fetch_launch_plan(name="ctl.echoes", version=version), {"n": 6}, tags=["blue", "a:b"])


@pytest.fixture(scope="module")
def decked(client, remote, version):
    """A succeeded execution of the task ctl.decked."""
    return client.succeed(remote.fetch_task(name="ctl.decked", version=version), {"title": "Vögel"})


def named(name):
    return NamedEntityIdentifier(PROJECT, DOMAIN, name)


def plan_id(name, version):
    return Identifier(ResourceType.LAUNCH_PLAN, PROJECT, DOMAIN, name, version)


def plan_state(client, name, version):
    """flytekit's client would keep its first answer."""
    return client.stack.admin.GetLaunchPlan(ObjectGetRequest(id=plan_id(name, version).to_flyte_idl())).closure.state


# Fetching.

FETCH = {"task": ("fetch_task", "ctl.greet"), "workflow": ("fetch_workflow", "ctl.hello"),
         "launch plan": ("fetch_launch_plan", "ctl.daily")}


@pytest.mark.parametrize("kind", FETCH)
def test_the_latest_version_is_fetched(remote, versions, kind):
    function, name = FETCH[kind]
    assert getattr(remote, function)(name=name).id.version == versions[1]
    assert getattr(remote, function)(name=name, version=versions[0]).id.version == versions[0]


@pytest.mark.parametrize("kind", FETCH)
def test_nothing_is_fetched_that_is_not_there(remote, kind):
    function, name = FETCH[kind]
    with pytest.raises(FlyteEntityNotExistException):
        getattr(remote, function)(name=name, version="no-such-version")
    with pytest.raises(FlyteUserException):
        getattr(remote, function)(name="no.such.name")
    with pytest.raises(FlyteUserException):
        getattr(remote, function)(name=name, project="no-such-project", version="1")


def test_lazily_fetched(remote, version):
    task = remote.fetch_task_lazy(name="ctl.greet", version=version)
    assert sorted(task.entity.interface.inputs) == ["name", "times"]
    workflow = remote.fetch_workflow_lazy(name="ctl.shapes", version=version)
    assert sorted(n.id for n in workflow.entity.flyte_nodes) == ["n0", "n1"]


def test_a_fetched_workflow_has_the_launch_plans_it_uses(remote, version):
    workflow = remote.fetch_workflow(name="ctl.launches", version=version)
    [node] = workflow.flyte_nodes
    assert node.flyte_entity.id.name == "ctl.echoes_plan"


def test_a_task_of_that_name_from_another_project_is_another(remote, version):
    with pytest.raises(FlyteEntityNotExistException):
        remote.fetch_task(project="flytetester", name="ctl.greet", version=version)


def test_fetching_an_execution_that_is_not_there(remote):
    with pytest.raises(FlyteEntityNotExistException):
        remote.fetch_execution(name="no-such-execution")


# Launch plans: what their spec has, and their state.

def test_a_schedule_and_its_notifications_are_kept(remote, version):
    spec = remote.client.get_launch_plan(plan_id("ctl.daily", version)).spec
    assert spec.entity_metadata.schedule.cron_schedule.schedule == "30 4 * * *"
    [notification] = spec.entity_metadata.notifications
    assert notification.email.recipients_email == ["a@example.org", "b@example.org"]
    assert (spec.labels.values, spec.annotations.values) == ({"team": "birds"}, {"note": "each morning"})
    assert spec.max_parallelism == 4
    rate = remote.client.get_launch_plan(plan_id("ctl.hourly", version)).spec.entity_metadata.schedule.rate
    assert (rate.value, rate.unit) == (1, 1)


def test_a_scheduled_launch_plan_runs_when_asked(client, remote, version):
    execution = client.succeed(remote.fetch_launch_plan(name="ctl.daily", version=version))
    assert execution.outputs["o0"] == "hello day"
    closure = client.stack.admin.GetExecution(WorkflowExecutionGetRequest(id=execution.id.to_flyte_idl())).closure
    [notification] = closure.notifications  # the launch plan's
    assert list(notification.email.recipients_email) == ["a@example.org", "b@example.org"]


def test_one_version_is_active(client, remote, versions):
    first, second = versions
    assert remote.fetch_active_launchplan(name="ctl.hourly") is None
    remote.activate_launchplan(plan_id("ctl.hourly", first))
    assert remote.fetch_active_launchplan(name="ctl.hourly").id.version == first
    remote.activate_launchplan(plan_id("ctl.hourly", second))
    assert remote.fetch_active_launchplan(name="ctl.hourly").id.version == second
    assert [plan_state(client, "ctl.hourly", v) for v in versions] == [LaunchPlanState.INACTIVE, LaunchPlanState.ACTIVE]
    active, _ = remote.client.list_active_launch_plans_paginated(PROJECT, DOMAIN)
    assert [p.id.version for p in active if p.id.name == "ctl.hourly"] == [second]
    remote.deactivate_launchplan(plan_id("ctl.hourly", second))
    assert remote.fetch_active_launchplan(name="ctl.hourly") is None
    with pytest.raises(FlyteEntityNotExistException):
        remote.activate_launchplan(plan_id("ctl.hourly", "no-such-version"))


def test_a_backfill_is_made_of_a_schedule(remote, version):
    """An imperative workflow of a node a day, and it is registered."""
    days = datetime.datetime(2024, 1, 1), datetime.datetime(2024, 1, 4)
    workflow = remote.launch_backfill(PROJECT, DOMAIN, *days, launchplan="ctl.daily", launchplan_version=version, execute=False)
    assert len(workflow.flyte_nodes) == 3
    assert {n.flyte_entity.id.name for n in workflow.flyte_nodes} == {"ctl.daily"}


# Lists.

def test_tasks_of_a_version(remote, versions):
    expected = ["ctl.decked", "ctl.greet", "ctl.grows", "ctl.needs", "ctl.nested", "ctl.simple", "ctl.waits"]
    for v in versions:
        found = sorted(t.name for t in remote.list_tasks_by_version(v))
        assert [n for n in found if n.startswith("ctl.")] == expected
    assert len(remote.list_tasks_by_version(versions[0], limit=2)) == 2
    assert remote.list_tasks_by_version("no-such-version") == []


@pytest.mark.parametrize("kind, name", [("task", "ctl.greet"), ("workflow", "ctl.shapes"), ("launch_plan", "ctl.daily")])
def test_ids_and_versions_in_pages(remote, versions, kind, name):
    ids = getattr(remote.client, f"list_{kind}_ids_paginated")
    found, token = [], None
    while token != "":
        page, token = ids(PROJECT, DOMAIN, limit=3, token=token)
        assert len(page) <= 3
        found += [i.name for i in page]
    assert name in found and len(found) == len(set(found))
    versions_of = getattr(remote.client, f"list_{kind}s_paginated")
    newest, token = versions_of(named(name), limit=1, sort_by=NEWEST)
    second, _ = versions_of(named(name), limit=1, token=token, sort_by=NEWEST)
    assert [e.id.version for e in newest + second] == versions[::-1]
    oldest, _ = versions_of(named(name), filters=[filters.ValueIn("version", versions)], sort_by=OLDEST)
    assert [e.id.version for e in oldest] == versions


def test_projects_and_domains(remote):
    name = f"remote-{uuid.uuid4().hex[:8]}"
    remote.client.register_project(Project(name, "A name", "A description"))
    [found] = remote.list_projects(filters=[filters.Equal("project.name", "A name"), filters.Equal("identifier", name)])
    assert (found.id, found.name, found.description) == (name, "A name", "A description")
    found = remote.list_projects(limit=2, sort_by=Sort("name", Sort.Direction.ASCENDING))
    assert len(found) == 2 and found[0].name <= found[1].name
    assert [d.id for d in remote.get_domains()] == ["development", "staging", "production"]


def test_recent_executions(remote, echoed, decked):
    def recent(*chosen, limit=100):
        return [e.id.name for e in remote.recent_executions(filters=list(chosen), limit=limit)]

    everything = recent()
    assert echoed.id.name in everything and decked.id.name in everything
    assert recent(limit=1) == everything[:1]
    mine = filters.ValueIn("name", [echoed.id.name, decked.id.name])
    assert set(recent(mine)) == {echoed.id.name, decked.id.name}
    assert recent(mine, filters.Equal("task.name", "ctl.decked")) == [decked.id.name]
    assert recent(mine, filters.Equal("workflow.name", "ctl.echoes")) == [echoed.id.name]
    assert recent(mine, filters.Equal("launch_plan.name", "ctl.echoes")) == [echoed.id.name]
    assert recent(mine, filters.Equal("phase", "FAILED")) == []
    assert recent(mine, filters.NotEqual("name", echoed.id.name)) == [decked.id.name]
    assert recent(mine, filters.ValueNotIn("name", [echoed.id.name])) == [decked.id.name]
    assert recent(filters.Contains("name", [echoed.id.name[1:-1]])) == [echoed.id.name]
    assert set(recent(mine, filters.GreaterThanOrEqual("duration", "0"))) == {echoed.id.name, decked.id.name}
    assert recent(mine, filters.GreaterThan("duration", "86400")) == []
    assert recent(mine, filters.LessThan("created_at", "2001-01-01T00:00:00Z")) == []
    with pytest.raises(FlyteUserException):
        recent(filters.Equal("colour", "red"))


def test_executions_by_tag(remote, echoed):
    assert [e.id.name for e in remote.recent_executions(filters=[filters.Equal("admin_tag.name", "blue")])] == [echoed.id.name]
    assert echoed.id.name in [e.id.name for e in remote.recent_executions(
        filters=[filters.ValueIn("admin_tag.name", ["blue", "green"])])]
    assert remote.recent_executions(filters=[filters.Equal("admin_tag.name", "green")]) == []
    assert remote.fetch_execution(name=echoed.id.name).spec.tags == ["blue", "a:b"]


def test_archived_executions(client, remote, version):
    execution = client.succeed(remote.fetch_launch_plan(name="ctl.echoes", version=version), {"n": 1})
    one = [filters.Equal("name", execution.id.name)]
    for state, here, there in [(EXECUTION_ARCHIVED, 0, 1), (EXECUTION_ACTIVE, 1, 0)]:
        client.stack.admin.UpdateExecution(ExecutionUpdateRequest(id=execution.id.to_flyte_idl(), state=state))
        assert len(remote.recent_executions(filters=one)) == here
        assert len(remote.recent_executions(filters=[*one, filters.Equal("state", "1")])) == there
        assert client.wait(remote.fetch_execution(name=execution.id.name)).outputs["o0"] == 1


def test_named_entities(client, remote, version):
    where = named("ctl.fragile")
    remote.client.update_named_entity(ResourceType.WORKFLOW, where, NamedEntityMetadata("words", NamedEntityState.ARCHIVED))
    found, _ = remote.client.list_workflow_ids_paginated(PROJECT, DOMAIN, limit=1000)
    assert "ctl.fragile" in [i.name for i in found]
    remote.client.update_named_entity(ResourceType.WORKFLOW, where, NamedEntityMetadata("words", NamedEntityState.ACTIVE))
    assert remote.fetch_workflow(name="ctl.fragile", version=version).id.version == version


# What executions tell.

def test_console_urls(client, remote, version, echoed):
    base = f"http://{client.stack.grpc_address}/console/projects/{PROJECT}/domains/{DOMAIN}"
    assert remote.generate_console_url(echoed) == f"{base}/executions/{echoed.id.name}"
    for kind, entity in [("task", remote.fetch_task(name="ctl.greet", version=version)),
                         ("workflow", remote.fetch_workflow(name="ctl.hello", version=version)),
                         ("launch_plan", remote.fetch_launch_plan(name="ctl.daily", version=version))]:
        assert remote.generate_console_url(entity) == f"{base}/{kind}/{entity.id.name}/version/{version}"


def test_waiting_has_an_end(client, remote, version):
    execution = client.start(remote.fetch_task(name="ctl.waits", version=version), {"seconds": 600})
    start = time.monotonic()
    with pytest.raises(FlyteTimeout):
        remote.wait(execution, timeout=datetime.timedelta(seconds=1), poll_interval=datetime.timedelta(milliseconds=200))
    assert time.monotonic() - start < 20
    remote.terminate(execution, "enough")
    done = remote.wait(execution, timeout=SECONDS, poll_interval=datetime.timedelta(milliseconds=100))
    assert done.closure.abort_metadata.cause == "enough"


def test_relaunched_and_recovered_by_the_client(client, remote, version, tmp_path):
    plan = remote.fetch_launch_plan(name="ctl.fragile", version=version)
    failed = client.fail(plan, {"path": str(tmp_path / "path"), "n": 4})
    (tmp_path / "path").write_text("")
    relaunched = remote.client.relaunch_execution(failed.id, name=f"re-{uuid.uuid4().hex[:8]}")
    recovered = remote.client.recover_execution(failed.id, name=f"rec-{uuid.uuid4().hex[:8]}")
    for id, mode in [(relaunched, ExecutionMetadata.RELAUNCH), (recovered, ExecutionMetadata.RECOVERED)]:
        done = client.wait(remote.fetch_execution(name=id.name))
        assert done.outputs["o0"] == 8
        assert done.spec.metadata.mode == mode
        assert done.spec.metadata.reference_execution == failed.id


def test_children_of_a_dynamic_task(client, remote, version):
    execution = client.succeed(remote.fetch_task(name="ctl.grows", version=version), {"n": 3})
    [node] = nodes(execution).values()
    [attempt], _ = remote.client.list_task_executions_paginated(node.id)
    assert remote.client.get_task_execution(attempt.id).closure.phase == attempt.closure.phase

    def below(**kwargs):
        return remote.client.list_node_executions(execution.id, unique_parent_id=node.id.node_id, **kwargs)

    children, token = below()
    assert token == "" and {"dn0", "dn1"} <= {c.metadata.spec_node_id for c in children}
    first, token = below(limit=1, sort_by=OLDEST)
    assert len(first) == 1 and token
    assert below(filters=[filters.Equal("phase", "FAILED")]) == ([], "")
    # As propeller has reported nodes since its event version 1: to their parent node, not to its task.
    assert remote.client.list_node_executions_for_task_paginated(attempt.id) == ([], "")


def test_metrics_are_a_tree_of_spans(remote, echoed, capsys):
    def dumped(depth):
        remote.get_execution_metrics(echoed.id, depth=depth).dump()
        return yaml.safe_load(capsys.readouterr().out)[echoed.id.name]

    spans = dumped(10)
    assert {"WORKFLOW_SETUP", "WORKFLOW_TEARDOWN"} <= set(spans["breakdown"])
    assert set(spans["nodes"]) == {"n0", "n1"}
    assert "TASK_RUNTIME" in spans["nodes"]["n0"]["task_attempts"][0]["breakdown"]
    assert "nodes" not in dumped(0)


def test_the_control_plane_tells_its_version(client, remote):
    with open("VERSION", encoding="utf-8") as f:
        assert remote.client.get_control_plane_version() == f"v{f.read().strip()}"


# Data.

def test_inputs_and_outputs_by_flyte_url(remote, echoed, decked):
    base = f"flyte://v1/{PROJECT}/{DOMAIN}"
    assert remote.get(f"{base}/{echoed.id.name}/n1/o").get("o0", int) == 6
    assert remote.get(f"{base}/{echoed.id.name}/n1/i").literals["v"].scalar.primitive.integer == 6
    assert remote.get(f"{base}/{echoed.id.name}/n1/o/o0").scalar.primitive.integer == 6
    [node] = nodes(decked)
    outputs = remote.get(f"{base}/{decked.id.name}/{node}/0/o")
    assert outputs.literals["o0"].scalar.blob.uri.endswith("words.txt")
    assert remote.get(f"{base}/{decked.id.name}/{node}/0/i").get("title", str) == "Vögel"


def test_a_deck_by_flyte_url(remote, decked):
    [node] = nodes(decked)
    url = f"flyte://v1/{PROJECT}/{DOMAIN}/{decked.id.name}/{node}"
    deck = remote.get(f"{url}/d")
    assert "Vögel" in (deck.decode() if isinstance(deck, bytes) else deck.data)
    assert remote.get(f"{url}/0/d") is None
    with pytest.raises(FlyteUserException):
        remote.client.get_data(f"{url}/0/d")


@pytest.mark.parametrize("url, error", [
    (f"flyte://v1/{PROJECT}/{DOMAIN}/no-such-execution/n0/o", FlyteEntityNotExistException),
    (f"flyte://v1/{PROJECT}", FlyteInvalidInputException),
    (f"flyte://v2/{PROJECT}/{DOMAIN}/x/n0/o", FlyteInvalidInputException),
    (f"http://v1/{PROJECT}/{DOMAIN}/x/n0/o", FlyteInvalidInputException),
])
def test_urls_of_nothing(remote, url, error):
    with pytest.raises(error):
        remote.client.get_data(url)
    assert remote.get(url) is None  # the same in FlyteRemote's words


def test_a_deck_by_signed_url(remote, decked):
    [node] = nodes(decked)
    link = remote.client.get_download_artifact_signed_url(node, PROJECT, DOMAIN, decked.id.name, ARTIFACT_TYPE_DECK,
                                                          datetime.timedelta(minutes=1))
    [url] = link.signed_url
    with urllib.request.urlopen(url, timeout=30) as f:
        assert "Vögel" in f.read().decode()


def test_outputs_are_downloaded(remote, decked, tmp_path):
    remote.download(decked.outputs, str(tmp_path), recursive=True)
    [found] = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert found.read_text() == "Vögel"


def test_a_file_goes_up_and_comes_down(remote, tmp_path):
    path = tmp_path / "data.bin"
    path.write_bytes(bytes(range(256)) * 1000)
    digest, uri = remote.upload_file(path, filename_root="of-a-root")
    assert digest == hashlib.md5(path.read_bytes()).digest()
    assert uri.endswith(f"/{PROJECT}/{DOMAIN}/of-a-root/data.bin")
    signed = remote.client.get_download_signed_url(uri, datetime.timedelta(minutes=1)).signed_url
    with urllib.request.urlopen(signed, timeout=30) as f:
        assert f.read() == path.read_bytes()
    again, same = remote.upload_file(path, filename_root="of-a-root")
    assert (again, same) == (digest, uri)


def test_other_content_than_announced_is_refused(remote, tmp_path):
    location = remote.client.get_upload_signed_url(PROJECT, DOMAIN, hashlib.md5(b"one").digest(), "x.txt")
    request = urllib.request.Request(location.signed_url, data=b"two", method="PUT",
                                     headers={"Content-MD5": base64.b64encode(hashlib.md5(b"one").digest()).decode()})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=30)
    assert refused.value.code == 400


def test_a_local_file_is_uploaded_as_an_input(client, remote, version, tmp_path):
    """FlyteRemote's own flyte:// file system: the file goes by the data proxy, the task reads where it lies."""
    path = tmp_path / "input.txt"
    path.write_text("from here")
    task = client.register("basic", "read_file")
    execution = client.succeed(task, {"file": FlyteFile(str(path))}, type_hints={"file": FlyteFile})
    assert execution.outputs["o0"].lower() == "from here"


def test_a_directory_is_uploaded(remote, tmp_path):
    source = tmp_path / "tree"
    (source / "deeper").mkdir(parents=True)
    (source / "a.txt").write_text("a")
    (source / "deeper/b.txt").write_text("b")
    uri = pathlib.Path(remote.file_access.put_raw_data(str(source)))
    assert {p.name: p.read_text() for p in uri.rglob("*") if p.is_file()} == {"a.txt": "a", "b.txt": "b"}


def test_a_remote_by_its_endpoint_alone(client, version):
    remote = FlyteRemote.for_endpoint(client.stack.grpc_address, insecure=True, default_project=PROJECT, default_domain=DOMAIN)
    assert remote.fetch_task(name="ctl.greet", version=version).id.version == version

"""Everything that FlyteRemote.execute takes: fetched things, local ones (which it registers), references, pickled ones."""
import subprocess
import sys
import uuid

import ctl as flows
import pytest
from flytekit import LaunchPlan, reference_launch_plan, reference_task, reference_workflow
from flytekit.models.core.identifier import ResourceType
from flytekit.tools.translator import Options

from flyte_client import DOMAIN, PROJECT
from suite import register_all, settings_of


@pytest.fixture(scope="module")
def version(client):
    return register_all(client, flows, version=f"execute-{uuid.uuid4().hex[:8]}")


def new_version():
    return f"local-{uuid.uuid4().hex[:8]}"


# Fetched.

@pytest.mark.parametrize("fetch, resource", [("fetch_workflow", ResourceType.LAUNCH_PLAN),
                                             ("fetch_launch_plan", ResourceType.LAUNCH_PLAN)])
def test_fetched(client, remote, version, fetch, resource):
    execution = client.succeed(getattr(remote, fetch)(name="ctl.echoes", version=version), {"n": 7})
    assert execution.outputs["o0"] == 7
    assert execution.spec.launch_plan.resource_type == resource
    assert execution.spec.launch_plan.version == version


def test_where_it_runs_is_kept(client, remote, version):
    execution = client.succeed(remote.fetch_launch_plan(name="ctl.echoes", version=version), {"n": 1},
                               execution_name_prefix="pre", cluster_pool="pool", execution_cluster_label="label")
    assert execution.id.name.startswith("pre-")
    assert execution.spec.cluster_assignment.cluster_pool == "pool"
    assert execution.spec.execution_cluster_label.value == "label"


def test_in_another_project(client, remote, version):
    """What is registered in one project runs in another."""
    plan = remote.fetch_launch_plan(name="ctl.echoes", version=version)
    execution = client.succeed(plan, {"n": 2}, project="flytetester", domain="staging")
    assert (execution.id.project, execution.id.domain) == ("flytetester", "staging")
    assert execution.spec.launch_plan.project == PROJECT
    assert execution.outputs["o0"] == 2


# Local: registered when they are not there.

@pytest.mark.parametrize("entity, inputs, output", [
    (flows.greet, {"name": "you", "times": 2}, "hello you, hello you"), (flows.hello, {"name": "me"}, "hello me"),
    (flows.shapes, {"n": 3}, 3), (flows.daily, {}, "hello day"),
], ids=["task", "workflow", "nested workflow", "launch plan"])
def test_local(client, remote, entity, inputs, output):
    made = new_version()
    settings = settings_of(client, made)
    if isinstance(entity, LaunchPlan):  # of a registered workflow: execute() registers no code
        remote.register_workflow(entity.workflow, settings, version=made)
    execution = client.succeed(entity, inputs, version=made, serialization_settings=settings)
    assert execution.outputs["o0"] == output
    assert execution.spec.launch_plan.version == made
    again = client.succeed(entity, inputs, version=made, serialization_settings=settings)
    assert again.outputs["o0"] == output and again.id != execution.id


def test_registering_with_options(client, remote):
    made = new_version()
    options = Options.default_from(k8s_service_account="bird", raw_data_prefix=f"{client.stack.store}/raw/mine")
    settings = settings_of(client, made)
    remote.register_workflow(flows.hello, settings, version=made)
    remote.register_launch_plan(flows.daily, made, options=options, serialization_settings=settings)
    plan = remote.fetch_launch_plan(name="ctl.daily", version=made)
    spec = remote.client.get_launch_plan(plan.id).spec
    assert spec.security_context.run_as.k8s_service_account == "bird"
    assert spec.raw_output_data_config.output_location_prefix == f"{client.stack.store}/raw/mine"
    assert spec.entity_metadata.schedule.cron_schedule.schedule == "30 4 * * *"
    execution = client.succeed(plan)
    assert execution.spec.security_context.run_as.k8s_service_account == "bird"
    assert execution.outputs["o0"] == "hello day"


def test_a_launch_plan_of_another_version_than_its_workflow(client, remote, version):
    made = new_version()
    plan = LaunchPlan.get_or_create(flows.echoes, f"ctl.made-{made}", default_inputs={"n": 12})
    remote.register_launch_plan(plan, version=version, project=PROJECT, domain=DOMAIN)
    assert client.succeed(remote.fetch_launch_plan(name=plan.name, version=version)).outputs["o0"] == 12


# References.

def references(version):
    def greet(name: str, times: int) -> str:
        return ""

    def hello(name: str) -> str:
        return ""

    def daily() -> str:
        return ""

    def of(reference, name, function):
        return reference(project=PROJECT, domain=DOMAIN, name=f"ctl.{name}", version=version)(function)

    greet, hello = of(reference_task, "greet", greet), of(reference_workflow, "hello", hello)
    daily = of(reference_launch_plan, "daily", daily)
    return {"task": (greet, {"name": "r", "times": 1}, "hello r"), "workflow": (hello, {"name": "r"}, "hello r"),
            "launch plan": (daily, {}, "hello day")}


@pytest.mark.parametrize("kind", ["task", "workflow", "launch plan"])
def test_references(client, version, kind):
    entity, inputs, output = references(version)[kind]
    assert client.succeed(entity, inputs).outputs["o0"] == output
    absent, inputs, _ = references("no-such-version")[kind]
    with pytest.raises(ValueError, match="missing entity of type"):
        client.start(absent, inputs)


# Pickled, as from a notebook.

PICKLED = """
import sys
from flytekit import task, workflow
from flytekit.configuration import Config, ImageConfig, PlatformConfig
from flytekit.remote import FlyteRemote

@task
def double(n: int) -> int:
    return 2 * n

@workflow
def twice(n: int) -> int:
    return double(n=double(n=n))

remote = FlyteRemote(Config(platform=PlatformConfig(endpoint=sys.argv[1], insecure=True)), default_project="flytesnacks",
                     default_domain="development", interactive_mode_enabled=True)
print("made", remote.execute(twice, inputs={"n": 5}, image_config=ImageConfig.auto_default_image()).id.name)
"""


def test_pickled(client, tmp_path):
    """flytekit uploads what cloudpickle makes of a script's own functions."""
    (tmp_path / "notebook.py").write_text(PICKLED)
    p = subprocess.run([sys.executable, "notebook.py", client.stack.grpc_address], cwd=tmp_path, text=True, timeout=120,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert p.returncode == 0, p.stderr
    name = p.stdout.rpartition("made ")[2].strip()
    assert client.wait(client.remote.fetch_execution(name=name)).outputs["o0"] == 20

"""Tasks as the process executor runs them: pods, what their error files say, and the resources that a platform gives."""
import base64
import json
import os
import subprocess

import grpc
import pytest
from flyteidl.admin import (execution_pb2, matchable_resource_pb2 as matchable, node_execution_pb2,
                            project_domain_attributes_pb2 as attributes, project_pb2, task_execution_pb2, task_pb2)
from flyteidl.core import (errors_pb2, execution_pb2 as core_execution, identifier_pb2, interface_pb2, literals_pb2,
                           tasks_pb2, types_pb2)

from test_executions import INTEGER, STRING, TERMINAL, Phase, code_of, integer, literals, text, unique, variables
from stack import wait_for

DOMAIN = "development"
R = tasks_pb2.Resources
ContainerError, ExecutionError = errors_pb2.ContainerError, core_execution.ExecutionError


def resources(requests=None, limits=None):
    return R(**{kind: [R.ResourceEntry(name=R.ResourceName.Value(k), value=v) for k, v in (values or {}).items()]
                for kind, values in (("requests", requests), ("limits", limits))})


def template(inputs=None, outputs=None, **target):
    return tasks_pb2.TaskTemplate(
        type="container", interface=interface_pb2.TypedInterface(inputs=variables(**(inputs or {})), outputs=variables(**(outputs or {}))),
        metadata=tasks_pb2.TaskMetadata(runtime=tasks_pb2.RuntimeMetadata(version="1", type=1),
                                        retries=literals_pb2.RetryStrategy(retries=1)), **target)


def shell(script, **container):
    return template(container=tasks_pb2.Container(image="debian:12", command=["sh", "-c", script], **container))


def register(admin, template, project="flytesnacks"):
    id = identifier_pb2.Identifier(resource_type=identifier_pb2.TASK, project=project, domain=DOMAIN,
                                   name=unique("task"), version="v1")
    template.id.CopyFrom(id)
    admin.CreateTask(task_pb2.TaskCreateRequest(id=id, spec=task_pb2.TaskSpec(template=template)))
    return id


def run(admin, task, seconds=60, **inputs):
    """To its end: the execution, and its attempts."""
    id = admin.CreateExecution(execution_pb2.ExecutionCreateRequest(
        project=task.project, domain=task.domain, inputs=literals(**inputs),
        spec=execution_pb2.ExecutionSpec(launch_plan=task))).id
    get = lambda: admin.GetExecution(execution_pb2.WorkflowExecutionGetRequest(id=id))
    wait_for(lambda: get().closure.phase in TERMINAL, seconds, "the execution's end", interval=0.05)
    [node] = [n for n in admin.ListNodeExecutions(node_execution_pb2.NodeExecutionListRequest(
        workflow_execution_id=id, limit=10)).node_executions if not n.id.node_id.endswith("-node")]
    attempts = admin.ListTaskExecutions(task_execution_pb2.TaskExecutionListRequest(
        node_execution_id=node.id, limit=10)).task_executions
    return get(), sorted(attempts, key=lambda t: t.id.retry_attempt)


# ---- pods ----

def pod(primary="main", **container):
    task = template(k8s_pod=tasks_pb2.K8sPod(metadata=tasks_pb2.K8sObjectMetadata(labels={"a": "b"})),
                    config={"primary_container_name": primary} if primary else {})
    task.k8s_pod.pod_spec.update({"containers": [{"name": "beside", "image": "x:1", "command": ["sleep", "1000"]},
                                                 {"name": "main", "image": "debian:12", **container}]})
    return task


def test_a_pod_s_primary_container_runs(stack, tmp_path):
    script = f"echo \"$ONE $TWO {{{{.namespace}}}}\" > {tmp_path}/said"
    environment = [{"name": "ONE", "value": "1"}, {"name": "TWO", "valueFrom": {"configMapKeyRef": {"name": "x"}}}]
    task = register(stack.admin, pod(command=["sh"], args=["-c", script], env=environment,
                                     resources={"requests": {"cpu": 1, "nvidia.com/gpu": "1"}}))
    execution, _ = run(stack.admin, task)
    assert execution.closure.phase == Phase.SUCCEEDED, execution.closure.error.message
    assert (tmp_path / "said").read_text() == "1  flytesnacks-development\n"


@pytest.mark.parametrize("primary, words", [
    ("", "config missing [primary_container_name]"), ("other", "primary container [other] not defined")])
def test_pods_without_their_container(stack, primary, words):
    execution, _ = run(stack.admin, register(stack.admin, pod(primary, command=["true"])))
    assert execution.closure.error.code == "BadTaskSpecification" and words in execution.closure.error.message


# ---- containers that know nothing of Flyte ----

FILE = types_pb2.LiteralType(blob=types_pb2.BlobType(format="txt"))


def raw(script, inputs=None, outputs=None, format=0):
    """Its files are where the task says, in the container that is not there."""
    return template(inputs, outputs, container=tasks_pb2.Container(
        image="debian:12", command=["sh", "-c", script], data_config=tasks_pb2.DataLoadingConfig(
            enabled=True, input_path="/var/inputs", output_path="/var/outputs", format=format)))


def blob(path):
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(blob=literals_pb2.Blob(
        uri=path, metadata=literals_pb2.BlobMetadata(type=FILE.blob))))


def outputs_of(stack, execution):
    data = stack.admin.GetExecutionData(execution_pb2.WorkflowExecutionGetDataRequest(id=execution.id))
    return data.full_outputs.literals


def test_inputs_and_outputs_in_files(stack, tmp_path):
    os.makedirs(f"{stack.store}/given", exist_ok=True)
    with open(f"{stack.store}/given/letter.txt", "w", encoding="utf-8") as f:
        f.write("Dear Ada,")
    script = (f"cp /var/inputs/inputs.json {tmp_path}; expr $(cat /var/inputs/n) + 1 > /var/outputs/m; "
              "printf '%s!' \"$(cat /var/inputs/s)\" > /var/outputs/t; tr a-z A-Z < /var/inputs/letter > /var/outputs/copy; "
              "echo true > /var/outputs/yes; echo 1.5 > /var/outputs/x")
    simple = lambda kind: types_pb2.LiteralType(simple=kind)
    task = register(stack.admin, raw(script, {"n": INTEGER, "s": STRING, "letter": FILE}, {
        "m": INTEGER, "t": STRING, "copy": FILE, "yes": simple(types_pb2.BOOLEAN), "x": simple(types_pb2.FLOAT)}))
    execution, _ = run(stack.admin, task, n=integer(41), s=text('a "b"'), letter=blob(f"{stack.store}/given/letter.txt"))
    assert execution.closure.phase == Phase.SUCCEEDED, execution.closure.error.message
    said = json.loads((tmp_path / "inputs.json").read_text())
    assert (said["n"], said["s"], os.path.basename(said["letter"])) == (41, 'a "b"', "letter")
    found = outputs_of(stack, execution)
    primitive = {k: found[k].scalar.primitive for k in ("m", "t", "yes", "x")}
    assert (primitive["m"].integer, primitive["t"].string_value) == (42, 'a "b"!')
    assert (primitive["yes"].boolean, primitive["x"].float_value) == (True, 1.5)
    with open(found["copy"].scalar.blob.uri, encoding="utf-8") as f:
        assert f.read() == "DEAR ADA,"


@pytest.mark.parametrize("script, code, words", [
    ("true", "OutputsNotFound", "output m: the task has not written"),
    ("echo one > /var/outputs/m", "OutputUploadFailed", "output m: its file has no value of its type"),
    ("yes | head -c 2000 > /var/outputs/m", "OutputUploadFailed", "maximum allowed filesize is [1024]"),
    ("echo 1 > /var/outputs/m; echo I refuse > /var/outputs/_ERROR", "OutputUploadFailed", "User Error: I refuse"),
    ("echo 1 > /var/outputs/m; exit 4", "UnknownError", "exit code (4)"),
])
def test_bad_output_files(stack, script, code, words):
    execution, attempts = run(stack.admin, register(stack.admin, raw(script, outputs={"m": INTEGER})))
    assert code in execution.closure.error.code and words in execution.closure.error.message
    assert len(attempts) == 2


# ---- errors ----

@pytest.mark.parametrize("kind, origin, attempts", [
    (ContainerError.NON_RECOVERABLE, ExecutionError.USER, 1),
    (ContainerError.NON_RECOVERABLE, ExecutionError.SYSTEM, 1),
    (ContainerError.RECOVERABLE, ExecutionError.USER, 2),
    (ContainerError.RECOVERABLE, ExecutionError.SYSTEM, 4),
])
def test_which_errors_are_tried_again(stack, kind, origin, attempts):
    """The user's retries are one, the system's three."""
    error = ContainerError(code="X", message="as told", kind=kind, origin=origin, worker="w")
    error.timestamp.seconds = 1_700_000_000
    packed = base64.b64encode(errors_pb2.ErrorDocument(error=error).SerializeToString()).decode()
    script = f"mkdir -p {{{{.outputPrefix}}}}; echo {packed} | base64 -d > {{{{.outputPrefix}}}}/error.pb"
    execution, made = run(stack.admin, register(stack.admin, shell(script)))
    assert execution.closure.phase == Phase.FAILED and "as told" in execution.closure.error.message
    assert len(made) == attempts
    told = stack.admin.GetTaskExecution(task_execution_pb2.TaskExecutionGetRequest(id=made[-1].id)).closure.error
    assert (told.code, told.message, told.kind, told.worker) == ("X", "as told", origin, "w")
    assert told.timestamp.seconds == 1_700_000_000


# ---- resources ----

@pytest.fixture
def project(stack):
    name = unique("p").lower()[:60]
    stack.admin.RegisterProject(project_pb2.ProjectRegisterRequest(project=project_pb2.Project(id=name, name=name)))
    stack.admin.UpdateProjectDomainAttributes(attributes.ProjectDomainAttributesUpdateRequest(
        attributes=attributes.ProjectDomainAttributes(
            project=name, domain=DOMAIN, matching_attributes=matchable.MatchingAttributes(
                task_resource_attributes=matchable.TaskResourceAttributes(
                    defaults=matchable.TaskResourceSpec(cpu="500m", memory="128Mi"),
                    limits=matchable.TaskResourceSpec(cpu="2", memory="1Gi"))))))
    return name


@pytest.mark.parametrize("asked, words", [
    (resources({"CPU": "3"}), "Requested CPU default [3] is greater than current limit set in the platform configuration [2]"),
    (resources({"MEMORY": "1Gi"}, {"MEMORY": "2Gi"}), "Requested MEMORY limit [2Gi] is greater than current limit"),
    (resources({"CPU": "2"}, {"CPU": "1"}), "Requested CPU default [2] is greater than the limit [1]"),
    (resources({"GPU": "500m"}), "must be a whole number, got: 500m instead"),
])
def test_resources_above_the_limits_are_refused(stack, project, asked, words):
    code, details = code_of(register, stack.admin, shell("true", resources=asked), project)
    assert code == grpc.StatusCode.INVALID_ARGUMENT and words in details


def test_the_local_stack_has_no_limits(stack):
    register(stack.admin, shell("true", resources=resources({"CPU": "1000", "MEMORY": "10Ti", "GPU": "8"})))


@pytest.mark.parametrize("asked, expected", [
    (resources(), ({"CPU": "500m", "MEMORY": "128Mi"}, {"CPU": "500m", "MEMORY": "128Mi"})),
    (resources({"CPU": "2000m"}, {"MEMORY": "64Gi"}), ({"CPU": "2", "MEMORY": "1Gi"}, {"CPU": "2", "MEMORY": "1Gi"})),
])
def test_a_task_gets_defaults_within_limits(stack, project, tmp_path, asked, expected):
    task = register(stack.admin, shell(f"cp {{{{.taskTemplatePath}}}} {tmp_path}/template.pb", resources=asked), project)
    execution, _ = run(stack.admin, task)
    assert execution.closure.phase == Phase.SUCCEEDED, execution.closure.error.message
    found = tasks_pb2.TaskTemplate.FromString((tmp_path / "template.pb").read_bytes()).container.resources
    assert tuple({R.ResourceName.Name(e.name): e.value for e in entries}
                 for entries in (found.requests, found.limits)) == expected


def test_what_is_no_quantity_keeps_admin_from_starting(stack):
    binary = os.path.join(stack.env["ALULA_BIN"], "alula-admin")
    env = {"ALULA_TASK_RESOURCES_LIMITS_CPU": "many", "ALULA_PROFILER_PORT": "0", "PATH": os.environ["PATH"]}
    ended = subprocess.run([binary, "--config", f"{stack.var}/etc/admin.yaml"], env=env, capture_output=True, timeout=30)
    assert ended.returncode != 0
    assert b"task_resources.limits.cpu" in ended.stdout + ended.stderr

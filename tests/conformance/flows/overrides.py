"""Nodes that ask for other than their tasks: time, machines, images, pods, resources."""
import datetime
import os
import time
from typing import Dict, List

from flytekit import ContainerTask, PodTemplate, Resources, kwtypes, map_task, task, workflow
from flytekit.extras.accelerators import A100, T4
from kubernetes.client import V1Container, V1EnvVar, V1PodSpec, V1ResourceRequirements

SHORT, LONG = datetime.timedelta(seconds=1), datetime.timedelta(minutes=9)


@task(timeout=LONG)
def sleeps(seconds: float) -> int:
    time.sleep(seconds)
    return 1


@task(environment={"OF_TASK": "task", "OF_BOTH": "task"})
def variables(names: List[str]) -> Dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


# Leaves what it is told of itself in a file.
shows = ContainerTask(name="overrides.shows", image="debian:12", inputs=kwtypes(directory=str),
                      requests=Resources(cpu="1", mem="1Gi"), limits=Resources(cpu="4", mem="4Gi"),
                      command=["sh", "-c", "cp {{.taskTemplatePath}} {{.inputs.directory}}/template.pb"])


# ---- time ----

@workflow
def shorter(seconds: float) -> int:
    return sleeps(seconds=seconds).with_overrides(timeout=SHORT, retries=0)


@workflow
def no_longer(seconds: float) -> int:
    return sleeps(seconds=seconds)


@workflow
def shorter_items(seconds: List[float]) -> List[int]:
    return map_task(sleeps)(seconds=seconds).with_overrides(timeout=SHORT, retries=0)


# ---- names, machines ----

@workflow
def named() -> int:
    sleeps(seconds=0.0).with_overrides(node_name="Its Id", name="its name")
    return sleeps(seconds=0.0)


@workflow(interruptible=True)
def machines() -> None:
    sleeps(seconds=0.0).with_overrides(node_name="of-the-workflow")
    sleeps(seconds=0.0).with_overrides(node_name="steady", interruptible=False)


@workflow
def steady_machines() -> None:
    sleeps(seconds=0.0).with_overrides(node_name="of-the-workflow")
    sleeps(seconds=0.0).with_overrides(node_name="interruptible", interruptible=True)


# ---- resources ----

@workflow
def some_resources(directory: str) -> None:
    shows(directory=directory).with_overrides(requests=Resources(cpu="2"))


@workflow
def other_accelerator(directory: str) -> None:
    shows(directory=directory).with_overrides(accelerator=A100.partition_1g_5gb)


@workflow
def shared_memory(directory: str) -> None:
    shows(directory=directory).with_overrides(accelerator=T4, shared_memory="1Gi")


@workflow
def bad_shared_memory(directory: str) -> None:
    shows(directory=directory).with_overrides(shared_memory="much")


@workflow
def bad_resources(directory: str) -> None:
    shows(directory=directory).with_overrides(requests=Resources(cpu="much"))


# ---- pods ----

def pod(*containers: V1Container, primary: str = "main") -> PodTemplate:
    return PodTemplate(primary_container_name=primary, labels={"of": "node"}, pod_spec=V1PodSpec(containers=containers))


MAIN = V1Container(name="main", image="of-pod:1", env=[V1EnvVar(name="OF_POD", value="pod"), V1EnvVar(name="OF_BOTH", value="pod")],
                   resources=V1ResourceRequirements(requests={"cpu": "500m"}))
BESIDE = V1Container(name="beside", image="beside:1", command=["false"], env=[V1EnvVar(name="OF_POD", value="beside")])


@workflow
def in_pod(names: List[str]) -> Dict[str, str]:
    return variables(names=names).with_overrides(pod_template=pod(BESIDE, MAIN))

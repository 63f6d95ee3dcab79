"""Workflows of test_tasks_run.py: what one task is given, and what becomes of what it leaves."""
import asyncio
import datetime
import os
import time
from pathlib import Path
from typing import Dict, List, Tuple

from flytekit import ContainerTask, Deck, Resources, Secret, current_context, dynamic, eager, kwtypes, task, workflow
from flytekit.exceptions.user import FlyteRecoverableException

# ---- secrets ----


@task(secret_requests=[Secret(group="db", key="password", mount_requirement=Secret.MountType.ENV_VAR, env_var="PASSWORD"),
                       Secret(group="db", key="Cert", mount_requirement=Secret.MountType.FILE, env_var="CERT_FILE"),
                       Secret(group="api", key="token")])
def use_secrets(directory: str) -> List[str]:
    secrets = current_context().secrets
    path = Path(os.environ["CERT_FILE"])
    Path(directory, "cert").write_text(str(path), encoding="utf-8")
    return [secrets.get("db", "password"), os.environ["PASSWORD"], os.environ["_FSEC_DB_PASSWORD"],
            secrets.get("db", "Cert"), path.read_text(encoding="utf-8"), oct(path.parent.parent.stat().st_mode & 0o777),
            secrets.get("api", "token"), str("_FSEC_API_TOKEN" in os.environ),
            str(b"hunter2" in Path("../spec").read_bytes())]


@task(secret_requests=[Secret(group="db", key="password", group_version="v2", mount_requirement=Secret.MountType.ENV_VAR)])
def use_version() -> str:
    return current_context().secrets.get("db", "password", group_version="v2")


@task(retries=3, secret_requests=[Secret(group="db", key="passwort")])
def misses_secret():
    pass


# ---- eager ----


@task
async def plus_one(n: int) -> int:
    return n + 1


@task
def successor(n: int) -> int:
    return n + 1


@task
async def environment(name: str) -> str:
    return os.environ.get(name, "")


@task
async def fails(n: int) -> int:
    if n:
        raise ValueError(f"{n} is not to my liking")
    return n


@task
async def slow(directory: str) -> int:
    Path(directory, "slow").touch()
    time.sleep(600)
    return 1


@workflow
def plus_two(n: int) -> int:
    return successor(n=successor(n=n))


@eager
async def eager_sum(n: int) -> int:
    one, other = await asyncio.gather(plus_one(n=n), plus_one(n=n + 1))
    return one + other + plus_two(n=n) + successor(n=0)


@eager
async def eager_outer(n: int) -> Tuple[int, str]:
    total = await eager_sum(n=n)
    return total, await environment(name="_F_EE_ROOT")


@eager
async def eager_fails(n: int) -> int:
    return await fails(n=await plus_one(n=n))


@eager
async def eager_leaves_one(directory: str) -> int:
    """One fails while another one runs."""
    async def later():
        while not Path(directory, "slow").exists():
            await asyncio.sleep(0.1)
        return await fails(n=7)
    return sum(await asyncio.gather(slow(directory=directory), later()))


@eager
async def eager_waits(directory: str) -> int:
    return await slow(directory=directory)


# ---- retries, checkpoints ----


@task(retries=3)
def resumes(steps: int) -> str:
    checkpoint = current_context().checkpoint
    before = checkpoint.read()
    done = int(before.decode()) + 1 if before else 1
    checkpoint.write(str(done).encode())
    if done < steps:
        raise FlyteRecoverableException(f"stopped after step {done}")
    return f"{done} steps in attempt {os.environ['FLYTE_ATTEMPT_NUMBER']}"


@task(retries=1, timeout=datetime.timedelta(seconds=3))
def too_slow():
    time.sleep(600)


# ---- decks ----


@task(enable_deck=True)
def with_deck(fail: bool) -> int:
    Deck("mine", "<b>a deck of mine</b>")
    if fail:
        raise ValueError("after the deck")
    return 1


@task(enable_deck=True)
def killed_before_its_deck() -> int:
    os._exit(3)
    return 1


@dynamic(enable_deck=True)
def dynamic_with_deck(n: int) -> int:
    Deck("mine", "<b>a deck of mine</b>")
    return successor(n=n)


@task(enable_deck=True)
def deck_while_running(directory: str) -> int:
    Deck("mine", "<b>the deck so far</b>").publish()
    Path(directory, "published").touch()
    while not Path(directory, "go-on").exists():
        time.sleep(0.1)
    return 1


# ---- what it is told ----


@task(environment={"OF_TASK": "task", "OF_BOTH": "task"})
def variables(names: List[str]) -> Dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


@task(environment={"_F_DES": "Earliest", "_F_WN": "worker-3"})
def one_of_many_workers() -> int:
    """Another one has failed before, and told so."""
    from flyteidl.core import errors_pb2, execution_pb2
    for name, seconds in (("error-0.pb", 2_000_000_000), ("error-1.pb", 1_000_000_000), ("error-2.pb", 1_500_000_000)):
        document = errors_pb2.ErrorDocument(error=errors_pb2.ContainerError(
            code=f"USER:{name}", message=f"from {name}", kind=errors_pb2.ContainerError.NON_RECOVERABLE,
            origin=execution_pb2.ExecutionError.USER, worker=f"worker of {name}"))
        document.error.timestamp.seconds = seconds
        directory = Path(current_context().output_metadata_prefix)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(document.SerializeToString())
    if directory:
        raise ValueError("from the one that is asked")
    return 0


@task(environment={"_F_DES": "Earliest", "_F_WN": "worker-3"})
def all_workers_work() -> int:
    return 5


# ---- overrides ----

show_template = ContainerTask(name="tasks.show_template", image="debian:12", inputs=kwtypes(directory=str),
                              command=["sh", "-c", "cp {{.taskTemplatePath}} {{.inputs.directory}}/template.pb"])


@workflow
def overridden(directory: str) -> str:
    show_template(directory=directory).with_overrides(
        node_name="shown", name="its other name", container_image="elsewhere:2", requests=Resources(cpu="2", mem="1Gi"),
        limits=Resources(cpu="3", mem="2Gi"))
    return resumes(steps=2).with_overrides(retries=5, timeout=datetime.timedelta(minutes=9), interruptible=True,
                                           name="it resumes")

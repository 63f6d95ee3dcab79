"""Workflows of test_tasks_run.py: what one task is given, and what becomes of what it leaves."""
import asyncio
import os
import time
from pathlib import Path
from typing import Dict, List, Tuple

from flytekit import Resources, Secret, current_context, eager, map_task, task, workflow
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

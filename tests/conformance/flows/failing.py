"""Workflows of test_flytekit_failures.py."""
import sys
from pathlib import Path

from flytekit import task, workflow
from flytekit.exceptions.user import FlyteRecoverableException


def count(directory: str) -> int:
    """How often this was called."""
    path = Path(directory, "attempts")
    with open(path, "a", encoding="utf-8") as f:
        f.write("x")
    return path.stat().st_size


@task
def one() -> int:
    return 1


@task
def divide(n: int) -> int:
    return n // 0


@task
def after(n: int) -> int:
    return n


@workflow
def division() -> int:
    return after(n=divide(n=one()))


@task(retries=3)
def third_time(directory: str) -> int:
    n = count(directory)
    if n < 3:
        raise FlyteRecoverableException(f"attempt {n} is too early")
    return n


@task(retries=1)
def never(directory: str) -> int:
    n = count(directory)
    if n:
        raise FlyteRecoverableException(f"attempt {n} did not work")
    return n


@task(retries=2)
def not_again(directory: str) -> int:
    n = count(directory)
    if n:
        raise ValueError(f"attempt {n} is wrong for good")
    return n


@task
def leave(directory: str) -> int:
    print("about to leave", flush=True)
    return sys.exit(7 * count(directory))


@task
def long_message() -> int:
    return {}["start " + "ü" * 200_000 + " the end"]

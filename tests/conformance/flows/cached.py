"""Cached tasks. Each leaves a line in a file when it really runs."""
import os
import time
from functools import partial
from typing import List

from flytekit import Cache, HashMethod, dynamic, map_task, task, workflow
from flytekit.types.file import FlyteFile
from typing_extensions import Annotated


def note(log: str, what: object) -> None:
    """One line, written at once."""
    with open(log, "a", encoding="utf-8") as f:
        f.write(f"{what}\n")


@task(cache=True, cache_version="1.0")
def square(n: int, log: str) -> int:
    note(log, n)
    return n * n


@task(cache=Cache(version="1.0", ignored_inputs=("label",)))
def labelled(n: int, label: str, log: str) -> str:
    note(log, label)
    return f"{label} {n}"


@task(cache=True, cache_version="1.0", cache_serialize=True)
def slow_square(n: int, log: str, seconds: float) -> int:
    note(log, n)
    time.sleep(seconds)
    return n * n


@task(cache=True, cache_version="1.0", cache_serialize=True, retries=0)
def fails_first(n: int, log: str) -> int:
    note(log, n)
    with open(log, encoding="utf-8") as f:
        first = len(f.readlines()) == 1
    if first:
        time.sleep(1)
        raise ValueError("the first one fails")
    return n


@task
def uncached(n: int, log: str) -> int:
    note(log, n)
    return n + 1


@task(cache=True, cache_version="1.0")
def says_nothing(n: int, log: str):
    note(log, n)


@workflow
def squares(n: int, log: str) -> int:
    return square(n=n, log=log)


@workflow
def chained(n: int, log: str) -> int:
    return square(n=square(n=n, log=log), log=log)


@workflow
def labels(n: int, label: str, log: str) -> str:
    return labelled(n=n, label=label, log=log)


@workflow
def slow(n: int, log: str, seconds: float) -> int:
    return slow_square(n=n, log=log, seconds=seconds)


@workflow
def second_chance(n: int, log: str) -> int:
    return fails_first(n=n, log=log)


@workflow
def silent(n: int, log: str):
    says_nothing(n=n, log=log)


@workflow
def other_version(n: int, log: str) -> int:
    return square(n=n, log=log).with_overrides(cache=True, cache_version="2.0")


@workflow
def not_cached_here(n: int, log: str) -> int:
    return square(n=n, log=log).with_overrides(cache=False)


@workflow
def cached_here(n: int, log: str) -> int:
    return uncached(n=n, log=log).with_overrides(cache=True, cache_version="1.0")


@workflow
def mapped(xs: List[int], log: str) -> List[int]:
    return map_task(partial(square, log=log))(n=xs)


@dynamic(cache=True, cache_version="1.0")
def dynamic_sum(n: int, log: str) -> int:
    note(log, "dynamic")
    total = uncached(n=0, log=log)
    for i in range(1, n):
        total = uncached(n=total, log=log)
    return total


@workflow
def dynamic_flow(n: int, log: str) -> int:
    return dynamic_sum(n=n, log=log)


def hash_file(f: FlyteFile) -> str:
    with open(f.path, encoding="utf-8") as opened:
        return opened.read()


@task
def numbers(n: int) -> Annotated[FlyteFile, HashMethod(hash_file)]:
    """A new file with every run."""
    with open("numbers.txt", "w", encoding="utf-8") as f:
        f.write(str(n))
    return FlyteFile("numbers.txt")


@task(cache=True, cache_version="1.0")
def read_number(f: FlyteFile, log: str) -> int:
    note(log, "read")
    with open(f, encoding="utf-8") as opened:
        return int(opened.read())


@workflow
def by_hash(n: int, log: str) -> int:
    return read_number(f=numbers(n=n), log=log)


@workflow
def large(n: int, log: str) -> str:
    return long_text(n=n, log=log)


@task(cache=True, cache_version="1.0")
def long_text(n: int, log: str) -> str:
    note(log, n)
    return os.path.sep * n

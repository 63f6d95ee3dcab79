"""Workflows of test_flytekit.py."""
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Tuple

from flytekit import current_context, task, workflow
from flytekit.types.file import FlyteFile


@task
def add(a: int, b: int = 2) -> int:
    print(f"adding {a} and {b}")
    return a + b


@task
def describe(n: int, label: str = "sum") -> str:
    return f"{label}: {n}"


@workflow
def sums(a: int, b: int = 5, label: str = "total") -> Tuple[int, str]:
    n = add(a=a, b=b)
    return n, describe(n=n, label=label)


@dataclass
class Point:
    x: int
    name: str = "p"
    path: List[float] = field(default_factory=list)


@task
def make_point(x: int) -> Point:
    return Point(x=x, name="made", path=[0.5, 1.5])


@task
def move(p: Point, by: int) -> Point:
    return Point(p.x + by, p.name + "-moved", [*p.path, 2.5])


@workflow
def points(x: int) -> Tuple[Point, str]:
    made = make_point(x=x)
    moved = move(p=made, by=made.x)
    return moved, describe(n=moved.x, label=made.name)


@task
def write_file(text: str) -> FlyteFile:
    path = Path(current_context().working_directory) / "text.txt"
    path.write_text(text, encoding="utf-8")
    return FlyteFile(str(path))


@task
def read_file(file: FlyteFile) -> str:
    return Path(file.download()).read_text(encoding="utf-8").upper()


@workflow
def files(text: str) -> str:
    return read_file(file=write_file(text=text))


@task
def void_first(directory: str):
    Path(directory, "first").write_text("1")


@task
def void_second(directory: str):
    Path(directory, "second").write_text(str(Path(directory, "first").exists()))


@workflow
def voids(directory: str):
    second = void_second(directory=directory)
    first = void_first(directory=directory)
    first >> second


@task
def look_around() -> Dict[str, str]:
    found = {k: v for k, v in os.environ.items() if k.startswith("FLYTE_") or k == "GREETING"}
    return {**found, "cwd": os.getcwd(), "path": os.environ["PATH"]}


@task
def sleep_long(directory: str) -> int:
    Path(directory, "pid").write_text(str(os.getpid()))
    time.sleep(600)
    return 1

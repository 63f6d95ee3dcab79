"""Tasks with typed inputs, outputs and defaults, and a workflow of them.

    python examples/wages.py
    pyflyte --config var/etc/flyte-client.yaml run --remote examples/wages.py wages --hours '[38.5, 41, 36]'
"""
from typing import List, Tuple

from flytekit import task, workflow


@task
def total(hours: List[float]) -> float:
    return sum(hours, 0.0)


@task
def pay(hours: float, rate: float = 21.5, overtime_after: float = 110.0) -> float:
    overtime = max(hours - overtime_after, 0.0)
    return round(rate * (hours + overtime / 2), 2)


@task
def letter(name: str, hours: float, amount: float) -> str:
    return f"Dear {name}, for {hours:g} hours you get {amount:.2f}."


@workflow
def wages(name: str = "Ada", hours: List[float] = [38.5, 41.0, 36.0], rate: float = 21.5) -> Tuple[float, str]:
    worked = total(hours=hours)
    amount = pay(hours=worked, rate=rate)
    return amount, letter(name=name, hours=worked, amount=amount)


if __name__ == "__main__":
    print(wages())

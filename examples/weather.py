"""A dataclass goes from task to task, and one of its fields alone.

    python examples/weather.py
    pyflyte --config var/etc/flyte-client.yaml run --remote examples/weather.py weather --city Oslo
"""
from dataclasses import dataclass, field
from typing import List

from flytekit import task, workflow


@dataclass
class Forecast:
    city: str
    degrees: List[float] = field(default_factory=list)
    rain: bool = False


@task
def measure(city: str, days: int) -> Forecast:
    return Forecast(city=city, degrees=[10.0 + (len(city) * day) % 7 for day in range(days)], rain=len(city) % 2 == 0)


@task
def warmer(forecast: Forecast, by: float = 1.5) -> Forecast:
    return Forecast(forecast.city, [d + by for d in forecast.degrees], forecast.rain)


@task
def report(city: str, forecast: Forecast) -> str:
    return f"{city}: {', '.join(f'{d:g}°' for d in forecast.degrees)}{', rain' if forecast.rain else ''}"


@workflow
def weather(city: str = "Oslo", days: int = 3) -> str:
    measured = measure(city=city, days=days)
    return report(city=measured.city, forecast=warmer(forecast=measured))


if __name__ == "__main__":
    print(weather())

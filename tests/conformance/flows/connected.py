"""Tasks that connectors run: a sleep, flytekit's webhook and sensor, and ones that go wrong. See connector_tasks.py."""
from typing import List

from connector_tasks import SleepConfig, SleepTask
from flytekit import map_task, task, workflow
from flytekit.extras.webhook import WebhookTask
from flytekit.sensor.file_sensor import FileSensor

sleep = SleepTask("connected.sleep")
sleep_retried = SleepTask("connected.sleep_retried", retries=2)
sleep_short = SleepTask("connected.sleep_short", timeout_s=3)
hook = WebhookTask(name="connected.hook", url="http://127.0.0.1:{inputs.port}/{inputs.path}", method="POST",
                   data={"word": "{inputs.word}"}, dynamic_inputs={"port": int, "path": str, "word": str},
                   show_data=True, show_url=True)
sensor = FileSensor(name="connected.sensor")


@task(task_config=SleepConfig())
def doze(seconds: float, word: str, how: str) -> str:
    return "nobody runs this here"


@task
def length(s: str) -> int:
    return len(s)


@workflow
def slept(seconds: float, word: str) -> int:
    return length(s=sleep(seconds=seconds, word=word, how="succeed"))


@workflow
def how(seconds: float, word: str, how: str) -> str:
    return sleep(seconds=seconds, word=word, how=how)


@workflow
def retried(word: str, how: str) -> str:
    return sleep_retried(seconds=0.0, word=word, how=how)


@workflow
def too_slow(word: str) -> str:
    return sleep_short(seconds=60.0, word=word, how="succeed")


@workflow
def hooked(port: int, path: str, word: str) -> dict:
    return hook(port=port, path=path, word=word)


@workflow
def sensed(path: str) -> int:
    found = sensor(path=path)
    after = length(s=path)
    found >> after
    return after


@workflow
def dozed(word: str) -> str:
    return doze(seconds=0.0, word=word, how="succeed")


@workflow
def many(words: List[str]) -> List[str]:
    return map_task(doze)(word=words, seconds=[0.1, 0.1, 0.1], how=["succeed", "succeed", "succeed"])

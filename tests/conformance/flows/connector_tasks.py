"""A connector of our own for flytekit's server, as people write them: it sleeps, and fails when told to.

    pyflyte serve connector --modules connector_tasks

What it was asked goes to the file of the environment's CONNECTOR_LOG, a line a call: "create <word>", "get", "delete". Who
is to "wait" does so until there is a file of that name and ".<word>"."""
import os
import time
from dataclasses import dataclass
from typing import Optional

from flyteidl.core.execution_pb2 import TaskExecution, TaskLog
from flytekit import PythonFunctionTask, kwtypes
from flytekit.configuration import SerializationSettings
from flytekit.core.base_task import PythonTask, TaskMetadata
from flytekit.core.interface import Interface
from flytekit.extend import TaskPlugins
from flytekit.extend.backend.base_connector import (AsyncConnectorBase, AsyncConnectorExecutorMixin, ConnectorRegistry,
                                                    Resource, ResourceMeta)


class SleepTask(AsyncConnectorExecutorMixin, PythonTask):
    def __init__(self, name, retries=0, timeout_s=0, task_type="sleep_a_while"):
        super().__init__(task_type=task_type, name=name, task_config=None, metadata=TaskMetadata(retries=retries, timeout=timeout_s or None),
                         interface=Interface(inputs=kwtypes(seconds=float, word=str, how=str), outputs=kwtypes(o0=str)))

    def get_custom(self, settings: SerializationSettings):
        return {"made": "by a test"}


@dataclass
class SleepConfig:
    """@task(task_config=SleepConfig()): a function whose container only the connector may start; ours does not."""
    mood: str = "calm"


class SleepFunctionTask(AsyncConnectorExecutorMixin, PythonFunctionTask[SleepConfig]):
    def __init__(self, task_config, task_function, **kwargs):
        super().__init__(task_config=task_config, task_function=task_function, task_type="sleep_a_while", **kwargs)

    def execute(self, **kwargs):
        return PythonFunctionTask.execute(self, **kwargs)


TaskPlugins.register_pythontask_plugin(SleepConfig, SleepFunctionTask)


@dataclass
class SleepMeta(ResourceMeta):
    end: float
    word: str
    how: str
    attempt: int
    prefix: str
    polls: int = 0


def note(text):
    path = os.environ.get("CONNECTOR_LOG")
    if path:
        with open(path, "a", encoding="utf-8") as f:
            f.write(text + "\n")


class SleepConnector(AsyncConnectorBase):
    name = "Sleep"

    def __init__(self):
        super().__init__(task_type_name="sleep_a_while", metadata_type=SleepMeta)

    async def create(self, task_template, output_prefix="", inputs=None, task_execution_metadata=None, **kwargs):
        values = {k: v.scalar.primitive.value for k, v in inputs.literals.items()}
        identity = task_execution_metadata.task_execution_id
        if task_template.container:
            note(f"args {' '.join(task_template.container.args)}")
        note(f"create {values['word']} {identity.node_execution_id.node_id} {identity.retry_attempt}")
        if values["how"] == "refuse":
            raise ValueError("it does not want to")
        return SleepMeta(time.time() + values["seconds"], values["word"], values["how"], identity.retry_attempt,
                         output_prefix)

    async def get(self, resource_meta: SleepMeta, **kwargs) -> Resource:
        m = resource_meta
        note(f"get {m.word}")
        logs = [TaskLog(uri=f"http://logs/{m.word}", name="Sleep log")]
        info = {"word": m.word, "attempt": m.attempt}
        told = m.how != "wait" or os.path.exists(f"{os.environ['CONNECTOR_LOG']}.{m.word}")
        if time.time() < m.end or not told:
            return Resource(TaskExecution.RUNNING, message="asleep", log_links=logs, custom_info=info)
        if m.how in ("succeed", "wait"):
            return Resource(TaskExecution.SUCCEEDED, outputs={"o0": m.word.upper()}, log_links=logs, custom_info=info)
        if m.how == "fail":
            return Resource(TaskExecution.FAILED, message=f"{m.word} went wrong", log_links=logs, custom_info=info)
        if m.how == "retry":
            phase = TaskExecution.RETRYABLE_FAILED if m.attempt < 2 else TaskExecution.SUCCEEDED
            return Resource(phase, message="once more", outputs={"o0": f"{m.word}{m.attempt}"})
        if m.how == "abort":
            return Resource(TaskExecution.ABORTED)
        if m.how == "forget":
            return Resource(TaskExecution.SUCCEEDED, outputs={"other": "x"})
        if m.how == "file":
            write_outputs(m.prefix, m.word)
            return Resource(TaskExecution.SUCCEEDED)
        if m.how == "no file":
            return Resource(TaskExecution.SUCCEEDED)
        raise ValueError("it cannot say")

    async def delete(self, resource_meta: SleepMeta, **kwargs):
        note(f"delete {resource_meta.word}")


def write_outputs(prefix, word):
    from flyteidl.core.literals_pb2 import Literal, LiteralMap, Primitive, Scalar
    os.makedirs(prefix, exist_ok=True)
    with open(f"{prefix}/outputs.pb", "wb") as f:
        f.write(LiteralMap(literals={"o0": Literal(scalar=Scalar(primitive=Primitive(string_value=word * 2)))})
                .SerializeToString())


ConnectorRegistry.register(SleepConnector())

"""flytekit's own client on a stack, and short ways to register, run and wait."""
import datetime
import importlib
import os
import sys
import time
import urllib.request
import uuid

import fsspec
from flytekit import ContainerTask
from flytekit.configuration import Config, ImageConfig, PlatformConfig, SerializationSettings
from flytekit.models.core.execution import NodeExecutionPhase, WorkflowExecutionPhase
from flytekit.remote import FlyteRemote
from flytekit.remote.remote_fs import get_flyte_fs

FLOWS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "flows")
PROJECT, DOMAIN = "flytesnacks", "development"
SECONDS = 120
sys.path.insert(0, FLOWS)


def phase(execution):
    return WorkflowExecutionPhase.enum_to_string(execution.closure.phase)


def node_phase(node):
    return NodeExecutionPhase.enum_to_string(node.closure.phase)


def log_text(task_execution):
    """What the attempt printed, by its log link."""
    uri = task_execution.closure.logs[0].uri
    assert uri.startswith("http://localhost:"), uri
    with urllib.request.urlopen(uri, timeout=30) as f:
        return f.read().decode("utf-8")


class Client:
    def __init__(self, stack):
        config = Config(platform=PlatformConfig(endpoint=stack.grpc_address, insecure=True))
        self.stack = stack
        self.remote = FlyteRemote(config, default_project=PROJECT, default_domain=DOMAIN)
        self.registered = {}

    def take_file_system(self):
        """flytekit has one flyte:// file system, that of the FlyteRemote made last: its stack may be gone by now."""
        fsspec.register_implementation("flyte", get_flyte_fs(self.remote), clobber=True)

    def register(self, module, name, version=None):
        """Fast registration of an entity of flows/, once."""
        key = (module, name, version)
        if key not in self.registered:
            entity = getattr(importlib.import_module(module), name)
            self.registered[key] = self.remote.register_script(entity, source_path=FLOWS, module_name=module,
                                                               version=version or f"v-{uuid.uuid4().hex[:12]}")
        return self.registered[key]

    def register_shell(self, script, inputs=None, outputs=None, image="debian:12", command=("sh", "-c"), **kwargs):
        """A container task of a shell script. A retry strategy, say, comes by `metadata`."""
        name = f"shell.{uuid.uuid4().hex[:12]}"
        task = ContainerTask(name=name, image=image, command=[*command, script], inputs=inputs, outputs=outputs,
                             **kwargs)
        settings = SerializationSettings(image_config=ImageConfig.auto_default_image(), project=PROJECT, domain=DOMAIN,
                                         version="1")
        return task, self.remote.register_task(task, serialization_settings=settings, version="1")

    def start(self, entity, inputs=None, **kwargs):
        return self.remote.execute(entity, inputs=inputs or {}, **kwargs)

    def wait(self, execution, seconds=SECONDS):
        """Until it is done, with nodes and task executions read."""
        end = time.monotonic() + seconds
        while not execution.is_done:
            assert time.monotonic() < end, f"execution {execution.id.name} is {phase(execution)} after {seconds} s"
            time.sleep(0.05)
            self.remote.sync_execution(execution)
        return self.remote.sync_execution(execution, sync_nodes=True)

    def run(self, entity, inputs=None, seconds=SECONDS, **kwargs):
        return self.wait(self.start(entity, inputs, **kwargs), seconds)

    def succeed(self, entity, inputs=None, **kwargs):
        execution = self.run(entity, inputs, **kwargs)
        assert phase(execution) == "SUCCEEDED", execution.closure.error.message
        return execution

    def fail(self, entity, inputs=None, **kwargs):
        execution = self.run(entity, inputs, **kwargs)
        assert phase(execution) == "FAILED"
        return execution


def nodes(execution):
    """The node executions by their ids, those of the start and the end left out."""
    return {k: n for k, n in execution.node_executions.items() if k not in ("start-node", "end-node")}


def attempts(execution, node=None):
    """The attempts of a node, or of the only one, first to last."""
    all_nodes = nodes(execution)
    [key] = [node] if node else all_nodes
    return sorted(all_nodes[key].task_executions, key=lambda t: t.id.retry_attempt)


def alive(pid):
    """Zombies are not: who ought to reap them is no affair of ours."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def seconds(n):
    return datetime.timedelta(seconds=n)

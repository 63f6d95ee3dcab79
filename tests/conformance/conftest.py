"""`client`, `remote`: flytekit's clients on the session's stack; `ctl`: flytectl on it; `flows`: that with something registered."""
import uuid

import pytest

pytest.register_assert_rewrite("suite", "flytectl")
from flytectl import Flytectl, Registered  # noqa: E402
from flyte_client import Client  # noqa: E402


@pytest.fixture(scope="session")
def client(stack):
    return Client(stack)


@pytest.fixture(scope="module")
def remote(client):
    """The client's FlyteRemote, with its file access to the stack."""
    client.take_file_system()
    return client.remote


@pytest.fixture
def shared(tmp_path):
    """A directory that tasks write to."""
    return str(tmp_path)


@pytest.fixture(scope="session")
def ctl(stack, tmp_path_factory):
    return Flytectl(stack, tmp_path_factory.mktemp("flytectl"))


@pytest.fixture(scope="session")
def flows(ctl):
    return Registered(ctl, f"ctl-{uuid.uuid4().hex[:8]}")

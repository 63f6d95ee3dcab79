"""`client`: flytekit's client on the session's stack."""
import pytest

pytest.register_assert_rewrite("suite")
from flyte_client import Client  # noqa: E402


@pytest.fixture(scope="session")
def client(stack):
    return Client(stack)


@pytest.fixture
def shared(tmp_path):
    """A directory that tasks write to."""
    return str(tmp_path)

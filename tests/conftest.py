"""Fixtures of the integration and conformance tests: `stack` is shared by a session, `new_stack` makes one for a test that breaks it."""
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "integration"))
from stack import Stack  # noqa: E402


@pytest.fixture(scope="session")
def stack():
    """A stack that tests may use but not harm."""
    with Stack() as s:
        yield s.up()


@pytest.fixture
def new_stack():
    """new_stack(admins=1, propellers=1, env=None): a stack of the test's own, up; torn down after it."""
    made = []

    def make(**kwargs):
        s = Stack(**kwargs)
        made.append(s)
        return s.up()

    yield make
    errors = []
    for s in made:
        try:
            s.close()
        except AssertionError as e:
            errors.append(str(e))
    assert not errors, "\n".join(errors)

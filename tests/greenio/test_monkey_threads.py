"""`threading` and what is built on it in a patched process, and native threads beside it."""

import pytest
import scenarios


@pytest.fixture(scope="module")
def outcomes():
    return scenarios.together("threads.py")


@pytest.mark.parametrize("name", scenarios.names("threads.py"))
def test_threads(outcomes, name):
    assert outcomes[name] is None, outcomes[name]

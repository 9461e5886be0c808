"""`threading` and the modules that are built on it in a patched process, and native threads beside it."""

import pytest
import scenarios


@pytest.fixture(scope="module")
def outcomes():
    return scenarios.together("threads.py")


@pytest.mark.parametrize("name", scenarios.names("threads.py"))
def test_threading_works_in_a_patched_process(outcomes, name):
    assert outcomes[name] is None, outcomes[name]

"""What CPython keeps by native thread: which of it greenlets that are threads have for themselves."""

import pytest
import scenarios


@pytest.fixture(scope="module")
def outcomes():
    return scenarios.together("thread_state.py")


@pytest.mark.parametrize("name", scenarios.names("thread_state.py"))
def test_each_thread_has_its_own_state(outcomes, name):
    assert outcomes[name] is None, outcomes[name]

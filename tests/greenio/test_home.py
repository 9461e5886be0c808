"""Patched processes: the native thread to which a thread belongs that is a greenlet, if a native thread started it."""

import pytest
import scenarios


@pytest.fixture(scope="module")
def outcomes():
    return scenarios.together("homes.py")


@pytest.mark.parametrize("name", scenarios.names("homes.py"))
def test_a_thread_runs_in_the_native_thread_it_belongs_to(outcomes, name):
    assert outcomes[name] is None, outcomes[name]

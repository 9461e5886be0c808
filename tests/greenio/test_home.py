"""Where threads live that are greenlets: those that native threads start, in patched processes."""

import pytest
import scenarios


@pytest.fixture(scope="module")
def outcomes():
    return scenarios.together("homes.py")


@pytest.mark.parametrize("name", scenarios.names("homes.py"))
def test_a_thread_lives_where_it_belongs(outcomes, name):
    assert outcomes[name] is None, outcomes[name]

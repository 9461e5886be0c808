"""multiprocessing's locks in a patched process."""

import pytest
import scenarios


@pytest.fixture(scope="module")
def outcomes():
    return scenarios.together("semlocks.py")


@pytest.mark.parametrize("name", scenarios.names("semlocks.py"))
def test_locks_of_multiprocessing_wait_cooperatively(outcomes, name):
    assert outcomes[name] is None, outcomes[name]

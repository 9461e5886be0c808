"""Signal handlers, and asyncio, in a patched process."""

import pytest
import scenarios


@pytest.fixture(scope="module")
def outcomes():
    return scenarios.together("signals.py")


@pytest.mark.parametrize("name", scenarios.names("signals.py"))
def test_signals_are_handled_in_a_patched_process(outcomes, name):
    assert outcomes[name] is None, outcomes[name]

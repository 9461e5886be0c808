"""sys._current_frames() of patched programs has the place of each thread."""

import pytest
import scenarios


@pytest.fixture(scope="module")
def outcomes():
    return scenarios.together("frames.py")


@pytest.mark.parametrize("name", scenarios.names("frames.py"))
def test_each_thread_is_where_it_runs_or_waits(outcomes, name):
    assert outcomes[name] is None, outcomes[name]

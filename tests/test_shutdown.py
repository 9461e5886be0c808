"""The interpreter ends without noise, whatever is still alive."""

import pytest

WAYS = [
    "end", "exit", "exit from greenlet", "daemon thread", "daemon threads and main", "thread", "destroyed", "unused",
    "cycle", "busy thread", "fork",
]  # fmt: skip


@pytest.mark.parametrize("how", WAYS)
def test_the_end(run_script, how):
    assert set(run_script("shutdown.py", how).split("\n")) == {"begun", ""}


def test_greenlets_still_run_at_exit(run_script):
    assert run_script("shutdown.py", "atexit") == "begun\nat exit\n"


def test_finalizers_at_the_end_of_the_interpreter(run_script):
    assert run_script("used_by_finalizers.py") == "finalized\n"


def test_greenlets_that_are_kept_to_the_end(run_script):
    assert run_script("kept_to_the_end.py") == "3\n"

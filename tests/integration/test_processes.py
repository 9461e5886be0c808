"""concurrent.futures and multiprocessing, with each way of starting a process."""

import subprocess
import sys

import pytest

METHODS = pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])


@pytest.fixture
def run(run_program):
    """run(function, *arguments) runs processes.py without run.py, as that file says."""

    def run(function, *args):
        folder = run_program.folder
        result = subprocess.run(
            [sys.executable, "-X", "faulthandler", str(folder / "processes.py"), function, *args],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            cwd=folder,
        )
        report = f"status {result.returncode}\n--- stdout\n{result.stdout}\n--- stderr\n{result.stderr}"
        assert result.returncode == 0 and not result.stderr, report
        return result.stdout

    return run


def test_a_thread_pool_executor_runs_calls_at_once(run):
    assert run("thread_pool") == f"True\n{[n * n for n in range(9)]}\ntimeout\nTrue 0\ncancelled\n"


@METHODS
def test_a_process_pool_executor_runs_calls_and_breaks(run, method):
    assert run("process_pool", method) == "True\nTrue\nbroken\n"


@METHODS
def test_a_pool_of_processes_returns_results(run, method):
    assert run("pool", method) == "True\n[0, 1, 4, 9, 16] [9]\ntimeout\n25\n"


@METHODS
def test_pipes_queues_events_and_locks_let_greenlets_run(run, method):
    lines = run("pipes_and_locks", method).splitlines()
    assert lines == [
        "False", "True", "nothing yet", "True", "[0, 0]", "False False", "True", "True", "True", "True",
    ]  # fmt: skip


@METHODS
def test_a_manager_shares_objects(run, method):
    assert run("manager", method) == "190 True\n"

"""greenio.fcntl: waiting for file locks while other greenlets go on."""

import fcntl as standard
import os
import subprocess
import sys

import pytest
from misuse import raise_alike
from waiting import let_others_run, until, until_waiting, waiting_in

from greenio import fcntl, spawn


@pytest.fixture
def path(tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    return tmp_path / "file"


class Holder:
    """Another process that has a file locked until let_go()."""

    CODE = """
import fcntl, sys
file = open(sys.argv[1], "r+")
getattr(fcntl, sys.argv[2])(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.readline()
"""

    def __init__(self, path, function):
        self.process = subprocess.Popen(
            [sys.executable, "-c", self.CODE, str(path), function], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdout.readline() == b"locked\n"

    def let_go(self):
        if self.process.returncode is None:
            self.process.communicate(b"\n")


@pytest.fixture(params=["flock", "lockf"])
def function(request):
    return request.param


@pytest.fixture
def holder(path, function):
    made = Holder(path, function)
    yield made
    made.let_go()


def is_locked(path, function):
    """Ask a new process whether another one has the file locked (bool)."""
    code = "import fcntl, sys; getattr(fcntl, sys.argv[2])(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    return subprocess.run([sys.executable, "-c", code, path, function], stderr=subprocess.DEVNULL).returncode != 0


def test_greenlets_run_while_one_waits_for_a_lock(path, function, holder, ticks):
    with open(path, "r+") as file:
        with pytest.raises(OSError):
            getattr(fcntl, function)(file, standard.LOCK_EX | standard.LOCK_NB)
        waiting = spawn(getattr(fcntl, function), file, standard.LOCK_EX)
        before = len(ticks)
        until(lambda: len(ticks) >= before + 5)
        assert not waiting.ready()
        holder.let_go()
        assert waiting.get(timeout=5) is None
        assert is_locked(path, function)
        getattr(fcntl, function)(file.fileno(), standard.LOCK_UN)
        assert not is_locked(path, function)


def test_a_killed_waiter_leaves_no_lock(path, function, holder):
    with open(path, "r+") as file:
        waiting = waiting_in(getattr(fcntl, function), file, standard.LOCK_EX)
        waiting.kill()
        holder.let_go()
        until(lambda: not is_locked(path, function))
        assert not is_locked(path, function)
        getattr(fcntl, function)(file, standard.LOCK_EX)  # the lock is free
        assert is_locked(path, function)


def test_a_killed_waiter_may_close_the_file(path, function, holder):
    file = open(path, "r+")  # noqa: SIM115
    waiting = waiting_in(getattr(fcntl, function), file, standard.LOCK_EX)
    waiting.kill()
    number = file.fileno()
    file.close()
    other = os.open(path.parent / "other", os.O_CREAT | os.O_RDWR)
    assert other == number or function == "flock"
    holder.let_go()
    until(lambda: not is_locked(path, function))
    os.close(other)


def test_greenlets_of_one_process_exclude_one_another(path):
    with open(path) as first, open(path) as second:
        fcntl.flock(first, standard.LOCK_EX)
        waiting = spawn(fcntl.flock, second, standard.LOCK_SH)
        until_waiting(waiting)
        let_others_run()
        assert not waiting.ready()
        fcntl.flock(first, standard.LOCK_UN)
        waiting.get(timeout=5)


@pytest.mark.parametrize("arguments", [(-1, standard.LOCK_EX), ("x", standard.LOCK_EX), (0, "x"), (10**6, 2), (0,)])
def test_bad_arguments_raise_what_the_standard_library_raises(function, arguments):
    raise_alike(getattr(standard, function), getattr(fcntl, function), arguments)


def test_all_other_names_are_the_standard_librarys():
    for name in dir(standard):
        if not name.startswith("_") and name not in fcntl.__all__:
            assert getattr(fcntl, name) is getattr(standard, name), name

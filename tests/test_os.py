"""os and time: what blocks there, and here lets other greenlets run."""

import os as standard
import signal
import time as standard_time

import pytest

from greenio import os, sleep, spawn, time
from greenio.socket import socketpair


@pytest.fixture(autouse=True)
def threads(threadpool):
    """Threads of its own for each test."""


@pytest.fixture
def pipe():
    ends = standard.pipe()
    yield ends
    for fd in ends:
        standard.close(fd)


def child(code=0, seconds=0.02, end=None):
    """A child that ends in a while, made without greenio."""
    command = f"sleep {seconds}; " + (f"kill -{end} $$" if end else f"exit {code}")
    return standard.posix_spawn("/bin/sh", ["sh", "-c", command], {"PATH": "/usr/bin:/bin"})


def test_sleep(ticks):
    assert time.sleep(0.01) is None and len(ticks) > 3
    assert time.monotonic is standard_time.monotonic
    with pytest.raises(ValueError, match="non-negative"):
        time.sleep(-1)


def test_read_and_write(pipe, ticks):
    reader, writer = pipe
    job = spawn(os.read, reader, 10)
    sleep(0.005)
    assert not job.ready() and os.write(writer, b"abc") == 3
    assert job.get() == b"abc"
    data = standard.urandom(300_000)
    writing = spawn(os.write, writer, data)
    received = b""
    while len(received) < len(data):
        received += os.read(reader, 65536)
    assert received == data and writing.get() == len(data)
    assert standard.get_blocking(reader) and standard.get_blocking(writer)
    assert os.write(writer, b"") == 0


def test_non_blocking_descriptors(pipe):
    reader, writer = pipe
    assert os.make_nonblocking(reader) is True and os.make_nonblocking(reader) is None
    os.make_nonblocking(writer)
    with pytest.raises(BlockingIOError):
        os.read(reader, 1)
    job = spawn(os.nb_read, reader, 10)
    sleep(0)
    assert os.nb_write(writer, b"xy") == 2 and job.get() == b"xy"
    filling = spawn(lambda: [os.nb_write(writer, b"z" * 65536) for _ in range(3)])
    total = 0
    while total < 2 * 65536:
        total += len(os.nb_read(reader, 65536))
    filling.kill()


def test_regular_files(tmp_path):
    fd = standard.open(tmp_path / "file", standard.O_RDWR | standard.O_CREAT)
    assert os.write(fd, b"x" * 10_000) == 10_000 and os.tp_write(fd, b"end") == 3
    standard.lseek(fd, 0, 0)
    assert os.read(fd, 5) == b"xxxxx" and os.tp_read(fd, 5) == b"xxxxx"
    standard.close(fd)


def test_sendfile(tmp_path):
    (tmp_path / "file").write_bytes(b"y" * 500_000)
    ours, theirs = socketpair()
    with ours, theirs, open(tmp_path / "file", "rb") as file:

        def send():
            sent = 0
            while sent < 500_000:
                sent += os.sendfile(ours.fileno(), file.fileno(), sent, 500_000 - sent)

        sending = spawn(send)
        received = 0
        while received < 500_000:
            received += len(theirs.recv(65536))
        sending.get()


@pytest.mark.parametrize("options", [0, os.WUNTRACED])
def test_waitpid(ticks, options):
    pid = child(3)
    assert os.waitpid(pid, os.WNOHANG) == (0, 0)
    found, status = os.waitpid(pid, options)
    assert found == pid and os.waitstatus_to_exitcode(status) == 3 and len(ticks) > 3
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, 0)


def test_wait_for_any(ticks):
    pids = {child(seconds=0.01), child(seconds=0.02), child(seconds=0.03)}
    found = {os.wait()[0], os.wait3(0)[0], os.waitpid(-1, 0)[0]}
    assert found == pids and len(ticks) > 3
    with pytest.raises(ChildProcessError):
        os.wait()


def test_wait4_waitid_and_groups(ticks):
    pid = child(1)
    assert os.wait4(pid, 0)[0] == pid
    pid = child(end=15)
    result = os.waitid(os.P_PID, pid, os.WEXITED)
    assert result.si_pid == pid and result.si_status == signal.SIGTERM
    pid = child()
    assert os.waitpid(0, 0)[0] == pid and len(ticks) > 3


def test_system_and_popen(ticks):
    for command in ("exit 3", "true", "sleep 0.02; kill -9 $$"):
        assert os.system(command) == standard.system(command)
    assert len(ticks) > 3
    with os.popen("echo one; sleep 0.01; echo two") as lines:
        assert list(lines) == ["one\n", "two\n"]
    pipe = os.popen("exit 5")
    assert pipe.read() == "" and os.waitstatus_to_exitcode(pipe.close()) == 5
    pipe = os.popen("cat > /dev/null", "w")
    assert pipe.write("text") == 4 and pipe.close() is None
    for bad, error in (((b"x",), TypeError), (("x", "a"), ValueError), (("x", "r", 0), ValueError)):
        with pytest.raises(error):
            os.popen(*bad)


def test_names():
    assert os.path is standard.path and os.environ is standard.environ and os.getpid() == standard.getpid()

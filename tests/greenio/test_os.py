"""os and time: the calls that block there let other greenlets run here."""

import errno
import os as standard
import pty
import signal
import socket as standard_socket
import subprocess
import sys
import threading
import time as standard_time
import tty
import warnings

import pytest
from misuse import raise_alike
from processes import child
from waiting import let_others_run, until, until_waiting

from greenio import Timeout, joinall, os, sleep, spawn, time
from greenio._descriptors import nowait
from greenio.fileobject import FileObjectPosix
from greenio.socket import socketpair

pytestmark = pytest.mark.usefixtures("threadpool")  # threads of its own for each test


def test_sleep_lets_others_run(ticks):
    assert time.sleep(0.01) is None and ticks
    assert time.monotonic is standard_time.monotonic
    with pytest.raises(ValueError, match="non-negative"):
        time.sleep(-1)


def test_read_and_write_wait_for_the_other_end(pipe, ticks):
    reader, writer = pipe
    job = spawn(os.read, reader, 10)
    until_waiting(job)
    let_others_run()
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


def test_nb_read_and_nb_write_wait_for_the_other_end(pipe):
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


def test_regular_files_are_read_and_written(tmp_path):
    fd = standard.open(tmp_path / "file", standard.O_RDWR | standard.O_CREAT)
    assert os.write(fd, b"x" * 10_000) == 10_000 and os.tp_write(fd, b"end") == 3
    standard.lseek(fd, 0, 0)
    assert os.read(fd, 5) == b"xxxxx" and os.tp_read(fd, 5) == b"xxxxx"
    standard.close(fd)


def test_sendfile_sends_all_to_a_slow_reader(tmp_path):
    (tmp_path / "file").write_bytes(b"y" * 500_000)
    ours, theirs = socketpair()
    with ours, theirs, open(tmp_path / "file", "rb") as file:

        def send():
            sent = 0
            while sent < 500_000:
                sent += os.sendfile(ours.fileno(), file.fileno(), sent, 500_000 - sent)

        sending = spawn(send)
        received = b""
        while len(received) < 500_000:
            received += theirs.recv(65536)
        sending.get()
    assert received == b"y" * 500_000


def test_regular_files_are_written_at_once(tmp_path):
    """Appending is one system call, so that the data of other processes do not come in between."""
    fd = standard.open(tmp_path / "file", standard.O_WRONLY | standard.O_CREAT | standard.O_APPEND)
    assert os.write(fd, b"x" * 1_000_000) == 1_000_000 == os.writev(fd, [b"y" * 500_000] * 2)
    standard.close(fd)
    with pytest.raises(OSError) as caught:
        os.read(fd, 1)
    assert caught.value.errno == errno.EBADF


def test_readv_and_writev_wait_for_the_other_end(pipe, ticks):
    reader, writer = pipe
    buffers = bytearray(3), bytearray(3)
    job = spawn(os.readv, reader, buffers)
    until_waiting(job)
    let_others_run()
    assert not job.ready() and os.writev(writer, [b"ab", b"cde"]) == 5
    assert job.get() == 5 and bytes(buffers[0] + buffers[1]) == b"abcde\0"
    parts = [standard.urandom(size) for size in (0, 1, 100_000, 0, 65_536, 200_000)]
    writing = spawn(os.writev, writer, parts)
    received = b""
    while len(received) < sum(map(len, parts)):
        received += os.read(reader, 65536)
    assert received == b"".join(parts) and writing.get() == len(received)


def test_each_reader_of_one_pipe_gets_its_data(pipe, ticks):
    """No reader blocks in a system call when another one has taken the data."""
    reader, writer = pipe
    jobs = [spawn(os.read, reader, 10) for _ in range(5)]
    until_waiting(*jobs)
    for number in range(5):
        before = len(ticks)
        os.write(writer, b"%d" % number)
        until(lambda before=before: len(ticks) >= before + 3)
        assert sum(job.ready() for job in jobs) == number + 1
    assert sorted(job.get() for job in jobs) == [b"0", b"1", b"2", b"3", b"4"]


def test_calls_end_when_the_other_end_is_closed():
    reader, writer = standard.pipe()
    standard.close(writer)
    assert os.read(reader, 10) == b""
    standard.close(reader)
    reader, writer = standard.pipe()
    writing = spawn(os.write, writer, b"x" * 1_000_000)
    until_waiting(writing)
    assert os.read(reader, 10) == b"x" * 10
    standard.close(reader)
    assert 0 < writing.get() < 1_000_000
    with pytest.raises(BrokenPipeError):
        os.write(writer, b"x")
    standard.close(writer)


def test_an_interrupted_read_takes_no_data(pipe):
    reader, writer = pipe
    job = spawn(os.read, reader, 10)
    until_waiting(job)
    job.kill()
    with pytest.raises(Timeout), Timeout(0.005):
        os.read(reader, 10)
    os.write(writer, b"x")
    assert os.read(reader, 10) == b"x"


def test_close_wakes_greenlets_that_read():
    reader, writer = standard.pipe()
    waiting = [spawn(os.read, reader, 10), spawn(os.readv, reader, [bytearray(1)])]
    for job in waiting:
        job.reports_errors = False
    until_waiting(*waiting)
    assert os.close(reader) is None
    joinall(waiting, timeout=5)
    assert [job.exception.errno for job in waiting] == [errno.EBADF] * 2
    os.close(writer)
    with pytest.raises(OSError) as caught:
        os.close(writer)
    assert caught.value.errno == errno.EBADF


@pytest.mark.parametrize("how", ["os", "file object"])
def test_close_wakes_greenlets_of_other_threads(how):
    reader, writer = standard.pipe()
    close = (lambda: os.close(reader)) if how == "os" else FileObjectPosix(reader, "rb").close
    job = spawn(os.read, reader, 10)
    job.reports_errors = False
    until_waiting(job)
    thread = threading.Thread(target=close)
    thread.start()
    thread.join()
    job.join(timeout=5)
    assert job.exception.errno == errno.EBADF
    standard.close(writer)


def test_blocking_sockets_are_read_and_written_without_blocking(ticks):
    ours, theirs = standard_socket.socketpair()
    datagrams = standard_socket.socketpair(type=standard_socket.SOCK_DGRAM)
    with ours, theirs, datagrams[0], datagrams[1]:
        data = standard.urandom(1_000_000)
        writing = spawn(os.write, ours.fileno(), data)
        received = b""
        while len(received) < len(data):
            received += os.read(theirs.fileno(), 1 << 20)
        assert received == data and writing.get() == len(data)
        reading = spawn(os.read, datagrams[1].fileno(), 100_000)
        assert os.write(datagrams[0].fileno(), b"z" * 20_000) == 20_000
        assert len(reading.get()) == 20_000


def test_a_terminal_is_waited_for_both_ways(ticks):
    master, terminal = pty.openpty()
    try:
        job = spawn(os.read, terminal, 100)
        until_waiting(job)
        let_others_run()
        assert not job.ready()
        standard.write(master, b"line\n")
        assert job.get() == b"line\n"
        # More than the terminal takes while nobody reads.
        tty.setraw(terminal)
        standard.set_blocking(master, False)
        assert os.nb_read(master, 100) == b"line\r\n"
        writing = spawn(os.write, terminal, b"x" * 200_000)
        until_waiting(writing)
        let_others_run()
        assert not writing.ready()
        received = 0
        while received < 200_000:
            received += len(os.nb_read(master, 65536))
        assert writing.get() == 200_000
        assert standard.get_blocking(terminal)
    finally:
        standard.close(master)
        standard.close(terminal)


@pytest.fixture
def no_nowait(monkeypatch):
    """A system that does not know RWF_NOWAIT."""

    def refuse(*args):
        raise OSError(errno.EOPNOTSUPP, "not here")

    monkeypatch.setattr(nowait, "preadv", refuse)
    monkeypatch.setattr(nowait, "pwritev", refuse)


def test_calls_wait_on_a_system_without_nowait(no_nowait, pipe, ticks):
    test_read_and_write_wait_for_the_other_end(pipe, ticks)
    test_readv_and_writev_wait_for_the_other_end(pipe, ticks)
    test_each_reader_of_one_pipe_gets_its_data(pipe, ticks)


def test_sendfile_sends_to_blocking_descriptors(tmp_path, pipe):
    (tmp_path / "file").write_bytes(b"y" * 200_000)
    reader, writer = pipe
    with open(tmp_path / "file", "rb") as file, open(tmp_path / "copy", "wb") as copy:
        sending = spawn(os.sendfile, writer, file.fileno(), 0, 300_000)
        received = 0
        while received < 200_000:
            received += len(os.read(reader, 65536))
        assert sending.get() == 200_000
        assert os.sendfile(copy.fileno(), file.fileno(), 0, 200_000) == 200_000


CLOSED = 10**6  # no process has so many descriptors


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("read", (CLOSED, 1)), ("read", ("x", 1)), ("read", (-1, 1)), ("read", (0, "x")), ("read", (CLOSED, -1)),
        ("read", (1 << 70, 1)), ("read", ()), ("readv", (CLOSED, [bytearray(1)])), ("readv", (CLOSED, [b"x"])),
        ("readv", (CLOSED, 5)), ("readv", (CLOSED, ["x"])), ("write", (CLOSED, b"x")), ("write", ("x", b"x")),
        ("write", (1, "x")), ("write", (CLOSED, b"")), ("write", (-1, b"x")), ("writev", (CLOSED, [b"x"])),
        ("writev", (CLOSED, 5)), ("writev", (CLOSED, ["x"])), ("close", (CLOSED,)), ("close", ("x",)), ("close", (-1,)),
        ("close", (1 << 70,)), ("sendfile", (CLOSED, CLOSED, 0, 1)), ("sendfile", ("x", 0, 0, 1)),
        ("sendfile", (CLOSED, 0, 0, "x")), ("system", (5,)), ("system", ("a\0b",)), ("popen", (5,)), ("fork", (1,)),
    ],
)  # fmt: skip
def test_misuse_raises_the_errors_of_the_standard_library(name, arguments):
    raise_alike(getattr(standard, name), getattr(os, name), arguments)


def test_reads_and_writes_of_nothing_return_at_once(pipe):
    assert os.read(pipe[0], 0) == b"" and os.readv(pipe[0], [bytearray()]) == 0
    assert os.write(pipe[1], b"") == 0 == os.writev(pipe[1], [])


@pytest.mark.parametrize("bad", ["x", None, -1, float("nan")])
def test_sleep_refuses_what_is_no_time(bad):
    with pytest.raises(Exception) as expected:
        standard_time.sleep(bad)
    with pytest.raises(type(expected.value)):
        time.sleep(bad)


@pytest.mark.parametrize("options", [0, os.WUNTRACED])
def test_waitpid_gets_a_status_once(ticks, options):
    pid = child(3)
    assert os.waitpid(pid, os.WNOHANG) == (0, 0)
    found, status = os.waitpid(pid, options)
    assert found == pid and os.waitstatus_to_exitcode(status) == 3 and ticks
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, 0)


def test_wait_finds_any_child(ticks):
    pids = {child(after=lambda n=n: sleep(0.01 * n)) for n in range(1, 4)}
    found = {os.wait()[0], os.wait3(0)[0], os.waitpid(-1, 0)[0]}
    assert found == pids and ticks
    with pytest.raises(ChildProcessError):
        os.wait()


def test_wait4_waitid_and_waits_for_groups_find_children(ticks):
    pid = child(1)
    assert os.wait4(pid, 0)[0] == pid
    pid = child(end=15)
    result = os.waitid(os.P_PID, pid, os.WEXITED)
    assert result.si_pid == pid and result.si_status == signal.SIGTERM
    pid = child()
    assert os.waitpid(0, 0)[0] == pid and ticks


def test_system_and_popen_let_others_run(ticks):
    for command in ("exit 3", "true", "sleep 0.02; kill -9 $$"):
        assert os.system(command) == standard.system(command)
    assert ticks
    with os.popen("echo one; sleep 0.01; echo two") as lines:
        assert list(lines) == ["one\n", "two\n"]
    for command in ("exit 5", "kill -9 $$", "true"):
        pipe = os.popen(command)
        assert pipe.read() == "" and pipe.close() == standard.popen(command).close()
    assert os.system(b"exit 2") == 2 << 8
    pipe = os.popen("cat > /dev/null", "w")
    assert pipe.write("text") == 4 and pipe.close() is None
    for bad, error in (((b"x",), TypeError), (("x", "a"), ValueError), (("x", "r", 0), ValueError)):
        with pytest.raises(error):
            os.popen(*bad)


def test_a_pipe_of_popen_that_is_collected_is_closed(tmp_path):
    """Also if the command still runs, as it may wait for the end of its input."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        os.popen(f"cat > {tmp_path}/written; mv {tmp_path}/written {tmp_path}/ended", "w").write("some")
        before = set(standard.listdir("/proc/self/fd"))
        os.popen("sleep 60").fileno()
        assert set(standard.listdir("/proc/self/fd")) <= before
    with Timeout(10):
        until((tmp_path / "ended").exists)
    assert (tmp_path / "ended").read_text() == "some"
    for process in list(subprocess._active):  # the standard library's list of processes that nobody waits for
        process.kill()
        process.wait()
    subprocess._cleanup()


def test_other_names_are_the_standard_librarys():
    assert os.path is standard.path and os.environ is standard.environ and os.getpid() == standard.getpid()


def test_the_loops_own_descriptors_stay_open():
    """A program that becomes a daemon closes all descriptors."""
    code = """
import os
from greenio import get_hub, sleep, spawn
from greenio import os as ours
from greenio.socket import close, socketpair
from greenio.threadpool import ThreadPool

sleep(0)
own = get_hub().loop.fileno()
for function, args in ((ours.close, (own,)), (close, (own,)), (ours.dup2, (1, own))):
    try:
        function(*args)
    except OSError as error:
        print(error)
left = socketpair()
ours.closerange(3, 2**31 - 1)
a, b = socketpair()
reader = spawn(b.recv, 10)
sleep(0.001)
a.send(b"hello")
print(reader.get(), ThreadPool(1).apply(lambda: "from a thread"))
left[0].detach(), left[1].detach()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, cwd="/")
    lines = done.stdout.splitlines()
    assert done.stderr == "" and len(lines) == 4
    assert all("belongs to greenio's event loop" in line for line in lines[:3])
    assert lines[3] == "b'hello' from a thread"

"""Calls that the system refuses at once do not wait here either: they raise the standard library's error at once."""

import contextlib
import ctypes
import errno
import os as standard
import pty
import select
import socket

import pytest
from waiting import until, until_waiting

from greenio import Timeout, os, spawn
from greenio._descriptors import nowait
from greenio.socket import socketpair

library = ctypes.CDLL(None)


@pytest.fixture
def keep():
    """A function that has a descriptor, or an object with close(), closed at the end of the test. Returns it."""
    with contextlib.ExitStack() as stack:

        def keep(each):
            stack.callback(standard.close, each) if isinstance(each, int) else stack.callback(each.close)
            return each

        yield keep


@pytest.fixture(params=["newer", "older"])
def system(request, monkeypatch):
    """The tests run on this system, and on an older one, which does not know RWF_NOWAIT."""

    def refuse(*args):
        raise OSError(errno.EOPNOTSUPP, "not here")

    if request.param == "older":
        monkeypatch.setattr(nowait, "preadv", refuse)
        monkeypatch.setattr(nowait, "pwritev", refuse)


def pidfd(keep):
    return keep(standard.pidfd_open(standard.getpid()))


def epoll(keep):
    return keep(select.epoll()).fileno()


def counter(keep, start=0):
    return keep(ctypes.CDLL(None).eventfd(start, 0))


def full_counter(keep):
    fd = counter(keep)
    standard.write(fd, (2**64 - 2).to_bytes(8, "little"))
    return fd


def timer(keep):
    return keep(library.timerfd_create(1, 0))


def signals(keep):
    return keep(library.signalfd(-1, ctypes.byref((ctypes.c_ulong * 16)(512)), 0))


def inotify(keep):
    return keep(library.inotify_init())


def listener(keep):
    return keep(socket.create_server(("127.0.0.1", 0))).fileno()


def unix_listener(keep):
    listener = keep(socket.socket(socket.AF_UNIX))
    listener.bind("")
    listener.listen()
    return listener.fileno()


def unconnected(keep):
    return keep(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).fileno()


def pipe(keep):
    return [keep(end) for end in standard.pipe()]


def readable(keep):
    return pipe(keep)[0]


def writable(keep):
    return pipe(keep)[1]


def full_pipe(keep):
    fd = writable(keep)
    standard.set_blocking(fd, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            standard.write(fd, b"x" * 65536)
    standard.set_blocking(fd, True)
    return fd


def terminal(keep, mode=standard.O_RDWR):
    _, end = (keep(each) for each in pty.openpty())
    return keep(standard.open(standard.ttyname(end), mode | standard.O_NOCTTY))


def write_only_terminal(keep):
    return terminal(keep, standard.O_WRONLY)


def this_file(keep):
    return keep(open(__file__, "rb")).fileno()


ALL_ONES = b"\xff" * 8
CASES = {
    "read a pidfd": lambda os, keep: os.read(pidfd(keep), 1),
    "write a pidfd": lambda os, keep: os.write(pidfd(keep), b"x"),
    "read an epoll": lambda os, keep: os.read(epoll(keep), 1),
    "write an epoll": lambda os, keep: os.write(epoll(keep), b"x"),
    "read little of an eventfd": lambda os, keep: os.read(counter(keep), 4),
    "readv little of an eventfd": lambda os, keep: os.readv(counter(keep), [bytearray(4)]),
    "write little to an eventfd": lambda os, keep: os.write(full_counter(keep), b"1234"),
    "write the wrong to an eventfd": lambda os, keep: os.write(full_counter(keep), ALL_ONES),
    "writev little to an eventfd": lambda os, keep: os.writev(full_counter(keep), [b"1234", b"1234"]),
    "read little of a timerfd": lambda os, keep: os.read(timer(keep), 4),
    "write a timerfd": lambda os, keep: os.write(timer(keep), b"12345678"),
    "read little of a signalfd": lambda os, keep: os.read(signals(keep), 127),
    "write a signalfd": lambda os, keep: os.write(signals(keep), bytes(128)),
    "write an inotify": lambda os, keep: os.write(inotify(keep), b"x"),
    "read a listener": lambda os, keep: os.read(listener(keep), 1),
    "write a listener": lambda os, keep: os.write(listener(keep), b"x"),
    "read a Unix listener": lambda os, keep: os.read(unix_listener(keep), 1),
    "readv a Unix listener": lambda os, keep: os.readv(unix_listener(keep), [bytearray(1)]),
    "write a Unix listener": lambda os, keep: os.write(unix_listener(keep), b"x"),
    "write what is not connected": lambda os, keep: os.write(unconnected(keep), b"x"),
    "read the end to write": lambda os, keep: os.read(writable(keep), 1),
    "write the end to read": lambda os, keep: os.write(readable(keep), b"x"),
    "read a terminal to write": lambda os, keep: os.read(write_only_terminal(keep), 1),
    "readv too many": lambda os, keep: os.readv(readable(keep), [bytearray(1)] * 1025),
    "readv too many of a terminal": lambda os, keep: os.readv(terminal(keep), [bytearray(1)] * 1025),
    "writev too many": lambda os, keep: os.writev(full_pipe(keep), [b"x"] * 1025),
    "sendfile to a listener": lambda os, keep: os.sendfile(listener(keep), this_file(keep), 0, 5),
    "sendfile to a Unix listener": lambda os, keep: os.sendfile(unix_listener(keep), this_file(keep), 0, 5),
    "sendfile to what is read": lambda os, keep: os.sendfile(readable(keep), this_file(keep), 0, 5),
    "sendfile from what is written": lambda os, keep: os.sendfile(full_pipe(keep), writable(keep), None, 5),
    "sendfile from a pipe": lambda os, keep: os.sendfile(full_pipe(keep), readable(keep), 0, 5),
    "sendfile from nothing": lambda os, keep: os.sendfile(full_pipe(keep), 10**6, 0, 5),
    "sendfile from before the start": lambda os, keep: os.sendfile(full_pipe(keep), this_file(keep), -1, 5),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_standard_error_is_raised_at_once(case, system, keep):
    with pytest.raises(OSError) as expected:
        CASES[case](standard, keep)
    with Timeout(10), pytest.raises(OSError) as caught:
        CASES[case](os, keep)
    assert caught.value.errno == expected.value.errno != errno.EAGAIN


@pytest.mark.parametrize("make", [counter, timer, signals, inotify, terminal, readable])
def test_other_reads_wait_while_greenlets_run(make, system, keep, ticks):
    fd = make(keep)
    reading = spawn(os.read, fd, 128)
    until_waiting(reading)
    until(lambda: ticks)
    assert not reading.ready() and ticks
    reading.kill()
    assert standard.get_blocking(fd)


def test_a_write_to_a_full_counter_waits(system, keep):
    fd = full_counter(keep)
    writing = spawn(os.write, fd, (1).to_bytes(8, "little"))
    until_waiting(writing)
    assert not writing.ready() and os.eventfd_read(fd) == 2**64 - 2
    assert writing.get(timeout=10) == 8 and os.eventfd_read(fd) == 1


def test_sendfile_returns_how_much_was_sent_before_an_error(tmp_path):
    """The call returns how much was sent, and the next call raises the error."""
    (tmp_path / "file").write_bytes(bytes(3_000_000))
    with open(tmp_path / "file", "rb") as file:
        ours, theirs = socketpair()
        with ours:
            sending = spawn(os.sendfile, ours.fileno(), file.fileno(), 0, 3_000_000)
            with theirs:
                received = len(theirs.recv(10_000))
            sent = sending.get(timeout=10)
            assert received <= sent < 3_000_000
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                os.sendfile(ours.fileno(), file.fileno(), 0, 5)

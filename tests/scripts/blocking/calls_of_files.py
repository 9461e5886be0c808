"""Calls with descriptors, files, file locks and terminals; and calls that compute."""

import bz2
import contextlib
import ctypes
import fcntl
import getpass
import hashlib
import io
import lzma
import os
import pty
import shutil
import socket
import sqlite3
import sys
import tempfile
import zlib

from measuring import call, later, measured

from greenio import monkey


@contextlib.contextmanager
def pipe():
    reader, writer = os.pipe()
    try:
        yield reader, writer
    finally:
        for each in (reader, writer):
            with contextlib.suppress(OSError):
                os.close(each)


def fill(writer):
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            monkey.get_original("os", "write")(writer, bytes(4096))
    os.set_blocking(writer, True)


def reading(name, *args):
    def make_call():
        with pipe() as (reader, writer):
            later(os.write, writer, b"x")
            measured(getattr(os, name), reader, *args)

    call(f"os.{name}")(make_call)


reading("read", 10)
reading("readv", [bytearray(10)])


def writing(name, *args):
    def make_call():
        with pipe() as (reader, writer):
            fill(writer)
            later(os.read, reader, 65536)
            measured(getattr(os, name), writer, *args)

    call(f"os.{name}")(make_call)


writing("write", b"x")
writing("writev", [b"x"])


@call("os.sendfile")
def sendfile():
    first, second = socket.socketpair()
    with first, second, open("/proc/self/exe", "rb") as file:
        first.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                first.send(bytes(100_000))
        first.setblocking(True)
        later(second.recv, 10_000_000)
        measured(os.sendfile, first.fileno(), file.fileno(), 0, 10)


@call("os.splice")
def splice():
    with pipe() as (reader, writer), pipe() as (_, other):
        later(os.write, writer, b"x")
        measured(os.splice, reader, other, 10)


@call("os.eventfd_read")
def eventfd_read():
    descriptor = os.eventfd(0)
    later(os.eventfd_write, descriptor, 1)
    measured(os.eventfd_read, descriptor)
    os.close(descriptor)


@contextlib.contextmanager
def fifo():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "fifo")
        os.mkfifo(path)
        yield path


def open_to_write(path):
    os.close(os.open(path, os.O_WRONLY))


@call("os.open of a FIFO")
def open_fifo():
    with fifo() as path:
        later(open_to_write, path)
        os.close(measured(os.open, path, os.O_RDONLY))


@call("open() of a FIFO")
def builtin_open_fifo():
    with fifo() as path:
        later(open_to_write, path)
        measured(open, path).close()


@call("io.FileIO.read")
def read_raw():
    with pipe() as (reader, writer), io.FileIO(reader, closefd=False) as file:
        later(os.write, writer, b"x\n")
        measured(file.read, 10)


@call("read() of what open() returns")
def read_of_open():
    with pipe() as (reader, writer), open(reader, "rb", closefd=False) as file:
        later(os.write, writer, b"x\n")
        measured(file.readline)


@call("write() of what open() returns")
def write_of_open():
    with pipe() as (reader, writer), open(writer, "wb", buffering=0, closefd=False) as file:
        fill(writer)
        later(os.read, reader, 65536)
        measured(file.write, b"x")


@contextlib.contextmanager
def large_file():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "large")
        with open(path, "wb") as file:
            file.truncate(100_000_000)
        yield path


@call("open().read() of a regular file")
def read_file():
    with large_file() as path, open(path, "rb") as file:
        measured(file.read)


@call("os.read of a regular file")
def os_read_file():
    with large_file() as path, open(path, "rb") as file:
        measured(os.read, file.fileno(), 100_000_000)


@call("shutil.copyfile")
def copyfile():
    with large_file() as path:
        measured(shutil.copyfile, path, path + ".copy")


@call("shutil.copyfileobj between sockets' makefile()")
def copyfileobj():
    first, second = socket.socketpair()
    with first, second, first.makefile("rb") as source:

        def write():
            second.sendall(b"x")
            second.close()

        later(write)
        measured(shutil.copyfileobj, source, io.BytesIO())


@contextlib.contextmanager
def stdin_is_a_pipe():
    before = sys.stdin
    with pipe() as (reader, writer), open(reader, closefd=False) as file:
        sys.stdin = file
        try:
            yield writer
        finally:
            sys.stdin = before


def reading_stdin(name, wait):
    def make_call(patch):
        with stdin_is_a_pipe() as writer:
            if patch:
                monkey.patch_sys.__wrapped__(stdout=False, stderr=False)
            later(os.write, writer, b"x\n")
            assert measured(wait).rstrip() == "x"

    call(name)(lambda: make_call(False))
    call(f"{name} after patch_sys()")(lambda: make_call(True))


reading_stdin("input()", lambda: input())
reading_stdin("sys.stdin.readline", lambda: sys.stdin.readline())


@contextlib.contextmanager
def stdout_is_a_full_pipe():
    before = sys.stdout
    with pipe() as (reader, writer), open(writer, "w", buffering=1, closefd=False) as file:
        fill(writer)
        sys.stdout = file
        try:
            yield reader
        finally:
            sys.stdout = before


def writing_stdout(name, wait):
    def make_call(patch):
        with stdout_is_a_full_pipe() as reader:
            if patch:
                monkey.patch_sys.__wrapped__(stdin=False, stderr=False)
            later(os.read, reader, 65536)
            measured(wait)

    call(name)(lambda: make_call(False))
    call(f"{name} after patch_sys()")(lambda: make_call(True))


writing_stdout("print()", lambda: print("x"))
writing_stdout("sys.stdout.write", lambda: sys.stdout.write("x\n"))


@call("getpass.getpass")
def ask_for_password():
    # This process leads a session without a terminal: the first terminal that it opens controls the session.
    master, slave = os.openpty()
    os.close(os.open(os.ttyname(slave), os.O_RDWR))
    later(os.write, master, b"secret\n")
    try:
        assert measured(getpass.getpass) == "secret"
    finally:
        os.close(master)
        os.close(slave)


@call("pty.spawn")
def pty_spawn():
    with pipe() as (reader, _):
        stdin, null = os.dup(0), os.open("/dev/null", os.O_RDONLY)
        os.dup2(reader, 0)
        try:
            assert measured(pty.spawn, ["sleep", "0.03"]) == 0
        finally:
            os.dup2(stdin, 0)
            os.close(stdin)
            os.close(null)


# --- file locks ---------------------------------------------------------------------------------------------------


@call("fcntl.flock")
def flock():
    with tempfile.NamedTemporaryFile() as first, open(first.name) as second:
        fcntl.flock(first, fcntl.LOCK_EX)
        later(fcntl.flock, first, fcntl.LOCK_UN)
        measured(fcntl.flock, second, fcntl.LOCK_EX)


@contextlib.contextmanager
def locked_by_another_process():
    """A file that another process has locked, until `later()`."""
    with tempfile.NamedTemporaryFile() as file, pipe() as (ready, tell), pipe() as (wait, go_on):
        pid = os.fork()
        if not pid:
            fcntl.lockf(file, fcntl.LOCK_EX)
            os.write(tell, b"x")
            os.read(wait, 1)
            os._exit(0)
        os.read(ready, 1)
        later(os.write, go_on, b"x")
        yield file
        os.waitpid(pid, 0)


@call("fcntl.lockf")
def lockf():
    with locked_by_another_process() as file:
        measured(fcntl.lockf, file, fcntl.LOCK_EX)


@call("os.lockf")
def os_lockf():
    with locked_by_another_process() as file:
        measured(os.lockf, file.fileno(), os.F_LOCK, 0)


@call("fcntl.fcntl(F_SETLKW)")
def set_lock_and_wait():
    import struct

    with locked_by_another_process() as file:
        measured(fcntl.fcntl, file, fcntl.F_SETLKW, struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0))


# --- calls that compute, or wait in C -----------------------------------------------------------------------------


@call("sqlite3, waiting for a database that is locked")
def sqlite_busy():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "database")
        first = sqlite3.connect(path, isolation_level=None)
        second = sqlite3.connect(path, isolation_level=None, timeout=0.05)
        first.execute("BEGIN EXCLUSIVE")
        with contextlib.suppress(sqlite3.OperationalError):
            measured(second.execute, "BEGIN EXCLUSIVE")
        first.close()
        second.close()


def computing(name, function, *args, **kwargs):
    call(name)(lambda: measured(function, *args, **kwargs))


computing("hashlib.pbkdf2_hmac", hashlib.pbkdf2_hmac, "sha256", b"password", b"salt", 30_000)
computing("hashlib.sha256", hashlib.sha256, bytes(5_000_000))
computing("zlib.compress", zlib.compress, bytes(range(256)) * 10_000, 9)
computing("bz2.compress", bz2.compress, bytes(range(256)) * 1_000)
computing("lzma.compress", lzma.compress, bytes(range(256)) * 1_000)


@call("ctypes, a C function that waits")
def c_sleep():
    measured(ctypes.CDLL(None).usleep, 20_000)


@call("a computation in Python")
def compute():
    measured(lambda: sum(each * each for each in range(300_000)))

"""The standard library's `os`, with cooperative forms of what blocks: reading and writing pipes, waiting for children.

Regular files are always ready: their calls block for as long as the disk takes; tp_read() and tp_write() do them in a
thread.
"""

import os as _standard
import select as _select
import subprocess as _subprocess
from os import *  # noqa: F403  (this module offers everything that the standard one does)

from hub import get_hub as _get_hub

from greenio.process import fork
from greenio.socket import wait_read as _wait_read
from greenio.socket import wait_write as _wait_write
from greenio.subprocess import Popen as _Popen

__all__ = [
    "fork", "make_nonblocking", "nb_read", "nb_write", "popen", "read", "sendfile", "system", "tp_read", "tp_write",
    "wait", "wait3", "wait4", "waitid", "waitpid", "write",
]  # fmt: skip

# What a descriptor that is ready to be written takes without blocking.
_ATOMIC = _select.PIPE_BUF


# --- reading and writing ----------------------------------------------------------------------------------------


def read(fd, length, /):
    """As os.read(). Switches while there is nothing to read, unless the descriptor is non-blocking."""
    if _standard.get_blocking(fd):
        _wait_read(fd)
    return _standard.read(fd, length)


def write(fd, data, /):
    """As os.write(): writes all of the data, or what can be written if the descriptor is non-blocking. Switches."""
    if not _standard.get_blocking(fd):
        return _standard.write(fd, data)
    view = memoryview(data).cast("B")
    if not view:
        return _standard.write(fd, data)
    written = 0
    while written < len(view):
        _wait_write(fd)
        written += _standard.write(fd, view[written : written + _ATOMIC])
    return written


def make_nonblocking(fd):
    """Set O_NONBLOCK on a descriptor. Returns True if it was not set, else None. Others may share the open file."""
    if _standard.get_blocking(fd):
        _standard.set_blocking(fd, False)
        return True
    return None


def nb_read(fd, n):
    """Read up to `n` (int) bytes from a non-blocking descriptor. Switches while there is nothing."""
    while True:
        try:
            return _standard.read(fd, n)
        except BlockingIOError:
            _wait_read(fd)


def nb_write(fd, buf):
    """Write what can be written to a non-blocking descriptor; return how much (int). Switches while nothing can be."""
    while True:
        try:
            return _standard.write(fd, buf)
        except BlockingIOError:
            _wait_write(fd)


def tp_read(fd, n):
    """As os.read(), in the hub's thread pool: for regular files. Switches."""
    return _get_hub().threadpool.apply(_standard.read, (fd, n))


def tp_write(fd, buf):
    """As os.write(), in the hub's thread pool: for regular files. Switches."""
    return _get_hub().threadpool.apply(_standard.write, (fd, buf))


def sendfile(out_fd, in_fd, offset, count):
    """As os.sendfile(). Switches while nothing can be written, if `out_fd` is non-blocking."""
    while True:
        try:
            return _standard.sendfile(out_fd, in_fd, offset, count)
        except BlockingIOError:
            _wait_write(out_fd)


# --- children ---------------------------------------------------------------------------------------------------


def _wait_for_end(pid, options):
    """Wait until a child of ours can be reaped; for a single one through its pidfd, for others in a thread."""
    if pid > 0 and not options & (_standard.WUNTRACED | _standard.WCONTINUED):
        try:
            pidfd = _standard.pidfd_open(pid)
        except ProcessLookupError:
            return  # the system call that follows tells
        try:
            _wait_read(pidfd)
        finally:
            _standard.close(pidfd)
        return
    kind, number = (
        (_standard.P_PID, pid) if pid > 0 else (_standard.P_ALL, 0) if pid == -1 else (_standard.P_PGID, -pid)
    )
    if pid == 0:
        number = _standard.getpgrp()
    wanted = _standard.WEXITED | (_standard.WSTOPPED if options & _standard.WUNTRACED else 0)
    wanted |= _standard.WCONTINUED if options & _standard.WCONTINUED else 0
    _get_hub().threadpool.apply(_standard.waitid, (kind, number, wanted | _standard.WNOWAIT))


def _waited(function, pid, options):
    while True:
        found = function(pid, options | _standard.WNOHANG)
        if found[0] != 0 or options & _standard.WNOHANG:
            return found
        _wait_for_end(pid, options)


def waitpid(pid, options, /):
    """As os.waitpid(). Switches while the child runs."""
    return _waited(_standard.waitpid, pid, options)


def wait():
    """As os.wait(): for any child. Switches while none has ended."""
    return waitpid(-1, 0)


def wait3(options):
    """As os.wait3(). Switches while no child has ended."""
    return wait4(-1, options)


def wait4(pid, options):
    """As os.wait4(). Switches while the child runs."""
    return _waited(_standard.wait4, pid, options)


def waitid(idtype, id, options, /):
    """As os.waitid(). Switches while the child runs."""
    while True:
        found = _standard.waitid(idtype, id, options | _standard.WNOHANG)
        if found is not None or options & _standard.WNOHANG:
            return found
        _get_hub().threadpool.apply(_standard.waitid, (idtype, id, options | _standard.WNOWAIT))


def system(command):
    """As os.system(): run a command in a shell; return its wait status (int). Switches."""
    with _Popen(command, shell=True) as process:
        code = process.wait()
    return -code if code < 0 else code << 8


class _PipeOfCommand:
    """What popen() returns: the pipe, whose close() returns the command's status."""

    def __init__(self, stream, process):
        self._stream = stream
        self._process = process

    def close(self):
        """Close the pipe and wait for the command. Returns its wait status, or None if that is 0. Switches."""
        self._stream.close()
        code = self._process.wait()
        return None if code == 0 else -code if code < 0 else code << 8

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def __iter__(self):
        return iter(self._stream)


def popen(cmd, mode="r", buffering=-1):
    """As os.popen(): a command in a shell, and a pipe (a text file) from or to it. Its methods switch."""
    if not isinstance(cmd, str):
        raise TypeError(f"invalid cmd type ({type(cmd)}, expected string)")
    if mode not in ("r", "w"):
        raise ValueError(f"invalid mode {mode!r}")
    if buffering == 0 or buffering is None:
        raise ValueError("popen() does not support unbuffered streams")
    end = {"stdout": _subprocess.PIPE} if mode == "r" else {"stdin": _subprocess.PIPE}
    process = _Popen(cmd, shell=True, text=True, bufsize=buffering, **end)
    return _PipeOfCommand(process.stdout if mode == "r" else process.stdin, process)

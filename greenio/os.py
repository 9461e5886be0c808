"""The standard library's `os`, with calls that let other greenlets run while they wait: for pipes, terminals, children.

A pipe, socket or terminal is waited for if it is blocking. Its O_NONBLOCK flag is left alone: other processes may share
it. Calls on regular files block for as long as the disk takes, as such files are always ready. `greenio.fs`, tp_read()
and tp_write() make them in a thread.

Functions that wait say that they switch; the others do not switch.
"""

import subprocess as _subprocess
import sys as _sys
from contextlib import suppress as _suppress
from os import *  # noqa: F403  (this module offers everything that the standard one does)
from os import F_LOCK as _F_LOCK
from os import SEEK_CUR as _SEEK_CUR
from os import _wrap_close as _PipeOfCommand
from os import close as _close
from os import closerange as _closerange
from os import dup2 as _dup2
from os import execv as _execv
from os import execve as _execve
from os import fsencode as _fsencode
from os import fstat as _fstat
from os import get_blocking as _get_blocking
from os import lockf as _lockf
from os import lseek as _lseek
from os import posix_spawn as _posix_spawn
from os import posix_spawnp as _posix_spawnp
from os import preadv as _preadv
from os import read as _read
from os import readv as _readv
from os import sendfile as _sendfile
from os import set_blocking as _set_blocking
from os import supports_fd as _supports_fd
from os import write as _write
from os import writev as _writev
from select import PIPE_BUF as _PIPE_BUF
from select import POLLOUT as _POLLOUT
from stat import S_ISSOCK as _S_ISSOCK
from sys import audit as _audit

from hub import get_hub as _get_hub
from hub.closing import check_program_owns as _check_program_owns
from hub.closing import closing_descriptor as _closing_descriptor
from hub.closing import closing_range as _closing_range
from hub.closing import program_ranges as _program_ranges
from hub.scheduler import be_fair as _be_fair

from greenio._descriptors import nowait as _nowait
from greenio._descriptors.accepting import is_listener as _is_listener
from greenio._descriptors.accepting import make_all_blocking_again as _make_all_blocking_again
from greenio._descriptors.children import AnnouncedWait as _AnnouncedWait
from greenio._descriptors.children import (
    fork_and_watch,
    fork_gevent,
    forkpty_and_watch,
    forkpty_gevent,
    wait,
    wait3,
    wait4,
    waitid,
    waitpid,
)  # fmt: skip
from greenio._descriptors.readiness import wait_read as _wait_read
from greenio._descriptors.shell import heed_interrupts as _heed_interrupts
from greenio._descriptors.shell import start as _start_in_shell
from greenio._tasks.program import fork
from greenio.fcntl import LOCK_EX as _LOCK_EX
from greenio.fcntl import lockf as _wait_for_lock
from greenio.socket import wait_write as _wait_write
from greenio.subprocess import Popen as _Popen

__all__ = [
    "close", "closerange", "dup2", "eventfd_read", "execv", "execve", "fork", "fork_and_watch", "fork_gevent",
    "forkpty_and_watch", "forkpty_gevent", "lockf", "make_nonblocking", "nb_read", "nb_write", "popen",
    "posix_spawn", "posix_spawnp", "read", "readv", "sendfile", "system", "tp_read", "tp_write", "wait", "wait3",
    "wait4", "waitid", "waitpid", "write", "writev",
]  # fmt: skip


# --- reading and writing ----------------------------------------------------------------------------------------


def _waits(fd):
    """Whether a call on this descriptor may have to wait. False for a wrong descriptor: the call raises the error."""
    try:
        return isinstance(fd, int) and fd >= 0 and _get_blocking(fd) and not _nowait.always_ready(fd)
    except OSError:
        return False


def read(fd, length, /):
    """As os.read(). Switches while there is nothing to read, unless the descriptor is non-blocking."""
    if not isinstance(length, int) or length <= 0 or not _waits(fd):
        return _read(fd, length)
    _be_fair()
    buffer = bytearray(length)
    return bytes(memoryview(buffer)[: _nowait.read_into(fd, [buffer])])


def readv(fd, buffers, /):
    """As os.readv(). Switches while there is nothing to read, unless the descriptor is non-blocking."""
    if not _length(buffers) or not _waits(fd):
        return _readv(fd, buffers)
    _be_fair()
    return _nowait.read_into(fd, buffers)


def _length(buffers):
    return sum(memoryview(buffer).nbytes for buffer in buffers) if isinstance(buffers, (list, tuple)) else 0


def write(fd, data, /):
    """As os.write(): writes all of the data, or what can be written if the descriptor is non-blocking. Switches."""
    if not memoryview(data).nbytes or not _waits(fd):
        return _write(fd, data)
    _be_fair()
    return _nowait.write_all(fd, [data])


def writev(fd, buffers, /):
    """As os.writev(): writes all of the data, or what can be written if the descriptor is non-blocking. Switches."""
    if not _length(buffers) or not _waits(fd):
        return _writev(fd, buffers)
    _be_fair()
    return _nowait.write_all(fd, buffers)


def eventfd_read(fd):
    """As os.eventfd_read(). Switches while the counter is 0, unless the descriptor is non-blocking."""
    return int.from_bytes(read(fd, 8), _sys.byteorder)


def lockf(fd, command, length, /):
    """As os.lockf(): lock or unlock a part of a file. With F_LOCK, switches while another process has it locked."""
    if command != _F_LOCK:
        return _lockf(fd, command, length)
    # The lock begins where the file's position is now. That may be elsewhere when the lock is released.
    return _wait_for_lock(fd, _LOCK_EX, length, _lseek(fd, 0, _SEEK_CUR))


def close(fd):
    """As os.close(). Greenlets that wait for the descriptor, in any thread, get OSError(EBADF).

    Raises OSError(EBADF) for the event loop's own descriptors as well.
    """
    _check_program_owns(fd)
    if isinstance(fd, int) and 0 <= fd < 1 << 31:
        _closing_descriptor(fd)
    _close(fd)


def closerange(fd_low, fd_high, /):
    """As os.closerange(). Greenlets that wait for one of the descriptors, in any thread, get OSError(EBADF).

    The event loop's own descriptors are left open.
    """
    if isinstance(fd_low, int) and isinstance(fd_high, int):
        _closing_range(fd_low, fd_high)
        for low, high in _program_ranges(fd_low, fd_high):
            _closerange(low, high)
    else:
        _closerange(fd_low, fd_high)


def dup2(fd, fd2, inheritable=True):
    """As os.dup2(). Greenlets that wait for the old file of `fd2`, in any thread, get OSError(EBADF).

    Raises OSError(EBADF) if `fd2` is a descriptor of the event loop's own.
    """
    _check_program_owns(fd2)
    if isinstance(fd, int) and isinstance(fd2, int) and fd != fd2 and 0 <= fd2 < 1 << 31:
        _fstat(fd)  # raises if the descriptor is not open: the system does not close `fd2` then
        _closing_descriptor(fd2)
    return _dup2(fd, fd2, inheritable)


def make_nonblocking(fd):
    """Set O_NONBLOCK on a descriptor. Returns True if it was not set, else None.

    The flag is the open file's, which other processes may share.
    """
    if _get_blocking(fd):
        _set_blocking(fd, False)
        return True
    return None


def nb_read(fd, n):
    """Read up to `n` (int) bytes from a non-blocking descriptor. Switches while there is nothing to read."""
    while True:
        try:
            return _read(fd, n)
        except BlockingIOError:
            _wait_read(fd)


def nb_write(fd, buf):
    """Write as much as fits to a non-blocking descriptor; return the number of bytes. Switches while nothing fits."""
    while True:
        try:
            return _write(fd, buf)
        except BlockingIOError:
            _wait_write(fd)


def tp_read(fd, n):
    """As os.read(), in the hub's thread pool: for regular files. Switches."""
    return _get_hub().threadpool.apply(_read, (fd, n))


def tp_write(fd, buf):
    """As os.write(), in the hub's thread pool: for regular files. Switches."""
    return _get_hub().threadpool.apply(_write, (fd, buf))


def sendfile(out_fd, in_fd, offset, count):
    """As os.sendfile(). Switches while nothing can be written.

    If an error comes after some of the data was sent, returns the number of bytes sent; the next call raises the error.
    """
    if not isinstance(count, int) or count < 0 or not _waits(out_fd):
        while True:
            try:
                return _sendfile(out_fd, in_fd, offset, count)
            except BlockingIOError:
                _wait_write(out_fd)
    sent = 0
    try:
        while sent < count:
            start = None if offset is None else offset + sent
            if not _nowait.is_ready(out_fd, _POLLOUT):
                _check_sending(out_fd, in_fd, start)
                if not _is_listener(out_fd):  # a listener refuses at once
                    _wait_write(out_fd)
            # Not more than fits for sure.
            now = _sendfile(out_fd, in_fd, start, min(count - sent, _PIPE_BUF))
            if now == 0:
                break
            sent += now
    except OSError:
        if not sent:
            raise
        # The next call gets the error.
    return sent


def _check_sending(out_fd, in_fd, offset):
    """Raise the error with which the system refuses sendfile(), before it waits for room."""
    if _S_ISSOCK(_fstat(out_fd).st_mode) or (offset is not None and offset < 0):
        _sendfile(out_fd, in_fd, offset, 0)
        return
    # For a pipe the system waits for room even if there is nothing to send.
    _writev(out_fd, [])
    if offset is None:
        _readv(in_fd, [])
    else:
        _preadv(in_fd, [], offset)


# --- other programs ---------------------------------------------------------------------------------------------
#
# A listener that another program inherits is made blocking again first: see make_all_blocking_again().


def execv(path, argv, /):
    """As os.execv(). Does not switch."""
    _make_all_blocking_again()
    _execv(path, argv)


def execve(path, argv, env):
    """As os.execve(). Does not switch."""
    _make_all_blocking_again()
    _execve(path, argv, env)


if _execve in _supports_fd:
    _supports_fd.add(execve)


def posix_spawn(path, argv, env, /, **options):
    """As os.posix_spawn(). Does not switch."""
    _make_all_blocking_again()
    return _posix_spawn(path, argv, env, **options)


def posix_spawnp(path, argv, env, /, **options):
    """As os.posix_spawnp(). Does not switch."""
    _make_all_blocking_again()
    return _posix_spawnp(path, argv, env, **options)


# --- commands ---------------------------------------------------------------------------------------------------


def system(command):
    """As os.system(): run a command in a shell; return its wait status (int). Switches.

    SIGINT and SIGQUIT are ignored meanwhile: they are for the command. Where SIGCHLD is ignored, the system keeps no
    status, and -1 is returned. A greenlet that is killed here waits until the command has ended.
    """
    _audit("os.system", command)
    # No other wait takes the status, even if the command ends before the next line.
    with _AnnouncedWait() as waiting:
        waiting.begin(_start_in_shell, _fsencode(command))
        try:
            return waiting.wait()
        except ChildProcessError:
            return -1
        except BaseException:
            with _suppress(ChildProcessError):
                waiting.wait()
            raise
        finally:
            _heed_interrupts()


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
    pipe = process.stdout if mode == "r" else process.stdin
    # The subprocess module keeps a process for which the program does not wait. It must not keep the pipe too: the
    # process may run until the pipe is closed.
    process.stdout = process.stdin = None
    return _PipeOfCommand(pipe, process)

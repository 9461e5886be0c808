"""Reading and writing a descriptor without ever blocking the thread, and without its O_NONBLOCK flag.

That flag belongs to the open file, which other processes may share: the shell's terminal, the parent's pipe. Setting it
changes their reading and writing too, and a process that is killed would leave it set. It is never set here.

    pipes, sockets      the system is asked not to wait, for this one call (RWF_NOWAIT)
    terminals           are opened once more for a write; the flag is that of the new open file
    anonymous ones      (eventfd, timerfd, and so on) as pipes, where they know RWF_NOWAIT
    all others          are asked first whether they are ready; regular files always are

Where the system does not know RWF_NOWAIT for pipes and sockets (before Linux 6.5), they are asked first, too, and no
more is written to a pipe than fits for sure. A process that shares a descriptor which was asked first may be faster:
then the call blocks until there is something more.

A call that the system would refuse at once does not wait first: see `_check_ready()`.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from os import close, fstat, isatty, preadv, pwritev, readlink, readv, strerror, writev
from os import open as open_descriptor
from select import poll

from greenio._descriptors.accepting import is_listener
from greenio._descriptors.holding import Held
from greenio._descriptors.readiness import wait_read, wait_write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Buffer

__all__ = ["always_ready", "is_ready", "read_into", "readv_now", "write_all", "write_some", "writev_now"]

# What a pipe that is ready to be written takes for sure.
_ATOMIC = select.PIPE_BUF
# A terminal is ready when there is room for a single character; this is what it takes in practice.
_CHARACTERS = 512
# How the system says that it does not know RWF_NOWAIT, or not for this file.
_UNKNOWN = {errno.EOPNOTSUPP, errno.ENOSYS, errno.ESPIPE}
if [int(each) for each in os.uname().release.split(".")[:2] if each.isdecimal()] < [4, 14]:
    _UNKNOWN.add(errno.EINVAL)
_MOST_BUFFERS = os.sysconf("SC_IOV_MAX")
# The least that anonymous descriptors take, in bytes; with less they refuse.
_LEAST = {"anon_inode:[eventfd]": 8, "anon_inode:[timerfd]": 8, "anon_inode:[signalfd]": 128}
# What no eventfd takes.
_NO_COUNT = b"\xff" * 8
# The other end of a pseudo-terminal: opening it once more makes a new one.
_PTMX = os.makedev(5, 2)


def always_ready(fd: int) -> bool:
    """Whether a descriptor is of a kind that is never waited for: a regular file, a directory, a disk (bool)."""
    mode = fstat(fd).st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISBLK(mode)


def _is_anonymous(mode):
    return stat.S_IFMT(mode) == 0


def _takes_nowait(mode):
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or _is_anonymous(mode)


def is_ready(fd: int, event: int) -> bool:
    """Whether a descriptor is ready for POLLIN or POLLOUT, or the call would say what is wrong (bool)."""
    asked = poll()
    asked.register(fd, event)
    return bool(asked.poll(0))


# --- calls that the system refuses ------------------------------------------------------------------------------


def _check_ready(fd, event, function, buffers):
    """Raise BlockingIOError if ``function(fd, buffers)`` would wait, or the error with which the system refuses it."""
    if is_ready(fd, event):
        return
    function(fd, [])  # raises if the descriptor cannot be read, or written, at all
    mode = fstat(fd).st_mode
    if len(buffers) > _MOST_BUFFERS or (stat.S_ISSOCK(mode) and is_listener(fd)):
        function(fd, buffers)
    elif _is_anonymous(mode):
        first = memoryview(buffers[0]).cast("B")[:8].tobytes() if event == select.POLLOUT else None
        link = readlink(f"/proc/self/fd/{fd}")
        if memoryview(buffers[0]).nbytes < _LEAST.get(link, 0) or (first == _NO_COUNT and link in _LEAST):
            function(fd, buffers[:1])
    raise BlockingIOError(errno.EAGAIN, strerror(errno.EAGAIN))


# --- one attempt ------------------------------------------------------------------------------------------------


def readv_now(fd: int, buffers: Sequence[Buffer], *, is_pipe: bool = False) -> int:
    """Read the data that is there into buffers. Returns the number of bytes (int), 0 at the end.

    Raises BlockingIOError if there is no data. `is_pipe`: whether `fd` is known to be a pipe, which spares asking the
    system.
    """
    if is_pipe or _takes_nowait(fstat(fd).st_mode):
        try:
            return preadv(fd, buffers, -1, os.RWF_NOWAIT)
        except OSError as error:
            if error.errno not in _UNKNOWN:
                raise
    _check_ready(fd, select.POLLIN, readv, buffers)
    return readv(fd, buffers)


def writev_now(fd: int, buffers: Sequence[Buffer], *, is_pipe: bool = False) -> int:
    """Write as much as there is room for. Returns the number of bytes (int). Raises BlockingIOError if there is none.

    `is_pipe`: as in readv_now().
    """
    status = None if is_pipe else fstat(fd)
    if status is None or _takes_nowait(status.st_mode):
        try:
            return pwritev(fd, buffers, -1, os.RWF_NOWAIT)
        except OSError as error:
            if error.errno not in _UNKNOWN:
                raise
    _check_ready(fd, select.POLLOUT, writev, buffers)
    if status is None or stat.S_ISFIFO(status.st_mode):
        return _write_at_most(_ATOMIC, fd, buffers)
    if stat.S_ISCHR(status.st_mode) and isatty(fd):
        if status.st_rdev != _PTMX:
            return _write_terminal(fd, buffers)
        return _write_at_most(_CHARACTERS, fd, buffers)
    return writev(fd, buffers)


def _write_at_most(length, fd, buffers):
    """Write the first `length` bytes of buffers."""
    taken = []
    try:
        for buffer in buffers:
            taken.append(memoryview(buffer).cast("B")[:length])
            length -= len(taken[-1])
            if length == 0:
                break
        return writev(fd, taken)
    finally:
        for view in taken:
            view.release()


def _write_terminal(fd, buffers):
    try:
        own = open_descriptor(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:  # another user's, say
        return _write_at_most(_CHARACTERS, fd, buffers)
    try:
        return writev(own, buffers)
    finally:
        close(own)


# --- until it is done -------------------------------------------------------------------------------------------


def read_into(fd: int, buffers: Sequence[Buffer]) -> int:
    """As readv_now(), but wait until there is data. Switches while there is none."""
    held = None
    try:
        while True:
            try:
                return readv_now(fd, buffers)
            except BlockingIOError:
                if held is None:
                    held = Held(buffers)
                    buffers = held.args
                wait_read(fd)
    finally:
        if held is not None:
            held.release()


def write_some(fd: int, buffers: Sequence[Buffer]) -> int:
    """As writev_now(), but wait until there is room. Switches while there is none."""
    while True:
        try:
            return writev_now(fd, buffers)
        except BlockingIOError:
            wait_write(fd)


def write_all(fd: int, buffers: Sequence[Buffer]) -> int:
    """Write all of the data. Returns the number of bytes (int). Switches while there is no room.

    If an error comes after some bytes were written, returns their number, as the system does. The next call raises it.
    """
    left = [memoryview(buffer).cast("B") for buffer in buffers]
    written = 0
    try:
        while True:
            now = write_some(fd, left)
            written += now
            while left and now >= len(left[0]):
                now -= len(left.pop(0))
            if not left:
                return written
            left[0] = left[0][now:]
    except OSError:
        if written:
            return written
        raise
    finally:
        for view in left:  # now, as a traceback may keep them
            view.release()

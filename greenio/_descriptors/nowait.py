"""Reading and writing a descriptor without ever blocking the thread, and without its O_NONBLOCK flag.

That flag belongs to the open file, which other processes may share: the shell's terminal, the parent's pipe. Whoever
sets it changes their reading and writing too, and leaves it set when he is killed. It is never set here.

    pipes, sockets      the system is asked not to wait, for this one call (RWF_NOWAIT)
    terminals           are opened once more for a write; the flag is that of the new open file
    all others          are asked first whether they are ready; regular files always are

Where the system does not know RWF_NOWAIT for pipes and sockets (before Linux 6.5), they are asked first, too, and no
more is written to a pipe than fits for sure. A process that shares a descriptor which was asked first may be faster:
then the call blocks until there is something more.
"""

import errno
import os
import select
import stat
from os import close, fstat, isatty, preadv, pwritev, readv, strerror, writev
from os import open as open_descriptor
from select import poll

from greenio._descriptors.readiness import wait_read, wait_write

__all__ = ["always_ready", "read_into", "readv_now", "write_all", "write_some", "writev_now"]

# What a pipe that is ready to be written takes for sure.
_ATOMIC = select.PIPE_BUF
# A terminal is ready when there is room for a single character; this is what it takes in practice.
_CHARACTERS = 512
# How the system says that it does not know RWF_NOWAIT, or not for this file.
_UNKNOWN = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ESPIPE)
# The other end of a pseudo-terminal: opening it once more makes a new one.
_PTMX = os.makedev(5, 2)


def always_ready(fd):
    """Whether a descriptor is of a kind that is never waited for: a regular file, a directory, a disk (bool)."""
    mode = fstat(fd).st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISBLK(mode)


def _takes_nowait(mode):
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _check_ready(fd, event):
    asked = poll()
    asked.register(fd, event)
    if not asked.poll(0):
        raise BlockingIOError(errno.EAGAIN, strerror(errno.EAGAIN))


# --- one attempt ------------------------------------------------------------------------------------------------


def readv_now(fd, buffers, *, is_pipe=False):
    """Read what is there into buffers; return how much (int), 0 at the end. Raises BlockingIOError if nothing is.

    `is_pipe`: whether it is known to be one, which spares asking the system.
    """
    if is_pipe or _takes_nowait(fstat(fd).st_mode):
        try:
            return preadv(fd, buffers, -1, os.RWF_NOWAIT)
        except OSError as error:
            if error.errno not in _UNKNOWN:
                raise
    _check_ready(fd, select.POLLIN)
    return readv(fd, buffers)


def writev_now(fd, buffers, *, is_pipe=False):
    """Write what there is room for; return how much (int). Raises BlockingIOError if there is none.

    `is_pipe`: as in readv_now().
    """
    status = None if is_pipe else fstat(fd)
    if is_pipe or _takes_nowait(status.st_mode):
        try:
            return pwritev(fd, buffers, -1, os.RWF_NOWAIT)
        except OSError as error:
            if error.errno not in _UNKNOWN:
                raise
    _check_ready(fd, select.POLLOUT)
    if is_pipe:
        return writev(fd, _at_most(_ATOMIC, buffers))
    if stat.S_ISFIFO(status.st_mode):
        buffers = _at_most(_ATOMIC, buffers)
    elif stat.S_ISCHR(status.st_mode) and isatty(fd):
        if status.st_rdev != _PTMX:
            return _write_terminal(fd, buffers)
        buffers = _at_most(_CHARACTERS, buffers)
    return writev(fd, buffers)


def _at_most(length, buffers):
    """The first `length` bytes of buffers."""
    taken = []
    for buffer in buffers:
        taken.append(memoryview(buffer).cast("B")[:length])
        length -= len(taken[-1])
        if length == 0:
            break
    return taken


def _write_terminal(fd, buffers):
    try:
        own = open_descriptor(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:  # another user's, say
        return writev(fd, _at_most(_CHARACTERS, buffers))
    try:
        return writev(own, buffers)
    finally:
        close(own)


# --- until it is done -------------------------------------------------------------------------------------------


def read_into(fd, buffers):
    """As readv_now(), but wait until there is something. Switches while there is not."""
    while True:
        try:
            return readv_now(fd, buffers)
        except BlockingIOError:
            wait_read(fd)


def write_some(fd, buffers):
    """As writev_now(), but wait until there is room. Switches while there is none."""
    while True:
        try:
            return writev_now(fd, buffers)
        except BlockingIOError:
            wait_write(fd)


def write_all(fd, buffers):
    """Write all of the data; return how much that is (int). Switches while there is no room.

    An error after some of it was written is left to the next call, as the system does: then it is less.
    """
    left = [memoryview(buffer).cast("B") for buffer in buffers]
    written = 0
    while True:
        try:
            now = write_some(fd, left)
        except OSError:
            if written:
                return written
            raise
        written += now
        while left and now >= len(left[0]):
            now -= len(left.pop(0))
        if not left:
            return written
        left[0] = left[0][now:]

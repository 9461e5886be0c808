"""The standard library's `fcntl`, with cooperative forms of the two functions that wait for a file lock.

A free lock is taken at once. For any other, a thread waits, in the system's own line of waiters. If the greenlet is
killed meanwhile, and the thread gets the lock after all, the lock is released again.

`fcntl()` with F_SETLKW still blocks the thread.
"""

from fcntl import *  # noqa: F403  (this module offers everything that the standard one does)
from fcntl import LOCK_NB as _LOCK_NB
from fcntl import LOCK_UN as _LOCK_UN
from fcntl import flock as _flock
from fcntl import lockf as _lockf
from os import close as _close
from os import dup as _dup
from os import fstat as _fstat

from greenio._descriptors.blocking import ThreadCall as _ThreadCall

__all__ = ["flock", "lockf"]


def _descriptor(fd):
    return fd if isinstance(fd, int) else fd.fileno()


def flock(fd, operation, /):
    """As fcntl.flock(): lock or unlock an open file. Switches while another open file has the lock."""
    if not isinstance(operation, int) or operation & (_LOCK_NB | _LOCK_UN):
        return _flock(fd, operation)
    try:
        return _flock(fd, operation | _LOCK_NB)
    except BlockingIOError:
        pass
    # The lock belongs to the open file. The thread has its own descriptor of that file: `fd` may be closed meanwhile.
    own = _dup(_descriptor(fd))

    def lock():
        try:
            _flock(own, operation)
        except BaseException:
            _close(own)
            raise

    def unlock():
        try:
            _flock(own, _LOCK_UN)
        finally:
            _close(own)

    try:
        call = _ThreadCall(lock, undo=unlock)
    except BaseException:
        _close(own)
        raise
    call.wait()
    _close(own)


def lockf(fd, cmd, len=0, start=0, whence=0, /):
    """As fcntl.lockf(): lock or unlock a part of a file for this process. Switches while another process has it."""
    if not isinstance(cmd, int) or cmd & (_LOCK_NB | _LOCK_UN):
        return _lockf(fd, cmd, len, start, whence)
    try:
        return _lockf(fd, cmd | _LOCK_NB, len, start, whence)
    except (BlockingIOError, PermissionError):  # POSIX allows both
        pass
    # Closing any descriptor of the file would release all of the process's locks on it: the thread uses this very one.
    descriptor = _descriptor(fd)
    status = _fstat(descriptor)

    def unlock():
        try:
            now = _fstat(descriptor)
        except OSError:
            return  # closed, and so the lock is released
        if (now.st_dev, now.st_ino) == (status.st_dev, status.st_ino):
            _lockf(descriptor, _LOCK_UN, len, start, whence)

    return _ThreadCall(_lockf, descriptor, cmd, len, start, whence, undo=unlock).wait()

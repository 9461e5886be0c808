"""File objects that let other greenlets run: pipes, terminals and the like by waiting, regular files in a thread."""

import errno
import io
import os
import stat

from hub import get_hub, get_hub_if_exists

from greenio.lock import RLock
from greenio.socket import wait_read, wait_write

__all__ = ["FileObject", "FileObjectPosix", "FileObjectThread", "PipeIO", "open_pipe"]

# A pipe that is ready to be written takes so many bytes without blocking (POSIX).
_ATOMIC = 512


class PipeIO(io.RawIOBase):
    """A raw file on a descriptor that can be waited for: a pipe, a terminal, a socket.

    O_NONBLOCK is set, unless others may share the open file: the standard descriptors and terminals are left as they
    are. Greenlets that wait when it is closed get OSError(EBADF).
    """

    def __init__(self, fileno, mode="r", closefd=True):
        super().__init__()
        self._fileno = fileno
        self._reads = "r" in mode or "+" in mode
        self._writes = "w" in mode or "a" in mode or "+" in mode
        self._closefd = closefd
        self.mode = mode
        self._shared = fileno <= 2 or os.isatty(fileno)
        if not self._shared:
            os.set_blocking(fileno, False)

    def fileno(self):
        """The descriptor (int)."""
        self._check()
        return self._fileno

    def readable(self):
        """Whether it was opened for reading (bool)."""
        return self._reads

    def writable(self):
        """Whether it was opened for writing (bool)."""
        return self._writes

    def seekable(self):
        """Whether it has a position (bool)."""
        try:
            os.lseek(self.fileno(), 0, os.SEEK_CUR)
        except OSError:
            return False
        return True

    def seek(self, offset, whence=os.SEEK_SET):
        """Set the position; return it."""
        return os.lseek(self.fileno(), offset, whence)

    def isatty(self):
        """Whether it is a terminal (bool)."""
        return os.isatty(self.fileno())

    def _check(self):
        if self.closed:
            raise ValueError("I/O operation on closed file")

    def readinto(self, buffer):
        """Read into a buffer what there is; return how much (int), 0 at the end. Switches while there is nothing."""
        self._check()
        if not self._reads:
            raise io.UnsupportedOperation("not readable")
        while True:
            if self._shared:
                wait_read(self._fileno)
            try:
                return os.readv(self._fileno, [buffer])
            except BlockingIOError:
                wait_read(self._fileno)
            self._check()

    def write(self, data):
        """Write what can be written of the data; return how much (int). Switches while nothing can be."""
        self._check()
        if not self._writes:
            raise io.UnsupportedOperation("not writable")
        data = memoryview(data).cast("B")
        while True:
            if self._shared:
                wait_write(self._fileno)
                data = data[:_ATOMIC]
            try:
                return os.write(self._fileno, data)
            except BlockingIOError:
                wait_write(self._fileno)
            self._check()

    def close(self):
        """Close it, and the descriptor unless ``closefd=False``."""
        if self.closed:
            return
        super().close()
        hub = get_hub_if_exists()
        if hub is not None:
            hub.loop.closing_fd(self._fileno)
        if self._closefd:
            os.close(self._fileno)

    def __repr__(self):
        state = "closed" if self.closed else f"fileno={self._fileno} mode={self.mode!r}"
        return f"<{type(self).__name__} at {id(self):#x} {state}>"


def open_pipe(fileno, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True):
    """As the builtin open(), of a descriptor (int) that can be waited for. Its methods switch."""
    binary = "b" in mode
    if binary and (encoding is not None or errors is not None or newline is not None):
        raise ValueError("binary mode doesn't take an encoding, errors or newline argument")
    if not binary and buffering == 0:
        raise ValueError("can't have unbuffered text I/O")
    raw = PipeIO(fileno, mode, closefd)
    if buffering == 0:
        return raw
    size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
    if raw.readable() and raw.writable():
        made = io.BufferedRandom(raw, size) if raw.seekable() else io.BufferedRWPair(raw, raw, size)
    else:
        made = (io.BufferedReader if raw.readable() else io.BufferedWriter)(raw, size)
    if binary:
        return made
    return io.TextIOWrapper(made, encoding, errors, newline, line_buffering=buffering == 1 or raw._shared)


class _Wrapper:
    """Hands on to `io`, the file object inside."""

    def __init__(self, inside):
        self.io = inside

    def __getattr__(self, name):
        if name == "io":
            raise AttributeError(name)
        return getattr(self.io, name)

    def __iter__(self):
        return self

    def __next__(self):
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    next = __next__

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def __repr__(self):
        return f"<{type(self).__name__} at {id(self):#x} of {self.io!r}>"


def _take_over(fobj, closefd):
    """The descriptor of a file object that is not to close it any more."""
    if isinstance(fobj, int):
        return fobj
    fobj.flush()
    if not closefd:
        return fobj.fileno()
    fileno = os.dup(fobj.fileno())
    fobj.close()
    return fileno


class FileObjectPosix(_Wrapper):
    """A file object on what can be waited for: a pipe, a terminal, a socket; as the builtin open() makes them.

    `fobj`: a descriptor (int), or a file object, which is closed (with ``closefd=False``: used beside this one).
    Its methods switch while there is nothing to read or no room to write. `io` is the file object inside.
    """

    def __init__(self, fobj, mode="r", buffering=-1, closefd=True, encoding=None, errors=None, newline=None):
        super().__init__(open_pipe(_take_over(fobj, closefd), mode, buffering, encoding, errors, newline, closefd))

    def writeall(self, data):
        """Write all of the data (bytes), however often that takes."""
        data = memoryview(data)
        while data:
            data = data[self.io.write(data) :]


class FileObjectThread(_Wrapper):
    """A file object whose methods run in the hub's thread pool: for regular files, which cannot be waited for.

    `fobj`: a path, a descriptor (int) or a file object. `lock`: False to let several greenlets use it at once.
    `threadpool`: another pool than the hub's. One method runs at a time. `io` is the file object inside.
    """

    _METHODS = frozenset(
        {"read", "read1", "readinto", "readinto1", "readline", "readlines", "readall", "peek"}
        | {"write", "writelines", "flush", "seek", "truncate"}
    )

    def __init__(
        self,
        fobj,
        mode="r",
        buffering=-1,
        closefd=True,
        encoding=None,
        errors=None,
        newline=None,
        lock=True,
        threadpool=None,
    ):
        self._threadpool = threadpool
        self._lock = RLock() if lock is True else (lock or None)
        if not hasattr(fobj, "read") and not hasattr(fobj, "write"):
            fobj = self._apply(io.open, fobj, mode, buffering, encoding, errors, newline, closefd)
        super().__init__(fobj)
        self._closefd = closefd

    def _apply(self, function, *args, **kwargs):
        pool = self._threadpool or get_hub().threadpool
        if self._lock is None:
            return pool.apply(function, args, kwargs)
        with self._lock:
            return pool.apply(function, args, kwargs)

    def __getattr__(self, name):
        found = super().__getattr__(name)
        if name not in self._METHODS:
            return found
        return lambda *args, **kwargs: self._apply(found, *args, **kwargs)

    def close(self):
        """Write out what is still to be written and close the file, unless ``closefd=False``. Switches."""
        if not self.io.closed:
            self._apply(self.io.close if self._closefd else self.io.flush)


def FileObject(fobj, mode="r", *args, **kwargs):
    """A FileObjectThread for a path or a regular file, else a FileObjectPosix; see there for the arguments."""
    if isinstance(fobj, (str, bytes, os.PathLike)):
        return FileObjectThread(fobj, mode, *args, **kwargs)
    try:
        fileno = fobj if isinstance(fobj, int) else fobj.fileno()
    except (AttributeError, OSError, io.UnsupportedOperation) as error:
        if isinstance(error, OSError) and error.errno == errno.EBADF:
            raise
        return FileObjectThread(fobj, mode, *args, **kwargs)
    regular = stat.S_ISREG(os.fstat(fileno).st_mode)
    return (FileObjectThread if regular else FileObjectPosix)(fobj, mode, *args, **kwargs)

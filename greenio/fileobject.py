"""File objects that let other greenlets run: they wait for pipes and terminals, and use regular files in a thread.

O_NONBLOCK is never set on a descriptor that the program passes in: other processes may share the open file. See
`greenio._descriptors.nowait`.

Methods that read, write or flush switch, and so does closing a file whose data is not written yet. The other methods do
not switch. All methods of FileObjectThread that use its file switch, and those of FileObjectBlock block the thread.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import warnings
from os import close as _close
from os import dup as _dup
from os import get_blocking as _get_blocking
from os import isatty as _isatty

from hub import get_hub
from hub.closing import closing_descriptor
from hub.scheduler import be_fair

from greenio._descriptors import buffered
from greenio._descriptors.bare import wait_descriptor
from greenio._descriptors.holding import Held
from greenio._descriptors.nowait import always_ready, readv_now, writev_now
from greenio.lock import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike
    from types import TracebackType
    from typing import IO, Any

    from typing_extensions import Buffer, Self

    from greenio.threadpool import ThreadPool

    File = str | bytes | PathLike[Any] | int | IO[Any]  # a name or descriptor to open, or a file object

__all__ = [
    "FileObject", "FileObjectBlock", "FileObjectClosed", "FileObjectPosix", "FileObjectThread", "PipeIO",
    "open_own_pipe", "open_pipe",
]  # fmt: skip


_READ, _WRITE = 1, 2


class FileObjectClosed(OSError, ValueError):
    """A file object was used after it was closed. Its `errno` is EBADF."""

    def __init__(self) -> None:
        super().__init__(errno.EBADF, "Bad file descriptor (the file object was closed)")


class PipeIO(io.RawIOBase):
    """A raw file, with the methods of io.FileIO, on a descriptor that can be waited for: a pipe, a terminal, a socket.

    `own`: whether it is a pipe that this process has just made. If such a pipe is non-blocking later, the program has
    made it so, and calls that would have to wait return None.
    Closing the file raises OSError(EBADF) in the greenlets of any thread that wait for it.
    """

    # __del__() needs these, even if __init__() has failed.
    _fileno = -1
    _closefd = False

    def __init__(self, fileno: int, mode: str = "r", closefd: bool = True, own: bool = False) -> None:
        super().__init__()
        self._closefd = closefd
        self._reads = "r" in mode or "+" in mode
        self._writes = not self._reads or "+" in mode
        self.mode = mode
        self._own = own
        self._ending = False  # whether end_reading() was called
        self._in_buffer = False  # whether a buffer around it keeps the data that is not written
        if not own:
            always_ready(fileno)  # raises if the descriptor is not open
        self._fileno = self.name = fileno

    def fileno(self) -> int:
        """The descriptor (int)."""
        self._check()
        return self._fileno

    def readable(self) -> bool:
        """Whether it was opened for reading (bool)."""
        self._check()
        return self._reads

    def writable(self) -> bool:
        """Whether it was opened for writing (bool)."""
        self._check()
        return self._writes

    def seekable(self) -> bool:
        """Whether it has a position (bool)."""
        try:
            os.lseek(self.fileno(), 0, os.SEEK_CUR)
        except OSError as error:
            if isinstance(error, FileObjectClosed):
                raise
            return False
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position; return it (int). Raises OSError if there is none."""
        return os.lseek(self.fileno(), offset, whence)

    def truncate(self, size: int | None = None, /) -> int:
        """As io.FileIO's. Raises OSError for a pipe, which has no size."""
        if not self.writable():
            raise io.UnsupportedOperation("File not open for writing")
        size = os.lseek(self._fileno, 0, os.SEEK_CUR) if size is None else size
        os.ftruncate(self._fileno, size)
        return size

    def isatty(self) -> bool:
        """Whether it is a terminal (bool)."""
        return _isatty(self.fileno())

    @property
    def closefd(self) -> bool:
        """Whether closing it closes the descriptor (bool)."""
        return self._closefd

    def _check(self):
        if self.closed:
            raise FileObjectClosed()

    def _check_reading(self):
        if self._ending or self.closed:
            raise FileObjectClosed()

    def readinto(self, buffer: Buffer) -> int | None:
        """Read the data that is there into a buffer. Switches while there is none.

        Returns the number of bytes (int), 0 at the end; None if there is no data and the program has made the pipe
        non-blocking.
        """
        be_fair()
        self._check()
        if not self._reads:
            raise io.UnsupportedOperation("not readable")
        if not len(buffer):  # type: ignore[arg-type]  # buffers of items have a length
            return 0
        held = None
        try:
            while True:
                self._check_reading()
                try:
                    return readv_now(self._fileno, [buffer], is_pipe=self._own)
                except BlockingIOError:
                    if self._must_not_wait():
                        return None
                    held = held or Held([buffer])
                    wait_descriptor(self._fileno, _READ, None, None, self._check_reading)
                self._check()
        finally:
            if held is not None:
                held.release()

    def write(self, data: Buffer) -> int | None:
        """Write all of the data, as the system does for a blocking descriptor. Returns the number of bytes. Switches.

        In a buffered file, it writes what fits at once, as the buffer keeps the rest. If the program has made the pipe
        non-blocking, it writes what fits, and returns None if nothing does.
        """
        be_fair()
        self._check()
        if not self._writes:
            raise io.UnsupportedOperation("not writable")
        written = 0
        with memoryview(data) as view, view.cast("B") as whole:
            while written < len(whole):
                try:
                    with whole[written:] as left:
                        written += writev_now(self._fileno, [left], is_pipe=self._own)
                except BlockingIOError:
                    if self._must_not_wait():
                        return written or None
                    self._wait_to_write()
                    self._check()
                    continue
                except OSError:
                    if written:
                        break  # the next call raises it
                    raise
                if self._in_buffer:
                    break
        return written

    def _must_not_wait(self):
        return self._own and not _get_blocking(self._fileno)

    def _wait_to_write(self):
        try:
            wait_descriptor(self._fileno, _WRITE, None, None, self._check)
        except OSError:
            # end_reading() wakes all greenlets that wait; it is not meant for writers.
            if self.closed or not self._ending:
                raise

    def end_reading(self) -> None:
        """End reading: greenlets of any thread that wait for data get OSError(EBADF)."""
        self._ending = True
        if self._reads and not self.closed:
            closing_descriptor(self._fileno)

    def close(self) -> None:
        """Close it, and the descriptor unless ``closefd=False``."""
        if self.closed:
            return
        super().close()
        if self._fileno < 0:
            return
        closing_descriptor(self._fileno)
        if self._closefd:
            _close(self._fileno)

    def _dealloc_warn(self, source):
        # The buffered and the text file around this one call it when they are collected.
        if self._closefd and self._fileno >= 0 and not self.closed:
            warnings.warn(f"unclosed file {source!r}", ResourceWarning, stacklevel=2, source=source)

    def __del__(self) -> None:
        self._dealloc_warn(self)
        super().__del__()

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"fileno={self._fileno} mode={self.mode!r}"
        return f"<{type(self).__name__} at {id(self):#x} {state}>"


def _check_mode(mode, buffering, encoding, errors, newline):
    """Raise TypeError or ValueError for arguments that the builtin open() refuses."""
    if not isinstance(mode, str):
        raise TypeError(f"a mode must be a string, not {mode!r}")
    if set(mode) - set("axrwb+t") or len(set(mode)) < len(mode):
        raise ValueError(f"invalid mode: {mode!r}")
    if "b" in mode and "t" in mode:
        raise ValueError("can't have text and binary mode at once")
    if sum(each in mode for each in "axrw") != 1:
        raise ValueError(f"must have exactly one of create/read/write/append mode, not {mode!r}")
    if "b" in mode and (encoding is not None or errors is not None or newline is not None):
        raise ValueError("binary mode doesn't take an encoding, errors or newline argument")
    if "b" not in mode and buffering == 0:
        raise ValueError("can't have unbuffered text I/O")


def open_pipe(
    fileno: int,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    own: bool = False,
) -> IO[Any]:
    """As the builtin open(), for a descriptor (int) that can be waited for. The file object's methods switch.

    `own`: see `PipeIO`.
    """
    _check_mode(mode, buffering, encoding, errors, newline)
    if buffering == 1 and "b" in mode:
        warnings.warn("line buffering is for text: the default buffer size is used", RuntimeWarning, stacklevel=2)
    raw: Any = PipeIO(fileno, mode, closefd, own)
    try:
        if buffering == 0:
            return raw
        raw._in_buffer = True
        size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
        made: Any
        if raw.readable() and raw.writable():
            made = buffered.BufferedRandom(raw, size) if raw.seekable() else buffered.BufferedRWPair(raw, raw, size)
        else:
            made = (buffered.BufferedReader if raw.readable() else buffered.BufferedWriter)(raw, size)
        if "b" in mode:
            return made
        return buffered.TextIOWrapper(made, encoding, errors, newline, line_buffering=buffering == 1 or raw.isatty())
    except BaseException:
        raw._closefd = False  # there is no file object: the descriptor is still the caller's
        raw.close()
        raise


def open_own_pipe(fileno: int, mode: str = "r", buffering: int = -1) -> IO[Any]:
    """As open_pipe(), for a pipe that this process has just made."""
    return open_pipe(fileno, mode, buffering, own=True)


class _Wrapper:
    """A file object that hands calls on to another, `io`."""

    #: The methods that raise FileObjectClosed when the file object is closed.
    _METHODS = frozenset(
        {"read", "read1", "readinto", "readinto1", "readline", "readlines", "readall", "peek"}
        | {"write", "writelines", "flush", "seek", "tell", "truncate", "fileno"}
    )

    def __init__(self, inside: Any) -> None:
        self.io = inside

    @property
    def fileio(self) -> Any:
        """The raw file inside the text file and the buffered file."""
        inside = self.io
        for layer in ("buffer", "raw"):
            inside = getattr(inside, layer, inside)
        return inside

    def __getattr__(self, name: str) -> Any:
        if name == "io":
            raise AttributeError(name)
        if name in self._METHODS and self.io.closed:
            raise FileObjectClosed()
        return getattr(self.io, name)

    def writeall(self, data: str | Buffer) -> None:
        """Write all of the data (str or bytes-like), in as many steps as that takes. Returns None."""
        if isinstance(data, str):
            self.write(data)
            return
        data = memoryview(data).cast("B")
        while data:
            data = data[self.write(data) :]

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        """Read a line. Raises StopIteration at the end of the file."""
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    next = __next__

    def __enter__(self) -> Self:
        if self.io.closed:
            raise FileObjectClosed()
        return self

    def __exit__(self, *exc_info: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {id(self):#x} of {self.io!r}>"


def _legacy(buffering, closefd, bufsize, close):
    """Return (buffering, closefd), which may be given by gevent's older names `bufsize` and `close`."""
    return buffering if bufsize is None else bufsize, closefd if close is None else close


def _take_over(fobj, closefd):
    """Take the descriptor from a descriptor (int) or file object. Returns it, and whether the new owner closes it."""
    if isinstance(fobj, int):
        return fobj, closefd
    if getattr(fobj, "writable", bool)():
        fobj.flush()
    if not closefd or fobj.fileno() <= 2:  # the process keeps its standard input
        return fobj.fileno(), False
    fileno = _dup(fobj.fileno())
    fobj.close()
    return fileno, True


class FileObjectPosix(_Wrapper):
    """A file object, as of the builtin open(), on a pipe, a terminal, a socket: descriptors that can be waited for.

    `fobj`: a descriptor (int) or a file object. A file object is closed: this one takes its place. With
    ``closefd=False``, or if it is the standard input, output or error, it stays open beside this one.
    The methods switch while there is nothing to read or no room to write. `io` is the file object inside.
    `bufsize` and `close` are other names of `buffering` and `closefd`.
    """

    def __init__(
        self,
        fobj: int | IO[Any],
        mode: str = "r",
        buffering: int = -1,
        closefd: bool = True,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        bufsize: int | None = None,
        close: bool | None = None,
    ) -> None:
        buffering, closefd = _legacy(buffering, closefd, bufsize, close)
        _check_mode(mode, buffering, encoding, errors, newline)
        fileno, closefd = _take_over(fobj, closefd)
        try:
            super().__init__(open_pipe(fileno, mode, buffering, encoding, errors, newline, closefd))
        except BaseException:
            if closefd and fileno is not fobj:
                _close(fileno)
            raise

    def close(self) -> None:
        """Write out the buffered data, and close the file. Switches.

        Greenlets of any thread that wait for data get OSError(EBADF). A greenlet that writes through a buffer finishes
        first; one that writes without a buffer gets OSError(EBADF).
        An exception that is thrown into the closing greenlet, such as a Timeout, is raised at once. If that greenlet
        waits for a writer then, the file stays open, and can be written and closed as before. If it writes the data out
        itself, the file is closed, and unwritten data is lost.
        """
        self.fileio.end_reading()
        self.io.close()


class FileObjectBlock(_Wrapper):
    """A plain file object under the same interface: its methods block the thread.

    `fobj`: a path, a descriptor (int) or a file object.
    """

    def __init__(
        self,
        fobj: File,
        mode: str = "r",
        buffering: int = -1,
        closefd: bool = True,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        bufsize: int | None = None,
        close: bool | None = None,
    ) -> None:
        buffering, self._closefd = _legacy(buffering, closefd, bufsize, close)
        if not hasattr(fobj, "read") and not hasattr(fobj, "write"):
            fobj = open(fobj, mode, buffering, encoding, errors, newline, self._closefd)  # noqa: SIM115
            self._closefd = True
        super().__init__(fobj)

    def close(self) -> None:
        """Write out the buffered data, and close the file, unless ``closefd=False``. Blocks the thread."""
        if not self.io.closed:
            (self.io.close if self._closefd else self.io.flush)()


class FileObjectThread(_Wrapper):
    """A file object whose methods run in the hub's thread pool: for regular files, which cannot be waited for.

    `fobj`: a path, a descriptor (int) or a file object. `lock`: False to let several greenlets use it at once, or a
    lock of your own. `threadpool`: another pool than the hub's. `io` is the file object inside.
    `bufsize` and `close` are other names of `buffering` and `closefd`.
    """

    #: The methods that are called in a thread: those that may have to wait for the disk.
    _IN_THREAD = _Wrapper._METHODS - {"fileno", "tell"}

    def __init__(
        self,
        fobj: File,
        mode: str = "r",
        buffering: int = -1,
        closefd: bool = True,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        lock: Any = True,
        threadpool: ThreadPool | None = None,
        bufsize: int | None = None,
        close: bool | None = None,
    ) -> None:
        buffering, self._closefd = _legacy(buffering, closefd, bufsize, close)
        self._threadpool = threadpool
        self._lock = RLock() if lock is True else (lock or None)
        if not hasattr(fobj, "read") and not hasattr(fobj, "write"):
            fobj = self._apply(io.open, fobj, mode, buffering, encoding, errors, newline, self._closefd)
            self._closefd = True  # the file object inside knows whether to close the descriptor
        super().__init__(fobj)

    def _apply(self, function, *args, **kwargs):
        pool = self._threadpool or get_hub().threadpool
        if self._lock is None:
            return pool.apply(function, args, kwargs)
        with self._lock:
            return pool.apply(function, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        if name not in self._IN_THREAD:
            return found
        return lambda *args, **kwargs: self._apply(found, *args, **kwargs)

    def close(self) -> None:
        """Write out the buffered data, and close the file, unless ``closefd=False``. Switches."""
        if not self.io.closed:
            self._apply(self.io.close if self._closefd else self.io.flush)


_OF_THREADS = {"lock", "threadpool"}


def FileObject(fobj: File, mode: str = "r", *args: Any, **kwargs: Any) -> FileObjectPosix | FileObjectThread:
    """Make a cooperative file object: FileObjectThread for a regular file, FileObjectPosix for anything else.

    `fobj`: a path, a descriptor (int) or a file object. `mode` and the other arguments are those of that class; `lock`
    and `threadpool` are for a FileObjectThread. Opening a path switches, and so do the methods while they wait. Raises
    OSError if `fobj` cannot be opened, or is a closed descriptor, and ValueError for a wrong mode.
    """
    if isinstance(fobj, (str, bytes, os.PathLike)):
        made = FileObjectThread(fobj, mode, *args, **kwargs)
        waits = stat.S_ISFIFO(os.fstat(made.fileno()).st_mode) or made.isatty()
        return FileObjectPosix(made.io, mode, *args, **kwargs) if waits and not kwargs.keys() & _OF_THREADS else made
    try:
        fileno = fobj if isinstance(fobj, int) else fobj.fileno()
    except (AttributeError, OSError, io.UnsupportedOperation) as error:
        if isinstance(error, OSError) and error.errno == errno.EBADF:
            raise
        return FileObjectThread(fobj, mode, *args, **kwargs)
    regular = always_ready(fileno)
    return (FileObjectThread if regular else FileObjectPosix)(fobj, mode, *args, **kwargs)

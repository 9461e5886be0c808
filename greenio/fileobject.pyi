import io
from collections.abc import Iterator
from os import PathLike
from types import TracebackType
from typing import IO, Any

from typing_extensions import Buffer, Self

from greenio.threadpool import ThreadPool

__all__ = [
    "FileObject",
    "FileObjectBlock",
    "FileObjectClosed",
    "FileObjectPosix",
    "FileObjectThread",
    "PipeIO",
    "open_own_pipe",
    "open_pipe",
]

class FileObjectClosed(OSError, ValueError):
    def __init__(self) -> None: ...

class PipeIO(io.RawIOBase):
    name: int
    mode: str
    def __init__(self, fileno: int, mode: str = "r", closefd: bool = True, own: bool = False) -> None: ...
    def seek(self, offset: int, whence: int = 0) -> int: ...
    @property
    def closefd(self) -> bool: ...
    def readinto(self, buffer: Buffer) -> int | None: ...
    def write(self, data: Buffer) -> int | None: ...
    def end_reading(self) -> None: ...

class _Wrapper:
    io: IO[Any]
    def __init__(self, inside: IO[Any]) -> None: ...
    @property
    def fileio(self) -> Any: ...
    # The methods of `io`.
    def __getattr__(self, name: str) -> Any: ...
    def writeall(self, data: str | Buffer) -> None: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __next__(self) -> Any: ...
    def next(self) -> Any: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exc_info: type[BaseException] | BaseException | TracebackType | None) -> None: ...

class FileObjectPosix(_Wrapper):
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
    ) -> None: ...
    def close(self) -> None: ...

class FileObjectBlock(_Wrapper):
    def __init__(
        self,
        fobj: str | bytes | PathLike[Any] | int | IO[Any],
        mode: str = "r",
        buffering: int = -1,
        closefd: bool = True,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        bufsize: int | None = None,
        close: bool | None = None,
    ) -> None: ...
    def close(self) -> None: ...

class FileObjectThread(_Wrapper):
    def __init__(
        self,
        fobj: str | bytes | PathLike[Any] | int | IO[Any],
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
    ) -> None: ...
    def close(self) -> None: ...

def FileObject(
    fobj: str | bytes | PathLike[Any] | int | IO[Any], mode: str = "r", *args: Any, **kwargs: Any
) -> FileObjectPosix | FileObjectThread: ...
def open_own_pipe(fileno: int, mode: str = "r", buffering: int = -1) -> IO[Any]: ...
def open_pipe(
    fileno: int,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    own: bool = False,
) -> IO[Any]: ...

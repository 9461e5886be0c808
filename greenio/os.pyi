from collections.abc import Sequence
from os import PathLike as PathLike
from os import _wrap_close
from os import execv as execv
from os import execve as execve
from os import posix_spawn as posix_spawn
from os import posix_spawnp as posix_spawnp
from os import waitid_result as waitid_result
from typing import Any

from typing_extensions import Buffer

from greenio._descriptors.children import fork_and_watch as fork_and_watch
from greenio._descriptors.children import fork_gevent as fork_gevent
from greenio._descriptors.children import forkpty_and_watch as forkpty_and_watch
from greenio._descriptors.children import forkpty_gevent as forkpty_gevent
from greenio._descriptors.children import wait as wait
from greenio._descriptors.children import wait3 as wait3
from greenio._descriptors.children import wait4 as wait4
from greenio._descriptors.children import waitid as waitid
from greenio._descriptors.children import waitpid as waitpid
from greenio._tasks.program import fork as fork

__all__ = [
    "close",
    "closerange",
    "dup2",
    "eventfd_read",
    "execv",
    "execve",
    "fork",
    "fork_and_watch",
    "fork_gevent",
    "forkpty_and_watch",
    "forkpty_gevent",
    "lockf",
    "make_nonblocking",
    "nb_read",
    "nb_write",
    "popen",
    "posix_spawn",
    "posix_spawnp",
    "read",
    "readv",
    "sendfile",
    "system",
    "tp_read",
    "tp_write",
    "wait",
    "wait3",
    "wait4",
    "waitid",
    "waitpid",
    "write",
    "writev",
]

def close(fd: int) -> None: ...
def closerange(fd_low: int, fd_high: int, /) -> None: ...
def dup2(fd: int, fd2: int, inheritable: bool = True) -> int: ...
def eventfd_read(fd: int) -> int: ...
def lockf(fd: int, command: int, length: int, /) -> None: ...
def make_nonblocking(fd: int) -> bool | None: ...
def nb_read(fd: int, n: int) -> bytes: ...
def nb_write(fd: int, buf: Buffer) -> int: ...
def popen(cmd: str, mode: str = "r", buffering: int = -1) -> _wrap_close: ...
def read(fd: int, length: int, /) -> bytes: ...
def readv(fd: int, buffers: Sequence[Buffer], /) -> int: ...
def sendfile(out_fd: int, in_fd: int, offset: int | None, count: int) -> int: ...
def system(command: str | bytes | PathLike[Any]) -> int: ...
def tp_read(fd: int, n: int) -> bytes: ...
def tp_write(fd: int, buf: Buffer) -> int: ...
def write(fd: int, data: Buffer, /) -> int: ...
def writev(fd: int, buffers: Sequence[Buffer], /) -> int: ...

# Last: what is defined above is not taken from there.
from os import *  # noqa: E402, F403

from collections.abc import Callable, Iterator
from os import DirEntry, PathLike
from os import access as access
from os import chmod as chmod
from os import chown as chown
from os import fdatasync as fdatasync
from os import fstat as fstat
from os import fsync as fsync
from os import ftruncate as ftruncate
from os import lchown as lchown
from os import link as link
from os import listdir as listdir
from os import lstat as lstat
from os import makedirs as makedirs
from os import mkdir as mkdir
from os import mkfifo as mkfifo
from os import pread as pread
from os import preadv as preadv
from os import pwrite as pwrite
from os import pwritev as pwritev
from os import readlink as readlink
from os import remove as remove
from os import removedirs as removedirs
from os import rename as rename
from os import renames as renames
from os import replace as replace
from os import rmdir as rmdir
from os import stat as stat
from os import statvfs as statvfs
from os import symlink as symlink
from os import sync as sync
from os import truncate as truncate
from os import unlink as unlink
from os import utime as utime
from os.path import exists as exists
from os.path import getatime as getatime
from os.path import getctime as getctime
from os.path import getmtime as getmtime
from os.path import getsize as getsize
from os.path import isdir as isdir
from os.path import isfile as isfile
from os.path import islink as islink
from os.path import ismount as ismount
from os.path import lexists as lexists
from os.path import realpath as realpath
from os.path import samefile as samefile
from shutil import copy as copy
from shutil import copy2 as copy2
from shutil import copyfile as copyfile
from shutil import copymode as copymode
from shutil import copystat as copystat
from shutil import copytree as copytree
from shutil import disk_usage as disk_usage
from shutil import move as move
from shutil import rmtree as rmtree
from shutil import which as which
from types import TracebackType
from typing import Any, AnyStr

from typing_extensions import Buffer, Self

from greenio.fileobject import FileObjectPosix, FileObjectThread

__all__ = [
    "open",
    "read_bytes",
    "read_text",
    "scandir",
    "walk",
    "write_bytes",
    "write_text",
    "access",
    "chmod",
    "chown",
    "fdatasync",
    "fstat",
    "fsync",
    "ftruncate",
    "lchown",
    "link",
    "listdir",
    "lstat",
    "makedirs",
    "mkdir",
    "mkfifo",
    "pread",
    "preadv",
    "pwrite",
    "pwritev",
    "readlink",
    "remove",
    "removedirs",
    "rename",
    "renames",
    "replace",
    "rmdir",
    "stat",
    "statvfs",
    "symlink",
    "sync",
    "truncate",
    "unlink",
    "utime",
    "exists",
    "getatime",
    "getctime",
    "getmtime",
    "getsize",
    "isdir",
    "isfile",
    "islink",
    "ismount",
    "lexists",
    "realpath",
    "samefile",
    "copy",
    "copy2",
    "copyfile",
    "copymode",
    "copystat",
    "copytree",
    "disk_usage",
    "move",
    "rmtree",
    "which",
]

class _Entries(Iterator[DirEntry[AnyStr]]):
    def __init__(self, entries: Any) -> None: ...
    def __next__(self) -> DirEntry[AnyStr]: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exc_info: type[BaseException] | BaseException | TracebackType | None) -> None: ...
    def close(self) -> None: ...

def open(
    file: str | bytes | PathLike[Any] | int,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
) -> FileObjectPosix | FileObjectThread: ...
def read_bytes(path: str | PathLike[str]) -> bytes: ...
def read_text(path: str | PathLike[str], encoding: str | None = None, errors: str | None = None) -> str: ...
def scandir(path: str | PathLike[str] = ".") -> _Entries[str]: ...
def walk(
    top: str | PathLike[str],
    topdown: bool = True,
    onerror: Callable[[OSError], object] | None = None,
    followlinks: bool = False,
) -> Iterator[tuple[str, list[str], list[str]]]: ...
def write_bytes(path: str | PathLike[str], data: Buffer) -> int: ...
def write_text(
    path: str | PathLike[str],
    data: str,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> int: ...

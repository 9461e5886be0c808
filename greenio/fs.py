"""Files and folders, without keeping other greenlets waiting for the disk.

Regular files are always ready, as far as the system can tell, however long the disk or the network takes. So the calls
run in the hub's thread pool: each function has the name, the arguments and the result of the standard library's, and
switches. `open()` returns a `greenio.fileobject.FileObjectThread`.

A greenlet that is killed stops waiting. The call that it began goes on to its end.

    from greenio import fs

    with fs.open("report.txt", "w") as report:
        report.write(fs.read_text("draft.txt"))
    fs.rename("report.txt", "final/report.txt")

The functions are not in `greenio.os`, but in a module of their own, as in trio and in Node.js. If the disk's cache has
the answer, a thread costs some ten times as much as the call itself. So the program chooses.
"""

import io
import os
import pathlib
import shutil
from functools import wraps

from hub import get_hub

from greenio.fileobject import FileObject

_FUNCTIONS = [
    (os, "access chmod chown fdatasync fstat fsync ftruncate lchown link listdir lstat makedirs mkdir mkfifo pread "
         "preadv pwrite pwritev readlink remove removedirs rename renames replace rmdir stat statvfs symlink sync "
         "truncate unlink utime"),
    (os.path, "exists getatime getctime getmtime getsize isdir isfile islink ismount lexists realpath samefile"),
    (shutil, "copy copy2 copyfile copymode copystat copytree disk_usage move rmtree which"),
]  # fmt: skip

__all__ = ["open", "read_bytes", "read_text", "scandir", "walk", "write_bytes", "write_text"]


def _in_thread(function):
    @wraps(function)
    def call(*args, **kwargs):
        return get_hub().threadpool.apply(function, args, kwargs)

    call.__module__ = __name__
    return call


for _module, _names in _FUNCTIONS:
    _origin = "os.path" if _module is os.path else _module.__name__
    for _name in _names.split():
        if _name not in globals():
            globals()[_name] = _call = _in_thread(getattr(_module, _name))
            _call.__doc__ = f"As {_origin}.{_name}(), in a thread of the hub's pool. Switches.\n\n{_call.__doc__ or ''}"
            __all__.append(_name)
del _module, _names, _origin, _name, _call


def open(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True):
    """As the builtin open(), in a thread. Switches. The methods of the file object run in threads and switch, too.

    A pipe or a terminal is not read in a thread, but waited for.
    """
    return FileObject(file, mode, buffering, closefd, encoding, errors, newline)


_read_bytes, _read_text, _write_bytes, _write_text = map(
    _in_thread, (pathlib.Path.read_bytes, pathlib.Path.read_text, pathlib.Path.write_bytes, pathlib.Path.write_text)
)


def read_bytes(path):
    """Read a file (str or path), and return all of it as bytes. Switches. Raises OSError."""
    return _read_bytes(pathlib.Path(path))


def read_text(path, encoding=None, errors=None):
    """Read a text file (str or path), and return all of it as str. Switches.

    `encoding` and `errors` are those of open(). Raises OSError, and UnicodeDecodeError for text in another encoding.
    """
    return _read_text(pathlib.Path(path), io.text_encoding(encoding), errors)


def write_bytes(path, data):
    """Make `data` (bytes) the contents of a file (str or path). Returns its length. Switches. Raises OSError."""
    return _write_bytes(pathlib.Path(path), data)


def write_text(path, data, encoding=None, errors=None, newline=None):
    """Make `data` (str) the contents of a text file (str or path). Returns its length. Switches.

    `encoding`, `errors` and `newline` are those of open(). Raises OSError, and UnicodeEncodeError.
    """
    return _write_text(pathlib.Path(path), data, io.text_encoding(encoding), errors, newline)


class _Entries:
    """The result of scandir(): the entries of a folder, which were all read at once."""

    def __init__(self, entries):
        self._entries = iter(entries)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._entries)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def close(self):
        """Forget the entries that are left."""
        self._entries = iter(())


@_in_thread
def _all_entries(path):
    with os.scandir(path) as entries:
        return list(entries)


def scandir(path="."):
    """As os.scandir(): an iterator of os.DirEntry, and a context manager. Switches.

    An entry's own methods do not switch: is_dir() and is_file() need no disk, as a rule; stat() does.
    """
    return _Entries(_all_entries(path))


def walk(top, topdown=True, onerror=None, followlinks=False):
    """As os.walk(). Switches at each step."""
    steps = os.walk(top, topdown, onerror, followlinks)
    step = _in_thread(next)
    while True:
        found = step(steps, None)
        if found is None:
            return
        yield found

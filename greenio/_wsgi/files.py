"""`wsgi.file_wrapper`: files that the system sends by itself, with sendfile(2).

Rules
    1. sendfile(2) sends the bytes of a descriptor. So it is used only for files that read() returns unchanged: binary
       files that open() has made. Text files, members of archives and other objects with a fileno() are read instead.

What does not belong here: sending a file (stream.pyx), and how much of it is sent (answering.pyx).
"""

from __future__ import annotations

import io
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["FileWrapper"]

_BUFFERED = (io.BufferedReader, io.BufferedRandom)


class FileWrapper:
    """A file as the result of an application: the server sends it from its current position, with sendfile(2).

    `file`: an object with read(). `block_size`: the size of a block where the file has to be read (bytes). It can also
    be iterated over, block by block. All other attributes are the file's, such as seek() and tell().
    """

    def __init__(self, file: Any, block_size: int = 65536) -> None:
        self.file = file
        self.block_size = block_size

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        block: bytes = self.file.read(self.block_size)
        if not block:
            raise StopIteration
        return block

    def close(self) -> None:
        """Close the file, if it can be closed."""
        close = getattr(self.file, "close", None)
        if close is not None:
            close()

    def part(self) -> tuple[int, int] | None:
        """Return ``(position, how many bytes follow)`` if the system can send the file, or None. Does not switch."""
        file = self.file
        # The read() of a derived class may return something else.
        if type(file) is not io.FileIO and not (type(file) in _BUFFERED and type(file.raw) is io.FileIO):
            return None
        try:
            file.flush()
            found = os.fstat(file.fileno())
            position: int = file.tell()
        except (OSError, ValueError):
            return None
        # Files of /proc and /sys have no blocks, and their st_size is not their size.
        if not stat.S_ISREG(found.st_mode) or not found.st_blocks:
            return None
        return position, max(0, found.st_size - position)

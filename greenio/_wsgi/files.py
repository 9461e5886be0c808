"""`wsgi.file_wrapper`: files that the system sends by itself, with os.sendfile().

Rules
    1. The system sends what is behind a descriptor. So only files of which that is the content are sent so: no text, no
       archives, no objects that have a fileno() of something else. All others are read.

What does not belong here: sending (stream.pyx) and how much of a file (handler.py).
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
    """An iterable of a file's blocks, from its current position. A server that finds it as the result sends the file.

    `file`: anything with read(). `block_size`: how many bytes one block has, where blocks are read. All other
    attributes are the file's, seek() and tell() among them.
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
        """``(position, how many bytes follow)`` of a file that the system can send; else None."""
        file = self.file
        # A class that derives from these may read otherwise.
        if type(file) is not io.FileIO and not (type(file) in _BUFFERED and type(file.raw) is io.FileIO):
            return None
        try:
            file.flush()
            found = os.fstat(file.fileno())
            position: int = file.tell()
        except (OSError, ValueError):
            return None
        # The files of /proc and /sys have no blocks, and another size than they say.
        if not stat.S_ISREG(found.st_mode) or not found.st_blocks:
            return None
        return position, max(0, found.st_size - position)

"""`wsgi.file_wrapper`: files that the system sends by itself, with os.sendfile().

What does not belong here: sending (stream.pyx) and how much of a file (handler.py).
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["FileWrapper"]


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
        try:
            found = os.fstat(self.file.fileno())
            position: int = self.file.tell()
        except (AttributeError, OSError, ValueError):
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        return position, max(0, found.st_size - position)

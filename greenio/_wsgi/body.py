"""`wsgi.input`: the body of a request, read off the connection as the application asks for it.

Rules
    1. A body that is cut short, malformed, too large or too late raises BodyError, now and at each later read: it never
       looks complete.
    2. Nothing of the next request is ever read as body.
    3. The client is told to go on (100) when the application first reads, not before.

What does not belong here: what becomes of the answer then (handler.py).
"""

from __future__ import annotations

from time import monotonic

from greenio._wsgi.errors import BodyError
from greenio._wsgi.parser import CONTINUE_STATUS, ChunkParser
from greenio._wsgi.request import CHUNKED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from greenio._wsgi.limits import Limits
    from greenio._wsgi.stream import Stream

__all__ = ["NOTHING", "Input", "Nothing"]

_TOO_LATE = "408 Request Timeout"


class Input:
    """The body of a request, as a file that can be read once. Its methods switch while nothing has come.

    Each raises BodyError, an OSError, if the body is cut short, malformed, too large or too late.
    """

    __slots__ = (
        "_buffer", "_chunks", "_left", "_limits", "_received", "_stream", "_waited", "awaits_continue", "failure",
    )  # fmt: skip

    def __init__(self, stream: Stream, limits: Limits, length: int, awaits_continue: bool = False) -> None:
        self._stream: Stream | None = stream
        self._limits = limits
        self._chunks = ChunkParser(limits.max_chunk_extensions) if length == CHUNKED else None
        self._left = length
        self._buffer = b""
        self._received = 0
        self._waited = 0.0
        #: Whether the client waits to be told that it may send the body (bool).
        self.awaits_continue = awaits_continue
        #: What was raised, or None.
        self.failure: BodyError | None = None

    # --- what an application calls ---

    def read(self, size: int | None = -1) -> bytes:
        """Read `size` bytes, fewer only at the end; all by default."""
        if size is None or size < 0:
            pieces = [self._buffer]
            self._buffer = b""
            while piece := self._next():
                pieces.append(piece)
            return b"".join(pieces)
        buffer = self._buffer
        if len(buffer) < size:
            pieces, length = [buffer], len(buffer)
            self._buffer = b""
            try:
                while length < size and (piece := self._next()):
                    pieces.append(piece)
                    length += len(piece)
            finally:
                buffer = b"".join(pieces)
                self._buffer = buffer
        self._buffer = buffer[size:]
        return buffer[:size]

    def read1(self, size: int | None = -1) -> bytes:
        """Read what is there, up to `size` bytes; wait only if nothing is. b"" at the end."""
        if size == 0:
            return b""
        buffer = self._buffer or self._next()
        if size is None or size < 0:
            size = len(buffer)
        self._buffer = buffer[size:]
        return buffer[:size]

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer; return how many bytes, 0 at the end."""
        view = memoryview(buffer).cast("B")
        data = self.read1(len(view))
        view[: len(data)] = data
        return len(data)

    def readline(self, size: int | None = -1) -> bytes:
        """Read a line with its end, or up to `size` bytes of it. b"" at the end."""
        limit = -1 if size is None or size < 0 else size
        pieces, length = [], 0  # a line may be long: its pieces are put together once
        piece, self._buffer = self._buffer, b""
        try:
            while True:
                end = piece.find(b"\n") + 1 or len(piece)
                if limit >= 0:
                    end = min(end, limit - length)
                pieces.append(piece[:end])
                length += end
                if end < len(piece) or length == limit or piece.endswith(b"\n"):
                    break
                piece = self._next()
                if not piece:
                    break
        except BaseException:
            self._buffer = b"".join(pieces)
            raise
        self._buffer = piece[end:]
        return b"".join(pieces)

    def readlines(self, hint: int | None = None) -> list[bytes]:
        """Read all lines, or as many as make up `hint` bytes."""
        lines, length = [], 0
        while line := self.readline():
            lines.append(line)
            length += len(line)
            if hint is not None and 0 < hint <= length:
                break
        return lines

    def readable(self) -> bool:
        """True."""
        return True

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    # --- where it comes from ---

    def _next(self):
        """The next bytes of the body, b"" at its end."""
        if self.failure is not None:
            raise BodyError(self.failure.reason, self.failure.status)
        stream = self._stream
        if stream is None:
            if self.is_complete:
                return b""
            raise BodyError("the request is over, nothing more of its body can be read")
        if self.awaits_continue:
            self.awaits_continue = False
            stream.write(CONTINUE_STATUS)
        if self._chunks is not None:
            return self._next_of_chunks(stream, self._chunks)
        if not self._left:
            return b""
        if not stream.rest():
            self._receive(stream)
        data = stream.take(self._left)
        self._left -= len(data)
        return data

    def _next_of_chunks(self, stream, chunks):
        while not chunks.pieces and not chunks.complete:
            if not stream.rest():
                self._receive(stream)
            try:
                stream.position = chunks.feed(stream.data, stream.position)
            except BodyError as error:
                self._fail(error.reason)
            if chunks.length > self._limits.max_body:
                self._fail("the body is too large", "413 Content Too Large")
        data = b"".join(chunks.pieces)
        chunks.pieces.clear()
        return data

    def _receive(self, stream):
        limits = self._limits
        began = monotonic()
        try:
            data = stream.receive(limits.body_timeout)
        except TimeoutError:
            self._fail("the body comes too late", _TOO_LATE)
        except OSError as error:
            self._fail(f"the connection has failed: {error}")
        if not data:
            self._fail("the client has ended the connection in the middle of the body")
        self._waited += monotonic() - began
        self._received += len(data)
        if (
            limits.body_timeout is not None
            and self._waited > limits.body_timeout
            and self._received < self._waited * limits.min_body_rate
        ):
            self._fail("the body comes too slowly", _TOO_LATE)

    def _fail(self, reason, status="400 Bad Request"):
        self.failure = BodyError(reason, status)
        raise BodyError(reason, status) from None

    # --- for the server ---

    @property
    def is_complete(self) -> bool:
        """Whether all of it has been received (bool)."""
        return self.failure is None and (self._left == 0 if self._chunks is None else self._chunks.complete)

    def can_be_drained(self) -> bool:
        """Whether drain() may succeed (bool)."""
        return self.failure is None and not self.awaits_continue and self._left <= self._limits.drain_body

    def drain(self) -> bool:
        """Read what is left, if that is not too much; return whether it was read to its end. Switches."""
        if self.is_complete:
            return True
        if not self.can_be_drained():
            return False
        most = self._limits.drain_body
        try:
            while most >= 0:
                data = self._next()
                if not data:
                    return True
                most -= len(data)
        except OSError:
            pass
        return False

    def end(self) -> None:
        """The request is over: the connection's bytes are those of the next."""
        self._stream = None
        if self._chunks is not None:
            self._chunks.forget()


class Nothing:
    """The body of a request that has none: a file that is at its end."""

    __slots__ = ()

    failure = None
    is_complete = True

    def can_be_drained(self) -> bool:
        """True."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """b""."""
        return b""

    read1 = readline = read

    def readinto(self, buffer: Any) -> int:
        """0."""
        return 0

    def readlines(self, hint: int | None = None) -> list[bytes]:
        """An empty list."""
        return []

    def readable(self) -> bool:
        """True."""
        return True

    def __iter__(self) -> Iterator[bytes]:
        return iter(())


#: There is nothing to tell one from another.
NOTHING = Nothing()

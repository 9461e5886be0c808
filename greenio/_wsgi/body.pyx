"""`wsgi.input`: the body of a request, read off the connection as the application asks for it.

Rules
    1. A body that is cut short, malformed, too large or too late raises BodyError, now and at each later read: it never
       looks complete.
    2. Nothing of the next request is ever read as body.
    3. The client is told to go on (100) when the application first reads, not before, and never once its answer has
       begun: it would read that as a part of the answer.

What does not belong here: what becomes of the answer then (handler.py).
"""

from time import monotonic

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memchr

from greenio._wsgi.errors import BodyError
from greenio._wsgi.parser import CONTINUE_STATUS, ChunkParser
from greenio._wsgi.request import CHUNKED
from greenio._wsgi.stream cimport Stream

__all__ = ["NOTHING", "Input", "Nothing"]

cdef extern from "Python.h":
    Py_ssize_t PY_SSIZE_T_MAX

_TOO_LATE = "408 Request Timeout"


cdef class Input:
    """The body of a request, as a file that can be read once. Its methods switch while nothing has come.

    Each raises BodyError, an OSError, if the body is cut short, malformed, too large or too late. `failure`: what was
    raised, or None. `awaits_continue`: whether the client waits to be told that it may send the body (bool).
    `answered`: whether the answer has begun, so that it is not told any more (bool).
    """

    cdef Stream _stream      # None once the request is over
    cdef object _limits
    cdef object _chunks      # what decodes them, or None
    cdef Py_ssize_t _left    # how much is to come; CHUNKED if that is not known
    cdef bytes _buffer       # what has come
    cdef Py_ssize_t _at      # up to where that was read
    cdef Py_ssize_t _received
    cdef double _waited      # seconds
    cdef public bint awaits_continue
    cdef public bint answered
    cdef public object failure

    def __init__(self, Stream stream not None, limits, Py_ssize_t length, bint awaits_continue=False):
        self._stream = stream
        self._limits = limits
        self._chunks = ChunkParser(limits.max_chunk_extensions) if length == CHUNKED else None
        self._left = length
        self._buffer = b""
        self.awaits_continue = awaits_continue

    # --- what an application calls ---

    def read(self, size=-1):
        """Read `size` bytes, fewer only at the end; all by default."""
        cdef Py_ssize_t left = size_of(size)
        cdef bytes piece
        if not left:
            return b""
        piece = self._some(left)
        left -= len(piece)
        if not left or not piece:
            return piece  # the usual case: the body has come whole, or as much of it as is asked for
        pieces = [piece]
        try:
            while left and (piece := self._some(left)):
                pieces.append(piece)
                left -= len(piece)
        except BaseException:
            self._give_back(pieces)
            raise
        return b"".join(pieces)

    def read1(self, size=-1):
        """Read what is there, up to `size` bytes; wait only if nothing is. b"" at the end."""
        cdef Py_ssize_t most = size_of(size)
        return self._some(most) if most else b""

    def readinto(self, buffer):
        """Read into a buffer; return how many bytes, 0 at the end."""
        view = memoryview(buffer).cast("B")
        data = self.read1(len(view))
        view[: len(data)] = data
        return len(data)

    def readline(self, size=-1):
        """Read a line with its end, or up to `size` bytes of it. b"" at the end."""
        cdef Py_ssize_t left = size_of(size)
        cdef bytes piece
        pieces = []  # a line may be long: its pieces are put together once
        try:
            while left and (piece := self._some_of_line(left)):
                pieces.append(piece)
                left -= len(piece)
                if piece.endswith(b"\n"):
                    break
        except BaseException:
            self._give_back(pieces)
            raise
        return b"".join(pieces)

    def readlines(self, hint=None):
        """Read all lines, or as many as make up `hint` bytes."""
        lines, length = [], 0
        while line := self.readline():
            lines.append(line)
            length += len(line)
            if hint is not None and 0 < hint <= length:
                break
        return lines

    def readable(self):
        """True."""
        return True

    def __iter__(self):
        return self

    def __next__(self):
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    # --- what has come ---

    cdef int _wait_for_some(self) except -1:
        """Wait until something has come that was not read, or the body has ended."""
        if self.failure is not None or self._at == PyBytes_GET_SIZE(self._buffer):
            self._buffer = self._next()
            self._at = 0
        return 0

    cdef bytes _some(self, Py_ssize_t most):
        """What has come, up to so many bytes; waits only if nothing has. b"" at the end."""
        self._wait_for_some()
        return self._take(most)

    cdef bytes _some_of_line(self, Py_ssize_t most):
        """The same, and no more than up to the end of a line."""
        self._wait_for_some()
        cdef const char *start = PyBytes_AS_STRING(self._buffer) + self._at
        cdef Py_ssize_t length = min(most, PyBytes_GET_SIZE(self._buffer) - self._at)
        cdef const char *end = <const char *> memchr(start, b"\n", length)
        return self._take(length if end == NULL else end - start + 1)

    cdef bytes _take(self, Py_ssize_t most):
        """Up to so many bytes of what has come. What is left stays where it is, and is not copied each time."""
        cdef bytes buffer = self._buffer
        cdef Py_ssize_t at = self._at
        if most < PyBytes_GET_SIZE(buffer) - at:
            self._at = at + most
            return PyBytes_FromStringAndSize(PyBytes_AS_STRING(buffer) + at, most)
        self._buffer = b""
        self._at = 0
        return buffer[at:] if at else buffer

    cdef int _give_back(self, list pieces) except -1:
        """A read was interrupted where it waited for more: who reads next gets what it had."""
        self._buffer = b"".join(pieces)
        self._at = 0
        return 0

    # --- where it comes from ---

    cdef bytes _next(self):
        """The next bytes of the body, b"" at its end."""
        if self.failure is not None:
            raise BodyError(self.failure.reason, self.failure.status)
        cdef Stream stream = self._stream
        if stream is None:
            if self.is_complete:
                return b""
            raise BodyError("the request is over, nothing more of its body can be read")
        if self.awaits_continue:
            self.awaits_continue = False
            if not self.answered:
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

    cdef bytes _next_of_chunks(self, Stream stream, chunks):
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

    cdef int _receive(self, Stream stream) except -1:
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
        return 0

    cdef int _fail(self, reason, status="400 Bad Request") except -1:
        self.failure = BodyError(reason, status)
        raise BodyError(reason, status) from None

    # --- for the server ---

    @property
    def is_complete(self):
        """Whether all of it has been received (bool)."""
        return self.failure is None and (self._left == 0 if self._chunks is None else self._chunks.complete)

    def can_be_drained(self):
        """Whether drain() may succeed (bool)."""
        return self.failure is None and not self.awaits_continue and self._left <= self._limits.drain_body

    def drain(self):
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

    def end(self):
        """The request is over: the connection's bytes are those of the next."""
        self._stream = None
        if self._chunks is not None:
            self._chunks.forget()


cdef Py_ssize_t size_of(size) except -1:
    """How much a read may take: what an application has given as its argument."""
    if size is None or size < 0:
        return PY_SSIZE_T_MAX
    return min(size, PY_SSIZE_T_MAX)


class Nothing:
    """The body of a request that has none: a file that is at its end."""

    __slots__ = ()

    failure = None
    is_complete = True

    def can_be_drained(self):
        """True."""
        return True

    def read(self, size=-1):
        """b""."""
        return b""

    read1 = readline = read

    def readinto(self, buffer):
        """0."""
        return 0

    def readlines(self, hint=None):
        """An empty list."""
        return []

    def readable(self):
        """True."""
        return True

    def __iter__(self):
        return iter(())


#: There is nothing to tell one from another.
NOTHING = Nothing()

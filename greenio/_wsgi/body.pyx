"""`wsgi.input`: the body of a request, received as the application reads it.

Rules
    1. A body that is cut short, malformed, too large or too late raises BodyError, now and at each later read. It never
       looks complete.
    2. No byte of the next request is ever read as body.
    3. If the client waits for "100 Continue", it gets that when the application first reads. After the answer has begun
       it does not, because it would take that for a part of the answer.

What does not belong here: the answer to a request whose body has failed (handler.py).
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
    """The body of a request, as a file that can be read once. Reading switches while no data is there.

    Reading raises BodyError, an OSError, if the body is cut short, malformed, too large or too late. `failure`: that
    error, or None. `awaits_continue`: whether the client waits for "100 Continue" before it sends the body (bool).
    `answered`: whether the answer has begun, so that "100 Continue" must not be sent any more (bool).
    """

    cdef Stream _stream      # None once the request is over
    cdef object _limits
    cdef object _chunks      # the ChunkParser of a chunked body, or None
    cdef Py_ssize_t _left    # how many bytes are still to come; CHUNKED if that is not known
    cdef bytes _buffer       # data that was received for the application
    cdef Py_ssize_t _at      # how many bytes of it the application has read
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

    # --- for the application ---

    def read(self, size=-1):
        """Read `size` bytes, fewer only at the end; by default the whole rest. Switches while data is missing."""
        cdef Py_ssize_t left = size_of(size)
        cdef bytes piece
        if not left:
            return b""
        piece = self._some(left)
        left -= len(piece)
        if not left or not piece:
            return piece  # the usual case: all of it was there already
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
        """Read the data that is there, up to `size` bytes. Returns b"" at the end. Switches if no data is there."""
        cdef Py_ssize_t most = size_of(size)
        return self._some(most) if most else b""

    def readinto(self, buffer):
        """Read into a buffer. Returns how many bytes (int), 0 at the end. Switches if no data is there."""
        view = memoryview(buffer).cast("B")
        data = self.read1(len(view))
        view[: len(data)] = data
        return len(data)

    def readline(self, size=-1):
        """Read a line with its newline, or up to `size` bytes of it. Returns b"" at the end. Switches as read()."""
        cdef Py_ssize_t left = size_of(size)
        cdef bytes piece
        pieces = []  # joined once at the end, because a line may be long
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
        """Read all lines, or until they have `hint` bytes in all (int). Switches as read()."""
        lines, length = [], 0
        while line := self.readline():
            lines.append(line)
            length += len(line)
            if hint is not None and 0 < hint <= length:
                break
        return lines

    def readable(self):
        """Return True."""
        return True

    def __iter__(self):
        return self

    def __next__(self):
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    # --- the buffer ---

    cdef int _wait_for_some(self) except -1:
        """Wait until there is data in the buffer, or the body has ended."""
        if self.failure is not None or self._at == PyBytes_GET_SIZE(self._buffer):
            self._buffer = self._next()
            self._at = 0
        return 0

    cdef bytes _some(self, Py_ssize_t most):
        """Return up to `most` bytes of data. Waits only if none are there. b"" at the end."""
        self._wait_for_some()
        return self._take(most)

    cdef bytes _some_of_line(self, Py_ssize_t most):
        """As _some(), but not beyond the end of a line."""
        self._wait_for_some()
        cdef const char *start = PyBytes_AS_STRING(self._buffer) + self._at
        cdef Py_ssize_t length = min(most, PyBytes_GET_SIZE(self._buffer) - self._at)
        cdef const char *end = <const char *> memchr(start, b"\n", length)
        return self._take(length if end == NULL else end - start + 1)

    cdef bytes _take(self, Py_ssize_t most):
        """Take up to `most` bytes out of the buffer. The rest stays where it is, so that it is not copied each time."""
        cdef bytes buffer = self._buffer
        cdef Py_ssize_t at = self._at
        if most < PyBytes_GET_SIZE(buffer) - at:
            self._at = at + most
            return PyBytes_FromStringAndSize(PyBytes_AS_STRING(buffer) + at, most)
        self._buffer = b""
        self._at = 0
        return buffer[at:] if at else buffer

    cdef int _give_back(self, list pieces) except -1:
        """Put back the pieces of a read that was interrupted while it waited for more: the next read gets them."""
        self._buffer = b"".join(pieces)
        self._at = 0
        return 0

    # --- receiving ---

    cdef bytes _next(self):
        """Return the next bytes of the body, b"" at its end."""
        if self.failure is not None:
            raise BodyError(self.failure.reason, self.failure.status)
        cdef Stream stream = self._stream
        if stream is None:
            if self.is_complete:
                return b""
            raise BodyError("the request is over: its body cannot be read any more")
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
        """Whether the whole body has been received (bool)."""
        return self.failure is None and (self._left == 0 if self._chunks is None else self._chunks.complete)

    def can_be_drained(self):
        """Whether drain() may succeed (bool)."""
        return self.failure is None and not self.awaits_continue and self._left <= self._limits.drain_body

    def drain(self):
        """Read and drop the rest of the body, if it is not too long. Switches.

        Returns whether its end was reached (bool).
        """
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
        """Note that the request is over: the next bytes of the connection belong to the next one."""
        self._stream = None
        if self._chunks is not None:
            self._chunks.forget()


cdef Py_ssize_t size_of(size) except -1:
    """Convert the argument of a read to a number of bytes."""
    if size is None or size < 0:
        return PY_SSIZE_T_MAX
    return min(size, PY_SSIZE_T_MAX)


class Nothing:
    """`wsgi.input` of a request without a body: a file that is at its end. Nothing here switches."""

    __slots__ = ()

    failure = None
    is_complete = True

    def can_be_drained(self):
        """Return True."""
        return True

    def read(self, size=-1):
        """Return b""."""
        return b""

    read1 = readline = read

    def readinto(self, buffer):
        """Return 0."""
        return 0

    def readlines(self, hint=None):
        """Return an empty list."""
        return []

    def readable(self):
        """Return True."""
        return True

    def __iter__(self):
        return iter(())


#: The only one that is needed.
NOTHING = Nothing()

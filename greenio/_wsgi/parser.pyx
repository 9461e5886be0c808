"""The head of a request and the framing of its body, read by llhttp through httptools.

Theory
    A head ends with the first empty line. It is cut out of what has come and fed by itself: the parser never sees a
    byte of what stands behind it. A body of known length is never fed. A chunked body has a parser of its own,
    which is told only that it is chunked; it too is fed piece by piece, up to each empty line, and can therefore be
    asked after each piece whether that was the end.

Rules
    1. This is the only module that imports httptools, and only when a server starts.
    2. No lenient flag of llhttp is ever set.
    3. Where llhttp and this module do not agree on where a message ends, the message is refused.
    4. Nothing that a client sends makes a cache grow without bounds.

What does not belong here: what a head means to the server (environ.py), reading from the socket (handler.py, body.pyx).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeLatin1

from greenio._wsgi.errors import BodyError, Refused

__all__ = ["CONTINUE_STATUS", "ChunkParser", "HeadParser", "need_httptools"]

BAD_REQUEST = "400 Bad Request"
CONTINUE_STATUS = b"HTTP/1.1 100 Continue\r\n\r\n"

_HEAD_OF_CHUNKS = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
#: Fields that may stand once. llhttp refuses a second Content-Length itself.
_ONCE = frozenset(["HTTP_HOST", "CONTENT_TYPE", "CONTENT_LENGTH"])
_NOT_IN_TRAILERS = frozenset([b"content-length", b"transfer-encoding", b"host"])
#: What llhttp's line of a chunk may have besides extensions: the size and the ends of two lines.
_CHUNK_LINES = 24

# The names of fields that have been seen, and what they are called in the environment; "" for those that are dropped.
cdef dict keys = {}
_MOST_KEYS = 1024

# What is fed in place of a body.
cdef bytes NOTHINGS = bytes(16384)

httptools = None


def need_httptools():
    """Import httptools. Raises ImportError, with what to install, if that is impossible."""
    global httptools
    if httptools is None:
        try:
            import httptools as module
        except ImportError:
            raise ImportError("greenio.wsgi needs httptools to serve: pip install 'greenio[wsgi]'") from None
        httptools = module


def _key_of(name):
    """What a field is called in the environment. "": it is dropped.

    Names with an underscore could be taken for others with a hyphen; `Proxy` for the variable HTTP_PROXY.
    """
    text = name.decode("latin-1").upper()
    if "_" in text or text == "PROXY":
        key = ""
    else:
        key = text.replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
    if len(keys) < _MOST_KEYS:
        keys[name] = key
    return key


cdef class HeadParser:
    """Reads the heads of a connection's requests, one after the other.

    `environ`: where the fields go as they come (dict). `complete`: whether the head has ended. `upgrade`: whether it
    asks for another protocol.
    """

    def on_header(self, bytes name not None, bytes value not None):
        """Called by httptools with each field."""
        cdef const char *start = PyBytes_AS_STRING(value)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(value)
        cdef dict environ
        key = keys.get(name)
        if key is None:
            key = _key_of(name)
        if not key:
            return
        while length > 0 and start[length - 1] in b" \t":
            length -= 1
        text = PyUnicode_DecodeLatin1(start, length, NULL)
        environ = <dict> self.environ
        if key in environ:
            if key in _ONCE:
                raise Refused(BAD_REQUEST, f"there are two {name.decode('latin-1')} fields")
            text = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ', '}{text}".rstrip(" \t")
        environ[key] = text

    def on_headers_complete(self):
        """Called by httptools at the end of the head."""
        self.complete = True

    def feed(self, bytes data not None):
        """Read on in a head. Raises Refused if it is malformed."""
        parser = self.parser
        if parser is None:
            parser = self.parser = httptools.HttpRequestParser(self)
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.parser = None
            self._failed(error, data)

    def _failed(self, error, data):
        if isinstance(error, httptools.HttpParserUpgrade):
            if self.complete and error.args[0] == len(data):
                self.upgrade = True
                return
            raise Refused(BAD_REQUEST, "the head ends before its empty line") from None
        if isinstance(error.__context__, Refused):
            raise error.__context__ from None
        if isinstance(error, httptools.HttpParserInvalidMethodError):
            raise Refused("501 Not Implemented", "the method is not known") from None
        raise Refused(BAD_REQUEST, str(error)) from None

    def skip(self, length):
        """The parser has been told of a body of that length (int; CHUNKED if that is not known). It will not see it."""
        if 0 < length <= len(NOTHINGS) and not self.upgrade and self.parser is not None:
            # Whatever is in a body: nothing in place of a short one is cheaper than another parser.
            try:
                self.parser.feed_data(NOTHINGS[:length])
            except httptools.HttpParserError:
                self.parser = None
                raise Refused(BAD_REQUEST, "the Content-Length is invalid") from None
        else:
            self.parser = None

    def forget(self):
        """Nobody needs the parser any more."""
        self.parser = None


class ChunkParser:
    """Decodes one chunked body. `pieces` (list of bytes) has what was decoded; whoever takes them clears it."""

    __slots__ = ("_chunks", "_extra", "_fed", "_in_body", "_parser", "_tail", "complete", "length", "pieces")

    def __init__(self, max_extensions):
        self.pieces = []
        self.complete = False
        self.length = 0  # of what was decoded
        self._extra = max_extensions
        self._fed = self._chunks = 0
        self._tail = b""
        self._in_body = False
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(_HEAD_OF_CHUNKS)
        self._in_body = True

    def on_header(self, name, value):
        """Called by httptools with each trailer, and once with the field that it was told."""
        if self._in_body and name.lower() in _NOT_IN_TRAILERS:
            raise BodyError(f"the field {name.decode('latin-1')} is not allowed in trailers")

    def on_chunk_header(self):
        """Called by httptools at the beginning of each chunk."""
        self._chunks += 1

    def on_body(self, data):
        """Called by httptools with what it has decoded."""
        self.length += len(data)
        self.pieces.append(data)

    def on_message_begin(self):
        """Called by httptools at the beginning of each message, of which there is one."""
        if self.complete:
            raise BodyError("there is more behind the end of the body")

    def on_message_complete(self):
        """Called by httptools at the end of the body."""
        self.complete = True

    def feed(self, data, start):
        """Decode what stands in `data` from `start` on, up to the end of the body. Return where that is.

        Raises BodyError if it is malformed.
        """
        length = len(data)
        while start < length and not self.complete:
            end = self._piece_end(data, start, length)
            piece = data[start:end]
            self._tail = (self._tail + piece)[-3:] if end - start < 3 else piece[-3:]
            self._fed += len(piece)
            try:
                self._parser.feed_data(piece)
            except httptools.HttpParserError as error:
                self._parser = None
                if isinstance(error.__context__, BodyError):
                    raise error.__context__ from None
                raise BodyError(f"the chunked body is malformed: {error}") from None
            if self._fed - self.length > self._extra + _CHUNK_LINES * (self._chunks + 1):
                self._parser = None
                raise BodyError("the chunked body has too many extensions or trailers")
            start = end
        if self.complete:
            self._parser = None  # which refers back to this object
        return start

    def _piece_end(self, data, start, length):
        """Where the next empty line ends, of which there is one in what was fed before and this, or all there is."""
        if self._tail:
            seam = (self._tail + data[start : start + 3]).find(b"\r\n\r\n")
            if seam >= 0:
                return start + seam + 4 - len(self._tail)
        found = data.find(b"\r\n\r\n", start)
        return length if found < 0 else found + 4

    def forget(self):
        """Nobody reads on."""
        self._parser = None

"""The head of a request and the framing of its body, read by llhttp through httptools.

Theory
    A head ends with the first empty line. It is cut out of the received data and fed to the parser by itself: the
    parser never sees a byte behind it. A body of known length is never fed. A chunked body has a parser of its own,
    which is fed a head that says only "chunked", and then the body in pieces. Each piece ends at an empty line, as the
    body does. So the parser can say after each piece whether it was the last.

Rules
    1. This is the only module that imports httptools, and only when a server starts.
    2. No lenient flag of llhttp is ever set.
    3. If llhttp and this module do not agree where a message ends, the message is refused.
    4. No cache grows without bounds, whatever a client sends.

What does not belong here: what a head means (request.pyx), receiving data (reading.pyx, body.pyx).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeLatin1

from greenio._wsgi.errors import BodyError, Refused

__all__ = ["CONTINUE_STATUS", "ChunkParser", "HeadParser", "need_httptools"]

BAD_REQUEST = "400 Bad Request"
CONTINUE_STATUS = b"HTTP/1.1 100 Continue\r\n\r\n"

_HEAD_OF_CHUNKS = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
#: Fields that may occur only once. llhttp refuses a second Content-Length itself.
_ONCE = frozenset(["HTTP_HOST", "CONTENT_TYPE", "CONTENT_LENGTH"])
_NOT_IN_TRAILERS = frozenset([b"content-length", b"transfer-encoding", b"host"])
#: The most bytes of a chunk besides its data and extensions: the size, and the ends of two lines.
_CHUNK_LINES = 24

# A cache: the name of a field -> its key in the environment; "" for a field that is dropped.
cdef dict keys = {}
_MAX_KEYS = 1024

# Zeros, which are fed to the parser in place of a body.
cdef bytes ZEROS = bytes(16384)

httptools = None


def need_httptools():
    """Import httptools. Raises ImportError, which says what to install, if that is impossible."""
    global httptools
    if httptools is None:
        try:
            import httptools as module
        except ImportError:
            raise ImportError("greenio.wsgi needs httptools to serve: pip install 'greenio[wsgi]'") from None
        httptools = module


def _key_of(name):
    """Return the key of a field in the environment, or "" to drop the field.

    A name with an underscore is dropped: its key would be the same as that of a name with a hyphen. The field Proxy is
    dropped: its key would be HTTP_PROXY, which programs take for the variable that names a proxy.
    """
    text = name.decode("latin-1").upper()
    if "_" in text or text == "PROXY":
        key = ""
    else:
        key = text.replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
    if len(keys) < _MAX_KEYS:
        keys[name] = key
    return key


cdef class HeadParser:
    """Parses the heads of a connection's requests, one after the other.

    `environ`: the dictionary that gets the fields. `complete`: whether the head has ended (bool). `upgrade`: whether
    the request asks for another protocol (bool).
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
        """Parse more of a head. Raises Refused if it is malformed."""
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
        """Get past a body, for which llhttp waits after its head. `length`: of the body (int, or CHUNKED)."""
        if 0 < length <= len(ZEROS) and not self.upgrade and self.parser is not None:
            # llhttp does not look into a body. Feeding it zeros is cheaper than making another parser.
            try:
                self.parser.feed_data(ZEROS[:length])
            except httptools.HttpParserError:
                self.parser = None
                raise Refused(BAD_REQUEST, "the Content-Length is invalid") from None
        else:
            self.parser = None

    def forget(self):
        """Drop the parser, which refers back to this object."""
        self.parser = None


class ChunkParser:
    """Decodes one chunked body.

    `pieces`: the data that was decoded (list of bytes); the caller takes it out. `length`: how many bytes were decoded
    in all. `complete`: whether the body has ended (bool).
    """

    __slots__ = ("_chunks", "_extra", "_fed", "_in_body", "_parser", "_tail", "complete", "length", "pieces")

    def __init__(self, max_extensions):
        self.pieces = []
        self.complete = False
        self.length = 0
        self._extra = max_extensions
        self._fed = self._chunks = 0
        self._tail = b""
        self._in_body = False
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(_HEAD_OF_CHUNKS)
        self._in_body = True

    def on_header(self, name, value):
        """Called by httptools with each trailer, and before that with the field of _HEAD_OF_CHUNKS."""
        if self._in_body and name.lower() in _NOT_IN_TRAILERS:
            raise BodyError(f"the field {name.decode('latin-1')} is not allowed in trailers")

    def on_chunk_header(self):
        """Called by httptools at the beginning of each chunk."""
        self._chunks += 1

    def on_body(self, data):
        """Called by httptools with data that it has decoded."""
        self.length += len(data)
        self.pieces.append(data)

    def on_message_begin(self):
        """Called by httptools at the beginning of a message: a second one is data behind the body's end."""
        if self.complete:
            raise BodyError("there is more data behind the end of the body")

    def on_message_complete(self):
        """Called by httptools at the end of the body."""
        self.complete = True

    def feed(self, data, start):
        """Decode `data` from `start` on, up to the end of the body. Returns the position behind the decoded data (int).

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
        """Return the position behind the next empty line, or `length` if there is none.

        The empty line may have begun in data that was fed before.
        """
        if self._tail:
            seam = (self._tail + data[start : start + 3]).find(b"\r\n\r\n")
            if seam >= 0:
                return start + seam + 4 - len(self._tail)
        found = data.find(b"\r\n\r\n", start)
        return length if found < 0 else found + 4

    def forget(self):
        """Drop the parser, which refers back to this object."""
        self._parser = None

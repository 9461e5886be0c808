"""The head of a request and the framing of its body, read by llhttp through httptools.

Theory
    A head ends with the first empty line. It is cut out of what has come and fed by itself: the parser never sees a
    byte of what stands behind it. A body of known length is never fed at all. A chunked body has a parser of its own,
    which is told only that it is chunked; it too is fed piece by piece, up to each empty line, and can therefore be
    asked after each piece whether that was the end.

Rules
    1. This is the only module that imports httptools, and only when a server starts.
    2. No lenient flag of llhttp is ever set.
    3. Where llhttp and this module do not agree on where a message ends, the message is refused.
    4. Nothing that a client sends makes a cache grow without bounds.

What does not belong here: what a head means to the server (environ.py), reading from the socket (handler.py, body.py).
"""

from __future__ import annotations

from greenio._wsgi.errors import BodyError, Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

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
_keys: dict[bytes, str] = {}
_MOST_KEYS = 1024

httptools: Any = None


def need_httptools() -> None:
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
    if len(_keys) < _MOST_KEYS:
        _keys[name] = key
    return key


class HeadParser:
    """Reads the heads of a connection's requests, one after the other. Fields go into `environ` as they come."""

    __slots__ = ("_parser", "complete", "environ", "upgrade")

    def __init__(self) -> None:
        self._parser: Any = None
        self.begin({})

    def begin(self, environ: dict[str, Any]) -> None:
        """The next bytes are those of a new head."""
        self.environ = environ
        self.complete = self.upgrade = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by httptools with each field."""
        key = _keys.get(name)
        if key is None:
            key = _key_of(name)
        if not key:
            return
        environ = self.environ
        if key in environ:
            if key in _ONCE:
                raise Refused(BAD_REQUEST, f"there are two {name.decode('latin-1')} fields")
            text = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ', '}{value.decode('latin-1')}"
            environ[key] = text.rstrip(" \t")
        else:
            environ[key] = value.decode("latin-1").rstrip(" \t")

    def on_headers_complete(self) -> None:
        """Called by httptools at the end of the head."""
        self.complete = True

    def feed(self, data: bytes) -> None:
        """Read on in a head. Raises Refused if it is malformed."""
        parser = self._parser
        if parser is None:
            parser = self._parser = httptools.HttpRequestParser(self)
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._parser = None
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

    def forget(self) -> None:
        """The parser has been told of a body that it will not see, or nobody needs it any more."""
        self._parser = None


class ChunkParser:
    """Decodes one chunked body. `pieces` (list of bytes) has what was decoded; whoever takes them clears it."""

    __slots__ = ("_chunks", "_extra", "_fed", "_in_body", "_parser", "_tail", "complete", "length", "pieces")

    def __init__(self, max_extensions: int) -> None:
        self.pieces: list[bytes] = []
        self.complete = False
        self.length = 0  # of what was decoded
        self._extra = max_extensions
        self._fed = self._chunks = 0
        self._tail = b""
        self._in_body = False
        self._parser: Any = httptools.HttpRequestParser(self)
        self._parser.feed_data(_HEAD_OF_CHUNKS)
        self._in_body = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by httptools with each trailer, and once with the field that it was told."""
        if self._in_body and name.lower() in _NOT_IN_TRAILERS:
            raise BodyError(f"the field {name.decode('latin-1')} is not allowed in trailers")

    def on_chunk_header(self) -> None:
        """Called by httptools at the beginning of each chunk."""
        self._chunks += 1

    def on_body(self, data: bytes) -> None:
        """Called by httptools with what it has decoded."""
        self.length += len(data)
        self.pieces.append(data)

    def on_message_begin(self) -> None:
        """Called by httptools at the beginning of each message, of which there is one."""
        if self.complete:
            raise BodyError("there is more behind the end of the body")

    def on_message_complete(self) -> None:
        """Called by httptools at the end of the body."""
        self.complete = True

    def feed(self, data: bytes, start: int) -> int:
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

    def forget(self) -> None:
        """Nobody reads on."""
        self._parser = None

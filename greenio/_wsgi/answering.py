"""Answering a request: what an application says and gives, as HTTP.

Rules
    1. An answer that has begun and fails is never ended as if it were whole: the connection closes.
    2. An answer whose length is known is one write.
    3. The next block is asked for after the last was written.

What does not belong here: calling the application, and its failures (handler.py); what fields may be (response.py).
"""

from __future__ import annotations

from greenio._wsgi.body import NOTHING
from greenio._wsgi.errors import BodyError
from greenio._wsgi.files import FileWrapper
from greenio._wsgi.reading import Requests
from greenio._wsgi.response import check_status, current_date, render_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Any

    ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

__all__ = ["Answers"]

_CLOSE = b"Connection: close\r\n"
_KEEP_ALIVE = b"Connection: keep-alive\r\n"
_ERROR_PAGE = "<!doctype html>\n<title>{status}</title>\n<h1>{status}</h1>\n<p>{text}</p>\n"


class Answers(Requests):
    """Answers the requests of one connection. The base of WSGIHandler, which says more."""

    status: str | None = None
    code: int | None = None
    result: Any = None
    response_headers: list[tuple[str, str]]
    response_use_chunked = False
    response_length = 0
    provided_date = False
    provided_content_length: int | None = None
    headers_sent = False
    connection_upgraded = False

    _failed = False  # a write has
    _fields = b""
    _status_line = b""
    _left: int | None = None  # how much of the answer's Content-Length is still to come
    _has_body = True

    def log_error(self, message: str, *args: object) -> None:
        """Write a line to the server's error log."""
        raise NotImplementedError

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        """What an application begins its answer with (PEP 3333); returns write()."""
        if exc_info:
            try:
                if self.headers_sent and exc_info[1] is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self.status is not None:
            raise AssertionError("start_response() was called before; only with exc_info may it be called again")
        code, self._status_line = check_status(status)
        if code < 200 and not (code == 101 and self._upgrade):
            raise ValueError(f"an application cannot answer with {status!r}")
        self._fields, self.provided_content_length, self.provided_date = render_fields(headers, code == 101)
        self.status, self.code = status, code
        self.response_headers = headers
        return self.write

    def finalize_headers(self) -> None:
        """Called before the head of an answer is sent. A subclass may change `response_headers`, then."""

    def _begin(self, length):
        """The head of the answer. `length`: of its whole body, if that is known already."""
        if self.status is None:
            raise AssertionError("the application has not called start_response()")
        if self.wsgi_input is not NOTHING:
            self._check_input()
        if type(self).finalize_headers is not Answers.finalize_headers:
            self.finalize_headers()
            rendered = render_fields(self.response_headers, self.code == 101)
            self._fields, self.provided_content_length, self.provided_date = rendered
        framing = b""
        self.response_use_chunked = False
        code = self.code
        if code in (204, 304, 101) or self.environ["REQUEST_METHOD"] == "HEAD":
            framing = self._frame_nothing(code, length)
        else:
            self._has_body = True
            self._left = self.provided_content_length
            if self._left is None:
                if length is not None:
                    framing = b"Content-Length: %d\r\n" % length
                elif self._is_11:
                    framing = b"Transfer-Encoding: chunked\r\n"
                    self.response_use_chunked = True
                else:
                    self.close_connection = True
        connection = b""
        if self.close_connection or self._is_draining():
            self.close_connection = True
            connection = _CLOSE
        elif not self._is_11:
            connection = _KEEP_ALIVE
        self.headers_sent = True
        date = b"" if self.provided_date else current_date()
        return b"%b%b%b%b%b\r\n" % (self._status_line, self._fields, date, framing, connection)

    def _frame_nothing(self, code, length):
        """The framing of an answer that has no body, whatever the application returns."""
        self._has_body = False
        self._left = None
        if code == 101:
            self.connection_upgraded = True
        elif code == 204:
            if self.provided_content_length is not None:
                kept = [pair for pair in self.response_headers if pair[0].lower() != "content-length"]
                self._fields = render_fields(kept, False)[0]
        elif code != 304 and length and self.provided_content_length is None:
            return b"Content-Length: %d\r\n" % length
        return b""

    def _check_input(self):
        """Before the answer begins: what the body was like decides about it."""
        body = self.wsgi_input
        if body.failure is not None:
            # Whatever the application makes of it, the client is told what is wrong.
            raise BodyError(body.failure.reason, body.failure.status)
        if not body.is_complete and not body.can_be_drained():
            self.close_connection = True

    def write(self, data: bytes) -> None:
        """Send a part of the answer (PEP 3333). Switches while the client does not take it."""
        if type(data) is not bytes and not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"an answer is made of bytes, not of {data!r}")
        if not data:
            return
        head = b"" if self.headers_sent else self._begin(None)
        if not self._has_body:
            if self.connection_upgraded:
                self._send(head, data)
            elif head:
                self._send(head, b"")
        elif self.response_use_chunked:
            self.response_length += len(data)
            self._send(b"%b%x\r\n" % (head, len(data)), data, b"\r\n")
        else:
            left = self._left
            if left is not None:
                if len(data) > left:
                    data = self._cut(data, left)
                self._left = left - len(data)
            self.response_length += len(data)
            if head or data:
                self._send(head, data)

    def _cut(self, data, length):
        self.close_connection = True
        self.log_error("the answer is longer than its Content-Length: it is cut")
        return data[:length]

    def _send(self, head, data, tail=b""):
        try:
            self.stream.write_parts(head, data, tail)
        except OSError:
            self._failed = self.close_connection = True
            raise

    def process_result(self) -> None:
        """Send what the application has returned. Switches."""
        result = self.result
        kind = type(result)
        if (kind is list or kind is tuple) and not self.headers_sent:
            self._send_whole(result[0] if len(result) == 1 else b"".join(result))
            return
        if kind is FileWrapper and not self.headers_sent and self._send_file(result):
            return
        write = self.write
        for data in result:
            write(data)
        self._finish()

    def _send_whole(self, data):
        """An answer all of whose body is there: one write."""
        if type(data) is not bytes:
            self.write(data)
            self._finish()
            return
        head = self._begin(len(data))
        if not self._has_body:
            data = b""
        elif self._left is not None and self._left != len(data):
            if len(data) > self._left:
                data = self._cut(data, self._left)
            else:
                self._too_short(self._left - len(data))
        self.response_length = len(data)
        try:
            self.stream.write_parts(head, data)
        except OSError:
            self._failed = self.close_connection = True
            raise

    def _send_file(self, wrapper):
        """Send a file with sendfile(2), if it is one; return whether it is."""
        part = wrapper.part()
        if part is None or self.status is None:
            return False
        position, count = part
        head = self._begin(count)
        if not self._has_body:
            self._send(head, b"")
            return True
        if self._left is not None:
            count = min(count, self._left)
        try:
            self.stream.write_more(head)
            sent = self.stream.write_file(wrapper.file, position, count) if count else 0
        except OSError:
            self._failed = self.close_connection = True
            raise
        self.response_length = sent
        if sent < (count if self._left is None else self._left):
            self._too_short((count if self._left is None else self._left) - sent)
        return True

    def _too_short(self, missing):
        self.close_connection = True
        self.log_error("the answer is shorter than its Content-Length: %d bytes are missing", missing)

    def _finish(self):
        """The application has returned its last block."""
        if not self.headers_sent:
            self._send_whole(b"")
        elif self.connection_upgraded:
            self.close_connection = True
        elif self.response_use_chunked:
            self._send(b"0\r\n\r\n", b"")
        elif self._left:
            self._too_short(self._left)

    def send_early_hints(self, headers: Iterable[tuple[str, str]]) -> None:
        """Send 103 with these fields, before the answer. Does nothing for HTTP/1.0. Switches.

        Raises AssertionError if the answer has begun.
        """
        if self.headers_sent:
            raise AssertionError("the answer has begun")
        if self._is_11:
            fields = render_fields(headers, False)[0]
            self._send(b"HTTP/1.1 103 Early Hints\r\n%b\r\n" % fields, b"")

    # --- pages of the server's own ---

    def _answer_error(self, status, text):
        """Send a page of ours, and nothing after it: the connection closes."""
        self.close_connection = True
        page = _ERROR_PAGE.format(status=status, text=_escape(text)).encode("utf-8", "replace")
        self.status, self.code = status, int(status[:3])
        self.response_length = len(page)
        self.headers_sent = True
        head = (
            f"HTTP/1.1 {status}\r\n{current_date().decode()}Connection: close\r\n"
            f"Content-Type: text/html; charset=utf-8\r\nContent-Length: {len(page)}\r\n\r\n"
        ).encode("latin-1")
        if self.environ.get("REQUEST_METHOD") == "HEAD":
            page = b""
        try:
            self.stream.write(head + page)
        except OSError:
            self._failed = True


def _escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

"""Answering a request: calling the application, and sending its answer as HTTP.

Rules
    1. An answer that fails half-way never looks complete: the connection closes. It also closes after a write that was
       interrupted, whatever the application does about that. If the end of the connection marks the end of the answer
       (HTTP/1.0 without a length), the connection is reset instead.
    2. An answer whose length is known is one write.
    3. The application makes the next block after the last one was sent.
    4. start_response(), write() and early hints belong to one request. They raise once its answer has ended, so that a
       greenlet that goes on cannot write into the answer to another request.
    5. After an answer with status 101 the connection is the application's, and closes at the end.

What does not belong here: errors of the application, and work that few requests need (handler.py); checking fields
(response.pyx).
"""

from time import time

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcmp, memcpy

from greenio._wsgi.body import NOTHING
from greenio._wsgi.errors import BodyError
from greenio._wsgi.files import FileWrapper
from greenio._wsgi.reading cimport Requests
from greenio._wsgi.response cimport check_status, current_date, render_fields

__all__ = ["Answers"]

cdef bytes CLOSE = b"Connection: close\r\n"
cdef bytes KEEP_ALIVE = b"Connection: keep-alive\r\n"
_HOOKS = ("get_environ", "run_application", "process_result", "start_response")
_ERROR_PAGE = "<!doctype html>\n<title>{status}</title>\n<h1>{status}</h1>\n<p>{text}</p>\n"


cdef class AnswerFunction


cdef class Answers(Requests):
    """Answers the requests of one connection. The base of WSGIHandler, which documents them.

    `status`, `code`, `response_headers`: the application's arguments of start_response().
    `provided_date`, `provided_content_length`: whether it gave the field Date (bool), and its Content-Length (int, or
    None). `result`: what the application has returned. `headers_sent`: whether the head was sent (bool).
    `response_length`: how many bytes of the body were sent (int). `response_use_chunked`: whether the body is chunked.
    `connection_upgraded`: whether the connection has left HTTP. `is_open_ended`: whether the end of the connection
    marks the end of the answer. `is_cut`: whether the answer has failed half-way.
    """

    cdef public object status
    cdef public object code
    cdef public object result
    cdef public object response_headers
    cdef public bint response_use_chunked
    cdef public Py_ssize_t response_length
    cdef public bint provided_date
    cdef public object provided_content_length
    cdef public bint headers_sent
    cdef public bint connection_upgraded
    cdef readonly bint is_open_ended
    cdef readonly bint is_cut
    cdef public bint _failed  # whether a write has failed, or was interrupted
    cdef public Py_ssize_t _answer_count  # how many answers have ended
    cdef public object _left  # how many bytes of the answer's Content-Length are still to come, or None
    cdef bytes fields
    cdef bytes status_line
    cdef bint has_body
    cdef bint finalizes  # whether a subclass overrides finalize_headers()
    cdef bint has_hooks  # whether a subclass overrides one of _HOOKS

    def __init__(self, sock, address, server):
        Requests.__init__(self, sock, address, server)
        self.response_headers = []
        self.fields = self.status_line = b""
        self.has_body = True
        self.finalizes = type(self).finalize_headers is not Answers.finalize_headers
        self.has_hooks = any(getattr(type(self), name) is not getattr(Answers, name) for name in _HOOKS)

    def log_error(self, message, *args):
        """Write a line to the server's error log."""
        raise NotImplementedError

    # --- a request, from the call of the application to the end of its answer ---

    def handle_one_response(self):
        """Call the application for the request that was read, and answer it. Switches.

        Work that few requests need is in methods of WSGIHandler: begin_watches(), end_application(), end_upgrade(),
        end_body() and request_failed().
        """
        server = self.server
        cdef bint logs = server.log is not None
        cdef bint watched = server.cancel_when_gone or self.limits.request_timeout is not None
        self.status = self.result = None
        self.headers_sent = self.is_cut = False
        self.response_length = 0
        if logs:
            self.time_start = time()
        if self.has_hooks:
            self.environ = self.get_environ()
        if watched:
            self.begin_watches()
        try:
            try:
                if self.has_hooks:
                    self.run_application()
                else:
                    self.call_application()
            except BaseException:
                self.is_cut = True
                raise
            finally:
                self._answer_count += 1
                if watched or type(self.result) is not list:
                    self.end_application()
            if self.websocket_upgrade is not None:
                self.end_upgrade(None)
        except BaseException as error:
            self.close_connection = True
            self.request_failed(error)
        self.result = None
        if self.wsgi_input is not NOTHING:
            self.end_body(self.wsgi_input)
        if logs:
            self.time_finish = time()
            self.log_request()
        self.environ = {}

    def get_environ(self):
        """Return the environment with which the application is called (dict)."""
        return self.environ

    def run_application(self):
        """Call the application, and send the result. Switches."""
        self.call_application()

    cdef int call_application(self) except -1:
        self.result = self.application(self.environ, self.starter())
        if self.has_hooks:
            self.process_result()
        else:
            self.send_result()
        return 0

    def starter(self):
        """Return the start_response() for the request that was read, and for no other."""
        return bind_to_answer(StartResponse.__new__(StartResponse), self)

    def start_response(self, status, headers, exc_info=None):
        """Begin an answer (PEP 3333). Returns write().

        Raises AssertionError if it was called before, ValueError or TypeError for a wrong status or field.
        """
        return self.take_start(status, headers, exc_info)

    cdef AnswerFunction take_start(self, status, headers, exc_info):
        if exc_info:
            try:
                if self.headers_sent and exc_info[1] is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self.is_taken():
            self.websocket_upgrade.note_status(status)
            return bind_to_answer(Write.__new__(Write), self)
        elif self.status is not None:
            raise AssertionError("start_response() was called before; only with exc_info may it be called again")
        code, self.status_line = check_status(status)
        if code < 200 and not (code == 101 and self.upgrade and self.is_11):
            raise ValueError(f"an application cannot answer with {status!r}")
        self.fields, self.provided_content_length, self.provided_date = render_fields(headers, code == 101)
        self.status, self.code = status, code
        self.response_headers = headers
        return bind_to_answer(Write.__new__(Write), self)

    def finalize_headers(self):
        """Called before the head of an answer is sent. A subclass may change `response_headers` here."""

    cdef bytes begin(self, length):
        """Return the head of the answer. `length`: the length of the whole body if it is known, or None."""
        if self.status is None:
            unused = "" if self.websocket_upgrade is None else ", nor used environ['wsgi.websocket']"
            raise AssertionError(f"the application has not called start_response(){unused}")
        if self.wsgi_input is not NOTHING:
            self.check_input()
        if self.finalizes:
            self.finalize_headers()
            rendered = render_fields(self.response_headers, self.code == 101)
            self.fields, self.provided_content_length, self.provided_date = rendered
        cdef bytes framing = b"", connection = b""
        self.response_use_chunked = False
        cdef int code = self.code
        if code == 204 or code == 205 or code == 304 or code == 101 or self.is_head():
            framing = self.frame_without_body(code, length)
        else:
            self.has_body = True
            self._left = self.provided_content_length
            if self._left is None:
                if length is not None:
                    framing = length_line(length)
                elif self.is_11:
                    framing = b"Transfer-Encoding: chunked\r\n"
                    self.response_use_chunked = True
                else:
                    self.close_connection = self.is_open_ended = True
        if self.connection_upgraded:
            pass  # the connection closes at the end, but the application's field Connection says "Upgrade"
        elif self.close_connection or self.is_draining():
            self.close_connection = True
            connection = CLOSE
        elif not self.is_11:
            connection = KEEP_ALIVE
        self.headers_sent = True
        date = b"" if self.provided_date else current_date()
        return head_of(self.status_line, self.fields, date, framing, connection)

    cdef bytes frame_without_body(self, int code, length):
        """Return the framing of an answer that has no body, whatever the application returns."""
        self.has_body = False
        self._left = None
        if code == 101:
            self.connection_upgraded = self.close_connection = True
        if code == 101 or code == 204 or code == 205:
            if self.provided_content_length is not None:
                self.fields = without_length(self.response_headers, code == 101)
            # Without a length, a client would wait for the end of a 205.
            return b"Content-Length: 0\r\n" if code == 205 else b""
        if code != 304 and length and self.provided_content_length is None:
            return length_line(length)
        return b""

    cdef int check_input(self) except -1:
        """Check the request's body before the answer begins. Raises BodyError if it has failed."""
        body = self.wsgi_input
        if body.failure is not None:
            # The client gets this error even if the application has caught it.
            raise BodyError(body.failure.reason, body.failure.status)
        body.answered = True
        if not body.is_complete and not body.can_be_drained():
            self.close_connection = True
        return 0

    def write(self, data):
        """Send a part of the answer (PEP 3333). Switches while the client takes no more.

        Raises TypeError if `data` is not bytes, and OSError if the connection fails.
        """
        if type(data) is not bytes and not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"an answer is made of bytes, not of {data!r}")
        if type(data) is memoryview and (data.itemsize != 1 or data.ndim != 1 or not data.c_contiguous):
            data = data.tobytes()
        if not data:
            return
        head = b"" if self.headers_sent else self.begin(None)
        if not self.has_body:
            if self.connection_upgraded:
                # The result of an application that has used its WebSocket is dropped.
                if not self.is_taken():
                    self.put(head, data)
            elif head:
                self.put(head, b"")
        elif self.response_use_chunked:
            self.response_length += len(data)
            self.put(b"%b%x\r\n" % (head, len(data)), data, b"\r\n")
        else:
            left = self._left
            if left is not None:
                if len(data) > left:
                    data = self.cut(data, left)
                self._left = left - len(data)
            self.response_length += len(data)
            if head or data:
                self.put(head, data)

    cdef bint is_head(self) noexcept:
        """Whether the method is HEAD. Read off the head, because an application may change its environment."""
        return PyBytes_GET_SIZE(self._head) > 5 and memcmp(PyBytes_AS_STRING(self._head), b"HEAD ", 5) == 0

    cdef bint is_taken(self) except -1:
        """Whether the connection has become a WebSocket."""
        return self.websocket_upgrade is not None and self.websocket_upgrade.owner is not None

    def take_over(self):
        """Give the connection to a WebSocket. No more HTTP is sent, and the connection closes after it.

        Does not switch.
        """
        self.status, self.code = "101 Switching Protocols", 101
        self.headers_sent = self.connection_upgraded = self.close_connection = True
        self.has_body = False

    cdef cut(self, data, length):
        self.close_connection = True
        self.log_error("the answer is longer than its Content-Length: it is cut")
        return data[:length]

    cdef int put(self, bytes head, data, bytes tail=b"") except -1:
        try:
            self.stream.write_parts(head, data, tail)
        except BaseException:
            # Also for a kill or a Timeout: a part may have been sent.
            self._failed = self.close_connection = True
            raise
        return 0

    def process_result(self):
        """Send the application's result. Switches."""
        self.send_result()

    cdef int send_result(self) except -1:
        result = self.result
        kind = type(result)
        if (kind is list or kind is tuple) and not self.headers_sent:
            return self.send_whole(result[0] if len(result) == 1 else b"".join(result))
        if kind is FileWrapper and not self.headers_sent and self.send_file(result):
            return 0
        if result is None and self.is_taken():
            return 0  # an application that has used its WebSocket may return None
        write = self.write
        for data in result:
            write(data)
        return self.finish()

    cdef int send_whole(self, data) except -1:
        """Send an answer whose whole body is `data`, in one write."""
        if type(data) is not bytes:
            self.write(data)
            return self.finish()
        head = self.begin(len(data))
        if not self.has_body:
            if not self.connection_upgraded:
                data = b""
        elif self._left is not None and self._left != len(data):
            if len(data) > self._left:
                data = self.cut(data, self._left)
            else:
                self.report_missing(self._left - len(data))
        self.response_length = len(data)
        self.put(head, data)
        return 0

    cdef bint send_file(self, wrapper) except -1:
        """Send a file with sendfile(2), if the system can send it. Returns whether it can."""
        part = wrapper.part()
        if part is None or self.status is None or self.code == 101:
            return False
        position, count = part
        head = self.begin(count)
        if not self.has_body:
            self.put(head, b"")
            return True
        if self._left is not None:
            count = min(count, self._left)
        try:
            self.stream.write_more(head)
            sent = self.stream.write_file(wrapper.file, position, count) if count else 0
        except BaseException:
            self._failed = self.close_connection = True
            raise
        self.response_length = sent
        if sent < (count if self._left is None else self._left):
            self.report_missing((count if self._left is None else self._left) - sent)
        return True

    cdef report_missing(self, missing):
        self.close_connection = True
        self.log_error("the answer is shorter than its Content-Length: %d bytes are missing", missing)

    cdef int finish(self) except -1:
        """End the answer after its last block."""
        if not self.headers_sent:
            self.send_whole(b"")
        elif self.response_use_chunked:
            self.put(b"0\r\n\r\n", b"")
        elif self._left:
            self.report_missing(self._left)
        return 0

    cdef early_hints(self):
        return bind_to_answer(EarlyHints.__new__(EarlyHints), self)

    def send_early_hints(self, headers):
        """Send an answer with status 103 and these fields ahead of the answer. Does nothing for HTTP/1.0. Switches.

        Raises AssertionError if the answer has begun.
        """
        if self.headers_sent:
            raise AssertionError("the answer has begun")
        if self.is_11:
            fields = without_length(headers, False)
            self.put(b"HTTP/1.1 103 Early Hints\r\n%b\r\n" % fields, b"")

    # --- the server's own pages ---

    def _answer_error(self, status, text, fields=""):
        """Answer with a page that shows an error. The connection closes after it."""
        self.close_connection = True
        page = _ERROR_PAGE.format(status=status, text=_escape(text)).encode("utf-8", "replace")
        self.status, self.code = status, int(status[:3])
        self.response_length = len(page)
        self.headers_sent = True
        head = (
            f"HTTP/1.1 {status}\r\n{current_date().decode()}Connection: close\r\n{fields}"
            f"Content-Type: text/html; charset=utf-8\r\nContent-Length: {len(page)}\r\n\r\n"
        ).encode("latin-1")
        if self.is_head():
            page = b""
        try:
            self.stream.write(head + page)
        except BaseException as error:
            self._failed = True
            if not isinstance(error, OSError):
                raise


cdef class AnswerFunction:
    """The base of the functions that an application calls to answer one request, and no other."""

    cdef Answers answers
    cdef Py_ssize_t number

    cdef Answers check(self):
        if self.number != self.answers._answer_count:
            raise RuntimeError("the answer has ended: nothing more can be written to it")
        return self.answers


cdef AnswerFunction bind_to_answer(AnswerFunction function, Answers answers):
    """Bind a new function to the request that is being answered. Cheaper than an __init__()."""
    function.answers = answers
    function.number = answers._answer_count
    return function


@cython.freelist(8)
cdef class StartResponse(AnswerFunction):
    """start_response() for one request."""

    def __call__(self, status, headers, exc_info=None):
        """Begin the answer. Raises RuntimeError if it has ended."""
        cdef Answers answers = self.check()
        if answers.has_hooks:
            return answers.start_response(status, headers, exc_info)
        return answers.take_start(status, headers, exc_info)


@cython.freelist(8)
cdef class Write(AnswerFunction):
    """write() for one request."""

    def __call__(self, data):
        """Send a part of the answer. Raises RuntimeError if the answer has ended. Switches."""
        self.check().write(data)


@cython.freelist(8)
cdef class EarlyHints(AnswerFunction):
    """`wsgi.early_hints` for one request."""

    def __call__(self, headers):
        """Send status 103 with these fields. Raises RuntimeError if the answer has ended. Switches."""
        self.check().send_early_hints(headers)


cdef bytes without_length(headers, bint upgrades):
    """Return an application's fields as lines, without its Content-Length."""
    pairs = list(headers)
    lines, length, _ = render_fields(pairs, upgrades)
    if length is not None:
        lines = render_fields([pair for pair in pairs if pair[0].lower() != "content-length"], upgrades)[0]
    return lines


cdef bytes length_line(Py_ssize_t length):
    """Return the field Content-Length as a line. Most answers have it, and bytes formatting takes ten times as long."""
    cdef char line[64]
    cdef char *start = line + 62
    cdef size_t left = length
    memcpy(start, b"\r\n", 2)
    while True:
        start -= 1
        start[0] = 48 + left % 10
        left //= 10
        if not left:
            break
    start -= 16
    memcpy(start, b"Content-Length: ", 16)
    return PyBytes_FromStringAndSize(start, line + 64 - start)


def _escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


cdef bytes head_of(bytes status_line, bytes fields, bytes date, bytes framing, bytes connection):
    """Join the parts of an answer's head."""
    cdef bytes head = PyBytes_FromStringAndSize(
        NULL, len(status_line) + len(fields) + len(date) + len(framing) + len(connection) + 2
    )
    cdef char *to = PyBytes_AS_STRING(head)
    to = put_bytes(to, status_line)
    to = put_bytes(to, fields)
    to = put_bytes(to, date)
    to = put_bytes(to, framing)
    to = put_bytes(to, connection)
    memcpy(to, b"\r\n", 2)
    return head


cdef char *put_bytes(char *to, bytes text) noexcept:
    memcpy(to, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
    return to + PyBytes_GET_SIZE(text)

"""Answering a request: what an application says and gives, as HTTP.

Rules
    1. An answer that has begun and fails is never ended as if it were whole: the connection closes. So it does where
       a write was interrupted, whatever the application makes of that. Where the end of the connection is the end of
       the answer (HTTP/1.0 without a length), it is reset.
    2. An answer whose length is known is one write.
    3. The next block is asked for after the last was written.
    4. What an application is given to answer with (start_response(), write(), early hints) does nothing once its own
       answer has ended: a greenlet that goes on says nothing to who asks next.
    5. Behind 101, the connection is the application's, and closes.

What does not belong here: failures of the application, and what is to be done seldom (handler.py); what fields may be
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


cdef class OfOneAnswer


cdef class Answers(Requests):
    """Answers the requests of one connection. The base of WSGIHandler, which says more.

    `status`, `code`, `response_headers`, `provided_date`, `provided_content_length`: what the application says.
    `result`: what it has returned. `headers_sent`, `response_length`: how much of the answer has been sent.
    `response_use_chunked`: whether it is chunked. `connection_upgraded`: whether the protocol is another from now on.
    `is_open_ended`: whether the answer ends where the connection does. `is_cut`: whether it has ended before its end.
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
    cdef public bint _failed  # a write has, or was interrupted
    cdef public Py_ssize_t _ended  # how many answers have
    cdef public object _left  # how much of the answer's Content-Length is still to come, or None
    cdef bytes fields
    cdef bytes status_line
    cdef bint has_body
    cdef bint finalizes  # whether the class has something to do in finalize_headers()
    cdef bint has_hooks  # whether it has others of these methods

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

        What happens seldom is in methods of WSGIHandler: begin_watches(), end_application(), end_upgrade(), end_body()
        and request_failed().
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
                self._ended += 1
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
        """The environment that the application is called with (dict)."""
        return self.environ

    def run_application(self):
        """Call the application and send what it returns. Switches."""
        self.call_application()

    cdef int call_application(self) except -1:
        self.result = self.application(self.environ, self.starter())
        if self.has_hooks:
            self.process_result()
        else:
            self.send_result()
        return 0

    def starter(self):
        """The start_response() of the request that was read: it belongs to that one only."""
        return of_this_answer(Starter.__new__(Starter), self)

    def start_response(self, status, headers, exc_info=None):
        """What an application begins its answer with (PEP 3333); returns write()."""
        return self.take_start(status, headers, exc_info)

    cdef OfOneAnswer take_start(self, status, headers, exc_info):
        if exc_info:
            try:
                if self.headers_sent and exc_info[1] is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self.is_taken():
            self.websocket_upgrade.told(status)
            return of_this_answer(Writer.__new__(Writer), self)
        elif self.status is not None:
            raise AssertionError("start_response() was called before; only with exc_info may it be called again")
        code, self.status_line = check_status(status)
        if code < 200 and not (code == 101 and self.upgrade and self.is_11):
            raise ValueError(f"an application cannot answer with {status!r}")
        self.fields, self.provided_content_length, self.provided_date = render_fields(headers, code == 101)
        self.status, self.code = status, code
        self.response_headers = headers
        return of_this_answer(Writer.__new__(Writer), self)

    def finalize_headers(self):
        """Called before the head of an answer is sent. A subclass may change `response_headers`, then."""

    cdef bytes begin(self, length):
        """The head of the answer. `length`: of its whole body, if that is known already."""
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
            framing = self.frame_nothing(code, length)
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
            pass  # it closes, but that is not said in a head that says "Upgrade"
        elif self.close_connection or self.is_draining():
            self.close_connection = True
            connection = CLOSE
        elif not self.is_11:
            connection = KEEP_ALIVE
        self.headers_sent = True
        date = b"" if self.provided_date else current_date()
        return head_of(self.status_line, self.fields, date, framing, connection)

    cdef bytes frame_nothing(self, int code, length):
        """The framing of an answer that has no body, whatever the application returns."""
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
        """Before the answer begins: what the body was like decides about it."""
        body = self.wsgi_input
        if body.failure is not None:
            # Whatever the application makes of it, the client is told what is wrong.
            raise BodyError(body.failure.reason, body.failure.status)
        body.answered = True
        if not body.is_complete and not body.can_be_drained():
            self.close_connection = True
        return 0

    def write(self, data):
        """Send a part of the answer (PEP 3333). Switches while the client does not take it."""
        if type(data) is not bytes and not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"an answer is made of bytes, not of {data!r}")
        if type(data) is memoryview and (data.itemsize != 1 or data.ndim != 1 or not data.c_contiguous):
            data = data.tobytes()
        if not data:
            return
        head = b"" if self.headers_sent else self.begin(None)
        if not self.has_body:
            if self.connection_upgraded:
                # What an application gives beside its WebSocket goes nowhere.
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
        """Whether the client has asked for a head only, whatever the application makes of its environment."""
        return PyBytes_GET_SIZE(self._head) > 5 and memcmp(PyBytes_AS_STRING(self._head), b"HEAD ", 5) == 0

    cdef bint is_taken(self) except -1:
        """Whether the connection is a WebSocket by now."""
        return self.websocket_upgrade is not None and self.websocket_upgrade.owner is not None

    def take_over(self):
        """The connection is a WebSocket from now on. Nothing of HTTP is sent any more, and it closes behind that."""
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
            # A part may have been sent, by what is interrupted or ended by whoever waits for it, too.
            self._failed = self.close_connection = True
            raise
        return 0

    def process_result(self):
        """Send what the application has returned. Switches."""
        self.send_result()

    cdef int send_result(self) except -1:
        result = self.result
        kind = type(result)
        if (kind is list or kind is tuple) and not self.headers_sent:
            return self.send_whole(result[0] if len(result) == 1 else b"".join(result))
        if kind is FileWrapper and not self.headers_sent and self.send_file(result):
            return 0
        if result is None and self.is_taken():
            return 0  # it has said everything as a WebSocket
        write = self.write
        for data in result:
            write(data)
        return self.finish()

    cdef int send_whole(self, data) except -1:
        """An answer all of whose body is there: one write."""
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
                self.too_short(self._left - len(data))
        self.response_length = len(data)
        self.put(head, data)
        return 0

    cdef bint send_file(self, wrapper) except -1:
        """Send a file with sendfile(2), if it is one; return whether it is."""
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
            self.too_short((count if self._left is None else self._left) - sent)
        return True

    cdef too_short(self, missing):
        self.close_connection = True
        self.log_error("the answer is shorter than its Content-Length: %d bytes are missing", missing)

    cdef int finish(self) except -1:
        """The application has returned its last block."""
        if not self.headers_sent:
            self.send_whole(b"")
        elif self.response_use_chunked:
            self.put(b"0\r\n\r\n", b"")
        elif self._left:
            self.too_short(self._left)
        return 0

    cdef early_hints(self):
        return of_this_answer(Hinter.__new__(Hinter), self)

    def send_early_hints(self, headers):
        """Send 103 with these fields, before the answer. Does nothing for HTTP/1.0. Switches.

        Raises AssertionError if the answer has begun.
        """
        if self.headers_sent:
            raise AssertionError("the answer has begun")
        if self.is_11:
            fields = without_length(headers, False)
            self.put(b"HTTP/1.1 103 Early Hints\r\n%b\r\n" % fields, b"")

    # --- pages of the server's own ---

    def _answer_error(self, status, text, fields=""):
        """Send a page of ours, and nothing after it: the connection closes."""
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


cdef class OfOneAnswer:
    """The base of what an application calls to answer one request, and that one only."""

    cdef Answers answers
    cdef Py_ssize_t number

    cdef Answers check(self):
        if self.number != self.answers._ended:
            raise RuntimeError("the answer has ended: nothing more can be written to it")
        return self.answers


cdef OfOneAnswer of_this_answer(OfOneAnswer made, Answers answers):
    """Such an object, which was made just now, for the request that is answered. Cheaper than an __init__()."""
    made.answers = answers
    made.number = answers._ended
    return made


@cython.freelist(8)
cdef class Starter(OfOneAnswer):
    """Its start_response()."""

    def __call__(self, status, headers, exc_info=None):
        """Begin the answer. Raises RuntimeError if it has ended."""
        cdef Answers answers = self.check()
        if answers.has_hooks:
            return answers.start_response(status, headers, exc_info)
        return answers.take_start(status, headers, exc_info)


@cython.freelist(8)
cdef class Writer(OfOneAnswer):
    """Its write()."""

    def __call__(self, data):
        """Send a part of the answer. Raises RuntimeError if that has ended. Switches."""
        self.check().write(data)


@cython.freelist(8)
cdef class Hinter(OfOneAnswer):
    """Its `wsgi.early_hints`."""

    def __call__(self, headers):
        """Send 103 with these fields. Raises RuntimeError if the answer has ended. Switches."""
        self.check().send_early_hints(headers)


cdef bytes without_length(headers, bint upgrades):
    """The fields of a head that has no Content-Length, whatever an application gives, as lines."""
    pairs = list(headers)
    lines, length, _ = render_fields(pairs, upgrades)
    if length is not None:
        lines = render_fields([pair for pair in pairs if pair[0].lower() != "content-length"], upgrades)[0]
    return lines


cdef bytes length_line(Py_ssize_t length):
    """The field Content-Length. Most answers have it, and what Python has for that takes ten times as long."""
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
    """The head of an answer."""
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

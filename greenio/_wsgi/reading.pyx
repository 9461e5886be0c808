"""Reading the requests of a connection: receiving heads, having them parsed, and preparing for their bodies.

Rules
    1. The usual case, a head that arrives whole, costs as little as possible. Other cases have methods of their own.
    2. The time for a head counts from its first byte, and that for the first head from the connection's beginning.
       Bytes that come one by one do not prolong it.

What does not belong here: what heads mean (parser.pyx, request.pyx), bodies (body.pyx).
"""

from time import monotonic

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

from greenio._websocket.request import check_websocket_request, is_websocket_request
from greenio._wsgi.body import NOTHING, Input
from greenio._wsgi.client import Client
from greenio._wsgi.errors import Refused
from greenio._wsgi.forwarded import apply_forwarded
from greenio._wsgi.parser import BAD_REQUEST
from greenio._wsgi.request import check_sizes, complete_environ, is_method, largest_unchecked

__all__ = ["Requests"]

cdef extern from "string.h":
    const char *memmem(const char *text, Py_ssize_t length, const char *sought, Py_ssize_t sought_length)

cdef bytes END = b"\r\n\r\n"


cdef class Requests:
    """Reads the requests of one connection, one after the other. The base of WSGIHandler, which documents them.

    `socket`, `stream`, `client`, `client_address`, `server`, `application`: of the connection. `environ`,
    `wsgi_input`, `close_connection`: of the request. `idle`: whether the connection waits for a request (bool).
    `idle_since`: when it last began to wait, by the monotonic clock (float). `began`: when the time for the
    connection's first head began, by that clock (float); None after that head. `websocket_upgrade`: the Upgrade of a
    request for a WebSocket that is being answered, or None.
    """

    def __init__(self, sock, address, server):
        self.socket = sock
        self.client_address = address
        self.server = server
        self.application = server.application
        self.limits = server.limits
        self.script_name = server.script_name
        self.forwarded_from = server.forwarded_from
        self.unchecked = largest_unchecked(self.limits)
        self.stream = Stream(sock, self.limits.write_timeout, self.limits.max_pipelined)
        self.client = Client(sock, address)
        self.parser = HeadParser()
        self.is_draining = server.draining.is_set
        self._address = server.describe_client(address)
        self.began = monotonic()
        self.environ = {}
        self.wsgi_input = NOTHING
        self._head = b""
        self.is_11 = True

    cdef early_hints(self):
        """Return the function with which the application sends early hints."""
        raise NotImplementedError

    def read_request(self):
        """Read a head, and prepare for the answer. Returns whether there was one (bool). Switches.

        Raises Refused for a head that is malformed or not allowed, OSError if the connection fails.
        """
        cdef Stream stream = self.stream
        cdef HeadParser parser = self.parser
        cdef bytes data = stream.data
        cdef Py_ssize_t position = stream.position
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        cdef const char *start
        cdef const char *end
        cdef bint keep_alive
        cdef dict values
        if position >= size:
            self.idle_since = monotonic()
            self.idle = True
            if self.began is None and self.is_draining():
                self.server.close_soon(self)  # the last answer began before the server did: it did not say "close"
            data = stream.receive(self.limits.idle_timeout if self.began is None else self.limits.header_timeout)
            self.idle = False
            position, size = 0, PyBytes_GET_SIZE(data)
            if size == 0:
                return False
        environ = self.server.environ.copy()
        if not isinstance(environ, dict):
            raise TypeError(f"the environments of a WSGI server must be dictionaries, not {type(environ).__name__}")
        values = <dict> environ
        parser.environ = environ
        parser.complete = parser.upgrade = False
        start = PyBytes_AS_STRING(data) + position
        end = memmem(start, size - position, b"\r\n\r\n", 4)
        if end != NULL and start[0] not in b"\r\n":
            stream.position = position + (end - start) + 4
            self._head = data if stream.position - position == size else data[position : stream.position]
            parser.feed(self._head)
        else:
            whole = self.head_in_pieces()
            if whole is None:
                return False
            self._head = whole
        if not parser.complete:
            raise Refused(BAD_REQUEST, "the head is malformed")
        self.began = None
        if PyBytes_GET_SIZE(self._head) > self.unchecked:
            check_sizes(self._head, self.limits)
        self.is_11, keep_alive, length = complete_environ(self._head, environ, self.script_name, self.limits)
        self.upgrade = parser.upgrade
        self.close_connection = not keep_alive
        values["REMOTE_ADDR"], values["REMOTE_PORT"] = self._address
        if self.forwarded_from is not None:
            apply_forwarded(environ, self.client_address, self.forwarded_from)
        if "HTTP_UPGRADE" in values:
            self.read_upgrade(environ, length)
        values["greenio.client"] = self.client
        values["wsgi.early_hints"] = self.early_hints()
        if length:
            self.expect_body(environ, length)
        else:
            values["wsgi.input"] = self.wsgi_input = NOTHING
            if "HTTP_EXPECT" in values:
                self.check_expectation(environ)
        self.environ = environ
        return True

    cdef bytes head_in_pieces(self):
        """Read a head that has not come whole, or has an empty line before it: the rare case. None at the end."""
        cdef Stream stream = self.stream
        cdef HeadParser parser = self.parser
        cdef Py_ssize_t fed = 0, end, stop
        limits = self.limits
        began = monotonic() if self.began is None else self.began
        buffer = bytearray(stream.take(len(stream.data)))
        self._head = bytes(buffer[:1024])  # for the log, if this request is refused
        skipped = False
        while True:
            if not fed:
                if not skipped and buffer.startswith(b"\r\n"):
                    del buffer[:2]
                    skipped = True
                if buffer and buffer[0] in b"\r\n" and (skipped or buffer != b"\r"):
                    raise Refused(BAD_REQUEST, "there is an empty line in front of the request")
            if buffer and buffer[0] != 13:
                end = buffer.find(END, max(0, fed - 3)) + 4
                stop = end if end > 3 else len(buffer)
                self._head = bytes(buffer[:stop]) if end > 3 else bytes(buffer[:1024])
                parser.feed(bytes(buffer[fed:stop]))
                fed = stop
                if end > 3:
                    stream.data, stream.position = bytes(buffer[stop:]), 0
                    return self._head
                if parser.complete:
                    raise Refused(BAD_REQUEST, "the head ends before its empty line")
                self.check_size(buffer)
            left = None if limits.header_timeout is None else limits.header_timeout - (monotonic() - began)
            if left is not None and left <= 0:
                raise Refused("408 Request Timeout", "the request comes too late")
            try:
                data = stream.receive(left)
            except TimeoutError:
                continue
            if not data:
                return None
            stream.take(len(data))
            buffer += data

    cdef int check_size(self, bytearray buffer) except -1:
        limits = self.limits
        line = buffer.find(b"\r\n", 0, limits.max_request_line + 2)
        if line < 0:
            if len(buffer) > limits.max_request_line + 1:
                raise Refused("414 URI Too Long", "the request line is too long")
        elif len(buffer) - line > limits.max_header_bytes:
            raise Refused("431 Request Header Fields Too Large", "the fields are too large")
        return 0

    cdef int expect_body(self, environ, length) except -1:
        self.parser.skip(length)
        awaits_continue = "HTTP_EXPECT" in environ and self.check_expectation(environ)
        environ["wsgi.input"] = self.wsgi_input = Input(self.stream, self.limits, length, awaits_continue)
        return 0

    cdef int read_upgrade(self, environ, length) except -1:
        """Prepare for a request for another protocol."""
        if is_websocket_request(environ):
            check_websocket_request(environ, self.is_11, length, self.server.origins)
            if self.is_draining():
                raise Refused("503 Service Unavailable", "the server ends")
            # Imported here, because most servers get no such request.
            from greenio._websocket.serving import Upgrade

            self.websocket_upgrade = Upgrade(self, environ)
        return 0

    cdef bint check_expectation(self, environ) except -1:
        """Whether the client waits for "100 Continue". Raises Refused for any other expectation."""
        if not self.is_11:
            return False
        if environ["HTTP_EXPECT"].lower() != "100-continue":
            raise Refused("417 Expectation Failed", "the server knows no expectation but 100-continue")
        return True

    def end_reading(self):
        """Drop the objects that refer back to this one. Does not switch."""
        self.parser.forget()
        self.environ = {}

    # --- the request, for logs and subclasses ---

    @property
    def begins_with_method(self):
        """Whether the received data begins as a request does, with a method that may be unknown (bool)."""
        return is_method(self._head)

    @property
    def requestline(self):
        """The first line of the request (str)."""
        return self._head.partition(b"\r\n")[0].decode("latin-1")

    @property
    def command(self):
        """The request's method (str)."""
        return self.environ.get("REQUEST_METHOD")

    @property
    def path(self):
        """The request's target (str)."""
        target = self.environ.get("RAW_URI", "")
        return target

    @property
    def request_version(self):
        """ "HTTP/1.1" or "HTTP/1.0"."""
        return self.environ.get("SERVER_PROTOCOL")

    @property
    def content_length(self):
        """The request's Content-Length (str), or None."""
        return self.environ.get("CONTENT_LENGTH")

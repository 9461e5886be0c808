"""WSGIHandler serves one connection: it reads its requests and answers them, one after the other.

Theory
    The handler receives the head of a request, parses it and checks it. It calls the application, and sends the answer
    block by block. If the application has not read the whole body, the handler reads the rest. Then the connection is
    ready for the next request, or closed.

Rules
    1. After the answer to a refused request the connection closes. Requests behind it are not answered.
    2. The next request is not parsed before the answer to this one is sent.
    3. The iterable that an application returns is closed once, whatever happens.
    4. A crash of the application is reported once. The client learns only that there was an error.

What does not belong here: reading requests (reading.pyx), calling the application and writing its answers
(answering.pyx), the time that single reads and writes may take (stream.pyx).
"""

from __future__ import annotations

import errno
import time
import traceback
from datetime import datetime

from greenlet import GreenletExit, getcurrent

from greenio._servers.counts import DONE, REQUESTS, STATUS, STATUSES, TIMEOUTS
from greenio._wsgi.answering import Answers
from greenio._wsgi.client import GoneWatch
from greenio._wsgi.errors import BodyError, ClientGone, Refused, RequestTimeout
from greenio._wsgi.limits import LINGER, LINGER_AT_END
from greenio._wsgi.log import printable
from greenio._wsgi.parser import BAD_REQUEST
from greenio.timeout import Timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from greenio.socket import socket

__all__ = ["WSGIHandler"]

_FAILED = "The server could not answer the request."


class WSGIHandler(Answers):
    """Serves one connection. A subclass, as WSGIServer's `handler_class`, may override any method.

    `socket`, `client_address`, `server`: of the connection. `environ`, `status`, `code`, `response_headers`,
    `response_length`, `headers_sent`, `close_connection`, `time_start`, `time_finish`: of the request that is being
    answered, or was answered last. Times are in seconds since 1970 (float).
    """

    # gevent's names, for programs that read them. Changing them changes nothing: no error of a connection is reported.
    ignored_socket_errors: tuple[int, ...] = (errno.EPIPE, errno.ECONNRESET)
    protocol_version = "HTTP/1.1"
    ApplicationError = AssertionError

    time_start = 0.0
    time_finish = 0.0

    #: Whether the last answer was sent, and the rest of the client's data is being read so that the answer arrives.
    lingers = False
    _lingers = False  # whether the connection has to linger after this request
    _was_late = False  # whether a limit in seconds has ended the request
    _watch: GoneWatch | None = None
    _timeout: Timeout | None = None

    def __init__(self, sock: socket, address: Any, server: Any, rfile: Any = None) -> None:
        super().__init__(sock, address, server)
        self._numbers = server._numbers  # the counters of a worker process, or None

    # --- the connection ---

    def handle(self) -> None:
        """Answer the requests of the connection until its end. The caller closes the socket. Switches."""
        try:
            while self.handle_one_request():
                pass
        finally:
            # Breaks the cycles of references through this object.
            self.end_reading()
            self.result = None
            if self.is_open_ended and (self.is_cut or self._failed):
                self.stream.reset()
            elif self._lingers or (not self._failed and self.stream.has_more()):
                self.lingers = True
                self.stream.linger(LINGER_AT_END if self.server.draining else LINGER)

    def handle_one_request(self) -> bool:
        """Read one request and answer it. Returns whether the connection goes on (bool). Switches."""
        try:
            if not self.read_request():
                return False
        except Refused as refused:
            self._refuse(refused)
            return False
        except OSError:
            return False  # the connection has failed, or the client has sent nothing for too long
        numbers = self._numbers
        if numbers is None:
            self.handle_one_response()
        else:
            self._count_response(numbers)
        return not self.close_connection

    def _count_response(self, numbers):
        """Call handle_one_response(), and count it for the supervisor."""
        numbers[REQUESTS] += 1
        self._was_late = False
        try:
            self.handle_one_response()
        finally:
            numbers = self.server._numbers  # another memory, if the application has forked and this is the child
            numbers[DONE] += 1
            if self._was_late or (self.headers_sent and self.code == 408):
                numbers[TIMEOUTS] += 1
            if self.headers_sent:
                self._count_status(numbers)

    def _count_status(self, numbers):
        if self.code is not None and self.code in STATUSES:
            numbers[STATUS + self.code] += 1

    # --- requests that are refused ---

    def _refuse(self, refused):
        """Answer a request that does not reach the application."""
        status = refused.status
        if status.startswith("501") and not self.begins_with_method:
            status = BAD_REQUEST
        self.time_start = time.time()
        self._answer_error(status, refused.reason, refused.fields)
        self._lingers = not self._failed
        self.time_finish = time.time()
        numbers = self._numbers
        if numbers is not None:
            numbers[REQUESTS] += 1
            numbers[DONE] += 1
            numbers[TIMEOUTS] += status.startswith("408")
            self._count_status(numbers)
        if self.server.log is not None:
            self.log_request()

    # --- answering ---

    def begin_watches(self) -> None:
        """Start the time limit of the request, and the watch on its client. Does not switch."""
        if self.server.limits.request_timeout is not None:
            self._start_timeout()
        if self.server.cancel_when_gone:
            self._watch = GoneWatch(self.client, self.socket.fileno(), getcurrent())

    def end_application(self) -> None:
        """End the watch, close what the application has returned, and end the time limit. Switches if close() does."""
        self._end_watch()
        try:
            if type(self.result) is not list:
                self._close_result()
        finally:
            self._end_timeout()

    def _start_timeout(self):
        self._timeout = Timeout.start_new(self.server.limits.request_timeout, RequestTimeout)

    def _end_watch(self):
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    def _end_timeout(self):
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None

    # --- connections that are taken over ---

    def take_over(self) -> None:
        """Give the connection to a WebSocket. No more HTTP is sent, and the connection closes after it.

        Does not switch.
        """
        self._end_watch()
        self._end_timeout()
        super().take_over()

    def linger_at_end(self, lingers: bool) -> None:
        """Set whether the connection is read for a while after its end, so that the last message arrives (bool)."""
        self._lingers = lingers and not self._failed

    def end_upgrade(self, error: BaseException | None) -> BaseException | None:
        """End a WebSocket whose application has returned, or raised `error`. Switches.

        Returns the error that must be reported, or None.
        """
        upgrade, self.websocket_upgrade = self.websocket_upgrade, None
        return upgrade.end(error)

    def _close_result(self):
        result, self.result = self.result, None
        close = getattr(result, "close", None)
        if close is None:
            return
        if self._timeout is not None and not self._timeout.pending:
            # The time limit has ended the application. close() may take the same time again.
            self._start_timeout()
        try:
            close()
        except RequestTimeout:
            # The answer is complete, or its error is reported already. So this becomes a line in the log only.
            self.close_connection = True
            self.log_error("close() of the application's result took too long, and was interrupted")

    def end_body(self, body: Any) -> None:
        """Read the part of the body that the application has not read, or have the connection closed. Switches."""
        if body.failure is not None:
            self.close_connection = True
            if not self.headers_sent and not self._failed:
                self._answer_error(body.failure.status, body.failure.reason)
            self._lingers = not self._failed
        elif not body.drain():
            self.close_connection = True
            self._lingers = not self._failed
        body.end()

    # --- failures ---

    def request_failed(self, error: BaseException) -> None:
        """Handle an error of the application, or of sending its answer. Switches."""
        if self.websocket_upgrade is not None:
            error = self.end_upgrade(error)  # type: ignore[assignment]
        if error is not None:
            self._application_failed(error)

    def _application_failed(self, error):
        self._was_late = isinstance(error, RequestTimeout) or (self._failed and isinstance(error, TimeoutError))
        if self._failed or isinstance(error, ClientGone):
            # The client cannot be reached any more.
            self._failed = True
            if isinstance(error, (OSError, ClientGone, RequestTimeout)):
                return
        elif isinstance(error, BodyError) and self.wsgi_input.failure is not None:
            return  # end_body() answers
        elif isinstance(error, RequestTimeout):
            if not self.headers_sent:
                self._answer_error("503 Service Unavailable", "The answer takes too long.")
            return
        if isinstance(error, GreenletExit):
            raise error
        self.handle_error(type(error), error, error.__traceback__)
        if not isinstance(error, (Exception, Timeout, SystemExit)):  # sys.exit() ends the request only
            raise error

    def handle_error(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Report an error of the application, and answer with status 500 if no answer has begun. Switches."""
        lines = "".join(traceback.format_exception(kind, value, trace))
        self.server.write_error(f"{self._describe_request()}\n{lines}")
        if not self.headers_sent and not self._failed:
            self._answer_error("500 Internal Server Error", lines if self.server.debug else _FAILED)

    def log_error(self, message: str, *args: object) -> None:
        """Write a line to the server's error log. ``message % args`` is its text."""
        text = message % args if args else message
        self.server.write_error(f"{self._describe_request()}: {text}\n")

    def _describe_request(self):
        return f"{self.client_address!r}, {self.requestline!r}"

    # --- the access log ---

    def log_request(self) -> None:
        """Write the request to the access log."""
        self.server.write_access(self)

    def format_request(self) -> str:
        """Return the request as a line of the access log in gevent's format (str)."""
        now = datetime.now().replace(microsecond=0)
        address = self.client_address
        host = printable(str(address[0] if isinstance(address, tuple) else address or "-"))
        took = f"{self.time_finish - self.time_start:.6f}" if self.time_finish else "-"
        line, code, length = printable(self.requestline), self.code or "-", self.response_length or "-"
        return f'{host} - - [{now}] "{line}" {code} {length} {took}'

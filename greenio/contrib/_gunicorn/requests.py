"""Requests and answers of greenio.wsgi in the form of gunicorn's hooks and logs, and the handlers that call the hooks.

What does not belong here: the meaning of settings (settings.py).

Methods that wait say that they switch; the others do not switch.
"""

from __future__ import annotations

from greenio._wsgi.errors import Refused
from greenio._wsgi.parser import BAD_REQUEST
from greenio.wsgi import WSGIHandler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Answer", "CountingHandler", "Handler", "Request"]

_UNKNOWN = {"REQUEST_METHOD": "-", "RAW_URI": "-", "SERVER_PROTOCOL": "-"}


class Request:
    """A request for gunicorn's hooks. Its attributes are named as those of gunicorn's own requests."""

    def __init__(self, environ: dict[str, Any], peer: Any) -> None:
        self.method: str = environ.get("REQUEST_METHOD", "-")
        self.uri: str = environ.get("RAW_URI", "-")
        self.path: str = environ.get("PATH_INFO", "")
        self.query: str = environ.get("QUERY_STRING", "")
        self.fragment = ""
        self.scheme: str = environ.get("wsgi.url_scheme", "http")
        self.version = (1, 0) if environ.get("SERVER_PROTOCOL") == "HTTP/1.0" else (1, 1)
        self.peer_addr = self.remote_addr = peer
        self.body: Any = environ.get("wsgi.input")
        self.headers: list[tuple[str, str]] = [
            (key[5:].replace("_", "-"), value) for key, value in environ.items() if key.startswith("HTTP_")
        ]
        for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            if key in environ:
                self.headers.append((key.replace("_", "-"), environ[key]))


class Answer:
    """An answer for gunicorn's hooks and logs. Its attributes are named as those of gunicorn's own responses."""

    def __init__(self, handler: WSGIHandler, request: Request | None = None) -> None:
        # A request that was refused may lack some of these.
        known = {**_UNKNOWN, "REMOTE_ADDR": handler._address[0] or "-"}
        self.environ: dict[str, Any] = {**known, **handler.environ}
        self.request = request if request is not None else Request(self.environ, handler.client_address)
        self.status: str = handler.status or f"{handler.code or 500}"
        self.status_code: int = handler.code or 500
        self.headers: list[tuple[str, str]] = handler.response_headers
        self.headers_sent: bool = handler.headers_sent
        self.sent = self.response_length = handler.response_length


class Handler(WSGIHandler):
    """Serves a connection, with gunicorn's settings."""

    def read_request(self) -> bool:
        """As in the base class, with gunicorn's settings for requests. Switches."""
        if not super().read_request():
            return False
        policy = self.server.policy
        if len(self._head) > policy.field_size:
            self._check_fields(policy.field_size)
        if policy.closes:
            self.close_connection = True
        environ = self.environ
        for key in policy.scheme_keys:
            if key in environ:
                self._set_scheme(policy)
                break
        return True

    def _set_scheme(self, policy):
        try:
            scheme = policy.scheme(self.environ, self.client_address)
        except ValueError as error:
            raise Refused(BAD_REQUEST, str(error)) from None
        if scheme is not None:
            self.environ["wsgi.url_scheme"] = scheme

    def _check_fields(self, size):
        if any(len(field) > size for field in self._head.split(b"\r\n")[1:]):
            raise Refused("431 Request Header Fields Too Large", "a field is too large")


class CountingHandler(Handler):
    """A Handler that counts requests, and calls gunicorn's hooks before and after them."""

    def run_application(self) -> None:
        """Call the application and send the result, between gunicorn's hooks. Switches."""
        worker, hooks = self.server.worker, self.server.hooks
        worker.has_begun()
        if hooks.pre_request is None and hooks.post_request is None:
            super().run_application()
            return
        request = Request(self.environ, self.client_address)
        try:
            if hooks.pre_request is not None:
                hooks.pre_request(worker, request)
            super().run_application()
        finally:
            if hooks.post_request is not None:
                self._call_post_request(hooks.post_request, request)

    def _call_post_request(self, hook, request):
        try:
            hook(self.server.worker, request, self.environ, Answer(self, request))
        except Exception:
            self.server.worker.log.exception("Exception in post_request hook")

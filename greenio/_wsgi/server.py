"""WSGIServer: serves a WSGI application over HTTP/1.1 and 1.0.

What does not belong here: connections (handler.py), the command line (command.py).
"""

from __future__ import annotations

import contextlib
import os
import socket as _standard
import sys
from time import monotonic

import hub

from greenio._websocket.request import Origins
from greenio._wsgi.environ import SecureEnviron, WSGISecureEnviron
from greenio._wsgi.files import FileWrapper
from greenio._wsgi.handler import WSGIHandler
from greenio._wsgi.limits import LINGER_AT_END, NEXT_REQUEST, Limits
from greenio._wsgi.log import formatter_of
from greenio._wsgi.networks import Networks
from greenio._wsgi.parser import need_httptools
from greenio._wsgi.proxy_protocol import ProxyProtocolError, read_client
from greenio.greenlet import Greenlet
from greenio.server import StreamServer

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, ClassVar

    from greenio._servers.addresses import Address
    from greenio.baseserver import Listener, Spawn
    from greenio.socket import socket

    Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

__all__ = ["LoggingLogAdapter", "WSGIServer"]

# The keys that each request sets in its environment. A copied dictionary that has them already need not grow.
_REQUEST_KEYS = (
    "PATH_INFO", "QUERY_STRING", "RAW_URI", "REMOTE_ADDR", "REMOTE_PORT", "REQUEST_METHOD", "REQUEST_URI",
    "SERVER_PROTOCOL", "greenio.client", "wsgi.early_hints", "wsgi.input",
)  # fmt: skip
# Levels of the module logging, which is not imported here because it takes long.
_INFO, _ERROR = 20, 40


class LoggingLogAdapter:
    """A file whose lines go to a logger of the standard library.

    `logger`: a logging.Logger. `level`: the level of the records (int; 20 is logging.INFO). All other attributes are
    the logger's.
    """

    __slots__ = ("_level", "_logger")

    def __init__(self, logger: logging.Logger, level: int = 20) -> None:
        self._logger = logger
        self._level = level

    def write(self, message: str) -> None:
        """Log a line."""
        if message and message != "\n":
            self._logger.log(self._level, "%s", message.rstrip("\n"))

    def flush(self) -> None:
        """Does nothing: each line is logged at once."""

    def writelines(self, lines: Iterable[str]) -> None:
        """Log several lines."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._logger, name)


class WSGIServer(StreamServer):
    """Serves a WSGI application over HTTP/1.1 and 1.0, each connection in a greenlet of its own.

    `listener`, `backlog`, `spawn`, and arguments that are not named here: as in StreamServer.
    `application`: ``application(environ, start_response)`` (PEP 3333).
    `log`: the access log: a file, a logging.Logger, or None for none; by default, sys.stderr.
    `error_log`: the same for errors of the application; also `environ["wsgi.errors"]`.
    `handler_class`: a subclass of WSGIHandler. `environ`: items that are added to each environment (dict).
    `script_name`: the path at which the application is mounted (str); by default the process's variable SCRIPT_NAME.
    `access_log_format`: the lines of the access log: a text with gunicorn's atoms, "json", or a callable that is called
    with a dict and returns a line or None; by default, gevent's line.
    `forwarded_from`: proxies whose X-Forwarded-For, -Proto and -Host are trusted: addresses and networks, "unix" for
    peers on Unix sockets, "*" for all. `proxy_protocol`: the same for load balancers that speak the PROXY protocol.
    `origins`: the sites whose pages may open a WebSocket, such as "https://example.com", besides this server's own
    site; "*" for all. `websocket_compression`: whether messages are compressed for clients that offer it (bool).
    `cancel_when_gone`: whether ClientGone is thrown into an application that waits, when its client has gone (bool).
    `debug`: whether the pages for errors show a traceback (bool).
    Limits, such as `header_timeout` and `max_body`, are arguments too. `limits` has all of them as attributes.
    """

    handler_class: type[WSGIHandler] = WSGIHandler
    environ_class: type[dict[str, Any]] | None = None
    #: Whether environments are of `secure_environ_class`, whose repr() hides most of the contents. Otherwise they are
    #: of `environ_class`; by default they are plain dictionaries, as PEP 3333 demands.
    secure_environ: bool = False
    secure_environ_class: ClassVar[type[SecureEnviron]] = WSGISecureEnviron
    base_env: ClassVar[Mapping[str, Any]] = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_SOFTWARE": f"greenio/{hub.__version__} Python/{sys.version_info[0]}.{sys.version_info[1]}",
        "SCRIPT_NAME": "",
        "wsgi.version": (1, 0),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        "wsgi.file_wrapper": FileWrapper,
    }

    def __init__(
        self,
        listener: Address | Listener,
        application: Application | None = None,
        backlog: int | None = None,
        spawn: Spawn = "default",
        log: Any = "default",
        error_log: Any = "default",
        handler_class: type[WSGIHandler] | None = None,
        environ: Mapping[str, Any] | None = None,
        *,
        access_log_format: Any = None,
        script_name: str | None = None,
        forwarded_from: str | Iterable[str] | None = None,
        proxy_protocol: str | Iterable[str] | None = None,
        cancel_when_gone: bool = False,
        origins: str | Iterable[str] | None = None,
        websocket_compression: bool = False,
        debug: bool = False,
        **others: Any,
    ) -> None:
        limits = {name: others.pop(name) for name in Limits.names if name in others}
        self.limits = Limits(**limits)
        StreamServer.__init__(self, listener, backlog=backlog, spawn=spawn, **others)
        if application is not None:
            self.application = application
        if not callable(getattr(self, "application", None)):
            raise TypeError(
                f"a WSGI server needs a callable, application(environ, start_response), not {application!r}"
            )
        if handler_class is not None:
            self.handler_class = handler_class
        if not (isinstance(self.handler_class, type) and issubclass(self.handler_class, WSGIHandler)):
            raise TypeError(f"handler_class must be a subclass of greenio.wsgi.WSGIHandler, not {self.handler_class!r}")
        self.cancel_when_gone = cancel_when_gone
        self.origins = Origins(origins)
        self.websocket_compression = websocket_compression
        self.debug = debug
        script_name = os.environ.get("SCRIPT_NAME", "") if script_name is None else script_name
        if not isinstance(script_name, str):
            raise TypeError(f"script_name must be a path (str), not {script_name!r}")
        self.script_name = script_name.rstrip("/")
        if self.script_name and not self.script_name.startswith("/"):
            raise ValueError(f"script_name must begin with a slash: {script_name!r}")
        self.forwarded_from = None if forwarded_from is None else Networks(forwarded_from)
        self.proxy_protocol = None if proxy_protocol is None else Networks(proxy_protocol)
        self._format = None if access_log_format is None else formatter_of(access_log_format)
        self.log = _as_log(log, _INFO)
        self.error_log = _as_log(error_log, _ERROR)
        self._connections: set[WSGIHandler] = set()
        self._to_close: list[Greenlet] = []  # they close connections a little later, when the server ends
        self.set_environ(environ)

    application: Application

    # --- the environment ---

    def set_environ(self, environ: Mapping[str, Any] | None = None) -> None:
        """Set the items that are added to each environment. Raises TypeError. Does not switch."""
        kind = self.environ_class
        if kind is None:
            kind = self.secure_environ_class if self.secure_environ else dict
        if not (isinstance(kind, type) and issubclass(kind, dict)):
            raise TypeError(f"the environments of a WSGI server must be dictionaries, not {kind!r}")
        self.environ = kind(self.base_env)
        self.environ["SCRIPT_NAME"] = self.script_name
        self.environ["wsgi.errors"] = sys.stderr if self.error_log is None else self.error_log
        self.environ["wsgi.url_scheme"] = "https" if self.ssl_enabled else "http"
        for name in _REQUEST_KEYS:
            self.environ[name] = None
        if environ is not None:
            if not hasattr(environ, "keys"):
                raise TypeError(f"environ must be a dictionary, not {environ!r}")
            self.environ.update(environ)

    def get_environ(self) -> dict[str, Any]:
        """Return a new environment with the items that all requests have (dict)."""
        return self.environ.copy()

    def update_environ(self) -> None:
        """Put the server's own name and port into the environments. Called by start()."""
        address = self.address
        if isinstance(address, tuple):
            host, port = address[:2]
            if host in ("", "0.0.0.0", "::"):
                host = _standard.gethostname()
        else:
            host, port = "localhost", 443 if self.environ["wsgi.url_scheme"] == "https" else 80
        self.environ.setdefault("SERVER_NAME", str(host))
        self.environ.setdefault("SERVER_PORT", str(port))

    def describe_client(self, address: Any) -> tuple[str, str]:
        """Return REMOTE_ADDR and REMOTE_PORT for a client's address (pair of str); empty for Unix sockets."""
        return (address[0], str(address[1])) if isinstance(address, tuple) and len(address) > 1 else ("", "")

    # --- serving ---

    def init_socket(self) -> None:
        """Make the listening socket, unless there is one. Called by start(). Switches as that does.

        Raises ImportError, which says what to install, if httptools is missing.
        """
        need_httptools()
        super().init_socket()
        if self.socket is not None and self.socket.family in (_standard.AF_INET, _standard.AF_INET6):
            # Connections inherit the option from their listener.
            with contextlib.suppress(OSError):
                self.socket.setsockopt(_standard.IPPROTO_TCP, _standard.TCP_NODELAY, 1)
        self.update_environ()

    def wrap_socket_and_handle(self, client_socket: socket, address: Any) -> None:
        """Make the TLS handshake with a client, serve its connection, and end it. Switches."""
        if self.proxy_protocol is not None and self.proxy_protocol.has_peer(address):
            try:
                address = read_client(client_socket, address, self.handshake_timeout)
            except (ProxyProtocolError, OSError):
                return
        super().wrap_socket_and_handle(client_socket, address)

    def handle(self, sock: socket, address: Any) -> None:
        """Serve one connection. Switches."""
        if self.ssl_context is None and self.proxy_protocol is not None and self.proxy_protocol.has_peer(address):
            try:
                address = read_client(sock, address, self.limits.header_timeout)
            except (ProxyProtocolError, OSError):
                return
        handler = self.handler_class(sock, address, self)
        self._connections.add(handler)
        try:
            handler.handle()
        finally:
            self._connections.discard(handler)

    def close_idle(self) -> None:
        """Close the connections that wait for a request, and tell WebSockets that the server ends. Does not switch."""
        for handler in list(self._connections):
            if handler.idle and (handler.began is not None or monotonic() - handler.idle_since < NEXT_REQUEST):
                # The client may be about to send a request, which would fail. After its answer the connection closes.
                self.close_soon(handler)
            elif handler.idle:
                self._close_if_idle(handler)
            elif handler.lingers:
                # If it were closed at once, the client's data would be answered with a reset, which loses the answer.
                self._to_close.append(Greenlet.spawn_later(LINGER_AT_END, handler.socket.close))
            elif handler.websocket_upgrade is not None:
                Greenlet.spawn(handler.websocket_upgrade.go_away)

    def close_soon(self, handler: WSGIHandler) -> None:
        """Close a connection that waits for a request, unless one comes within a second. Does not switch."""
        self._to_close.append(Greenlet.spawn_later(NEXT_REQUEST, self._close_if_idle, handler))

    def _kill_handlers(self, run):
        while self._to_close:
            self._to_close.pop().kill(block=False)
        return super()._kill_handlers(run)

    def _close_if_idle(self, handler: WSGIHandler) -> None:
        if handler.idle and handler in self._connections and not handler.stream.has_more():
            handler.socket.close()

    def _become_worker(self, sock: socket, shared: bool, numbers: memoryview) -> None:
        super()._become_worker(sock, shared, numbers)
        self.environ["wsgi.multiprocess"] = True

    def set_max_accept(self) -> None:
        """Accept one client at a turn, if `environ` says that other processes serve too. Does not switch.

        gevent's: the workers of serve_forever(workers=) do so by themselves.
        """
        if self.environ.get("wsgi.multiprocess"):
            self.max_accept = 1

    # --- logs ---

    _log_has_failed = False

    def write_access(self, handler: WSGIHandler) -> None:
        """Write a request to the access log. Switches if the log does."""
        if self.log is not None:
            try:
                line = handler.format_request() if self._format is None else self._format(handler)
                if line is not None:
                    _write(self.log, f"{line}\n")
            except OSError:
                pass
            except Exception as error:
                # Reported once: a failing log does not concern clients, and would be reported for each request.
                if not self._log_has_failed:
                    self._log_has_failed = True
                    hub.get_hub().report((self, "the access log"), error)

    def write_error(self, text: str) -> None:
        """Write a text to the error log. Switches if the log does."""
        if self.error_log is not None:
            with contextlib.suppress(OSError, ValueError):
                _write(self.error_log, text)
                self.error_log.flush()


def _as_log(log, level):
    if isinstance(log, str) and log == "default":
        return sys.stderr
    # A program that passes a Logger has imported its module.
    logging = sys.modules.get("logging")
    if logging is not None and isinstance(log, logging.Logger):
        return LoggingLogAdapter(log, level)
    if log is not None and not callable(getattr(log, "write", None)):
        raise TypeError(f"a log is a file, a logging.Logger, or None, not {log!r}")
    return log


def _write(log, text):
    try:
        log.write(text)
    except UnicodeEncodeError as error:
        # The file's encoding cannot represent all characters that clients send.
        log.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding))

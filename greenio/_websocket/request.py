"""Checking a client's request for a WebSocket (RFC 6455, 4.2), and the site whose page has sent it.

Rules
    1. A request that is not quite right is refused before the application is called.
    2. A browser lets a page of any site connect to any server, with the user's cookies for that server. It names the
       site in the field Origin. That must be the server's own site, or one that the server allows.

What does not belong here: negotiating subprotocols and extensions (serving.py).
"""

from __future__ import annotations

import binascii
from base64 import b64decode

from greenio._wsgi.errors import Refused
from greenio._wsgi.parser import BAD_REQUEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["ANY_ORIGIN", "Origins", "check_websocket_request", "is_websocket_request"]

ANY_ORIGIN = "*"
_VERSION = "13"
_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443"}


def is_websocket_request(environ: dict[str, Any]) -> bool:
    """Whether a request that has the field Upgrade asks for a WebSocket (bool)."""
    return _has(environ["HTTP_UPGRADE"], "websocket") and _has(environ.get("HTTP_CONNECTION", ""), "upgrade")


def _has(value, token):
    return token in [each.strip(" \t") for each in value.lower().split(",")]


def check_websocket_request(environ: dict[str, Any], is_11: bool, length: int, origins: Origins) -> None:
    """Raise Refused if a request for a WebSocket is wrong, or comes from a site that is not allowed.

    `is_11`: whether it is HTTP/1.1. `length`: the length of its body.
    """
    if environ["REQUEST_METHOD"] != "GET":
        raise Refused(BAD_REQUEST, "a request for a WebSocket must use GET")
    if not is_11:
        raise Refused(BAD_REQUEST, "a WebSocket needs HTTP/1.1")
    if length:
        raise Refused(BAD_REQUEST, "a request for a WebSocket must not have a body")
    if environ.get("HTTP_SEC_WEBSOCKET_VERSION") != _VERSION:
        fields = f"Upgrade: websocket\r\nSec-WebSocket-Version: {_VERSION}\r\n"
        raise Refused("426 Upgrade Required", f"the version of WebSocket must be {_VERSION}", fields)
    try:
        key = b64decode(environ.get("HTTP_SEC_WEBSOCKET_KEY", "").encode("latin-1"), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != 16:
        raise Refused(BAD_REQUEST, "the Sec-WebSocket-Key must have 16 bytes")
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and not origins.allow(origin, environ["HTTP_HOST"]):
        raise Refused("403 Forbidden", "pages of this origin may not connect")


class Origins:
    """The sites whose pages may connect. `origins`: see WSGIServer. Raises TypeError or ValueError."""

    __slots__ = ("_any", "_others")

    def __init__(self, origins: str | Iterable[str] | None) -> None:
        if origins is None or isinstance(origins, str):
            names: list[Any] = [] if origins is None else [origins]
        else:
            names = list(origins) if hasattr(origins, "__iter__") else [origins]
        self._any = ANY_ORIGIN in names
        self._others = set()
        for name in names:
            if not isinstance(name, str):
                raise TypeError(f"an origin is a text such as 'https://example.com', not {name!r}")
            if name not in (ANY_ORIGIN, "null") and not _parts(name):
                raise ValueError(f"an origin is a scheme and a host, such as 'https://example.com', not {name!r}")
            self._others.add(_plain(name))

    def allow(self, origin: str, host: str) -> bool:
        """Whether a page of `origin` may connect to `host` (bool). Both are values of a request's fields (str)."""
        if self._any or _plain(origin) in self._others:
            return True
        parts = _parts(origin)
        if parts is None:
            return False
        scheme, own = parts
        return _without_port(own, scheme) == _without_port(host.lower(), scheme)


def _parts(origin):
    """Return ``(scheme, host)`` of an origin, or None if it is malformed."""
    scheme, mark, host = origin.lower().partition("://")
    return (scheme, host) if mark and scheme and host and not set(host) & set("/?#@ ,") else None


def _plain(origin):
    parts = _parts(origin)
    return origin if parts is None else f"{parts[0]}://{_without_port(parts[1], parts[0])}"


def _without_port(host, scheme):
    """Return a host without its port, if that is the default of the scheme."""
    port = _PORTS.get(scheme)
    return host[: -len(port) - 1] if port is not None and host.endswith(f":{port}") else host

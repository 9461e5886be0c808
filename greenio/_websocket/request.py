"""A request for a WebSocket: whether it is one that can be granted (RFC 6455, 4.2), and from which site.

Rules
    1. A request that is not quite right is refused, before the application is called.
    2. A browser lets any site connect anywhere, with the user's cookies, and says which site it is: Origin. Unless the
       server names others, that must be the site that is connected to.

What does not belong here: what is negotiated (serving.py).
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

__all__ = ["ANY_ORIGIN", "Origins", "check", "is_asked_for"]

ANY_ORIGIN = "*"
_VERSION = "13"
_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443"}


def is_asked_for(environ: dict[str, Any]) -> bool:
    """Whether a request with the field Upgrade asks for a WebSocket."""
    return _has(environ["HTTP_UPGRADE"], "websocket") and _has(environ.get("HTTP_CONNECTION", ""), "upgrade")


def _has(value, token):
    return token in [each.strip(" \t") for each in value.lower().split(",")]


def check(environ: dict[str, Any], is_11: bool, length: int, origins: Origins) -> None:
    """Raise Refused if a request for a WebSocket cannot be granted. `length`: of its body."""
    if environ["REQUEST_METHOD"] != "GET":
        raise Refused(BAD_REQUEST, "a WebSocket is asked for with GET")
    if not is_11:
        raise Refused(BAD_REQUEST, "a WebSocket needs HTTP/1.1")
    if length:
        raise Refused(BAD_REQUEST, "a request for a WebSocket has no body")
    if environ.get("HTTP_SEC_WEBSOCKET_VERSION") != _VERSION:
        fields = f"Upgrade: websocket\r\nSec-WebSocket-Version: {_VERSION}\r\n"
        raise Refused("426 Upgrade Required", f"the version of WebSocket must be {_VERSION}", fields)
    try:
        key = b64decode(environ.get("HTTP_SEC_WEBSOCKET_KEY", "").encode("latin-1"), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != 16:
        raise Refused(BAD_REQUEST, "the Sec-WebSocket-Key is not of 16 bytes")
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and not origins.allow(origin, environ["HTTP_HOST"]):
        raise Refused("403 Forbidden", "pages of this origin may not connect")


class Origins:
    """Which sites' pages may connect. `origins`: see WSGIServer. Raises TypeError or ValueError."""

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
        """Whether a page of `origin` may connect to `host`, as the fields of a request say (bool)."""
        if self._any or _plain(origin) in self._others:
            return True
        parts = _parts(origin)
        if parts is None:
            return False
        scheme, own = parts
        return _without_port(own, scheme) == _without_port(host.lower(), scheme)


def _parts(origin):
    """``(scheme, host)`` of an origin, or None."""
    scheme, mark, host = origin.lower().partition("://")
    return (scheme, host) if mark and scheme and host and not set(host) & set("/?#@ ,") else None


def _plain(origin):
    parts = _parts(origin)
    return origin if parts is None else f"{parts[0]}://{_without_port(parts[1], parts[0])}"


def _without_port(host, scheme):
    """A host without the port that its scheme has by default."""
    port = _PORTS.get(scheme)
    return host[: -len(port) - 1] if port is not None and host.endswith(f":{port}") else host

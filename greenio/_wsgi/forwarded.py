"""X-Forwarded-For, -Proto and -Host: what proxies say of the client, if they are believed.

Theory
    Each proxy adds the address that it was called from at the right. Read from there, the first that is not a proxy's
    which is believed is the client's: what stands left of it could have been written by the client itself.

Rules
    1. Nothing is believed unless the peer is one of `forwarded_from`.
    2. What is no address ends the search, and what is no scheme or host is left out.
"""

from __future__ import annotations

import ipaddress
import re

from greenio._wsgi.errors import Refused
from greenio._wsgi.networks import Networks
from greenio._wsgi.request import check_host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["believe"]

_IN_BRACKETS = re.compile(r"\[([^\[\]]*)\](?::([0-9]{1,5}))?")
_WITH_PORT = re.compile(r"([^\[\]:]*):([0-9]{1,5})")
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


def believe(environ: dict[str, Any], peer: Any, trusted: Networks) -> None:
    """Put what the proxies say into an environment, if the peer (the socket's address) is one of `trusted`."""
    if not trusted.has_peer(peer):
        return
    hops = 1  # how many proxies have spoken, from the client's side of the first that is believed to us
    found = None
    if "HTTP_X_FORWARDED_FOR" in environ:
        entries = environ["HTTP_X_FORWARDED_FOR"].split(",")
        for number, entry in enumerate(reversed(entries), 1):
            host = _host_of(entry.strip())
            if host is None:
                break
            found, hops = host, number
            if not trusted.has(host[0]):
                break
    if found is not None:
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = found
    scheme = _SCHEMES.get(_said(environ, "HTTP_X_FORWARDED_PROTO", hops).lower())
    if scheme is not None:
        environ["wsgi.url_scheme"] = scheme
    host = _said(environ, "HTTP_X_FORWARDED_HOST", hops)
    if host:
        try:
            check_host(host)
        except Refused:
            return
        environ["HTTP_HOST"] = host


def _said(environ, key, hops):
    """What the proxy that is so many from the right says; one value may stand for all."""
    values = [value.strip() for value in environ.get(key, "").split(",")]
    return values[-hops] if len(values) >= hops else values[0]


def _host_of(entry):
    """``(address, port)`` of an entry, the port "" if there is none; None if it is no address."""
    found = _IN_BRACKETS.fullmatch(entry) or _WITH_PORT.fullmatch(entry)
    host, port = (entry, None) if found is None else found.groups()
    if "%" in host:
        return None  # what stands behind it could be anything, and means nothing here
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    if (version == 4 and entry[0] == "[") or (port is not None and int(port) > 65535):
        return None
    return host, port or ""

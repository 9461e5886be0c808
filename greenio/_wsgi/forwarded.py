"""X-Forwarded-For, -Proto and -Host: the client's address, scheme and host as trusted proxies tell them.

Theory
    Each proxy appends the address of its own peer to X-Forwarded-For. Read from the right, the first address that is
    not a trusted proxy's is the client's. Entries to the left of it may have been written by the client itself.

Rules
    1. The fields are ignored unless the peer is one of `forwarded_from`.
    2. The search ends at an entry that is not an address. A value that is not a scheme or a host is ignored.
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

__all__ = ["apply_forwarded"]

_IN_BRACKETS = re.compile(r"\[([^\[\]]*)\](?::([0-9]{1,5}))?")
_WITH_PORT = re.compile(r"([^\[\]:]*):([0-9]{1,5})")
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


def apply_forwarded(environ: dict[str, Any], peer: Any, trusted: Networks) -> None:
    """Put the client's address, scheme and host into an environment, if the peer is one of the `trusted` proxies.

    `peer`: the address of the connection's peer, as the socket module has it. Does not switch.
    """
    if not trusted.has_peer(peer):
        return
    hops = 1  # the position of the client's entry, counted from the right
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
    scheme = _SCHEMES.get(_value_at(environ, "HTTP_X_FORWARDED_PROTO", hops).lower())
    if scheme is not None:
        environ["wsgi.url_scheme"] = scheme
    host = _value_at(environ, "HTTP_X_FORWARDED_HOST", hops)
    if host:
        try:
            check_host(host)
        except Refused:
            return
        environ["HTTP_HOST"] = host


def _value_at(environ, key, hops):
    """Return a field's value at a position from the right. A field with fewer values has its first one for all."""
    values = [value.strip() for value in environ.get(key, "").split(",")]
    return values[-hops] if len(values) >= hops else values[0]


def _host_of(entry):
    """Return ``(address, port)`` of an entry, with "" for no port; None if it is not an address."""
    found = _IN_BRACKETS.fullmatch(entry) or _WITH_PORT.fullmatch(entry)
    host, port = (entry, None) if found is None else found.groups()
    if "%" in host:
        return None  # the name of an interface on another machine, which could be any text
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    if (version == 4 and entry[0] == "[") or (port is not None and int(port) > 65535):
        return None
    return host, port or ""

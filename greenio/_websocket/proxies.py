"""Proxies: finding the one that the environment names, and connecting through one with CONNECT (RFC 9110, 9.3.6).

What does not belong here: the handshake with the server behind the proxy (client.py).
"""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import unquote, urlsplit

from greenio._websocket.errors import HandshakeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from greenio.socket import socket

__all__ = ["head_of_answer", "parts_of", "proxy_of", "tunnel"]

_MAX_ANSWER = 65536  # bytes
_FAMILIES = {True: ("wss", "https", "all"), False: ("ws", "http", "all")}


def proxy_of(is_secure: bool, host: str, port: int) -> str | None:
    """Return the proxy that the environment names for a host (`wss_proxy`, `https_proxy`, `no_proxy`, ...), or None."""
    from urllib.request import getproxies, proxy_bypass

    if proxy_bypass(f"{host}:{port}"):
        return None
    proxies = getproxies()
    return next((proxies[each] for each in _FAMILIES[is_secure] if each in proxies), None)


def parts_of(proxy: str) -> tuple[str, int, str]:
    """Return ``(host, port, fields)`` for a proxy's URL. Raises ValueError."""
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"a proxy is named like http://host:port, not {proxy!r}")
    fields = ""
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        fields = f"Proxy-Authorization: Basic {b64encode(credentials.encode()).decode()}\r\n"
    return parts.hostname, parts.port or 80, fields


def tunnel(sock: socket, fields: str, host: str, port: int) -> None:
    """Ask the proxy at the other end of a socket for a connection to a host. Switches.

    `fields`: further lines for the request (str). Raises HandshakeError if the proxy refuses, OSError if the
    connection fails.
    """
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    sock.sendall(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{fields}\r\n".encode("latin-1"))
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = sock.recv(_MAX_ANSWER)
        if not data or len(answer) > _MAX_ANSWER:
            raise HandshakeError("the proxy has not answered with HTTP")
        answer += data
    head, _, rest = answer.partition(b"\r\n\r\n")
    status, pairs = head_of_answer(head)
    if status is None:
        raise HandshakeError(f"the proxy has not answered with HTTP: {head[:100]!r}")
    if not 200 <= status < 300:
        first = head.partition(b"\r\n")[0].decode("latin-1")
        raise HandshakeError(f"the proxy has answered {first!r}", status, pairs, rest)
    if rest:
        raise HandshakeError("the proxy has sent data behind its answer")


def head_of_answer(head: bytes) -> tuple[int | None, list[tuple[str, str]]]:
    """Parse the head of an answer that refuses: ``(status, fields)``. The status is None if it is not HTTP."""
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, status = first.partition(" ")
    if not (version.startswith("HTTP/1.") and status.isascii() and status[:3].isdecimal() and len(status[:3]) == 3):
        return None, []
    fields = (line.partition(":") for line in lines if ":" in line)
    return int(status[:3]), [(name, value.strip(" \t")) for name, _, value in fields]

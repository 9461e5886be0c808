"""Limits: how much a client may send, and how long it may take. They are arguments of WSGIServer.

Each is on by default. None turns one off, and so does an infinite time; sizes are in bytes, times in seconds.

What does not belong here: what is done when one is passed. The files that do it are

    reading.pyx             header_timeout, idle_timeout; max_pipelined; how large a head may grow while it comes
    request.pyx             max_request_line, max_header_bytes, max_headers of a whole head; max_body of a told length
    body.pyx                body_timeout, min_body_rate, max_chunk_extensions, drain_body; max_body of chunks
    stream.pyx              write_timeout; LINGER, LINGER_PAUSE
    handler.py              request_timeout; LINGER_AT_END
    server.py               NEXT_REQUEST, and so does contrib/gunicorn.py
    _websocket/serving.py   those of WebSockets

What is answered then: the status comes with the exception, see errors.py.
"""

from __future__ import annotations

from greenio._servers.seconds import seconds_or_none

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "LINGER",
    "LINGER_AT_END",
    "LINGER_PAUSE",
    "NEXT_REQUEST",
    "Limits",
    "seconds_between",
    "seconds_limit",
    "size_limit",
]

#: Seconds for which a connection is read from after its last answer, so that the answer arrives (RFC 9112, 9.6).
LINGER = 10.0
#: The same where the server ends.
LINGER_AT_END = 1.0
#: Seconds for a client's next request when the server ends: for one that has connected, or was answered, within that.
NEXT_REQUEST = 1.0
#: Seconds of silence after which that is over.
LINGER_PAUSE = 2.0

_UNLIMITED = 1 << 62

_TIMES = {
    # The whole head of a request, from its first byte; a new connection's first, from its acceptance.
    "header_timeout": 10.0,
    # Between two requests. Longer than proxies keep their connections (60 s), so that it is they who close them.
    "idle_timeout": 75.0,
    # One wait for the next bytes of a body.
    "body_timeout": 30.0,
    # How long nothing of an answer may be taken.
    "write_timeout": 60.0,
    # The whole work of the application: off, for there are answers that are meant to take long.
    "request_timeout": None,
    # How long a WebSocket's client may be silent before it is sent a ping, and how long it has to answer.
    "websocket_ping_interval": 20.0,
    "websocket_ping_timeout": 20.0,
}

_SIZES = {
    "max_request_line": 8192,
    "max_header_bytes": 65536,
    "max_headers": 100,
    "max_body": 1 << 30,
    # Bytes a second that a body must come with on the average, after its first `body_timeout`.
    "min_body_rate": 1024,
    # What the chunks of a body may carry besides data: extensions and trailers.
    "max_chunk_extensions": 4096,
    # How much of what comes behind a request is held while the request is answered.
    "max_pipelined": 65536,
    # How much of a body that the application has not read is read for it, so that the connection can be used again.
    "drain_body": 65536,
    # One message of a WebSocket, decompressed, and in how many frames it may come.
    "websocket_max_size": 1 << 20,
    "websocket_max_fragments": 1024,
}


class Limits:
    """The limits of one server, as attributes.

    Raises TypeError for a limit that does not exist, ValueError or TypeError for one that is no number.
    """

    header_timeout: float | None
    idle_timeout: float | None
    body_timeout: float | None
    write_timeout: float | None
    request_timeout: float | None
    websocket_ping_interval: float | None
    websocket_ping_timeout: float | None
    max_request_line: int
    max_header_bytes: int
    max_headers: int
    max_body: int
    min_body_rate: int
    max_chunk_extensions: int
    max_pipelined: int
    drain_body: int
    websocket_max_size: int
    websocket_max_fragments: int

    #: The names of all limits.
    names = (*_TIMES, *_SIZES)

    @staticmethod
    def is_time(name: str) -> bool:
        """Whether a limit is in seconds (bool)."""
        return name in _TIMES

    def __init__(self, **limits: Any) -> None:
        for name, default in _TIMES.items():
            check = seconds_between if name == "websocket_ping_interval" else seconds_limit
            setattr(self, name, check(limits.pop(name, default), name))
        for name, default in _SIZES.items():
            off = 0 if name == "min_body_rate" else _UNLIMITED
            setattr(self, name, size_limit(limits.pop(name, default), name, off))
        self.max_pipelined = min(max(self.max_pipelined, 1024), 1 << 20)
        if limits:
            raise TypeError(f"a WSGI server has no argument {next(iter(limits))!r}")


def seconds_limit(value: Any, name: str) -> float | None:
    """A limit in seconds, None for none. `name` says which. Raises TypeError or ValueError."""
    seconds = seconds_or_none(value, name)
    # A time of 0 would mean to a socket that it must not wait at all.
    return None if seconds is None else max(0.001, seconds)


def seconds_between(value: Any, name: str) -> float | None:
    """How often something is done: the same, but not 0, which to other libraries means never."""
    if value == 0 and not isinstance(value, bool):
        raise ValueError(f"{name} must be more than 0; None turns it off")
    return seconds_limit(value, name)


def size_limit(value: Any, name: str, off: int = _UNLIMITED) -> int:
    """A limit in bytes, or of a number; for None, `off`: one that nothing reaches. Raises TypeError or ValueError."""
    if value is None:
        return off
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a number (int) or None, not {value!r}")
    if value < 0:
        raise ValueError(f"{name} must not be negative: {value}")
    return value

"""Limits: how much a client may send, and how long it may take. They are arguments of WSGIServer.

None turns a limit off, and so does an infinite time. Sizes are in bytes, times in seconds.

What does not belong here: what happens when a limit is exceeded. These files enforce the limits:

    reading.pyx             header_timeout, idle_timeout; max_pipelined; the size of a head that has not come whole
    request.pyx             max_request_line, max_header_bytes, max_headers; max_body if there is a Content-Length
    body.pyx                body_timeout, min_body_rate, max_chunk_extensions, drain_body; max_body of chunks
    stream.pyx              write_timeout; LINGER, LINGER_PAUSE
    handler.py              request_timeout; LINGER_AT_END
    server.py               NEXT_REQUEST, as contrib/gunicorn.py does
    _websocket/serving.py   those of WebSockets

The exception that they raise has the status for the answer: see errors.py.
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

#: Seconds for which a connection is read after its last answer, so that the answer arrives (RFC 9112, 9.6).
LINGER = 10.0
#: The same while the server ends.
LINGER_AT_END = 1.0
#: Seconds of silence that end this reading.
LINGER_PAUSE = 2.0
#: Seconds that a client has to send a request when the server ends, if it has just connected or was just answered.
NEXT_REQUEST = 1.0

_UNLIMITED = 1 << 62

_TIMES = {
    # The whole head of a request, counted from its first byte; for the first head, from the connection's acceptance.
    "header_timeout": 10.0,
    # The time between two requests. Proxies keep their connections for 60 s: so that they close first, it is longer.
    "idle_timeout": 75.0,
    # One wait for the next bytes of a body.
    "body_timeout": 30.0,
    # One wait until the client takes more of the answer.
    "write_timeout": 60.0,
    # The whole work of the application. Off by default, because some answers are meant to take long.
    "request_timeout": None,
    # How long a WebSocket's client may be silent before the server sends a ping, and how long it has to answer.
    "websocket_ping_interval": 20.0,
    "websocket_ping_timeout": 20.0,
}

_SIZES = {
    "max_request_line": 8192,
    "max_header_bytes": 65536,
    "max_headers": 100,
    "max_body": 1 << 30,
    # The average rate at which a body must arrive (bytes a second), once its waits add up to `body_timeout`.
    "min_body_rate": 1024,
    # The extensions and trailers of a chunked body.
    "max_chunk_extensions": 4096,
    # The data behind a request that is held in memory while the request is answered.
    "max_pipelined": 65536,
    # The rest of a body that the server reads after the application, so that the connection can be used again.
    "drain_body": 65536,
    # One message of a WebSocket, decompressed, and the number of its frames.
    "websocket_max_size": 1 << 20,
    "websocket_max_fragments": 1024,
}


class Limits:
    """The limits of one server, as attributes. Arguments replace the defaults.

    Raises TypeError for a limit that does not exist, ValueError or TypeError for a value that is not a number.
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
    """Check a limit in seconds; None is no limit. `name`: what errors call it. Raises TypeError or ValueError."""
    seconds = seconds_or_none(value, name)
    # A socket with a timeout of 0 would not wait at all.
    return None if seconds is None else max(0.001, seconds)


def seconds_between(value: Any, name: str) -> float | None:
    """Check an interval in seconds, as seconds_limit(), but refuse 0, which means "never" in other libraries."""
    if value == 0 and not isinstance(value, bool):
        raise ValueError(f"{name} must be more than 0; None turns it off")
    return seconds_limit(value, name)


def size_limit(value: Any, name: str, off: int = _UNLIMITED) -> int:
    """Check a limit that is a size or a number. Returns `off` for None. Raises TypeError or ValueError."""
    if value is None:
        return off
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a number (int) or None, not {value!r}")
    if value < 0:
        raise ValueError(f"{name} must not be negative: {value}")
    return value

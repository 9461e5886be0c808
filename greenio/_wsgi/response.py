"""The head of an answer: what an application gives start_response(), checked, as text.

Rules
    1. Nothing that an application passes on from a client can end a line, begin a field or end the head.
    2. The fields that belong to the connection are the server's (RFC 9110, 7.6.1).
    3. Each pair is looked at once. Names are remembered, up to a bound.

What does not belong here: when it is sent, and what is added to it (handler.py).
"""

from __future__ import annotations

import re
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["check_status", "current_date", "format_date_time", "render_fields"]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FORBIDDEN = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_PLAIN, _LENGTH, _DATE, _OF_CONNECTION, _UPGRADE = range(5)
_KINDS = {
    "content-length": _LENGTH,
    "date": _DATE,
    "connection": _UPGRADE,
    "upgrade": _UPGRADE,
    **dict.fromkeys(
        ["keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "trailers", "transfer-encoding"],
        _OF_CONNECTION,
    ),
}
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MOST = 1024
_names: dict[str, int] = {}
_statuses: dict[str, tuple[int, bytes]] = {}
_date = (0, b"")


def format_date_time(timestamp: float) -> str:
    """A time (seconds since 1970) as HTTP writes it."""
    year, month, day, hour, minute, second, weekday, *_ = time.gmtime(timestamp)
    return f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} {hour:02}:{minute:02}:{second:02} GMT"


def current_date() -> bytes:
    """The field Date with the time of now, as a line."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, f"Date: {format_date_time(now)}\r\n".encode())
    return _date[1]


def check_status(status: str) -> tuple[int, bytes]:
    """``(code, the status line)`` of what an application says. Raises TypeError or ValueError."""
    known = _statuses.get(status)
    if known is not None:
        return known
    if not isinstance(status, str):
        raise TypeError(f"a status must be a string, not {status!r}")
    code = status[:3]
    if not (code.isascii() and code.isdigit() and status[3:4] in (" ", "") and 100 <= int(code) <= 999):
        raise ValueError(f"a status must be a number of three digits, a space and a text, not {status!r}")
    if _FORBIDDEN.search(status):
        raise ValueError(f"a status must not have control characters: {status!r}")
    known = int(code), f"HTTP/1.1 {status}\r\n".encode("latin-1")
    if len(_statuses) < _MOST and len(status) < 128:
        _statuses[status] = known
    return known


def render_fields(headers: Iterable[tuple[str, str]], upgrades: bool) -> tuple[bytes, int | None, bool]:
    """``(lines, Content-Length or None, whether there is a Date)`` of the fields that an application gives.

    `upgrades`: the answer changes the protocol. Raises TypeError or ValueError.
    """
    lines = []
    length, has_date = None, False
    for name, value in headers:
        kind = _names.get(name)
        if kind is None:
            kind = _kind_of(name)
        if kind:
            if kind == _LENGTH:
                length = _length_of(value, length)
            elif kind == _DATE:
                has_date = True
            elif not (kind == _UPGRADE and upgrades):
                raise ValueError(f"an application must not give the field {name}: the connection is the server's")
        if type(value) is not str or not value.isprintable():
            _check_value(name, value)
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines).encode("latin-1"), length, has_date


def _check_value(name, value):
    if not isinstance(value, str):
        raise TypeError(f"the value of {name} must be a string, not {value!r}")
    if _FORBIDDEN.search(value):
        raise ValueError(f"the value of {name} must not have control characters: {value!r}")


def _kind_of(name):
    if not isinstance(name, str):
        raise TypeError(f"the name of a field must be a string, not {name!r}")
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"this is no name of a field: {name!r}")
    kind = _KINDS.get(name.lower(), _PLAIN)
    if len(_names) < _MOST and len(name) < 128:
        _names[name] = kind
    return kind


def _length_of(value, earlier):
    if not (isinstance(value, str) and value.isascii() and value.isdigit()):
        raise ValueError(f"a Content-Length must be a number, not {value!r}")
    if earlier is not None and earlier != int(value):
        raise ValueError("there are two Content-Length fields, with different values")
    return int(value)

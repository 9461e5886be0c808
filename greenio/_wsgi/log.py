"""The access log: a request as a line, in a format that the program chooses.

Rules
    1. What a client sends cannot end a line or act on a terminal: control characters are escaped.
    2. The atoms of a format are gunicorn's (https://gunicorn.org/reference/settings/#access_log_format).

What does not belong here: where the lines go (server.py).
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Formatter = Callable[[Any], str | None]  # of a WSGIHandler

__all__ = ["COMBINED", "formatter_of", "printable"]

#: The usual format, which gunicorn has as well.
COMBINED = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'

_ATOM = re.compile(r"%(?:%|\((\{[^{}]+\}[ioe]|[a-zA-Z])\)s)")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_now = (0, "")


def printable(text: str) -> str:
    """A text of a client's, as it may stand in a line between quotation marks."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join(
        f"\\{each}" if each in '"\\' else each if each.isprintable() else each.encode("unicode_escape").decode()
        for each in text
    )


def formatter_of(written: Any) -> Formatter:
    """What makes a line of a handler's request: for a format with atoms, "json", or a callable.

    A callable is called with a dict: see record_of(); it returns a line, or None for nothing to be written.
    Raises TypeError or ValueError.
    """
    if callable(written):
        return lambda handler: written(record_of(handler))
    if written == "json":
        return lambda handler: json.dumps(record_of(handler))
    if not isinstance(written, str):
        raise TypeError(f"a format of the access log is a text, 'json' or a callable, not {written!r}")
    return _compiled(written)


def record_of(handler: Any) -> dict[str, Any]:
    """What is known of a request: what a JSON line has, and a callable is called with (dict)."""
    environ = handler.environ
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(handler.time_start))
        + f".{int(handler.time_start % 1 * 1000):03}Z",
        "address": _address(handler),
        "method": environ.get("REQUEST_METHOD"),
        "target": environ.get("RAW_URI"),
        "protocol": environ.get("SERVER_PROTOCOL"),
        "host": environ.get("HTTP_HOST"),
        "status": handler.code,
        "length": handler.response_length,
        "seconds": round(_seconds(handler), 6),
        "referer": environ.get("HTTP_REFERER"),
        "user_agent": environ.get("HTTP_USER_AGENT"),
    }


def _compiled(written):
    pieces: list[Any] = []
    position = 0
    for found in _ATOM.finditer(written):
        if found.start() > position:
            pieces.append(written[position : found.start()])
        pieces.append(_atom(found[1]) if found[1] else "%%")
        position = found.end()
    pieces.append(written[position:])
    if any(type(piece) is str and piece != "%%" and "%" in piece for piece in pieces):
        raise ValueError(f"the format of the access log has a % that is no atom's: {written!r}")
    # Texts and atoms in turn are cheaper to put together at once.
    template = "".join(
        piece.replace("%%", "%").replace("{", "{{").replace("}", "}}") if type(piece) is str else "{}"
        for piece in pieces
    )
    atoms = [piece for piece in pieces if type(piece) is not str]
    fill = template.format
    return lambda handler: fill(*[atom(handler) for atom in atoms])


def _atom(name):
    if name.startswith("{"):
        key, kind = name[1:-2], name[-1]
        if kind == "i":
            variable = f"HTTP_{key.upper().replace('-', '_')}"
            if variable in ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"):
                variable = variable[5:]
            return lambda handler: _text(handler.environ.get(variable))
        if kind == "e":
            return lambda handler: _text(handler.environ.get(key))
        return lambda handler: _text(_field(handler, key.lower()))
    atom = _ATOMS.get(name)
    if atom is None:
        raise ValueError(f"the access log has no atom %({name})s")
    return atom


def _text(value):
    return "-" if value is None or value == "" else printable(str(value))


def _field(handler, name):
    return next((value for each, value in handler.response_headers if each.lower() == name), None)


def _address(handler):
    address = handler.environ.get("REMOTE_ADDR")
    if not address:
        address = handler.client_address[0] if isinstance(handler.client_address, tuple) else "-"
    return address


def _seconds(handler):
    return max(0.0, handler.time_finish - handler.time_start) if handler.time_finish else 0.0


def _user(handler):
    kind, _, data = handler.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if kind.lower() != "basic":
        return "-"
    try:
        return _text(base64.b64decode(data.strip(), validate=True).decode("utf-8").partition(":")[0])
    except (binascii.Error, UnicodeDecodeError):
        return "-"


def _date(handler):
    global _now
    now = int(time.time())
    if _now[0] != now:
        local = time.localtime(now)
        _now = now, time.strftime(f"[%d/{_MONTHS[local.tm_mon - 1]}/%Y:%H:%M:%S %z]", local)
    return _now[1]


_ATOMS: dict[str, Callable[[Any], Any]] = {
    "h": lambda handler: handler.environ.get("REMOTE_ADDR") or _address(handler),
    "l": lambda handler: "-",
    "u": _user,
    "t": _date,
    "r": lambda handler: printable(handler.requestline),
    "m": lambda handler: _text(handler.environ.get("REQUEST_METHOD")),
    "U": lambda handler: _text(handler.environ.get("PATH_INFO")),
    "q": lambda handler: printable(handler.environ.get("QUERY_STRING", "")),
    "H": lambda handler: _text(handler.environ.get("SERVER_PROTOCOL")),
    "s": lambda handler: handler.code or "-",
    "B": lambda handler: handler.response_length,
    "b": lambda handler: handler.response_length or "-",
    "f": lambda handler: _text(handler.environ.get("HTTP_REFERER")),
    "a": lambda handler: _text(handler.environ.get("HTTP_USER_AGENT")),
    "T": lambda handler: int(_seconds(handler)),
    "D": lambda handler: int(_seconds(handler) * 1_000_000),
    "M": lambda handler: int(_seconds(handler) * 1000),
    "L": lambda handler: f"{_seconds(handler):.6f}",
    "p": lambda handler: f"<{os.getpid()}>",
}

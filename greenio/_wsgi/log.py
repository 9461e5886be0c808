"""The access log: a request as a line, in a format that the program chooses; and a file for lines.

Rules
    1. What a client sends cannot end a line or act on a terminal: control characters are escaped, also in the line of
       a callable, but for tabs.
    2. The atoms of a format are gunicorn's (https://gunicorn.org/reference/settings/#access_log_format).

    3. A line waits for a fifth of a second to be written to a file, or until many have come: a write for each would
       cost more than the line. A write has whole lines: others may write to the same file.
    4. What cannot be written is lost: a full disk does not end a server.

What does not belong here: when a line is made, and for which log (server.py).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
import re
import time

from hub import get_hub
from hub.native import original

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Formatter = Callable[[Any], str | None]  # of a WSGIHandler

__all__ = ["COMBINED", "LogFile", "formatter_of", "printable"]

#: The usual format, which gunicorn has as well.
COMBINED = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'

_ATOM = re.compile(r"%(?:%|\((\{[^{}]+\}[ioe]|[a-zA-Z])\)s)")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_now = (0, "")
_write = original("os", "write")
_PAUSE = 0.2  # seconds
_MOST = 500  # lines


def printable(text: str) -> str:
    """A text of a client's, as it may stand in a line between quotation marks."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return _escaped(text.replace("\\", "\\\\").replace('"', '\\"'))


def _one_line(text):
    return None if text is None else _escaped(str(text), "\t")


def _escaped(text, kept=""):
    """A text whose control characters are escaped, but for those of `kept`."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in kept else each.encode("unicode_escape").decode() for each in text
    )


def formatter_of(written: Any) -> Formatter:
    """What makes a line of a handler's request: for a format with atoms, "json", or a callable.

    A callable is called with a dict: see record_of(); it returns a line, or None for nothing to be written.
    Raises TypeError or ValueError.
    """
    if callable(written):
        return lambda handler: _one_line(written(record_of(handler)))
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
    # One expression for the whole line: a call of a function for each atom would take longer than the rest.
    texts, expressions = [], []
    position = 0
    for found in _ATOM.finditer(written):
        texts.append(_literal(written[position : found.start()], written))
        texts.append("%s" if found[1] else "%%")
        if found[1]:
            expressions.append(_atom(found[1]))
        position = found.end()
    texts.append(_literal(written[position:], written))
    source = f"{''.join(texts)!r} % ({''.join(f'{each}, ' for each in expressions)})"
    fill = eval(f"lambda handler, environ: {source}", globals())  # what came from outside stands in it as literals
    return lambda handler: fill(handler, handler.environ)


def _literal(text, written):
    if "%" in text:
        raise ValueError(f"the format of the access log has a % that is no atom's: {written!r}")
    return text


def _atom(name):
    """The expression of an atom, of `handler` and `environ`."""
    if name.startswith("{"):
        key, kind = name[1:-2], name[-1]
        if kind == "i":
            variable = f"HTTP_{key.upper().replace('-', '_')}"
            if variable in ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"):
                variable = variable[5:]
            return _variable(variable)
        if kind == "e":
            return _variable(key)
        return f"_text(_field(handler, {key.lower()!r}))"
    atom = _ATOMS.get(name)
    if atom is None:
        raise ValueError(f"the access log has no atom %({name})s")
    return atom


def _variable(key):
    return f"(_text(environ[{key!r}]) if {key!r} in environ else '-')"


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


def _process():
    return f"<{os.getpid()}>"


def _user(authorization):
    kind, _, data = authorization.partition(" ")
    if kind.lower() != "basic":
        return "-"
    try:
        return _text(base64.b64decode(data.strip(), validate=True).decode("utf-8").partition(":")[0])
    except (binascii.Error, UnicodeDecodeError):
        return "-"


def _date():
    global _now
    now = int(time.time())
    if _now[0] != now:
        local = time.localtime(now)
        _now = now, time.strftime(f"[%d/{_MONTHS[local.tm_mon - 1]}/%Y:%H:%M:%S %z]", local)
    return _now[1]


_ATOMS = {
    "h": "_text(environ.get('REMOTE_ADDR') or _address(handler))",
    "l": "'-'",
    "u": "(_user(environ['HTTP_AUTHORIZATION']) if 'HTTP_AUTHORIZATION' in environ else '-')",
    "t": "_date()",
    "r": "printable(handler.requestline)",
    "m": _variable("REQUEST_METHOD"),
    "U": _variable("PATH_INFO"),
    "q": "printable(environ.get('QUERY_STRING') or '')",
    "H": _variable("SERVER_PROTOCOL"),
    "s": "(handler.code or '-')",
    "B": "handler.response_length",
    "b": "(handler.response_length or '-')",
    "f": _variable("HTTP_REFERER"),
    "a": _variable("HTTP_USER_AGENT"),
    "T": "int(_seconds(handler))",
    "D": "int(_seconds(handler) * 1_000_000)",
    "M": "int(_seconds(handler) * 1000)",
    "L": "format(_seconds(handler), '.6f')",
    "p": "_process()",
}


class LogFile:
    """Writes lines to a descriptor. For one thread."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lines: list[str] = []
        self._timer: Any = None

    def write(self, line: str) -> None:
        """Add a line, with its end. It is written soon. Does not switch."""
        lines = self._lines
        lines.append(line)
        if len(lines) == 1:
            if self._timer is None:
                self._timer = get_hub().loop.timer(_PAUSE)
            self._timer.start(self.flush)
        elif len(lines) >= _MOST:
            self.flush()

    def flush(self) -> None:
        """Write what waits. Does not switch."""
        lines, self._lines = self._lines, []
        data = memoryview("".join(lines).encode("utf-8", "backslashreplace"))
        with contextlib.suppress(OSError):
            while data:
                data = data[_write(self._fd, data) :]
        if self._timer is not None:
            self._timer.stop()

    def close(self) -> None:
        """Write what waits, and let go of the timer. The descriptor stays open. Does not switch."""
        self.flush()
        if self._timer is not None:
            self._timer.close()
            self._timer = None

"""The access log: requests as lines, in a format that the program chooses, and a file that collects lines.

Rules
    1. A client's data cannot end a line or control a terminal: control characters are escaped, except for tabs in the
       line of a callable.
    2. The atoms of a format are gunicorn's (https://gunicorn.org/reference/settings/#access_log_format).
    3. LogFile writes lines every fifth of a second, or when there are many. A write for each line would cost more than
       making it. It writes whole lines only, because other processes may write to the same file.
    4. Lines that cannot be written are lost: a full disk does not end a server.

What does not belong here: when a request is logged, and in which log (server.py).
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

    Formatter = Callable[[Any], str | None]  # called with a WSGIHandler

__all__ = ["COMBINED", "LogFile", "formatter_of", "printable"]

#: The usual format, which gunicorn has as well.
COMBINED = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'

_ATOM = re.compile(r"%(?:%|\((\{[^{}]+\}[ioe]|[a-zA-Z])\)s)")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_current_date = (0, "")  # a second, and its text
_write = original("os", "write")
_FLUSH_INTERVAL = 0.2  # seconds
_MAX_LINES = 500  # that wait to be written


def printable(text: str) -> str:
    """Escape a client's text, so that it can stand in a line between quotation marks."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return _escaped(text.replace("\\", "\\\\").replace('"', '\\"'))


def _one_line(text):
    return None if text is None else _escaped(str(text), "\t")


def _escaped(text, kept=""):
    """Escape the control characters of a text, except those of `kept`."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in kept else each.encode("unicode_escape").decode() for each in text
    )


def formatter_of(log_format: Any) -> Formatter:
    """Return the function that makes a line of a handler's request.

    `log_format`: a text with atoms, "json", or a callable. A callable is called with the dict of record_of(), and
    returns a line, or None to write nothing. Raises TypeError or ValueError.
    """
    if callable(log_format):
        return lambda handler: _one_line(log_format(record_of(handler)))
    if log_format == "json":
        return lambda handler: json.dumps(record_of(handler))
    if not isinstance(log_format, str):
        raise TypeError(f"a format of the access log is a text, 'json' or a callable, not {log_format!r}")
    return _compiled(log_format)


def record_of(handler: Any) -> dict[str, Any]:
    """Return the facts about a request, for a line of JSON or for a program's callable (dict)."""
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


def _compiled(log_format):
    # The whole line is one expression: calling a function for each atom would take longer than all the rest.
    texts, expressions = [], []
    position = 0
    for found in _ATOM.finditer(log_format):
        texts.append(_literal(log_format[position : found.start()], log_format))
        texts.append("%s" if found[1] else "%%")
        if found[1]:
            expressions.append(_atom(found[1]))
        position = found.end()
    texts.append(_literal(log_format[position:], log_format))
    source = f"{''.join(texts)!r} % ({''.join(f'{each}, ' for each in expressions)})"
    fill = eval(f"lambda handler, environ: {source}", globals())  # the program's texts are literals in it
    return lambda handler: fill(handler, handler.environ)


def _literal(text, log_format):
    if "%" in text:
        raise ValueError(f"the format of the access log has a % that belongs to no atom: {log_format!r}")
    return text


def _atom(name):
    """Return the expression for an atom (str), whose variables are `handler` and `environ`."""
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
    global _current_date
    now = int(time.time())
    if _current_date[0] != now:
        local = time.localtime(now)
        _current_date = now, time.strftime(f"[%d/{_MONTHS[local.tm_mon - 1]}/%Y:%H:%M:%S %z]", local)
    return _current_date[1]


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
    """Collects lines, and writes them to a descriptor. For one thread."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lines: list[str] = []
        self._timer: Any = None

    def write(self, line: str) -> None:
        """Add a line that ends with a newline. It is written soon. Does not switch."""
        lines = self._lines
        lines.append(line)
        if len(lines) == 1:
            if self._timer is None:
                self._timer = get_hub().loop.timer(_FLUSH_INTERVAL)
            self._timer.start(self.flush)
        elif len(lines) >= _MAX_LINES:
            self.flush()

    def flush(self) -> None:
        """Write the lines that wait. Does not switch."""
        lines, self._lines = self._lines, []
        data = memoryview("".join(lines).encode("utf-8", "backslashreplace"))
        with contextlib.suppress(OSError):
            while data:
                data = data[_write(self._fd, data) :]
        if self._timer is not None:
            self._timer.stop()

    def close(self) -> None:
        """Write the lines that wait, and close the timer. The descriptor stays open. Does not switch."""
        self.flush()
        if self._timer is not None:
            self._timer.close()
            self._timer = None

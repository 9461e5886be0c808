"""The head of an answer: checking the application's status and fields, and making them lines.

Rules
    1. No text that an application passes on from a client can end a line, begin a field or end the head.
    2. Only the server sets the fields that are about the connection (RFC 9110, 7.6.1).
    3. Each pair is checked in one pass. Names are cached, up to a bound.

What does not belong here: when a head is sent, and the server's own fields (answering.pyx).
"""

import time as clock

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memcpy
from libc.time cimport time

from greenio._wsgi.grammar import CONTROL, TOKEN

__all__ = ["check_status", "current_date", "format_date_time", "render_fields"]

cdef enum:
    PLAIN = 0
    LENGTH = 1
    DATE = 2
    OF_CONNECTION = 3
    UPGRADE = 4

cdef extern from "Python.h":
    int PyUnicode_1BYTE_KIND
    int PyUnicode_KIND(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    const unsigned char *PyUnicode_1BYTE_DATA(object text)

_KINDS = {
    "content-length": LENGTH,
    "date": DATE,
    "connection": UPGRADE,
    "upgrade": UPGRADE,
    **dict.fromkeys(
        ["keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "trailers", "transfer-encoding"],
        OF_CONNECTION,
    ),
}

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CACHE_SIZE = 1024
cdef dict names = {}  # a cache: the name of a field -> its kind
cdef dict statuses = {}  # a cache: a status -> (code, status line)
cdef long date_of = -1  # the second for which date_line was made
cdef bytes date_line = b""


def format_date_time(timestamp):
    """Return a time (seconds since 1970) as HTTP writes it (str)."""
    year, month, day, hour, minute, second, weekday, *_ = clock.gmtime(timestamp)
    return f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} {hour:02}:{minute:02}:{second:02} GMT"


cpdef bytes current_date():
    """Return the field Date with the current time, as a line (bytes)."""
    global date_of, date_line
    cdef long now = time(NULL)
    if date_of != now:
        date_line = f"Date: {format_date_time(now)}\r\n".encode()
        date_of = now
    return date_line


cpdef tuple check_status(status):
    """Return ``(code, status line)`` for an application's status. Raises TypeError or ValueError."""
    known = statuses.get(status)
    if known is not None:
        return known
    if not isinstance(status, str):
        raise TypeError(f"a status must be a string, not {status!r}")
    code = status[:3]
    if not (code.isascii() and code.isdigit() and status[3:4] in (" ", "") and 100 <= int(code) <= 999):
        raise ValueError(f"a status must be a number of three digits, a space and a text, not {status!r}")
    if CONTROL.search(status):
        raise ValueError(f"a status must not have control characters: {status!r}")
    # The space after the number is required, even if no text follows.
    line = f"{status} " if len(status) == 3 else status
    known = int(code), f"HTTP/1.1 {line}\r\n".encode("latin-1")
    if len(statuses) < _CACHE_SIZE and len(status) < 128:
        statuses[status] = known
    return known


cpdef tuple render_fields(headers, bint upgrades):
    """Return ``(lines, Content-Length or None, whether there is a Date)`` for an application's fields.

    `upgrades`: whether the answer changes the protocol (bool). Raises TypeError or ValueError.
    """
    cdef list pairs = list(headers)
    cdef Py_ssize_t size = 0
    cdef int kind
    cdef bint has_date = False, plain = True
    length = None
    for pair in pairs:
        name, value = pair
        known = names.get(name)
        kind = kind_of(name) if known is None else known
        if kind != PLAIN:
            if kind == LENGTH:
                length = length_of(value, length)
            elif kind == DATE:
                has_date = True
            elif not (kind == UPGRADE and upgrades):
                raise ValueError(f"an application must not give the field {name}: the connection is the server's")
        if type(name) is str and type(value) is str and is_plain(value):
            size += PyUnicode_GET_LENGTH(name) + PyUnicode_GET_LENGTH(value) + 4
        else:
            _check_value(name, value)
            plain = False
    if plain:
        lines = join(pairs, size)
    else:
        lines = "".join([f"{name}: {value}\r\n" for name, value in pairs]).encode("latin-1")
    return lines, length, has_date


cdef bint is_plain(str value) noexcept:
    """Whether a value can be sent as it is: in latin-1, without control characters."""
    cdef Py_ssize_t at
    cdef const unsigned char *data
    cdef unsigned char each
    if PyUnicode_KIND(value) != PyUnicode_1BYTE_KIND:
        return False
    data = PyUnicode_1BYTE_DATA(value)
    for at in range(PyUnicode_GET_LENGTH(value)):
        each = data[at]
        if each < 0x20 and each != 9 or each == 0x7F:
            return False
    return True


cdef bytes join(list pairs, Py_ssize_t size):
    """Return pairs of plain strings as lines. `size`: the length of the lines in all."""
    cdef bytes lines = PyBytes_FromStringAndSize(NULL, size)
    cdef char *to = PyBytes_AS_STRING(lines)
    for pair in pairs:
        name, value = pair
        to = put(to, name, b": ")
        to = put(to, value, b"\r\n")
    return lines


cdef char *put(char *to, str text, const char *end) noexcept:
    """Write a text and two more characters. Returns the position behind them."""
    cdef Py_ssize_t length = PyUnicode_GET_LENGTH(text)
    memcpy(to, PyUnicode_1BYTE_DATA(text), length)
    memcpy(to + length, end, 2)
    return to + length + 2


def _check_value(name, value):
    if not isinstance(value, str):
        raise TypeError(f"the value of {name} must be a string, not {value!r}")
    if CONTROL.search(value):
        raise ValueError(f"the value of {name} must not have control characters: {value!r}")


cdef int kind_of(name) except -1:
    if not isinstance(name, str):
        raise TypeError(f"the name of a field must be a string, not {name!r}")
    if not TOKEN.fullmatch(name):
        raise ValueError(f"this is not the name of a field: {name!r}")
    kind = _KINDS.get(name.lower(), PLAIN)
    if len(names) < _CACHE_SIZE and len(name) < 128:
        names[name] = kind
    return kind


cdef length_of(value, earlier):
    cdef Py_ssize_t at, count, number = 0
    cdef const unsigned char *data
    if type(value) is not str or PyUnicode_KIND(value) != PyUnicode_1BYTE_KIND:
        return any_length_of(value, earlier)
    data = PyUnicode_1BYTE_DATA(value)
    count = PyUnicode_GET_LENGTH(value)
    if not 0 < count < 18 or earlier is not None:
        return any_length_of(value, earlier)
    for at in range(count):
        if not 0x30 <= data[at] <= 0x39:
            return any_length_of(value, earlier)
        number = number * 10 + data[at] - 0x30
    return number


cdef any_length_of(value, earlier):
    if not (isinstance(value, str) and value.isascii() and value.isdigit()):
        raise ValueError(f"a Content-Length must be a number, not {value!r}")
    if earlier is not None:
        raise ValueError("there are two Content-Length fields")
    return int(value)

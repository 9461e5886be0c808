"""gevent's name for greenio.wsgi: programs that are written for gevent.pywsgi import their names from here.

Methods that wait say that they switch; the others do not switch, unless a log or a file of the program does.
"""

from __future__ import annotations

from greenio.wsgi import (
    Environ,
    Input,
    LoggingLogAdapter,
    SecureEnviron,
    WSGIHandler,
    WSGISecureEnviron,
    WSGIServer,
    format_date_time,
)

__all__ = [
    "Environ",
    "Input",
    "LoggingLogAdapter",
    "SecureEnviron",
    "WSGIHandler",
    "WSGISecureEnviron",
    "WSGIServer",
    "format_date_time",
]

"""A WSGI server for HTTP/1.1 and 1.0, with a greenlet for each connection.

    from greenio.wsgi import WSGIServer

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"Hello"]

    WSGIServer(("127.0.0.1", 8000), application).serve_forever()

Methods that wait say that they switch; the others do not switch, unless a log or a file of the program does.

``python -m greenio.wsgi module:application`` serves from the command line. The server needs httptools: pip install
'greenio[wsgi]'.
"""

from __future__ import annotations

from greenio._wsgi.body import Input
from greenio._wsgi.client import Client
from greenio._wsgi.environ import Environ, SecureEnviron, WSGISecureEnviron
from greenio._wsgi.errors import BodyError, ClientGone, RequestTimeout
from greenio._wsgi.files import FileWrapper
from greenio._wsgi.handler import WSGIHandler
from greenio._wsgi.limits import Limits
from greenio._wsgi.response import format_date_time
from greenio._wsgi.server import LoggingLogAdapter, WSGIServer

__all__ = [
    "BodyError",
    "Client",
    "ClientGone",
    "Environ",
    "FileWrapper",
    "Input",
    "Limits",
    "LoggingLogAdapter",
    "RequestTimeout",
    "SecureEnviron",
    "WSGIHandler",
    "WSGISecureEnviron",
    "WSGIServer",
    "format_date_time",
]

if __name__ == "__main__":
    import sys

    from greenio._wsgi.command import main

    sys.exit(main())

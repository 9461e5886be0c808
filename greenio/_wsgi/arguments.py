"""The arguments of ``python -m greenio.wsgi``: parsing them, and checking which go together.

What does not belong here: acting on them (command.py).
"""

from __future__ import annotations

import argparse

from greenio._servers.seconds import seconds_or_infinity, seconds_or_none
from greenio._wsgi.limits import Limits
from greenio._wsgi.networks import Networks
from greenio.server import StreamServer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Stop", "parse"]

_LARGEST = 2**31 - 1  # the largest number of connections that the system accepts
#: Options that mean nothing without --workers.
_WORKER_OPTIONS = ("preload", "status", "max_requests", "max_requests_jitter", "max_rss")


class Stop(Exception):
    """Ends the command with one line on standard error, and with the status 1."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line. Raises Stop if it is wrong, SystemExit after --help."""
    options = _parser().parse_args(arguments)
    _check(options)
    return options


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Stop(f"{message} (--help tells more)")


def _parser():
    parser = _Parser(
        prog="python -m greenio.wsgi", description="Serve a WSGI application over HTTP.", allow_abbrev=False
    )
    add = parser.add_argument
    add(
        "application",
        help="module:name, or module:make() for a function that returns the application; module alone for its "
        "`application` or `app`",
    )
    add(
        "-b",
        "--bind",
        action="append",
        metavar="ADDRESS",
        help="where to listen: HOST:PORT, :PORT, [HOST]:PORT, unix:/path, unix:@name, fd://3, systemd "
        "(default 127.0.0.1:8000); may be given several times",
    )
    add("--patch", action="store_true", help="patch the standard library before the application is imported")
    add("--reload", action="store_true", help="restart when a source file has changed")
    add("--check", action="store_true", help="load the application and the certificates, and exit")
    add("--debug", action="store_true", help="show tracebacks in the pages for errors")
    add("--chdir", metavar="FOLDER", help="go to this folder first")
    add("--certfile", help="the certificate for TLS, followed by its chain; read again on SIGHUP")
    add("--keyfile", help="the private key of the certificate")
    add("--access-log", metavar="FILE", help="the file for the access log; - is standard output")
    add("--access-log-format", metavar="FORMAT", help="a text with gunicorn's atoms, or json")
    add("--script-name", metavar="PATH", help="the path at which the application is mounted")
    add("--forwarded-from", metavar="NETWORKS", help="proxies whose X-Forwarded-For, -Proto and -Host are trusted")
    add("--proxy-protocol", metavar="NETWORKS", help="load balancers that speak the PROXY protocol")
    add("--origin", action="append", metavar="ORIGIN", help="a site whose pages may open a WebSocket, or *")
    add("--websocket-compression", action="store_true", help="compress the messages of WebSockets")
    add("--cancel-when-gone", action="store_true", help="stop the application when its client has gone")
    add(
        "--drain",
        type=_seconds,
        default=30.0,
        metavar="SECONDS",
        help="how long requests may still take when the server ends (default 30)",
    )
    add(
        "--pre-drain",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="how long to go on accepting when the server ends, until load balancers know of it (default 0)",
    )
    add("--backlog", type=_number, default=2048, help="how many connections may wait to be accepted (default 2048)")
    add("--max-connections", type=_number, metavar="NUMBER", help="how many connections may be open")
    add("--mode", type=_mode, metavar="OCTAL", help="the permissions of the files of Unix sockets (default 600)")
    add = parser.add_argument_group("several processes").add_argument
    add("-w", "--workers", type=_number, metavar="NUMBER", help="how many processes serve; one that ends is replaced")
    add("--preload", action="store_true", help="load the application once, before the workers are forked")
    add("--status", metavar="ADDRESS", help="where to answer /healthz and /metrics")
    add(
        "--worker-timeout",
        type=_seconds,
        default=argparse.SUPPRESS,
        metavar="SECONDS",
        help="how long a worker may be stuck before it is replaced (default 60; none: for ever)",
    )
    add(
        "--max-requests", type=_number, metavar="NUMBER", help="how many requests a worker serves before it is replaced"
    )
    add(
        "--max-requests-jitter",
        type=_number_or_0,
        metavar="NUMBER",
        help="the most requests that are added to that at random (default a tenth of it)",
    )
    add("--max-rss", type=_size, metavar="BYTES", help="how much memory a worker may use: 500M, 2G")
    limits = parser.add_argument_group("limits", "in seconds and bytes (also 10K, 10M, 1G); none turns one off")
    defaults = Limits()
    for name in Limits.names:
        shown = getattr(defaults, name)
        kind = _seconds if Limits.is_time(name) else _limit
        limits.add_argument(f"--{name.replace('_', '-')}", type=kind, default=argparse.SUPPRESS, metavar="N",
                            help=f"default {'none' if shown is None else shown}")  # fmt: skip
    limits.add_argument("--handshake-timeout", type=_seconds, default=argparse.SUPPRESS, metavar="N",
                        help=f"default {StreamServer.handshake_timeout}")  # fmt: skip
    return parser


def _seconds(text):
    """Convert a text to a time in seconds; None if it is endless."""
    try:
        return None if text == "none" else seconds_or_none(float(text), "it")
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number of seconds nor none") from None


def _size(text):
    unit = {"K": 10, "M": 20, "G": 30}.get(text[-1:].upper(), 0)
    digits = text[:-1] if unit else text
    if not (digits.isascii() and digits.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number such as 1000, 500K, 10M or 2G")
    return int(digits) << unit


def _limit(text):
    if text == "none":
        return None
    try:
        return _size(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, nor none") from None


def _number(text, least=1):
    if not (text.isascii() and text.isdigit() and least <= int(text) <= _LARGEST):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} to {_LARGEST}")
    return int(text)


def _number_or_0(text):
    return _number(text, 0)


def _mode(text):
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise argparse.ArgumentTypeError(f"{text!r} is not an octal number from 0 to 777, such as 660")
    return mode


def _check(options):
    """Check that the options go together. Raises Stop for an option that would be ignored."""
    if options.workers is None:
        given = [name for name in _WORKER_OPTIONS if getattr(options, name) not in (None, False)]
        if hasattr(options, "worker_timeout"):  # None is a value of its own
            given.append("worker_timeout")
        if given:
            raise Stop(f"--{given[0].replace('_', '-')} goes with --workers")
    elif options.reload:
        raise Stop("--reload does not go with --workers, which load the application anew on SIGHUP")
    if options.max_requests_jitter is not None and options.max_requests is None:
        raise Stop("--max-requests-jitter goes with --max-requests")
    if options.access_log_format is not None and options.access_log is None:
        raise Stop("--access-log-format goes with --access-log")
    if options.keyfile and not options.certfile:
        raise Stop("--keyfile goes with --certfile")
    if options.mode is not None and not any(each.startswith("unix:") for each in options.bind or ()):
        raise Stop("--mode goes with a Unix socket: --bind unix:/path")
    for name in ("forwarded_from", "proxy_protocol"):
        networks = getattr(options, name)
        try:
            if networks is not None:
                Networks(networks)
        except ValueError as error:
            raise Stop(f"--{name.replace('_', '-')}: {error}") from None
    # None would mean the default to stop().
    options.drain = seconds_or_infinity(options.drain, "drain")
    if options.mode is None:
        options.mode = 0o600

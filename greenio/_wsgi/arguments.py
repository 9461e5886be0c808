"""The arguments of ``python -m greenio.wsgi``: what there are, and which go together.

What does not belong here: what they do (command.py).
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

_LARGEST = 2**31 - 1  # what the system takes as a number of connections
#: Options that mean nothing without --workers.
_OF_WORKERS = ("preload", "status", "max_requests", "max_requests_jitter", "max_rss")


class Stop(Exception):
    """The command ends with a line on standard error and the status 1."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """What the command line says. Raises Stop if something is wrong with it, SystemExit after --help."""
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
    add("--reload", action="store_true", help="start anew when a source file has changed")
    add("--check", action="store_true", help="load the application and the certificates, and end")
    add("--debug", action="store_true", help="show tracebacks in the pages for errors")
    add("--chdir", metavar="FOLDER", help="go to this folder first")
    add("--certfile", help="the certificate for TLS, with those above it; read again on SIGHUP")
    add("--keyfile", help="its private key")
    add("--access-log", metavar="FILE", help="where to write requests to; - is standard output")
    add("--access-log-format", metavar="FORMAT", help="a text with gunicorn's atoms, or json")
    add("--script-name", metavar="PATH", help="the path below which the application is")
    add("--forwarded-from", metavar="NETWORKS", help="proxies whose X-Forwarded-For, -Proto and -Host are believed")
    add("--proxy-protocol", metavar="NETWORKS", help="balancers that speak the PROXY protocol")
    add("--origin", action="append", metavar="ORIGIN", help="a site whose pages may make a WebSocket, or *")
    add("--websocket-compression", action="store_true", help="compress the messages of WebSockets")
    add("--cancel-when-gone", action="store_true", help="end the application's work when its client has gone")
    add(
        "--drain",
        type=_seconds,
        default=30.0,
        metavar="SECONDS",
        help="how long requests under way may take at the end (default 30)",
    )
    add(
        "--pre-drain",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="how long to go on accepting at the end, while balancers forget us (default 0)",
    )
    add("--backlog", type=_number, default=2048, help="how many connections may wait to be accepted (default 2048)")
    add("--max-connections", type=_number, metavar="NUMBER", help="how many connections there may be")
    add("--mode", type=_mode, metavar="OCTAL", help="the permissions of the files of Unix sockets (default 600)")
    add = parser.add_argument_group("several processes").add_argument
    add("-w", "--workers", type=_number, metavar="NUMBER", help="serve in so many processes, which are looked after")
    add("--preload", action="store_true", help="load the application once, before the workers are forked")
    add("--status", metavar="ADDRESS", help="where to answer /healthz and /metrics")
    add(
        "--worker-timeout",
        type=_seconds,
        default=argparse.SUPPRESS,
        metavar="SECONDS",
        help="how long a worker's hub may not turn before it is replaced (default 60; none: for ever)",
    )
    add(
        "--max-requests", type=_number, metavar="NUMBER", help="how many requests a worker serves before it is replaced"
    )
    add("--max-requests-jitter", type=_number_or_0, metavar="NUMBER", help="up to how many more (default a tenth)")
    add("--max-rss", type=_size, metavar="BYTES", help="how much memory a worker may have: 500M, 2G")
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
    """A time; None for one without an end."""
    try:
        return None if text == "none" else seconds_or_none(float(text), "it")
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds, and not none") from None


def _size(text):
    unit = {"K": 10, "M": 20, "G": 30}.get(text[-1:].upper(), 0)
    digits = text[:-1] if unit else text
    if not (digits.isascii() and digits.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is no number, such as 1000, 500K, 10M or 2G")
    return int(digits) << unit


def _limit(text):
    if text == "none":
        return None
    try:
        return _size(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, and not none") from None


def _number(text, least=1):
    if not (text.isascii() and text.isdigit() and least <= int(text) <= _LARGEST):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from {least} to {_LARGEST}")
    return int(text)


def _number_or_0(text):
    return _number(text, 0)


def _mode(text):
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise argparse.ArgumentTypeError(f"{text!r} is no octal number from 0 to 777, such as 660")
    return mode


def _check(options):
    """Whether the options go together. What would be ignored is refused."""
    if options.workers is None:
        given = [name for name in _OF_WORKERS if getattr(options, name) not in (None, False)]
        if hasattr(options, "worker_timeout"):  # None is a value of its own
            given.append("worker_timeout")
        if given:
            raise Stop(f"--{given[0].replace('_', '-')} goes with --workers")
    elif options.reload:
        raise Stop("--reload goes without --workers, which load anew on SIGHUP")
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
    # To stop() None means something else.
    options.drain = seconds_or_infinity(options.drain, "drain")
    if options.mode is None:
        options.mode = 0o600

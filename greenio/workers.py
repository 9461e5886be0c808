"""Servers on all cores: several worker processes serve one address, and a supervisor replaces those that fail.

    from greenio import workers

    def load():
        from shop import handle
        return lambda sock: StreamServer(sock, handle)

    workers.serve(load, "127.0.0.1:7000", workers=4)

``server.serve_forever(workers=4)`` does the same with a server that exists already. docs/servers.md has more.
"""

from __future__ import annotations

import os

from greenio._workers.listeners import Listener
from greenio._workers.options import CannotStart, Options
from greenio._workers.stacks import SupervisorGreenlet
from greenio._workers.standard_error import hold_standard_descriptors
from greenio._workers.supervisor import Supervisor
from greenio.socket import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from greenio._servers.addresses import Address
    from greenio.baseserver import BaseServer
    from greenio.baseserver import Listener as ListeningSocket
    from greenio.server import StreamServer

__all__ = ["CannotStart", "serve"]


def serve(
    load: Callable[[], Callable[[socket], BaseServer]],
    address: Address | ListeningSocket | Sequence[Address],
    *,
    workers: int,
    backlog: int | None = None,
    reuse_port: bool = False,
    mode: int = 0o600,
    **options: Any,
) -> None:
    """Serve an address, or a list of addresses, with `workers` processes (int), until a signal ends them. Switches.

    `load`: a function that is called in each worker, and imports the program. New workers, which SIGHUP starts, so load
    the code anew. It returns a function that is called with each listening socket and returns the server for it. If
    ``load()`` raises CannotStart, only the exception's text is printed, and no traceback.
    `backlog`, `reuse_port`, `mode`: as in StreamServer.

    `worker_timeout`: a worker whose hub does not turn for this long (seconds, 60; None for no limit) prints all its
    stacks and is replaced. `max_requests`: how many requests, or connections if the server has no requests, a worker
    serves before another one takes over (int). `max_requests_jitter`: the most that is added to this number at random
    (int; by default a tenth of it). `max_rss`: the most bytes of memory that a worker may use before another one takes
    over (int). `drain`: the seconds that requests have to finish when a worker ends (30). `pre_drain`: the seconds
    before that in which workers go on accepting (0). `preload`: whether to call ``load()`` once, before the workers are
    forked, so that they share the memory (bool). `status`: an address at which the supervisor answers /healthz and
    /metrics.

    In a worker it does not return: the process ends. Raises OSError if it cannot listen, TypeError or ValueError for a
    wrong argument, SystemExit with the code 3 if the first workers cannot start.
    """
    if not callable(load):
        raise TypeError(f"load must be a function that workers call, not {load!r}")
    settings = Options(workers, **options)
    addresses: list[Any] = list(address) if isinstance(address, list) else [address]
    if not addresses:
        raise ValueError("there is no address to listen on")
    hold_standard_descriptors()
    listeners: list[Listener] = []
    try:
        for each in addresses:
            listeners.append(Listener(each, workers, backlog=backlog, reuse_port=reuse_port, mode=mode))
        _run(Supervisor(load, listeners, settings))
    finally:
        for listener in listeners:
            listener.close()


def _serve_with(server: StreamServer, workers: int, options: dict[str, Any]) -> None:
    """Serve with the processes of a server that is not started. `options`: those of serve()."""
    settings = Options(workers, **options)
    hold_standard_descriptors()
    sock = server.socket
    if sock is not None and not server._owns_socket:
        # The program's own socket stays open.
        sock = socket(sock.family, sock.type, sock.proto, fileno=os.dup(sock.fileno()))
    listener = Listener(
        server.address, workers, backlog=server.backlog, reuse_port=server.reuse_port, mode=server.mode,
        family=server.family, sock=sock,
    )  # fmt: skip
    supervisor = Supervisor(lambda: lambda sock: server, [listener], settings, preloaded=True)
    server.address = listener.address
    server.draining.clear()
    stopping = SupervisorGreenlet.spawn(_end_with, server, supervisor)
    try:
        _run(supervisor)
    finally:
        stopping.kill()


def _end_with(server, supervisor):
    """End the service when the program calls stop() or close() of the server."""
    server.draining.wait()
    supervisor.end()


def _run(supervisor):
    status = supervisor.run()
    if status:
        raise SystemExit(status)

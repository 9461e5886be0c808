"""Servers on all cores: several processes that serve one address, and one that looks after them.

    from greenio import workers

    def load():
        from shop import handle
        return lambda sock: StreamServer(sock, handle)

    workers.serve(load, "127.0.0.1:7000", workers=4)

``server.serve_forever(workers=4)`` does so with a server that is there already. docs/servers.md has more.
"""

from __future__ import annotations

import os

from greenio._workers.listeners import Listener
from greenio._workers.options import CannotStart, Options
from greenio._workers.stacks import SupervisorGreenlet
from greenio._workers.supervisor import Supervisor
from greenio._workers.telling import hold_standard_descriptors
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
    """Have `workers` processes (int) serve an address, or a list of them, until a signal ends them. Switches.

    ``load()`` is called in each worker, and imports what is to be served: after a SIGHUP, it does so anew. It returns a
    function that is called with each listening socket, and returns the server for it. If it raises CannotStart, only
    the exception's text is told; otherwise there is a traceback.
    `backlog`, `reuse_port`, `mode`: as of StreamServer.

    `worker_timeout`: a worker whose hub does not turn for so many seconds (float, 60; None for no limit) prints all
    stacks and is replaced. `max_requests`, with `max_requests_jitter`: how many requests, or connections where there
    are no requests, a worker serves before another takes over (int). `max_rss`: the same for bytes of memory (int).
    `drain`: seconds for what is under way when a worker ends (30). `pre_drain`: seconds to go on accepting before (0).
    `preload`: load once, before the workers are forked, so that they share the memory (bool).
    `status`: an address where the supervisor answers /healthz and /metrics.

    In a worker it does not return: the process ends. Raises OSError if it cannot listen, TypeError or ValueError for an
    argument that cannot be, SystemExit with the code 3 if the first workers cannot start.
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
    """As serve(), with a server that does not listen yet."""
    settings = Options(workers, **options)
    hold_standard_descriptors()
    sock = server.socket
    if sock is not None and not server._owns_socket:
        sock = socket(sock.family, sock.type, sock.proto, fileno=os.dup(sock.fileno()))  # the program's stays open
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
    """stop() and close() of the server end the service."""
    server.draining.wait()
    supervisor.end()


def _run(supervisor):
    status = supervisor.run()
    if status:
        raise SystemExit(status)

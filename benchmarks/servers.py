"""One server of one library, in a process of its own: prints its port, and serves until it is ended with SIGTERM.

    python benchmarks/servers.py greenio|gevent|protocol|streams|asyncio|threads echo|tls|churn|udp|idle

`protocol` and `streams` are uvloop: asyncio's Protocol, and asyncio's StreamReader and StreamWriter. `asyncio` is the
same streams on its own loop, `threads` a thread for each connection; these have no `tls` and no `udp`.
load.py has the clients, compare_io.py and compare_ways.py the tables.
"""

import asyncio
import contextlib
import importlib
import resource
import socket
import ssl
import sys
import threading
from pathlib import Path

CERTIFICATES = Path(__file__).parent.parent / "tests" / "certificates"
BLOCK = 65536


def announce(port):
    print(port, flush=True)


def tls_context(module):
    context = module.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "cert.pem", CERTIFICATES / "key.pem")
    return context


# --- greenio and gevent -----------------------------------------------------------------------------------------


def echo(sock, address):
    """Send everything back, until the peer is done."""
    with contextlib.suppress(ConnectionError):
        while data := sock.recv(BLOCK):
            sock.sendall(data)


def echo_once(sock, address):
    """Send the first data back; the server then closes the connection."""
    with contextlib.suppress(ConnectionError):
        sock.sendall(sock.recv(BLOCK))


def serve_udp(library):
    """Send each datagram back."""
    socket = importlib.import_module(f"{library}.socket")
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    announce(sock.getsockname()[1])
    while True:
        data, address = sock.recvfrom(BLOCK)
        sock.sendto(data, address)


def serve_greenlets(library, kind):
    if kind == "udp":
        return serve_udp(library)
    server_module = importlib.import_module(f"{library}.server")
    handle = {"churn": echo_once, "tls": tls_handler(library, echo)}.get(kind, echo)
    server = server_module.StreamServer(("127.0.0.1", 0), handle, backlog=1024)
    server.start()
    announce(server.socket.getsockname()[1])
    server.serve_forever()


def tls_handler(library, handle):
    """A handler of plain connections: `handle` gets them as TLS ones."""
    context = tls_context(importlib.import_module(f"{library}.ssl"))

    def wrap(sock, address):
        with context.wrap_socket(sock, server_side=True) as wrapped:
            handle(wrapped, address)

    return wrap


# --- uvloop -----------------------------------------------------------------------------------------------------


class Echo(asyncio.Protocol):
    """Sends everything back."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class EchoOnce(Echo):
    """Sends the first data back, and closes the connection."""

    def data_received(self, data):
        self.transport.write(data)
        self.transport.close()


class EchoDatagrams(Echo, asyncio.DatagramProtocol):
    """Sends each datagram back."""

    def datagram_received(self, data, address):
        self.transport.sendto(data, address)


async def echo_stream(reader, writer):
    """As echo()."""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(BLOCK):
            writer.write(data)
            await writer.drain()


async def echo_stream_once(reader, writer):
    """As echo_once()."""
    with contextlib.suppress(ConnectionError):
        writer.write(await reader.read(BLOCK))
        await writer.drain()
    writer.close()


async def serve_coroutines(library, kind):
    loop = asyncio.get_running_loop()
    context = tls_context(ssl) if kind == "tls" else None
    if kind == "udp":
        transport, _ = await loop.create_datagram_endpoint(EchoDatagrams, ("127.0.0.1", 0))
        announce(transport.get_extra_info("sockname")[1])
        await asyncio.Event().wait()
    if library == "protocol":
        made = EchoOnce if kind == "churn" else Echo
        server = await loop.create_server(made, "127.0.0.1", 0, ssl=context, backlog=1024)
    else:
        made = echo_stream_once if kind == "churn" else echo_stream
        server = await asyncio.start_server(made, "127.0.0.1", 0, ssl=context, backlog=1024)
    announce(server.sockets[0].getsockname()[1])
    await server.serve_forever()


# --- threads ----------------------------------------------------------------------------------------------------


def serve_threads(kind):
    """A thread for each connection."""
    handle = echo_once if kind == "churn" else echo

    def serve(sock, address):
        with sock:
            handle(sock, address)

    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        announce(listener.getsockname()[1])
        while True:
            threading.Thread(target=serve, args=listener.accept(), daemon=True).start()


def main():
    library, kind = sys.argv[1:]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if library in ("greenio", "gevent"):
        serve_greenlets(library, kind)
    elif library == "threads":
        serve_threads(kind)
    elif library == "asyncio":
        asyncio.run(serve_coroutines("streams", kind))
    else:
        importlib.import_module("uvloop").run(serve_coroutines(library, kind))


if __name__ == "__main__":
    main()

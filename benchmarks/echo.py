"""An echo server under load: prints the server's CPU microseconds a message.

    python benchmarks/echo.py greenio|gevent|uvloop [--connections 50] [--size 1024] [--seconds 2]

The client is a process of its own, plain epoll, the same for all.
"""

import argparse
import asyncio
import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time


def serve_greenlets(library):
    """A StreamServer of greenio or gevent; SIGTERM ends it."""
    if library == "greenio":
        from greenio.server import StreamServer
    else:
        from gevent.server import StreamServer

    def echo(sock, address):
        with contextlib.suppress(ConnectionError):
            while data := sock.recv(65536):
                sock.sendall(data)

    def stop(number, frame):
        print(time.process_time() - begun, flush=True)
        os._exit(0)

    server = StreamServer(("127.0.0.1", 0), echo)
    server.start()
    signal.signal(signal.SIGTERM, stop)
    begun = announce(server.socket.getsockname()[1])
    server.serve_forever()


def serve_uvloop():
    """An asyncio Protocol on uvloop."""
    import uvloop

    class Echo(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport

        def data_received(self, data):
            self.transport.write(data)

    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Echo, "127.0.0.1", 0)
        stopped = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stopped.set)
        begun = announce(server.sockets[0].getsockname()[1])
        await stopped.wait()
        print(time.process_time() - begun, flush=True)

    uvloop.run(main())


def announce(port):
    print(port, flush=True)
    return time.process_time()


def load(port, connections, size, seconds):
    """Send, wait for all of it to come back, send again, over all connections; return how many came back."""
    poll, socks, received, messages = select.epoll(), {}, {}, 0
    message = b"x" * size
    for _ in range(connections):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setblocking(False)
        socks[sock.fileno()], received[sock.fileno()] = sock, 0
        poll.register(sock.fileno(), select.EPOLLIN)
        sock.sendall(message)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for fd, _ in poll.poll(1):
            received[fd] += len(socks[fd].recv(65536))
            if received[fd] >= size:
                received[fd] -= size
                messages += 1
                socks[fd].send(message)
    for sock in socks.values():
        sock.close()
    return messages


def main():
    parser = argparse.ArgumentParser(description="CPU of an echo server for each message.")
    parser.add_argument("library", choices=["greenio", "gevent", "uvloop"])
    parser.add_argument("--connections", type=int, default=50, help="default: %(default)s")
    parser.add_argument("--size", type=int, default=1024, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=2, help="default: %(default)s")
    parser.add_argument("--serve", action="store_true", help="be the server")
    options = parser.parse_args()
    if options.serve:
        return serve_uvloop() if options.library == "uvloop" else serve_greenlets(options.library)
    with subprocess.Popen(
        [sys.executable, __file__, options.library, "--serve"], stdout=subprocess.PIPE, text=True
    ) as server:
        messages = load(int(server.stdout.readline()), options.connections, options.size, options.seconds)
        server.terminate()
        print(float(server.stdout.readline()) / messages * 1e6)


if __name__ == "__main__":
    main()

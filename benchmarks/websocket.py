"""WebSocket servers side by side: CPU time of a message that is sent back, and cost of idle connections, as a table.

    pip install '.[wsgi,websocket,bench-websocket]' && python benchmarks/websocket.py [--rounds 5] [row ...]

50 connections have one message each under way, of text unless --binary says otherwise. The servers are those of
websocket_servers/serve.py that are installed, each with one process. All servers of a row run at the same time, and are
put under load in turn, again and again. The figures are medians of the rounds. They count the CPU time of the server's
process, in its own code and in the system's.

The row `idle` measures idle connections: the growth of the server's memory for each, and the CPU time a second for all
of them, while they answer the server's pings.
"""

import sys

# This file has the name of another module. Nothing in this folder is imported.
sys.path.pop(0)

import argparse
import contextlib
import importlib.util
import re
import resource
import runpy
import select
import socket
import statistics
import struct
import subprocess
import time
from pathlib import Path

SERVE = Path(__file__).parent / "websocket_servers" / "serve.py"
TOLD = runpy.run_path(str(SERVE), run_name="serve")
CONNECTIONS = 50
SIZES = {"64": 64, "16k": 16384}
#: gevent-websocket unmasks in Python, byte by byte, so fewer messages are enough for its figure.
FEWER = {("16k", "gevent-websocket"): 100}
#: Aims of greenio in the same run: (row, another server, at most so many times that server's figure).
AIMS = [
    ("64", "gevent-websocket", 1 / 3),
    ("64", "uvicorn websockets", 0.7),
    ("64", "uvicorn wsproto", 0.7),
    ("16k", "uvicorn websockets", 0.6),
    ("16k", "uvicorn wsproto", 0.6),
]
MASK = b"\x37\xfa\x21\x3d"
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
PING, PONG = 0x89, b"\x8a"


def message(size, is_binary):
    """Return a message as a client's frame, and the length of the server's frame."""
    first = 0x82 if is_binary else 0x81
    payload = bytes(byte ^ MASK[at % 4] for at, byte in enumerate(b"x" * size))
    if size < 126:
        return struct.pack("!BB", first, 128 | size) + MASK + payload, size + 2
    return struct.pack("!BBH", first, 128 | 126, size) + MASK + payload, size + 4


class Server:
    """A server in a process of its own, until it is closed."""

    def __init__(self, name):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.name = name
        self.process = subprocess.Popen([sys.executable, str(SERVE), name, str(self.port)], stdin=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                break
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"{name} does not accept connections")
            time.sleep(0.05)
        self.socks = []

    def connect(self, count):
        """Open so many connections."""
        while len(self.socks) < count:
            sock = socket.create_connection(("127.0.0.1", self.port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(REQUEST)
            answer = b""
            while not answer.endswith(b"\r\n\r\n"):
                more = sock.recv(65536)
                if not more:
                    raise SystemExit(f"{self.name} has not made a WebSocket: {answer!r}")
                answer += more
            self.socks.append(sock)

    def cpu(self):
        """Return its CPU time in seconds, by the clock of another process; see clock_getcpuclockid(3)."""
        return time.clock_gettime(~self.process.pid << 3 | 2)

    def memory(self):
        """Return its memory in bytes."""
        told = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return int(re.search(r"^Pss: +(\d+) kB", told, re.M)[1]) * 1024

    def close(self):
        for sock in self.socks:
            sock.close()
        self.process.kill()
        self.process.wait()


def load(server, size, count, is_binary):
    """Have so many messages sent back; return microseconds of CPU time of each."""
    frame, length = message(size, is_binary)
    poll = select.epoll()
    left = {sock.fileno(): [sock, length] for sock in server.socks}
    before, done, sent = server.cpu(), 0, 0
    for sock in server.socks:
        poll.register(sock, select.EPOLLIN)
        sock.sendall(frame)
        sent += 1
    while done < count:
        for fd, _ in poll.poll():
            one = left[fd]
            one[1] -= len(one[0].recv(1 << 17))
            if one[1] > 0:
                continue
            one[1] = length
            done += 1
            if sent < count:
                one[0].sendall(frame)
                sent += 1
    poll.close()
    return (server.cpu() - before) / count * 1e6


def measure(row, names, options):
    """Return the figures of a row, by server."""
    servers = []
    try:
        for name in names:
            servers.append(Server(name))
        figures = {server.name: [] for server in servers}
        for number in range(options.rounds + 1):
            for server in servers:
                server.connect(CONNECTIONS)
                count = min(options.messages, FEWER.get((row, server.name), options.messages))
                figure = load(server, SIZES[row], max(count, CONNECTIONS), options.binary)
                if number:  # the first is for warming up
                    figures[server.name].append(figure)
        return {name: statistics.median(each) for name, each in figures.items()}
    finally:
        for server in servers:
            server.close()


def idle(name, options):
    """``(kilobytes of each, milliseconds of CPU time a second for all)`` of so many idle connections."""
    server = Server(name)
    try:
        server.connect(100)  # now the server has made all that it makes only once
        before = server.memory()
        server.connect(100 + options.idle)
        kilobytes = (server.memory() - before) / options.idle / 1000
        poll = select.epoll()
        by_number = {sock.fileno(): sock for sock in server.socks}
        for sock in server.socks:
            poll.register(sock, select.EPOLLIN)
        begin, end, before = time.monotonic(), time.monotonic() + options.idle_seconds, server.cpu()
        pings = 0
        while (now := time.monotonic()) < end:
            for fd, _ in poll.poll(end - now):
                data = by_number[fd].recv(65536)
                if data[:1] != bytes([PING]):
                    raise SystemExit(f"{name} has said {data!r} to an idle client")
                pings += 1
                payload = data[2:]
                masked = bytes(byte ^ MASK[at % 4] for at, byte in enumerate(payload))
                by_number[fd].sendall(PONG + bytes([128 | len(payload)]) + MASK + masked)
        took = time.monotonic() - begin
        poll.close()
        return kilobytes, (server.cpu() - before) / took * 1000, pings
    finally:
        server.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", metavar="row", help=f"which to measure: {', '.join(SIZES)}, idle")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=10_000, help="in each round")
    parser.add_argument("--binary", action="store_true", help="binary messages, instead of text")
    parser.add_argument("--idle", type=int, default=10_000, help="how many idle connections")
    parser.add_argument("--idle-seconds", type=float, default=40, help="how long they are idle")
    parser.add_argument("--servers", nargs="*", help="only these, instead of all that are installed")
    options = parser.parse_args()
    if wrong := set(options.rows) - {*SIZES, "idle"}:
        raise SystemExit(f"no rows: {', '.join(sorted(wrong))}")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    names = [
        name
        for name in TOLD["SERVERS"]
        if all(importlib.util.find_spec(module) for module in TOLD["MODULES"][name])
        and (not options.servers or name in options.servers)
    ]
    print(" " * 24 + "".join(f"{name:>20}" for name in names))
    results = {}
    for row in options.rows or SIZES:
        if row == "idle":
            found = {name: idle(name, options) for name in names}
            for at, title in enumerate(("idle, KB each", "idle, ms of CPU a s", "pings")):
                print(f"{title:24}" + "".join(f"{found[name][at]:20.1f}" for name in names))
        else:
            results[row] = measure(row, names, options)
            print(f"{f'{row} bytes, µs':24}" + "".join(f"{results[row][name]:20.1f}" for name in names))
    print()
    for row, name, most in AIMS:
        if row in results and name in results[row] and "greenio" in results[row]:
            figure = results[row]["greenio"] / results[row][name]
            told = f"{row} bytes: of {name}'s"
            print(f"{told:34} {figure:6.2f}   at most {most:.2f}   {'' if figure <= most else 'MISSED'}".rstrip())


if __name__ == "__main__":
    main()

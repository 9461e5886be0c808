"""A WSGI server under clients that reset, dribble, leave and come back: its memory and descriptors must not grow.

    pip install '.[wsgi]' && python benchmarks/soak.py [--minutes 60] [--clients 200] [--keep 10000]

Prints a line every ten seconds: the server's private memory, its descriptors, and counts of the clients' work. After
each quarter of the time all clients leave, and the server is measured at rest. In the first two quarters the server may
take as much memory as its busiest moment needs, and keep it. If the other two add some megabytes more (in an hour less
than ten bytes for each connection), or a single descriptor, the run has failed.

With `--keep`, so many other clients stay from the beginning to the end, and ask for something from time to time. If one
of them fails, the run has failed. The server at rest is then the server with these clients.
"""

import argparse
import contextlib
import os
import random
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import greenio
import greenio.pool
from greenio import socket as ours

SERVE = Path(__file__).parent / "http_servers" / "serve.py"
EVERY = 10  # seconds between two lines
MORE = 4096  # the kilobytes by which memory may grow in the second half
GET = b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000\r\n\r\n"
HELLO = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n"


def receive(sock, length):
    while length > 0:
        data = sock.recv(min(length, 65536))
        if not data:
            raise ConnectionError("the server has ended the connection")
        length -= len(data)


def reset(sock):
    """Close with a reset instead of an end."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# --- uses of a connection ---


def keeps_alive(sock):
    for _ in range(random.randrange(1, 20)):
        sock.sendall(GET)
        receive(sock, 10_000)
        greenio.sleep(random.random() / 20)


def sends_bodies(sock):
    for _ in range(random.randrange(1, 5)):
        sock.sendall(POST + b"x" * 20_000)
        receive(sock, 20_000)


def pipelines(sock):
    sock.sendall(GET * 50)
    receive(sock, random.choice([10_000, 500_000]))


def resets_in_the_middle_of_a_head(sock):
    sock.sendall(GET[: random.randrange(1, len(GET))])
    reset(sock)


def resets_in_the_middle_of_a_body(sock):
    sock.sendall(POST + b"x" * random.randrange(20_000))
    reset(sock)


def resets_in_the_middle_of_an_answer(sock):
    sock.sendall(GET * 200)
    receive(sock, 20_000)
    reset(sock)


def leaves_in_the_middle_of_a_body(sock):
    sock.sendall(POST + b"x" * random.randrange(20_000))


def dribbles(sock):
    for at in range(len(GET)):
        sock.sendall(GET[at : at + 1])
        greenio.sleep(random.random() / 2)


def connects_only(sock):
    greenio.sleep(random.random())


def is_refused(sock):
    sock.sendall(random.choice([b"nonsense\r\n\r\n", CHUNKED, b"GET / HTTP/1.1\r\n\r\n", os.urandom(200)]))
    with contextlib.suppress(TimeoutError):
        while sock.recv(65536):
            pass


DOINGS = [
    keeps_alive, sends_bodies, pipelines, resets_in_the_middle_of_a_head, resets_in_the_middle_of_a_body,
    resets_in_the_middle_of_an_answer, leaves_in_the_middle_of_a_body, dribbles, connects_only, is_refused,
]  # fmt: skip
done: Counter[str] = Counter()


def client(port):
    """Connects, does something, leaves and comes back."""
    while True:
        doing = random.choice(DOINGS)
        try:
            with ours.create_connection(("127.0.0.1", port), timeout=30) as sock:
                doing(sock)
            done[doing.__name__] += 1
        except OSError:
            done["failed"] += 1
        greenio.sleep(random.random() / 10)


class Kept:
    """Clients that keep their connections: how many have had an answer, how many answers, and what has failed."""

    def __init__(self, port, count):
        self.ready = self.answers = 0
        self.failures = []
        self._port = port
        self._clients = greenio.pool.Group()
        for number in range(count):
            self._clients.spawn(self._keep, number)
            if number % 500 == 499:  # no more at a time than the listener's queue holds
                self.wait_for(number + 1)
        self.wait_for(count)

    def wait_for(self, count):
        end = time.monotonic() + 60
        while self.ready < count and not self.failures:
            if time.monotonic() > end:
                raise SystemExit(f"{self.ready} of {count} connections were answered within a minute")
            greenio.sleep(0.01)
        if self.failures:
            raise SystemExit(f"a connection that was to be kept has failed: {self.failures[0]}")

    def _keep(self, number):
        # Several addresses, which have more ports than one.
        source = f"127.0.0.{2 + number % 50}", 0
        try:
            with ours.create_connection(("127.0.0.1", self._port), timeout=60, source_address=source) as sock:
                self._ask(sock)
                self.ready += 1
                while True:
                    greenio.sleep(random.uniform(20, 60))  # the server's idle_timeout is 75
                    self._ask(sock)
        except OSError as error:
            self.failures.append(error)

    def _ask(self, sock):
        sock.sendall(HELLO)
        data = b""
        while not data.endswith(b"Hello, World!"):
            more = sock.recv(1000)
            if not more:
                raise ConnectionError("the server has ended a connection that was kept")
            data += more
        self.answers += 1

    def leave(self):
        self._clients.kill()


def state(pid):
    """``(kilobytes of private memory, descriptors)`` of a process."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    memory = sum(int(each) for each in re.findall(r"^Private_\w+: +(\d+) kB", text, re.M))
    return memory, len(os.listdir(f"/proc/{pid}/fd"))


def watch(server, port, seconds, count):
    """Let clients come and go for so long, then end them all."""
    clients = [greenio.spawn(client, port) for _ in range(count)]
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        greenio.sleep(min(left, EVERY))
        tell(server)
    greenio.killall(clients)


def tell(server):
    if server.poll() is not None:
        raise SystemExit(f"the server has ended with {server.returncode}")
    memory, descriptors = state(server.pid)
    print(
        f"{time.strftime('%H:%M:%S')} {memory:8} KB {descriptors:5} descriptors {sum(done.values()):8} done", flush=True
    )


def at_rest(server, descriptors):
    """Return the server's memory and descriptors when it has had time to close all connections."""
    end = time.monotonic() + 60
    while state(server.pid)[1] > descriptors and time.monotonic() < end:
        greenio.sleep(0.2)
    tell(server)
    return state(server.pid)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--keep", type=int, default=0, metavar="NUMBER", help="connections that stay open all the time")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    needed = (options.keep + options.clients) * 5 // 4 + 100  # of which the server leaves a fifth to others
    if 0 <= hard < needed:
        raise SystemExit(f"so many connections take {needed} descriptors (ulimit -Hn), and there may be {hard}")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, str(SERVE), "greenio", "plain", str(port), os.devnull],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        server.stderr.readline()  # it listens
        memory, nobody = state(server.pid)
        kept = Kept(port, options.keep)
        descriptors = nobody + options.keep
        if options.keep:
            more = state(server.pid)[0] - memory
            print(f"{options.keep} connections are kept: {more} KB, {more / options.keep:.1f} KB each", flush=True)
        rests = []
        for _ in range(4):
            watch(server, port, options.minutes * 15, options.clients)
            rests.append(at_rest(server, descriptors))
        kept.leave()
        _, last = at_rest(server, nobody)
        server.send_signal(signal.SIGTERM)
        _, told = server.communicate(timeout=60)
    finally:
        server.kill()
        server.wait()
    for name, number in sorted(done.items()):
        print(f"{number:8} {name}")
    growth = rests[3][0] - rests[1][0]
    left = rests[3][1]
    if options.keep:
        print(
            f"{kept.answers} answers on connections that were kept, {len(kept.failures)} failures {kept.failures[:3]}"
        )
    print(f"at rest: {', '.join(f'{memory} KB' for memory, _ in rests)}")
    print(f"memory grew by {growth} KB, descriptors by {left - descriptors}, and by {last - nobody} when all had left")
    unexpected = [line for line in told.splitlines() if "Traceback" in line]
    if growth > MORE or left > descriptors or last > nobody or kept.failures or unexpected:
        raise SystemExit(f"FAILED\n{told}")


if __name__ == "__main__":
    main()

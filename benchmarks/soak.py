"""A WSGI server under clients that reset, dribble, leave and come back: its memory and descriptors must not grow.

    pip install '.[wsgi]' && python benchmarks/soak.py [--minutes 60] [--clients 200]

Prints a line every ten seconds: what the clients have done, the server's private memory and its descriptors. In the
first quarter of the time memory is filled that is kept. What the last quarter has more than the second is told at the
end, and more than 5 % of memory, or one descriptor, is a failure.
"""

import argparse
import contextlib
import os
import random
import re
import resource
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import greenio
from greenio import socket as ours

SERVE = Path(__file__).parent / "http_servers" / "serve.py"
EVERY = 10  # seconds between two lines
GET = b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000\r\n\r\n"
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


# --- what a client does with a connection ---


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


def state(pid):
    """``(kilobytes of private memory, descriptors)`` of a process."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    memory = sum(int(each) for each in re.findall(r"^Private_\w+: +(\d+) kB", text, re.M))
    return memory, len(os.listdir(f"/proc/{pid}/fd"))


def watch(server, port, minutes, count):
    """Let clients come for so long; return what was seen."""
    clients = [greenio.spawn(client, port) for _ in range(count)]
    seen = []
    for _ in range(max(4, int(minutes * 60 / EVERY))):
        greenio.sleep(EVERY)
        if server.poll() is not None:
            raise SystemExit(f"the server has ended with {server.returncode}")
        memory, descriptors = state(server.pid)
        seen.append(memory)
        print(
            f"{time.strftime('%H:%M:%S')} {memory:8} KB {descriptors:5} descriptors   {sum(done.values())} done",
            flush=True,
        )
    greenio.killall(clients)
    return seen


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--clients", type=int, default=200)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, str(SERVE), "greenio", "plain", str(port), os.devnull],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        server.stderr.readline()  # it listens
        descriptors = state(server.pid)[1]
        seen = watch(server, port, options.minutes, options.clients)
        end = time.monotonic() + 20
        while (left := state(server.pid)[1]) > descriptors and time.monotonic() < end:
            greenio.sleep(0.2)
        server.send_signal(signal.SIGTERM)
        _, told = server.communicate(timeout=60)
    finally:
        server.kill()
        server.wait()
    for name, number in sorted(done.items()):
        print(f"{number:8} {name}")
    quarter = len(seen) // 4
    growth = statistics.median(seen[-quarter:]) / statistics.median(seen[quarter : 2 * quarter]) - 1
    print(f"memory grew by {growth:.1%}, descriptors by {left - descriptors}")
    unexpected = [line for line in told.splitlines() if "Traceback" in line]
    if growth > 0.05 or left > descriptors or unexpected:
        raise SystemExit(f"FAILED\n{told}")


if __name__ == "__main__":
    main()

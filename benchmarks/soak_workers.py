"""Workers of greenio.wsgi are killed under load: connections of other workers may not fail, and memory may not grow.

    pip install '.[wsgi]' && python benchmarks/soak_workers.py [--minutes 10] [--kills 500] [--workers 4]

Clients connect, send a few requests and leave, again and again. Meanwhile workers are killed, at random, all but the
last one. Each is stopped first, so that its accepted connections can be listed: only these may fail. Prints a line
every ten seconds: counts of clients and kills, and the memory and the descriptors of the supervisor and of the worker
that survives. The run has failed if memory in the last quarter is more than 5 % above the second, or if there are more
descriptors at the end than at the beginning.
"""

import sys

# A file here has the name of a standard module. Nothing in this folder is imported.
sys.path.pop(0)

import argparse
import contextlib
import json
import os
import random
import re
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path

import greenio
from greenio import socket as ours

APPLICATION = Path(__file__).parent / "http_servers" / "application.py"
EVERY = 10  # seconds between two lines
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

done: Counter[str] = Counter()
accepted: dict[int, float] = {}  # ports of connections that a killed worker had accepted -> when it was killed
failures: list[tuple[int, str]] = []  # the port of a connection that has failed, and how


def client(address):
    """Connects, has some requests answered, leaves and comes back."""
    while True:
        port = 0
        try:
            with ours.create_connection(address, timeout=30) as sock:
                port = sock.getsockname()[1]
                for _ in range(random.randrange(1, 6)):
                    sock.sendall(GET)
                    data = b""
                    while not (head := data.partition(b"\r\n\r\n"))[1] or len(head[2]) < length_of(head[0]):
                        more = sock.recv(65536)
                        if not more:
                            raise ConnectionError("the connection was closed")
                        data += more
                    done["requests"] += 1
            done["connections"] += 1
        except OSError as error:
            failures.append((port, f"{type(error).__name__}: {error}"))
        greenio.sleep(random.random() / 50)


def length_of(head):
    return int(re.search(rb"(?i)\r\nContent-Length: (\d+)", head)[1])


def connections_of(pid, port):
    """Return the peers' ports of a process's connections to this port (set of int)."""
    inodes = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            inodes.add(os.readlink(f"/proc/{pid}/fd/{name}").removeprefix("socket:[").removesuffix("]"))
    found = set()
    with open("/proc/net/tcp") as file:
        for line in list(file)[1:]:
            fields = line.split()
            if fields[9] in inodes and int(fields[1].partition(":")[2], 16) == port:
                found.add(int(fields[2].partition(":")[2], 16))
    return found


def kill(pid, port):
    os.kill(pid, signal.SIGSTOP)
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        greenio.sleep(0.001)
    now = time.monotonic()
    for each in connections_of(pid, port):
        accepted[each] = now
    os.kill(pid, signal.SIGKILL)
    done["kills"] += 1


def children(pid):
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def state(pid):
    """Return ``(kilobytes of memory, descriptors)`` of a process. Memory that forks share counts for each of them."""
    memory = int(re.search(r"^Rss: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1])
    return memory, len(os.listdir(f"/proc/{pid}/fd"))


def kill_at_random(supervisor, survivor, port, minutes, kills):
    for _ in range(kills):
        greenio.sleep(minutes * 60 / kills * random.uniform(0.8, 1.2))
        victims = [pid for pid in children(supervisor) if pid != survivor]
        if victims:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                kill(random.choice(victims), port)


def unexpected():
    """Failures of connections that no killed worker had accepted."""
    return [(port, text) for port, text in failures if port not in accepted]


def watch(supervisor, survivor, address, options):
    clients = [greenio.spawn(client, address) for _ in range(options.clients)]
    killing = greenio.spawn(kill_at_random, supervisor, survivor, address[1], options.minutes, options.kills)
    seen = {supervisor: [], survivor: []}
    while not killing.ready():
        killing.join(EVERY)
        states = {pid: state(pid) for pid in seen}
        for pid, (memory, _) in states.items():
            seen[pid].append(memory)
        shown = "   ".join(f"{memory} KB {descriptors:3} descriptors" for memory, descriptors in states.values())
        print(
            f"{time.strftime('%H:%M:%S')} supervisor, survivor: {shown}   {dict(done)}, {len(failures)} failed, "
            f"{len(unexpected())} unexpectedly",
            flush=True,
        )
    killing.get()
    greenio.killall(clients)
    return seen


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--clients", type=int, default=50)
    options = parser.parse_args()
    told = tempfile.TemporaryFile("w+")  # noqa: SIM115  (to the end)
    command = [sys.executable, "-m", "greenio.wsgi", "application:application", "--chdir", str(APPLICATION.parent)]
    server = subprocess.Popen(
        [*command, "-b", "127.0.0.1:0", "-w", str(options.workers), "--status", "127.0.0.1:0"],
        stdin=subprocess.DEVNULL, stderr=told,
    )  # fmt: skip
    try:
        text = ""
        while "listening" not in text:
            greenio.sleep(0.05)
            told.seek(0)
            text = told.read()
        address = "127.0.0.1", int(re.search(r"listening on http://127.0.0.1:(\d+)", text)[1])
        survivor = children(server.pid)[-1]
        before = {pid: state(pid)[1] for pid in (server.pid, survivor)}
        seen = watch(server.pid, survivor, address, options)
        greenio.sleep(6)  # the last replacement
        after = {pid: state(pid)[1] for pid in seen}
        status = re.search(r"status at (\S+)/healthz", text)[1]
        metrics = urllib.request.urlopen(f"{status}/metrics").read().decode()
        server.send_signal(signal.SIGTERM)
        server.wait(60)
        told.seek(0)
        text = told.read()
    finally:
        server.kill()
        server.wait()
    print("\n".join(re.findall(r"^greenio_(?:requests|connections|worker_restarts)_total.*", metrics, re.M)))
    failed = bool(unexpected()) or "Traceback" in text or server.returncode != 0
    print(json.dumps({"failures": Counter(text for _, text in failures), "unexpected": unexpected()[:10]}, indent=1))
    for name, pid in (("supervisor", server.pid), ("survivor", survivor)):
        quarter = max(1, len(seen[pid]) // 4)
        growth = statistics.median(seen[pid][-quarter:]) / statistics.median(seen[pid][quarter : 2 * quarter]) - 1
        print(f"{name}: memory grew by {growth:.1%}, descriptors by {after[pid] - before[pid]}")
        failed = failed or growth > 0.05 or after[pid] > before[pid]
    if failed:
        raise SystemExit(f"FAILED\n{text[-5000:]}")


if __name__ == "__main__":
    main()

"""I/O of greenio beside gevent and uvloop: the server's CPU time a message, as a table.

pip install '.[bench]' && python benchmarks/compare_io.py [--rounds 7] [--seconds 0.5] [row ...]

The column "plain" is a server in C that does nothing but call the system (plain.c). For the transfers of 1 GiB it is
plain blocking sockets in Python.

All servers of a row run at the same time, and are put under load in turn, again and again. The figures are medians of
the rounds. They count the CPU time of the server's process, in its own code and in the system's.

Client and server share one processor, and the server's scheduling policy is SCHED_BATCH: the server goes on when the
client has sent all it can. So the server finds many connections ready at a time, as a busy server does. Otherwise a
server that is quicker than its client would sleep after every message, and this would count against the quick server.
"""

import argparse
import atexit
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import load

HERE = Path(__file__).parent
PLAIN = Path(tempfile.mkdtemp()) / "plain"  # plain.c, compiled
atexit.register(shutil.rmtree, PLAIN.parent)
SERVERS = ["greenio", "gevent", "protocol", "streams"]
ROWS = {
    "udp": ("UDP echo, 32 datagrams of 64 B under way", "udp", load.Datagrams, 32, 64),
    "churn": ("accept, echo 64 B, close", "churn", load.Churn, 50, 64),
    "tls-256": ("TLS echo, 20 connections of 256 B", "tls", load.TLSEcho, 20, 256),
    "tls-16k": ("TLS echo, 20 connections of 16 KiB", "tls", load.TLSEcho, 20, 16384),
}
for _connections in (1, 50, 1000):
    for _name, _size in (("64", 64), ("1k", 1024), ("16k", 16384), ("64k", 65536)):
        _title = f"echo, {_connections:,} × {_size:,} B"
        ROWS[f"echo-{_connections}-{_name}"] = (_title, "echo", load.Echo, _connections, _size)
IDLE = 10_000
GIB = 1 << 30


def cpu_clock(pid):
    """Return the clock of another process's CPU time, for time.clock_gettime(); see clock_getcpuclockid(3)."""
    return ~pid << 3 | 2


def start(library, kind):
    command = [str(PLAIN), kind] if library == "plain" else [sys.executable, str(HERE / "servers.py"), library, kind]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE)
    os.sched_setscheduler(server.pid, os.SCHED_BATCH, os.sched_param(0))
    return server


def measure(row, rounds, seconds, libraries=None):
    """Return CPU microseconds for each message: {library: median}. `libraries`: by default those of the table."""
    _, kind, client, connections, size = ROWS[row]
    if libraries is None:
        libraries = [*SERVERS, "plain"] if kind in ("echo", "udp") and PLAIN.exists() else SERVERS
    servers = {library: start(library, kind) for library in libraries}
    clients, figures = {}, {library: [] for library in libraries}
    try:
        for library, server in servers.items():
            clients[library] = client(int(server.stdout.readline()), connections, size)
            clients[library].run(seconds / 2)
        for _ in range(rounds):
            for library, server in servers.items():
                clock = cpu_clock(server.pid)
                begun = time.clock_gettime(clock)
                messages = clients[library].run(seconds)
                figures[library].append((time.clock_gettime(clock) - begun) / messages * 1e6)
        return {library: statistics.median(values) for library, values in figures.items()}
    finally:
        for each in clients.values():
            each.close()
        for server in servers.values():
            server.terminate()
            server.wait()
            server.stdout.close()


def idle_memory(library, connections=IDLE):
    """Return the resident bytes of an accepted connection whose greenlet waits in recv()."""

    def resident(pid):
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    with start(library, "idle") as server:
        address = ("127.0.0.1", int(server.stdout.readline()))
        # The first connections come before the measurement: with them the server makes all that it makes only once.
        socks = [socket.create_connection(address) for _ in range(10)]
        settle(server.pid)
        before = resident(server.pid)
        socks += [socket.create_connection(address) for _ in range(connections)]
        settle(server.pid)
        used = (resident(server.pid) - before) / connections
        server.terminate()
        for sock in socks:
            sock.close()
    return used


def settle(pid):
    """Wait until a process has nothing left to do."""
    clock, before = cpu_clock(pid), -1
    while (now := time.clock_gettime(clock)) != before:
        before = now
        time.sleep(0.3)


def show(title, unit, figures):
    cells = [f"{figures[library]:.4g}" if library in figures else "" for library in [*SERVERS, "plain"]]
    ratio = f"{figures['gevent'] / figures['greenio']:.2f}" if "gevent" in figures else ""
    print(f"| {title} | {unit} | {' | '.join(cells)} | {ratio} |", flush=True)


def transfer(library, direction):
    command = [sys.executable, str(HERE / "transfer.py"), library, direction]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=HERE).stdout)


def main():
    others = ["idle", "sendall", "recv_into"]
    parser = argparse.ArgumentParser(description="Compare the I/O of greenio with that of gevent and uvloop.")
    parser.add_argument("--rounds", type=int, default=7, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=0.5, help="of each round; default: %(default)s")
    parser.add_argument("row", nargs="*", choices=[*ROWS, *others, []], help="default: all")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if shutil.which("cc"):
        subprocess.run(["cc", "-O2", "-o", PLAIN, HERE / "plain.c"], check=True)
    os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
    rows = options.row or [*ROWS, *others]
    print(
        "| | | greenio | gevent | uvloop Protocol | uvloop streams | plain | gevent / greenio |\n" + "| --- " * 8 + "|"
    )
    for row in rows:
        if row in ROWS:
            show(ROWS[row][0], "µs", measure(row, options.rounds, options.seconds))
        elif row == "idle":
            show("memory of an idle connection", "bytes", {library: idle_memory(library) for library in SERVERS})
        else:
            figures = {library: [] for library in ("greenio", "gevent", "plain")}
            for _ in range(options.rounds):
                for library, values in figures.items():
                    values.append(transfer(library, row))
            show(f"{row}() of 1 GiB", "ms", {library: statistics.median(values) for library, values in figures.items()})


if __name__ == "__main__":
    main()
